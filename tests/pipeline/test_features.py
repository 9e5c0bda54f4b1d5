"""Visual features: their cache, their places, and what happens to images that can't be read."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from spacy.language import Language
from spacy.training import Example

from spacy_bga.aligner.visual import VisualBranch, VisualStates
from spacy_bga.errors import ImageError
from spacy_bga.pipeline.bridge import collate
from spacy_bga.pipeline.features import ImageFeatures
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, found, make_example, make_examples, pipe_of, train

MakeNlp = Callable[..., Language]


def branch_of(nlp: Language) -> VisualBranch:
    branch = aligner_of(nlp).visual
    assert branch is not None
    return branch


def make_features(branch: VisualBranch, folder: Path | None = None, **settings: Any) -> Any:
    return ImageFeatures(branch, folder, **settings)


@pytest.fixture
def branch(make_nlp: MakeNlp) -> VisualBranch:
    return branch_of(make_nlp())


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "cache" if request.param == "disk" else None


class Counted:
    """Counts the images that the vision encoder sees."""

    def __init__(self, branch: VisualBranch, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images = 0
        encode = branch.frozen_features

        def count(pixels: torch.Tensor, *, crop: bool = False) -> torch.Tensor:
            self.images += len(pixels)
            return encode(pixels, crop=crop)

        monkeypatch.setattr(branch, "frozen_features", count)


class TestCache:
    def test_each_content_is_encoded_once(
        self, branch: VisualBranch, folder: Path | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        counted = Counted(branch, monkeypatch)
        features = make_features(branch, folder)
        twin = tmp_path / "twin.png"
        twin.write_bytes(encode_picture(0))
        documents = [[encode_picture(0)], [encode_picture(1)], [str(twin)], [encode_picture(0)]]
        first = features.collate(documents, [0, 1, 2, 3])
        assert counted.images == 2
        second = features.collate(documents, [0, 1, 2, 3])
        assert counted.images == 2
        assert torch.equal(first.features, second.features)
        assert torch.equal(first.features[:, 0], first.features[:, 2])
        assert not torch.equal(first.features[:, 0], first.features[:, 1])

    def test_more_images_than_one_batch(self, branch: VisualBranch, folder: Path | None):
        sources = [encode_picture(seed) for seed in range(37)]
        features = make_features(branch, folder)
        features.prepare([[source] for source in sources])
        together = features.collate([[source] for source in sources], list(range(37))).features
        alone = make_features(branch).collate([[sources[20]]], [0]).features
        assert torch.allclose(together[:, 20:21], alone, atol=1e-2)

    def test_another_run_reads_the_folder(self, branch: VisualBranch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        first = make_features(branch, tmp_path).collate([[encode_picture(0)]], [0])
        counted = Counted(branch, monkeypatch)
        second = make_features(branch, tmp_path).collate([[encode_picture(0)]], [0])
        assert counted.images == 0
        assert torch.equal(first.features, second.features)
        assert not list(tmp_path.rglob("*.tmp"))

    @pytest.mark.parametrize("size", [0, 10, 100])
    def test_torn_file_is_computed_again(
        self, branch: VisualBranch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
    ):
        first = make_features(branch, tmp_path).collate([[encode_picture(0)]], [0])
        (path,) = tmp_path.rglob("*.npy")
        whole = path.read_bytes()
        path.write_bytes(whole[:size])
        counted = Counted(branch, monkeypatch)
        second = make_features(branch, tmp_path).collate([[encode_picture(0)]], [0])
        assert counted.images == 1
        assert torch.equal(first.features, second.features)
        assert path.read_bytes() == whole

    def test_half_precision_is_close(self, branch: VisualBranch):
        features = make_features(branch)
        source = encode_picture(0)
        pixels = torch.from_numpy(features._pixels(features._pictures([source])[0]))[None]
        exact = branch.frozen_features(pixels)[0]
        cached = features.collate([[source]], [0]).features[:, 0]
        assert cached.dtype == torch.float32
        assert torch.allclose(cached, exact, rtol=2e-3, atol=1e-3)

    def test_initialize_fills_it(self, make_nlp: MakeNlp, tmp_path: Path, capsys: pytest.CaptureFixture):
        nlp = make_nlp(feature_cache=str(tmp_path), images=True)
        assert len(list(tmp_path.rglob("*.npy"))) == len(POSTS)
        assert train(nlp, make_examples(nlp, images=True), steps=1)[0]["bga_ner_recon"] > 0
        assert len(list(tmp_path.rglob("*.npy"))) == len(POSTS)

    def test_memory_holds_no_images(self, branch: VisualBranch):
        features = make_features(branch)
        for seed in range(4):
            features.collate([[encode_picture(seed, size=(200, 200))]], [0])
        assert features._keys
        assert all(len(name) < 100 for name, _ in features._keys)


class TestBrokenImages:
    BROKEN = b"this is no image"

    def test_the_rest_of_the_batch_learns(self, make_nlp: MakeNlp):
        nlp = make_nlp()
        examples = make_examples(nlp, images=True)
        examples[1].reference._.image = self.BROKEN
        with pytest.warns(UserWarning, match="W201") as caught:
            losses = train(nlp, examples, steps=3)
        assert len(caught) == 1
        assert losses[0]["bga_ner_recon"] > 0
        assert losses[0]["bga_ner_crf"] > 0

    def test_a_broken_image_leaves_the_labels(self, make_nlp: MakeNlp):
        nlp = make_nlp(on_missing="ignore")
        examples = make_examples(nlp)
        for example in examples:
            example.reference._.image = [self.BROKEN, encode_picture(0)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            losses = train(nlp, examples, steps=40)
        assert all(step["bga_ner_recon"] == 0.0 for step in losses)
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_nothing_but_broken_images(self, make_nlp: MakeNlp):
        nlp = make_nlp(on_missing="ignore")
        losses = train(nlp, [make_example(nlp, "love paris", None, image=self.BROKEN)], steps=1)
        assert set(losses[0].values()) == {0.0}

    @pytest.mark.parametrize("train_vision", [False, True])
    @pytest.mark.parametrize("source", [BROKEN, "/no/such/image.png", encode_picture(0)[:-200]])
    def test_can_be_an_error(self, make_nlp: MakeNlp, source: str | bytes, train_vision: bool):
        nlp = make_nlp(on_missing="error", model={"train_vision": train_vision, "standardize": not train_vision})
        with pytest.raises(ImageError):
            train(nlp, [make_example(nlp, "love paris", None, image=source)], steps=1)

    @pytest.mark.parametrize("train_vision", [False, True])
    def test_warns_once_for_all(self, make_nlp: MakeNlp, train_vision: bool):
        branch = branch_of(make_nlp(model={"train_vision": train_vision, "standardize": not train_vision}))
        features = make_features(branch)
        documents = [["/no/1.png"], [encode_picture(0)], ["/no/2.png"]]
        with pytest.warns(UserWarning, match="W201") as caught:
            batches = [features.collate(documents, [0, 5, 7]) for _ in range(3)]
        (message,) = [str(warning.message) for warning in caught]
        assert re.search(r"\[W201\] 2 images .*/no/1\.png", message)
        assert [batch.rows.tolist() for batch in batches] == [[5]] * 3


class TestCrops:
    SETTINGS: ClassVar = {"max_crops": 2, "crop_grid": 1}  # an image has 1 + 2 * 2 tokens, a crop 1 + 1

    @pytest.mark.parametrize("train_vision", [False, True])
    def test_places(self, make_nlp: MakeNlp, train_vision: bool):
        branch = branch_of(
            make_nlp(model=self.SETTINGS | {"train_vision": train_vision, "standardize": not train_vision})
        )
        image, one, two, three = (encode_picture(seed) for seed in range(4))
        documents = [[image], [image, one], [image, one, two, three], [image, b"broken", two], [b"broken", one]]
        features = make_features(branch, on_missing="ignore")
        batch = features.collate(documents, [0, 1, 2, 3, 4])
        tokens, valid = VisualStates(branch.eval(), batch).enter(0)
        assert batch.rows.tolist() == [0, 1, 2, 3]
        assert valid.int().tolist() == [
            [1, 1, 1, 1, 1, 0, 0, 0, 0],
            [1, 1, 1, 1, 1, 1, 1, 0, 0],
            [1, 1, 1, 1, 1, 1, 1, 1, 1],
            [1, 1, 1, 1, 1, 0, 0, 1, 1],
        ]
        assert not tokens[~valid].any()
        assert torch.equal(tokens[0, :5], tokens[2, :5])
        assert torch.allclose(tokens[1, 5:7], tokens[2, 5:7], atol=1e-6)
        assert torch.allclose(tokens[3, 7:], tokens[2, 7:], atol=1e-6)
        # A crop's tokens are those of an image of its own, pooled further
        alone = features._pixels(features._pictures([two])[0])
        expected = branch.frozen_features(torch.from_numpy(alone)[None], crop=True)[0, 0]
        assert torch.allclose(tokens[2, 7:], expected, atol=1e-2)

    def test_learn(self, make_nlp: MakeNlp):
        nlp = make_nlp(model=self.SETTINGS)
        examples = make_examples(nlp, images=True)
        examples[0].reference._.image = [encode_picture(0), encode_picture(9), encode_picture(8)]
        examples[1].reference._.image = [encode_picture(1), encode_picture(7)]
        losses = train(nlp, examples, steps=20)
        assert losses[-1]["bga_ner_recon"] < losses[0]["bga_ner_recon"]


class TestTrainableVision:
    def test_pixels_enter_as_the_cached_features(self, make_nlp: MakeNlp):
        branch = branch_of(make_nlp(model={"train_vision": True, "standardize": False}))
        documents = [[encode_picture(seed)] for seed in range(3)]
        pixels = make_features(branch).collate(documents, [0, 1, 2])
        assert pixels.features is None
        frozen = branch_of(make_nlp())
        cached = make_features(frozen).collate(documents, [0, 1, 2])
        assert cached.pixels is None
        tokens, valid = VisualStates(branch.eval(), pixels).enter(0)
        expected, expected_valid = VisualStates(frozen, cached).enter(0)
        assert torch.allclose(tokens, expected, rtol=2e-3, atol=2e-3)
        assert torch.equal(valid, expected_valid)

    def test_the_vision_encoder_learns(self, make_nlp: MakeNlp):
        nlp = make_nlp(model={"train_vision": True, "standardize": False, "detach_targets": False})
        component = pipe_of(nlp)
        component.update(make_examples(nlp, images=True))
        moving = {name for name, p in branch_of(nlp).encoder.named_parameters() if p.grad is not None and p.grad.any()}
        assert any("embeddings" in name for name in moving)
        assert any("layer.1." in name for name in moving)  # the first BGA layer's partner attends to generated text
        before = branch_of(nlp).encoder.model.embeddings.cls_token.detach().clone()
        component.finish_update(nlp.resume_training())
        assert not torch.equal(before, branch_of(nlp).encoder.model.embeddings.cls_token)

    def test_a_frozen_one_does_not(self, make_nlp: MakeNlp):
        nlp = make_nlp()
        before = {name: p.detach().clone() for name, p in branch_of(nlp).encoder.named_parameters()}
        train(nlp, make_examples(nlp, images=True), steps=3)
        assert all(torch.equal(before[name], p) for name, p in branch_of(nlp).encoder.named_parameters())


class TestReadersContract:
    @pytest.mark.parametrize("form", ["path", "bytes", "list"])
    def test_what_an_image_may_be(self, make_nlp: MakeNlp, tmp_path: Path, form: str):
        nlp = make_nlp(image_root=str(tmp_path))
        path = tmp_path / "a.jpg"
        path.write_bytes(encode_picture(0, kind="JPEG"))
        image = {"path": "a.jpg", "bytes": path.read_bytes(), "list": ["a.jpg"]}[form]
        batch: Any = collate(
            pipe_of(nlp).model,
            [make_example(nlp, "love paris", None, image=image)],
            [pipe_of(nlp).images.of(make_example(nlp, "love paris", None, image=image))],
            make_features(branch_of(nlp)),
        )
        expected = make_features(branch_of(nlp)).collate([[path.read_bytes()]], [0])
        assert torch.equal(batch.images.features, expected.features)

    def test_another_attribute(self, make_nlp: MakeNlp):
        nlp = make_nlp(image_attr="photo")
        example = make_example(nlp, "love paris", None, image=encode_picture(0), attr="photo")
        assert train(nlp, [example], steps=1)[0]["bga_ner_recon"] > 0

    def test_the_predicted_doc_is_asked_if_the_reference_has_none(self, make_nlp: MakeNlp):
        nlp = make_nlp()
        doc = nlp.make_doc("love paris")
        doc._.image = encode_picture(0)
        example = Example.from_dict(doc, {"entities": [(5, 10, "LOC")]})
        assert train(nlp, [example], steps=1)[0]["bga_ner_recon"] > 0
        example.reference._.image = encode_picture(1)
        assert pipe_of(nlp).images.of(example) == [encode_picture(1)]

    def test_a_text_only_component_leaves_images_alone(self, make_nlp: MakeNlp):
        nlp = make_nlp(text_only=True)
        examples = [make_example(nlp, text, ents, image=b"no image") for text, ents in POSTS]
        assert train(nlp, examples, steps=1)[0]["bga_ner_crf"] > 0


def test_grey_and_transparent_pictures(branch: VisualBranch):
    sources = []
    for mode in ("L", "RGBA", "P", "CMYK"):
        stream = io.BytesIO()
        Image.new(mode, (50, 20)).save(stream, format="TIFF" if mode == "CMYK" else "PNG")
        sources.append([stream.getvalue()])
    batch = make_features(branch, on_missing="error").collate(sources, [0, 1, 2, 3])
    assert np.isfinite(batch.features.numpy()).all()


@pytest.mark.parametrize("load", ["bytes", "disk", "initialize"])
def test_features_are_of_the_aligner_that_is_there(make_nlp: MakeNlp, tmp_path: Path, load: str):
    nlp = make_nlp(save_visual_branch=True, images=True)
    pipe = pipe_of(nlp)
    before = pipe.images.features()
    assert pipe.images.features() is before
    if load == "bytes":
        pipe.from_bytes(pipe.to_bytes())
    elif load == "disk":
        pipe.to_disk(tmp_path)
        pipe.from_disk(tmp_path)
    else:
        nlp.initialize(lambda: make_examples(nlp, images=True))
    after = pipe.images.features()
    assert after is not before
    assert after.branch is aligner_of(nlp).visual
