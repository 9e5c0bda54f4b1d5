from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from transformers import AutoImageProcessor, AutoModel

from spacy_bga.errors import BGAError
from spacy_bga.starter import dinov2
from spacy_bga.starter.dinov2 import rebuild_dinov2

from .tiny_dinov2 import export_onnx, make_dinov2


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(make_dinov2(), tmp_path_factory.mktemp("graph") / "tiny.onnx")


def edit(graph: Path, target: Path, change) -> Path:
    proto = onnx.load(str(graph))
    change(proto.graph)
    onnx.save(proto, str(target))
    return target


def test_rebuilt_weights_equal_the_exported_ones(graph: Path, tmp_path: Path):
    difference = rebuild_dinov2(graph, tmp_path / "rebuilt")
    assert difference < 1e-5
    original = make_dinov2()
    rebuilt = AutoModel.from_pretrained(tmp_path / "rebuilt").eval()
    assert type(rebuilt) is type(original)
    expected, found = original.state_dict(), rebuilt.state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name
    for setting in ("hidden_size", "num_hidden_layers", "num_attention_heads", "mlp_ratio", "image_size", "patch_size"):
        assert getattr(rebuilt.config, setting) == getattr(original.config, setting)
    pixels = torch.randn(2, 3, 84, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(original(pixels).last_hidden_state, rebuilt(pixels).last_hidden_state)


def test_saved_folder_is_complete(graph: Path, tmp_path: Path):
    rebuild_dinov2(graph, tmp_path / "rebuilt")
    files = {path.name for path in (tmp_path / "rebuilt").iterdir()}
    assert files == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert json.loads((tmp_path / "rebuilt" / "config.json").read_text(encoding="utf8"))["model_type"] == "dinov2"
    processor = AutoImageProcessor.from_pretrained(tmp_path / "rebuilt", use_fast=False)
    image = np.zeros((300, 400, 3), dtype="uint8")
    pixels = processor(image, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def test_graph_that_computes_something_else_is_refused(graph: Path, tmp_path: Path):
    def scale_attention(proto: onnx.GraphProto) -> None:
        # The weights stay as they are, but a node between them is another one.
        node = next(node for node in proto.node if node.op_type == "Softmax")
        node.op_type = "Sigmoid"
        del node.attribute[:]

    broken = edit(graph, tmp_path / "broken.onnx", scale_attention)
    with pytest.raises(BGAError, match="B411"):
        rebuild_dinov2(broken, tmp_path / "rebuilt")
    assert not (tmp_path / "rebuilt").exists()


def test_head_width_that_does_not_fit_is_noticed(tmp_path: Path):
    # Two heads of 96: the weights' shapes say nothing about it, the check does.
    graph = export_onnx(make_dinov2(width=192), tmp_path / "wide.onnx")
    with pytest.raises(BGAError, match="B411"):
        rebuild_dinov2(graph, tmp_path / "rebuilt")


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("backbone.embeddings.cls_token", "embeddings.cls_token"),
        ("backbone.encoder.layer.1.mlp.fc2.bias", "encoder.layer.1.mlp.fc2.bias"),
        ("backbone.embeddings.patch_embeddings.projection.weight", "projection.weight"),
    ],
)
def test_missing_parameter_is_named(graph: Path, tmp_path: Path, lost: str, reason: str):
    def rename(proto: onnx.GraphProto) -> None:
        for tensor in proto.initializer:
            if tensor.name == lost:
                tensor.name = "somewhere.else"

    broken = edit(graph, tmp_path / "broken.onnx", rename)
    with pytest.raises(BGAError, match=f"B410.*{reason}"):
        rebuild_dinov2(broken, tmp_path / "rebuilt")


def test_position_grid_that_is_no_square(graph: Path, tmp_path: Path):
    def cut(proto: onnx.GraphProto) -> None:
        tensor = next(tensor for tensor in proto.initializer if list(tensor.dims[:2]) == [1, 25])
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:, :24].copy(), tensor.name))

    broken = edit(graph, tmp_path / "broken.onnx", cut)
    with pytest.raises(BGAError, match=r"B410.*position embeddings"):
        rebuild_dinov2(broken, tmp_path / "rebuilt")


def test_missing_onnx_names_the_extra(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dinov2, "find_spec", lambda name: None)
    with pytest.raises(BGAError, match=r"B409.*spacy_bga\[starter\]"):
        rebuild_dinov2(graph, tmp_path / "rebuilt")
