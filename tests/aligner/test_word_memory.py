"""What words look like is remembered while the weights rest, and forgotten as soon as they change."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from spacy_bga.aligner import word_memory
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.word_memory import BLOCK, WordMemory, in_blocks
from spacy_bga.aligner.words import WordGenerator
from tests.aligner.tiny import long_text, make_text, make_words

TABLE = "text_encoder.model.embeddings.word_embeddings.weight"


MEMORIES = [(WordMemory(), number) for number in (100, 1, 13)]  # words that each is asked for at once


@pytest.fixture
def model() -> BGAModel:
    return make_words().eval()


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many words were generated at once, each time."""
    numbers: list[int] = []
    forward = WordGenerator.forward
    monkeypatch.setattr(WordGenerator, "forward", lambda self, x: numbers.append(len(x)) or forward(self, x))
    return numbers


def unfolded(model: BGAModel) -> Tensor:
    """RETURNS (Tensor): What is read of each word of a text, each generated anew."""
    assert model.words is not None
    assert model.reader is not None
    text = long_text()
    with torch.inference_mode():
        return model.reader(model.words.components(model.imagine([text]), text.word_keys) * model.words.trust)


def read(model: BGAModel) -> Tensor:
    """RETURNS (Tensor): The same, as tagging reads it."""
    with torch.inference_mode():
        return model._read([long_text()])


def test_a_word_is_generated_once(model: BGAModel, generated: list[int]):
    expected = unfolded(model)
    generated.clear()
    torch.testing.assert_close(read(model), expected)
    blocks = -(-long_text().n_tokens // BLOCK)
    assert generated == blocks * [BLOCK]
    assert torch.equal(read(model), read(model))
    assert len(generated) == blocks
    model.tag([make_text()])  # other words
    torch.testing.assert_close(read(model), expected)
    assert len(generated) == 2 * blocks


def test_a_word_is_read_once_of_a_batch():
    asked: list[list[bool]] = []

    def read(chosen: Tensor) -> Tensor:
        asked.append(chosen.tolist())
        return keys[chosen].unsqueeze(-1).float()

    keys, memory = torch.tensor([3, 5, 3, 3, 7]), WordMemory()
    with torch.inference_mode():
        assert memory.recall(keys, (), read).flatten().tolist() == keys.tolist()
        assert memory.recall(keys[:3], (), read).flatten().tolist() == [3, 5, 3]
    assert [sum(chosen) for chosen in asked] == [3]


def test_what_is_remembered_does_not_depend_on_what_was_read_before():
    torch.manual_seed(0)
    words, reader = WordGenerator(96, 80, components=16, hidden=384).eval(), nn.Linear(16, 9, bias=False)
    words.fit(torch.randn(200, 80))
    embedded, keys, order = torch.randn(100, 96), torch.arange(100), torch.randperm(100)
    words.note(keys[::2])

    def recall(memory: WordMemory, part: Tensor) -> Tensor:
        def read(chosen: Tensor) -> Tensor:
            rows = part[chosen]
            return in_blocks(lambda e, k: reader(words.components(words(e), k)), embedded[rows], keys[rows])

        return memory.recall(keys[part], (), read)

    with torch.inference_mode():
        together, *others = (torch.cat([recall(m, part) for part in order.split(n)]) for m, n in MEMORIES)
    assert together.any()
    assert all(torch.equal(other, together) for other in others)


def step(model: BGAModel, **settings: bool) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, **settings).step()


def train(model: BGAModel) -> None:
    """As `nlp.update` does: in training mode, with an optimizer whose writes PyTorch doesn't count."""
    model.train()
    step(model, fused=True)
    model.eval()


def finish(model: BGAModel) -> None:
    """As a later `finish_update` does."""
    step(model, fused=True)
    model.forget()


def load(model: BGAModel, *, assign: bool = False) -> None:
    other = make_words()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(-0.5)
    model.load_state_dict(other.state_dict(), assign=assign)


def move(model: BGAModel) -> None:
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-0.5)
    model.float()


def replace(model: BGAModel) -> None:
    assert model.words is not None
    model.words.outer = nn.Linear(model.words.outer.in_features, model.words.outer.out_features)


def fit(model: BGAModel) -> None:
    assert model.words is not None
    model.words.fit(torch.randn(40, model.words.outer.out_features))


def note(model: BGAModel) -> None:
    assert model.words is not None
    model.words.pictured.logical_not_()


def trust(model: BGAModel) -> None:
    assert model.words is not None
    model.words.trust.fill_(0.1)


def relearn(model: BGAModel) -> None:
    assert model.reader is not None
    with torch.no_grad():
        model.reader.weight.mul_(-2.0)


def swap_data(model: BGAModel) -> None:
    assert model.words is not None
    model.words.inner.weight.data = model.words.inner.weight.data * -0.5


def other_embeddings(model: BGAModel) -> None:
    with torch.no_grad():
        model.text_encoder.word_embeddings.weight.mul_(-0.5)


CHANGES: dict[str, Callable[[BGAModel], None]] = {
    "an optimizer": step,
    "training, fused": train,
    "finish_update, fused": finish,
    "load_state_dict": load,
    "load_state_dict, assigned": lambda model: load(model, assign=True),
    "type": move,
    "another module": replace,
    "other components": fit,
    "other pictured words": note,
    "other trust": trust,
    "another reader": relearn,
    "other labels": lambda model: model.set_labels(("LOC", "PER", "ORG")),
    "other data": swap_data,
    "other embeddings": other_embeddings,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_weights_forget(model: BGAModel, change: Callable[[BGAModel], None]):
    before = read(model)
    change(model)
    after = read(model)
    assert after.shape != before.shape or (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, unfolded(model))


def test_numbers_of_another_type(model: BGAModel):
    read(model)
    assert read(model.double()).dtype == torch.float64
    torch.testing.assert_close(read(model), unfolded(model))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_remember_apart(model: BGAModel, clone: Callable[[BGAModel], BGAModel]):
    before = read(model)
    other = clone(model)
    load(other)
    torch.testing.assert_close(read(other), unfolded(other))
    assert torch.equal(read(model), before)
    assert not torch.allclose(read(other), before)


def test_mixed_precision_is_another_memory(model: BGAModel):
    exact = read(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(read(model).float(), unfolded(model).float(), atol=0.05, rtol=0.05)
    assert torch.equal(read(model), exact)


def test_nothing_is_remembered_that_learns(model: BGAModel, generated: list[int]):
    text = long_text()
    for _ in range(2):
        model.emissions(model.encode(text).hidden, text).sum().backward()
    assert len(generated) == 2
    assert model.reader is not None
    assert model.reader.weight.grad is not None


def test_weights_made_in_inference_mode_count_no_writes(generated: list[int]):
    with torch.inference_mode():
        model = make_words().eval()
        first = read(model)
        model.words.mean.add_(1.0)
        before = len(generated)
        assert not torch.allclose(read(model), first)
    assert len(generated) == 2 * before


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(word_memory, "MOST", 5)
    memory, weights, sizes = WordMemory(), [torch.zeros(1)], []
    with torch.inference_mode():
        for start in range(0, 40, 4):
            keys = torch.arange(start, start + 4)
            values = memory.recall(keys, weights, lambda chosen, keys=keys: keys[chosen, None] * 2.0)
            assert torch.equal(values, keys[:, None] * 2.0)
            sizes.append(len(memory._known[1]))
    assert max(sizes) <= 5 + 4
