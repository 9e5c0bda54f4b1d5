"""The torch optimizer does what spaCy's says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from thinc.api import SGD, Adam, Optimizer, RAdam, warmup_linear
from torch import nn

from spacy_bga.pipeline.optimizer import TorchOptimizer, parameter_group

SCALES = {"encoder": 1.0, "generator": 5.0, "head": 10.0}


class Parts(nn.Module):
    """One matrix and one bias in each group of the aligner's parameters, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.text_encoder = nn.Linear(3, 2)
        self.generators = nn.ModuleList([nn.Linear(3, 2)])
        self.head = nn.Linear(3, 2)
        self.frozen = nn.Linear(3, 2).requires_grad_(False)

    def set_gradients(self, value: float) -> None:
        for parameter in self.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.full_like(parameter, value)


def moves(parts: Parts, optimizer: TorchOptimizer, settings: Optimizer, gradient: float | None = 1.0) -> dict:
    """How far each parameter moves in a step."""
    before = {name: parameter.detach().clone() for name, parameter in parts.named_parameters()}
    if gradient is not None:
        parts.set_gradients(gradient)
    optimizer.step(settings)
    return {name: (parameter.detach() - before[name]) for name, parameter in parts.named_parameters()}


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("text_encoder.model.embeddings.word_embeddings.weight", "encoder"),
        ("visual.encoder.model.layernorm.bias", "encoder"),
        ("head.weight", "head"),
        ("crf.transitions", "head"),
        ("generators.0.queries", "generator"),
        ("visual.generators.0.queries", "generator"),
        ("visual.to_text.weight", "generator"),
        ("layers.0.sampler.norm.weight", "generator"),
    ],
)
def test_groups(name: str, group: str):
    assert parameter_group(name) == group


@pytest.mark.parametrize("create", [Adam, RAdam, SGD])
def test_scales(create):
    parts = Parts()
    settings = create(0.001, grad_clip=0.0, L2=0.0)
    moved = moves(parts, TorchOptimizer(parts, SCALES), settings)
    encoder = moved["text_encoder.weight"].mean().item()
    assert encoder < 0
    assert moved["generators.0.weight"].mean().item() == pytest.approx(5 * encoder, rel=1e-3)
    assert moved["head.bias"].mean().item() == pytest.approx(10 * encoder, rel=1e-3)
    assert not moved["frozen.weight"].any()


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (Adam(0.1, L2_is_weight_decay=True), torch.optim.AdamW),
        (Adam(0.1, L2_is_weight_decay=False), torch.optim.Adam),
        (RAdam(0.1), torch.optim.RAdam),
        (SGD(0.1), torch.optim.SGD),
    ],
)
def test_kinds(settings: Optimizer, kind: type):
    parts = Parts()
    optimizer = TorchOptimizer(parts, SCALES)
    moves(parts, optimizer, settings)
    assert type(optimizer._torch) is kind


@pytest.mark.parametrize("decoupled", [True, False])
def test_adam_settings(decoupled: bool):
    parts = Parts()
    optimizer = TorchOptimizer(parts, SCALES)
    moves(parts, optimizer, Adam(0.1, beta1=0.8, beta2=0.95, eps=1e-4, L2=0.25, L2_is_weight_decay=decoupled))
    assert optimizer._torch is not None
    groups = optimizer._torch.param_groups
    assert all((group["betas"], group["eps"]) == ((0.8, 0.95), 1e-4) for group in groups)
    assert {group["weight_decay"] for group in groups if group["params"][0].ndim == 2} == {0.25}
    assert {group["weight_decay"] for group in groups if group["params"][0].ndim == 1} == {0.0}


def test_the_first_step_of_adam_is_the_rate():
    parts = Parts()
    moved = moves(parts, TorchOptimizer(parts, SCALES), Adam(0.01, L2=0.0, grad_clip=0.0), gradient=3.0)
    assert torch.allclose(moved["text_encoder.weight"], torch.tensor(-0.01), atol=1e-5)


def test_decay_spares_biases():
    parts = Parts()
    parts.set_gradients(0.0)
    start = {name: parameter.detach().clone() for name, parameter in parts.named_parameters()}
    moved = moves(parts, TorchOptimizer(parts, SCALES), Adam(0.1, L2=0.5, L2_is_weight_decay=True), gradient=0.0)
    assert torch.allclose(moved["text_encoder.weight"], -0.05 * start["text_encoder.weight"], atol=1e-6)
    assert torch.allclose(moved["generators.0.weight"], -0.25 * start["generators.0.weight"], atol=1e-6)
    assert not moved["text_encoder.bias"].any()
    assert not moved["frozen.weight"].any()


