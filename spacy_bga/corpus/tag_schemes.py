"""The schemes that mark entities by tags on tokens: IOB1, IOB2 (BIO), IOBES, BILUO and BMES.

All become IOB2. spaCy's `iob_utils` would turn BILUO into it as well, but they look for "U-" and "L-" anywhere in a
tag, and so change labels such as OIL-FIELD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spacy_bga.corpus.conll import mend_tags

# By the prefixes that only they have: of the last token, of a token alone, of one inside.
_SCHEMES = {"IOBES": frozenset("ES"), "BILUO": frozenset("LU"), "BMES": frozenset("MES"), "BMEWO": frozenset("MEW")}
_BEGINS, _CONTINUES, _ENDS = frozenset("BSUW"), frozenset("ILEM"), frozenset("ELSUW")


def find_scheme(sequences: Iterable[Sequence[str]]) -> str | None:
    """Find out by which scheme a whole file was tagged.

    sequences (Iterable[Sequence[str]]): The tags of its texts.
    RETURNS (str | None): "IOB1", "IOB2", "IOBES", "BILUO", "BMES", "BMEWO", "mixed", or None without an entity.
    """
    prefixes: set[str] = set()
    begins_freely = orphans = False
    for tags in sequences:
        previous = "O"
        for tag in tags:
            prefixes.add(tag[:1])
            # IOB1 has a B- only between two entities of one label, and begins all others by I-.
            begins_freely |= tag.startswith("B-") and previous[2:] != tag[2:]
            orphans |= tag.startswith("I-") and previous[2:] != tag[2:]
            previous = tag
    special = prefixes & frozenset("ESLUMW")
    if special:
        return next((name for name, own in _SCHEMES.items() if special <= own), "mixed")
    if not prefixes & frozenset("BI"):
        return None
    return "IOB1" if orphans and not begins_freely else "IOB2"


def to_iob2(tags: Sequence[str], scheme: str | None) -> tuple[list[str], int]:
    """Turn the tags of one text into IOB2.

    tags (Sequence[str]): Its tags. scheme (str | None): The scheme of its file.
    RETURNS (tuple[list[str], int]): The tags, and how many entities had no tag of a beginning, though the scheme has.
    """
    plain = []
    ended = 0
    previous = "O"
    for tag in tags:
        prefix, label = tag[:1], tag[2:]
        if prefix in _CONTINUES and label and previous[:1] in _ENDS and previous[2:] == label:
            plain.append(f"B-{label}")  # what has ended can't be continued
            ended += 1
        elif prefix in _BEGINS or prefix in _CONTINUES:
            plain.append(f"{'B' if prefix in _BEGINS else 'I'}-{label}")
        else:
            plain.append(tag)
        previous = tag
    mended, orphans = mend_tags(plain)
    return mended, 0 if scheme == "IOB1" else orphans + ended
