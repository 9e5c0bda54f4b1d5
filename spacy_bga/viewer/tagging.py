"""A corpus, tagged to be looked at: texts with their gold entities, and what a pipeline says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus
from spacy.training.corpus import walk_corpus

from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.corpus.jsonl import read_jsonl, record_to_doc
from spacy_bga.errors import BGAError, Errors


@dataclass
class Tagged:
    """Texts, tagged.

    docs, gold (list[Doc]): One each for every text, the predicted and the gold entities.
    notices (list[str]): What a reader should know of them.
    """

    docs: list[Doc] = field(default_factory=list)
    gold: list[Doc] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def load_pipeline(folder: Path) -> Language:
    """RETURNS (Language): The pipeline in a folder. Raises a BGAError if there is none."""
    import spacy

    if not folder.is_dir():
        raise BGAError(Errors.B604.format(path=folder, reason="there is no such folder"))
    try:
        return spacy.load(folder)
    except OSError as error:
        raise BGAError(Errors.B604.format(path=folder, reason=error)) from error


def image_attr(nlp: Language) -> str:
    """RETURNS (str): The extension attribute in which a pipeline's documents have their images."""
    from spacy_bga.pipeline.bga_ner import BGANer

    return next((pipe.image_attr for _, pipe in nlp.pipeline if isinstance(pipe, BGANer)), "image")


def tag_corpus(nlp: Language, corpus: Path, images: Path | None, *, limit: int | None = None) -> Tagged:
    """Tag a corpus. A text that can't be tagged, and a line that can't be read, cost no other.

    nlp (Language): The pipeline. corpus (Path): A .spacy file, a folder of them, or JSONL.
    images (Optional[Path]): The image root. limit (Optional[int]): Only the first so many.
    RETURNS (Tagged): The texts. A pipeline that knows no labels has nothing to say: the gold entities are shown then.
    RAISES (BGAError): There is no such corpus, or nothing in it.
    """
    attr, notices = image_attr(nlp), []
    problems: list[str] = []
    gold = list(islice(_read(nlp, corpus, attr, problems), limit))
    if not gold:
        raise BGAError(Errors.B603.format(path=corpus, reason=problems[0] if problems else "it is empty"))
    if problems:
        notices.append(f"{len(problems)} lines of the corpus can't be read. The first one: {problems[0]}")
    if not _knows_labels(nlp):
        notices.append("The pipeline knows no labels yet: the entities are those of the corpus.")
        return Tagged(gold, [], notices)
    _look_below(nlp, images)
    done = list(_tag(nlp, gold, attr, problems := []))
    if problems:
        notices.append(f"{len(problems)} texts could not be tagged. The first one: {problems[0]}")
    return Tagged([doc for doc, _ in done], [g for _, g in done], notices)


def _read(nlp: Language, corpus: Path, attr: str, problems: list[str]) -> Iterator[Doc]:
    """YIELDS (Doc): The texts, with the paths of their images as they are in the corpus."""
    register_image_extension(attr)
    if corpus.suffix.lower() in (".jsonl", ".ndjson"):
        if not corpus.is_file():
            raise BGAError(Errors.B603.format(path=corpus, reason="there is no such file"))
        for record in read_jsonl(corpus, on_bad_line=lambda error: problems.append(str(error))):
            doc, _ = record_to_doc(record, nlp.make_doc)
            doc._.set(attr, list(record.images) or None)
            yield doc
        return
    if corpus.is_file() and corpus.suffix != ".spacy":
        raise BGAError(Errors.B603.format(path=corpus, reason="it ends in neither .spacy nor .jsonl"))
    if not corpus.exists():
        raise BGAError(Errors.B603.format(path=corpus, reason="there is no such file"))
    try:  # spaCy's own reader: `ImageCorpus` would leave out the images that are missing, and the page tells of them
        yield from Corpus(corpus).read_docbin(nlp.vocab, walk_corpus(corpus, ".spacy"))
    except (ValueError, OSError) as error:
        raise BGAError(Errors.B603.format(path=corpus, reason=error)) from error


def _tag(nlp: Language, gold: list[Doc], attr: str, problems: list[str]) -> Iterator[tuple[Doc, Doc]]:
    """YIELDS (tuple[Doc, Doc]): A tagged text and its gold one; those that fail are left out."""

    def leave_out(name: str, pipe: object, docs: list[Doc], error: Exception) -> None:
        problems.extend(f"'{doc.text[:60]}': {error}" for doc in docs)

    nlp.set_error_handler(leave_out)  # type: ignore[arg-type]  # typed as one that always raises
    made = []
    for g in gold:
        doc = Doc(nlp.vocab, words=[], spaces=[]) if not g.text else nlp.make_doc(g.text)
        doc._.set(attr, get_images(g, attr=attr) or None)
        made.append((doc, g))
    yield from nlp.pipe(made, as_tuples=True)


def _knows_labels(nlp: Language) -> bool:
    """RETURNS (bool): Whether any component may set entities."""
    from spacy_bga.pipeline.bga_ner import BGANer

    setters = [pipe for name, pipe in nlp.pipeline if "doc.ents" in nlp.get_pipe_meta(name).assigns]
    return any(not isinstance(pipe, BGANer) or pipe.labels for pipe in setters)


def _look_below(nlp: Language, images: Path | None) -> None:
    """Let components that look at a document's image while tagging find it."""
    from spacy_bga.pipeline.bga_ner import BGANer

    for _, pipe in nlp.pipeline:
        if isinstance(pipe, BGANer) and images is not None:
            pipe.image_root = images
