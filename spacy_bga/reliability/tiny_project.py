"""A project that trains in seconds and has everything that a real one has: encoders, posts, pictures, a config."""

from __future__ import annotations

import random
from pathlib import Path

CONFIG = """
[paths]
train = null
images = null
features = null
text_encoder = null
vision_encoder = null

[nlp]
lang = "en"
pipeline = ["ner","bga_ner"]

[components]

[components.ner]
factory = "ner"

[components.ner.model]
@architectures = "spacy.TransitionBasedParser.v2"
state_type = "ner"
hidden_width = 16

[components.ner.model.tok2vec]
@architectures = "spacy.HashEmbedCNN.v2"
width = 16
depth = 1
embed_size = 100
window_size = 1
maxout_pieces = 2
subword_features = true
pretrained_vectors = null

[components.bga_ner]
factory = "bga_ner"
feature_cache = ${paths.features}

[components.bga_ner.model]
@architectures = "spacy_bga.BGAModel.v1"
text_encoder = ${paths.text_encoder}
vision_encoder = ${paths.vision_encoder}
bga_layers = 1
image_size = 32
visual_grid = 2

[corpora]

[corpora.train]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.train}
images = ${paths.images}

[corpora.dev]
@readers = "spacy_bga.ImageCorpus.v1"
path = ${paths.train}
images = ${paths.images}
limit = 8

[training]
seed = 0
gpu_allocator = null
dropout = 0.1
max_epochs = 0
train_corpus = "corpora.train"
dev_corpus = "corpora.dev"

[training.batcher]
@batchers = "spacy_bga.batch_by_length.v1"
size = 8

[training.optimizer]
@optimizers = "Adam.v1"

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 10
total_steps = 100
initial_rate = 0.1

[training.logger]
@loggers = "spacy_bga.ConsoleLogger.v1"
"""
POSTS = 24  # few enough to be learnt by heart in the steps that there are, so that scores rise


def write_tiny_project(folder: Path) -> dict[str, str]:
    """Write a config, random encoders, posts and their pictures, the same ones each time.

    folder (Path): The folder. The config is `config.cfg`.
    RETURNS (dict[str, str]): The overrides of the config that say where the rest is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.cfg").write_text(CONFIG, encoding="utf8")
    texts = _write_posts(folder)
    _write_text_encoder(folder / "text_encoder", texts)
    _write_vision_encoder(folder / "vision_encoder")
    places = {"train": "train.spacy"}
    places |= {name: name for name in ("images", "features", "text_encoder", "vision_encoder")}
    return {f"paths.{name}": (folder / place).as_posix() for name, place in places.items()}


def _write_posts(folder: Path) -> list[str]:
    """RETURNS (list[str]): The words of all posts."""
    import spacy
    from spacy.tokens import Doc, DocBin

    from spacy_bga.corpus.images import register_image_extension
    from spacy_bga.starter.embedded_names import deal_names
    from spacy_bga.starter.embedded_pictures import draw_picture
    from spacy_bga.starter.embedded_posts import PostWriter

    register_image_extension("image")
    rng = random.Random(0)
    vocab = spacy.blank("en").vocab
    (folder / "images").mkdir(exist_ok=True)
    words: set[str] = set()
    writer, bin = PostWriter("train", deal_names(rng)["train"], rng), DocBin(store_user_data=True)
    for number in range(POSTS):
        post = writer.write()
        name = f"{number}.png"
        draw_picture(post.mentions, rng)[0].save(folder / "images" / name)
        doc = Doc(vocab, words=list(post.tokens), ents=list(post.tags))
        doc._.image = name
        bin.add(doc)
        words.update(post.tokens)
    bin.to_disk(folder / "train.spacy")
    return sorted(words)


def _write_text_encoder(folder: Path, words: list[str]) -> None:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(exist_ok=True)
    letters = sorted({letter for word in words for letter in word.lower()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf8")
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=len(pieces), **shape), add_pooling_layer=False).save_pretrained(folder)


def _write_vision_encoder(folder: Path) -> None:
    import torch
    from transformers import Dinov2Config, Dinov2Model

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2}
    torch.manual_seed(1)
    Dinov2Model(Dinov2Config(image_size=32, patch_size=8, **shape)).save_pretrained(folder)
