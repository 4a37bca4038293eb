"""What each metric counts as right, and how rows make a value."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from eval.errors import RequestError
from eval.metrics import METRICS, ScoredRow, errors_on_scale, get_metric, score_rows, secondary_metrics, words_held

labels = st.sampled_from(["red", "green", "blue", "navy blue"])


def score(name: str, output: str, *targets: str) -> float:
    return get_metric(name).row(output, targets).score


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_found_by_its_own_name_and_cites_a_source(name: str) -> None:
    metric = get_metric(name)
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert "\n" not in metric.source


def test_an_unknown_metric_lists_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"'bleurt'.*accuracy.*json_field_f1"):
        get_metric("bleurt")


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_answer_scores_one_and_takes_the_best_of_the_accepted(name: str) -> None:
    assert score(name, ' {"a":  1}\n', '{"a": 2}', '{"a": 1}') == 1


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=30, deadline=None)
@given(output=st.text(max_size=30), target=st.text(max_size=30))
def test_scores_lie_between_zero_and_one_for_any_text(name: str, output: str, target: str) -> None:
    assert 0 <= score(name, output, target) <= 1


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_no_rows_is_not_a_number(name: str) -> None:
    assert np.isnan(get_metric(name).aggregate([]))


def test_labels_must_be_exact_but_for_whitespace() -> None:
    assert score("accuracy", " navy \n blue", "navy blue") == 1
    assert score("accuracy", "Navy blue", "navy blue") == 0


def test_an_empty_answer_is_a_problem_only_where_text_was_wanted() -> None:
    assert get_metric("accuracy").row(" ", ["red"]).problem == "empty answer"
    assert get_metric("token_f1").row("", [""]).problem is None


@given(st.lists(st.tuples(labels, labels | st.just("other")), min_size=1, max_size=40))
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    targets, outputs = [target for target, _ in pairs], [output for _, output in pairs]
    metric = get_metric("macro_f1")
    value = metric.aggregate(score_rows(metric, outputs, [(target,) for target in targets]))
    expected = f1_score(targets, outputs, labels=sorted(set(targets)), average="macro", zero_division=0)
    assert value == pytest.approx(expected)


@settings(max_examples=50)
@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_macro_f1_of_a_weighting_is_that_of_the_repeated_rows(pairs: list[tuple[str, str]], random: object) -> None:
    metric = get_metric("macro_f1")
    rows = score_rows(metric, [output for output, _ in pairs], [(target,) for _, target in pairs])
    weights = np.array([random.randint(0, 3) for _ in rows], dtype=float)  # type: ignore[attr-defined]
    weights[0] += 1
    repeated = [row for row, weight in zip(rows, weights, strict=True) for _ in range(int(weight))]
    value = metric.of_sums(metric.summands(rows) @ weights[:, None])[0]
    assert value == pytest.approx(metric.aggregate(repeated))


def test_macro_f1_counts_any_accepted_answer_as_the_preferred_one() -> None:
    metric = get_metric("macro_f1")
    rows = score_rows(metric, ["crimson", "blue"], [("red", "crimson"), ("blue",)])
    assert metric.aggregate(rows) == 1


def test_macro_f1_does_not_count_an_unusable_answer_as_a_hit() -> None:
    assert get_metric("macro_f1").aggregate([ScoredRow("red", ("red",), 0.0)]) == 0


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("The cat, sat!", "a cat sat", 1),
        ("cat", "the cat sat", 2 / 3),
        ("", "cat", 0),
        ("", "", 1),
        ("something", "", 0),
        ("Unanswerable.", "unanswerable", 1),
        ("A", "A.", 1),
        ("", "A", 0),
        ("+", "-", 0),
        ("“Paris”", "Paris", 1),
        ("«Москва»", "Москва", 1),
        ("¿Madrid?", "Madrid", 1),
        ("القاهرة؟", "القاهرة", 1),
        ("باريس، لندن", "باريس لندن", 1),
        ("Αθήνα·", "Αθήνα", 1),
        ("the Queen’s Gambit", "Queen's Gambit", 1),
        ("2010–2015", "2010-2015", 1),
        ("−5", "-5", 1),
        ("well-known", "wellknown", 1),
        ("well-known", "well known", 0),
        ("well‐known", "well known", 0),
        ("iPhone、iPad", "iPhone iPad", 1),
        ("5 €", "5", 2 / 3),
    ],
)
def test_token_f1_follows_squad_and_survives_its_empty_cases(output: str, target: str, expected: float) -> None:
    assert score("token_f1", output, target) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("5 °C", "-5 °C", 0.5),
        ("−5°C", "-5°C", 1),
        ("–5 °C", "-5 °C", 1),
        ("–$5", "$-5", 1),
        ("EUR 123456", "EUR 1234.56", 0.5),
        ("1.234,50 EUR.", "EUR 1,234.5", 1),
        ("1,5 kg", "15 kg", 0.5),
        ("温度12.5度", "温度125度", 0.75),
        ("1,200", "1200", 1),
        ("2010-15", "2010–15", 1),
        ("5.4.2026", "5/4/2026", 1),
        ("version 3.11.2.", "version 3.11.2", 1),
        ("0.250", "0.25", 1),
        ("0,125 l", "0.125 l", 1),
        ("1,234.500", "1234.5", 1),
        ("1.234,567 km", "1234.567 km", 1),
        ("10.000", "10,000", 1),
        ("$50", "-$50", 0),
        ("−€50", "-€50.00", 1),
        ("5%", ".5%", 0),
        (".50 %", "0.5 %", 1),
        ("3.54 kg", "3.5-4 kg", 0.4),
        ("1,5; 2,5", "1,5;2,5", 1),
        ("1990–1995", "1990-1995", 1),
        ("555-1234", "5551234", 1),
        ("510 days", "5-10 days", 0.4),
        ("5 to 10 days", "5–10 days", 6 / 7),
        ("5 % - 10 %", "5%-10%", 1),
        ("$5 to $10", "$5-$10", 0.8),
        ("温度5到10度", "温度5-10度", 10 / 11),
        ("24/7", "24-7", 1),
        ("5/10/2024", "5-10-2024", 1),
        ("03-12", "0312", 1),
        ("No. 5", "no 5", 1),
        ("49.90 € a year", "€49.90 a year", 1),
        ("49.90€", "€49.9", 1),
        ("49.90 $", "$49.90", 1),
        ("£5", "€5", 0.5),
        ("-€5", "€-5", 1),
        ("5 ₫", "₫5", 1),
    ],
)
def test_token_f1_takes_numbers_with_their_sign_and_decimals(output: str, target: str, expected: float) -> None:
    assert score("token_f1", output, target) == pytest.approx(expected)


def test_figures_without_end_before_a_dash_are_scored_too() -> None:
    assert score("token_f1", "1" * 5000 + "-2 days", "1-2 days") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("24968.1", "24968.10", 1),
        ("12.0", "12", 1),
        ("49.90  EUR", "49.9 EUR", 1),
        ("-5", "5", 0),
        ("0101.2", "0101.20", 0),
        ("101", "0101", 0),
        ("1,200", "1200", 0),
        ("€49.9", "€49.90", 1),
        ("$5", "$5.00", 1),
        ("12.5%", "12.50 %", 1),
        ("-£5.0", "-£5", 1),
        ("US$ 5", "US$5.00", 1),
        ("£5", "€5", 0),
        ("€5", "€50", 0),
        ("5", "5%", 0),
        ("v1.10", "v1.1", 0),
    ],
)
def test_exact_match_compares_plain_numbers_as_numbers(output: str, target: str, expected: float) -> None:
    assert score("exact_match", output, target) == expected
    assert score("accuracy", output, target) == 0


def test_rouge_l_is_that_of_the_rouge_score_package_on_english() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    target, output = "The cats were running over 12 hills.", "A cat runs over the hills, 12 of them"
    expected = RougeScorer(["rougeL"], use_stemmer=True).score(target, output)["rougeL"].fmeasure
    assert score("rougeL", output, target) == pytest.approx(expected)


def test_rouge_l_sees_words_beyond_ascii() -> None:
    assert score("rougeL", "кошка спит", "кошка ест") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("output", "target"),
    [("लड़का", "लड़की"), ("नदी के पास", "नाद का पूस"), ("দিন", "দান"), ("மலை", "மாலா"), ("ĝa", "g\u0302e")],
)
def test_rouge_l_sees_the_vowels_that_are_marks_on_a_letter(output: str, target: str) -> None:
    assert score("rougeL", output, target) == 0
    assert score("rougeL", f"{output} {target}", target) > 0


def test_overlap_metrics_rank_a_near_answer_above_a_far_one() -> None:
    for name in ("rougeL", "gleu", "chrf", "chrf_layout", "token_f1"):
        near, far = (
            score(name, "reset your password first", "reset the password first"),
            score(name, "no", "yes we can"),
        )
        assert near > far, name


def test_chrf_with_layout_sees_operators_line_ends_and_indentation() -> None:
    code = "def f(x):\n    if x > 0:\n        return x\n    return -x"
    assert score("chrf_layout", f"\n{code}  \n", code) == 1
    assert score("chrf_layout", code.replace(" > ", "  >  "), code) == 1
    for wrong in (code.replace("    ", ""), " ".join(code.split()), code.replace(">", "<")):
        assert score("chrf_layout", wrong, code) < 0.95, wrong
    for indented in ("", "\n"):
        assert score("chrf", code.replace("    ", indented), code) == 1


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ('{"a": 6, "b": " x  y "}', '{"b": "x y", "a": "6"}', 1),
        ('{"a": 6.50}', '{"a": "6.5"}', 1),
        ('{"a": "007"}', '{"a": 7}', 0),
        ('{"a": 5}', '{"a": "5.00"}', 1),
        ('{"a": 5.00}', '{"a": "5.00"}', 1),
        ('{"a": "5.00"}', '{"a": 5.0}', 1),
        ('{"a": "1.10"}', '{"a": "1.1"}', 0),
        ('{"a": "2.0"}', '{"a": "2"}', 0),
        ('{"a": 1.10}', '{"a": 1.1}', 1),
        ('{"a": [6]}', '{"a": ["6", "6.0"]}', 2 / 3),
        ('{"a": [{"v": 6, "n": "x"}]}', '{"a": [{"v": "6.0", "n": "x"}]}', 1),
        ('{"a": "X"}', '{"a": "x"}', 0),
        ('{"a": 1}', '{"a": 1, "b": 2}', 2 / 3),
        ('{"a": {"b": 1, "c": 2}}', '{"a": {"b": 1, "c": 3}}', 0.5),
        ('{"a": ["x", "y", "y"]}', '{"a": ["y", "x", "y"]}', 1),
        ('{"a": ["x", "x"]}', '{"a": ["x"]}', 2 / 3),
        ('{"a": []}', '{"a": ["x"]}', 0),
        ('{"a": []}', '{"a": []}', 1),
        ('{"a": ["x"]}', '{"a": []}', 0),
        ('{"a": "x", "b": []}', '{"a": "y", "b": []}', 0),
        ('{"a": "x"}', '{"a": "x", "b": [], "c": {}}', 1),
        ('{"a": null}', '{"a": null}', 1),
        ("{}", "{}", 1),
        ("{}", '{"a": 1}', 0),
        ("[1]", '{"a": 1}', 0),
    ],
)
def test_json_fields_are_compared_by_path_and_value(output: str, target: str, expected: float) -> None:
    assert score("json_field_f1", output, target) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("from: Rome\nto: Oslo\ndate: 3 May", "from: Oslo\nto: Rome\ndate: 3 May", 1 / 3),
        (" to:  Rome\n\nfrom : Oslo", "from: Oslo\nto: Rome", 1),
        ("from: Oslo", "from: Oslo\nto: Rome", 2 / 3),
        ("from: Oslo to: Rome", "from: Oslo\nto: Rome", 0),
        ("from: Oslo\nto:", "from: Oslo", 1),
        ("from: Oslo\nto: null", "from: Oslo\nto: Rome", 2 / 3),
        ("Here it is:\nfrom: Oslo", "from: Oslo", 1),
        ("It is so.\nfrom: Oslo", "from: Oslo", 2 / 3),
        ("item: a\nitem: a", "item: a", 2 / 3),
        ("price: €49.9\nat: 10:30", "price: € 49.90\nat: 10:30", 1),
        ("version: v1.10", "version: v1.1", 0),
        ("姓名：李", "姓名: 李", 1),
        ("", "from: Oslo", 0),
    ],
)
def test_lines_of_names_and_values_are_compared_line_by_line(output: str, target: str, expected: float) -> None:
    assert score("field_f1", output, target) == pytest.approx(expected)


@pytest.mark.parametrize("output", ["", "not json", '{"a": 1', '{"a": NaN}', "[" * 100_000, '{"a": 1} trailing'])
def test_invalid_json_scores_zero_and_says_so(output: str) -> None:
    result = get_metric("json_field_f1").row(output, ['{"a": 1}'])
    assert (result.score, result.problem) == (0, "invalid JSON")


def test_a_target_that_is_no_json_is_named_as_the_problem() -> None:
    assert get_metric("json_field_f1").row("{}", ["n/a"]).problem == "the target is invalid JSON"


json_objects = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(json_objects, json_objects)
def test_json_f1_is_symmetric_and_one_for_the_same_object(first: object, second: object) -> None:
    a, b = json.dumps(first), json.dumps(second)
    assert score("json_field_f1", a, json.dumps(first, indent=2)) == 1
    assert score("json_field_f1", a, b) == pytest.approx(score("json_field_f1", b, a))


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("accuracy", {"macro_f1"}),
        ("macro_f1", {"accuracy"}),
        ("token_f1", {"exact_match"}),
        ("rougeL", {"token_f1"}),
        ("exact_match", {"rougeL"}),
        ("chrf_layout", {"exact_match"}),
        ("json_field_f1", {"valid_json", "exact_match"}),
        ("field_f1", {"exact_match"}),
    ],
)
def test_each_metric_brings_its_companions(name: str, others: set[str]) -> None:
    values = secondary_metrics(name, ['{"a": 1}', "x"], [('{ "a":1}',), ('{"a": 2}',)])
    assert set(values) == others
    assert secondary_metrics(name, [], []) == {}


TARIFFS = [(f"A parcel of {i} kg costs {i * 3}.50 EUR.",) for i in range(2, 12)]


@pytest.mark.parametrize(
    ("output", "is_right"),
    [
        ("A parcel of {0} kg costs {1}.50 EUR.", True),
        ("{0}kg: {1}.5 EUR", True),
        ("{1}.50 EUR for {0} kg, that is {1}.50", True),
        ("A parcel of {0} kg costs {1}50 EUR.", False),
        ("A parcel of {0} kg costs 1 EUR.", False),
        ("A parcel of {0} kg costs {1}.50 EUR, or 1.", False),
        ("A parcel costs {1}.50 EUR.", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("name", ["rougeL", "token_f1", "gleu", "chrf"])
def test_texts_that_differ_in_their_numbers_are_told_by_these(name: str, output: str, is_right: bool) -> None:
    outputs = [output.format(i, i * 3) for i in range(2, 12)]
    assert secondary_metrics(name, outputs, TARIFFS)["numbers_exact_match"] == is_right


def test_numbers_are_held_against_each_accepted_answer_where_one_is_asked_for() -> None:
    targets = [*TARIFFS, ("It is free.",), ("12 days", "2 weeks")]
    outputs = [*["A parcel"] * 10, "It is free.", "in 2 weeks"]
    assert secondary_metrics("rougeL", outputs, targets)["numbers_exact_match"] == pytest.approx(1 / 11)


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("rougeL", [*TARIFFS, *[("It is free.",)] * 4]),  # too few hold numbers
        ("rougeL", [("It takes 3 days.",)] * 10),  # always the same
        ("exact_match", TARIFFS),
        ("json_field_f1", [(f'{{"a": {i}}}',) for i in range(10)]),
    ],
)
def test_numbers_are_not_told_apart_where_they_do_not_decide(name: str, targets: list[tuple[str]]) -> None:
    assert "numbers_exact_match" not in secondary_metrics(name, [t for (t,) in targets], targets)


def test_json_companions_count_valid_and_fully_right_answers() -> None:
    values = secondary_metrics("json_field_f1", ['{"b":2, "a":1}', '{"a": 0}', "x"], [('{"a": 1, "b": 2}',)] * 3)
    assert values == {"valid_json": pytest.approx(2 / 3), "exact_match": pytest.approx(1 / 3)}


def test_a_json_list_is_fully_right_only_if_what_belongs_together_is() -> None:
    target = '{"items": [{"name": "bolt", "qty": 100}, {"name": "engine", "qty": 1}]}'
    swapped = '{"items": [{"name": "bolt", "qty": 1}, {"name": "engine", "qty": 100}]}'
    reordered = '{"items":[{"qty":1,"name":"engine"},{"qty":100,"name":"bolt"}]}'
    values = secondary_metrics("json_field_f1", [swapped, reordered], [(target,), (target,)])
    assert values == {"valid_json": 1, "exact_match": 0.5}


def test_each_sign_of_a_script_without_spaces_is_a_word() -> None:
    assert score("token_f1", "北京。", "北京") == 1
    assert score("token_f1", "上海", "北京") == 0
    assert 0.5 < score("token_f1", "东京都", "东京") < 1
    assert score("rougeL", "我们明天去北京开会", "我们明天去上海开会") == pytest.approx(7 / 9)
    assert score("gleu", "我们明天去北京开会", "我们明天去上海开会") == pytest.approx(17 / 30)
    assert score("gleu", "上海", "北京") == 0
    assert score("gleu", "it's in 北京", "it's in 北 京") == 1
    assert words_held("法国位于欧洲，其首都为巴黎。", ["巴黎"]) == 1
    assert words_held("กรุงเทพเป็นเมืองหลวง", ["กรุงเทพ"]) == 1
    assert score("token_f1", "ភ្នំពេញ", "ភ្នំពេញ។") > 0.9


def test_a_danda_is_no_part_of_a_word() -> None:
    assert score("token_f1", "दिल्ली में है।", "दिल्ली में है") == 1


STARS = [("1",), ("2",), ("3",), ("4",), ("5",)]


def test_answers_on_a_scale_are_told_by_how_far_off_they_are() -> None:
    near = errors_on_scale(["2", "1", "4", "5", " 4 "], STARS)
    far = errors_on_scale(["5", "5", "1", "1", "1"], STARS)
    assert (near["mean_absolute_error"], near["within_one"]) == (1.0, 1.0)
    assert (far["mean_absolute_error"], far["within_one"]) == (pytest.approx(16 / 5), 0.0)
    accepted = errors_on_scale(["3", "1", "1"], [("1", "2"), ("2",), ("3",)])
    assert accepted["mean_absolute_error"] == pytest.approx(4 / 3)


def test_an_end_of_the_scale_that_the_rows_lack_is_as_near_as_it_is() -> None:
    """No test row has one star, of the examples some have."""
    rows, stars = STARS[1:], [label for (label,) in STARS]
    assert errors_on_scale(["1", "3", "4", "5"], rows, stars)["mean_absolute_error"] == 1 / 4
    assert errors_on_scale(["1", "3", "4", "5"], rows)["mean_absolute_error"] == 3 / 4
    assert errors_on_scale(["40", "60"], [("50",), ("60",)]) == {}
    hundred = list(map(str, range(0, 101, 1)))
    assert errors_on_scale(["40", "60"], [("50",), ("60",)], hundred)["mean_absolute_error"] == 5
    assert errors_on_scale(["2", "3", "4", "5"], rows, [*stars, "none"]) == {}


def test_what_is_no_label_of_a_scale_is_as_far_off_as_can_be() -> None:
    outputs = ["", "five", "17", "4.5", "3"]
    assert errors_on_scale(outputs, STARS)["mean_absolute_error"] == pytest.approx((4 + 3 + 2 + 3 + 2) / 5)


@pytest.mark.parametrize("labels", ["1.0 2.0 3.0 4.0 5.0", "1 2 4 5", "0 2 3 4 5 6 7 8 9 10", "-1.0 0.0 1.0"])
def test_a_scale_may_be_written_as_data_frames_do_and_lack_a_level(labels: str) -> None:
    rows = [(label,) for label in labels.split()]
    steps = errors_on_scale([row[0] for row in rows[1:] + rows[-1:]], rows)
    whole = [float(row[0]) for row in rows]
    assert steps["mean_absolute_error"] == pytest.approx((whole[-1] - whole[0]) / len(whole))


@pytest.mark.parametrize("labels", ["1 2 4 5", "1.0 2.0 4.0 5.0", "1 1.5 2.5 3"])
def test_an_answer_on_a_level_that_the_rows_lack_is_as_near_as_it_is(labels: str) -> None:
    rows = [(label,) for label in labels.split()]
    missing = {"1 2 4 5": "3", "1.0 2.0 4.0 5.0": "3.0", "1 1.5 2.5 3": "2"}[labels]
    steps = errors_on_scale([rows[0][0], missing, missing, rows[3][0]], rows)
    step = 0.5 if "1.5" in labels else 1
    assert (steps["mean_absolute_error"], steps["within_one"]) == (pytest.approx(step * 2 / 4), 1.0)
    beyond = errors_on_scale([rows[0][0], "3.25", "9", rows[3][0]], rows)
    assert beyond["within_one"] == 0.5, "neither is a level"


@pytest.mark.parametrize("labels", ["3.0 3.5 4.0 4.5 5.0", "3 3.5 4 4.5 5", "-0.5 0 0.5 1 1.5"])
def test_half_a_star_is_a_step_where_there_are_halves(labels: str) -> None:
    rows = [(label,) for label in labels.split()]
    steps = errors_on_scale([row[0] for row in rows[1:] + rows[-1:]], rows)
    assert (steps["mean_absolute_error"], steps["within_one"]) == (pytest.approx(0.5 * 4 / 5), 1.0)


@pytest.mark.parametrize("labels", ["1/5 2/5 3/5 4/5 5/5", "1% 2% 3% 4% 5%", "1,0 2,0 3,0 4,0 5,0"])
def test_a_scale_may_have_a_decimal_comma_or_the_same_ending_everywhere(labels: str) -> None:
    rows = [(label,) for label in labels.split()]
    assert errors_on_scale([rows[1][0], *labels.split()[1:]], rows) == {"mean_absolute_error": 0.2, "within_one": 1.0}


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ("0.0 0.2 1.4 3.6 5.0", 0.2),
        ("0 5 10 40 85 100", 5),
        ("0% 10% 20% 70% 100%", 10),
        ("2,50 2,75 4,00 8,99 12,10", 0.25),
        ("15 30 45 60 90 120 180 240", 15),
    ],
)
def test_numbers_that_lie_anyhow_have_a_mean_error_in_their_own_unit(labels: str, error: float) -> None:
    first, second, *others = labels.split()
    rows = [(label,) for label in labels.split()]
    off = errors_on_scale([second, second, *others], rows)
    assert off == {"mean_absolute_error": pytest.approx(error / len(rows))}
    assert errors_on_scale([first, second, *others], rows)["mean_absolute_error"] == 0
    far = errors_on_scale(["no number", second, *others], rows)["mean_absolute_error"]
    assert far == errors_on_scale([others[-1], second, *others], rows)["mean_absolute_error"]


@pytest.mark.parametrize(
    "labels",
    [
        "200 301 404 500 503", "10 20 30", "1/2 3/4 1/4 2/3 4/5 1/5", "1,200 1,300 2,500 3,100 4,800",
        "5% 10% 20 30 40", "01 05 10 20 30", "2024-01 2024-05 2024-07 2024-09 2024-11", "1.0.1 1.0.2 1.1.0 2.0.0 2.1.0",
    ],
)  # fmt: skip
def test_codes_and_other_figures_are_no_quantities(labels: str) -> None:
    assert errors_on_scale(labels.split(), [(label,) for label in labels.split()]) == {}


@pytest.mark.parametrize(
    "labels", ["0 1", "1 2 4", "a b c", "01 02 03", "1 2 3.0", "-0 1 2", "1 3 5", "1.0 1.5", "1.1 1.2 1.3"]
)
def test_other_labels_are_no_scale(labels: str) -> None:
    rows = [(label,) for label in labels.split()]
    assert errors_on_scale(labels.split(), rows) == {}
    assert errors_on_scale(["-1", "0", "1"], [("-1",), ("0",), ("1",)])
