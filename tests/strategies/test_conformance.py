"""What every strategy promises, whatever it does: one suite over all registered strategies and all kinds of task."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from eval.contracts import Example, Kind, Prediction, Solution, Task
from eval.errors import NotApplicable, RequestError
from eval.folds import split
from eval.harness import evaluate
from eval.metrics import get_metric
from strategies.base import Allowance, Family, FitLog, Given, Workshop
from strategies.embedder_tuning import LANGUAGE_MODEL_TOKENS
from strategies.finetuning import WHOLE_COST, passes
from strategies.label_pool import LabelPool
from strategies.linear_classifier import LinearClassifier
from strategies.models.base import Decoding, LanguageModel, Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.models.transformers_lm import TransformersModel
from strategies.pipeline import Pipeline
from strategies.prompts import PromptTemplate
from strategies.registry import STRATEGIES, make_strategy
from strategies.solutions import load_solution
from strategies.tuning import watched_rows
from strategies.workload import LIKELIEST, Profile, Tokens, Workload

ALLOWANCE = {"epochs": 2, "dev_rows": 8}
SEED = 5
TUNED = ("lora", "full_tuning")
APPLICABLE = {
    Kind.CLASSIFICATION: {
        "majority", "nearest_copy", "tfidf_linear", "embedding_linear", "pooled_linear",
        "zero_shot", "few_shot", "nearest_examples", "lora", "full_tuning", "lora_classifier",
        "lora_linear", "lora_examples",
    },
    Kind.EXTRACTION: {
        "majority", "nearest_copy", "zero_shot", "few_shot", "nearest_examples", "lora", "full_tuning",
        "lora_examples",
    },
    Kind.QA: {
        "majority", "nearest_copy", "passage_copy", "zero_shot", "few_shot", "nearest_examples", "rag",
        "lora", "full_tuning", "lora_examples", "lora_rag",
    },
    Kind.GENERATION: {
        "majority", "copy_input", "nearest_copy", "zero_shot", "few_shot", "nearest_examples", "rag",
        "lora", "full_tuning", "lora_examples", "lora_rag",
    },
}  # fmt: skip
"""What works on the small tasks, of which the questions and the rewriting come with documents."""
ALLOWED_FILES = {".json", ".jsonl", ".safetensors", ".faiss", ".md"}
COMBINATIONS = [(name, kind) for name in STRATEGIES for kind in Kind]
HERE = Path(__file__).parent


@dataclass
class Fit:
    """One strategy fitted on one task, kept, and asked for the unseen inputs."""

    folder: Path
    task: Task
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    documents: Sequence[Any]
    workshop: Workshop
    solution: Solution | None = None
    reason: str | None = None
    answers: Sequence[Prediction] = ()

    @property
    def inputs(self) -> list[str]:
        """All unseen inputs, and what clients also send."""
        return [*(e.input for e in self.test), "", "Ünïcödé 火 \u2028 <|im_end|>", "word " * 700]

    @property
    def kept(self) -> Path:
        return self.folder / "kept"

    def applicable(self) -> Solution:
        if self.solution is None:
            pytest.skip(f"not applicable: {self.reason}")
        return self.solution


def fit(name: str, small: Any, model: LanguageModel, folder: Path, *, seed: int = SEED, canaries: bool = False) -> Fit:
    """Split, fit on the training part, answer the test part under the harness, and keep the solution."""
    task = small.task
    parts = split(small.examples, test_size=12, seed=0, stratify=task.kind is Kind.CLASSIFICATION)
    test = tuple(replace(e, targets=(f"CANARY{i:03}",)) for i, e in enumerate(parts.test)) if canaries else parts.test
    workshop = Workshop(model, HashingEmbedder(), small.documents, folder / "work", seed, Allowance(**ALLOWANCE))
    done = Fit(folder, task, parts.train, test, small.documents, workshop)
    try:
        done.solution = make_strategy(name).fit(task, parts.train, workshop)
    except NotApplicable as error:
        done.reason = str(error)
        return done
    if canaries:
        evaluate(done.solution, test, get_metric(task.metric))
    done.answers = done.solution.predict(done.inputs)
    done.solution.save(done.kept)
    return done


@pytest.fixture(scope="module")
def fits(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, Kind], Fit]:
    """Every strategy on every small task."""
    folder = tmp_path_factory.mktemp("fits")
    return {
        (name, kind): fit(name, small_tasks[kind], tiny_model, folder / f"{name}-{kind}") for name, kind in COMBINATIONS
    }


@pytest.fixture(scope="module")
def elsewhere(
    fits: dict[tuple[str, Kind], Fit], tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a new process answers with the kept solutions. It also fits every strategy again, next to the first fit."""
    folder = tmp_path_factory.mktemp("elsewhere")
    jobs = {
        f"{name}-{kind}": {
            "strategy": name,
            "folder": str(done.kept),
            "again": str(done.folder / "again"),
            "inputs": done.inputs,
            "task": asdict(done.task),
            "train": [asdict(e) for e in done.train],
            "documents": [asdict(d) for d in done.documents],
            "seed": SEED,
            "allowance": ALLOWANCE,
        }
        for (name, kind), done in fits.items()
        if done.solution is not None
    }
    given = {"model": str(tiny_model_folder), "jobs": jobs}
    (folder / "jobs.json").write_text(json.dumps(given), encoding="utf-8")
    command = [sys.executable, str(HERE / "in_new_process.py"), str(folder / "jobs.json"), str(folder / "answers.json")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "99", "PYTHONPATH": str(HERE.parents[1])}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(params=COMBINATIONS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def combination(request: pytest.FixtureRequest) -> tuple[str, Kind]:
    pair: tuple[str, Kind] = request.param
    return pair


@pytest.fixture
def done(combination: tuple[str, Kind], fits: dict[tuple[str, Kind], Fit]) -> Fit:
    return fits[combination]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def timeless(predictions: Sequence[Prediction]) -> list[Any]:
    return json.loads(json.dumps([asdict(replace(p, first_token_seconds=None)) for p in predictions]))


def test_a_strategy_applies_or_says_why_not(combination: tuple[str, Kind], done: Fit) -> None:
    name, kind = combination
    assert (done.solution is not None) == (name in APPLICABLE[kind])
    assert (done.solution is None) or kind in make_strategy(name).kinds
    if done.solution is None:
        assert done.reason
        assert not done.reason.endswith(".")


def test_answers_come_one_for_each_input(done: Fit) -> None:
    done.applicable()
    assert len(done.answers) == len(done.inputs)
    for answer in done.answers:
        assert isinstance(answer.text, str)
        assert answer.confidence is None or 0 <= answer.confidence <= 1 + 1e-6
        assert min(answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.cached_tokens) >= 0
        assert isinstance(answer.sources, tuple)
    assert all(answer.error is None for answer in done.answers[: len(done.test) + 2])


def test_no_inputs_give_no_answers(done: Fit) -> None:
    assert done.applicable().predict([]) == []


def test_the_same_batch_gets_the_same_answers(done: Fit) -> None:
    solution = done.applicable()
    assert timeless(solution.predict(done.inputs)) == timeless(done.answers)


def test_answers_follow_the_order_of_the_inputs(done: Fit) -> None:
    solution = done.applicable()
    answers = solution.predict(done.inputs[::-1])[::-1]
    assert [a.sources for a in answers] == [a.sources for a in done.answers]
    assert [a.usage.input_tokens > 0 for a in answers] == [a.usage.input_tokens > 0 for a in done.answers]
    assert sum(a.text == b.text for a, b in zip(answers, done.answers, strict=True)) >= 0.8 * len(answers)


def test_labels_are_answered_with_labels_and_bookings_with_json(combination: tuple[str, Kind], done: Fit) -> None:
    done.applicable()
    usable = [answer for answer in done.answers if answer.error is None]
    if combination[1] is Kind.CLASSIFICATION:
        assert {answer.text for answer in usable} <= {e.target for e in done.train}
    if combination[1] is Kind.EXTRACTION:
        for answer in usable:
            assert answer.text.startswith("{")


def test_a_new_process_answers_byte_for_byte_the_same(
    combination: tuple[str, Kind], done: Fit, elsewhere: dict[str, Any]
) -> None:
    done.applicable()
    assert elsewhere["-".join(combination)] == timeless(done.answers)


def test_nothing_kept_needs_pickle(done: Fit) -> None:
    done.applicable()
    kept = files(done.kept)
    assert "solution.json" in kept
    for name, content in kept.items():
        assert Path(name).suffix in ALLOWED_FILES, name
        assert not content.startswith(b"\x80"), name
        if name.endswith(".json"):
            json.loads(content)
        if name.endswith(".jsonl"):
            assert all(json.loads(line) for line in content.decode().split("\n") if line)


LEARNT = (".safetensors", ".faiss", ".jsonl")
"""Kinds of files without which no answer is that of the solution."""


def test_a_damaged_solution_is_refused_in_a_sentence(
    done: Fit, tiny_model: TransformersModel, tiny_model_folder: Path, tmp_path: Path
) -> None:
    """Whatever file is missing or cut short; some are not needed to load it."""
    done.applicable()
    shelf = ModelShelf("cpu", {str(tiny_model_folder): tiny_model}, {"hashing": HashingEmbedder()})
    said: dict[str, str] = {}
    for number, file in enumerate(sorted(p for p in done.kept.rglob("*") if p.is_file())):
        for cut in (0.5, 0.0):
            folder = tmp_path / f"{number}-{cut}"
            shutil.copytree(done.kept, folder)
            damaged = folder / file.relative_to(done.kept)
            damaged.write_bytes(file.read_bytes()[: int(cut * file.stat().st_size)])
            if not cut:
                damaged.unlink()
            try:
                load_solution(folder, shelf)
            except RequestError as error:
                said[str(folder)] = str(error)
            else:
                assert file.suffix not in LEARNT, file
    assert len(said) >= 2, "at least the manifest is needed"
    assert all(folder in message for folder, message in said.items())


def test_nothing_is_kept_of_the_folder_it_was_made_in(done: Fit) -> None:
    done.applicable()
    assert not any(str(done.folder).encode() in content for content in files(done.kept).values())


def test_the_fit_is_told_to_the_report(combination: tuple[str, Kind], done: Fit) -> None:
    done.applicable()
    log = done.workshop.log
    assert 0 < log.train_examples <= len(done.train)
    assert not log.guard_fired
    assert json.loads(json.dumps([log.config, log.trials, log.curve])) == [log.config, log.trials, log.curve]
    if combination[0].startswith(TUNED):
        assert [row["epoch"] for row in log.curve] == [1, 2]


def test_the_seed_decides_everything_and_test_targets_nothing(
    combination: tuple[str, Kind],
    done: Fit,
    small_tasks: dict[Kind, Any],
    tiny_model: TransformersModel,
    tmp_path: Path,
) -> None:
    done.applicable()
    name, kind = combination
    leaky = fit(name, small_tasks[kind], tiny_model, tmp_path, canaries=True)
    before, after = files(done.kept), files(leaky.kept)
    assert before.keys() == after.keys()
    assert [file for file in before if before[file] != after[file]] == []
    assert not any(b"CANARY" in content for content in files(tmp_path).values())
    assert timeless(leaky.answers) == timeless(done.answers)


def test_a_fit_in_a_new_process_is_byte_for_byte_the_same(
    combination: tuple[str, Kind], done: Fit, elsewhere: dict[str, Any]
) -> None:
    done.applicable()
    before, after = files(done.kept), files(done.folder / "again" / "kept")
    assert before.keys() == after.keys()
    assert [file for file in before if before[file] != after[file]] == []


def test_no_test_target_is_in_any_prompt(
    combination: tuple[str, Kind], small_tasks: dict[Kind, Any], tmp_path: Path
) -> None:
    name, kind = combination
    if name not in APPLICABLE[kind] or name.startswith(TUNED):
        pytest.skip("not applicable to the scripted model")
    model = ScriptedModel(lambda prompt: prompt.turns[-1].content)
    fit(name, small_tasks[kind], model, tmp_path, canaries=True)
    shown = [turn.content for prompt in model.seen for turn in prompt.turns]
    assert bool(shown) == (make_strategy(name).family != "baseline")
    assert not any("CANARY" in text for text in shown)
    assert not any(b"CANARY" in content for content in files(tmp_path).values())


def test_a_model_without_weights_cannot_be_tuned(small_tasks: dict[Kind, Any], tmp_path: Path) -> None:
    model = ScriptedModel(lambda prompt: "outage", "remote")
    done = fit("lora", small_tasks[Kind.CLASSIFICATION], model, tmp_path)
    assert done.reason == "remote cannot be fine-tuned here: its weights are not at hand"


def test_broken_json_is_not_learnt_from(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path
) -> None:
    small = small_tasks[Kind.EXTRACTION]
    broken = [replace(e, targets=(e.target[:-1],)) if i % 6 == 0 else e for i, e in enumerate(small.examples)]
    learnt = [
        fit("lora", replace(small, examples=rows), tiny_model, tmp_path / str(i))
        for i, rows in enumerate((small.examples, broken))
    ]
    whole, without = (done.workshop.log.train_examples for done in learnt)
    assert 0 < without < whole


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_knows_its_name_and_family(name: str) -> None:
    strategy = make_strategy(name)
    assert strategy.name == name
    assert strategy.family in get_args(Family)
    assert vars(strategy) == {}, "a strategy keeps nothing: work happens in fit"


@pytest.mark.parametrize("name", [name for name in STRATEGIES if make_strategy(name).needs_documents])
@pytest.mark.parametrize("kind", Kind)
def test_without_documents_retrieval_does_not_apply(
    name: str, kind: Kind, small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path
) -> None:
    without = replace(small_tasks[kind], documents=())
    assert fit(name, without, tiny_model, tmp_path).reason == "there are no documents to retrieve from"


PROFILE = Profile(48, 30.0, 5.0, 20, 0, 0.0, 40)
PROFILES = [
    PROFILE,
    replace(PROFILE, label_tokens=12),
    replace(PROFILE, passage_tokens=80.0),
    replace(PROFILE, train_rows=1, output_tokens=0.0),
    replace(PROFILE, train_rows=5),
    replace(PROFILE, context_tokens=64),
    replace(PROFILE, parameters=135_000_000),
]
ALLOWANCES = [Allowance(), Allowance(tuning_seconds=0.0), Allowance(epochs=0), Allowance(train_rows=10, dev_rows=0)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_workload_is_finite_and_never_negative(name: str) -> None:
    strategy = make_strategy(name)
    for profile in PROFILES:
        for allowance in ALLOWANCES:
            work = strategy.workload(profile, allowance)
            for tokens in (work.fit, work.query, work.search, work.atop):
                values = [getattr(tokens, field.name) for field in fields(Tokens)]
                assert all(math.isfinite(value) and value >= 0 for value in values)
            if strategy.uses_language_model:
                assert work.query != Tokens() or work == Workload(), "free where it does not apply"
            else:
                assert replace(work.query, embedded=0.0) == Tokens()


def test_the_workload_tells_whether_queries_are_embedded(
    combination: tuple[str, Kind], done: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, kind = combination
    solution, embedded = done.applicable(), list[str]()
    known = HashingEmbedder.encode

    def counted(self: HashingEmbedder, texts: Sequence[str]) -> Any:
        embedded.extend(texts)
        return known(self, texts)

    monkeypatch.setattr(HashingEmbedder, "encode", counted)
    solution.predict(["a question that no example asks"])
    labels = 12 if kind is Kind.CLASSIFICATION else 0
    profile = replace(PROFILE, label_tokens=labels, parameters=10**6)
    work = make_strategy(name).workload(profile, Allowance(**ALLOWANCE))
    assert bool(embedded) == (work.query.embedded > 0)


def test_whole_models_are_tuned_where_they_are_small_and_take_longer() -> None:
    whole, adapter = make_strategy("full_tuning"), make_strategy("lora")
    small, large = replace(PROFILE, parameters=135_000_000), replace(PROFILE, parameters=360_000_000)
    for allowance in (Allowance(), Allowance(adapter_search=True)):
        own, theirs = whole.workload(small, allowance), adapter.workload(small, allowance)
        assert own.query == theirs.query
        assert own.fit.trained == pytest.approx(WHOLE_COST * theirs.fit.trained)
        assert own.search.trained == pytest.approx(WHOLE_COST * theirs.search.trained)
        assert own.search_step.trained == pytest.approx(WHOLE_COST * theirs.search_step.trained)
    assert whole.workload(large, Allowance()) == whole.workload(PROFILE, Allowance()) == Workload()


@pytest.mark.parametrize("name", ["setfit", "lora_classifier", "lora_linear"])
def test_no_work_is_planned_for_a_classifier_of_answers_that_are_written(name: str) -> None:
    assert make_strategy(name).workload(replace(PROFILE, label_tokens=0), Allowance()) == Workload()
    assert make_strategy(name).workload(replace(PROFILE, label_tokens=12), Allowance()) != Workload()


@pytest.mark.parametrize(
    "name", ["lora", "full_tuning", "lora_classifier", "lora_linear", "lora_examples", "lora_rag", "setfit"]
)
def test_training_less_is_less_work(name: str) -> None:
    strategy, profile = make_strategy(name), replace(PROFILE, label_tokens=12, train_rows=1000, parameters=10**8)
    whole = strategy.workload(profile, Allowance()).fit.trained
    assert strategy.workload(profile, Allowance(epochs=2)).fit.trained == pytest.approx(whole / 2)
    assert strategy.workload(profile, Allowance(train_rows=400)).fit.trained < whole / 2
    assert strategy.workload(profile, Allowance(epochs=0)).fit == Tokens()


@pytest.mark.parametrize(
    ("epochs", "json", "rows", "expected"),
    [
        *[(8, False, 1000, 4), (8, True, 1000, 8), (4, True, 1000, 4), (2, False, 1000, 2)],
        *[(8, False, 40, 32), (8, True, 40, 32), (4, False, 40, 16), (3, False, 40, 8), (2, False, 40, 2)],
        *[(8, False, 128, 10), (8, False, 16, 32), (8, True, 128, 10), (0, False, 40, 0)],
    ],
)
def test_few_rows_are_passed_over_more_often(epochs: int, json: bool, rows: int, expected: int) -> None:
    assert passes(Allowance(epochs=epochs), json, rows) == expected


@pytest.mark.parametrize("epochs", [8, 4, 2])
@pytest.mark.parametrize("rows", [40, 1000])
def test_tuning_an_embedder_is_planned_with_as_many_passes_as_it_makes(epochs: int, rows: int) -> None:
    profile, allowance = replace(PROFILE, label_tokens=12, train_rows=rows), Allowance(epochs=epochs)
    fit = make_strategy("setfit").workload(profile, allowance).fit
    learnt = rows - watched_rows(rows, allowance)
    often = passes(allowance, False, learnt)
    assert fit.trained == pytest.approx(LANGUAGE_MODEL_TOKENS * often * learnt * profile.input_tokens)
    assert fit.embedded == pytest.approx(often * rows * profile.input_tokens), "each epoch is judged"


def test_looking_for_the_likeliest_answer_is_planned_where_answers_are_right_or_wrong() -> None:
    written, searched = (
        make_strategy("lora").workload(replace(PROFILE, label_tokens=0, right_or_wrong=which), Allowance())
        for which in (False, True)
    )
    assert searched.query == written.query * LIKELIEST
    assert searched.fit == written.fit  # dev rows are written greedily


@pytest.mark.parametrize("metric", ["exact_match", "token_f1"])
def test_what_was_tuned_looks_for_the_likeliest_answer_where_it_is_right_or_wrong(
    small_tasks: dict[Kind, Any],
    tiny_model: TransformersModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    metric: str,
) -> None:
    generate = tiny_model.generate
    small = small_tasks[Kind.GENERATION]
    asked: list[Decoding] = []
    monkeypatch.setattr(tiny_model, "generate", lambda prompts, how: asked.append(how) or generate(prompts, how))
    workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path, SEED, Allowance(epochs=1, dev_rows=8))
    solution = make_strategy("lora").fit(replace(small.task, metric=metric), small.examples, workshop)
    assert isinstance(solution, Pipeline)
    assert solution.answers.likeliest is (metric == "exact_match")
    assert workshop.log.config.get("likeliest_answer", False) is solution.answers.likeliest
    assert asked
    assert not any(how.likeliest for how in asked), "dev rows are answered greedily"


def test_an_opinion_is_pooled_with_that_of_the_very_adapter_that_was_fitted_before(
    small_tasks: dict[Kind, Any],
    fits: dict[tuple[str, Kind], Fit],
    tiny_model: TransformersModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told of, kept and answers as if the adapter had been trained for it."""
    before, alone = (fits[name, Kind.CLASSIFICATION] for name in ("lora", "lora_linear"))
    log = before.workshop.log
    given = Given(before.kept, log.config, log.curve, log.train_examples)
    workshop = replace(alone.workshop, given=given, log=FitLog())
    monkeypatch.setattr("strategies.training.lora.train_lora", None)
    solution = make_strategy("lora_linear").fit(alone.task, alone.train, workshop)
    assert workshop.log == alone.workshop.log
    assert timeless(solution.predict(alone.inputs)) == timeless(alone.answers)
    solution.save(tmp_path)
    assert files(tmp_path) == files(alone.kept)


def test_what_weighs_opinions_was_learnt_by_neither(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, fitted, weighing = small_tasks[Kind.CLASSIFICATION], [], []
    fit_classifier, weigh = LinearClassifier.fit_texts, LabelPool.weighed
    monkeypatch.setattr(
        LinearClassifier,
        "fit_texts",
        lambda features, rows, **how: fitted.append((rows, how)) or fit_classifier(features, rows, **how),
    )
    monkeypatch.setattr(LabelPool, "weighed", lambda self, *rows: weighing.append(rows[0]) or weigh(self, *rows))
    workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path, SEED, Allowance(**ALLOWANCE))
    make_strategy("lora_linear").fit(small.task, small.examples, workshop)
    (asked,) = weighing
    (first, how), (kept, again) = fitted
    assert how == again == {"balanced": workshop.log.config["balanced"]}
    assert len(first) + len(asked) == len(small.examples)
    assert not {e.input for e in first} & set(asked)
    assert list(kept) == list(small.examples)
    assert workshop.log.held_out == (), "the classifier that is kept has learnt from the rows that weighed it"


@pytest.mark.parametrize("name", ["few_shot", "nearest_examples"])
def test_no_more_demonstrations_are_planned_than_fit(name: str) -> None:
    roomy, narrow = replace(PROFILE, input_tokens=300.0), replace(PROFILE, input_tokens=300.0, context_tokens=2048)
    strategy = make_strategy(name)
    read, less = (strategy.workload(profile, Allowance()).query for profile in (roomy, narrow))
    assert less.looks_reading + less.read < read.looks_reading + read.read


def test_too_few_examples_to_tune_on_are_said_so(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path
) -> None:
    small = small_tasks[Kind.CLASSIFICATION]
    done = fit("lora", replace(small, examples=small.examples[:25]), tiny_model, tmp_path)
    assert done.reason == "13 training examples are too few to fine-tune on: 16 are needed"


def test_a_training_example_is_never_shown_its_own_answer(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in training nor where epochs are chosen by dev rows; the kept solution knows all examples."""
    small = small_tasks[Kind.EXTRACTION]
    asked: list[Prompt] = []

    def noted(self: PromptTemplate, *arguments: Any) -> Prompt:
        prompt = plain(self, *arguments)
        asked.append(prompt)
        return prompt

    plain = PromptTemplate.prompt
    monkeypatch.setattr(PromptTemplate, "prompt", noted)
    workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path, SEED, Allowance(**ALLOWANCE))
    solution = make_strategy("lora_examples").fit(small.task, small.examples, workshop)
    assert len(asked) > len(small.examples)
    for prompt in asked:
        assert prompt.turns[-1].content not in [turn.content for turn in prompt.turns[:-1]]
    assert workshop.log.held_out == (), "a refit cannot be checked by rows whose answers it shows"
    solution.save(tmp_path / "kept")
    kept = (tmp_path / "kept" / "examples" / "examples.jsonl").read_text(encoding="utf-8")
    assert len(kept.splitlines()) == len(small.examples)


def test_without_dev_rows_all_epochs_are_trained_and_the_last_is_kept(
    small_tasks: dict[Kind, Any], tiny_model: TransformersModel, tmp_path: Path
) -> None:
    small = small_tasks[Kind.CLASSIFICATION]
    allowance = Allowance(epochs=3)
    workshop = Workshop(tiny_model, HashingEmbedder(), (), tmp_path, SEED, allowance)
    make_strategy("lora").fit(small.task, small.examples[:20], workshop)
    planned = passes(allowance, False, 20)
    assert [row["epoch"] for row in workshop.log.curve] == list(range(1, planned + 1))
    assert workshop.log.config["best_epoch"] == planned
