"""The page of the benchmark, in Markdown, from its JSON file alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spacy_bga.evaluation.markdown import NONE, table

HEADER = """# Performance

<!-- Made by `python -m spacy_bga benchmark` from its JSON file. Don't edit: run it again. -->

Everything is compared in one run: all take turns, round by round, on the same texts with the same tokens, with text
encoders of the same shape. A number is the median of the rounds, with the lowest and the highest in brackets; a ratio
is the median of the rounds' own ratios. `bga` and `text_only` are this package's pipelines, `onnx`, `auto` and `int8`
what was exported from the first, `spacy` is `transformer` + `ner` as spaCy's quickstart has them, and `huggingface` a
plain loop around a model for token classification, which makes neither documents nor spans. Throughput, latency and
training are timed with each of them in a process of its own.
"""
CLAIMS = {
    "throughput_ratio_fp32": "`nlp.pipe`: BGA, times as fast as `spacy`",
    "throughput_ratio_fp32_text_only": "`nlp.pipe`: text only, times as fast as `spacy`",
    "throughput_ratio_int8": "`nlp.pipe`: BGA in int8, times as fast as `spacy`",
    "int8_f1_cost": "F1 points that int8 costs",
    "latency_ratio_fp32": "One text: BGA, times as fast as `spacy` (median)",
    "latency_ratio_int8": "One text: BGA in int8, times as fast as `spacy` (median)",
    "latency_ratio_default": "One text: BGA as it is saved, times as fast as `spacy` (median)",
    "latency_ratio_auto": 'One text: BGA with `backend = "auto"`, times as fast as `spacy` (median)',
    "latency_bga_over_text_only": "One text: cost of BGA in text-only pipelines (median)",
    "latency_default_over_plain_loop": "One text: BGA as it is saved, times as fast as `huggingface` (median)",
    "gemm_share_fp32": "Share of the matrix product peak: BGA",
    "gemm_share_fp32_text_only": "Share of the matrix product peak: text only",
    "bga_over_text_only": "Cost of BGA in text-only pipelines, at inference",
    "train_ratio_plain_pytorch": "Training, text only: times as fast as plain PyTorch",
    "load_time_ratio": "Loading BGA, in loadings of `spacy`",
    "import_seconds": "`import spacy_bga`, seconds",
    "blank_extra_ms": '`spacy.blank("en")`: milliseconds more with this package',
    "rss_growth_mb_100k_docs": "Memory that 100,000 documents add, MB",
    "long_doc_cost_ratio": "A word of a long document, in words of short ones",
    "stream_cost_ratio": "A word of a long stream, in words of a short one",
}


def performance_page(record: Mapping[str, Any]) -> str:
    """Write the page.

    record (Mapping[str, Any]): What the JSON file holds.
    RETURNS (str): The page.
    """
    rows = [[title, _number(record.get(key))] for key, title in CLAIMS.items()]
    parts = [HEADER, table(["What", "Measured"], rows)]
    for name, section in record.get("sections", {}).items():
        title, write = WRITERS[name]
        parts += [f"## {title}\n", *write(section["measured"]), _provenance(section["provenance"])]
    return "\n".join(parts)


def _throughput(found: Mapping[str, Any]) -> list[str]:
    entities = ", ".join(f"{_name(name)} {_number(number)}" for name, number in found["entities"].items())
    parts = [
        f"{found['documents']:,} documents, {found['words']:,} words, {found['wordpieces']:,} wordpieces with [CLS] "
        f"and [SEP]. Entities: {entities}. The share of the peak counts the arithmetic that a text needs, by hand and "
        "without padding, over that of single-precision matrix products of the encoder's shapes, measured in the same "
        "rounds. CPU seconds tell more than the clock if a processor was there for less than all the time.\n"
    ]
    for size in found["by_batch_size"]:
        rows = [
            [
                _name(name),
                _spread(one["words_per_s"], digits=0),
                _number(one["words_per_cpu_s"], digits=0),
                _spread(one["gemm_share"]),
                _number(one["gemm_share_cpu"]),
                _number(one["processor_share"]),
            ]
            for name, one in size["contenders"].items()
        ]
        titles = ["", "Words/s", "Words a CPU second", "Share of the peak", "By CPU time", "CPU s/wall s"]
        parts += [
            f"### Batches of {size['batch_size']}\n",
            table(titles, rows),
            _ratios(size["ratios"], cpu=True),
            f"Peak: {_spread(size['gemm_gflops'], digits=1)} GFLOP/s, by CPU time "
            f"{_number(size['gemm_gflops_cpu'], digits=1)}.\n",
        ]
    return parts


def _latency(found: Mapping[str, Any]) -> list[str]:
    keys = ("p50_ms", "p95_ms", "p99_ms")
    rows = [
        [_name(name), *(_spread(one[key]) for key in keys), _number(one["processor_share"])]
        for name, one in found["contenders"].items()
    ]
    return [
        f"`nlp(text)` on {found['documents']:,} texts, in milliseconds, tokenization included.\n",
        table(["", "p50", "p95", "p99", "CPU s/wall s"], rows),
        _ratios(found["ratios"]),
    ]


def _training(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [_name(name), _spread(one["examples_per_s"], digits=1), _number(one["processor_share"])]
        for name, one in found["contenders"].items()
    ]
    return [
        f"Updates on the same batches of {found['batch_size']}, by length, of {found['examples']:,} examples. "
        "`plain_pytorch` is a loop around the encoder and the same CRF, with a fused AdamW.\n",
        table(["", "Examples/s", "CPU s/wall s"], rows),
        _ratios(found["ratios"], cpu=True),
    ]


def _start_up(found: Mapping[str, Any]) -> list[str]:
    rows = [[f"`import {name}`", _spread(seconds, digits=3)] for name, seconds in found["import_s"].items()]
    rows += [
        [f'`spacy.blank("en")` {way} this package', _spread(seconds, digits=3)]
        for way, seconds in found["blank_s"].items()
    ]
    loads = [
        [_name(name), _spread(seconds), _spread(found["first_text_s"][name], digits=3)]
        for name, seconds in found["load_s"].items()
    ]
    heavy = ", ".join(found["import_loads"]) or "neither torch nor transformers"
    return [
        f"Fresh processes, files in the system's cache. `import spacy_bga` loads {heavy}.\n",
        table(["", "Seconds"], rows),
        table(["`spacy.load`", "Seconds", "First text, s"], loads),
        _ratios(found["load_ratios"], title="Time to load"),
    ]


def _memory(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [_name(name), *(_number(one[key], digits=0) for key in ("loaded_mb", "peak_mb", "disk_mb"))]
        for name, one in found["contenders"].items()
    ]
    return [
        f"Fresh processes, batches of {found['batch_size']}; millions of bytes.\n",
        table(["", "Loaded", "Peak while tagging", "On disk"], rows),
    ]


def _scaling(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [_name(name), _spread(one["length_ratio"]), _spread(one["stream_ratio"])]
        for name, one in found["contenders"].items()
    ]
    streams = found["streams"]
    return [
        f"Cost a word of a document of {found['long_document']:,} tokens over that of the same words in documents of "
        f"{found['short_document']:,}; and of a stream of {streams[-1]:,} documents over that of one of "
        f"{streams[0]:,}.\n",
        table(["", "Long document", "Long stream"], rows),
    ]


def _accuracy(found: Mapping[str, Any]) -> list[str]:
    rows = [[_name(name), _number(one["f1"]), one["differing_documents"]] for name, one in found["contenders"].items()]
    return [
        f"On {found['documents']:,} documents. A pipeline that was built on the spot has learnt next to nothing.\n",
        table(["", "F1", "Documents whose entities differ from those of `bga`"], rows),
    ]


def _growth(found: Mapping[str, Any]) -> list[str]:
    ways = {"memory_zone": "in `nlp.memory_zone()`", "plain": "without"}
    rows = [
        [title, f"{way['documents']:,}", *(_number(way[key], digits=1) for key in ("growth_mb", "mb_per_100k_docs"))]
        for way, title in ((found[name], title) for name, title in ways.items())
    ]
    return [
        f"{_name(found['contender'])} over documents each of which has a word that never came before, which "
        "spaCy's vocabulary keeps outside of a memory zone. From a tenth of the stream to its end.\n",
        table(["", "Documents", "Growth, MB", "Slope, MB per 100,000 documents"], rows),
    ]


def _confidence(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            _name(name),
            *(part for way in ("one_ratio", "batch_ratio") for part in (_spread(one[way]), _number(one[way]["cpu"]))),
        ]
        for name, one in found["contenders"].items()
    ]
    return [
        f"Time with `confidence = true` over that without: {found['single']:,} texts one by one, and "
        f"{found['documents']:,} in batches of {found['batch_size']}.\n",
        table(["", "One by one", "By CPU time", "In batches", "By CPU time"], rows),
    ]


Writer = Callable[[Mapping[str, Any]], list[str]]
WRITERS: dict[str, tuple[str, Writer]] = {
    "throughput": ("Throughput", _throughput),
    "latency": ("One text at a time", _latency),
    "training": ("Training", _training),
    "start_up": ("Start-up", _start_up),
    "memory": ("Memory and size", _memory),
    "scaling": ("Long documents and long streams", _scaling),
    "accuracy": ("What speed costs", _accuracy),
    "growth": ("Memory over a long stream", _growth),
    "confidence": ("How sure each entity is", _confidence),
}


def _provenance(found: Mapping[str, Any]) -> str:
    machine, versions, threads = found["machine"], found["versions"], found["threads"]
    pools = ", ".join(f"{name} {number}" for name, number in threads["pools"].items())
    built = [name for name, one in found["contenders"].items() if one["built"]]
    own = [name for name in built if name in ("bga", "text_only")]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}; load "
        f"average before: {machine['load_average_before']}. Threads: torch {threads['torch']} ({pools}). "
        + ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        + f". Commit {found['commit']}. Encoder `{found['encoder']}`, texts `{found['texts']}`, "
        f"{found['scale']['repeats']} rounds."
    ]
    if own:
        lines.append(f"Built on the spot, hardly trained: {', '.join(map(_name, own))}.")
    if found["quick"]:
        lines.append("**Quick run: few texts and rounds. It shows that everything runs, not how fast.**")
    lines.append(f"`{found['command']}`\n")
    return "<sub>" + " ".join(lines[:-1]) + "</sub>\n\n" + lines[-1]


def _ratios(ratios: Mapping[str, Any], *, cpu: bool = False, title: str = "Times as fast") -> str:
    rows = []
    for pair, ratio in ratios.items():
        names = " / ".join(map(_name, pair.split("/")))
        rows.append([names, _spread(ratio), *([_number(ratio["cpu"])] if cpu else [])])
    return table(["", title, *(["By CPU time"] if cpu else [])], rows) if rows else ""


def _spread(found: Mapping[str, float] | None, *, digits: int = 2) -> str:
    if found is None:
        return NONE
    return f"{_number(found['median'], digits)} ({_number(found['min'], digits)}–{_number(found['max'], digits)})"


def _number(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:,.{0 if isinstance(value, int) else digits}f}"


def _name(name: str) -> str:
    return f"`{name}`" if name != "gold" else name
