from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spacy_bga.corpus import pair_splits
from spacy_bga.corpus.images import image_digest
from spacy_bga.corpus.jsonl import Record, read_jsonl
from spacy_bga.corpus.pair_splits import MAX_DISTANCE, PairSplit, perceptual_hash, read_split, split_pairs, words_of
from spacy_bga.errors import BGAError

COMMITTED = sorted((Path(__file__).parents[2] / "assets" / "splits").glob("*.json"))
SUBJECTS = 12
COPIES = ("a.png", "b.jpg", "c.png", "d.png")
TEXTS = ["Kawhi Leonard wins", "RT @nba: Kawhi Leonard wins!", "the harbour", "snow", "https://t.co/x", "rain in Oslo"]
Write = Callable[..., Path]


def subject(number: int) -> Image.Image:
    """A blurred pattern of its own, 96 x 72."""
    noise = np.random.default_rng(number).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)


def save_copies(root: Path, number: int) -> None:
    """One picture as people pass it on: as it was, as JPEG, smaller, and under another name."""
    picture = subject(number)
    picture.save(root / f"{number}a.png")
    picture.save(root / f"{number}b.jpg", quality=60)
    picture.resize((50, 40)).save(root / f"{number}c.png")
    (root / f"{number}d.png").write_bytes((root / f"{number}a.png").read_bytes())


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each subject's copies."""
    root = tmp_path_factory.mktemp("pool")
    for number in range(SUBJECTS):
        save_copies(root, number)
    return root


@pytest.fixture
def write(pool: Path) -> Write:
    def write(pairs: list[tuple[str, str]], name: str = "pairs.jsonl") -> Path:
        path = pool / name
        lines = [json.dumps({"image": image, "text": text}) + "\n" for image, text in pairs]
        path.write_text("".join(lines), encoding="utf8")
        return path

    return write


def groups_of(path: Path) -> list[list[str]]:
    texts = {record.images[0]: [record.text] for record in read_jsonl(path)}
    groups, unreadable = pair_splits.group_images(texts, path.parent)
    assert unreadable == []
    return groups


def test_copies_of_an_image_are_one_group(write):
    copies = [[f"{number}{copy}" for copy in COPIES] for number in range(3)]
    pairs = [(image, f"text {image}") for images in copies for image in images]
    assert groups_of(write(pairs)) == copies


def test_different_subjects_are_far_apart():
    hashes = [perceptual_hash(encode(subject(number))) for number in range(SUBJECTS)]
    assert min(int((a != b).sum()) for a, b in combinations(hashes, 2)) > MAX_DISTANCE


def encode(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("Kawhi wins it", "RT @nba: KAWHI wins it!! https://t.co/x", True),
        ("Kawhi wins it", "Kawhi wins", False),
        ("one two three four five", "one two three four", True),
        ("one two three four", "one two three", False),  # 3 of 4
        ("one two three", "three, two, one", True),
        ("@someone https://t.co/x", "www.example.org/a", False),  # nothing is left of either
        ("RT is on the air", "RT @rt: is on the air", True),  # 4 of 5
    ],
)
def test_texts_that_say_the_same_are_one_group(write, first, second, together):
    assert len(groups_of(write([("0a.png", first), ("1a.png", second)]))) == 2 - together


def test_words():
    assert words_of("RT @a_b: The #Raptors' THE end http://t.co/1 http") == {"the", "raptors", "end"}


@given(words=st.lists(st.frozensets(st.sampled_from("abcdefghij"), max_size=10), max_size=12, unique=True))
@settings(max_examples=200)
def test_the_index_misses_no_pair_of_similar_texts(words):
    expected = {
        (i, j)
        for i, j in combinations(range(len(words)), 2)
        if min(len(words[i]), len(words[j])) >= 4 and len(words[i] & words[j]) >= 0.8 * len(words[i] | words[j])
    }
    assert set(pair_splits._link_word_sets(words)) == expected


@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(COPIES), st.sampled_from(TEXTS)), min_size=1),
    seed=st.integers(0, 99),
    shuffle=st.randoms(),
)
@settings(max_examples=40)
def test_nothing_alike_is_on_two_sides(pool, pairs, seed, shuffle):
    # Two subjects that stand alone, so that there always are three groups.
    alone = [("10a.png", "a text of its own"), ("11a.png", "quite another one")]
    lines = [(f"{number}{copy}", text) for number, copy, text in pairs] + alone
    splits = []
    for _ in range(2):
        path = pool / "property.jsonl"
        path.write_text("".join(json.dumps({"image": i, "text": t}) + "\n" for i, t in lines), encoding="utf8")
        splits.append(split_pairs(path, test=1, dev=1, seed=seed, name="property"))
        shuffle.shuffle(lines)
    assert splits[0] == splits[1]
    split = splits[0]
    assert (len(split.test), len(split.dev), split.test & split.dev) == (1, 1, frozenset())
    for (image, text), (other, other_text) in combinations(lines, 2):
        alike = image[:-5] == other[:-5] or (words_of(text) and words_of(text) == words_of(other_text))
        parts = split.part(image), split.part(other)
        if alike and image != other:
            assert parts[0] is None or parts[1] is None or parts == ("train", "train")


