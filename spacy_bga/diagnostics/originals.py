"""The files that corpora were converted from: what a conversion mends or leaves out is not to be seen in .spacy."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from spacy_bga.corpus.convert import convert
from spacy_bga.corpus.report import ConversionReport
from spacy_bga.diagnostics.report import Finding, Section
from spacy_bga.errors import BGAError

_NOTICED = (
    ("orphan_tags", "I- tags that continue no entity (`convert` makes them B-, as published scores count them)"),
    ("misaligned_spans", "Spans that don't end at token borders (`convert` marks their tokens as not annotated)"),
    ("overlapping_spans", "Spans that overlap a longer one (`convert` drops them)"),
    ("trimmed_spans", "Spans with white space at their ends (`convert` trims them)"),
    ("shifted_spans", "Spans whose offsets count UTF-16 units (`convert` mends them)"),
    ("moved_spans", "Spans that are elsewhere than their offsets say (`convert` finds them by their own text)"),
    ("blank_spans", "Spans of nothing but white space (`convert` drops them)"),
    ("discontinuous_spans", "Entities of several fragments (`convert` marks their tokens as not annotated)"),
    ("bad_lines", "Lines that can't be used (`convert` leaves them out)"),
    ("empty_posts", "Posts without text (`convert` leaves them out)"),
)
_FIX = "correct the file, or accept what `convert` does"


def check_originals(paths: Sequence[Path], *, lang: str) -> Section | None:
    """Convert files to a folder that is thrown away, and tell what was mended.

    paths (Sequence[Path]): CoNLL or JSONL files. lang (str): The language whose tokenizer reads JSONL.
    RETURNS (Section | None): What was found; None without files.
    """
    if not paths:
        return None
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            try:
                report = convert(path, Path(folder) / "out.spacy", check_images=False, lang=lang)
            except (BGAError, OSError) as error:
                fix = "mend the line or the path that the message names"
                findings.append(Finding("unreadable-original", "error", f"{path}: {error}", fix))
                continue
            findings += _mended(path, report)
    return Section("Files before conversion", tuple(findings))


def _mended(path: Path, report: ConversionReport) -> list[Finding]:
    found = []
    for key, message in _NOTICED:
        if number := getattr(report, key):
            places = tuple(problem for problem in report.problems if key.replace("_", " ")[:-1] in problem)
            found.append(
                Finding(key.replace("_", "-"), "warning", f"{path}: {message}: {number:,}", "", number, places)
            )
    return found or [Finding("original", "good", f"{path}: nothing to mend in {report.documents:,} documents")]
