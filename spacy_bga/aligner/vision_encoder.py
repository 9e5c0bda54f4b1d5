"""A pretrained vision transformer, opened layer by layer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, PretrainedConfig, PreTrainedModel

from spacy_bga.aligner.attention import all_true, attend, masking_bias
from spacy_bga.aligner.text_encoder import load_encoder, read_config
from spacy_bga.aligner.vision_families import CLIP, DINOV2, FAMILIES, VisionFamily
from spacy_bga.errors import BGAError, Errors


class VisionEncoder(nn.Module):
    """The visual transformer layers, to be run one at a time and with extra keys and values.

    `I` images, `m` visual tokens ([CLS] and `P` patches), `n` context tokens, `d` width.

    Args:
        model: CLIP's vision model, ViT or DINOv2, without a head. A pooler is dropped.
        image_mean: what each channel is normalized with; the family's own by default.
        image_std: as above.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        image_mean: Sequence[float] | None = None,
        image_std: Sequence[float] | None = None,
    ):
        super().__init__()
        check_vision_config(model.config)
        opened: Any = model.base_model
        if hasattr(opened, "pooler"):
            opened.pooler = None
        self.model = opened
        self.train(model.training)  # a loaded model comes in evaluation mode; its wrapper should not differ
        self.image_mean = tuple(image_mean or self.family.image_mean)
        self.image_std = tuple(image_std or self.family.image_std)
        self.register_state_dict_post_hook(_with_saved_names)
        self.register_load_state_dict_pre_hook(_with_own_names)

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> VisionEncoder:
        """An encoder with random weights; of CLIP's whole config, the vision part is taken."""
        config = vision_part(config)
        check_vision_config(config)
        return cls(AutoModel.from_config(config, **FAMILIES[config.model_type].settings))

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> VisionEncoder:
        """The encoder in a local folder (`config.json`, `*.safetensors`), be it a whole CLIP checkpoint.

        The folder's `preprocessor_config.json`, if there is one, says how images are normalized.
        """
        folder = Path(folder)
        config = read_vision_config(folder)
        model = load_encoder(folder, config, **FAMILIES[config.model_type].settings)
        path = folder / "preprocessor_config.json"
        preprocessing = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(model, image_mean=preprocessing.get("image_mean"), image_std=preprocessing.get("image_std"))

    @property
    def config(self) -> PretrainedConfig:
        return self.model.config

    @property
    def family(self) -> VisionFamily:
        return FAMILIES[self.config.model_type]

    @property
    def width(self) -> int:
        return self.config.hidden_size

    @property
    def n_layers(self) -> int:
        return len(self._layers)

    @property
    def image_size(self) -> int:
        """Height and width, in pixels, of the images that it was pretrained on."""
        return self.config.image_size

    def patch_grid(self, image_size: int | tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches in an image of that (height, width)."""
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        return height // self.config.patch_size, width // self.config.patch_size

    def embed(self, pixels: Tensor) -> Tensor:
        """Patch and position embeddings behind a [CLS]: the input of the first layer.

        Args:
            pixels: (I, 3, H, W), normalized. At another size than `image_size`, positions are interpolated.

        Returns:
            (I, 1 + P, d).
        """
        if self.family is DINOV2:  # always ready to interpolate
            return self.model.embeddings(pixels)
        resized = tuple(pixels.shape[-2:]) != (self.image_size, self.image_size)
        embedded = self._trunk.embeddings(pixels, interpolate_pos_encoding=resized)
        return self._trunk.pre_layrnorm(embedded) if self.family is CLIP else embedded

    def layer(
        self,
        index: int,
        hidden: Tensor,
        *,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """One pretrained layer: Q = norm(hidden); K, V = norm([context ; hidden]) -> Add -> norm, FFN -> Add.

        Args:
            index: which layer.
            hidden: (I, m, d).
            context: (I, n, d), more keys and values.
            context_mask: (I, n) bool, True where the context may be attended to; everywhere by default.

        Returns:
            (I, m, d).
        """
        parts = self.family.open_layer(self._layers[index])
        normed = parts.first_norm(hidden)
        # The norm sees one token at a time: that of a concatenation is the concatenation of the norms.
        source = normed if context is None else torch.cat([parts.first_norm(context), normed], dim=1)
        mixed = attend(
            parts.query(normed),
            parts.key(source),
            parts.value(source),
            heads=parts.heads,
            bias=score_bias(hidden, context_mask if context is not None else None),
            dropout=getattr(self.config, self.family.attention_dropout) if self.training else 0.0,
        )
        hidden = hidden + parts.output(mixed)
        return hidden + parts.feed_forward(parts.second_norm(hidden))

    def final_norm(self, hidden: Tensor) -> Tensor:
        """The norm behind the last layer, on every token: (I, m, d) -> (I, m, d)."""
        return self._trunk.post_layernorm(hidden) if self.family is CLIP else self._trunk.layernorm(hidden)

    def forward(self, pixels: Tensor) -> Tensor:
        """The pretrained encoder as it was: embeddings, every layer without context, the final norm.

        Args:
            pixels: (I, 3, H, W), normalized.

        Returns:
            (I, 1 + P, d).
        """
        hidden = self.embed(pixels)
        for index in range(self.n_layers):
            hidden = self.layer(index, hidden)
        return self.final_norm(hidden)

    @staticmethod
    def pool_grid(tokens: Tensor, grid: int | None, *, shape: tuple[int, int] | None = None) -> Tensor:
        """Average the patches over a coarser grid; [CLS] stays in front.

        Args:
            tokens: (I, 1 + P, d).
            grid: rows and columns to keep; 0 keeps [CLS] alone, None keeps everything.
            shape: rows and columns of patches that there are (`patch_grid`), if not a square.

        Returns:
            (I, 1 + grid * grid, d).
        """
        if grid is None:
            return tokens
        cls, patches = tokens[:, :1], tokens[:, 1:]
        if grid == 0:
            return cls
        rows, columns = shape or (math.isqrt(patches.size(1)),) * 2
        if rows * columns != patches.size(1):
            raise BGAError(Errors.B126.format(patches=patches.size(1), rows=rows, columns=columns))
        image = patches.transpose(1, 2).unflatten(2, (rows, columns))  # (I, d, rows, columns)
        pooled = functional.adaptive_avg_pool2d(image, grid).flatten(2).transpose(1, 2)
        return torch.cat([cls, pooled], dim=1)

    @property
    def _trunk(self) -> Any:
        """The module that holds embeddings, layers and norms: CLIP's may lie one level deeper."""
        return getattr(self.model, "vision_model", self.model)

    @property
    def _layers(self) -> Any:
        stack = getattr(self._trunk, "encoder", self._trunk)
        return stack.layers if hasattr(stack, "layers") else stack.layer


def _with_saved_names(encoder: nn.Module, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    """Name weights, on their way out, as all releases of transformers do in a saved aligner."""
    assert isinstance(encoder, VisionEncoder)
    for name in [name for name in state if name.startswith(prefix)]:
        state[prefix + encoder.family.saved_name(name[len(prefix) :])] = state.pop(name)


def _with_own_names(encoder: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Name saved weights, on their way in, as this release of transformers does."""
    assert isinstance(encoder, VisionEncoder)
    for name, _parameter in encoder.named_parameters():
        saved = prefix + encoder.family.saved_name(name)
        if saved in state:
            state[prefix + name] = state.pop(saved)


def score_bias(hidden: Tensor, context_mask: Tensor | None) -> Tensor | None:
    """What is added to the attention scores of `[context ; hidden]`.

    Args:
        hidden: (I, m, d), all of them attended to.
        context_mask: (I, n) bool, or None.

    Returns:
        (I, n + m), or None if every score stays as it is.
    """
    if context_mask is None or all_true(context_mask):
        return None
    return torch.cat([masking_bias(context_mask, hidden.dtype), hidden.new_zeros(hidden.shape[:2])], dim=1)


def read_vision_config(folder: Path) -> PretrainedConfig:
    """The config of the vision encoder in a folder, be it a part of a whole CLIP."""
    config = vision_part(read_config(folder, families={"clip": CLIP, **FAMILIES}, unknown=Errors.B121))
    check_vision_config(config)
    return config


def vision_part(config: PretrainedConfig) -> PretrainedConfig:
    """The vision config of a whole CLIP; any other config as it is."""
    return config.vision_config if config.model_type == "clip" else config


def check_vision_config(config: PretrainedConfig) -> None:
    """Refuse what the opened layers would compute wrongly, or that the families' own code cannot resize."""
    if config.model_type not in FAMILIES:
        raise BGAError(Errors.B121.format(family=config.model_type, known=", ".join(FAMILIES)))
    for setting in ("image_size", "patch_size"):
        if not isinstance(getattr(config, setting), int):
            raise BGAError(Errors.B127.format(setting=setting, actual=getattr(config, setting)))
