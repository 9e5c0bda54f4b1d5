"""CoNLL with IMGID lines, the format of the Twitter-2015 and Twitter-2017 benchmarks.

IMGID:17_06_2932
Kawhi<TAB>B-PER
Leonard<TAB>I-PER
wins<TAB>O
<blank line>

Columns between the token and its tag, as CoNLL-2003 has them, are skipped, and so are -DOCSTART- lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_bga.corpus.spaces import find_spaces, fit_to_text
from spacy_bga.errors import BGAError, Errors

IMAGE_ID = "IMGID:"
IMAGE_ID_KEY = "image_id"
DOCUMENT_START = "-DOCSTART-"

_TAG = re.compile(r"O|[BIESLUMW]-\S(?:.*\S)?")


@dataclass(frozen=True)
class Post:
    """One post of a CoNLL file.

    words (tuple[str, ...]): Its tokens, exactly as in the file.
    tags (tuple[str, ...]): Their tags, exactly as in the file.
    image_id (str | None): What its IMGID line says.
    line (int): The number of its first line.
    images (tuple[str | bytes, ...]): Its images, where they come with it.
    place (str | None): Where it is, for messages, if it is not on a line of the source.
    text (str | None): Its text, where that comes with it.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    image_id: str | None
    line: int
    images: tuple[str | bytes, ...] = ()
    place: str | None = None
    text: str | None = None


def read_conll(path: Path, *, on_bad_line: Callable[[BGAError], None] | None = None) -> Iterator[Post]:
    """Read the posts of a file.

    path (Path): The file.
    on_bad_line (Callable | None): Called with the error of a line that cannot be read, whose post is then left out.
        None: the error is raised.
    YIELDS (Post): Its posts; one without tokens has empty `words`.
    RAISES (BGAError): A line is not UTF-8, or not a token with a tag; the message names file and line.
    """
    with path.open("rb") as file:
        yield from parse_conll(file, name=str(path), on_bad_line=on_bad_line)


def parse_conll(
    lines: Iterable[bytes], *, name: str = "<lines>", on_bad_line: Callable[[BGAError], None] | None = None
) -> Iterator[Post]:
    """Parse the lines of a file, see `read_conll`.

    lines (Iterable[bytes]): The lines. Bytes, because only these end at line feeds and nowhere else: posts hold
        U+2028 and its like.
    name (str): The file's name, for messages.
    on_bad_line (Callable | None): What to do with a bad line's error instead of raising it.
    YIELDS (Post): The posts.
    RAISES (BGAError): A line that cannot be read.
    """
    draft = _Draft()
    for number, raw in enumerate(lines, start=1):
        try:
            line = _decode(raw, number)
            begins = line.startswith(IMAGE_ID) and "\t" not in line
            starts_document = line.startswith(DOCUMENT_START)
            # A blank line below an IMGID line ends nothing yet.
            if draft.has_words if not line else (begins or starts_document):
                yield from draft.take()
            if begins:
                draft.begin(line.removeprefix(IMAGE_ID).strip(), number)
            elif line and not starts_document:
                draft.add(line, number)
        except ValueError as error:
            problem = BGAError(Errors.B310.format(path=name, line=number, reason=error))
            if on_bad_line is None:
                raise problem from error
            on_bad_line(problem)
            draft.is_broken = True
    yield from draft.take()


class _Draft:
    """The post that is being read."""

    def __init__(self) -> None:
        self.columns: int | None = None  # between a token and its tag, the same in the whole file
        self._clear()

    def _clear(self) -> None:
        self.words: list[str] = []
        self.tags: list[str] = []
        self.image_id: str | None = None
        self.line: int | None = None
        self.is_broken = False

    @property
    def has_words(self) -> bool:
        return bool(self.words) or self.is_broken

    def begin(self, image_id: str, number: int) -> None:
        self.image_id, self.line = image_id, number

    def add(self, line: str, number: int) -> None:
        self.line = self.line or number
        word, tag, columns = _split(line)
        self.columns = columns if self.columns is None else self.columns
        if columns != self.columns:
            raise ValueError(f"{line[:60]!r} has {columns + 2} columns, where the lines above have {self.columns + 2}")
        self.words.append(word)
        self.tags.append(tag)

    def take(self) -> Iterator[Post]:
        """YIELDS (Post): The post, if there is one and all its lines could be read; then a new one begins."""
        if not self.is_broken and (self.words or self.image_id is not None):
            yield Post(tuple(self.words), tuple(self.tags), self.image_id, self.line or 1)
        self._clear()


