"""Rules on what the targets mean: probabilities, several labels, quantities; and their balance."""

from collections.abc import Iterator

import torch
from torch import Tensor

from . import graph
from . import values as ask
from .case import Case
from .codes import finding
from .report import Finding
from .trace import Call

_RARE, _VERY_RARE = 0.1, 0.01


def not_distribution(case: Case) -> Iterator[Finding]:
    """Targets that should be probabilities of classes and are not."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable:
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
    dims = [dim for dim in range(target.ndim) if ask.is_log_distribution(call.input, dim)]
    dims = dims or range(target.ndim)
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


def objective(case: Case) -> Iterator[Finding]:
    """A loss that answers another question than the targets ask."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable:
            continue
        if not target.numel() or not given.is_floating_point():
            continue
        if call.name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            yield from _regression(case, call)
        elif call.contract.target == "same" and given.shape == target.shape:
            yield from _one_against_rest(case, call)
        elif call.name == "multilabel_margin_loss" and ask.is_index(target):
            yield from _margin_list(call)
        elif call.name == "hinge_embedding_loss":
            yield from _distance(call)


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


def _distance(call: Call) -> Iterator[Finding]:
    low, high = ask.span(call.input)
    if low < 0:
        yield finding(
            "OBJECTIVE",
            "certain",
            "hinge_embedding_loss takes distances, which are small where the target is 1",
            f"values from {low:.4g} to {high:.4g}, and no distance is negative: scores that should "
            "be large for 1 are pushed down without end.",
            "nn.SoftMarginLoss() for scores and targets of -1 and 1",
            "Binary cross-entropy",
        )


def imbalance(case: Case) -> Iterator[Finding]:
    """Batches sorted by class, and classes that hardly occur."""
    pairs = case.batches or ([(case.output, case.target)] if case.simple else [])
    whole = [target.detach().flatten() for _, target in pairs if target.numel()]
    firsts = [target for target in whole if not target.is_meta and _is_label(target)]
    if not firsts:
        return
    together = torch.cat(firsts)
    values, counts = torch.unique(together, return_counts=True)
    alone = sum(len(torch.unique(one)) == 1 and one.numel() > 1 for one in firsts)
    if len(values) > 1 and alone == len(firsts) and together.numel() >= 8 and len(firsts) >= 3:
        # In an evaluation the order does no harm.
        trained = any(output.requires_grad for output, _ in case.batches)
        yield finding(
            "IMBALANCE",
            "suspicion" if trained else "note",
            "each batch holds one class only: the data are sorted",
            f"{len(firsts)} batches, {len(values)} classes, and no batch with two of them.",
            "DataLoader(dataset, batch_size=…, shuffle=True)",
            "Training",
        )
    elif len(values) == 1 and together.numel() >= 64 and len(firsts) > 1:
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
        if share < (_RARE / len(values) * 2 if case.batches else _VERY_RARE * (len(values) == 2)):
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


RULES = (not_distribution, objective, imbalance)
