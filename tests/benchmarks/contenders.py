"""The contenders: torch's losses, ours, and published algorithms written from their formulas."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import linear_losses, losses

ALPHA, BETA = 0.1, 1.0


def torch_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target)


def symmetric(logits: Tensor, target: Tensor) -> Tensor:
    return losses.symmetric_cross_entropy(logits, target)


def reverse(logits: Tensor, target: Tensor) -> Tensor:
    return losses.reverse_cross_entropy(logits, target)


def generalized(logits: Tensor, target: Tensor) -> Tensor:
    return losses.generalized_cross_entropy(logits, target)


def clamped(logits: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Prediction and label as distributions that are at least eps."""
    probs = F.softmax(logits, dim=1).clamp(eps, 1)
    label = F.one_hot(target, logits.shape[1]).to(logits.dtype).clamp(eps, 1)
    return probs, label


def sce_of_the_web_page(logits: Tensor, target: Tensor) -> Tensor:
    """SCE with eps = 1e-18 and a second cross-entropy that is computed to be printed."""
    probs, label = clamped(logits, target, eps=1e-18)
    _ = -(label * probs.log()).sum(dim=1)
    return ALPHA * F.cross_entropy(logits, target) - BETA * (probs * label.log()).sum(dim=1).mean()


def sce_one_hot(logits: Tensor, target: Tensor) -> Tensor:
    """SCE as commonly published: cross-entropy, a second softmax, a clamped one-hot label."""
    probs, label = clamped(logits, target, eps=1e-4)
    return ALPHA * F.cross_entropy(logits, target) - BETA * (probs * label.log()).sum(dim=1).mean()


def sce_on_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    """SCE of a model that ends in softmax: both parts from clamped distributions."""
    probs, label = clamped(logits, target, eps=1e-7)
    forward = -(label * probs.log()).sum(dim=1).mean()
    return ALPHA * forward - BETA * (probs * label.log()).sum(dim=1).mean()


CLASSES = {
    "`F.cross_entropy`": torch_cross_entropy,
    "`symmetric_cross_entropy`": symmetric,
    "`reverse_cross_entropy`": reverse,
    "`generalized_cross_entropy`": generalized,
    "SCE with a clamped one-hot label": sce_one_hot,
    "SCE on probabilities": sce_on_probabilities,
    "SCE of the web page": sce_of_the_web_page,
}


def torch_binary(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, target)


def binary_of_sigmoid(logits: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy(logits.sigmoid(), target)


def binary_by_hand(logits: Tensor, target: Tensor) -> Tensor:
    """The formula as written: in float32 it is inf or NaN from a logit of 17."""
    probs = logits.sigmoid()
    return -(target * probs.log() + (1 - target) * (1 - probs).log()).mean()


def binary_symmetric_of_labels(logits: Tensor, target: Tensor) -> Tensor:
    return losses.binary_symmetric_cross_entropy_with_logits(logits, target.bool())


def binary_symmetric_of_probabilities(logits: Tensor, target: Tensor) -> Tensor:
    return losses.binary_symmetric_cross_entropy_with_logits(logits, target)


BINARY = {
    "`F.binary_cross_entropy_with_logits`": torch_binary,
    "`F.binary_cross_entropy` of the sigmoid": binary_of_sigmoid,
    "binary cross-entropy as written": binary_by_hand,
    "`binary_symmetric_cross_entropy_with_logits`, bool target": binary_symmetric_of_labels,
    "the same, floating target": binary_symmetric_of_probabilities,
}


def torch_in_chunks(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return F.linear_cross_entropy(hidden, weight, target, options=nn.LinearCrossEntropyOptions())


def sce_of_torchs_single_losses(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """SCE from the cross-entropy of each sample, for which torch needs the logits twice."""
    options = nn.LinearCrossEntropyOptions()
    ce = F.linear_cross_entropy(hidden, weight, target, reduction="none", options=options).float()
    return (ALPHA * ce + 4 * BETA * (1 - (-ce).exp())).mean()


def linear_symmetric(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return linear_losses.linear_symmetric_cross_entropy(hidden, weight, target)


def linear_generalized(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return linear_losses.linear_generalized_cross_entropy(hidden, weight, target)


def linear_single_losses(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    single = linear_losses.linear_symmetric_cross_entropy(hidden, weight, target, reduction="none")
    return single.mean()


def on_logits(function):
    """A loss of the logits, with the layer that makes them."""
    return lambda hidden, weight, target: function(F.linear(hidden, weight), target)


def layers() -> dict:
    """The contenders that take a last layer; torch's own need torch 2.13."""
    torch.compiler.reset()
    compiled = torch.compile(on_logits(symmetric), fullgraph=True, dynamic=False)
    return {
        "`F.linear_cross_entropy` in chunks": torch_in_chunks,
        "`linear_symmetric_cross_entropy`": linear_symmetric,
        "`linear_generalized_cross_entropy`": linear_generalized,
        "`linear_symmetric_cross_entropy`, single losses": linear_single_losses,
        "SCE of torch's single losses in chunks": sce_of_torchs_single_losses,
        "`F.cross_entropy` on logits": on_logits(torch_cross_entropy),
        "`symmetric_cross_entropy` on logits": on_logits(symmetric),
        "`symmetric_cross_entropy` on logits, compiled": compiled,
        "SCE with a clamped one-hot label": on_logits(sce_one_hot),
    }


def check(logits: Tensor, target: Tensor) -> None:
    """Assert that the published algorithms compute what ours does, up to their clamps."""
    published = {sce_one_hot: 1e-4, sce_on_probabilities: 1e-7, sce_of_the_web_page: 1e-18}
    for function, eps in published.items():
        log_zero = math.log(eps)
        ours = losses.symmetric_cross_entropy(logits, target, log_zero=log_zero).item()
        raised = logits.shape[1] * eps * -log_zero  # at most, where every prediction is clamped
        assert math.isclose(function(logits, target), ours, rel_tol=1e-5, abs_tol=raised)
