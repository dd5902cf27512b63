"""Are two outcomes the same? Shape and dtype before value, and nothing is ever broadcast."""

import numbers

import torch
from torch import Tensor

from companion.exercises._run import Outcome


def as_number(value: object) -> float | None:
    """A Python number, NumPy scalar or one-element tensor as a float; otherwise None."""
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Tensor) and value.ndim == 0 and not value.is_complex():
        return float(value)
    return None


def close(got: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    """Elementwise closeness, relative and absolute; NaN equals NaN, the dtype sets the floor."""
    if not expected.is_floating_point():
        return got == expected
    tolerance = max(tolerance, 8 * torch.finfo(expected.dtype).eps)
    return torch.isclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


def difference(got: object, expected: object, tolerance: float) -> str | None:
    """The first way in which two values differ, in the order in which they are compared.

    Returns:
        None where they agree, else "nothing", "type", "length", "device", "dtype", "shape"
        or "value".
    """
    if got is None and expected is not None:
        return "nothing"
    if isinstance(expected, numbers.Real):
        number = as_number(got)
        if number is None:
            return "type"
        agree = close(
            torch.tensor(number, dtype=torch.float64),
            torch.tensor(float(expected), dtype=torch.float64),
            tolerance,
        )
        return None if bool(agree) else "value"
    if isinstance(expected, tuple):
        if type(got) not in (tuple, list):
            return "type"
        if len(got) != len(expected):
            return "length"
        found = [difference(g, e, tolerance) for g, e in zip(got, expected, strict=True)]
        return next((kind for kind in found if kind), None)
    if not isinstance(got, Tensor):
        return "type"
    if got.device != expected.device:
        return "device"
    if got.dtype != expected.dtype:
        return "dtype"
    if got.shape != expected.shape:
        return "shape"
    return None if bool(close(got, expected, tolerance).all()) else "value"


def same_value(one: Outcome, other: Outcome, tolerance: float) -> bool:
    """Whether two calls returned the same value, or failed in the same way."""
    if one.error is not None or other.error is not None:
        return type(one.error) is type(other.error)
    if isinstance(other.value, (Tensor, numbers.Real, tuple)):
        return difference(one.value, other.value, tolerance) is None
    return type(one.value) is type(other.value)


def same_gradient(one: Outcome, other: Outcome, tolerance: float) -> bool:
    """Whether a call has the gradient of another with respect to the first argument, if any."""
    if other.gradient is None:
        return True
    if one.gradient is None:
        return False
    return difference(one.gradient, other.gradient, tolerance) is None
