from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example, biluo_tags_to_spans, iob_to_biluo

from spacy_bga.aligner.crf import bio_tags
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.tags import (
    aligned_tags,
    allowed_tags,
    blocked_spans,
    content_tokens,
    has_annotation,
    merge_entities,
    preset_mask,
    to_spans,
)

LABELS = ("PER", "LOC")
TAGS = bio_tags(LABELS)
VOCAB = spacy.blank("xx").vocab
WORDS = st.sampled_from(["Ann", "bo", "in", "Rome", "\n", "\n\n", " ", "\t"])


def make_doc(words: list[str], entities: list[tuple[int, int, str]] | None = None) -> Doc:
    """A document of such words: `entities` None is no annotation at all."""
    doc = Doc(VOCAB, words=words, spaces=[False] * len(words))
    if entities is not None:
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in entities])
    return doc


class Tagged:
    """Stands in for an example whose aligned BILUO tags are given, however odd."""

    def __init__(self, words: list[str], tags: list[str | None]) -> None:
        self.predicted = make_doc(words)
        self.reference = make_doc([*words, "other"])
        self.tags = tags

    def get_aligned_ner(self) -> list[str | None]:
        return self.tags


def is_bio(previous: str, tag: str) -> bool:
    return not tag.startswith("I-") or previous in (f"B-{tag[2:]}", tag)


def find_path(allowed: np.ndarray) -> list[int] | None:
    """Some BIO sequence within the allowed tags, if there is one."""
    paths = {0: []}  # last tag -> a path to it; before the first token, as after "O"
    for row in allowed:
        reached = {}
        for tag in np.flatnonzero(row).tolist():
            before = [path for last, path in paths.items() if is_bio(TAGS[last], TAGS[tag])]
            if before:
                reached[tag] = [*before[0], tag]
        paths = reached
    return next(iter(paths.values()), None)


def names(allowed: np.ndarray) -> list[str]:
    """Rows for the eye: a tag, "*" for all."""
    return ["*" if row.all() else "|".join(TAGS[tag] for tag in np.flatnonzero(row)) for row in allowed]


def places(spans) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label_) for span in spans]


def trimmed(doc: Doc, entities: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    content = set(content_tokens(doc).tolist())
    kept = []
    for start, end, label in entities:
        inside = [i for i in range(start, end) if i in content]
        if inside:
            kept.append((inside[0], inside[-1] + 1, label))
    return kept


@st.composite
def annotated(draw):
    words = draw(st.lists(WORDS, max_size=12))
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)))
    entities = [
        (start, end, draw(st.sampled_from(LABELS)))
        for start, end in itertools.pairwise(cuts)
        if draw(st.booleans()) and any(not word.isspace() for word in words[start:end])
    ]
    return words, entities


@settings(max_examples=200)
@given(annotated(), st.lists(st.integers(0, 11), max_size=3), st.sampled_from(["outside", "missing", "unmodified"]))
def test_aligned_tags_are_spacys(case, blocked, default):
    words, entities = case
    reference = make_doc(words)
    spans = [Span(reference, start, end, label=label) for start, end, label in entities]
    free = [i for i in sorted(set(blocked)) if i < len(words) and not any(s <= i < e for s, e, _ in entities)]
    reference.set_ents(spans, blocked=[reference[i : i + 1] for i in free], default=default)
    example = Example(make_doc(words), reference)
    inside = {"L-": "I-", "U-": "B-"}
    expected = [tag and inside.get(tag[:2], tag[:2]) + tag[2:] for tag in example.get_aligned_ner()]
    tags = aligned_tags(example)
    assert len(tags) == len(words)
    assert [tags[i] for i in content_tokens(reference)] == [expected[i] for i in content_tokens(reference)]


