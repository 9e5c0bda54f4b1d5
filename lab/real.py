"""Tomorrow's names on real tweets and real photographs: what pictures tell of names that no language model has read.

    python -m lab.real --posts FOLDER --catalogue names.jsonl           # five seeds, 300 labels and all
    python -m lab.real --posts FOLDER --catalogue names.jsonl --names today         # the same names as they are
    python -m lab.real --evidence          # docs/evidence/real.json and docs/real.md of all that is recorded

FOLDER holds train.txt, valid.txt and test.txt of Twitter-2017; names.jsonl has "image", "text" and "type" of each
picture, which lie beside it. A run leaves one JSON in docs/runs/real, and is not done again while it is there.
The page needs scipy.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.tokens import Doc, DocBin

from lab.real_page import render
from lab.running import paths, run, schedule
from lab.tomorrow import generate
from spacy_bga.evaluation.bootstrap import precision_recall_f1
from spacy_bga.evaluation.judged import judge_corpus, squeeze
from spacy_bga.evaluation.provenance import commit
from spacy_bga.evaluation.records import read_json, write_json, write_text
from spacy_bga.evaluation.tagging import load_pipeline

RECORDS = Path("docs/runs/real")
EVIDENCE = Path("docs/evidence/real.json")
PAGE = Path("docs/real.md")
WORK = Path("training/real")
SIZES = {"300": (300, 228), "all": (0, 844)}  # labelled tweets, and updates of 16
ARMS = ("text_only", "self_training", "bga", "bga_shuffled")
ALIGN_STEPS = 2520  # 40 passes over the catalogue
# The catalogue's pictures have 144 pixels.
SMALL = ("--components.bga_ner.model.image_size", "112")


@dataclass(frozen=True)
class Bench:
    """The corpus of one seed, and what is trained on it.

    posts, catalogue (Path): See `lab.tomorrow.generate`. seed (int): Of the corpus and of all trainings.
    names (str): "new" or "today". overrides (tuple[str, ...]): More settings of the arms with images.
    variant (str): Their name; "" for the default.
    """

    posts: Path
    catalogue: Path
    seed: int
    names: str = "new"
    overrides: tuple[str, ...] = ()
    variant: str = ""

    @property
    def folder(self) -> Path:
        return WORK / f"{self.names}-seed{self.seed}"

    @property
    def log(self) -> Path:
        return self.folder / f"log{self.variant}.txt"

    def corpus(self) -> None:
        """Write the corpus and its .spacy files, unless they are there."""
        if (self.folder / "done").exists():
            return
        generate(self.posts, self.catalogue, self.folder, seed=self.seed, rename=self.names == "new")
        for part in ("train", "dev", "test"):
            run("spacy_bga", "convert", f"{self.folder}/{part}.txt", f"{self.folder}/{part}.spacy", log=self.log)
        images = ("--images", str(self.catalogue.parent))
        for name, more in (("pairs", ()), ("shuffled", ("--shuffle-images", str(self.seed)))):
            run(
                "spacy_bga",
                "convert",
                f"{self.folder}/pairs.jsonl",
                f"{self.folder}/{name}.spacy",
                *images,
                *more,
                log=self.log,
            )
        vocab = spacy.blank("en").vocab
        docs = list(DocBin().from_disk(self.folder / "train.spacy").get_docs(vocab))
        DocBin(docs=docs[:300]).to_disk(self.folder / "train300.spacy")
        (self.folder / "done").touch()

    def labelled(self, size: str) -> Path:
        return self.folder / ("train300.spacy" if size == "300" else "train.spacy")

    def aligner(self, pairs: str) -> Path:
        """RETURNS (Path): What has learnt from the catalogue; trained unless it is there."""
        output = self.folder / f"align-{pairs}{self.variant}"
        if not (output / "model-last").exists():
            given = paths(
                train=f"{self.folder}/{pairs}.spacy",
                dev=f"{self.folder}/{pairs}.spacy",
                images=self.catalogue.parent,
                features=WORK / "features",
            )
            command = ("spacy", "train", "configs/align.cfg", "--output", str(output), "--corpora.dev.limit", "50")
            run(*command, *given, *SMALL, *self.overrides, *schedule(ALIGN_STEPS, ALIGN_STEPS), log=self.log)
        return output / "model-last"

    def train(self, arm: str, size: str) -> Path:
        """RETURNS (Path): The folder of a trained pipeline; trained unless it is there."""
        output, steps = self.folder / f"{arm}-{size}{self.variant}", SIZES[size][1]
        if (output / "model-last").exists():
            return output
        train, more, config = self.labelled(size), (), "text_only"
        if arm == "self_training":
            train, steps = self.silver(size), 2 * steps
        elif arm != "text_only":
            config = "starter"
            more = (*paths(aligner=self.aligner("pairs" if arm == "bga" else "shuffled")), *SMALL, *self.overrides)
        command = ("spacy", "train", f"configs/{config}.cfg", "--output", str(output), "--system.seed", str(self.seed))
        given = (*paths(train=train, dev=self.folder / "dev.spacy"), "--training.batcher.size", "16")
        run(*command, *given, *more, *schedule(steps, steps // 4), log=self.log)
        return output

    def silver(self, size: str) -> Path:
        """RETURNS (Path): The labelled tweets, and the catalogue's texts with what text alone takes their names for."""
        nlp = load_pipeline(self.train("text_only", size) / "model-best")
        texts = [doc.text for doc in read(self.folder / "pairs.spacy", nlp)]
        output = self.folder / f"silver-{size}.spacy"
        DocBin(docs=[*read(self.labelled(size), nlp), *nlp.pipe(texts)]).to_disk(output)
        return output

    def score(self, output: Path) -> dict[str, float]:
        """RETURNS (dict[str, float]): F1 of the names that only the catalogue shows, and of all."""
        table = read_json(self.folder / "names.json") or {}
        new = {squeeze(name) for name, fact in table.items() if fact["known_from"] == "pairs"}
        judged = judge_corpus(load_pipeline(output / "model-best"), self.folder / "test.spacy")
        chosen: dict[str, Callable[[Any], bool]] = {"f1_new": lambda e: e.text in new, "f1_all": lambda e: True}
        scores = {key: float(precision_recall_f1(judged.counts(one).sum(axis=0))[2]) for key, one in chosen.items()}
        return {key: round(value, 2) for key, value in scores.items()}


