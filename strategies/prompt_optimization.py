"""A model improves its own task sentence: GEPA (Agrawal et al. 2025, arXiv 2507.19457), by the package of that name.

The model is shown what it answered to a few training rows beside the right answers, and asked for a better sentence.
One that does better on these rows is tried on all dev rows; GEPA keeps a front of those that are the best on some dev
row and goes on from them. Only training rows are shown, so only these can be quoted. What a prompt says of the form of
answers stays ours.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from eval.contracts import Example, Outcome, Solution, Task
from eval.errors import InfrastructureError, NotApplicable
from eval.harness import evaluate, infrastructure_failure
from eval.metrics import get_metric
from strategies.answers import AnswerFormat, as_written
from strategies.base import Allowance, Standing, Workshop
from strategies.models.base import Decoding, LanguageModel, Prompt, Turn
from strategies.pipeline import Pipeline
from strategies.prompting import FewShot, told
from strategies.prompts import PromptTemplate, shortened
from strategies.tuning import SEARCH_ROWS, Configuration, dev_rows, most_often, parts
from strategies.workload import Profile, Tokens, Workload

PACKAGE, EXTRA = "gepa", "prompt-optimizer"
SMALLEST_MODEL = 1_000_000_000
"""Parameters. Smaller models are not expected to see what is wrong with their answers."""
MOST_PROPOSALS = 12
SHOWN_ROWS = 4
"""For each new sentence."""
SHOWN_LETTERS = 1500
"""Of an input or an answer."""
SENTENCE_TOKENS = 600
"""Of a new sentence, at the most."""
SHARE = 0.75
"""Of the model-seconds of choosing; the rest is for the demonstrations beside the sentence that was found."""
SENTENCE = "task_sentence"
_TAGGED = re.compile(r"<task>(.*?)(?:</task>|$)", re.DOTALL)


class OptimizedPrompt(FewShot):
    """The task sentence rewritten by the model itself, alone or with fixed demonstrations."""

    name = "optimized_prompt"
    standing: Standing = "further"
    configurations: tuple[Configuration, ...] = (
        {"demonstrations": 0, "choice": "typical", "most_typical": "first", "described": False},
        {"demonstrations": 12, "choice": "typical", "most_typical": "first", "described": False},
        {"demonstrations": 12, "choice": "typical", "most_typical": "last", "described": False},
    )

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_model(workshop.language_model)
        fit_rows, dev = parts(task, train, workshop, SEARCH_ROWS)
        if not dev:
            raise NotApplicable(f"{len(train)} training examples are too few to choose among task sentences")
        found = most_often(workshop.allowance.chosen_before, [SENTENCE])
        if not found and workshop.meter.left <= 0:
            raise NotApplicable("the time budget has no room for trying task sentences; raise --time-budget")
        sentence = found[SENTENCE] if found else _Search(task, fit_rows, dev, workshop).best()
        workshop.log.config[SENTENCE] = sentence
        return super().fit(replace(task, description=sentence), train, workshop)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        dev = dev_rows(profile.train_rows, allowance, SEARCH_ROWS)
        too_small = profile.parameters is not None and profile.parameters < SMALLEST_MODEL
        if too_small or not is_installed(PACKAGE) or not dev or not allowance.tuning_seconds:
            return Workload()
        chosen = super().workload(profile, allowance)
        an_answer = replace(chosen.query, steps=0.0)
        searched = an_answer * most_answers(dev) + _writing(profile.example_tokens) * MOST_PROPOSALS
        return replace(chosen, search=chosen.search + searched)


@cache
def is_installed(package: str) -> bool:
    """Whether an optional package is there. Planning asks for every plan it weighs."""
    return importlib.util.find_spec(package) is not None


def check_model(model: LanguageModel) -> None:
    """Raise NotApplicable for a model that is known to be too small to write prompts, or without the package."""
    parameters = model.identity.parameters
    if parameters is not None and parameters < SMALLEST_MODEL:
        raise NotApplicable(
            f"{model.identity.name} is too small to write task sentences ({parameters / 1e6:.0f} million parameters; "
            "1,000 million are needed)"
        )
    if not is_installed(PACKAGE):
        raise NotApplicable(f"the package {PACKAGE} is not installed: pip install 'advisor[{EXTRA}]'")


def most_answers(dev: int) -> int:
    """Answers that a search with so many dev rows takes, if every new sentence is better than the last."""
    return dev + MOST_PROPOSALS * (2 * SHOWN_ROWS + dev)


def _writing(an_example: float) -> Tokens:
    """Proposing a sentence once."""
    return Tokens(read=SHOWN_ROWS * an_example + 200, written=SENTENCE_TOKENS, steps=SENTENCE_TOKENS, prompts=1)


class _Search:
    """Implements GEPA's adapter, proposer and stopper over one set of fit rows and dev rows."""

    propose_new_texts = None  # GEPA asks the adapter for it first

    def __init__(self, task: Task, fit_rows: Sequence[Example], dev: Sequence[Example], workshop: Workshop) -> None:
        self._task, self._fit_rows, self._dev, self._workshop = task, fit_rows, dev, workshop
        self._metric = get_metric(task.metric)
        self._answers = AnswerFormat.infer(task, fit_rows, workshop.language_model)
        self._most = workshop.meter.spent + SHARE * workshop.meter.left
        self._seconds: dict[str, float] = {}  # model-seconds of each sentence: answering by it, and improving on it
        self._proposals, self._dearest = 0, 0.0
        self._an_answer = 0.0
        self._failure: Exception | None = None  # GEPA swallows what is raised while it asks for a sentence

    def best(self) -> str:
        """The sentence with the highest mean score on dev rows, of equals the client's, then the first. Logs all."""
        import gepa

        found = gepa.optimize(
            seed_candidate={SENTENCE: self._task.description},
            trainset=as_written(self._fit_rows, self._answers),
            valset=list(self._dev),
            adapter=self,
            custom_candidate_proposer=self.propose,
            reflection_minibatch_size=min(SHOWN_ROWS, len(self._fit_rows)),
            max_metric_calls=most_answers(len(self._dev)),
            stop_callbacks=self.is_over,
            logger=self,
            cache_evaluation=True,
            track_best_outputs=False,
            seed=self._workshop.seed,
        )
        if self._failure is not None:
            raise self._failure
        chosen: str = found.candidates[found.best_idx][SENTENCE]
        scores = zip(found.candidates, found.val_aggregate_scores, strict=True)
        reached: dict[str, float] = {candidate[SENTENCE]: score for candidate, score in scores}
        for sentence, seconds in self._seconds.items():
            rows = len(self._dev) if sentence in reached else 0
            ran = {"dev_rows": rows, "model_seconds": round(seconds, 2), "chosen": sentence == chosen}
            self._workshop.log.trials.append({SENTENCE: sentence, "dev_quality": reached.get(sentence), **ran})
        return chosen

    def log(self, message: str) -> None:
        """What GEPA tells about its work holds client text, and is told nowhere."""

    def evaluate(self, batch: list[Example], candidate: Mapping[str, str], capture_traces: bool = False) -> Any:
        """Answer some rows. Raises InfrastructureError where one could not be answered: it must not count as wrong."""
        from gepa import EvaluationBatch

        meter, before, model = self._workshop.meter, self._workshop.meter.spent, self._workshop.language_model
        task = replace(self._task, description=candidate[SENTENCE])
        words = told(task, self._answers, self._fit_rows, self._workshop)
        outcomes = evaluate(Pipeline(model, PromptTemplate(words), self._answers), batch, self._metric).outcomes
        meter.answer([o.prediction.usage for o in outcomes])
        self._an_answer = max(self._an_answer, (meter.spent - before) / len(batch))
        self._note(candidate[SENTENCE], meter.spent - before)
        lost = [o.problem or "no answer" for o in outcomes if o.score is None]
        if lost:
            raise InfrastructureError(lost[0])
        return EvaluationBatch(
            outputs=[o.prediction.text for o in outcomes],
            scores=[o.score or 0.0 for o in outcomes],
            trajectories=list(outcomes) if capture_traces else None,
        )

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, str]]]:
        """The rows as the model is shown them."""
        return {SENTENCE: [_shown(outcome) for outcome in eval_batch.trajectories]}

    def propose(
        self, candidate: Mapping[str, str], shown: Mapping[str, Sequence[Mapping[str, str]]], components: Sequence[str]
    ) -> dict[str, str]:
        """Ask for a better sentence. The old one, where what there is to show does not fit the model's context."""
        if self._failure is not None:  # GEPA asks again
            raise self._failure
        try:
            return {SENTENCE: self._better(candidate[SENTENCE], shown[SENTENCE]) or candidate[SENTENCE]}
        except Exception as error:
            self._failure = error
            raise

    def _better(self, sentence: str, shown: Sequence[Mapping[str, str]]) -> str:
        self._proposals += 1
        self._workshop.progress("optimizing", self._proposals, MOST_PROPOSALS)
        meter, before = self._workshop.meter, self._workshop.meter.spent
        asked = Prompt((Turn("user", _request(sentence, shown)),))
        (written,) = self._workshop.language_model.generate([asked], Decoding(SENTENCE_TOKENS))
        meter.read(written.usage, steps=written.usage.output_tokens)
        self._dearest = max(self._dearest, meter.spent - before)
        self._note(sentence, meter.spent - before)
        failure = infrastructure_failure(written.error)
        if failure:
            raise failure
        return "" if written.error is not None else _sentence_in(written.text)

    def _note(self, sentence: str, seconds: float) -> None:
        self._seconds[sentence] = self._seconds.get(sentence, 0.0) + seconds

    def is_over(self, state: Any) -> bool:
        """Whether a failure, the number of proposals or what another round may take ends the search."""
        meter = self._workshop.meter
        writing = self._dearest
        if not writing and meter.speeds is not None:
            writing = meter.speeds.seconds(_writing(SHOWN_LETTERS / 4))
        a_round = writing + self._an_answer * (2 * SHOWN_ROWS + len(self._dev))
        return self._failure is not None or self._proposals >= MOST_PROPOSALS or meter.spent + a_round > self._most


