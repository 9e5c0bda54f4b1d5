from __future__ import annotations

import logging
import math
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    BertForTokenClassification,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    ElectraForPreTraining,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from spacy_bga.aligner import functional
from spacy_bga.aligner.packing import Padded
from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.errors import BGAError

TINY = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "initializer_range": 0.3,  # large enough for a wrong layer to show
}
ROBERTA = {**TINY, "max_position_embeddings": 18, "pad_token_id": 1, "type_vocab_size": 1}
CONFIGS = {
    "bert": BertConfig(**TINY, max_position_embeddings=16),
    "roberta": RobertaConfig(**ROBERTA),
    "xlm-roberta": XLMRobertaConfig(**ROBERTA),
    "electra": ElectraConfig(**TINY, embedding_size=8, max_position_embeddings=16),
    "camembert": CamembertConfig(**ROBERTA),
}


@pytest.fixture(params=CONFIGS)
def encoder(request: pytest.FixtureRequest) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder.from_config(CONFIGS[request.param]).eval()


@pytest.fixture
def bert() -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder.from_config(CONFIGS["bert"]).eval()


def windows(encoder: TextEncoder, *, lengths: tuple[int, ...] = (9, 5, 1)) -> tuple[torch.Tensor, torch.Tensor]:
    """Wordpiece ids and mask of windows with those lengths."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    ids = torch.randint(3, 50, mask.shape).masked_fill(~mask, encoder.config.pad_token_id)
    return ids, mask


@pytest.mark.parametrize("lengths", [(9, 5, 1), (6, 6), (16,)], ids=["padded", "full", "longest"])
def test_forward_equals_transformers(encoder: TextEncoder, lengths: tuple[int, ...]) -> None:
    ids, mask = windows(encoder, lengths=lengths)
    with torch.no_grad():
        expected = encoder.model(ids, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(encoder(ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


def test_tagging_computes_the_same_in_place(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, mask = windows(encoder, lengths=(6, 6))
    with torch.inference_mode():
        tagging = encoder(ids, mask)
    torch.testing.assert_close(tagging, encoder(ids, mask), atol=1e-6, rtol=1e-5)
    intermediate = encoder.model.encoder.layer[0].intermediate
    made = []
    linear = functional.linear
    monkeypatch.setattr(functional, "linear", lambda *given: made.append(linear(*given)) or made[-1])
    hidden = torch.randn(1, 3, encoder.width)
    with torch.inference_mode():
        assert functional.widen(intermediate, hidden) is made[0]
    assert functional.widen(intermediate, hidden) is not made[1]


def test_layers_equal_hidden_states(encoder: TextEncoder) -> None:
    ids, mask = windows(encoder)
    with torch.no_grad():
        states = encoder.model(ids, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        hidden = encoder.embed(ids, mask)
        torch.testing.assert_close(hidden, states[0], atol=1e-5, rtol=1e-5)
        for index in range(encoder.n_layers):
            hidden = encoder.layer(index, hidden, Padded(mask))
            torch.testing.assert_close(hidden[mask], states[index + 1][mask], atol=1e-5, rtol=1e-5)


def test_what_padding_holds_does_not_matter(encoder: TextEncoder) -> None:
    ids, mask = windows(encoder)
    with torch.no_grad():
        torch.testing.assert_close(encoder(ids, mask), encoder(ids.masked_fill(~mask, 7), mask))


def reference_layer(encoder: TextEncoder, hidden: torch.Tensor, keys: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The first layer of one window by hand, head by head: (n, d), (k, d), (k,) -> (n, d)."""
    layer = encoder.model.encoder.layer[0]
    attention = layer.attention.self
    size = encoder.width // 4
    heads = []
    for head in range(4):
        part = slice(head * size, (head + 1) * size)
        query, key, value = (
            attention.query(hidden)[:, part],
            attention.key(keys)[:, part],
            attention.value(keys)[:, part],
        )
        weights = torch.softmax(query @ key.T / math.sqrt(size) + bias, dim=-1)
        heads.append(weights @ value)
    output = layer.attention.output
    attended = output.LayerNorm(output.dense(torch.cat(heads, dim=-1)) + hidden)
    inner = torch.nn.functional.gelu(layer.intermediate.dense(attended))
    return layer.output.LayerNorm(layer.output.dense(inner) + attended)


@pytest.mark.parametrize("lengths", [(6, 4), (6, 6)], ids=["padded", "full"])
def test_context_gives_keys_and_values(encoder: TextEncoder, lengths: tuple[int, int]) -> None:
    _, mask = windows(encoder, lengths=lengths)
    hidden, context = torch.randn(2, 6, 16), torch.randn(2, 3, 16)
    with torch.no_grad():
        actual = encoder.layer(0, hidden, Padded(mask), context=context)
        for window, length in enumerate(lengths):
            own = hidden[window, :length]
            source = torch.cat([context[window], own])
            expected = reference_layer(encoder, own, source, torch.zeros(len(source)))
            torch.testing.assert_close(actual[window, :length], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lengths", [(6, 4), (6, 6)], ids=["padded", "full"])
def test_closed_gate_turns_context_off(encoder: TextEncoder, lengths: tuple[int, int]) -> None:
    _, mask = windows(encoder, lengths=lengths)
    hidden, context = torch.randn(2, 6, 16), torch.randn(2, 3, 16)
    heads = encoder.config.num_attention_heads
    with torch.no_grad():
        without = encoder.layer(0, hidden, Padded(mask))
        closed = encoder.layer(0, hidden, Padded(mask), context=context, context_gate=torch.zeros(heads))
        opened = encoder.layer(0, hidden, Padded(mask), context=context, context_gate=torch.ones(heads))
    torch.testing.assert_close(without, closed)
    assert not torch.allclose(without[mask], opened[mask], atol=1e-3)


@pytest.mark.parametrize("gated", [True, False])
def test_gradients_reach_context_and_gate(bert: TextEncoder, gated: bool) -> None:
    _, mask = windows(bert)
    context = torch.randn(3, 2, 16, requires_grad=True)
    gate = torch.nn.Parameter(torch.full((bert.config.num_attention_heads,), 0.1)) if gated else None
    found = bert.layer(0, torch.randn(3, 9, 16), Padded(mask), context=context, context_gate=gate)
    found[mask].square().sum().backward()
    for leaf in (context, gate) if gate is not None else (context,):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert leaf.grad.abs().min() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fully_masked_row_is_finite(bert: TextEncoder, dtype: torch.dtype) -> None:
    bert = bert.to(dtype)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    output = bert(torch.ones(2, 3, dtype=torch.long), mask)
    output.square().sum().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in bert.parameters() if p.grad is not None)


