"""The noise-robust losses: definition, identities, torch, gradient, extremes, refusals, mutants.

The judge of the values is mpmath with 60 digits, fed with the very float64 numbers.
"""

import inspect
import math
import re
from functools import partial

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, vmap
from torch.nn import functional as F
from torch.testing import assert_close

INF, NAN = math.inf, math.nan
ALPHA, BETA, LOG_ZERO, Q = 0.7, 1.3, -3.0, 0.6  # none of them a default, none of them 1
SETTINGS = {"alpha": ALPHA, "beta": BETA, "log_zero": LOG_ZERO}

assert_exact = partial(assert_close, rtol=1e-12, atol=0)
# 1 - p is a difference of numbers near 1, and A multiplies what rounding leaves of it.
assert_exact_beside_one = partial(assert_close, rtol=1e-12, atol=1e-13)


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def gradient(function, logits):
    return torch.autograd.grad(function(logits.requires_grad_()).sum(), logits)[0]


# The definition, as a loop


def precise(function):
    """Compute with 60 digits, and return float64."""

    def at_sixty_digits(*arguments, **options):
        with mpmath.workdps(60):
            return double(*(float(value) for value in function(*arguments, **options)))

    return at_sixty_digits


def precise_softmax(row):
    powers = [mpmath.exp(mpf(z)) for z in row]
    total = sum(powers)
    return [power / total for power in powers]


def log_at_least(t, log_zero):
    return max(mpmath.log(t), mpf(log_zero)) if t > 0 else mpf(log_zero)


@precise
def symmetric_by_loop(logits, targets, *, alpha, beta, log_zero, weight=None, smoothing=0.0):
    """Each row's loss for rows of class probabilities, one class after the other."""
    losses = []
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        probs, num_classes = precise_softmax(row), len(row)
        smoothed = [(1 - mpf(smoothing)) * mpf(t) + mpf(smoothing) / num_classes for t in target]
        weights = [1] * num_classes if weight is None else [mpf(w) for w in weight.tolist()]
        forward = reverse = sample_weight = 0
        for p, t, w in zip(probs, smoothed, weights, strict=True):
            forward -= w * t * mpmath.log(p)
            reverse -= p * log_at_least(t, log_zero)
            sample_weight += w * t
        if weight is None:
            sample_weight = 1
        losses.append(mpf(alpha) * forward + mpf(beta) * sample_weight * reverse)
    return losses


@precise
def generalized_by_loop(logits, target, *, q):
    losses = []
    for row, y in zip(logits.tolist(), target.tolist(), strict=True):
        losses.append((1 - precise_softmax(row)[y] ** mpf(q)) / mpf(q))
    return losses


@precise
def binary_by_loop(logits, target, *, alpha, beta, log_zero):
    losses = []
    for z, y in zip(logits.tolist(), target.tolist(), strict=True):
        not_p, p = precise_softmax([0.0, z])
        forward = -(mpf(y) * mpmath.log(p) + (1 - mpf(y)) * mpmath.log(not_p))
        logs = log_at_least(mpf(y), log_zero), log_at_least(1 - mpf(y), log_zero)
        losses.append(mpf(alpha) * forward - mpf(beta) * (p * logs[0] + not_p * logs[1]))
    return losses


def one_hot(target, num_classes=3):
    return F.one_hot(target, num_classes).double()


def test_hard_labels_give_the_definition(losses, batch):
    expected = symmetric_by_loop(batch.logits, one_hot(batch.target), **SETTINGS)
    value = losses.symmetric_cross_entropy(batch.logits, batch.target, **SETTINGS, reduction="none")
    assert_exact(value, expected)


def test_reverse_cross_entropy_is_its_definition(losses, batch):
    for target, probs in ((batch.target, one_hot(batch.target)), (batch.probs, batch.probs)):
        expected = symmetric_by_loop(batch.logits, probs, alpha=0, beta=1, log_zero=LOG_ZERO)
        value = losses.reverse_cross_entropy(
            batch.logits, target, log_zero=LOG_ZERO, reduction="none"
        )
        assert_exact(value, expected)


def test_class_probabilities_give_the_definition(losses, batch):
    # The last row has a probability of 0 and one below exp(log_zero).
    probs = torch.cat([batch.probs[:5], double([0.0, 0.99, 0.01])])
    expected = symmetric_by_loop(batch.logits, probs, **SETTINGS)
    value = losses.symmetric_cross_entropy(batch.logits, probs, **SETTINGS, reduction="none")
    assert_exact(value, expected)


def test_smoothed_labels_give_the_definition(losses, batch):
    # At 0.05, log(0.05 / 3) lies below log_zero; at 0.3 it does not; at 1 the label is uniform.
    for smoothing in (0.05, 0.3, 1.0):
        for target, probs in ((batch.target, one_hot(batch.target)), (batch.probs, batch.probs)):
            expected = symmetric_by_loop(batch.logits, probs, **SETTINGS, smoothing=smoothing)
            value = losses.symmetric_cross_entropy(
                batch.logits, target, **SETTINGS, label_smoothing=smoothing, reduction="none"
            )
            assert_exact(value, expected)


