"""What words look like: visual features that each word generates by itself."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_bga.aligner.activation import GELU


class WordGenerator(nn.Module):
    """G_t2v of single words (ours): the features of a patch that shows what a word names, from its wordpieces alone.

    `CrossModalGenerator` generates one image for a whole text. It can't tell whose object is whose, and contextual
    features tell it which text of the training it sees, so that it learns pairs by heart. Here a name generates the
    same in every text: what is learnt of it is what its images have in common.

    width (int): Width `e` of the pretrained wordpiece embeddings. vision_width (int): Width `d_v` of a patch.
    components (int): How many principal components of its features, `K`, are there to be read. In all of them a reader
        would know the names of its training by heart; in a few, it sees what kinds of things there are.
    hidden (int): Width of the hidden layer. dropout (float): Its rate.
    """

    mean: Tensor
    axes: Tensor

    def __init__(self, width: int, vision_width: int, *, components: int, hidden: int, dropout: float = 0.1):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, hidden)
        self.activation = GELU()
        self.dropout = nn.Dropout(dropout)
        self.outer = nn.Linear(hidden, vision_width)
        # Nothing is read before there is something to read.
        self.register_buffer("mean", torch.zeros(vision_width))
        self.register_buffer("axes", torch.zeros(vision_width, components))

    def forward(self, embedded: Tensor) -> Tensor:
        """Generate a feature for each word.

        embedded (Tensor): (N, e) the mean embedding of each word's wordpieces.
        RETURNS (Tensor): (N, d_v), each of length `sqrt(d_v)`, as standardised patches have it on average.
        """
        features = self.outer(self.dropout(self.activation(self.inner(self.norm(embedded)))))
        return F.normalize(features, dim=-1) * features.shape[-1] ** 0.5

    def components(self, features: Tensor) -> Tensor:
        """RETURNS (Tensor): (N, K) the principal components of features (N, d_v), each as large as the others, and
        together as large as the features; zeros before `fit`."""
        return (features - self.mean) @ self.axes

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Find the principal components of features (N, d_v), those of as many different words as there are."""
        self.mean.copy_(features.mean(0))
        _, spread, axes = torch.linalg.svd(features - self.mean, full_matrices=False)
        width, number = self.axes.shape
        found = min(number, int((spread > 1e-3 * spread[0]).sum()))
        self.axes.zero_()
        scales = (len(features) * width / number) ** 0.5 / spread[:found]
        self.axes[:, :found] = axes[:found].T * scales
