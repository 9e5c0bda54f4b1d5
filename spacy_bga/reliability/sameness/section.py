"""The section of `docs/reliability.md` about the campaign of sameness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import table

ABOUT = """## The same answer everywhere

A pipeline goes one of the ways of the rows, is run in one of the ways of the columns, and its entities, with their
labels and characters, are compared with those that `nlp` finds one by one. Each row is a fresh process. The texts are
those of a test set, and empty ones, white space, emoji, other scripts, and a document that is longer than any window.
In the cells: texts with other entities.
"""

ROUNDING = """In a batch, products have more rows, and sums are then not formed in the same order; activations come
from oneDNN where there are many, else from PyTorch's own kernel. A token's score of a tag differed by up to
{largest_difference:.1e} between a text by itself and in a batch. An entity changes only where the best tags of a text
surpass the second best ones by no more than some of these: the smallest margin of a text was {smallest:.1e}, and {near}
of {texts} texts had one below {nearness:g}. Such a text may have other entities in a batch, in principle; {verdict}.
"""

TRAININGS = """**Two trainings with one seed** give the same weights, bit by bit, on one machine with the same number
of threads, whichever of both commands trains. With another number of threads, torch forms sums in another order, and
weights differ from the first digits that are rounded on; a GPU may do so from run to run. Every training here is
{steps} updates of a tiny pipeline with its visual branch, on posts with pictures, in a fresh process, and is compared
with the first one of `spacy train` with as many threads.
"""


def sameness_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    cells, origin = details["cells"], details["origin"]
    ways = list(dict.fromkeys(way for found in cells.values() for way in found))
    totals = [
        ("cells of the matrix, the trainings among them", f"{record['matrix_cells']:,}"),
        ("cells that differ", f"{record['matrix_mismatches']:,}"),
        ("texts of each cell", f"{record['matrix_texts']:,}"),
        ("entities in them", f"{record['matrix_entities']:,}"),
    ]
    rows = [(source, *(len(found[way]) if way in found else None for way in ways)) for source, found in cells.items()]
    trainings = [(name, len(files)) for name, files in details["trainings"]["cells"].items()]
    return "\n".join(
        [
            ABOUT,
            table(["what", "how many"], totals),
            table(["", *ways], rows),
            *(f"Left out, as the pipeline has none of it: {name}.\n" for name in details["left_out"]),
            ROUNDING.format(**details["scores"], texts=f"{record['matrix_texts']:,}", verdict=_verdict(cells)),
            TRAININGS.format(steps=details["steps"]),
            table(["training", "files that differ"], trainings),
            *_between_threads(details["trainings"]["between_threads"]),
            f"`{origin['command']}`, at {origin['commit']}.\n",
        ]
    )


def _verdict(cells: Mapping[str, Mapping[str, list[Mapping[str, Any]]]]) -> str:
    differing = {found["text"]: found["margin"] for ways in cells.values() for way in ways.values() for found in way}
    if not differing:
        return "none had"
    margins = [margin for margin in differing.values() if margin is not None]
    smallest = f", with margins from {min(margins):.1e} to {max(margins):.1e}" if margins else ""
    return f"{len(differing)} had{smallest}"


def _between_threads(files: list[str] | None) -> list[str]:
    return [] if files is None else [f"Between 1 and 2 threads, {len(files)} files differ.\n"]
