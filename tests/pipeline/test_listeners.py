"""Components that listen to the encoder of `bga_ner`: what they get, who they are, and that entities stay."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.lang.en import English
from spacy.language import Language
from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Adam

from spacy_bga.aligner.windows import merge_wordpieces
from spacy_bga.aligner.word_memory import BLOCK
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.shared_features import shared_width
from spacy_bga.pipeline.tags import content_tokens
from tests.pipeline.conftest import POSTS, aligner_of, found, pipe_of, train
from tests.pipeline.listening import (
    KINDS,
    LONG,
    TEXTS,
    TRANSFORMERS,
    WIDTH,
    Make,
    add_tagger,
    build,
    same_weights,
    tagged_examples,
    weights_of,
)
from tests.pipeline.pictured import V2


@Language.component("note_threads")
def note_threads(doc: Doc) -> Doc:
    doc.user_data["threads"] = torch.get_num_threads()
    return doc


@pytest.fixture
def make(text_encoder_folder: Path, vision_encoder_folder: Path) -> Make:
    return partial(build, text_encoder_folder, vision_encoder_folder)


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

    def test_its_processes_have_a_thread_each(self, kind: str, make: Make):
        """Those of torch don't survive a fork: a worker would wait for them forever."""
        nlp = make(kind)
        nlp.replace_listeners("bga_ner", "tagger", ["model.tok2vec"])
        nlp.add_pipe("note_threads")
        torch.set_num_threads(2)
        try:
            with nlp.select_pipes(enable=["tagger", "note_threads"]):
                docs = list(nlp.pipe(TEXTS, n_process=2, batch_size=3))
        finally:
            torch.set_num_threads(1)
        assert {doc.user_data["threads"] for doc in docs} == {1}

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

    @pytest.mark.skipif(not TRANSFORMERS, reason="needs spacy-transformers")
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
    shim = get_shim(pipe_of(nlp).model)
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc))]
    text = shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))
    with torch.no_grad():
        expected = aligner.words.components(aligner.eval().imagine([text]), text.word_keys) * 0.7
    assert expected.abs().min() > 0
    for _ in range(2):  # as generated, and as remembered
        (tagging,) = pipe_of(nlp).predict([doc])
        vectors = tagging.features.token_vectors()
        assert vectors.shape == (3, WIDTH + components)
        np.testing.assert_allclose(vectors[[0, 2], WIDTH:], expected.numpy(), atol=1e-5)
        assert not vectors[1].any()
    train(nlp, tagged_examples(nlp), steps=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_words_are_generated_once_for_all(make: Make, monkeypatch: pytest.MonkeyPatch, precision: str):
    """For the entity tagger and for listeners, and not again in the next text."""
    nlp = make("tok2vec", model=V2 | {"words": True}, images=True, precision=precision)
    words = aligner_of(nlp).words
    assert words is not None
    generated: list[int] = []
    forward = words.forward
    monkeypatch.setattr(words, "forward", lambda embedded: (generated.append(len(embedded)), forward(embedded))[1])
    nlp("kevin zed")
    assert not generated  # nothing is read of them yet
    words.trust.fill_(0.7)
    words.pictured.fill_(True)
    torch.nn.init.normal_(words.axes)
    first = nlp("kevin zed").tensor
    assert generated == [BLOCK]
    np.testing.assert_array_equal(nlp("zed kevin").tensor[::-1, WIDTH:], first[:, WIDTH:])
    assert generated == [BLOCK]
