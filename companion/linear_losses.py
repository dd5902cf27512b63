"""The noise-robust losses of a last linear layer, without its logits.

With a large vocabulary the logits are the cost: N x K numbers, and a loss keeps several copies. But
the loss of a sample, and its gradient, take one row of them only; so a few rows at a time are
computed, used for the loss and at once for its gradient, and forgotten. What is kept is the
gradient, which has the sizes of ``input`` and ``linear_weight``. Each loss is the one of
``companion.losses`` without ``linear`` in its name, of ``F.linear(input, linear_weight,
linear_bias)``; the arguments are named and ordered as in
``torch.nn.functional.linear_cross_entropy``, but no version of torch needs to have that.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import _checks, losses


def _walk(
    loss: Callable, rows: int, layer: tuple, target: Tensor, wanted: list[bool], slopes=None
) -> tuple[Tensor, list[Tensor | None]]:
    """Return the loss of each row of the layer's input, and the gradients of their sum.

    ``slopes`` are the factors of the rows in that sum, 1 where there are none.
    """
    input, weight, bias = layer
    grads = [torch.zeros_like(x) if want else None for x, want in zip(layer, wanted, strict=True)]
    grads[1:] = [g if g is None else _checks.at_least_float32(g) for g in grads[1:]]  # these add up
    found = []
    for start in range(0, max(len(input), 1), rows):  # no row is a chunk as well, to be checked
        chunk = slice(start, start + rows)
        logits = F.linear(input[chunk], weight, bias).detach().requires_grad_(any(wanted))
        with torch.set_grad_enabled(any(wanted)):
            each = loss(logits, target[chunk])
        found.append(each.detach())
        if any(wanted):
            slope = torch.ones_like(each) if slopes is None else slopes[chunk]
            (slope,) = torch.autograd.grad(each, logits, slope)
            _add(grads, slope, input[chunk], weight, chunk)
            del slope
        del logits, each  # before those of the next chunk are made
    return torch.cat(found), grads


def _add(grads: list, slope: Tensor, input: Tensor, weight: Tensor, chunk: slice) -> None:
    """Add what the slope of a chunk's logits means for input, weight and bias."""
    if grads[0] is not None:
        torch.mm(slope, weight, out=grads[0][chunk])
    if grads[1] is not None and grads[1].dtype == slope.dtype:
        grads[1].addmm_(slope.T, input)  # without a second buffer of K x H
    elif grads[1] is not None:
        grads[1] += slope.T @ input
    if grads[2] is not None:
        grads[2] += slope.sum(0, dtype=grads[2].dtype)


class _InChunks(torch.autograd.Function):
    """The loss of each row, or ``ahead`` their sum and, at once, its gradient."""

    @staticmethod
    def forward(ctx, input, weight, bias, target, loss, rows, ahead) -> Tensor:
        ctx.save_for_backward(input, weight, bias, target)
        ctx.loss, ctx.rows = loss, rows
        wanted = [ahead and need for need in ctx.needs_input_grad[:3]]
        found, grads = _walk(loss, rows, (input, weight, bias), target, wanted)
        ctx.grads = grads if ahead else None
        return found.sum() if ahead else found

    @staticmethod
    def backward(ctx, slopes: Tensor) -> tuple:
        grads, ctx.grads = ctx.grads, None  # handed out once: the optimiser's buffers from now on
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # create_graph: all logits at once, for torch to differentiate
            *layer, target = ctx.saved_tensors
            learned = [x for x, want in zip(layer, wanted, strict=True) if want]
            each = ctx.loss(F.linear(*layer), target)
            slopes = slopes.expand(each.shape)
            found = iter(torch.autograd.grad(each, learned, slopes, create_graph=True))
            grads = [next(found) if want else None for want in wanted]
        elif grads is None:  # each row has its own slope, or the gradient is asked for once more
            *layer, target = ctx.saved_tensors
            slopes = slopes.expand(target.shape)
            grads = _walk(ctx.loss, ctx.rows, layer, target, wanted, slopes)[1]
        else:
            grads = [grad if grad is None else grad.mul_(slopes) for grad in grads]
        return *grads, None, None, None, None


