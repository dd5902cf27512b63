"""Rules on what a call of a known loss takes, row by row, and on what made the output.

Each yields the name of a row in ``findings.toml`` with the facts that its sentences need.
"""

import inspect
import math
import re
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from . import ranges
from . import tensors as ask
from .evidence import Evidence, Found
from .ranges import INF, Use, Values, largest_prob
from .record import Call

_TARGETS = re.compile(r"true|truth|target|label|^gt|^y$|actual", re.IGNORECASE)
_OUTPUTS = re.compile(r"pred|hat|input|output|logit|score|prob|^out$|^x$", re.IGNORECASE)
_REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def said(case: Evidence, call: Call | None = None) -> str:
    """Return what torch raised, as the end of a sentence, where this call failed."""
    if case.error is None or (call is not None and call.result is not None):
        return ""
    return f"; torch says: {ask.describe(case.error)}"


# The form of the call


def call_form(case: Evidence) -> Found:
    """A class instead of a criterion, arguments swapped, or no tensors at all."""
    criterion = case.criterion
    if isinstance(criterion, type):
        yield "class_called", {"name": criterion.__name__}
        return
    if not callable(criterion):
        yield "not_callable", {"kind": type(criterion).__name__}
        return
    if isinstance(case.result, nn.Module):
        yield "module_back", {"name": type(case.result).__name__}
    weight = _learned_weight(case)
    # Older signatures read two tensors as (weight, size_average) and ask for the latter's truth.
    truth = case.error is not None and "Boolean value of Tensor" in str(case.error)
    if weight is not None:
        how = f"the loss holds a weight of shape {ask.shape(weight)} that the model computed"
        yield "in_constructor", {"how": how}
    elif truth and not case.calls:
        yield "in_constructor", {"how": case.facts + said(case)}
    if case.swapped:
        yield "swapped", {"how": _swap(case)}
    else:
        yield from _other_order(case)
    yield from _not_tensors(case)


def _learned_weight(case: Evidence) -> Tensor | None:
    if isinstance(case.criterion, nn.Module):
        weight = getattr(case.criterion, "weight", None)
        if isinstance(weight, Tensor) and weight.grad_fn is not None:
            return weight
    for call in case.calls:
        weight = call.options.get("weight")
        same = isinstance(weight, Tensor) and weight.shape == getattr(call.input, "shape", None)
        if same and weight.grad_fn is not None and call.contract.over == "classes":
            return weight
    return None


def _swap(case: Evidence) -> str:
    for call in case.calls:
        if call.swapped:
            return f"{call.name} gets the target first and the output second; {case.facts}"
    computed = ", computed by a model" if case.whole[1].grad_fn is not None else ""
    kind = "whole numbers" if ask.is_index(case.output) else "values without a graph"
    return f"what was passed as output holds {kind}; {case.facts}{computed}"


def _other_order(case: Evidence) -> Found:
    """A criterion that names its first argument the target and its second the output."""
    try:
        inside = case.criterion.forward if isinstance(case.criterion, nn.Module) else case.criterion
        names = list(inspect.signature(inside).parameters)
    except (TypeError, ValueError):
        return
    if len(names) < 2 or not (_TARGETS.search(names[0]) and _OUTPUTS.search(names[1])):
        return
    if any(call.from_output and call.from_target for call in case.calls if not call.derived):
        return  # whatever the names, it uses each as what it is
    there = case.asker.call(case.criterion, case.target, case.output)[0]
    if not isinstance(there, Tensor) or not there.numel():
        return
    if case.loss is not None and torch.allclose(there.mean(), case.loss.mean(), rtol=1e-3):
        return
    level = "certain" if case.error else "suspicion"
    names = " and ".join(names[:2])
    yield "other_order", {"names": names, "there": float(there.mean()), "said": said(case),
                          "level": level}  # fmt: skip


def _not_tensors(case: Evidence) -> Found:
    for role, value in (("output", case.output), ("target", case.target)):
        if isinstance(value, Tensor) or case.error is None:
            continue
        is_dict, fix = isinstance(value, dict), f"torch.as_tensor({role})"
        for name in ("logits", "out", "logit"):
            if name in value if is_dict else hasattr(value, name):
                fix = f"criterion(output[{name!r}], target)" if is_dict else (
                    f"criterion(output.{name}, target)")  # fmt: skip
                break
        else:
            if isinstance(value, tuple | list) and value and isinstance(value[0], Tensor):
                fix = f"criterion({role}[0], …), if the first is the one that counts"
                if role == "output" and case.asker.call(case.criterion, value[0], case.target)[1]:
                    fix = f"torch.stack({role}) or {role}[0], and then look again"
        yield "no_tensor", {"role": role, "kind": type(value).__name__, "said": said(case),
                            "fix": fix}  # fmt: skip


def refused(case: Evidence) -> Found:
    """Values of options that the loss does not take, and tensors on two devices."""
    for call in case.calls:
        if call.result is not None:
            continue
        options, target = call.options, call.target
        ignored = options.get("ignore_index", -100)
        soft = isinstance(target, Tensor) and target.is_floating_point()
        known = ("mean", "sum", "none", "batchmean" if call.name == "kl_div" else "none")
        both = isinstance(call.input, Tensor) and isinstance(target, Tensor)
        if options.get("reduction", "mean") not in known:
            yield "no_reduction", {"name": repr(options["reduction"])}
        elif not 0 <= options.get("label_smoothing", 0.0) <= 1:
            yield "no_smoothing", {"value": options["label_smoothing"]}
        elif isinstance(options.get("weight"), int | float):
            yield "number_as_weight", {"name": call.name, "value": options["weight"]}
        elif soft and ignored >= 0 and call.contract.target == "classes":
            yield "ignored_probabilities", {"index": ignored, "shape": ask.shape(target)}
        elif both and call.input.device != target.device:
            yield "devices", {"one": call.input.device, "other": target.device}


# Shapes


def shapes(case: Evidence) -> Found:
    """Shapes that the loss refuses, and why."""
    for call in case.calls:
        if not (isinstance(call.input, Tensor) and isinstance(call.target, Tensor)):
            continue
        if call.contract.target == "classes":
            yield from _class_shapes(case, call)
        elif call.contract.target != "any" or call.contract.over == "elements":
            yield from _element_shapes(case, call)
    if case.trace.grown:
        yield _broadcast(*case.trace.grown, "the criterion")
    elif case.trace.spread:
        given, target = case.trace.spread
        yield "spread", {"given": given, "target": target}


