from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.generator import CrossModalGenerator, masked_softmax


@pytest.fixture
def generator() -> CrossModalGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = CrossModalGenerator(9, 8, heads=2, hidden=12)
        with torch.no_grad():
            made.queries.normal_()
        return made.eval()


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


masks = st.lists(st.booleans(), min_size=1, max_size=8)


@settings(max_examples=60)
@given(mask=masks, scale=st.sampled_from([0.0, 1.0, 30.0, 1e4, 1e30]), seed=st.integers(0, 999))
def test_softmax_over_kept_positions(mask: list[bool], scale: float, seed: int) -> None:
    scores, kept = draw(3, len(mask), seed=seed) * scale, torch.tensor(mask)
    weights = masked_softmax(scores, kept.float())
    assert weights.isfinite().all()
    assert (weights[:, ~kept] == 0).all()
    if kept.any():
        torch.testing.assert_close(weights[:, kept], scores[:, kept].softmax(-1))
        torch.testing.assert_close(weights.sum(-1), torch.ones(3))
    else:
        assert not weights.any()


@settings(max_examples=60)
@given(mask=masks, scale=st.sampled_from([1.0, 1e4, 1e30]), seed=st.integers(0, 999))
def test_softmax_gradients_are_finite(mask: list[bool], scale: float, seed: int) -> None:
    scores = (draw(2, len(mask), seed=seed) * scale).requires_grad_()
    kept = torch.tensor(mask).float().requires_grad_()
    (masked_softmax(scores, kept) * draw(2, len(mask), seed=seed + 1)).sum().backward()
    for leaf in (scores, kept):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_softmax_gradient_of_the_mask(spread: float) -> None:
    """dL/dm_j = exp(s_j) / sum(exp(s) m) * (g_j - sum_i w_i g_i), for kept and dropped positions alike."""
    scores = (draw(6).double() * spread).clamp(-4, 4)
    mask = torch.tensor([1.0, 0, 1, 1, 0, 0], dtype=torch.float64, requires_grad=True)
    upstream = draw(6, seed=2).double()
    weights = masked_softmax(scores, mask)
    (weights * upstream).sum().backward()
    analytic = scores.exp() / (scores.exp() * mask).sum() * (upstream - (weights * upstream).sum())
    assert mask.grad is not None
    torch.testing.assert_close(mask.grad, analytic.detach())
    assert (mask.grad != 0).all()
    step = 1e-6
    for position in range(6):
        shift = torch.zeros(6, dtype=torch.float64)
        shift[position] = step
        with torch.no_grad():  # between 0 and 1 the weights follow the formula too
            up, down = (
                (upstream * (scores.exp() * m / (scores.exp() * m).sum())).sum() for m in (mask + shift, mask - shift)
            )
        assert mask.grad[position].item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-5)


