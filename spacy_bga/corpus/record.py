"""A labelled or unlabelled text by its characters, as annotation tools export it, and the document that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from spacy_bga.corpus.offsets import CharSpan, Offsets, has_wide, settle, to_characters, trim, unit_positions


@dataclass(frozen=True)
class Record:
    """One text of a file.

    text (str): The text.
    images (tuple[str | bytes, ...]): Relative paths, `data:` URIs or encoded images: the image first, then its crops.
    spans (tuple[CharSpan, ...] | None): Its entities; empty: it has none; None: nobody has annotated it.
    line (int): The number of the line.
    place (str | None): Where it is, for messages, if it is not on a line of the source.
    unknown (tuple[tuple[int, int], ...]): Characters of which nobody knows whether they belong to an entity.
    unread (tuple[str, ...]): Keys that hold spans too, but which its format does not have.
    remarks (tuple[tuple[str, str], ...]): What its reader left out of it: fields of the report, and messages.
    """

    text: str
    images: tuple[str | bytes, ...]
    spans: tuple[CharSpan, ...] | None
    line: int
    place: str | None = None
    unknown: tuple[tuple[int, int], ...] = ()
    unread: tuple[str, ...] = ()
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A text that its annotators did not want to be learnt.

    kind (str): The field of the report that counts it. reason (str): Why, for messages. line (int): Its line.
    place (str | None): Where it is, if it is not on a line of the source.
    """

    kind: str
    reason: str
    line: int
    place: str | None = None


@dataclass(frozen=True)
class SpanCounts:
    """What happened to a record's spans.

    misaligned (int): They fit no tokens. overlapping (int): They overlapped a longer one.
    trimmed (int): White space at their ends was left out. blank (int): They hold nothing else.
    shifted (int): Their offsets counted UTF-16 units and have been mended, by the spans' own texts.
    moved (int): They were found elsewhere by their own text, which stands only once in the text.
    suspected (int): Those of the misaligned that would fit if emoji counted as two characters.
    messages (tuple[tuple[str, str], ...]): Fields of the report, and what to say of a span.
    """

    misaligned: int = 0
    overlapping: int = 0
    trimmed: int = 0
    blank: int = 0
    shifted: int = 0
    moved: int = 0
    suspected: int = 0
    messages: tuple[tuple[str, str], ...] = ()


@dataclass
class _Counting:
    """The counts of one record while its spans are looked at."""

    counts: dict[str, int] = field(default_factory=dict)
    messages: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, kind: str, message: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        self.messages.append((kind, message))

    def done(self) -> SpanCounts:
        return SpanCounts(**self.counts, messages=tuple(self.messages))


@dataclass(frozen=True)
class _Tokens:
    """A document and its text, which spaCy puts together anew each time that it is asked."""

    doc: Doc
    text: str


def record_to_doc(
    record: Record,
    make_doc: Callable[[str], Doc],
    *,
    label_map: Mapping[str, str] | None = None,
    offsets: Offsets = "auto",
) -> tuple[Doc, SpanCounts]:
    """Make a document of a record.

    A span that does not end at token borders is neither an entity nor its absence: its tokens are marked as not
    annotated. Of overlapping spans the longest counts; what the others have beyond it is marked likewise. White space
    at a span's ends is left out.

    record (Record): The record.
    make_doc (Callable[[str], Doc]): A tokenizer.
    label_map (Mapping[str, str] | None): Old labels and their new names.
    offsets (str): What the offsets count: "characters", "utf-16", or "auto": characters, unless the spans' own texts
        say otherwise.
    RETURNS (tuple[Doc, SpanCounts]): The document, without any entity annotation if the record has none, and what
        happened to its spans.
    """
    doc = make_doc(record.text)
    tokens = _Tokens(doc, doc.text)
    if record.spans is None:
        return doc, SpanCounts()
    counting = _Counting()
    settled = settle(record.text, record.spans, offsets)
    for _ in range(settled.shifted):
        counting.add("shifted", "shifted_spans", "")
    for moved in settled.moved:
        counting.add("moved", "moved_spans", f"moved span: {_name(record.text, moved)} was found by its own text")
    unknown = {token.i for start, end in record.unknown for token in _touched(tokens, start, end)}
    for span in settled.lost:
        message = (
            f"misaligned span: at {span.start} to {span.end} stands another text than {span.text!r} ({span.label})"
        )
        counting.add("misaligned", "misaligned_spans", message)
        unknown.update(token.i for token in _touched(tokens, span.start, span.end))
    aligned = _align(tokens, settled.spans, label_map or {}, unknown, counting, certain=offsets != "auto")
    _set_entities(doc, aligned, unknown, counting)
    return doc, counting.done()


