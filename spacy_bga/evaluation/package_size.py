"""How large a trained component is, beside the text encoder that it was made from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from spacy_bga.errors import BGAError, Errors

MEGABYTE = 1_000_000


def measure_package(pipeline: Path, encoder: str, *, component: str = "bga_ner") -> dict[str, float]:
    """Measure what a saved pipeline carries.

    pipeline (Path): The pipeline's folder. encoder (str): The text encoder's name or folder.
    component (str): The component's name.
    RETURNS (dict[str, float]): "model_mb", all files of the component's model folder, tokenizer included, and
        "text_encoder_mb", the encoder's weights; in millions of bytes.
    """
    from spacy_bga.pipeline.encoders import resolve_encoder

    folder = pipeline / component / "model"
    if not folder.is_dir():
        raise BGAError(Errors.B516.format(folder=folder))
    weights = resolve_encoder(encoder).glob("*.safetensors")
    return {"model_mb": _megabytes(folder.rglob("*")), "text_encoder_mb": _megabytes(weights)}


def _megabytes(files: Iterable[Path]) -> float:
    return round(sum(file.stat().st_size for file in files if file.is_file()) / MEGABYTE, 2)
