"""Registered builders of the model behind `bga_ner`. A registered name is a promise: changes get a new version."""

from __future__ import annotations

from typing import Literal

from thinc.api import Model

from spacy_bga.aligner.config import refuse_removed
from spacy_bga.pipeline.bridge import Settings, forward
from spacy_bga.pipeline.shim import BGAShim

IntOrList = int | list[int]
FloatOrList = float | list[float]


def build_bga_model(
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
    """The architecture `spacy_bga.BGAModel.v1`: BGA-MNER (arXiv 2308.02570).

    text_encoder (str): A folder, or a name on the Hugging Face hub, of an encoder of the BERT family.
    vision_encoder (Optional[str]): The same of CLIP's vision encoder, ViT or DINOv2; None tags from text alone.
    bga_layers (Union[int, List[int]]): How many last layers of the text encoder are BGA layers, or which, from 0.
        0 tags from text alone.
    vision_layers (Optional[Union[int, List[int]]]): Their partners in the vision encoder; None: as many last ones.
    image_size (Optional[int]): Side of the images that the vision encoder sees; None: as it was pretrained.
    keep_text, keep_visual (Union[float, List[float]]): Target keep ratios, for all BGA layers or for each.

    mixed_precision (bool): Whether matrix products of the training are of bfloat16, for GPUs that are good at it;
        weights, targets and the CRF are not.
    matching, whole_words, entity_weight, contrast_memory (Union[str, bool, float, int]): Removed. The configs of
        pipelines that were saved before name them, so that they are taken, but with these values alone.

    The other settings are those of `spacy_bga.aligner.config.BGAConfig`.
    RETURNS (Model): A model without weights: the component loads the encoders when it is initialized.
    """
    refuse_removed(
        matching=matching, whole_words=whole_words, entity_weight=entity_weight, contrast_memory=contrast_memory
    )
    settings = Settings(
        text_encoder=text_encoder,
        vision_encoder=vision_encoder,
        bga_layers=bga_layers if isinstance(bga_layers, int) else tuple(bga_layers),
        vision_layers=tuple(vision_layers) if isinstance(vision_layers, list) else vision_layers,
        keep_text=tuple(keep_text) if isinstance(keep_text, list) else keep_text,
        keep_visual=tuple(keep_visual) if isinstance(keep_visual, list) else keep_visual,
        image_size=image_size,
        mixed_precision=mixed_precision,
        window=window,
        overlap=overlap,
        options={
            "visual_grid": visual_grid,
            "max_crops": max_crops,
            "crop_grid": crop_grid,
            "shared_generators": shared_generators,
            "generator_width": generator_width,
            "projections": projections,
            "standardize": standardize,
            "whiten": whiten,
            "sample": sample,
            "gumbel_temperature": gumbel_temperature,
            "distance": distance,
            "distance_temperature": distance_temperature,
            "detach_targets": detach_targets,
            "recon_weight": recon_weight,
            "cycle_weight": cycle_weight,
            "ratio_weight": ratio_weight,
            "contrast_weight": contrast_weight,
            "contrast_temperature": contrast_temperature,
            "text_to_visual": text_to_visual,
            "visual_to_text": visual_to_text,
            "real_context": real_context,
            "context_gate": context_gate,
            "train_vision": train_vision,
            "dropout": dropout,
        },
    )
    return Model("bga", forward, attrs={"settings": settings}, shims=[BGAShim()])
