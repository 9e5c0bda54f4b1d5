from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    Dinov2Config,
    Dinov2WithRegistersConfig,
    PretrainedConfig,
    ViTConfig,
    ViTForImageClassification,
)

from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.errors import BGAError

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 16,
    "patch_size": 4,
    "initializer_range": 0.3,  # large enough for a wrong layer to show
}
CONFIGS: dict[str, Any] = {
    "clip": CLIPVisionConfig(**TINY, intermediate_size=32),
    "vit": ViTConfig(**TINY, intermediate_size=32),
    "dinov2": Dinov2Config(**TINY, mlp_ratio=2, layerscale_value=0.7, drop_path_rate=0.1),
    "dinov2 swiglu": Dinov2Config(**TINY, mlp_ratio=2, layerscale_value=0.7, use_swiglu_ffn=True),
}


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest) -> VisionEncoder:
    torch.manual_seed(0)
    encoder = VisionEncoder.from_config(CONFIGS[request.param]).eval()
    for name, weight in encoder.named_parameters():
        if "norm" in name or "lambda" in name:  # ones and zeros would hide a norm or a layer scale left out
            torch.nn.init.normal_(weight, mean=0.8, std=0.3)
    return encoder


def pretrained_states(encoder: VisionEncoder, pixels: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Hidden states and last hidden state as transformers computes them."""
    resize = {} if encoder.config.model_type == "dinov2" else {"interpolate_pos_encoding": True}
    output = encoder.model(pixels, output_hidden_states=True, **resize)
    return list(output.hidden_states), output.last_hidden_state


@pytest.mark.parametrize("size", [(16, 16), (24, 24), (8, 20)], ids=str)
def test_layers_equal_transformers(encoder: VisionEncoder, size: tuple[int, int]) -> None:
    pixels = torch.randn(2, 3, *size)
    with torch.no_grad():
        states, last = pretrained_states(encoder, pixels)
        hidden = encoder.embed(pixels)
        rows, columns = encoder.patch_grid(size)
        assert hidden.shape == (2, 1 + rows * columns, 16)
        torch.testing.assert_close(hidden, states[0], atol=1e-5, rtol=1e-5)
        for index in range(encoder.n_layers):
            hidden = encoder.layer(index, hidden)
            torch.testing.assert_close(hidden, states[index + 1], atol=1e-5, rtol=1e-5)
        if encoder.config.model_type == "clip_vision_model":  # CLIP norms its pooled [CLS] alone
            torch.testing.assert_close(hidden, last, atol=1e-5, rtol=1e-5)
            last = encoder.final_norm(last)
        torch.testing.assert_close(encoder.final_norm(hidden), last, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(encoder(pixels), last, atol=1e-5, rtol=1e-5)


def quick_gelu(hidden: torch.Tensor) -> torch.Tensor:
    return hidden * torch.sigmoid(1.702 * hidden)


def named_parts(encoder: VisionEncoder) -> tuple:
    """Norms, projections and feed-forward network of the first layer, and the scales of its two branches."""
    weights = encoder.state_dict()  # of the same names with any release of transformers

    def linear(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name: str, eps: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    eps = encoder.config.layer_norm_eps
    if encoder.config.model_type == "clip_vision_model":
        layer = "model.vision_model.encoder.layers.0"
        projections = [linear(f"{layer}.self_attn.{name}_proj") for name in ("q", "k", "v", "out")]
        first, second = linear(f"{layer}.mlp.fc1"), linear(f"{layer}.mlp.fc2")
        norms = [norm(f"{layer}.layer_norm{number}", eps) for number in (1, 2)]
        return norms[0], projections, norms[1], lambda x: second(quick_gelu(first(x))), 1.0, 1.0
    layer = "model.encoder.layer.0"
    projections = [linear(f"{layer}.attention.attention.{name}") for name in ("query", "key", "value")]
    projections.append(linear(f"{layer}.attention.output.dense"))
    if encoder.config.model_type == "dinov2":
        scales = [weights[f"{layer}.layer_scale{number}.lambda1"] for number in (1, 2)]
        norms = [norm(f"{layer}.norm{number}", eps) for number in (1, 2)]
        return norms[0], projections, norms[1], encoder.model.encoder.layer[0].mlp, *scales
    norms = [norm(f"{layer}.layernorm_{place}", eps) for place in ("before", "after")]
    first, second = linear(f"{layer}.intermediate.dense"), linear(f"{layer}.output.dense")
    return norms[0], projections, norms[1], lambda x: second(F.gelu(first(x))), 1.0, 1.0


def reference_layer(encoder: VisionEncoder, hidden: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """The first layer of one image by hand, head by head: (m, d), (n, d) -> (m, d)."""
    norm1, (to_query, to_key, to_value, output), norm2, mlp, scale1, scale2 = named_parts(encoder)
    source = norm1(torch.cat([context, hidden]))
    queries, keys, values = to_query(norm1(hidden)), to_key(source), to_value(source)
    heads = []
    for part in torch.arange(16).split(4):
        weights = torch.softmax(queries[:, part] @ keys[:, part].T / math.sqrt(4), dim=-1)
        heads.append(weights @ values[:, part])
    hidden = hidden + scale1 * output(torch.cat(heads, dim=-1))
    return hidden + scale2 * mlp(norm2(hidden))


@pytest.mark.parametrize("lengths", [None, (3, 1, 0), (3, 3, 3)], ids=["no mask", "masked", "full mask"])
def test_context_gives_keys_and_values(encoder: VisionEncoder, lengths: tuple[int, ...] | None) -> None:
    hidden, context = torch.randn(3, 5, 16), torch.randn(3, 3, 16)
    mask = None if lengths is None else torch.arange(3) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        actual = encoder.layer(0, hidden, context=context, context_mask=mask)
        for image, length in enumerate(lengths or (3, 3, 3)):
            expected = reference_layer(encoder, hidden[image], context[image, :length])
            torch.testing.assert_close(actual[image], expected, atol=1e-5, rtol=1e-5)


def test_gradients_reach_context(encoder: VisionEncoder) -> None:
    context = torch.randn(2, 3, 16, requires_grad=True)
    mask = torch.tensor([[True, True, False], [True, True, True]])
    encoder.layer(0, torch.randn(2, 5, 16), context=context, context_mask=mask).square().sum().backward()
    assert context.grad is not None
    assert context.grad.isfinite().all()
    assert torch.equal(context.grad.abs().sum(dim=-1) > 0, mask)


def test_training_mode_drops_paths_and_attention() -> None:
    config = ViTConfig(**TINY, intermediate_size=32, attention_probs_dropout_prob=0.5)
    for tested in (config, Dinov2Config(**TINY, layerscale_value=0.7, drop_path_rate=0.5)):
        encoder, hidden = VisionEncoder.from_config(tested), torch.randn(8, 5, 16)
        assert not torch.equal(encoder.train().layer(0, hidden), encoder.layer(0, hidden))
        assert torch.equal(encoder.eval().layer(0, hidden), encoder.layer(0, hidden))


def test_properties(encoder: VisionEncoder) -> None:
    assert (encoder.width, encoder.n_layers, encoder.image_size) == (16, 2, 16)
    assert encoder.patch_grid(16) == (4, 4)
    assert encoder.patch_grid((9, 20)) == (2, 5)
    assert len(encoder.image_mean) == len(encoder.image_std) == 3
    assert not any("pooler" in name for name in encoder.state_dict())
    assert all(name.startswith("model.") for name in encoder.state_dict())


def test_pool_grid() -> None:
    tokens = torch.randn(2, 1 + 16, 3)
    assert VisionEncoder.pool_grid(tokens, None) is tokens
    assert torch.equal(VisionEncoder.pool_grid(tokens, 0), tokens[:, :1])
    torch.testing.assert_close(VisionEncoder.pool_grid(tokens, 4), tokens)
    pooled = VisionEncoder.pool_grid(tokens, 2)
    assert pooled.shape == (2, 5, 3)
    assert torch.equal(pooled[:, 0], tokens[:, 0])
    top_right = tokens[:, 1:].unflatten(1, (4, 4))[:, :2, 2:].mean(dim=(1, 2))
    torch.testing.assert_close(pooled[:, 2], top_right)


def test_pool_grid_of_a_wide_image() -> None:
    tokens = torch.randn(1, 1 + 10, 3)
    pooled = VisionEncoder.pool_grid(tokens, 1, shape=(2, 5))
    torch.testing.assert_close(pooled[:, 1], tokens[:, 1:].mean(dim=1))
    with pytest.raises(BGAError, match=r"\[B126\].*10 patches.*3 x 3"):
        VisionEncoder.pool_grid(tokens, 1)


@pytest.mark.parametrize("name", CONFIGS)
def test_from_pretrained(name: str, tmp_path: Path) -> None:
    saved = AutoModel.from_config(CONFIGS[name]).eval()
    saved.save_pretrained(tmp_path)
    encoder = VisionEncoder.from_pretrained(tmp_path)
    assert not encoder.training
    pixels = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected = saved(pixels).last_hidden_state
        if name == "clip":
            expected = encoder.final_norm(expected)
        torch.testing.assert_close(encoder(pixels), expected, atol=1e-5, rtol=1e-5)


def test_from_pretrained_takes_the_vision_part_of_clip(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(vision_config=CONFIGS["clip"].to_dict(), text_config=text, projection_dim=8)
    saved = CLIPModel(config)
    saved.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        encoder = VisionEncoder.from_pretrained(tmp_path)
    assert not caplog.records
    assert encoder.config.model_type == "clip_vision_model"
    for name, weight in encoder.model.state_dict().items():
        assert torch.equal(weight, saved.vision_model.state_dict()[name.removeprefix("vision_model.")])
    assert VisionEncoder.from_config(config).width == 16


def test_normalization_is_the_family_s_unless_the_folder_says_otherwise(tmp_path: Path) -> None:
    ViTForImageClassification(CONFIGS["vit"]).save_pretrained(tmp_path)
    assert VisionEncoder.from_pretrained(tmp_path).image_mean == (0.5, 0.5, 0.5)
    assert VisionEncoder.from_config(CONFIGS["dinov2"]).image_mean == (0.485, 0.456, 0.406)
    assert VisionEncoder.from_config(CONFIGS["clip"]).image_std[0] == pytest.approx(0.26862954)
    preprocessing = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessing), encoding="utf-8")
    encoder = VisionEncoder.from_pretrained(tmp_path)
    assert (encoder.image_mean, encoder.image_std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


@pytest.mark.parametrize("config", [Dinov2WithRegistersConfig(**TINY), PretrainedConfig()], ids=["registers", "none"])
def test_unknown_family_names_the_known_ones(config: PretrainedConfig) -> None:
    with pytest.raises(BGAError, match=r"\[B121\].*clip_vision_model, vit, dinov2"):
        VisionEncoder.from_config(config)


def test_only_squares() -> None:
    with pytest.raises(BGAError, match=r"\[B127\].*image_size.*\[16, 32\]"):
        VisionEncoder.from_config(ViTConfig(**{**TINY, "image_size": [16, 32]}, intermediate_size=32))


def renamed(name: str) -> str:
    """What a weight that is saved under a name is called by releases of transformers that have moved it."""
    for saved, later in {
        "model.vision_model.": "model.",
        ".attention.attention.query.": ".attention.q_proj.",
        ".attention.attention.key.": ".attention.k_proj.",
        ".attention.attention.value.": ".attention.v_proj.",
        ".attention.output.dense.": ".attention.o_proj.",
    }.items():
        name = name.replace(saved, later)
    return name


def test_weights_are_saved_under_the_same_names_by_all_releases(encoder: VisionEncoder) -> None:
    state = encoder.state_dict(prefix="visual.")
    if encoder.config.model_type == "clip_vision_model":
        assert "visual.model.vision_model.encoder.layers.1.self_attn.q_proj.weight" in state
    else:
        assert "visual.model.encoder.layer.1.attention.attention.query.weight" in state
        assert "visual.model.encoder.layer.1.attention.output.dense.bias" in state
    if encoder.config.model_type == "vit":
        assert {f"visual.model.encoder.layer.0.{part}.dense.bias" for part in ("intermediate", "output")} <= {*state}
    own = sorted(name for name, _ in encoder.named_parameters())
    assert len(state) == len(own)
    assert {encoder.family.saved_name(name) for name in own} == {name.removeprefix("visual.") for name in state}
    assert {encoder.family.saved_name(renamed(name)) for name in own} == {
        encoder.family.saved_name(name) for name in own
    }


def test_weights_load_under_the_names_of_any_release(encoder: VisionEncoder) -> None:
    other = VisionEncoder.from_config(encoder.config)
    other.load_state_dict(encoder.state_dict())
    pixels = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(other.eval()(pixels), encoder(pixels))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict(encoder.state_dict() | {"model.foreign": torch.zeros(1)})
