"""Texts to wordpieces as their encoder knows them, aligned to words by characters."""

from __future__ import annotations

import copy
import json
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import spacy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from tokenizers import ByteLevelBPETokenizer, decoders
from transformers import BertTokenizer, RobertaTokenizerFast

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.windows import merge_wordpieces
from spacy_bga.corpus.images import register_image_extension
from spacy_bga.diagnostics.component import windowing
from spacy_bga.errors import BGAError
from spacy_bga.pipeline.alignment import _lay_out, imagine_spans
from spacy_bga.pipeline.architectures import build_bga_model
from spacy_bga.pipeline.architectures_v1 import build_bga_model_v1
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.pipeline.word_evidence import _keys
from spacy_bga.pipeline.wordpieces import WordpieceTokenizer, suited_unit
from spacy_bga.reliability.tiny import WORDS
from tests.conftest import encode_picture
from tests.pipeline.conftest import architecture, found, pipe_of, train
from tests.pipeline.words import words_pipeline
from tests.unigram import SPECIAL, write_unigram_encoder

CHINESE = ["我爱北京天安门。", "北京是中国的首都。", "上海在中国的东部。", "他昨天从北京去上海。", "中国的首都是北京。"]
JAPANESE = ["東京に行きます。", "東京は日本の首都です。", "大阪に行きました。", "日本の首都は東京です。"]
# Each is normalized by itself, whatever stands beside it.
UNITS = [
    "love",
    "n't",
    "#",
    "Kevin",
    "北京",
    "に行",
    "👍🏽",
    "👩\u200d🚀",
    "é",
    "e\u0301",
    "ﬁ",
    "½",
    "İ",
    "שלום",
    "กรุง",
    "\u2581",
]
UNITS += ["<s>", "</s>", "<mask>", "[SEP]"]
EMPTY = ["\x07", "\u200d", "\ufe0f", "\u200f", "\u0301", "\u0327"]
GAPS = ["", "", " ", "  ", "\n", "\t "]


@pytest.fixture(scope="session")
def unigram_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_unigram_encoder(tmp_path_factory.mktemp("unigram"), (CHINESE + JAPANESE + [" ".join(WORDS)]) * 20)


@pytest.fixture(scope="session")
def tokenizers(
    unigram_folder: Path, text_encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, WordpieceTokenizer]:
    folder = tmp_path_factory.mktemp("byte_level")
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        [" ".join(WORDS)] * 50, vocab_size=400, show_progress=False, special_tokens=[*SPECIAL.values()]
    )
    bpe.save_model(str(folder))
    RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    folders = {"unigram": unigram_folder, "byte-level": folder, "wordpiece": text_encoder_folder}
    return {
        name: WordpieceTokenizer.from_folder(path, window=16, overlap=4, of="text") for name, path in folders.items()
    }


def texts_of(tokenizer: WordpieceTokenizer, ids: np.ndarray) -> list[str]:
    return tokenizer.tokenizer.convert_ids_to_tokens(ids.tolist())


def make_doc(nlp: Language, words: list[str], gaps: list[str]) -> Doc:
    """Words with these gaps behind them; more than a single space makes a token, as spaCy's tokenizer has it."""
    tokens: list[str] = []
    spaces: list[bool] = []
    for word, gap in zip(words, gaps, strict=True):
        tokens.append(word)
        spaces.append(gap.startswith(" "))
        if rest := gap.removeprefix(" "):
            tokens.append(rest)
            spaces.append(False)
    return Doc(nlp.vocab, words=tokens, spaces=spaces)


@st.composite
def docs(draw: st.DrawFn, units: list[str]) -> Doc:
    word = st.lists(st.sampled_from(units), min_size=1, max_size=3).map("".join)
    words = draw(st.lists(word, max_size=12))
    return make_doc(NLP, words, draw(st.lists(st.sampled_from(GAPS), min_size=len(words), max_size=len(words))))


NLP = spacy.blank("xx")
NAMES = st.sampled_from(["unigram", "byte-level", "wordpiece"])


