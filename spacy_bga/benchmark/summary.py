"""The numbers that claims are about, out of what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.benchmark.setting import AUTO, BGA, EXPORTED, HUGGING_FACE, INT8, SPACY, TEXT_ONLY
from spacy_bga.evaluation.averages import look_up

BATCH = 64  # at which throughputs are compared; the others are in the tables
MANY = 100_000


def summarize(sections: Mapping[str, Any]) -> dict[str, float | None]:
    """Pick the numbers that claims are about.

    sections (Mapping[str, Any]): What was measured, by section: each has "measured".
    RETURNS (dict[str, float | None]): The numbers by name; None for what was not measured.
    """
    measured = {name: section["measured"] for name, section in sections.items()}
    throughput = _at_batch(measured)
    latency, start_up = measured.get("latency"), measured.get("start_up")

    def share(name: str) -> float | None:
        return look_up(throughput, "contenders", name, "gemm_share", "median")

    def ratio(section: Any, ours: str, other: str) -> float | None:
        return look_up(section, "ratios", f"{ours}/{other}", "median")

    exported = ratio(latency, EXPORTED, SPACY)
    return {
        "throughput_ratio_fp32": ratio(throughput, BGA, SPACY),
        "throughput_ratio_fp32_text_only": ratio(throughput, TEXT_ONLY, SPACY),
        "throughput_ratio_int8": ratio(throughput, INT8, SPACY),
        "int8_f1_cost": _int8_cost(measured.get("accuracy")),
        "latency_ratio_fp32": ratio(latency, BGA, SPACY) if exported is None else exported,
        "latency_ratio_int8": ratio(latency, INT8, SPACY),
        "latency_ratio_default": ratio(latency, BGA, SPACY),
        "latency_ratio_auto": ratio(latency, AUTO, SPACY),
        "latency_bga_over_text_only": ratio(latency, TEXT_ONLY, BGA),  # so many times as long takes this as that
        "latency_default_over_plain_loop": ratio(latency, BGA, HUGGING_FACE),
        "gemm_share_fp32": share(BGA),
        "gemm_share_fp32_text_only": share(TEXT_ONLY),
        "bga_over_text_only": ratio(throughput, TEXT_ONLY, BGA),  # so many times as fast is that as this
        "train_ratio_plain_pytorch": ratio(measured.get("training"), TEXT_ONLY, "plain_pytorch"),
        "load_time_ratio": look_up(start_up, "load_ratios", f"{BGA}/{SPACY}", "median"),
        "import_seconds": look_up(start_up, "import_s", "spacy_bga", "median"),
        "blank_extra_ms": look_up(start_up, "blank_extra_ms", "median"),
        "rss_growth_mb_100k_docs": _growth(measured.get("growth")),
        "long_doc_cost_ratio": look_up(measured.get("scaling"), "contenders", BGA, "length_ratio", "median"),
        "stream_cost_ratio": look_up(measured.get("scaling"), "contenders", BGA, "stream_ratio", "median"),
    }


def _at_batch(measured: Mapping[str, Any]) -> dict[str, Any] | None:
    sizes = look_up(measured, "throughput", "by_batch_size") or []
    return next((size for size in sizes if size["batch_size"] == BATCH), None)


def _int8_cost(accuracy: Any) -> float | None:
    scores = [look_up(accuracy, "contenders", name, "f1") for name in (BGA, INT8)]
    return None if None in scores else round(scores[0] - scores[1], 2)


def _growth(growth: Any) -> float | None:
    """RETURNS (Optional[float]): None for a shorter stream: growth is not to be guessed from a part."""
    return growth["memory_zone"]["growth_mb"] if growth and growth["documents"] >= MANY else None
