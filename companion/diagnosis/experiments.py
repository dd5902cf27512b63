"""Rules that change something and see what follows: what does a criterion of one's own reward?

Each experiment asks the criterion again, on copies, with another output or target. None is made
where the criterion hands its tensors on to one of torch's own losses, or does not repeat itself.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from . import ranges
from . import tensors as ask
from .evidence import Evidence, Found
from .record import Call, record

_CLOSE = 1e-3
_MARKERS = (255, 65535, -1, -100)


def alike(first: float | None, second: float | None, near: float = 1e-6) -> bool:
    """Whether two answers are the same but for rounding."""
    if first is None or second is None:
        return False
    return abs(first - second) <= near * max(abs(first), abs(second), 1e-6)


def not_finite(case: Evidence) -> Found:
    """NaN or infinity in the loss, in its gradient, or in what went in."""
    loss, output = case.loss, case.output
    if loss is None or not loss.is_floating_point():
        return
    for role, value in (("output", output), ("target", case.target)):
        bad = [int(t.isnan().sum()) for t in ask.tensors_in(value) if t.is_floating_point()]
        # A NaN in the target may mark what is not known and be left out.
        if sum(bad) and not (role == "target" and case.finite):
            yield "nan_inside", {"role": role, "bad": sum(bad)}
            return
    if isinstance(output, Tensor) and output.numel() == 0:
        yield "empty_batch", {"shape": ask.shape(output)}
        return
    if not loss.numel():
        return
    low, high = ask.span(output) if isinstance(output, Tensor) else (0.0, 0.0)
    facts = {"low": low, "high": high, "facts": case.facts}
    if not case.finite:
        kind = "NaN" if bool(loss.isnan().any()) else "infinite"
        logs = any(use.kind == "log" for use in case.uses)
        yield "log_of_nothing" if logs else "infinite_loss", facts | {"kind": kind}
    elif case.gradient is not None and not bool(case.gradient.isfinite().all()):
        bad = int((~case.gradient.isfinite()).sum())
        yield "infinite_gradient", {"bad": bad, "count": case.gradient.numel()}


def flat(case: Evidence) -> Found:
    """A gradient of exactly 0 where there is still something to learn."""
    slope, loss = case.gradient, case.loss
    idle = slope is not None and slope.numel() and not bool((slope != 0).any())
    if loss is None or not loss.numel() or not isinstance(case.output, Tensor) or not idle:
        return
    if _one_column(case):
        return
    if float(loss.detach().abs().max()) < 1e-4:
        # Where nothing is left to learn, a gradient of 0 is right; always is too often.
        if case.small is not None and all(
            case.ask(case.random(scale), case.small[1]) == 0 for scale in (0.1, 1.0, 3.0)
        ):
            yield "always_zero", {"shape": ask.shape(case.output)}
        return
    steps = [use.values.name for use in case.uses if use.values.kind == "step"]
    why = f"; the values pass a step function ({steps[0]})" if steps else ""
    if not why and any("Clamp" in step for step in case.steps):
        why = "; the criterion clamps them, and past a clamp there is no slope"
    level = "certain"
    if case.small is not None:
        other = case.slope(case.random(0.1), case.small[1])
        if other is not None and bool((other != 0).any()):
            level = "suspicion" if len(case.output) >= 16 else "note"
    yield "flat", {"count": slope.numel(), "why": why, "level": level}


def _one_column(case: Evidence) -> bool:
    return any(
        call.contract.over == "classes"
        and isinstance(call.input, Tensor)
        and call.input.ndim > 0
        and call.input.shape[ask.class_dim(call.input)] == 1
        for call in case.calls
    )


def idle_model(case: Evidence) -> Found:
    """No parameter of the model that gets a gradient."""
    if case.rerun is None or not isinstance(case.rerun[1], Tensor):
        return
    model, output = case.rerun
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        level = "suspicion" if case.model.training else "note"
        yield "frozen_model", {"count": sum(1 for _ in model.parameters()), "level": level}
    elif output.shape == case.whole[0].shape and case.loss is not None and case.loss.numel():

        def pull() -> list[Tensor | None]:
            loss = case.criterion(output, case.whole[1].detach().clone())
            return list(torch.autograd.grad(loss.mean(), trainable, allow_unused=True))

        slopes = case.asker.call(pull)[0]
        dead = slopes and not any(s is not None and bool((s != 0).any()) for s in slopes)
        if dead and float(case.loss.detach().abs().max()) > 1e-4:
            yield "idle_model", {"count": len(trainable)}


# How the target is written, not what it means; or the reverse


def misread(case: Evidence) -> Found:
    """Targets that the criterion reads otherwise than they are meant."""
    if case.untouched(case.pure) or case.error is not None or case.loss is None:
        return
    if case.small is None or not case.loss.requires_grad or not case.target.ndim:
        return
    if case.repeats:
        for rule in (_type, _fractions, _marker, _dilution, _range, _few):
            if found := list(rule(case)):
                yield from found
                return


def _type(case: Evidence) -> Found:
    """Whole numbers must count the same in every type that can hold them."""
    output, target = case.small
    if not ask.is_index(target) or not torch.equal(target.to(output.dtype).long(), target.long()):
        return
    base = case.ask(output, target)
    as_float, as_long = case.ask(output, target.to(output.dtype)), case.ask(output, target.long())
    near = max(1e-3, 8 * torch.finfo(output.dtype).eps)
    if None in (base, as_float, as_long) or alike(base, as_float, near):
        return
    if target.dtype != torch.int64 and not alike(as_float, as_long, near):
        return  # bytes that choose elements, as bool would
    yield "type_counts", {"dtype": ask.dtype(target), "base": base, "as_float": as_float,
                          "wide": ask.dtype(output)}  # fmt: skip


def _fractions(case: Evidence) -> Found:
    """A soft target must not count as if its fractions were not there."""
    output, target = case.small
    if not target.is_floating_point() or not bool((target != target.round()).any()):
        return
    base, cut = case.ask(output, target), case.ask(output, target.trunc())
    low, high = ask.span(target)
    if alike(base, cut) and not alike(base, case.ask(output, target.round())):
        yield "fractions_lost", {"low": low, "high": high, "base": base}
    if target.shape != output.shape or target.ndim < 2 or target.shape[1] < 3:
        return
    top = target.amax(1, keepdim=True)
    mixed = ((target > 0).sum(1, keepdim=True) == 2) & (top < 1)
    # One share for all is how batches are mixed; pseudo-labels differ from row to row, and the
    # votes of up to five people are fifths and the like, whose majority may be all that is wanted.
    if not bool(mixed.any()) or float(top[mixed].max() - top[mixed].min()) > 1e-2:
        return
    share = float(top[mixed][0])
    if any(abs(share * people - round(share * people)) < 1e-2 for people in (2, 3, 4, 5)):
        return
    hard = torch.zeros_like(target).scatter(1, target.argmax(1, keepdim=True), 1)
    if alike(base, case.ask(output, hard)):
        yield "larger_only", {"number": int(mixed.sum()), "count": mixed.numel(), "share": share}


def _marker(case: Evidence) -> Found:
    """A number that stands for "no label" must not be read as a label."""
    output, target = case.small
    if case.layout is None:
        return
    classes, known = case.layout[1], torch.unique(target)
    outside = [int(value) for value in known if not 0 <= value < classes]
    if len(outside) != 1 or outside[0] not in _MARKERS or len(known) < 3 or output.ndim < 2:
        return
    (marker,) = outside
    marked, base = target == marker, case.ask(output, target)
    # To count what is not known as class 0, the background, is somebody's choice.
    for label in sorted({classes - 1, marker % classes} - {0}):
        others = [case.ask(output, target.masked_fill(marked, other)) for other in (label, 0)]
        if label in known and alike(base, others[0]) and not alike(base, others[1]):
            yield "marker_read", {"marker": marker, "label": label, "base": base,
                                  "number": int(marked.sum()), "count": marked.numel()}  # fmt: skip
            return


def _dilution(case: Evidence) -> Found:
    """What is left out must not count in the mean."""
    output, target = case.small
    felt = case.felt_at(case.slope(output, target), target)
    if felt is None:
        return
    silent, whole = felt == 0, case.output.shape == case.target.shape
    share = float(silent.double().mean())
    values = torch.unique(target[silent].nan_to_num(-1) if whole else target[silent])
    if not 0.1 < share < 1 or len(values) != 1 or (whole and 0 <= float(values) <= 1):
        return
    mark = target[silent].flatten()[0]
    same = target.isnan() if mark != mark else target == mark
    if not torch.equal(same, silent) or (not whole and case.layout is None):
        return
    # torch's own losses document what they leave out and still count.
    known = any(call.options.get("ignore_index") == mark for call in case.calls)
    if known and not any(call.options.get("reduction") == "none" for call in case.calls):
        return
    # Twice as many places, none of them new to the loss.
    dim = -1 if whole or case.layout[0] < output.ndim - 1 else output.ndim - 2
    wider = torch.cat([target, torch.full_like(target, mark)], -1)
    base, thinned = case.ask(output, target), case.ask(torch.cat([output, output], dim), wider)
    if base and alike(thinned, base / 2, 1e-3):
        yield "diluted", {"share": share, "mark": float(mark), "base": base, "thinned": thinned}


def _range(case: Evidence) -> Found:
    """Two labels that are not 0 and 1, in a loss that has its floor only with those."""
    output, target = case.small
    low, high = ask.span(target)
    if target.shape != output.shape or case.domain not in ("logits", "probs") or low == high:
        return
    if (low, high) == (0, 1) or not bool(((target == low) | (target == high)).all()):
        return
    unit = (target.double() - low) / (high - low)
    perfect = case.in_domain(20 * (2 * unit - 1))
    given, meant = case.ask(perfect, target), case.ask(perfect, unit.to(target.dtype))
    if None not in (given, meant) and abs(meant) < 1e-2 and given < -0.1:
        yield "zero_and_one", {"low": low, "high": high, "given": given, "meant": meant,
                               "width": high - low}  # fmt: skip


def _few(case: Evidence) -> Found:
    """Each sample of a batch must count."""
    output, target = case.small
    if len(output) < 4 or not target.ndim or len(target) != len(output):
        return
    felt: set[int] = set()
    for seed in (0, 1):
        slope = case.slope(case.random(seed=seed), target)
        if slope is None:
            return
        felt |= set(slope.reshape(len(slope), -1).any(1).nonzero().flatten().tolist())
    if len(felt) == 1:
        yield "one_sample_counts", {"place": felt.pop(), "count": len(output)}


# What it rewards


def rewards(case: Evidence) -> Found:
    """What a criterion that nobody has seen before rewards."""
    if case.error is not None or case.loss is None:
        if case.error is None and case.result is None and not isinstance(case.criterion, type):
            yield "nothing_returned", {"facts": case.facts}
        return
    for call in case.calls:
        compared = call.from_output and call.own_target and call.result is not None
        if compared and not case.trace.reads_target and isinstance(case.target, Tensor):
            yield "own_target", {"name": call.name}
    torn = list(_places(case))
    yield from torn
    whole = case.pure
    if torn or case.small is None or not case.nodes or (whole is not None and not whole.derived):
        return
    if not case.repeats:
        case.unchecked.append("the criterion's answers: it gives other ones to the same question")
        return
    yield from _scale(case)
    if whole is not None:
        if "factor" in whole.options:
            yield from _direction(case)
        return
    beyond = list(_overshoot(case))
    yield from beyond or _direction(case)
    yield from _pairing(case)
    yield from _modulated_mean(case)


def _direction(case: Evidence) -> Found:
    """Being right must cost less than being wrong, for each label."""
    target = case.small[1]
    if case.elementwise:
        target = (target > 0.5).to(target.dtype)  # near one half, right and wrong are alike
    marks = case.marks(target)
    if marks is None or float(marks.min()) == float(marks.max()):
        return
    # A distance, say, is less where more is alike; but no distance comes from a linear layer.
    free = case.elementwise and case.producer.kind in ("linear", "leaf")
    if case.domain == "unknown" and not (free and ask.span(case.output)[0] < 0):
        return
    if case.layout is not None and not (case.own_column and case.others_alike):
        return
    # The output turns, and the target turns: weights of the labels may deceive about one of them.
    turned = case.turned(target)
    agreeing = case.in_domain((2 * marks - 1) * 2.0)
    opposed = case.in_domain((2 * case.marks(turned) - 1) * 2.0)
    pairs = (agreeing, target), (agreeing, turned), (opposed, target)
    right, wrong, other = (case.ask(*pair) for pair in pairs)
    if right is None or wrong is None or other is None:
        return
    if right > max(wrong, other) + _CLOSE * max(abs(right), abs(wrong), 1e-6):
        yield "turned", {"right": right, "wrong": wrong}
    elif case.elementwise and _one_value_wins(case):
        yield from _one_label(case, target)


def _one_label(case: Evidence, target: Tensor) -> Found:
    """At outputs that are all alike, each label must pull its own elements its own way."""
    if (pulls := _pulls(case, target)) is None:
        return
    most = [max(pull[label] for pull in pulls) for label in (0, 1)]
    for label, pull in ((0, pulls[2][0]), (1, pulls[0][1])):
        if most[label] > 0 and pull < -_CLOSE * max(most):
            yield "driven_away", {"level_at": 2 - 4 * label, "label": label, "pull": -pull}
            return
    idle = [label for label in (0, 1) if most[label] <= 1e-6 * most[1 - label]]
    if len(idle) != 1 or max(most) <= 0:
        return
    (label,) = idle
    facts = {"label": label, "own": most[label], "other": most[1 - label], "free": 1 - label}
    # Read as -1 and 1, the labels may make a margin loss of it, in which nothing is amiss.
    signs = 2 * target - 1
    as_signs = _pulls(case, signs) if case.domain != "probs" else None
    far = case.ask(20.0 * signs, signs) if as_signs else None
    heard = as_signs and all(max(p[k] for p in as_signs) > 0 for k in (0, 1))
    if far is not None and abs(far) < _CLOSE and heard:
        yield "signs_meant", facts | {"far": far}
    else:
        yield "free_mistake", facts | {"answer": ("yes", "no")[label]}


def _pulls(case: Evidence, target: Tensor) -> list[tuple[float, float]] | None:
    """Return how strongly elements of each label are pulled towards it, at three equal outputs."""
    yes, pulls = target > 0.5, []
    for level in (-2.0, 0.0, 2.0):
        given = torch.full(target.shape, level, dtype=torch.float64, device=target.device)
        slope = case.slope(case.in_domain(given), target)
        if slope is None or not bool(slope.isfinite().all()):
            return None
        pulls.append((float(slope[~yes].double().sum()), float(-slope[yes].double().sum())))
    return pulls


def _one_value_wins(case: Evidence) -> bool:
    """Whether each element stands for itself, so that a constant answer is a fair question."""
    target = case.target
    softmax = any(use.kind == "softmax" for use in case.uses)
    if softmax or case.producer.kind in ("softmax", "log_softmax"):
        return False
    if target.ndim > 1 and target.shape[1] > 1:
        exclusive = bool(((target.double().sum(1) - 1).abs() < 1e-6).all())
        return not exclusive or case.producer.kind == "sigmoid"
    return True


def _pairing(case: Evidence) -> Found:
    """The loss must know which target belongs to which output."""
    output, target = case.small
    if not target.ndim or target.shape[0] != output.shape[0] or target.shape[0] < 3:
        return
    # Saturated outputs would cost the same with any target.
    if case.domain != "unknown":
        output = case.random()
    generator = torch.Generator().manual_seed(0)
    # A roll may only rename the classes, as in 0, 1, 2, 0, 1, 2; a shuffle changes the pairs.
    orders = [torch.randperm(len(target), generator=generator) for _ in range(3)]
    others = [target[order.to(target.device)] for order in orders]
    if any(bool((other == target).all()) for other in others):
        return
    base, prices = case.ask(output, target), [case.ask(output, other) for other in others]
    if base is None or base != base or not all(alike(base, price) for price in prices):
        return
    # The value may be fixed where the slope is not; and where the order of the outputs alone
    # matters, as between pairs of views, the loss was not meant to look at the target.
    slopes = case.slope(output, target), case.slope(output, others[0])
    if None in slopes or not torch.allclose(*slopes, rtol=1e-4, atol=1e-9):
        return
    mixed = case.ask(output[orders[1].to(output.device)], target)
    if mixed is not None and abs(mixed - base) <= 1e-5 * max(abs(base), 1e-6):
        yield "pairing", {"count": len(target), "base": base}


def _places(case: Evidence) -> Found:
    """The target at one place must be compared with the output at the same place.

    One target is changed at a time; what moves in the gradient shows where it is compared.
    """
    if case.small is None or case.loss is None or any(map(case.untouched, case.calls)):
        return
    if not (case.elementwise or case.layout) or not case.loss.requires_grad:
        return
    output, target = case.small
    if target.numel() < 4 or not case.repeats:
        return
    outputs = case.random()
    before = case.slope(outputs, target)
    order = torch.randperm(target.numel(), generator=torch.Generator().manual_seed(0))
    places = sorted(order[:8].tolist())
    found = [(at, _compared_at(case, outputs, before, target, at)) for at in places]
    moves = [(asked, met) for asked, met in found if met is not None]
    elsewhere = [(asked, met) for asked, met in moves if met != asked]
    # A constant distance is a shift that somebody wants: each token from the one before it.
    if len(elsewhere) < 3 or len({met - asked for asked, met in elsewhere}) < 2:
        return
    (asked, met), shape = elsewhere[0], ask.shape(target)
    row = "other_place" if output.ndim > 2 else "other_sample"
    yield row, {"number": len(elsewhere), "count": len(moves), "asked": asked, "met": met,
                "shape": shape}  # fmt: skip


def _compared_at(case: Evidence, outputs, before, target: Tensor, place: int) -> int | None:
    """Return where the change of one target is felt; None where nowhere or all over."""
    other = target.clone()
    one = other.view(-1)[place] if other.is_contiguous() else None
    if one is None or (case.layout is None and float(one) not in (0.0, 1.0)):
        return None
    other.view(-1)[place] = case.turned(one)
    after = case.slope(outputs, other)
    if before is None or after is None:
        return None
    moved = (after - before).abs()
    felt = moved.amax(case.layout[0]).flatten() if case.layout else moved.flatten()
    most = float(felt.max())
    if not most > 0:
        return None
    return place if float(felt[place]) > 0.05 * most else int(felt.argmax())


def _modulated_mean(case: Evidence) -> Found:
    """A factor for each sample, computed from the mean over all of them.

    Then the gradient is the mean loss's own gradient times one number, and that number changes
    with the output.
    """
    if case.trace.early is not None:
        yield "early_mean", dict(zip(("name", "factors"), case.trace.early, strict=True))
        return
    inner = [
        call
        for call in case.calls
        if isinstance(call.result, Tensor)
        and call.result.numel() == 1
        and call.result.requires_grad
        and call.options.get("reduction", "mean") == "mean"
    ]
    if len(inner) != 1 or len(case.output) == 1 or len(case.leaves) != 1:
        return
    # exp(-loss) or a power of it is how such a factor is made; loss / loss.detach() is no factor.
    if not {"Exp", "Pow"} & set(case.steps[1:]):
        return
    # The mean loss of timid scores hardly moves when they are stretched: the last one is bold.
    factors = [_common_factor(case, inner[0], stretch) for stretch in (None, 3.0, 30.0)]
    if None in factors or min(factors) <= 0 or max(factors) < 1.01 * min(factors):
        return
    yield "modulated_mean", {"name": inner[0].name, "first": min(factors), "second": max(factors),
                             "count": len(case.small[0])}  # fmt: skip


def _common_factor(case: Evidence, call: Call, stretch: float | None) -> float | None:
    """Return the ratio of the criterion's gradient to that of the inner mean, if it is one."""
    output, target = case.small
    ripple = torch.sin(torch.arange(output.numel(), device=output.device).float())
    ripple = ripple.reshape(output.shape).to(output.dtype)

    def pull():
        leaf = output.clone().requires_grad_()
        given = leaf.clone()
        if stretch is not None:  # other outputs that the criterion can take
            probs = call.contract.takes == "probs"
            given = 0.25 + 0.5 * leaf + 0.2 * ripple if probs else leaf * stretch + ripple
        loss, seen, error = record(case.criterion, given, target.clone())
        same = [one for one in seen.calls if one.contract is call.contract]
        if error is not None or len(same) != 1:
            return None
        whole = torch.autograd.grad(loss, leaf, retain_graph=True)[0].double()
        part = torch.autograd.grad(same[0].result, leaf)[0].double()
        size = float((part * part).sum())
        factor = float((whole * part).sum()) / size if size > 0 else 0.0
        rest = float((whole - factor * part).norm())
        return factor if size > 0 and rest <= 1e-3 * float(whole.norm()) else None

    return case.asker.call(pull)[0]


