"""The rule from output to label: which one follows from the loss, and whether the user's is it."""

from collections.abc import Iterator

import torch
from torch import Tensor

from . import values as ask
from .case import Case
from .codes import finding
from .probes import domain_of, fitted, own_column
from .report import Finding

_CLASSES = "logits, one class: output.argmax(dim=1); output.softmax(dim=1) for probabilities."
_LOG_PROBS = "log-probabilities, one class: output.argmax(dim=1); output.exp() for probabilities."
_LOGITS = (
    "logits, yes or no for each element: positive where output > 0; torch.sigmoid(output) for "
    "scores; never argmax over one column."
)
_PROBS = (
    "probabilities, yes or no for each element: positive where output > 0.5; the output is the "
    "score."
)
_FITTED_ELEMENTS = 2**19
_NONE = "no rule from output to label follows from this criterion."


def kind_of_output(case: Case) -> str:
    """Return what the criterion takes the output for, with how: "logits/classes" and the like."""
    for use in case.uses:
        if use.producer.inside:
            continue
        if use.kind == "softmax":
            return "logits/classes"
        if use.kind == "nll":
            return "log_probs/classes"
        one_class = case.classes is not None
        if use.kind == "sigmoid":
            return "logits/unknown" if one_class else "logits/elements"
        return "probs/classes" if one_class else "probs/elements"
    for call in case.calls:
        if call.contract.takes != "any" and (call.from_output or call.derived):
            return f"{call.contract.takes}/{call.contract.over}"
    return "unknown"


def rule(case: Case) -> str:
    """Return the decision rule that follows from the criterion."""
    kind = kind_of_output(case)
    if kind == "probs/classes":
        return "probabilities, one class: output.argmax(dim=1)."
    return {
        "logits/classes": _CLASSES,
        "log_probs/classes": _LOG_PROBS,
        "logits/elements": _LOGITS,
        "probs/elements": _PROBS,
    }.get(kind, _NONE)


def decisions(case: Case) -> Iterator[Finding]:
    """The user's own rule, tried on the batch and on outputs that leave no doubt."""
    if case.predict is None or not isinstance(case.output, Tensor):
        return
    if not case.output.is_floating_point() or not case.output.numel() or not case.output.ndim:
        return
    answer, error = case.sandbox.call(case.predict, case.output.detach().clone())
    if error is not None:
        yield _rule("certain", "predict fails", f"it raises {ask.describe(error)}", "")
        return
    answer = torch.as_tensor(answer) if isinstance(answer, list | tuple) else answer
    if not isinstance(answer, Tensor):
        case.unchecked.append(f"the decision: predict returned {type(answer).__name__}")
        return
    # A few samples are enough to learn what the rule does.
    for test in (_constant, _shape, _threshold, _shift, _across_batch, _many_labels):
        found = test(case, answer)
        if found is not None:
            yield found
            return


def _rule(level: str, what: str, evidence: str, fix: str) -> Finding:
    return finding("DECISION_RULE", level, what, evidence + ".", fix)


def _drawn(case: Case) -> torch.Size:
    """Return the shape of the outputs that the rule is tried on."""
    return torch.Size((min(case.output.shape[0], 32), *case.output.shape[1:]))


def _try(case: Case, output: Tensor) -> Tensor | None:
    """Return what predict says to another output, as float64."""
    # Not in half precision: the question is what the rule does, not how it rounds.
    wide = torch.promote_types(case.output.dtype, torch.float32)
    answer, error = case.sandbox.call(case.predict, output.to(case.output.device, wide))
    if error is not None:
        return None
    if isinstance(answer, list | tuple):
        answer = torch.as_tensor(answer)
    return answer.detach().double() if isinstance(answer, Tensor) else None


