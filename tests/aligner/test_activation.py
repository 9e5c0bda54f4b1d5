"""GELU in place: PyTorch's values, and few shapes to make code for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.backends import mkldnn
from torch.nn import functional

from spacy_bga.aligner import activation
from spacy_bga.aligner.activation import GELU, gelu
from tests.aligner.tiny import make_model, make_text


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(0, 9), min_size=1, max_size=4) | st.tuples(st.integers(0, 300), st.just(1000)),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
    seed=st.integers(0, 2**31),
)
def test_any_shape(shape: Sequence[int], dtype: torch.dtype, seed: int):
    x = (4 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)
    expected = functional.gelu(x)
    with torch.inference_mode():
        found = gelu(x)
    assert found is x
    torch.testing.assert_close(found, expected)


def test_rows_that_do_not_lie_side_by_side():
    x = torch.randn(4, 8, 6).transpose(1, 2)
    expected = functional.gelu(x)
    with torch.inference_mode():
        torch.testing.assert_close(gelu(x), expected)


def test_what_learns_is_not_overwritten():
    x = torch.randn(3, 5, requires_grad=True)
    kept = x.detach().clone()
    GELU()(x).sum().backward()
    assert torch.equal(x.detach(), kept)
    assert x.grad is not None


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*")
def test_what_is_traced_holds_for_other_lengths():
    with torch.inference_mode():
        traced = torch.jit.trace(GELU(), torch.randn(3, 1000))
        x = torch.randn(70, 1000)
        torch.testing.assert_close(traced(x.clone()), functional.gelu(x))


def shapes_of_onednn(run: Callable[[], object], capfd: pytest.CaptureFixture) -> set[tuple[int, ...]]:
    """RETURNS (set[tuple[int, ...]]): The shapes for which oneDNN was asked for an activation."""
    capfd.readouterr()
    with torch.inference_mode(), mkldnn.verbose(mkldnn.VERBOSE_ON):
        run()
    lines = [line.split(",") for line in capfd.readouterr().out.splitlines() if ",eltwise," in line]
    return {tuple(map(int, line[-2].split("x"))) for line in lines}


@pytest.fixture
def onednn(capfd: pytest.CaptureFixture) -> Callable[[Callable[[], object]], set[tuple[int, ...]]]:
    able = mkldnn.is_available()
    if not able or not shapes_of_onednn(lambda: functional.gelu(torch.ones(7, 11)), capfd):
        pytest.skip("this build of PyTorch does not ask oneDNN for a GELU")
    return lambda run: shapes_of_onednn(run, capfd)


def test_few_shapes(onednn: Callable):
    def texts_of_all_lengths() -> None:
        for length in range(1, 300):
            gelu(torch.ones(length, 960))

    # 64 rows are few, so PyTorch's own kernel takes them; a single row does not look transposed.
    assert onednn(texts_of_all_lengths) == {(64, 960), (128, 960), (256, 960), (960, 1)}


def test_tagging_uses_it(onednn: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(activation, "LARGE", 1)
    model = make_model(generator_width=10, sampler_width=7).eval()

    def tag() -> Tensor:
        return torch.cat([model.encode(make_text(lengths)).hidden.flatten() for lengths in ((5, 2, 3), (6,), (1, 9))])

    shapes = onednn(tag)
    assert {1 << (rows.bit_length() - 1) == rows for rows, _ in shapes} == {True}
    assert {width for _, width in shapes} == {24, 10, 7}  # of the encoder, the generator and the sampler