def _linear(loss: Callable, input, linear_weight, target, linear_bias, options: dict, rows):
    """Return a loss of the layer's logits; ``options`` are those of ``loss``."""
    _check_layer(input, linear_weight, target, linear_bias, rows)
    reduction, weight = options["reduction"], options["weight"]
    _checks.reduction(reduction)
    learns_weight = weight is not None and weight.requires_grad
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or learns_weight:
        logits = F.linear(input, linear_weight, linear_bias).flatten(0, -2)
        found = loss(logits, target.flatten(), **options)
        return found.reshape(target.shape) if reduction == "none" else found

    layer = [input.reshape(-1, input.shape[-1]), linear_weight, linear_bias]
    _checks.class_indices(layer[0], target.flatten())
    device = input.device.type
    if torch.is_autocast_enabled(device):  # as in F.linear; our products are out of its sight
        dtype = torch.get_autocast_dtype(device)
        layer = [x if x is None or x.dtype == torch.float64 else x.to(dtype) for x in layer]
    if rows is None:  # a few MB of logits, or an eighth of the layer, and enough to keep it busy
        num_classes, features = linear_weight.shape
        rows = max(2**21 // max(num_classes, 1), features // 8, 64)
    ahead = reduction != "none" and torch.is_grad_enabled()
    per_row = partial(loss, **{**options, "reduction": "none"})
    found = _InChunks.apply(*layer, target.flatten(), per_row, rows, ahead)
    if reduction == "none":
        return found.reshape(target.shape)
    if reduction == "sum":
        return found.sum()
    nothing = (target == options["ignore_index"]).all()  # its mean is NaN, and its gradient 0
    count = losses._sample_weight(target, weight, options["ignore_index"]).sum()
    return torch.where(nothing, torch.nan, found.sum() / torch.where(nothing, 1, count))


def _check_layer(input, linear_weight, target, linear_bias, rows) -> None:
    for value, name in ((input, "input"), (linear_weight, "linear_weight")):
        _checks.floating(value, name)
    _checks.tensor(target, "target")
    if linear_weight.dim() != 2 or input.shape[-1:] != linear_weight.shape[1:]:
        rule = f"have shape (K, H) beside input of shape {tuple(input.shape)}, (..., H)"
        raise ValueError(_checks.complaint("linear_weight", rule, linear_weight))
    if target.shape != input.shape[:-1]:
        rule = f"have shape {tuple(input.shape[:-1])} beside input of shape {tuple(input.shape)}"
        mend = "It holds one class index for each row of input."
        raise ValueError(_checks.complaint("target", rule, target, mend))
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:1]:
        rule = f"have shape ({len(linear_weight)},), one a class"
        raise ValueError(_checks.complaint("linear_bias", rule, linear_bias))
    if rows is not None:
        _checks.at_least(rows, 1, "batch_chunk_size")


def linear_symmetric_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    batch_chunk_size: int | None = None,
) -> Tensor:
    r"""``symmetric_cross_entropy`` of a linear layer, without keeping its logits.

    .. math:: \ell_n = \alpha \, \mathrm{CE}(W h_n + b, y_n) + \beta \, \mathrm{RCE}(W h_n + b, y_n)

    "mean" and "sum" compute the gradient beside the loss, and "none" computes the logits a second
    time for it. All logits are made at once under ``torch.compile`` and ``torch.jit.trace``, for
    second derivatives, and for a ``weight`` that is learned. Forward-mode derivatives and
    ``torch.func`` are refused: pass the logits to ``symmetric_cross_entropy`` there.

    Args:
        input: what the layer takes, shape (N, H), (B, T, H) or (H,); all dimensions but the last
            are flattened to rows. A language model's are its last hidden states.
        linear_weight: the layer's weight, shape (K, H), such as ``lm_head.weight``.
        target: class indices in [0, K), int64, shape (N,), (B, T) or (). That the target of a
            token is the next one is for the caller to see to: ``input[:, :-1]``, ``tokens[:, 1:]``.
        linear_bias: the layer's bias, shape (K,).
        alpha: as all that follow but the last, what it is in ``symmetric_cross_entropy``.
        beta: factor of reverse cross-entropy.
        log_zero: the finite :math:`A < 0` that stands for :math:`\log 0`.
        weight: one factor a class, shape (K,).
        ignore_index: a class index that counts for nothing.
        label_smoothing: the share in [0, 1] of the uniform distribution in both parts.
        reduction: "mean", "sum" or "none".
        batch_chunk_size: how many rows of logits exist at a time. Fewer take less memory and
            more time; None chooses.

    Returns:
        Loss in nats; a scalar, or the shape of target for "none". Float32 where the layer computes
        in half precision, as under autocast. The mean of nothing is NaN, as in torch.

    Raises:
        ValueError: as ``symmetric_cross_entropy``, or input, linear_weight and linear_bias
            disagree.
        TypeError: as there; class probabilities are refused, which would be as large as logits.
        IndexError: as there.

    Example:
        >>> hidden = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> weight, target = torch.eye(2), torch.tensor([0, 1])
        >>> linear_symmetric_cross_entropy(hidden, weight, target, alpha=1.0, reduction="none")
        tensor([ 2.6931, 54.0000])
    """
    options = {
        "alpha": alpha,
        "beta": beta,
        "log_zero": log_zero,
        "weight": weight,
        "ignore_index": ignore_index,
        "label_smoothing": label_smoothing,
        "reduction": reduction,
    }
    layer = (input, linear_weight, target, linear_bias)
    return _linear(losses.symmetric_cross_entropy, *layer, options, batch_chunk_size)


