"""The arithmetic that a text needs, counted by hand: what the processor must do, without padding.

A matrix product of (a, b) and (b, c) counts `2abc` floating point operations. `n` wordpieces of a window, special
tokens included; `m` visual tokens; `d` width of the text encoder, `f` of its feed-forward layer, `g` of the
generator's, `v` of the visual tokens, `s` of the sampler; `e` of the wordpieces' embeddings, `h` of the word generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy_bga.aligner.config import BGAConfig, Unit
from spacy_bga.aligner.windows import plan_windows
from spacy_bga.benchmark.texts import Text


def encoder_flops(text: Mapping[str, Any], n: int, *, layers: int | None = None) -> int:
    """The text encoder on one window.

        layers * (2 n (4 d^2 + 2 d f) + 4 n^2 d)

    Queries, keys, values and output are d^2 each, the feed-forward layer 2 d f, and every wordpiece is compared to
    every other one, and mixed from them. Embeddings are looked up, not computed.

    text (Mapping[str, Any]): The encoder's configuration. n (int): Wordpieces of the window.
    layers (Optional[int]): How many of its layers; None: all.
    RETURNS (int): Floating point operations.
    """
    d, f = text["hidden_size"], text["intermediate_size"]
    layers = text["num_hidden_layers"] if layers is None else layers
    return layers * (2 * n * (4 * d * d + 2 * d * f) + 4 * n * n * d)


def bga_flops(config: BGAConfig, n: int) -> int:
    """What the BGA layers add to the encoder on one window.

        layers * (sampler + generator + projections + attention to what was generated)

        sampler:     2 n (2 d s + 2 s^2 + 2 s)     two MLPs of one layer, and one of two
        generator:   2 n 2 d^2                     keys and values of the text
                     + 4 m n d                     attention of m queries to n wordpieces
                     + 2 m d^2 + 2 m 2 d g         output, feed-forward layer
        projections: 2 m 2 d v                     to the visual features' space and back, if there are any
        attention:   2 m 2 d^2 + 4 n m d           m more keys and values in the encoder's own layer

    Of the queries, what depends on no text is counted by `query_flops`: it is done once a batch, or never again.

    config (BGAConfig): The aligner's settings. n (int): Wordpieces of the window.
    RETURNS (int): Floating point operations.
    """
    if not config.n_bga_layers:
        return 0
    d, m, s = config.text["hidden_size"], config.n_visual_tokens, config.sampler_width
    g, v = config.generator_width or config.text["intermediate_size"], config.vision_width
    sampler = 2 * n * (2 * d * s + 2 * s * s + 2 * s) if config.sample else 0
    generator = 4 * n * d * d + 4 * m * n * d + 2 * m * d * d + 4 * m * d * g
    projections = 4 * m * d * v if config.projections or d != v else 0
    return config.n_bga_layers * (sampler + generator + projections + 4 * m * d * d + 4 * n * m * d)


def query_flops(config: BGAConfig) -> int:
    """The generator's queries among themselves, which depend on no text.

        layers * (2 m 5 d^2 + 4 m^2 d)

    Their attention to each other (queries, keys, values, output), and the queries of the attention to the text.

    config (BGAConfig): The aligner's settings.
    RETURNS (int): Floating point operations, of a whole batch.
    """
    d, m = config.text["hidden_size"], config.n_visual_tokens
    return config.n_bga_layers * (10 * m * d * d + 4 * m * m * d)


def word_flops(config: BGAConfig, words: int) -> int:
    """What words need that generate what they look like.

        words * (2 e h + 2 h v + 2 v k + 2 k labels)

    The word generator, the components of what it generates, and what is read of them.

    config (BGAConfig): The aligner's settings. words (int): How many.
    RETURNS (int): Floating point operations.
    """
    if not config.words:
        return 0
    e, h, v = config.text.get("embedding_size", config.text["hidden_size"]), config.word_width, config.vision_width
    k = config.word_components
    return 2 * words * (e * h + h * v + v * k + k * len(config.labels))


def head_flops(config: BGAConfig, words: int) -> int:
    """RETURNS (int): Floating point operations of the emissions, 2 d (1 + 2 labels) a word. The CRF has no products."""
    return 2 * words * config.text["hidden_size"] * (1 + 2 * len(config.labels))


def pipeline_flops(config: BGAConfig, windows: Sequence[int], words: int) -> int:
    """RETURNS (int): What tagging needs: windows (Sequence[int]) of so many wordpieces, and words (int)."""
    in_windows = sum(encoder_flops(config.text, n) + bga_flops(config, n) for n in windows)
    return in_windows + head_flops(config, words) + word_flops(config, words)


def window_lengths(
    texts: Sequence[Text], encoder: Path, *, window: int, overlap: int, wordpieces_of: Unit = "words"
) -> list[int]:
    """Wordpieces of the windows that texts are laid out in.

    texts (Sequence[Text]): The texts. encoder (Path): Its tokenizer's folder. window, overlap (int),
    wordpieces_of (str): See `BGAConfig`.
    RETURNS (list[int]): Of each window, special tokens included.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder, local_files_only=True, trust_remote_code=False)
    lengths = []
    for text in texts:
        words = wordpieces_of == "words"
        given = list(text.words) if words else str(text)
        ids = tokenizer(given, is_split_into_words=words, add_special_tokens=False, verbose=False).input_ids
        lengths += [w.end - w.start + 2 for w in plan_windows(len(ids), window - 2, overlap)]
    return lengths


def find_config(pipeline: Path) -> BGAConfig | None:
    """RETURNS (Optional[BGAConfig]): The settings of the aligner in a saved pipeline; None if there is none in it."""
    for path in sorted(pipeline.glob("*/model/config.json")):
        return BGAConfig.from_json(path.read_text(encoding="utf8"))
    return None
