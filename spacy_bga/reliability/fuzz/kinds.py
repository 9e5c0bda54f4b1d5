"""What the campaign consists of: kinds of input, each in several forms, and what is done with an input."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors

KINDS = ("texts", "images", "corpora", "configs", "folders", "pages")


@dataclass(frozen=True)
class Form:
    """One form of a kind, such as animated images.

    strategy (SearchStrategy): What Hypothesis draws inputs from. share (int): How many of them there should be,
        relative to the other forms: dear ones are fewer.
    """

    strategy: Any
    share: int = 2


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    forms (Mapping[str, Form]): Its forms by their names.
    open_bench (Callable[[Path], Any]): Makes, once and below a folder, what the inputs are tried on.
    attempt (Callable[[Any, Any], str]): Tries an input on that bench. Returns "answer" or an error's code; raises for
        whatever must not happen.
    """

    forms: Mapping[str, Form]
    open_bench: Callable[[Path], Any]
    attempt: Callable[[Any, Any], str]


def check_kinds(names: Sequence[str]) -> list[str]:
    """RETURNS (list[str]): Kinds of these names, in our order. Raises a BGAError for a name that is none."""
    for name in names:
        if name not in KINDS:
            raise BGAError(Errors.B731.format(name=name, known=", ".join(KINDS)))
    return [name for name in KINDS if name in names]


def load_kind(name: str) -> Kind:
    """RETURNS (Kind): One of `KINDS`."""
    return importlib.import_module(f"spacy_bga.reliability.fuzz.{name}").KIND


def quotas(inputs: int, kinds: Mapping[str, Kind]) -> dict[tuple[str, str], int]:
    """RETURNS (dict[tuple[str, str], int]): How many inputs of each kind and form make up at least so many."""
    shares = {(name, form): f.share for name, kind in kinds.items() for form, f in kind.forms.items()}
    total = sum(shares.values())
    return {key: -(-inputs * share // total) for key, share in shares.items()}
