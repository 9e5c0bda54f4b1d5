"""How many updates make one pass over the labelled texts."""

from __future__ import annotations

import warnings
from pathlib import Path


def updates_per_pass(config: Path) -> float:
    """Count the batches of one reading of the corpus, as training reads it.

    spaCy logs completed readings only, and one reading may hold the labelled texts several times: among image-text
    pairs, `spacy_bga.MixedCorpus.v1` repeats them. So both are counted, batches and how often a labelled text comes.
    With a batcher that counts texts the number is exact; one that counts words may need a batch more or less when the
    order is another.

    config (Path): The config that a trained pipeline was saved with; only there are spaCy's defaults filled in.
    RETURNS (float): Batches by passes, with two decimals.
    """
    from spacy.util import get_lang_class, load_config, registry, resolve_dot_names

    from spacy_bga.pipeline.tags import has_annotation

    settings = load_config(config, interpolate=True)
    [corpus] = resolve_dot_names(settings, [settings["training"]["train_corpus"]])
    batcher = registry.resolve({"batcher": settings["training"]["batcher"]})["batcher"]
    nlp = get_lang_class(settings["nlp"]["lang"])()  # a reader needs a vocabulary and a tokenizer, no components
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say, training has said
        examples = list(corpus(nlp))
        batches = sum(1 for _ in batcher(examples))
    labelled = [id(example) for example in examples if has_annotation(example)]
    passes = len(labelled) / len(set(labelled)) if labelled else 1
    return round(batches / passes, 2)
