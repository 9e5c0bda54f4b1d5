from __future__ import annotations

import json
import zlib

import pytest
import srsly
from PIL import Image
from spacy.tokens import Doc, DocBin
from thinc.api import Config

from spacy_bga.diagnostics import gallery
from spacy_bga.diagnostics.checkup import check_data
from spacy_bga.errors import BGAError
from tests.diagnostics.conftest import by_kind, encode, picture


@pytest.fixture
def photos(tmp_path):
    """An image root: whole ones, 2 copies of one, and one of each that can't be used or hardly."""
    root = tmp_path / "photos"
    root.mkdir()
    for i in range(4):
        (root / f"{i}.png").write_bytes(encode(picture(i)))
    (root / "copy.png").write_bytes((root / "0.png").read_bytes())
    picture(1).resize((50, 40)).save(root / "smaller.jpg", quality=60)
    (root / "broken.jpg").write_bytes(b"no image")
    (root / "cut.png").write_bytes(encode(picture(7))[:400])
    (root / "tiny.png").write_bytes(encode(picture(8, size=(8, 90))))
    (root / "named.jpg").write_bytes(encode(picture(9)))
    frames = [picture(10), picture(11)]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    return root


@pytest.fixture
def defects(make_doc, save, photos, make_config, nlp):
    """A config whose corpora have one of each defect."""
    orphan = Doc(nlp.vocab, words=["Paris", "Hilton", "sings"], ents=["I-PER", "I-PER", "O"])
    wide = make_doc("Kevin  ( Durant ) plays", [(0, 2, "PER")])  # with its white space
    partly = make_doc("annotated in part only")
    partly.set_ents([], missing=[partly[1:3]], default="outside")
    stranger = make_doc("a stranger", image={"not": "an image"})
    crossing = Doc(nlp.vocab, words=["New", "York", "ers", "win"], spaces=[True, False, True, False])
    crossing.set_ents([crossing.char_span(0, 8, label="LOC")], default="outside")
    train = [
        make_doc("Kevin Durant joins the Warriors", [(0, 2, "PER"), (4, 5, "ORG")], "0.png"),
        make_doc("RT @nba: the Warriors win again tonight", [(3, 4, "ORG")], "1.png"),
        make_doc("the same text twice", [(0, 1, "ORG")], "2.png"),
        make_doc("the same text twice", [], "2.png"),
        *[make_doc(f"{word} Oakland", [(1, 2, "LOC")]) for word in ("in", "from", "to", "near", "at")],
        make_doc("like OAKLAND", [(1, 2, "ORG")]),
        make_doc("nothing here", None),
        make_doc("  \n", [(0, 1, "LOC")]),
        make_doc("he said ( Oakland )", [(2, 4, "LOC")]),
        *[make_doc(name, [], name) for name in ("broken.jpg", "cut.png", "tiny.png", "named.jpg", "moving.gif")],
        make_doc("gone", [], "gone.png"),
        make_doc("outside", [], "../secret.png"),
        make_doc("crops", [], ["3.png", "gone.png"]),
        orphan,
        wide,
        partly,
        stranger,
        crossing,
        make_doc(""),
    ]
    dev = [
        make_doc("Kevin Durant joins the Warriors", [(0, 2, "PER"), (4, 5, "ORG")]),
        make_doc("the Warriors win again tonight https://t.co/abc", [(1, 2, "TEAM")], "smaller.jpg"),
        make_doc("another one", [], "copy.png"),
        make_doc("a third", [], "3.png"),
    ]
    return make_config(train=save(train, "train.spacy"), dev=save(dev, "dev.spacy"), images=photos)


