"""Rules on the target: its dtype, range, meaning and balance."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from . import values as ask
from .case import Case
from .codes import finding
from .report import Finding
from .trace import Call


def target_dtype(case: Case) -> Iterator[Finding]:
    """Integers where floats belong, and the reverse."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable:
            continue
        if not given.is_floating_point():
            continue
        wanted = call.contract.target
        if holds_classes(call):
            continue  # another loss is meant: OBJECTIVE
        mend = f"criterion(output, target.to({given.dtype}))"
        if wanted == "classes":
            mend = _class_dtype(call.name, given, target)
            also = "" if call.name == "nll_loss" else ", or probabilities as floats"
            what = f"{call.name} takes class indices as int64{also}"
        elif wanted == "distribution" and ask.is_index(target):
            mend = "F.nll_loss(log_probs, target) for class indices, F.one_hot(…).float() for marks"
            what = f"{call.name} takes the probabilities of the classes, not their indices"
        elif wanted == "same" and not target.is_floating_point():
            what = f"{call.name} takes targets of a floating type"
        elif wanted == "same" and target.dtype != given.dtype:
            what = f"{call.name} takes targets of the output's own dtype"
        else:
            continue
        facts = f"target is {ask.dtype(target)} of shape {ask.shape(target)}, output "
        facts += f"{ask.dtype(given)} of shape {ask.shape(given)}"
        if wanted == "distribution" and call.result is not None:
            if given.shape != target.shape:
                yield finding("TARGET_DTYPE", "certain", what, facts + case.here + ".", mend)
        elif mend and case.error is not None and call.result is None:
            said = f"; torch says: {ask.describe(case.error)}"
            yield finding("TARGET_DTYPE", "certain", what, facts + said, mend)
        elif wanted == "same" and call.result is not None and target.is_floating_point():
            what = f"output and target differ in dtype; {call.name} computes in the wider one"
            mend = f"target.to({given.dtype}) saves memory"
            yield finding("TARGET_DTYPE", "note", what, f"{facts}.", mend)


def holds_classes(call: Call) -> bool:
    """Whether an element-wise loss gets one class index for each row of several scores."""
    given, target = call.input, call.target
    if call.contract.over != "elements" or not ask.is_index(target) or given.ndim < 2:
        return False
    return given.shape[1] > 2 and given.shape[:1] + given.shape[2:] == target.shape


def _class_dtype(name: str, given: Tensor, target: Tensor) -> str:
    """Return the mend for a target that cross_entropy or nll_loss cannot read, or nothing."""
    same = target.shape == given.shape
    if same and target.is_floating_point() and name == "nll_loss" and given.ndim > 1:
        return "-(target * output).sum(dim=1).mean(), or target.argmax(dim=1) as class indices"
    if target.is_floating_point():
        if same:
            return f"target.to({given.dtype})" if target.dtype != given.dtype else ""
        return "target.long()"
    if same and given.ndim > 1:
        return "target.argmax(dim=1) if exactly one class is marked, else target.float()"
    if target.dtype not in (torch.int64, torch.uint8):
        return "target.long()"
    return ""


def target_range(case: Case) -> Iterator[Finding]:
    """Class indices, labels or probabilities outside what the loss can read."""
    for call in case.calls:
        if not call.comparable:
            continue
        if not call.target.numel():
            continue
        wanted = call.contract.target
        if holds_classes(call):
            continue
        if wanted == "classes" and ask.is_index(call.target):
            yield from _class_range(case, call)
        elif wanted == "same":
            yield from _unit_range(case, call)
        elif wanted == "signs":
            yield from _sign_range(call)
        elif call.name == "ctc_loss":
            yield from _blank_labels(call)


def _class_range(case: Case, call: Call) -> Iterator[Finding]:
    given, target = call.input, call.target
    dim = ask.class_dim(given)
    if not given.ndim or target.ndim >= max(given.ndim, 2) or given.shape[dim] < 2:
        return
    classes, ignore = given.shape[dim], call.options.get("ignore_index", -100)
    counted = target[target != ignore]
    if not counted.numel():
        return
    low, high = int(counted.min()), int(counted.max())
    if low >= 0 and high < classes:
        return
    outside = counted[(counted < 0) | (counted >= classes)]
    strangers = sorted(int(value) for value in torch.unique(outside))
    rest = counted[(counted >= 0) & (counted < classes)]
    known = {int(value) for value in torch.unique(rest)} if rest.numel() < 2**20 else set()
    span = f"labels run from {low} to {high} ({len(outside)} of {counted.numel()} outside 0 to "
    span += f"{classes - 1}, the {classes} classes of the output)"
    shifted = low == 1 and high == classes
    signs = set(strangers) == {-1} and known <= {1}
    three_way = low == -1 and high == classes - 2 and len(known) == classes - 1
    marker = len(strangers) == 1 and (strangers[0] < 0 or strangers[0] in (255, 65535))
    grey = classes == 2 and strangers == [255] and known <= {0}
    if marker and not (signs or three_way or grey):
        yield finding(
            "IGNORE_INDEX",
            "certain",
            f"the label {strangers[0]} is no class, and the loss is not told to skip it",
            f"{span}; {call.name} skips {ignore} only.",
            f"nn.CrossEntropyLoss(ignore_index={strangers[0]})",
            "Cross-entropy",
        )
        return
    if shifted:
        mend = "criterion(output, target - 1): labels count from 0"
    elif grey:
        mend = "criterion(output, target // 255): labels are 0 and 1"
    elif signs:
        mend = "criterion(output, (target + 1) // 2): labels are 0 and 1"
    elif three_way:
        mend = "criterion(output, target + 1): labels count from 0"
    else:
        mend = f"nn.Linear(…, {high + 1}) at the end of the model, or labels below {classes}"
    yield finding(
        "TARGET_RANGE",
        "certain",
        "a label names a class that the output does not have",
        f"{span}.",
        mend,
        "Cross-entropy",
    )


