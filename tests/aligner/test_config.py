from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_bga.aligner.config import REMOVED, BGAConfig, choose_layers
from spacy_bga.errors import BGAError

LAYERS: dict[str, Any] = {
    "text_layers": (1, 2),
    "vision_layers": (0, 2),
    "keep_text": (0.7, 0.5),
    "keep_visual": (0.7, 1.0),
}
TEXT = {"model_type": "bert"}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        LAYERS,
        {
            **LAYERS,
            "labels": ("PER", "ÖRT"),
            "vision": {"model_type": "vit"},
            "visual_grid": None,
            "context_gate": 0.0,
        },
        {
            **LAYERS,
            "projections": False,
            "standardize": False,
            "contrast_weight": 0.5,
            "contrast_temperature": 0.1,
            "real_context": 0.25,
            "train_vision": True,
        },
        {"distance": "mse", "n_visual_tokens": 17, "visual_branch": False},
    ],
)
def test_json_round_trip(settings: dict[str, Any]) -> None:
    config = BGAConfig(text=TEXT, **settings)
    assert BGAConfig.from_json(config.to_json()) == config
    assert json.loads(config.to_json())["model_type"] == "bga"


def test_lists_become_tuples() -> None:
    config = BGAConfig(text=TEXT, labels=["A"], **{name: list(value) for name, value in LAYERS.items()})  # type: ignore[arg-type]
    assert config == BGAConfig(text=TEXT, labels=("A",), **LAYERS)
    assert config.n_bga_layers == 2


def test_replace_makes_a_checked_copy() -> None:
    config = BGAConfig(text=TEXT, **LAYERS)
    assert config.replace(labels=("A",)).labels == ("A",)
    assert config.labels == ()
    with pytest.raises(BGAError, match="B103"):
        config.replace(keep_text=(0.5,))


def test_settings_of_a_later_version_are_left_out() -> None:
    text = json.dumps({**json.loads(BGAConfig(text=TEXT).to_json()), "invented_later": 1})
    assert BGAConfig.from_json(text) == BGAConfig(text=TEXT)


@pytest.mark.parametrize(
    "removed", [REMOVED, {"matching": "set", "whole_words": False, "entity_weight": 3.0, "contrast_memory": 2048}]
)
def test_removed_settings_of_an_earlier_version_are_left_out(removed: dict[str, Any]) -> None:
    """Those of the training may have had any value: what was learnt with them tags without."""
    text = json.dumps({**json.loads(BGAConfig(text=TEXT).to_json()), **removed})
    assert BGAConfig.from_json(text) == BGAConfig(text=TEXT)