def _request(sentence: str, shown: Sequence[Mapping[str, str]]) -> str:
    """What the model is asked for a better sentence."""
    rows = "\n\n".join("\n".join(f"{name}: {text}" for name, text in row.items()) for row in shown)
    return (
        "An assistant was given this description of its task:\n\n"
        f"<task>\n{sentence}\n</task>\n\n"
        f"This is how it answered some inputs, and how it should have:\n\n{rows}\n\n"
        "Work out why answers are wrong and what the right ones have in common. Then write a better description of the "
        "task for the assistant. It will answer other inputs and sees neither these answers nor your thoughts, so "
        "state the rules, distinctions and facts that it needs, as briefly as they allow. Keep what the description "
        "says already where it is right. The assistant is told separately which labels or keys there are and how long "
        "answers should be.\n\nPut the new description between <task> and </task>."
    )


def _shown(outcome: Outcome) -> dict[str, str]:
    """A row with the answer given and the right one."""
    short = partial(shortened, most=SHOWN_LETTERS)
    given = short(outcome.prediction.text) if outcome.prediction.error is None else f"none ({outcome.prediction.error})"
    right = " or ".join(short(target) for target in outcome.example.targets)
    return {"Input": short(outcome.example.input), "Answer given": given, "Right answer": right}


def _sentence_in(text: str) -> str:
    """The last description in tags, else everything that was written."""
    found = _TAGGED.findall(text)
    return (found[-1] if found else text).strip()
