"""Images: hostile contents, and paths that lead somewhere else, on documents in the middle of a batch."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

from spacy_bga.corpus.images import MAX_PIXELS, decode_image, read_header, resolve_path
from spacy_bga.corpus.inspection import ImageInspector
from spacy_bga.corpus.report import Tally
from spacy_bga.errors import ImageError
from spacy_bga.reliability.fuzz import pictures
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import Broken, clear, expect, judge
from spacy_bga.reliability.fuzz.worker import auditor, fresh_folder
from spacy_bga.reliability.tiny import make_pipeline, write_text_encoder, write_vision_encoder

TEXT = "kevin durant joins the warriors"


@dataclass(frozen=True)
class Sent:
    """An image that somebody sends.

    path (str): The path on the document; empty for encoded bytes. content (bytes): Of the file at that path.
    node (str): What is there: "file", "folder", "pipe", "socket", "zero", "full", "nothing", or "link" with its target
    in `content`. usable (bool): Whether it may be an image at all.
    """

    path: str = ""
    content: bytes = b""
    node: str = "file"
    usable: bool = True


def _contents(make: Callable[[random.Random], bytes]) -> st.SearchStrategy[Sent]:
    """RETURNS (SearchStrategy[Sent]): Files of that content, under names that may be wrong, or encoded bytes."""

    def sent(number: int, suffix: str, inline: bool) -> Sent:
        content = make(random.Random(number))
        return Sent("" if inline else f"image{suffix}", content)

    suffixes = st.sampled_from([".jpg", ".png", ".gif", ".webp", ".bmp", ".tif", ".svg", ".heic", "", ".txt", ".JPG"])
    return st.builds(sent, st.integers(0, 2**64), suffixes, st.booleans())


_names = st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=20).filter(lambda n: n.strip(". "))
_tails = st.one_of(_names, st.sampled_from(["secret.png", "etc/passwd", "x.jpg", "../x.png", "photos/a b.jpg", "1"]))


def _paths(prefixes: st.SearchStrategy[str], *, node: str = "nothing") -> st.SearchStrategy[Sent]:
    """RETURNS (SearchStrategy[Sent]): Paths that begin so, and must not lead to an image."""
    return st.builds(lambda prefix, tail: Sent(prefix + tail, node=node, usable=False), prefixes, _tails)


def _nodes(*nodes: str) -> st.SearchStrategy[Sent]:
    """RETURNS (SearchStrategy[Sent]): Things that are no files, under any name."""
    names = st.one_of(_names, st.sampled_from(["x.png", "a/b.jpg", "a/b/", "x.gif/", "./x.jpg"]))
    return st.builds(lambda name, node: Sent(name, node=node, usable=False), names, st.sampled_from(nodes))


_targets = st.sampled_from(
    [
        b"../secret/secret.png",
        b"../secret",
        b"/etc/passwd",
        b"/proc/self/environ",
        b"/dev/zero",
        b"/dev/random",
        b"/",
        b"..",
        b"link",
        b"inside/../../secret/secret.png",
    ]
)
_links = st.builds(
    lambda name, target, tail: Sent(name + tail, target, "link", usable=False),
    _names,
    _targets,
    st.sampled_from(["", "", "/secret.png", "/zero", "/../secret.png"]),
)
_up = st.lists(st.sampled_from(["../", "..\\", "./../", "a/../../", "..//", "../secret/"]), min_size=1, max_size=4)
_absolute = st.sampled_from(["/", "//", "\\", "C:\\", "c:/", "\\\\host\\share\\", "//host/share/", "/etc/", "D:"])
_schemes = st.sampled_from(["http", "https", "ftp", "file", "s3", "gopher", "ssh+git", "HTTP", "jar", "x-y.z+1"])
_urls = st.one_of(
    st.builds("{}://{}/".format, _schemes, st.sampled_from(["127.0.0.1:9", "localhost", "example.org", "[::1]", ""])),
    st.sampled_from(["data:image/png;base64,", "data:,", "blob:null/", "file:"]),
)

_damaged = pictures.maybe_damaged
FORMS = {
    "truncated": Form(_contents(pictures.truncated)),
    "wrong extension": Form(_contents(_damaged(pictures.ordinary))),
    "polyglots": Form(_contents(pictures.polyglot)),
    "CMYK": Form(_contents(_damaged(pictures.cmyk))),
    "16-bit": Form(_contents(_damaged(pictures.sixteen_bits))),
    "palettes": Form(_contents(_damaged(pictures.palette))),
    "alpha": Form(_contents(_damaged(pictures.alpha))),
    "EXIF-rotated": Form(_contents(_damaged(pictures.exif))),
    "animated": Form(_contents(_damaged(pictures.animated))),
    "1x1": Form(_contents(_damaged(pictures.one_pixel))),
    "20,000x20,000 headers": Form(_contents(pictures.huge_header)),
    "decompression bombs": Form(_contents(pictures.bomb), share=1),
    "SVG": Form(_contents(pictures.svg)),
    "HEIC": Form(_contents(pictures.heic)),
    "empty files": Form(_contents(pictures.nothing)),
    "directories": Form(_nodes("folder")),
    "device files": Form(_nodes("pipe", "socket", "zero", "full")),
    "symbolic links": Form(_links),
    "../": Form(_paths(_up.map("".join))),
    "absolute paths": Form(_paths(_absolute)),
    "URLs": Form(_paths(_urls)),
}


@dataclass
class Bench:
    """A pipeline that looks at images, the image root, and what it says of a text without one."""

    nlp: Language
    root: Path
    expected: list[str]


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): A pipeline on tiny encoders, and an image root beside a folder that nothing may be read of."""
    text, vision, secret = (folder / name for name in ("text_encoder", "vision_encoder", "secret"))
    for path in (text, vision, secret):
        path.mkdir()
    (secret / "secret.png").write_bytes(pictures.png(3, 3))
    auditor.secret = str(secret)
    root = folder / "images"
    nlp = make_pipeline(
        write_text_encoder(text), write_vision_encoder(vision), visual_context="real", image_root=str(root)
    )
    root.mkdir()
    return Bench(nlp, root, [ent.text for ent in nlp(TEXT).ents])


