from __future__ import annotations

import warnings

import pytest
from spacy.training import Example

from spacy_bga.diagnostics import estimate as module
from spacy_bga.diagnostics.estimate import draw, estimate, time_updates
from spacy_bga.pipeline import pretraining
from tests.conftest import encode_picture

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler:UserWarning")


@pytest.fixture
def config(make_doc, save, make_config, text_encoder_folder, vision_encoder_folder):
    docs = [make_doc(f"kevin {'joins ' * (i % 5)}paris", [(0, 1, "PER")], encode_picture(i)) for i in range(24)]
    docs += [make_doc("love apple"), make_doc("kevin durant", None), make_doc("paris " * 40, [(0, 1, "LOC")])]
    config = make_config(train=save(docs, "train.spacy"), dev=save(docs[:2], "dev.spacy"))
    config["components"]["bga_ner"]["feature_cache"] = str(save([], "x.spacy").parent / "features")
    config["components"]["bga_ner"]["model"] |= {
        "text_encoder": str(text_encoder_folder),
        "vision_encoder": str(vision_encoder_folder),
        "bga_layers": 2,
        "image_size": 32,
        "visual_grid": 2,
        "window": 32,
        "overlap": 8,
    }
    return config


def test_it_measures(config, tmp_path):
    found = {finding.kind: finding for finding in estimate(config).findings}
    assert set(found) == {"epoch-seconds", "encode-seconds", "peak-megabytes"}
    assert "epoch of 27 examples" in found["epoch-seconds"].message
    assert "24 images" in found["encode-seconds"].message
    assert 50 < found["peak-megabytes"].count < 20_000
    assert not (tmp_path / "features").exists()  # nothing is written
    assert config["components"]["bga_ner"]["feature_cache"]  # and the config is as it was


def test_it_aligns_nothing(config, monkeypatch):
    """How long that takes depends on all pairs, and what an epoch takes doesn't depend on it."""
    monkeypatch.setattr(pretraining, "pretrain", pytest.fail)
    config["components"]["bga_ner"]["model"] |= {"@architectures": "spacy_bga.BGAModel.v2", "bga_layers": 0}
    assert {finding.kind for finding in estimate(config).findings} > {"epoch-seconds"}


def test_text_only(config):
    config["components"]["bga_ner"]["model"] |= {"vision_encoder": None, "bga_layers": 0}
    assert {finding.kind for finding in estimate(config).findings} == {"epoch-seconds", "peak-megabytes"}


def test_what_can_not_be_measured(config, save):
    config["components"]["bga_ner"]["model"]["text_encoder"] = "/absent/encoder"
    [finding] = estimate(config).findings
    assert (finding.kind, finding.level) == ("estimate-skipped", "warning")
    assert "B401" in finding.message
    config["paths"]["train"] = config["corpora"]["train"]["labelled"]["path"] = str(save([], "none.spacy"))
    [finding] = estimate(config).findings
    assert (finding.kind, finding.level) == ("estimate-skipped", "info")


def test_the_sample_is_fair(nlp, make_doc, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 10)
    monkeypatch.setattr(module, "LONGEST", 3)
    docs = [make_doc("a " * (i + 1), [], "same.png" if i % 2 else bytes([i])) for i in range(30)]
    examples = [Example(doc, doc) for doc in docs]
    times = [0] * 30
    for seed in range(600):
        sample = draw(examples, seed=seed)
        assert (sample.size, len(sample.examples), sample.images) == (30, 10, 16)
        assert sorted(len(example.reference) for example in sample.longest) == [28, 29, 30]
        for example in sample.examples:
            times[len(example.reference) - 1] += 1
    # A third of 600, with a standard deviation of 11.5.
    assert all(abs(number - 200) < 60 for number in times)


def test_time_updates(monkeypatch):
    seen = []
    timed = time_updates([[1, 2], [3], [4, 5, 6]], seen.append)  # type: ignore[list-item]
    assert [number for number, _ in timed] == [1, 3]
    assert seen == [[1, 2], [3], [4, 5, 6]]
    assert [number for number, _ in time_updates([[1]], seen.append)] == [1]  # type: ignore[list-item]
    monkeypatch.setattr(module, "SECONDS", 0)
    assert len(time_updates([[1]] * 9, seen.append)) == 1  # type: ignore[list-item]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert time_updates([], seen.append) == []