@settings(max_examples=150)
@given(annotated())
def test_round_trip(case):
    words, entities = case
    predicted = make_doc(words)
    example = Example(predicted, make_doc(words, entities))
    allowed = allowed_tags(example, LABELS)
    assert allowed.shape == (len(content_tokens(predicted)), len(TAGS))
    path = find_path(allowed)
    assert path is not None
    spans = to_spans(predicted, path, LABELS)
    aligned = places(example.get_aligned_ents_and_ner()[0])
    # spaCy drops entities that it can't align; none is lost here that it keeps
    assert places(spans) == trimmed(predicted, aligned)
    predicted.set_ents(spans)
    assert places(predicted.ents) == places(spans)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(TAGS), max_size=10))
def test_decoding_agrees_with_spacy(tags):
    doc = make_doc(["w"] * len(tags))
    spans = to_spans(doc, [TAGS.index(tag) for tag in tags], LABELS)
    mended = ["B" + tag[1:] if not is_bio(left, tag) else tag for left, tag in itertools.pairwise(["O", *tags])]
    assert places(spans) == places(biluo_tags_to_spans(doc, iob_to_biluo(mended)))
    # With no white space and nothing missing, encoding is its inverse
    if tags:
        doc.set_ents(spans)
        assert names(allowed_tags(Example(make_doc(["w"] * len(tags)), doc), LABELS)) == mended


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            WORDS,
            st.sampled_from(
                [None, "-", "O", *(f"{prefix}-{label}" for prefix in "BILU" for label in (*LABELS, "NEW"))]
            ),
        ),
        max_size=10,
    )
)
def test_any_annotation_leaves_a_path(case):
    example = Tagged([word for word, _ in case], [tag for _, tag in case])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        allowed = allowed_tags(example, LABELS)
    assert find_path(allowed) is not None
    # Knowing less allows more, and nothing else about a token changes but whether it begins its entity
    for row, i in zip(allowed, content_tokens(example.predicted), strict=True):
        tag = example.tags[i]
        if tag in (None, "-") or tag.endswith("NEW"):
            assert row.all()
        else:
            (found,) = (TAGS[tag] for tag in np.flatnonzero(row))
            assert found[1:] == tag[1:]
            assert found[0] in {"O": "O", "B": "B", "U": "B", "I": "BI", "L": "BI"}[tag[0]]


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ("a b c", ["B-PER", "I-PER", "L-PER"], ["B-PER", "I-PER", "I-PER"]),
        ("a b c", ["U-PER", "U-PER", "O"], ["B-PER", "B-PER", "O"]),
        ("a b c", ["I-PER", "L-PER", "L-LOC"], ["B-PER", "I-PER", "B-LOC"]),  # orphans
        ("a b c", ["O", "L-PER", "I-PER"], ["O", "B-PER", "B-PER"]),
        ("a b c", [None, "I-PER", "L-PER"], ["*", "I-PER", "I-PER"]),
        ("a b c", ["-", "L-PER", None], ["*", "I-PER", "*"]),
        ("a b c", ["B-PER", None, "L-PER"], ["B-PER", "*", "I-PER"]),
        ("_ a b", ["B-PER", "I-PER", "L-PER"], ["B-PER", "I-PER"]),  # white space at its edges
        ("a b _", ["B-PER", "I-PER", "L-PER"], ["B-PER", "I-PER"]),
        ("a _ b", ["U-PER", "B-PER", "L-PER"], ["B-PER", "B-PER"]),
        ("a _ b", [None, "B-PER", "L-PER"], ["*", "B-PER"]),
        ("a _ b", ["B-PER", "I-PER", "L-PER"], ["B-PER", "I-PER"]),  # white space inside
        ("a _ b", [None, None, "L-PER"], ["*", "I-PER"]),
        ("a _ b", ["B-PER", "O", "L-PER"], ["B-PER", "I-PER"]),
        ("a _ b", ["U-PER", "U-LOC", "U-PER"], ["B-PER", "B-PER"]),  # an entity of white space
        ("_ _", ["O", None], []),
    ],
)
def test_tags(words, tags, expected):
    words = ["\n" if word == "_" else word for word in words.split()]
    assert names(allowed_tags(Tagged(words, tags), LABELS)) == expected


