"""A criterion that looks at its first batch and then gets out of the way."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from .engine import diagnose
from .report import Report


class WiringError(ValueError):
    """A loss is certainly wired wrong. The report is in ``report``."""

    def __init__(self, report: Report) -> None:
        """Carry the report."""
        super().__init__(f"\n{report!r}")
        self.report = report


class WiringWarning(UserWarning):
    """A loss is probably wired wrong."""


class Checked(nn.Module):
    """Wrap a criterion so that its first batch is diagnosed.

    The first call raises :class:`WiringError` where the wiring is certainly wrong and warns where
    it is suspected to be. If that batch carries no graph (a validation step before the training),
    the first batch that does is looked at as well. Every other call goes straight through.

    Args:
        criterion: what to wrap: a module or any callable of output and target.

    Example:
        >>> import torch
        >>> criterion = Checked(nn.CrossEntropyLoss())
        >>> criterion(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))
        tensor(0.1269)
    """

    def __init__(self, criterion: Callable[..., Any]) -> None:
        """Wrap ``criterion``; nothing is looked at yet."""
        super().__init__()
        self.criterion = criterion
        self.report: Report | None = None
        self._pending = {False, True}

    def forward(self, output: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what the criterion returns."""
        if self._pending:
            self._look(output, target, args, kwargs)
        return self.criterion(output, target, *args, **kwargs)

    def _look(self, output: Any, target: Any, args: tuple, kwargs: dict) -> None:
        graph = isinstance(output, Tensor) and output.requires_grad
        if graph not in self._pending:
            return
        # A batch with a graph shows all that one without would have shown.
        self._pending = set() if graph or not isinstance(output, Tensor) else {True}
        criterion = self.criterion
        if args or kwargs:
            criterion = _with_rest(criterion, args, kwargs)
        self.report = diagnose(criterion, output, target)
        if not self._pending:
            # From here on nothing stands between a call and the criterion.
            self.__dict__["forward"] = self.criterion
        if any(finding.level == "certain" for finding in self.report.findings):
            raise WiringError(self.report)
        if not self.report.ok:
            warnings.warn(f"\n{self.report!r}", WiringWarning, stacklevel=5)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; another criterion is called from then on."""
        if name == "criterion":
            self.__dict__.pop("forward", None)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        """Answer for the criterion where the wrapper has no such attribute."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("criterion", "_modules"):
                raise
            return getattr(self.criterion, name)


def _with_rest(criterion: Callable, args: tuple, kwargs: dict) -> Callable:
    @functools.wraps(criterion, updated=())
    def call(output: Any, target: Any) -> Any:
        return criterion(output, target, *args, **kwargs)

    if not hasattr(criterion, "__name__"):
        call.__name__ = type(criterion).__name__
    return call
