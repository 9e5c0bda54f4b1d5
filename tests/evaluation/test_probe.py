"""`python -m spacy_bga probe`: names whose pictures tell their label, on pipelines that have seen them or not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from typer.testing import CliRunner, Result

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation import probe
from spacy_bga.evaluation.probe import judge, measure_probe, table, untrained
from spacy_bga.pipeline.alignment import imagine_spans
from spacy_bga.reliability.tiny import write_text_encoder
from tests.evaluation.aligners import Entities, make_pipeline, write_texts
from tests.pipeline.conftest import aligner_of, make_example, pipe_of
from tests.pipeline.pictured import FILLERS, QUADRANTS, draw, make_word_pipeline

NAMES = [f"name{number}" for number in range(48)]
KINDS = {"PER": "kevin", "LOC": "apple"}  # and the colour that their pictures have
TEXTS = [("love {}", 1), ("the {} is in", 1), ("{} joins a", 0)]


def kind_of(name: str) -> str:
    return list(KINDS)[NAMES.index(name) % 2]


def labelled(names: Sequence[str]) -> list[tuple[str, Entities]]:
    """A text for each name and pattern."""
    return [(text.format(name), [(at, at + 1, kind_of(name))]) for name in names for text, at in TEXTS]


def examples(nlp: Language, *, pictures: bool) -> list:
    """Labelled texts, so that labels are known, and pairs of each name with pictures of its kind."""
    found = [make_example(nlp, text, entities) for text, entities in labelled(NAMES[:2])]
    rng = random.Random(0)
    for number, name in enumerate(NAMES * 2):
        picture = draw([KINDS[kind_of(name)]] * 2, rng.sample(QUADRANTS, 2), seed=number)
        words = [name if pictures else "the", rng.choice(FILLERS)]
        found.append(make_example(nlp, " ".join(words), None, image=picture))
    return found


@pytest.fixture(scope="module")
def names_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text encoder of random weights that has a wordpiece for each name: they have nothing in common."""
    return write_text_encoder(tmp_path_factory.mktemp("names"), words=[*NAMES, *FILLERS])


@pytest.fixture(scope="module")
def pictured(names_encoder: Path, vision_encoder_folder: Path) -> Language:
    """A pipeline that knows from pictures what each name is, and from labels nothing."""
    pairs = partial(examples, pictures=True)
    return make_word_pipeline(names_encoder, vision_encoder_folder, examples=pairs, steps=300, word_width=128)


@pytest.fixture(scope="module")
def blind(names_encoder: Path, vision_encoder_folder: Path) -> Language:
    """A pipeline whose texts with pictures name nothing that is in these."""
    pairs = partial(examples, pictures=False)
    return make_word_pipeline(names_encoder, vision_encoder_folder, examples=pairs, steps=20)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "train.spacy", labelled(NAMES[:24]))


@pytest.fixture
def test(tmp_path: Path) -> Path:
    """Four names of the training, and all others."""
    return write_texts(tmp_path / "test.spacy", labelled(NAMES[20:]))


def by_name(measured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in measured["rows"]}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["probe", *map(str, arguments)])


