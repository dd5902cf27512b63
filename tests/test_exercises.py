"""The exercises: what `check` says, that it says it to the right answers, and that it is safe."""

import asyncio
import inspect
import itertools
import random
import re
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import docutils.nodes
import nbformat
import numpy as np
import pytest
import sklearn.impute
import sklearn.metrics
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from companion import data, decisions, exercises, heads, losses
from companion.exercises import Exercise, Prediction, Result, _result
from companion.exercises._exercise import function
from companion.exercises.catalogues import CATALOGUES, _sections

ALL = [exercise for group in CATALOGUES.values() for exercise in group]
FUNCTIONS = [exercise for exercise in ALL if isinstance(exercise, Exercise)]
PREDICTIONS = [exercise for exercise in ALL if isinstance(exercise, Prediction)]


def each(chosen):
    return pytest.mark.parametrize("exercise", chosen, ids=lambda exercise: exercise.name)


def all_mistakes(exercise):
    return getattr(exercise, "all_mistakes", exercise.mistakes)


# What must hold of every exercise. A checker that always says the same fails these.


def prove_the_solution_is_right(exercise):
    result = exercise.check(exercise.solution)
    assert (result.status, result.message, result.mistake) == ("right", exercise.moral, None)
    for answer in getattr(exercise, "right", ()):
        assert exercise.check(answer).status == "right", exercise.check(answer)


def prove_a_stub_is_not_attempted(exercise):
    def unfinished(*args):
        raise NotImplementedError

    stubs = [lambda *args: ..., lambda *args: (..., ...), lambda *args: ... + 1, unfinished, ...]
    for stub in stubs:
        assert exercise.check(stub).status == "not attempted"


def prove_every_mistake_is_told_apart(exercise):
    for mistake in all_mistakes(exercise):
        result = exercise.check(mistake.fn)
        assert (result.status, result.mistake) == ("wrong", mistake.id)
        assert result.message.endswith(mistake.message)


def prove_unknown_mistakes_are_described(exercise):
    for answer, phrase in exercise.wrong:
        result = exercise.check(answer)
        assert result.status == "wrong"
        assert phrase in repr(result)


PROOFS = [
    prove_the_solution_is_right,
    prove_a_stub_is_not_attempted,
    prove_every_mistake_is_told_apart,
    prove_unknown_mistakes_are_described,
]


@pytest.mark.parametrize("prove", PROOFS)
@each(ALL)
def test_every_exercise(exercise, prove):
    prove(exercise)


@pytest.mark.parametrize("status", ["right", "wrong", "not attempted"])
@pytest.mark.parametrize("name", ["cross_entropy", "predict_bce"])
def test_a_planted_checker_is_found_out(name, status, monkeypatch):
    """One that always says "right", or anything else, whatever it is given."""
    exercise = getattr(exercises, name)
    planted = Result(exercise.name, status, exercise.moral)
    monkeypatch.setattr(type(exercise), "check", lambda self, fn=...: planted)
    found_out = 0
    for prove in PROOFS:
        try:
            prove(exercise)
        except AssertionError:
            found_out += 1
    assert found_out >= 3


# The catalogues.


@each(ALL)
def test_there_are_five_mistakes_and_three_unknown_ones(exercise):
    known = all_mistakes(exercise)
    assert len({mistake.id for mistake in known}) == len(known) >= 5
    unknown = [exercise.check(answer).mistake for answer, _ in exercise.wrong]
    assert len(unknown) >= 3
    if isinstance(exercise, Exercise):
        assert set(unknown) == {None}


@each(FUNCTIONS)
def test_no_two_mistakes_are_alike(exercise):
    for mistake in exercise.mistakes:
        others = tuple(m for m in exercise.mistakes if m is not mistake)
        assert replace(exercise, mistakes=others).check(mistake.fn).mistake is None


@each(PREDICTIONS)
def test_no_two_ways_of_thinking_are_alike(exercise):
    answers = [exercise.solution(), *(mistake.fn() for mistake in exercise.mistakes)]
    for one, other in itertools.combinations(answers, 2):
        pairs = zip(one, other, strict=True)
        assert any(a != b if isinstance(a, str) else abs(a - b) > 0.011 for a, b in pairs)


