"""The PyTorch model alone: the example of docs/pytorch.md, on a pipeline's folder, where there is no spaCy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from spacy.language import Language
from spacy.tokens import Doc, Token

from spacy_bga.aligner.model import BGAModel
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"
NO_SPACY = "import sys\nsys.modules |= dict.fromkeys(('spacy', 'thinc', 'spacy_transformers'))\n"


def run_example(folder: Path, words: list[list[str]]) -> list[list[tuple[str, str]]]:
    """RETURNS (list[list[tuple[str, str]]]): What the page's code prints for other documents and another pipeline."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf8"), flags=re.DOTALL)
    code, found = re.subn(r'Path\("training/.*?"\)', f"Path({str(folder)!r})", code)
    code, replaced = re.subn(r"(?m)^documents = .*$", f"documents = {words!r}", code)
    assert (found, replaced) == (1, 1)
    done = subprocess.run([sys.executable, "-c", NO_SPACY + code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


def test_the_example_says_what_the_pipeline_says(trained_folder: Path, tagger: Language):
    words = [["kevin", "durant", "joins", "the", "warriors"], ["love"], ["paris", "!", *["new", "york"] * 40], ["is"]]
    docs = [tagger(Doc(tagger.vocab, words=document)) for document in words]
    gold = [[(token.text, _iob(token)) for token in doc] for doc in docs]
    assert any(tag != "O" for document in gold for _, tag in document)
    assert run_example(trained_folder / "bga_ner" / "model", words) == gold


@pytest.mark.parametrize("visual_branch", [True, False])
def test_saved_again(trained_folder: Path, visual_branch: bool, tmp_path: Path):
    folder = trained_folder / "bga_ner" / "model"
    aligner = BGAModel.from_pretrained(folder)
    tokenizer = WordpieceTokenizer.from_folder(folder / "tokenizer", window=32, overlap=8)
    aligner.save_pretrained(tmp_path, visual_branch=visual_branch)
    tokenizer.tokenizer.save_pretrained(tmp_path / "tokenizer")
    again = BGAModel.from_pretrained(tmp_path)
    assert (again.visual is not None) == visual_branch
    assert again.config == aligner.saved_config(visual_branch=visual_branch)
    kept = again.state_dict()
    assert all(torch.equal(tensor, aligner.state_dict()[name]) for name, tensor in kept.items())
    pieces = [tokenizer.split(["kevin", "durant"])]
    batch = tokenizer.batch(pieces, tokenizer.windows(pieces))
    assert torch.equal(again.tag([batch]), aligner.tag([batch]))


def _iob(token: Token) -> str:
    return f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O"
