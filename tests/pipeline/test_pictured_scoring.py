"""What is evaluated is what will run: with `visual_context`, evaluations look at the images as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.cli.evaluate import evaluate
from spacy.language import Language
from spacy.pipeline import EntityRuler
from spacy.tokens import DocBin
from spacy.training import Corpus, Example
from spacy.training.loop import create_evaluation_callback

from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.errors import BGAError
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, found, make_example, pipe_of


class Watch:
    """What images the tagger was shown, in place of tagging with them: a post with a picture is all one entity."""

    def __init__(self, nlp: Language, monkeypatch: pytest.MonkeyPatch):
        self.shown: list[list[object]] = []
        component: Any = pipe_of(nlp)
        predict = component.predict

        def watched(docs):
            docs = list(docs)
            images = component.images.to_tag(docs).get("images", [[]] * len(docs))
            self.shown += images
            found = predict(docs)
            for tagging, of_doc in zip(found, images, strict=True):
                if of_doc:
                    tagging.tags[:] = 2
                    tagging.tags[0] = 1
            return found

        monkeypatch.setattr(component, "predict", watched)

    @property
    def pictures(self) -> int:
        return sum(bool(images) for images in self.shown)


@pytest.fixture
def folder(trained: Language, tmp_path: Path) -> Path:
    """Posts, half of them with a picture; each of these is gold as one entity from its beginning to its end."""
    (tmp_path / "photos").mkdir()
    docs = []
    for i, (text, ents) in enumerate(POSTS):
        (tmp_path / "photos" / f"{i}.png").write_bytes(encode_picture(i))
        gold = [(0, len(text.split()), "LOC")] if i % 2 else ents
        docs.append(make_example(trained, text, gold, image=f"{i}.png" if i % 2 else None).reference)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "dev.spacy")
    return tmp_path


@pytest.fixture
def looking(trained: Language, folder: Path) -> Language:
    component = pipe_of(trained)
    component.visual_context = "real"
    component.image_root = folder / "photos"
    return trained


def test_spacys_reader(looking: Language, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """It gives the picture to the gold document alone: such texts are tagged once more, with it."""
    watch = Watch(looking, monkeypatch)
    scores = looking.evaluate(list(Corpus(folder / "dev.spacy")(looking)))
    assert watch.pictures == 3
    assert scores["ents_f"] == 1.0


def test_our_reader(looking: Language, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """It gives the picture to the document to tag, too, and nothing is tagged twice."""
    pipe_of(looking).image_root = None
    watch = Watch(looking, monkeypatch)
    scores = looking.evaluate(list(ImageCorpus(folder / "dev.spacy", images=folder / "photos")(looking)))
    assert (watch.pictures, len(watch.shown)) == (3, 6)
    assert scores["ents_f"] == 1.0


@pytest.mark.parametrize("reader", ["spacy", "ours"])
def test_evaluations_of_spacy_train(looking: Language, folder: Path, monkeypatch: pytest.MonkeyPatch, reader: str):
    ours = ImageCorpus(folder / "dev.spacy", images=folder / "photos")
    watch = Watch(looking, monkeypatch)
    corpus = Corpus(folder / "dev.spacy") if reader == "spacy" else ours
    score, _ = create_evaluation_callback(looking, corpus, {"ents_f": 1.0})()
    assert (score, watch.pictures) == (1.0, 3)


def test_spacy_evaluate(looking: Language, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    looking.to_disk(tmp_path / "pipeline")
    settings = {"visual_context": "auto", "image_root": str(folder / "photos")}
    load = spacy.util.load_model
    watches: list[Watch] = []

    def load_and_watch(name: str) -> Language:
        nlp = load(name, config={"components": {"bga_ner": settings}})
        watches.append(Watch(nlp, monkeypatch))
        return nlp

    monkeypatch.setattr("spacy.util.load_model", load_and_watch)
    assert evaluate(str(tmp_path / "pipeline"), folder / "dev.spacy")["ents_f"] == 1.0
    assert watches[0].pictures == 3


def test_a_root_is_missing(looking: Language, folder: Path):
    pipe_of(looking).image_root = None
    with pytest.raises(BGAError, match=r"B207.*image_root"):
        looking.evaluate(list(Corpus(folder / "dev.spacy")(looking)))


def test_generated_features_need_no_picture(trained: Language, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Nor does our reader give any to the document to tag."""
    watch = Watch(trained, monkeypatch)
    examples = list(ImageCorpus(folder / "dev.spacy", images=folder / "photos")(trained))
    assert not any(example.predicted._.image for example in examples)
    trained.evaluate(examples)
    assert (watch.pictures, len(watch.shown)) == (0, 6)


def test_entities_of_others_are_kept(looking: Language, folder: Path, monkeypatch: pytest.MonkeyPatch):
    ruler = looking.add_pipe("entity_ruler", first=True)
    assert isinstance(ruler, EntityRuler)
    ruler.add_patterns([{"label": "RULE", "pattern": "paris"}])
    Watch(looking, monkeypatch)
    seen: list[Example] = []
    monkeypatch.setattr(pipe_of(looking), "scorer", lambda examples, **_: seen.extend(examples) or {})
    examples = list(Corpus(folder / "dev.spacy")(looking))
    looking.evaluate(examples)
    assert found(seen[1].predicted)[0] == (1, 2, "RULE")
    assert not examples[1].predicted.ents  # what the caller has is left alone