def _class_shapes(case: Evidence, call: Call) -> Found:
    given, target = call.input, call.target
    if not given.ndim or call.result is not None:
        return
    if target.shape == given.shape and (
        target.is_floating_point() or given.ndim > 1 < given.shape[1]
    ):
        return  # marks in every class: a matter of dtype
    wanted = given.shape[:1] + given.shape[2:] if given.ndim > 1 else torch.Size(())
    if target.shape == wanted:
        return
    facts = {"name": call.name, "given": ask.shape(given), "target": ask.shape(target)}
    if given.ndim > 2 and target.shape == given.shape[:-1]:
        yield "classes_last", facts | {"second": given.shape[1], "last": given.shape[-1]}
        return
    squeezed = [size for size in target.shape if size != 1]
    fix = f"a target of shape {tuple(wanted)}"
    if squeezed == [size for size in wanted if size != 1] and target.ndim > len(wanted):
        extra = next(d for d in range(target.ndim) if d >= len(wanted) or target.shape[d] == 1)
        dim = 1 if target.ndim > 1 and target.shape[1] == 1 else extra
        fix = f"criterion(output, target.squeeze({dim}))"
    elif target.ndim == given.ndim == 4 and target.shape[1] == 3:
        fix = "Read the mask as one channel of class indices, not as a colour picture."
    elif given.shape == target.shape:
        fix = "F.binary_cross_entropy_with_logits(output, target.float()) for yes or no"
    elif given.shape[:1] != target.shape[:1]:
        fix = "Check what was flattened: output and target hold different numbers of samples."
    yield "index_shape", facts | {"wanted": tuple(wanted), "said": said(case, call), "fix": fix}


def _element_shapes(case: Evidence, call: Call) -> Found:
    given, target = call.input, call.target
    if given.shape == target.shape or (call.name == "kl_div" and ask.is_index(target)):
        return
    facts = {"name": call.name, "given": ask.shape(given), "target": ask.shape(target)}
    try:
        together = torch.broadcast_shapes(given.shape, target.shape)
    except RuntimeError:
        together = None
    if call.result is None:
        facts["said"] = said(case, call)
        if holds_classes(call):
            yield "element_for_classes", facts
        else:
            yield "unequal_shapes", facts | {"fix": _align(given, target)}
    elif not (call.from_output and call.from_target):
        return
    elif together is not None and together.numel() > max(given.numel(), target.numel()):
        yield _broadcast(tuple(given.shape), tuple(target.shape), tuple(together), call.name)
    elif together is not None and together.numel() > given.numel() > 1:
        yield "output_repeated", facts
    elif given.ndim != 2 or target.shape != (len(given), 1) or not given.numel() > len(target) > 1:
        return
    elif bool((target == target.round()).all()):  # else somebody's quantity for all columns
        yield "label_for_all", facts | {"columns": given.shape[1]}


def _align(given: Tensor, target: Tensor) -> str:
    if given.numel() != target.numel():
        return "Check what was flattened: output and target hold different numbers of elements."
    if given.ndim > target.ndim and given.shape[-1] == 1:
        return "criterion(output.squeeze(-1), target)"
    if target.ndim > given.ndim and target.shape[-1] == 1:
        return "criterion(output, target.squeeze(-1))"
    return "criterion(output, target.reshape(output.shape))"


def _broadcast(given: tuple, target: tuple, together: tuple, who: str) -> tuple[str, dict]:
    side = (
        "output.squeeze(-1), target" if len(given) > len(target) else "output, target.squeeze(-1)"
    )
    return "each_with_each", {
        "who": who, "given": given, "target": target, "together": together,
        "pairs": math.prod(together), "count": math.prod(given), "side": side,
    }  # fmt: skip


# The target


def holds_classes(call: Call) -> bool:
    """Whether an element-wise loss gets one class index for each row of several scores."""
    given, target = call.input, call.target
    if call.contract.over != "elements" or not ask.is_index(target) or given.ndim < 2:
        return False
    return given.shape[1] > 2 and given.shape[:1] + given.shape[2:] == target.shape


