"""The last images of the training, as further negatives of the contrast."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImageMemory(nn.Module):
    """Keeps summaries of the last images, in the order of a queue (He et al. 2020, arXiv 1911.05722).

    There is no momentum encoder: features of a frozen vision encoder don't age.

    size (int): The most images that are kept. width (int): Width of a summary, see `losses.summarize`.
    """

    summaries: Tensor
    noted: Tensor

    def __init__(self, size: int, width: int):
        super().__init__()
        # Saved, so that a training that is taken up again has the same negatives.
        self.register_buffer("summaries", torch.zeros(size, width))
        self.register_buffer("noted", torch.zeros((), dtype=torch.long))

    def recall(self) -> Tensor:
        """RETURNS (Tensor): (K, width) summaries of the images that are kept, in no order; none at first."""
        return self.summaries[: int(self.noted)]

    @torch.no_grad()
    def note(self, summaries: Tensor) -> None:
        """Keep summaries (I, width) of images, in the place of those kept longest."""
        newest = summaries[-len(self.summaries) :].to(self.summaries)
        places = (torch.arange(len(newest), device=newest.device) + self.noted) % len(self.summaries)
        self.summaries[places] = newest
        self.noted += len(newest)
