from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_bga.benchmark.texts import cut, endless, labels_of, n_words, read_texts
from spacy_bga.errors import BGAError


def test_texts_come_back_as_fresh_documents(texts_file: Path):
    texts = read_texts(texts_file)
    vocab = spacy.blank("en").vocab
    first, again = texts[0].to_doc(vocab, entities=True), texts[0].to_doc(vocab)
    assert str(texts[0]) == first.text.strip() == "kevin durant joins the warriors in oakland"
    assert (first.ents[0].text, first.ents[0].label_) == ("kevin durant", "PER")
    assert not again.ents
    assert labels_of(texts) == ["LOC", "ORG", "PER"]
    assert n_words(texts) == 7 + 3 + 5 + 2
    assert len(read_texts(texts_file, 2)) == 2


def test_the_same_words_in_documents_of_another_length(texts_file: Path):
    texts = read_texts(texts_file)
    [long] = cut(texts, 50, 50)
    short = cut(texts, 50, 20)
    assert [len(text.words) for text in short] == [20, 20, 10]
    assert sum((text.words for text in short), ()) == long.words
    assert long.words[:17] == sum((text.words for text in texts), ())


def test_every_text_of_a_stream_has_a_new_word(texts_file: Path):
    stream = list(islice(endless(read_texts(texts_file)), 10))
    assert len({text.words[-1] for text in stream}) == 10
    assert stream[0].words[:-1] == stream[4].words[:-1]


def test_a_file_without_texts_is_refused(tmp_path: Path):
    DocBin().to_disk(tmp_path / "empty.spacy")
    for name in ("empty.spacy", "missing.spacy"):
        with pytest.raises(BGAError, match=rf"B544.*{name}"):
            read_texts(tmp_path / name)
