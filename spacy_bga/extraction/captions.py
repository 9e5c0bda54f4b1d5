"""Features of captions: what a text encoder makes of their tokens stands for the patches of an image."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spacy_bga.corpus.cells import is_empty
from spacy_bga.corpus.json_items import json_items
from spacy_bga.errors import BGAError, Errors
from spacy_bga.extraction.shards import ShardFolder, fill
from spacy_bga.pipeline.encoders import resolve_encoder

BATCH = 32
KEY_FIELDS = ("key", "image")


def extract_captions(
    source: Path,
    output: Path,
    *,
    encoder: str,
    key_field: str | None = None,
    caption_field: str = "caption",
    most_tokens: int = 32,
    shard: int = 1000,
) -> tuple[ShardFolder, list[str]]:
    """Compute the features of captions, and write them by their keys.

    source (Path), key_field (Optional[str]), caption_field (str): See `read_captions`.
    output (Path): The folder to write, or to go on with.
    encoder (str): A folder, or a name on the Hugging Face Hub, of any text encoder of transformers.
    most_tokens (int): Of a longer caption the first so many. shard (int): How many captions go into a file.
    RETURNS (tuple[ShardFolder, list[str]]): What was written, and what is wrong with lines that were left out.
    RAISES (BGAError): There are no captions, or the output has features that were made by something else.
    """
    captions, problems = read_captions(source, key_field=key_field, caption_field=caption_field)
    folder = ShardFolder(output, {"encoder": encoder, "most_tokens": most_tokens, "caption_field": caption_field})
    if folder.done.issuperset(captions):
        return folder, problems
    encode = CaptionEncoder(encoder, most_tokens=most_tokens)
    problems += fill(folder, list(captions), captions.__getitem__, encode, grid=lambda: None, batch=BATCH, shard=shard)
    return folder, problems


class CaptionEncoder:
    """Token features of texts: the last hidden states, but for special tokens.

    name (str): The text encoder, see `extract_captions`. most_tokens (int): The most of a text.
    """

    def __init__(self, name: str, *, most_tokens: int):
        from transformers import AutoConfig, AutoTokenizer

        from spacy_bga.aligner.text_encoder import load_encoder

        folder = resolve_encoder(name)
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model: Any
        try:
            model = load_encoder(folder, config, add_pooling_layer=False)
        except TypeError:  # a family without poolers
            model = load_encoder(folder, config)
        self.model = model.eval().to(self.device)
        self.most_tokens = most_tokens

    @torch.inference_mode()
    def __call__(self, texts: list[str]) -> list[np.ndarray]:
        """RETURNS (list[np.ndarray]): (m, d) float16 of each text; the mean of all its states if it has no token."""
        special = self.tokenizer.num_special_tokens_to_add()
        given = self.tokenizer(
            texts,
            padding=True,
            truncation=True,
            max_length=self.most_tokens + special,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        marked = given.pop("special_tokens_mask").bool()
        hidden = self.model(**given.to(self.device)).last_hidden_state.float().cpu()
        attended = given["attention_mask"].cpu().bool()
        found = []
        for states, there, mark in zip(hidden, attended, marked, strict=True):
            own = states[there & ~mark]
            found.append((own if len(own) else states[there].mean(0, keepdim=True)).numpy().astype(np.float16))
        return found


def read_captions(
    source: Path, *, key_field: str | None = None, caption_field: str = "caption"
) -> tuple[dict[str, str], list[str]]:
    """Read the captions of a file.

    source (Path): JSONL, or CSV with a header: a key and its caption on each line, or several in a list.
    key_field (Optional[str]): What the key is called; None: "key", or else "image". caption_field (str): The caption.
    RETURNS (tuple[dict[str, str], list[str]]): Captions by key, those of one key put together; and what is wrong with
        lines that were left out. A line without a caption is nothing wrong.
    RAISES (BGAError): There is no caption.
    """
    if not source.is_file():
        raise BGAError(Errors.B386.format(path=source, reason="there is no such file"))
    problems: list[str] = []
    found: dict[str, dict[str, None]] = {}  # each text once, in order
    for line, row in _rows(source, problems):
        key = _key(row, key_field)
        caption = row.get(caption_field)
        texts: list[Any] = caption if isinstance(caption, list) else [caption]
        texts = [text for text in texts if not is_empty(text)]
        if key is None or not all(isinstance(text, str) for text in texts):
            what = "no key" if key is None else "a caption that is no text"
            problems.append(Errors.B385.format(path=source, line=line, reason=what))
        elif texts:
            found.setdefault(key, {}).update(dict.fromkeys(text.strip() for text in texts))
    if not found:
        fields = f"no line has a key and a caption ({key_field or ' or '.join(KEY_FIELDS)}, {caption_field})"
        raise BGAError(Errors.B386.format(path=source, reason=fields))
    return {key: " ".join(texts) for key, texts in found.items()}, problems


def _rows(source: Path, problems: list[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if source.suffix.lower() == ".csv":
        with source.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file)
            for row in reader:
                yield reader.line_num, row
        return

    def refuse(line: int, error: ValueError) -> None:
        problems.append(Errors.B385.format(path=source, line=line, reason=error))

    for line, item in json_items(source, refuse):
        if isinstance(item, dict):
            yield line, item
        else:
            refuse(line, ValueError("it is no object"))


def _key(row: Mapping[str, Any], field: str | None) -> str | None:
    """RETURNS (Optional[str]): The key of a line; of a list, its first item."""
    for name in KEY_FIELDS if field is None else (field,):
        value = row.get(name)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and not is_empty(value):
            return value
    return None
