"""Classification losses: torch's own, written out to be read, and the noise-robust ones.

The first four repeat the torch functions of the same name in plain steps: equal in value and
gradient, stricter in what they accept. They exist to be read and compared with; train with torch's.

The others are for labels that may be wrong, and made to be trained with: they stand on torch's
own cross-entropy and cost hardly more. With p the probability of the labelled class,

=============================  ==================================================
loss                           of one sample
=============================  ==================================================
cross-entropy (CE)             ``-log p``
reverse cross-entropy (RCE)    ``-A (1 - p)``, where A < 0 stands for log 0
symmetric cross-entropy (SCE)  ``alpha CE + beta RCE``
generalized cross-entropy      ``(1 - p**q) / q``
=============================  ==================================================

and p is ``exp(-CE)``, so that none of them needs a one-hot target or a second softmax.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    _checks.same_dtype(input, target, "target")
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
    positive = target * F.logsigmoid(input)
    if pos_weight is not None:
        _checks.broadcasts_to(pos_weight, input.shape, "pos_weight")
        positive = pos_weight * positive
    losses = -(positive + (1 - target) * F.logsigmoid(-input))
    return _rescale(losses, weight, reduction)


def _binary_pair(input: Tensor, target: Tensor, reduction: str) -> None:
    """Check what both binary losses ask of their arguments."""
    _checks.reduction(reduction)
    _checks.floating(input, "input")
    _checks.floating(target, "target")
    _checks.same_shape(input, target)
    _checks.within(target, 0, 1, "target")


def _check_weight(weight: Tensor | None, input: Tensor, num_classes: int) -> None:
    if weight is not None:
        _checks.class_weight(weight, num_classes)
        _checks.same_dtype(input, weight, "weight")


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

    target = target.long()
    valid = target != ignore_index
    index = target.where(valid, 0)  # an ignored target may be no index at all
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

    log_probs = F.log_softmax(input, dim)
    if soft:
        _checks.within(target, 0, 1, "target")
        _no_ignored_class(ignore_index)
        target = (1 - label_smoothing) * target + label_smoothing / num_classes
        losses = -(_times_weight(log_probs, weight, dim) * target).sum(dim)
        return _reduce(losses, reduction, losses.numel())

    target = target.long()
    losses = nll_loss(log_probs, target, weight, ignore_index, "none")
    valid = target != ignore_index
    if label_smoothing:  # 0 times the -inf of an impossible class is NaN
        spread = -_times_weight(log_probs, weight, dim).mean(dim).where(valid, 0)
        losses = (1 - label_smoothing) * losses + label_smoothing * spread
    count = valid.sum() if weight is None else weight[target[valid]].sum()
    return _reduce(losses, reduction, count)


def _times_weight(log_probs: Tensor, weight: Tensor | None, dim: int) -> Tensor:
    """Multiply each class by its weight, wherever the classes stand."""
    if weight is None:
        return log_probs
    return log_probs * weight.reshape(-1, *(1 for _ in log_probs.shape[dim + 1 :]))


def _no_ignored_class(ignore_index: int) -> None:
    """Require an ignore_index that names no class, since no distribution can be ignored by it."""
    if ignore_index >= 0:
        rule = "stay negative beside class probabilities"
        mend = "Only a class index can be ignored."
        raise ValueError(_checks.complaint("ignore_index", rule, f"{ignore_index}", mend))


def _check_settings(
    alpha: float, beta: float, log_zero: float, label_smoothing: float, reduction: str
) -> None:
    _checks.at_least(alpha, 0, "alpha")
    _checks.at_least(beta, 0, "beta")
    if not -math.inf < log_zero < 0:
        rule = "be negative and finite, since it stands for log 0"
        raise ValueError(_checks.complaint("log_zero", rule, f"{log_zero!r}"))
    _checks.between(label_smoothing, 0, 1, "label_smoothing")
    _checks.reduction(reduction)


def _log_at_least(probs: Tensor, log_zero: float) -> Tensor:
    """Return max(log(probs), log_zero); its gradient is 0, not NaN, where a probability is 0."""
    return probs.clamp(min=math.exp(log_zero)).log().clamp(min=log_zero)


def _sample_weight(target: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return the weight of each sample's label; 0 where it is ignored."""
    valid = target != ignore_index
    if weight is None:
        return valid
    index = target.where(valid, 0).unsqueeze(-1)  # vmap cannot index by a tensor without dimension
    return weight[index].squeeze(-1) * valid


