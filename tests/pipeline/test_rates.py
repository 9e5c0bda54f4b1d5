"""spaCy's default learning rate is right for the component's defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.util import load_config
from thinc.api import Config

from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.optimizer import ENCODER_RATE
from tests.pipeline.conftest import make_examples, pipe_of

ROOT = Path(__file__).parents[2]
STARTER = {"encoder": 1e-4, "generator": 5e-4, "head": 1e-3, "reader": 1e-2}


def rates(nlp: Language) -> dict[str, float]:
    """The rates that the parts of the aligner get after two updates, by where they are."""
    optimizer = nlp.create_optimizer()
    for _ in range(2):
        nlp.update(make_examples(nlp), sgd=optimizer)
    scales = get_shim(pipe_of(nlp).model).rate_scales
    return {part: optimizer.learn_rate * scale for part, scale in scales.items()}


def test_by_default_the_rates_are_those_of_the_starter_config(nlp: Language, text_only_config: dict):
    nlp.add_pipe("bga_ner", config=text_only_config)
    nlp.initialize(lambda: make_examples(nlp))
    assert rates(nlp) == pytest.approx(STARTER)
    groups = get_shim(pipe_of(nlp).model)._optimizer._torch.param_groups
    assert sorted({round(group["lr"], 9) for group in groups}) == [1e-4, 1e-3]


@pytest.mark.parametrize("name", ["starter", "text_only", "align", "paper"])
def test_shipped_configs_have_scales_of_their_own(name: str):
    """So that what they train with is not the factory's."""
    config = load_config(ROOT / "configs" / f"{name}.cfg")
    given = config["components"]["bga_ner"]["rate_scales"]
    assert given.keys() >= {"encoder", "head"}
    if name in ("starter", "text_only"):
        rate = config["training"]["optimizer"]["learn_rate"]["initial_rate"]
        assert {part: scale * rate for part, scale in given.items()} == pytest.approx(
            {part: STARTER[part] for part in given}
        )


def test_a_filled_config_has_the_same_rates():
    """What `spacy init fill-config` writes where there is neither an optimizer nor a scale."""
    text = "[nlp]\nlang = 'en'\npipeline = ['bga_ner']\n\n[components]\n\n[components.bga_ner]\nfactory = 'bga_ner'\n"
    nlp = spacy.util.load_model_from_config(Config().from_str(text.replace("'", '"')), auto_fill=True)
    rate = nlp.config["training"]["optimizer"]["learn_rate"]
    scales = nlp.config["components"]["bga_ner"]["rate_scales"]
    assert {part: scale * rate for part, scale in scales.items()} == pytest.approx(STARTER)


@pytest.mark.parametrize("scales", [{"encoder": 1.0, "head": 10.0}, {"encoder": 0.1}, {"encoder": 0.0}])
def test_the_components_own_optimizer(nlp: Language, text_only_config: dict, scales: dict):
    nlp.add_pipe("bga_ner", config=text_only_config | {"rate_scales": scales})
    rate = pipe_of(nlp).create_optimizer().learn_rate
    assert rate * scales["encoder"] == pytest.approx(ENCODER_RATE if scales["encoder"] else 0.0)
