"""What tests of several rooms share: a tiny language model, an embedder without weights, small tasks, a server."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eval.contracts import Document, Example, Kind, Task
from strategies.models import tiny
from strategies.models.fake import HashingEmbedder

if TYPE_CHECKING:
    from strategies.models.transformers_lm import TransformersModel

TOWNS = (
    *("Arvel", "Brone", "Cadra", "Delm", "Ester", "Fondy", "Gaul", "Hemd"),
    *("Ilsa", "Jorn", "Kelm", "Lund", "Morv", "Nerd", "Olst", "Pram"),
)


@dataclass(frozen=True)
class SmallTask:
    """A task with what a client would hand over."""

    task: Task
    examples: tuple[Example, ...]
    documents: tuple[Document, ...] = ()


def classification() -> SmallTask:
    """Three labels, two of which begin alike; 60 examples."""
    rows = []
    for i in range(20):
        rows += [
            (f"Why is invoice {i} about {i * 7} euros higher than last month?", "billing"),
            (f"I paid invoice {i} twice and want {i * 7} euros back!", "billing dispute"),
            (f"No power in Größe Street {i} since {i % 12} o'clock.", "outage"),
        ]
    task = Task("Sort the message of a customer.", Kind.CLASSIFICATION, "accuracy", "messages")
    return SmallTask(task, _examples(rows))


def answering() -> SmallTask:
    """48 questions over 16 short documents."""
    documents, rows = [], []
    for i, town in enumerate(TOWNS):
        text = (
            f"{town} is a town of {i + 2} thousand people. The bridge of {town} was built in {1800 + 7 * i}. "
            f"The mayor of {town} is {TOWNS[-1 - i]} Smith."
        )
        documents.append(Document(f"d{i}", text, town))
        rows += [
            (f"When was the bridge of {town} built?", f"{1800 + 7 * i}"),
            (f"Who is the mayor of {town}?", f"{TOWNS[-1 - i]} Smith"),
            (f"How many people live in {town}?", f"{i + 2} thousand"),
        ]
    return SmallTask(Task("Answer the question.", Kind.QA, "token_f1", "towns"), _examples(rows), tuple(documents))


def extraction() -> SmallTask:
    """48 bookings to JSON."""
    rows = []
    for i in range(48):
        city, guests, breakfast = ("Arvel", "Brone", "Cadra")[i % 3], i % 5 + 1, i % 2 == 0
        booking: dict[str, Any] = {"city": city, "guests": guests, "breakfast": breakfast}
        text = f"Booking {i}: {guests} guests in {city}, {'with' if breakfast else 'no'} breakfast"
        rows.append((text, json.dumps(booking)))
    task = Task("Write the booking as JSON.", Kind.EXTRACTION, "json_field_f1", "bookings")
    return SmallTask(task, _examples(rows))


def rewriting() -> SmallTask:
    """48 spoken sentences to clean ones, with documents that do not help."""
    rows = [
        (
            f"um so i want uh {i} tickets for the {i % 7} o clock show",
            f"I want {i} tickets for the {i % 7} o'clock show.",
        )
        for i in range(48)
    ]
    task = Task("Clean up the sentence.", Kind.GENERATION, "rougeL", "tickets")
    documents = (Document("show", "The show begins every hour. Tickets cost ten euros.", "Show"),)
    return SmallTask(task, _examples(rows), documents)


def _examples(rows: list[tuple[str, str]]) -> tuple[Example, ...]:
    return tuple(Example(f"{i:03}", text, (target,), i + 1) for i, (text, target) in enumerate(rows))


SMALL_TASKS: dict[Kind, Callable[[], SmallTask]] = {
    Kind.CLASSIFICATION: classification,
    Kind.QA: answering,
    Kind.EXTRACTION: extraction,
    Kind.GENERATION: rewriting,
}


@pytest.fixture(scope="session")
def small_tasks() -> dict[Kind, SmallTask]:
    """One small task of each kind."""
    return {kind: make() for kind, make in SMALL_TASKS.items()}


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a ChatML tokenizer, in Hugging Face format."""
    return tiny.make_language_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def tiny_embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer, in the format of sentence-transformers."""
    return tiny.make_embedder(tmp_path_factory.mktemp("tiny-embedder"))


def _load(folder: Path) -> TransformersModel:
    from strategies.models.transformers_lm import TransformersModel

    return TransformersModel.load(str(folder), folder, device="cpu")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model as it runs in earnest, in the precision of this CPU."""
    return _load(tiny_model_folder)


