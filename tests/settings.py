"""Settings as documentation shows them, held against what a config may have."""

from __future__ import annotations

import re
from importlib.metadata import metadata

from spacy.schemas import ConfigSchemaTraining
from spacy.util import load_model_from_config, registry
from thinc.api import Config

DATA = {"train": "train.spacy", "dev": "dev.spacy"}  # which nothing reads


def read_part(source: str) -> Config:
    """RETURNS (Config): Part of a config, whose sections need not be within others."""
    sections = re.findall(r"^\[([\w.]+)\]$", source, flags=re.MULTILINE)
    above = {section.rsplit(".", n)[0] for section in sections for n in range(1, section.count(".") + 1)} - {*sections}
    return Config().from_str("\n".join(f"[{section}]" for section in sorted(above)) + f"\n{source}", interpolate=False)


def validate(config: Config) -> None:
    """Make all that a config describes, but for what reads data or encoders. Raises an error for what it can't have."""
    config = config.copy()
    config["paths"] |= {name: path for name, path in DATA.items() if config["paths"].get(name) is None}
    load_model_from_config(config, auto_fill=True)
    filled = config.interpolate()
    unknown = set(filled["training"]) - set(ConfigSchemaTraining.model_fields)
    assert not unknown, f"[training] has no {unknown}"
    try:
        registry.resolve(filled["training"], schema=ConfigSchemaTraining)
    except ImportError as error:  # a logger for a service; what it needs is an extra, which the tests lack
        extras = metadata("spacy_bga").get_all("Provides-Extra") or []
        if not any(extra in str(error) for extra in extras):
            raise
    assert callable(registry.resolve(filled["corpora"])["train"])
