"""Boxes in pixels become places in what the encoder sees, and a point is in them or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from torch.nn import functional
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.images import decode_image, to_pixels
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.boxes import Box, Target, find_entity, read_boxes, read_targets
from spacy_bga.evaluation.pointing import bootstrap, hits, measure_pointing
from spacy_bga.evaluation.pointing_pictures import draw_map
from spacy_bga.pipeline.alignment import Pointers
from spacy_bga.pipeline.heat_maps import cell_centres
from tests.evaluation.aligners import Entities, make_pipeline, write_images, write_texts
from tests.pipeline.conftest import aligner_of

TEXTS: list[tuple[str, Entities]] = [
    ("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("love paris !", [(1, 2, "LOC")]),
    ("apple is in new york", [(0, 1, "ORG")]),
    ("nothing to see here", []),
]
IMAGES = ["a.png", "b.png", "c.png", "d.png"]
ROWS: list[dict[str, Any]] = [
    {
        "image": "images/a.png",
        "width": 40,
        "height": 30,
        "objects": [
            {"entity": "Kevin Durant", "label": "PER", "box": [0, 0, 20, 15]},
            {"entity": "oakland", "label": "LOC", "box": [20, 0, 40, 30]},
        ],
    },
    {"image_id": "b", "width": 40, "height": 30, "objects": [{"entity": "paris", "box": [0, 18, 16, 30]}]},
    {"image_id": "c", "width": 40, "height": 30, "objects": [{"entity": "NewYork", "box": [17, 12, 23, 18]}]},
    {"image_id": "d", "width": 40, "height": 30, "objects": [{"entity": "absent", "box": [0, 0, 1, 1]}]},
    {"image_id": "e", "width": 40, "height": 30, "objects": []},
]
CENTRES_2 = np.array([[[0.25, 0.25], [0.75, 0.25]], [[0.25, 0.75], [0.75, 0.75]]])

Played = Callable[..., dict[str, Any]]


@pytest.fixture
def nlp(text_encoder_folder: Path, vision_encoder_folder: Path) -> Language:
    return make_pipeline(text_encoder_folder, vision_encoder_folder)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts.spacy", TEXTS, images=IMAGES)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", IMAGES)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "boxes.jsonl", ROWS)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


def target(*boxes: Box, name: str = "a") -> Target:
    doc = Doc(Vocab(), words=["kevin"])  # a blank pipeline would take a twelfth of a second
    return Target(doc[0:1], [f"{name}.png"], name, list(boxes))


def put_maps(monkeypatch: pytest.MonkeyPatch, maps: Any) -> None:
    """Let every entity have these maps, whatever was generated."""
    monkeypatch.setattr(
        Pointers, "maps", lambda self: np.broadcast_to(np.array(maps, dtype=np.float64), (len(self.places), 2, 2))
    )


class TestBoxes:
    def test_both_formats_by_name_and_entity(self, boxes: Path):
        found = read_boxes(boxes)
        assert set(found) == {"a", "b", "c", "d"}
        assert found["a"] == {"Kevin Durant": [(0, 0, 0.5, 0.5)], "oakland": [(0.5, 0, 1, 1)]}
        assert found["b"] == {"paris": [(0, 0.6, 0.4, 1)]}

    def test_an_entity_may_have_two_boxes(self, tmp_path: Path):
        twice = [{"entity": "Spurs", "box": [0, 0, 1, 1]}, {"entity": "Spurs", "box": [2, 2, 4, 4]}]
        path = write_rows(tmp_path / "x.jsonl", [{"image_id": "x", "width": 4, "height": 4, "objects": twice}])
        assert read_boxes(path)["x"]["Spurs"] == [(0, 0, 0.25, 0.25), (0.5, 0.5, 1, 1)]

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "3",
            "[]",
            '{"width": 4, "height": 4, "objects": []}',
            '{"image": 3, "width": 4, "height": 4, "objects": []}',
            '{"image": "a", "width": 0, "height": 4, "objects": []}',
            '{"image": "a", "width": 4, "height": 4, "objects": [{"entity": "x"}]}',
            '{"image": "a", "width": 4, "height": 4, "objects": [{"entity": "x", "box": [1, 2, 3]}]}',
            '{"image": "a", "width": 4, "height": 4, "objects": [{"entity": "x", "box": [3, 0, 1, 2]}]}',
        ],
    )
    def test_a_line_that_is_something_else(self, tmp_path: Path, line: str):
        path = tmp_path / "x.jsonl"
        path.write_text(f"\n{line}\n", encoding="utf8")
        with pytest.raises(BGAError, match=r"B526.*line 2"):
            read_boxes(path)

    def test_no_file(self, tmp_path: Path):
        with pytest.raises(BGAError, match="B341"):
            read_boxes(tmp_path / "absent.jsonl")

    @pytest.mark.parametrize(
        ("size", "box", "expected"),
        [
            ((400, 100), (100, 0, 200, 50), (8, 0, 16, 16)),  # wide
            ((100, 400), (0, 300, 50, 400), (0, 24, 16, 32)),  # tall
            ((64, 64), (16, 32, 32, 64), (8, 16, 16, 32)),
        ],
    )
    def test_a_box_is_where_the_encoder_sees_it(self, tmp_path: Path, size: tuple[int, int], box: Box, expected: Box):
        """An image that is white in its box alone: in the encoder's 32 x 32 pixels, that is where the box says."""
        image = Image.new("RGB", size)
        image.paste((255, 255, 255), tuple(int(number) for number in box))
        image.save(tmp_path / "x.png")
        pixels = to_pixels(decode_image(tmp_path / "x.png", size=32), size=32, mean=(0, 0, 0), std=(1, 1, 1))
        rows, columns = np.nonzero(pixels[0] > 0.5)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == expected
        objects = [{"entity": "x", "box": box}]
        row = {"image": "x.png", "width": size[0], "height": size[1], "objects": objects}
        (found,) = read_boxes(write_rows(tmp_path / "x.jsonl", [row]))["x"]["x"]
        assert tuple(32 * number for number in found) == expected

    def test_points_in_any_box(self):
        two = target((0, 0, 0.5, 0.5), (0.6, 0.6, 1, 1))
        assert two.contains(CENTRES_2).tolist() == [[True, False], [False, True]]
        assert two.contains(np.array((0.55, 0.55))).tolist() is False