def test_weights_scale_both_parts(losses, batch):
    for smoothing in (0.0, 0.3):
        for target, probs in ((batch.target, one_hot(batch.target)), (batch.probs, batch.probs)):
            options = {**SETTINGS, "weight": batch.weight}
            expected = symmetric_by_loop(batch.logits, probs, **options, smoothing=smoothing)
            value = losses.symmetric_cross_entropy(
                batch.logits, target, **options, label_smoothing=smoothing, reduction="none"
            )
            assert_exact(value, expected)


def test_generalized_cross_entropy_is_its_definition(losses, batch):
    expected = generalized_by_loop(batch.logits, batch.target, q=Q)
    value = losses.generalized_cross_entropy(batch.logits, batch.target, q=Q, reduction="none")
    assert_exact(value, expected)


def test_the_binary_form_is_its_definition(losses, batch):
    logits = batch.logits[:, 0]
    soft = double(0.0, 1.0, 0.3, 0.999, 0.01, 0.5)
    for target in (soft, soft.round(), soft.round().long(), soft.round().bool()):
        expected = binary_by_loop(logits, target.double(), **SETTINGS)
        value = losses.binary_symmetric_cross_entropy_with_logits(
            logits, target, **SETTINGS, reduction="none"
        )
        assert_exact(value, expected)


def test_a_mean_divides_by_the_weight_of_what_counts(losses, batch):
    target = batch.target.clone()
    target[1] = target[3] = -7
    valid = target != -7
    for smoothing in (0.0, 0.3):
        for weight in (None, batch.weight):
            call = partial(
                losses.symmetric_cross_entropy,
                batch.logits,
                target,
                **SETTINGS,
                weight=weight,
                ignore_index=-7,
                label_smoothing=smoothing,
            )
            each = call(reduction="none")
            counted = valid.sum() if weight is None else weight[target[valid]].sum()
            assert (each[~valid] == 0).all()
            assert_exact(call(reduction="sum"), each.sum())
            assert_exact(call(reduction="mean"), each.sum() / counted)
    each = losses.generalized_cross_entropy(
        batch.logits, target, weight=batch.weight, ignore_index=-7, reduction="none"
    )
    mean = losses.generalized_cross_entropy(
        batch.logits, target, weight=batch.weight, ignore_index=-7
    )
    assert_exact(mean, each.sum() / batch.weight[target[valid]].sum())


def test_the_mean_over_distributions_and_over_binary_targets_counts_them(losses, batch):
    each = losses.symmetric_cross_entropy(
        batch.logits, batch.probs, weight=batch.weight, reduction="none"
    )
    mean = losses.symmetric_cross_entropy(batch.logits, batch.probs, weight=batch.weight)
    assert_exact(mean, each.sum() / 6)
    binary = partial(losses.binary_symmetric_cross_entropy_with_logits, batch.logits, batch.probs)
    weighted = binary(weight=batch.weight, reduction="none")
    assert_exact(weighted, binary(reduction="none") * batch.weight)
    assert_exact(binary(weight=batch.weight), weighted.sum() / 18)


# Identities

rows = st.lists(st.floats(-15, 15), min_size=2, max_size=5)
negative = st.floats(-20, -0.05)
factor = st.floats(0, 10)


@given(row=rows, log_zero=negative)
def test_the_sum_over_the_labels_is_constant(losses, row, log_zero):
    logits = double(row).expand(len(row), -1)
    labels = torch.arange(len(row))
    total = losses.reverse_cross_entropy(logits, labels, log_zero=log_zero, reduction="sum")
    assert total.item() == pytest.approx(-log_zero * (len(row) - 1), rel=1e-12)


@given(row=rows, log_zero=negative, q=st.floats(0.05, 1))
def test_both_robust_losses_are_bounded(losses, row, log_zero, q):
    logits, labels = double(row).expand(len(row), -1), torch.arange(len(row))
    reverse = losses.reverse_cross_entropy(logits, labels, log_zero=log_zero, reduction="none")
    assert ((reverse >= 0) & (reverse <= -log_zero)).all()
    bridge = losses.generalized_cross_entropy(logits, labels, q=q, reduction="none")
    assert ((bridge >= 0) & (bridge <= 1 / q)).all()


@given(row=rows, alpha=factor, beta=factor, log_zero=negative, q=st.floats(0.05, 1))
def test_the_gradient_is_that_of_cross_entropy_weighted_by_belief(
    losses, row, alpha, beta, log_zero, q
):
    logits, labels = double(row).repeat(len(row), 1), torch.arange(len(row))
    belief = logits.softmax(1).diagonal().unsqueeze(1)
    cross_entropy = gradient(partial(F.cross_entropy, target=labels, reduction="sum"), logits)
    symmetric = partial(
        losses.symmetric_cross_entropy,
        target=labels,
        alpha=alpha,
        beta=beta,
        log_zero=log_zero,
        reduction="sum",
    )
    expected = (alpha + beta * -log_zero * belief) * cross_entropy
    assert_exact_beside_one(gradient(symmetric, logits), expected)
    bridge = partial(losses.generalized_cross_entropy, target=labels, q=q, reduction="sum")
    assert_exact_beside_one(gradient(bridge, logits), belief**q * cross_entropy)


@given(row=rows)
def test_at_minus_two_reverse_cross_entropy_is_the_absolute_error(losses, row):
    logits, labels = double(row).expand(len(row), -1), torch.arange(len(row))
    error = (logits.softmax(1) - one_hot(labels, len(row))).abs().sum(1)
    reverse = losses.reverse_cross_entropy(logits, labels, log_zero=-2, reduction="none")
    assert_exact_beside_one(reverse, error)
    bridge = losses.generalized_cross_entropy(logits, labels, q=1, reduction="none")
    assert_exact_beside_one(bridge, error / 2)


