"""The command as one calls it, on tiny encoders, in processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_bga.benchmark import contenders, suite
from spacy_bga.benchmark.fresh import call
from spacy_bga.benchmark.setting import Setting
from spacy_bga.benchmark.texts import labels_of, read_texts
from spacy_bga.cli import app
from spacy_bga.errors import BGAError


@pytest.mark.timeout(300)  # six processes that import torch
def test_a_quick_run(setting: Setting, vision_encoder_folder: Path, texts_file: Path, tmp_path: Path):
    output, page = tmp_path / "performance.json", tmp_path / "performance.md"
    options = {
        "--encoder": setting.encoder,
        "--vision-encoder": vision_encoder_folder,
        "--texts": texts_file,
        "--only": "throughput",
        "--output": output,
        "--page": page,
        "--work": tmp_path / "work",
    }
    arguments = [str(part) for option in options.items() for part in option]
    result = CliRunner().invoke(app, ["benchmark", "--quick", *arguments])
    assert result.exit_code == 0, result.output
    record = json.loads(output.read_text(encoding="utf8"))
    assert record["throughput_ratio_fp32"] > 0
    assert record["latency_ratio_fp32"] is None
    assert record["threads"]["torch"] == 1
    assert set(record["threads"]["pools"].values()) == {1}
    assert record["sections"]["throughput"]["provenance"]["quick"]
    assert str(tmp_path) not in output.read_text(encoding="utf8")
    assert "Quick run" in page.read_text(encoding="utf8")


def test_given_pipelines_take_part(setting: Setting, texts_file: Path, tmp_path: Path, own_process: None):
    built = {contender.name: contender.folder for contender in setting.contenders}
    found = contenders.gather(
        {"bga": built["bga"], "int8": built["bga"]},
        encoder=setting.encoder,
        vision=lambda: pytest.fail("no pipeline has to be built"),
        texts=texts_file,
        work=tmp_path,
        scale=setting.scale,
        threads=1,
        progress=lambda line: None,
    )
    assert [contender.name for contender in found] == ["bga", "int8", "spacy", "huggingface"]
    assert found[0].folder == built["bga"]


def test_what_is_built_is_used_again(setting: Setting, texts_file: Path, tmp_path: Path, own_process: None):
    told: list[str] = []

    def gather(steps: int) -> None:
        recipe = {"encoder": str(setting.encoder), "texts": str(texts_file), "builder": "own", "steps": steps}
        contenders._build(tmp_path / "text_only", recipe, 1, told.append)

    gather(1)
    gather(1)
    assert len(told) == 1
    gather(2)
    assert len(told) == 2


def test_another_encoder_is_refused(setting: Setting, tmp_path: Path):
    pipeline = setting.contenders[0].folder
    config = json.loads((setting.encoder / "config.json").read_text(encoding="utf8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"hidden_size": 32}), encoding="utf8")
    contenders.check_encoder(pipeline, setting.encoder)
    with pytest.raises(BGAError, match=r"B542.*`hidden_size` is 16, not 32"):
        contenders.check_encoder(pipeline, tmp_path)
    with pytest.raises(BGAError, match="B543"):
        contenders.check_encoder(tmp_path, setting.encoder)


def test_a_process_that_fails_is_told_of():
    with pytest.raises(BGAError, match=r"(?s)B541.*memory:folder_megabytes.*no attribute"):
        call("memory:folder_megabytes", threads=1, folder=3)


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(suite, "NEEDED", ("psutil", "no_such_package"))
    result = CliRunner().invoke(app, ["benchmark", "--only", "latency", "--output", str(tmp_path / "x.json")])
    assert result.exit_code == 1
    assert "B545" in result.output
    assert "no_such_package" in result.output


def test_the_embedded_corpus_is_there_for_anybody(tmp_path: Path):
    path = suite.embedded_texts(tmp_path / "work")
    written = path.read_bytes()
    assert path == suite.embedded_texts(tmp_path / "work")
    assert path.read_bytes() == written
    texts = read_texts(path)
    assert len(texts) == suite.EMBEDDED
    assert len(labels_of(texts)) == 4
