"""Arithmetic counted by hand, against PyTorch's own counter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from spacy_bga.aligner import word_memory
from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.aligner.windows import TextBatch
from spacy_bga.benchmark.arithmetic import (
    bga_flops,
    encoder_flops,
    find_config,
    pipeline_flops,
    query_flops,
    window_lengths,
)
from spacy_bga.benchmark.gemm import gemm_shapes, peak_meter
from spacy_bga.benchmark.setting import Setting
from spacy_bga.benchmark.texts import Text, read_texts

MINILM = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6}


def make_aligner(text: Path, vision: Path | None, layers: int, **settings: object) -> BGAModel:
    text_encoder = TextEncoder.from_pretrained(text)
    words = bool(settings.get("words"))
    vision_encoder = VisionEncoder.from_pretrained(vision) if vision and (layers or words) else None
    config = BGAConfig(
        text=text_encoder.config.to_dict(),
        vision=vision_encoder.config.to_dict() if vision_encoder else None,
        labels=("LOC", "PER"),
        text_layers=tuple(range(3 - layers, 3)),
        vision_layers=tuple(range(3 - max(layers, int(words)), 3)),
        keep_text=(0.7,) * layers,
        keep_visual=(0.7,) * layers,
        visual_grid=2,
        image_size=32,
        **settings,
    )
    aligner = BGAModel(config, text_encoder, vision_encoder).eval().requires_grad_(False)
    if aligner.words is not None:
        aligner.words.trust.fill_(0.5)  # else nothing is read
    return aligner


def window(*sizes: int) -> TextBatch:
    """One document for each size, of as many words as wordpieces, all different, padded to the longest."""
    ids = torch.arange(len(sizes) * max(sizes)).view(len(sizes), -1)
    mask = torch.arange(max(sizes))[None] < torch.tensor(sizes)[:, None]
    places = [row * max(sizes) + i for row, size in enumerate(sizes) for i in range(1, size - 1)]
    return TextBatch(ids, mask, torch.tensor(places), torch.arange(len(places)), tuple(size - 2 for size in sizes))


def counted(aligner: BGAModel, batch: TextBatch) -> int:
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        aligner.tag([batch])
    return counter.get_total_flops()


@pytest.mark.parametrize("n", [3, 20, 37])
@pytest.mark.parametrize(
    ("layers", "settings"),
    [
        (0, {}),
        (1, {}),
        (2, {"generator_width": 24}),
        (2, {"shared_generators": False, "context_gate": 0.0}),
        (1, {"sample": False, "projections": False}),
        (2, {"sampler_width": 7}),
        (0, {"words": True, "word_width": 20}),
        (1, {"words": True}),
    ],
)
def test_as_pytorch_counts(
    text_encoder_folder: Path,
    vision_encoder_folder: Path,
    n: int,
    layers: int,
    settings: dict,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(word_memory, "BLOCK", 1)  # filling up blocks is no work
    aligner = make_aligner(text_encoder_folder, vision_encoder_folder, layers, **settings)
    if aligner.words is not None:
        aligner.words.pictured.fill_(True)  # others generate nothing
    by_hand = pipeline_flops(aligner.config, [n], n - 2) + query_flops(aligner.config)
    assert by_hand == counted(aligner, window(n))


def test_queries_are_counted_once_a_batch(text_encoder_folder: Path, vision_encoder_folder: Path):
    aligner = make_aligner(text_encoder_folder, vision_encoder_folder, 2)
    by_hand = pipeline_flops(aligner.config, [12, 12, 12], 30) + query_flops(aligner.config)
    assert by_hand == counted(aligner, window(12, 12, 12))


def test_padding_is_no_work(text_encoder_folder: Path):
    aligner = make_aligner(text_encoder_folder, None, 0)
    assert pipeline_flops(aligner.config, [12, 30], 38) == counted(aligner, window(12, 30))


def test_the_figures_of_minilm():
    assert encoder_flops(MINILM, 20) / 20 / 1e6 == pytest.approx(21.4, abs=0.1)
    config = BGAConfig(
        text=MINILM,
        vision={"hidden_size": 384},
        text_layers=(5,),
        vision_layers=(11,),
        keep_text=(0.7,),
        keep_visual=(0.7,),
        generator_width=384,
        n_visual_tokens=17,
    )
    layer = encoder_flops(MINILM, 20, layers=1)
    assert bga_flops(config, 20) / layer == pytest.approx(0.7, abs=0.05)
    assert bga_flops(config.replace(n_visual_tokens=8), 20) / layer == pytest.approx(0.45, abs=0.06)


def test_windows(text_encoder_folder: Path):
    def lengths(words: str, size: int = 32) -> list[int]:
        text = Text(tuple(words.split()), (True,) * len(words.split()))
        return window_lengths([text], text_encoder_folder, window=size, overlap=8)

    assert lengths("love paris !") == [5]
    assert lengths("love ab") == [5]  # `a`, `##b`
    assert lengths("love " * 50) == [32, 32]
    assert lengths("love " * 53) == [32, 32, 32]
    assert lengths("") == []


def test_the_config_of_a_pipeline(setting: Setting, tmp_path: Path):
    found = {contender.name: find_config(contender.folder) for contender in setting.contenders}
    assert found["bga"] is not None
    assert found["bga"].n_bga_layers == 1
    assert found["text_only"] is not None
    assert found["text_only"].n_bga_layers == 0
    assert find_config(tmp_path) is None
    assert len(read_texts(setting.texts)) == 4  # the empty one is left out


def test_the_peak_is_a_speed():
    text = {"hidden_size": 8, "intermediate_size": 16}
    assert (512, 8, 16) in gemm_shapes(text)
    peak = peak_meter(text)()
    assert peak.wall > 0
    assert peak.cpu > 0
