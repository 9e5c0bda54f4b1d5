"""Steps for so many texts: the schedules that the repository's own runs have, and what holds for any number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_bga.starter.schedule import LEAST_STEPS, MOST_EVALUATIONS, fit_schedule


@pytest.mark.parametrize(
    ("texts", "pairs", "batch", "epochs", "max_steps", "steps_per_epoch"),
    [
        (3373, 0, 16, 4, 844, 211),  # text_only.cfg
        (3373, 11980, 32, 4, 844, 211),  # starter.cfg
        (3373, 0, 16, 30, 6330, 211),  # paper.cfg
        (420, 300, 32, 4, 230, 23),  # project.yml, on the embedded corpus
    ],
)
def test_schedules_of_the_repository(texts, pairs, batch, epochs, max_steps, steps_per_epoch):
    schedule = fit_schedule(texts, pairs=pairs, batch=batch, epochs=epochs)
    assert (schedule.max_steps, schedule.steps_per_epoch) == (max_steps, steps_per_epoch)


def test_schedule_of_300_posts():
    schedule = fit_schedule(300, batch=16, epochs=4)
    assert (schedule.epochs, schedule.max_steps, schedule.warmup_steps) == (13, 247, 24)
    assert schedule.eval_frequency == schedule.steps_per_epoch == 19


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 256), st.integers(1, 50))
def test_any_schedule(texts, pairs, batch, epochs):
    schedule = fit_schedule(texts, pairs=pairs, batch=batch, epochs=epochs)
    assert schedule.max_steps >= LEAST_STEPS
    assert schedule.epochs >= epochs
    assert schedule.max_steps < LEAST_STEPS + schedule.steps_per_epoch or schedule.epochs == epochs
    assert 0 < schedule.warmup_steps < schedule.max_steps
    assert 1 <= schedule.max_steps // schedule.eval_frequency <= MOST_EVALUATIONS
