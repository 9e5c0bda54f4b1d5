"""Configs made by `init-config`: complete, commented, and fit to train with."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
import spacy
from spacy.cli.debug_config import debug_config
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.util import load_config
from thinc.api import Config
from transformers import CLIPVisionConfig, GPT2Config, XLMRobertaConfig
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.pipeline import encoders
from spacy_bga.starter.config import BASES, Choices, check_encoder, count_texts, make_config
from spacy_bga.starter.config_text import read_comments
from spacy_bga.starter.template import template_folder
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, make_example

MODEL = "components.bga_ner.model"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six labelled posts, four of them with images, and three pairs."""
    nlp = spacy.blank("en")
    (tmp_path / "photos").mkdir()
    labelled, pairs = DocBin(store_user_data=True), DocBin(store_user_data=True)
    for number, (text, entities) in enumerate(POSTS):
        (tmp_path / "photos" / f"{number}.png").write_bytes(encode_picture(number))
        image = f"{number}.png" if number % 3 else None
        labelled.add(make_example(nlp, text, entities, image=image).reference)
        if number % 2:
            pairs.add(make_example(nlp, text, None, image=f"{number}.png").reference)
    labelled.to_disk(tmp_path / "train.spacy")
    pairs.to_disk(tmp_path / "pairs.spacy")
    return tmp_path


@pytest.fixture
def paths(data: Path) -> dict[str, Path]:
    return {"train": data / "train.spacy", "dev": data / "train.spacy"}


def make(**choices) -> dict:
    """RETURNS (dict): The config that is made of choices."""
    return load_config_text(make_config(Choices(**choices)))


def load_config_text(text: str) -> dict:
    return Config().from_str(text, interpolate=False)


@pytest.mark.parametrize("base", BASES)
def test_each_base(base: str, paths: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture):
    """Everything that the base says is kept, everything else is filled, and every comment stays in its place."""
    text = make_config(Choices(base=base))
    made, shipped = load_config_text(text), load_config(template_folder() / "configs" / f"{base}.cfg")
    for section in ("corpora", "system", "components"):
        assert contains(made[section], load_config_text(shipped.to_str(interpolate=False))[section]), section
    assert made["training"]["max_steps"] == shipped["training"]["max_steps"]
    comments = read_comments(text)
    own = read_comments((template_folder() / "configs" / f"{base}.cfg").read_text(encoding="utf8"))
    assert {name: comments.get(name) for name in own} == own
    assert comments["components.bga_ner.backend"]
    path = tmp_path / "made.cfg"
    path.write_text(text, encoding="utf8")
    debug_config(path, overrides={f"paths.{name}": str(place) for name, place in paths.items()})
    assert "Config is valid" in capsys.readouterr().out


def contains(whole: dict, part: dict) -> bool:
    return all(
        contains(whole[key], value) if isinstance(value, dict) and isinstance(whole[key], dict) else whole[key] == value
        for key, value in part.items()
    )


def test_choices(data: Path, paths: dict[str, Path], text_encoder_folder: Path, vision_encoder_folder: Path):
    paths |= {"images": data / "photos", "pairs": data / "pairs.spacy", "pair_images": data / "photos"}
    made = make(
        lang="de",
        text_encoder=str(text_encoder_folder),
        vision_encoder=str(vision_encoder_folder),
        labels=["PER", "Straße"],
        gpu=True,
        paths=paths,
    )
    assert made["nlp"]["lang"] == "de"
    assert made["components"]["bga_ner"]["model"]["text_encoder"] == str(text_encoder_folder)
    assert made["components"]["bga_ner"]["model"]["vision_encoder"] == str(vision_encoder_folder)
    started = {"aligner": "${paths.aligner}", "align_steps": None}
    assert made["initialize"]["components"]["bga_ner"] == {"labels": ["PER", "Straße"], **started}
    assert made["system"]["gpu_allocator"] == "pytorch"
    assert {name: made["paths"][name] for name in paths} == {name: str(path) for name, path in paths.items()}
    assert made["training"]["logger"]["output_file"] == "${paths.log}"


@pytest.mark.parametrize(
    ("base", "pairs", "batch", "steps"),
    [
        ("starter", False, 16, 230),
        ("starter", True, 32, 230),
        ("text_only", False, 16, 230),
        ("align", False, 32, 230),
    ],
)
def test_steps_fit_the_data(base: str, pairs: bool, batch: int, steps: int, data: Path, paths: dict[str, Path]):
    paths |= {"pairs": data / "pairs.spacy"} if pairs else {}
    text = make_config(Choices(base=base, paths=paths))
    training = load_config_text(text)["training"]
    assert training["batcher"]["size"] == batch
    assert training["max_steps"] == training["optimizer"]["learn_rate"]["total_steps"] == steps
    assert training["optimizer"]["learn_rate"]["warmup_steps"] == steps // 10
    assert training["eval_frequency"] == 8  # epochs of one step, thirty evaluations at most
    (comment,) = read_comments(text)["training.max_steps"]
    assert comment.startswith(f"# {steps} epochs of the texts of {data}/train.spacy")
    assert comment.endswith("pairs.spacy.") == pairs


