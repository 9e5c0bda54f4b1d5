"""The images of a component: those that it learns from, and those that it looks at while tagging."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.errors import BGAError, Errors, ImageError, Warnings

if TYPE_CHECKING:  # torch is loaded when the component is first used
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.visual_features import VisualFeatures

Source = str | bytes
VisualContext = Literal["generated", "real", "auto"]


class ComponentImages:
    """Where a component's images are, and what turns them into features, or finds the features given for them.

    component (BGANer): Whose settings say so; they may change at any time.
    """

    def __init__(self, component: BGANer):
        from spacy_bga.pipeline.unusable_images import UnusableImages

        self._component = component
        self._outside = UnusableImages()
        self._learnt: VisualFeatures | None = None
        self._seen: VisualFeatures | None = None

    def of(self, example: Example) -> list[Source]:
        """The images of an example to learn from: the reference's, else those of the predicted document.

        example (Example): The example, made by any reader.
        RETURNS (list[Union[str, bytes]]): Encoded images, and files that lie below an image root, the reader's or the
            component's; none if one lies elsewhere.
        """
        from spacy_bga.corpus.images import get_images

        attr = self._component.image_attr
        images = get_images(example.reference, attr=attr) or get_images(example.predicted, attr=attr)
        try:
            return self._find(images)
        except ImageError as error:
            self._outside.on_missing = self._component.on_missing
            self._outside.refuse(images[0], error)
            return []

    def of_all(self, examples: Iterable[Example]) -> list[list[Source]]:
        """RETURNS (list[list[Union[str, bytes]]]): As `of`; one warning tells of all that can't be used. There are none
        for a component that can't learn from images."""
        if not self._component.model.attrs["settings"].sees:
            return [[] for _ in examples]
        images = [self.of(example) for example in examples]
        self._outside.tell()
        return images

    def check(self, images: Sequence[Sequence[Source]], *, is_aligned: bool) -> None:
        """Warn of what is given up without an error: learning from images if there are none, or all but the first ones.

        images (Sequence[Sequence[Source]]): Those of each example to begin with. is_aligned (bool): Whether what is in
            images was learnt before.
        """
        from spacy_bga.pipeline.bridge import get_shim

        own = self._component
        config = get_shim(own.model).aligner.config
        if not config.sees:
            return
        if not any(images) and not is_aligned and not len(self._outside):
            warnings.warn(Warnings.W214.format(name=own.name, number=len(images), attr=own.image_attr), stacklevel=3)
        used = 1 + config.max_crops
        if several := sum(len(sources) > used for sources in images):
            warnings.warn(Warnings.W215.format(number=several, crops=config.max_crops), stacklevel=3)

    def features(self) -> VisualFeatures | None:
        """RETURNS (Optional[VisualFeatures]): Of the images to learn from; None for a text-only aligner. Raises a
        BGAError if the aligner was saved without its visual branch."""
        from spacy_bga.pipeline.bridge import image_features

        own = self._component
        self._learnt = image_features(
            own.model, folder=own.feature_cache, on_missing=own.on_missing, known=self._learnt
        )
        return self._learnt

    @property
    def are_looked_at(self) -> bool:
        """RETURNS (bool): Whether a document to tag gets the real features of its image, if it has one."""
        from spacy_bga.pipeline.bridge import get_shim

        own = self._component
        if own.visual_context == "generated":
            return False
        aligner = get_shim(own.model).aligner
        if own.visual_context == "real" and aligner.config.sees and not aligner.config.n_bga_layers:
            raise BGAError(Errors.B133)
        if not aligner.config.n_bga_layers or own.visual_context == "real":
            return aligner.config.n_bga_layers > 0
        return aligner.visual is not None and not self._lacks_features

    @property
    def _lacks_features(self) -> bool:
        """RETURNS (bool): Whether features are given, and their file isn't here."""
        from spacy_bga.aligner.given import is_given
        from spacy_bga.pipeline.bridge import get_shim

        path = self._component.visual_features
        given = is_given(get_shim(self._component.model).aligner.config.vision)
        return given and (path is None or not path.exists())

    def look_in(self, place: Path | None) -> None:
        """Look for images elsewhere.

        place (Optional[Path]): Their image root; or of given features the file, or a folder of them. None: where they
            are looked for already.
        """
        from spacy_bga.corpus.feature_file import holds_features

        if place is not None and self._component.visual_features is not None and holds_features(place):
            self._component.visual_features = place
        elif place is not None:
            self._component.image_root = place

    def to_tag(self, docs: Sequence[Doc]) -> dict[str, Any]:
        """The images to look at while tagging, which may be anybody's, and of which there is no end.

        docs (Sequence[Doc]): The documents.
        RETURNS (dict[str, Any]): For `predict_tags`: "features", and "images", the readable ones of each document;
            nothing if all documents get generated features. Raises a BGAError if `visual_context` is "real" and the
            aligner was saved without its visual branch, or there are paths and no `image_root`: "auto" does without.
        """
        from spacy_bga.pipeline.bridge import image_features

        own = self._component
        if not self.are_looked_at:
            return {}
        self._seen = image_features(own.model, folder=None, on_missing=own.on_missing, known=self._seen)
        assert self._seen is not None  # text-only aligners look at nothing
        features = self._seen.renew()
        images = [self._look_for(doc, features) for doc in docs]
        features.unusable.tell()
        return {"features": features, "images": images}

    def _look_for(self, doc: Doc, features: VisualFeatures) -> list[Source]:
        """RETURNS (list[Union[str, bytes]]): A document's images, their paths resolved; none if one can't be."""
        from spacy_bga.corpus.images import get_images

        own = self._component
        images = get_images(doc, attr=own.image_attr)
        try:
            return self._find(images)
        except ImageError as error:
            if own.image_root is None and own.visual_context == "real":
                raise
            features.unusable.refuse(next(image for image in images if isinstance(image, str)), error)
            return []

    def _find(self, images: list[Source]) -> list[Source]:
        """RETURNS (list[Union[str, bytes]]): The same; keys of given features as they are, each path resolved below the
        image root unless a reader has done that. Raises an ImageError if one leads elsewhere, or there is no root."""
        from spacy_bga.corpus.images import ImageFile, find_image

        own = self._component
        if own.visual_features is not None or all(isinstance(image, bytes | ImageFile) for image in images):
            return images
        found: list[Source] = []
        for image in images:
            if isinstance(image, bytes | ImageFile):
                found.append(image)
            elif own.image_root is None:
                raise ImageError(Errors.B207.format(path=image[:80], attr=own.image_attr))
            else:
                found.append(find_image(image, own.image_root))
        return found
