"""The exported text branch computes what the aligner does, for any number and length of windows."""

from __future__ import annotations

from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from spacy_bga.aligner.export import export_onnx
from spacy_bga.aligner.model import BGAModel
from tests.aligner.tiny import LABELS, STRUCTURES, WINDOW, make_model, make_text

CASES: dict[str, dict[str, Any]] = {
    "text only": {"vision": None},
    "roberta": {"text": "roberta"},
    "electra": {"text": "electra", "text_layers": (0, 2)},
    "own generators": {"shared_generators": False, "context_gate": 0.5},
    "no samplers": {"sample": False, "context_gate": -1.0},
    "crops": {"max_crops": 2, "visual_grid": 0},
    **STRUCTURES,
}


def session(graph: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def run(graph: onnxruntime.InferenceSession, ids: Tensor, mask: Tensor) -> Tensor:
    (hidden,) = graph.run(None, {"ids": ids.numpy(), "mask": mask.numpy()})
    return torch.from_numpy(hidden)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_computes_what_the_aligner_does(case: dict[str, Any]):
    model = make_model(**case)
    graph = session(export_onnx(model))
    kept = []
    for number, lengths in enumerate([(5, 2, 4), (1,), (14,), (1, 14, 3, 7, 2), (6, 6)]):
        text = make_text(lengths, seed=number)
        encoding = model.encode(text)
        hidden = run(graph, text.ids, text.mask)
        assert hidden.shape == encoding.hidden.shape
        assert (hidden - encoding.hidden)[text.mask].abs().max() < 1e-5
        expected, emissions = model.tag([text]), model.tag([text], encode=lambda *args: run(graph, *args))
        assert (emissions - expected).abs().max() < 1e-5
        kept += [(stage.text.kept == 1)[text.mask] for stage in encoding.stages]
    if model.config.sample and model.config.n_bga_layers:  # else it would be no test of the samplers
        assert 0.1 < torch.cat(kept).float().mean() < 0.95


def test_padding_changes_nothing():
    model = make_model()
    graph = session(export_onnx(model))
    narrow, wide = make_text(), make_text(width=WINDOW)
    first, second = (run(graph, text.ids, text.mask)[text.mask] for text in (narrow, wide))
    assert (first - second).abs().max() < 1e-5


def test_tokens_without_wordpieces_have_the_bias_alone():
    model = make_model()
    graph = session(export_onnx(model))
    text = make_text((3,))
    text = type(text)(text.ids, text.mask, text.places[:2], text.tokens[:2], text.lengths)
    emissions = model.tag([text], encode=lambda *args: run(graph, *args))
    assert torch.equal(emissions[2], model.head.bias)


def test_only_what_tagging_runs_is_in_it():
    model = make_model()
    names = {tensor.name for tensor in onnx.load_from_string(export_onnx(model)).graph.initializer}
    assert any("text_encoder" in name for name in names)
    assert not [name for name in names if ".visual." in name or ".crf." in name or ".head." in name]


@pytest.mark.parametrize("shared", [True, False])
def test_queries_fold_to_constants(shared: bool, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "folded.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    graph = export_onnx(make_model(shared_generators=shared))
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    products = [n.name for n in onnx.load(tmp_path / "folded.onnx").graph.node if "MatMul" in n.op_type]
    assert [name for name in products if "cross_memory" in name]
    assert not [name for name in products if any(part in name for part in ("self_in", "self_out", "cross_query"))]


def test_the_aligner_stays_as_it_is():
    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.inference_mode():  # as tagging does
        export_onnx(model)
    assert not model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    text = make_text()
    model.train()(text, allowed=torch.ones(3, 5, 1 + 2 * len(LABELS), dtype=torch.bool))


def test_in_training_mode_nothing_is_drawn():
    model = make_model()
    text = make_text()
    expected = BGAModel.encode(model, text).hidden
    graph = session(export_onnx(model.train()))
    assert model.training
    assert (run(graph, text.ids, text.mask) - expected)[text.mask].abs().max() < 1e-5
