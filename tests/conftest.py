"""Fixtures that the tests of the companion share."""

import inspect
import os
from collections import Counter
from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from hypothesis import settings
from torch import Tensor

import companion.losses
from tests.browsing import browser, home, serve, site  # noqa: F401, fixtures
from tests.chapter_cells import as_chapters_compute

# Threads of workers that share the cores wait for one another, and take ten times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

# The same examples in every run, and no time limit on a busy machine.
settings.register_profile("book", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("book")


def pytest_terminal_summary(terminalreporter):
    """Name at the end, once for each reason, what was skipped and what to do about it."""
    skipped = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    for reason, count in Counter(skipped).items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


class Batch(NamedTuple):
    """Logits of six samples and three classes, with each kind of target."""

    logits: Tensor
    target: Tensor
    probs: Tensor
    weight: Tensor


@pytest.fixture
def batch() -> Batch:
    """A seeded float64 batch in which every class occurs, in unequal numbers."""
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 2, 0, 2])
    probs = torch.randn(6, 3, generator=generator, dtype=torch.float64).softmax(dim=1)
    weight = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    return Batch(logits, target, probs, weight)


@pytest.fixture(scope="module")
def float64():
    """The settings of a chapter, for tests that train as it does."""
    with as_chapters_compute():
        yield


@pytest.fixture(scope="session")
def losses() -> ModuleType:
    """The losses, as an argument: a mutant can then take their place."""
    return companion.losses


@pytest.fixture(scope="session")
def mutant():
    """A function that returns the losses with one passage of their source exchanged."""
    source = inspect.getsource(companion.losses)

    def exchange(old: str, new: str) -> ModuleType:
        assert source.count(old) == 1, f"{source.count(old)} times in the source: {old}"
        module = ModuleType("mutant")
        exec(compile(source.replace(old, new), "mutant.py", "exec"), module.__dict__)
        return module

    return exchange
