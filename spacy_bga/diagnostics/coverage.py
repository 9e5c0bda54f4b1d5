"""What the documents have to learn from, and how long they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from spacy.cli.debug_data import BLANK_MODEL_MIN_THRESHOLD, BLANK_MODEL_THRESHOLD

from spacy_bga.aligner.windows import plan_windows
from spacy_bga.diagnostics.report import Cell, Finding, Places, Section, Table, share
from spacy_bga.diagnostics.sources import Document
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer

_KINDS = ("both", "labels only", "image only", "neither")


@dataclass(frozen=True)
class Windowing:
    """How the component of the config cuts documents, or why that is not known.

    wordpieces (WordpieceTokenizer | None): Its tokenizer. reason (str): Why there is none.
    """

    wordpieces: WordpieceTokenizer | None = None
    reason: str = ""


class CoverageCheck:
    """Counts documents by what they have, and looks for long ones.

    train (str): The split that is trained on. windowing (Windowing): How the component cuts documents.
    """

    def __init__(self, train: str, windowing: Windowing) -> None:
        self.train = train
        self.windowing = windowing
        self.kinds: dict[str, Counter[str]] = defaultdict(Counter)
        self.tokens: Counter[str] = Counter()
        self.pieces: Counter[str] = Counter()
        self.longest: Counter[str] = Counter()
        self.nothing = Places()
        self.no_entity: Counter[str] = Counter()
        self.wide = Places()
        self.windows = 0
        self.cut = Places()

    def see(self, document: Document) -> None:
        """Look at one document."""
        split, doc = document.source.split, document.doc
        known, image = document.annotation.known, bool(document.images)
        kind = _KINDS[0 if known and image else 1 if known else 2 if image else 3]
        self.kinds[split][kind] += 1
        self.no_entity[split] += known and not document.annotation.mentions
        self.tokens[split] += len(doc)
        self.longest[split] = max(self.longest[split], len(doc))
        if kind == "neither":
            self.nothing.add(document.about())
        limit = int(document.source.settings.get("max_length") or 0)
        if limit and len(doc) >= limit:
            self.cut.add(document.about(f"{len(doc)} tokens"))
        if self.windowing.wordpieces is not None:
            self._count_windows(document, self.windowing.wordpieces)

    def _count_windows(self, document: Document, wordpieces: WordpieceTokenizer) -> None:
        number = len(wordpieces.split_doc(document.doc, content_tokens(document.doc)).ids)
        self.pieces[document.source.split] += number
        windows = len(plan_windows(number, wordpieces.window - 2, wordpieces.overlap))
        if windows > 1:
            self.windows += windows
            self.wide.add(document.about(f"{number} wordpieces, {windows} windows"))

    def section(self) -> Section:
        """RETURNS (Section): What was found."""
        return Section("Coverage", (*self._amount(), *self._gaps(), *self._lengths()), (self._table(),))

    def _table(self) -> Table:
        rows: list[tuple[Cell, ...]] = [
            (split, kinds.total(), *(f"{kinds[k]:,} ({share(kinds[k], kinds.total())})" for k in _KINDS))
            for split, kinds in self.kinds.items()
        ]
        return Table(("Split", "Documents", "Image and labels", "Labels only", "Image only", "Neither"), rows)

    def _amount(self) -> list[Finding]:
        number = self.kinds[self.train].total()
        if number >= BLANK_MODEL_THRESHOLD:
            return [Finding("documents", "good", f"Documents to train on: {number:,}", count=number)]
        few = "too few" if number < BLANK_MODEL_MIN_THRESHOLD else "few"
        message = f"Documents to train on: {number:,}, which is {few}; spaCy recommends {BLANK_MODEL_THRESHOLD:,}"
        return [Finding("few-documents", "warning", message, "annotate more", number)]

    def _gaps(self) -> list[Finding]:
        found = self.nothing.finding(
            "nothing-to-learn",
            "warning",
            "Documents with neither annotation nor an image, from which nothing is learnt: {count}",
            "leave them out, or annotate them; a document without entities needs tags O, not none",
        )
        for split, number in self.no_entity.items():
            kinds = self.kinds[split]
            known = kinds["both"] + kinds["labels only"]
            if known and not number:
                message = f"Every annotated document of {split} has an entity: {split} has no text without"
                found.append(Finding("no-negatives", "warning", message, "add texts without entities"))
            elif known:
                message = f"Annotated documents of {split} without an entity: {number:,} ({share(number, known)})"
                found.append(Finding("without-entity", "info", message, count=number))
        return found

    def _lengths(self) -> list[Finding]:
        found = self.cut.finding(
            "split-document",
            "warning",
            "Documents that reach `max_length`, to be cut into sentences, which lose the image, or left out: {count}",
            "set `max_length = 0` in [corpora]: long documents are read in windows",
        )
        for split, kinds in self.kinds.items():
            number = self.tokens[split]
            pieces = f", {self.pieces[split]:,} wordpieces" if self.pieces[split] else ""
            mean = number / kinds.total() if kinds.total() else 0
            message = (
                f"{split}: {number:,} tokens{pieces}; {mean:.1f} tokens on average, {self.longest[split]:,} at most"
            )
            found.append(Finding("length", "info", message, count=number))
        if self.windowing.wordpieces is None:
            found.append(Finding("windows-skipped", "info", f"Windows were not counted: {self.windowing.reason}"))
        elif self.wide.count:
            size = self.windowing.wordpieces.window - 2
            message = (
                f"Documents of more than the {size} wordpieces of a window: {{count}}, with {self.windows:,} windows"
            )
            found += self.wide.finding("long-document", "info", f"{message} in all; their image goes with the first")
        elif self.kinds:
            found.append(Finding("windows", "good", "Every document fits into one window"))
        return found
