"""The section of `docs/reliability.md` about the fuzz campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table, text

ABOUT = """## Hostile and broken input

Every input is drawn by [Hypothesis](https://hypothesis.readthedocs.io) from the strategies in
`spacy_bga/reliability/fuzz`, by a seed, and counted once however often it is drawn. It has to get an answer, or one
error of `spacy_bga.errors` (for a config also spaCy's own `ConfigValidationError`, its `RegistryError` for an unknown
function, or its E961 for a number that no JSON can hold): with a code, in at most 5,000 characters, none of which
drives a terminal. The process that tries it ends where one input takes more than {cpu_s:g} seconds of the processor;
more than {memory_mb:,g} MiB count as a fault. And Python's auditing refuses, and the campaign counts, whatever no input
may bring about: a connection or a look-up of a name, another process, an object that is unpickled, a file that is read
outside of the image root.

- **Texts** stand between two others in `nlp.pipe(make_docs(nlp, texts))` with an error handler. These have to be tagged
  as ever, and an answer has to have the text's length, every character of it that can be encoded, and entities that
  neither overlap nor begin or end on white space.
- **Images** are decoded, inspected as `convert` does, and tagged with (`visual_context = "real"`) between two documents
  without one. What is no file of the image root must not be an image, and costs no document its tags.
- **Corpora** are converted and read back. Of JSONL, the good lines around the others have to come through.
- **Configs** are made, initialized, trained a step and used.
- **Folders** of pipelines, slim, with their visual branch, and with an ONNX graph, are damaged, loaded and used.
- **Pages** of the viewer are read by html5lib, as a browser would: they may hold no element, attribute, link or script
  that isn't the viewer's own.
- **Guided** inputs are made by Atheris (libFuzzer), which goes on from those that reached something new.
"""


def fuzz_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    origin = details["origin"]
    return "\n".join(
        [
            ABOUT.format(**details["limits"]),
            table(["what", "how many"], _totals(record)),
            table(
                ["kind", "form", "inputs", "answers", "clear errors", "slowest, s", "memory, MiB", "at"],
                _forms(details),
                left=2,
            ),
            *_guided(details),
            *_reach(details),
            *_defects(details),
            f"`{origin['command']}`, seed {details['seed']}, at {origin['commit']}.{_before(details)}\n",
        ]
    )


def _totals(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("inputs tried", f"{sum(record['inputs_tried'].values()):,}"),
        ("... that ended the process, or took too long or too much memory", f"{record['crashes']:,}"),
        ("... with an error that is no clear one, or another promise broken", f"{record['unclear_errors']:,}"),
        ("... that brought about what no input may", f"{record['forbidden_actions']:,}"),
        ("defects found on the way and mended, each with a test", f"{record['defects_mended']:,}"),
    ]


def _forms(details: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            kind,
            form,
            f"{found['inputs']:,}",
            f"{found['answers']:,}",
            f"{sum(found['errors'].values()):,}",
            f"{found['slowest_s']:.2f}",
            f"{found['memory_mb']:,}",
            details["commits"][kind],
        )
        for kind, forms in details["kinds"].items()
        for form, found in forms.items()
    ]


def _before(details: Mapping[str, Any]) -> str:
    others = sorted(set(details["commits"].values()) - {details["origin"]["commit"]})
    if not others:
        return ""
    return f" What is of {' or '.join(others)} was tried before, by the command that `reliability fuzz --help` shows."


def _guided(details: Mapping[str, Any]) -> list[str]:
    if not details["guided"]:
        return []
    rows = [
        (name, f"{found['inputs']:,}", found["branches"], found["kept"]) for name, found in details["guided"].items()
    ]
    return [table(["guided target", "inputs", "branches reached", "inputs kept, for each reached something new"], rows)]


def _reach(details: Mapping[str, Any]) -> list[str]:
    """RETURNS (list[str]): How many branches of each room's code the inputs of each kind took, in a traced sample."""
    reach = details.get("reach")
    if not reach:
        return []
    rooms = list(reach["all"])
    rows = [
        (kind, *(f"{found[room]['taken']} of {found[room]['branches']}" for room in rooms))
        for kind, found in reach.items()
    ]
    return [
        "Branches of the code that a sample of the inputs took, by the folder of the code:\n",
        table(["kind", *rooms], rows),
    ]


def _defects(details: Mapping[str, Any]) -> list[str]:
    if not details["defects"]:
        return []
    rows = [(text(defect["what"]), f"`{defect['test']}`") for defect in details["defects"]]
    return [table(["defect that was found and mended", "test"], rows, left=2)]
