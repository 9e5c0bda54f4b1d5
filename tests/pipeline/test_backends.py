"""Tagging with an exported graph: the same entities, by every way of making, saving, sharing and forgetting it."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import spacy
import torch
from spacy.cli.package import get_meta
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.aligner.export import SAMPLERS, export_onnx
from spacy_bga.cli import app
from spacy_bga.errors import BGAError
from spacy_bga.pipeline import backends
from spacy_bga.pipeline.backends import GRAPH_FILES, InferenceGraph
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.export import export_pipeline
from spacy_bga.pipeline.quantization import quantize
from tests.aligner.tiny import make_model, make_text
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, found, make_examples, pipe_of, train
from tests.pipeline.test_bga_ner import ODD_TEXTS

TEXTS = [*ODD_TEXTS, " ".join([POSTS[0][0]] * 20), *(text for text, _ in POSTS)]
ENGINES = ["onnx", "openvino"]


def graph_of(nlp: Language) -> InferenceGraph:
    return get_shim(pipe_of(nlp).model).graph


def load(folder: Path, backend: str, precision: str = "fp32") -> Language:
    settings = {"backend": backend, "precision": precision}
    return spacy.load(folder, config={f"components.bga_ner.{key}": value for key, value in settings.items()})


def emissions(nlp: Language, texts: list[str]) -> np.ndarray:
    shim = get_shim(pipe_of(nlp).model)
    pieces = [shim.wordpieces.split(text.split()) for text in texts]
    chunks = [shim.wordpieces.batch(pieces, windows) for windows in shim.wordpieces.chunks(pieces, 200)]
    assert len(chunks) > 1
    return shim.aligner.eval().tag(chunks, encode=shim.graph.encoder(shim.aligner)).numpy()


def entities(nlp: Language) -> list[list[tuple[int, int, str]]]:
    return [found(doc) for doc in nlp.pipe(TEXTS)]


@pytest.fixture
def never_export(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def refuse(*_) -> bytes:
            raise AssertionError("a graph was exported")

        monkeypatch.setattr("spacy_bga.aligner.export.export_onnx", refuse)

    return forbid


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def exported(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained pipeline, as the console exports it for ONNX Runtime."""
    folder = tmp_path_factory.mktemp("exported") / "pipeline"
    done = CliRunner().invoke(app, ["export", str(trained_folder), str(folder)])
    assert done.exit_code == 0, done.output
    assert "bga_ner for onnx in fp32" in done.stdout
    return folder


class TestTheSame:
    @pytest.mark.parametrize("settings", [{}, {"shared_generators": False, "context_gate": 0.3}, {"vision": None}])
    def test_emissions(self, engine: str, settings: dict):
        model = make_model(**settings)
        run = InferenceGraph(engine).encoder(model)
        for lengths in [(5, 2, 4), (1,), (14, 3), ()]:
            text = make_text(lengths)
            if lengths:
                torch.testing.assert_close(model.tag([text], encode=run), model.tag([text]), atol=1e-4, rtol=0)

    def test_entities_and_emissions_of_a_pipeline(self, tagger: Language, trained_folder: Path, engine: str):
        nlp = load(trained_folder, engine)
        assert entities(nlp) == entities(tagger)
        assert [found(nlp(text)) for text in TEXTS] == entities(tagger)
        assert graph_of(nlp).content
        texts = [text for text in TEXTS if text.split()]
        assert np.abs(emissions(nlp, texts) - emissions(tagger, texts)).max() < 1e-4

    @pytest.mark.parametrize("choice", ["real", "auto"])
    def test_what_has_an_image_does_without_the_graph(
        self, trained_folder: Path, tagger: Language, engine: str, choice: str, monkeypatch: pytest.MonkeyPatch
    ):
        runs: list[int] = []
        run = InferenceGraph._run
        monkeypatch.setattr(InferenceGraph, "_run", lambda *args: runs.append(len(args[-1])) or run(*args))
        nlp = load(trained_folder, engine)
        by_torch = spacy.load(trained_folder)
        pipe_of(nlp).visual_context = pipe_of(by_torch).visual_context = choice
        assert entities(nlp) == entities(tagger)
        assert runs
        runs.clear()
        found_with_images = []
        for pipeline in (nlp, by_torch):
            docs = [pipeline.make_doc(text) for text, _ in POSTS]
            for number, doc in enumerate(docs):
                doc._.image = encode_picture(number)
            found_with_images.append([found(doc) for doc in pipeline.pipe(docs)])
        assert found_with_images[0] == found_with_images[1]
        assert runs == []
        nlp(TEXTS[-1])
        assert runs == [1]

    def test_a_result_is_not_overwritten_by_the_next_one(self, engine: str):
        model = make_model()
        run = InferenceGraph(engine).encoder(model)
        text = make_text()
        first = run(text.ids, text.mask)
        kept = first.clone()
        run(text.ids.flip(1), text.mask.flip(1))
        assert torch.equal(first, kept)

    def test_another_context_is_torchs_own(self, tagger: Language, trained_folder: Path):
        nlp = load(trained_folder, "onnx")
        aligner_of(nlp).context = "zero"
        assert graph_of(nlp).encoder(aligner_of(nlp)) is None


