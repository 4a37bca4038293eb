"""What counts as one label, what is only suspected, and what must never be."""

from __future__ import annotations

import random
from time import process_time

import pytest

from eval.audit.spellings import (
    label_form,
    label_variants,
    merge_spellings,
    remarked,
    respelt,
    spellings,
    suspected_typos,
)
from eval.contracts import Example


def labelled(counts: dict[str, int], text: str = "a customer's message") -> list[Example]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [Example(str(i), f"{text} {i}", (label,), i) for i, label in enumerate(labels, 1)]


@pytest.mark.parametrize(
    "variant", ["Billing", "BILLING", " billing", "billing\u00a0", "ｂｉｌｌｉｎｇ", "bill\u00ading"]
)
def test_case_spaces_and_unicode_form_are_merged_into_the_commonest(variant: str) -> None:
    examples = labelled({variant: 2, "billing": 5, "delivery": 5})
    assert spellings(examples) == {variant: "billing"}
    assert {e.target for e in merge_spellings(examples, spellings(examples))} == {"billing", "delivery"}


@pytest.mark.parametrize(("capitals", "small"), [("GİRİŞ", "giriş"), ("SATIŞ", "satış"), ("İade", "iade")])
def test_turkish_capitals_are_the_same_letters(capitals: str, small: str) -> None:
    assert spellings(labelled({capitals: 2, small: 5, "kargo": 5})) == {capitals: small}


@pytest.mark.parametrize("variant", ["lost  card", "lost_card", "Lost-Card", "lost\tcard"])
def test_words_may_be_joined_in_any_way(variant: str) -> None:
    assert spellings(labelled({variant: 1, "lost card": 9})) == {variant: "lost card"}


@pytest.mark.parametrize(("one", "other"), [("-1", "1"), ("a 1", "a1"), ("1-2", "1 2"), ("c", "c++"), ("1_0", "10")])
def test_figures_and_signs_are_never_merged(one: str, other: str) -> None:
    assert spellings(labelled({one: 1, other: 9})) == {}


def test_the_clients_own_spelling_wins_over_the_commonest() -> None:
    assert spellings(labelled({"Billing": 1, "billing": 9}), ["Billing"]) == {"billing": "Billing"}
    assert spellings(labelled({"BILLING": 1, "billing": 9}), ["Billing"]) == {
        "BILLING": "Billing",
        "billing": "Billing",
    }


def test_labels_that_the_client_states_are_different() -> None:
    assert spellings(labelled({"Polish": 5, "polish": 9}), ["Polish", "polish"]) == {}


def test_merging_keeps_each_accepted_answer_once() -> None:
    examples = [Example("1", "x", ("Yes", "yes", "no")), *labelled({"yes": 3})]
    assert merge_spellings(examples, spellings(examples))[0].targets == ("yes", "no")


def test_another_systems_outputs_are_respelt_where_they_are_labels() -> None:
    examples = labelled({"Card lost": 3, "other": 3})
    assert respelt(["card  LOST", "Other", "unknown", ""], examples) == ("Card lost", "other", "unknown", "")


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("recieved_payment", "received_payment"),
        ("delivry", "delivery"),
        ("deliveryy", "delivery"),
        ("card paymnet", "card payment"),
        ("card/arrival", "card_arrival"),
        ("cardarrival", "card_arrival"),
        ("complaint.", "complaint"),
    ],
)
def test_a_slip_in_a_rare_label_is_suspected(typo: str, meant: str) -> None:
    assert suspected_typos(labelled({meant: 20, typo: 2, "something else": 20})) == {typo: meant}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("class_1", "class_2"), ("v1", "v2"), ("-1", "1"), ("1.5", "15"), ("level 10", "level 100"), ("2020", "2021"),
        ("get_card", "set_card"), ("positive", "not positive"), ("card_payment_fee_charged", "cash_withdrawal_charge"),
        ("male", "female"), ("inflow", "outflow"), ("increase", "decrease"), ("low", "lot"), ("form", "from"),
        ("C", "C++"), ("import", "export"), ("A", "B"), ("top_up_by_card_charge", "top_up_by_bank_transfer_charge"),
        ("yes", "no"), ("pending_top_up", "pending_transfer"), ("u.s.", "u.k."),
    ],
)  # fmt: skip
def test_labels_that_look_alike_are_not_suspected(one: str, other: str) -> None:
    assert suspected_typos(labelled({one: 20, other: 2})) == {}
    assert suspected_typos(labelled({one: 2, other: 20})) == {}


def test_a_word_that_inputs_use_is_no_typo() -> None:
    counts = {"unlock_card": 20, "unblock_card": 2}
    assert suspected_typos(labelled(counts)) == {"unblock_card": "unlock_card"}
    assert suspected_typos(labelled(counts, "please unblock it")) == {}


def test_a_word_that_another_label_uses_is_no_typo() -> None:
    assert suspected_typos(labelled({"unlock_card": 20, "unblock_card": 2, "unblock_phone": 9})) == {}


def test_a_label_that_is_not_much_rarer_is_no_typo() -> None:
    assert suspected_typos(labelled({"delivery": 20, "delivry": 7})) == {}


