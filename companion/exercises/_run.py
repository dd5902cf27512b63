"""Call a reader's function on one case, and let nothing of it leak out."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from companion._isolation import TimeUpError, attempt


class _Listener(TorchFunctionMode):
    """Notes the torch functions that the reader's own lines call, and how precise they are.

    Patching ``torch.nn.functional`` would change it for everybody and miss a function imported
    under another name; reading the source needs a source and trips over comments. A function mode
    does neither, and it sees the outermost call only: what torch calls inside stays unseen.
    """

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()
        self.dtypes: set[torch.dtype] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.add(getattr(func, "__name__", ""))
        result = func(*args, **(kwargs or {}))
        self.dtypes |= {part.dtype for part in _float_parts(result)}
        return result


@dataclass(frozen=True)
class Outcome:
    """What one call brought.

    Attributes:
        value: the returned object; tensors are detached copies.
        error: the exception, or None.
        gradients: the gradient for each argument that was to have one; None: there is none.
        gradient_error: the exception of the backward pass, or None.
        edited: the positions of arguments that the call changed in place.
        called: the names of the torch functions that were called.
        coarsest: the floating dtype of lowest precision that was computed in.
    """

    value: object = None
    error: BaseException | None = None
    gradients: dict[str, Tensor | None] = field(default_factory=dict)
    gradient_error: BaseException | None = None
    edited: tuple[int, ...] = ()
    called: frozenset[str] = frozenset()
    coarsest: torch.dtype = torch.float64


def run(fn: Callable, args: tuple, leaves: dict[str, int] | None = None) -> Outcome:
    """Call ``fn`` on copies of ``args``; ``leaves`` are the positions that want a gradient.

    An interrupt by the reader passes through, so that a very slow answer can be stopped;
    any other exception, ``SystemExit`` included, becomes part of the outcome. A `TimeUpError`
    passes through as well: the next case would take as long.
    """
    given = [arg.clone() if isinstance(arg, Tensor) else arg for arg in args]
    sources = {}
    for name, i in (leaves or {}).items():
        # Like a model's output, what the function gets is no leaf itself.
        sources[name] = given[i].requires_grad_()
        given[i] = sources[name].clone()
    listener = _Listener()
    with listener:
        value, error = attempt(fn, *given)
    called = frozenset(listener.names)
    if isinstance(error, TimeUpError):
        raise error
    if error is not None:
        return Outcome(error=error, called=called)
    if inspect.iscoroutine(value):
        value.close()
    gradients, gradient_error = dict.fromkeys(sources), None
    if sources and any(part.requires_grad for part in _float_parts(value)):
        try:
            gradients = _gradients(value, sources)
        except Exception as problem:
            gradient_error = problem
    dtypes = listener.dtypes | {part.dtype for part in _float_parts(value)}
    if type(value).__module__ == "numpy" and str(value.dtype) in ("float16", "float32"):
        dtypes.add(getattr(torch, str(value.dtype)))
    return Outcome(
        value=_detached(value),
        gradients=gradients,
        gradient_error=gradient_error,
        edited=tuple(i for i, (a, b) in enumerate(zip(args, given, strict=True)) if _edited(a, b)),
        called=called,
        coarsest=max(dtypes, key=lambda dtype: torch.finfo(dtype).eps, default=torch.float64),
    )


def _edited(before: object, after: object) -> bool:
    if not isinstance(before, Tensor):
        return False
    if before.shape != after.shape:
        return True
    return not torch.allclose(before, after.detach(), rtol=0, atol=0, equal_nan=True)


def _float_parts(value: object) -> list[Tensor]:
    parts: Sequence = value if isinstance(value, (tuple, list)) else (value,)
    return [p for p in parts if isinstance(p, Tensor) and p.dtype.is_floating_point]


def _gradients(value: object, sources: dict[str, Tensor]) -> dict[str, Tensor | None]:
    """Gradients of a sum in which every element counts differently: a plain sum may be constant."""
    total = sum(
        (part * torch.linspace(1, 2, part.numel(), dtype=part.dtype).reshape(part.shape)).sum()
        for part in _float_parts(value)
        if part.requires_grad
    )
    found = torch.autograd.grad(total, list(sources.values()), allow_unused=True)
    return dict(zip(sources, found, strict=True))


def _detached(value: object) -> object:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) in (tuple, list):
        return type(value)(map(_detached, value))
    return value
