"""The campaign: processes and threads, a server, and then the long stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy_bga.reliability.fresh import call_fresh
from spacy_bga.reliability.soak.load import load_server
from spacy_bga.reliability.soak.processes import try_processes
from spacy_bga.reliability.soak.stream import soak
from spacy_bga.reliability.subject import Subject, tag, with_odd_ones

TEXTS = 200  # of those that are given, for all but the stream


def run_soak(
    subject: Subject,
    *,
    minutes: float,
    share: float = 1.0,
    requests: int = 2000,
    clients: int = 8,
    seed: int = 0,
    progress: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Hand a pipeline to processes and threads, load a server of it, and let it tag a stream.

    subject (Subject): The pipeline, and the texts. minutes (float): How long the stream is tagged.
    share (float): How much of one processor's time that takes. requests, clients (int): Of the server, each of two ways.
    seed (int): Draws posts and requests. progress (Callable): Told what happens.
    RETURNS (dict[str, Any]): "figures" and "details", see `evidence.record`.
    """
    texts = with_odd_ones(subject.texts[:TEXTS])
    processes = call_fresh(try_processes, subject.pipeline, texts)
    for way, found in processes.items():
        progress(f"{way}: {found['result']}, {found['seconds']} s")
    expected = call_fresh(_expect, subject.pipeline, texts)
    servers = {}
    for name, zones in {"at the same time": False, "in turns, in memory zones": True}.items():
        servers[name] = load_server(
            subject.pipeline, texts, expected, zones=zones, requests=requests, clients=clients, seed=seed
        )
        progress(f"a server, texts {name}: {servers[name]}")
    stream = call_fresh(soak, subject.pipeline, subject.texts, 60 * minutes, share, seed)
    failed = sum(found["result"] != "same" for found in processes.values())
    return {
        "figures": {
            "soak_hours": round(stream["seconds"] / 3600, 3),
            "soak_documents": stream["documents"],
            "rss_growth_mb": stream["growth"]["rss_mb"],
            "soak_changed_answers": stream["changed_answers"],
            "served_requests": sum(found["requests"] for found in servers.values()),
            "served_faults": sum(sum(found["faults"].values()) + found["wrong_answers"] for found in servers.values()),
            "processes_failed": failed,
        },
        "details": {"seed": seed, "share": share, "stream": stream, "servers": servers, "processes": processes},
    }


def _expect(pipeline: Any, texts: list[str]) -> list[Any]:
    import spacy

    return tag(spacy.load(pipeline), texts)
