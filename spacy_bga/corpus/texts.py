"""Documents of texts that come from anywhere: in bounded time, and without losing the others of a stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, overload

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc

from spacy_bga.errors import BGAError, Errors

MAX_WORD = 500
"""Characters without white space that spaCy's tokenizer gets at once. The time that it takes may grow with the square
of their number: 8,000 brackets take 5 seconds."""

REPLACEMENT = "\ufffd"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_WORD = re.compile(rf"\S{{{MAX_WORD + 1},}}")


def make_doc(nlp: Language, text: str) -> Doc:
    """Make a document of a text, as `nlp.make_doc` does, but of any text.

    A lone surrogate, which is half of a character and which spaCy can't hold, becomes U+FFFD: every offset stays what
    it is. A word of more than `MAX_WORD` characters is cut into pieces of that length.

    nlp (Language): The pipeline. text (str): The text.
    RETURNS (Doc): The document, not yet processed.
    RAISES (BGAError): The text is longer than `nlp.max_length`, or no string.
    """
    if not isinstance(text, str):
        raise BGAError(Errors.B720.format(type=type(text).__name__))
    if len(text) > nlp.max_length:
        raise BGAError(Errors.B721.format(length=len(text), limit=nlp.max_length, text=text[:40]))
    text = _LONE_SURROGATE.sub(REPLACEMENT, text)
    if not isinstance(nlp.tokenizer, Tokenizer) or _LONG_WORD.search(text) is None:
        return nlp.make_doc(text)
    return Doc.from_docs([nlp.make_doc(part) for part in _cut(text)], ensure_whitespace=False)


@overload
def make_docs(
    nlp: Language, texts: Iterable[tuple[str, Any]], *, as_tuples: Literal[True]
) -> Iterator[tuple[Doc, Any]]: ...
@overload
def make_docs(nlp: Language, texts: Iterable[str], *, as_tuples: Literal[False] = ...) -> Iterator[Doc]: ...
def make_docs(nlp: Language, texts: Iterable[Any], *, as_tuples: bool = False) -> Iterator[Any]:
    """Make documents of a stream of texts, to be passed to `nlp.pipe`, which by itself ends at the first text that
    spaCy can't read. One that can't be read goes to the pipeline's error handler, with a document of its beginning.

    nlp (Language): The pipeline. texts (Iterable[str]): The texts, or with `as_tuples`, (text, context) pairs.
    as_tuples (bool): Whether to pass contexts on, as `nlp.pipe` does.
    YIELDS (Doc): The documents, or (document, context) pairs.
    """
    for item in texts:
        text, context = item if as_tuples else (item, None)
        try:
            doc = make_doc(nlp, text)
        except BGAError as error:
            beginning = Doc(nlp.vocab, words=[_LONE_SURROGATE.sub(REPLACEMENT, str(text)[:40]) or "?"], spaces=[False])
            nlp.default_error_handler("tokenizer", nlp.tokenizer, [beginning], error)  # type: ignore[arg-type]
            continue
        yield (doc, context) if as_tuples else doc


def _cut(text: str) -> Iterator[str]:
    """YIELDS (str): Parts that make up the text; none has a longer word."""
    start = 0
    for word in _LONG_WORD.finditer(text):
        for end in range(word.start() + MAX_WORD, word.end(), MAX_WORD):
            yield text[start:end]
            start = end
    yield text[start:]