def target_dtype(case: Evidence) -> Found:
    """Integers where floats belong, and the reverse."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable or not given.is_floating_point() or holds_classes(call):
            continue  # another loss is meant: OBJECTIVE
        facts = {
            "name": call.name, "target": f"{ask.dtype(target)} of shape {ask.shape(target)}",
            "given": f"{ask.dtype(given)} of shape {ask.shape(given)}", "said": said(case, call),
            "cast": f"target.to({given.dtype})",
        }  # fmt: skip
        wanted, row = call.contract.target, None
        if wanted == "classes" and (fix := _class_dtype(call.name, given, target)):
            also = "" if call.name == "nll_loss" else ", or probabilities as floats"
            row, facts = "indices_wanted", facts | {"fix": fix, "also": also}
        elif wanted == "distribution" and ask.is_index(target):
            if call.result is None or given.shape != target.shape:
                yield "probabilities_wanted", facts
        elif wanted == "same" and not target.is_floating_point():
            row = "floats_wanted"
        elif wanted == "same" and target.dtype != given.dtype:
            row = "other_float" if call.result is None else None
            if call.result is not None:
                yield "wider_float", facts
        if row is not None and call.result is None and case.error is not None:
            yield row, facts


def _class_dtype(name: str, given: Tensor, target: Tensor) -> str:
    """Return the fix for a target that cross_entropy or nll_loss cannot read, or nothing."""
    same = target.shape == given.shape
    if same and target.is_floating_point() and name == "nll_loss" and given.ndim > 1:
        return "-(target * output).sum(dim=1).mean(), or target.argmax(dim=1) as class indices"
    if target.is_floating_point() and same:
        return f"target.to({given.dtype})" if target.dtype != given.dtype else ""
    if same and given.ndim > 1 and not target.is_floating_point():
        return "target.argmax(dim=1) if exactly one class is marked, else target.float()"
    return "target.long()" if target.dtype not in (torch.int64, torch.uint8) else ""


def target_range(case: Evidence) -> Found:
    """Class indices, labels or probabilities outside what the loss can read."""
    for call in case.calls:
        if not call.comparable or not call.target.numel() or holds_classes(call):
            continue
        wanted = call.contract.target
        if wanted == "classes" and ask.is_index(call.target):
            yield from _class_range(call)
        elif wanted == "same":
            yield from _unit_range(case, call)
        elif wanted == "signs" and not set(torch.unique(call.target.detach()).tolist()) <= {-1, 1}:
            zeros = int((call.target == 0).sum())
            yield "signs_wanted", {"name": call.name, "zeros": zeros, "count": call.target.numel()}
        elif call.name == "ctc_loss":
            yield from _blank_labels(call)


def _class_range(call: Call) -> Found:
    given, target = call.input, call.target
    dim = ask.class_dim(given)
    if not given.ndim or target.ndim >= max(given.ndim, 2) or given.shape[dim] < 2:
        return
    classes, ignore = given.shape[dim], call.options.get("ignore_index", -100)
    counted = target[target != ignore]
    outside = counted[(counted < 0) | (counted >= classes)]
    if not outside.numel():
        return
    low, high = int(counted.min()), int(counted.max())
    strangers = sorted(int(value) for value in torch.unique(outside))
    known = {int(one) for one in torch.unique(counted[(counted >= 0) & (counted < classes)])}
    span = f"labels run from {low} to {high} ({len(outside)} of {counted.numel()} outside 0 to "
    facts = {"span": f"{span}{classes - 1}, the {classes} classes of the output)"}
    signs = set(strangers) == {-1} and known <= {1}
    three_way = low == -1 and high == classes - 2 and len(known) == classes - 1
    marker = len(strangers) == 1 and (strangers[0] < 0 or strangers[0] in (255, 65535))
    grey = classes == 2 and strangers == [255] and known <= {0}
    if marker and not (signs or three_way or grey):
        yield "marker", facts | {"label": strangers[0], "name": call.name, "ignored": ignore}
        return
    fix = f"nn.Linear(…, {high + 1}) at the end of the model, or labels below {classes}"
    if low == 1 and high == classes:
        fix = "criterion(output, target - 1): labels count from 0"
    elif grey:
        fix = "criterion(output, target // 255): labels are 0 and 1"
    elif signs:
        fix = "criterion(output, (target + 1) // 2): labels are 0 and 1"
    elif three_way:
        fix = "criterion(output, target + 1): labels count from 0"
    yield "no_such_class", facts | {"fix": fix}


def _unit_range(case: Evidence, call: Call) -> Found:
    target = call.target
    low, high = ask.span(target)
    if math.isnan(low) or ask.within_unit(target):
        return
    outside = (target < -ask.slack(target)) | (target > 1 + ask.slack(target))
    # Later steps may mask these elements out.
    slope = case.gradient
    seen = case.pure is not call and slope is not None and slope.shape == outside.shape
    if seen and not bool((slope[outside] != 0).any()):
        return
    values = torch.unique(target.detach())
    fix = "Leave the unlabelled elements out: reduction='none', then loss[known].mean()"
    if len(values) == 2 and (low, high) == (-1.0, 1.0):
        fix = "criterion(output, (target + 1) / 2)"
    elif len(values) == 2 and (low, high) == (1.0, 2.0):
        fix = "criterion(output, target - 1)"
    elif low >= 0 and (len(values) != 3 or high != 255):
        fix = f"criterion(output, target / {high:g})"
    yield "unit_wanted", {"name": call.name, "low": low, "high": high, "fix": fix,
                          "number": int(outside.sum()), "count": target.numel()}  # fmt: skip


def _blank_labels(call: Call) -> Found:
    target, blank = call.target, call.options.get("blank", 0)
    if not ask.is_index(target):
        return
    if target.ndim == 2:
        lengths = torch.as_tensor(call.options["target_lengths"]).reshape(-1, 1)
        target = target.cpu()[torch.arange(target.shape[1]).expand(target.shape) < lengths.cpu()]
    number = int((target == blank).sum())
    if number:
        yield "blank_label", {"number": number, "count": target.numel(), "blank": blank}


def ignored(case: Evidence) -> Found:
    """Targets that are skipped: all of them, or a class of one's own."""
    for call in case.calls:
        given, target = call.input, call.target
        if "ignore_index" not in call.options or not call.comparable or not ask.is_index(target):
            continue
        if not target.numel() or not given.ndim:
            continue
        ignore, classes = call.options["ignore_index"], given.shape[ask.class_dim(given)]
        skipped = int((target == ignore).sum())
        facts = {"number": skipped, "count": target.numel(), "label": ignore}
        if skipped == target.numel():
            mean = call.options.get("reduction", "mean") == "mean"
            yield "all_skipped", facts | {"level": "certain" if mean else "suspicion"}
        elif skipped and 0 <= ignore < classes:
            yield "class_skipped" if classes > 2 else "one_class_left", facts


def padding(case: Evidence) -> Found:
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
    # Phases and states come in runs, and the last of them may be one; 0 is the class "other".
    steps = ~tail[:, 1:]
    changes = (target[:, 1:] != target[:, :-1]) & steps
    if int(changes.sum()) < 0.5 * int(steps.sum()) or len(torch.unique(target)) < 4:
        return
    if float((felt[tail] > 0).double().mean()) > 0.5:
        yield "padding", {"label": label, "number": int(tail.sum()), "count": target.numel()}


