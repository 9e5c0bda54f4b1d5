"""A document's image: where it is kept on the Doc, how its path is resolved, how its content is decoded safely."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError
from spacy.tokens import Doc

from spacy_bga.errors import BGAError, Errors, ImageError

MAX_PIXELS = 50_000_000
MAX_SCANS = 200  # of a progressive JPEG; encoders write about ten

# What people post. Whatever else Pillow can open (EPS starts Ghostscript, for one) only widens the attack surface.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".gif": "GIF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://|(data|file|blob):", re.IGNORECASE)
_ORIENTATION = 0x0112
_START_OF_SCAN = b"\xff\xda"
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class MissingImageError(ImageError):
    """There is no file where the image should be."""


class ImageFile(str):
    """The absolute path of a file that was found below an image root.

    The type tells it from a path that a Doc has brought along, which anybody may have written.
    """

    __slots__ = ()


# The Doc's side


def register_image_extension(name: str = "image") -> None:
    """Make `Doc._.image` exist, with None as its default. Calling it again does nothing.

    name (str): The name of the extension attribute.
    RAISES (BGAError): The name is taken by a getter or a method, which cannot hold an image.
    """
    if not Doc.has_extension(name):
        Doc.set_extension(name, default=None)
        return
    _, method, getter, _ = Doc.get_extension(name)
    if method is not None or getter is not None:
        raise BGAError(Errors.B301.format(name=name))


def get_images(doc: Doc, *, attr: str = "image") -> list[str | bytes]:
    """The images of a document as a list: the image first, then its object crops.

    doc (Doc): The document.
    attr (str): The name of the extension attribute.
    RETURNS (list[str | bytes]): Paths or encoded images; empty if the document has none.
    RAISES (BGAError): The attribute holds something else.
    """
    register_image_extension(attr)
    value = doc._.get(attr)
    if value is None:
        return []
    items = list(value) if isinstance(value, list | tuple) else [value]
    for item in items:
        if not isinstance(item, str | bytes):
            raise BGAError(Errors.B302.format(attr=attr, type=type(item).__name__, text=doc.text[:60]))
    return items


# The file's side


def resolve_path(value: str, root: Path) -> Path:
    """Find the file that a relative path names, and make sure that it stays inside the image root.

    value (str): A relative POSIX path, as kept on the Doc.
    root (Path): The image root.
    RETURNS (Path): The absolute path of a regular file.
    RAISES (ImageError): The path is absolute, a URL, leads out of the root (also through a symbolic link), or
        there is no such file (`MissingImageError`).
    """
    windows = PureWindowsPath(value)  # understands both separators, so that no system is surprised by the other's
    if not value.strip() or "\x00" in value:
        raise ImageError(Errors.B303.format(value=value, root=root, reason="it is empty or holds a NUL character"))
    if _URL.match(value):
        raise ImageError(Errors.B303.format(value=value[:80], root=root, reason="it is a URL"))
    if PurePosixPath(value).is_absolute() or windows.drive or windows.root:
        raise ImageError(Errors.B303.format(value=value, root=root, reason="it is absolute"))
    if ".." in windows.parts:
        raise ImageError(Errors.B303.format(value=value, root=root, reason="it has '..' in it"))
    try:
        base = root.resolve()
        path = (base / value).resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # name too long, loop of links, lone surrogate
        raise ImageError(Errors.B303.format(value=value[:80], root=root, reason=error)) from error
    if not path.is_relative_to(base):
        raise ImageError(Errors.B303.format(value=value, root=root, reason="a symbolic link leads out of the root"))
    if not is_file:
        raise MissingImageError(Errors.B304.format(path=base / value))
    return path


def find_image(value: str, root: Path) -> ImageFile:
    """RETURNS (ImageFile): The file that a relative path names below the image root; see `resolve_path`."""
    return ImageFile(resolve_path(value, root))


def read_bytes(source: str | Path | bytes) -> bytes:
    """The encoded content of an image.

    source (str | Path | bytes): An absolute path (a reader has resolved it), or the content itself.
    RETURNS (bytes): The content.
    RAISES (ImageError): The file cannot be read.
    """
    if isinstance(source, bytes):
        return source
    with _open_file(source) as file:
        return file.read()


def image_digest(source: str | Path | bytes) -> str:
    """The SHA-256 of an image's content: the same image under two names has one digest.

    source (str | Path | bytes): A path, or the content itself.
    RETURNS (str): The digest in hex.
    RAISES (ImageError): The file cannot be read.
    """
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    with _open_file(source) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def sniff_format(data: bytes) -> str | None:
    """The true type of an image by its first bytes, whatever its name says.

    data (bytes): The content, or its first 16 bytes.
    RETURNS (str | None): "JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", or None.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def _open_file(source: str | Path) -> IO[bytes]:
    path = Path(source)
    try:
        if not path.is_file():  # a pipe or a device would block or never end
            raise MissingImageError(Errors.B304.format(path=path))
        return path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(Errors.B305.format(source=_describe(source), reason=error)) from error


