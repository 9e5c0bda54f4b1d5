"""Links of the repository's own Markdown files lead somewhere: to a file, and to a heading in it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.docs.conftest import ROOT

# mkdocs itself checks the pages of the site, which `test_site` builds.
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("assets/**/*.md"), *ROOT.glob("docs/*.md")]


def links(text: str) -> list[str]:
    """RETURNS (list[str]): Where the links and images of a Markdown text lead."""
    inline = [
        child for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text) for child in token.children or ()
    ]
    return [str(token.attrs[key]) for token in inline for key in ("href", "src") if key in token.attrs]


def anchors(text: str) -> set[str]:
    """RETURNS (set[str]): The anchors of a Markdown text's headings, as GitHub makes them."""
    tokens = MarkdownIt().parse(text)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(page: Path) -> list[str]:
    """RETURNS (list[str]): The links of a page that lead nowhere on this disk."""
    found = []
    for link in links(page.read_text(encoding="utf8")):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in ("http", "https", "mailto"), link
            continue
        target = page.parent / unquote(parts.path) if parts.path else page
        headings = target.is_file() and target.suffix == ".md" and anchors(target.read_text(encoding="utf8"))
        if not target.exists() or (parts.fragment and parts.fragment not in (headings or ())):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links(page: Path):
    assert broken(page) == []


def test_the_readme_has_links():
    assert {"docs/results.md", "CITATION.cff"} <= set(links((ROOT / "README.md").read_text(encoding="utf8")))


def test_broken_links_are_found(tmp_path: Path):
    (tmp_path / "a.md").write_text("# One two\n\n[x](#one-two) [y](b.md) [z](#three) ![p](p.png) [e](https://a.b)")
    assert broken(tmp_path / "a.md") == ["b.md", "#three", "p.png"]
