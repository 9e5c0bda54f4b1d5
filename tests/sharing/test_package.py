"""A pipeline of another language with labels of its own: trained, scored, packaged, installed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from email.parser import Parser

from spacy.language import Language

from tests.sharing.conftest import DATASET, STATED, TEXT, Shared


def test_it_has_learnt(german: Language, shared: Shared):
    assert [(ent.text, ent.label_) for ent in german(TEXT).ents] == [("Müller GmbH", "FIRMA"), ("Blitz", "PRODUKT")]
    assert german.lang == "de"
    assert json.loads(shared.metrics.read_text(encoding="utf8"))["ents_f"] == 1.0


def test_meta(shared: Shared):
    """The wheel's meta.json has the scores, the labels, and what its sources are."""
    with zipfile.ZipFile(shared.wheel) as archive:
        meta = json.loads(archive.read("de_werbung/meta.json"))
    assert (meta["lang"], meta["name"], meta["version"]) == ("de", "werbung", "1.0.0")
    assert {key: meta[key] for key in STATED if key != "sources"} == {k: v for k, v in STATED.items() if k != "sources"}
    assert meta["performance"]["ents_f"] == 1.0
    assert set(meta["performance"]["ents_per_type"]) == {"FIRMA", "PRODUKT"}
    assert meta["labels"] == {"bga_ner": ["FIRMA", "PRODUKT"]}
    assert meta["sources"] == [
        STATED["sources"][0],
        {
            "name": "vision",
            "author": "X",
            "role": "vision encoder, in training only",
            "license": "encoder: BSD",
            "origin": "wheel some-wheel 1.2",
        },
        {"name": "text", "role": "text encoder", "license": "apache-2.0"},
    ]
    assert any(requirement.startswith("spacy_bga>=") for requirement in meta["requirements"])


def test_the_card_is_the_description_of_the_wheel(shared: Shared):
    card = (shared.pipeline / "README.md").read_text(encoding="utf8")
    assert DATASET in card
    with zipfile.ZipFile(shared.wheel) as archive:
        assert archive.read("de_werbung/de_werbung-1.0.0/README.md").decode() == card
        metadata = Parser().parsestr(archive.read("de_werbung-1.0.0.dist-info/METADATA").decode())
    assert metadata["License"] == "CC BY 4.0"
    assert str(metadata.get_payload()).strip() == card.strip()


def test_installed(shared: Shared, tmp_path):
    """From the wheel's content alone, in a fresh process, by the package's name."""
    with zipfile.ZipFile(shared.wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import spacy; nlp = spacy.load('de_werbung'); "
        f"print([(e.text, e.label_) for e in nlp({TEXT!r}).ents], nlp.meta['license'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[('Müller GmbH', 'FIRMA'), ('Blitz', 'PRODUKT')] CC BY 4.0", done.stderr
