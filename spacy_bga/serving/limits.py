"""What a server takes, and how it puts texts together."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The settings of a server.

    body (int): Bytes of a request, else 413. text (int): Characters of a text, else 422.
    texts (int): Texts of a request, else 422. pixels (int): Of an image, else 422.
    waiting (int): Texts that wait to be tagged; a request that would make them more gets 429.
    batch (int): Texts that are tagged together.
    window (float): Seconds to wait for more texts. 0: those that come while others are tagged are the next batch.
    """

    body: int = 8_000_000
    text: int = 100_000
    texts: int = 256
    pixels: int = 20_000_000
    waiting: int = 1024
    batch: int = 64
    window: float = 0.0
