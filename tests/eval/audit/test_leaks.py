"""Which documents give an example away, and which are only a knowledge base."""

from __future__ import annotations

import pytest

from eval.audit.leaks import leak_finding, leaking_documents
from eval.contracts import Document, Example

QUESTION = "How do I reset the garden meter?"
ANSWER = "Press both keys for five seconds until the lamp turns green, then wait for one minute."
ASKED = Example("q", QUESTION, (ANSWER,))


def leaks(text: str, example: Example = ASKED, title: str = "") -> bool:
    return leaking_documents([example], [Document("d", text, title)]) == {"d": ("q",)}


@pytest.mark.parametrize(
    "text",
    [
        f"{QUESTION} {ANSWER}",
        f"Q: {QUESTION.upper()}\nA: {ANSWER}",
        f"Welcome to the archive.\n\n12. {QUESTION}\n\n{ANSWER}\n\n13. And now for something else?",
        f"- {QUESTION.rstrip('?')} – {ANSWER}",
        f"{ANSWER} {QUESTION}",
        f"{QUESTION} {ANSWER[:60]}",
        f"7 {QUESTION} {ANSWER}",
        f"Welcome. Q7 {QUESTION}\n{ANSWER}",
        f"“{QUESTION}” {ANSWER.replace('keys', 'buttons')}",
    ],
)
def test_question_and_answer_together_leak(text: str) -> None:
    assert leaks(text)


def test_questions_in_scripts_without_spaces_leak() -> None:
    example = Example("q", "iPhoneの電源が入らないのですが?", ("電源ボタンを十秒間押してください。",))
    assert leaks("よくある質問。質問:iPhoneの電源が入らないのですが?\n回答:電源ボタンを十秒間押してください。", example)
    assert leaks("保証は二年です。iPhoneの電源が入らないのですが?電源ボタンを十秒間押してください。", example)
    assert not leaks("保証は二年です。電源ボタンを十秒間押してください。", example)


def test_the_title_may_hold_the_question() -> None:
    assert leaks(ANSWER, title=QUESTION)


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        f"The garden meter. {ANSWER}",
        QUESTION,
        f"{QUESTION} Call us, and a technician will do it within two days at no cost to you.",
        f"Many ask themselves how do I reset the garden meter. {ANSWER}",
        "",
    ],
    ids=["answer alone", "answer with its topic", "question alone", "another answer", "part of a sentence", "nothing"],
)
def test_a_knowledge_base_does_not_leak(text: str) -> None:
    assert not leaks(text)


def test_a_short_answer_counts_as_whole_words_only() -> None:
    example = Example("q", "When was the bridge of Arvel built?", ("18",))
    assert leaks("When was the bridge of Arvel built? In 18 after the war.", example)
    assert not leaks("When was the bridge of Arvel built? In 1874.", example)


def test_any_accepted_answer_leaks() -> None:
    example = Example("q", "When was the bridge of Arvel built?", ("in 1874", "1874"))
    assert leaks("When was the bridge of Arvel built? 1874.", example)


def test_an_answer_inside_the_question_must_come_once_more() -> None:
    example = Example("q", "Is it the red or the blue line?", ("blue",))
    assert not leaks("Is it the red or the blue line? Nobody knows.", example)
    assert leaks("Is it the red or the blue line? Blue.", example)


def test_short_inputs_leak_only_where_they_are_most_of_a_document() -> None:
    example = Example("q", "lost card", ("card_lost",))
    assert leaks("lost card: card_lost", example)
    assert not leaks("Lost card? Tell us at once. We block it and send another within a week. Code card_lost.", example)


def test_every_document_and_every_example_is_named() -> None:
    examples = [Example(f"q{i}", f"What is the code of room number {i}?", (f"K{i}{i}",)) for i in range(5)]
    documents = [
        Document("faq", "What is the code of room number 1? K11. What is the code of room number 2? K22."),
        Document("rooms", "The code of room number 3 is K33."),
        Document("old", "What is the code of room number 2? K22"),
    ]
    found = leaking_documents(examples, documents)
    assert found == {"faq": ("q1", "q2"), "old": ("q2",)}
    finding = leak_finding(found, left_out=True)
    assert finding is not None
    assert (finding.rows, finding.count) == (("faq", "old"), 2)
    assert "2 examples (q1, q2)" in finding.message
    assert "--accept leak_examples_documents" in finding.action
    assert leak_finding({}, left_out=True) is None
