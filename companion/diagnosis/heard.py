"""Does the loss hear what the target says? Its type, its fractions, its marks for "no label".

Each rule changes how the target is written, not what it means (or the reverse), and asks an unknown
criterion again. One that hands its tensors on to a loss of torch's own is not asked.
"""

from collections.abc import Iterator

import torch

from . import values as ask
from .case import Case
from .codes import finding
from .probes import domain_of, in_domain
from .report import Finding

_MARKERS = (255, 65535, -1, -100)


def misheard(case: Case) -> Iterator[Finding]:
    """Targets that the criterion reads otherwise than they are meant."""
    if (
        case.untouched(case.pure)
        or case.error is not None
        or case.loss is None
        or case.small is None
    ):
        return
    if not case.loss.requires_grad or not case.target.ndim or not case.repeats:
        return
    for rule in (_type, _fractions, _marker, _dilution, _range, _few):
        found = rule(case)
        if found is not None:
            yield found
            return


def _alike(first: float | None, second: float | None, near: float = 1e-6) -> bool:
    if first is None or second is None:
        return False
    return abs(first - second) <= near * max(abs(first), abs(second), 1e-6)


def _type(case: Case) -> Finding | None:
    """Whole numbers must count the same in every type that can hold them."""
    output, target = case.small
    if not ask.is_index(target) or not torch.equal(target.to(output.dtype).long(), target.long()):
        return None
    base = case.ask(output, target)
    as_float, as_long = case.ask(output, target.to(output.dtype)), case.ask(output, target.long())
    near = max(1e-3, 8 * torch.finfo(output.dtype).eps)
    if None in (base, as_float, as_long) or _alike(base, as_float, near):
        return None
    if target.dtype != torch.int64 and not _alike(as_float, as_long, near):
        return None  # bytes that choose elements, as bool would
    return finding(
        "TARGET_DTYPE",
        "certain",
        f"the criterion computes with {ask.dtype(target)} targets, and the type changes the result",
        f"the same targets cost {base:.4f} as {ask.dtype(target)} and {as_float:.4f} as "
        f"{ask.dtype(output)}: unsigned numbers have no minus, and integers no fractions.",
        "criterion(output, target.to(output.dtype))",
    )


def _fractions(case: Case) -> Finding | None:
    """A soft target must not count as if its fractions were not there."""
    output, target = case.small
    if not target.is_floating_point() or not bool((target != target.round()).any()):
        return None
    base, cut = case.ask(output, target), case.ask(output, target.trunc())
    if _alike(base, cut) and not _alike(base, case.ask(output, target.round())):
        low, high = ask.span(target)
        return finding(
            "TARGET_DTYPE",
            "suspicion",
            "the fractions of the target are cut off before the loss sees them",
            f"targets from {low:.4g} to {high:.4g} cost {base:.4f}, and without what stands after "
            "the decimal point they cost the same.",
            "criterion(output, target) without .long() or .int() on the target",
        )
    if target.shape != output.shape or target.ndim < 2 or target.shape[1] < 3:
        return None
    top = target.amax(1, keepdim=True)
    mixed = ((target > 0).sum(1, keepdim=True) == 2) & (top < 1)
    # One share for all is how batches are mixed; pseudo-labels differ from row to row, and the
    # votes of up to five people are fifths and the like, whose majority may be all that is wanted.
    if not bool(mixed.any()) or float(top[mixed].max() - top[mixed].min()) > 1e-2:
        return None
    share = float(top[mixed][0])
    if any(abs(share * people - round(share * people)) < 1e-2 for people in (2, 3, 4, 5)):
        return None
    hard = torch.zeros_like(target).scatter(1, target.argmax(1, keepdim=True), 1)
    if not _alike(base, case.ask(output, hard)):
        return None
    return finding(
        "CUSTOM_LOSS",
        "suspicion",
        "of two mixed labels the loss hears only the larger",
        f"{int(mixed.sum())} of {mixed.numel()} targets hold two classes, with a share of "
        f"{share:.4g} for one; all given to that one, the loss stays at {base:.4f}.",
        "F.cross_entropy(output, target), which takes shares, without argmax on the target",
    )


