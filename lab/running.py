"""Commands that an experiment runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def run(*command: str, log: Path) -> float:
    """Run a command on one thread. RETURNS (float): The seconds that it took. Raises a RuntimeError if it fails."""
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    started = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf8") as file:
        done = subprocess.run([sys.executable, "-m", *command], stdout=file, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed, see {log}")
    return time.monotonic() - started


def schedule(steps: int, every: int) -> tuple[str, ...]:
    """RETURNS (tuple[str, ...]): Settings of a training of so many steps, judged every so many."""
    settings = {
        "training.max_steps": steps,
        "training.eval_frequency": every,
        "training.optimizer.learn_rate.total_steps": steps,
        "training.optimizer.learn_rate.warmup_steps": round(steps / 10),
    }
    return tuple(part for name, value in settings.items() for part in (f"--{name}", str(value)))


def paths(**places: Path | str) -> tuple[str, ...]:
    """RETURNS (tuple[str, ...]): Settings of `[paths]`."""
    return tuple(part for name, place in places.items() for part in (f"--paths.{name}", str(place)))