def _overshoot(case: Evidence) -> Found:
    """A loss on probabilities that pays for values beyond 1, and gets them.

    Asked of the loss as a whole, and of each term where it is a sum, of BCE and Dice, say.
    """
    low, high = ask.span(case.output)
    output, target = case.small
    marks = case.marks(target)
    if marks is None or (low >= 0 and high <= 1) or not ask.is_hard(marks):
        return
    for root, price in _terms(case):
        nodes = case.graph.between(root)
        kinds = {use.kind for use in case.graph.uses(nodes)}
        if kinds & {"softmax", "sigmoid", "nll"} or not nodes:
            continue
        tried = [price((k * marks + c).to(output.dtype)) for k, c in ((1, 0), (3, 0), (0.5, 0.25))]
        if None in tried:
            continue
        exact, beyond, half = tried
        # 0 is the best such a loss can reach, or -1 where a score was only turned round; on a batch
        # of one kind, the mean of the outputs alone is -1 too, as in a Wasserstein critic.
        best = min(abs(exact), abs(exact + 1)) < 0.05 * max(abs(half - exact), 1e-6)
        mixed = bool((marks == 0).any()) and bool((marks == 1).any())
        if best and beyond < exact - 0.05 * abs(half - exact) and mixed:
            yield "beyond_one", {"low": low, "high": high, "exact": exact, "beyond": beyond}
            return


