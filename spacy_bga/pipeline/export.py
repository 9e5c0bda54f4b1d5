"""A trained pipeline, written with the graph that another engine than torch runs."""

from __future__ import annotations

from pathlib import Path

import spacy
from spacy.util import get_minor_version_range

from spacy_bga.about import __title__, __version__
from spacy_bga.errors import BGAError, Errors
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.pipeline.bridge import get_shim


def export_pipeline(pipeline: str | Path, output: Path, *, backend: str, precision: str = "fp32") -> list[str]:
    """Set the backend of a pipeline's `bga_ner` components, make their graphs, and write it. A package made of it asks
    for the extra that runs them.

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
        shim.graph.build(shim.aligner)  # fails here rather than where it is loaded
    others = [name for name in nlp.meta.get("requirements", ()) if not name.startswith(f"{__title__}[")]
    engine = "onnx" if backend == "auto" else backend
    extra = [] if backend == "torch" else [f"{__title__}[{engine}]{get_minor_version_range(__version__)}"]
    nlp.meta["requirements"] = [*others, *extra]
    nlp.to_disk(output)
    return list(components)
