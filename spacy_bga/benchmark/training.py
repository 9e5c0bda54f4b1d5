"""Examples a second of training: `nlp.update` against a plain loop, on the same batches of the same model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from spacy_bga.benchmark.rounds import Timing, interleave, timed
from spacy_bga.benchmark.setting import SPACY, TEXT_ONLY, Contender, Setting
from spacy_bga.benchmark.statistics import compare, processor_share, spread, wall
from spacy_bga.benchmark.taggers import SpacyTagger, load
from spacy_bga.benchmark.texts import Text, labels_of, read_texts
from spacy_bga.benchmark.worker import workers

DROPOUT = 0.1
PLAIN = "plain_pytorch"


def measure(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Measure how fast a text-only pipeline learns, beside a plain PyTorch loop and spaCy's own components.

    setting (Mapping[str, Any]): What `Setting.to_dict` makes.
    RETURNS (dict[str, Any]): Each one's examples a second, and ratios.
    """
    given = Setting.from_dict(setting)
    scale = given.scale
    texts = read_texts(given.texts, scale.batch_size * scale.training_batches)
    batches = _batches(texts, scale.batch_size)
    makers: dict[str, Callable[[], Callable[[], Timing]]] = {
        contender.name: partial(_pipeline_epoch, contender, batches)
        for contender in given.contenders
        if contender.name in (TEXT_ONLY, SPACY)
    }
    makers[PLAIN] = partial(_plain_epoch, given.encoder, labels_of(texts), batches)
    with workers(makers) as epochs:
        found = interleave({name: partial(epoch.call, _run) for name, epoch in epochs.items()}, scale.repeats)
    contenders = {
        name: {
            "examples_per_s": spread([len(texts) / seconds for seconds in wall(timings)]),
            "processor_share": processor_share(timings),
        }
        for name, timings in found.items()
    }
    pairs = [(TEXT_ONLY, PLAIN), (TEXT_ONLY, SPACY), (SPACY, PLAIN)]
    ratios = {f"{a}/{b}": compare(found, faster=a, slower=b) for a, b in pairs if a in found and b in found}
    return {"examples": len(texts), "batch_size": scale.batch_size, "contenders": contenders, "ratios": ratios}


def _batches(texts: Sequence[Text], size: int) -> list[list[Text]]:
    """RETURNS (list[list[Text]]): Batches of texts of like length, as the configs' batcher makes them."""
    ordered = sorted(texts, key=lambda text: len(text.words))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _plain_epoch(encoder: Path, labels: Sequence[str], batches: Sequence[Sequence[Text]]) -> Callable[[], Timing]:
    """RETURNS (Callable[[], Timing]): Times a pass over the batches by the plain loop."""
    from spacy_bga.benchmark.plain_training import PlainTrainer

    return partial(_time_epoch, PlainTrainer(encoder, labels, dropout=DROPOUT).step, batches)


def _pipeline_epoch(contender: Contender, batches: Sequence[Sequence[Text]]) -> Callable[[], Timing]:
    """RETURNS (Callable[[], Timing]): Times a pass over the batches by a spaCy pipeline."""
    return partial(_time_epoch, _pipeline_step(load(contender)), batches)


def _pipeline_step(tagger: Any) -> Callable[[Sequence[Text]], Any]:
    """RETURNS (Callable[[Sequence[Text]], Any]): An update of a spaCy pipeline, from texts as examples."""
    from spacy.training import Example
    from thinc.api import Adam

    assert isinstance(tagger, SpacyTagger)
    nlp = tagger.nlp
    nlp.resume_training()
    optimizer = Adam(1e-4, L2=0.01, L2_is_weight_decay=True, grad_clip=1.0, use_averages=False)
    made: dict[int, Any] = {}

    def example(text: Text) -> Any:
        """Made once, as by a corpus that is kept in memory; `nlp.update` copies it."""
        if id(text) not in made:
            made[id(text)] = Example(text.to_doc(nlp.vocab), text.to_doc(nlp.vocab, entities=True))
        return made[id(text)]

    def step(batch: Sequence[Text]) -> None:
        nlp.update([example(text) for text in batch], sgd=optimizer, drop=DROPOUT, losses={})

    return step


def _time_epoch(step: Callable[[Sequence[Text]], Any], batches: Sequence[Sequence[Text]]) -> Timing:
    def epoch() -> None:
        for batch in batches:
            step(batch)

    return timed(epoch)


def _run(epoch: Callable[[], Timing]) -> Timing:
    return epoch()
