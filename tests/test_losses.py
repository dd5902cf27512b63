"""The four reference losses: definition, identities, torch, gradient, extremes, refusals."""

import math
import re

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.testing import assert_close

INF, NAN = math.inf, math.nan
REDUCTIONS = ("mean", "sum", "none")
# (N, K), (K,), (N, K, d1), (N, K, d1, d2), and a batch of none
SHAPES = [(5, 3), (3,), (2, 3, 4), (2, 3, 2, 2), (0, 3)]


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def random(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def class_dim(shape):
    return 0 if len(shape) == 1 else 1


def random_classes(shape):
    dim = class_dim(shape)
    positions = (*shape[:dim], *shape[dim + 1 :])
    return torch.randint(0, shape[dim], positions, generator=torch.Generator().manual_seed(5))


def assert_equal_to_torch(mine, torchs, input, *arguments, **options):
    """Compare the value, its dtype, and the gradient."""
    results = []
    for function in (mine, torchs):
        leaf = input.detach().clone().requires_grad_()
        value = function(leaf, *arguments, **options)
        value.sum().backward()
        results.append((value.detach(), leaf.grad))
    assert_close(*results, rtol=1e-12, atol=1e-14, equal_nan=True)


# The definition, as a loop


def binary_by_loop(probs, target):
    """Each element by Python's own log."""
    return [
        -(y * math.log(p) + (1 - y) * math.log(1 - p))
        for p, y in zip(probs.tolist(), target.tolist(), strict=True)
    ]


def cross_entropy_by_loop(logits, targets, weight):
    """Each sample's loss for rows of class probabilities, by Python's own exp and log."""
    losses = []
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        losses.append(
            -sum(
                w * t * math.log(math.exp(z) / total)
                for w, t, z in zip(weight, target, row, strict=True)
            )
        )
    return losses


def test_binary_cross_entropy_is_its_definition(losses, batch):
    probs, target = batch.logits[:, 0].sigmoid(), batch.probs[:, 0]
    expected = double(*binary_by_loop(probs, target))
    assert_close(losses.binary_cross_entropy(probs, target, reduction="none"), expected)


def test_binary_cross_entropy_with_logits_is_its_definition(losses, batch):
    logits, target = batch.logits[:, 0], batch.probs[:, 0]
    expected = double(*binary_by_loop(logits.sigmoid(), target))
    value = losses.binary_cross_entropy_with_logits(logits, target, reduction="none")
    assert_close(value, expected)


def test_nll_loss_picks_and_negates(losses):
    log_probs = double([-1.0, -2.0, -4.0], [-8.0, -16.0, -32.0])
    target, weight = torch.tensor([2, 0]), double(3.0, 1.0, 0.5)
    assert_close(losses.nll_loss(log_probs, target, reduction="none"), double(4.0, 8.0))
    assert_close(losses.nll_loss(log_probs, target), double(6.0).squeeze())
    weighted = losses.nll_loss(log_probs, target, weight)
    assert_close(weighted, double((0.5 * 4 + 3 * 8) / (0.5 + 3)).squeeze())


def test_cross_entropy_is_its_definition(losses, batch):
    logits, target, probs, weight = batch
    for targets, kind in ((F.one_hot(target, 3), target), (probs, probs)):
        expected = double(*cross_entropy_by_loop(logits, targets, weight.tolist()))
        assert_close(losses.cross_entropy(logits, kind, weight, reduction="none"), expected)


def test_values_worked_out_by_hand(losses):
    # Two equal logits share the probability: log 2. Logits log 1, log 2, log 5 are 1/8, 2/8, 5/8.
    logits = double(1.0, 2.0, 5.0).log()
    assert losses.cross_entropy(logits, torch.tensor(0)).item() == pytest.approx(math.log(8))
    assert losses.cross_entropy(logits, torch.tensor(2)).item() == pytest.approx(math.log(8 / 5))
    logit = double(math.log(3.0))  # sigmoid: 3/4
    binary = losses.binary_cross_entropy_with_logits
    assert binary(logit, double(1.0)).item() == pytest.approx(math.log(4 / 3))
    assert binary(logit, double(0.0)).item() == pytest.approx(math.log(4))


# Identities


def test_binary_cross_entropy_of_the_sigmoid_is_that_with_logits(losses, batch):
    from_probs = losses.binary_cross_entropy(batch.logits.sigmoid(), batch.probs)
    assert_close(from_probs, losses.binary_cross_entropy_with_logits(batch.logits, batch.probs))


def test_binary_cross_entropy_with_logits_is_cross_entropy_of_zero_and_the_logit(losses, batch):
    logit, target = batch.logits[:, 0], batch.target.clamp(max=1)
    two = torch.stack([torch.zeros_like(logit), logit], dim=1)
    one = losses.binary_cross_entropy_with_logits(logit, target.double())
    assert_close(one, losses.cross_entropy(two, target))


def test_cross_entropy_is_nll_loss_of_the_log_softmax(losses, batch):
    log_probs = batch.logits.log_softmax(dim=1)
    nll = losses.nll_loss(log_probs, batch.target, batch.weight)
    assert_close(nll, losses.cross_entropy(batch.logits, batch.target, batch.weight))


def test_cross_entropy_sees_no_shift_of_the_logits(losses, batch):
    shift = double(1.0, -20.0, 300.0, 0.0, 5.0, -5.0).unsqueeze(1)
    shifted = losses.cross_entropy(batch.logits + shift, batch.target)
    assert_close(shifted, losses.cross_entropy(batch.logits, batch.target))


def test_a_one_hot_target_is_its_index(losses, batch):
    one_hot = F.one_hot(batch.target, 3).double()
    options = {"weight": batch.weight, "reduction": "none", "label_smoothing": 0.2}
    hard = losses.cross_entropy(batch.logits, batch.target, **options)
    assert_close(losses.cross_entropy(batch.logits, one_hot, **options), hard)


def test_smoothing_passes_the_smoothed_distribution(losses, batch):
    smoothed = 0.8 * F.one_hot(batch.target, 3) + 0.2 / 3
    passed = losses.cross_entropy(batch.logits, smoothed)
    assert_close(losses.cross_entropy(batch.logits, batch.target, label_smoothing=0.2), passed)


# Against torch


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weight", [None, double(0.5, 1.0, 2.0)], ids=["plain", "weighted"])
def test_the_class_losses_equal_torchs(losses, shape, weight, reduction):
    logits, target, dim = 3 * random(shape, seed=1), random_classes(shape), class_dim(shape)
    probs = random(shape, seed=2).softmax(dim)
    options = {"weight": weight, "reduction": reduction}
    for ignored in ({}, {"ignore_index": 1}):
        log_probs = logits.log_softmax(dim)
        assert_equal_to_torch(losses.nll_loss, F.nll_loss, log_probs, target, **options, **ignored)
        for smoothing in (0.0, 0.1, 1.0):
            some = {**options, **ignored, "label_smoothing": smoothing}
            assert_equal_to_torch(losses.cross_entropy, F.cross_entropy, logits, target, **some)
    for smoothing in (0.0, 0.1, 1.0):
        some = {**options, "label_smoothing": smoothing}
        assert_equal_to_torch(losses.cross_entropy, F.cross_entropy, logits, probs, **some)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [*SHAPES, ()])
