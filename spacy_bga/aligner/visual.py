"""The visual branch: what only training needs, and a slim pipeline leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.generator import CrossModalGenerator
from spacy_bga.aligner.given import GivenFeatures
from spacy_bga.aligner.ranges import MOST_VISUAL_TOKENS
from spacy_bga.aligner.sampler import ContextSampler
from spacy_bga.aligner.standardizer import Standardizer
from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.aligner.windows import TextBatch
from spacy_bga.errors import BGAError, Errors


@dataclass(frozen=True)
class VisualBatch:
    """The images of those examples that have one: as features if the encoder is frozen, else as pixels.

    rows (Tensor): (I,) the text window that each of I examples pairs with its image.
    features (Optional[Tensor]): (N, I, m, d_v) visual tokens at each of N BGA layers; zeros where absent.
    valid (Optional[Tensor]): (I, m) bool, which of them are there.
    pixels (Optional[Tensor]): (K, 3, H, W) of all images and crops.
    examples, slots (Optional[Tensor]): (K,) whose each is, and whether it is the image (0) or a crop (1, 2, ...).
    """

    rows: Tensor
    features: Tensor | None = None
    valid: Tensor | None = None
    pixels: Tensor | None = None
    examples: Tensor | None = None
    slots: Tensor | None = None

    def owners(self, text: TextBatch) -> Tensor:
        """RETURNS (Tensor): (tokens,) which of the images each token of the texts goes with; -1 for none."""
        of_window = self.rows.new_full((len(text.ids) + 1,), -1)  # the last place: of a token without wordpieces
        of_window[self.rows] = torch.arange(len(self.rows), device=self.rows.device)
        return of_window[text.token_windows]

    def to(self, device: torch.device) -> VisualBatch:
        moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in vars(self).items()}
        return VisualBatch(**moved)


def count_tokens(config: BGAConfig, n_patches: int) -> tuple[int, int]:
    """RETURNS (tuple[int, int]): Visual tokens of an image and of a crop, [CLS] included."""
    image, crop = (1 + (n_patches if grid is None else grid * grid) for grid in (config.visual_grid, config.crop_grid))
    return image, crop


def _patch_grid(encoder: VisionEncoder | GivenFeatures, image_size: int) -> tuple[int, int] | None:
    return encoder.grid if isinstance(encoder, GivenFeatures) else encoder.patch_grid(image_size)


class VisualBranch(nn.Module):
    """The vision encoder, what standardises its features, its samplers, and the visual-to-text generators.

    config (BGAConfig): The aligner's settings.
    encoder (Union[VisionEncoder, GivenFeatures]): The pretrained encoder, opened; or what stands for it.
    text_width (int): Width `d` of the textual tokens.
    heads, hidden (int): Of the visual-to-text generators.
    """

    def __init__(
        self, config: BGAConfig, encoder: VisionEncoder | GivenFeatures, *, text_width: int, heads: int, hidden: int
    ):
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.encoder.requires_grad_(config.train_vision)
        self.grid_shape = _patch_grid(encoder, config.image_size)  # None: patches in no order
        n_patches = encoder.n_patches if isinstance(encoder, GivenFeatures) else prod(self.grid_shape or ())
        self.n_image_tokens, self.n_crop_tokens = count_tokens(config, n_patches)
        if self.n_tokens > MOST_VISUAL_TOKENS:
            raise BGAError(Errors.B128.format(number=self.n_tokens, limit=MOST_VISUAL_TOKENS))
        n_layers = len(config.vision_layers)
        self.standardizer: Standardizer | None = None
        firsts = [0, *range(self.n_image_tokens, self.n_tokens, self.n_crop_tokens)]
        self.patches = [place for place in range(self.n_tokens) if place not in firsts]
        if config.standardize:
            self.standardizer = Standardizer(
                firsts,
                n_layers=n_layers,
                n_tokens=self.n_tokens,
                width=encoder.width,
                whiten=config.whiten,
                by_position=self.grid_shape is not None,
            )
        self.samplers = nn.ModuleList(
            ContextSampler(encoder.width, config.sampler_width, keep_ratio=keep, temperature=config.gumbel_temperature)
            for keep in (config.keep_visual if config.sample else ())
        )
        self.generators = nn.ModuleList(
            CrossModalGenerator(config.window, text_width, heads=heads, hidden=hidden, dropout=config.dropout)
            for _ in range(min(config.n_bga_layers, 1) if config.shared_generators else config.n_bga_layers)
        )

    @property
    def n_tokens(self) -> int:
        """The most visual tokens that an example has: its image's, then its crops'."""
        return self.n_image_tokens + self.config.max_crops * self.n_crop_tokens

    def sample(self, layer: int, tokens: Tensor, valid: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """RETURNS (tuple[Tensor, Tensor]): (I, m) the visual masks of a BGA layer, as `ContextSampler` makes them;
        everything valid without samplers."""
        if not self.config.sample:
            kept = valid.to(tokens.dtype)
            return kept, kept
        return self.samplers[layer](tokens, valid, previous)

    def generate_text(self, layer: int, visual: Tensor, kept: Tensor, *, n_tokens: int) -> Tensor:
        """RETURNS (Tensor): (I, n, d) pseudo-textual tokens from visual tokens (I, m, d) of the text's width."""
        generator = self.generators[0 if self.config.shared_generators else layer]
        return generator(visual, kept, n_tokens=n_tokens)

    def fit(self, batches: Iterable[VisualBatch]) -> None:
        """Learn what standardises features, as `Standardizer.fit` does; without standardisation nothing is read."""
        if self.standardizer is not None:
            self.standardizer.fit(batches)

    def standardized(self, layer: int, tokens: Tensor, valid: Tensor) -> Tensor:
        """RETURNS (Tensor): (I, m, d_v) visual tokens as every other part sees them; zeros where there are none."""
        return tokens if self.standardizer is None else self.standardizer(layer, tokens, valid)

    @torch.no_grad()
    def frozen_features(self, pixels: Tensor, *, crop: bool = False) -> Tensor:
        """The visual tokens that enter each BGA layer's vision layer, which never change while the encoder is frozen.

        pixels (Tensor): (K, 3, H, W). crop (bool): Whether they are object crops, which are pooled more.
        RETURNS (Tensor): (K, N, m, d_v).
        """
        self.opened.eval()
        states, hidden, done = [], self.opened.embed(pixels), 0
        for index in self.config.vision_layers:
            hidden, done = self._advance(hidden, done, index), index
            states.append(self._pool(hidden, crop=crop))
        return torch.stack(states, dim=1)

    def _advance(self, hidden: Tensor, start: int, end: int) -> Tensor:
        for index in range(start, end):
            hidden = self.opened.layer(index, hidden)
        return hidden

    @property
    def opened(self) -> VisionEncoder:
        """RETURNS (VisionEncoder): The encoder. Raises a BGAError if features are given in its place."""
        if isinstance(self.encoder, GivenFeatures):
            raise BGAError(Errors.B135)
        return self.encoder

    @torch.no_grad()
    def given_features(self, tokens: Tensor, *, crop: bool = False) -> Tensor:
        """The visual tokens of a picture whose features are given: the same at each BGA layer.

        tokens (Tensor): (m, d_v). crop (bool): Whether it is an object crop, which is pooled more.
        RETURNS (Tensor): (1, p, d_v).
        """
        assert isinstance(self.encoder, GivenFeatures)
        return self._pool(self.encoder.lay_out(tokens).unsqueeze(0), crop=crop)

    @property
    def cell(self) -> tuple[float, float]:
        """RETURNS (tuple[float, float]): Height and width of a patch, in parts of the image that the encoder sees."""
        if isinstance(self.encoder, GivenFeatures):
            rows, columns = self.grid_shape or (1, 1)
            return 1 / rows, 1 / columns
        side = self.encoder.config.patch_size / self.config.image_size
        return side, side

    def _pool(self, hidden: Tensor, *, crop: bool) -> Tensor:
        grid = self.config.crop_grid if crop else self.config.visual_grid
        return VisionEncoder.pool_grid(hidden, grid, shape=self.grid_shape)


