"""Rules on the target: its dtype, range, meaning and balance."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from . import case as ask
from . import graph
from .case import Case
from .codes import finding
from .report import Finding
from .trace import Call

_RARE = 0.1


def target_dtype(case: Case) -> Iterator[Finding]:
    """Integers where floats belong, and the reverse."""
    for call in case.calls:
        given, target = call.input, call.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            continue
        if not given.is_floating_point():
            continue
        wanted = call.contract.target
        if holds_classes(call):
            continue  # another loss is meant: OBJECTIVE
        mend = f"criterion(output, target.to({given.dtype}))"
        if wanted == "classes":
            mend = _class_dtype(given, target)
            what = f"{call.name} takes class indices as int64, or probabilities as floats"
        elif wanted == "same" and not target.is_floating_point():
            what = f"{call.name} takes targets of a floating type"
        elif wanted == "same" and target.dtype != given.dtype:
            what = f"{call.name} takes targets of the output's own dtype"
        else:
            continue
        facts = f"target is {ask.dtype(target)} of shape {ask.shape(target)}, output "
        facts += f"{ask.dtype(given)} of shape {ask.shape(given)}"
        if mend and case.error is not None and call.result is None:
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


def _class_dtype(given: Tensor, target: Tensor) -> str:
    """Return the mend for a target that cross_entropy or nll_loss cannot read, or nothing."""
    same = target.shape == given.shape
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
        if not isinstance(call.input, Tensor) or not isinstance(call.target, Tensor):
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


def not_distribution(case: Case) -> Iterator[Finding]:
    """Targets that should be probabilities of classes and are not."""
    for call in case.calls:
        given, target = call.input, call.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            continue
        if given.shape != target.shape or not target.is_floating_point() or not target.numel():
            continue
        if not given.ndim:
            continue
        if call.contract.target == "classes":
            yield from _class_probabilities(case, call)
        elif call.contract.target == "distribution":
            yield from _divergence_target(case, call)


def _class_probabilities(case: Case, call: Call) -> Iterator[Finding]:
    given, target = call.input, call.target
    dim = ask.class_dim(given)
    if given.shape[dim] == 1:
        return
    values = ask.rows(target, dim)
    low, high = ask.span(values)
    sums = values.sum(dim)
    off = (sums - 1).abs() > max(1e-2, 8 * torch.finfo(target.dtype).eps)
    # A row of zeros is a common way to leave a sample out.
    off &= sums != 0
    bias = graph.last_bias(case.output.grad_fn) if isinstance(case.output, Tensor) else None
    one_unit = given.ndim == 1 and len(given) > 1 and bias is not None and bias.numel() == 1
    if low >= 0 and not bool(off.any()) and not one_unit:
        return
    least, most = float(sums.min()), float(sums.max())
    if given.ndim == 1:
        yield finding(
            "OBJECTIVE",
            "certain",
            f"a batch of {len(target)} yes-or-no labels is read as one sample of {len(target)} "
            "classes",
            f"output and target have the shape {ask.shape(given)}; without a batch dimension "
            f"cross_entropy takes the target for probabilities; they add up to {least:.4g}.",
            "F.binary_cross_entropy_with_logits(output, target)",
            "Binary heads",
        )
        return
    hard = bool(((values == 0) | (values == 1)).all())
    if hard:
        many = int((sums > 1).sum())
        yield finding(
            "OBJECTIVE",
            "suspicion",
            "several labels are true at once, but softmax shares out one probability among them",
            f"{many} of {sums.numel()} rows of the target have more than one 1; they add up to as "
            f"much as {most:g}.",
            "nn.BCEWithLogitsLoss(), which asks of each label on its own",
            "Multi-label",
        )
        return
    yield finding(
        "TARGET_NOT_DISTRIBUTION",
        "certain" if low < 0 else "suspicion",
        "the target should hold the probabilities of the classes, and these are none",
        f"values from {low:.4g} to {high:.4g}, adding up to between {least:.4g} and {most:.4g} "
        f"instead of 1{case.here}.",
        "target.softmax(dim=1) if it holds logits; target / target.sum(dim=1, keepdim=True) if "
        "it holds counts",
        "Cross-entropy",
    )


def _divergence_target(case: Case, call: Call) -> Iterator[Finding]:
    target, logged = call.target, bool(call.options.get("log_target"))
    if target.shape != call.input.shape:
        return
    dims = range(target.ndim)
    low, high = ask.span(target)
    if logged:
        if any(ask.is_log_distribution(target, dim) for dim in dims) or high <= 0:
            return
        what, mend = "log_target=True takes log-probabilities", "log_target=False"
    else:
        if low >= 0 and not all(_sums_off(target, dim) for dim in dims):
            return
        what, mend = "kl_div takes the target as probabilities", "log_target=True"
        if not any(ask.is_log_distribution(target, dim) for dim in dims):
            mend = "F.kl_div(log_probs, target_logits.softmax(dim=1), reduction='batchmean')"
    sums = ask.rows(target, -1).sum(-1)
    yield finding(
        "TARGET_NOT_DISTRIBUTION",
        "certain" if low < 0 or logged else "suspicion",
        what,
        f"target values from {low:.4g} to {high:.4g}, adding up to between "
        f"{float(sums.min()):.4g} and {float(sums.max()):.4g}{case.here}.",
        mend,
        "Cross-entropy",
    )


def _sums_off(target: Tensor, dim: int) -> bool:
    sums = ask.rows(target, dim).sum(dim)
    return bool(((sums - 1).abs()[sums != 0] > 2e-2).any())


def ignored(case: Case) -> Iterator[Finding]:
    """Targets that are skipped: all of them, or a class of one's own."""
    for call in case.calls:
        given, target = call.input, call.target
        if "ignore_index" not in call.options or not ask.is_index(target):
            continue
        if not isinstance(given, Tensor) or not target.numel() or not given.ndim:
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