def _mix(log_p: Tensor, alpha: float, beta: float, log_zero: float) -> Tensor:
    """Return alpha CE + beta RCE, given the log-probability of hard labels."""
    # RCE = A (p - 1) is an ELU of log p with scale A: one kernel forward and one backward.
    # The slope of an ELU is A p to the last digit; that of expm1 rounds it away.
    rce = F.elu(log_p, alpha=beta * log_zero)
    return torch.sub(rce, log_p, alpha=alpha) if alpha else rce  # 0 times an infinite CE is NaN


def symmetric_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Cross-entropy plus its reverse, for labels of which some are wrong.

    .. math:: \ell_n = \alpha \, \mathrm{CE}_n + \beta \, \mathrm{RCE}_n,
       \qquad \mathrm{RCE}_n = -\sum_k p_{nk} \max(\log t_{nk}, A)

    For a hard label :math:`y` the reverse part is :math:`-A (1 - p_y)`, and the gradient is that of
    cross-entropy times :math:`\alpha + \beta |A| \, p_y`: a label weighs as much as the model
    already believes it. With ``alpha=1`` and ``beta=0`` it is ``cross_entropy``.

    A drop-in for ``torch.nn.functional.cross_entropy``, also under autocast, ``torch.compile``,
    ``vmap`` and ``grad``.

    Args:
        input: logits, shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices in [0, K), int64, shape (N,), () or (N, d1, ...); or class
            probabilities :math:`t`, floating, of the shape of input.
        alpha: factor of cross-entropy. Larger learns faster, and learns wrong labels sooner.
        beta: factor of reverse cross-entropy.
        log_zero: the finite :math:`A < 0` that stands for :math:`\log 0`. Only the product
            of beta and log_zero matters for hard labels.
        weight: one factor a class, shape (K,). It scales both parts of a sample: by the weight
            of its label, or by the mean weight under its label distribution.
        ignore_index: a class index that counts for nothing: its loss is 0, its weight too.
        label_smoothing: the share in [0, 1] of the uniform distribution in both parts, as if the
            smoothed distribution had been passed.
        reduction: "mean" (over the summed weights of class indices; over the samples and
            positions, whatever their weight, of class probabilities), "sum" or "none".

    Returns:
        Loss in nats, at least 0 where the weights are; a scalar, or the shape of class indices for
        "none". Float32 where input is half precision, else of the dtype of input. The mean of
        nothing is NaN, as in torch.

    Raises:
        ValueError: shapes disagree, alpha or beta is negative, log_zero is not negative,
            label_smoothing leaves [0, 1], or ignore_index is a class while target holds
            probabilities.
        TypeError: target is neither integer indices nor floating probabilities, or input or
            weight not floating.
        IndexError: a class index lies outside [0, K); torch finds it, on a GPU later and otherwise.

    References:
        Wang, Ma, Chen, Luo, Yi and Bailey, "Symmetric Cross Entropy for Robust Learning with
        Noisy Labels", ICCV 2019, pages 322-330.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> symmetric_cross_entropy(logits, torch.tensor([0, 1]), alpha=1.0, reduction="none")
        tensor([ 2.6931, 54.0000])
    """
    _check_settings(alpha, beta, log_zero, label_smoothing, reduction)
    soft = _checks.class_target(input, target)
    logits = _checks.at_least_float32(input)
    if weight is not None:
        _checks.class_weight(weight, input.shape[_checks.class_dim(input)])
        weight = weight.to(logits.dtype)
    settings = (alpha, beta, log_zero, label_smoothing)
    if soft:
        _no_ignored_class(ignore_index)
        losses = _of_distributions(logits, target.to(logits.dtype), weight, *settings)
        return _reduce(losses, reduction, losses.numel())
    losses, count = _of_indices(logits, target.long(), weight, ignore_index, *settings)
    return _reduce(losses, reduction, count)


def _of_indices(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    alpha: float,
    beta: float,
    log_zero: float,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Return each sample's loss, and the sum of weights that its mean divides by."""
    log_p = -F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="none")
    scale = _sample_weight(target, weight, ignore_index)
    count = scale.sum()
    if not label_smoothing:
        losses = _mix(log_p, alpha, beta, log_zero)  # 0 where ignored, since log_p is 0 there
        return (losses if weight is None else scale * losses), count

    # A smoothed label has two values only, on the class and off it: RCE = -log_on p - log_off (1-p)
    num_classes = int(logits.shape[_checks.class_dim(logits)])
    off = label_smoothing / num_classes
    log_off = max(math.log(off), log_zero)
    log_on = max(math.log(1 - label_smoothing + off), log_zero)
    rce = F.elu(log_p, alpha=log_off - log_on) - log_on
    if weight is not None:
        others = weight.mean() * (target != ignore_index)
        scale = (1 - label_smoothing) * scale + label_smoothing * others
    losses = beta * (scale * rce)
    if alpha:
        losses = losses + alpha * F.cross_entropy(
            logits,
            target,
            weight,
            ignore_index=ignore_index,
            reduction="none",
            label_smoothing=label_smoothing,
        )
    return losses, count