def read(path: Path, nlp: spacy.language.Language) -> Iterable[Doc]:
    return DocBin().from_disk(path).get_docs(nlp.vocab)


def do(bench: Bench, sizes: Sequence[str], arms: Sequence[str]) -> None:
    """Train and score what isn't recorded yet."""
    for size in sizes:
        name = f"{bench.names}_names_{size}{'-' + bench.variant if bench.variant else ''}-seed{bench.seed}"
        path = RECORDS / f"{name}.json"
        for arm in arms:
            known = read_json(path) or {"seed": bench.seed, "overrides": list(bench.overrides), "commit": commit()}
            if arm in known:
                continue
            bench.corpus()
            output = bench.train(arm, size)
            scores = bench.score(output)
            write_json(path, known | {arm: scores})
            print(name, arm, scores, flush=True)
        for arm in arms:  # text alone was needed by self-training
            shutil.rmtree(bench.folder / f"{arm}-{size}{bench.variant}", ignore_errors=True)


def evidence() -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What the recorded runs show, by benchmark and arm a list over seeds."""
    found: dict[str, Any] = {}
    for names in ("new", "today"):
        for size in SIZES:
            runs = [read_json(path) or {} for path in sorted(RECORDS.glob(f"{names}_names_{size}-seed*.json"))]
            found[f"{names}_names_{size}"] = {
                arm: [{"seed": run["seed"], **run[arm]} for run in runs if arm in run] for arm in ARMS
            }
    eyes = [read_json(path) or {} for path in sorted(RECORDS.glob("eye-*.json"))]
    default = next((eye for eye in eyes if eye["encoder"] == "dinov2-small"), {})
    return found | {
        "encoders": eyes,
        "t2i": {part: default[part]["t2i"] for part in ("news", "tweets") if part in default},
    }


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.real", description=__doc__)
    parser.add_argument("--posts", type=Path, default=Path("data/twitter2017"))
    parser.add_argument("--catalogue", type=Path, default=Path("data/names/names.jsonl"))
    parser.add_argument("--names", choices=["new", "today"], default="new")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--variant", default="", help="The name of other settings, given after --, as for spacy train.")
    parser.add_argument("--evidence", action="store_true", help="Only write the evidence.")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args(arguments)
    for seed in () if given.evidence else given.seeds:
        bench = Bench(given.posts, given.catalogue, seed, given.names, tuple(given.overrides), given.variant)
        do(bench, given.sizes, given.arms)
    write_json(EVIDENCE, {**(read_json(EVIDENCE) or {}), **evidence(), "commit": commit()})
    write_text(PAGE, render(read_json(EVIDENCE) or {}))


if __name__ == "__main__":
    main(sys.argv[1:])
