"""The evidence that the rules look at: the triple, one recorded call, and questions to the loss."""

import functools
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import ranges, record
from . import tensors as ask
from .ranges import ACTIVATIONS, Graph, Use, Values
from .state import Asker

# What a rule yields: rows of findings.toml with the facts that their sentences need.
Found = Iterator[tuple[str, dict]]
_WHOLE_ELEMENTS = 2**18 + 2**17
_ROW_ELEMENTS = 2**15
_MAP_ELEMENTS = 2**20
_SMALL_BATCH = 32


class Evidence:
    """One criterion with its output and target, and all that was learned by calling it.

    The criterion only ever sees copies, of a large batch copies of a sample. ``loss`` and the graph
    below it belong to those copies; ``graph`` joins them to that of the user's own output, which is
    read and never run. Whatever is asked of the criterion later is asked once and kept; no rule
    adds to what another one sees.
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
        self.criterion = record.unwrapped(criterion)
        self.output, self.target = output, target
        self.whole = (output, target)
        self.model, self.inputs, self.predict = model, inputs, predict
        self.batches = usable_batches(batches)
        self.asker = Asker(self.criterion, predict, model)
        self.unchecked: list[str] = []
        self.rerun = (
            self._run_model() if isinstance(model, nn.Module) and inputs is not None else None
        )
        part = sample(output, target)
        if part is not None:
            self.output, self.target = part
        self._call_once()
        if part is not None and self.error is not None:
            # It may need all of them: a mask that it holds, say.
            self.output, self.target = output, target
            self._call_once()
        self._recognise()

    def _call_once(self) -> None:
        self.graph = Graph()
        self.leaves: list[Tensor] = []
        given = ask.tree_map(self._copy, self.output)
        target = ask.tree_map(lambda tensor: tensor.detach().clone(), self.target)
        self.given, self.given_target = given, target
        answer, fault = self.asker.call(record.record, self.criterion, given, target)
        result, seen, error = answer or (None, record.Trace(), fault)
        self.result, self.trace, self.error = result, seen, error
        dense = isinstance(result, Tensor) and result.layout is torch.strided
        self.loss = result if dense else None
        named = record.by_name(self.criterion, given, target)
        self.calls = list(seen.calls) or ([named] if named else [])
        self.nodes = self.graph.between(self.loss.grad_fn) if self.loss is not None else []
        self.uses: list[Use] = list(self.graph.uses(self.nodes))
        self.steps = [ranges.operation(node) for node in self.nodes]

    def _copy(self, tensor: Tensor) -> Tensor:
        copy = tensor.detach().clone()
        if not tensor.is_floating_point():
            return copy
        copy.requires_grad_()
        self.leaves.append(copy)
        self.graph.add(copy, self._origin(tensor))
        # No leaf itself: the criterion may write into it, as it may into the user's output.
        with torch.inference_mode(False), torch.enable_grad():
            return copy.clone()

    def _origin(self, tensor: Tensor):
        """Return the node that made a tensor: its own, or that of the model run again."""
        if tensor is self.output and isinstance(self.made, Tensor):
            return self.made.grad_fn
        return tensor.grad_fn

    def _recognise(self) -> None:
        """Add the known loss that a criterion equals, where no call of one was seen."""
        call = None if self.calls or self.loss is None else like_known(self)
        if call is None:
            return
        self.calls.append(call)
        if call.contract.takes == "logits" and not self.takes_activation:
            kind = "softmax" if call.contract.over == "classes" else "sigmoid"
            self.uses.append(Use(kind, None, self.graph.values(self.given.grad_fn)))

    def _run_model(self) -> Any:
        """Return a deep copy of the model and what it gave; nothing of the user's is changed."""

        def run() -> tuple[nn.Module, Any]:
            twin = deepcopy(self.model)
            given = ask.tree_map(lambda tensor: tensor.detach().clone(), self.inputs)
            return twin, twin(*given) if isinstance(given, tuple) else twin(given)

        done, error = self.asker.call(run)
        if error is not None:
            self.unchecked.append(f"the model: a copy of it did not run ({ask.describe(error)})")
        return done

    # What is at hand

    @functools.cached_property
    def made(self) -> Any:
        """The whole output with its graph, or that of the model run again."""
        output, again = self.whole[0], self.rerun[1] if self.rerun else None
        if isinstance(output, Tensor) and output.grad_fn is None and isinstance(again, Tensor):
            return again if again.shape == output.shape else output
        return output

    @functools.cached_property
    def simple(self) -> bool:
        """Whether output and target are one tensor each."""
        return isinstance(self.output, Tensor) and isinstance(self.target, Tensor)

    @functools.cached_property
    def producer(self) -> Values:
        """What made the output."""
        if not isinstance(self.made, Tensor):
            return Values("other")
        return Graph().values(self.made.grad_fn)

    @functools.cached_property
    def bias(self) -> Tensor | None:
        """The bias of the linear layer that made the output, where there is one."""
        return ranges.last_bias(self.producer)

    def values(self, tensor: Any) -> Values:
        """Return what made a tensor that a known loss got."""
        return self.graph.values(tensor.grad_fn if isinstance(tensor, Tensor) else None)

    @functools.cached_property
    def stages(self) -> list[Use]:
        """The activations that the loss or the model ends in, as steps that take logits."""
        ends = [self.values(call.input) for call in self.calls] + [self.producer]
        last = {made.node: made for made in ends if made.kind in ACTIVATIONS and made.node}
        found = []
        for made in last.values():
            if made.node not in [use.node for use in self.uses] and made.node.next_functions:
                kind = "softmax" if made.kind.endswith("softmax") else "sigmoid"
                before = self.graph.values(made.node.next_functions[0][0])
                # x / sum(x) and log(p) take no logits.
                if ranges.operation(made.node) not in ("Sum", "Exp", "Log", "Reciprocal"):
                    found.append(Use(kind, made.node, before))
        return found

    @property
    def takes_activation(self) -> bool:
        """Whether the criterion is seen to apply softmax or sigmoid to the output."""
        return any(u.kind in ("softmax", "sigmoid") and not u.values.inside for u in self.uses)

    @functools.cached_property
    def pure(self) -> record.Call | None:
        """The call that is the whole loss: the criterion is torch's own, or hands on its result."""
        for call in self.calls:
            if call.result is not None and call.result is self.loss:
                return call
        return next((call for call in self.calls if call.derived), None)

    def untouched(self, call: record.Call | None) -> bool:
        """Whether output and target reach a known loss as they were passed."""
        if call is None or call.derived:
            return False
        return call.input is self.given and call.target is self.given_target

    @property
    def finite(self) -> bool:
        """Whether the loss is a number."""
        return self.loss is not None and bool(self.loss.isfinite().all())

    @functools.cached_property
    def here(self) -> str:
        """The loss as the end of a sentence, where it is one number."""
        if self.loss is None or self.loss.numel() != 1 or self.loss.is_complex():
            return ""
        where = "" if self.output is self.whole[0] else " on the sample"
        return f"; here it is {float(self.loss) + 0.0:.4f}{where}"  # + 0.0 makes 0 of -0

    @property
    def facts(self) -> str:
        """What was passed, for the evidence."""
        parts = []
        for role, value in zip(("output", "target"), self.whole, strict=True):
            if isinstance(value, Tensor):
                parts.append(f"{role} {ask.dtype(value)} {ask.shape(value)}")
            else:
                parts.append(f"{role} {type(value).__name__}")
        return ", ".join(parts)

    @functools.cached_property
    def classes(self) -> int | None:
        """The number of classes, where the target holds one class index for each place."""
        if not (self.simple and ask.is_index(self.target) and self.output.is_floating_point()):
            return None
        shape = self.output.shape
        if len(shape) == self.target.ndim + 1 and shape[:1] + shape[2:] == self.target.shape:
            return shape[1]
        return None

    @functools.cached_property
    def layout(self) -> tuple[int, int] | None:
        """The dimension of the classes and their number, for a loss that may have them last."""
        if not (self.simple and ask.is_index(self.target) and self.output.is_floating_point()):
            return None
        shape = self.output.shape
        last = len(shape) > 2 and shape[:-1] == self.target.shape
        if self.classes is not None:
            return None if last and self.pure is None else (1, self.classes)
        return (len(shape) - 1, shape[-1]) if last else None

    @functools.cached_property
    def elementwise(self) -> bool:
        """Whether output and target are tensors of one shape, the target between 0 and 1."""
        same = self.simple and self.output.shape == self.target.shape and self.target.numel()
        return bool(same) and not self.target.is_complex() and ask.within_unit(self.target)

    @functools.cached_property
    def swapped(self) -> bool:
        """Whether output and target stand in each other's place."""
        # A divergence may be asked for in either direction.
        if any(call.swapped and call.name != "kl_div" and self._bare(call) for call in self.calls):
            return True
        if not self.simple:
            return False
        output, target = self.whole
        if target.grad_fn is not None and not output.requires_grad:
            return True
        return ask.is_index(output) and target.is_floating_point() and target.ndim > output.ndim

    def _bare(self, call: record.Call) -> bool:
        """Whether the input of a swapped call holds the target's values, not a function of them."""
        given, target = call.input, self.target
        if not (isinstance(given, Tensor) and isinstance(target, Tensor)):
            return False
        if given.numel() != target.numel():
            return False
        return torch.equal(given.detach().flatten(), target.flatten().to(given.dtype))

    @functools.cached_property
    def units(self) -> Tensor | None:
        """Which unit of the last layer made each element of the output; None where unknown."""
        output = self.made
        if not isinstance(output, Tensor) or output.ndim < 2 or self.bias is None:
            return None
        if output.numel() > _MAP_ELEMENTS:
            return None
        try:
            return ranges.unit_map(output, self.bias)
        except RuntimeError:  # the graph was freed by a backward pass
            return None

    @functools.cached_property
    def gradient(self) -> Tensor | None:
        """The gradient of the loss at the output; None where there is none."""
        if self.loss is None or len(self.leaves) != 1 or not self.loss.requires_grad:
            return None

        def pull() -> Tensor | None:
            total = self.loss if self.loss.ndim == 0 else self.loss.sum()
            leaf = self.leaves[0]
            return torch.autograd.grad(total, leaf, retain_graph=True, allow_unused=True)[0]

        return self.asker.call(pull)[0]

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

    # What the criterion takes, and questions to it

    @functools.cached_property
    def domain(self) -> str:
        """What the criterion takes its input for: logits, probs, log_probs or unknown."""
        kinds = {use.kind for use in self.uses if not use.values.inside}
        if kinds & {"softmax", "sigmoid"}:
            return "logits"
        for kind, domain in (("log", "probs"), ("nll", "log_probs")):
            if kind in kinds:
                return domain
        return "probs" if self.producer.kind in ("sigmoid", "softmax") else "unknown"

    def in_domain(self, scores: Tensor, domain: str = "") -> Tensor:
        """Turn scores into what the criterion takes."""
        domain = domain or self.domain
        if domain == "probs":
            scores = scores.softmax(self.layout[0]) if self.layout else scores.sigmoid()
        elif domain == "log_probs" and self.layout:
            scores = scores.log_softmax(self.layout[0])
        elif domain == "positive":
            scores = functional.softplus(scores)
        return scores.to(self.output.dtype)

    def random(self, scale: float = 1.0, seed: int = 0) -> Tensor:
        """Return outputs drawn at random that the criterion can take, of the small batch's size."""
        return self.in_domain(ask.drawn(self.small[0], scale, seed))

    def marks(self, target: Tensor) -> Tensor | None:
        """Return 1 where the target says yes and 0 elsewhere, in the shape of the output."""
        if self.layout is not None and self.layout[1] > 1:
            axis, count = self.layout
            valid = (target >= 0) & (target < count)
            marks = functional.one_hot(torch.where(valid, target, 0).long(), count)
            return (marks * valid[..., None]).movedim(-1, axis).double()
        return target.double() if self.elementwise else None

    def turned(self, target: Tensor) -> Tensor:
        """Return other targets: the next class, or no for yes."""
        if self.layout is not None:
            other = (target + 1) % self.layout[1]
            return torch.where((target >= 0) & (target < self.layout[1]), other, target)
        return (1 - target.double()).to(target.dtype)

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
        return (output, target) if output.numel() <= _WHOLE_ELEMENTS else None

    def ask(self, output: Tensor, target: Tensor) -> float | None:
        """Return what the criterion gives for other tensors (the mean, where it is not scalar)."""

        def price() -> float:
            result = self.criterion(output.clone(), target.clone())
            return float(result.detach().double().mean() if isinstance(result, Tensor) else result)

        return self.asker.call(price)[0]

    def ask_step(self, step: int, output: Tensor, target: Tensor) -> float | None:
        """Return the mean of one step on the way to the loss, for other tensors."""
        copies = output.clone(), target.clone()
        answer, _ = self.asker.call(record.record, self.criterion, *copies)
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

        return self.asker.call(pull)[0]

    @functools.cached_property
    def repeats(self) -> bool:
        """Whether the criterion answers the same question twice alike."""
        if self.small is None:
            return False
        first, second = self.ask(*self.small), self.ask(*self.small)
        return first is not None and first == second

    @functools.cached_property
    def fitted(self) -> tuple[Tensor, float, float] | None:
        """Outputs that the loss likes, and what equal ones and these cost."""
        domain, (output, target) = self.domain, self.small
        if domain == "unknown" and self.producer.kind in ("relu", "soft_relu"):
            domain = "positive"
        scores = torch.zeros_like(output)
        for _ in range(16):
            slope = self.slope(self.in_domain(scores, domain), target)
            if slope is None:
                return None
            scores -= 0.5 * slope.sign()
        best = self.in_domain(scores, domain)
        before = self.ask(self.in_domain(torch.zeros_like(output), domain), target)
        after = self.ask(best, target)
        if before is None or after is None or not after < before - 1e-3:
            return None
        return best, before, after

    @functools.cached_property
    def own_column(self) -> bool:
        """Whether label k is about column k: not so where labels are levels, or 0 is background."""
        target = self.small[1]
        marks = self.marks(target)
        slope = self.slope(self.in_domain(torch.zeros_like(marks)), target)
        if slope is None:
            return False
        axis, near = self.layout[0], 1e-3 * float(slope.abs().max())
        known, own = marks.sum(axis) > 0, (slope * marks).sum(axis)
        least = slope.masked_fill(marks > 0, torch.inf).amin(axis) - near
        most = slope.masked_fill(marks > 0, -torch.inf).amax(axis) + near
        return bool((own < least)[known].all()) or bool((own > most)[known].all())

    @functools.cached_property
    def others_alike(self) -> bool:
        """Whether all columns that are not a label's own are pulled, or none: not so for levels."""
        target = self.small[1]
        marks = self.marks(target)
        slope = self.slope(self.in_domain(torch.zeros_like(marks)), target)
        if slope is None:
            return False
        axis, other = self.layout[0], marks == 0
        pulled = other & (slope.abs() > 1e-6 * float(slope.abs().max()))
        return bool((~pulled.any(axis) | (pulled == other).all(axis)).all())

    @functools.cached_property
    def heard(self) -> Tensor | None:
        """Which targets pull at an output at all: those behind a mask do not."""
        output, target = self.small
        slope = self.slope(self.in_domain(torch.zeros_like(output)), target)
        if slope is None:
            return None
        pulled = slope.abs() > 0
        return pulled.any(self.layout[0]) if self.layout else pulled


