"""Measuring: many functions in turn, so that whatever disturbs the machine disturbs them alike."""

import gc
import math
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile


def step(function: Callable, arguments: tuple[Tensor, ...]) -> None:
    """One forward and backward pass with fresh gradients, as in training."""
    for argument in arguments:
        argument.grad = None
    function(*arguments).backward()


def wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


class Race:
    """Functions of the same arguments that take turns; each keeps its best time."""

    def __init__(self, functions: dict[str, Callable], *arguments: Tensor, logits: int) -> None:
        self.functions = functions
        self.arguments = arguments
        self.bytes = logits * arguments[0].element_size()
        self.steps = 20 if logits < 10**5 else 5 if logits < 10**7 else 1  # a turn
        self.seconds = dict.fromkeys(functions, math.inf)

    def turn(self, function: Callable) -> float:
        """Return the seconds of a step: the best of a turn, or on a GPU their mean.

        A GPU works on while Python asks for the next step, so the steps share one wait.
        """
        first = self.arguments[0]
        together = self.steps if first.is_cuda else 1
        best = math.inf
        for _ in range(self.steps // together):
            wait(first)
            start = time.perf_counter()
            for _ in range(together):
                step(function, self.arguments)
            wait(first)
            best = min(best, (time.perf_counter() - start) / together)
        return best

    def lap(self) -> None:
        """Let every function have its turn."""
        gc.disable()
        for name, function in self.functions.items():
            self.seconds[name] = min(self.seconds[name], self.turn(function))
        gc.enable()

    def laps_in(self, budget: float) -> int:
        """Warm up, and say how many laps fit into a number of seconds: between 5 and 2000."""
        self.lap()
        start = time.perf_counter()
        self.lap()
        return max(5, min(2000, int(budget / (time.perf_counter() - start))))

    def buffers(self, function: Callable) -> float:
        """Peak memory of one step beyond its arguments, as a multiple of the logits."""
        for argument in self.arguments:
            argument.grad = None
        peak = _peak_on_gpu if self.arguments[0].is_cuda else _peak_on_cpu
        return peak(lambda: step(function, self.arguments)) / self.bytes


def _peak_on_gpu(run: Callable) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before


def _peak_on_cpu(run: Callable) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    events = recorded.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


def copy_bandwidth(like: Tensor) -> float:
    """Bytes a second, read and written, of copying a tensor of this size: the best of ten."""
    source, copy = torch.empty_like(like), torch.empty_like(like)
    best = math.inf
    for _ in range(10):
        wait(like)
        start = time.perf_counter()
        copy.copy_(source)
        wait(like)
        best = min(best, time.perf_counter() - start)
    return 2 * like.numel() * like.element_size() / best
