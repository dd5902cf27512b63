"""Call somebody's criterion so that what it can reach is afterwards what it was."""

import functools
import random
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from companion._isolation import TimeUpError, attempt, fence

MAX_CALLS = 120
SECONDS = 5.0
_MAX_OBJECTS = 2_000
_MAX_SAVED_ELEMENTS = 2**20
_PLAIN = str | bytes | int | float | complex | bool | type | types.ModuleType | None
_LIBRARIES = ("torch", "companion", "numpy")


class Keeper:
    """The state that a callable can reach, and how to put it back.

    Reached are: the callable and its attributes, and theirs; modules with their parameters,
    buffers, gradients and hooks; what a function closes over, the globals it names, what a partial
    holds; lists, dicts and sets; generators of random numbers. Not saved are tensors beyond a
    million elements in all, what lies behind 2,000 objects, and what only compiled code knows of.
    """

    def __init__(self, *roots: Any) -> None:
        """Save the state behind ``roots``."""
        self._undo: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}
        self._room = _MAX_SAVED_ELEMENTS
        waiting = deque(roots)
        while waiting and len(self._seen) < _MAX_OBJECTS:
            thing = waiting.popleft()
            if id(thing) not in self._seen and not isinstance(thing, _PLAIN):
                self._seen[id(thing)] = thing
                with suppress(Exception):
                    waiting.extend(self._visit(thing))

    def restore(self) -> None:
        """Put everything back that has changed."""
        for undo in self._undo:
            # One thing that cannot be put back must not keep the others from it.
            with suppress(Exception):
                undo()

    def _visit(self, thing: Any) -> Iterable:
        """Save one object, and return what it leads to."""
        if isinstance(thing, Tensor):
            self._tensor(thing)
        elif isinstance(thing, functools.partial):
            return thing.func, *thing.args, *thing.keywords.values()
        elif isinstance(thing, types.MethodType):
            return thing.__self__, thing.__func__
        elif isinstance(thing, types.FunctionType):
            return self._function(thing)
        elif isinstance(thing, torch.Generator):
            self._undo.append(functools.partial(thing.set_state, thing.get_state()))
        elif isinstance(thing, random.Random):
            self._undo.append(functools.partial(thing.setstate, thing.getstate()))
        elif isinstance(thing, list | dict | set | deque | bytearray):
            return self._container(thing)
        elif isinstance(thing, tuple):
            return thing[:1000]
        elif "numpy" in sys.modules and isinstance(thing, sys.modules["numpy"].random.Generator):
            bits = thing.bit_generator
            self._undo.append(functools.partial(setattr, bits, "state", bits.state))
        elif isinstance(vars(thing), dict):
            inner = vars(thing)
            names = ("_parameters", "_buffers", "_modules") if isinstance(thing, nn.Module) else ()
            return *self._container(inner), *(inner[name] for name in names if name in inner)
        return ()

    def _tensor(self, tensor: Tensor) -> None:
        if tensor.numel() > self._room or tensor.is_inference():
            return
        self._room -= tensor.numel()
        version, copy = tensor._version, tensor.detach().clone()
        grad = tensor.grad if tensor.is_leaf else None
        grad_copy = None if grad is None else grad.detach().clone()

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

    def _container(self, box: Any) -> Iterable:
        if len(box) > 1000:
            return ()
        before = dict(box) if isinstance(box, dict) else list(box)

        def undo() -> None:
            if isinstance(box, dict):
                if box.keys() != before.keys() or any(box[k] is not before[k] for k in before):
                    box.clear()
                    box.update(before)
            elif isinstance(box, set):
                box.clear()
                box.update(before)
            elif len(box) != len(before) or any(
                a is not b for a, b in zip(box, before, strict=True)
            ):
                box.clear()
                box.extend(before)

        self._undo.append(undo)
        return before.values() if isinstance(before, dict) else before

    def _function(self, function: types.FunctionType) -> Iterable:
        yield from (function.__defaults__ or (), function.__kwdefaults__ or {})
        for cell in function.__closure__ or ():
            with suppress(ValueError):
                inside = cell.cell_contents
                self._undo.append(functools.partial(setattr, cell, "cell_contents", inside))
                yield inside
        if (function.__module__ or "").partition(".")[0] in _LIBRARIES:
            return
        scope = function.__globals__
        for name in _names(function.__code__) & scope.keys():
            self._undo.append(functools.partial(scope.__setitem__, name, scope[name]))
            yield scope[name]


def _names(code: types.CodeType) -> set[str]:
    inner = [_names(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*inner)


class Asker:
    """Calls of one criterion: none remembered, not too many, not too long."""

    def __init__(self, *callables: Any) -> None:
        """Fence in the callables that are going to be called."""
        self._keeper = Keeper(*callables)
        self._seconds, self._calls = SECONDS, MAX_CALLS
        self._end = time.perf_counter() + SECONDS

    @property
    def spent(self) -> bool:
        """Whether the allowance of calls or of time is used up."""
        return self._calls <= 0 or time.perf_counter() > self._end

    def call(self, function: Callable, *arguments: Any) -> tuple[Any, BaseException | None]:
        """Return (result, None) or (None, what it raised).

        The random states are the same at each call, so a criterion that draws from them gives the
        same answer to the same question.
        """
        if self.spent:
            return None, TimeUpError()
        self._calls -= 1
        try:
            with fence(silent=True, seconds=max(0.01, self._end - time.perf_counter())):
                return attempt(function, *arguments)
        except TimeUpError as error:
            return None, error.with_traceback(None)
        finally:
            self._keeper.restore()
