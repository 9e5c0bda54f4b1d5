"""Posts that each tool has written come back with the same entities and pictures."""

from __future__ import annotations

import pytest
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.images import get_images
from tests.corpus import exports
from tests.corpus.exports import Sample

JSON = {
    "jsonl": exports.jsonl,
    "prodigy": exports.prodigy,
    "doccano": exports.doccano,
    "label-studio": exports.label_studio,
    "label-studio-min": exports.label_studio_min,
    "spacy-json": exports.spacy_json,
}
SAMPLES = exports.posts()


@pytest.fixture
def root(tmp_path):
    exports.write_pictures(tmp_path)
    return tmp_path


def entities(sample: Sample) -> list[tuple[str, str]]:
    return sorted(sample.outer)


def read_back(source, root, **settings):
    report = convert(source, root / "out.spacy", images=root, lang="xx", strict=True, **settings)
    return report, list(DocBin().from_disk(root / "out.spacy").get_docs(Vocab()))


def check(docs, samples, *, texts: bool = True, most_images: int = 2):
    assert len(docs) == len(samples)
    for doc, sample in zip(docs, samples, strict=True):
        assert not texts or doc.text == sample.text
        assert sorted((ent.text, ent.label_) for ent in doc.ents) == entities(sample)
        assert len(get_images(doc)) == min(len(sample.images), most_images)
        assert all(token.ent_iob_ for token in doc), "something counts as not annotated"


@pytest.mark.parametrize("layout", ["lines", "array", "indented", "objects"])
@pytest.mark.parametrize("name", JSON)
def test_json(root, name, layout):
    source = exports.write_json([JSON[name](sample) for sample in SAMPLES], root / "posts.json", layout)
    report, docs = read_back(source, root)
    kept = [s for s in SAMPLES if not s.rejected] if name in ("prodigy", "label-studio") else SAMPLES
    check(docs, kept)
    assert report.formats == {name: 50}
    assert report.rejected_answers == (5 if name == "prodigy" else 0)
    assert report.ignored_answers == (5 if name == "label-studio" else 0)
    assert report.misaligned_spans == report.bad_lines == report.suspected_spans == 0
    assert (report.shifted_spans > 0) == name.startswith("label-studio")
    assert report.documents_with_several_images == sum(len(sample.images) > 1 for sample in kept)


@pytest.mark.parametrize("layout", ["lines", "array", "indented"])
def test_examples_of_older_loops(root, layout):
    source = exports.write_json([exports.spacy_pair(sample) for sample in SAMPLES], root / "posts.json", layout)
    report, docs = read_back(source, root)
    check(docs, SAMPLES)
    assert report.formats == {"spacy-json": 50}


def test_conll(root):
    report, docs = read_back(exports.write_conll(SAMPLES, root), root)
    assert (report.formats, report.tag_scheme, report.orphan_tags) == ({"conll": 50}, "BILUO", 0)
    assert [len(get_images(doc)) for doc in docs] == [min(len(sample.images), 1) for sample in SAMPLES]
    for doc, sample in zip(docs, SAMPLES, strict=True):
        assert sorted((ent.text.replace(" ", ""), ent.label_) for ent in doc.ents) == sorted(
            (text.replace(" ", ""), label) for text, label in entities(sample)
        )


def test_brat(root):
    source = exports.write_brat(SAMPLES, root)
    report = convert(source, root / "out.spacy", lang="xx", strict=True)
    check(list(DocBin().from_disk(root / "out.spacy").get_docs(Vocab())), SAMPLES, most_images=1)
    assert report.formats == {"brat": 50}


def test_offsets_of_a_browser_without_texts(root):
    """Nothing proves what was counted: the report names the likely cause, and `offsets` mends it."""
    shifted = []
    for sample in SAMPLES:
        spans = tuple(
            (exports.units(sample.text, s), exports.units(sample.text, e), label) for s, e, label in sample.spans
        )
        shifted.append(exports.doccano(Sample(sample.text, spans, sample.images)))
    source = exports.write_json(shifted, root / "posts.jsonl")
    report, docs = read_back(source, root)
    assert report.suspected_spans > 10
    assert any("--offsets utf-16" in note for note in report.notes)
    for doc, sample in zip(docs, SAMPLES, strict=True):  # nothing wrong is learnt
        assert {(ent.text, ent.label_) for ent in doc.ents} <= {
            (sample.text[s:e], label) for s, e, label in sample.spans
        }
    report, docs = read_back(source, root, offsets="utf-16")
    check(docs, SAMPLES)
    assert report.suspected_spans == 0 < report.shifted_spans
