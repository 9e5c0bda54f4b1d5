"""Going on learning by spaCy's own means: with the saved config's optimizer, in a loop that steps no schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.language import Language
from thinc.api import Adam, Optimizer, warmup_linear

from spacy_bga.pipeline.pace import GOING_ON, IDLE_UPDATES, Pace
from tests.pipeline.conftest import POSTS, aligner_of, found, make_example, make_examples, pipe_of

HEIGHT = 0.03
SCHEDULE = {
    "@schedules": "warmup_linear.v1",
    "warmup_steps": 10,
    "total_steps": 100,
    "initial_rate": HEIGHT,
}


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in aligner_of(nlp).state_dict().items()}


def n_changed(nlp: Language, before: dict[str, torch.Tensor]) -> int:
    return sum(not torch.equal(tensor, before[name]) for name, tensor in aligner_of(nlp).state_dict().items())


def warm_up(nlp: Language) -> None:
    """Let the pipeline's config have the schedule of the shipped ones."""
    nlp.config["training"]["optimizer"]["learn_rate"] = SCHEDULE


def follow(schedule: Iterator[float]) -> Optimizer:
    rates: Any = schedule  # thinc has a type of its own for generators
    return Adam(rates)


@pytest.fixture
def saved(trained: Language, tmp_path: Path) -> Path:
    warm_up(trained)
    trained.to_disk(tmp_path / "saved")
    return tmp_path / "saved"


class TestLoaded:
    def test_resumed(self, saved: Path):
        """What `spacy.load`, `resume_training` and `update` do without any further setting."""
        nlp = spacy.load(saved)
        before = weights(nlp)
        optimizer = nlp.resume_training()
        assert optimizer.learn_rate == 0
        new = make_example(nlp, "a b c", [(1, 2, "ORG")])
        losses = [nlp.update([new], sgd=optimizer)["bga_ner"] for _ in range(30)]
        assert optimizer.learn_rate == pytest.approx(GOING_ON * HEIGHT)
        assert n_changed(nlp, before) > len(before) / 2
        assert losses[-1] < 0.85 * losses[0]

    def test_with_the_pipelines_own_optimizer(self, saved: Path):
        nlp = spacy.load(saved)
        before = weights(nlp)
        for _ in range(3):
            nlp.update(make_examples(nlp))
        assert n_changed(nlp, before)

    def test_finished_by_hand(self, saved: Path):
        nlp = spacy.load(saved)
        before = weights(nlp)
        optimizer = nlp.resume_training()
        for _ in range(3):
            pipe_of(nlp).update(make_examples(nlp))
            pipe_of(nlp).finish_update(optimizer)
        assert n_changed(nlp, before)

    def test_ten_updates_cost_nothing_of_what_is_known(self, saved: Path):
        nlp = spacy.load(saved)
        optimizer = nlp.resume_training()
        for i in range(10):
            words = " ".join("abcens"[(i + j) % 6] for j in range(3))
            nlp.update([make_example(nlp, words, [(i % 3, i % 3 + 1, "LOC")])], sgd=optimizer)
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_a_rate_of_ones_own_is_kept(self, saved: Path):
        nlp = spacy.load(saved)
        optimizer = nlp.resume_training()
        optimizer.learn_rate = 0.002
        for _ in range(3):
            nlp.update(make_examples(nlp), sgd=optimizer)
        assert optimizer.learn_rate == 0.002


def test_initialized_in_a_loop(make_nlp: Callable[..., Language]):
    """What begins learns at the schedule's height, as it does in `spacy train`."""
    nlp = make_nlp(text_only=True)
    warm_up(nlp)
    optimizer = nlp.create_optimizer()
    losses = [nlp.update(make_examples(nlp), sgd=optimizer)["bga_ner"] for _ in range(20)]
    assert optimizer.learn_rate == pytest.approx(HEIGHT)
    assert losses[-1] < losses[0]


class TestPace:
    def test_a_schedule_that_is_stepped_is_followed(self):
        optimizer = follow(warmup_linear(1.0, warmup_steps=4, total_steps=8))
        expected, pace, rates = list(map(next, [warmup_linear(1.0, 4, 8)] * 8)), Pace(), []
        for _ in range(8):
            rates.append(pace.rate(optimizer))
            optimizer.step_schedules()
        assert rates == expected
        assert rates[0] == 0

    def test_two_components_share_an_optimizer(self):
        optimizer, paces = follow(warmup_linear(1.0, warmup_steps=4, total_steps=8)), [Pace(), Pace()]
        for _ in range(3):
            first, second = (pace.rate(optimizer) for pace in paces)
            assert first == second
            optimizer.step_schedules()
        assert first == 0.5

    def test_a_schedule_that_is_not_stepped_is_at_its_height(self):
        optimizer, pace = follow(warmup_linear(1.0, warmup_steps=4, total_steps=8)), Pace()
        assert [pace.rate(optimizer) for _ in range(4)] == [0, 1.0, 1.0, 1.0]

    def test_another_rate_is_not_touched(self):
        optimizer, pace = follow(iter([0.5, 0.25])), Pace()
        assert [pace.rate(optimizer) for _ in range(4)] == [0.5] * 4

    @pytest.mark.parametrize("rate", [0.0, iter([0.0, 0.0])])
    def test_a_rate_of_zero_is_told_once(self, rate: Any):
        optimizer, pace = Adam(rate), Pace()
        with pytest.warns(UserWarning, match=rf"W213.*{IDLE_UPDATES} updates") as told:
            rates = {pace.rate(optimizer) for _ in range(3 * IDLE_UPDATES)}
        assert (rates, len(told)) == ({0.0}, 1)

    def test_the_end_of_a_schedule_is_told(self):
        optimizer, pace = follow(warmup_linear(1.0, warmup_steps=1, total_steps=3)), Pace()

        def update(number: int) -> None:
            for _ in range(number):
                pace.rate(optimizer)
                optimizer.step_schedules()

        update(4)  # the last of `spacy train` is beyond the end
        with pytest.warns(UserWarning, match="W213"):
            update(9)
