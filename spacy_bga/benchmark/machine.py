"""The machine, the versions and the threads that something was measured with."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from spacy_bga.evaluation.provenance import commit, versions

OPTIONAL = ("spacy-transformers", "thinc", "tokenizers", "numpy", "onnxruntime", "openvino")


def describe(*, threads: dict[str, Any], quick: bool, command: str) -> dict[str, Any]:
    """Say where numbers come from; called before they are measured.

    threads (dict[str, Any]): What `thread_pools` found. quick (bool): Whether the short form runs.
    command (str): The command.
    RETURNS (dict[str, Any]): "machine", "versions", "threads", "commit", "quick" and "command".
    """
    return {
        "machine": _machine(),
        "versions": versions(OPTIONAL),
        "threads": threads,
        "commit": commit(),
        "quick": quick,
        "command": command,
    }


def thread_pools() -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The threads that numerics use in a process of the benchmark, as it is started."""
    import spacy  # noqa: F401, so that its libraries are there
    import torch
    from threadpoolctl import threadpool_info

    pools = {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()}
    return {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads(), "pools": pools}


def _machine() -> dict[str, Any]:
    import psutil

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average_before": None if load is None else round(load, 2),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
