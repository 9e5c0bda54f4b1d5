"""The first version of the architecture, for the configs of pipelines that were saved with it."""

from __future__ import annotations

from typing import Literal

from thinc.api import Model

from spacy_bga.aligner.config import REMOVED, refuse_removed
from spacy_bga.pipeline.architectures import FloatOrList, IntOrList, build_bga_model


def build_bga_model_v1(
    text_encoder: str,
    vision_encoder: str | None = None,
    *,
    bga_layers: IntOrList = 1,
    vision_layers: IntOrList | None = None,
    visual_grid: int | None = 4,
    max_crops: int = 0,
    crop_grid: int | None = 0,
    shared_generators: bool = True,
    generator_width: int | None = None,
    projections: bool = True,
    standardize: bool = True,
    whiten: bool = True,
    sample: bool = True,
    keep_text: FloatOrList = 0.7,
    keep_visual: FloatOrList = 0.7,
    gumbel_temperature: float = 1.0,
    distance: Literal["kl", "mse", "cosine"] = "kl",
    distance_temperature: float = 6.0,
    detach_targets: bool = True,
    recon_weight: float = 1.0,
    cycle_weight: float = 1.0,
    ratio_weight: float = 1.0,
    contrast_weight: float = 0.0,
    contrast_temperature: float = 0.07,
    text_to_visual: float = 1.0,
    visual_to_text: float = 1.0,
    real_context: float = 0.0,
    context_gate: float | None = None,
    train_vision: bool = False,
    image_size: int | None = None,
    mixed_precision: bool = False,
    dropout: float = 0.1,
    window: int = 128,
    overlap: int = 32,
    # Removed, see below.
    matching: str = "position",
    whole_words: bool = False,
    entity_weight: float = 0.0,
    contrast_memory: int = 0,
) -> Model:
    """The architecture `spacy_bga.BGAModel.v1`: as `spacy_bga.BGAModel.v2`, but that no word generates, and that words
    are split into wordpieces one at a time.

    The other settings are those of `spacy_bga.BGAModel.v2`.
    matching, whole_words, entity_weight, contrast_memory (Union[str, bool, float, int]): Removed. The configs of
        pipelines that were saved before name them, so that they are taken, but with these values alone.
    RETURNS (Model): A model without weights: the component loads the encoders when it is initialized.
    """
    given = dict(locals())
    removed = {name: given.pop(name) for name in REMOVED}
    refuse_removed(**removed)
    return build_bga_model(**given, words=False, wordpieces_of="words")
