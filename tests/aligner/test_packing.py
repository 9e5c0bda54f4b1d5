"""Windows without padding: the same as with it."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.model import BGAModel, Context
from spacy_bga.aligner.packing import Packed, Padded, arrange
from tests.aligner.tiny import make_model, make_text

HEADS, WIDTH = 2, 8


def mask_of(lengths: list[int]) -> Tensor:
    return torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]


@settings(deadline=None, max_examples=50)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    n_context=st.integers(0, 3),
    gated=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_windows(lengths: list[int], n_context: int, gated: bool, seed: int):
    torch.manual_seed(seed)
    mask = mask_of(lengths)
    rows = torch.randn(*mask.shape, WIDTH)
    context = torch.randn(len(mask), n_context, WIDTH) if n_context else None
    gate = torch.randn(WIDTH) if gated else None
    found = []
    for windows in (Padded(mask), Packed(mask)):
        hidden = windows.pack(rows)
        both = windows.join(context, hidden)
        mixed = windows.attend(hidden, both, both.tanh(), n_context=n_context, gate=gate, heads=HEADS, dropout=0.0)
        assert mixed.shape == hidden.shape
        found.append(windows.unpack(mixed)[mask])
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=1e-5)
    assert Packed(mask).pack(rows).shape == (sum(lengths), WIDTH)
    assert torch.equal(Packed(mask).unpack(Packed(mask).pack(rows)), rows * mask.unsqueeze(-1))


def test_what_is_packed():
    mask = mask_of([3, 1])
    assert type(arrange(mask)) is Padded  # it may learn
    with torch.inference_mode():
        assert type(arrange(mask)) is Packed
        assert type(arrange(mask_of([2, 2]))) is Padded  # there is no padding to leave out
        assert type(arrange(mask[:0])) is Padded


@pytest.mark.parametrize("context", get_args(Context))
@pytest.mark.parametrize("settings", [{}, {"context_gate": 0.5}, {"sample": False}], ids=str)
def test_tagging(settings: dict, context: Context):
    model: BGAModel = make_model(**settings).eval()
    model.context = context
    text = make_text((5, 2, 4, 2))
    with torch.inference_mode():
        packed = model.encode(text)
    with torch.no_grad():
        padded = model.encode(text)
    assert padded.hidden.shape == packed.hidden.shape
    torch.testing.assert_close(packed.hidden[text.mask], padded.hidden[text.mask], atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(packed.stages, padded.stages, strict=True):
        assert torch.equal(ours.text.kept, theirs.text.kept)
        torch.testing.assert_close(ours.generated, theirs.generated, atol=1e-5, rtol=1e-5)
