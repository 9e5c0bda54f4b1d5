"""How fast training is and how long it will take, against training runs whose every second is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import spacy
from spacy.language import Language

from spacy_bga.pipeline import progress
from spacy_bga.pipeline.progress import Progress, loss_keys, passed_on
from tests.pipeline.conftest import make_examples
from tests.pipeline.test_loggers import BGA_KEYS, make_info

UPDATE, EVALUATION, SAVING, READING, BATCH = 2.0, 9.0, 5.0, 30.0, 8


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 1000.0
        monkeypatch.setattr(progress, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def pipeline(nlp: Language, bga_config: dict) -> Language:
    nlp.add_pipe("bga_ner", config=bga_config)
    return nlp


def run(nlp: Language, clock: Clock, *, max_steps: int, eval_frequency: int, first: int = 0) -> Iterator[tuple]:
    """A training run as spaCy's loop goes, but for the work. YIELDS: The progress, the time, and a row or None."""
    nlp.config["training"] = {"max_steps": max_steps, "eval_frequency": eval_frequency}
    following = Progress(nlp)
    clock.now += READING
    for step in range(first, max_steps + 1):
        clock.now += UPDATE
        nlp.get_pipe("bga_ner").examples_seen += BATCH
        if step % eval_frequency:
            following.update()
            yield following, clock.now, None
        else:
            clock.now += EVALUATION
            yield following, clock.now, following.evaluation(make_info(step, dict.fromkeys(BGA_KEYS, 6.0)))
            clock.now += SAVING


@pytest.mark.parametrize(("max_steps", "eval_frequency"), [(40, 10), (45, 10), (300, 7), (9, 3)])
def test_time_left(pipeline: Language, clock: Clock, max_steps: int, eval_frequency: int):
    seen = list(run(pipeline, clock, max_steps=max_steps, eval_frequency=eval_frequency))
    _, end, _ = seen[-1]
    # What comes after an evaluation counts as its own time: the last one's is still expected at the end.
    end += SAVING if max_steps % eval_frequency == 0 else 0
    rows = [(now, row) for _, now, row in seen if row is not None]
    assert rows[0][1]["seconds_left"] is None
    assert rows[0][1]["examples_per_second"] is None
    for now, row in rows[1:]:
        assert row["examples_per_second"] == BATCH / UPDATE
        assert row["examples"] == BATCH * (row["step"] + 1)
        # Until the next update no one can tell what follows this evaluation.
        assert row["seconds_left"] == pytest.approx(end - now, abs=SAVING + (max_steps // eval_frequency) * SAVING)
    assert rows[-1][1]["seconds_left"] == pytest.approx(2.0 * (max_steps % eval_frequency))


def test_time_left_between_evaluations(pipeline: Language, clock: Clock):
    left = {}
    for following, now, row in run(pipeline, clock, max_steps=40, eval_frequency=10):
        if row is None and following.step > 20:  # the second evaluation is behind
            left[following.step] = (now, following.seconds_left)
    end = now + SAVING
    assert [seconds for _, seconds in left.values()] == pytest.approx([end - now for now, _ in left.values()])


def test_it_takes_up_where_training_was_resumed(pipeline: Language, clock: Clock):
    *_, (following, _, row) = run(pipeline, clock, max_steps=40, eval_frequency=10, first=30)
    assert following.step == row["step"] == 40
    assert row["examples"] == 11 * BATCH  # those of this run
    assert row["losses"]["bga_ner"] == 0.6


def test_what_a_resumed_training_made_before_takes_no_time(pipeline: Language, clock: Clock):
    """Its steps are told again, without an example: the speed and the time left are those of the steps since."""
    pipeline.config["training"] = {"max_steps": 40, "eval_frequency": 10}
    following = Progress(pipeline)
    for step in range(21):
        clock.now += 0.01
        if step % 10:
            following.update()
        else:
            row = following.evaluation(make_info(step, dict.fromkeys(BGA_KEYS, 6.0)))
            assert row["examples_per_second"] is row["seconds_left"] is None
    for _ in range(9):
        clock.now += UPDATE
        pipeline.get_pipe("bga_ner").examples_seen += BATCH
        following.update()
    assert following.step == 29
    assert following.examples_per_second == BATCH / UPDATE
    assert following.seconds_left == pytest.approx(11 * UPDATE)


def test_without_an_end(pipeline: Language, clock: Clock):
    """With `max_steps = 0` training goes on until patience or `max_epochs` ends it."""
    pipeline.config["training"] = {"max_steps": 0, "eval_frequency": 4}
    following = Progress(pipeline)
    for _ in range(3):
        clock.now += 1.0
        pipeline.get_pipe("bga_ner").examples_seen += BATCH
        following.update()
    assert following.seconds_left is None
    assert following.examples_per_second == BATCH


@pytest.mark.parametrize("eval_frequency", [1, 2])
def test_speed_that_evaluations_hide_is_not_guessed(pipeline: Language, clock: Clock, eval_frequency: int):
    rows = [row for _, _, row in run(pipeline, clock, max_steps=6, eval_frequency=eval_frequency) if row]
    assert {(row["examples_per_second"], row["seconds_left"]) for row in rows} == {(None, None)}
    assert rows[-1]["examples"] == 7 * BATCH


def test_other_components_count_no_examples():
    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    nlp.config["training"] = {"max_steps": 4, "eval_frequency": 2}
    following = Progress(nlp)
    for _ in range(3):
        following.update()
    row = following.evaluation(make_info(3, {"ner": 8.0}))
    assert row["examples"] is row["examples_per_second"] is None
    assert row["losses"] == {"ner": 2.0}
    assert row["seconds_left"] >= 0


def test_examples_are_counted(make_nlp):
    nlp = make_nlp(text_only=True)
    examples = make_examples(nlp)
    for _ in range(2):
        nlp.update(examples, sgd=nlp.resume_training())
    assert nlp.get_pipe("bga_ner").examples_seen == 2 * len(examples)


def test_passed_on(pipeline: Language, clock: Clock):
    *_, (_, _, row) = run(pipeline, clock, max_steps=5, eval_frequency=5)
    assert passed_on(row) == {
        "progress.examples": 48.0,
        "progress.examples_per_second": 4.0,
        "progress.seconds_left": 0.0,
        **{f"progress.mean_loss.{key}": 1.2 for key in BGA_KEYS},
    }


def test_beside_components_without_losses():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    assert loss_keys(nlp) == []
