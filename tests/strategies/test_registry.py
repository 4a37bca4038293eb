"""Strategies by name, and kept solutions by kind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import pytest

from eval.errors import RequestError
from strategies.base import Allowance
from strategies.baselines import PassageCopy
from strategies.manifest import FILE, FORMAT, read_manifest, write_manifest
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.registry import EMBED, STRATEGIES, check_names, make_strategy
from strategies.retrieval.chunks import Passage
from strategies.retrieval.index import PassageIndex
from strategies.solutions import KINDS, load_solution
from strategies.workload import Profile


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    for refuse in (lambda: check_names(["zero_shot", "magic"]), lambda: make_strategy("magic")):
        with pytest.raises(RequestError) as raised:
            refuse()
        message = str(raised.value)
        assert message.startswith("--strategies: there is no strategy 'magic'; known are ")
        assert all(name in message for name in STRATEGIES)


def test_known_strategies_are_accepted() -> None:
    check_names(list(STRATEGIES))
    check_names([])


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_is_known_which_strategies_embed_what_is_asked(name: str) -> None:
    profile = Profile(
        train_rows=100, input_tokens=50, output_tokens=5, longest_output=9, label_tokens=9, passage_tokens=90,
        instruction_tokens=10, labels=3,
    )  # fmt: skip
    assert (make_strategy(name).workload(profile, Allowance()).query.embedded > 0) == (name in EMBED)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_name_leads_to_its_strategy(name: str) -> None:
    assert make_strategy(name).name == name
    assert make_strategy(name) is not make_strategy(name)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_solution_can_be_saved_and_loaded(kind: str) -> None:
    solution = resolve_name(KINDS[kind])
    assert all(callable(getattr(solution, method)) for method in ("predict", "save", "load"))


def test_names_are_looked_up_without_heavy_libraries() -> None:
    program = (
        "import sys, strategies.registry, strategies.solutions, strategies.models.catalogue\n"
        "print([m for m in ('torch', 'transformers', 'faiss', 'sklearn', 'sentence_transformers') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("text", ["## 1. Fee\n\nYou pay 25. No cash.", "# Club\n## Fee\nYou pay 25."])
def test_a_heading_is_no_answer_but_says_what_is_answered(text: str) -> None:
    passage = Passage("d", "", f"We open at 9.\n{text}\n## More")
    copy = PassageCopy(PassageIndex.build([passage], HashingEmbedder()), HashingEmbedder(), "sentence", 160, 0.0)
    assert copy.predict(["Fee"])[0].text.startswith("You pay")
    copy = replace(copy, index=PassageIndex.build([Passage("d", "", "## Fee")], HashingEmbedder()))
    assert copy.predict(["Fee"])[0].text == "## Fee", "of a passage without any sentence the whole"


def sentence_of(text: str, question: str) -> str:
    """What is copied of a passage."""
    index = PassageIndex.build([Passage("d", "", text)], HashingEmbedder())
    return PassageCopy(index, HashingEmbedder(), "sentence", 160, 0.0).predict([question])[0].text


@pytest.mark.parametrize("question", ["**How long does a visa take?**", "How long does a visa take?"])
@pytest.mark.parametrize("between", ["\n", "\n\n", " "])
def test_a_question_is_no_answer_but_says_what_is_answered(question: str, between: str) -> None:
    first, last = f"What is a visa?{between}A stamp.", f"Where is the desk?{between}Here."
    text = f"{first}\n{question}{between if '*' not in question else chr(10)}Ten days, at times more.\n{last}"
    assert sentence_of(text, "How long does a visa take?") == "Ten days, at times more."
    assert sentence_of("What is that?\nHow long does a visa take?", "How long?").startswith("What is that?")
    assert sentence_of("ما هي ساعات العمل؟\nمن التاسعة.", "ما هي ساعات العمل؟") == "من التاسعة."


def test_a_row_is_compared_with_the_first_of_its_table_which_is_no_answer_where_it_is_ruled_off() -> None:
    rows = ["Country\tFee", "Mt. Athos\t5", "Spain\t6"]
    assert sentence_of("\n".join(rows), "Fee country Spain") == rows[2]
    assert sentence_of("\n".join(rows), "Fee Mt. Athos") == rows[1]
    ruled = "\n".join(f"| {row} |".replace("\t", " | ") for row in (rows[0], "---\t---", *rows[1:]))
    assert sentence_of(ruled, "Country fee") != "| Country | Fee |"
    assert sentence_of("\n".join(["Weight | 38 kg", "Height | 85 cm"]), "Weight") == "Weight | 38 kg", "it has no head"
    assert sentence_of("It weighs 38 kg.\n---\nAsk us.", "It weighs").startswith("It weighs"), "that is no table"


def test_a_folder_without_a_manifest_is_no_solution(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no kept solution: solution.json is missing"):
        load_solution(tmp_path, ModelShelf())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 99, "kind": "constant"}', '{"format": 1, "kind": "echo"}', "", "[" * 100_000]
)
def test_a_manifest_that_cannot_be_read_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RequestError, match=r"solution.json (is damaged|has a format that this version does not read)"):
        load_solution(tmp_path, ModelShelf())


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    write_manifest(tmp_path, "magic", {})
    with pytest.raises(RequestError) as raised:
        load_solution(tmp_path, ModelShelf())
    assert all(kind in str(raised.value) for kind in ("magic", *KINDS))


def test_a_manifest_says_its_format_and_keeps_any_text(tmp_path: Path) -> None:
    write_manifest(tmp_path / "new", "constant", {"answer": "größe \u2028 火"})
    assert read_manifest(tmp_path / "new") == {"format": FORMAT, "kind": "constant", "answer": "größe \u2028 火"}
    assert json.loads((tmp_path / "new" / FILE).read_bytes())["kind"] == "constant"


def test_a_shelf_warns_where_the_weights_are_others_than_those_measured() -> None:
    shelf = ModelShelf(
        language_models={"scripted": ScriptedModel(lambda prompt: "")}, embedders={"hashing": HashingEmbedder()}
    )
    with pytest.warns(UserWarning, match="scripted on this machine has other weights"):
        shelf.language_model_for({"name": "scripted", "sha256": "f" * 64})
    with pytest.warns(UserWarning, match="hashing on this machine has other weights"):
        shelf.embedder_for({"name": "hashing", "sha256": "f" * 64})


def test_a_shelf_gives_the_same_model_every_time(recwarn: pytest.WarningsRecorder) -> None:
    model = ScriptedModel(lambda prompt: "")
    shelf = ModelShelf(language_models={"scripted": model})
    assert shelf.language_model_for({"name": "scripted", "sha256": "0" * 64}) is model
    assert shelf.language_model("scripted") is model
    assert not recwarn
