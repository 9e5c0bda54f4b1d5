"""Each campaign's figures in one file, and on one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.reliability.evidence import origin, record
from spacy_bga.reliability.page import reliability_page

ORIGIN = {"command": "python -m spacy_bga reliability kills", "commit": "abc1234", "versions": {}}
KILLS = {
    "kills": 50,
    "kills_without_loadable_state": 0,
    "resumed_trainings": 7,
    "resumed_trainings_identical": 6,
}
DETAILS = {
    "moments": {"replacing model-best": 11},
    "best_score": {"undisturbed": 0.5, "resumed_lowest": 0.25, "resumed_highest": 0.5},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "docs" / "reliability.json"


def test_campaigns_keep_their_own(path: Path):
    record(path, "kills", {"kills": 3, "old": 1}, {"faults": ["x"]}, ORIGIN)
    record(path, "fuzz", {"inputs_tried": {"texts": 5}}, {}, ORIGIN | {"commit": "def"})
    found = record(path, "kills", {"kills": 50}, {"seed": 1}, ORIGIN)
    assert found == json.loads(path.read_text(encoding="utf8"))
    assert found == {
        "inputs_tried": {"texts": 5},
        "kills": 50,
        "campaigns": {
            "kills": {"figures": ["kills"], "origin": ORIGIN, "seed": 1},
            "fuzz": {"figures": ["inputs_tried"], "origin": ORIGIN | {"commit": "def"}},
        },
    }


def test_a_figure_has_one_campaign(path: Path):
    record(path, "kills", {"kills": 3}, {}, ORIGIN)
    before = path.read_text(encoding="utf8")
    with pytest.raises(BGAError, match=r"B681.*kills and fuzz.*'kills'"):
        record(path, "fuzz", {"kills": 4}, {}, ORIGIN)
    assert path.read_text(encoding="utf8") == before


def test_a_file_that_is_no_json_is_not_overwritten(path: Path):
    path.parent.mkdir()
    path.write_text("{", encoding="utf8")
    with pytest.raises(BGAError, match="B511"):
        record(path, "kills", {"kills": 3}, {}, ORIGIN)
    assert path.read_text(encoding="utf8") == "{"


def test_origin_names_no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    assert origin("python -m x") == {"command": "python -m x", "commit": None, "versions": origin("")["versions"]}
    assert origin("")["versions"]["spacy"]


def test_page(path: Path):
    page = reliability_page(record(path, "kills", KILLS, DETAILS, ORIGIN))
    assert "| ... replacing model-best | 11 |" in page
    assert "| ... with the same files, bit by bit, as an undisturbed one | 6 |" in page
    assert "| best score on dev, resumed | 0.2500 to 0.5000 |" in page
    assert "`python -m spacy_bga reliability kills`, at abc1234." in page
    assert "killed" not in reliability_page({})


def test_the_committed_page_is_made_from_the_committed_figures():
    docs = Path(__file__).parent.parent.parent / "docs"
    if not (docs / "evidence" / "reliability.json").is_file():
        pytest.skip("the campaign `python -m spacy_bga reliability kills` has left no figures yet")
    figures = json.loads((docs / "evidence" / "reliability.json").read_text(encoding="utf8"))
    assert (docs / "reliability.md").read_text(encoding="utf8") == reliability_page(figures)
    assert figures["kills"] >= 50
    assert figures["kills_without_loadable_state"] == 0
    assert figures["matrix_cells"] >= 80
    assert figures["matrix_mismatches"] == 0
    assert figures["soak_hours"] >= 1
    assert figures["soak_changed_answers"] == 0
    assert figures["handed_on_failed"] == figures["served_faults"] == figures["served_wrong_answers"] == 0