def _of_distributions(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    alpha: float,
    beta: float,
    log_zero: float,
    label_smoothing: float,
) -> Tensor:
    """Return the loss of each sample and position whose label is a distribution."""
    dim = _checks.class_dim(logits)
    target = (1 - label_smoothing) * target + label_smoothing / logits.shape[dim]
    rce = -(logits.softmax(dim) * _log_at_least(target, log_zero)).sum(dim)
    if weight is not None:
        rce = rce * _times_weight(target, weight, dim).sum(dim)
    if not alpha:
        return beta * rce
    return alpha * F.cross_entropy(logits, target, weight, reduction="none") + beta * rce


def reverse_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Cross-entropy with prediction and label swapped.

    .. math:: \ell_n = -\sum_k p_{nk} \max(\log t_{nk}, A)

    With a hard label every class but the labelled one contributes :math:`A`, so the sum collapses
    to :math:`-A (1 - p_{n y_n})`: bounded, whatever the label. Summed over all K labels it is
    :math:`-A (K - 1)`, whatever the prediction, which is what makes it robust to labels that are
    flipped at random. With A = -2 it is the mean absolute error, summed over the classes.

    It is ``symmetric_cross_entropy`` with ``alpha=0`` and ``beta=1``; see there for what both
    accept.

    Args:
        input: logits, shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices in [0, K), int64, shape (N,), () or (N, d1, ...); or class
            probabilities :math:`t`, floating, of the shape of input.
        log_zero: the finite :math:`A < 0` that stands for :math:`\log 0`.
        weight: one factor a class, shape (K,).
        ignore_index: a class index that counts for nothing.
        label_smoothing: the share in [0, 1] of the uniform distribution in the label.
        reduction: "mean", "sum" or "none".

    Returns:
        Loss in nats, in [0, -log_zero] where no weight is given; a scalar, or the shape of class
        indices for "none".

    Raises:
        ValueError: as ``symmetric_cross_entropy``.
        TypeError: as ``symmetric_cross_entropy``.
        IndexError: as ``symmetric_cross_entropy``.

    References:
        Wang et al., ICCV 2019, as ``symmetric_cross_entropy``. Losses whose sum over the labels
        is constant: Ghosh, Kumar and Sastry, "Robust Loss Functions under Label Noise for Deep
        Neural Networks", AAAI 2017.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> reverse_cross_entropy(logits, torch.tensor([0, 1]), reduction="none")
        tensor([2., 4.])
    """
    return symmetric_cross_entropy(
        input,
        target,
        alpha=0.0,
        beta=1.0,
        log_zero=log_zero,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


def binary_symmetric_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    *,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Symmetric cross-entropy of one logit a label: two classes, or many labels at once.

    .. math:: \ell = \alpha \, \mathrm{BCE}
       - \beta \left(p \max(\log y, A) + (1 - p) \max(\log (1 - y), A)\right)

    where :math:`p = \sigma(z)`. It equals ``symmetric_cross_entropy`` of the two logits (0, z).
    Like that, it tells labels from probabilities by the dtype of the target.

    Args:
        input: logits, any shape.
        target: same shape; labels 0 and 1, integer or bool, or probabilities :math:`y` in [0, 1],
            floating. Floating 0.0 and 1.0 give what the labels give.
        alpha: factor of binary cross-entropy.
        beta: factor of the reverse part.
        log_zero: the finite :math:`A < 0` that stands for :math:`\log 0`.
        weight: factor for each element; broadcasts to the shape of input.
        reduction: "mean" (over all elements, whatever their weight), "sum" or "none".

    Returns:
        Loss in nats, at least 0 where the weights are; a scalar, or the shape of input for "none".
        Float32 where input is half precision, else of the dtype of input. The mean of nothing is
        NaN, as in torch.

    Raises:
        ValueError: shapes differ, alpha or beta is negative, or log_zero is not negative.
        TypeError: input or weight is not floating.

    References:
        Wang et al., ICCV 2019, as ``symmetric_cross_entropy``.

    Example:
        >>> logits = torch.tensor([0.0, 50.0])
        >>> binary_symmetric_cross_entropy_with_logits(
        ...     logits, torch.tensor([1, 0]), alpha=1.0, reduction="none"
        ... )
        tensor([ 2.6931, 54.0000])
    """
    _check_settings(alpha, beta, log_zero, 0.0, reduction)
    _checks.floating(input, "input")
    _checks.same_shape(input, target)
    logits = _checks.at_least_float32(input)
    if not target.is_floating_point():
        sign = 2 * target.to(logits.dtype) - 1
        losses = _mix(F.logsigmoid(sign * logits), alpha, beta, log_zero)
        return _rescale(losses, weight, reduction)

    y = target.to(logits.dtype)
    log_y, log_not_y = _log_at_least(y, log_zero), _log_at_least(1 - y, log_zero)
    losses = -beta * (logits.sigmoid() * log_y + (-logits).sigmoid() * log_not_y)
    if alpha:
        ce = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        losses = torch.add(losses, ce, alpha=alpha)
    return _rescale(losses, weight, reduction)