class TestMeasure:
    def test_what_pictures_show_is_read_of_unseen_names(self, pictured: Language, train: Path, test: Path):
        measured = measure_probe(pictured, train, test)
        rows = by_name(measured)
        assert list(rows) == ["all", "LOC", "PER", "seen", "unseen"]
        assert {name: row["n"] for name, row in rows.items()} == {
            "all": 84,
            "LOC": 42,
            "PER": 42,
            "seen": 12,
            "unseen": 72,
        }
        assert rows["unseen"]["generated"] > 90
        assert rows["unseen"]["untrained"] < 75
        assert rows["unseen"]["majority"] == rows["all"]["majority"] == 50
        assert (rows["LOC"]["majority"], rows["PER"]["majority"]) == (100, 0)
        assert rows["seen"]["generated"] == rows["seen"]["text"] == 100
        assert rows["all"]["pipeline"] < 50  # nobody has trained it to tag
        assert measured["verdict"] == "not taken up"
        assert measured["judged_by"] == "unseen"
        assert measured["train"] == 72
        assert json.loads(json.dumps(measured, allow_nan=False)) == measured
        assert measure_probe(pictured, train, test) == measured

    def test_without_pictures_of_the_names_nothing_is_learnt(self, blind: Language, train: Path, test: Path):
        measured = measure_probe(blind, train, test)
        assert measured["verdict"] == "nothing learnt"
        assert by_name(measured)["seen"]["generated"] == 100  # by heart, which says nothing

    def test_what_the_pipeline_finds(self, pictured: Language, train: Path, test: Path, monkeypatch: Any):
        """As if it knew all names of the test set, and one of them wrongly."""
        patterns = [{"label": kind_of(name), "pattern": name} for name in NAMES[20:]]
        patterns[-1] |= {"label": kind_of(NAMES[0])}
        ruled = spacy.blank("en")
        ruled.add_pipe("entity_ruler").add_patterns(patterns)  # type: ignore[attr-defined]
        ruled.add_pipe("bga_ner", source=pictured)
        pipe_of(ruled).overwrite = False
        row = by_name(measure_probe(ruled, train, test))["all"]
        assert row["pipeline"] == pytest.approx(100 * 81 / 84, abs=0.01)
        assert measure_probe(ruled, train, test)["verdict"] == "taken up"

    def test_few_unseen_entities_are_not_judged_by(self, pictured: Language, train: Path, test: Path, monkeypatch: Any):
        monkeypatch.setattr(probe, "LEAST_UNSEEN", 25)
        assert measure_probe(pictured, train, test)["judged_by"] == "all"
        all_seen = measure_probe(pictured, train, train)
        assert list(by_name(all_seen)) == ["all", "LOC", "PER", "seen"]

    def test_a_label_that_was_not_trained_is_never_right(self, pictured: Language, train: Path, tmp_path: Path):
        other = [*labelled(NAMES[:2]), ("love name3", [(1, 2, "ORG")])]
        rows = by_name(measure_probe(pictured, train, write_texts(tmp_path / "other.spacy", other)))
        assert [rows["ORG"][name] for name in ("generated", "untrained", "text", "majority")] == [0, 0, 0, 0]

    def test_a_slim_pipeline_says_the_same(self, pictured: Language, train: Path, test: Path, tmp_path: Path):
        shim = pipe_of(pictured)._shim
        shim.save_visual_branch = False
        try:
            pictured.to_disk(tmp_path / "slim")
        finally:
            shim.save_visual_branch = True
        slim = spacy.load(tmp_path / "slim")
        assert aligner_of(slim).visual is None
        assert measure_probe(slim, train, test) == measure_probe(pictured, train, test)

    @pytest.mark.parametrize("settings", [{}, {"visual_grid": 0}, {"slim": True}, {"max_crops": 1}])
    def test_bga_layers(
        self, names_encoder: Path, vision_encoder_folder: Path, train: Path, test: Path, tmp_path: Path, settings: Any
    ):
        make_pipeline(names_encoder, vision_encoder_folder, **settings).to_disk(tmp_path / "bga")
        measured = measure_probe(spacy.load(tmp_path / "bga"), train, test)
        assert measured["verdict"] in ("nothing learnt", "not taken up")
        assert by_name(measured)["seen"]["generated"] >= 50

    def test_without_labels_there_is_no_pipeline_to_compare(
        self, pictured: Language, train: Path, test: Path, monkeypatch: Any
    ):
        monkeypatch.setattr("spacy_bga.evaluation.tagging.knows_labels", lambda nlp: False)
        measured = measure_probe(pictured, train, test)
        assert measured["verdict"] == "learnt"
        assert {row["pipeline"] for row in measured["rows"]} == {None}
        assert "No tagger has been trained yet" in table(measured)

    def test_texts_that_cannot_be_tagged_count_as_missed(
        self, pictured: Language, train: Path, test: Path, monkeypatch: Any
    ):
        def fail(docs: Any) -> Any:
            raise BGAError("Mend it.")

        monkeypatch.setattr(pipe_of(pictured), "predict", fail)
        with pytest.warns(UserWarning, match=r"W610.*Mend it"):
            measured = measure_probe(pictured, train, test)
        assert by_name(measured)["all"]["pipeline"] == 0