@given(z=st.floats(-30, 30), y=st.floats(0, 1), log_zero=negative)
def test_one_logit_equals_the_two_logits_zero_and_z(losses, z, y, log_zero):
    settings = {"alpha": ALPHA, "beta": BETA, "log_zero": log_zero, "reduction": "none"}

    def one(logit, target):
        return losses.binary_symmetric_cross_entropy_with_logits(logit, target, **settings)

    def two(logit, target):
        pair = torch.stack([torch.zeros_like(logit), logit], dim=1)
        return losses.symmetric_cross_entropy(pair, target, **settings)

    logit, label = double(z), torch.tensor([int(y > 0.5)])
    for target, pair_target in [
        (label, label),
        (label.double(), label),
        (double(y), torch.stack([1 - double(y), double(y)], dim=1)),
    ]:
        value, expected = one(logit, target), two(logit, pair_target)
        assert_exact_beside_one(value, expected)
        slope = gradient(partial(one, target=target), logit)
        assert_exact_beside_one(slope, gradient(partial(two, target=pair_target), logit))


@given(row=rows, share=st.floats(0, 1), log_zero=negative)
def test_smoothing_and_one_hot_targets_are_distributions_like_any_other(
    losses, row, share, log_zero
):
    logits, labels = double(row).expand(len(row), -1), torch.arange(len(row))
    call = partial(
        losses.symmetric_cross_entropy,
        logits,
        alpha=ALPHA,
        beta=BETA,
        log_zero=log_zero,
        reduction="none",
    )
    hot = one_hot(labels, len(row))
    assert_exact_beside_one(call(hot), call(labels))
    smoothed = (1 - share) * hot + share / len(row)
    by_index = call(labels, label_smoothing=share)
    assert_exact_beside_one(by_index, call(smoothed))
    assert_exact_beside_one(by_index, call(hot, label_smoothing=share))


def test_a_weight_counts_like_repetition(losses, batch):
    weight = double(2.0, 1.0, 3.0)
    again = torch.repeat_interleave(torch.arange(6), weight[batch.target].long())
    for function in (losses.symmetric_cross_entropy, losses.generalized_cross_entropy):
        weighted = function(batch.logits, batch.target, weight=weight)
        assert_exact(weighted, function(batch.logits[again], batch.target[again]))


def test_only_the_product_of_beta_and_log_zero_matters_for_hard_labels(losses, batch):
    one = losses.symmetric_cross_entropy(batch.logits, batch.target, beta=1, log_zero=-9)
    other = losses.symmetric_cross_entropy(batch.logits, batch.target, beta=3, log_zero=-3)
    assert_exact(one, other)


def test_small_q_comes_close_to_cross_entropy(losses, batch):
    # (1 - exp(-q ce)) / q = ce - q ce^2 / 2 + ...
    value = losses.generalized_cross_entropy(batch.logits, batch.target, q=1e-6)
    assert_close(value, F.cross_entropy(batch.logits, batch.target), rtol=1e-5, atol=0)


def test_clamping_a_one_hot_label_at_eps_makes_log_zero_its_natural_log(losses):
    # The usual code: clamp prediction and label, and read the label's log as A.
    logits, target, eps = double([10.0, 5.0, -6.0], [8.0, 8.0, 8.0]), torch.tensor([0, 2]), 1e-18
    probs = logits.softmax(1).clamp(min=eps, max=1)
    label = one_hot(target).clamp(min=eps, max=1)
    clamped = -(probs * label.log()).sum(1).mean()
    assert_exact(losses.reverse_cross_entropy(logits, target, log_zero=math.log(eps)), clamped)
    assert math.log(1e-4) == pytest.approx(-9.21, abs=5e-3)  # not -4, which is its log10


# Against torch


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 3, 4), (2, 3, 2, 2), (0, 3), (2, 3, 0)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_its_reverse_part_it_is_torchs_cross_entropy(losses, shape, reduction):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    dim = 0 if len(shape) == 1 else 1
    positions = (*shape[:dim], *shape[dim + 1 :])
    target = torch.randint(0, 3, positions, generator=generator)
    probs = torch.randn(shape, generator=generator, dtype=torch.float64).softmax(dim)
    for weight in (None, double(0.5, 1.0, 3.0)):
        for smoothing in (0.0, 0.2):
            options = {"weight": weight, "label_smoothing": smoothing, "reduction": reduction}
            for labels, ignored in (
                (target, {}),
                (target, {"ignore_index": 1}),
                (probs, {}),
            ):
                mine = partial(
                    losses.symmetric_cross_entropy,
                    target=labels,
                    alpha=1,
                    beta=0,
                    **options,
                    **ignored,
                )
                torchs = partial(F.cross_entropy, target=labels, **options, **ignored)
                assert_close(mine(logits), torchs(logits), equal_nan=True)
                assert_close(gradient(mine, logits), gradient(torchs, logits), equal_nan=True)


def test_without_its_reverse_part_the_binary_form_is_torchs(losses, batch):
    torchs = F.binary_cross_entropy_with_logits(batch.logits, batch.probs, batch.weight)
    mine = losses.binary_symmetric_cross_entropy_with_logits(
        batch.logits, batch.probs, alpha=1, beta=0, weight=batch.weight
    )
    assert_close(mine, torchs)


