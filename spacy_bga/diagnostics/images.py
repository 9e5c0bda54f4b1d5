"""Images that can't be used, or hardly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from spacy_bga.corpus.images import MAX_PIXELS
from spacy_bga.diagnostics.gallery import Gallery, Picture, Problem
from spacy_bga.diagnostics.image_leaks import image_leaks
from spacy_bga.diagnostics.report import Finding, Level, Places, Section, Table
from spacy_bga.diagnostics.sources import Document

# Of fewer pixels a side than this, a vision encoder sees a patch or two that hold anything: icons, and tracking pixels.
TINY = 32
_MESSAGES: dict[Problem, tuple[str, str]] = {
    "missing": (
        "that are missing",
        "put the files below the image root, or convert again, which leaves their paths out",
    ),
    "refused": ("whose paths lead out of the image root", "store paths relative to the image root"),
    "huge": (f"of more than {MAX_PIXELS:,} pixels, which are refused", "scale them down"),
    "broken": ("that can't be decoded", "fetch them again, or convert again, which leaves them out"),
}


class ImageCheck:
    """Looks at all images once, also at those that no reader of the config hands on, where a root is known.

    roots (Sequence[Path]): The image roots of the config, for readers without one of their own.
    gallery (Gallery | None): What looks at them; None: nothing does.
    """

    def __init__(self, roots: Sequence[Path], gallery: Gallery | None) -> None:
        self.roots = tuple(roots)
        self.gallery = gallery
        self.homeless = Places()
        self.unread = Places()
        self.strict: set[int] = set()  # pictures that their reader raises at
        self.silent: set[int] = set()  # pictures that no reader misses
        self.documents: Counter[str] = Counter()

    def see(self, document: Document) -> None:
        """Look at one document."""
        source = document.source
        if not document.images:
            return
        self.documents[source.split] += 1
        roots = self.roots if source.images is None else (source.images,)
        # Without a root, its own reader stops at a path.
        if source.uses_images and source.images is None and any(isinstance(i, str) for i in document.images):
            self.homeless.add(document.about(repr(next(i for i in document.images if isinstance(i, str)))))
        on_missing = source.settings.get("on_missing", "warn") if source.uses_images else "ignore"
        for image in dict.fromkeys(document.images):
            if isinstance(image, str) and not roots:
                self.unread.add(document.about(repr(image)))
            elif self.gallery is not None:
                picture = self.gallery.add(image, roots, split=source.split, place=document.place)
                self.strict.update([id(picture)] if on_missing == "error" else [])
                self.silent.update([id(picture)] if on_missing == "ignore" else [])

    def sections(self) -> list[Section]:
        """RETURNS (list[Section]): What is wrong with images, and which are in two splits."""
        findings = self._homeless()
        if self.gallery is None:
            skipped = Finding("images-skipped", "info", "Images were not looked at (--no-images)")
            return [Section("Images", (*findings, skipped))]
        pictures = self.gallery.close()
        findings += self._problems(pictures) + self._oddities(pictures)
        if pictures and not any(finding.level in ("error", "warning") for finding in findings):
            findings.append(Finding("images", "good", "All images can be used"))
        sections = [Section("Images", tuple(findings), (self._table(pictures),) if pictures else ())]
        if pictures:
            sections.append(image_leaks(pictures, self.documents, perceptual=self.gallery.perceptual))
        return sections

    def _homeless(self) -> list[Finding]:
        return [
            *self.homeless.finding(
                "no-image-root",
                "error",
                "Documents that name an image though their reader knows no image root and raises B342: {count}",
                "set `images` of the reader to the image root, such as --paths.images FOLDER",
            ),
            *self.unread.finding(
                "images-unread",
                "info",
                "Images that were not looked at, as no image root is known (--image-root FOLDER tells it): {count}",
            ),
        ]

    def _problems(self, pictures: Sequence[Picture]) -> list[Finding]:
        found = []
        for problem, (message, fix) in _MESSAGES.items():
            levels: dict[Level, Places] = {"error": Places(), "warning": Places(), "info": Places()}
            for picture in pictures:
                if picture.problem == problem:
                    level: Level = "error" if id(picture) in self.strict else "warning"
                    level = "info" if problem == "missing" and id(picture) in self.silent else level
                    levels[level].add(f"{_place(picture)}: {picture.message}")
            for level, places in levels.items():
                text = message if level != "error" else f"{message}, at which their reader stops (`on_missing`)"
                found += places.finding(f"{problem}-image", level, f"Images {text}: {{count}}", fix)
        return found

    def _oddities(self, pictures: Sequence[Picture]) -> list[Finding]:
        tiny, animated, disguised = Places(), Places(), Places()
        for picture in pictures:
            if picture.problem is None:
                if min(picture.width, picture.height) < TINY:
                    tiny.add(f"{_place(picture)}: {picture.width} x {picture.height}")
                if picture.animated:
                    animated.add(_place(picture))
                if picture.disguise:
                    disguised.add(f"{_place(picture)} is {picture.disguise}")
        return [
            *tiny.finding(
                "tiny-image", "warning", f"Images with a side of fewer than {TINY} pixels: {{count}}", "leave them out"
            ),
            *animated.finding("animated-image", "info", "Animated images, of which the first frame counts: {count}"),
            *disguised.finding("disguised-image", "info", "Images of another type than their name says: {count}"),
        ]

    def _table(self, pictures: Sequence[Picture]) -> Table:
        usable = [picture for picture in pictures if picture.problem is None]
        rows = []
        for split in self.documents:
            here = [picture for picture in usable if picture.counts[split]]
            sides = sorted(min(picture.width, picture.height) for picture in here)
            middle = sides[len(sides) // 2] if sides else 0
            rows.append((split, self.documents[split], len(here), sides[0] if sides else 0, middle))
        header = ("Split", "Documents", "Usable images", "Shortest side", "Median of the shorter side")
        return Table(header, rows)


def _place(picture: Picture) -> str:
    return f"{next(iter(picture.first.values()))} '{picture.name[:80]}'"
