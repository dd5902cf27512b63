"""The fence around somebody's function: nothing global stays changed, and no call is endless."""

import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch

from companion import _isolation
from companion._isolation import TimeUpError, attempt, deadline, fence

CHANGES = {
    "dtype": lambda: torch.set_default_dtype(torch.float16),
    "device": lambda: torch.set_default_device("meta"),
    "grad": lambda: torch.set_grad_enabled(False),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "determinism": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "cudnn": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "matmul": lambda: torch.set_float32_matmul_precision("medium"),
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True, check_nan=False),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "recursion": lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1),
    "numpy errors": lambda: np.seterr(all="ignore"),
    "random": lambda: random.seed(99),
    "torch random": lambda: torch.manual_seed(99),
    "cuda random": lambda: torch.cuda.manual_seed_all(99),
    "numpy random": lambda: np.random.seed(99),  # noqa: NPY002
    "warnings": lambda: warnings.simplefilter("always"),
}


def state(name):
    if name == "warnings":
        return repr(warnings.filters)
    value = _isolation._STATE[name][0]()
    return repr(value.tolist() if isinstance(value, torch.Tensor) else value)


def test_all_that_is_listed_is_tried():
    assert set(CHANGES) == {*_isolation._STATE, "warnings"}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_function_changes_is_put_back(name):
    before = state(name)
    with fence():
        CHANGES[name]()
        if name != "cuda random" or torch.cuda.is_initialized():
            assert state(name) != before
    assert state(name) == before


def test_it_is_put_back_after_an_error_too():
    before = {name: state(name) for name in CHANGES}

    def breaks():
        for change in CHANGES.values():
            change()
        raise SystemExit

    with pytest.raises(SystemExit), fence(dtype=torch.float64, seed=3):
        breaks()
    assert {name: state(name) for name in CHANGES} == before
    assert torch.overrides._get_current_function_mode_stack() == []


@pytest.mark.parametrize("setting", [torch.no_grad, torch.inference_mode])
def test_inside_gradients_are_on_and_settings_hold(setting):
    with setting():
        with fence(dtype=torch.float64, device="meta"):
            made = torch.ones(2, requires_grad=True) * 2
            assert made.requires_grad
            assert (made.dtype, made.device.type) == (torch.float64, "meta")
        assert not torch.is_grad_enabled()


def test_numbers_are_drawn_anew_from_a_seed():
    def draw():
        return random.random(), float(torch.rand(1)), float(np.random.rand())  # noqa: NPY002

    drawn = []
    for _ in range(2):
        with fence(seed=0):
            drawn.append(draw())
    assert drawn[0] == drawn[1]


def test_the_generators_of_a_gpu_in_use_are_kept(monkeypatch):
    """The same without one: what is read before the call is written back after it."""
    written = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    states = [torch.zeros(1), torch.zeros(1), torch.ones(1)]
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [states.pop()])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", written.append)
    with fence():
        pass
    assert written == [[torch.ones(1)]]


def test_prints_and_warnings(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fence():
            print("heard")
            warnings.warn("unheard", stacklevel=1)
        with fence(silent=True):
            print("unheard")
            print("unheard", file=sys.stderr)
    assert capsys.readouterr() == ("heard\n", "")


def forever():
    while True:
        pass


def stubborn():
    try:
        forever()
    except BaseException:
        forever()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs the timer of Unix")
@pytest.mark.parametrize("function", [forever, stubborn])
def test_an_endless_call_ends(function):
    before = signal.getsignal(signal.SIGALRM)
    with fence(seconds=0.05):
        value, error = attempt(function)
    assert value is None
    assert isinstance(error, TimeUpError)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs the timer of Unix")
def test_somebody_elses_timer_is_left_alone():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with deadline(0.01):
            time.sleep(0.1)
        assert rung == [True]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_in_another_thread_there_is_no_deadline_and_no_error():
    got = []

    def work():
        with fence(seconds=0.01):
            got.append(attempt(time.sleep, 0.03))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert got == [(None, None)]


def test_an_attempt_keeps_the_error_and_lets_the_reader_through():
    value, error = attempt(int, "x")
    assert value is None
    assert isinstance(error, ValueError)
    assert error.__traceback__ is None

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupted)
