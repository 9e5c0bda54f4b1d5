"""From files of benchmarks and annotation tools to spaCy's binary training format, with a report of what was found."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import get_args

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.brat import read_brat
from spacy_bga.corpus.conll import read_conll
from spacy_bga.corpus.documents import DocumentMaker
from spacy_bga.corpus.formats import FOLDER_FORMATS, JSON_FORMATS, Format, Item, detect_format, read_json
from spacy_bga.corpus.hugging_face import PREFIX, HuggingFaceRows
from spacy_bga.corpus.image_folder import ImageFolder
from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.corpus.inspection import ImageInspector
from spacy_bga.corpus.offsets import Offsets
from spacy_bga.corpus.pair_splits import Part, read_split
from spacy_bga.corpus.record import Record
from spacy_bga.corpus.report import ConversionReport, Tally
from spacy_bga.corpus.tag_schemes import find_scheme
from spacy_bga.errors import BGAError, Errors

OnBad = Callable[[BGAError], None] | None


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
    offsets: Offsets = "auto",
) -> ConversionReport:
    """Convert a file of texts with images. `Doc._.image` becomes a path relative to the image root, the encoded image
    where the source has it in itself, or a list of them.

    source (str | Path): A file of CoNLL, JSON or JSONL, a folder of brat's, or "hf:" and a data set of Hugging Face.
    output (str | Path): The .spacy file to write.
    images (str | Path | None): The image root. None: the source's folder; for CoNLL no images.
    image_prefix (str): What the paths in JSONL are relative to, below the image root: several sources with folders of
        their own can then share one root.
    format (str): "conll", "jsonl", "prodigy", "doccano", "label-studio", "label-studio-min", "spacy-json", "brat",
        "hf", or "auto": by what the source holds, in JSON object by object.
    label_map (Mapping[str, str] | None): Old labels and their new names; others stay.
    lang (str | Language): The language whose tokenizer reads JSONL texts, or a pipeline with the tokenizer.
    split (str | Path | None): A split of image-text pairs in JSONL, to convert only one part of them.
    part (Literal["train", "dev", "test"] | None): That part. Of dev and test, each image with its first text only.
    shuffle_images (int | None): A seed. Give every document another one's image: the control experiment. With a part,
        images change hands within it.
    check_images (bool): Leave out images that are missing or cannot be decoded, and report them. If False, only
        paths that lead out of the root are left out; a CoNLL file without an image root has its IMGIDs as images, the
        keys of given features.
    skip (int): Leave out so many documents at the beginning. limit (int | None): Stop after so many others.
    strict (bool): Raise at the first line that cannot be used, also where it could be left out.
    offsets (str): What the offsets of spans count: "characters", "utf-16" (as JavaScript does), or "auto": characters,
        unless the spans' own texts say otherwise.
    RETURNS (ConversionReport): What was found and done.
    RAISES (BGAError): There is no source, no image folder, nothing to write, or a line of it cannot be read.
    """
    if str(source).startswith(PREFIX):
        source = str(source).removeprefix(PREFIX)
        format = "hf" if format == "auto" else format
    source, output, root = Path(source), Path(output), None if images is None else Path(images)
    _check_places(source, output, root)
    _check_choices(format, offsets)
    nlp = lang if isinstance(lang, Language) else _blank(lang)
    tally = Tally()
    kind = detect_format(source) if format == "auto" else format
    if kind is None or (source.is_dir() and kind not in FOLDER_FORMATS):
        raise BGAError(Errors.B330.format(path=source))
    wanted = part is not None
    if wanted != (split is not None) or (wanted and (part not in get_args(Part) or kind not in JSON_FORMATS)):
        raise BGAError(Errors.B337.format(part=part, split=split))

    def leave_out(error: BGAError) -> None:
        tally.problem("bad_lines", str(error))

    found = _read(source, kind, root, tally, None if strict else leave_out)
    if split is not None and part is not None:
        found = read_split(split).select((item for item in found if isinstance(item, Record)), part)
    register_image_extension()
    inspector = ImageInspector(root or (source if source.is_dir() else source.parent), tally, decode=check_images)
    folder = None if root is None else ImageFolder(root)
    maker = DocumentMaker(
        source,
        nlp,
        tally,
        inspector,
        labels=label_map or {},
        strict=strict,
        offsets=offsets,
        image_prefix=image_prefix,
        folder=folder,
    )
    made = (doc for item in found if (doc := maker.make(item)) is not None)
    docs = []
    for doc in islice(made, skip, None if limit is None else skip + limit):
        _count(doc, tally)
        docs.append(doc)
    if not docs:
        problems = "".join(f"\n  {problem}" for problem in tally.problems[:3])
        raise BGAError(Errors.B333.format(path=source, format=", ".join(tally.formats) or kind, problems=problems))
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


def _read(source: Path, kind: str, images: Path | None, tally: Tally, on_bad: OnBad) -> Iterator[Item]:
    """YIELDS (Record | Post | LeftOut): What a source of a known kind holds."""
    if kind in JSON_FORMATS:
        for name, item in read_json(source, kind, on_bad):
            tally.formats[name] += 1
            yield item
        return
    items: Iterator[Item]
    if kind == "conll":
        posts = list(read_conll(source, on_bad_line=on_bad))
        tally.tag_scheme = find_scheme(post.tags for post in posts)
        items = iter(posts)
    elif kind == "hf":
        rows = HuggingFaceRows(source)
        tally.tag_scheme = find_scheme(rows.tag_sequences())
        items = rows.read(on_bad)
    else:
        items = read_brat(source, images, on_bad)
    for item in items:
        tally.formats[kind] += 1
        yield item


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
    if not source.exists():
        raise BGAError(Errors.B330.format(path=source))
    if images is not None and not images.is_dir():
        raise BGAError(Errors.B331.format(path=images))
    check_output(output)


def _check_choices(format: str, offsets: str) -> None:
    if format not in get_args(Format):
        raise BGAError(Errors.B334.format(format=format, known=", ".join(get_args(Format))))
    if offsets not in get_args(Offsets):
        raise BGAError(Errors.B339.format(offsets=offsets))


def _blank(lang: str) -> Language:
    try:
        return spacy.blank(lang)
    except ImportError as error:
        raise BGAError(Errors.B336.format(lang=lang)) from error
