"""Numbers of other systems, as the literature has them: for orientation, since encoders and data differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published result on the test set of Twitter-2017, in percent.

    system, encoder (str): What was trained. p, r (float | None), f1 (float): Precision, recall and F1.
    confirmed (bool): Whether we have read the number in a paper that reports it; else it is quoted from memory.
    """

    system: str
    encoder: str
    p: float | None
    r: float | None
    f1: float
    confirmed: bool


TWITTER2017 = (
    Published("BERT-CRF", "BERT-base", 83.32, 83.57, 83.44, True),
    Published("UMT (rerun by its authors)", "BERT-base, ResNet-152", 84.84, 85.34, 85.09, True),
    Published("UMGF", "BERT-base, ResNet", 86.54, 84.50, 85.51, True),
    Published("HVPNeT", "BERT-base, ResNet-50", 85.84, 87.93, 86.87, False),
    Published("MKGformer", "BERT-base, CLIP ViT-B/32", 86.98, 88.01, 87.49, False),
    Published("VEC-MNER", "BERT-base, ViT", 87.42, 87.61, 87.51, True),
    Published("BGA-MNER (arXiv 2308.02570)", "BERT-base, CLIP ViT-B/32", 87.71, 87.71, 87.71, False),
    Published("I2SRM (arXiv 2310.06326)", "", None, None, 88.40, True),
)
