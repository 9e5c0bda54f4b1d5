"""Where a pretrained encoder comes from when the component is initialized: a folder, a cache, or the Hub.

An encoder is a Hugging Face folder: `config.json` with weights in safetensors. Pickled weights are never read, since
unpickling runs code, and nothing here asks for remote code.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

HUB_TIMEOUT = 5.0
"""Seconds the Hub gets for its first answer: one that cannot be reached must not hold up a training run."""

LICENCE_FILE = "README.md"
"""The file of an encoder that states its licence, in the YAML in front."""

TOKENIZER_SUFFIXES = (".json", ".txt", ".model", ".codes", ".bpe")


class EncoderAbsent(Exception):
    """Raised by a place that does not have the encoder; the message says why."""


class HubUnreachable(EncoderAbsent):
    """Raised where nothing can be said about an encoder, since the Hub gives no answer."""


@dataclass(frozen=True)
class Encoder:
    """An encoder that is at hand.

    name (str): What it was asked for as: a folder or a name on the Hub.
    path (Path): Its Hugging Face folder.
    place (str): Where it was found: one of the keys of `PLACES`.
    """

    name: str
    path: Path
    place: str


Place = Callable[[str], Path]


def resolve_encoder(name: str) -> Path:
    """Find a pretrained encoder, fetching it from the Hub when this machine does not have it.

    The caches come before the Hub on purpose: a machine without a network must not wait for time-outs.

    name (str): A folder, or a name on the Hub such as "facebook/dinov2-small".
    RETURNS (Path): The encoder's Hugging Face folder.
    """
    encoder, tried = look_in(PLACES, name)
    if encoder is None:
        message = Errors.B402 if is_hub_name(name) else Errors.B401
        raise BGAError(message.format(name=name, tried=tried))
    return encoder.path


def find_config(name: str) -> Path | None:
    """Find the config.json of an encoder, without fetching its weights.

    name (str): A folder, or a name on the Hub.
    RETURNS (Path | None): The folder that holds it; None if it is not on this machine and the Hub can't be asked.
    RAISES (BGAError): There is no such encoder.
    """
    encoder, tried = look_in(LOCAL_PLACES, name)
    if encoder is not None:
        return encoder.path
    if not is_hub_name(name):
        raise BGAError(Errors.B401.format(name=name, tried=tried))
    try:
        return _fetch(name, lambda files: [file for file in files if file == "config.json"])
    except HubUnreachable:
        return None
    except EncoderAbsent as reason:
        raise BGAError(Errors.B401.format(name=name, tried=f"{tried}\n  - hub: {reason}")) from reason


def look_in(places: Mapping[str, Place], name: str) -> tuple[Encoder | None, str]:
    """Ask one place after the other for an encoder.

    places (Mapping[str, Place]): What to call each place, and the function that asks it.
    name (str): A folder or a name on the Hub.
    RETURNS (tuple[Encoder | None, str]): The encoder, if any place has it, and why the places before had not.
    """
    tried: list[str] = []
    for label, place in places.items():
        try:
            return Encoder(name, place(name), label), "\n".join(tried)
        except EncoderAbsent as reason:
            tried.append(f"  - {label}: {reason}")
    return None, "\n".join(tried)


def encoder_cache() -> Path:
    """The folder of our own encoder cache; `SPACY_BGA_CACHE` moves it.

    RETURNS (Path): The folder, which need not exist yet.
    """
    if chosen := os.environ.get("SPACY_BGA_CACHE"):
        return Path(chosen).expanduser() / "encoders"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "spacy_bga" / "encoders"


def cached_path(name: str) -> Path:
    """The folder that our own cache keeps an encoder in.

    name (str): A name on the Hub.
    RETURNS (Path): The folder, which need not exist yet.
    """
    # A name of the Hub holds neither ".." nor "--", so two names never share a folder and none leaves the cache.
    if not is_hub_name(name):
        raise EncoderAbsent("this is not a name of the Hub")
    return encoder_cache() / name.replace("/", "--")


def is_hub_name(name: str) -> bool:
    """Whether the Hub could have an encoder of this name.

    name (str): What the user wrote: a name or a path.
    RETURNS (bool): Whether it has the form of a name on the Hub.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def missing_part(folder: Path) -> str | None:
    """What keeps a folder from being an encoder.

    folder (Path): The folder to look at.
    RETURNS (str | None): What it lacks, or None for a whole encoder.
    """
    if not folder.is_dir():
        return f"no folder {folder}"
    if not (folder / "config.json").is_file():
        return f"no config.json in {folder}"
    if (folder / "model.safetensors").is_file():
        return None
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return f"no weights in safetensors in {folder} (pickled weights are never loaded)"
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf8"))["weight_map"].values()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return f"no list of weights in {index}"
    absent = [shard for shard in shards if not (folder / shard).is_file()]
    return f"no {absent[0]} in {folder}" if absent else None


