"""What a process holds: what the system has lent it, and how much of that is in use."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

from spacy_bga.benchmark.memory import MEGABYTE, resident_megabytes

if TYPE_CHECKING:
    from spacy.language import Language

COLUMNS = ("seconds", "documents", "rss_mb", "malloc_mb", "python_blocks", "lexemes", "len_vocab", "strings")


class _MallInfo2(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
        )
    ]  # fmt: skip


def sample(nlp: Language, seconds: float, documents: int) -> list[float | None]:
    """Look at what a process holds.

    nlp (Language): The pipeline. seconds (float), documents (int): How far it is.
    RETURNS (list[Optional[float]]): A row of `COLUMNS`: beside how far it is, the resident memory; what `malloc` has
        given out (glibc alone, else None); Python's blocks in use; the lexemes that the vocabulary has, what `len` says
        that it has (spaCy does not count down when a memory zone ends), and its strings.
    """
    vocab = nlp.vocab
    allocated = malloc_megabytes()
    return [
        round(seconds, 1),
        documents,
        round(resident_megabytes(), 2),
        None if allocated is None else round(allocated, 2),
        sys.getallocatedblocks(),
        sum(1 for _ in vocab),
        len(vocab),
        len(vocab.strings),
    ]


def malloc_megabytes() -> float | None:
    """RETURNS (Optional[float]): What `malloc` has given out and not got back, in millions of bytes; None without a
    recent glibc."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    ask.restype = _MallInfo2
    info = ask()
    return (info.uordblks + info.hblkhd) / MEGABYTE


def trim() -> bool:
    """RETURNS (bool): Whether glibc gave what it holds unused back to the system; False without glibc."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError, TypeError):
        return False