def test_small_integers_are_indices_too(losses, batch):
    for name in ("symmetric_cross_entropy", "generalized_cross_entropy"):
        function = partial(getattr(losses, name), batch.logits, weight=batch.weight)
        assert_exact(function(batch.target.to(torch.uint8)), function(batch.target))
    # -100 is 156 in uint8, and 156 is a class like any other.
    logits, target = torch.zeros(1, 200), torch.tensor([156], dtype=torch.uint8)
    assert losses.reverse_cross_entropy(logits, target).item() == pytest.approx(4 * 199 / 200)


def test_positions_count_like_samples(losses):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(-1, 3, (2, 4, 5), generator=generator)
    probs = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64).softmax(1)
    flat = logits.movedim(1, -1).reshape(-1, 3)
    weight = double(0.5, 1.0, 3.0)
    for name, extra in [
        ("symmetric_cross_entropy", {}),
        ("symmetric_cross_entropy", {"label_smoothing": 0.2}),
        ("reverse_cross_entropy", {}),
        ("generalized_cross_entropy", {}),
    ]:
        function = partial(getattr(losses, name), weight=weight, ignore_index=-1, **extra)
        assert_exact(function(logits, target), function(flat, target.flatten()))
    flat_probs = probs.movedim(1, -1).reshape(-1, 3)
    function = partial(losses.symmetric_cross_entropy, weight=weight, label_smoothing=0.2)
    assert_exact(function(logits, probs), function(flat, flat_probs))


def test_a_single_sample_needs_no_batch(losses, batch):
    logits, target, probs, weight = batch
    for name in ("symmetric_cross_entropy", "reverse_cross_entropy", "generalized_cross_entropy"):
        function = partial(getattr(losses, name), weight=weight)
        assert_exact(function(logits[3], target[3]), function(logits[3:4], target[3:4]))
    function = partial(losses.symmetric_cross_entropy, weight=weight)
    assert_exact(function(logits[3], probs[3]), function(logits[3:4], probs[3:4]))


def every_call(losses, batch):
    """One call of each kind, as functions of the logits and the target."""
    symmetric = partial(losses.symmetric_cross_entropy, **SETTINGS)
    binary = losses.binary_symmetric_cross_entropy_with_logits
    return {
        "indices": (symmetric, batch.target),
        "weighted indices": (partial(symmetric, weight=batch.weight), batch.target),
        "some ignored": (partial(symmetric, weight=batch.weight, ignore_index=2), batch.target),
        "smoothed indices": (
            partial(symmetric, weight=batch.weight, label_smoothing=0.1),
            batch.target,
        ),
        "probabilities": (
            partial(symmetric, weight=batch.weight, label_smoothing=0.1),
            batch.probs,
        ),
        "reverse": (losses.reverse_cross_entropy, batch.target),
        "reverse of probabilities": (losses.reverse_cross_entropy, batch.probs),
        "generalized": (
            partial(losses.generalized_cross_entropy, weight=batch.weight),
            batch.target,
        ),
        "binary": (binary, batch.probs),
        "binary labels": (binary, batch.probs > 0.5),
    }


def test_compiled_without_a_break_they_are_the_same(losses, batch):
    for kind, (function, target) in every_call(losses, batch).items():
        torch.compiler.reset()
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert_close(compiled(batch.logits, target), function(batch.logits, target), msg=kind)
        slope = gradient(lambda z, f=compiled, t=target: f(z, t), batch.logits)
        expected = gradient(lambda z, f=function, t=target: f(z, t), batch.logits)
        assert_close(slope, expected, msg=kind)


def test_compiled_with_changing_shapes_and_settings(losses):
    torch.compiler.reset()
    compiled = torch.compile(
        losses.symmetric_cross_entropy, fullgraph=True, backend="aot_eager", dynamic=True
    )
    for n, k, alpha in ((4, 3, 0.5), (5, 7, 0.25), (9, 2, 0.0)):
        logits, target = torch.linspace(-2, 2, n * k).view(n, k), torch.arange(n) % k
        options = {"alpha": alpha, "label_smoothing": alpha / 5}
        eager = losses.symmetric_cross_entropy(logits, target, **options)
        assert_close(compiled(logits, target, **options), eager)


def test_vmap_and_grad_give_each_sample_its_own(losses, batch):
    for kind, (function, target) in every_call(losses, batch).items():
        logits = batch.logits
        values = vmap(function)(logits, target)
        slopes = vmap(grad(function))(logits, target)
        for n in range(6):
            assert_close(values[n], function(logits[n], target[n]), msg=kind, equal_nan=True)
            expected = gradient(lambda z, f=function, t=target[n]: f(z, t), logits[n].clone())
            assert_close(slopes[n], expected, msg=kind, equal_nan=True)


# Gradient


def test_gradients_are_those_of_finite_differences(losses, batch):
    logits = batch.logits.clone().requires_grad_()
    for function, target in every_call(losses, batch).values():
        assert gradcheck(lambda z, f=function, t=target: f(z, t), logits)
        assert gradgradcheck(lambda z, f=function, t=target: f(z, t), logits)


