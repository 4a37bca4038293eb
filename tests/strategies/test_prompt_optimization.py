"""A model rewrites its own task sentence from training rows, within what choosing may take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from eval.contracts import Example, Kind, Outcome, Prediction, Task
from eval.errors import InfrastructureError, NotApplicable
from eval.harness import INFRASTRUCTURE
from strategies import prompt_optimization
from strategies.base import Allowance, Workshop
from strategies.models.base import Completion, Decoding, LanguageModel, Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.prompt_optimization import (
    MOST_PROPOSALS,
    SENTENCE,
    SHARE,
    SHOWN_LETTERS,
    OptimizedPrompt,
    _shown,
    most_answers,
)
from strategies.racing import FIRST_LAP
from strategies.workload import Profile, Speeds, Workload

TASK = Task("Say something.", Kind.GENERATION, "exact_match")
TRAIN = [Example(f"{i:02}", f"text {i}", (f"answer {i}",)) for i in range(48)]
BETTER = "Say answer, then the number."
SPEEDS = Speeds(read=1000.0, written=100.0, trained=math.inf)


def asks_for_a_sentence(prompt: Prompt) -> bool:
    return "Put the new description" in prompt.turns[-1].content


def improving(prompt: Prompt) -> str:
    """Follows the better sentence only, and finds it when asked."""
    if asks_for_a_sentence(prompt):
        return f"They should have said answer. <task>{BETTER}</task>"
    return prompt.turns[-1].content.replace("text", "answer" if BETTER in prompt.turns[0].content else "no")


def scripted(reply: Callable[[Prompt], str], parameters: int | None = None) -> ScriptedModel:
    return ScriptedModel(reply, parameters=parameters)


def workshop(model: LanguageModel, speeds: Speeds | None = None, **allowance: Any) -> Workshop:
    return Workshop(model, HashingEmbedder(), (), Path(), 3, Allowance(**allowance), speeds=speeds)


def test_a_better_sentence_is_found_and_kept(tmp_path: Path) -> None:
    own = workshop(scripted(improving))
    solution = OptimizedPrompt().fit(TASK, TRAIN, own)
    assert [p.text for p in solution.predict(["text 77", "text 88"])] == ["answer 77", "answer 88"]
    assert own.log.config[SENTENCE] == BETTER
    assert own.log.config["demonstrations"] == 0  # they bring no more, and cost
    tried = [t for t in own.log.trials if SENTENCE in t]
    assert [(t[SENTENCE], t["dev_quality"], t["chosen"]) for t in tried] == [
        (TASK.description, 0.0, False),
        (BETTER, 1.0, True),
    ]
    solution.save(tmp_path)
    assert BETTER in (tmp_path / "prompt.json").read_text(encoding="utf-8")


def test_the_sentence_that_most_fits_before_found_is_taken() -> None:
    alone = OptimizedPrompt.configurations[0]
    before = [{SENTENCE: sentence, **alone} for sentence in ("Be bad.", BETTER, BETTER)]
    own = workshop(scripted(improving), chosen_before=before)
    solution = OptimizedPrompt().fit(TASK, TRAIN, own)
    assert [p.text for p in solution.predict(["text 77"])] == ["answer 77"]
    assert (own.log.config[SENTENCE], own.log.trials) == (BETTER, [])


def test_a_sentence_that_is_no_better_is_not_taken() -> None:
    own = workshop(scripted(lambda prompt: "<task>Be bad.</task>" if asks_for_a_sentence(prompt) else "no"))
    OptimizedPrompt().fit(TASK, TRAIN, own)
    assert own.log.config[SENTENCE] == TASK.description


def test_only_rows_that_are_learnt_from_are_shown() -> None:
    model = scripted(improving)
    own = workshop(model)
    OptimizedPrompt().fit(TASK, TRAIN, own)
    asked = [p.turns[-1].content for p in model.seen if asks_for_a_sentence(p)]
    shown = {e.id for e in TRAIN for text in asked if f"Right answer: {e.target}\n" in f"{text}\n"}
    fit_rows, dev = prompt_optimization.parts(TASK, TRAIN, own, prompt_optimization.SEARCH_ROWS)
    assert asked
    assert dev
    assert shown <= {e.id for e in fit_rows}


def test_what_is_written_without_tags_is_taken_whole() -> None:
    def plain(prompt: Prompt) -> str:
        return improving(prompt).split("<task>")[-1].removesuffix("</task>")

    own = workshop(scripted(plain))
    OptimizedPrompt().fit(TASK, TRAIN, own)
    assert own.log.config[SENTENCE] == BETTER


def test_without_time_to_try_it_does_not_apply() -> None:
    with pytest.raises(NotApplicable, match="no room for trying task sentences; raise --time-budget"):
        OptimizedPrompt().fit(TASK, TRAIN, workshop(scripted(improving), SPEEDS, tuning_seconds=0.0))
    with pytest.raises(NotApplicable, match="20 training examples are too few"):
        OptimizedPrompt().fit(TASK, TRAIN[:20], workshop(scripted(improving)))


@pytest.mark.parametrize("seconds", [0.5, 2.0, 8.0, 60.0])
def test_the_search_keeps_to_its_share(seconds: float) -> None:
    def never_content(prompt: Prompt) -> str:
        return "<task>Be worse.</task> " + "word " * 300 if asks_for_a_sentence(prompt) else "no"

    model = scripted(never_content)
    own = workshop(model, SPEEDS, tuning_seconds=seconds)
    OptimizedPrompt().fit(TASK, TRAIN, own)
    seeds_own_answers = 12 * 30 / SPEEDS.read + 12 / SPEEDS.written  # how good it is must be known, whatever is left
    dearest = max(t["model_seconds"] / t["dev_rows"] for t in own.log.trials if t["dev_rows"])  # and a race's first lap
    assert own.meter.spent <= max(seconds, seeds_own_answers) + FIRST_LAP * dearest
    proposals = sum(asks_for_a_sentence(p) for p in model.seen)
    assert proposals <= MOST_PROPOSALS
    assert proposals or SHARE * seconds < 12
    assert sum(trial["model_seconds"] for trial in own.log.trials) == pytest.approx(own.meter.spent, abs=0.05)
    refused = [t for t in own.log.trials if t.get(SENTENCE) == "Be worse."]
    assert [(t["dev_quality"], t["dev_rows"], t["chosen"]) for t in refused] == [(None, 0, False)] * bool(proposals)


def test_all_right_from_the_start_ends_by_itself() -> None:
    model = scripted(lambda prompt: prompt.turns[-1].content.replace("text", "answer"))
    own = workshop(model)
    OptimizedPrompt().fit(TASK, TRAIN, own)
    assert not any(asks_for_a_sentence(p) for p in model.seen)
    assert own.log.config[SENTENCE] == TASK.description
    assert len(model.seen) < 3 * most_answers(12)


@dataclass
class Failing(ScriptedModel):
    """The server is away: for everything, or when a sentence is asked for."""

    always: bool = True

    def generate(self, prompts: list[Prompt], decoding: Decoding) -> list[Completion]:  # type: ignore[override]
        away = Completion("", error=f"{INFRASTRUCTURE}the server is away")
        return [away if self.always or asks_for_a_sentence(p) else self._completion(p, decoding) for p in prompts]


@pytest.mark.parametrize("always", [True, False])
def test_a_failing_server_is_no_bad_sentence(always: bool) -> None:
    with pytest.raises(InfrastructureError, match="the server is away"):
        OptimizedPrompt().fit(TASK, TRAIN, workshop(Failing(lambda prompt: "no", parameters=None, always=always)))


def test_a_small_model_is_refused_in_a_sentence() -> None:
    with pytest.raises(NotApplicable, match=r"scripted is too small to write task sentences \(135 million"):
        OptimizedPrompt().fit(TASK, TRAIN, workshop(scripted(improving, 135_000_000)))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_optimization, "PACKAGE", "not_a_package_of_anyones")
    with pytest.raises(NotApplicable, match=r"pip install 'advisor\[prompt-optimizer\]'"):
        OptimizedPrompt().fit(TASK, TRAIN, workshop(scripted(improving)))
    assert OptimizedPrompt().workload(profile(), Allowance()) == Workload()


def profile(**changes: Any) -> Profile:
    return replace(Profile(48, 20.0, 5.0, 20, 0, 0.0, 10), **changes)


def test_it_is_planned_for_where_it_applies() -> None:
    strategy = OptimizedPrompt()
    work = strategy.workload(profile(parameters=1_500_000_000), Allowance())
    assert work.search.written > MOST_PROPOSALS * 100
    assert work.query.read > 0
    assert strategy.workload(profile(), Allowance()) == work
    assert strategy.workload(profile(parameters=135_000_000), Allowance()) == Workload()
    assert strategy.workload(profile(), Allowance(tuning_seconds=0.0)) == Workload()
    assert strategy.workload(profile(train_rows=20), Allowance()) == Workload()


def test_the_beginning_of_a_long_row_is_shown_whatever_its_script() -> None:
    long = "我的银行卡被机器吞掉了，" * 200
    shown = _shown(Outcome(Example("1", long, ("吞卡",)), Prediction("账单"), 0.0, 0.1))
    assert shown["Input"].startswith(long[: SHOWN_LETTERS - 10])
    assert len(shown["Input"]) <= SHOWN_LETTERS
