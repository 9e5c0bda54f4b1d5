"""Texts that are in two splits, or twice in one."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import combinations

from spacy_bga.corpus.pair_splits import MIN_WORDS, words_of
from spacy_bga.diagnostics.report import Finding, Places, Section, share
from spacy_bga.diagnostics.sources import Document


@dataclass
class Group:
    """Documents with the same text: how many and where first, by split, and the entities of the first annotated one."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    entities: bytes | None = None
    place: str = ""


class TextCheck:
    """Remembers a digest of each text, and one of its words: a retweet, or another link, is the same text again."""

    def __init__(self) -> None:
        self.splits: Counter[str] = Counter()
        self.groups: dict[bytes, Group] = defaultdict(Group)
        self.by_words: dict[bytes, dict[bytes, None]] = defaultdict(dict)  # the texts that have the same words
        self.contradictions = Places()

    def see(self, document: Document) -> None:
        """Look at one document."""
        split, text = document.source.split, document.doc.text
        self.splits[split] += 1
        key = _digest(" ".join(text.split()))
        group = self.groups[key]
        group.counts[split] += 1
        group.first.setdefault(split, document.about())
        if document.annotation.known:
            self._compare(group, document)
        words = words_of(text)
        if len(words) >= MIN_WORDS:  # fewer are the same by chance
            self.by_words[_digest("\n".join(sorted(words)))][key] = None

    def _compare(self, group: Group, document: Document) -> None:
        doc = document.doc
        found = [(doc[m.start : m.end].text, m.label) for m in document.annotation.mentions]
        entities = _digest(repr(found))
        if group.entities is None:
            group.entities, group.place = entities, document.place
        elif group.entities != entities:
            self.contradictions.add(f"{document.about()} and {group.place}")

    def section(self) -> Section:
        """RETURNS (Section): What was found."""
        findings = self.contradictions.finding(
            "contradictory-text",
            "warning",
            "Texts that are there again with other entities: {count}",
            "annotate them alike, or leave one out",
        )
        leaks = [leak for left, right in combinations(self.splits, 2) for leak in self._leaks(left, right)]
        if len(self.splits) > 1 and not leaks:
            leaks = [Finding("text-leak", "good", "No text is in two splits")]
        repeated = [finding for split in self.splits for finding in self._repetitions(split)]
        return Section("Texts", (*findings, *leaks, *repeated))

    def _leaks(self, left: str, right: str) -> list[Finding]:
        same, alike = self.leaks(left, right)
        fix = f"leave them out of {left}, or scores on {right} count what was learnt by heart"
        message = f"Texts of {right} that are in {left}, too: {{count}} ({share(same.count, self.splits[right])})"
        found = same.finding("text-leak", "warning", message, fix)
        message = (
            f"Texts of {right} with the words of one in {left}: {{count}} ({share(alike.count, self.splits[right])})"
        )
        return found + alike.finding("text-leak-alike", "warning", f"{message}; retweets, other links", fix)

    def leaks(self, left: str, right: str) -> tuple[Places, Places]:
        """Find what two splits have in common.

        left, right (str): The splits.
        RETURNS (tuple[Places, Places]): The documents of `right` whose text is in `left`, and the others of whose words
            a text in `left` consists.
        """
        same, alike = Places(), Places()
        for group in self.groups.values():
            if group.counts[left] and group.counts[right]:
                same.add(f"{group.first[right]} and {group.first[left]}", times=group.counts[right])
        for keys in self.by_words.values():
            groups = [self.groups[key] for key in keys]
            there = next((group for group in groups if group.counts[left]), None)
            for group in groups:
                if there is not None and group.counts[right] and not group.counts[left]:
                    alike.add(f"{group.first[right]} and {there.first[left]}", times=group.counts[right])
        return same, alike

    def _repetitions(self, split: str) -> list[Finding]:
        places = Places()
        for group in self.groups.values():
            if group.counts[split] > 1:
                places.add(f"{group.first[split]} is there {group.counts[split]} times", times=group.counts[split] - 1)
        message = f"Documents of {split} that repeat the text of another one there: {{count}}"
        return places.finding("repeated-text", "info", message)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).digest()
