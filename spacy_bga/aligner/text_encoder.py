"""A pretrained encoder of the BERT family, opened layer by layer."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from spacy_bga.aligner import functional
from spacy_bga.aligner.packing import Padded, arrange
from spacy_bga.errors import BGAError, Errors

# What each family's class must be told so that it builds no pooler. Same anatomy, same names inside.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {"add_pooling_layer": False},
    "roberta": {"add_pooling_layer": False},
    "xlm-roberta": {"add_pooling_layer": False},
    "electra": {},
    "camembert": {"add_pooling_layer": False},
}
# Families that number positions from the padding id upwards, and leave padding out of the count.
COUNT_FROM_PADDING = frozenset({"roberta", "xlm-roberta", "camembert"})


class TextEncoder(nn.Module):
    """The textual transformer layers, to be run one at a time and with extra keys and values.

    `W` windows, `n` wordpieces, `m` context tokens, `d` width.

    Args:
        model: BERT, RoBERTa, XLM-R, ELECTRA or CamemBERT, without a head. Its pooler is dropped.
    """

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        check_text_config(model.config)
        opened: Any = model.base_model
        if hasattr(opened, "pooler"):
            opened.pooler = None
        self.model = opened
        self.train(model.training)  # a loaded model comes in evaluation mode; its wrapper should not differ

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> TextEncoder:
        """An encoder with random weights."""
        check_text_config(config)
        return cls(AutoModel.from_config(config, **FAMILIES[config.model_type]))

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> TextEncoder:
        """The encoder in a local folder (`config.json`, `*.safetensors`), whatever head it was saved with."""
        config = read_text_config(Path(folder))
        return cls(load_encoder(Path(folder), config, **FAMILIES[config.model_type]))

    @property
    def config(self) -> PretrainedConfig:
        return self.model.config

    @property
    def width(self) -> int:
        return self.config.hidden_size

    @property
    def word_embeddings(self) -> nn.Embedding:
        """The table of the wordpieces' own embeddings, (V, e)."""
        return self.model.get_input_embeddings()

    @property
    def tags(self) -> bool:
        """Whether nothing learns from what comes next, so that modules need not be called; see `functional`."""
        return torch.is_inference_mode_enabled() and not self.training

    @property
    def n_layers(self) -> int:
        return len(self.model.encoder.layer)

    @property
    def max_length(self) -> int:
        """The most wordpieces of a window, special tokens included."""
        positions = self.config.max_position_embeddings
        if self.config.model_type in COUNT_FROM_PADDING:
            return positions - self.config.pad_token_id - 1
        return positions

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token, position and type embeddings: the input of the first layer.

        Args:
            ids: (W, n) wordpiece ids.
            mask: (W, n) bool, False on padding.

        Returns:
            (W, n, d).
        """
        if not torch.jit.is_tracing() and ids.size(1) > self.max_length:
            raise BGAError(Errors.B125.format(length=ids.size(1), limit=self.max_length))
        padding = self.config.pad_token_id
        if padding is not None:
            # RoBERTa's positions depend on it: they are counted over everything that is not the padding id.
            ids = ids.masked_fill(~mask, padding)
        if self.tags:
            count_from = padding if self.config.model_type in COUNT_FROM_PADDING else None
            embedded = functional.embed(self.model.embeddings, ids, count_from=count_from)
        else:
            embedded = self.model.embeddings(input_ids=ids)
        if hasattr(self.model, "embeddings_project"):  # ELECTRA embeds in fewer dimensions than it computes in
            embedded = self.model.embeddings_project(embedded)
        return embedded

    def layer(
        self,
        index: int,
        hidden: Tensor,
        windows: Padded,
        *,
        context: Tensor | None = None,
        context_gate: Tensor | None = None,
    ) -> Tensor:
        """One pretrained layer: Q = hidden; K, V = [context ; hidden] -> Add & Norm -> FFN -> Add & Norm.

        With a gate g (LLaMA-Adapter, arXiv 2303.16199) the two are attended to apart, and what is read from the
        context is added g times: at 0 the layer does what it did before it was given any.

        Args:
            index: which layer.
            hidden: rows of windows, (W, n, d) or packed (N, d).
            windows: how they lie.
            context: (W, m, d), more keys and values, all of them attended to.
            context_gate: (heads,), or None for one softmax over both.

        Returns:
            Rows, as `hidden`.
        """
        layer = self.model.encoder.layer[index]
        attention = layer.attention.self
        heads = attention.num_attention_heads
        gate = None if context_gate is None else context_gate.repeat_interleave(self.width // heads)
        if self.tags:
            return functional.layer(layer, hidden, windows, context=context, gate=gate)
        source = windows.join(context, hidden)
        mixed = windows.attend(
            attention.query(hidden),
            attention.key(source),
            attention.value(source),
            n_context=0 if context is None else context.shape[1],
            gate=gate,
            heads=heads,
            dropout=attention.dropout.p if self.training else 0.0,  # the module's: whoever sets its rate is obeyed
        )
        attended = layer.attention.output(mixed, hidden)
        return layer.output(functional.widen(layer.intermediate, attended), attended)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The pretrained encoder as it was: embeddings, then every layer without context.

        Args:
            ids: (W, n) wordpiece ids.
            mask: (W, n) bool, False on padding.

        Returns:
            (W, n, d).
        """
        windows = arrange(mask)
        hidden = windows.pack(self.embed(ids, mask))
        for index in range(self.n_layers):
            hidden = self.layer(index, hidden, windows)
        return windows.unpack(hidden)


