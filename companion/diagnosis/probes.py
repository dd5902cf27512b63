"""Questions to a criterion that nobody has seen before: what does it reward?

A probe calls the criterion again on copies, with a changed output or target, and compares. All of
them are skipped where the criterion hands on one of torch's own losses unchanged, or does not
repeat itself.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from . import graph
from . import values as ask
from .case import Case
from .codes import finding
from .report import Finding
from .trace import Call, record

_CLOSE = 1e-3


def custom(case: Case) -> Iterator[Finding]:
    """What an unknown criterion rewards."""
    if case.error is not None or case.loss is None:
        yield from _no_loss(case)
        return
    yield from _own_target(case)
    torn = list(_places(case))
    yield from torn
    if torn:
        return  # what it rewards cannot be told before it is put together
    whole = case.pure
    if whole is not None and not whole.derived:
        return
    if case.small is None or not case.loss.requires_grad or not _repeats(case):
        return
    if not graph.reaches(case.loss.grad_fn, case.bridge):
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


def _no_loss(case: Case) -> Iterator[Finding]:
    result = case.result
    if case.error is not None or isinstance(result, float | int | type):
        return
    if result is None and callable(case.criterion) and not isinstance(case.criterion, type):
        yield finding(
            "CUSTOM_LOSS",
            "certain",
            "the criterion gives nothing back",
            f"for {case.facts} it returned None.",
            "return loss",
        )


def _own_target(case: Case) -> Iterator[Finding]:
    """A loss that compares the output with itself and never looks at the target."""
    if case.trace.reads_target or not isinstance(case.target, Tensor):
        return
    for call in case.calls:
        if call.from_output and call.own_target and call.result is not None:
            yield finding(
                "CUSTOM_LOSS",
                "suspicion",
                "the loss compares the output with itself and never looks at the target",
                f"what {call.name} gets as target was computed from the output, and nothing was "
                f"computed from the target{case.here}.",
                f"F.{call.name}(output, target)",
            )
            return


def _repeats(case: Case) -> bool:
    if case.repeats:
        return True
    case.unchecked.append("the probes: the criterion does not answer the same question alike")
    return False


def domain_of(case: Case) -> str:
    """Return what the criterion takes its input for: logits, probs, log_probs or unknown."""
    kinds = {use.kind for use in case.uses if not use.producer.inside}
    if kinds & {"softmax", "sigmoid"}:
        return "logits"
    if "log" in kinds:
        return "probs"
    if "nll" in kinds:
        return "log_probs"
    if case.producer.kind in ("sigmoid", "softmax"):
        return "probs"
    return "unknown"


def _marks(case: Case, target: Tensor) -> Tensor | None:
    """Return 1 where the target says yes and 0 elsewhere, in the shape of the output."""
    if case.layout is not None and case.layout[1] > 1:
        axis, count = case.layout
        valid = (target >= 0) & (target < count)
        marks = functional.one_hot(torch.where(valid, target, 0).long(), count)
        return (marks * valid[..., None]).movedim(-1, axis).double()
    if case.elementwise:
        return target.double()
    return None


def in_domain(domain: str, scores: Tensor, case: Case) -> Tensor:
    """Turn scores into what the criterion takes."""
    if domain == "probs":
        scores = scores.softmax(case.layout[0]) if case.layout else scores.sigmoid()
    elif domain == "log_probs" and case.layout:
        scores = scores.log_softmax(case.layout[0])
    elif domain == "positive":
        scores = functional.softplus(scores)
    return scores.to(case.output.dtype)


def fitted(case: Case) -> tuple[Tensor, float, float] | None:
    """Return outputs that the loss likes, and what equal ones and these cost."""
    domain, (output, target) = domain_of(case), case.small
    if domain == "unknown" and case.producer.kind in ("relu", "soft_relu"):
        domain = "positive"
    scores = torch.zeros_like(output)
    for _ in range(16):
        slope = case.slope(in_domain(domain, scores, case), target)
        if slope is None:
            return None
        scores -= 0.5 * slope.sign()
    best = in_domain(domain, scores, case)
    before = case.ask(in_domain(domain, torch.zeros_like(output), case), target)
    after = case.ask(best, target)
    if before is None or after is None or not after < before - _CLOSE:
        return None
    return best, before, after


def _direction(case: Case) -> Iterator[Finding]:
    """Being right must cost less than being wrong, for each label."""
    target = case.small[1]
    if case.elementwise:
        target = (target > 0.5).to(target.dtype)  # near one half, right and wrong are alike
    marks = _marks(case, target)
    if marks is None or float(marks.min()) == float(marks.max()):
        return
    domain = domain_of(case)
    # A distance, say, is less where more is alike; but no distance comes from a linear layer.
    free = (
        case.elementwise
        and case.producer.kind in ("linear", "leaf")
        and ask.span(case.output)[0] < 0
    )
    if domain == "unknown" and not free:
        return
    if case.layout is not None and not own_column(case, domain, target):
        return
    # The output turns, and the target turns: weights of the labels may deceive about one of them.
    turned = _turned(case, target)
    agreeing = in_domain(domain, (2 * marks - 1) * 2.0, case)
    opposed = in_domain(domain, (2 * _marks(case, turned) - 1) * 2.0, case)
    pairs = (agreeing, target), (agreeing, turned), (opposed, target)
    right, wrong, other = (case.ask(*pair) for pair in pairs)
    if right is None or wrong is None or other is None:
        return
    if right > max(wrong, other) + _CLOSE * max(abs(right), abs(wrong), 1e-6):
        yield finding(
            "CUSTOM_LOSS",
            "suspicion" if domain == "unknown" else "certain",
            "being right costs more than being wrong: the sign is turned",
            f"outputs that agree with the target cost {right:.4f}, with other targets they would "
            f"cost {wrong:.4f}.",
            "return -loss (or 1 - score, where the criterion is a score such as Dice)",
        )
        return
    if (
        not case.calls
        and domain == "logits"
        and abs(right + float(_share(case, agreeing, marks))) < 1e-3
    ):
        yield finding(
            "CUSTOM_LOSS",
            "note",
            "the loss is the negative probability of the label, without a logarithm",
            f"outputs that agree with the target cost {right:.4f}, and never less than -1: like a "
            "mean absolute error, it hardly teaches what is far off.",
            "F.cross_entropy(output, target)",
        )
    if case.elementwise and _one_value_wins(case):
        yield from _one_label(case, domain, target)


def own_column(case: Case, domain: str, target: Tensor) -> bool:
    """Whether label k is about column k: not so where 0 is the background, or labels are levels."""
    marks = _marks(case, target)
    slope = case.slope(in_domain(domain, torch.zeros_like(marks), case), target)
    if slope is None:
        return False
    axis, near = case.layout[0], 1e-3 * float(slope.abs().max())
    known, own = marks.sum(axis) > 0, (slope * marks).sum(axis)
    least = slope.masked_fill(marks > 0, torch.inf).amin(axis) - near
    most = slope.masked_fill(marks > 0, -torch.inf).amax(axis) + near
    return bool((own < least)[known].all()) or bool((own > most)[known].all())


def _share(case: Case, scores: Tensor, marks: Tensor) -> Tensor:
    return (scores.double().softmax(1) * marks).sum(1).mean() if scores.ndim > 1 else scores.mean()


def _one_label(case: Case, domain: str, target: Tensor) -> Iterator[Finding]:
    """At outputs that are all alike, each label must pull its own elements its own way."""
    if (pulls := _pulls(case, domain, target)) is None:
        return
    most = [max(pull[label] for pull in pulls) for label in (0, 1)]
    for label, pull in ((0, pulls[2][0]), (1, pulls[0][1])):
        if most[label] > 0 and pull < -_CLOSE * max(most):
            yield finding(
                "CUSTOM_LOSS",
                "suspicion",
                "the more surely wrong an output is, the less it costs",
                f"where outputs are {2 - 4 * label} and targets {label}, the gradient drives them "
                f"further away, by {-pull:.4f}.",
                "pt = y * p + (1 - y) * (1 - p), the probability of the label that is true",
            )
            return
    idle = [label for label in (0, 1) if most[label] <= 1e-6 * most[1 - label]]
    if len(idle) != 1 or max(most) <= 0:
        return
    (label,) = idle
    fact = (
        f"at outputs of -2, 0 and 2 everywhere, the elements with target {label} are pulled "
        f"towards it by at most {most[label]:.4f}, the others towards {1 - label} by up to "
        f"{most[1 - label]:.4f}"
    )
    # Read as -1 and 1, the labels may make a margin loss of it, in which nothing is amiss.
    signs = 2 * target - 1
    as_signs = _pulls(case, domain, signs) if domain != "probs" else None
    far = case.ask(20.0 * signs, signs) if as_signs else None
    if (
        far is not None
        and abs(far) < _CLOSE
        and all(max(p[k] for p in as_signs) > 0 for k in (0, 1))
    ):
        yield finding(
            "TARGET_RANGE",
            "suspicion",
            "the criterion takes the targets -1 and 1, and these are 0 and 1",
            f"{fact}; with -1 in place of 0 both are, and outputs of -20 and 20 cost {far:.4f}.",
            "criterion(output, 2 * target - 1)",
            "Binary cross-entropy",
        )
        return
    yield finding(
        "CUSTOM_LOSS",
        "suspicion",
        f"answering {('yes', 'no')[label]} to everything costs no more than being right",
        f"{fact}: one of the two mistakes is free.",
        "-(y * log_p + (1 - y) * log_not_p): both terms",
    )


def _pulls(case: Case, domain: str, target: Tensor) -> list[tuple[float, float]] | None:
    """Return how strongly elements of each label are pulled towards it, at three equal outputs."""
    yes, pulls = target > 0.5, []
    for level in (-2.0, 0.0, 2.0):
        given = torch.full(target.shape, level, dtype=torch.float64, device=target.device)
        slope = case.slope(in_domain(domain, given, case), target)
        if slope is None or not bool(slope.isfinite().all()):
            return None
        pulls.append((float(slope[~yes].double().sum()), float(-slope[yes].double().sum())))
    return pulls


def _turned(case: Case, target: Tensor) -> Tensor:
    """Return other targets: the next class, or no for yes."""
    if case.layout is not None:
        other = (target + 1) % case.layout[1]
        return torch.where((target >= 0) & (target < case.layout[1]), other, target)
    return (1 - target.double()).to(target.dtype)


def _one_value_wins(case: Case) -> bool:
    """Whether each element stands for itself, so that a constant answer is a fair question."""
    target = case.target
    if case.producer.kind in ("softmax", "log_softmax"):
        return False
    if any(use.kind == "softmax" for use in case.uses):
        return False
    if target.ndim > 1 and target.shape[1] > 1:
        exclusive = bool(((target.double().sum(1) - 1).abs() < 1e-6).all())
        return not exclusive or case.producer.kind == "sigmoid"
    return True


def _pairing(case: Case) -> Iterator[Finding]:
    """The loss must know which target belongs to which output."""
    output, target = case.small
    if not target.ndim or target.shape[0] != output.shape[0] or target.shape[0] < 3:
        return
    if bool((target == target[:1]).all()):
        return
    # Saturated outputs would cost the same with any target.
    if domain_of(case) != "unknown":
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(output.shape, generator=generator).to(output.device, output.dtype)
        output = in_domain(domain_of(case), drawn, case)
    base = case.ask(output, target)
    turned = [case.ask(output, target.roll(step, 0)) for step in (1, 2, 3)]
    if base is None or None in turned:
        return
    spread = max(abs(value - base) for value in turned)
    if spread > 1e-6 * max(abs(base), 1e-6) or base != base:
        return
    # The value may be fixed where the slope is not; and where the order of the outputs alone
    # matters, as between pairs of views, the loss was not meant to look at the target.
    slopes = case.slope(output, target), case.slope(output, target.roll(1, 0))
    if slopes[0] is None or slopes[1] is None:
        return
    if not torch.allclose(*slopes, rtol=1e-4, atol=1e-9):
        return
    mixed = case.ask(output.flip(0).roll(1, 0), target)
    if mixed is None or abs(mixed - base) > 1e-5 * max(abs(base), 1e-6):
        return
    if any(not bool((target.roll(step, 0) == target).all()) for step in (1, 2, 3)):
        yield finding(
            "CUSTOM_LOSS",
            "suspicion",
            "the loss does not depend on which target belongs to which output",
            f"the targets of {target.shape[0]} samples were exchanged three times, and the loss "
            f"stayed at {base:.6f}.",
            "Compare each output with its own target before taking the mean.",
        )


def _places(case: Case) -> Iterator[Finding]:
    """The target at one place must be compared with the output at the same place.

    One target is changed at a time; what moves in the gradient shows where it is compared.
    """
    if (
        case.small is None
        or case.error is not None
        or case.loss is None
        or any(map(case.untouched, case.calls))
    ):
        return
    if not (case.elementwise or case.layout) or not case.loss.requires_grad:
        return
    output, target = case.small
    if target.numel() < 4 or not _repeats(case):
        return
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(output.shape, generator=generator).to(output.device)
    drawn = in_domain(domain_of(case), drawn.double(), case)
    found = [_compared_at(case, drawn, target, place) for place in _spread(target.numel())]
    moves = [(asked, met) for asked, met in found if met is not None]
    elsewhere = [(asked, met) for asked, met in moves if met != asked]
    # A constant distance is a shift that somebody wants: each token from the one before it.
    if len(elsewhere) < 3 or len({met - asked for asked, met in elsewhere}) < 2:
        return
    asked, met = elsewhere[0]
    yield finding(
        "CLASS_DIM" if output.ndim > 2 else "CUSTOM_LOSS",
        "suspicion",
        "the target at one place is compared with the output at another",
        f"for {len(elsewhere)} of {len(moves)} targets that were changed, the gradient changed "
        f"elsewhere: target {asked} (counted through {ask.shape(target)}) meets output {met}.",
        "Move dimensions with permute or movedim; view and reshape only relabel them.",
        "BCE or CE",
    )


def _spread(count: int) -> list[int]:
    return sorted({round(i * (count - 1) / 7) for i in range(8)})


def _compared_at(case: Case, drawn: Tensor, target: Tensor, place: int) -> tuple[int, int | None]:
    """Return the place of a target and where its change is felt; None where nowhere or all over."""
    other = target.clone()
    one = other.view(-1)[place] if other.is_contiguous() else None
    if one is None or (case.layout is None and float(one) not in (0.0, 1.0)):
        return place, None
    other.view(-1)[place] = _turned(case, one)
    before, after = case.slope(drawn, target), case.slope(drawn, other)
    if before is None or after is None:
        return place, None
    moved = (after - before).abs()
    felt = moved.amax(case.layout[0]).flatten() if case.layout else moved.flatten()
    most = float(felt.max())
    if not most > 0 or float(felt[place]) > 0.05 * most:
        return place, place if most > 0 else None
    return place, int(felt.argmax())


def _modulated_mean(case: Case) -> Iterator[Finding]:
    """A factor for each sample, computed from the mean over all of them.

    Then the gradient is the mean loss's own gradient times one number, and that number changes
    with the output.
    """
    if case.trace.early is not None:
        name, factors = case.trace.early
        yield finding(
            "CUSTOM_LOSS",
            "suspicion",
            "the losses are averaged before each is given its own factor",
            f"the mean {name} is one number, and it is multiplied with factors of shape {factors}: "
            f"their own mean is all that is left of them{case.here}.",
            f"F.{name}(output, target, reduction='none'), then the factors, then .mean()",
        )
        return
    inner = [
        call
        for call in case.calls
        if isinstance(call.result, Tensor)
        and call.result.numel() == 1
        and call.result.requires_grad
        and call.options.get("reduction", "mean") == "mean"
    ]
    if len(inner) != 1 or case.output.shape[:1] in ((), (1,)) or len(case.leaves) != 1:
        return
    # exp(-loss) or a power of it is how such a factor is made; loss / loss.detach() is no factor.
    steps = graph.operations(case.loss.grad_fn, case.bridge)
    if not {"Exp", "Pow"} & set(steps[1:]):
        return
    # The mean loss of timid scores hardly moves when they are stretched: the last one is bold.
    factors = []
    for stretch in (None, 3.0, 30.0):
        factor = _common_factor(case, inner[0], stretch)
        if factor is None:
            return
        factors.append(factor)
    first, second = min(factors), max(factors)
    if second - first <= 1e-2 * second or first <= 0:
        return
    yield finding(
        "CUSTOM_LOSS",
        "suspicion",
        "the losses are averaged before they are modulated: every sample gets the same factor",
        f"the gradient is that of the mean {inner[0].name} times {first:.4f} for all "
        f"{len(case.small[0])} samples, and times {second:.4f} for other outputs.",
        f"F.{inner[0].name}(output, target, reduction='none'), then the factor, then .mean()",
    )


def _common_factor(case: Case, call: Call, stretch: float | None) -> float | None:
    """Return the ratio of the criterion's gradient to that of the inner mean, if it is one."""
    output, target = case.small

    def pull():
        leaf = output.clone().requires_grad_()
        given = leaf.clone() if stretch is None else _elsewhere(leaf, stretch, call)
        loss, seen, error = record(case.criterion, given, target.clone())
        same = [one for one in seen.calls if one.contract is call.contract]
        if error is not None or len(same) != 1:
            return None
        whole = torch.autograd.grad(loss, leaf, retain_graph=True)[0].double()
        part = torch.autograd.grad(same[0].result, leaf)[0].double()
        size = float((part * part).sum())
        if not size > 0:
            return None
        factor = float((whole * part).sum()) / size
        rest = float((whole - factor * part).norm())
        return factor if rest <= 1e-3 * float(whole.norm()) else None

    return case.sandbox.call(pull)[0]


