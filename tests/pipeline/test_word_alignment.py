"""Texts whose words generate by themselves, beside their images: by hand, and what training makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.aligner.losses import match
from spacy_bga.pipeline import word_alignment
from spacy_bga.pipeline.alignment import BATCH, align, imagine, imagine_spans, point, recall
from spacy_bga.pipeline.bridge import get_shim, image_features
from spacy_bga.pipeline.features import ImageFeatures
from spacy_bga.pipeline.heat_maps import can_point, find_heat_maps
from spacy_bga.pipeline.span_features import read_spans
from spacy_bga.pipeline.word_alignment import WordAlignment
from tests.conftest import encode_picture
from tests.pipeline.conftest import aligner_of, make_example, pipe_of
from tests.pipeline.pictured import make_pair, make_word_pipeline, pictured_folder

__all__ = ["pictured_folder"]  # a fixture of the session, here too

LONG = " ".join(["kevin", "love", "paris", "the"] * 20)  # several windows of 32 wordpieces
TEXTS = ["kevin durant joins the warriors", "love paris !", "apple is in new york", "the warriors , new york"]
PAIRS = [make_pair(seed) for seed in range(1000, 1060)]  # none of which was trained on


@pytest.fixture(scope="module")
def nlp(text_encoder_folder: Path, vision_encoder_folder: Path) -> Language:
    """A pipeline, not trained, that knows the mean image of the posts."""
    return make_word_pipeline(text_encoder_folder, vision_encoder_folder)


@pytest.fixture(scope="module")
def pictured(pictured_folder: Path) -> Language:
    return spacy.load(pictured_folder)


def features_of(nlp: Language) -> ImageFeatures:
    found = image_features(pipe_of(nlp).model, folder=None, on_missing="ignore")
    assert found is not None
    return found


def make_docs(nlp: Language, texts: list[str]) -> list[Doc]:
    return [Doc(nlp.vocab, words=[text] if text.isspace() else text.split()) for text in texts]


def single_tokens(doc: Doc) -> list[Span]:
    return [doc[i : i + 1] for i in range(len(doc))]


def some(nlp: Language, texts: list[str], images: list[list] | None = None) -> WordAlignment:
    images = [[encode_picture(i)] for i in range(len(texts))] if images is None else images
    found = align(pipe_of(nlp).model, make_docs(nlp, texts), images, features_of(nlp))
    assert isinstance(found, WordAlignment)
    return found


def random_alignment(counts: tuple[int, ...] = (3, 1, 4), *, temperature: float = 0.2) -> WordAlignment:
    rng = np.random.default_rng(0)
    words = rng.normal(size=(sum(counts), 5)).astype(np.float32)
    patches = rng.normal(size=(len(counts), 4, 5)).astype(np.float32)
    valid = np.ones((len(counts), 4), dtype=bool)
    valid[1, 2:] = False
    return WordAlignment(np.arange(len(counts)), words, np.array(counts), patches, valid, temperature)


def by_hand(found: WordAlignment) -> np.ndarray:
    """The similarity, in loops."""

    def score(word: np.ndarray, patch: np.ndarray) -> float:
        cosine = word @ patch / np.linalg.norm(word) / np.linalg.norm(patch)
        return float(np.exp(cosine / found.temperature))

    n, m = found.valid.shape
    seen = [(i, j) for i in range(n) for j in range(m) if found.valid[i, j]]
    similarity = np.zeros((n, n))
    for text, words in enumerate(np.split(found.words.astype(np.float64), np.cumsum(found.counts)[:-1])):
        totals = [sum(score(word, found.patches[place]) for place in seen) for word in words]
        for image in range(n):
            logs = [
                np.log(np.mean([score(w, found.patches[image, j]) / z for w, z in zip(words, totals, strict=True)]))
                for j in range(m)
                if found.valid[image, j]
            ]
            similarity[text, image] = np.mean(logs)
    return similarity


class TestSimilarity:
    @pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
    def test_it_is_what_loops_compute(self, temperature: float):
        found = random_alignment(temperature=temperature)
        assert found.similarity() == pytest.approx(by_hand(found), abs=1e-4)

    def test_it_is_what_training_maximises(self):
        found = random_alignment()
        owners = torch.arange(3).repeat_interleave(torch.from_numpy(found.counts))
        arrays = (torch.from_numpy(found.words), owners, torch.from_numpy(found.patches), torch.from_numpy(found.valid))
        assert np.diagonal(found.similarity()).mean() == pytest.approx(-float(match(*arrays, temperature=0.2)))

    @pytest.mark.parametrize("most", [1, 12, 25, 10**6])
    def test_how_much_is_computed_at_once_changes_nothing(self, most: int, monkeypatch: pytest.MonkeyPatch):
        expected = random_alignment().similarity()
        monkeypatch.setattr(word_alignment, "MOST_SCORES", most)
        assert random_alignment().similarity() == pytest.approx(expected, abs=1e-6)

    def test_a_text_without_words_explains_nothing(self):
        similarity = random_alignment((2, 0, 3)).similarity()
        assert (similarity[1] == -np.inf).all()
        assert np.isfinite(similarity[[0, 2]]).all()

    def test_a_low_temperature_has_no_underflow(self):
        assert np.isfinite(random_alignment(temperature=0.002).similarity()).all()


class TestAlign:
    def test_shapes_and_order(self, nlp: Language):
        found = some(nlp, TEXTS)
        assert found.places.tolist() == [0, 1, 2, 3]
        assert found.counts.tolist() == [5, 3, 5, 5]
        assert found.words.shape == (18, 12)
        assert found.patches.shape == (4, 4, 12)
        assert found.valid.all()
        assert found.temperature == aligner_of(nlp).config.word_temperature

    def test_only_usable_texts_take_part_and_keep_their_places(self, nlp: Language):
        picture = [encode_picture(1)]
        texts = ["", "love paris !", " ", "kevin is a love", "apple", "\x00\x01", "the warriors"]
        images = [picture, picture, picture, [], [b"no image"], picture, [encode_picture(2)]]
        found = some(nlp, texts, images)
        assert found.places.tolist() == [1, 6]
        assert found.counts.tolist() == [3, 2]
        alone = some(nlp, ["the warriors"], [[encode_picture(2)]])
        assert found.words[3:] == pytest.approx(alone.words, abs=1e-5)
        assert found.patches[1] == pytest.approx(alone.patches[0], abs=1e-5)

    @pytest.mark.parametrize("n", [BATCH, BATCH + 1])
    def test_batches_are_laid_end_to_end(self, nlp: Language, n: int):
        texts, images = [TEXTS[i % 4] for i in range(n)], [[encode_picture(i % 7)] for i in range(n)]
        found, last = some(nlp, texts, images), some(nlp, texts[-1:], images[-1:])
        assert found.counts.sum() == len(found.words)
        assert found.words[-found.counts[-1] :] == pytest.approx(last.words, abs=1e-5)
        assert found.patches[-1] == pytest.approx(last.patches[0], abs=1e-5)

    def test_of_a_long_text_the_words_of_the_first_window_count(self, nlp: Language):
        found = some(nlp, [LONG, "love paris !"])
        assert 11 < found.counts[0] < 30 < len(LONG.split())
        assert found.counts[1] == 3

    def test_a_crop_that_is_not_there_does_not_count(self, text_encoder_folder: Path, vision_encoder_folder: Path):
        nlp = make_word_pipeline(text_encoder_folder, vision_encoder_folder, max_crops=1, crop_grid=1)
        found = some(nlp, TEXTS[:2], [[encode_picture(0)], [encode_picture(1), encode_picture(2)]])
        assert found.valid.sum(axis=1).tolist() == [4, 5]
        assert found.similarity() == pytest.approx(by_hand(found), abs=1e-4)

    def test_words_decide_where_there_are_bga_layers_too(self, text_encoder_folder: Path, vision_encoder_folder: Path):
        nlp = make_word_pipeline(text_encoder_folder, vision_encoder_folder, bga_layers=1, vision_layers=1)
        assert some(nlp, TEXTS).similarity().shape == (4, 4)
        assert imagine(pipe_of(nlp).model, make_docs(nlp, TEXTS)).shape == (4, 1, 12)

    def test_the_component_scores_it(self, nlp: Language):
        component = pipe_of(nlp)
        component.score_alignment = True
        examples = [make_example(nlp, " ".join(w), None, image=image) for w, _, image in PAIRS[:30]]
        images = [[image] for *_, image in PAIRS[:30]]
        similarity = some(nlp, [" ".join(words) for words, *_ in PAIRS[:30]], images).similarity()
        try:
            scores = component.score(examples)
        finally:
            component.score_alignment = False
        assert scores["align_r10"] == recall(similarity, at=10)
        assert scores["align_r10_images"] == recall(similarity.T, at=10)


class TestImagine:
    def test_it_is_the_mean_of_the_words(self, nlp: Language):
        found = imagine(pipe_of(nlp).model, make_docs(nlp, TEXTS))
        words = np.split(some(nlp, TEXTS).words, [5, 8, 13])
        means = np.stack([part.mean(axis=0) for part in words])
        assert found[:, 0] == pytest.approx(means / np.linalg.norm(means, axis=-1, keepdims=True), abs=1e-5)

    def test_words_without_wordpieces_are_none(self, nlp: Language):
        docs = [*make_docs(nlp, ["", "love", " "]), Doc(nlp.vocab, words=["\x00", "love"])]
        found = imagine(pipe_of(nlp).model, docs)
        assert np.linalg.norm(found[:, 0], axis=-1) == pytest.approx(np.array([0, 1, 0, 1]), abs=1e-5)
        assert found[3] == pytest.approx(found[1], abs=1e-5)
        assert imagine(pipe_of(nlp).model, []).shape == (0, 1, 12)

    def test_it_needs_no_visual_branch(self, nlp: Language, tmp_path: Path):
        get_shim(pipe_of(nlp).model).save_visual_branch = False
        try:
            nlp.to_disk(tmp_path)
        finally:
            get_shim(pipe_of(nlp).model).save_visual_branch = True
        slim = spacy.load(tmp_path)
        assert aligner_of(slim).visual is None
        assert not can_point(pipe_of(slim))
        ours, theirs = (imagine(pipe_of(n).model, make_docs(n, [*TEXTS, LONG])) for n in (nlp, slim))
        assert ours == pytest.approx(theirs, abs=1e-6)

    def test_spans_are_their_own_words(self, nlp: Language):
        doc = make_docs(nlp, [f"{LONG} oakland"])[0]
        found = imagine_spans(pipe_of(nlp).model, [doc[len(doc) - 1 :], doc[0:2], doc[0:0]])
        alone = imagine(pipe_of(nlp).model, make_docs(nlp, ["oakland", "kevin love"]))
        assert found[:2] == pytest.approx(alone, abs=1e-5)  # whatever stands around them
        assert (found[2] == 0).all()


class TestReadSpans:
    def test_it_is_the_mean_of_what_is_tagged(self, nlp: Language):
        doc = Doc(nlp.vocab, words=["kevin", " ", "durant", "joins"])
        found = read_spans(pipe_of(nlp).model, [doc[0:3], doc[3:4], doc[1:2]])
        shim = get_shim(pipe_of(nlp).model)
        pieces = [shim.wordpieces.split(["kevin", "durant", "joins"])]
        with torch.inference_mode():
            hidden = shim.aligner.encode(shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))).hidden[0]
        by_word = [hidden[1:-1][torch.from_numpy(pieces[0].words == word)].mean(0) for word in range(3)]
        assert found[0] == pytest.approx(((by_word[0] + by_word[1]) / 2).numpy(), abs=1e-5)
        assert found[1] == pytest.approx(by_word[2].numpy(), abs=1e-5)
        assert (found[2] == 0).all()


class TestMadePictures:
    """What training makes of it, on pictures in which things have a colour and a place."""

    def test_texts_find_their_images(self, nlp: Language, pictured: Language):
        texts, images = [" ".join(words) for words, *_ in PAIRS], [[picture] for *_, picture in PAIRS]
        trained, untrained = (some(n, texts, images).similarity() for n in (pictured, nlp))
        for turned in (np.asarray, np.transpose):
            assert recall(turned(trained), at=10) > 0.5  # chance is 1/6
            assert recall(turned(untrained), at=10) < 0.35

    def test_things_point_at_their_place(self, pictured: Language):
        component = pipe_of(pictured)
        named = [
            (span, picture, quadrants[span.text])
            for words, quadrants, picture in PAIRS
            for span in single_tokens(Doc(pictured.vocab, words=words))
            if span.text in quadrants
        ]
        spans, images = [span for span, *_ in named], [[picture] for _, picture, _ in named]
        found = point(component.model, spans, images, features_of(pictured))
        assert found is not None
        assert found.directions.shape == (120, 1, 12)
        assert found.patches.shape == (120, 1, 2, 2, 12)
        best = [np.unravel_index(likeness.argmax(), (2, 2)) for likeness in found.maps()]
        assert np.mean([place == quadrant for place, (*_, quadrant) in zip(best, named, strict=True)]) > 0.9

    def test_heat_maps(self, pictured: Language):
        component = pipe_of(pictured)
        assert can_point(component)
        words, quadrants, picture = PAIRS[0]
        thing, (row, column) = next(iter(quadrants.items()))
        span = single_tokens(Doc(pictured.vocab, words=words))[words.index(thing)]
        heat = find_heat_maps(component, [span], [[picture]])[0]
        assert heat.best == (0.25 + column / 2, 0.25 + row / 2)

    def test_patches_are_of_the_whole_image(self, text_encoder_folder: Path, vision_encoder_folder: Path):
        nlp = make_word_pipeline(text_encoder_folder, vision_encoder_folder, max_crops=1, crop_grid=2)
        doc = make_docs(nlp, TEXTS[:1])[0]
        images = [[encode_picture(0)], [encode_picture(0), encode_picture(1)], [], [b"no image"]]
        found = point(pipe_of(nlp).model, [doc[0:1]] * 4, images, features_of(nlp))
        assert found is not None
        assert found.places.tolist() == [0, 1]
        assert found.patches[0] == pytest.approx(found.patches[1], abs=1e-5)
