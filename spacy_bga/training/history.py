"""The evaluations of a training, which a resumed one remembers instead of making them again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
"""What spaCy's loop tells of an evaluation."""
Evaluate = Callable[[], tuple[float, dict[str, Any]]]
KEYS = ("epoch", "step", "score", "other_scores", "losses", "seconds", "words")


class History:
    """What was evaluated so far.

    remembered (Sequence[Row]): The rows of the training that is resumed.
    """

    def __init__(self, remembered: Sequence[Row] = ()):
        self.rows: list[Row] = []
        self._remembered = list(remembered)

    @property
    def is_replaying(self) -> bool:
        """RETURNS (bool): Whether the next evaluation was made before."""
        return len(self.rows) < len(self._remembered)

    def recalling(self, evaluate: Evaluate) -> Evaluate:
        """RETURNS (Callable): An evaluation that remembers what was made before, and makes the others."""

        def recall() -> tuple[float, dict[str, Any]]:
            if not self.is_replaying:
                return evaluate()
            row = self._remembered[len(self.rows)]
            return row["score"], row["other_scores"]

        return recall

    def enter(self, info: Row) -> None:
        """Take in an evaluation, and complete what the loop tells of it by what it can't know: what was before.

        info (Row): What spaCy's loop tells loggers, changed in place.
        """
        if self.is_replaying:
            info |= self._remembered[len(self.rows)]
        elif self._remembered:
            for key in ("seconds", "words"):
                info[key] += self._remembered[-1][key]
        self.rows.append(json.loads(json.dumps({key: info[key] for key in KEYS}, default=_plain, skipkeys=True)))


def _plain(value: Any) -> Any:
    """RETURNS (Any): A number of NumPy's as one of Python's; None for what JSON can't hold."""
    return value.item() if hasattr(value, "item") else None
