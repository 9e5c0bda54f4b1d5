from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import huggingface_hub
import pytest
import requests
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.hf_api import BlobLfsInfo, RepoSibling

from spacy_bga.errors import BGAError
from spacy_bga.pipeline import encoders
from spacy_bga.pipeline.encoders import PLACES, encoder_cache, find_config, look_in, missing_part, resolve_encoder

NAME = "someone/some-encoder"


def write_encoder(folder: Path, weights: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf8")
    (folder / weights).write_bytes(b"")
    return folder


class FakeHub:
    """Stands in for the Hub and its cache, and counts how often it is asked."""

    def __init__(self, root: Path, files: tuple[str, ...] = ()) -> None:
        self.folder = root / "hub-snapshot"
        self.files = files
        self.error: Exception | None = None
        self.asked = 0
        self.wanted: list[str] = []
        self.told: dict[str, RepoSibling] = {}  # what it says of its files

    def model_info(self, name: str, timeout: float, files_metadata: bool) -> types.SimpleNamespace:
        assert files_metadata
        self.asked += 1
        if self.error is not None:
            raise self.error
        return types.SimpleNamespace(siblings=[self.told.get(file, RepoSibling(file)) for file in self.files])

    def snapshot_download(self, name: str, *, local_files_only: bool = False, **options) -> str:
        if not local_files_only:
            self.wanted = options["allow_patterns"]
            write_encoder(self.folder)
        elif not self.folder.exists():
            raise LocalEntryNotFoundError("not cached")
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(
        tmp_path, files=("config.json", "model.safetensors", "vocab.txt", "onnx/model.onnx", "model.bin", "README.md")
    )
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: fake)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("SPACY_BGA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return fake


def test_places_are_asked_in_order(hub: FakeHub, tmp_path: Path):
    from_hub = resolve_encoder(NAME)
    assert from_hub == hub.folder
    assert hub.asked == 1
    encoder, tried = look_in(PLACES, NAME)
    assert encoder == encoders.Encoder(NAME, hub.folder, "Hugging Face cache")
    assert tried.startswith("  - folder: no folder ")

    hub.folder.rename(tmp_path / "elsewhere")
    ours = write_encoder(tmp_path / "cache" / "encoders" / "someone--some-encoder")
    assert resolve_encoder(NAME) == ours
    hub.folder.mkdir()  # a snapshot that lacks its weights does not hide our cache
    assert resolve_encoder(NAME) == ours

    folder = write_encoder(tmp_path / NAME)
    assert resolve_encoder(NAME).resolve() == folder
    assert hub.asked == 1


def test_hub_gives_safetensors_tokenizer_and_licence_only(hub: FakeHub):
    resolve_encoder(NAME)
    assert sorted(hub.wanted) == ["README.md", "config.json", "model.safetensors", "vocab.txt"]


def test_hub_sharded_weights(hub: FakeHub):
    hub.files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json")
    resolve_encoder(NAME)
    assert sorted(hub.wanted) == sorted(hub.files)


EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
GIT_OF_BRACES = "9e26dfeeb6e641a33dae4961196235bdb965b21b"  # git hash-object of a file that holds {}


def lfs(digest: str) -> RepoSibling:
    return RepoSibling("model.safetensors", blob_id="0" * 40, lfs=BlobLfsInfo(size=0, sha256=digest, pointer_size=0))


def test_hub_files_are_what_the_hub_says(hub: FakeHub):
    hub.told = {
        "model.safetensors": lfs(EMPTY_SHA256),
        "config.json": RepoSibling("config.json", blob_id=GIT_OF_BRACES),
    }
    hub.files = ("config.json", "model.safetensors")
    assert resolve_encoder(NAME) == hub.folder


@pytest.mark.parametrize("file", [lfs("0" * 64), RepoSibling("config.json", blob_id="0" * 40)])
def test_hub_file_with_another_digest_is_refused(hub: FakeHub, file: RepoSibling):
    hub.told = {file.rfilename: file}
    hub.files = ("config.json", "model.safetensors")
    with pytest.raises(BGAError, match=rf"B728.*{file.rfilename}.*someone/some-encoder.*expected 0000"):
        resolve_encoder(NAME)


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000])
def test_broken_list_of_shards(tmp_path: Path, index: str):
    (tmp_path / "config.json").write_text("{}", encoding="utf8")
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf8")
    assert "no list of weights" in str(missing_part(tmp_path))