def distributions(case: Evidence) -> Found:
    """Targets that should be probabilities of classes and are not."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable or given.shape != target.shape or not given.ndim:
            continue
        if not target.is_floating_point() or not target.numel():
            continue
        if call.contract.target == "classes":
            yield from _class_probabilities(case, call)
        elif call.contract.target == "distribution":
            yield from _divergence_target(call)


def _class_probabilities(case: Evidence, call: Call) -> Found:
    given, target = call.input, call.target
    dim = ask.class_dim(given)
    if given.shape[dim] == 1:
        return
    values = ask.rows(target, dim)
    low, high = ask.span(values)
    sums = values.sum(dim)
    # A row of zeros is a common way to leave a sample out.
    off = ((sums - 1).abs() > max(1e-2, 8 * torch.finfo(target.dtype).eps)) & (sums != 0)
    one_unit = given.ndim == 1 and len(given) > 1 and case.bias is not None
    one_unit = one_unit and case.bias.numel() == 1
    if low >= 0 and not bool(off.any()) and not one_unit:
        return
    facts = {"low": low, "high": high, "least": float(sums.min()), "most": float(sums.max())}
    if given.ndim == 1:
        yield "one_sample", facts | {"count": len(target), "shape": ask.shape(given)}
    elif ask.is_hard(values):
        yield "several_labels", facts | {"many": int((sums > 1).sum()), "count": sums.numel()}
    else:
        yield "no_probabilities", facts | {"level": "certain" if low < 0 else "suspicion"}


def _divergence_target(call: Call) -> Found:
    target, logged = call.target, bool(call.options.get("log_target"))
    dims = [dim for dim in range(target.ndim) if ask.is_log_distribution(call.input, dim)]
    dims = dims or list(range(target.ndim))
    low, high = ask.span(target)
    is_log = any(ask.is_log_distribution(target, dim) for dim in dims)
    if is_log if logged else low >= 0 and not all(_sums_off(target, dim) for dim in dims):
        return
    if logged and high <= 0:
        return
    what, fix = "kl_div takes the target as probabilities", "log_target=True"
    if logged:
        what, fix = "log_target=True takes log-probabilities", "log_target=False"
    elif not is_log:
        fix = "F.kl_div(log_probs, target_logits.softmax(dim=1), reduction='batchmean')"
    sums = ask.rows(target, -1).sum(-1)
    yield "divergence_target", {
        "what": what, "fix": fix, "low": low, "high": high, "least": float(sums.min()),
        "most": float(sums.max()), "level": "certain" if low < 0 or logged else "suspicion",
    }  # fmt: skip


def _sums_off(target: Tensor, dim: int) -> bool:
    sums = ask.rows(target, dim).sum(dim)
    return bool(((sums - 1).abs()[sums != 0] > 2e-2).any())


# The options


def weights(case: Evidence) -> Found:
    """Class weights of the wrong size, dtype or sign, or turned upside down."""
    for call in case.calls:
        given, weight = call.input, call.options.get("weight")
        if not isinstance(given, Tensor) or not given.ndim:
            continue
        if isinstance(weight, Tensor) and call.contract.target == "classes":
            yield from _class_weight(case, call, weight)
        elif isinstance(weight, Tensor) and call.contract.over == "elements":
            yield from _element_weight(case, call, weight, "weight")
        positive = call.options.get("pos_weight")
        if isinstance(positive, Tensor):
            yield from _element_weight(case, call, positive, "pos_weight")


def _class_weight(case: Evidence, call: Call, weight: Tensor) -> Found:
    given, target = call.input, call.target
    if weight.grad_fn is not None and weight.shape == given.shape:
        return  # the output in the constructor: API
    classes = given.shape[ask.class_dim(given)]
    facts = {"classes": classes, "weight": ask.shape(weight), "given": ask.shape(given)}
    if weight.ndim != 1 or len(weight) != classes:
        yield "weight_size", facts
        return
    if weight.dtype != given.dtype and call.result is None:
        yield (
            "weight_dtype",
            {"weight": ask.dtype(weight), "given": given.dtype, "said": said(case)},
        )
        return
    yield from _signs_of(weight, "weight")
    counted = target[(target >= 0) & (target < classes)] if ask.is_index(target) else target[:0]
    if not bool((weight > 0).all()) or counted.numel() < 8 or classes > 4096:
        return
    counts = torch.bincount(counted.flatten().long(), minlength=classes).double()
    seen = counts > 0
    if int(seen.sum()) < 2 or float(counts[seen].max() / counts[seen].min()) < 3:
        return
    ratio = weight.double()[seen] / counts[seen]
    if float(ratio.max() / ratio.min()) < 1.5:
        most, least = int(counts.argmax()), int(torch.where(seen, counts, counts.max()).argmin())
        yield "favoured_twice", {
            "most": most, "many": int(counts[most]), "large": float(weight[most]),
            "least": least, "few": int(counts[least]), "small": float(weight[least]),
        }  # fmt: skip


def _signs_of(weight: Tensor, name: str) -> Found:
    bad = int(((weight < 0) | ~weight.isfinite()).sum())
    low, high = ask.span(weight)
    if bad or not high > 0:
        yield "no_weight", {"name": name, "bad": bad, "count": weight.numel(), "low": low,
                            "high": high}  # fmt: skip


def _element_weight(case: Evidence, call: Call, weight: Tensor, name: str) -> Found:
    given = call.input
    try:
        together = torch.broadcast_shapes(given.shape, weight.shape)
    except RuntimeError:
        together = None
    if together != given.shape:
        grows = f"together they would be {tuple(together)}" if together else "they do not fit"
        yield "weight_shape", {"name": name, "weight": ask.shape(weight), "said": said(case, call),
                               "given": ask.shape(given), "grows": grows}  # fmt: skip
        return
    yield from _signs_of(weight, name)
    counts = _counts(call, weight)
    if counts is None:
        return
    positives, negatives = counts
    value, ratio = weight.detach().double().flatten(), negatives / positives.clamp(min=1)
    if name == "weight":
        # Weights that merely grow for rare labels are somebody's choice; this is the very ratio.
        exact = bool(((value / ratio - 1).abs() < 0.01).all())
        if bool((positives > 0).all()) and float(ratio.max()) > 1.5 and exact:
            yield "meant_for_positives", {"yes": float(positives[0]), "no": float(negatives[0]),
                                          "value": float(value[0])}  # fmt: skip
        return
    rare = (positives > 0) & (positives <= 0.5 * negatives)
    share = (value * negatives / positives.clamp(min=1))[rare]
    if bool(rare.any()) and bool(((value[rare] <= 0.75) & (share > 0.5) & (share < 2)).all()):
        label = int(rare.nonzero()[0, 0])
        yield "upside_down", {
            "yes": float(positives[label]), "no": float(negatives[label]),
            "which": "" if weight.numel() == 1 else f" for label {label}",
            "value": float(value[label]), "ratio": float(ratio[label]),
        }  # fmt: skip


def _counts(call: Call, weight: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return positives and negatives for each number of an element-wise weight."""
    target = call.target
    if not isinstance(target, Tensor) or target.numel() < 16 or target.shape != call.input.shape:
        return None
    values = target.detach().double()
    if not ask.is_hard(values):
        return None
    if weight.numel() == 1:
        values = values.reshape(-1, 1)
    elif values.ndim != 2 or weight.shape != values.shape[1:] or len(values) < 32:
        return None
    return values.sum(0), (1 - values).sum(0)


