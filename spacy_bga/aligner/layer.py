"""One BGA layer: sample both contexts, generate each modality from the other, compare, and extract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.losses import distance
from spacy_bga.aligner.sampler import ContextSampler, ratio_loss
from spacy_bga.aligner.visual import VisualBranch, VisualStates

Generator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sampled:
    """Tokens (B, len, d), which of them are there (B, len) bool, and which are kept (B, len)."""

    tokens: Tensor
    valid: Tensor
    kept: Tensor

    def select(self, rows: Tensor) -> Sampled:
        return Sampled(self.tokens[rows], self.valid[rows], self.kept[rows])


class BGALayer(nn.Module):
    """What a BGA layer adds to a text layer: the textual context sampler and the bias of attention to `Vp`.

    config (BGAConfig): The aligner's settings. layer (int): Which BGA layer it is, from 0.
    width (int): Width `d` of the textual tokens.
    """

    def __init__(self, config: BGAConfig, layer: int, *, width: int):
        super().__init__()
        self.config = config
        self.layer = layer
        self.sampler = (
            ContextSampler(
                width,
                config.sampler_width,
                keep_ratio=config.keep_text[layer],
                temperature=config.gumbel_temperature,
            )
            if config.sample
            else None
        )
        bias = config.context_bias
        self.context_bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def sample(self, tokens: Tensor, valid: Tensor, previous: Tensor) -> Sampled:
        """RETURNS (Sampled): The textual tokens (W, n, d) with their mask; everything is kept without a sampler."""
        kept = valid.to(tokens.dtype) if self.sampler is None else self.sampler(tokens, valid, previous)
        return Sampled(tokens, valid, kept)

    def align(
        self,
        text: Sampled,
        generated: Tensor,
        states: VisualStates,
        *,
        previous: Tensor | None,
        text_to_visual: Generator,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The alignment terms of this layer, for the examples with an image.

        text (Sampled): Their textual tokens (I, n, d). generated (Tensor): (I, m, d) Vp, generated from them.
        states (VisualStates): The visual side, which this moves on by a layer.
        previous (Optional[Tensor]): (I, m) the previous stage's visual mask.
        text_to_visual (Generator): G_t2v.
        RETURNS (tuple[dict[str, Tensor], Tensor]): "recon", "cycle" and "ratio", and the visual mask.
        """
        branch = states.branch
        tokens, valid = states.enter(self.layer)
        kept = branch.sample(self.layer, tokens, valid, valid.to(tokens.dtype) if previous is None else previous)
        visual = Sampled(tokens, valid, kept)
        memory = branch.to_text(tokens)
        pseudo_text = branch.generate_text(self.layer, memory, kept, n_tokens=text.tokens.shape[1])
        terms = {"recon": self._distances(branch, text, visual, generated, pseudo_text)}
        if self.config.cycle_weight:
            cycled_visual = text_to_visual(pseudo_text, text.kept)
            cycled_text = branch.generate_text(self.layer, generated, kept, n_tokens=text.tokens.shape[1])
            terms["cycle"] = self._distances(branch, text, visual, cycled_visual, cycled_text)
        if self.config.sample:
            terms["ratio"] = ratio_loss(text.kept, text.valid, self.config.keep_text[self.layer]) + ratio_loss(
                visual.kept, visual.valid, self.config.keep_visual[self.layer]
            )
        states.leave(self.layer, pseudo_text, text.valid)
        return terms, kept

    def _distances(
        self, branch: VisualBranch, text: Sampled, visual: Sampled, pseudo_visual: Tensor, pseudo_text: Tensor
    ) -> Tensor:
        """RETURNS (Tensor): `D(Vp, V | m_V) + D(Tp, T | m_T)`, each with its weight."""
        config = self.config
        total = pseudo_text.new_zeros(())
        for weight, pseudo, real in (
            (config.text_to_visual, branch.to_vision(pseudo_visual), visual),
            (config.visual_to_text, pseudo_text, text),
        ):
            if weight:
                target = real.tokens.detach() if config.detach_targets else real.tokens
                total = total + weight * distance(
                    pseudo, target, real.kept, kind=config.distance, temperature=config.distance_temperature
                )
        return total
