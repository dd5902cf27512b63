"""Look at the losses of a training while it runs: once each, and then get out of the way."""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as modules
from torch.nn.modules.loss import _Loss

from .engine import diagnose
from .record import CONTRACTS
from .report import Report

_HERE = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


class WiringError(ValueError):
    """A loss is wired wrong. The report is in ``report``."""

    def __init__(self, report: Report, where: str = "") -> None:
        """Carry the report."""
        super().__init__(f"{where}\n{report!r}")
        self.report = report


class WiringWarning(UserWarning):
    """A loss is probably wired wrong."""


def look(criterion: Callable, args: tuple, kwargs: dict) -> Report | None:
    """Diagnose one call as it was made; None where it has no output and target to tell apart."""
    try:
        inside = criterion.forward if isinstance(criterion, nn.Module) else criterion
        bound = inspect.signature(inside).bind(*args, **kwargs)
    except (TypeError, ValueError):
        bound = None
    names = list(bound.arguments)[:2] if bound is not None and len(args) < 2 else []
    if len(args) < 2 and len(names) < 2:
        return None

    @functools.wraps(criterion, updated=())
    def call(output: Any, target: Any) -> Any:
        if not names:
            return criterion(output, target, *args[2:], **kwargs)
        given = {**kwargs, **dict(zip(names, args, strict=False))}
        return criterion(**{**given, names[0]: output, names[1]: target})

    call.__name__ = getattr(criterion, "__name__", type(criterion).__name__)
    asked = (bound.arguments[name] for name in names) if names else args[:2]
    plain = len(args) == 2 and not kwargs
    return diagnose(criterion if plain else call, *asked)


class Checked(nn.Module):
    """Wrap a criterion so that its first batch is diagnosed.

    The first call raises :class:`WiringError` where the wiring is certainly wrong and warns where
    it is suspected to be. If that batch carries no graph (a validation step before the training),
    the first batch that does is looked at as well. Every other call goes straight through.

    Args:
        criterion: what to wrap: a module or any callable of output and target.

    Example:
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

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the criterion returns."""
        if self._pending:
            self._look(args, kwargs)
        return self.criterion(*args, **kwargs)

    def _look(self, args: tuple, kwargs: dict) -> None:
        output = next(iter((*args, *kwargs.values())), None)
        graph = isinstance(output, Tensor) and output.requires_grad
        if graph not in self._pending:
            return
        # A batch with a graph shows all that one without would have shown.
        self._pending = set() if graph or not isinstance(output, Tensor) else {True}
        self.report = look(self.criterion, args, kwargs)
        if not self._pending:
            # From here on nothing stands between a call and the criterion.
            self.__dict__["forward"] = self.criterion
        if self.report is None:
            return
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


class watch:
    """Diagnose each loss of the block on its first training batch.

    A loss is a call of one of torch's losses, from a module or a function, or of a module of your
    own that is named a loss or criterion. Calls without a gradient are left alone. What is certain
    or suspected is printed with the place of the call. Afterwards everything is as it was.

    Args:
        raise_on: "certain" or "suspicion" raises :class:`WiringError` from that level on.

    Example:
        >>> with watch() as seen:
        ...     logits = torch.tensor([[2.0, 0.0]], requires_grad=True)
        ...     loss = nn.CrossEntropyLoss()(logits, torch.tensor([0]))
        >>> [report.ok for report in seen.reports.values()]
        [True]
    """

    def __init__(self, *, raise_on: str | None = None) -> None:
        """Choose when to raise; nothing is watched before the block begins."""
        if raise_on not in (None, "certain", "suspicion"):
            raise ValueError(f'raise_on must be "certain", "suspicion" or None; got {raise_on!r}')
        self.reports: dict[str, Report] = {}
        self._levels = ("certain", "suspicion")[: 1 + (raise_on == "suspicion")] if raise_on else ()
        self._places: set[tuple] = set()
        self._criteria: set[int] = set()
        self._depth = 0

    def __enter__(self) -> "watch":
        """Stand before torch's losses."""
        self._originals = {function.__name__: function for function in CONTRACTS}
        self._stand_ins = {name: self._stand_in(one) for name, one in self._originals.items()}
        self._put(self._stand_ins)
        self._hooks = [
            modules.register_module_forward_pre_hook(self._before),
            modules.register_module_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        """Put torch's losses back."""
        self._put(self._originals)
        self._unhook()

    def _put(self, functions: dict[str, Callable]) -> None:
        for name, function in functions.items():
            setattr(functional, name, function)

    def _unhook(self) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def _stand_in(self, original: Callable) -> Callable:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling():
                return original(*args, **kwargs)
            frame = _caller()
            place = (frame.f_code, frame.f_lineno, original)
            if place not in self._places and _trains(args, kwargs):
                self._places.add(place)
                if self._depth == 0:  # else the criterion around it is looked at
                    self._diagnose(original, args, kwargs, frame)
            return original(*args, **kwargs)

        return call

    def _before(self, module: nn.Module, args: tuple) -> None:
        self._depth += _is_criterion(module)

    def _after(self, module: nn.Module, args: tuple, kwargs: dict, result: Any) -> None:
        if not _is_criterion(module):
            return
        self._depth -= 1
        if self._depth or not isinstance(result, Tensor) or not _trains(args, kwargs):
            return
        if id(module) in self._criteria:
            # A second step: torch's losses are still watched, modules no more.
            self._unhook()
            return
        self._criteria.add(id(module))
        self._diagnose(module, args, kwargs, _caller())

    def _diagnose(self, criterion: Callable, args: tuple, kwargs: dict, frame: Any) -> None:
        self._put(self._originals)
        hooks = modules._global_forward_pre_hooks.copy(), modules._global_forward_hooks.copy()
        modules._global_forward_pre_hooks.clear()
        modules._global_forward_hooks.clear()
        try:
            report = look(criterion, args, kwargs)
        finally:
            self._put(self._stand_ins)
            modules._global_forward_pre_hooks.update(hooks[0])
            modules._global_forward_hooks.update(hooks[1])
        if report is None:
            return
        file = frame.f_code.co_filename
        file = "a cell" if file.startswith("<") or "ipykernel" in file else Path(file).name
        where = f"{file}, line {frame.f_lineno}"
        self.reports[f"{where}: {report.subject.partition(' ·')[0]}"] = report
        if not report.ok:
            if any(finding.level in self._levels for finding in report.findings):
                raise WiringError(report, where)
            print(f"{where}: {report.without_notes!r}")


def _trains(args: tuple, kwargs: dict) -> bool:
    values = (*args, *kwargs.values())[:2]
    return torch.is_grad_enabled() and any(
        isinstance(value, Tensor) and value.requires_grad for value in values
    )


def _is_criterion(module: nn.Module) -> bool:
    kind = type(module)
    return isinstance(module, _Loss) or kind.__name__.endswith(("Loss", "loss", "Criterion"))


def _caller() -> Any:
    """Return the first frame outside of torch and of this file."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return frame