def reduction(case: Evidence) -> Found:
    """How the losses of a batch become one number: notes only."""
    for call in case.calls:
        how, weight = call.options.get("reduction"), call.options.get("weight")
        ndim = getattr(call.input, "ndim", 0)
        if how == "sum" and call is case.pure:
            yield "summed", {"count": len(call.target) if getattr(call.target, "ndim", 0) else 1}
        elif call.name == "kl_div" and (how == "mean" or (how == "batchmean" and ndim > 2)):
            yield "divergence_mean", {"how": how, "shape": ask.shape(call.input)}
        elif how == "mean" and isinstance(weight, Tensor) and call.contract.target == "classes":
            low, high = ask.span(weight)
            if ask.is_index(call.target):
                yield "weighted_mean", {"count": weight.numel(), "low": low, "high": high}
    sizes = {len(output) for output, _ in case.batches if output.ndim}
    if len(sizes) > 1:
        yield (
            "uneven_batches",
            {"least": min(sizes), "most": max(sizes), "count": len(case.batches)},
        )


# What the targets mean


def objective(case: Evidence) -> Found:
    """A loss that answers another question than the targets ask."""
    for call in case.calls:
        given, target = call.input, call.target
        if not call.comparable or not target.numel() or not given.is_floating_point():
            continue
        if call.name in _REGRESSIONS:
            yield from _regression(case, call)
        elif call.contract.target == "same" and given.shape == target.shape:
            yield from _one_against_rest(case, call)
        elif call.name == "multilabel_margin_loss" and ask.is_index(target):
            if target.ndim == 2 and target.shape[1] > 2 and ask.is_hard(target):
                yield "margin_list", {"shape": ask.shape(target)}
        elif call.name == "hinge_embedding_loss" and (low := ask.span(given)[0]) < 0:
            yield "no_distance", {"low": low, "high": ask.span(given)[1]}


def _regression(case: Evidence, call: Call) -> Found:
    target = call.target.detach()
    values = torch.unique(target[:4096])
    if not call.from_target or call.input.shape != target.shape or len(values) < 2:
        return
    made, facts = case.values(call.input), {"name": call.name, "count": target.numel()}
    if ask.is_index(target) and len(values) > 2 and (target.ndim < 2 or target.shape[1] == 1):
        yield "class_as_quantity", facts | {"dtype": ask.dtype(target), "number": len(values)}
    elif set(values.tolist()) == {0, 1} and target.numel() >= 8:
        squashed = made.kind in ("sigmoid", "softmax") or ask.within_unit(call.input)
        facts["ones"] = int(target.sum())
        if squashed or made.kind not in ("linear", "leaf"):
            yield "proper_score", facts
        else:
            # A least-squares GAN does so, and is right.
            adversarial = bool((target == target.flatten()[0]).all())
            yield "label_regression", facts | {"level": "note" if adversarial else "suspicion"}


def _one_against_rest(case: Evidence, call: Call) -> Found:
    target = call.target.detach()
    if target.ndim < 2 or target.shape[1] < 2 or not call.from_target:
        return
    values = ask.rows(target, 1)
    if not ask.is_hard(values):
        return
    sums, made = values.sum(1), case.values(call.input)
    facts = {"many": int((sums > 1).sum()), "count": sums.numel(), "made": made.name}
    if made.kind == "softmax" and facts["many"] and call.contract.takes == "probs":
        yield "shared_probability", facts
    elif bool((sums == 1).all()) and sums.numel() > 1:
        yield "one_true", facts | {"classes": target.shape[1]}


def imbalance(case: Evidence) -> Found:
    """Batches sorted by class, and classes that hardly occur."""
    pairs = case.batches or ([(case.output, case.target)] if case.simple else [])
    whole = [target.detach().flatten() for _, target in pairs if target.numel()]
    firsts = [one for one in whole if not one.is_meta and (ask.is_index(one) or ask.is_hard(one))]
    if not firsts:
        return
    together = torch.cat(firsts)
    values, counts = torch.unique(together, return_counts=True)
    alone = sum(len(torch.unique(one)) == 1 and one.numel() > 1 for one in firsts)
    facts = {"batches": len(firsts), "count": together.numel(), "value": values[0].item()}
    if len(values) > 1 and alone == len(firsts) and together.numel() >= 8 and len(firsts) >= 3:
        # In an evaluation the order does no harm.
        trained = any(output.requires_grad for output, _ in case.batches)
        level = "suspicion" if trained else "note"
        yield "sorted", facts | {"number": len(values), "level": level}
    elif len(values) == 1 and together.numel() >= 64 and len(firsts) > 1:
        yield "one_class_only", facts
    elif len(values) > 1 and together.numel() >= 64:
        share = float(counts.min()) / float(counts.sum())
        if share < (0.2 / len(values) if case.batches else 0.01 * (len(values) == 2)):
            rare = values[counts.argmin()].item()
            yield "rare", facts | {"rare": rare, "number": int(counts.min()), "share": share}


# What made the output, and what the loss takes it for


def activation(case: Evidence) -> Found:
    """Values that softmax or sigmoid is applied to, though they are confined."""
    for use in (*case.uses, *case.stages):
        made = use.values
        if use.kind not in ("softmax", "sigmoid"):
            continue
        facts = {"taker": _taker(case, use), "made": _made(made), "act": _act(made)}
        if use.kind == "softmax" and made.kind == "log_softmax":
            if _same_dim(use, made):
                yield "log_softmax_twice", facts
        elif made.kind in ("batch_norm", "layer_norm", "dropout"):
            if made.scale is not None and abs(made.scale) <= 1.5:
                how = "scores are erased at random, the label's own among them"
                if made.kind != "dropout":
                    how = "every batch is brought to the same spread"
                yield "last_step", facts | {"how": how}
        else:
            yield from _confined(case, use, facts)
    for call in case.calls:
        yield from _by_value(case, call)


