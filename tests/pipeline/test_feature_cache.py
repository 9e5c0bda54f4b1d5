"""The cache of visual features: what decides them, and what can be made of what is there."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language

from spacy_bga.aligner.visual import VisualBranch
from spacy_bga.pipeline.feature_cache import CHECKSUM, FeatureCache, Kind, fingerprint, read, write
from spacy_bga.pipeline.features import ImageFeatures
from tests.conftest import encode_picture
from tests.pipeline.conftest import aligner_of

MakeBranch = Callable[..., VisualBranch]
PATCHES = (4, 4)  # of the tiny vision encoder
DOCUMENTS = [[encode_picture(0)], [encode_picture(1), encode_picture(2)]]


@pytest.fixture
def make_branch(make_nlp: Callable[..., Language]) -> MakeBranch:
    def make(**settings: Any) -> VisualBranch:
        branch = aligner_of(make_nlp(model=settings)).visual
        assert branch is not None
        return branch

    return make


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of the cache."""
    path = tmp_path_factory.mktemp("entry") / "ab.npy"
    write(path, ENTRY)
    assert np.array_equal(read(path), ENTRY)
    return path.read_bytes()


def read_content(content: bytes) -> np.ndarray | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ab.npy"
        path.write_bytes(content)
        return read(path)


def collate(branch: VisualBranch, folder: Path | None) -> torch.Tensor:
    batch = ImageFeatures(branch, folder).collate(DOCUMENTS, range(len(DOCUMENTS)))
    assert batch is not None
    assert batch.features is not None
    return batch.features


def forbid_encoding(branch: VisualBranch, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **settings: Any) -> None:
        raise AssertionError("the vision encoder was called")

    monkeypatch.setattr(branch, "frozen_features", fail)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.none() | st.integers(0, 20))
def test_names_of_kinds(layers: list[int], grid: int | None):
    kind = Kind(tuple(layers), grid)
    assert Kind.from_name(kind.name) == kind


@pytest.mark.parametrize("name", ["", "ab", "layers-_grid-2", "layers-1_grid-", "layers-1-2_grid-2.old", "layers-1"])
def test_other_folders_are_no_kinds(name: str):
    assert Kind.from_name(name) is None


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.none() | st.integers(0, 6),
    st.none() | st.integers(0, 6),
    st.integers(0, 2**32 - 1),
)
def test_what_is_derived_is_what_would_be_computed(
    patches: tuple[int, int], finer: int | None, coarser: int | None, seed: int
):
    """Whenever a kind says that it holds another, pooling its features gives the other's."""
    states = np.random.default_rng(seed).normal(size=(3, 1 + patches[0] * patches[1], 2)).astype(np.float32)
    raw, have, want = Kind((4, 5, 6), None), Kind((4, 5, 6), finer), Kind((6, 4), coarser)
    if not have.holds(want, patches):
        assert finer is not None
        return
    there = raw.select(states, have, patches)
    expected = raw.select(states, want, patches)
    np.testing.assert_allclose(have.select(there, want, patches), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        (Kind((1, 2), 4), Kind((1, 2), 2), True),
        (Kind((1, 2), 4), Kind((2,), 1), True),
        (Kind((1, 2), None), Kind((1,), 3), True),
        (Kind((1, 2), 0), Kind((1, 2), 0), True),
        (Kind((1, 2), 2), Kind((1, 2), 4), False),
        (Kind((1, 2), 4), Kind((1, 2), 3), False),
        (Kind((1, 2), 3), Kind((1, 2), 1), False),  # 4 x 4 patches pooled to 3 x 3 overlap
        (Kind((1, 2), 4), Kind((1, 2), None), False),
        (Kind((1, 2), 4), Kind((0, 1), 4), False),
        (Kind((1, 2), 0), Kind((1, 2), 1), False),
    ],
)
def test_what_holds_what(have: Kind, want: Kind, expected: bool):
    assert have.holds(want, PATCHES) is expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"visual_grid": 4, "bga_layers": 2}, {"visual_grid": 2, "bga_layers": 2}),
        ({"visual_grid": 4, "bga_layers": 2}, {"visual_grid": 0, "bga_layers": 1}),
        ({"visual_grid": None, "bga_layers": 2}, {"visual_grid": 3, "bga_layers": 2}),
        ({"visual_grid": 4, "max_crops": 1, "crop_grid": 2}, {"visual_grid": 2, "max_crops": 1, "crop_grid": 1}),
    ],
)
def test_coarser_features_come_from_finer_ones(
    make_branch: MakeBranch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: dict, second: dict
):
    collate(make_branch(**first), tmp_path)
    branch = make_branch(**second)
    expected = collate(branch, None)
    forbid_encoding(branch, monkeypatch)
    torch.testing.assert_close(collate(branch, tmp_path), expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("second", [{"visual_grid": 4}, {"bga_layers": 3}, {"image_size": 24}])
def test_what_is_not_there_is_computed(make_branch: MakeBranch, tmp_path: Path, second: dict):
    collate(make_branch(visual_grid=2), tmp_path)
    branch = make_branch(**{"visual_grid": 2, **second})
    assert torch.equal(collate(branch, tmp_path), collate(branch, None))


def test_a_torn_finer_file_is_no_help(make_branch: MakeBranch, tmp_path: Path):
    collate(make_branch(visual_grid=4), tmp_path)
    for path in tmp_path.rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:100])
    branch = make_branch(visual_grid=2)
    assert torch.equal(collate(branch, tmp_path), collate(branch, None))


