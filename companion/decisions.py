"""From logits to probabilities to labels, and how often the labels are right.

A label is positive where the probability is strictly above its threshold. Sigmoid grows with the
logit, so the comparison is made between logits, where nothing has been rounded to 0 or 1 yet.

A probability of exactly 0.5 is a tie, and the usual rules break it in two ways: ``probs > 0.5``,
``torch.round`` (which rounds halves to even) and ``argmax`` over (0, z) give 0, ``probs >= 0.5``
gives 1. The functions here give 0.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from companion import _checks

__all__ = [
    "accuracy",
    "best_threshold",
    "best_thresholds",
    "binary_labels",
    "binary_probs",
    "cost_threshold",
    "multiclass_labels",
    "multiclass_probs",
    "multilabel_labels",
    "multilabel_probs",
]


def binary_probs(logits: Tensor) -> Tensor:
    """Return the probability of class 1 for each logit.

    Args:
        logits: one logit for each sample, shape (N,) or (N, 1).

    Returns:
        Probabilities in [0, 1], of the same shape.

    Raises:
        ValueError: another shape, or a logit is NaN.
        TypeError: ``logits`` is not floating.

    Example:
        >>> binary_probs(torch.tensor([0.0, 20.0]))
        tensor([0.5000, 1.0000])
    """
    _one_logit(logits)
    return torch.sigmoid(logits)


def multiclass_probs(logits: Tensor) -> Tensor:
    """Return the probability of each class; they add up to 1.

    Args:
        logits: one logit for each class, shape (N, K) or (N, K, d1, …), K at least 2.

    Returns:
        Probabilities in [0, 1], of the same shape.

    Raises:
        ValueError: another shape, a single class, or a logit is NaN.
        TypeError: ``logits`` is not floating.

    Example:
        >>> multiclass_probs(torch.tensor([[0.0, 0.0, 0.0, 0.0]]))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """
    _class_logits(logits)
    return torch.softmax(logits, dim=1)


def multilabel_probs(logits: Tensor) -> Tensor:
    """Return the probability of each label, every one by itself.

    Args:
        logits: one logit for each label, shape (N, L).

    Returns:
        Probabilities in [0, 1], of the same shape.

    Raises:
        ValueError: another shape, or a logit is NaN.
        TypeError: ``logits`` is not floating.

    Example:
        >>> multilabel_probs(torch.tensor([[0.0, 20.0, 20.0]]))
        tensor([[0.5000, 1.0000, 1.0000]])
    """
    _label_logits(logits)
    return torch.sigmoid(logits)


def binary_labels(logits: Tensor, threshold: float = 0.5) -> Tensor:
    """Return 1 where the probability of class 1 is above the threshold, else 0.

    Args:
        logits: one logit for each sample, shape (N,) or (N, 1). Half precision is compared as
            float32.
        threshold: a probability in [0, 1]. At 1 every label is 0; at 0 every label is 1, except
            where the logit is -inf.

    Returns:
        Labels 0 and 1, int64, of the same shape.

    Raises:
        ValueError: another shape, a logit is NaN, or the threshold lies outside [0, 1].
        TypeError: ``logits`` is not floating.

    Example:
        >>> binary_labels(torch.tensor([-1.0, 0.0, 1.0]))
        tensor([0, 0, 1])
        >>> binary_labels(torch.tensor([-1.0, 0.0, 1.0]), threshold=0.2)
        tensor([1, 1, 1])
    """
    _one_logit(logits)
    _checks.between(threshold, 0, 1, "threshold")
    return (_checks.at_least_float32(logits) > _logit(threshold)).long()


def multiclass_labels(logits: Tensor) -> Tensor:
    """Return the class of the largest logit, the first of several.

    Args:
        logits: one logit for each class, shape (N, K) or (N, K, d1, …), K at least 2.

    Returns:
        Class indices in [0, K), int64, shape (N,) or (N, d1, …).

    Raises:
        ValueError: another shape, a single class, or a logit is NaN.
        TypeError: ``logits`` is not floating.

    Example:
        >>> multiclass_labels(torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]]))
        tensor([1, 0])
    """
    _class_logits(logits)
    return logits.argmax(dim=1)


def multilabel_labels(logits: Tensor, threshold: float | Sequence[float] | Tensor = 0.5) -> Tensor:
    """Return 1 for each label whose probability is above its threshold, else 0.

    Args:
        logits: one logit for each label, shape (N, L). Half precision is compared as float32.
        threshold: a probability in [0, 1], or one for each label, shape (L,).

    Returns:
        Labels 0 and 1, int64, shape (N, L).

    Raises:
        ValueError: another shape, a logit is NaN, or a threshold lies outside [0, 1].
        TypeError: ``logits`` is not floating.

    Example:
        >>> multilabel_labels(torch.tensor([[-1.0, 2.0, 3.0]]), [0.2, 0.5, 0.99])
        tensor([[1, 1, 0]])
    """
    _label_logits(logits)
    thresholds = torch.as_tensor(threshold, dtype=torch.float64)
    if thresholds.shape not in ((), (logits.shape[1],)):
        rule = f"be one number or have shape ({logits.shape[1]},), one a label"
        raise ValueError(_checks.complaint("threshold", rule, f"shape {tuple(thresholds.shape)}"))
    _checks.within(thresholds, 0, 1, "threshold")
    logits = _checks.at_least_float32(logits)
    return (logits > torch.logit(thresholds).to(logits)).long()


def accuracy(predicted: Tensor, target: Tensor) -> float:
    """Return the share of labels that equal the target.

    Nothing is broadcast: comparing (N, 1) with (N,) would compare every prediction with every
    target, N x N pairs, and divided by N the "accuracy" can pass 100 %.

    Args:
        predicted: labels, integer or bool, of any shape.
        target: the right labels, of the same shape; floats such as 0.0 and 1.0 are fine.

    Returns:
        A share in [0, 1]. Of several labels for each sample, (N, L), every one counts by itself.

    Raises:
        ValueError: shapes disagree, there is nothing to compare, or a target is NaN.
        TypeError: ``predicted`` is floating.

    Example:
        >>> accuracy(torch.tensor([1, 0, 1, 1]), torch.tensor([1, 0, 0, 1]))
        0.75
    """
    _checks.tensor(predicted, "predicted")
    _checks.tensor(target, "target")
    if predicted.is_floating_point():
        mend = "binary_labels or multiclass_labels makes labels of logits."
        raise TypeError(_checks.complaint("predicted", "hold labels (int64)", predicted, mend))
    if predicted.shape != target.shape:
        n = max(predicted.numel(), target.numel())
        column = {(n, 1), (n,)} == {tuple(predicted.shape), tuple(target.shape)}
        mend = (
            f"Broadcast, they would make {n} x {n} comparisons; squeeze(1) drops the column."
            if column
            else ""
        )
        rule = f"have the shape of predicted, {tuple(predicted.shape)}"
        raise ValueError(_checks.complaint("target", rule, target, mend))
    if predicted.numel() == 0:
        raise ValueError(_checks.complaint("predicted", "hold at least one label", predicted))
    if target.isnan().any():
        raise ValueError(_checks.complaint("target", "hold labels", "NaN"))
    return (predicted == target).double().mean().item()


def cost_threshold(false_positive: float, false_negative: float) -> float:
    """Return the threshold of least expected cost when probabilities can be trusted.

    Saying 1 costs (1 - p) * false_positive on average, saying 0 costs p * false_negative; they
    are equal at p = false_positive / (false_positive + false_negative).

    Args:
        false_positive: the cost of a 1 that should be 0; not negative.
        false_negative: the cost of a 0 that should be 1; not negative.

    Returns:
        A probability in [0, 1].

    Raises:
        ValueError: a cost is negative or not finite, or both are 0.

    Example:
        >>> cost_threshold(1, 9)
        0.1
    """
    for name, cost in (("false_positive", false_positive), ("false_negative", false_negative)):
        if not 0 <= cost < math.inf:
            raise ValueError(_checks.complaint(name, "be a cost of at least 0", f"{cost!r}"))
    if false_positive == false_negative == 0:
        raise ValueError(_checks.complaint("one of the two costs", "be above 0", "0 and 0"))
    return false_positive / (false_positive + false_negative)


def best_threshold(
    probs: Tensor, target: Tensor, *, false_positive: float = 1.0, false_negative: float = 1.0
) -> float:
    """Choose the threshold of least cost on data that the model was not trained on.

    Unlike :func:`cost_threshold` it needs no calibrated probabilities, only enough data. All
    thresholds that tell the samples apart differently are compared, in O(N log N).

    Args:
        probs: probabilities of class 1, shape (N,).
        target: classes 0 and 1, shape (N,).
        false_positive: the cost of a 1 that should be 0; not negative.
        false_negative: the cost of a 0 that should be 1; not negative.

    Returns:
        A probability in [0, 1], midway between two samples, for :func:`binary_labels`. Of several
        equally good the one nearest to :func:`cost_threshold`.

    Raises:
        ValueError: shapes disagree, a probability lies outside [0, 1], a target is neither 0 nor
            1, a class is missing, or the costs are not those of :func:`cost_threshold`.
        TypeError: ``probs`` is not floating.

    Example:
        >>> probs = torch.tensor([0.1, 0.2, 0.6, 0.7])
        >>> best_threshold(probs, torch.tensor([0, 1, 0, 1]), false_negative=10.0) < 0.2
        True
    """
    fallback = cost_threshold(false_positive, false_negative)
    _probs_and_targets(probs, target, 1)
    if not 0 < target.sum() < len(target):
        mend = "A threshold cannot be chosen from one class."
        raise ValueError(_checks.complaint("target", "hold both classes", "one of them", mend))
    cuts, true_positives, false_positives = _cuts(probs, target)
    missed = target.sum() - true_positives
    cost = false_positive * false_positives.double() + false_negative * missed.double()
    return _nearest(cuts[cost == cost.min()], fallback)


def best_thresholds(probs: Tensor, targets: Tensor) -> Tensor:
    """Choose for each label the threshold of largest F1 on data the model was not trained on.

    Args:
        probs: probabilities of each label, shape (N, L).
        targets: labels 0 and 1, shape (N, L).

    Returns:
        Probabilities in [0, 1], float64, shape (L,), for :func:`multilabel_labels`. Of several
        equally good the one nearest to 0.5; for a label that never occurs, 0.5.

    Raises:
        ValueError: shapes disagree, there are no samples, a probability lies outside [0, 1], or
            a target is neither 0 nor 1.
        TypeError: ``probs`` is not floating.

    Example:
        >>> probs = torch.tensor([[0.1, 0.6], [0.3, 0.7], [0.4, 0.9]])
        >>> best_thresholds(probs, torch.tensor([[0, 0], [1, 0], [1, 1]]))
        tensor([0.2000, 0.8000], dtype=torch.float64)
    """
    _probs_and_targets(probs, targets, 2)
    best = []
    for label_probs, label in zip(probs.T, targets.T, strict=True):
        positives = label.sum()
        if positives == 0:
            best.append(0.5)
            continue
        cuts, true_positives, false_positives = _cuts(label_probs, label)
        # 2 TP / (2 TP + FP + FN), and TP + FN is the number of positives.
        f1 = 2 * true_positives / (true_positives + false_positives + positives).double()
        best.append(_nearest(cuts[f1 == f1.max()], 0.5))
    return torch.tensor(best, dtype=torch.float64)


def _cuts(probs: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return every different cut of the samples, and the true and false positives above it."""
    # The ends 0 and 1 are no samples, but the outermost cuts lie midway to them.
    values, places = torch.unique(probs.detach().double(), return_inverse=True)
    positives = torch.zeros(len(values), dtype=torch.int64, device=probs.device)
    positives.index_add_(0, places, target.long())
    samples = torch.bincount(places, minlength=len(values))
    lower = torch.cat([values.new_zeros(1), values])
    upper = torch.cat([values, values.new_ones(1)])
    middle = (lower + upper) / 2
    # Between neighbouring floats the middle may round up to the sample that lies above the cut.
    cuts = torch.where(middle < upper, middle, lower)
    above = samples.sum() - torch.cat([samples.new_zeros(1), samples.cumsum(0)])
    true_above = positives.sum() - torch.cat([positives.new_zeros(1), positives.cumsum(0)])
    # A sample at 0 is never above a threshold, so there is no cut below it.
    first = int(values[0] == 0)
    return cuts[first:], true_above[first:], (above - true_above)[first:]


