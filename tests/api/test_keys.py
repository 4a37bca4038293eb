"""A key opens its own project, until it is revoked."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, text

from api.keys import VISIT_SECONDS, KeyRing
from eval.errors import RequestError


def test_a_key_names_its_project_and_is_kept_as_a_hash_alone(ring: KeyRing, engine: Engine) -> None:
    one, other = ring.create("one", "ci"), ring.create("two", "ci")
    first, second = ring.caller(one), ring.caller(other)
    assert first is not None
    assert second is not None
    assert first.project_id != second.project_id
    with engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM keys")).all())
    assert one.split("_", 2)[2] not in kept


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        lambda key: key.replace("adv_", "ADV_"),
        lambda key: key + "x",
        lambda key: f"adv_{'0' * 12}_{key.split('_', 2)[2]}",
        lambda key: "",
        lambda key: "adv_' OR 1=1 --_x",
    ],
)
def test_a_forged_key_opens_nothing(ring: KeyRing, spoil: Any) -> None:
    assert ring.caller(spoil(ring.create("one", "ci"))) is None


def test_a_revoked_key_opens_nothing_nor_do_the_visits_begun_with_it(ring: KeyRing) -> None:
    key = ring.create("one", "ci")
    caller = ring.caller(key)
    assert caller is not None
    token = ring.visit(caller.actor)
    assert ring.visitor(token) == caller
    ring.revoke(caller.actor)
    assert ring.caller(key) is None
    assert ring.visitor(token) is None
    with pytest.raises(RequestError, match="no key"):
        ring.revoke("nonsense")


def test_a_visit_ends_by_itself_and_when_left(ring: KeyRing, clock: Any) -> None:
    caller = ring.caller(ring.create("one", "ci"))
    assert caller is not None
    token, other = ring.visit(caller.actor), ring.visit(caller.actor)
    ring.leave(other)
    assert ring.visitor(other) is None
    clock.now += VISIT_SECONDS + 1
    assert ring.visitor(token) is None


@pytest.mark.parametrize("name", ["", " x", "a/b", "a" * 65, "x\ny", "<b>"])
def test_names_are_plain(ring: KeyRing, name: str) -> None:
    with pytest.raises(RequestError, match="name of a"):
        ring.create(name, "ci")


@pytest.mark.parametrize("name", ["acme", "Jane's laptop", "Zürich 2", "v1.0-beta"])
def test_names_may_be_what_people_write(ring: KeyRing, name: str) -> None:
    assert ring.caller(ring.create(name, name))


def test_the_audit_log_says_who_did_what(ring: KeyRing, engine: Engine) -> None:
    caller = ring.caller(ring.create("one", "ci"))
    assert caller is not None
    ring.note(caller.actor, "comparison.delete", "abc", caller.project_id, "r1")
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT actor, action, object, request_id FROM actions ORDER BY at, action")
        ).all()
    assert (caller.actor, "comparison.delete", "abc", "r1") in [tuple(row) for row in found]
    assert ("operator", "key.create", caller.actor, None) in [tuple(row) for row in found]
