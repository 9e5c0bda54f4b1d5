"""`python -m spacy_bga view`: whatever is in the corpus, there is a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from click.testing import Result
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from tests.evaluation.aligners import write_texts
from tests.viewer.test_page import Reader

TEXTS: Any = [
    ("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("love paris !", [(1, 2, "LOC")]),
    ("nothing here", []),
]


@pytest.fixture
def ruled(pointer: Language, tmp_path: Path) -> Path:
    """A pipeline whose rules find one thing right and one wrong, and whose `bga_ner` points at images."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PER", "pattern": "kevin durant"}, {"label": "ORG", "pattern": "paris"}])  # type: ignore[attr-defined]
    nlp.add_pipe("bga_ner", source=pointer)
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "paris"}])  # type: ignore[attr-defined]
    nlp.to_disk(tmp_path / "rules")
    return tmp_path / "rules"


def view(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["view", *map(str, arguments)])


def test_spacy(ruled: Path, images: Path, tmp_path: Path):
    corpus = write_texts(tmp_path / "texts.spacy", TEXTS, images=["a.png", "absent.png", None])
    done = view(ruled, corpus, "--images", images, "--output", tmp_path / "out" / "page.html")
    assert done.exit_code == 0, done.output
    assert "3 posts written" in done.stdout
    page = Reader((tmp_path / "out" / "page.html").read_text(encoding="utf8"))
    assert len(page.all("article")) == 3
    assert "gold says LOC" in page.text
    assert "IMAGES/absent.png" in page.text
    assert len(page.all("mark", "points")) >= 2  # predicted and gold ones of the first post


def test_how_sure_a_component_is(ruled: Path, tmp_path: Path):
    """Asked for by the command, whatever the config says; what rules found has no confidence."""
    corpus = write_texts(tmp_path / "texts.spacy", TEXTS)
    assert view(ruled, corpus, "--output", tmp_path / "page.html").exit_code == 0
    nlp = spacy.load(ruled, config={"components.bga_ner.confidence": True})
    docs = [nlp(" ".join(text.split()) + " ") for text, _ in TEXTS]
    sure = [ent for doc in docs for ent in doc.ents if ent._.bga_confidence is not None]
    page = Reader((tmp_path / "page.html").read_text(encoding="utf8"))
    assert page.text.count("confidence ") == len(sure)
    assert 0 < len(sure) < sum(len(doc.ents) for doc in docs)


def test_limit_and_title(rules: Path, tmp_path: Path):
    corpus = write_texts(tmp_path / "texts.spacy", TEXTS)
    output = tmp_path / "page.html"
    for limit, number in (("2", 2), ("0", 3)):
        assert view(rules, corpus, "--limit", limit, "--output", output, "--title", "Müll & <b>").exit_code == 0
        page = Reader(output.read_text(encoding="utf8"))
        assert len(page.all("article")) == number
        assert "Müll & <b>" in page.text


def test_jsonl_beside_its_images(rules: Path, images: Path, tmp_path: Path):
    rows: list[Any] = [
        {"text": "love paris !", "image": "images/a.png", "spans": [{"start": 5, "end": 10, "label": "LOC"}]},
        {"text": "paris", "image": ["images/b.png", "images/crop.png"]},
        {"text": "  "},
        {"text": ""},
        {"no text": 1},
    ]
    corpus = tmp_path / "posts.jsonl"
    corpus.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf8")
    assert view(rules, corpus, "--output", tmp_path / "page.html").exit_code == 0
    page = Reader((tmp_path / "page.html").read_text(encoding="utf8"))
    assert len(page.all("article")) == 4
    assert len(page.all("img", "shown")) == 2
    assert "1 lines of the corpus can't be read. The first one: [B320]" in page.text
    assert "not annotated" in page.text


def test_a_pipeline_without_labels_shows_the_corpus(pointer: Language, images: Path, tmp_path: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("bga_ner", source=pointer)
    pipe: Any = nlp.get_pipe("bga_ner")
    pipe.cfg["labels"] = []
    pipe._shim.aligner.set_labels(())
    nlp.to_disk(tmp_path / "aligned")
    corpus = write_texts(tmp_path / "texts.spacy", TEXTS, images=["a.png", "b.png", None])
    assert view(tmp_path / "aligned", corpus, "--images", images, "--output", tmp_path / "page.html").exit_code == 0
    page = Reader((tmp_path / "page.html").read_text(encoding="utf8"))
    assert "The pipeline knows no labels yet" in page.text
    assert len(page.all("mark", "points")) == 3


def test_a_text_that_fails_costs_no_other(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from spacy.pipeline import EntityRuler

    def fail(self: EntityRuler, doc: Any) -> Any:
        if "paris" in doc.text:
            raise ValueError("it is Paris")
        return doc

    monkeypatch.setattr(EntityRuler, "__call__", fail)
    corpus = write_texts(tmp_path / "texts.spacy", TEXTS)
    assert view(rules, corpus, "--output", tmp_path / "page.html").exit_code == 0
    page = Reader((tmp_path / "page.html").read_text(encoding="utf8"))
    assert len(page.all("article")) == 2
    assert "1 texts could not be tagged. The first one: 'love paris ! ': it is Paris" in page.text


@pytest.mark.parametrize("name", ["absent.spacy", "absent.jsonl", "notes.txt", "empty.jsonl", "bad.spacy"])
def test_no_corpus(rules: Path, tmp_path: Path, name: str):
    (tmp_path / "notes.txt").write_text("x", encoding="utf8")
    (tmp_path / "empty.jsonl").write_text("", encoding="utf8")
    (tmp_path / "bad.spacy").write_bytes(b"no corpus")
    done = view(rules, tmp_path / name, "--output", tmp_path / "page.html")
    assert done.exit_code == 1
    assert done.stderr.startswith("[B603]")
    assert not (tmp_path / "page.html").exists()


def test_no_pipeline(tmp_path: Path):
    for folder in (tmp_path / "absent", tmp_path):
        done = view(folder, tmp_path / "x.spacy")
        assert done.exit_code == 1
        assert done.stderr.startswith("[B604]")


@pytest.mark.parametrize("name", ["meta.json", "config.cfg", "tokenizer", "vocab/strings.json", "bga_ner/cfg"])
def test_a_damaged_pipeline_is_told_of(ruled: Path, tmp_path: Path, name: str):
    (tmp_path / "texts.jsonl").write_text('{"text": "love paris"}', encoding="utf8")
    (ruled / name).write_bytes(b"\xc1[{")
    done = view(ruled, tmp_path / "texts.jsonl", "--output", tmp_path / "page.html")
    assert done.exit_code == 1
    assert done.stderr.startswith(("[B604]", "[B206]")), done.stderr
    assert str(ruled) in done.stderr
