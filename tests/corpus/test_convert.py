from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import spacy
from PIL import Image
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.convert import convert, parse_label_map, permute_images
from spacy_bga.corpus.images import get_images
from spacy_bga.errors import BGAError
from tests.conftest import encode_picture

CONLL = "IMGID:0\nKawhi\tI-PER\nwins\tO\n\nIMGID:nothing\nNBA\tB-OTHER\n\nIMGID:2\n\nIMGID:1\nfine\tO\n"


def docs_of(path: Path):
    return list(DocBin().from_disk(path).get_docs(Vocab()))


@pytest.fixture
def conll(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text(CONLL, encoding="utf8")
    return path


@pytest.fixture
def jsonl(tmp_path, photos, encode):
    (photos / "broken.jpg").write_bytes((photos / "0.jpg").read_bytes()[:300])
    (photos / "png.jpg").write_bytes(encode(format="PNG"))
    lines = [
        {"text": "one", "image": "photos/0.jpg"},
        {"text": "two", "image": ["photos/1.jpg", "photos/nothing.jpg", "photos/2.jpg"], "spans": []},
        {"text": "three", "image": "photos/broken.jpg"},
        {"text": "four", "image": ["photos/nothing.jpg", "photos/1.jpg"]},
        {"text": "five", "image": "../secret.jpg"},
        {"text": "six six", "image": "photos/png.jpg", "spans": [{"start": 0, "end": 2, "label": "PER"}]},
        {"text": "  "},
        {"txt": "seven"},
        {"text": "eight", "image": "photos/0.jpg"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
    return path


def test_conll(conll, photos, tmp_path):
    report = convert(conll, tmp_path / "out" / "train.spacy", images=photos, label_map={"OTHER": "MISC"})
    docs = docs_of(tmp_path / "out" / "train.spacy")
    assert [doc._.image for doc in docs] == ["0.jpg", None, "1.jpg"]
    assert [[(e.text, e.label_) for e in doc.ents] for doc in docs] == [[("Kawhi", "PER")], [("NBA", "MISC")], []]
    assert [doc.user_data["image_id"] for doc in docs] == ["0", "nothing", "1"]
    assert (report.documents, report.annotated, report.tokens, report.entities) == (3, 3, 4, {"PER": 1, "MISC": 1})
    assert (report.images, report.images_missing, report.documents_without_image) == (2, 1, 1)
    assert (report.orphan_tags, report.labels_mapped, report.empty_posts) == (1, {"OTHER=MISC": 1}, 1)


def test_conll_without_images_and_with_its_own_labels(conll, tmp_path):
    report = convert(conll, tmp_path / "a.spacy")
    assert report.entities == {"OTHER": 1, "PER": 1}
    assert (report.images, report.images_missing, report.documents_without_image) == (0, 0, 3)


def test_jsonl(jsonl, tmp_path):
    report = convert(jsonl, tmp_path / "a.spacy")
    docs = docs_of(tmp_path / "a.spacy")
    assert [doc.text for doc in docs] == ["one", "two", "three", "four", "five", "six six", "eight"]
    first = ["photos/0.jpg"]
    expected = [first, ["photos/1.jpg", "photos/2.jpg"], [], [], [], ["photos/png.jpg"], first]
    assert [get_images(doc) for doc in docs] == expected
    assert docs[0]._.image == "photos/0.jpg"
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [False, True, False, False, False, True, False]
    assert (report.images, report.image_files, report.images_missing, report.images_unreadable) == (5, 4, 2, 2)
    assert (report.images_mislabelled, report.misaligned_spans, report.bad_lines, report.empty_posts) == (1, 1, 1, 1)
    assert report.documents_without_image == 3
    assert any("pairs.jsonl:6: photos/png.jpg is PNG inside" in problem for problem in report.problems)


def test_paths_are_relative_to_the_given_root(jsonl, photos, tmp_path):
    report = convert(jsonl, tmp_path / "a.spacy", images=photos)
    assert report.images == 0  # "photos/0.jpg" is not in photos/
    assert report.images_missing == 6


def test_without_looking_at_images(jsonl, tmp_path):
    report = convert(jsonl, tmp_path / "a.spacy", images=tmp_path, check_images=False)
    assert (report.images, report.images_missing, report.images_unreadable) == (9, 0, 1)
    assert docs_of(tmp_path / "a.spacy")[4]._.image is None  # a path out of the root is never kept


def test_an_image_id_is_a_key_if_nothing_is_looked_for(conll, tmp_path):
    assert convert(conll, tmp_path / "a.spacy", check_images=False).images == 3
    assert [doc._.image for doc in docs_of(tmp_path / "a.spacy")] == ["0", "nothing", "1"]
    assert convert(conll, tmp_path / "a.spacy").images == 0


def test_strict_limit_and_format(jsonl, conll, tmp_path):
    with pytest.raises(BGAError, match=r"B320.*line 8"):
        convert(jsonl, tmp_path / "a.spacy", strict=True)
    assert convert(jsonl, tmp_path / "a.spacy", limit=2).documents == 2
    whole = convert(jsonl, tmp_path / "whole.spacy").documents
    assert convert(jsonl, tmp_path / "a.spacy", skip=1).documents == whole - 1
    texts = [[doc.text for doc in docs_of(tmp_path / name)] for name in ("whole.spacy", "a.spacy")]
    assert texts[1] == texts[0][1:]
    assert convert(jsonl, tmp_path / "a.spacy", skip=1, limit=1).documents == 1
    renamed = conll.rename(tmp_path / "posts")
    assert convert(renamed, tmp_path / "a.spacy").documents == 3
    bare = jsonl.rename(tmp_path / "lines")
    assert convert(bare, tmp_path / "a.spacy").documents == 7


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"source": "nothing.txt"}, "B330"),
        ({"source": "."}, "B330"),
        ({"images": "nothing"}, "B331"),
        ({"output": "a.bin"}, "B332"),
        ({"format": "xml"}, "B334"),
        ({"lang": "qqq"}, "B336"),
        ({"offsets": "bytes"}, "B339"),
    ],
)
def test_errors_say_what_is_wrong(conll, tmp_path, monkeypatch, settings, code):
    monkeypatch.chdir(tmp_path)
    arguments = {"source": conll, "output": "a.spacy"} | settings
    with pytest.raises(BGAError, match=code):
        convert(arguments.pop("source"), arguments.pop("output"), **arguments)


