"""What is shown as an error is what spaCy's scorer counts as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_bga.evaluation.comparison import Verdict, compare
from tests.viewer.conftest import VOCAB, make_doc

TAGS = st.lists(st.sampled_from(["O", "-", "B-PER", "I", "B-LOC"]), min_size=1, max_size=9)


def tagged(tags: list[str], *, missing: bool) -> Doc:
    """A document with a token for each tag; "-" is not annotated, or nothing."""
    doc = Doc(VOCAB, words=[f"w{i}" for i in range(len(tags))])
    spans: list[Span] = []
    for i, tag in enumerate(tags):
        if tag == "I" and spans and spans[-1].end == i:
            spans[-1] = Span(doc, spans[-1].start, i + 1, label=spans[-1].label)
        elif tag.startswith("B-"):
            spans.append(Span(doc, i, i + 1, label=tag[2:]))
    unknown = [doc[i : i + 1] for i, tag in enumerate(tags) if tag == "-" and missing]
    doc.set_ents(spans, missing=unknown, default="outside")
    return doc


@given(st.data())
def test_as_the_scorer_counts(data: st.DataObject):
    gold_tags = data.draw(TAGS)
    tags = data.draw(st.lists(st.sampled_from(["O", "B-PER", "I", "B-LOC"]), min_size=len(gold_tags), max_size=9))
    doc, gold = tagged(tags[: len(gold_tags)], missing=False), tagged(gold_tags, missing=True)
    found = compare(doc, gold)
    if found is None:
        assert set(gold_tags) <= {"-"}
        return
    counted = get_ner_prf([Example(doc, gold)])
    micro = counted["ents_per_type"] or {}
    expected = [sum(score[key] for score in micro.values()) for key in ("p", "r")] if micro else None
    assert (found.correct == found.wrong == found.lost == 0) == (expected is None)
    precision = found.correct / (found.correct + found.wrong) if found.correct + found.wrong else 0
    recall = found.correct / (found.correct + found.lost) if found.correct + found.lost else 0
    if expected is not None:
        assert (counted["ents_p"], counted["ents_r"]) == (precision, recall)
    assert found.errors == found.wrong + found.lost
    assert (len(found.predicted), len(found.gold)) == (len(doc.ents), len(gold.ents))


def test_each_verdict():
    doc = make_doc("a b c d e f g", [(0, 1, "PER"), (1, 2, "LOC"), (2, 4, "ORG"), (5, 6, "PER")])
    gold = make_doc("a b c d e f g", [(0, 1, "PER"), (1, 2, "ORG"), (3, 4, "ORG"), (6, 7, "LOC")])
    found = compare(doc, gold)
    assert found is not None
    right, label, borders = Verdict.CORRECT, Verdict.WRONG_LABEL, Verdict.WRONG_BORDERS
    assert [j.verdict for j in found.predicted] == [right, label, borders, Verdict.SPURIOUS]
    assert [j.verdict for j in found.gold] == [right, label, borders, Verdict.MISSED]
    assert [other.label_ for other in found.predicted[1].others] == ["ORG"]
    assert (found.correct, found.wrong, found.lost, found.errors) == (1, 3, 3, 6)


def test_other_tokens_same_characters():
    doc = Doc(VOCAB, words=["#", "New", "York"], spaces=[False, True, False])
    doc.set_ents([Span(doc, 1, 3, label="LOC")])
    gold = Doc(VOCAB, words=["#New", "York"])
    gold.set_ents([Span(gold, 0, 2, label="LOC")])
    found = compare(doc, gold)
    assert found is not None
    assert found.predicted[0].verdict is Verdict.CORRECT
    assert get_ner_prf([Example(doc, gold)])["ents_f"] == 1


def test_two_predicted_where_gold_has_one_token():
    doc = Doc(VOCAB, words=["New", "York"], spaces=[False, False])
    doc.set_ents([Span(doc, 0, 1, label="PER"), Span(doc, 1, 2, label="LOC")])
    gold = Doc(VOCAB, words=["NewYork"])
    gold.set_ents([Span(gold, 0, 1, label="LOC")])
    found = compare(doc, gold)
    assert found is not None
    assert [j.verdict for j in found.predicted] == [Verdict.WRONG_BORDERS, Verdict.CORRECT]
    assert [j.place for j in found.predicted] == [(0, 1), (0, 1)]
    counted = get_ner_prf([Example(doc, gold)])
    assert (counted["ents_p"], counted["ents_r"]) == (0.5, 1.0) == (found.correct / 2, found.correct / 1)


def test_what_nobody_annotated():
    gold = Doc(VOCAB, words=["a", "b"])
    assert compare(make_doc("a b", [(0, 1, "PER")]), gold) is None
    gold.set_ents([], missing=[gold[0:1]], default="outside")
    found = compare(make_doc("a b", [(0, 1, "PER"), (1, 2, "PER")]), gold)
    assert found is not None
    assert [j.verdict for j in found.predicted] == [Verdict.UNKNOWN, Verdict.SPURIOUS]
    assert found.errors == 1
