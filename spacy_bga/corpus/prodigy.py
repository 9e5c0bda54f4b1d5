"""Prodigy's export: JSONL of tasks with an answer, https://prodi.gy/docs/api-interfaces.

{"text": "Paris is nice", "spans": [{"start": 0, "end": 5, "label": "LOC"}], "answer": "accept"}
"""

from __future__ import annotations

from typing import Any

from spacy_bga.corpus.cells import is_empty, parse_text
from spacy_bga.corpus.jsonl import images_of
from spacy_bga.corpus.record import LeftOut, Record
from spacy_bga.corpus.span_list import parse_spans, unread_keys

_KEYS = ("answer", "_input_hash", "_task_hash")
_ALSO_READ = ("spans", "relations", "options")  # relations stand between spans that are read
_OTHER_ANSWERS = {"reject": "rejected_answers", "ignore": "ignored_answers"}
# Interfaces in which all entities of a text are marked; in "ner" a single one is accepted or rejected.
_MANUAL = ("ner_manual", "spans_manual", "relations")
_ONE_ENTITY = "ner"


def is_prodigy(data: dict[str, Any]) -> bool:
    """RETURNS (bool): Whether an object is a task of Prodigy."""
    return "text" in data and any(key in data for key in _KEYS)


def parse_prodigy(data: dict[str, Any], line: int) -> Record | LeftOut:
    """Read a task. What was rejected or ignored teaches nothing: what is right instead isn't known.

    data (dict[str, Any]): The task. line (int): The line on which it begins.
    RETURNS (Record | LeftOut): The text, or why it is left out.
    RAISES (ValueError): It can't be used.
    """
    answer = data.get("answer")
    if answer in _OTHER_ANSWERS:
        return LeftOut(_OTHER_ANSWERS[answer], f"the answer is {answer!r}", line)
    if not is_empty(answer) and answer != "accept":
        raise ValueError(f"the answer {answer!r} is none of accept, reject, ignore")
    text = parse_text(data.get("text"))
    spans = parse_spans(data.get("spans"), text)
    view = data.get("_view_id")
    if spans is None and (view in _MANUAL or "tokens" in data):
        spans = ()  # an annotator has looked, and found no entity
    # Of one accepted entity follows nothing for the rest of its text.
    unknown = ((0, len(text)),) if view == _ONE_ENTITY and spans is not None else ()
    return Record(text, images_of(data), spans, line, unknown=unknown, unread=unread_keys(data, _ALSO_READ))
