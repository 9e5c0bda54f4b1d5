"""A stream that is taken up yields what the whole one would have, whoever else draws random numbers meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.loop import create_train_batches

from spacy_bga.corpus.batcher import create_length_batcher
from spacy_bga.errors import BGAError
from spacy_bga.training.batch_stream import BatchStream
from spacy_bga.training.random_streams import read_streams, set_streams

NLP = spacy.blank("en")


class Corpus:
    """Texts that are drawn anew in each epoch, if `augment` says so from that many generators."""

    def __init__(self, texts: Sequence[str], *, augment: int = 0):
        self.texts = texts
        self.augment = augment

    def __call__(self, nlp: Any) -> Iterator[Example]:
        for text in self.texts:
            number = ""
            if self.augment > 0:
                number += f" {random.randrange(1000)}"
            if self.augment > 1:
                number += f" {np.random.randint(1000)}"
            if self.augment > 2:
                number += f" {torch.randint(1000, (1,)).item()}"
            doc = Doc(NLP.vocab, words=f"{text}{number}".split(" "))
            yield Example(Doc(NLP.vocab, words=[token.text for token in doc]), doc)


def make_batches(corpus: Corpus, max_epochs: int) -> Iterator:
    return create_train_batches(NLP, corpus, create_length_batcher(2, buffer=2), max_epochs)


def texts(batch: tuple[int, Sequence[Example]]) -> tuple[int, list[str]]:
    return batch[0], [example.reference.text for example in batch[1]]


def seed_all() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def disturb(which: int) -> None:
    """What a component may do between two batches."""
    if which & 1:
        random.random()
    if which & 2:
        np.random.random()
    if which & 4:
        torch.rand(1)


@settings(max_examples=40)
@given(
    st.integers(1, 7),
    st.sampled_from([-1, 0, 3]),
    st.integers(0, 3),
    st.lists(st.integers(0, 7), max_size=9),
    st.data(),
)
def test_taken_up(n_texts: int, max_epochs: int, augment: int, disturbances: list[int], data: st.DataObject):
    corpus = Corpus([f"text {i} of" + " many" * (i % 3) for i in range(n_texts)], augment=augment)
    seed_all()
    stream = BatchStream(make_batches(corpus, max_epochs))
    expected, places, states = [], [json.dumps(stream.place)], [read_streams()]
    for which, batch in zip(disturbances, stream, strict=False):
        expected.append(texts(batch))
        disturb(which)
        places.append(json.dumps(stream.place))
        states.append(read_streams())
    consumed = data.draw(st.integers(0, len(expected)))
    seed_all()
    resumed = BatchStream(make_batches(corpus, max_epochs), json.loads(places[consumed]))
    batches = iter(resumed)
    assert [texts(next(batches)) for _ in range(consumed)] == [(epoch, []) for epoch, _ in expected[:consumed]]
    set_streams(states[consumed])  # as a checkpoint does
    for number in range(consumed, len(expected)):
        assert texts(next(batches)) == expected[number]
        disturb(disturbances[number])
        assert json.dumps(resumed.place) == places[number + 1]
        assert read_streams() == states[number + 1]


def test_states_are_kept_only_where_they_are_needed():
    """Of a shuffle by epoch, not by batch; and not where nobody else drew."""
    seed_all()
    stream = BatchStream(make_batches(Corpus([f"text {i}" for i in range(8)]), 0))
    for number, _ in zip(range(16), stream, strict=False):
        disturb(4 | (number == 5))
    assert list(stream.place["draws"]) == ["0", "8"]
    assert all(set(drawn) == {"python"} for drawn in stream.place["draws"].values())


@pytest.mark.parametrize("now", [["a b", "c", "d"], ["a b"], [], ["a c", "c"], ["c", "a b"]])
def test_other_data(now: list[str]):
    def batches(found: list[str]) -> Iterator:
        for example in Corpus(found)(NLP):
            yield 0, [example]

    stream = BatchStream(batches(["a b", "c", "d"]))
    for _ in zip(range(2), stream, strict=False):
        pass
    resumed = BatchStream(batches(now), stream.place)
    if now == ["a b", "c", "d"]:
        assert [texts(batch) for batch in resumed] == [(0, []), (0, []), (0, ["d "])]
    else:
        with pytest.raises(BGAError, match="B675"):
            list(resumed)


def test_an_end_is_an_end():
    assert list(BatchStream(iter([]))) == []
