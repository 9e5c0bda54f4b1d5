"""The embedded corpus: what was promised about it, checked on the files that the repository holds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.starter.coined_names import coin_names
from spacy_bga.starter.embedded import BROKEN, generate
from spacy_bga.starter.embedded_names import SHARES, TRAINED_IN_TEST, Mention, deal_names
from spacy_bga.starter.embedded_objects import Pen
from spacy_bga.starter.embedded_pictures import DRAWINGS, LABELS, SIZE, draw_picture
from spacy_bga.starter.embedded_posts import PostWriter

ASSETS = Path(__file__).parents[2] / "assets" / "embedded"
PARTS = ("train", "dev", "test")
TEXTS = (*(f"{part}.txt" for part in PARTS), "pairs.jsonl", "boxes.jsonl")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("embedded")
    return output, generate(output)


def read_posts(path: Path) -> dict[str, list[tuple[str, str]]]:
    posts = {}
    for block in path.read_text(encoding="utf8").strip().split("\n\n"):
        head, *rows = block.split("\n")
        posts[head.removeprefix("IMGID:")] = [tuple(row.split("\t")) for row in rows]
    return posts


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def entities_of(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Entities as (label, text), where the text is folded: no case, no spaces, no signs."""
    found: list[tuple[str, list[str]]] = []
    for token, tag in rows:
        if tag.startswith("B-"):
            found.append((tag[2:], [token]))
        elif tag.startswith("I-"):
            assert found[-1][0] == tag[2:]
            found[-1][1].append(token)
    return [(label, folded("".join(tokens))) for label, tokens in found]