def test_attention_drops_weights_in_training_only() -> None:
    config = BertConfig(**TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    encoder = TextEncoder.from_config(config)
    hidden, mask = torch.randn(1, 8, 16), torch.ones(1, 8, dtype=torch.bool)
    assert not torch.equal(encoder.train().layer(0, hidden, Padded(mask)), encoder.layer(0, hidden, Padded(mask)))
    assert torch.equal(encoder.eval().layer(0, hidden, Padded(mask)), encoder.layer(0, hidden, Padded(mask)))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*", "ignore:.*is_gradient_checkpointing.*")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # torch's own, of an embedding's padding index
@pytest.mark.filterwarnings("ignore:.(torch.jit.trace|is_gradient_checkpointing):FutureWarning")  # newer releases
def test_trace_holds_for_other_windows(encoder: TextEncoder) -> None:
    with torch.no_grad():
        traced = torch.jit.trace(encoder, windows(encoder, lengths=(5, 5)))
        ids, mask = windows(encoder)
        torch.testing.assert_close(traced(ids, mask), encoder(ids, mask), atol=1e-5, rtol=1e-5)


def test_properties(encoder: TextEncoder) -> None:
    assert (encoder.width, encoder.n_layers, encoder.max_length) == (16, 2, 16)
    assert encoder.config.model_type in CONFIGS
    assert not any("pooler" in name for name in encoder.state_dict())
    assert all(name.startswith("model.") for name in encoder.state_dict())


def test_too_long_a_window(encoder: TextEncoder) -> None:
    with pytest.raises(BGAError, match=r"\[B125\].*17.*16"):
        encoder.embed(*windows(encoder, lengths=(17,)))


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(**TINY, position_embedding_type="relative_key"),
        BertConfig(**TINY, is_decoder=True),
        BertConfig(**TINY, is_decoder=False, add_cross_attention=True),
    ],
    ids=["relative positions", "decoder", "cross-attention"],
)
def test_unusual_configs_are_refused(config: PretrainedConfig) -> None:
    with pytest.raises(BGAError, match="B124"):
        TextEncoder.from_config(config)


def test_unknown_family_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BGAError, match=r"\[B120\].*distilbert.*bert, roberta, xlm-roberta, electra, camembert"):
        TextEncoder.from_config(DistilBertConfig())
    (tmp_path / "config.json").write_text('{"model_type": "homemade"}', encoding="utf-8")
    with pytest.raises(BGAError, match=r"\[B120\].*homemade"):
        TextEncoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
def test_from_pretrained(name: str, tmp_path: Path) -> None:
    saved = AutoModel.from_config(CONFIGS[name]).eval()
    saved.save_pretrained(tmp_path)
    encoder = TextEncoder.from_pretrained(tmp_path)
    assert not encoder.training
    ids, mask = windows(encoder)
    with torch.no_grad():
        expected = saved(ids, attention_mask=mask.long()).last_hidden_state
        torch.testing.assert_close(encoder(ids, mask)[mask], expected[mask], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", [BertForTokenClassification, ElectraForPreTraining])
def test_from_pretrained_leaves_heads_behind_quietly(
    head: type, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    loader = logging.getLogger("transformers.modeling_utils")
    saved = head(CONFIGS["bert" if head is BertForTokenClassification else "electra"])
    saved.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        encoder = TextEncoder.from_pretrained(tmp_path)
    assert not caplog.records
    assert not loader.filters
    for name, weight in encoder.model.state_dict().items():
        assert torch.equal(weight, saved.base_model.state_dict()[name])


def test_wraps_the_base_of_a_model_with_a_head() -> None:
    model = BertForTokenClassification(CONFIGS["bert"])
    assert TextEncoder(model).model is model.bert


def test_missing_weights_are_not_left_random(tmp_path: Path) -> None:
    AutoModel.from_config(CONFIGS["bert"]).save_pretrained(tmp_path)
    BertConfig(**{**TINY, "num_hidden_layers": 3}, max_position_embeddings=16).save_pretrained(tmp_path)
    with pytest.raises(BGAError, match=r"\[B123\].*encoder\.layer\.2"):
        TextEncoder.from_pretrained(tmp_path)


def test_folder_without_config_or_weights(tmp_path: Path) -> None:
    with pytest.raises(BGAError, match=r"\[B122\].*config\.json"):
        TextEncoder.from_pretrained(tmp_path)
    CONFIGS["bert"].save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(BGAError, match=r"\[B122\].*safetensors"):
        TextEncoder.from_pretrained(tmp_path)
