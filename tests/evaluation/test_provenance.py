from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.provenance import command_line, commit, portable, read_inputs, versions
from tests.evaluation.conftest import POSTS, WritePlan, write_posts


def test_no_path_stays_absolute(project: Path):
    assert portable(str(project / "a" / "b.spacy")) == "a/b.spacy"
    assert portable(project / "a") == "a"
    assert portable("../project/a") == "a"
    assert portable("/somewhere/photos") == portable("../../photos") == ".../photos"
    assert portable(["/x/y", 3, None, {"k": "/x/z"}]) == [".../y", 3, None, {"k": ".../z"}]
    assert portable("sentence-transformers/all-MiniLM-L6-v2") == "sentence-transformers/all-MiniLM-L6-v2"
    command = ["python", "-m", "x", "--set", "images=/somewhere/photos", project / "plan.yml", "/a=b/c"]
    assert command_line(command) == "python -m x --set images=.../photos plan.yml .../c"


def test_the_digest_follows_what_the_result_depends_on(write_plan: WritePlan, project: Path):
    def digest(plan, run: int = 0) -> str:
        return read_inputs(plan.runs[run]).digest

    plan = write_plan()
    first = digest(plan)
    assert first == digest(write_plan())
    assert first != digest(plan, 2)  # the seed
    changed = {**dict(name="first", config="configs/ner.cfg"), "overrides": {"training.max_steps": 5}}
    assert first != digest(write_plan(runs=[changed]))
    copy = Path("configs/ner.cfg").read_text(encoding="utf8")
    Path("configs/ner.cfg").write_text(copy.replace("hidden_width = 8", "hidden_width = 9"), encoding="utf8")
    assert first != digest(plan)
    Path("configs/ner.cfg").write_text(copy, encoding="utf8")
    assert first == digest(plan)
    for part in ("train", "test"):
        write_posts(project / "corpus" / f"{part}.spacy", POSTS[:3])
        assert first != digest(plan)
        write_posts(project / "corpus" / f"{part}.spacy", POSTS)
    assert set(read_inputs(plan.runs[0]).files) == {"test", "paths.train", "paths.dev"}


def test_the_digest_follows_the_run_that_it_starts_from(write_plan: WritePlan):
    def digest(base: dict, **changes) -> str:
        other = {"name": "next", "config": "configs/ner.cfg", "seeds": [0], **changes}
        [run] = write_plan(runs=[{"name": "base", "config": "configs/ner.cfg", **base}, other]).select(["next"])
        return read_inputs(run).digest

    first = digest({}, starts_from="base")
    assert first == digest({"about": "another line"}, starts_from="base")
    assert first != digest({})
    assert first != digest({"overrides": {"training.max_steps": 5}}, starts_from="base")
    assert first != digest({"seeds": [1]}, starts_from="base")


def test_the_digest_follows_what_the_alignment_is_measured_on(write_plan: WritePlan, project: Path):
    def inputs(*, measured: bool = True, images: str = "images"):
        run = {"name": "a", "config": "configs/ner.cfg", "test": False, "measure_alignment": measured}
        plan = write_plan(runs=[run], alignment={"news": "corpus/dev.spacy"}, alignment_images=images)
        return read_inputs(plan.runs[0])

    first = inputs()
    assert set(first.files) == {"paths.train", "paths.dev", "alignment.news"}
    assert first.digest == inputs(images=str(project / "images")).digest
    write_posts(project / "corpus" / "dev.spacy", POSTS[:2])
    assert len({first.digest, inputs().digest, inputs(measured=False).digest, inputs(images="others").digest}) == 4


def test_the_digest_follows_the_image_root_of_those_that_look(write_plan: WritePlan, project: Path):
    for name in ("photos", "others"):
        (project / name).mkdir()

    def digest(images: str | None, *contexts: str) -> str:
        run = {"name": "a", "config": "configs/ner.cfg", "contexts": list(contexts)}
        return read_inputs(write_plan(runs=[run], test_images=images).runs[0]).digest

    assert digest("photos", "zero") == digest("others", "zero") == digest(None, "zero")
    assert digest("photos", "real") == digest(str(project / "photos"), "real")
    assert len({digest("photos", "real"), digest("others", "real"), digest("photos", "zero"), digest(None)}) == 4


def test_a_folder_of_data_counts_too(write_plan: WritePlan, project: Path):
    overrides = {"paths.train": str(project / "parts"), "paths.dev": "corpus/dev.spacy"}
    plan = write_plan(overrides=overrides)
    for name in ("a", "b"):
        write_posts(project / "parts" / f"{name}.spacy", POSTS[:2])
    before = read_inputs(plan.runs[0])
    write_posts(project / "parts" / "b.spacy", POSTS)
    assert before.files["paths.train"] != read_inputs(plan.runs[0]).files["paths.train"]


def test_a_misspelt_path_is_refused(write_plan: WritePlan):
    plan = write_plan(overrides={"paths.trian": "corpus/train.spacy"})
    with pytest.raises(BGAError, match=r"B512.*'paths\.trian'"):
        read_inputs(plan.runs[0])


def test_commit_and_versions(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent))
    assert commit() is None

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    Path("docs").mkdir()
    Path("docs/results.md").write_text("old", encoding="utf8")
    git("init")
    git("add", "-A")
    git("commit", "-m", "all")
    clean = commit()
    assert clean is not None
    assert not clean.endswith("-dirty")
    Path("docs/results.md").write_text("new", encoding="utf8")
    Path("untracked").touch()
    assert commit(ignored=("docs", project / "runs", "/elsewhere")) == clean
    Path("configs/ner.cfg").write_text("", encoding="utf8")
    assert commit() == f"{clean}-dirty"

    found = versions()
    assert list(found) == ["python", "spacy", "torch", "transformers", "spacy_bga"]
    assert all(found.values())
