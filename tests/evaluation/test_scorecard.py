"""`python -m spacy_bga evaluate`: scores in parts, and two pipelines side by side."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from click.testing import Result
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.bootstrap import paired_bootstrap
from spacy_bga.evaluation.judged import judge_corpus
from spacy_bga.evaluation.scorecard import evaluate, score_corpora
from spacy_bga.evaluation.scorecard_page import scorecard_page, verdict
from tests.evaluation.aligners import make_pipeline, write_images, write_texts
from tests.evaluation.test_judged import TEXTS, ruled


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Many texts, so that there is something to resample."""
    return write_texts(tmp_path / "texts.spacy", TEXTS * 12, images=["a.png", *[None] * 4] * 12)


@pytest.fixture
def better(tmp_path: Path) -> Path:
    nlp = ruled({"kevin durant": "PER", "paris": "LOC", "new york": "LOC", "oakland": "LOC"})
    nlp.to_disk(tmp_path / "better")
    return tmp_path / "better"


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    ruled({"paris": "ORG", "new york": "LOC"}).to_disk(tmp_path / "worse")
    return tmp_path / "worse"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--resamples", "200"])


class TestScores:
    def test_are_those_of_spacy(self, better: Path, corpus: Path):
        nlp = spacy.load(better)
        expected = nlp.evaluate(Corpus(corpus)(nlp))
        record = evaluate(better, corpus, resamples=100)
        (found,) = record["pipelines"].values()
        overall = found["scores"]["overall"]["all"]
        assert [overall[key] / 100 for key in ("p", "r", "f1")] == pytest.approx(
            [expected[f"ents_{key}"] for key in "prf"], abs=1e-4
        )
        for label, part in expected["ents_per_type"].items():
            ours = found["scores"]["label"][label]
            assert [ours[key] / 100 for key in ("p", "r", "f1")] == pytest.approx(
                [part[key] for key in "prf"], abs=1e-4
            )
        assert record["difference"] is None
        assert found["calibration"] is None

    def test_lie_in_their_intervals(self, worse: Path, corpus: Path):
        (found,) = evaluate(worse, corpus, resamples=500)["pipelines"].values()
        for group in found["scores"].values():
            for scores in group.values():
                for key in ("p", "r", "f1"):
                    if scores[key] is None:
                        assert (scores["predicted"], scores["gold"], scores[f"{key}_ci"]) == (0, 0, None)
                    else:
                        low, high = scores[f"{key}_ci"]
                        assert 0 <= low <= scores[key] <= high <= 100
        low, high = found["scores"]["overall"]["all"]["f1_ci"]
        assert high - low > 5

    def test_intervals_know_nothing_of_resamples_without_entities(self, better: Path, tmp_path: Path):
        path = write_texts(tmp_path / "few.spacy", [("love paris !", [(1, 2, "LOC")]), *[("is it", [])] * 30])
        (found,) = evaluate(better, path, resamples=300)["pipelines"].values()
        assert found["scores"]["overall"]["all"]["f1_ci"] == [100, 100]


class TestDifference:
    def test_is_that_of_the_paired_bootstrap(self, better: Path, worse: Path, corpus: Path):
        record = evaluate(better, corpus, compare=worse, resamples=400, seed=3)
        found = record["difference"]["overall"]["all"]
        counts = [judge_corpus(spacy.load(folder), corpus).counts() for folder in (better, worse)]
        expected = paired_bootstrap(counts[:1], counts[1:], resamples=400, seed=3)
        assert [found["f1"], *found["f1_ci"]] == pytest.approx(list(expected), abs=0.005001)
        assert found["p_value"]["f1"] == pytest.approx(1 / 401, abs=1e-5)
        assert found["p_value"]["p"] < 0.05
        assert record["difference"]["label"].keys() == {"LOC", "ORG", "PER"}
        assert record["difference"]["label"]["PER"]["f1"] == 100

    def test_between_the_same_is_none(self, worse: Path, corpus: Path):
        record = evaluate(worse, corpus, compare=worse, resamples=100)
        assert len(record["pipelines"]) == 2
        for group in record["difference"].values():
            for part in group.values():
                assert part["f1"] in (0, None)
                assert part["f1_ci"] in ([0, 0], None)
        assert record["difference"]["overall"]["all"]["p_value"] == {"p": 1, "r": 1, "f1": 1}
        assert "No difference is seen" in scorecard_page(record)

    def test_turned_round(self, better: Path, worse: Path, corpus: Path):
        pages = [
            scorecard_page(evaluate(one, corpus, compare=other, resamples=200))
            for one, other in ((better, worse), (worse, better))
        ]
        assert all("better` is better than `" in page for page in pages)
        assert "F1 +" in pages[0].split("**")[2]
        assert "F1 -" in pages[1].split("**")[2]

    @pytest.mark.parametrize(
        ("bounds", "p_value", "winner"),
        [
            ([0.5, 2.0], 0.01, "`a` is better"),
            ([-2.0, -0.5], 0.01, "`b` is better"),
            ([0.1, 2.0], 0.06, "No difference"),
        ],
    )
    def test_verdict_needs_both(self, bounds: list[float], p_value: float, winner: str):
        found = {"f1": sum(bounds) / 2, "f1_ci": bounds, "p_value": {"f1": p_value}}
        assert winner in verdict("a", "b", found)

    def test_without_any_entity(self, better: Path, tmp_path: Path):
        path = write_texts(tmp_path / "none.spacy", [("is it", []), ("it is", [])])
        record = evaluate(better, path, compare=better, resamples=100)
        page = scorecard_page(record)
        assert "There is no entity to compare by" in page
        assert json.loads(json.dumps(record, allow_nan=False)) == record