def test_each_defect_is_found(defects):
    found = by_kind(check_data(defects))
    expected = {
        "orphan-tag": ("error", 1),
        "bad-image-value": ("error", 1),
        "empty-document": ("info", 1),
        "white-space-entity": ("warning", 1),
        "white-space-edge": ("warning", 1),
        "misaligned-entity": ("warning", 1),
        "punctuation-edge": ("warning", 1),
        "partial-annotation": ("info", 1),
        "label-not-in-train": ("warning", 1),
        "rare-label": ("warning", 3),
        "odd-label": ("warning", 1),
        "contradictory-text": ("warning", 1),
        "few-documents": ("warning", 26),
        "nothing-to-learn": ("warning", 1),
        "text-leak": ("warning", 1),
        "text-leak-alike": ("warning", 1),
        "repeated-text": ("info", 1),
        "broken-image": ("warning", 2),
        "missing-image": ("warning", 1),
        "refused-image": ("warning", 1),
        "tiny-image": ("warning", 1),
        "animated-image": ("info", 1),
        "disguised-image": ("info", 1),
        "image-leak": ("warning", 2),
        "image-leak-near": ("warning", 1),
        "repeated-image": ("info", 1),
        "windows-skipped": ("info", 0),
        "estimate-skipped": ("info", 0),
    }
    assert {kind: (found[kind][0].level, found[kind][0].count) for kind in expected if kind in found} == expected
    places = {kind: found[kind][0].examples[0] for kind in expected if found[kind][0].examples}
    assert places["orphan-tag"].startswith("train.labelled train.spacy:22 'Paris'")
    assert places["punctuation-edge"] == "train.labelled train.spacy:13 '( Oakland'"
    assert places["misaligned-entity"].endswith("'New York' in the tokens [New] [Yorkers]")
    assert places["odd-label"].startswith("'oakland': LOC 5")
    assert "dev dev.spacy:2 'smaller.jpg' and train.labelled train.spacy:2 '1.png', " in places["image-leak-near"]
    assert all(finding.fix for kind in found for finding in found[kind] if finding.level in ("error", "warning"))


def test_good_data(make_doc, save, make_config, photos):
    train = [make_doc(f"Kevin number {i}", [(0, 1, "PER")] if i else [], "0.png" if i % 2 else None) for i in range(60)]
    dev = [make_doc("love paris", [(1, 2, "PER")], "3.png"), make_doc("no name")]
    report = check_data(make_config(train=save(train, "a.spacy"), dev=save(dev, "b.spacy"), images=photos))
    assert {finding.kind for finding in report.findings if finding.level == "warning"} == {"few-documents"}
    assert report.counts()["error"] == 0
    assert {"annotation", "labels", "conflict", "text-leak", "images", "image-leak"} <= {
        finding.kind for finding in report.findings if finding.level == "good"
    }
    section = next(section for section in report.sections if section.title == "Coverage")
    assert section.tables[0].rows[0] == ("train", 60, "30 (50.0%)", "30 (50.0%)", "0 (0.0%)", "0 (0.0%)")


def test_broken_files_and_documents(make_doc, save, make_config, tmp_path):
    path = save([make_doc(f"Kevin number {i}", [(0, 1, "PER")]) for i in range(3)], "train.spacy")
    message = srsly.msgpack_loads(zlib.decompress(path.read_bytes()))
    message["user_data"][1] = b"\xc1"  # what msgpack never writes
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(message)))
    with pytest.raises(ValueError, match=r"^$"):
        list(DocBin().from_disk(path).get_docs(make_doc("").vocab))
    dev = tmp_path / "dev.spacy"
    dev.write_bytes(b"nothing that zlib knows")
    found = by_kind(check_data(make_config(train=path, dev=dev, images=tmp_path)))
    assert found["broken-document"][0].examples[0].startswith("train.labelled train.spacy:2: ")
    assert found["broken-file"][0].examples[0].startswith("dev: ")
    assert found["few-documents"][0].count == 2


