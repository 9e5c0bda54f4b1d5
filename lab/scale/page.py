"""The page of scale, made of docs/evidence/scale.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import number, table
from spacy_bga.reliability.evidence import CAMPAIGNS

HEAD = """# At scale

Made of `docs/evidence/scale.json` by `python -m lab.scale page`. Times of a clock were taken on two cores that
other work shared: the load average before and after is told with them. Texts per second of processor time don't
depend on that.
"""

ANNOTATE = """
## Annotation

{records:,} posts by one worker, by two (`--engine {engine}`), and by two that were killed with SIGKILL while they
were at work: {killed}. Identical output of all three: {identical}; ids missing: {ids_missing}, ids twice:
{ids_repeated}. {speedup} (load average {load}).
"""

SERVE = """
## Serving

{clients} clients, each of which asks for one text after another; the server's process has one thread for its texts.
Batches make {batching_gain} times as many texts per second of the server's processor time as one text at a time.
`overload` is four times as many clients, of which half of {clients} may wait: {refused:,} requests got 429, after
{refused_p50:.0f} ms (median), and none of those accepted was lost. A server that was ended under load had accepted
{accepted} texts, and answered {answered} (load average {load}).
"""

PLAN = """
## A billion posts

One core tags {rate:.0f} posts of Twitter-2017 in a second of its time (fp32, batches of 256); it reads
{bytes_in:.0f} bytes a post and writes {bytes_out:.0f}. So a billion posts take {core_hours:,.0f} core hours, to be
multiplied by what one costs, and on 1,000 cores {hours} hours by a simulation of the schedule
(`lab/scale/simulation.py`):

![The share of a billion posts that is done, by hours](figures/billion.svg)

"""

ASSUMED = """
Measured: the time for a post, {load:.0f} s of processor time until a worker's pipeline is there, {write:.2f} s to
encode a part. Assumed: a worker fails once in {between:.0f} hours, and is replaced in {replace:.0f} s; workers
differ in speed by {spread:.0%}; the driver hands out {handed:.0f} parts a second. "Lost" is work on parts that were
done again, in percent of all.

- **Shards.** The input lies in some thousand files. Parts are cut within files; each start reads JSONL and CSV
  through once.
- **Checkpoints.** A part is one: with 10,000 posts, {part_seconds:.0f} s of a core. What a failure costs is less
  than that. Smaller parts lose less, and ask the driver more often; larger ones leave workers idle at the end.
- **What saturates first.** 1,000 workers ask for {parts_per_second:.0f} parts a second of the driver's
  {handed:.0f}, read {read:.0f} MB and write {written:.0f} MB a second. So it is the driver, from
  {driver_workers:,.0f} workers on with parts of 10,000, or far earlier with parts of 1,000: give larger parts, or
  one job to each folder. Pictures would be what saturates storage: 30 KB a post are {pictures:,.1f} GB a second.
"""


def render(evidence: Mapping[str, Any]) -> str:
    """RETURNS (str): The page. evidence (Mapping[str, Any]): What `lab.scale` has written."""
    sections = {"annotate": _annotate, "serve": _serve, "plan": _plan}
    found = evidence.get(CAMPAIGNS, {})
    return HEAD + "".join(write(evidence, found[name]) for name, write in sections.items() if name in found)


def _annotate(figures: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    killed = ", ".join(f"{details['killed'].count(kind)} times a {kind}" for kind in dict.fromkeys(details["killed"]))
    ratio = figures["speedup_2_workers"]
    speedup = f"Two workers were {ratio} times as fast as one, from the first part to the last"
    if ratio is None:
        speedup = "How much faster two workers are was not measured, as the machine was busy"
    filled = {**figures, "speedup": speedup, "killed": killed, "identical": "yes" if figures["identical"] else "no"}
    return ANNOTATE.format(**filled, engine=details["engine"], load=_load(details)) + _origin(details)


def _serve(figures: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    overload = details["loads"]["overload"]
    intro = SERVE.format(
        **figures["serve"],
        **details["shutdown"],
        clients=details["clients"],
        refused=overload["refused"],
        refused_p50=overload["refused_p50_ms"],
        load=_load(details),
    )
    columns = ("rps", "p50_ms", "p95_ms", "p99_ms", "texts_per_batch", "texts_per_cpu_second")
    titles = ["", "answers/s", "p50, ms", "p95, ms", "p99, ms", "texts a batch", "texts per CPU second"]
    rows = [[name, *(number(row[column], 1) for column in columns)] for name, row in details["loads"].items()]
    return f"{intro}\n{table(titles, rows)}" + _origin(details)


def _plan(figures: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    schedule, demand = details["schedule"], details["demand"]
    rows = [
        [name, case["hours"], f"{case['failures']:,}", case["lost_percent"], case["busy_percent"]]
        for name, case in figures["billion"].items()
    ]
    core_hours = schedule["records"] * schedule["seconds_per_record"] / 3600
    intro = PLAN.format(
        rate=figures["records_per_core_second"],
        bytes_in=schedule["bytes_in"],
        bytes_out=schedule["bytes_out"],
        core_hours=core_hours,
        hours=figures["billion"]["as measured"]["hours"],
    )
    assumed = ASSUMED.format(
        load=schedule["seconds_to_load"],
        write=schedule["seconds_to_write"],
        between=schedule["hours_between_failures"],
        replace=schedule["seconds_to_replace"],
        spread=schedule["spread"],
        handed=schedule["parts_per_second"],
        part_seconds=schedule["part_rows"] * schedule["seconds_per_record"],
        parts_per_second=demand["parts_per_second"],
        read=demand["read_mb_per_second"],
        written=demand["write_mb_per_second"],
        driver_workers=schedule["workers"] * schedule["parts_per_second"] / demand["parts_per_second"],
        pictures=schedule["workers"] / schedule["seconds_per_record"] * 30e3 / 1e9,
    )
    return intro + table(["", "hours", "failures", "lost, %", "busy, %"], rows) + assumed + _origin(details)


def _load(details: Mapping[str, Any]) -> str:
    return " and ".join(map(str, details["load_average"]))


def _origin(details: Mapping[str, Any]) -> str:
    origin = details["origin"]
    return f"\n`{origin['command']}`, at {origin['commit']}.\n"
