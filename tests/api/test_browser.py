"""The pages in a real Chromium: what a person does, by hand and keyboard, at a desk and on a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from api.database import connect
from api.settings import Settings
from api.store import Lease, Store
from api.tables import State
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
    for box in page.locator("fieldset input[type=checkbox]").all():
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


def test_while_it_runs_a_keyboard_reaches_what_it_is_for(
    page: Any, served: tuple[str, Settings], tmp_path: Path
) -> None:
    store, lease = started(page, served, tmp_path)
    store.tell(lease, "said", {"text": "Read two columns."})
    page.locator("summary", has_text="How the data were read").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/state") else None)
    page.get_by_role("button", name="Cancel").focus()
    begun = time.monotonic()
    for number in range(10):
        store.tell(lease, "phase", {"strategy": "lora"}, phase=f"lora: step {number}", progress=number / 10)
        time.sleep(0.4)
    page.get_by_text("Fine-tuning (LoRA): step 9").wait_for(timeout=5000)
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    assert page.get_by_text("Read two columns.").is_visible()
    assert page.locator("[aria-live], [role=status]").count() == 1
    assert page.get_by_role("progressbar", name="How far it is").get_attribute("value") == "0.9"
    assert len(asked) <= 2 + (time.monotonic() - begun) / 2
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert store.renew(lease, 600), "it is to be cancelled"


def test_the_page_of_what_was_deleted_elsewhere_says_so(
    browser: Any, served: tuple[str, Settings], tmp_path: Path
) -> None:
    context = browser.new_context(base_url=served[0])
    page = context.new_page()
    store, lease = started(page, served, tmp_path)
    store.delete(lease.project_id, lease.id)
    page.get_by_role("heading", name="Not Found").wait_for(timeout=15_000)
    context.close()


def started(page: Any, served: tuple[str, Settings], folder: Path) -> tuple[Store, Lease]:
    """A comparison that runs, as far as its page knows."""
    (folder / "tickets.csv").write_text(CSV)
    fill(page, folder / "tickets.csv")
    page.get_by_role("button", name="Start the comparison").click()
    page.wait_for_url("**/comparisons/*")
    store = Store(connect(served[1]))
    lease = store.lease(600, 3)
    assert lease is not None
    page.locator(".state", has_text="running").wait_for(timeout=5000)
    return store, lease


def test_the_audit_of_a_file_that_another_has_replaced_is_not_shown(page: Any, tmp_path: Path) -> None:
    held: list[Any] = []
    page.route("**/new/look", lambda route: route.fulfill(body="of the second") if held else held.append(route))
    for name in ("first.csv", "second.csv"):
        (tmp_path / name).write_text(CSV)
    fill(page, tmp_path / "first.csv")
    page.set_input_files("#examples", tmp_path / "second.csv")
    page.get_by_text("of the second").wait_for()
    with suppress(Exception):  # nobody waits for it
        held[0].fulfill(body="of the first")
    time.sleep(0.5)
    assert page.locator("#found").inner_text() == "of the second"
    assert page.get_by_role("button", name="Look at the data").is_enabled()


def test_a_refusal_is_shown_as_its_sentence_and_not_as_a_page(
    browser: Any, served: tuple[str, Settings], tmp_path: Path
) -> None:
    context = browser.new_context(base_url=served[0])
    page = context.new_page()
    (tmp_path / "tickets.csv").write_text(CSV)
    for body, shown in (('{"detail": "At most 67 MB."}', "At most 67 MB."), ("<h1>nginx</h1>", "refused (status 413)")):
        page.route("**/new/look", lambda route, _, body=body: route.fulfill(status=413, body=body))
        fill(page, tmp_path / "tickets.csv")
        page.locator("#found", has_text=shown).wait_for()
        page.unroute("**/new/look")
    context.close()


def test_a_number_that_is_wrong_where_it_is_not_seen_comes_to_light(page: Any, tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text(CSV)
    fill(page, tmp_path / "tickets.csv")
    limits = page.locator("details", has_text="Time, volume and limits")
    limits.evaluate("details => details.querySelector('#time_budget').value = '5'")
    page.get_by_role("button", name="Start the comparison").click()
    page.locator("#time_budget").wait_for(state="visible")
    assert page.evaluate("document.activeElement.id") == "time_budget"
    page.locator("#time_budget").fill("90.5")
    page.get_by_role("button", name="Start the comparison").dblclick()
    page.wait_for_url("**/comparisons/*")
    page.goto("/")
    assert page.locator("tbody tr").count() == 1, "asked for once"


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
