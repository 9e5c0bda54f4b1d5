"""GELU in place: PyTorch's values, and few sizes to make code for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spacy_bga.aligner.activation import GELU, gelu_


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=4) | st.tuples(st.integers(0, 300), st.just(1000)),
    seed=st.integers(0, 2**31),
)
def test_any_shape(shape: Sequence[int], seed: int):
    x = 4 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    expected = nn.functional.gelu(x)
    found = gelu_(x)
    assert found is x
    torch.testing.assert_close(found, expected)


def test_what_learns_is_not_overwritten():
    x = torch.randn(3, 5, requires_grad=True)
    kept = x.detach().clone()
    y = GELU()(x)
    y.sum().backward()
    assert torch.equal(x.detach(), kept)
    assert x.grad is not None
    with torch.inference_mode():
        shown = kept.clone()
        torch.testing.assert_close(GELU()(shown), y.detach())
        torch.testing.assert_close(shown, y.detach())


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of PyTorch has no oneDNN")
@pytest.mark.parametrize("function", [gelu_, nn.functional.gelu], ids=["ours", "torch"])
def test_texts_of_all_lengths_need_few_kernels(function, capfd: pytest.CaptureFixture):
    with torch.inference_mode(), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON_CREATION):
        for length in range(1, 200):
            function(torch.ones(length, 960))
    made = capfd.readouterr().out.count("create:cache_miss")
    assert made < 20 if function is gelu_ else made > 100