def test_names_are_unique_and_cover_the_subjects():
    names = [exercise.name for exercise in ALL]
    assert len(set(names)) == len(names)
    for subject, group in CATALOGUES.items():
        assert len(group) >= 3, subject
        assert sum(isinstance(exercise, Prediction) for exercise in group) == 1, subject


@each(ALL)
def test_messages_name_ideas_and_not_the_line_to_type(exercise):
    body = inspect.getsource(exercise.solution).rpartition("\ndef ")[2].splitlines()[2:]
    typed = [line.split("#")[0].strip().removeprefix("return ") for line in body]
    for message in [exercise.moral, *(mistake.message for mistake in all_mistakes(exercise))]:
        assert message[-1] in ".?", message
        assert "!" not in message
        assert not re.search(r"  |\n", message), message
        assert message.count("`") % 2 == 0
        assert not re.search(r"`[^`]*(=|\([^)`]+\))[^`]*`", message), message
        assert not any(len(line) > 9 and line in message for line in typed), message


@each(FUNCTIONS)
def test_cases_are_many_and_of_a_fixed_dtype(exercise):
    assert len(exercise.cases) >= 3
    parameters = inspect.signature(exercise.solution).parameters
    for args in exercise.cases.values():
        assert len(args) == len(parameters)


@each(FUNCTIONS)
def test_a_gradient_is_asked_for_where_the_task_says_so(exercise):
    assert ("gradient" in exercise.text.task.lower()) >= bool(exercise.gradient)


# Right answers that were written differently: torch's, scikit-learn's, the companion's.


def heads_to_one(weight, bias):
    head = heads.SoftmaxHead(weight.shape[1])
    head.linear.weight.data, head.linear.bias.data = weight, bias
    mapped = heads.to_one_logit(head)
    return mapped.linear.weight, mapped.linear.bias


OTHER_SOLUTIONS = {
    "one_logit_head": heads_to_one,
    "cross_entropy": losses.cross_entropy,
    "one_against_rest": lambda z, t: losses.binary_cross_entropy_with_logits(
        z, torch.eye(z.shape[1])[t]
    ),
    "cost_threshold": decisions.cost_threshold,
    "binary_labels": lambda z, t: decisions.binary_labels(z.flatten(), t).reshape(z.shape),
    "accuracy": lambda p, t: sklearn.metrics.accuracy_score(t, p),
    "fill_missing": lambda x, c: torch.tensor(
        sklearn.impute.SimpleImputer(missing_values=c).fit_transform(x.numpy())
    ),
    "subset_accuracy": lambda p, t: sklearn.metrics.accuracy_score(t, p),
    "multilabel_labels": decisions.multilabel_labels,
    "macro_f1": lambda p, t: sklearn.metrics.f1_score(t, p, average="macro", zero_division=0),
    "noise_matrix": data.symmetric_noise,
    "reverse_cross_entropy": lambda z, t, a: losses.reverse_cross_entropy(z, t, log_zero=a),
    "symmetric_cross_entropy": lambda z, t, al, be, a: losses.symmetric_cross_entropy(
        z, t, alpha=al, beta=be, log_zero=a
    ),
}


def in_float32(fn):
    """The same answer from data that were converted first."""

    def answer(*args):
        return fn(
            *(a.float() if isinstance(a, Tensor) and a.is_floating_point() else a for a in args)
        )

    return answer


def fits_float32(exercise):
    floats = [a for case in exercise.cases.values() for a in case if isinstance(a, Tensor)]
    return all(bool((a.double().float().isfinite() == a.isfinite()).all()) for a in floats)


RIGHT = [
    pytest.param(exercise, change(answer), id=f"{exercise.name}-{i}-{change.__name__}")
    for exercise in FUNCTIONS
    for i, answer in enumerate((exercise.solution, *exercise.right))
    for change in (lambda fn: fn, in_float32)
    if change is not in_float32 or (not exercise.exact and fits_float32(exercise))
]