def _elsewhere(leaf: Tensor, stretch: float, call: Call) -> Tensor:
    """Return other outputs that the criterion can take."""
    if call.contract.takes == "probs":
        return 0.25 + 0.5 * leaf + 0.2 * _ripple(leaf)
    return leaf * stretch + _ripple(leaf)


def _ripple(like: Tensor) -> Tensor:
    """Return a fixed, uneven pattern of the tensor's shape."""
    steps = torch.arange(like.numel(), device=like.device, dtype=torch.float32)
    return torch.sin(steps).reshape(like.shape).to(like.dtype)


def _overshoot(case: Case) -> Iterator[Finding]:
    """A loss on probabilities that pays for values beyond 1, and gets them.

    Asked of the loss as a whole, and of each term where it is a sum, of BCE and Dice, say.
    """
    low, high = ask.span(case.output)
    output, target = case.small
    marks = _marks(case, target)
    if marks is None or (low >= 0 and high <= 1) or not bool(((marks == 0) | (marks == 1)).all()):
        return
    for node, price in _terms(case):
        kinds = {use.kind for use in graph.uses(node, case.bridge)}
        if kinds & {"softmax", "sigmoid", "nll"} or not graph.reaches(node, case.bridge):
            continue
        tried = [price((k * marks + c).to(output.dtype)) for k, c in ((1, 0), (3, 0), (0.5, 0.25))]
        if None in tried:
            continue
        exact, beyond, half = tried
        # 0 is the best such a loss can reach, or -1 where a score was only turned round.
        best = min(abs(exact), abs(exact + 1)) < 0.05 * max(abs(half - exact), 1e-6)
        if best and beyond < exact - 0.05 * abs(half - exact):
            yield finding(
                "LOGITS_FOR_PROBS",
                "certain",
                "the criterion takes probabilities and gets raw scores",
                f"values from {low:.4g} to {high:.4g}; at the exact answer it gives {exact:.4f}, "
                f"and at three times that {beyond:.4f}: values beyond 1 are rewarded.",
                "criterion(torch.sigmoid(output), target), or softmax(dim=1) for classes",
                "Multi-label",
            )
            return


