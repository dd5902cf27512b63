"""The rule from output to label: which one follows from the loss, and whether the user's is it."""

import torch
from torch import Tensor

from . import tensors as ask
from .evidence import Evidence, Found

_RULES = {
    "logits/classes": "logits, one class: output.argmax(dim=1); output.softmax(dim=1) for "
    "probabilities.",
    "log_probs/classes": "log-probabilities, one class: output.argmax(dim=1); output.exp() for "
    "probabilities.",
    "probs/classes": "probabilities, one class: output.argmax(dim=1).",
    "logits/elements": "logits, yes or no for each element: positive where output > 0; "
    "torch.sigmoid(output) for scores; never argmax over one column.",
    "probs/elements": "probabilities, yes or no for each element: positive where output > 0.5; "
    "the output is the score.",
}


def kind_of_output(case: Evidence) -> str:
    """Return what the criterion takes the output for, with how: "logits/classes" and the like."""
    for use in case.uses:
        if use.values.inside:
            continue
        one_class = case.classes is not None
        return {
            "softmax": "logits/classes",
            "nll": "log_probs/classes",
            "sigmoid": "logits/unknown" if one_class else "logits/elements",
            "log": "probs/classes" if one_class else "probs/elements",
        }[use.kind]
    for call in case.calls:
        if call.contract.takes != "any" and (call.from_output or call.derived):
            return f"{call.contract.takes}/{call.contract.over}"
    return "unknown"


def rule(case: Evidence) -> str:
    """Return the decision rule that follows from the criterion."""
    none = "no rule from output to label follows from this criterion."
    return _RULES.get(kind_of_output(case), none)


def decisions(case: Evidence) -> Found:
    """The user's own rule, tried on the batch and on outputs that leave no doubt."""
    output = case.output
    if case.predict is None or not isinstance(output, Tensor):
        return
    if not output.is_floating_point() or not output.numel() or not output.ndim:
        return
    answer, error = case.asker.call(case.predict, output.detach().clone())
    if error is not None:
        yield "predict_fails", {"error": ask.describe(error)}
        return
    answer = _tensor(answer)
    if answer is None:
        case.unchecked.append("the decision: predict returned neither a tensor nor numbers")
        return
    # A few samples are enough to learn what the rule does.
    for test in (_constant, _shape, _threshold, _shift, _across_batch, _many_labels):
        if found := list(test(case, answer)):
            yield from found
            return


def _tensor(answer: object) -> Tensor | None:
    try:
        return answer if isinstance(answer, Tensor) else torch.as_tensor(answer)
    except (TypeError, ValueError, RuntimeError):
        return None


def _try(case: Evidence, output: Tensor) -> Tensor | None:
    """Return what predict says to another output, as float64."""
    # Not in half precision: the question is what the rule does, not how it rounds.
    wide = torch.promote_types(case.output.dtype, torch.float32)
    answer, error = case.asker.call(case.predict, output.to(case.output.device, wide))
    answer = None if error is not None else _tensor(answer)
    return None if answer is None else answer.detach().double()


def _drawn(case: Evidence, scale: float, seed: int) -> Tensor:
    """Return outputs of at most 32 samples that the rule is tried on."""
    drawn = ask.drawn(case.output[:32], scale, seed)
    return drawn.sigmoid() if kind_of_output(case).startswith("probs") else drawn


def _shape(case: Evidence, answer: Tensor) -> Found:
    """Labels whose comparison with the target would broadcast."""
    target, output = case.target, case.output
    if not isinstance(target, Tensor) or answer.shape == target.shape:
        return
    facts = {"output": ask.shape(output), "labels": ask.shape(answer), "target": ask.shape(target)}
    facts["fix"] = "output.argmax(dim=1)" if case.classes is not None else "(output > 0).long()"
    if answer.numel() == 1 and target.numel() > 1 and len(output) > 1:
        yield "one_answer", facts
        return
    if kind_of_output(case) == "logits/classes" and target.shape == output.shape:
        return  # the target holds probabilities of classes, predict one class
    if answer.shape == output.shape and case.classes and answer.is_floating_point():
        return  # scores of all classes
    try:
        together = torch.broadcast_shapes(answer.shape, target.shape)
    except RuntimeError:
        together = None
    if together is not None and together.numel() > max(answer.numel(), target.numel()):
        # A column asked for with keepdim is one that its writer knows of.
        meant = case.classes is not None and answer.ndim > target.ndim
        level = "note" if meant else "suspicion"
        yield "labels_broadcast", facts | {"together": tuple(together), "level": level}
    elif case.classes is not None and answer.numel() != target.numel() and answer.ndim == 1:
        yield "labels_number", facts
    elif case.elementwise and target.ndim > 1 and answer.ndim == target.ndim - 1:
        most = float(target.double().sum(1).max())
        if target.shape[1] > 1 and most > 1:
            yield "one_of_several", facts | {"most": most}


def _constant(case: Evidence, answer: Tensor) -> Found:
    """A rule that says the same whatever it is given."""
    if not answer.numel() or case.output.numel() < 2:
        return
    tries = [_try(case, _drawn(case, 6.0, seed)) for seed in range(4)]
    if any(one is None or one.numel() == 0 for one in tries):
        return
    first = tries[0].flatten()[0]
    if not all(bool((one == first).all()) for one in tries):
        return
    column = case.output.ndim > 1 and case.output.shape[1] == 1
    what = f"the rule says {float(first):g} to everything"
    if column and first == 0:
        what = "argmax over one column is always 0"
    probs = kind_of_output(case).startswith("probs")
    yield "constant", {"what": what, "count": sum(one.numel() for one in tries),
                       "shape": ask.shape(case.output), "value": float(first),
                       "limit": "0.5" if probs else "0"}  # fmt: skip


