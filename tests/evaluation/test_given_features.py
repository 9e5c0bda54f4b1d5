"""A user's way with given features: computed, learnt from, measured, shown and checked by the console's commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.training import Example
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.feature_file import FeatureFile
from spacy_bga.evaluation.scores import score_pipeline
from spacy_bga.sharing.sources import encoder_sources
from tests.evaluation.aligners import Entities, write_texts
from tests.features import random_features, write_features
from tests.pipeline.conftest import architecture, make_example, make_examples, pipe_of, train
from tests.pipeline.pictured import V2, make_pair, make_word_pipeline
from tests.settings import validate

LEARNT, HELD_OUT = range(120), range(1000, 1030)


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for seed in (*LEARNT, *HELD_OUT):
        (root / f"{seed}.png").write_bytes(make_pair(seed)[2])
    return root


@pytest.fixture(scope="module")
def features(photos: Path, vision_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("given") / "features"
    said = run("features", photos, output, "--vision-encoder", vision_encoder_folder, "--grid", 2, "--shard-size", 64)
    assert "features of 150 keys" in said
    return output


@pytest.fixture(scope="module")
def folder(text_encoder_folder: Path, features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline whose words have learnt from keys alone what they look like, saved with its visual branch."""

    def examples(nlp: Language) -> list[Example]:
        pairs = [make_example(nlp, " ".join(make_pair(seed)[0]), None, image=f"{seed}.png") for seed in LEARNT]
        return [*make_examples(nlp), *pairs]

    nlp = make_word_pipeline(
        text_encoder_folder,
        None,
        examples=examples,
        steps=200,
        visual_features=str(features),  # type: ignore[arg-type]
    )
    folder = tmp_path_factory.mktemp("pipeline") / "given"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    texts: list[tuple[str, Entities]] = []
    for seed in HELD_OUT:
        words, quadrants, _ = make_pair(seed)
        texts.append((" ".join(words), [(words.index(thing), words.index(thing) + 1, "PER") for thing in quadrants]))
    return write_texts(tmp_path / "pairs.spacy", texts, images=[f"{seed}.png" for seed in HELD_OUT])


def test_alignment(folder: Path, pairs: Path, features: Path, tmp_path: Path):
    """Texts find their pictures by the features; the same ones under another name give the same."""
    run("alignment", folder, pairs, "--output", tmp_path / "own.json")
    found = json.loads((tmp_path / "own.json").read_text(encoding="utf8"))
    assert found["t2i"]["n"] == len(HELD_OUT)
    assert found["t2i"]["r10_ci"][0] > found["t2i"]["chance_r10"]
    file = FeatureFile(features)
    moved = {f"{seed}.png": file.load(f"{seed}.png") for seed in HELD_OUT}
    other = write_features(tmp_path / "test.safetensors", moved, grid="2x2")
    run("alignment", folder, pairs, "--images", other, "--output", tmp_path / "other.json")
    assert json.loads((tmp_path / "other.json").read_text(encoding="utf8")) == found


def test_the_picture_and_its_heat_map(folder: Path, pairs: Path, photos: Path, tmp_path: Path):
    run("view", folder, pairs, "--images", photos, "--output", tmp_path / "page.html", "--limit", 3)
    assert "points" in (tmp_path / "page.html").read_text(encoding="utf8")


def test_pointing(folder: Path, pairs: Path, photos: Path, tmp_path: Path):
    boxes = tmp_path / "boxes.jsonl"
    rows = [
        {"image": f"{seed}.png", "width": 32, "height": 32}
        | {
            "objects": [
                {"entity": thing, "box": [16 * column, 16 * row, 16 * column + 16, 16 * row + 16]}
                for thing, (row, column) in make_pair(seed)[1].items()
            ]
        }
        for seed in HELD_OUT
    ]
    boxes.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    output, pictures = tmp_path / "pointing.json", tmp_path / "pictures"
    run("pointing", folder, pairs, boxes, "--images", photos, "--output", output, "--pictures", pictures)
    assert json.loads(output.read_text(encoding="utf8"))["embedded"]["model"] > 90
    assert len(list(pictures.iterdir())) == 2 * len(HELD_OUT)


def test_the_sources_name_no_vision_encoder(folder: Path):
    assert [source["role"] for source in encoder_sources(spacy.load(folder))] == ["text encoder"]


