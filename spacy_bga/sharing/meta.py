"""A complete meta.json: what spaCy writes into it itself, and whose work, data and licences are behind a pipeline."""

# No `from __future__ import annotations`: spaCy validates settings against the annotations, and wants types.

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_bga.errors import BGAError, Errors, Warnings

STATED = ("name", "version", "description", "author", "email", "url", "license", "sources", "notes", "requirements")
"""What only its maker can tell about a pipeline; all else in meta.json is measured, or follows from the pipeline."""


def create_complete_meta(meta: str | Path | None = None) -> Callable[[Language], Language]:
    """The callback `spacy_bga.complete_meta.v1`, for `[training] before_to_disk`.

    A saved pipeline, and the package made of it, then names the encoders that it began with and their licences, beside
    the scores and labels that spaCy writes. What is stated in a file goes before what is found.

    meta (Optional[Union[str, Path]]): A JSON file in the form of meta.json that states what only its maker knows:
        "license", "author", "description", and as "sources" the data with their licences.
    RETURNS (Callable[[Language], Language]): The callback; it changes `nlp.meta` only, and warns of a source whose
        licence is stated nowhere.
    RAISES (BGAError): The file can't be used; this comes before training begins.
    """
    stated = {} if meta is None else read_stated(Path(meta))

    def complete_meta(nlp: Language) -> Language:
        from spacy_bga.sharing.sources import encoder_sources, inherited_sources, merge_sources

        own = stated.get("sources") or ()
        # Its maker's own come first, and also last, since the last word counts.
        sources = merge_sources([*own, *inherited_sources(nlp), *encoder_sources(nlp), *own])
        for source in sources:
            if not source.get("license"):
                warnings.warn(Warnings.W650.format(name=source["name"]), stacklevel=2)
        nlp.meta.update(stated, sources=sources)
        return nlp

    return complete_meta


def read_stated(path: Path) -> dict[str, Any]:
    """Read what a pipeline's maker states about it.

    path (Path): A JSON file.
    RETURNS (dict[str, Any]): Some of `STATED`.
    RAISES (BGAError): There is no such file, or it holds something else.
    """
    from spacy.schemas import ModelMetaSchema, validate

    try:
        stated = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise BGAError(Errors.B651.format(path=path, reason=error, known=", ".join(STATED))) from error
    problems = ["it holds no object"] if not isinstance(stated, dict) else []
    if not problems:
        problems = [f"'{key}' is not for you to state" for key in stated if key not in STATED]
        problems += validate(ModelMetaSchema, {"lang": "xx", "name": "pipeline", "version": "0.0.0", **stated})
    if not problems:
        unnamed = [
            source for source in stated.get("sources") or () if isinstance(source, dict) and "name" not in source
        ]
        problems = [f"the source {source} has no name" for source in unnamed]
    if problems:
        reason = "; ".join(problem.strip() for problem in problems)
        raise BGAError(Errors.B651.format(path=path, reason=reason, known=", ".join(STATED)))
    return stated