def _terms(case: Evidence) -> Iterator[tuple]:
    """Yield the root of each term of the loss, with a way to ask what it costs."""
    target = case.small[1]
    yield case.loss.grad_fn, lambda output: case.ask(output, target)
    nodes = ranges.addends(case.loss.grad_fn)
    if len(nodes) < 2:
        return
    for index, step in enumerate(case.trace.steps):
        if step.grad_fn is not None and step.numel() == 1 and step.grad_fn in nodes:
            yield step.grad_fn, lambda output, index=index: case.ask_step(index, output, target)


def _scale(case: Evidence) -> Found:
    """Something that is divided twice."""
    output, target = case.small
    if output.ndim == 0 or not target.ndim or target.shape[0] != output.shape[0]:
        return
    count, classes = output.shape[0], output.shape[1] if output.ndim > 1 else 0
    derived = case.pure if case.pure is not None and case.pure.derived else None
    factor = derived.options.get("factor", 1.0) if derived else 1.0
    over = derived and derived.contract.over == "classes" and classes > 2
    if (over and abs(factor * classes - 1) < 1e-2 and count != classes) or _padded(case):
        yield "over_classes", {"classes": classes}
        return
    if case.loss.ndim:
        return
    once = case.ask(output, target)
    twice = case.ask(torch.cat([output, output]), torch.cat([target, target]))
    ratio = twice / once if once and twice is not None and abs(once) > 1e-9 else 1.0
    if abs(ratio - 0.5) < 5e-3 or abs(ratio - 0.25) < 2e-3:
        yield "divided_twice", {"count": count, "once": once, "twice": twice}


def _padded(case: Evidence) -> bool:
    """Whether one more, impossible class makes the loss smaller by just one part."""
    output, target = case.small
    kinds = {use.kind for use in case.uses}
    if output.ndim != 2 or not 3 <= output.shape[1] <= 200 or kinds & {"sigmoid", "log"}:
        return False
    if output.dtype not in (torch.float32, torch.float64):
        return False  # one part in K is lost in rounding
    if "LogSoftmax" not in case.steps or any(call.name == "kl_div" for call in case.calls):
        return False
    wider = torch.cat([output, torch.full_like(output[:, :1], -1e4)], 1)
    goals = [target]
    if target.shape == output.shape and target.is_floating_point():
        goals = [torch.cat([target, torch.full_like(target[:, :1], fill)], 1) for fill in (0, -1e4)]
    base = case.ask(output, target)
    share = output.shape[1] / (output.shape[1] + 1)
    prices = [case.ask(wider, goal) for goal in goals] if base else []
    return any(p is not None and abs(p / base - share) < 0.1 * (1 - share) for p in prices)


SYMPTOMS: tuple[Callable[[Evidence], Found], ...] = (
    not_finite, flat, idle_model, misread, rewards,
)  # fmt: skip
