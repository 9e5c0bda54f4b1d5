"""The scores are those of seqeval, by which published ones are made: on random tags, and on the benchmarks' files."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from spacy_bga.corpus.conll import Post, mend_tags, post_to_doc, read_conll
from spacy_bga.corpus.convert import convert
from spacy_bga.evaluation.judged import JudgedCorpus, judge_corpus
from spacy_bga.evaluation.scorecard import score_corpora

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "I-ORG")
LENIENT: dict = {}
STRICT = {"mode": "strict", "scheme": IOB2}


@Language.component("tests_predict_stray_tags")
def predict_stray_tags(doc: Doc) -> Doc:
    """A pipeline that predicts the tags it finds written behind each word: w/B-PER."""
    tags, _ = mend_tags([token.text.rpartition("/")[2] for token in doc])
    doc.ents = Doc(doc.vocab, words=[token.text for token in doc], ents=tags).ents
    return doc


@cache
def make_pipeline() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("tests_predict_stray_tags")
    return nlp


def judge(gold: Sequence[Sequence[str]], found: Sequence[Sequence[str]], folder: Path) -> JudgedCorpus:
    """What a pipeline that predicts some tags finds in a corpus with others, on the way that any corpus takes."""
    nlp = make_pipeline()
    docs = []
    for number, (right, said) in enumerate(zip(gold, found, strict=True)):
        words = tuple(f"w{i}/{tag}" for i, tag in enumerate(said))
        docs.append(post_to_doc(Post(words, tuple(right), None, number), nlp.vocab, tags=mend_tags(right)[0]))
    DocBin(docs=docs, store_user_data=True).to_disk(folder / "corpus.spacy")
    return judge_corpus(nlp, folder / "corpus.spacy")


def check(judged: JudgedCorpus, gold: list[list[str]], found: list[list[str]], **mode: object) -> None:
    """Compare all scores with seqeval's, micro-averaged and by label."""
    scores = score_corpora({"pipeline": judged}, resamples=100)["pipelines"]["pipeline"]["scores"]
    overall = scores["overall"]["all"]
    whole = [f(gold, found, zero_division=0, **mode) for f in (precision_score, recall_score, f1_score)]
    if overall["f1"] is None:
        assert whole == [0, 0, 0]
        return
    assert [overall[key] for key in ("p", "r", "f1")] == pytest.approx([100 * score for score in whole], abs=0.005001)
    report = classification_report(gold, found, output_dict=True, zero_division=0, **mode)
    by_label = {label: part for label, part in report.items() if not label.endswith(" avg")}
    assert by_label.keys() == scores["label"].keys()
    for label, part in by_label.items():
        ours = [scores["label"][label][key] for key in ("p", "r", "f1", "gold")]
        theirs = [100 * part["precision"], 100 * part["recall"], 100 * part["f1-score"], part["support"]]
        assert ours == pytest.approx(theirs, abs=0.005001)


def mended(tags: Sequence[Sequence[str]]) -> list[list[str]]:
    return [mend_tags(row)[0] for row in tags]


@settings(max_examples=30)
@given(data=st.data())
def test_random_tags(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject):
    """Orphan I- tags included: the lenient mode counts them as we do; once mended, the strict one does, too."""
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    gold, found = (
        [data.draw(st.lists(st.sampled_from(TAGS), min_size=n, max_size=n)) for n in lengths] for _ in range(2)
    )
    judged = judge(gold, found, tmp_path_factory.getbasetemp())
    check(judged, gold, found, **LENIENT)
    check(judged, mended(gold), mended(found), **STRICT)
    check(judged, mended(gold), mended(found), **LENIENT)


def noisy(gold: Sequence[Sequence[str]], seed: int) -> list[list[str]]:
    """Predictions that are right in the most: tags are lost, moved, and given other labels, some of them orphans."""
    rng = random.Random(seed)
    kinds = sorted({tag for row in gold for tag in row})
    return [[rng.choice(kinds) if rng.random() < 0.1 else tag for tag in row] for row in gold]


@pytest.mark.shared_data
class TestRealData:
    @pytest.mark.parametrize(("name", "entities"), [("twitter2017/test", 1351), ("twitter2015/valid", 1594)])
    def test_the_files(self, data: Path, tmp_path: Path, name: str, entities: int):
        gold = [list(post.tags) for post in read_conll(data / f"{name}.txt") if post.words]
        found = noisy(gold, seed=1)
        judged = judge(gold, found, tmp_path)
        assert len(judged.gold) == entities
        assert any(mend_tags(row)[1] for row in found)
        check(judged, gold, found, **LENIENT)
        check(judged, mended(gold), mended(found), **STRICT)
        if name.startswith("twitter2017"):  # whose tags are clean, as those of a `bga_ner` are
            check(judged, gold, mended(found), **STRICT)

    def test_the_converted_file(self, data: Path, tmp_path: Path):
        """Converted and tagged by a pipeline that finds some names, as `evaluate` does it."""
        nlp = spacy.blank("en")
        patterns = [{"label": "PER", "pattern": "Kevin Durant"}, {"label": "LOC", "pattern": "Paris"}]
        nlp.add_pipe("entity_ruler").add_patterns([*patterns, {"label": "ORG", "pattern": "RT"}])  # type: ignore[attr-defined]
        convert(data / "twitter2015" / "valid.txt", tmp_path / "valid.spacy", label_map={})
        posts = [post for post in read_conll(data / "twitter2015" / "valid.txt") if post.words]
        found = []
        for post in posts:
            doc = nlp(Doc(nlp.vocab, words=list(post.words)))
            found.append([f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc])
        assert np.sum([row.count("B-ORG") for row in found]) > 20
        judged = judge_corpus(nlp, tmp_path / "valid.spacy")
        check(judged, [list(post.tags) for post in posts], found, **LENIENT)
