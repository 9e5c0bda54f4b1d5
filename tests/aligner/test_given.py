"""The layout of given features: rebuilt from a config, which may say anything, and what fits it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spacy_bga.aligner.given import GivenFeatures
from spacy_bga.errors import BGAError


@pytest.mark.parametrize(
    "layout", [GivenFeatures(512, 49, (7, 7)), GivenFeatures(384, 20), GivenFeatures(8, 6, (2, 3))]
)
def test_round_trip(layout: GivenFeatures):
    again = GivenFeatures.from_config(layout.to_config())
    assert (again.width, again.n_patches, again.grid) == (layout.width, layout.n_patches, layout.grid)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": None},
        {"hidden_size": 0},
        {"hidden_size": 10**9},
        {"hidden_size": "8"},
        {"n_patches": None},
        {"n_patches": 10**9},
        {"n_patches": 7},
        {"grid": [2]},
        {"grid": [2, "3"]},
        {"grid": "2x3"},
        {"grid": [-2, -3]},
        {"grid": {}},
    ],
)
def test_what_makes_no_sense(changes: dict[str, Any]):
    with pytest.raises(BGAError, match="B105"):
        GivenFeatures.from_config(GivenFeatures(8, 6, (2, 3)).to_config() | changes)


def test_what_fits():
    grid, bag = GivenFeatures(8, 6, (2, 3)), GivenFeatures(8, 6)
    assert [grid.fits((number, 8)) for number in (5, 6, 7, 8)] == [False, True, True, False]
    assert [bag.fits((number, 8)) for number in (0, 1, 6, 7)] == [False, True, True, False]
    assert not grid.fits((6, 9))


def test_the_token_of_the_whole_picture():
    tokens = torch.randn(7, 8)
    assert torch.equal(GivenFeatures(8, 6, (2, 3)).lay_out(tokens), tokens)
    for layout in (GivenFeatures(8, 7), GivenFeatures(8, 7, (1, 7))):
        assert torch.equal(layout.lay_out(tokens), torch.cat([tokens.mean(0, keepdim=True), tokens]))
