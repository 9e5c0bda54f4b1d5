"""The corpora of a config, down to their files, and the documents in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy import registry
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.training.corpus import FILE_TYPE, walk_corpus

from spacy_bga.corpus.images import get_images
from spacy_bga.diagnostics.entities import Annotation, read_annotation
from spacy_bga.diagnostics.report import Places
from spacy_bga.errors import BGAError, Errors

MIXED_READER = "spacy_bga.MixedCorpus.v1"
IMAGE_READER = "spacy_bga.ImageCorpus.v1"
FILE_READERS = (IMAGE_READER, "spacy.Corpus.v1")
_EXCERPT = 40


@dataclass(frozen=True)
class Source:
    """One reader of a config.

    name (str): Where it is in [corpora], such as "train.labelled". split (str): The first part of that.
    reader (str): Its registered name. settings (Mapping[str, Any]): The settings of its block.
    """

    name: str
    split: str
    reader: str
    settings: Mapping[str, Any]

    @property
    def path(self) -> Path | None:
        """RETURNS (Path | None): The .spacy file or folder of a reader that has one."""
        path = self.settings.get("path")
        return None if path is None else Path(path)

    @property
    def images(self) -> Path | None:
        """RETURNS (Path | None): Its image root."""
        images = self.settings.get("images") if self.reader == IMAGE_READER else None
        return None if images is None else Path(images)

    @property
    def attr(self) -> str:
        """RETURNS (str): The extension attribute that holds images."""
        return self.settings.get("attr", "image")

    @property
    def uses_images(self) -> bool:
        """RETURNS (bool): Whether its reader hands images on to training."""
        return self.reader == IMAGE_READER


@dataclass(frozen=True)
class Document:
    """One document of a corpus.

    source (Source): Where it comes from. place (str): File and number, for messages.
    doc (Doc): The document. annotation (Annotation): Its entities as stored.
    images (tuple[str | bytes, ...]): Its images; paths as stored.
    """

    source: Source
    place: str
    doc: Doc
    annotation: Annotation
    images: tuple[str | bytes, ...]

    def about(self, what: str = "") -> str:
        """RETURNS (str): Its place, with a part of it or else its beginning."""
        return f"{self.place} {what or excerpt(self.doc.text)}"


def excerpt(text: str) -> str:
    """RETURNS (str): The beginning of a text in quotes, on one line."""
    line = " ".join(text.split())
    return f"'{line[:_EXCERPT]}...'" if len(line) > _EXCERPT else f"'{line}'"


def find_sources(config: Mapping[str, Any]) -> list[Source]:
    """List the readers in [corpora]: train and dev first. Of a mixture, its parts, each read once.

    config (Mapping[str, Any]): An interpolated config.
    RETURNS (list[Source]): The readers.
    RAISES (BGAError): The config has no corpora.
    """
    corpora = config.get("corpora") or {}
    training = config.get("training") or {}
    first = [str(training.get(f"{role}_corpus", "")).removeprefix("corpora.") for role in ("train", "dev")]
    names = [name for name in dict.fromkeys([*first, *corpora]) if name in corpora]
    sources = [source for name in names for source in _readers(corpora[name], name, name)]
    if not sources:
        raise BGAError(Errors.B360)
    return sources


def _readers(block: Any, name: str, split: str) -> Iterator[Source]:
    if not isinstance(block, Mapping):
        return
    reader = block.get("@readers")
    if reader is None or reader == MIXED_READER:
        for key, child in block.items():
            yield from _readers(child, f"{name}.{key}", split)
    else:
        yield Source(name, split, reader, block)


class DocumentReader:
    """Reads the documents of sources one by one; what can't be read is remembered, and the rest goes on.

    nlp (Language): What makes documents.
    """

    def __init__(self, nlp: Language) -> None:
        self.nlp = nlp
        self.empty_sources: list[Source] = []
        self.unset = Places()
        self.broken_files = Places()
        self.broken_docs = Places()
        self.empty_docs = Places()
        self.bad_images = Places()

    def __call__(self, source: Source) -> Iterator[Document]:
        """Read a source.

        source (Source): The source.
        YIELDS (Document): Its documents that have a token.
        """
        found = False
        docs = self._from_files(source) if source.reader in FILE_READERS else self._from_reader(source)
        for place, doc in docs:
            document = self._look(source, place, doc)
            if document is not None:
                found = True
                yield document
        if not found and not (source.path is None and source.settings.get("optional")):
            self.empty_sources.append(source)

    def _from_files(self, source: Source) -> Iterator[tuple[str, Doc]]:
        if source.path is None:
            if not source.settings.get("optional"):
                self.unset.add(f"[corpora.{source.name}] has no path")
            return
        if not source.path.exists():
            self.broken_files.add(f"{source.name}: there is no {source.path}")
            return
        limit = int(source.settings.get("limit") or 0)
        number = 0
        for path in walk_corpus(source.path, FILE_TYPE):
            for place, doc in self._from_file(source, Path(path)):
                if limit and number >= limit:
                    return
                number += len(doc) > 0
                yield place, doc

    def _from_file(self, source: Source, path: Path) -> Iterator[tuple[str, Doc]]:
        try:
            stored = DocBin().from_disk(path)
            for string in stored.strings:
                self.nlp.vocab.strings.add(string)
            size = len(stored)
        except Exception as error:  # msgpack and zlib have exceptions of their own, and more of numpy's come through
            self.broken_files.add(f"{source.name}: {path}: {type(error).__name__}: {str(error)[:120]}")
            return
        for i in range(size):
            place = f"{source.name} {path.name}:{i + 1}"
            try:
                (doc,) = _single(stored, i).get_docs(self.nlp.vocab)
            except Exception as error:
                self.broken_docs.add(f"{place}: {type(error).__name__}: {str(error)[:120]}")
                continue
            yield place, doc

    def _from_reader(self, source: Source) -> Iterator[tuple[str, Doc]]:
        try:
            reader: Callable[[Language], Iterable[Example]]
            reader = registry.resolve({"reader": dict(source.settings)})["reader"]
            for number, example in enumerate(reader(self.nlp), start=1):
                yield f"{source.name}:{number}", example.reference
        except Exception as error:  # code of somebody else
            self.broken_files.add(f"{source.name}: {source.reader}: {type(error).__name__}: {str(error)[:120]}")

    def _look(self, source: Source, place: str, doc: Doc) -> Document | None:
        if not len(doc):
            self.empty_docs.add(place)
            return None
        try:
            annotation = read_annotation(doc)
        except Exception as error:  # a label that the file's strings lack
            self.broken_docs.add(f"{place}: {type(error).__name__}: {str(error)[:120]}")
            return None
        images: Sequence[str | bytes] = ()
        try:
            images = get_images(doc, attr=source.attr)
        except BGAError as error:
            self.bad_images.add(f"{place}: {error}")
        return Document(source, place, doc, annotation, tuple(images))


def _single(stored: DocBin, i: int) -> DocBin:
    """One document as a file of its own: so that a broken one ends nothing but itself."""
    one = DocBin(attrs=[], store_user_data=True)
    one.attrs = stored.attrs
    one.tokens, one.spaces, one.cats = [stored.tokens[i]], [stored.spaces[i]], [stored.cats[i]]
    one.flags, one.span_groups = [stored.flags[i]], [stored.span_groups[i]]
    one.user_data = [stored.user_data[i]] if i < len(stored.user_data) else []
    return one
