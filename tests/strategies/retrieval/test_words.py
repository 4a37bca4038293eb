"""Words find what embeddings blur; fused, the two searches find what either finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.models.base import ModelIdentity
from strategies.retrieval.chunks import Passage
from strategies.retrieval.index import PassageIndex, Ranks
from strategies.retrieval.words import WordIndex, terms, words

TEXTS = ["The pump P-774 leaks oil.", "The pump P-775 leaks oil.", "Holidays are booked in spring.", ""]


class Blurred:
    """Implements `Embedder`: all texts about pumps look the same."""

    identity = ModelIdentity("blurred", "0" * 64)
    max_tokens = 100
    marks_searches = False

    def count_tokens(self, texts):  # type: ignore[no-untyped-def]
        return [0] * len(texts)

    def encode(self, texts):  # type: ignore[no-untyped-def]
        return np.array([[1.0, 0.0] if "pump" in t.casefold() else [0.0, 1.0] for t in texts], dtype=np.float32)

    def encode_as(self, role, texts):  # type: ignore[no-untyped-def]
        return self.encode(texts)


def test_a_rare_word_decides() -> None:
    assert WordIndex(TEXTS).search(["what about p-775?"], 1) == [[1]]


def test_what_shares_no_word_is_not_found() -> None:
    assert WordIndex(TEXTS).search(["Zürich", "", "?!", "holidays"], 3) == [[], [], [], [2]]


@pytest.mark.parametrize("texts", [[], ["", "?"]])
def test_nothing_is_found_where_there_are_no_words(texts: list[str]) -> None:
    assert WordIndex(texts).search(["pump"], 2) == [[]]


def test_equals_keep_their_order() -> None:
    assert WordIndex(["same words", "other", "same words"]).search(["same"], 3) == [[0, 2]]


def test_both_searches_together_find_what_either_finds() -> None:
    index = PassageIndex.build([Passage(str(i), "", text) for i, text in enumerate(TEXTS)], Blurred())

    def first(query: str) -> list[list[str]]:
        return [[p.document_id for p in index.search([query], 1, share)[0]] for share in (0.0, 0.5, 1.0)]

    assert first("What of P-775, the oil one?") == [["2"], ["1"], ["1"]]
    assert first("Urlaub") == [["2"], ["2"], ["2"]], "words find nothing here"


RANKING = st.lists(st.integers(0, 9), unique=True, max_size=10)


@given(RANKING, RANKING, st.sampled_from([0.2, 0.5, 0.7]))
def test_fusing_loses_and_invents_nothing(meaning: list[int], wording: list[int], share: float) -> None:
    ranks = Ranks(meaning, wording)
    assert set(ranks.fused(share)) == {*meaning, *wording}
    assert ranks.fused(0.0)[: len(meaning)] == meaning
    assert ranks.fused(1.0)[: len(wording)] == wording
    assert Ranks(meaning, meaning).fused(share) == meaning


def test_found_by_both_comes_before_found_by_one() -> None:
    assert Ranks([1, 2, 3], [4, 3]).fused(0.5)[0] == 3


def test_a_larger_share_moves_the_first_to_where_words_have_it() -> None:
    ranks = Ranks([1, 2], [2, 1])
    assert [ranks.fused(share)[0] for share in (0.2, 0.5, 0.8)] == [1, 1, 2]


def test_scripts_without_spaces_are_searched_by_pairs_of_signs() -> None:
    index = WordIndex(["其首都为柏林，位于德国。", "其首都为巴黎，位于法国。", "Berlin is in Germany."])
    assert index.search(["法国的首都在哪里？", "巴黎", "berlin"], 1) == [[1], [1], [2]]


def test_vowels_that_are_marks_on_a_letter_tell_words_apart() -> None:
    index = WordIndex(["दान की राशि वापस नहीं होती", "दिन में दो बार दवा लें"])
    assert index.search(["दिन", "दान", "दीन"], 2) == [[1], [0], []]


def test_a_word_is_what_it_was_in_other_scripts() -> None:
    assert words("P-774 snake_case Größe: кошка ест") == ["p", "774", "snake_case", "grösse", "кошка", "ест"]
    assert words("iPhoneの電源") == ["iphone", "の電", "電源"]
    assert words("น้ำ") == ["น้", "้ำ"]


def test_other_forms_of_a_word_are_found() -> None:
    pairs = [
        ("Erstattungen erfolgen innerhalb von fünf Werktagen.", "Wann bekomme ich die Erstattung?"),
        ("Забытые пароли сбрасываются на странице входа.", "Как сбросить забытый пароль?"),
        ("Unutulan şifreler giriş sayfasından sıfırlanır.", "Şifremi nasıl sıfırlarım?"),
        ("Salasanat vaihdetaan kirjautumissivulla.", "Miten vaihdan unohtuneen salasanan?"),
        ("환불금은 카드사를 통해 오일 안에 입금됩니다.", "환불금을 언제 받을 수 있어요?"),
        ("Lost cards are blocked in the app.", "How do I block my card?"),
    ]
    index = WordIndex([text for text, _ in pairs])
    assert index.search([query for _, query in pairs], 1) == [[i] for i in range(len(pairs))]


def test_a_run_of_letters_is_no_word_and_weighs_less() -> None:
    assert terms("Card 환불금") == ["card", "#card", "환불금", "#환불", "#불금"]
    assert WordIndex(["postcards discarded", "the card", "nothing"]).search(["card"], 3) == [[1, 0]]
