"""The checks against what plain loops find."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_bga.corpus.conll import mend_tags
from spacy_bga.corpus.images import get_images, image_digest, register_image_extension
from spacy_bga.corpus.pair_splits import MAX_DISTANCE, MIN_WORDS, perceptual_hash, words_of
from spacy_bga.diagnostics.conflicts import ConflictCheck, normalize
from spacy_bga.diagnostics.entities import read_annotation
from spacy_bga.diagnostics.gallery import Gallery
from spacy_bga.diagnostics.image_leaks import MIN_BITS, exact_leaks, near_leaks
from spacy_bga.diagnostics.sources import Document, Source
from spacy_bga.diagnostics.texts import TextCheck
from tests.diagnostics.conftest import encode, picture

NLP = spacy.blank("en")
register_image_extension()
SOURCES = {name: Source(name, name, "spacy.Corpus.v1", {}) for name in ("train", "dev", "test")}
TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
NAMES = st.sampled_from(["Paris", "PARIS", "Apple", "Berlin", "U S"])
TEXTS = st.sampled_from(
    [
        "Kevin wins in Oakland now",
        "RT @a: Kevin wins in Oakland now!",
        "kevin wins in Oakland NOW",
        "a b",
        "A b",
        "",
        "🌳",
    ]
)


def see(check, split: str, doc: Doc) -> None:
    check.see(Document(SOURCES[split], "here", doc, read_annotation(doc), tuple(get_images(doc))))


@given(st.lists(TAGS, max_size=12))
def test_annotation_is_what_conll_reading_makes_of_tags(tags):
    doc = Doc(NLP.vocab, words=["x"] * len(tags), ents=tags)
    stored = [f"{'-IOB'[t.ent_iob]}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]
    mended, orphans = mend_tags(stored)
    found = read_annotation(doc)
    assert len(found.orphans) == orphans
    expected = Doc(NLP.vocab, words=["x"] * len(tags), ents=mended)
    assert [(m.start, m.end, m.label) for m in found.mentions] == [(e.start, e.end, e.label_) for e in expected.ents]
    assert (found.missing, found.known) == (0, bool(tags))


def test_annotation_that_is_missing_or_blocked():
    doc = NLP.make_doc("a b c d")
    assert read_annotation(doc).missing == 4
    assert not read_annotation(doc).known
    doc.set_ents([], blocked=[doc[1:2]], missing=[doc[3:4]], default="outside")
    assert read_annotation(doc).mentions == ()
    assert (read_annotation(doc).missing, read_annotation(doc).known) == (1, True)


@given(st.lists(st.tuples(st.sampled_from(sorted(SOURCES)), TEXTS), max_size=14))
def test_text_leaks(posts):
    check = TextCheck()
    for split, text in posts:
        see(check, split, NLP.make_doc(text))
    for left, right in product(SOURCES, SOURCES):
        if left == right:
            continue
        there = [text for split, text in posts if split == left]
        same = alike = 0
        for split, text in posts:
            if split == right and text in there:
                same += 1
            elif split == right:
                words = words_of(text)
                alike += len(words) >= MIN_WORDS and any(words_of(other) == words for other in there)
        found = check.leaks(left, right)
        assert (found[0].count, found[1].count) == (same, alike)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["PER", "LOC", "ORG"])), max_size=20))
def test_conflicts(entities):
    check = ConflictCheck()
    for name, label in entities:
        words = ["so", *name.split(), "!"]
        tags = ["O", *[f"{'I' if i else 'B'}-{label}" for i in range(len(words) - 2)], "O"]
        see(check, "train", Doc(NLP.vocab, words=words, ents=tags))
    expected = {
        normalize(a)
        for (a, first), (b, second) in product(entities, entities)
        if normalize(a) == normalize(b) and first != second
    }
    found = check.conflicts()
    assert set(found) == expected
    for key, labels in found.items():
        assert labels == Counter(label for name, label in entities if normalize(name) == key)
    kinds = {finding.kind: finding.count for finding in check.section().findings}
    assert kinds.get("odd-label", 0) + kinds.get("several-labels", 0) == len(expected)


POOL = [encode(picture(seed)) for seed in range(6)]
POOL += [encode(picture(seed), "JPEG", quality=30) for seed in range(6)]
POOL += [encode(picture(seed).resize((40, 30))) for seed in range(3)]
POOL += [encode(picture(0).point(lambda value: 0)), encode(picture(0).point(lambda value: 9))]  # plain ones
HASHES = {image_digest(data): perceptual_hash(data) for data in POOL}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(["train", "dev"]), st.sampled_from(POOL)), max_size=12))
@pytest.mark.parametrize("threads", [1, 3])
def test_image_leaks(threads, posts):
    gallery = Gallery(threads=threads)
    for split, data in posts:
        gallery.add(data, (), split=split, place="here")
    pictures = gallery.close()
    there = {image_digest(data) for split, data in posts if split == "train"}
    here = [image_digest(data) for split, data in posts if split == "dev"]
    assert sum(number for *_, number in exact_leaks(pictures, "train", "dev")) == sum(d in there for d in here)

    def tells(digest: str) -> bool:
        return MIN_BITS <= HASHES[digest].sum() <= 64 - MIN_BITS

    expected = {}
    for digest in here:
        distances = [int(np.sum(HASHES[digest] != HASHES[other])) for other in there if tells(other)]
        if digest not in there and tells(digest) and distances and min(distances) <= MAX_DISTANCE:
            expected[digest] = min(distances)
    found = {p.digest.hex(): distance for p, _, distance in near_leaks(pictures, "train", "dev")}
    assert found == expected


def test_an_image_is_looked_at_once(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr("spacy_bga.diagnostics.gallery.read_header", lambda source: looked.append(source) or 1 / 0)
    (tmp_path / "a.png").write_bytes(POOL[0])
    gallery = Gallery(threads=2)
    for _ in range(5):
        gallery.add("a.png", (tmp_path,), split="train", place="here")
    with pytest.raises(ZeroDivisionError):  # a defect of ours is not hidden as one of the image's
        gallery.close()
    assert len(looked) == 1
