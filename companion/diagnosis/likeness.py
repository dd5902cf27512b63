"""Recognise a known loss that somebody has written by hand, by what it gives."""

import torch
from torch import Tensor
from torch.nn import functional

from . import graph
from .case import Case
from .trace import CONTRACTS, Call

_SHIFTS = (0.0, 0.25, -0.5, 1.0)


def like_known(case: Case) -> None:
    """Add the known loss that a criterion equals, where no call of one was seen.

    A softmax and a logarithm written by hand are cross-entropy all the same: the values say so at
    four outputs drawn for the purpose.
    """
    if case.calls or case.small is None or case.loss is None or not case.repeats:
        return
    output, target = case.small
    if not output.numel() or target.numel() == 0:
        return
    for points, function, known in _candidates(case, output, target):
        factor = _constant_factor(case, function, points, target)
        if factor is not None:
            options = {"reduction": "mean", "factor": factor}
            contract = CONTRACTS[known]
            case.calls.append(
                Call(contract, case.given, case.given_target, options, True, True, derived=True)
            )
            if contract.takes == "logits" and not case.uses_activation:
                kind = "softmax" if contract.over == "classes" else "sigmoid"
                made = graph.producer(case.given.grad_fn, case.bridge)
                case.uses.append(graph.Use(kind, None, made))
            return


def _candidates(case: Case, output: Tensor, target: Tensor):
    """Yield points to compare at, a known loss, and the key of its contract."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.promote_types(output.dtype, torch.float32)
    noise = [
        (scale * torch.randn(output.shape, generator=generator)).to(output.device, wide)
        for scale in (1.0, 2.0, 1.5, 0.5)
    ]
    if case.classes is not None and case.classes > 1:
        yield noise, functional.cross_entropy, functional.cross_entropy
        logs = [point.log_softmax(1) + shift for point, shift in zip(noise, _SHIFTS, strict=True)]
        yield logs, functional.nll_loss, functional.nll_loss
    elif target.shape == output.shape and target.is_floating_point():
        with_logits = functional.binary_cross_entropy_with_logits
        yield noise, with_logits, with_logits
        squashed = [point.sigmoid() for point in noise]
        yield squashed, functional.binary_cross_entropy, functional.binary_cross_entropy
        # Other sums are a multinomial likelihood of counts, say.
        sums = target.double().sum(1) if target.ndim == 2 else None
        if sums is not None and bool(((sums - 1).abs() < 1e-2).all()):
            yield noise, functional.cross_entropy, functional.cross_entropy
            yield noise, _soft_nll, functional.nll_loss


def _soft_nll(log_probs: Tensor, target: Tensor) -> Tensor:
    return -(target * log_probs).sum(1).mean()


def _constant_factor(case: Case, function, points, target: Tensor) -> float | None:
    """Return the factor between criterion and candidate, where they differ by it and a constant."""
    ours, theirs = [], []
    for point in points:
        goal = target.to(point.dtype) if target.is_floating_point() else target
        known, error = case.sandbox.call(function, point.clone(), goal.clone())
        price = case.ask(point, target)
        if price is None or error is not None:
            return None
        ours.append(price)
        theirs.append(float(known))
    steps = [(ours[i] - ours[i + 1], theirs[i] - theirs[i + 1]) for i in (0, 1, 2)]
    if any(abs(step) < 1e-6 for _, step in steps):
        return None
    ratios = [mine / step for mine, step in steps]
    # Means over many samples are nearly alike whatever the loss, so all digits must agree.
    if not abs(ratios[0]) > 1e-9 or max(ratios) - min(ratios) > 3e-5 * abs(ratios[0]):
        return None
    if abs(ours[0] - ratios[0] * (theirs[0] + 1)) < 1e-3 * abs(ratios[0]):
        return None  # 1 - p, which takes probabilities and no logarithms of them
    return ratios[0]
