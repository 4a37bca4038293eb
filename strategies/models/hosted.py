"""A model behind an OpenAI-compatible endpoint: prompts go out, answers come back, and no answer is paid for twice.

Any server that speaks chat completions will do: a provider's, vLLM, Ollama, llama.cpp. The key comes from the
environment (OPENAI_API_KEY) and is written nowhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from math import inf
from pathlib import Path
from typing import Any

from eval.contracts import NO_USAGE, Usage
from eval.errors import InfrastructureError, LastingFailure, ModelUnavailable, RequestError
from eval.harness import as_prediction_error
from eval.reading.text import clean
from strategies.models.answer_store import AnswerStore
from strategies.models.asking import (
    THOUGHTS,
    Manner,
    is_unfinished_thought,
    json_schema,
    label_schema,
    messages,
    without_thought,
)
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt, Turn
from strategies.models.caches import Bypassable
from strategies.models.purse import Purse

PREFIX = "openai:"
ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
LONGEST_STATED_WAIT = 60.0
"""Of a server's own Retry-After; beyond, it is not waited for."""
TIMEOUT_SECONDS = 120.0
PATIENCE_SECONDS = 300.0
"""Of failures without an answer between them; from then on a row is asked once, until one is answered."""
PAYMENT_REQUIRED = 402
OUT_OF_CREDIT = ("insufficient_quota", "billing_")
"""How a server's name begins for what only a payment mends."""
CONCURRENCY = 8
CONTEXT_TOKENS = 16_384
"""Assumed, since no server says: prompts are kept within it, and a longer context is not used."""
LETTERS_A_TOKEN, BYTES_A_TOKEN = 3.5, 3.0
"""The one of Latin script, the other of others. Estimates; what is paid is what the server counted."""
ROOM = 2
"""Of an answer, in what it is estimated to take: JSON and figures take more than words, and a cut answer is wrong."""
FRAME_TOKENS = 8
"""Around each turn, at the most."""
FILTERED = "the server's filter withheld the answer"
REFUSED = "the model refused to answer"
THOUGHT_ONLY = f"the model thought for {max(THOUGHTS):,} tokens and came to no answer"
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


@dataclass(frozen=True)
class TokenPrice:
    """USD per token."""

    read: float
    written: float

    def of(self, read: int, written: int) -> float:
        """USD of so many tokens."""
        return read * self.read + written * self.written


