"""From logits to labels: definitions by loop, ties, extremes, thresholds from data."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.decisions import (
    accuracy,
    best_threshold,
    best_thresholds,
    binary_labels,
    binary_probs,
    cost_threshold,
    multiclass_labels,
    multiclass_probs,
    multilabel_labels,
    multilabel_probs,
)

HALVES = [torch.float16, torch.bfloat16]
DTYPES = [torch.float64, torch.float32, *HALVES]


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


# Definitions


def test_binary_probs_by_loop():
    logits = torch.tensor([-3.0, -0.5, 0.0, 2.0], dtype=torch.float64)
    assert binary_probs(logits).tolist() == pytest.approx([sigmoid(z) for z in logits.tolist()])
    assert binary_probs(logits.unsqueeze(1)).shape == (4, 1)


def test_multiclass_probs_by_loop(batch):
    for probs, logits in zip(multiclass_probs(batch.logits), batch.logits.tolist(), strict=True):
        total = sum(math.exp(z) for z in logits)
        assert probs.tolist() == pytest.approx([math.exp(z) / total for z in logits])


def test_multilabel_probs_are_binary_probs_of_each_label(batch):
    probs = multilabel_probs(batch.logits)
    for label in range(3):
        assert torch.equal(probs[:, label], binary_probs(batch.logits[:, label]))


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5, 0.9])
def test_binary_labels_by_loop(threshold):
    logits = torch.linspace(-4, 4, 41, dtype=torch.float64)
    expected = [int(sigmoid(z) > threshold) for z in logits.tolist()]
    assert binary_labels(logits, threshold).tolist() == expected
    assert binary_labels(logits.unsqueeze(1), threshold).tolist() == [[y] for y in expected]
    assert binary_labels(logits, threshold).dtype == torch.int64


def test_multiclass_labels_by_loop(batch):
    expected = [row.index(max(row)) for row in batch.logits.tolist()]
    assert multiclass_labels(batch.logits).tolist() == expected
    images = batch.logits.reshape(2, 3, 3)
    assert multiclass_labels(images).shape == (2, 3)
    assert multiclass_labels(images)[1, 2] == images[1, :, 2].argmax()


def test_multilabel_labels_are_binary_labels_of_each_label(batch):
    thresholds = [0.2, 0.5, 0.9]
    labels = multilabel_labels(batch.logits, thresholds)
    assert torch.equal(labels, multilabel_labels(batch.logits, torch.tensor(thresholds)))
    for k, threshold in enumerate(thresholds):
        assert torch.equal(labels[:, k], binary_labels(batch.logits[:, k], threshold))
    assert torch.equal(multilabel_labels(batch.logits), (batch.logits > 0).long())


# Identities


def test_round_of_sigmoid_is_the_sign_of_the_logit(batch):
    logits = batch.logits.flatten()
    assert torch.equal(binary_labels(logits), torch.round(torch.sigmoid(logits)).long())


def test_one_logit_and_its_pair_decide_alike(batch):
    logits = batch.logits.flatten()
    pairs = torch.stack([torch.zeros_like(logits), logits], dim=1)
    assert torch.equal(binary_labels(logits), multiclass_labels(pairs))
    torch.testing.assert_close(binary_probs(logits), multiclass_probs(pairs)[:, 1])


def test_the_tie_at_one_half():
    tie = torch.zeros(1)
    probs = torch.sigmoid(tie)
    assert binary_labels(tie).item() == 0
    assert (probs > 0.5).item() is False
    assert torch.round(probs).item() == 0
    assert multiclass_labels(torch.stack([tie, tie], dim=1)).item() == 0
    assert (probs >= 0.5).item() is True


def test_the_logit_side_sees_what_the_probability_has_lost():
    tiny, huge = torch.tensor([1e-9]), torch.tensor([18.0])
    assert torch.sigmoid(tiny).item() == 0.5
    assert binary_labels(tiny).item() == 1
    # Both sides of the threshold have the probability 1 in float32.
    threshold = sigmoid(19.0)
    assert torch.sigmoid(huge).item() == 1
    assert binary_labels(huge, threshold).item() == 0
    assert binary_labels(huge + 2, threshold).item() == 1


# Extremes


@pytest.mark.parametrize("dtype", DTYPES)
def test_thresholds_zero_and_one(dtype):
    logits = torch.tensor([-math.inf, -1e4, 0.0, 1e4, math.inf], dtype=dtype)
    assert binary_labels(logits, 0).tolist() == [0, 1, 1, 1, 1]
    assert binary_labels(logits, 1).tolist() == [0, 0, 0, 0, 0]
    assert multilabel_labels(logits.unsqueeze(1), [0.0]).flatten().tolist() == [0, 1, 1, 1, 1]
    assert multilabel_labels(logits.unsqueeze(1), 1).sum() == 0
    assert binary_probs(logits).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_compared_as_float32(dtype):
    logits = torch.linspace(-4, 4, 101).to(dtype)
    for threshold in (0.3, 0.5, 0.7001):
        expected = binary_labels(logits.float(), threshold)
        assert torch.equal(binary_labels(logits, threshold), expected)
        assert torch.equal(multilabel_labels(logits.unsqueeze(1), threshold)[:, 0], expected)
    # Rounded to half precision, either threshold would have the logit of the sample itself.
    near = torch.tensor([math.log(0.7 / 0.3)]).to(dtype)
    for decide in (binary_labels, multilabel_labels):
        logits = near if decide is binary_labels else near.unsqueeze(1)
        assert decide(logits, sigmoid(near.item() + 1e-4)).item() == 0
        assert decide(logits, sigmoid(near.item() - 1e-4)).item() == 1


def test_empty_batches_have_no_labels():
    assert binary_labels(torch.zeros(0)).shape == (0,)
    assert multiclass_labels(torch.zeros(0, 3)).shape == (0,)
    assert multilabel_labels(torch.zeros(0, 3)).shape == (0, 3)


# Accuracy


def test_accuracy_by_loop():
    predicted, target = torch.tensor([0, 1, 1, 2, 2]), torch.tensor([0, 1, 2, 2, 0])
    right = sum(p == t for p, t in zip(predicted.tolist(), target.tolist(), strict=True))
    assert accuracy(predicted, target) == right / 5
    assert accuracy(predicted, target.double()) == right / 5
    assert accuracy(predicted.unsqueeze(1), target.unsqueeze(1)) == right / 5


def test_accuracy_counts_every_label_of_a_sample():
    assert accuracy(torch.tensor([[1, 0], [1, 1]]), torch.tensor([[1.0, 1.0], [1.0, 1.0]])) == 0.75


def test_accuracy_is_exact_where_float32_could_not_count():
    n = 2**24 + 2
    predicted = torch.ones(n, dtype=torch.bool)
    target = torch.ones(n, dtype=torch.bool)
    target[0] = False
    assert accuracy(predicted, target) == (n - 1) / n


@pytest.mark.parametrize("shapes", [((4, 1), (4,)), ((4,), (4, 1))])
def test_accuracy_never_broadcasts(shapes):
    predicted, target = (torch.ones(shape, dtype=torch.int64) for shape in shapes)
    with pytest.raises(ValueError, match=r"4 x 4 comparisons; squeeze\(1\)"):
        accuracy(predicted, target)


@pytest.mark.parametrize(
    ("predicted", "target", "error", "message"),
    [
        (torch.ones(3).long(), torch.ones(1).long(), ValueError, r"\(3,\); got int64 .*\(1,\)\.$"),
        (torch.ones(3), torch.ones(3), TypeError, "labels.*float32.*binary_labels"),
        (torch.ones(0).long(), torch.ones(0), ValueError, "at least one label"),
        (torch.ones(2).long(), torch.tensor([1, math.nan]), ValueError, "labels; got NaN"),
        ([1], torch.ones(1), TypeError, "predicted must be a tensor; got a list"),
    ],
)
def test_accuracy_refuses(predicted, target, error, message):
    with pytest.raises(error, match=message):
        accuracy(predicted, target)


# Thresholds from costs


@pytest.mark.parametrize("costs", [(1, 1), (1, 9), (5, 2.5), (0, 1), (1, 0)])
def test_cost_threshold_is_where_both_answers_cost_the_same(costs):
    false_positive, false_negative = costs
    p = cost_threshold(*costs)
    assert 0 <= p <= 1
    assert (1 - p) * false_positive == pytest.approx(p * false_negative)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ((-1, 1), "false_positive must be a cost of at least 0; got -1"),
        ((1, math.nan), "false_negative.*got nan"),
        ((math.inf, 1), "false_positive.*got inf"),
        ((0, 0), "one of the two costs must be above 0"),
    ],
)
def test_cost_threshold_refuses(costs, message):
    with pytest.raises(ValueError, match=message):
        cost_threshold(*costs)


def cost_by_loop(probs, target, threshold, false_positive, false_negative):
    pairs = list(zip(probs, target, strict=True))
    return false_positive * sum(p > threshold and y == 0 for p, y in pairs) + (
        false_negative * sum(p <= threshold and y == 1 for p, y in pairs)
    )


def f1_by_loop(probs, target, threshold):
    pairs = list(zip(probs, target, strict=True))
    both = sum(p > threshold and y == 1 for p, y in pairs)
    either = sum(p > threshold for p, _ in pairs) + sum(target)
    return 2 * both / either


def every_cut(probs):
    """A threshold for every way in which one can separate these probabilities."""
    return [0.0, *sorted(set(probs))]


# Eighths: many ties, and both ends occur.
labelled = st.lists(
    st.tuples(st.integers(0, 8).map(lambda k: k / 8), st.integers(0, 1)), min_size=2, max_size=12
).filter(lambda pairs: len({y for _, y in pairs}) == 2)
costs = st.tuples(st.integers(0, 5), st.integers(1, 5))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(labelled, costs)
def test_best_threshold_costs_no_more_than_any_other(pairs, prices):
    probs, target = map(list, zip(*pairs, strict=True))
    chosen = best_threshold(
        torch.tensor(probs, dtype=torch.float64),
        torch.tensor(target),
        false_positive=prices[0],
        false_negative=prices[1],
    )
    assert 0 <= chosen <= 1
    best = min(cost_by_loop(probs, target, cut, *prices) for cut in every_cut(probs))
    assert cost_by_loop(probs, target, chosen, *prices) == best


@settings(deadline=None, derandomize=True, max_examples=200)
@given(labelled)
def test_best_thresholds_reach_the_largest_f1(pairs):
    probs, target = map(list, zip(*pairs, strict=True))
    columns = torch.tensor([probs, probs], dtype=torch.float64).T
    (chosen, other) = best_thresholds(columns, torch.tensor([target, [0] * len(target)]).T)
    assert f1_by_loop(probs, target, chosen.item()) == max(
        f1_by_loop(probs, target, cut) for cut in every_cut(probs)
    )
    assert other.item() == 0.5


def test_best_threshold_lies_midway():
    probs, target = torch.tensor([0.25, 0.75], dtype=torch.float64), torch.tensor([0, 1])
    assert best_threshold(probs, target) == 0.5
    wrong = torch.tensor([1, 0])
    # Always 0 makes one mistake of the cheap kind, always 1 likewise.
    assert best_threshold(probs, wrong, false_positive=3) == (0.75 + 1) / 2
    assert best_threshold(probs, wrong, false_negative=3) == 0.25 / 2


@pytest.mark.parametrize(
    ("eighths", "target", "costs", "expected"),
    [
        # Below the second sample and above the third there is one mistake each; nearest to 1/2.
        ([1, 3, 5, 6], [0, 1, 0, 1], (1, 1), (5 + 6) / 16),
        ([2, 3, 5, 7], [0, 1, 0, 1], (1, 1), (2 + 3) / 16),
        # Three missed cost as much as one false alarm of price 3; nearest to 3/4.
        ([1, 3, 4, 5, 6, 7], [0, 1, 1, 1, 0, 1], (3, 1), (6 + 7) / 16),
        # Three false alarms cost as much as one missed of price 3; nearest to 1/4.
        ([1, 2, 3, 4, 5, 7], [0, 1, 0, 0, 0, 1], (1, 3), (1 + 2) / 16),
    ],
)
def test_best_threshold_of_equals_is_nearest_to_the_cost_threshold(
    eighths, target, costs, expected
):
    probs = torch.tensor(eighths, dtype=torch.float64) / 8
    chosen = best_threshold(
        probs, torch.tensor(target), false_positive=costs[0], false_negative=costs[1]
    )
    assert chosen == expected


def test_neighbouring_floats_are_told_apart():
    low = torch.tensor(0.5, dtype=torch.float64)
    high = torch.nextafter(low, low + 1)
    chosen = best_threshold(torch.stack([low, high]), torch.tensor([0, 1]))
    assert low.item() <= chosen < high.item()
    above = torch.nextafter(high, low + 1)
    chosen = best_threshold(torch.stack([high, above]), torch.tensor([0, 1]))
    assert high.item() <= chosen < above.item()


def test_chosen_thresholds_fit_the_decisions():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(200, 3, generator=generator, dtype=torch.float64)
    targets = (logits + noise > 0.5).long()
    probs = multilabel_probs(logits)
    thresholds = best_thresholds(probs, targets)
    for k in range(3):
        labels = multilabel_labels(logits, thresholds)[:, k]
        assert torch.equal(labels, (probs[:, k] > thresholds[k]).long())
    threshold = best_threshold(probs[:, 0], targets[:, 0], false_negative=4)
    assert torch.equal(binary_labels(logits[:, 0], threshold), (probs[:, 0] > threshold).long())
    assert threshold < best_threshold(probs[:, 0], targets[:, 0], false_positive=4)


def test_best_threshold_takes_n_log_n():
    generator = torch.Generator().manual_seed(0)
    probs = torch.rand(1_000_000, generator=generator, dtype=torch.float64)
    # A table of all pairs would not fit into any memory.
    assert best_threshold(probs, (probs > 0.3).long()) == pytest.approx(0.3, abs=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_best_threshold_in_every_precision(dtype):
    probs = torch.tensor([0.25, 0.5, 0.75], dtype=dtype)
    assert best_threshold(probs, torch.tensor([0, 0, 1])) == 0.625
    probs.requires_grad_()
    assert type(best_threshold(probs, torch.tensor([0.0, 0.0, 1.0]))) is float


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_a_threshold_fits_between_neighbours_of_a_lower_precision(dtype):
    low = torch.tensor(0.5, dtype=dtype)
    high = torch.nextafter(low, low + 1)
    chosen = best_threshold(torch.stack([low, high]), torch.tensor([0, 1]))
    assert chosen == (low.item() + high.item()) / 2


@pytest.mark.parametrize(
    ("probs", "target", "message"),
    [
        ([0.2, 0.3], [1, 1], "target must hold both classes"),
        ([-1.0, 0.3], [0, 1], r"probs must lie in \[0, 1\]; got -1.*binary_probs"),
        ([math.nan, 0.3], [0, 1], r"probs must lie in \[0, 1\]; got nan"),
        ([0.2, 0.3], [0, 2], "target must hold 0 or 1"),
        ([0.2, 0.3], [[0], [1]], r"target must have the shape of probs, \(2,\)"),
        ([[0.2], [0.3]], [[0], [1]], r"probs must have shape \(N,\)"),
        ([], [], "N above 0"),
    ],
)
def test_best_threshold_refuses(probs, target, message):
    with pytest.raises(ValueError, match=message):
        best_threshold(torch.tensor(probs), torch.tensor(target))


def test_best_thresholds_refuse():
    with pytest.raises(ValueError, match=r"shape \(N, L\), N above 0"):
        best_thresholds(torch.rand(3), torch.ones(3))
    with pytest.raises(ValueError, match="N above 0"):
        best_thresholds(torch.rand(0, 2), torch.ones(0, 2))
    with pytest.raises(TypeError, match="probs must be floating"):
        best_thresholds(torch.ones(3, 2).long(), torch.ones(3, 2))


# Rejections of logits


@pytest.mark.parametrize("function", [binary_labels, binary_probs])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), r"\(N,\) or \(N, 1\).*unsqueeze\(0\)"),
        ((3, 2), "Several columns belong to the multiclass or multilabel"),
        ((3, 1, 1), r"got float32 of shape \(3, 1, 1\)\.$"),
    ],
)
def test_binary_refuses_other_shapes(function, shape, message):
    with pytest.raises(ValueError, match=message):
        function(torch.zeros(shape))


@pytest.mark.parametrize("function", [multiclass_labels, multiclass_probs])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 0), ()])
def test_multiclass_refuses_a_single_column(function, shape):
    with pytest.raises(ValueError, match="Among one output the largest is always class 0"):
        function(torch.zeros(shape))


@pytest.mark.parametrize("function", [multilabel_labels, multilabel_probs])
def test_multilabel_refuses_other_shapes(function):
    with pytest.raises(ValueError, match=r"\(N, L\).*binary_labels takes one logit"):
        function(torch.zeros(3))
    with pytest.raises(ValueError, match=r"\(N, L\); got float32 of shape \(2, 2, 2\)"):
        function(torch.zeros(2, 2, 2))


FUNCTIONS = [
    binary_labels,
    binary_probs,
    multiclass_labels,
    multiclass_probs,
    multilabel_labels,
    multilabel_probs,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nan_integers_and_lists_are_refused(function):
    shape = (2,) if function in FUNCTIONS[:2] else (2, 2)
    with pytest.raises(ValueError, match="logits must be numbers; got NaN"):
        function(torch.full(shape, math.nan))
    with pytest.raises(TypeError, match="logits must be floating; got int64"):
        function(torch.zeros(shape, dtype=torch.int64))
    with pytest.raises(TypeError, match="logits must be a tensor; got a list"):
        function([0.0])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_thresholds_outside_zero_to_one_are_refused(threshold):
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\]"):
        binary_labels(torch.zeros(2), threshold)
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\]"):
        multilabel_labels(torch.zeros(2, 2), [0.5, threshold])


def test_one_threshold_for_each_label():
    for thresholds in ([0.5] * 2, [[0.5] * 3]):
        with pytest.raises(ValueError, match=r"shape \(3,\), one a label; got shape"):
            multilabel_labels(torch.zeros(4, 3), thresholds)
