"""Labels for a trained component that another training goes on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language


def create_add_labels(labels: list[str], *, component: str = "bga_ner") -> Callable[[Language], None]:
    """The callback `spacy_bga.add_labels.v1`, for [initialize.after_init].

    spaCy doesn't initialize a component with a `source`, and so never reads the `labels` in [initialize.components].

    labels (List[str]): What to add to the labels that the component has. component (str): Its name.
    RETURNS (Callable[[Language], None]): Adds them; what was learnt is kept.
    """

    def add_labels(nlp: Language) -> None:
        pipe: Any = nlp.get_pipe(component)
        for label in labels:
            pipe.add_label(label)

    return add_labels
