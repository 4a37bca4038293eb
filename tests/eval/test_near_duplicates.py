"""Copies with small edits are found; rows that merely follow the same template are not."""

import random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.near_duplicates import near_duplicate_groups, one_slip, words_of

VERBS = ["play", "find", "book", "rate", "order", "cancel"]
OTHERS = [
    f"{verb} {thing} {where}"
    for verb in VERBS
    for thing in ("a table for two", "the new album", "this heavy blue suitcase", "a window seat", "the last invoice")
    for where in ("near the old harbour", "before the weekend", "with my saved card")
]
"""A background of ordinary inputs: what a word says depends on how often others use it."""


def joined(*texts: str) -> bool:
    """Whether these, and nothing else, are found among other inputs."""
    assert not near_duplicate_groups(OTHERS)
    return near_duplicate_groups([*OTHERS, *texts]) == [tuple(range(len(OTHERS), len(OTHERS) + len(texts)))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I verify my identity?", "how do i verify my indentity"),
        ("Where is my parcel?", "Where is my pacrel ..."),
        ("where is my parcel", "where is my parcels"),
        ("I don't know my PIN!", "i dont know my pin"),
        ("How do I top up my account?", "How do I top-up my account?"),
        ("How do I top up my account?", "How do I topup my account?"),
        ("„Wo ist mein Paket?“", "Wo ist mein Paket"),
        ("Ｗhere is my ﬁle", "where is my file"),
        ("पैसा कब मिलेगा।", "पैसा कब मिलेगा"),
        ("मैं पासवर्ड भूल गया", "मैं पसवर्ड भूल गया"),
        ("मैं पासवर्ड भूल गया", "मैंपासवर्ड भूल गया"),
        (
            "my card was swallowed by the machine at the station yesterday evening and nobody answers the phone",
            "my card was swallowed by the machine at the station yesterday evening, and nobody answers a phone",
        ),
        (
            "my card was swallowed by the machine at the station yesterday evening and nobody answers the phone",
            "my crad was swallowed by the machine at the staton yesterday evening and nobody answers the phone",
        ),
    ],
)
def test_small_edits_make_near_duplicates(one: str, other: str) -> None:
    assert joined(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("play Yesterday by the Beatles", "play Imagine by the Beatles"),
        ("what are the symptoms of hepatitis A", "what are the symptoms of hepatitis B"),
        ("what are the treatments for gout", "what are the symptoms of gout"),
        ("where is order 48213", "where is order 48214"),
        ("it costs 3.5 euros", "it costs 35 euros"),
        ("great camera 😀", "great camera 😡"),
        ("what is C++", "what is C#"),
        ("i can pay by card", "i can't pay by card"),
        ("do it now", "do it not"),
        ("fly from Oslo to Rome", "fly from Rome to Oslo"),
        ("我要取消订单", "我要取消订阅"),
        ("मेरा बेटा बीमार है", "मेरी बेटी बीमार है"),
        ("मेरा कार्ड खो गया है", "मेरा कार्ड खा गया है"),
        ("दिन में दो बार", "दान में दो बार"),
        ("🙂", "🙁"),
        ("status", "statue"),
        ("Schmidt", "Schmitt"),
        ("???", "!"),
    ],
)
def test_small_differences_of_meaning_do_not(one: str, other: str) -> None:
    assert not joined(one, other)


def test_rows_of_one_template_stay_apart_however_long_it_is() -> None:
    names = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo", "Kit", "Lea", "Max", "Ned", "Oz", "Pia"]
    for template in (
        "play {} by {}",
        "please tell me " + "what we have agreed on in the meeting of last week " * 5 + "{} {}",
    ):
        texts = [template.format(a, b) for a in names for b in names]
        assert near_duplicate_groups(texts) == []


def test_a_chain_of_edits_is_one_group() -> None:
    assert joined("where is my parcel", "where is my parcels", "where is my parcelss")


def test_different_words_are_no_chain_of_copies() -> None:
    assert near_duplicate_groups(["slots", "slows", "shows", "shots", "shorts", "sorts"]) == []
    assert joined("shorts", "Shorts!")
    assert joined("key board", "keyboard")


def test_exact_copies_are_reported_only_with_a_near_one() -> None:
    assert near_duplicate_groups([*OTHERS, "Where is my parcel", "where  is my parcel"]) == []
    assert joined("Where is my parcel", "where  is my parcel", "where is my parcel?")


def test_nothing_is_found_in_nothing() -> None:
    assert near_duplicate_groups([]) == near_duplicate_groups(["", " ", ""]) == near_duplicate_groups(["a"]) == []


