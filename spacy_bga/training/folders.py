"""Folders that are replaced as a whole: whoever looks finds the old one or the new one, and never half of one.

The new folder is written beside the old one, and then takes its name. Linux exchanges the two names in one step.
Elsewhere, and on file systems that can't, the old folder is set aside first; for an instant there is none, and if the
process is killed just then, `recover` puts the old one back.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spacy_bga.errors import BGAError, Errors, StorageError

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux's renameat2


def replace_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Write a folder anew. If that fails, or the process is killed, the one that was there before stays.

    folder (Path): The folder. write (Callable[[Path], object]): Writes its content into the empty folder it is given.
    RAISES (StorageError): It can't be written, as on a full disk.
    """
    new = _beside(folder, "new")
    try:
        with storage(folder):
            _remove(new)
            new.mkdir(parents=True)
            write(new)
            _sync(new)
            _put_in_place(new, folder)
    finally:
        with suppress(OSError):
            _remove(new)  # half of the new folder, or all of the old one


def discard_folder(folder: Path) -> None:
    """Remove a folder, so that no half of it is ever seen. Raises a StorageError if it can't be done."""
    with storage(folder):
        if folder.exists():
            new = _beside(folder, "new")
            _remove(new)
            os.rename(folder, new)
            _remove(new)


def recover(folder: Path) -> None:
    """Mend what a killed process has left, and see whether the folder could be written.

    folder (Path): The folder; no other process may be at it. Raises a StorageError if it can't be written.
    """
    new, old = _beside(folder, "new"), _beside(folder, "old")
    with storage(folder):
        if old.exists() and not folder.exists():
            os.rename(old, folder)
        _remove(old)
        _remove(new)
        new.mkdir(parents=True)
        new.rmdir()


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn the system's errors into one that names the file or folder, and says that nothing is lost."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(Errors.B670.format(path=error.filename or path, reason=reason)) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder; the system lifts the lock of one that is killed.

    RAISES (BGAError): Another process is at it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BGAError(Errors.B671.format(path=folder)) from None
        except OSError:  # a file system that knows no locks
            pass
        yield
    finally:
        os.close(handle)


def _beside(folder: Path, role: str) -> Path:
    return folder.with_name(f".{folder.name}.{role}")


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _put_in_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        os.rename(new, folder)
    elif not _exchange(new, folder):
        old = _beside(folder, "old")
        _remove(old)
        os.rename(folder, old)
        os.rename(new, folder)
        with suppress(OSError):
            _remove(old)
    _sync_entry(folder.parent)


def _exchange(first: Path, second: Path) -> bool:
    """RETURNS (bool): Whether the two have exchanged their names, which not every system can do."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return rename(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0


def _sync(folder: Path) -> None:
    """Let everything reach the disk, or a power cut could leave the new name and not the content."""
    for root, _, names in os.walk(folder):
        for name in names:
            _sync_entry(Path(root, name))
        _sync_entry(Path(root))


def _sync_entry(path: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
