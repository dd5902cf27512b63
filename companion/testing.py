"""One line for your own tests: is the loss of this project wired right?"""

from collections.abc import Callable, Collection
from typing import Any

from .diagnosis import Report, diagnose


def assert_wired(
    criterion: Callable[[Any, Any], Any],
    output: Any,
    target: Any,
    *,
    allow: Collection[str] = (),
    **more: Any,
) -> Report:
    """Raise an AssertionError with the report where a loss is, or seems to be, wired wrong.

    Args:
        criterion: a module, a function of torch.nn.functional, or any callable of two arguments.
        output: what the model gave for one batch, with its autograd graph.
        target: the targets of that batch.
        allow: codes of findings that are meant, ``["IMBALANCE"]`` for instance.
        more: what ``companion.diagnose`` takes besides: model, inputs, predict, batches.

    Returns:
        The report.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]], requires_grad=True)
        >>> assert_wired(torch.nn.CrossEntropyLoss(), logits, torch.tensor([0, 1])).ok
        True
    """
    report = diagnose(criterion, output, target, **more)
    wrong = [one for one in report.findings if one.level != "note" and one.code not in allow]
    assert report.read, f"the loss could not be read:\n{report!r}"
    assert not wrong, f"\n{report!r}"
    return report
