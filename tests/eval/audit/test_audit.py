"""The audit as a whole: what it changes, what it only reports, and what the client overrules."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from eval.audit import Audited, Readers, accepted, audit, refuse_hopeless
from eval.audit.lengths import Limit
from eval.contracts import Document, Example, Kind, Task
from eval.errors import RequestError
from eval.findings import Code, Finding

SORT = Task("Sort the tickets.", Kind.CLASSIFICATION, "accuracy")
WRITE = Task("Rewrite the text.", Kind.GENERATION, "rougeL")


def labelled(*labels: str) -> list[Example]:
    return [
        Example(str(i), f"ticket {i} about {'river' * (i % 7)}{i * 37}", (label,), i)
        for i, label in enumerate(labels, 1)
    ]


CLEAN = labelled(*["billing", "delivery"] * 30)


def codes(result: Audited) -> list[str]:
    return [finding.code for finding in result.findings]


def only(findings: Sequence[Finding], code: str) -> Finding:
    (finding,) = [f for f in findings if f.code == code]
    return finding


def test_clean_data_have_no_findings_and_stay_as_they_are() -> None:
    documents = (Document("d", "Tickets about billing go to the second floor."),)
    result = audit(
        SORT, CLEAN, documents, readers=Readers("english", ("en",), [Limit(100, "the model", "Shorten them.")])
    )
    assert result == Audited(tuple(CLEAN), (), documents, {}, ())
    refuse_hopeless(result.findings)


def test_findings_are_the_same_every_time() -> None:
    examples = labelled(*["a"] * 50, "b", "c")
    assert audit(SORT, examples) == audit(SORT, examples)


def test_case_and_spaces_make_no_second_label() -> None:
    examples = labelled(*["billing", "delivery"] * 30, "Billing", "delivery ")
    result = audit(SORT, examples)
    assert {e.target for e in result.examples} == {"billing", "delivery"}
    assert result.spellings == {"Billing": "billing", "delivery ": "delivery"}
    assert only(result.findings, "label_variants").rows == ("61", "62")
    assert "rare_labels" not in codes(result)


def test_labels_are_kept_apart_where_the_client_says_so() -> None:
    examples = labelled(*["billing", "delivery"] * 30, "Billing")
    result = audit(SORT, examples, accept=["label_variants"])
    assert result.examples == tuple(examples)
    assert result.spellings == {}
    finding = only(result.findings, "label_variants")
    assert (finding.severity, finding.rows) == ("info", ("61",))
    assert "--accept label_variants" in finding.action


def test_the_test_set_is_respelt_like_the_examples() -> None:
    test = [Example("t", "new ticket", ("BILLING",))]
    result = audit(SORT, CLEAN, test=test)
    assert result.test[0].targets == ("billing",)
    assert only(result.findings, "label_variants").rows == ("t (test set)",), "and that is told"


def test_spellings_of_free_text_stay_as_they_are() -> None:
    examples = labelled(*["billing", "Billing"] * 30)
    result = audit(WRITE, examples)
    assert (result.examples, codes(result)) == (tuple(examples), [])


LEAK = Document("faq", f"Q: {CLEAN[0].input}? A: billing")
FACT = Document("fact", "Billing is on the second floor.")


def test_documents_that_leak_are_left_out() -> None:
    result = audit(SORT, CLEAN, [LEAK, FACT])
    assert result.documents == (FACT,)
    assert only(result.findings, "leak_examples_documents").rows == ("faq",)


def test_documents_that_leak_a_row_of_the_test_set_are_left_out() -> None:
    finding = only(audit(SORT, CLEAN[1:], [LEAK, FACT], test=CLEAN[:1]).findings, "leak_examples_documents")
    assert finding.rows == ("faq",)
    assert "1 (test set)" in finding.message


def test_documents_that_leak_are_kept_where_the_client_says_so() -> None:
    result = audit(SORT, CLEAN, [LEAK, FACT], accept=["leak_examples_documents"])
    assert result.documents == (LEAK, FACT)
    assert only(result.findings, "leak_examples_documents").severity == "info"


def test_examples_that_the_test_set_repeats_are_reported() -> None:
    test = [Example("t", CLEAN[3].input.upper(), ("delivery",))]
    assert only(audit(SORT, CLEAN, test=test).findings, "duplicate_rows").rows == ("4",)


def test_a_test_set_is_looked_at_as_the_examples_are_but_for_its_size() -> None:
    task = Task("Read the total.", Kind.EXTRACTION, "json_field_f1")
    examples = [Example(str(i), f"invoice {i} of {i * 7}", (f'{{"total": {i}}}',), i) for i in range(60)]
    outputs = ["{'total': 1}", '{"total": 1}', '{"total": 2}', "n/a"] + ['{"total": 3}'] * 30
    inputs = ["one receipt", "the same", "The same", "..."] + [f"receipt {i * 13}" for i in range(30)]
    test = [Example(f"t{i}", text, (output,), i) for i, (text, output) in enumerate(zip(inputs, outputs, strict=True))]
    findings = audit(task, examples, test=test).findings
    assert [(f.code, f.rows) for f in findings] == [
        ("conflicting_labels", ("t1 (test set)", "t2 (test set)")),
        ("empty_input", ("t3 (test set)",)),
        ("empty_output", ("t3 (test set)",)),
        ("invalid_json_output", ("t0 (test set)", "t3 (test set)")),
    ]
    assert all(f.message.startswith("Test set: ") for f in findings)


def test_a_test_set_of_one_label_is_told_and_measured_all_the_same() -> None:
    test = [Example(f"t{i}", f"letter {i * 13} on {i}", ("billing",), i) for i in range(30)]
    result = audit(SORT, CLEAN, test=test)
    assert only(result.findings, "single_label").severity == "warning"
    refuse_hopeless(result.findings)
    one = [Example(e.id, e.input, ("billing",), e.row) for e in CLEAN]
    assert [f.severity for f in audit(SORT, one, test=test).findings if f.code == "single_label"] == ["error"]


def test_a_foreign_language_matters_only_to_an_embedder_whose_languages_are_known() -> None:
    german = [
        Example(str(i), f"Ich habe meine {i}. Rechnung leider immer noch nicht bekommen", (label,), i)
        for i, label in enumerate(["Geld", "Ware"] * 30)
    ]
    known = audit(SORT, german, readers=Readers("minilm", ("en",)))
    assert only(known.findings, "language_mismatch").count == 60
    assert "language_mismatch" not in codes(audit(SORT, german))


def test_what_is_accepted_is_no_warning_but_stays_told() -> None:
    warning = Finding("duplicate_rows", "warning", 1, ("1",), "One row.", "Kept.")
    (told,) = accepted([warning], ["duplicate_rows"])
    assert (told.severity, told.count, told.rows, told.message) == ("info", 1, ("1",), "One row.")
    assert accepted([warning], ["rare_labels"]) == [warning]


def test_what_is_hopeless_cannot_be_accepted() -> None:
    findings = audit(SORT, labelled(*["a"] * 10), accept=list(Code)).findings
    with pytest.raises(RequestError, match=r"10 usable examples are too few.* Label more examples"):
        refuse_hopeless(findings)


def test_a_refusal_tells_of_sheets_that_were_not_read() -> None:
    sheet = Finding("column_mapping", "warning", 1, ("Data",), "Not read: Data.", "Move it to the front.")
    found = [sheet, *audit(SORT, labelled(*["a"] * 10)).findings]
    with pytest.raises(RequestError, match=r"are needed\. Not read: Data\. Move it to the front\. Label more"):
        refuse_hopeless(found)


def test_warnings_are_not_refused() -> None:
    findings = audit(SORT, [*labelled(*["a"] * 40, "b"), Example("x", CLEAN[0].input, ("b",))]).findings
    assert {f.severity for f in findings} == {"warning"}
    refuse_hopeless(findings)


def test_every_finding_says_what_was_done() -> None:
    examples = [*labelled(*["a"] * 30, "b", "A"), Example("x", CLEAN[0].input, ("b",))]
    findings = audit(SORT, examples, [LEAK, LEAK, FACT]).findings
    assert len(findings) > 4
    assert all(finding.message and finding.action for finding in findings)
