"""Where a text has its spaces, of which a file gives the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from spacy.util import get_words_and_spaces

# Languages of spaCy whose words stand side by side. Its `writing_system` does not tell: Korean, which has spaces, is
# like Chinese there, and Thai like English.
WITHOUT_SPACES = frozenset({"bo", "ja", "th", "zh"})


def find_spaces(words: Sequence[str], lang: str) -> list[bool] | None:
    """Tell where spaces are in a language that has none between its words.

    words (Sequence[str]): The tokens. lang (str): The language's code.
    RETURNS (Optional[list[bool]]): Which are followed by a space: words of other scripts, if another one follows,
        unless every token is a single character. None for languages with spaces, where only the text could tell.
    """
    if lang not in WITHOUT_SPACES:
        return None
    if all(len(word) == 1 for word in words):
        return [False] * len(words)
    return [*(_takes_spaces(word[-1]) and _takes_spaces(after[0]) for word, after in pairwise(words)), False]


def _takes_spaces(character: str) -> bool:
    """RETURNS (bool): Whether it is a digit, or of a script with upper and lower case: these have spaces."""
    return character.isdigit() or character.lower() != character.upper()


def fit_to_text(words: Sequence[str], tags: Sequence[str], text: str) -> tuple[list[str], list[bool], list[str]] | None:
    """Find tokens in their text. White space but for a single space becomes a token, as spaCy's tokenizer has it.

    words, tags (Sequence[str]): The tokens and their BIO tags. text (str): The text.
    RETURNS (Optional[tuple[list[str], list[bool], list[str]]]): The tokens of the text, which of them are followed by a
        space, and their tags; None if it is not the text of these tokens.
    """
    try:
        found, spaces = get_words_and_spaces(words, text)
    except ValueError:
        return None
    fitted: list[str] = []
    left = list(zip(words, tags, strict=True))[::-1]
    for word in found:
        after = left[-1] if left else ("", "O" if tags[-1] else "")
        if word == after[0]:
            fitted.append(left.pop()[1])
        else:  # within an entity, or not
            fitted.append("O" if after[1].startswith("B-") else after[1])
    return found, spaces, fitted
