"""The plain loop that people write around a Hugging Face model for token classification."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from spacy_bga.aligner.text_encoder import quiet_loading
from spacy_bga.benchmark.texts import Text

N_TAGS = 9  # BIO tags of four labels


class HuggingFaceTagger:
    """Batches in order of arrival, padded to the longest; softmax, arg max, and each word's first wordpiece decides.

    It makes no documents and no spans, and cuts texts that are too long: less work than a pipeline does. Its head is
    untrained, which changes nothing about its speed.

    folder (Path): The encoder's. device (str): Where it tags, as torch calls it.
    mixed_precision (bool): Whether matrix products are of bfloat16.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", mixed_precision: bool = False):
        self.mixed_precision = mixed_precision
        self.tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        with quiet_loading():
            self.model = AutoModelForTokenClassification.from_pretrained(
                folder, num_labels=N_TAGS, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
        self.model.to(device).eval()
        self.words_of = spacy.blank("en").tokenizer
        self.max_length = self.model.config.max_position_embeddings

    def prepare(self, texts: Sequence[Text]) -> list[list[str]]:
        return [list(text.words) for text in texts]

    def stream(self, documents: Sequence[list[str]], batch_size: int) -> None:
        for start in range(0, len(documents), batch_size):
            self.tag_batch(documents[start : start + batch_size])

    def tag(self, text: str) -> Any:
        return self.tag_batch([[token.text for token in self.words_of(text)]])

    def count(self, documents: Sequence[Any]) -> int | None:
        return None

    @torch.inference_mode()
    def tag_batch(self, batch: Sequence[list[str]]) -> list[list[str]]:
        """RETURNS (list[list[str]]): The tag of each word that has a wordpiece."""
        encoding = self.tokenizer(
            list(batch),
            is_split_into_words=True,
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        ).to(self.model.device)
        with torch.autocast(self.model.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision):
            best = self.model(**encoding).logits.softmax(-1).argmax(-1).tolist()
        names = self.model.config.id2label
        found = []
        for row, tags in enumerate(best):
            places = encoding.word_ids(row)
            firsts = [i for i, word in enumerate(places) if word is not None and word != places[i - 1]]
            found.append([names[tags[i]] for i in firsts])
        return found