def _threshold(case: Evidence, answer: Tensor) -> Found:
    """Where a yes-or-no rule turns from no to yes."""
    kind = kind_of_output(case)
    if not kind.endswith("/elements") or answer.numel() != case.output.numel():
        return
    logits = kind == "logits/elements"
    points = torch.linspace(-8, 8, 321) if logits else torch.linspace(0.0, 1.0, 201)
    shape = case.output[:32].shape
    flat, told = shape.numel(), []
    for part in points.split(flat)[:41]:
        filled = torch.zeros(flat)
        filled[: len(part)] = part
        tried = _try(case, filled.reshape(shape))
        if tried is None:
            return
        told.append(tried.flatten()[: len(part)])
    told = torch.cat(told)
    values = torch.unique(told)
    facts = {"low": float(points[0]), "high": float(points[-1]), "least": float(told[0]),
             "most": float(told[-1]), "limit": "0" if logits else "0.5"}  # fmt: skip
    if len(values) > 2 and bool(((values - values.round()).abs() < 1e-9).all()):
        yield "many_values", facts
    elif len(values) == 2 and len(told) == len(points):
        place = int((told == values[1]).nonzero()[0, 0])
        before, turn = float(points[place - 1]), float(points[place])
        if told[0] > told[-1]:
            yield "turned_rule", facts
        elif logits and 0.45 <= turn <= 0.56:
            half = float(torch.sigmoid(torch.tensor(0.5)))
            yield "half_as_logit", {"before": before, "turn": turn, "half": half}


def _shift(case: Evidence, answer: Tensor) -> Found:
    """Softmax does not see a constant added to all scores; a rule for it should not either."""
    if kind_of_output(case) != "logits/classes" or case.classes in (None, 1):
        return
    base = _drawn(case, 2.0, 1)
    first, second = _try(case, base), _try(case, base + 3.0)
    if first is None or second is None or first.shape != second.shape:
        return
    changed = int(((first - second).abs() > 1e-3).sum())
    labels = first.ndim == case.target.ndim
    if changed and (labels or bool(((second >= 0) & (second <= 1)).all())):
        level = "certain" if labels else "suspicion"
        yield "one_score_looked_at", {"changed": changed, "count": first.numel(), "level": level}


def _across_batch(case: Evidence, answer: Tensor) -> Found:
    """The label of a sample must not depend on who else is in the batch."""
    draw = _drawn(case, 2.0, 2)
    if len(draw) < 2 or answer.ndim == 0:
        return
    straight, turned = _try(case, draw), _try(case, draw.flip(0))
    if straight is None or turned is None or straight.shape[:1] != draw.shape[:1]:
        return
    other = draw.clone()
    other[0] = draw[0].flip(0) if draw.ndim > 1 and draw.shape[1] > 1 else -draw[0]
    changed = _try(case, other)
    mixed = changed is not None and changed.shape == straight.shape
    mixed = mixed and bool(((changed[1:] - straight[1:]).abs() > 1e-6).any())
    if mixed or bool(((straight - turned.flip(0)).abs() > 1e-6).any()):
        yield "depends_on_others", {"count": len(draw)}


def _many_labels(case: Evidence, answer: Tensor) -> Found:
    """Scores that share one probability where several labels can be true."""
    target = case.target
    if kind_of_output(case) != "logits/elements" or not case.elementwise or target.ndim < 2:
        return
    most = float(target.double().sum(1).max())
    several = answer.shape == case.output.shape and target.shape[1] > 1 and most > 1
    if several and ask.sums_to_one(answer.detach().float(), 1):
        yield "shared_scores", {"most": most}


def contradicted(case: Evidence) -> Found:
    """Outputs that the loss likes must be labelled as the target says."""
    if case.predict is None or case.small is None or case.loss is None:
        return
    target = case.small[1]
    count = case.layout[1] if case.layout else 2 * case.elementwise
    known = (target >= 0) & (target < count)
    if case.heard is not None and case.heard.shape == known.shape:
        known &= case.heard
    if case.elementwise and target.is_floating_point():
        known &= target == target.round()
    if count < 2 or int(known.sum()) < 4 or len(torch.unique(target[known])) < 2:
        return
    # A quantity for the class that was chosen, say, says nothing about the others.
    if case.layout and case.domain == "unknown" and not case.own_column:
        return
    best = case.fitted
    told = None if best is None else _try(case, best[0])
    if told is None or told.shape != target.shape or not torch.equal(told, told.round()):
        return
    if case.layout and target.ndim > 1:  # each token from those before it
        rolled = [target.roll(step, 1) for step in (-2, -1, 1, 2)]
        if any(float((told == other).double().mean()) > 0.5 for other in rolled):
            return
    labels, agreed = target[known], (told == target)[known].double()
    right, number = int(agreed.sum()), int(known.sum())
    recalls = [float(agreed[labels == label].mean()) for label in torch.unique(labels)]
    if sum(recalls) < 0.75 * len(recalls):
        level = "certain" if right == 0 else "suspicion"
        yield "contradicted", {"before": best[1], "after": best[2], "right": right,
                               "number": number, "level": level}  # fmt: skip
