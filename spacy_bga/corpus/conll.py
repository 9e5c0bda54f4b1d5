"""CoNLL with IMGID lines, the format of the Twitter-2015 and Twitter-2017 benchmarks.

IMGID:17_06_2932
Kawhi<TAB>B-PER
Leonard<TAB>I-PER
wins<TAB>O
<blank line>
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_bga.errors import BGAError, Errors

IMAGE_ID = "IMGID:"
IMAGE_ID_KEY = "image_id"
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp")

_TAG = re.compile(r"O|[BI]-\S+")


@dataclass(frozen=True)
class Post:
    """One post of a CoNLL file.

    words (tuple[str, ...]): Its tokens, exactly as in the file.
    tags (tuple[str, ...]): Their tags, exactly as in the file.
    image_id (str | None): What its IMGID line says.
    line (int): The number of its first line.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    image_id: str | None
    line: int


def read_conll(path: Path) -> Iterator[Post]:
    """Read the posts of a file.

    path (Path): The file.
    YIELDS (Post): Its posts; one without tokens has empty `words`.
    RAISES (BGAError): A line is not UTF-8, or not a token with a BIO tag; the message names file and line.
    """
    with path.open("rb") as file:
        yield from parse_conll(file, name=str(path))


def parse_conll(lines: Iterable[bytes], *, name: str = "<lines>") -> Iterator[Post]:
    """Parse the lines of a file, see `read_conll`.

    lines (Iterable[bytes]): The lines. Bytes, because only these end at line feeds and nowhere else: posts hold
        U+2028 and its like.
    name (str): The file's name, for messages.
    YIELDS (Post): The posts.
    RAISES (BGAError): A line that cannot be read.
    """
    words: list[str] = []
    tags: list[str] = []
    image_id: str | None = None
    first = 1
    for number, raw in enumerate(lines, start=1):
        line = _decode(raw, name, number)
        is_image_id = line.startswith(IMAGE_ID) and "\t" not in line
        if (not line or is_image_id) and (words or image_id is not None):
            yield Post(tuple(words), tuple(tags), image_id, first)
            words, tags, image_id = [], [], None
        if is_image_id:
            image_id, first = line.removeprefix(IMAGE_ID).strip(), number
        elif line:
            word, tag = _split(line, name, number)
            first = first if words or image_id is not None else number
            words.append(word)
            tags.append(tag)
    if words or image_id is not None:
        yield Post(tuple(words), tuple(tags), image_id, first)


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


def find_image(image_id: str, folder: Path) -> str | None:
    """Find a post's image.

    image_id (str): The id of its IMGID line.
    folder (Path): The folder that holds the images.
    RETURNS (str | None): The file's path relative to the folder, or None if there is none.
    """
    for suffix in IMAGE_SUFFIXES:
        try:
            if (folder / f"{image_id}{suffix}").is_file():
                return f"{image_id}{suffix}"
        except (OSError, ValueError):  # an id that is no file name
            return None
    return None


def post_to_doc(post: Post, vocab: Vocab, *, tags: Sequence[str] | None = None) -> Doc:
    """Make a document of a post, with exactly its tokens.

    The file does not say where spaces were, and the Doc says so (`has_unknown_spaces`): spaCy's reader then trains and
    scores on these tokens, as published numbers do, instead of tokenizing a text that never existed.

    post (Post): The post.
    vocab (Vocab): The vocabulary.
    tags (Sequence[str] | None): Mended tags that replace the post's own.
    RETURNS (Doc): The document; its IMGID is kept as `doc.user_data["image_id"]`.
    """
    doc = Doc(vocab, words=list(post.words), ents=list(post.tags if tags is None else tags))
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


def _decode(raw: bytes, name: str, number: int) -> str:
    try:
        line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BGAError(Errors.B310.format(path=name, line=number, reason="it is not UTF-8")) from error
    return line.rstrip(" \t\r\n")


def _split(line: str, name: str, number: int) -> tuple[str, str]:
    columns = [column for column in line.split("\t" if "\t" in line else " ") if column]
    if len(columns) != 2 or line[0] in "\t ":
        reason = f"{line[:60]!r} is not a token and a tag with a tab or a space between them"
        raise BGAError(Errors.B310.format(path=name, line=number, reason=reason))
    word, tag = columns[0], columns[1].strip(" ")
    if not _TAG.fullmatch(tag):
        reason = f"the tag {tag[:40]!r} is none of O, B-LABEL, I-LABEL"
        raise BGAError(Errors.B310.format(path=name, line=number, reason=reason))
    return word, tag
