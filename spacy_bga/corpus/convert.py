"""From a benchmark's or a collector's file to spaCy's binary training format, with a report of what was found."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.conll import find_image, map_tag, mend_tags, post_to_doc, read_conll
from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.corpus.inspection import ImageInspector
from spacy_bga.corpus.jsonl import read_jsonl, record_to_doc
from spacy_bga.corpus.pair_splits import Part, read_split
from spacy_bga.corpus.report import ConversionReport, Tally
from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError, Errors

Format = Literal["auto", "conll", "jsonl"]


def convert(
    source: str | Path,
    output: str | Path,
    *,
    images: str | Path | None = None,
    image_prefix: str = "",
    format: Format = "auto",
    label_map: Mapping[str, str] | None = None,
    lang: str | Language = "en",
    split: str | Path | None = None,
    part: Part | None = None,
    shuffle_images: int | None = None,
    check_images: bool = True,
    skip: int = 0,
    limit: int | None = None,
    strict: bool = False,
) -> ConversionReport:
    """Convert a file of texts with images. `Doc._.image` becomes a path relative to the image root, or a list of them.

    source (str | Path): A CoNLL file with IMGID lines, or JSONL.
    output (str | Path): The .spacy file to write.
    images (str | Path | None): The image root. None: for JSONL the source's folder, for CoNLL no images.
    image_prefix (str): What the paths in JSONL are relative to, below the image root: several sources with folders of
        their own can then share one root.
    format (str): "conll", "jsonl", or "auto": by the name and first line of the source.
    label_map (Mapping[str, str] | None): Old labels and their new names; others stay.
    lang (str | Language): The language whose tokenizer reads JSONL texts, or a pipeline with the tokenizer.
    split (str | Path | None): A split of image-text pairs in JSONL, to convert only one part of them.
    part (Literal["train", "dev", "test"] | None): That part. Of dev and test, each image with its first text only.
    shuffle_images (int | None): A seed. Give every document another one's image: the control experiment. With a part,
        images change hands within it.
    check_images (bool): Leave out images that are missing or cannot be decoded, and report them. If False, only
        paths that lead out of the root are left out.
    skip (int): Leave out so many documents at the beginning. limit (int | None): Stop after so many others.
    strict (bool): Raise at the first line that cannot be used, also where it could be left out.
    RETURNS (ConversionReport): What was found and done.
    RAISES (BGAError): There is no source, no image folder, nothing to write, or a line of it cannot be read.
    """
    source, output = Path(source), Path(output)
    _check_places(source, output, Path(images) if images is not None else None)
    nlp = lang if isinstance(lang, Language) else _blank(lang)
    tally = Tally()
    labels = label_map or {}
    format = _detect_format(source) if format == "auto" else format
    wanted = part is not None
    if wanted != (split is not None) or (wanted and (part not in get_args(Part) or format != "jsonl")):
        raise BGAError(Errors.B337.format(part=part, split=split))
    if format == "conll":
        found = _conll_docs(source, nlp, tally, labels, Path(images) if images is not None else None)
    elif format == "jsonl":
        found = _jsonl_docs(source, nlp, tally, labels, strict, image_prefix, split, part)
    else:
        raise BGAError(Errors.B334.format(format=format))
    register_image_extension()
    inspector = ImageInspector(Path(images) if images is not None else source.parent, tally, decode=check_images)
    docs = []
    for doc, paths, line in islice(found, skip, None if limit is None else skip + limit):
        usable = inspector.usable(paths, f"{source.name}:{line}")
        doc._.image = usable[0] if len(usable) == 1 else usable or None
        _count(doc, tally)
        docs.append(doc)
    if not docs:
        problems = "".join(f"\n  {problem}" for problem in tally.problems[:3])
        raise BGAError(Errors.B333.format(path=source, format=format, problems=problems))
    if shuffle_images is not None:
        tally.images_shuffled = permute_images(docs, seed=shuffle_images)
    write_docs(docs, output)
    return tally.report()


def permute_images(docs: Sequence[Doc], *, seed: int) -> int:
    """Give the images of documents to other documents among those that have one. Texts that share an image stay
    together as far as possible, and nobody keeps their own unless one image belongs to more than half of them.

    docs (Sequence[Doc]): The documents, changed in place.
    seed (int): The seed.
    RETURNS (int): How many documents have another image now.
    """
    groups: dict[tuple[str | bytes, ...], list[Doc]] = {}
    for doc in docs:
        if images := get_images(doc):
            groups.setdefault(tuple(images), []).append(doc)
    order = list(groups)
    random.Random(seed).shuffle(order)
    owners = [doc for key in order for doc in groups[key]]
    keys = [key for key in order for _ in groups[key]]
    # Walking round by the size of the largest group leaves every group's own places.
    step = max((len(group) for group in groups.values()), default=0)
    changed = 0
    for i, doc in enumerate(owners):
        key = keys[(i + step) % len(keys)]
        changed += key != keys[i]
        doc._.image = key[0] if len(key) == 1 else list(key)
    return changed


def parse_label_map(entries: Sequence[str]) -> dict[str, str]:
    """Read a label map as it is written in the console.

    entries (Sequence[str]): Entries as "OLD=NEW".
    RETURNS (dict[str, str]): The map.
    RAISES (BGAError): An entry is written otherwise.
    """
    labels = {}
    for entry in entries:
        old, equals, new = (part.strip() for part in entry.partition("="))
        if not (old and equals and new):
            raise BGAError(Errors.B335.format(entry=entry))
        labels[old] = new
    return labels


def _conll_docs(
    source: Path, nlp: Language, tally: Tally, labels: Mapping[str, str], images: Path | None
) -> Iterator[tuple[Doc, tuple[str, ...], int]]:
    for post in read_conll(source):
        if not post.words:
            tally.problem("empty_posts", f"{source.name}:{post.line}: the post {post.image_id} has no tokens")
            continue
        mended, orphans = mend_tags(post.tags)
        tally.counts["orphan_tags"] += orphans
        tags = [map_tag(tag, labels) for tag in mended]
        for old, new in zip(mended, tags, strict=True):
            if old != new and old.startswith("B-"):
                tally.labels_mapped[f"{old[2:]}={new[2:]}"] += 1
        paths: tuple[str, ...] = ()
        if images is not None and post.image_id:
            path = find_image(post.image_id, images)
            if path is None:
                message = f"{source.name}:{post.line}: there is no image {post.image_id}.* in the image folder"
                tally.problem("images_missing", message)
            paths = () if path is None else (path,)
        yield post_to_doc(post, nlp.vocab, tags=tags), paths, post.line


def _jsonl_docs(
    source: Path,
    nlp: Language,
    tally: Tally,
    labels: Mapping[str, str],
    strict: bool,
    prefix: str,
    split: str | Path | None,
    part: Part | None,
) -> Iterator[tuple[Doc, tuple[str, ...], int]]:
    def leave_out(error: BGAError) -> None:
        tally.problem("bad_lines", str(error))

    records = read_jsonl(source, on_bad_line=None if strict else leave_out)
    if split is not None and part is not None:
        records = read_split(split).select(records, part)
    for record in records:
        if not record.text.strip():
            tally.problem("empty_posts", f"{source.name}:{record.line}: the text is empty")
            continue
        try:
            doc, counts = record_to_doc(record, partial(make_doc, nlp), label_map=labels)
        except BGAError as error:
            if strict:
                raise
            tally.problem("bad_lines", f"{source.name}:{record.line}: {error}")
            continue
        for span in record.spans or ():
            if labels.get(span.label, span.label) != span.label:
                tally.labels_mapped[f"{span.label}={labels[span.label]}"] += 1
        for kind, number in (("misaligned_spans", counts.misaligned), ("overlapping_spans", counts.overlapping)):
            for _ in range(number):
                tally.problem(kind, f"{source.name}:{record.line}: {kind.replace('_', ' ')[:-1]}")
        yield doc, tuple(f"{prefix}/{path}" if prefix else path for path in record.images), record.line


def _count(doc: Doc, tally: Tally) -> None:
    tally.counts["documents"] += 1
    tally.counts["tokens"] += len(doc)
    tally.counts["annotated"] += doc.has_annotation("ENT_IOB")
    tally.counts["documents_without_image"] += doc._.image is None
    tally.entities.update(ent.label_ for ent in doc.ents)


def write_docs(docs: Sequence[Doc], output: Path) -> None:
    """Write documents with their entities, the paths of their images, and nothing else that a pipeline may have set."""
    output.parent.mkdir(parents=True, exist_ok=True)
    doc_bin = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)
    for doc in docs:
        doc_bin.add(doc)
    doc_bin.to_disk(output)


def check_output(path: Path) -> None:
    """Raise a BGAError if spaCy's readers would not find a file of this name."""
    if path.suffix != ".spacy":
        raise BGAError(Errors.B332.format(path=path))


def _check_places(source: Path, output: Path, images: Path | None) -> None:
    if not source.is_file():
        raise BGAError(Errors.B330.format(path=source))
    if images is not None and not images.is_dir():
        raise BGAError(Errors.B331.format(path=images))
    check_output(output)


def _detect_format(source: Path) -> Format:
    if source.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    with source.open("rb") as file:
        return "jsonl" if file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "conll"


def _blank(lang: str) -> Language:
    try:
        return spacy.blank(lang)
    except ImportError as error:
        raise BGAError(Errors.B336.format(lang=lang)) from error
