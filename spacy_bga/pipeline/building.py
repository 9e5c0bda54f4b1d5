"""An aligner from the settings of an architecture: the pretrained encoders, joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PretrainedConfig

from spacy_bga.aligner.config import BGAConfig, Unit, choose_layers
from spacy_bga.aligner.given import GivenFeatures
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.encoders import resolve_encoder
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer


@dataclass(frozen=True)
class Settings:
    """What the architecture was given: see `spacy_bga.BGAModel.v2`."""

    text_encoder: str
    vision_encoder: str | None
    bga_layers: int | tuple[int, ...]
    vision_layers: int | tuple[int, ...] | None
    keep_text: float | tuple[float, ...]
    keep_visual: float | tuple[float, ...]
    image_size: int | None
    mixed_precision: bool
    window: int
    overlap: int
    wordpieces_of: Unit | Literal["auto"]
    visual_features: str | None
    options: dict[str, Any]

    @property
    def sees(self) -> bool:
        """Whether there is anything to learn from images."""
        given = self.vision_encoder is not None or self.visual_features is not None
        return given and (self.bga_layers not in (0, ()) or self.options["words"])


def build_aligner(settings: Settings, labels: Sequence[str]) -> tuple[BGAModel, WordpieceTokenizer]:
    """Load the pretrained encoders and join them.

    settings (Settings): The architecture's. labels (Sequence[str]): The entity labels.
    RETURNS (tuple[BGAModel, WordpieceTokenizer]): The aligner, new but for its encoders, and its tokenizer.
    """
    folder = resolve_encoder(settings.text_encoder)
    text = TextEncoder.from_pretrained(folder)
    options = settings.options
    vision: VisionEncoder | GivenFeatures | None = None
    if settings.visual_features is not None and settings.sees:
        vision = _look_at(settings.visual_features)
        options = _pooling(options, vision)
    elif settings.vision_encoder is not None and settings.sees:
        with torch.random.fork_rng(enabled=settings.bga_layers in (0, ())):  # see `beside_text`
            vision = VisionEncoder.from_pretrained(resolve_encoder(settings.vision_encoder))
    # An encoder with short positions gets shorter windows than asked for, and an overlap that fits them.
    window = min(settings.window, text.max_length)
    overlap = settings.overlap if window == settings.window else min(settings.overlap, (window - 2) // 2)
    unit = settings.wordpieces_of
    tokenizer = WordpieceTokenizer.from_folder(folder, window=window, overlap=overlap, of=unit)
    config = BGAConfig(
        text=_portable(text.config),
        vision=_vision_config(vision),
        labels=tuple(labels),
        window=window,
        overlap=overlap,
        wordpieces_of=tokenizer.of,
        mask_id=tokenizer.mask_id,
        **_layer_settings(settings, text, vision),
        **_image_settings(settings, vision),
        **options,
    )
    return BGAModel(config, text, vision), tokenizer


def aligner_folder(path: Path, *, name: str) -> Path:
    """RETURNS (Path): Where the aligner is in a pipeline's folder: in that of the component of this name, else of the
    only one that has an aligner; else the path itself."""
    inside = path / name / "model"
    if inside.is_dir():
        return inside
    others = [file.parent for file in path.glob("*/model/config.json") if (file.parent / "model.safetensors").is_file()]
    return others[0] if len(others) == 1 else path


def _look_at(path: str) -> GivenFeatures:
    """RETURNS (GivenFeatures): What the features in a file, or a folder of them, are like."""
    file = FeatureFile(Path(path))
    return GivenFeatures(file.width, file.n_patches, file.grid)


def _pooling(options: dict[str, Any], vision: GivenFeatures) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The options, without a grid to pool to where given features have none, or no finer one.
    0 stays: the token of the whole picture is always there."""
    pooled = {}
    for name in ("visual_grid", "crop_grid"):
        grid = options[name]
        pooled[name] = grid if not grid or (vision.grid is not None and grid < min(vision.grid)) else None
    return options | pooled


def _vision_config(vision: VisionEncoder | GivenFeatures | None) -> dict[str, Any] | None:
    if isinstance(vision, GivenFeatures):
        return vision.to_config()
    return None if vision is None else _portable(vision.config)


def _portable(config: PretrainedConfig) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): An encoder's configuration, without where on this machine it came from."""
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"}


def _layer_settings(
    settings: Settings, text: TextEncoder, vision: VisionEncoder | GivenFeatures | None
) -> dict[str, Any]:
    if vision is None:
        return {}
    chosen = settings.bga_layers
    partners = settings.vision_layers
    if partners is None:
        partners = max(chosen if isinstance(chosen, int) else len(chosen), int(settings.options["words"]))
    layers = choose_layers(chosen, text.n_layers, name="bga_layers")
    return {
        "text_layers": layers,
        "vision_layers": _partners(vision, partners, given=settings.vision_layers),
        "keep_text": _per_layer(settings.keep_text, len(layers)),
        "keep_visual": _per_layer(settings.keep_visual, len(layers)),
    }


def _partners(
    vision: VisionEncoder | GivenFeatures, partners: int | tuple[int, ...], *, given: int | tuple[int, ...] | None
) -> tuple[int, ...]:
    """RETURNS (tuple[int, ...]): Which vision layers the features of each BGA layer enter. Given ones enter none."""
    if not isinstance(vision, GivenFeatures):
        return choose_layers(partners, vision.n_layers, name="vision_layers")
    if given is not None:
        raise BGAError(Errors.B220.format(layers=given))
    assert isinstance(partners, int)
    return (0,) * partners


def _per_layer(ratio: float | tuple[float, ...], n_layers: int) -> tuple[float, ...]:
    return (float(ratio),) * n_layers if isinstance(ratio, int | float) else tuple(ratio)


def _image_settings(settings: Settings, vision: VisionEncoder | GivenFeatures | None) -> dict[str, Any]:
    if vision is None or isinstance(vision, GivenFeatures):
        return {}
    size = settings.image_size or vision.image_size
    return {"image_size": size, "image_mean": vision.image_mean, "image_std": vision.image_std}
