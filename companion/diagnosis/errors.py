"""What the criterion raised, where no other rule has already said why."""

from collections.abc import Iterator

from torch import Tensor

from . import values as ask
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
            f"input {ask.dtype(call.input)} {ask.shape(call.input)}, target "
            f"{ask.dtype(call.target)} {ask.shape(call.target)}; {said}.",
            "",
        )
        return
    code, what = _likely(case)
    yield finding(code, "certain", what, f"{case.facts}; {said}.")


def _likely(case: Case) -> tuple[str, str]:
    """Return the code that the tensors at hand suggest, whatever the message says."""
    what = "the criterion fails on these tensors"
    output, target = case.output, case.target
    if not case.simple or not output.ndim:
        return "CUSTOM_LOSS", what
    if ask.is_index(target) and case.classes is not None and target.numel():
        low, high = int(target.min()), int(target.max())
        if low < 0 or high >= case.classes:
            labels = f"labels run from {low} to {high}, and the output has {case.classes} classes"
            return "TARGET_RANGE", f"{what}: {labels}"
    if output.shape == target.shape and output.dtype != target.dtype:
        return "TARGET_DTYPE", f"{what}, which differ in dtype"
    if output.shape != target.shape and case.classes is None:
        return "SHAPE", f"{what}, which differ in shape"
    return "CUSTOM_LOSS", what
