"""Pictures as a page carries them: small, and inside it as data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from spacy.tokens import Doc

from spacy_bga.corpus.images import decode_image, get_images, resolve_path
from spacy_bga.errors import BGAError, Errors, ImageError

SIDE = 400  # of a picture on the page, at most
HEAT_SIDE = 48  # of a heat map; the browser scales it up
QUALITY = 85
# From the least alike patch to the most: dark blue, violet, red, orange, yellow. Not the hues alone tell, also the
# lightness rises.
HEAT = np.array([(13, 8, 60), (106, 23, 110), (203, 65, 73), (248, 150, 40), (252, 250, 160)], dtype=np.float64)
OPACITY = 0.62


@dataclass(frozen=True)
class Picture:
    """A document's image on the page, or why there is none.

    name (str): Its path as the document has it, or what stands for one. uri (Optional[str]): The picture itself.
    size (tuple[int, int]): Its width and height. problem (str): Why it can't be shown.
    sources (tuple[Union[str, bytes], ...]): The image, and its object crops that are there, to be read by the aligner.
    """

    name: str
    uri: str | None = None
    size: tuple[int, int] = (0, 0)
    problem: str = ""
    sources: tuple[str | bytes, ...] = ()


def find_picture(doc: Doc, root: Path | None, *, attr: str = "image") -> Picture | None:
    """Find a document's image, and make a small picture of it. Whatever is wrong with it is told, never raised.

    doc (Doc): The document. root (Optional[Path]): The image root of relative paths. Without it, the paths may be
        absolute, as the readers of `spacy_bga.corpus` leave them on references.
    attr (str): The extension attribute that holds the image.
    RETURNS (Optional[Picture]): None if the document has no image.
    """
    name = "the image"
    try:
        images = get_images(doc, attr=attr)
        if not images:
            return None
        name = images[0] if isinstance(images[0], str) else "an encoded image"
        first = _resolve(images[0], root)
        image = decode_image(first, size=SIDE)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return Picture(name, encode_jpeg(image), image.size, sources=(first, *_crops(images[1:], root)))
    except BGAError as error:
        return Picture(name, problem=_without_root(str(error), root))


def encode_jpeg(image: Image.Image) -> str:
    """RETURNS (str): An RGB image as a data URI."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return _data_uri(stream, "image/jpeg")


def encode_heat(warmth: np.ndarray) -> str:
    """RETURNS (str): A heat map to lay over its image, as a data URI. warmth (np.ndarray): (rows, columns), 0 to 1."""
    grid = Image.fromarray(warmth.astype(np.float32))
    smooth = np.asarray(grid.resize((HEAT_SIDE, HEAT_SIDE), Image.Resampling.BICUBIC)).clip(0, 1)
    levels = np.linspace(0, 1, len(HEAT))
    rgb = np.stack([np.interp(smooth, levels, HEAT[:, channel]) for channel in range(3)], axis=-1).round(-1)
    alpha = np.full((*smooth.shape, 1), 255 * OPACITY)
    stream = io.BytesIO()
    Image.fromarray(np.concatenate([rgb, alpha], axis=-1).clip(0, 255).astype(np.uint8)).save(
        stream, "PNG", optimize=True
    )
    return _data_uri(stream, "image/png")


def _resolve(image: str | bytes, root: Path | None) -> str | bytes:
    """RETURNS (Union[str, bytes]): An image that can be opened. Raises an ImageError for a path that can't."""
    if isinstance(image, bytes):
        return image
    if root is not None:
        return str(resolve_path(image, root))
    if Path(image).is_absolute():
        return image
    raise ImageError(Errors.B600.format(image=image))


def _without_root(message: str, root: Path | None) -> str:
    """RETURNS (str): A message that tells a page's readers nothing of its writer's folders."""
    for folder in () if root is None else (str(root.resolve()), str(root)):
        if len(folder) > 1:
            message = message.replace(folder, "IMAGES")
    return message


def _crops(images: list[str | bytes], root: Path | None) -> list[str | bytes]:
    """RETURNS (list[Union[str, bytes]]): Those that are there."""
    found = []
    for image in images:
        try:
            found.append(_resolve(image, root))
        except ImageError:
            continue
    return found


def _data_uri(stream: io.BytesIO, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