def test_softmax_gradient_of_the_scores() -> None:
    scores = draw(2, 5).double().requires_grad_()
    mask = torch.tensor([1.0, 0, 1, 1, 0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: masked_softmax(s, mask), (scores,))


def test_softmax_caps_the_gradient_of_tempting_dropped_tokens() -> None:
    mask = torch.tensor([1.0, 0.0], requires_grad=True)
    masked_softmax(torch.tensor([0.0, 500.0]), mask)[1].backward()
    assert mask.grad is not None
    assert mask.grad[1].item() == pytest.approx(torch.tensor(10.0).exp().item())


def test_all_ones_is_a_plain_decoder_layer(generator: CrossModalGenerator) -> None:
    """With everything kept: torch's own decoder layer, given the same weights."""
    reference = torch.nn.TransformerDecoderLayer(8, 2, 12, activation="gelu", batch_first=True).eval()
    ffn: Any = generator.ffn
    pairs: dict[str, Tensor] = {
        "self_attn.in_proj_weight": generator.self_in.weight,
        "self_attn.in_proj_bias": generator.self_in.bias,
        "self_attn.out_proj.weight": generator.self_out.weight,
        "self_attn.out_proj.bias": generator.self_out.bias,
        "multihead_attn.in_proj_weight": torch.cat([generator.cross_query.weight, generator.cross_memory.weight]),
        "multihead_attn.in_proj_bias": torch.cat([generator.cross_query.bias, generator.cross_memory.bias]),
        "multihead_attn.out_proj.weight": generator.cross_out.weight,
        "multihead_attn.out_proj.bias": generator.cross_out.bias,
        "linear1.weight": ffn[0].weight,
        "linear1.bias": ffn[0].bias,
        "linear2.weight": ffn[2].weight,
        "linear2.bias": ffn[2].bias,
        "norm1.weight": generator.self_norm.weight,
        "norm1.bias": generator.self_norm.bias,
        "norm2.weight": generator.cross_norm.weight,
        "norm2.bias": generator.cross_norm.bias,
        "norm3.weight": generator.ffn_norm.weight,
        "norm3.bias": generator.ffn_norm.bias,
    }
    reference.load_state_dict({name: tensor.detach() for name, tensor in pairs.items()})
    memory = draw(3, 5, 8)
    kept = torch.tensor([[1.0] * 5, [1, 0, 1, 0, 0], [1, 1, 0, 0, 1]])
    with torch.no_grad():
        expected = reference(
            generator.queries.expand(3, 9, 8), memory, memory_key_padding_mask=kept == 0
        )  # torch's mask is True where it drops
        torch.testing.assert_close(generator(memory, kept), expected, atol=1e-5, rtol=1e-5)


def test_dropped_tokens_are_masked_at_their_own_positions(generator: CrossModalGenerator) -> None:
    memory, kept = draw(1, 6, 8), torch.tensor([[1.0, 0, 0, 1, 0, 1]])
    before = generator(memory, kept)
    for position in range(6):
        changed = memory.clone()
        changed[0, position] += 2.0 * draw(8, seed=3)
        after = generator(changed, kept)
        assert torch.equal(before, after) == (kept[0, position] == 0).item(), position


def test_any_query_can_be_generated_alone(generator: CrossModalGenerator) -> None:
    """Queries see each other whatever the number of tokens, so that padding doesn't change the first ones."""
    memory, kept = draw(2, 4, 8), torch.ones(2, 4)
    every = generator(memory, kept)
    assert every.shape == (2, 9, 8)
    assert torch.equal(generator(memory, kept, n_tokens=9), every)
    for number in range(9):
        torch.testing.assert_close(generator(memory, kept, n_tokens=number), every[:, :number])


def test_the_first_tokens_are_the_same_however_many_are_made() -> None:
    """Few queries read from the memory with their weights multiplied first."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = CrossModalGenerator(40, 32, heads=4, hidden=12).double().eval()
    found = []
    for n_tokens in (40, 3):
        memory = draw(2, 7, 32).double().requires_grad_()
        kept = torch.tensor([[1.0, 0, 1, 1, 0, 1, 0], [1.0, 1, 1, 0, 0, 0, 0]]).double().requires_grad_()
        generator.zero_grad()
        made = generator(memory, kept, n_tokens=n_tokens)[:, :3]
        (made * draw(2, 3, 32, seed=2)).sum().backward()
        weights = generator.cross_memory
        found.append([made.detach(), memory.grad, kept.grad, weights.weight.grad.clone(), weights.bias.grad.clone()])
    torch.testing.assert_close(found[1], found[0])
    assert found[0][1].abs().max() > 1e-3


def test_padding_of_the_memory_does_not_matter(generator: CrossModalGenerator) -> None:
    memory, kept = draw(1, 4, 8), torch.tensor([[1.0, 0, 1, 1]])
    padded, padded_kept = torch.cat([memory, draw(1, 3, 8, seed=2)], dim=1), torch.cat([kept, torch.zeros(1, 3)], dim=1)
    torch.testing.assert_close(generator(padded, padded_kept), generator(memory, kept))


def test_examples_do_not_see_each_other(generator: CrossModalGenerator) -> None:
    memory, kept = draw(3, 4, 8), torch.tensor([[1.0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]])
    together = generator(memory, kept)
    for row in range(3):
        torch.testing.assert_close(generator(memory[row : row + 1], kept[row : row + 1])[0], together[row])


def test_dropout_in_training_only(generator: CrossModalGenerator) -> None:
    memory, kept = draw(1, 4, 8), torch.ones(1, 4)
    assert torch.equal(generator(memory, kept), generator(memory, kept))
    generator.train()
    assert not torch.equal(generator(memory, kept), generator(memory, kept))


def test_every_parameter_and_the_mask_get_a_gradient(generator: CrossModalGenerator) -> None:
    kept = torch.tensor([[1.0, 0, 1, 0]], requires_grad=True)
    (generator(draw(1, 4, 8), kept) * draw(1, 9, 8, seed=4)).sum().backward()
    assert kept.grad is not None
    assert (kept.grad != 0).all()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_nothing_kept_is_finite(generator: CrossModalGenerator) -> None:
    generated = generator(draw(1, 4, 8), torch.zeros(1, 4))
    assert generated.isfinite().all()
