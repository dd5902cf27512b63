"""Watch a criterion at work: which of torch's losses it calls, and with what.

The criterion may be a module, a function, a lambda or a class of the user's own: whatever it is, a
call of ``torch.nn.functional.cross_entropy`` inside it is seen with its actual arguments, also when
that call raises. Each tensor is followed back to what it was computed from, the output or the
target.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from companion import losses as companion_losses

from .tensors import tensors_in


@dataclass(frozen=True)
class Contract:
    """What one of the known losses takes."""

    name: str
    takes: str  # "logits", "probs", "log_probs" or "any"
    target: str  # "classes", "same" (0 to 1), "signs" (-1 and 1), "distribution" or "any"
    over: str  # "classes": one distribution over dim 1; "elements": each element on its own


_TABLE = """
cross_entropy                       logits     classes       classes
nll_loss                            log_probs  classes       classes
binary_cross_entropy                probs      same          elements
binary_cross_entropy_with_logits    logits     same          elements
multilabel_soft_margin_loss         logits     same          elements
soft_margin_loss                    logits     signs         elements
hinge_embedding_loss                any        signs         elements
multi_margin_loss                   logits     classes       classes
multilabel_margin_loss              logits     any           elements
kl_div                              log_probs  distribution  classes
ctc_loss                            log_probs  any           classes
mse_loss                            any        any           elements
l1_loss                             any        any           elements
smooth_l1_loss                      any        any           elements
huber_loss                          any        any           elements
"""
BY_NAME = {line.split()[0]: Contract(*line.split()) for line in _TABLE.split("\n") if line}
CONTRACTS: dict[Callable, Contract] = {
    getattr(functional, name): contract for name, contract in BY_NAME.items()
}
# The companion's own losses check their arguments before they call torch, or never call it.
COMPANION = {
    "binary_cross_entropy": "binary_cross_entropy",
    "binary_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "binary_symmetric_cross_entropy_with_logits": "binary_cross_entropy_with_logits",
    "BinarySymmetricCrossEntropyWithLogitsLoss": "binary_cross_entropy_with_logits",
    "nll_loss": "nll_loss",
    "cross_entropy": "cross_entropy",
    "reverse_cross_entropy": "cross_entropy",
    "symmetric_cross_entropy": "cross_entropy",
    "generalized_cross_entropy": "cross_entropy",
    "ReverseCrossEntropyLoss": "cross_entropy",
    "SymmetricCrossEntropyLoss": "cross_entropy",
    "GeneralizedCrossEntropyLoss": "cross_entropy",
}
_PAIRWISE = (
    "add sub mul div true_divide rsub pow where eq ne minimum maximum bitwise_and logical_and "
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __pow__ __eq__ "
    "__and__"
)
_ELEMENTWISE = frozenset(_PAIRWISE.split())
_PRODUCTS = frozenset(("mul", "__mul__", "__rmul__"))
# Steps through which no gradient comes back.
_CUTS = {
    name: f".{name}()" for name in ("detach", "item", "tolist", "numpy", "bool", "int", "long")
} | {name: name for name in ("argmax", "topk", "round", "sign", "floor", "ceil")}
_CUTS |= {"__float__": "float(…)", "__int__": "int(…)", "__array__": "numpy"}
for _name in ("gt", "ge", "lt", "le"):
    _CUTS[_name] = _CUTS[f"__{_name}__"] = "a comparison"
_SUMS = frozenset(("add", "sub", "__add__", "__radd__", "__sub__", "__rsub__", "__iadd__"))


@dataclass
class Call:
    """One call of a known loss."""

    contract: Contract
    input: Any
    target: Any
    options: dict[str, Any]
    from_output: bool = False  # input computed from the output (and not from the target)
    from_target: bool = False  # target computed from the target (and not from the output)
    swapped: bool = False  # input computed from the target only, target from the output
    own_target: bool = False  # target computed from the output (and not from the target)
    derived: bool = False  # not called: recognised by its values or by its name
    result: Any = None

    @property
    def name(self) -> str:
        """The name of the loss, as in torch.nn.functional."""
        return self.contract.name

    @property
    def comparable(self) -> bool:
        """Whether input and target are tensors on one device."""
        pair = (self.input, self.target)
        return all(isinstance(t, Tensor) for t in pair) and pair[0].device == pair[1].device


@dataclass
class Trace:
    """What was seen during one call of the criterion."""

    calls: list[Call] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    grown: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None = None
    steps: list[Tensor] = field(default_factory=list)  # results computed from the output
    reads_target: bool = False  # whether a tensor was computed from the target
    spread: tuple[tuple[int, ...], tuple[int, ...]] | None = None  # 1 channel met several
    early: tuple[str, tuple[int, ...]] | None = None  # a mean loss, times factors of this shape
    idle: str | None = None  # the step that cut one term of a sum off, where others have a gradient


class Recorder(TorchFunctionMode):
    """Record the torch functions that a criterion calls while the block runs."""

    def __init__(self, output: Any, target: Any) -> None:
        """Follow the tensors of ``output`` and ``target``."""
        super().__init__()
        self.trace = Trace()
        self._sources: dict[int, tuple[Tensor, frozenset[str]]] = {}
        self._means: dict[int, str] = {}
        self._cut: dict[int, str] = {}  # results without a gradient, and the step that cut it
        for tensor in tensors_in(output):
            self._sources[id(tensor)] = (tensor, frozenset({"output"}))
        for tensor in tensors_in(target):
            self._sources[id(tensor)] = (tensor, frozenset({"target"}))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Note the call, then let it happen."""
        kwargs = kwargs or {}
        call = bind(function, args, kwargs) if function in CONTRACTS else None
        if call is not None:
            self._settle(call)
            self.trace.calls.append(call)
            refuse_on_cuda(call)
        result = function(*args, **kwargs)
        if call is not None:
            call.result = result
            if isinstance(result, Tensor) and result.numel() == 1 and _has_many(call):
                self._means[id(result)] = call.name
        self._follow(function, args, kwargs, result)
        return result

    def sources(self, value: Any) -> frozenset[str]:
        """Return which of "output" and "target" a value was computed from."""
        found = [self._sources.get(id(t), (t, frozenset()))[1] for t in tensors_in(value)]
        return frozenset().union(*found)

    def _settle(self, call: Call) -> None:
        ours, theirs = self.sources(call.input), self.sources(call.target)
        call.from_output = ours == {"output"}
        call.from_target = theirs == {"target"}
        call.own_target = theirs == {"output"}
        call.swapped = ours == {"target"} and theirs == {"output"}

    def _follow(self, function, args, kwargs, result) -> None:
        inputs = (args, tuple(kwargs.values()))
        sources = self.sources(inputs)
        name = getattr(function, "__name__", "")
        if "output" in sources:
            if name in _CUTS:
                self.trace.cuts.append(_CUTS[name])
            elif name == "__get__" and getattr(function, "__self__", None) is Tensor.data:
                self.trace.cuts.append(".data")
        if not sources:
            return
        if name in _SUMS and isinstance(result, Tensor) and result.requires_grad:
            dead = [self._cut[id(t)] for t in tensors_in(args) if id(t) in self._cut]
            if dead and result.numel() == 1:
                self.trace.idle = dead[0]
        cut = [self._cut[id(t)] for t in tensors_in(inputs) if id(t) in self._cut]
        if "output" in sources and name in _CUTS and name != "detach":
            cut.append(_CUTS[name])
        for tensor in tensors_in(result):
            if cut and not tensor.requires_grad:
                self._cut[id(tensor)] = cut[0]
            self.trace.reads_target |= "target" in sources
            if "output" in sources:
                self.trace.steps.append(tensor)
            if id(tensor) not in self._sources:
                self._sources[id(tensor)] = (tensor, sources)
            elif self._sources[id(tensor)][1] != sources:
                both = self._sources[id(tensor)][1] | sources
                self._sources[id(tensor)] = (tensor, both)
        if name in _ELEMENTWISE and isinstance(result, Tensor):
            self._watch_growth(args, result)
            self._watch_means(name, args, result)

    def _watch_growth(self, args, result: Tensor) -> None:
        """Notice N outputs, or losses, met by N targets elementwise and making N times N."""
        given = [one for one in args if isinstance(one, Tensor)]
        ours = next((one for one in given if "output" in self.sources(one)), None)
        if ours is None or self.trace.grown:
            return
        # Losses of N samples may meet weights of N samples that come from elsewhere.
        kinds = [{"target"}, set()] if "target" in self.sources(ours) else [{"target"}]
        theirs = next((one for one in given if self.sources(one) in kinds), None)
        if theirs is None:
            return
        shapes = tuple(ours.shape), tuple(theirs.shape)
        one_channel = ours.ndim == theirs.ndim > 2 and ours.shape[1] == 1 < theirs.shape[1]
        if one_channel and ours.shape[2:] == theirs.shape[2:]:
            self.trace.spread = shapes
        if ours.numel() == theirs.numel() > 1 and result.numel() > ours.numel():
            self.trace.grown = (*shapes, tuple(result.shape))

    def _watch_means(self, name: str, args, result: Tensor) -> None:
        """Notice a factor for each element that meets the mean of all of them."""
        pair = [one for one in args if isinstance(one, Tensor)]
        means = [self._means[id(one)] for one in pair if id(one) in self._means]
        if not means:
            return
        if result.numel() == 1:
            self._means[id(result)] = means[0]
        elif name in _PRODUCTS and self.trace.early is None:
            self.trace.early = (means[0], tuple(result.shape))


