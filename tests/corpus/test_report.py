from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from spacy_bga.corpus.report import EXAMPLES_PER_KIND, ConversionReport, Tally


def test_json_and_text():
    report = ConversionReport(documents=1234, entities={"PER": 5}, images_missing=2, problems=("a.txt:1: gone",))
    assert json.loads(report.to_json())["entities"] == {"PER": 5}
    text = report.to_text()
    assert "1,234" in text
    assert "Images missing" in text
    assert "a.txt:1: gone" in text
    assert "unreadable" not in text
    with pytest.raises(FrozenInstanceError):
        report.documents = 3  # type: ignore[misc]


def test_tally_counts_all_but_keeps_some_messages_of_each_kind():
    tally = Tally()
    for i in range(100):
        tally.problem("images_missing", f"missing {i}")
    tally.problem("bad_lines", "bad")
    report = tally.report()
    assert (report.images_missing, report.bad_lines) == (100, 1)
    assert len(report.problems) == EXAMPLES_PER_KIND + 1
    assert report.problems[-1] == "bad"
