"""A comparison is never lost, never carried out by two, and never seen by another project."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from api.keys import KeyRing
from api.problems import Problem
from api.store import Asked, Lease, LeaseLost, Store
from api.tables import State

Make = Callable[..., Asked]
SECONDS, ATTEMPTS = 30.0, 3


@pytest.fixture
def project(store: Store) -> str:
    return store.project("one")


def submitted(store: Store, project: str, asked: Make, id: str = "a", **changes: Any) -> str:
    row, _ = store.submit(project, id, asked(**changes), most_waiting=10)
    return row.id


def leased(store: Store) -> Lease:
    lease = store.lease(SECONDS, ATTEMPTS)
    assert lease is not None
    return lease


def kinds(store: Store, project: str, id: str) -> list[str]:
    events, _ = store.events(project, id, 0)
    return [f"{event.kind} {event.data.get('state', '')}".strip() for event in events]


def test_the_oldest_is_leased_first_and_by_one_worker_alone(
    store: Store, project: str, asked: Make, clock: Any
) -> None:
    submitted(store, project, asked, "a")
    clock.now += 1
    submitted(store, project, asked, "b")
    assert [leased(store).id, leased(store).id] == ["a", "b"]
    assert store.lease(SECONDS, ATTEMPTS) is None


def test_projects_take_turns_and_who_has_fewer_running_comes_first(
    store: Store, project: str, asked: Make, clock: Any
) -> None:
    quiet = store.project("two")
    for id in ("a", "b", "c", "d"):
        clock.now += 1
        submitted(store, project, asked, id)
    for id in ("x", "y"):
        clock.now += 1
        submitted(store, quiet, asked, id)

    def taken() -> Lease:
        clock.now += 1
        return leased(store)

    first = taken()
    assert (first.id, taken().id) == ("a", "x")
    store.end(first, State.SUCCEEDED)
    assert taken().id == "b", "whose project has none running"
    assert taken().id == "y", "whose project's last lease is longer ago"
    assert taken().id == "c"


def test_workers_that_ask_at_once_get_different_comparisons(
    engine: Engine, store: Store, project: str, asked: Make
) -> None:
    for number in range(12):
        submitted(store, project, asked, f"c{number}", idempotency_key=None) if number < 10 else None
    found: list[str] = []

    def take() -> None:
        own = Store(engine)
        while (lease := own.lease(SECONDS, ATTEMPTS)) is not None:
            found.append(lease.id)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"c{number}" for number in range(10))


def test_what_a_silent_worker_holds_is_taken_over_and_the_old_one_can_change_nothing(
    store: Store, project: str, asked: Make, clock: Any
) -> None:
    submitted(store, project, asked)
    old = leased(store)
    clock.now += SECONDS + 1
    new = leased(store)
    assert (new.id, new.attempt) == (old.id, 2)
    for change in (
        lambda: store.renew(old, SECONDS),
        lambda: store.is_wanted(old),
        lambda: store.tell(old, "said", {"text": "late"}),
        lambda: store.strategy_done(old, "lora", {"outcome": "ok", "quality": 1.0}),
        lambda: store.end(old, State.SUCCEEDED),
        lambda: store.release(old, counts=True),
    ):
        with pytest.raises(LeaseLost):
            change()
    store.end(new, State.SUCCEEDED)
    assert store.find(project, old.id).state == State.SUCCEEDED


def test_a_lease_that_is_renewed_is_not_taken_over(store: Store, project: str, asked: Make, clock: Any) -> None:
    submitted(store, project, asked)
    lease = leased(store)
    for _ in range(5):
        clock.now += SECONDS - 1
        assert not store.renew(lease, SECONDS)
        assert store.lease(SECONDS, ATTEMPTS) is None


def test_it_gives_up_after_attempts_in_vain_and_says_why(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    for _ in range(ATTEMPTS):
        store.release(leased(store), counts=True)
    assert store.lease(SECONDS, ATTEMPTS) is None
    row = store.find(project, "a")
    assert (row.state, row.attempts) == (State.FAILED, ATTEMPTS)
    assert "3 attempts" in str(row.reason)


def test_an_attempt_that_finished_a_strategy_was_not_in_vain(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    for number in range(3 * ATTEMPTS):
        lease = leased(store)
        store.strategy_done(lease, f"s{number}", {"outcome": "ok", "quality": 0.5})
        store.release(lease, counts=True)
    assert store.find(project, "a").state == State.QUEUED


def test_telling_again_what_an_earlier_attempt_did_is_no_progress(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    for _ in range(ATTEMPTS + 1):
        lease = leased(store)
        store.strategy_done(lease, "majority", {"outcome": "ok", "quality": 0.5})
        store.release(lease, counts=True)
    assert store.lease(SECONDS, ATTEMPTS) is None
    assert store.find(project, "a").state == State.FAILED


def test_an_attempt_that_a_worker_gave_back_does_not_count(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    for _ in range(3 * ATTEMPTS):
        store.release(leased(store), counts=False)
    assert leased(store).attempt == 3 * ATTEMPTS + 1


def test_what_waits_is_cancelled_at_once_and_what_runs_by_its_worker(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked, "a")
    assert store.cancel(project, "a").state == State.CANCELLED
    submitted(store, project, asked, "b")
    lease = leased(store)
    assert store.cancel(project, "b").state == State.RUNNING
    assert not store.is_wanted(lease)
    assert store.renew(lease, SECONDS)
    store.end(lease, State.CANCELLED)
    assert store.cancel(project, "b").state == State.CANCELLED
    assert kinds(store, project, "b")[-1] == "state cancelled"


def test_what_was_to_be_cancelled_when_its_worker_died_ends_cancelled(
    store: Store, project: str, asked: Make, clock: Any
) -> None:
    submitted(store, project, asked)
    leased(store)
    store.cancel(project, "a")
    clock.now += SECONDS + 1
    assert store.lease(SECONDS, ATTEMPTS) is None
    assert store.find(project, "a").state == State.CANCELLED


def test_what_a_dead_worker_holds_is_cancelled_without_one(store: Store, project: str, asked: Make, clock: Any) -> None:
    submitted(store, project, asked)
    leased(store)
    clock.now += SECONDS + 1
    assert store.cancel(project, "a").state == State.CANCELLED


def test_reasons_and_ids_hold_what_databases_do_not_take(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    store.end(leased(store), State.FAILED, "column 'a\0b' and '\ud800'")
    assert store.find(project, "a").reason == "column 'a\N{REPLACEMENT CHARACTER}b' and '?'"
    for id in ("\0", "a\0", "\ud800", "A", "", "../a"):
        with pytest.raises(Problem, match="no such"):
            store.find(project, id)


def test_events_are_numbered_without_a_gap_and_read_from_any_number(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    lease = leased(store)
    for text in "abc":
        store.tell(lease, "said", {"text": text})
    events, more = store.events(project, "a", 0)
    assert ([event.number for event in events], more) == ([1, 2, 3, 4, 5], True)
    store.end(lease, State.FAILED, "because")
    events, more = store.events(project, "a", 4)
    assert ([event.data for event in events], more) == (
        [{"text": "c"}, {"state": "failed", "reason": "because"}],
        False,
    )


def test_progress_is_kept_with_the_event_that_tells_it(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    store.tell(leased(store), "phase", {"done": 1}, phase="lora: training", progress=0.5, seconds_left=12.0)
    row = store.find(project, "a")
    assert (row.phase, row.progress, row.seconds_left) == ("lora: training", 0.5, 12.0)


def test_how_far_it_was_is_forgotten_when_it_ends(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    lease = leased(store)
    for done in range(3):
        store.tell(lease, "phase", {"done": done})
    store.end(lease, State.SUCCEEDED)
    events, _ = store.events(project, "a", 3)
    assert [(event.number, event.kind) for event in events] == [(6, "state")], "numbers are not given twice"


def test_the_same_key_with_the_same_content_asks_once(store: Store, project: str, asked: Make) -> None:
    first, new = store.submit(project, "a", asked(idempotency_key="k"), most_waiting=10)
    second, again = store.submit(project, "b", asked(idempotency_key="k"), most_waiting=10)
    assert (first.id, new, second.id, again) == ("a", True, "a", False)
    with pytest.raises(Problem, match="another request") as refused:
        store.submit(project, "c", asked(idempotency_key="k", content_sha256="1"), most_waiting=10)
    assert refused.value.status == 409
    other = store.project("two")
    assert store.submit(other, "d", asked(idempotency_key="k"), most_waiting=10)[1]


def test_only_so_many_of_a_project_may_wait(store: Store, project: str, asked: Make) -> None:
    for number in range(10):
        submitted(store, project, asked, f"c{number}")
    with pytest.raises(Problem, match="waiting already") as refused:
        submitted(store, project, asked, "too-many")
    assert refused.value.status == 429
    assert submitted(store, store.project("two"), asked, "another") == "another"


def test_other_projects_comparisons_do_not_exist(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    other = store.project("two")
    for look in (
        lambda: store.find(other, "a"),
        lambda: store.events(other, "a", 0),
        lambda: store.cancel(other, "a"),
        lambda: store.delete(other, "a"),
    ):
        with pytest.raises(Problem) as refused:
            look()
        assert refused.value.status == 404
    assert store.page(other, 10) == []
    assert store.find(project, "a").state == State.QUEUED


def test_pages_go_through_all_once_the_newest_first(store: Store, project: str, asked: Make, clock: Any) -> None:
    for number in range(7):
        submitted(store, project, asked, f"c{number}")
        clock.now += number % 2  # some at the same time
    seen: list[str] = []
    before = None
    while page := store.page(project, 3, before=before):
        seen += [row.id for row in page]
        before = page[-1].created_at, page[-1].id
    assert sorted(seen) == sorted(set(seen)) == [f"c{number}" for number in range(7)]
    assert seen[0] == "c6"
    store.cancel(project, "c3")
    assert [row.id for row in store.page(project, 10, state=State.CANCELLED)] == ["c3"]


def test_what_is_deleted_leaves_no_row_and_ends_its_lease(store: Store, project: str, asked: Make) -> None:
    submitted(store, project, asked)
    lease = leased(store)
    store.delete(project, "a")
    with pytest.raises(LeaseLost):
        store.is_wanted(lease)
    assert store.known(["a"]) == set()
    assert store.counts() == dict.fromkeys(map(str, State), 0)


def test_of_what_is_not_there_the_audit_log_knows_what_once_was(
    store: Store, ring: KeyRing, project: str, asked: Make
) -> None:
    for id in ("kept", "removed"):
        store.submit(project, id, asked(), 9, ring.action("a", "comparison.create", id, project))
    store.delete(project, "removed")
    assert store.removed(["kept", "removed", "another database's"]) == {"removed"}


def test_workers_are_known_while_they_are_seen(store: Store, clock: Any) -> None:
    store.seen("w1")
    store.seen("w2")
    assert store.workers() == 2
    clock.now += 61
    store.seen("w2")
    assert store.workers() == 1
    store.gone("w2")
    assert store.workers() == 0
