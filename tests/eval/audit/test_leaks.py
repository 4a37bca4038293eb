"""Which documents give an example away, and which are only a knowledge base."""

from __future__ import annotations

from time import process_time

import pytest

from eval.audit.leaks import leak_finding, leaking_documents, without_leaks
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


LAW = "The meter belongs to the town. Whoever reads it pays nothing."


def left_of(text: str, example: Example = ASKED, title: str = "") -> str | None:
    """What is left of a document that leaks; None where that is nothing."""
    documents = [Document("d", text, title)]
    rest = without_leaks(documents, leaking_documents([example], documents), [example])
    return rest[0].text if rest else None


@pytest.mark.parametrize(
    "leak",
    [
        f"{QUESTION} {ANSWER}",
        f"Q: {QUESTION}\nA: {ANSWER}",
        f"{QUESTION}\n{ANSWER.replace(' until ', chr(10) + 'until ')}",
        f"## {QUESTION}\n{ANSWER}",
    ],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_only_the_paragraphs_with_question_and_answer_are_left_out(leak: str, gap: str) -> None:
    assert left_of(gap.join([LAW, leak, "What does it cost? Nothing."])) == f"{LAW}{gap}What does it cost? Nothing."


def test_an_answer_after_a_blank_line_goes_with_its_question() -> None:
    assert left_of(f"{LAW}\n\n{QUESTION}\n \n{ANSWER}\n\nOther questions?") == f"{LAW}\n\nOther questions?"


def test_of_a_table_the_row_with_question_and_answer_goes() -> None:
    head, row = "Question | Answer", "What does it cost? | Nothing."
    assert left_of(f"{LAW}\n\n{head}\n{row}\n{QUESTION} | {ANSWER}\n\nEnd") == f"{LAW}\n\n{head}\n{row}\n\nEnd"


def test_an_answer_far_from_its_question_stays() -> None:
    assert left_of(f"{ANSWER}\n{LAW}\n{QUESTION} See above.") == f"{ANSWER}\n{LAW}"


@pytest.mark.parametrize(("text", "title"), [(f"{QUESTION} {ANSWER}", ""), (f"{LAW}\n{ANSWER}", QUESTION)])
def test_a_document_of_which_nothing_harmless_is_left_goes_as_a_whole(text: str, title: str) -> None:
    assert left_of(text, title=title) is None


def test_a_question_that_stands_on_several_lines_takes_the_whole_document_along() -> None:
    assert left_of(f"{LAW}\n{QUESTION.replace('garden ', 'garden' + chr(10))}\n{ANSWER}") is None


def test_a_document_with_very_many_questions_is_cut_in_no_time() -> None:
    asked = [Example(f"q{i}", f"How is meter {i} of hall {i % 7} reset?", (f"Press button {i}.",)) for i in range(3000)]
    text = "\n\n".join([LAW, *(f"{e.input}\n{e.target}" for e in asked)])
    document = Document("d", text)
    leaks = {"d": tuple(e.id for e in asked)}
    start = process_time()
    assert [d.text for d in without_leaks([document], leaks, asked)] == [LAW]
    assert process_time() - start < 1.5, "each question with each paragraph took 4 seconds"


def test_what_is_left_out_is_said() -> None:
    leaks = {"a": ("q",), "b": ("q",)}

    def said(kept: set[str]) -> str:
        finding = leak_finding(leaks, left_out=True, kept=kept)
        assert finding is not None
        return finding.action.partition(";")[0]

    start = "Left out of the comparison and of the kept index"
    assert said({"c"}) == start
    assert said({"a", "b"}) == f"{start}: the paragraphs with these questions and answers"
    assert said({"a"}) == f"{start}: the paragraphs with these questions and answers, and b as a whole"
    assert said(set()) == f"{start}, so that no document is left"
