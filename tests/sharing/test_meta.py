"""The callback that completes meta.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.util import registry

from spacy_bga.errors import BGAError
from spacy_bga.sharing.meta import create_complete_meta
from spacy_bga.sharing.sources import encoder_source, encoder_sources, merge_sources
from tests.pipeline.conftest import architecture


@pytest.fixture
def nlp(encoders: tuple[Path, Path]) -> Language:
    nlp = spacy.blank("de")
    nlp.add_pipe("bga_ner", config={"model": architecture(*encoders)})
    return nlp


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf8")
    return path


def test_it_is_registered(nlp: Language):
    complete = registry.resolve({"before_to_disk": {"@callbacks": "spacy_bga.complete_meta.v1"}})["before_to_disk"]
    assert complete(nlp) is nlp
    assert [source["name"] for source in nlp.meta["sources"]] == ["text", "vision"]


def test_twice_is_once(nlp: Language, tmp_path: Path):
    stated = write(tmp_path / "meta.json", {"sources": [{"name": "data", "license": "CC0-1.0"}]})
    complete = create_complete_meta(stated)
    first = json.dumps(complete(nlp).meta)
    assert json.dumps(complete(nlp).meta) == first


def test_what_is_stated_goes_before_what_is_found(nlp: Language, tmp_path: Path):
    stated = write(tmp_path / "meta.json", {"sources": [{"name": "text", "license": "MIT"}, "mine"], "license": "MIT"})
    with pytest.raises(BGAError, match="B651"):  # spaCy allows names or objects, not both
        create_complete_meta(stated)
    write(
        stated, {"sources": [{"name": "text", "license": "MIT"}, {"name": "mine", "license": "MIT"}], "license": "MIT"}
    )
    nlp.meta["license"] = "other"
    sources = {source["name"]: source for source in create_complete_meta(stated)(nlp).meta["sources"]}
    assert list(sources) == ["text", "mine", "vision"]
    assert sources["text"] == {"name": "text", "license": "MIT", "role": "text encoder"}
    assert nlp.meta["license"] == "MIT"


def test_names_alone(nlp: Language, tmp_path: Path):
    complete = create_complete_meta(write(tmp_path / "meta.json", {"sources": ["a", "b"]}))
    with pytest.warns(UserWarning, match="the source [ab] is"):
        complete(nlp)
    assert nlp.meta["sources"][:2] == [{"name": "a"}, {"name": "b"}]


def test_sources_of_what_it_began_with(nlp: Language, tmp_path: Path):
    """A pipeline that begins with an aligned one has learnt from that one's data, too."""
    (tmp_path / "aligned").mkdir()
    write(
        tmp_path / "aligned" / "meta.json", {"sources": [{"name": "pairs", "license": "CC BY 4.0"}, {"name": "text"}]}
    )
    nlp.config["initialize"]["components"] = {"bga_ner": {"aligner": str(tmp_path / "aligned")}, "other": {}}
    names = [source["name"] for source in create_complete_meta()(nlp).meta["sources"]]
    assert names == ["pairs", "text", "vision"]
    nlp.config["initialize"]["components"]["bga_ner"]["aligner"] = str(tmp_path / "no such")
    assert [source["name"] for source in create_complete_meta()(nlp).meta["sources"]] == ["text", "vision"]


def test_a_text_only_component_has_no_vision_encoder(encoders: tuple[Path, Path]):
    nlp = spacy.blank("xx")
    nlp.add_pipe("bga_ner", config={"model": architecture(encoders[0], encoders[1]) | {"bga_layers": 0}})
    nlp.add_pipe("bga_ner", name="again", config={"model": architecture(encoders[0], None)})
    assert [source["role"] for source in encoder_sources(nlp)] == ["text encoder"]


def test_a_kept_visual_branch_is_in_the_package(encoders: tuple[Path, Path]):
    nlp = spacy.blank("xx")
    nlp.add_pipe("bga_ner", config={"model": architecture(*encoders), "save_visual_branch": True})
    assert encoder_sources(nlp)[1]["role"] == "vision encoder"


def test_a_pipeline_without_it():
    assert create_complete_meta()(spacy.blank("en")).meta["sources"] == []


@pytest.mark.parametrize("card", ["no front matter", "---\nlicense: [a, b]\n---\n", "---\nlicense: {: \n---\n", None])
def test_unknown_licence(card: str | None, text_encoder_folder: Path, tmp_path: Path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for file in text_encoder_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if card is not None:
        (folder / "README.md").write_text(card, encoding="utf8")
    # Where it lay is nobody's business.
    assert encoder_source(str(folder), role="text encoder") == {"name": "mine", "role": "text encoder"}
    nlp = spacy.blank("en")
    nlp.add_pipe("bga_ner", config={"model": architecture(folder, None)})
    with pytest.warns(UserWarning, match=r"W650.*The licence of the source mine is not known"):
        create_complete_meta()(nlp)
    stated = write(tmp_path / "meta.json", {"sources": [{"name": "mine", "license": "MIT"}]})
    assert create_complete_meta(stated)(nlp).meta["sources"][0]["license"] == "MIT"  # and no warning


def test_an_encoder_of_the_hub(text_encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPACY_BGA_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "encoders" / "someone--encoder"
    folder.mkdir(parents=True)
    for file in text_encoder_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf8")
    assert encoder_source("someone/encoder", role="text encoder") == {
        "name": "someone/encoder",
        "url": "https://huggingface.co/someone/encoder",
        "author": "someone",
        "role": "text encoder",
        "license": "mit",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (["a"], "it holds no object"),
        ({"performance": {"ents_f": 1.0}}, "'performance' is not for you to state"),
        ({"labels": {}, "lang": "en"}, "'labels' is not for you to state; 'lang'"),
        ({"license": 3}, r"\[license\]"),
        ({"sources": [{"license": "MIT"}]}, "has no name"),
    ],
)
def test_what_may_not_be_stated(content: object, reason: str, tmp_path: Path):
    path = write(tmp_path / "meta.json", content)
    with pytest.raises(BGAError, match=f"B651.*meta.json.*{reason}.*It may state: name, version, description"):
        create_complete_meta(str(path))


def test_no_file_and_no_json(tmp_path: Path):
    with pytest.raises(BGAError, match=r"B651.*none.json"):
        create_complete_meta(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf8")
    with pytest.raises(BGAError, match=r"B651.*broken.json"):
        create_complete_meta(tmp_path / "broken.json")


def test_merged_sources():
    merged = merge_sources(
        ["a", {"name": "b", "license": "x"}, {"name": "a", "url": "u"}, {"name": "b", "license": "y"}]
    )
    assert merged == [{"name": "a", "url": "u"}, {"name": "b", "license": "y"}]
