"""The order of weights in memory: it changes no value, and training gets the one that it had."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from spacy_bga.aligner.layout import lay_out_for_tagging, lay_out_for_training
from spacy_bga.aligner.model import BGAModel
from tests.aligner.tiny import make_model, make_text


def linear_weights(model: nn.Module) -> list[torch.Tensor]:
    return [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]


def by_columns(weight: torch.Tensor) -> bool:
    return weight.t().is_contiguous()


def test_there_and_back():
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    parameters = [id(parameter) for parameter in model.parameters()]
    lay_out_for_tagging(model)
    assert all(map(by_columns, linear_weights(model)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    lay_out_for_training(model)
    assert all(weight.is_contiguous() for weight in linear_weights(model))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [id(parameter) for parameter in model.parameters()] == parameters  # an optimizer goes on with them


def test_what_is_loaded_tags_as_what_was_saved(tmp_path: Path):
    model = make_model().eval()
    model.save_pretrained(tmp_path / "a")
    loaded = BGAModel.from_pretrained(tmp_path / "a")
    assert all(map(by_columns, linear_weights(loaded)))
    loaded.save_pretrained(tmp_path / "b")
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "b" / file).read_bytes() == (tmp_path / "a" / file).read_bytes()
    text = make_text([3, 1])
    torch.testing.assert_close(loaded.tag([text]), model.tag([text]), atol=1e-5, rtol=0)
