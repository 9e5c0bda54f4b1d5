"""The campaign of kills: a training is killed at random moments, and resumed each time.

After each kill the pipelines that are there have to load and tag, and none that was there before may be gone. In the
end the training has to be where an undisturbed one is.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from spacy_bga.reliability.inspection import MODELS, best_score, differences, inspect, moment_of
from spacy_bga.reliability.tiny_project import write_tiny_project
from spacy_bga.reliability.victim import Victim, prepare_processes

Progress = Callable[[str], None]


@dataclass
class Campaign:
    """What has happened so far.

    kills (int): Trainings that were killed. moments (Counter): What they were at, by kind.
    faults (list[str]): What was wrong with a folder after a kill. bad_kills (int): After how many of them.
    resumed (list[dict[str, Any]]): Of each training that was killed and came to its end: how often it was killed, which
        files of its pipelines differ from those of the undisturbed one, and the best score on dev.
    """

    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    bad_kills: int = 0
    resumed: list[dict[str, Any]] = field(default_factory=list)


def run_kills(work: Path, *, kills: int, steps: int = 60, seed: int = 0, progress: Progress = print) -> dict[str, Any]:
    """Kill trainings until there are enough kills.

    work (Path): A folder, made for it: what is in it stays. kills (int): How many.
    steps (int): Updates of each training, every other one with an evaluation. seed (int): Decides on the moments.
    progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    RAISES (BGAError): A training failed by itself.
    """
    places = write_tiny_project(work / "project")
    settings = {**places, "training.max_steps": steps - 1, "training.eval_frequency": 2}
    processes = prepare_processes()
    undisturbed = Victim(processes, work, "undisturbed", settings)
    started = time.monotonic()
    undisturbed.start()
    undisturbed.stop_after(None)
    duration = time.monotonic() - started
    progress(f"An undisturbed training takes {duration:.1f} s")
    rng, campaign = random.Random(seed), Campaign()
    for number in count():
        if campaign.kills >= kills:
            break
        victim = Victim(processes, work, f"killed-{number}", settings)
        killed = _kill_and_resume(victim, campaign, rng, duration, kills, progress)
        if not killed:  # it came to its end before its moment
            continue
        found = differences(undisturbed.output, victim.output)
        campaign.resumed.append({"kills": killed, "differences": found, "best_score": best_score(victim.output)})
        progress(f"Resumed to its end after {killed} kills: {len(found)} files differ")
    return _summarize(campaign, best_score(undisturbed.output), steps, seed)


def _kill_and_resume(
    victim: Victim, campaign: Campaign, rng: random.Random, duration: float, kills: int, progress: Progress
) -> int:
    """RETURNS (int): How often the training was killed until it came to its end."""
    killed, present = 0, set[str]()
    while True:
        moment = rng.uniform(0, duration) if campaign.kills < kills else None
        victim.start()
        if not victim.stop_after(moment):
            return killed
        killed += 1
        campaign.kills += 1
        campaign.moments[moment_of(victim.output)] += 1
        faults = inspect(victim.output, present)
        campaign.bad_kills += bool(faults)
        campaign.faults += faults
        present |= {name for name in MODELS if (victim.output / name).exists()}
        progress(
            f"Kill {campaign.kills} after {moment:.2f} s, {moment_of(victim.output)}"
            + "".join(f": {f}" for f in faults)
        )


def _summarize(campaign: Campaign, score: float, steps: int, seed: int) -> dict[str, Any]:
    same = sum(not run["differences"] for run in campaign.resumed)
    scores: Sequence[float] = [run["best_score"] for run in campaign.resumed]
    return {
        "figures": {
            "kills": campaign.kills,
            "kills_without_loadable_state": campaign.bad_kills,
            "resumed_trainings": len(campaign.resumed),
            "resumed_trainings_identical": same,
        },
        "details": {
            "seed": seed,
            "steps": steps,
            "moments": dict(sorted(campaign.moments.items())),
            "faults": campaign.faults,
            "resumed": campaign.resumed,
            "best_score": {"undisturbed": score, "resumed_lowest": min(scores), "resumed_highest": max(scores)},
        },
    }
