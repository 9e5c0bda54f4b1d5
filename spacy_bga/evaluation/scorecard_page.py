"""The scorecard as a page, in Markdown, from its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import NONE, interval, number, signed, table, text

GROUPS = {
    "label": "Label",
    "length": "Tokens",
    "seen": "In training",
    "image": "Image of the text",
}
CONTEXTS = {
    "generated": "No image was looked at: texts attend to the visual features that they generate.",
    "real": "A text with a readable image attends to its real visual features, the others to generated ones.",
    "auto": "A text with a readable image attends to its real visual features, if the pipeline can see.",
}
LEVEL = 0.05
INTERVALS = (
    "Brackets: the middle 95 % of {resamples:,} times that texts are drawn with replacement (percentile bootstrap). "
    "Where there are few entities, they are wide, and the scores say little."
)
CONFUSION = (
    "What becomes of gold entities, by row: the label under which they were found with their borders; overlapped by "
    "predicted ones with other borders; or missed. The last two rows are predicted entities without a gold one of "
    "their borders."
)
CALIBRATION = (
    "{n:,} predicted entities by how sure the pipeline is of each. Expected calibration error (ECE): {ece:.3f}; Brier "
    "score: {brier:.3f}. On average it is {confidence:.1%} sure, and {precision:.1%} are correct.{without}"
)
DIFFERENCE = (
    "The first minus the second, in points, on the same texts. The p-value is of a two-sided randomisation test: "
    "how often so large a difference comes up when what the two found in a text is swapped at random, {resamples:,} "
    "times. Parts have none: of many, some would be small by chance."
)


def scorecard_page(record: Mapping[str, Any]) -> str:
    """Write the page.

    record (Mapping[str, Any]): What `evaluate` returned.
    RETURNS (str): The page.
    """
    pipelines = record["pipelines"]
    told = f"Seen: an entity of `{text(record['train'])}` has the same words, whatever its label and case.\n"
    parts = [
        f"# Entities in {text(record['corpus'])}\n",
        f"{record['documents']:,} texts, {record['annotated']:,} annotated, {record['images']:,} with an image.\n",
        *([told] if record["train"] else []),
        *([CONTEXTS[record["visual_context"]] + "\n"] if record.get("visual_context") else []),
    ]
    if record["difference"] is not None:
        parts += _difference(record)
    for name, found in pipelines.items():
        parts += [
            f"## {text(name)}\n",
            *(f"**{text(notice)}**\n" for notice in found["notices"]),
            *_scores(found["scores"]),
        ]
        parts += ["### Confusion\n", CONFUSION + "\n", _confusion(found["confusion"])]
        if found["calibration"] is not None:
            parts += ["### Calibration\n", *_calibration(found["calibration"])]
    parts.append(INTERVALS.format(resamples=record["resamples"]) + "\n")
    return "\n".join(parts)


def _scores(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    titles = ["Correct", "Predicted", "Gold", "P", "R", "F1"]
    (overall,) = groups["overall"].values()
    parts = [table(titles, [_row(overall)], left=0)]
    for group, title in GROUPS.items():
        if group in groups:
            rows = [[text(name), *_row(scores)] for name, scores in groups[group].items()]
            parts.append(table([title, *titles], rows))
    return parts


def _row(scores: Mapping[str, Any]) -> list[str]:
    counts = [f"{scores[key]:,}" for key in ("correct", "predicted", "gold")]
    return [*counts, *(_bracketed(scores, measure) for measure in ("p", "r", "f1"))]


def _bracketed(scores: Mapping[str, Any], measure: str) -> str:
    if scores[measure] is None:
        return NONE
    low, high = scores[f"{measure}_ci"]
    return f"{number(scores[measure])} [{number(low)}, {number(high)}]"


def _difference(record: Mapping[str, Any]) -> list[str]:
    first, second = record["pipelines"]
    (overall,) = record["difference"]["overall"].values()
    sides = [next(iter(found["scores"]["overall"].values())) for found in record["pipelines"].values()]
    rows = [
        [
            title,
            *(number(side[key]) for side in sides),
            NONE if overall[key] is None else signed(overall[key]),
            interval(overall[f"{key}_ci"]),
            f"{overall['p_value'][key]:.4f}",
        ]
        for key, title in (("p", "P"), ("r", "R"), ("f1", "F1"))
    ]
    parts = [
        f"## {text(first)} against {text(second)}\n",
        verdict(first, second, overall) + "\n",
        DIFFERENCE.format(resamples=record["resamples"]) + "\n",
        table(["", "First", "Second", "Difference", "95 %", "p-value"], rows),
    ]
    for group, title in GROUPS.items():
        if group in record["difference"]:
            rows = [
                [text(name), *([NONE, NONE] if d["f1"] is None else [signed(d["f1"]), interval(d["f1_ci"])])]
                for name, d in record["difference"][group].items()
            ]
            parts.append(table([title, "F1", "95 %"], rows))
    return parts


def verdict(first: str, second: str, difference: Mapping[str, Any]) -> str:
    """RETURNS (str): In a sentence, whether one of two pipelines is better. difference (Mapping[str, Any]): Of all."""
    if difference["f1"] is None:
        return "**There is no entity to compare by.**"
    (low, high), p_value = difference["f1_ci"], difference["p_value"]["f1"]
    told = f"F1 {signed(difference['f1'])} [{signed(low)}, {signed(high)}], p = {p_value:.4f}"
    if (low > 0 or high < 0) and p_value < LEVEL:
        better, worse = (first, second) if low > 0 else (second, first)
        return f"**`{better}` is better than `{worse}`** on texts like these: {told}."
    return f"**No difference is seen between `{first}` and `{second}`**: {told}. More texts could show one."


def _confusion(found: Mapping[str, Any]) -> str:
    labels = found["labels"]
    rows: list[list[Any]] = []
    for label in labels:
        row = found["gold"][label]
        rows.append([text(label), *(row["found_as"][other] for other in labels), row["wrong_borders"], row["missed"]])
    rows += [
        [title, *(found["predicted"][label][key] for label in labels), None, None]
        for key, title in (("wrong_borders", "*other borders*"), ("spurious", "*not in gold*"))
    ]
    return table(["Gold", *map(text, labels), "Other borders", "Missed"], rows)


def _calibration(found: Mapping[str, Any]) -> list[str]:
    without = f" {found['without']:,} others have no confidence." if found["without"] else ""
    values = {key: found[key] for key in ("n", "ece", "brier", "confidence", "precision")}
    rows = [
        [
            f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['n']:,}",
            f"{row['confidence']:.1%}",
            f"{row['precision']:.1%}",
        ]
        for row in found["bins"]
    ]
    return [
        CALIBRATION.format(without=without, **values) + "\n",
        table(["Confidence", "Entities", "Sure, on average", "Correct"], rows),
    ]
