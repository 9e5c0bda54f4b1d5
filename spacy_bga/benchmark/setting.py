"""What a benchmark compares, on what, and how thoroughly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["spacy", "huggingface"]

# The names that ratios are told of.
BGA, TEXT_ONLY, EXPORTED, AUTO, INT8 = "bga", "text_only", "onnx", "auto", "int8"
SPACY, HUGGING_FACE = "spacy", "huggingface"
OURS = (BGA, TEXT_ONLY, EXPORTED, AUTO, INT8)


@dataclass(frozen=True)
class Contender:
    """One of those that are compared.

    name (str): Its name in tables. kind (str): "spacy" for a pipeline, "huggingface" for a plain loop.
    folder (Path): The pipeline's folder, or the encoder's.
    """

    name: str
    kind: Kind
    folder: Path


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    repeats (int): Rounds of each measure, beside one to warm up. process_repeats (int): Rounds of fresh processes.
    texts (Optional[int]): The most texts that are timed; None: all. batch_sizes (tuple[int, ...]): Of `nlp.pipe`.
    scored_texts (Optional[int]): The most texts that are scored; None: all.
    latency_texts (int): Texts of a round that are tagged one by one.
    training_batches, batch_size (int): Updates of a round, and the examples of each.
    stream (tuple[int, ...]): Numbers of documents between which the cost is compared, ascending.
    long_document, short_document (int): Tokens of the documents between which it is compared.
    growth_documents (int): Documents over which memory should stay flat.
    peer_steps, own_steps (int): Updates of what is built on the spot, to find about as many entities as there are.
    """

    repeats: int = 5
    process_repeats: int = 5
    texts: int | None = 400
    scored_texts: int | None = None
    batch_sizes: tuple[int, ...] = (1, 8, 64, 256)
    latency_texts: int = 200
    training_batches: int = 10
    batch_size: int = 16
    stream: tuple[int, ...] = (500, 1000, 2000)
    long_document: int = 5000
    short_document: int = 200
    growth_documents: int = 100_000
    peer_steps: int = 200
    own_steps: int = 40


FULL = Scale()
QUICK = Scale(
    repeats=2,
    process_repeats=1,
    texts=64,
    scored_texts=64,
    batch_sizes=(1, 64),
    latency_texts=20,
    training_batches=2,
    stream=(40, 80),
    long_document=1000,
    growth_documents=400,
    peer_steps=10,
    own_steps=5,
)


@dataclass(frozen=True)
class Setting:
    """What a measure is given.

    encoder (Path): The text encoder's folder, the same for all. texts (Path): Documents with entities, a DocBin.
    contenders (tuple[Contender, ...]): Those that are compared. threads (int): Threads of each process's numerics.
    scale (Scale): How much is measured.
    """

    encoder: Path
    texts: Path
    contenders: tuple[Contender, ...]
    threads: int
    scale: Scale

    def to_dict(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What JSON can hold, for another process."""
        data = asdict(self)
        contenders = [entry | {"folder": str(entry["folder"])} for entry in data["contenders"]]
        return data | {"encoder": str(self.encoder), "texts": str(self.texts), "contenders": contenders}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Setting:
        """RETURNS (Setting): What `to_dict` made JSON of."""
        scale: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data["scale"].items()
        }
        contenders = tuple(Contender(**(entry | {"folder": Path(entry["folder"])})) for entry in data["contenders"])
        return cls(Path(data["encoder"]), Path(data["texts"]), contenders, data["threads"], Scale(**scale))

    def ours(self) -> list[Contender]:
        """RETURNS (list[Contender]): The pipelines of this package."""
        return [contender for contender in self.contenders if contender.name in OURS]
