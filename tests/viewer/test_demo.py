"""The demo in a real browser: a post is typed, an image dropped, and the entities change."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.viewer import demo
from tests.conftest import encode_picture
from tests.viewer.browser import requests

pytest.importorskip("streamlit")
pytest.importorskip("selenium")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

SECONDS = 120  # a busy machine takes its time


@pytest.fixture
def model(pointer: Language, tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Oakland"}, {"label": "LOC", "pattern": "paris"}])  # type: ignore[attr-defined]
    nlp.add_pipe("bga_ner", source=pointer)  # untrained: it finds this and that, and keeps what the rules found
    nlp.to_disk(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def address(model: Path, tmp_path: Path) -> Iterator[str]:
    """Where the demo answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "log.txt").open("w")
    root = str(Path(demo.__file__).parents[2])
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    command = demo.demo_command(model, port=port, browser=False)
    with log, subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=environment) as server:
        try:
            wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()  # asked politely, it waits for the browser


def wait_for(port: int, server: subprocess.Popen) -> None:
    for _ in range(SECONDS * 4):
        assert server.poll() is None
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    raise AssertionError("the demo does not answer")


def until(driver: Any, condition: Any) -> Any:
    """Wait inside the frame with the viewer's page, which is replaced when the post changes."""

    def look(_: object) -> Any:
        driver.switch_to.default_content()
        driver.switch_to.frame(driver.find_element(By.TAG_NAME, "iframe"))
        return condition()

    wait = WebDriverWait(driver, SECONDS, ignored_exceptions=[Exception])
    try:
        return wait.until(look)
    finally:
        driver.switch_to.default_content()


def entities(driver: Any) -> list[str]:
    return [mark.text for mark in driver.find_elements(By.CSS_SELECTOR, "mark.entity .words")]


@pytest.mark.timeout(600)
def test_type_and_drop(browser: Any, address: str, tmp_path: Path):
    (tmp_path / "picture.png").write_bytes(encode_picture(0))
    browser.get("about:blank")
    requests(browser)
    browser.get(address)
    until(browser, lambda: "Oakland" in entities(browser))
    until(browser, lambda: browser.find_element(By.CLASS_NAME, "absent").text == "No image")

    post = browser.find_element(By.TAG_NAME, "textarea")
    post.send_keys(Keys.CONTROL + "a")
    post.send_keys("love paris <b>", Keys.CONTROL + Keys.ENTER)
    until(browser, lambda: "paris" in entities(browser))

    browser.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(tmp_path / "picture.png"))
    until(browser, lambda: browser.find_element(By.CSS_SELECTOR, "mark.points"))

    def shows_map() -> bool:
        browser.find_element(By.CSS_SELECTOR, "mark.points").click()
        return browser.find_element(By.CSS_SELECTOR, ".heat").is_displayed()

    until(browser, shows_map)
    asked = [url for url in requests(browser) if not url.startswith((address, address.replace("http", "ws"), "file:"))]
    assert asked == []


def test_only_this_machine_and_no_reports():
    command = " ".join(demo.demo_command(Path("model"), port=8501, browser=True))
    assert "--server.address 127.0.0.1" in command
    assert "--browser.gatherUsageStats false" in command
    assert "--server.headless false" in command


def test_errors(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "absent")])
    assert done.exit_code == 1
    assert done.stderr.startswith("[B604]")
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["demo", str(model)])
    assert done.exit_code == 1
    assert done.stderr.startswith("[B605]")
    assert 'pip install "spacy_bga[demo]"' in done.stderr


def test_a_message_is_shown_as_it_is():
    """Streamlit reads it as Markdown, in which what a message quotes could make a link, or ask for an image."""
    from markdown_it import MarkdownIt

    from spacy_bga.viewer.demo_app import plain

    message = "Can't read ![x](http://127.0.0.1/x.png) <b>*a*</b> `b` [c](javascript:alert(1)) $x^2$ :red[d] ~e~ 1. # |"
    (paragraph,) = [token for token in MarkdownIt("js-default").parse(plain(message)) if token.type == "inline"]
    assert [(part.type, part.content) for part in paragraph.children or []] == [("text", message)]
