"""Publishing, with an API in the hub's place: what would be uploaded is what is in the wheel."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import zipfile
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import spacy
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError
from packaging.utils import parse_wheel_filename
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.sharing.hub import lay_out, push
from tests.sharing.conftest import DATASET, TEXT, Shared, run


class FakeHub:
    """Keeps what it was asked to publish."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def whoami(self) -> dict[str, str]:
        return {"name": "somebody"}

    def create_repo(self, **settings: Any) -> str:
        self.asked.append(("create_repo", settings))
        return f"https://huggingface.co/{settings['repo_id']}"

    def upload_folder(self, *, folder_path: Path, **settings: Any) -> None:
        self.asked.append(("upload_folder", settings))
        shutil.copytree(folder_path, self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "repository")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    return fake


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_what_is_published(shared: Shared, hub: FakeHub, tmp_path: Path):
    url = push(shared.wheel, private=True, message="First")
    assert url == "https://huggingface.co/somebody/de_werbung/resolve/main/de_werbung-1.0.0-py3-none-any.whl"
    assert hub.asked == [
        ("create_repo", {"repo_id": "somebody/de_werbung", "private": True, "exist_ok": True}),
        (
            "upload_folder",
            {"repo_id": "somebody/de_werbung", "commit_message": "First", "delete_patterns": "*.whl"},
        ),
    ]
    with zipfile.ZipFile(shared.wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    published = digests(hub.folder)
    packaged = digests(tmp_path / "wheel" / "de_werbung" / "de_werbung-1.0.0")
    wheel = published.pop(shared.wheel.name)
    assert wheel == hashlib.sha256(shared.wheel.read_bytes()).hexdigest()
    assert published.pop("meta.json")
    packaged.pop("meta.json")
    assert published == packaged
    meta = json.loads((hub.folder / "meta.json").read_text(encoding="utf8"))
    assert (meta["name"], meta["license"]) == ("werbung", "CC BY 4.0")
    assert ModelCard.load(hub.folder / "README.md").data.eval_results[0].dataset_name == DATASET


def test_the_repository_is_a_pipeline(shared: Shared, hub: FakeHub):
    """What `snapshot_download` brings is loaded by `spacy.load`, and pip takes the wheel's name."""
    push(shared.wheel, "team/x")
    assert hub.asked[0][1]["repo_id"] == "team/x"
    assert [ent.label_ for ent in spacy.load(hub.folder)(TEXT).ents] == ["FIRMA", "PRODUKT"]
    (wheel,) = hub.folder.glob("*.whl")
    assert parse_wheel_filename(wheel.name)[:2] == ("de-werbung", parse_wheel_filename(shared.wheel.name)[1])


def test_dry_run_asks_nothing_of_the_network(shared: Shared, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a dry run has no business here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(huggingface_hub.HfApi, "__init__", refuse)
    output = run("push", shared.wheel, "--repo", "team/x", "--dry-run")
    assert "team/x would hold:" in output
    assert "Nothing was published." in output
    assert "model-index:" in output
    with zipfile.ZipFile(shared.wheel) as archive:
        weights = archive.getinfo("de_werbung/de_werbung-1.0.0/bga_ner/model/model.safetensors").file_size
    assert f"{weights:,}  bga_ner/model/model.safetensors" in output
    assert "(your account)/de_werbung would hold:" in run("push", shared.wheel, "--dry-run")


def test_command(shared: Shared, hub: FakeHub):
    output = run("push", shared.wheel, "--repo", "team/x", "-m", "Second")
    assert "pip install https://huggingface.co/team/x/resolve/main/de_werbung-1.0.0-py3-none-any.whl" in output
    assert hub.asked[0][1]["private"] is False
    assert hub.asked[1][1]["commit_message"] == "Second"


@pytest.mark.parametrize("readme", ["# By hand\n", None])
def test_a_package_without_our_card(shared: Shared, hub: FakeHub, readme: str | None, tmp_path: Path):
    wheel = tmp_path / shared.wheel.name
    with zipfile.ZipFile(shared.wheel) as old, zipfile.ZipFile(wheel, "w") as new:
        for member in old.infolist():
            if not member.filename.endswith("README.md"):
                new.writestr(member, old.read(member))
        if readme is not None:
            new.writestr("de_werbung/de_werbung-1.0.0/README.md", readme)
    push(wheel)
    card = ModelCard.load(hub.folder / "README.md")
    assert card.data.license == "cc-by-4.0"
    assert card.data.eval_results[2].metric_value == 1.0  # of the development set
    assert card.text.strip() == (readme or "").strip()


def test_what_is_no_wheel(tmp_path: Path):
    path = tmp_path / "x-1.0-py3-none-any.whl"
    with pytest.raises(BGAError, match=r"B653.*No such file"), lay_out(path):
        pass
    path.write_bytes(b"nonsense")
    with pytest.raises(BGAError, match=r"B653.*not a zip file"), lay_out(path):
        pass
    for files, reason in (
        ({"x/__init__.py": ""}, "no meta.json"),
        ({"x/meta.json": "[]"}, "no meta.json of a pipeline"),
        ({"x/meta.json": "{"}, "Expecting"),
        ({"x/meta.json": '{"lang": "en", "name": "x", "version": "1"}'}, "no en_x/en_x-1 in it"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        with pytest.raises(BGAError, match=f"B653.*{reason}"), lay_out(path):
            pass


@pytest.mark.parametrize("error", [LocalTokenNotFoundError("no token"), OSError("no route"), ValueError("bad name")])
def test_the_hub_says_no(shared: Shared, hub: FakeHub, error: Exception, monkeypatch: pytest.MonkeyPatch):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(hub, "create_repo", fail)
    result = CliRunner().invoke(app, ["push", str(shared.wheel), "--repo", "team/x"])
    assert result.exit_code == 1
    assert f"[B654] team/x could not be published: {error}" in result.output
    assert "huggingface-cli login" in result.output


def test_laid_out_as_spacy_huggingface_hub_does(shared: Shared, hub: FakeHub, tmp_path: Path, monkeypatch, capsys):
    """But for the wheel's name, which pip refuses there, and the model card, which gets a second block there."""
    theirs = pytest.importorskip("spacy_huggingface_hub.push", reason="its typer can't be installed beside spaCy's")
    push(shared.wheel)
    other = FakeHub(tmp_path / "theirs")
    monkeypatch.setattr(theirs, "HfApi", lambda: other)
    monkeypatch.setattr(theirs, "whoami", other.whoami)
    monkeypatch.setattr(theirs, "upload_folder", lambda **s: other.upload_folder(**s) or "https://hub/tree/main")
    theirs.push(shared.wheel, silent=True)
    ours, expected = digests(hub.folder), digests(other.folder)
    assert ours.pop("de_werbung-1.0.0-py3-none-any.whl") == expected.pop("de_werbung-any-py3-none-any.whl")
    assert ours.pop("README.md") != expected.pop("README.md")
    assert set(ours) == set(expected)
    assert json.loads((hub.folder / "meta.json").read_text()) == json.loads((other.folder / "meta.json").read_text())
    assert {k: v for k, v in ours.items() if k != "meta.json"} == {
        k: v for k, v in expected.items() if k != "meta.json"
    }
