"""Run by .ci/run with a Python that has the wheel and no checkout: does what was installed hold together?

Writes a project into the current folder, and trains in it with tiny encoders in the place of the starter's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import spacy_bga

assert "torch" not in sys.modules, "importing spacy_bga must not import torch"
assert "transformers" not in sys.modules, "importing spacy_bga must not import transformers"

import spacy  # noqa: E402


def check_entry_points() -> None:
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("bga_ner")
    assert nlp.analyze_pipes()["summary"]["bga_ner"]["assigns"] == ["doc.ents", "token.ent_iob", "token.ent_type"]
    assert spacy.registry.readers.get("spacy_bga.MixedCorpus.v1")
    assert spacy.registry.loggers.get("spacy_bga.ConsoleLogger.v1")
    assert spacy.registry.loggers.get("spacy_bga.TensorBoardLogger.v1")
    assert ner.labels == ()


def write_tiny_encoders(cache: Path) -> None:
    """Random encoders of the starter's families, where the cache has those by their names."""
    from transformers import BertConfig, BertModel, BertTokenizerFast, Dinov2Config, Dinov2Model

    text = cache / "encoders" / "sentence-transformers--all-MiniLM-L6-v2"
    text.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (text / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    BertTokenizerFast(str(text / "vocab.txt")).save_pretrained(text)
    small = {"num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = {"hidden_size": 16, "intermediate_size": 16, "max_position_embeddings": 128}
    BertModel(BertConfig(vocab_size=len(pieces), **sizes, **small)).save_pretrained(text)
    vision = Dinov2Config(hidden_size=12, image_size=224, patch_size=56, mlp_ratio=1, **small)
    Dinov2Model(vision).save_pretrained(cache / "encoders" / "facebook--dinov2-small")


def run_project(folder: Path, cache: Path) -> None:
    """From nothing to a trained pipeline, by commands alone."""
    environment = os.environ | {"SPACY_BGA_CACHE": str(cache), "HF_HOME": str(cache / "hub"), "HF_HUB_OFFLINE": "1"}

    def run(command: str) -> None:
        subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, env=environment, check=True)

    folder.mkdir()
    run("spacy_bga init-project .")
    run("spacy project run convert")
    run("spacy project run train . --vars.steps 4 --vars.warmup 2")
    corpus = "--train corpus/embedded/train.spacy --dev corpus/embedded/dev.spacy --images assets/embedded/images"
    run(f"spacy_bga init-config configs/own.cfg {corpus}")
    run("spacy debug config configs/own.cfg")
    run("spacy train configs/own.cfg --output training --training.max_steps 4 --training.eval_frequency 2")
    for trained in ("training/bga/model-best", "training/model-best"):
        assert spacy.load(folder / trained).get_pipe("bga_ner").labels == ("LOC", "MISC", "ORG", "PER")
    assert len((folder / "training" / "log.jsonl").read_text(encoding="utf8").splitlines()) == 3


if __name__ == "__main__":
    check_entry_points()
    scratch = Path.cwd()
    write_tiny_encoders(scratch / "cache")
    run_project(scratch / "project", scratch / "cache")
    print(f"spacy_bga {spacy_bga.__version__} is installed in {spacy_bga.__path__[0]}")
