from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import srsly

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.plan import parse_variables, read_plan
from tests.evaluation.conftest import PLAN, WritePlan

REPOSITORY = Path(__file__).parents[2]


def test_a_plan_has_a_run_for_each_seed(write_plan: WritePlan):
    plan = write_plan()
    assert [run.key for run in plan.runs] == ["first-seed0", "first-seed1", "second-seed0"]
    assert [run.position for run in plan.runs] == [0, 0, 1]
    assert plan.test == Path("corpus/test.spacy")
    assert plan.runs[2].overrides == {
        "paths.train": "corpus/train.spacy",
        "paths.dev": "corpus/dev.spacy",
        "training.max_steps": 6,
    }
    assert [run.key for run in plan.select(["second"])] == ["second-seed0"]
    with pytest.raises(BGAError, match=r"B507.*'third'.*first, second"):
        plan.select(["third"])


def test_variables_are_put_in(write_plan: WritePlan, project: Path):
    (project / "corpus").rename(project / "elsewhere")
    variables = {"data": "corpus", "images": None, "rate": 3}
    run = {"name": "a", "config": "configs/ner.cfg", "overrides": {"paths.a": "${images}", "x.y": "${rate}"}}
    plan = write_plan(parse_variables(["data=elsewhere"]), variables=variables, runs=[run])
    assert plan.test == Path("elsewhere/test.spacy")
    assert plan.runs[0].overrides["paths.a"] is None
    assert plan.runs[0].overrides["x.y"] == 3
    # A reference to the config's own settings is the config's business.
    run["overrides"] = {"x.y": "${paths.train}"}
    plan = write_plan({"data": "elsewhere"}, runs=[run])
    assert plan.runs[0].overrides["x.y"] == "${paths.train}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tests": "x"}, r"B503.*'tests' in the plan"),
        ({"runs": [{**PLAN["runs"][0], "seed": 1}]}, r"B503.*'seed' in run 1"),
        ({"runs": []}, r"B502.*`runs` should be a list"),
        ({"runs": ["first"]}, r"B502.*run 1 is no mapping"),
        ({"runs": [{**PLAN["runs"][0], "seeds": ["a"]}]}, r"B502.*whole numbers"),
        ({"name": "../up"}, r"B504.*'\.\./up'"),
        ({"name": None}, "B504"),
        ({"test": "absent.spacy"}, r"B505.*test.*absent\.spacy"),
        ({"runs": [{"name": "a", "config": "absent.cfg"}]}, r"B505.*config of the run a.*absent\.cfg"),
        ({"runs": [{"name": "a"}]}, "B505"),
        ({"runs": [PLAN["runs"][0], PLAN["runs"][0]]}, r"B506.*'first-seed0' twice"),
        ({"runs": [{**PLAN["runs"][0], "contexts": ["none"]}]}, r"B509.*'none'.*zero, swapped"),
        ({"test": "${nowhere}/test.spacy"}, r"B510.*'nowhere'.*data"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(write_plan: WritePlan, changes: dict[str, Any], message: str):
    with pytest.raises(BGAError, match=message):
        write_plan(**changes)


def test_files_that_are_no_plan(project: Path):
    with pytest.raises(BGAError, match="B501"):
        read_plan(Path("absent.yml"))
    Path("list.yml").write_text("- a\n", encoding="utf8")
    with pytest.raises(BGAError, match=r"B502.*no mapping"):
        read_plan(Path("list.yml"))
    Path("broken.yml").write_text("{", encoding="utf8")
    with pytest.raises(BGAError, match="B502"):
        read_plan(Path("broken.yml"))


def test_variables_from_the_command_line(write_plan: WritePlan):
    assert parse_variables(["a=b=c", "d="]) == {"a": "b=c", "d": None}
    with pytest.raises(BGAError, match="B508"):
        parse_variables(["a"])
    with pytest.raises(BGAError, match=r"B510.*'date'.*data"):
        write_plan({"date": "x"})


@pytest.mark.parametrize("path", sorted((REPOSITORY / "configs" / "runs").glob("*.yml")), ids=lambda path: path.stem)
def test_the_plans_that_we_ship_can_be_read(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from spacy_bga.evaluation.provenance import read_inputs

    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(REPOSITORY / "configs")
    test = Path(srsly.read_yaml(path)["test"].replace("${data}", "data"))
    test.parent.mkdir(parents=True)
    test.touch()
    for run in read_plan(path, variables={"data": "data"}).runs:
        assert read_inputs(run, test).files.keys() == {"test"}
