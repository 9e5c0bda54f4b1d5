from __future__ import annotations

from pathlib import Path

import torch

from spacy_bga.benchmark.plain_training import PlainTrainer
from spacy_bga.benchmark.texts import Text, labels_of, read_texts


def test_it_learns(text_encoder_folder: Path, texts_file: Path):
    texts = read_texts(texts_file)
    torch.manual_seed(0)
    trainer = PlainTrainer(text_encoder_folder, labels_of(texts), dropout=0.0)
    losses = [trainer.step(texts) for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]


def test_first_wordpieces(text_encoder_folder: Path):
    trainer = PlainTrainer(text_encoder_folder, ["X"], dropout=0.0)
    texts = [Text(("ab", "is", "c"), (True,) * 3), Text(("is",), (True,))]
    places, mask = trainer._first_wordpieces([[None, 0, 0, 1, 2, None], [None, 0, None]], texts)
    assert places.tolist() == [[1, 3, 4], [1, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]


def test_tags(text_encoder_folder: Path):
    trainer = PlainTrainer(text_encoder_folder, ["X", "Y"], dropout=0.0)
    text = Text(("a", "b", "c"), (True,) * 3, ((1, 3, "Y"),))
    allowed = trainer._allowed([text], torch.ones(1, 3, dtype=torch.bool))
    assert [trainer.crf.tags[i] for i in allowed[0].int().argmax(-1)] == ["O", "B-Y", "I-Y"]
