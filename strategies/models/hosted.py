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
from eval.errors import InfrastructureError, LastingFailure, ModelUnavailable, RequestError, first_line
from eval.harness import as_prediction_error
from eval.reading.text import clean
from strategies.models.answer_store import AnswerStore
from strategies.models.asking import (
    THOUGHTS,
    Kind,
    Manner,
    Negotiation,
    holds_thought,
    is_unfinished_thought,
    json_schema,
    kind_of,
    label_schema,
    messages,
    text_of,
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
CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS, SLOWEST_WRITING = 120.0, 20.0
"""Of a call, and more where much may be written: at so many tokens a second."""
PATIENCE_SECONDS, PATIENCE_WITH_NOBODY = 300.0, 5.0
"""Of failures without an answer between them; from then on a row is asked once, until one is answered. The other is
of a server that has never said anything: it is likelier not to be there than to be down for a while."""
PAYMENT_REQUIRED = 402
PASSING = (408, 409, 429)
"""Statuses below 500 of failures that pass."""
OUT_OF_CREDIT = ("insufficient_quota", "billing_", "Arrearage")
"""How a server's name begins for what only a payment mends."""
OWN_ENDPOINT = "https://api.openai.com/v1"
"""Where models are that no server is named for."""
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
FAULTS: dict[Kind, str] = {
    "filtered": FILTERED,
    "invalid JSON": "the model wrote no valid JSON",
    "too long": "the prompt overflows the model's context",
    "too large": "the prompt is larger than the server takes",
}
"""What is wrong with one prompt alone, by what its refusal is about."""
BROKEN_OFF = ("error", "abort", "insufficient_system_resource")
"""Reasons for which an answer ended that make it none: of OpenRouter and vLLM, SGLang, DeepSeek."""
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
    """Base URL; without it OPENAI_BASE_URL, else `OWN_ENDPOINT`."""
    most_usd: float | None = None
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    """By name, prefix included; needed for a spending cap."""
    concurrency: int = CONCURRENCY
    purse: Purse = field(init=False, compare=False, repr=False)
    """One for all hosted models: the cap is on what they cost together."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "purse", Purse(self.most_usd))

    def check(self, name: str) -> None:
        """Raise ModelUnavailable where a model cannot be reached for want of a key, and RequestError where the server
        has no such address, or spending cannot be capped for want of a price."""
        if self.url and not self.url.startswith(("http://", "https://")):
            whose = "--endpoint" if self.endpoint else "OPENAI_BASE_URL"
            raise RequestError(f"{whose}: {self.url} is no address of a server: begin it with http:// or https://.")
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
    def url(self) -> str | None:
        """Where the client says that hosted models are; an empty variable says nothing."""
        return self.endpoint or os.environ.get("OPENAI_BASE_URL") or None

    @property
    def names_server(self) -> bool:
        """Whether the client says where hosted models are."""
        return self.url is not None


class HostedModel(Bypassable):
    """Implements `LanguageModel`. It names a label rather than weighing all of them, and carries no adapter."""

    weighs_labels = False

    def __init__(self, name: str, client: Any, hosted: Hosted) -> None:
        self.identity = ModelIdentity(name, sha256="", own_server=hosted.names_server)
        self.context_tokens = CONTEXT_TOKENS
        self.answers = AnswerStore()
        self._failing_since = inf
        """`time.monotonic()` value of the first failure after the last answer."""
        self._reached = False
        """Whether the server has ever said anything."""
        self._client, self._concurrency = client, hosted.concurrency
        self._model = name.removeprefix(PREFIX)
        self._endpoint = str(client.base_url)
        self._price, self._purse = hosted.prices.get(name, TokenPrice(0.0, 0.0)), hosted.purse
        self._manners = dict[tuple[bool, bool], Manner]()
        """How requests with and without a schema, and a turn of the system's, were answered first."""
        self._thought = 0
        """Of `THOUGHTS`: the most that was asked for and not refused, where less was too little."""
        self._met_cut_answer = False
        self._learning = threading.Lock()
        self.taken = NO_USAGE
        """Tokens of the answers since `count_anew`, each once: of those remembered too, but not of those timed."""
        self._counted, self._counting = set[str](), threading.Lock()

    @classmethod
    def connect(cls, name: str, hosted: Hosted) -> HostedModel:
        """A client for the model; nothing is sent yet. Raises ModelUnavailable without a key or server."""
        import openai

        hosted.check(name)
        client = openai.OpenAI(
            api_key=os.environ.get("OPENAI_API_KEY") or "none",
            base_url=hosted.url or OWN_ENDPOINT,
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
        """The answer, and USD of the last call: those before are noted. Raises InfrastructureError, RequestError."""
        import openai

        row, cut = self._begin(turns, schema), None
        attempt, failure = 0, ""
        while attempt < ATTEMPTS:
            tokens = answer_tokens + THOUGHTS[row.thought]
            try:
                reply, usd = self._call(turns, row.manner, tokens, schema)
            except openai.APIStatusError as error:
                self._reached = True
                if _is_out_of_credit(error):
                    raise self._out_of_credit(error) from error
                if not _passes(error) or (_kind(error) == "form" and row.has_further_form):
                    fault = self._fault_of_prompt(error, row, tokens)
                    if fault is None:
                        continue
                    return Completion("", error=fault), 0.0
                failure, wait = f"the server answered {error.status_code}", _wait(attempt, error.response.headers)
            except (openai.APIError, ValueError, TypeError, AttributeError, IndexError) as error:
                failure, wait = f"no answer that can be read came back ({_why(error)})", _wait(attempt, {})
                if isinstance(error, openai.APITimeoutError):  # what took that long will again: once more, and no more
                    attempt = max(attempt, ATTEMPTS - 2)
            else:
                if cut is not None and not reply.thinks:  # so it was an answer, and none that should be so long
                    return cut, usd
                self._learn(row)
                if (reply.is_thought or self._may_be_thought(reply, row)) and row.thinks_more():
                    cut = None if reply.is_thought else reply.completion
                    self.answers.pay(usd)
                    continue
                if reply.is_thought:
                    return Completion("", reply.completion.usage, error=_only_thought(row, tokens)), usd
                usage = replace(reply.completion.usage, repeated=attempt > 0)
                return replace(reply.completion, usage=usage), usd
            attempt += 1
            if self._has_failed_for_long():
                break
            if attempt < ATTEMPTS:
                time.sleep(wait)
        raise InfrastructureError(f"{failure}, each time it was asked")

    def _call(
        self, turns: Sequence[Turn], manner: Manner, tokens: int, schema: dict[str, Any] | None
    ) -> tuple[_Reply, float]:
        """What the server says, where at most so many tokens are written, and USD. Raises what the client does."""
        import openai

        reserved = self._price.of(_most_tokens(turns), tokens)
        self._purse.reserve(reserved)
        cost = reserved  # what was cut off, too late or garbled may have been paid for all the same
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                timeout=openai.Timeout(TIMEOUT_SECONDS + tokens / SLOWEST_WRITING, connect=CONNECT_SECONDS),
                **manner.request(turns, tokens, schema),
            )
            reply = _reply(answer)
            if reply.completion.usage == NO_USAGE:  # where the server does not say, all that was set aside counts
                return self._estimated(reply, turns), cost
            cost = self._price.of(reply.completion.usage.input_tokens, reply.completion.usage.output_tokens)
            return reply, cost
        except openai.APIStatusError as error:
            cost = reserved if _kind(error) == "unfinished" else 0.0
            if cost:
                self.answers.pay(cost)
            raise
        except Exception:
            self.answers.pay(cost)
            raise
        finally:
            self._purse.settle(reserved, cost)

    def _estimated(self, reply: _Reply, turns: Sequence[Turn]) -> _Reply:
        """With an estimate of the tokens that the server did not count."""
        (written,) = self.count_tokens([reply.said])
        usage = Usage(self.prompt_tokens(Prompt(tuple(turns))), written, estimated=True)
        return replace(reply, completion=replace(reply.completion, usage=usage))

    # What is learnt of the model

    def _begin(self, turns: Sequence[Turn], schema: dict[str, Any] | None) -> Negotiation:
        """A prompt's, as such prompts were answered, or others where none was."""
        parts = (schema is not None, any(turn.role == "system" for turn in turns))
        with self._learning:
            known = self._manners.get(parts) or next(reversed(self._manners.values()), Manner())
            return Negotiation(known, self._thought, parts)

    def _learn(self, row: Negotiation) -> None:
        """Ask others as this one was answered: only now is it known that what was left out is what was refused.

        But once such prompts were answered, what one of them needs is its own affair, unless it needs less.
        """
        self._reached = True
        with self._learning:
            known = self._manners.get(row.parts)
            if known is None or row.manner.is_nearer_than(known):
                self._manners[row.parts] = row.manner
            self._thought = max(self._thought, row.thought)

    def _may_be_thought(self, reply: _Reply, row: Negotiation) -> bool:
        """Whether a cut answer may be a thought that does not say so: looked into at the first one that is met."""
        is_first = reply.is_cut and not row.thought and not self._met_cut_answer
        self._met_cut_answer |= is_first
        return is_first

    def _fault_of_prompt(self, error: Any, row: Negotiation, tokens: int) -> str | None:
        """What is wrong with this prompt alone, which is an answer's error; None where it is to be asked otherwise.

        Raises RequestError for what is wrong with all prompts, which ends the strategy.
        """
        kind, status, said = _kind(error), error.status_code, _said(error)
        if kind == "unfinished":
            return None if row.thinks_more() else _only_thought(row, tokens)
        if kind in ("room", "too long", "too large") and row.thinks_less():
            return None
        if kind in FAULTS:
            return FAULTS[kind]
        if kind == "key":
            raise RequestError(f"{self.identity.name}: the server does not accept the key in OPENAI_API_KEY.")
        if row.goes_on(kind, status, said):
            return None
        if status in (400, 422) and row.parts in self._manners:
            return f"the server refuses this prompt ({status}: {said[:200]})"
        raise RequestError(f"{self.identity.name}: the server refuses the request ({status}: {said[:200]}).")

    def _has_failed_for_long(self) -> bool:
        """Note a failure; whether there has been no answer since the first one, for longer than is waited for."""
        self._failing_since = min(self._failing_since, time.monotonic())
        patience = PATIENCE_SECONDS if self._reached else PATIENCE_WITH_NOBODY
        return time.monotonic() - self._failing_since >= patience

    def _out_of_credit(self, error: Any) -> LastingFailure:
        """What no waiting mends."""
        said = ", ".join(filter(None, [str(error.status_code), _credit_code(error)]))
        used_up = f"{self.identity.name}: the server says that the account's credit is used up ({said})"
        return LastingFailure(f"{used_up}: add credit with the provider, then ask again")


class _BrokenOff(ValueError):
    """The server ended an answer before its end."""


@dataclass(frozen=True)
class _Reply:
    """What came back."""

    completion: Completion
    said: str
    """All that was written, thoughts among it as far as they are shown."""
    is_cut: bool
    """Whether it ended where its room did."""

    @property
    def is_thought(self) -> bool:
        """Whether it is cut, and holds nothing but a thought."""
        return self.is_cut and is_unfinished_thought(self.said)

    @property
    def thinks(self) -> bool:
        """Whether a thought ends in it."""
        return holds_thought(self.said)


def _reply(answer: Any) -> _Reply:
    """Raises what comes of an answer that cannot be read, and _BrokenOff."""
    choice, usage = answer.choices[0], _usage(answer.usage)
    ended, said = str(choice.finish_reason), text_of(choice.message.content)
    if ended in BROKEN_OFF:
        raise _BrokenOff(f"it was broken off: {ended}")
    is_cut = ended == "length"
    completion = Completion(clean(without_thought(said)), usage)
    if ended.startswith("content_filter"):
        completion = Completion("", usage, error=FILTERED)
    elif not said and not is_cut and getattr(choice.message, "refusal", None):
        completion = Completion("", usage, error=REFUSED)
    return _Reply(completion, said, is_cut)


def _only_thought(row: Negotiation, tokens: int) -> str:
    return f"the model thought for {THOUGHTS[row.thought] or tokens:,} tokens and came to no answer"


def _passes(error: Any) -> bool:
    """Whether a failure passes, so that the same is asked again."""
    return error.status_code in PASSING or error.status_code >= 500


def _kind(error: Any) -> Kind:
    names = (str(getattr(error, name, None) or "") for name in ("code", "param"))
    return kind_of(error.status_code, " ".join([_said(error), *names]))


def _said(error: Any) -> str:
    """The server's own words."""
    told = error.body.get("message") if isinstance(error.body, dict) else None
    return str(told or error.body or error.message)


def _why(error: Exception) -> str:
    """What came in place of an answer."""
    if isinstance(error, _BrokenOff):
        return str(error)
    name, cause = type(error).__name__, error.__cause__
    return f"{name}: {first_line(cause)}" if cause else name


def _is_out_of_credit(error: Any) -> bool:
    in_words = error.status_code == 400 and "credit balance is too low" in _said(error)
    return error.status_code == PAYMENT_REQUIRED or bool(_credit_code(error)) or in_words


def _credit_code(error: Any) -> str:
    """The server's name for an account without credit; empty where it is another failure.

    Its words do not count: some call a limit on the rate a quota too.
    """
    names = (str(getattr(error, name, "")) for name in ("code", "type"))
    return next((name for name in names if name.startswith(OUT_OF_CREDIT)), "")


def _usage(said: Any) -> Usage:
    """As the server counts. Some leave thoughts out of what was written, but not out of the total."""
    read, written, total = (getattr(said, f"{what}_tokens", None) for what in ("prompt", "completion", "total"))
    if read is None or written is None:
        return NO_USAGE
    details = getattr(said, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None)
    return Usage(int(read), max(int(written), int(total or 0) - int(read)), int(cached or 0))


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
