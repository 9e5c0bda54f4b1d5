"""What was read becomes documents, and what happens to it on the way is counted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import PurePath

from spacy.language import Language
from spacy.tokens import Doc

from spacy_bga.corpus.conll import Post, map_tag, post_to_doc
from spacy_bga.corpus.data_uri import is_data_uri
from spacy_bga.corpus.formats import Item
from spacy_bga.corpus.image_folder import ImageFolder
from spacy_bga.corpus.inspection import ImageInspector
from spacy_bga.corpus.offsets import Offsets
from spacy_bga.corpus.record import LeftOut, Record, record_to_doc
from spacy_bga.corpus.report import Tally
from spacy_bga.corpus.tag_schemes import to_iob2
from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError, Errors

# Mended without any doubt: their number says enough.
_COUNTED_ONLY = ("trimmed_spans", "shifted_spans")


class DocumentMaker:
    """Makes documents of what a source holds.

    source (PurePath): The source, for messages.
    nlp (Language): The pipeline with the tokenizer.
    tally (Tally): Where to count.
    inspector (ImageInspector): What chooses the images that can be used.
    labels (Mapping[str, str]): Old labels and their new names.
    strict (bool): Raise what is wrong with a text, also where it could be left out.
    offsets (str): What offsets count.
    image_prefix (str): What paths of images are relative to, below the image root.
    folder (ImageFolder | None): Where the images of posts are found by their ids.
    """

    def __init__(
        self,
        source: PurePath,
        nlp: Language,
        tally: Tally,
        inspector: ImageInspector,
        *,
        labels: Mapping[str, str],
        strict: bool = False,
        offsets: Offsets = "auto",
        image_prefix: str = "",
        folder: ImageFolder | None = None,
    ) -> None:
        self.source = source
        self.nlp = nlp
        self.tally = tally
        self.inspector = inspector
        self.labels = labels
        self.strict = strict
        self.offsets: Offsets = offsets
        self.image_prefix = image_prefix
        self.folder = folder

    def make(self, item: Item) -> Doc | None:
        """Make a document, with its images.

        item (Record | Post | LeftOut): What was read.
        RETURNS (Doc | None): The document; None if the text is left out.
        RAISES (BGAError): With `strict`, if something is wrong with it.
        """
        place = item.place or str(item.line)
        place = f"{self.source.name}:{place}"
        if isinstance(item, LeftOut):
            self.tally.problem(item.kind, f"{place}: {item.reason}")
            return None
        doc = self._of_post(item, place) if isinstance(item, Post) else self._of_record(item, place)
        return None if doc is None else self._add_images(doc, item, place)

    def _add_images(self, doc: Doc, item: Record | Post, place: str) -> Doc:
        images = item.images or (self._by_id(item, place) if isinstance(item, Post) else ())
        prefix = self.image_prefix
        paths = tuple(
            f"{prefix}/{image}" if prefix and isinstance(image, str) and not is_data_uri(image) else image
            for image in images
        )
        usable = self.inspector.usable(paths, place)
        self.tally.counts["documents_with_several_images"] += len(usable) > 1
        doc._.image = usable[0] if len(usable) == 1 else usable or None
        return doc

    def _by_id(self, post: Post, place: str) -> tuple[str, ...]:
        if not post.image_id:
            return ()
        if self.folder is None:  # it may be the key of given features
            return () if self.inspector.decode else (post.image_id,)
        path = self.folder.find(post.image_id)
        if path is None:
            message = f"{place}: there is no image {post.image_id}.* in the image folder"
            self.tally.problem("images_missing", message)
        return () if path is None else (path,)

    def _of_post(self, post: Post, place: str) -> Doc | None:
        if not post.words:
            self.tally.problem("empty_posts", f"{place}: the post {post.image_id or ''} has no tokens")
            return None
        plain, orphans = to_iob2(post.tags, self.tally.tag_scheme)
        self.tally.counts["orphan_tags"] += orphans
        tags = [map_tag(tag, self.labels) for tag in plain]
        for old, new in zip(plain, tags, strict=True):
            if old != new and old.startswith("B-"):
                self.tally.labels_mapped[f"{old[2:]}={new[2:]}"] += 1
        return post_to_doc(post, self.nlp.vocab, tags=tags)

    def _of_record(self, record: Record, place: str) -> Doc | None:
        if not record.text.strip():
            self.tally.problem("empty_posts", f"{place}: the text is empty")
            return None
        self._count_unread(record, place)
        try:
            make = partial(make_doc, self.nlp)
            doc, counts = record_to_doc(record, make, label_map=self.labels, offsets=self.offsets)
        except BGAError as error:
            if self.strict:
                raise
            self.tally.problem("bad_lines", f"{place}: {error}")
            return None
        for span in record.spans or ():
            if self.labels.get(span.label, span.label) != span.label:
                self.tally.labels_mapped[f"{span.label}={self.labels[span.label]}"] += 1
        self.tally.counts["suspected_spans"] += counts.suspected
        for kind, message in (*record.remarks, *counts.messages):
            if kind in _COUNTED_ONLY:
                self.tally.counts[kind] += 1
            else:
                self.tally.problem(kind, f"{place}: {message}")
        return doc

    def _count_unread(self, record: Record, place: str) -> None:
        for key in record.unread:
            if self.strict:
                raise BGAError(Errors.B321.format(place=place, key=key))
            self.tally.unread_keys[key] += 1
