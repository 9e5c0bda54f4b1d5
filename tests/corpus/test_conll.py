from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.vocab import Vocab

from spacy_bga.corpus.conll import doc_to_conll, map_tag, mend_tags, parse_conll, post_to_doc, read_conll
from spacy_bga.errors import BGAError

SAMPLE = "IMGID:7\n#\tO\nNBA\tB-ORG\n:\tO\nKawhi\tB-PER\nLeonard\tI-PER\nwins\tO\n\nIMGID:O_8\nNo\tO\nnames\tO\n\n"


def parse(text: str | bytes):
    data = text.encode("utf8") if isinstance(text, str) else text
    return list(parse_conll(io.BytesIO(data)))


def test_posts():
    first, second = parse(SAMPLE)
    assert first.words == ("#", "NBA", ":", "Kawhi", "Leonard", "wins")
    assert first.tags == ("O", "B-ORG", "O", "B-PER", "I-PER", "O")
    assert (first.image_id, first.line) == ("7", 1)
    assert (second.image_id, second.line) == ("O_8", 9)


@pytest.mark.parametrize(
    "text",
    [
        SAMPLE.replace("\n", "\r\n"),
        "\ufeff" + SAMPLE,
        SAMPLE.replace("\t", " "),
        SAMPLE.replace("\n", "  \n"),
        SAMPLE.replace("\n\n", "\n \t\n\n\n"),
        SAMPLE.rstrip("\n"),
        "\n\n" + SAMPLE,
        SAMPLE.replace("\n\nIMGID", "\nIMGID"),
        SAMPLE.replace("IMGID:7", "IMGID: 7"),
    ],
)
def test_tolerated_shapes(text):
    assert [(p.words, p.tags, p.image_id) for p in parse(text)] == [
        (p.words, p.tags, p.image_id) for p in parse(SAMPLE)
    ]


def test_without_image_ids_and_without_tokens():
    assert [(p.words, p.image_id, p.line) for p in parse("a O\n\nb O\n")] == [(("a",), None, 1), (("b",), None, 3)]
    assert [(p.words, p.image_id) for p in parse("IMGID:1\nIMGID:2\na O\n")] == [((), "1"), (("a",), "2")]
    assert parse("") == []


def test_a_token_that_looks_like_an_image_id():
    assert parse("IMGID:x\tO\n")[0].words == ("IMGID:x",)


@pytest.mark.parametrize(
    "line", ["word", "word\tX", "word\tB", "word\tB-", "a b c", "a\tb\tO", "\tO", "word\tX-PER", "word\t-"]
)
def test_unknown_lines_are_named(line, tmp_path):
    path = tmp_path / "posts.txt"
    path.write_text(f"IMGID:1\nfine\tO\n{line}\n", encoding="utf8")
    with pytest.raises(BGAError, match=r"B310.*posts\.txt, line 3"):
        list(read_conll(path))


def test_not_utf8():
    with pytest.raises(BGAError, match=r"line 2.*UTF-8"):
        parse(b"IMGID:1\ncaf\xe9\tO\n")


@pytest.mark.parametrize(
    ("tags", "mended", "orphans"),
    [
        ("O I-PER I-PER", "O B-PER I-PER", 1),
        ("I-PER", "B-PER", 1),
        ("B-PER I-LOC I-LOC", "B-PER B-LOC I-LOC", 1),
        ("B-PER I-PER B-PER O I-PER", "B-PER I-PER B-PER O B-PER", 1),
        ("B-PER I-PER O", "B-PER I-PER O", 0),
    ],
)
def test_mend_tags(tags, mended, orphans):
    assert mend_tags(tags.split()) == (mended.split(), orphans)


def test_map_tag():
    assert [map_tag(t, {"OTHER": "MISC"}) for t in ("O", "B-OTHER", "I-OTHER", "B-PER")] == [
        "O",
        "B-MISC",
        "I-MISC",
        "B-PER",
    ]


