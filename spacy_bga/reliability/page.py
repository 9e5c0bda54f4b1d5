"""`docs/reliability.md`, from the figures of the campaigns alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spacy_bga.reliability.coverage_section import coverage_section
from spacy_bga.reliability.evidence import CAMPAIGNS
from spacy_bga.reliability.fuzz.section import fuzz_section
from spacy_bga.reliability.kills_section import kills_section
from spacy_bga.reliability.load.section import load_section
from spacy_bga.reliability.mutation_section import mutation_section
from spacy_bga.reliability.sameness.section import sameness_section
from spacy_bga.reliability.soak.section import soak_section

HEAD = """# Reliability

What has been done to break it, and what came of it. This page is made from `docs/evidence/reliability.json`, to which
each campaign of `python -m spacy_bga reliability` writes its own figures.
"""


def reliability_page(record: Mapping[str, Any]) -> str:
    """RETURNS (str): The page in Markdown. record (Mapping[str, Any]): What the file of figures holds."""
    campaigns = record.get(CAMPAIGNS, {})
    return "\n".join(
        [HEAD, *(section(record, campaigns[name]) for name, section in SECTIONS.items() if name in campaigns)]
    )


SECTIONS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "kills": kills_section,
    "fuzz": fuzz_section,
    "sameness": sameness_section,
    "load": load_section,
    "soak": soak_section,
    "coverage": coverage_section,
    "mutation": mutation_section,
}
