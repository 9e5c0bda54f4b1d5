"""How many updates make one pass over the training data."""

from __future__ import annotations

import warnings
from pathlib import Path


def updates_per_pass(config: Path) -> int:
    """Count the batches of one pass, by reading the corpus as training does.

    spaCy logs completed passes only. One call of the training reader is one pass over the labelled texts, for
    `spacy_bga.MixedCorpus.v1` too, however many pairs go with them; so its batches are counted. With a batcher that
    counts texts the number is exact; one that counts words may need a batch more or less in another order.

    config (Path): The config that a trained pipeline was saved with; only there are spaCy's defaults filled in.
    RETURNS (int): The number of batches.
    """
    from spacy.util import get_lang_class, load_config, registry, resolve_dot_names

    settings = load_config(config, interpolate=True)
    [corpus] = resolve_dot_names(settings, [settings["training"]["train_corpus"]])
    batcher = registry.resolve({"batcher": settings["training"]["batcher"]})["batcher"]
    nlp = get_lang_class(settings["nlp"]["lang"])()  # a reader needs a vocabulary and a tokenizer, no components
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say, training has said
        return sum(1 for _ in batcher(corpus(nlp)))
