"""Tagging with the real image of those documents that have one, and beginning from an aligner that saw images."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import ConfigValidationError

from spacy_bga.errors import BGAError, ImageError
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, architecture, found, make_examples, pipe_of

TEXTS = [text for text, _ in POSTS]


def emissions(nlp: Language, docs: list[Doc], monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    tag = aligner_of(nlp).tag
    with monkeypatch.context() as patch:
        patch.setattr(aligner_of(nlp), "tag", lambda *args, **settings: seen.append(tag(*args, **settings)) or seen[-1])
        pipe_of(nlp).predict(docs)
    return seen[0]


def make_docs(nlp: Language, image: object, *, only: int | None = None) -> list[Doc]:
    """The posts, all with this image, or only one of them."""
    docs = [Doc(nlp.vocab, words=text.split(" ")) for text in TEXTS]
    for i, doc in enumerate(docs):
        if only in (None, i):
            doc._.image = image
    return docs


class TestReal:
    @pytest.fixture
    def real(self, trained: Language) -> Language:
        pipe_of(trained).visual_context = "real"
        return trained

    def test_the_image_matters_to_its_own_text_alone(self, real: Language, monkeypatch: pytest.MonkeyPatch):
        without = emissions(real, make_docs(real, None), monkeypatch)
        only_first = emissions(real, make_docs(real, encode_picture(3), only=0), monkeypatch)
        length = len(TEXTS[0].split(" "))
        assert not torch.allclose(without[:length], only_first[:length], atol=1e-4)
        torch.testing.assert_close(without[length:], only_first[length:], atol=1e-5, rtol=1e-5)

    def test_another_image_makes_a_difference(self, real: Language, monkeypatch: pytest.MonkeyPatch):
        first, second = (emissions(real, make_docs(real, encode_picture(i)), monkeypatch) for i in (0, 5))
        assert not torch.allclose(first, second, atol=1e-4)

    def test_by_default_no_image_is_looked_at(self, trained: Language, monkeypatch: pytest.MonkeyPatch):
        without = emissions(trained, make_docs(trained, None), monkeypatch)
        assert torch.equal(without, emissions(trained, make_docs(trained, b"no image at all"), monkeypatch))

    def test_paths_are_found_below_the_root(self, real: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        (tmp_path / "a.png").write_bytes(encode_picture(3))
        pipe_of(real).image_root = tmp_path
        by_path = emissions(real, make_docs(real, "a.png"), monkeypatch)
        assert torch.equal(by_path, emissions(real, make_docs(real, encode_picture(3)), monkeypatch))

    def test_a_path_needs_a_root(self, real: Language):
        with pytest.raises(BGAError, match="B207"):
            pipe_of(real).predict(make_docs(real, "a.png"))

    @pytest.mark.parametrize("image", [b"no image at all", "../out.png", "missing.png"])
    def test_a_bad_image_is_warned_about_and_done_without(self, real: Language, tmp_path: Path, image: object):
        pipe_of(real).image_root = tmp_path
        wanted = [found(doc) for doc in real.pipe(make_docs(real, None))]
        with pytest.warns(UserWarning, match="W201"):
            docs = list(real.pipe(make_docs(real, image)))
        assert [found(doc) for doc in docs] == wanted
        pipe_of(real).on_missing = "error"
        with pytest.raises(ImageError):
            pipe_of(real).predict(make_docs(real, image))

    def test_a_file_may_be_another_one_the_next_time(
        self, real: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        pipe_of(real).image_root = tmp_path
        seen = []
        for i in (3, 5):
            (tmp_path / "upload.png").write_bytes(encode_picture(i))
            seen.append(emissions(real, make_docs(real, "upload.png"), monkeypatch))
        assert torch.equal(seen[1], emissions(real, make_docs(real, encode_picture(5)), monkeypatch))
        assert not torch.allclose(seen[0], seen[1], atol=1e-4)

    def test_memory_does_not_grow_with_the_images(
        self, real: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("spacy_bga.pipeline.features.MOST_KEPT", 3)
        pipe_of(real).image_root = pipe_of(real).feature_cache = tmp_path
        pipe_of(real).on_missing = "ignore"
        for i in range(12):
            pipe_of(real).predict(make_docs(real, encode_picture(i), only=0))
            pipe_of(real).predict(make_docs(real, f"missing-{i}.png", only=0))
        pipe_of(real).predict(make_docs(real, None))
        features = pipe_of(real).images._seen
        assert len(features._cache._memory) == 3
        assert (len(features._keys), len(features.unusable)) <= (0, 3)
        assert list(tmp_path.iterdir()) == []  # nor does the training's cache

    def test_empty_and_white_space(self, real: Language):
        for text in ("", " ", "\n\t"):
            doc = real.make_doc(text)
            doc._.image = encode_picture(0)
            assert real(doc).ents == ()

    def test_a_slim_pipeline_says_what_it_lacks(self, trained: Language, tmp_path: Path):
        pipe_of(trained)._shim.save_visual_branch = False
        trained.to_disk(tmp_path)
        slim = spacy.load(tmp_path, config={"components": {"bga_ner": {"visual_context": "real"}}})
        with pytest.raises(BGAError, match="B107"):
            pipe_of(slim).predict(make_docs(slim, encode_picture(0)))


class TestAuto:
    @pytest.fixture
    def auto(self, trained: Language) -> Language:
        pipe_of(trained).visual_context = "auto"
        return trained

    @pytest.fixture
    def slim_folder(self, trained: Language, tmp_path: Path) -> Path:
        pipe_of(trained)._shim.save_visual_branch = False
        trained.to_disk(tmp_path / "slim")
        return tmp_path / "slim"

    def test_each_document_gets_what_it_has(self, auto: Language, monkeypatch: pytest.MonkeyPatch):
        """A mixed batch is, document by document, what "real" and "generated" would make of it."""
        mixed = emissions(auto, make_docs(auto, encode_picture(3), only=2), monkeypatch)
        pipe_of(auto).visual_context = "real"
        real = emissions(auto, make_docs(auto, encode_picture(3)), monkeypatch)
        pipe_of(auto).visual_context = "generated"
        generated = emissions(auto, make_docs(auto, encode_picture(3)), monkeypatch)
        lengths = [len(text.split(" ")) for text in TEXTS]
        by_document = (part.split(lengths) for part in (mixed, real, generated))
        for i, (ours, seen, unseen) in enumerate(zip(*by_document, strict=True)):
            torch.testing.assert_close(ours, seen if i == 2 else unseen, atol=1e-5, rtol=1e-5)
            assert not torch.allclose(seen, unseen, atol=1e-4)

    def test_without_a_visual_branch_features_are_generated(self, slim_folder: Path, tagger: Language):
        slim = spacy.load(slim_folder, config={"components": {"bga_ner": {"visual_context": "auto"}}})
        for image in (None, encode_picture(0), b"no image at all", "no/root.png", ["a.png", b"crop"]):
            docs = list(slim.pipe(make_docs(slim, image)))
            assert [found(doc) for doc in docs] == [found(doc) for doc in tagger.pipe(TEXTS)]

    def test_a_text_only_pipeline_tags(self, make_nlp):
        nlp = make_nlp(text_only=True, visual_context="auto")
        expected = [found(doc) for doc in nlp.pipe(make_docs(nlp, None))]
        assert [found(doc) for doc in nlp.pipe(make_docs(nlp, encode_picture(0)))] == expected

    @pytest.mark.parametrize("rooted", [False, True])
    @pytest.mark.parametrize("image", [b"no image at all", "../out.png", "missing.png", ["broken.png", b"crop"]])
    def test_an_unreadable_image_costs_a_warning(
        self, auto: Language, tmp_path: Path, image: object, rooted: bool, monkeypatch: pytest.MonkeyPatch
    ):
        (tmp_path / "broken.png").write_bytes(encode_picture(0)[:60])
        pipe_of(auto).image_root = tmp_path if rooted else None
        without = emissions(auto, make_docs(auto, None), monkeypatch)
        with pytest.warns(UserWarning, match="W201") as warned:
            assert torch.equal(emissions(auto, make_docs(auto, image), monkeypatch), without)
        assert len(warned) == 1
        pipe_of(auto).on_missing = "error"
        with pytest.raises(ImageError):
            pipe_of(auto).predict(make_docs(auto, image))

    def test_the_choice_is_saved_and_goes_to_workers(self, auto: Language, tmp_path: Path):
        auto.to_disk(tmp_path / "auto")
        loaded = spacy.load(tmp_path / "auto", config={"components.bga_ner.visual_context": "auto"})
        assert pipe_of(loaded).visual_context == "auto"
        one, two = (
            list(loaded.pipe(make_docs(loaded, encode_picture(5), only=1), n_process=n, batch_size=2)) for n in (1, 2)
        )
        assert [found(doc) for doc in one] == [found(doc) for doc in two]

    def test_empty_white_space_emoji_and_long(self, auto: Language):
        for text in ("", " ", "\n\t", "\N{THUMBS UP SIGN}", " ".join(TEXTS * 20)):
            doc = auto.make_doc(text)
            doc._.image = encode_picture(0)
            assert [token.text for token in auto(doc)] == [token.text for token in auto.make_doc(text)]

    def test_another_choice_is_refused(self, trained_folder: Path):
        with pytest.raises(ConfigValidationError, match="visual_context"):
            spacy.load(trained_folder, config={"components.bga_ner.visual_context": "sometimes"})


class TestStart:
    @pytest.mark.parametrize("inside", [False, True])
    def test_takes_over_everything(self, trained_folder: Path, tagger: Language, inside: bool, make_nlp):
        nlp = make_nlp()
        start = trained_folder / "bga_ner" / "model" if inside else trained_folder
        pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=start)
        theirs, own = aligner_of(tagger).state_dict(), aligner_of(nlp).state_dict()
        assert set(own) == set(theirs)
        assert all(torch.equal(own[name], theirs[name]) for name in own)

    def test_other_labels_get_a_new_tagger(self, trained_folder: Path, tagger: Language, make_nlp):
        nlp = make_nlp()
        pipe_of(nlp).initialize(lambda: make_examples(nlp), labels=["EVENT"], aligner=trained_folder)
        own = aligner_of(nlp).state_dict()
        assert own["head.weight"].shape[0] == 3
        for name, tensor in aligner_of(tagger).state_dict().items():
            if not name.startswith(("head.", "crf.")):
                assert torch.equal(own[name], tensor)

    @pytest.mark.parametrize(("theirs", "own"), [(0.0, 0.5), (None, 0.5), (0.5, None)])
    def test_gates_are_the_taggers(self, make_nlp, tmp_path: Path, theirs: float | None, own: float | None):
        aligned = make_nlp(model={"context_gate": theirs}, save_visual_branch=True)
        aligned.to_disk(tmp_path)
        nlp = make_nlp(model={"context_gate": own})
        pipe_of(nlp).initialize(lambda: make_examples(nlp), labels=["EVENT"], aligner=tmp_path)
        gates = [tensor for name, tensor in aligner_of(nlp).state_dict().items() if name.endswith(".context_gate")]
        assert all(bool((gate == own).all()) for gate in gates)
        assert bool(gates) == (own is not None)
        assert torch.equal(aligner_of(nlp).generators[0].queries, aligner_of(aligned).generators[0].queries)

    def test_a_text_only_aligner_takes_the_text_encoder(self, trained_folder: Path, tagger: Language, make_nlp):
        nlp = make_nlp(text_only=True)
        pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=trained_folder)
        for name, tensor in aligner_of(nlp).state_dict().items():
            if name.startswith("text_encoder."):
                assert torch.equal(aligner_of(tagger).state_dict()[name], tensor)

    def test_another_shape_is_refused(self, trained_folder: Path, make_nlp):
        nlp = make_nlp(model={"generator_width": 8})
        with pytest.raises(BGAError, match="B115"):
            pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=trained_folder)

    def test_pairs_alone_are_enough_to_align(self, text_encoder_folder: Path, vision_encoder_folder: Path):
        nlp = spacy.blank("en")
        model = architecture(text_encoder_folder, vision_encoder_folder, contrast_weight=1.0)
        nlp.add_pipe("bga_ner", config={"model": model, "score_alignment": True})
        examples = make_examples(nlp, labels=False, images=True)
        nlp.initialize(lambda: examples)
        losses = nlp.update(examples, sgd=nlp.create_optimizer())
        assert losses["bga_ner_crf"] == 0
        assert min(losses[f"bga_ner_{term}"] for term in ("recon", "cycle", "ratio", "contrast")) > 0
        assert 0 <= nlp.evaluate(examples)["align_r10"] <= 1