def attempt(bench: Bench, sent: Sent) -> str:
    """Read an image by itself, look at it as `convert` does, and tag a text that has it in the middle of a batch."""
    fresh_folder(bench.root)
    if sent.path:
        _lay_down(sent, bench.root)
    source: str | bytes = sent.path or sent.content
    outcome = judge(lambda: _read(source, bench.root))
    expect(sent.usable or outcome != "answer", "this is no image of the root")
    _inspect(sent, bench.root, usable=outcome == "answer")
    _tag(bench, source)
    return outcome


def _read(source: str | bytes, root: Path) -> None:
    try:
        found = resolve_path(source, root) if isinstance(source, str) else source
        image = decode_image(found, size=32)
    except ImageError:
        raise
    except Exception as error:
        raise Broken(f"not an ImageError: {type(error).__name__}: {error}") from error
    header = read_header(found)
    expect(image.mode == "RGB", f"mode {image.mode}")
    expect(image.width * image.height <= MAX_PIXELS and header.width * header.height > 0, f"size {image.size}")


def _inspect(sent: Sent, root: Path, *, usable: bool) -> None:
    if sent.path:
        found = ImageInspector(root, Tally()).usable((sent.path,), "here")
        expect(bool(found) is usable, f"the inspector says {found}")


def _tag(bench: Bench, source: str | bytes) -> None:
    """The text is tagged, with its image or without; and so are the others of its batch."""
    errors: list[Exception] = []
    bench.nlp.set_error_handler(lambda name, pipe, docs, error: errors.append(error))  # type: ignore[arg-type,return-value]
    docs = [bench.nlp.make_doc(TEXT) for _ in range(3)]
    docs[1]._.image = source
    tagged: list[Doc] = list(bench.nlp.pipe(docs))
    for error in errors:
        clear(error)
    expect(len(tagged) == 3, f"{len(tagged)} documents of 3, {len(errors)} errors: {errors[:1]}")
    for doc in (tagged[0], tagged[2]):
        expect([ent.text for ent in doc.ents] == bench.expected, "the others of the batch are tagged otherwise")


def _lay_down(sent: Sent, root: Path) -> None:
    """Put it at its path below the root. Not every name is one here: then there is nothing at the path."""
    path = root / sent.path.split("/")[0] if sent.node == "link" else root / sent.path
    with suppress(OSError, ValueError):
        if sent.node != "nothing":
            path.parent.mkdir(parents=True, exist_ok=True)
        match sent.node:
            case "file":
                path.write_bytes(sent.content)
            case "folder":
                path.mkdir()
            case "link":
                path.symlink_to(os.fsdecode(sent.content))
            case "pipe":
                os.mkfifo(path)
            case "socket":
                os.mknod(path, stat.S_IFSOCK | 0o600)
            case "zero":
                path.symlink_to("/dev/zero")
            case "full":
                path.symlink_to("/dev/full")


KIND = Kind(FORMS, open_bench, attempt)
