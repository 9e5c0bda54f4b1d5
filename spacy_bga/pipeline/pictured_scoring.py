"""Scores of what will run: with the images of texts, also where their reader gives these to gold documents alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from spacy.attrs import ENT_ID, ENT_IOB, ENT_KB_ID, ENT_TYPE
from spacy.tokens import Doc
from spacy.training import Example

if TYPE_CHECKING:
    from spacy_bga.pipeline.bga_ner import BGANer

ENTITY = [ENT_IOB, ENT_TYPE, ENT_KB_ID, ENT_ID]
# What each component found on a document before it tagged it. Here, since a component goes to other processes.
_before: WeakKeyDictionary[Doc, dict[str, Any]] = WeakKeyDictionary()


def remember_entities(component: BGANer, docs: Iterable[Doc]) -> None:
    """Remember the entities that others have set, as long as the documents live.

    component (BGANer): What is about to set more. docs (Iterable[Doc]): The documents.
    """
    for doc in docs:
        _before.setdefault(doc, {})[component.name] = doc.to_array(ENTITY)


def tag_as_it_will_run(component: BGANer, examples: Iterable[Example]) -> list[Example]:
    """Tag those texts anew whose image the component would have looked at, had it been given to the document to tag.

    spaCy's own reader, and with it `spacy evaluate`, leaves what a Doc brings along with the gold document.

    component (BGANer): What has tagged the examples. examples (Iterable[Example]): They stay as they are.
    RETURNS (list[Example]): The same, or new ones in their place.
    """
    from spacy_bga.corpus.images import get_images

    examples = list(examples)
    if component.visual_context == "generated" or not component.images.are_looked_at:
        return examples
    attr, tagged = component.image_attr, {}
    for place, example in enumerate(examples):
        before = _before.get(example.predicted, {}).get(component.name)
        if before is None or get_images(example.predicted, attr=attr):
            continue
        if images := get_images(example.reference, attr=attr):
            doc = example.predicted.copy()
            doc.from_array(ENTITY, before)
            doc._.set(attr, images)
            tagged[place] = doc
    for _ in component.pipe(tagged.values()):
        pass
    return [Example(tagged[i], e.reference) if i in tagged else e for i, e in enumerate(examples)]