def test_sizes_and_seeds(write):
    path = write([(f"{number}{copy}", f"text {number}{copy}") for number in range(SUBJECTS) for copy in COPIES])
    splits = [split_pairs(path, test=5, dev=3, seed=seed) for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0].test != splits[2].test
    split = splits[0]
    assert (len(split.test), len(split.dev), len(split.excluded)) == (5, 3, 24)
    assert (split.images, split.groups, split.largest_group) == (48, SUBJECTS, 4)
    assert all(image.endswith("a.png") for image in split.test | split.dev)
    assert "--test 5 --dev 3 --seed 0" in split.made_by
    with pytest.raises(BGAError, match=r"B352.* 12 groups"):
        split_pairs(path, test=10, dev=2)


def test_unreadable_images_are_named_and_in_no_part(write, pool):
    (pool / "broken.png").write_bytes((pool / "0a.png").read_bytes()[:300])
    names = ["broken.png", "missing.png", "../secret.png"]
    path = write([(image, image) for image in [*names, "0a.png", "1a.png", "2a.png"]])
    with pytest.warns(UserWarning, match=r"W304.*\.\./secret\.png, broken\.png, missing\.png"):
        split = split_pairs(path, test=1, dev=1)
    assert split.excluded == set(names)
    assert [split.part(name) for name in names] == [None] * 3


def test_errors(write, pool, monkeypatch):
    with pytest.raises(BGAError, match="B351"):
        split_pairs(pool / "nothing.jsonl", test=1, dev=1)
    monkeypatch.setattr(pair_splits, "find_spec", lambda name: None)
    with pytest.raises(BGAError, match=r"B350.*spacy_bga\[splits\]"):
        split_pairs(write([("0a.png", "text")]), test=1, dev=1)


def make_split(**parts: str) -> PairSplit:
    sets = {name: frozenset(parts.get(name, "").split()) for name in ("test", "dev", "excluded")}
    return PairSplit("a", "a command", 0, 12, 0.8, 9, 9, 1, **sets)


def test_select():
    split = make_split(test="t", dev="d", excluded="x")
    images = ["t", "n", "t", "d", "x", "n", "d"]
    records = [Record(image, (image, "crop"), None, i) for i, image in enumerate(images)]
    records = [Record(" ", ("t",), None, 8), *records, Record("no image", (), None, 9)]
    lines = {part: [record.line for record in split.select(records, part)] for part in ("train", "dev", "test")}
    assert lines == {"train": [1, 5], "dev": [3], "test": [0]}
    with pytest.raises(BGAError, match=r"B338.* 1 images.* x\."):
        list(split.select([record for record in records if "x" not in record.images], "test"))


def test_round_trip(tmp_path):
    split = make_split(test="t u", dev="d", excluded="x")
    path = tmp_path / "split.json"
    path.write_text(json.dumps(split.to_dict()), encoding="utf8")
    assert read_split(path) == split
    assert json.loads(path.read_text(encoding="utf8"))["test"] == ["t", "u"]


@pytest.mark.parametrize(
    "change",
    [{"test": "t"}, {"test": [1]}, {"dev": ["t"]}, {"dev": ["d", "d"]}, {"more": 1}, {"test": None}, None, [], "{"],
)
def test_what_is_no_split(tmp_path, change):
    data = make_split(test="t", dev="d").to_dict()
    path = tmp_path / "split.json"
    text = change if isinstance(change, str) else json.dumps(data | change if isinstance(change, dict) else change)
    path.write_text(text, encoding="utf8")
    with pytest.raises(BGAError, match=r"B353.*split\.json"):
        read_split(path)
    with pytest.raises(BGAError, match=r"B353.*absent\.json"):
        read_split(tmp_path / "absent.json")
    for field in dataclasses.fields(PairSplit):
        path.write_text(json.dumps({k: v for k, v in data.items() if k != field.name}), encoding="utf8")
        with pytest.raises(BGAError, match=rf"B353.*{field.name}"):
            read_split(path)


class TestCommitted:
    def test_all_are_there(self):
        assert [path.stem for path in COMMITTED] == ["captions", "news", "tweets"]

    @pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
    def test_parts(self, path):
        split = read_split(path)  # refuses parts that have an image in common
        assert split.name == path.stem
        assert len(split.test) >= 500
        assert len(split.dev) >= 130
        assert split.largest_group < 0.05 * split.images
        assert path.read_text(encoding="utf8") == json.dumps(split.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @pytest.mark.shared_data
    @pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
    def test_no_image_and_no_text_is_on_two_sides(self, data, path):
        split = read_split(path)
        source = data / "pairs" / path.stem / "pairs.jsonl"
        records = list(read_jsonl(source))
        owners: dict[object, set[str]] = {}
        for record in records:
            image = record.images[0]
            for key in (image_digest(source.parent / image), words_of(record.text)):
                if key and split.part(image):
                    owners.setdefault(key, set()).add(image)
        for images in owners.values():
            assert len(images) == 1 or {split.part(image) for image in images} == {"train"}
        for part in ("test", "dev"):
            assert {record.images[0] for record in split.select(records, part)} == getattr(split, part)