def test_the_binary_losses_equal_torchs(losses, shape, reduction):
    logits, target = 3 * random(shape, seed=1), random(shape, seed=2).sigmoid()
    for weight in (None, double(2.0), random(shape, seed=3).exp()):
        options = {"weight": weight, "reduction": reduction}
        if shape == () and weight is not None:
            options["weight"] = weight.reshape(())
        mine, torchs = losses.binary_cross_entropy, F.binary_cross_entropy
        assert_equal_to_torch(mine, torchs, logits.sigmoid(), target, **options)
        mine = losses.binary_cross_entropy_with_logits
        torchs = F.binary_cross_entropy_with_logits
        for pos_weight in (None, double(3.0).squeeze(), random(shape, seed=4).exp()):
            some = {**options, "pos_weight": pos_weight}
            assert_equal_to_torch(mine, torchs, logits, target, **some)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_losses_keep_the_dtype_of_torchs(losses, batch, dtype):
    logits, probs = batch.logits.to(dtype), batch.probs.to(dtype)
    for mine, torchs, arguments in [
        (losses.binary_cross_entropy, F.binary_cross_entropy, (probs, probs)),
        (
            losses.binary_cross_entropy_with_logits,
            F.binary_cross_entropy_with_logits,
            (logits, probs),
        ),
        (losses.nll_loss, F.nll_loss, (logits.log_softmax(1), batch.target)),
        (losses.cross_entropy, F.cross_entropy, (logits, batch.target)),
        (losses.cross_entropy, F.cross_entropy, (logits, probs)),
    ]:
        assert_close(mine(*arguments), torchs(*arguments))


def test_uint8_targets_count_as_in_torch(losses, batch):
    small = batch.target.to(torch.uint8)
    assert_close(
        losses.cross_entropy(batch.logits, small), F.cross_entropy(batch.logits, batch.target)
    )
    # -100 is 156 in uint8, and 156 is a class like any other.
    logits, target = random((2, 200), seed=1), torch.tensor([156, 0], dtype=torch.uint8)
    assert_equal_to_torch(losses.cross_entropy, F.cross_entropy, logits, target)
    assert_equal_to_torch(losses.nll_loss, F.nll_loss, logits, target)


# Gradient


