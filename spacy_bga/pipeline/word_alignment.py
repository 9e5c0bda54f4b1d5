"""What the words of texts generate beside the patches of their images, where each word generates by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.visual import VisualBatch
from spacy_bga.aligner.windows import TextBatch

MOST_SCORES = 2**24  # of words with patches at once: 64 MB of them


@dataclass(frozen=True)
class WordAlignment:
    """Visual features that the words of texts generate, and the patches of the texts' images.

    places (np.ndarray): (P,), which of the given texts each of the P pairs is: one with an image that can be used.
    words (np.ndarray): (N, d_v), text by text. counts (np.ndarray): (P,), how many words each text has.
    patches (np.ndarray): (P, p, d_v), standardised if the aligner standardises them.
    valid (np.ndarray): (P, p) bool, which of them are there. temperature (float): What cosines are divided by.
    """

    places: np.ndarray
    words: np.ndarray
    counts: np.ndarray
    patches: np.ndarray
    valid: np.ndarray
    temperature: float

    def similarity(self) -> np.ndarray:
        """How well the words of each text explain the patches of each image, among those of all images.

        The log likelihood that `losses.match` maximises for a text and its own image:

            mean_j log mean_t p(patch j | word t),   p(patch | word) = exp(cos / temperature) / sum over all patches

        RETURNS (np.ndarray): (P, P), row i is a text, column i its own image; a text without words has -inf.
        """
        valid = torch.from_numpy(self.valid)
        patches = F.normalize(torch.from_numpy(self.patches), dim=-1).flatten(0, 1)
        words = F.normalize(torch.from_numpy(self.words), dim=-1) / self.temperature
        step = max(1, MOST_SCORES // max(1, len(patches)))
        rows = []
        for text in words.split(self.counts.tolist()):
            by_patch = torch.full(valid.shape, -torch.inf).flatten()
            for some in text.split(step):  # texts and images can be so many that their scores don't fit into memory
                scores = (some @ patches.T).masked_fill(~valid.flatten(), -torch.inf)
                by_patch = torch.logaddexp(by_patch, (scores - scores.logsumexp(1, keepdim=True)).logsumexp(0))
            logs = (by_patch - np.log(max(1, len(text)))).view_as(valid).masked_fill(~valid, 0.0)
            rows.append(logs.sum(1) / valid.sum(1))
        return torch.stack(rows).numpy()


def match_words(aligner: BGAModel, text: TextBatch, images: VisualBatch) -> tuple[np.ndarray, ...]:
    """RETURNS (tuple[np.ndarray, ...]): The words, counts, patches and valid of a `WordAlignment`, for one batch. Of a
    long text, the words of its first window: they alone are matched in training."""
    owners = images.owners(text)
    patches, valid = aligner.patches(images)
    words = aligner.imagine([text])[owners >= 0]
    counts = owners[owners >= 0].bincount(minlength=len(images.rows))
    return to_numpy(words), counts.cpu().numpy(), to_numpy(patches), valid.cpu().numpy()


def to_numpy(tensor: Tensor) -> np.ndarray:
    """RETURNS (np.ndarray): A tensor of any device and precision, float32."""
    return tensor.float().cpu().numpy()
