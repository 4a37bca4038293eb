"""Shapes of JSON answers and the grammar that writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import xgrammar
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.models.base import JsonShape
from strategies.models.engine import json_grammar
from strategies.models.engine.json_grammar import MOST_KEYS, GrammarCompiler, common_order, ebnf, shape_of
from strategies.models.tiny import _tokenizer


def accepts(shape: JsonShape, text: str) -> bool:
    """Whether the shape's grammar writes this text, whole."""
    info = xgrammar.TokenizerInfo([bytes([i]) for i in range(256)] + [b"</s>"], stop_token_ids=[256])
    matcher = xgrammar.GrammarMatcher(xgrammar.GrammarCompiler(info).compile_grammar(ebnf(shape)))
    return bool(matcher.accept_string(text) and matcher.accept_token(256))


@pytest.mark.parametrize(
    ("sequences", "order"),
    [
        ([["a", "b"], ["b", "c"], ["a", "c"]], ["a", "b", "c"]),
        ([["a"], ["b"]], ["a", "b"]),
        ([[], ["a"]], ["a"]),
        ([], []),
        ([["a", "b"], ["b", "a"]], ["a", "b"]),
        ([["a", "b"], ["b", "c"], ["c", "a"]], ["a", "b", "c"]),
        ([*[["z", "y", "x"]] * 3, ["x", "y", "z"]], ["z", "y", "x"]),
        ([*[["z", "y", "x"]] * 3, ["x", "z"]], ["z", "y", "x"]),
        ([*[["z", "y"]] * 3, *[["y", "x"]] * 3, ["x", "y", "z"], ["x", "w"]], ["z", "y", "x", "w"]),
        ([*[["d", "b", "c", "a"]] * 20, *[["c", "b", "a", "d"]] * 10], ["d", "b", "c", "a"]),
    ],
)
def test_one_order_is_found_in_which_most_agree(sequences: list[list[str]], order: list[str]) -> None:
    assert common_order(sequences) == order


@given(st.permutations("abcdef"), st.lists(st.sets(st.sampled_from("abcdef"), max_size=4), max_size=8))
def test_every_sequence_follows_the_common_order(order: list[str], parts: list[set[str]]) -> None:
    sequences = [[key for key in order if key in part] for part in parts]
    found = common_order(sequences)
    assert set(found) == set().union(*parts)
    assert all(sorted(sequence, key=found.index) == sequence for sequence in sequences)


def test_a_shape_has_each_key_with_the_kinds_seen() -> None:
    objects: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"a": None, "c": True}, {"b": [1], "c": {}}]
    shape = shape_of(objects)
    assert dict(shape.keys) == {
        "a": ("null", "number"), "b": ("any", "string"), "c": ("any", "boolean"),
    }  # fmt: skip


def test_keys_the_client_states_are_allowed_as_strings() -> None:
    assert shape_of([{"a": 1}], ["a", "note"]).keys == (("a", ("number",)), ("note", ("string",)))
    assert shape_of([], ["note"]).keys == (("note", ("string",)),)


def test_lists_hold_objects_of_the_shape_and_nothing_else() -> None:
    shape = JsonShape((("a", ("number",)), ("b", ("string",))), repeated=True)
    for written in ("[]", '[{"a": 1}]', '[{"a": 1, "b": "x"}, {}, {"b": "y"}]'):
        assert accepts(shape, written)
    for refused in ('{"a": 1}', '[{"c": 1}]', "[1]", '[{"a": 1},{"a": 2}]', '[{"a": 1}'):
        assert not accepts(shape, refused)
    assert not accepts(replace(shape, repeated=False), '[{"a": 1}]')


def test_half_a_character_in_a_key_is_none() -> None:
    assert shape_of([{"mentions": 1, "\ud83d": 2}]).keys == (("mentions", ("number",)), ("\ufffd", ("number",)))


def test_of_very_many_keys_any_is_allowed() -> None:
    """A grammar of all of them would take longer than the answers."""
    few, many = (JsonShape(tuple((f"k{i}", ("number",)) for i in range(n))) for n in (2, MOST_KEYS + 1))
    assert not accepts(few, '{"else": "x"}')
    assert accepts(many, '{"else": "x", "k1": 1}')
    assert not accepts(many, "[]")


def test_a_compiled_grammar_is_kept_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_grammar, "MOST_BYTES", 500_000)
    tokenizer = _tokenizer()
    compiler = GrammarCompiler(tokenizer, len(tokenizer), [tokenizer.eos_token_id])
    for n in range(30):
        compiler.start(shape_of([{f"key {n} {i}": 1 for i in range(30)}]), 1)
    assert 0 < compiler._compiler.get_cache_size_bytes() < 1_000_000, "thirty take three million"


def test_of_contradicting_orders_the_commonest_is_written_so_that_no_key_stands_twice() -> None:
    shape = shape_of([*[{"b": 1, "a": 2}] * 2, {"a": 1, "b": 2}])
    assert accepts(shape, '{"b": 1, "a": 2}')
    for text in ('{"a": 1, "b": 2}', '{"b": 1, "b": 2}', '{"c": 1}'):
        assert not accepts(shape, text), text


def test_a_shape_takes_any_part_of_its_keys_once_and_in_order() -> None:
    shape = shape_of([{"a": 1, "b": "x", "c": None}])
    for keys in ([], ["a"], ["b"], ["c"], ["a", "b"], ["a", "c"], ["b", "c"], ["a", "b", "c"]):
        values = {"a": 1, "b": "x", "c": None}
        assert accepts(shape, json.dumps({key: values[key] for key in keys})), keys
    for text in ('{"b": "x", "a": 1}', '{"a": 1, "a": 2}', '{"a": "x"}', '{"a": 1,}', '{"a":1}', '{"a": 1'):
        assert not accepts(shape, text), text


def test_without_keys_any_object_is_allowed() -> None:
    assert accepts(shape_of([{}]), '{"x": [1, {"y": null}], "z": "é"}')
    assert accepts(shape_of([{}]), "{}")
    assert not accepts(shape_of([{}]), "[]")


TEXTS = ["text", 'quo"te', "back\\slash", "line\nfeed", "größe 火 😀", ""]
VALUES = [*TEXTS, 0, -1.5, 1e-7, 12345678901234567890, True, None, []]


@pytest.mark.parametrize("value", VALUES)
def test_whatever_json_dumps_writes_is_allowed(value: object) -> None:
    assert accepts(shape_of([{"key": value}]), json.dumps({"key": value}, ensure_ascii=False))
    assert accepts(shape_of([{"key": value}]), json.dumps({"key": value}))


@pytest.mark.parametrize("text", ['{"key": 01}', '{"key": .5}', '{"key": 1.}', '{"key": +1}', '{"key": NaN}'])
def test_what_is_no_json_number_is_not_allowed(text: str) -> None:
    assert not accepts(shape_of([{"key": 1}]), text)


ODD_KEYS = [
    *TEXTS[1:],
    *("tab\t", "", " ", "a: b", "{}", "'", "[^", "\\n", "\x7f", "%", '\\"'),
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_compile_and_are_written_as_json_writes_them(key: str) -> None:
    shape = JsonShape(((key, ("string",)), ("other", ("number",))))
    assert accepts(shape, json.dumps({key: "x", "other": 1}, ensure_ascii=False))
    assert not accepts(shape, json.dumps({key + "?": "x"}, ensure_ascii=False))


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.dictionaries(KEYS, st.sampled_from(VALUES), max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_grammar_of_an_object_writes_that_object(item: dict[str, Any]) -> None:
    assert accepts(shape_of([item]), json.dumps(item, ensure_ascii=False))
