"""The component as a user meets it: settings, labels, training, tagging, errors."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import Config

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, found, make_example, make_examples, pipe_of, train

TERMS = {f"bga_ner{term}" for term in ("", "_crf", "_recon", "_cycle", "_ratio", "_contrast", "_words")}
ODD_TEXTS = [
    "",
    " ",
    "\n\n \t",
    "\U0001f468‍\U0001f469‍\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
    "我爱 北京 天安门",
    "مرحبا بالعالم في باريس",
    "\x00\x01 \u200b\ufeff \x7f",
    "a" * 10_000,
    "is the in !",
    *(text for text, _ in POSTS),
]


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in aligner_of(nlp).state_dict().items()}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def gradients(nlp: Language) -> set[str]:
    aligner = aligner_of(nlp)
    return {name for name, parameter in aligner.named_parameters() if parameter.grad is not None}


def emissions(nlp: Language, docs: list[Doc], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the CRF is given for these documents."""
    seen = []
    aligner = aligner_of(nlp)
    tag = aligner.tag

    def spy(chunks, images, **settings):
        seen.append(tag(chunks, images, **settings))
        return seen[-1]

    with monkeypatch.context() as patch:
        patch.setattr(aligner, "tag", spy)
        pipe_of(nlp).predict(docs)
    return seen[0].numpy()


