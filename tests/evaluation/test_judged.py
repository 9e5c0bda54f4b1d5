"""Entities, judged one by one, and what is counted from them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Corpus, Example

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.comparison import Verdict
from spacy_bga.evaluation.confusion import confusion
from spacy_bga.evaluation.judged import JudgedCorpus, judge_corpus
from spacy_bga.evaluation.slices import known_entities, make_slices
from tests.evaluation.aligners import write_images, write_texts

SMALL = {
    "pretrained_vectors": None,
    "width": 8,
    "depth": 1,
    "embed_size": 50,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": False,
}
VOCAB = spacy.blank("en").vocab
RULES = {"kevin durant": "PER", "paris": "ORG", "new york": "LOC", "york city": "LOC", "a  b": "PER"}
TEXTS: Any = [
    ("kevin durant joins oakland", [(0, 2, "PER"), (3, 4, "LOC")]),
    ("love paris !", [(1, 2, "LOC")]),
    ("new york city is new york", [(0, 3, "LOC"), (4, 6, "LOC")]),
    ("nothing here", []),
    ("paris 👩‍👩‍👧", []),
]


def ruled(rules: dict[str, str] = RULES) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": label, "pattern": p} for p, label in rules.items()])  # type: ignore[attr-defined]
    return nlp


@Language.component("tests_fail_in_paris")
def fail_in_paris(doc: Doc) -> Doc:
    if "paris" in doc.text:
        raise ValueError("it is Paris")
    return doc


def summary(corpus: JudgedCorpus) -> dict[str, list[tuple[str, str, int, str, str | None]]]:
    return {
        side: [(e.text, e.label, e.length, e.verdict.name, e.other) for e in getattr(corpus, side)]
        for side in ("predicted", "gold")
    }


def test_each_entity(tmp_path: Path):
    judged = judge_corpus(ruled(), write_texts(tmp_path / "texts.spacy", TEXTS))
    assert summary(judged) == {
        "predicted": [
            ("kevin durant", "PER", 2, "CORRECT", "PER"),
            ("paris", "ORG", 1, "WRONG_LABEL", "LOC"),
            ("new york", "LOC", 2, "WRONG_BORDERS", None),
            ("new york", "LOC", 2, "CORRECT", "LOC"),
            ("paris", "ORG", 1, "SPURIOUS", None),
        ],
        "gold": [
            ("kevin durant", "PER", 2, "CORRECT", "PER"),
            ("oakland", "LOC", 1, "MISSED", None),
            ("paris", "LOC", 1, "WRONG_LABEL", "ORG"),
            ("new york city", "LOC", 3, "WRONG_BORDERS", None),
            ("new york", "LOC", 2, "CORRECT", "LOC"),
        ],
    }
    assert judged.counts().tolist() == [[1, 1, 2], [0, 1, 1], [1, 2, 2], [0, 0, 0], [0, 1, 0]]
    assert judged.annotated == len(judged.images) == 5
    assert all(entity.confidence is None for entity in judged.predicted)
    assert judged.notices == []


def test_as_spacy_evaluates(tmp_path: Path):
    path = write_texts(tmp_path / "texts.spacy", TEXTS)
    nlp = ruled()
    scores = nlp.evaluate(Corpus(path)(nlp))
    correct, predicted, gold = judge_corpus(nlp, path).counts().sum(axis=0)
    assert (correct / predicted, correct / gold) == pytest.approx((scores["ents_p"], scores["ents_r"]))


def test_spacys_own_ner_beside_a_component_that_fails(tmp_path: Path):
    path = write_texts(tmp_path / "texts.spacy", TEXTS)
    nlp = spacy.blank("en")
    nlp.add_pipe("ner", config={"model": {"tok2vec": {"@architectures": "spacy.HashEmbedCNN.v2", **SMALL}}})
    nlp.initialize(lambda: Corpus(path)(nlp))
    expected = nlp.evaluate(Corpus(path)(nlp))["ents_p"]
    correct, predicted, _ = judge_corpus(nlp, path).counts().sum(axis=0)
    assert correct / max(predicted, 1) == pytest.approx(expected)
    nlp.add_pipe("tests_fail_in_paris")
    assert "[W610] 2 texts" in judge_corpus(nlp, path).notices[0]


def test_tokens_of_the_corpus_are_kept_where_spaces_are_unknown(tmp_path: Path):
    doc = Doc(VOCAB, words=["#kevin", "can't", "durant"], ents=["B-PER", "O", "O"])
    assert doc.has_unknown_spaces
    DocBin(docs=[doc]).to_disk(tmp_path / "texts.spacy")
    nlp = spacy.blank("en")
    patterns = [{"label": "PER", "pattern": [{"TEXT": "#kevin"}]}, {"label": "ORG", "pattern": [{"TEXT": "can't"}]}]
    nlp.add_pipe("entity_ruler").add_patterns(patterns)  # type: ignore[attr-defined]
    assert len(nlp.make_doc(doc.text)) > 3
    judged = judge_corpus(nlp, tmp_path / "texts.spacy")
    assert [(e.text, e.length) for e in judged.predicted] == [("#kevin", 1), ("can't", 1)]


def test_where_nobody_annotated(tmp_path: Path):
    docs = [Doc(VOCAB, words=["paris"]), Doc(VOCAB, words=["paris", "paris"])]
    docs[1].set_ents([Span(docs[1], 0, 1, label="ORG")], missing=[docs[1][1:2]], default="outside")
    DocBin(docs=docs).to_disk(tmp_path / "texts.spacy")
    judged = judge_corpus(ruled(), tmp_path / "texts.spacy")
    assert judged.counts().tolist() == [[0, 0, 0], [1, 1, 1]]
    assert judged.annotated == 1
    DocBin(docs=docs[:1]).to_disk(tmp_path / "texts.spacy")
    with pytest.raises(BGAError, match="B611"):
        judge_corpus(ruled(), tmp_path / "texts.spacy")


def test_a_text_that_fails_has_missed_its_entities(tmp_path: Path):
    nlp = ruled()
    nlp.add_pipe("tests_fail_in_paris")
    judged = judge_corpus(nlp, write_texts(tmp_path / "texts.spacy", TEXTS))
    assert judged.counts().tolist() == [[1, 1, 2], [0, 0, 1], [1, 2, 2], [0, 0, 0], [0, 0, 0]]
    assert [entity.verdict for entity in judged.gold if entity.document == 1] == [Verdict.MISSED]
    (notice,) = judged.notices
    assert notice.startswith("[W610] 2 texts")
    assert "it is Paris" in notice


def test_a_pipeline_that_finds_nothing(tmp_path: Path):
    judged = judge_corpus(spacy.blank("en"), write_texts(tmp_path / "texts.spacy", TEXTS))
    assert judged.counts().sum(axis=0).tolist() == [0, 0, 5]
    assert [notice[:6] for notice in judged.notices] == ["[W611]"]


def test_jsonl(tmp_path: Path):
    rows: list[Any] = [
        {"text": "love paris !", "image": "a.png", "spans": [{"start": 5, "end": 10, "label": "ORG"}]},
        {"text": "  ", "spans": []},
        {"text": "", "spans": []},
        {"text": "paris"},
        {"no text": 1},
    ]
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    judged = judge_corpus(ruled(), path)
    assert judged.counts().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert judged.images == (True, False, False, False)
    assert "[B320]" in judged.notices[0]


class TestImages:
    def test_an_image_counts_if_it_is_there(self, tmp_path: Path):
        images = write_images(tmp_path / "images", ["a.png"])
        path = write_texts(tmp_path / "texts.spacy", TEXTS[:3], images=["a.png", "absent.png", None])
        assert judge_corpus(ruled(), path).images == (True, True, False)
        assert judge_corpus(ruled(), path, images=images).images == (True, False, False)


class TestSlices:
    @pytest.fixture
    def judged(self, tmp_path: Path) -> JudgedCorpus:
        path = write_texts(tmp_path / "texts.spacy", TEXTS, images=["a.png", None, None, None, "b.png"])
        return judge_corpus(ruled(), path)

    def test_each_group_adds_up_to_the_whole(self, judged: JudgedCorpus):
        slices = make_slices([judged], known={"paris", "kevin durant"})
        groups: dict[str, np.ndarray] = {}
        for part in slices:
            groups[part.group] = groups.get(part.group, 0) + judged.counts(part.chosen)
        assert groups.keys() == {"overall", "label", "length", "seen", "image"}
        assert all(np.array_equal(total, judged.counts()) for total in groups.values())

    def test_their_counts(self, judged: JudgedCorpus):
        slices = make_slices([judged], known={"paris", "kevin durant"})
        found = {part.name: judged.counts(part.chosen).sum(axis=0).tolist() for part in slices}
        assert found == {
            "all": [2, 5, 5],
            "LOC": [1, 2, 4],
            "ORG": [0, 2, 0],
            "PER": [1, 1, 1],
            "1": [0, 2, 2],
            "2": [2, 3, 2],
            "3": [0, 0, 1],
            "4 or more": [0, 0, 0],
            "seen": [1, 3, 2],
            "unseen": [1, 2, 3],
            "with an image": [1, 2, 2],
            "without": [1, 3, 3],
        }

    def test_labels_of_all_pipelines(self, judged: JudgedCorpus, tmp_path: Path):
        other = judge_corpus(ruled({"nothing": "X"}), write_texts(tmp_path / "texts.spacy", TEXTS))
        names = [part.name for part in make_slices([judged, other]) if part.group == "label"]
        assert names == ["LOC", "ORG", "PER", "X"]

    def test_without_training_corpus_or_images(self, tmp_path: Path):
        judged = judge_corpus(ruled(), write_texts(tmp_path / "texts.spacy", TEXTS))
        assert {part.group for part in make_slices([judged])} == {"overall", "label", "length"}

    def test_the_same_words_whatever_their_case_and_spaces(self):
        doc = Doc(VOCAB, words=["New", "\n", "York", "is"], ents=["B-LOC", "I-LOC", "I-LOC", "O"])
        assert known_entities([doc, Doc(VOCAB, words=["a"])]) == {"new york"}


@pytest.fixture(scope="module")
def nlp() -> Language:
    """For many examples: a blank pipeline takes a twelfth of a second."""
    return ruled()


class TestConfusion:
    def test_by_hand(self, tmp_path: Path):
        found = confusion(judge_corpus(ruled(), write_texts(tmp_path / "texts.spacy", TEXTS)))
        assert found["labels"] == ["LOC", "ORG", "PER"]
        assert found["gold"]["LOC"] == {"found_as": {"LOC": 1, "ORG": 1, "PER": 0}, "wrong_borders": 1, "missed": 1}
        assert found["gold"]["ORG"] == {"found_as": {"LOC": 0, "ORG": 0, "PER": 0}, "wrong_borders": 0, "missed": 0}
        assert found["predicted"]["LOC"] == {"wrong_borders": 1, "spurious": 0}
        assert found["predicted"]["ORG"] == {"wrong_borders": 0, "spurious": 1}

    @settings(max_examples=40)
    @given(data=st.data())
    def test_rows_and_columns_add_up(
        self, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, nlp: Language
    ):
        words = [data.draw(st.lists(st.sampled_from(["paris", "new", "york", "city"]), min_size=1, max_size=6))]
        places = data.draw(st.lists(st.integers(0, len(words[0])), max_size=6).map(lambda p: sorted(set(p))))
        pairs = itertools.pairwise(places)
        entities = [(start, end, data.draw(st.sampled_from(["LOC", "ORG"]))) for start, end in pairs]
        path = write_texts(tmp_path_factory.getbasetemp() / "texts.spacy", [(" ".join(words[0]), entities)])
        judged = judge_corpus(nlp, path)
        found = confusion(judged)
        counted = judged.counts()
        rows = {
            label: sum(g["found_as"].values()) + g["wrong_borders"] + g["missed"] for label, g in found["gold"].items()
        }
        columns = {
            label: sum(g["found_as"][label] for g in found["gold"].values()) + sum(found["predicted"][label].values())
            for label in found["labels"]
        }
        for label in found["labels"]:
            assert rows[label] == sum(entity.label == label for entity in judged.gold)
            assert columns[label] == sum(entity.label == label for entity in judged.predicted)
        assert sum(g["found_as"][label] for label, g in found["gold"].items()) == counted[0, 0]
        (gold,) = DocBin().from_disk(path).get_docs(nlp.vocab)
        prf = get_ner_prf([Example(nlp(Doc(nlp.vocab, words=words[0])), gold)])
        assert (prf["ents_p"] or 0) == pytest.approx(counted[0, 0] / max(counted[0, 1], 1))
