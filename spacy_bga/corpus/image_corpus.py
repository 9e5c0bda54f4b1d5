"""Examples whose reference knows where its image is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus, Example
from spacy.training.augment import dont_augment

from spacy_bga.corpus.images import ImageFile, find_image, get_images, register_image_extension
from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError, Errors, ImageError, Warnings

OnMissing = Literal["warn", "error", "ignore"]


class ImageCorpus(Corpus):
    """Iterate examples of texts with images, from a .spacy file or a folder of them.

    The image is resolved onto `example.reference`, as a list: absolute paths (`ImageFile`) or encoded bytes, the image
    first. Keys of given features, where a component of the pipeline takes these (`visual_features`), stay as they are.
    `example.predicted` gets it only if a component of the pipeline looks at images while tagging: what others
    predict from must not depend on it.

    path (str | Path | None): A .spacy file, or a folder of them.
    images (str | Path | None): The image root.
    optional (bool): Whether there may be no path; the corpus is empty then.
    on_missing (str): "warn", "error" or "ignore".
    limit, gold_preproc, max_length, augmenter: As in `spacy.training.Corpus`.
    attr (str): The name of the extension attribute that holds the image.
    RAISES (BGAError): There is no path, or `on_missing` is none of the three.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        images: str | Path | None = None,
        on_missing: OnMissing = "warn",
        optional: bool = False,
        limit: int = 0,
        gold_preproc: bool = False,
        max_length: int = 0,
        augmenter: Callable[[Language, Example], Iterator[Example]] | None = None,
        attr: str = "image",
    ) -> None:
        if path is None and not optional:
            raise BGAError(Errors.B340)
        if on_missing not in get_args(OnMissing):
            raise BGAError(Errors.B345.format(value=on_missing))
        register_image_extension(attr)
        super().__init__(
            path or Path(), limit=limit, gold_preproc=gold_preproc, max_length=max_length, augmenter=self._augment
        )
        self.is_empty = path is None
        self.images = None if images is None else Path(images)
        self.on_missing = on_missing
        self.attr = attr
        self._is_looked_at = self._takes_keys = False
        self._augmenter = dont_augment if augmenter is None else augmenter
        self._missing = self._lost_in_sentences = self._lost_in_augmenter = 0
        self._first_missing = ""

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield the examples. What loses its image on the way is warned about once, at the end.

        nlp (Language): The current nlp object.
        YIELDS (Example): The examples.
        RAISES (BGAError): There is no such file or image root, or a document's image cannot be used (see `on_missing`).
        """
        if self.is_empty:
            return
        if not Path(self.path).exists():
            raise BGAError(Errors.B341.format(path=self.path))
        self._missing = self._lost_in_sentences = self._lost_in_augmenter = 0
        self._first_missing = ""
        self._takes_keys = any(getattr(pipe, "visual_features", None) is not None for _, pipe in nlp.pipeline)
        if self.images is not None and not self._takes_keys and not self.images.is_dir():
            raise BGAError(Errors.B331.format(path=self.images))
        contexts = [getattr(pipe, "visual_context", "generated") for _, pipe in nlp.pipeline]
        self._is_looked_at = any(context != "generated" for context in contexts)
        yield from super().__call__(nlp)
        self._warn()

    def make_examples(self, nlp: Language, reference_docs: Iterable[Doc]) -> Iterator[Example]:
        """Make examples of documents, in sentences where they are longer than `max_length`.

        nlp (Language): The current nlp object.
        reference_docs (Iterable[Doc]): The documents.
        YIELDS (Example): The examples.
        """
        for doc in reference_docs:
            yield from self._watch_sentences(doc, super().make_examples(nlp, [doc]))

    def make_examples_gold_preproc(self, nlp: Language, reference_docs: Iterable[Doc]) -> Iterator[Example]:
        """Make examples of the sentences of documents, see `gold_preproc`.

        nlp (Language): The current nlp object.
        reference_docs (Iterable[Doc]): The documents.
        YIELDS (Example): The examples.
        """
        for doc in reference_docs:
            yield from self._watch_sentences(doc, super().make_examples_gold_preproc(nlp, [doc]))

    def _make_example(self, nlp: Language, reference: Doc, gold_preproc: bool) -> Example:
        if gold_preproc or reference.has_unknown_spaces:
            example = super()._make_example(nlp, reference, gold_preproc)
        else:
            example = Example(make_doc(nlp, reference.text), reference)
        if images := get_images(reference, attr=self.attr):
            found = images if self._takes_keys else self._resolve(reference, images) or None
            reference._.set(self.attr, found)
            if self._is_looked_at:
                example.predicted._.set(self.attr, found)
        return example

    def _resolve(self, reference: Doc, images: list[str | bytes]) -> list[str | bytes]:
        resolved: list[str | bytes] = []
        for i, image in enumerate(images):
            try:
                resolved.append(image if isinstance(image, bytes) else self._find(image))
            except ImageError as error:
                if self.on_missing == "error":
                    raise ImageError(Errors.B346.format(text=reference.text[:60], error=error)) from error
                self._missing += 1
                self._first_missing = self._first_missing or str(error)
                if i == 0:  # crops are meaningless without the image that they were cut from
                    return []
        return resolved

    def _find(self, image: str) -> ImageFile:
        if self.images is None:
            raise BGAError(Errors.B342.format(path=self.path, image=image[:80]))
        return find_image(image, self.images)

    def _watch_sentences(self, doc: Doc, examples: Iterator[Example]) -> Iterator[Example]:
        had_image = bool(get_images(doc, attr=self.attr))
        for example in examples:
            if had_image and example.reference is not doc:
                self._lost_in_sentences += 1
            yield example

    def _augment(self, nlp: Language, example: Example) -> Iterator[Example]:
        had_image = bool(get_images(example.reference, attr=self.attr))
        for augmented in self._augmenter(nlp, example):
            if had_image and not get_images(augmented.reference, attr=self.attr):
                self._lost_in_augmenter += 1
            yield augmented

    def _warn(self) -> None:
        if self._missing and self.on_missing == "warn":
            message = Warnings.W301.format(path=self.path, number=self._missing, first=self._first_missing)
            warnings.warn(message, stacklevel=3)
        if self._lost_in_sentences:
            warnings.warn(Warnings.W302.format(path=self.path, number=self._lost_in_sentences), stacklevel=3)
        if self._lost_in_augmenter:
            warnings.warn(Warnings.W303.format(path=self.path, number=self._lost_in_augmenter), stacklevel=3)
