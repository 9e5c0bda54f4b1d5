"""Annotation that can't be learnt from as it is."""

from __future__ import annotations

import unicodedata

from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.diagnostics.report import Finding, Places, Section
from spacy_bga.diagnostics.sources import Document, DocumentReader

# Marks that names begin with or end in: "@nba", "#ManUtd", "Yahoo!", "St.".
_OF_NAMES = frozenset("@#.!?&%")


class AnnotationCheck:
    """Looks for tags and entities that training drops, changes, or fails at.

    nlp (Language): The pipeline's tokenizer: training sees its tokens, not those of the file.
    reader (DocumentReader): What has read the documents, and knows which it could not.
    """

    def __init__(self, nlp: Language, reader: DocumentReader) -> None:
        self.nlp = nlp
        self.reader = reader
        self.orphans = Places()
        self.misaligned = Places()
        self.space = Places()
        self.only_space = Places()
        self.punctuation = Places()
        self.missing = Places()

    def see(self, document: Document) -> None:
        """Look at one document."""
        doc, annotation = document.doc, document.annotation
        for i in annotation.orphans:
            self.orphans.add(document.about(f"'{doc[i].text}' (token {i + 1})"))
        if annotation.known and annotation.missing:
            self.missing.add(document.about(f"{annotation.missing} of {len(doc)} tokens"))
        spans = [doc[mention.start : mention.end] for mention in annotation.mentions]
        for span in spans:
            self._look_at_edges(document, span)
        if spans and not doc.has_unknown_spaces and not document.source.settings.get("gold_preproc"):
            self._look_at_borders(document, spans)

    def _look_at_edges(self, document: Document, span: Span) -> None:
        place = document.about(repr(span.text[:80]))
        first, last = span[0], span[-1]
        if all(token.is_space for token in span):
            self.only_space.add(place)
        elif first.is_space or last.is_space or span.text != span.text.strip():
            self.space.add(place)
        elif _is_mark(first.text) or _is_mark(last.text):
            self.punctuation.add(place)

    def _look_at_borders(self, document: Document, spans: list[Span]) -> None:
        predicted: Doc = self.nlp.make_doc(document.doc.text)
        for span in spans:
            if predicted.char_span(span.start_char, span.end_char) is None:
                touched = predicted.char_span(span.start_char, span.end_char, alignment_mode="expand")
                tokens = " ".join(f"[{token.text}]" for token in touched or ())
                self.misaligned.add(document.about(f"'{span.text[:80]}' in the tokens {tokens[:80]}"))

    def section(self) -> Section:
        """RETURNS (Section): What was found."""
        findings = [*self._of_files(), *self._of_entities()]
        if not any(finding.level in ("error", "warning") for finding in findings):
            findings.append(Finding("annotation", "good", "All documents can be read, all entities can be learnt"))
        return Section("Annotation", tuple(findings))

    def _of_files(self) -> list[Finding]:
        reader = self.reader
        found = [
            *reader.unset.finding(
                "no-path", "error", "Readers without data: {count}", "give their path, such as --paths.train FILE.spacy"
            ),
            *reader.broken_files.finding(
                "broken-file",
                "error",
                "Files that can't be read: {count}",
                "make them again: python -m spacy_bga convert",
            ),
            *reader.broken_docs.finding(
                "broken-document", "error", "Documents that can't be read: {count}", "make their file again"
            ),
            *reader.bad_images.finding(
                "bad-image-value",
                "error",
                "Documents with an image that is neither a path nor bytes: {count}",
                "set `Doc._.image` to a relative path (str), encoded bytes, or a list of them",
            ),
            *reader.empty_docs.finding(
                "empty-document", "info", "Documents without a token, which readers skip: {count}"
            ),
        ]
        if not (reader.unset.count or reader.broken_files.count or reader.broken_docs.count):
            for source in reader.empty_sources:
                message = f"There is no document in [corpora.{source.name}]"
                found.append(Finding("no-documents", "error", message, "check its path and `limit`"))
        return found

    def _of_entities(self) -> list[Finding]:
        return [
            *self.orphans.finding(
                "orphan-tag",
                "error",
                "I- tags that continue no entity, at which spaCy raises E093: {count}",
                "make them B- tags; `python -m spacy_bga convert` does so with CoNLL",
            ),
            *self.only_space.finding(
                "white-space-entity", "warning", "Entities of nothing but white space: {count}", "remove them"
            ),
            *self.space.finding(
                "white-space-edge",
                "warning",
                "Entities that begin or end with white space (spaCy's own `ner` fails at them): {count}",
                "trim them; `bga_ner` learns them without it",
            ),
            *self.misaligned.finding(
                "misaligned-entity",
                "warning",
                "Entities across the tokenizer's borders, which can neither be learnt nor found: {count}",
                "correct their ends, or add rules to the tokenizer ([nlp.tokenizer], [nlp] before_creation)",
            ),
            *self.punctuation.finding(
                "punctuation-edge",
                "warning",
                "Entities that begin or end with punctuation: {count}",
                "look whether it belongs",
            ),
            *self.missing.finding(
                "partial-annotation",
                "info",
                "Documents annotated in part, whose other tokens may be anything (misaligned spans?): {count}",
            ),
        ]


def _is_mark(text: str) -> bool:
    """Whether a token is nothing but punctuation, of a kind that names don't have at their ends."""
    return all(unicodedata.category(c).startswith("P") and c not in _OF_NAMES for c in text)
