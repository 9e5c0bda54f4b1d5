"""A tiny DINOv2 and its ONNX graph, laid out as the graph in the starter wheel."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from transformers import Dinov2Config, Dinov2Model


class WithHead(torch.nn.Module):
    """An encoder under the name "backbone" and a head behind it, as in the wheel."""

    def __init__(self, backbone: Dinov2Model) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = torch.nn.Linear(backbone.config.hidden_size, 3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(pixels).last_hidden_state[:, 1:]).sigmoid()


def make_dinov2(width: int = 128) -> Dinov2Model:
    """A random model without two equal parameters, which the exporter would merge."""
    config = Dinov2Config(
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
    )
    model = Dinov2Model(config).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    torch.nn.init.zeros_(model.embeddings.mask_token)
    return model


def export_onnx(model: Dinov2Model, path: Path, *, side: int = 56) -> Path:
    """Export at an image size that is not the position grid's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            WithHead(model).eval(),
            (torch.zeros(1, 3, side, side),),
            str(path),
            dynamo=False,
            opset_version=14,
            input_names=["input_image"],
            dynamic_axes={"input_image": {0: "batch_size"}},
        )
    return path
