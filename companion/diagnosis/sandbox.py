"""Call somebody else's criterion without leaving a trace, and without trusting it.

A criterion may raise, print, warn, draw random numbers, write into its arguments, count its calls,
switch the gradient off, or never return. Here it is called on copies, inside a fence that puts
everything back that Python lets us reach.
"""

import contextlib
import functools
import io
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

MAX_CALLS = 80
SECONDS = 5.0
_MAX_OBJECTS = 2_000
_MAX_SAVED_ELEMENTS = 2**25


class TimeUpError(BaseException):
    """The criterion did not come back in time; not an Exception, so that it cannot swallow it."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after ``seconds``, where Python can: in the main thread, on Unix.

    A timer that somebody else has set is left alone, and then there is no deadline. A criterion
    that hangs in compiled code is not interrupted until that code comes back.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return

    def ring(*_: object) -> None:
        raise TimeUpError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # A handler that was not set from Python reads None and cannot be put back as it is.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


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


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow prints and warnings; put back the random states and torch's global switches."""
    saved = _random_states()
    dtype, grad_mode = torch.get_default_dtype(), torch.is_grad_enabled()
    sink = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(sink),
            contextlib.redirect_stderr(sink),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        _set_random_states(saved)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad_mode)


def _random_states() -> tuple:
    numpy = sys.modules.get("numpy")
    cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
    return (
        random.getstate(),
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if cuda else None,
        numpy.random.get_state() if numpy is not None else None,
    )


def _set_random_states(saved: tuple) -> None:
    python, cpu, cuda, numpy = saved
    random.setstate(python)
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    if numpy is not None:
        sys.modules["numpy"].random.set_state(numpy)


class Keeper:
    """The state that a callable can reach, and how to put it back.

    Reached are: the callable itself and its attributes, modules with their parameters, buffers and
    gradients, what a function closes over, the globals it names, and what a partial holds. Tensors
    beyond 2**25 elements in all are not saved, nor is what only a library knows of.
    """

    def __init__(self, *roots: Any) -> None:
        """Save the state behind ``roots``."""
        self._undo: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}
        self._room = _MAX_SAVED_ELEMENTS
        for root in roots:
            self._visit(root, root=True)

    def restore(self) -> None:
        """Put everything back that has changed."""
        for undo in self._undo:
            # One thing that cannot be put back must not keep the others from it.
            with contextlib.suppress(Exception):
                undo()

    def _visit(self, thing: Any, root: bool = False) -> None:
        if id(thing) in self._seen or len(self._seen) > _MAX_OBJECTS:
            return
        if isinstance(thing, str | bytes | int | float | complex | bool | type | None):
            return
        self._seen[id(thing)] = thing
        if isinstance(thing, Tensor):
            self._tensor(thing)
        elif isinstance(thing, nn.Module):
            self._module(thing)
        elif isinstance(thing, functools.partial):
            for part in (thing.func, *thing.args, *thing.keywords.values()):
                self._visit(part, root)
        elif isinstance(thing, types.MethodType):
            self._visit(thing.__self__, root)
            self._visit(thing.__func__, root)
        elif isinstance(thing, types.FunctionType):
            self._function(thing)
        elif isinstance(thing, list | dict | set | deque | bytearray):
            self._container(thing)
        elif isinstance(thing, tuple):
            for item in thing[:1000]:
                self._visit(item)
        elif root and hasattr(thing, "__dict__"):
            self._attributes(thing.__dict__)

    def _tensor(self, tensor: Tensor) -> None:
        if tensor.numel() > self._room:
            return
        self._room -= tensor.numel()
        if tensor.is_inference():
            return
        version, copy = tensor._version, tensor.detach().clone()
        grad, grad_copy = tensor.grad if tensor.is_leaf else None, None
        if grad is not None:
            grad_copy = grad.detach().clone()

        def undo() -> None:
            nonlocal version
            if tensor._version != version:
                with torch.no_grad():
                    tensor.copy_(copy)
                version = tensor._version
            if tensor.is_leaf and tensor.requires_grad:
                if grad is not None and not torch.equal(grad, grad_copy):
                    with torch.no_grad():
                        grad.copy_(grad_copy)
                tensor.grad = grad

        self._undo.append(undo)

    def _module(self, module: nn.Module) -> None:
        state = module.__dict__
        for name in ("_parameters", "_buffers", "_modules"):
            if name in state:
                self._container(state[name])
        self._attributes(state)

    def _attributes(self, state: dict) -> None:
        before = dict(state)

        def undo() -> None:
            if state.keys() != before.keys() or any(state[k] is not before[k] for k in before):
                state.clear()
                state.update(before)

        self._undo.append(undo)
        for value in before.values():
            self._visit(value)

    def _container(self, box: Any) -> None:
        if len(box) > 1000:
            return
        if isinstance(box, dict):
            return self._attributes(box)
        before = list(box)

        def undo() -> None:
            if isinstance(box, set):
                box.clear()
                box.update(before)
            elif len(box) != len(before) or any(
                a is not b for a, b in zip(box, before, strict=True)
            ):
                box.clear()
                box.extend(before)

        self._undo.append(undo)
        for item in before:
            self._visit(item)
        return None

    def _function(self, function: types.FunctionType) -> None:
        self._visit(function.__defaults__ or ())
        self._visit(function.__kwdefaults__ or {})
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):
                self._cell(cell, cell.cell_contents)
        if (function.__module__ or "").partition(".")[0] in ("torch", "companion"):
            return
        names = [name for name in _names(function.__code__) if name in function.__globals__]
        for name in names:
            self._global(function.__globals__, name, function.__globals__[name])

    def _cell(self, cell: types.CellType, value: Any) -> None:
        def undo() -> None:
            if cell.cell_contents is not value:
                cell.cell_contents = value

        self._undo.append(undo)
        self._visit(value)

    def _global(self, scope: dict, name: str, value: Any) -> None:
        def undo() -> None:
            if scope.get(name) is not value:
                scope[name] = value

        self._undo.append(undo)
        self._visit(value)


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


class Sandbox:
    """Calls of one criterion: each on copies, none remembered, not too many, not too long."""

    def __init__(self, *callables: Any) -> None:
        """Fence in the callables that are going to be called."""
        self._keeper = Keeper(*callables)
        self._seconds = SECONDS
        self._calls = MAX_CALLS

    @property
    def spent(self) -> bool:
        """Whether the allowance of calls or of time is used up."""
        return self._calls <= 0 or self._seconds <= 0

    def call(self, function: Callable, *arguments: Any) -> tuple[Any, BaseException | None]:
        """Return (result, None) or (None, what it raised).

        The random states are the same at each call, so a criterion that draws from them gives the
        same answer to the same question.
        """
        if self.spent:
            return None, TimeUpError()
        start = time.perf_counter()
        try:
            with quiet(), deadline(self._seconds):
                return function(*arguments), None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # The frames of a kept traceback would keep every tensor in them.
            return None, error.with_traceback(None)
        finally:
            self._keeper.restore()
            self._calls -= 1
            self._seconds -= time.perf_counter() - start