def _unit_range(case: Case, call: Call) -> Iterator[Finding]:
    target = call.target
    low, high = ask.span(target)
    slack = ask.slack(target)
    if math.isnan(low) or (low >= -slack and high <= 1 + slack):
        return
    outside = (target < -slack) | (target > 1 + slack)
    if not _counts(case, call, outside):
        return
    number, values = int(outside.sum()), torch.unique(target.detach())
    two = len(values) == 2
    if two and {low, high} == {-1.0, 1.0}:
        mend = "criterion(output, (target + 1) / 2)"
    elif two and (low, high) == (1.0, 2.0):
        mend = "criterion(output, target - 1)"
    elif low >= 0 and (two or len(values) > 3 or high != 255):
        mend = f"criterion(output, target / {high:g})"
    else:
        mend = "Leave the unlabelled elements out: reduction='none', then loss[known].mean()"
    yield finding(
        "TARGET_RANGE",
        "certain",
        f"{call.name} takes targets between 0 and 1",
        f"targets run from {low:g} to {high:g} ({number} of {target.numel()} outside): the loss "
        f"has no lower bound and pays for ever larger logits{case.here}.",
        mend,
        "Binary cross-entropy",
    )


def _counts(case: Case, call: Call, elements: Tensor) -> bool:
    """Whether these elements of a call count in the loss: later steps may mask them out."""
    slope = case.gradient
    if case.pure is call or slope is None or slope.shape != elements.shape:
        return True
    return bool((slope[elements] != 0).any())


def _sign_range(call: Call) -> Iterator[Finding]:
    values = torch.unique(call.target.detach())
    if len(values) <= 2 and set(values.tolist()) <= {-1, 1}:
        return
    zeros = int((call.target == 0).sum())
    yield finding(
        "TARGET_RANGE",
        "certain",
        f"{call.name} takes the targets -1 and 1",
        f"{zeros} of {call.target.numel()} targets are 0, which this loss reads as neither.",
        "criterion(output, 2 * target - 1), or nn.BCEWithLogitsLoss() with targets 0 and 1",
        "Binary cross-entropy",
    )


def _blank_labels(call: Call) -> Iterator[Finding]:
    target, blank = call.target, call.options.get("blank", 0)
    if not ask.is_index(target):
        return
    if target.ndim == 2:
        lengths = torch.as_tensor(call.options["target_lengths"]).reshape(-1, 1)
        places = torch.arange(target.shape[1]).expand(target.shape)
        target = target.cpu()[places < lengths.cpu()]
    number = int((target == blank).sum())
    if number:
        yield finding(
            "TARGET_RANGE",
            "certain",
            "the label of ctc_loss's blank stands among the targets",
            f"{number} of {target.numel()} targets are {blank}, which marks the pause between two "
            "labels and is never read out.",
            "Count the labels from 1, and give the output one class more.",
            "Cross-entropy",
        )


def ignored(case: Case) -> Iterator[Finding]:
    """Targets that are skipped: all of them, or a class of one's own."""
    for call in case.calls:
        given, target = call.input, call.target
        if "ignore_index" not in call.options or not ask.is_index(target):
            continue
        if not call.comparable or not target.numel() or not given.ndim:
            continue
        ignore = call.options["ignore_index"]
        skipped = int((target == ignore).sum())
        if skipped == target.numel():
            yield finding(
                "IGNORE_INDEX",
                "certain" if call.options.get("reduction", "mean") == "mean" else "suspicion",
                "every target is skipped",
                f"all {skipped} targets equal ignore_index = {ignore}; the mean over nothing is "
                f"NaN{case.here}.",
                "Skip such a batch, or use reduction='sum' and divide by the number counted",
                "NaN",
            )
        elif skipped and 0 <= ignore < given.shape[ask.class_dim(given)]:
            two = given.shape[ask.class_dim(given)] == 2
            yield finding(
                "IGNORE_INDEX",
                "suspicion" if two else "note",
                f"class {ignore} never counts: right for padding, wrong for a class",
                f"{skipped} of {target.numel()} targets equal ignore_index = {ignore}"
                + (", and only one class is left to learn." if two else "."),
                "ignore_index=-100 (the default) if 0 to K - 1 are all classes",
                "Cross-entropy",
            )


def padding(case: Case) -> Iterator[Finding]:
    """One label that fills up the ends of the rows, and counts like the others."""
    target, felt = case.target, case.felt
    if felt is None or not ask.is_index(target) or target.ndim != 2 or min(target.shape) < 4:
        return
    label = int(target[:, -1].mode().values)
    same = target == label
    tail = same.flip(1).cummin(1).values.flip(1)
    lengths = tail.sum(1)
    if bool((same & ~tail).any()) or len(torch.unique(lengths)) < 3 or int((lengths > 1).sum()) < 3:
        return
    # Phases and states come in runs, and the last of them may be one.
    steps = ~tail[:, 1:]
    changes = (target[:, 1:] != target[:, :-1]) & steps
    if int(changes.sum()) < 0.5 * int(steps.sum()) or len(torch.unique(target)) < 4:
        return
    if float((felt[tail] > 0).double().mean()) > 0.5:
        yield finding(
            "IGNORE_INDEX",
            "suspicion",
            f"rows of different lengths are filled up with the label {label}, and it counts",
            f"{int(tail.sum())} of {target.numel()} targets are {label}, all at the end of their "
            f"rows and nowhere else{case.here}.",
            f"nn.CrossEntropyLoss(ignore_index={label})",
            "Cross-entropy",
        )


RULES = (target_dtype, target_range, ignored, padding)
