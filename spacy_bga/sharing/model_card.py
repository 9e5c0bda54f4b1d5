"""The model card: README.md of a package and of its repository, written from what the pipeline and its scores say."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.evaluation.markdown import number, table, text
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.sharing.card_metadata import METRICS, Scores, card_metadata, package_name

DEV_SET = "the development set, by which the weights were chosen"
CITATION = """```bibtex
@inproceedings{chen2023bga,
  title     = {Learning Implicit Entity-object Relations by Bidirectional Generative Alignment for Multimodal NER},
  author    = {Chen, Feng and Liu, Jiajia and Ji, Kaixiang and Ren, Wang and Wang, Jian and Wang, Jingdong},
  booktitle = {Proceedings of the 31st ACM International Conference on Multimedia},
  pages     = {4555--4563},
  year      = {2023},
  doi       = {10.1145/3581783.3612095}
}
```
"""


def model_card(nlp: Language, scores: Scores | None, *, texts: Sequence[str] = ()) -> str:
    """Write the model card of a trained pipeline. Nothing in it is made up: what isn't known isn't said.

    nlp (Language): The pipeline. scores (Optional[Scores]): Its scores; None: those of its training.
    texts (Sequence[str]): Texts to show what it finds in them.
    RETURNS (str): Markdown, with the hub's YAML in front.
    RAISES (BGAError): The pipeline has no `bga_ner`.
    """
    components = {name: pipe for name, pipe in nlp.components if isinstance(pipe, BGANer)}
    if not components:
        raise BGAError(Errors.B650.format(pipes=", ".join(nlp.component_names)))
    meta = nlp.meta
    if not meta.get("license"):
        warnings.warn(Warnings.W651, stacklevel=2)
    scores = scores or training_scores(meta)
    sections = [
        f"# {package_name(meta)}\n\n{meta.get('description') or _describe(components)}\n",
        "## Use\n\n" + _use(nlp, texts),
        *([f"## Scores\n\n{_scores(scores)}"] if scores else []),
        "## What is in it\n\n" + _contents(nlp, components),
        *([f"## Data\n\n{data}"] if (data := _data(nlp)) else []),
        *([f"## Sources and licences\n\n{sources}"] if (sources := _sources(meta)) else []),
        "## Limits\n\n" + _limits(components, scores),
        *([f"## Notes\n\n{meta['notes']}\n"] if meta.get("notes") else []),
        "## Citation\n\n" + CITATION,
    ]
    return card_metadata(meta, scores, texts=texts) + "\n" + "\n".join(sections)


def training_scores(meta: Mapping[str, Any]) -> Scores | None:
    """RETURNS (Optional[Scores]): What `spacy train` wrote into meta.json; None for a pipeline not made by it."""
    performance = meta.get("performance") or {}
    return Scores(DEV_SET, performance) if isinstance(performance.get("ents_f"), float) else None


def read_scores(path: Path, *, dataset: str) -> Scores:
    """Read what `spacy evaluate --output` wrote.

    path (Path): The JSON file. dataset (str): What to call the texts that were scored.
    RETURNS (Scores): The scores. RAISES (BGAError): There is no such file, or no score of entities in it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError) as error:
        raise BGAError(Errors.B652.format(path=path, reason=error)) from error
    missing = [key for key in METRICS if not isinstance(values, dict) or not isinstance(values.get(key), int | float)]
    if missing:
        raise BGAError(Errors.B652.format(path=path, reason=f"there is no {', '.join(missing)}"))
    return Scores(dataset, values)


def _describe(components: Mapping[str, BGANer]) -> str:
    labels = sorted({label for component in components.values() for label in component.labels})
    learnt = "texts and their images" if any(map(_saw_images, components.values())) else "texts"
    return (
        f"A spaCy pipeline that finds named entities ({', '.join(f'`{label}`' for label in labels)}) in text. It "
        f"learnt from {learnt}, with `spacy_bga` (BGA-MNER, [arXiv 2308.02570](https://arxiv.org/abs/2308.02570))."
    )


def _saw_images(component: BGANer) -> bool:
    from spacy_bga.pipeline.bridge import get_shim

    return get_shim(component.model).aligner.config.sees


