"""Captions of tweets' own images in their place: what text that is known to be of the image adds, seen or imagined.

    python -m lab.captions --posts FOLDER --captions captions.jsonl [--sizes 300] [--seeds 0 1 2 3 4]

FOLDER holds train.txt, valid.txt and test.txt of Twitter-2017; captions.jsonl has "imgid" and the caption of each
tweet's image. The visual side is the caption's token features: one BGA layer attends to what it generates of them
(`bga`), to those of the tweet itself (`bga_real`), or has learnt from another tweet's (`bga_shuffled`). Captions name
what is in the picture now and then, which no image does: what they add is no measure of what images would. A run leaves
one JSON in docs/runs/captions, and is not done again while it is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.tokens import DocBin

from lab.running import paths, run, schedule
from spacy_bga.evaluation.provenance import commit
from spacy_bga.evaluation.records import read_json, write_json

RECORDS = Path("docs/runs/captions")
EVIDENCE = Path("docs/evidence/real.json")
WORK = Path("training/captions")
SIZES = {"300": (300, 228), "all": (0, 844)}  # labelled tweets, and updates of 16
ARMS = ("text_only", "bga", "bga_shuffled")  # `bga_real` is the second, scored with captions
SCORED = ("text_only", "bga", "bga_real", "bga_shuffled")
LAYER = {"words": "false", "bga_layers": "1", "real_context": "0.5", "vision_encoder": "null"}


@dataclass(frozen=True)
class Captions:
    """posts (Path): The tweets. captions (Path): Their captions. field (str): What they are called."""

    posts: Path
    captions: Path
    field: str

    @property
    def folder(self) -> Path:
        return WORK / self.field

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def corpus(self) -> None:
        """Write the .spacy files and the features, unless they are there."""
        if (self.folder / "done").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "captions.jsonl").open("w", encoding="utf8") as file:
            for line in self.captions.read_text(encoding="utf8").splitlines():
                row = json.loads(line)
                if row["set"] == self.posts.name and row[self.field]:
                    file.write(json.dumps({"key": row["imgid"], "caption": row[self.field]}) + "\n")
        encoder = ("--text-encoder", "sentence-transformers/all-MiniLM-L6-v2")
        run("spacy_bga", "features", f"{self.folder}/captions.jsonl", f"{self.folder}/features", *encoder, log=self.log)
        for part, name in (("train", "train"), ("valid", "dev"), ("test", "test")):
            self._convert(part, name)
        vocab = spacy.blank("en").vocab
        docs = list(DocBin().from_disk(self.folder / "train.spacy").get_docs(vocab))
        DocBin(docs=docs[:300], store_user_data=True).to_disk(self.folder / "train300.spacy")
        (self.folder / "done").touch()

    def _convert(self, part: str, name: str, *more: str) -> None:
        source, target = f"{self.posts}/{part}.txt", f"{self.folder}/{name}.spacy"
        run("spacy_bga", "convert", source, target, "--no-check-images", *more, log=self.log)

    def shuffled(self, size: str, seed: int) -> Path:
        """RETURNS (Path): The labelled tweets, each with another one's caption."""
        self._convert("train", f"shuffled{seed}", "--shuffle-images", str(seed))
        vocab = spacy.blank("en").vocab
        docs = list(DocBin().from_disk(self.folder / f"shuffled{seed}.spacy").get_docs(vocab))
        output = self.folder / f"shuffled{seed}-{size}.spacy"
        DocBin(docs=docs[: SIZES[size][0] or None], store_user_data=True).to_disk(output)
        return output

    def train(self, arm: str, size: str, seed: int) -> Path:
        """RETURNS (Path): The folder of a trained pipeline."""
        output, steps = self.folder / f"{arm}-{size}-{seed}", SIZES[size][1]
        train = self.folder / ("train300.spacy" if size == "300" else "train.spacy")
        more: list[str] = []
        if arm != "text_only":
            settings = LAYER | {"visual_features": f'"{self.folder / "features"}"'}
            more = [part for key, value in settings.items() for part in (f"--components.bga_ner.model.{key}", value)]
            more += ["--components.bga_ner.save_visual_branch", "true"]
            train = self.shuffled(size, seed) if arm == "bga_shuffled" else train
        given = (*paths(train=train, dev=self.folder / "dev.spacy"), "--training.batcher.size", "16")
        command = ("spacy", "train", f"configs/{'text_only' if arm == 'text_only' else 'starter'}.cfg")
        seeded = ("--output", str(output), "--system.seed", str(seed))
        run(*command, *seeded, *given, *more, *schedule(steps, steps // 4), log=self.log)
        return output / "model-best"

    def score(self, pipeline: Path, context: str = "generated") -> float:
        """RETURNS (float): F1 of the test part."""
        output = pipeline.parent / "scores.json"
        corpus, images = str(self.folder / "test.spacy"), ("--images", str(self.folder / "features"))
        look = () if context == "generated" else (*images, "--visual-context", context)
        run("spacy_bga", "evaluate", str(pipeline), corpus, "--output", str(output), *look, log=self.log)
        (found,) = (read_json(output) or {})["pipelines"].values()
        return float(found["scores"]["overall"]["all"]["f1"])


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m lab.captions", description=__doc__)
    parser.add_argument("--posts", type=Path, default=Path("data/twitter2017"))
    parser.add_argument("--captions", type=Path, default=Path("data/captions.jsonl"))
    parser.add_argument("--field", default="blip2")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["300"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    given = parser.parse_args(arguments)
    captions = Captions(given.posts, given.captions, given.field)
    captions.corpus()
    for seed in given.seeds:
        for size in given.sizes:
            record = RECORDS / f"{given.field}_{size}-seed{seed}.json"
            for arm in ARMS:
                known = read_json(record) or {"seed": seed, "commit": commit()}
                if arm in known:
                    continue
                pipeline = captions.train(arm, size, seed)
                found = {arm: captions.score(pipeline)}
                if arm == "bga":
                    found["bga_real"] = captions.score(pipeline, "real")
                write_json(record, known | found)
                print(record, found, flush=True)
                shutil.rmtree(pipeline.parent)
    evidence = read_json(EVIDENCE) or {}
    for size in SIZES:
        runs = [read_json(path) or {} for path in sorted(RECORDS.glob(f"{given.field}_{size}-seed*.json"))]
        evidence[f"captions_{size}"] = {
            arm: [{"seed": run["seed"], "f1": run[arm]} for run in runs if arm in run] for arm in SCORED
        }
    write_json(EVIDENCE, evidence)


if __name__ == "__main__":
    main(sys.argv[1:])
