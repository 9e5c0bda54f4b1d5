"""One BGA layer: sample both contexts, generate each modality from the other, compare, and extract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.losses import contrast, distance
from spacy_bga.aligner.sampler import ContextSampler, ratio_loss
from spacy_bga.aligner.visual import VisualBranch

Generator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Sampled:
    """Tokens and what a context sampler keeps of them.

    tokens (Tensor): (B, len, d). valid (Tensor): (B, len) bool, which of them are there.
    kept (Tensor): (B, len), which are kept. likeliest (Tensor): (B, len), which would be kept without chance.
    """

    tokens: Tensor
    valid: Tensor
    kept: Tensor
    likeliest: Tensor

    def select(self, rows: Tensor) -> Sampled:
        return Sampled(self.tokens[rows], self.valid[rows], self.kept[rows], self.likeliest[rows])

    def ratio_loss(self, target: float) -> Tensor:
        return ratio_loss([self.kept, self.likeliest], self.valid, target)


class BGALayer(nn.Module):
    """What a BGA layer adds to a text layer: the textual context sampler, the ways between the text's and the visual
    features' spaces, and the gate of the attention to `Vp`.

    config (BGAConfig): The aligner's settings. layer (int): Which BGA layer it is, from 0.
    width, vision_width (int): Widths of the textual and of the visual tokens. heads (int): Of the text layer.
    """

    def __init__(self, config: BGAConfig, layer: int, *, width: int, vision_width: int, heads: int):
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
        self.to_vision: nn.Module = nn.Identity()
        self.to_text: nn.Module = nn.Identity()
        if config.projections:
            # What the pretrained layer is given should have the scale of what it is used to: that behind a norm.
            self.to_vision = nn.Linear(width, vision_width)
            self.to_text = nn.Sequential(nn.Linear(vision_width, width), nn.LayerNorm(width))
        elif width != vision_width:
            self.to_vision, self.to_text = nn.Linear(width, vision_width), nn.Linear(vision_width, width)
        gate = config.context_gate
        self.context_gate = None if gate is None else nn.Parameter(torch.full((heads,), float(gate)))

    def sample(self, tokens: Tensor, valid: Tensor, previous: Tensor) -> Sampled:
        """RETURNS (Sampled): The textual tokens (W, n, d) with their mask; everything is kept without a sampler."""
        if self.sampler is None:
            everything = valid.to(tokens.dtype)
            return Sampled(tokens, valid, everything, everything)
        return Sampled(tokens, valid, *self.sampler(tokens, valid, previous))

    def sample_visual(self, branch: VisualBranch, tokens: Tensor, valid: Tensor, previous: Tensor | None) -> Sampled:
        """RETURNS (Sampled): The visual tokens (I, m, d_v) with their mask, refined from the previous stage's."""
        previous = valid.to(tokens.dtype) if previous is None else previous
        return Sampled(tokens, valid, *branch.sample(self.layer, tokens, valid, previous))

    def align(
        self,
        text: Sampled,
        visual: Sampled,
        generated: Tensor,
        branch: VisualBranch,
        *,
        text_to_visual: Generator,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The alignment terms of this layer, for the examples with an image.

        text (Sampled): Their textual tokens (I, n, d). visual (Sampled): Their visual tokens (I, m, d_v).
        generated (Tensor): (I, m, d_v) Vp, generated from the text. branch (VisualBranch): Holds G_v2t.
        text_to_visual (Generator): G_t2v, into the space of the visual features.
        RETURNS (tuple[dict[str, Tensor], Tensor]): The terms by name, and (I, n, d) Tp.
        """
        config, length = self.config, text.tokens.shape[1]
        pseudo_text = branch.generate_text(self.layer, self.to_text(visual.tokens), visual.kept, n_tokens=length)
        terms = {"recon": self._distances(text, visual, generated, pseudo_text)}
        if config.cycle_weight:
            cycled_visual = text_to_visual(pseudo_text, text.kept)
            cycled_text = branch.generate_text(self.layer, self.to_text(generated), visual.kept, n_tokens=length)
            terms["cycle"] = self._distances(text, visual, cycled_visual, cycled_text)
        if config.sample:
            targets = config.keep_text[self.layer], config.keep_visual[self.layer]
            terms["ratio"] = text.ratio_loss(targets[0]) + visual.ratio_loss(targets[1])
        if config.contrast_weight:
            real = visual.tokens.detach() if config.detach_targets else visual.tokens
            terms["contrast"] = contrast(generated, real, visual.valid, temperature=config.contrast_temperature)
        return terms, pseudo_text

    def _distances(self, text: Sampled, visual: Sampled, pseudo_visual: Tensor, pseudo_text: Tensor) -> Tensor:
        """RETURNS (Tensor): `D(Vp, V | m_V) + D(Tp, T | m_T)`, each with its weight."""
        config = self.config
        total = pseudo_text.new_zeros(())
        for weight, pseudo, real in (
            (config.text_to_visual, pseudo_visual, visual),
            (config.visual_to_text, pseudo_text, text),
        ):
            if weight:
                target = real.tokens.detach() if config.detach_targets else real.tokens
                total = total + weight * distance(
                    pseudo, target, real.kept, kind=config.distance, temperature=config.distance_temperature
                )
        return total
