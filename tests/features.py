"""Features that somebody else has computed, as far as a test needs them: by the tiny vision encoder, or at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from spacy.language import Language

from spacy_bga.aligner.visual import VisualBranch
from spacy_bga.pipeline.features import ImageFeatures
from tests.pipeline.conftest import aligner_of


def write_features(
    path: Path, features: Mapping[str, np.ndarray], *, grid: str | None = None, dtype: str = "float16"
) -> Path:
    """RETURNS (Path): The feature file, written. grid (Optional[str]): As it declares it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: np.ascontiguousarray(array, dtype=dtype) for key, array in features.items()}
    save_file(arrays, path, metadata=None if grid is None else {"grid": grid})
    return path


def random_features(keys: Sequence[str], *, tokens: int = 4, width: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    """RETURNS (dict[str, np.ndarray]): (tokens, width) for each key."""
    random = np.random.default_rng(seed)
    return {key: random.normal(size=(tokens, width)) for key in keys}


def branch_of(nlp: Language) -> VisualBranch:
    branch = aligner_of(nlp).visual
    assert branch is not None
    return branch


def encoded(nlp: Language, images: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """RETURNS (dict[str, np.ndarray]): (m, d_v) of each image, as the pipeline's own vision encoder has it at its last
    BGA layer, pooled."""
    features = ImageFeatures(branch_of(nlp))
    batch = features.collate([[image] for image in images.values()], range(len(images)))
    assert batch is not None
    assert isinstance(batch.features, torch.Tensor)
    return dict(zip(images, batch.features[-1].numpy(), strict=True))