def test_scores_with_real_features(text_encoder_folder: Path, tmp_path: Path):
    texts = [(" ".join(doc.text.split()), [(e.start, e.end, e.label_) for e in doc.ents]) for doc in _posts()]
    keys = [str(number) for number in range(len(texts))]
    path = write_features(tmp_path / "f.safetensors", random_features(keys))
    nlp = spacy.blank("en")
    model = {**V2, "bga_layers": 2, "real_context": 0.5, "words": False, "visual_features": str(path)}
    settings = architecture(text_encoder_folder, None, **model)
    nlp.add_pipe("bga_ner", config={"model": settings, "save_visual_branch": True})
    examples = [make_example(nlp, text, ents, image=key) for key, (text, ents) in zip(keys, texts, strict=True)]
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=60)
    nlp.to_disk(tmp_path / "pipeline")
    corpus = write_texts(tmp_path / "test.spacy", texts, images=keys)
    own = score_pipeline(tmp_path / "pipeline", corpus, contexts=["real"])["contexts"]["real"]
    assert own["images"] == len(texts)
    assert own["f1"] > 90
    few = write_features(tmp_path / "few" / "f.safetensors", random_features(keys[:2])).parent
    with pytest.warns(UserWarning, match="W201"):
        other = score_pipeline(tmp_path / "pipeline", corpus, contexts=["real"], images=few)
    assert other["contexts"]["real"]["images"] == 2
    card = tmp_path / "scores.json"
    with pytest.warns(UserWarning, match="W201"):
        run("evaluate", tmp_path / "pipeline", corpus, "--images", few, "--visual-context", "real", "--output", card)
    assert json.loads(card.read_text(encoding="utf8"))["images"] == 2
    assert pipe_of(spacy.load(tmp_path / "pipeline")).visual_features == path


def _posts():
    return [example.reference for example in make_examples(spacy.blank("en"))]


class TestConfig:
    @pytest.mark.parametrize("base", ["starter", "align", "paper"])
    def test_a_config(self, base: str, features: Path, pairs: Path, tmp_path: Path):
        given = ["--visual-features", features, "--train", pairs, "--dev", pairs]
        run("init-config", tmp_path / "my.cfg", "--base", base, *given)
        config = spacy.util.load_config(tmp_path / "my.cfg")
        validate(config)
        model = config["components"]["bga_ner"]["model"]
        assert model["visual_features"] == features.as_posix()
        assert model["vision_encoder"] is None
        assert model["train_vision"] is False

    @pytest.mark.parametrize(
        ("more", "code"), [(["--base", "text_only"], "B638"), (["--vision-encoder", "facebook/dinov2-small"], "B218")]
    )
    def test_what_does_not_go_together(self, more: list[str], code: str, features: Path, tmp_path: Path):
        given = ["init-config", str(tmp_path / "my.cfg"), "--visual-features", str(features), *more]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 1
        assert code in done.output

    def test_the_check(self, features: Path, photos: Path, pairs: Path, tmp_path: Path):
        run("init-config", tmp_path / "my.cfg", "--visual-features", features, "--train", pairs, "--dev", pairs)
        done = CliRunner().invoke(app, ["debug-data", str(tmp_path / "my.cfg"), "--json", str(tmp_path / "r.json")])
        found = json.loads((tmp_path / "r.json").read_text(encoding="utf8"))
        kinds = {f["kind"]: f for section in found["sections"] for f in section["findings"]}
        assert kinds["features-leak"]["count"] == len(HELD_OUT), done.output
        assert not {"no-image-root", "images-unread", "features-missing"} & set(kinds)
        part = write_features(tmp_path / "part.safetensors", random_features(["1000.png", "other"]))
        override = ["--components.bga_ner.model.visual_features", str(part)]
        CliRunner().invoke(app, ["debug-data", str(tmp_path / "my.cfg"), "--json", str(tmp_path / "r.json"), *override])
        found = json.loads((tmp_path / "r.json").read_text(encoding="utf8"))
        kinds = {f["kind"]: f for section in found["sections"] for f in section["findings"]}
        assert kinds["features-missing"]["count"] == 2 * (len(HELD_OUT) - 1)
        broken = ["--components.bga_ner.model.visual_features", str(tmp_path / "absent")]
        done = CliRunner().invoke(app, ["debug-data", str(tmp_path / "my.cfg"), *broken])
        assert done.exit_code == 1
        assert "B370" in done.output
