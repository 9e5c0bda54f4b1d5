"""Jobs that are killed, disturbed by bad input, or without room: every record is there once, and none is lost."""

from __future__ import annotations

import errno
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spacy_bga import whole_file
from spacy_bga.annotation import annotate as annotate_module
from spacy_bga.annotation import local_engine, output, storage
from spacy_bga.annotation.annotate import annotate
from spacy_bga.annotation.job import Columns, Job
from spacy_bga.annotation.output import MANIFEST, RECEIPTS
from spacy_bga.annotation.storage import Storage
from spacy_bga.cli import app
from spacy_bga.errors import BGAError, StorageError
from tests.annotation.conftest import POSTS
from tests.poison import fail_at

PRELOADED = ["spacy", "torch", "transformers", "spacy_bga.annotation.annotate", "spacy_bga.annotation.local_engine"]


def job_of(pipeline: str, source: Path, folder: Path, **settings: Any) -> Job:
    return Job(pipeline, str(source), str(folder), **{"format": "jsonl", "part_rows": 20, **settings})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(folder.rglob("part-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf8").splitlines()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text(encoding="utf8").splitlines()]


def test_every_record_in_parts(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    write_posts(45)
    source = write_posts(7, "more/other.jsonl").parents[1]
    found = annotate(job_of(pipeline, source, tmp_path / "out"))
    assert (found.records, found.new, found.failed, found.problems) == (52, 52, 0, [])
    rows = rows_of(tmp_path / "out")
    assert [row["id"] for row in rows] == [f"more/other.jsonl-{i}" for i in range(7)] + [
        f"posts.jsonl-{i}" for i in range(45)
    ]
    assert all(row["error"] is None for row in rows)
    span = rows[0]["spans"][0]
    assert POSTS[0][span["start"] : span["end"]] == span["text"]
    assert 0 < span["confidence"] <= 1
    told = [(line["source"], line["first"], line["rows"], line["failed"]) for line in manifest_of(tmp_path / "out")]
    assert told == [
        ("more/other.jsonl", 0, 7, 0),
        *[("posts.jsonl", first, rows, 0) for first, rows in ((0, 20), (20, 20), (40, 5))],
    ]
    again = annotate(job_of(pipeline, source, tmp_path / "out"))
    assert (again.records, again.new) == (52, 0)


def test_entities_are_those_of_the_pipeline(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    import spacy

    annotate(job_of(pipeline, write_posts(len(POSTS)), tmp_path / "out"))
    nlp = spacy.load(pipeline)
    found = [[(s["start"], s["end"], s["label"]) for s in row["spans"]] for row in rows_of(tmp_path / "out")]
    assert found == [[(e.start_char, e.end_char, e.label_) for e in nlp(text).ents] for text in POSTS]
    assert any(found)


def _run(job: Job, workers: int = 1, engine: str = "local") -> None:
    annotate(job, workers=workers, engine=engine)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork server")
@pytest.mark.timeout(600)
def test_killed_at_random_moments(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    """SIGKILL comes at any moment; what is there is whole, and in the end nothing differs from an undisturbed job."""
    source = write_posts(800)
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)

    def run_for(job: Job, seconds: float | None) -> bool:
        process = processes.Process(target=_run, args=(job,))
        process.start()
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode == 0

    undisturbed = job_of(pipeline, source, tmp_path / "undisturbed")
    assert run_for(undisturbed, None)
    started = time.monotonic()
    assert run_for(job_of(pipeline, source, tmp_path / "timed"), None)
    duration = time.monotonic() - started
    job, rng, kills = job_of(pipeline, source, tmp_path / "killed"), random.Random(0), 0
    while not run_for(job, rng.uniform(0.3, 0.7) * duration if kills < 4 else None):
        kills += 1
        for path in (tmp_path / "killed").glob(f"{RECEIPTS}/**/*.json"):
            receipt = json.loads(path.read_text())
            assert len((tmp_path / "killed" / receipt["file"]).read_text().splitlines()) == receipt["rows"]
    assert kills >= 2
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "undisturbed")
    ids = [row["id"] for row in rows_of(tmp_path / "killed")]
    assert sorted(ids) == sorted({f"posts.jsonl-{i}" for i in range(800)})


def test_a_poison_record_costs_itself(
    pipeline: str, tmp_path: Path, write_posts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    """One that a component fails at, one that is too long, and one that is no JSON."""
    source = write_posts(20)
    lines = source.read_text().splitlines()
    lines[3], lines[5] = '{"id": "poison", "text": "kevin poison"}', '{"text": "kev'
    lines[7] = json.dumps({"id": "long", "text": "a b " * 300_000})
    source.write_text("\n".join(lines))
    fail_at(monkeypatch, "poison", "can't\x1b[2J")
    found = annotate(job_of(pipeline, source, tmp_path / "out"))
    assert (found.records, found.failed, found.problems) == (20, 3, [])
    failed = {row["id"]: row["error"] for row in rows_of(tmp_path / "out") if row["error"] is not None}
    assert failed.keys() == {"poison", "posts.jsonl:5", "long"}
    assert failed["poison"] == r"RuntimeError: can't\x1b[2J"
    assert failed["long"].startswith("[B721]")
    assert sum(bool(row["spans"]) for row in rows_of(tmp_path / "out")) > 5


def test_a_truncated_parquet_file_costs_itself(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    """With its footer gone it has no parts; once it is mended the same command does them."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    source = write_posts(5).parent
    pq.write_table(pa.table({"id": [7, 8, None], "text": POSTS[:3]}), source / "whole.parquet")
    whole = (source / "whole.parquet").read_bytes()
    (source / "whole.parquet").write_bytes(whole[:-20])
    command = ["annotate", pipeline, str(source), str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "whole.parquet: ArrowInvalid" in done.output
    assert "5 records" in done.output
    assert not (tmp_path / "out" / MANIFEST).exists()
    (source / "whole.parquet").write_bytes(whole)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "8 records" in done.output
    assert "3 of them new" in done.output
    table = pq.read_table(tmp_path / "out" / "whole.parquet" / "part-00000.parquet")
    assert table.column("id").to_pylist() == [7, 8, None]
    assert table.schema.field("id").type == pa.int64()
    assert len(table.column("spans").to_pylist()[0]) > 0


def test_damage_behind_the_footer(pipeline: str, tmp_path: Path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    source = tmp_path / "posts.parquet"
    texts = [f"{text} {i}" for i in range(20) for text in POSTS]
    pq.write_table(pa.table({"text": texts}), source, row_group_size=20, compression="snappy", use_dictionary=False)
    content = bytearray(source.read_bytes())
    content[60:120] = bytes(60)
    source.write_bytes(content)
    found = annotate(job_of(pipeline, source, tmp_path / "out"))
    assert (found.records, len(found.problems)) == (80, 1)


def test_a_full_disk(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch):
    """What was written stays, nothing is half there, and with room again the rest is done."""
    source, job = write_posts(100), job_of(pipeline, tmp_path / "posts" / "posts.jsonl", tmp_path / "out")
    write, written = storage.write_whole, []

    def fill_up(path: str, content: bytes) -> None:
        written.append(path)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        write(path, content)

    monkeypatch.setattr(storage, "write_whole", fill_up)
    with pytest.raises(StorageError, match=r"\[B805\] .*No space left"):
        annotate(job)
    assert 0 < len(rows_of(tmp_path / "out")) < 100
    monkeypatch.setattr(storage, "write_whole", write)
    assert annotate(job).records == 100
    undisturbed = job_of(pipeline, source, tmp_path / "undisturbed")
    annotate(undisturbed)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "undisturbed")


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = Storage(str(tmp_path))
    folder.write("a/b", b"before")
    monkeypatch.setattr(whole_file.os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        folder.write("a/b", b"after")
    assert files_of(tmp_path) == {"a/b": b"before"}
    (tmp_path / "a" / ".b.1.half").write_bytes(b"x")
    folder.remove_halves()
    assert files_of(tmp_path) == {"a/b": b"before"}


@pytest.mark.timeout(600)
def test_two_processes_write_the_same(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    source = write_posts(100)
    annotate(job_of(pipeline, source, tmp_path / "one"))
    found = annotate(job_of(pipeline, source, tmp_path / "two"), workers=2)
    assert found.records == 100
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_worker_that_is_killed(
    pipeline: str, tmp_path: Path, write_posts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local_engine, "annotate_part", _die)
    with pytest.raises(BGAError, match="B803"):
        annotate(job_of(pipeline, write_posts(40), tmp_path / "out"), workers=2)


def _die(job: Job, part: Any) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def test_the_memory_of_a_url(pipeline: str, write_posts: Callable[..., Path]):
    """Whatever fsspec reaches: here, its file system in memory."""
    source = write_posts(25)
    posts = Storage("memory://posts")
    posts.write("a.jsonl", source.read_bytes())
    found = annotate(Job(pipeline, "memory://posts", "memory://out", format="jsonl", part_rows=10))
    assert found.records == 25
    written = Storage("memory://out")
    assert len(b"".join(written.read_all([f"a.jsonl/part-0000{i}.jsonl" for i in range(3)])).splitlines()) == 25
    assert annotate(Job(pipeline, "memory://posts", "memory://out", format="jsonl", part_rows=10)).new == 0


def test_another_job_is_refused(pipeline: str, tmp_path: Path, write_posts: Callable[..., Path]):
    source = write_posts(25)
    annotate(job_of(pipeline, source, tmp_path / "out"))
    with pytest.raises(BGAError, match=r"B801.*part_rows differ"):
        annotate(job_of(pipeline, source, tmp_path / "out", part_rows=10))
    write_posts(26)
    with pytest.raises(BGAError, match=r"B802.*posts\.jsonl has changed"):
        annotate(job_of(pipeline, source, tmp_path / "out"))


def test_nothing_to_annotate(pipeline: str, tmp_path: Path):
    (tmp_path / "README.md").touch()
    for source in (tmp_path, tmp_path / "nowhere", tmp_path / "README.md"):
        with pytest.raises(BGAError, match="B800"):
            annotate(job_of(pipeline, source, tmp_path / "out"))


def test_pipelines_that_can_not_tag(tmp_path: Path, write_posts: Callable[..., Path]):
    import spacy

    spacy.blank("en").to_disk(tmp_path / "blank")
    for pipeline, code in ((str(tmp_path / "blank"), "B781"), ("no_such_package", "B604")):
        with pytest.raises(BGAError, match=code):
            annotate(job_of(pipeline, write_posts(3), tmp_path / code))


def test_missing_packages(
    pipeline: str, tmp_path: Path, write_posts: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(annotate_module, "find_spec", lambda name: None)
    with pytest.raises(BGAError, match="B806"):
        annotate(Job(pipeline, str(write_posts(3)), str(tmp_path / "out")))
    monkeypatch.setattr("spacy_bga.ray_session.find_spec", lambda name: None)
    with pytest.raises(BGAError, match="B804"):
        annotate(job_of(pipeline, write_posts(3), tmp_path / "out"), engine="ray")


def test_images_are_looked_at_if_the_pipeline_does(
    tmp_path: Path, text_encoder_folder: Path, vision_encoder_folder: Path
):
    from spacy_bga.reliability.tiny import make_pipeline
    from tests.conftest import encode_picture

    for context in ("generated", "real"):
        nlp = make_pipeline(text_encoder_folder, vision_encoder_folder, save_visual_branch=True, visual_context=context)
        nlp.to_disk(tmp_path / context)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(encode_picture(1))
    lines = [{"text": POSTS[0], "photo": photo} for photo in ("a.png", None)]
    (tmp_path / "posts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    confidences = {}
    for name in ("generated", "real"):
        job = job_of(
            str(tmp_path / name),
            tmp_path / "posts.jsonl",
            tmp_path / f"{name}_out",
            columns=Columns(image="photo"),
            images=str(tmp_path / "photos"),
        )
        annotate(job)
        confidences[name] = [[span["confidence"] for span in row["spans"]] for row in rows_of(tmp_path / f"{name}_out")]
    with_image, without = confidences["real"]
    assert with_image != without
    assert confidences["generated"] == [without, without]


def test_ids_of_parquet_output():
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows: list[output.Row] = [{"id": id, "spans": [], "error": None} for id in ("a", 7, 10**30)]
    table = pq.read_table(pa.BufferReader(output._to_parquet(rows, "string")))
    assert table.column("id").to_pylist() == ["a", "7", str(10**30)]
