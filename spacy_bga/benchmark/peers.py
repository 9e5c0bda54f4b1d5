"""spaCy's own way to the same job: `transformer` and `ner` on the same encoder, as the quickstart sets them up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy_bga.benchmark.texts import Text

QUICKSTART = """
[nlp]
lang = "en"
pipeline = ["transformer", "ner"]
batch_size = 128

[components]

[components.transformer]
factory = "transformer"

[components.transformer.model]
@architectures = "spacy-transformers.TransformerModel.v3"
tokenizer_config = {"use_fast": true}

[components.transformer.model.get_spans]
@span_getters = "spacy-transformers.strided_spans.v1"
window = 128
stride = 96

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
extra_state_tokens = false
hidden_width = 64
maxout_pieces = 2
use_upper = false
nO = null

[components.ner.model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0

[components.ner.model.tok2vec.pooling]
@layers = "reduce_mean.v1"
"""
BATCH = 16


def build_spacy(folder: Path, encoder: Path, texts: Sequence[Text], *, steps: int) -> None:
    """Save a pipeline of `transformer` and `ner`.

    The encoder stays as it is. The entity recognizer learns a little from the texts, so that it finds about as many
    entities as there are: its time depends on that, if hardly; its accuracy is not looked at.

    folder (Path): Where to save it. encoder (Path): The encoder's folder. texts (Sequence[Text]): Texts with entities.
    steps (int): Updates to learn from.
    """
    from spacy.util import fix_random_seed, load_model_from_config
    from thinc.api import Config

    fix_random_seed(0)
    config = Config().from_str(QUICKSTART)
    config["components"]["transformer"]["model"]["name"] = str(encoder)
    nlp = load_model_from_config(config, auto_fill=True)
    examples = make_examples(nlp, texts)
    nlp.initialize(lambda: examples)
    learn(nlp, examples, steps, exclude=["transformer"], annotates=["transformer"])
    nlp.to_disk(folder)


def make_examples(nlp: Any, texts: Sequence[Text]) -> list[Any]:
    """RETURNS (list[Example]): Texts as examples to learn from."""
    from spacy.training import Example

    return [Example(text.to_doc(nlp.vocab), text.to_doc(nlp.vocab, entities=True)) for text in texts]


def learn(nlp: Any, examples: Sequence[Any], steps: int, **settings: Any) -> None:
    """Update a pipeline.

    nlp (Language): The pipeline. examples (Sequence[Example]): What it learns from, over and over.
    steps (int): Updates. **settings (Any): More arguments of `nlp.update`.
    """
    optimizer = nlp.resume_training()
    for step in range(steps):
        start = step * BATCH % len(examples)
        nlp.update(examples[start : start + BATCH], sgd=optimizer, **settings)
