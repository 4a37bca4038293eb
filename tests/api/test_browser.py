"""The pages in a real Chromium: what a person does, by hand and keyboard, at a desk and on a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from api.worker import Worker

WORDS = {"billing": "invoice payment refund", "outage": "power dark breaker"}
CSV = "text,label\n" + "".join(f"case {i}: {text},{label}\n" for i in range(20) for label, text in WORDS.items())
HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"


@pytest.fixture
def page(browser: Any, served: tuple[str, Settings]) -> Iterator[Any]:
    """A page that fails the test where a script fails or a policy is broken."""
    context = browser.new_context(base_url=served[0])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [text for text in complaints if "ERR_INTERNET_DISCONNECTED" not in text] == []


def fill(page: Any, path: Path, task: str = "Route the ticket.") -> None:
    page.goto("/new")
    page.get_by_label("What should the model do").fill(task)
    page.locator("summary", has_text="Strategies and models").click()
    for box in page.locator("fieldset input").all():
        if box.get_attribute("value") not in ("majority", "tfidf_linear"):
            box.uncheck()
    page.set_input_files("#examples", path)


def test_from_a_file_to_a_report_and_an_answer(page: Any, worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text(CSV)
    fill(page, file)
    found = page.locator("#found")
    found.get_by_role("heading", name="What was read").wait_for(timeout=60_000)
    assert "40 examples" in found.inner_text()
    assert "A comparison takes about" in found.inner_text()
    assert "case 0: invoice payment refund" in found.inner_text()
    page.get_by_role("button", name="Start the comparison").click()
    page.get_by_text("Read the report").wait_for(timeout=90_000)
    assert "TF-IDF + linear classifier" in page.locator("#state").inner_text()
    page.get_by_label("A text of your own").fill("everything is dark, no power")
    page.get_by_role("button", name="Answer").click()
    page.locator(".answer").wait_for(timeout=60_000)
    assert page.locator(".answer").inner_text() == "outage"
    page.get_by_text("Read the report").click()
    page.get_by_role("heading", level=1).wait_for()
    page.goto("/")
    assert "succeeded" in page.locator("table").inner_text()


def test_changes_are_seen_within_a_second_and_after_a_broken_connection_none_is_missing(
    page: Any, served: tuple[str, Settings], tmp_path: Path
) -> None:
    from api.database import connect
    from api.store import Store
    from api.tables import State

    file = tmp_path / "tickets.csv"
    file.write_text(CSV)
    fill(page, file)
    page.get_by_role("button", name="Start the comparison").click()
    page.get_by_text("No worker is running").wait_for()
    store = Store(connect(served[1]))
    lease = store.lease(600, 3)
    assert lease is not None
    page.locator(".state", has_text="running").wait_for(timeout=2000)
    for name in ("majority", "tfidf_linear"):
        store.strategy_done(lease, name, {"outcome": "ok", "quality": 0.5})
        begun = time.monotonic()
        page.locator("#state tbody tr").nth(0 if name == "majority" else 1).wait_for(timeout=2000)
        assert time.monotonic() - begun < 1
    page.context.set_offline(True)
    store.tell(lease, "phase", {"strategy": "lora", "phase": "training"}, phase="lora: training", progress=0.5)
    time.sleep(1)
    page.context.set_offline(False)
    store.tell(lease, "phase", {"strategy": "lora", "phase": "answering"}, phase="lora: answering", progress=0.7)
    page.get_by_text("Fine-tuning (LoRA): answering").wait_for(timeout=10_000)
    store.end(lease, State.FAILED, "because")
    page.get_by_text("It failed: because").wait_for(timeout=2000)


def test_hostile_text_is_shown_and_does_nothing(page: Any, worker: Worker, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text(CSV.replace("case 0:", '"' + HOSTILE.replace('"', '""') + '"').replace("label\n", "label\n", 1))
    fill(page, file, task=HOSTILE)
    page.locator("#found").get_by_role("heading", name="What was read").wait_for(timeout=60_000)
    page.get_by_role("button", name="Start the comparison").click()
    page.get_by_role("heading", level=1, name=HOSTILE).wait_for()
    page.goto("/")
    assert HOSTILE[:40] in page.locator("table").inner_text()
    assert page.title() != "hacked"


def test_what_is_wrong_with_a_file_is_said_before_anything_starts(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a,b\n1,2\n")
    fill(page, file)
    page.locator("#found [role=alert]").wait_for(timeout=60_000)
    assert "input" in page.locator("#found").inner_text().lower()


def test_a_comparison_is_asked_for_by_keyboard_alone(page: Any, tmp_path: Path) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new")
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"task", "examples", "documents", "look"} <= reached
    assert any("Start the comparison" in name for name in reached)


@pytest.mark.parametrize("path", ["/", "/new", "/login"])
def test_pages_fit_a_phone(path: str, browser: Any, served: tuple[str, Settings]) -> None:
    context = browser.new_context(base_url=served[0], viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
