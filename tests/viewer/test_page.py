"""The page's source: everything is in it, nothing gets out of its place."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from spacy.language import Language
from spacy.tokens import Doc, Span

from spacy_bga.errors import BGAError
from spacy_bga.reliability.fuzz.pages import ELEMENTS
from spacy_bga.viewer import Page, render
from spacy_bga.viewer.pictures import HEAT_SIDE, SIDE, encode_heat
from tests.conftest import encode_picture
from tests.viewer.conftest import make_doc

XX = spacy.blank("xx")
VOID = {"meta", "img", "input", "br"}
EVIL = "<script>alert(1)</script>"


class Reader(HTMLParser):
    """Reads a page into its elements and its text; fails where tags don't match."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str, name: str = "") -> list[dict[str, Any]]:
        """RETURNS (list[dict]): The attributes of the elements with that tag and class."""
        return [a for t, a in self.elements if t == tag and (not name or name in (a.get("class") or "").split())]


class TestPage:
    def test_marks_and_numbers(self, images: Path):
        doc = make_doc("kevin joins paris", [(0, 1, "PER"), (2, 3, "LOC")], "a.png")
        page = Reader(render(doc, images=images).html)
        assert len(page.all("mark", "entity")) == 2
        (image,) = page.all("img", "shown")
        assert image["alt"] == "Image of post 1: a.png"
        assert image["src"].startswith("data:image/jpeg;base64,")
        assert "1 post, 2 entities" in page.text
        assert page.all("select") == []  # nothing to sort by
        assert page.all("mark", "points") == []

    def test_compared_with_gold(self):
        doc = make_doc("kevin joins paris", [(0, 1, "PER"), (2, 3, "ORG")])
        gold = make_doc("kevin joins paris", [(0, 1, "PER"), (2, 3, "LOC")])
        page = Reader(render([doc, gold], gold=[gold, gold]).html)
        assert [a["data-errors"] for a in page.all("article")] == ["2", "0"]
        assert "gold says LOC" in page.text
        assert "found as ORG" in page.text
        assert "2 errors: 1 wrong, 1 not found" in page.text
        assert page.all("select")[0]["aria-controls"] == page.all("main")[0]["id"]

    def test_gold_that_nobody_annotated(self):
        page = Reader(
            render(make_doc("a b", [(0, 1, "PER")]), gold=Doc(spacy.blank("en").vocab, words=["a", "b"])).html
        )
        assert "not annotated" in page.text
        assert "data-errors" not in page.all("article")[0]

    def test_gold_of_other_texts(self):
        with pytest.raises(BGAError, match="B601"):
            render([make_doc("a")], gold=[])
        with pytest.raises(BGAError, match="B602"):
            render([make_doc("a")], gold=[make_doc("b")])

    def test_a_mixed_batch(self, images: Path):
        """Empty, white space, emoji, long, no image, no entity, missing, broken, outside, no root."""
        docs = [
            make_doc(""),
            make_doc(" \n\t"),
            make_doc("👩‍👩‍👧 🇩🇪 love", [(0, 1, "PER")], "a.png"),
            make_doc(" ".join(["word"] * 3000), [(2998, 3000, "LOC")], ["b.png", "absent_crop.png"]),
            make_doc("nothing here"),
            make_doc("one", [(0, 1, "PER")], "absent.png"),
            make_doc("two", [(0, 1, "PER")], "broken.png"),
            make_doc("three", [], "../a.png"),
            make_doc("four", [], encode_picture(3)),
            make_doc("five", [], 5),
        ]
        page = Reader(render(docs, images=images).html)
        assert len(page.all("article")) == len(docs)
        assert len(page.all("img", "shown")) == 3
        problems = page.text.split("The image can't be shown.")[1:]
        assert [p.split("]")[0].strip(" [") for p in problems] == ["B304", "B305", "B303", "B302"]
        assert "IMAGES/absent.png" in page.text
        assert str(images) not in page.text
        assert "An empty text" in page.text
        assert "Nothing but white space" in page.text

    def test_paths_without_a_root(self, images: Path):
        docs = [make_doc("a", [], "a.png"), make_doc("b", [], str(images / "a.png"))]
        page = Reader(render(docs).html)
        assert "[B600]" in page.text
        assert len(page.all("img", "shown")) == 1

    def test_no_text_at_all(self):
        assert "0 posts, 0 entities" in Reader(render([]).html).text

    def test_limit_reads_no_further(self):
        def docs():
            yield make_doc("a")
            raise AssertionError

        assert len(Reader(render(docs(), limit=1).html).all("article")) == 1

    def test_images_are_scaled_down(self, images: Path):
        (images / "large.png").write_bytes(encode_picture(0, size=(1600, 400)))
        (image,) = Reader(render(make_doc("a", [], "large.png"), images=images).html).all("img", "shown")
        content = base64.b64decode(image["src"].split(",")[1])
        with Image.open(io.BytesIO(content)) as decoded:
            assert decoded.size == (SIDE, SIDE // 4) == (int(image["width"]), int(image["height"]))

    def test_for_a_notebook_and_for_a_disk(self, tmp_path: Path):
        page = render(make_doc('kevin\'s "paris" & co', [(0, 1, "PER")]))
        (frame,) = Reader(page._repr_html_()).all("iframe")
        assert frame["srcdoc"] == page.html
        assert frame["sandbox"] == "allow-scripts"
        page.to_disk(tmp_path / "new" / "page.html")
        assert Page((tmp_path / "new" / "page.html").read_text(encoding="utf8")) == page

    def test_right_to_left(self):
        doc = Doc(spacy.blank("ar").vocab, words=["باريس", "جميلة"])
        doc.set_ents([Span(doc, 0, 1, label="LOC")])
        page = Reader(render(doc).html)
        assert "direction: rtl" in page.all("div", "entities")[0]["style"]
        assert [a["lang"] for a in page.all("div") if "lang" in a] == ["ar"]


class TestConfidence:
    def test_none_by_default(self):
        assert "confidence" not in Reader(render(make_doc("kevin", [(0, 1, "PER")])).html).text

    def test_by_a_function(self):
        doc = make_doc("kevin paris b", [(0, 1, "PER"), (1, 2, "LOC"), (2, 3, "LOC")])
        scores = {"kevin": 0.934, "paris": None, "b": float("nan")}
        page = Reader(render(doc, confidence=lambda span: scores[span.text]).html)
        assert page.text.count("confidence") == 1
        assert "93 %" in page.text

    def test_by_the_extension(self):
        doc = make_doc("kevin paris", [(0, 1, "PER"), (1, 2, "LOC")])
        doc.ents[0]._.bga_confidence = 0.5
        page = Reader(render(doc).html)
        assert page.text.count("confidence") == 1
        assert "50 %" in page.text


class TestHeat:
    def test_entities_show_what_they_are_aligned_with(self, pointer: Language, images: Path):
        docs = [
            make_doc("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")], "a.png"),
            make_doc("love paris", [(1, 2, "LOC")], "broken.png"),
            make_doc("love paris", [(1, 2, "LOC")]),
            make_doc("", [], "a.png"),
        ]
        page = Reader(render(docs, gold=docs, nlp=pointer, images=images).html)
        marks = page.all("mark", "points")
        assert len(marks) == 2
        assert all((a["tabindex"], a["aria-pressed"]) == ("0", "false") for a in marks)
        assert marks[0]["data-told"].startswith("“kevin durant” is most like the ")
        assert {float(marks[0][key]) for key in ("data-x", "data-y")} <= {25.0, 75.0}

    def test_the_same_as_the_pointing_game(self, pointer: Language, images: Path):
        from spacy_bga.pipeline.heat_maps import find_heat_maps, point_at_images
        from tests.pipeline.conftest import pipe_of

        doc = make_doc("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")])
        sources = [[str(images / "a.png")]] * 2
        found = find_heat_maps(pipe_of(pointer), doc.ents, sources)
        pointers = point_at_images(pipe_of(pointer), doc.ents, sources, on_missing="error")
        assert pointers is not None
        assert [found[i].likeness.tolist() for i in (0, 1)] == pointers.maps().tolist()
        assert found[0].warmth.min() == 0
        assert found[0].warmth.max() == 1
        row, column = np.unravel_index(found[0].likeness.argmax(), (2, 2))
        assert found[0].best == (0.25 + 0.5 * column, 0.25 + 0.5 * row)

    def test_pipelines_that_cannot(self, text_encoder_folder: Path, images: Path):
        from tests.evaluation.aligners import make_pipeline

        blank = spacy.blank("en")
        blank.add_pipe("bga_ner")  # without weights
        doc = make_doc("kevin", [(0, 1, "PER")], "a.png")
        for nlp in (blank, make_pipeline(text_encoder_folder, None), spacy.blank("de"), None):
            assert "data-heat" not in "".join(str(a) for a in Reader(render(doc, nlp=nlp, images=images).html).elements)

    def test_where_it_is_warm(self):
        uri = encode_heat(np.array([[1.0, 0.0], [0.0, 0.0]]))
        with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as image:
            assert image.size == (HEAT_SIDE, HEAT_SIDE)
            red, green, _, alpha = image.getpixel((0, 0))  # type: ignore[misc]
            assert red > 200 < green
            assert 0 < alpha < 255
            assert image.getpixel((HEAT_SIDE - 1, HEAT_SIDE - 1))[0] < 60  # type: ignore[index]