def _terms(case: Case) -> Iterator[tuple]:
    """Yield the root of each term of the loss, with a way to ask what it costs."""
    target = case.small[1]
    yield case.loss.grad_fn, lambda output: case.ask(output, target)
    nodes = graph.addends(case.loss.grad_fn)
    if len(nodes) < 2:
        return
    for index, step in enumerate(case.trace.steps):
        if step.grad_fn is not None and step.numel() == 1 and step.grad_fn in nodes:
            yield step.grad_fn, lambda output, index=index: case.ask_step(index, output, target)


def _scale(case: Case) -> Iterator[Finding]:
    """Something that is divided twice."""
    output, target = case.small
    if output.ndim == 0 or not target.ndim or target.shape[0] != output.shape[0]:
        return
    count, classes = output.shape[0], output.shape[1] if output.ndim > 1 else 0
    derived = next((call for call in case.calls if call.derived), None)
    factor = derived.options.get("factor", 1.0) if derived else 1.0
    over_classes = derived and derived.contract.over == "classes" and classes > 2
    if over_classes and abs(factor * classes - 1) < 1e-2 and count != classes:
        yield finding(
            "REDUCTION",
            "suspicion",
            "the mean is taken over the classes too",
            f"the loss is {factor:.4f} times {derived.name}, and there are {classes} classes.",
            ".sum(dim=1).mean(): sum over the classes, mean over the samples",
        )
        return
    if _padded(case):
        yield finding(
            "REDUCTION",
            "suspicion",
            "the mean is taken over the classes too",
            f"one more class that nothing speaks for turns the loss into {classes} / "
            f"{classes + 1} of itself; cross-entropy would stay as it is.",
            ".sum(dim=1).mean(): sum over the classes, mean over the samples",
        )
        return
    once, twice = (
        case.ask(output, target),
        case.ask(torch.cat([output, output]), torch.cat([target, target])),
    )
    if once is None or twice is None or abs(once) < 1e-9 or case.loss.ndim:
        return
    if abs(twice / once - 0.5) < 5e-3:
        yield finding(
            "REDUCTION",
            "suspicion",
            "the loss is divided by the batch twice",
            f"the same {count} samples cost {once:.6f}, and listed twice {twice:.6f}: half, where "
            "a mean stays and a sum doubles.",
            "Divide once: reduction='mean' does it already.",
        )


