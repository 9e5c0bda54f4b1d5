"""Fixed splits of image-text pairs into train, dev and test: by image, with near-duplicates never on two sides."""

from __future__ import annotations

import json
import math
import random
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spacy_bga.corpus.images import decode_image, image_digest, read_bytes, resolve_path
from spacy_bga.corpus.jsonl import read_jsonl
from spacy_bga.corpus.record import Record
from spacy_bga.errors import BGAError, Errors, ImageError, Warnings

Part = Literal["train", "dev", "test"]

# Of the 64 bits of a perceptual hash. Looked at by eye on photos of news and pictures of tweets: up to 8, all are the
# same picture; at 10 a half, other crops and the next shot of a series; at 12 a fifth; at 14 one in twenty or fewer. A
# wrong link costs at most a pair to train on, a missed one is a leak.
MAX_DISTANCE = 12
# Of the different words of two texts, so many are in both. Shorter texts share most of their words by chance.
MIN_OVERLAP = 0.8
MIN_WORDS = 4

# Of perceptual hashing only 32 x 32 pixels are left.
_GLANCE = 64
_NOT_WORDS = re.compile(r"\bRT\s+@\w+:?|@\w+|\bhttps?\b\S*|\bwww\.\S+")
_PARTS = ("test", "dev", "excluded")


