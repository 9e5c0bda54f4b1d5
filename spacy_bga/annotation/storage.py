"""A folder of files on any file system that fsspec reaches, in which a file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from spacy_bga.whole_file import HALF, write_whole


class Storage:
    """A folder, or a single file of it.

    url (str): A local path, or a URL such as s3://bucket/posts, whose file system fsspec has to know.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.fs, root = fsspec.core.url_to_fs(url)
        self.is_file = self.fs.isfile(root)
        folder, _, name = root.rpartition("/")
        self.root: str = folder if self.is_file else root.rstrip("/")
        self._only: str = name

    def files(self) -> dict[str, int]:
        """RETURNS (dict[str, int]): The size in bytes of each file, by its path below the folder, in order."""
        if self.is_file:
            return {self._only: self.fs.size(self._path(self._only))}
        found = self.fs.find(self.root, detail=True) if self.fs.exists(self.root) else {}
        return {path[len(self.root) + 1 :]: found[path]["size"] for path in sorted(found)}

    def open(self, name: str) -> IO[bytes]:
        """RETURNS (IO[bytes]): A file, to be read."""
        return self.fs.open(self._path(name), "rb")

    def read_all(self, names: list[str]) -> list[bytes]:
        """RETURNS (list[bytes]): The contents of small files, read at once where the file system can do that."""
        found: Any = self.fs.cat([self._path(name) for name in names]) if names else {}
        return [found[self._path(name)] for name in names]

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all, over one that is there.

        name (str): Its path below the folder. content (bytes): What is in it.
        RAISES (OSError): It can't be written, as on a full disk.
        """
        path = self._path(name)
        if isinstance(self.fs, LocalFileSystem):
            write_whole(Path(path), content)
        else:  # object stores show a file when all of it is there
            self.fs.pipe_file(path, content)

    def remove_halves(self) -> None:
        """Remove what processes that were killed have left half written."""
        if isinstance(self.fs, LocalFileSystem):
            for path in self.fs.find(self.root):
                if path.rpartition("/")[2].startswith(".") and path.endswith(HALF):
                    self.fs.rm_file(path)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"
