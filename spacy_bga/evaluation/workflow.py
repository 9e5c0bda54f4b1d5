"""How long a whole workflow of the project takes, from nothing."""

from __future__ import annotations

import sys
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.processes import run_command
from spacy_bga.evaluation.provenance import commit


def time_workflow(name: str) -> dict[str, Any]:
    """Run a workflow of the project in the current folder, every command of it, and time it.

    name (str): The workflow's name in project.yml.
    RETURNS (dict[str, Any]): "workflow", "wall_s", "cpu_s", "exit_code" and "commit".
    RAISES (BGAError): The workflow failed; the time of half of it means nothing.
    """
    code = commit()
    usage = run_command([sys.executable, "-m", "spacy", "project", "run", name, "--force"])
    if usage.exit_code:
        raise BGAError(Errors.B517.format(name=name, code=usage.exit_code))
    return {
        "workflow": name,
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "exit_code": usage.exit_code,
        "commit": code,
    }
