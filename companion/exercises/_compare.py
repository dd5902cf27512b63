"""Are two outcomes the same? Shape and dtype before value, and nothing is ever broadcast."""

import numbers

import torch
from torch import Tensor

from companion.exercises._run import Outcome

SINGLE = torch.finfo(torch.float32).eps


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
    return torch.isclose(
        got.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )


def difference(got: object, expected: object, tolerance: float, exact: bool = False) -> str | None:
    """The first way in which two values differ, in the order in which they are compared.

    Args:
        got: what is judged.
        expected: what it is compared with.
        tolerance: relative and absolute.
        exact: whether the floating dtype has to be the same one, too.

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
        one, other = (torch.tensor(x, dtype=torch.float64) for x in (number, float(expected)))
        return None if bool(close(one, other, tolerance)) else "value"
    if isinstance(expected, tuple):
        if type(got) not in (tuple, list):
            return "type"
        if len(got) != len(expected):
            return "length"
        pairs = zip(got, expected, strict=True)
        return next(filter(None, (difference(g, e, tolerance, exact) for g, e in pairs)), None)
    if not isinstance(got, Tensor):
        return "type"
    if got.device != expected.device:
        return "device"
    floats = got.is_floating_point() and expected.is_floating_point()
    if got.dtype != expected.dtype and (exact or not floats):
        return "dtype"
    if got.shape != expected.shape:
        return "shape"
    return None if bool(close(got, expected, tolerance).all()) else "value"


def same_value(one: Outcome, other: Outcome, tolerance: float, exact: bool = False) -> bool:
    """Whether two calls returned the same value, or failed in the same way."""
    if one.error is not None or other.error is not None:
        return type(one.error) is type(other.error)
    if isinstance(other.value, (Tensor, numbers.Real, tuple)):
        return difference(one.value, other.value, tolerance, exact) is None
    return type(one.value) is type(other.value)


def wrong_gradients(one: Outcome, other: Outcome, tolerance: float) -> list[str]:
    """The arguments for which a call has not the gradient of another."""
    return [
        name
        for name, gradient in other.gradients.items()
        if gradient is not None and difference(one.gradients.get(name), gradient, tolerance)
    ]
