"""Frozen vision backbones: those that the component can open, and those of timm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.errors import BGAError, Errors, reason
from spacy_bga.pipeline.encoders import resolve_encoder

TIMM = "timm:"
MOST_PIXELS = 224  # a side, for transformers: those trained on larger images cost many times as much


class Backbone(Protocol):
    """What computes features of images."""

    image_size: int  # the side of the images that it sees, in pixels
    image_mean: tuple[float, ...]  # their normalisation
    image_std: tuple[float, ...]

    def __call__(self, pixels: Tensor) -> Patches:
        """RETURNS (Patches): The features of pixels (I, 3, H, W)."""

    def to(self, device: torch.device) -> None:
        """Move to a device."""


@dataclass(frozen=True)
class Patches:
    """Features of images. tokens (Tensor): (I, 1 + rows * columns, d_v), that of the whole image first.
    grid (tuple[int, int]): Rows and columns."""

    tokens: Tensor
    grid: tuple[int, int]

    def pooled(self, side: int | None) -> Patches:
        """RETURNS (Patches): The means of the patches on a grid of `side x side`; the same if there are no more."""
        if side is None or side >= min(self.grid):
            return self
        return Patches(VisionEncoder.pool_grid(self.tokens, side, shape=self.grid), (side, side))


def load_backbone(name: str, *, weights: Path | None = None, image_size: int | None = None) -> Backbone:
    """Load a backbone.

    name (str): A folder, or a name on the Hugging Face Hub, of CLIP's vision encoder, ViT or DINOv2; or "timm:" and a
        name that timm knows. weights (Optional[Path]): For timm, a .safetensors file of weights; None: timm's own.
    image_size (Optional[int]): The side of the images, in pixels; None: what it was trained on, for transformers at
        most 224.
    RETURNS (Backbone): It is frozen, and in evaluation mode.
    RAISES (BGAError): There is none, or timm isn't installed.
    """
    if name.startswith(TIMM):
        return TimmBackbone(name.removeprefix(TIMM), weights=weights, image_size=image_size)
    if weights is not None:
        raise BGAError(Errors.B387.format(path=weights))
    return OpenedBackbone(VisionEncoder.from_pretrained(resolve_encoder(name)), image_size=image_size)


class OpenedBackbone:
    """A vision encoder that the component can open. Features enter its last layer, as by default in a training.

    encoder (VisionEncoder): The encoder. image_size (Optional[int]): See `load_backbone`.
    """

    def __init__(self, encoder: VisionEncoder, *, image_size: int | None = None):
        self.encoder = encoder.eval()
        self.image_size = image_size or min(encoder.image_size, MOST_PIXELS)
        self.image_mean, self.image_std = encoder.image_mean, encoder.image_std

    def to(self, device: torch.device) -> None:
        self.encoder.to(device)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Patches:
        hidden = self.encoder.embed(pixels)
        for layer in range(self.encoder.n_layers - 1):
            hidden = self.encoder.layer(layer, hidden)
        return Patches(hidden, self.encoder.patch_grid(self.image_size))


class TimmBackbone:
    """A model of timm. Features are what its `forward_features` returns: maps of a CNN, or tokens of a transformer.

    name (str): Its name. weights, image_size: See `load_backbone`.
    """

    def __init__(self, name: str, *, weights: Path | None = None, image_size: int | None = None):
        self.model = make_timm(name, weights=weights, image_size=image_size).eval()
        config: dict[str, Any] = self.model.pretrained_cfg  # type: ignore[assignment]
        self.image_size = image_size or config["input_size"][-1]
        self.image_mean, self.image_std = tuple(config["mean"]), tuple(config["std"])
        self.name = name

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> Patches:
        features: Any = self.model.forward_features(pixels)  # type: ignore[operator]
        width = self.model.num_features
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        if isinstance(features, Tensor) and features.dim() == 4:
            return self._of_map(features if features.shape[-1] == width else features.movedim(1, -1))
        if isinstance(features, Tensor) and features.dim() == 3 and features.shape[-1] == width:
            return self._of_tokens(features)
        raise BGAError(Errors.B382.format(name=self.name, shape=shape))

    def _of_map(self, features: Tensor) -> Patches:
        """RETURNS (Patches): Of (I, rows, columns, d_v). The mean stands for the token of the whole image."""
        rows, columns = features.shape[1:3]
        return _with_mean(features.flatten(1, 2), (rows, columns))

    def _of_tokens(self, features: Tensor) -> Patches:
        """RETURNS (Patches): Of (I, p + rows * columns, d_v), with p tokens in front: [CLS], and registers."""
        number = features.shape[1]
        prefix = getattr(self.model, "num_prefix_tokens", None)
        if prefix is None:  # some models have [CLS] and don't say so
            prefix = 0 if math.isqrt(number) ** 2 == number else 1
        patches = features[:, prefix:]
        grid = getattr(getattr(self.model, "patch_embed", None), "grid_size", None)
        if grid is None or math.prod(grid) != patches.shape[1]:
            grid = (math.isqrt(patches.shape[1]),) * 2
        if math.prod(grid) != patches.shape[1]:
            raise BGAError(Errors.B382.format(name=self.name, shape=tuple(features.shape)))
        if not prefix or not getattr(self.model, "has_class_token", True):
            return _with_mean(patches, grid)
        return Patches(torch.cat([features[:, :1], patches], dim=1), grid)


def _with_mean(patches: Tensor, grid: tuple[int, int]) -> Patches:
    return Patches(torch.cat([patches.mean(1, keepdim=True), patches], dim=1), grid)


def make_timm(name: str, *, weights: Path | None = None, image_size: int | None = None) -> nn.Module:
    """RETURNS (Module): A model of timm with its weights, without its classifier. See `TimmBackbone`."""
    try:
        import timm
    except Exception as error:  # also that torchvision is no build for this torch, which is a RuntimeError
        raise BGAError(Errors.B380.format(reason=reason(error))) from error
    settings: dict[str, Any] = {"pretrained": True, "num_classes": 0}
    if weights is not None:
        if weights.suffix != ".safetensors" or not weights.is_file():
            raise BGAError(Errors.B387.format(path=weights))
        settings["pretrained_cfg_overlay"] = {"file": str(weights), "num_classes": 0}
    try:
        if image_size is not None:
            try:
                return timm.create_model(name, img_size=image_size, **settings)
            except TypeError:  # a CNN takes images of any size
                pass
        return timm.create_model(name, **settings)
    except Exception as error:  # an unknown name, no network, other weights: each in its own way
        raise BGAError(Errors.B381.format(name=name, reason=reason(error))) from error
