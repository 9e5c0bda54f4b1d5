"""What a trial is made of: a user's posts in three parts, pictures, and the same with the pictures shuffled."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.convert import convert, permute_images, write_docs
from spacy_bga.corpus.images import get_images, register_image_extension
from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.judged import squeeze

LEAST_POSTS = 20
SHARES = {"test": 0.25, "dev": 0.15}  # of the posts; the others are to learn from


@dataclass(frozen=True)
class Materials:
    """The corpora of a trial, all of them .spacy files in one folder.

    folder (Path): The folder. digest (str): Of their texts, entities and images.
    images, pair_images (Optional[Path]): The image roots of posts and pairs.
    posts (dict[str, int]): How many posts are in "train", "dev" and "test". pairs (int): Image-text pairs.
    """

    folder: Path
    digest: str
    images: Path | None
    pair_images: Path | None
    posts: dict[str, int]
    pairs: int

    def paths(self, *, pictures: bool, shuffled: bool = False) -> dict[str, Path]:
        """RETURNS (dict[str, Path]): Of [paths] in a config. pictures (bool): Whether to learn from pictures.
        shuffled (bool): Whether these are another text's."""
        kind = "_shuffled" if shuffled else ""
        found = {"train": self.folder / f"train{kind}.spacy", "dev": self.folder / "dev.spacy"}
        if not pictures:
            return found
        found["features"] = self.folder / "features"
        if self.images is not None:
            found["images"] = self.images
        if self.pairs and self.pair_images is not None:
            found |= {"pairs": self.folder / f"pairs{kind}.spacy", "pair_images": self.pair_images}
        return found

    @property
    def test(self) -> Path:
        return self.folder / "test.spacy"

    @property
    def pictured(self) -> Path:
        """The texts whose names pictures show."""
        return self.folder / ("pairs.spacy" if self.pairs else "train.spacy")


def gather(
    labelled: Path,
    folder: Path,
    *,
    test: Path | None = None,
    images: Path | None = None,
    pairs: Path | None = None,
    pair_images: Path | None = None,
    features: Path | None = None,
    lang: str = "en",
    seed: int = 0,
    tell: Callable[[str], None] = lambda message: None,
) -> Materials:
    """Read a user's files, and write the corpora of a trial. The same text is never in two of its parts.

    labelled (Path): Posts with entities, in any format that `convert` takes, or a .spacy file. folder (Path): Gets the
        corpora. test (Optional[Path]): Posts to score by; None: a quarter of the others.
    images (Optional[Path]): The image root of the posts. pairs (Optional[Path]): Texts with images and no labels, such
        as a catalogue, and pair_images (Optional[Path]): their image root; by default the folder that they are in.
    features (Optional[Path]): Given features, in the place of images: these are then keys.
    lang (str): The language whose tokenizer to use. seed (int): Of the split and of the shuffling.
    tell (Callable): Called with the report of each conversion, and with what is left out.
    RETURNS (Materials): The corpora.
    RAISES (BGAError): A file can't be read, there are too few posts with entities, or no picture at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keyed = features is not None
    posts = _annotated(_read(labelled, folder, images, lang, tell, keyed=keyed))
    given = _annotated(_read(test, folder, images, lang, tell, keyed=keyed)) if test is not None else []
    parts = _split(posts, given, seed=seed)
    if min(len(parts["train"]), len(parts["test"])) < LEAST_POSTS // 4 or len(posts) < LEAST_POSTS:
        raise BGAError(Errors.B690.format(number=len(posts), path=labelled, least=LEAST_POSTS))
    root = pair_images if pair_images is not None else pairs.parent if pairs is not None else None
    read = _read(pairs, folder, root, lang, tell, keyed=keyed) if pairs is not None else []
    shown = [doc for doc in read if get_images(doc)]
    if not any(get_images(doc) for doc in [*parts["train"], *shown]):
        raise BGAError(Errors.B691.format(path=labelled))
    digest = _digest([*parts.values(), shown])  # before images change hands
    for name, docs in {**parts, "pairs": shown}.items():
        if docs:
            write_docs(docs, folder / f"{name}.spacy")
    for name, docs in (("train", parts["train"]), ("pairs", shown)):
        if docs:
            permute_images(docs, seed=seed)
            write_docs(docs, folder / f"{name}_shuffled.spacy")
    return Materials(folder, digest, images, root, {name: len(docs) for name, docs in parts.items()}, len(shown))


def _read(
    path: Path, folder: Path, images: Path | None, lang: str, tell: Callable[[str], None], *, keyed: bool
) -> list[Doc]:
    """RETURNS (list[Doc]): The documents. keyed (bool): Whether images are keys of given features."""
    register_image_extension()
    if path.suffix != ".spacy":
        converted = folder / "converted" / f"{path.stem}.spacy"
        tell(f"{path}\n{convert(path, converted, images=images, lang=lang, check_images=not keyed).to_text()}")
        path = converted
    if not path.is_file():
        raise BGAError(Errors.B330.format(path=path))
    docs = list(DocBin().from_disk(path).get_docs(spacy.blank(lang).vocab))
    if images is None and not keyed:  # there is no place to look for them
        lost = [doc for doc in docs if any(isinstance(image, str) for image in get_images(doc))]
        for doc in lost:
            doc._.image = [image for image in get_images(doc) if isinstance(image, bytes)] or None
        if lost:
            tell(f"{len(lost):,} texts of {path.name} name image files, which are left out: no image root was given.")
    return docs


def _digest(parts: Iterable[Sequence[Doc]]) -> str:
    total = hashlib.sha256()
    for docs in parts:
        for doc in docs:
            entities = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
            total.update(repr((doc.text, entities, get_images(doc))).encode("utf8", "surrogatepass"))
    return total.hexdigest()


def _annotated(docs: Sequence[Doc]) -> list[Doc]:
    """RETURNS (list[Doc]): Those with entities, or the knowledge that there are none."""
    return [doc for doc in docs if len(doc) and doc.has_annotation("ENT_IOB")]


def _split(posts: Sequence[Doc], test: Sequence[Doc], *, seed: int) -> dict[str, list[Doc]]:
    asked = {squeeze(doc.text) for doc in test}
    groups: dict[str, list[Doc]] = {}
    for doc in posts:
        if squeeze(doc.text) not in asked:
            groups.setdefault(squeeze(doc.text), []).append(doc)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    ends = {name: round(share * len(order)) for name, share in SHARES.items()}
    if test:
        ends["test"] = 0
    cuts = {
        "test": order[: ends["test"]],
        "dev": order[ends["test"] : ends["test"] + ends["dev"]],
        "train": order[ends["test"] + ends["dev"] :],
    }
    parts = {name: [doc for text in texts for doc in groups[text]] for name, texts in cuts.items()}
    return {**parts, "test": list(test) or parts["test"]}