def _confined(case: Evidence, use: Use, facts: dict) -> Found:
    made, seen = use.values, use.observed
    low, high = made.low, made.high
    classes = _classes_of(case, use) if use.kind == "softmax" else 2
    if use.kind == "softmax":
        if seen is not None and seen[1] > made.width * 1.01 + 1e-3:
            return
        least, most = 0.0, largest_prob(classes, made.width)
    else:
        if not made.located:
            if seen is None or made.width == INF:
                return
            low, high = seen[1] - made.width, seen[0] + made.width
        if seen is not None and (seen[0] < low - 1e-2 or seen[1] > high + 1e-2):
            return
        least, most = largest_prob(2, low), largest_prob(2, high)
    double = made.kind in ranges.ACTIVATIONS
    facts |= {"classes": classes, "most": most, "least": least, "low": low, "high": high,
              "floor": _floor(case, use, classes, least, most)}  # fmt: skip
    # Cut off on one side: what is below 0 is lost, unless it was turned round as a distance is.
    cut = use.kind == "softmax" and low > -INF and high == INF and not made.shifted
    cut = cut and not {"Mean", "AvgPool2D", "AdaptiveAvgPool2D"} & set(made.steps)
    if most >= 0.99 and least <= 0.01 and not cut:
        if use.kind == "softmax" and made.kind == "log_sigmoid":
            yield "log_sigmoid_in_softmax", facts
        return
    if double and (high < INF):
        yield f"double_{use.kind}", facts
    elif use.kind == "sigmoid" and least >= 0.5:
        yield "never_no", facts
    elif cut:
        zeros = int((case.output == 0).sum()) if isinstance(case.output, Tensor) else 0
        yield "cut_off", facts | {"zeros": f"{zeros} values are exactly 0; " if zeros else ""}
    else:
        yield "cosines" if made.kind == "cosine" else "confined", facts


def _floor(case: Evidence, use: Use, classes: int, least: float, most: float) -> str:
    """Return what the loss costs at least, where it is one of torch's own."""
    call = case.pure
    if call is None or "factor" in call.options or call.options.get("reduction") == "sum":
        return ""
    weighted = call.options.get("weight") is not None or call.options.get("pos_weight") is not None
    if weighted or call.name in ("soft_margin_loss", "multi_margin_loss"):
        return ""
    if use.kind == "softmax":
        return f", and the loss cannot fall below {-math.log(most):.4f}"
    parts = [f"a target of 1 costs at least {-math.log(most):.4f}"] if most < 0.99 else []
    parts += [f"a target of 0 at least {-math.log(1 - least):.4f}"] if least > 0.01 else []
    return f", so {' and '.join(parts)}"


def _by_value(case: Evidence, call: Call) -> Found:
    """Probabilities where logits belong, told from their values alone."""
    given = call.input
    if call.contract.takes != "logits" or not isinstance(given, Tensor) or not given.ndim:
        return
    made, dim = case.values(given), ask.class_dim(given)
    facts = {"name": call.name, "count": given.numel(), "shape": ask.shape(given)}
    if call.contract.over == "classes":
        classes = given.shape[dim]
        if made.kind in ("leaf", "other") and ask.sums_to_one(given, dim):
            floor = -math.log(largest_prob(classes, 1))
            yield "like_probabilities", facts | {"floor": floor, "classes": classes}
        spread = ask.common_spread(given) if call.name == "cross_entropy" else None
        most = 0.0 if spread is None else largest_prob(given.shape[1], spread)
        if 0 < most < 0.99 and made.kind not in ("cosine", "unit"):
            rows = given.numel() // given.shape[1]
            yield "one_spread", facts | {"rows": rows, "spread": spread, "most": most}
    elif made.kind in ("leaf", "other") and made.scale == 1.0 and given.numel() >= 200:
        low, high = ask.span(given)
        if made.high == INF and 0 <= low < 0.1 and 0.9 < high <= 1:
            yield "fills_unit", facts | {"low": low, "high": high}


def log_probs(case: Evidence) -> Found:
    """Something else where the loss wants log-probabilities."""
    for call in case.calls:
        given = call.input
        if call.contract.takes != "log_probs" or not isinstance(given, Tensor):
            continue
        if not given.is_floating_point() or not given.ndim or not given.numel():
            continue
        made = case.values(given)
        dims = [ask.class_dim(given)] if call.name == "nll_loss" else range(given.ndim)
        # Scores that were meant as logs, but normalised over another dimension: WRONG_DIM.
        if made.kind == "log_softmax" or abs(made.scale or 0.0) != 1.0:
            continue
        if any(ask.is_log_distribution(given, dim) for dim in dims):
            continue
        low, high = ask.span(given)
        positive = high > 1e-3
        told = (positive and made.kind != "other") or made.kind in (
            "softmax", "sigmoid", "linear", "log_sigmoid", "tanh")  # fmt: skip
        if not told and not positive and made.kind != "leaf":
            continue
        effect = "the loss has no lower bound"
        if low >= 0 and high <= 1:
            effect = "probabilities without their logarithm"
        fix = "F.cross_entropy(output, target); or F.nll_loss(output.log_softmax(dim=1), target)"
        if made.kind in ("sigmoid", "log_sigmoid"):
            fix = "Return the logits and use F.cross_entropy(output, target)."
        elif call.name == "kl_div":
            fix = "F.kl_div(output.log_softmax(dim=1), target, reduction='batchmean') on logits"
        elif made.kind == "softmax":
            fix = "F.cross_entropy(logits, target); or log_softmax in place of softmax"
        total = ask.rows(given, dims[-1]).exp().sum(dims[-1]).mean().item()
        kind = "probabilities" if made.kind in ("softmax", "sigmoid") else "other values"
        yield "no_log_probs", {
            "name": call.name, "kind": kind, "made": _made(made), "low": low, "high": high,
            "total": total, "effect": effect, "fix": fix,
            "level": "certain" if told else "suspicion",
        }  # fmt: skip


def powers(case: Evidence) -> Found:
    """1 - log p, or 1 - loss, to some power: what a focal loss makes of 1 - p."""
    for node in case.nodes:
        if ranges.operation(node) != "Pow" or not node.next_functions:
            continue
        made = case.graph.values(node.next_functions[0][0])
        name = ranges.operation(made.node) if made.node is not None else ""
        loss = name.startswith(("NllLoss", "BinaryCrossEntropy"))
        if "Rsub" in made.steps and (loss or made.kind in ("log_softmax", "log_sigmoid")):
            what = "a loss" if loss else "a logarithm of probabilities"
            yield "log_for_probability", {"what": what, "node": made.name}
            return


