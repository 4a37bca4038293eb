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
from urllib.parse import urlsplit

from eval.contracts import NO_USAGE, Usage
from eval.errors import InfrastructureError, LastingFailure, ModelUnavailable, RequestError
from eval.harness import as_prediction_error
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt, Turn
from strategies.models.caches import Bypassable
from strategies.models.hosted.answer_store import AnswerStore
from strategies.models.hosted.asking import THOUGHTS, Manner, Negotiation, json_schema, label_schema, messages
from strategies.models.hosted.gate import Gate, Place
from strategies.models.hosted.purse import Purse
from strategies.models.hosted.refusals import (
    FAULTS,
    credit_code,
    is_out_of_credit,
    kind_of,
    may_be_paid,
    passes,
    why,
    words_of,
)
from strategies.models.hosted.replies import Reply, chosen, read, unfenced

PREFIX = "openai:"
ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
LONGEST_STATED_WAIT = 60.0
"""Of a server's own Retry-After; beyond, it is not waited for."""
UNREADABLE = (ValueError, TypeError, AttributeError, IndexError)
"""What comes of reading an answer that lacks something."""
CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS, SLOWEST_WRITING = 120.0, 20.0
"""Of a call, and more where much may be written: at so many tokens a second."""
PATIENCE_SECONDS, PATIENCE_WITH_NOBODY = 300.0, 5.0
"""Of failures without an answer between them; from then on a row is asked once, until one is answered. The other is
of a server that has never said anything: it is likelier not to be there than to be down for a while."""
OWN_ENDPOINT = "https://api.openai.com/v1"
"""Where models are that no server is named for."""
CONCURRENCY = 8
"""Calls at once, as long as the server keeps none of them waiting too long."""
CONTEXT_TOKENS = 16_384
"""Assumed, since no server says: prompts are kept within it, and a longer context is not used."""
LETTERS_A_TOKEN, BYTES_A_TOKEN = 3.5, 3.0
"""The one of Latin script, the other of others. Estimates; what is paid is what the server counted."""
ROOM = 2
"""Of an answer, in what it is estimated to take: JSON and figures take more than words, and a cut answer is wrong."""
FRAME_TOKENS = 8
"""Around each turn, at the most."""
_KEY = re.compile("[ -~]*")


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
        has no such address, the key cannot be one, or spending cannot be capped for want of a price."""
        if self.url and not _is_address(self.url):
            whose = "--endpoint" if self.endpoint else "OPENAI_BASE_URL"
            shown = self.url.rpartition("@")[2]  # before that, a password may stand
            raise RequestError(
                f"{whose}: {shown} is no address of a server: begin it with http:// or https://, then host and port as "
                "in http://127.0.0.1:8000/v1."
            )
        if not _KEY.fullmatch(self.key):
            raise RequestError(
                "OPENAI_API_KEY holds what no key does, a line break within it or a letter beyond ASCII: copy it again."
            )
        if not self.key and not self.names_server:
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
        return (self.endpoint or os.environ.get("OPENAI_BASE_URL", "")).strip() or None

    @property
    def key(self) -> str:
        """What the server knows the client by, without the line break of the file that it was read from; or empty."""
        return os.environ.get("OPENAI_API_KEY", "").strip()

    @property
    def names_server(self) -> bool:
        """Whether the client says where hosted models are."""
        return self.url is not None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:  # of a port that is no number
        return False


@dataclass(frozen=True)
class _Call:
    """What is sent."""

    turns: Sequence[Turn]
    manner: Manner
    tokens: int
    """That may be written."""
    schema: dict[str, Any] | None


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
        self._client, self._key, self._gate = client, hosted.key, Gate(hosted.concurrency)
        self._model = name.removeprefix(PREFIX)
        self._endpoint = str(client.base_url)
        self._price, self._purse = hosted.prices.get(name, TokenPrice(0.0, 0.0)), hosted.purse
        self._answered = dict[tuple[bool, bool], _Call]()
        """The first calls with and without a schema, and a turn of the system's, that were answered."""
        self._closed = ""
        """Why nothing is answered any more, until something is."""
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
        hosted.check(name)
        import openai

        from strategies.models.hosted.wire import Client

        client = openai.OpenAI(
            api_key=hosted.key or "none",
            base_url=hosted.url or OWN_ENDPOINT,
            max_retries=0,  # every attempt is paid for, and counted here
            http_client=Client(),
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
        return [replace(completion, text=unfenced(completion.text)) for completion in found]

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        """The label that is named gets 0 and the others minus infinity: there is no confidence to be had from that."""
        longest = max(self.count_tokens(labels), default=0) + FRAME_TOKENS
        return [chosen(completion, labels) for completion in self._ask(prompts, longest, label_schema(labels))]

    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        return [self.score_labels([prompt], own)[0] for prompt, own in zip(prompts, choices, strict=True)]

    # One call

    def _ask(self, prompts: Sequence[Prompt], most_tokens: int, schema: dict[str, Any] | None) -> list[Completion]:
        if not prompts:
            return []
        room = ROOM * most_tokens
        asked = list(prompts if self._bypassed else dict.fromkeys(prompts))  # what is timed is asked each time
        with ThreadPoolExecutor(min(self._gate.width, len(asked))) as pool:
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
            found = self._attempts(prompt.turns, most_tokens, schema)
        except InfrastructureError as error:
            return Completion("", error=as_prediction_error(error))
        self._failing_since = inf
        if not self._bypassed:
            self.answers.put(key, found)
            self._count(key, found.usage)
        return found

    def _attempts(self, turns: Sequence[Turn], answer_tokens: int, schema: dict[str, Any] | None) -> Completion:
        """The answer. Raises InfrastructureError, RequestError."""
        import openai

        row, cut = self._begin(turns, schema), None
        attempt, failure = 0, InfrastructureError()
        while attempt < ATTEMPTS:
            call = _Call(turns, row.manner, answer_tokens + THOUGHTS[row.thought], schema)
            try:
                reply = self._call(call)
            except openai.APIStatusError as error:
                self._reached = True
                if is_out_of_credit(error):
                    raise self._out_of_credit(error) from error
                if not passes(error) or (kind_of(error) == "form" and row.has_further_form):
                    if cut is not None:  # more room is refused: the answer is there already
                        return cut
                    fault = self._fault_of_prompt(error, row, call.tokens)
                    if fault is None:
                        continue
                    return Completion("", error=fault)
                failure = InfrastructureError(f"the server answered {error.status_code}, each time it was asked")
                wait = _wait(attempt, error.response.headers)
            except (openai.APIError, *UNREADABLE) as error:
                told = f"no answer that can be read came back ({self._hushed(why(error))}), each time it was asked"
                failure, wait = InfrastructureError(told), _wait(attempt, {})
                if isinstance(error, openai.APITimeoutError):  # what took that long will again: once more, and no more
                    failure, attempt = LastingFailure(told), max(attempt, ATTEMPTS - 2)
            else:
                if cut is not None and not reply.thinks:  # so it was an answer, and none that should be so long
                    return cut
                self._learn(row, call)
                if (reply.is_thought or self._may_be_thought(reply, row)) and row.thinks_more():
                    cut = None if reply.is_thought else reply.completion
                    continue
                if reply.is_thought:
                    return Completion("", reply.completion.usage, error=_only_thought(row, call.tokens))
                usage = replace(reply.completion.usage, repeated=attempt > 0)
                return replace(reply.completion, usage=usage)
            attempt += 1
            if self._has_failed_for_long():
                break
            if attempt < ATTEMPTS:
                time.sleep(wait)
        raise failure

    def _call(self, call: _Call) -> Reply:
        """What the server says. Where a call waits too long for those beside it, it is made again beside fewer.

        Raises what the client does, and what comes of an answer that cannot be read.
        """
        import openai

        while True:
            with self._gate.place() as place:
                try:
                    return self._paid(call, place)
                except openai.APITimeoutError:
                    if not self._gate.narrows(place):
                        raise

    def _paid(self, call: _Call, place: Place) -> Reply:
        """One call, which is noted at the most that it can cost while it is under way, and then at what it has cost."""
        import openai

        reserved = self._price.of(_most_tokens(call.turns), call.tokens)
        self._purse.reserve(reserved)
        cost = reserved
        try:
            self.answers.pay(reserved)  # whoever dies meanwhile may have to pay it all the same
            answer = self._client.chat.completions.create(
                model=self._model,
                timeout=openai.Timeout(TIMEOUT_SECONDS + call.tokens / SLOWEST_WRITING, connect=CONNECT_SECONDS),
                **call.manner.request(call.turns, call.tokens, call.schema),
            )
            reply = read(answer)
            self._gate.served(place)
            if reply.completion.usage == NO_USAGE:  # where the server does not say, all that was set aside counts
                return self._estimated(reply, call.turns)
            cost = self._price.of(reply.completion.usage.input_tokens, reply.completion.usage.output_tokens)
            return reply
        except Exception as error:
            cost = reserved if may_be_paid(error) else 0.0
            raise
        finally:
            self._purse.settle(reserved, cost)
            self.answers.pay(cost - reserved)

    def _estimated(self, reply: Reply, turns: Sequence[Turn]) -> Reply:
        """With an estimate of the tokens that the server did not count."""
        (written,) = self.count_tokens([reply.said])
        usage = Usage(self.prompt_tokens(Prompt(tuple(turns))), written, estimated=True)
        return replace(reply, completion=replace(reply.completion, usage=usage))

    # What is learnt of the model

    def _begin(self, turns: Sequence[Turn], schema: dict[str, Any] | None) -> Negotiation:
        """A prompt's, as such prompts were answered, or others where none was."""
        parts = (schema is not None, any(turn.role == "system" for turn in turns))
        with self._learning:
            known = self._answered.get(parts) or next(reversed(self._answered.values()), None)
            return Negotiation(known.manner if known else Manner(), self._thought, parts)

    def _learn(self, row: Negotiation, call: _Call) -> None:
        """Ask others as this one was answered: only now is it known that what was left out is what was refused.

        But once such prompts were answered, what one of them needs is its own affair, unless it needs less.
        """
        self._reached, self._closed = True, ""
        with self._learning:
            known = self._answered.get(row.parts)
            if known is None or row.manner.is_nearer_than(known.manner):
                self._answered[row.parts] = call
            self._thought = max(self._thought, row.thought)

    def _may_be_thought(self, reply: Reply, row: Negotiation) -> bool:
        """Whether a cut answer may be a thought that does not say so: looked into at the first one that is met.

        Of what is timed, answers may be cut so that they take no longer.
        """
        is_first = reply.is_cut and not row.thought and not self._met_cut_answer and not self._bypassed
        self._met_cut_answer |= is_first
        return is_first

    def _fault_of_prompt(self, error: Any, row: Negotiation, tokens: int) -> str | None:
        """What is wrong with this prompt alone, which is an answer's error; None where it is to be asked otherwise.

        Raises RequestError for what is wrong with all prompts, which ends the strategy, and InfrastructureError where
        it came to be wrong with all of them.
        """
        kind, status, said = kind_of(error), error.status_code, self._hushed(words_of(error))
        if kind == "unfinished":
            return None if row.thinks_more() else _only_thought(row, tokens)
        if kind in ("room", "too long", "too large") and row.thinks_less():
            return None
        if kind in FAULTS:
            return FAULTS[kind]
        if kind == "key":
            raise RequestError(f"{self.identity.name}: the server does not accept the key in OPENAI_API_KEY.")
        if 300 <= status < 400:
            onward = self._hushed(error.response.headers.get("location", "another address"))
            raise RequestError(
                f"{self.identity.name}: the server sends requests on to {onward}, and prompts go nowhere but to the "
                "address that is named: give that one, without /chat/completions, if it is right."
            )
        if closed := self._closed:
            raise LastingFailure(closed)
        if row.goes_on(kind, status, said):
            return None
        if status in (400, 422) and row.parts in self._answered:
            self._ask_again_what_was_answered(self._answered[row.parts])
            return f"the server refuses this prompt ({status}: {said[:200]})"
        raise RequestError(f"{self.identity.name}: the server refuses the request ({status}: {said[:200]}).")

    def _ask_again_what_was_answered(self, call: _Call) -> None:
        """A prompt is at fault only if another one is answered still: accounts are closed with status 400 as well.

        Raises InfrastructureError where it is not.
        """
        import openai

        try:
            self._call(call)
        except (openai.APIError, *UNREADABLE) as error:
            if not isinstance(error, openai.APIStatusError) or passes(error):
                raise InfrastructureError("the server refused a prompt, and answered no other one then") from error
            told = f"the server refuses now what it answered before ({error.status_code}: {words_of(error)[:200]})"
            self._closed = f"{self.identity.name}: {self._hushed(told)}: mend that, then ask again"
            raise LastingFailure(self._closed) from error

    def _hushed(self, told: str) -> str:
        """Without the key, which some servers and libraries repeat."""
        return re.sub(rf"(?<!\w){re.escape(self._key)}(?!\w)", "(the key)", told) if self._key else told

    def _has_failed_for_long(self) -> bool:
        """Note a failure; whether there has been no answer since the first one, for longer than is waited for."""
        self._failing_since = min(self._failing_since, time.monotonic())
        patience = PATIENCE_SECONDS if self._reached else PATIENCE_WITH_NOBODY
        return time.monotonic() - self._failing_since >= patience

    def _out_of_credit(self, error: Any) -> LastingFailure:
        """What no waiting mends."""
        said = ", ".join(filter(None, [str(error.status_code), credit_code(error)]))
        used_up = f"{self.identity.name}: the server says that the account's credit is used up ({said})"
        return LastingFailure(f"{used_up}: add credit with the provider, then ask again")


def _only_thought(row: Negotiation, tokens: int) -> str:
    return f"the model thought for {THOUGHTS[row.thought] or tokens:,} tokens and came to no answer"


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