def _shape(case: Case, answer: Tensor) -> Finding | None:
    """Labels whose comparison with the target would broadcast."""
    target = case.target
    if not isinstance(target, Tensor) or answer.shape == target.shape:
        return None
    if answer.numel() == 1 and target.numel() > 1 and case.output.shape[0] > 1:
        return _rule(
            "certain",
            "predict gives one answer for the whole batch",
            f"output {ask.shape(case.output)}, one number for {target.numel()} targets",
            "output.argmax(dim=1)" if case.classes is not None else "(output > 0).long()",
        )
    if kind_of_output(case) == "logits/classes" and target.shape == case.output.shape:
        return None  # the target holds probabilities of classes, predict one class
    if (
        answer.shape == case.output.shape
        and case.classes is not None
        and answer.is_floating_point()
    ):
        return None  # scores of all classes
    try:
        together = torch.broadcast_shapes(answer.shape, target.shape)
    except RuntimeError:
        together = None
    if together is not None and together.numel() > max(answer.numel(), target.numel()):
        # A column asked for with keepdim is one that its writer knows of.
        meant = case.classes is not None and answer.ndim > target.ndim
        return finding(
            "BROADCAST",
            "note" if meant else "suspicion",
            "comparing these labels with the target compares each with each",
            f"predict gives {ask.shape(answer)}, the target is {ask.shape(target)}: == gives "
            f"{tuple(together)}, so an accuracy may exceed 100 %.",
            "predicted.reshape(target.shape) == target",
            "Decisions",
        )
    if case.classes is not None and answer.numel() != target.numel() and answer.ndim == 1:
        return _rule(
            "certain",
            "predict does not give one label for each sample",
            f"output {ask.shape(case.output)}, labels {ask.shape(answer)}, target "
            f"{ask.shape(target)}",
            "output.argmax(dim=1)",
        )
    if case.elementwise and target.ndim > 1 and answer.ndim == target.ndim - 1:
        sums = target.double().sum(1)
        if target.shape[1] > 1 and bool((sums > 1).any()):
            return _rule(
                "certain",
                "predict gives one label where several can be true",
                f"labels {ask.shape(answer)}, target {ask.shape(target)} with up to "
                f"{float(sums.max()):g} true at once",
                "(output > 0).long()",
            )
    return None


def _constant(case: Case, answer: Tensor) -> Finding | None:
    """A rule that says the same whatever it is given."""
    if not answer.numel():
        return None
    probs = kind_of_output(case).startswith("probs")
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randn(_drawn(case), generator=generator) * 6 for _ in range(4)]
    tries = [_try(case, draw.sigmoid() if probs else draw) for draw in draws]
    if any(one is None or one.numel() == 0 for one in tries):
        return None
    first = tries[0].flatten()[0]
    if not all(bool((one == first).all()) for one in tries) or case.output.numel() < 2:
        return None
    column = case.output.ndim > 1 and case.output.shape[1] == 1
    if column and first == 0:
        what = "argmax over one column is always 0"
    else:
        what = f"the rule says {float(first):g} to everything"
    return _rule(
        "certain",
        what,
        f"{sum(one.numel() for one in tries)} outputs drawn "
        + ("between 0 and 1" if probs else "from -20 to 20")
        + f", shape {tuple(_drawn(case))}: always {float(first):g}",
        "(output > 0.5).long()" if probs else "(output > 0).long()",
    )


def _threshold(case: Case, answer: Tensor) -> Finding | None:
    """Where a yes-or-no rule turns from no to yes."""
    kind = kind_of_output(case)
    if kind not in ("logits/elements", "probs/elements"):
        return None
    if answer.numel() != case.output.numel():
        return None
    logits = kind == "logits/elements"
    points = torch.linspace(-8, 8, 321) if logits else torch.linspace(0.0, 1.0, 201)
    flat = _drawn(case).numel()
    answers = []
    for start in range(0, len(points), flat):
        part = points[start : start + flat]
        filled = torch.zeros(flat)
        filled[: len(part)] = part
        tried = _try(case, filled.reshape(_drawn(case)))
        if tried is None or len(answers) > 40:
            return None
        answers.append(tried.flatten()[: len(part)])
    told = torch.cat(answers)
    values = torch.unique(told)
    if len(values) > 2:
        if bool(((values - values.round()).abs() < 1e-9).all()):
            return _rule(
                "certain",
                "the labels are not only 0 and 1",
                f"outputs from {float(points[0]):g} to {float(points[-1]):g} become "
                f"{float(values[0]):g} to {float(values[-1]):g}: round does not decide between "
                "logits",
                "(output > 0).long()",
            )
        return None  # scores
    if len(values) != 2:
        return None
    if told[0] > told[-1]:
        return _rule(
            "certain",
            "the rule is turned round: high scores become 0",
            f"outputs of {float(points[0]):g} become {float(told[0]):g}, outputs of "
            f"{float(points[-1]):g} become {float(told[-1]):g}",
            "(output > 0).long()" if logits else "(output > 0.5).long()",
        )
    place = int((told == values[1]).nonzero()[0, 0])
    before, turn = float(points[place - 1]), float(points[place])
    if logits and 0.45 <= turn <= 0.56:
        probability = float(torch.sigmoid(torch.tensor(0.5)))
        return _rule(
            "suspicion",
            "logits are compared with 0.5 as if they were probabilities",
            f"the rule turns between the logits {before:.2f} and {turn:.2f}, where the probability "
            f"is {probability:.2f}",
            "(output > 0).long(), or torch.sigmoid(output) > 0.5",
        )
    return None


