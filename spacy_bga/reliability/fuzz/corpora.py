"""CoNLL and JSONL files, as collectors, editors and spreadsheets leave them, converted and read back."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from hypothesis import strategies as st
from spacy.language import Language

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import expect, judge
from spacy_bga.reliability.fuzz.worker import fresh_folder

GUARD = "kevin durant joins the warriors"  # a good line before and after
GOOD_LINE = json.dumps({"text": GUARD, "image": "there.png", "spans": [{"start": 0, "end": 12, "label": "PER"}]})
GOOD_POST = "IMGID:there\nkevin\tB-PER\ndurant\tI-PER\njoins\tO"

_ends = ["\n", "\r\n", "\r", "\n\n", "\u2028", "\x0b", "\x0c", "\x85", "\n\r", "\x1e", ""]
_marks = [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"+/v8", b"\xff\xfe\0\0"]
_encodings = ["utf-8", "utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7", "shift_jis"]
_word = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_labels = st.one_of(st.sampled_from(["PER", "LOC", "ORG", "OTHER", "", "B-PER", "x y", "\u202e", "per", "-"]), _word)
_tags = st.one_of(
    st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]),
    st.builds(
        "{}{}".format, st.sampled_from(["B-", "I-", "S-", "E-", "L-", "U-", "b-", "B", "O-", "-", "", "I_"]), _labels
    ),
)
_ids = st.one_of(
    st.sampled_from(["there", "1", "", " ", "../there", "there.png", "/", "a" * 300, "\0", "IMGID:2"]), _word
)


@dataclass(frozen=True)
class File:
    """A file to convert. name (str): Its name, by which the format may be told. content (bytes): What is in it.
    format (str): Which format to convert it as. guarded (bool): Whether good lines of JSONL stand around the others.
    """

    name: str
    content: bytes
    format: str = "auto"
    guarded: bool = False


def _conll(lines: Iterable[str], *, end: str = "\n") -> File:
    text = end.join([GOOD_POST.replace("\n", end), "", *lines, "", GOOD_POST.replace("\n", end), ""])
    return File("posts.txt", text.encode("utf8", "surrogatepass"), "conll")


def _jsonl(lines: Iterable[str]) -> File:
    text = "\n".join([GOOD_LINE, *lines, GOOD_LINE, ""])
    return File("posts.jsonl", text.encode("utf8", "surrogatepass"), "jsonl", guarded=True)


def _both(lines: st.SearchStrategy[list[str]], records: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[File]:
    """RETURNS (SearchStrategy[File]): Files of both formats, of lines and of records."""
    return st.one_of(
        lines.map(_conll),
        records.map(lambda items: _jsonl(json.dumps(i, ensure_ascii=bool(len(str(i)) % 2)) for i in items)),
    )


_post_lines = st.lists(
    st.one_of(
        st.builds("{}\t{}".format, _word, st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"])),
        st.builds("IMGID:{}".format, _ids),
        st.just(""),
    ),
    max_size=12,
)
_span = st.fixed_dictionaries({"start": st.integers(0, 30), "end": st.integers(0, 40), "label": _labels})
_record = st.fixed_dictionaries(
    {"text": st.one_of(st.just(GUARD), st.lists(_word, max_size=8).map(" ".join))},
    optional={"image": st.one_of(_ids, st.lists(_ids, max_size=3)), "spans": st.lists(_span, max_size=4)},
)
_records = st.lists(_record, min_size=1, max_size=5)


@st.composite
def _line_ends(draw: st.DrawFn) -> File:
    lines = [*draw(_post_lines), *(json.dumps(r) for r in draw(st.lists(_record, max_size=2)))]
    text = "".join(line + draw(st.sampled_from(_ends)) for line in lines)
    as_json = draw(st.booleans())
    return File("posts.jsonl" if as_json else "posts.txt", text.encode("utf8"), "auto")


@st.composite
def _byte_order_marks(draw: st.DrawFn) -> File:
    lines = draw(st.one_of(_post_lines, _records.map(lambda items: [json.dumps(item) for item in items])))
    encoding = draw(st.sampled_from(_encodings))
    parts = [line.encode(encoding, "replace") + draw(st.sampled_from([b"\n", b"\n", b"\n\0"])) for line in lines]
    content = draw(st.sampled_from(_marks)) + b"".join(
        draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf"])) + part for part in parts
    )
    return File(draw(st.sampled_from(["posts.jsonl", "posts.txt", "posts"])), content, "auto")


@st.composite
def _gigantic(draw: st.DrawFn) -> File:
    """Lines of up to millions of characters, and JSON that is deep, long or full of digits."""
    r = random.Random(draw(st.integers(0, 2**64)))
    size = r.choice([10_000, 100_000, 999_999, 1_500_000]) + r.randint(0, 999)
    few = r.randint(1_000, 20_000)
    long_word = (r.choice(["a", "é", "😀", "ab-", "\u200d"]) * size)[:size]
    many = [{"start": i, "end": i + r.randint(1, 5), "label": "PER"} for i in range(few)]
    if draw(st.booleans()):
        line = r.choice(
            [
                f"{long_word}\tO",
                f"word\tB-{long_word}",
                f"IMGID:{long_word}",
                long_word,
                " " * size,
                "\t" * size,
                f"a{' ' * size}O",
            ]
        )
        return _conll([line, *["word\tB-PER"] * r.choice([0, few])])
    return _jsonl(
        [
            r.choice(
                [
                    json.dumps({"text": "a " * (size // 2)}),
                    json.dumps({"text": (r.choice(["(", "😀", "x"]) * few) + str(r.random())}),
                    json.dumps({"text": "ab " * few, "spans": many}),
                    json.dumps({"text": GUARD, "image": long_word}),
                    json.dumps({"text": GUARD, "image": ["x.png"] * few}),
                    json.dumps({"text": GUARD, "spans": [{"start": 0, "end": 5, "label": long_word}]}),
                    json.dumps({"text": GUARD, "spans": [long_word]}),
                    '{"text": ' + "[" * size,
                    '{"a":' * few + "1" + "}" * few,
                    '{"text": "a", "spans": [{"start": ' + "9" * few + "}]}",
                    '{"text": "a", "n": ' + "9" * size + "}",
                    '{"text": "a", "n": 1e' + "9" * few + "}",
                    json.dumps({str(i): i for i in range(few)}),
                ]
            )
        ]
    )


def _columns(separators: st.SearchStrategy[str], counts: st.SearchStrategy[int]) -> st.SearchStrategy[File]:
    """RETURNS (SearchStrategy[File]): CoNLL lines of so many columns; JSONL of another shape than records have."""
    cells = st.one_of(_word, st.sampled_from(["O", "B-PER", "_", "-X-", "NNP"]))

    @st.composite
    def line(draw: st.DrawFn) -> str:
        return "".join(draw(cells) + draw(separators) for _ in range(draw(counts))) + draw(cells)

    scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _word)
    shapes = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_word, inner, max_size=3)
    )
    odd = st.fixed_dictionaries({}, optional={"text": shapes, "image": shapes, "spans": shapes})
    return _both(st.lists(line(), min_size=1, max_size=6), st.lists(st.one_of(odd, shapes), min_size=1, max_size=4))


@st.composite
def _duplicates(draw: st.DrawFn) -> File:
    identity = draw(_ids)
    if draw(st.booleans()):
        lines = [line for _ in range(draw(st.integers(2, 6))) for line in (f"IMGID:{identity}", *draw(_post_lines))]
        return _conll(lines)
    key = draw(st.sampled_from(["text", "image", "spans", "id"]))
    values = [json.dumps(draw(st.one_of(_ids, st.integers(), st.none(), st.just(GUARD)))) for _ in range(3)]
    twice = "{" + ", ".join(f'"{key}": {value}' for value in values) + f', "id": {json.dumps(identity)}' + "}"
    same = json.dumps({"id": identity, "text": draw(_word), "image": identity or "x"})
    return _jsonl([twice, *[same] * draw(st.integers(2, 5))])


_numbers: st.SearchStrategy[Any] = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([-1, 0, 31, 32, 2**31, 2**63, 2**64, -(2**70), 1.5, 1e308, float("nan"), True, None, "0", [], {}]),
)
_bad_span = st.one_of(
    st.fixed_dictionaries({}, optional={"start": _numbers, "end": _numbers, "label": st.one_of(_labels, _numbers)}),
    st.one_of(_numbers, _word),
)
_out_of_bounds = st.builds(
    lambda text, spans: {"text": text, "spans": spans},
    st.one_of(st.just(GUARD), st.text(st.characters(exclude_categories=["Cs"]), max_size=30)),
    st.one_of(st.lists(_bad_span, min_size=1, max_size=6), st.lists(_span, min_size=2, max_size=12), _numbers),
)

FORMS = {
    "mixed line ends": Form(_line_ends(), share=4),
    "byte order marks": Form(_byte_order_marks(), share=4),
    "tabs and spaces": Form(
        _columns(st.text(st.sampled_from("\t  \u00a0\u3000\u2003\x1f"), min_size=1, max_size=3), st.just(1)), share=3
    ),
    "wrong column counts": Form(_columns(st.sampled_from(["\t", " "]), st.integers(0, 5)), share=3),
    "gigantic lines": Form(_gigantic(), share=1),
    "duplicate ids": Form(_duplicates(), share=3),
    "unknown tags": Form(
        _both(
            st.lists(st.builds("{}\t{}".format, _word, _tags), min_size=1, max_size=8),
            st.lists(
                st.builds(lambda label: {"text": GUARD, "spans": [{"start": 0, "end": 5, "label": label}]}, _labels),
                min_size=1,
                max_size=3,
            ),
        ),
        share=3,
    ),
    "spans out of bounds": Form(
        st.lists(_out_of_bounds, min_size=1, max_size=4).map(lambda items: _jsonl(map(json.dumps, items))), share=3
    ),
}


@dataclass
class Bench:
    """A place to write to, and a language to read with."""

    folder: Path
    nlp: Language


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): A folder below, and a blank pipeline."""
    return Bench(folder / "corpora", spacy.blank("en"))


def attempt(bench: Bench, file: File) -> str:
    """Convert a file, and read what was made of it as training does. Of JSONL, the good lines are always there."""
    source = fresh_folder(bench.folder) / file.name
    source.write_bytes(file.content)
    output = bench.folder / "out.spacy"
    outcome = judge(lambda: convert(source, output, format=file.format, images=bench.folder, lang=bench.nlp))  # type: ignore[arg-type]
    if file.guarded:
        expect(outcome == "answer", f"the good lines are lost: {outcome}")
    if outcome == "answer":
        _read_back(bench, output, file)
    return outcome


def _read_back(bench: Bench, output: Path, file: File) -> None:
    examples = list(ImageCorpus(output, images=bench.folder, on_missing="ignore")(bench.nlp))
    expect(examples, "nothing can be read of what was converted")
    if file.guarded:
        for example in (examples[0], examples[-1]):
            expect(example.reference.text == GUARD, "the good lines are not where they were")
            expect([(e.text, e.label_) for e in example.reference.ents] == [("kevin durant", "PER")], "other entities")
    for example in examples:
        example.get_aligned_ner()


KIND = Kind(FORMS, open_bench, attempt)