class TestFactory:
    def test_the_default_config_is_filled(self, nlp: Language):
        nlp.add_pipe("bga_ner")
        config = nlp.config["components"]["bga_ner"]
        assert config["model"]["@architectures"] == "spacy_bga.BGAModel.v2"
        assert (config["model"]["words"], config["model"]["bga_layers"]) == (True, 0)
        assert config["model"]["distance_temperature"] == 6.0
        assert config["rate_scales"]["head"] > config["rate_scales"]["encoder"]
        assert config["save_visual_branch"] is False

    def test_what_spacy_knows_about_it(self, nlp: Language, bga_config: dict):
        nlp.add_pipe("bga_ner", config=bga_config)
        meta = nlp.get_pipe_meta("bga_ner")
        assert set(meta.assigns) == {"doc.ents", "token.ent_iob", "token.ent_type"}
        assert meta.default_score_weights == {"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None}
        analysis: Any = nlp.analyze_pipes()
        assert analysis["problems"] == {"bga_ner": []}
        assert analysis["attrs"]["doc.ents"]["assigns"] == ["bga_ner"]

    def test_config_round_trip(self, nlp: Language, bga_config: dict):
        scales = {"encoder": 0.5, "generator": 2.0, "head": 3.0, "reader": 4.0}
        nlp.add_pipe("bga_ner", config=bga_config | {"rate_scales": scales})
        text = nlp.config.to_str()
        again = spacy.util.load_model_from_config(
            Config().from_str(text, interpolate=False), auto_fill=False, validate=True
        )
        assert again.config.to_str() == text
        assert get_shim(pipe_of(again).model).rate_scales == scales

    def test_lists_of_layers_and_ratios(self, make_nlp):
        nlp = make_nlp(model={"bga_layers": [0, 2], "vision_layers": [1, 2], "keep_text": [0.5, 0.9]})
        config = aligner_of(nlp).config
        assert (config.text_layers, config.vision_layers) == ((0, 2), (1, 2))
        assert (config.keep_text, config.keep_visual) == ((0.5, 0.9), (0.7, 0.7))

    @pytest.mark.parametrize("wrong", [{"on_missing": "explode"}, {"max_wordpieces": "many"}, {"unknown": 1}])
    def test_wrong_settings_are_refused(self, nlp: Language, bga_config: dict, wrong: dict):
        with pytest.raises(Exception, match=next(iter(wrong))):
            nlp.add_pipe("bga_ner", config=bga_config | wrong)

    def test_unknown_rate_scale_is_refused(self, nlp: Language, bga_config: dict):
        with pytest.raises(BGAError, match=r"B205.*'heads'.*encoder, generator, head"):
            nlp.add_pipe("bga_ner", config=bga_config | {"rate_scales": {"heads": 3.0}})

    def test_foreign_model_is_refused(self, nlp: Language):
        from thinc.api import Linear

        with pytest.raises(BGAError, match="B202"):
            BGANer(nlp.vocab, Linear(2, 2))

    def test_untrained_component_says_so(self, nlp: Language, bga_config: dict):
        nlp.add_pipe("bga_ner", config=bga_config)
        with pytest.raises(BGAError, match="B201"):
            nlp("love paris")
        with pytest.raises(BGAError, match="B201"):
            nlp.update(make_examples(nlp))

    def test_two_components_in_one_pipeline(self, nlp: Language, bga_config: dict, text_only_config: dict):
        nlp.add_pipe("bga_ner", name="first", config=bga_config)
        nlp.add_pipe("bga_ner", name="second", config=text_only_config)
        nlp.initialize(lambda: make_examples(nlp))
        losses = nlp.update(make_examples(nlp))
        assert losses["first_crf"] > 0 < losses["second_crf"]
        assert losses["first"] == pytest.approx(losses["first_crf"], rel=1e-5)


class TestLabels:
    def test_from_the_data(self, make_nlp):
        component = pipe_of(make_nlp())
        assert component.labels == component.label_data == ("LOC", "ORG", "PER")

    def test_given_at_initialize(self, nlp: Language, text_only_config: dict):
        nlp.add_pipe("bga_ner", config=text_only_config)
        component = pipe_of(nlp)
        component.initialize(lambda: make_examples(nlp, labels=False), nlp=nlp, labels=["X", "A"])
        assert component.labels == ("X", "A")
        assert get_shim(component.model).aligner.crf.tags == ["O", "B-X", "I-X", "B-A", "I-A"]

    def test_added_before_initialize(self, nlp: Language, text_only_config: dict):
        nlp.add_pipe("bga_ner", config=text_only_config)
        component = pipe_of(nlp)
        assert [component.add_label("LOC"), component.add_label("LOC"), component.add_label("NEW")] == [1, 0, 1]
        nlp.initialize(lambda: make_examples(nlp))
        assert component.labels == ("LOC", "NEW", "ORG", "PER")

    @pytest.mark.parametrize("label", ["", None, 3])
    def test_no_label_at_all(self, nlp: Language, text_only_config: dict, label):
        nlp.add_pipe("bga_ner", config=text_only_config)
        with pytest.raises(BGAError, match="B203"):
            pipe_of(nlp).add_label(label)

    def test_no_labels_in_the_data(self, nlp: Language, text_only_config: dict):
        nlp.add_pipe("bga_ner", config=text_only_config)
        with pytest.raises(BGAError, match="B204"):
            nlp.initialize(lambda: make_examples(nlp, labels=False))

    def test_added_to_a_trained_component(self, trained: Language, monkeypatch: pytest.MonkeyPatch):
        train(trained, make_examples(trained), steps=1, rate=1e-6)  # so that there is an optimizer with the old weights
        docs = [trained.make_doc(text) for text, _ in POSTS]
        before = emissions(trained, docs, monkeypatch)
        assert pipe_of(trained).add_label("MISC") == 1
        after = emissions(trained, docs, monkeypatch)
        assert np.allclose(before, after[:, : before.shape[1]], rtol=1e-5, atol=1e-5)
        assert [found(trained(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]
        assert after.shape[1] == before.shape[1] + 2
        # And the new one can be learnt, with the old ones still known
        post = make_example(trained, "a b c", [(1, 2, "MISC")])
        head = aligner_of(trained).head.weight.detach().clone()
        train(trained, [post, *make_examples(trained)], steps=40)
        assert not torch.equal(head, aligner_of(trained).head.weight)
        assert found(trained("a b c")) == [(1, 2, "MISC")]
        assert [found(trained(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]

    def test_an_unknown_label_is_treated_as_missing(self, make_nlp):
        nlp = make_nlp(text_only=True)
        odd = make_example(nlp, "love paris !", [(1, 2, "PLANET")])
        with pytest.warns(UserWarning, match="W210.*PLANET"):
            losses = nlp.update([*make_examples(nlp), odd])
        assert np.isfinite(losses["bga_ner"])
        assert losses["bga_ner"] > 0
        alone = make_example(nlp, "paris", [(0, 1, "PLANET")])
        before = weights(nlp)
        with pytest.warns(UserWarning, match="W210"):
            assert nlp.update([alone])["bga_ner"] == 0.0
        assert not changed(before, weights(nlp))


class TestUpdate:
    @pytest.mark.parametrize("text_only", [False, True])
    def test_learns_from_labels_alone(self, make_nlp, text_only: bool):
        nlp = make_nlp(text_only=text_only)
        losses = train(nlp, make_examples(nlp), steps=50)
        assert losses[-1]["bga_ner_crf"] < losses[0]["bga_ner_crf"] / 20
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]
        assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0

    def test_learns_from_labels_and_images(self, make_nlp):
        nlp = make_nlp()
        losses = train(nlp, make_examples(nlp, images=True), steps=50)
        assert [found(nlp(text)) for text, _ in POSTS] == [ents for _, ents in POSTS]
        assert losses[-1]["bga_ner_recon"] < losses[0]["bga_ner_recon"]
        assert losses[-1]["bga_ner_cycle"] < losses[0]["bga_ner_cycle"]
        first = losses[0]
        assert first["bga_ner"] == pytest.approx(sum(first[key] for key in TERMS - {"bga_ner"}), rel=1e-5)

    def test_the_weights_of_the_terms_count(self, make_nlp):
        nlp = make_nlp(model={"recon_weight": 2.0, "cycle_weight": 0.0, "ratio_weight": 0.5})
        losses = nlp.update(make_examples(nlp, images=True))
        expected = losses["bga_ner_crf"] + 2 * losses["bga_ner_recon"] + 0.5 * losses["bga_ner_ratio"]
        assert losses["bga_ner"] == pytest.approx(expected, rel=1e-5)
        assert losses["bga_ner_cycle"] == 0.0

    def test_images_without_labels_train_the_text_encoder(self, make_nlp):
        nlp = make_nlp()
        before = weights(nlp)
        (losses,) = train(nlp, make_examples(nlp, labels=False, images=True), steps=1)
        assert losses["bga_ner_crf"] == 0.0
        assert min(losses["bga_ner_recon"], losses["bga_ner_cycle"], losses["bga_ner_ratio"]) > 0
        moved = changed(before, weights(nlp))
        assert any(name.startswith("text_encoder.") and ".query." in name for name in moved)
        assert not any(name.startswith(("crf.", "head.", "visual.encoder.")) for name in moved)

    def test_text_only_batches_leave_the_visual_branch_alone(self, make_nlp):
        nlp = make_nlp()
        train(nlp, make_examples(nlp, images=True), steps=2)  # so that the optimizer has momentum for all
        pipe_of(nlp).update(make_examples(nlp))
        got = gradients(nlp)
        assert not any(name.startswith("visual.") for name in got)
        assert any(name.startswith("generators.") for name in got)
        before = weights(nlp)
        pipe_of(nlp).finish_update(nlp.resume_training())
        moved = changed(before, weights(nlp))
        assert moved
        assert not any(name.startswith("visual.") for name in moved)

    def test_a_mixed_batch(self, make_nlp):
        nlp = make_nlp(model={"@architectures": "spacy_bga.BGAModel.v2", "contrast_weight": 1.0})
        texts, pictures = make_examples(nlp)[:3], make_examples(nlp, labels=False, images=True)[3:]
        losses = nlp.update([pictures[0], texts[0], make_example(nlp, "a b", None), *texts[1:], *pictures[1:]])
        assert all(losses[key] > 0 for key in TERMS)
        assert losses["bga_ner"] == pytest.approx(sum(losses[key] for key in TERMS - {"bga_ner"}), rel=1e-5)

    @pytest.mark.parametrize("texts", [[], ["a b c"], [""], [" \n"], ["", "a b c", " "]])
    def test_nothing_to_learn(self, make_nlp, texts: list[str]):
        nlp = make_nlp()
        train(nlp, make_examples(nlp, images=True), steps=2)
        before = weights(nlp)
        examples = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in texts]
        assert pipe_of(nlp).update(examples, sgd=nlp.resume_training()) == dict.fromkeys(TERMS, 0.0)
        assert not changed(before, weights(nlp))

    def test_losses_add_up_over_calls(self, make_nlp):
        nlp = make_nlp()
        losses = {"other": 1.0}
        first = nlp.update(make_examples(nlp), sgd=False)["bga_ner"]
        assert pipe_of(nlp).update(make_examples(nlp), losses=losses) is losses
        nlp.update(make_examples(nlp), sgd=False, losses=losses)
        assert losses["bga_ner"] == pytest.approx(2 * first, rel=1e-4)
        assert losses["other"] == 1.0

    def test_gradients_wait_for_finish_update(self, make_nlp):
        nlp = make_nlp()
        before = weights(nlp)
        head: Any = aligner_of(nlp).head.weight
        pipe_of(nlp).update(make_examples(nlp))
        once = head.grad.clone()
        pipe_of(nlp).update(make_examples(nlp))
        assert torch.allclose(head.grad, 2 * once, rtol=1e-3, atol=0.01)  # sampling is random in training
        assert not changed(before, weights(nlp))
        pipe_of(nlp).finish_update(nlp.resume_training())
        assert "head.weight" in changed(before, weights(nlp))
        assert not gradients(nlp)

    def test_dropout_reaches_torch(self, make_nlp):
        nlp = make_nlp()
        aligner: Any = aligner_of(nlp)
        for rate in (0.4, 0.0):
            nlp.update(make_examples(nlp), drop=rate, sgd=False)
            rates = {
                module.p
                for part in (aligner.text_encoder, aligner.generators, aligner.visual.generators, aligner.dropout)
                for module in part.modules()
                if isinstance(module, torch.nn.Dropout)
            }
            assert rates == {rate}

    def test_a_part_without_a_rate_is_frozen_from_the_first_step(self, make_nlp):
        nlp = make_nlp(rate_scales={"encoder": 0.0})
        aligner: Any = aligner_of(nlp)
        nlp.update(make_examples(nlp), drop=0.4, sgd=False)
        assert any(name.startswith("generators.") for name in gradients(nlp))
        assert not any(name.startswith("text_encoder.") for name in gradients(nlp))
        dropouts = [module for module in aligner.text_encoder.modules() if isinstance(module, torch.nn.Dropout)]
        assert {module.p for module in dropouts} == {0.0}
        assert aligner.dropout.p == 0.4

    def test_dropout_changes_training_and_not_tagging(self, make_nlp, monkeypatch: pytest.MonkeyPatch):
        nlp = make_nlp(model={"sample": False})
        docs = [nlp.make_doc("love paris !")]

        def losses(rate: float) -> set[float]:
            return {nlp.update(make_examples(nlp), sgd=False, drop=rate)["bga_ner"] for _ in range(3)}

        assert len(losses(0.0)) == 1
        assert len(losses(0.5)) == 3
        assert np.array_equal(emissions(nlp, docs, monkeypatch), emissions(nlp, docs, monkeypatch))


class TestMissingAnnotation:
    def test_none_at_all_gives_no_crf_loss(self, make_nlp):
        nlp = make_nlp()
        known = make_examples(nlp)
        alone = nlp.update(known, sgd=False)["bga_ner_crf"]
        beside = nlp.update([*known, make_example(nlp, "new york is a b c", None)], sgd=False)["bga_ner_crf"]
        # The mean is over annotated documents; sampling is random in training, so not to the last digit
        assert beside == pytest.approx(alone, rel=0.02)

    def test_no_entities_is_annotation(self, make_nlp):
        nlp = make_nlp()
        assert nlp.update([make_example(nlp, "is the in", [])], sgd=False)["bga_ner_crf"] > 0

    def test_partly_missing(self, make_nlp):
        nlp = make_nlp(text_only=True)
        example = make_example(nlp, "kevin is in paris", None)
        reference = example.reference
        reference.set_ents([Span(reference, 0, 1, label="PER")], missing=[reference[3:4]], default="outside")
        train(nlp, [example, make_example(nlp, "love paris", [(1, 2, "LOC")])], steps=60)
        doc = nlp("kevin is in paris")
        assert (0, 1, "PER") in found(doc)  # what was known; paris was free to be anything
        assert not doc[1].ent_type_
        assert not doc[2].ent_type_
        whole = make_example(nlp, "kevin is in paris", [(0, 1, "PER")])
        assert nlp.update([example], sgd=False)["bga_ner_crf"] < nlp.update([whole], sgd=False)["bga_ner_crf"]

    def test_another_tokenization(self, make_nlp):
        nlp = make_nlp(text_only=True)
        predicted = Doc(nlp.vocab, words=["new", "york", "is", "a", "love"])
        reference = Doc(nlp.vocab, words=["new york", "is", "a", "love"])
        reference.set_ents([Span(reference, 0, 1, label="LOC")])
        train(nlp, [Example(predicted, reference)], steps=30)
        assert found(nlp("new york is a love")) == [(0, 2, "LOC")]


class TestTagging:
    def test_odd_texts_keep_their_order(self, tagger: Language):
        docs = list(tagger.pipe(ODD_TEXTS))
        assert [doc.text for doc in docs] == ODD_TEXTS
        assert [found(doc) for doc in docs[9:]] == [ents for _, ents in POSTS]
        assert all(doc.has_annotation("ENT_IOB") for doc in docs if len(doc))
        assert all(not ent[0].is_space and not ent[-1].is_space for doc in docs for ent in doc.ents)

    @pytest.mark.parametrize("text", ODD_TEXTS[:9])
    def test_one_by_one(self, tagger: Language, text: str):
        doc = tagger(text)
        assert doc.text == text
        assert found(doc) == found(next(tagger.pipe([text])))

    def test_nothing_at_all(self, tagger: Language):
        assert list(tagger.pipe([])) == []
        assert pipe_of(tagger).predict([]) == []

    @pytest.mark.parametrize("batch_size", [1, 7, 64])
    def test_batches_change_nothing(self, tagger: Language, batch_size: int):
        texts = [*ODD_TEXTS, *(" ".join(text for text, _ in POSTS[:n]) for n in range(1, 6))] * 2
        random.Random(batch_size).shuffle(texts)
        alone = {text: found(tagger(text)) for text in set(texts)}
        assert [found(doc) for doc in tagger.pipe(texts, batch_size=batch_size)] == [alone[text] for text in texts]

    @settings(max_examples=25, derandomize=True)
    @given(st.lists(st.text(max_size=30), max_size=6))
    def test_any_text(self, tagger: Language, texts: list[str]):
        docs = list(tagger.pipe(texts))
        assert [found(doc) for doc in docs] == [found(tagger(text)) for text in texts]
        assert all(ent.text.strip() == ent.text for doc in docs for ent in doc.ents if not ent.text[0].isspace())

    def test_a_document_of_5000_tokens(self, tagger: Language):
        text = " ".join(["kevin durant is a love !"] * 834)[: -len(" is a love !")]
        doc = tagger(text)
        assert len(doc) > 4900
        # Far from its margins, every window sees the same
        assert doc[len(doc) - 1].ent_iob_ in "BIO"
        assert found(doc) == found(next(tagger.pipe([text])))
        assert len({ent.start for ent in doc.ents}) > 500

    @pytest.mark.parametrize("max_wordpieces", [1, 40, 10_000, None])
    def test_memory_setting_changes_nothing(self, trained: Language, max_wordpieces: int | None):
        expected = [found(doc) for doc in trained.pipe(ODD_TEXTS)]
        pipe_of(trained).max_wordpieces = max_wordpieces
        assert [found(doc) for doc in trained.pipe(ODD_TEXTS)] == expected

    def test_an_endless_stream_leaves_nothing_behind(self, tagger: Language):
        with tagger.memory_zone():
            assert [found(doc) for doc in tagger.pipe(text for text, _ in POSTS)] == [ents for _, ents in POSTS]
            tagger("zzyzx is the in")
        assert "zzyzx" not in tagger.vocab.strings
        assert [ent.label_ for ent in tagger(POSTS[0][0]).ents] == ["PER", "ORG", "LOC"]

    def test_white_space_between_is_transparent(self, tagger: Language):
        doc = tagger("apple is in new  \n york")
        assert [ent.text for ent in doc.ents] == ["apple", "new  \n york"]


class TestEntitiesBefore:
    @pytest.fixture
    def ruled(self, trained: Language) -> Language:
        ruler: Any = trained.add_pipe("entity_ruler", before="bga_ner")
        ruler.add_patterns([{"label": "CITY", "pattern": "oakland", "id": "oak"}, {"label": "X", "pattern": "durant"}])
        return trained

    def test_they_are_kept(self, ruled: Language):
        doc = ruled("kevin durant joins the warriors in oakland")
        assert (1, 2, "X") in found(doc)
        assert (6, 7, "CITY") in found(doc)
        assert (4, 5, "ORG") in found(doc)
        assert doc.ents[-1].id_ == "oak"
        assert not any(span[0] <= 1 < span[1] and span[2] == "PER" for span in found(doc))

    def test_or_replaced(self, ruled: Language):
        pipe_of(ruled).overwrite = True
        assert found(ruled(POSTS[0][0])) == POSTS[0][1]

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_blocked_tokens_stay_blocked(self, trained: Language, overwrite: bool):
        pipe_of(trained).overwrite = overwrite
        doc = trained.make_doc("apple is in new york")
        doc.set_ents([], blocked=[doc[0:1]], default="unmodified")
        doc = pipe_of(trained)(doc)
        assert found(doc) == [(3, 5, "LOC")]
        assert pipe_of(trained)(doc).ents == doc.ents  # the mark is still there

    def test_twice_is_once(self, tagger: Language):
        doc = tagger(POSTS[0][0])
        assert found(pipe_of(tagger)(doc)) == POSTS[0][1]


class TestErrors:
    @pytest.fixture
    def fragile(self, trained: Language, monkeypatch: pytest.MonkeyPatch) -> Language:
        """Fails at documents with "kevin" in them."""
        wordpieces = get_shim(pipe_of(trained).model).wordpieces
        split = wordpieces.split

        def fail(words):
            if "kevin" in words:
                raise RuntimeError("no kevin, please")
            return split(words)

        monkeypatch.setattr(wordpieces, "split", fail)
        return trained

    def test_raised_without_a_handler(self, fragile: Language):
        with pytest.raises(RuntimeError, match="no kevin"):
            list(fragile.pipe(text for text, _ in POSTS))
        with pytest.raises(RuntimeError, match="no kevin"):
            fragile(POSTS[0][0])

    def test_a_handler_gets_the_document_that_failed(self, fragile: Language):
        failed: list[tuple[str, list[str], str]] = []

        def handle(name: str, proc: object, docs: list[Doc], error: Exception) -> Any:
            failed.append((name, [doc.text for doc in docs], str(error)))

        fragile.set_error_handler(handle)
        docs = list(fragile.pipe(text for text, _ in POSTS))
        bad = [text for text, _ in POSTS if "kevin" in text]
        assert failed == [("bga_ner", [text], "no kevin, please") for text in bad]
        good = [(text, ents) for text, ents in POSTS if text not in bad]
        assert [(doc.text, found(doc)) for doc in docs] == good


class TestImagesAreNotLookedAt:
    def test_emissions_are_the_same_bits(self, tagger: Language, monkeypatch: pytest.MonkeyPatch):
        def refuse(*_, **__):
            raise AssertionError("an image was read")

        for name in ("decode_image", "image_digest", "read_bytes", "get_images"):
            monkeypatch.setattr(f"spacy_bga.corpus.images.{name}", refuse)
        for name in ("decode_image", "image_digest", "ImageFeatures.prepare"):
            monkeypatch.setattr(f"spacy_bga.pipeline.features.{name}", refuse)
        plain = [tagger.make_doc(text) for text, _ in POSTS]
        pictured = [tagger.make_doc(text) for text, _ in POSTS]
        values = [encode_picture(0), b"no image", "no/such.png", [encode_picture(1), encode_picture(2)], 3, None]
        for doc, value in zip(pictured, values, strict=True):
            doc._.image = value
        assert np.array_equal(emissions(tagger, plain, monkeypatch), emissions(tagger, pictured, monkeypatch))
        assert [found(doc) for doc in tagger.pipe(pictured)] == [ents for _, ents in POSTS]

    def test_gone_visual_branch_changes_nothing(self, trained: Language, monkeypatch: pytest.MonkeyPatch):
        docs = [trained.make_doc(text) for text, _ in POSTS]
        before = emissions(trained, docs, monkeypatch)
        aligner_of(trained).drop_visual_branch()
        assert np.array_equal(before, emissions(trained, docs, monkeypatch))


class TestProcesses:
    @pytest.mark.timeout(60)
    def test_two_processes(self, tagger: Language):
        tagger("x")
        texts = [*ODD_TEXTS, *(text for text, _ in POSTS)] * 3
        expected = [found(doc) for doc in tagger.pipe(texts)]
        assert [found(doc) for doc in tagger.pipe(texts, n_process=2, batch_size=5)] == expected

    @pytest.mark.timeout(60)
    def test_when_torch_has_started_its_threads(self, trained_folder: Path):
        code = (
            "import sys, torch, spacy\n"
            "torch.set_num_threads(3)\n"
            "a = torch.ones(900, 900); a @ a\n"
            "nlp = spacy.load(sys.argv[1])\n"
            "text = 'kevin durant joins the warriors in oakland'\n"
            "alone = [e.text for e in nlp(' '.join([text] * 60)).ents]\n"
            "docs = nlp.pipe([' '.join([text] * 60)] * 4, n_process=2, batch_size=1)\n"
            "assert all([e.text for e in d.ents] == alone for d in docs) and alone\n"
            "print('same')\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, str(trained_folder)], capture_output=True, text=True, timeout=50, check=False
        )
        assert run.stdout.strip() == "same", run.stderr


class TestSourcing:
    def test_into_another_pipeline(self, tagger: Language):
        other = spacy.blank("en")
        other.add_pipe("bga_ner", source=tagger)
        assert found(other(POSTS[0][0])) == POSTS[0][1]
        assert other.config["components"]["bga_ner"] == tagger.config["components"]["bga_ner"]
