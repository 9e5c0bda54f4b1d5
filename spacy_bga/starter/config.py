"""A config of one's own: one of the shipped ones with other data, encoders or labels, filled and commented."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.tokens import DocBin
from spacy.util import CONFIG_SECTION_ORDER, load_config, load_model_from_config

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.pipeline.bga_ner import DEFAULT_CONFIG
from spacy_bga.starter.config_text import arrange_sections, read_comments, write_comments
from spacy_bga.starter.schedule import Schedule, fit_schedule
from spacy_bga.starter.template import template_folder

BASES = ("starter", "text_only", "align", "paper")
MODEL = "components.bga_ner.model"
HEAD = """# Made by `python -m spacy_bga init-config` from {base}.cfg. Train with:
# python -m spacy train THIS_FILE --output training{gpu}
# What the settings of the model mean is told in spacy_bga.aligner.config.

"""
COMMENTS = {
    "paths.log": ["# Where the rows of the training log go, for `python -m spacy_bga curves`."],
    "training.logger.progress_bar": ["# On a terminal: steps, speed and time left."],
    "training.logger.output_file": [],
    "initialize.components.bga_ner.labels": ["# What is not among these counts as not annotated."],
}


@dataclass(frozen=True)
class Choices:
    """What a config is made for. None leaves what the base has.

    base (str): One of `BASES`: the shipped config to begin with.
    lang (str): The language whose tokenizer to use.
    text_encoder, vision_encoder (str | None): Folders, or names on the Hugging Face Hub.
    visual_features (Path | None): Given features, in the place of a vision encoder.
    labels (Sequence[str] | None): The entity labels; None: those of the training data.
    gpu (bool | None): Whether training is on a GPU.
    paths (Mapping[str, Path]): Of [paths]: "train", "dev", "images", "pairs", "pair_images", "features" or "aligner".
    """

    base: str = "starter"
    lang: str = "en"
    text_encoder: str | None = None
    vision_encoder: str | None = None
    visual_features: Path | None = None
    labels: Sequence[str] | None = None
    gpu: bool | None = None
    paths: Mapping[str, Path] = field(default_factory=dict)


def make_config(choices: Choices) -> str:
    """Make a config that `spacy train` takes as it is.

    choices (Choices): What it is for. If there is a path "train", its texts are counted, and the schedule fits them.
    RETURNS (str): The config's text.
    RAISES (BGAError): A choice that the base can't take, an encoder of no known family, or data that isn't there.
    """
    if choices.base not in BASES:
        raise BGAError(Errors.B635.format(base=choices.base, known=", ".join(BASES)))
    path = template_folder() / "configs" / f"{choices.base}.cfg"
    config = load_config(path, interpolate=False)
    _check_language(choices, config["components"]["bga_ner"]["model"])
    settings = {"nlp.lang": choices.lang, **_paths(choices, config), **_encoders(choices, config)}
    if choices.labels is not None:
        settings["initialize.components.bga_ner.labels"] = list(choices.labels)
    if choices.gpu is not None:
        settings["system.gpu_allocator"] = "pytorch" if choices.gpu else None
    comments = {
        **read_comments(DEFAULT_CONFIG, below="components"),
        **read_comments(path.read_text(encoding="utf8")),
        **COMMENTS,
    }
    if "train" in choices.paths:
        schedule, told = _schedule(choices, config)
        settings |= told
        comments["training.max_steps"] = [f"# {_describe(schedule, choices)}"]
    for name, value in settings.items():
        _set(config, name, value)
    del config["nlp"]["tokenizer"]  # the language has its own
    try:
        filled = load_model_from_config(config, auto_fill=True).config
    except ImportError as error:
        raise BGAError(Errors.B636.format(lang=choices.lang, error=error)) from error
    text = arrange_sections(filled.to_str(interpolate=False), CONFIG_SECTION_ORDER)
    return HEAD.format(base=choices.base, gpu=" --gpu-id 0" if choices.gpu else "") + write_comments(text, comments)


def _check_language(choices: Choices, model: dict[str, Any]) -> None:
    if choices.lang != "en" and choices.text_encoder is None:
        message = Warnings.W631.format(encoder=model["text_encoder"], lang=choices.lang)
        warnings.warn(message, stacklevel=3)


def _paths(choices: Choices, config: dict[str, Any]) -> dict[str, Any]:
    """RETURNS (dict): The settings of [paths], and the logger's, which writes to one of them."""
    settings: dict[str, Any] = {"paths.log": "training/log.jsonl", "training.logger.output_file": "${paths.log}"}
    settings["training.logger.progress_bar"] = "train"
    for name, path in choices.paths.items():
        if name not in config["paths"]:
            raise BGAError(Errors.B637.format(base=choices.base, name=name, known=", ".join(config["paths"])))
        settings[f"paths.{name}"] = path.as_posix()
    return settings


