"""Takes the picture of a page that is in the README:

python -m tests.viewer.screenshot PAGE.html docs/figures/viewer.png [--entity TEXT] [--sort] [--scheme dark]

The page is one that `python -m spacy_bga view` wrote. The pointer is over the first entity
(with that text), and the focus nowhere.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from tests.viewer.browser import chromium, set_scheme


def take(
    page: Path, output: Path, *, entity: str = "", scheme: str = "light", height: int = 900, sort: bool = False
) -> None:
    """Write a picture of a page's beginning. sort (bool): Put the posts with most errors first."""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile), size=(1100, height), scale=1.5) as driver:
        set_scheme(driver, scheme)
        driver.get(page.resolve().as_uri())
        if sort:
            Select(driver.find_element(By.ID, "order")).select_by_value("errors")
            driver.execute_script("document.activeElement.blur()")
        marks = driver.find_elements(By.CSS_SELECTOR, "mark.points")
        for mark in [m for m in marks if not entity or entity in m.text][:1]:
            ActionChains(driver).move_to_element(mark).perform()
        output.parent.mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(output))
    with Image.open(output) as image:
        image.convert("RGB").save(output, optimize=True)


def main() -> None:
    """Read the command line, and take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--entity", default="", help="the text of the entity to point at; else the first one")
    parser.add_argument("--scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--sort", action="store_true", help="most errors first")
    options = parser.parse_args()
    take(**vars(options))


if __name__ == "__main__":
    main()
