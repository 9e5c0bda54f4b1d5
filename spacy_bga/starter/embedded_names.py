"""The names of the embedded corpus, dealt out so that parts share an entity on purpose only."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from .coined_names import coin_names

DATA = Path(__file__).parent / "data"

# Words that make a name out of others ("... Park", "... Film Festival") or are no names at all: every part uses them.
SHARED = ("venue_word", "club_word", "event_word", "user", "tag", "emoji")

# The share of every list that each part gets. What is left goes to the unlabelled pairs.
SHARES = {"train": 0.5, "dev": 0.13, "test": 0.2}

# How many names each part has that only pictures explain: of one thing each, which their form doesn't tell. The pairs
# show all but the unseen ones, which the test part names besides its own and some of the training part's.
PICTURED = {"train": 60, "dev": 20, "test": 56, "unseen": 12}
TRAINED_IN_TEST = 12
PICTURED_KINDS = {"person": "PER", "city": "LOC", "team": "ORG", "film": "MISC"}
# Of the pictured names, so many look like names, and so many of the rest have two words.
REAL_LOOKING, TWO_WORDS = 0.3, 0.25


@dataclass(frozen=True)
class Mention:
    """One entity of a post.

    text (str): Its tokens, separated by single spaces.
    label (str): PER, LOC, ORG or MISC.
    kind (str): What is drawn for it: "person", "city", "team", "film" and so on.
    """

    text: str
    label: str
    kind: str


class NameBank:
    """The names of one part of the corpus, and the rules that compose longer names out of them.

    names (dict[str, list[str]]): Lists of names by kind.
    ambiguous (dict[str, list[str]]): Names that can be several things, with their readings ("PER", "LOC.city").
    pictured (list[Mention]): Names of one thing each, which pictures alone explain.
    """

    def __init__(self, names: dict[str, list[str]], ambiguous: dict[str, list[str]], pictured: list[Mention]) -> None:
        self.names = names
        self.ambiguous = ambiguous
        self.pictured = pictured

    def draw(self, slot: str, rng: random.Random) -> Mention:
        """Draw a mention that fits a slot of a template.

        slot (str): A label and a kind, "ORG.team"; "PER" has one kind only; "PER.handle" is a user name.
        rng (random.Random): The source of chance.
        RETURNS (Mention): The mention.
        """
        label, _, kind = slot.partition(".")
        if kind == "handle":
            name = self._person(rng) if label == "PER" else self._pick("company", rng)
            return Mention(_handle(name, rng), label, "person" if label == "PER" else "company")
        fitting = [name for name, readings in self.ambiguous.items() if slot in readings]
        if fitting and rng.random() < 0.15:
            return Mention(rng.choice(fitting), label, kind or "person")
        composed = getattr(self, f"_{kind or 'person'}", None)
        text = composed(rng) if composed else self._pick(kind, rng)
        return Mention(text, label, kind or "person")

    def draw_ambiguous(self, labels: list[str], rng: random.Random) -> Mention:
        """Draw a name whose type cannot be told from the name alone.

        labels (list[str]): The labels that the template leaves open.
        rng (random.Random): The source of chance.
        RETURNS (Mention): The mention, with one of its readings.
        """
        readings = [
            (name, [reading for reading in kinds if reading.split(".")[0] in labels])
            for name, kinds in self.ambiguous.items()
        ]
        name, fitting = rng.choice([(name, kinds) for name, kinds in readings if len(kinds) > 1])
        label, _, kind = rng.choice(fitting).partition(".")
        return Mention(name, label, kind or "person")

    def _pick(self, kind: str, rng: random.Random) -> str:
        return rng.choice(self.names[kind])

    def _person(self, rng: random.Random) -> str:
        chance = rng.random()
        if chance < 0.65:
            return f"{self._pick('first', rng)} {self._pick('last', rng)}"
        return self._pick("last" if chance < 0.8 else "first" if chance < 0.88 else "stage", rng)

    def _venue(self, rng: random.Random) -> str:
        return f"{self._pick('venue_name', rng)} {self._pick('venue_word', rng)}"

    def _team(self, rng: random.Random) -> str:
        chance = rng.random()
        if chance < 0.5:
            return self._pick("nickname", rng)
        if chance < 0.7:
            return f"{self._pick('city', rng)} {self._pick('nickname', rng)}"
        if chance < 0.85:
            return self._pick("club", rng)
        return f"{self._pick('venue_name', rng)} {self._pick('club_word', rng)}"

    def _title(self, rng: random.Random) -> str:
        chance = rng.random()
        if chance < 0.5:
            return f"{self._pick('adjective', rng)} {self._pick('noun', rng)}"
        if chance < 0.75:
            return f"The {self._pick('noun', rng)}"
        return f"{self._pick('noun', rng)} of {self._pick('noun', rng)}"

    def _film(self, rng: random.Random) -> str:
        return self._pick("film", rng) if rng.random() < 0.45 else self._title(rng)

    _album = _title

    def _award(self, rng: random.Random) -> str:
        return self._pick("award", rng) if rng.random() < 0.7 else f"{self._pick('noun', rng)} Awards"

    def _event(self, rng: random.Random) -> str:
        if rng.random() < 0.4:
            return self._pick("event", rng)
        return f"{self._pick('city', rng)} {self._pick('event_word', rng)}"


def _handle(name: str, rng: random.Random) -> str:
    joined = "".join(letter for letter in name if letter.isalnum())
    return joined + rng.choice(["", "", str(rng.randint(1, 99)), "Official", "_"])


def deal_names(rng: random.Random) -> dict[str, NameBank]:
    """Deal the names out to the parts of the corpus.

    Whatever is composed of one part's names belongs to that part, so no entity of one part can occur in another, but
    for some pictured names. The pairs have no labels to give away: besides their own names they use those of the
    training part, and the pictured ones.

    rng (random.Random): The source of chance.
    RETURNS (dict[str, NameBank]): A bank for each of "train", "dev", "test" and "pairs".
    """
    lists = json.loads((DATA / "embedded_names.json").read_text(encoding="utf8"))
    ambiguous = lists.pop("ambiguous")
    pictured = _deal_pictured(lists["last"], rng)
    taken = {mention.text for mentions in pictured.values() for mention in mentions}
    lists["last"] = [name for name in lists["last"] if name not in taken]
    names: dict[str, dict[str, list[str]]] = {part: {} for part in (*SHARES, "pairs")}
    for kind, values in lists.items():
        dealt = {part: list(values) for part in names} if kind in SHARED else _deal(values, rng)
        for part, share in dealt.items():
            names[part][kind] = share
    dealt = _deal(list(ambiguous), rng)
    return {
        part: NameBank(names[part], {name: ambiguous[name] for name in dealt[part]}, pictured[part]) for part in names
    }


def _deal_pictured(surnames: list[str], rng: random.Random) -> dict[str, list[Mention]]:
    """RETURNS (dict[str, list[Mention]]): The pictured names of each part, all kinds alike: some are surnames, of
    anything, the others coined."""
    number = sum(PICTURED.values())
    real = round(REAL_LOOKING * number)
    single = round((1 - TWO_WORDS) * (number - real))
    words = coin_names(2 * number - 2 * real - single, rng)
    pairs = zip(words[single::2], words[single + 1 :: 2], strict=True)
    texts = [*rng.sample(surnames, real), *words[:single], *(" ".join(pair) for pair in pairs)]
    rng.shuffle(texts)
    kinds = list(PICTURED_KINDS)
    mentions = [Mention(text, PICTURED_KINDS[kind], kind) for text, kind in zip(texts, cycle(kinds), strict=False)]
    dealt, start = {}, 0
    for part, count in PICTURED.items():
        dealt[part] = mentions[start : start + count]
        start += count
    dealt["pairs"] = [*dealt["train"], *dealt["dev"], *dealt["test"]]
    dealt["test"] = [*dealt["test"], *dealt["unseen"], *dealt["train"][:TRAINED_IN_TEST]]
    return dealt


def _deal(values: list[str], rng: random.Random) -> dict[str, list[str]]:
    shuffled = list(values)
    rng.shuffle(shuffled)
    dealt, start = {}, 0
    for part, share in SHARES.items():
        end = start + round(share * len(shuffled))
        dealt[part] = shuffled[start:end]
        start = end
    dealt["pairs"] = shuffled[start:] + dealt["train"]
    return dealt
