"""Every config of the repository is complete, and trains on the embedded corpus with tiny encoders of its families."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
import torch
from spacy.tokens import DocBin
from spacy.training.initialize import init_nlp
from spacy.util import load_config, registry
from transformers import AutoConfig, CLIPVisionConfig, CLIPVisionModel

from lab.ecosystem import annotate
from spacy_bga.corpus.convert import convert

ROOT = Path(__file__).parent.parent
CONFIGS = ("starter", "text_only", "paper", "tiny", "align", "whole_pipeline")
EMBEDDED = ROOT / "assets" / "embedded"


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random CLIP vision encoder: the family that paper.cfg names."""
    folder = tmp_path_factory.mktemp("clip")
    config = CLIPVisionConfig(
        hidden_size=12, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2, image_size=32, patch_size=8
    )
    with torch.random.fork_rng():
        CLIPVisionModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    convert(EMBEDDED / "train.txt", folder / "train.spacy", images=EMBEDDED / "images", limit=24)
    posts = DocBin().from_disk(folder / "train.spacy").get_docs(spacy.blank("en").vocab)
    DocBin(docs=map(annotate, posts), store_user_data=True).to_disk(folder / "train.spacy")  # for whole_pipeline.cfg
    convert(EMBEDDED / "pairs.jsonl", folder / "pairs.spacy", images=EMBEDDED, limit=8)
    return folder


def overrides(name: str, corpus: Path, text: Path, vision: Path) -> dict:
    """What a config needs to be trained here: data, tiny encoders, few steps."""
    settings: dict = {
        "paths.train": str(corpus / "train.spacy"),
        "paths.dev": str(corpus / "train.spacy"),
        "training.max_steps": 3,
        "training.eval_frequency": 2,
        "components.bga_ner.model.text_encoder": str(text),
    }
    if name != "text_only":
        settings["paths.images"] = str(EMBEDDED / "images")
        settings["components.bga_ner.model.vision_encoder"] = str(vision)
        settings["components.bga_ner.model.image_size"] = 32
    if name == "whole_pipeline":
        width = AutoConfig.from_pretrained(text).hidden_size + 16  # and `word_components`
        settings |= {f"components.{part}.model.tok2vec.width": width for part in ("tagger", "textcat")}
    if name in ("starter", "tiny", "whole_pipeline"):
        settings["paths.pairs"] = str(corpus / "pairs.spacy")
        settings["corpora.train.pairs.images"] = str(EMBEDDED)
    if name == "align":
        settings |= {f"paths.{part}": str(corpus / "pairs.spacy") for part in ("train", "dev")}
        settings["paths.images"] = str(EMBEDDED)
    return settings


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_complete(name):
    """spaCy's own checks (`debug data`, `debug config`) want every setting to be there."""
    config = load_config(ROOT / "configs" / f"{name}.cfg", interpolate=False)
    for section, schema in (("training", "ConfigSchemaTraining"), ("initialize", "ConfigSchemaInit")):
        wanted = {field for field, info in getattr(spacy.schemas, schema).model_fields.items() if info.is_required()}
        assert wanted <= set(config[section]), section
    assert registry.resolve({"logger": config["training"]["logger"]})["logger"]


@pytest.mark.filterwarnings("ignore:.*lr_scheduler:UserWarning")
@pytest.mark.parametrize("name", CONFIGS)
def test_it_trains(name, corpus, text_encoder_folder, vision_encoder_folder, clip_folder, tmp_path):
    from spacy.training.loop import train

    vision = clip_folder if name == "paper" else vision_encoder_folder
    settings = overrides(name, corpus, text_encoder_folder, vision)
    nlp = init_nlp(load_config(ROOT / "configs" / f"{name}.cfg", overrides=settings, interpolate=False))
    aligner = nlp.get_pipe("bga_ner").model.shims[0].aligner
    before = {key: tensor.clone() for key, tensor in aligner.state_dict().items()}
    (tmp_path / "out").mkdir()
    train(nlp, tmp_path / "out")
    changed = {key for key, tensor in aligner.state_dict().items() if not torch.equal(tensor, before[key])}
    assert any(key.startswith("text_encoder.") for key in changed) == (name != "align")  # which leaves it as it was
    assert any(key.startswith("visual.encoder.") for key in changed) == (name == "paper")
    assert any(key.startswith("words.") for key in changed) == (name in ("starter", "align", "whole_pipeline"))
    assert any(key.startswith("generators.") for key in changed) == (name in ("paper", "tiny"))
    if name == "whole_pipeline":  # pairs have no categories
        assert nlp.get_pipe("textcat").support_missing_values
    if name == "align":  # what it learns is where the others begin, be it with other labels
        later = overrides("starter", corpus, text_encoder_folder, vision) | {
            "paths.aligner": str(tmp_path / "out" / "model-last")
        }
        nlp = init_nlp(load_config(ROOT / "configs" / "starter.cfg", overrides=later, interpolate=False))
        started = nlp.get_pipe("bga_ner").model.shims[0].aligner.state_dict()
        # The tagger's own, and what is read of words, which depends on the words there are.
        found_anew = ("words.mean", "words.axes", "words.pictured")
        own = [key for key in started if key.startswith(("head.", "crf.", "reader.", *found_anew))]
        assert all(torch.equal(started[key], tensor) for key, tensor in aligner.state_dict().items() if key not in own)
        return
    assert spacy.load(tmp_path / "out" / "model-last")("Kevin Durant joins the Warriors").has_annotation("ENT_IOB")


def test_paper_cfg_takes_object_crops(corpus, text_encoder_folder, clip_folder):
    settings = overrides("paper", corpus, text_encoder_folder, clip_folder)
    nlp = init_nlp(load_config(ROOT / "configs" / "paper.cfg", overrides=settings, interpolate=False))
    ner = nlp.get_pipe("bga_ner")
    (example,) = list(registry.resolve(nlp.config.interpolate()["corpora"])["train"](nlp))[:1]
    (image,) = example.reference._.image
    for images, n_pictures in (([image], 1), ([image] * 3, 3), ([image] * 9, 4)):
        example.reference._.image = images
        batch = ner.images.features().collate([images], [0])
        assert batch.pixels.shape == (n_pictures, 3, 32, 32)
        losses = ner.update([example], sgd=False)
        assert losses["bga_ner_recon"] > 0
        assert losses["bga_ner_cycle"] > 0