def objective(case: Case) -> Iterator[Finding]:
    """A loss that answers another question than the targets ask."""
    for call in case.calls:
        given, target = call.input, call.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            continue
        if not target.numel() or not given.is_floating_point():
            continue
        if call.name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            yield from _regression(case, call)
        elif call.contract.target == "same" and given.shape == target.shape:
            yield from _one_against_rest(case, call)
        elif call.name == "multilabel_margin_loss" and ask.is_index(target):
            yield from _margin_list(call)


def _regression(case: Case, call: Call) -> Iterator[Finding]:
    target = call.target.detach()
    values = torch.unique(target[:4096])
    if not call.from_target or call.input.shape != target.shape or len(values) < 2:
        return
    labels = set(values.tolist()) == {0, 1}
    made = graph.producer(call.input.grad_fn, case.bridge)
    if ask.is_index(target) and len(values) > 2 and (target.ndim < 2 or target.shape[1] == 1):
        yield finding(
            "OBJECTIVE",
            "suspicion",
            f"{call.name} treats class indices as quantities: class 2 is not twice class 1",
            f"the target is {ask.dtype(target)} with {len(values)} distinct labels.",
            "nn.CrossEntropyLoss() on one logit for each class",
            "BCE or CE",
        )
    elif labels and target.numel() >= 8:
        low, high = ask.span(call.input)
        squashed = made.kind in ("sigmoid", "softmax") or (low >= 0 and high <= 1)
        yield finding(
            "OBJECTIVE",
            "note" if squashed or made.kind not in ("linear", "leaf") else "suspicion",
            f"{call.name} fits labels by regression"
            + (": a proper score, with small gradients where it is wrong" if squashed else ""),
            f"all {target.numel()} targets are 0 or 1, {int(target.sum())} of them 1"
            + ("" if squashed else "; the output is not kept within [0, 1]")
            + ".",
            "nn.BCEWithLogitsLoss() on logits",
            "Binary cross-entropy",
        )