def sample(output: Any, target: Any) -> tuple[Tensor, Tensor] | None:
    """Return rows, and of large rows places, of a large batch; None where it need not be cut."""
    if not (isinstance(output, Tensor) and isinstance(target, Tensor)):
        return None
    count = len(output) if output.ndim else 0
    if output.numel() <= _WHOLE_ELEMENTS or not target.ndim or len(target) != count:
        return None
    # All that is odd must be in it: the extreme labels, and a row that is not finite.
    odd = [0, count - 1]
    if target.numel() and not target.is_complex() and target.dtype is not torch.bool:
        flat = target.detach().reshape(count, -1)
        odd += [int(flat.amin(1).argmin()), int(flat.amax(1).argmax())]
    if output.is_floating_point() and not torch.isfinite(output.detach().sum()):
        sums = output.detach().reshape(count, -1).sum(1, dtype=torch.float32)
        odd.append(int((~sums.isfinite()).to(torch.uint8).argmax()))
    per_row = output.numel() // count
    wanted = max(8, _WHOLE_ELEMENTS // 2 // per_row)
    even = torch.linspace(0, count - 1, min(wanted, count)).long().tolist()
    chosen = torch.tensor(sorted({*odd, *even}))
    parts = [output.detach(), target.detach().contiguous()]
    places = range(-min(part.ndim for part in parts) + 1 + (output.ndim == target.ndim), 0)
    alike = [part.shape[places.start :] for part in parts] if places else [0, 1]
    if per_row > _ROW_ELEMENTS and alike[0] == alike[1]:
        ends = [parts[1].argmin(), parts[1].argmax()] if target.dtype is not torch.bool else []
        steps = parts[1].stride()
        for dim in places:
            size = parts[0].shape[dim]
            kept = torch.linspace(0, size - 1, min(size, 24)).long().tolist()
            index = torch.tensor(sorted({*kept, *(int(end) // steps[dim] % size for end in ends)}))
            parts = [part.index_select(dim, index.to(part.device)) for part in parts]
    return tuple(part[chosen.to(part.device)] for part in parts)


def usable_batches(batches: Iterable | None) -> list[tuple[Tensor, Tensor]]:
    """Return at most 64 pairs of tensors; a one-way iterator is left alone."""
    if not isinstance(batches, list | tuple):
        return []
    pairs = [pair for pair in batches[:64] if isinstance(pair, list | tuple) and len(pair) == 2]
    return [pair for pair in pairs if all(isinstance(one, Tensor) for one in pair)]


def like_known(case: Evidence) -> record.Call | None:
    """Return the known loss that somebody has written by hand, by what it gives.

    A softmax and a logarithm written by hand are cross-entropy all the same: the values say so at
    four outputs drawn for the purpose.
    """
    if case.small is None or not case.repeats:
        return None
    output, target = case.small
    if not output.numel() or target.numel() == 0:
        return None
    wide = torch.promote_types(output.dtype, torch.float32)
    noise = [ask.drawn(output, scale, n).to(wide) for n, scale in enumerate((1.0, 2.0, 1.5, 0.5))]
    tried: list[tuple[list[Tensor], Callable, str]] = []
    if case.classes is not None and case.classes > 1:
        shifts = (0.0, 0.25, -0.5, 1.0)
        logs = [one.log_softmax(1) + shift for one, shift in zip(noise, shifts, strict=True)]
        tried = [(noise, functional.cross_entropy, ""), (logs, functional.nll_loss, "")]
    elif target.shape == output.shape and target.is_floating_point():
        squashed = [point.sigmoid() for point in noise]
        tried = [(noise, functional.binary_cross_entropy_with_logits, "")]
        tried.append((squashed, functional.binary_cross_entropy, ""))
        # Other sums are a multinomial likelihood of counts, say.
        if target.ndim == 2 and bool(((target.double().sum(1) - 1).abs() < 1e-2).all()):
            tried += [(noise, functional.cross_entropy, ""), (noise, _soft_nll, "nll_loss")]
    for points, function, name in tried:
        factor = _constant_factor(case, function, points, target)
        if factor is not None:
            contract, options = record.BY_NAME[name or function.__name__], {"reduction": "mean"}
            options["factor"] = factor
            given = case.given, case.given_target
            return record.Call(contract, *given, options, True, True, derived=True)
    return None


def _soft_nll(log_probs: Tensor, target: Tensor) -> Tensor:
    return -(target * log_probs).sum(1).mean()


def _constant_factor(case: Evidence, function, points, target: Tensor) -> float | None:
    """Return the factor between criterion and candidate, where they differ by it and a constant."""
    ours, theirs = [], []
    for point in points:
        goal = target.to(point.dtype) if target.is_floating_point() else target
        known, error = case.asker.call(function, point.clone(), goal.clone())
        price = case.ask(point, target)
        if price is None or error is not None:
            return None
        ours.append(price)
        theirs.append(float(known))
    steps = [(ours[i] - ours[i + 1], theirs[i] - theirs[i + 1]) for i in (0, 1, 2)]
    if any(abs(step) < 1e-6 for _, step in steps):
        return None
    ratios = [mine / step for mine, step in steps]
    # Means over many samples are nearly alike whatever the loss, so all digits must agree.
    if not abs(ratios[0]) > 1e-9 or max(ratios) - min(ratios) > 3e-5 * abs(ratios[0]):
        return None
    if abs(ours[0] - ratios[0] * (theirs[0] + 1)) < 1e-3 * abs(ratios[0]):
        return None  # 1 - p, which takes probabilities and no logarithms of them
    return ratios[0]