class VisualStates:
    """Walks the visual side of one batch through the BGA layers.

    branch (VisualBranch): The modules. batch (VisualBatch): The images.
    """

    def __init__(self, branch: VisualBranch, batch: VisualBatch):
        self.branch = branch
        self.batch = batch
        self.hidden: Tensor | None = None
        self.done = 0

    def enter(self, layer: int) -> tuple[Tensor, Tensor]:
        """RETURNS (tuple[Tensor, Tensor]): V (I, m, d_v) as it enters a BGA layer, and which of it is there (I, m)."""
        batch, branch = self.batch, self.branch
        if batch.features is not None and batch.valid is not None:
            return branch.standardized(layer, batch.features[layer], batch.valid), batch.valid
        if self.hidden is None:
            assert batch.pixels is not None
            self.hidden = branch.opened.embed(batch.pixels)
        index = branch.config.vision_layers[layer]
        self.hidden, self.done = branch._advance(self.hidden, self.done, index), index
        tokens, valid = self._gather()
        return branch.standardized(layer, tokens, valid), valid

    def leave(self, layer: int, generated: Tensor, mask: Tensor) -> None:
        """Run the vision layer with keys and values `[Tp ; V]`, if the encoder learns.

        generated (Tensor): (I, n, d_v) Tp in the width of the visual tokens. mask (Tensor): (I, n) bool, which of it
            stands for a wordpiece.
        The last BGA layer's output would reach no loss, so it is not computed.
        """
        if self.hidden is None or layer == self.branch.config.n_bga_layers - 1:
            return
        examples = self.batch.examples
        context = generated[examples]
        self.hidden = self.branch.opened.layer(self.done, self.hidden, context=context, context_mask=mask[examples])
        self.done += 1

    def _gather(self) -> tuple[Tensor, Tensor]:
        """Put the pooled tokens of images and crops side by side, by example."""
        branch, batch = self.branch, self.batch
        assert self.hidden is not None
        assert batch.slots is not None
        assert batch.examples is not None
        n_examples = len(batch.rows)
        tokens = self.hidden.new_zeros(n_examples, branch.n_tokens, self.hidden.shape[-1])
        valid = torch.zeros(n_examples, branch.n_tokens, dtype=torch.bool, device=tokens.device)
        start = 0
        for slot in range(1 + branch.config.max_crops):
            end = start + (branch.n_crop_tokens if slot else branch.n_image_tokens)
            chosen = batch.slots == slot
            owners = batch.examples[chosen]
            tokens[owners, start:end] = branch._pool(self.hidden[chosen], crop=slot > 0)
            valid[owners, start:end] = True
            start = end
        return tokens, valid
