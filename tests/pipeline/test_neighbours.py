"""Among other components: before them, after them, twice, in another's place, and in somebody else's pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
import torch
from spacy.cli._util import app as spacy_cli
from spacy.language import Language
from spacy.pipeline import EntityRecognizer
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as run_training
from spacy.util import load_config
from thinc.api import Config
from typer.testing import CliRunner

from spacy_bga.pipeline.bga_ner import BGANer
from tests.pipeline.conftest import POSTS, Entities, aligner_of, found, make_example, make_examples

TEXT, ENTITIES = POSTS[0]
TAGS = [str(len(word)) for word in TEXT.split()]


@Language.factory("test_witness")
class Witness:
    """A trainable component that keeps which entities it was shown in training."""

    def __init__(self, nlp: Language, name: str):
        self.seen: list[Entities] = []

    def __call__(self, doc: Doc) -> Doc:
        return doc

    def initialize(self, get_examples: Callable, *, nlp: Language | None = None) -> None:
        pass

    def update(self, examples: list[Example], *, losses: dict[str, float], **settings: object) -> None:
        self.seen += [found(example.predicted) for example in examples]
        losses["witness"] = 0.0


def tagged(nlp: Language, text: str = TEXT) -> Entities:
    return found(nlp(Doc(nlp.vocab, words=text.split(" "))))


def other_examples(nlp: Language) -> list[Example]:
    """Examples for other components: a token's tag is its length, the first is the root, persons are entities."""
    made = []
    for text, entities in POSTS:
        example = make_example(nlp, text, [(start, end, "PERSON") for start, end, label in entities if label == "PER"])
        for token in example.reference:
            token.tag_ = str(len(token))
            token.head, token.dep_ = example.reference[0], "part" if token.i else "ROOT"
        made.append(example)
    return made