def mend_tags(tags: Sequence[str]) -> tuple[list[str], int]:
    """Make a `B-X` of every `I-X` that continues nothing: after `O`, at the start, or after another label.

    The published scores count such an entity; dropping it would make new scores incomparable.

    tags (Sequence[str]): BIO tags.
    RETURNS (tuple[list[str], int]): The tags, and how many have been mended.
    """
    mended = []
    orphans = 0
    previous = "O"
    for tag in tags:
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            tag = f"B-{tag[2:]}"
            orphans += 1
        mended.append(tag)
        previous = tag
    return mended, orphans


def map_tag(tag: str, label_map: Mapping[str, str]) -> str:
    """Rename the label of a BIO tag.

    tag (str): The tag.
    label_map (Mapping[str, str]): Old labels and their new names.
    RETURNS (str): The tag with the new label.
    """
    return tag if tag == "O" else f"{tag[:2]}{label_map.get(tag[2:], tag[2:])}"


def post_to_doc(post: Post, vocab: Vocab, *, tags: Sequence[str] | None = None) -> Doc:
    """Make a document of a post, with exactly its tokens.

    If it comes with its text, the document has that, with white space other than single spaces as tokens. Else, in a
    language without spaces, it has the text that its tokens make up. In others nobody knows where spaces were, and the
    Doc says so (`has_unknown_spaces`): spaCy's reader then trains and scores on these tokens, as published numbers do,
    instead of tokenizing a text that never existed.

    post (Post): The post.
    vocab (Vocab): The vocabulary, whose language it is.
    tags (Sequence[str] | None): Mended tags that replace the post's own.
    RETURNS (Doc): The document; its IMGID is kept as `doc.user_data["image_id"]`.
    """
    ents = list(post.tags if tags is None else tags)
    fitted = None if post.text is None else fit_to_text(post.words, ents, post.text)
    words, spaces, ents = fitted or (list(post.words), find_spaces(post.words, vocab.lang), ents)
    doc = Doc(vocab, words=words, spaces=spaces, ents=ents)
    if post.image_id is not None:
        doc.user_data[IMAGE_ID_KEY] = post.image_id
    return doc


def doc_to_conll(doc: Doc) -> str:
    """Write a document as a post.

    doc (Doc): The document; tokens without entity annotation are written as `O`.
    RETURNS (str): Its lines, with the blank line that ends them.
    """
    image_id = doc.user_data.get(IMAGE_ID_KEY)
    lines = [] if image_id is None else [f"{IMAGE_ID}{image_id}"]
    for token in doc:
        tag = f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O"
        lines.append(f"{token.text}\t{tag}")
    return "\n".join([*lines, "", ""])


def _decode(raw: bytes, number: int) -> str:
    try:
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    return line.rstrip(" \t\r\n")


def _split(line: str) -> tuple[str, str, int]:
    """RETURNS (tuple[str, str, int]): A token, its tag, and how many columns stand between them."""
    columns = [column for column in line.split("\t" if "\t" in line else " ") if column]
    if len(columns) < 2 or line[0] in "\t ":
        raise ValueError(f"{line[:60]!r} is not a token and a tag with a tab or a space between them")
    last = len(columns) - 1
    if "\t" not in line and not _TAG.fullmatch(columns[last]):
        # A label with a space in it, in a file whose columns spaces separate: the first tag goes on to the end.
        last = next((i for i, column in enumerate(columns) if i and _TAG.fullmatch(column) and column != "O"), last)
    tag = " ".join(columns[last:]).strip(" ")
    if not _TAG.fullmatch(tag):
        raise ValueError(f"the tag {tag[:40]!r} is none of O, B-LABEL, I-LABEL, or E-, S-, L-, U- of other schemes")
    return columns[0], tag, last - 1
