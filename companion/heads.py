"""The three ways to end a binary classifier, and the exact maps between the last two.

======================  ==================  =================  =============================
head                    forward gives       loss               decision
======================  ==================  =================  =============================
:class:`SigmoidHead`    probabilities (N,)  ``BCELoss``        probability above 0.5
:class:`LogitHead`      logits (N,)         BCE with logits    logit above 0
:class:`SoftmaxHead`    logits (N, 2)       cross-entropy      the larger of the two logits
======================  ==================  =================  =============================
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["LogitHead", "SigmoidHead", "SoftmaxHead", "to_one_logit", "to_two_logits"]


class SigmoidHead(nn.Module):
    """One output and a sigmoid inside the model; trained with ``BCELoss``.

    In float32 the sigmoid rounds to exactly 1 from a logit of 17 on. There ``BCELoss`` has no
    gradient left, so that a confident mistake is never mended; :class:`LogitHead` has no such end.

    Args:
        in_features: the number H of features that come in.
        bias: whether the linear layer has a bias.
        device: where the parameters live.
        dtype: the type of the parameters.

    Example:
        >>> head = SigmoidHead(3)
        >>> head(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, in_features: int, *, bias: bool = True, device=None, dtype=None) -> None:
        """Make the linear layer with one output."""
        super().__init__()
        self.linear = nn.Linear(in_features, 1, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the probability of class 1, shape (N,), for ``input`` of shape (N, H)."""
        return torch.sigmoid(_linear(self.linear, input).squeeze(1))

    def positive_probs(self, input: Tensor) -> Tensor:
        """Return the probability of class 1, shape (N,), in [0, 1]."""
        return self(input)

    def loss(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean ``BCELoss`` in nats; ``target`` is int64, 0 or 1, shape (N,)."""
        probs = self(input)
        return F.binary_cross_entropy(probs, _binary(target, probs).to(probs.dtype))


class LogitHead(nn.Module):
    """One output, left as a logit; trained with BCE with logits.

    Args:
        in_features: the number H of features that come in.
        bias: whether the linear layer has a bias.
        device: where the parameters live.
        dtype: the type of the parameters.

    Example:
        >>> head = LogitHead(3)
        >>> head(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    def __init__(self, in_features: int, *, bias: bool = True, device=None, dtype=None) -> None:
        """Make the linear layer with one output."""
        super().__init__()
        self.linear = nn.Linear(in_features, 1, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the logit of class 1, shape (N,), for ``input`` of shape (N, H)."""
        return _linear(self.linear, input).squeeze(1)

    def positive_probs(self, input: Tensor) -> Tensor:
        """Return the probability of class 1, shape (N,), in [0, 1]."""
        return torch.sigmoid(self(input))

    def loss(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean BCE with logits in nats; ``target`` is int64, 0 or 1, shape (N,)."""
        logits = self(input)
        return F.binary_cross_entropy_with_logits(logits, _binary(target, logits).to(logits.dtype))


class SoftmaxHead(nn.Module):
    """Two outputs, one logit for each class; trained with cross-entropy.

    Only the difference of the two logits matters, so H + 1 of its parameters are spare.

    Args:
        in_features: the number H of features that come in.
        bias: whether the linear layer has a bias.
        device: where the parameters live.
        dtype: the type of the parameters.

    Example:
        >>> head = SoftmaxHead(3)
        >>> head(torch.zeros(5, 3)).shape
        torch.Size([5, 2])
    """

    def __init__(self, in_features: int, *, bias: bool = True, device=None, dtype=None) -> None:
        """Make the linear layer with two outputs."""
        super().__init__()
        self.linear = nn.Linear(in_features, 2, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Return the logits of classes 0 and 1, shape (N, 2), for ``input`` of shape (N, H)."""
        return _linear(self.linear, input)

    def positive_probs(self, input: Tensor) -> Tensor:
        """Return the probability of class 1, shape (N,), in [0, 1]."""
        return torch.softmax(self(input), dim=1)[:, 1]

    def loss(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats; ``target`` is int64, 0 or 1, shape (N,)."""
        logits = self(input)
        return F.cross_entropy(logits, _binary(target, logits[:, 0]))


def to_two_logits(head: LogitHead) -> SoftmaxHead:
    """Write a one-logit head as a two-logit head whose first logit is always 0.

    Args:
        head: the one-logit head with weight w and bias b.

    Returns:
        A new head with the rows (0, w) and biases (0, b), of the same type, on the same device:
        the same loss, probabilities and decisions. :func:`to_one_logit` gives ``head`` back.

    Raises:
        TypeError: ``head`` is not a :class:`LogitHead`.

    Example:
        >>> two = to_two_logits(LogitHead(3))
        >>> two(torch.ones(1, 3))[0, 0].item()
        0.0
    """
    if not isinstance(head, LogitHead):
        raise TypeError(f"head must be a LogitHead; got {type(head).__name__}.")
    two = _like(SoftmaxHead, head)
    with torch.no_grad():
        for new, old in zip(two.parameters(), head.parameters(), strict=True):
            new.copy_(torch.cat([torch.zeros_like(old), old]))
    return two


def to_one_logit(head: SoftmaxHead) -> LogitHead:
    """Write a two-logit head as the one-logit head of the difference, logit 1 minus logit 0.

    Args:
        head: the two-logit head with the rows w0 and w1.

    Returns:
        A new head with weight w1 - w0 and bias b1 - b0, of the same type, on the same device:
        the same loss, probabilities and decisions up to rounding.

    Raises:
        TypeError: ``head`` is not a :class:`SoftmaxHead`.

    Example:
        >>> head = LogitHead(3)
        >>> torch.equal(to_one_logit(to_two_logits(head)).linear.weight, head.linear.weight)
        True
    """
    if not isinstance(head, SoftmaxHead):
        raise TypeError(f"head must be a SoftmaxHead; got {type(head).__name__}.")
    one = _like(LogitHead, head)
    with torch.no_grad():
        for new, old in zip(one.parameters(), head.parameters(), strict=True):
            new.copy_(old[1:] - old[:1])
    return one


def _like(kind: type[nn.Module], head: nn.Module) -> nn.Module:
    """Make a head of another kind with the features, bias, type and device of ``head``."""
    linear = head.linear
    # Made on the meta device, so that no initial values are drawn and the global seed stays put.
    new = kind(
        linear.in_features, bias=linear.bias is not None, device="meta", dtype=linear.weight.dtype
    )
    return new.to_empty(device=linear.weight.device).train(head.training)


def _linear(linear: nn.Linear, input: Tensor) -> Tensor:
    """Apply ``linear`` after checking that ``input`` has its shape and type."""
    if input.ndim != 2 or input.shape[1] != linear.in_features:
        mend = " input.unsqueeze(0) makes a batch of one." if input.ndim == 1 else ""
        raise ValueError(
            f"input must have shape (N, {linear.in_features}); got {tuple(input.shape)}.{mend}"
        )
    if input.dtype != linear.weight.dtype and not torch.is_autocast_enabled(input.device.type):
        want, got = (str(t.dtype).removeprefix("torch.") for t in (linear.weight, input))
        raise TypeError(
            f"input must be {want}, as the weights are; got {got}. "
            f"Convert one of them: input.to(torch.{want}) or head.to(torch.{got})."
        )
    return linear(input)


def _binary(target: Tensor, scores: Tensor) -> Tensor:
    """Return ``target`` after checking that it holds one 0 or 1 for each of ``scores``."""
    if target.shape != scores.shape:
        mend = " target.squeeze(1) drops the column." if target.ndim == 2 else ""
        raise ValueError(
            f"target must have shape {tuple(scores.shape)}, one label for each row of input; "
            f"got {tuple(target.shape)}.{mend}"
        )
    if len(target) == 0:
        raise ValueError("input must hold at least one sample; a mean over none is undefined.")
    if target.dtype != torch.int64:
        got = str(target.dtype).removeprefix("torch.")
        raise TypeError(
            f"target must hold class indices (int64); got {got}. "
            "target.long() converts labels 0.0 and 1.0."
        )
    if ((target != 0) & (target != 1)).any():
        raise ValueError(
            f"target must hold 0 or 1; got values from {target.min().item()} "
            f"to {target.max().item()}."
        )
    return target
