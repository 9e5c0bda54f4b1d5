"""A page in one file that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

from spacy_bga.viewer.colors import label_colors
from spacy_bga.viewer.markup import render_post
from spacy_bga.viewer.posts import Confidence, Post, extension_confidence, gather_posts

TITLE = "Entities and images"
NOTEBOOK_HEIGHT = 640  # pixels

TOOLS = """<div class="tools" id="tools" role="group" aria-label="Order and filter of the posts" hidden>
<label for="order">Order <select id="order" aria-controls="posts"><option value="corpus">as in the corpus</option>
<option value="errors">most errors first</option></select></label>
<label for="only"><input type="checkbox" id="only" aria-controls="posts"> Errors only</label>
<p role="status" id="status"></p></div>"""


@dataclass(frozen=True)
class Page:
    """A whole HTML page. html (str): Its source."""

    html: str

    def _repr_html_(self) -> str:
        """RETURNS (str): The page for a notebook, in a frame of its own, so that neither's style reaches the other."""
        return (
            f'<iframe title="{TITLE}" srcdoc="{escape(self.html)}" sandbox="allow-scripts" width="100%" '
            f'height="{NOTEBOOK_HEIGHT}" style="border: 0"></iframe>'
        )

    def to_disk(self, path: str | Path) -> None:
        """Write the page.

        path (Union[str, Path]): The HTML file; folders above it are made.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html, encoding="utf8")


def render(
    docs: Doc | Iterable[Doc],
    *,
    gold: Doc | Iterable[Doc] | None = None,
    nlp: Language | None = None,
    images: str | Path | None = None,
    attr: str = "image",
    confidence: Confidence | None = None,
    colors: Mapping[str, str] | None = None,
    limit: int | None = None,
    title: str = TITLE,
    notices: Sequence[str] = (),
) -> Page:
    """Show texts with their entities and images.

    docs (Union[Doc, Iterable[Doc]]): The texts, with their entities.
    gold (Optional[Union[Doc, Iterable[Doc]]]): The same texts with the entities that they should have: differences are
        marked and counted. One that nobody has annotated is not compared.
    nlp (Optional[Language]): A pipeline with a `bga_ner` that kept its visual branch: an entity then shows what it is
        aligned with in the image, as a heat map over it.
    images (Optional[Union[str, Path]]): The image root, to which the paths in `Doc._.image` are relative. Encoded
        images, and absolute paths such as the readers make, need none.
    attr (str): The extension attribute that holds the image.
    confidence (Optional[Callable[[Span], Optional[float]]]): How sure an entity is, from 0 to 1; None is not shown. By
        default `span._.bga_confidence`, if there is such an extension.
    colors (Optional[Mapping[str, str]]): Colours of labels; else displaCy's.
    limit (Optional[int]): Show only so many. title (str): The page's title.
    notices (Sequence[str]): What else the reader should know; shown above the posts.
    RETURNS (Page): The page; a notebook shows it, `to_disk` writes it. An image that is missing or broken is told of.
    RAISES (BGAError): `gold` isn't of the same texts.
    """
    posts = gather_posts(
        docs,
        gold,
        nlp=nlp,
        images=None if images is None else Path(images),
        attr=attr,
        confidence=confidence or extension_confidence,
        limit=limit,
    )
    labels = {ent.label_ for post in posts for doc in (post.doc, post.gold) if doc is not None for ent in doc.ents}
    chosen = label_colors(labels, colors)
    parts = [render_post(post, chosen) for post in posts]
    html = _page(title, _header(title, posts, notices), "\n".join(parts), posts)
    return Page(html.encode("utf8", "replace").decode("utf8"))  # no file holds a lone surrogate, as some file names do


def _page(title: str, header: str, body: str, posts: Sequence[Post]) -> str:
    style, script = read_static("page.css"), read_static("page.js")
    tools = TOOLS if any(post.comparison is not None for post in posts) else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{content_policy(script)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n{header}\n{tools}\n"
        f'<main id="posts">{body}</main>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def content_policy(script: str) -> str:
    """RETURNS (str): A policy by which the browser asks for nothing and runs this script alone, whatever else may have
    got into the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def read_static(name: str) -> str:
    """RETURNS (str): A file of this package that goes into pages."""
    return files("spacy_bga.viewer").joinpath("static", name).read_text(encoding="utf8")


def _header(title: str, posts: Sequence[Post], notices: Sequence[str]) -> str:
    """RETURNS (str): What the page is about, and how the two sides compare on the whole."""
    n_entities = sum(len(post.doc.ents) for post in posts)
    parts = [f"<header><h1>{escape(title)}</h1>"]
    parts.append(f'<p class="summary">{_number(len(posts), "post")}, {_number(n_entities, "entity", "entities")}</p>')
    parts += [f'<p class="notice">{escape(notice)}</p>' for notice in notices]
    if any(shown.heat is not None for post in posts for shown in (*post.predicted, *post.annotated)):
        parts.append(
            '<p class="hint">Point at an underlined entity, or reach it with Tab, to see what it is aligned with in '
            "the image: bright where it is most alike, dark where it is least, whatever the cosines are. A click or "
            "Enter keeps the map; Escape sends it away.</p>"
        )
    compared = [post.comparison for post in posts if post.comparison is not None]
    if compared:
        correct, wrong, lost = (sum(getattr(c, name) for c in compared) for name in ("correct", "wrong", "lost"))
        parts.append(
            f'<ul class="totals"><li class="good"><b>{correct}</b> <span aria-hidden="true">✓</span> as in gold</li>'
            f'<li class="bad"><b>{wrong}</b> <span aria-hidden="true">✗</span> predicted, not so in gold</li>'
            f'<li class="bad"><b>{lost}</b> <span aria-hidden="true">✗</span> in gold, not so predicted</li></ul>'
        )
    return "".join([*parts, "</header>"])


def _number(n: int, singular: str, plural: str | None = None) -> str:
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"
