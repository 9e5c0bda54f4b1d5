"""What was evaluated before is remembered, whatever scorers and components put into it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from spacy_bga.training.history import History


def info(step: int, score: float, **more: Any) -> dict[str, Any]:
    row = {"epoch": 0, "step": step, "score": score, "other_scores": {}, "losses": {}, "seconds": 3, "words": 100}
    return {**row, "checkpoints": [(score, step)], **more}


def unexpected() -> tuple[float, dict[str, Any]]:
    raise AssertionError("it was evaluated before")


def test_remembers():
    first = History()
    assert first.recalling(lambda: (0.1, {"a": 1.0}))() == (0.1, {"a": 1.0})
    first.enter(info(0, 0.1, other_scores={"a": 1.0}))
    first.enter(info(5, 1 / 3))
    second = History(json.loads(json.dumps(first.rows)))
    evaluate = second.recalling(unexpected)
    assert second.is_replaying
    assert evaluate() == (0.1, {"a": 1.0})
    second.enter(info(0, 0.1, seconds=0, words=0))
    row = info(5, 1 / 3, seconds=0, words=0)
    assert evaluate() == (1 / 3, {})
    second.enter(row)
    assert (row["seconds"], row["words"]) == (3, 100)
    assert not second.is_replaying
    assert second.recalling(lambda: (0.5, {}))() == (0.5, {})
    row = info(10, 0.5, seconds=2, words=50)
    second.enter(row)
    assert (row["seconds"], row["words"]) == (5, 150)
    assert second.rows[:2] == first.rows


def test_what_json_can_not_hold():
    history = History()
    scores = {"speed": np.float32(0.5), "n": np.int64(3), "types": {"PER": {"f": 0.1}, 3: None}, "matrix": object()}
    losses = {"ner": np.float64(0.1), ("a", "b"): 1.0}
    history.enter(info(0, np.float64(0.1), other_scores=scores, losses=losses))
    assert history.rows[0]["other_scores"] == {
        "speed": 0.5,
        "n": 3,
        "types": {"PER": {"f": 0.1}, "3": None},
        "matrix": None,
    }
    assert history.rows[0]["losses"] == {"ner": 0.1}
    assert history.rows[0]["score"] == 0.1


def test_empty_scores_stay_apart():
    """What a row says later does not change what was said."""
    history, losses = History(), {"ner": 1.0}
    history.enter(info(0, 0.1, losses=losses))
    losses["ner"] = 2.0
    assert history.rows[0]["losses"] == {"ner": 1.0}