@pytest.fixture(scope="session")
def exact_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model in float32, for comparisons with straightforward computations."""
    model = _load(tiny_model_folder)
    model.network.float()
    return model


@pytest.fixture(scope="session")
def embedder() -> HashingEmbedder:
    """Bags of words: no weights needed."""
    return HashingEmbedder()


class Server(ThreadingHTTPServer):
    """Answers with the last turn in capitals, unless a fault is due. `faults` are used up one a call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.asked: list[dict[str, Any]] = []
        self.answered = 0
        self.keys: set[str] = set()
        self.supports, self.refuses_with = "json_schema", 400
        self.complaint = "this model's context length is 10 tokens"
        self.code: str | None = None
        """Its name for a fault."""
        self.refuses: dict[str, str] = {}
        """Fields of a request that are not taken, and what is said of each; `system` is a turn of the system's."""
        self.objects: Callable[[dict[str, Any]], tuple[int, str, str | None] | None] = lambda body: None
        """Status, words and name of the error with which a request is refused."""
        self.instead: Callable[[dict[str, Any]], tuple[int, str, dict[str, str]] | None] = lambda body: None
        """Status, body and headers of what it says in place of an answer or an error of its own."""
        self.ends: Callable[[dict[str, Any]], str] = lambda body: "stop"
        """Why its answer ended."""
        self.usage: dict[str, int | None] | None = None
        """What it says of tokens, if not what it counts."""
        self.thinks = 0
        """Tokens that it thinks for before it answers."""
        self.counts = True
        self.reply: Callable[[dict[str, Any]], Any] = lambda body: body["messages"][-1]["content"].upper()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.add(self.headers["authorization"])
            fault = self.server.faults.pop(0) if self.server.faults else ""
        form = body.get("response_format", {}).get("type", "text")
        if fault == "cut":
            self.connection.close()
        elif fault == "garbled":
            self.say(200, b'{"choices": [{"mess')
        elif fault == "empty":
            self.say(200, b'{"choices": []}')
        elif fault:
            complaint = {"message": self.server.complaint, "code": self.server.code}
            self.say(int(fault), json.dumps({"error": complaint}).encode())
        elif other := self.server.instead(body):
            status, told, headers = other
            self.say(status, told.encode(), **headers)
        elif objection := self.server.objects(body):
            status, words, code = objection
            self.say(status, json.dumps({"error": {"message": words, "code": code}}).encode())
        elif refused := [told for name, told in self.server.refuses.items() if has(body, name)]:
            self.say(400, json.dumps({"error": {"message": refused[0]}}).encode())
        elif form not in ("text", self.server.supports):
            self.say(self.server.refuses_with, b'{"error": {"message": "response_format is not supported"}}')
        else:
            with self.server.lock:
                self.server.answered += 1
            said = {"role": "assistant", "content": self.server.reply(body)}
            cut = body.get("max_tokens", body.get("max_completion_tokens")) < self.server.thinks
            said["content"] = "" if cut else said["content"]
            usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 + self.server.thinks}
            usage["prompt_tokens_details"] = {"cached_tokens": 3}  # type: ignore[assignment]
            answer = {"id": "x", "object": "chat.completion", "created": 0, "model": "big"}
            answer |= {"usage": self.server.usage or usage} if self.server.counts else {}
            reason = "length" if cut else self.server.ends(body)
            answer["choices"] = [{"index": 0, "finish_reason": reason, "message": said}]
            self.say(200, json.dumps(answer).encode())

    def say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        known = {"content-type": "application/json", "content-length": str(len(body))}
        known |= {"retry-after": "0"} if status == 429 else {}
        for name, value in (known | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def has(body: dict[str, Any], name: str) -> bool:
    """Whether a request has a field, or a turn of the system's."""
    return name in body or (name == "system" and any(turn["role"] == name for turn in body["messages"]))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An OpenAI-compatible server of a scripted model, with a key for it in the environment."""
    from strategies.models.hosted import model

    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr(model, "FIRST_WAIT", 0.001)
    started = Server()
    thread = threading.Thread(target=started.serve_forever, daemon=True)
    thread.start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture(scope="module")  # not longer: while it runs, no other event loop can
def browser() -> Iterator[Any]:
    """A real Chromium; what needs it is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()