def test_nothing_to_write(tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"txt": "wrong key"}\n', encoding="utf8")
    with pytest.raises(BGAError, match=r"(?s)B333.*line 1"):
        convert(source, tmp_path / "a.spacy")


def test_conll_as_others_write_it(tmp_path, photos):
    """Tags of other schemes, four columns, and pictures that are spelt otherwise than their ids."""
    for old, new in (("0.jpg", "7.JPG"), ("3.jpg", "3.tif")):
        (photos / old).rename(photos / new)
    source = tmp_path / "posts.txt"
    source.write_text(
        "-DOCSTART- -X- O B-MISC\n\nIMGID:7\nKevin NNP B-NP B-PER\nDurant NNP I-NP E-PER\n\n"
        "IMGID:1.jpg\n\nlove VB O O\nParis NNP B-NP S-LOC\n\nIMGID:3\nfine JJ O O\n",
        encoding="utf8",
    )
    report = convert(source, tmp_path / "a.spacy", images=photos, strict=True)
    docs = docs_of(tmp_path / "a.spacy")
    assert [[(e.text, e.label_) for e in doc.ents] for doc in docs] == [
        [("Kevin Durant", "PER")],
        [("Paris", "LOC")],
        [],
    ]
    assert [doc._.image for doc in docs] == ["7.JPG", "1.jpg", "3.tif"]
    assert (report.tag_scheme, report.orphan_tags, report.images_missing, report.empty_posts) == ("IOBES", 0, 0, 0)
    assert "IOBES" in report.to_text()


def test_a_bad_line_of_conll_costs_its_post_alone(tmp_path):
    source = tmp_path / "posts.txt"
    source.write_text("one\tO\n\ntwo\tnonsense\n\nthree\tB-PER\n", encoding="utf8")
    report = convert(source, tmp_path / "a.spacy")
    assert (report.documents, report.bad_lines, report.formats) == (2, 1, {"conll": 2})
    assert "line 3" in report.problems[0]
    with pytest.raises(BGAError, match=r"B310.*line 3"):
        convert(source, tmp_path / "a.spacy", strict=True)


def test_label_map():
    assert parse_label_map(["OTHER=MISC", "a = b"]) == {"OTHER": "MISC", "a": "b"}
    for entry in ("OTHER", "=MISC", "OTHER="):
        with pytest.raises(BGAError, match="B335"):
            parse_label_map([entry])