def test_there_are_many_right_answers():
    assert len(RIGHT) >= 300
    assert all(len(exercise.right) >= 2 for exercise in FUNCTIONS)


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers_are_right_in_the_precision_in_which_they_were_computed(exercise, answer):
    result = exercise.check(answer)
    assert result.status == "right", result


@pytest.mark.parametrize("name", OTHER_SOLUTIONS)
def test_other_right_answers_are_right(name):
    result = getattr(exercises, name).check(OTHER_SOLUTIONS[name])
    assert result.status == "right", result


def refused(call):
    try:
        call()
    except (RuntimeError, ValueError):
        return "error"
    return "number"


def one_sgd_step():
    """How far the logit difference moves by the biases, two logits against one."""
    one, two = torch.zeros(1, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    F.binary_cross_entropy_with_logits(one, torch.ones(1)).backward()
    F.cross_entropy(two, torch.tensor([1])).backward()
    return float((two.grad[0, 1] - two.grad[0, 0]) / one.grad[0])


def name_of(value):
    value = float(value)
    return str(value) if value != value or abs(value) == float("inf") else f"{value:g}"


def torch_about_probabilities():
    ln3 = torch.tensor(3.0).log()
    return (
        torch.tensor(0.0).sigmoid(),
        ln3.sigmoid(),
        torch.tensor([-2.0]).softmax(0)[0],
        torch.stack([torch.tensor(5.0), 5 + ln3]).softmax(0)[1],
    )


def torch_about_heads():
    count = [sum(p.numel() for p in torch.nn.Linear(3, k).parameters()) for k in (1, 2)]
    return (
        count[1] - count[0],
        heads.LogitHead(3)(torch.zeros(1, 3)).numel(),
        F.cross_entropy(torch.zeros(1, 2), torch.tensor([1])),
        one_sgd_step(),
        "yes",
    )


def torch_about_bce():
    def loss(p, y):
        return F.binary_cross_entropy(torch.tensor(p), torch.tensor(y))

    logit = torch.zeros(1, requires_grad=True)
    F.binary_cross_entropy_with_logits(logit, torch.ones(1)).backward()
    best = min(float(loss(p, 0.5)) for p in torch.linspace(0.01, 0.99, 99).tolist())
    return loss(0.5, 1.0), loss(0.9, 1.0), loss(0.9, 0.0), best, logit.grad[0]


def torch_about_cross_entropy():
    def loss(*logits, label):
        return F.cross_entropy(torch.tensor([logits]), torch.tensor([label]))

    ln4 = float(torch.tensor(4.0).log())
    moved = loss(100.0, 100.0 + ln4, label=1) - loss(0.0, ln4, label=1)
    return (
        loss(0.0, 0.0, 0.0, 0.0, label=2),
        loss(0.0, ln4, label=1),
        loss(0.0, ln4, label=0),
        "same" if abs(moved) < 1e-4 else "other",
    )


def torch_about_contracts():
    logits, bce = torch.ones(4, 3), F.binary_cross_entropy_with_logits
    z = torch.tensor([0.3])
    pair = torch.stack([0 * z, z], 1)
    close = torch.isclose(F.cross_entropy(pair, torch.tensor([1])), bce(z, torch.ones(1)))
    return (
        refused(lambda: F.cross_entropy(logits, torch.tensor([0.0, 1.0, 2.0, 0.0]))),
        refused(lambda: bce(logits[:, 0], torch.tensor([0, 1, 1, 0]))),
        refused(lambda: bce(logits[:, :1], torch.ones(4))),
        refused(lambda: F.cross_entropy(logits, logits.softmax(1))),
        F.cross_entropy(logits[:, :1], torch.zeros(4, dtype=torch.int64)),
        "equal" if close else "different",
    )


def torch_about_decisions():
    half, target = torch.tensor(0.5), torch.tensor([1, 1, 0, 0])
    return (
        half.round(),
        (half >= 0.5).int().item(),
        torch.tensor([[3.0]]).argmax(dim=1).item(),
        ((torch.ones(4, 1) == target).sum() / 4).item(),
        torch.tensor(0.8).logit(),
    )


def torch_about_training():
    loader = torch.utils.data.DataLoader(torch.zeros(100, 1), batch_size=32)
    return (
        F.binary_cross_entropy_with_logits(torch.zeros(5), torch.ones(5)),
        len(loader),
        np.average([0.2, 1.0], weights=[90, 10]),
        (-99 - 10) / 5,
    )


def torch_about_multi_label():
    targets = torch.zeros(3, 10)
    targets[:, :2] = 1
    each_loss = F.binary_cross_entropy_with_logits(torch.zeros(3, 10), targets, reduction="none")
    both = torch.tensor([50.0, 50.0] + [0.0] * 8).softmax(0)
    right = torch.zeros(3, 10) == targets
    return (
        each_loss.mean(),
        each_loss.sum(1).mean(),
        both[0],
        right.float().mean(),
        right.all(1).float().mean(),
        len(list(itertools.product([0, 1], repeat=3))),
    )


def torch_about_noise():
    clamp = torch.zeros(1).clamp(min=1e-4).log()[0]
    undecided, wrong = torch.zeros(1, 4), torch.tensor([[99.0, 0.0, 0.0, 0.0]])
    label = torch.tensor([1])
    rates = torch.linspace(0, 1, 1001, dtype=torch.float64)
    limit = rates[1 - rates > rates / 9 + 1e-9].max()
    return (
        clamp,
        losses.reverse_cross_entropy(undecided, label, log_zero=-4.0),
        losses.reverse_cross_entropy(wrong, label, log_zero=-4.0),
        data.symmetric_noise(5, 0.4)[0, 1],
        limit,
    )


def torch_about_nan():
    zero, infinity = torch.tensor(0.0), torch.tensor(torch.inf)
    nothing = F.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100]))
    values = [
        zero.log(),
        zero * zero.log(),
        torch.tensor(1000.0, dtype=torch.float64).exp(),
        infinity - infinity,
        torch.tensor(1e-8, dtype=torch.float16),
        nothing,
    ]
    return tuple(map(name_of, values))


