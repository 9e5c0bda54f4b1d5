"""The headline and the page, from a record that is made up."""

from __future__ import annotations

from typing import Any

import pytest

from spacy_bga.benchmark.page import CLAIMS, WRITERS, performance_page
from spacy_bga.benchmark.suite import SECTIONS, choose_sections, update
from spacy_bga.benchmark.summary import summarize
from spacy_bga.errors import BGAError

PROMISED = (
    "throughput_ratio_fp32",
    "throughput_ratio_fp32_text_only",
    "throughput_ratio_int8",
    "int8_f1_cost",
    "latency_ratio_fp32",
    "latency_ratio_int8",
    "latency_ratio_default",
    "latency_ratio_auto",
    "latency_bga_over_text_only",
    "latency_default_over_plain_loop",
    "gemm_share_fp32",
    "bga_over_text_only",
    "train_ratio_plain_pytorch",
    "load_time_ratio",
    "import_seconds",
    "rss_growth_mb_100k_docs",
    "long_doc_cost_ratio",
)


def around(value: float) -> dict[str, float]:
    return {"median": value, "min": value - 0.125, "max": value + 0.125}


def provenance(**changes: Any) -> dict[str, Any]:
    return {
        "machine": {
            "processor": "P",
            "cores": 2,
            "memory_gb": 8.0,
            "system": "S",
            "load_average_before": 0.1,
        },
        "versions": {"python": "3.11", "spacy": "3.8"},
        "threads": {"torch": 1, "pools": {"libgomp": 1}, "asked_for": 1},
        "commit": "abc",
        "quick": False,
        "command": "python -m spacy_bga benchmark",
        "encoder": "E",
        "texts": "T",
        "contenders": {name: {"folder": None, "built": True} for name in ("bga", "spacy")},
        "scale": {"repeats": 5},
    } | changes


def throughput(size: int, ratio: float) -> dict[str, Any]:
    one = {
        "words_per_s": around(1500),
        "words_per_cpu_s": 1600.0,
        "gemm_share": around(0.5),
        "gemm_share_cpu": 0.5,
        "processor_share": 1.0,
    }
    ratios = {"bga/spacy": around(ratio), "text_only/spacy": around(2.0), "text_only/bga": around(1.25)}
    ratios |= {"int8/spacy": around(3.0)}
    return {
        "batch_size": size,
        "contenders": {"bga": one, "spacy": one},
        "gemm_gflops": around(75.0),
        "gemm_gflops_cpu": 76.0,
        "ratios": {pair: found | {"cpu": 1.5} for pair, found in ratios.items()},
    }


MEASURED: dict[str, Any] = {
    "throughput": {
        "documents": 700,
        "words": 11330,
        "wordpieces": 15000,
        "entities": {"gold": 1351, "bga": 1300, "huggingface": None},
        "mflops_per_word": {"bga": 30.0},
        "by_batch_size": [throughput(8, 9.0), throughput(64, 1.5)],
    },
    "latency": {
        "documents": 200,
        "contenders": {
            "bga": {"p50_ms": around(9.0), "p95_ms": around(12.0), "p99_ms": around(14.0), "processor_share": 1.0}
        },
        "ratios": {
            "bga/spacy": around(1.25),
            "bga/huggingface": around(1.125),
            "text_only/bga": around(1.0625),
            "auto/spacy": around(2.25),
            "int8/spacy": around(4.0),
        },
    },
    "training": {
        "examples": 160,
        "batch_size": 16,
        "contenders": {"text_only": {"examples_per_s": around(40), "processor_share": 1.0}},
        "ratios": {"text_only/plain_pytorch": around(1.0) | {"cpu": 1.0}},
    },
    "start_up": {
        "import_s": {"spacy_bga": around(0.25), "spacy": around(1.0)},
        "import_loads": [],
        "blank_s": {"with": around(5.0), "without": around(4.0)},
        "blank_extra_ms": around(30.0),
        "load_s": {"bga": around(1.0)},
        "first_text_s": {"bga": around(0.5)},
        "load_ratios": {"bga/spacy": around(1.125)},
    },
    "memory": {"batch_size": 64, "contenders": {"bga": {"loaded_mb": 500.0, "peak_mb": 700.0, "disk_mb": 95.0}}},
    "scaling": {
        "long_document": 5000,
        "short_document": 200,
        "streams": [500, 1000],
        "contenders": {
            "bga": {"length_ratio": around(1.0), "stream_ratio": around(1.0), "us_per_word": {"500": around(700)}}
        },
    },
    "accuracy": {
        "documents": 700,
        "contenders": {
            "bga": {"f1": 83.76, "differing_documents": 0},
            "int8": {"f1": 83.5, "differing_documents": 31},
        },
    },
    "growth": {
        "contender": "bga",
        "documents": 100_000,
        "memory_zone": {"documents": 100_000, "growth_mb": 1.5, "mb_per_100k_docs": 1.25, "rss_mb": [[0, 500.0]]},
        "plain": {"documents": 10_000, "growth_mb": 30.0, "mb_per_100k_docs": 32.0, "rss_mb": [[0, 500.0]]},
    },
    "confidence": {
        "documents": 400,
        "single": 200,
        "batch_size": 64,
        "contenders": {"bga": {"one_ratio": around(1.25) | {"cpu": 1.5}, "batch_ratio": around(1.125) | {"cpu": 1.0}}},
    },
}


