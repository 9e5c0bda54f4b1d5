"""The registered architectures: what their settings turn into."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from spacy import registry
from transformers import AutoTokenizer

from spacy_bga.aligner.config import REMOVED, BGAConfig
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.architectures import build_bga_model
from spacy_bga.pipeline.architectures_v1 import build_bga_model_v1
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.building import Settings, build_aligner
from tests.pipeline.conftest import architecture

V2 = {"@architectures": "spacy_bga.BGAModel.v2"}


def settings_of(text: Path, vision: Path | None, **changes: object) -> Settings:
    options = architecture(text, vision, **changes)
    return registry.architectures.get(options.pop("@architectures"))(**options).attrs["settings"]


def test_are_registered():
    assert registry.architectures.get("spacy_bga.BGAModel.v1") is build_bga_model_v1
    assert registry.architectures.get("spacy_bga.BGAModel.v2") is build_bga_model


def test_the_first_version_is_the_second_without_words(text_encoder_folder: Path, vision_encoder_folder: Path):
    """With the same settings and defaults, but for the number of BGA layers, what was removed, and wordpieces of words,
    which is what suits BERT in both."""
    first, second = (inspect.signature(build).parameters for build in (build_bga_model_v1, build_bga_model))
    added = {name for name in second if name == "visual_features" or name.startswith("word")}
    assert first.keys() - REMOVED.keys() == second.keys() - added
    other = {name for name in first.keys() & second.keys() if first[name].default != second[name].default}
    assert other == {"bga_layers"}
    encoders = text_encoder_folder, vision_encoder_folder
    assert settings_of(*encoders) == settings_of(*encoders, **V2, words=False, wordpieces_of="words")


@pytest.mark.parametrize(
    ("given", "layers", "partners"),
    [
        ({"bga_layers": 0}, (), (2,)),
        ({"bga_layers": 0, "vision_layers": [1]}, (), (1,)),
        ({"bga_layers": 2}, (1, 2), (1, 2)),
        ({"bga_layers": [0], "vision_layers": [1]}, (0,), (1,)),
    ],
)
def test_layers_of_words(text_encoder_folder: Path, vision_encoder_folder: Path, given, layers, partners):
    """Words alone are matched with what enters the last layer of the vision encoder."""
    settings = settings_of(text_encoder_folder, vision_encoder_folder, **V2, word_width=30, word_components=5, **given)
    aligner, _ = build_aligner(settings, ["A"])
    config = aligner.config
    assert config.words
    assert (config.text_layers, config.vision_layers) == (layers, partners)
    assert (config.word_width, config.word_components) == (30, 5)
    assert config.mask_id == AutoTokenizer.from_pretrained(text_encoder_folder).mask_token_id


def test_text_alone_has_no_words(text_encoder_folder: Path):
    aligner, _ = build_aligner(settings_of(text_encoder_folder, None, **V2), ["A"])
    assert not aligner.config.words
    assert aligner.words is aligner.reader is None


def test_reads_nothing_until_it_is_initialized():
    model = build_bga_model("no/such/encoder", "none/either")
    assert get_shim(model)._model is None
    with pytest.raises(BGAError, match="B201"):
        _ = get_shim(model).aligner
    with pytest.raises(BGAError, match="B201"):
        _ = get_shim(model).wordpieces


def test_every_option_is_a_setting_of_the_aligner(text_encoder_folder: Path, vision_encoder_folder: Path):
    given = {
        "distance": "mse",
        "detach_targets": False,
        "gumbel_temperature": 0.5,
        "recon_weight": 0.25,
        "dropout": 0.3,
    }
    aligner, tokenizer = build_aligner(settings_of(text_encoder_folder, vision_encoder_folder, **given), ["A", "B"])
    config: BGAConfig = aligner.config
    assert {name: getattr(config, name) for name in given} == given
    assert (config.labels, config.text_layers, config.vision_layers) == (("A", "B"), (1, 2), (1, 2))
    assert (config.keep_text, config.keep_visual) == ((0.7, 0.7), (0.7, 0.7))
    assert (config.image_size, config.window, tokenizer.window, tokenizer.overlap) == (32, 32, 32, 8)


def test_removed_settings_are_taken_with_their_defaults(text_encoder_folder: Path, vision_encoder_folder: Path):
    """The configs of pipelines that were saved before name all four."""
    whole = architecture(text_encoder_folder, vision_encoder_folder, **REMOVED)
    model = registry.resolve({"model": whole})["model"]
    assert model.attrs["settings"] == settings_of(text_encoder_folder, vision_encoder_folder)
    assert not REMOVED.keys() & model.attrs["settings"].options.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [("matching", "set"), ("whole_words", True), ("entity_weight", 3.0), ("contrast_memory", 2048)],
)
def test_removed_settings_are_refused_with_other_values(text_encoder_folder: Path, name: str, value: object):
    with pytest.raises(BGAError, match=rf"\[B131\] `{name}` = {value!r}.*Remove the line.*install spacy_bga 0\.1\.0"):
        registry.resolve({"model": architecture(text_encoder_folder, None, **REMOVED | {name: value})})


def test_a_window_fits_the_encoder(text_encoder_folder: Path):
    aligner, tokenizer = build_aligner(settings_of(text_encoder_folder, None, window=500), ["A"])
    assert aligner.config.window == tokenizer.window == 64  # the tiny encoder's positions


@pytest.mark.parametrize("layers", [0, []])
def test_no_bga_layers_no_vision_encoder(text_encoder_folder: Path, layers):
    aligner, _ = build_aligner(settings_of(text_encoder_folder, Path("no/such/encoder"), bga_layers=layers), ["A"])
    assert aligner.visual is None
    assert aligner.config.n_bga_layers == 0
    assert len(aligner.generators) == 0


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"distance": "far"}, "B101"),
        ({"bga_layers": 2, "vision_layers": [1]}, "B102"),
        ({"keep_text": [0.5]}, "B103"),
        ({"keep_visual": 1.5}, "B103"),
        ({"overlap": 31}, "B104"),
        ({"bga_layers": 4}, "B106"),
        ({"bga_layers": [3]}, "B106"),
        ({**V2, "bga_layers": 0, "visual_grid": 0}, "B132"),
        ({**V2, "bga_layers": 0, "vision_layers": 0}, "B132"),
        ({**V2, "bga_layers": 0, "real_context": 0.5}, "B133"),
        ({**V2, "bga_layers": 0, "vision_layers": 2}, "B102"),
    ],
)
def test_what_does_not_fit_is_refused(text_encoder_folder: Path, vision_encoder_folder: Path, wrong: dict, code: str):
    with pytest.raises(BGAError, match=code):
        build_aligner(settings_of(text_encoder_folder, vision_encoder_folder, **wrong), ["A"])
