"""Remember the state that a callable can reach, and put it back."""

import contextlib
import functools
import types
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_MAX_OBJECTS = 2_000
_MAX_SAVED_ELEMENTS = 2**25


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
