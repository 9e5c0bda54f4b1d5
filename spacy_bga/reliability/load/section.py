"""The section of `docs/reliability.md` about the campaign of load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table
from spacy_bga.reliability.load.clients import TIME_OUT as CLIENT_TIME_OUT
from spacy_bga.reliability.load.processes import TIME_OUT

ABOUT = """## Under load, and in other processes

A pipeline that has tagged with two threads of torch is handed on, and has to find the same entities there as before
({texts} texts). No answer within {time_out:.0f} seconds counts as a deadlock.
"""

SERVERS = """And a server on this machine alone (`python -m spacy_bga serve`) has one pipeline for all: texts of many
requests are tagged together, in one thread. A fifth of the requests is bad: broken JSON, no text, half of a
character, too much of it, or a client that goes away; each has to get its error, or for half of a character an
answer. Faults are other answers than that, and none within {time_out:.0f} seconds. One of the texts is as long
as 60 posts, and takes the longest. How long answers take is a matter of the machine, and of what else it does
meanwhile.
"""


def load_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    origin = details["origin"]
    handed = [(name, found["result"], found["seconds"]) for name, found in details["processes"].items()]
    served = [
        (
            name,
            found["clients"],
            f"{found['requests']:,}",
            f"{sum(found['bad_requests'].values()):,}",
            f"{sum(found['faults'].values()):,}",
            f"{found['wrong_answers']:,}",
            found["answers_per_second"],
            found["p50_ms"],
            found["p95_ms"],
            found["p99_ms"],
            found["slowest_ms"],
        )
        for name, found in details["servers"].items()
    ]
    titles = ["texts are tagged", "clients", "requests", "bad ones", "faults", "other entities", "answers a second"]
    return "\n".join(
        [
            ABOUT.format(texts=f"{details['texts']:,}", time_out=TIME_OUT),
            table(["handed on to", "entities", "seconds"], handed),
            SERVERS.format(time_out=CLIENT_TIME_OUT),
            table([*titles, "p50, ms", "p95, ms", "p99, ms", "slowest, ms"], served),
            f"`{origin['command']}`, at {origin['commit']}.\n",
        ]
    )
