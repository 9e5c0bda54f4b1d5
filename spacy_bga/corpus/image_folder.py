"""A folder of pictures, in which those of posts are found by their ids."""

from __future__ import annotations

from pathlib import Path

from spacy_bga.corpus.images import SUFFIXES

# What people post comes first; a converted copy of the same picture counts less.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff")


class ImageFolder:
    """Finds pictures by id, whether the id has their ending or not, and however that is spelt.

    root (Path): The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, dict[str, str]] = {}

    def find(self, image_id: str) -> str | None:
        """Find a picture.

        image_id (str): Its name in the folder, with or without its ending.
        RETURNS (str | None): The file's path relative to the folder, or None if there is none.
        """
        folder, _, name = image_id.rpartition("/")
        if image_id.startswith("/"):
            return None
        names = self._list(folder)
        has_ending = Path(name).suffix.lower() in SUFFIXES
        for candidate in (*((name,) if has_ending else ()), *(name + suffix for suffix in IMAGE_SUFFIXES)):
            found = names.get(_folded(candidate))
            if found is not None and self._is_file(folder, found):
                return f"{folder}/{found}" if folder else found
        return None

    def _is_file(self, folder: str, name: str) -> bool:
        try:
            return (self.root / folder / name).is_file()
        except (OSError, ValueError):
            return False

    def _list(self, folder: str) -> dict[str, str]:
        """RETURNS (dict[str, str]): What is in a folder, by its names with their endings in lower case."""
        if folder not in self._names:
            try:
                found = sorted(path.name for path in (self.root / folder).iterdir())
            except (OSError, ValueError):  # an id that is no file name
                found = []
            # Of 1.JPG and 1.jpg, which not every system can keep apart, the lower case counts.
            self._names[folder] = {_folded(name): name for name in found}
        return self._names[folder]


def _folded(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}{dot}{suffix.lower()}" if dot else name
