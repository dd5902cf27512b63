"""Rules on numbers: NaN, infinity, saturation, and inputs of another scale."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from . import values as ask
from .case import Case
from .codes import finding
from .report import Finding
from .sandbox import tensors_in

_SENTINELS = (-99.0, -999.0, -9999.0, -1.0e9, 999.0, 9999.0)


def bad_values(case: Case) -> Iterator[Finding]:
    """NaN or infinity in what went in."""
    for role, value in (("output", case.output), ("target", case.target)):
        for tensor in tensors_in(value):
            bad = _bad_values(tensor, role, case)
            if bad:
                yield finding(
                    "NUMERICS",
                    "certain",
                    f"the {role} holds {bad[0]}, and so does whatever is computed from it",
                    f"{bad[1]} of {tensor.numel()} values{case.here}.",
                    "torch.autograd.set_detect_anomaly(True) names the first step that made it"
                    if role == "output"
                    else "Clean the labels before they become a tensor.",
                )


def not_finite(case: Case) -> Iterator[Finding]:
    """NaN or infinity in the loss, or in its gradient."""
    if case.loss is None or not case.loss.is_floating_point():
        return
    loss = case.loss.detach()
    if loss.numel() == 0 and isinstance(case.target, Tensor) and case.target.numel():
        return
    if isinstance(case.output, Tensor) and case.output.numel() == 0:
        yield finding(
            "NUMERICS",
            "certain",
            "the batch is empty, and the mean over nothing is NaN",
            f"output of shape {ask.shape(case.output)}{case.here}.",
            "Skip empty batches.",
        )
        return
    if not bool(loss.isfinite().all()):
        yield _infinite_loss(case, loss)
    elif case.gradient is not None and not bool(case.gradient.isfinite().all()):
        bad = int((~case.gradient.isfinite()).sum())
        yield finding(
            "NUMERICS",
            "certain",
            "the loss is finite and its gradient is not: one step makes every weight NaN",
            f"{bad} of {case.gradient.numel()} gradients are NaN or infinite{case.here}.",
            "The losses that take logits have no such corner: F.cross_entropy, "
            "F.binary_cross_entropy_with_logits.",
        )


def _bad_values(tensor: Tensor, role: str, case: Case) -> tuple[str, int] | None:
    if not tensor.is_floating_point():
        return None
    nans = int(tensor.isnan().sum())
    finite = case.loss is not None and bool(case.loss.isfinite().all())
    # A NaN in the target may mark what is not known and be left out.
    if nans and not (role == "target" and finite):
        return "NaN", nans
    plus = int(torch.isposinf(tensor).sum())
    if plus:
        return "infinity", plus
    # -inf masks a class out, as long as it is nobody's label.
    minus = int(torch.isneginf(tensor).sum())
    if minus and not finite and role == "output":
        return "-infinity at a label", minus
    return None


def _infinite_loss(case: Case, loss: Tensor) -> Finding:
    low, high = ask.span(case.output) if isinstance(case.output, Tensor) else (math.nan, math.nan)
    logs = [use for use in case.uses if use.kind == "log"]
    kind = "NaN" if bool(loss.isnan().any()) else "infinite"
    if logs:
        what = f"the loss is {kind}: a logarithm meets 0 or less"
        fix = "F.cross_entropy or F.binary_cross_entropy_with_logits on the logits"
    else:
        what, fix = f"the loss is {kind}", "torch.autograd.set_detect_anomaly(True)"
    return finding(
        "NUMERICS",
        "certain",
        what,
        f"output from {low:.4g} to {high:.4g}"
        + (f" in {ask.dtype(case.output)}" if isinstance(case.output, Tensor) else "")
        + f"{case.here}.",
        fix,
    )


def saturated(case: Case) -> Iterator[Finding]:
    """Probabilities of exactly 0 or 1 on the wrong side, where BCELoss has no slope left."""
    for call in case.calls:
        if call.contract.takes != "probs" or call.result is None:
            continue
        given, target = call.input, call.target
        wrong = ((given == 0) & (target == 1)) | ((given == 1) & (target == 0))
        number = int(wrong.sum())
        if number:
            yield finding(
                "NUMERICS",
                "note",
                "probabilities are rounded to 0 or 1 on the wrong side and cannot come back",
                f"{number} of {given.numel()} cost 100 each, and the sigmoid before them has "
                "slope 0.",
                "F.binary_cross_entropy_with_logits(logits, target)",
            )


def large_features(case: Case) -> Iterator[Finding]:
    """Inputs of the model that hold NaN, codes for "missing", or very different scales."""
    features = ask.first_tensor(case.inputs)
    if features is None or not features.is_floating_point() or features.numel() < 2:
        return
    bad = int((~features.isfinite()).sum())
    if bad:
        yield finding(
            "NUMERICS",
            "certain",
            "the inputs of the model hold NaN or infinity",
            f"{bad} of {features.numel()} values.",
            "Impute missing values before training.",
            "Training",
        )
        return
    values = features.detach().double()
    for code in _SENTINELS:
        share = float((values == code).double().mean())
        largest = float(values[values != code].abs().max()) if share < 1 else 0.0
        if 0 < share < 0.5 and abs(code) > 5 * max(largest, 1e-12):
            yield finding(
                "NUMERICS",
                "note",
                f"the inputs hold {code:g} again and again: a code for missing values?",
                f"{share:.2%} of the values are {code:g}; no other exceeds {largest:.4g}.",
                "Replace it by the column's mean and standardise.",
                "Training",
            )
            return
    if values.ndim == 2 and values.shape[0] > 1:
        spread = values.std(0)
        least, most = _least(spread), float(spread.max())
        if least > 0 and most / least > 1e3:
            yield finding(
                "NUMERICS",
                "note",
                "the inputs differ in scale by more than a thousand",
                f"standard deviations from {least:.4g} to {most:.4g}.",
                "(x - mean) / std, with the numbers of the training set",
                "Training",
            )


def _least(spread: Tensor) -> float:
    positive = spread[spread > 0]
    return float(positive.min()) if positive.numel() else 0.0


CAUSES = (bad_values, saturated, large_features)
SYMPTOMS = (not_finite,)
