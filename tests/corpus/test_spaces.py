"""The text of a document of which a file gives the tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin

from spacy_bga.corpus.conll import Post, post_to_doc
from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.spaces import find_spaces, fit_to_text

VOCAB = spacy.blank("xx").vocab


@pytest.mark.parametrize(
    ("lang", "words", "text"),
    [
        ("zh", "北 京 的 T i m ， 好", "北京的Tim，好"),
        ("zh", "苹果 的 iPhone 15 Pro ， 好", "苹果的iPhone 15 Pro，好"),
        ("ja", "東京 の SONY は 3 台", "東京のSONYは3台"),
        ("th", "ฉัน รัก กรุงเทพ Bangkok City", "ฉันรักกรุงเทพBangkok City"),
        ("zh", "好", "好"),
    ],
)
def test_languages_without_spaces(lang: str, words: str, text: str):
    tokens = words.split()
    spaces = find_spaces(tokens, lang)
    assert spaces is not None
    assert "".join(word + " " * space for word, space in zip(tokens, spaces, strict=True)) == text


@pytest.mark.parametrize("lang", ["", "en", "ko", "xx"])
def test_languages_with_spaces(lang: str):
    assert find_spaces(["서울", "에서"], lang) is None


def test_converted(tmp_path: Path):
    """The corpus has the text that the pipeline is going to read, and spaCy's reader reads it."""
    (tmp_path / "posts.txt").write_text("我\tO\n爱\tO\n北\tB-LOC\n京\tI-LOC\n\n好\tO\n", encoding="utf8")
    convert(tmp_path / "posts.txt", tmp_path / "out.spacy", lang="zh")
    nlp = spacy.blank("zh")
    first, second = DocBin().from_disk(tmp_path / "out.spacy").get_docs(nlp.vocab)
    assert (first.text, second.text) == ("我爱北京", "好")
    assert not first.has_unknown_spaces
    example = next(iter(spacy.training.Corpus(tmp_path / "out.spacy")(nlp)))
    assert example.predicted.text == "我爱北京"
    assert example.get_aligned_ner() == ["O", "O", "B-LOC", "L-LOC"]


WORDS = st.lists(st.text("ab.京🎉", min_size=1, max_size=3), min_size=1, max_size=8)
GAPS = st.lists(st.sampled_from(["", " ", "  ", "\n", " \t"]), min_size=9, max_size=9)
TAGS = st.lists(st.sampled_from(["O", "B-A", "I-A", ""]), min_size=8, max_size=8)


@given(WORDS, GAPS, TAGS)
def test_a_text_that_comes_with_its_tokens_is_kept(words: list[str], gaps: list[str], tags: list[str]):
    text = gaps[-1] + "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    tags = tags[: len(words)]
    tags = [tag if tag != "I-A" or (i and tags[i - 1][-1:] == "A") else "B-A" for i, tag in enumerate(tags)]
    doc = post_to_doc(Post(tuple(words), tuple(tags), None, 1, text=text), VOCAB)
    assert doc.text == text
    assert not doc.has_unknown_spaces
    content = [token for token in doc if not token.is_space]
    assert [token.text for token in content] == words
    assert [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else t.ent_iob_ for t in content] == tags
    plain = post_to_doc(Post(tuple(words), tuple(tags), None, 1), VOCAB)
    assert ["".join(ent.text.split()) for ent in doc.ents] == ["".join(ent.text.split()) for ent in plain.ents]
    assert doc.has_annotation("ENT_IOB") == any(tags)


def test_a_text_of_other_tokens_is_not_theirs():
    assert fit_to_text(["a", "b"], ["O", "O"], "a c") is None
    doc = post_to_doc(Post(("a", "b"), ("O", "O"), None, 1, text="a c"), VOCAB)
    assert (doc.text.strip(), doc.has_unknown_spaces) == ("a b", True)
