"""A training that can be killed: each start is a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.processes import last_lines

LOADED = ["spacy", "torch", "transformers", "spacy_bga.training.train", "spacy_bga.pipeline.bridge"]


def prepare_processes() -> Any:
    """RETURNS (BaseContext): Makes processes that have imported everything: so kills hit trainings, and not imports."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(LOADED)
    ready = processes.Process(target=int)
    ready.start()
    ready.join()
    return processes


class Victim:
    """A training in processes of its own.

    processes (BaseContext): Where they come from. work (Path): The folder for everything.
    name (str): What its own folder is called. settings (dict[str, Any]): Overrides of the config.
    """

    def __init__(self, processes: Any, work: Path, name: str, settings: dict[str, Any]):
        self.output = work / name
        self._processes = processes
        self._config = work / "project" / "config.cfg"
        self._settings = settings
        self._log = work / "log.txt"
        self._process: Any = None

    def start(self) -> None:
        """Begin, or go on."""
        arguments = (self._config, self.output, self._settings, self._log)
        self._process = self._processes.Process(target=_train, args=arguments, daemon=True)
        self._process.start()

    def stop_after(self, seconds: float | None) -> bool:
        """Kill the process, if it has not come to its end by then.

        seconds (Optional[float]): From now on; None: never.
        RETURNS (bool): Whether it was killed.
        RAISES (BGAError): The training failed by itself.
        """
        self._process.join(seconds)
        self._process.kill()
        self._process.join()
        if self._process.exitcode not in (0, -signal.SIGKILL):
            raise BGAError(Errors.B680.format(code=self._process.exitcode, lines=last_lines(self._log)))
        return self._process.exitcode != 0


def _train(config: Path, output: Path, settings: dict[str, Any], log: Path) -> None:
    """What a process of a training does."""
    import threading

    import torch
    import tqdm

    from spacy_bga.training.train import train

    tqdm.tqdm.set_lock(threading.RLock())  # its own one would outlive a process that is killed
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    torch.set_num_threads(1)
    train(config, output, resume=True, overrides=settings)
