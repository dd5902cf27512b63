"""The one question: is this loss wired right?"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from . import (
    activations,
    arguments,
    decision,
    dimensions,
    errors,
    gradients,
    heard,
    likeness,
    numerics,
    objective,
    options,
    probes,
    targets,
)
from . import values as ask
from .case import Case
from .report import LEVELS, Finding, Report
from .sandbox import quiet

CAUSES = (
    *arguments.RULES,
    *options.RULES,
    *targets.RULES,
    *objective.RULES,
    *activations.RULES,
    *dimensions.RULES,
    *numerics.CAUSES,
    *gradients.CAUSES,
    *decision.RULES,
)
# What follows from another mistake is not reported beside it.
SYMPTOMS = (
    *numerics.SYMPTOMS,
    *gradients.SYMPTOMS,
    *heard.SYMPTOMS,
    *probes.SYMPTOMS,
    *decision.SYMPTOMS,
)
_INDEPENDENT = ("DOUBLE_ACTIVATION", "BOUNDED_LOGITS", "DECISION_RULE")


def diagnose(
    criterion: Callable[[Any, Any], Any],
    output: Any,
    target: Any,
    *,
    model: nn.Module | None = None,
    inputs: Any = None,
    predict: Callable[[Tensor], Any] | None = None,
    batches: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> Report:
    """Look for mistakes in how a loss is wired, and say how each is known.

    Nothing is changed and nothing printed: the criterion is called on copies (up to 120 times
    where it is not one of torch's own), and model, buffers, gradients, random state and arguments
    are afterwards what they were. What the criterion raises is a finding. A criterion that does
    not come back is interrupted after five seconds where Python can do so (in the main thread, on
    Unix); state that it keeps where only a library can see it is not put back.

    Args:
        criterion: a module, a function of torch.nn.functional, or any callable of two arguments.
        output: what the model gave for one batch, if possible with its autograd graph.
        target: the targets of that batch.
        model: the model; a deep copy of it is run on ``inputs``.
        inputs: what the model takes, one tensor or a tuple of arguments.
        predict: the rule from output to labels, or to scores.
        batches: a list of further (output, target) pairs, for what one batch cannot show.

    Returns:
        A report that prints itself; ``report.ok`` where nothing is certain or suspected.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]], requires_grad=True)
        >>> report = diagnose(nn.CrossEntropyLoss(), logits.softmax(dim=1), torch.tensor([0, 1]))
        >>> report.ok
        False
        >>> [finding.code for finding in report.findings]
        ['DOUBLE_ACTIVATION']
    """
    with quiet():
        try:
            case = Case(criterion, output, target, model, inputs, predict, batches)
        except Exception as error:
            said = f"everything: the arguments could not be read ({ask.describe(error)})"
            return Report((), _name(criterion), "no rule follows.", (said,))
        found = list(_findings(case))
        decide = _guarded(case, decision.rule) or "no rule follows."
        return Report(_sorted(found), _subject(case), decide, tuple(_unchecked(case)))


def _findings(case: Case) -> Iterator[Finding]:
    _guarded(case, likeness.like_known)
    rules = (arguments.call_form,) if case.swapped else CAUSES
    found = [one for rule in rules for one in _ask(case, rule)]
    for rule in SYMPTOMS:
        if not any(one.level == "certain" and one.code not in _INDEPENDENT for one in found):
            found += _ask(case, rule)
    found += _guarded(case, lambda case: list(errors.unexplained(case, found))) or []
    yield from found


def _ask(case: Case, rule: Callable[[Case], Iterator[Finding]]) -> list[Finding]:
    return _guarded(case, lambda case: list(rule(case)), rule.__name__) or []


def _guarded(case: Case, function: Callable, name: str = "") -> Any:
    """Run one rule; a fault in it is the tool's, and costs no more than its answer."""
    try:
        return function(case)
    except Exception as error:
        label = name or getattr(function, "__name__", "a rule")
        case.unchecked.append(f"{label}: it failed with {ask.describe(error)}")
        return None


def _sorted(found: list[Finding]) -> tuple[Finding, ...]:
    """Return the findings by level, one for each code and sentence."""
    seen: dict[tuple[str, str], Finding] = {}
    for one in sorted(found, key=lambda finding: LEVELS.index(finding.level)):
        seen.setdefault((one.code, one.what), one)
    return tuple(seen.values())


def _unchecked(case: Case) -> Iterator[str]:
    yield from dict.fromkeys(case.unchecked)
    if isinstance(case.output, Tensor) and case.output.is_floating_point() and not case.has_graph:
        yield (
            "what made the output: it carries no graph (pass an output computed with gradients "
            "on, or model= and inputs=)"
        )
    if case.predict is None:
        yield "the rule from output to label (pass predict=)"
    if not case.batches:
        yield "the balance of the classes over several batches (pass batches=, a list)"
    if case.sandbox.spent:
        yield "some probes: the criterion is too slow to be asked more often"


def _subject(case: Case) -> str:
    parts = [_name(case.criterion), case.facts]
    if case.loss is not None and case.loss.numel() == 1 and not case.loss.is_complex():
        parts.append(f"loss {float(case.loss) + 0.0:.4f}")
    return " · ".join(parts)


def _name(criterion: Any) -> str:
    """Return the criterion's name, without any address in memory."""
    if isinstance(criterion, partial):
        return f"partial({_name(criterion.func)})"
    if isinstance(criterion, nn.DataParallel):
        return f"DataParallel({_name(criterion.module)})"
    name = getattr(criterion, "__name__", None)
    return name if isinstance(name, str) else type(criterion).__name__
