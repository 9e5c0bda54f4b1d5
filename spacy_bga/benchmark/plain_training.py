"""The training loop that one would write in plain PyTorch: the encoder, a linear layer and the same CRF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, BatchEncoding

from spacy_bga.aligner.crf import CRF
from spacy_bga.aligner.text_encoder import quiet_loading
from spacy_bga.benchmark.texts import Text

RATE, DECAY, CLIP = 1e-4, 0.01, 1.0


class PlainTrainer:
    """Tokenize, pad to the longest, forward, backward, clip, step: with a fused AdamW, and nothing of spaCy.

    folder (Path): The encoder's. labels (Sequence[str]): The entity labels. dropout (float): The rate.
    device (str): Where it learns, as torch calls it.
    mixed_precision (bool): Whether matrix products are of bfloat16; the CRF is exact, as in this package.
    """

    def __init__(
        self,
        folder: Path,
        labels: Sequence[str],
        *,
        dropout: float,
        device: str = "cpu",
        mixed_precision: bool = False,
    ):
        self.device = torch.device(device)
        self.mixed_precision = mixed_precision
        config = AutoConfig.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
        self.tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_fast=True
        )
        with quiet_loading():
            self.encoder = AutoModel.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                add_pooling_layer=False,
            ).to(self.device)
        self.encoder.train()
        self.crf = CRF(labels).to(self.device)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(config.hidden_size, len(self.crf.tags)))
        self.head.to(self.device)
        self.max_length = config.max_position_embeddings
        self.parameters = [p for module in (self.encoder, self.crf, self.head) for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=RATE, weight_decay=DECAY, fused=True)

    def step(self, texts: Sequence[Text]) -> float:
        """RETURNS (float): The loss of a batch, from which the weights have learnt."""
        encoding = self.tokenizer(
            [list(text.words) for text in texts],
            is_split_into_words=True,
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        )
        places, mask = self._first_wordpieces([encoding.word_ids(row) for row in range(len(texts))], texts)
        tensors = (places, mask, self._allowed(texts, mask))
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.mixed_precision):
            loss = self._loss(encoding.to(self.device), *(tensor.to(self.device) for tensor in tensors))
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _loss(self, encoding: BatchEncoding, places: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        hidden = self.encoder(**encoding).last_hidden_state
        words = hidden.gather(1, places.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))
        return self.crf(self.head(words), allowed, mask).mean()

    def _first_wordpieces(self, rows: Sequence[list[int | None]], texts: Sequence[Text]) -> tuple[Tensor, Tensor]:
        """RETURNS (tuple[Tensor, Tensor]): (B, t) where each word's first wordpiece is, and which words there are.

        A word without a wordpiece takes [CLS]'s.
        """
        longest = max(len(text.words) for text in texts)
        places = torch.zeros(len(texts), longest, dtype=torch.long)
        mask = torch.zeros(len(texts), longest, dtype=torch.bool)
        for row, (owners, text) in enumerate(zip(rows, texts, strict=True)):
            mask[row, : len(text.words)] = True
            firsts = {word: place for place, word in reversed(list(enumerate(owners))) if word is not None}
            places[row, list(firsts)] = torch.tensor(list(firsts.values()), dtype=torch.long)
        return places, mask

    def _allowed(self, texts: Sequence[Text], mask: Tensor) -> Tensor:
        """RETURNS (Tensor): (B, t, L) bool, the one tag that each word may have."""
        tags = torch.zeros_like(mask, dtype=torch.long)
        for row, text in enumerate(texts):
            for start, end, label in text.entities:
                begin = 1 + 2 * self.crf.labels.index(label)
                tags[row, start] = begin
                tags[row, start + 1 : end] = begin + 1
        return nn.functional.one_hot(tags, len(self.crf.tags)).bool() & mask.unsqueeze(-1)
