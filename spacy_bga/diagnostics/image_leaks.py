"""Images that are in two splits: the same content, or nearly the same picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from spacy_bga.corpus.pair_splits import MAX_DISTANCE
from spacy_bga.diagnostics.gallery import Picture
from spacy_bga.diagnostics.report import Finding, Places, Section, share

# Up to this distance all were the same picture, see `pair_splits.MAX_DISTANCE`; beyond it and up to that one, some.
SAME_PICTURE = 8
# A picture with structure has a hash about half of whose bits are set; that of a plain one says nothing.
MIN_BITS = 16


def image_leaks(pictures: Sequence[Picture], documents: Mapping[str, int], *, perceptual: bool) -> Section:
    """Look for images in two splits.

    pictures (Sequence[Picture]): All images. documents (Mapping[str, int]): Documents with an image, by split.
    perceptual (bool): Whether they have perceptual hashes.
    RETURNS (Section): What was found.
    """
    usable = [picture for picture in pictures if picture.digest]
    findings: list[Finding] = []
    for left, right in combinations(documents, 2):
        findings += _between(usable, left, right, documents[right])
    if not findings and len(documents) > 1:
        findings.append(Finding("image-leak", "good", "No image is in two splits"))
    if not perceptual:
        message = 'Only the same files were looked for; to find near-duplicates: pip install "spacy_bga[splits]"'
        findings.append(Finding("no-perceptual-hash", "info", message))
    for split in documents:
        findings += _repeated(usable, split)
    return Section("Images in several places", tuple(findings))


def _between(pictures: Sequence[Picture], left: str, right: str, total: int) -> list[Finding]:
    same = Places()
    for picture, there, number in exact_leaks(pictures, left, right):
        place = f"{picture.first[right]} '{picture.name[:60]}' and {there.first[left]} '{there.name[:60]}'"
        same.add(place, times=number)
    near, similar = Places(), Places()
    for picture, there, distance in near_leaks(pictures, left, right):
        places = near if distance <= SAME_PICTURE else similar
        place = f"{picture.first[right]} '{picture.name[:60]}' and {there.first[left]} '{there.name[:60]}'"
        places.add(f"{place}, {distance} of 64 bits apart", times=picture.counts[right])
    fix = f"leave the posts with them out of {left}; `python -m spacy_bga split-pairs` splits by image"
    message = f"Documents of {right} with an image of {left}: {{count}} ({share(same.count, total)} of those with one)"
    found = same.finding("image-leak", "warning", message, fix)
    message = f"More documents of {right} with nearly an image of {left}: {{count}} ({share(near.count, total)})"
    found += near.finding("image-leak-near", "warning", message, fix)
    message = (
        f"More documents of {right} whose image may be like one of {left}: {{count}} ({share(similar.count, total)})"
    )
    return found + similar.finding("image-leak-similar", "info", f"{message}; other crops, the next shot, or chance")


def exact_leaks(pictures: Sequence[Picture], left: str, right: str) -> Iterator[tuple[Picture, Picture, int]]:
    """Find the same content in two splits.

    pictures (Sequence[Picture]): Usable images. left, right (str): The splits.
    YIELDS (tuple[Picture, Picture, int]): An image of `right`, one of `left` with the same content, and how many
        documents of `right` have it.
    """
    there = {picture.digest: picture for picture in reversed(pictures) if picture.counts[left]}
    for picture in pictures:
        if picture.counts[right] and picture.digest in there:
            yield picture, there[picture.digest], picture.counts[right]


def near_leaks(pictures: Sequence[Picture], left: str, right: str) -> Iterator[tuple[Picture, Picture, int]]:
    """Find the images of one split that look like one of another, but have other content.

    pictures (Sequence[Picture]): Usable images. left, right (str): The splits.
    YIELDS (tuple[Picture, Picture, int]): An image of `right` whose content is not in `left`, the one in `left` that is
        most like it, and how many bits of their hashes differ, up to `MAX_DISTANCE`.
    """
    known = {picture.digest for picture in pictures if picture.counts[left]}
    first = [p for p in pictures if p.counts[left] and _tells(p)]
    second = [p for p in pictures if p.counts[right] and p.digest not in known and _tells(p)]
    if not first or not second:
        return
    signs = _signs(first)
    for picture, own in zip(second, _signs(second), strict=True):
        # Of n signs, d of them different, the product is n - 2d.
        products = signs @ own
        best = int(products.argmax())
        distance = (signs.shape[1] - round(float(products[best]))) // 2
        if distance <= MAX_DISTANCE:
            yield picture, first[best], distance


def _repeated(pictures: Sequence[Picture], split: str) -> list[Finding]:
    by_content: dict[bytes, Counter[str]] = defaultdict(Counter)
    first: dict[bytes, Picture] = {}
    for picture in pictures:
        by_content[picture.digest][split] += picture.counts[split]
        if picture.counts[split]:
            first.setdefault(picture.digest, picture)
    places = Places()
    for digest, counts in by_content.items():
        if counts[split] > 1:
            picture = first[digest]
            places.add(f"{picture.first[split]} '{picture.name[:60]}' {counts[split]} times", times=counts[split] - 1)
    return places.finding(
        "repeated-image", "info", f"Documents of {split} with the image of another one there: {{count}}"
    )


def _tells(picture: Picture) -> bool:
    if picture.bits is None:
        return False
    bits = int(np.unpackbits(picture.bits).sum())
    return MIN_BITS <= bits <= 64 - MIN_BITS


def _signs(pictures: Sequence[Picture]) -> np.ndarray:
    bits = np.unpackbits(np.stack([p.bits for p in pictures if p.bits is not None]), axis=1)
    return np.where(bits.astype(bool), np.float32(1), np.float32(-1))
