"""What pictures add, by where names are known from: on corpora and pipelines of which all is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.uptake import (
    ALL,
    BGA,
    LABELS,
    NEVER,
    PAIRS,
    SHUFFLED,
    TEXT_ONLY,
    measure_uptake,
    uptake_table,
)

# Alma has labels, Bero is in a text of the pairs, Cilo is nowhere.
TRAIN = [("Alma sings", {"Alma": "PER"})]
TEST = [
    ("Alma meets Bero", {"Alma": "PER", "Bero": "LOC"}),
    ("Bero at night", {"Bero": "LOC"}),
    ("who is Cilo ?", {"Cilo": "ORG"}),
] * 8
PAIRED = ["First look at bero", "Berolina and Almata"]


def write(path: Path, texts: list[tuple[str, dict[str, str] | None]]) -> Path:
    nlp = spacy.blank("en")
    docs = DocBin()
    for text, entities in texts:
        doc = nlp.make_doc(text)
        if entities is not None:
            doc.set_ents([doc.char_span(text.index(e), text.index(e) + len(e), label) for e, label in entities.items()])
        docs.add(doc)
    docs.to_disk(path)
    return path


def make_pipeline(folder: Path, names: dict[str, str]) -> Path:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": name} for name, label in names.items()])
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "test": write(tmp_path / "test.spacy", TEST),
        "train": write(tmp_path / "train.spacy", TRAIN),
        "pairs": write(tmp_path / "pairs.spacy", [(text, None) for text in PAIRED]),
        TEXT_ONLY: make_pipeline(tmp_path / "text_only", {"Alma": "PER", "Bero": "ORG"}),
        BGA: make_pipeline(tmp_path / "bga", {"Alma": "PER", "Bero": "LOC"}),
        SHUFFLED: make_pipeline(tmp_path / "shuffled", {"Alma": "PER", "Bero": "ORG", "night": "LOC"}),
    }


def measure(files: dict[str, Path], *names: str) -> dict:
    pipelines = {name: files[name] for name in names}
    return measure_uptake(pipelines, files["test"], train=files["train"], pairs=files["pairs"], resamples=400)


def test_each_slice_is_scored_by_hand(files: dict[str, Path]):
    rows = {row["name"]: row for row in measure(files, TEXT_ONLY, BGA, SHUFFLED)["rows"]}
    assert [rows[name]["entities"] for name in (LABELS, PAIRS, NEVER, ALL)] == [8, 16, 8, 32]
    assert [rows[LABELS][name]["f1"] for name in (TEXT_ONLY, BGA, SHUFFLED)] == [100, 100, 100]
    assert [rows[PAIRS][name]["f1"] for name in (TEXT_ONLY, BGA, SHUFFLED)] == [0, 100, 0]
    assert [rows[NEVER][name]["f1"] for name in (TEXT_ONLY, BGA, SHUFFLED)] == [0, 0, 0]
    # 24 right, 24 found, 32 there; 8 right, 24 found; 8 right, 32 found, as "night" was never seen either.
    assert rows[ALL][BGA]["f1"] == pytest.approx(200 * 24 / 56, abs=0.01)
    assert rows[ALL][TEXT_ONLY]["f1"] == pytest.approx(200 * 8 / 56, abs=0.01)
    assert rows[ALL][SHUFFLED]["f1"] == pytest.approx(200 * 8 / 64, abs=0.01)


def test_gains_are_differences_to_text_alone_within_their_intervals(files: dict[str, Path]):
    rows = {row["name"]: row for row in measure(files, TEXT_ONLY, BGA, SHUFFLED)["rows"]}
    assert "gain" not in rows[ALL][TEXT_ONLY]
    for name in (BGA, SHUFFLED):
        mean, low, high = rows[ALL][name]["gain"]
        assert mean == pytest.approx(rows[ALL][name]["f1"] - rows[ALL][TEXT_ONLY]["f1"], abs=0.02)
        assert low <= mean <= high
    low, high = rows[ALL][BGA]["ci"]
    assert low < rows[ALL][BGA]["f1"] < high


@pytest.mark.parametrize(
    ("bga", "shuffled", "said"),
    [
        (BGA, TEXT_ONLY, "it is the pictures that tell"),
        (BGA, BGA, "not all of it is the pictures"),
        (TEXT_ONLY, TEXT_ONLY, "no more than chance"),
        (SHUFFLED, TEXT_ONLY, "do not pay here"),
    ],
)
def test_the_sentence_says_what_the_numbers_mean(files: dict[str, Path], bga: str, shuffled: str, said: str):
    measured = measure(files | {BGA: files[bga], SHUFFLED: files[shuffled]}, TEXT_ONLY, BGA, SHUFFLED)
    assert said in measured["sentence"]
    assert measured["sentence"] in uptake_table(measured)


def test_names_that_pairs_alone_know_are_needed_to_say_anything(files: dict[str, Path]):
    measured = measure(files | {"pairs": files["train"]}, TEXT_ONLY, BGA)
    rows = {row["name"]: row for row in measured["rows"]}
    assert rows[PAIRS]["entities"] == 0
    assert "No name" in measured["sentence"]
    assert f"| {PAIRS} | 0 | – | – |" in uptake_table(measured)


def test_one_pipeline_alone_is_scored_without_a_sentence(files: dict[str, Path]):
    measured = measure(files, BGA)
    assert measured["sentence"] == ""
    assert list(measured["rows"][0]) == ["name", "entities", BGA]


def test_the_command_prints_the_table_last_and_writes_all_numbers(files: dict[str, Path], tmp_path: Path):
    output = tmp_path / "uptake.json"
    options = {"--train": "train", "--pairs": "pairs", "--text-only": TEXT_ONLY, "--bga": BGA, "--shuffled": SHUFFLED}
    given = [part for option, name in options.items() for part in (option, str(files[name]))]
    result = CliRunner().invoke(app, ["uptake", str(files["test"]), *given, "--output", str(output)])
    assert result.exit_code == 0, result.output
    measured = json.loads(output.read_text(encoding="utf8"))
    assert result.output.rstrip().endswith(measured["sentence"])
    assert [row["name"] for row in measured["rows"]] == [LABELS, PAIRS, NEVER, ALL]


def test_a_corpus_that_is_not_there_is_a_clear_error(files: dict[str, Path], tmp_path: Path):
    with pytest.raises(BGAError, match=r"none\.spacy"):
        measure(files | {"pairs": tmp_path / "none.spacy"}, TEXT_ONLY, BGA)
