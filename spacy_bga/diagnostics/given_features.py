"""Given features, looked up for every document that names some."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.diagnostics.report import Finding, Places, Section, Table
from spacy_bga.diagnostics.sources import Document
from spacy_bga.errors import BGAError


class FeatureCheck:
    """Looks up the keys of all documents.

    path (Path): The feature file, or a folder of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.missing, self.encoded = Places(), Places()
        self.splits: dict[str, set[str]] = defaultdict(set)
        self.problem = ""
        self.file: FeatureFile | None = None
        try:
            self.file = FeatureFile(path)
        except BGAError as error:
            self.problem = str(error)

    def see(self, document: Document) -> None:
        """Look at one document."""
        for key in document.images:
            if isinstance(key, bytes):
                self.encoded.add(document.place)
            elif self.file is not None and key not in self.file:
                self.missing.add(document.about(repr(key[:80])))
            else:
                self.splits[key].add(document.source.split)

    def sections(self) -> list[Section]:
        """RETURNS (list[Section]): What is wrong with the features, and which are in two splits."""
        if self.file is None:
            return [Section("Given features", (Finding("features-broken", "error", self.problem),))]
        several = Places()
        for key, splits in self.splits.items():
            if len(splits) > 1:
                several.add(f"{key[:80]!r} in {', '.join(sorted(splits))}")
        findings = [
            *self.missing.finding(
                "features-missing",
                "warning",
                f"Keys without features in {self.path}: {{count}}",
                f"compute them; its keys are such as {next(iter(self.file))[:80]!r}",
            ),
            *self.encoded.finding(
                "features-of-bytes", "warning", "Encoded images, which have no key: {count}", "give their keys"
            ),
            *several.finding(
                "features-leak", "warning", "Keys that are in several splits: {count}", "keep each in one split"
            ),
        ]
        grid = "none" if self.file.grid is None else "x".join(map(str, self.file.grid))
        header = ("Keys", "In documents", "Tokens, at most", "Width", "Grid")
        row = (len(self.file), len(self.splits), self.file.n_patches, self.file.width, grid)
        if not findings:
            findings.append(Finding("features", "good", "All features are there"))
        return [Section("Given features", tuple(findings), (Table(header, [row]),))]