ASKED_OF_TORCH = {
    "predict_probabilities": torch_about_probabilities,
    "predict_binary_heads": torch_about_heads,
    "predict_bce": torch_about_bce,
    "predict_cross_entropy": torch_about_cross_entropy,
    "predict_contract": torch_about_contracts,
    "predict_decisions": torch_about_decisions,
    "predict_training": torch_about_training,
    "predict_multi_label": torch_about_multi_label,
    "predict_noise": torch_about_noise,
    "predict_nan": torch_about_nan,
}


@each(PREDICTIONS)
def test_predictions_come_true(exercise):
    """The answers that torch gives when it is asked are the right ones."""
    answers = tuple(
        float(a.detach()) if isinstance(a, Tensor) else a for a in ASKED_OF_TORCH[exercise.name]()
    )
    assert exercise.check(lambda: answers).status == "right"


# The rules, one by one.

CE = exercises.cross_entropy


async def waits(logits, target):
    return logits


def yields(logits, target):
    yield logits


class Grim:
    """An object whose every courtesy raises."""

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no")


def edited_after_use(logits, target):
    probs = logits.softmax(1) + 1
    zero = 0 * probs.pow(2).sum()  # keeps probs for the way back
    probs.zero_()
    return F.cross_entropy(logits, target) + zero


