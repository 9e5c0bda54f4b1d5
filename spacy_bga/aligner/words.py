"""What words look like: visual features that each word generates by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spacy_bga.aligner.activation import GELU
from spacy_bga.aligner.word_memory import WordMemory

PLACES = 2**17  # of a table of words: with 10,000 pictured ones, any other word is taken for one in 7 %


class WordGenerator(nn.Module):
    """G_t2v of single words (ours): the features of a patch that shows what a word names, from its wordpieces alone.

    `CrossModalGenerator` generates one image for a whole text. It can't tell whose object is whose, and contextual
    features tell it which text of the training it sees, so that it learns pairs by heart. Here a name generates the
    same in every text: what is learnt of it is what its images have in common.

    width (int): Width `e` of the pretrained wordpiece embeddings. vision_width (int): Width `d_v` of a patch.
    components (int): How many principal components of its features, `K`, are there to be read. In all of them a reader
        would know the names of its training by heart; in a few, it sees what kinds of things there are. `trust`, from 0
        to 1, says how far the tagger is to go by them, and how often a pictured name is hidden from the text encoder.
    hidden (int): Width of the hidden layer. dropout (float): Its rate.
    """

    mean: Tensor
    axes: Tensor
    pictured: Tensor
    trust: Tensor

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
        self.register_buffer("pictured", torch.zeros(PLACES, dtype=torch.bool))
        self.register_buffer("trust", torch.zeros(()))
        self.memory = WordMemory()

    def train(self, mode: bool = True) -> WordGenerator:
        self.memory.forget()
        return super().train(mode)

    def forward(self, embedded: Tensor) -> Tensor:
        """Generate a feature for each word.

        embedded (Tensor): (N, e) the mean embedding of each word's wordpieces.
        RETURNS (Tensor): (N, d_v), each of length `sqrt(d_v)`, as standardised patches have it on average.
        """
        features = self.outer(self.dropout(self.activation(self.inner(self.norm(embedded)))))
        return F.normalize(features, dim=-1) * features.shape[-1] ** 0.5

    def components(self, features: Tensor, keys: Tensor) -> Tensor:
        """RETURNS (Tensor): (N, K) the principal components of features (N, d_v), each as large as the others; zeros
        before `fit`, and for words without a picture: what these generate is a guess from wordpieces.
        keys (Tensor): (N,) their `word_keys`."""
        return (features - self.mean) @ self.axes * self.knows(keys).unsqueeze(-1)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """All that the components of a word depend on, but for the wordpiece embeddings, and their `trust`."""
        layers = (self.norm, self.inner, self.outer)
        learnt = (tensor for layer in layers for tensor in (layer.weight, layer.bias))
        return (*learnt, self.mean, self.axes, self.pictured, self.trust)

    def knows(self, keys: Tensor) -> Tensor:
        """RETURNS (Tensor): (N,) bool, which words have pictures, by their `word_keys` (N,)."""
        return self.pictured[keys % PLACES]

    def note(self, keys: Tensor) -> None:
        """Note that words have pictures, by their `word_keys` (N,)."""
        self.pictured[keys % PLACES] = True

    @torch.no_grad()
    def fit(self, features: Tensor, *, colouring: Tensor | None = None) -> None:
        """Find the principal components of features, those of as many different words as there are.

        features (Tensor): (N, d_v). colouring (Optional[Tensor]): (d_v, d_v) what undoes their whitening. In whitened
            features all directions are as wide, so that their principal components are any; those in which images
            differ most are those that tell what kinds of things there are.
        """
        self.mean.copy_(features.mean(0))
        centred = features - self.mean
        _, spread, axes = torch.linalg.svd(centred if colouring is None else centred @ colouring, full_matrices=False)
        width, number = self.axes.shape
        found = min(number, int((spread > 1e-3 * spread[0]).sum()))
        self.axes.zero_()
        scales = (len(features) * width / number) ** 0.5 / spread[:found]
        turned = axes[:found].T if colouring is None else colouring @ axes[:found].T
        self.axes[:, :found] = turned * scales


class WordReader(nn.Module):
    """What the tagger reads of what words look like: pictures tell what a thing is, not where its name begins and ends.
    So it tells labels apart, and adds nothing to an entity's score as such.

    components (int): Width `K` of what is read. n_labels (int): How many labels there are.
    """

    def __init__(self, components: int, n_labels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_labels, components))

    def forward(self, components: Tensor) -> Tensor:
        """RETURNS (Tensor): (N, 1 + 2 labels) scores of the BIO tags, from components (N, K): the same for both tags
        of a label, 0 for O, and in sum 0 over the labels."""
        scores = components @ self.weight.T
        return F.pad((scores - scores.mean(-1, keepdim=True)).repeat_interleave(2, dim=-1), (1, 0))

    @torch.no_grad()
    def relabelled(self, old: Sequence[str], new: Sequence[str]) -> WordReader:
        """RETURNS (WordReader): One for other labels. What it reads of those that stay is kept; of new ones it reads
        what all have in common, so that nothing changes by adding one."""
        reader = WordReader(self.weight.shape[1], len(new)).to(self.weight)
        mean = self.weight.mean(0) if len(old) else self.weight.new_zeros(self.weight.shape[1])
        known = dict(zip(old, self.weight, strict=True))
        for weight, label in zip(reader.weight, new, strict=True):
            weight.copy_(known.get(label, mean))
        return reader
