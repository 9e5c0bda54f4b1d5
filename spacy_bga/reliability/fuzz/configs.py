"""Configs: settings of a wrong type, and sizes that no machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from catalogue import RegistryError
from huggingface_hub import constants
from hypothesis import strategies as st
from spacy import registry
from thinc.api import Config

from spacy_bga.pipeline.bga_ner import DEFAULT_CONFIG
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import judge
from spacy_bga.reliability.tiny import component_config, make_example, write_text_encoder, write_vision_encoder

COMPONENT = sorted(set(Config().from_str(DEFAULT_CONFIG)["bga_ner"]) - {"model", "scorer"})
WHOLE = [
    *("bga_layers", "vision_layers", "visual_grid", "max_crops", "crop_grid", "generator_width", "image_size"),
    *("window", "overlap"),
]
REAL = [
    *("keep_text", "keep_visual", "gumbel_temperature", "distance_temperature", "recon_weight", "cycle_weight"),
    *("ratio_weight", "contrast_weight", "contrast_temperature", "text_to_visual", "visual_to_text", "real_context"),
    *("context_gate", "dropout"),
]
OTHERS = [
    *("shared_generators", "projections", "standardize", "whiten", "sample", "distance", "detach_targets"),
    *("train_vision", "mixed_precision", "text_encoder", "vision_encoder"),
]
MODEL = [*WHOLE, *REAL, *OTHERS]
READERS: dict[str, tuple[str, list[str]]] = {
    "spacy_bga.ImageCorpus.v1": (
        "readers",
        ["path", "images", "on_missing", "optional", "max_length", "limit", "attr"],
    ),
    "spacy_bga.MixedCorpus.v1": ("readers", ["labelled", "pairs", "pairs_per_labelled", "stream", "shuffle", "seed"]),
    "spacy_bga.batch_by_length.v1": ("batchers", ["size", "buffer"]),
    "spacy_bga.ConsoleLogger.v1": ("loggers", ["progress_bar"]),
}

_name = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_scalar = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.floats(),
    _name,
    st.sampled_from(
        ["", "real", "openvino", "int8", "../..", "/dev/zero", "hub/name", "kl", "ignore", "\x00", "${x.y}"]
    ),
)
_anything = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_name, inner, max_size=2), max_leaves=4
)
_whole = st.one_of(
    st.sampled_from([0, -1, 1, 2, 8, 63, 64, 65, 10**4, 10**6, 10**9, 2**31, 2**62, -(10**9), -(2**62)]),
    st.integers(-5, 5),
    st.integers(-(2**62), 2**62),
)
_real = st.one_of(st.sampled_from([0.0, -0.0, 1.0, 1e-300, 1e300, -1.0, 1e9, 5e-324]), st.floats(), st.floats(-1, 2))
_huge = st.sampled_from([2**63, 2**64, 10**30, -(10**30), float("inf"), float("nan")])


@dataclass(frozen=True)
class Change:
    """What a config says otherwise.

    target (str): "component", or the name of a registered function. settings, model (dict[str, Any]): Settings of
    it, and of the component's architecture.
    """

    target: str
    settings: dict[str, Any]
    model: dict[str, Any]


@st.composite
def _wrong_types(draw: st.DrawFn) -> Change:
    target = draw(st.sampled_from(["component", "component", "component", *READERS]))
    names = COMPONENT if target == "component" else READERS[target][1]
    settings = draw(
        st.dictionaries(st.one_of(st.sampled_from(names), st.sampled_from(names), _name), _anything, max_size=1)
    )
    if target != "component":
        return Change(target, settings, {})
    model = draw(st.dictionaries(st.sampled_from(MODEL), _anything, min_size=0 if settings else 1, max_size=1))
    return Change(target, settings, model)


@st.composite
def _impossible_sizes(draw: st.DrawFn) -> Change:
    target = draw(st.sampled_from([*["component"] * 7, "spacy_bga.batch_by_length.v1", "spacy_bga.MixedCorpus.v1"]))
    if target != "component":
        names = st.sampled_from(["size", "buffer", "pairs_per_labelled", "seed"])
        return Change(target, draw(st.dictionaries(names, st.one_of(_whole, _real, _huge), min_size=1, max_size=2)), {})
    settings = {"max_wordpieces": draw(_whole)} if draw(st.integers(0, 5)) == 0 else {}
    whole = draw(
        st.dictionaries(
            st.sampled_from(WHOLE), st.one_of(_whole, _whole, _whole, st.lists(_whole, max_size=3), _huge), max_size=2
        )
    )
    real = draw(
        st.dictionaries(st.sampled_from(REAL), st.one_of(_real, _real, st.lists(_real, max_size=3)), max_size=1)
    )
    switches = draw(st.dictionaries(st.sampled_from(OTHERS[:5]), st.booleans(), max_size=2))
    return Change(target, settings, whole | real | switches)


FORMS = {"wrong types": Form(_wrong_types()), "impossible sizes": Form(_impossible_sizes())}


@dataclass(frozen=True)
class Bench:
    """Tiny encoders."""

    text: Path
    vision: Path


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): Tiny encoders below the folder. The Hub, which `initialize` may ask, is not to be asked here."""
    constants.HF_HUB_OFFLINE = True
    text, vision = folder / "text_encoder", folder / "vision_encoder"
    text.mkdir()
    vision.mkdir()
    return Bench(write_text_encoder(text), write_vision_encoder(vision))


def attempt(bench: Bench, change: Change) -> str:
    """Make what the config describes; of a component, also initialize it, learn from an example, and tag."""
    try:
        return judge(lambda: _use_component(bench, change) if change.target == "component" else _use_function(change))
    except RegistryError:  # spaCy's own, too: a name that begins with "@" asks for a registered function
        return "RegistryError"
    except ValueError as error:
        if not str(error).startswith("[E961]"):
            raise
        return "E961"  # spaCy's own, before anybody is asked: a number that no JSON can hold


def _use_component(bench: Bench, change: Change) -> None:
    nlp = spacy.blank("xx")
    config = component_config(bench.text, bench.vision) | change.settings
    config["model"] = config["model"] | change.model
    nlp.add_pipe("bga_ner", config=config)
    example = make_example(nlp)
    nlp.initialize(lambda: [example])
    nlp.update([example], sgd=nlp.create_optimizer())
    nlp("kevin durant joins the warriors")


def _use_function(change: Change) -> None:
    kind, _ = READERS[change.target]
    registry.resolve({"made": {f"@{kind}": change.target, **change.settings}})


KIND = Kind(FORMS, open_bench, attempt)
