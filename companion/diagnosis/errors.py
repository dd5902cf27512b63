"""What the criterion raised, where no other rule has already said why."""

from collections.abc import Iterator

from torch import Tensor

from . import case as ask
from .case import Case
from .codes import finding
from .report import Finding
from .sandbox import TimeUpError


def unexplained(case: Case, found: list[Finding]) -> Iterator[Finding]:
    """An exception that the findings so far do not explain."""
    if case.error is None or any(one.level == "certain" for one in found):
        return
    if isinstance(case.error, TimeUpError):
        case.unchecked.append("everything: the criterion did not come back in time")
        return
    said = f"it raised {ask.describe(case.error)}"
    call = next((one for one in reversed(case.calls) if one.result is None), None)
    if isinstance(case.error, NotImplementedError) and isinstance(case.output, Tensor):
        yield finding(
            "API",
            "certain",
            f"torch has no such loss for {ask.dtype(case.output)} on {case.output.device.type}",
            f"{said}.",
            "criterion(output.float(), target)",
            "NaN",
        )
        return
    if call is not None and isinstance(call.input, Tensor) and isinstance(call.target, Tensor):
        yield finding(
            "SHAPE",
            "certain",
            f"{call.name} does not accept these tensors",
            f"output {ask.dtype(call.input)} {ask.shape(call.input)}, target "
            f"{ask.dtype(call.target)} {ask.shape(call.target)}; {said}.",
            "",
        )
        return
    facts = []
    for role, value in (("output", case.output), ("target", case.target)):
        if isinstance(value, Tensor):
            facts.append(f"{role} {ask.dtype(value)} {ask.shape(value)}")
    yield finding(
        "CUSTOM_LOSS",
        "certain",
        "the criterion fails on these tensors",
        ", ".join([*facts, said]) + ".",
        "",
    )