def test_paths(make_doc, save, make_config, tmp_path):
    found = by_kind(check_data(make_config(dev=tmp_path / "absent.spacy", images=tmp_path)))
    assert found["no-path"][0].examples == ("[corpora.train.labelled] has no path",)
    assert "there is no" in found["broken-file"][0].examples[0]
    assert found["no-entities"][0].level == "error"
    empty = make_config(train=save([make_doc("")], "a.spacy"), dev=save([], "b.spacy"), images=tmp_path)
    assert [finding.level for finding in by_kind(check_data(empty))["no-documents"]] == ["error", "error"]
    with pytest.raises(BGAError, match="B360"):
        check_data(Config({"nlp": {"lang": "en"}, "corpora": {"train": 3}}))
    with pytest.raises(BGAError, match="B361"):
        check_data(Config(empty | {"nlp": {"lang": "qq", "pipeline": []}}))
    with pytest.raises(BGAError, match=r"B331.*absent"):
        check_data(empty, roots=[tmp_path / "absent"])


def test_image_roots(make_doc, save, make_config, photos):
    docs = [make_doc("Kevin wins", [(0, 1, "PER")], "0.png"), make_doc("no name", [], b"broken")]
    config = make_config(train=save(docs, "a.spacy"), dev=save(docs, "b.spacy"))
    del config["corpora"]["train"]["labelled"]["images"]
    found = by_kind(check_data(config))
    assert (found["no-image-root"][0].level, found["no-image-root"][0].count) == ("error", 1)
    assert found["images-unread"][0].count == 2
    assert found["broken-image"][0].count == 1
    found = by_kind(check_data(config, roots=[photos]))
    assert "images-unread" not in found
    assert found["image-leak"][0].count == 1
    assert found["broken-image"][0].count == 1
    assert "broken-image" not in by_kind(check_data(config, look_at_images=False))


@pytest.mark.parametrize(("on_missing", "level"), [("error", "error"), ("warn", "warning"), ("ignore", "info")])
def test_what_is_done_about_missing_images_is_what_makes_it_serious(
    make_doc, save, make_config, photos, on_missing, level
):
    config = make_config(train=save([make_doc("Kevin", [(0, 1, "PER")], "gone.png")], "a.spacy"), images=photos)
    config["corpora"]["train"]["labelled"]["on_missing"] = on_missing
    assert by_kind(check_data(config))["missing-image"][0].level == level


def test_other_images_and_no_perceptual_hashes(make_doc, save, make_config, photos, monkeypatch):
    monkeypatch.setattr(gallery, "find_spec", lambda name: None)
    monkeypatch.setattr(gallery, "MAX_PIXELS", 96 * 72 - 1)
    Image.new("RGB", (20, 20)).save(photos / "0.png")
    train = save([make_doc("a", [], "0.png"), make_doc("b", [], "1.png")], "a.spacy")
    dev = save([make_doc("c", [], "0.png"), make_doc("d", [], "smaller.jpg")], "b.spacy")
    found = by_kind(check_data(make_config(train=train, dev=dev, images=photos)))
    assert found["huge-image"][0].count == 1
    assert "B306" in found["huge-image"][0].examples[0]
    assert found["image-leak"][0].count == 1
    assert "image-leak-near" not in found
    assert "spacy_bga[splits]" in found["no-perceptual-hash"][0].message


def test_windows_and_labels_of_the_config(make_doc, save, make_config, text_encoder_folder, tmp_path):
    docs = [make_doc("kevin " * n, [(0, 1, "PER")]) for n in (1, 30, 31, 100)]
    config = make_config(train=save(docs, "a.spacy"), images=tmp_path)
    config["components"]["bga_ner"]["model"] |= {"text_encoder": str(text_encoder_folder), "window": 32, "overlap": 8}
    config["initialize"] = {"components": {"bga_ner": {"labels": ["LOC"]}}}
    config["corpora"]["train"]["labelled"]["max_length"] = 50
    found = by_kind(check_data(config))
    assert found["long-document"][0].count == 2
    assert found["long-document"][0].examples[1].endswith("100 wordpieces, 5 windows")
    assert found["split-document"][0].count == 1
    assert (found["label-not-configured"][0].count, found["label-without-example"][0].count) == (4, 1)
    assert found["no-negatives"][0].level == "warning"
    config["components"]["bga_ner"]["model"] = {}
    assert "names no text encoder" in by_kind(check_data(config))["windows-skipped"][0].message


