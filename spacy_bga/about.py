__title__ = "spacy_bga"
__version__ = "0.2.0"