class TestTargets:
    def test_entities_find_their_boxes(self, nlp: Language, texts: Path, boxes: Path, images: Path):
        found = read_targets(nlp, texts, boxes, images)
        assert [(t.span.text, t.name) for t in found] == [
            ("kevin durant", "a"),
            ("oakland", "a"),
            ("paris", "b"),
            ("new york", "c"),  # no entity of the text, and written otherwise
        ]
        assert found[0].images == [str((images / "a.png").resolve())]

    def test_of_two_texts_with_one_image_the_first_that_names_it(
        self, nlp: Language, boxes: Path, images: Path, tmp_path: Path
    ):
        texts = [("is it", []), ("oakland !", [(0, 1, "LOC")]), ("to oakland", [(1, 2, "LOC")])]
        found = read_targets(nlp, write_texts(tmp_path / "x.spacy", texts, images=["a.png"] * 3), boxes, images)  # type: ignore[arg-type]
        assert [t.span.doc.text for t in found] == ["oakland ! "]

    def test_a_folder_of_texts(self, nlp: Language, boxes: Path, images: Path, tmp_path: Path):
        for number, text in enumerate(TEXTS):
            write_texts(tmp_path / "folder" / f"{number}.spacy", [text], images=[IMAGES[number]])
        assert len(read_targets(nlp, tmp_path / "folder", boxes, images)) == 4

    def test_nothing_found(self, nlp: Language, texts: Path, images: Path, tmp_path: Path):
        with pytest.raises(BGAError, match="B527"):
            read_targets(nlp, texts, write_rows(tmp_path / "x.jsonl", ROWS[3:]), images)

    @pytest.mark.parametrize(
        ("words", "entity", "expected"),
        [
            (["in", "New", "York"], "new york", (1, 3)),
            (["#", "NewYork"], "#New York", (0, 2)),
            (["Paris", "in", "paris"], "PARIS", (0, 1)),
            (["a", " ", "b", "a", "b"], "ab", (0, 3)),
            (["pari"], "paris", None),
            (["pariss"], "paris", None),
            ([], "paris", None),
            (["paris"], "", None),
        ],
    )
    def test_where_a_text_says_it(self, words: list[str], entity: str, expected: tuple[int, int] | None):
        span = find_entity(Doc(spacy.blank("en").vocab, words=words), entity)
        assert (None if span is None else (span.start, span.end)) == expected

    def test_an_entity_goes_before_other_words(self):
        doc = Doc(spacy.blank("en").vocab, words=["apple", "in", "apple"])
        doc.set_ents([Span(doc, 2, 3, label="ORG")])
        span = find_entity(doc, "apple")
        assert span is not None
        assert span.start == 2


