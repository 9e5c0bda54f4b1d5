"""The same string under different labels."""

from __future__ import annotations

from collections import Counter, defaultdict

from spacy_bga.diagnostics.report import KEPT, Finding, Section
from spacy_bga.diagnostics.sources import Document

# A second label of a string that has another one this often is more likely a slip than a second meaning.
MIN_OTHERS = 4
MAX_SHARE = 0.2


class ConflictCheck:
    """Remembers each entity's string, and where it first had each label. Case and kinds of white space don't count."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.first: dict[tuple[str, str], str] = {}

    def see(self, document: Document) -> None:
        """Look at one document."""
        for mention in document.annotation.mentions:
            key = normalize(document.doc[mention.start : mention.end].text)
            self.counts[key][mention.label] += 1
            self.first.setdefault((key, mention.label), document.place)

    def conflicts(self) -> dict[str, Counter[str]]:
        """RETURNS (dict[str, Counter[str]]): The strings that have several labels, those with a rare one first."""
        several = {key: labels for key, labels in self.counts.items() if len(labels) > 1}
        return dict(sorted(several.items(), key=lambda item: (_rare_share(item[1]), -item[1].total(), item[0])))

    def section(self) -> Section:
        """RETURNS (Section): What was found."""
        several = self.conflicts()
        if not self.counts:
            return Section("Labels of the same string", (Finding("conflict", "info", "There is no entity"),))
        if not several:
            return Section("Labels of the same string", (Finding("conflict", "good", "No string has two labels"),))
        odd = {key: labels for key, labels in several.items() if _rare_share(labels) <= MAX_SHARE}
        rest = {key: labels for key, labels in several.items() if key not in odd}
        entities = sum(labels.total() for labels in several.values())
        findings = []
        if odd:
            message = f"Strings with one label nearly always, and sometimes another: {len(odd):,}"
            fix = "look at the rare ones; a slip of annotation costs twice, in training and in scores"
            findings.append(Finding("odd-label", "warning", message, fix, len(odd), self._examples(odd)))
        if rest:
            message = f"More strings with several labels, which is what context is for: {len(rest):,}"
            findings.append(Finding("several-labels", "info", message, "", len(rest), self._examples(rest)))
        message = f"In all, {len(several):,} of {len(self.counts):,} strings are ambiguous, {entities:,} entities"
        return Section("Labels of the same string", (*findings, Finding("conflict", "info", message)))

    def _examples(self, conflicts: dict[str, Counter[str]]) -> tuple[str, ...]:
        return tuple(
            f"'{key}': " + ", ".join(f"{name} {n} ({self.first[key, name]})" for name, n in labels.most_common())
            for key, labels in list(conflicts.items())[:KEPT]
        )


def normalize(text: str) -> str:
    """RETURNS (str): A string without regard to case and kinds of white space."""
    return " ".join(text.casefold().split())


def _rare_share(labels: Counter[str]) -> float:
    """The share of all labels but the most frequent; 1 where that one is not frequent enough to tell."""
    (_, most), *_ = labels.most_common(1)
    return (labels.total() - most) / labels.total() if most >= MIN_OTHERS else 1.0