def _marker(case: Case) -> Finding | None:
    """A number that stands for "no label" must not be read as a label."""
    output, target = case.small
    if case.layout is None:
        return None
    classes = case.layout[1]
    known = torch.unique(target)
    outside = [int(value) for value in known if not 0 <= value < classes]
    if len(outside) != 1 or outside[0] not in _MARKERS or len(known) < 3 or output.ndim < 2:
        return None
    (marker,) = outside
    marked = target == marker
    base = case.ask(output, target)
    # To count what is not known as class 0, the background, is somebody's choice.
    for label in sorted({classes - 1, marker % classes} - {0}):
        others = [case.ask(output, target.masked_fill(marked, other)) for other in (label, 0)]
        if label in known and _alike(base, others[0]) and not _alike(base, others[1]):
            return finding(
                "IGNORE_INDEX",
                "suspicion",
                f"the label {marker} is no class, and the criterion reads it as class {label}",
                f"{int(marked.sum())} of {marked.numel()} targets are {marker}; written as {label} "
                f"they cost the same, {base:.4f}.",
                f"F.cross_entropy(output, target, ignore_index={marker})",
            )
    return None


def _dilution(case: Case) -> Finding | None:
    """What is left out must not count in the mean."""
    output, target = case.small
    felt = case.felt_at(case.slope(output, target), target)
    if felt is None:
        return None
    silent, whole = felt == 0, case.output.shape == case.target.shape
    share = float(silent.double().mean())
    values = torch.unique(target[silent].nan_to_num(-1) if whole else target[silent])
    if not 0.1 < share < 1 or len(values) != 1 or (whole and 0 <= float(values) <= 1):
        return None
    mark = target[silent].flatten()[0]
    same = target.isnan() if mark != mark else target == mark
    if not torch.equal(same, silent):
        return None
    # Twice as many places, none of them new to the loss.
    if not whole and case.layout is None:
        return None
    dim = -1 if whole or case.layout[0] < output.ndim - 1 else output.ndim - 2
    wider = torch.cat([target, torch.full_like(target, mark)], -1)
    base, thinned = case.ask(output, target), case.ask(torch.cat([output, output], dim), wider)
    if not base or not _alike(thinned, base / 2, 1e-3):
        return None
    return finding(
        "REDUCTION",
        "suspicion",
        "what is left out counts in the mean all the same",
        f"{share:.0%} of the targets are {float(mark):g} and have no gradient; with as many more "
        f"the loss falls from {base:.4f} to {thinned:.4f}.",
        "(loss * mask).sum() / mask.sum()",
    )


def _range(case: Case) -> Finding | None:
    """Two labels that are not 0 and 1, in a loss that has its floor only with those."""
    output, target = case.small
    low, high = ask.span(target)
    domain = domain_of(case)
    if target.shape != output.shape or domain not in ("logits", "probs") or (low, high) == (0, 1):
        return None
    if not bool(((target == low) | (target == high)).all()) or low == high:
        return None
    unit = (target.double() - low) / (high - low)
    perfect = in_domain(domain, 20 * (2 * unit - 1), case)
    given, meant = case.ask(perfect, target), case.ask(perfect, unit.to(target.dtype))
    if None in (given, meant) or abs(meant) > 1e-2 or given > -0.1:
        return None
    return finding(
        "TARGET_RANGE",
        "certain",
        "the criterion takes the targets 0 and 1",
        f"the targets are {low:g} and {high:g}, and outputs that agree with them cost {given:.4f}; "
        f"with 0 and 1 they cost {meant:.4f}.",
        f"criterion(output, (target - {low:g}) / {high - low:g})",
        "Binary cross-entropy",
    )


def _few(case: Case) -> Finding | None:
    """Each sample of a batch must count."""
    output, target = case.small
    if len(output) < 4 or not target.ndim or len(target) != len(output):
        return None
    generator = torch.Generator().manual_seed(0)
    felt: set[int] = set()
    for _ in range(2):
        drawn = torch.randn(output.shape, generator=generator).double().to(output.device)
        slope = case.slope(in_domain(domain_of(case), drawn, case), target)
        if slope is None:
            return None
        felt |= set(slope.reshape(len(slope), -1).any(1).nonzero().flatten().tolist())
    if len(felt) != 1:
        return None
    return finding(
        "CUSTOM_LOSS",
        "suspicion",
        "a single sample of the batch counts",
        f"at two outputs drawn at random, only number {felt.pop()} of {len(output)} has a slope.",
        "Add the losses up (total = total + loss), and return after the loop.",
    )


SYMPTOMS = (misheard,)
