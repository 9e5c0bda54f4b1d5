"""Pipelines that learn from given features: as from the images they were computed of, and with no trace once saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.corpus.convert import write_docs
from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.errors import BGAError, ImageError
from spacy_bga.pipeline.alignment import align
from spacy_bga.pipeline.features import ImageFeatures
from spacy_bga.pipeline.heat_maps import can_point, find_heat_maps
from tests.conftest import encode_picture
from tests.features import branch_of, encoded, random_features, write_features
from tests.pipeline.conftest import POSTS, aligner_of, architecture, found, make_example, make_examples, pipe_of, train
from tests.pipeline.words import words_pipeline

IMAGES = {f"photos/{i}.png": encode_picture(i) for i in range(len(POSTS))}
MakeNlp = Callable[..., Language]


def keyed(nlp: Language) -> list[Example]:
    """RETURNS (list[Example]): The posts, with keys in the place of the images of `make_examples`."""
    return [make_example(nlp, text, ents, image=key) for key, (text, ents) in zip(IMAGES, POSTS, strict=True)]


@pytest.fixture
def make_given(text_encoder_folder: Path, tmp_path: Path) -> MakeNlp:
    """Makes a pipeline of given features, initialized with the posts and their keys. words: Without BGA layers."""

    def make(features: dict[str, np.ndarray], *, grid: str | None = None, words: bool = False, **settings: Any):
        path = write_features(tmp_path / "features.safetensors", features, grid=grid)
        model = {"visual_features": str(path), "@architectures": "spacy_bga.BGAModel.v2", "words": words}
        model |= {"bga_layers": 0 if words else 2, "word_width": 64, **settings.pop("model", {})}
        initialize = {"align_steps": 20}
        return words_pipeline(text_encoder_folder, None, keyed, model=model, initialize=initialize, **settings)

    return make


class TestAsFromImages:
    """An oracle: the features that a pipeline's own encoder computes, given, are what it learns from by itself."""

    @pytest.fixture
    def own(self, text_encoder_folder: Path, vision_encoder_folder: Path) -> Callable[[bool], Language]:
        def make(words: bool) -> Language:
            model = {"words": words, "bga_layers": 0 if words else [1, 2], "vision_layers": None if words else [1, 2]}
            return words_pipeline(
                text_encoder_folder,
                vision_encoder_folder,
                lambda nlp: make_examples(nlp, images=True),
                model=model,
                initialize={"align_steps": 20},
            )

        return make

    def test_words(self, own, make_given: MakeNlp):
        nlp = own(True)
        given = make_given(encoded(nlp, IMAGES), grid="2x2", words=True)
        torch.testing.assert_close(branch_of(given).standardizer.mean, branch_of(nlp).standardizer.mean)
        expected = train(nlp, make_examples(nlp, images=True), steps=5)
        assert train(given, keyed(given), steps=5) == expected
        assert expected[-1]["bga_ner_words"] > 0
        assert [found(doc) for doc in given.pipe(t for t, _ in POSTS)] == [
            found(d) for d in nlp.pipe(t for t, _ in POSTS)
        ]

    def test_tokens_at_a_bga_layer(self, own, make_given: MakeNlp):
        nlp = own(False)
        given = make_given(encoded(nlp, IMAGES), grid="2x2")
        real = pipe_of(nlp).images.features().collate([[image] for image in IMAGES.values()], range(6))
        batch = pipe_of(given).images.features().collate([[key] for key in IMAGES], range(6))
        assert len(batch.features) == 2
        for layer in batch.features:
            torch.testing.assert_close(layer, real.features[-1])
        assert batch.valid.all()


def test_all_losses_learn(make_given: MakeNlp):
    nlp = make_given(random_features(list(IMAGES)), grid="2x2", model={"contrast_weight": 0.5})
    losses = train(nlp, keyed(nlp), steps=60)
    for term in ("recon", "cycle", "contrast", "crf"):
        assert losses[-1][f"bga_ner_{term}"] < losses[0][f"bga_ner_{term}"]