@dataclass(frozen=True)
class Hosted:
    """Where hosted models are, and what may be spent on them."""

    endpoint: str | None = None
    """Base URL; without it OPENAI_BASE_URL, else OpenAI's own."""
    most_usd: float | None = None
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    """By name, prefix included; needed for a spending cap."""
    concurrency: int = CONCURRENCY
    purse: Purse = field(init=False, compare=False, repr=False)
    """One for all hosted models: the cap is on what they cost together."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "purse", Purse(self.most_usd))

    def check(self, name: str) -> None:
        """Raise ModelUnavailable where a model cannot be reached for want of a key, or capped for want of a price."""
        if not os.environ.get("OPENAI_API_KEY") and not self.names_server:
            raise ModelUnavailable(
                f"{name} needs a key: set OPENAI_API_KEY, or name a server of your own with OPENAI_BASE_URL, in a "
                "comparison with --endpoint URL."
            )
        if self.most_usd is not None and name not in self.prices:
            raise RequestError(f"--max-spend: the token prices of {name} are not known: give them with --prices.")

    def check_server(self, name: str) -> None:
        """Raise ModelUnavailable where no server is named: queries must not go to a provider that nobody chose."""
        if not self.names_server:
            raise ModelUnavailable(
                f"{name} was measured at a server of your own: set OPENAI_BASE_URL to where that is, and try again."
            )

    @property
    def names_server(self) -> bool:
        """Whether the client says where hosted models are."""
        return bool(self.endpoint or os.environ.get("OPENAI_BASE_URL"))


class HostedModel(Bypassable):
    """Implements `LanguageModel`. It names a label rather than weighing all of them, and carries no adapter."""

    weighs_labels = False

    def __init__(self, name: str, client: Any, hosted: Hosted) -> None:
        self.identity = ModelIdentity(name, sha256="", own_server=hosted.names_server)
        self.context_tokens = CONTEXT_TOKENS
        self.answers = AnswerStore()
        self._failing_since = inf
        """`time.monotonic()` value of the first failure after the last answer."""
        self._client, self._concurrency = client, hosted.concurrency
        self._model = name.removeprefix(PREFIX)
        self._endpoint = str(client.base_url)
        self._price, self._purse = hosted.prices.get(name, TokenPrice(0.0, 0.0)), hosted.purse
        self._manner = Manner()
        self.taken = NO_USAGE
        """Tokens of the answers since `count_anew`, each once: of those remembered too, but not of those timed."""
        self._counted, self._counting = set[str](), threading.Lock()

    @classmethod
    def connect(cls, name: str, hosted: Hosted) -> HostedModel:
        """A client for the model; nothing is sent yet. Raises ModelUnavailable without a key or server."""
        import openai

        hosted.check(name)
        client = openai.OpenAI(
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            base_url=hosted.endpoint,
            timeout=TIMEOUT_SECONDS,
            max_retries=0,  # every attempt is paid for, and counted here
        )
        return cls(name, client, hosted)

    def keep_answers(self, file: Path) -> None:
        """Keep answers in a file, and take up those that are there. All calls noted there count as spent."""
        self._purse.spend(self.answers.keep_in(file))

    def count_anew(self) -> None:
        """Let `taken` begin at nothing."""
        self.taken, self._counted = NO_USAGE, set()

    def _count(self, key: str, usage: Usage) -> None:
        with self._counting:
            if key not in self._counted:
                self._counted.add(key)
                self.taken += usage

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [int(max(len(t) / LETTERS_A_TOKEN, len(t.encode()) / BYTES_A_TOKEN)) + 1 for t in texts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return sum(self.count_tokens([turn.content for turn in prompt.turns])) + FRAME_TOKENS * len(prompt.turns)

    def use_adapter(self, folder: Path | None) -> None:
        if folder is not None:
            raise RequestError(f"The model {self.identity.name} cannot carry an adapter: its weights are not at hand.")

    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        if decoding.json_shape is None:
            return self._ask(prompts, decoding.max_new_tokens, None)
        shape = decoding.json_shape
        schema = None if shape.repeated else json_schema(shape)  # servers are asked for objects alone
        found = self._ask(prompts, decoding.max_new_tokens, schema)
        return [replace(completion, text=_FENCE.sub("", completion.text)) for completion in found]

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        """The label that is named gets 0 and the others minus infinity: there is no confidence to be had from that."""
        longest = max(self.count_tokens(labels), default=0) + FRAME_TOKENS
        return [_chosen(completion, labels) for completion in self._ask(prompts, longest, label_schema(labels))]

    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        return [self.score_labels([prompt], own)[0] for prompt, own in zip(prompts, choices, strict=True)]

    # One call

    def _ask(self, prompts: Sequence[Prompt], most_tokens: int, schema: dict[str, Any] | None) -> list[Completion]:
        if not prompts:
            return []
        room = ROOM * most_tokens
        asked = list(prompts if self._bypassed else dict.fromkeys(prompts))  # what is timed is asked each time
        with ThreadPoolExecutor(min(self._concurrency, len(asked))) as pool:
            answers = list(pool.map(lambda prompt: self._answer(prompt, room, schema), asked))
        if self._bypassed:
            return answers
        self.recalled += len(prompts) - len(asked)
        known = dict(zip(asked, answers, strict=True))
        return [known[prompt] for prompt in prompts]

    def _answer(self, prompt: Prompt, most_tokens: int, schema: dict[str, Any] | None) -> Completion:
        """One answer: known, or asked for until it comes."""
        key = _key(self._endpoint, self._model, messages(prompt.turns), most_tokens, schema)
        known = None if self._bypassed else self.answers.get(key)
        if known is not None:
            self.recalled += 1
            self._count(key, known.usage)
            return known
        try:
            found, usd = self._attempts(prompt.turns, most_tokens, schema)
        except InfrastructureError as error:
            return Completion("", error=as_prediction_error(error))
        self._failing_since = inf
        if self._bypassed:
            self.answers.pay(usd)
        else:
            self.answers.put(key, found, usd)
            self._count(key, found.usage)
        return found

    def _attempts(
        self, turns: Sequence[Turn], answer_tokens: int, schema: dict[str, Any] | None
    ) -> tuple[Completion, float]:
        """The answer, and what this attempt has cost in USD."""
        import openai

        manner, attempt, failure = Manner(), 0, ""
        while attempt < ATTEMPTS:
            manner |= self._manner
            reserved = self._price.of(_most_tokens(turns), manner.most_tokens(answer_tokens))
            self._purse.reserve(reserved)
            cost = reserved  # what was cut off, too late or garbled may have been paid for all the same
            try:
                request = manner.request(turns, answer_tokens, schema)
                answer = self._client.chat.completions.create(model=self._model, **request)
                found = _completion(answer)
            except openai.APIStatusError as error:
                cost = 0.0
                if error.status_code == PAYMENT_REQUIRED or _credit_code(error):
                    raise self._out_of_credit(error) from error
                of_prompt = _fault_of_prompt(error)
                if of_prompt is not None:
                    return Completion("", error=of_prompt), 0.0
                next_manner = manner.after_refusal(error.status_code, _said(error), with_schema=schema is not None)
                if next_manner is not None:
                    manner = next_manner
                    continue
                if error.status_code not in (408, 409, 429) and error.status_code < 500:
                    raise self._refusal(error) from error
                failure, wait = f"the server answered {error.status_code}", _wait(attempt, error.response.headers)
            except (openai.APIError, ValueError, TypeError, AttributeError, IndexError) as error:
                self.answers.pay(cost)
                failure, wait = f"no answer that can be read came back ({type(error).__name__})", _wait(attempt, {})
            else:
                told = found.usage != NO_USAGE  # where the server does not say, all that was set aside counts
                cost = self._price.of(found.usage.input_tokens, found.usage.output_tokens) if told else reserved
                more = manner.with_more_thought() if found.error == THOUGHT_ONLY else None
                self._manner |= more or manner  # only now is it known that what was left out is what was refused
                if more is None:
                    return found, cost
                self.answers.pay(cost)
                continue
            finally:
                self._purse.settle(reserved, cost)
            attempt += 1
            if self._has_failed_for_long():
                break
            if attempt < ATTEMPTS:
                time.sleep(wait)
        raise InfrastructureError(f"{failure}, each time it was asked")

    def _has_failed_for_long(self) -> bool:
        """Note a failure; whether there has been no answer since the first one, for longer than is waited for."""
        self._failing_since = min(self._failing_since, time.monotonic())
        return time.monotonic() - self._failing_since >= PATIENCE_SECONDS

    def _out_of_credit(self, error: Any) -> LastingFailure:
        """What no waiting mends."""
        said = ", ".join(filter(None, [str(error.status_code), _credit_code(error)]))
        used_up = f"{self.identity.name}: the server says that the account's credit is used up ({said})"
        return LastingFailure(f"{used_up}: add credit with the provider, then ask again")

    def _refusal(self, error: Any) -> RequestError:
        """What is wrong with all prompts, which ends the strategy."""
        if error.status_code in (401, 403):
            return RequestError(f"{self.identity.name}: the server does not accept the key in OPENAI_API_KEY.")
        return RequestError(
            f"{self.identity.name}: the server refuses the request ({error.status_code}: {_said(error)[:200]})."
        )


def _said(error: Any) -> str:
    """The server's own words."""
    return str(getattr(error, "message", ""))