def test_class_probabilities_may_be_learned(losses, batch):
    probs = batch.probs.clone().requires_grad_()
    for function in (
        losses.symmetric_cross_entropy,
        losses.binary_symmetric_cross_entropy_with_logits,
    ):
        assert gradcheck(lambda t, f=function: f(batch.logits, t), probs)
        hard = one_hot(batch.target).requires_grad_()
        slope = torch.autograd.grad(function(batch.logits, hard), hard)[0]
        assert slope.isfinite().all()


def test_a_wrong_and_certain_prediction_keeps_the_digits_of_its_gradient(losses):
    # p_y = exp(-30): in float32, 1 - p_y rounds to 1, and the slope must not go with it.
    logits, target = torch.tensor([[30.0, 0.0]]), torch.tensor([1])
    p = math.exp(-30)
    reverse = partial(losses.reverse_cross_entropy, target=target, log_zero=-4)
    assert_close(gradient(reverse, logits), torch.tensor([[4 * p, -4 * p]]), rtol=1e-5, atol=0)
    bridge = partial(losses.generalized_cross_entropy, target=target, q=0.7)
    expected = torch.tensor([[p**0.7, -(p**0.7)]])
    assert_close(gradient(bridge, logits), expected, rtol=1e-5, atol=0)
    binary = partial(
        losses.binary_symmetric_cross_entropy_with_logits,
        target=torch.tensor([0]),
        alpha=0,
        log_zero=-4,
    )
    slope = gradient(binary, torch.tensor([30.0]))
    assert_close(slope, torch.tensor([4 * p]), rtol=1e-5, atol=0)


# Extremes


def test_a_right_and_certain_logit_keeps_the_digits_of_its_loss(losses):
    expected = double(4 * math.exp(-30) / (1 + math.exp(-30)))
    for target in (torch.tensor([1]), double(1.0)):
        value = losses.binary_symmetric_cross_entropy_with_logits(
            double(30.0), target, alpha=0, log_zero=-4, reduction="none"
        )
        assert_exact(value, expected)


def test_large_logits(losses):
    logits, target = double([1e4, -1e4], [1e4, -1e4]), torch.tensor([0, 1])
    value = losses.symmetric_cross_entropy(logits, target, **SETTINGS, reduction="none")
    assert_exact(value, double(0.0, ALPHA * 2e4 - BETA * LOG_ZERO))
    value = losses.symmetric_cross_entropy(logits, one_hot(target, 2), **SETTINGS, reduction="none")
    assert_exact(value, double(0.0, ALPHA * 2e4 - BETA * LOG_ZERO))
    value = losses.generalized_cross_entropy(logits, target, q=Q, reduction="none")
    assert_exact(value, double(0.0, 1 / Q))
    for labels in (torch.tensor([1, 0]), double(1.0, 0.0)):
        value = losses.binary_symmetric_cross_entropy_with_logits(
            double(1e4, 1e4), labels, **SETTINGS, reduction="none"
        )
        assert_exact(value, double(0.0, ALPHA * 1e4 - BETA * LOG_ZERO))


def test_an_impossible_class_and_an_impossible_label(losses):
    logits, target = double([0.0, 0.0, -INF], [0.0, 0.0, -INF]), torch.tensor([0, 2])
    reverse = partial(losses.reverse_cross_entropy, target=target, log_zero=-4, reduction="none")
    assert reverse(logits).tolist() == pytest.approx([2, 4])
    slope = gradient(reverse, logits)
    assert_exact_beside_one(slope, double([-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]))
    bridge = losses.generalized_cross_entropy(logits, target, q=0.5, reduction="none")
    assert bridge.tolist() == pytest.approx([2 - math.sqrt(2), 2])
    symmetric = losses.symmetric_cross_entropy(logits, target, **SETTINGS, reduction="none")
    assert symmetric.tolist() == pytest.approx([ALPHA * math.log(2) - BETA * LOG_ZERO / 2, INF])


def test_an_infinite_or_missing_logit_gives_nan_as_in_torch(losses):
    logits, target = double([0.0, INF], [0.0, NAN], [0.0, 0.0]), torch.tensor([0, 0, 0])
    for function in (losses.symmetric_cross_entropy, losses.generalized_cross_entropy):
        value = function(logits, target, reduction="none")
        assert value.isnan().tolist() == [True, True, False]
    reverse = losses.reverse_cross_entropy(logits, one_hot(target, 2), reduction="none")
    assert reverse.isnan().tolist() == [True, True, False]


def test_without_cross_entropy_an_infinite_one_does_no_harm(losses):
    logits, target = double([0.0, -INF]), torch.tensor([1])
    for labels in (target, one_hot(target, 2)):
        for smoothing in (0.0, 0.5):
            value = losses.symmetric_cross_entropy(
                logits, labels, alpha=0, log_zero=-4, label_smoothing=smoothing
            )
            on, off = math.log(1 - smoothing / 2), max(math.log(smoothing / 2 or 1e-9), -4)
            assert value.item() == pytest.approx(-off if labels.dim() else on)
    for labels in (target, target.double()):
        value = losses.binary_symmetric_cross_entropy_with_logits(
            double(-INF), labels, alpha=0, log_zero=-4
        )
        assert value.item() == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(losses, batch, dtype):
    for kind, (function, target) in every_call(losses, batch).items():
        halves = batch.logits.to(dtype)
        value = function(halves, target.to(dtype) if kind == "probabilities" else target)
        assert value.dtype == torch.float32, kind
        whole = target.to(dtype).float() if kind == "probabilities" else target
        assert_close(value, function(halves.float(), whole), msg=kind)
        # 8 and 11 bits say as much about a logit, but hardly less about the loss.
        exact = function(halves.double(), target)
        bound = 1e-2 if kind == "probabilities" else 1e-6
        assert_close(value.double(), exact, rtol=bound, atol=0, msg=kind)
        assert gradient(lambda z, f=function, t=target: f(z, t), halves).isfinite().all()


