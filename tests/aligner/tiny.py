"""Tiny aligners and batches for the tests of the aligner: random weights, a few layers, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BertConfig,
    CLIPVisionConfig,
    Dinov2Config,
    ElectraConfig,
    PretrainedConfig,
    RobertaConfig,
    ViTConfig,
)

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.sampler import ContextSampler
from spacy_bga.aligner.visual import VisualBatch, VisualBranch
from spacy_bga.aligner.windows import TextBatch

LABELS = ("PER", "LOC")
WINDOW = 16
IMAGE_SIZE = 16  # 4 x 4 patches of 4 x 4 pixels

_TEXT: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "initializer_range": 0.3,  # large enough for a wrong layer to show
}
_VISION: dict[str, Any] = {
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": IMAGE_SIZE,
    "patch_size": 4,
    "initializer_range": 0.3,
}
_ROBERTA = {**_TEXT, "max_position_embeddings": 24, "pad_token_id": 1, "type_vocab_size": 1}
TEXT: dict[str, PretrainedConfig] = {
    "bert": BertConfig(**_TEXT, max_position_embeddings=20),
    "roberta": RobertaConfig(**_ROBERTA),
    "electra": ElectraConfig(**_TEXT, embedding_size=8, max_position_embeddings=20),
}
VISION: dict[str, PretrainedConfig] = {
    "dinov2": Dinov2Config(hidden_size=12, mlp_ratio=2, **_VISION),
    "clip": CLIPVisionConfig(hidden_size=12, intermediate_size=24, **_VISION),
    "vit": ViTConfig(hidden_size=12, intermediate_size=24, **_VISION),
    "same width": CLIPVisionConfig(hidden_size=16, intermediate_size=24, **_VISION),
}
WORDS_AND_LAYERS: dict[str, Any] = {
    "text_layers": (1, 2),
    "vision_layers": (0, 2),
    "keep_text": (0.6, 0.6),
    "keep_visual": (0.6, 0.6),
}
# Each pair of choices about how the two spaces meet is in one of them.
STRUCTURES: dict[str, dict[str, Any]] = {
    "ours": {"vision": "dinov2"},
    "ours, raw, same width": {"vision": "same width", "standardize": False},
    "plain": {"vision": "dinov2", "projections": False, "standardize": False},
    "plain, same width": {"vision": "same width", "projections": False},
}


def make_config(*, text: str = "bert", vision: str | None = "dinov2", **settings: Any) -> BGAConfig:
    """RETURNS (BGAConfig): The last two layers of both encoders are BGA layers; of one encoder, or with `words`, none.
    Visual features are standardised if they can be."""
    words = settings.get("words", False)
    layers = (1, 2) if vision is not None and not words else ()
    defaults: dict[str, Any] = {
        "text": TEXT[text].to_dict(),
        "vision": None if vision is None else VISION[vision].to_dict(),
        "labels": LABELS,
        "text_layers": layers,
        "vision_layers": (2,) if words else layers,
        "keep_text": (0.6,) * len(layers),
        "keep_visual": (0.6,) * len(layers),
        "visual_grid": 2,
        "window": WINDOW,
        "overlap": 4,
        "sampler_width": 6,
        "image_size": IMAGE_SIZE,
        "standardize": not settings.get("train_vision", False),
    }
    return BGAConfig(**{**defaults, **settings})


def make_model(*, seed: int = 0, train: bool = False, **settings: Any) -> BGAModel:
    """RETURNS (BGAModel): Random weights, also of the CRF's scores, of what reads words' features, and of what
    standardises visual ones; its samplers keep some tokens and drop some."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BGAModel.from_config(make_config(**settings))
        with torch.no_grad():
            for scores in (model.crf.transitions, model.crf.start, model.crf.end):
                scores.normal_()
            if model.reader is not None:
                model.reader.weight.normal_()
            if model.visual is not None and (standardizer := model.visual.standardizer) is not None:
                standardizer.mean.normal_()
                standardizer.std.uniform_(0.5, 2.0)
                if standardizer.whitening is not None:
                    standardizer.whitening.add_(0.1 * torch.randn_like(standardizer.whitening))
        balance_samplers(model.eval())
    return model.train(train)


def make_words(**settings: Any) -> BGAModel:
    """RETURNS (BGAModel): One whose words generate what they look like; `WORDS_AND_LAYERS` adds BGA layers."""
    model = make_model(**{"words": True, "word_width": 20, "word_components": 5, **settings})
    assert model.words is not None
    torch.manual_seed(7)
    model.words.fit(torch.randn(30, model.words.outer.out_features))
    model.words.pictured.fill_(True)
    model.words.trust.fill_(0.6)
    return model


def standardized_by_hand(branch: VisualBranch, layer: int, features: Tensor) -> Tensor:
    """RETURNS (Tensor): (I, m, d_v) features, standardised position by position."""
    standardizer, rows = branch.standardizer, []
    assert standardizer is not None
    for position in range(features.shape[1]):
        kind = standardizer.kinds[position]
        row = (features[:, position] - standardizer.mean[layer, position]) / standardizer.std[layer, kind]
        rows.append(row if standardizer.whitening is None else row @ standardizer.whitening[layer, kind])
    return torch.stack(rows, dim=1)


