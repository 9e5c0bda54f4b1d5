"""A German pipeline with labels of its own, from CoNLL and pictures to a wheel; made once for the whole run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import spacy
from spacy.cli.evaluate import evaluate
from spacy.cli.train import train
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.reliability.tiny import write_text_encoder
from tests.conftest import encode_picture

ROOT = Path(__file__).parents[2]
DATASET = "Werbung, Teil 2"
TEXT = "Die Müller GmbH zeigt das Rad Blitz"
CONLL = """IMGID:0
Die\tO
Müller\tB-FIRMA
GmbH\tI-FIRMA
zeigt\tO
das\tO
Rad\tO
Blitz\tB-PRODUKT

IMGID:1
Öko\tB-FIRMA
AG\tI-FIRMA
verkauft\tO
Größe\tB-PRODUKT
9\tI-PRODUKT

IMGID:2
Das\tO
ist\tO
schön\tO

"""
STATED = {
    "license": "CC BY 4.0",
    "author": "Jemand",
    "url": "https://example.org",
    "description": "Firmen und Produkte in Werbung.",
    "notes": "Nur ein Test.",
    "sources": [
        {"name": "Werbung", "license": "CC0-1.0", "role": "texts with images"},
        {"name": "vision", "author": "X"},
    ],
}


@dataclass(frozen=True)
class Shared:
    """What a user has in the end.

    pipeline (Path): The trained pipeline's folder. metrics (Path): Of `spacy evaluate`. package (Path): The folder of
    the package. wheel (Path): Its wheel.
    """

    pipeline: Path
    metrics: Path
    package: Path
    wheel: Path


@pytest.fixture(scope="session")
def encoders(vision_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A text encoder whose own card states a licence, and a vision encoder that came from a wheel."""
    folder = tmp_path_factory.mktemp("encoders")
    (folder / "text").mkdir()
    letters = sorted({letter for letter in CONLL + CONLL.lower() if not letter.isspace()})
    write_text_encoder(folder / "text", words=[], letters=letters)
    (folder / "text" / "README.md").write_text("---\nlanguage: de\nlicense: apache-2.0\n---\n# Text\n", encoding="utf8")
    shutil.copytree(vision_encoder_folder, folder / "vision")
    source = {"name": "some-wheel", "version": "1.2", "licence": "encoder: BSD", "sha256": "0"}
    (folder / "vision" / "SOURCE.json").write_text(json.dumps(source), encoding="utf8")
    return folder / "text", folder / "vision"


@pytest.fixture(scope="session")
def shared(encoders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Shared:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "photos").mkdir()
    for number in range(2):
        (folder / "photos" / f"{number}.png").write_bytes(encode_picture(number))
    (folder / "meta.json").write_text(json.dumps(STATED), encoding="utf8")
    (folder / "train.txt").write_text(CONLL, encoding="utf8")
    corpus = folder / "train.spacy"
    run("convert", folder / "train.txt", corpus, "--images", folder / "photos", "--lang", "de")
    text, vision = encoders
    overrides = {
        "nlp.lang": "de",
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "paths.images": str(folder / "photos"),
        "components.bga_ner.model.text_encoder": str(text),
        "components.bga_ner.model.vision_encoder": str(vision),
        "components.bga_ner.model.image_size": 32,
        "training.max_steps": 60,
        "training.eval_frequency": 30,
        "training.optimizer.learn_rate": 0.01,
        "training.before_to_disk": {
            "@callbacks": "spacy_bga.complete_meta.v1",
            "meta": str(folder / "meta.json"),
        },
    }
    train(ROOT / "configs" / "tiny.cfg", folder / "out", overrides=overrides)
    pipeline = folder / "out" / "model-best"
    metrics = folder / "metrics.json"
    evaluate(str(pipeline), corpus, metrics)
    names = ["--name", "werbung", "--version", "1.0.0"]
    run("model-card", pipeline, "--metrics", metrics, "--dataset", DATASET, "--text", TEXT, "--text", "Öko", *names)
    call("-m", "spacy", "package", pipeline, folder, *names, "--build", "none", cwd=folder)
    packaged = folder / "de_werbung-1.0.0"
    # What `--build wheel` runs, but for the environment that it fetches from the package index.
    call("setup.py", "-q", "bdist_wheel", cwd=packaged)
    return Shared(pipeline, metrics, packaged, packaged / "dist" / "de_werbung-1.0.0-py3-none-any.whl")


@pytest.fixture
def german(shared: Shared) -> Language:
    return spacy.load(shared.pipeline)


def call(*arguments: object, cwd: Path) -> None:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr


def run(*arguments: object) -> str:
    """RETURNS (str): What a command that succeeds writes."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output
