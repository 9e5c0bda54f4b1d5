"""How far generated features are from the real ones, and how they tell their own image from others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_bga.aligner.config import DISTANCES
from spacy_bga.errors import BGAError, Errors


def distance(generated: Tensor, target: Tensor, weights: Tensor, *, kind: str, temperature: float = 6.0) -> Tensor:
    """The mean distance `D(generated, target | weights)` over kept positions.

    The weights are detached: were they not, a sampler could lower its loss by dropping whatever is hard.

    generated, target (Tensor): (B, k, d) features of the same positions.
    weights (Tensor): (B, k) which positions count; an example without any counts as 0.
    kind (str): "kl", the divergence of the softmax over features (Hinton et al. 2015, arXiv 1503.02531, at a
        temperature, times its square); "mse" of layer-normed features; "cosine", one minus the similarity.
    temperature (float): Only for "kl".
    RETURNS (Tensor): A scalar.
    """
    if kind == "kl":
        by_position = F.kl_div(
            F.log_softmax(generated / temperature, dim=-1),
            F.log_softmax(target / temperature, dim=-1),
            reduction="none",
            log_target=True,
        ).sum(-1) * (temperature**2)
    elif kind == "mse":
        shape = generated.shape[-1:]
        by_position = (F.layer_norm(generated, shape) - F.layer_norm(target, shape)).square().mean(-1)
    elif kind == "cosine":
        by_position = 1 - F.cosine_similarity(generated, target, dim=-1)
    else:
        raise BGAError(Errors.B101.format(distance=kind, known=", ".join(DISTANCES)))
    weights = weights.detach()
    return ((by_position * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()


def summarize(tokens: Tensor, valid: Tensor) -> Tensor:
    """What stands for a set of visual tokens in a comparison: the directions of [CLS] and of the mean of the others.

    So neither outweighs the other, however many patches there are: by cosine similarity, it is the mean of both.

    tokens (Tensor): (B, m, d), [CLS] first. valid (Tensor): (B, m), which of them are there.
    RETURNS (Tensor): (B, 2d) of length 1, side by side; zeros for what is not there.
    """
    weights = valid.to(tokens.dtype).unsqueeze(-1)
    parts = (direction(tokens[:, :1], weights[:, :1]), direction(tokens[:, 1:], weights[:, 1:]))
    return F.normalize(torch.cat(parts, dim=-1), dim=-1)


def direction(tokens: Tensor, weights: Tensor) -> Tensor:
    """RETURNS (Tensor): (B, d) of length 1, the direction of the sum of tokens (B, m, d), each with a weight (B, m, 1);
    zeros for the sum of nothing."""
    return F.normalize((tokens * weights).sum(1), dim=-1)


def contrast(generated: Tensor, real: Tensor, valid: Tensor, *, temperature: float) -> Tensor:
    """How well generated features tell their own image from the others of the batch, and images their texts.

    The symmetric cross entropy of CLIP (Radford et al. 2021, arXiv 2103.00020) over `summarize`d tokens. The same image
    twice in a batch is no negative of itself.

    generated, real (Tensor): (B, m, d). valid (Tensor): (B, m), which visual tokens are there.
    temperature (float): What cosine similarities are divided by.
    RETURNS (Tensor): A scalar; 0 for a single image.
    """
    texts, images = summarize(generated, valid), summarize(real, valid)
    with torch.autocast(texts.device.type, enabled=False):  # in half precision, near cosines would be the same
        texts, images = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (texts, images))
        cosines = texts @ images.T
        same = images.detach() @ images.detach().T > 0.9999
    with torch.no_grad():
        same.fill_diagonal_(False)
    logits = (cosines / temperature).masked_fill(same, torch.finfo(cosines.dtype).min)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def match(words: Tensor, owners: Tensor, patches: Tensor, valid: Tensor, *, temperature: float) -> Tensor:
    """How well the words of a text explain the patches of its image, each of which shows what one of them names.

    The negative log likelihood of a mixture, which is how IBM Model 1 (Brown et al. 1993, The Mathematics of
    Statistical Machine Translation) finds out which word of a sentence a foreign word translates:

        -log mean_t p(patch | word t),   p(patch | word) = exp(cos / temperature) / sum over the patches of the batch

    words (Tensor): (N, d) features that the words of all texts generate. owners (Tensor): (N,) whose image's, from 0.
    patches (Tensor): (I, m, d) those of I images. valid (Tensor): (I, m) bool, which of them are there.
    temperature (float): What cosine similarities are divided by.
    RETURNS (Tensor): A scalar, the mean over images of the mean over patches. An image without words counts as 0.
    """
    with torch.autocast(words.device.type, enabled=False):  # in half precision, near cosines would be the same
        words, patches = (F.normalize(part.float(), dim=-1) for part in (words, patches))
        scores = (words @ patches.flatten(0, 1).T / temperature).masked_fill(~valid.flatten(), -torch.inf)
        logs = (scores - scores.logsumexp(1, keepdim=True)).unflatten(1, valid.shape)
        own = logs[torch.arange(len(owners), device=owners.device), owners].masked_fill(~valid[owners], 0.0)  # (N, m)
        # The best word of each patch is set apart: at a low temperature, what all of them explain badly would be 0.
        places = owners.unsqueeze(1).expand_as(own)
        best = own.new_full(valid.shape, -torch.inf).scatter_reduce(0, places, own.detach(), "amax")
        shares = (own - best[owners]).exp()
        counts = owners.bincount(minlength=len(valid)).unsqueeze(1)
        mixed = shares.new_zeros(valid.shape).index_add(0, owners, shares) / counts.clamp(min=1)
        there = valid & (counts > 0)
        losses = -(mixed.masked_fill(~there, 1.0).log() + best.masked_fill(~there, 0.0))
    positions = there.sum(1).clamp(min=1)
    return (losses.sum(1) / positions).mean()
