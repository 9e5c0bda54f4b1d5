"""A disk that is full, or takes nothing: one clear error, what was there before is there, and training can go on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import spacy

from spacy_bga.errors import StorageError
from spacy_bga.training import folders
from tests.training.conftest import Train
from tests.training.test_resume import assert_same

FOLDERS = ["checkpoint", "model-best", "model-last"]


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file may become larger."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_limit_of_files(run: Train, whole: Path, tmp_path: Path):
    out = shutil.copytree(whole.with_name("6"), tmp_path / "out")
    before = everything(out)
    with pytest.raises(StorageError, match=r"B670.*model-last.*: File too large.*--resume"), file_limit(20_000):
        run("out", resume=True)
    assert everything(out) == before
    assert_same(whole, run("out", resume=True))


@pytest.mark.parametrize("number", [1, 20, 40, 70])
def test_no_space_at_any_file(run: Train, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    """While `model-last`, `model-best` or the checkpoint is written: each is whole, the old one or the new one."""
    out = shutil.copytree(whole.with_name("6"), tmp_path / "out")
    synced = 0
    sync = folders._sync_entry

    def fail(path: Path) -> None:
        nonlocal synced
        synced += 1
        if synced == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    monkeypatch.setattr(folders, "_sync_entry", fail)
    with pytest.raises(StorageError, match=r"B670.*/out/[\w-]+: No space left on device"):
        run("out", resume=True)
    monkeypatch.undo()
    assert sorted(path.name for path in out.iterdir()) == FOLDERS
    for model in ("model-best", "model-last"):
        spacy.load(out / model)("love paris")
    assert_same(whole, run("out", resume=True))


def test_a_logger_without_space(run: Train, tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with pytest.raises(StorageError, match=r"B670.*No space left on device"):
        run("out", settings={"paths.log": "/dev/full"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FOLDERS


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, which only root can have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_grows_too_late(run: Train, whole: Path, disk: Path):
    """Too small for a pipeline, for a second one, for the checkpoint, for a copy of it; then large enough."""
    stages, messages = set(), []
    for size in (200, 900, 1600, 2100, 2600, 8000):
        subprocess.run(["mount", "-o", f"remount,size={size}k", str(disk)], check=True)
        try:
            run("disk/out", resume=True)
            break
        except StorageError as error:
            messages.append(str(error))
        found = sorted(path.name for path in (disk / "out").iterdir())
        assert [name for name in found if name.startswith(".")] == []
        stages.add(tuple(found))
        for model in ("model-best", "model-last"):
            if (disk / "out" / model).exists():
                spacy.load(disk / "out" / model)("love paris")
    assert_same(whole, disk / "out")
    assert len(stages) > 1
    assert all("B670" in message and "No space left on device" in message for message in messages)


def test_a_read_only_disk(run: Train, whole: Path, disk: Path):
    subprocess.run(["mount", "-o", "remount,size=9000k", str(disk)], check=True)
    out = shutil.copytree(whole.with_name("6"), disk / "out")
    before = everything(out)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for output, resume in (("disk/out", True), ("disk/out", False), ("disk/new", False)):
        with pytest.raises(StorageError, match=r"B670.*Read-only file system"):
            run(output, resume=resume)
    assert everything(out) == before
