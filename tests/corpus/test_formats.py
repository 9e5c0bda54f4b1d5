from __future__ import annotations

import json

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.formats import detect_format, recognise
from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError


def write(folder, *objects, name="posts.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in objects), encoding="utf8")
    return path


def read(folder, *objects, **settings):
    report = convert(write(folder, *objects), folder / "out.spacy", **settings)
    return report, list(DocBin().from_disk(folder / "out.spacy").get_docs(Vocab()))


def entities(docs):
    return [[(ent.text, ent.label_) for ent in doc.ents] for doc in docs]


VALUE = {"start": 0, "end": 5, "text": "Paris", "labels": ["LOC"]}
PARIS = {"text": "Paris is nice"}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (PARIS, "jsonl"),
        (PARIS | {"spans": []}, "jsonl"),
        (PARIS | {"label": "positive"}, "jsonl"),
        (PARIS | {"labels": ["positive"]}, "jsonl"),
        (PARIS | {"spans": [], "answer": "accept"}, "prodigy"),
        (PARIS | {"_input_hash": 1}, "prodigy"),
        (PARIS | {"label": [[0, 5, "LOC"]]}, "doccano"),
        (PARIS | {"labels": [[0, 5, "LOC"]]}, "doccano"),
        (PARIS | {"entities": [{"start_offset": 0, "end_offset": 5, "label": "LOC"}]}, "doccano"),
        (PARIS | {"label": []}, "doccano"),
        ({"data": PARIS, "annotations": []}, "label-studio"),
        (PARIS | {"label": [VALUE]}, "label-studio-min"),
        (PARIS | {"annotation_id": 3}, "label-studio-min"),
        ({"paragraphs": []}, "spacy-json"),
        (PARIS | {"ents": []}, "spacy-json"),
        (["Paris", {"entities": []}], "spacy-json"),
        (3, "jsonl"),
    ],
)
def test_objects_are_recognised(data, name):
    assert recognise(data) == name


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.json", "", "json"),
        ("a", '{"text": 1}', "json"),
        ("a", '\ufeff [{"text": 1}]', "json"),
        ("a", '[\n  {"text": 1}]', "json"),
        ("a", '["Paris", {}]', "json"),
        ("a", "[\tO\nKevin\tB-PER\n", "conll"),
        ("a.txt", "Kevin\tB-PER\n", "conll"),
        ("a.parquet", "", "hf"),
    ],
)
def test_files_are_recognised(tmp_path, name, content, format):
    (tmp_path / name).write_text(content, encoding="utf8")
    assert detect_format(tmp_path / name) == format


@pytest.mark.parametrize("key", ["label", "labels", "entities"])
def test_labels_under_the_keys_of_doccano(tmp_path, photos, key):
    data = {"text": "Paris", "image": "0.jpg", key: [[0, 5, "LOC"]]}
    report, docs = read(tmp_path, data, images=photos)
    assert entities(docs) == [[("Paris", "LOC")]]
    assert (report.formats, report.unread_keys, docs[0]._.image) == ({"doccano": 1}, {}, "0.jpg")
    assert "doccano" in report.to_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ner", [[0, 5, "LOC"]]),
        ("annotation", {"entities": [[0, 5, "LOC"]]}),
        ("marks", [{"start": 0, "end": 5, "label": "LOC"}]),
        ("by_label", {"LOC": [[0, 5]]}),
        ("result", [{"value": VALUE}]),
    ],
)
def test_an_unknown_key_with_spans_is_named(tmp_path, key, value):
    report, docs = read(tmp_path, PARIS, {"text": "Paris", key: value})
    assert report.unread_keys == {key: 1}
    assert f"Spans under '{key}' were not read" in report.to_text()
    assert not docs[1].has_annotation("ENT_IOB")
    with pytest.raises(BGAError, match=f"B321.*posts.jsonl:2.*'{key}'"):
        read(tmp_path, PARIS, {"text": "Paris", key: value}, strict=True)


def test_what_tokenizers_add_is_no_span(tmp_path):
    tokens = [{"text": "Paris", "start": 0, "end": 5, "id": 0, "tag": "NNP"}]
    report, _ = read(tmp_path, {"text": "Paris", "tokens": tokens, "sents": tokens, "box": [1, 2, 3]}, strict=True)
    assert report.unread_keys == {}


def test_a_format_that_is_named_is_taken(tmp_path):
    data = {"text": "Paris", "label": [[0, 5, "LOC"]]}
    report, docs = read(tmp_path, data, format="jsonl")
    assert (report.unread_keys, entities(docs)) == ({"label": 1}, [[]])
    report, docs = read(tmp_path, data, {"data": "Paris"}, format="doccano")
    assert entities(docs) == [[("Paris", "LOC")], []]
    assert report.documents == 2


def test_several_formats_in_one_file(tmp_path):
    bad = {"text": "Paris", "answer": "perhaps"}
    report, docs = read(tmp_path, PARIS, PARIS | {"label": [[0, 5, "LOC"]]}, bad, {"paragraphs": 3}, {"data": {}})
    assert (report.formats, report.bad_lines) == ({"jsonl": 1, "doccano": 1}, 3)
    assert entities(docs) == [[], [("Paris", "LOC")]]
    assert "Texts in doccano" in report.to_text()
    with pytest.raises(BGAError, match=r"B322.*line 1.*perhaps.*prodigy"):
        read(tmp_path, bad, strict=True)


@pytest.mark.parametrize("name", ["prodigy", "doccano", "label-studio", "label-studio-min", "spacy-json"])
@pytest.mark.parametrize(
    "data", [3, [], {}, {"text": 3}, {"data": 3}, {"data": {"text": []}, "annotations": [3]}, None]
)
def test_whatever_is_there_costs_nothing_else(tmp_path, name, data):
    good = ["Paris", {"entities": [[0, 5, "LOC"]]}] if name == "spacy-json" else {"text": "Paris", "label": []}
    good = {"data": good, "annotations": []} if name == "label-studio" else good
    report, docs = read(tmp_path, good, data, format=name)
    assert [doc.text for doc in docs] == ["Paris"]
    assert report.bad_lines <= 1


def test_empty_cells_cost_no_label(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text(
        '{"text": "Paris", "image": "", "spans": [{"start": 0.0, "end": 5.0, "label": "LOC"}]}\n'
        '{"text": "Paris", "image": NaN, "spans": [{"start": 0, "end": 5, "label": "LOC"}]}\n'
        '{"text": "Paris", "image": null, "label": [[0.0, 5.0, "LOC"]]}\n',
        encoding="utf8",
    )
    report = convert(path, tmp_path / "out.spacy", strict=True)
    assert (report.documents, report.entities, report.bad_lines) == (3, {"LOC": 3}, 0)
    assert report.documents_without_image == 3


def test_several_pictures_are_told_once(tmp_path, photos):
    images = ["0.jpg", "1.jpg", "2.jpg"]
    report, docs = read(tmp_path, PARIS | {"image": images}, PARIS | {"images": images}, PARIS, images=photos)
    assert [get_images(doc) for doc in docs] == [images, images, []]
    assert report.documents_with_several_images == 2
    assert len([note for note in report.notes if "max_crops" in note]) == 1
    assert "max_crops" in report.to_text()
    report, _ = read(tmp_path, PARIS | {"image": images[:1]}, images=photos)
    assert report.notes == ()