RULES = {
    "nothing": (lambda z, t: None, "is a `return` missing?"),
    "number": (lambda z, t: F.cross_entropy(z, t).item(), "What came back is a Python number"),
    "wrong number": (lambda z, t: 3.0, "a Python number, not a tensor. `.item()`"),
    "array": (lambda z, t: F.cross_entropy(z, t).detach().numpy(), "a NumPy value"),
    "scalar": (lambda z, t: np.float64(1.0), "a NumPy value"),
    "list": (lambda z, t: [z], "a `list`, not a tensor"),
    "string": (lambda z, t: "<b>", "a `str`, not a tensor"),
    "pair": (lambda z, t: z.max(dim=1), "a pair of values and indices"),
    "coroutine": (waits, "was `yield` or `async` meant?"),
    "generator": (yields, "was `yield` or `async` meant?"),
    "function": (lambda z, t: F.cross_entropy, "are the brackets missing?"),
    "class": (torch.nn.CrossEntropyLoss, "its constructor takes settings"),
    "module": (lambda z, t: torch.nn.CrossEntropyLoss(), "a module has to be called, too"),
    "object": (lambda z, t: Grim(), "a `Grim`, not a tensor"),
    "exit": (lambda z, t: exit_now(), "should end with a `return`"),
    "group": (lambda z, t: raise_(BaseExceptionGroup("several", [SystemExit()])), "It raised"),
    "name": (lambda z, t: not_here, "has the cell that imports or sets it"),  # noqa: F821
    "attribute": (lambda z, t: z.sofmax(1), "is it spelled right?"),
    "one argument": (lambda z: z, "function as `cross_entropy(logits, target)`"),
    "three arguments": (
        lambda z, t, k: z,
        "calls your function as `cross_entropy(logits, target)`",
    ),
    "float16": (lambda z, t: F.cross_entropy(z.half(), t), "digits of float16 are right"),
    "int": (lambda z, t: t.sum(), "Whole numbers came back"),
    "bool": (lambda z, t: z.sum() > 0, "A comparison gives True and False"),
    "complex": (lambda z, t: F.cross_entropy(z, t) * 1j, "Something complex"),
    "meta": (lambda z, t: torch.zeros((), device="meta"), "The result lives on meta"),
    "sparse": (lambda z, t: z.sum().to_sparse(), "could not be compared"),
    "shape": (lambda z, t: 2 * F.cross_entropy(z, t, reduction="none"), "from many numbers to one"),
    "boxed": (lambda z, t: F.cross_entropy(z, t)[None], "inside a dimension of size 1"),
    "detached": (lambda z, t: F.cross_entropy(z.detach(), t), "the gradient with respect to"),
    "half detached": (
        lambda z, t: (z.logsumexp(1).detach() - z[torch.arange(len(t)), t]).mean(),
        "a part of the computation was detached",
    ),
    "backward": (edited_after_use, "going backward through it raised `RuntimeError"),
    "factor": (lambda z, t: 3 * F.cross_entropy(z, t), "Every value is 3 times"),
    "offset": (lambda z, t: F.cross_entropy(z, t) + 0.5, "differs from the expected one by 0.5"),
    "constant": (lambda z, t: 0 * z.sum() + 7, "the same in every case"),
    "not a function": (torch.tensor(1.0), "Pass the name without brackets"),
    "long message": (lambda z, t: raise_(ValueError("x" * 999)), "xxx...`"),
    "ellipsis as argument": (lambda z, t: z.sum(dim=...), None),
    "dots inside": (lambda z, t: [..., z], None),
}


def raise_(error):
    raise error


def exit_now():
    import sys

    sys.exit("bye")


@pytest.mark.parametrize("rule", RULES)
def test_rules(rule):
    answer, phrase = RULES[rule]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a coroutine that is never awaited would warn
        result = CE.check(answer)
    if phrase is None:
        assert result.status == "not attempted"
        return
    assert (result.status, result.mistake) == ("wrong", None)
    assert phrase in repr(result)


def test_an_opposite_sign_is_seen():
    answer = lambda logits: -logits.logsumexp(1)  # noqa: E731
    assert "Every value has the opposite sign." in exercises.logsumexp.check(answer).message


def test_a_hidden_infinity_is_seen_in_the_gradient():
    def answer(logits, target):
        probs = logits.softmax(1)[torch.arange(len(target)), target]
        exact = F.cross_entropy(logits, target, reduction="none")
        return torch.where(probs > 0, -probs.log(), exact).mean()

    message = CE.check(answer).message
    assert "the gradient with respect to `logits` is NaN or infinite" in message


def test_a_gradient_that_sums_to_zero_is_compared_too():
    """The probabilities of a row add up to 1, so the gradient of their plain sum is always 0."""
    strict = replace(exercises.softmax, gradient=("logits",))
    result = strict.check(lambda logits: logits.softmax(1).detach() + 0 * logits)
    assert "the gradient with respect to `logits` is not" in result.message


