"""Call somebody else's criterion without leaving a trace, and without trusting it.

A criterion may raise, print, warn, draw random numbers, write into its arguments, count its calls,
switch the gradient off, or never return. Here it is called on copies, inside a fence that puts
everything back that Python lets us reach.
"""

import contextlib
import io
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from .preserve import Keeper

MAX_CALLS = 120
SECONDS = 5.0


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