def check_text_config(config: PretrainedConfig) -> None:
    """Refuse what the opened layer would compute wrongly without a word."""
    if config.model_type not in FAMILIES:
        raise BGAError(Errors.B120.format(family=config.model_type, known=", ".join(FAMILIES)))
    expected = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
    for setting, value in expected.items():
        actual = getattr(config, setting, value)
        if actual != value:
            raise BGAError(Errors.B124.format(setting=setting, actual=actual, expected=value))


def read_text_config(folder: Path) -> PretrainedConfig:
    """The config of the text encoder in a folder."""
    config = read_config(folder, families=FAMILIES, unknown=Errors.B120)
    check_text_config(config)
    return config


def read_config(folder: Path, *, families: dict[str, Any], unknown: str) -> PretrainedConfig:
    """The config in a model's folder, if the family is one of ours.

    Args:
        folder: holds `config.json`.
        families: the known families, by their `model_type`.
        unknown: the message for any other, with `{family}` and `{known}`.

    Returns:
        The config as transformers reads it.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise BGAError(Errors.B122.format(name="config.json", folder=folder))
    family = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    if family not in families:
        raise BGAError(unknown.format(family=family, known=", ".join(families)))
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load_encoder(folder: Path, config: PretrainedConfig, **settings: Any) -> PreTrainedModel:
    """The weights in a model's folder: safetensors only, no network, and none of the encoder's own missing.

    Args:
        folder: holds `*.safetensors`, of the bare encoder or of one with heads, which are left behind.
        config: decides which class is built.
        **settings: more arguments of that class.

    Returns:
        The encoder, in evaluation mode.
    """
    if not any(folder.glob("*.safetensors")):
        raise BGAError(Errors.B122.format(name="*.safetensors", folder=folder))
    with quiet_loading():
        model, report = AutoModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **settings,
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise BGAError(Errors.B123.format(folder=folder, number=len(missing), example=missing[0]))
    return model


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from warning of the pooler and heads that are left behind on purpose, and from counting."""
    logger = logging.getLogger("transformers.modeling_utils")
    counts = transformers_logging.is_progress_bar_enabled()

    def errors_only(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(errors_only)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.removeFilter(errors_only)
        if counts:
            transformers_logging.enable_progress_bar()