def test_torch_is_not_for_loan_without_a_word():
    for answer in (
        F.cross_entropy,
        torch.nn.CrossEntropyLoss(),
        lambda z, t: F.cross_entropy(z, t),
    ):
        result = CE.check(answer)
        assert result.status == "right"
        assert result.message.startswith("Right: torch's own `cross_entropy` does it")
        assert result.message.endswith(CE.moral)
    alias = torch.Tensor.softmax
    assert "torch's own `softmax`" in exercises.softmax.check(lambda z: alias(z, 1)).message


def test_torchs_function_is_seen_only_where_it_is_called_from_the_answer():
    """`two_class_loss` may use BCEWithLogitsLoss, and nothing that torch calls inside counts."""
    assert exercises.two_class_loss.check(exercises.two_class_loss.solution).message == (
        exercises.two_class_loss.moral
    )


def test_check_without_a_function_is_not_attempted():
    assert CE.check().status == "not attempted"
    assert exercises.predict_bce.check().status == "not attempted"


def test_an_interrupt_gets_through():
    def interrupted(*args):
        raise KeyboardInterrupt

    for exercise in (CE, exercises.predict_bce):
        with pytest.raises(KeyboardInterrupt):
            exercise.check(interrupted)


def test_the_failing_case_is_the_smallest_with_enough_digits():
    def nearly(logits, target):
        return F.cross_entropy(logits, target) * (1 + 1e-7)

    result = CE.check(nearly)
    first = CE.cases["one row, two classes"]
    value = F.cross_entropy(*first).item()
    got, expected = (line.split()[1] for line in result.case.splitlines()[-2:])
    assert got != expected
    assert len(expected) < 12
    assert float(expected) == pytest.approx(value, rel=1e-7)
    assert result.case.splitlines()[0] == "case      one row, two classes"


def test_numbers_may_come_as_tensors_or_from_numpy():
    exercise = exercises.epoch_mean
    for wrap in (torch.tensor, np.float32, np.float64, float):
        assert exercise.check(lambda v, n, w=wrap: w(exercise.solution(v, n))).status == "right"


def test_predictions_read_what_people_type():
    exercise = exercises.predict_cross_entropy
    right = exercise.solution()
    for answers in (
        list(right),
        (torch.tensor(1.3863), np.float64(0.2231), 1.609, " Same "),
    ):
        assert exercise.check(lambda a=answers: a).status == "right"
    assert "Still to predict: shifted" in exercise.check(lambda: (*right[:3], ...)).message
    assert "4 answers asked for" in exercise.check(lambda: 1.39).message
    assert "is a `return` missing?" in exercise.check(lambda: None).message
    assert "a number is asked for" in exercise.check(lambda: (Grim(), *right[1:])).message
    assert (
        "calls your function as `predict_cross_entropy()`"
        in exercise.check(lambda x: right).message
    )
    assert "without brackets" in exercise.check(right).message


def test_predictions_never_show_the_answers():
    for exercise in PREDICTIONS:
        wrong = tuple("other?" if options else 77.7 for options in exercise.questions.values())
        shown = repr(exercise.check(lambda w=wrong: w))
        for answer in exercise.solution():
            assert not isinstance(answer, float) or f"{answer:.2f}" not in shown


# It leaves everything as it was.


def everything_global():
    return {
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "position": np.random.get_state()[2],  # noqa: NPY002
        "python": random.getstate(),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "modes": torch.overrides._get_current_function_mode_stack(),
        "anomaly": torch.is_anomaly_enabled(),
        "filters": list(warnings.filters),
    }


def untidy(*args):
    for arg in args:
        if isinstance(arg, Tensor):
            arg.data.zero_()
            with torch.no_grad():
                arg.resize_(0)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float16)
    torch.set_default_device("meta")
    torch.autograd.set_detect_anomaly(True)
    warnings.simplefilter("always")
    raise SystemExit


@pytest.fixture
def float32():
    """torch's own default, whatever a test before this one has left."""
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(kept)