def slow_pairs(tokenizer: WordpieceTokenizer, doc: Doc) -> list[tuple[int, int]]:
    """The oracle: characters of a wordpiece, characters of a word, and whether they have one in common."""
    words = [set(range(t.idx, t.idx + len(t))) for t in doc if not t.is_space]
    encoding = tokenizer._fast.encode(doc.text, add_special_tokens=False)
    return [
        (place, word)
        for place, (text, (start, end)) in enumerate(zip(encoding.tokens, encoding.offsets, strict=True))
        if text.strip("\u2581")
        for word, characters in enumerate(words)
        if characters & set(range(start, end))
    ]


class TestAlignment:
    @settings(max_examples=200, derandomize=True)
    @given(docs(UNITS + EMPTY), NAMES)
    def test_as_the_slow_oracle_has_it(self, tokenizers: dict[str, WordpieceTokenizer], doc: Doc, name: str):
        content = content_tokens(doc)
        pieces = tokenizers[name].split_doc(doc, content)
        assert list(zip(pieces.places.tolist(), pieces.words.tolist(), strict=True)) == slow_pairs(
            tokenizers[name], doc
        )
        assert pieces.n_words == len(content) == len(pieces.by_word())
        assert [len(ids) for ids in pieces.by_word()] == np.bincount(pieces.words, minlength=len(content)).tolist()
        assert pieces.ids.dtype == pieces.places.dtype == pieces.words.dtype == np.int64
        for word, ids in zip(content.tolist(), pieces.by_word(), strict=True):
            assert len(ids) or not any(c.isalnum() for c in doc[word].text), doc[word].text

    @settings(max_examples=150, derandomize=True)
    @given(docs(UNITS))
    def test_wordpieces_spell_their_words(self, tokenizers: dict[str, WordpieceTokenizer], doc: Doc):
        """Whatever offsets a tokenizer tells: a word's own wordpieces say what the word says, once it is normalized."""
        checked = 0
        for name in ("unigram", "byte-level"):
            tokenizer = tokenizers[name]
            content = content_tokens(doc)
            pieces = tokenizer.split_doc(doc, content)
            shared = np.bincount(pieces.places, minlength=len(pieces.ids)) > 1
            for number, word in enumerate(content.tolist()):
                own = pieces.places[pieces.words == number]
                surfaces = texts_of(tokenizer, pieces.ids[own])
                if shared[own].any() or "<unk>" in surfaces:
                    continue
                if name == "byte-level":
                    assert decoders.ByteLevel().decode(surfaces).removeprefix(" ") == doc[word].text
                else:
                    expected = tokenizer._fast.normalizer.normalize_str(doc[word].text)
                    assert "".join(surfaces).replace("\u2581", "") == expected.replace("\u2581", "").replace(" ", "")
                checked += 1
        assert checked or not len(doc) or all(token.is_space for token in doc) or "\u2581" in doc.text

    @settings(max_examples=200, derandomize=True)
    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=6),
        st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), max_size=12),
    )
    def test_whatever_order_offsets_have(
        self,
        tokenizers: dict[str, WordpieceTokenizer],
        words: list[tuple[int, int]],
        places: list[tuple[int, int]],
    ):
        """Gaps and lengths of words, begins and lengths of wordpieces: a normalizer may have changed their order."""
        tokenizer = copy.copy(tokenizers["unigram"])
        offsets = [(begin, begin + length) for begin, length in places]
        ids = [10 + place for place in range(len(places))]
        tokenizer._fast = SimpleNamespace(encode=lambda *_, **__: SimpleNamespace(ids=ids, offsets=offsets))
        ends = list(accumulate(gap + length for gap, length in words))
        starts = [end - length for end, (_, length) in zip(ends, words, strict=True)]
        tokenizer._space_ids = set()
        pieces = tokenizer.split_text("", starts, ends)
        expected = [
            (place, word)
            for place, (begin, end) in enumerate(offsets)
            for word in range(len(words))
            if set(range(begin, end)) & set(range(starts[word], ends[word]))
        ]
        assert list(zip(pieces.places.tolist(), pieces.words.tolist(), strict=True)) == expected
        by_word = [[ids[place] for place, owner in expected if owner == word] for word in range(len(words))]
        assert [found.tolist() for found in pieces.by_word()] == by_word

    def test_one_wordpiece_of_several_words(self, tokenizers: dict[str, WordpieceTokenizer]):
        tokenizer = tokenizers["unigram"]
        pieces = tokenizer.split_doc(*content_of(spacy.blank("zh")("我爱北京")))
        texts = texts_of(tokenizer, pieces.ids)
        assert texts[0] == "\u2581", "the mark of a space before the first word"
        assert texts[-1] == "北京"
        assert list(zip(pieces.places, pieces.words, strict=True)) == [(1, 0), (2, 1), (3, 2), (3, 3)]

    def test_words_of_a_contraction(self, tokenizers: dict[str, WordpieceTokenizer]):
        """The encoder reads "don't" as it is written, however spaCy splits it."""
        tokenizer = tokenizers["byte-level"]
        doc = spacy.blank("en")("I love Kevin's, don't I?")
        pieces = tokenizer.split_doc(*content_of(doc))
        assert pieces.ids.tolist() == tokenizer.tokenizer(doc.text, add_special_tokens=False)["input_ids"]

    @pytest.mark.parametrize("text", ["", " ", " \n\t "])
    def test_nothing_to_read(self, tokenizers: dict[str, WordpieceTokenizer], text: str):
        for tokenizer in tokenizers.values():
            pieces = tokenizer.split_doc(*content_of(NLP(text)))
            assert (len(pieces.ids), pieces.n_words, pieces.by_word()) == (0, 0, [])

    @pytest.mark.parametrize("text", ["a <s>love</s> <mask> b <pad>", "[SEP] love [MASK] [CLS]a", "</s>"])
    def test_special_tokens_are_not_for_texts(self, tokenizers: dict[str, WordpieceTokenizer], text: str):
        for tokenizer in tokenizers.values():
            special = set(tokenizer.tokenizer.all_special_ids) - {tokenizer.tokenizer.unk_token_id}
            pieces = tokenizer.split_doc(*content_of(NLP(text)))
            assert not special & set(pieces.ids.tolist())
            assert all(len(ids) for ids in pieces.by_word())


