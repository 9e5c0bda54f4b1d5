"""What a trained aligner has learnt, on image-text pairs that it has never seen.

`python -m spacy_bga.evaluation.alignment MODEL OUTPUT --images FOLDER [--labelled FILE] NAME=PAIRS ...` measures it in
a process of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

    from spacy_bga.pipeline.alignment import Alignment
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.word_alignment import WordAlignment

MOST = 500  # texts among which each one finds its image: with more of them it is harder, and numbers don't compare
CHANGES = {"entity": "entity", "word": "word", "text": "other_text"}
OF_LAYERS = ("explained_beyond_mean", "explained_when_scaled", "explained_by_layer", "keep_text", "keep_visual")


def measure_alignment(
    nlp: Language, pairs: Path, images: Path | None = None, *, labelled: Path | None = None
) -> dict[str, Any]:
    """Measure whether generated visual features find the image of their text, resemble it, and hang on its entities.

    nlp (Language): A pipeline saved with its visual branch. pairs (Path): Held-out pairs, a .spacy file; at most `MOST`
        are used, one for each image. images (Optional[Path]): Their image root; or given features, None: the
        pipeline's own.
    labelled (Optional[Path]): A .spacy file of texts with entities, for "entity_swap".
    RETURNS (dict): "t2i" and "i2t", the retrieval of images by texts and of texts by images; "entity_swap", see
        `measure_swaps`; and `of_layers`, None for each where each word generates by itself.
    RAISES (BGAError): The pipeline can't align, or there is nothing to measure it by.
    """
    from spacy_bga.evaluation.entity_swap import measure_swaps
    from spacy_bga.evaluation.retrieval import retrieval
    from spacy_bga.pipeline.alignment import Alignment, imagine

    component = find_component(nlp)
    found = align_pairs(nlp, component, pairs, images)
    similarity = found.similarity()
    swaps = None if labelled is None else measure_swaps(nlp, labelled, partial(imagine, component.model))
    return {
        "t2i": retrieval(similarity).as_record(),
        "i2t": retrieval(similarity.T).as_record(),
        **(of_layers(component, found) if isinstance(found, Alignment) else dict.fromkeys(OF_LAYERS)),
        "entity_swap": swaps,
    }


def load_pipeline(folder: Path) -> Language:
    """RETURNS (Language): The pipeline in a folder. Raises a BGAError if there is no such folder."""
    import spacy

    if not folder.is_dir():
        raise BGAError(Errors.B516.format(folder=folder))
    return spacy.load(folder)


def find_component(nlp: Language) -> BGANer:
    """RETURNS (BGANer): The component that can align. Raises a BGAError if none generates and has a visual branch."""
    from spacy_bga.pipeline.bridge import get_shim

    component = find_generating(nlp)
    if get_shim(component.model).aligner.visual is None:
        raise BGAError(Errors.B107)
    return component


def find_generating(nlp: Language) -> BGANer:
    """RETURNS (BGANer): The component that generates visual features. Raises a BGAError if none does."""
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.bridge import get_shim

    for _, component in nlp.pipeline:
        if isinstance(component, BGANer) and get_shim(component.model).aligner.config.sees:
            return component
    raise BGAError(Errors.B523.format(pipes=", ".join(nlp.pipe_names) or "none"))


def align_pairs(nlp: Language, component: BGANer, pairs: Path, images: Path | None) -> Alignment | WordAlignment:
    """RETURNS (Union[Alignment, WordAlignment]): Of the first `MOST` pairs with different images. Raises a BGAError if
    there are none."""
    from spacy_bga.corpus.image_corpus import ImageCorpus
    from spacy_bga.corpus.images import get_images
    from spacy_bga.pipeline.alignment import align
    from spacy_bga.pipeline.bridge import image_features

    component.images.look_in(images)
    attr = component.image_attr
    docs: list[Doc] = []
    chosen: dict[str | bytes, list[str | bytes]] = {}
    for example in ImageCorpus(pairs, images=images, attr=attr)(nlp):
        sources = get_images(example.reference, attr=attr)
        if sources and sources[0] not in chosen:
            chosen[sources[0]] = sources
            docs.append(example.predicted)
        if len(docs) == MOST:
            break
    features = image_features(component.model, folder=component.feature_cache, on_missing=component.on_missing)
    assert features is not None
    found = align(component.model, docs, list(chosen.values()), features)
    if found is None:
        raise BGAError(Errors.B525.format(path=pairs, images=images))
    return found


def of_layers(component: BGANer, found: Alignment) -> dict[str, Any]:
    """RETURNS (dict): What there is to say of BGA layers: "keep_text" and "keep_visual", the share of tokens that each
    keeps; and how much they explain, see `explained`."""
    return explained(component, found) | {
        "keep_text": found.kept_text.mean(axis=0, dtype=np.float64).round(3).tolist(),
        "keep_visual": found.kept_visual.mean(axis=0, dtype=np.float64).round(3).tolist(),
    }


def explained(component: BGANer, found: Alignment) -> dict[str, Any]:
    """How much of the way from the mean image to the real ones generated features go, at each BGA layer.

    Standardised features are 0 where the mean image of the training is. Without standardisation nobody knows that
    image, and the mean of the test's images must not stand in for it: generated features cannot know that one.

    component (BGANer): Whose aligner it is. found (Alignment): Its features.
    RETURNS (dict): "explained_beyond_mean" and "explained_when_scaled", the means over layers, and "explained_by_layer"
        with lists of both; None for each if features aren't standardised.
    """
    from spacy_bga.evaluation.retrieval import explained_beyond_mean, explained_when_scaled
    from spacy_bga.pipeline.bridge import get_shim

    measures = {"explained_beyond_mean": explained_beyond_mean, "explained_when_scaled": explained_when_scaled}
    if not get_shim(component.model).aligner.config.standardize:
        return {**dict.fromkeys(measures), "explained_by_layer": None}
    there = found.valid[:, None, :, None]  # where there is no crop, there is nothing to explain
    generated = (found.generated * there).swapaxes(0, 1)
    real = (found.real * there).swapaxes(0, 1)
    mean = np.zeros(real.shape[2:], dtype=np.float32)
    by_layer = {
        name: [measure(g, r, mean) for g, r in zip(generated, real, strict=True)] for name, measure in measures.items()
    }
    # 0.0 is added because a rounded number may be -0.0.
    return {
        **{name: round(float(np.mean(values)), 4) + 0.0 for name, values in by_layer.items()},
        "explained_by_layer": {name: [round(value, 4) + 0.0 for value in values] for name, values in by_layer.items()},
    }


def table(measured: dict[str, Any]) -> str:
    """RETURNS (str): What `measure_alignment` returned, for the console."""
    t2i = measured["t2i"]
    lines = [
        f"{'Of ' + str(t2i['n']) + ' pairs':<22}{'R@1':>8}{'R@5':>8}{'R@10':>8}{'95 %':>15}{'median rank':>13}",
        *(_retrieval_line(label, measured[key]) for key, label in (("t2i", "text to image"), ("i2t", "image to text"))),
        f"{'chance':<38}{t2i['chance_r10']:>8.2f}",
    ]
    if measured["keep_text"] is not None:
        lines += [
            f"Explained of the images beyond the mean one: {_share(measured['explained_beyond_mean'])}; "
            f"were the contrast right: {_share(measured['explained_when_scaled'])}",
            *(f"Kept of the {name} at each BGA layer: {measured['keep_' + name]}" for name in ("text", "visual")),
        ]
    if (swaps := measured["entity_swap"]) is not None:
        changes = ", ".join(f"{name} {swaps[key]}" for name, key in CHANGES.items())
        lines.append(f"Changed in {swaps['n']} texts by another: {changes}")
    return "\n".join(lines)


def _retrieval_line(label: str, found: dict[str, Any]) -> str:
    interval = "{:.2f} to {:.2f}".format(*found["r10_ci"])
    hits = "".join(f"{found[key]:>8.2f}" for key in ("r1", "r5", "r10"))
    return f"{label:<22}{hits}{interval:>15}{found['median_rank']:>13.1f}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.1f} %"


def main(arguments: Sequence[str]) -> None:
    from spacy_bga.evaluation.plan import parse_variables
    from spacy_bga.evaluation.records import write_json

    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("pairs", nargs="+", metavar="NAME=PAIRS")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labelled", type=Path)
    given = parser.parse_args(arguments)
    nlp = load_pipeline(given.model)
    measured = {
        name: measure_alignment(nlp, Path(path or ""), given.images, labelled=given.labelled)
        for name, path in parse_variables(given.pairs).items()
    }
    write_json(given.output, measured)


if __name__ == "__main__":
    main(sys.argv[1:])
