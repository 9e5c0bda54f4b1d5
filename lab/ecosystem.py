"""One encoder for a whole pipeline: what its components score and how fast they are, against an encoder each.

    python -m lab.ecosystem corpus corpus/embedded corpus/whole
    python -m lab.ecosystem train corpus/whole training/whole --images assets/embedded --pairs corpus/embedded
    python -m lab.ecosystem speed corpus/whole training/whole
    python -m lab.ecosystem scores corpus/whole training/whole

The last two write their part of docs/evidence/ecosystem.json, and so does this of the versions that it runs on, with
the report of their tests:

    python -m pytest tests/pipeline --junitxml training/report.xml
    python -m lab.ecosystem versions training/report.xml

The corpus is the embedded one, with a tag for each token by a rule and a category for each post: what its first name is
of. Of names that only pictures explain, no text tells that.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Token
from spacy.training import Example

from lab.running import paths, run, schedule
from spacy_bga.evaluation import provenance

EVIDENCE = Path("docs/evidence/ecosystem.json")
CONFIG = Path("configs/whole_pipeline.cfg")
OWN = {
    "@architectures": "spacy_bga.BGATok2Vec.v1",
    "rate_scales": {"encoder": 0.1},
    "aligner": {
        "@architectures": "spacy_bga.BGAModel.v2",
        "text_encoder": "sentence-transformers/all-MiniLM-L6-v2",
        "vision_encoder": None,
        "words": False,
        "bga_layers": 0,
    },
}
VERSIONS = ("python", "spacy", "torch", "transformers", "spacy_transformers")
PIPELINES = {
    "shared": ["bga_ner", "tagger", "textcat"],
    "bga_ner": ["bga_ner"],
    "tagger": ["tagger"],
    "textcat": ["textcat"],
}


def tag_of(token: Token) -> str:
    """RETURNS (str): What kind of token it is, by a rule; of entities, by the annotation."""
    if token.ent_type_:
        return "NAME"
    if token.like_url or token.text.startswith("@"):
        return "LINK"
    if token.is_punct or not any(character.isalnum() for character in token.text):
        return "SIGN"
    if token.like_num:
        return "NUMBER"
    return "FUNCTION" if token.is_stop else "CONTENT"


def annotate(doc: Doc) -> Doc:
    """RETURNS (Doc): The document, with a tag for each token and a category."""
    for token in doc:
        token.tag_ = tag_of(token)
    about = doc.ents[0].label_ if doc.ents else "NONE"
    doc.cats = {label: float(label == about) for label in ("PER", "LOC", "ORG", "MISC", "NONE")}
    return doc


def make_corpus(source: Path, target: Path) -> None:
    """Write the parts of a corpus once more, with tags and categories."""
    vocab = spacy.blank("en").vocab
    for part in ("train", "dev", "test"):
        docs = DocBin().from_disk(source / f"{part}.spacy").get_docs(vocab)
        target.mkdir(parents=True, exist_ok=True)
        DocBin(docs=map(annotate, docs), store_user_data=True).to_disk(target / f"{part}.spacy")


def config_of(name: str, target: Path) -> Path:
    """RETURNS (Path): The config of one of `PIPELINES`: an encoder for all, or for one component alone."""
    config = spacy.util.load_config(CONFIG, interpolate=False)
    config["nlp"]["pipeline"] = PIPELINES[name]
    for component in [*config["components"]]:
        if component not in PIPELINES[name]:
            del config["components"][component]
        elif name != "shared" and component != "bga_ner":
            config["components"][component]["model"]["tok2vec"] = OWN
    if name in ("tagger", "textcat"):  # neither knows anything of pictures
        config["initialize"]["components"] = {}
        config["corpora"]["train"] = config["corpora"]["train"]["labelled"]
        config["training"]["logger"] = {"@loggers": "spacy.ConsoleLogger.v1"}
    scores = {"tagger": "tag_acc", "textcat": "cats_score", "bga_ner": "ents_f"}
    if name in scores:
        config["training"]["score_weights"] = {scores[name]: 1.0}
    target.mkdir(parents=True, exist_ok=True)
    config.to_disk(target / f"{name}.cfg")
    return target / f"{name}.cfg"


def train(corpus: Path, folder: Path, *, images: Path, pairs: Path, steps: int, names: Sequence[str]) -> None:
    """Train some of `PIPELINES`. images (Path): The image root of the pairs, and its folder `images` that of posts."""
    for name in names:
        places: dict[str, Path] = {"train": corpus / "train.spacy", "dev": corpus / "dev.spacy"}
        places["images"] = images / "images"
        if "bga_ner" in PIPELINES[name]:
            features = folder / "features"
            places |= {"pairs": pairs / "pairs.spacy", "pair_images": images, "features": features}
        config = config_of(name, folder)
        settings = [*paths(**places), *schedule(steps, steps // 5)]
        run("spacy", "train", str(config), "--output", str(folder / name), *settings, log=folder / f"{name}.log")


def scores(corpus: Path, folder: Path) -> dict[str, float]:
    """RETURNS (dict[str, float]): Scores of the test part, with one encoder and with an encoder each."""
    found = {}
    for name in PIPELINES:
        nlp = spacy.load(folder / name / "model-best")
        examples = read_examples(nlp, corpus / "test.spacy")
        found[name] = nlp.evaluate(examples)
    return {
        "tagger_acc_shared": found["shared"]["tag_acc"],
        "tagger_acc_own": found["tagger"]["tag_acc"],
        "textcat_f_shared": found["shared"]["cats_macro_f"],
        "textcat_f_own": found["textcat"]["cats_macro_f"],
        "textcat_auc_shared": found["shared"]["cats_macro_auc"],
        "textcat_auc_own": found["textcat"]["cats_macro_auc"],
        "ents_f_alone": found["bga_ner"]["ents_f"],
        "ents_f_shared": found["shared"]["ents_f"],
    }


def read_examples(nlp: Language, path: Path) -> list[Example]:
    docs = DocBin().from_disk(path).get_docs(nlp.vocab)
    return [
        Example(Doc(nlp.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc]), doc)
        for doc in docs
    ]


def ratio(slow: Callable[[], Any], fast: Callable[[], Any], *, rounds: int) -> dict[str, float]:
    """RETURNS (dict[str, float]): How many times as much processor time one takes as the other, the median of rounds in
    which both take turns, with the least and the most."""
    ratios = []
    for number in range(rounds):
        times = {}
        for run_it in (slow, fast) if number % 2 else (fast, slow):
            gc.collect()
            started = time.process_time()
            run_it()
            times[run_it] = time.process_time() - started
        ratios.append(times[slow] / times[fast])
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "rounds": rounds}


def tagging_ratio(corpus: Path, folder: Path, *, rounds: int) -> dict[str, float]:
    """RETURNS (dict[str, float]): How many times as fast three components tag with one encoder as with three."""
    shared, each = (spacy.load(folder / "shared" / "model-best") for _ in range(2))
    for name in ("tagger", "textcat"):
        each.replace_listeners("bga_ner", name, ["model.tok2vec"])
    texts = [example.reference.text for example in read_examples(shared, corpus / "test.spacy")]
    for one, other in zip(shared.pipe(texts), each.pipe(texts), strict=True):  # warms up as well
        if [token.tag_ for token in one] != [token.tag_ for token in other] or one.to_json()["ents"] != other.to_json()[
            "ents"
        ]:
            raise RuntimeError("an encoder each finds something else")
    return ratio(lambda: list(each.pipe(texts)), lambda: list(shared.pipe(texts)), rounds=rounds)


def training_ratio(corpus: Path, *, rounds: int) -> dict[str, float]:
    """RETURNS (dict[str, float]): How many times as fast three components learn with the encoder of `bga_ner` as `ner`
    and two others do with that of spaCy's `transformer`, both of text alone."""
    from spacy_bga.pipeline.encoders import resolve_encoder

    listening = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "pooling": {"@layers": "reduce_mean.v1"},
        "grad_factor": 1.0,
    }
    pipelines = {}
    for upstream in ("bga_ner", "transformer"):
        nlp = spacy.blank("en")
        tok2vec = listening | {"upstream": upstream}
        if upstream == "bga_ner":
            nlp.add_pipe("bga_ner", config={"model": OWN["aligner"]})
        else:
            folder = str(resolve_encoder(OWN["aligner"]["text_encoder"]))  # type: ignore[index]
            spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
            model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": folder, "get_spans": spans}
            nlp.add_pipe("transformer", config={"model": model | {"tokenizer_config": {"use_fast": True}}})
            parser = {
                "@architectures": "spacy.TransitionBasedParser.v2",
                "state_type": "ner",
                "extra_state_tokens": False,
            }
            shape = {"hidden_width": 64, "maxout_pieces": 2, "use_upper": False, "nO": None}
            nlp.add_pipe("ner", config={"model": parser | shape | {"tok2vec": tok2vec}})
        nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
        reduce = {"use_reduce_first": False, "use_reduce_last": False, "use_reduce_max": True, "use_reduce_mean": True}
        model = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True, "tok2vec": tok2vec} | reduce
        nlp.add_pipe("textcat", config={"model": model})
        examples = read_examples(nlp, corpus / "train.spacy")[:128]
        optimizer = nlp.initialize(lambda examples=examples: examples)
        pipelines[upstream] = (nlp, examples, optimizer)

    def update(upstream: str) -> None:
        nlp, examples, optimizer = pipelines[upstream]
        for start in range(0, len(examples), 16):
            nlp.update(examples[start : start + 16], sgd=optimizer, drop=0.1)

    for upstream in pipelines:
        update(upstream)
    return ratio(lambda: update("transformer"), lambda: update("bga_ner"), rounds=rounds)


