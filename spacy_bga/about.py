__title__ = "spacy_bga"
__version__ = "0.1.0"