def _describe(source: str | Path | bytes) -> str:
    return f"an encoded image of {len(source):,} bytes" if isinstance(source, bytes) else str(source)[:200]


# Decoding


@dataclass(frozen=True)
class ImageHeader:
    """What an image says of itself before it is decoded: its size in pixels, its format, whether it is animated."""

    width: int
    height: int
    format: str
    animated: bool


def read_header(source: str | Path | bytes) -> ImageHeader:
    """Read an image's header, however large it would be when decoded.

    source (str | Path | bytes): A path, or the encoded content.
    RETURNS (ImageHeader): The header; the size is that of the file, before it is turned upright.
    RAISES (ImageError): There is no header that can be read.
    """
    try:
        file: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else _open_file(source)
        with _pillow_warnings_off, file, Image.open(file, formats=FORMATS) as image:
            return ImageHeader(*image.size, image.format or "", bool(getattr(image, "is_animated", False)))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(Errors.B307.format(source=_describe(source), formats=", ".join(FORMATS))) from error
    except Exception as error:  # as many kinds as in `decode_image`
        reason = f"{type(error).__name__}: {error}"
        raise ImageError(Errors.B305.format(source=_describe(source), reason=reason)) from error


def decode_image(source: str | Path | bytes, *, size: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image to upright RGB. Transparency is laid over white; of an animation the first frame counts.

    source (str | Path | bytes): A path, or the encoded content.
    size (int | None): The side of the square that the image will be resized to. A JPEG is then decoded at a
        fraction of its resolution, never below that side, which is several times faster.
    max_pixels (int): Refuse larger images, by their header, before anything is decoded.
    RETURNS (PIL.Image.Image): The image, in mode RGB.
    RAISES (ImageError): Whatever is wrong with the content; nothing else is raised for it.
    """
    try:
        file: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else _open_file(source)
        with _pillow_warnings_off, file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(
                    Errors.B306.format(source=_describe(source), width=width, height=height, limit=max_pixels)
                )
            if image.format in ("JPEG", "MPO"):
                _check_scans(file, source)
            if size is not None:
                image.draft("RGB", (size, size))
            image.load()
            return _to_rgb(_upright(image))
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(Errors.B307.format(source=_describe(source), formats=", ".join(FORMATS))) from error
    except Exception as error:
        # Pillow's plugins let SyntaxError, struct.error, OverflowError, IndexError, MemoryError, ... through.
        reason = f"{type(error).__name__}: {error}"
        raise ImageError(Errors.B305.format(source=_describe(source), reason=reason)) from error


def to_pixels(image: Image.Image, *, size: int, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Preprocess an image for a vision encoder. The whole image is squashed to a square: a centre crop, which is
    what these encoders were trained with, would cut away the people at the margin whom the text names.

    image (PIL.Image.Image): An RGB image.
    size (int): The side of the square.
    mean (Sequence[float]): The mean of each channel.
    std (Sequence[float]): The standard deviation of each channel.
    RETURNS (np.ndarray): Pixel values, float32, shape (3, size, size).
    """
    resized = image.resize((size, size), Image.Resampling.BICUBIC)
    pixels: np.ndarray = np.asarray(resized, dtype=np.float32) / np.float32(255)
    pixels = (pixels - np.asarray(mean, dtype=np.float32)) / np.asarray(std, dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata says nothing about the pixels, which have been decoded
        return image
    return image if turn is None else image.transpose(turn)


def _check_scans(file: IO[bytes], source: str | Path | bytes) -> None:
    """Refuse a JPEG of many scans: a decoder goes through every block of the image for each, and one takes 50 bytes."""
    file.seek(0)
    # Within a scan, a byte of 255 is followed by 0; in metadata the two bytes may stand by chance, hardly so often.
    scans = sum(block.count(_START_OF_SCAN) for block in iter(partial(file.read, 2**20), b""))
    file.seek(0)
    if scans > MAX_SCANS:
        raise ImageError(Errors.B722.format(source=_describe(source), scans=scans, limit=MAX_SCANS))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()  # detached from the file, which is closed on return
    if image.mode[0] in "IF":
        return _scale_to_8_bit(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bit(image: Image.Image) -> Image.Image:
    """Pillow's own conversion clips 16 bits at 255, which turns nearly every such image white."""
    values: np.ndarray = np.array(image, dtype=np.float32)
    values[np.isnan(values)] = 0
    # Floats have no fixed range: 0 to 1 by convention, 0 to 255 in files that were converted from bytes.
    white = 65535 if image.mode[0] == "I" else 1 if values.max() <= 1 else 255
    np.clip(values, 0, white, out=values)  # in place: such an image may take 200 MB
    values *= 255 / white
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


class _PillowWarningsOff:
    """`warnings.catch_warnings` for several threads: the first in saves the filters, the last out restores them.

    Plain `catch_warnings` in two threads that overlap can leave the process's filters changed for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_pillow_warnings_off = _PillowWarningsOff()
