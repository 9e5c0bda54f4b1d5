"""Pages of the viewer about texts, labels, file names and titles that would rather be scripts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_bga.corpus.images import register_image_extension
from spacy_bga.reliability.fuzz import pictures
from spacy_bga.reliability.fuzz.kinds import Form, Kind
from spacy_bga.reliability.fuzz.verdict import expect, judge
from spacy_bga.viewer.page import read_static, render

PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    "<math><mtext></p><style><img src onerror=alert(1)>",
    "<!--<img src=--><img src=x onerror=alert(1)>-->",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "red; background: url(http://127.0.0.1/x)",
    "expression(alert(1))",
    "\u202e>tpircs<",
    "<\x00script>alert(1)</script>",
    "<base href=http://127.0.0.1/>",
    '<meta http-equiv="refresh" content="0;url=http://127.0.0.1/">',
    "<a href=javascript:alert(1)>x</a>",
    "<textarea><xmp><plaintext>",
]
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "script", "h1", "h2", "h3", "p", "b", "br"),
    *(
        "div",
        "label",
        "select",
        "option",
        "input",
        "article",
        "figure",
        "img",
        "figcaption",
        "span",
        "mark",
        "ul",
        "li",
    ),
}
LINKS = {"src", "href", "srcdoc", "action", "formaction", "data", "poster", "background"}
_part = st.one_of(
    st.sampled_from(PAYLOADS),
    st.sampled_from(PAYLOADS),
    st.text(max_size=6),
    st.characters(categories=["Cs", "Cc", "Cf"]),
    st.sampled_from(list("<>\"'&`=/ \n")),
)
_payload = st.lists(_part, min_size=1, max_size=4).map("".join)


@dataclass(frozen=True)
class Shown:
    """What a page is about. place (str): Where the payload is: "texts", "labels", "file names" or "titles".
    number (int): What the rest is drawn by."""

    place: str
    payload: str
    number: int


FORMS = {
    f"scripts in {place}": Form(st.builds(Shown, st.just(place), _payload, st.integers(0, 2**64)), share=2)
    for place in ("texts", "labels", "file names", "titles")
}


@dataclass(frozen=True)
class Bench:
    """An image root, and a vocabulary."""

    root: Path
    vocab: Vocab


def open_bench(folder: Path) -> Bench:
    """RETURNS (Bench): A folder with one image."""
    register_image_extension()
    root = folder / "photos"
    root.mkdir()
    (root / "there.png").write_bytes(pictures.png(3, 3))
    render([Doc(Vocab(), words=["a"])])  # what it imports takes its time once
    return Bench(root, Vocab())


def attempt(bench: Bench, shown: Shown) -> str:
    """Make a page, and read it as a browser does: it holds what it should show, and no script but its own."""
    return judge(lambda: _show(bench, shown))


def _show(bench: Bench, shown: Shown) -> None:
    r = random.Random(shown.number)
    payload = shown.payload
    text = payload.encode("utf8", "replace").decode() if shown.place == "texts" else "Kevin Durant joins"
    label = payload.encode("utf8", "replace").decode() if shown.place == "labels" else "PER"
    others: list[Any] = ["there.png", "absent.png", pictures.svg(r), b"x"]
    image = payload if shown.place == "file names" else r.choice(others)
    docs = [_doc(bench.vocab, text, label, image), _doc(bench.vocab, text, label, None)]
    golds = [_doc(bench.vocab, text, r.choice([label, "LOC", label + "'"]), None, first=r.choice([0, 1])) for _ in docs]
    title = payload if shown.place == "titles" else "A page"
    page = render(docs, gold=r.choice([golds, None]), images=bench.root, title=title, notices=[title])
    target = bench.root.parent / "page.html"
    page.to_disk(target)
    _check(target.read_text(encoding="utf8"), text)
    _check_frame(page._repr_html_())


def _doc(vocab: Vocab, text: str, label: str, image: str | bytes | None, *, first: int = 0) -> Doc:
    words = [word for word in text.split(" ") if word] or ["x"]
    doc = Doc(vocab, words=words)
    doc.set_ents([Span(doc, min(first, len(words) - 1), len(words), label=label)])
    doc._.image = image
    return doc


def _check(source: str, text: str) -> None:
    tree = html5lib.parse(source, namespaceHTMLElements=False)
    for element in _elements(tree):
        expect(element.tag in ELEMENTS, f"an element {element.tag!r}")
        for name, value in element.attrib.items():
            expect(not str(name).lower().startswith("on"), f"an attribute {name!r}")
            if name in LINKS:
                expect(
                    value.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")), f"{name} = {value[:80]!r}"
                )
    scripts = [element.text for element in _elements(tree) if element.tag == "script"]
    expect(scripts == [read_static("page.js")], f"{len(scripts)} scripts")
    styles = [element.text for element in _elements(tree) if element.tag == "style"]
    expect(styles == [read_static("page.css")], f"{len(styles)} styles")
    expect(len(tree.find("head")) == 5, "something else in the head")
    words = " ".join("".join(tree.find("body/main").itertext()).split())
    for word in text.replace("\x00", "").replace("\ufffd", "").split():
        expect(word in words or not word.isascii() or not word.isprintable(), f"{word!r} is not shown")


def _check_frame(source: str) -> None:
    """A notebook gets one frame, without the rights of the notebook."""
    elements = [
        e
        for e in _elements(html5lib.parseFragment(source, namespaceHTMLElements=False))
        if e.tag != "DOCUMENT_FRAGMENT"
    ]
    expect([element.tag for element in elements] == ["iframe"], "something beside the frame")
    expect(elements[0].attrib["sandbox"] == "allow-scripts", "a frame with more rights")


def _elements(tree: Element) -> Iterator[Element]:
    return (element for element in tree.iter() if isinstance(element.tag, str))


KIND = Kind(FORMS, open_bench, attempt)
