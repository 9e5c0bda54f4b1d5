"""A corpus, tagged by a pipeline: texts with their gold entities, and what the pipeline says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import get_args

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Corpus
from spacy.training.corpus import walk_corpus

from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.corpus.jsonl import read_jsonl
from spacy_bga.corpus.record import record_to_doc
from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError, Errors, reason
from spacy_bga.pipeline.component_images import VisualContext


@dataclass
class Tagged:
    """Texts, tagged.

    docs, gold (list[Doc]): One each for every text, the predicted and the gold entities.
    notices (list[str]): What a reader should know of them.
    """

    docs: list[Doc] = field(default_factory=list)
    gold: list[Doc] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def load_pipeline(name: str | Path) -> Language:
    """Load a pipeline, and let a `bga_ner` in it tell how sure its entities are.

    name (Union[str, Path]): Its folder, or the name of its package.
    RETURNS (Language): The pipeline.
    RAISES (BGAError): There is none.
    """
    import spacy
    from spacy.util import is_package

    from spacy_bga.pipeline.confidence import ask_for_confidence

    if not Path(name).is_dir():
        name = str(name)  # for spaCy, a Path is no package
        if not is_package(name):
            raise BGAError(Errors.B604.format(path=name, reason="there is no such folder, and no such package"))
    try:
        nlp = spacy.load(name)
    except BGAError:
        raise
    except Exception as error:  # of spaCy and of what it reads files with, for whatever is wrong with any of them
        raise BGAError(Errors.B604.format(path=name, reason=reason(error))) from error
    ask_for_confidence(nlp)
    return nlp


def image_attr(nlp: Language) -> str:
    """RETURNS (str): The extension attribute in which a pipeline's documents have their images."""
    from spacy_bga.pipeline.bga_ner import BGANer

    return next((pipe.image_attr for _, pipe in nlp.pipeline if isinstance(pipe, BGANer)), "image")


def choose_visual_context(nlp: Language, choice: VisualContext) -> bool:
    """Let every `bga_ner` attend to generated visual features or to those of real images, whatever its config says.

    nlp (Language): The pipeline. choice (str): "generated", "real" or "auto"; see `BGANer`.
    RETURNS (bool): Whether any component looks at images now.
    RAISES (BGAError): There is no such choice, or it is "real" and a component was saved without its visual branch.
    """
    from spacy_bga.pipeline.bga_ner import BGANer

    if choice not in get_args(VisualContext):
        raise BGAError(
            Errors.B212.format(name="visual_context", value=choice, known=", ".join(get_args(VisualContext)))
        )
    components = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, BGANer)]
    for component in components:
        component.visual_context = choice
        component.images.to_tag([])  # tells once what it would of every text
    return any(component.images.are_looked_at for component in components)


def tag_corpus(nlp: Language, corpus: Path, images: Path | None, *, limit: int | None = None) -> Tagged:
    """Tag a corpus. A text that can't be tagged, and a line that can't be read, cost no other.

    nlp (Language): The pipeline. corpus (Path): A .spacy file, a folder of them, or JSONL.
    images (Optional[Path]): The image root. limit (Optional[int]): Only the first so many.
    RETURNS (Tagged): The texts. A pipeline that knows no labels has nothing to say: the gold entities are shown then.
    RAISES (BGAError): There is no such corpus, or nothing in it.
    """
    gold, notices = read_gold(nlp, corpus, limit=limit)
    if not knows_labels(nlp):
        notices.append("The pipeline knows no labels yet: the entities are those of the corpus.")
        return Tagged(gold, [], notices)
    docs, problems = tag_texts(nlp, gold, images)
    notices += notices_of(problems)
    done = [(doc, g) for doc, g in zip(docs, gold, strict=True) if doc is not None]
    return Tagged([doc for doc, _ in done], [g for _, g in done], notices)


def notices_of(problems: Sequence[str]) -> list[str]:
    """RETURNS (list[str]): What to say of the texts that could not be tagged; nothing if there are none."""
    if not problems:
        return []
    return [f"{len(problems)} texts could not be tagged. The first one: {problems[0]}"]


