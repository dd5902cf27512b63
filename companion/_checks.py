"""The questions that the companion asks of its arguments, and how it complains.

Each check returns nothing or a fact about its argument, and raises a sentence of one form:
the argument, the rule, what arrived, the likely fix. TypeError is for a wrong kind or dtype,
ValueError for a wrong shape or range.

Checks of shape and dtype look at no value, so they cost nothing and may stand in compiled code.
``within`` and ``class_range`` read the values and wait for the device; each says so.
"""

import torch
from torch import Tensor

_REDUCTIONS = ("none", "mean", "sum")


def describe(value: object) -> str:
    """Say in a few words what a value is, such as ``float32 of shape (4, 1)``."""
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"


def complaint(name: str, rule: str, arrived: object, mend: str = "") -> str:
    """Write the text of an error: the argument, the rule, what arrived, the likely fix."""
    got = arrived if isinstance(arrived, str) else describe(arrived)
    return f"{name} must {rule}; got {got}. {mend}".rstrip()


def tensor(value: object, name: str) -> None:
    """Require a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            complaint(name, "be a tensor", value, f"torch.as_tensor({name}) makes one.")
        )


def floating(value: object, name: str, mend: str | None = None) -> None:
    """Require a tensor of floating dtype."""
    tensor(value, name)
    if not value.is_floating_point():
        mend = f"{name}.float() fixes it." if mend is None else mend
        raise TypeError(complaint(name, "be floating", value, mend))


def same_shape(
    first: Tensor, second: Tensor, *, names: tuple[str, str] = ("input", "target"), mend: str = ""
) -> None:
    """Require two tensors of one shape: nothing is ever broadcast.

    Without a ``mend`` of the caller's, the spare dimension of (N, 1) against (N,) gets one.
    """
    for value, name in zip((first, second), names, strict=True):
        tensor(value, name)
    if first.shape == second.shape:
        return
    one, other = names
    if not mend and tuple(first.shape) == (*second.shape, 1):
        mend = f"{one}.squeeze(-1) drops the spare dimension."
    elif not mend and (*first.shape, 1) == tuple(second.shape):
        mend = f"{other}.squeeze(-1) drops the spare dimension."
    rule = f"have the shape of {one}, {tuple(first.shape)}"
    raise ValueError(complaint(other, rule, second, mend))


def same_dtype(input: Tensor, value: Tensor, name: str) -> None:
    """Require the dtype of ``input``."""
    if value.dtype != input.dtype:
        rule = f"have the dtype of input, {str(input.dtype).removeprefix('torch.')}"
        mend = f"{name}.to(input.dtype) fixes it."
        raise TypeError(complaint(name, rule, value, mend))


def broadcasts_to(value: Tensor, shape: tuple[int, ...], name: str) -> None:
    """Require a tensor that stretches to ``shape`` without stretching ``shape`` itself."""
    floating(value, name)
    # From the last dimension backwards, as torch pairs them.
    fits = value.dim() <= len(shape) and all(
        mine in (1, full) for mine, full in zip(value.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(complaint(name, f"broadcast to the input's shape {tuple(shape)}", value))


def within(value: Tensor, low: float, high: float, name: str, mend: str = "") -> None:
    """Require every element in [low, high]; NaN is outside. Waits for the device."""
    outside = ~((value >= low) & (value <= high))
    if outside.any():
        worst = value[outside][0].item()
        raise ValueError(complaint(name, f"lie in [{low:g}, {high:g}]", f"{worst:g}", mend))


def at_least(value: float, low: float, name: str) -> None:
    """Require a number of at least ``low``; NaN is refused."""
    if not value >= low:
        raise ValueError(complaint(name, f"be at least {low:g}", f"{value!r}"))


def between(value: float, low: float, high: float, name: str) -> None:
    """Require a number in [low, high]; NaN is refused."""
    if not low <= value <= high:
        raise ValueError(complaint(name, f"lie in [{low:g}, {high:g}]", f"{value!r}"))


def at_least_float32(logits: Tensor) -> Tensor:
    """Return half-precision logits in float32, where there are digits to spare."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def reduction(value: str) -> None:
    """Require the name of one of torch's reductions."""
    if value not in _REDUCTIONS:
        raise ValueError(complaint("reduction", f"be one of {_REDUCTIONS}", f"{value!r}"))


def class_dim(input: Tensor, name: str = "input") -> int:
    """Require one floating score a class and return the dimension of the classes.

    It is 1 in (N, K) and (N, K, d1, ...), and 0 in (K,), a single sample without a batch.
    """
    floating(input, name)
    if input.dim() == 0:
        rule = "have shape (N, K), (K,) or (N, K, d1, ...)"
        mend = "A single output belongs to the binary losses."
        raise ValueError(complaint(name, rule, input, mend))
    return 0 if input.dim() == 1 else 1


def class_indices(input: Tensor, target: Tensor, mend: str = "") -> None:
    """Require one class index for each sample and position of ``input``: dtype and shape.

    Like torch, it takes int64 and uint8. Whether the indices lie in [0, K) is ``class_range``'s.
    ``mend`` is for a target of another dtype.
    """
    dim = class_dim(input)
    tensor(target, "target")
    shape = (*input.shape[:dim], *input.shape[dim + 1 :])
    if target.dtype not in (torch.int64, torch.uint8):
        mend = mend or "target.long() fixes it."
        raise TypeError(complaint("target", "hold class indices (int64)", target, mend))
    if target.shape == shape:
        return
    if target.shape == input.shape:
        mend = f"A one-hot target becomes class indices by target.argmax({dim})."
    elif tuple(target.shape) == (*shape, 1):
        mend = "target.squeeze(-1) drops the spare dimension."
    else:
        mend = "It holds one class index for each sample."
    rule = f"have shape {shape} beside input of shape {tuple(input.shape)}"
    raise ValueError(complaint("target", rule, target, mend))


def class_target(input: Tensor, target: Tensor) -> bool:
    """Require class indices or class probabilities; return whether they are probabilities.

    A floating target of the shape of ``input`` holds probabilities, every other one indices.
    """
    class_dim(input)
    tensor(target, "target")
    if target.is_floating_point() and target.shape == input.shape:
        return True
    mend = f"Probabilities need shape {tuple(input.shape)}." if target.is_floating_point() else ""
    class_indices(input, target, mend)
    return False


def class_range(
    target: Tensor, num_classes: int, ignore_index: int | None = None, name: str = "target"
) -> None:
    """Require class indices in [0, num_classes), or ``ignore_index``. Waits for the device."""
    outside = (target < 0) | (target >= num_classes)
    if ignore_index is not None:
        outside &= target != ignore_index
    if outside.any():
        worst = target[outside][0].item()
        mend = "Classes count from 0." if worst == num_classes else ""
        raise ValueError(complaint(name, f"lie in [0, {num_classes})", f"{worst}", mend))


def class_weight(weight: Tensor, num_classes: int) -> None:
    """Require one floating weight for each class."""
    floating(weight, "weight")
    if weight.shape != (num_classes,):
        raise ValueError(complaint("weight", f"have shape ({num_classes},), one a class", weight))
