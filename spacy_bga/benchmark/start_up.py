"""Start-up: what importing and loading cost, in fresh processes whose files the system has read before."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from spacy_bga.benchmark.rounds import interleave
from spacy_bga.benchmark.setting import OURS, SPACY, Setting
from spacy_bga.benchmark.statistics import paired_ratio, spread
from spacy_bga.errors import BGAError, Errors

# Each script prints JSON. They stand here as text because importing this package is what they measure.
IMPORT = """
import json, sys, time
start = time.perf_counter()
import spacy_bga
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "heavy": sorted({"torch", "transformers"} & sys.modules.keys())}))
"""
IMPORT_SPACY = """
import json, time
start = time.perf_counter()
import spacy
print(json.dumps({"seconds": time.perf_counter() - start}))
"""
BLANK = """
import importlib.metadata as metadata, json, sys, time
left_out = sys.argv[1] == "without"  # as if this package weren't installed
found = metadata.entry_points()
found = [p for group in found.values() for p in group] if isinstance(found, dict) else list(found)  # 3.11; 3.12
found = [p for p in found if not (left_out and p.value.startswith("spacy_bga."))]
metadata.entry_points = lambda **keys: metadata.EntryPoints(found).select(**keys)
start = time.perf_counter()
import spacy
spacy.blank("en")
seconds = time.perf_counter() - start
heavy = sorted({"torch", "transformers", "spacy_bga"} & sys.modules.keys())
print(json.dumps({"seconds": seconds, "heavy": heavy}))
"""
LOAD = """
import json, sys, time
import spacy
start = time.perf_counter()
nlp = spacy.load(sys.argv[1])
loaded = time.perf_counter()
nlp("Kevin Durant joins the Warriors in Oakland.")
print(json.dumps({"seconds": loaded - start, "first_s": time.perf_counter() - loaded}))
"""


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure imports, an empty pipeline with and without this package, and the loading of every pipeline.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): Seconds, and ratios to spaCy's own pipeline.
    """
    given = Setting.from_dict(setting)
    scripts = {
        "spacy_bga": [IMPORT],
        "spacy": [IMPORT_SPACY],
        "blank": [BLANK, "with"],
        "blank_without": [BLANK, "without"],
    }
    folders = {c.name: c.folder for c in given.contenders if c.name in (*OURS, SPACY)}
    tasks = {name: partial(_run, *script) for name, script in scripts.items()}
    tasks |= {f"load {name}": partial(_run, LOAD, str(folder)) for name, folder in folders.items()}
    found = interleave(tasks, given.scale.process_repeats)
    seconds = {name: [run["seconds"] for run in runs] for name, runs in found.items()}
    extra = [a - b for a, b in zip(seconds["blank"], seconds["blank_without"], strict=True)]
    return {
        "import_s": {name: spread(seconds[name]) for name in ("spacy_bga", "spacy")},
        "import_loads": found["spacy_bga"][0]["heavy"],
        "blank_s": {"with": spread(seconds["blank"]), "without": spread(seconds["blank_without"])},
        "blank_extra_ms": spread([1000 * value for value in extra]),
        "load_s": {name: spread(seconds[f"load {name}"]) for name in folders},
        "first_text_s": {name: spread([run["first_s"] for run in found[f"load {name}"]]) for name in folders},
        "load_ratios": {
            f"{name}/{SPACY}": paired_ratio(seconds[f"load {name}"], seconds[f"load {SPACY}"])
            for name in folders
            if name != SPACY and SPACY in folders
        },
    }


def _run(*script: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What a script printed as its last line."""
    done = subprocess.run([sys.executable, "-c", *script], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = "\n".join(done.stderr.splitlines()[-15:])
        raise BGAError(Errors.B541.format(target="start_up", code=done.returncode, lines=lines))
    return json.loads(done.stdout.splitlines()[-1])