def probs(case: Evidence) -> Found:
    """Raw scores where the loss wants probabilities."""
    seen = False
    for call in case.calls:
        given = call.input
        if call.contract.takes != "probs" or not isinstance(given, Tensor) or not given.numel():
            continue
        made = case.values(given)
        low, high = ask.span(given)
        outside = low < 0 or high > 1
        raw = made.scale == 1.0 and made.kind in (
            "linear",
            "relu",
            "soft_relu",
            "tanh",
            "batch_norm",
        )
        raw = raw and (made.kind == "linear" or made.low < 0 or made.high > 1)
        if outside or raw or made.kind in ("log_softmax", "log_sigmoid"):
            seen, level = True, "certain" if outside else "suspicion"
            yield "raw_scores", {"taker": call.name, "made": _made(made), "low": low, "high": high,
                                 "level": level}  # fmt: skip
    for use in () if seen else case.uses:
        made = use.values
        if use.kind != "log" or made.scale != 1.0 or not isinstance(case.output, Tensor):
            continue
        low, high = ask.span(case.output)
        # A positive quantity has a logarithm too; raw scores give NaN, unless they are clamped.
        strained = "Clamp" in " ".join(made.steps) or not case.finite
        free = made.kind in ("linear", "tanh", "leaf") and not made.inside and low < 0 and strained
        if free or made.kind in ("log_softmax", "log_sigmoid"):
            # A clamp keeps it a number, and then only its writer knows what is taken.
            level = "suspicion" if free and case.finite else "certain"
            yield "raw_scores", {"taker": "the logarithm in the criterion", "made": _made(made),
                                 "low": low, "high": high, "level": level}  # fmt: skip
            return


def _taker(case: Evidence, use: Use) -> str:
    """Return the name of what consumes the output."""
    name = ranges.operation(use.node) if use.node is not None else ""
    named = {
        "BinaryCrossEntropyWithLogits": "binary_cross_entropy_with_logits",
        "LogSoftmax": "cross_entropy",
        "LogSigmoid": "multilabel_soft_margin_loss",
    }.get(name)
    if named in [call.name for call in case.calls]:
        return named
    if use.node is None:
        return f"the criterion ({case.calls[-1].name}, by its values)"
    return f"the {name.lower() if use in case.stages else use.kind} after it"


def _act(made: Values) -> str:
    """Return the name of an activation, as torch has it."""
    name = "" if made.node is None else ranges.operation(made.node)
    words = {"log_sigmoid": "logsigmoid", "batch_norm": "batch normalisation", "Relu": "ReLU",
             "layer_norm": "layer normalisation"}  # fmt: skip
    if made.kind in (*ranges.ACTIVATIONS, "batch_norm", "layer_norm", "dropout"):
        return words.get(made.kind, made.kind)
    return words.get(name, name.lower())


def _made(made: Values) -> str:
    """Return what made the values, as the graph tells it."""
    words = {"log_sigmoid": "logsigmoid", "tanh": "a bounded activation",
             "relu": "a ReLU-like step", "soft_relu": "a ReLU-like step", "unit": "normalisation",
             "batch_norm": "batch normalisation", "layer_norm": "layer normalisation",
             "step": "a step function",
             "linear": "a linear layer", "cosine": "cosines", "other": "an operation",
             "leaf": "no graph"}  # fmt: skip
    where = "inside the criterion " if made.inside else ""
    return f"{where}the values come from {words.get(made.kind, made.kind)}" + (
        f" ({made.name})" if made.name else "")  # fmt: skip


def _same_dim(use: Use, made: Values) -> bool:
    if use.dim is None or made.dim is None or set(made.steps) - ranges.IN_PLACE:
        return True
    result = saved_result(use)
    ndim = result.ndim if result is not None else 2
    return use.dim % ndim == made.dim % ndim


def saved_result(use: Use) -> Tensor | None:
    """Return what a softmax gave, where the graph has kept it."""
    result = ranges.saved(use.node, "result")
    return result if isinstance(result, Tensor) else None


def _classes_of(case: Evidence, use: Use) -> int:
    result = saved_result(use)
    if use.node is not None and ranges.operation(use.node) == "Logsumexp":
        result = ranges.saved(use.node, "self")
    if result is not None and result.ndim and isinstance(use.dim, int):
        return result.shape[use.dim]
    return case.output.shape[1] if isinstance(case.output, Tensor) and case.output.ndim > 1 else 2


# The dimension of the classes


def one_class(case: Evidence) -> Found:
    """A softmax over one single score, which is always 1."""
    for call in case.calls:
        given = call.input
        if call.contract.over != "classes" or call.name in ("kl_div", "ctc_loss"):
            continue
        if isinstance(given, Tensor) and given.ndim and given.shape[ask.class_dim(given)] == 1:
            yield "one_score", {"who": call.name, "shape": ask.shape(given)}
            return
    for node in [case.producer.node, *(use.node for use in case.uses)]:
        if node is None or ranges.operation(node) not in ("Softmax", "LogSoftmax"):
            continue
        result, dim = ranges.saved(node, "result"), ranges.saved(node, "dim")
        if not isinstance(result, Tensor) or dim is None or result.ndim < 2:
            continue
        if result.shape[dim] == 1 and dim % result.ndim != 0 and result.numel() > 1:
            yield "one_score", {"who": "softmax", "shape": ask.shape(result)}
            return


def wrong_dim(case: Evidence) -> Found:
    """Softmax over another dimension than the classes'."""
    expected = _expected_dim(case)
    if expected is not None:
        for use in case.uses:
            made = use.values
            direct = not made.inside and set(made.steps[: made.own]) <= ranges.IN_PLACE
            if use.kind == "softmax" and direct and isinstance(use.dim, int):
                dim = use.dim % case.output.ndim
                if dim != expected and not _one_hot_along(case.target, dim):
                    yield _over(case.output, "certain", dim, expected, "the criterion's softmax")
                    return
        found = _normalised_elsewhere(case.output, case.producer, expected)
        if found is not None:
            yield _over(case.output, *found, expected, "the softmax of the model")
            return
    for call in case.calls:
        given = call.input
        if call.contract.over != "classes" or not isinstance(given, Tensor) or given.ndim < 2:
            continue
        if call.name in ("kl_div", "ctc_loss") or not given.is_floating_point():
            continue
        made = case.values(given)
        found = _normalised_elsewhere(given, made, 1)
        if found is not None:
            yield _over(given, *found, 1, f"the softmax before {call.name}")
            return
        found = _before_reshaping(given, made)
        if found is not None:
            yield _over(found[2], "certain", found[0], found[1], "the softmax of the model")
            return