@each(ALL)
@pytest.mark.usefixtures("float32")
def test_check_leaves_the_world_alone(exercise):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    before = everything_global()
    cases = [
        tuple(arg.clone() if isinstance(arg, Tensor) else arg for arg in args)
        for args in getattr(exercise, "cases", {}).values()
    ]
    answers = [answer for answer, _ in exercise.wrong]
    for answer in [exercise.solution, *answers, untidy]:
        exercise.check(answer)
    after = everything_global()
    assert torch.equal(before.pop("torch"), after.pop("torch"))
    assert before == after
    for kept, args in zip(cases, getattr(exercise, "cases", {}).values(), strict=True):
        for one, other in zip(kept, args, strict=True):
            if isinstance(one, Tensor):
                assert_close(one, other, rtol=0, atol=0, equal_nan=True)
                assert not other.requires_grad


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_generators_of_the_gpu_are_restored():
    torch.cuda.manual_seed_all(5)
    torch.rand(1, device="cuda")
    before = torch.cuda.get_rng_state_all()
    CE.check(untidy)
    assert all(map(torch.equal, before, torch.cuda.get_rng_state_all()))
    message = CE.check(lambda z, t: F.cross_entropy(z.cuda(), t.cuda())).message
    assert message == "The result lives on cuda:0, the arguments on cpu."


@pytest.mark.parametrize("setting", [torch.no_grad, torch.inference_mode])
def test_the_readers_settings_do_not_matter(setting):
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is said to be slow
            detecting = torch.autograd.set_detect_anomaly(True)
        with detecting, setting():
            for exercise in ALL:
                fresh = replace(exercise)  # nothing kept from earlier checks
                assert fresh.check(fresh.solution).status == "right"
            fresh = replace(CE)
            assert fresh.check(fresh.mistakes[-1].fn).mistake == fresh.mistakes[-1].id
            detached = fresh.check(lambda z, t: F.cross_entropy(z.detach(), t))
            assert "gradient with respect to `logits` is missing" in detached.message
    finally:
        torch.set_default_dtype(kept)


def test_random_answers_are_judged_alike_every_time():
    def noisy(logits, target):
        return F.cross_entropy(logits + torch.rand(logits.shape), target)

    assert repr(CE.check(noisy)) == repr(CE.check(noisy))


def test_what_an_answer_prints_is_left_alone(capsys):
    def talks(logits, target):
        print("hello")
        return F.cross_entropy(logits, target)

    CE.check(talks)
    assert capsys.readouterr().out == "hello\n" * len(CE.cases)


def test_check_works_inside_a_running_event_loop():
    """As in a notebook, where there always is one."""

    async def cell():
        return CE.check(waits)

    assert "async" in asyncio.run(cell()).message


# How it looks.


def results():
    for exercise in ALL:
        yield exercise.check(...)
        yield exercise.check(exercise.solution)
        yield exercise.check(exercise.mistakes[0].fn)
        for answer, _ in exercise.wrong:
            yield exercise.check(answer)
    for answer, _ in RULES.values():
        yield CE.check(answer)


def test_results_look_the_same_every_time_and_are_well_formed():
    for one, other in zip(results(), results(), strict=True):
        assert repr(one) == repr(other)
        assert one._repr_html_() == other._repr_html_()
        ElementTree.fromstring(one._repr_html_())
        assert not re.search(r"0x[0-9a-f]+|\bat [0-9a-f]{8}", repr(one)), one
        assert not re.search(r"[!\U0001F300-\U0001FAFF]", one.message), one
        assert one.message[-1] in ".?:", one
        assert "\n\n" not in one.message
        assert "  " not in one.message


def test_html_is_escaped():
    def answer(logits, target):
        raise ValueError("<script>alert(1)</script> & `co")

    shown = CE.check(answer)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#x27;co" in shown
    assert (
        "<pre>1 &lt; 2 &amp; 3</pre>" in Result("a<b", "wrong", "", case="1 < 2 & 3")._repr_html_()
    )


def test_results_say_in_words_what_the_colour_says():
    assert repr(CE.check(...)).startswith("cross_entropy: not attempted\nReplace the `...`")
    assert repr(CE.check(CE.solution)).startswith("cross_entropy: right\n")
    assert repr(CE.check(lambda z, t: None)).startswith("cross_entropy: not yet\n")
    assert "<strong>cross_entropy: not yet</strong>" in CE.check(lambda z, t: None)._repr_html_()


