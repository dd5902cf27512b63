"""The evidence that the rules look at: the triple, one recorded call, and questions to the loss."""

import functools
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from . import graph, trace
from .graph import Bridge, Producer, Use
from .sandbox import Sandbox, tree_map
from .values import describe, dtype, is_index, shape, slack, span

_ASKED_ELEMENTS = 2**20
_SMALL_BATCH = 32
_MAP_ELEMENTS = 2**24


class Case:
    """One criterion with its output and target, and all that was learned by calling it.

    The criterion only ever sees copies. ``loss`` and the graph below it belong to those copies;
    ``bridge`` joins them to the graph of the user's own output, which is read and never run.
    """

    def __init__(
        self,
        criterion: Callable,
        output: Any,
        target: Any,
        model: nn.Module | None = None,
        inputs: Any = None,
        predict: Callable | None = None,
        batches: Iterable | None = None,
    ) -> None:
        """Call the criterion once, on copies, and record what it does."""
        self.criterion = trace.unwrapped(criterion)
        self.output, self.target = output, target
        self.model, self.inputs, self.predict = model, inputs, predict
        self.batches = usable_batches(batches)
        self.sandbox = Sandbox(self.criterion, predict)
        self.unchecked: list[str] = []
        self.rerun: ModelRun | None = None
        if isinstance(model, nn.Module) and inputs is not None:
            self.rerun = run_model(model, inputs, self)
        self._call_once()

    def _call_once(self) -> None:
        self.bridge = Bridge()
        self.leaves: list[Tensor] = []
        given = tree_map(self._copy, self.output)
        target = tree_map(lambda tensor: tensor.detach().clone(), self.target)
        self.given, self.given_target = given, target
        answer, fault = self.sandbox.call(trace.record, self.criterion, given, target)
        result, seen, error = answer or (None, trace.Trace(), fault)
        self.result, self.trace, self.error = result, seen, error
        dense = isinstance(result, Tensor) and result.layout is torch.strided
        self.loss = result if dense else None
        named = trace.by_name(self.criterion, given, target)
        self.calls = list(seen.calls) or ([named] if named else [])
        self.uses: list[Use] = []
        if self.loss is not None and self.loss.grad_fn is not None:
            self.uses = list(graph.uses(self.loss.grad_fn, self.bridge))

    def _copy(self, tensor: Tensor) -> Tensor:
        copy = tensor.detach().clone()
        if not tensor.is_floating_point():
            return copy
        copy.requires_grad_()
        self.leaves.append(copy)
        self.bridge.add(copy, self._origin(tensor))
        # No leaf itself: the criterion may write into it, as it may into the user's output.
        with torch.inference_mode(False), torch.enable_grad():
            return copy.clone()

    def _origin(self, tensor: Tensor):
        """Return the node that made a tensor: its own, or that of the model run again."""
        if tensor.grad_fn is not None:
            return tensor.grad_fn
        again = self.rerun.output if self.rerun else None
        if tensor is self.output and isinstance(again, Tensor) and again.shape == tensor.shape:
            return again.grad_fn
        return None

    # What is at hand

    @functools.cached_property
    def simple(self) -> bool:
        """Whether output and target are one tensor each."""
        return isinstance(self.output, Tensor) and isinstance(self.target, Tensor)

    @functools.cached_property
    def producer(self) -> Producer:
        """What made the output."""
        if not isinstance(self.output, Tensor):
            return Producer("other")
        return graph.producer(self._origin(self.output), Bridge())

    @property
    def uses_activation(self) -> bool:
        """Whether the criterion is seen to apply softmax or sigmoid to the output."""
        return any(u.kind in ("softmax", "sigmoid") and not u.producer.inside for u in self.uses)

    @property
    def has_graph(self) -> bool:
        """Whether it is known what made the output."""
        return self.producer.node is not None

    @functools.cached_property
    def pure(self) -> trace.Call | None:
        """The call that is the whole loss: the criterion is torch's own, or hands on its result."""
        for call in self.calls:
            if call.result is not None and call.result is self.loss:
                return call
        return next((call for call in self.calls if call.derived), None)

    def untouched(self, call: trace.Call | None) -> bool:
        """Whether output and target reach a known loss as they were passed."""
        if call is None or call.derived:
            return False
        return call.input is self.given and call.target is self.given_target

    @functools.cached_property
    def here(self) -> str:
        """The loss as the end of a sentence, where it is one number."""
        if self.loss is None or self.loss.numel() != 1 or self.loss.is_complex():
            return ""
        return f"; here it is {float(self.loss) + 0.0:.4f}"  # + 0.0 makes 0 of -0

    @property
    def facts(self) -> str:
        """What was passed, for the evidence."""
        parts = []
        for role, value in (("output", self.output), ("target", self.target)):
            if isinstance(value, Tensor):
                parts.append(f"{role} {dtype(value)} {shape(value)}")
            else:
                parts.append(f"{role} {type(value).__name__}")
        return ", ".join(parts)

    @functools.cached_property
    def classes(self) -> int | None:
        """The number of classes, where the target holds one class index for each place."""
        if not (self.simple and is_index(self.target) and self.output.is_floating_point()):
            return None
        shape = self.output.shape
        if len(shape) == self.target.ndim + 1 and shape[:1] + shape[2:] == self.target.shape:
            return shape[1]
        return None

    @functools.cached_property
    def layout(self) -> tuple[int, int] | None:
        """The dimension of the classes and their number, for a loss that may have them last."""
        if not (self.simple and is_index(self.target) and self.output.is_floating_point()):
            return None
        shape = self.output.shape
        last = len(shape) > 2 and shape[:-1] == self.target.shape
        if self.classes is not None:
            return None if last and self.pure is None else (1, self.classes)
        return (len(shape) - 1, shape[-1]) if last else None

    @functools.cached_property
    def swapped(self) -> bool:
        """Whether output and target stand in each other's place."""
        # A divergence may be asked for in either direction.
        if any(call.swapped and call.name != "kl_div" and self._bare(call) for call in self.calls):
            return True
        if not self.simple:
            return False
        output, target = self.output, self.target
        if target.grad_fn is not None and not output.requires_grad:
            return True
        return is_index(output) and target.is_floating_point() and target.ndim > output.ndim

    def _bare(self, call: trace.Call) -> bool:
        """Whether the input of a swapped call holds the target's values, not a function of them."""
        given, target = call.input, self.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            return False
        if given.numel() != target.numel():
            return False
        return torch.equal(given.detach().flatten(), target.flatten().to(given.dtype))

    @functools.cached_property
    def elementwise(self) -> bool:
        """Whether output and target are tensors of one shape, the target between 0 and 1."""
        if not (self.simple and self.output.shape == self.target.shape and self.target.numel()):
            return False
        low, high = span(self.target)
        return low >= -slack(self.target) and high <= 1 + slack(self.target)

    @functools.cached_property
    def unit_map(self) -> Tensor | None:
        """Which unit of the last layer made each element of the output; None where unknown."""
        output = self.output if isinstance(self.output, Tensor) else None
        if output is not None and output.grad_fn is None:
            again = self.rerun.output if self.rerun else None
            output = again if isinstance(again, Tensor) else None
        if output is None or output.numel() > _MAP_ELEMENTS or output.ndim < 2:
            return None
        bias = graph.last_bias(output.grad_fn)
        if bias is None:
            return None
        try:
            return graph.unit_map(output, bias)
        except RuntimeError:  # the graph was freed by a backward pass
            return None

    @functools.cached_property
    def gradient(self) -> Tensor | None:
        """The gradient of the loss at the output; None where there is none."""
        if self.loss is None or len(self.leaves) != 1 or not self.loss.requires_grad:
            return None

        def pull() -> Tensor | None:
            total = self.loss if self.loss.ndim == 0 else self.loss.sum()
            return torch.autograd.grad(total, self.leaves[0], retain_graph=True, allow_unused=True)[
                0
            ]

        return self.sandbox.call(pull)[0]

    @functools.cached_property
    def felt(self) -> Tensor | None:
        """How much the loss moves with the output at each place of the target."""
        return self.felt_at(self.gradient, self.target) if self.simple else None

    def felt_at(self, slope: Tensor | None, target: Tensor) -> Tensor | None:
        """Return the size of a gradient at each place of a target, over all classes there."""
        if slope is None or slope.shape == target.shape:
            return None if slope is None else slope.abs()
        for dim in (1, -1) if slope.ndim > 1 else ():
            if slope.ndim == target.ndim + 1 and slope.movedim(dim, -1).shape[:-1] == target.shape:
                return slope.abs().sum(dim)
        return None

    # Questions to the criterion

    @functools.cached_property
    def small(self) -> tuple[Tensor, Tensor] | None:
        """A part of the batch, at most 32 samples spread over it, on which to ask questions."""
        if not self.simple or not self.output.is_floating_point() or not self.output.ndim:
            return None
        output, target = self.output.detach(), self.target.detach()
        count = output.shape[0]
        if target.ndim and target.shape[0] == count and count > _SMALL_BATCH:
            chosen = torch.linspace(0, count - 1, _SMALL_BATCH, device=output.device).long()
            part = output[chosen], target[chosen.to(target.device)]
            if self.ask(*part) is not None:
                return part
        return (output, target) if output.numel() <= _ASKED_ELEMENTS else None

    def ask(self, output: Tensor, target: Tensor) -> float | None:
        """Return what the criterion gives for other tensors (the mean, where it is not scalar)."""

        def price() -> float:
            result = self.criterion(output.clone(), target.clone())
            return float(result.detach().double().mean() if isinstance(result, Tensor) else result)

        return self.sandbox.call(price)[0]

    def ask_step(self, step: int, output: Tensor, target: Tensor) -> float | None:
        """Return the mean of one step on the way to the loss, for other tensors."""
        answer, _ = self.sandbox.call(trace.record, self.criterion, output.clone(), target.clone())
        if answer is None or answer[2] is not None:
            return None
        steps = answer[1].steps
        if len(steps) != len(self.trace.steps):
            return None
        return float(steps[step].detach().double().mean())

    def slope(self, output: Tensor, target: Tensor) -> Tensor | None:
        """Return the gradient of the criterion at another output."""

        def pull() -> Tensor | None:
            leaf = output.detach().clone().requires_grad_()
            result = self.criterion(leaf.clone(), target.clone())
            return torch.autograd.grad(result.mean(), leaf, allow_unused=True)[0]

        return self.sandbox.call(pull)[0]

    @functools.cached_property
    def repeats(self) -> bool:
        """Whether the criterion answers the same question twice alike."""
        if self.small is None:
            return False
        first, second = self.ask(*self.small), self.ask(*self.small)
        return first is not None and first == second


class ModelRun:
    """A copy of the model, run once on the inputs with the gradient on."""

    def __init__(self, model: nn.Module, output: Any) -> None:
        """Keep the copy and what it gave."""
        self.model = model
        self.output = output


def run_model(model: nn.Module, inputs: Any, case: Case) -> ModelRun | None:
    """Run a deep copy of the model; its buffers, gradients and counters are not the user's."""

    def run() -> ModelRun:
        twin = deepcopy(model)
        given = tree_map(lambda tensor: tensor.detach().clone(), inputs)
        return ModelRun(twin, twin(*given) if isinstance(given, tuple) else twin(given))

    done, error = case.sandbox.call(run)
    if error is not None:
        case.unchecked.append(f"the model: a copy of it did not run ({describe(error)})")
    return done


def usable_batches(batches: Iterable | None) -> list[tuple[Tensor, Tensor]]:
    """Return at most 64 pairs of tensors; a one-way iterator is left alone."""
    if not isinstance(batches, list | tuple):
        return []
    pairs = [pair for pair in batches[:64] if isinstance(pair, list | tuple) and len(pair) == 2]
    return [pair for pair in pairs if all(isinstance(one, Tensor) for one in pair)]
