"""Call somebody's function without leaving a trace: one fence for `exercises` and for `diagnose`.

It is no sandbox: the function runs in this process and can do what Python lets it do. The fence
puts back what a careless function leaves behind, which is the global state of torch, NumPy and
Python, and it ends a call that does not come back.
"""

import io
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any

import torch


class TimeUpError(BaseException):
    """The function did not come back in time; no Exception, so that few functions swallow it."""


def _numpy(name: str, *arguments: Any, **options: Any) -> Any:
    """Call a function of NumPy, ``random.seed`` for instance, where NumPy is in use at all."""
    function: Any = sys.modules.get("numpy")
    for part in name.split(".") if function is not None else ():
        function = getattr(function, part)
    return None if function is None else function(*arguments, **options)


def _set_device(device: torch.device | str | None) -> None:
    # None, not "cpu": a device that was set is a mode, and compiled code trips over it.
    if device is not None and torch.get_default_device() != torch.device(device):
        torch.set_default_device(None if torch.device(device).type == "cpu" else device)


def _cuda() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()


# What is global: how it is read, and how it is set.
_STATE: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "device": (torch.get_default_device, _set_device),
    "grad": (torch.is_grad_enabled, torch.set_grad_enabled),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "determinism": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "cudnn": (
        lambda: (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        lambda flags: torch.backends.cudnn.set_flags(_benchmark=flags[0], _deterministic=flags[1]),
    ),
    "matmul": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "anomaly": (
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda mode: torch.autograd.set_detect_anomaly(*mode),
    ),
    "autocast": (
        lambda: [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        lambda on: list(map(torch.set_autocast_enabled, ("cpu", "cuda"), on)),
    ),
    "recursion": (sys.getrecursionlimit, sys.setrecursionlimit),
    "numpy errors": (lambda: _numpy("geterr"), lambda kept: _numpy("seterr", **(kept or {}))),
    "random": (random.getstate, random.setstate),
    "torch random": (torch.get_rng_state, torch.set_rng_state),
    "cuda random": (
        lambda: torch.cuda.get_rng_state_all() if _cuda() else [],
        lambda states: torch.cuda.set_rng_state_all(states),
    ),
    "numpy random": (
        lambda: _numpy("random.get_state"),
        lambda state: None if state is None else _numpy("random.set_state", state),
    ),
}


def _seed(seed: int) -> None:
    random.seed(seed)
    torch.default_generator.manual_seed(seed)
    if _cuda():
        torch.cuda.manual_seed_all(seed)
    _numpy("random.seed", seed)


def _differ(one: Any, other: Any) -> bool:
    try:
        return bool(one != other)
    except (RuntimeError, TypeError, ValueError):  # tensors and arrays
        return True


@contextmanager
def fence(
    *, seed: int | None = None, silent: bool = False, seconds: float | None = None, **inside: Any
) -> Iterator[None]:
    """Put everything global back afterwards; inside, gradients are on and warnings are not shown.

    Args:
        seed: where all generators of random numbers begin; None: where they are.
        silent: whether what is printed is thrown away.
        seconds: after which a `TimeUpError` is raised in the block; see `deadline`.
        inside: what holds in the block, by its name in the list above: ``dtype=torch.float64``.
    """
    before = {name: read() for name, (read, _) in _STATE.items()}
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            if silent:
                sink = io.StringIO()
                stack.enter_context(redirect_stdout(sink))
                stack.enter_context(redirect_stderr(sink))
            stack.enter_context(torch.inference_mode(False))  # turns gradients on as well
            torch.set_grad_enabled(True)
            for name, value in inside.items():
                _STATE[name][1](value)
            if seed is not None:
                _seed(seed)
            if seconds is not None:
                stack.enter_context(deadline(seconds))
            yield
    finally:
        for name, (read, put) in _STATE.items():
            with suppress(Exception):  # one thing that cannot be put back keeps no other from it
                if _differ(read(), before[name]):
                    put(before[name])


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after ``seconds``, where Python can: in the main thread, on Unix.

    A timer that somebody else has set is left alone, and then there is no deadline. What hangs in
    compiled code is interrupted when that code comes back. It rings again, for a function that
    swallows the first ring.
    """
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return
    over = False

    def ring(*_: object) -> None:
        if not over:
            raise TimeUpError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
        yield
    finally:
        over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        # A handler that was not set from Python reads None and cannot be put back as it is.
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)


def attempt(function: Callable, *arguments: Any) -> tuple[Any, BaseException | None]:
    """Return (result, None) or (None, what it raised); only the reader's own interrupt passes."""
    try:
        return function(*arguments), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The frames of a kept traceback would keep every tensor in them.
        return None, error.with_traceback(None)
