"""The learning rate of an update: spaCy's, also where nobody steps its schedule."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from spacy.util import logger
from thinc.api import Optimizer

from spacy_bga.errors import Warnings

IDLE_UPDATES = 5  # with a rate of 0, before it is told: a warm-up begins with one
MOST_STEPS = 100_000  # of a schedule, in search of its height
# Of that height, for what has been trained before: a few updates on a few posts, far from what it knows, must not cost
# what it knows.
GOING_ON = 0.02


class CountedSchedule(Iterator[float]):
    """A schedule of thinc's that tells how often it was stepped.

    schedule (Iterator[float]): The schedule.
    """

    def __init__(self, schedule: Iterator[float]):
        self._schedule = schedule
        self.steps = 0

    def __next__(self) -> float:
        value = next(self._schedule)
        self.steps += 1
        return value

    def climb(self, rate: float) -> float:
        """Step to where the schedule is at its height.

        rate (float): Where it is now. RETURNS (float): The height, which may be where it is.
        """
        for _ in range(MOST_STEPS):
            following = next(self._schedule, rate)
            if following < rate:
                break
            rate = following
        return rate


class Pace:
    """Takes the learning rate from spaCy's optimizer at each update.

    `spacy train` steps the optimizer's schedules after each update. A loop of one's own around `nlp.update` doesn't: a
    schedule that warms up stays at its first rate, 0, and nothing would be learnt. The second update can tell: nobody
    has stepped the schedule since the first. From there on the rate is the schedule's height, or a share of it.

    goes_on (bool): Whether the weights were trained before.
    """

    def __init__(self, *, goes_on: bool = False) -> None:
        self._share = GOING_ON if goes_on else 1.0
        self._schedule: CountedSchedule | None = None
        self._steps = self._idle = 0

    def rate(self, optimizer: Optimizer) -> float:
        """The rate of the update that is due.

        optimizer (Optimizer): spaCy's. Its `learn_rate` is set to what is returned.
        RETURNS (float): The rate.
        """
        if optimizer.learn_rate == 0:
            self._leave_zero(optimizer)
        self._idle = 0 if optimizer.learn_rate else self._idle + 1
        if self._idle == IDLE_UPDATES:  # and not again until it has learnt in between
            warnings.warn(Warnings.W213.format(number=IDLE_UPDATES), stacklevel=2)
        return optimizer.learn_rate

    def _leave_zero(self, optimizer: Optimizer) -> None:
        schedules: dict[str, Any] = optimizer.schedules
        if "learn_rate" not in schedules:
            return
        schedule = schedules["learn_rate"]
        if not isinstance(schedule, CountedSchedule):
            schedules["learn_rate"] = schedule = CountedSchedule(schedule)
        if schedule is not self._schedule:
            self._schedule, self._steps = schedule, schedule.steps
        elif schedule.steps == self._steps:
            optimizer.learn_rate = self._share * schedule.climb(0.0)
            logger.info("Nobody steps the learning rate, which begins at 0: learning at %g", optimizer.learn_rate)
        self._steps = schedule.steps
