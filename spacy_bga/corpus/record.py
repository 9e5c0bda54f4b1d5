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
    if record.spans is None:
        return doc, SpanCounts()
    counting = _Counting()
    settled = settle(record.text, record.spans, offsets)
    for _ in range(settled.shifted):
        counting.add("shifted", "shifted_spans", "")
    for moved in settled.moved:
        counting.add("moved", "moved_spans", f"moved span: {_name(record.text, moved)} was found by its own text")
    spans = _trimmed(record.text, settled.spans, counting)
    unknown = {token.i for start, end in record.unknown for token in _touched(doc, start, end)}
    for span in settled.lost:
        message = (
            f"misaligned span: at {span.start} to {span.end} stands another text than {span.text!r} ({span.label})"
        )
        counting.add("misaligned", "misaligned_spans", message)
        unknown.update(token.i for token in _touched(doc, span.start, span.end))
    aligned = _align(doc, spans, label_map or {}, unknown, counting, explained=offsets != "auto")
    _set_entities(doc, aligned, unknown, counting)
    return doc, counting.done()


def _trimmed(text: str, spans: Sequence[CharSpan], counting: _Counting) -> list[CharSpan]:
    kept = []
    for span in spans:
        bare = trim(text, span)
        if bare is None:
            counting.add("blank", "blank_spans", f"blank span: {_name(text, span)} is nothing but white space")
            continue
        if (bare.start, bare.end) != (span.start, span.end):
            counting.add("trimmed", "trimmed_spans", f"trimmed span: {_name(text, span)}")
        kept.append(bare)
    return kept


def _align(
    doc: Doc,
    spans: Sequence[CharSpan],
    labels: Mapping[str, str],
    unknown: set[int],
    counting: _Counting,
    *,
    explained: bool,
) -> list[Span]:
    """Find the tokens of spans. Those of the others become unknown."""
    exact = [doc.char_span(span.start, span.end, label=labels.get(span.label, span.label)) for span in spans]
    suspected: list[bool] = [False] * len(spans)
    if not explained and None in exact and has_wide(doc.text):
        suspected = _suspected(doc, spans)
    aligned = []
    for span, found, suspicious in zip(spans, exact, suspected, strict=True):
        # If emoji count as two in this text, then what fits tokens all the same does so by chance.
        if found is not None and not suspicious:
            aligned.append(found)
            continue
        touched = _touched(doc, span.start, span.end)
        unknown.update(token.i for token in touched)
        tokens = " ".join(f"[{token.text}]" for token in touched)
        message = f"misaligned span: {_name(doc.text, span)} in the tokens {tokens[:80] or '(none)'}"
        if suspicious:
            counting.counts["suspected"] = counting.counts.get("suspected", 0) + 1
            message += ", which fits if emoji count as two characters (UTF-16)"
        counting.add("misaligned", "misaligned_spans", message)
    return aligned


def _suspected(doc: Doc, spans: Sequence[CharSpan]) -> list[bool]:
    """Whether each span stands elsewhere if offsets count UTF-16 units: if all of them fit tokens there, else none."""
    positions = unit_positions(doc.text)
    moved = [to_characters(positions, span) for span in spans]
    bare = [span and trim(doc.text, span) for span in moved]
    if any(span is None or doc.char_span(span.start, span.end) is None for span in bare):
        return [False] * len(spans)
    return [span != other for span, other in zip(spans, moved, strict=True)]


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


def _touched(doc: Doc, start: int, end: int) -> Span:
    """RETURNS (Span): The tokens of which some character is within the offsets; it may be empty."""
    length = len(doc.text)
    start, end = min(start, length), min(end, length)
    found = doc.char_span(start, end, alignment_mode="expand") if start < end else None
    return doc[0:0] if found is None else found


def _name(text: str, span: CharSpan) -> str:
    """RETURNS (str): A span as messages name it."""
    return f"{text[span.start : span.end][:60]!r} ({span.label}), characters {span.start} to {span.end},"
