"""Features of images, by their paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacy_bga.corpus.images import SUFFIXES, decode_image, get_images, resolve_path, to_pixels
from spacy_bga.errors import BGAError, Errors
from spacy_bga.extraction.backbones import load_backbone
from spacy_bga.extraction.shards import ShardFolder, fill

BATCH = 16  # images at once: beyond it a CPU gains nothing


def extract_images(
    root: Path,
    output: Path,
    names: Iterable[str] | None = None,
    *,
    encoder: str,
    weights: Path | None = None,
    image_size: int | None = None,
    grid: int | None = 4,
    shard: int = 1000,
) -> tuple[ShardFolder, list[str]]:
    """Compute the features of images, and write them by their paths.

    root (Path): The image root. output (Path): The folder to write, or to go on with.
    names (Optional[Iterable[str]]): Paths below the root; None: all images there.
    encoder (str), weights (Optional[Path]), image_size (Optional[int]): See `load_backbone`.
    grid (Optional[int]): Patches are pooled to `grid x grid` at most; None: all of them.
    shard (int): How many images go into a file.
    RETURNS (tuple[ShardFolder, list[str]]): What was written, and what is wrong with images that were left out.
    RAISES (BGAError): There are no images, or the output has features that were made by something else.
    """
    if not root.is_dir():
        raise BGAError(Errors.B331.format(path=root))
    keys = list(dict.fromkeys(find_names(root) if names is None else names))
    if not keys:
        raise BGAError(Errors.B384.format(path=root))
    made_by: dict[str, Any] = {"encoder": encoder, "image_size": image_size, "grid": grid}
    if weights is not None:
        made_by["weights"] = weights.name
    folder = ShardFolder(output, made_by)
    if folder.done.issuperset(keys):
        return folder, []
    backbone = load_backbone(encoder, weights=weights, image_size=image_size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone.to(device)
    found: list[tuple[int, int]] = []

    def load(name: str) -> np.ndarray:
        image = decode_image(resolve_path(name, root), size=backbone.image_size)
        return to_pixels(image, size=backbone.image_size, mean=backbone.image_mean, std=backbone.image_std)

    def encode(pixels: list[np.ndarray]) -> list[np.ndarray]:
        patches = backbone(torch.from_numpy(np.stack(pixels)).to(device)).pooled(grid)
        found[:] = [patches.grid]
        return list(patches.tokens.float().cpu().numpy().astype(np.float16))

    problems = fill(folder, keys, load, encode, grid=lambda: found[0] if found else None, batch=BATCH, shard=shard)
    return folder, problems


def find_names(root: Path) -> list[str]:
    """RETURNS (list[str]): The relative POSIX paths of all files below a folder whose names are those of images."""
    files = (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path.relative_to(root).as_posix() for path in files)


def named_images(corpus: Path) -> list[str]:
    """RETURNS (list[str]): The paths of images that a .spacy file, or a folder of them, names. Raises a BGAError if
    there is none."""
    from spacy.tokens import DocBin
    from spacy.training.corpus import walk_corpus
    from spacy.vocab import Vocab

    if not corpus.exists():
        raise BGAError(Errors.B341.format(path=corpus))
    vocab = Vocab()
    docs = (doc for path in walk_corpus(corpus, ".spacy") for doc in DocBin().from_disk(path).get_docs(vocab))
    return [image for doc in docs for image in get_images(doc) if isinstance(image, str)]
