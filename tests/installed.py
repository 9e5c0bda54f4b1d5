"""Run by .ci/run with a Python that has the wheel and no checkout: does what was installed hold together?"""

from __future__ import annotations

import sys

import spacy_bga

assert "torch" not in sys.modules, "importing spacy_bga must not import torch"
assert "transformers" not in sys.modules, "importing spacy_bga must not import transformers"

import spacy  # noqa: E402

nlp = spacy.blank("en")
ner = nlp.add_pipe("bga_ner")
assert nlp.analyze_pipes()["summary"]["bga_ner"]["assigns"] == ["doc.ents", "token.ent_iob", "token.ent_type"]
assert spacy.registry.readers.get("spacy_bga.MixedCorpus.v1")
assert spacy.registry.loggers.get("spacy_bga.ConsoleLogger.v1")
assert ner.labels == ()
print(f"spacy_bga {spacy_bga.__version__} is installed in {spacy_bga.__path__[0]}")
