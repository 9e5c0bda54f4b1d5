"""What is said of the scores of a trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spacy_bga.evaluation.bootstrap import Interval
from spacy_bga.evaluation.uptake import ALL, BGA, LABELS, NEVER, PAIRS, SHUFFLED, TEXT_ONLY
from spacy_bga.trial.arms import KINDS_IGNORED
from spacy_bga.trial.verdict import Findings

NOTHING = Interval(0.0, -2.0, 2.0)


def make_seed(rights: dict[str, float], *, posts: int = 200, trust: float = 0.5, seed: int = 0) -> dict[str, dict]:
    """RETURNS (dict): Scores of one seed, of posts with two entities each, of which so large a share is right."""
    rng = np.random.default_rng(seed)
    scores = {}
    for arm, share in rights.items():
        right = rng.binomial(2, share, size=posts)
        rows = np.stack([right, np.full(posts, 2), np.full(posts, 2)], axis=1).tolist()
        none = np.zeros((posts, 3), dtype=int).tolist()
        perfect = np.full((posts, 3), 2).tolist()
        counts = {LABELS: none, PAIRS: rows, NEVER: none, ALL: rows, KINDS_IGNORED: perfect}
        scores[arm] = {"counts": counts, "seconds": 1.0, "trust": None if arm == TEXT_ONLY else trust}
    return scores


@pytest.mark.parametrize(
    ("rights", "settings", "answer", "words"),
    [
        ({TEXT_ONLY: 0.5, BGA: 0.8, SHUFFLED: 0.5}, {}, "pay", "Pictures pay: +"),
        ({TEXT_ONLY: 0.5, BGA: 0.8, SHUFFLED: 0.8}, {}, "do not pay", "shuffled pictures do as well"),
        ({TEXT_ONLY: 0.8, BGA: 0.5, SHUFFLED: 0.8}, {}, "do not pay", "a gain of 1 point can be ruled out"),
        ({TEXT_ONLY: 0.5, BGA: 0.55, SHUFFLED: 0.5}, {"posts": 20}, "can't be told", "more posts to score by"),
        ({TEXT_ONLY: 0.5, BGA: 0.5, SHUFFLED: 0.5}, {"posts": 20, "trust": 0.0}, "do not pay", "tells nothing"),
    ],
)
def test_verdicts(rights: dict[str, float], settings: dict, answer: str, words: str):
    findings = Findings.from_seeds([make_seed(rights, seed=seed, **settings) for seed in range(3)])
    assert findings.answer == answer
    assert words in findings.sentence


def test_findings_by_hand():
    findings = Findings.from_seeds([make_seed({TEXT_ONLY: 0.5, BGA: 1.0, SHUFFLED: 0.0}, posts=400)])
    assert findings.f1[ALL][BGA] == 100
    assert findings.f1[PAIRS][SHUFFLED] == 0
    assert findings.entities == {LABELS: 0, PAIRS: 800, NEVER: 0, ALL: 800}
    assert findings.gain.mean == pytest.approx(100 - findings.f1[ALL][TEXT_ONLY])
    assert findings.over.mean == 100
    assert findings.headroom == pytest.approx(100 - findings.f1[ALL][TEXT_ONLY])
    assert (findings.seeds, findings.posts, findings.trust) == (1, 400, 0.5)


def test_more_posts_make_the_interval_as_narrow_as_the_gain():
    findings = Findings.from_seeds([make_seed({TEXT_ONLY: 0.5, BGA: 0.5, SHUFFLED: 0.5})])
    findings = replace(findings, gain=Interval(2.0, -2.0, 6.0), over=NOTHING, posts=100)
    assert findings.more_posts == 300  # 4 times as many posts, half the width
    assert replace(findings, gain=Interval(5.0, 3.0, 7.0)).more_posts == 0
