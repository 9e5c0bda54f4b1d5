"""What a config says of its `bga_ner` component, read without loading an encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy import util
from spacy.language import Language
from thinc.api import Config

from spacy_bga.diagnostics.coverage import Windowing
from spacy_bga.errors import BGAError, Errors

FACTORY = "bga_ner"
# The architecture's own defaults.
WINDOW, OVERLAP = 128, 32


def bga_component(config: Mapping[str, Any]) -> str | None:
    """RETURNS (str | None): The name of the first component of the pipeline made by our factory."""
    components = config.get("components") or {}
    names = [*(config.get("nlp") or {}).get("pipeline", ()), *components]
    return next((name for name in names if components.get(name, {}).get("factory") == FACTORY), None)


def configured_labels(config: Mapping[str, Any]) -> Sequence[str] | None:
    """RETURNS (Sequence[str] | None): The labels that [initialize] gives the component; None: those of the data."""
    initialize = (config.get("initialize") or {}).get("components") or {}
    labels = initialize.get(bga_component(config) or "", {}).get("labels")
    return labels if isinstance(labels, list | tuple) else None  # `spacy init labels` has a reader for a file


def only_aligns(config: Mapping[str, Any]) -> bool:
    """RETURNS (bool): Whether the component is content with images and no label at all."""
    component = (config.get("components") or {}).get(bga_component(config) or "") or {}
    return component.get("score_alignment") is True


def image_roots(config: Mapping[str, Any]) -> list[Path]:
    """RETURNS (list[Path]): Where the readers and the component look for images."""
    found: list[Path] = []

    def walk(block: Any) -> None:
        if isinstance(block, Mapping):
            found.extend(Path(block[key]) for key in ("images", "image_root") if isinstance(block.get(key), str | Path))
            for child in block.values():
                walk(child)

    walk(config.get("corpora"))
    walk((config.get("components") or {}).get(bga_component(config) or ""))
    return list(dict.fromkeys(found))


def given_features(config: Mapping[str, Any]) -> Path | None:
    """RETURNS (Path | None): The features that the component is given in the place of images."""
    component = (config.get("components") or {}).get(bga_component(config) or "") or {}
    path = (component.get("model") or {}).get("visual_features")
    return Path(path) if isinstance(path, str | Path) else None


def make_tokenizer(config: Config) -> Language:
    """Make the pipeline of a config without its components.

    config (Config): The interpolated config.
    RETURNS (Language): It has nothing but the tokenizer.
    RAISES (BGAError): The tokenizer can't be made.
    """
    nlp = dict(config.get("nlp") or {})
    bare = {"nlp": nlp | {"pipeline": [], "disabled": [], "after_pipeline_creation": None}, "components": {}}
    try:
        return util.load_model_from_config(Config(bare), auto_fill=True)
    except Exception as error:  # code of somebody else, and a language that needs a package
        raise BGAError(Errors.B361.format(error=error)) from error


def windowing(config: Mapping[str, Any]) -> Windowing:
    """Find out how the component cuts documents, from its encoder's tokenizer, if this machine has that.

    config (Mapping[str, Any]): The interpolated config.
    RETURNS (Windowing): Its tokenizer, or the reason why there is none.
    """
    name = bga_component(config)
    if name is None:
        return Windowing(reason=f"the config has no component of the factory {FACTORY}")
    settings = config["components"][name].get("model", {})
    encoder = settings.get("text_encoder")
    if encoder is None:
        return Windowing(reason=f"[components.{name}.model] names no text encoder")
    from spacy_bga.pipeline.encoders import LOCAL_PLACES, look_in
    from spacy_bga.pipeline.wordpieces import WordpieceTokenizer

    found, _ = look_in(LOCAL_PLACES, encoder)
    if found is None:
        return Windowing(reason=f"the encoder is not here; fetch it with: python -m spacy_bga encoders {encoder}")
    limit = json.loads((found.path / "config.json").read_text(encoding="utf8")).get("max_position_embeddings", WINDOW)
    window = min(settings.get("window", WINDOW), limit)
    overlap = min(settings.get("overlap", OVERLAP), (window - 2) // 2)
    first_version = settings.get("@architectures") == "spacy_bga.BGAModel.v1"
    unit: Any = "words" if first_version else settings.get("wordpieces_of", "auto")
    return Windowing(WordpieceTokenizer.from_folder(found.path, window=window, overlap=overlap, of=unit))