def test_a_blank_line_after_the_image_id():
    posts = parse("IMGID:1\n\nfine\tO\n\nIMGID:2\n \n\nalso\tO\n\nIMGID:3\n\nIMGID:4\nend\tO\n")
    assert [(post.words, post.image_id) for post in posts] == [
        (("fine",), "1"),
        (("also",), "2"),
        ((), "3"),
        (("end",), "4"),
    ]


@pytest.mark.parametrize("separator", ["\t", " "])
def test_columns_between_are_skipped(separator):
    lines = [
        "-DOCSTART- -X- -X- O",
        "",
        "U.N. NNP I-NP I-ORG",
        "official NN I-NP O",
        "",
        "-DOCSTART- -X- O B-X",
        "Go VB O O",
    ]
    first, second = parse("\n".join(lines).replace(" ", separator))
    assert (first.words, first.tags) == (("U.N.", "official"), ("I-ORG", "O"))
    assert (second.words, second.tags, second.line) == (("Go",), ("O",), 7)


@pytest.mark.parametrize("text", ["New\tB-geo loc\nYork\tI-geo loc\n", "New B-geo loc\nYork I-geo loc\n"])
def test_a_label_may_have_a_space(text):
    (post,) = parse(text)
    assert (post.words, post.tags) == (("New", "York"), ("B-geo loc", "I-geo loc"))


def test_a_bad_line_costs_its_post_alone():
    errors: list[BGAError] = []
    text = b"IMGID:1\none\tO\n\nIMGID:2\nbad\tnonsense\nline\tO\n\nIMGID:3\n\xff\tO\n\nIMGID:4\nfour\tB-PER\n"
    posts = list(parse_conll(io.BytesIO(text), name="posts.txt", on_bad_line=errors.append))
    assert [(post.image_id, post.words) for post in posts] == [("1", ("one",)), ("4", ("four",))]
    assert [re.search(r"line (\d+)", str(error))[1] for error in errors] == ["5", "9"]


def test_doc_keeps_tokens_labels_and_id():
    post = parse("IMGID:9\n@user_1\tO\ncan't\tO\nNew\tB-geo-loc\nYork\tI-geo-loc\n")[0]
    doc = post_to_doc(post, Vocab())
    assert [t.text for t in doc] == ["@user_1", "can't", "New", "York"]
    assert [(e.text, e.label_) for e in doc.ents] == [("New York", "geo-loc")]
    assert doc.has_unknown_spaces
    assert doc.user_data["image_id"] == "9"
    assert doc.has_annotation("ENT_IOB")


WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters="\ufeff"), min_size=1
)
LABELS = st.sampled_from(["PER", "LOC", "ORG", "MISC", "geo-loc"])
TAGS = st.one_of(st.just("O"), LABELS.map("B-{}".format), LABELS.map("I-{}".format))
POSTS = st.tuples(
    st.none() | st.from_regex(r"[A-Za-z0-9_]{1,12}", fullmatch=True), st.lists(st.tuples(WORDS, TAGS), min_size=1)
)


@given(st.lists(POSTS, min_size=1, max_size=4))
@settings(max_examples=100)
def test_text_to_docs_to_text(posts):
    text = ""
    for image_id, tokens in posts:
        tags = mend_tags([tag for _, tag in tokens])[0]
        lines = [] if image_id is None else [f"IMGID:{image_id}"]
        lines += [f"{word}\t{tag}" for (word, _), tag in zip(tokens, tags, strict=True)]
        text += "\n".join(lines) + "\n\n"
    vocab = Vocab()
    docs = [post_to_doc(post, vocab) for post in parse_conll(line + b"\n" for line in text.encode("utf8").split(b"\n"))]
    stored = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], docs=docs, store_user_data=True).to_bytes()
    again = list(DocBin().from_bytes(stored).get_docs(Vocab()))
    assert "".join(doc_to_conll(doc) for doc in docs) == text
    assert "".join(doc_to_conll(doc) for doc in again) == text
    assert all(doc.has_unknown_spaces for doc in again)
