from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bga.evaluation.passes import updates_per_pass
from tests.evaluation.conftest import CONFIG, POSTS, write_posts

MIXED = """
[corpora.train]
@readers = "spacy_bga.MixedCorpus.v1"
pairs_per_labelled = 1.0
stream = {stream}

[corpora.train.labelled]
@readers = "spacy_bga.ImageCorpus.v1"
path = "corpus/train.spacy"

[corpora.train.pairs]
@readers = "spacy_bga.ImageCorpus.v1"
path = "corpus/pairs.spacy"
"""


FILLED = CONFIG.replace("train = null", 'train = "corpus/train.spacy"').replace(
    "dev = null", 'dev = "corpus/dev.spacy"'
)


def write_config(text: str) -> Path:
    path = Path("configs/filled.cfg")
    path.write_text(text, encoding="utf8")
    return path


def test_a_last_batch_that_is_not_full_counts(project: Path):
    write_posts(project / "corpus" / "train.spacy", POSTS[:3])
    assert updates_per_pass(write_config(FILLED)) == 2


@pytest.mark.parametrize("stream", ["true", "false"])
def test_labelled_texts_are_what_a_pass_is_of(project: Path, stream: str):
    """4 labelled posts and as many pairs are 4 batches of 2, whether one reading holds them once or three times."""
    vocab = spacy.blank("en").vocab
    DocBin(docs=[Doc(vocab, words=["a", "photo"]) for _ in range(12)]).to_disk(project / "corpus" / "pairs.spacy")
    head, tail = FILLED[: FILLED.index("[corpora.train]")], FILLED[FILLED.index("[corpora.dev]") :]
    assert updates_per_pass(write_config(head + MIXED.format(stream=stream) + "\n" + tail)) == 4
