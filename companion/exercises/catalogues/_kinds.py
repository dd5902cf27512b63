"""What cases are made of: each kind of input that tells a wrong answer from a right one, once.

Tensors have a fixed dtype: a catalogue must not depend on the reader's default dtype. Huge numbers
are exact in float32 as well.
"""

import torch
from torch import Tensor

HUGE = 1000.0


def floats(*rows, dtype: torch.dtype = torch.float64) -> Tensor:
    """Floating-point rows or numbers."""
    return torch.tensor(rows, dtype=dtype)


def classes(*labels) -> Tensor:
    """Class indices, or rows of 0/1 labels."""
    return torch.tensor(labels, dtype=torch.int64)


_SPAN = floats([HUGE, 0.0, -HUGE], [-HUGE, 0.0, HUGE])
_TABLES = {
    "one row, two classes": (floats([0.0, 1.0]), classes(0)),
    "one row, three classes": (floats([2.0, 0.0, -1.0]), classes(1)),
    "two rows, five classes": (
        floats([0.5, -0.5, 1.0, 0.0, 2.0], [1.5, 0.3, -1.2, 0.9, -0.1]),
        classes(4, 2),
    ),
    "three rows, four classes": (
        floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3]),
        classes(3, 1, 1),
    ),
    "three rows, two classes": (floats([0.5, 1.5], [2.0, -1.0], [-0.3, 0.4]), classes(1, 1, 0)),
    "a square batch": (
        floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6]),
        classes(2, 0, 0),
    ),
    "equal logits": (floats([0.5, 0.5], [0.0, 0.0], [2.0, 2.0]), classes(1, 0, 0)),
    "logits between 0 and 1": (floats([0.2, 0.3, 0.5], [0.7, 0.1, 0.2]), classes(0, 2)),
    "a table that was transposed": (
        floats([0.4, -1.3], [1.1, 0.7], [-0.2, 2.0]).T,
        classes(2, 0),
    ),
    "a row that spans ±1000, right": (
        floats([HUGE, 0.0, -HUGE], [-HUGE, 0.0, HUGE]),
        classes(0, 2),
    ),
    "a row that spans ±1000, wrong": (
        floats([HUGE, 0.0, -HUGE], [-HUGE, 0.0, HUGE]),
        classes(2, 1),
    ),
    "rows far apart": (
        floats([900.0, 901.0], [-901.0, -900.0], [0.5, -0.5]),
        classes(0, 0, 1),
    ),
}


def batches(*more: tuple) -> dict[str, tuple]:
    """Logits (N, K) and class indices (N,); each case gets one of ``more`` in turn as well."""
    extra = more or ((),)
    return {name: (*case, *extra[i % len(extra)]) for i, (name, case) in enumerate(_TABLES.items())}


def tables() -> dict[str, tuple]:
    """Logits (N, K)."""
    return {name.partition(", right")[0]: (z,) for name, (z, _) in _TABLES.items()}


def pairs() -> dict[str, tuple]:
    """Logits (N, 2) and class indices (N,)."""
    return {name: (z[:, :2], t.clamp(max=1)) for name, (z, t) in _TABLES.items()}


def samples() -> dict[str, tuple]:
    """One logit for each sample, (N,), and its label, hard or soft."""
    return {
        "one sample": (floats(1.5), floats(1.0)),
        "two samples": (floats(1.0, -2.0), floats(1.0, 1.0)),
        "two samples, both no": (floats(0.5, -1.0), floats(0.0, 0.0)),
        "four samples, soft targets": (floats(0.4, -1.3, 2.2, -0.6), floats(0.9, 0.0, 0.3, 1.0)),
        "logits of exactly 0": (floats(0.0, 0.0, 0.0), floats(0.0, 1.0, 0.3)),
        "logits between 0 and 1": (floats(0.2, 0.7, 0.5), floats(1.0, 0.0, 0.5)),
        "every second number of a row": (
            floats(0.3, 9.0, -1.7, 9.0, 2.1, 9.0)[::2],
            floats(0, 1, 1),
        ),
        "huge and positive, right": (floats(HUGE, 900.0), floats(1.0, 1.0)),
        "huge and negative, right": (floats(-HUGE, -900.0), floats(0.0, 0.0)),
        "huge logits, confident and wrong": (floats(-HUGE, HUGE, 0.5), floats(1.0, 0.0, 0.0)),
    }