def _nearest(cuts: Tensor, wanted: float) -> float:
    return cuts[(cuts - wanted).abs().argmin()].item()


def _logit(threshold: float) -> float:
    """Return the logit of a probability; those of 0 and 1 are infinite."""
    if threshold in (0, 1):
        return math.inf if threshold else -math.inf
    return math.log(threshold / (1 - threshold))


def _one_logit(logits: Tensor) -> None:
    """Require one logit for each sample, shape (N,) or (N, 1)."""
    _checks.floating(logits, "logits")
    if logits.dim() == 1 or (logits.dim() == 2 and logits.shape[1] == 1):
        _no_nan(logits)
        return
    mend = {
        0: "logits.unsqueeze(0) makes a batch of one.",
        2: "Several columns belong to the multiclass or multilabel functions.",
    }.get(logits.dim(), "")
    raise ValueError(_checks.complaint("logits", "have shape (N,) or (N, 1)", logits, mend))


def _class_logits(logits: Tensor) -> None:
    """Require at least two logits for each sample, classes in dimension 1."""
    _checks.floating(logits, "logits")
    if logits.dim() >= 2 and logits.shape[1] >= 2:
        _no_nan(logits)
        return
    mend = (
        "Among one output the largest is always class 0, and its softmax is always 1; "
        "binary_labels decides by a threshold."
    )
    rule = "have shape (N, K) or (N, K, d1, ...), K at least 2"
    raise ValueError(_checks.complaint("logits", rule, logits, mend))