edited = st.sampled_from(
    [*OTHERS[:8], "where is my parcel", "where is my pacel", "where is my parcel now please", "?", ""]
)


@settings(deadline=None)
@given(st.lists(edited, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_the_texts_does_not_matter(texts: list[str], shuffler: random.Random) -> None:
    order = shuffler.sample(range(len(texts)), len(texts))
    shuffled = near_duplicate_groups([texts[i] for i in order])
    assert sorted(tuple(sorted(order[i] for i in group)) for group in shuffled) == near_duplicate_groups(texts)


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_groups_are_disjoint_and_hold_different_texts(texts: list[str]) -> None:
    groups = near_duplicate_groups(texts)
    members = [i for group in groups for i in group]
    assert len(members) == len(set(members))
    assert all(len({texts[i] for i in group}) > 1 and list(group) == sorted(group) for group in groups)


def test_twenty_thousand_rows_take_less_than_a_minute() -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(2, 9))) for _ in range(5000)]
    texts = [" ".join(words[int(5000 * rng.random() ** 3)] for _ in range(14)) for _ in range(19_990)]
    texts += [f"{text} {words[0]}" for text in texts[:10]]
    start = process_time()
    assert near_duplicate_groups(texts) == [(i, 19_990 + i) for i in range(10)]
    assert process_time() - start < 60


def filled_forms(rows: int, rng: random.Random) -> list[str]:
    """Forty fixed words, and ten that are the rows' own."""
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(4, 9))) for _ in range(20_000)]
    fixed = " ".join(rng.sample(words, 40))
    often = [words[int(20_000 * rng.random() ** 6)] for _ in range(8 * rows)]
    return [
        f"customer {rng.choice(words)} {rng.choice(words)} wrote {fixed} about {' '.join(often[8 * i : 8 * i + 8])}"
        for i in range(rows)
    ]


def test_copies_among_forms_are_found_though_most_words_are_the_same() -> None:
    forms = filled_forms(300, random.Random(0))
    copies = [form.replace("customer", "costumer") for form in forms[:10]]
    shorter = [form.removesuffix(form.split()[-1]) for form in forms[10:20]]
    assert near_duplicate_groups([*forms, *copies, *shorter]) == [(i, 300 + i) for i in range(20)]


def test_four_thousand_forms_take_a_few_seconds() -> None:
    forms = filled_forms(4000, random.Random(0))
    start = process_time()
    assert near_duplicate_groups(forms) == []
    assert process_time() - start < 6


def test_texts_that_differ_in_one_sign_are_not_compared_with_each_other() -> None:
    texts = [f"grade {chr(0x4E00 + i)}" for i in range(8000)] + ["grade 7 please", "grade 7 plaese"]
    start = process_time()
    assert near_duplicate_groups(texts) == [(8000, 8001)]
    assert process_time() - start < 6


def test_every_slip_in_a_short_text_is_found() -> None:
    rng = random.Random(0)
    words = ["where", "parcel", "cannot", "my", "on", "42", "दिन", "में", "पासवर्ड", "取", "消", "주문번호를", "Größe"]
    texts = [" ".join(rng.sample(words, 3)) for _ in range(60)]
    for text in texts[:60]:
        place, other = rng.randrange(1, len(text)), rng.choice(" eré取न4")
        after = text[place + 1 :]
        texts += [text[:place] + end for end in (after, other + after, other + text[place:])]
        texts.append(text[:place] + text[place : place + 2][::-1] + text[place + 2 :])
    read = [words_of(text) for text in texts]
    group = {i: members for members in near_duplicate_groups(texts) for i in members}
    slips = [(a, b) for a in range(len(texts)) for b in range(a) if one_slip(read[a], read[b])]
    assert len(slips) > 50
    assert all(group[a] is group[b] for a, b in slips)


def test_the_same_texts_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*OTHERS, "where is my parcel", "where is my parcels"]
    first = near_duplicate_groups(texts)
    monkeypatch.setattr("eval.near_duplicates._roots", None)
    assert near_duplicate_groups(tuple(texts)) == first


def test_signs_are_words_also_after_latin_letters_and_figures() -> None:
    assert words_of("iPhoneの電源が3日") == ("iphone", "の", "電", "源", "が", "3", "日")


def test_a_word_holds_the_marks_on_its_letters_and_an_emoji_is_none() -> None:
    assert words_of("दिन में, है।") == ("दिन", "में", "है")
    assert words_of("ok ❤️") == ("ok", "❤", "\ufe0f")
