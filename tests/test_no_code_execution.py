"""Nothing that is read, from a corpus, an encoder or a pipeline, is run: by the code's own words, and tried."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin

from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.plan import read_plan
from spacy_bga.pipeline import feature_cache
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "spacy_bga").rglob("*.py"))
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
RUNNERS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *(
        "os.system",
        "os.popen",
        "torch.load",
        "torch.hub.load",
        "np.load",
        "numpy.load",
        "yaml.load",
        "yaml.unsafe_load",
    ),
    *("srsly.pickle_loads", "srsly.cloudpickle", "ZipFile.extractall", "tarfile.open", "runpy.run_path"),
}
METHODS = {"extractall", "unpack_archive", "pickle_loads", "full_load", "unsafe_load"}
WATCHED = {"trust_remote_code": False, "allow_pickle": False, "weights_only": True, "shell": False}


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def faults(source: str) -> list[str]:
    """RETURNS (list[str]): What in a file's code could run what it reads."""
    tree, found = ast.parse(source), []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"import of {name}" for name in names if name.split(".")[0] in UNPICKLERS]
    for call, name in calls(tree):
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if name in RUNNERS or name in CALLS or name.split(".")[-1] in METHODS:
            found.append(name)
        if name.startswith("Auto") and name.endswith(".from_pretrained") and "trust_remote_code" not in keywords:
            found.append(f"{name} without trust_remote_code")
        for key, wanted in WATCHED.items():
            if key in keywords and ast.unparse(keywords[key]) != str(wanted):
                found.append(f"{key} = {ast.unparse(keywords[key])}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_runs_what_it_reads(path: Path):
    assert faults(path.read_text(encoding="utf8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "def f(x):\n    import dill.source",
        "eval(text)",
        "torch.load(path)",
        "np.load(path)",
        "subprocess.run(command, shell=True)",
        "archive.extractall(folder)",
        "AutoTokenizer.from_pretrained(folder)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=trusted)",
        "np.lib.format.read_array(file, allow_pickle=True)",
    ],
)
def test_the_search_finds(source: str):
    assert faults(source)


class Payload:
    """Unpickled, it leaves a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """What a payload leaves. Fails if it is there in the end."""
    path = tmp_path / "code-was-run"
    yield path
    assert not path.exists()


@pytest.fixture
def payload(marker: Path) -> bytes:
    return pickle.dumps(Payload(marker))


def test_the_payload_works(tmp_path: Path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "elsewhere")))
    assert (tmp_path / "elsewhere").exists()


def test_a_pickle_in_place_of_weights(payload: bytes, text_encoder_folder: Path, tmp_path: Path):
    folder = shutil.copytree(text_encoder_folder, tmp_path / "encoder")
    (folder / "pytorch_model.bin").write_bytes(payload)
    TextEncoder.from_pretrained(folder)  # what is beside the weights is not looked at
    (folder / "model.safetensors").write_bytes(payload)
    with pytest.raises(Exception, match=r"(?i)header|safetensors"):
        TextEncoder.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BGAError, match="B122"):
        TextEncoder.from_pretrained(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_beside_a_tokenizer_is_not_run(
    name: str, marker: Path, text_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nor does anybody ask on the terminal whether it should be, as transformers does if it is told nothing."""
    folder = shutil.copytree(text_encoder_folder, tmp_path / "encoder")
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Evil: pass\n", encoding="utf8")
    path = folder / name
    settings = json.loads(path.read_text(encoding="utf8")) | {"tokenizer_class": "Evil"}
    settings |= {"auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"], "AutoConfig": "evil.Evil"}}
    path.write_text(json.dumps(settings | ({"model_type": "evil"} if name == "config.json" else {})), encoding="utf8")
    if name == "config.json":
        (folder / "tokenizer_config.json").unlink()
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    with pytest.raises(BGAError, match="B726"):
        WordpieceTokenizer.from_folder(folder, window=16, overlap=4)


def test_code_beside_an_encoder_is_not_run(marker: Path, text_encoder_folder: Path, tmp_path: Path):
    folder = shutil.copytree(text_encoder_folder, tmp_path / "encoder")
    (folder / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Evil: pass\n", encoding="utf8")
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    auto_map = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": auto_map}), encoding="utf8")
    assert TextEncoder.from_pretrained(folder).n_layers == 3  # a family that is known needs no code
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": auto_map}), encoding="utf8")
    with pytest.raises(Exception, match=r"trust_remote_code|B120|custom code"):
        TextEncoder.from_pretrained(folder)


def test_an_array_of_objects_in_the_feature_cache(marker: Path, tmp_path: Path):
    stream = io.BytesIO()
    np.save(stream, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    (tmp_path / "x.npy").write_bytes(stream.getvalue())
    assert feature_cache.read(tmp_path / "x.npy") is None


@pytest.mark.parametrize("kind", [b"O", b"|O", "|O", "O"])
def test_an_array_of_objects_in_a_corpus(kind: Any, payload: bytes, marker: Path, tmp_path: Path):
    """What DocBin keeps of `Doc._` is msgpack with arrays of NumPy in it; one of objects would be a pickle."""
    nlp = spacy.blank("en")
    array = {b"nd": True, b"type": kind, b"kind": b"", b"shape": (1,), b"data": payload}
    doc_bin = DocBin(store_user_data=True)
    doc_bin.add(Doc(nlp.vocab, words=["a"]))
    doc_bin.user_data = [srsly.msgpack_dumps([[["._.", "image", None, None], array]])]
    doc_bin.to_disk(tmp_path / "docs.spacy")
    with suppress(ValueError, TypeError):  # "cannot create an OBJECT array from memory buffer"
        list(ImageCorpus(tmp_path / "docs.spacy", on_missing="ignore")(nlp))
    assert not marker.exists()


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!<tag:yaml.org,2002:x>"]
)
def test_a_plan_that_is_a_program(tag: str, marker: Path, tmp_path: Path):
    (tmp_path / "plan.yml").write_text(f"name: {tag} [{str(marker)!r}]\n", encoding="utf8")
    with pytest.raises(BGAError):
        read_plan(tmp_path / "plan.yml")
