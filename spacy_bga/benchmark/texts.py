"""The texts that everybody tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.vocab import Vocab


@dataclass(frozen=True)
class Text:
    """A document, tokenized beforehand: tokenizers are not what is compared.

    words (tuple[str, ...]): Its tokens. spaces (tuple[bool, ...]): Which are followed by a space.
    entities (tuple[tuple[int, int, str], ...]): First token, token behind the last one, and label of each.
    """

    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    entities: tuple[tuple[int, int, str], ...] = ()

    def __str__(self) -> str:
        return "".join(word + " " * space for word, space in zip(self.words, self.spaces, strict=True)).strip()

    def to_doc(self, vocab: Vocab, *, entities: bool = False) -> Doc:
        """RETURNS (Doc): A fresh document, with the entities if asked for."""
        from spacy.tokens import Doc, Span

        doc = Doc(vocab, words=list(self.words), spaces=list(self.spaces))
        if entities:
            doc.set_ents([Span(doc, start, end, label=label) for start, end, label in self.entities])
        return doc


def read_texts(path: Path, limit: int | None = None) -> list[Text]:
    """Read the texts of a DocBin, empty ones left out.

    path (Path): The .spacy file. limit (Optional[int]): The most texts.
    RETURNS (list[Text]): The texts.
    """
    import spacy
    from spacy.tokens import DocBin

    if not path.is_file():
        raise BGAError(Errors.B544.format(path=path))
    docs = (doc for doc in DocBin().from_disk(path).get_docs(spacy.blank("xx").vocab) if len(doc))
    texts = [
        Text(
            tuple(token.text for token in doc),
            tuple(bool(token.whitespace_) for token in doc),
            tuple((ent.start, ent.end, ent.label_) for ent in doc.ents),
        )
        for doc in islice(docs, limit)
    ]
    if not texts:
        raise BGAError(Errors.B544.format(path=path))
    return texts


def write_embedded_texts(path: Path, number: int) -> None:
    """Write posts of the embedded corpus' kind, without pictures, the same ones each time.

    path (Path): The .spacy file. number (int): How many.
    """
    import random

    import spacy
    from spacy.tokens import Doc, DocBin

    from spacy_bga.starter.embedded_names import deal_names
    from spacy_bga.starter.embedded_posts import PostWriter

    rng = random.Random(0)
    writer = PostWriter("train", deal_names(rng)["train"], rng)
    vocab = spacy.blank("en").vocab
    posts = [writer.write() for _ in range(number)]
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=[Doc(vocab, words=list(post.tokens), ents=list(post.tags)) for post in posts]).to_disk(path)


def labels_of(texts: Sequence[Text]) -> list[str]:
    """RETURNS (list[str]): The labels of their entities."""
    return sorted({label for text in texts for _, _, label in text.entities})


def n_words(texts: Sequence[Text]) -> int:
    """RETURNS (int): Tokens of all texts."""
    return sum(len(text.words) for text in texts)


def cut(texts: Sequence[Text], total: int, size: int) -> list[Text]:
    """The same words in documents of another length.

    texts (Sequence[Text]): Where the words are from, over and over again. total (int): How many words.
    size (int): Words of a document; the last one may have fewer.
    RETURNS (list[Text]): The documents, without entities.
    """
    words = list(islice(chain.from_iterable(text.words for text in cycle(texts)), total))
    parts = [tuple(words[start : start + size]) for start in range(0, total, size)]
    return [Text(part, (True,) * len(part)) for part in parts]


def endless(texts: Sequence[Text]) -> Iterator[Text]:
    """YIELDS (Text): The texts over and over again, each with a word that never came before, as in a real stream."""
    for number, text in enumerate(cycle(texts)):
        yield Text((*text.words[:-1], f"@user{number}"), text.spaces)
