"""A long stream, in its short form: what is watched, and that growth would be seen."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from typer.testing import CliRunner

from spacy_bga.cli import app
from spacy_bga.reliability.soak import stream
from spacy_bga.reliability.soak.memory import COLUMNS, malloc_megabytes, sample
from spacy_bga.reliability.soak.posts import LONG, ODD, new_word, posts
from spacy_bga.reliability.soak.stream import ONE_BY_ONE, PIPED, soak, summarize
from spacy_bga.reliability.subject import ODD_TEXTS
from tests.reliability.conftest import POSTS

pytest.importorskip("psutil")


def test_each_new_word_is_another_one():
    words = [new_word(number) for number in range(1, 20_001)]
    assert len(set(words)) == len(words)
    assert all(word.istitle() and word.isalpha() for word in words)


def test_posts_are_of_all_sorts():
    found = list(islice(posts(POSTS, 0), LONG))
    assert found == list(islice(posts(POSTS, 0), LONG))
    assert len(found[-1].split()) > 100
    assert found[ODD - 1] in ODD_TEXTS
    known = {word for text in POSTS for word in text.split()}
    new = [[word for word in text.split() if word not in known] for text in found[: ODD - 1]]
    assert all(len(words) == 1 for words in new)


def test_a_stream_in_memory_zones_leaves_no_words(pipeline: Path):
    found = soak(pipeline, POSTS, 2.0, 1.0, 0)
    assert found["documents"] == found["zones"] * (PIPED + ONE_BY_ONE) > 0
    assert found["entities"] > found["documents"]
    assert found["changed_answers"] == 0
    assert found["columns"] == list(COLUMNS)
    assert len(found["samples"]) >= 2
    assert found["growth"]["lexemes"] == found["growth"]["strings"] == 0
    json.dumps(found)


def test_without_them_growth_is_seen(pipeline: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Language, "memory_zone", lambda self: nullcontext())
    found = soak(pipeline, POSTS, 2.0, 1.0, 0)
    first, last = (dict(zip(COLUMNS, row, strict=True)) for row in (found["samples"][0], found["samples"][-1]))
    assert last["lexemes"] - first["lexemes"] >= 0.9 * found["documents"]
    assert last["strings"] > first["strings"]


def test_another_answer_is_seen(pipeline: Path, monkeypatch: pytest.MonkeyPatch):
    answers = iter([[[]] * 99])  # what is expected; then, the true ones
    monkeypatch.setattr(stream, "tag", lambda nlp, texts, tag=stream.tag: next(answers, None) or tag(nlp, texts))
    monkeypatch.setattr(stream, "with_odd_ones", lambda texts: [*texts, *["kevin in oakland"] * (99 - len(texts))])
    assert soak(pipeline, POSTS, 1.0, 1.0, 0)["changed_answers"] > 0


def test_it_leaves_others_their_share(pipeline: Path, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    found = soak(pipeline, POSTS, 0.5, 0.25, 0)
    busy = found["documents"] / found["documents_per_cpu_second"]
    assert sum(slept) == pytest.approx(3 * busy, rel=0.01)


def test_growth_is_told_from_the_warm_up_on():
    rows = [[minute * 60.0, minute * 10, 100.0 + min(minute, 6), None, 5, 7, 9, 3] for minute in range(61)]
    found = summarize(rows, busy=100.0)
    assert found["growth"] | {"seconds": 0} == {
        **dict.fromkeys(COLUMNS, 0),
        "seconds": 0,
        "documents": 540,
        "malloc_mb": None,
    }
    assert found["rss_mb_per_hour"] == 0
    assert found["documents_per_cpu_second"] == 6.0
    growing = summarize([[row[0], row[1], 100.0 + row[0] / 60, *row[3:]] for row in rows], busy=1.0)
    assert growing["growth"]["rss_mb"] == 54
    assert growing["rss_mb_per_hour"] == pytest.approx(60)


def test_memory_that_is_held_is_seen(pipeline: Path):
    nlp = spacy.load(pipeline)
    before = malloc_megabytes()
    if before is None:
        pytest.skip("no glibc with mallinfo2")
    held = bytearray(50_000_000)
    assert malloc_megabytes() - before == pytest.approx(50, abs=5)
    row = dict(zip(COLUMNS, sample(nlp, 1.0, 2), strict=True))
    assert row["lexemes"] == sum(1 for _ in nlp.vocab)
    assert row["rss_mb"] > len(held) / 1_000_000


def test_what_spacy_keeps_of_words_that_are_gone():
    """What the page says of spaCy's hash tables; where this fails, they may have been mended."""
    nlp = spacy.blank("en")
    before, lexemes, counted = malloc_megabytes(), sum(1 for _ in nlp.vocab), len(nlp.vocab)
    words = 100_000
    for start in range(1, words, 1000):
        with nlp.memory_zone():
            for number in range(start, start + 1000):
                nlp.vocab[new_word(number)]
    assert sum(1 for _ in nlp.vocab) == lexemes
    assert len(nlp.vocab) == counted + words
    if before is not None:
        assert 10 < (malloc_megabytes() - before) * 1_000_000 / words < 100


def test_the_campaign(tmp_path: Path, pipeline: Path, texts_file: Path):
    files = ["--output", str(tmp_path / "evidence.json"), "--page", str(tmp_path / "page.md")]
    command = ["reliability", "soak", str(pipeline), str(texts_file), "--minutes", "0.03", *files]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "evidence.json").read_text(encoding="utf8"))
    assert found["soak_hours"] == pytest.approx(0.0005, abs=0.0015)
    assert found["soak_documents"] > 0
    assert found["campaigns"]["soak"]["figures"] == [
        "soak_hours",
        "soak_documents",
        "soak_changed_answers",
        "rss_growth_mb",
    ]
    page = (tmp_path / "page.md").read_text(encoding="utf8")
    assert f"| posts | {found['soak_documents']:,} |" in page
    assert "| growth of the vocabulary: strings | 0 |" in page
