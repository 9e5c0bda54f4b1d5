"""Pages that show texts, their entities and their images together."""

from spacy_bga.viewer.page import Page, render

__all__ = ["Page", "render"]
