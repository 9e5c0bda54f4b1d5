"""A packaged pipeline as a repository of the Hugging Face hub.

The repository is laid out as `spacy-huggingface-hub` (0.0.10) lays it out, whose own `push` isn't used: it pins a typer
that neither spaCy's console nor ours runs with, gives the wheel a name that pip refuses (a version `any`), and puts a
second block of metadata in front of a model card that has one.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.sharing.card_metadata import card_metadata, package_name
from spacy_bga.sharing.model_card import training_scores

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MESSAGE = "Update spaCy pipeline"


@dataclass(frozen=True)
class HubRepository:
    """What is to be a repository.

    name (str): The pipeline's, such as "en_my_ner". version (str): The pipeline's. wheel (str): The wheel's file.
    folder (Path): All files, as they are to lie in the repository.
    """

    name: str
    version: str
    wheel: str
    folder: Path

    @property
    def files(self) -> dict[str, int]:
        """RETURNS (dict[str, int]): The size of each file in bytes, by its path in the repository."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in paths}

    @property
    def metadata(self) -> str:
        """RETURNS (str): The YAML that the hub reads."""
        return (self.folder / "README.md").read_text(encoding="utf8").split("\n---\n")[0] + "\n---\n"


@contextmanager
def lay_out(wheel: Path) -> Iterator[HubRepository]:
    """Lay out the repository of a packaged pipeline in a temporary folder: its files, and the wheel itself.

    A package without a model card of ours gets the metadata that its meta.json gives.

    wheel (Path): A wheel that `spacy package --build wheel` made.
    YIELDS (HubRepository): The repository. RAISES (BGAError): It is no such wheel.
    """
    try:
        archive = zipfile.ZipFile(wheel)
    except (OSError, zipfile.BadZipFile) as error:
        raise BGAError(Errors.B653.format(path=wheel, reason=error)) from error
    with archive, tempfile.TemporaryDirectory() as scratch:
        meta = _meta(archive, wheel)
        name = package_name(meta)
        folder = Path(scratch) / name
        data = PurePosixPath(name, f"{name}-{meta['version']}")
        members = [member for member in archive.infolist() if PurePosixPath(member.filename).is_relative_to(data)]
        if not members:
            raise BGAError(Errors.B653.format(path=wheel, reason=f"there is no {data} in it"))
        for member in members:
            archive.extract(member, scratch)  # which leads out of no folder
        shutil.move(Path(scratch) / data, folder / "data")
        for path in list((folder / "data").iterdir()):
            path.replace(folder / path.name)
        (folder / "data").rmdir()
        (folder / "meta.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False), encoding="utf8")
        _complete_card(folder / "README.md", meta)
        shutil.copyfile(wheel, folder / wheel.name)
        yield HubRepository(name, meta["version"], wheel.name, folder)


def push(
    wheel: Path, repo: str | None = None, *, private: bool = False, message: str = MESSAGE, api: HfApi | None = None
) -> str:
    """Publish a packaged pipeline. The wheels of earlier versions leave the repository.

    wheel (Path): A wheel that `spacy package --build wheel` made. repo (Optional[str]): "OWNER/NAME"; None: the
        package's name, of the account that is logged in. private (bool): Whether a new repository is private.
    message (str): The commit message. api (Optional[HfApi]): What talks to the hub.
    RETURNS (str): The address from which pip installs it.
    RAISES (BGAError): It is no such wheel, or the hub says no.
    """
    from huggingface_hub import HfApi

    api = api or HfApi()
    with lay_out(wheel) as repository:
        try:
            repo = repo or f"{api.whoami()['name']}/{repository.name}"
            url = api.create_repo(repo_id=repo, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo, folder_path=repository.folder, commit_message=message, delete_patterns="*.whl"
            )
        except (OSError, ValueError) as error:  # the bases of every error of the network, of a login and of a name
            raise BGAError(Errors.B654.format(repo=repo or repository.name, reason=error)) from error
        return f"{url}/resolve/main/{repository.wheel}"


def _meta(archive: zipfile.ZipFile, wheel: Path) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The meta.json beside the package's `__init__.py`."""
    names = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/meta.json")]
    try:
        meta = json.loads(archive.read(names[0])) if names else None
    except ValueError as error:
        raise BGAError(Errors.B653.format(path=wheel, reason=error)) from error
    if not isinstance(meta, dict) or not {"lang", "name", "version"} <= set(meta):
        raise BGAError(Errors.B653.format(path=wheel, reason="there is no meta.json of a pipeline in it"))
    return meta


def _complete_card(path: Path, meta: dict[str, Any]) -> None:
    card = path.read_text(encoding="utf8") if path.is_file() else ""
    if not card.startswith("---\n"):
        path.write_text(card_metadata(meta, training_scores(meta)) + "\n" + card, encoding="utf8")
