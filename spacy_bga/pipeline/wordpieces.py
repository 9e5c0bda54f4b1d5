"""From texts to windows of wordpieces, and where each word's wordpieces are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from spacy_bga.aligner.config import Unit
from spacy_bga.aligner.windows import TextBatch, Window, fill_chunks, plan_chunks, plan_windows
from spacy_bga.errors import BGAError, Errors, reason

if TYPE_CHECKING:  # the model runs without spaCy, too: docs/pytorch.md
    from spacy.tokens import Doc

_SPACE_MARK = "\u2581"  # SentencePiece writes a space so


@dataclass(frozen=True)
class Pieces:
    """The wordpieces of one document, without special tokens, and whose they are.

    ids (np.ndarray): (P,) wordpiece ids.
    places, words (np.ndarray): (Q,) pairs: the wordpiece at this place is, at least in part, of this word. Places
        ascend. A word may have no wordpiece or several; a wordpiece may be of several, or of none, as white space.
    n_words (int): Words of the document.
    """

    ids: np.ndarray
    places: np.ndarray
    words: np.ndarray
    n_words: int

    def by_word(self) -> list[np.ndarray]:
        """RETURNS (list[np.ndarray]): The wordpiece ids of each word."""
        if not self.n_words:
            return []
        order = np.argsort(self.words, kind="stable")
        return np.split(self.ids[self.places[order]], np.searchsorted(self.words[order], np.arange(1, self.n_words)))

    def used(self, start: int, end: int) -> slice:
        """RETURNS (slice): The pairs of the wordpieces from start to end."""
        if end - start == len(self.ids):  # as good as always
            return slice(None)
        return slice(*self.places.searchsorted((start, end)))


class WordpieceTokenizer:
    """Splits documents into the wordpieces of a Hugging Face tokenizer. spaCy's tokens are the words.

    Nothing is ever cut off. What a text writes like a special token is none.

    tokenizer (PreTrainedTokenizerBase): Preferably a fast one. window, overlap (int): See `BGAConfig`.
    of (str): What is split: the "text" as it is, as the encoder knows it from pretraining, or "words", one at a time.
    RAISES (BGAError): The tokenizer is slow, and does not tell where in a text its wordpieces are.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, window: int, overlap: int, of: Unit = "words"):
        self.tokenizer = tokenizer
        self.window = window
        self.overlap = overlap
        self.of = of
        self.first_id, self.last_id = special_ids(tokenizer)
        self.pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        # What stands for any word: a vocabulary without a mask has at least something for unknown ones.
        stand_ins = (tokenizer.mask_token_id, tokenizer.unk_token_id, self.pad_id)
        self.mask_id = next(piece for piece in stand_ins if piece is not None)
        self._fast = getattr(tokenizer, "backend_tokenizer", None)
        if self._fast is not None:
            self._fast.no_truncation()
            self._fast.no_padding()
        if of == "text":
            self._prepare_texts()

    def _prepare_texts(self) -> None:
        if self._fast is None:
            raise BGAError(Errors.B224.format(tokenizer=type(self.tokenizer).__name__))
        self._fast.encode_special_tokens = True
        unknown = self.tokenizer.unk_token_id
        self._unknown_id = self.mask_id if unknown is None else unknown
        # SentencePiece has "<s>" among its wordpieces, too.
        self._special_ids = {piece for piece in self.tokenizer.all_special_ids if piece != unknown}
        # And it puts the mark of a space before the first word, which is of no character.
        vocabulary = self._fast.get_vocab(with_added_tokens=True)
        self._space_ids = {piece for text, piece in vocabulary.items() if not text.strip(_SPACE_MARK)}

    @classmethod
    def from_folder(
        cls, folder: Path | str, *, window: int, overlap: int, of: Unit | Literal["auto"] = "words"
    ) -> WordpieceTokenizer:
        """Read the tokenizer that lies in an encoder's folder.

        of (str): As above, or "auto": what suits it, see `suited_unit`.
        RETURNS (WordpieceTokenizer): The tokenizer.
        """
        tokenizer = _load(folder)
        _check_vocabulary(tokenizer, folder)
        unit = suited_unit(tokenizer) if of == "auto" else of
        if unit == "words" and getattr(tokenizer, "add_prefix_space", None) is False:
            tokenizer = _load(folder, add_prefix_space=True)  # byte-level BPE on words that come one by one
        return cls(tokenizer, window=window, overlap=overlap, of=unit)

    def split_doc(self, doc: Doc, content: np.ndarray) -> Pieces:
        """RETURNS (Pieces): The wordpieces of a document, whose words are its `content_tokens`."""
        if self.of == "words":
            return self.split(_words(doc, content))
        table = doc.to_array(["IDX", "LENGTH"]).view(np.int64)
        starts, lengths = (table if len(content) == len(table) else table[content]).T
        return self.split_text(doc.text, starts.tolist(), (starts + lengths).tolist())

    def split_text(self, text: str, starts: Sequence[int], ends: Sequence[int]) -> Pieces:
        """Split a text as it is. Needs `of = "text"`.

        text (str): The text. starts, ends (Sequence[int]): (t,) the characters at which its words begin and end; both
            ascend, and words don't overlap.
        RETURNS (Pieces): Its wordpieces: each is of all words that it shares a character with.
        """
        if not starts:
            return _no_pieces()
        encoding = self._fast.encode(text, add_special_tokens=False)  # type: ignore[union-attr]
        ids = encoding.ids
        if not self._special_ids.isdisjoint(ids):
            ids = [self._unknown_id if piece in self._special_ids else piece for piece in ids]
        places: list[int] = []
        words: list[int] = []
        word, last = 0, len(starts) - 1  # arrays would be slower, for texts of less than some hundred words
        for place, (begin, end) in enumerate(encoding.offsets):
            while word and ends[word - 1] > begin:  # normalizers change the order of combining marks
                word -= 1
            while word < last and ends[word] <= begin:
                word += 1
            if ids[place] not in self._space_ids:
                for owner in range(word, last + 1):
                    if starts[owner] >= end or ends[owner] <= begin:
                        break
                    places.append(place)
                    words.append(owner)
        columns = [np.array(column, dtype=np.int64) for column in (ids, places, words)]
        return Pieces(columns[0], columns[1], columns[2], len(starts))

    def split(self, words: Sequence[str]) -> Pieces:
        """RETURNS (Pieces): The wordpieces of words, one at a time."""
        if not words:
            return _no_pieces()
        if self._fast is not None:
            # One by one: a batch would start the tokenizer's threads, which don't survive a fork.
            encoding = self._fast.encode(list(words), is_pretokenized=True, add_special_tokens=False)
            ids, owners = encoding.ids, encoding.word_ids
        else:
            by_word = [self.tokenizer.convert_tokens_to_ids(self.tokenizer.tokenize(word)) for word in words]
            ids = [piece for pieces in by_word for piece in pieces]
            owners = [i for i, pieces in enumerate(by_word) for _ in pieces]
        return Pieces(
            np.asarray(ids, dtype=np.int64), np.arange(len(ids)), np.asarray(owners, dtype=np.int64), len(words)
        )

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
            own = pieces[i].used(w.own_start, w.own_end)
            places.append(pieces[i].places[own] - w.start + 1 + row * width)
            words.append(pieces[i].words[own] + offsets[i])
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
    def from_files(
        cls, files: dict[str, bytes], *, window: int, overlap: int, of: Unit = "words"
    ) -> WordpieceTokenizer:
        """RETURNS (WordpieceTokenizer): What `to_files` wrote."""
        with tempfile.TemporaryDirectory() as folder:
            for name, data in files.items():
                (Path(folder) / Path(name).name).write_bytes(data)
            return cls.from_folder(folder, window=window, overlap=overlap, of=of)


def special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, int]:
    """RETURNS (tuple[int, int]): The ids of the tokens that start and end a window ([CLS] and [SEP])."""
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return first, last


def suited_unit(tokenizer: PreTrainedTokenizerBase) -> Unit:
    """RETURNS (str): What a tokenizer should split: the "text" if it can tell where in a text its wordpieces are.

    WordPiece gets "words": of whatever has no space or punctuation in it, an unknown character or too many characters
    make one unknown wordpiece, and spaCy splits emoji and scripts without spaces off before.
    """
    model = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    return "words" if model is None or type(model).__name__ in ("WordPiece", "WordLevel") else "text"


def _words(doc: Doc, content: np.ndarray) -> list[str]:
    """RETURNS (list[str]): The texts of some of a document's tokens."""
    texts = [token.text for token in doc]  # faster than to ask for each by its index
    return texts if len(content) == len(texts) else [texts[i] for i in content.tolist()]


def _no_pieces() -> Pieces:
    nothing = np.zeros(0, dtype=np.int64)
    return Pieces(nothing, nothing, nothing, 0)


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
