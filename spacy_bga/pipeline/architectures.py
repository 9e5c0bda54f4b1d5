"""Registered builders of the model behind `bga_ner`. A registered name is a promise: changes get a new version."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

from thinc.api import Model

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.bridge import forward
from spacy_bga.pipeline.building import Settings
from spacy_bga.pipeline.shim import BGAShim

IntOrList = int | list[int]
FloatOrList = float | list[float]
SETTINGS = tuple(field.name for field in fields(Settings) if field.name != "options")


def build_bga_model(
    text_encoder: str,
    vision_encoder: str | None = None,
    *,
    words: bool = True,
    word_width: int = 1024,
    word_components: int = 16,
    word_weight: float = 1.0,
    word_temperature: float = 0.2,
    bga_layers: IntOrList = 0,
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
    wordpieces_of: Literal["auto", "text", "words"] = "auto",
    visual_features: str | None = None,
) -> Model:
    """The architecture `spacy_bga.BGAModel.v2`: BGA-MNER (arXiv 2308.02570), and words that generate.

    text_encoder (str): A folder, or a name on the Hugging Face hub, of an encoder of the BERT family.
    vision_encoder (Optional[str]): The same of CLIP's vision encoder, ViT or DINOv2; None tags from text alone.
    visual_features (Optional[str]): In place of a vision encoder, features that are computed already: a .safetensors
        file or a folder of them, see `spacy_bga.corpus.feature_file.FeatureFile`. `Doc._.image` then holds their keys.
    words (bool): Whether each word generates what it looks like, for the tagger to read. Nothing without a vision
        encoder or features.
    bga_layers (Union[int, List[int]]): How many last layers of the text encoder are BGA layers, or which, from 0.
        0: none; then `words` alone learn from images.
    vision_layers (Optional[Union[int, List[int]]]): Their partners in the vision encoder; None: as many last ones, and
        with `words` at least one.
    image_size (Optional[int]): Side of the images that the vision encoder sees; None: as it was pretrained.
    keep_text, keep_visual (Union[float, List[float]]): Target keep ratios, for all BGA layers or for each.

    mixed_precision (bool): Whether matrix products of the training are of bfloat16, for GPUs that are good at it;
        weights, targets and the CRF are not.
    wordpieces_of (str): What is split into wordpieces: the "text" as it is, as in pretraining, or its "words", spaCy's
        tokens, one at a time. "auto": the text, but words for WordPiece, as BERT has it, and for slow tokenizers.

    The other settings are those of `spacy_bga.aligner.config.BGAConfig`.
    RETURNS (Model): A model without weights: the component loads the encoders when it is initialized.
    """
    given = dict(locals())
    if vision_encoder is not None and visual_features is not None:
        raise BGAError(Errors.B218.format(encoder=vision_encoder, path=visual_features))
    given["words"] = words and (vision_encoder is not None or visual_features is not None)
    own = {name: given.pop(name) for name in SETTINGS}
    lists: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in own.items()}
    settings = Settings(**lists, options=given)
    return Model("bga", forward, attrs={"settings": settings}, shims=[BGAShim()])