class TestInjection:
    def test_everywhere(self, tmp_path: Path):
        label = f'x"><img src=x onerror=alert(1)>{EVIL}'
        doc = make_doc(f'{EVIL} <b>"kevin"</b> {{text}} &amp;', [(0, 1, label), (1, 2, "{bg}")], f"{EVIL}'\"><b>.png")
        gold = make_doc(doc.text.strip(), [(0, 1, "O'&<i>")])
        page = Reader(
            render(doc, gold=gold, images=tmp_path, title=EVIL, notices=[EVIL], colors={label: 'red" onclick="x'}).html
        )
        assert len(page.all("script")) == 1
        assert len(page.all("b")) == 3  # the totals
        assert page.all("i") == []
        assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
        assert page.text.count(EVIL) >= 5
        assert "{text} &amp;" in page.text

    @given(st.text(max_size=40), st.text(min_size=1, max_size=20), st.text(max_size=20))
    @settings(max_examples=60)
    def test_any_text_stays_text(self, text: str, label: str, name: str):
        """No text, label or file name adds an element, but for the line breaks that displaCy writes."""
        doc = XX.make_doc(text.encode("utf8", "ignore").decode("utf8"))
        other = XX.make_doc("x" if doc.text.strip() else doc.text)
        label, name = (value.encode("utf8", "ignore").decode("utf8") for value in (label, name))
        for made, image, own in ((doc, name, label), (other, "x", "x")):
            made._.image = image
            if len(made) and own:
                made.set_ents([Span(made, 0, 1, label=own)])
        one, two = (
            [(tag, sorted(a)) for tag, a in Reader(render(made).html).elements if tag != "br"] for made in (doc, other)
        )
        if bool(doc.ents) == bool(other.ents) and bool(name.strip()):
            assert one == two
        assert Reader(render(doc).html)

    def test_the_policy_names_the_script(self):
        html = render(make_doc("a")).html
        (policy,) = [a["content"] for a in Reader(html).all("meta") if a.get("http-equiv")]
        assert policy.startswith("default-src 'none'; img-src data:;")
        assert "http" not in html.replace("http-equiv", "")


