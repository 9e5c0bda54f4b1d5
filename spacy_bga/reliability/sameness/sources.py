"""The ways that a pipeline can go before it is run: saved, loaded, copied, sent, packaged."""

from __future__ import annotations

import copy
import multiprocessing
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.processes import last_lines, run_command

if TYPE_CHECKING:
    from spacy.language import Language

NAME, VERSION = "sameness", "0.0.0"
FULL = "saved with its visual branch, loaded"

Source = Callable[[Path, Path], "Language"]
"""From the pipeline's folder and an empty one for files, to the pipeline."""


def has_visual_branch(nlp: Language) -> bool:
    """RETURNS (bool): Whether a pipeline has what only learning from images needs."""
    from spacy_bga.pipeline.bridge import get_shim

    components: list[Any] = [nlp.get_pipe(name) for name in _names(nlp)]
    return any(get_shim(component.model).aligner.visual is not None for component in components)


def _load(pipeline: Path, *, save_visual_branch: bool | None = None) -> Language:
    import spacy

    nlp = spacy.load(pipeline)
    if save_visual_branch is None:
        return nlp
    settings = {f"components.{name}.save_visual_branch": save_visual_branch for name in _names(nlp)}
    return spacy.load(pipeline, config=settings)


def _names(nlp: Language) -> list[str]:
    return [name for name, factory in nlp.pipe_factories.items() if factory == "bga_ner"]


def _as_it_is(pipeline: Path, work: Path) -> Language:
    return _load(pipeline)


def _saved(*, visual_branch: bool) -> Source:
    def save_and_load(pipeline: Path, work: Path) -> Language:
        _load(pipeline, save_visual_branch=visual_branch).to_disk(work / "saved")
        return _load(work / "saved")

    return save_and_load


def _from_bytes(pipeline: Path, work: Path) -> Language:
    nlp = _load(pipeline)
    return nlp.__class__.from_config(nlp.config).from_bytes(nlp.to_bytes())


def _sent(pipeline: Path, work: Path) -> Language:
    """Pickled, as what is sent to another process is."""
    return _send(_load(pipeline))


def _send(nlp: Language) -> Language:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sending = threading.Thread(target=sender.send, args=(nlp,))  # a pipe holds less than a pipeline
    sending.start()
    received = receiver.recv()
    sending.join()
    return received


def _copied(pipeline: Path, work: Path) -> Language:
    return copy.deepcopy(_load(pipeline))


def _sent_after_use(pipeline: Path, work: Path) -> Language:
    """Pickled after it has tagged: nothing of that may go along."""
    nlp = _load(pipeline)
    nlp("Kevin Durant joins the Warriors in Oakland")
    list(nlp.pipe(["a", "b c d", ""]))
    return _send(nlp)


def _packaged(pipeline: Path, work: Path) -> Language:
    """What is in a wheel alone, installed into a folder of its own and loaded by its name."""
    import spacy

    package = f"{_load(pipeline).lang}_{NAME}"
    names = ["--name", NAME, "--version", VERSION]
    # The wheel is made without the environment that `--build wheel` would fetch from the package index.
    _run(work, "spacy", "package", pipeline, work, *names, "--build", "none")
    _run(work, "build", "--wheel", "--no-isolation", "--outdir", work, work / f"{package}-{VERSION}")
    target, wheel = work / "installed", work / f"{package}-{VERSION}-py3-none-any.whl"
    _run(work, "pip", "install", "--no-deps", "--no-index", "--target", target, wheel)
    sys.path.insert(0, str(target))
    return spacy.load(package)


def _run(work: Path, *command: str | Path) -> None:
    log = work / "log.txt"
    if code := run_command([sys.executable, "-m", *map(str, command)], log=log).exit_code:
        raise BGAError(Errors.B754.format(command=" ".join(map(str, command[:2])), code=code, lines=last_lines(log)))


SOURCES: dict[str, Source] = {
    "loaded": _as_it_is,
    "saved without a visual branch, loaded": _saved(visual_branch=False),
    FULL: _saved(visual_branch=True),
    "to bytes and back": _from_bytes,
    "pickled": _sent,
    "pickled after use": _sent_after_use,
    "a deep copy": _copied,
    "a wheel, installed": _packaged,
}
