"""The section of `docs/reliability.md` about the campaign of soaking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spacy_bga.evaluation.markdown import number, table
from spacy_bga.reliability.soak.stream import ONE_BY_ONE, PIPED, WARM_UP

ABOUT = """## A long stream in one process

One process tags posts by `nlp.pipe` and `nlp`, {zone} to a `nlp.memory_zone()`. Each post has a word that was never
there before; now and then one is empty, white space or emoji, or as long as forty. It sleeps between, to take no more
than {share:.0%} of a processor's time. Growth is told from the end of the first {warm_up:.0%} of the time to the end of
the soak. At each sample, the same few texts are tagged again.
"""

GROWTH = """No text, tensor or word stays. The kernels that PyTorch's oneDNN makes and keeps are few, whatever the
lengths of texts. What grows is spaCy's hash tables, by some 30 bytes for each word that was ever new, though memory
zones take the words out again; so does what `len(nlp.vocab)` says. The lexemes below are those that are there.
"""

SHOWN = 6  # samples


def soak_section(record: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """RETURNS (str): The section. record, details (Mapping[str, Any]): What the campaign wrote."""
    growth, origin = details["growth"], details["origin"]
    rows = [
        ("hours", number(record["soak_hours"])),
        ("posts", f"{record['soak_documents']:,}"),
        ("posts for each second of the processor", number(details["documents_per_cpu_second"], 1)),
        ("texts with other entities than at first", f"{record['soak_changed_answers']:,}"),
        ("growth of the resident memory, MB", number(record["rss_growth_mb"])),
        ("... its slope, MB an hour", number(details["rss_mb_per_hour"])),
        ("... in the second half of the time alone, MB", number(_second_half(details))),
        ("... after what lies unused was given back to the system, MB", _trimmed(details)),
        ("growth of what `malloc` has given out, MB", number(growth["malloc_mb"])),
        ("growth of the vocabulary: lexemes", f"{growth['lexemes']:,}"),
        ("growth of the vocabulary: strings", f"{growth['strings']:,}"),
    ]
    samples = details["samples"]
    chosen = [samples[round(place * (len(samples) - 1) / SHOWN)] for place in range(SHOWN + 1)]
    about = ABOUT.format(zone=PIPED + ONE_BY_ONE, share=details["share"], warm_up=WARM_UP)
    return "\n".join(
        [
            about,
            table(["what", ""], rows),
            GROWTH,
            table(
                ["after, minutes", "posts", "resident, MB", "`malloc`, MB", "lexemes", "strings"],
                [_moment(dict(zip(details["columns"], sample, strict=True))) for sample in chosen],
            ),
            f"`{origin['command']}`, at {origin['commit']}.\n",
        ]
    )


def _second_half(details: Mapping[str, Any]) -> float:
    seconds, resident = (details["columns"].index(name) for name in ("seconds", "rss_mb"))
    samples = details["samples"]
    middle = next(sample for sample in samples if sample[seconds] >= details["seconds"] / 2)
    return samples[-1][resident] - middle[resident]


def _trimmed(details: Mapping[str, Any]) -> str:
    if "rss_mb_after_malloc_trim" not in details:
        return number(None)
    resident = details["columns"].index("rss_mb")
    last = details["samples"][-1][resident]
    return number(details["growth"]["rss_mb"] + details["rss_mb_after_malloc_trim"] - last)


def _moment(sample: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        number(sample["seconds"] / 60, 1),
        f"{sample['documents']:,}",
        number(sample["rss_mb"], 1),
        number(sample["malloc_mb"], 1),
        f"{sample['lexemes']:,}",
        f"{sample['strings']:,}",
    )
