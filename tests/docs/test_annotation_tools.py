"""The worked examples of the page on annotation tools: a block is in a file, and the next command reads it."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.corpus.images import get_images
from tests.commands import split
from tests.conftest import encode_picture
from tests.docs.conftest import ROOT

PAGE = ROOT / "docs" / "site" / "how-to" / "annotation-tools.md"


def examples() -> list[tuple[dict[str, str], list[str]]]:
    """RETURNS (list[tuple[dict[str, str], list[str]]]): Files by name, and the command that reads them."""
    found, files, said = [], {}, ""
    for token in MarkdownIt().parse(PAGE.read_text(encoding="utf8")):
        if token.type == "inline":
            said = token.content
        elif token.type == "fence" and token.info == "bash" and files:
            found += [(files, words[3:]) for words in split(token.content)]
            files = {}
        elif token.type == "fence" and token.info != "bash":
            files[re.findall(r"`([^`]+)`", said)[-1]] = token.content
    return found


EXAMPLES = examples()


def test_each_tool_has_one():
    assert [arguments[1] for _, arguments in EXAMPLES] == [
        "prodigy.jsonl",
        "doccano.jsonl",
        "label-studio.json",
        "label-studio-min.json",
        "brat",
        "spacy.json",
        "pairs.json",
        "posts.conll",
    ]


@pytest.mark.parametrize(("files", "arguments"), EXAMPLES, ids=[arguments[1] for _, arguments in EXAMPLES])
def test_examples(files, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/kd.png").write_bytes(encode_picture(1))
    for name, content in files.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content, encoding="utf8")
    if Path("brat").is_dir():
        shutil.copy("photos/kd.png", "brat/post.png")
    result = CliRunner().invoke(app, [*arguments, "--strict"])
    assert result.exit_code == 0, result.output
    doc = next(DocBin().from_disk(arguments[2]).get_docs(Vocab()))
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Kevin Durant", "PER"), ("Warriors", "ORG")]
    assert len(get_images(doc)) == 1


@pytest.mark.skipif(find_spec("datasets") is None, reason="the extra `datasets` is not installed")
def test_hugging_face(tmp_path, monkeypatch):
    import datasets

    monkeypatch.chdir(tmp_path)
    rows = {"tokens": [["Kevin", "wins"]], "ner_tags": [["B-PER", "O"]]}
    datasets.Dataset.from_dict(rows).to_parquet("posts.parquet")
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows)}).save_to_disk("saved")
    commands = [
        words[3:] for words in split(PAGE.read_text(encoding="utf8").split("## Hugging Face")[1].split("```")[1][4:])
    ]
    for arguments in commands:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert len(commands) == 2