@each(ALL)
def test_exercises_introduce_themselves(exercise):
    assert repr(exercise).endswith(f"{exercise.name}: {exercise.name}.check(your_function)")


# Names and progress.


def test_exercises_are_attributes():
    for exercise in ALL:
        assert getattr(exercises, exercise.name) is exercise
        assert exercise.name in dir(exercises)
    assert "progress" in dir(exercises)


def test_an_unknown_name_brings_near_ones():
    with pytest.raises(
        AttributeError, match=r"no exercise 'cross_entrpy': did you mean cross_entropy"
    ):
        exercises.cross_entrpy  # noqa: B018
    with pytest.raises(AttributeError, match=r"no exercise 'qqqq': exercises.progress\(\) names"):
        exercises.qqqq  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute '__wrapped__'"):
        exercises.__wrapped__  # noqa: B018


def test_progress_counts_what_was_solved(monkeypatch):
    monkeypatch.setattr(_result, "_solved", set())
    nothing = exercises.progress()
    assert repr(nothing).splitlines()[-1].split() == ["all", "0", "of", str(len(ALL))]
    CE.check(lambda z, t: None)
    CE.check(...)
    assert repr(exercises.progress()) == repr(nothing)
    CE.check(CE.solution)
    CE.check(lambda z, t: None)  # once solved, it stays solved
    row = next(r for r in repr(exercises.progress()).splitlines() if r.startswith("cross-entropy"))
    total = len(CATALOGUES["cross-entropy"])
    assert f"1 of {total}" in row
    assert "nll_loss" in row
    assert not re.search(r"[ ,]cross_entropy\b", row)
    table = ElementTree.fromstring(exercises.progress()._repr_html_())
    assert len(table.findall("./tbody/tr")) == len(CATALOGUES) + 1


def test_a_new_exercise_takes_a_few_lines():
    @function(
        """
        ### Twice

        Double a number.

        Hint: Once more of the same.

        Moral: Twice is not squared.

        - square: That is the square.
        """,
        cases={"two numbers": (torch.tensor([1.0, 3.0], dtype=torch.float64),)},
        mistakes={"square": lambda numbers: numbers**2},
    )
    def double(numbers):
        """Twice the numbers."""
        return 2 * numbers

    assert double.check(lambda numbers: numbers + numbers).status == "right"
    assert double.check(lambda numbers: numbers * numbers).mistake == "square"


# Where to look things up.


def looked_up():
    for exercise in ALL:
        for mistake in all_mistakes(exercise):
            yield from re.findall(r"ook up ([^.?;:]+)", mistake.message)


def test_what_is_to_be_looked_up_is_a_link():
    for words in looked_up():
        assert _sections.address(words), words
    html = exercises.softmax.check(lambda z: z.flatten().softmax(0).reshape(z.shape))._repr_html_()
    page = "01_logits_and_probabilities.ipynb#Break-it%3A-the-wrong-dimension"
    assert f'<a href="{page}" target="_blank">the <code>dim</code>' in html


def test_links_lead_to_sections_that_exist(monkeypatch):
    notebooks = Path(__file__).resolve().parent.parent / "notebooks"
    for page in _sections.SECTIONS.values():
        if page.startswith(_sections.TORCH):
            continue
        name, _, heading = page.partition("#")
        cells = nbformat.read(notebooks / f"{name}.ipynb", as_version=4).cells
        titles = [line for cell in cells for line in cell.source.splitlines()]
        assert f"## {heading}" in titles, page
        monkeypatch.setattr(_sections, "_site", lambda: "https://somebody.github.io/book/")
        monkeypatch.setattr(_sections, "SECTIONS", {"it": page})
        slug = docutils.nodes.make_id(heading.replace("`", ""))
        assert _sections.address("it") == f"https://somebody.github.io/book/{name}.html#{slug}"
        monkeypatch.undo()


def test_the_site_is_where_the_companion_was_fetched_from(monkeypatch):
    class Distribution:
        def read_text(self, name):
            return '{"url": "https://github.com/Some-Body/book/archive/refs/heads/main.zip"}'

    monkeypatch.setattr(_sections, "distribution", lambda name: Distribution())
    assert _sections._site() == "https://some-body.github.io/book/notebooks/"