def balance_samplers(model: BGAModel) -> None:
    """Make each sampler's arg max keep about half: as they start, the more likely choice is every token's.

    model (BGAModel): Changed in place, so that it does so for `make_text()` and `make_images(model)`.
    """

    def balance(module: Any, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
        module.local_mlp[0].weight.mul_(4)
        scores = module.logits(*inputs)[:, 1:][inputs[1][:, 1:]]
        if len(scores):  # else there is [CLS] alone
            module.output[2].bias[1] -= torch.quantile(scores[:, 1] - scores[:, 0], 0.45)

    samplers = [module for module in model.modules() if isinstance(module, ContextSampler)]
    handles = [sampler.register_forward_pre_hook(balance) for sampler in samplers]
    with torch.no_grad():
        model.encode(make_text(), images=make_images(model) if model.visual is not None else None)
    for handle in handles:
        handle.remove()


def make_text(lengths: Sequence[int] = (5, 2, 4), *, seed: int = 0, width: int | None = None) -> TextBatch:
    """RETURNS (TextBatch): Documents of as many tokens, each a wordpiece and each document one window."""
    random = torch.Generator().manual_seed(seed)
    documents = [torch.randint(5, 50, (length,), generator=random) for length in lengths]
    return lay_out(documents, width=width)


def lay_out(documents: Sequence[Tensor], *, width: int | None = None, rows: Sequence[int] | None = None) -> TextBatch:
    """One window for each document.

    documents (Sequence[Tensor]): Wordpiece ids of each. width (Optional[int]): Of the windows.
    rows (Optional[Sequence[int]]): The documents whose windows to lay out; all if None.
    RETURNS (TextBatch): Each wordpiece is a token.
    """
    lengths = [len(document) for document in documents]
    rows = range(len(documents)) if rows is None else rows
    width = width or max((lengths[row] for row in rows), default=0) + 2
    ids = torch.ones(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    places, tokens = [torch.zeros(0, dtype=torch.long)], [torch.zeros(0, dtype=torch.long)]
    for window, row in enumerate(rows):
        length = lengths[row]
        ids[window, : length + 2] = torch.cat([torch.tensor([2]), documents[row], torch.tensor([3])])
        mask[window, : length + 2] = True
        places.append(torch.arange(1, length + 1) + window * width)
        tokens.append(torch.arange(length) + sum(lengths[:row]))
    return TextBatch(ids, mask, torch.cat(places), torch.cat(tokens), tuple(lengths))


def long_text() -> TextBatch:
    """RETURNS (TextBatch): A document of 9 tokens in two windows: the third has two wordpieces in one window, the sixth
    one in each, and the last has none. A document of one token in a third window."""
    ids = torch.randint(5, 50, (3, 8), generator=torch.Generator().manual_seed(3))
    mask = torch.ones(3, 8, dtype=torch.bool)
    mask[2, 3:] = False
    places = torch.tensor([1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 17])
    tokens = torch.tensor([0, 1, 2, 2, 3, 5, 5, 6, 7, 4, 9])
    return TextBatch(ids, mask, places, tokens, (9, 1))


def make_pixels(number: int, *, seed: int = 1) -> Tensor:
    """RETURNS (Tensor): (number, 3, S, S)."""
    return torch.randn(number, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(seed))


def make_images(
    model: BGAModel, rows: Sequence[int] = (0, 2), *, crops: Sequence[int] | None = None, as_pixels: bool | None = None
) -> VisualBatch:
    """The images of some windows, laid out as the pipeline does.

    rows (Sequence[int]): The windows with an image. crops (Optional[Sequence[int]]): How many crops each has; none.
    as_pixels (Optional[bool]): Whether they come as pixels; by default if the vision encoder learns.
    RETURNS (VisualBatch): In the type of the model's weights.
    """
    assert model.visual is not None
    branch = model.visual
    crops = crops or [0] * len(rows)
    dtype = model.head.weight.dtype
    places = [(example, slot) for example, extra in enumerate(crops) for slot in range(1 + extra)]
    pixels = make_pixels(len(places)).to(dtype)
    examples, slots = torch.tensor(places).T
    if as_pixels if as_pixels is not None else model.config.train_vision:
        return VisualBatch(torch.tensor(rows), pixels=pixels, examples=examples, slots=slots)
    features = torch.zeros(
        len(model.config.vision_layers), len(rows), branch.n_tokens, branch.encoder.width, dtype=dtype
    )
    valid = torch.zeros(len(rows), branch.n_tokens, dtype=torch.bool)
    for number, (example, slot) in enumerate(places):
        tokens = branch.frozen_features(pixels[number : number + 1], crop=slot > 0)[0]  # (N, m, d_v)
        start = branch.n_image_tokens + (slot - 1) * branch.n_crop_tokens if slot else 0
        features[:, example, start : start + tokens.shape[1]] = tokens
        valid[example, start : start + tokens.shape[1]] = True
    return VisualBatch(torch.tensor(rows), features=features, valid=valid)


def make_allowed(model: BGAModel, text: TextBatch, *, annotated: Sequence[int] | None = None, seed: int = 2) -> Tensor:
    """RETURNS (Tensor): (B, t, L) one tag per token, `O` or a `B-`, in annotated documents (default: all), else any."""
    shape = (len(text.lengths), max(text.lengths, default=0))
    random = torch.Generator().manual_seed(seed)
    tags = torch.tensor([0, 1, 3])[torch.randint(0, 3, shape, generator=random)]
    allowed = torch.nn.functional.one_hot(tags, len(model.crf.tags)).bool()
    for document in range(len(text.lengths)):
        if annotated is not None and document not in annotated:
            allowed[document] = True
    return allowed


def gradients(module: torch.nn.Module) -> dict[str, Tensor | None]:
    """RETURNS (dict[str, Optional[Tensor]]): The gradient of each parameter that could have one."""
    return {name: p.grad for name, p in module.named_parameters() if p.requires_grad}


def has_gradient(tensor: Tensor | None) -> bool:
    """Whether there is a gradient that isn't zero; fails if it isn't finite."""
    if tensor is None:
        return False
    assert tensor.isfinite().all()
    return bool(tensor.abs().sum() > 0)