class TestPermuteImages:
    def docs(self, nlp, images):
        docs = [nlp.make_doc(str(i)) for i in range(len(images))]
        for doc, image in zip(docs, images, strict=True):
            doc._.image = image
        return docs

    @pytest.mark.parametrize("seed", range(5))
    def test_nobody_keeps_their_own(self, nlp, seed):
        images = ["a", "a", "a", "b", None, "c", ["d", "d1"], "e", "f"]
        docs = self.docs(nlp, images)
        assert permute_images(docs, seed=seed) == 8
        before = [get_images(doc) for doc in self.docs(nlp, images)]
        after = [get_images(doc) for doc in docs]
        assert all(new != old for new, old in zip(after, before, strict=True) if old)
        assert Counter(map(str, after)) == Counter(map(str, before))
        assert docs[4]._.image is None

    def test_seeds(self, nlp):
        images = [f"{i}.jpg" for i in range(30)]
        results = []
        for seed in (1, 1, 2):
            docs = self.docs(nlp, images)
            permute_images(docs, seed=seed)
            results.append([doc._.image for doc in docs])
        assert results[0] == results[1] != results[2]

    def test_too_few(self, nlp):
        assert permute_images([], seed=0) == 0
        assert permute_images(self.docs(nlp, ["a"]), seed=0) == 0
        docs = self.docs(nlp, ["a", "a", "a", "b"])
        assert permute_images(docs, seed=0) == 2

    def test_through_convert(self, jsonl, tmp_path):
        report = convert(jsonl, tmp_path / "a.spacy", shuffle_images=3)
        assert report.images_shuffled == 4
        assert docs_of(tmp_path / "a.spacy")[0]._.image != "photos/0.jpg"


class TestParts:
    """Twelve pictures with two texts each, of which three are tested on, and two are for dev."""

    @pytest.fixture
    def pairs(self, tmp_path):
        (tmp_path / "images").mkdir()
        lines = []
        for i in range(12):
            (tmp_path / "images" / f"{i}.png").write_bytes(encode_picture(i))
            lines += [{"text": f"{text} {i}", "image": f"images/{i}.png"} for text in ("first", "second")]
        path = tmp_path / "pairs.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf8")
        return path

    @pytest.fixture
    def split(self, pairs):
        path = pairs.with_name("split.json")
        arguments = ["split-pairs", str(pairs), str(path), "--test", "3", "--dev", "2", "--seed", "1"]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert "12 images in 12 groups, the largest of 1" in result.output
        return path

    def convert_part(self, pairs, split, part, *more):
        out = pairs.with_name(f"{part}.spacy")
        arguments = ["convert", str(pairs), str(out), "--split", str(split), "--part", part, *more]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return [(doc.text, doc._.image) for doc in docs_of(out)]

    def test_held_out_images_have_one_text(self, pairs, split):
        parts = {part: self.convert_part(pairs, split, part) for part in ("train", "dev", "test")}
        assert {part: len(docs) for part, docs in parts.items()} == {"train": 14, "dev": 2, "test": 3}
        assert all(text.startswith("first ") for part in ("dev", "test") for text, _ in parts[part])
        assert sorted(image for _, image in parts["test"]) == json.loads(split.read_text(encoding="utf8"))["test"]
        images = [{image for _, image in docs} for docs in parts.values()]
        assert len(set().union(*images)) == sum(map(len, images)) == 12

    def test_images_are_shuffled_within_the_part(self, pairs, split):
        plain = dict(self.convert_part(pairs, split, "train"))
        shuffled = dict(self.convert_part(pairs, split, "train", "--shuffle-images", "0"))
        assert Counter(plain.values()) == Counter(shuffled.values())
        assert all(plain[text] != shuffled[text] for text in plain)

    def test_prefix_and_limit(self, pairs, split):
        more = ["--images", str(pairs.parent.parent), "--image-prefix", pairs.parent.name, "--limit", "2"]
        docs = self.convert_part(pairs, split, "test", *more)
        assert len(docs) == 2
        assert all(image.startswith(f"{pairs.parent.name}/images/") for _, image in docs)

    @pytest.mark.parametrize("settings", [{"part": "test"}, {"split": "split.json"}, {"split": "a", "part": "valid"}])
    def test_what_does_not_fit_together(self, pairs, tmp_path, settings):
        with pytest.raises(BGAError, match="B337"):
            convert(pairs, tmp_path / "a.spacy", **settings)

    def test_only_jsonl(self, conll, split, tmp_path):
        with pytest.raises(BGAError, match="B337"):
            convert(conll, tmp_path / "a.spacy", split=split, part="train")

    def test_the_split_of_another_file(self, pairs, split):
        others = pairs.with_name("others.jsonl")
        others.write_text('{"text": "one", "image": "images/0.png"}\n', encoding="utf8")
        with pytest.raises(BGAError, match=r"B338.*'split'"):
            convert(others, pairs.with_name("a.spacy"), split=split, part="train")

    def test_errors_of_splitting(self, pairs):
        result = CliRunner().invoke(app, ["split-pairs", str(pairs), str(pairs.with_name("split.json"))])
        assert (result.exit_code, "[B352]" in result.output) == (1, True)
        assert not pairs.with_name("split.json").exists()


