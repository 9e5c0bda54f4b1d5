"""Every message that spacy_bga raises or warns with: what happened, where, and what mends it.

Codes: 1xx aligner, 2xx pipeline, 3xx corpus, 4xx starter, 5xx evaluation and console.
"""

from __future__ import annotations


class _Coded(type):
    """Puts the message's code in front of it, as spaCy does: `Errors.B101` -> "[B101] ..."."""

    def __getattribute__(cls, name: str):
        value = super().__getattribute__(name)
        if name.startswith("_") or not isinstance(value, str):
            return value
        return f"[{name}] {value}"


class BGAError(ValueError):
    """An error of this library whose message is meant for the person who can mend it."""


class ImageError(BGAError):
    """An image that cannot be used: missing, unreadable, too large or outside the image root."""


class Errors(metaclass=_Coded):
    # 1xx: the aligner

    # 2xx: the pipeline component

    # 3xx: the corpus

    # 4xx: starter encoders and the embedded corpus

    # 5xx: evaluation and the console
    B599 = "Unreachable."


class Warnings(metaclass=_Coded):
    # 2xx: the pipeline component

    # 3xx: the corpus

    # 4xx: starter encoders and the embedded corpus

    # 5xx: evaluation and the console
    W599 = "Unreachable."
