"""Pipelines whose words generate what they look like: the same tags by every way, and what is taken up of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.reliability.tiny import write_text_encoder, write_vision_encoder
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, aligner_of, found, make_examples, pipe_of, train
from tests.pipeline.test_bga_ner import ODD_TEXTS
from tests.pipeline.words import TEXTS, make_pairs, name_post, words_pipeline

LONG = " ".join([POSTS[0][0]] * 20)  # of several windows
TAGGED = [*ODD_TEXTS, LONG]


@pytest.fixture(scope="module")
def words_folder(
    text_encoder_folder: Path, vision_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Trained on the posts with labels and images, saved with its visual branch."""
    nlp = words_pipeline(
        text_encoder_folder,
        vision_encoder_folder,
        lambda nlp: make_examples(nlp, images=True),
        initialize={"align_steps": 30},
        trust=0.7,
        save_visual_branch=True,
    )
    train(nlp, make_examples(nlp, images=True), steps=80, rate=0.005)
    folder = tmp_path_factory.mktemp("words") / "pipeline"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def loaded(words_folder: Path) -> Language:
    return spacy.load(words_folder)


@pytest.fixture(scope="module")
def expected(words_folder: Path) -> list[list[tuple[int, int, str]]]:
    nlp = spacy.load(words_folder)
    entities = [found(nlp(text)) for text in TAGGED]
    assert sum(map(len, entities)) > 20
    return entities


def emissions(nlp: Language, texts: Sequence[str] = TAGGED) -> np.ndarray:
    """RETURNS (np.ndarray): (tokens, L) what the CRF is given, whatever the backend."""
    shim = get_shim(pipe_of(nlp).model)
    docs = [nlp.make_doc(text) for text in texts]
    pieces = [shim.wordpieces.split([token.text for token in doc if not token.is_space]) for doc in docs]
    chunks = [shim.wordpieces.batch(pieces, windows) for windows in shim.wordpieces.chunks(pieces, 200)]
    assert len(chunks) > 1
    if shim.aligner.training:  # as the component does: each time it is said, words are forgotten
        shim.aligner.eval()
    return shim.aligner.tag(chunks, encode=shim.graph.encoder(shim.aligner)).numpy()


# The same tags by every way


@pytest.mark.parametrize(("size", "wordpieces"), [(1, None), (4, 64), (100, None)])
def test_in_batches(loaded: Language, expected, size: int, wordpieces: int | None):
    pipe_of(loaded).max_wordpieces = wordpieces
    assert [found(doc) for doc in loaded.pipe(TAGGED, batch_size=size)] == expected


@pytest.mark.parametrize("slim", [False, True])
def test_saved_again(loaded: Language, expected, slim: bool, tmp_path: Path):
    """With the visual branch and without, in a folder and in bytes."""
    pipe_of(loaded).model.shims[0].save_visual_branch = not slim
    before = emissions(loaded)
    loaded.to_disk(tmp_path)
    again = [spacy.load(tmp_path), spacy.load(tmp_path).from_bytes(loaded.to_bytes())]
    for nlp in again:
        assert (aligner_of(nlp).visual is None) is slim
        assert aligner_of(nlp).config.words
        np.testing.assert_allclose(emissions(nlp), before, atol=1e-5)
        assert [found(doc) for doc in nlp.pipe(TAGGED)] == expected


def test_in_two_processes(loaded: Language, expected):
    assert [found(doc) for doc in loaded.pipe(TAGGED, n_process=2, batch_size=5)] == expected


@pytest.mark.parametrize("backend", ["onnx", "auto"])
def test_by_an_exported_graph(words_folder: Path, expected, tmp_path: Path, backend: str):
    """What words look like, and what is read of that, torch computes beside it."""
    pytest.importorskip("onnxruntime")
    nlp = spacy.load(words_folder, config={"components.bga_ner.backend": backend})
    assert [found(doc) for doc in nlp.pipe(TAGGED)] == expected
    assert [found(nlp(text)) for text in TAGGED] == expected
    plain = emissions(spacy.load(words_folder))
    np.testing.assert_allclose(emissions(nlp), plain, atol=1e-4)
    nlp.to_disk(tmp_path)
    assert [found(doc) for doc in spacy.load(tmp_path).pipe(TAGGED)] == expected