def whole_record() -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name in reversed(SECTIONS):
        record = update(record, name, {"provenance": provenance(), "measured": MEASURED[name]})
    return record


def test_every_promised_number_is_there():
    record = whole_record()
    assert record.keys() >= {*PROMISED, "machine", "versions", "threads", "commit"}
    found = {key: record[key] for key in PROMISED}
    assert found == {
        "throughput_ratio_fp32": 1.5,  # at 64, not at 8
        "throughput_ratio_fp32_text_only": 2.0,
        "throughput_ratio_int8": 3.0,
        "int8_f1_cost": 0.26,
        "latency_ratio_fp32": 1.25,
        "latency_ratio_int8": 4.0,
        "latency_ratio_default": 1.25,
        "latency_ratio_auto": 2.25,
        "latency_bga_over_text_only": 1.0625,
        "latency_default_over_plain_loop": 1.125,
        "gemm_share_fp32": 0.5,
        "bga_over_text_only": 1.25,
        "train_ratio_plain_pytorch": 1.0,
        "load_time_ratio": 1.125,
        "import_seconds": 0.25,
        "rss_growth_mb_100k_docs": 1.5,
        "long_doc_cost_ratio": 1.0,
    }
    assert list(record["sections"]) == list(SECTIONS)


def test_what_was_not_measured_is_null():
    assert set(summarize({}).values()) == {None}
    assert summarize({}).keys() == CLAIMS.keys() >= set(PROMISED)
    short = {"growth": {"measured": MEASURED["growth"] | {"documents": 99_999}}}
    assert summarize(short)["rss_growth_mb_100k_docs"] is None


def test_an_exported_graph_counts_for_latency():
    latency = MEASURED["latency"] | {"ratios": {"bga/spacy": around(1.25), "onnx/spacy": around(2.5)}}
    found = summarize({"latency": {"measured": latency}})
    assert (found["latency_ratio_fp32"], found["latency_ratio_default"]) == (2.5, 1.25)


def test_a_later_section_leaves_the_others():
    record = whole_record()
    later = provenance(commit="def")
    again = update(record, "latency", {"provenance": later, "measured": MEASURED["latency"]})
    assert again["commit"] == again["sections"]["latency"]["provenance"]["commit"] == "def"
    for name in SECTIONS.keys() - {"latency"}:
        assert again["sections"][name] == record["sections"][name]
    assert record["commit"] == "abc"


def test_sections_are_chosen_by_name():
    assert choose_sections([]) == list(SECTIONS)
    assert choose_sections(["latency", "throughput"]) == ["throughput", "latency"]
    with pytest.raises(BGAError, match=r"B540.*'speed'.*throughput, latency"):
        choose_sections(["speed"])


def test_the_page_tells_everything():
    page = performance_page(whole_record())
    for title, _ in WRITERS.values():
        assert f"\n## {title}\n" in page
    assert WRITERS.keys() == SECTIONS.keys()
    for line in (
        "| `nlp.pipe`: BGA, times as fast as `spacy` | 1.50 |",
        "| `bga` / `spacy` | 1.50 (1.38–1.62) | 1.50 |",
        "| `bga` | 9.00 (8.88–9.12) | 12.00 (11.88–12.12) | 14.00 (13.88–14.12) | 1.00 |",
        "| F1 points that int8 costs | 0.26 |",
        "| `bga` | 1.25 (1.12–1.38) | 1.50 | 1.12 (1.00–1.25) | 1.00 |",
    ):
        assert line in page
    assert "Quick run" not in page
    assert "Built on the spot, hardly trained: `bga`." in page


def test_the_page_of_nothing_and_of_a_part():
    assert "| `import spacy_bga`, seconds | – |" in performance_page(summarize({}))
    record = update({}, "memory", {"provenance": provenance(quick=True), "measured": MEASURED["memory"]})
    page = performance_page(record)
    assert "## Memory" in page
    assert "## Throughput" not in page
    assert "Quick run" in page
