"""Each message is raised somewhere, and triggered by a test."""

from __future__ import annotations

import pickle
import re
import string
from pathlib import Path

import pytest

from spacy_bga.errors import LONGEST_MESSAGE, BGAError, Errors, ImageError, Warnings

ROOT = Path(__file__).parent.parent
CODES = sorted(name for group in (Errors, Warnings) for name in vars(group) if re.fullmatch(r"[BW]\d{3}", name))
# Codes that no test can trigger, and why. None, so far.
UNTESTABLE: dict[str, str] = {}


def read_all(folder: str) -> str:
    paths = [path for path in (ROOT / folder).rglob("*.py") if path.name not in ("errors.py", "test_errors.py")]
    return "\n".join(path.read_text(encoding="utf8") for path in paths)


def message(code: str) -> str:
    return vars(Errors if code.startswith("B") else Warnings)[code]


def test_there_are_messages():
    assert len(CODES) > 100
    assert Errors.B101.startswith("[B101] Unknown distance")
    assert Warnings.W201.startswith("[W201] ")


def test_what_is_raised_and_what_has_a_message_is_the_same():
    assert set(re.findall(r"\b(?:Errors|Warnings)\.([BW]\d{3})\b", read_all("spacy_bga"))) == set(CODES)


def test_every_message_is_triggered_by_a_test():
    tests = read_all("tests")
    assert [code for code in CODES if code not in tests and code not in UNTESTABLE] == []
    assert set(UNTESTABLE) <= set(CODES)


def test_what_is_to_be_filled_in_has_a_name():
    for code in CODES:
        fields = [name for _, name, _, _ in string.Formatter().parse(message(code)) if name is not None]
        assert all(re.fullmatch(r"[a-z_]\w*", name) for name in fields), code


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),  # clears a terminal
        ("a\rb\tc\x00", r"a\rb\tc\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # reads as exe.png
        ("\ud800", r"\ud800"),  # can't be written to a log
        ("\u2028", r"\u2028"),
        ("é 漢 😀 \u200d\n", "é 漢 😀 \u200d\n"),
    ],
)
def test_what_a_message_quotes_drives_nothing(quoted: str, shown: str):
    for kind in (BGAError, ImageError):
        assert str(kind(f"There is no file {quoted}")) == f"There is no file {shown}"
        assert str(pickle.loads(pickle.dumps(kind(quoted)))) == shown  # as it comes out of a worker process


def test_what_a_message_quotes_may_be_a_line_of_megabytes():
    assert len(str(BGAError("x" * 10**6))) == LONGEST_MESSAGE + 3
    assert str(BGAError(KeyError("a"))) == "'a'"
