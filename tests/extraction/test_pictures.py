"""Features of images: those that a training computes by itself, whole shards, and any backbone of timm."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from spacy_bga import whole_file
from spacy_bga.cli import app
from spacy_bga.corpus.convert import write_docs
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import BGAError, StorageError
from spacy_bga.extraction.backbones import TimmBackbone, load_backbone
from spacy_bga.extraction.pictures import extract_images, find_names
from tests.conftest import encode_picture
from tests.features import encoded
from tests.pipeline.conftest import make_example, make_examples
from tests.pipeline.words import words_pipeline


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(7):
        path = root / f"{'abc'[number % 3]}" / f"{number}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(number))
    (root / "notes.txt").write_text("no image")
    return root


def test_they_are_what_a_training_computes(text_encoder_folder, vision_encoder_folder, photos: Path, tmp_path: Path):
    nlp = words_pipeline(text_encoder_folder, vision_encoder_folder, lambda nlp: make_examples(nlp, images=True))
    expected = encoded(nlp, {name: (photos / name).read_bytes() for name in find_names(photos)})
    extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder), grid=2)
    file = FeatureFile(tmp_path / "out")
    assert set(file) == set(expected) == {f"{'abc'[i % 3]}/{i}.PNG" for i in range(7)}
    assert file.grid == (2, 2)
    for key, array in expected.items():
        np.testing.assert_allclose(file.load(key).astype(np.float32), array, atol=5e-3)


def test_all_patches_and_another_size(vision_encoder_folder: Path, photos: Path, tmp_path: Path):
    extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder), grid=None, image_size=48)
    assert FeatureFile(tmp_path / "out").grid == (6, 6)


class TestResumed:
    def test_a_run_that_was_killed_goes_on(self, vision_encoder_folder, photos: Path, tmp_path: Path, monkeypatch):
        """Killed within the second of three files, the run leaves the first; the rest is computed once."""
        settings: dict[str, Any] = {"encoder": str(vision_encoder_folder), "grid": 2, "shard": 3}
        extract_images(photos, tmp_path / "expected", **settings)
        calls: list[str] = []
        replace = whole_file.os.replace

        def killed(source, target):
            if len(calls) == 1:
                raise KeyboardInterrupt
            calls.append(str(target))
            replace(source, target)

        monkeypatch.setattr(whole_file.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            extract_images(photos, tmp_path / "out", **settings)
        assert len(FeatureFile(tmp_path / "out")) == 3
        monkeypatch.setattr(whole_file.os, "replace", replace)
        folder, problems = extract_images(photos, tmp_path / "out", **settings)
        assert not problems
        assert len(folder.done) == 7
        assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
            f"features-0000{i}.safetensors" for i in range(3)
        ]
        expected, found = FeatureFile(tmp_path / "expected"), FeatureFile(tmp_path / "out")
        assert list(expected) == list(found)
        for key in expected:
            np.testing.assert_array_equal(found.load(key), expected.load(key))

    def test_more_images(self, vision_encoder_folder: Path, photos: Path, tmp_path: Path):
        extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder))
        (photos / "new.png").write_bytes(encode_picture(8))
        folder, _ = extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder))
        assert "new.png" in folder.done
        assert len(FeatureFile(tmp_path / "out")) == 8

    def test_other_settings_are_refused(self, vision_encoder_folder: Path, photos: Path, tmp_path: Path):
        extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder))
        with pytest.raises(BGAError, match="B383"):
            extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder), grid=1)
        with safe_open(tmp_path / "out" / "features-00000.safetensors", framework="numpy") as file:
            assert json.loads(file.metadata()["made_by"])["grid"] == 4

    def test_a_full_disk(self, vision_encoder_folder: Path, photos: Path, tmp_path: Path, monkeypatch):
        def full(source, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(whole_file.os, "replace", full)
        with pytest.raises(StorageError, match=r"B388.*No space left"):
            extract_images(photos, tmp_path / "out", encoder=str(vision_encoder_folder))


def test_console(vision_encoder_folder: Path, photos: Path, tmp_path: Path, nlp):
    images = ["a/0.PNG", "b/1.PNG", "../out.png", "broken.png"]
    (photos / "broken.png").write_bytes(b"no image")
    docs = [make_example(nlp, "love paris", None, image=image).reference for image in images]
    write_docs(docs, tmp_path / "posts.spacy")
    given = ["features", str(tmp_path / "posts.spacy"), str(tmp_path / "out"), "--images", str(photos)]
    result = CliRunner().invoke(app, [*given, "--vision-encoder", str(vision_encoder_folder)])
    assert result.exit_code == 0, result.output
    assert "Left out: 2" in result.output
    assert "features of 2 keys" in result.output
    assert set(FeatureFile(tmp_path / "out")) == {"a/0.PNG", "b/1.PNG"}


def test_no_images(vision_encoder_folder: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["features", str(tmp_path / "empty"), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "B384" in result.output


class Model(nn.Module):
    """What a model of timm is like. `shape` makes features of the pixels (I, 3, H, W)."""

    def __init__(self, shape, width: int = 3, **attributes: Any):
        super().__init__()
        self.num_features, self.shape = width, shape
        self.pretrained_cfg = {"input_size": (3, 8, 8), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward_features(self, pixels: Tensor) -> Any:
        return self.shape(pixels)


def tokens(pixels: Tensor, *, front: int, side: int = 2) -> Tensor:
    """Tokens in front, numbered, then the patches of `side x side`."""
    patches = nn.functional.adaptive_avg_pool2d(pixels, side).flatten(2).mT
    return torch.cat([torch.arange(front).float()[None, :, None].expand(len(pixels), -1, 3) - 7, patches], dim=1)


MODELS = {
    "map": (Model(lambda x: nn.functional.adaptive_avg_pool2d(x, 2)), None),
    "map, channels last": (Model(lambda x: nn.functional.adaptive_avg_pool2d(x, 2).movedim(1, -1)), None),
    "tokens": (Model(lambda x: tokens(x, front=0)), None),
    "[CLS]": (Model(lambda x: tokens(x, front=1), num_prefix_tokens=1), -7.0),
    "[CLS], unsaid": (Model(lambda x: tokens(x, front=1)), -7.0),
    "registers": (Model(lambda x: tokens(x, front=5), num_prefix_tokens=5), -7.0),
    "registers alone": (Model(lambda x: tokens(x, front=4), num_prefix_tokens=4, has_class_token=False), None),
    "oblong": (
        Model(
            lambda x: nn.functional.adaptive_avg_pool2d(x, (2, 1)).flatten(2).mT,
            num_prefix_tokens=0,
            patch_embed=SimpleNamespace(grid_size=(2, 1)),
        ),
        None,
    ),
}


@pytest.fixture
def fake_timm(monkeypatch: pytest.MonkeyPatch):
    """Puts a module in the place of timm; what its `create_model` was asked for is in the list."""
    asked: list[tuple[str, dict]] = []

    def create_model(name: str, **settings: Any) -> nn.Module:
        asked.append((name, settings))
        if "img_size" in settings and name.startswith("map"):
            raise TypeError("unexpected keyword argument 'img_size'")
        if name not in MODELS:
            raise RuntimeError(f"Unknown model ({name})")
        return MODELS[name][0]

    module = ModuleType("timm")
    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    return asked


class TestTimm:
    @pytest.mark.parametrize("name", list(MODELS))
    def test_each_shape(self, fake_timm, name: str):
        pixels = torch.randn(2, 3, 8, 8)
        patches = load_backbone(f"timm:{name}")(pixels)
        rows, columns = patches.grid
        assert patches.grid == ((2, 1) if name == "oblong" else (2, 2))
        expected = nn.functional.adaptive_avg_pool2d(pixels, (rows, columns)).flatten(2).mT
        torch.testing.assert_close(patches.tokens[:, 1:], expected)
        cls = MODELS[name][1]
        whole = expected.mean(1) if cls is None else torch.full((2, 3), cls)
        torch.testing.assert_close(patches.tokens[:, 0], whole)

    @pytest.mark.parametrize(
        "shape", [lambda x: x.flatten(1), lambda x: [x], lambda x: tokens(x, front=3), lambda x: x.flatten(2)]
    )
    def test_no_patches(self, fake_timm, monkeypatch, shape):
        monkeypatch.setitem(MODELS, "odd", (Model(shape), None))
        with pytest.raises(BGAError, match="B382"):
            load_backbone("timm:odd")(torch.randn(2, 3, 8, 8))

    def test_what_it_is_asked_for(self, fake_timm, tmp_path: Path):
        save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
        backbone = load_backbone("timm:map", weights=tmp_path / "w.safetensors", image_size=16)
        assert backbone.image_size == 16
        assert backbone.image_std == (0.25, 0.25, 0.25)
        name, settings = fake_timm[-1]
        assert name == "map"
        overlay = {"file": str(tmp_path / "w.safetensors"), "num_classes": 0}
        assert settings == {"pretrained": True, "num_classes": 0, "pretrained_cfg_overlay": overlay}
        load_backbone("timm:tokens", image_size=16)
        assert fake_timm[-1][1]["img_size"] == 16
        assert load_backbone("timm:tokens").image_size == 8

    def test_errors(self, fake_timm, tmp_path: Path, monkeypatch):
        with pytest.raises(BGAError, match=r"B381.*Unknown model"):
            load_backbone("timm:none of these")
        for weights, name in ((tmp_path / "w.pth", "timm:map"), (tmp_path / "w.safetensors", "timm:map")):
            with pytest.raises(BGAError, match="B387"):
                load_backbone(name, weights=weights)
        with pytest.raises(BGAError, match="B387"):
            load_backbone("facebook/dinov2-small", weights=tmp_path / "w.safetensors")
        monkeypatch.setitem(sys.modules, "timm", None)
        with pytest.raises(BGAError, match=r'B380.*pip install "spacy_bga\[timm\]"'):
            load_backbone("timm:map")

    @pytest.mark.parametrize(
        ("name", "size"), [("test_resnet", None), ("test_vit", None), ("test_vit", 80), ("test_resnet", 96)]
    )
    def test_the_real_one(self, photos: Path, tmp_path: Path, name: str, size: int | None):
        timm = pytest.importorskip("timm", exc_type=(ImportError, RuntimeError))
        torch.manual_seed(0)
        save_file(timm.create_model(name, num_classes=0).state_dict(), tmp_path / "w.safetensors")
        settings: dict[str, Any] = {"encoder": f"timm:{name}", "weights": tmp_path / "w.safetensors"}
        extract_images(photos, tmp_path / "out", image_size=size, grid=None, **settings)
        file = FeatureFile(tmp_path / "out")
        backbone = TimmBackbone(name, weights=tmp_path / "w.safetensors", image_size=size)
        assert file.width == backbone.model.num_features
        assert file.shape("a/0.PNG")[0] == 1 + math.prod(file.grid)
        assert len(file) == 7