def test_autocast_gives_float32_and_the_same_gradient(losses, batch):
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3))
        model.bias.zero_()
    features = batch.logits.float()
    for kind, (function, target) in every_call(losses, batch).items():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(features)
            value = function(logits, target)
        assert logits.dtype == torch.bfloat16
        assert value.dtype == torch.float32, kind
        assert_close(value, function(logits.float(), target), msg=kind)
        model.zero_grad()
        value.backward()
        assert model.weight.grad.isfinite().all(), kind


# Empty and single


def test_the_mean_of_nothing_is_nan_as_in_torch(losses):
    none, ignored = torch.zeros(0, 3), torch.full((4,), -100)
    labels = torch.zeros(0, dtype=torch.int64)
    for name in ("symmetric_cross_entropy", "reverse_cross_entropy", "generalized_cross_entropy"):
        function = getattr(losses, name)
        for logits, target in ((none, labels), (torch.zeros(4, 3), ignored)):
            assert function(logits, target).isnan()
            assert function(logits, target, reduction="sum") == 0
        assert function(none, labels, reduction="none").shape == (0,)
    for target in (none, none.long()):
        assert losses.binary_symmetric_cross_entropy_with_logits(none, target).isnan()
    assert losses.symmetric_cross_entropy(none, none).isnan()


def test_an_ignored_row_may_hold_anything(losses):
    logits = double([0.0, 0.0], [NAN, INF])
    target = torch.tensor([0, -100])
    for name in ("symmetric_cross_entropy", "reverse_cross_entropy", "generalized_cross_entropy"):
        function = partial(getattr(losses, name), target=target)
        alone = function(logits[:1], target=target[:1])
        assert_exact(function(logits), alone)
    smoothed = losses.symmetric_cross_entropy(logits, target, label_smoothing=0.1)
    alone = losses.symmetric_cross_entropy(logits[:1], target[:1], label_smoothing=0.1)
    assert_exact(smoothed, alone)


def test_one_class_is_always_right(losses):
    logits, target = double([3.0], [-2.0]), torch.tensor([0, 0])
    for name in ("symmetric_cross_entropy", "reverse_cross_entropy", "generalized_cross_entropy"):
        assert getattr(losses, name)(logits, target, reduction="none").tolist() == [0, 0]
    for labels in (target, torch.ones_like(logits)):
        assert losses.symmetric_cross_entropy(logits, labels, label_smoothing=0.3).item() == 0


# Modules


def module_cases(losses, weight):
    own = {"alpha": 0.4, "beta": 2.0, "log_zero": -3.0, "weight": weight, "reduction": "sum"}
    classes = {"ignore_index": 1}
    smoothing = {"label_smoothing": 0.2}
    reverse = {key: own[key] for key in ("log_zero", "weight", "reduction")}
    bridge = {"q": 0.3, "weight": weight, "reduction": "sum"}
    return [
        ("SymmetricCrossEntropyLoss", "symmetric_cross_entropy", own | classes | smoothing),
        ("ReverseCrossEntropyLoss", "reverse_cross_entropy", reverse | classes | smoothing),
        (
            "BinarySymmetricCrossEntropyWithLogitsLoss",
            "binary_symmetric_cross_entropy_with_logits",
            own,
        ),
        ("GeneralizedCrossEntropyLoss", "generalized_cross_entropy", bridge | classes),
    ]


def test_each_module_is_its_function(losses, batch):
    for module, function, options in module_cases(losses, batch.weight):
        target = batch.probs if module.startswith("Binary") else batch.target
        made, plain = getattr(losses, module), getattr(losses, function)
        assert_exact(made(**options)(batch.logits, target), plain(batch.logits, target, **options))
        assert_exact(made()(batch.logits, target), plain(batch.logits, target))
        # The same options, the same defaults, in the same order.
        settings = list(inspect.signature(plain).parameters.values())[2:]
        assert list(inspect.signature(made).parameters.values()) == settings


def test_a_modules_weight_moves_with_it(losses, batch):
    for module, _, options in module_cases(losses, batch.weight):
        criterion = getattr(losses, module)(**options)
        assert criterion.float().weight.dtype == torch.float32
        assert list(criterion.state_dict()) == ["weight"]
        assert list(criterion.parameters()) == []


def test_a_module_shows_its_constants(losses):
    assert repr(losses.SymmetricCrossEntropyLoss()) == (
        "SymmetricCrossEntropyLoss(alpha=0.1, beta=1.0, log_zero=-4.0)"
    )
    assert repr(losses.ReverseCrossEntropyLoss()) == "ReverseCrossEntropyLoss(log_zero=-4.0)"
    assert repr(losses.GeneralizedCrossEntropyLoss()) == "GeneralizedCrossEntropyLoss(q=0.7)"


# Refusals