def test_a_label_that_the_client_states_is_no_typo() -> None:
    assert suspected_typos(labelled({"delivery": 20, "delivry": 2}), ["delivery", "delivry"]) == {}


def test_of_several_labels_that_may_be_meant_the_commonest_is_named() -> None:
    counts = {"card delivery": 20, "curd delivery": 9, "cards delivery": 30, "card delivry": 2}
    assert suspected_typos(labelled(counts)) == {"card delivry": "card delivery"}
    assert suspected_typos(labelled({"delivers": 12, "deliverd": 30, "deliver": 4})) == {"deliver": "deliverd"}


def test_thousands_of_labels_are_compared_in_a_second_or_two() -> None:
    rng = random.Random(0)
    names = ["".join(rng.choices("abcdefghijklmnop", k=8)) + rng.choice((" payment", "")) for _ in range(3000)]
    counts = {name: 1 if place % 2 else 5 for place, name in enumerate(names)} | {"delivery": 20, "delivry": 2}
    examples = labelled(counts)
    start = process_time()
    assert suspected_typos(examples) == {"delivry": "delivery"}
    assert process_time() - start < 4


def test_merged_spellings_and_suspected_typos_are_told_apart() -> None:
    examples = labelled({"delivery": 20, "Delivery": 1, "delivry": 1})
    merged, suspected = label_variants(examples, spellings(examples))
    assert (merged.rows, suspected.rows) == (("21",), ("22",))
    assert "'Delivery' for 'delivery'" in merged.message
    assert "'delivry' for 'delivery'" in suspected.message
    assert "--accept label_variants" in merged.action
    assert suspected.action.startswith("Kept")


def test_whole_numbers_are_one_label_however_a_worksheet_writes_them() -> None:
    assert label_form("1.0") == label_form("1") == "1"
    assert label_form("1.5") != label_form("1")
    assert label_form("1.0.0") != label_form("1")


def test_labels_that_the_task_does_not_state_are_told() -> None:
    rows = [Example(str(i), f"text {i}", (("billing", "legal")[i % 2],)) for i in range(8)]
    (finding,) = label_variants(rows, {}, ("billing", "returns"))
    assert (finding.count, finding.rows) == (4, ("1", "3", "5", "7"))
    assert "4 rows have labels that the task file does not state: 'legal'" in finding.message
    assert label_variants(rows, {}) == label_variants(rows, {}, ("billing", "legal")) == []


def test_an_output_that_is_a_label_stays_as_it_is() -> None:
    examples = [Example("1", "a", ("us",)), Example("2", "b", ("US",))]
    assert respelt(["us", "US", "Us"], examples)[:2] == ("us", "US")


@pytest.mark.parametrize(
    "label",
    [
        "Yes, up to the sum insured", "Yes - excess of 150 EUR applies", "yes (see exclusions)", "Yes: with an excess",
        "Yes. The policy says so.", "Yes – partly", "Yes (1) see there",
    ],
)  # fmt: skip
def test_a_label_with_a_remark_is_told_with_the_label_that_it_may_be(label: str) -> None:
    examples = labelled({"Yes": 20, "No": 20, label: 6})
    assert remarked(examples) == {label: "Yes"}
    (finding,) = label_variants(examples, {})
    assert (finding.code, finding.severity, finding.count) == ("label_variants", "warning", 6)
    assert f"1 label seems to be another label with a remark, in 6 rows: '{label}' for 'Yes'." in finding.message
    assert '"labels"' in finding.action
    assert label_variants(examples, {}, ("Yes", "No", label)) == []


@pytest.mark.parametrize(
    "label",
    [
        "Yesterday", "Yes, 2", "Yes > refund", "Yes/Maybe", "yes_card", "Yes no", "Yes-man", "Yes.man",
        "Maybe, see there", "Yes", "Yes, No",
    ],
)  # fmt: skip
def test_a_label_that_goes_on_otherwise_is_another(label: str) -> None:
    assert remarked(labelled({"Yes": 20, "No": 20, label: 6})) == {}


def test_a_remark_is_told_of_a_more_frequent_label_only() -> None:
    assert remarked(labelled({"Yes": 4, "No": 20, "Yes, partly": 3})) == {}
    assert remarked(labelled({"Yes": 20, "No": 20, "Yes, partly": 20})) == {}
    counts = {"Yes": 30, "No": 20, "Yes, partly": 10, "Yes, partly (see there)": 3}
    assert remarked(labelled(counts))["Yes, partly (see there)"] == "Yes, partly"


def test_joined_labels_have_no_remarks() -> None:
    counts = {"billing": 20, "login": 20, "billing, login": 5, "login, urgent": 5, "billing, urgent": 4}
    assert remarked(labelled(counts)) == {}


def test_a_label_with_a_remark_is_not_told_twice() -> None:
    examples = labelled({"Yes": 20, "No": 20, "Yes, partly": 6, "legal": 2})
    remark, unstated = label_variants(examples, {}, ("Yes", "No"))
    assert (remark.count, unstated.count) == (6, 2)
