"""What a pipeline is sure of becomes a label, what it is not stays open, and images are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.pseudo_labels import label_corpus, leave_open
from spacy_bga.pipeline.confidence import set_confidences
from spacy_bga.pipeline.tags import allowed_tags

CONFIDENCE = {"PER": 0.95, "LOC": 0.5}


@Language.component("capitals", assigns=["doc.ents"])
def capitals(doc: Doc) -> Doc:
    """Words in capitals are persons, and it is sure of them; capitalised ones are places, and it is not."""
    if "error" in doc.text:
        raise ValueError("not this one")
    doc.ents = [
        Span(doc, token.i, token.i + 1, label="PER" if token.is_upper else "LOC")
        for token in doc
        if token.is_title or token.is_upper
    ]
    set_confidences(doc, doc.ents, np.array([CONFIDENCE[ent.label_] for ent in doc.ents]), overwrite=True)
    return doc


@pytest.fixture
def nlp() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("capitals")
    return nlp


@pytest.fixture
def corpus(nlp: Language, tmp_path: Path) -> Path:
    """Texts with an image, without entities, with labels, of white space, and one that can't be tagged."""
    register_image_extension("image")
    docs = [nlp.make_doc(text) for text in ("MAX in Bonn", "nobody 👍🏽", "an error in Bonn", "MAX", "", " \n ")]
    docs[0]._.image = "photos/1.png"
    docs[3].set_ents([Span(docs[3], 0, 1, label="ORG")])
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "corpus.spacy")
    return tmp_path / "corpus.spacy"


def iob(doc: Doc) -> list[str]:
    return [f"{token.ent_iob_}{token.ent_type_}" for token in doc]


def test_what_is_unsure_stays_open(nlp: Language, corpus: Path):
    found = label_corpus(nlp, corpus, threshold=0.9)
    first, second, third, *_ = found.docs
    assert iob(first) == ["BPER", "O", ""]
    assert get_images(first) == ["photos/1.png"]
    assert set(iob(second)) == {"O"}
    assert iob(third) == ["BORG"]  # its own label
    assert (found.sure, found.unsure) == ({"PER": 1}, {"LOC": 1})
    assert len(found.docs) == 4  # the empty one has nothing to label
    assert found.annotated == 1
    assert [key[1] for key in first.user_data] == ["image"]  # what the pipeline noted is no label
    assert "1 texts could not be tagged" in found.notices[0]


def test_an_open_token_may_have_every_tag(nlp: Language, corpus: Path):
    doc = label_corpus(nlp, corpus, threshold=0.9).docs[0]
    example = spacy.training.Example(nlp.make_doc(doc.text), doc)
    assert allowed_tags(example, ("LOC", "PER")).sum(1).tolist() == [1, 1, 5]


@pytest.mark.parametrize(("threshold", "taken"), [(0.0, 2), (0.5, 2), (0.51, 1), (1.0, 0)])
def test_the_threshold_decides(nlp: Language, corpus: Path, threshold: float, taken: int):
    assert label_corpus(nlp, corpus, threshold=threshold).sure.total() == taken


def test_a_pipeline_that_does_not_say_how_sure_it_is(corpus: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Bonn"}])  # type: ignore[attr-defined]
    with pytest.raises(BGAError, match=r"B780.*'Bonn' \(LOC\)"):
        label_corpus(nlp, corpus, threshold=0.9)
    assert label_corpus(nlp, corpus, threshold=0.0).sure == {"LOC": 2}


def test_a_pipeline_that_can_give_no_labels(nlp: Language, corpus: Path, tmp_path: Path):
    with pytest.raises(BGAError, match=r"B781.*none"):
        label_corpus(spacy.blank("en"), corpus, threshold=0.9)
    DocBin(docs=[nlp.make_doc("an error")]).to_disk(tmp_path / "bad.spacy")
    with pytest.raises(BGAError, match=r"B782.*not this one"):
        label_corpus(nlp, tmp_path / "bad.spacy", threshold=0.9)


def test_two_entities_of_a_long_text():
    doc = Doc(spacy.blank("en").vocab, words=["a"] * 5000)
    doc.set_ents([Span(doc, 0, 2, label="A"), Span(doc, 4998, 5000, label="B")], default="outside")
    leave_open(doc, [doc.ents[1]])
    assert [ent.label_ for ent in doc.ents] == ["A"]
    assert [token.i for token in doc if token.ent_iob == 0] == [4998, 4999]


def test_the_console(nlp: Language, corpus: Path, tmp_path: Path):
    nlp.to_disk(tmp_path / "model")
    output = tmp_path / "new" / "labelled.spacy"
    result = CliRunner().invoke(app, ["label", str(tmp_path / "model"), str(corpus), str(output)])
    assert result.exit_code == 0, result.output
    assert "LOC: 0 entities taken, 1 left open\nPER: 1 entities taken, 0 left open" in result.output
    docs = list(DocBin().from_disk(output).get_docs(spacy.blank("en").vocab))
    assert [iob(docs[0]), iob(docs[2])] == [["BPER", "O", ""], ["BORG"]]
    assert get_images(docs[0]) == ["photos/1.png"]
    other = CliRunner().invoke(app, ["label", str(tmp_path / "model"), str(corpus), str(tmp_path / "labelled")])
    assert other.exit_code == 1
    assert "should end in .spacy" in other.output
    missing = CliRunner().invoke(app, ["label", str(tmp_path / "model"), str(tmp_path / "none.spacy"), str(output)])
    assert missing.exit_code == 1
    assert "none.spacy" in missing.output
