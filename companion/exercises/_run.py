"""Call a reader's function on one case, and let nothing of it leak out."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from companion._isolation import attempt, fence


class _Listener(TorchFunctionMode):
    """Notes the names of the torch functions that the reader's own lines call.

    Patching ``torch.nn.functional`` would change it for everybody and miss a function imported
    under another name; reading the source needs a source and trips over comments. A function mode
    does neither, and it sees the outermost call only: what torch calls inside stays unseen.
    """

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.add(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Outcome:
    """What one call brought.

    Attributes:
        value: the returned object; tensors are detached copies.
        error: the exception, or None.
        attached: whether the value depends on the first argument.
        gradient: the gradient with respect to the first argument, or None.
        gradient_error: the exception of the backward pass, or None.
        edited: the positions of arguments that the call changed in place.
        called: the names of the torch functions that were called.
    """

    value: object = None
    error: BaseException | None = None
    attached: bool = False
    gradient: Tensor | None = None
    gradient_error: BaseException | None = None
    edited: tuple[int, ...] = ()
    called: frozenset[str] = frozenset()


def run(fn: Callable, args: tuple, *, gradient: bool = True) -> Outcome:
    """Call ``fn`` on copies of ``args``; take the gradient with respect to the first, if wanted.

    An interrupt by the reader passes through, so that a very slow answer can be stopped;
    any other exception, ``SystemExit`` included, becomes part of the outcome.
    """
    with fence(seed=0, dtype=torch.float64, anomaly=(False, True)):
        leaf, given = _copies(args, gradient)
        listener = _Listener()
        with listener:
            value, error = attempt(fn, *given)
        if error is not None:
            return Outcome(error=error, called=frozenset(listener.names))
        if inspect.iscoroutine(value):
            value.close()
        slope, slope_error = None, None
        attached = any(part.requires_grad for part in _float_parts(value))
        if leaf is not None and attached:
            try:
                slope = _gradient(value, leaf)
            except Exception as error:
                slope_error = error
        return Outcome(
            value=_detached(value),
            attached=attached,
            gradient=slope,
            gradient_error=slope_error,
            edited=tuple(
                i for i, (a, b) in enumerate(zip(args, given, strict=True)) if _edited(a, b)
            ),
            called=frozenset(listener.names),
        )


def _copies(args: tuple, gradient: bool) -> tuple[Tensor | None, list]:
    """Fresh arguments; for a gradient the first is, like a model's output, no leaf itself."""
    given = [arg.clone() if isinstance(arg, Tensor) else arg for arg in args]
    leaf = None
    if gradient and given and isinstance(given[0], Tensor) and given[0].is_floating_point():
        leaf = given[0].requires_grad_()
        given[0] = leaf.clone()
    return leaf, given


def _edited(before: object, after: object) -> bool:
    if not isinstance(before, Tensor):
        return False
    if before.shape != after.shape:
        return True
    return not torch.allclose(before, after.detach(), rtol=0, atol=0, equal_nan=True)


def _parts(value: object) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _float_parts(value: object) -> list[Tensor]:
    return [p for p in _parts(value) if isinstance(p, Tensor) and p.is_floating_point()]


def _gradient(value: object, leaf: Tensor) -> Tensor | None:
    """Gradient of a sum in which every element counts differently: a plain sum may be constant."""
    total = sum(
        (part * torch.linspace(1, 2, part.numel(), dtype=part.dtype).reshape(part.shape)).sum()
        for part in _float_parts(value)
        if part.requires_grad
    )
    return torch.autograd.grad(total, leaf, allow_unused=True)[0]


def _detached(value: object) -> object:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (tuple, list)):
        return type(value)(map(_detached, value)) if type(value) in (tuple, list) else value
    return value
