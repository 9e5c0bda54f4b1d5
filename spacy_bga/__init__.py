"""Multimodal named entity recognition for spaCy by bidirectional generative alignment.

Importing this package is cheap: torch and transformers are loaded when a component is built.
"""

from spacy_bga.about import __version__

__all__ = ["__version__"]