def test_other_tokenization():
    predicted = Doc(VOCAB, words=["I", "love", "New", "York", "City", "'s", "rain"])
    reference = Doc(VOCAB, words=["I", "love", "New York", "City's", "rain"])
    reference.set_ents([Span(reference, 2, 3, label="LOC")])
    example = Example(predicted, reference)
    allowed = allowed_tags(example, LABELS)
    assert names(allowed) == ["O", "O", "B-LOC", "I-LOC", "O", "O", "O"]
    assert places(to_spans(predicted, find_path(allowed), LABELS)) == [(2, 4, "LOC")]


def test_entity_across_a_token_border_is_missing():
    predicted = Doc(VOCAB, words=["in", "Rome-based", "firm"])
    reference = Doc(VOCAB, words=["in", "Rome", "-", "based", "firm"], spaces=[True, False, False, True, True])
    reference.set_ents([Span(reference, 1, 2, label="LOC")])
    example = Example(predicted, reference)
    assert names(allowed_tags(example, LABELS)) == ["O", "*", "O"]
    assert has_annotation(example)


@pytest.mark.parametrize("words", [[], ["\n"], [" ", "\n\n"]])
def test_no_content(words):
    for reference in (make_doc(words), make_doc(words, [])):
        example = Example(make_doc(words), reference)
        assert allowed_tags(example, LABELS).shape == (0, len(TAGS))
        assert not has_annotation(example)
    doc = make_doc(words)
    assert content_tokens(doc).shape == (0,)
    assert content_tokens(doc).dtype == np.int64
    assert to_spans(doc, [], LABELS) == []
    assert merge_entities(doc, [], overwrite=False) == []
    assert preset_mask(doc).shape == (len(words),)


def test_missing_annotation():
    words = ["Ann", "\n", "in", "Rome"]
    nothing = Example(make_doc(words), make_doc(words))
    assert not has_annotation(nothing)
    assert allowed_tags(nothing, LABELS).all()
    assert has_annotation(Example(make_doc(words), make_doc(words, [])))
    partly = make_doc(words)
    partly.set_ents([Span(partly, 0, 1, label="PER")], missing=[partly[3:4]])
    assert names(allowed_tags(Example(make_doc(words), partly), LABELS)) == ["B-PER", "O", "*"]
    only_outside = make_doc(words)
    only_outside.set_ents([], outside=[only_outside[2:3]], default="missing")
    example = Example(make_doc(words), only_outside)
    assert has_annotation(example)
    assert names(allowed_tags(example, LABELS)) == ["*", "O", "*"]


def test_white_space_is_no_annotation():
    reference = make_doc(["Ann", "\n"])
    reference.set_ents([], outside=[reference[1:2]], default="missing")
    assert not has_annotation(Example(make_doc(["Ann", "\n"]), reference))


def test_unknown_label_is_missing_with_a_warning():
    words = ["Ann", "Lee", "likes", "jazz"]
    example = Example(make_doc(words), make_doc(words, [(0, 2, "PER"), (3, 4, "MUSIC")]))
    with pytest.warns(UserWarning, match=r"W210.*MUSIC.*PER, LOC.*add_label"):
        assert names(allowed_tags(example, LABELS)) == ["B-PER", "I-PER", "O", "*"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            allowed_tags(example, LABELS)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="W210"):
        assert allowed_tags(example, []).tolist() == [[True]] * 4


def test_labels_with_hyphens():
    doc = make_doc(["a", "b"], [(0, 2, "B-I-X")])
    labels = ["X", "B-I-X"]
    allowed = allowed_tags(Example(make_doc(["a", "b"]), doc), labels)
    assert allowed.dtype == bool
    assert allowed.argmax(1).tolist() == [3, 4]
    assert places(to_spans(doc, [3, 4], labels)) == [(0, 2, "B-I-X")]