class TestCells:
    @pytest.mark.parametrize("grid", [1, 2, 3, 4, None])
    @pytest.mark.parametrize("image_size", [32, 39])
    def test_they_are_where_pooling_puts_them(
        self, text_encoder_folder: Path, vision_encoder_folder: Path, grid: int | None, image_size: int
    ):
        """Pooling the patches' own centres gives the cells'. At 39 pixels, 7 of them are in no patch."""
        nlp = make_pipeline(text_encoder_folder, vision_encoder_folder, visual_grid=grid, image_size=image_size)
        aligner = aligner_of(nlp)
        assert aligner.visual is not None
        n, _ = aligner.visual.grid_shape
        patches = (torch.arange(n, dtype=torch.float64) + 0.5) * 8 / image_size
        y, x = torch.meshgrid(patches, patches, indexing="ij")
        pooled = functional.adaptive_avg_pool2d(torch.stack([x, y]), grid or n)
        assert cell_centres(aligner) == pytest.approx(pooled.permute(1, 2, 0).numpy())

    def test_two_by_two(self, nlp: Language):
        assert cell_centres(aligner_of(nlp)) == pytest.approx(CENTRES_2)

    def test_no_patches(self, text_encoder_folder: Path, vision_encoder_folder: Path):
        nlp = make_pipeline(text_encoder_folder, vision_encoder_folder, visual_grid=0)
        with pytest.raises(BGAError, match="B208"):
            cell_centres(aligner_of(nlp))


class TestHits:
    def test_the_best_patch_counts(self):
        maps = np.array([[[0, 1], [2, 3]], [[4, 1], [2, 3]]])
        targets = [target((0.5, 0.5, 1, 1)), target((0.5, 0.5, 1, 1))]
        assert hits(maps, targets, CENTRES_2).tolist() == [1, 0]

    def test_of_equals_the_share_that_hits(self):
        half = target((0, 0, 0.5, 1))
        assert hits(np.zeros((1, 2, 2)), [half], CENTRES_2).tolist() == [0.5]
        assert hits(np.array([[[1, 1], [1, 0]]]), [half], CENTRES_2).tolist() == [pytest.approx(2 / 3)]

    @given(st.integers(0, 1000))
    def test_random_maps_hit_by_chance(self, seed: int):
        """The mean over all places of the best patch is the share of patches in the box."""
        rng = np.random.default_rng(seed)
        left, top = rng.uniform(0, 0.9, size=2)
        one = target((left, top, rng.uniform(left, 1), rng.uniform(top, 1)))
        every = np.eye(4).reshape(4, 2, 2)
        assert hits(every, [one] * 4, CENTRES_2).mean() == one.contains(CENTRES_2).mean()

    def test_the_interval(self):
        assert bootstrap(np.ones(9)) == (100, 100)
        low, high = bootstrap(np.array([0.0, 1.0] * 50))
        assert 35 < low < 50 < high < 65
        assert bootstrap(np.array([0.0, 1.0] * 50)) == (low, high)


