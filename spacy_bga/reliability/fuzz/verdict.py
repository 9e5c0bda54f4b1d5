"""What became of one input: an answer, one clear error, or something that must not happen."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from thinc.api import ConfigValidationError

from spacy_bga.errors import BGAError

ANSWER = "answer"
LONGEST_MESSAGE = 5000  # characters
_CODE = re.compile(r"\[([BW]\d{3})\] ")
# A message is read on a terminal, in a log or on a page: it must not be able to drive any of them.
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Broken(AssertionError):
    """A promise that an answer or a message did not keep."""


def judge(attempt: Callable[[], Any]) -> str:
    """Try one input.

    attempt (Callable): Uses the input, and raises `Broken` if the answer is not what was promised.
    RETURNS (str): "answer", or the code of the one error that was raised.
    RAISES (Broken): The error is one, but no clear one. Any other exception that is no clear error goes through.
    """
    try:
        attempt()
    except BGAError as error:
        return clear(error)
    except ConfigValidationError:
        return "ConfigValidationError"
    return ANSWER


def clear(error: Exception) -> str:
    """RETURNS (str): The code of an error. Raises `Broken` if it is no clear one."""
    if not isinstance(error, BGAError):
        raise Broken(f"not an error of spacy_bga: {type(error).__name__}: {str(error)[:300]!r}") from error
    message = str(error)
    code = _CODE.match(message)
    expect(code is not None, f"a message without a code: {message[:200]!r}")
    expect(len(message) <= LONGEST_MESSAGE, f"a message of {len(message):,} characters: {message[:200]!r}")
    found = _UNPRINTABLE.search(message)
    expect(found is None, f"a message with the character {found and found[0]!r}: {message[:200]!r}")
    return code[1] if code else ""


def expect(condition: object, message: str) -> None:
    """Raise `Broken` with the message unless the condition holds."""
    if not condition:
        raise Broken(message)