def _one_against_rest(case: Case, call: Call) -> Iterator[Finding]:
    target = call.target.detach()
    if target.ndim < 2 or target.shape[1] < 2 or not call.from_target:
        return
    values = ask.rows(target, 1)
    if not bool(((values == 0) | (values == 1)).all()):
        return
    sums = values.sum(1)
    made = graph.producer(call.input.grad_fn, case.bridge)
    if made.kind == "softmax" and bool((sums > 1).any()) and call.contract.takes == "probs":
        yield finding(
            "OBJECTIVE",
            "certain",
            "several labels are true at once, but softmax shares out one probability among them",
            f"{int((sums > 1).sum())} of {sums.numel()} rows of the target have more than one 1, "
            f"and the output comes from softmax ({made.name}), whose rows add up to 1.",
            "nn.BCEWithLogitsLoss() on the logits, without softmax",
            "Multi-label",
        )
    elif bool((sums == 1).all()) and sums.numel() > 1:
        yield finding(
            "OBJECTIVE",
            "note",
            "exactly one class is true each time, and each class is trained against the rest",
            f"all {sums.numel()} rows of the target add up to 1 over {target.shape[1]} classes.",
            "nn.CrossEntropyLoss() if the classes exclude each other",
            "BCE or CE",
        )


def _margin_list(call: Call) -> Iterator[Finding]:
    target = call.target
    if target.ndim != 2 or target.shape[1] < 3 or int(target.min()) < 0 or int(target.max()) > 1:
        return
    yield finding(
        "OBJECTIVE",
        "certain",
        "multilabel_margin_loss takes lists of class indices that end with -1, not 0s and 1s",
        f"targets of shape {ask.shape(target)} hold only 0 and 1 and never -1: each row is read "
        "as classes 0 and 1.",
        "nn.BCEWithLogitsLoss() or nn.MultiLabelSoftMarginLoss() with target.float()",
        "Multi-label",
    )


def imbalance(case: Case) -> Iterator[Finding]:
    """Batches sorted by class, and classes that hardly occur."""
    targets = [target.detach() for _, target in case.batches if target.numel()]
    whole = [target for target in targets if _is_label(target)]
    if len(whole) < 2:
        return
    firsts = [target.flatten() for target in whole]
    together = torch.cat(firsts)
    values, counts = torch.unique(together, return_counts=True)
    alone = sum(len(torch.unique(one)) == 1 and one.numel() > 1 for one in firsts)
    if len(values) > 1 and alone == len(firsts) and together.numel() >= 8 and len(firsts) >= 3:
        yield finding(
            "IMBALANCE",
            "suspicion",
            "each batch holds one class only: the data are sorted",
            f"{len(firsts)} batches, {len(values)} classes, and no batch with two of them.",
            "DataLoader(dataset, batch_size=…, shuffle=True)",
            "Training",
        )
    elif len(values) == 1 and together.numel() >= 64:
        yield finding(
            "IMBALANCE",
            "suspicion",
            "all targets of all batches are of one class",
            f"{together.numel()} targets in {len(firsts)} batches, all {values[0].item():g}.",
            "Look at the labels and at how the data were split.",
            "Training",
        )
    elif len(values) > 1 and together.numel() >= 64:
        share = float(counts.min()) / float(counts.sum())
        if share < _RARE / len(values) * 2:
            rare = values[counts.argmin()].item()
            yield finding(
                "IMBALANCE",
                "note",
                f"class {rare:g} is rare: accuracy says little",
                f"{int(counts.min())} of {int(counts.sum())} targets ({share:.2%}).",
                "Look at precision and recall; pos_weight or weight shift the balance.",
                "Decisions",
            )


def _is_label(target: Tensor) -> bool:
    if not target.is_floating_point():
        return True
    return bool(((target == 0) | (target == 1)).all())


RULES = (
    target_dtype,
    target_range,
    not_distribution,
    ignored,
    objective,
    imbalance,
)