def content_of(doc: Doc) -> tuple[Doc, np.ndarray]:
    return doc, content_tokens(doc)


class TestScriptsWithoutSpaces:
    @pytest.mark.parametrize("texts", [CHINESE, JAPANESE])
    def test_as_many_wordpieces_as_the_text_has(self, unigram_folder: Path, texts: list[str]):
        by_text, by_words = (
            WordpieceTokenizer.from_folder(unigram_folder, window=64, overlap=8, of=of) for of in ("text", "words")
        )
        docs = [Doc(NLP.vocab, words=list(text), spaces=[False] * len(text)) for text in texts]
        raw = sum(len(by_text.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
        numbers = [sum(len(t.split_doc(*content_of(doc)).ids) for doc in docs) for t in (by_text, by_words)]
        assert numbers[0] == raw
        assert numbers[1] > 1.5 * raw


class TestWindows:
    @settings(max_examples=60, derandomize=True)
    @given(st.lists(docs(UNITS + EMPTY), max_size=4), NAMES, st.sampled_from([1, 20, 1000]))
    def test_features_are_the_mean_of_a_words_wordpieces(
        self, tokenizers: dict[str, WordpieceTokenizer], texts: list[Doc], name: str, limit: int
    ):
        """In windows and chunks as without: here a wordpiece's only feature is its id."""
        tokenizer = tokenizers[name]
        pieces = [tokenizer.split_doc(*content_of(doc)) for doc in texts]
        chunks = [tokenizer.batch(pieces, windows) for windows in tokenizer.chunks(pieces, limit)]
        if not chunks:
            assert not any(len(p.ids) for p in pieces)
            return
        features = merge_wordpieces((chunk.ids.double().unsqueeze(-1), chunk) for chunk in chunks)
        expected = [ids.mean() if len(ids) else 0.0 for doc in pieces for ids in doc.by_word()]
        np.testing.assert_allclose(features.flatten().numpy(), np.array(expected, dtype=float))
        keys = torch.stack([chunk.word_keys for chunk in chunks]).sum(0)
        whole = tokenizer.batch(pieces, tokenizer.windows(pieces))
        assert torch.equal(keys, whole.word_keys)

    def test_hidden_is_what_a_word_shares(self, tokenizers: dict[str, WordpieceTokenizer]):
        tokenizer = tokenizers["unigram"]
        pieces = [tokenizer.split_doc(*content_of(spacy.blank("zh")("我爱北京")))]
        batch = tokenizer.batch(pieces, tokenizer.windows(pieces))
        hidden = batch.hide(torch.tensor([False, False, True, False]), tokenizer.mask_id)
        assert (hidden.ids != batch.ids).nonzero().tolist() == [[0, 4]]


class TestUnit:
    def test_what_suits(self, tokenizers: dict[str, WordpieceTokenizer], text_encoder_folder: Path):
        units = {name: suited_unit(tokenizer.tokenizer) for name, tokenizer in tokenizers.items()}
        assert units == {"unigram": "text", "byte-level": "text", "wordpiece": "words"}
        assert suited_unit(BertTokenizer.from_pretrained(text_encoder_folder)) == "words"

    def test_wordpiece_would_lose_names_beside_emoji(self, text_encoder_folder: Path):
        """Why BERT's tokenizer gets words."""
        doc = spacy.blank("en")("kevin\U0001f389")
        assert len(doc) == 2
        unknown = []
        for of in ("words", "text"):
            tokenizer = WordpieceTokenizer.from_folder(text_encoder_folder, window=16, overlap=4, of=of)
            unknown.append(texts_of(tokenizer, tokenizer.split_doc(*content_of(doc)).ids))
        assert unknown == [["kevin", "[UNK]"], ["[UNK]"]]

    @pytest.mark.skipif(hasattr(BertTokenizer, "backend_tokenizer"), reason="transformers 5 has no slow one")
    def test_slow_tokenizers_have_no_offsets(self, text_encoder_folder: Path):
        slow = BertTokenizer.from_pretrained(text_encoder_folder)
        with pytest.raises(BGAError, match=r"\[B224\].*BertTokenizer"):
            WordpieceTokenizer(slow, window=16, overlap=4, of="text")

    def test_byte_level_text_begins_without_a_space(self, tokenizers: dict[str, WordpieceTokenizer]):
        again = WordpieceTokenizer.from_files(tokenizers["byte-level"].to_files(), window=16, overlap=4, of="text")
        for tokenizer in (tokenizers["byte-level"], again):
            assert texts_of(tokenizer, tokenizer.split_text("love love", [0, 5], [4, 9]).ids)[:1] != ["Ġlove"]

    def test_windows_are_counted_alike(self, unigram_folder: Path):
        """`debug-data` splits as the component will."""
        for version, of in (("v1", "words"), ("v2", "text")):
            model = {"@architectures": f"spacy_bga.BGAModel.{version}", "text_encoder": str(unigram_folder)}
            config = {"nlp": {"pipeline": ["ner"]}, "components": {"ner": {"factory": "bga_ner", "model": model}}}
            found = windowing(config).wordpieces
            assert found is not None
            assert found.of == of

    def test_architectures(self):
        assert build_bga_model("a").attrs["settings"].wordpieces_of == "auto"
        assert build_bga_model_v1("a").attrs["settings"].wordpieces_of == "words"
        old = json.loads(BGAConfig(text={"hidden_size": 16}).to_json())
        del old["wordpieces_of"]
        assert BGAConfig.from_json(json.dumps(old)).wordpieces_of == "words"
        with pytest.raises(BGAError, match=r"\[B212\].*wordpieces_of"):
            BGAConfig(text={"hidden_size": 16}, wordpieces_of="lines")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chinese(unigram_folder: Path) -> Language:
    nlp = spacy.blank("zh")
    model = architecture(unigram_folder, None) | {"@architectures": "spacy_bga.BGAModel.v2"}
    nlp.add_pipe("bga_ner", config={"model": model})
    examples = []
    for text in CHINESE:
        reference = nlp.make_doc(text)
        starts = [text.index(name) for name in ("北京", "上海") if name in text]
        reference.set_ents([reference.char_span(start, start + 2, label="地点") for start in sorted(starts)])
        examples.append(Example(nlp.make_doc(text), reference))
    nlp.initialize(lambda: examples)
    train(nlp, examples, steps=60, rate=0.01)
    return nlp


class TestPipeline:
    def test_spans_have_what_they_share(self, chinese: Language):
        doc = chinese.make_doc("我爱北京")
        _, _, kept = _lay_out(get_shim(pipe_of(chinese).model), [doc[0:1], doc[2:3], doc[2:4]])
        assert kept.nonzero().tolist() == [[0, 2], [1, 4], [2, 4]]

    def test_by_an_exported_graph(self, chinese: Language, tmp_path: Path):
        pytest.importorskip("onnxruntime")
        chinese.to_disk(tmp_path / "saved")
        nlp = spacy.load(tmp_path / "saved", config={"components.bga_ner.backend": "onnx"})
        text = "".join(CHINESE) * 3
        assert found(nlp(text)) == found(chinese(text))

    def test_words_that_generate(self, unigram_folder: Path, vision_encoder_folder: Path):
        """What words look like is learnt, noted, weighed and shown by the wordpieces that they have in their text."""

        def examples(nlp: Language) -> list[Example]:
            made = []
            for number, text in enumerate(CHINESE):
                doc = Doc(nlp.vocab, words=list(text), spaces=[False] * len(text))
                reference = doc.copy()
                place = max(text.find("北京"), text.find("上海"))
                reference.set_ents([Span(reference, place, place + 2, label="地点")])
                reference._.image = encode_picture(number)
                made.append(Example(doc, reference))
            return made

        register_image_extension()
        nlp = words_pipeline(unigram_folder, vision_encoder_folder, examples, initialize={"align_steps": 20}, trust=0.5)
        shim = get_shim(pipe_of(nlp).model)
        assert shim.wordpieces.of == "text"
        words = shim.aligner.words
        assert words is not None
        docs = [example.predicted for example in examples(nlp)]
        pieces = [shim.wordpieces.split_doc(*content_of(doc)) for doc in docs]
        batch = shim.wordpieces.batch(pieces, shim.wordpieces.windows(pieces))
        assert torch.equal(torch.cat([_keys(doc) for doc in pieces]), batch.word_keys)
        assert words.knows(batch.word_keys).all()
        losses = train(nlp, examples(nlp), steps=3)
        assert all(np.isfinite(list(step.values())).all() for step in losses)
        shown = imagine_spans(pipe_of(nlp).model, [docs[0][2:3], docs[0][2:4], docs[0][0:1]])
        np.testing.assert_allclose(shown[0], shown[1], atol=1e-6)
        assert not np.allclose(shown[0], shown[2], atol=1e-3)

    def test_learns_and_finds(self, chinese: Language):
        assert get_shim(pipe_of(chinese).model).aligner.config.wordpieces_of == "text"
        assert [ent.text for ent in chinese(CHINESE[3]).ents] == ["北京", "上海"]

    def test_long_documents_and_batches(self, chinese: Language):
        texts = ["".join(CHINESE) * 5, "", " ", "北京<s>上海</s>", "\u200d"]
        batched = [found(doc) for doc in chinese.pipe(texts)]
        assert batched == [found(chinese(text)) for text in texts]
        assert len(batched[0]) > 15

    def test_saved(self, chinese: Language, tmp_path: Path):
        chinese.to_disk(tmp_path / "saved")
        assert json.loads((tmp_path / "saved/bga_ner/model/config.json").read_text())["wordpieces_of"] == "text"
        text = "".join(reversed(CHINESE))
        again = spacy.blank("zh")
        again.add_pipe("bga_ner", config={"model": dict(chinese.config["components"]["bga_ner"]["model"])})
        again.from_bytes(chinese.to_bytes())
        for nlp in (spacy.load(tmp_path / "saved"), again):
            assert get_shim(pipe_of(nlp).model).wordpieces.of == "text"
            assert found(nlp(text)) == found(chinese(text))
