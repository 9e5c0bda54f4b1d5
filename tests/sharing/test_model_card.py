"""The model card: every number in it is one of the run's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import spacy
from huggingface_hub import ModelCard
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.sharing.card_metadata import Scores, card_metadata, hub_licence, package_name
from spacy_bga.sharing.model_card import DEV_SET, model_card, read_scores, training_scores
from tests.sharing.conftest import DATASET, TEXT, Shared, run

META = {"lang": "xx", "name": "thing", "version": "0.0.1"}


@pytest.fixture
def card(shared: Shared) -> ModelCard:
    return ModelCard.load(shared.pipeline / "README.md")


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


class TestMetadata:
    def test_the_hub_reads_it(self, card: ModelCard):
        assert card.data.language == "de"
        assert card.data.license == "cc-by-4.0"
        assert card.data.library_name == "spacy"
        assert card.data.pipeline_tag == "token-classification"
        assert {"spacy", "token-classification"} <= set(card.data.tags)
        assert card.data.widget == [{"text": TEXT}, {"text": "Öko"}]
        assert card.data.base_model is None  # a folder is none that the hub knows

    def test_model_index(self, card: ModelCard, shared: Shared):
        scores = json.loads(shared.metrics.read_text(encoding="utf8"))
        assert card.data.model_name == "de_werbung"
        assert {result.metric_type: result.metric_value for result in card.data.eval_results} == {
            "precision": scores["ents_p"],
            "recall": scores["ents_r"],
            "f1": scores["ents_f"],
        }
        assert {(r.dataset_name, r.dataset_type) for r in card.data.eval_results} == {(DATASET, "werbung-teil-2")}

    def test_base_models_are_those_of_the_hub(self):
        hub = {"role": "text encoder", "url": "https://huggingface.co/a/b", "name": "a/b"}
        sources = [hub, hub | {"role": "data", "name": "c"}, {"name": "d", "role": "text encoder"}, "e", {"name": "f"}]
        card = ModelCard(card_metadata({**META, "sources": sources}, None))
        assert card.data.base_model == ["a/b"]
        assert card.data.language == "multilingual"
        assert card.data.license is None
        assert card.data.eval_results is None

    def test_scores_that_are_not_there(self):
        card = ModelCard(card_metadata(META, Scores("x", {"ents_p": None, "ents_f": 0.25})))
        assert [(r.metric_type, r.metric_value) for r in card.data.eval_results] == [("f1", 0.25)]

    @pytest.mark.parametrize(
        ("licence", "expected"),
        [("MIT", "mit"), ("Apache 2.0", "apache-2.0"), ("GNU GPL 3.0", "gpl-3.0"), ("CC BY-SA 4.0", "cc-by-sa-4.0")],
    )
    def test_licences(self, licence: str, expected: str):
        assert hub_licence(licence) == expected
        assert hub_licence(" ") is None

    def test_package_name(self):
        assert package_name(META) == package_name(META | {"name": "xx_thing"}) == "xx_thing"


class TestText:
    def test_scores_by_label(self, german: Language):
        values = {
            "ents_p": 0.5,
            "ents_r": 0.25,
            "ents_f": 1 / 3,
            "ents_per_type": {"X|Y": {"p": 1.0, "r": 0.125, "f": 2 / 9}, "A": {"p": 0.0, "r": 0.0, "f": 0.0}},
        }
        text = section(model_card(german, Scores("posts", values)), "Scores")
        assert "on posts." in text
        assert (
            "| all | 50.00 | 25.00 | 33.33 |\n| `A` | 0.00 | 0.00 | 0.00 |\n| `X\\|Y` | 100.00 | 12.50 | 22.22 |"
            in text
        )

    def test_without_metrics_it_has_the_scores_of_training(self, german: Language):
        german.meta["performance"]["ents_f"] = 0.7654
        card = model_card(german, None)
        assert DEV_SET in section(card, "Scores")
        assert "| all | 100.00 | 100.00 | 76.54 |" in card
        assert "too good" in section(card, "Limits")
        assert ModelCard(card).data.eval_results[-1].metric_value == 0.7654

    def test_without_any_score(self, german: Language):
        german.meta["performance"] = {}
        assert training_scores(german.meta) is None
        card = model_card(german, None)
        assert "## Scores" not in card
        assert "It comes without scores." in card
        assert "model-index" not in card

    def test_what_it_finds_is_what_it_finds(self, card: ModelCard):
        use = section(card.text, "Use")
        assert "pip install de_werbung-1.0.0-py3-none-any.whl" in use
        assert "# [('Müller GmbH', 'FIRMA'), ('Blitz', 'PRODUKT')]" in use
        (code,) = re.findall(r"```python\n(.*?)```", use, flags=re.DOTALL)
        compile(code, "card", "exec")

    def test_data_and_sources(self, card: ModelCard, shared: Shared):
        assert "| train.labelled | 3 | 3 | 4 | 2 |" in section(card.text, "Data")
        sources = section(card.text, "Sources and licences")
        assert "| Werbung | texts with images | – | CC0-1.0 | – |" in sources
        assert "| text | text encoder | – | apache-2.0 | – |" in sources
        assert "some-wheel 1.2" in sources
        assert str(shared.pipeline.parent) not in card.content

    def test_contents(self, card: ModelCard, german: Language):
        contents = section(card.text, "What is in it")
        assert "| labels of `bga_ner` | `FIRMA`, `PRODUKT` |" in contents
        aligner = german.get_pipe("bga_ner").model.shims[0].aligner
        millions = sum(parameter.numel() for parameter in aligner.parameters()) / 1e6
        assert f"| parameters of `bga_ner` | {millions:.1f} million |" in contents
        assert "[Jemand](https://example.org)" in contents
        assert "left out" in contents
        assert "Nur ein Test." in section(card.text, "Notes")

    def test_where_the_data_is_gone(self, german: Language):
        german.config["paths"]["train"] = german.config["paths"]["dev"] = "no/such.spacy"
        assert "## Data" not in model_card(german, None)

    def test_without_description_and_licence(self, german: Language):
        german.meta |= {"description": "", "license": "", "sources": ["Werbung"], "author": "", "notes": ""}
        with pytest.warns(UserWarning, match="W651"):
            card = model_card(german, None)
        assert "finds named entities (`FIRMA`, `PRODUKT`) in text. It learnt from texts and their images" in card
        assert "| licence | not stated |" in card
        assert "| Werbung | – | – | – | – |" in card

    def test_a_pipeline_not_made_by_spacy_train(self, text_only_config: dict):
        nlp = spacy.blank("xx")
        nlp.add_pipe("bga_ner", config=text_only_config)
        nlp.get_pipe("bga_ner").add_label("A")
        nlp.get_pipe("bga_ner").initialize(lambda: [_example(nlp)], nlp=nlp)
        nlp.meta["license"] = "MIT"
        card = model_card(nlp, None, texts=["", "|"])
        assert "It learnt from texts, with" in card
        assert "visual branch" not in card
        assert "\n| \\| | " in card

    def test_a_pipeline_that_looks_at_images(self, german: Language):
        german.get_pipe("bga_ner").visual_context = "real"
        assert "`bga_ner` looks at a document's image" in section(model_card(german, None), "Limits")
        german.get_pipe("bga_ner").visual_context = "auto"  # it was saved without its visual branch
        assert "No image is looked at" in section(model_card(german, None), "Limits")

    def test_no_component(self):
        nlp = spacy.blank("en")
        nlp.add_pipe("sentencizer")
        with pytest.raises(BGAError, match=r"B650.*sentencizer"):
            model_card(nlp, None)


class TestCommand:
    def test_default_output(self, shared: Shared, tmp_path: Path):
        output = tmp_path / "cards" / "README.md"
        assert str(output) in run("model-card", shared.pipeline, "--output", output)
        assert "de_pipeline" in output.read_text(encoding="utf8")  # the name that spaCy gives without another one

    @pytest.mark.parametrize("content", ["{", "[]", '{"ents_p": 1.0, "ents_r": null, "ents_f": 1.0}', None])
    def test_no_scores(self, shared: Shared, content: str | None, tmp_path: Path):
        metrics = tmp_path / "metrics.json"
        if content is not None:
            metrics.write_text(content, encoding="utf8")
        result = CliRunner().invoke(app, ["model-card", str(shared.pipeline), "--metrics", str(metrics)])
        assert result.exit_code == 1
        assert "[B652]" in result.output

    def test_no_pipeline(self, tmp_path: Path):
        result = CliRunner().invoke(app, ["model-card", str(tmp_path)])
        assert result.exit_code == 1
        assert "[B604]" in result.output

    def test_read_scores(self, shared: Shared):
        scores = read_scores(shared.metrics, dataset="d")
        assert scores.dataset == "d"
        assert set(scores.by_label) == {"FIRMA", "PRODUKT"}


def _example(nlp: Language) -> spacy.training.Example:
    return spacy.training.Example.from_dict(nlp.make_doc("a b"), {"entities": [(0, 1, "A")]})
