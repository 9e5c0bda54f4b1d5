"""One stream of labelled texts and image-text pairs, mixed in proportion."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from spacy.language import Language
from spacy.training import Example

from spacy_bga.errors import BGAError, Errors

Reader = Callable[[Language], Iterable[Example]]


class MixedCorpus:
    """Iterate examples of two readers in proportion, spread evenly over the stream.

    With any `max_epochs` but -1, spaCy shuffles what it read, so that batches hold both in proportion on average.

    A call yields everything: each pair once, and the labelled texts as often as keeps the proportion. When streaming,
    a call yields each labelled text once, and pairs are dealt like cards: those that it did not take are left for
    the next call, and when all have been seen they are read and shuffled again.

    labelled (Callable | None): A reader of labelled texts.
    pairs (Callable | None): A reader of image-text pairs.
    pairs_per_labelled (float | None): How many pairs go with one labelled text; None: each text and pair once.
    stream (bool): For `max_epochs = -1`, where spaCy calls the corpus anew in every epoch.
    shuffle (bool): Whether to shuffle both. One alone comes as it is, unless it is streamed.
    seed (int): The seed of the first epoch, and of the first round through the pairs.
    RAISES (BGAError): There is no reader at all, or the ratio is negative.
    """

    def __init__(
        self,
        labelled: Reader | None,
        pairs: Reader | None,
        *,
        pairs_per_labelled: float | None = 1.0,
        stream: bool = False,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        if labelled is None and pairs is None:
            raise BGAError(Errors.B343)
        if pairs_per_labelled is not None and not 0 <= pairs_per_labelled < float("inf"):
            raise BGAError(Errors.B344.format(value=pairs_per_labelled))
        self.labelled = labelled
        self.pairs = pairs
        self.pairs_per_labelled = pairs_per_labelled
        self.stream = stream
        self.shuffle = shuffle
        self.seed = seed
        self._calls = 0
        self._rounds = 0
        self._deck: deque[Example] = deque()
        self._deck_owner: Language | None = None

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples of one epoch.

        nlp (Language): The current nlp object.
        YIELDS (Example): Labelled texts and pairs.
        """
        call = self._calls
        self._calls += 1
        labelled = self._read(self.labelled, nlp)
        if not self.stream or self.pairs_per_labelled is None or not labelled:
            wanted = self.pairs_per_labelled != 0 or not labelled
            pairs = self._read(self.pairs, nlp) if wanted else []
            if self.stream or (labelled and pairs):
                labelled, pairs = self._shuffle(labelled, call), self._shuffle(pairs, call)
            yield from interleave(labelled * self._repeats(len(labelled), len(pairs)), len(pairs), iter(pairs))
        else:
            number = round(self.pairs_per_labelled * len(labelled))
            yield from interleave(self._shuffle(labelled, call), number, self._deal(nlp, number))

    def _repeats(self, labelled: int, pairs: int) -> int:
        """How often the labelled texts go into one pass over the pairs."""
        if not self.pairs_per_labelled or not labelled:
            return 1
        return max(1, round(pairs / (self.pairs_per_labelled * labelled)))

    @staticmethod
    def _read(reader: Reader | None, nlp: Language) -> list[Example]:
        return [] if reader is None else list(reader(nlp))

    def _shuffle(self, examples: list[Example], turn: int) -> list[Example]:
        if self.shuffle:
            random.Random(self.seed + turn).shuffle(examples)
        return examples

    def _deal(self, nlp: Language, number: int) -> Iterator[Example]:
        """Take pairs off the deck one by one, so that a call which is given up early wastes none of them."""
        for _ in range(number):
            if self._deck_owner is not nlp:  # examples belong to the vocabulary that they were made with
                self._deck_owner, self._rounds = nlp, 0
                self._deck.clear()
            if not self._deck:
                self._deck.extend(self._shuffle(self._read(self.pairs, nlp), self._rounds))
                self._rounds += 1
            if not self._deck:
                return
            yield self._deck.popleft()


def interleave(first: list[Example], number: int, second: Iterator[Example]) -> Iterator[Example]:
    """Merge two sequences so that each is spread evenly over the result and keeps its order.

    first (list[Example]): One sequence.
    number (int): The length of the other.
    second (Iterator[Example]): The other, taken from as needed; it may end early.
    YIELDS (Example): All of both.
    """
    taken = 0
    for i, example in enumerate(first):
        # Element i of n stands at (i + 1/2) / n of the way. In whole numbers, to be the same on every machine.
        while taken < number and (2 * taken + 1) * len(first) < (2 * i + 1) * number:
            yield from _next(second)
            taken += 1
        yield example
    for _ in range(number - taken):
        yield from _next(second)


def _next(examples: Iterator[Example]) -> Iterator[Example]:
    for example in examples:
        yield example
        return
