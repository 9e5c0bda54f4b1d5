"""The batches of spaCy's training loop, in an order that can be taken up in the middle."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from spacy.training import Example

from spacy_bga.errors import BGAError, Errors
from spacy_bga.training.random_streams import Streams, read_streams, set_streams

Batch = tuple[int, Sequence[Example]]
"""The epoch and its examples, as spaCy's `create_train_batches` yields them."""


class BatchStream:
    """Iterates batches, and remembers what decided their order: where the random number generators were whenever a
    corpus, a batcher or a shuffle drew from them.

    Readers and batchers have states of their own, such as a generator or a schedule. So a stream is taken up by reading
    all that was consumed before, which gets empty batches: nothing is trained on twice.

    batches (Iterator[Batch]): The batches from the beginning. place (Optional[dict[str, Any]]): The `place` of an
        earlier stream, to be taken up; None: the beginning.
    """

    def __init__(self, batches: Iterator[Batch], place: dict[str, Any] | None = None):
        place = place or {"consumed": 0, "digest": 0, "draws": {}}
        self._batches = batches
        self._goal, self._expected = place["consumed"], place["digest"]
        self._draws: dict[str, Streams] = dict(place["draws"])
        self._consumed = self._digest = 0

    @property
    def place(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): How many batches were "consumed", the "digest" of their texts, and the "draws": the
        states of the generators before a batch drew from them, unless it was the last one who did."""
        return {"consumed": self._consumed, "digest": self._digest, "draws": dict(self._draws)}

    def __iter__(self) -> Iterator[Batch]:
        """YIELDS (tuple[int, Sequence[Example]]): The epoch, and its next examples; none of what was consumed before.

        RAISES (BGAError): What was consumed before reads otherwise now.
        """
        left: Streams = {}
        while self._consumed < self._goal:
            set_streams(left | self._draws.get(str(self._consumed), {}))
            epoch, batch = next(self._batches, (0, None))
            left = read_streams()
            if batch is None:
                raise BGAError(Errors.B675)
            self._count(batch)
            if self._consumed == self._goal and self._digest != self._expected:
                raise BGAError(Errors.B675)
            yield epoch, []
        while True:
            before = read_streams()
            epoch, batch = next(self._batches, (0, None))
            if batch is None:
                return
            after = read_streams()
            drawn = {name: state for name, state in before.items() if state != after[name]}
            # What the last to draw from a generator left it at, the next one finds when it is taken up.
            unknown = {name: state for name, state in drawn.items() if state != left.get(name)}
            if unknown:
                self._draws[str(self._consumed)] = unknown
            left |= {name: after[name] for name in drawn}
            self._count(batch)
            yield epoch, batch

    def _count(self, batch: Sequence[Example]) -> None:
        self._consumed += 1
        for example in batch:
            self._digest = zlib.crc32(example.reference.text.encode("utf8", "surrogatepass"), self._digest)
