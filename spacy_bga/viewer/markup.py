"""A post as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from spacy.tokens import Doc

from spacy_bga.viewer.marks import Note, render_marks
from spacy_bga.viewer.pictures import Picture, encode_heat
from spacy_bga.viewer.posts import Post, Shown

ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def render_post(post: Post, colors: Mapping[str, str]) -> str:
    """RETURNS (str): A post as an `article`. colors (Mapping[str, str]): The background of each label."""
    errors = "" if post.comparison is None else f' data-errors="{post.comparison.errors}"'
    return (
        f'<article class="post" id="post-{post.number}" aria-labelledby="title-{post.number}"{errors}>'
        f'<header><h2 id="title-{post.number}">Post {post.number}</h2>{_tally(post)}</header>'
        f'<div class="body">{_picture(post)}<div class="reading">{_reading(post, colors)}</div></div></article>'
    )


def _tally(post: Post) -> str:
    """RETURNS (str): How many errors there are, if that is known."""
    compared = post.comparison
    if compared is None:
        return "" if post.gold is None else "<p>not annotated</p>"
    if not compared.errors:
        return '<p class="good"><span aria-hidden="true">✓</span> no errors</p>'
    parts = [f"{number} {word}" for number, word in ((compared.wrong, "wrong"), (compared.lost, "not found")) if number]
    total = f"{compared.errors} error{'s' if compared.errors > 1 else ''}"
    return f'<p class="bad"><span aria-hidden="true">✗</span> {total}: {", ".join(parts)}</p>'


def _picture(post: Post) -> str:
    picture = post.picture
    if picture is None:
        return '<div class="absent">No image</div>'
    if picture.uri is None:
        problem = f"The image can't be shown. {picture.problem}"
        return f'<div class="absent broken" role="note">{escape(problem)}</div>'
    width, height = picture.size
    aligned = " aligned" if any(shown.heat is not None for shown in (*post.predicted, *post.annotated)) else ""
    return (
        f'<figure class="picture{aligned}"><div class="frame">'
        f'<img class="shown" src="{picture.uri}" width="{width}" height="{height}" alt="{escape(_alt(post, picture))}">'
        f'<img class="heat" alt="" hidden><span class="ring" hidden></span></div>'
        f'<figcaption><span class="caption">{escape(picture.name)}</span>'
        f'<span class="told" aria-live="polite"></span>'
        f'<span class="key" aria-hidden="true" hidden><span class="scale"></span>'
        f'<span class="ends"><span>less alike</span><span>more alike</span></span></span></figcaption></figure>'
    )


def _alt(post: Post, picture: Picture) -> str:
    """RETURNS (str): What can be said of an image that nobody has described: whose it is."""
    return f"Image of post {post.number}: {picture.name}"


def _reading(post: Post, colors: Mapping[str, str]) -> str:
    """RETURNS (str): The text with its entities; and once more with the gold ones, where those differ."""
    marks = _marks(post.doc, post.predicted, colors)
    if post.comparison is None or post.gold is None:
        return marks
    if not post.comparison.errors:
        return f"<h3>Predicted, as in gold</h3>{marks}"
    return f"<h3>Predicted</h3>{marks}<h3>Gold</h3>{_marks(post.gold, post.annotated, colors, is_gold=True)}"


def _marks(doc: Doc, shown: Sequence[Shown], colors: Mapping[str, str], *, is_gold: bool = False) -> str:
    if not doc.text.strip():
        return f'<p class="hollow">{"Nothing but white space" if doc.text else "An empty text"}</p>'
    words = [ent.text for ent in doc.ents]
    notes = [Note(s.confidence, s.judgement, is_gold, _pointing(text, s)) for text, s in zip(words, shown, strict=True)]
    language = doc.lang_ if doc.lang_ not in ("", "xx") else "und"
    return f'<div lang="{escape(language)}">{render_marks(doc, notes, colors)}</div>'


def _pointing(text: str, shown: Shown) -> dict[str, str]:
    """RETURNS (dict[str, str]): What makes a mark a button for its heat map; nothing if it has none."""
    heat = shown.heat
    if heat is None:
        return {}
    x, y = heat.best
    place = f"{ROWS[min(int(3 * y), 2)]} {COLUMNS[min(int(3 * x), 2)]}".replace("middle centre", "middle")
    told = f"“{' '.join(text.split())}” is most like the {place} of the image (cosine {heat.likeness.max():.2f})."
    return {
        "role": "button",
        "tabindex": "0",
        "aria-pressed": "false",
        "data-heat": encode_heat(heat.warmth),
        "data-x": f"{100 * x:.1f}",
        "data-y": f"{100 * y:.1f}",
        "data-told": told,
    }
