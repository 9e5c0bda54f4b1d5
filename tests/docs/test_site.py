"""The site is built without a network and needs none, and every link within it leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import srsly
import typer.main

from spacy_bga import errors
from spacy_bga.cli import app
from tests.commands import leaves
from tests.docs.conftest import ROOT
from tests.viewer.browser import chromium, find_chromium, requests

# Where the reference has what is registered.
PLACES = {
    "spacy_architectures": "architecture",
    "spacy_readers": "corpora",
    "spacy_batchers": "corpora",
    "spacy_loggers": "loggers",
    "spacy_callbacks": "loggers",
}
FETCHES = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href", "use": "href"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as strictly as mkdocs can: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Page(HTMLParser):
    """What a page links to, what it fetches, and which anchors and text it has."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in FETCHES and values.get(FETCHES[tag]):
            self.fetched.append(values[FETCHES[tag]])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}  # served from any folder


def test_links_and_anchors(pages: dict[Path, Page], site: Path):
    assert len(pages) > 20
    wrong = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].anchors if target in pages else set[str]()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in known):
                wrong.append((path.relative_to(site).as_posix(), link))
    assert wrong == []


def test_nothing_is_fetched_from_elsewhere(pages: dict[Path, Page], site: Path):
    fetched = [url for page in pages.values() for url in page.fetched]
    assert any(url.endswith(".css") for url in fetched)
    assert [url for url in fetched if urlsplit(url).scheme not in ("", "data") or url.startswith("//")] == []
    styles = "".join(path.read_text(encoding="utf8") for path in site.rglob("*.css"))
    assert [url for url in re.findall(r"(?:url\(|@import )['\"]?([^)'\"]+)", styles) if "//" in url.split(",")[0]] == []


@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")
def test_a_browser_asks_nothing_of_any_network(site: Path, tmp_path: Path):
    with chromium(tmp_path) as driver:
        for name in ("index.html", "explanation/method/index.html", "reference/console/index.html"):
            driver.get((site / name).as_uri())
            assert driver.find_element("tag name", "h1").text
        asked = requests(driver)
    assert any(url.startswith("file:") for url in asked)
    assert [url for url in asked if not url.startswith("file:")] == []


def test_the_console_is_complete(pages: dict[Path, Page], site: Path):
    page = pages[site / "reference" / "console" / "index.html"]
    for name in leaves(typer.main.get_command(app)):
        assert f"$ python -m spacy_bga {name} " in page.text
        assert f"python-m-spacy_bga-{name.replace(' ', '-')}" in page.anchors


def test_the_settings_are_complete(pages: dict[Path, Page], site: Path):
    import inspect

    from spacy_bga.pipeline.architectures import build_bga_model
    from spacy_bga.pipeline.bga_ner import make_bga_ner

    table = pages[site / "reference" / "architecture" / "index.html"].text
    assert [name for name in inspect.signature(build_bga_model).parameters if f"\n{name}\n" not in table] == []
    config = pages[site / "reference" / "component" / "index.html"].text
    settings = set(inspect.signature(make_bga_ner).parameters) - {"nlp", "name", "model", "scorer"}
    assert [name for name in settings if f"{name} =" not in config] == []
    assert "What spaCy's learning rate is multiplied by" in config  # its comments are there as well


def test_all_that_is_registered_has_its_place(pages: dict[Path, Page], site: Path):
    registered = {
        point.name: page
        for group, page in PLACES.items()
        for point in entry_points(group=group)
        if point.name.startswith("spacy_bga.")
    }
    assert len(registered) >= 6
    for name, page in registered.items():
        anchors = pages[site / "reference" / page / "index.html"].anchors
        assert any(anchor.endswith(name.lower().replace(".", "")) for anchor in anchors), name


def test_the_messages_are_complete(pages: dict[Path, Page], site: Path):
    codes = {
        name for group in (errors.Errors, errors.Warnings) for name in vars(group) if re.fullmatch(r"[BW]\d+", name)
    }
    assert codes
    assert codes <= pages[site / "reference" / "messages" / "index.html"].anchors


def test_docstrings_are_parsed(pages: dict[Path, Page], site: Path):
    text = pages[site / "reference" / "component" / "index.html"].text
    assert "The shared vocabulary." in text
    assert "Returns:" in text
    for path, page in pages.items():
        if path.parent.parent.name == "reference" and path.parent.name != "messages":
            assert "RETURNS (" not in page.text, path


def test_what_commands_write_is_there(pages: dict[Path, Page], site: Path):
    assert "Made by" not in pages[site / "results" / "index.html"].text
    assert "Twitter-2017" in pages[site / "results" / "index.html"].text
    assert (site / "evidence" / "alignment.json").read_bytes() == (ROOT / "docs/evidence/alignment.json").read_bytes()
    assert "python -m spacy_bga benchmark" in pages[site / "performance" / "index.html"].text


def test_numbers_come_from_the_evidence(pages: dict[Path, Page], site: Path):
    text = pages[site / "explanation" / "measures" / "index.html"].text
    found = srsly.read_json(ROOT / "docs" / "evidence" / "alignment.json")
    for cell in found["t2i"].values():
        assert f"{cell['r10']} % [{cell['r10_ci'][0]}, {cell['r10_ci'][1]}]" in text
    assert "made of code" not in "".join(page.text for page in pages.values())
