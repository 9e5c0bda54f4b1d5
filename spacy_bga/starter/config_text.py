"""The text of a config: comments, which are lost when it is read, back in their places; sections in a good order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Comments = Mapping[str, Sequence[str]]
SECTION = re.compile(r"\[([\w.-]+)\]\s*")
SETTING = re.compile(r"([@\w.*-]+)\s*=")


def read_comments(text: str, *, below: str = "") -> dict[str, list[str]]:
    """Read the comments of a config: the lines that stand right above a section or a setting.

    text (str): The config. below (str): A section that all of the text's sections are below.
    RETURNS (dict[str, list[str]]): The comments, by the names of what they are on: "training" or "training.max_steps".
    """
    comments: dict[str, list[str]] = {}
    pending: list[str] = []
    for line, name in _named(text):
        if line.startswith("#"):
            pending.append(line)
            continue
        if name and pending:
            comments[f"{below}.{name}" if below else name] = pending
        pending = []
    return comments


def write_comments(text: str, comments: Comments) -> str:
    """RETURNS (str): A config's text with comments above what they are on; those on nothing in it are left out."""
    return "".join(f"{line}\n" for read, name in _named(text) for line in (*comments.get(name, ()), read))


def arrange_sections(text: str, order: Sequence[str]) -> str:
    """Put the sections of a config in order, each followed by those below it.

    text (str): The config, as `Config.to_str` writes it. order (Sequence[str]): The names of the sections at the top;
        any others come last.
    RETURNS (str): The same config.
    """

    def place(block: str) -> tuple[int, list[str]]:
        found = SECTION.match(block)
        parts = found[1].split(".") if found else [""]
        return order.index(parts[0]) if parts[0] in order else len(order), parts

    return "\n\n".join(sorted(text.strip().split("\n\n"), key=place)) + "\n"


def _named(text: str) -> list[tuple[str, str]]:
    """RETURNS (list[tuple[str, str]]): The lines, each with the name of the section or setting that it begins."""
    lines, section = [], ""
    for line in text.splitlines():
        name = ""
        if found := SECTION.fullmatch(line):
            name = section = found[1]
        elif found := SETTING.match(line):
            name = f"{section}.{found[1]}"
        lines.append((line, name))
    return lines
