"""Tensors of a fixed dtype: a catalogue must not depend on the reader's default dtype."""

import torch
from torch import Tensor


def floats(*rows, dtype: torch.dtype = torch.float64) -> Tensor:
    """Floating-point rows or numbers."""
    return torch.tensor(rows, dtype=dtype)


def classes(*labels) -> Tensor:
    """Class indices, or rows of 0/1 labels."""
    return torch.tensor(labels, dtype=torch.int64)