@pytest.fixture(scope="module")
def shared_folder(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of the shape of `en_core_web_sm`, tok2vec, tagger, parser and ner, that has learnt a little."""
    nlp = spacy.blank("en")
    small = {"width": 16, "depth": 1, "embed_size": 200, "window_size": 1, "maxout_pieces": 2}
    encoder = {"@architectures": "spacy.HashEmbedCNN.v2", "subword_features": True, "pretrained_vectors": None}
    nlp.add_pipe("tok2vec", config={"model": encoder | small})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 16}
    for name in ("tagger", "parser", "ner"):
        more = {"min_action_freq": 1} if name == "parser" else {}
        nlp.add_pipe(name, config={"model": {"tok2vec": listener}, **more})
    optimizer = nlp.initialize(lambda: other_examples(nlp))
    optimizer.learn_rate = 0.01
    for _ in range(20):
        nlp.update(other_examples(nlp), sgd=optimizer)
    folder = tmp_path_factory.mktemp("shared") / "en_shared"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def shared(shared_folder: Path) -> Language:
    return spacy.load(shared_folder)


class TestSourced:
    def test_after_the_others(self, shared: Language, tagger: Language):
        before = [(token.tag_, token.dep_) for token in shared(TEXT)]
        shared.remove_pipe("ner")
        shared.add_pipe("bga_ner", source=tagger)
        assert tagged(shared) == ENTITIES
        assert [(token.tag_, token.dep_) for token in shared(TEXT)] == before

    def test_before_the_others(self, shared: Language, tagger: Language):
        before = [(token.tag_, token.dep_) for token in shared(TEXT)]
        shared.remove_pipe("ner")
        shared.add_pipe("bga_ner", source=tagger, first=True)
        assert tagged(shared) == ENTITIES
        assert [(token.tag_, token.dep_) for token in shared(TEXT)] == before

    def test_others_into_its_pipeline(self, shared: Language, trained: Language):
        """`source=` in the other direction: a tagger and its tok2vec beside a trained `bga_ner`."""
        trained.add_pipe("tok2vec", source=shared, first=True)
        trained.add_pipe("tagger", source=shared, before="bga_ner")
        assert tagged(trained) == ENTITIES
        assert [token.tag_ for token in trained(TEXT)] == TAGS

    def test_saved_and_loaded(self, shared: Language, tagger: Language, tmp_path: Path):
        config = {key: value for key, value in tagger.get_pipe_config("bga_ner").items() if key != "factory"}
        shared.replace_pipe("ner", "bga_ner", config=config)
        shared.get_pipe("ner").from_bytes(tagger.get_pipe("bga_ner").to_bytes())
        assert shared.pipe_names == ["tok2vec", "tagger", "parser", "ner"]
        shared.to_disk(tmp_path / "mixed")
        again = spacy.load(tmp_path / "mixed")
        assert isinstance(again.get_pipe("ner"), BGANer)
        assert tagged(again) == ENTITIES
        assert again.meta["labels"]["ner"] == ["LOC", "ORG", "PER"]

    def test_in_a_config(self, shared_folder: Path, trained_folder: Path, tmp_path: Path):
        """`spacy assemble`: a pipeline put together from parts of others."""
        config = Config().from_str(
            f'[nlp]\nlang = "en"\npipeline = ["tok2vec", "tagger", "bga_ner"]\n\n[components]\n\n'
            f'[components.tok2vec]\nsource = "{shared_folder}"\n\n[components.tagger]\nsource = "{shared_folder}"\n\n'
            f'[components.bga_ner]\nsource = "{trained_folder}"\n'
        )
        config.to_disk(tmp_path / "config.cfg")
        result = CliRunner().invoke(spacy_cli, ["assemble", str(tmp_path / "config.cfg"), str(tmp_path / "out")])
        assert result.exit_code == 0, result.output
        nlp = spacy.load(tmp_path / "out")
        assert tagged(nlp) == ENTITIES
        assert [token.tag_ for token in nlp(TEXT)] == TAGS


class TestBesideNer:
    """Both fill `doc.ents`: what the first one found is kept, and the second one adds to it."""

    def test_ner_first(self, shared: Language, tagger: Language):
        assert tagged(shared) == [(0, 2, "PERSON")]
        shared.add_pipe("bga_ner", name="posts", source=tagger)
        assert tagged(shared) == [(0, 2, "PERSON"), (4, 5, "ORG"), (6, 7, "LOC")]

    def test_bga_ner_first(self, shared: Language, tagger: Language):
        shared.add_pipe("bga_ner", source=tagger, before="ner")
        for text, entities in POSTS:
            assert set(entities) <= set(tagged(shared, text))

    def test_a_ruler_before_both(self, shared: Language, tagger: Language):
        shared.add_pipe("bga_ner", source=tagger, before="ner")
        ruler = shared.add_pipe("entity_ruler", first=True)
        ruler.add_patterns([{"label": "TEAM", "pattern": "the warriors", "id": "gsw"}])
        doc = shared(Doc(shared.vocab, words=TEXT.split(" ")))
        assert (3, 5, "TEAM") in found(doc)
        assert (0, 2, "PER") in found(doc)
        assert next(ent.ent_id_ for ent in doc.ents if ent.label_ == "TEAM") == "gsw"

    def test_a_ruler_after_it_adds(self, trained: Language):
        ruler = trained.add_pipe("entity_ruler")
        ruler.add_patterns([{"label": "VERB", "pattern": "joins"}, {"label": "TEAM", "pattern": "warriors"}])
        assert tagged(trained) == sorted([*ENTITIES, (2, 3, "VERB")])

    def test_merge_entities_after_it(self, trained: Language):
        trained.add_pipe("merge_entities")
        doc = trained(Doc(trained.vocab, words=TEXT.split(" ")))
        assert [token.text for token in doc] == ["kevin durant", "joins", "the", "warriors", "in", "oakland"]
        assert [ent.label_ for ent in doc.ents] == ["PER", "ORG", "LOC"]

    def test_sentences_do_not_matter(self, trained: Language):
        trained.add_pipe("sentencizer", first=True)
        assert tagged(trained) == ENTITIES


class TestTwice:
    def test_each_with_labels_of_its_own(self, text_only_config: dict, tmp_path: Path):
        nlp = spacy.blank("en")
        names = {"people": "PER", "places": "LOC"}
        examples = {
            name: [make_example(nlp, text, [e for e in ents if e[2] == label]) for text, ents in POSTS]
            for name, label in names.items()
        }
        for name in names:
            nlp.add_pipe("bga_ner", name=name, config=text_only_config)
        nlp.initialize(lambda: make_examples(nlp))
        for name, label in names.items():
            pipe = nlp.get_pipe(name)
            pipe.initialize(lambda name=name: examples[name], nlp=nlp, labels=[label])
        optimizer = nlp.resume_training()
        optimizer.learn_rate = 0.03
        for _ in range(40):
            for name in names:
                with nlp.select_pipes(enable=name):
                    losses = nlp.update(examples[name], sgd=optimizer)
                assert {f"{name}_crf", name} <= set(losses)
        wanted = [[e for e in ents if e[2] in ("PER", "LOC")] for _, ents in POSTS]
        assert [tagged(nlp, text) for text, _ in POSTS] == wanted
        nlp.to_disk(tmp_path / "both")
        again = spacy.load(tmp_path / "both")
        assert [tagged(again, text) for text, _ in POSTS] == wanted
        assert again.pipe_labels == {"people": ["PER"], "places": ["LOC"]}

    def test_renamed(self, trained: Language, tmp_path: Path):
        trained.rename_pipe("bga_ner", "posts")
        assert tagged(trained) == ENTITIES
        trained.to_disk(tmp_path / "renamed")
        again = spacy.load(tmp_path / "renamed")
        assert again.pipe_names == ["posts"]
        assert tagged(again) == ENTITIES
        assert "posts_crf" in again.update(make_examples(again), sgd=again.resume_training())


class TestFrozen:
    def test_it_annotates_what_another_learns_from(self, trained_folder: Path, tmp_path: Path):
        """`frozen_components` and `annotating_components`: its weights stay, the next component sees its entities."""
        nlp = spacy.blank("en")
        docs = DocBin(docs=[example.reference for example in make_examples(nlp)])
        docs.to_disk(tmp_path / "train.spacy")
        config = load_config(Path(__file__).parents[2] / "configs" / "tiny.cfg", interpolate=False)
        reader = {"@readers": "spacy.Corpus.v1", "path": str(tmp_path / "train.spacy")}
        config["corpora"] = {"train": reader, "dev": reader}
        config["nlp"]["pipeline"] = ["bga_ner", "witness", "ner"]
        config["components"] = {
            "bga_ner": {"source": str(trained_folder)},
            "witness": {"factory": "test_witness"},
            "ner": {"factory": "ner"},
        }
        config["initialize"] = {}
        config["training"] |= {
            "frozen_components": ["bga_ner"],
            "annotating_components": ["bga_ner"],
            "max_steps": 2,
            "eval_frequency": 1,
            "batcher": {"@batchers": "spacy.batch_by_sequence.v1", "size": 6},
            "logger": {"@loggers": "spacy.ConsoleLogger.v1"},
        }
        nlp = init_nlp(config)
        assert isinstance(nlp.get_pipe("ner"), EntityRecognizer)
        before = {name: tensor.clone() for name, tensor in aligner_of(nlp).state_dict().items()}
        (tmp_path / "out").mkdir()
        run_training(nlp, tmp_path / "out")
        after = aligner_of(nlp).state_dict()
        assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
        assert ENTITIES in nlp.get_pipe("witness").seen
        assert tagged(spacy.load(tmp_path / "out" / "model-last", exclude=["ner", "witness"])) == ENTITIES
