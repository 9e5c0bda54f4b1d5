from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_bga.aligner.losses import contrast, summarize
from spacy_bga.aligner.memory import ImageMemory
from spacy_bga.aligner.model import BGAModel
from spacy_bga.errors import BGAError
from tests.aligner.tiny import make_allowed, make_images, make_model, make_text


@settings(max_examples=80)
@given(size=st.integers(1, 9), batches=st.lists(st.integers(0, 12), max_size=8))
def test_it_keeps_the_last_ones(size: int, batches: list[int]) -> None:
    memory, expected = ImageMemory(size, 2), deque[float](maxlen=size)
    number = 0.0
    for length in batches:
        new = torch.arange(length) + number
        memory.note(torch.stack([new, -new], dim=1))
        expected.extend(new.tolist())
        number += length
        assert sorted(memory.recall()[:, 0].tolist()) == sorted(expected)
        assert torch.equal(memory.recall()[:, 1], -memory.recall()[:, 0])


def test_others_are_negatives_of_texts() -> None:
    random = torch.Generator().manual_seed(0)
    generated, real, past = (torch.randn(shape, generator=random) for shape in ((3, 4, 6), (3, 4, 6), (5, 4, 6)))
    valid = torch.ones(3, 4)
    others = summarize(past, torch.ones(5, 4))
    texts, images = summarize(generated, valid), summarize(real, valid)
    rows = (texts @ torch.cat([images, others]).T / 0.1).log_softmax(1).diagonal()
    columns = (images @ texts.T / 0.1).log_softmax(1).diagonal()
    actual = contrast(generated, real, valid, temperature=0.1, others=others)
    torch.testing.assert_close(actual, -(rows.mean() + columns.mean()) / 2)
    alone = contrast(generated, real, valid, temperature=0.1)
    assert actual > alone
    torch.testing.assert_close(contrast(generated, real, valid, temperature=0.1, others=others[:0]), alone)


def test_an_image_is_no_negative_of_itself() -> None:
    random = torch.Generator().manual_seed(0)
    generated, real = (torch.randn(1, 4, 6, generator=random) for _ in range(2))
    own = summarize(real, torch.ones(1, 4))
    assert contrast(generated, real, torch.ones(1, 4), temperature=0.1, others=own).item() == 0
    assert contrast(generated, real, torch.ones(1, 4), temperature=0.1, others=-own).item() > 0


def test_it_is_filled_while_learning_alone(tmp_path: Path) -> None:
    model, text = make_model(contrast_weight=1.0, contrast_memory=5), make_text()
    images = make_images(model)
    batch = {"allowed": make_allowed(model, text), "images": images}
    assert model.visual is not None
    with torch.no_grad():
        first = model(text, **batch)["contrast"]
        model.train()
        for memory in model.visual.memories:
            assert len(memory.recall()) == 0
        model(text, **batch)
        model.eval()
        number = len(images.rows)
        assert [len(memory.recall()) for memory in model.visual.memories] == [number, number]
        assert model(text, **batch)["contrast"] > first
        assert [len(memory.recall()) for memory in model.visual.memories] == [number, number]
    model.save_pretrained(tmp_path)
    again = BGAModel.from_pretrained(tmp_path)
    assert again.visual is not None
    for one, other in zip(again.visual.memories, model.visual.memories, strict=True):
        assert torch.equal(one.summaries, other.summaries)
    new = make_model(contrast_weight=1.0, contrast_memory=3, seed=1)
    new.start_from(tmp_path)
    assert new.visual is not None
    assert all(len(memory.recall()) == 0 for memory in new.visual.memories)
    torch.testing.assert_close(new.head.weight, model.head.weight)
    make_model().start_from(tmp_path)


def test_nothing_is_kept_without_need() -> None:
    names = make_model(contrast_weight=0.0, contrast_memory=5).state_dict()
    assert not any("memories" in name for name in names)
    slim = make_model(contrast_weight=1.0, contrast_memory=5)
    assert not any("memories" in name for name in slim.saved_state(visual_branch=False))


def test_features_that_grow_old() -> None:
    with pytest.raises(BGAError, match=r"\[B130\].*contrast_memory = 0"):
        make_model(contrast_weight=1.0, contrast_memory=5, train_vision=True)