def test_rates_follow_the_schedule():
    parts = Parts()
    schedule: Any = warmup_linear(0.1, warmup_steps=2, total_steps=6)
    settings = SGD(schedule, L2=0.0, grad_clip=0.0)
    optimizer = TorchOptimizer(parts, SCALES)
    rates = []
    for _ in range(6):
        rates.append(-moves(parts, optimizer, settings)["text_encoder.bias"][0].item())
        assert rates[-1] == pytest.approx(settings.learn_rate, abs=1e-6)
        settings.step_schedules()
    assert rates == pytest.approx([0.0, 0.05, 0.1, 0.075, 0.05, 0.025], abs=1e-6)


def test_a_rate_changed_by_hand():
    parts = Parts()
    settings = SGD(0.1, L2=0.0, grad_clip=0.0)
    optimizer = TorchOptimizer(parts, SCALES)
    moves(parts, optimizer, settings)
    settings.learn_rate = 0.4
    assert moves(parts, optimizer, settings)["text_encoder.bias"][0].item() == pytest.approx(-0.4)


def test_clips_by_the_norm_of_all_gradients():
    parts = Parts()
    moved = moves(
        parts, TorchOptimizer(parts, dict.fromkeys(SCALES, 1.0)), SGD(1.0, L2=0.0, grad_clip=0.5), gradient=7.0
    )
    norm = torch.cat([m.flatten() for m in moved.values()]).norm().item()
    assert norm == pytest.approx(0.5, rel=1e-4)
    small = moves(parts, TorchOptimizer(parts, SCALES | {"head": 1.0}), SGD(1.0, L2=0.0, grad_clip=5.0), gradient=0.01)
    assert small["text_encoder.bias"][0].item() == pytest.approx(-0.01, rel=1e-4)


def test_no_gradient_no_move():
    parts = Parts()
    optimizer = TorchOptimizer(parts, SCALES)
    settings = Adam(0.1, L2=0.5, L2_is_weight_decay=True)
    for _ in range(3):
        moves(parts, optimizer, settings)  # with momentum by now
    assert all(parameter.grad is None for parameter in parts.parameters())
    parts.head.weight.grad = torch.ones_like(parts.head.weight)
    moved = moves(parts, optimizer, settings, gradient=None)
    assert moved.pop("head.weight").all()
    assert not any(move.any() for move in moved.values())
    assert not any(move.any() for move in moves(parts, optimizer, settings, gradient=None).values())


def test_a_part_without_a_rate_is_frozen():
    parts = Parts()
    parts.set_gradients(1.0)  # of a first update, before there is an optimizer
    moved = moves(parts, TorchOptimizer(parts, SCALES | {"encoder": 0.0}), Adam(0.1, L2=0.5), gradient=None)
    assert not moved["text_encoder.weight"].any()
    assert moved["head.weight"].all()
    assert parts.text_encoder.weight.grad is None
    assert not parts.text_encoder.weight.requires_grad
    assert parts.head.weight.requires_grad


@pytest.mark.parametrize("create", [Adam, RAdam, SGD])
@pytest.mark.parametrize("steps", [0, 1, 6])
def test_goes_on_from_its_state(create, steps: int):
    """Bit by bit; a part without a gradient so far has no state, and gets its own when it has one."""
    schedule: Any = warmup_linear(0.1, warmup_steps=2, total_steps=20)
    settings = create(schedule, grad_clip=1.0, L2=0.1)
    parts = Parts()
    optimizer = TorchOptimizer(parts, SCALES)
    for step in range(steps):
        parts.set_gradients(0.5 + step)
        parts.head.weight.grad = None
        optimizer.step(settings)
        settings.step_schedules()
    state = load(save(optimizer.state()))
    assert not any(name.startswith(("frozen", "head.weight")) for name in state)
    copy = Parts()
    copy.load_state_dict(parts.state_dict())
    resumed = TorchOptimizer(copy, SCALES)
    resumed.load_state(state, settings)
    for _ in range(3):
        first, second = (moves(*pair, settings) for pair in ((parts, optimizer), (copy, resumed)))
        assert all(torch.equal(first[name], second[name]) for name in first)
        settings.step_schedules()
    assert all(torch.equal(part, resumed.state()[name]) for name, part in optimizer.state().items())


def test_the_state_of_other_parameters():
    parts = Parts()
    optimizer = TorchOptimizer(parts, SCALES)
    moves(parts, optimizer, Adam(0.1))
    state = optimizer.state()
    assert state["head.bias/exp_avg"].shape == (2,)
    for wrong in ({"tail.bias/exp_avg": torch.zeros(2)}, {"head.bias/exp_avg": torch.zeros(3)}):
        with pytest.raises(ValueError, match="no trained parameter"):
            TorchOptimizer(parts, SCALES).load_state(state | wrong, Adam(0.1))