def _use(nlp: Language, texts: Sequence[str]) -> str:
    name, version = package_name(nlp.meta), nlp.meta["version"]
    shown = texts[0] if texts else "..."
    lines = [
        "```bash\n" + f"pip install {name}-{version}-py3-none-any.whl\n```\n",
        f'```python\nimport spacy\n\nnlp = spacy.load("{name}")\ndoc = nlp({json.dumps(shown, ensure_ascii=False)})',
        "print([(ent.text, ent.label_) for ent in doc.ents])",
        *([f"# {[(ent.text, ent.label_) for ent in nlp(shown).ents]}"] if texts else []),
        "```\n",
    ]
    found = [(text(other), text(", ".join(f"{e.text} ({e.label_})" for e in nlp(other).ents))) for other in texts[1:]]
    return "\n".join(lines) + ("\n" + table(["text", "found"], found, left=2) if found else "")


def _scores(scores: Scores) -> str:
    percent = [(key, scores.values.get(key)) for key in METRICS]
    rows: list[tuple[str, ...]] = [("all", *(_percent(value) for _, value in percent))]
    rows += [
        (f"`{text(label)}`", *(_percent(part.get(key)) for key in ("p", "r", "f")))
        for label, part in scores.by_label.items()
    ]
    return f"Whole entities with their labels, in percent, on {scores.dataset}.\n\n" + table(
        ["label", *(title for _, title in METRICS.values())], rows
    )


def _percent(share: Any) -> str:
    return number(100 * share if isinstance(share, int | float) else None)


def _contents(nlp: Language, components: Mapping[str, BGANer]) -> str:
    from spacy_bga.pipeline.bridge import get_shim

    meta = nlp.meta
    rows = [
        ("version", meta["version"]),
        ("spaCy", f"`{meta['spacy_version']}`"),
        ("language", meta["lang"]),
        ("pipeline", ", ".join(f"`{name}`" for name in nlp.component_names)),
        *(
            (f"labels of `{name}`", ", ".join(f"`{text(label)}`" for label in labels))
            for name, labels in meta["labels"].items()
            if labels
        ),
    ]
    for name, component in components.items():
        aligner = get_shim(component.model).aligner
        millions = sum(parameter.numel() for parameter in aligner.parameters()) / 1e6
        kept = "kept" if aligner.visual is not None else "left out; it is needed for training only"
        rows.append((f"parameters of `{name}`", f"{millions:.1f} million"))
        rows.append((f"backend of `{name}`", nlp.get_pipe_config(name).get("backend", "torch")))
        if _saw_images(component):
            rows.append((f"visual branch of `{name}`", kept))
    author = meta.get("author")
    if author:
        rows.append(("author", f"[{text(author)}]({meta['url']})" if meta.get("url") else text(author)))
    rows.append(("licence", text(meta.get("license") or "not stated")))
    return table(["", ""], rows, left=2)


def _data(nlp: Language) -> str:
    rows = list(_corpora(nlp))
    return table(["corpus", "texts", "with labels", "entities", "with an image"], rows) if rows else ""


def _corpora(nlp: Language) -> Iterator[tuple[str, int, int, int, int]]:
    """YIELDS (tuple[str, int, int, int, int]): What the files of the config hold, as far as they are still there."""
    from spacy_bga.diagnostics.sources import FILE_READERS, DocumentReader, find_sources

    config = nlp.config.interpolate()
    read = DocumentReader(nlp)
    for source in find_sources(config) if config.get("corpora") else ():
        if source.reader not in FILE_READERS:
            continue
        documents = list(read(source))
        if documents:
            yield (
                source.name,
                len(documents),
                sum(document.annotation.known for document in documents),
                sum(len(document.annotation.mentions) for document in documents),
                sum(bool(document.images) for document in documents),
            )


def _sources(meta: Mapping[str, Any]) -> str:
    sources = [{"name": source} if isinstance(source, str) else source for source in meta.get("sources") or ()]
    rows = [
        (
            f"[{text(source['name'])}]({source['url']})" if source.get("url") else text(source["name"]),
            *(text(source[key]) if source.get(key) else None for key in ("role", "author", "license", "origin")),
        )
        for source in sources
    ]
    return table(["source", "role", "author", "licence", "came from"], rows, left=5) if rows else ""


def _limits(components: Mapping[str, BGANer], scores: Scores | None) -> str:
    looks = [name for name, component in components.items() if component.images.are_looked_at]
    image = (
        f"`{', '.join(looks)}` looks at a document's image if it has one, and else finds entities from text alone."
        if looks
        else "No image is looked at: entities are found from text alone."
    )
    lines = [image]
    if scores is None:
        lines.append("It comes without scores.")
    elif scores.dataset == DEV_SET:
        lines.append("Scores on texts that the weights were chosen by are too good for texts that it has never seen.")
    else:
        lines.append(f"It was scored on {scores.dataset}. On texts of another kind it may do worse.")
    return "".join(f"- {line}\n" for line in lines)
