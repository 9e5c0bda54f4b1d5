"""The interactive demo, run by Streamlit: a post and an image in, the viewer's page out. See `demo.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import streamlit as st
from spacy.language import Language

from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError
from spacy_bga.evaluation.tagging import image_attr, load_pipeline
from spacy_bga.viewer.page import Page, render
from spacy_bga.viewer.posts import pointing_component

EXAMPLE = "Kevin Durant joins the Warriors in Oakland"
TITLE = "Entities of a post"


@st.cache_resource(show_spinner="Loading the pipeline")
def load(folder: str) -> Language:
    """RETURNS (Language): The pipeline, loaded once."""
    return load_pipeline(Path(folder))


def tag(nlp: Language, text: str, image: bytes | None) -> Page:
    """RETURNS (Page): A text and its image, tagged."""
    attr = image_attr(nlp)
    doc = make_doc(nlp, text)
    if image is not None:
        doc._.set(attr, image)
    return render(nlp(doc), nlp=nlp, attr=attr, title=TITLE)


def plain(message: str) -> str:
    """RETURNS (str): Markdown that shows a message as it is: what it quotes must make no link, and ask for no image."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", message)


def main(folder: str) -> None:
    """Draw the page of the demo."""
    st.set_page_config(page_title=TITLE, layout="wide")
    nlp = load(folder)
    st.title(TITLE)
    left, right = st.columns(2)
    text = left.text_area("Post", EXAMPLE, height=110, help="Ctrl+Enter, or leaving the field, tags it.")
    upload = right.file_uploader("Image", type=["jpg", "jpeg", "png", "gif", "webp", "bmp", "tif", "tiff"])
    if pointing_component(nlp) is None:
        st.info("This pipeline was saved without its visual branch: an image is shown, but nothing is aligned with it.")
    try:
        page = tag(nlp, text, None if upload is None else upload.getvalue())
    except BGAError as error:  # told, and the next post may do better
        st.error(plain(str(error)))
    else:
        st.iframe(page.html, height=620, alt=TITLE)


if __name__ == "__main__":
    main(sys.argv[1])