def test_gradients_are_those_of_finite_differences(losses, batch):
    logits = batch.logits.clone().requires_grad_()
    probs = batch.probs.clone().requires_grad_()
    functions = [
        lambda z, t: losses.cross_entropy(z, t, batch.weight, label_smoothing=0.1),
        losses.binary_cross_entropy_with_logits,
        lambda z, t: losses.binary_cross_entropy(z.sigmoid(), t),
    ]
    for function in functions:
        assert gradcheck(function, (logits, probs))
        assert gradgradcheck(function, (logits, probs))
    indexed = [
        lambda z: losses.nll_loss(z, batch.target, batch.weight),
        lambda z: losses.cross_entropy(z, batch.target, batch.weight, label_smoothing=0.1),
    ]
    for function in indexed:
        assert gradcheck(function, logits)
        assert gradgradcheck(function, logits)


def test_the_gradient_of_cross_entropy_is_probability_minus_label(losses, batch):
    logits = batch.logits.clone().requires_grad_()
    losses.cross_entropy(logits, batch.target, reduction="sum").backward()
    assert_close(logits.grad, batch.logits.softmax(1) - F.one_hot(batch.target, 3))


# Extremes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_binary_cross_entropy_at_the_ends_of_the_interval(losses, dtype):
    # Torch's slope is (p - y) / max(p (1 - p), 1e-12), so the last digits of 1e-12 show.
    probs = torch.tensor([0, 1, 1e-13, 1e-30, 1 - 1e-7] * 2, dtype=dtype)
    target = torch.tensor([0.0] * 5 + [1.0] * 5, dtype=dtype)
    results = []
    for function in (losses.binary_cross_entropy, F.binary_cross_entropy):
        leaf = probs.clone().requires_grad_()
        value = function(leaf, target, reduction="none")
        value.sum().backward()
        results.append((value.detach(), leaf.grad))
    assert_close(*results, rtol=1e-6, atol=0)
    assert results[0][0].max() == 100


def test_a_sigmoid_that_has_saturated_leaves_no_gradient(losses):
    logit = torch.tensor([100.0], requires_grad=True)
    losses.binary_cross_entropy(logit.sigmoid(), torch.tensor([0.0])).backward()
    assert logit.grad.item() == 0  # not NaN, which log(1 - p) would give


def test_large_logits(losses):
    logits = double(1e4, -1e4, 1e4, -1e4)
    value = losses.binary_cross_entropy_with_logits(
        logits, double(0.0, 1.0, 1.0, 0.0), reduction="none"
    )
    assert value.tolist() == [1e4, 1e4, 0, 0]
    rows = double([1e4, -1e4], [1e4, -1e4])
    value = losses.cross_entropy(rows, torch.tensor([0, 1]), reduction="none")
    assert value.tolist() == [0, 2e4]


def test_infinite_and_missing_logits_do_as_in_torch(losses):
    rows = double([0, -INF], [0, -INF], [0, INF], [0, NAN])
    target = torch.tensor([0, 1, 0, 0])
    for smoothing in (0.0, 0.1):
        options = {"reduction": "none", "label_smoothing": smoothing}
        mine = losses.cross_entropy(rows, target, **options)
        assert_close(mine, F.cross_entropy(rows, target, **options), equal_nan=True)
    assert losses.cross_entropy(rows[:1], target[:1]).item() == 0
    assert losses.cross_entropy(rows[1:2], target[1:2]).item() == INF
    value = losses.binary_cross_entropy_with_logits(
        double(INF, NAN), double(0.0, 0.0), None, "none"
    )
    assert_close(value, double(INF, NAN), equal_nan=True)
    # Torch says NaN here, from inf - inf; the definition says -log 0.
    assert losses.binary_cross_entropy_with_logits(double(-INF), double(1.0)).item() == INF


def test_an_ignored_row_may_hold_anything(losses):
    rows = double([0, 0], [NAN, INF]).requires_grad_()
    value = losses.cross_entropy(rows, torch.tensor([0, -100]))
    assert value.item() == pytest.approx(math.log(2))
    value.backward()
    assert_close(rows.grad[0], double(-0.5, 0.5))


# Empty and single


def test_the_mean_of_nothing_is_nan_and_its_sum_is_zero(losses):
    rows, none = double([1.0, 2.0]), torch.tensor([-100])
    for logits, target in [(rows[:0], none[:0]), (rows, none), (rows[:0], rows[:0])]:
        assert losses.cross_entropy(logits, target).isnan()
        assert losses.cross_entropy(logits, target, reduction="sum") == 0
    for function in (losses.binary_cross_entropy, losses.binary_cross_entropy_with_logits):
        assert function(rows[:0], rows[:0]).isnan()
        assert function(rows[:0], rows[:0], reduction="sum") == 0
    weightless = losses.cross_entropy(rows, torch.tensor([0]), weight=double(0.0, 1.0))
    assert weightless.isnan()