class TestSaved:
    def test_it_lies_in_the_components_folder(self, exported: Path, tagger: Language, never_export):
        never_export()
        assert (exported / "bga_ner" / "model" / "graph.onnx").is_file()
        nlp = spacy.load(exported)
        assert nlp.config["components"]["bga_ner"]["backend"] == "onnx"
        assert entities(nlp) == entities(tagger)
        assert entities(load(exported, "openvino")) == entities(tagger)

    def test_a_package_asks_for_what_runs_it(self, exported: Path, tmp_path: Path):
        meta = get_meta(exported, spacy.load(exported).meta)
        assert any(name.startswith("spacy_bga[onnx]>=") for name in meta["requirements"])
        export_pipeline(exported, tmp_path / "torch", backend="torch")
        assert spacy.load(tmp_path / "torch").meta["requirements"] == []

    def test_it_is_in_the_bytes(self, exported: Path, tagger: Language, never_export):
        never_export()
        first = spacy.load(exported)
        second = spacy.util.load_model_from_config(first.config).from_bytes(first.to_bytes())
        assert entities(second) == entities(tagger)

    @pytest.mark.parametrize("clone", [copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))])
    def test_copies_share_no_engine(self, exported: Path, tagger: Language, never_export, clone: Callable):
        never_export()
        nlp = spacy.load(exported)
        expected = entities(nlp)
        other = clone(pipe_of(nlp))
        assert not get_shim(other.model).graph._engines
        assert [found(doc) for doc in other.pipe(map(nlp.make_doc, TEXTS))] == expected == entities(tagger)

    def test_torch_leaves_none_behind(self, exported: Path, tmp_path: Path):
        nlp = spacy.load(exported)
        nlp.to_disk(tmp_path)
        assert (tmp_path / "bga_ner" / "model" / "graph.onnx").is_file()
        torch_nlp = load(tmp_path, "torch")
        assert graph_of(torch_nlp).content is None
        torch_nlp.to_disk(tmp_path)
        assert not (tmp_path / "bga_ner" / "model" / "graph.onnx").exists()

    def test_one_of_another_precision_is_not_taken(self, exported: Path):
        assert graph_of(load(exported, "onnx", "int8")).content is None

    def test_a_damaged_one_is_named(self, exported: Path, tmp_path: Path, engine: str):
        spacy.load(exported).to_disk(tmp_path)
        (tmp_path / "bga_ner" / "model" / "graph.onnx").write_bytes(b"no graph")
        with pytest.raises(BGAError, match="B217"):
            load(tmp_path, engine)("love paris")


SHORT, LONG = POSTS[0][0], " ".join([POSTS[0][0]] * 20)