def _label_logits(logits: Tensor) -> None:
    """Require one logit for each sample and label, shape (N, L)."""
    _checks.floating(logits, "logits")
    if logits.dim() != 2:
        mend = "binary_labels takes one logit a sample." if logits.dim() == 1 else ""
        raise ValueError(_checks.complaint("logits", "have shape (N, L)", logits, mend))
    _no_nan(logits)


def _no_nan(logits: Tensor) -> None:
    if logits.isnan().any():
        mend = "A comparison with NaN is false and would pass for a decision."
        raise ValueError(_checks.complaint("logits", "be numbers", "NaN", mend))


def _probs_and_targets(probs: Tensor, target: Tensor, dim: int) -> None:
    """Require probabilities and targets 0 or 1 of one shape with ``dim`` dimensions."""
    _checks.floating(probs, "probs")
    _checks.same_shape(probs, target, names=("probs", "target"))
    if probs.dim() != dim or len(probs) == 0:
        shape = ("(N,)", "(N, L)")[dim - 1]
        raise ValueError(_checks.complaint("probs", f"have shape {shape}, N above 0", probs))
    _checks.within(probs, 0, 1, "probs", "binary_probs makes probabilities of logits.")
    if ((target != 0) & (target != 1)).any():
        raise ValueError(_checks.complaint("target", "hold 0 or 1", "another value"))
