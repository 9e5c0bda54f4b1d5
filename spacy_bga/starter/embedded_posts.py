"""The texts of the embedded corpus: templates in the style of the Twitter benchmarks, filled with dealt names."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass

from .embedded_names import DATA, Mention, NameBank

SLOT = re.compile(r"\{([^}]+)\}")

# Which groups of templates each part draws from. `held_out` ones never occur in the labelled training part: the test
# part asks for more than templates learned by heart, and the pairs show them with a picture but without labels.
GROUPS = {
    "train": ("common", "train"),
    "dev": ("common", "held_out"),
    "test": ("common", "held_out"),
    "pairs": ("common", "train", "held_out"),
}

# How many posts have no entity, and how many name something that could be several things.
EMPTY, AMBIGUOUS = 0.07, 0.13
# How many have pictured names: one to three, of different kinds, in texts that leave open what they are.
PICTURED = {"train": 0.34, "dev": 0.4, "test": 0.45, "pairs": 0.0}


@dataclass(frozen=True)
class Post:
    """A tokenised post.

    tokens (tuple[str, ...]): Its tokens.
    tags (tuple[str, ...]): Their BIO tags.
    mentions (tuple[Mention, ...]): Its entities, in order.
    ambiguous (bool): Whether its text leaves the type of an entity open.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    mentions: tuple[Mention, ...]
    ambiguous: bool


class PostWriter:
    """Writes the posts of one part.

    part (str): "train", "dev", "test" or "pairs".
    bank (NameBank): The names of that part.
    rng (random.Random): The source of chance.
    """

    def __init__(self, part: str, bank: NameBank, rng: random.Random) -> None:
        templates = json.loads((DATA / "embedded_templates.json").read_text(encoding="utf8"))
        self.open = json.loads((DATA / "open_templates.json").read_text(encoding="utf8"))
        self.share = PICTURED[part]
        self.bank = bank
        self.rng = rng
        self.clear = [text for group in GROUPS[part] for text in templates[group]]
        self.ambiguous = [text for group in GROUPS[part] for text in templates["ambiguous"][group]]
        self.empty = templates["empty"]
        self.prefixes = templates["prefixes"]
        self.suffixes = templates["suffixes"]

    def write(self) -> Post:
        """Write one post.

        RETURNS (Post): The post.
        """
        if self.rng.random() < self.share:
            return self.write_about(self.rng.choice(self.bank.pictured))
        chance = self.rng.random()
        ambiguous = EMPTY <= chance < EMPTY + AMBIGUOUS
        templates = self.empty if chance < EMPTY else self.ambiguous if ambiguous else self.clear
        template = self.rng.choice(templates)
        if self.rng.random() < 0.12 and not template.startswith(("RT", "#", "@")):
            template = f"{self.rng.choice(self.prefixes)} {template}"
        if self.rng.random() < 0.45:
            template = f"{template} {self.rng.choice(self.suffixes)}"
        return self._style(*self._fill(template), ambiguous)

    def write_about(self, pictured: Mention) -> Post:
        """Write a post that leaves open what its names are.

        pictured (Mention): The first name. RETURNS (Post): The post.
        """
        template = self.rng.choice(self.open[self.rng.choice("123")])
        return self._style(*self._fill(template, pictured), ambiguous=True)

    def _fill(self, template: str, pictured: Mention | None = None) -> tuple[list[str], list[str], list[Mention]]:
        tokens: list[str] = []
        tags: list[str] = []
        mentions: list[Mention] = []
        for word in template.split():
            slot = SLOT.search(word)
            if slot is None or (filler := self._filler(slot.group(1))):
                tokens.append(word if slot is None else filler)
                tags.append("O")
                continue
            slot_name = slot.group(1)
            mention = pictured if pictured and slot_name == "X" else self._mention(slot_name, mentions)
            mentions.append(mention)
            # "@ name" and "# Name" are one token of the benchmarks, whose sign stands apart.
            if tokens[-1:] == ["#"] or (self.rng.random() < 0.08 and tokens[-1:] != ["@"]):
                if tokens[-1:] != ["#"]:
                    tokens.append("#")
                    tags.append("O")
                words = ["".join(letter for letter in mention.text if letter.isalnum())]
                mentions[-1] = Mention(words[0], mention.label, mention.kind)
            else:
                words = mention.text.split()
            tokens += words
            tags += [f"{'I' if at else 'B'}-{mention.label}" for at in range(len(words))]
        return tokens, tags, mentions

    def _filler(self, slot: str) -> str:
        """What is no entity; empty when the slot asks for one."""
        if slot == "num":
            return str(self.rng.randint(2, 40))
        if slot == "url":
            letters = "".join(self.rng.choice("abcdefghkmnpqrstuvwxyzABCDEFGH23456789") for _ in range(8))
            return f"https://t.co/{letters}"
        return self.rng.choice(self.bank.names[slot]) if slot in ("user", "tag", "emoji") else ""

    def _mention(self, slot: str, taken: list[Mention]) -> Mention:
        texts = {mention.text for mention in taken}
        while True:
            if slot in "XYZ":
                mention = self.rng.choice(self.bank.pictured)
                if mention.kind in {other.kind for other in taken}:
                    continue
            elif "/" in slot:
                mention = self.bank.draw_ambiguous(slot.split("/"), self.rng)
            else:
                mention = self.bank.draw(slot, self.rng)
            if mention.text not in texts:
                return mention

    def _style(self, tokens: list[str], tags: list[str], mentions: list[Mention], ambiguous: bool) -> Post:
        """Some people never press the shift key, some never let go of it."""
        chance = self.rng.random()
        change = str.lower if chance < 0.12 else str.upper if chance < 0.18 else str
        tokens = [token if token.startswith("http") else change(token) for token in tokens]
        mentions = [Mention(change(mention.text), mention.label, mention.kind) for mention in mentions]
        return Post(tuple(tokens), tuple(tags), tuple(mentions), ambiguous)
