"""Rules on how the criterion is called: what is passed, in which shape, with which options."""

import inspect
import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from . import values as ask
from .case import Case
from .codes import finding
from .report import Finding
from .targets import holds_classes
from .trace import Call

_TARGETS = re.compile(r"true|truth|target|label|^gt|^y$|actual", re.IGNORECASE)
_OUTPUTS = re.compile(r"pred|hat|input|output|logit|score|prob|^out$|^x$", re.IGNORECASE)


def call_form(case: Case) -> Iterator[Finding]:
    """A class instead of a criterion, arguments swapped, or no tensors at all."""
    criterion = case.criterion
    if isinstance(criterion, type):
        yield _api(
            f"{criterion.__name__} is a class: it has to be made before it is called",
            f"calling it with {case.facts} makes a {criterion.__name__} of them, no loss.",
            f"criterion = {criterion.__name__}(); loss = criterion(output, target)",
        )
        return
    if not callable(criterion):
        yield _api(
            "the criterion cannot be called",
            f"it is a {type(criterion).__name__}.",
            "diagnose(criterion, output, target)",
        )
        return
    if isinstance(case.result, nn.Module):
        name = type(case.result).__name__
        yield _api(
            f"the criterion gives back a module ({name}) and no loss",
            "the tensors were handed to the constructor, which takes options.",
            f"nn.{name}()(output, target)",
        )
    if _in_constructor(case):
        yield _api(
            "the output is handed to the constructor of the loss, which takes options",
            "the loss holds a weight that was computed by the model "
            f"(shape {ask.shape(_learned_weight(case))})."
            if _learned_weight(case) is not None
            else f"{case.facts}; torch says: {ask.describe(case.error)}",
            "nn.CrossEntropyLoss()(output, target)",
        )
    if case.swapped:
        yield _api(
            "output and target are swapped",
            _swap_evidence(case),
            "criterion(output, target): the prediction comes first",
        )
    elif _named_the_other_way(case):
        yield from _other_order(case)
    yield from _not_tensors(case)


def _named_the_other_way(case: Case) -> bool:
    """Whether the criterion calls its first argument the target and its second the output."""
    names = _parameters(case.criterion)
    return len(names) > 1 and bool(_TARGETS.search(names[0])) and bool(_OUTPUTS.search(names[1]))


def _parameters(criterion: Callable) -> list[str]:
    try:
        inside = criterion.forward if isinstance(criterion, nn.Module) else criterion
        return list(inspect.signature(inside).parameters)
    except (TypeError, ValueError):
        return []


def _other_order(case: Case) -> Iterator[Finding]:
    if any(call.from_output and call.from_target for call in case.calls if not call.derived):
        return  # whatever the names, it uses each as what it is
    there = case.sandbox.call(case.criterion, case.target, case.output)[0]
    if not isinstance(there, Tensor) or not there.numel():
        return
    if case.loss is not None and torch.allclose(there.mean(), case.loss.mean(), rtol=1e-3):
        return
    said = f"; torch says: {ask.describe(case.error)}" if case.error else ""
    yield _api(
        "output and target are passed in the other order than the criterion names them",
        f"its arguments are {' and '.join(_parameters(case.criterion)[:2])}, "
        f"and in that order it gives {float(there.mean()):.4f}{case.here}{said}.",
        "criterion(target, output)",
        "certain" if case.error else "suspicion",
    )


def _api(what: str, evidence: str, fix: str, level: str = "certain") -> Finding:
    return finding("API", level, what, evidence, fix)


def _learned_weight(case: Case) -> Tensor | None:
    weight = getattr(case.criterion, "weight", None)
    if isinstance(weight, Tensor) and weight.grad_fn is not None:
        return weight
    for call in case.calls:
        weight = call.options.get("weight")
        same = isinstance(weight, Tensor) and weight.shape == getattr(call.input, "shape", None)
        if same and weight.grad_fn is not None and call.contract.over == "classes":
            return weight
    return None


def _in_constructor(case: Case) -> bool:
    if isinstance(case.criterion, nn.Module) and _learned_weight(case) is not None:
        return True
    # Older signatures read two tensors as (weight, size_average) and ask for the latter's truth.
    truth = case.error is not None and "Boolean value of Tensor" in str(case.error)
    return truth and not case.calls


def _swap_evidence(case: Case) -> str:
    for call in case.calls:
        if call.swapped:
            return f"{call.name} gets the target first and the output second; {case.facts}."
    kind = "whole numbers" if ask.is_index(case.output) else "values without a graph"
    return (
        f"what was passed as output holds {kind} ({ask.dtype(case.output)}, shape "
        f"{ask.shape(case.output)}), and what was passed as target is "
        f"{ask.dtype(case.target)} of shape {ask.shape(case.target)}"
        + (" and was computed by a model." if case.target.grad_fn is not None else ".")
    )


def _not_tensors(case: Case) -> Iterator[Finding]:
    for role, value in (("output", case.output), ("target", case.target)):
        if isinstance(value, Tensor) or case.error is None:
            continue
        inner = next((n for n in ("logits", "out", "logit") if hasattr(value, n)), None)
        if inner is None and isinstance(value, dict):
            inner = next((key for key in ("logits", "out") if key in value), None)
        kind = type(value).__name__
        if isinstance(value, dict) and inner:
            mend = f"criterion(output[{inner!r}], target)"
        elif inner:
            mend = f"criterion(output.{inner}, target)"
        elif isinstance(value, tuple | list) and value and isinstance(value[0], Tensor):
            mend = f"criterion({role}[0], …), if the first is the one that counts"
        else:
            mend = f"torch.as_tensor({role})"
        yield _api(
            f"the {role} is no tensor but a {kind}",
            f"{case.facts}; torch says: {ask.describe(case.error)}",
            mend,
        )


