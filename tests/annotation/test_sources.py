"""The formats of input: however a file is cut, its records are the same, each once."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from spacy_bga.annotation.job import Columns, Part
from spacy_bga.annotation.sources import READERS, reader_of

COLUMNS = Columns()
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=12)


def read(ending: str, content: bytes, most: int) -> list[Any]:
    """RETURNS (list[Any]): All records, each part read by itself, in the reverse order."""
    reader = READERS[ending]
    cuts = list(reader.cut(io.BytesIO(content), most, COLUMNS))
    assert all(0 < cut.rows <= most for cut in cuts) or ending == ".spacy"
    assert [cut.first for cut in cuts] == [sum(cut.rows for cut in cuts[:i]) for i in range(len(cuts))]
    found: list[Any] = []
    for number, cut in reversed(list(enumerate(cuts))):
        part = Part("posts", len(content), number, cut.first, cut.rows, cut.offset)
        records = list(reader.read(io.BytesIO(content), part, COLUMNS, Vocab()))
        assert len(records) == cut.rows
        found = records + found
    return found


@given(TEXTS, st.integers(1, 5), st.sampled_from(["\n", "\r\n", "\n \n"]))
def test_jsonl_however_it_is_cut(texts: list[str], most: int, between: str):
    content = between.join(json.dumps({"id": i, "text": text}) for i, text in enumerate(texts)).encode()
    assert [(r.id, r.text, r.error) for r in read(".jsonl", content, most)] == [(i, t, "") for i, t in enumerate(texts)]


@given(TEXTS, st.integers(1, 5))
def test_csv_however_it_is_cut(texts: list[str], most: int):
    texts = [text.replace("\r", "") for text in texts]  # which a file without newline translation would keep
    stream = io.StringIO(newline="")
    rows = csv.writer(stream)
    rows.writerows([["text", "id"], *([text, f"t{i}"] for i, text in enumerate(texts))])
    found = read(".csv", ("\ufeff" + stream.getvalue()).encode(), most)
    assert [(r.id, r.text) for r in found] == [(f"t{i}", text) for i, text in enumerate(texts)]


@given(TEXTS.filter(bool), st.integers(1, 5), st.integers(1, 4))
def test_parquet_however_it_is_cut(texts: list[str], most: int, group: int):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    stream = io.BytesIO()
    images = [{"bytes": b"x", "path": None}] * len(texts)
    pq.write_table(
        pa.table({"other": texts, "text": texts, "id": list(range(len(texts))), "image": images}),
        stream,
        row_group_size=group,
    )
    found = read(".parquet", stream.getvalue(), most)
    assert [(r.id, r.text, r.images) for r in found] == [(i, text, (b"x",)) for i, text in enumerate(texts)]
    assert next(READERS[".parquet"].cut(io.BytesIO(stream.getvalue()), 1, COLUMNS)).id_type == "int64"


def test_documents_of_spacy():
    nlp = spacy.blank("en")
    docs = [nlp("kevin durant"), nlp("oakland")]
    Doc.set_extension("id", default=None)
    docs[0]._.id = "first"
    Doc.remove_extension("id")
    found = read(".spacy", DocBin(docs=docs, store_user_data=True).to_bytes(), 1)
    assert [(r.id, r.doc.text) for r in found] == [("first", "kevin durant"), ("posts:1", "oakland")]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"text": "ke', "it is no JSON"),
        (b'{"text": "\xff"}', "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"7", "it is no object"),
        (b'{"id": "a"}', "'text' is not a string"),
        (b'{"text": 7}', "'text' is not a string"),
        (b'{"text": "", "id": [1]}', "'id' is neither a string nor a whole number"),
        (b'{"text": "", "id": true}', "'id' is neither"),
        (b'{"text": "", "id": "\\ud800"}', "surrogates not allowed"),
        (b'{"text": "", "image": 7}', "'image' is neither an image nor a list of images"),
    ],
)
def test_a_bad_line_costs_itself(line: bytes, error: str):
    good = b'{"text": "kevin", "id": null, "image": ["a.png", "data:,x", "data:"]}'
    first, bad, last = read(".jsonl", b"\n".join([good, line, good]), 2)
    assert (first.id, first.text, first.images) == ("posts:0", "kevin", ("a.png", b"x", b""))
    assert error in bad.error
    assert last.id == "posts:2"


def test_half_of_a_character_is_left_to_the_tokenizer():
    (found,) = read(".jsonl", b'{"text": "a \\ud83d"}', 1)
    assert (found.text, found.error) == ("a \ud83d", "")
    (found,) = read(".csv", b"text\n\xff\n", 1)
    assert (found.text, found.error) == ("\udcff", "")


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_file_without_texts(ending: str):
    content = b"a,b\n1,2\n"
    if ending == ".parquet":
        pa = pytest.importorskip("pyarrow")
        stream = io.BytesIO()
        pytest.importorskip("pyarrow.parquet").write_table(pa.table({"a": [1]}), stream)
        content = stream.getvalue()
    with pytest.raises(ValueError, match="no column 'text' among a"):
        read(ending, content, 1)


def test_other_files_have_no_reader():
    assert reader_of("posts/README.md") is reader_of("posts") is None
    assert reader_of("A.JSONL") is READERS[".jsonl"]
