"""Components that listen to the encoder of `bga_ner`: what they get, what they give back, and that entities stay."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from spacy.lang.en import English
from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_bga.aligner.windows import merge_wordpieces
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.bridge import collate, get_shim
from spacy_bga.pipeline.shared_features import shared_width
from spacy_bga.pipeline.tags import content_tokens
from tests.pipeline.conftest import POSTS, aligner_of, architecture, found, make_example, pipe_of, train
from tests.pipeline.pictured import V2

WIDTH = 16
TRANSFORMERS = importlib.util.find_spec("spacy_transformers") is not None
KINDS = [
    "tok2vec",
    pytest.param("transformer", marks=pytest.mark.skipif(not TRANSFORMERS, reason="spacy-transformers")),
]
LONG = " ".join(["kevin love zed paris"] * 30)
TEXTS = [*(text for text, _ in POSTS), LONG, "", "  ", "a \n b", "\u200d", "love  paris !"]


def listener(kind: str, *, upstream: str = "bga_ner", width: int = WIDTH) -> dict[str, Any]:
    if kind == "tok2vec":
        return {"@architectures": "spacy.Tok2VecListener.v1", "width": width, "upstream": upstream}
    return {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "pooling": {"@layers": "reduce_mean.v1"},
        "grad_factor": 1.0,
        "upstream": upstream,
    }


def add_tagger(nlp: Language, kind: str, name: str = "tagger", **settings: Any) -> Any:
    model = {"@architectures": "spacy.Tagger.v2", "nO": None, "tok2vec": listener(kind, **settings)}
    return nlp.add_pipe("tagger", name=name, config={"model": model})


def add_textcat(nlp: Language, kind: str, **settings: Any) -> Any:
    tok2vec = listener(kind, **settings)
    model = {"@architectures": "spacy.TextCatCNN.v2", "exclusive_classes": True, "tok2vec": tok2vec}
    return nlp.add_pipe("textcat", config={"model": model})


def tagged_examples(nlp: Language) -> list[Example]:
    """The posts, whose tags say which words have capital letters in them, and whose categories how long they are."""
    examples = []
    for text, entities in POSTS:
        example = make_example(nlp, text, entities)
        for token in example.reference:
            token.tag_ = "NAME" if len(token.text) > 4 else "WORD"
        long = len(example.reference) > 3
        example.reference.cats = {"LONG": float(long), "SHORT": float(not long)}
        examples.append(example)
    return examples


Make = Callable[..., Language]


@pytest.fixture
def make(text_encoder_folder: Path, vision_encoder_folder: Path) -> Make:
    """Makes an initialized pipeline of `bga_ner` and some that listen to it."""

    def build(
        kind: str, components: Iterable[str] = ("tagger",), *, model: dict | None = None, images: bool = False, **config
    ) -> Language:
        fix_random_seed(0)
        nlp = spacy.blank("en")
        vision = vision_encoder_folder if images else None
        settings = architecture(text_encoder_folder, vision, window=24, overlap=8, **(model or {}))
        nlp.add_pipe("bga_ner", config={"model": settings, **config})
        width = WIDTH + (settings.get("word_components", 16) if settings.get("words") else 0)
        for name in components:
            {"tagger": add_tagger, "textcat": add_textcat}[name](nlp, kind, width=width)
        nlp.initialize(lambda: tagged_examples(nlp))
        return nlp

    return build


def weights_of(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in aligner_of(nlp).state_dict().items()}


def same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
class TestTagging:
    def test_entities_are_the_same_with_and_without_listeners(self, kind: str, trained_folder: Path):
        alone, shared = spacy.load(trained_folder), spacy.load(trained_folder)
        for nlp in (alone, shared):
            pipe_of(nlp).confidence = True
        add_tagger(shared, kind)
        shared.get_pipe("tagger").initialize(lambda: tagged_examples(shared), nlp=shared)
        for size in (1, 3, 100):
            for one, other in zip(alone.pipe(TEXTS, batch_size=size), shared.pipe(TEXTS, batch_size=size), strict=True):
                assert found(one) == found(other)
                sure = [[ent._.bga_confidence for ent in doc.ents] for doc in (one, other)]
                assert sure[0] == sure[1]
                assert len(one.tensor) == 0

    def test_vectors_are_those_that_the_tagger_reads(self, kind: str, make: Make):
        """Token by token, against the aligner run by hand: also of long documents, white space and nothing at all."""
        nlp = make(kind)
        shim = get_shim(pipe_of(nlp).model)
        docs = [nlp.make_doc(text) for text in TEXTS]
        for doc, tagging in zip(docs, pipe_of(nlp).predict(docs), strict=True):
            content = content_tokens(doc)
            pieces = [shim.wordpieces.split_doc(doc, content)]
            expected = np.zeros((len(doc), WIDTH), dtype="f")
            if len(pieces[0].ids):
                text = shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))
                with torch.inference_mode():
                    hidden = shim.aligner.eval().encode(text).hidden
                    expected[content] = merge_wordpieces([(hidden, text)]).numpy()
            np.testing.assert_allclose(tagging.features.token_vectors(), expected, atol=1e-5)

    def test_listeners_read_the_same_however_texts_come(self, kind: str, make: Make):
        nlp = make(kind, ["tagger", "textcat"])
        train(nlp, tagged_examples(nlp), steps=3)
        single = [nlp(text) for text in TEXTS]
        for size in (2, 100):
            for one, other in zip(single, nlp.pipe(TEXTS, batch_size=size), strict=True):
                assert [token.tag_ for token in one] == [token.tag_ for token in other]
                if len(one):  # of a batch of nothing else, spaCy's textcat says 0
                    assert one.cats == pytest.approx(other.cats, abs=1e-5)

    def test_processes(self, kind: str, make: Make):
        nlp = make(kind)
        expected = [[token.tag_ for token in doc] for doc in nlp.pipe(TEXTS)]
        assert [[token.tag_ for token in doc] for doc in nlp.pipe(TEXTS, n_process=2, batch_size=3)] == expected

    def test_wordpieces_state_by_state(self, kind: str, make: Make):
        """What spacy-transformers calls the alignment: each token's wordpieces, from windows that overlap."""
        nlp = make(kind)
        doc = nlp.make_doc(LONG)
        (tagging,) = pipe_of(nlp).predict([doc])
        features = tagging.features
        assert len(features.ids) > 1
        assert features.ids.shape == features.states.shape[:2]
        assert features.lengths.sum() == len(features.places) == len({*features.places.tolist()})
        pieces = get_shim(pipe_of(nlp).model).wordpieces.split_doc(doc, content_tokens(doc))
        assert features.ids.flatten()[features.places].tolist() == pieces.ids.tolist()

    def test_a_component_that_is_left_out_changes_no_entity(self, kind: str, make: Make):
        nlp = make(kind)
        expected = [found(nlp(text)) for text in TEXTS]
        with nlp.select_pipes(disable="tagger"):
            assert [found(nlp(text)) for text in TEXTS] == expected
        with nlp.select_pipes(enable="tagger"):
            assert not nlp(TEXTS[0]).ents

    def test_to_and_from_disk_and_bytes(self, kind: str, make: Make, tmp_path: Path):
        nlp = make(kind, ["tagger", "textcat"])
        train(nlp, tagged_examples(nlp), steps=3)
        nlp.to_disk(tmp_path)
        again = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
        for other in (spacy.load(tmp_path), again):
            assert pipe_of(other).listening_components == ["tagger", "textcat"]
            for text in TEXTS:
                one, two = nlp(text), other(text)
                assert found(one) == found(two)
                assert [token.tag_ for token in one] == [token.tag_ for token in two]
                assert one.cats == pytest.approx(two.cats, abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
class TestTraining:
    def test_gradients(self, kind: str, make: Make):
        """Of our loss and the mean of a listener's, against finite differences along some directions."""
        nlp = make(kind, model={"sample": False})
        component, examples = pipe_of(nlp), tagged_examples(nlp)
        shim, aligner = get_shim(component.model), aligner_of(nlp)
        rng = np.random.default_rng(0)
        wanted = [rng.normal(size=(len(example.predicted), WIDTH)).astype("f") for example in examples]
        component.update(examples, drop=0.0)
        (listening,) = component.listeners
        outputs, answer = listening._outputs, listening._backprop
        if kind == "tok2vec":
            answer(wanted)
        else:
            data = [tagging.features for tagging in component.predict([example.predicted for example in examples])]
            gradients = [doc.gradient_of_vectors(d) for doc, d in zip(data, wanted, strict=True)]
            for output, gradient in zip(outputs, gradients, strict=True):
                output.model_output["last_hidden_state"] = gradient
            answer(outputs)
        aligner.set_dropout(0.0)
        batch: Any = collate(component.model, examples, [()] * len(examples), None, whole=True)

        def objective() -> float:
            with torch.no_grad():
                losses, hidden = aligner.learn(batch.text, allowed=batch.allowed, whole=True)
                assert hidden is not None
                vectors = merge_wordpieces([(hidden, batch.text)])
                heard = (vectors * torch.from_numpy(np.concatenate(wanted))).double().sum() / len(wanted)
                return float(losses["total"].double() + heard)

        aligner.train()
        parameters = [p for p in aligner.parameters() if p.grad is not None]
        assert any(p is aligner.text_encoder.word_embeddings.weight for p in parameters)
        for seed in range(4):
            torch.manual_seed(seed)
            chosen = [p.grad if torch.rand(()) < 0.5 else torch.zeros_like(p) for p in parameters]
            length = sum(float(g.square().sum()) for g in chosen) ** 0.5  # type: ignore[union-attr]
            steps = [g / length + 0.2 * torch.randn_like(g) / g.numel() ** 0.5 for g in chosen]  # type: ignore[union-attr,operator]
            slope = sum(float((p.grad * step).sum()) for p, step in zip(parameters, steps, strict=True))  # type: ignore[operator]
            size = 3e-4
            values = []
            for sign in (1, -2, 1):
                for p, step in zip(parameters, steps, strict=True):
                    p.data.add_(step, alpha=sign * size)
                values.append(objective())
            assert (values[0] - values[1]) / (2 * size) == pytest.approx(slope, rel=0.01)
        assert shim.updates._waiting is None or shim.updates._waiting.is_done

    def test_one_backward_pass_for_all(self, kind: str, make: Make, monkeypatch: pytest.MonkeyPatch):
        nlp = make(kind, ["tagger", "textcat"])
        passes = []
        own = torch.autograd.backward
        monkeypatch.setattr(torch.autograd, "backward", lambda *args: (passes.append(len(args[0])), own(*args)))
        train(nlp, tagged_examples(nlp), steps=3)
        assert passes == [2, 2, 2]

    def test_steps_are_the_same_in_both_orders(self, kind: str, make: Make):
        """`nlp.update` with an optimizer asks for the step before listeners have answered, `spacy train` after it."""
        results = []
        for together in (True, False):
            nlp = make(kind, ["tagger", "textcat"])
            optimizer = Adam(0.001)
            for _ in range(3):
                fix_random_seed(1)
                examples = tagged_examples(nlp)
                if together:
                    nlp.update(examples, sgd=optimizer)
                    continue
                nlp.update(examples, sgd=False)
                for name in nlp.pipe_names:
                    nlp.get_pipe(name).finish_update(optimizer)
            results.append(weights_of(nlp))
        for name, tensor in results[0].items():
            torch.testing.assert_close(tensor, results[1][name], atol=1e-6, rtol=1e-5)

    def test_listeners_teach_the_encoder(self, kind: str, make: Make):
        """Also where the component itself has nothing to learn, and the more so the larger the encoder's rate."""
        moved = []
        for rate in (0.0, 0.1, 1.0):
            nlp = make(kind, rate_scales={"encoder": rate})
            before, examples = weights_of(nlp), tagged_examples(nlp)
            # A tagger's first output is the same whatever it hears.
            nlp.update(examples, sgd=Adam(0.01), exclude=["bga_ner"], annotates=["bga_ner"])
            for example in examples:
                example.reference.set_ents([], default="missing")
            nlp.update(examples, sgd=Adam(0.001), drop=0.0)
            after = weights_of(nlp)
            name = "text_encoder.model.encoder.layer.0.output.dense.weight"
            moved.append(float((after[name] - before[name]).abs().mean()))
            assert torch.equal(after["head.weight"], before["head.weight"])
        assert moved[0] == 0
        assert 5 < moved[2] / moved[1] < 20

    def test_listeners_learn(self, kind: str, make: Make):
        nlp = make(kind, ["tagger", "textcat"])
        train(nlp, tagged_examples(nlp), steps=60)
        scores = nlp.evaluate(tagged_examples(nlp))
        assert (scores["tag_acc"], scores["ents_f"]) == (1.0, 1.0)
        assert scores["cats_score"] == 1.0

    def test_a_frozen_listener_changes_nothing(self, kind: str, make: Make):
        """Its step is taken at the latest when the weights are next needed."""
        results = []
        for components in (["tagger"], []):
            nlp = make(kind, components)
            optimizer = Adam(0.001)
            for _ in range(2):
                fix_random_seed(1)
                nlp.update(tagged_examples(nlp), sgd=optimizer, exclude=["tagger"], drop=0.0)
            nlp("love paris")
            results.append(weights_of(nlp))
        for name, tensor in results[0].items():
            torch.testing.assert_close(tensor, results[1][name], atol=1e-6, rtol=1e-5)

    def test_frozen_and_annotating(self, kind: str, make: Make):
        nlp = make(kind)
        before, optimizer = weights_of(nlp), Adam(0.01)
        for _ in range(60):
            nlp.update(tagged_examples(nlp), sgd=optimizer, exclude=["bga_ner"], annotates=["bga_ner"])
        assert same_weights(weights_of(nlp), before)
        assert nlp.evaluate(tagged_examples(nlp))["tag_acc"] > 0.9

    def test_annotating_while_learning(self, kind: str, make: Make):
        """Documents are annotated while their listeners have yet to answer: these still teach the encoder."""
        results = []
        for annotates in (["bga_ner"], []):
            nlp = make(kind)
            fix_random_seed(1)
            nlp.update(tagged_examples(nlp), sgd=Adam(0.001), annotates=annotates, drop=0.0)
            results.append(weights_of(nlp))
        assert same_weights(*results)

    def test_batches_of_nothing(self, kind: str, make: Make):
        nlp = make(kind, ["tagger", "textcat"])
        empty = [Doc(nlp.vocab, words=words) for words in ([], ["\n"], ["\u200d"])]
        for docs in (empty, [*empty, *(example.reference for example in tagged_examples(nlp))]):
            for doc in docs:
                doc.cats = {"LONG": 0.0, "SHORT": 1.0}
            examples = [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs]
            losses = nlp.update(examples, sgd=Adam(0.001))
            assert np.isfinite([*losses.values()]).all()

    def test_gradients_accumulate(self, kind: str, make: Make):
        nlp = make(kind)
        examples = tagged_examples(nlp)
        gradients = []
        for parts in ([examples], [examples[:2], examples[2:]]):
            for part in parts:
                for name in nlp.pipe_names:
                    nlp.get_pipe(name).update(part, drop=0.0)
            weight = aligner_of(nlp).text_encoder.word_embeddings.weight
            gradients.append(weight.grad.clone())
            weight.grad = None
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("kind", KINDS)
class TestReplacing:
    def test_a_copy_tags_as_before_and_learns_by_itself(self, kind: str, make: Make, tmp_path: Path):
        nlp = make(kind, ["tagger", "textcat"])
        train(nlp, tagged_examples(nlp), steps=5)
        expected = [[token.tag_ for token in nlp(text)] for text in TEXTS]
        nlp.replace_listeners("bga_ner", "tagger", ["model.tok2vec"])
        assert pipe_of(nlp).listening_components == ["textcat"]
        assert nlp.config["components"]["tagger"]["model"]["tok2vec"]["@architectures"] == "spacy_bga.BGATok2Vec.v1"
        with nlp.select_pipes(enable="tagger"):
            assert [[token.tag_ for token in nlp(text)] for text in TEXTS] == expected
        nlp.to_disk(tmp_path)
        loaded = spacy.load(tmp_path)
        assert [[token.tag_ for token in loaded(text)] for text in TEXTS] == expected
        before = weights_of(loaded)
        optimizer = Adam(0.01)
        for _ in range(30):
            loaded.update(tagged_examples(loaded), sgd=optimizer, exclude=["bga_ner", "textcat"])
        assert same_weights(weights_of(loaded), before)
        (copy,) = [node for node in loaded.get_pipe("tagger").model.walk() if node.name == "bga-encoder"]
        own = get_shim(copy.layers[0])
        assert own.aligner.visual is None
        assert own.rate_scales["encoder"] == pipe_of(loaded)._shim.rate_scales["encoder"] == 0.1
        assert not same_weights(own.aligner.state_dict(), before)
        assert loaded.evaluate(tagged_examples(loaded))["tag_acc"] == 1.0

    def test_its_config_can_be_trained_from(self, kind: str, make: Make):
        nlp = make(kind)
        nlp.replace_listeners("bga_ner", "tagger", ["model.tok2vec"])
        again = English.from_config(nlp.config)
        again.initialize(lambda: tagged_examples(again))
        train(again, tagged_examples(again), steps=40)
        assert again.evaluate(tagged_examples(again))["tag_acc"] == 1.0

    def test_sourced(self, kind: str, make: Make, tmp_path: Path):
        make(kind).to_disk(tmp_path)
        nlp = spacy.blank("en")
        source = spacy.load(tmp_path)
        nlp.add_pipe("bga_ner", source=source)
        nlp.add_pipe("tagger", source=source)
        assert pipe_of(nlp).listening_components == ["tagger"]
        assert [token.tag_ for token in nlp(LONG)] == [token.tag_ for token in source(LONG)]


class TestWhoListens:
    def test_its_own_name_alone(self, make: Make):
        nlp = make("tok2vec", [])
        nlp.add_pipe("tok2vec", first=True)
        add_tagger(nlp, "tok2vec", "any", upstream="*", width=96)
        add_tagger(nlp, "tok2vec", "other", upstream="tok2vec", width=96)
        add_tagger(nlp, "tok2vec", "ours")
        assert pipe_of(nlp).listening_components == ["ours"]
        assert nlp.get_pipe("tok2vec").listening_components == ["any", "other"]

    def test_a_renamed_component_is_listened_to_by_its_new_name(self, text_only_config: dict):
        nlp = spacy.blank("en")
        nlp.add_pipe("bga_ner", name="names", config=text_only_config)
        add_tagger(nlp, "tok2vec", upstream="names")
        assert nlp.get_pipe("names").listening_components == ["tagger"]

    def test_removed(self, make: Make):
        nlp = make("tok2vec")
        (heard,) = pipe_of(nlp).listeners
        assert isinstance(heard, Tok2VecListener)
        assert pipe_of(nlp).remove_listener(heard, "tagger")
        assert not pipe_of(nlp).remove_listener(heard, "tagger")
        assert not pipe_of(nlp).listeners
        assert len(nlp.get_pipe("bga_ner")(nlp.make_doc("love paris")).tensor) == 0

    def test_another_width_is_an_error(self, make: Make):
        nlp = make("tok2vec", [])
        with pytest.raises(BGAError, match=r"\[B230\].*'tagger'.*96.*'bga_ner'.*`width` to 16"):
            add_tagger(nlp, "tok2vec", width=96)

    def test_another_width_before_initialization(self, text_only_config: dict):
        nlp = spacy.blank("en")
        nlp.add_pipe("bga_ner", config=text_only_config)
        add_tagger(nlp, "tok2vec", width=96)
        with pytest.raises(BGAError, match="B230"):
            nlp.initialize(lambda: tagged_examples(nlp))

    def test_nobody(self, make: Make):
        nlp = make("tok2vec", [])
        doc = nlp(POSTS[0][0])
        assert len(doc.tensor) == 0
        assert not Doc.has_extension("trf_data") or doc._.trf_data is None
        nlp.update(tagged_examples(nlp), sgd=Adam(0.001))
        assert get_shim(pipe_of(nlp).model).updates._waiting is None


class TestTransformerData:
    def test_without_spacy_transformers(self, text_only_config: dict, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(__import__("sys").modules, "spacy_transformers", None)
        with pytest.raises(BGAError, match=r"\[B231\].*spacy_bga\[spacy-transformers\]"):
            spacy.blank("en").add_pipe("bga_ner", config=text_only_config | {"set_trf_data": True})

    @pytest.mark.skipif(not TRANSFORMERS, reason="spacy-transformers")
    def test_as_spacy_transformers_has_it(self, make: Make):
        nlp = make("tok2vec", [], set_trf_data=True)
        doc = nlp("love zed paris")
        data = doc._.trf_data
        assert data.wordpieces.strings[0][0] == "[CLS]"
        assert data.model_output.last_hidden_state.shape == (1, len(data.wordpieces.strings[0]), WIDTH)
        pieces = [[data.wordpieces.strings[0][int(i)] for i in data.align[k].dataXd.flatten()] for k in range(3)]
        assert ["".join(piece.removeprefix("##") for piece in token) for token in pieces] == ["love", "zed", "paris"]
        again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        np.testing.assert_array_equal(
            again._.trf_data.model_output["last_hidden_state"], data.model_output.last_hidden_state
        )


def test_what_words_look_like_is_heard_as_well(make: Make):
    """With `words`, the features are wider: what the tagger reads of a word stands beside each of its wordpieces."""
    nlp = make("tok2vec", model=V2 | {"words": True}, images=True)
    aligner = aligner_of(nlp)
    assert aligner.words is not None
    components = aligner.config.word_components
    assert shared_width(aligner) == WIDTH + components
    aligner.words.trust.fill_(0.7)
    aligner.words.pictured.fill_(True)
    torch.nn.init.normal_(aligner.words.axes)
    doc = nlp.make_doc("kevin  zed")
    (tagging,) = pipe_of(nlp).predict([doc])
    vectors = tagging.features.token_vectors()
    assert vectors.shape == (3, WIDTH + components)
    shim = get_shim(pipe_of(nlp).model)
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc))]
    with torch.inference_mode():
        expected = aligner.imagined([shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))])
    np.testing.assert_allclose(vectors[[0, 2], WIDTH:], expected.numpy(), atol=1e-5)
    assert not vectors[1].any()
    train(nlp, tagged_examples(nlp), steps=2)
