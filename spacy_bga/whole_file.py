"""Files that are whole or not there at all, whenever their writer is killed."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

HALF = ".half"  # what a killed process leaves of a file begins with a dot, which readers of data sets pass over


def write_whole(path: Path, content: bytes) -> None:
    """Write a file by renaming a finished one, over one that is there.

    path (Path): The file, made with its folder. content (bytes): What is in it.
    RAISES (OSError): It can't be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{uuid.uuid4().hex}{HALF}")
    try:
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