def _padded(case: Case) -> bool:
    """Whether one more, impossible class makes the loss smaller by just one part."""
    output, target = case.small
    kinds = {use.kind for use in case.uses}
    if output.ndim != 2 or not 3 <= output.shape[1] <= 200 or kinds & {"sigmoid", "log"}:
        return False
    if output.dtype not in (torch.float32, torch.float64):
        return False  # one part in K is lost in rounding
    steps = graph.operations(case.loss.grad_fn, case.bridge)
    if "LogSoftmax" not in steps or any(call.name == "kl_div" for call in case.calls):
        return False
    never = torch.full_like(output[:, :1], -1e4)
    wider = torch.cat([output, never], 1)
    goals = [target]
    if target.shape == output.shape and target.is_floating_point():
        goals = [torch.cat([target, torch.full_like(target[:, :1], fill)], 1) for fill in (0, -1e4)]
    base = case.ask(output, target)
    share = output.shape[1] / (output.shape[1] + 1)
    prices = [case.ask(wider, goal) for goal in goals]
    return bool(base) and any(
        price is not None and abs(price / base - share) < 0.1 * (1 - share) for price in prices
    )


def writes(case: Case) -> Iterator[Finding]:
    """A criterion that changes the tensors it is given."""
    if not isinstance(case.given_target, Tensor) or case.error is not None:
        return
    before, after = case.target, case.given_target
    if before.shape != after.shape or torch.equal(before.nan_to_num(), after.nan_to_num()):
        return
    yield finding(
        "CUSTOM_LOSS",
        "note",
        "the criterion writes into the target that it is given",
        f"{int((before != after).sum())} of {before.numel()} values differ after the call: what "
        "is computed from the target next (an accuracy, say) sees the changed ones.",
        "target = target * (1 - eps) + eps / 2, without the underscore of an in-place step",
    )


SYMPTOMS = (custom, writes)