class TestMeasure:
    @pytest.fixture
    def play(self, nlp: Language, texts: Path, boxes: Path, images: Path) -> Played:
        return lambda **settings: measure_pointing(nlp, texts, boxes, images, **settings)

    def test_by_hand(self, play: Played, monkeypatch: pytest.MonkeyPatch):
        """Always the upper left patch: right for kevin durant alone."""
        put_maps(monkeypatch, [[1, 0], [0, 0]])
        assert play() | {"model_ci": None} == {
            "model": 25.0,
            "model_ci": None,
            "centre": 75.0,  # on the edges of two boxes, and in the small one that holds no patch's centre
            "random": 25.0,  # of four patches 1, 2, 1 and 0
            "other_entity": 25.0,
            "reachable": 75.0,
            "n": 4,
        }

    def test_perfect_maps_hit_all_that_can_be_hit(self, play: Played, monkeypatch: pytest.MonkeyPatch):
        perfect = np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]], [[1, 0], [0, 0]]])
        monkeypatch.setattr(Pointers, "maps", lambda self: perfect[self.places])
        found = play()
        assert found["model"] == found["reachable"] == 75

    def test_constant_maps_are_chance(self, play: Played, monkeypatch: pytest.MonkeyPatch):
        put_maps(monkeypatch, [[2, 2], [2, 2]])
        found = play()
        assert found["model"] == found["random"] == found["other_entity"]

    def test_what_an_aligner_finds(self, play: Played):
        found = play()
        assert found["model"] in (0, 25, 50, 75)
        assert found["model_ci"][0] <= found["model"] <= found["model_ci"][1]
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert all(type(found[key]) is float for key in found if key not in ("model_ci", "n"))
        assert play() == found

    def test_an_image_that_cannot_be_used_plays_no_part(self, play: Played, images: Path):
        (images / "a.png").write_bytes(b"no image")
        assert play()["n"] == 2
        for name in IMAGES:
            (images / name).write_bytes(b"no image")
        with pytest.raises(BGAError, match="B527"):
            play()

    def test_of_one_image_there_is_no_other_entity(self, nlp: Language, texts: Path, images: Path, tmp_path: Path):
        boxes = write_rows(tmp_path / "x.jsonl", ROWS[:1])
        assert measure_pointing(nlp, texts, boxes, images)["other_entity"] is None

    def test_pictures(self, play: Played, tmp_path: Path):
        play(pictures=tmp_path / "pictures")
        found = sorted(path.name for path in (tmp_path / "pictures").iterdir())
        assert found == ["a_0_kevin-durant.png", "a_3_oakland.png", "b_1_paris.png", "c_3_new-york.png"]
        assert decode_image(tmp_path / "pictures" / found[0]).size == (40, 30)

    def test_a_picture_shows_warmth_box_and_point(self):
        heat = np.array([[0.0, 0.0], [0.0, 0.5]])
        drawn = draw_map(Image.new("RGB", (960, 480)), heat, target((0.1, 0.1, 0.4, 0.4)), CENTRES_2)
        assert drawn.size == (480, 240)
        assert drawn.getpixel((2, 2)) == (0, 0, 0)
        red, green, blue = drawn.getpixel((470, 230))
        assert red > 100 > green + blue
        assert drawn.getpixel((48, 60)) == (60, 230, 90)
        assert drawn.getpixel((359 + 7, 179)) == (255, 255, 255)  # a ring around three quarters of both sides

    def test_pipelines_that_cannot_align(self, text_encoder_folder: Path, texts: Path, boxes: Path, images: Path):
        with pytest.raises(BGAError, match="B523"):
            measure_pointing(make_pipeline(text_encoder_folder, None), texts, boxes, images)


class TestConsole:
    def test_other_results_stay(self, nlp: Language, texts: Path, boxes: Path, images: Path, tmp_path: Path):
        nlp.to_disk(tmp_path / "model")
        output = tmp_path / "out" / "pointing.json"
        command = ["pointing", str(tmp_path / "model"), str(texts), str(boxes), "--images", str(images)]
        command += ["--output", str(output)]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.stderr
        assert "Of 4 entities with a box" in done.stdout
        assert (
            CliRunner().invoke(app, [*command, "--name", "twitter", "--pictures", str(tmp_path / "p")]).exit_code == 0
        )
        found = json.loads(output.read_text(encoding="utf8"))
        assert list(found) == ["embedded", "twitter"]
        assert found["embedded"] == found["twitter"]
        assert len(list((tmp_path / "p").iterdir())) == 4

    def test_errors_are_one_line(self, texts: Path, boxes: Path, images: Path, tmp_path: Path):
        output = tmp_path / "pointing.json"
        command = ["pointing", str(tmp_path / "absent"), str(texts), str(boxes), "--images", str(images)]
        done = CliRunner().invoke(app, [*command, "--output", str(output)])
        assert done.exit_code == 1
        assert done.stderr.startswith("[B516]")
        assert not output.exists()
