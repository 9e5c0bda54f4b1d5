"""A trained pipeline, written with the graph that another engine than torch runs."""

from __future__ import annotations

from pathlib import Path

import spacy

from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim


def export_pipeline(pipeline: str | Path, output: Path, *, backend: str, precision: str = "fp32") -> list[str]:
    """Set the backend of a pipeline's `bga_ner` components, make their graphs, and write it.

    pipeline (Union[str, Path]): Its folder, or the name of its package. output (Path): The folder to write.
    backend, precision (str): See `BGANer`; with "torch" no graph is written.
    RETURNS (list[str]): The names of the components. Raises a BGAError if there is none.
    """
    nlp = spacy.load(pipeline)
    components = {name: component for name, component in nlp.components if isinstance(component, BGANer)}
    if not components:
        raise BGAError(Errors.B216.format(pipes=", ".join(nlp.component_names)))
    for name, component in components.items():
        component.set_backend(backend, precision=precision)
        nlp.get_pipe_config(name).update(backend=backend, precision=precision)  # what nlp.to_disk writes
        shim = get_shim(component.model)
        shim.graph.encoder(shim.aligner.eval())  # fails here rather than where it is loaded
    nlp.to_disk(output)
    return list(components)
