"""Other languages, alphabets, tokenizers and labels: nothing is made for English, Twitter or four labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bga.reliability.tiny import write_text_encoder
from tests.pipeline.conftest import architecture, found, train

# A text of each language, the characters of its entity, and a label of its own. The tokenizers are spaCy's; "zh" splits
# characters, others would need packages of their own.
TEXTS = {
    "de": ("Die Müller GmbH stellt das Fahrrad Blitz vor.", "Müller GmbH", "FIRMA"),
    "ru": ("Новый холодильник Полюс уже в продаже.", "Полюс", "ТОВАР"),
    "el": ("Η Αθήνα είναι πρωτεύουσα.", "Αθήνα", "ΤΌΠΟΣ"),
    "zh": ("我爱北京天安门。", "北京", "地点"),
    "ar": ("زار أحمد مدينة القاهرة أمس", "القاهرة", "مدينة"),
    "he": ("דנה גרה בחיפה עכשיו", "דנה", "אדם"),
    "hi": ("राम दिल्ली में रहता है।", "दिल्ली", "स्थान"),
    "ja": ("東京に行きます。", "東京", "場所"),
    "th": ("ฉันรักกรุงเทพมากๆ", "กรุงเทพ", "สถานที่"),
    "fr": ("L'usine d'Airbus est à Toulouse.", "Airbus", "ENTREPRISE"),
    "xx": ("Nokia 手机 из Финляндии", "Nokia", "ORG-1"),
}
NEEDS = {"ja": "sudachipy", "th": "pythainlp"}


def blank(lang: str) -> Language:
    if lang in NEEDS:
        pytest.importorskip(NEEDS[lang], reason=f"spaCy's tokenizer for {lang} needs it")
    return spacy.blank(lang)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder that knows every letter of the texts."""
    letters = sorted({c for text, _, _ in TEXTS.values() for c in (text + text.lower()) if not c.isspace()})
    return write_text_encoder(tmp_path_factory.mktemp("languages"), words=[], letters=letters)


def learn(nlp: Language, encoder: Path, examples: list[Example], *, steps: int = 40) -> None:
    nlp.add_pipe("bga_ner", config={"model": architecture(encoder, None)})
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=steps, rate=0.01)


@pytest.mark.parametrize("lang", TEXTS)
def test_learns_and_finds(lang: str, encoder: Path, tmp_path: Path):
    text, name, label = TEXTS[lang]
    nlp = blank(lang)
    reference = nlp.make_doc(text)
    start = text.index(name)
    span = reference.char_span(start, start + len(name), label=label, alignment_mode="expand")
    reference.set_ents([span])
    learn(nlp, encoder, [Example(nlp.make_doc(text), reference)])
    assert [(e.text, e.label_) for e in nlp(text).ents] == [(span.text, label)]
    nlp.to_disk(tmp_path / "saved")
    assert found(spacy.load(tmp_path / "saved")(text)) == found(reference)


def white_space_tokenizer(nlp: Language) -> Tokenizer:
    return Tokenizer(nlp.vocab, token_match=re.compile(r"\S+").fullmatch)


def character_tokenizer(nlp: Language) -> Callable[[str], Doc]:
    return lambda text: Doc(nlp.vocab, words=list(text), spaces=[False] * len(text))


@pytest.mark.parametrize(
    ("make_tokenizer", "expected"),
    [(white_space_tokenizer, "Müller GmbH,"), (character_tokenizer, "Müller GmbH")],
)
def test_custom_tokenizer(make_tokenizer: Callable, expected: str, encoder: Path):
    nlp = spacy.blank("de")
    nlp.tokenizer = make_tokenizer(nlp)
    text = "Die Müller GmbH, Köln."
    reference = nlp.make_doc(text)
    reference.set_ents([reference.char_span(4, 15, label="FIRMA", alignment_mode="expand")])
    learn(nlp, encoder, [Example(nlp.make_doc(text), reference)])
    assert [(ent.text, ent.label_) for ent in nlp(text).ents] == [(expected, "FIRMA")]
