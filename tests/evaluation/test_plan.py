from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import srsly

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.plan import VARIABLE, Pairs, parse_variables, read_plan
from tests.evaluation.conftest import PLAN, WritePlan

REPOSITORY = Path(__file__).parents[2]


def test_a_plan_has_a_run_for_each_seed(write_plan: WritePlan):
    plan = write_plan()
    assert [run.key for run in plan.runs] == ["first-seed0", "second-seed0", "first-seed1"]
    assert [run.position for run in plan.runs] == [0, 1, 0]
    assert {run.test for run in plan.runs} == {Path("corpus/test.spacy")}
    assert plan.runs[1].overrides == {
        "paths.train": "corpus/train.spacy",
        "paths.dev": "corpus/dev.spacy",
        "training.max_steps": 6,
    }
    assert [run.key for run in plan.select(["second"])] == ["second-seed0"]
    with pytest.raises(BGAError, match=r"B507.*'third'.*first, second"):
        plan.select(["third"])


def test_the_image_root_of_the_test_set_goes_to_those_that_look(write_plan: WritePlan, project: Path):
    (project / "photos").mkdir()
    first, second = PLAN["runs"]
    plan = write_plan(
        {"root": "photos"},
        variables={"data": "corpus", "root": None},
        test_images="${root}",
        runs=[{**first, "contexts": ["zero", "real"]}, second],
    )
    assert [run.test_images for run in plan.runs] == [Path("photos"), None, Path("photos")]
    assert plan.runs[0].contexts == ("zero", "real")


def test_variables_are_put_in(write_plan: WritePlan, project: Path):
    (project / "corpus").rename(project / "elsewhere")
    variables = {"data": "corpus", "images": None, "rate": 3}
    run = {"name": "a", "config": "configs/ner.cfg", "overrides": {"paths.a": "${images}", "x.y": "${rate}"}}
    plan = write_plan(parse_variables(["data=elsewhere"]), variables=variables, runs=[run])
    assert plan.runs[0].test == Path("elsewhere/test.spacy")
    assert plan.runs[0].overrides["paths.a"] is None
    assert plan.runs[0].overrides["x.y"] == 3
    # A reference to the config's own settings is the config's business.
    run["overrides"] = {"x.y": "${paths.train}"}
    plan = write_plan({"data": "elsewhere"}, runs=[run])
    assert plan.runs[0].overrides["x.y"] == "${paths.train}"


CONFIG = "configs/ner.cfg"


def test_a_run_can_have_a_test_set_of_its_own_or_none(write_plan: WritePlan, project: Path):
    (project / "corpus" / "other.spacy").touch()
    runs = [
        {"name": "a", "config": CONFIG, "test": "${data}/other.spacy"},
        {"name": "b", "config": CONFIG, "test": False},
        {"name": "c", "config": CONFIG, "test": True},
    ]
    plan = write_plan(variables={"data": "corpus"}, runs=runs)
    assert [run.test for run in plan.runs] == [Path("corpus/other.spacy"), None, Path("corpus/test.spacy")]
    runs[0]["test"] = "corpus/absent.spacy"
    with pytest.raises(BGAError, match=r"B505.*absent\.spacy"):
        write_plan(runs=runs)


def test_a_run_starts_from_the_same_seed_or_another(write_plan: WritePlan):
    runs = [
        {"name": "base", "config": CONFIG, "seeds": [0, 1], "test": False},
        {"name": "next", "config": CONFIG, "seeds": [0, 1, 2, 3], "starts_from": "base"},
        {"name": "last", "config": CONFIG, "seeds": [5], "starts_from": "next"},
    ]
    plan = write_plan(runs=runs)
    # By seed, and those that others start from before the others.
    assert [run.key for run in plan.runs] == [
        *("base-seed0", "next-seed0", "base-seed1", "next-seed1", "next-seed2", "next-seed3", "last-seed5")
    ]
    found = {run.key: run.base.key for run in plan.runs if run.base}
    assert found == {
        "next-seed0": "base-seed0",
        "next-seed1": "base-seed1",
        "next-seed2": "base-seed0",
        "next-seed3": "base-seed1",
        "last-seed5": "next-seed1",
    }
    assert plan.bases == {"base", "next"}