# Shapes


def shapes(case: Case) -> Iterator[Finding]:
    """Shapes that the loss refuses, and why."""
    for call in case.calls:
        given, target = call.input, call.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            continue
        if call.contract.target == "classes":
            yield from _class_shapes(case, call)
        elif call.contract.target != "any" or call.contract.over == "elements":
            yield from _element_shapes(case, call)


def _class_shapes(case: Case, call: Call) -> Iterator[Finding]:
    given, target = call.input, call.target
    if not given.ndim:
        return
    if target.is_floating_point() and target.shape == given.shape:
        return
    wanted = given.shape[:1] + given.shape[2:] if given.ndim > 1 else torch.Size(())
    if target.shape == wanted or call.result is not None:
        return
    if target.shape == given.shape and given.ndim > 1 and given.shape[1] > 1:
        return  # marks in every class: a matter of dtype
    facts = f"output {ask.shape(given)}, target {ask.shape(target)}"
    if given.ndim > 2 and target.shape == given.shape[:-1]:
        yield finding(
            "CLASS_DIM",
            "certain",
            f"the classes are in the last dimension, and {call.name} looks for them in the second",
            f"{facts}: the second dimension has {given.shape[1]} entries, the last "
            f"{given.shape[-1]}.",
            "criterion(output.movedim(-1, 1), target)",
            "BCE or CE",
        )
        return
    squeezed = [size for size in target.shape if size != 1]
    if squeezed == [size for size in wanted if size != 1] and target.ndim > len(wanted):
        extra = next(d for d in range(target.ndim) if d >= len(wanted) or target.shape[d] == 1)
        dim = 1 if target.ndim > 1 and target.shape[1] == 1 else extra
        mend = f"criterion(output, target.squeeze({dim}))"
    elif target.ndim == given.ndim and given.ndim == 4 and target.shape[1] == 3:
        mend = "Read the mask as one channel of class indices, not as a colour picture."
    elif given.shape == target.shape:
        mend = "F.binary_cross_entropy_with_logits(output, target.float()) for yes or no"
    elif given.shape[:1] != target.shape[:1]:
        mend = "Check what was flattened: output and target hold different numbers of samples."
    else:
        mend = f"a target of shape {tuple(wanted)}"
    yield finding(
        "SHAPE",
        "certain",
        f"{call.name} takes one class index for each place of the output",
        f"{facts}; it needs a target of shape {tuple(wanted)}{says(case, call)}.",
        mend,
        "BCE or CE",
    )


def _element_shapes(case: Case, call: Call) -> Iterator[Finding]:
    given, target = call.input, call.target
    if given.shape == target.shape:
        return
    facts = f"output {ask.shape(given)}, target {ask.shape(target)}"
    refused = call.result is None
    try:
        together = torch.broadcast_shapes(given.shape, target.shape)
    except RuntimeError:
        together = None
    grown = together is not None and together.numel() > max(given.numel(), target.numel())
    if call.name == "kl_div" and ask.is_index(target):
        return  # a matter of dtype
    if refused:
        classes = holds_classes(call)
        yield finding(
            "OBJECTIVE" if classes else "SHAPE",
            "certain",
            f"{call.name} compares element by element and takes equal shapes",
            f"{facts}{says(case, call)}.",
            "nn.CrossEntropyLoss(): one class index for each sample"
            if classes
            else _align(given, target),
            "BCE or CE",
        )
    elif grown and call.from_output and call.from_target:
        yield _broadcast(tuple(given.shape), tuple(target.shape), tuple(together), call.name)
    elif call.from_output and call.from_target and _one_label_for_all(given, target):
        yield finding(
            "BROADCAST",
            "suspicion",
            "one label is compared with every column of the output",
            f"{facts}: in {call.name} the label of a sample is repeated {given.shape[1]} times.",
            "nn.CrossEntropyLoss() on logits and class indices; or a one-hot target",
        )


def _one_label_for_all(given: Tensor, target: Tensor) -> bool:
    """Whether a column of whole numbers meets several columns of scores."""
    if given.ndim != 2 or target.shape != (given.shape[0], 1) or given.shape[1] < 2:
        return False
    values = target.detach().double()
    return len(values) > 1 and bool((values == values.round()).all())


def _align(given: Tensor, target: Tensor) -> str:
    if given.numel() != target.numel():
        return "Check what was flattened: output and target hold different numbers of elements."
    if given.ndim > target.ndim and given.shape[-1] == 1:
        return "criterion(output.squeeze(-1), target)"
    if target.ndim > given.ndim and target.shape[-1] == 1:
        return "criterion(output, target.squeeze(-1))"
    return "criterion(output, target.reshape(output.shape))"


def says(case: Case, call: Call) -> str:
    """Return what torch raised, as the end of a sentence, where this call failed."""
    if case.error is None or call.result is not None:
        return ""
    return f"; torch says: {ask.describe(case.error)}"


def broadcasting(case: Case) -> Iterator[Finding]:
    """N outputs and N targets silently paired each with each."""
    if case.trace.grown:
        yield _broadcast(*case.trace.grown, "the criterion")


def _broadcast(given: tuple, target: tuple, together: tuple, who: str) -> Finding:
    count = torch.Size(together).numel()
    return finding(
        "BROADCAST",
        "certain",
        "every output is compared with every target, not with its own",
        f"in {who} shapes {given} and {target} broadcast to {together}: {count} pairs instead of "
        f"{torch.Size(given).numel()}.",
        "criterion(output.squeeze(-1), target): equal shapes before they meet"
        if len(given) > len(target)
        else "criterion(output, target.squeeze(-1)): equal shapes before they meet",
        "Training",
    )


RULES = (call_form, shapes, broadcasting)
