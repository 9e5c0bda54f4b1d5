"""An endless stream of posts, each with a word that nobody has ever seen."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from spacy_bga.reliability.subject import ODD_TEXTS

ODD, LONG = 97, 1009  # how often there is one
LONG_POSTS = 40
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]


def posts(texts: Sequence[str], seed: int) -> Iterator[str]:
    """YIELDS (str): One of the texts with a word replaced; now and then an odd one, or one of many posts in a row.

    texts (Sequence[str]): Where the other words are from. seed (int): Draws them.
    """
    rng = random.Random(seed)
    number = 0
    while True:
        number += 1
        if number % LONG == 0:
            yield " ".join(rng.choice(texts) for _ in range(LONG_POSTS))
        elif number % ODD == 0:
            yield rng.choice(ODD_TEXTS)
        else:
            words = rng.choice(texts).split()
            words[rng.randrange(len(words))] = new_word(number)
            yield " ".join(words)


def new_word(number: int) -> str:
    """RETURNS (str): A capitalized word, another one for each number."""
    syllables = ["qu"]  # of which no other word is made
    while number:
        number, place = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[place])
    return "".join(syllables).capitalize()
