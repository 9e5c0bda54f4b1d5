"""Data sets of Hugging Face. Where `datasets` is absent, only what is said then is tested."""

from __future__ import annotations

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus import hugging_face
from spacy_bga.corpus.conll import post_to_doc
from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError
from tests.conftest import encode_picture

PICTURES = [encode_picture(seed) for seed in range(2)]
LABELS = ["O", "B-PER", "I-PER", "B-LOC"]
ROWS = {
    "tokens": [["Kevin", "Durant", "wins"], ["love", "😀", "Paris"], ["nothing"], []],
    "ner_tags": [[1, 2, 0], [0, -100, 3], [0], []],
    "image": [{"bytes": PICTURES[0], "path": "a.png"}, {"bytes": PICTURES[1], "path": None}, None, None],
}


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(hugging_face, "find_spec", lambda name: None)
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(BGAError, match=r"B354.*spacy_bga\[datasets\]"):
        convert(f"hf:{tmp_path / 'a.parquet'}", tmp_path / "out.spacy")
    with pytest.raises(BGAError, match="B330"):
        convert(f"hf:{tmp_path / 'absent'}", tmp_path / "out.spacy")


def test_a_text_beside_the_tokens_is_kept():
    rows = hugging_face.HuggingFaceRows.__new__(hugging_face.HuggingFaceRows)
    rows.tokens, rows.tags, rows.text, rows.images, rows.names = "tokens", "ner_tags", "text", [], LABELS
    row = {"tokens": ["Kevin", "wins", "!"], "ner_tags": [1, 0, 0], "text": "Kevin wins!"}
    assert post_to_doc(rows._row(row, 1), Vocab()).text == "Kevin wins!"
    assert post_to_doc(rows._row(row | {"text": None}, 1), Vocab()).has_unknown_spaces


@pytest.fixture
def datasets():
    return pytest.importorskip("datasets", reason="the extra `datasets` is not installed")


@pytest.fixture
def rows(datasets):
    names = datasets.ClassLabel(names=LABELS)
    features = {
        "tokens": datasets.Sequence(datasets.Value("string")),
        "ner_tags": datasets.Sequence(names),
        "image": datasets.Image(),
    }
    return datasets.Dataset.from_dict(ROWS, features=datasets.Features(features))


def read(source, tmp_path, **settings):
    report = convert(f"hf:{source}", tmp_path / "out.spacy", **settings)
    return report, list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(Vocab()))


def check(report, docs):
    assert [[token.text for token in doc] for doc in docs] == ROWS["tokens"][:3]
    assert [[(ent.text, ent.label_) for ent in doc.ents] for doc in docs] == [
        [("Kevin Durant", "PER")],
        [("Paris", "LOC")],
        [],
    ]
    assert [token.ent_iob_ for token in docs[1]] == ["O", "", "B"]
    assert [get_images(doc) for doc in docs] == [[PICTURES[0]], [PICTURES[1]], []]
    assert (report.formats, report.tag_scheme, report.empty_posts, report.images) == ({"hf": 4}, "IOB2", 1, 2)


def test_parquet_and_its_folder(rows, tmp_path):
    (tmp_path / "data").mkdir()
    rows.to_parquet(tmp_path / "data" / "train-0.parquet")
    check(*read(tmp_path / "data" / "train-0.parquet", tmp_path))
    check(*read(tmp_path / "data", tmp_path, strict=True))


def test_a_saved_data_set_and_its_splits(datasets, rows, tmp_path):
    rows.save_to_disk(tmp_path / "one")
    check(*read(tmp_path / "one", tmp_path))
    datasets.DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "both")
    check(*read(tmp_path / "both" / "train", tmp_path))
    with pytest.raises(BGAError, match=r"B355.*the splits test, train.*hf:.*both/train"):
        read(tmp_path / "both", tmp_path)


def test_pairs_of_texts_and_pictures(datasets, tmp_path):
    kinds = {"caption": datasets.Value("string"), "images": datasets.Sequence(datasets.Image())}
    pictures = [[{"bytes": picture, "path": None} for picture in PICTURES], []]
    data = datasets.Dataset.from_dict({"caption": ["a dog", "a cat"], "images": pictures}, datasets.Features(kinds))
    data.save_to_disk(tmp_path / "pairs")
    report, docs = read(tmp_path / "pairs", tmp_path)
    assert [doc.text for doc in docs] == ["a dog", "a cat"]
    assert [get_images(doc) for doc in docs] == [PICTURES, []]
    assert (report.annotated, report.documents_with_several_images) == (0, 1)


def test_rows_that_cannot_be_read_cost_no_other(datasets, tmp_path):
    data = {"words": [["a"], ["b", "c"], ["d"], [""]], "tags": [["B-PER"], ["O"], None, ["O"]], "image": ["x.png"] * 4}
    datasets.Dataset.from_dict(data).to_parquet(tmp_path / "a.parquet")
    report, docs = read(tmp_path / "a.parquet", tmp_path)
    assert [doc.text.strip() for doc in docs] == ["a", "d"]
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [True, False]
    assert (report.bad_lines, report.images_missing) == (2, 2)
    with pytest.raises(BGAError, match=r"B322.*line 2.*2 tokens and 1 tags"):
        read(tmp_path / "a.parquet", tmp_path, strict=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"tokens": [["a"]], "ner_tags": [[1]]}, "no ClassLabel"),
        ({"number": [1]}, "no column of texts among"),
    ],
)
def test_what_is_missing_is_named(datasets, tmp_path, data, reason):
    datasets.Dataset.from_dict(data).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(BGAError, match=f"(?s)B3[35][35].*{reason}"):
        read(tmp_path / "a.parquet", tmp_path)


def test_no_data_set(datasets, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    for source in ("empty", "a.parquet"):
        with pytest.raises(BGAError, match="B355"):
            read(tmp_path / source, tmp_path)
