"""Section of the results page: the same weights, looking at the images of the test set."""

from __future__ import annotations

from collections.abc import Sequence

from spacy_bga.evaluation.averages import by_run
from spacy_bga.evaluation.comparison_sections import with_spread
from spacy_bga.evaluation.differences import image_differences, with_image
from spacy_bga.evaluation.markdown import interval, signed, table
from spacy_bga.evaluation.records import Record

NOTE = (
    "The same weights on the same test set, scored twice: all texts attend to the visual features that they generate, "
    "or the {images:,} of {texts:,} texts that have an image attend to its real features. Means over seeds ± standard "
    "deviation.\n"
)
DIFFERENCES = "Differences are in F1, in points, over the seeds that both have.\n"


def visual_context_section(records: Sequence[Record]) -> list[str]:
    """RETURNS (list[str]): The section; nothing if no run of the plan was scored with real images."""
    scored = [record for record in records if "real" in (record.get("contexts") or {})]
    if not scored:
        return []
    rows = []
    for name, group in by_run(scored).items():
        for features, chosen in (("generated", group), ("real", [with_image(record) for record in group])):
            rows.append([f"`{name}`", features, len(group), *(with_spread(chosen, key) for key in ("p", "r", "f1"))])
    real = scored[0]["contexts"]["real"]
    differences = [
        [
            f"`{found.run}` with real features",
            f"`{found.other}`" + (" with generated ones" if found.other == found.run else ""),
            ", ".join(map(str, found.seeds)),
            signed(found.mean),
            interval(found.interval and found.interval[1:]),
            interval(found.over_seeds and found.over_seeds[1:]),
        ]
        for found in image_differences(records)
    ]
    return [
        "### With the real image\n",
        NOTE.format(images=real["images"], texts=len(real["counts"])),
        table(["Run", "Features", "Seeds", "P", "R", "F1"], rows, left=2),
        DIFFERENCES,
        table(
            ["Run", "Minus", "Seeds", "Difference", "95 % over texts and seeds", "95 % over seeds"], differences, left=3
        ),
    ]
