"""Words to windows of wordpieces, with fast, slow and byte-level tokenizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer, BertTokenizer, RobertaTokenizerFast

from spacy_bga.errors import BGAError
from spacy_bga.pipeline.wordpieces import Pieces, WordpieceTokenizer, special_ids
from spacy_bga.reliability.tiny import WORDS

TEXT = ["kevin", "durant", "joins", "the", "warriors", "in", "oakland"]


@pytest.fixture(scope="module")
def wordpieces(text_encoder_folder: Path) -> WordpieceTokenizer:
    return WordpieceTokenizer.from_folder(text_encoder_folder, window=16, overlap=4)


@pytest.fixture(scope="module")
def byte_level_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa tokenizer trained on the spot, saved without `add_prefix_space`, as RoBERTa itself is."""
    folder = tmp_path_factory.mktemp("byte_level")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([" ".join(WORDS)] * 50, vocab_size=400, min_frequency=1, special_tokens=special)
    bpe.save_model(str(folder))
    RobertaTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    return folder


def texts_of(wordpieces: WordpieceTokenizer, pieces: Pieces) -> list[list[str]]:
    """The wordpieces of each word, as text."""
    texts: list[list[str]] = [[] for _ in range(pieces.n_words)]
    for piece, word in zip(pieces.ids.tolist(), pieces.words.tolist(), strict=True):
        texts[word].append(wordpieces.tokenizer.convert_ids_to_tokens(piece))
    return texts


class TestSplit:
    def test_words_keep_their_pieces(self, wordpieces: WordpieceTokenizer):
        pieces = wordpieces.split(["Kevin", "zed", "!"])
        assert texts_of(wordpieces, pieces) == [["kevin"], ["z", "##e", "##d"], ["!"]]
        assert pieces.n_words == 3

    def test_no_words(self, wordpieces: WordpieceTokenizer):
        pieces = wordpieces.split([])
        assert (pieces.n_words, len(pieces.ids), len(pieces.words)) == (0, 0, 0)

    def test_words_without_pieces(self, wordpieces: WordpieceTokenizer):
        pieces = wordpieces.split(["\u200d", "love", "\x00", "\ufe0f"])
        assert texts_of(wordpieces, pieces) == [[], ["love"], [], []]

    def test_nothing_is_cut_off(self, wordpieces: WordpieceTokenizer):
        pieces = wordpieces.split(["love"] * 3000)
        assert len(pieces.ids) == 3000
        assert np.array_equal(pieces.words, np.arange(3000))

    @pytest.mark.skipif(hasattr(BertTokenizer, "backend_tokenizer"), reason="transformers 5 has no slow one")
    @settings(max_examples=60, derandomize=True)
    @given(
        st.lists(st.text(alphabet="abXY\u4e2d\u0301\u200d \u00e9\U0001f44d!#\x07", min_size=1, max_size=8), max_size=8)
    )
    def test_slow_and_fast_agree(self, text_encoder_folder: Path, wordpieces: WordpieceTokenizer, words: list[str]):
        slow = WordpieceTokenizer(BertTokenizer.from_pretrained(text_encoder_folder), window=16, overlap=4)
        if slow._fast is not None:
            pytest.skip("transformers 5 has no slow tokenizer of BERT's")
        first, second = slow.split(words), wordpieces.split(words)
        assert np.array_equal(first.ids, second.ids)
        assert np.array_equal(first.words, second.words)
        assert first.ids.dtype == second.ids.dtype == np.int64
        assert (np.diff(first.words) >= 0).all()

    def test_byte_level_words_are_as_within_a_text(self, byte_level_folder: Path):
        wordpieces = WordpieceTokenizer.from_folder(byte_level_folder, window=16, overlap=4)
        pieces = wordpieces.split(TEXT)
        plain = RobertaTokenizerFast.from_pretrained(byte_level_folder)
        assert pieces.ids.tolist() == plain(" " + " ".join(TEXT), add_special_tokens=False)["input_ids"]
        # Every byte counts: an emoji has wordpieces here
        long = wordpieces.split(["a" * 10_000, "\U0001f44d\U0001f3fd"])
        assert (long.words == 0).sum() > 1000
        assert (long.words == 1).sum() >= 1

    def test_byte_level_settings_survive_saving(self, byte_level_folder: Path):
        wordpieces = WordpieceTokenizer.from_folder(byte_level_folder, window=16, overlap=4)
        again = WordpieceTokenizer.from_files(wordpieces.to_files(), window=16, overlap=4)
        assert again.split(TEXT).ids.tolist() == wordpieces.split(TEXT).ids.tolist()
        assert again.tokenizer.add_prefix_space is True

    def test_lost_vocabulary(self, text_encoder_folder: Path, tmp_path: Path):
        """transformers makes a tokenizer of what is left, too."""
        folder = tmp_path / "tokenizer"
        AutoTokenizer.from_pretrained(text_encoder_folder).save_pretrained(folder)
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("")
        with pytest.raises(BGAError, match=r"\[B726\].*vocabulary lacks \[UNK\]"):
            WordpieceTokenizer.from_folder(folder, window=16, overlap=4)

    def test_special_ids(self, wordpieces: WordpieceTokenizer, byte_level_folder: Path):
        tokenizer = wordpieces.tokenizer
        assert special_ids(tokenizer) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert special_ids(RobertaTokenizerFast.from_pretrained(byte_level_folder)) == (0, 2)

    def test_files_round_trip(self, wordpieces: WordpieceTokenizer):
        again = WordpieceTokenizer.from_files(wordpieces.to_files(), window=9, overlap=2)
        assert texts_of(again, again.split(["Zoë"])) == texts_of(wordpieces, wordpieces.split(["Zoë"]))
        assert (again.window, again.overlap) == (9, 2)