def test_hub_with_pickled_weights_only(hub: FakeHub):
    hub.files = ("config.json", "pytorch_model.bin")
    with pytest.raises(BGAError, match="pickled weights are never loaded"):
        resolve_encoder(NAME)
    assert not hub.folder.exists()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (requests.ConnectionError("no route"), "hub: cannot be reached"),
        (requests.Timeout("too slow"), "hub: cannot be reached"),
        (requests.HTTPError(response=types.SimpleNamespace(status_code=401)), "has no public encoder of this name"),
        (requests.HTTPError(response=types.SimpleNamespace(status_code=503)), "answered with status 503"),
    ],
)
def test_error_names_encoder_places_and_command(hub: FakeHub, error: Exception, reason: str):
    hub.error = error
    with pytest.raises(BGAError) as raised:
        resolve_encoder(NAME)
    message = str(raised.value)
    assert message.startswith("[B402]")
    assert f"python -m spacy_bga encoders {NAME}" in message
    assert reason in message
    assert all(f"  - {place}: " in message for place in PLACES)


def test_offline_setting_is_honoured(hub: FakeHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BGAError, match="HF_HUB_OFFLINE is set"):
        resolve_encoder(NAME)
    assert hub.asked == 0


@pytest.mark.parametrize("name", ["/no/such/folder", "../up", "a/b/c", "..", "", "one--two"])
def test_path_that_is_no_encoder(hub: FakeHub, name: str):
    with pytest.raises(BGAError, match="B401"):
        resolve_encoder(name)
    assert hub.asked == 0


def test_folder_with_pickled_weights_is_refused_at_once(hub: FakeHub, tmp_path: Path):
    folder = write_encoder(tmp_path / "mine", weights="pytorch_model.bin")
    with pytest.raises(BGAError, match=r"B403.*pickled weights are never loaded"):
        resolve_encoder(str(folder))


def test_missing_part_of_sharded_weights(tmp_path: Path):
    folder = write_encoder(tmp_path / "sharded", weights="one.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf8")
    assert missing_part(folder) == f"no two.safetensors in {folder}"
    (folder / "two.safetensors").write_bytes(b"")
    assert missing_part(folder) is None


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "base/spacy_bga/encoders"),
        ("win32", "LOCALAPPDATA", "base/spacy_bga/encoders"),
        ("darwin", "HOME", "base/Library/Caches/spacy_bga/encoders"),
    ],
)
def test_cache_of_the_platform(
    platform: str, variable: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SPACY_BGA_CACHE", raising=False)
    monkeypatch.setattr(encoders.sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path / "base"))
    assert encoder_cache() == tmp_path / expected


def test_import_is_light():
    code = (
        "import sys, spacy_bga.pipeline.encoders; print({'torch', 'transformers', 'huggingface_hub'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_config_is_had_without_weights(hub: FakeHub, tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "own")
    assert find_config(str(folder)) == folder
    assert hub.asked == 0
    assert find_config(NAME) == hub.folder
    assert hub.wanted == ["config.json"]


def test_a_config_that_no_one_can_be_asked_for(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.error = requests.ConnectionError("no network")
    assert find_config(NAME) is None
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert find_config(NAME) is None


def test_a_config_that_is_nowhere(hub: FakeHub) -> None:
    response = requests.Response()
    response.status_code = 404
    hub.error = requests.HTTPError("no such repository", response=response)
    for name in (NAME, "./no/such/folder"):
        with pytest.raises(BGAError, match="B401"):
            find_config(name)
