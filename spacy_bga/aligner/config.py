"""The settings of an aligner: both encoders' configurations and every choice of the method."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spacy_bga.aligner.given import is_given
from spacy_bga.aligner.ranges import check_ranges
from spacy_bga.errors import BGAError, Errors

Distance = Literal["kl", "mse", "cosine"]
DISTANCES = ("kl", "mse", "cosine")
Unit = Literal["text", "words"]
UNITS = ("text", "words")
REMOVED = {"matching": "position", "whole_words": False, "entity_weight": 0.0, "contrast_memory": 0}
"""Settings that are gone, as none of them has won an ablation, with the values at which they changed nothing."""


@dataclass(frozen=True)
class BGAConfig:
    """Everything that rebuilds an aligner without its original encoders' folders.

    text (dict): The text encoder's Hugging Face configuration.
    vision (Optional[dict]): The vision encoder's, or what stands for given features (`GivenFeatures.to_config`); None
        for a text-only tagger.
    labels (tuple[str, ...]): Entity labels; the tags are their BIO tags.
    text_layers (tuple[int, ...]): Which layers of the text encoder are BGA layers, ascending; none is possible.
    vision_layers (tuple[int, ...]): Their partners in the vision encoder; as many. Words are compared with the patches
        that enter the last one, so that there is one with `words` and no BGA layer. Empty: text only.
    words (bool): Whether each word generates what it looks like, from its wordpiece embeddings alone, which are frozen
        for that; the tagger reads it (ours). See `WordGenerator`.
    word_width (int): Width of the word generator's hidden layer.
    word_components (int): How many principal components of what words look like the tagger reads.
    mask_id (int): The wordpiece that stands for a hidden word: the vocabulary's mask.
    word_weight (float): Weight of the objective's term that matches words with patches, and
    word_temperature (float): its temperature.
    visual_grid (Optional[int]): The patch grid is pooled to `grid x grid` tokens, beside [CLS]. 0: [CLS] alone;
        None: every patch.
    max_crops (int): Object crops of an image that are used, beyond the whole image.
    crop_grid (Optional[int]): The patch grid of a crop, as `visual_grid`.
    window (int): Wordpieces of one window, special tokens included.
    overlap (int): Wordpieces that neighbouring windows of a long document share.
    wordpieces_of (str): What is split into wordpieces: the "text" as it is, or its "words", one at a time.
    shared_generators (bool): One pair of generators for all BGA layers, or one pair per layer.
    projections (bool): Whether each BGA layer maps what is generated to the visual features' space, and visual features
        to the text's, by affine layers of its own (ours). Without, that happens only where the widths differ.
    standardize (bool): Whether visual features are centred by their layer and position and scaled by their
        layer and channel, so that a feature says how an image differs from the mean one (ours).
    whiten (bool): Whether standardised features are decorrelated, too (ours). Nothing without `standardize`.
    generator_heads (Optional[int]): Attention heads of a generator; None: as the text encoder has.
    generator_width (Optional[int]): Width of a generator's feed-forward layer; None: as the text encoder has.
    sample (bool): Whether context samplers choose what is generated from; without, everything is kept.
    sampler_width (int): Width of a sampler's hidden layers.
    gumbel_temperature (float): Temperature of the straight-through Gumbel softmax.
    keep_text, keep_visual (tuple[float, ...]): Target keep ratio of each BGA layer.
    distance (str): "kl", "mse" or "cosine".
    distance_temperature (float): Temperature of the softmax over features of "kl".
    recon_weight, cycle_weight, ratio_weight, contrast_weight (float): Weights of the objective's terms. The last one
        is ours: generated features should be more alike to those of their own image than to those of others.
    contrast_temperature (float): Temperature of the contrast.
    text_to_visual, visual_to_text (float): Weights of the two directions within recon and cycle.
    detach_targets (bool): Whether the targets of a distance get no gradient.
    real_context (float): How often a text of the training attends to the features of its real image, if it has one,
        in place of those that it generates.
    context_gate (Optional[float]): Start of a learned gate on what is read from generated features, one for each head
        of each BGA layer (ours, after LLaMA-Adapter, arXiv 2303.16199). At 0 training begins with what the pretrained
        encoder does. None: one softmax over generated features and text, as in the paper.
    train_vision (bool): Whether the vision encoder learns, its layers attending to generated text.
    dropout (float): Dropout before the tagger's linear layer and within the generators, for those who train the
        aligner by themselves. The component sets every rate of the text side to spaCy's `training.dropout`.
    image_size (int): Side of the square image that the vision encoder sees, in pixels.
    image_mean, image_std (tuple[float, ...]): Its normalisation.
    visual_branch (bool): Whether the visual branch is there. It is not needed to tag.
    """

    text: dict[str, Any]
    vision: dict[str, Any] | None = None
    labels: tuple[str, ...] = ()
    text_layers: tuple[int, ...] = ()
    vision_layers: tuple[int, ...] = ()
    words: bool = False
    word_width: int = 1024
    word_components: int = 16
    mask_id: int = 0
    word_weight: float = 1.0
    word_temperature: float = 0.2
    visual_grid: int | None = 4
    max_crops: int = 0
    crop_grid: int | None = 0
    window: int = 128
    overlap: int = 32
    wordpieces_of: Unit = "words"  # as in whatever was saved before there was a choice
    shared_generators: bool = True
    projections: bool = True
    standardize: bool = True
    whiten: bool = True
    generator_heads: int | None = None
    generator_width: int | None = None
    sample: bool = True
    sampler_width: int = 64
    gumbel_temperature: float = 1.0
    keep_text: tuple[float, ...] = ()
    keep_visual: tuple[float, ...] = ()
    distance: Distance = "kl"
    distance_temperature: float = 6.0
    recon_weight: float = 1.0
    cycle_weight: float = 1.0
    ratio_weight: float = 1.0
    contrast_weight: float = 0.0
    contrast_temperature: float = 0.07
    text_to_visual: float = 1.0
    visual_to_text: float = 1.0
    detach_targets: bool = True
    real_context: float = 0.0
    context_gate: float | None = None
    train_vision: bool = False
    dropout: float = 0.1
    image_size: int = 224
    image_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    image_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    visual_branch: bool = True
    n_visual_tokens: int = field(default=0)

    def __post_init__(self) -> None:
        for name in ("labels", "text_layers", "vision_layers", "keep_text", "keep_visual", "image_mean", "image_std"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        check_ranges(vars(self))
        if self.distance not in DISTANCES:
            raise BGAError(Errors.B101.format(distance=self.distance, known=", ".join(DISTANCES)))
        if self.wordpieces_of not in UNITS:
            raise BGAError(Errors.B212.format(name="wordpieces_of", value=self.wordpieces_of, known=", ".join(UNITS)))
        words_alone = self.words and not self.text_layers and len(self.vision_layers) == 1
        if len(self.text_layers) != len(self.vision_layers) and not words_alone:
            raise BGAError(Errors.B102.format(text=list(self.text_layers), vision=list(self.vision_layers)))
        for name in ("keep_text", "keep_visual"):
            ratios = getattr(self, name)
            if len(ratios) != self.n_bga_layers or any(not 0 < ratio <= 1 for ratio in ratios):
                raise BGAError(Errors.B103.format(name=name, ratios=list(ratios), layers=self.n_bga_layers))
        if self.words and (self.vision is None or not self.vision_layers or self.visual_grid == 0):
            raise BGAError(Errors.B132)
        if self.real_context and not self.text_layers:
            raise BGAError(Errors.B133)
        if self.train_vision and is_given(self.vision):
            raise BGAError(Errors.B134)
        if self.standardize and self.train_vision:
            raise BGAError(Errors.B114)
        if self.window < 8 or not 0 <= self.overlap <= (self.window - 2) // 2:
            raise BGAError(Errors.B104.format(window=self.window, overlap=self.overlap))

    @property
    def n_bga_layers(self) -> int:
        return len(self.text_layers)

    @property
    def sees(self) -> bool:
        """Whether there is anything to learn from images."""
        return bool(self.vision_layers)

    @property
    def vision_width(self) -> int:
        """Width of what is generated: that of visual features, or without a vision encoder the text's."""
        return (self.text if self.vision is None else self.vision)["hidden_size"]

    def replace(self, **changes: Any) -> BGAConfig:
        """RETURNS (BGAConfig): A copy with some settings changed."""
        return dataclasses.replace(self, **changes)

    def to_json(self) -> str:
        return json.dumps({"model_type": "bga", **dataclasses.asdict(self)}, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BGAConfig:
        """Read what `to_json` wrote. Raises a BGAError if it is not that."""
        try:
            data = json.loads(text)
            # The others matter to training only, this one to what is computed.
            refuse_removed(whole_words=data.get("whole_words", False))
            known = {f.name for f in dataclasses.fields(cls)}
            return cls(**{key: value for key, value in data.items() if key in known})
        except (TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
            raise BGAError(Errors.B105.format(error=error)) from error


def refuse_removed(**settings: Any) -> None:
    """Check that settings that were removed change nothing: pipelines that were saved before name them, too.

    settings (Any): Those of `REMOVED`, or some of them. Raises a BGAError if one has another value than there.
    """
    for name, value in settings.items():
        if value != REMOVED[name]:
            raise BGAError(Errors.B131.format(name=name, value=repr(value)[:80]))


def choose_layers(layers: int | Sequence[int], n_layers: int, *, name: str) -> tuple[int, ...]:
    """Which layers of an encoder are BGA layers.

    layers (int | Sequence[int]): The number of last layers, or the layers' own numbers, from 0.
    n_layers (int): How many layers the encoder has.
    name (str): The setting's name, for the error message.
    RETURNS (tuple[int, ...]): The layers' numbers, ascending.
    """
    if isinstance(layers, int):
        fits, chosen = 0 <= layers <= n_layers, list(range(max(n_layers - layers, 0), n_layers))
    else:
        fits, chosen = all(0 <= layer < n_layers for layer in layers), sorted(set(layers))
    if not fits:
        raise BGAError(Errors.B106.format(name=name, layers=str(layers)[:80], n_layers=n_layers))
    return tuple(chosen)
