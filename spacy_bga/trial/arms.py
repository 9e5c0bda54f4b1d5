"""The arms of a trial: text alone, BGA, and BGA with shuffled pictures, trained and scored seed by seed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.comparison import Verdict
from spacy_bga.evaluation.judged import judge_corpus
from spacy_bga.evaluation.records import read_json, write_json
from spacy_bga.evaluation.tagging import load_pipeline
from spacy_bga.evaluation.uptake import BGA, SHUFFLED, TEXT_ONLY, choose_slices
from spacy_bga.starter.config import Choices, make_config
from spacy_bga.trial.materials import Materials

ARMS = {TEXT_ONLY: "text_only", BGA: "bga", SHUFFLED: "shuffled"}
KINDS_IGNORED = "kinds ignored"
STEPS_PER_MINUTE = 25  # of all three arms on one core, so that there is time for several seeds


@dataclass(frozen=True)
class Trial:
    """What is trained, and for how long.

    materials (Materials): The corpora. minutes (float): The time budget. most_seeds (int): The most seeds.
    lang (str): The language. text_encoder, vision_encoder (Optional[str]): Others than the starter encoders.
    visual_features (Optional[Path]): Given features, in the place of a vision encoder.
    """

    materials: Materials
    minutes: float = 30
    most_seeds: int = 5
    lang: str = "en"
    text_encoder: str | None = None
    vision_encoder: str | None = None
    visual_features: Path | None = None

    def run(self) -> Iterator[dict[str, Any]]:
        """Train and score all arms with seeds 0, 1, ..., at least one, and as many as the time allows. What an earlier
        run has finished is not done again.

        YIELDS (dict): Of each seed, by arm: "counts", for each slice (n, 3) of the test posts, "seconds", and of BGA
            its "trust".
        RAISES (BGAError): The folder holds a trial of other data or settings.
        """
        self._check()
        spent = 0.0
        for seed in range(self.most_seeds):
            if seed and spent * (seed + 1) / seed > 60 * self.minutes:
                return
            found = {arm: self._arm(arm, seed) for arm in ARMS}
            spent += sum(scores["seconds"] for scores in found.values())
            yield found

    def _check(self) -> None:
        """Raise a BGAError if what is there already was made of something else; note what this one is made of."""
        settings = {"data": self.materials.digest, "minutes": self.minutes, "lang": self.lang}
        settings |= {"text_encoder": self.text_encoder, "vision_encoder": self.vision_encoder}
        if self.visual_features is not None:
            settings["visual_features"] = str(self.visual_features)
        path = self.materials.folder / "settings.json"
        known = read_json(path)
        if known is not None and known != settings:
            other = ", ".join(name for name, value in settings.items() if known.get(name) != value)
            raise BGAError(Errors.B692.format(path=self.materials.folder, other=other))
        write_json(path, settings)

    def _arm(self, arm: str, seed: int) -> dict[str, Any]:
        from spacy_bga.training.train import train

        folder = self.materials.folder
        record = folder / "scores" / f"{ARMS[arm]}-{seed}.json"
        if (known := read_json(record)) is not None:
            return known
        started = time.monotonic()
        output = folder / "models" / f"{ARMS[arm]}-{seed}"
        config = folder / "configs" / f"{ARMS[arm]}.cfg"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(self._config(arm), encoding="utf8")
        train(config, output, resume=True, overrides={"system.seed": seed, **self._budget(config)})
        nlp = load_pipeline(output / "model-best")
        scores = {"counts": self._counts(nlp), "trust": _trust(nlp)}
        scores["seconds"] = round(time.monotonic() - started, 1)
        write_json(record, scores)
        if seed:
            shutil.rmtree(output)
        return scores

    def _config(self, arm: str) -> str:
        paths = self.materials.paths(pictures=arm != TEXT_ONLY, shuffled=arm == SHUFFLED)
        if arm == TEXT_ONLY:
            return make_config(Choices("text_only", self.lang, self.text_encoder, paths=paths))
        eyes = (self.vision_encoder, self.visual_features)
        return make_config(Choices("starter", self.lang, self.text_encoder, *eyes, paths=paths))

    def _budget(self, config: Path) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): The schedule that fits the posts, or a shorter one that fits the time."""
        from spacy.util import load_config

        training = load_config(config, interpolate=True)["training"]
        steps = max(1, min(training["max_steps"], round(self.minutes * STEPS_PER_MINUTE)))
        return {
            "training.max_steps": steps,
            "training.eval_frequency": max(1, steps // 4),
            "training.optimizer.learn_rate.total_steps": steps,
            "training.optimizer.learn_rate.warmup_steps": max(1, steps // 10),
            "training.logger.output_file": None,
        }

    def _counts(self, nlp: Language) -> dict[str, list[list[int]]]:
        judged = judge_corpus(nlp, self.materials.test)
        train = self.materials.folder / "train.spacy"
        slices = choose_slices([judged], nlp, train=train, pairs=self.materials.pictured)
        counts = {name: judged.counts(chosen) for name, chosen in slices.items()}
        right_borders = counts["all"].copy()
        for entity in judged.predicted:
            right_borders[entity.document, 0] += entity.verdict is Verdict.WRONG_LABEL
        return {name: rows.tolist() for name, rows in {**counts, KINDS_IGNORED: right_borders}.items()}


def _trust(nlp: Language) -> float | None:
    """RETURNS (Optional[float]): How far the tagger goes by what words look like; None if it knows no images."""
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.bridge import get_shim

    aligners = [get_shim(pipe.model).aligner for _, pipe in nlp.pipeline if isinstance(pipe, BGANer)]
    trusts = [float(aligner.words.trust) for aligner in aligners if aligner.words is not None]
    return trusts[0] if trusts else None