def test_words_are_remembered_until_weights_change(loaded: Language, words_folder: Path):
    """After an update, and after one whose gradients are applied later, when texts have been tagged meanwhile."""
    optimizer = loaded.resume_training()
    for at_once in (True, False):
        before = emissions(loaded)
        assert aligner_of(loaded).words.memory._known[1]
        loaded.update(make_examples(loaded), sgd=optimizer if at_once else False, losses={})
        if not at_once:
            np.testing.assert_array_equal(emissions(loaded), before)
            pipe_of(loaded).finish_update(optimizer)
        after = emissions(loaded)
        assert np.abs(after - before).max() > 1e-3
        fresh = spacy.load(words_folder).from_bytes(loaded.to_bytes())
        np.testing.assert_allclose(emissions(fresh), after, atol=1e-5)


def test_what_words_look_like_matters(loaded: Language):
    before = emissions(loaded)
    aligner_of(loaded).context = "zero"
    assert not np.allclose(emissions(loaded), before, atol=1e-2)


def test_images_are_not_looked_at(loaded: Language, expected):
    """There is nowhere to put them: "auto" does without, and who asks for real features is told so."""
    docs = [Doc(loaded.vocab, words=POSTS[i % 6][0].split(" ")) for i in range(8)]
    for doc in docs:
        doc._.image = encode_picture(3)
    pipe_of(loaded).visual_context = "auto"
    tagged = [found(doc) for doc in loaded.pipe(docs)]
    assert tagged == [found(loaded(Doc(loaded.vocab, words=[token.text for token in doc]))) for doc in docs]
    pipe_of(loaded).visual_context = "real"
    with pytest.raises(BGAError, match="B133"):
        loaded(POSTS[0][0])


def test_a_new_label(loaded: Language):
    texts = [text for text, _ in POSTS]
    before = emissions(loaded, [*texts, LONG])
    pipe_of(loaded).add_label("NEW")
    after = emissions(loaded, [*texts, LONG])
    assert after.shape[1] == before.shape[1] + 2
    np.testing.assert_allclose(after[:, : before.shape[1]], before, atol=1e-5)
    losses = loaded.update(make_examples(loaded), sgd=loaded.resume_training())
    assert losses["bga_ner_crf"] > 0


def test_rates_of_its_parts(loaded: Language):
    """The generator of words is one of the generators, what reads it has a rate of its own."""
    for frozen, moves in (({"generator": 0.0}, {"reader"}), ({"reader": 0.0}, {"words"})):
        shim = get_shim(pipe_of(loaded).model)
        shim.set_rate_scales({"generator": 1.0, "reader": 1.0} | frozen)
        shim.reset_optimizer()
        aligner_of(loaded).requires_grad_(True)
        before = {name: tensor.clone() for name, tensor in aligner_of(loaded).state_dict().items()}
        train(loaded, make_examples(loaded, images=True), steps=2)
        moved = {name.split(".")[0] for name, t in aligner_of(loaded).state_dict().items() if not t.equal(before[name])}
        assert moved & {"words", "reader"} == moves


def test_the_wordpieces_embeddings_stay(loaded: Language):
    table = aligner_of(loaded).text_encoder.word_embeddings.weight
    before = table.detach().clone()
    train(loaded, make_examples(loaded, images=True), steps=3)
    assert torch.equal(table, before)


