"""The one question: is this loss wired right?"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from companion._isolation import TimeUpError, fence

from . import contracts, decision, experiments
from . import tensors as ask
from .evidence import Evidence, Found
from .findings import SILENCES_NOTHING, finding
from .report import LEVELS, Finding, Report

CAUSES = (*contracts.CAUSES, decision.decisions)
# What follows from another mistake is not reported beside it.
SYMPTOMS = (*experiments.SYMPTOMS, decision.contradicted)


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

    Nothing is printed, and model, buffers, gradients, random state and arguments are afterwards
    what they were: the criterion is called on copies (up to 120 times where it is not one of
    torch's own), of a large batch on copies of a sample. What it keeps in objects that it can reach
    is put back, up to a million numbers; what only a library or the disk knows of is not. What it
    raises is a finding. After five seconds it is not asked again, and a call that does not come
    back is interrupted where Python can do so (in the main thread, on Unix).

    Args:
        criterion: a module, a function of torch.nn.functional, or any callable of two arguments.
        output: what the model gave for one batch, if possible with its autograd graph.
        target: the targets of that batch.
        model: the model; a deep copy of it is run on ``inputs``.
        inputs: what the model takes, one tensor or a tuple of arguments.
        predict: the rule from output to labels, or to scores; it is tried.
        batches: a list of further (output, target) pairs, for what one batch cannot show.

    Returns:
        A report that prints itself; ``report.ok`` where the loss could be read, and nothing is
        certain or suspected.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]], requires_grad=True)
        >>> report = diagnose(nn.CrossEntropyLoss(), logits.softmax(dim=1), torch.tensor([0, 1]))
        >>> report.ok
        False
        >>> [finding.code for finding in report.findings]
        ['DOUBLE_ACTIVATION']
    """
    with fence(silent=True):
        try:
            case = Evidence(criterion, output, target, model, inputs, predict, batches)
        except Exception as error:
            said = f"everything: the arguments could not be read ({ask.describe(error)})"
            return Report((), _name(criterion), "no rule follows.", (said,), read=False)
        found = sorted(_findings(case), key=lambda finding: LEVELS.index(finding.level))
        found = tuple({(one.code, one.what): one for one in reversed(found)}.values())[::-1]
        decide = _guarded(case, decision.rule, case) or "no rule follows."
        return Report(found, _subject(case), decide, tuple(_unchecked(case)), read=_was_read(case))


def _findings(case: Evidence) -> list[Finding]:
    found: list[Finding] = []
    for rule in (contracts.call_form,) if case.swapped else CAUSES:
        found += _ask(case, rule)
    for rule in SYMPTOMS:
        if not any(one.level == "certain" and one.code not in SILENCES_NOTHING for one in found):
            found += _ask(case, rule)
    if case.error is not None and not any(one.level == "certain" for one in found):
        found += _ask(case, _unexplained)
    return found


def _ask(case: Evidence, rule: Callable[[Evidence], Found]) -> list[Finding]:
    def findings(case: Evidence) -> list[Finding]:
        return [finding(case, row, facts) for row, facts in rule(case)]

    return _guarded(case, findings, rule) or []


def _guarded(case: Evidence, function: Callable, rule: Callable | Evidence) -> Any:
    """Run one rule; a fault in it is the tool's, and costs no more than its answer."""
    try:
        return function(case)
    except Exception as error:
        name = getattr(rule, "__name__", "a rule")
        case.unchecked.append(f"{name}: it failed with {ask.describe(error)}")
        return None


def _unexplained(case: Evidence) -> Found:
    """What the criterion raised, where no rule has said why; told from the tensors at hand."""
    error, output, target = case.error, case.output, case.target
    facts: dict[str, Any] = {"error": ask.describe(error)}
    call = next((one for one in reversed(case.calls) if one.result is None), None)
    if isinstance(error, TimeUpError):
        case.unchecked.append("everything: the criterion did not come back in time")
    elif isinstance(error, TypeError) and not case.calls and "argument" in str(error):
        yield "no_such_argument", facts
    elif isinstance(error, NotImplementedError) and isinstance(output, Tensor):
        yield "no_kernel", facts
    elif call is not None and isinstance(call.input, Tensor) and isinstance(call.target, Tensor):
        facts |= {"name": call.name}
        for role, tensor in (("given", call.input), ("target", call.target)):
            facts[role] = f"{ask.dtype(tensor)} {ask.shape(tensor)}"
        yield "not_accepted", facts
    elif not case.simple or not output.ndim:
        yield "fails", facts
    elif case.classes and target.numel() and not 0 <= target.min() <= target.max() < case.classes:
        low, high = ask.span(target)
        yield (
            "fails_range",
            facts | {"low": f"{low:g}", "high": f"{high:g}", "classes": case.classes},
        )
    elif output.shape == target.shape and output.dtype != target.dtype:
        yield "fails_dtype", facts
    else:
        same = output.shape == target.shape or case.classes is not None
        yield "fails" if same else "fails_shape", facts


def _was_read(case: Evidence) -> bool:
    """Whether anything is known of what the criterion does with the output."""
    return bool(case.calls or case.uses or case.error is not None or case.nodes)


def _unchecked(case: Evidence) -> Iterator[str]:
    yield from dict.fromkeys(case.unchecked)
    if case.output is not case.whole[0]:
        yield (
            f"all of the batch: of {ask.shape(case.whole[0])} a sample of "
            f"{ask.shape(case.output)} was looked at"
        )
    floating = isinstance(case.output, Tensor) and case.output.is_floating_point()
    if floating and case.producer.node is None:
        yield (
            "what made the output: it carries no graph (pass an output computed with gradients "
            "on, or model= and inputs=)"
        )
    if case.asker.spent:
        yield "some questions: the criterion is too slow to be asked more often"


def _subject(case: Evidence) -> str:
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