def _shift(case: Case, answer: Tensor) -> Finding | None:
    """Softmax does not see a constant added to all scores; a rule for it should not either."""
    if kind_of_output(case) != "logits/classes" or case.classes in (None, 1):
        return None
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(_drawn(case), generator=generator) * 2
    first, second = _try(case, base), _try(case, base + 3.0)
    if first is None or second is None or first.shape != second.shape:
        return None
    changed = int(((first - second).abs() > 1e-3).sum())
    labels = first.ndim == case.target.ndim
    if changed and (labels or bool(((second >= 0) & (second <= 1)).all())):
        return _rule(
            "suspicion" if not labels else "certain",
            "the rule looks at one score alone, and softmax compares the scores",
            f"adding 3 to all scores of a sample changes nothing for the loss, and {changed} of "
            f"{first.numel()} answers",
            "output.argmax(dim=1), or output.softmax(dim=1)",
        )
    return None


def _across_batch(case: Case, answer: Tensor) -> Finding | None:
    """The label of a sample must not depend on who else is in the batch."""
    count = _drawn(case)[0]
    if count < 2 or answer.ndim == 0:
        return None
    generator = torch.Generator().manual_seed(2)
    draw = torch.randn(_drawn(case), generator=generator) * 2
    if kind_of_output(case).startswith("probs"):
        draw = draw.sigmoid()
    straight, turned = _try(case, draw), _try(case, draw.flip(0))
    if straight is None or turned is None or straight.shape[:1] != (count,):
        return None
    other = draw.clone()
    other[0] = draw[0].flip(0) if draw.ndim > 1 and draw.shape[1] > 1 else -draw[0]
    changed = _try(case, other)
    mixed = changed is not None and changed.shape == straight.shape
    mixed = mixed and bool(((changed[1:] - straight[1:]).abs() > 1e-6).any())
    if mixed or bool(((straight - turned.flip(0)).abs() > 1e-6).any()):
        return finding(
            "WRONG_DIM",
            "certain",
            "the decision on a sample depends on the other samples",
            f"changing one sample of {count} changes the answers to others: the rule works along "
            "the batch.",
            "argmax(dim=1), softmax(dim=1)",
            "Decisions",
        )
    return None


def _many_labels(case: Case, answer: Tensor) -> Finding | None:
    """Scores that share one probability where several labels can be true."""
    if kind_of_output(case) != "logits/elements" or not case.elementwise:
        return None
    target = case.target
    if target.ndim < 2 or target.shape[1] < 2 or answer.shape != case.output.shape:
        return None
    several = bool((target.double().sum(1) > 1).any())
    if several and ask.sums_to_one(answer.detach().float(), 1):
        return _rule(
            "suspicion",
            "the scores share out one probability among labels that can all be true",
            f"rows of the scores add up to 1, rows of the target to as much as "
            f"{float(target.double().sum(1).max()):g}",
            "torch.sigmoid(output)",
        )
    return None


def unpleasant(case: Case) -> Iterator[Finding]:
    """Outputs that please the loss must be labelled as the target says."""
    if case.predict is None or case.small is None or case.loss is None:
        return
    output, target = case.small
    if output.numel() > _FITTED_ELEMENTS:
        return
    count = case.layout[1] if case.layout else 2 * case.elementwise
    known = (target >= 0) & (target < count)
    if case.elementwise and target.is_floating_point():
        known &= target == target.round()
    if count < 2 or int(known.sum()) < 4 or len(torch.unique(target[known])) < 2:
        return
    # A quantity for the class that was chosen, say, says nothing about the others.
    if case.layout and domain_of(case) == "unknown" and not own_column(case, "unknown", target):
        return
    best = fitted(case)
    told = None if best is None else _try(case, best[0])
    if told is None or told.shape != target.shape or not torch.equal(told, told.round()):
        return
    if (
        case.layout
        and target.ndim > 1
        and any(
            float((told == target.roll(step, 1)).double().mean()) > 0.5 for step in (-2, -1, 1, 2)
        )
    ):
        return  # each token from those before it
    labels, agreed = target[known], (told == target)[known].double()
    right, number = int(agreed.sum()), int(known.sum())
    recalls = [float(agreed[labels == label].mean()) for label in torch.unique(labels)]
    if sum(recalls) < 0.75 * len(recalls):
        yield _rule(
            "certain" if right == 0 else "suspicion",
            "what pleases the loss is labelled otherwise than the target says",
            f"outputs were fitted to the target until the loss fell from {best[1]:.4f} to "
            f"{best[2]:.4f}, and predict gives {right} of {number} their target's label",
            "output.argmax(dim=1) where large scores win, output.argmin(dim=1) where distances do",
        )


RULES = (decisions,)
SYMPTOMS = (unpleasant,)