@pytest.mark.parametrize("words", [False, True])
def test_numbers_of_tokens_may_differ(make_given: MakeNlp, words: bool):
    features = {key: array for i, key in enumerate(IMAGES) for array in random_features([key], tokens=1 + i).values()}
    nlp = make_given(features, words=words)
    batch = pipe_of(nlp).images.features().collate([[key] for key in IMAGES], range(6))
    assert batch.valid.sum(1).tolist() == [2, 3, 4, 5, 6, 7]  # one more, of the whole picture: the mean
    for i, key in enumerate(IMAGES):
        there = batch.features[0, i, : i + 2].numpy()
        np.testing.assert_allclose(there[1:], features[key], atol=2e-3)
        np.testing.assert_allclose(there[0], features[key].mean(0), atol=2e-3)
    standardizer = branch_of(nlp).standardizer
    together = np.concatenate([array.astype(np.float16) for array in features.values()]).astype(np.float64)
    np.testing.assert_allclose(standardizer.mean[0, 1:].numpy(), np.tile(together.mean(0), (6, 1)), atol=1e-5)
    np.testing.assert_allclose(standardizer.std[0, 1].numpy(), together.std(0), rtol=1e-4)
    losses = train(nlp, keyed(nlp), steps=30)
    assert losses[-1]["bga_ner"] < losses[0]["bga_ner"]
    found_pairs = align(
        pipe_of(nlp).model, [e.predicted for e in keyed(nlp)], [[key] for key in IMAGES], pipe_of(nlp).images.features()
    )
    assert found_pairs.similarity().shape == (6, 6)
    assert np.isfinite(found_pairs.similarity()).all()


class TestPooling:
    @pytest.mark.parametrize(("tokens", "first"), [(16, "mean"), (17, "own")])
    def test_a_finer_grid(self, make_given: MakeNlp, tokens: int, first: str):
        features = random_features(list(IMAGES), tokens=tokens)
        nlp = make_given(features, grid="4x4")  # and visual_grid = 2
        batch = pipe_of(nlp).images.features().collate([["photos/0.png"]], [0])
        array = features["photos/0.png"]
        cells = array[-16:].reshape(2, 2, 2, 2, 12).mean((1, 3)).reshape(4, 12)
        whole = array[:1] if first == "own" else array.mean(0, keepdims=True)
        np.testing.assert_allclose(batch.features[0, 0].numpy(), np.concatenate([whole, cells]), atol=2e-3)

    @pytest.mark.parametrize(("grid", "visual_grid", "expected"), [("1x4", 2, 5), ("2x2", None, 5), ("2x2", 0, 1)])
    def test_nothing_to_pool(self, make_given: MakeNlp, grid: str, visual_grid: int | None, expected: int):
        nlp = make_given(random_features(list(IMAGES)), grid=grid, model={"visual_grid": visual_grid})
        assert branch_of(nlp).n_tokens == expected

    def test_crops(self, make_given: MakeNlp):
        features = random_features([*IMAGES, "crop"])
        nlp = make_given(features, model={"max_crops": 1}, on_missing="ignore")
        batch = pipe_of(nlp).images.features().collate([["photos/0.png", "crop"], ["photos/1.png", "no"]], [0, 1])
        assert batch.valid.sum(1).tolist() == [6, 5]
        np.testing.assert_allclose(batch.features[0, 0, 5].numpy(), features["crop"].mean(0), atol=2e-3)


class TestMissing:
    def test_they_are_counted_and_told_of_once(self, make_given: MakeNlp):
        features = random_features(list(IMAGES)[2:])
        with pytest.warns(UserWarning, match="W201") as caught:
            nlp = make_given(features)
        losses = train(nlp, keyed(nlp), steps=3)
        (warning,) = [str(w.message) for w in caught]
        assert "2 images can't be used" in warning
        assert "B222" in warning
        assert losses[-1]["bga_ner_recon"] > 0

    def test_an_error(self, make_given: MakeNlp):
        with pytest.raises(ImageError, match=r"B222.*'photos/0\.png'"):
            make_given(random_features(["other"]), on_missing="error")

    def test_encoded_images(self, make_given: MakeNlp):
        nlp = make_given(random_features(list(IMAGES)))
        pipe_of(nlp).on_missing = "error"
        with pytest.raises(ImageError, match="B223"):
            train(nlp, [make_example(nlp, *POSTS[0], image=encode_picture(0))], steps=1)


