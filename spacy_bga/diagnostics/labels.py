"""Labels and entity lengths in each split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from spacy.cli.debug_data import NEW_LABEL_THRESHOLD

from spacy_bga.diagnostics.report import Cell, Finding, Section, Table
from spacy_bga.diagnostics.sources import FILE_READERS, Document

_PAIRS = ".pairs"  # the part of a mixture from which no label is learnt
_FIX = "read the report of convert: labels may be under a key that it does not know"
LONG = 8  # tokens: of the entities of the published benchmarks fewer than one in a thousand has more


class LabelCheck:
    """Counts labels and lengths by split.

    train (str): The split that is trained on.
    configured (Sequence[str] | None): The labels that the config gives the component, if it does.
    only_aligns (bool): Whether the config lets the component train without any label.
    """

    def __init__(self, train: str, configured: Sequence[str] | None = None, *, only_aligns: bool = False) -> None:
        self.train = train
        self.configured = configured
        self.only_aligns = only_aligns
        self.entities: Counter[str] = Counter()  # by corpus, as a split may mix labelled texts with others
        self.labels: dict[str, Counter[str]] = defaultdict(Counter)
        self.lengths: dict[str, Counter[int]] = defaultdict(Counter)
        self.first: dict[tuple[str, str], str] = {}
        self.longest: tuple[int, str] = (0, "")
        self.images: Counter[str] = Counter()

    def see(self, document: Document) -> None:
        """Look at one document."""
        split = document.source.split
        self.images[split] += bool(document.images) and document.source.uses_images
        labels, lengths = self.labels[split], self.lengths[split]
        if document.source.reader in FILE_READERS:  # others read raw texts
            self.entities[document.source.name] += len(document.annotation.mentions)
        for mention in document.annotation.mentions:
            length = mention.end - mention.start
            labels[mention.label] += 1
            lengths[length] += 1
            text = f"'{document.doc[mention.start : mention.end].text[:80]}'"
            self.first.setdefault((split, mention.label), document.about(text))
            if length > self.longest[0]:
                self.longest = (length, document.about(text))

    def section(self) -> Section:
        """RETURNS (Section): What was found."""
        findings = [*self._absent(), *self._unlabelled(), *self._unknown(), *self._rare(), *self._lengths()]
        if not any(finding.level in ("error", "warning") for finding in findings):
            findings.append(Finding("labels", "good", "All labels are in the training data often enough"))
        return Section("Labels", tuple(findings), tuple(self._tables()))

    def _tables(self) -> list[Table]:
        splits = [split for split in self.labels if self.images[split] or self.labels[split]]
        if not any(self.labels.values()):
            return []
        total: Counter[str] = sum(self.labels.values(), Counter())
        rows: list[tuple[Cell, ...]] = [
            (label, *(self.labels[s][label] for s in splits)) for label, _ in total.most_common()
        ]
        rows.append(("(all entities)", *(self.labels[s].total() for s in splits)))
        sizes: list[tuple[Cell, ...]] = []
        for name, belongs in [*((str(n), {n}) for n in range(1, 5)), ("5 or more", None)]:
            here = [sum(c for n, c in self.lengths[s].items() if (n in belongs if belongs else n > 4)) for s in splits]
            sizes.append((name, *here))
        return [Table(("Label", *splits), rows), Table(("Tokens of an entity", *splits), sizes)]

    def _absent(self) -> list[Finding]:
        trained = self.labels[self.train]
        if not trained:
            if self.images[self.train]:
                message = f"{self.train} has images and no entity: it can only align"
                if self.only_aligns:
                    return [Finding("no-entities", "info", message)]
                fix = f"{_FIX}; or set `score_alignment = true` in the component, if it is to do no more"
                return [Finding("no-entities", "error", message, fix)]
            message = f"{self.train} has neither an entity nor an image that its reader hands on: nothing to learn from"
            fix = "check the path of the training data, and convert it from a file with annotation"
            return [Finding("no-entities", "error", message, fix)]
        found = []
        for split, labels in self.labels.items():
            absent = {label: count for label, count in labels.items() if label not in trained}
            if absent:
                message = f"{split} has labels that {self.train} lacks: {_format(absent)}"
                fix = "map them to the labels of the training data (convert --label-map OLD=NEW), or leave them out"
                places = tuple(self.first[split, label] for label in absent)
                found.append(Finding("label-not-in-train", "warning", message, fix, sum(absent.values()), places))
        return found

    def _unlabelled(self) -> list[Finding]:
        """Corpora without an entity beside others that have some: what is scored by, and parts of a mixture."""
        if not self.labels[self.train]:
            return []
        empty = [name for name, count in self.entities.items() if not count and not name.endswith(_PAIRS)]
        return [Finding("no-labels", "error", f"There is no entity in {name}", _FIX) for name in empty]

    def _unknown(self) -> list[Finding]:
        if self.configured is None:
            return []
        trained = self.labels[self.train]
        found = []
        if unknown := {label: count for label, count in trained.items() if label not in self.configured}:
            message = f"The component's own labels lack {_format(unknown)}: such tokens count as not annotated"
            fix = "add them to `labels` in [initialize.components]"
            places = tuple(self.first[self.train, label] for label in unknown)
            found.append(Finding("label-not-configured", "warning", message, fix, sum(unknown.values()), places))
        if unused := [label for label in self.configured if label not in trained]:
            message = f"The component has labels without an example: {', '.join(unused)}"
            fix = "take them out of `labels` in [initialize.components], or annotate some"
            found.append(Finding("label-without-example", "warning", message, fix, len(unused)))
        return found

    def _rare(self) -> list[Finding]:
        rare = {label: n for label, n in self.labels[self.train].items() if n <= NEW_LABEL_THRESHOLD}
        if not rare:
            return []
        message = f"Labels with {NEW_LABEL_THRESHOLD} examples in {self.train} or fewer: {_format(rare)}"
        places = tuple(self.first[self.train, label] for label in rare)
        fix = "annotate more of them, or merge them with other labels (convert --label-map OLD=NEW)"
        return [Finding("rare-label", "warning", message, fix, len(rare), places)]

    def _lengths(self) -> list[Finding]:
        long = sum(count for lengths in self.lengths.values() for n, count in lengths.items() if n > LONG)
        if not long:
            return []
        message = f"Entities of more than {LONG} tokens: {long:,}, the longest of {self.longest[0]}"
        return [Finding("long-entity", "info", message, count=long, examples=(self.longest[1],))]


def _format(counts: dict[str, int]) -> str:
    return ", ".join(f"{label} ({count:,})" for label, count in sorted(counts.items()))