class TestConsole:
    def test_convert(self, conll, photos, tmp_path):
        out, report = tmp_path / "a.spacy", tmp_path / "reports" / "a.json"
        arguments = ["convert", str(conll), str(out), "--images", str(photos), "--report", str(report)]
        result = CliRunner().invoke(app, [*arguments, "--label-map", "PER=PERSON", "--label-map", "OTHER=MISC"])
        assert result.exit_code == 0, result.output
        assert "PERSON" in result.output
        assert json.loads(report.read_text(encoding="utf8"))["entities"] == {"MISC": 1, "PERSON": 1}
        assert len(docs_of(out)) == 3

    @pytest.mark.parametrize("arguments", [["nothing.txt", "a.spacy"], [__file__, "a.spacy"], [__file__, "a.bin"]])
    def test_errors_have_no_traceback(self, arguments, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        result = CliRunner().invoke(app, ["convert", *arguments])
        assert result.exit_code == 1
        assert "[B3" in result.output
        assert "Traceback" not in result.output


@pytest.mark.shared_data
class TestRealData:
    @pytest.mark.parametrize(("split", "documents"), [("train", 3373), ("valid", 723), ("test", 723)])
    def test_twitter_2017(self, data, tmp_path, split, documents):
        folder = data / "twitter2017"
        report = convert(folder / f"{split}.txt", tmp_path / "a.spacy", images=folder / "images")
        assert (report.documents, report.annotated) == (documents, documents)
        assert (report.orphan_tags, report.labels_mapped, report.images_unreadable) == (0, {}, 0)
        assert set(report.entities) == {"PER", "LOC", "ORG", "MISC"}
        assert report.images + report.images_missing == documents

    @pytest.mark.parametrize(
        ("split", "documents", "begins", "entities"), [("train", 4000, 6166, 6352), ("valid", 1000, 1541, 1594)]
    )
    def test_twitter_2015(self, data, tmp_path, split, documents, begins, entities):
        report = convert(data / "twitter2015" / f"{split}.txt", tmp_path / "a.spacy")
        assert (report.documents, sum(report.entities.values())) == (documents, entities)
        assert report.orphan_tags == entities - begins
        assert set(report.entities) == {"PER", "LOC", "ORG", "OTHER"}

    def test_pairs_have_no_annotation(self, data, tmp_path):
        report = convert(data / "pairs" / "news" / "pairs.jsonl", tmp_path / "a.spacy", limit=200)
        assert (report.documents, report.annotated, report.images, report.bad_lines) == (200, 0, 200, 0)


def test_sources_below_one_image_root_keep_their_prefix(tmp_path):
    (tmp_path / "news" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "news" / "images" / "a.png")
    source = tmp_path / "news" / "pairs.jsonl"
    source.write_text('{"image": "images/a.png", "text": "a post"}', encoding="utf8")
    convert(source, tmp_path / "news.spacy", images=tmp_path, image_prefix="news")
    (doc,) = DocBin().from_disk(tmp_path / "news.spacy").get_docs(spacy.blank("en").vocab)
    assert doc._.image == "news/images/a.png"


def test_a_text_that_is_too_long_costs_no_other_line(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in ("one", "a " * 500_001, "three")), encoding="utf8")
    report = convert(path, tmp_path / "out.spacy")
    assert report.bad_lines == 1
    assert "posts.jsonl:2: [B721]" in report.problems[0]
    assert [doc.text for doc in docs_of(tmp_path / "out.spacy")] == ["one", "three"]
    with pytest.raises(BGAError, match="B721"):
        convert(path, tmp_path / "out.spacy", strict=True)


def test_a_report_drives_no_terminal(tmp_path):
    path = tmp_path / "posts.txt"
    path.write_text("IMGID:\x1b[2J\u202e\n\nIMGID:1\na\tB-\x1b[31mPER\n", encoding="utf8")
    report = convert(path, tmp_path / "out.spacy")
    assert report.entities == {"\x1b[31mPER": 1}
    text = report.to_text()
    assert r"the post \x1b[2J\u202e has no tokens" in text
    assert text.replace("\n", "").isprintable()


def test_a_tokenizer_of_ones_own(tmp_path):
    nlp = spacy.blank("en")
    nlp.tokenizer = lambda text: spacy.tokens.Doc(nlp.vocab, words=text.split("-"))
    path = tmp_path / "posts.jsonl"
    path.write_text('{"text": "a-b"}', encoding="utf8")
    convert(path, tmp_path / "out.spacy", lang=nlp)
    assert [len(doc) for doc in docs_of(tmp_path / "out.spacy")] == [2]
