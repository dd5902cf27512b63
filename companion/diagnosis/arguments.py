"""Rules on how the criterion is called: what is passed, in which shape, with which options."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from . import case as ask
from .case import Case
from .codes import finding
from .report import Finding
from .targets import holds_classes
from .trace import Call


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
    yield from _not_tensors(case)


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
        elif call.contract.over == "elements" and given.shape != target.shape:
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
    elif given.shape[:1] != target.shape[:1]:
        mend = "Check what was flattened: output and target hold different numbers of samples."
    else:
        mend = f"a target of shape {tuple(wanted)}"
    yield finding(
        "SHAPE",
        "certain",
        f"{call.name} takes one class index for each place of the output",
        f"{facts}; it needs a target of shape {tuple(wanted)}{_says(case, call)}.",
        mend,
        "BCE or CE",
    )


def _element_shapes(case: Case, call: Call) -> Iterator[Finding]:
    given, target = call.input, call.target
    facts = f"output {ask.shape(given)}, target {ask.shape(target)}"
    refused = call.result is None
    try:
        together = torch.broadcast_shapes(given.shape, target.shape)
    except RuntimeError:
        together = None
    grown = together is not None and together.numel() > max(given.numel(), target.numel())
    if refused:
        classes = holds_classes(call)
        yield finding(
            "OBJECTIVE" if classes else "SHAPE",
            "certain",
            f"{call.name} compares element by element and takes equal shapes",
            f"{facts}{_says(case, call)}.",
            "nn.CrossEntropyLoss(): one class index for each sample"
            if classes
            else _align(given, target),
            "BCE or CE",
        )
    elif grown and call.from_output and call.from_target:
        yield _broadcast(tuple(given.shape), tuple(target.shape), tuple(together), call.name)


def _align(given: Tensor, target: Tensor) -> str:
    if given.numel() != target.numel():
        return "Check what was flattened: output and target hold different numbers of elements."
    if given.ndim > target.ndim and given.shape[-1] == 1:
        return "criterion(output.squeeze(-1), target)"
    if target.ndim > given.ndim and target.shape[-1] == 1:
        return "criterion(output, target.squeeze(-1))"
    return "criterion(output, target.reshape(output.shape))"


def _says(case: Case, call: Call) -> str:
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


# Options


def weights(case: Case) -> Iterator[Finding]:
    """Class weights of the wrong size, dtype or sign, or turned upside down."""
    for call in case.calls:
        given = call.input
        if not isinstance(given, Tensor) or not given.ndim:
            continue
        weight = call.options.get("weight")
        if isinstance(weight, Tensor) and call.contract.target == "classes":
            yield from _class_weight(case, call, weight)
        elif isinstance(weight, Tensor) and call.contract.over == "elements":
            yield from _element_weight(case, call, weight, "weight")
        positive = call.options.get("pos_weight")
        if isinstance(positive, Tensor):
            yield from _element_weight(case, call, positive, "pos_weight")
            yield from _positive_weight(case, call, positive)


def _weight(what: str, evidence: str, fix: str, level: str = "certain") -> Finding:
    return finding("WEIGHT", level, what, evidence, fix)


def _class_weight(case: Case, call: Call, weight: Tensor) -> Iterator[Finding]:
    given, target = call.input, call.target
    if weight.grad_fn is not None and weight.shape == given.shape:
        return  # the output in the constructor: API
    classes = given.shape[ask.class_dim(given)]
    if weight.ndim != 1 or len(weight) != classes:
        yield _weight(
            f"weight needs one number for each of the {classes} classes",
            f"weight has shape {ask.shape(weight)}, output {ask.shape(given)}.",
            f"nn.CrossEntropyLoss(weight=torch.tensor([…]))  # {classes} numbers",
        )
        return
    if weight.dtype != given.dtype and call.result is None:
        yield _weight(
            "weight needs the dtype of the output",
            f"weight is {ask.dtype(weight)}, output {ask.dtype(given)}"
            + (f"; torch says: {ask.describe(case.error)}" if case.error else "")
            + ".",
            f"nn.CrossEntropyLoss(weight=weight.to({given.dtype}))",
        )
        return
    yield from _signs_of(weight, "weight")
    if not ask.is_index(target) or not (weight > 0).all():
        return
    counted = target[(target >= 0) & (target < classes)]
    if counted.numel() < 8 or classes > 4096:
        return
    counts = torch.bincount(counted.flatten(), minlength=classes).double()
    seen = counts > 0
    if int(seen.sum()) < 2 or float(counts[seen].max() / counts[seen].min()) < 3:
        return
    ratio = weight.double()[seen] / counts[seen]
    if float(ratio.max() / ratio.min()) < 1.5:
        most, least = int(counts.argmax()), int(torch.where(seen, counts, counts.max()).argmin())
        yield _weight(
            "the weights grow with the number of samples: the frequent class is favoured twice",
            f"class {most} has {int(counts[most])} targets here and weight "
            f"{float(weight[most]):.4g}, class {least} has {int(counts[least])} and "
            f"{float(weight[least]):.4g}.",
            "weight = counts.sum() / (len(counts) * counts)",
            "suspicion",
        )


def _signs_of(weight: Tensor, name: str) -> Iterator[Finding]:
    if bool((weight < 0).any()) or not bool(weight.isfinite().all()):
        bad = int(((weight < 0) | ~weight.isfinite()).sum())
        yield _weight(
            f"{name} holds numbers that no weight can be",
            f"{bad} of {weight.numel()} are negative or not finite: "
            f"{float(weight.min()):.4g} to {float(weight.max()):.4g}.",
            f"{name} of positive, finite numbers",
        )
    elif not bool((weight > 0).any()):
        yield _weight(
            f"every {name} is 0: nothing counts",
            f"{weight.numel()} weights, all 0.",
            f"{name}=None",
        )


def _element_weight(case: Case, call: Call, weight: Tensor, name: str) -> Iterator[Finding]:
    given = call.input
    try:
        together = torch.broadcast_shapes(given.shape, weight.shape)
    except RuntimeError:
        together = None
    if together != given.shape:
        grows = f"together they would be {tuple(together)}" if together else "they do not fit"
        yield _weight(
            f"{name} does not fit the output",
            f"{name} has shape {ask.shape(weight)}, output {ask.shape(given)}: {grows}"
            f"{_says(case, call)}.",
            "pos_weight=torch.tensor([negatives / positives]), one number for each label"
            if name == "pos_weight"
            else "weight of the output's shape, or one that broadcasts to it",
        )
        return
    yield from _signs_of(weight, name)


def _positive_weight(case: Case, call: Call, weight: Tensor) -> Iterator[Finding]:
    target = call.target
    if not isinstance(target, Tensor) or target.numel() < 16 or weight.numel() != 1:
        return
    values = target.detach()
    if not bool(((values == 0) | (values == 1)).all()):
        return
    positives = float(values.sum())
    negatives = values.numel() - positives
    if not positives or not negatives:
        return
    value, share = float(weight), positives / negatives
    if share <= 0.5 and value <= 0.75 and 0.5 < value / share < 2:
        yield _weight(
            "pos_weight is upside down: it makes the rare positives count even less",
            f"{positives:g} positives and {negatives:g} negatives here, pos_weight {value:.4g}; "
            f"negatives / positives is {negatives / positives:.4g}.",
            "pos_weight=torch.tensor([negatives / positives])",
            "suspicion",
        )


def reduction(case: Case) -> Iterator[Finding]:
    """How the losses of a batch become one number."""
    loss = case.loss
    if loss is None:
        return
    if loss.ndim and loss.numel() != 1:
        yield finding(
            "REDUCTION",
            "note",
            "the criterion gives one loss for each element; backward() needs one number",
            f"loss of shape {ask.shape(loss)}.",
            "criterion(output, target).mean().backward()",
        )
    for call in case.calls:
        how = call.options.get("reduction")
        if how == "sum" and call is case.pure:
            count = call.target.shape[0] if getattr(call.target, "ndim", 0) else 1
            yield finding(
                "REDUCTION",
                "note",
                "the losses are summed: the step grows with the batch",
                f"reduction='sum' over {count} samples.",
                "reduction='mean', unless the learning rate is meant for a sum",
            )
        elif call.name == "kl_div" and how == "mean":
            size = call.input.shape[-1] if getattr(call.input, "ndim", 0) else 1
            yield finding(
                "REDUCTION",
                "note",
                "kl_div's mean divides by the classes too, so it is no divergence",
                f"reduction='mean' over elements of shape {ask.shape(call.input)}: smaller by a "
                f"factor of about {size}.",
                "reduction='batchmean'",
            )
        elif call.name in ("cross_entropy", "nll_loss") and how == "mean":
            weight = call.options.get("weight")
            if isinstance(weight, Tensor) and ask.is_index(call.target):
                yield finding(
                    "REDUCTION",
                    "note",
                    "a weighted mean divides by the sum of the weights, not by the batch",
                    f"{weight.numel()} weights from {float(weight.min()):.4g} to "
                    f"{float(weight.max()):.4g}: batches with other classes weigh differently.",
                    "reduction='sum', divided by the batch size, if each sample should count alike",
                )
    yield from _uneven_batches(case)


def _uneven_batches(case: Case) -> Iterator[Finding]:
    sizes = [output.shape[0] for output, _ in case.batches if output.ndim]
    if len(sizes) > 1 and len(set(sizes)) > 1:
        yield finding(
            "REDUCTION",
            "note",
            "batches differ in size: the mean of their means is not the mean over the samples",
            f"sizes from {min(sizes)} to {max(sizes)} in {len(sizes)} batches.",
            "total += loss.item() * len(target), divided by the number of samples at the end",
            "Training",
        )


RULES = (call_form, shapes, broadcasting, weights, reduction)
