"""Functions called in fresh processes: with a fixed number of threads, and memory and imports of their own."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.processes import last_lines, run_command

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def call(target: str, *, threads: int, **arguments: Any) -> Any:
    """Call a function in a fresh process.

    target (str): "module:function" below `spacy_bga.benchmark`. threads (int): Threads of its numerics.
    **arguments (Any): What JSON can hold.
    RETURNS (Any): What the function returned, which JSON must be able to hold, too.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job, answer, log = folder / "job.json", folder / "answer.json", folder / "log"
        job.write_text(json.dumps({"target": target, "threads": threads, "arguments": arguments}), encoding="utf8")
        command = [sys.executable, "-m", "spacy_bga.benchmark", str(job), str(answer)]
        usage = run_command(command, log=log, threads=threads)
        if usage.exit_code:
            raise BGAError(Errors.B541.format(target=target, code=usage.exit_code, lines=last_lines(log)))
        return json.loads(answer.read_text(encoding="utf8"))


def answer(job: Path, output: Path) -> None:
    """Do what `call` asks for; this is the fresh process.

    job (Path): The JSON file that says what to call. output (Path): The JSON file for what it returned.
    """
    asked = json.loads(job.read_text(encoding="utf8"))
    fix_threads(asked["threads"])
    module, _, function = asked["target"].partition(":")
    found = getattr(importlib.import_module(f"spacy_bga.benchmark.{module}"), function)(**asked["arguments"])
    output.write_text(json.dumps(found), encoding="utf8")


def take_threads() -> None:
    """Let torch have the threads that its process was given."""
    import torch

    torch.set_num_threads(int(os.environ.get(THREADS[0], torch.get_num_threads())))


def fix_threads(number: int) -> None:
    """Fix the threads of a process that has not imported torch yet, and keep it off the network."""
    os.environ |= dict.fromkeys(THREADS, str(number))
    os.environ |= {"TOKENIZERS_PARALLELISM": "true" if number > 1 else "false", "HF_HUB_OFFLINE": "1"}
