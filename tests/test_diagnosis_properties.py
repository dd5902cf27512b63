"""Diagnose is a pure function: whatever it is given, everything is afterwards what it was."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diagnosis_cases import World
from diagnosis_trials import ALL_BUGS, ALL_RIGHT
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from companion.diagnosis import diagnose
from companion.diagnosis.tensors import tensors_in

BUILDS = {name: bug.build for name, bug in ALL_BUGS.items()} | ALL_RIGHT
CRITERIA = {
    "cross_entropy": F.cross_entropy,
    "nll_loss": F.nll_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "kl_div": F.kl_div,
    "mse": F.mse_loss,
    "soft_margin": F.multilabel_soft_margin_loss,
    "squares": lambda o, t: ((o - t) ** 2).mean(),
    "focal": lambda o, t: ((1 - o.softmax(-1)) ** 2 * -o.log_softmax(-1)).mean(),
    "gathered": lambda o, t: -o.gather(1, t[:, None]).mean(),
    "in_place": lambda o, t: F.cross_entropy(o.mul_(2), t.clamp_(min=0)),
    "drawing": lambda o, t: (o + torch.rand_like(o)).mean() + random.random(),
}
ACTIVATIONS = (None, "softmax", "log_softmax", "sigmoid", "relu", "tanh", "detach", "round")


def same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same values, NaN being equal to NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.is_meta:
        return True  # no values
    return torch.equal(first, second) or bool(((first == second) | (first != first)).all())


class Snapshot:
    """What must not change."""

    def __init__(self, arguments, modules):
        self.tensors = tensors_in(arguments)
        self.modules = modules
        self.before = self._state()

    def _state(self):
        values = [
            (t.detach().clone(), t.requires_grad, t.grad_fn, t._version) for t in self.tensors
        ]
        states = [
            {name: value.clone() for name, value in module.state_dict().items()}
            for module in self.modules
        ]
        slopes = [
            None if p.grad is None else p.grad.clone() for m in self.modules for p in m.parameters()
        ]
        modes = [m.training for module in self.modules for m in module.modules()]
        return values, states, slopes, modes, _random_states(), torch.is_grad_enabled()

    def check(self):
        values, states, slopes, modes, rng, grad = self._state()
        for (a, *rest), (b, *old) in zip(values, self.before[0], strict=True):
            assert same(a, b)
            assert rest == old
        for state, old in zip(states, self.before[1], strict=True):
            assert state.keys() == old.keys()
            assert all(same(state[name], old[name]) for name in state)
        for slope, old in zip(slopes, self.before[2], strict=True):
            assert (slope is None) == (old is None)
            assert slope is None or same(slope, old)
        assert modes == self.before[3]
        for mine, old in zip(rng, self.before[4], strict=True):
            assert np.array_equal(mine, old) if isinstance(mine, np.ndarray) else mine == old
        assert grad == self.before[5]


def _random_states():
    numpy = np.random.get_state()  # noqa: NPY002
    return (torch.get_rng_state().numpy(), random.getstate(), numpy[1], numpy[2])


def build_model(k: int, squash: str | None) -> nn.Module:
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, k)]
    tail = {
        "softmax": nn.Softmax(dim=1),
        "log_softmax": nn.LogSoftmax(dim=1),
        "sigmoid": nn.Sigmoid(),
        "relu": nn.ReLU(inplace=True),
        "tanh": nn.Tanh(),
    }.get(squash)
    return nn.Sequential(*layers, *([tail] if tail is not None else []))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    criterion=st.sampled_from(sorted(CRITERIA)),
    squash=st.sampled_from(ACTIVATIONS),
    n=st.integers(1, 6),
    k=st.integers(1, 5),
    kind=st.sampled_from(["index", "float", "one_hot", "column", "wrong"]),
    training=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    with_model=st.booleans(),
    seed=st.integers(0, 99),
)
def test_nothing_changes_and_nothing_is_raised(
    criterion, squash, n, k, kind, training, dtype, with_model, seed
):
    torch.manual_seed(seed)
    model = build_model(k, squash).to(dtype).train(training and n > 1)
    inputs = torch.randn(n, 4, dtype=dtype)
    output = model(inputs)
    if squash in ("detach", "round"):
        output = getattr(output, squash)()
    index = torch.randint(k, (n,))
    target = {
        "index": index,
        "float": torch.rand(n, k, dtype=dtype),
        "one_hot": F.one_hot(index, k).to(dtype),
        "column": index[:, None].to(dtype),
        "wrong": torch.randint(-3, 9, (n + 1,)),
    }[kind]
    F.mse_loss(model(inputs), torch.zeros(n, k, dtype=dtype)).backward()
    more = {"model": model, "inputs": inputs} if with_model else {}
    snapshot = Snapshot((output, target, inputs), [model])
    report = diagnose(
        CRITERIA[criterion],
        output,
        target,
        predict=lambda o: o.argmax(1),
        batches=[(output, target)],
        **more,
    )
    snapshot.check()
    assert not [text for text in report.unchecked if "it failed with" in text], report


@pytest.mark.parametrize("name", sorted(BUILDS))
def test_the_catalogue_leaves_everything_as_it_was(name):
    torch.manual_seed(3)
    wiring = BUILDS[name](World())
    modules = [m for m in (wiring.criterion, wiring.more.get("model")) if isinstance(m, nn.Module)]
    arguments = (wiring.output, wiring.target, *wiring.more.values())
    snapshot = Snapshot(arguments, modules)
    attributes = [copy.copy(vars(module)) for module in modules]
    diagnose(wiring.criterion, wiring.output, wiring.target, **wiring.more)
    snapshot.check()
    for module, before in zip(modules, attributes, strict=True):
        assert vars(module).keys() == before.keys()


@pytest.mark.parametrize("name", sorted(BUILDS)[::5])
def test_the_same_question_gets_the_same_answer(name):
    reports = []
    for seed in (1, 2):
        wiring = BUILDS[name](World())
        torch.manual_seed(seed)  # whatever the user's generators are at
        random.seed(seed)
        reports.append(diagnose(wiring.criterion, wiring.output, wiring.target, **wiring.more))
    first, second = ([(one.code, one.level) for one in report.findings] for report in reports)
    assert first == second


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("shift", [-50.0, 0.0, 50.0])
def test_the_size_of_logits_is_no_evidence(scale, shift):
    torch.manual_seed(0)
    logits = nn.Linear(5, 4)(torch.randn(64, 5)) * scale + shift
    assert diagnose(nn.CrossEntropyLoss(), logits, torch.arange(64) % 4).ok
    target = F.one_hot(torch.arange(64) % 4, 4).float()
    assert diagnose(nn.BCEWithLogitsLoss(), logits, target).ok
