"""What `measure_alignment` says of features that are right, wrong or constant, and of replaced entities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.evaluation import alignment
from spacy_bga.evaluation.alignment import explained, find_component, main, measure_alignment, table
from spacy_bga.evaluation.entity_swap import change, measure_swaps, replace
from spacy_bga.pipeline.alignment import Alignment
from tests.evaluation.aligners import Entities, make_pipeline, write_images, write_texts

PAIRS = [
    "kevin joins the warriors",
    "love paris !",
    "apple is in new york",
    "oakland",
    "kevin durant",
    "the warriors !",
]
LABELLED: list[tuple[str, Entities]] = [
    ("kevin durant joins oakland quickly", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("paris loves apple pie", [(0, 1, "LOC")]),
    ("durant eats pie", [(0, 1, "PER")]),
    ("nothing here", []),
    ("paris", [(0, 1, "LOC")]),
]


@pytest.fixture
def nlp(text_encoder_folder: Path, vision_encoder_folder: Path) -> Language:
    return make_pipeline(text_encoder_folder, vision_encoder_folder)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", [f"{i}.png" for i in range(len(PAIRS))])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    names = [f"{i}.png" for i in range(len(PAIRS))]
    return write_texts(tmp_path / "pairs.spacy", [(text, []) for text in PAIRS], images=names)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "labelled.spacy", LABELLED)


def make_alignment(generated: np.ndarray, real: np.ndarray, valid: np.ndarray | None = None) -> Alignment:
    n, layers, m, _ = real.shape
    ratios = np.full((n, layers), 0.5, dtype=np.float32)
    return Alignment(np.arange(n), generated, real, np.ones((n, m), bool) if valid is None else valid, ratios, ratios)


def make_real(nlp: Language, n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 5, 12)).astype(np.float32)


def bag_of_words(docs: Sequence[Doc]) -> np.ndarray:
    """Directions (D, 1, words) whose cosine is easily computed by hand."""
    vocabulary = sorted({word for text, _ in LABELLED for word in text.split()})
    counts = np.array([[[doc.text.split().count(word) for word in vocabulary]] for doc in docs], dtype=np.float64)
    return counts / np.linalg.norm(counts, axis=-1, keepdims=True)


class TestMeasure:
    def test_it_measures_everything(self, nlp: Language, pairs: Path, images: Path, labelled: Path):
        found = measure_alignment(nlp, pairs, images, labelled=labelled)
        assert found["t2i"]["n"] == found["i2t"]["n"] == 6
        assert found["t2i"]["r10"] == 100
        assert len(found["keep_text"]) == len(found["keep_visual"]) == 2
        assert all(0 < ratio <= 1 for ratio in found["keep_text"] + found["keep_visual"])
        assert found["explained_beyond_mean"] < found["explained_when_scaled"] < 0.5  # it was not trained
        assert [len(values) for values in found["explained_by_layer"].values()] == [2, 2]
        assert found["entity_swap"]["n"] == 3
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert measure_alignment(nlp, pairs, images, labelled=labelled) == found

    def test_without_labelled_texts_nothing_is_replaced(self, nlp: Language, pairs: Path, images: Path):
        assert measure_alignment(nlp, pairs, images)["entity_swap"] is None

    def test_perfect_features_score_everything(
        self, nlp: Language, pairs: Path, images: Path, monkeypatch: pytest.MonkeyPatch
    ):
        real = make_real(nlp)
        monkeypatch.setattr("spacy_bga.pipeline.alignment.align", lambda *_: make_alignment(real, real))
        found = measure_alignment(nlp, pairs, images)
        assert found["t2i"]["r1"] == found["i2t"]["r1"] == 100
        assert found["explained_beyond_mean"] == found["explained_when_scaled"] == 1
        assert found["keep_text"] == [0.5, 0.5]

    def test_a_text_for_each_image_and_no_more_than_most(
        self, nlp: Language, tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch
    ):
        seen: list[list[str]] = []

        def align(model: Any, docs: list[Doc], sources: list[list[str]], features: Any) -> Alignment:
            seen.append([doc.text.strip() for doc in docs])
            assert [len(of_one) for of_one in sources] == [1] * len(docs)
            real = make_real(nlp, len(docs))
            return make_alignment(real, real)

        names = ["0.png", "0.png", None, "1.png", "0.png", "2.png"]
        path = write_texts(tmp_path / "some.spacy", [(text, []) for text in PAIRS], images=names)
        monkeypatch.setattr("spacy_bga.pipeline.alignment.align", align)
        measure_alignment(nlp, path, images)
        monkeypatch.setattr(alignment, "MOST", 2)
        measure_alignment(nlp, path, images)
        assert seen == [[PAIRS[0], PAIRS[3], PAIRS[5]], [PAIRS[0], PAIRS[3]]]


class TestExplained:
    def test_the_mean_image_explains_nothing(self, nlp: Language):
        real = make_real(nlp)
        found = explained(find_component(nlp), make_alignment(np.zeros_like(real), real))
        assert found["explained_beyond_mean"] == found["explained_when_scaled"] == 0

    def test_flat_features_are_right_up_to_their_contrast(self, nlp: Language):
        real = make_real(nlp)
        found = explained(find_component(nlp), make_alignment(real / 2, real))
        assert found["explained_beyond_mean"] == pytest.approx(0.75)
        assert found["explained_when_scaled"] == pytest.approx(1)

    def test_layers_are_averaged(self, nlp: Language):
        real = make_real(nlp)
        generated = real.copy()
        generated[:, 0] = 0
        found = explained(find_component(nlp), make_alignment(generated, real))
        assert found["explained_by_layer"]["explained_beyond_mean"] == pytest.approx([0, 1])
        assert found["explained_beyond_mean"] == 0.5

    def test_what_an_image_lacks_need_not_be_explained(self, nlp: Language):
        real = make_real(nlp)
        valid = np.ones((6, 5), bool)
        valid[0, 3:] = valid[2, 2:] = False
        real *= valid[:, None, :, None]
        generated = np.where(valid[:, None, :, None], real, 7)
        assert explained(find_component(nlp), make_alignment(generated, real, valid))["explained_beyond_mean"] == 1

    def test_without_standardisation_nobody_knows_the_mean(
        self, text_encoder_folder: Path, vision_encoder_folder: Path
    ):
        nlp = make_pipeline(text_encoder_folder, vision_encoder_folder, standardize=False)
        real = make_real(nlp)
        assert set(explained(find_component(nlp), make_alignment(real, real)).values()) == {None}


class TestSwaps:
    def test_by_hand(self, nlp: Language, tmp_path: Path):
        texts: list[tuple[str, Entities]] = [("kevin loves pie", [(0, 1, "PER")]), ("durant eats pie", [(0, 1, "PER")])]
        found = measure_swaps(nlp, write_texts(tmp_path / "two.spacy", texts), bag_of_words)
        # One word of three is another one: a cosine of 2/3. Of the other text, one word is the same.
        assert found == {
            "entity": round(1 / 3, 4),
            "word": round(1 / 3, 4),
            "other_text": round(2 / 3, 4),
            "entity_words": 1,
            "n": 2,
        }

    def test_nothing_changes_if_nothing_hangs_on_the_text(self, nlp: Language, labelled: Path):
        found = measure_swaps(nlp, labelled, lambda docs: np.full((len(docs), 2, 4), 0.5))
        assert found["entity"] == found["word"] == found["other_text"] == 0

    def test_an_entity_in_its_own_place_changes_nothing(self, nlp: Language, labelled: Path):
        doc = next(DocBin().from_disk(labelled).get_docs(nlp.vocab))
        same = replace(doc, 0, 2, ["kevin", "durant"])
        assert [token.text for token in same] == [token.text for token in doc]
        assert change(bag_of_words([doc]), bag_of_words([same])) == 0

    def test_entities_are_replaced_by_others_of_their_label(self, nlp: Language, labelled: Path):
        seen: list[list[str]] = []

        def spy(docs: Sequence[Doc]) -> np.ndarray:
            seen.append([" ".join(token.text for token in doc) for doc in docs])
            return bag_of_words(docs)

        for seed in range(20):
            measure_swaps(nlp, labelled, spy, seed=seed)
        first = {texts[0] for texts in seen[1::3]}
        # Its own label, never itself, and no LOC of the same text.
        assert first == {"durant joins oakland quickly", "kevin durant joins paris quickly"}
        own = LABELLED[0][0].split()
        for texts in seen[2::3]:
            changed = [i for i, word in enumerate(texts[0].split()) if word != own[i]]
            assert changed in ([2], [4])  # one word, and of no entity
        assert all(len(texts) == 3 for texts in seen)

    def test_the_same_name_is_no_replacement(self, nlp: Language, tmp_path: Path):
        texts: list[tuple[str, Entities]] = [("Paris loves pie", [(0, 1, "LOC")]), ("paris eats pie", [(0, 1, "LOC")])]
        with pytest.raises(BGAError, match="B524"):
            measure_swaps(nlp, write_texts(tmp_path / "same.spacy", texts), bag_of_words)

    def test_the_seed_decides(self, nlp: Language, labelled: Path):
        first, again = (measure_swaps(nlp, labelled, bag_of_words, seed=3) for _ in range(2))
        assert first == again
        assert len({str(measure_swaps(nlp, labelled, bag_of_words, seed=seed)) for seed in range(10)}) > 1


class TestErrors:
    def test_pipelines_that_cannot_align(
        self, text_encoder_folder: Path, vision_encoder_folder: Path, pairs: Path, images: Path, tmp_path: Path
    ):
        other = spacy.blank("en")
        other.add_pipe("sentencizer")
        with pytest.raises(BGAError, match=r"B523.*sentencizer"):
            measure_alignment(other, pairs, images)
        with pytest.raises(BGAError, match="B523"):
            measure_alignment(make_pipeline(text_encoder_folder, None), pairs, images)
        make_pipeline(text_encoder_folder, vision_encoder_folder, slim=True).to_disk(tmp_path / "slim")
        with pytest.raises(BGAError, match="B107"):
            measure_alignment(spacy.load(tmp_path / "slim"), pairs, images)

    def test_data_that_is_not_there(self, nlp: Language, tmp_path: Path, pairs: Path, images: Path):
        with pytest.raises(BGAError, match="B341"):
            measure_alignment(nlp, tmp_path / "absent.spacy", images)
        with pytest.raises(BGAError, match="B341"):
            measure_alignment(nlp, pairs, images, labelled=tmp_path / "absent.spacy")
        without = write_texts(tmp_path / "without.spacy", [("love paris", [])])
        with pytest.raises(BGAError, match="B525"):
            measure_alignment(nlp, without, images)
        with pytest.raises(BGAError, match="B524"):
            measure_alignment(nlp, pairs, images, labelled=without)


class TestConsole:
    def test_the_process_measures_several_files(self, nlp: Language, tmp_path: Path, pairs: Path, images: Path):
        nlp.to_disk(tmp_path / "model")
        output = tmp_path / "out" / "found.json"
        main([str(tmp_path / "model"), str(output), "--images", str(images), f"news={pairs}", f"tweets={pairs}"])
        found = json.loads(output.read_text(encoding="utf8"))
        assert list(found) == ["news", "tweets"]
        assert found["news"] == found["tweets"]
        assert found["news"]["entity_swap"] is None

    def test_the_command(self, nlp: Language, tmp_path: Path, pairs: Path, images: Path, labelled: Path):
        nlp.to_disk(tmp_path / "model")
        output = tmp_path / "found.json"
        options = ["--images", str(images), "--labelled", str(labelled), "--output", str(output)]
        done = CliRunner().invoke(app, ["alignment", str(tmp_path / "model"), str(pairs), *options])
        assert done.exit_code == 0, done.stderr
        assert "text to image" in done.stdout
        assert "Changed in 3 texts" in done.stdout
        assert json.loads(output.read_text(encoding="utf8"))["t2i"]["n"] == 6

    def test_a_pipeline_that_is_not_there(self, tmp_path: Path, pairs: Path, images: Path):
        done = CliRunner().invoke(app, ["alignment", str(tmp_path / "absent"), str(pairs), "--images", str(images)])
        assert done.exit_code == 1
        assert done.stderr.startswith("[B516]")

    def test_the_table_says_what_is_unknown(self, nlp: Language, pairs: Path, images: Path):
        found = measure_alignment(nlp, pairs, images)
        assert "unknown" in table({**found, "explained_beyond_mean": None, "explained_when_scaled": None})
        assert "Changed" not in table(found)
