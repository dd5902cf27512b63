"""Mistakes that are transformations of any solution, written once for all exercises.

An exercise names those that make sense for it; LOSS names those of a mean over the samples.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

LOSS = ("no-minus", "sum", "no-reduction", "log2", "log10")
LOG = ("log2", "log10")


def _times(factor: float) -> Callable:
    return lambda solution: lambda *args: factor * solution(*args)


def _target(args: tuple) -> Tensor:
    """The labels: the first tensor after the first argument, with one number for each loss."""
    return args[1]


def _summed(solution: Callable) -> Callable:
    return lambda *args: solution(*args) * _target(args).numel()


def _unreduced(solution: Callable) -> Callable:
    """The solution for each label alone."""

    def fn(*args: object) -> Tensor:
        shape = _target(args).shape

        def at(arg: object, place: tuple) -> object:
            if not isinstance(arg, Tensor) or arg.shape[: len(shape)] != shape:
                return arg
            return arg[tuple(slice(i, i + 1) for i in place)]

        places = itertools.product(*map(range, shape))
        losses = [solution(*(at(arg, place) for arg in args)) for place in places]
        return torch.stack(losses).reshape(shape)

    return fn


def _transposed(solution: Callable) -> Callable:
    return lambda first, *rest: solution(first.T, *rest).T


# What the mistake is called, what is said, and how it is made of a solution.
GENERIC: dict[str, tuple[str, Callable]] = {
    "no-minus": (
        "The size is right and the sign is the opposite one: the better the prediction, the larger "
        "this number. Look up the negative log-likelihood.",
        _times(-1.0),
    ),
    "sum": (
        "These are the right losses, added up. A loss that grows with the batch makes the step "
        "size depend on the batch size. Look up `reduction`.",
        _summed,
    ),
    "no-reduction": (
        "There is one right loss for each sample here, but one number is asked for: the last step, "
        "the reduction, is missing. Look up `reduction`.",
        _unreduced,
    ),
    "over-the-batch": (
        "The result was computed down the columns, so that the rows of the batch compete with each "
        "other. Which dimension holds the classes? Look up the `dim` argument.",
        _transposed,
    ),
    "log2": (
        "The logarithm has base 2 (bits); PyTorch uses the natural one. Look up nats.",
        _times(1 / math.log(2)),
    ),
    "log10": (
        "The logarithm has base 10; PyTorch uses the natural one. Look up nats.",
        _times(1 / math.log(10)),
    ),
    "percent": ("That is a percentage; a share between 0 and 1 is asked for.", _times(100.0)),
}
