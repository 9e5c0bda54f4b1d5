"""`ent._.bga_confidence`: what the CRF says of an entity as a whole, and what becomes of it on its way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

from spacy_bga.pipeline.confidence import CONFIDENCE_ATTR, set_confidences
from tests.aligner.test_crf import enumerate_paths, has_entity, log_sum
from tests.pipeline.conftest import POSTS, aligner_of, found, pipe_of

TEXT = POSTS[0][0]


@pytest.fixture
def sure(trained: Language) -> Language:
    pipe_of(trained).confidence = True
    return trained


def confidences(doc: Doc) -> list[float | None]:
    return [ent._.bga_confidence for ent in doc.ents]


def keys(doc: Doc) -> list[Any]:
    return [key for key in doc.user_data if isinstance(key, tuple) and key[1] == CONFIDENCE_ATTR]


class TestValue:
    def test_is_the_share_of_all_tag_sequences(self, sure: Language, monkeypatch: pytest.MonkeyPatch):
        crf = aligner_of(sure).crf
        seen = []
        original = crf.entity_posteriors
        monkeypatch.setattr(crf, "entity_posteriors", lambda *given: seen.append(given) or original(*given))
        # Four tokens, one of them white space that the CRF doesn't see
        doc = sure("new  \n york !")
        ((emissions, mask, entities, allowed),) = seen
        paths = enumerate_paths(crf, emissions[0].double())
        assert mask.shape == (1, 3)
        assert allowed is None
        assert len(doc.ents) == len(entities) > 0
        for confidence, (_, first, end, label) in zip(confidences(doc), entities.tolist(), strict=True):
            chosen = [score for path, score in paths.items() if has_entity(path, first, end, label)]
            share = float((log_sum(chosen) - log_sum(paths.values())).exp())
            assert confidence == pytest.approx(share, rel=1e-5)

    def test_surer_of_what_it_was_taught(self, sure: Language):
        known = [value for doc in sure.pipe(text for text, _ in POSTS) for value in confidences(doc)]
        strange = [value for doc in sure.pipe(["c e n s", "n love a b is"]) for value in confidences(doc)]
        assert all(value is not None and 0 <= value <= 1 for value in (*known, *strange))
        assert min(known) > 0.5  # type: ignore[type-var]

    def test_batches_change_nothing(self, sure: Language):
        texts = ["", "  \n", "👩‍👩‍👧 kevin", *(text for text, _ in POSTS), " ".join([TEXT] * 30), "paris"]
        together = [confidences(doc) for doc in sure.pipe(texts)]
        for text, expected in zip(texts, together, strict=True):
            doc = sure(text)
            assert len(doc.ents) == len(expected)
            assert confidences(doc) == pytest.approx(expected, abs=1e-4)

    def test_is_opt_in_and_changes_no_entity(self, tagger: Language, sure: Language):
        plain = list(tagger.pipe(text for text, _ in POSTS))
        assert [found(doc) for doc in sure.pipe(text for text, _ in POSTS)] == [found(doc) for doc in plain]
        assert all(value is None for doc in plain for value in confidences(doc))
        assert not any(keys(doc) for doc in plain)
        assert pipe_of(tagger).predict([tagger.make_doc(TEXT)])[0].confidence is None

    def test_of_documents_without_tokens_or_entities(self, sure: Language):
        docs = [sure.make_doc(""), sure.make_doc(" \n "), sure.make_doc("is the in !")]
        for alone in (docs, docs[:2]):
            predicted = pipe_of(sure).predict(alone)
            assert [len(tagging.confidence) for tagging in predicted if tagging.confidence is not None] == [0] * len(
                alone
            )
        assert not any(keys(doc) for doc in sure.pipe(["", "is the in !"]))


class TestSetting:
    def test_in_the_config(self, make_nlp):
        nlp = make_nlp(text_only=True, confidence=True)
        assert nlp.config["components"]["bga_ner"]["confidence"] is True
        assert pipe_of(nlp).predict([nlp.make_doc("kevin durant")])[0].confidence is not None
        assert make_nlp(text_only=True).config["components"]["bga_ner"]["confidence"] is False

    def test_while_loading(self, trained_folder: Path):
        nlp = spacy.load(trained_folder, config={"components.bga_ner.confidence": True})
        assert None not in confidences(nlp(TEXT))


class TestEntitiesBefore:
    @pytest.fixture
    def ruled(self, sure: Language) -> Language:
        ruler: Any = sure.add_pipe("entity_ruler", before="bga_ner")
        ruler.add_patterns([{"label": "CITY", "pattern": "oakland"}])
        return sure

    def test_have_none(self, ruled: Language):
        doc = ruled(TEXT)
        assert {ent.label_: ent._.bga_confidence is None for ent in doc.ents} == {
            "PER": False,
            "ORG": False,
            "CITY": True,
        }

    def test_of_another_label_have_none(self, sure: Language):
        """What a later component makes of an entity, the CRF has said nothing of."""
        doc = sure(TEXT)
        last = doc.ents[-1]
        doc.ents = [*doc.ents[:-1], Span(doc, last.start, last.end, label="CITY")]
        assert [value is None for value in confidences(doc)] == [False, False, True]

    def test_of_an_earlier_component_keep_theirs(self, sure: Language, trained_folder: Path):
        doc = sure(TEXT)
        before = confidences(doc)
        again = spacy.load(trained_folder, config={"components.bga_ner.confidence": True})
        assert confidences(again(doc)) == before

    def test_overwriting_forgets(self, sure: Language, trained_folder: Path):
        doc = sure(TEXT)
        assert len(keys(doc)) == 3
        unsure = spacy.load(trained_folder, config={"components.bga_ner.overwrite": True})
        assert found(unsure(doc)) == POSTS[0][1]
        assert confidences(doc) == [None, None, None]

    def test_what_is_dropped_is_not_remembered(self, tagger: Language):
        doc = tagger.make_doc("a b")
        spans = [Span(doc, 0, 1, label="PER"), Span(doc, 1, 2, label="PER")]
        doc.ents = [spans[0]]
        set_confidences(doc, spans, np.array([0.25, 0.5]), overwrite=False)
        assert [span._.bga_confidence for span in spans] == [0.25, None]


class TestPassages:
    @pytest.fixture
    def doc(self, sure: Language) -> Doc:
        doc = sure(TEXT)
        assert len(doc.ents) == 3
        assert None not in confidences(doc)
        return doc

    def test_bytes(self, doc: Doc):
        assert confidences(Doc(doc.vocab).from_bytes(doc.to_bytes())) == confidences(doc)

    def test_docbin(self, doc: Doc):
        data = DocBin(docs=[doc], store_user_data=True).to_bytes()
        (back,) = DocBin().from_bytes(data).get_docs(doc.vocab)
        assert confidences(back) == confidences(doc)

    def test_json(self, doc: Doc):
        data = doc.to_json(underscore=[CONFIDENCE_ATTR])
        assert confidences(Doc(doc.vocab).from_json(data, validate=True)) == confidences(doc)

    def test_joined_documents(self, doc: Doc):
        assert confidences(Doc.from_docs([doc, doc])) == confidences(doc) * 2

    def test_part_of_a_document(self, doc: Doc):
        part = doc[4:7].as_doc(copy_user_data=True)
        assert confidences(part) == confidences(doc)[1:]

    def test_merged_tokens(self, doc: Doc):
        before = confidences(doc)
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[0:2])
        assert confidences(doc) == before

    def test_processes(self, sure: Language, doc: Doc):
        texts = [text for text, _ in POSTS]
        expected = [confidences(doc) for doc in sure.pipe(texts)]
        for done, values in zip(sure.pipe(texts, n_process=2, batch_size=2), expected, strict=True):
            assert confidences(done) == pytest.approx(values, abs=1e-4)

    def test_another_process_that_only_reads(self, doc: Doc, tmp_path: Path):
        """Any `nlp` brings the attribute along; nothing else of this library is needed."""
        DocBin(docs=[doc], store_user_data=True).to_disk(tmp_path / "doc.spacy")
        code = (
            "import spacy, sys; from spacy.tokens import DocBin; nlp = spacy.blank('en')\n"
            "(doc,) = DocBin().from_disk(sys.argv[1]).get_docs(nlp.vocab)\n"
            "print([ent._.bga_confidence for ent in doc.ents])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "doc.spacy")], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(confidences(doc))
