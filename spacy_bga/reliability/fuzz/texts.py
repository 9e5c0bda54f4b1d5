"""Texts: everything that a string of Python can hold, in the middle of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bga.corpus.texts import make_docs
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import ANSWER, clear, expect
from spacy_bga.reliability.tiny import make_pipeline, write_text_encoder

BEFORE, AFTER = "kevin durant joins the warriors", "apple is in new york !"

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e\u115f\u3164\ufe0e\ufe0f\U000e0020\U000e007f"
PICTOGRAMS = "👩👨🏽❤🔥🏳🌈🇩🇪👍é漢נع"
_unicode = st.characters(exclude_categories=["Cs"])
_words = st.sampled_from(
    ["kevin", "New York", "durant!", "@warriors", "#nba", "http://t.co/x", "it's", " ", "\n", "😀"]
)


def _mixed(strange: st.SearchStrategy[str], *, most: int = 60) -> st.SearchStrategy[str]:
    """RETURNS (SearchStrategy[str]): Strange characters among usual words and letters."""
    return st.lists(st.one_of(strange, strange, _words, _unicode), min_size=1, max_size=most).map("".join)


@st.composite
def _megabytes(draw: st.DrawFn) -> str:
    """One token, as no white space is in it, of up to a million characters."""
    tail = draw(st.text("abcx.-_@#", min_size=1))
    if draw(st.integers(0, 9)) < 3:  # of each of these, tokenizers make a token or a wordpiece, which takes its time
        dear = draw(st.sampled_from(["(", "😀", "'s", "http://a", "漢", ":)", "$1"]))
        return dear * (draw(st.integers(500, 2_000)) * draw(st.sampled_from([1, 1, 1, 1, 10]))) + tail
    size = draw(st.sampled_from([50_000, 200_000, 999_000])) + draw(st.integers(0, 999))
    unit = draw(st.sampled_from(["a", "Ab1", ".", "a.", "x,", "0", "\u200d", "\u0301", "ß", tail]))
    return (unit * (size // len(unit) + 1))[:size]


FORMS = {
    "all of Unicode": Form(_mixed(st.text(_unicode, min_size=1, max_size=8)), share=6),
    "lone surrogates": Form(_mixed(st.characters(categories=["Cs"])), share=4),
    "control characters": Form(_mixed(st.characters(categories=["Cc"])), share=4),
    "bidi characters": Form(_mixed(st.sampled_from(BIDI)), share=4),
    "zero-width sequences": Form(
        _mixed(st.text(st.sampled_from(ZERO_WIDTH + PICTOGRAMS), min_size=1, max_size=10)), share=4
    ),
    "megabyte tokens": Form(_megabytes(), share=1),
}


@dataclass(frozen=True)
class Bench:
    """A pipeline, and what it says of the texts before and after."""

    nlp: Language
    expected: list[list[tuple[str, str]]]


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): A pipeline on a tiny encoder."""
    encoder = folder / "text_encoder"
    encoder.mkdir()
    nlp = make_pipeline(write_text_encoder(encoder), None)
    return Bench(nlp, [_entities(doc) for doc in nlp.pipe([BEFORE, AFTER])])


def attempt(bench: Bench, text: str) -> str:
    """Tag a text in the middle of a batch. The others are tagged as ever, whatever it is."""
    errors: list[Exception] = []
    bench.nlp.set_error_handler(lambda name, pipe, docs, error: errors.append(error))  # type: ignore[arg-type,return-value]
    docs = list(bench.nlp.pipe(make_docs(bench.nlp, [BEFORE, text, AFTER])))
    expect(len(docs) + len(errors) == 3, f"{len(docs)} documents and {len(errors)} errors for 3 texts")
    expect([_entities(docs[0]), _entities(docs[-1])] == bench.expected, "the others of the batch are tagged otherwise")
    if errors:
        return clear(errors[0])
    expect(len(docs[1].text) == len(text), "the text has another length")
    expect(all(a == b or "\ud800" <= a <= "\udfff" for a, b in zip(text, docs[1].text, strict=True)), "another text")
    check_entities(docs[1])
    return ANSWER


def _entities(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def check_entities(doc: Doc) -> None:
    """Entities stand in order, don't overlap, and neither begin nor end on white space."""
    ends: Sequence[int] = [0, *(ent.end for ent in doc.ents)]
    for ent, end in zip(doc.ents, ends, strict=False):
        expect(end <= ent.start < ent.end, "entities overlap")
        expect(not ent[0].is_space and not ent[-1].is_space, "an entity begins or ends on white space")
        expect(ent.label_ in ("PER", "ORG", "LOC"), f"the unknown label {ent.label_!r}")


KIND = Kind(FORMS, open_bench, attempt)