Z, Y = torch.zeros(4, 3), torch.tensor([0, 1, 2, 1])
P = torch.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "error", "text"),
    [
        ("symmetric", (Z, Y), {"alpha": -1}, ValueError, "alpha must be at least 0; got -1."),
        ("symmetric", (Z, Y), {"beta": NAN}, ValueError, "beta must be at least 0; got nan."),
        (
            "symmetric",
            (Z, Y),
            {"log_zero": 0.0},
            ValueError,
            "log_zero must be negative and finite, since it stands for log 0; got 0.0.",
        ),
        ("reverse", (Z, Y), {"log_zero": -INF}, ValueError, "log_zero must be negative and finite"),
        ("binary", (Z, Z), {"log_zero": 4}, ValueError, "log_zero must be negative and finite"),
        ("symmetric", (Z, Y), {"reduction": "avg"}, ValueError, "reduction must be one of"),
        ("generalized", (Z, Y), {"reduction": "avg"}, ValueError, "reduction must be one of"),
        (
            "symmetric",
            (Z, Y),
            {"label_smoothing": 2},
            ValueError,
            "label_smoothing must lie in [0, 1]; got 2.",
        ),
        (
            "symmetric",
            (Z, P),
            {"ignore_index": 1},
            ValueError,
            "ignore_index must stay negative beside class probabilities; got 1.",
        ),
        (
            "symmetric",
            (Z, Y[:, None]),
            {},
            ValueError,
            "target must have shape (4,) beside input of shape (4, 3); got int64 of shape (4, 1).",
        ),
        (
            "reverse",
            (Z, Y.float()),
            {},
            TypeError,
            "target must hold class indices (int64); got float32 of shape (4,). "
            "Probabilities need shape (4, 3).",
        ),
        ("symmetric", (Y, Y), {}, TypeError, "input must be floating; got int64 of shape (4,)."),
        (
            "symmetric",
            (Z, P),
            {"weight": torch.ones(4)},
            ValueError,
            "weight must have shape (3,), one a class; got float32 of shape (4,).",
        ),
        (
            "generalized",
            (Z, Y),
            {"weight": torch.ones(3, dtype=torch.int64)},
            TypeError,
            "weight must be floating; got int64 of shape (3,).",
        ),
        ("generalized", (Z, P), {}, TypeError, "target must hold class indices (int64)"),
        ("generalized", (Z, Y), {"q": 1.5}, ValueError, "q must lie in (0, 1]; got 1.5."),
        (
            "generalized",
            (Z, Y),
            {"q": 0},
            ValueError,
            "q must lie in (0, 1]; got 0. The limit at 0 is cross_entropy.",
        ),
        (
            "binary",
            (Z[:, :1], Y),
            {},
            ValueError,
            "target must have the shape of input, (4, 1); got int64 of shape (4,). "
            "input.squeeze(-1) drops the spare dimension.",
        ),
        (
            "binary",
            (Z, Z),
            {"weight": torch.ones(4)},
            ValueError,
            "weight must broadcast to the input's shape (4, 3); got float32 of shape (4,).",
        ),
        ("symmetric", (Z, Y + 1), {}, IndexError, "Target 3 is out of bounds."),
        ("generalized", (Z, Y - 1), {}, IndexError, "Target -1 is out of bounds."),
    ],
)
def test_refusals(losses, name, arguments, options, error, text):
    full = {"binary": "binary_symmetric_cross_entropy_with_logits"}
    function = getattr(losses, full.get(name, f"{name}_cross_entropy"))
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        function(*arguments, **options)


def test_a_module_refuses_its_settings_when_it_is_made(losses):
    for make in (
        partial(losses.SymmetricCrossEntropyLoss, alpha=-1),
        partial(losses.ReverseCrossEntropyLoss, log_zero=1),
        partial(losses.BinarySymmetricCrossEntropyWithLogitsLoss, reduction="avg"),
        partial(losses.GeneralizedCrossEntropyLoss, q=0),
        partial(losses.GeneralizedCrossEntropyLoss, reduction="avg"),
    ):
        with pytest.raises(ValueError, match=r" must .*; got "):
            make()


# Mutants

