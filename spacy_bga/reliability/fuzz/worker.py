"""One part of the campaign: some inputs of one form, in a process of its own that leaves a journal."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from spacy_bga.reliability.fuzz.guard import MEMORY_LIMIT, Auditor, Forbidden, Meter, limit_process
from spacy_bga.reliability.fuzz.kinds import Form, Kind

EXAMPLES = 5  # problems that are written down in full
auditor = Auditor()


@dataclass
class Part:
    """What became of the inputs of one part.

    outcomes (dict[str, int]): How many got an answer, or which error. digests (list[str]): One for each different
    input. slowest (float): Seconds of the processor. largest (float): MiB beyond what the process had.
    problems (dict[str, int]): How many of each sort: "crash", "time", "memory", "unclear", "forbidden".
    examples (list[str]): The first problems.
    """

    tried: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    slowest: float = 0.0
    largest: float = 0.0
    problems: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What `Part(**...)` makes it of again."""
        return asdict(self)


def run_part(kind: Kind, form: Form, bench: Any, *, number: int, inputs: int, journal: Path) -> Part:
    """Fork, and try some inputs in the child.

    kind (Kind): The kind. form (Form): The form. bench (Any): What the kind's `open_bench` made.
    number (int): What the inputs are drawn by. inputs (int): How many. journal (Path): Where the child writes.
    RETURNS (Part): What became of them, also if the child did not survive one.
    """
    journal.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with journal.open("a", buffering=1, encoding="utf8") as file:
                _try_all(kind, form, bench, number, inputs, lambda record: file.write(json.dumps(record) + "\n"))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    part = read_journal(journal, os.waitstatus_to_exitcode(status))
    journal.unlink(missing_ok=True)
    return part


def _try_all(
    kind: Kind, form: Form, bench: Any, number: int, inputs: int, write: Callable[[dict[str, Any]], Any]
) -> None:
    def try_one(value: Any) -> None:
        digest = hashlib.sha256(repr(value).encode("utf8", "surrogatepass")).hexdigest()[:16]
        write({"digest": digest, "shown": repr(value)[:300]})
        write(_measure(kind, bench, value))

    limit_process()
    warnings.simplefilter("ignore")  # of broken images, as it should
    gc.freeze()  # what the parent has made is not looked at again
    draw_inputs(form, inputs, try_one, number=number)


def draw_inputs(form: Form, inputs: int, attempt: Callable[[Any], None], *, number: int = 0) -> None:
    """Try inputs of a form, without what hypothesis does beside that: nothing is shrunk, kept or timed.

    form (Form): The form. inputs (int): How many. attempt (Callable): Gets each. number (int): The seed.
    """

    @seed(number)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(form.strategy)
    def try_one(value: Any) -> None:
        attempt(value)

    try_one()


def _measure(kind: Kind, bench: Any, value: Any) -> dict[str, Any]:
    """RETURNS (dict): What became of one input."""
    record: dict[str, Any] = {}
    meter = Meter()
    auditor.switch(True)
    try:
        record["outcome"] = kind.attempt(bench, value)
    except Forbidden as error:
        record |= {"problem": "forbidden", "message": str(error)}
    except BaseException as error:
        where = "".join(traceback.format_tb(error.__traceback__)[-3:])
        record |= {"problem": "unclear", "message": f"{type(error).__name__}: {str(error)[:300]}\n{where}"}
    finally:
        auditor.switch(False)
    record["seconds"], record["memory"] = meter.stop()
    if record["memory"] > MEMORY_LIMIT:
        record |= {"problem": "memory", "message": f"{record['memory']:,.0f} MiB"}
    elif auditor.found:  # also if somebody has handled it
        record |= {"problem": "forbidden", "message": auditor.found[0]}
    auditor.found.clear()
    return record


def read_journal(journal: Path, code: int) -> Part:
    """RETURNS (Part): What a journal tells. code (int): What the process ended with; below 0 a signal."""
    part = Part()
    outcomes: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    digests: set[str] = set()
    shown: str | None = None
    for line in journal.read_text(encoding="utf8").splitlines() if journal.is_file() else ():
        record = json.loads(line)
        if "digest" in record:
            part.tried += 1
            digests.add(record["digest"])
            shown = record["shown"]
            continue
        if "problem" in record:
            problems[record["problem"]] += 1
            part.examples.append(f"{record['problem']}: {record['message']}\n{shown}")
        else:
            outcomes[record["outcome"]] += 1
        part.slowest, part.largest = max(part.slowest, record["seconds"]), max(part.largest, record["memory"])
        shown = None
    if code:
        sort = "time" if -code in (signal.SIGPROF, signal.SIGALRM) else "crash"
        problems[sort] += 1
        part.examples.insert(0, f"{sort}: the process ended with {code}\n{shown}")
    part.outcomes, part.problems, part.digests = dict(outcomes), dict(problems), sorted(digests)
    part.examples = part.examples[:EXAMPLES]
    return part


def fresh_folder(path: Path) -> Path:
    """RETURNS (Path): An empty folder in the place of whatever was there."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
