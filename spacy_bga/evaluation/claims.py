"""Claims by lock files, so that several processes can share the work of a plan."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Claim a piece of work while the context lasts. A claim whose process is dead doesn't count.

    path (Path): The lock file. It holds the process id, so that all who share the work have to be on one machine.
    YIELDS (bool): Whether the work is ours; if not, another process is at it.
    """
    ours = _create(path)
    try:
        yield ours
    finally:
        if ours:
            path.unlink(missing_ok=True)


def _create(path: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if not _remove_dead(path):
                return False
            continue
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
        return True


def _remove_dead(path: Path) -> bool:
    """RETURNS (bool): Whether the lock is gone, because its process is."""
    try:
        holder = path.read_text()
    except FileNotFoundError:
        return True
    if not holder.isdecimal() or _is_alive(int(holder)):  # without a number it is being written
        return False
    # Others may have seen the same: whoever moves the file has it, and can tell if it is a new one in the meantime.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return True
    if aside.read_text() != holder:
        os.rename(aside, path)
        return False
    aside.unlink()
    return True


def _is_alive(process: int) -> bool:
    if process == os.getpid():  # who asks doesn't have it, so it was one before a restart
        return False
    if os.name == "nt":  # asking would end it; a lock that is left over has to be removed by hand
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
