"""Each section on tiny models: what it returns is whole, and JSON can hold it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
import torch

from spacy_bga.benchmark import accuracy, confidence, latency, memory, scaling, start_up, throughput, training
from spacy_bga.benchmark.huggingface import HuggingFaceTagger
from spacy_bga.benchmark.peers import learn, make_examples
from spacy_bga.benchmark.setting import TEXT_ONLY, Setting
from spacy_bga.benchmark.texts import read_texts
from spacy_bga.errors import BGAError

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # spacy-transformers' own
EVERYBODY = {"bga", "text_only", "spacy", "huggingface"}


def measured(section: Any, setting: Setting, function: str = "measure") -> dict[str, Any]:
    given = json.loads(json.dumps(setting.to_dict()))
    return json.loads(json.dumps(getattr(section, function)(given), allow_nan=False))


def test_a_setting_survives_json(setting: Setting):
    assert Setting.from_dict(json.loads(json.dumps(setting.to_dict()))) == setting


def test_throughput(setting: Setting):
    found = measured(throughput, setting)
    assert (found["documents"], found["words"]) == (4, 17)
    assert found["entities"]["gold"] == 6
    assert found["entities"].keys() == EVERYBODY | {"gold"}
    assert [size["batch_size"] for size in found["by_batch_size"]] == [2, 64]
    for size in found["by_batch_size"]:
        assert size["contenders"].keys() == EVERYBODY
        assert all(0 < one["gemm_share"]["median"] < 1 for one in size["contenders"].values())
        ours, theirs = (size["contenders"][name]["words_per_s"] for name in ("bga", "spacy"))
        ratio = size["ratios"]["bga/spacy"]
        assert ours["min"] / theirs["max"] * 0.99 <= ratio["median"] <= ours["max"] / theirs["min"] * 1.01
    assert found["mflops_per_word"]["bga"] > found["mflops_per_word"]["text_only"]


def test_latency(setting: Setting):
    found = measured(latency, setting)
    assert found["documents"] == 3
    assert found["contenders"].keys() == EVERYBODY
    for one in found["contenders"].values():
        assert 0 < one["p50_ms"]["median"] <= one["p95_ms"]["median"] <= one["p99_ms"]["median"]
    assert "text_only/huggingface" in found["ratios"]
    assert latency.sample(range(10), 3) == [0, 3, 6]
    assert latency.sample(range(2), 3) == [0, 1]


def test_training(setting: Setting):
    found = measured(training, setting)
    assert found["contenders"].keys() == {"text_only", "spacy", "plain_pytorch"}
    assert found["ratios"]["text_only/plain_pytorch"]["median"] > 0


def test_scaling(setting: Setting):
    found = measured(scaling, setting)
    assert found["contenders"].keys() == EVERYBODY - {"huggingface"}
    for one in found["contenders"].values():
        assert one["us_per_word"].keys() == {"4", "8"}
        assert one["length_ratio"]["median"] > 0


def test_accuracy(setting: Setting):
    found = measured(accuracy, setting)
    assert found["contenders"].keys() == {"bga", "text_only"}
    assert found["contenders"]["bga"]["differing_documents"] == 0
    assert accuracy.f1([{(0, 1, "A")}, set()], [{(0, 1, "A"), (2, 3, "A")}, set()]) == pytest.approx(200 / 3)
    assert accuracy.f1([set()], [set()]) == 0


@pytest.mark.usefixtures("own_process")
def test_memory(setting: Setting):
    found = measured(memory, setting)
    assert found["contenders"].keys() == EVERYBODY
    for one in found["contenders"].values():
        assert one["peak_mb"] >= one["loaded_mb"] > 10
        assert one["disk_mb"] > 0


@pytest.mark.usefixtures("own_process")
def test_confidence(setting: Setting):
    found = measured(confidence, setting)
    assert found["contenders"].keys() == {"bga", "text_only"}
    assert (found["documents"], found["single"]) == (4, 3)
    for one in found["contenders"].values():
        for ratio in one.values():
            assert 0 < ratio["min"] <= ratio["median"] <= ratio["max"]
            assert ratio["cpu"] > 0


def test_growth(setting: Setting):
    found = measured(memory, setting, "measure_growth")
    assert (found["contender"], found["documents"]) == ("bga", 80)
    for way in ("memory_zone", "plain"):
        assert found[way]["rss_mb"][-1][0] == found[way]["documents"] == {"memory_zone": 80, "plain": 8}[way]


def test_growth_is_told_from_a_tenth_of_the_stream():
    seen = [0, 10, 20, 60, 100]
    found = memory.tell_growth(seen, [50.0, 100.0, 101.0, 105.0, 109.0])
    assert found["growth_mb"] == 9
    assert found["mb_per_100k_docs"] == pytest.approx(10_000)


def test_start_up(setting: Setting, monkeypatch: pytest.MonkeyPatch):
    def run(*script: str) -> dict[str, Any]:
        return {"seconds": 2.0 if "without" in script else 3.0, "first_s": 0.1, "heavy": []}

    monkeypatch.setattr(start_up, "_run", run)
    found = measured(start_up, setting)
    assert found["blank_extra_ms"]["median"] == 1000
    assert found["load_ratios"] == {
        name: {"median": 1.0, "min": 1.0, "max": 1.0} for name in ("bga/spacy", "text_only/spacy")
    }


def test_importing_is_cheap():
    assert start_up._run(start_up.IMPORT)["heavy"] == []


def test_a_blank_pipeline_without_this_package():
    assert "spacy_bga" in start_up._run(start_up.BLANK, "with")["heavy"]
    assert "spacy_bga" not in start_up._run(start_up.BLANK, "without")["heavy"]


def test_a_script_that_fails_is_told_of():
    with pytest.raises(BGAError, match=r"(?s)B541.*ZeroDivisionError"):
        start_up._run("1 / 0")


def test_the_plain_loop_tags_each_word(setting: Setting):
    tagger = HuggingFaceTagger(setting.encoder)
    texts = read_texts(setting.texts)
    found = [tagger.tag_batch([words])[0] for words in tagger.prepare(texts)]
    assert [len(tags) for tags in found[:3]] == [7, 3, 5]
    assert tagger.tag_batch(tagger.prepare(texts[:3])) == found[:3]  # padding changes nothing
    assert len(tagger.tag("love paris!")[0]) == 3


def test_what_is_built_learns_with_all_its_parts(setting: Setting, texts_file: Path):
    """Building leaves the encoder as it was; the training that is timed must not."""
    folder = next(contender.folder for contender in setting.contenders if contender.name == TEXT_ONLY)
    nlp = spacy.load(folder)
    encoder = nlp.get_pipe("bga_ner").model.shims[0].aligner.text_encoder
    before = [parameter.detach().clone() for parameter in encoder.parameters()]
    learn(nlp, make_examples(nlp, read_texts(texts_file)), 2)
    assert any(not torch.equal(a, b) for a, b in zip(before, encoder.parameters(), strict=True))
