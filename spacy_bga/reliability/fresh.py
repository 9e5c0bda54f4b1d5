"""Functions called in fresh processes, which inherit nothing but the environment."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors


def call_fresh(function: Callable[..., Any], *arguments: Any, environment: Mapping[str, str] | None = None) -> Any:
    """Call a function in a process of its own, which is no worker of `multiprocessing`: just as a user's.

    function (Callable): A function of a module. *arguments (Any): What JSON can hold, and paths, which it gets as such.
    environment (Optional[Mapping[str, str]]): Variables to set.
    RETURNS (Any): What the function returned, by way of JSON.
    RAISES (BGAError): The function failed; it has told why on the console.
    """
    with tempfile.TemporaryDirectory() as folder:
        job, answer = Path(folder) / "job.json", Path(folder) / "answer.json"
        given = [{"path": str(value)} if isinstance(value, Path) else value for value in arguments]
        asked = {"module": function.__module__, "function": function.__name__, "arguments": given}
        job.write_text(json.dumps(asked), encoding="utf8")
        command = [sys.executable, "-m", "spacy_bga.reliability.fresh", str(job), str(answer)]
        done = subprocess.run(command, env=os.environ | dict(environment or {}), check=False)
        if done.returncode:
            name = f"{function.__module__}.{function.__name__}"
            raise BGAError(Errors.B753.format(function=name, code=done.returncode))
        return json.loads(answer.read_text(encoding="utf8"))


def _answer(job: Path, answer: Path) -> None:
    """Do what `call_fresh` asks for: this is the fresh process."""
    asked = json.loads(job.read_text(encoding="utf8"))
    arguments = [
        Path(value["path"]) if isinstance(value, dict) and value.keys() == {"path"} else value
        for value in asked["arguments"]
    ]
    found = getattr(importlib.import_module(asked["module"]), asked["function"])(*arguments)
    answer.write_text(json.dumps(found), encoding="utf8")


if __name__ == "__main__":
    _answer(Path(sys.argv[1]), Path(sys.argv[2]))
