from __future__ import annotations

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError
from tests.conftest import encode_picture

TEXT = "🎉 New and old York\r\nwin\n"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "brat"
    (root / "more").mkdir(parents=True)
    (root / "a.txt").write_bytes(TEXT.encode())
    (root / "a.ann").write_text(
        "T1\tLOC 2 5;14 18\tNew York\nT2\tORG 10 18\told York\nR1\tIn Arg1:T1 Arg2:T2\n#1\tNote T1\tx\n",
        encoding="utf8",
    )
    (root / "a.jpg").write_bytes(encode_picture(1))
    (root / "more" / "b.txt").write_text("Paris is nice", encoding="utf8")
    (root / "more" / "b.ann").write_text("T1\tLOC 0 6\tParis \n", encoding="utf8")
    (root / "more" / "b.png").write_bytes(encode_picture(2))
    (root / "unlabelled.txt").write_text("only a text", encoding="utf8")
    (root / "empty.txt").write_text("no name", encoding="utf8")
    (root / "empty.ann").write_text("", encoding="utf8")
    return root


def docs_of(path):
    return {doc.text: doc for doc in DocBin().from_disk(path).get_docs(Vocab())}


def test_a_folder(folder, tmp_path):
    report = convert(folder, tmp_path / "out.spacy", strict=True)
    docs = docs_of(tmp_path / "out.spacy")
    first, second = docs[TEXT], docs["Paris is nice"]
    assert [(ent.text, ent.label_) for ent in first.ents] == [("old York", "ORG")]
    assert [token.text for token in first if token.ent_iob_ == ""] == ["New"]
    assert [(ent.text, ent.label_) for ent in second.ents] == [("Paris", "LOC")]
    assert [get_images(doc) for doc in (first, second)] == [["a.jpg"], ["more/b.png"]]
    assert not docs["only a text"].has_annotation("ENT_IOB")
    assert docs["no name"].has_annotation("ENT_IOB")
    assert (report.formats, report.discontinuous_spans, report.trimmed_spans) == ({"brat": 4}, 1, 1)
    assert "brat:a.txt: discontinuous span: 'New York' (LOC)" in report.problems


def test_one_text_and_another_image_root(folder, tmp_path, photos):
    (photos / "b.jpg").write_bytes(encode_picture(3))
    report = convert(folder / "more" / "b.txt", tmp_path / "out.spacy", images=photos)
    assert (report.formats, report.documents) == ({"brat": 1}, 1)
    assert docs_of(tmp_path / "out.spacy")["Paris is nice"]._.image == "b.jpg"


@pytest.mark.parametrize("line", ["T1\tLOC 0 90\tParis", "T1 LOC 0 5 Paris", "T1\tLOC 5 0\t", "T1\tLOC x 5\tParis"])
def test_a_bad_text_costs_no_other(folder, tmp_path, line):
    (folder / "more" / "b.ann").write_text(line + "\n", encoding="utf8")
    report = convert(folder, tmp_path / "out.spacy")
    assert (report.documents, report.bad_lines) == (3, 1)
    assert "b.ann, line 1" in report.problems[-1]
    with pytest.raises(BGAError, match=r"B322.*b\.ann, line 1"):
        convert(folder, tmp_path / "out.spacy", strict=True)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.txt").write_text("a text", encoding="utf8")
    for format in ("auto", "conll"):
        with pytest.raises(BGAError, match="B330"):
            convert(tmp_path / "x", tmp_path / "out.spacy", format=format)
