"""What else spaCy's command line and API do to a pipeline; what can't work says so in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.tags import Tagging
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, found, make_example, make_examples, pipe_of, train

CONFIG = """
[paths]
train = null

[nlp]
lang = "en"
pipeline = ["bga_ner"]

[components]

[components.bga_ner]
source = "TRAINED"

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[training]
seed = 0
gpu_allocator = null
dropout = 0.0
max_steps = 60
eval_frequency = 20
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 8

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.03
use_averages = false
"""
NEW = """
[components.bga_ner]
factory = "bga_ner"

[components.bga_ner.model]
@architectures = "spacy_bga.BGAModel.v1"
text_encoder = "TEXT_ENCODER"
vision_encoder = null
bga_layers = 0
window = 32
overlap = 8
"""
LABELS = """
[initialize]

[initialize.after_init]
@callbacks = "spacy_bga.add_labels.v1"
labels = ["EVENT"]
"""


@pytest.fixture
def corpus(tmp_path: Path, nlp: Language) -> Path:
    """The posts, and one with a label that the trained pipeline doesn't know."""
    posts = [*POSTS, ("a b c", [(1, 2, "EVENT")])]
    docs = [make_example(nlp, text, ents).reference for text, ents in posts]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    return tmp_path / "train.spacy"


@pytest.fixture
def config(tmp_path: Path, trained_folder: Path) -> Path:
    path = tmp_path / "config.cfg"
    path.write_text(CONFIG.replace("TRAINED", trained_folder.as_posix()), encoding="utf8")
    return path


@pytest.fixture
def new_config(tmp_path: Path, text_encoder_folder: Path) -> Path:
    """Of a component that is not trained yet."""
    before, _, rest = CONFIG.partition("[components.bga_ner]")
    text = before + NEW.strip().replace("TEXT_ENCODER", text_encoder_folder.as_posix()) + "\n\n[corpora]"
    (tmp_path / "base.cfg").write_text(text + rest.partition("[corpora]")[2], encoding="utf8")
    run("init", "fill-config", tmp_path / "base.cfg", tmp_path / "new.cfg")
    return tmp_path / "new.cfg"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


class TestLabelsOfASourcedComponent:
    def test_without_the_callback_they_are_told_of(self, config: Path, corpus: Path, tmp_path: Path):
        with pytest.warns(UserWarning, match=r"W210.*EVENT.*spacy_bga\.add_labels\.v1"):
            run("train", config, "--output", tmp_path / "out", "--paths.train", corpus, "--training.max_steps", 2)

    def test_with_it_they_are_learnt(self, config: Path, corpus: Path, tmp_path: Path):
        config.write_text(config.read_text(encoding="utf8") + LABELS, encoding="utf8")
        run("train", config, "--output", tmp_path / "out", "--paths.train", corpus)
        nlp = spacy.load(tmp_path / "out" / "model-best")
        assert pipe_of(nlp).labels == ("LOC", "ORG", "PER", "EVENT")
        assert found(nlp("a b c")) == [(1, 2, "EVENT")]
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_what_was_learnt_is_kept(self, config: Path, corpus: Path):
        settings = LABELS.replace('["EVENT"]', '["EVENT", "LOC"]\ncomponent = "bga_ner"')
        config.write_text(config.read_text(encoding="utf8") + settings, encoding="utf8")
        nlp = init_nlp(load_config(config, overrides={"paths.train": str(corpus)}, interpolate=False))
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]


class TestDebugModel:
    def test_command(self, new_config: Path, corpus: Path):
        output = run("debug", "model", new_config, "bga_ner", "--paths.train", corpus, "-P3")
        assert "Successfully ended analysis" in output
        assert "Tagging" in output

    def test_predict(self, tagger: Language):
        docs = [tagger.make_doc(text) for text, _ in POSTS]
        predicted = pipe_of(tagger).model.predict(docs)
        assert all(isinstance(tagging, Tagging) for tagging in predicted)
        pipe_of(tagger).set_annotations(docs, predicted)
        assert [found(doc) for doc in docs] == [ents for _, ents in POSTS]

    def test_predict_nothing(self, tagger: Language):
        assert pipe_of(tagger).model.predict([]) == []


