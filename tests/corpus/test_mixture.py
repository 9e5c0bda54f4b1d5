from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.corpus.mixture import interleave
from spacy_bga.corpus.readers import create_mixed_corpus
from spacy_bga.errors import BGAError


class Texts:
    """A reader of numbered texts that counts how often it is read."""

    def __init__(self, letter: str, number: int) -> None:
        self.letter, self.number, self.reads = letter, number, 0

    def __call__(self, nlp):
        self.reads += 1
        for i in range(self.number):
            words = [f"{self.letter}{i}"]
            yield Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words))


def texts(examples) -> list[str]:
    return [example.reference[0].text for example in examples]


def only(letter: str, found: list[str]) -> list[str]:
    return [text for text in found if text.startswith(letter)]


def test_every_stretch_is_mixed(nlp):
    reader = create_mixed_corpus(Texts("l", 100), Texts("p", 1000), pairs_per_labelled=3, stream=True)
    found = texts(reader(nlp))
    assert len(found) == 400
    for start in range(0, 400, 20):
        assert len(only("l", found[start : start + 20])) == 5


def test_every_pair_is_seen_once_before_any_is_seen_twice(nlp):
    pairs = Texts("p", 25)
    reader = create_mixed_corpus(Texts("l", 10), pairs, stream=True)
    seen: list[str] = []
    for _ in range(10):
        found = texts(reader(nlp))
        assert Counter(only("l", found)) == {f"l{i}": 1 for i in range(10)}
        assert len(only("p", found)) == 10
        seen += only("p", found)
    rounds = [seen[i : i + 25] for i in range(0, 100, 25)]
    assert all(len(set(one)) == 25 for one in rounds)
    assert len(set(map(tuple, rounds))) == 4
    assert pairs.reads == 4


def test_a_call_that_is_given_up_wastes_no_pairs(nlp):
    reader = create_mixed_corpus(Texts("l", 10), Texts("p", 20), stream=True)
    seen = only("p", texts(islice(reader(nlp), 5)))
    seen += only("p", texts(reader(nlp)))
    while len(seen) < 20:
        seen += only("p", texts(reader(nlp)))
    assert len(set(seen[:20])) == 20


def test_more_pairs_per_epoch_than_there_are(nlp):
    reader = create_mixed_corpus(Texts("l", 10), Texts("p", 4), stream=True)
    counts = Counter(only("p", texts(reader(nlp))))
    assert sum(counts.values()) == 10
    assert set(counts.values()) == {2, 3}


def test_deterministic_and_different_in_each_epoch(nlp):
    first, second, other = (
        create_mixed_corpus(Texts("l", 20), Texts("p", 60), stream=True, seed=seed) for seed in (7, 7, 8)
    )
    epochs = [texts(first(nlp)) for _ in range(3)]
    assert epochs == [texts(second(nlp)) for _ in range(3)]
    assert epochs[0] != texts(other(nlp))
    assert only("l", epochs[0]) != only("l", epochs[1])
    assert set(only("p", epochs[0])).isdisjoint(only("p", epochs[1]))


def test_without_shuffling_both_keep_their_order(nlp):
    reader = create_mixed_corpus(Texts("l", 3), Texts("p", 5), stream=True, shuffle=False)
    assert texts(reader(nlp)) == ["l0", "p0", "l1", "p1", "l2", "p2"]
    assert texts(reader(nlp)) == ["l0", "p3", "l1", "p4", "l2", "p0"]


def test_all_pairs_each_epoch(nlp):
    reader = create_mixed_corpus(Texts("l", 3), Texts("p", 7), pairs_per_labelled=None)
    for _ in range(2):
        assert sorted(texts(reader(nlp))) == sorted([f"l{i}" for i in range(3)] + [f"p{i}" for i in range(7)])


@pytest.mark.parametrize(("ratio", "repeats"), [(1.0, 3), (2.0, 1), (100.0, 1), (0.5, 5), (None, 1)])
def test_one_call_yields_everything_in_proportion(nlp, ratio, repeats):
    reader = create_mixed_corpus(Texts("l", 10), Texts("p", 26), pairs_per_labelled=ratio)
    for _ in range(2):
        counts = Counter(texts(reader(nlp)))
        assert {text: n for text, n in counts.items() if text[0] == "l"} == {f"l{i}": repeats for i in range(10)}
        assert {text: n for text, n in counts.items() if text[0] == "p"} == {f"p{i}": 1 for i in range(26)}


def test_no_pairs_for_labelled_texts(nlp):
    for stream in (False, True):
        reader = create_mixed_corpus(Texts("l", 3), Texts("p", 9), pairs_per_labelled=0, stream=stream)
        assert sorted(texts(reader(nlp))) == ["l0", "l1", "l2"]


@pytest.mark.parametrize("ratio", [1.0, None, 0])
def test_one_side_only(nlp, ratio):
    for empty in (None, Texts("x", 0)):
        assert len(list(create_mixed_corpus(Texts("l", 3), empty, pairs_per_labelled=ratio)(nlp))) == 3
        assert len(list(create_mixed_corpus(empty, Texts("p", 3), pairs_per_labelled=ratio)(nlp))) == 3


def test_fractions(nlp):
    reader = create_mixed_corpus(Texts("l", 10), Texts("p", 100), pairs_per_labelled=0.5, stream=True)
    assert len(list(reader(nlp))) == 15


def test_another_nlp_object_gets_its_own_examples(nlp):
    import spacy

    reader = create_mixed_corpus(Texts("l", 2), Texts("p", 10), stream=True)
    list(reader(nlp))
    other = spacy.blank("en")
    assert all(example.reference.vocab is other.vocab for example in reader(other))


def test_wrong_settings():
    with pytest.raises(BGAError, match="B343"):
        create_mixed_corpus()
    for ratio in (-1, float("nan"), float("inf")):
        with pytest.raises(BGAError, match="B344"):
            create_mixed_corpus(Texts("l", 1), pairs_per_labelled=ratio)


@given(st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=100)
def test_interleave_is_even(n, m):
    found = list(interleave([("l", i) for i in range(n)], m, iter([("p", i) for i in range(m)])))  # type: ignore[misc,list-item]
    assert [x for x in found if x[0] == "l"] == [("l", i) for i in range(n)]
    assert [x for x in found if x[0] == "p"] == [("p", i) for i in range(m)]
    for end in range(len(found) + 1):
        labelled = sum(x[0] == "l" for x in found[:end])
        assert abs(labelled - end * n / max(n + m, 1)) <= 1
