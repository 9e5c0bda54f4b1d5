"""Layers in functional form: what their modules compute, to the last bit, whatever has become of the modules."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spacy_bga.aligner.layout import lay_out_for_tagging, lay_out_for_training
from spacy_bga.aligner.packing import Packed, Padded
from spacy_bga.aligner.text_encoder import TextEncoder
from tests.aligner.tiny import TEXT

FULL, PADDED = (6, 6), (7, 3, 3)


@pytest.fixture(params=TEXT)
def encoder(request: pytest.FixtureRequest) -> TextEncoder:
    torch.manual_seed(0)
    encoder = TextEncoder.from_config(TEXT[request.param]).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():  # biases begin at 0, norms at 1
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder


def made(encoder: TextEncoder, lengths: tuple[int, ...] = PADDED) -> Tensor:
    """RETURNS (Tensor): The encoder's features while tagging."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(3, 50, mask.shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return encoder(ids, mask)


@pytest.fixture
def by_modules(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Tensor]], Tensor]:
    """Compute the same in the same mode by calling every module."""

    def compute(work: Callable[[], Tensor]) -> Tensor:
        with monkeypatch.context() as patch:
            patch.setattr(TextEncoder, "tags", False)
            return work()

    return compute


@pytest.mark.parametrize("lengths", [FULL, PADDED, (1,)], ids=["full", "padded", "one wordpiece"])
def test_features(encoder: TextEncoder, by_modules, lengths: tuple[int, ...]):
    assert torch.equal(made(encoder, lengths), by_modules(lambda: made(encoder, lengths)))


@pytest.mark.parametrize("gate", [None, torch.tensor([0.5, -1.0])], ids=["one softmax", "gate"])
@pytest.mark.parametrize("arrange", [Padded, Packed])
def test_a_layer_with_context(encoder: TextEncoder, by_modules, arrange: type[Padded], gate: Tensor | None):
    mask = torch.arange(5) < torch.tensor([5, 2])[:, None]
    rows, context = torch.randn(2, 5, 16), torch.randn(2, 3, 16)

    def features() -> Tensor:
        windows = arrange(mask)
        with torch.inference_mode():
            return encoder.layer(1, windows.pack(rows), windows, context=context, context_gate=gate)

    assert torch.equal(features(), by_modules(features))


@pytest.mark.parametrize("number", [torch.bfloat16, torch.float64])
def test_other_numbers(encoder: TextEncoder, by_modules, number: torch.dtype):
    encoder.to(number)
    assert made(encoder).dtype == number
    assert torch.equal(made(encoder), by_modules(lambda: made(encoder)))


def test_mixed_precision(encoder: TextEncoder, by_modules):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(made(encoder), by_modules(lambda: made(encoder)))


def test_what_learns_calls_its_modules(encoder: TextEncoder):
    calls: list[int] = []
    encoder.model.encoder.layer[0].attention.self.query.register_forward_hook(lambda *_: calls.append(1))
    made(encoder)
    assert not calls
    made(encoder.train())
    encoder.eval()(torch.ones(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool))
    assert len(calls) == 2


class Adapted(nn.Module):
    """A linear layer and what an adapter adds to it."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 1.0


def learn(encoder: TextEncoder) -> None:
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.1)
    ids = torch.ones(1, 4, dtype=torch.long)
    (encoder(ids, ids == 1) * torch.randn(4, 16)).sum().backward()
    optimizer.step()


def load(encoder: TextEncoder, *, assign: bool) -> None:
    other = TextEncoder.from_config(encoder.config)
    encoder.load_state_dict(other.state_dict(), assign=assign)


def write(encoder: TextEncoder) -> None:
    for parameter in encoder.parameters():
        parameter.data.mul_(-0.7)


def move(encoder: TextEncoder) -> None:
    encoder.double()
    write(encoder)
    encoder.float()


def relay(encoder: TextEncoder) -> None:
    lay_out_for_tagging(encoder)
    write(encoder)
    lay_out_for_training(encoder)


def replace_parameters(encoder: TextEncoder) -> None:
    for module in encoder.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(torch.randn_like(parameter)))


def adapt(encoder: TextEncoder) -> None:
    for layer in encoder.model.encoder.layer:
        layer.attention.self.query = Adapted(layer.attention.self.query)
        layer.output.dense = Adapted(layer.output.dense)


CHANGES: dict[str, Callable[[TextEncoder], None]] = {
    "optimizer": learn,
    "load_state_dict": lambda encoder: load(encoder, assign=False),
    "load_state_dict, assigned": lambda encoder: load(encoder, assign=True),
    "data": write,
    "type": move,
    "layout": relay,
    "other parameters": replace_parameters,
    "adapters": adapt,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_kept_when_weights_change(encoder: TextEncoder, by_modules, change: Callable[[TextEncoder], None]):
    before = made(encoder)
    change(encoder)
    after = made(encoder)
    assert (after - before).abs().max() > 1e-3
    assert torch.equal(after, by_modules(lambda: made(encoder)))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda encoder: pickle.loads(pickle.dumps(encoder))])
def test_a_copy_has_weights_of_its_own(encoder: TextEncoder, clone: Callable[[TextEncoder], TextEncoder]):
    before = made(encoder)
    other = clone(encoder)
    assert torch.equal(made(other), before)
    write(other)
    assert torch.equal(made(encoder), before)
    assert not torch.equal(made(other), before)