def _has_many(call: Call) -> bool:
    return isinstance(call.target, Tensor) and call.target.numel() > 1


@functools.cache
def _signature(function: Callable) -> inspect.Signature:
    return inspect.signature(function)


def bind(function: Callable, args: tuple, kwargs: dict) -> Call | None:
    """Return the call with its arguments named, or None where they do not fit."""
    try:
        bound = _signature(function).bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    options = dict(bound.arguments)
    first = options.pop("input", options.pop("log_probs", None))
    target = options.pop("target", options.pop("targets", None))
    return Call(CONTRACTS[function], first, target, options)


def refuse_on_cuda(call: Call) -> None:
    """Raise what the CPU would: on a GPU the same mistake kills the whole process's device."""
    given, target = call.input, call.target
    if not (isinstance(given, Tensor) and isinstance(target, Tensor) and given.is_cuda):
        return
    if call.contract.target == "classes" and not target.is_floating_point() and target.numel():
        classes = given.shape[1] if given.ndim > 1 else given.shape[0]
        counted = target[target != call.options.get("ignore_index", -100)]
        if counted.numel() and not 0 <= int(counted.min()) <= int(counted.max()) < classes:
            raise IndexError("a target is out of bounds")
    if call.contract.takes == "probs" and given.numel():
        low, high = given.aminmax()
        if not (low >= 0 and high <= 1):
            raise RuntimeError("all elements of input should be between 0 and 1")


