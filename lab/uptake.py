"""What is taken up of what pictures taught: names known from pictures alone, and Twitter-2017, where they say little.

    python -m lab.uptake                       # the benchmark: five seeds, one name a post and several
    python -m lab.uptake --only twitter2017_300 twitter2017_all --pairs FOLDER       # after `convert-twitter2017`
    python -m lab.uptake --evidence            # docs/evidence/uptake.json and docs/uptake.md from all that is recorded

A run leaves one JSON in docs/runs/uptake, and is not done again while it is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from lab.coined import generate
from lab.page import render
from lab.running import paths, run, schedule
from spacy_bga.evaluation.provenance import commit
from spacy_bga.evaluation.records import read_json, write_json

RECORDS = Path("docs/runs/uptake")
EVIDENCE = Path("docs/evidence/uptake.json")
PAGE = Path("docs/uptake.md")
POINTING = Path("docs/evidence/pointing.json")
WORK = Path("training/uptake")
ARMS = ("text_only", "bga", "bga_shuffled")
BENCHMARKS = {"coined_one": {"per_name": 6, "most": 1}, "coined_many": {"per_name": 10, "most": 3}}
TWITTER = {"twitter2017_300": 300, "twitter2017_all": 0}
STEPS = 200  # of tagging: 360 posts, 16 a batch
# Pictures of 160 pixels need no more; the vision encoder takes a quarter of the time.
SMALL = ("--components.bga_ner.model.image_size", "112")


@dataclass(frozen=True)
class Lab:
    """Where a run's files are, and what it is made of.

    work (Path): For corpora and models. overrides (tuple[str, ...]): More settings for the arms with images.
    name (str): Of the variant; "" for the default.
    """

    work: Path = WORK
    overrides: tuple[str, ...] = ()
    name: str = ""

    def record(self, benchmark: str, seed: int) -> Path:
        return RECORDS / f"{benchmark}{'-' + self.name if self.name else ''}-seed{seed}.json"


def coined_corpus(folder: Path, seed: int, settings: dict[str, Any]) -> None:
    """Write a corpus of coined names with its .spacy files, and those of the posts whose names pairs alone show."""
    if (folder / "done").exists():
        return
    generate(folder, seed=seed, **settings)
    known = {name: fact["known_from"] for name, fact in read_json(folder / "names.json").items()}
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text(encoding="utf8").splitlines()]
    chosen = [r for r in rows if {known[r["text"][s["start"] : s["end"]]] for s in r["spans"]} == {"pairs"}]
    (folder / "test_pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf8")
    log = folder / "convert.log"
    for part in ("train", "dev", "test", "test_pairs", "pairs"):
        run(
            "spacy_bga", "convert", f"{folder}/{part}.jsonl", f"{folder}/{part}.spacy", "--images", str(folder), log=log
        )
    shuffled = (f"{folder}/pairs.jsonl", f"{folder}/shuffled.spacy", "--images", str(folder), "--shuffle-images")
    run("spacy_bga", "convert", *shuffled, str(seed), log=log)
    (folder / "done").touch()


def coined(lab: Lab, benchmark: str, seed: int, arms: Sequence[str]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The scores of one seed: by arm the rows of `measure_uptake`, and the probe's."""
    from spacy_bga.evaluation.uptake import BGA, PAIRS, SHUFFLED, TEXT_ONLY, measure_uptake

    folder = lab.work / f"{benchmark}-seed{seed}"
    coined_corpus(folder, seed, BENCHMARKS[benchmark])
    found: dict[str, Any] = {"seconds": {}}
    columns = {"text_only": TEXT_ONLY, "bga": BGA, "bga_shuffled": SHUFFLED}
    outputs = {arm: folder / f"{arm}{lab.name}" for arm in arms}
    for arm, output in outputs.items():
        places = {"train": folder / "train.spacy", "dev": folder / "dev.spacy"}
        config, more = "text_only", ()
        if arm != "text_only":
            pairs = "shuffled" if arm == "bga_shuffled" else "pairs"
            places |= {"pairs": folder / f"{pairs}.spacy", "pair_images": folder, "features": folder / "features"}
            config, more = "starter", (*SMALL, *lab.overrides)
        command = ("spacy", "train", f"configs/{config}.cfg", "--output", str(output), "--system.seed", str(seed))
        found["seconds"][arm] = round(
            run(*command, *paths(**places), *more, *schedule(STEPS, STEPS // 4), log=output.with_suffix(".log")), 1
        )
    measured = measure_uptake(
        {columns[arm]: output / "model-best" for arm, output in outputs.items()},
        folder / "test.spacy",
        train=folder / "train.spacy",
        pairs=folder / "pairs.spacy",
    )
    for arm in arms:
        rows = {row["name"]: row[columns[arm]]["f1"] for row in measured["rows"]}
        found[arm] = {"f1": rows[PAIRS], "rows": rows}
    if "bga" in arms:
        found["probe"] = probe(folder, outputs["bga"] / "model-best")
    for output in outputs.values():
        shutil.rmtree(output)
    return found


def probe(folder: Path, model: Path) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What `spacy_bga probe` says of names that pairs alone show."""
    output = folder / "probe.json"
    train, test = folder / "train.spacy", folder / "test_pairs.spacy"
    run("spacy_bga", "probe", str(model), str(train), str(test), "--output", str(output), log=folder / "probe.log")
    return read_json(output)


def without_images(corpus: Path, output: Path) -> None:
    """Write a corpus anew without its images: the pairs alone are to teach what words look like."""
    docs = DocBin().from_disk(corpus).get_docs(Vocab())
    DocBin(docs=docs).to_disk(output)


def twitter(lab: Lab, benchmark: str, seed: int, arms: Sequence[str], pairs: Path) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): F1 on Twitter-2017's test, of text alone and of a tagger that begins from an aligner of
    real pairs, with the same seed."""
    data, folder = Path("corpus/twitter2017"), lab.work / "twitter2017"
    aligner = folder / "align"
    if "bga" in arms and not (aligner / "model-last").exists():
        command = ("spacy", "train", "configs/align.cfg", "--output", str(aligner), *schedule(3000, 1000))
        places = paths(
            train="corpus/pairs/train", dev="corpus/pairs/dev/news.spacy", images=pairs, features="corpus/features"
        )
        run(*command, *places, log=folder / "align.log")
    limit = TWITTER[benchmark]
    steps, every = (228, 76) if limit else (844, 211)
    train = folder / "train.spacy"
    without_images(data / "train.spacy", train)
    found: dict[str, Any] = {"seconds": {}}
    for arm in arms:
        output = folder / f"{arm}-{benchmark}-seed{seed}{lab.name}"
        given = ["--paths.train", str(train), "--paths.dev", str(data / "dev.spacy"), "--training.batcher.size", "16"]
        if arm == "bga":
            given += ["--paths.aligner", f"{aligner}/model-last", "--corpora.train.labelled.limit", str(limit)]
            given += lab.overrides
        else:
            given += ["--corpora.train.limit", str(limit)]
        config = "starter" if arm == "bga" else "text_only"
        command = ("spacy", "train", f"configs/{config}.cfg", "--output", str(output), "--system.seed", str(seed))
        seconds = run(*command, *given, *schedule(steps, every), log=output.with_suffix(".log"))
        scores = output.with_suffix(".json")
        command = ("spacy", "evaluate", f"{output}/model-best", f"{data}/test.spacy", "--output", str(scores))
        run(*command, log=output.with_suffix(".log"))
        shutil.rmtree(output)
        found[arm] = {"f1": round(100 * read_json(scores)["ents_f"], 2)}
        found["seconds"][arm] = round(seconds, 1)
    return found


def do(lab: Lab, benchmark: str, seed: int, *, pairs: Path, arms: Sequence[str]) -> None:
    """Do one run, as far as it isn't recorded."""
    path = lab.record(benchmark, seed)
    known = read_json(path) or {}
    missing = [arm for arm in arms if arm not in known and (benchmark in BENCHMARKS or arm != "bga_shuffled")]
    if not missing:
        return
    made = commit()
    if benchmark in TWITTER:
        found = twitter(lab, benchmark, seed, missing, pairs)
    else:
        found = coined(lab, benchmark, seed, missing)
    head = {"benchmark": benchmark, "seed": seed, "overrides": list(lab.overrides), "commit": made}
    seconds = {**known.get("seconds", {}), **found["seconds"]}
    write_json(path, {**head, **known, **found, "seconds": seconds})
    print(path, {name: part["f1"] for name, part in found.items() if "f1" in part}, flush=True)


def records(benchmark: str) -> Iterator[dict[str, Any]]:
    """YIELDS (dict[str, Any]): The default's runs of a benchmark, by seed."""
    yield from (read_json(path) for path in sorted(RECORDS.glob(f"{benchmark}-seed*.json")))


def evidence() -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What the recorded runs show, by benchmark and arm a list over seeds."""
    found: dict[str, Any] = {}
    for benchmark in BENCHMARKS:
        runs = list(records(benchmark))
        found[benchmark] = {arm: [r[arm]["f1"] for r in runs] for arm in ARMS}
        found[benchmark]["probe"] = [r["probe"]["rows"][0]["generated"] for r in runs]
    for benchmark in TWITTER:
        runs = list(records(benchmark))
        found[benchmark] = {arm: [r[arm]["f1"] for r in runs if arm in r] for arm in ("text_only", "bga")}
    main_job = Path("metrics/uptake.json")
    if main_job.exists():  # of `python -m spacy project run all`
        found["main_job"] = read_json(main_job)
    pointing = read_json(POINTING) or {}
    if "words" in pointing:  # of `python -m spacy_bga pointing ... --name words`
        found["pointing"] = pointing["words"]
    return found


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.uptake", description=__doc__)
    parser.add_argument("--only", nargs="+", default=list(BENCHMARKS), choices=[*BENCHMARKS, *TWITTER])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--variant", default="", help="The name of other settings, given after --, as for spacy train.")
    parser.add_argument("--pairs", type=Path, default=Path("data/pairs"), help="The image root of corpus/pairs.")
    parser.add_argument("--evidence", action="store_true", help="Only write the evidence.")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args(arguments)
    if not given.evidence:
        lab = Lab(overrides=tuple(given.overrides), name=given.variant)
        for seed in given.seeds:
            for benchmark in given.only:
                do(lab, benchmark, seed, pairs=given.pairs, arms=given.arms)
    found = {**(read_json(EVIDENCE) or {}), **evidence(), "commit": commit()}
    write_json(EVIDENCE, found)
    PAGE.write_text(render(found, RECORDS), encoding="utf8")


if __name__ == "__main__":
    main(sys.argv[1:])
