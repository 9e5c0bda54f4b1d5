"""A page in a real browser: what a reader does with the pointer, with the keyboard, and in the dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spacy.language import Language

from spacy_bga.viewer import Page, render
from tests.viewer.conftest import make_doc

pytest.importorskip("selenium")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.viewer.browser import requests, set_scheme

EVIL = "<script>document.title='hacked'</script><img src=//example.com/x.png onerror=alert(1)>"

Opened = Callable[[Page], Any]

# The contrast of each text with what is behind it, as the browser computed both. AA asks for 4.5 (3 for large text).
CONTRASTS = """
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const behind = (e) => { const c = rgb(getComputedStyle(e).backgroundColor);
  return c.length === 3 || c[3] === 1 || !e.parentElement ? c : behind(e.parentElement); };
const found = [];
for (const e of document.body.querySelectorAll("*")) {
  const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!text || !e.getClientRects().length || ["SCRIPT", "STYLE", "OPTION"].includes(e.tagName)) continue;
  const [a, b] = [luminance(rgb(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => x - y);
  found.push([`${e.tagName}.${e.className} ${e.textContent.slice(0, 20)}`, (b + 0.05) / (a + 0.05)]);
}
return found;
"""


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Opened:
    """Opens a page, in a light scheme."""

    def load(page: Page) -> Any:
        page.to_disk(tmp_path / "page.html")
        set_scheme(browser, "light")
        browser.get("about:blank")
        requests(browser)
        browser.get((tmp_path / "page.html").as_uri())
        return browser

    return load


@pytest.fixture(scope="module")
def aligned(pointer: Language, tmp_path_factory: pytest.TempPathFactory) -> Page:
    from tests.evaluation.aligners import write_images

    images = write_images(tmp_path_factory.mktemp("images"), ["a.png", "b.png"])
    docs = [
        make_doc("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")], "a.png"),
        make_doc("love paris !", [(1, 2, "ORG")], "b.png"),
        make_doc("no image", [(0, 1, "ORG")]),
        make_doc("a missing one", [(0, 1, "ORG")], "absent.png"),
        make_doc("right", [], "a.png"),
    ]
    gold = [
        make_doc("kevin durant joins oakland", [(0, 2, "PER")]),
        make_doc("love paris !", [(1, 2, "LOC")]),
        make_doc("no image", [(0, 1, "ORG")]),
        make_doc("a missing one", [(0, 1, "PER"), (1, 3, "LOC")]),
        make_doc("right"),
    ]
    return render(docs, gold=gold, nlp=pointer, images=images, confidence=lambda _: 0.87)


def numbers(driver: Any) -> list[str]:
    """RETURNS (list[str]): The titles of the posts that can be seen, in their order."""
    return [title.text for title in driver.find_elements(By.CSS_SELECTOR, ".post h2") if title.is_displayed()]


def maps(driver: Any) -> list[bool]:
    """RETURNS (list[bool]): Of each image, whether a heat map lies over it."""
    return [heat.is_displayed() for heat in driver.find_elements(By.CSS_SELECTOR, ".heat")]


def point_at(driver: Any, element: Any) -> None:
    ActionChains(driver).move_to_element(element).perform()


class TestHeatMap:
    def test_under_the_pointer(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        kevin, oakland, *_ = driver.find_elements(By.CSS_SELECTOR, "mark.points")
        assert not any(maps(driver))
        point_at(driver, kevin)
        assert maps(driver) == [True, False, False]
        heat = driver.find_element(By.CSS_SELECTOR, ".heat")
        first = heat.get_attribute("src")
        assert heat.rect == driver.find_element(By.CSS_SELECTOR, ".shown").rect
        assert driver.execute_script("return arguments[0].naturalWidth", heat) > 0  # it was decoded
        told = driver.find_element(By.CSS_SELECTOR, ".told")
        assert told.text.startswith("“kevin durant” is most like the ")
        ring = driver.find_element(By.CSS_SELECTOR, ".ring").rect
        frame = driver.find_element(By.CSS_SELECTOR, ".frame").rect
        x = (ring["x"] + ring["width"] / 2 - frame["x"]) / frame["width"]
        assert x == pytest.approx(float(kevin.get_attribute("data-x")) / 100, abs=0.01)
        point_at(driver, oakland)
        assert heat.get_attribute("src") != first
        assert told.text.startswith("“oakland”")
        point_at(driver, driver.find_element(By.TAG_NAME, "h1"))
        assert not any(maps(driver))

    def test_by_the_keyboard(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        keys = lambda key: ActionChains(driver).send_keys(key).perform()  # noqa: E731
        told = driver.find_element(By.CSS_SELECTOR, ".told")
        driver.find_element(By.ID, "only").send_keys(Keys.TAB)
        focused = driver.switch_to.active_element
        assert focused.get_attribute("role") == "button"
        assert told.text.startswith("“kevin durant”")
        outline = focused.value_of_css_property("outline-style"), focused.value_of_css_property("outline-width")
        assert outline == ("solid", "3px")
        keys(Keys.ESCAPE)
        assert not any(maps(driver))
        keys(Keys.TAB)
        assert told.text.startswith("“oakland”")
        keys(Keys.ENTER)
        assert driver.switch_to.active_element.get_attribute("aria-pressed") == "true"
        ActionChains(driver).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
        assert told.text.startswith("“kevin durant”")
        for _ in range(3):
            keys(Keys.TAB)
        WebDriverWait(driver, 5).until(lambda _: told.text.startswith("“oakland”"))  # kept, with the focus elsewhere
        keys(Keys.ESCAPE)
        assert not any(maps(driver))

    def test_a_click_keeps_it(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        kevin, oakland, *_ = driver.find_elements(By.CSS_SELECTOR, "mark.points")
        kevin.click()
        oakland.click()
        assert [mark.get_attribute("aria-pressed") for mark in (kevin, oakland)] == ["false", "true"]
        driver.execute_script("document.activeElement.blur()")
        point_at(driver, driver.find_element(By.TAG_NAME, "h1"))
        assert maps(driver)[0]


class TestOrder:
    def test_by_errors_and_only_those(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        order, status = Select(driver.find_element(By.ID, "order")), driver.find_element(By.ID, "status")
        everything = [f"Post {number}" for number in (1, 2, 3, 4, 5)]
        assert numbers(driver) == everything
        order.select_by_value("errors")
        assert numbers(driver) == ["Post 4", "Post 2", "Post 1", "Post 3", "Post 5"]
        assert status.text == "5 of 5 posts, most errors first"
        driver.find_element(By.ID, "only").send_keys(Keys.SPACE)
        assert numbers(driver) == ["Post 4", "Post 2", "Post 1"]
        assert status.text.startswith("3 of 5 posts")
        driver.find_element(By.ID, "only").click()
        order.select_by_value("corpus")
        assert numbers(driver) == everything

    def test_by_the_keyboard(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        ActionChains(driver).send_keys(Keys.TAB, Keys.ARROW_DOWN).perform()
        assert numbers(driver)[0] == "Post 4"

    def test_controls_have_names(self, opened: Opened, aligned: Page):
        driver = opened(aligned)
        assert driver.find_element(By.ID, "order").accessible_name == "Order"
        assert driver.find_element(By.ID, "only").accessible_name == "Errors only"
        marks = driver.find_elements(By.CSS_SELECTOR, "mark.points")
        assert [mark.aria_role for mark in marks] == ["button"] * len(marks)
        assert marks[0].accessible_name == "kevin durant PER confidence 87 % correct"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(opened: Opened, aligned: Page, scheme: str):
    driver = opened(aligned)
    set_scheme(driver, scheme)
    point_at(driver, driver.find_element(By.CSS_SELECTOR, "mark.points"))
    found = driver.execute_script(CONTRASTS)
    assert len(found) > 30
    assert [(name, ratio) for name, ratio in found if ratio < 4.5] == []
    background = driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color")
    assert (background == "rgba(20, 22, 26, 1)") == (scheme == "dark")


def test_a_missing_image_says_so(opened: Opened, aligned: Page):
    driver = opened(aligned)
    (note,) = driver.find_elements(By.CSS_SELECTOR, ".absent.broken")
    assert "absent.png" in note.text
    assert note.is_displayed()
    shown = driver.find_elements(By.CSS_SELECTOR, ".shown")
    assert all(driver.execute_script("return arguments[0].naturalWidth", image) for image in shown)
    assert driver.find_element(By.CSS_SELECTOR, ".absent:not(.broken)").text == "No image"


def test_a_narrow_window_needs_no_sideways_scrolling(opened: Opened, aligned: Page):
    driver = opened(aligned)
    metrics = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 320
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_gets_in_and_nothing_gets_out(opened: Opened, images: Path):
    doc = make_doc(f"{EVIL} kevin", [(0, 1, EVIL), (3, 4, '" onmouseover="alert(1)')], f"{EVIL}.png")
    driver = opened(render([doc], gold=[make_doc(doc.text.strip())], images=images, title=EVIL, notices=[EVIL]))
    for mark in driver.find_elements(By.TAG_NAME, "mark"):
        point_at(driver, mark)
    assert [url for url in requests(driver) if not url.startswith("file:")] == []
    assert EVIL in driver.find_element(By.TAG_NAME, "h1").text  # no alert either, which would have raised
    assert driver.title == EVIL
    assert driver.get_log("browser") == []


def test_the_policy_stops_what_was_not_escaped(opened: Opened):
    """Even if a text got into the page as HTML."""
    html = render(make_doc("kevin")).html.replace("kevin", EVIL)
    driver = opened(Page(html))
    assert driver.title == "Entities and images"
    assert len(driver.find_elements(By.CSS_SELECTOR, "img[onerror]")) == 1
    blocked = [entry["message"] for entry in driver.get_log("browser")]
    assert len(blocked) >= 2
    assert all("Content Security Policy" in message for message in blocked)


def test_in_a_notebook(opened: Opened, aligned: Page):
    """The frame of `_repr_html_` is as alive as the page."""
    driver = opened(Page(f"<!DOCTYPE html><title>notebook</title>{aligned._repr_html_()}"))
    driver.switch_to.frame(driver.find_element(By.TAG_NAME, "iframe"))
    driver.find_element(By.CSS_SELECTOR, "mark.points").click()
    assert maps(driver)[0]
    driver.switch_to.default_content()
