"""Rules on the options of a loss: its weights and its reduction."""

from collections.abc import Iterator

import torch
from torch import Tensor

from . import values as ask
from .arguments import says
from .case import Case
from .codes import finding
from .report import Finding
from .trace import Call


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
            yield from _meant_for_positives(call, weight)
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
    if ask.is_index(target) and bool((weight > 0).all()):
        yield from _favoured(target, weight, "weight")


def own_weights(case: Case) -> Iterator[Finding]:
    """Weights inside a criterion of one's own, seen in the gradient at equal outputs."""
    if case.layout is None or case.small is None or case.untouched(case.pure):
        return
    output, target = case.small
    felt = case.felt_at(case.slope(torch.zeros_like(output), target), target)
    classes = case.layout[1]
    weighted = any(call.options.get("weight") is not None for call in case.calls)
    if felt is None or classes > 64 or weighted:
        return
    weight = [felt[target == label].double().mean() for label in range(classes)]
    yield from _favoured(case.target, torch.stack(weight).nan_to_num(0).cpu(), "gradient")


def _favoured(target: Tensor, weight: Tensor, name: str) -> Iterator[Finding]:
    """A weight for each class that is larger the more samples the class has."""
    classes = len(weight)
    counted = target[(target >= 0) & (target < classes)]
    if counted.numel() < 8 or classes > 4096:
        return
    counts = torch.bincount(counted.flatten(), minlength=classes).double()
    seen = counts > 0
    if int(seen.sum()) < 2 or float(counts[seen].max() / counts[seen].min()) < 3:
        return
    ratio = weight.double()[seen] / counts[seen]
    if float(ratio.min()) > 0 and float(ratio.max() / ratio.min()) < 1.5:
        most, least = int(counts.argmax()), int(torch.where(seen, counts, counts.max()).argmin())
        yield _weight(
            "the weights grow with the number of samples: the frequent class is favoured twice",
            f"class {most} has {int(counts[most])} targets here and {name} "
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
            f"{says(case, call)}.",
            "pos_weight=torch.tensor([negatives / positives]), one number for each label"
            if name == "pos_weight"
            else "weight of the output's shape, or one that broadcasts to it",
        )
        return
    yield from _signs_of(weight, name)


def _counts(call: Call, weight: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return positives and negatives for each number of an element-wise weight."""
    target = call.target
    if not isinstance(target, Tensor) or target.numel() < 16 or target.shape != call.input.shape:
        return None
    values = target.detach().double()
    if not bool(((values == 0) | (values == 1)).all()):
        return None
    if weight.numel() == 1:
        values = values.reshape(-1, 1)
    elif values.ndim != 2 or weight.shape != values.shape[1:] or len(values) < 32:
        return None
    return values.sum(0), (1 - values).sum(0)


def _meant_for_positives(call: Call, weight: Tensor) -> Iterator[Finding]:
    """A weight of negatives / positives, which is what pos_weight is for."""
    counts = _counts(call, weight)
    if counts is None:
        return
    positives, negatives = counts
    ratio = negatives / positives.clamp(min=1)
    off = (weight.detach().double().flatten() / ratio - 1).abs()
    # Weights that merely grow for rare labels are somebody's choice; this is the very ratio.
    if bool((positives > 0).all()) and float(ratio.max()) > 1.5 and bool((off < 0.01).all()):
        yield _weight(
            "weight holds negatives / positives, and it scales positives and negatives alike",
            f"{float(positives[0]):g} positives and {float(negatives[0]):g} negatives, and weight "
            f"is {float(weight.flatten()[0]):.4g}: their balance stays what it was.",
            "pos_weight=negatives / positives, by its name",
            "suspicion",
        )


def _positive_weight(case: Case, call: Call, weight: Tensor) -> Iterator[Finding]:
    """A weight of positives / negatives, where negatives / positives was meant."""
    counts = _counts(call, weight)
    if counts is None:
        return
    positives, negatives = counts
    rare = (positives > 0) & (positives <= 0.5 * negatives)
    if not bool(rare.any()):
        return
    share = (positives / negatives.clamp(min=1))[rare]
    value = weight.detach().double().flatten()[rare]
    ratio = value / share
    if bool(((value <= 0.75) & (ratio > 0.5) & (ratio < 2)).all()):
        label = int(rare.nonzero()[0, 0])
        yes, no = float(positives[label]), float(negatives[label])
        which = "" if weight.numel() == 1 else f" for label {label}"
        yield _weight(
            "pos_weight is upside down: it makes the rare positives count even less",
            f"{yes:g} positives and {no:g} negatives here{which}, and pos_weight is "
            f"{float(value[0]):.4g}; negatives / positives is {no / yes:.4g}.",
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


def refused(case: Case) -> Iterator[Finding]:
    """Values of options that the loss does not take, and tensors on two devices."""
    for call in case.calls:
        if call.result is not None:
            continue
        reduction_name = call.options.get("reduction", "mean")
        smoothing = call.options.get("label_smoothing", 0.0)
        ignored = call.options.get("ignore_index", -100)
        soft = isinstance(call.target, Tensor) and call.target.is_floating_point()
        known = ("mean", "sum", "none", "batchmean" if call.name == "kl_div" else "none")
        if reduction_name not in known:
            yield finding(
                "API",
                "certain",
                "there is no reduction of this name",
                f"reduction is {reduction_name!r}; {case.facts}.",
                'reduction="mean", "sum" or "none"',
            )
        elif not 0 <= smoothing <= 1:
            yield finding(
                "API",
                "certain",
                "label_smoothing is a share between 0 and 1",
                f"label_smoothing is {smoothing:g}.",
                "label_smoothing=0.1 for a tenth",
            )
        elif isinstance(call.options.get("weight"), int | float):
            yield finding(
                "API",
                "certain",
                f"the third argument of {call.name} is weight, a tensor, and it gets a number",
                f"weight is {call.options['weight']:g}; {case.facts}.",
                "label_smoothing=0.1, or what else is meant, by its name",
            )
        elif soft and ignored >= 0 and call.contract.target == "classes":
            yield finding(
                "IGNORE_INDEX",
                "certain",
                "class probabilities have no index that could be ignored",
                f"ignore_index is {ignored}, and the target {ask.dtype(call.target)} of shape "
                f"{ask.shape(call.target)}.",
                "Leave out those rows, or give class indices: target.argmax(dim=1).",
            )
        elif (
            isinstance(call.input, Tensor)
            and isinstance(call.target, Tensor)
            and call.input.device != call.target.device
        ):
            yield finding(
                "API",
                "certain",
                "output and target are on different devices",
                f"output {ask.shape(call.input)} on {call.input.device}, target "
                f"{ask.shape(call.target)} on {call.target.device}.",
                "criterion(output, target.to(output.device))",
            )


RULES = (weights, own_weights, reduction, refused)
