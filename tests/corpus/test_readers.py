from __future__ import annotations

from spacy import registry
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Config

from spacy_bga.corpus.readers import create_image_corpus, create_mixed_corpus

CONFIG = """
[corpora]

[corpora.train]
@readers = "spacy_bga.MixedCorpus.v1"
pairs_per_labelled = 1.0

[corpora.train.labelled]
@readers = "spacy_bga.ImageCorpus.v1"
path = {labelled}
images = {images}

[corpora.train.pairs]
@readers = "spacy_bga.ImageCorpus.v1"
path = {pairs}
images = {images}
on_missing = "error"

[corpora.dev]
@readers = "spacy_bga.ImageCorpus.v1"
path = {labelled}
images = null
"""


def test_from_a_config(nlp, photos, write_docs):
    labelled = Doc(nlp.vocab, words=["Kawhi", "wins"], ents=["B-PER", "O"])
    pair = Doc(nlp.vocab, words=["A", "photo"])
    pair._.image = "0.jpg"
    paths = {"labelled": write_docs([labelled], "labelled.spacy"), "pairs": write_docs([pair], "pairs.spacy")}
    text = CONFIG.format(images=f'"{photos}"', **{name: f'"{path}"' for name, path in paths.items()})
    corpora = registry.resolve(Config().from_str(text))["corpora"]
    examples = sorted(corpora["train"](nlp), key=lambda example: example.reference.text)
    assert all(isinstance(example, Example) for example in examples)
    assert [example.get_aligned_ner() for example in examples] == [[None, None], ["U-PER", "O"]]
    assert [example.reference._.image for example in examples] == [[str(photos.resolve() / "0.jpg")], None]
    assert len(list(corpora["dev"](nlp))) == 1


def test_nothing_to_read_pairs_from(nlp, photos, write_docs):
    doc = Doc(nlp.vocab, words=["Kawhi"], ents=["B-PER"])
    path = write_docs([doc])
    text = f"""
    [train]
    @readers = "spacy_bga.MixedCorpus.v1"
    pairs = null

    [train.labelled]
    @readers = "spacy_bga.ImageCorpus.v1"
    path = "{path}"
    """
    train = registry.resolve(Config().from_str(text))["train"]
    assert len(list(train(nlp))) == 1


def test_an_optional_corpus_may_have_no_path(nlp):
    assert list(create_image_corpus(None, optional=True)(nlp)) == []
    mixed = create_mixed_corpus(create_image_corpus(None, optional=True), create_image_corpus(None, optional=True))
    assert list(mixed(nlp)) == []
