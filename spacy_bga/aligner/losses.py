"""How far generated features are from the real ones, and how they tell their own image from others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spacy_bga.aligner.config import DISTANCES, MATCHINGS
from spacy_bga.errors import BGAError, Errors


def distance(
    generated: Tensor,
    target: Tensor,
    weights: Tensor,
    *,
    kind: str,
    temperature: float = 6.0,
    matching: str = "position",
) -> Tensor:
    """The mean distance `D(generated, target | weights)` over kept positions.

    The weights are detached: were they not, a sampler could lower its loss by dropping whatever is hard.

    generated, target (Tensor): (B, k, d) features of the same positions.
    weights (Tensor): (B, k) how much positions of the target count; an example without any counts as 0.
    kind (str): "kl", the divergence of the softmax over features (Hinton et al. 2015, arXiv 1503.02531, at a
        temperature, times its square); "mse" of layer-normed features; "cosine", one minus the similarity.
    temperature (float): Only for "kl".
    matching (str): "position" compares the tokens of a position; "set" each token of one side with the nearest of the
        other, both ways, see `nearest`. In a set, generated tokens of the kept positions count as much as each other.
    RETURNS (Tensor): A scalar.
    """
    if kind not in DISTANCES:
        raise BGAError(Errors.B101.format(distance=kind, known=", ".join(DISTANCES)))
    if matching not in MATCHINGS:
        raise BGAError(Errors.B129.format(matching=matching, known=", ".join(MATCHINGS)))
    weights = weights.detach()
    if matching == "set":
        kept = weights > 0
        of_generated, of_target = nearest(pairwise(generated, target, kind=kind, temperature=temperature), kept)
        return (weighted_mean(of_generated, kept.to(weights.dtype)) + weighted_mean(of_target, weights)) / 2
    return weighted_mean(by_position(generated, target, kind=kind, temperature=temperature), weights)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """RETURNS (Tensor): A scalar, the mean over examples of the weighted mean of each one's positions (B, k)."""
    return ((values * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()


def by_position(generated: Tensor, target: Tensor, *, kind: str, temperature: float) -> Tensor:
    """RETURNS (Tensor): (B, k), how far each token (B, k, d) is from that of its position."""
    if kind == "kl":
        return F.kl_div(
            F.log_softmax(generated / temperature, dim=-1),
            F.log_softmax(target / temperature, dim=-1),
            reduction="none",
            log_target=True,
        ).sum(-1) * (temperature**2)
    if kind == "mse":
        shape = generated.shape[-1:]
        return (F.layer_norm(generated, shape) - F.layer_norm(target, shape)).square().mean(-1)
    return 1 - F.cosine_similarity(generated, target, dim=-1)


def pairwise(generated: Tensor, target: Tensor, *, kind: str, temperature: float) -> Tensor:
    """RETURNS (Tensor): (B, k, k), how far each generated token (a row) is from each target (a column), both (B, k, d).
    One product gives all, in single precision at least: distances are small differences of large numbers."""
    with torch.autocast(generated.device.type, enabled=False):
        generated, target = (side.to(torch.promote_types(side.dtype, torch.float32)) for side in (generated, target))
        return _pairwise(generated, target, kind=kind, temperature=temperature)


def _pairwise(generated: Tensor, target: Tensor, *, kind: str, temperature: float) -> Tensor:
    if kind == "kl":
        log_q, log_p = (F.log_softmax(tokens / temperature, dim=-1) for tokens in (generated, target))
        p = log_p.exp()
        return ((p * log_p).sum(-1).unsqueeze(1) - log_q @ p.transpose(1, 2)) * (temperature**2)
    if kind == "mse":
        shape = generated.shape[-1:]
        normed, aim = F.layer_norm(generated, shape), F.layer_norm(target, shape)
        squares = normed.square().sum(-1).unsqueeze(2) + aim.square().sum(-1).unsqueeze(1)
        return (squares - 2 * normed @ aim.transpose(1, 2)) / shape[0]
    return 1 - F.normalize(generated, dim=-1) @ F.normalize(target, dim=-1).transpose(1, 2)


def nearest(between: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """The distance of each kept token to the nearest on the other side (the Chamfer distance, Fan et al. 2017,
    arXiv 1612.00603). [CLS], the first, is of another kind than the others, and matched with [CLS] alone; those of
    crops are among the others.

    between (Tensor): (B, k, k) distances of generated tokens (rows) from targets (columns). kept (Tensor): (B, k) bool.
    RETURNS (tuple[Tensor, Tensor]): (B, k) of the generated tokens, and of the targets; 0 for what is not kept.
    """
    is_first = torch.arange(between.shape[1], device=between.device) == 0
    kinds_differ = is_first[:, None] != is_first
    pairs = kept.unsqueeze(2) & kept.unsqueeze(1) & ~kinds_differ
    far = between.masked_fill(~pairs, torch.finfo(between.dtype).max)
    return far.amin(2).masked_fill(~kept, 0.0), far.amin(1).masked_fill(~kept, 0.0)


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


def contrast(
    generated: Tensor, real: Tensor, valid: Tensor, *, temperature: float, others: Tensor | None = None
) -> Tensor:
    """How well generated features tell their own image from the others of the batch, and images their texts.

    The symmetric cross entropy of CLIP (Radford et al. 2021, arXiv 2103.00020) over `summarize`d tokens. The same image
    twice in a batch is no negative of itself.

    generated, real (Tensor): (B, m, d). valid (Tensor): (B, m), which visual tokens are there.
    temperature (float): What cosine similarities are divided by.
    others (Optional[Tensor]): (K, 2d) summaries of further images, which texts are told from, too.
    RETURNS (Tensor): A scalar; 0 for a single image and no others.
    """
    texts, images = summarize(generated, valid), summarize(real, valid)
    with torch.autocast(texts.device.type, enabled=False):  # in half precision, near cosines would be the same
        texts, images = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (texts, images))
        shown = images if others is None else torch.cat([images, others.to(images)])
        cosines = texts @ shown.T
        same = images.detach() @ shown.detach().T > 0.9999
    with torch.no_grad():
        same.fill_diagonal_(False)
    logits = (cosines / temperature).masked_fill(same, torch.finfo(cosines.dtype).min)
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, : len(own)].T, own)) / 2
