"""Visual features as differences from the mean image, in channels that vary alike and don't repeat each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spacy_bga.aligner.visual import VisualBatch

LEAST_STD = 1e-3  # below it a channel is constant, and its noise not worth blowing up
SHRINKAGE = 0.1  # of the correlations towards none: directions in which images hardly differ are mostly noise


class Standardizer(nn.Module):
    """Centres visual tokens by their layer and position, and scales or whitens them by their layer and kind.

    Kinds are [CLS] tokens and patches. Whitening is ZCA-cor (Kessy et al. 2018, arXiv 1512.00809): of all ways to
    decorrelate channels, that which leaves each most like the standardised one.

    cls (Sequence[int]): The positions that hold a [CLS] token, of an image or of a crop.
    n_layers, n_tokens, width (int): N layers of m tokens of width d.
    whiten (bool): Whether channels are decorrelated, too.
    by_position (bool): Whether a position is the same place in each image. Else the patches of all are centred by one
        mean.
    """

    def __init__(
        self, cls: list[int], *, n_layers: int, n_tokens: int, width: int, whiten: bool, by_position: bool = True
    ):
        super().__init__()
        self.by_position = by_position
        self.kinds: Tensor
        self.mean: Tensor
        self.std: Tensor
        self.whitening: Tensor | None
        kinds = torch.ones(n_tokens, dtype=torch.long)
        kinds[cls] = 0
        self.register_buffer("kinds", kinds, persistent=False)
        self.register_buffer("mean", torch.zeros(n_layers, n_tokens, width))
        self.register_buffer("std", torch.ones(n_layers, 2, width))
        self.register_buffer("whitening", torch.eye(width).expand(n_layers, 2, -1, -1).clone() if whiten else None)

    def forward(self, layer: int, tokens: Tensor, valid: Tensor) -> Tensor:
        """RETURNS (Tensor): (I, m, d) standardised tokens of a layer; zeros where there are none."""
        scaled = (tokens - self.mean[layer]) / self.std[layer, self.kinds] * valid.unsqueeze(-1)
        if self.whitening is None:
            return scaled
        # By kind, so that no matrix is copied for each position.
        white = torch.empty_like(scaled)
        for kind, matrix in enumerate(self.whitening[layer]):
            places = self.kinds == kind
            with torch.autocast(tokens.device.type, enabled=False):  # targets are not to be rounded
                white[:, places] = scaled[:, places] @ matrix
        return white

    @property
    def colouring(self) -> Tensor | None:
        """RETURNS (Optional[Tensor]): (d, d) what undoes the whitening of the last layer's patches."""
        return None if self.whitening is None else torch.linalg.inv(self.whitening[-1, 1])

    @torch.no_grad()
    def fit(self, batches: Iterable[VisualBatch]) -> None:
        """Learn the means, the standard deviations and the correlations of features.

        batches (Iterable[VisualBatch]): The images to learn from, as features. Positions and kinds of which there are
            fewer than two, such as absent crops, stay as they are.
        """
        n_layers, n_tokens, width = self.mean.shape
        kinds = self.kinds.cpu()
        count = torch.zeros(n_tokens, dtype=torch.float64)
        total = torch.zeros(n_layers, n_tokens, width, dtype=torch.float64)
        products = torch.zeros(n_layers, 2, width, width, dtype=torch.float64)
        for batch in batches:
            assert batch.features is not None
            assert batch.valid is not None
            features = batch.features.cpu().double() * batch.valid.cpu().unsqueeze(-1)
            count += batch.valid.cpu().sum(0)
            total += features.sum(1)
            for kind in range(2):
                rows = features[:, :, kinds == kind].flatten(1, 2)
                products[:, kind] += rows.mT @ rows
        mean = total / count.clamp(min=1)[:, None]
        known = count > 1
        if not self.by_position:
            patches = kinds == 1
            number = count[patches].sum()
            mean[:, patches] = total[:, patches].sum(1, keepdim=True) / number.clamp(min=1)
            known |= patches & (number > 1)
        self.mean.copy_(torch.where(known[:, None], mean, 0.0))
        self.std.fill_(1.0)
        if self.whitening is not None:
            self.whitening.copy_(torch.eye(width))
        for kind in range(2):
            places = (kinds == kind) & (count > 0)
            scatter = products[:, kind] - (total[:, places].mT @ mean[:, places])
            self._fit_kind(kind, scatter, int(count[places & known].sum()))

    def _fit_kind(self, kind: int, scatter: Tensor, count: int) -> None:
        """Learn from (N, d, d) the sums of products of centred channels, of so many tokens."""
        if not count:
            return
        std = (scatter.diagonal(dim1=1, dim2=2) / count).clamp(min=0).sqrt().clamp(min=LEAST_STD)
        self.std[:, kind] = std.to(self.std)
        if self.whitening is not None:
            correlation = scatter / count / (std[:, :, None] * std[:, None, :])
            shrunk = (1 - SHRINKAGE) * correlation
            shrunk.diagonal(dim1=1, dim2=2).fill_(1.0)
            values, vectors = torch.linalg.eigh(shrunk)
            self.whitening[:, kind] = (vectors * values.rsqrt()[:, None, :] @ vectors.mT).to(self.whitening)
