"""Docstrings of this house, `name (type): meaning. RETURNS (type): meaning`, in a form that griffe reads."""

from __future__ import annotations

import re
from textwrap import indent

import griffe

# At the start of a line or of a sentence: one or more names, a type whose brackets are balanced, a colon.
ENTRY = re.compile(
    r"(?:^|(?<=[.:;!?)\]`] ))(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*) \((?P<type>(?:[^()]|\([^()]*\))+)\):\s",
    re.MULTILINE,
)
SECTIONS = {"RETURNS": "Returns", "YIELDS": "Yields", "RAISES": "Raises"}


def entries(paragraph: str) -> tuple[str, list[tuple[str, str, str]]]:
    """RETURNS (tuple[str, list[tuple[str, str, str]]]): The prose before the entries; their names, type, meaning."""
    found = list(ENTRY.finditer(paragraph))
    if not found:
        return paragraph, []
    ends = [match.start() for match in found[1:]] + [len(paragraph)]
    meanings = (
        re.sub(r"\s+", " ", paragraph[match.end() : end]).strip() for match, end in zip(found, ends, strict=True)
    )
    return paragraph[: found[0].start()].strip(), [
        (match["names"], match["type"], meaning) for match, meaning in zip(found, meanings, strict=True)
    ]


def to_google(docstring: str, *, names: str = "Args") -> str:
    """Write a docstring in Google's style, with prose first and one section for each kind of entry.

    docstring (str): The docstring, without its indentation. names (str): The section for what has a name.
    RETURNS (str): The same, as griffe's parser wants it.
    """
    prose: list[str] = []
    sections: dict[str, list[str]] = {names: [], **{title: [] for title in SECTIONS.values()}}
    for paragraph in docstring.split("\n\n"):
        before, listed = entries(paragraph)
        if before:
            prose.append(before)
        for entry, type_, meaning in listed:
            if entry in SECTIONS:
                sections[SECTIONS[entry]].append(f"{type_}: {meaning}")
            else:
                sections[names] += [f"{name} ({type_}): {meaning}" for name in entry.split(", ")]
    written = [f"{title}:\n{indent(chr(10).join(lines), '    ')}" for title, lines in sections.items() if lines]
    return "\n\n".join(prose + written)


class HouseDocstrings(griffe.Extension):
    """Hands griffe the docstrings of classes, functions and attributes in the style that it parses."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring is None or obj.is_module:
            return
        # What griffe takes for a class without parameters.
        is_tuple = isinstance(obj, griffe.Class) and any(str(base) == "NamedTuple" for base in obj.bases)
        obj.docstring.value = to_google(obj.docstring.value, names="Attributes" if is_tuple else "Args")