def linear_reverse_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    log_zero: float = -4.0,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    batch_chunk_size: int | None = None,
) -> Tensor:
    """``reverse_cross_entropy`` of a linear layer, without keeping its logits.

    It is ``linear_symmetric_cross_entropy`` with ``alpha=0`` and ``beta=1``; see there for the
    arguments, what it returns and what it refuses.

    Example:
        >>> hidden = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> target = torch.tensor([0, 1])
        >>> linear_reverse_cross_entropy(hidden, torch.eye(2), target, reduction="none")
        tensor([2., 4.])
    """
    return linear_symmetric_cross_entropy(
        input,
        linear_weight,
        target,
        linear_bias=linear_bias,
        alpha=0.0,
        beta=1.0,
        log_zero=log_zero,
        weight=weight,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
        batch_chunk_size=batch_chunk_size,
    )


def linear_generalized_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    q: float = 0.7,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    batch_chunk_size: int | None = None,
) -> Tensor:
    """``generalized_cross_entropy`` of a linear layer, without keeping its logits.

    See there for ``q``, and ``linear_symmetric_cross_entropy`` for the other arguments, what it
    returns and what it refuses.

    Example:
        >>> hidden = torch.tensor([[0.0, 0.0], [50.0, 0.0]])
        >>> target = torch.tensor([0, 1])
        >>> linear_generalized_cross_entropy(hidden, torch.eye(2), target, q=1.0, reduction="none")
        tensor([0.5000, 1.0000])
    """
    options = {"q": q, "weight": weight, "ignore_index": ignore_index, "reduction": reduction}
    layer = (input, linear_weight, target, linear_bias)
    return _linear(losses.generalized_cross_entropy, *layer, options, batch_chunk_size)


class LinearSymmetricCrossEntropyLoss(losses.SymmetricCrossEntropyLoss):
    """``linear_symmetric_cross_entropy`` with a layer of its own.

    As in torch's ``LinearCrossEntropyLoss`` the layer is ``linear``; the other settings are those
    of ``SymmetricCrossEntropyLoss``.

    Example:
        >>> criterion = LinearSymmetricCrossEntropyLoss(8, 4, ignore_index=0)
        >>> criterion(torch.zeros(2, 8), torch.tensor([0, 3]))
        tensor(3.1386, grad_fn=<WhereBackward0>)
    """

    def __init__(
        self, in_features: int, num_classes: int, *, bias=False, device=None, dtype=None, **settings
    ) -> None:
        """Make the layer, and keep the settings of the function."""
        super().__init__(**settings)
        self.linear = nn.Linear(in_features, num_classes, bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the layer's logits, for its input and class indices."""
        return linear_symmetric_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            alpha=self.alpha,
            beta=self.beta,
            log_zero=self.log_zero,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class LinearReverseCrossEntropyLoss(LinearSymmetricCrossEntropyLoss):
    """``linear_reverse_cross_entropy`` with a layer of its own.

    Example:
        >>> LinearReverseCrossEntropyLoss(8, 4)(torch.zeros(2, 8), torch.tensor([0, 3]))
        tensor(3., grad_fn=<WhereBackward0>)
    """

    def __init__(self, in_features: int, num_classes: int, **settings) -> None:
        """Make the layer, and keep the settings of the function."""
        super().__init__(in_features, num_classes, alpha=0.0, beta=1.0, **settings)

    def extra_repr(self) -> str:
        """Show the constant on which the loss depends."""
        return f"log_zero={self.log_zero!r}"


class LinearGeneralizedCrossEntropyLoss(losses.GeneralizedCrossEntropyLoss):
    """``linear_generalized_cross_entropy`` with a layer of its own.

    The layer is ``linear``; the other settings are those of ``GeneralizedCrossEntropyLoss``.

    Example:
        >>> criterion = LinearGeneralizedCrossEntropyLoss(8, 4, q=1.0)
        >>> criterion(torch.zeros(2, 8), torch.tensor([0, 3]))
        tensor(0.7500, grad_fn=<WhereBackward0>)
    """

    def __init__(
        self, in_features: int, num_classes: int, *, bias=False, device=None, dtype=None, **settings
    ) -> None:
        """Make the layer, and keep the settings of the function."""
        super().__init__(**settings)
        self.linear = nn.Linear(in_features, num_classes, bias, device, dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the layer's logits, for its input and class indices."""
        return linear_generalized_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            q=self.q,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )
