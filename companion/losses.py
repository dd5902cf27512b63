"""Classification losses: torch's own, written out to be read, and the noise-robust ones.

The first four repeat the torch functions of the same name in plain steps: equal in value and
gradient, stricter in what they accept. They exist to be read and compared with; train with torch's.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid

from companion import _checks


def _reduce(losses: Tensor, reduction: str, count: Tensor | int) -> Tensor:
    """Return the losses themselves, their sum, or their sum over ``count``."""
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / count


def _rescale(losses: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """Weight each element and reduce; the mean divides by the number of elements."""
    if weight is not None:
        _checks.broadcasts_to(weight, losses.shape, "weight")
        losses = losses * weight
    return _reduce(losses, reduction, losses.numel())


class _BinaryLogs(torch.autograd.Function):
    """The logs of p and of 1 - p, at least -100, with the finite slopes that torch gives them.

    Written as ``log(p).clamp(min=-100)`` they would have the same values, and a NaN gradient at 0.
    """

    @staticmethod
    def forward(ctx, probs: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(probs)
        return probs.log().clamp(min=-100), (-probs).log1p().clamp(min=-100)

    @staticmethod
    def backward(ctx, grad_log_p: Tensor, grad_log_not_p: Tensor) -> Tensor:
        (probs,) = ctx.saved_tensors
        # Over p (1 - p), the first term is 1 / p and the second 1 / (1 - p).
        slope = grad_log_p * (1 - probs) - grad_log_not_p * probs
        return slope / (probs * (1 - probs)).clamp(min=1e-12)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    r"""Binary cross-entropy of probabilities, as ``torch.nn.functional.binary_cross_entropy``.

    .. math:: \ell = -\left(y \log p + (1 - y) \log (1 - p)\right)

    Both logs stop at -100, so no element exceeds 100.

    Args:
        input: probabilities in [0, 1], any shape.
        target: probabilities in [0, 1], same shape and dtype as input; hard labels are 0.0 and 1.0.
        weight: factor for each element; broadcasts to the shape of input.
        reduction: "mean" (over all elements, whatever their weight), "sum" or "none".

    Returns:
        Loss in nats, in [0, 100] where no weight is given; a scalar, or the shape of input for
        "none". The mean of nothing is NaN, as in torch.

    Raises:
        ValueError: shapes differ, or input or target leave [0, 1].
        TypeError: dtypes are not floating, or differ.

    Example:
        >>> probs = torch.tensor([0.5, 0.75])
        >>> binary_cross_entropy(probs, torch.tensor([1.0, 1.0]), reduction="none")
        tensor([0.6931, 0.2877])
    """
    _binary_pair(input, target, reduction)
    if target.dtype != input.dtype:
        rule = f"have the dtype of input, {str(input.dtype).removeprefix('torch.')}"
        mend = "target.to(input.dtype) mends it."
        raise TypeError(_checks.complaint("target", rule, target, mend))
    mend = "Logits belong to binary_cross_entropy_with_logits."
    _checks.within(input, 0, 1, "input", mend)
    log_p, log_not_p = _BinaryLogs.apply(input)
    losses = -(target * log_p + (1 - target) * log_not_p)
    return _rescale(losses, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Binary cross-entropy of logits, as torch's function of this name.

    .. math:: \ell = -\left(w_+ y \log \sigma(z) + (1 - y) \log \sigma(-z)\right)

    because :math:`1 - \sigma(z) = \sigma(-z)`; neither log ever meets a rounded probability.

    Args:
        input: logits, any shape.
        target: probabilities in [0, 1], same shape; hard labels are 0.0 and 1.0.
        weight: factor for each element; broadcasts to the shape of input.
        reduction: "mean" (over all elements, whatever their weight), "sum" or "none".
        pos_weight: the factor :math:`w_+` for the positive part; broadcasts to the shape of input.

    Returns:
        Loss in nats, at least 0 where the weights are; a scalar, or the shape of input for
        "none". The mean of nothing is NaN, as in torch.

    Raises:
        ValueError: shapes differ, or target leaves [0, 1].
        TypeError: dtypes are not floating.

    Example:
        >>> logits = torch.tensor([0.0, 100.0])
        >>> binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0]), reduction="none")
        tensor([  0.6931, 100.0000])
    """
    _binary_pair(input, target, reduction)
    positive = target * logsigmoid(input)
    if pos_weight is not None:
        _checks.broadcasts_to(pos_weight, input.shape, "pos_weight")
        positive = pos_weight * positive
    losses = -(positive + (1 - target) * logsigmoid(-input))
    return _rescale(losses, weight, reduction)


def _binary_pair(input: Tensor, target: Tensor, reduction: str) -> None:
    """Check what both binary losses ask of their arguments."""
    _checks.reduction(reduction)
    _checks.floating(input, "input")
    _checks.floating(target, "target")
    _checks.same_shape(input, target)
    _checks.within(target, 0, 1, "target")


def _check_weight(weight: Tensor | None, input: Tensor, num_classes: int) -> None:
    if weight is None:
        return
    _checks.class_weight(weight, num_classes)
    if weight.dtype != input.dtype:
        rule = f"have the dtype of input, {str(input.dtype).removeprefix('torch.')}"
        mend = "weight.to(input.dtype) mends it."
        raise TypeError(_checks.complaint("weight", rule, weight, mend))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Pick each sample's log-probability and negate it, as ``torch.nn.functional.nll_loss``.

    .. math:: \ell_n = -w_{y_n} \log p_{n y_n}, \qquad
       \text{mean} = \frac{\sum_n \ell_n}{\sum_n w_{y_n}}

    Args:
        input: log-probabilities, shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices in [0, K), int64, shape (N,), () or (N, d1, ...).
        weight: one factor a class, shape (K,), dtype of input.
        ignore_index: a target that counts for nothing: its loss is 0, its weight too.
        reduction: "mean" (over the summed weights of the targets), "sum" or "none".

    Returns:
        Loss in nats, at least 0 for log-probabilities; a scalar, or the shape of target for
        "none". The mean of nothing is NaN, as in torch.

    Raises:
        ValueError: shapes disagree, or a target lies outside [0, K).
        TypeError: target is not integer, or input or weight not floating.

    Example:
        >>> log_probs = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
        >>> nll_loss(log_probs, torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.2877])
    """
    _checks.reduction(reduction)
    _checks.class_indices(input, target)
    dim = _checks.class_dim(input)
    num_classes = input.shape[dim]
    _check_weight(weight, input, num_classes)
    _checks.class_range(target, num_classes, ignore_index)

    valid = target != ignore_index
    index = target.long().where(valid, 0)  # an ignored target may be no index at all
    log_p = input.gather(dim, index.unsqueeze(dim)).squeeze(dim)
    scale = valid.to(input.dtype) if weight is None else weight[index] * valid
    losses = torch.where(valid, -scale * log_p, 0)  # not scale alone: 0 times inf is NaN
    return _reduce(losses, reduction, scale.sum())


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Softmax, log, pick, mean, as ``torch.nn.functional.cross_entropy``.

    .. math:: \ell_n = -\sum_k w_k \, t_{nk} \log \mathrm{softmax}(z_n)_k

    where :math:`t_n` is one-hot for a class index. Smoothing by :math:`\varepsilon` replaces it by
    :math:`(1 - \varepsilon)\, t_n + \varepsilon / K`.

    Args:
        input: logits, shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices in [0, K), int64, shape (N,), () or (N, d1, ...); or class
            probabilities, floating, in [0, 1], of the shape of input.
        weight: one factor a class, shape (K,), dtype of input.
        ignore_index: a class index that counts for nothing: its loss is 0, its weight too.
        reduction: "mean" (over the summed weights of class indices; over the samples and
            positions, whatever their weight, of class probabilities), "sum" or "none".
        label_smoothing: the share :math:`\varepsilon` in [0, 1] of the uniform distribution.

    Returns:
        Loss in nats, at least 0 where the weights are; a scalar, or the shape of class indices for
        "none". The mean of nothing is NaN, as in torch.

    Raises:
        ValueError: shapes disagree, a target leaves its range, label_smoothing leaves [0, 1], or
            ignore_index is a class while target holds probabilities.
        TypeError: target is neither integer indices nor floating probabilities, or input or
            weight not floating.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [0.0, 100.0]])
        >>> cross_entropy(logits, torch.tensor([0, 0]), reduction="none")
        tensor([  0.6931, 100.0000])
    """
    _checks.reduction(reduction)
    _checks.between(label_smoothing, 0, 1, "label_smoothing")
    soft = _checks.class_target(input, target)
    dim = _checks.class_dim(input)
    num_classes = input.shape[dim]
    _check_weight(weight, input, num_classes)

    log_probs = log_softmax(input, dim)
    if soft:
        _checks.within(target, 0, 1, "target")
        _no_ignored_class(ignore_index)
        target = (1 - label_smoothing) * target + label_smoothing / num_classes
        losses = -(_times_weight(log_probs, weight, dim) * target).sum(dim)
        return _reduce(losses, reduction, losses.numel())

    losses = nll_loss(log_probs, target, weight, ignore_index, "none")
    valid = target != ignore_index
    if label_smoothing:  # 0 times the -inf of an impossible class is NaN
        spread = -_times_weight(log_probs, weight, dim).mean(dim).where(valid, 0)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    count = valid.sum() if weight is None else weight[target[valid].long()].sum()
    return _reduce(losses, reduction, count)


def _times_weight(log_probs: Tensor, weight: Tensor | None, dim: int) -> Tensor:
    """Multiply each class by its weight, wherever the classes stand."""
    if weight is None:
        return log_probs
    return log_probs * weight.unflatten(0, (-1, *(1 for _ in log_probs.shape[dim + 1 :])))


def _no_ignored_class(ignore_index: int) -> None:
    """Require an ignore_index that names no class, since no distribution can be ignored by it."""
    if ignore_index >= 0:
        rule = "stay negative beside class probabilities"
        mend = "Give such a position probabilities of 0 to leave it out."
        raise ValueError(_checks.complaint("ignore_index", rule, f"{ignore_index}", mend))
