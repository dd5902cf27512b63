"""Rules on what flows back from the loss: nothing, or exactly 0."""

import numbers
from collections.abc import Iterator

import torch
from torch import Tensor

from . import graph
from . import values as ask
from .case import Case
from .codes import finding
from .probes import domain_of, in_domain
from .report import Finding


def no_gradient(case: Case) -> Iterator[Finding]:
    """A loss from which nothing flows back to the output."""
    if isinstance(case.result, numbers.Real):
        number = f"{type(case.result).__name__} ({float(case.result):.4g})"
        yield _cut(case, f"the criterion returns a {number} and no tensor")
        return
    if not isinstance(case.output, Tensor):
        if case.loss is not None and case.leaves and not case.loss.requires_grad:
            yield _cut(case, "the loss does not require a gradient")
        return
    if case.output.numel() and not case.output.is_floating_point():
        if not case.swapped:
            yield _cut(
                case, f"the output holds {ask.dtype(case.output)}: decisions, which have no slope"
            )
        return
    if case.producer.kind == "step":
        yield _cut(case, f"the output comes from a step function ({case.producer.name})")
        return
    if case.error is not None and case.output.is_floating_point() and _runs_detached(case):
        said = ask.describe(case.error)
        yield _cut(case, f"the criterion takes no output with a graph ({case.facts}): {said}")
        return
    if case.loss is None or not case.output.numel():
        return
    if not graph.reaches(case.loss.grad_fn, case.bridge):
        yield _cut(case, "no path leads from the loss back to the output")
        return


def _runs_detached(case: Case) -> bool:
    """Whether a criterion that failed goes through on an output that has no graph."""
    output, target = case.output.detach().clone(), case.target
    if isinstance(target, Tensor):
        target = target.detach().clone()
    return case.sandbox.call(case.criterion, output, target)[1] is None


def _cut(case: Case, fact: str) -> Finding:
    cuts = list(dict.fromkeys(case.trace.cuts))
    seen = f"; on the way: {', '.join(cuts)}" if cuts else ""
    return finding(
        "NO_GRADIENT",
        "certain",
        "nothing flows back from the loss to the output: no weight will change",
        f"{fact}{seen}{case.here}.",
        "Compute the loss from the scores themselves: no argmax, round, comparison, .item(), "
        ".detach() or torch.tensor(…) between output and loss.",
    )


def cut_from_model(case: Case) -> Iterator[Finding]:
    """An output that requires a gradient and was made anew, apart from the model."""
    if case.rerun is None or not isinstance(case.output, Tensor) or not case.output.requires_grad:
        return
    trainable = sum(p.requires_grad for p in case.model.parameters())
    if trainable and case.output.is_leaf:
        yield finding(
            "NO_GRADIENT",
            "certain",
            "the output has lost its connection with the model: backward() stops at it",
            f"it requires a gradient and is a leaf, so none of the {trainable} trainable parameter "
            "tensors can be reached from it.",
            "output = model(inputs), without .data, .detach() or a new tensor in between",
        )


def flat(case: Case) -> Iterator[Finding]:
    """A gradient of exactly 0 where there is still something to learn."""
    yield from _flat_output(case)
    yield from _idle_model(case)


def _flat_output(case: Case) -> Iterator[Finding]:
    if case.loss is None or not case.loss.numel() or not isinstance(case.output, Tensor):
        return
    slope = case.gradient
    if slope is None or not slope.numel() or bool((slope != 0).any()):
        return
    if bool(slope.isnan().any()):
        return
    if _one_column(case):
        return
    if float(case.loss.detach().abs().max()) < 1e-4:
        # Where nothing is left to learn, a gradient of 0 is right; always is too often.
        if _always_zero(case):
            yield finding(
                "NO_GRADIENT",
                "certain",
                "the loss is 0 whatever the output is",
                f"the batch and three other outputs of shape {ask.shape(case.output)} cost 0.0000.",
                "Look for a mask that drops everything, or a factor of 0.",
            )
        return
    steps = [use for use in case.uses if use.producer.kind == "step"]
    why = f"; the values pass a step function ({steps[0].producer.name})" if steps else ""
    clamped = [name for name in graph.operations(case.loss.grad_fn, case.bridge) if "Clamp" in name]
    if clamped and not why:
        why = "; the criterion clamps them, and past a clamp there is no slope"
    yield finding(
        "NO_GRADIENT",
        _flatness(case),
        "the gradient is exactly 0 for every value of the output, and the loss is not",
        f"all {slope.numel()} gradients are 0{why}{case.here}.",
        "Take clamp, round and sign out of the way from output to loss.",
    )


def _always_zero(case: Case) -> bool:
    if case.small is None:
        return False
    output, target = case.small
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 1.0, 3.0):
        drawn = scale * torch.randn(output.shape, generator=generator).to(output.device)
        if case.ask(in_domain(domain_of(case), drawn.double(), case), target) != 0:
            return False
    return True


def _flatness(case: Case) -> str:
    """Return "certain" where other outputs have no gradient either, else what a batch can show."""
    if case.small is not None:
        output, target = case.small
        generator = torch.Generator().manual_seed(0)
        drawn = 0.1 * torch.randn(output.shape, generator=generator).to(output.device)
        slope = case.slope(in_domain(domain_of(case), drawn.double(), case), target)
        if slope is not None and bool((slope != 0).any()):
            return "suspicion" if len(case.output) >= 16 else "note"
    return "certain"


def _one_column(case: Case) -> bool:
    return any(
        call.contract.over == "classes"
        and isinstance(call.input, Tensor)
        and call.input.ndim > 0
        and call.input.shape[ask.class_dim(call.input)] == 1
        for call in case.calls
    )


def _idle_model(case: Case) -> Iterator[Finding]:
    """No parameter of the model that gets a gradient."""
    run = case.rerun
    if run is None or not isinstance(run.output, Tensor):
        return
    trainable = [p for p in run.model.parameters() if p.requires_grad]
    if not trainable:
        yield finding(
            "NO_GRADIENT",
            "suspicion" if case.model.training else "note",
            "no parameter of the model is set to be trained",
            f"0 of {sum(1 for _ in run.model.parameters())} parameter tensors require a gradient.",
            "for p in model.parameters(): p.requires_grad_()",
        )
        return
    if run.output.shape != case.output.shape:
        return

    def pull() -> list[Tensor | None]:
        loss = case.criterion(run.output, case.target.detach().clone())
        return list(torch.autograd.grad(loss.mean(), trainable, allow_unused=True))

    slopes, error = case.sandbox.call(pull)
    if error is not None or slopes is None:
        return
    alive = sum(slope is not None and bool((slope != 0).any()) for slope in slopes)
    if not alive and case.loss is not None and float(case.loss.detach().abs().max()) > 1e-4:
        yield finding(
            "NO_GRADIENT",
            "certain",
            "no parameter of the model gets a gradient from this loss",
            f"all {len(trainable)} trainable parameter tensors get 0 or nothing{case.here}.",
            "Look for detach, no_grad, .data or a dead ReLU between the parameters and the output.",
        )


CAUSES = (no_gradient, cut_from_model)
SYMPTOMS = (flat,)
