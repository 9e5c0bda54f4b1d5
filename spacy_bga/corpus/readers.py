"""Registered readers: texts with images, and one stream of labelled texts and image-text pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from spacy import registry
from spacy.language import Language
from spacy.training import Example

from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.corpus.mixture import MixedCorpus

Reader = Callable[[Language], Iterable[Example]]


@registry.readers("spacy_bga.ImageCorpus.v1")
def create_image_corpus(
    path: Path | None,
    images: Path | None = None,
    *,
    on_missing: Literal["warn", "error", "ignore"] = "warn",
    optional: bool = False,
    max_length: int = 0,
    gold_preproc: bool = False,
    limit: int = 0,
    augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
    attr: str = "image",
) -> ImageCorpus:
    """Create a reader of texts with images: spaCy's own corpus, whose references know where their images are.

    path (Path | None): A .spacy file, or a folder of them.
    images (Path | None): The image root, to which the paths in `Doc._.image` are relative.
    on_missing (str): What to do about an image that is missing or outside the root: "warn" (once per reading),
        "error" or "ignore". The example goes on without it.
    optional (bool): Whether the path may be null; the corpus is empty then.
    max_length (int): Split longer documents into sentences, which have no image; 0: no limit.
    gold_preproc (bool): Split documents into gold-standard sentences, which have no image, with gold tokens.
    limit (int): Read only so many documents; 0: all.
    augmenter (Callable | None): Data augmentation. Most augmenters lose the image, which is warned about.
    attr (str): The name of the extension attribute that holds the image.
    RETURNS (ImageCorpus): The reader.
    RAISES (BGAError): There is no path.
    """
    return ImageCorpus(
        path,
        images=images,
        on_missing=on_missing,
        optional=optional,
        max_length=max_length,
        gold_preproc=gold_preproc,
        limit=limit,
        augmenter=augmenter,
        attr=attr,
    )


@registry.readers("spacy_bga.MixedCorpus.v1")
def create_mixed_corpus(
    labelled: Reader | None = None,
    pairs: Reader | None = None,
    *,
    pairs_per_labelled: float | None = 1.0,
    stream: bool = False,
    shuffle: bool = True,
    seed: int = 0,
) -> MixedCorpus:
    """Create a reader that mixes labelled texts with image-text pairs, so that every batch may hold both.

    By default it yields each pair once and the labelled texts as often as keeps the proportion, once at least: all that
    spaCy, which reads a corpus once and repeats it, needs for any `max_epochs` but -1. With `stream` and
    `max_epochs = -1`, an epoch is one pass over the labelled texts and takes the next pairs. spaCy then looks at the
    first 100 examples only to initialize: give the labels in `[initialize.components.bga_ner.labels]`.

    labelled (Callable | None): A reader of labelled texts.
    pairs (Callable | None): A reader of image-text pairs.
    pairs_per_labelled (float | None): How many pairs go with one labelled text; None: each text and each pair once.
    stream (bool): For `max_epochs = -1`.
    shuffle (bool): Whether to shuffle both; otherwise both keep their order.
    seed (int): The seed of the first epoch; each epoch has the next one.
    RETURNS (MixedCorpus): The reader.
    RAISES (BGAError): There is no reader at all, or the ratio is negative.
    """
    return MixedCorpus(
        labelled, pairs, pairs_per_labelled=pairs_per_labelled, stream=stream, shuffle=shuffle, seed=seed
    )
