"""The ways of three users, as scripts that they could run: only the encoders are tiny, and the trainings short."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spacy_bga.corpus.convert import convert
from tests.viewer.test_page import Reader

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EMBEDDED = ROOT / "assets" / "embedded"
PARTS = {"train": 110, "dev": 30, "test": 30}
POSTS = [
    ("Kevin Durant joins the Warriors, finally", "train_0001.png"),
    ('love "Paris", always 🗼', ""),
    ("its picture is not there", "absent.png"),
]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def environment(text_encoder_folder: Path, vision_encoder_folder: Path) -> dict[str, str]:
    """What the scripts find: this Python, this package, tiny encoders in place of the starter ones, few steps, and no
    package index (`spacy package` then builds without an environment of its own)."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    encoders = {"TEXT_ENCODER": str(text_encoder_folder), "VISION_ENCODER": str(vision_encoder_folder)}
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    return (
        {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "STEPS": "20"}
        | encoders
        | offline
    )


def run(script: str, *arguments: object, cwd: Path, env: dict[str, str]) -> str:
    """RETURNS (str): What a script has printed. It has to succeed."""
    command = ["bash", str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def take_posts(target: Path) -> None:
    """The first posts of each part of the embedded corpus, as data of one's own; one of their pictures is broken."""
    (target / "images").mkdir(parents=True)
    for name, number in PARTS.items():
        posts = (EMBEDDED / f"{name}.txt").read_text(encoding="utf8").split("\n\n")[:number]
        (target / f"{name}.txt").write_text("\n\n".join(posts) + "\n", encoding="utf8")
        for post in posts:
            image = EMBEDDED / "images" / f"{post.partition(chr(10))[0].removeprefix('IMGID:')}.png"
            if image.is_file():
                shutil.copy(image, target / "images")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A folder after the journey from posts to a package."""
    folder = tmp_path_factory.mktemp("home")
    take_posts(folder / "posts")
    (folder / "printed").write_text(run("posts_to_package.sh", "posts", cwd=folder, env=environment), encoding="utf8")
    return folder


def test_posts_to_package(home: Path):
    printed = (home / "printed").read_text(encoding="utf8")
    assert "train_0100.png" in printed  # which is broken: the conversion tells, and leaves it out
    counts = json.loads((home / "report.json").read_text(encoding="utf8"))["counts"]
    assert counts["error"] == 0 < counts["warning"]
    scores = json.loads((home / "scores.json").read_text(encoding="utf8"))
    metrics = json.loads((home / "metrics.json").read_text(encoding="utf8"))
    assert scores["documents"] == PARTS["test"]
    assert set(metrics["ents_per_type"]) == {"PER", "LOC", "ORG", "MISC"}
    assert (home / "curves.svg").read_text(encoding="utf8").lstrip().startswith("<?xml")
    card = (home / "training" / "model-best" / "README.md").read_text(encoding="utf8")
    assert f"{100 * metrics['ents_f']:.2f}" in card
    assert (home / "packages/en_my_ner-0.1.0/dist/en_my_ner-0.1.0-py3-none-any.whl").is_file()


def test_package_to_page(home: Path, environment: dict[str, str]):
    """pip installs the wheel into a folder of this test."""
    installed = home / "installed"
    pip = {"PIP_TARGET": str(installed), "PIP_NO_DEPS": "1"}
    env = {**environment, **pip, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    with (home / "posts.csv").open("w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([("text", "image"), *POSTS])
    wheel = "packages/en_my_ner-0.1.0/dist/en_my_ner-0.1.0-py3-none-any.whl"
    printed = run("package_to_page.sh", wheel, "posts.csv", "posts/images", cwd=home, env=env)
    assert "3 posts written to page.html" in printed
    with (home / "found.csv").open(encoding="utf8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["text"], row["image"]) for row in found] == POSTS
    page = Reader((home / "page.html").read_text(encoding="utf8"))
    assert len(page.all("article")) == 3
    assert len(page.all("img", "shown")) == 1
    assert "absent.png" in page.text  # it tells that there is none
    assert len(page.all("mark", "entity")) == sum(row["entities"].count("(") for row in found) > 0


def test_two_configs_to_verdict(environment: dict[str, str], tmp_path: Path):
    for name, number in PARTS.items():
        output = tmp_path / "corpus" / f"{name}.spacy"
        convert(EMBEDDED / f"{name}.txt", output, images=EMBEDDED / "images", limit=number)
    printed = run("two_configs_to_verdict.sh", "corpus", EMBEDDED / "images", cwd=tmp_path, env=environment)
    verdict = json.loads((tmp_path / "verdict.json").read_text(encoding="utf8"))
    assert list(verdict["pipelines"]) == ["training/with/model-best", "training/without/model-best"]
    low, high = verdict["difference"]["overall"]["all"]["f1_ci"]
    assert low <= verdict["difference"]["overall"]["all"]["f1"] <= high
    page = (tmp_path / "verdict.md").read_text(encoding="utf8")
    assert page in printed
    assert "`training/with/model-best`" in page.split("## training/with/model-best against", 1)[1].split("|", 1)[0]
    assert "without" in (tmp_path / "curves.svg").read_text(encoding="utf8")
