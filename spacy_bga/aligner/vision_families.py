"""The families of vision transformers, and where their parts lie: transformers moves them from release to release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class PreNormLayer:
    """The parts of one pre-norm layer, whatever its family calls them; each maps (I, len, d) to (I, len, d)."""

    first_norm: Callable[[Tensor], Tensor]
    query: Callable[[Tensor], Tensor]
    key: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    output: Callable[[Tensor], Tensor]  # from the heads side by side to what is added to the residual
    second_norm: Callable[[Tensor], Tensor]
    feed_forward: Callable[[Tensor], Tensor]
    heads: int


def open_clip_layer(layer: Any) -> PreNormLayer:
    attention = layer.self_attn
    return PreNormLayer(
        first_norm=layer.layer_norm1,
        query=attention.q_proj,
        key=attention.k_proj,
        value=attention.v_proj,
        output=attention.out_proj,
        second_norm=layer.layer_norm2,
        feed_forward=layer.mlp,
        heads=attention.num_heads,
    )


def open_vit_layer(layer: Any) -> PreNormLayer:
    parts = open_attention(layer.attention)
    output = parts.pop("output")
    if hasattr(layer, "mlp"):
        return PreNormLayer(
            first_norm=layer.layernorm_before,
            output=lambda mixed: layer.dropout(output(mixed)),
            second_norm=layer.layernorm_after,
            feed_forward=lambda normed: layer.dropout(layer.mlp(normed)),
            **parts,
        )
    return PreNormLayer(
        first_norm=layer.layernorm_before,
        output=output,
        second_norm=layer.layernorm_after,
        feed_forward=lambda normed: layer.output.dropout(layer.output.dense(layer.intermediate(normed))),
        **parts,
    )


def open_dinov2_layer(layer: Any) -> PreNormLayer:
    parts = open_attention(layer.attention)
    output = parts.pop("output")
    return PreNormLayer(
        first_norm=layer.norm1,
        output=lambda mixed: layer.drop_path(layer.layer_scale1(output(mixed))),
        second_norm=layer.norm2,
        feed_forward=lambda normed: layer.drop_path(layer.layer_scale2(layer.mlp(normed))),
        **parts,
    )


def open_attention(attention: Any) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The parts of ViT's or DINOv2's attention: one module, or two inside of one."""
    if hasattr(attention, "q_proj"):
        return {
            "query": attention.q_proj,
            "key": attention.k_proj,
            "value": attention.v_proj,
            "output": attention.o_proj,
            "heads": attention.num_attention_heads,
        }
    own, output = attention.attention, attention.output
    return {
        "query": own.query,
        "key": own.key,
        "value": own.value,
        "output": lambda mixed: output.dropout(output.dense(mixed)),
        "heads": own.num_attention_heads,
    }


@dataclass(frozen=True)
class VisionFamily:
    """What tells one family of vision transformers from another.

    Attributes:
        open_layer: finds the parts of one of its layers.
        attention_dropout: the setting's name in its config.
        image_mean: what its images are normalized with, if its folder says nothing.
        image_std: as above.
        settings: arguments of its class, so that it builds no pooler.
        saved_names: parts of the names of its weights as they are saved, and as later releases of transformers say; in
            the order in which they are replaced.
    """

    open_layer: Callable[[Any], PreNormLayer]
    attention_dropout: str
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]
    settings: dict[str, Any]
    saved_names: tuple[tuple[str, str], ...]

    def saved_name(self, name: str) -> str:
        """RETURNS (str): What a weight of this name, of any release's, is called in a saved aligner."""
        for saved, later in self.saved_names:
            if saved not in name:
                name = name.replace(later, saved)
        return name


ATTENTION = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
)
CLIP = VisionFamily(
    open_layer=open_clip_layer,
    attention_dropout="attention_dropout",
    image_mean=(0.48145466, 0.4578275, 0.40821073),
    image_std=(0.26862954, 0.26130258, 0.27577711),
    settings={},
    saved_names=(("model.vision_model.", "model."),),
)
VIT = VisionFamily(
    open_layer=open_vit_layer,
    attention_dropout="attention_probs_dropout_prob",
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.5, 0.5, 0.5),
    settings={"add_pooling_layer": False},
    saved_names=(
        ("encoder.layer.", "layers."),
        *ATTENTION,
        (".intermediate.dense.", ".mlp.fc1."),
        (".output.dense.", ".mlp.fc2."),
    ),
)
DINOV2 = VisionFamily(
    open_layer=open_dinov2_layer,
    attention_dropout="attention_probs_dropout_prob",
    image_mean=(0.485, 0.456, 0.406),
    image_std=(0.229, 0.224, 0.225),
    settings={},
    saved_names=ATTENTION,
)
FAMILIES = {"clip_vision_model": CLIP, "vit": VIT, "dinov2": DINOV2}
