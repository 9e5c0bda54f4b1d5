"""How long to train: epochs, steps and evaluations for so many texts."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_STEPS = 230
"""Updates at least: what 300 posts (12 epochs) and the embedded corpus (10) were trained with."""
MOST_EVALUATIONS = 30


@dataclass(frozen=True)
class Schedule:
    """The length of a training run.

    epochs (int): How often each labelled text is seen. steps_per_epoch (int): Updates that this takes once.
    """

    epochs: int
    steps_per_epoch: int

    @property
    def max_steps(self) -> int:
        """RETURNS (int): All updates."""
        return self.epochs * self.steps_per_epoch

    @property
    def eval_frequency(self) -> int:
        """RETURNS (int): Updates between evaluations: one epoch, or several where epochs are short."""
        return self.steps_per_epoch * math.ceil(self.epochs / MOST_EVALUATIONS)

    @property
    def warmup_steps(self) -> int:
        """RETURNS (int): Updates until the learning rate is at its height: a tenth of all."""
        return max(1, self.max_steps // 10)


def fit_schedule(texts: int, *, pairs: int = 0, batch: int, epochs: int) -> Schedule:
    """A schedule for so many texts.

    texts (int): The texts to learn from. pairs (int): Image-text pairs beside them, of which `spacy_bga.MixedCorpus.v1`
        gives each text one.
    batch (int): The examples of an update, texts and pairs together. epochs (int): The least number of epochs; more of
        them are taken where that makes fewer than `LEAST_STEPS` updates.
    RETURNS (Schedule): The schedule.
    """
    steps = max(1, math.ceil((texts + min(pairs, texts)) / batch))
    return Schedule(max(epochs, math.ceil(LEAST_STEPS / steps)), steps)