def _align(
    tokens: _Tokens,
    spans: Sequence[CharSpan],
    labels: Mapping[str, str],
    unknown: set[int],
    counting: _Counting,
    *,
    certain: bool,
) -> list[Span]:
    """Find the tokens of spans, without white space at their ends. Those of what fits no tokens become unknown."""
    elsewhere = [None] * len(spans) if certain else _suspected(tokens, spans)
    aligned = []
    for span, other in zip(spans, elsewhere, strict=True):
        # If emoji count as two in this text, then what fits tokens all the same does so by chance.
        found = None if other else _exact(tokens, span, labels)
        bare = trim(tokens.text, span)
        if other is None and bare is None:
            counting.add("blank", "blank_spans", f"blank span: {_name(tokens.text, span)} is nothing but white space")
        elif found is None:
            unknown.update(
                token.i for place in (span, other or span) for token in _touched(tokens, place.start, place.end)
            )
            counting.add(
                "misaligned", "misaligned_spans", _misaligned(tokens, bare or span, suspected=other is not None)
            )
            if other is not None:
                counting.counts["suspected"] = counting.counts.get("suspected", 0) + 1
        else:
            if bare != span:
                counting.add("trimmed", "trimmed_spans", f"trimmed span: {_name(tokens.text, span)}")
            aligned.append(found)
    return aligned


def _exact(tokens: _Tokens, span: CharSpan, labels: Mapping[str, str]) -> Span | None:
    """RETURNS (Span | None): The tokens of a span without white space at its ends, if it ends at their borders."""
    bare = trim(tokens.text, span)
    return (
        None if bare is None else tokens.doc.char_span(bare.start, bare.end, label=labels.get(bare.label, bare.label))
    )


def _suspected(tokens: _Tokens, spans: Sequence[CharSpan]) -> list[CharSpan | None]:
    """RETURNS (list[CharSpan | None]): Where spans stand if their offsets count UTF-16 units: those that would stand
    elsewhere, and only if not all spans fit tokens as they are, but all would then."""
    nowhere: list[CharSpan | None] = [None] * len(spans)
    if not has_wide(tokens.text) or all(_exact(tokens, span, {}) is not None for span in spans):
        return nowhere
    positions = unit_positions(tokens.text)
    moved = [to_characters(positions, span) for span in spans]
    if any(span is None or _exact(tokens, span, {}) is None for span in moved):
        return nowhere
    return [other if other != span else None for span, other in zip(spans, moved, strict=True)]


def _misaligned(tokens: _Tokens, span: CharSpan, *, suspected: bool) -> str:
    around = " ".join(f"[{token.text}]" for token in _touched(tokens, span.start, span.end))
    cause = ", which fits if emoji count as two characters (UTF-16)" if suspected else ""
    return f"misaligned span: {_name(tokens.text, span)} in the tokens {around[:80] or '(none)'}{cause}"


def _set_entities(doc: Doc, aligned: list[Span], unknown: set[int], counting: _Counting) -> None:
    entities = filter_spans(aligned)
    kept = {(span.start, span.end, span.label) for span in entities}
    for span in aligned:
        if (span.start, span.end, span.label) in kept:
            kept.discard((span.start, span.end, span.label))
        else:
            message = f"overlapping span: {span.text[:60]!r} ({span.label_}) is inside or across a longer one"
            counting.add("overlapping", "overlapping_spans", message)
    unknown.update(token.i for span in aligned for token in span)
    unknown.difference_update(token.i for span in entities for token in span)
    doc.set_ents(entities, missing=[doc[i : i + 1] for i in sorted(unknown)], default="outside")


def _touched(tokens: _Tokens, start: int, end: int) -> Span:
    """RETURNS (Span): The tokens of which some character is within the offsets; it may be empty."""
    length = len(tokens.text)
    start, end = min(start, length), min(end, length)
    found = tokens.doc.char_span(start, end, alignment_mode="expand") if start < end else None
    return tokens.doc[0:0] if found is None else found


def _name(text: str, span: CharSpan) -> str:
    """RETURNS (str): A span as messages name it."""
    return f"{text[span.start : span.end][:60]!r} ({span.label}), characters {span.start} to {span.end},"
