"""How far training is, and how fast: the rows of the training log."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from spacy.language import Language

Info = dict[str, Any]


class Progress:
    """Follows spaCy's training loop from update to update, and sums up what happened since the last evaluation.

    A training loop tells of an update after it, and after the evaluation if there was one. What other loggers then do
    comes within the time of the next update. So speed is measured over the other updates, and what an evaluation takes
    with all that is told from the difference.

    nlp (Language): The pipeline that is trained, as a logger is handed it: without its frozen components.
    """

    def __init__(self, nlp: Language):
        training = nlp.config["training"]
        self.keys = loss_keys(nlp)
        self.max_steps: int = training.get("max_steps", 0)
        self.eval_frequency: int = training["eval_frequency"]
        self.step = -1
        self._counters = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "examples_seen")]
        self._before = self._seen = self._count()
        self._then = perf_counter()
        self._updates = 0  # since the last evaluation
        self._recent, self._total = Pace(), Pace()  # of plain updates: since the last evaluation, and ever
        self._pauses: list[Pace] = []  # of each evaluation: the updates before and after it

    def update(self) -> None:
        """Take note of an update that no evaluation followed."""
        examples, seconds = self._since()
        self.step += 1
        self._updates += 1
        if self._is_catching_up(examples):
            return
        if self._updates == 1 and self._pauses:
            self._pauses[-1].add(examples, seconds)
        else:
            self._recent.add(examples, seconds)
            self._total.add(examples, seconds)

    def evaluation(self, info: Info) -> Info:
        """Take note of an update that an evaluation followed.

        info (dict): What the training loop hands a logger.
        RETURNS (dict): The row of the log: "epoch", "step", mean "losses", "scores" in percent, "score", "seconds" and
            "words"; "examples" so far, "examples_per_second" without the time of evaluations, and "seconds_left" with
            it, each of them None where it can't be told.
        """
        examples, seconds = self._since()
        if not self._is_catching_up(examples):
            self._pauses.append(Pace())
            self._pauses[-1].add(examples, seconds)
        self.step = info["step"]
        self._updates += 1
        row = self._row(info)
        self._updates, self._recent = 0, Pace()
        return row

    @property
    def examples_per_second(self) -> float | None:
        """RETURNS (float | None): The speed since the last evaluation, or else of all training so far."""
        pace = self._recent if self._recent.updates else self._total
        return pace.examples / pace.seconds if self._counters and pace.seconds else None

    @property
    def seconds_left(self) -> float | None:
        """RETURNS (float | None): The time up to `max_steps`, evaluations included, unless patience ends it earlier."""
        if not self.max_steps or not self._total.updates:
            return None
        update = self._total.seconds / self._total.updates
        # The first takes longer than the others: the corpus is read then, too.
        extra = [pause.seconds - pause.updates * update for pause in self._pauses[1:] or self._pauses]
        evaluation = max(sum(extra) / len(extra), 0.0) if extra else 0.0
        evaluations = self.max_steps // self.eval_frequency - self.step // self.eval_frequency
        return max(self.max_steps - self.step, 0) * update + max(evaluations, 0) * evaluation

    def _row(self, info: Info) -> Info:
        scores = {
            key: 100 * float(value) if key != "speed" else float(value)
            for key, value in info["other_scores"].items()
            if isinstance(value, int | float)
        }
        return {
            "epoch": info["epoch"],
            "step": info["step"],
            "losses": {key: float(info["losses"].get(key, 0.0)) / self._updates for key in self.keys},
            "scores": scores,
            "score": float(info["score"]),
            "seconds": info["seconds"],
            "words": info["words"],
            "examples": self._seen - self._before if self._counters else None,
            "examples_per_second": self.examples_per_second,
            "seconds_left": self.seconds_left,
        }

    def _is_catching_up(self, examples: int) -> bool:
        """RETURNS (bool): Whether an update of so many examples is one that a resumed training made before: from it
        nothing is learnt, in no time."""
        return bool(self._counters) and not examples

    def _since(self) -> tuple[int, float]:
        """RETURNS (tuple[int, float]): The examples and the seconds since this was last asked."""
        seen, now = self._count(), perf_counter()
        past = seen - self._seen, now - self._then
        self._seen, self._then = seen, now
        return past

    def _count(self) -> int:
        return max((pipe.examples_seen for pipe in self._counters), default=0)


class Pace:
    """How many updates and examples took how long."""

    def __init__(self) -> None:
        self.updates = 0
        self.examples = 0
        self.seconds = 0.0

    def add(self, examples: int, seconds: float) -> None:
        """examples (int): Those of one update. seconds (float): What it took."""
        self.updates += 1
        self.examples += examples
        self.seconds += seconds


def loss_keys(nlp: Language) -> list[str]:
    """RETURNS (list[str]): The keys of the losses that the trainable components record, terms after their sum."""
    keys = []
    for name, component in nlp.pipeline:
        if getattr(component, "is_trainable", False):
            keys += [name, *getattr(component, "loss_terms", ())]
    return keys


def passed_on(row: Info) -> dict[str, float]:
    """What other loggers can pick from a row, with `log_custom_stats = ["^progress"]`, or `spacy.LookupLogger.v1`.

    row (dict): A row of the log.
    RETURNS (dict[str, float]): "progress.examples_per_second" and so on, and "progress.mean_loss.NAME": mean losses by
        update, where those loggers have sums by themselves.
    """
    speed = {key: row[key] for key in ("examples", "examples_per_second", "seconds_left") if row[key] is not None}
    losses = {f"mean_loss.{key}": value for key, value in row["losses"].items()}
    return {f"progress.{key}": float(value) for key, value in (speed | losses).items()}
