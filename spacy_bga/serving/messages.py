"""What requests and answers look like, within a server's limits."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Base64Bytes, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from spacy_bga.corpus.texts import REPLACEMENT
from spacy_bga.serving.limits import Limits

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _mend(value: Any) -> Any:
    """Half of a character, which JSON can spell, is no UTF-8; every offset stays what it is."""
    return _LONE_SURROGATE.sub(REPLACEMENT, value) if isinstance(value, str) else value


class Entity(BaseModel):
    """A span of the text."""

    start: int = Field(description="Its first character.")
    end: int = Field(description="The character behind its last.")
    label: str
    text: str
    confidence: float | None = Field(description="From 0 to 1, if the pipeline knows.")


class Entities(BaseModel):
    """The entities of a text."""

    entities: list[Entity]


class Result(Entities):
    """The entities of one of several texts, or why it could not be tagged."""

    error: str | None = None


class Results(BaseModel):
    """One result for each text, in their order."""

    results: list[Result]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


class FieldProblem(BaseModel):
    """What is wrong with a part of a request."""

    loc: list[str | int]
    msg: str
    type: str


class Problems(BaseModel):
    """All that is wrong with a request."""

    detail: list[FieldProblem]


def request_models(limits: Limits, *, images: bool) -> tuple[type[Any], type[Any]]:
    """Make the forms of requests.

    limits (Limits): What they may hold. images (bool): Whether a text may come with one.
    RETURNS (tuple[type, type]): Of one text, and of several.
    """
    text = Annotated[str, BeforeValidator(_mend), Field(max_length=limits.text)]
    fields: dict[str, Any] = {"text": (text, ...)}
    if images:
        content = Annotated[Base64Bytes, Field(strict=False)]  # which JSON has no bytes for
        fields["image"] = (content | None, Field(None, description="An encoded image (JPEG, PNG, ...), in base64."))
    strict = ConfigDict(extra="forbid", strict=True)
    one = create_model("Text", __config__=strict, **fields)
    texts = Annotated[list[one], Field(min_length=1, max_length=limits.texts)]  # type: ignore[valid-type]
    return one, create_model("Texts", __config__=strict, texts=(texts, ...))