class TestOtherCommands:
    def test_evaluate(self, trained_folder: Path, corpus: Path, tmp_path: Path):
        run("evaluate", trained_folder, corpus, "--output", tmp_path / "scores.json")
        assert json.loads((tmp_path / "scores.json").read_text(encoding="utf8"))["ents_r"] >= 0.9

    def test_debug_config_and_data(self, new_config: Path, corpus: Path):
        run("debug", "config", new_config, "--paths.train", corpus)
        result = CliRunner().invoke(app, ["debug", "data", str(new_config), "--paths.train", str(corpus)])
        assert "Corpus is loadable" in result.output  # what else it says is about the few posts
        assert "Low number of examples to train a new pipeline" in result.output

    def test_fill_config_and_train(self, tmp_path: Path, corpus: Path, text_encoder_folder: Path):
        """spaCy's own defaults beside the component's."""
        small = NEW.replace("TEXT_ENCODER", text_encoder_folder.as_posix())
        head = '[nlp]\nlang = "en"\npipeline = ["bga_ner"]\n\n[components]\n'
        (tmp_path / "base.cfg").write_text(head + small, encoding="utf8")
        run("init", "fill-config", tmp_path / "base.cfg", tmp_path / "full.cfg")
        settings = ["--paths.train", corpus, "--paths.dev", corpus, "--training.max_steps", 20]
        run("train", tmp_path / "full.cfg", "--output", tmp_path / "out", *settings)
        assert load_config(tmp_path / "full.cfg")["components"]["bga_ner"]["rate_scales"]["encoder"] == 0.1

    def test_assemble(self, config: Path, corpus: Path, tmp_path: Path):
        run("assemble", config, tmp_path / "assembled", "--paths.train", corpus)
        nlp = spacy.load(tmp_path / "assembled")
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_there_is_no_threshold_to_find(self, trained_folder: Path, corpus: Path):
        arguments = ["find-threshold", trained_folder, corpus, "bga_ner", "threshold", "ents_f"]
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == 1
        assert "not found" in result.output
        assert "threshold" in result.output

    def test_there_is_no_rehearsal(self, trained: Language):
        with pytest.warns(UserWarning, match=r"W216.*nlp\.update") as told:
            losses = trained.rehearse(make_examples(trained), sgd=trained.resume_training())
        assert (losses, len(told)) == ({}, 1)


class TestWaysOut:
    def test_an_aligner_of_another_name(
        self, make_nlp: Callable[..., Language], trained: Language, tmp_path: Path, text_encoder_folder: Path
    ):
        trained.rename_pipe("bga_ner", "posts")
        trained.to_disk(tmp_path / "renamed")
        nlp = make_nlp()
        pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=tmp_path / "renamed")
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_no_aligner_at_all(self, make_nlp: Callable[..., Language], tmp_path: Path):
        nlp = make_nlp()
        with pytest.raises(BGAError, match=r"B109.*PIPELINE/NAME/model"):
            pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=tmp_path)

    def test_images_for_a_slim_pipeline(self, trained: Language, tmp_path: Path):
        pipe_of(trained)._shim.save_visual_branch = False
        trained.to_disk(tmp_path)
        slim = spacy.load(tmp_path)
        with pytest.raises(BGAError, match=r"B107.*from texts alone.*original encoders"):
            slim.update(make_examples(slim, images=True))
        assert train(slim, make_examples(slim), steps=1)[0]["bga_ner_crf"] > 0

    @pytest.mark.parametrize("kind", ["PIL", "row"])
    def test_what_is_no_image(self, make_nlp: Callable[..., Language], kind: str):
        import io

        from PIL import Image

        picture = Image.open(io.BytesIO(encode_picture(0)))
        nlp = make_nlp()
        example = make_example(nlp, "love paris", None)
        example.reference._.image = picture if kind == "PIL" else {"bytes": encode_picture(0), "path": None}
        with pytest.raises(BGAError, match=r"B302.*PIL image.*Hugging Face"):
            nlp.update([example])