def test_one_class_is_always_right(losses):
    value = losses.cross_entropy(double([3.0], [-2.0]), torch.tensor([0, 0]), reduction="none")
    assert value.tolist() == [0, 0]


# Refusals

Z, Y, P = torch.zeros(4, 3), torch.tensor([0, 1, 2, 1]), torch.full((4, 3), 1 / 3)


@pytest.mark.parametrize(
    ("name", "arguments", "options", "error", "text"),
    [
        ("cross_entropy", (Z, Y.float()), {}, TypeError, "target must hold class indices (int64)"),
        ("cross_entropy", (Z, Y[:, None]), {}, ValueError, "target must have shape (4,)"),
        ("cross_entropy", (Z[0], Y[:1]), {}, ValueError, "target must have shape ()"),
        ("cross_entropy", (Z, Y + 1), {}, ValueError, "target must lie in [0, 3); got 3."),
        ("cross_entropy", (Z, Y - 1), {}, ValueError, "target must lie in [0, 3); got -1."),
        ("cross_entropy", (Z, P - 1), {}, ValueError, "target must lie in [0, 1]; got -0.66"),
        ("cross_entropy", (Z, P * NAN), {}, ValueError, "target must lie in [0, 1]; got nan."),
        ("cross_entropy", (Z.long(), Y), {}, TypeError, "input must be floating"),
        (
            "cross_entropy",
            (Z, Y),
            {"weight": torch.ones(2)},
            ValueError,
            "weight must have shape (3,), one a class; got float32 of shape (2,).",
        ),
        (
            "cross_entropy",
            (Z, Y),
            {"weight": torch.ones(3, dtype=torch.float64)},
            TypeError,
            "weight must have the dtype of input, float32; got float64 of shape (3,).",
        ),
        ("cross_entropy", (Z, Y), {"reduction": "avg"}, ValueError, "reduction must be one of"),
        (
            "cross_entropy",
            (Z, Y),
            {"label_smoothing": 1.5},
            ValueError,
            "label_smoothing must lie in [0, 1]; got 1.5.",
        ),
        (
            "cross_entropy",
            (Z, P),
            {"ignore_index": 0},
            ValueError,
            "ignore_index must stay negative beside class probabilities; got 0.",
        ),
        ("nll_loss", (Z, P), {}, TypeError, "target must hold class indices (int64)"),
        ("nll_loss", (Z, Y + 1), {}, ValueError, "target must lie in [0, 3); got 3."),
        ("nll_loss", (Z, Y), {"reduction": None}, ValueError, "reduction must be one of"),
        (
            "binary_cross_entropy",
            (Z - 1, Z),
            {},
            ValueError,
            "input must lie in [0, 1]; got -1. Logits belong to binary_cross_entropy_with_logits.",
        ),
        ("binary_cross_entropy", (Z * NAN, Z), {}, ValueError, "input must lie in [0, 1]; got nan"),
        ("binary_cross_entropy", (Z, Z + 2), {}, ValueError, "target must lie in [0, 1]; got 2."),
        (
            "binary_cross_entropy",
            (Z, Z.double()),
            {},
            TypeError,
            "target must have the dtype of input, float32; got float64 of shape (4, 3).",
        ),
        (
            "binary_cross_entropy",
            (Z[:, :1], Z[:, 0]),
            {},
            ValueError,
            "target must have the shape of input, (4, 1); got float32 of shape (4,).",
        ),
        (
            "binary_cross_entropy",
            (Z, Z),
            {"weight": torch.ones(4)},
            ValueError,
            "weight must broadcast to the input's shape (4, 3); got float32 of shape (4,).",
        ),
        ("binary_cross_entropy", (Z, Z), {"reduction": 1}, ValueError, "reduction must be one of"),
        (
            "binary_cross_entropy_with_logits",
            (Z[:, 0], Z[:, :1]),
            {},
            ValueError,
            "target must have the shape of input, (4,); got float32 of shape (4, 1).",
        ),
        (
            "binary_cross_entropy_with_logits",
            (Z[:, 0], Y),
            {},
            TypeError,
            "target must be floating; got int64 of shape (4,). target.float() fixes it.",
        ),
        (
            "binary_cross_entropy_with_logits",
            (Z[:, 0], Y.float()),
            {},
            ValueError,
            "target must lie in [0, 1]; got 2.",
        ),
        (
            "binary_cross_entropy_with_logits",
            (Z[:, :1], Z[:, :1]),
            {"pos_weight": torch.ones(4)},
            ValueError,
            "pos_weight must broadcast to the input's shape (4, 1); got float32 of shape (4,).",
        ),
    ],
)
def test_refusals(losses, name, arguments, options, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}"):
        getattr(losses, name)(*arguments, **options)