def by_name(criterion: Any, output: Any, target: Any) -> Call | None:
    """Return the call that one of the companion's own losses amounts to, or None."""
    options: dict[str, Any] = {"reduction": "mean"}
    if isinstance(criterion, functools.partial):
        options, criterion = options | dict(criterion.keywords), criterion.func
    kind = type(criterion) if isinstance(criterion, nn.Module) else criterion
    name = getattr(kind, "__name__", "")
    if name not in COMPANION or getattr(companion_losses, name) is not kind:
        return None
    for option in ("weight", "ignore_index", "reduction", "label_smoothing", "pos_weight"):
        if hasattr(criterion, option):
            options[option] = getattr(criterion, option)
    contract = BY_NAME[COMPANION[name]]
    return Call(contract, output, target, options, True, True, derived=True)


def record(criterion: Callable, output: Any, target: Any) -> tuple[Any, Trace, Exception | None]:
    """Call the criterion; return its result, what was seen, and what it raised."""
    recorder = Recorder(output, target)
    try:
        with recorder:
            result = criterion(output, target)
    except Exception as error:
        return None, recorder.trace, error
    return result, recorder.trace, None


def unwrapped(criterion: Callable) -> Callable:
    """Return the eager criterion behind a compiled one."""
    for attribute in ("_orig_mod", "_torchdynamo_orig_callable"):
        inner = getattr(criterion, "__dict__", {}).get(attribute)
        if inner is None and isinstance(criterion, nn.Module):
            inner = dict(criterion.named_children()).get(attribute)
        if callable(inner):
            return inner
    return criterion
