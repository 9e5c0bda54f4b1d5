"""Each message is raised somewhere, and triggered by a test."""

from __future__ import annotations

import re
import string
from pathlib import Path

from spacy_bga.errors import Errors, Warnings

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
