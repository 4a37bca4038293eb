"""The harness shows inputs only, owns the clock, and keeps two kinds of failure apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pytest

from eval.contracts import NO_USAGE, Example, Latency, Outcome, Prediction, Usage
from eval.errors import InfrastructureError, LastingFailure
from eval.harness import (
    INFRASTRUCTURE,
    OUT_OF_TIME,
    STEADY_PASSES,
    STEADY_SECONDS,
    as_prediction_error,
    evaluate,
    evaluate_outputs,
    paired_fits,
    pool,
    scored_rows,
    steady,
    steps_off,
)
from eval.latency import measure_latency, measure_load, quantiles, typical_first
from eval.metrics import get_metric

ACCURACY = get_metric("accuracy")
EXAMPLES = [Example(f"{i:02}", f"text {i}", ("even" if i % 2 == 0 else "odd",)) for i in range(10)]


class Parity:
    """Answers each input by a function, and remembers the calls."""

    def __init__(self, answer: Callable[[str], Prediction], failures: int = 0) -> None:
        self.answer, self.failures = answer, failures
        self.calls: list[list[str]] = []

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        self.calls.append(list(inputs))
        if len(self.calls) <= self.failures:
            raise InfrastructureError("429 from the server")
        return [self.answer(text) for text in inputs]

    def save(self, folder: Path) -> None: ...


def right(text: str) -> Prediction:
    return Prediction("even" if int(text.split()[1]) % 2 == 0 else "odd", Usage(3, 1), first_token_seconds=0.1)


def test_inputs_are_shown_as_plain_strings_in_order() -> None:
    solution = Parity(right)
    evaluation = evaluate(solution, EXAMPLES, ACCURACY)
    assert solution.calls == [[e.input for e in EXAMPLES]]
    assert evaluation.scores == [1] * 10
    assert evaluation.secondary == {"macro_f1": 1}
    assert evaluation.usage == Usage(30, 10)


def test_chunks_follow_the_order_of_the_examples_and_report_progress() -> None:
    solution, seen = Parity(right), list[tuple[int, int]]()
    evaluate(solution, EXAMPLES, ACCURACY, chunk=4, on_progress=lambda done, total: seen.append((done, total)))
    assert [len(call) for call in solution.calls] == [4, 4, 2]
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_a_row_takes_its_share_of_its_batch() -> None:
    class Slow(Parity):
        def predict(self, inputs: Sequence[str]) -> list[Prediction]:
            sleep(0.02)
            return super().predict(inputs)

    evaluation = evaluate(Slow(right), EXAMPLES, ACCURACY, chunk=5)
    assert len({outcome.seconds for outcome in evaluation.outcomes[:5]}) == 1
    assert sum(outcome.seconds for outcome in evaluation.outcomes) == pytest.approx(evaluation.seconds)
    assert 0.04 <= evaluation.seconds < 0.5
    assert evaluation.rows_a_call == 5


def test_rows_that_were_not_asked_make_a_solution_no_quicker() -> None:
    class Slow(Parity):
        def predict(self, inputs: Sequence[str]) -> list[Prediction]:
            sleep(0.05)
            return super().predict(inputs)

    evaluation = evaluate(Slow(right), EXAMPLES, ACCURACY, chunk=4, deadline=perf_counter() + 0.06)
    assert evaluation.asked == 8
    assert evaluation.rows_a_call == 4
    assert evaluation.throughput == pytest.approx(8 / 0.1, rel=0.3)


def test_an_unusable_answer_scores_zero_and_says_why() -> None:
    overflow = Parity(lambda text: Prediction("even", error="the context overflowed"))
    evaluation = evaluate(overflow, EXAMPLES, ACCURACY)
    assert evaluation.scores == [0] * 10
    assert evaluation.outcomes[0].problem == "the context overflowed"
    assert evaluation.secondary == {"macro_f1": 0}
    assert ACCURACY.aggregate(scored_rows(evaluation.outcomes)) == 0


def test_the_metric_names_the_problem_of_an_answer() -> None:
    evaluation = evaluate(Parity(lambda text: Prediction("not json")), EXAMPLES, get_metric("json_field_f1"))
    assert evaluation.outcomes[0].problem == "invalid JSON"


def test_a_passing_failure_of_the_infrastructure_is_retried() -> None:
    solution = Parity(right, failures=2)
    assert evaluate(solution, EXAMPLES, ACCURACY, retry_waits=(0, 0)).scores == [1] * 10
    assert solution.calls[0] == solution.calls[2]


def test_a_failure_at_every_attempt_leaves_rows_unscored() -> None:
    evaluation = evaluate(Parity(right, failures=3), EXAMPLES, ACCURACY, chunk=5, retry_waits=(0, 0))
    assert [outcome.score for outcome in evaluation.outcomes] == [None] * 5 + [1] * 5
    assert evaluation.outcomes[0].problem == "429 from the server"


def test_a_marked_row_alone_is_asked_again_and_left_unscored() -> None:
    def flaky(text: str) -> Prediction:
        return Prediction("", error=f"{INFRASTRUCTURE}time-out") if text == "text 3" else right(text)

    solution = Parity(flaky)
    evaluation = evaluate(solution, EXAMPLES, ACCURACY, retry_waits=(0, 0))
    assert solution.calls[1:] == [["text 3"], ["text 3"]]
    assert (evaluation.outcomes[3].score, evaluation.outcomes[3].problem) == (None, "time-out")
    assert len(evaluation.scores) == 9


def test_what_asking_again_will_not_mend_is_asked_once() -> None:
    """So that a spending cap that is reached does not cost five seconds a chunk."""

    def capped(text: str) -> Prediction:
        return Prediction("", error=as_prediction_error(LastingFailure("the cap"))) if text == "text 3" else right(text)

    solution = Parity(capped)
    evaluation = evaluate(solution, EXAMPLES, ACCURACY, retry_waits=(60, 60))
    assert len(solution.calls) == 1
    assert (evaluation.outcomes[3].score, evaluation.outcomes[3].problem) == (None, "the cap")


def test_bugs_are_not_swallowed() -> None:
    class Broken(Parity):
        def predict(self, inputs: Sequence[str]) -> list[Prediction]:
            return super().predict(inputs)[1:]

    with pytest.raises(ValueError, match=r"Broken\.predict gave 9 answers to 10 inputs"):
        evaluate(Broken(right), EXAMPLES, ACCURACY)
    with pytest.raises(ZeroDivisionError):
        evaluate(Parity(lambda text: Prediction(str(1 // 0))), EXAMPLES, ACCURACY)


def test_no_chunk_begins_after_the_deadline() -> None:
    evaluation = evaluate(Parity(right), EXAMPLES, ACCURACY, deadline=perf_counter() - 1)
    assert {outcome.problem for outcome in evaluation.outcomes} == {OUT_OF_TIME}
    assert evaluation.scores == []
    assert evaluation.secondary == {}


def test_no_examples_make_an_empty_evaluation() -> None:
    assert evaluate(Parity(right), [], ACCURACY).outcomes == ()


def test_only_rows_scored_for_all_are_compared() -> None:
    whole = evaluate(Parity(right), EXAMPLES, ACCURACY)
    part = evaluate(Parity(right, failures=1), EXAMPLES[::-1], ACCURACY, chunk=4, retry_waits=())
    fits = paired_fits({"whole": [whole], "part": [part]})
    assert fits["whole"] == fits["part"]
    assert [row.targets for row in fits["part"][0]] == [e.targets for e in EXAMPLES[:6]]


def test_a_row_that_one_of_several_fits_lacks_is_left_out_for_all() -> None:
    whole = evaluate(Parity(right), EXAMPLES, ACCURACY)
    part = evaluate(Parity(right, failures=1), EXAMPLES, ACCURACY, chunk=1, retry_waits=())
    fits = paired_fits({"once": [whole], "twice": [whole, part]})
    assert [len(rows) for rows in (*fits["once"], *fits["twice"])] == [len(EXAMPLES) - 1] * 3


def test_folds_pool_to_what_one_evaluation_of_all_rows_would_say() -> None:
    folds = [evaluate(Parity(right), rows, ACCURACY) for rows in (EXAMPLES[:3], EXAMPLES[3:])]
    timed = [folds[0], replace(folds[1], latency=Latency(0.1, 0.2, 5))]
    whole, together = evaluate(Parity(right), EXAMPLES, ACCURACY), pool(timed)
    assert [o.score for o in together.outcomes] == [o.score for o in whole.outcomes]
    assert together.secondary == whole.secondary
    assert together.seconds == sum(fold.seconds for fold in folds)
    assert (together.calls, together.rows_a_call) == (2, 5)
    assert together.latency == Latency(0.1, 0.2, 5)


def test_a_pooled_metric_is_that_of_all_rows_and_no_mean_over_folds() -> None:
    """Always `even` is the perfect answer to a fold of even rows and no answer at all to one of odd ones."""
    even = Parity(lambda text: Prediction("even"))
    folds = [evaluate(even, EXAMPLES[parity::2], get_metric("accuracy")) for parity in (0, 1)]
    assert [fold.secondary["macro_f1"] for fold in folds] == [1.0, 0.0]
    assert pool(folds).secondary["macro_f1"] == pytest.approx(1 / 3)  # F1 of even is 2/3, of odd 0


def test_an_examples_group_is_the_cluster_of_its_row() -> None:
    grouped = [replace(example, group=f"g{i // 4}") for i, example in enumerate(EXAMPLES)]
    fits = paired_fits({"a": [evaluate(Parity(right), grouped, ACCURACY)]})
    assert [row.cluster for row in fits["a"][0]] == ["g0"] * 4 + ["g1"] * 4 + ["g2"] * 2
    assert paired_fits({}) == {}


def test_outputs_made_elsewhere_are_scored_and_take_no_time() -> None:
    outputs = [e.target if i % 2 else "" for i, e in enumerate(EXAMPLES)]
    evaluation = evaluate_outputs(outputs, EXAMPLES, ACCURACY)
    assert evaluation.scores == [float(i % 2) for i in range(len(EXAMPLES))]
    assert (evaluation.seconds, evaluation.usage) == (0.0, NO_USAGE)


def test_what_is_quick_is_timed_several_times_for_its_throughput() -> None:
    solution = Parity(lambda text: Prediction("even"))
    once = replace(evaluate(solution, EXAMPLES, ACCURACY), seconds=STEADY_SECONDS / 2)
    again = steady(solution, once)
    assert len(solution.calls) == STEADY_PASSES
    assert again.seconds == pytest.approx(once.seconds / STEADY_PASSES, rel=0.5)
    assert replace(again, seconds=once.seconds) == once
    assert steady(solution, replace(once, seconds=STEADY_SECONDS)).seconds == STEADY_SECONDS


def test_what_a_model_answers_is_asked_once() -> None:
    solution = Parity(right)
    evaluation = evaluate(solution, EXAMPLES, ACCURACY)
    assert steady(solution, evaluation) is evaluation
    assert len(solution.calls) == 1


def test_latency_is_measured_one_query_at_a_time_after_a_warm_up() -> None:
    solution = Parity(right)
    latency = measure_latency(solution, [e.input for e in EXAMPLES])
    assert solution.calls == [[e.input] for e in (*EXAMPLES[-2:], *EXAMPLES[:-2])]
    assert latency.n == 8
    assert latency.p99 is not None
    assert 0 < latency.p50 <= latency.p95 <= latency.p99
    assert latency.first_token_p50 == 0.1


def test_latency_stops_at_its_budget_but_not_below_the_minimum() -> None:
    solution = Parity(right)
    assert measure_latency(solution, ["text 1"], max_seconds=0).n == 5
    assert measure_latency(solution, [e.input for e in EXAMPLES] * 9).n == 40


def worked(read: int, written: int, text: str = "text") -> Outcome:
    return Outcome(Example(text, text, ("a",)), Prediction("b", Usage(read, written)), 0.0, 0.1)


@pytest.mark.parametrize("rows", [7, 60, 150, 600])
@pytest.mark.parametrize("timed", [5, 10, 20, 40])
def test_the_first_few_queries_are_like_all_in_length(rows: int, timed: int) -> None:
    """Most answers are short and some are long, as in a task whose queries differ much; they come in any order."""
    lengths = [20 + round(1.03 ** (i * 80 // rows) * 10) for i in range(rows)]
    shuffled = [lengths[i * 7919 % rows] for i in range(rows)]
    order = typical_first([worked(length, length // 4, "x" * length) for length in shuffled])
    assert sorted(map(len, order)) == sorted(shuffled)
    whole, few = np.percentile(lengths, [50, 95]), quantiles([float(len(text)) for text in order[:timed]])
    assert few[:2] == pytest.approx(whole, rel=0.15)


def test_queries_are_alike_in_what_was_read_and_written_for_them_and_else_in_their_length() -> None:
    """The order of ranks among five: the median, 1/8, 3/4, 1/3 and the last."""
    written = [worked(90, 0, "a"), worked(0, 9, "bb"), worked(100, 4, "c"), worked(50, 0, "ddd"), worked(50, 1, "e")]
    assert typical_first(written) == ["a", "ddd", "c", "e", "bb"]
    assert typical_first([worked(0, 0, "x" * n) for n in (5, 3, 4, 1, 2)]) == ["xxx", "x", "xxxx", "xx", "xxxxx"]
    assert typical_first([]) == []


def test_what_was_never_asked_is_not_timed_and_what_is_refused_at_once_is_no_long_query() -> None:
    refused = replace(worked(5000, 0, "too long"), prediction=Prediction("", Usage(5000), error="overflow"))
    unasked = replace(worked(0, 0, "unasked"), score=None)
    assert typical_first([worked(10, 0, "a"), refused, unasked, worked(20, 0, "b")]) == ["a", "too long", "b"]
    assert typical_first([unasked]) == ["unasked"]


def test_each_time_of_a_sample_stands_for_the_middle_of_its_share() -> None:
    assert quantiles([1.0]) == (1.0, 1.0, 1.0)
    assert quantiles([float(n) for n in range(1, 11)]) == (5.5, 10.0, 10.0)
    assert quantiles([float(n) for n in range(1, 101)]) == (50.5, 95.5, 99.5)


def test_latency_leaves_out_queries_that_the_infrastructure_failed() -> None:
    assert measure_latency(Parity(right, failures=3), [e.input for e in EXAMPLES]).n == 7
    with pytest.raises(InfrastructureError, match="Latency could not be measured: 429 from the server"):
        measure_latency(Parity(right, failures=99), ["text 1"])


def test_waiting_to_be_asked_again_is_no_latency() -> None:
    """As where an account is limited to some calls a minute: every other call is made twice, after a wait."""
    waits = iter([False, True] * 50)

    def limited(text: str) -> Prediction:
        repeated = next(waits)
        sleep(0.05 if repeated else 0)
        return Prediction(right(text), Usage(9, 1, repeated=repeated))

    latency = measure_latency(Parity(limited), [e.input for e in EXAMPLES])
    assert (latency.n, latency.repeated) == (4, 4)
    assert latency.p99 is not None
    assert latency.p99 < 0.05
    waits = iter([False, True] * 50)
    assert [level.parallel for level in measure_load(Parity(limited), ["text 1"], max_seconds=1)] == [1]
    with pytest.raises(InfrastructureError, match="could not be measured: each query had to be asked more than once"):
        measure_latency(Parity(lambda text: Prediction("even", Usage(repeated=True))), ["text 1"])
    assert (Usage(1, 1) + Usage(1, 1, repeated=True)).repeated


def test_what_was_retrieved_is_judged_apart_and_not_kept() -> None:
    """Even rows are shown their answer, odd ones half of nothing but for the last; all answer "even"."""
    shown = {e.input: "The row is even." if e.target == "even" else "The row is unknown." for e in EXAMPLES * 1}
    shown[EXAMPLES[-1].input] = "The row is odd."
    rows = [Example(str(i), e.input, e.targets) for i, e in enumerate(EXAMPLES * 4)]
    evaluation = evaluate(Parity(lambda text: Prediction("even", context=shown[text])), rows, ACCURACY)
    assert evaluation.secondary["context_recall"] == 0.6
    assert evaluation.secondary["quality_where_found"] == pytest.approx(5 / 6)
    assert "answers_in_no_passage" not in evaluation.secondary
    assert {o.context_recall for o in evaluation.outcomes} == {0.0, 1.0}
    assert all(o.prediction.context is None for o in evaluation.outcomes)


def test_retrieval_is_not_blamed_for_questions_that_no_document_answers() -> None:
    """Of 30 answerable rows all are found but one, and all found are read well; no row is said to have no answer."""
    rows = [Example(f"a{i}", f"Where is depot {i}?", (f"Hill{i}",)) for i in range(30)]
    rows += [Example(f"u{i}", f"Who built depot {i}?", ("Not in the depots.",)) for i in range(10)]

    def read(text: str) -> Prediction:
        hill = text.split()[-1].rstrip("?").replace("29", "28")
        return Prediction(f"Hill{hill}", context=f"The depots in Hill{hill} are open.")

    found = evaluate(Parity(read), rows, ACCURACY).secondary
    assert found["context_recall"] == found["quality_of_the_others"] == pytest.approx(29 / 30)
    assert found["quality_where_found"] == 1.0
    assert found["answers_in_no_passage"] == 0.25
    assert "context_recall" not in evaluate(Parity(read), rows[30:], ACCURACY).secondary, "of these nothing can be said"


def test_a_handful_of_rows_gives_no_figure_of_reading() -> None:
    evaluation = evaluate(Parity(lambda text: Prediction("even", context="even")), EXAMPLES[:8], ACCURACY)
    assert evaluation.secondary["context_recall"] == 0.5
    assert "quality_where_found" not in evaluation.secondary
    assert "context_recall" not in evaluate(Parity(right), EXAMPLES, ACCURACY).secondary


def test_load_is_measured_in_batches_that_arrive_together() -> None:
    solution = Parity(right)
    found = measure_load(solution, [e.input for e in EXAMPLES], levels=(1, 4))
    assert [len(call) for call in solution.calls] == [1] * 6 + [4] * 6, "one of each does not count"
    assert [(load.parallel, load.n) for load in found] == [(1, 5), (4, 5)]
    for load in found:
        assert 0 < load.p50 <= load.p95
        assert load.throughput > 0


def test_levels_that_would_take_too_long_are_left_out() -> None:
    def slow(text: str) -> Prediction:
        sleep(0.02)
        return right(text)

    (load,) = measure_load(Parity(slow), ["text 1"], levels=(2, 4), max_seconds=0.0)
    assert load.n == 2
    assert load.p50 == pytest.approx(0.04, abs=0.03)
    assert load.throughput == pytest.approx(2 / 0.04, rel=0.5)


def test_a_level_that_the_infrastructure_failed_is_left_out() -> None:
    assert measure_load(Parity(right, failures=99), ["text 1"], levels=(2,)) == []
    with pytest.raises(ValueError, match="at least one input"):
        measure_load(Parity(right), [])


def test_steps_on_a_scale_are_told_of_labels_alone() -> None:
    rows = [Example("1", "a", ("2",)), Example("2", "b", ("3",))]
    stars, near = [str(label) for label in range(1, 6)], {"mean_absolute_error": 0.5, "within_one": 1.0}
    for metric, wanted in (("accuracy", near), ("macro_f1", near), ("exact_match", {})):
        assert steps_off(evaluate_outputs(["1", "3"], rows, get_metric(metric)), stars) == wanted
    assert steps_off(evaluate_outputs([], [], ACCURACY), stars) == {}