def _before_reshaping(given: Tensor, made: Values) -> tuple[int, int, Tensor] | None:
    """Return (its dimension, the classes' dimension, its result) of a softmax over another one.

    The rows that the loss gets were cut from that result, and hold what lay along one dimension of
    it: there the classes are.
    """
    result, dim = made.result, made.dim
    if made.kind not in ("softmax", "log_softmax") or dim is None or given.ndim != 2:
        return None
    if not isinstance(result, Tensor) or result.ndim < 3 or result.numel() != given.numel():
        return None
    dim %= result.ndim
    homes = [
        home
        for home in range(result.ndim)
        if result.shape[home] == given.shape[1]
        and torch.equal(result.movedim(home, -1).reshape(given.shape), given.detach())
    ]
    return (dim, homes[0], result) if homes and dim not in homes else None


def _expected_dim(case: Evidence) -> int | None:
    """Return where the classes are, as the target tells it."""
    if not case.simple or not case.output.is_floating_point() or case.output.ndim < 1:
        return None
    if case.classes is not None:
        return 1 if case.classes > 1 else None
    if case.elementwise:
        dims = [dim for dim in range(1, case.target.ndim) if _one_hot_along(case.target, dim)]
        return dims[0] if len(dims) == 1 else None
    return None


def _one_hot_along(target: Tensor, dim: int) -> bool:
    if target.ndim <= dim or target.shape[dim] < 2:
        return False
    return bool(((target.double().sum(dim) - 1).abs() < 1e-3).all())


def _normalised_elsewhere(values: Tensor, made: Values, expected: int) -> tuple[str, int] | None:
    """Return (level, dimension) where values are normalised over another dimension."""
    if made.scale != 1.0 or made.kind not in ("softmax", "log_softmax", "leaf", "other"):
        return None
    if values.shape[0] == 1 and made.dim == 0 and set(made.steps) <= ranges.IN_PLACE:
        return "certain", 0
    is_normal = ask.is_log_distribution if made.kind == "log_softmax" else ask.sums_to_one
    if is_normal(values, expected):
        return None
    for other in range(values.ndim):
        if other == expected or values.shape[other] < 2 or not is_normal(values, other):
            continue
        if made.kind in ("softmax", "log_softmax"):
            return "certain", other
        # Without a graph: few numbers can add up to 1 by chance, many rows cannot.
        return ("suspicion", other) if values.numel() >= 8 else None
    return None


def _over(scores: Tensor, level: str, dim: int, expected: int, who: str) -> tuple[str, dict]:
    where = "the batch" if dim == 0 else f"dimension {dim}"
    return "other_dim", {"who": who, "where": where, "dim": dim, "shape": ask.shape(scores),
                         "expected": expected, "level": level}  # fmt: skip


def class_order(case: Evidence) -> Found:
    """Classes that are not in dimension 1, told from the units of the last layer."""
    softmaxed = any(call.contract.over == "classes" for call in case.calls) or any(
        use.kind == "softmax" and use.dim == 1 for use in case.uses
    )
    if case.classes is None or case.classes < 2 or not softmaxed:
        return
    # A two-dimensional output that was never reshaped has its classes where they belong.
    if case.output.ndim == 2 and not set(case.producer.steps) - ranges.IN_PLACE:
        return
    units = case.units
    if units is None or int(units.max()) + 1 != case.classes or _varies_only_along(units, 1):
        return
    homes = [dim for dim in range(units.ndim) if dim != 1 and _varies_only_along(units, dim)]
    number = len(torch.unique(units.select(1, 0)))
    if homes:
        how = f"the last layer's {case.classes} units lie along dimension {homes[0]}, not 1"
        yield "units_elsewhere", {"how": how, "fix": f"output.movedim({homes[0]}, 1)"}
    elif number > 1:
        how = f"scores for class 0 come from {number} different units of the last layer"
        fix = "Move dimensions with permute or movedim; view and reshape only relabel them."
        yield "units_elsewhere", {"how": how, "fix": fix}


def _varies_only_along(units: Tensor, dim: int) -> bool:
    """Whether each position along ``dim`` belongs to one unit, and each to another."""
    line = units.movedim(dim, 0).flatten(1)
    if line.shape[0] < 2 or not bool((line == line[:, :1]).all()):
        return False
    return len(torch.unique(line[:, 0])) == line.shape[0]


# What flows back


def no_gradient(case: Evidence) -> Found:
    """A loss from which nothing flows back to the output."""
    cuts = list(dict.fromkeys(case.trace.cuts))
    seen = f"; on the way: {', '.join(cuts)}" if cuts else ""
    for how in _cut(case):
        yield "nothing_back", {"how": how + seen}
        return
    if case.trace.idle is not None and case.loss is not None and case.loss.requires_grad:
        yield "idle_term", {"step": case.trace.idle}
    made = case.whole[0]
    if case.rerun is not None and isinstance(made, Tensor) and made.requires_grad and made.is_leaf:
        trainable = sum(p.requires_grad for p in case.model.parameters())
        if trainable:
            yield "connection_lost", {"count": trainable}


def _cut(case: Evidence) -> Iterator[str]:
    result, output = case.result, case.output
    if isinstance(result, bool | int | float):
        yield f"the criterion returns a {type(result).__name__} ({float(result):.4g}) and no tensor"
    elif not isinstance(output, Tensor):
        if case.loss is not None and case.leaves and not case.loss.requires_grad:
            yield "the loss does not require a gradient"
    elif output.numel() and not output.is_floating_point():
        if not case.swapped:
            yield f"the output holds {ask.dtype(output)}: decisions, which have no slope"
    elif case.producer.kind == "step":
        yield f"the output comes from a step function ({case.producer.name})"
    elif case.error is not None:
        target = case.target.detach().clone() if isinstance(case.target, Tensor) else case.target
        if case.asker.call(case.criterion, output.detach().clone(), target)[1] is None:
            why = ask.describe(case.error)
            yield f"the criterion takes no output with a graph ({case.facts}): {why}"
    elif case.loss is not None and output.numel() and not case.nodes:
        yield "no path leads from the loss back to the output"


CAUSES: tuple[Callable[[Evidence], Found], ...] = (
    call_form, shapes, weights, reduction, refused, target_dtype, target_range, ignored, padding,
    distributions, objective, imbalance, activation, log_probs, powers, probs, one_class, wrong_dim,
    class_order, no_gradient,
)  # fmt: skip
