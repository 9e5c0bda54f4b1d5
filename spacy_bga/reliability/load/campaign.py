"""The campaign: a pipeline is handed on to processes and threads, and then served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy_bga.reliability.fresh import call_fresh
from spacy_bga.reliability.load.clients import load_server
from spacy_bga.reliability.load.processes import try_processes
from spacy_bga.reliability.subject import Answer, Subject, tag, with_odd_ones

SERVER = "in batches, each in a memory zone"


def run_load(
    subject: Subject,
    *,
    requests: int = 2000,
    clients: int = 8,
    seed: int = 0,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Hand a pipeline on to processes and threads, and let clients ask a server of it.

    subject (Subject): The pipeline, and the texts. requests, clients (int): Of the server.
    seed (int): Draws the requests. progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    texts = with_odd_ones(subject.texts)
    processes = call_fresh(try_processes, subject.pipeline, texts)
    for way, found in processes.items():
        progress(f"{way}: {found['result']}, {found['seconds']} s")
    expected = [[tuple(entity) for entity in answer] for answer in call_fresh(_expect, subject.pipeline, texts)]
    server = load_server(subject.pipeline, texts, expected, requests=requests, clients=clients, seed=seed)
    progress(f"a server, texts {SERVER}: {server}")
    servers = {SERVER: server}
    return {
        "figures": {
            "handed_on": len(processes),
            "handed_on_failed": sum(found["result"] != "same" for found in processes.values()),
            "served_requests": sum(found["requests"] for found in servers.values()),
            "served_faults": sum(sum(found["faults"].values()) for found in servers.values()),
            "served_wrong_answers": sum(found["wrong_answers"] for found in servers.values()),
        },
        "details": {"seed": seed, "texts": len(texts), "processes": processes, "servers": servers},
    }


def _expect(pipeline: Path, texts: list[str]) -> Answer:
    import spacy

    return tag(spacy.load(pipeline), texts)