def _credit_code(error: Any) -> str:
    """The server's name for an account without credit; empty where it is another failure.

    Its words do not count: some call a limit on the rate a quota too.
    """
    names = (str(getattr(error, name, "")) for name in ("code", "type"))
    return next((name for name in names if name.startswith(OUT_OF_CREDIT)), "")


def _fault_of_prompt(error: Any) -> str | None:
    """What is wrong with this prompt alone, which is an answer's error."""
    said = _said(error).lower()
    if error.status_code not in (400, 413, 422) or "response_format" in said:
        return None
    if getattr(error, "code", None) == "content_filter" or "content management policy" in said:
        return FILTERED
    return "the prompt overflows the model's context" if "context" in said or "too long" in said else None


def _completion(answer: Any) -> Completion:
    choice, usage = answer.choices[0], _usage(answer.usage)
    if choice.finish_reason == "content_filter":
        return Completion("", usage, error=FILTERED)
    if is_unfinished_thought(choice):
        return Completion("", usage, error=THOUGHT_ONLY)
    if not choice.message.content and getattr(choice.message, "refusal", None):
        return Completion("", usage, error=REFUSED)
    return Completion(clean(without_thought(str(choice.message.content or ""))), usage)


def _usage(said: Any) -> Usage:
    """As the server counts. Some leave thoughts out of what was written, but not out of the total."""
    if said is None:
        return NO_USAGE
    details, read = getattr(said, "prompt_tokens_details", None), int(said.prompt_tokens)
    written = max(int(said.completion_tokens), int(getattr(said, "total_tokens", 0) or 0) - read)
    return Usage(read, written, int(getattr(details, "cached_tokens", 0) or 0))


def _chosen(completion: Completion, labels: Sequence[str]) -> LabelScores:
    """The label that an answer names, in JSON or in plain words."""
    if completion.error is not None:
        return LabelScores((), completion.usage, completion.error)
    said = _label_in(completion.text)
    plain = {_bare(label): number for number, label in reversed(list(enumerate(labels)))}
    number = labels.index(said) if said in labels else plain.get(_bare(said))
    if number is None:
        return LabelScores((), completion.usage, f"the answer is none of the labels: {said[:80]!r}")
    return LabelScores(tuple(0.0 if i == number else -inf for i in range(len(labels))), completion.usage)


def _bare(label: str) -> str:
    return label.strip(" .\"'`\n").casefold()


def _label_in(text: str) -> str:
    try:
        value = json.loads(_FENCE.sub("", text))
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        value = value.get("label", next(iter(value.values())) if len(value) == 1 else None)
        if isinstance(value, bool | int | float):  # a label such as 1 or true, where the form could not name the labels
            return json.dumps(value)
    return value if isinstance(value, str) else text


def _most_tokens(turns: Sequence[Turn]) -> int:
    """No tokeniser makes more tokens of a text than it has bytes."""
    return sum(len(turn.content.encode()) + FRAME_TOKENS for turn in turns)


def _wait(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds until the next attempt: twice as long each time, never all at once, and no less than the server says."""
    stated, own = _stated_wait(headers.get("retry-after", "")), min(LONGEST_WAIT, FIRST_WAIT * 2.0**attempt)
    own *= random.uniform(0.75, 1.25)
    return max(own, stated) if stated <= LONGEST_STATED_WAIT else own


def _stated_wait(said: str) -> float:
    """Retry-After in seconds, which may be a date (RFC 9110); -1 where it is neither."""
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return -1.0


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
