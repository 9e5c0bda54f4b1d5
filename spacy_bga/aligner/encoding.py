"""What the encoders made of a batch: features to tag, alignment terms, and what each BGA layer made and was shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spacy_bga.aligner.layer import Sampled


@dataclass(frozen=True)
class Stage:
    """What a BGA layer made of a batch.

    text (Sampled): The textual tokens (W, n, d). visual (Optional[Sampled]): The visual tokens (I, m, d_v) of those
        with an image. generated (Tensor): (W, m, d_v) Vp.
    """

    text: Sampled
    visual: Sampled | None
    generated: Tensor


@dataclass(frozen=True)
class Encoding:
    """What the encoders made of a batch.

    hidden (Tensor): (W, n, d) features of the wordpieces. terms (dict[str, Tensor]): The alignment terms, each averaged
        over the BGA layers. stages (list[Stage]): What each BGA layer made.
    """

    hidden: Tensor
    terms: dict[str, Tensor]
    stages: list[Stage]


def mix_in(visual: Sampled, generated: Tensor, rows: Tensor, *, rate: float) -> Tensor:
    """Put real features in the place of generated ones.

    visual (Sampled): The real features (I, m, d_v) of I images. generated (Tensor): (W, m, d_v) of W windows.
    rows (Tensor): (I,) the window of each image. rate (float): How often the image of a window is taken.
    RETURNS (Tensor): (W, m, d_v). Visual tokens that an image lacks, as absent crops', stay generated.
    """
    if not rate:
        return generated
    chosen = torch.rand(len(rows), 1, 1, device=rows.device) < rate
    real = torch.where(chosen & visual.valid.unsqueeze(-1), visual.tokens, generated[rows])
    return generated.index_copy(0, rows, real.to(generated.dtype))