def _in_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    missing = missing_part(folder)
    if missing is None:
        return folder
    if (folder / "config.json").is_file():
        # The user means this folder: say what it lacks instead of fetching something else of the same name.
        raise BGAError(Errors.B403.format(folder=folder, missing=missing))
    raise EncoderAbsent(missing)


def _in_hub_cache(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not is_hub_name(name):
        raise EncoderAbsent("this is not a name of the Hub")
    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except LocalEntryNotFoundError:
        raise EncoderAbsent("not there") from None
    return _whole(folder)


def _in_own_cache(name: str) -> Path:
    return _whole(cached_path(name))


def _from_hub(name: str) -> Path:
    if not is_hub_name(name):
        raise EncoderAbsent("this is not a name of the Hub")
    return _whole(_fetch(name, _wanted_files))


def _fetch(name: str, wanted: Callable[[list[str]], list[str]]) -> Path:
    """RETURNS (Path): The folder that has those files of a repository of the Hub that are wanted."""
    from huggingface_hub import HfApi, constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise HubUnreachable("not asked, since HF_HUB_OFFLINE is set")
    try:
        told = HfApi().model_info(name, timeout=HUB_TIMEOUT, files_metadata=True).siblings or []
        files = wanted([file.rfilename for file in told])
        # The branch and not `info.sha`: only a branch leaves the reference that the cache is searched by.
        folder = Path(snapshot_download(name, allow_patterns=files, etag_timeout=HUB_TIMEOUT))
    except OSError as error:  # the base of every error of requests and of the Hub's answers
        response = getattr(error, "response", None)
        if response is None:
            raise HubUnreachable("cannot be reached") from error
        raise EncoderAbsent(_answer(response.status_code)) from error
    for file in told:
        if file.rfilename in files:
            _check_digest(name, folder / file.rfilename, file)
    return folder


def _check_digest(name: str, path: Path, file: RepoSibling) -> None:
    """Raise a BGAError unless a file is what the Hub says that it is: its SHA-256, or git's SHA-1 of a small file."""
    if file.lfs is not None:
        expected, digest = file.lfs.sha256, hashlib.sha256()
    elif file.blob_id is not None:
        expected, digest = file.blob_id, hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    else:
        return
    with path.open("rb") as stream:
        for block in iter(partial(stream.read, 2**20), b""):
            digest.update(block)
    if digest.hexdigest() != expected:
        found = digest.hexdigest()
        raise BGAError(Errors.B728.format(file=path, name=name, found=found, expected=expected))


def _answer(status: int) -> str:
    return "has no public encoder of this name" if status in (401, 404) else f"answered with status {status}"


def _wanted_files(files: list[str]) -> list[str]:
    weights = [file for file in files if file == "model.safetensors"]
    weights = weights or [file for file in files if file.startswith("model-") and file.endswith(".safetensors")]
    if not weights:
        raise EncoderAbsent("it has no weights in safetensors (pickled weights are never loaded)")
    rest = [file for file in files if "/" not in file and file.endswith(TOKENIZER_SUFFIXES)]
    return weights + rest + [file for file in files if file == LICENCE_FILE]


def _whole(folder: Path) -> Path:
    if missing := missing_part(folder):
        raise EncoderAbsent(missing)
    return folder


LOCAL_PLACES: dict[str, Place] = {
    "folder": _in_folder,
    "Hugging Face cache": _in_hub_cache,
    "spacy_bga cache": _in_own_cache,
}
PLACES: dict[str, Place] = {**LOCAL_PLACES, "hub": _from_hub}
