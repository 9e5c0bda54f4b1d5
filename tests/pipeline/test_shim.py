"""Saving and loading: folders, bytes, copies, slim pipelines, damaged files."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import spacy
import srsly
import torch
from safetensors.torch import load_file, save_file
from spacy.language import Language
from spacy.util import fix_random_seed
from thinc.api import Config

from spacy_bga.aligner.config import REMOVED
from spacy_bga.aligner.layout import lay_out_for_training
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim
from tests.pipeline.conftest import POSTS, aligner_of, architecture, found, make_examples, pipe_of, train


def state(nlp: Language) -> dict[str, torch.Tensor]:
    return aligner_of(nlp).state_dict()


def assert_same(first: Language, second: Language) -> None:
    """The same weights, bit by bit, and the same entities."""
    assert state(first).keys() == state(second).keys()
    assert all(torch.equal(tensor, state(second)[name]) for name, tensor in state(first).items())
    assert [found(second(text)) for text, _ in POSTS] == [found(first(text)) for text, _ in POSTS]
    assert [found(second(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]


def weights_file(folder: Path) -> Path:
    return folder / "bga_ner" / "model" / "model.safetensors"


class TestRoundTrips:
    def test_disk(self, tagger: Language, tmp_path: Path):
        tagger.to_disk(tmp_path / "a")
        assert_same(tagger, spacy.load(tmp_path / "a"))

    def test_bytes(self, tagger: Language):
        again = spacy.util.load_model_from_config(tagger.config)
        assert_same(tagger, again.from_bytes(tagger.to_bytes()))

    def test_component_alone(self, tagger: Language, tmp_path: Path, nlp: Language):
        pipe_of(tagger).to_disk(tmp_path / "a", exclude=["vocab"])
        assert not (tmp_path / "a" / "vocab").exists()
        config = {key: value for key, value in tagger.get_pipe_config("bga_ner").items() if key != "factory"}
        nlp.add_pipe("bga_ner", config=config)
        component = pipe_of(nlp).from_disk(tmp_path / "a", exclude=["vocab"])
        assert component.labels == ("LOC", "ORG", "PER")
        assert_same(tagger, nlp)

    @pytest.mark.parametrize("clone", [copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))])
    def test_copies(self, make_nlp: Callable[..., Language], clone: Callable[[BGANer], BGANer]):
        nlp = make_nlp()
        train(nlp, make_examples(nlp, images=True), steps=40)
        twin = clone(pipe_of(nlp))
        assert [found(twin(nlp.make_doc(text))) for text, _ in POSTS] == [found(nlp(text)) for text, _ in POSTS]
        before = state(nlp)["head.weight"].clone()
        twin.update(make_examples(nlp, images=True), sgd=nlp.resume_training())  # learns on, by itself
        assert torch.equal(before, state(nlp)["head.weight"])
        assert not torch.equal(before, get_shim(twin.model).aligner.head.weight)

    def test_not_initialized(self, nlp: Language, bga_config: dict, tmp_path: Path):
        nlp.add_pipe("bga_ner", config=bga_config)
        pipe_of(nlp).add_label("LOC")
        nlp.to_disk(tmp_path / "a")
        for again in (spacy.load(tmp_path / "a"), spacy.blank("en").from_bytes(nlp.to_bytes())):
            if again.has_pipe("bga_ner"):
                assert pipe_of(again).labels == ("LOC",)
                with pytest.raises(BGAError, match="B201"):
                    again("paris")
        again = spacy.load(tmp_path / "a")
        again.initialize(lambda: make_examples(again))
        assert pipe_of(again).labels == ("LOC", "ORG", "PER")

    def test_training_goes_on_after_loading(self, trained: Language):
        losses = train(trained, make_examples(trained, images=True), steps=5)
        assert losses[0]["bga_ner_crf"] < 0.1
        assert losses[0]["bga_ner_recon"] > 0

    def test_loading_into_a_trained_component_forgets_its_optimizer(self, trained: Language, tagger: Language):
        train(trained, make_examples(trained, images=True), steps=2, rate=0.01)
        trained.from_bytes(tagger.to_bytes())
        assert_same(tagger, trained)
        before = state(trained)["head.weight"].clone()
        train(trained, make_examples(trained, images=True), steps=1)
        assert not torch.equal(before, state(trained)["head.weight"])


class TestSlim:
    @pytest.fixture
    def slim(self, tagger: Language, trained_folder: Path, tmp_path: Path) -> Path:
        nlp = spacy.load(trained_folder, config={"components": {"bga_ner": {"save_visual_branch": False}}})
        nlp.to_disk(tmp_path / "slim")
        return tmp_path / "slim"

    def test_is_the_default_and_smaller(self, make_nlp: Callable[..., Language], tmp_path: Path):
        nlp = make_nlp()
        nlp.to_disk(tmp_path / "a")
        assert not any(name.startswith("visual.") for name in load_file(weights_file(tmp_path / "a")))

    def test_has_no_visual_weights(self, slim: Path, trained_folder: Path):
        kept, all_of_them = load_file(weights_file(slim)), load_file(weights_file(trained_folder))
        assert {name for name in all_of_them if not name.startswith("visual.")} == set(kept)
        assert any(name.startswith("visual.encoder.") for name in all_of_them)
        assert weights_file(slim).stat().st_size < weights_file(trained_folder).stat().st_size

    def test_tags_the_same(self, slim: Path, tagger: Language):
        nlp = spacy.load(slim)
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]
        assert all(torch.equal(tensor, state(tagger)[name]) for name, tensor in state(nlp).items())
        again = spacy.util.load_model_from_config(nlp.config).from_bytes(nlp.to_bytes())
        assert_same(nlp, again)

    def test_cannot_learn_from_images(self, slim: Path):
        nlp = spacy.load(slim)
        with pytest.raises(BGAError, match=r"B107.*save_visual_branch"):
            nlp.update(make_examples(nlp, images=True))

    def test_can_learn_from_text(self, slim: Path):
        nlp = spacy.load(slim)
        losses = train(nlp, make_examples(nlp), steps=3)
        assert losses[0]["bga_ner_crf"] > 0
        assert losses[0]["bga_ner_recon"] == 0.0
        assert not any(name.startswith("visual.") for name in state(nlp))


def test_needs_neither_network_nor_encoders(
    text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path: Path, nlp: Language
):
    folders = [shutil.copytree(f, tmp_path / f.name) for f in (text_encoder_folder, vision_encoder_folder)]
    nlp.add_pipe("bga_ner", config={"model": architecture(*folders), "save_visual_branch": True})
    nlp.initialize(lambda: make_examples(nlp, images=True))
    train(nlp, make_examples(nlp, images=True), steps=40)
    nlp.to_disk(tmp_path / "pipeline")
    for folder in folders:
        shutil.rmtree(folder)
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise OSError('no network here')\n"
        "socket.socket.connect = refuse\n"
        "import spacy\n"
        "nlp = spacy.load(sys.argv[1])\n"
        "print([(e.start, e.end, e.label_) for e in nlp(sys.argv[2]).ents])\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "empty")}
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipeline"), POSTS[0][0]],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == str(found(nlp(POSTS[0][0]))), run.stderr


class TestRemovedSettings:
    """What an earlier version has saved, which knew four settings more."""

    @pytest.fixture
    def folder(self, trained_folder: Path, tmp_path: Path) -> Path:
        return shutil.copytree(trained_folder, tmp_path / "earlier")

    @staticmethod
    def add(folder: Path, **settings: object) -> None:
        """Put settings into the configs of the pipeline and of its aligner."""
        config = Config().from_disk(folder / "config.cfg")
        config["components"]["bga_ner"]["model"] |= {**REMOVED, **settings}
        config.to_disk(folder / "config.cfg")
        TestRemovedSettings.add_to_aligner(folder, **settings)

    @staticmethod
    def add_to_aligner(folder: Path, **settings: object) -> None:
        path = folder / "bga_ner" / "model" / "config.json"
        srsly.write_json(path, {**srsly.read_json(path), **REMOVED, **settings})

    def test_defaults_are_loaded(self, folder: Path, tagger: Language):
        self.add(folder)
        assert_same(tagger, spacy.load(folder))

    @pytest.mark.parametrize(
        "setting", [{"matching": "set"}, {"whole_words": True}, {"entity_weight": 3.0}, {"contrast_memory": 5}]
    )
    def test_other_values_are_refused(self, folder: Path, setting: dict):
        self.add(folder, **setting)
        with pytest.raises(BGAError, match=f"B131.*{next(iter(setting))}"):
            spacy.load(folder)

    def test_what_they_did_to_the_training_is_loaded_without_the_line(self, folder: Path, tagger: Language):
        self.add_to_aligner(folder, matching="set", entity_weight=3.0, contrast_memory=5)
        weights = load_file(weights_file(folder))
        weights |= {"visual.memories.0.summaries": torch.ones(5, 24), "visual.memories.0.noted": torch.tensor(7)}
        save_file(weights, weights_file(folder))
        again = spacy.load(folder)
        assert_same(tagger, again)
        message = srsly.msgpack_loads(get_shim(pipe_of(again).model).to_bytes())
        message["weights"] = weights_file(folder).read_bytes()
        get_shim(pipe_of(again).model).from_bytes(srsly.msgpack_dumps(message))
        assert_same(tagger, again)

    def test_whole_words_are_refused_without_the_line(self, folder: Path):
        self.add_to_aligner(folder, whole_words=True)
        with pytest.raises(BGAError, match=r"B131.*whole_words"):
            spacy.load(folder)


class TestDamage:
    """Whatever is wrong with a folder, the message names it."""

    @pytest.fixture
    def folder(self, trained_folder: Path, tmp_path: Path) -> Path:
        return shutil.copytree(trained_folder, tmp_path / "damaged")

    @pytest.mark.parametrize("size", [0, 5, 1000, -10])
    def test_truncated_weights(self, folder: Path, size: int):
        data = weights_file(folder).read_bytes()
        weights_file(folder).write_bytes(data[:size])
        with pytest.raises(BGAError, match="damaged"):
            spacy.load(folder)

    @pytest.mark.parametrize("change", ["shape", "missing", "extra"])
    def test_weights_that_do_not_fit(self, folder: Path, change: str):
        weights = load_file(weights_file(folder))
        if change == "shape":
            weights["head.weight"] = weights["head.weight"][:-1].contiguous()
        elif change == "missing":
            del weights["head.weight"]
        else:
            weights["tail.weight"] = torch.zeros(2)
        save_file(weights, weights_file(folder))
        with pytest.raises(BGAError, match="damaged"):
            spacy.load(folder)

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"text": {}}', '{"text": {"model_type": "gpt2"}}', "\xff"])
    def test_broken_config(self, folder: Path, text: str):
        (folder / "bga_ner" / "model" / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(BGAError, match="damaged"):
            spacy.load(folder)

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer", "tokenizer/tokenizer.json"])
    def test_missing_files(self, folder: Path, name: str):
        path = folder / "bga_ner" / "model" / name
        if name == "tokenizer/tokenizer.json":
            path.write_text("{", encoding="utf8")
        else:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(BGAError, match="damaged"):
            spacy.load(folder)

    @pytest.mark.parametrize("name", ["cfg", "model/tokenizer/tokenizer_config.json"])
    @pytest.mark.parametrize("content", ["", "{", "[]", "3", '"x"', "\xff"])
    def test_broken_settings(self, folder: Path, name: str, content: str):
        (folder / "bga_ner" / name).write_text(content, encoding="latin-1")
        with pytest.raises(BGAError, match=r"B206|B726|B727"):
            spacy.load(folder)

    @pytest.mark.parametrize("labels", [["PER"], ["LOC", "ORG"], "PER", None, [1, 2, 3], ["LOC", "PER", "ORG"]])
    def test_labels_that_are_not_the_models(self, folder: Path, labels: Any):
        """They would be given to tags by their numbers: the last ones here, without a word."""
        cfg = srsly.read_json(folder / "bga_ner" / "cfg")
        srsly.write_json(folder / "bga_ner" / "cfg", cfg | {"labels": labels})
        with pytest.raises(BGAError, match=r"B727.*damaged"):
            spacy.load(folder)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_weights_that_are_no_numbers(self, folder: Path, value: float):
        weights = load_file(weights_file(folder))
        weights["head.bias"][1] = value
        save_file(weights, weights_file(folder))
        with pytest.raises(BGAError, match=r"B725.*damaged.*head\.bias"):
            spacy.load(folder)

    def test_weights_whose_sum_overflows_are_fine(self, folder: Path):
        weights = load_file(weights_file(folder))
        weights["head.bias"][:] = 3e38
        save_file(weights, weights_file(folder))
        assert len(spacy.load(folder)(POSTS[0][0])) == 7

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("num_hidden_layers", 10**9),
            ("hidden_size", 10**12),
            ("vocab_size", 10**12),
            ("max_position_embeddings", 2**62),
            ("num_attention_heads", 0),
            ("hidden_size", "x"),
            ("hidden_act", "no such function"),
        ],
    )
    def test_an_encoder_of_another_size_takes_no_memory(self, folder: Path, key: str, value: Any):
        path = folder / "bga_ner" / "model" / "config.json"
        config = srsly.read_json(path)
        config["text"][key] = value
        srsly.write_json(path, config)
        with pytest.raises(BGAError, match=r"(B108|B105|B206|B724|B125).*damaged"):
            spacy.load(folder)

    def test_a_panic_of_the_tokenizers_library(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        """What Rust panics with is no Exception; what ends the process stays what it is."""
        for raised, wanted in (
            (type("PanicException", (BaseException,), {})("index out of bounds"), BGAError),
            (KeyboardInterrupt(), KeyboardInterrupt),
        ):
            load = Mock(side_effect=raised)
            monkeypatch.setattr("spacy_bga.pipeline.wordpieces.AutoTokenizer.from_pretrained", load)
            with pytest.raises(wanted):
                spacy.load(folder)
            assert load.call_args.kwargs["trust_remote_code"] is False

    def test_missing_model_folder(self, folder: Path):
        shutil.rmtree(folder / "bga_ner" / "model")
        with pytest.raises(BGAError, match=r"B206.*damaged"):
            spacy.load(folder)

    def test_damaged_bytes(self, tagger: Language):
        shim = get_shim(pipe_of(tagger).model)
        message = srsly.msgpack_loads(shim.to_bytes())
        message["weights"] = message["weights"][:1000]
        with pytest.raises(BGAError, match="B108"):
            copy.deepcopy(shim).from_bytes(srsly.msgpack_dumps(message))


class TestLayout:
    """Weights lie in memory as tagging reads them from when they are loaded until they learn."""

    def test_it_learns_the_same(self, tagger: Language, nlp: Language, tmp_path: Path):
        tagger.to_disk(tmp_path)
        loaded, laid_out = spacy.load(tmp_path), spacy.load(tmp_path)
        lay_out_for_training(aligner_of(laid_out))
        assert not aligner_of(loaded).text_encoder.model.encoder.layer[0].output.dense.weight.is_contiguous()
        for pipeline in (loaded, laid_out):
            fix_random_seed(0)
            train(pipeline, make_examples(pipeline), steps=2, drop=0.1)
        assert not torch.equal(state(loaded)["head.weight"], state(tagger)["head.weight"])
        assert all(torch.equal(tensor, state(laid_out)[name]) for name, tensor in state(loaded).items())