def test_only_pairs_to_align(make_doc, save, make_config, photos):
    docs = [make_doc("a tree 🌳", None, "0.png"), make_doc(" ", None), make_doc("x", None, "1.png")]
    config = make_config(train=save(docs, "a.spacy"), images=photos)
    config["corpora"]["train"]["labelled"]["limit"] = 2
    config["components"]["bga_ner"]["score_alignment"] = True
    found = by_kind(check_data(config))
    assert found["no-entities"][0].level == "info"
    assert found["few-documents"][0].count == 2


@pytest.mark.parametrize("entities", [None, []])
def test_a_labelled_corpus_without_a_label(make_doc, save, make_config, photos, entities):
    """What is left of labels that stood under a key which nobody has read."""
    bare = [make_doc("a tree", entities, "0.png"), make_doc("another one", entities, "1.png")]
    labelled = [make_doc("Kevin wins", [(0, 1, "PER")]), make_doc("no name", [])]
    config = make_config(train=save(bare, "a.spacy"), dev=save(labelled, "b.spacy"), images=photos)
    found = by_kind(check_data(config))
    assert found["no-entities"][0].level == "error"
    assert "score_alignment" in found["no-entities"][0].fix
    assert "labels" not in found  # nothing is good about them
    config = make_config(train=save(labelled, "a.spacy"), dev=save(bare, "b.spacy"), images=photos)
    config["corpora"]["train"]["pairs"] = {"@readers": "spacy_bga.ImageCorpus.v1", "path": config["paths"]["dev"]}
    found = by_kind(check_data(config))
    assert [finding.message for finding in found["no-labels"]] == ["There is no entity in dev"]
    assert found["no-labels"][0].level == "error"


def test_other_readers(make_config, tmp_path, make_doc, save):
    config = make_config(train=save([make_doc("Kevin", [(0, 1, "PER")])], "a.spacy"), images=tmp_path)
    (tmp_path / "raw.jsonl").write_text('{"text": "Kevin"}\n', encoding="utf8")
    for name, path in (("raw", tmp_path / "raw.jsonl"), ("gone", tmp_path / "gone.jsonl")):
        config["corpora"][name] = {"@readers": "spacy.JsonlCorpus.v1", "path": str(path)}
    found = by_kind(check_data(config))
    assert found["text-leak"][0].examples[0].startswith("raw raw:1 'Kevin'") or found["text-leak"][0].count == 1
    assert "no-labels" not in found
    assert any("gone: spacy.JsonlCorpus.v1" in example for example in found["broken-file"][0].examples)


def test_originals(make_config, make_doc, save, tmp_path):
    config = make_config(train=save([make_doc("Kevin", [(0, 1, "PER")])], "a.spacy"), images=tmp_path)
    good, conll, lines = tmp_path / "good.txt", tmp_path / "train.txt", tmp_path / "train.jsonl"
    good.write_text("Kevin\tB-PER\n", encoding="utf8")
    conll.write_text("IMGID:1\nKevin\tI-PER\nwins\tO\nNBA\tB-ORG\n\nin\tO\nParis\tI-LOC\n", encoding="utf8")
    spans = [{"start": 0, "end": 3, "label": "PER"}]
    lines.write_text(json.dumps({"text": "Kevin wins", "spans": spans}) + "\n[]\n", encoding="utf8")
    found = by_kind(check_data(config, originals=[good, conll, lines, tmp_path / "absent.txt"]))
    assert "nothing to mend in 1 documents" in found["original"][0].message
    assert (found["orphan-tags"][0].level, found["orphan-tags"][0].count) == ("warning", 2)
    assert found["misaligned-spans"][0].examples[0].startswith("train.jsonl:1: misaligned span: 'Kev' (PER)")
    assert found["bad-lines"][0].count == 1
    assert "B330" in found["unreadable-original"][0].message
