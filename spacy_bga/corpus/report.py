"""What a conversion found in its source, what it mended, and what it had to leave out."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from spacy_bga.errors import printable

EXAMPLES_PER_KIND = 5


@dataclass(frozen=True)
class ConversionReport:
    """The counts of one conversion. Images are counted per reference: one photo under five captions counts five times.

    documents, tokens (int): What has been written.
    annotated (int): Documents with entity annotation; the others are pairs of a text and an image only.
    entities (dict[str, int]): Entities by label.
    images (int): References to an image that can be used.
    image_files (int): Different files among them.
    images_missing (int): References to no file.
    images_unreadable (int): References to a file that cannot be decoded, or that may not be read.
    images_mislabelled (int): Usable images whose content is not what their name says.
    documents_without_image (int): Documents that ended up with none.
    images_shuffled (int | None): How many documents got another document's image (a control experiment).
    orphan_tags (int): `I-` tags that continued nothing and have been made the start of an entity.
    labels_mapped (dict[str, int]): Entities whose label has been renamed, by "OLD=NEW".
    misaligned_spans (int): Spans that do not end at token borders; their tokens count as not annotated.
    overlapping_spans (int): Spans dropped in favour of a longer one.
    bad_lines (int): Lines that have been left out.
    empty_posts (int): Posts without any token, left out.
    problems (tuple[str, ...]): The first problems of each kind, each with its place.
    """

    documents: int = 0
    tokens: int = 0
    annotated: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    images: int = 0
    image_files: int = 0
    images_missing: int = 0
    images_unreadable: int = 0
    images_mislabelled: int = 0
    documents_without_image: int = 0
    images_shuffled: int | None = None
    orphan_tags: int = 0
    labels_mapped: dict[str, int] = field(default_factory=dict)
    misaligned_spans: int = 0
    overlapping_spans: int = 0
    bad_lines: int = 0
    empty_posts: int = 0
    problems: tuple[str, ...] = ()

    def to_json(self) -> str:
        """RETURNS (str): The report as a JSON object, one key per count."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def to_text(self) -> str:
        """RETURNS (str): The report as a table for the console; what is zero and needs no attention is left out."""
        from wasabi import table

        rows = [(name, f"{count:,}") for name, count in self._contents()]
        rows += [(name, f"{count:,}") for name, count in self._attention() if count]
        text = table(rows, aligns=("l", "r"), max_col=60)
        return printable(text + "".join(f"  {problem}\n" for problem in self.problems))

    def _contents(self) -> list[tuple[str, int]]:
        return [
            ("Documents", self.documents),
            ("  with entity annotation", self.annotated),
            ("  without image", self.documents_without_image),
            ("Tokens", self.tokens),
            ("Entities", sum(self.entities.values())),
            *((f"  {label}", count) for label, count in sorted(self.entities.items())),
            ("Images", self.images),
            ("  different files", self.image_files),
        ]

    def _attention(self) -> list[tuple[str, int]]:
        return [
            ("Images missing", self.images_missing),
            ("Images unreadable", self.images_unreadable),
            ("Images of another type than their name", self.images_mislabelled),
            ("Documents with another's image (shuffled)", self.images_shuffled or 0),
            ("Orphan I- tags made the start of an entity", self.orphan_tags),
            *((f"Labels mapped, {names}", count) for names, count in sorted(self.labels_mapped.items())),
            ("Spans not at token borders (not annotated)", self.misaligned_spans),
            ("Spans inside or across longer ones (dropped)", self.overlapping_spans),
            ("Bad lines left out", self.bad_lines),
            ("Posts without tokens left out", self.empty_posts),
        ]


class Tally:
    """Counts while a conversion runs, and becomes its report."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.entities: Counter[str] = Counter()
        self.labels_mapped: Counter[str] = Counter()
        self.image_files: set[str] = set()
        self.images_shuffled: int | None = None
        self.problems: list[str] = []

    def problem(self, kind: str, message: str) -> None:
        """Count a problem, and keep its message if it is among the first of its kind.

        kind (str): The report's field that counts it.
        message (str): What happened, and where.
        """
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES_PER_KIND:
            self.problems.append(printable(message))

    def report(self) -> ConversionReport:
        """RETURNS (ConversionReport): The counts so far."""
        return ConversionReport(
            **self.counts,
            entities=dict(sorted(self.entities.items())),
            labels_mapped=dict(sorted(self.labels_mapped.items())),
            image_files=len(self.image_files),
            images_shuffled=self.images_shuffled,
            problems=tuple(self.problems),
        )