def test_a_title_that_no_file_can_hold(tmp_path: Path):
    page = render(make_doc("kevin", []), title="half \ud83d", notices=["\udcff"])
    page.to_disk(tmp_path / "page.html")
    assert "half ?" in (tmp_path / "page.html").read_text(encoding="utf8")
    page._repr_html_().encode("utf8")


@pytest.mark.parametrize(
    "payload", [EVIL, '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)", "</title>", "&amp;"]
)
def test_scripts_in_every_place(tmp_path: Path, payload: str):
    """In the text, the label, the name of an image that is there and of one that isn't, the title and the notices."""
    name = payload.replace("/", ":")
    (tmp_path / f"{name}.png").write_bytes(encode_picture(0))
    text = f"x {payload} y"
    docs = [Doc(XX.vocab, words=text.split(" ")) for _ in range(3)]
    for doc, image in zip(docs, (f"{name}.png", f"{name}.jpg", None), strict=True):
        doc.set_ents([Span(doc, 1, len(doc) - 1, label=payload)])
        doc._.image = image
    gold = Doc(XX.vocab, words=text.split(" "))
    gold.set_ents([Span(gold, 0, 2, label=payload + "'")])
    page = render(docs, gold=[gold] * 3, images=tmp_path, title=payload, notices=[payload])
    page.to_disk(tmp_path / "page.html")
    reader = Reader(page.html)
    assert {tag for tag, _ in reader.elements} <= ELEMENTS
    assert len(reader.all("script")) == len(reader.all("style")) == len(reader.all("title")) == 1
    assert not [name for _, attributes in reader.elements for name in attributes if name.startswith("on")]
    assert all(image["src"].startswith("data:image/") for image in reader.all("img", "shown"))
    assert reader.text.count(payload) >= 3 * 3 + 2
    assert [image["alt"] for image in reader.all("img", "shown")] == [f"Image of post 1: {name}.png"]


def test_an_svg_is_no_image(tmp_path: Path):
    """As a data URI it would be a document with scripts of its own."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    (tmp_path / "a.png").write_bytes(svg)
    docs = [make_doc("kevin", [], "a.png"), make_doc("kevin", [])]
    docs[1]._.image = svg
    page = render(docs, images=tmp_path).html
    assert "svg+xml" not in page
    assert "alert(1)" not in page
    assert len(Reader(page).all("div", "broken")) == 2


def test_what_turns_the_reading_direction_is_kept_apart():
    assert "unicode-bidi: isolate" in render(make_doc("kevin", [])).html