def versions(reports: Sequence[Path]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What is installed, and how the tests went, by pytest's reports in JUnit's format."""
    installed = provenance.versions(["spacy_transformers"])
    suites = [suite for report in reports for suite in ElementTree.parse(report).iter("testsuite")]
    names = ("tests", "failures", "errors", "skipped")
    counts = {name: sum(int(suite.get(name, 0)) for suite in suites) for name in names}
    failed = counts["failures"] + counts["errors"]
    modules = {case.get("classname", "").split(".")[1] for suite in suites for case in suite.iter("testcase")}
    return {name: installed[name] for name in VERSIONS} | {
        "tests": sorted(f"tests/{name}" if Path("tests", name).is_dir() else f"tests/{name}.py" for name in modules),
        "passed": counts["tests"] - failed - counts["skipped"],
        "failed": failed,
        "skipped": counts["skipped"],
        "commit": provenance.commit(),
    }


def write(part: dict[str, Any], *, into: str = "listeners", path: Path = EVIDENCE) -> None:
    """Add to the evidence. into (str): "listeners", whose figures are replaced, or "versions", of which each has one
    entry."""
    known = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {"versions": [], "listeners": {}}
    if into == "listeners":
        known[into] |= part
    else:
        others = [entry for entry in known[into] if any(entry[key] != part[key] for key in (*VERSIONS, "tests"))]
        known[into] = [*others, part]
    path.write_text(json.dumps(known, indent=2) + "\n", encoding="utf8")
    print(json.dumps(part, indent=2))


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["corpus", "train", "speed", "scores", "versions"])
    parser.add_argument("paths", type=Path, nargs="+", help="a corpus and a folder, or reports of tests")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="*", default=[*PIPELINES], choices=[*PIPELINES])
    found = parser.parse_args()
    if found.step == "versions":
        write(versions(found.paths), into="versions")
        return
    corpus, folder = found.paths
    if found.step == "corpus":
        make_corpus(corpus, folder)
    elif found.step == "train":
        train(corpus, folder, images=found.images, pairs=found.pairs, steps=found.steps, names=found.only)
    elif found.step == "speed":
        fast = tagging_ratio(corpus, folder, rounds=found.rounds)
        learns = training_ratio(corpus, rounds=found.rounds)
        part = {"speed_ratio": fast["median"], "speed": fast, "train_ratio": learns["median"], "train": learns}
        write(part | {"speed_commit": provenance.commit()})
    else:
        part = {name: round(value, 4) for name, value in scores(corpus, folder).items()}
        write(part | {"scores_commit": provenance.commit()})


if __name__ == "__main__":
    main()
