"""Files of given features: what is read is what was written, and what can't be used is told of with its place."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import BGAError, ImageError
from tests.features import random_features, write_features


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("shards", [1, 3])
def test_what_is_written_is_read(tmp_path: Path, dtype: str, shards: int):
    features = random_features([f"photos/{i}.jpg" for i in range(7)])
    for shard in range(shards):
        part = {key: array for i, (key, array) in enumerate(features.items()) if i % shards == shard}
        write_features(tmp_path / "all" / f"{shard}.safetensors", part, dtype=dtype)
    (tmp_path / "all" / "notes.txt").write_text("not a shard")
    file = FeatureFile(tmp_path / "all" / "0.safetensors" if shards == 1 else tmp_path / "all")
    assert set(file) == set(features)
    assert len(file) == 7
    assert (file.width, file.n_patches, file.grid) == (12, 4, None)
    for key, array in features.items():
        assert file.load(key).dtype == dtype
        np.testing.assert_array_equal(file.load(key), array.astype(dtype))


@settings(max_examples=30)
@given(st.lists(st.text(max_size=20).filter(lambda key: key != "__metadata__"), min_size=1, max_size=5, unique=True))
def test_any_text_is_a_key(tmp_path_factory: pytest.TempPathFactory, keys: list[str]):
    path = tmp_path_factory.mktemp("keys") / "features.safetensors"
    file = FeatureFile(write_features(path, random_features(keys)))
    assert set(file) == set(keys)
    assert all(file.load(key).shape == (4, 12) for key in keys)


def test_another_process_opens_the_files_by_itself(tmp_path: Path):
    file = FeatureFile(write_features(tmp_path / "f.safetensors", random_features(["a"])))
    file.load("a")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(file)).load("a"), file.load("a"))


@pytest.mark.parametrize("more", [0, 1])
def test_a_grid(tmp_path: Path, more: int):
    file = FeatureFile(write_features(tmp_path / "f.safetensors", random_features(["a"], tokens=6 + more), grid="2x3"))
    assert (file.grid, file.n_patches) == ((2, 3), 6)


def test_numbers_of_tokens_may_differ_without_a_grid(tmp_path: Path):
    features = random_features(["a"], tokens=2) | random_features(["b"], tokens=5)
    assert FeatureFile(write_features(tmp_path / "f.safetensors", features)).n_patches == 5


class TestErrors:
    @pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
    def test_nothing_there(self, tmp_path: Path, make):
        make(tmp_path / "features")
        with pytest.raises(BGAError, match=r"B370.*features"):
            FeatureFile(tmp_path / "features")

    def test_an_empty_file(self, tmp_path: Path):
        with pytest.raises(BGAError, match="B370"):
            FeatureFile(write_features(tmp_path / "f.safetensors", {}))

    def test_another_format(self, tmp_path: Path):
        path = tmp_path / "f.safetensors"
        path.write_bytes(b"PK nothing of the kind")
        with pytest.raises(BGAError, match=r"B371.*f\.safetensors"):
            FeatureFile(path)

    @pytest.mark.parametrize(
        ("tensor", "said"),
        [
            (torch.zeros(3), r"F32 of shape \[3\]"),
            (torch.zeros(2, 3, 4), r"F32 of shape \[2, 3, 4\]"),
            (torch.zeros(0, 4), r"F32 of shape \[0, 4\]"),
            (torch.zeros(3, 4, dtype=torch.bfloat16), r"BF16 of shape \[3, 4\]"),
            (torch.zeros(3, 4, dtype=torch.int64), r"I64 of shape \[3, 4\]"),
        ],
    )
    def test_another_shape_or_type(self, tmp_path: Path, tensor: torch.Tensor, said: str):
        save_file({"kd.jpg": tensor}, tmp_path / "f.safetensors")
        with pytest.raises(BGAError, match=rf"B372.*f\.safetensors: the features of 'kd\.jpg' are {said}"):
            FeatureFile(tmp_path / "f.safetensors")

    def test_two_widths(self, tmp_path: Path):
        write_features(tmp_path / "1.safetensors", random_features(["a"]))
        write_features(tmp_path / "2.safetensors", random_features(["b"], width=5))
        with pytest.raises(BGAError, match=r"B373.*'b' in .*2\.safetensors are 5 wide, those of 'a' in .*1\.saf.* 12"):
            FeatureFile(tmp_path)

    def test_a_key_twice(self, tmp_path: Path):
        for name in "12":
            write_features(tmp_path / f"{name}.safetensors", random_features(["a"]))
        with pytest.raises(BGAError, match=r"B376.*2\.safetensors and .*1\.safetensors .*'a'"):
            FeatureFile(tmp_path)

    @pytest.mark.parametrize("grid", ["7", "0x7", "7x", "-1x-7", "7x7x7", "a x b", "99999x1", "٣x٣", ""])
    def test_no_grid(self, tmp_path: Path, grid: str):
        with pytest.raises(BGAError, match="B374"):
            FeatureFile(write_features(tmp_path / "f.safetensors", random_features(["a"]), grid=grid))

    def test_two_grids(self, tmp_path: Path):
        write_features(tmp_path / "1.safetensors", random_features(["a"]), grid="2x2")
        write_features(tmp_path / "2.safetensors", random_features(["b"]))
        with pytest.raises(BGAError, match=r"B374.*2\.safetensors declares the grid None"):
            FeatureFile(tmp_path)

    @pytest.mark.parametrize("tokens", [8, 11])
    def test_a_grid_of_another_size(self, tmp_path: Path, tokens: int):
        path = write_features(tmp_path / "f.safetensors", random_features(["a"], tokens=tokens), grid="3x3")
        with pytest.raises(BGAError, match=rf"B375.*'a' are {tokens} tokens.*3x3 takes 9, or 10"):
            FeatureFile(path)

    def test_a_key_that_is_not_there(self, tmp_path: Path):
        file = FeatureFile(write_features(tmp_path / "f.safetensors", random_features(["photos/a.jpg"])))
        for ask in (file.load, file.shape):
            with pytest.raises(ImageError, match=r"B222.*'a\.jpg'.*f\.safetensors, .*'photos/a\.jpg'"):
                ask("a.jpg")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_no_numbers(self, tmp_path: Path, value: float):
        features = random_features(["a", "b"])
        features["b"][1, 2] = value
        file = FeatureFile(write_features(tmp_path / "f.safetensors", features))
        assert file.load("a").shape == (4, 12)
        with pytest.raises(ImageError, match=r"B377.*'b'"):
            file.load("b")