def test_counting(data: Path):
    assert count_texts(data / "pairs.spacy") == 3
    assert count_texts(data) == 9
    (data / "empty").mkdir()
    for path in (data / "empty", data / "nowhere.spacy"):
        with pytest.raises(BGAError, match="B341"):
            count_texts(path)
    for content in (b"", b"EU\tB-ORG\n", zlib.compress(b"\x01")):
        (data / "train.txt").write_bytes(content)
        with pytest.raises(BGAError, match=r"B640.*train.txt"):
            count_texts(data / "train.txt")


@pytest.mark.filterwarnings("ignore:.*lr_scheduler:UserWarning")
def test_it_trains(data: Path, text_encoder_folder: Path, vision_encoder_folder: Path, monkeypatch, capsys):
    """From the console to a trained pipeline, with nothing but the options that the config is made with."""
    monkeypatch.chdir(data)
    options = "--train train.spacy --dev train.spacy --images photos --labels LOC,ORG,PER"
    encoders = ["--text-encoder", str(text_encoder_folder), "--vision-encoder", str(vision_encoder_folder)]
    result = CliRunner().invoke(app, ["init-config", "my.cfg", *options.split(), *encoders])
    assert result.exit_code == 0, result.output
    assert "python -m spacy train my.cfg --output training\n" in result.output
    small = {"training.max_steps": 2, "training.eval_frequency": 2, f"{MODEL}.image_size": 32, f"{MODEL}.window": 32}
    train(Path("my.cfg"), Path("training"), overrides=small | {f"{MODEL}.overlap": 8})
    assert spacy.load("training/model-last").get_pipe("bga_ner").labels == ("LOC", "ORG", "PER")
    rows = [json.loads(line) for line in Path("training/log.jsonl").read_text(encoding="utf8").splitlines()]
    assert [row["step"] for row in rows] == [0, 2]
    assert rows[0]["losses"]["bga_ner_words"] > 0


def test_console(tmp_path: Path, text_encoder_folder: Path):
    run = CliRunner().invoke
    shown = run(app, ["init-config", "-", "--base", "text_only", "--cpu"])
    assert load_config_text(shown.stdout)["system"]["gpu_allocator"] is None
    path = tmp_path / "new" / "my.cfg"
    result = run(app, ["init-config", str(path), "--base", "text_only", "--gpu"])
    assert "--gpu-id 0 --paths.train FILE --paths.dev FILE" in result.output
    again = run(app, ["init-config", str(path)])
    assert again.exit_code == 1
    assert "[B639] There is a file" in again.output
    assert run(app, ["init-config", str(path), "--base", "text_only", "--force"]).exit_code == 0


def test_a_language_keeps_its_tokenizer():
    with pytest.warns(UserWarning, match="W631"):
        assert make(lang="zh")["nlp"]["tokenizer"]["@tokenizers"] == "spacy.zh.ChineseTokenizer"


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ({"base": "nothing"}, "B635.*starter, text_only, align, paper"),
        ({"lang": "qq", "text_encoder": "TEXT"}, "B636.*'qq'"),
        ({"base": "paper", "paths": {"pairs": Path("p.spacy")}}, "B637.*paper.cfg reads no pairs.*train, dev, images"),
        ({"base": "text_only", "vision_encoder": "facebook/dinov2-small"}, "B638"),
        ({"paths": {"train": Path("nowhere.spacy")}}, "B341.*nowhere.spacy"),
        ({"text_encoder": "./no where"}, "B401"),
        ({"vision_encoder": "TEXT"}, "B121.*bert.*clip"),
    ],
)
def test_what_cannot_be_chosen(choices: dict, code: str, text_encoder_folder: Path):
    choices = {key: str(text_encoder_folder) if value == "TEXT" else value for key, value in choices.items()}
    with pytest.raises(BGAError, match=code):
        make_config(Choices(**choices))


def test_families(tmp_path: Path):
    """From config.json alone, without weights, as the Hub's cache may have it."""
    for config, vision in ((XLMRobertaConfig(), False), (CLIPVisionConfig(), True)):
        config.save_pretrained(tmp_path / config.model_type)
        (tmp_path / config.model_type / "model.safetensors").touch()
        check_encoder(str(tmp_path / config.model_type), vision=vision)
    GPT2Config().save_pretrained(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "model.safetensors").touch()
    with pytest.raises(BGAError, match=r"B120.*gpt2.*bert, roberta"):
        check_encoder(str(tmp_path / "gpt2"), vision=False)


def test_an_encoder_that_cannot_be_asked_about(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(encoders, "LOCAL_PLACES", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.warns(UserWarning, match="W632.*someone/encoder"):
        assert (
            make(text_encoder="someone/encoder")["components"]["bga_ner"]["model"]["text_encoder"] == "someone/encoder"
        )
