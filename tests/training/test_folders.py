"""Folders replaced as a whole: killed before every single thing that is done to the disk, or without room for it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spacy_bga.errors import BGAError, StorageError
from spacy_bga.training import folders
from spacy_bga.training.folders import discard_folder, locked, recover, replace_folder, storage

# Everything that Python does to files is audited: this process kills itself before the n-th of those things.
VICTIM = """
import os, signal, sys
from pathlib import Path
from spacy_bga.training import folders

folder, action, exchange, number = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "exchange", int(sys.argv[4])
if not exchange:
    folders._exchange = lambda first, second: False
else:
    swap = folders._exchange
    folders._exchange = lambda *names: sys.audit("spacy_bga.exchange") or swap(*names)
events = 0

def write(new):
    (new / "part").mkdir()
    for name in ("a", "b", "part/c"):
        (new / name).write_text("new" * 100)

def kill(event, arguments):
    global events
    if event.startswith(("os.", "shutil.", "open", "spacy_bga.")):
        events += 1
        if events == number:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
if action == "replace":
    folders.replace_folder(folder, write)
elif action == "discard":
    folders.discard_folder(folder)
else:
    folders.recover(folder)
"""


def fill(folder: Path, text: str) -> None:
    (folder / "part").mkdir(parents=True)
    for name in ("a", "b", "part/c"):
        (folder / name).write_text(text * 100, encoding="utf8")


def content(folder: Path) -> str | None:
    """What was written into it; None if it is absent. Half a folder has no content."""
    if not folder.exists():
        return None
    files = [(folder / name).read_text(encoding="utf8") for name in ("a", "b", "part/c")]
    assert len(list(folder.iterdir())) == 3
    assert len(set(files)) == 1
    assert len(files[0]) == 300
    return files[0][:3]


def killed_at(number: int, folder: Path, action: str, exchange: bool) -> bool:
    """RETURNS (bool): Whether the process was killed; else it had come to its end."""
    arguments = [str(folder), action, "exchange" if exchange else "renames", str(number)]
    done = subprocess.run([sys.executable, "-c", VICTIM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == -9


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "renames"])
@pytest.mark.parametrize("before", [None, "old"])
def test_killed_while_replacing(tmp_path: Path, before: str | None, exchange: bool):
    seen = set()
    for number in range(1, 200):
        folder = tmp_path / str(number) / "model"
        folder.parent.mkdir()
        if before:
            fill(folder, before)
        killed = killed_at(number, folder, "replace", exchange)
        at_once = content(folder)
        if exchange or before is None:
            assert at_once in (before, "new")
        recover(folder)
        assert content(folder) in (before, "new")
        assert [path.name for path in folder.parent.iterdir()] == ["model"] * folder.exists()
        seen.add(at_once)
        if not killed:
            assert at_once == "new"
            break
    assert number > 15
    assert seen == ({before, "new"} if exchange or before is None else {before, "new", None})


def test_killed_while_recovering(tmp_path: Path):
    for number in range(1, 100):
        folder = tmp_path / str(number) / "model"
        fill(folder.with_name(".model.old"), "old")
        fill(folder.with_name(".model.new"), "new")
        killed = killed_at(number, folder, "recover", True)
        recover(folder)
        assert content(folder) == "old"
        if not killed:
            break
    assert number > 10


def test_killed_while_discarding(tmp_path: Path):
    for number in range(1, 100):
        folder = tmp_path / str(number) / "model"
        fill(folder, "old")
        killed = killed_at(number, folder, "discard", True)
        assert content(folder) in ("old", None)
        if not killed:
            assert list(folder.parent.iterdir()) == []
            break
    assert number > 5


@pytest.mark.parametrize("exchange", [True, False])
def test_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool):
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)
    for text in ("one", "two", "new"):
        replace_folder(tmp_path / "a" / "model", lambda new, text=text: fill(new / "x", text))
        assert content(tmp_path / "a" / "model" / "x") == text
        assert [path.name for path in (tmp_path / "a").iterdir()] == ["model"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_link_to_a_folder_is_replaced_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool):
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda first, second: False)
    fill(tmp_path / "elsewhere", "old")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model").symlink_to(tmp_path / "elsewhere")
    for text in ("one", "two"):
        replace_folder(tmp_path / "out" / "model", lambda new, text=text: fill(new / "x", text))
        assert content(tmp_path / "out" / "model" / "x") == text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]
    assert content(tmp_path / "elsewhere") == "old"


def test_linux_exchanges(tmp_path: Path):
    """Here, so that the other way is not all that is ever tried."""
    fill(tmp_path / "a", "one")
    fill(tmp_path / "b", "two")
    done = folders._exchange(tmp_path / "a", tmp_path / "b")
    assert done is (sys.platform == "linux")
    assert (content(tmp_path / "a"), content(tmp_path / "b")) == (("two", "one") if done else ("one", "two"))


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_writer_that_fails(tmp_path: Path, error: BaseException):
    folder = tmp_path / "model"
    fill(folder, "old")

    def write(new: Path) -> None:
        fill(new / "half", "new")
        raise error

    with pytest.raises(type(error)):
        replace_folder(folder, write)
    assert content(folder) == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_in_the_way(tmp_path: Path):
    (tmp_path / "out").write_text("a file", encoding="utf8")
    with pytest.raises(StorageError, match=r"B670.*out"):
        recover(tmp_path / "out" / "model")


def test_names_the_file():
    with pytest.raises(StorageError, match=r"B670.*/x/y: No space left"), storage(Path("/z")):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y")
    with pytest.raises(StorageError, match=r"B670.*/z: Disk quota"), storage(Path("/z")):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_one_at_a_time(tmp_path: Path):
    with locked(tmp_path):
        with pytest.raises(BGAError, match="B671"), locked(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == []
    with locked(tmp_path):
        pass


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB of its own, which only root can have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(disk: Path):
    folder = disk / "model"
    fill(folder, "old")

    def write(new: Path) -> None:
        (new / "large").write_bytes(bytes(2**20))

    with pytest.raises(StorageError, match=r"B670.*model: No space left on device"):
        replace_folder(folder, write)
    assert content(folder) == "old"
    replace_folder(folder, lambda new: fill(new / "x", "new"))  # what had been written is gone again
    assert content(folder / "x") == "new"


def test_a_read_only_disk(disk: Path):
    folder = disk / "model"
    fill(folder, "old")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for action in (recover, discard_folder, lambda folder: replace_folder(folder, fill)):
        with pytest.raises(StorageError, match=r"B670.*Read-only file system"):
            action(folder)
        assert content(folder) == "old"