def test_images_and_crops_are_kept_apart(make_branch: MakeBranch, tmp_path: Path):
    cache = FeatureCache(make_branch(visual_grid=2, max_crops=1, crop_grid=1), tmp_path)
    cache.save("ab", np.ones((2, 5, 12)), crop=False)
    assert cache.load("ab", crop=True) is None
    assert cache.load("ab", crop=False).shape == (2, 5, 12)  # type: ignore[union-attr]


ENTRY = np.arange(24, dtype=np.float16).reshape(2, 3, 4)


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(entry: bytes, place: int, bit: int):
    damaged = bytearray(entry)
    damaged[place % len(entry)] ^= 1 << bit
    assert read_content(bytes(damaged)) is None


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=9))
def test_a_torn_or_grown_entry_is_noticed(entry: bytes, length: int, more: bytes):
    length %= len(entry)
    found = read_content(entry[:length])
    if length == len(entry) - CHECKSUM:  # as older versions wrote it: nothing of the array is missing
        assert np.array_equal(found, ENTRY)
    else:
        assert found is None
    assert read_content(entry + more) is None
    assert read_content(entry[:length] + bytes(len(entry) - length)) is None or not any(entry[length:])


@pytest.mark.parametrize("shape", [(1, 5, 12), (2, 4, 12), (2, 5, 11), (10, 12), (0, 5, 12)])
def test_an_entry_of_another_shape_is_computed_anew(make_branch: MakeBranch, tmp_path: Path, shape: tuple[int, ...]):
    branch = make_branch(visual_grid=2)
    expected = collate(branch, tmp_path)
    for path in tmp_path.rglob("*.npy"):
        write(path, np.ones(shape, dtype=np.float16))
    assert torch.equal(collate(branch, tmp_path), expected)
    assert {read(path).shape for path in tmp_path.rglob("*.npy")} == {(2, 5, 12)}  # type: ignore[union-attr]


def test_a_flipped_bit_in_the_folder_is_mended(make_branch: MakeBranch, tmp_path: Path):
    branch = make_branch(visual_grid=2)
    expected = collate(branch, tmp_path)
    for path in tmp_path.rglob("*.npy"):
        content = bytearray(path.read_bytes())
        content[-40] ^= 16
        path.write_bytes(content)
    assert torch.equal(collate(branch, tmp_path), expected)
    assert all(read(path) is not None for path in tmp_path.rglob("*.npy"))


def test_a_full_disk_only_costs_memory(make_branch: MakeBranch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    branch = make_branch(visual_grid=2)
    expected = collate(branch, None)
    writes = []

    def fail(*names: Path) -> None:
        writes.append(names)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.warns(UserWarning, match="W670.*No space left on device") as warned:
        assert torch.equal(collate(branch, tmp_path), expected)
    assert len(warned) == len(writes) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_fingerprint(make_branch: MakeBranch):
    branch = make_branch()
    assert fingerprint(branch) == fingerprint(make_branch(max_crops=3, distance="mse", visual_grid=1))
    assert fingerprint(branch) != fingerprint(make_branch(image_size=24))
    before = fingerprint(branch)
    with torch.no_grad():
        next(branch.encoder.parameters()).view(-1)[0] += 1
    assert fingerprint(branch) != before
