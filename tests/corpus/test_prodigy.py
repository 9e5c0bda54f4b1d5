from __future__ import annotations

import base64
import json

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.images import get_images
from spacy_bga.corpus.prodigy import parse_prodigy
from tests.conftest import encode_picture

SPANS = [{"start": 0, "end": 5, "label": "LOC", "token_start": 0, "token_end": 0}]
TASK = {"text": "Paris is nice", "spans": SPANS, "_input_hash": 1, "_task_hash": 2, "_view_id": "ner_manual"}


def read(folder, *tasks, **settings):
    path = folder / "tasks.jsonl"
    path.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf8")
    report = convert(path, folder / "out.spacy", **settings)
    return report, list(DocBin().from_disk(folder / "out.spacy").get_docs(Vocab()))


def test_only_what_was_accepted_counts(tmp_path):
    tasks = [
        TASK | {"answer": "accept"},
        TASK | {"answer": "reject", "text": "Paris is wrong"},
        TASK | {"answer": "ignore", "text": "Paris is unclear", "spans": []},
        TASK,
    ]
    report, docs = read(tmp_path, *tasks)
    assert [(doc.text, doc.ents[0].label_) for doc in docs] == [("Paris is nice", "LOC")] * 2
    assert (report.formats, report.entities) == ({"prodigy": 4}, {"LOC": 2})
    assert (report.rejected_answers, report.ignored_answers, report.bad_lines) == (1, 1, 0)
    assert "Rejected answers left out" in report.to_text()


def test_no_spans_mean_no_entity_only_where_all_were_to_be_marked():
    bare = {"text": "Paris", "answer": "accept"}
    assert parse_prodigy(bare, 1).spans is None
    assert parse_prodigy(bare | {"_view_id": "ner_manual"}, 1).spans == ()
    assert parse_prodigy(bare | {"tokens": []}, 1).spans == ()
    assert parse_prodigy(bare | {"_view_id": "classification", "label": "TRAVEL"}, 1).spans is None


def test_one_accepted_entity_says_nothing_of_the_rest(tmp_path):
    _, (doc,) = read(tmp_path, TASK | {"_view_id": "ner", "answer": "accept"})
    assert [token.ent_iob_ for token in doc] == ["B", "", ""]


@pytest.mark.parametrize("check_images", [True, False])
def test_pictures_in_the_file_are_taken_as_bytes(tmp_path, check_images):
    content = encode_picture(3)
    good = "data:image/png;base64," + base64.b64encode(content).decode()
    report, docs = read(tmp_path, TASK | {"image": good}, TASK | {"image": [good, good]}, check_images=check_images)
    assert [get_images(doc) for doc in docs] == [[content], [content, content]]
    assert (report.images, report.image_files, report.images_unreadable) == (3, 1, 0)
    assert len(read(tmp_path, TASK | {"image": good}, image_prefix="news")[1][0]._.image) == len(content)


def test_pictures_that_cannot_be_read_cost_no_label(tmp_path, monkeypatch):
    broken = ["data:image/png;base64,!!!", "data:image/png", "data:,text", "data:image/png;base64,AAAA"]
    report, docs = read(tmp_path, *(TASK | {"image": image} for image in broken))
    assert (report.images_unreadable, report.entities, [doc._.image for doc in docs]) == (4, {"LOC": 4}, [None] * 4)
    assert "B308" in report.problems[0]


def test_the_limits_of_files_hold(tmp_path, monkeypatch):
    from spacy_bga.corpus import inspection

    decode = inspection.decode_image
    monkeypatch.setattr(inspection, "decode_image", lambda source, size: decode(source, size=size, max_pixels=100))
    image = "data:image/png;base64," + base64.b64encode(encode_picture(3)).decode()
    report, docs = read(tmp_path, TASK | {"image": image})
    assert (report.images_unreadable, docs[0]._.image) == (1, None)
    assert "B306" in report.problems[0]