@dataclass(frozen=True)
class PairSplit:
    """Which images are held out. Images are named by their paths as the JSONL file has them.

    name (str): Its name. made_by (str): The command that made it.
    seed (int): The seed that chose the parts.
    max_distance (int), min_overlap (float): How alike two images, or two texts, had to be to stay on one side.
    images (int), groups (int), largest_group (int): What there was to choose from, and the images of one group at most.
    test (frozenset[str]), dev (frozenset[str]): The images of these parts, each of another group.
    excluded (frozenset[str]): Images of no part: the others of those groups, and what can't be read.
    """

    name: str
    made_by: str
    seed: int
    max_distance: int
    min_overlap: float
    images: int
    groups: int
    largest_group: int
    test: frozenset[str]
    dev: frozenset[str]
    excluded: frozenset[str]

    def part(self, image: str) -> Part | None:
        """Look up an image.

        image (str): Its path.
        RETURNS (Literal["train", "dev", "test"] | None): Its part; all that is not mentioned is to train on.
        """
        if image in self.test:
            return "test"
        if image in self.dev:
            return "dev"
        return None if image in self.excluded else "train"

    def select(self, records: Iterable[Record], part: Part) -> Iterator[Record]:
        """Choose the records of one part. Of a held-out image only the first text counts: retrieval has one each.

        records (Iterable[Record]): All records of the file; without an image they belong to no part.
        part (Literal["train", "dev", "test"]): The part.
        YIELDS (Record): Its records.
        RAISES (BGAError): At the end, if the split names an image that no record has: it is another file's.
        """
        seen: set[str] = set()
        for image, record in _usable(records):
            if self.part(image) == part and (part == "train" or image not in seen):
                yield record
            seen.add(image)
        if strangers := (self.test | self.dev | self.excluded) - seen:
            raise BGAError(Errors.B338.format(name=self.name, number=len(strangers), example=min(strangers)))

    def to_dict(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What `read_split` reads, for JSON."""
        return {name: sorted(value) if name in _PARTS else value for name, value in vars(self).items()}


def split_pairs(source: str | Path, *, test: int, dev: int, seed: int = 0, name: str | None = None) -> PairSplit:
    """Choose the images of the test and the dev part. Needs the extra `splits`.

    Images are grouped, see `group_images`, and whole groups are drawn. Of a drawn group, the image that is first by
    name stands in its part, and all others are excluded from every part. The order of the file plays no role.

    source (str | Path): The JSONL file, in the folder that its image paths are relative to.
    test (int): How many images to test on.
    dev (int): How many images to choose settings by.
    seed (int): Another seed draws other groups.
    name (str | None): The split's name; None: the file's.
    RETURNS (PairSplit): The split.
    RAISES (BGAError): There is no such file, a line of it can't be read, or it has too few groups; or the extra is
        not installed.
    """
    source = Path(source)
    if find_spec("imagehash") is None:
        raise BGAError(Errors.B350)
    if not source.is_file():
        raise BGAError(Errors.B351.format(path=source))
    texts: defaultdict[str, list[str]] = defaultdict(list)
    for image, record in _usable(read_jsonl(source)):
        texts[image].append(record.text)
    groups, unreadable = group_images(texts, source.parent)
    if unreadable:
        warnings.warn(
            Warnings.W304.format(number=len(unreadable), path=source, images=", ".join(unreadable)), stacklevel=2
        )
    if len(groups) <= test + dev:
        raise BGAError(Errors.B352.format(path=source, groups=len(groups), test=test, dev=dev))
    largest = max(map(len, groups))
    random.Random(seed).shuffle(groups)
    held_out = groups[: test + dev]
    first = [group[0] for group in held_out]
    name = name or source.stem
    return PairSplit(
        name=name,
        made_by=f"python -m spacy_bga split-pairs {source.resolve().parent.name}/{source.name} {name}.json "
        f"--test {test} --dev {dev} --seed {seed}",
        seed=seed,
        max_distance=MAX_DISTANCE,
        min_overlap=MIN_OVERLAP,
        images=len(texts),
        groups=len(groups),
        largest_group=largest,
        test=frozenset(first[:test]),
        dev=frozenset(first[test:]),
        excluded=frozenset(unreadable).union(*(group[1:] for group in held_out)),
    )


def read_split(path: str | Path) -> PairSplit:
    """Read a split that `split-pairs` wrote.

    path (str | Path): The JSON file.
    RETURNS (PairSplit): The split.
    RAISES (BGAError): There is no such file, or it holds no split whose parts have no image in common.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf8"))
        parts = {part: data[part] for part in _PARTS}
        for part, images in parts.items():
            if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
                raise ValueError(f"'{part}' is not a list of paths")
        if len(set().union(*parts.values())) < sum(map(len, parts.values())):
            raise ValueError("an image is in it twice")
        return PairSplit(**(data | {part: frozenset(images) for part, images in parts.items()}))
    except KeyError as error:
        raise BGAError(Errors.B353.format(path=path, reason=f"there is no {error} in it")) from error
    except (OSError, ValueError, TypeError) as error:
        raise BGAError(Errors.B353.format(path=path, reason=error)) from error


def group_images(texts: Mapping[str, Collection[str]], root: Path) -> tuple[list[list[str]], list[str]]:
    """Group images that show or say the same. Two of them are linked by the same content, by perceptual hashes at most
    `MAX_DISTANCE` apart, by texts of the same words, or by texts of `MIN_WORDS` words or more that share `MIN_OVERLAP`
    of them. Groups are what is linked, through however many others.

    texts (Mapping[str, Collection[str]]): The texts of each image, by its path.
    root (Path): What the paths are relative to.
    RETURNS (tuple[list[list[str]], list[str]]): The groups and the images that can't be read, all in order of name.
    """
    images, digests, hashes, unreadable = [], [], [], []
    for image in sorted(texts):
        try:
            data = read_bytes(resolve_path(image, root))
            hashes.append(perceptual_hash(data))
        except ImageError:
            unreadable.append(image)
            continue
        images.append(image)
        digests.append(image_digest(data))
    owners: dict[frozenset[str], list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        for text in texts[image]:
            owners[words_of(text)].append(i)
    owners.pop(frozenset(), None)  # a mere link or emoji says nothing that could be the same
    word_sets = list(owners)
    links = chain(
        _link_equal(digests),
        _link_hashes(hashes),
        ((same[0], other) for same in owners.values() for other in same),
        ((owners[word_sets[i]][0], owners[word_sets[j]][0]) for i, j in _link_word_sets(word_sets)),
    )
    return [[images[i] for i in group] for group in _connect(len(images), links)], unreadable


def perceptual_hash(source: str | Path | bytes) -> np.ndarray:
    """The pHash of an image: it hardly changes when the image is scaled, compressed again or recoloured.

    source (str | Path | bytes): A path, or the encoded content.
    RETURNS (np.ndarray): Bits, bool, shape (64,).
    RAISES (ImageError): The image cannot be decoded.
    """
    import imagehash

    return imagehash.phash(decode_image(source, size=_GLANCE)).hash.ravel()


def words_of(text: str) -> frozenset[str]:
    """The words of a text, without case, punctuation, links, mentions, and the "RT @user:" of a retweet.

    text (str): The text.
    RETURNS (frozenset[str]): The different words.
    """
    return frozenset(re.findall(r"\w+", _NOT_WORDS.sub(" ", text).casefold()))


def _usable(records: Iterable[Record]) -> Iterator[tuple[str, Record]]:
    """YIELDS (tuple[str, Record]): The texts that have an image by its path, with that path."""
    for record in records:
        image = record.images[0] if record.images else b""
        if isinstance(image, str) and record.text.strip():
            yield image, record


def _link_equal(values: Iterable[Hashable]) -> Iterator[tuple[int, int]]:
    first: dict[Hashable, int] = {}
    for i, value in enumerate(values):
        yield first.setdefault(value, i), i


def _link_hashes(hashes: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    signs = np.where(np.array(hashes, dtype=bool), np.float32(1), np.float32(-1))
    for i in range(len(signs)):
        # Of n signs, d of them different, the product is n - 2d.
        products = signs[i + 1 :] @ signs[i]
        for j in np.flatnonzero(products >= signs.shape[1] - 2 * MAX_DISTANCE):
            yield i, i + 1 + int(j)


def _link_word_sets(word_sets: Sequence[frozenset[str]]) -> Iterator[tuple[int, int]]:
    frequency = Counter(chain.from_iterable(word_sets))
    index: dict[str, list[int]] = defaultdict(list)
    for i, words in enumerate(word_sets):
        if len(words) < MIN_WORDS:
            continue
        # Sets that overlap enough have one of so many rarest words in common: the other words alone would be too few.
        rarest = sorted(words, key=lambda word: (frequency[word], word))
        rarest = rarest[: len(words) - math.ceil(MIN_OVERLAP * len(words)) + 1]
        for j in {j for word in rarest for j in index[word]}:
            if len(words & word_sets[j]) / len(words | word_sets[j]) >= MIN_OVERLAP:
                yield j, i
        for word in rarest:
            index[word].append(i)


def _connect(number: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of a graph, by union-find: each in order, and all in the order of their first."""
    parents = list(range(number))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for i, j in links:
        parents[root(j)] = root(i)
    components: dict[int, list[int]] = defaultdict(list)
    for i in range(number):
        components[root(i)].append(i)
    return list(components.values())
