"""A component that fails at some texts."""

from __future__ import annotations

from typing import Any

import pytest

from spacy_bga.pipeline.bga_ner import BGANer


def fail_at(monkeypatch: pytest.MonkeyPatch, word: str, message: str) -> None:
    """Let `bga_ner` raise a RuntimeError for every batch with a text that has the word in it."""
    predict = BGANer.predict

    def fail(self: BGANer, docs: Any) -> Any:
        if any(word in doc.text for doc in docs):
            raise RuntimeError(message)
        return predict(self, docs)

    monkeypatch.setattr(BGANer, "predict", fail)