class TestUntrained:
    @pytest.mark.parametrize("make", [make_word_pipeline, make_pipeline])
    def test_it_generates_otherwise_and_only_for_a_while(
        self, text_encoder_folder: Path, vision_encoder_folder: Path, make: Callable[..., Language]
    ):
        nlp = make(text_encoder_folder, vision_encoder_folder)
        doc = nlp.make_doc("kevin joins the warriors")
        aligner, model = aligner_of(nlp), pipe_of(nlp).model
        before = imagine_spans(model, [doc[0:1], doc[3:4]])
        state = {name: tensor.clone() for name, tensor in aligner.state_dict().items()}
        draws = torch.get_rng_state()
        with untrained(aligner):
            other = imagine_spans(model, [doc[0:1], doc[3:4]])
        with untrained(aligner):
            again = imagine_spans(model, [doc[0:1], doc[3:4]])
        assert not np.allclose(other, before, atol=1e-3)
        assert np.array_equal(other, again)
        assert np.array_equal(imagine_spans(model, [doc[0:1], doc[3:4]]), before)
        after = aligner.state_dict()
        assert list(after) == list(state)
        assert all(torch.equal(tensor, after[name]) for name, tensor in state.items())
        assert torch.equal(torch.get_rng_state(), draws)


def shares(**percents: int) -> dict[str, np.ndarray]:
    """Whether 100 entities are right, in other places for each name."""
    rng = np.random.default_rng(0)
    return {name: rng.permutation(np.arange(100) < number) for name, number in percents.items()}


@pytest.mark.parametrize(
    ("percents", "expected"),
    [
        ({"generated": 50, "untrained": 50, "majority": 50, "pipeline": 80}, "nothing learnt"),
        ({"generated": 80, "untrained": 78, "majority": 50, "pipeline": 20}, "nothing learnt"),
        ({"generated": 60, "untrained": 20, "majority": 57, "pipeline": 20}, "nothing learnt"),
        ({"generated": 90, "untrained": 60, "majority": 50, "pipeline": 40}, "not taken up"),
        ({"generated": 90, "untrained": 60, "majority": 50, "pipeline": 88}, "taken up"),
        ({"generated": 90, "untrained": 60, "majority": 50, "pipeline": 99}, "taken up"),
        ({"generated": 90, "untrained": 60, "majority": 50}, "learnt"),
    ],
)
def test_verdicts(percents: dict[str, int], expected: str):
    assert judge(shares(**percents), np.arange(100)) == expected


def test_of_few_names_chance_explains_more():
    few = {"generated": np.array([1, 1, 0]) > 0, "untrained": np.array([1, 0, 0]) > 0, "majority": np.zeros(3) > 0}
    assert judge(few, np.arange(3)) == "nothing learnt"
    often = {column: right.repeat(50) for column, right in few.items()}
    assert judge(often, np.arange(150)) == "learnt"
    assert judge(often, np.arange(3).repeat(50)) == "nothing learnt"


class TestConsole:
    def test_the_command(self, pictured: Language, train: Path, test: Path, tmp_path: Path):
        pictured.to_disk(tmp_path / "model")
        done = run(tmp_path / "model", train, test, "--output", tmp_path / "found.json")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert lines[0].split()[-5:] == ["generated", "untrained", "text", "majority", "pipeline"]
        assert [line.split()[0] for line in lines[1:6]] == ["all", "LOC", "PER", "seen", "unseen"]
        assert lines[7].startswith("Judged by 72 unseen entities. Something was learnt, but it is not taken up")
        measured = json.loads((tmp_path / "found.json").read_text(encoding="utf8"))
        assert measured == measure_probe(spacy.load(tmp_path / "model"), train, test)

    @pytest.mark.parametrize("entities", [[], [(1, 2, "PER")]])
    def test_too_few_labels(self, pictured: Language, train: Path, tmp_path: Path, entities: Entities):
        pictured.to_disk(tmp_path / "model")
        poor = write_texts(tmp_path / "poor.spacy", [("love name1", entities), ("love name3", entities)])
        for paths in ((poor, train), (train, poor)):
            done = run(tmp_path / "model", *paths)
            assert done.exit_code == 1
            assert done.stderr.startswith("[B528]")
            assert "PER" in done.stderr if entities else "no entities" in done.stderr

    def test_a_pipeline_that_generates_nothing(self, names_encoder: Path, train: Path, test: Path, tmp_path: Path):
        make_pipeline(names_encoder, None).to_disk(tmp_path / "text_only")
        done = run(tmp_path / "text_only", train, test)
        assert done.exit_code == 1
        assert done.stderr.startswith("[B523]")

    def test_what_is_not_there(self, train: Path, pictured: Language, tmp_path: Path):
        assert run(tmp_path / "absent", train, train).stderr.startswith("[B516]")
        pictured.to_disk(tmp_path / "model")
        assert run(tmp_path / "model", train, tmp_path / "absent.spacy").stderr.startswith("[B603]")
