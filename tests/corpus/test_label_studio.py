from __future__ import annotations

import pytest

from spacy_bga.corpus.label_studio import parse_label_studio, parse_label_studio_min
from spacy_bga.corpus.offsets import CharSpan
from spacy_bga.corpus.record import LeftOut

VALUE = {"start": 0, "end": 5, "text": "Paris", "labels": ["LOC"]}
SPAN = CharSpan(0, 5, "LOC", "Paris")


def result(value=VALUE, **more):
    return {"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": value} | more


def task(*annotations, **data):
    return {"id": 1, "data": {"text": "Paris is nice"} | data, "annotations": list(annotations), "predictions": []}


def test_a_task():
    choice = {"from_name": "mood", "type": "choices", "value": {"choices": ["good"]}}
    box = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "rectanglelabels": ["LOC"]}}
    record = parse_label_studio(task({"result": [choice, result(), box]}, image="photos/1.jpg"), 4)
    assert (record.text, record.images, record.spans, record.line) == ("Paris is nice", ("photos/1.jpg",), (SPAN,), 4)


def test_what_is_not_annotated_and_what_has_no_entity():
    assert parse_label_studio(task(), 1).spans is None
    assert parse_label_studio(task({"result": []}), 1).spans == ()
    assert parse_label_studio({"data": {"text": "Paris"}, "completions": [{"result": [result()]}]}, 1).spans == (SPAN,)
    assert isinstance(parse_label_studio(task({"was_cancelled": True, "result": []}), 1), LeftOut)


def test_of_several_annotations_one_counts_and_the_others_are_counted():
    empty, full = {"result": []}, {"result": [result()]}
    record = parse_label_studio(task(empty, full | {"ground_truth": True}), 1)
    assert record.spans == (SPAN,)
    assert record.remarks == (("other_annotations", "1 more annotations of the same text"),)
    record = parse_label_studio(task(full | {"was_cancelled": True}, empty), 1)
    assert (record.spans, record.remarks) == ((), ())


def test_a_web_page_and_several_labels():
    value = {"start": "/p[1]/text()[1]", "globalOffsets": {"start": 0, "end": 5}, "hypertextlabels": ["LOC", "ORG"]}
    record = parse_label_studio(task({"result": [result(value | {"text": "Paris"}, type="hypertextlabels")]}), 1)
    assert record.spans == (SPAN, CharSpan(0, 5, "ORG", "Paris"))


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("photos/1.jpg", "photos/1.jpg"),
        ("/data/upload/3/ab12-my%20photo.jpg", "upload/3/ab12-my photo.jpg"),
        ("/data/local-files/?d=photos/1%20b.jpg", "photos/1 b.jpg"),
        ("https://example.org/1.jpg", "https://example.org/1.jpg"),
    ],
)
def test_pictures_that_it_serves_itself(image, path):
    assert parse_label_studio(task(image=image), 1).images == (path,)


def test_the_text_may_have_another_name():
    assert parse_label_studio({"data": {"comment": "Paris", "image": "1.jpg"}, "annotations": []}, 1).text == "Paris"
    with pytest.raises(ValueError, match=r"which of its data is the text.*first, second"):
        parse_label_studio({"data": {"first": "Paris", "second": "Rome"}, "annotations": []}, 1)


def test_json_min():
    data = {"text": "Paris is nice", "image": "1.jpg", "id": 1, "annotator": 1, "annotation_id": 2, "created_at": "now"}
    assert parse_label_studio_min(data, 1).spans == ()
    record = parse_label_studio_min(data | {"label": [VALUE], "places": [VALUE | {"labels": ["CITY"]}]}, 1)
    assert [span.label for span in record.spans] == ["LOC", "CITY"]
    assert record.images == ("1.jpg",)
    assert parse_label_studio_min({"text": "Paris"}, 1).spans is None
