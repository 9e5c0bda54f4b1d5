"""From words to windows of wordpieces, and where each word's wordpieces are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from spacy_bga.aligner.windows import TextBatch, Window, fill_chunks, plan_chunks, plan_windows
from spacy_bga.errors import BGAError, Errors, reason


@dataclass(frozen=True)
class Pieces:
    """The wordpieces of one document, without special tokens.

    ids (np.ndarray): (P,) wordpiece ids. words (np.ndarray): (P,) which word each is of; ascending.
    n_words (int): Words of the document; some may have no wordpiece.
    """

    ids: np.ndarray
    words: np.ndarray
    n_words: int

    def by_word(self) -> list[np.ndarray]:
        """RETURNS (list[np.ndarray]): The wordpiece ids of each word."""
        return np.split(self.ids, np.searchsorted(self.words, np.arange(1, self.n_words))) if self.n_words else []


class WordpieceTokenizer:
    """Splits words into the wordpieces of a Hugging Face tokenizer, one word at a time as in pretraining.

    spaCy's tokens are the words, so that the alignment is exact by construction and nothing is ever cut off.

    tokenizer (PreTrainedTokenizerBase): Preferably a fast one. window, overlap (int): See `BGAConfig`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, window: int, overlap: int):
        self.tokenizer = tokenizer
        self.window = window
        self.overlap = overlap
        self.first_id, self.last_id = special_ids(tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        # What stands for any word: a vocabulary without a mask has at least something for unknown ones.
        stand_ins = (tokenizer.mask_token_id, tokenizer.unk_token_id, self.pad_id)
        self.mask_id = next(piece for piece in stand_ins if piece is not None)
        self._fast = getattr(tokenizer, "backend_tokenizer", None)
        if self._fast is not None:
            self._fast.no_truncation()
            self._fast.no_padding()

    @classmethod
    def from_folder(cls, folder: Path | str, *, window: int, overlap: int) -> WordpieceTokenizer:
        """RETURNS (WordpieceTokenizer): The tokenizer that lies in an encoder's folder."""
        tokenizer = _load(folder)
        _check_vocabulary(tokenizer, folder)
        if getattr(tokenizer, "add_prefix_space", None) is False:  # byte-level BPE on words that come one by one
            tokenizer = _load(folder, add_prefix_space=True)
        return cls(tokenizer, window=window, overlap=overlap)

    def split(self, words: Sequence[str]) -> Pieces:
        """RETURNS (Pieces): The wordpieces of a document's words."""
        if not words:
            return Pieces(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 0)
        if self._fast is not None:
            # One by one: a batch would start the tokenizer's threads, which don't survive a fork.
            encoding = self._fast.encode(list(words), is_pretokenized=True, add_special_tokens=False)
            ids, places = encoding.ids, encoding.word_ids
        else:
            by_word = [self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(word)) for word in words]
            ids = [piece for pieces in by_word for piece in pieces]
            places = [i for i, pieces in enumerate(by_word) for _ in pieces]
        return Pieces(np.asarray(ids, dtype=np.int64), np.asarray(places, dtype=np.int64), len(words))

    def windows(self, pieces: Sequence[Pieces]) -> list[tuple[int, Window]]:
        """RETURNS (list[tuple[int, Window]]): Which document each window is of, and the window."""
        body = self.window - 2
        return [(i, w) for i, doc in enumerate(pieces) for w in plan_windows(len(doc.ids), body, self.overlap)]

    def batch(self, pieces: Sequence[Pieces], windows: Sequence[tuple[int, Window]], *, multiple: int = 1) -> TextBatch:
        """Lay windows side by side.

        pieces (Sequence[Pieces]): All documents. windows (Sequence[tuple[int, Window]]): Some or all of `windows`.
        multiple (int): What the width should be a multiple of, unless that is more than a full window.
        RETURNS (TextBatch): Padded to the longest window.
        """
        width = max((w.end - w.start for _, w in windows), default=0) + 2
        width = max(width, min(self.window, -width % multiple + width))
        ids = np.full((len(windows), width), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(windows), width), dtype=bool)
        lengths = tuple(doc.n_words for doc in pieces)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places, words = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for row, (i, w) in enumerate(windows):
            size = w.end - w.start
            ids[row, 0], ids[row, size + 1] = self.first_id, self.last_id
            ids[row, 1 : size + 1] = pieces[i].ids[w.start : w.end]
            mask[row, : size + 2] = True
            places.append(np.arange(w.own_start, w.own_end) - w.start + 1 + row * width)
            words.append(pieces[i].words[w.own_start : w.own_end] + offsets[i])
        owners = torch.from_numpy(np.concatenate(words))
        where = torch.from_numpy(np.concatenate(places))
        return TextBatch(torch.from_numpy(ids), torch.from_numpy(mask), where, owners, lengths)

    def chunks(
        self, pieces: Sequence[Pieces], max_wordpieces: int, *, padded: bool = True
    ) -> Iterator[list[tuple[int, Window]]]:
        """Cut all `windows` into chunks, those of like length together.

        pieces (Sequence[Pieces]): All documents. max_wordpieces (int): The most of a chunk of several windows.
            padded (bool): Whether the encoder computes padding, so that it counts; see `plan_chunks` and `fill_chunks`.
        YIELDS (list[tuple[int, Window]]): The windows of a chunk, as in `windows`.
        """
        windows = sorted(self.windows(pieces), key=lambda entry: entry[1].end - entry[1].start)
        widths = [w.end - w.start + 2 for _, w in windows]
        start = 0
        for end in plan_chunks(widths, max_wordpieces) if padded else fill_chunks(widths, max_wordpieces):
            yield windows[start:end]
            start = end

    def to_files(self) -> dict[str, bytes]:
        """RETURNS (dict[str, bytes]): The tokenizer's own files by name."""
        with tempfile.TemporaryDirectory() as folder:
            self.tokenizer.save_pretrained(folder)
            return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}

    @classmethod
    def from_files(cls, files: dict[str, bytes], *, window: int, overlap: int) -> WordpieceTokenizer:
        """RETURNS (WordpieceTokenizer): What `to_files` wrote."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / Path(name).name).write_bytes(data)
            return cls.from_folder(folder, window=window, overlap=overlap)


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """RETURNS (tuple[int, int]): The ids of the tokens that start and end a window ([CLS] and [SEP])."""
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return first, last


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, folder: Path | str) -> None:
    """Raise a BGAError if a tokenizer would fail at the first unknown word, as one does whose vocabulary was lost."""
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    unknown = getattr(model, "unk_token", None)
    if model is not None and unknown and model.token_to_id(unknown) is None:
        raise BGAError(Errors.B726.format(folder=folder, error=f"its vocabulary lacks {unknown}"))


def _load(folder: Path | str, **settings: Any) -> PreTrainedTokenizerBase:
    """RETURNS (PreTrainedTokenizerBase): The tokenizer in a folder. Raises a BGAError if it can't be read."""
    try:
        # Not to say no to code in the folder would make transformers ask on the terminal whether to run it.
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **settings)
    except BaseException as error:  # a panic in the library tokenizers, which is in Rust, is no Exception
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise BGAError(Errors.B726.format(folder=folder, error=reason(error))) from error
        raise