class TestLookingWhileTagging:
    @pytest.fixture
    def nlp(self, make_given: MakeNlp) -> Language:
        nlp = make_given(
            random_features(list(IMAGES)), model={"real_context": 0.5}, save_visual_branch=True, visual_context="real"
        )
        train(nlp, keyed(nlp), steps=30)
        return nlp

    def docs(self, nlp: Language, key: str | None) -> list[Doc]:
        docs = [nlp.make_doc(text) for text, _ in POSTS]
        for doc in docs:
            doc._.image = key
        return docs

    def emissions(self, nlp: Language, key: str | None) -> np.ndarray:
        pipe_of(nlp).confidence = True
        docs = list(nlp.pipe(self.docs(nlp, key)))
        return np.concatenate([[ent._.bga_confidence for ent in doc.ents] for doc in docs])

    def test_the_key_matters(self, nlp: Language, tmp_path: Path):
        first, second, none = (self.emissions(nlp, key) for key in ("photos/0.png", "photos/1.png", None))
        assert not np.array_equal(first, second)
        assert not np.array_equal(first, none)
        nlp.to_disk(tmp_path / "saved")
        np.testing.assert_allclose(self.emissions(spacy.load(tmp_path / "saved"), "photos/0.png"), first, atol=1e-5)

    def test_other_texts_have_another_file(self, nlp: Language, tmp_path: Path):
        first = self.emissions(nlp, "photos/0.png")
        array = random_features(list(IMAGES))["photos/0.png"]
        pipe_of(nlp).images.look_in(write_features(tmp_path / "test" / "1.safetensors", {"new": array}).parent)
        np.testing.assert_array_equal(self.emissions(nlp, "new"), first)

    @pytest.mark.parametrize(
        ("features", "grid"),
        [
            (random_features(["k"], width=5), None),
            (random_features(["k"], tokens=9), None),
            (random_features(["k"]), "2x2"),
        ],
    )
    def test_features_unlike_those_learnt_from(self, nlp: Language, tmp_path: Path, features: dict, grid: str | None):
        none = self.emissions(nlp, None)
        pipe_of(nlp).visual_features = write_features(tmp_path / "other.safetensors", features, grid=grid)
        with pytest.warns(UserWarning, match=r"W201.*B221.*'k' in .*other\.saf.*at most 4 tokens, 12 wide"):
            np.testing.assert_array_equal(self.emissions(nlp, "k"), none)

    def test_files_that_are_added_are_found_once_it_is_set_anew(self, nlp: Language, tmp_path: Path):
        folder = write_features(tmp_path / "new" / "1.safetensors", random_features(["a"])).parent
        pipe_of(nlp).visual_features = folder
        first = self.emissions(nlp, "a")
        array = random_features(["a"])["a"]
        write_features(folder / "2.safetensors", {"b": array})
        pipe_of(nlp).visual_features = folder
        np.testing.assert_array_equal(self.emissions(nlp, "b"), first)

    def test_no_path(self, nlp: Language, tmp_path: Path):
        nlp.to_disk(tmp_path / "saved")
        loaded = spacy.load(tmp_path / "saved", config={"components.bga_ner.model.visual_features": None})
        with pytest.raises(BGAError, match="B219"):
            pipe_of(loaded).predict(self.docs(loaded, "photos/0.png"))

    def test_auto_does_without_the_file(self, nlp: Language, tmp_path: Path):
        none = self.emissions(nlp, None)
        pipe_of(nlp).visual_features = tmp_path / "gone.safetensors"
        with pytest.raises(BGAError, match="B370"):
            pipe_of(nlp).predict(self.docs(nlp, "photos/0.png"))
        pipe_of(nlp).visual_context = "auto"
        np.testing.assert_array_equal(self.emissions(nlp, "photos/0.png"), none)

    def test_workers(self, nlp: Language):
        docs = [found(doc) for doc in nlp.pipe(self.docs(nlp, "photos/0.png"))]
        assert [found(doc) for doc in nlp.pipe(self.docs(nlp, "photos/0.png"), n_process=2)] == docs