class TestCalibration:
    @pytest.fixture
    def unsure(self, text_encoder_folder: Path, tmp_path: Path) -> Path:
        """An untrained `bga_ner`, which finds this and that; its config asks for no confidence."""
        nlp = make_pipeline(text_encoder_folder, None)
        nlp.to_disk(tmp_path / "unsure")
        return tmp_path / "unsure"

    def test_is_measured_whatever_the_config_says(self, unsure: Path, corpus: Path):
        record = evaluate(unsure, corpus, resamples=100)
        (found,) = record["pipelines"].values()
        overall, calibration = found["scores"]["overall"]["all"], found["calibration"]
        assert calibration["n"] == overall["predicted"] > 0
        assert calibration["without"] == 0
        assert 100 * calibration["precision"] == pytest.approx(overall["p"], abs=0.01)
        assert 0 < calibration["confidence"] < 1
        assert "Expected calibration error" in scorecard_page(record)

    def test_of_some(self, unsure: Path, tmp_path: Path, corpus: Path):
        """What rules found has no confidence."""
        nlp = spacy.load(unsure)
        ruler: Any = nlp.add_pipe("entity_ruler", before="bga_ner")
        ruler.add_patterns([{"label": "PER", "pattern": "kevin durant"}])
        nlp.to_disk(tmp_path / "mixed")
        (found,) = evaluate(tmp_path / "mixed", corpus, resamples=100)["pipelines"].values()
        assert found["calibration"]["without"] == 12
        assert found["calibration"]["n"] + 12 == found["scores"]["overall"]["all"]["predicted"]


class TestVisualContext:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        return write_images(tmp_path / "images", ["a.png"])

    @pytest.fixture
    def seeing(self, text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path: Path) -> Path:
        make_pipeline(text_encoder_folder, vision_encoder_folder).to_disk(tmp_path / "seeing")
        return tmp_path / "seeing"

    @pytest.fixture
    def slim(self, text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path: Path) -> Path:
        make_pipeline(text_encoder_folder, vision_encoder_folder, slim=True).to_disk(tmp_path / "slim")
        return tmp_path / "slim"

    @staticmethod
    def tell(model: Path, corpus: Path, images: Path, choice: Any) -> dict[str, Any]:
        """What is said of its only pipeline."""
        record = evaluate(model, corpus, images=images, visual_context=choice, resamples=100)
        assert record["visual_context"] == choice
        (found,) = record["pipelines"].values()
        return found

    def test_the_images_are_looked_at_if_asked(self, seeing: Path, corpus: Path, images: Path):
        found = {choice: self.tell(seeing, corpus, images, choice) for choice in (None, "generated", "real", "auto")}
        assert found[None] == found["generated"]  # as its config says
        assert found["auto"] == found["real"]
        assert found["real"]["calibration"]["confidence"] != found["generated"]["calibration"]["confidence"]
        without = [part["scores"]["image"]["without"] for part in found.values()]
        assert all({**part, "f1_ci": None} == {**without[0], "f1_ci": None} for part in without)

    def test_what_cannot_see_is_told_of(self, slim: Path, better: Path, corpus: Path, images: Path):
        blind, plain = self.tell(slim, corpus, images, "auto"), self.tell(slim, corpus, images, "generated")
        assert blind["scores"] == plain["scores"]
        assert plain["notices"] == []
        [notice] = blind["notices"]
        assert "W770" in notice
        with pytest.raises(BGAError, match="B107"):
            evaluate(slim, corpus, images=images, visual_context="real")
        [notice] = self.tell(better, corpus, images, "real")["notices"]
        assert "W770" in notice
        assert "entity_ruler" in notice

    def test_another_choice_is_refused(self, seeing: Path, corpus: Path):
        with pytest.raises(BGAError, match=r"B212.*visual_context.*sometimes.*generated, real, auto"):
            evaluate(seeing, corpus, visual_context="sometimes")  # type: ignore[arg-type]

    def test_from_the_console(self, seeing: Path, better: Path, corpus: Path, images: Path):
        done = run(seeing, corpus, "--images", images, "--visual-context", "real", "--compare", better)
        assert done.exit_code == 0, done.output
        assert "A text with a readable image attends to its real visual features" in done.stdout


