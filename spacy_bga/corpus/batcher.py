"""A registered batcher: batches of a fixed number of examples of like length, so that little is padded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from spacy import registry
from spacy.training import Example

from spacy_bga.errors import BGAError, Errors

Batcher = Callable[[Iterable[Example]], Iterator[list[Example]]]


@registry.batchers("spacy_bga.batch_by_length.v1")
def create_length_batcher(size: int, *, buffer: int = 16, seed: int = 0) -> Batcher:
    """Create a batcher that sorts by length what a buffer holds, cuts it into batches and yields them in random order.

    spaCy's `batch_by_padded` also saves padding, but by batches of ever other sizes, from long to short: here every
    update learns from as many examples, and their order tells nothing of their length.

    size (int): Examples in a batch; the last one of a stream may have fewer.
    buffer (int): Batches that are sorted together: the more, the less is padded.
    seed (int): The seed of the order.
    RETURNS (Callable): The batcher.
    RAISES (BGAError): The size or the buffer is less than 1.
    """
    if size < 1 or buffer < 1:
        raise BGAError(Errors.B347.format(size=size, buffer=buffer))
    shuffle = random.Random(seed).shuffle

    def batch(examples: Iterable[Example]) -> Iterator[list[Example]]:
        stream = iter(examples)
        while part := list(islice(stream, size * buffer)):
            part.sort(key=lambda example: len(example.reference))
            batches = [part[start : start + size] for start in range(0, len(part), size)]
            shuffle(batches)
            yield from batches

    return batch