def folded(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def strings_of(part: str) -> set[str]:
    return {text for rows in read_posts(ASSETS / f"{part}.txt").values() for _, text in entities_of(rows)}


def is_readable(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


@pytest.mark.parametrize("name", TEXTS)
def test_regenerating_gives_the_same_text_files(regenerated, name):
    assert (regenerated[0] / name).read_bytes() == (ASSETS / name).read_bytes()


def test_regenerating_gives_the_same_pictures(regenerated):
    ours, theirs = ASSETS / "images", regenerated[0] / "images"
    names = sorted(path.name for path in ours.iterdir())
    assert names == sorted(path.name for path in theirs.iterdir())
    for name in names:
        if name == f"{BROKEN}.png":
            continue
        with Image.open(ours / name) as first, Image.open(theirs / name) as second:
            difference = ImageChops.difference(first.convert("RGB"), second.convert("RGB"))
        # Exactly the same with the Pillow that drew the assets; another one may round a curve differently.
        assert max(ImageStat.Stat(difference).mean) < 1.0, name


def test_two_runs_draw_the_same_pixels():
    mentions = [Mention("a", label, kind) for label, kinds in LABELS.items() for kind in kinds][:4]
    first, found = draw_picture(mentions, random.Random(7))
    second, again = draw_picture(mentions, random.Random(7))
    assert first.tobytes() == second.tobytes()
    assert found == again
    other, _ = draw_picture(mentions, random.Random(8))
    assert other.tobytes() != first.tobytes()


def test_size(regenerated):
    posts = {part: read_posts(ASSETS / f"{part}.txt") for part in PARTS}
    assert sum(map(len, posts.values())) >= 400
    assert len(read_jsonl(ASSETS / "pairs.jsonl")) >= 300
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) < 9_000_000
    for part in PARTS:
        statistics = regenerated[1][part]
        assert statistics["posts"] == len(posts[part])
        assert statistics["entities"] == sum(len(entities_of(rows)) for rows in posts[part].values())


@pytest.mark.parametrize("part", PARTS)
def test_every_label_is_frequent_enough_to_be_scored(part):
    labels = [label for rows in read_posts(ASSETS / f"{part}.txt").values() for label, _ in entities_of(rows)]
    assert set(labels) == set(LABELS)
    assert min(labels.count(label) for label in LABELS) >= 30


def pictured_of(part: str) -> set[str]:
    return {folded(mention.text) for mention in deal_names(random.Random(0))[part].pictured}


def test_parts_share_no_entity_but_some_pictured_ones():
    train, dev, test = (strings_of(part) for part in PARTS)
    shared = test & train
    assert 0 < len(shared) <= TRAINED_IN_TEST
    assert shared <= pictured_of("train") & pictured_of("test")
    assert not test & dev
    assert not dev & train


def test_pairs_hold_no_entity_but_pictured_ones_and_no_post_of_dev_and_test():
    rng = random.Random(0)
    bank = deal_names(rng)["pairs"]
    lists = [names for kind, names in bank.names.items() if kind not in ("tag", "user", "emoji")]
    own = {folded(name) for names in (*lists, list(bank.ambiguous)) for name in names}
    pairs = {folded(pair["text"]) for pair in read_jsonl(ASSETS / "pairs.jsonl")}
    for part in ("dev", "test"):
        assert not own & strings_of(part) - pictured_of("pairs")
        for rows in read_posts(ASSETS / f"{part}.txt").values():
            named = {text for _, text in entities_of(rows)}
            if named - pictured_of("pairs"):  # short texts about pictured names may be the same
                assert folded("".join(token for token, _ in rows)) not in pairs


def test_a_third_of_the_test_names_are_known_from_the_pairs_alone():
    shown = " ".join(folded(pair["text"]) for pair in read_jsonl(ASSETS / "pairs.jsonl"))
    labelled = strings_of("train") | strings_of("dev")
    mentions = [text for rows in read_posts(ASSETS / "test.txt").values() for _, text in entities_of(rows)]
    known = [text for text in mentions if text in pictured_of("pairs") - labelled and text in shown]
    assert 0.28 < len(known) / len(mentions) < 0.42
    unseen = pictured_of("test") - pictured_of("pairs")
    assert len(unseen) == 12
    assert not any(text in shown for text in unseen)


def test_each_pictured_name_is_one_thing_and_all_kinds_are_as_frequent():
    kinds: dict[str, set[str]] = {}
    for bank in deal_names(random.Random(0)).values():
        counts = {label: sum(m.label == label for m in bank.pictured) for label in LABELS}
        assert max(counts.values()) - min(counts.values()) <= 4
        for mention in bank.pictured:
            kinds.setdefault(mention.text, set()).add(mention.kind)
    assert all(len(found) == 1 for found in kinds.values())
    assert any(" " in name for name in kinds)


def test_each_pictured_name_is_shown_by_several_pairs():
    texts = [folded(pair["text"]) for pair in read_jsonl(ASSETS / "pairs.jsonl")]
    shown = [sum(name in text for text in texts) for name in pictured_of("pairs")]
    assert min(shown) >= 3
    assert sum(shown) / len(shown) > 5


def test_posts_with_pictured_names_name_one_to_three_mostly_of_different_kinds():
    rng = random.Random(1)
    bank = deal_names(rng)["test"]
    posts = [PostWriter("test", bank, rng).write_about(bank.pictured[0]) for _ in range(60)]
    assert {len(post.mentions) for post in posts} == {1, 2, 3}
    assert all(len({m.text for m in post.mentions}) == len(post.mentions) for post in posts)
    assert sum(len({m.kind for m in post.mentions}) == len(post.mentions) for post in posts) > 50
    assert all(post.ambiguous for post in posts)


def test_coined_names_are_no_parts_of_each_other():
    names = coin_names(200, random.Random(3))
    assert len(set(names)) == 200
    assert not any(one != other and one.lower() in other.lower() for one in names for other in names)


def test_some_names_have_several_types():
    for part in PARTS:
        types: dict[str, set[str]] = {}
        for rows in read_posts(ASSETS / f"{part}.txt").values():
            for label, text in entities_of(rows):
                types.setdefault(text, set()).add(label)
        assert sum(len(labels) > 1 for labels in types.values()) >= 3


def test_exactly_one_picture_is_broken_and_it_is_a_training_one():
    broken = [path.name for path in sorted((ASSETS / "images").iterdir()) if not is_readable(path)]
    assert broken == [f"{BROKEN}.png"]
    assert BROKEN in read_posts(ASSETS / "train.txt")


def test_some_pictures_are_missing_but_none_of_the_pairs():
    for part in PARTS:
        names = read_posts(ASSETS / f"{part}.txt")
        missing = [name for name in names if not (ASSETS / "images" / f"{name}.png").exists()]
        assert 0 < len(missing) < 0.2 * len(names)
    assert all((ASSETS / pair["image"]).is_file() for pair in read_jsonl(ASSETS / "pairs.jsonl"))


def test_boxes_lie_inside_readable_pictures_and_name_entities_of_their_post():
    posts = {name: rows for part in PARTS for name, rows in read_posts(ASSETS / f"{part}.txt").items()}
    rows = read_jsonl(ASSETS / "boxes.jsonl")
    assert sum(len(row["objects"]) for row in rows) > 700
    assert any(not row["objects"] for row in rows)
    for row in rows:
        path = ASSETS / row["image"]
        with Image.open(path) as image:
            assert image.size == (row["width"], row["height"])
        entities = entities_of(posts[path.stem])
        for thing in row["objects"]:
            x0, y0, x1, y1 = thing["box"]
            assert 0 <= x0 < x1 <= row["width"]
            assert 0 <= y0 < y1 <= row["height"]
            assert (thing["label"], folded(thing["entity"])) in entities


@pytest.mark.parametrize("kind", DRAWINGS)
def test_drawings_stay_in_their_box_and_fill_it(kind):
    for drawing, aspect in DRAWINGS[kind]:
        for seed in range(5):
            image = Image.new("RGB", (240, 240), (1, 2, 3))
            box = (30, 30, 30 + round(140 * aspect), 170) if aspect < 1 else (30, 30, 170, 30 + round(140 / aspect))
            drawing(Pen(ImageDraw.Draw(image), box, random.Random(seed)))
            drawn = ImageChops.difference(image, Image.new("RGB", image.size, (1, 2, 3))).getbbox()
            assert drawn is not None
            for side, wanted in zip(drawn, box, strict=True):
                # A few pixels for the width of lines.
                assert abs(side - wanted) <= 12, (drawing.__name__, drawn, box)


def test_another_seed_gives_other_posts_whose_names_are_disjoint_too():
    rng = random.Random(5)
    banks = deal_names(rng)
    strings = {}
    for part in SHARES:
        writer = PostWriter(part, banks[part], rng)
        strings[part] = {folded(mention.text) for _ in range(200) for mention in writer.write().mentions}
    assert strings["test"] & strings["train"] <= {folded(mention.text) for mention in banks["test"].pictured}
    assert not strings["test"] & strings["dev"]
    assert strings["test"] != strings_of("test")


def test_pictures_of_an_earlier_run_are_replaced_and_other_files_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_bga.starter.embedded.POSTS", {"train": 3})
    monkeypatch.setattr("spacy_bga.starter.embedded.PAIRS", 2)
    images = tmp_path / "images"
    images.mkdir()
    (images / "train_0900.png").write_bytes(b"old")
    (images / "holiday.png").write_bytes(b"mine")
    result = CliRunner().invoke(app, ["embedded", str(tmp_path), "--seed", "3"])
    assert result.exit_code == 0, result.output
    assert "train: 3 posts" in result.output
    assert not (images / "train_0900.png").exists()
    assert (images / "holiday.png").read_bytes() == b"mine"
    with Image.open(images / "pair_0001.png") as image:
        assert image.size == (SIZE, SIZE)


def test_a_file_as_output_is_a_clear_error(tmp_path):
    path = tmp_path / "corpus"
    path.write_text("", encoding="utf8")
    with pytest.raises(BGAError, match="B450"):
        generate(path)
    result = CliRunner().invoke(app, ["embedded", str(path)])
    assert result.exit_code == 1
    assert "B450" in result.output