def test_wrong_tags_are_errors():
    doc = make_doc(["a", "b"])
    with pytest.raises(BGAError, match=r"B210.*with 2 content tokens can't have 1 tags: 'ab'"):
        to_spans(doc, [0], LABELS)
    with pytest.raises(BGAError, match=r"B210.*with 10 content tokens.*: 'abcdefgh'"):
        to_spans(make_doc(list("abcdefghij")), [0], LABELS)
    for tag in (-1, 5):
        with pytest.raises(BGAError, match=rf"B211\] {tag} is not.*with 2 labels they go from 0 to 4"):
            to_spans(doc, [0, tag], LABELS)


@pytest.fixture
def doc() -> Doc:
    """Ann and Rome are entities already, Bo is blocked."""
    doc = make_doc(["Ann", "\n", "Bo", "in", "Rome", "today"])
    doc.set_ents(
        [Span(doc, 0, 1, label="PER", kb_id="Q1", span_id="e1"), Span(doc, 4, 5, label="GPE")], blocked=[doc[2:3]]
    )
    return doc


def test_merge_keeps_the_documents_entities(doc):
    predicted = [Span(doc, 0, 2, label="LOC"), Span(doc, 2, 4, label="PER"), Span(doc, 5, 6, label="LOC")]
    merged = merge_entities(doc, predicted, overwrite=False)
    assert places(merged) == [(0, 1, "PER"), (4, 5, "GPE"), (5, 6, "LOC")]
    assert (merged[0].kb_id_, merged[0].id_) == ("Q1", "e1")
    blocked = blocked_spans(doc)
    doc.set_ents(merged, blocked=blocked)
    assert places(doc.ents) == places(merged)
    assert (doc.ents[0].kb_id_, doc.ents[0].id_) == ("Q1", "e1")
    assert [span.start for span in blocked_spans(doc)] == [2]
    assert places(merge_entities(doc, predicted, overwrite=False)) == places(merged)


def test_merge_overwrites(doc):
    predicted = [Span(doc, 0, 2, label="LOC"), Span(doc, 2, 4, label="PER"), Span(doc, 5, 6, label="LOC")]
    assert places(merge_entities(doc, predicted, overwrite=True)) == [(0, 2, "LOC"), (5, 6, "LOC")]
    overlapping = [Span(doc, 3, 5, label="LOC"), Span(doc, 4, 6, label="PER")]
    assert places(merge_entities(doc, overlapping, overwrite=True)) == [(3, 5, "LOC")]


def test_preset_mask(doc):
    content = content_tokens(doc)
    assert preset_mask(doc)[content].tolist() == [True, True, False, True, False]
    assert preset_mask(doc, overwrite=True)[content].tolist() == [False, True, False, False, False]
    assert not preset_mask(make_doc(["a", "b"])).any()
    for document in (doc, make_doc(["a", "b"])):
        for overwrite in (True, False):
            assert preset_mask(document, overwrite=overwrite).dtype == bool


@settings(max_examples=100)
@given(annotated(), st.data())
def test_what_is_merged_can_be_set(case, data):
    words, entities = case
    doc = make_doc(words, entities)
    tags = data.draw(st.lists(st.integers(0, len(TAGS) - 1), min_size=len(content_tokens(doc))))
    tags = np.array(tags[: len(content_tokens(doc))], dtype=np.int64)
    merged = merge_entities(doc, to_spans(doc, tags, LABELS), overwrite=False)
    assert set(places(doc.ents)) <= set(places(merged))
    # Where the preset tokens are held at "O", nothing has to be dropped
    held = to_spans(doc, np.where(preset_mask(doc)[content_tokens(doc)], 0, tags), LABELS)
    assert len(merge_entities(doc, held, overwrite=False)) == len(doc.ents) + len(held)
    doc.set_ents(merged)
    assert places(doc.ents) == places(merged)
