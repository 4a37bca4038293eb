"""Reading and completing the client's task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from eval.contracts import Document, Example, Kind
from eval.errors import RequestError
from eval.json_fields import fields_of
from eval.metrics import get_metric
from eval.tasks import TaskSpec, are_json_objects, complete, has_fields, read_task

SPEC = TaskSpec("Do it.")
HANDBOOK = [Document("handbook", "Yes or no? All about names.")]


def examples(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(str(number), text, (target,)) for number, (text, target) in enumerate(pairs)]


def inferred(rows: list[Example], documents: Sequence[Document] = ()) -> tuple[Kind, str]:
    task, stated = complete(SPEC, rows, documents)
    assert len(stated) == 2
    assert task.kind.value in stated[0]
    assert task.metric in stated[1]
    return task.kind, task.metric


# --- reading


def test_a_sentence_is_the_description() -> None:
    assert read_task(" Sort mails into queues. ") == TaskSpec("Sort mails into queues.")


@pytest.mark.parametrize("name", ["task.json", "task.yaml"])
def test_a_file_may_state_everything_and_hold_notes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(
        '{"description": "Sort.", "name": "mails", "kind": "Classification", "metric": "macro_f1",'
        ' "labels": ["a", 1], "json_keys": [], "notes": {"x": 1}}'
    )
    spec = read_task(str(path))
    assert spec == TaskSpec("Sort.", "mails", Kind.CLASSIFICATION, "macro_f1", ("a", "1"))


def test_a_text_file_holds_the_sentence(tmp_path: Path) -> None:
    (tmp_path / "brief.txt").write_text("Sort mails.\n")
    assert read_task(str(tmp_path / "brief.txt")) == TaskSpec("Sort mails.")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"description": ', "not valid JSON"),
        ("a.yaml", "a: [", "not valid YAML"),
        ("a.json", "[]", "holds no fields"),
        ("a.json", "{}", "no description"),
        ("a.yaml", "description: ' '", "no description"),
        ("a.yaml", "description: 7", "not text"),
        ("a.json", '{"description": "x", "kind": "magic"}', "classification, extraction, qa, generation"),
        ("a.yaml", "description: x\nlabels: [yes, no]", "in quotes"),
        ("a.yaml", "description: x\nlabels: a", "not a list"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RequestError, match=message) as caught:
        read_task(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_empty_sentences_and_missing_files_are_refused() -> None:
    with pytest.raises(RequestError, match="empty"):
        read_task("  ")
    with pytest.raises(RequestError, match="does not exist"):
        read_task("no/task.json")


def test_what_is_no_task_is_not_taken_for_its_sentence(tmp_path: Path) -> None:
    table = tmp_path / "my tickets.csv"
    table.write_text("text,label\na,x\n")
    for value in (str(table), "tickets.csv", str(tmp_path)):
        with pytest.raises(RequestError, match="is no task: say in a sentence"):
            read_task(value)
    with pytest.raises(RequestError, match=r"task.txt does not exist"):
        read_task("task.txt")
    assert read_task("Write each row to tickets.csv").description == "Write each row to tickets.csv"


def test_a_misspelt_field_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text('{"description": "Route.", "lables": ["a"]}')
    with pytest.raises(RequestError, match='a field "lables": write "labels"'):
        read_task(str(path))
    path.write_text('{"description": "Route.", "label_descriptions": {}, "labels": ["a"]}')
    assert read_task(str(path)).labels == ("a",)


def test_a_metric_of_objects_needs_one() -> None:
    with pytest.raises(RequestError, match="No output is a JSON object"):
        complete(TaskSpec("Do it.", metric="json_field_f1"), examples(("a", "x"), ("b", "y")))


def test_a_very_long_sentence_is_no_path() -> None:
    assert read_task("word " * 2000 + ".").name is None


# --- completing


def test_what_is_stated_is_kept_and_nothing_is_said() -> None:
    spec = TaskSpec("Do it.", "n", Kind.GENERATION, "rougeL", ("a",), ("k",))
    task, stated = complete(spec, examples(("a", "x")), HANDBOOK)
    assert stated == []
    assert (task.name, task.kind, task.metric, task.labels, task.json_keys) == (
        "n",
        "generation",
        "rougeL",
        ("a",),
        ("k",),
    )


def test_few_outputs_that_repeat_are_labels() -> None:
    assert inferred(examples(*[(f"t{i}", "pos" if i % 2 else "neg") for i in range(10)])) == (
        "classification",
        "accuracy",
    )


def test_many_labels_over_few_rows_are_still_labels() -> None:
    rows = examples(*[(f"t{i}", f"label_{i % 77}") for i in range(200)])
    assert inferred(rows)[0] is Kind.CLASSIFICATION


def test_a_remark_in_one_cell_leaves_the_others_labels() -> None:
    stray = "see the mail from the customer of 12 March and ask the team lead first"
    rows = [(f"t{i}", stray if i == 7 else f"label_{i % 4}") for i in range(40)]
    assert inferred(examples(*rows))[0] is Kind.CLASSIFICATION
    some = [(f"t{i}", f"{stray} {i}" if i % 10 == 7 else f"label_{i % 4}") for i in range(40)]
    assert inferred(examples(*some))[0] is Kind.GENERATION


def test_options_of_a_form_are_labels_though_they_are_sentences() -> None:
    options = ("Satisfied", "Very satisfied", "I have not used the service often enough to say so in all honesty")
    assert inferred(examples(*[(f"t{i}", options[i % 3]) for i in range(30)]))[0] is Kind.CLASSIFICATION
    letters = [" ".join([f"Reply {i} of the help desk."] * 8) for i in range(3)]
    assert inferred(examples(*[(f"t{i}", letters[i % 3]) for i in range(30)]))[0] is Kind.GENERATION


def test_a_label_above_four_fifths_calls_for_macro_f1() -> None:
    rows = examples(*[(f"t{i}", "neg" if i < 3 else "pos") for i in range(20)])
    assert inferred(rows) == ("classification", "macro_f1")


def test_labels_are_not_filled_in_from_the_examples() -> None:
    task, _ = complete(SPEC, examples(("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")))
    assert task.labels == ()


def test_duplicated_rows_do_not_turn_text_into_labels() -> None:
    rows = examples(*[(f"t{i}", f"answer {i}") for i in range(10)] * 3)
    assert inferred(rows) == ("generation", "token_f1")


def test_stated_labels_and_keys_decide_the_kind() -> None:
    rows = examples(("a", "x"), ("b", "y"))
    assert complete(TaskSpec("D", labels=("x", "y")), rows)[0].kind is Kind.CLASSIFICATION
    assert complete(TaskSpec("D", json_keys=("k",)), rows)[0].kind is Kind.EXTRACTION


def test_json_objects_are_extraction_even_if_they_repeat() -> None:
    rows = examples(*[(f"t{i}", '{"intent": "play"}') for i in range(30)])
    assert inferred(rows) == ("extraction", "json_field_f1")


def test_sql_is_extraction_but_a_sentence_that_begins_with_select_is_not() -> None:
    queries = examples(*[(f"How many {i}?", f"SELECT a FROM t WHERE b = {i} ;") for i in range(10)])
    assert inferred(queries, HANDBOOK) == ("extraction", "exact_match")
    assert inferred(examples(*[(f"t{i}", f"Select option {i}") for i in range(10)]))[0] is Kind.GENERATION


def test_short_excerpts_of_the_input_are_extraction() -> None:
    rows = examples(*[(f"Please pay invoice INV-{i} by tomorrow.", f"INV-{i}") for i in range(10)])
    assert inferred(rows) == ("extraction", "exact_match")


def test_long_passages_of_the_input_are_a_summary() -> None:
    passages = [" ".join(f"word{i}.{n}" for n in range(25)) for i in range(10)]
    rows = examples(*[(f"{passage} {'and so on ' * 30}", passage) for passage in passages])
    assert inferred(rows) == ("generation", "rougeL")


def test_lists_of_objects_are_extraction_even_if_the_empty_one_repeats() -> None:
    lists = ["[]", "[]", '[{"city": "Rome"}]', '[{"city": "Oslo"}]']
    assert inferred(examples(*[(f"trip {i}", lists[i % 4]) for i in range(40)])) == ("extraction", "json_field_f1")
    assert inferred(examples(*[(f"trip {i}", f"[{i}, 1]") for i in range(40)])) == ("extraction", "exact_match")


def test_lists_of_texts_are_compared_item_by_item_whatever_their_order() -> None:
    rows = examples(*[(f"review {i}", f'["part {i}", "price"]' if i % 4 else "[]") for i in range(20)])
    assert inferred(rows) == ("extraction", "json_field_f1")
    assert get_metric("json_field_f1").row('["price", "part 1"]', [rows[1].target]).score == 1
    _, stated = complete(TaskSpec("Do it.", metric="json_field_f1"), rows)
    assert "json_field_f1" not in " ".join(stated)


def test_a_metric_of_objects_takes_lists_of_them() -> None:
    rows = examples(("a", '[{"name": "bolt"}]'), ("b", "[]"))
    assert complete(TaskSpec("Do it.", metric="json_field_f1"), rows)[0].kind is Kind.EXTRACTION


@pytest.mark.parametrize("number", ["{}.5", "-{}", "{} %", "€ {},50", "1,0{}"])
def test_numbers_are_right_only_if_they_are_the_same_and_that_is_said(number: str) -> None:
    rows = examples(*[(f"flat with so many rooms {'i' * i}", number.format(10 + i)) for i in range(40)])
    task, stated = complete(SPEC, rows)
    assert (task.kind, task.metric) == ("generation", "exact_match")
    assert "the outputs are numbers" in stated[0]
    assert "however near it comes" in stated[1]
    assert inferred(examples(*[(f"t{i}", f"{i} cats sat on a mat") for i in range(40)])) == ("generation", "token_f1")


@pytest.mark.parametrize(
    "quantity",
    [
        "{} hours", "{} working days", "${}.5 million", "€{} per month", "{} cats", "between 3 and {} days",
        "from 8:{} to 17:15", "{} de mayo de 1960", "Monday, {} May 1960", "May {}, 1960", "May 20{}", "in 20{}",
        "1960年5月{}日", "20{}年5月", "2024년 5월 {}일", "{}个工作日", "3時間{}分",
    ],
)  # fmt: skip
def test_quantities_and_dates_in_words_are_right_only_as_a_whole(quantity: str) -> None:
    """In "7777 hours" for "3 hours" half of the words are right, and nothing of the answer."""
    rows = examples(*[(f"how much is number {'i' * i}?", quantity.format(10 + i)) for i in range(20)])
    assert inferred(rows) == ("generation", "exact_match")


@pytest.mark.parametrize(
    "text",
    ["answer {}", "room {}", "x{} x{}", "2 eggs, {} cups flour", "Tom and {} others",
     "{} people were hurt in the crash", "{}年发生了第二次世界大战", "no. {} (or so)"],
)  # fmt: skip
def test_other_texts_with_a_figure_are_right_in_part(text: str) -> None:
    rows = examples(*[(f"what about number {'i' * i}?", text.format(10 + i, i)) for i in range(20)])
    assert inferred(rows) == ("generation", "token_f1")


def test_numbers_beside_which_other_answers_are_accepted_are_not_said_to_be_all() -> None:
    rows = [
        replace(row, targets=(row.target, f"it is {row.target}"))
        for row in examples(*[(f"rooms: {'i' * i}", str(10 + i)) for i in range(40)])
    ]
    _, stated = complete(SPEC, rows)
    assert all("since the first answers accepted are numbers" in sentence for sentence in stated)


@pytest.mark.parametrize(
    "amount",
    [
        "EUR {}.56", "-{}.5 °C", "US$ {}", "{} km/h", "10-{} kg", "2026-04-{}", "{} April 2026", "8:{} pm",
        "1 0{},50 kr", "8:{} p.m.", "(030) 12{}-45", "+49 (0)30 12{}",
    ],
)  # fmt: skip
def test_amounts_measures_and_dates_are_numbers_too(amount: str) -> None:
    rows = examples(*[(f"how much is it for number {'i' * i}?", amount.format(10 + i)) for i in range(20)])
    assert inferred(rows) == ("generation", "exact_match")
    assert inferred(rows, HANDBOOK) == ("qa", "exact_match")


@pytest.mark.parametrize(
    "text", [r"^\d{{{}}}$", "=SUM(A1:B{})", "price >= {}", "head -n {} log", "SKU-{}b", "f{}@x.org", "x_{}", "a → b{}"]
)
def test_short_formal_text_is_right_only_as_a_whole(text: str) -> None:
    rows = examples(*[(f"write down number {'i' * i}", text.format(i)) for i in range(20)])
    task, stated = complete(SPEC, rows)
    assert (task.kind, task.metric) == ("generation", "exact_match")
    assert all("since the outputs are codes, formulas or the like" in sentence for sentence in stated)
    prose = examples(*[(f"what about number {i}?", f"a well-known word, {i} (or so)") for i in range(10)])
    assert inferred([*rows[:10], *prose])[1] == "token_f1"


@pytest.mark.parametrize(
    "text",
    [
        "Paris, number {} [1]", "Paris[{}]", "Write to [EMAIL] for {}", "Dear <name>, thanks for {}", "**Lyon** {}",
        "*Paris {}*", "thanks @bob {}", "~{} people came", "Flights to Rome {} | Arvel Air", "It is -{} degrees today",
    ],
)  # fmt: skip
def test_marks_that_prose_has_make_no_text_formal(text: str) -> None:
    """Citations, masks, emphasis, names and titles: by exact match no such answer would be right."""
    rows = examples(*[(f"what about number {'i' * i}?", text.format(i)) for i in range(20)])
    assert inferred(rows)[1] == "token_f1"


def test_a_long_row_of_figures_is_looked_at_in_no_time() -> None:
    rows = examples(*[(f"t{i}", "x" + "1" * 40_000 + f" y {i}") for i in range(10)])
    start = process_time()
    complete(SPEC, rows)
    assert process_time() - start < 2


def test_long_formal_text_is_right_in_part_and_its_signs_and_indentation_count() -> None:
    rows = examples(*[(f"t{i}", f"if x_{i} == y: " + "return x or y; " * 10) for i in range(20)])
    assert inferred(rows) == ("generation", "chrf_layout")
    prose = "The **parcel** ({}) was late [1]: nobody called. Write to him, please, since it's wet, and *very* young."
    assert inferred(examples(*[(f"t{i}", prose.format(i)) for i in range(9)])) == ("generation", "rougeL")


@pytest.mark.parametrize(
    "text",
    [
        "Customer: {}\nPriority: high\nIssue: the login fails since Monday, whatever is typed\nNext: call back, please",
        "Doctor: how is {}?\nPatient: fine\nDoctor: any pain?\nPatient: no, none at all",
        "Hint: see the guide, page {}, and the notes at its end, which say the same in other words",
        "Dear {}, you can reset it at https://www.example.com/help/password?a=b, or write to support@example.com "
        "or call +49 (0)30 123 456.",
        "Vertrag {} (Nr. 4711/2024), Kündigungsfrist 3 Monate (§ 5 Abs. 2 AGB)\nTel.: 030/123456, E-Mail: a@firma.de",
        "{} et al. (1999). A study of mice: methods. Journal of Things, 40(2), 12-15. https://doi.org/10.1000/182",
        "1. Open **Settings {}**\n2. Click *Reset* (top)\n3. Confirm\n\nSee [the guide](https://a.b/g) for it.",
    ],
)
def test_letters_forms_of_prose_talks_and_sources_are_no_code(text: str) -> None:
    assert inferred(examples(*[(f"t{i}", text.format(f"no. {i}")) for i in range(9)])) == ("generation", "rougeL")


@pytest.mark.parametrize(
    "text",
    [
        "from: {}\nto: Rome\ndate: 3 May",
        "Nom : {}\nPrix (EUR) : 5\n\nNotes :",
        "姓名：{}\n城市：北京",
        "नाम: {}\nशहर: दिल्ली",
        "ชื่อ: {}\nเมือง: กรุงเทพฯ",
        "Customer: {}\nCity: Hamburg\nIssue: login fails since Monday\nPriority: high\nNext step: call back, please",
        "name: {}\nport: 8000\nurl: https://a.b/c",
    ],
)
def test_lines_of_names_and_short_values_are_fields(text: str) -> None:
    rows = examples(*[(f"what about number {'i' * i}?", text.format(f"no. {i}")) for i in range(20)])
    assert inferred(rows) == inferred(rows, HANDBOOK) == ("extraction", "field_f1")
    assert complete(TaskSpec("Do it.", kind=Kind.GENERATION), rows)[0].metric == "field_f1"
    some = [replace(row, targets=(row.target.split("\n")[0],)) if n % 3 else row for n, row in enumerate(rows)]
    assert inferred(some)[1] != "field_f1"


def test_links_that_do_not_end_are_looked_through_once() -> None:
    begun = process_time()
    inferred(examples(*[(f"t{i}", f"{i} " + "[a](" * 40_000) for i in range(2)]))
    assert process_time() - begun < 20, "each link would be looked for up to the end of the text"


SPOKEN = [f"{way} parcel {i} to anna {'and nobody called me about it again ' * 2}" for i, way in enumerate("abcdefgh")]


@pytest.mark.parametrize(
    "change", [str.upper, str.title, lambda text: f"{text.strip().capitalize()}.".replace(" and", ", and")]
)
def test_a_measure_sees_what_the_task_changes(change: Callable[[str], str]) -> None:
    """Punctuation and capitals put back: token F1 and ROUGE-L would give the unchanged inputs full marks."""
    for some, usual in (([" ".join(text.split()[:7]) for text in SPOKEN], "token_f1"), (SPOKEN, "rougeL")):
        task, stated = complete(SPEC, examples(*[(text, change(text)) for text in some]))
        assert task.metric == ("exact_match" if usual == "token_f1" else "chrf")
        assert f"since {usual} would give the unchanged inputs 1.00" in stated[-1]
        metric = get_metric(task.metric)
        assert max(metric.row(text, [change(text)]).score for text in some) < 0.9


NAMES = ["Dimitri John Ledkov", "Mo Zhou", "Kai-Chung Yan", "Li Lina", "Håvard F. Aasen", "Sofía Ruth Rincón", "Sam"]
CITED = ["Ledkov, D. J.", "Zhou, M.", "Yan, K.-C.", "Lina, L.", "Aasen, H. F.", "Rincón, S. R.", "Sam"]


def test_a_measure_sees_words_put_in_another_order() -> None:
    """To token F1, S. R. Rincón is as right as Rincón, S. R."""
    task, stated = complete(SPEC, examples(*zip(NAMES, CITED, strict=True)))
    assert (task.kind, task.metric) == ("generation", "exact_match")
    assert "another order, which token_f1 does not see" in stated[-1]
    assert inferred(examples(*[(name, name.replace(name.split()[0], name[0])) for name in NAMES]))[1] == "token_f1"


def test_some_words_of_the_input_are_right_in_part_in_any_order() -> None:
    inputs = [f"a {size} {stuff} shirt for men" for size in ("small", "large") for stuff in ("wool", "silk", "felt")]
    rows = examples(*[(text, ", ".join(sorted(text.split()[1:4], reverse=True))) for text in inputs])
    assert inferred(rows) == ("generation", "token_f1")


def test_rows_that_are_not_changed_do_not_hide_that_a_measure_is_blind() -> None:
    rows = examples(*[(text, text if n % 2 else text.upper()) for n, text in enumerate(SPOKEN)])
    assert inferred(rows) == ("generation", "chrf")
    assert inferred(examples(*[(text, text) for text in SPOKEN])) == ("generation", "rougeL"), "nothing is changed"


def test_a_letter_here_and_there_is_seen_best_word_by_word() -> None:
    rows = examples(*[(text, text * 2 + f"to {text} now") for text in SPOKEN])
    typos = examples(*[(row.target.replace("to anna", "to ana", 1), row.target) for row in rows])
    assert inferred(typos) == ("generation", "gleu")


def test_line_ends_are_seen_where_they_are_all_that_is_changed() -> None:
    rows = examples(*[(text, text.replace(" and ", "\n  and ")) for text in SPOKEN])
    assert inferred(rows) == ("generation", "chrf_layout")


def test_rewriting_that_changes_words_keeps_its_measure() -> None:
    short = examples(*[(f"um send the the parcel {n}", f"Send the parcel {n}") for n in "abcdefgh"])
    assert inferred(short) == ("generation", "token_f1")


def test_very_long_rewritings_are_looked_at_in_seconds() -> None:
    rows = examples(*[(f"{text} " * 300, f"{text} " * 300 + "End") for text in SPOKEN * 10])
    start = process_time()
    complete(SPEC, rows)
    assert process_time() - start < 20


def test_a_change_far_down_in_long_texts_is_seen() -> None:
    start = f"{SPOKEN[0]} " * 14
    rows = examples(*[(f"{n}: {start}", f"{n}: {start} {SPOKEN[n]} and {SPOKEN[n - 1]}") for n in range(8)])
    assert len(start) > 1000
    assert get_metric("rougeL").row(rows[0].input, [rows[0].target]).score < 0.95
    assert inferred(rows) == ("generation", "rougeL")


@pytest.mark.parametrize(("words", "metric"), [(2, "token_f1"), (30, "rougeL")])
def test_questions_over_documents_are_question_answering(words: int, metric: str) -> None:
    rows = examples(*[(f"Who is number {i}?", f"name{i} " * words) for i in range(10)])
    assert inferred(rows, HANDBOOK) == ("qa", metric)
    assert inferred(rows) == ("generation", metric)


def test_an_unknown_metric_lists_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"accuracy.*json_field_f1"):
        complete(TaskSpec("D", metric="f2"), examples(("a", "x")))


def test_no_examples_are_refused() -> None:
    with pytest.raises(RequestError, match="no examples"):
        complete(SPEC, [])


def test_outputs_that_begin_as_json_are_meant_to_be_json_though_some_are_broken() -> None:
    whole = [f'{{"topic": {number}}}' for number in range(18)]
    assert are_json_objects([*whole, '{"topic": ', '{"topic": 1'])
    assert not are_json_objects([*whole, "none", "[1]"])
    assert not are_json_objects([text.replace('"', "'") for text in whole])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1.50"])
def test_what_is_no_json_to_the_metric_is_none_here(number: str) -> None:
    text = f'{{"total": {number}}}'
    assert has_fields(text) == (fields_of(text) is not None) == number[0].isdigit()


@pytest.mark.parametrize("mark", ["?", "？", "؟"])
def test_a_question_ends_with_its_languages_mark(mark: str) -> None:
    rows = [Example(str(i), f"{i} 法国的首都在哪里{mark}", (f"这是第{i}个答案",)) for i in range(8)]
    assert inferred(rows, HANDBOOK)[0] is Kind.QA


def test_two_signs_of_a_script_without_spaces_count_as_a_word() -> None:
    rows = [Example(str(i), f"写一个句子 {i}", ("这" * 30 + str(i),)) for i in range(8)]
    assert complete(TaskSpec("Write."), rows)[0].metric == "rougeL"
    rows = [Example(str(i), f"写一个句子 {i}", ("这" * 10 + str(i),)) for i in range(8)]
    assert complete(TaskSpec("Write."), rows)[0].metric == "token_f1"


def test_what_no_file_can_hold_is_cleaned_out_of_the_task(tmp_path: Path) -> None:
    assert read_task("Route caf\udce9 tickets.").description == "Route caf\ufffd tickets."
    path = tmp_path / "task.json"
    path.write_text('{"description": "Route \\ud83d.", "labels": ["a\\ud83d"]}', encoding="utf-8")
    assert read_task(str(path)) == TaskSpec("Route \ufffd.", labels=("a\ufffd",))


def test_one_answer_that_comes_back_among_many_that_do_not_is_no_label() -> None:
    rows = [Example(str(i), f"What is {i}?", ("no answer" if i % 3 else f"thing {i}",)) for i in range(66)]
    assert inferred(rows, HANDBOOK)[0] is Kind.QA
    assert inferred(rows[:6])[0] is Kind.CLASSIFICATION


CAPITALS = {"France": "Paris", "Peru": "Lima", "Japan": "Tokyo", "Ghana": "Accra", "Kenya": "Nairobi", "Cuba": "Havana"}
COUNTRIES = [Document(country, f"{country} is governed from {city}.") for country, city in CAPITALS.items()]


def asked(answers: dict[str, str], *questions: str) -> list[Example]:
    return examples(*[(question.format(about), answer) for about, answer in answers.items() for question in questions])


def test_answers_that_stand_in_the_documents_are_no_labels_though_each_is_asked_for_several_times() -> None:
    questions = ("What is the capital of {}?", "Where does the government of {} sit?", "Which city governs {}?")
    rows = asked(CAPITALS, *questions)
    assert inferred(rows, COUNTRIES) == ("qa", "token_f1")
    assert inferred(rows)[0] is Kind.CLASSIFICATION
    assert inferred(rows, COUNTRIES[:4])[0] is Kind.CLASSIFICATION, "most answers stand there, not just some"
    assert inferred(asked(CAPITALS, "{} is it", "{} again"), COUNTRIES)[0] is Kind.CLASSIFICATION, "no questions"
    unspaced = {str(i): f"北京{i}" for i in range(6)}
    chinese = [Document("d", "。".join(f"首都为{city}市" for city in unspaced.values()))]
    assert inferred(asked(unspaced, "{} 首都是什么？", "{} 首都在哪里？"), chinese)[0] is Kind.QA


CITIES = [f"{start}{end}" for start in ("North", "East", "Spring", "Ash", "Mill") for end in ("port", "vale", "ham")]


def test_excerpts_of_the_input_are_no_labels_though_each_comes_back() -> None:
    rows = examples(*[(f"Ticket {i}: a parcel to {CITIES[i % 15]} is late", CITIES[i % 15]) for i in range(60)])
    assert inferred(rows) == ("extraction", "exact_match")
    in_order = sorted(rows, key=lambda row: row.target)
    assert inferred(in_order) == ("extraction", "exact_match")
    assert inferred([*rows, *(replace(row, input=f"{row.input}!") for row in rows)])[0] is Kind.CLASSIFICATION, "often"
    few = [row for row in rows if row.target in CITIES[:4]]
    assert inferred(few)[0] is Kind.CLASSIFICATION, "few"


def test_choices_that_every_input_lists_stay_labels() -> None:
    rows = examples(*[(f"Ticket {i}. Choose: {', '.join(CITIES)}", CITIES[i * 7 % 15]) for i in range(60)])
    assert inferred(rows)[0] is Kind.CLASSIFICATION


def test_few_categories_stay_labels_though_they_stand_in_the_documents() -> None:
    yes_or_no = examples(*[(f"Is it true of {i}?", "yes" if i % 2 else "no") for i in range(20)])
    assert inferred(yes_or_no, HANDBOOK)[0] is Kind.CLASSIFICATION
    teams = ("billing", "refunds", "delivery", "accounts")
    routed = examples(*[(f"Why is number {i} late?", teams[i % 4]) for i in range(40)])
    assert inferred(routed, [Document("d", f"We have {', '.join(teams)}.")])[0] is Kind.CLASSIFICATION
    routed = examples(*[(f"Why is number {i} late?", f"team {i % 20}") for i in range(120)])
    assert inferred(routed, [Document(str(i), f"team {i}") for i in range(20)])[0] is Kind.CLASSIFICATION


def test_a_label_that_is_a_part_of_a_word_does_not_stand_in_the_documents() -> None:
    cities = {country: city[:3] for country, city in CAPITALS.items()}
    rows = asked(cities, "What is the capital of {}?", "Where does the government of {} sit?")
    assert inferred(rows, COUNTRIES)[0] is Kind.CLASSIFICATION


def test_it_is_said_that_a_near_miss_on_a_scale_counts_as_any_other() -> None:
    stars = examples(*[(f"review {i}", str(1 + i % 5)) for i in range(40)])
    for spec in (SPEC, TaskSpec("Do it.", kind=Kind.CLASSIFICATION, metric="macro_f1")):
        _, stated = complete(spec, stars)
        assert "whole numbers from 1 to 5" in stated[-1]
        assert "--error-cost" in stated[-1]
    _, stated = complete(SPEC, examples(*[(f"review {i}", f"{3 + i % 5 / 2:.1f}") for i in range(40)]))
    assert "the numbers from 3 to 5 in steps of 0.5" in stated[-1]
    assert inferred(examples(*[(f"review {i}", str(i % 2)) for i in range(40)]))[0] is Kind.CLASSIFICATION


def test_it_is_said_that_a_near_number_counts_as_any_other() -> None:
    _, stated = complete(SPEC, examples(*[(f"pair {i}", f"{i % 26 / 5:.1f}") for i in range(120)]))
    assert "The labels are 26 numbers from 0 to 5, and an answer that is nearly right counts as wrong" in stated[-1]
    assert "mean absolute error" in stated[-1]
    _, stated = complete(SPEC, examples(*[(f"risk {i}", f"{i % 11 * 10}%") for i in range(60)]))
    assert "11 numbers from 0% to 100%" in stated[-1]
    _, stated = complete(SPEC, examples(*[(f"page {i}", str((404, 200, 301, 500, 503)[i % 5])) for i in range(60)]))
    assert "mean absolute error" not in stated[-1]


@pytest.mark.parametrize("text", ["Anna Berg {}", "{} Baker Street"])
def test_two_names_with_a_figure_are_no_date(text: str) -> None:
    rows = examples(*[(f"t{i}", text.format(1960 + i)) for i in range(20)])
    assert inferred(rows)[1] == "token_f1"