def test_a_plan_without_entities_needs_no_test_set(write_plan: WritePlan):
    run = {"name": "a", "config": CONFIG, "test": False}
    assert write_plan(test=None, runs=[run]).runs[0].test is None


def test_what_tables_need_is_kept_apart(write_plan: WritePlan, project: Path):
    runs = [
        {"name": "a", "config": CONFIG, "compare_to": "b", "about": "a line", "labelled": 300, "curve": "with pairs"},
        {"name": "b", "config": CONFIG, "measure_alignment": True},
    ]
    plan = write_plan(
        runs=runs,
        variables={"data": "corpus", "photos": str(project)},
        alignment={"news": "${data}/dev.spacy"},
        alignment_images="${photos}",
        alignment_labelled="${data}/test.spacy",
        evidence={"f1_gain_300": "a", "t2i": "b", "i2t": "b"},
    )
    first, second = plan.runs
    assert first.facts == {
        "compare_to": "b",
        "about": "a line",
        "labelled": 300,
        "curve": "with pairs",
        "evidence": ["f1_gain_300"],
    }
    assert second.facts == {"evidence": ["t2i", "i2t"]}
    assert first.pairs is None
    assert second.pairs == Pairs({"news": Path("corpus/dev.spacy")}, project, Path("corpus/test.spacy"))


A = {"name": "a", "config": CONFIG}
B = {"name": "b", "config": CONFIG}
ALIGNMENT = {"alignment": {"news": "corpus/dev.spacy"}, "alignment_images": "images"}


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
        ({"runs": [A, {**B, "starts_from": "c"}]}, r"B530.*run b.*'c'.*Before it come: a\."),
        ({"runs": [{**A, "starts_from": "b"}, B]}, r"B530.*run a.*'b'.*come: none"),
        ({"runs": [{**A, "starts_from": "a"}]}, r"B530.*run a.*'a'.*come: none"),
        ({"runs": [A, {**B, "compare_to": "c"}]}, r"B531.*run b.*'c'.*They are: a\."),
        ({"runs": [A, {**B, "compare_to": "b"}]}, r"B531.*run b.*'b'"),
        ({"runs": [{**A, "test": False, "contexts": ["zero"]}]}, r"B502.*run a has contexts"),
        ({"runs": [{**A, "contexts": ["real"]}]}, r"B770.*run a of plan\.yml.*folder: None"),
        ({"runs": [{**A, "contexts": ["real"]}], "test_images": "absent"}, r"B770.*folder: absent"),
        ({"runs": [{**A, "labelled": "many"}]}, r"B502.*`labelled` of the run a"),
        ({"runs": [{**A, "measure_alignment": True}]}, r"B502.*`alignment`"),
        (
            {"runs": [{**A, "measure_alignment": True}], "alignment": {"news": "corpus/dev.spacy"}},
            r"B502.*`alignment_images`",
        ),
        (
            {"runs": [{**A, "measure_alignment": True}], **ALIGNMENT, "alignment": {"news": "absent.spacy"}},
            r"B505.*alignment news.*absent",
        ),
        ({"runs": [A], "evidence": ["a"]}, r"B502.*`evidence` should be a mapping"),
        ({"runs": [A], "evidence": {"t2x": "a"}}, r"B503.*'t2x' in the evidence"),
        ({"runs": [A], "evidence": {"t2i": "b"}}, r"B507.*'b'.*It has: a"),
        ({"runs": [A], "evidence": {"t2i": "a"}}, r"B532.*'t2i'.*run a.*`measure_alignment`"),
        ({"runs": [A], "evidence": {"f1_gain_all": "a"}}, r"B532.*`compare_to`"),
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
    for folder in ("configs", "assets"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    data = srsly.read_yaml(path)
    own = [run["test"] for run in data["runs"] if isinstance(run.get("test"), str)]
    files = [
        file
        for file in (data["test"], *own, *data.get("alignment", {}).values(), data.get("alignment_labelled"))
        if file
    ]
    variables = {**data.get("variables", {}), "data": "data"}
    for file in [VARIABLE.sub(lambda match: str(variables[match[1]]), file) for file in files]:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch()
    chosen = {"data": "data"} if "data" in data.get("variables", {}) else {}
    for run in read_plan(path, variables=chosen).runs:
        assert set(read_inputs(run).files) >= ({"test"} if run.test else set())
