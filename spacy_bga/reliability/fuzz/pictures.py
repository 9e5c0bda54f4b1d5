"""Contents of image files that somebody may send: what cameras and programs write, and what nobody should."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

SVG = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert({n})</script></svg>',
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    '<image xlink:href="http://127.0.0.1:{n}/x.png"/></svg>',
    '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY a "&x;{n}">]><svg>&a;&a;</svg>',
    '<svg><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="x:{n}"/></body></foreignObject></svg>',
)
HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc", b"crx ", b"isom")
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}  # bytes of a value of each type of TIFF


def noise(r: random.Random, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
    """RETURNS (Image): A picture of noise, of any mode that Pillow knows by its bytes."""
    width, height = size or (r.randint(1, 40), r.randint(1, 40))
    if mode == "F":
        values = np.frombuffer(r.randbytes(4 * width * height), dtype=np.float32).reshape(height, width)
        return Image.fromarray(values)  # NaN, infinities and denormals among them
    if mode == "I;16":
        return Image.fromarray(np.frombuffer(r.randbytes(2 * width * height), dtype="<u2").reshape(height, width))
    if mode == "1":
        return noise(r, "L", (width, height)).convert("1")
    bands = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "YCbCr": 3, "RGBA": 4, "CMYK": 4, "I": 4}[mode]
    return Image.frombytes(mode, (width, height), r.randbytes(bands * width * height))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """RETURNS (bytes): An image in a file's format."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def ordinary(r: random.Random) -> bytes:
    """RETURNS (bytes): A picture in one of the formats that are read."""
    kind = r.choice(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
    options: dict[str, Any] = {"progressive": r.random() < 0.5} if kind == "JPEG" else {}
    if kind == "TIFF":
        options["compression"] = r.choice(["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
    return encode(noise(r), kind, **options)


def damage(data: bytes, r: random.Random, *, most: int = 8) -> bytes:
    """RETURNS (bytes): The same with some bytes changed, inserted, left out or doubled."""
    content = bytearray(data)
    for _ in range(r.randint(1, most)):
        place = r.randrange(len(content) + 1)
        match r.randrange(5):
            case 0:
                content[place : place + 1] = bytes([r.randrange(256)])
            case 1:
                content[place : place + 4] = struct.pack(r.choice("<>") + "I", r.choice([0, 1, 2**31 - 1, 2**32 - 1]))
            case 2:
                content[place:place] = r.randbytes(r.randint(1, 9))
            case 3:
                del content[place : place + r.randint(1, 9)]
            case _:
                content[place:place] = content[place : place + r.randint(1, 40)]
    return bytes(content)


def maybe_damaged(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], bytes]:
    """RETURNS (Callable): Makes what `make` does, damaged one time in three."""

    def made(r: random.Random) -> bytes:
        data = make(r)
        return damage(data, r) if r.random() < 1 / 3 else data

    return made


def truncated(r: random.Random) -> bytes:
    data = ordinary(r)
    data = data[: r.randrange(1, len(data))]
    return damage(data, r) if r.random() < 0.3 else data


def polyglot(r: random.Random) -> bytes:
    """RETURNS (bytes): One file that is two things."""
    first = ordinary(r)
    archive = b"PK\x03\x04" + r.randbytes(26) + b"PK\x05\x06" + bytes(18)
    other = r.choice([archive, b"<script>alert(1)</script>", b"%PDF-1.7\n", b"#!/bin/sh\nid\n", b"MZ\x90", ordinary(r)])
    match r.randrange(3):
        case 0:
            return first + other
        case 1:
            return other + first
        case _:
            place = r.randrange(len(first))
            return first[:place] + other + first[place:]


def cmyk(r: random.Random) -> bytes:
    image = noise(r, "CMYK")
    data = (
        encode(image, "JPEG") if r.random() < 0.6 else encode(image, "TIFF", compression=r.choice(["raw", "tiff_lzw"]))
    )
    if data.startswith(b"\xff\xd8") and r.random() < 0.6:  # Adobe's marker: what the four channels mean
        data = data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([r.randrange(4)]) + data[2:]
    return data


def sixteen_bits(r: random.Random) -> bytes:
    mode = r.choice(["I;16", "I;16", "I", "F"])
    return encode(noise(r, mode), "PNG" if mode == "I;16" and r.random() < 0.6 else "TIFF")


def palette(r: random.Random) -> bytes:
    image = noise(r, "P")
    image.putpalette(r.randbytes(3 * r.randint(1, 256)))
    kind = r.choice(["PNG", "GIF", "TIFF", "BMP"])
    options: dict[str, Any] = {"bits": r.choice([1, 2, 4, 8])} if kind == "PNG" else {}
    if kind in ("PNG", "GIF") and r.random() < 0.6:
        options["transparency"] = r.randrange(256)
    return encode(image if r.random() < 0.8 else noise(r, "1"), kind, **options)


def alpha(r: random.Random) -> bytes:
    if r.random() < 0.3:
        mode = r.choice(["L", "RGB"])
        value = r.randrange(256) if mode == "L" else (r.randrange(256), r.randrange(256), r.randrange(256))
        return encode(noise(r, mode), "PNG", transparency=value)
    mode = r.choice(["RGBA", "LA"])
    kinds = ["PNG", "TIFF", "WEBP", "GIF"] if mode == "RGBA" else ["PNG", "TIFF"]
    return encode(noise(r, mode), r.choice(kinds))


def exif(r: random.Random) -> bytes:
    """RETURNS (bytes): A picture with a turn in its metadata, true, absurd or torn."""
    order = r.choice("<>")
    kind, count = r.choice([(3, 1), (3, 1), (3, 1), (4, 1), (2, 5), (5, 1), (3, 70000), (99, 1)])
    value = r.choice([*range(1, 9), *range(1, 9), 0, 9, 65535])
    raw = struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    start = r.choice([8, 8, 8, 8, 0, 4_000_000_000])
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    block += struct.pack(order + "HHHI", r.choice([1, 1, 1, 9, 65535]), 0x0112, kind, count) + raw + bytes(4)
    block = b"Exif\0\0" + (damage(block, r, most=2) if r.random() < 0.3 else block)
    return encode(noise(r), r.choice(["JPEG", "PNG", "WEBP"]), exif=block)


def animated(r: random.Random) -> bytes:
    size = (r.randint(1, 20), r.randint(1, 20))
    frames = [noise(r, "RGB", size) for _ in range(r.randint(2, 5))]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    kind = r.choice(["GIF", "WEBP", "PNG", "TIFF"])
    if kind != "TIFF":
        options |= {"duration": r.choice([0, 1, 65000]), "loop": r.choice([0, 1])}
    data = bytearray(encode(frames[0], kind, **options))
    if kind == "GIF" and r.random() < 0.4:  # frames that are larger than the canvas
        struct.pack_into("<HH", data, 6, r.choice([0, 1, 65535]), r.choice([0, 1, 65535]))
    return bytes(data)


def one_pixel(r: random.Random) -> bytes:
    mode = r.choice(["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "F"])
    kinds = {"CMYK": ["JPEG", "TIFF"], "F": ["TIFF"], "LA": ["PNG"], "I;16": ["PNG", "TIFF"], "RGBA": ["PNG", "WEBP"]}
    return encode(noise(r, mode, (1, 1)), r.choice(kinds.get(mode, ["PNG", "GIF", "BMP", "TIFF"])))


def huge_header(r: random.Random) -> bytes:
    """RETURNS (bytes): A small file that says it were 20,000 x 20,000 pixels, or about as many."""
    width, height = (r.choice([20_000, 20_000, 16_383, 65_535, r.randint(7_100, 65_535)]) for _ in range(2))
    kind = r.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
    data = bytearray(encode(noise(r), kind, **({"lossless": False} if kind == "WEBP" else {})))
    if kind == "PNG":
        struct.pack_into(">II", data, 16, width, height)
        struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
    elif kind == "JPEG":
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif kind == "GIF":
        struct.pack_into("<HH", data, 6, width, height)
    elif kind == "BMP":
        struct.pack_into("<ii", data, 18, width, r.choice([1, -1]) * height)
    elif kind == "TIFF":
        _set_tags(data, {256: width, 257: height})
    else:
        place = data.index(b"\x9d\x01\x2a") + 3
        struct.pack_into("<HH", data, place, min(width, 16383), min(height, 16383))
    return bytes(data)


def bomb(r: random.Random) -> bytes:
    """RETURNS (bytes): Little that becomes much: pixels, metadata, or the scans of a progressive JPEG."""
    match r.randrange(6):
        case 0:  # within the limit of pixels, or not far above it
            return png(r.randint(1000, 8000), r.randint(1000, 8000), colour=r.choice([0, 2, 3, 6]))
        case 1:
            kind = r.choice([b"zTXt", b"iCCP", b"iTXt"])
            content = b"x\0" + (b"\1\0\0\0" if kind == b"iTXt" else b"\0") + zeros(2 ** r.randint(18, 30))
            return png(4, 4, chunks=chunk(kind, content) * r.randint(1, 3))
        case 2:
            image = Image.new(r.choice(["L", "RGB"]), (r.randint(100, 7000), r.randint(100, 5000)))
            return encode(image, "TIFF", compression=r.choice(["tiff_deflate", "tiff_lzw", "packbits"]))
        case 3:
            return scans(r.randint(100, 5000), r.randint(100, 5000), number=r.randint(1, 3000))
        case 4:
            return encode(Image.new("P", (r.randint(100, 7000), r.randint(100, 5000))), "GIF")
        case _:
            return png(2 ** r.randint(1, 31) - 1, r.randint(1, 3), colour=0)


def chunk(kind: bytes, content: bytes) -> bytes:
    """RETURNS (bytes): A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *, colour: int = 2, chunks: bytes = b"") -> bytes:
    """RETURNS (bytes): A black PNG, however large, written without making its pixels."""
    size = height * (1 + width * {0: 1, 2: 3, 3: 1, 6: 4}[colour])
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    table = chunk(b"PLTE", bytes(3 * 256)) if colour == 3 else b""
    pixels = chunk(b"IDAT", zeros(min(size, 2**30)))  # one that is refused by its header need not be whole
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + table + pixels + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """RETURNS (bytes): What zlib makes of so many zeros, put together of blocks."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(size % 2**20)) + packer.flush()
    return b"\x78\xda" + block * (size // 2**20) + rest + struct.pack(">I", (size % 65521) << 16 | 1)


def scans(width: int, height: int, *, number: int) -> bytes:
    """RETURNS (bytes): A progressive JPEG whose first scan is the picture, followed by many that say nothing new: a
    decoder goes through all blocks for each."""
    data = encode(Image.new("L", (width, height)), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xc4")  # the last scan, with its Huffman table
    return data[:-2] + data[start:-2] * number + data[-2:]


def svg(r: random.Random) -> bytes:
    text = r.choice(SVG).format(n=r.randrange(10**9)).encode()
    return gzip.compress(text, mtime=0) if r.random() < 0.2 else text


def heic(r: random.Random) -> bytes:
    """RETURNS (bytes): The boxes that HEIC and AVIF begin with, and noise."""
    brand = r.choice(HEIC_BRANDS)
    boxes = struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + r.choice(HEIC_BRANDS)
    for name in (b"meta", b"mdat"):
        content = r.randbytes(r.randint(0, 200))
        boxes += struct.pack(">I", r.choice([8 + len(content), 0, 1, 2**32 - 1])) + name + content
    return boxes


def nothing(r: random.Random) -> bytes:
    """RETURNS (bytes): Empty, blank, or the first bytes of a format and no more."""
    magic = r.choice([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBPVP8 "])
    return r.choice(
        [
            b"",
            bytes(r.randint(1, 5000)),
            b" " * r.randint(1, 5000),
            b"\n" * r.randint(1, 5000),
            magic + r.randbytes(r.randint(0, 9)),
        ]
    )


def _set_tags(data: bytearray, values: dict[int, int]) -> None:
    """Change values of the first directory of a little-endian TIFF, in place."""
    start = struct.unpack_from("<I", data, 4)[0]
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        tag = struct.unpack_from("<H", data, place)[0]
        if tag in values:
            struct.pack_into("<HII", data, place + 2, 4, 1, values[tag])