def read_gold(nlp: Language, corpus: Path, *, limit: int | None = None) -> tuple[list[Doc], list[str]]:
    """Read the texts of a corpus with their entities. A line that can't be read costs no other.

    nlp (Language): The pipeline whose vocabulary, and for JSONL whose tokenizer they get.
    corpus (Path): A .spacy file, a folder of them, or JSONL. limit (Optional[int]): Only the first so many.
    RETURNS (tuple[list[Doc], list[str]]): The texts, with the paths of their images as they are in the corpus; and what
        a reader should know of them.
    RAISES (BGAError): There is no such corpus, or nothing in it.
    """
    problems: list[str] = []
    gold = list(islice(_read(nlp, corpus, image_attr(nlp), problems), limit))
    if not gold:
        raise BGAError(Errors.B603.format(path=corpus, reason=problems[0] if problems else "it is empty"))
    if not problems:
        return gold, []
    return gold, [f"{len(problems)} lines of the corpus can't be read. The first one: {problems[0]}"]


def tag_texts(nlp: Language, gold: Sequence[Doc], images: Path | None) -> tuple[list[Doc | None], list[str]]:
    """Tag texts. One that can't be tagged costs no other.

    nlp (Language): The pipeline. gold (Sequence[Doc]): The texts. images (Optional[Path]): The image root.
    RETURNS (tuple[list[Optional[Doc]], list[str]]): Each text, tagged, or None; and what is wrong with these.
    """
    look_below(nlp, images)
    attr = image_attr(nlp)
    problems: list[str] = []

    def leave_out(name: str, pipe: object, docs: list[Doc], error: Exception) -> None:
        problems.extend(f"'{doc.text[:60]}': {error}" for doc in docs)

    nlp.default_error_handler = leave_out
    for _, pipe in nlp.pipeline:
        if hasattr(pipe, "set_error_handler"):
            with suppress(AttributeError):  # spaCy's `ner` and `parser` have no room for one
                pipe.set_error_handler(leave_out)
    fresh = []
    for number, g in enumerate(gold):
        try:
            fresh.append((untagged(nlp, g, attr), number))
        except BGAError as error:
            problems.append(f"'{g.text[:60]}': {error}")
    docs: list[Doc | None] = [None] * len(gold)
    for doc, number in nlp.pipe(fresh, as_tuples=True):
        docs[number] = doc
    return docs, problems


def _read(nlp: Language, corpus: Path, attr: str, problems: list[str]) -> Iterator[Doc]:
    """YIELDS (Doc): The texts, with the paths of their images as they are in the corpus."""
    register_image_extension(attr)
    if corpus.suffix.lower() in (".jsonl", ".ndjson"):
        if not corpus.is_file():
            raise BGAError(Errors.B603.format(path=corpus, reason="there is no such file"))
        for record in read_jsonl(corpus, on_bad_line=lambda error: problems.append(str(error))):
            try:
                doc, _ = record_to_doc(record, partial(make_doc, nlp))
            except BGAError as error:
                problems.append(f"line {record.line}: {error}")
                continue
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


def untagged(nlp: Language, gold: Doc, attr: str) -> Doc:
    """Make a document anew, as spaCy's reader gives it to a pipeline, with its image.

    nlp (Language): The pipeline. gold (Doc): The document. attr (str): Where its image is.
    RETURNS (Doc): The text. It has the tokens of the corpus where nobody knows the spaces.
    """
    if gold.has_unknown_spaces or not gold.text:
        doc = Doc(nlp.vocab, words=[t.text for t in gold], spaces=[bool(t.whitespace_) for t in gold])
    else:
        doc = make_doc(nlp, gold.text)
    doc._.set(attr, get_images(gold, attr=attr) or None)
    return doc


def knows_labels(nlp: Language) -> bool:
    """RETURNS (bool): Whether any component may set entities."""
    from spacy_bga.pipeline.bga_ner import BGANer

    setters = [pipe for name, pipe in nlp.pipeline if "doc.ents" in nlp.get_pipe_meta(name).assigns]
    return any(not isinstance(pipe, BGANer) or pipe.labels for pipe in setters)


def look_below(nlp: Language, images: Path | None) -> None:
    """Let components that look at a document's image while tagging find it, or the features given for it.

    nlp (Language): The pipeline. images (Optional[Path]): The image root; None changes nothing.
    """
    from spacy_bga.pipeline.bga_ner import BGANer

    for _, pipe in nlp.pipeline:
        if isinstance(pipe, BGANer):
            pipe.images.look_in(images)
