from __future__ import annotations

import pytest
import spacy
from spacy.training import Example
from spacy.util import registry

from spacy_bga.errors import BGAError


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    nlp = spacy.blank("en")
    docs = [nlp.make_doc("word " * (1 + (7 * i) % 23)) for i in range(50)]
    return [Example(doc, doc.copy()) for doc in docs]


def make(**settings):
    return registry.batchers.get("spacy_bga.batch_by_length.v1")(**settings)


def padding(batches) -> int:
    return sum(max(map(len, batch)) * len(batch) - sum(map(len, batch)) for batch in batches)


@pytest.mark.parametrize(("size", "buffer"), [(1, 1), (4, 2), (8, 16), (50, 1), (64, 2)])
def test_every_example_once_in_full_batches(examples, size, buffer):
    batches = list(make(size=size, buffer=buffer)(iter(examples)))
    assert sorted(id(example) for batch in batches for example in batch) == sorted(map(id, examples))
    assert sorted(map(len, batches), reverse=True)[:-1] == [size] * (len(batches) - 1)


def test_less_is_padded(examples):
    plain = [examples[start : start + 5] for start in range(0, 50, 5)]
    assert padding(make(size=5, buffer=10)(examples)) < padding(plain) / 4


def test_order_is_random_by_seed_and_goes_on_over_epochs(examples):
    def order(batcher):
        return [[len(example) for example in batch] for batch in batcher(examples)]

    batcher = make(size=5, seed=1)
    first, second = order(batcher), order(batcher)
    assert order(make(size=5, seed=1)) == first
    assert second != first
    assert sorted(map(tuple, second)) == sorted(map(tuple, first))
    assert first != sorted(first, key=max)


def test_nothing(examples):
    assert list(make(size=5)([])) == []


@pytest.mark.parametrize("settings", [{"size": 0}, {"size": 4, "buffer": 0}])
def test_bad_settings(settings):
    with pytest.raises(BGAError, match="B347"):
        make(**settings)
