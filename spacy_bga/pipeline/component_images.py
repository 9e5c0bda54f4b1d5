"""The images of a component: those that it learns from, and those that it looks at while tagging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.errors import BGAError, Errors, ImageError

if TYPE_CHECKING:  # torch is loaded when the component is first used
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.features import ImageFeatures

Source = str | bytes
VisualContext = Literal["generated", "real", "auto"]


class ComponentImages:
    """Where a component's images are, and what turns them into features.

    component (BGANer): Whose settings say so; they may change at any time.
    """

    def __init__(self, component: BGANer):
        self._component = component
        self._learnt: ImageFeatures | None = None
        self._seen: ImageFeatures | None = None

    def of(self, example: Example) -> list[Source]:
        """RETURNS (list[Union[str, bytes]]): The images of an example to learn from, which its reader has found."""
        from spacy_bga.corpus.images import get_images

        return get_images(example.reference, attr=self._component.image_attr)

    def features(self) -> ImageFeatures | None:
        """RETURNS (Optional[ImageFeatures]): Of the images to learn from; None for a text-only aligner. Raises a
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
        return aligner.config.n_bga_layers > 0 and (own.visual_context == "real" or aligner.visual is not None)

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
        return {"features": features, "images": [self._resolve(doc, features) for doc in docs]}

    def _resolve(self, doc: Doc, features: ImageFeatures) -> list[Source]:
        """RETURNS (list[Union[str, bytes]]): A document's images, their paths resolved; none if one can't be."""
        from spacy_bga.corpus.images import get_images, resolve_path

        own = self._component
        images = get_images(doc, attr=own.image_attr)
        paths = [image for image in images if isinstance(image, str)]
        if not paths:
            return images
        try:
            if own.image_root is None:
                raise ImageError(Errors.B207.format(attr=own.image_attr))
            root = own.image_root
            return [str(resolve_path(image, root)) if isinstance(image, str) else image for image in images]
        except ImageError as error:
            if own.image_root is None and own.visual_context == "real":
                raise
            features.refuse(paths[0], error)
            return []