class TestConsole:
    def test_json_and_page(self, better: Path, worse: Path, corpus: Path, tmp_path: Path):
        images = write_images(tmp_path / "images", ["a.png"])
        train = write_texts(tmp_path / "train.spacy", [("in Paris", [(1, 2, "LOC")])])
        output, page = tmp_path / "out" / "x.json", tmp_path / "out" / "x.md"
        done = run(
            better, corpus, "--compare", worse, "--train", train, "--images", images, "--output", output, "--page", page
        )
        assert done.exit_code == 0, done.output
        record = json.loads(output.read_text(encoding="utf8"))
        assert (record["documents"], record["annotated"], record["images"]) == (60, 60, 12)
        names = [f".../{tmp_path.name}/{name}" for name in ("better", "worse")]
        assert list(record["pipelines"]) == names
        assert str(tmp_path) not in output.read_text(encoding="utf8")
        scores = record["pipelines"][names[0]]["scores"]
        assert scores.keys() == {"overall", "label", "length", "seen", "image"}
        assert (scores["seen"]["seen"]["gold"], scores["seen"]["unseen"]["gold"]) == (12, 48)
        assert (scores["image"]["with an image"]["gold"], scores["image"]["without"]["gold"]) == (24, 36)
        written = page.read_text(encoding="utf8")
        assert written.rstrip() in done.stdout
        assert scorecard_page(record) == written
        for piece in ("better` is better than", "p-value", "| unseen |", "| with an image |", "*not in gold*"):
            assert piece in written
        widths = [line.count("|") for line in written.splitlines() if line.startswith("|")]
        assert min(widths) >= 3

    def test_tables_are_whole(self, better: Path, worse: Path, corpus: Path):
        """As many cells in each row as titles."""
        lines = scorecard_page(evaluate(better, corpus, compare=worse, resamples=100)).splitlines()
        for above, line in itertools.pairwise(lines):
            if above.startswith("|") and line.startswith("|"):
                assert above.count("|") == line.count("|")

    def test_a_package(self, corpus: Path, monkeypatch: pytest.MonkeyPatch):
        """A pipeline may be known by its package's name."""
        monkeypatch.setattr("spacy.util.is_package", lambda name: name == "en_rules")
        monkeypatch.setattr(spacy, "load", lambda name: {"en_rules": ruled()}[name])
        done = run("en_rules", corpus)
        assert done.exit_code == 0, done.output
        assert "## en_rules" in done.stdout

    @pytest.mark.parametrize(
        ("model", "texts", "code"),
        [("absent", "texts.spacy", "B604"), ("better", "absent.spacy", "B603"), ("better", "bare.spacy", "B611")],
    )
    def test_errors(self, better: Path, corpus: Path, tmp_path: Path, model: str, texts: str, code: str):
        DocBin(docs=[Doc(spacy.blank("en").vocab, words=["paris"])]).to_disk(tmp_path / "bare.spacy")
        done = run(tmp_path / model, tmp_path / texts, "--output", tmp_path / "x.json")
        assert done.exit_code == 1
        assert done.stderr.startswith(f"[{code}]")
        assert not (tmp_path / "x.json").exists()

    def test_a_code_file(self, better: Path, corpus: Path, tmp_path: Path):
        (tmp_path / "code.py").write_text("from pathlib import Path\nPath(__file__).with_name('imported').touch()\n")
        assert run(better, corpus, "--code", tmp_path / "code.py").exit_code == 0
        assert (tmp_path / "imported").exists()


def test_one_pipeline_may_know_other_labels(corpus: Path):
    judged = {"a": judge_corpus(ruled({"paris": "X"}), corpus), "b": judge_corpus(ruled({"paris": "LOC"}), corpus)}
    record = score_corpora(judged, resamples=100)
    assert record["difference"]["label"]["X"] == dict.fromkeys(["p", "r", "f1", "p_ci", "r_ci", "f1_ci"])
    assert record["pipelines"]["b"]["scores"]["label"]["X"]["f1"] is None
    assert record["pipelines"]["a"]["scores"]["label"]["X"]["f1"] == 0
    assert np.isfinite(record["difference"]["label"]["LOC"]["f1"])