MUTANTS = {
    # mistake: (passage of the source, what replaces it, the test that is there to catch it)
    "the minus is dropped": (
        "F.elu(log_p, alpha=beta * log_zero)",
        "F.elu(log_p, alpha=-beta * log_zero)",
        test_hard_labels_give_the_definition,
    ),
    "the minus is dropped beside probabilities": (
        "rce = -(logits.softmax(dim)",
        "rce = (logits.softmax(dim)",
        test_class_probabilities_give_the_definition,
    ),
    "the minus is dropped beside one logit": (
        "losses = -beta * (logits.sigmoid()",
        "losses = beta * (logits.sigmoid()",
        test_the_binary_form_is_its_definition,
    ),
    "A is read as a decimal log": (
        "F.elu(log_p, alpha=beta * log_zero)",
        "F.elu(log_p, alpha=beta * log_zero * math.log(10))",
        test_clamping_a_one_hot_label_at_eps_makes_log_zero_its_natural_log,
    ),
    "log10 of the label's probabilities": (
        ".clamp(min=math.exp(log_zero)).log()",
        ".clamp(min=math.exp(log_zero)).log10()",
        test_class_probabilities_give_the_definition,
    ),
    "log10 of the smoothed label": (
        "max(math.log(off), log_zero)",
        "max(math.log10(off), log_zero)",
        test_smoothed_labels_give_the_definition,
    ),
    "softmax over the batch": (
        'log_p = -F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="none")\n'
        "    scale = _sample_weight(target, weight, ignore_index)\n    count",
        'log_p = -F.nll_loss(logits.log_softmax(0), target, reduction="none")\n'
        "    scale = _sample_weight(target, weight, ignore_index)\n    count",
        test_hard_labels_give_the_definition,
    ),
    "softmax over the batch beside probabilities": (
        "logits.softmax(dim)",
        "logits.softmax(0)",
        test_class_probabilities_give_the_definition,
    ),
    "the mean divides by N K": (
        "count = scale.sum()",
        "count = scale.sum() * logits.shape[1]",
        test_a_mean_divides_by_the_weight_of_what_counts,
    ),
    "the mean divides by N K beside probabilities": (
        "losses = _of_distributions(logits, target.to(logits.dtype), weight, *settings)\n"
        "        return _reduce(losses, reduction, losses.numel())",
        "losses = _of_distributions(logits, target.to(logits.dtype), weight, *settings)\n"
        "        return _reduce(losses, reduction, logits.numel())",
        test_the_mean_over_distributions_and_over_binary_targets_counts_them,
    ),
    "the mean counts what is ignored": (
        "count = scale.sum()",
        "count = target.numel()",
        test_a_mean_divides_by_the_weight_of_what_counts,
    ),
    "A does not scale": (
        "F.elu(log_p, alpha=beta * log_zero)",
        "F.elu(log_p, alpha=-beta)",
        test_hard_labels_give_the_definition,
    ),
    "beta does not scale": (
        "F.elu(log_p, alpha=beta * log_zero)",
        "F.elu(log_p, alpha=log_zero)",
        test_hard_labels_give_the_definition,
    ),
    "only cross-entropy is smoothed": (
        "rce = F.elu(log_p, alpha=log_off - log_on) - log_on",
        "rce = F.elu(log_p, alpha=log_zero)",
        test_smoothed_labels_give_the_definition,
    ),
    "only the reverse part is smoothed": (
        "            label_smoothing=label_smoothing,\n        )\n    return losses, count",
        "        )\n    return losses, count",
        test_smoothed_labels_give_the_definition,
    ),
    "only cross-entropy is smoothed beside probabilities": (
        "_log_at_least(target, log_zero)).sum",
        "_log_at_least(\n"
        "        (target - label_smoothing / logits.shape[dim]) / (1 - label_smoothing),\n"
        "        log_zero,\n"
        "    )).sum",
        test_smoothed_labels_give_the_definition,
    ),
    "only the reverse part is smoothed beside probabilities": (
        'alpha * F.cross_entropy(logits, target, weight, reduction="none") + beta',
        "alpha * F.cross_entropy(\n"
        "        logits,\n"
        "        (target - label_smoothing / logits.shape[dim]) / (1 - label_smoothing),\n"
        '        weight, reduction="none") + beta',
        test_smoothed_labels_give_the_definition,
    ),
    "only cross-entropy is weighted": (
        "(losses if weight is None else scale * losses), count",
        "(losses if weight is None else losses - (scale - 1) * alpha * log_p), count",
        test_weights_scale_both_parts,
    ),
    "only the reverse part is weighted": (
        "(losses if weight is None else scale * losses), count",
        "(losses if weight is None else scale * losses - (1 - scale) * alpha * log_p), count",
        test_weights_scale_both_parts,
    ),
    "only cross-entropy is weighted beside smoothed labels": (
        "beta * (scale * rce)",
        "beta * rce",
        test_weights_scale_both_parts,
    ),
    "only cross-entropy is weighted beside probabilities": (
        "rce = rce * _times_weight(target, weight, dim).sum(dim)",
        "pass",
        test_weights_scale_both_parts,
    ),
    "expm1": (
        "F.elu(log_p, alpha=beta * log_zero)",
        "beta * log_zero * torch.expm1(log_p)",
        test_a_wrong_and_certain_prediction_keeps_the_digits_of_its_gradient,
    ),
    "expm1 in the bridge": (
        "F.elu(q * log_p, alpha=-1 / q)",
        "-torch.expm1(q * log_p) / q",
        test_a_wrong_and_certain_prediction_keeps_the_digits_of_its_gradient,
    ),
    "no upcast": (
        "logits, target = _checks.at_least_float32(input), target.long()",
        "logits, target = input, target.long()",
        test_half_precision_is_computed_in_float32,
    ),
    "0 times an infinite cross-entropy": (
        "torch.sub(rce, log_p, alpha=alpha) if alpha else rce",
        "torch.sub(rce, log_p, alpha=alpha)",
        test_without_cross_entropy_an_infinite_one_does_no_harm,
    ),
    "a slope of log 0": (
        "probs.clamp(min=math.exp(log_zero)).log()",
        "probs.log()",
        test_class_probabilities_may_be_learned,
    ),
}


@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_planted_mistake_is_caught(mutant, batch, mistake):
    old, new, catcher = MUTANTS[mistake]
    needed = {"losses": mutant(old, new), "batch": batch, "dtype": torch.float16}
    wanted = inspect.signature(catcher).parameters
    with pytest.raises(AssertionError):
        catcher(**{name: needed[name] for name in wanted})
