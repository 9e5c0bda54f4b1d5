"""The part of a model card that the Hugging Face hub reads: YAML in front of the text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TAGS = ("spacy", "token-classification", "named-entity-recognition")
METRICS = {"ents_p": ("precision", "Precision"), "ents_r": ("recall", "Recall"), "ents_f": ("f1", "F1")}


@dataclass(frozen=True)
class Scores:
    """What a pipeline reaches on some texts.

    dataset (str): What to call the texts. values (Mapping[str, Any]): Scores by spaCy's names, such as "ents_f", as
        shares of 1.
    """

    dataset: str
    values: Mapping[str, Any]

    @property
    def by_label(self) -> dict[str, Mapping[str, float]]:
        """RETURNS (dict[str, Mapping[str, float]]): "p", "r" and "f" of each label."""
        return dict(sorted((self.values.get("ents_per_type") or {}).items()))


def package_name(meta: Mapping[str, Any]) -> str:
    """RETURNS (str): What `spacy package` calls a pipeline, such as "en_bga_mner"."""
    prefix = f"{meta['lang']}_"
    return meta["name"] if meta["name"].startswith(prefix) else prefix + meta["name"]


def card_metadata(meta: Mapping[str, Any], scores: Scores | None, *, texts: Sequence[str] = ()) -> str:
    """Write what the hub shows and searches by: language, licence, tags, base models, and the scores as a model index.

    meta (Mapping[str, Any]): The pipeline's meta.json. scores (Optional[Scores]): Its scores.
    texts (Sequence[str]): Examples to try it with.
    RETURNS (str): A YAML document between lines of dashes.
    """
    from huggingface_hub import ModelCardData

    results = _results(scores)
    data = ModelCardData(
        language="multilingual" if meta["lang"] == "xx" else meta["lang"],
        license=hub_licence(meta.get("license") or ""),
        library_name="spacy",
        pipeline_tag="token-classification",
        tags=list(TAGS),
        base_model=[s["name"] for s in meta.get("sources") or () if _is_base_model(s)] or None,
        widget=[{"text": text} for text in texts] or None,
        model_name=package_name(meta) if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml().strip()}\n---\n"


def hub_licence(licence: str) -> str | None:
    """RETURNS (Optional[str]): A licence as the hub writes it, such as "apache-2.0"; None if none is stated."""
    return licence.strip().lower().replace(" ", "-").removeprefix("gnu-") or None


def _is_base_model(source: Any) -> bool:
    # The hub shows the pipeline among those that were trained from these.
    if not isinstance(source, Mapping):
        return False
    return source.get("role") == "text encoder" and source.get("url", "").startswith("https://huggingface.co/")


def _results(scores: Scores | None) -> list[Any]:
    from huggingface_hub import EvalResult

    if scores is None:
        return []
    return [
        EvalResult(
            task_type="token-classification",
            task_name="NER",
            dataset_type=re.sub(r"\W+", "-", scores.dataset.lower()).strip("-"),
            dataset_name=scores.dataset,
            metric_type=kind,
            metric_name=f"NER {title}",
            metric_value=scores.values[key],
        )
        for key, (kind, title) in METRICS.items()
        if isinstance(scores.values.get(key), int | float)
    ]
