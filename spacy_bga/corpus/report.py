"""What a conversion found in its source, what it mended, and what it had to leave out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from spacy_bga.errors import printable

EXAMPLES_PER_KIND = 5


@dataclass(frozen=True)
class ConversionReport:
    """The counts of one conversion. Images are counted per reference: one photo under five captions counts five times.

    formats (dict[str, int]): The formats that were seen, and how many texts each had.
    tag_scheme (str | None): The scheme of a file with tags, such as "IOB2" or "BILUO".
    documents, tokens (int): What has been written.
    annotated (int): Documents with entity annotation; the others are pairs of a text and an image only.
    entities (dict[str, int]): Entities by label.
    images (int): References to an image that can be used.
    image_files (int): Different files among them.
    images_missing (int): References to no file.
    images_unreadable (int): References to a file that cannot be decoded, or that may not be read.
    images_mislabelled (int): Usable images whose content is not what their name says.
    documents_without_image (int): Documents that ended up with none.
    documents_with_several_images (int): Documents with more than one.
    images_shuffled (int | None): How many documents got another document's image (a control experiment).
    orphan_tags (int): `I-` tags that continued nothing and have been made the start of an entity.
    labels_mapped (dict[str, int]): Entities whose label has been renamed, by "OLD=NEW".
    misaligned_spans (int): Spans that do not end at token borders; their tokens count as not annotated.
    overlapping_spans (int): Spans dropped in favour of a longer one.
    discontinuous_spans (int): Entities of several fragments; their tokens count as not annotated.
    trimmed_spans (int): Spans with white space at their ends, which was left out.
    blank_spans (int): Spans of nothing but white space, left out.
    shifted_spans (int): Spans whose offsets counted UTF-16 units, mended.
    moved_spans (int): Spans that were found by their own text.
    suspected_spans (int): Those of the misaligned that would fit if their offsets counted UTF-16 units.
    unread_keys (dict[str, int]): Keys with spans that were not read, and how many texts have them.
    rejected_answers, ignored_answers (int): Texts that an annotator rejected or skipped, left out.
    other_annotations (int): Texts of which one of several annotations was taken.
    bad_lines (int): Lines, or other texts, that have been left out.
    empty_posts (int): Posts without any token, left out.
    notes (tuple[str, ...]): What to know or do about it, said once.
    problems (tuple[str, ...]): The first problems of each kind, each with its place.
    """

    formats: dict[str, int] = field(default_factory=dict)
    tag_scheme: str | None = None
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
    documents_with_several_images: int = 0
    images_shuffled: int | None = None
    orphan_tags: int = 0
    labels_mapped: dict[str, int] = field(default_factory=dict)
    misaligned_spans: int = 0
    overlapping_spans: int = 0
    discontinuous_spans: int = 0
    trimmed_spans: int = 0
    blank_spans: int = 0
    shifted_spans: int = 0
    moved_spans: int = 0
    suspected_spans: int = 0
    unread_keys: dict[str, int] = field(default_factory=dict)
    rejected_answers: int = 0
    ignored_answers: int = 0
    other_annotations: int = 0
    bad_lines: int = 0
    empty_posts: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def to_json(self) -> str:
        """RETURNS (str): The report as a JSON object, one key per count."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def to_text(self) -> str:
        """RETURNS (str): The report as a table for the console; what is zero and needs no attention is left out."""
        from wasabi import table

        rows = [("Format", ", ".join(self.formats))] if self.formats else []
        rows += [("Tag scheme", self.tag_scheme)] if self.tag_scheme else []
        rows += [(name, f"{count:,}") for name, count in self._contents()]
        rows += [(name, f"{count:,}") for name, count in self._attention() if count]
        text = table(rows, aligns=("l", "r"), max_col=60)
        text += "".join(f"{note}\n" for note in self.notes)
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
            *((f"Texts in {name}", n) for name, n in self.formats.items() if len(self.formats) > 1),
            ("Documents with several images", self.documents_with_several_images),
            ("Images missing", self.images_missing),
            ("Images unreadable", self.images_unreadable),
            ("Images of another type than their name", self.images_mislabelled),
            ("Documents with another's image (shuffled)", self.images_shuffled or 0),
            ("Orphan I- tags made the start of an entity", self.orphan_tags),
            *((f"Labels mapped, {names}", count) for names, count in sorted(self.labels_mapped.items())),
            ("Spans not at token borders (not annotated)", self.misaligned_spans),
            ("Spans inside or across longer ones (dropped)", self.overlapping_spans),
            ("Entities of several fragments (not annotated)", self.discontinuous_spans),
            ("Spans trimmed of white space", self.trimmed_spans),
            ("Spans of nothing but white space (dropped)", self.blank_spans),
            ("Spans whose UTF-16 offsets were mended", self.shifted_spans),
            ("Spans found by their own text", self.moved_spans),
            *((f"Texts with spans under '{key}', not read", count) for key, count in sorted(self.unread_keys.items())),
            ("Rejected answers left out", self.rejected_answers),
            ("Ignored answers left out", self.ignored_answers),
            ("Texts with more annotations than the one taken", self.other_annotations),
            ("Bad lines left out", self.bad_lines),
            ("Posts without tokens left out", self.empty_posts),
        ]


class Tally:
    """Counts while a conversion runs, and becomes its report."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.entities: Counter[str] = Counter()
        self.labels_mapped: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        self.unread_keys: Counter[str] = Counter()
        self.tag_scheme: str | None = None
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
            formats=dict(self.formats.most_common()),
            unread_keys=dict(sorted(self.unread_keys.items())),
            tag_scheme=self.tag_scheme,
            image_files=len(self.image_files),
            images_shuffled=self.images_shuffled,
            notes=tuple(self._notes()),
            problems=tuple(self.problems),
        )

    def _notes(self) -> Iterator[str]:
        if self.unread_keys:
            keys = ", ".join(f"'{key}'" for key in sorted(self.unread_keys))
            yield f"Spans under {keys} were not read. Rename the key to 'spans', or name the tool's --format."
        if number := self.counts["shifted_spans"]:
            yield (
                f"{number:,} spans counted an emoji as two characters (UTF-16), as tools in a browser do. Their own "
                "texts show where they are, and they have been mended."
            )
        if number := self.counts["suspected_spans"]:
            yield (
                f"{number:,} spans fit only if an emoji counts as two characters (UTF-16), as tools in a browser count "
                "it, and the file does not repeat their texts to prove it. If so, add --offsets utf-16."
            )
        if number := self.counts["documents_with_several_images"]:
            yield (
                f"{number:,} texts have several images. The first is used; `max_crops` in [components.bga_ner.model] "
                "says how many of the others are, 0 by default."
            )