def test_whole_words_of_an_earlier_version_are_refused() -> None:
    text = json.dumps({**json.loads(BGAConfig(text=TEXT).to_json()), **REMOVED, "whole_words": True})
    with pytest.raises(BGAError, match=r"\[B131\] `whole_words` = True.*Remove the line.*0\.1\.0"):
        BGAConfig.from_json(text)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"distance": "l1"}, r"\[B101\].*'l1'.*kl, mse, cosine"),
        ({"text_layers": (1,)}, r"\[B102\].*\[1\].*\[\]"),
        ({**LAYERS, "vision_layers": (1,)}, "B102"),
        ({**LAYERS, "keep_text": (0.7,)}, r"\[B103\].*keep_text.*2 BGA layers"),
        ({**LAYERS, "keep_visual": (0.7, 0.0)}, r"\[B103\].*keep_visual"),
        ({**LAYERS, "keep_visual": (0.7, 1.1)}, "B103"),
        ({**LAYERS, "keep_text": (float("nan"), 0.5)}, "B723"),
        ({"window": 7, "overlap": 0}, "B104"),
        ({"window": 16, "overlap": 8}, r"\[B104\].*16.*8"),
        ({"overlap": -1}, "B104"),
        ({"train_vision": True}, r"\[B114\].*standardize = false"),
        ({**LAYERS, "train_vision": True, "standardize": True}, "B114"),
    ],
)
def test_unfit_settings(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(BGAError, match=match):
        BGAConfig(text=TEXT, **settings)


def test_defaults_of_what_is_ours() -> None:
    """The two spaces are told apart by default; the contrast and real features, which teach something else, are not."""
    config = BGAConfig(text=TEXT)
    assert (config.projections, config.standardize) == (True, True)
    assert (config.contrast_weight, config.real_context) == (0.0, 0.0)
    assert BGAConfig(text=TEXT, train_vision=True, standardize=False).train_vision


def test_smallest_and_widest_overlap_fit() -> None:
    assert BGAConfig(text=TEXT, window=8, overlap=0).overlap == 0
    assert BGAConfig(text=TEXT, window=16, overlap=7).overlap == 7


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", "[" * 10**5])
def test_what_is_no_config(text: str) -> None:
    with pytest.raises(BGAError, match="B105"):
        BGAConfig.from_json(text)


@pytest.mark.parametrize(
    ("layers", "chosen"), [(0, ()), (2, (4, 5)), (6, (0, 1, 2, 3, 4, 5)), ([3, 1, 3], (1, 3)), ([], ()), ((5,), (5,))]
)
def test_choose_layers(layers: int | list[int], chosen: tuple[int, ...]) -> None:
    assert choose_layers(layers, 6, name="bga_layers") == chosen


@pytest.mark.parametrize("layers", [7, -1, [6], [-1, 2]])
def test_choose_layers_that_are_not_there(layers: int | list[int]) -> None:
    with pytest.raises(BGAError, match=r"\[B106\].*bga_layers.*6 layers"):
        choose_layers(layers, 6, name="bga_layers")


@settings(max_examples=60)
@given(st.integers(-3, 9) | st.lists(st.integers(-3, 9), max_size=5), st.integers(1, 8))
def test_chosen_layers_exist_and_ascend(layers: int | list[int], n_layers: int) -> None:
    try:
        chosen = choose_layers(layers, n_layers, name="bga_layers")
    except BGAError:
        wanted = [layers, 0] if isinstance(layers, int) else layers
        limit = n_layers if isinstance(layers, int) else n_layers - 1
        assert min(wanted) < 0 or max(wanted) > limit
    else:
        assert all(0 <= layer < n_layers for layer in chosen)
        assert list(chosen) == sorted(set(chosen))
        assert len(chosen) == (layers if isinstance(layers, int) else len(set(layers)))


@pytest.mark.parametrize("values", [{"contrast_temperature": 0.0}, {"real_context": -0.1}, {"real_context": 7}])
def test_impossible_contrast_and_context(values: dict[str, Any]) -> None:
    with pytest.raises(BGAError, match="B723"):
        BGAConfig(text=TEXT, **values)


WRONG = ["x", float("nan"), -(10**9), 10**12, {"a": 1}, [None], [[]], [float("nan")]]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(BGAConfig)])
def test_every_setting_refuses_what_it_can_not_be(name: str) -> None:
    """A number of 10^12, say, must not become memory."""
    for value in WRONG:
        if (name in ("text", "vision") and isinstance(value, dict)) or (name == "n_visual_tokens" and value == 10**12):
            continue
        with pytest.raises(BGAError, match=name if name != "keep_text" else "keep_"):
            BGAConfig(**({"text": TEXT} | {name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", [10**9, 10**18, -(10**18), [10**18], list(range(10**5))])
def test_a_number_of_layers_takes_no_memory(layers: int | list[int]) -> None:
    with pytest.raises(BGAError, match="B106") as raised:
        choose_layers(layers, 6, name="bga_layers")
    assert len(str(raised.value)) < 300


def test_a_name_is_no_list_of_letters() -> None:
    with pytest.raises(BGAError, match=r"B723.*labels.*'PER'"):
        BGAConfig(text=TEXT, labels="PER")  # type: ignore[arg-type]
