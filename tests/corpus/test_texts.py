"""Documents of any text, without losing the others of a stream."""

from __future__ import annotations

import time
from typing import Any

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language

from spacy_bga.corpus.texts import MAX_WORD, make_doc, make_docs
from spacy_bga.errors import BGAError

NLP = spacy.blank("en")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_ordinary_text_gets_the_tokens_that_spacy_gives_it(text: str):
    own, theirs = make_doc(NLP, text), NLP.make_doc(text)
    assert [(t.text, t.whitespace_, t.norm_) for t in own] == [(t.text, t.whitespace_, t.norm_) for t in theirs]


@given(st.lists(st.sampled_from(["a", "\ud83d", "\udc00", " ", "é", "😀"])).map("".join))
def test_every_offset_stays_where_it_was(text: str):
    doc = make_doc(NLP, text)
    assert doc.text == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("(a😀-"), st.integers(1, 3 * MAX_WORD), st.sampled_from(["", " ", "\n", "\u3000", "\u2028"])
        ),
        max_size=4,
    )
)
def test_long_words_are_cut_and_nothing_is_lost(parts: list[tuple[str, int, str]]):
    text = "".join(letter * size + space for letter, size, space in parts)
    doc = make_doc(NLP, text)
    assert doc.text == text
    assert max((len(token) for token in doc if not token.is_space), default=0) <= MAX_WORD
    assert not (text and doc.has_annotation("ENT_IOB"))


def test_thousands_of_brackets_take_no_time():
    """By itself, spaCy's tokenizer takes the square of their number: 40 seconds for these."""
    start = time.process_time()
    doc = make_doc(NLP, "(" * 20_000 + "😀" * 20_000)
    assert len(doc) == 40_000
    assert time.process_time() - start < 5


def test_another_tokenizer_gets_the_whole_text():
    """Only spaCy's own is known to take the square of a word's length; Chinese has no spaces between words."""
    nlp = spacy.blank("zh")
    text = "我爱北京" * MAX_WORD
    assert [t.text for t in make_doc(nlp, text)] == [t.text for t in nlp.make_doc(text)]


@pytest.mark.parametrize("text", [None, b"bytes", 3, ["a"]])
def test_no_string(text: Any):
    with pytest.raises(BGAError, match=r"B720.*string"):
        make_doc(NLP, text)


class TestStream:
    @pytest.fixture
    def nlp(self) -> Language:
        nlp = spacy.blank("en")
        nlp.max_length = 20
        return nlp

    def test_what_cannot_be_read_costs_no_other(self, nlp: Language):
        failed: list[tuple[str, str]] = []
        nlp.set_error_handler(lambda name, _, docs, error: failed.append((docs[0].text, str(error))))  # type: ignore
        texts = ["before", "\ud800 half", "too long, " * 9, "", None, "after"]
        assert [doc.text for doc in nlp.pipe(make_docs(nlp, texts))] == ["before", "\ufffd half", "", "after"]
        assert [text for text, _ in failed] == [texts[2][:40], "None"]
        assert [message[:6] for _, message in failed] == ["[B721]", "[B720]"]

    def test_contexts_stay_with_their_texts(self, nlp: Language):
        nlp.set_error_handler(lambda *_: None)  # type: ignore[arg-type]
        pairs = [("one", 1), ("x" * 30, 2), ("three", 3)]
        found = nlp.pipe(make_docs(nlp, pairs, as_tuples=True), as_tuples=True)
        assert [(doc.text, number) for doc, number in found] == [("one", 1), ("three", 3)]

    def test_without_a_handler_it_raises(self, nlp: Language):
        with pytest.raises(BGAError, match=r"B721.*30.*20"):
            list(make_docs(nlp, ["fine", "x" * 30]))
