"""What a check of the data found: sections of findings and tables, for the console and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from wasabi import Printer

from spacy_bga.errors import BGAError, Errors

Level = Literal["error", "warning", "info", "good"]

Cell = str | int | float

# What the console shows of a finding's places, and what the JSON keeps: enough to mend a corpus by, and bounded.
SHOWN = 3
KEPT = 1000
# What has to be told by a word where there are no symbols.
_PLAIN = ("error", "warning")


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    kind (str): Its name in the JSON, such as "image-leak".
    level (str): "error": training fails or learns nonsense; "warning": look at it; "info" or "good".
    message (str): What was found. fix (str): What mends it.
    count (int): How often it was found. examples (tuple[str, ...]): Where, the first ones.
    """

    kind: str
    level: Level
    message: str
    fix: str = ""
    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Numbers of a section.

    header (tuple[str, ...]): The columns' names. rows (Sequence[tuple[Cell, ...]]): Words are aligned left, numbers
        right.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True)
class Section:
    """One concern: its title, findings and tables."""

    title: str
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """All sections of a check."""

    sections: tuple[Section, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """RETURNS (list[Finding]): Those of all sections."""
        return [finding for section in self.sections for finding in section.findings]

    def counts(self) -> dict[str, int]:
        """RETURNS (dict[str, int]): How many findings there are of each level."""
        found = Counter(finding.level for finding in self.findings)
        return {"error": found["error"], "warning": found["warning"], "info": found["info"], "good": found["good"]}

    def to_dict(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The counts and the sections, for JSON."""
        return {"counts": self.counts(), "sections": [asdict(section) for section in self.sections]}

    def to_json(self) -> str:
        """RETURNS (str): The report as a JSON object."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"


class Places:
    """Counts how often something was found, and remembers the first places."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []

    def add(self, place: str, *, times: int = 1) -> None:
        """Count once more, or `times`.

        place (str): Where it was found.
        """
        self.count += times
        if len(self.examples) < KEPT:
            self.examples.append(place)

    def finding(self, kind: str, level: Level, message: str, fix: str = "") -> list[Finding]:
        """Make a finding if there is anything.

        kind, level, message, fix (str): See `Finding`; `{count}` in the message becomes the count.
        RETURNS (list[Finding]): One finding, or none.
        """
        if not self.count:
            return []
        text = message.replace("{count}", f"{self.count:,}")
        return [Finding(kind, level, text, fix, self.count, tuple(self.examples))]


def print_report(report: Report, printer: Printer) -> None:
    """Print a report as `spacy debug data` does.

    report (Report): The report. printer (Printer): Wasabi's, which knows what the console can do.
    """
    show: dict[Level, Any] = {
        "error": printer.fail,
        "warning": printer.warn,
        "info": printer.info,
        "good": printer.good,
    }
    for section in report.sections:
        printer.divider(section.title)
        for table in section.tables:
            _print_table(table, printer)
        for finding in section.findings:
            plain = "" if printer.pretty or finding.level not in _PLAIN else f"{finding.level.upper()}: "
            show[finding.level](f"{plain}{finding.message}")
            for example in finding.examples[:SHOWN]:
                printer.text(f"    {example}")
            if len(finding.examples) > SHOWN:
                printer.text(f"    ... and {max(finding.count, len(finding.examples)) - SHOWN:,} more")
            if finding.fix and finding.level in ("error", "warning"):
                printer.text(f"    To mend it: {finding.fix}")
    printer.divider("Summary")
    printer.text(summary_line(report.counts()))


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON.

    report (Report): The report. path (Path): The file; its folder is made.
    RAISES (BGAError): The file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.to_json(), encoding="utf8")
    except OSError as error:
        raise BGAError(Errors.B362.format(path=path, reason=error)) from error


def summary_line(counts: Mapping[str, int]) -> str:
    """RETURNS (str): The last line of a report, from its counts."""
    names = {"error": "error", "warning": "warning", "good": "check passed"}
    plurals = {"error": "errors", "warning": "warnings", "good": "checks passed"}
    return ", ".join(f"{counts[key]} {names[key] if counts[key] == 1 else plurals[key]}" for key in names)


def share(part: int, whole: int) -> str:
    """RETURNS (str): A part of a whole in percent."""
    return f"{100 * part / whole:.1f}%" if whole else "0.0%"


def _print_table(table: Table, printer: Printer) -> None:
    rows = [[_cell(value) for value in row] for row in table.rows]
    aligns = ["l" if all(isinstance(row[i], str) for row in table.rows) else "r" for i in range(len(table.header))]
    printer.table(rows, header=table.header, divider=True, aligns=aligns, max_col=40)


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,}"
