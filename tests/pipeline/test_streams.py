"""Streams and documents as spaCy has them: contexts, memory zones, selections of components, copies of documents."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, Entities, found, pipe_of

TEXT, ENTITIES = POSTS[0]
TEXTS = [text for text, _ in POSTS]
MIXED = ["", " \n", "\U0001f468‍\U0001f469‍\U0001f467", *TEXTS, "kevin " * 200]


def found_in(nlp: Language, texts: list[str]) -> list[Entities]:
    return [found(nlp(text)) for text in texts]


class TestContexts:
    def test_each_text_keeps_its_own(self, tagger: Language):
        pairs = list(tagger.pipe(((text, {"id": i}) for i, text in enumerate(MIXED)), as_tuples=True, batch_size=3))
        assert [context["id"] for _, context in pairs] == list(range(len(MIXED)))
        assert [found(doc) for doc, _ in pairs] == found_in(tagger, MIXED)

    def test_also_where_a_document_fails(self, trained: Language, monkeypatch: pytest.MonkeyPatch):
        component = pipe_of(trained)
        predict = component.predict

        def fragile(docs):
            if any(doc.text == TEXTS[1] for doc in docs):
                raise ValueError("this one")
            return predict(docs)

        monkeypatch.setattr(component, "predict", fragile)
        failed = []
        trained.set_error_handler(lambda name, component, docs, error: failed.extend(doc.text for doc in docs))
        pairs = list(trained.pipe(((text, text) for text in TEXTS), as_tuples=True))
        assert failed == [TEXTS[1]]
        assert [context for _, context in pairs] == [text for text in TEXTS if text != TEXTS[1]]
        assert all(doc.text == context for doc, context in pairs)

    def test_documents_in_place_of_texts(self, tagger: Language):
        docs = [Doc(tagger.vocab, words=text.split(" ")) for text in TEXTS]
        assert [found(doc) for doc in tagger.pipe(docs)] == [ents for _, ents in POSTS]


class TestMemoryZone:
    def test_its_strings_go_and_the_labels_stay(self, trained_folder: Path):
        nlp = spacy.load(trained_folder)
        strings = len(nlp.vocab.strings)
        seen = []
        for number in range(3):
            with nlp.memory_zone():
                texts = [*TEXTS, *(f"kevin durant joins unheard{number}x{i}" for i in range(50))]
                seen += [[(ent.text, ent.label_) for ent in doc.ents] for doc in nlp.pipe(texts)][: len(TEXTS)]
        assert len(nlp.vocab.strings) == strings
        assert seen[: len(TEXTS)] == seen[-len(TEXTS) :]
        assert [[label for _, label in ents] for ents in seen[: len(TEXTS)]] == [[e[2] for e in es] for _, es in POSTS]
        assert found_in(nlp, TEXTS) == [ents for _, ents in POSTS]

    def test_without_the_strings_of_the_training(self, trained_folder: Path):
        """A vocabulary that was left out when loading: labels are the component's own."""
        nlp = spacy.load(trained_folder)
        blank = spacy.blank("en")
        blank.add_pipe("bga_ner", config={k: v for k, v in nlp.get_pipe_config("bga_ner").items() if k != "factory"})
        blank.get_pipe("bga_ner").from_disk(trained_folder / "bga_ner", exclude=["vocab"])
        with blank.memory_zone():
            assert [ent.label_ for ent in blank(TEXT).ents] == ["PER", "ORG", "LOC"]
        assert [ent.label_ for ent in blank(TEXT).ents] == ["PER", "ORG", "LOC"]


class TestSelections:
    def test_selected_pipes(self, trained: Language):
        trained.add_pipe("sentencizer")
        with trained.select_pipes(disable="bga_ner"):
            assert not trained(TEXT).ents
        with trained.select_pipes(enable="bga_ner"):
            doc = trained(TEXT)
            assert found(doc) == ENTITIES
            assert not doc.has_annotation("SENT_START")
        assert found(trained(TEXT)) == ENTITIES

    def test_disabled_when_calling(self, tagger: Language):
        assert not tagger(TEXT, disable=["bga_ner"]).ents
        assert not any(doc.ents for doc in tagger.pipe(TEXTS, disable=["bga_ner"]))

    def test_disabled_enabled_and_excluded_when_loading(self, trained_folder: Path):
        disabled = spacy.load(trained_folder, disable=["bga_ner"])
        assert not disabled(TEXT).ents
        disabled.enable_pipe("bga_ner")
        assert found(disabled(TEXT)) == ENTITIES
        assert found(spacy.load(trained_folder, enable=["bga_ner"])(TEXT)) == ENTITIES
        assert spacy.load(trained_folder, exclude=["bga_ner"]).component_names == []

    def test_a_disabled_one_is_saved(self, trained: Language, tmp_path: Path):
        trained.disable_pipe("bga_ner")
        trained.to_disk(tmp_path / "disabled")
        again = spacy.load(tmp_path / "disabled")
        assert again.disabled == ["bga_ner"]
        again.enable_pipe("bga_ner")
        assert found(again(TEXT)) == ENTITIES

    def test_what_needs_entities_comes_after(self, trained: Language):
        trained.add_pipe("entity_linker", first=True)
        problems = trained.analyze_pipes()["problems"]
        assert "doc.ents" in problems["entity_linker"]
        trained.remove_pipe("entity_linker")
        trained.add_pipe("entity_linker")
        assert "doc.ents" not in trained.analyze_pipes()["problems"]["entity_linker"]
        assert trained.analyze_pipes()["problems"]["bga_ner"] == []


class TestDocuments:
    def test_joined(self, tagger: Language):
        """`Doc.from_docs` keeps the entities, and what it makes can be tagged again."""
        docs = [tagger(text) for text in TEXTS]
        docs[0]._.image = encode_picture(0)
        with pytest.warns(UserWarning, match="Skipping Doc custom extension 'image'"):
            joined = Doc.from_docs(docs)
        assert joined is not None
        assert [(e.text, e.label_) for e in joined.ents] == [(e.text, e.label_) for doc in docs for e in doc.ents]
        assert joined._.image is None  # whose would it be?
        again = tagger(Doc(tagger.vocab, words=[token.text for token in joined]))
        assert again.has_annotation("ENT_IOB")
        assert found(tagger(joined)) == found(joined)  # entities that are there are kept

    @pytest.mark.parametrize("way", ["copy", "pickle", "bytes", "DocBin"])
    def test_copied(self, tagger: Language, way: str):
        doc = tagger(TEXT)
        doc._.image = "photos/1.jpg"
        if way == "copy":
            other = doc.copy()
        elif way == "pickle":
            other = pickle.loads(pickle.dumps(doc))
        elif way == "bytes":
            other = Doc(tagger.vocab).from_bytes(doc.to_bytes())
        else:
            (other,) = DocBin(docs=[doc], store_user_data=True).get_docs(tagger.vocab)
        assert found(other) == ENTITIES
        assert other._.image == "photos/1.jpg"
        assert found(tagger(other)) == ENTITIES

    def test_a_span_as_a_document(self, tagger: Language):
        part = tagger(TEXT)[:3].as_doc()
        assert found(part) == [(0, 2, "PER")]
        assert found(tagger(part)) == [(0, 2, "PER")]

    def test_retokenized_between(self, tagger: Language):
        doc = tagger.make_doc(TEXT)
        with doc.retokenize() as retokenizer:
            retokenizer.merge(doc[0:2])
        assert (0, 1) in [(start, end) for start, end, _ in found(tagger(doc))]
