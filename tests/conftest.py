"""Fixtures that the tests of the companion share."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor


class Batch(NamedTuple):
    """Logits of six samples and three classes, with each kind of target."""

    logits: Tensor
    target: Tensor
    probs: Tensor
    weight: Tensor


@pytest.fixture
def batch() -> Batch:
    """A seeded float64 batch in which every class occurs."""
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 2, 0, 2])
    probs = torch.randn(6, 3, generator=generator, dtype=torch.float64).softmax(dim=1)
    weight = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    return Batch(logits, target, probs, weight)