DOCS = st.lists(st.lists(st.sampled_from(["love", "abc", "\u200d", "kevin", "durants"]), max_size=40), max_size=5)


class TestWindows:
    def test_a_short_document_is_one_window(self, wordpieces: WordpieceTokenizer):
        pieces = [wordpieces.split(TEXT)]
        batch = wordpieces.batch(pieces, wordpieces.windows(pieces))
        first, last = special_ids(wordpieces.tokenizer)
        assert batch.ids.tolist() == [[first, *pieces[0].ids.tolist(), last]]
        assert batch.mask.all()
        assert batch.places.tolist() == list(range(1, 8))
        assert batch.tokens.tolist() == list(range(7))
        assert batch.lengths == (7,)

    def test_short_and_long_side_by_side(self, wordpieces: WordpieceTokenizer):
        pieces = [wordpieces.split(["love"]), wordpieces.split([]), wordpieces.split(["love"] * 30)]
        batch = wordpieces.batch(pieces, wordpieces.windows(pieces))
        assert batch.lengths == (1, 0, 30)
        assert batch.ids.shape[1] == 16
        assert batch.mask.sum(1).tolist() == [3, 16, 16, 16]
        assert (batch.ids[0, 3:] == wordpieces.tokenizer.pad_token_id).all()

    @settings(max_examples=60, derandomize=True)
    @given(DOCS)
    def test_every_wordpiece_is_used_once_where_it_stands(self, wordpieces: WordpieceTokenizer, docs: list[list[str]]):
        pieces = [wordpieces.split(words) for words in docs]
        batch = wordpieces.batch(pieces, wordpieces.windows(pieces))
        expected = [
            (sum(batch.lengths[:i]) + word, piece)
            for i, doc in enumerate(pieces)
            for piece, word in zip(doc.ids.tolist(), doc.words.tolist(), strict=True)
        ]
        used = batch.ids.flatten()[batch.places].tolist()
        assert list(zip(batch.tokens.tolist(), used, strict=True)) == expected
        assert batch.mask.flatten()[batch.places].all()
        assert len(set(batch.places.tolist())) == len(expected)

    @settings(max_examples=60, derandomize=True)
    @given(DOCS, st.sampled_from([1, 16, 20, 33, 64, 1000]), st.booleans())
    def test_chunks_hold_every_window_once(
        self, wordpieces: WordpieceTokenizer, docs: list[list[str]], limit: int, padded: bool
    ):
        pieces = [wordpieces.split(words) for words in docs]
        whole = wordpieces.batch(pieces, wordpieces.windows(pieces))
        chunks = [wordpieces.batch(pieces, windows) for windows in wordpieces.chunks(pieces, limit, padded=padded)]
        rows = [row[mask].tolist() for chunk in chunks for row, mask in zip(chunk.ids, chunk.mask, strict=True)]
        assert sorted(rows) == sorted(row[mask].tolist() for row, mask in zip(whole.ids, whole.mask, strict=True))
        most = limit if padded else 2 * limit
        assert all(chunk.ids.numel() <= max(most, chunk.ids.shape[1]) for chunk in chunks)
        assert padded or all(chunk.mask.sum() <= max(limit, chunk.ids.shape[1]) for chunk in chunks)
        assert all(chunk.lengths == whole.lengths for chunk in chunks)
        used = [
            pair
            for chunk in chunks
            for pair in zip(chunk.tokens.tolist(), chunk.ids.flatten()[chunk.places].tolist(), strict=True)
        ]
        assert sorted(used) == sorted(
            zip(whole.tokens.tolist(), whole.ids.flatten()[whole.places].tolist(), strict=True)
        )

    def test_types(self, wordpieces: WordpieceTokenizer):
        batch = wordpieces.batch([wordpieces.split(TEXT)], [])
        assert batch.ids.shape == (0, 2)
        assert batch.ids.dtype == batch.places.dtype == batch.tokens.dtype == torch.int64
        assert batch.mask.dtype == torch.bool