def test_where_pictures_tell_nothing_the_tagger_is_that_of_text_alone(encoders: tuple[Path, Path]):
    """With the same seed, to the last digit, and its embeddings learn as well."""

    def labelled(nlp: Language) -> list[Example]:
        return [name_post(nlp, text, name, LABELLED[name]) for name in LABELLED for text in TEXTS[:2]]

    def with_pictures(nlp: Language) -> list[Example]:
        return make_pairs(nlp, dict.fromkeys(NAMES, "PER"), per_name=1) + labelled(nlp)

    ways = ((with_pictures, {}), (labelled, {"vision_encoder": None}))
    first, second = (
        words_pipeline(*encoders, way, model=model, initialize=steps)
        for (way, model), steps in zip(ways, ({"align_steps": 20}, {}), strict=True)
    )
    table = aligner_of(first).text_encoder.word_embeddings.weight
    before = table.detach().clone()
    for nlp in (first, second):
        fix_random_seed(1)
        train(nlp, labelled(nlp), steps=6, rate=0.001, drop=0.1)
    assert not torch.equal(table, before)
    texts = [text.format(name) for name in NAMES for text in TEXTS]
    np.testing.assert_array_equal(emissions(first, texts), emissions(second, texts))


def test_a_config_of_the_first_version_loads_as_it_was(words_folder: Path, make_nlp, tmp_path: Path):
    """It says nothing of words; what was saved with it has none."""
    nlp = make_nlp()
    nlp.to_disk(tmp_path)
    model = spacy.load(tmp_path).config["components"]["bga_ner"]["model"]
    assert model["@architectures"] == "spacy_bga.BGAModel.v1"
    assert not any(name.startswith("word") for name in model)
    assert aligner_of(spacy.load(tmp_path)).words is None
    later = spacy.load(words_folder).config["components"]["bga_ner"]["model"]
    assert later["@architectures"] == "spacy_bga.BGAModel.v2"
    assert later["words"] is True


# What is taken up


NAMES = {f"n{chr(97 + i // 26)}{chr(97 + i % 26)}": ("PER", "LOC")[i % 2] for i in range(32)}
LABELLED, SHOWN = dict(list(NAMES.items())[:16]), dict(list(NAMES.items())[16:])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Random ones; each name is a wordpiece, whose form says nothing."""
    fillers = {word for text in TEXTS for word in text.split(" ") if word != "{}"}
    text = write_text_encoder(tmp_path_factory.mktemp("text"), words=[*sorted(fillers), *NAMES])
    return text, write_vision_encoder(tmp_path_factory.mktemp("vision"))


def known(encoders: tuple[Path, Path], *, shuffled: bool) -> int:
    """Train on pairs of all names with pictures of their kinds, or of kinds drawn by chance, and on labelled posts of
    half of the names.

    RETURNS (int): How many of the other names, which were never labelled, are found with their labels.
    """

    def labelled(nlp: Language) -> list[Example]:
        return [name_post(nlp, text, name, LABELLED[name]) for name in LABELLED for text in TEXTS[:5]]

    def examples(nlp: Language) -> list[Example]:
        pairs = make_pairs(nlp, NAMES)
        if shuffled:
            images = [pair.reference._.image for pair in pairs]
            for pair, number in zip(pairs, np.random.default_rng(0).permutation(len(pairs)), strict=True):
                pair.reference._.image = images[number]
        return pairs + labelled(nlp)

    nlp = words_pipeline(*encoders, examples, initialize={"align_steps": 600})
    train(nlp, labelled(nlp), steps=160, rate=0.001, drop=0.1)
    posts = [name_post(nlp, TEXTS[5], name, SHOWN[name]) for name in SHOWN]
    return sum(set(found(post.reference)) <= set(found(nlp(post.predicted))) for post in posts)


def test_a_name_that_is_only_shown_gets_the_label_of_those_that_look_alike(encoders: tuple[Path, Path]):
    assert known(encoders, shuffled=False) >= 12  # of 16; 8 by chance


def test_pictures_of_anything_teach_no_label(encoders: tuple[Path, Path]):
    assert known(encoders, shuffled=True) <= 9
