"""Names that nobody has: pronounceable, and of a form that says nothing."""

from __future__ import annotations

import random

ONSETS = "b br c ch cl d dr f fl g gr h j k kl l m n p pl qu r s sh sk sl st str t th tr v w z"
VOWELS = "a e i o u ai ea ee oo ou"
CODAS = " b d k l m n nd r rk rn rt s sh sk st t th x"  # the first is none


def coin_names(number: int, rng: random.Random) -> list[str]:
    """RETURNS (list[str]): So many names of two to four syllables, none within another one."""
    onsets, vowels, codas = (part.split(" ") for part in (ONSETS, VOWELS, CODAS))
    names: dict[str, None] = {}
    while len(names) < number:
        syllables = (rng.choice(onsets) + rng.choice(vowels) + rng.choice(codas) for _ in range(rng.randint(2, 4)))
        name = "".join(syllables)
        if not any(name in other or other in name for other in names):
            names[name] = None
    return [name.capitalize() for name in names]
