from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seed() -> None:
    """What samplers and dropouts draw should not depend on which tests ran before: a rare draw keeps [CLS] alone."""
    torch.manual_seed(0)
