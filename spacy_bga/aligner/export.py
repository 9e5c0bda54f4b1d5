"""The text branch as an ONNX graph: what tagging runs, for engines that run it faster than eager torch does."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from spacy_bga.aligner.model import BGAModel
from spacy_bga.aligner.windows import TextBatch

OPSET = 17  # the first with LayerNormalization
SAMPLERS = "/sampler/"  # how the names of the samplers' nodes begin


class TextBranch(nn.Module):
    """The text encoder, the samplers' arg max, G_t2v, and the text attending to Vp: from wordpieces to features.

    What knows no input, as a generator's queries attending to each other, is left to the engines: they fold constants.
    The tagger is no part of it, so that other labels leave a graph as it is.

    aligner (BGAModel): Shared, not copied.
    """

    def __init__(self, aligner: BGAModel):
        super().__init__()
        self.aligner = aligner

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """RETURNS (Tensor): (W, n, d) features of the wordpieces ids (W, n) with their mask (W, n) bool."""
        none = ids.new_zeros(0)  # which token a wordpiece belongs to doesn't matter yet
        return self.aligner.encode(TextBatch(ids, mask, none, none, ())).hidden


def export_onnx(aligner: BGAModel) -> bytes:
    """Export the text branch. Needs the package onnx, and nothing else beside torch.

    aligner (BGAModel): In evaluation mode; it stays as it is.
    RETURNS (bytes): An ONNX model from `ids` (W, n) int64 and `mask` (W, n) bool to `hidden` (W, n, d), of any W and n.
    """
    device = aligner.head.weight.device
    # Any will do, if there is padding and no size is 1: what is traced holds for others, too.
    ids = torch.ones(2, 5, dtype=torch.long, device=device)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2], device=device)
    free = {0: "windows", 1: "wordpieces"}
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        torch.inference_mode(False),
        torch.no_grad(),
    ):
        path = Path(folder) / "graph.onnx"
        # The exporter that traces is the older one. It warns of that, and of each shape that it takes for a number.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            TextBranch(aligner).train(aligner.training),
            (ids, mask),
            path,
            input_names=["ids", "mask"],
            output_names=["hidden"],
            dynamic_axes={"ids": free, "mask": free, "hidden": free},
            opset_version=OPSET,
            dynamo=False,  # the newer one takes ten times as long, and more packages, for a graph that is no faster
        )
        return path.read_bytes()