def _encoders(choices: Choices, config: dict[str, Any]) -> dict[str, Any]:
    model = config["components"]["bga_ner"]["model"]
    settings: dict[str, Any] = {}
    if choices.visual_features is not None:
        if model["vision_encoder"] is None:
            raise BGAError(Errors.B638.format(base=choices.base))
        if choices.vision_encoder is not None:
            raise BGAError(Errors.B218.format(encoder=choices.vision_encoder, path=choices.visual_features))
        settings |= {f"{MODEL}.vision_encoder": None, f"{MODEL}.train_vision": False}
        settings[f"{MODEL}.visual_features"] = choices.visual_features.as_posix()
    for kind in ("text_encoder", "vision_encoder"):
        name = getattr(choices, kind)
        if name is None:
            continue
        if model[kind] is None:
            raise BGAError(Errors.B638.format(base=choices.base))
        check_encoder(name, vision=kind == "vision_encoder")
        settings[f"{MODEL}.{kind}"] = name
    return settings


def check_encoder(name: str, *, vision: bool) -> None:
    """Check that an encoder is of a family that can be opened layer by layer, from its config.json alone.

    name (str): A folder, or a name on the Hub. vision (bool): Whether it is a vision encoder.
    RAISES (BGAError): It is of another family, or there is no such encoder. If it isn't on this machine and the Hub
        can't be asked, there is a warning.
    """
    from spacy_bga.aligner import text_encoder, vision_encoder
    from spacy_bga.pipeline.encoders import find_config

    folder = find_config(name)
    if folder is None:
        warnings.warn(Warnings.W632.format(name=name), stacklevel=2)
    elif vision:
        vision_encoder.read_vision_config(folder)
    else:
        text_encoder.read_text_config(folder)


def _schedule(choices: Choices, config: dict[str, Any]) -> tuple[Schedule, dict[str, Any]]:
    training, paths = config["training"], choices.paths
    mixed = "pairs" in config["paths"]
    pairs = count_texts(paths["pairs"]) if "pairs" in paths else 0
    batch = training["batcher"]["size"]
    if mixed and not pairs:
        batch //= 2  # the other half of a batch is pairs
    epochs = round(training["max_steps"] / training["eval_frequency"])
    schedule = fit_schedule(count_texts(paths["train"]), pairs=pairs, batch=batch, epochs=epochs)
    return schedule, {
        "training.batcher.size": batch,
        "training.max_steps": schedule.max_steps,
        "training.eval_frequency": schedule.eval_frequency,
        "training.optimizer.learn_rate.total_steps": schedule.max_steps,
        "training.optimizer.learn_rate.warmup_steps": schedule.warmup_steps,
    }


def _describe(schedule: Schedule, choices: Choices) -> str:
    paths = choices.paths
    beside = f" beside pairs of {paths['pairs'].as_posix()}" if "pairs" in paths else ""
    return f"{schedule.epochs} epochs of the texts of {paths['train'].as_posix()}{beside}."


def count_texts(path: Path) -> int:
    """RETURNS (int): How many documents a .spacy file, or a folder of them, holds."""
    files = [path] if path.is_file() else sorted(path.rglob("*.spacy"))
    if not files:
        raise BGAError(Errors.B341.format(path=path))
    return sum(map(_count_docs, files))


def _count_docs(file: Path) -> int:
    try:
        return len(DocBin().from_disk(file))
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise BGAError(Errors.B640.format(path=file, error=error)) from error


def _set(config: dict[str, Any], name: str, value: Any) -> None:
    *sections, key = name.split(".")
    for section in sections:
        config = config.setdefault(section, {})
    config[key] = value