def generalized_cross_entropy(
    input: Tensor,
    target: Tensor,
    *,
    q: float = 0.7,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""A bridge from cross-entropy (q towards 0) to the mean absolute error (q = 1).

    .. math:: \ell_n = w_{y_n} \frac{1 - p_{n y_n}^q}{q}

    Its gradient is that of cross-entropy times :math:`p_y^q`.

    Args:
        input: logits, shape (N, K), (K,) or (N, K, d1, ...).
        target: class indices in [0, K), int64, shape (N,), () or (N, d1, ...).
        q: in (0, 1]. Larger is more robust and slower to learn.
        weight: one factor a class, shape (K,).
        ignore_index: a target that counts for nothing: its loss is 0, its weight too.
        reduction: "mean" (over the summed weights of the targets), "sum" or "none".

    Returns:
        Loss in [0, 1/q] where no weight is given; a scalar, or the shape of target for "none".
        Float32 where input is half precision, else of the dtype of input. The mean of nothing is
        NaN, as in torch.

    Raises:
        ValueError: shapes disagree, or q lies outside (0, 1].
        TypeError: target is not integer, or input or weight not floating.
        IndexError: a class index lies outside [0, K); torch finds it, on a GPU later and otherwise.

    References:
        Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with
        Noisy Labels", NeurIPS 2018, pages 8778-8788.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> generalized_cross_entropy(logits, torch.tensor([0, 1]), q=1.0, reduction="none")
        tensor([0.5000, 1.0000])
    """
    _check_q(q)
    _checks.reduction(reduction)
    _checks.class_indices(input, target)
    logits, target = _checks.at_least_float32(input), target.long()
    log_p = -F.cross_entropy(logits, target, ignore_index=ignore_index, reduction="none")
    losses = F.elu(q * log_p, alpha=-1 / q)  # (1 - exp(q log p)) / q; for the ELU see _mix
    if weight is not None:
        _checks.class_weight(weight, input.shape[_checks.class_dim(input)])
        weight = weight.to(logits.dtype)
    scale = _sample_weight(target, weight, ignore_index)
    return _reduce(losses if weight is None else scale * losses, reduction, scale.sum())


def _check_q(q: float) -> None:
    if not 0 < q <= 1:
        mend = "The limit at 0 is cross_entropy." if q == 0 else ""
        raise ValueError(_checks.complaint("q", "lie in (0, 1]", f"{q!r}", mend))


def _settings(module: nn.Module, *names: str) -> str:
    """Write a module's settings as its constructor takes them."""
    return ", ".join(f"{name}={getattr(module, name)!r}" for name in names)


class SymmetricCrossEntropyLoss(nn.Module):
    """``symmetric_cross_entropy`` as a module; its weight, if any, moves with it.

    Example:
        >>> criterion = SymmetricCrossEntropyLoss(ignore_index=0)
        >>> criterion(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(3.1386)
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        log_zero: float = -4.0,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        """Keep the settings of the function; a wrong one is refused here already."""
        super().__init__()
        _check_settings(alpha, beta, log_zero, label_smoothing, reduction)
        self.alpha = alpha
        self.beta = beta
        self.log_zero = log_zero
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits, shape (N, K), and class indices, shape (N,)."""
        return symmetric_cross_entropy(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            log_zero=self.log_zero,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Show the constants on which the loss depends."""
        return _settings(self, "alpha", "beta", "log_zero")


class ReverseCrossEntropyLoss(SymmetricCrossEntropyLoss):
    """``reverse_cross_entropy`` as a module: symmetric cross-entropy without cross-entropy.

    Example:
        >>> ReverseCrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(3.)
    """

    def __init__(
        self,
        *,
        log_zero: float = -4.0,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        """Keep the settings of the function; a wrong one is refused here already."""
        super().__init__(
            alpha=0.0,
            beta=1.0,
            log_zero=log_zero,
            weight=weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            reduction=reduction,
        )

    def extra_repr(self) -> str:
        """Show the constant on which the loss depends."""
        return _settings(self, "log_zero")


class BinarySymmetricCrossEntropyWithLogitsLoss(nn.Module):
    """``binary_symmetric_cross_entropy_with_logits`` as a module; its weight moves with it.

    Example:
        >>> criterion = BinarySymmetricCrossEntropyWithLogitsLoss()
        >>> criterion(torch.zeros(2), torch.tensor([0.0, 1.0]))
        tensor(2.0693)
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        log_zero: float = -4.0,
        weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:
        """Keep the settings of the function; a wrong one is refused here already."""
        super().__init__()
        _check_settings(alpha, beta, log_zero, 0.0, reduction)
        self.alpha = alpha
        self.beta = beta
        self.log_zero = log_zero
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits and targets of one shape."""
        return binary_symmetric_cross_entropy_with_logits(
            input,
            target,
            alpha=self.alpha,
            beta=self.beta,
            log_zero=self.log_zero,
            weight=self.weight,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Show the constants on which the loss depends."""
        return _settings(self, "alpha", "beta", "log_zero")


class GeneralizedCrossEntropyLoss(nn.Module):
    """``generalized_cross_entropy`` as a module; its weight, if any, moves with it.

    Example:
        >>> GeneralizedCrossEntropyLoss(q=1.0)(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(0.7500)
    """

    def __init__(
        self,
        *,
        q: float = 0.7,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        """Keep the settings of the function; a wrong one is refused here already."""
        super().__init__()
        _check_q(q)
        _checks.reduction(reduction)
        self.q = q
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits, shape (N, K), and class indices, shape (N,)."""
        return generalized_cross_entropy(
            input,
            target,
            q=self.q,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )

    def extra_repr(self) -> str:
        """Show the constant on which the loss depends."""
        return _settings(self, "q")
