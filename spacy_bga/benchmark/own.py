"""Pipelines of this package as its configs set them up, for those who have not trained one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spacy_bga.benchmark.peers import learn, make_examples
from spacy_bga.benchmark.texts import Text

# A BGA layer, as configs/starter.cfg had it in 0.1.0.
BGA_SETTINGS = {"bga_layers": 1, "generator_width": 384, "visual_grid": 2, "context_gate": 0.0}
RATE_SCALES = {"encoder": 1.0, "generator": 5.0, "head": 10.0, "reader": 100.0}


def build_own(folder: Path, encoder: Path, texts: Sequence[Text], *, steps: int, vision: Path | None = None) -> None:
    """Save a `bga_ner` pipeline that has learnt just enough to find about as many entities as there are.

    folder (Path): Where to save it. encoder (Path): The text encoder's folder, whose weights stay as they are.
    texts (Sequence[Text]): Texts with entities. steps (int): Updates to learn from.
    vision (Optional[Path]): The vision encoder's folder; None for a pipeline that knows no images.
    """
    import spacy
    from spacy.util import fix_random_seed

    from spacy_bga.pipeline.bridge import get_shim

    fix_random_seed(0)
    model: dict[str, Any] = {
        "@architectures": "spacy_bga.BGAModel.v1",
        "text_encoder": str(encoder),
        "image_size": None,
    }
    model |= {"vision_encoder": None, "bga_layers": 0} if vision is None else {"vision_encoder": str(vision)}
    model |= {} if vision is None else BGA_SETTINGS
    nlp = spacy.blank("en")
    component: Any = nlp.add_pipe("bga_ner", config={"model": model, "rate_scales": RATE_SCALES})
    # Only here: a pipeline saved with that setting would go on learning with a frozen encoder where training is timed.
    get_shim(component.model).rate_scales["encoder"] = 0.0
    examples = make_examples(nlp, texts)
    nlp.initialize(lambda: examples)
    learn(nlp, examples, steps)
    nlp.to_disk(folder)
