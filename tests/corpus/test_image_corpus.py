from __future__ import annotations

import time
import warnings

import pytest
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.training.augment import create_lower_casing_augmenter

from spacy_bga.corpus.images import get_images
from spacy_bga.corpus.readers import create_image_corpus
from spacy_bga.errors import BGAError, ImageError


@pytest.fixture
def make(nlp):
    def make(words: str, image=None, *, labelled: bool = True, spaces: list[bool] | None = None) -> Doc:
        doc = Doc(nlp.vocab, words=words.split(), spaces=spaces)
        if labelled:
            doc.ents = [Span(doc, 0, 1, "PER")]
        doc._.image = image
        return doc

    return make


def test_resolves_onto_the_reference_only(nlp, make, photos, write_docs):
    path = write_docs([make("Kawhi wins", "0.jpg"), make("x", [b"abc", "1.jpg"]), make("y")])
    reader = create_image_corpus(path, photos)
    for _ in range(2):
        examples = list(reader(nlp))
        expected = [[str(photos.resolve() / "0.jpg")], [b"abc", str(photos.resolve() / "1.jpg")], None]
        assert [eg.reference._.image for eg in examples] == expected
        assert [eg.predicted._.image for eg in examples] == [None, None, None]
        assert all(not eg.predicted.user_data for eg in examples)


def test_gold_tokens_when_spaces_are_unknown(nlp, make, photos, write_docs):
    path = write_docs([make("can't stop", "0.jpg"), make("can't stop", "0.jpg", spaces=[True, False])])
    unknown, known = create_image_corpus(path, photos)(nlp)
    assert [t.text for t in unknown.predicted] == ["can't", "stop"]
    assert [t.text for t in known.predicted] == ["ca", "n't", "stop"]


def test_no_annotation_stays_no_annotation(nlp, make, photos, write_docs):
    path = write_docs([make("Kawhi Leonard wins", "0.jpg", labelled=False)])
    (example,) = create_image_corpus(path, photos)(nlp)
    assert example.get_aligned_ner() == [None, None, None]
    assert not example.reference.has_annotation("ENT_IOB")


@pytest.mark.parametrize("image", ["nothing.jpg", "../docs.spacy", ["nothing.jpg", "0.jpg"], "/etc/passwd"])
def test_missing(nlp, make, photos, write_docs, image):
    path = write_docs([make("a", image), make("b", image), make("c", "0.jpg")])
    with pytest.warns(UserWarning, match=r"W301.* 2 images") as caught:
        examples = list(create_image_corpus(path, photos)(nlp))
    assert len(caught) == 1
    assert [eg.reference._.image is None for eg in examples] == [True, True, False]
    assert len(list(create_image_corpus(path, photos, on_missing="ignore")(nlp))) == 3
    with pytest.raises(ImageError, match=r"B346.*'a"):
        list(create_image_corpus(path, photos, on_missing="error")(nlp))


def test_a_missing_crop_leaves_the_image(nlp, make, photos, write_docs):
    path = write_docs([make("a", ["0.jpg", "nothing.jpg", "1.jpg"])])
    (example,) = create_image_corpus(path, photos, on_missing="ignore")(nlp)
    assert [name[-5:] for name in get_images(example.reference)] == ["0.jpg", "1.jpg"]


def test_settings_that_are_missing_or_wrong(nlp, make, photos, write_docs, tmp_path):
    path = write_docs([make("a", "0.jpg")])
    with pytest.raises(BGAError, match="B340"):
        create_image_corpus(None)
    with pytest.raises(BGAError, match="B345"):
        create_image_corpus(path, on_missing="shrug")
    with pytest.raises(BGAError, match="B341"):
        list(create_image_corpus(tmp_path / "nothing.spacy")(nlp))
    with pytest.raises(BGAError, match="B331"):
        list(create_image_corpus(path, tmp_path / "nothing")(nlp))
    with pytest.raises(BGAError, match=r"B342.*`images`"):
        list(create_image_corpus(path)(nlp))


def test_no_root_needed_for_bytes_and_texts(nlp, make, write_docs):
    path = write_docs([make("a", b"abc"), make("b")])
    assert [eg.reference._.image for eg in create_image_corpus(path)(nlp)] == [[b"abc"], None]


def test_limit_and_folder(nlp, make, photos, write_docs, tmp_path):
    write_docs([make("a", "0.jpg"), make("b", "1.jpg")])
    assert len(list(create_image_corpus(tmp_path, photos)(nlp))) == 2
    assert len(list(create_image_corpus(tmp_path, photos, limit=1)(nlp))) == 1


@pytest.mark.parametrize("settings", [{"max_length": 4}, {"gold_preproc": True}])
def test_sentences_lose_their_image_loudly(nlp, make, photos, write_docs, settings):
    long, short = make("Kawhi wins . NBA loses", "0.jpg"), make("one", "1.jpg")
    for doc in (long, short):
        for token in doc:
            token.is_sent_start = token.i in (0, 3)
    reader = create_image_corpus(write_docs([long, short]), photos, **settings)
    with pytest.warns(UserWarning, match="W302"):
        examples = list(reader(nlp))
    assert len(examples) == 3
    assert [eg.reference.text.strip() for eg in examples[:2]] == ["Kawhi wins .", "NBA loses"]


def test_max_length_leaves_short_documents_alone(nlp, make, photos, write_docs):
    path = write_docs([make("a b", "0.jpg"), make("a b c d e f", "1.jpg")])
    (example,) = create_image_corpus(path, photos, max_length=4)(nlp)
    assert get_images(example.reference)


def test_augmenters(nlp, make, photos, write_docs):
    path = write_docs([make("Kawhi Wins", "0.jpg"), make("No Image")])
    lower = create_image_corpus(path, photos, augmenter=create_lower_casing_augmenter(1.0))
    with pytest.warns(UserWarning, match="W303.* 1 examples"):
        assert [eg.reference[0].text for eg in lower(nlp)] == ["kawhi", "no"]

    def twice(nlp, example):
        yield example
        yield example

    assert len(list(create_image_corpus(path, photos, augmenter=twice)(nlp))) == 4


def test_another_attribute(nlp, make, photos, write_docs):
    reader = create_image_corpus(write_docs([make("a")]), photos, attr="bga_photo")
    doc = make("a")
    doc._.bga_photo = "0.jpg"
    write_docs([doc])
    (example,) = reader(nlp)
    assert example.reference._.bga_photo == [str(photos.resolve() / "0.jpg")]
    Doc.remove_extension("bga_photo")


def test_training_warns_of_nothing(nlp, make, photos, write_docs):
    nlp.add_pipe("ner")
    path = write_docs([make("Kawhi wins", "0.jpg"), make("Kawhi wins", "1.jpg", labelled=False)])
    reader = create_image_corpus(path, photos)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer = nlp.initialize(lambda: reader(nlp))
        nlp.update(list(reader(nlp)), sgd=optimizer)
    assert all(isinstance(eg, Example) for eg in reader(nlp))


def test_a_word_of_thousands_of_brackets_takes_no_minute(nlp, photos, write_docs):
    doc = Doc(nlp.vocab, words=["(" * 20_000], spaces=[False])
    start = time.process_time()
    (example,) = create_image_corpus(write_docs([doc]), photos)(nlp)
    assert time.process_time() - start < 5
    assert example.predicted.text == example.reference.text