class TestSlim:
    @pytest.mark.parametrize("words", [False, True])
    def test_it_is_none_the_wiser(self, make_given: MakeNlp, tmp_path: Path, words: bool):
        nlp = make_given(random_features(list(IMAGES)), words=words)
        train(nlp, keyed(nlp), steps=40)
        expected = [found(doc) for doc in nlp.pipe(text for text, _ in POSTS)]
        nlp.to_disk(tmp_path / "slim")
        (tmp_path / "features.safetensors").unlink()
        slim = spacy.load(tmp_path / "slim")
        assert aligner_of(slim).visual is None
        assert [found(doc) for doc in slim.pipe(text for text, _ in POSTS)] == expected
        assert not any(name.startswith("visual.") for name in aligner_of(slim).state_dict())

    def test_with_the_visual_branch_it_goes_on(self, make_given: MakeNlp, tmp_path: Path):
        nlp = make_given(random_features(list(IMAGES)), save_visual_branch=True)
        train(nlp, keyed(nlp), steps=10)
        nlp.to_disk(tmp_path / "whole")
        whole = spacy.load(tmp_path / "whole")
        losses = train(whole, keyed(whole), steps=20)
        assert losses[-1]["bga_ner_recon"] < losses[0]["bga_ner_recon"]


class TestHeatMaps:
    def test_on_the_declared_grid(self, make_given: MakeNlp):
        nlp = make_given(random_features(list(IMAGES), tokens=8), grid="2x4")
        doc = nlp.make_doc(POSTS[0][0])
        assert can_point(pipe_of(nlp))
        maps = find_heat_maps(pipe_of(nlp), [doc[0:2], doc[4:5]], [["photos/0.png"], ["absent"]])
        assert list(maps) == [0]
        assert maps[0].likeness.shape == (2, 4)
        np.testing.assert_allclose(maps[0].centres[0, :, 0], [0.125, 0.375, 0.625, 0.875])
        np.testing.assert_allclose(maps[0].centres[:, 0, 1], [0.25, 0.75])

    def test_not_without_a_grid(self, make_given: MakeNlp):
        nlp = make_given(random_features(list(IMAGES)))
        assert not can_point(pipe_of(nlp))
        with pytest.raises(BGAError, match="B209"):
            find_heat_maps(pipe_of(nlp), [nlp.make_doc(POSTS[0][0])[0:2]], [["photos/0.png"]])


def test_readers_leave_keys_alone(make_given: MakeNlp, tmp_path: Path):
    nlp = make_given(random_features(list(IMAGES)))
    docs = [example.reference for example in keyed(nlp)]
    write_docs(docs, tmp_path / "posts.spacy")
    for root in (None, tmp_path / "absent"):
        examples = list(ImageCorpus(tmp_path / "posts.spacy", images=root)(nlp))
        assert [example.reference._.image for example in examples] == [[key] for key in IMAGES]


def test_images_have_no_encoder(make_given: MakeNlp):
    branch = branch_of(make_given(random_features(list(IMAGES))))
    with pytest.raises(BGAError, match="B135"):
        ImageFeatures(branch)


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "code"),
        [
            ({"vision_encoder": "facebook/dinov2-small"}, "B218"),
            ({"vision_layers": 1}, "B220"),
            ({"train_vision": True, "standardize": False}, "B134"),
            ({"words": True, "visual_grid": 0}, "B132"),
        ],
    )
    def test_what_does_not_go_together(self, make_given: MakeNlp, settings: dict, code: str):
        with pytest.raises(BGAError, match=code):
            make_given(random_features(list(IMAGES)), model=settings)

    def test_no_file(self, text_encoder_folder: Path, tmp_path: Path):
        nlp = spacy.blank("en")
        model = architecture(text_encoder_folder, None) | {"@architectures": "spacy_bga.BGAModel.v2"}
        nlp.add_pipe("bga_ner", config={"model": model | {"visual_features": str(tmp_path / "no")}})
        with pytest.raises(BGAError, match="B370"):
            nlp.initialize(lambda: keyed(nlp))
