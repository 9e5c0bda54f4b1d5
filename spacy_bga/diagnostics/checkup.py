"""The whole check: each document is read once, and shown to every check."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from spacy.language import Language
from thinc.api import Config

from spacy_bga.diagnostics.annotations import AnnotationCheck
from spacy_bga.diagnostics.component import (
    bga_component,
    configured_labels,
    given_features,
    image_roots,
    make_tokenizer,
    only_aligns,
    windowing,
)
from spacy_bga.diagnostics.conflicts import ConflictCheck
from spacy_bga.diagnostics.coverage import CoverageCheck
from spacy_bga.diagnostics.estimate import estimate
from spacy_bga.diagnostics.gallery import Gallery
from spacy_bga.diagnostics.given_features import FeatureCheck
from spacy_bga.diagnostics.images import ImageCheck
from spacy_bga.diagnostics.labels import LabelCheck
from spacy_bga.diagnostics.originals import check_originals
from spacy_bga.diagnostics.report import Finding, Report, Section, Table
from spacy_bga.diagnostics.sources import Document, DocumentReader, Source, find_sources
from spacy_bga.diagnostics.texts import TextCheck
from spacy_bga.errors import BGAError, Errors


class Check(Protocol):
    """What is shown every document."""

    def see(self, document: Document) -> None:
        """Look at one document."""


def check_data(
    config: Config,
    *,
    look_at_images: bool = True,
    roots: Sequence[Path] = (),
    originals: Sequence[Path] = (),
    measure: bool = False,
) -> Report:
    """Check the corpora of a config. Broken data is a finding; it ends nothing.

    config (Config): The config, overridden and interpolated.
    look_at_images (bool): Whether to read image files.
    roots (Sequence[Path]): More image roots, for readers that have none.
    originals (Sequence[Path]): The CoNLL or JSONL files that the corpora were converted from, to check them, too.
    measure (bool): Whether to train on a sample, to estimate the time and memory of an epoch.
    RETURNS (Report): What was found.
    RAISES (BGAError): The config has no corpora or no tokenizer, or a root is no folder.
    """
    for root in roots:
        if not root.is_dir():
            raise BGAError(Errors.B331.format(path=root))
    sources = find_sources(config)
    train = str((config.get("training") or {}).get("train_corpus", "corpora.train")).removeprefix("corpora.")
    nlp = make_tokenizer(config)
    reader = DocumentReader(nlp)
    known = [root for root in dict.fromkeys([*image_roots(config), *roots]) if root.is_dir()]
    given = given_features(config)
    images = ImageCheck(known, Gallery() if look_at_images else None) if given is None else FeatureCheck(given)
    labels, annotations = (
        LabelCheck(train, configured_labels(config), only_aligns=only_aligns(config)),
        AnnotationCheck(nlp, reader),
    )
    conflicts, texts, coverage = ConflictCheck(), TextCheck(), CoverageCheck(train, windowing(config))
    checks: list[Check] = [labels, annotations, conflicts, texts, coverage, images]
    for source in sources:
        for document in reader(source):
            for check in checks:
                check.see(document)
    sections = [_about(config, sources, nlp), annotations.section()]
    if (section := check_originals(originals, lang=nlp.lang or "xx")) is not None:
        sections.append(section)
    sections += [labels.section(), conflicts.section(), coverage.section(), texts.section(), *images.sections()]
    skipped = Finding("estimate-skipped", "info", "Not measured; --estimate trains on a few batches and tells")
    sections.append(estimate(config) if measure else Section("Estimate of an epoch", (skipped,)))
    return Report(tuple(sections))


def _about(config: Config, sources: Sequence[Source], nlp: Language) -> Section:
    rows = [(source.name, source.reader, str(source.path or "-"), str(source.images or "-")) for source in sources]
    table = Table(("Corpus", "Reader", "Path", "Image root"), rows)
    name = bga_component(config)
    text = f"Language: {nlp.lang}; component: {name or 'none of the factory bga_ner'}"
    return Section("Corpora", (Finding("pipeline", "info", text),), (table,))
