"""Documents to tensors and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.pipeline.bridge import collate, get_shim, image_features, predict_tags
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, make_example, make_examples, pipe_of

MakeNlp = Callable[..., Language]


def test_a_batch_holds_what_can_be_learnt_from(make_nlp: MakeNlp):
    nlp = make_nlp()
    model = pipe_of(nlp).model
    features = image_features(model, folder=None, on_missing="ignore")
    long = " ".join(["love"] * 70)
    examples = [
        make_example(nlp, "a b", None),
        make_example(nlp, long, []),
        make_example(nlp, "love paris", None, image=encode_picture(0)),
        make_example(nlp, "is the in", [], image=b"broken"),
        make_example(nlp, long, None, image=encode_picture(1)),
    ]
    images = [pipe_of(nlp).images.of(example) for example in examples]
    batch: Any = collate(model, examples, images, features)
    assert batch.text.lengths == (70, 2, 3, 70)
    # Of a long document, the first window pairs with its image
    n_windows = len(get_shim(model).wordpieces.windows([get_shim(model).wordpieces.split(["love"] * 70)]))
    assert n_windows > 1
    assert batch.images.rows.tolist() == [n_windows, n_windows + 2]
    assert batch.allowed.shape == (4, 70, 7)
    allowed = [rows[:length] for rows, length in zip(batch.allowed, batch.text.lengths, strict=True)]
    assert [bool(rows.all()) for rows in allowed] == [False, True, False, True]
    assert not allowed[2][:, 1:].any()
    assert collate(model, examples[:1], images[:1], features) is None
    assert collate(model, [], [], None) is None


def test_a_token_is_the_mean_of_its_wordpieces(make_nlp: MakeNlp):
    """Word by word, against the aligner run by hand."""
    nlp = make_nlp()
    shim = get_shim(pipe_of(nlp).model)
    aligner = shim.aligner.eval()
    pieces = [shim.wordpieces.split(["kevin", "zed", "\u200d", "paris"])]
    batch = shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))
    with torch.inference_mode():
        hidden = aligner.encode(batch).hidden[0]
        rows = [hidden[1], hidden[2:5].mean(0), torch.zeros(16), hidden[5]]
        expected = aligner.head(torch.stack(rows))
    assert torch.allclose(aligner.tag([batch]), expected, atol=1e-5)


def test_best_tags_of_taken_tokens_are_outside(tagger: Language):
    component = pipe_of(tagger)
    docs = [tagger.make_doc(text) for text, _ in POSTS]
    free = predict_tags(component.model, docs, max_wordpieces=64, overwrite=False)
    assert all(
        found.tags.dtype == np.int64 and len(found.tags) == len(doc) for found, doc in zip(free, docs, strict=True)
    )
    docs[0].set_ents([Span(docs[0], 0, 1, label="X")])
    taken = predict_tags(component.model, docs, max_wordpieces=64, overwrite=False)
    assert free[0].tags[0] > 0 == taken[0].tags[0]
    assert all(np.array_equal(a.tags, b.tags) for a, b in zip(free[1:], taken[1:], strict=True))
    replaced = predict_tags(component.model, docs, max_wordpieces=64, overwrite=True)
    assert np.array_equal(replaced[0].tags, free[0].tags)


@pytest.mark.parametrize("padded", [False, True])
def test_padding_counts_only_where_it_is_computed(tagger: Language, monkeypatch: pytest.MonkeyPatch, padded: bool):
    """Of windows of 3 and 12 wordpieces: 27 in all, 36 with padding."""
    component, shapes = pipe_of(tagger), []
    aligner = get_shim(component.model).aligner
    own = aligner.tag

    def tag(chunks: Any, *args: Any, **settings: Any) -> torch.Tensor:
        chunks = list(chunks)
        shapes.extend(tuple(chunk.ids.shape) for chunk in chunks)
        return own(chunks, *args, **settings)

    def run(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*ids.shape, aligner.text_encoder.width)

    monkeypatch.setattr(aligner, "tag", tag)
    monkeypatch.setattr(get_shim(component.model).graph, "encoder", lambda aligner, *_: run if padded else None)
    docs = [Doc(tagger.vocab, words=["love"] * number) for number in (1, 10, 10)]
    predict_tags(component.model, docs, max_wordpieces=27, overwrite=False)
    assert shapes == ([(1, 3), (2, 12)] if padded else [(3, 12)])


@pytest.mark.parametrize("words", [["\u200d"], ["\x00", "\ufe0f"]])
def test_documents_without_wordpieces(tagger: Language, words: list[str]):
    docs = [Doc(tagger.vocab, words=words), tagger.make_doc("")]
    found = pipe_of(tagger).predict(docs)
    assert [len(tagging.tags) for tagging in found] == [len(words), 0]
    beside = pipe_of(tagger).predict([*docs, tagger.make_doc("love paris !")])
    assert np.array_equal(beside[0].tags, found[0].tags)


def test_losses_do_not_depend_on_neighbours(make_nlp: MakeNlp):
    """The mean over documents of one batch is the mean of the documents alone."""
    nlp = make_nlp(model={"sample": False})
    examples = make_examples(nlp)
    together = pipe_of(nlp).update(examples)["bga_ner_crf"]
    alone = [pipe_of(nlp).update([example])["bga_ner_crf"] for example in examples]
    assert together == pytest.approx(np.mean(alone), rel=1e-4)
