from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from spacy_bga.aligner.sampler import ContextSampler, keep_first, ratio_loss


def make_sampler(*, keep_ratio: float = 0.5, seed: int = 0) -> ContextSampler:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ContextSampler(8, 6, keep_ratio=keep_ratio)


@pytest.fixture
def sampler() -> ContextSampler:
    return make_sampler()


def make_tokens(*lengths: int, width: int | None = None, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (B, len, 8), which are there, and the mask of the first stage."""
    width = width or max(lengths)
    tokens = torch.randn(len(lengths), width, 8, generator=torch.Generator().manual_seed(seed))
    valid = torch.arange(width) < torch.tensor(lengths)[:, None]
    return tokens, valid, valid.float()


@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=60)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_mask_is_hard_keeps_cls_and_drops_padding(training: bool, lengths: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    tokens, valid, previous = make_tokens(*lengths, seed=seed)
    for mask in make_sampler(keep_ratio=0.05).train(training)(tokens, valid, previous):
        assert ((mask == 0) | (mask == 1)).all()
        assert (mask[:, 0] == 1).all()
        assert (mask[~valid] == 0).all()
        assert mask.shape == valid.shape
        assert mask.dtype == tokens.dtype


def test_training_draws_and_inference_does_not(sampler: ContextSampler) -> None:
    inputs = make_tokens(200)
    sampler.train()
    torch.manual_seed(0)
    (first, likeliest), (second, again) = sampler(*inputs), sampler(*inputs)
    assert not torch.equal(first, second)
    assert torch.equal(likeliest, again)
    torch.manual_seed(0)
    assert torch.equal(sampler(*inputs)[0], first)
    sampler.eval()
    assert torch.equal(sampler(*inputs)[0], sampler(*inputs)[0])


def test_inference_takes_the_arg_max(sampler: ContextSampler) -> None:
    inputs = make_tokens(50)
    logits = sampler.logits(*inputs)
    expected = logits.argmax(-1).float()
    expected[:, 0] = 1
    assert 0 < expected.sum() < 50  # neither all nor none, or the test shows nothing
    kept, likeliest = sampler.eval()(*inputs)
    assert torch.equal(kept, expected)
    assert torch.equal(likeliest, expected)
    assert torch.equal(sampler.train()(*inputs)[1], expected)  # which training knows too, beside what it draws


def test_training_draws_by_the_logits(sampler: ContextSampler) -> None:
    """The Gumbel-max trick: a token is kept as often as the softmax of its logits says."""
    tokens, valid, previous = make_tokens(6)
    expected = sampler.logits(tokens, valid, previous).softmax(-1)[0, :, 1]
    torch.manual_seed(0)
    copies = [t.expand(4000, *t.shape[1:]) for t in (tokens, valid, previous)]
    measured = sampler.train()(*copies)[0].mean(0)
    torch.testing.assert_close(measured[1:], expected[1:], atol=0.04, rtol=0)


def test_gradient_passes_straight_through(sampler: ContextSampler) -> None:
    """The forward pass is hard, the backward pass that of the soft sample with the same noise."""
    tokens, valid, previous = make_tokens(9)
    weights = torch.randn(1, 9)
    weights[:, 0] = 0  # [CLS] is not drawn
    sampler.train()
    torch.manual_seed(3)
    (sampler(tokens, valid, previous)[0] * weights).sum().backward()
    actual = [p.grad.clone() for p in sampler.parameters() if p.grad is not None]
    assert len(actual) == len(list(sampler.parameters()))
    sampler.zero_grad()
    torch.manual_seed(3)
    soft = torch.nn.functional.gumbel_softmax(sampler.logits(tokens, valid, previous), tau=1.0)[..., 1]
    (soft * weights).sum().backward()
    for grad, parameter in zip(actual, sampler.parameters(), strict=True):
        assert grad.abs().sum() > 0
        torch.testing.assert_close(grad, parameter.grad)


def test_temperature_is_that_of_the_draws() -> None:
    sampler = ContextSampler(8, 6, temperature=3.0).train()
    assert ContextSampler(8, 6).temperature == 1
    tokens, valid, previous = make_tokens(9)
    torch.manual_seed(3)
    sampler(tokens, valid, previous)[0][:, 1:].sum().backward()
    actual = [parameter.grad.clone() for parameter in sampler.parameters() if parameter.grad is not None]
    sampler.zero_grad()
    torch.manual_seed(3)
    soft = torch.nn.functional.gumbel_softmax(sampler.logits(tokens, valid, previous), tau=3.0)
    soft[:, 1:, 1].sum().backward()
    for grad, parameter in zip(actual, sampler.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


@pytest.mark.parametrize(("ratio", "expected"), [(0, 0.05), (0.05, 0.05), (0.3, 0.3), (0.95, 0.95), (1, 0.95)])
def test_keep_ratio_is_the_first_probability(ratio: float, expected: float) -> None:
    """Within bounds, so that a sampler can still learn."""
    bias = make_sampler(keep_ratio=ratio).output[-1].bias
    assert isinstance(bias, Tensor)
    assert bias.softmax(0)[1].item() == pytest.approx(expected)
    assert bias[0] == 0
    default = ContextSampler(8, 6).output[-1].bias
    assert isinstance(default, Tensor)
    assert default.tolist() == [0, 0]


def test_what_is_undecided_is_kept() -> None:
    sampler = make_sampler(keep_ratio=0.5).eval()
    with torch.no_grad():
        sampler.output[-1].weight.zero_()  # type: ignore[operator]
    inputs = make_tokens(5)
    assert sampler(*inputs)[0].tolist() == [[1] * 5]


def test_gradient_passes_through_the_arg_max(sampler: ContextSampler) -> None:
    """The forward pass is hard, the backward pass that of the probability to keep."""
    tokens, valid, previous = make_tokens(9)
    weights = torch.randn(1, 9)
    weights[:, 0] = 0
    (sampler.train()(tokens, valid, previous)[1] * weights).sum().backward()
    actual = [p.grad.clone() for p in sampler.parameters() if p.grad is not None]
    sampler.zero_grad()
    (sampler.logits(tokens, valid, previous).softmax(-1)[..., 1] * weights).sum().backward()
    for grad, parameter in zip(actual, sampler.parameters(), strict=True):
        assert grad.abs().sum() > 0
        torch.testing.assert_close(grad, parameter.grad)


@pytest.mark.parametrize("which", [0, 1])
def test_cls_and_padding_pass_no_gradient(sampler: ContextSampler, which: int) -> None:
    tokens, valid, previous = make_tokens(5, 3)
    mask = sampler.train()(tokens, valid, previous)[which]
    (mask[:, 0].sum() + mask[~valid].sum()).backward()
    assert all(p.grad is None or not p.grad.any() for p in sampler.parameters())


def test_previous_mask_enters_through_the_pooling(sampler: ContextSampler) -> None:
    tokens, valid, previous = make_tokens(6)
    changed = previous.clone()
    changed[0, 4] = 0
    before, after = sampler.logits(tokens, valid, previous), sampler.logits(tokens, valid, changed)
    assert (before != after).any(-1).all()  # every token's
    moved = tokens.clone()
    moved[0, 4] += 3 * torch.randn(8)  # a token that the previous stage dropped says nothing about the others
    others = torch.arange(6) != 4
    torch.testing.assert_close(sampler.logits(moved, valid, changed)[:, others], after[:, others])
    assert not torch.allclose(sampler.logits(moved, valid, previous)[:, others], before[:, others])


def test_logits_by_hand(sampler: ContextSampler) -> None:
    """MLP_c([MLP_a(x) ; mean of MLP_b(x) over what the previous stage kept])."""
    tokens, valid, _ = make_tokens(5, 4)
    previous = torch.tensor([[1.0, 0, 1, 1, 0], [1, 1, 0, 0, 1]])  # the last one is padding
    normed = sampler.norm(tokens)
    for row, kept in enumerate([[0, 2, 3], [0, 1]]):
        pooled = torch.stack([sampler.global_mlp(normed[row, i]) for i in kept]).mean(0)
        for i in range(5):
            expected = sampler.output(torch.cat([sampler.local_mlp(normed[row, i]), pooled]))
            torch.testing.assert_close(sampler.logits(tokens, valid, previous)[row, i], expected)


def test_mlps_by_hand() -> None:
    """Linear layers with a GELU after each but the last one."""
    sampler = make_sampler()
    tokens, valid, previous = make_tokens(5)
    weights = dict(sampler.named_parameters())

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    normed = torch.nn.functional.layer_norm(tokens, (8,))
    gelu = torch.nn.functional.gelu
    local, pooled = gelu(linear(normed, "local_mlp.0")), gelu(linear(normed, "global_mlp.0")).mean(1, keepdim=True)
    hidden = gelu(linear(torch.cat([local, pooled.expand_as(local)], -1), "output.0"))
    torch.testing.assert_close(sampler.logits(tokens, valid, previous), linear(hidden, "output.2"))


def test_previous_mask_gets_a_gradient(sampler: ContextSampler) -> None:
    tokens, valid, previous = make_tokens(6)
    previous.requires_grad_()
    sampler.logits(tokens, valid, previous)[..., 1].sum().backward()
    assert previous.grad is not None
    assert (previous.grad != 0).all()


def test_padding_does_not_matter(sampler: ContextSampler) -> None:
    short, long = make_tokens(4), make_tokens(4, width=9)
    long[0][:, :4] = short[0]
    torch.testing.assert_close(sampler.logits(*long)[:, :4], sampler.logits(*short))
    assert torch.equal(sampler.eval()(*long)[0][:, :4], sampler.eval()(*short)[0])


def test_nothing_kept_before_is_finite(sampler: ContextSampler) -> None:
    tokens, valid, previous = make_tokens(4)
    logits = sampler.logits(tokens, valid, torch.zeros_like(previous))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in sampler.parameters() if p.grad is not None)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.7, 1.0])
def test_keep_ratio_starts_near_its_target(ratio: float) -> None:
    torch.manual_seed(0)
    measured = []
    for seed in range(20):
        tokens, valid, previous = make_tokens(*[40] * 10, seed=seed)
        mask, _ = make_sampler(keep_ratio=ratio, seed=seed).train()(tokens, valid, previous)
        measured.append(mask[:, 1:].mean().item())
    assert sum(measured) / len(measured) == pytest.approx(ratio, abs=0.07)


def test_keep_first() -> None:
    mask = torch.tensor([[0.0, 1, 0, 1], [0, 0, 1, 1]])
    valid = torch.tensor([[True, True, True, True], [True, True, False, False]])
    assert keep_first(mask, valid).tolist() == [[1, 1, 0, 1], [1, 0, 0, 0]]


def test_ratio_loss_by_hand() -> None:
    mask = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 0]], requires_grad=True)
    valid = torch.tensor([[True] * 4, [True, True, True, False]])
    loss = ratio_loss([mask], valid, 0.75)
    assert loss.item() == pytest.approx(((2 / 4 - 0.75) ** 2 + (1 / 3 - 0.75) ** 2) / 2)
    loss.backward()
    assert mask.grad is not None
    # d/dm of (sum(m) / n - target)^2 / 2: towards keeping more, as both keep too little
    torch.testing.assert_close(mask.grad[0], torch.full((4,), (2 / 4 - 0.75) / 4))
    assert ratio_loss([torch.tensor([[1.0, 1, 1, 0]])], torch.ones(1, 4, dtype=torch.bool), 0.75).item() == 0


def test_ratio_loss_of_one_token_and_of_none() -> None:
    mask = torch.ones(1, 2)
    assert ratio_loss([mask * torch.tensor([1.0, 0])], torch.tensor([[True, False]]), 0.5).item() == 0.25
    assert ratio_loss([mask * 0], torch.tensor([[False, False]]), 0.5).item() == 0.25


def test_ratio_loss_is_the_mean_over_the_masks() -> None:
    valid = torch.tensor([[True] * 4, [True, True, True, False]])
    sampled, likeliest = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 0]]), torch.tensor([[1.0, 1, 1, 1], [1, 1, 0, 0]])
    by_mask = [[2 / 4, 1 / 3], [4 / 4, 2 / 3]]
    expected = sum((ratio - 0.75) ** 2 for ratios in by_mask for ratio in ratios) / 4
    assert ratio_loss([sampled, likeliest], valid, 0.75).item() == pytest.approx(expected)
    assert ratio_loss(iter([likeliest, sampled]), valid, 0.75).item() == pytest.approx(expected)


def test_the_targets_probability_alone_does_not_satisfy_the_ratio_loss() -> None:
    """A sampler that judges all tokens alike keeps the right share while it draws, and everything at inference."""
    sampler = make_sampler(keep_ratio=0.7).train()
    with torch.no_grad():
        sampler.output[-1].weight.zero_()  # type: ignore[operator]
    inputs = make_tokens(4000)
    torch.manual_seed(0)
    sampled, likeliest = sampler(*inputs)
    assert ratio_loss([sampled], inputs[1], 0.7).item() == pytest.approx(0, abs=1e-3)
    assert ratio_loss([sampled, likeliest], inputs[1], 0.7).item() == pytest.approx(0.3**2 / 2, abs=1e-3)
    ratio_loss([likeliest], inputs[1], 0.7).backward()
    bias = sampler.output[-1].bias.grad
    assert isinstance(bias, Tensor)
    assert bias.isfinite().all()
    assert bias[1] > 0  # towards keeping less
    assert bias[0] < 0


def test_ratio_loss_alone_teaches_the_share_that_inference_keeps() -> None:
    """From a start at which the arg max keeps everything."""
    sampler, inputs = make_sampler(keep_ratio=0.95), make_tokens(60, 40, 50)
    assert sampler.eval()(*inputs)[0].sum() == inputs[1].sum()
    optimizer = torch.optim.Adam(sampler.train().parameters(), lr=1e-2)
    torch.manual_seed(0)
    for _ in range(150):
        optimizer.zero_grad()
        ratio_loss(sampler(*inputs), inputs[1], 0.6).backward()
        optimizer.step()
    kept, _ = sampler.eval()(*inputs)
    ratios = kept.sum(1) / inputs[1].sum(1)
    torch.testing.assert_close(ratios, torch.full((3,), 0.6), atol=0.15, rtol=0)
