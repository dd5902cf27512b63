"""Small questions to a tensor: its range, whether it holds probabilities, how it is written."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_SAMPLE_ELEMENTS = 2**16


def tree_map(function: Callable[[Tensor], Any], value: Any) -> Any:
    """Apply ``function`` to each tensor in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(tree_map(function, item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(tree_map(function, item) for item in value)
    if isinstance(value, dict):
        with contextlib.suppress(Exception):
            copied = value.copy()
            copied.update({key: tree_map(function, item) for key, item in value.items()})
            return copied
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dicts, in order."""
    found: list[Tensor] = []
    tree_map(found.append, value)
    return found


def is_index(target: Any) -> bool:
    """Whether a tensor holds whole numbers of an integer type (bool is none)."""
    if not isinstance(target, Tensor) or target.dtype is torch.bool:
        return False
    return not (target.is_floating_point() or target.is_complex())


def span(tensor: Tensor) -> tuple[float, float]:
    """Return the least and the greatest value; (0, 0) for an empty tensor, NaN where one is."""
    if not tensor.numel():
        return 0.0, 0.0
    values = tensor.detach()
    low, high = (values.to(torch.uint8) if values.dtype is torch.bool else values).aminmax()
    return float(low), float(high)


def slack(tensor: Tensor) -> float:
    """Return how far rounding may carry a number between 0 and 1."""
    return max(1e-4, 2 * torch.finfo(tensor.dtype).eps) if tensor.is_floating_point() else 0.0


def within_unit(tensor: Tensor) -> bool:
    """Whether all values lie between 0 and 1, but for rounding."""
    low, high = span(tensor)
    return low >= -slack(tensor) and high <= 1 + slack(tensor)


def is_hard(tensor: Tensor) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((tensor == 0) | (tensor == 1)).all())


def rows(tensor: Tensor, dim: int = 1) -> Tensor:
    """Return the values in float64; of a large tensor a part that is whole along ``dim``."""
    values = tensor.detach()
    others = [size if place != dim % values.ndim else 0 for place, size in enumerate(values.shape)]
    if others and values.numel() > _SAMPLE_ELEMENTS and max(others) > 1:
        place = max(range(values.ndim), key=others.__getitem__)
        step = -(-values.numel() // _SAMPLE_ELEMENTS)
        values = values[(slice(None),) * place + (slice(None, None, step),)]
    return values.double()


def sums_to_one(tensor: Tensor, dim: int) -> bool:
    """Whether the values are probabilities that add up to 1 along ``dim``, as far as they can."""
    if not tensor.ndim or not tensor.numel() or tensor.shape[dim] < 2:
        return False
    if not tensor.is_floating_point():
        return False
    values = rows(tensor, dim)
    near = max(1e-5, torch.finfo(tensor.dtype).eps * 4)
    low, high = span(values)
    if not (low >= -near and high <= 1 + near):
        return False
    return bool(((values.sum(dim) - 1).abs() <= near * max(1.0, values.shape[dim] ** 0.5)).all())


def is_log_distribution(tensor: Tensor, dim: int) -> bool:
    """Whether exp of the values adds up to 1 along ``dim``."""
    if not tensor.ndim or not tensor.is_floating_point() or not tensor.numel():
        return False
    values = rows(tensor, dim)
    largest = float(values[values.isfinite()].abs().max()) if values.isfinite().any() else 0.0
    near = max(1e-4, 4 * torch.finfo(tensor.dtype).eps * max(1.0, largest))
    return bool((values.logsumexp(dim).abs() <= near).all())


def common_spread(tensor: Tensor) -> float | None:
    """Return how far one value can exceed the others in a row, where all rows are scaled alike.

    They are where their length, their length about the mean or their range is the same in at least
    four places.
    """
    if tensor.ndim < 2 or tensor.shape[1] < 3 or not tensor.is_floating_point():
        return None
    values = rows(tensor)
    count, middle = values.shape[1], values.mean(1, keepdim=True)
    stretch = (count / (count - 1)) ** 0.5
    for size, factor in (
        (values.norm(dim=1), stretch),
        ((values - middle).norm(dim=1), stretch),
        (values.amax(1) - values.amin(1), 1.0),
    ):
        near = max(1e-4, 2 * torch.finfo(tensor.dtype).eps) * float(size.mean())
        if size.numel() > 3 and bool(((size - size.mean()).abs() < near).all()):
            return factor * float(size.mean())
    return None


def drawn(like: Tensor, scale: float = 1.0, seed: int = 0) -> Tensor:
    """Return normal numbers in float64, the same at each call, of the shape of a tensor."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(like.shape, generator=generator).double().to(like.device)


def class_dim(tensor: Tensor) -> int:
    """Return the dimension in which torch looks for the classes."""
    return 1 if tensor.ndim > 1 else 0


def describe(error: BaseException) -> str:
    """Return the first line of what was raised."""
    lines = str(error).strip().splitlines() or [""]
    said = lines[0][:200].rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def shape(tensor: Tensor) -> str:
    """Return a shape as people write it: (8, 3)."""
    return str(tuple(tensor.shape))


def dtype(tensor: Tensor) -> str:
    """Return a dtype without the name of the library."""
    return str(tensor.dtype).removeprefix("torch.")
