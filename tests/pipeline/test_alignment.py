"""What is generated beside what is real: which texts take part, where they land, and what is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.alignment import BATCH, Alignment, Pointers, align, grid_of, imagine, point, recall
from spacy_bga.pipeline.bridge import get_shim, image_features
from spacy_bga.pipeline.features import ImageFeatures
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, make_example, make_examples, pipe_of

MakeNlp = Callable[..., Language]
LONG = " ".join(["kevin", "love", "paris", "the"] * 20)  # several windows of 32 wordpieces
TEXTS = ["kevin durant joins the warriors", "love paris !", "apple is in new york", "the warriors , new york"]


@pytest.fixture
def fitted(make_nlp: MakeNlp) -> Language:
    """A pipeline, not trained, that knows the mean image of the posts."""
    return make_nlp(images=True, on_missing="ignore")


def features_of(nlp: Language) -> ImageFeatures:
    found = image_features(pipe_of(nlp).model, folder=None, on_missing="ignore")
    assert found is not None
    return found


def make_docs(nlp: Language, texts: Sequence[str]) -> list[Doc]:
    return [Doc(nlp.vocab, words=[text] if text.isspace() else text.split()) for text in texts]


def aligned(nlp: Language, texts: Sequence[str], images: Sequence[list] | None = None) -> Alignment | None:
    images = [[encode_picture(i)] for i in range(len(texts))] if images is None else images
    return align(pipe_of(nlp).model, make_docs(nlp, texts), images, features_of(nlp))


def some(nlp: Language, texts: Sequence[str], images: Sequence[list] | None = None) -> Alignment:
    found = aligned(nlp, texts, images)
    assert found is not None
    return found


def random_alignment(n: int = 5, *, layers: int = 2) -> Alignment:
    rng = np.random.default_rng(0)
    generated, real = (rng.normal(size=(n, layers, 4, 3)).astype(np.float32) for _ in range(2))
    ratios = np.ones((n, layers), dtype=np.float32)
    return Alignment(np.arange(n), generated, real, np.ones((n, 4), dtype=bool), ratios, ratios)


def by_hand(found: Alignment) -> np.ndarray:
    """The similarity, in loops."""
    n, layers = found.generated.shape[:2]
    similarity = np.zeros((n, n))
    for text in range(n):
        for image in range(n):
            for layer in range(layers):
                generated, there = found.generated[text, layer], found.valid[text]
                real, seen = found.real[image, layer], found.valid[image]
                means = generated[1:][there[1:]].mean(axis=0), real[1:][seen[1:]].mean(axis=0)
                for g, r in ((generated[0], real[0]), means):
                    similarity[text, image] += g @ r / np.linalg.norm(g) / np.linalg.norm(r) / layers / 2
    return similarity


class TestAlign:
    def test_shapes_and_order(self, fitted: Language):
        found = some(fitted, TEXTS)
        assert found.places.tolist() == [0, 1, 2, 3]
        assert found.generated.shape == found.real.shape == (4, 2, 5, 12)
        assert found.valid.shape == (4, 5)
        assert found.valid.all()
        assert found.kept_text.shape == found.kept_visual.shape == (4, 2)
        assert np.isfinite(found.generated).all()
        assert ((found.kept_text > 0) & (found.kept_text <= 1)).all()

    def test_only_usable_texts_take_part_and_keep_their_places(self, fitted: Language):
        picture = [encode_picture(1)]
        texts = ["", "love paris !", " ", "kevin is a love", "apple", "\x00\x01", "the warriors"]
        images = [picture, picture, picture, [], [b"no image"], picture, [encode_picture(2)]]
        found = some(fitted, texts, images)
        assert found.places.tolist() == [1, 6]
        alone = some(fitted, ["the warriors"], [[encode_picture(2)]])
        assert found.generated[1] == pytest.approx(alone.generated[0], abs=1e-5)
        assert found.real[1] == pytest.approx(alone.real[0], abs=1e-5)

    @pytest.mark.parametrize("texts", [[], [""], [" "], ["love"]])
    def test_nothing_to_align(self, fitted: Language, texts: list[str]):
        images = [[] if text == "love" else [encode_picture(0)] for text in texts]
        assert aligned(fitted, texts, images) is None

    def test_a_batch_without_a_usable_image_is_left_out(self, fitted: Language):
        n = BATCH + 2
        images = [[b"no image"]] * BATCH + [[encode_picture(0)], [encode_picture(1)]]
        assert some(fitted, ["love paris !"] * n, images).places.tolist() == [BATCH, BATCH + 1]

    @pytest.mark.parametrize("n", [BATCH - 1, BATCH, BATCH + 1])
    def test_batches_are_laid_end_to_end(self, fitted: Language, n: int):
        texts = [TEXTS[i % 4] for i in range(n)]
        images = [[encode_picture(i % 7)] for i in range(n)]
        found = some(fitted, texts, images)
        assert found.places.tolist() == list(range(n))
        last = some(fitted, texts[-1:], images[-1:])
        assert found.generated[-1] == pytest.approx(last.generated[0], abs=1e-5)
        assert found.real[-1] == pytest.approx(last.real[0], abs=1e-5)

    def test_of_a_long_text_the_first_window_counts(self, fitted: Language):
        found = some(fitted, [LONG, "love paris !"], [[encode_picture(0)], [encode_picture(1)]])
        assert found.places.tolist() == [0, 1]
        wordpieces = get_shim(pipe_of(fitted).model).wordpieces
        start = LONG.split(" ")[: wordpieces.window - 2]  # each of its words is one wordpiece
        assert found.generated[0] == pytest.approx(some(fitted, [" ".join(start)]).generated[0], abs=1e-5)
        assert found.real[1] == pytest.approx(some(fitted, ["is"], [[encode_picture(1)]]).real[0], abs=1e-5)

    def test_real_features_are_standardised(self, fitted: Language):
        found = some(fitted, [text for text, _ in POSTS])
        assert found.real.mean(axis=0) == pytest.approx(np.zeros(found.real.shape[1:]), abs=0.02)

    def test_what_is_generated_knows_no_image(self, fitted: Language):
        ours, other = (some(fitted, TEXTS[:1], [[encode_picture(seed)]]) for seed in (1, 2))
        assert np.array_equal(ours.generated, other.generated)
        assert not np.allclose(ours.real, other.real)

    def test_a_crop_that_is_not_there_does_not_count(self, make_nlp: MakeNlp):
        nlp = make_nlp(model={"max_crops": 1, "crop_grid": 0}, images=True)
        found = some(nlp, TEXTS[:2], [[encode_picture(0)], [encode_picture(1), encode_picture(2)]])
        assert found.valid.sum(axis=1).tolist() == [5, 6]
        assert found.similarity() == pytest.approx(by_hand(found), abs=1e-5)

    def test_a_vision_encoder_that_learns_is_run(self, make_nlp: MakeNlp):
        found = some(make_nlp(model={"train_vision": True, "standardize": False}), TEXTS)
        assert found.real.shape == (4, 2, 5, 12)

    def test_the_aligner_is_left_as_it_was(self, fitted: Language):
        before = {name: tensor.clone() for name, tensor in aligner_of(fitted).state_dict().items()}
        some(fitted, TEXTS)
        after = aligner_of(fitted).state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        assert all(parameter.grad is None for parameter in aligner_of(fitted).parameters())


class TestSimilarity:
    def test_it_is_what_loops_compute(self):
        found = random_alignment()
        assert found.similarity() == pytest.approx(by_hand(found), abs=1e-6)

    def test_perfect_features_find_their_images(self):
        found = random_alignment()
        perfect = Alignment(found.places, found.real, found.real, found.valid, found.kept_text, found.kept_visual)
        assert np.diagonal(perfect.similarity()) == pytest.approx(np.ones(5), abs=1e-6)
        assert recall(perfect.similarity(), at=1) == 1

    def test_recall_of_ties_is_no_reward(self):
        assert recall(np.ones((40, 40)), at=10) == 0
        assert recall(np.eye(40)[::-1], at=1) == 0
        assert recall(np.eye(40), at=1) == 1


class TestImagine:
    def test_it_is_what_align_generates(self, fitted: Language):
        directions = imagine(pipe_of(fitted).model, make_docs(fitted, TEXTS))
        generated = some(fitted, TEXTS).generated
        halves = np.stack([generated[:, :, 0], generated[:, :, 1:].mean(axis=2)], axis=2)
        halves /= np.linalg.norm(halves, axis=-1, keepdims=True) * np.sqrt(2)
        assert directions == pytest.approx(halves.reshape(*halves.shape[:2], -1), abs=1e-5)

    def test_it_needs_no_visual_branch(self, make_nlp: MakeNlp, tmp_path: Path):
        nlp = make_nlp()
        nlp.to_disk(tmp_path)
        slim = spacy.load(tmp_path)
        assert aligner_of(slim).visual is None
        ours, theirs = (imagine(pipe_of(n).model, make_docs(n, [*TEXTS, LONG])) for n in (nlp, slim))
        assert ours == pytest.approx(theirs, abs=1e-6)

    def test_texts_without_words_are_zeros(self, fitted: Language):
        found = imagine(pipe_of(fitted).model, make_docs(fitted, ["", "love", " "]))
        assert np.linalg.norm(found, axis=-1) == pytest.approx(np.array([[0, 0], [1, 1], [0, 0]]), abs=1e-5)
        assert imagine(pipe_of(fitted).model, []).shape == (0, 2, 24)

    def test_more_than_a_batch(self, fitted: Language):
        docs = make_docs(fitted, ([*TEXTS, ""] * 30)[: BATCH + 9])
        found = imagine(pipe_of(fitted).model, docs)
        assert found[-5:] == pytest.approx(imagine(pipe_of(fitted).model, docs[-5:]), abs=1e-5)


class TestPoint:
    def pointed(self, nlp: Language, spans: list[Span], images: list[list]) -> Pointers | None:
        return point(pipe_of(nlp).model, spans, images, features_of(nlp))

    def test_maps_are_cosines(self, fitted: Language):
        doc = make_docs(fitted, TEXTS[:1])[0]
        found = self.pointed(fitted, [doc[0:2], doc[4:5]], [[encode_picture(0)], [encode_picture(1)]])
        assert found is not None
        assert found.patches.shape == (2, 2, 2, 2, 12)
        real = some(fitted, TEXTS[:1], [[encode_picture(1)]]).real[0]
        assert found.patches[1].reshape(2, 4, 12) == pytest.approx(real[:, 1:], abs=1e-5)  # by rows, without [CLS]
        for row in range(2):
            for column in range(2):
                patches = found.patches[1, :, row, column]
                patches /= np.linalg.norm(patches, axis=-1, keepdims=True)
                cosines = [direction @ patch for direction, patch in zip(found.directions[1], patches, strict=True)]
                assert found.maps()[1, row, column] == pytest.approx(np.mean(cosines), abs=1e-5)

    def test_a_span_generates_from_its_own_wordpieces(self, fitted: Language):
        """As if the generator of the first BGA layer saw the hidden states of these places alone."""
        doc = make_docs(fitted, TEXTS[:1])[0]
        found = self.pointed(fitted, [doc[1:2]], [[encode_picture(0)]])
        assert found is not None
        shim = get_shim(pipe_of(fitted).model)
        pieces = [shim.wordpieces.split([token.text for token in doc])]
        text = shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))
        places = 1 + np.flatnonzero(pieces[0].words == 1)
        with torch.inference_mode():
            for number, stage in enumerate(shim.aligner.encode(text).stages):
                memory = stage.text.tokens[:, places]
                generated = shim.aligner.generate(number, memory, torch.ones(memory.shape[:2]))[0, 1:].mean(0)
                expected = (generated / generated.norm()).numpy()
                assert found.directions[0, number] == pytest.approx(expected, abs=1e-5)

    def test_white_space_shifts_nothing(self, fitted: Language):
        plain = make_docs(fitted, ["love paris !"])[0]
        spaced = Doc(fitted.vocab, words=[" ", "love", "\n", "paris", "!"])
        found = self.pointed(fitted, [plain[1:2], spaced[3:4]], [[encode_picture(0)]] * 2)
        assert found is not None
        assert found.directions[0] == pytest.approx(found.directions[1], abs=1e-5)

    def test_a_span_in_a_later_window_is_read_there(self, fitted: Language):
        doc = make_docs(fitted, [f"{LONG} oakland"])[0]
        found = self.pointed(fitted, [doc[len(doc) - 1 :], doc[0:1]], [[encode_picture(0)]] * 2)
        assert found is not None
        assert found.places.tolist() == [0, 1]
        tail = make_docs(fitted, [" ".join([token.text for token in doc][-30:])])[0]
        alone = self.pointed(fitted, [tail[29:]], [[encode_picture(0)]])
        assert alone is not None
        assert found.directions[0] == pytest.approx(alone.directions[0], abs=1e-5)

    def test_spans_that_cannot_be_used_are_left_out(self, fitted: Language):
        doc = Doc(fitted.vocab, words=["love", " ", "paris"])
        spans = [doc[0:1], doc[1:2], doc[2:3], doc[2:3]]
        found = self.pointed(fitted, spans, [[], [encode_picture(0)], [b"no image"], [encode_picture(0)]])
        assert found is not None
        assert found.places.tolist() == [3]
        assert self.pointed(fitted, spans[:3], [[], [encode_picture(0)], [b"no image"]]) is None
        assert self.pointed(fitted, [], []) is None

    def test_more_than_a_batch(self, fitted: Language):
        doc = make_docs(fitted, TEXTS[:1])[0]
        spans = [doc[i % 5 : i % 5 + 1] for i in range(BATCH + 3)]
        images = [[encode_picture(i % 3)] for i in range(BATCH + 3)]
        images[1] = []
        found = self.pointed(fitted, spans, images)
        assert found is not None
        assert found.places.tolist() == [0, *range(2, BATCH + 3)]
        last = self.pointed(fitted, spans[-1:], images[-1:])
        assert last is not None
        assert found.maps()[-1] == pytest.approx(last.maps()[0], abs=1e-5)

    def test_the_grid(self, make_nlp: MakeNlp, fitted: Language):
        assert grid_of(aligner_of(fitted)) == (2, 2)
        assert grid_of(aligner_of(make_nlp(model={"visual_grid": None}))) == (4, 4)
        with pytest.raises(BGAError, match="B208"):
            grid_of(aligner_of(make_nlp(model={"visual_grid": 0})))
        with pytest.raises(BGAError, match="B107"):
            grid_of(aligner_of(make_nlp(text_only=True)))


class TestScore:
    def test_it_scores_alignment_if_asked_to(self, make_nlp: MakeNlp):
        nlp = make_nlp(images=True, score_alignment=True)
        examples = make_examples(nlp, images=True)
        scores = pipe_of(nlp).score(examples)
        assert scores["align_r10"] == scores["align_r10_images"] == 1  # of 6, each is among the first 10
        assert "ents_f" in scores

    def test_it_is_what_the_similarity_says(self, make_nlp: MakeNlp):
        nlp = make_nlp(images=True, score_alignment=True)
        words = TEXTS[0].split(" ")
        examples = [make_example(nlp, " ".join(words[i % 5 :]), None, image=encode_picture(i)) for i in range(30)]
        scores = pipe_of(nlp).score(examples)
        images = [[encode_picture(i)] for i in range(30)]
        similarity = some(nlp, [example.text for example in examples], images).similarity()
        assert scores["align_r10"] == recall(similarity, at=10)
        assert scores["align_r10_images"] == recall(similarity.T, at=10)
        assert 0 < scores["align_r10"] < 1

    def test_without_images_there_is_nothing_to_say(self, make_nlp: MakeNlp):
        nlp = make_nlp(score_alignment=True)
        scores = pipe_of(nlp).score(make_examples(nlp))
        assert scores["align_r10"] is None
        assert scores["align_r10_images"] is None

    def test_by_default_nobody_asks(self, make_nlp: MakeNlp):
        nlp = make_nlp(images=True)
        assert "align_r10" not in pipe_of(nlp).score(make_examples(nlp, images=True))

    def test_a_text_only_pipeline_has_no_such_score(self, make_nlp: MakeNlp):
        nlp = make_nlp(text_only=True, score_alignment=True)
        assert "align_r10" not in pipe_of(nlp).score(make_examples(nlp, images=True))