class TestAuto:
    @pytest.fixture
    def auto(self, trained_folder: Path) -> Language:
        return load(trained_folder, "auto")

    def test_few_wordpieces_go_to_the_graph_and_many_to_torch(self, auto: Language, tagger: Language):
        assert pipe_of(auto).backend_used is None
        for text, used in ((SHORT, "onnx"), (LONG, "torch"), (SHORT, "onnx")):
            assert found(auto(text)) == found(tagger(text))
            assert pipe_of(auto).backend_used == used
        assert entities(auto) == entities(tagger)
        assert pipe_of(auto).backend_used == "torch"
        assert [found(auto(text)) for text in TEXTS] == entities(tagger)

    def test_both_score_alike(self, auto: Language):
        aligner, text = aligner_of(auto), make_text()
        encode = graph_of(auto).encoder(aligner)
        torch.testing.assert_close(aligner.tag([text], encode=encode), aligner.tag([text]), atol=1e-4, rtol=0)
        assert graph_of(auto).encoder(aligner, backends.FEW) is encode
        assert graph_of(auto).encoder(aligner, backends.FEW + 1) is None

    @pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
    def test_without_a_package_it_is_torch(
        self, auto: Language, tagger: Language, package: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setitem(sys.modules, package, None)
        assert found(auto(SHORT)) == found(tagger(SHORT))
        assert pipe_of(auto).backend_used == "torch"

    def test_it_is_exported_with_its_graph(self, trained_folder: Path, tmp_path: Path, never_export):
        done = CliRunner().invoke(app, ["export", str(trained_folder), str(tmp_path / "out"), "--backend", "auto"])
        assert done.exit_code == 0, done.output
        never_export()
        nlp = spacy.load(tmp_path / "out")
        assert nlp.config["components"]["bga_ner"]["backend"] == "auto"
        assert any(name.startswith("spacy_bga[onnx]>=") for name in nlp.meta["requirements"])
        nlp(SHORT)
        assert pipe_of(nlp).backend_used == "onnx"
        nlp.to_disk(tmp_path / "again")
        assert (tmp_path / "again" / "bga_ner" / "model" / GRAPH_FILES["fp32"]).is_file()

    def test_what_learns_has_no_graph(self, auto: Language, trained_folder: Path, never_export, tmp_path: Path):
        auto(SHORT)
        assert graph_of(auto).content
        never_export()
        nlp = spacy.load(trained_folder, config={"components.bga_ner.backend": "auto"})
        train(nlp, make_examples(nlp), steps=2)
        nlp(SHORT)
        assert pipe_of(nlp).backend_used == "torch"
        nlp.to_disk(tmp_path)
        assert not (tmp_path / "bga_ner" / "model" / GRAPH_FILES["fp32"]).exists()

    @pytest.mark.parametrize("graph", ["no graph", "another"])
    def test_a_damaged_graph_is_warned_of_once(
        self, trained_folder: Path, tmp_path: Path, tagger: Language, graph: str
    ):
        folder = shutil.copytree(trained_folder, tmp_path / "altered")
        content = b"no graph" if graph == "no graph" else identity("ids")
        (folder / "bga_ner" / "model" / GRAPH_FILES["fp32"]).write_bytes(content)
        nlp = load(folder, "auto")
        with pytest.warns(UserWarning, match="W217.*B217.*onnx"):
            assert found(nlp(SHORT)) == found(tagger(SHORT))
        assert found(nlp(SHORT)) == found(tagger(SHORT))  # any further warning is an error
        assert pipe_of(nlp).backend_used == "torch"


class TestStale:
    def test_after_learning(self, exported: Path, trained_folder: Path):
        texts = [text for text in TEXTS if text.split()]
        nlp = spacy.load(exported, config={"components.bga_ner.save_visual_branch": True})
        before = emissions(nlp, texts)
        train(nlp, make_examples(nlp), steps=2)
        assert graph_of(nlp).content is None
        after = emissions(nlp, texts)
        assert np.abs(after - before).max() > 1e-3
        plain = load(trained_folder, "torch").from_bytes(nlp.to_bytes(exclude=["meta"]))
        assert np.abs(after - emissions(plain, texts)).max() < 1e-4

    def test_after_reading_other_weights(self, exported: Path, make_nlp: Callable[..., Language], tmp_path: Path):
        other = make_nlp()
        other.to_disk(tmp_path)
        texts = [text for text in TEXTS if text.split()]
        for disk in (True, False):
            nlp = spacy.load(exported)
            entities(nlp)
            if disk:
                pipe_of(nlp).from_disk(tmp_path / "bga_ner", exclude=["vocab"])
            else:
                pipe_of(nlp).from_bytes(pipe_of(other).to_bytes())
            assert graph_of(nlp).content is None
            assert np.abs(emissions(nlp, texts) - emissions(other, texts)).max() < 1e-4

    def test_after_initialize(self, exported: Path):
        nlp = spacy.load(exported)
        entities(nlp)
        nlp.initialize(lambda: make_examples(nlp))
        assert graph_of(nlp).content is None
        assert not graph_of(nlp)._engines

    def test_a_label_is_no_matter_of_the_graph(self, exported: Path, tagger: Language, never_export):
        never_export()
        nlp = spacy.load(exported)
        pipe_of(nlp).add_label("MISC")
        aligner_of(nlp).head.bias.data[-2:] = -100
        assert [found(nlp(text)) for text, _ in POSTS] == [found(tagger(text)) for text, _ in POSTS]


class TestProcesses:
    @pytest.mark.timeout(90)
    def test_two_processes(self, exported: Path, engine: str):
        code = (
            "import sys, torch, spacy\n"
            "torch.set_num_threads(2)\n"
            "nlp = spacy.load(sys.argv[1], config={'components.bga_ner.backend': sys.argv[2]})\n"
            "text = 'kevin durant joins the warriors in oakland'\n"
            "alone = [e.text for e in nlp(' '.join([text] * 60)).ents]\n"
            "docs = nlp.pipe([' '.join([text] * 60)] * 4, n_process=2, batch_size=1)\n"
            "assert all([e.text for e in d.ents] == alone for d in docs) and alone\n"
            "print('same')\n"
        )
        command = [sys.executable, "-c", code, str(exported), engine]
        run = subprocess.run(command, capture_output=True, text=True, timeout=80, check=False)
        assert run.stdout.strip() == "same", run.stderr


class TestInt8:
    @pytest.mark.parametrize("shared", [True, False])
    def test_all_projections_but_the_samplers(self, shared: bool):
        nodes = onnx.load_from_string(quantize(export_onnx(make_model(shared_generators=shared)))).graph.node
        encoder = 3 * 6  # layers; query, key, value, and the three denses
        generator = 2 * 6  # BGA layers; keys and values of the memory, out, two denses; to_vision and to_text
        assert [node.op_type for node in nodes].count("MatMulInteger") == encoder + generator
        samplers = [node.op_type for node in nodes if node.name.startswith(SAMPLERS)]
        assert samplers.count("MatMul") == 2 * 4
        assert not [kind for kind in samplers if "Integer" in kind or "Quantize" in kind]

    def test_it_tags_as_well(self, trained_folder: Path, tmp_path: Path, never_export):
        done = CliRunner().invoke(app, ["export", str(trained_folder), str(tmp_path / "out"), "--precision", "int8"])
        assert done.exit_code == 0, done.output
        never_export()
        nlp = spacy.load(tmp_path / "out")
        assert (tmp_path / "out" / "bga_ner" / "model" / GRAPH_FILES["int8"]).is_file()
        assert [found(doc) for doc in nlp.pipe([text for text, _ in POSTS])] == [ents for _, ents in POSTS]


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "code"),
        [
            ({"backend": "torch", "precision": "int8"}, "B213"),
            ({"backend": "openvino", "precision": "int8"}, "B213"),
            ({"backend": "tensorrt"}, "B212"),
            ({"backend": "onnx", "precision": "fp16"}, "B213"),
            ({"backend": "onnx", "precision": "bf16"}, "B213"),
            ({"backend": "auto", "precision": "int8"}, "B213"),
        ],
    )
    def test_settings(self, settings: dict, code: str):
        with pytest.raises(BGAError, match=code):
            InferenceGraph(**settings)

    @pytest.mark.parametrize(
        ("backend", "package"), [("onnx", "onnxruntime"), ("onnx", "onnx"), ("openvino", "openvino")]
    )
    def test_a_missing_package(self, trained_folder: Path, monkeypatch: pytest.MonkeyPatch, backend: str, package: str):
        nlp = load(trained_folder, backend)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(BGAError, match=rf'B214.*{package}\. Install it with: pip install "spacy_bga\[{backend}\]"'):
            nlp("love paris")

    def test_nothing_to_export(self, tmp_path: Path, nlp: Language):
        nlp.to_disk(tmp_path / "blank")
        done = CliRunner().invoke(app, ["export", str(tmp_path / "blank"), str(tmp_path / "out")])
        assert done.exit_code == 1
        assert "B216" in done.stderr

    @pytest.mark.parametrize("backend", ENGINES)
    def test_a_graph_of_something_else_is_refused(self, trained_folder: Path, tmp_path: Path, backend: str):
        """The graph is a file beside the weights, and may be another one."""
        folder = shutil.copytree(trained_folder, tmp_path / "altered")
        graph = folder / "bga_ner" / "model" / GRAPH_FILES["fp32"]
        for content in (b"no graph", identity("ids"), identity("other")):
            graph.write_bytes(content)
            with pytest.raises(BGAError, match=f"B217.*{backend}"):
                load(folder, backend)("love paris")

    def test_no_weights_yet(self, nlp: Language, bga_config: dict):
        nlp.add_pipe("bga_ner", config={**bga_config, "backend": "onnx"})
        with pytest.raises(BGAError, match="B201"):
            nlp("love paris")


def test_a_worker_starts_an_engine_of_its_own(monkeypatch: pytest.MonkeyPatch):
    graph = InferenceGraph("onnx")
    model = make_model()
    first = graph.encoder(model)
    monkeypatch.setattr(backends.os, "getpid", lambda: -1)
    assert graph.encoder(model) is not first
    assert first in graph._engines.values()


def identity(name: str) -> bytes:
    """RETURNS (bytes): A graph whose output is its input of that name, as it is."""
    helper, kind = onnx.helper, onnx.TensorProto.INT64
    given = [helper.make_tensor_value_info(n, kind, ["w", "n"]) for n in sorted({name, "mask"})]
    output = helper.make_tensor_value_info("hidden", kind, ["w", "n"])
    graph = helper.make_graph([helper.make_node("Identity", [name], ["hidden"])], "g", given, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()
