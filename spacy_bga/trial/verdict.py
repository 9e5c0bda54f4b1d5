"""Whether pictures pay, told from the scores of a trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spacy_bga.evaluation.bootstrap import EntityCounts, Interval, f1, paired_bootstrap
from spacy_bga.evaluation.uptake import ALL, BGA, LABELS, NEVER, PAIRS, SHUFFLED, TEXT_ONLY
from spacy_bga.trial.arms import KINDS_IGNORED

WORTH = 1.0  # points of F1: less is not worth the pictures
SLICES = (LABELS, PAIRS, NEVER, ALL)

Answer = Literal["pay", "do not pay", "can't be told"]
Seeds = Sequence[Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Findings:
    """What a trial has found.

    f1 (dict[str, dict[str, float]]): By slice and arm, the mean over seeds. entities (dict[str, int]): Gold entities of
        each slice. gain, control, over (Interval): By how many points of F1, over all entities, BGA is ahead of text
        alone, its control with shuffled pictures is ahead of text alone, and BGA is ahead of its control.
    headroom (float): Points of F1 that text alone loses to wrong kinds, which pictures could tell.
    trust (float): How far BGA goes by what words look like, the mean over seeds. seeds, posts (int): How many seeds,
        and posts to score by.
    """

    f1: dict[str, dict[str, float]]
    entities: dict[str, int]
    gain: Interval
    control: Interval
    over: Interval
    headroom: float
    trust: float
    seeds: int
    posts: int

    @classmethod
    def from_seeds(cls, seeds: Seeds, *, resamples: int = 5000) -> Findings:
        """RETURNS (Findings): What the scores of `Trial.run` tell. resamples (int): Of the intervals."""

        def counts(arm: str, name: str) -> list[EntityCounts]:
            return [np.array(seed[arm]["counts"][name]).reshape(-1, 3) for seed in seeds]

        def difference(arm: str, other: str) -> Interval:
            return paired_bootstrap(counts(arm, ALL), counts(other, ALL), resamples=resamples)

        means = {n: {arm: float(np.mean([f1(c) for c in counts(arm, n)])) for arm in seeds[0]} for n in SLICES}
        ignored = float(np.mean([f1(c) for c in counts(TEXT_ONLY, KINDS_IGNORED)]))
        return cls(
            f1=means,
            entities={name: int(counts(TEXT_ONLY, name)[0][:, 2].sum()) for name in SLICES},
            gain=difference(BGA, TEXT_ONLY),
            control=difference(SHUFFLED, TEXT_ONLY),
            over=difference(BGA, SHUFFLED),
            headroom=ignored - means[ALL][TEXT_ONLY],
            trust=float(np.mean([seed[BGA]["trust"] or 0.0 for seed in seeds])),
            seeds=len(seeds),
            posts=len(counts(TEXT_ONLY, ALL)[0]),
        )

    @property
    def answer(self) -> Answer:
        """Pictures pay if BGA is ahead of text alone and of its control beyond chance. They don't if what words look
        like tells nothing of the labels, if the control is as good, or if more than `WORTH` points can be ruled out."""
        if self.trust == 0:
            return "do not pay"
        if self.gain.low > 0:
            return "pay" if self.over.low > 0 else "do not pay"
        return "do not pay" if min(self.gain.high, self.over.high) < WORTH else "can't be told"

    @property
    def more_posts(self) -> int:
        """How many more posts to score by would tell the difference, if it is what it seems to be: the interval's width
        goes with the root of their number."""
        width = (self.gain.high - self.gain.low) / 2
        needed = self.posts * (width / max(abs(self.gain.mean), WORTH)) ** 2
        return max(0, 10 * math.ceil((needed - self.posts) / 10))

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        gain = f"{self.gain.mean:+.1f} points of F1 [{self.gain.low:+.1f}, {self.gain.high:+.1f}]"
        if self.answer == "pay":
            return f"Pictures pay: {gain} over text alone, and {self.over.mean:+.1f} over shuffled pictures."
        if self.answer == "can't be told":
            more = f"about {self.more_posts:,} more posts to score by, or more seeds, would"
            return f"It can't be told whether pictures pay: {gain} over text alone; {more}."
        if self.trust == 0:
            why = "what the pictures show tells nothing of the labels that the words don't tell by themselves"
        elif self.gain.low > 0:
            why = "shuffled pictures do as well, so that it isn't the pictures that help"
        else:
            why = f"a gain of {WORTH:g} point can be ruled out"
        return f"Pictures do not pay: {gain} over text alone; {why}."
