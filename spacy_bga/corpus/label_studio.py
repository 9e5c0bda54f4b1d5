"""Label Studio's exports, JSON and JSON-MIN, https://labelstud.io/guide/export.

JSON has whole tasks: {"data": {"text": ...}, "annotations": [{"result": [{"value": {"start": 0, "end": 5, "text":
"Paris", "labels": ["LOC"]}, "type": "labels", ...}]}]}. JSON-MIN has a task's data, and its values under the name of
the control: {"text": ..., "label": [{"start": 0, "end": 5, "text": "Paris", "labels": ["LOC"]}]}.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from spacy_bga.corpus.cells import is_empty, parse_images, parse_offset, parse_text
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.record import LeftOut, Record
from spacy_bga.corpus.span_list import holds_spans, parse_spans, unread_keys

_TEXT_KEYS = ("text", "content", "post", "tweet", "body")
_IMAGE_KEYS = ("image", "images", "img", "picture", "photo")
_ABOUT_ANNOTATION = ("annotation_id", "annotator", "lead_time", "created_at", "updated_at")
_UPLOADED, _LOCAL = "/data/upload/", "/data/local-files/"


def is_label_studio(data: dict[str, Any]) -> bool:
    """RETURNS (bool): Whether an object is a task of the JSON export."""
    return isinstance(data.get("data"), dict) and any(
        isinstance(data.get(key), list) for key in ("annotations", "completions", "predictions")
    )


def is_label_studio_min(data: dict[str, Any]) -> bool:
    """RETURNS (bool): Whether an object is a task of the JSON-MIN export."""
    return "annotation_id" in data or any(_is_values(value) for value in data.values())


def parse_label_studio(data: dict[str, Any], line: int) -> Record | LeftOut:
    """Read a task. Of several annotations the ground truth counts, or else the first that was not skipped.

    data (dict[str, Any]): The task. line (int): The line on which it begins.
    RETURNS (Record | LeftOut): The text, or why it is left out.
    RAISES (ValueError): It can't be used.
    """
    content = data["data"]
    text = parse_text(content.get(_text_key(content)))
    images = _images(content)
    annotations = [item for item in data.get("annotations") or data.get("completions") or () if isinstance(item, dict)]
    unread = unread_keys(content, ())
    if not annotations:
        return Record(text, images, None, line, unread=unread)
    done = [item for item in annotations if not item.get("was_cancelled")]
    if not done:
        return LeftOut("ignored_answers", "its annotators have skipped it", line)
    chosen = next((item for item in done if item.get("ground_truth")), done[0])
    values = [_value(result) for result in chosen.get("result") or () if _is_labels(result)]
    remarks: tuple[tuple[str, str], ...] = ()
    if len(done) > 1:
        remarks = (("other_annotations", f"{len(done) - 1} more annotations of the same text"),)
    return Record(text, images, parse_spans(values, text, "result"), line, unread=unread, remarks=remarks)


def parse_label_studio_min(data: dict[str, Any], line: int) -> Record:
    """Read a task of JSON-MIN, in which a control that marked nothing is absent.

    data (dict[str, Any]): The task. line (int): The line on which it begins.
    RETURNS (Record): The text.
    RAISES (ValueError): It can't be used.
    """
    keys = [key for key, value in data.items() if _is_values(value)]
    content = {key: value for key, value in data.items() if key not in (*keys, *_ABOUT_ANNOTATION)}
    text = parse_text(content.get(_text_key(content)))
    spans: list[CharSpan] = []
    for key in keys:
        spans += parse_spans([_value({"value": value}) for value in data[key]], text, key) or ()
    annotated = bool(keys) or not is_empty(data.get("annotation_id"))
    unread = unread_keys(content, ())
    return Record(text, _images(content), tuple(spans) if annotated else None, line, unread=unread)


def _is_values(value: Any) -> bool:
    return holds_spans(value) and all(isinstance(item, dict) and isinstance(item.get("labels"), list) for item in value)


def _is_labels(result: Any) -> bool:
    """Whether a result marks text; others choose, rate, or mark pictures."""
    value = result.get("value") if isinstance(result, dict) else None
    return isinstance(value, dict) and any(key in value for key in ("labels", "hypertextlabels")) and "start" in value


def _value(result: dict[str, Any]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A span. Of a web page its places are by element, but also by its whole text."""
    value = result["value"]
    if parse_offset(value.get("start")) is None and isinstance(whole := value.get("globalOffsets"), dict):
        value = value | {"start": whole.get("start"), "end": whole.get("end")}
    return value if "labels" in value else value | {"labels": value["hypertextlabels"]}


def _text_key(content: dict[str, Any]) -> str:
    """RETURNS (str): The key of a task's text, which whoever set up the project has named."""
    for key in _TEXT_KEYS:
        if isinstance(content.get(key), str):
            return key
    others = [key for key, value in content.items() if isinstance(value, str) and key not in _IMAGE_KEYS]
    if len(others) != 1:
        names = ", ".join(content) or "none"
        raise ValueError(f"which of its data is the text? Name it 'text'; there is: {names}")
    return others[0]


def _images(content: dict[str, Any]) -> tuple[str | bytes, ...]:
    found: list[str | bytes] = []
    for key in _IMAGE_KEYS:
        found += parse_images(content.get(key))
    return tuple(_local_path(image) if isinstance(image, str) else image for image in found)


def _local_path(image: str) -> str:
    """RETURNS (str): Where a picture lies below the folder that Label Studio serves, as it names it by its own URL."""
    if image.startswith(_LOCAL):
        return parse_qs(urlsplit(image).query).get("d", [image])[0]
    if image.startswith(_UPLOADED):
        return unquote(image.removeprefix("/data/"))
    return image
