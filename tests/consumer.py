"""Somebody else's code, which .ci/run checks against the installed wheel: the types that `py.typed` promises."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from spacy.language import Language

from spacy_bga import __version__
from spacy_bga.aligner.model import BGAModel
from spacy_bga.corpus.convert import convert
from spacy_bga.pipeline.bga_ner import BGANer
from spacy_bga.sharing.hub import push
from spacy_bga.sharing.model_card import model_card
from spacy_bga.viewer import render


def use(nlp: Language, pipe: BGANer) -> None:
    assert_type(__version__, str)
    assert_type(pipe.labels, tuple[str, ...])
    assert_type(pipe.add_label("FIRMA"), int)
    assert_type(BGAModel.from_pretrained(Path("model")), BGAModel)
    assert_type(convert("a.txt", "a.spacy", lang="de").entities, dict[str, int])
    assert_type(model_card(nlp, None), str)
    assert_type(push(Path("a.whl")), str)
    assert_type(render([])._repr_html_(), str)
