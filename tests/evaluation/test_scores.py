from __future__ import annotations

import numpy as np
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.evaluation.bootstrap import f1
from spacy_bga.evaluation.scores import entity_counts

VOCAB = spacy.blank("en").vocab
TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "")
WORDS = ["Kevin", "Durant", "joins", "Golden", "State"]


def make_doc(tags: list[str], words: list[str]) -> Doc:
    return Doc(VOCAB, words=words, spaces=[True] * len(words), ents=tags)


def make_tags(allowed: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    def mend(tags: list[str]) -> list[str]:
        """An entity begins with B."""
        for place, tag in enumerate(tags):
            if tag.startswith("I") and (not place or tags[place - 1][1:] != tag[1:]):
                tags[place] = "B" + tag[1:]
        return tags

    return st.lists(st.sampled_from(allowed), min_size=5, max_size=5).map(mend)


@given(st.lists(st.tuples(make_tags(TAGS[:-1]), make_tags(TAGS)), min_size=1, max_size=4))
def test_counts_are_those_of_spacys_scorer(documents: list[tuple[list[str], list[str]]]):
    examples = [Example(make_doc(found, WORDS), make_doc(gold, WORDS)) for found, gold in documents]
    right, predicted, gold = np.sum([entity_counts(example) for example in examples], axis=0)
    scores = get_ner_prf(examples)
    if scores["ents_p"] is None:
        assert right == predicted == gold == 0
    else:
        assert right / (predicted or 1) == pytest.approx(scores["ents_p"])
        assert right / (gold or 1) == pytest.approx(scores["ents_r"])
        counts = np.array([entity_counts(example) for example in examples])
        assert f1(counts) == pytest.approx(100 * scores["ents_f"])


def test_tokens_may_differ():
    found = make_doc(["B-PER", "O", "B-ORG"], ["Kevin", "joins", "Warriors"])
    words, spaces = ["Ke", "vin", "joins", "Warriors"], [False, True, True, True]
    example = Example(found, Doc(VOCAB, words=words, spaces=spaces, ents=["B-PER", "I-PER", "O", "O"]))
    assert entity_counts(example) == [1, 2, 1]
    assert get_ner_prf([example])["ents_p"] == 0.5


def test_a_document_without_annotation_counts_nothing():
    found = make_doc(["B-PER", "O", "O", "O", "O"], WORDS)
    assert entity_counts(Example(found, Doc(VOCAB, words=WORDS))) == [0, 0, 0]
