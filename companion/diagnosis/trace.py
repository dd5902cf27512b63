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

from .sandbox import tensors_in


@dataclass(frozen=True)
class Contract:
    """What one of the known losses takes."""

    name: str
    takes: str  # "logits", "probs", "log_probs" or "any"
    target: str  # "classes", "same" (0 to 1), "signs" (-1 and 1), "distribution" or "any"
    over: str  # "classes": one distribution over dim 1; "elements": each element on its own


CONTRACTS: dict[Callable, Contract] = {
    functional.cross_entropy: Contract("cross_entropy", "logits", "classes", "classes"),
    functional.nll_loss: Contract("nll_loss", "log_probs", "classes", "classes"),
    functional.binary_cross_entropy: Contract("binary_cross_entropy", "probs", "same", "elements"),
    functional.binary_cross_entropy_with_logits: Contract(
        "binary_cross_entropy_with_logits", "logits", "same", "elements"
    ),
    functional.multilabel_soft_margin_loss: Contract(
        "multilabel_soft_margin_loss", "logits", "same", "elements"
    ),
    functional.soft_margin_loss: Contract("soft_margin_loss", "logits", "signs", "elements"),
    functional.hinge_embedding_loss: Contract("hinge_embedding_loss", "any", "signs", "elements"),
    functional.multi_margin_loss: Contract("multi_margin_loss", "logits", "classes", "classes"),
    functional.multilabel_margin_loss: Contract(
        "multilabel_margin_loss", "logits", "any", "elements"
    ),
    functional.kl_div: Contract("kl_div", "log_probs", "distribution", "classes"),
    functional.ctc_loss: Contract("ctc_loss", "log_probs", "any", "classes"),
    functional.mse_loss: Contract("mse_loss", "any", "any", "elements"),
    functional.l1_loss: Contract("l1_loss", "any", "any", "elements"),
    functional.smooth_l1_loss: Contract("smooth_l1_loss", "any", "any", "elements"),
    functional.huber_loss: Contract("huber_loss", "any", "any", "elements"),
}
_CE, _BCE_LOGITS = (
    CONTRACTS[functional.cross_entropy],
    CONTRACTS[functional.binary_cross_entropy_with_logits],
)
# The companion's own losses check their arguments before they call torch, or never call it.
COMPANION: dict[str, Contract] = {
    "binary_cross_entropy": CONTRACTS[functional.binary_cross_entropy],
    "binary_cross_entropy_with_logits": _BCE_LOGITS,
    "nll_loss": CONTRACTS[functional.nll_loss],
    "cross_entropy": _CE,
    "reverse_cross_entropy": _CE,
    "symmetric_cross_entropy": _CE,
    "generalized_cross_entropy": _CE,
    "binary_symmetric_cross_entropy_with_logits": _BCE_LOGITS,
    "ReverseCrossEntropyLoss": _CE,
    "SymmetricCrossEntropyLoss": _CE,
    "GeneralizedCrossEntropyLoss": _CE,
    "BinarySymmetricCrossEntropyWithLogitsLoss": _BCE_LOGITS,
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
    "detach": ".detach()",
    "item": ".item()",
    "tolist": ".tolist()",
    "numpy": ".numpy()",
    "__float__": "float(…)",
    "__int__": "int(…)",
    "__array__": "numpy",
    "argmax": "argmax",
    "topk": "topk",
    "round": "round",
    "sign": "sign",
    "floor": "floor",
    "ceil": "ceil",
    "gt": "a comparison",
    "ge": "a comparison",
    "lt": "a comparison",
    "le": "a comparison",
    "__gt__": "a comparison",
    "__ge__": "a comparison",
    "__lt__": "a comparison",
    "__le__": "a comparison",
    "bool": ".bool()",
    "int": ".int()",
    "long": ".long()",
}


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
    early: tuple[str, tuple[int, ...]] | None = None  # a mean loss, times factors of this shape


class Recorder(TorchFunctionMode):
    """Record the torch functions that a criterion calls while the block runs."""

    def __init__(self, output: Any, target: Any) -> None:
        """Follow the tensors of ``output`` and ``target``."""
        super().__init__()
        self.trace = Trace()
        self._sources: dict[int, tuple[Tensor, frozenset[str]]] = {}
        self._means: dict[int, str] = {}
        for tensor in tensors_in(output):
            self._sources[id(tensor)] = (tensor, frozenset({"output"}))
        for tensor in tensors_in(target):
            self._sources[id(tensor)] = (tensor, frozenset({"target"}))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Note the call, then let it happen."""
        kwargs = kwargs or {}
        call = None
        if function in CONTRACTS:
            call = bind(function, args, kwargs)
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
        for tensor in tensors_in(result):
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
        if ours.numel() == theirs.numel() > 1 and result.numel() > ours.numel():
            self.trace.grown = (tuple(ours.shape), tuple(theirs.shape), tuple(result.shape))

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
    options: dict[str, Any] = {}
    if isinstance(criterion, functools.partial):
        options, criterion = dict(criterion.keywords), criterion.func
    name = (
        type(criterion).__name__
        if isinstance(criterion, nn.Module)
        else getattr(criterion, "__name__", "")
    )
    home = getattr(companion_losses, name, None)
    if name not in COMPANION or home is None:
        return None
    if home is not criterion and home is not type(criterion):
        return None
    for option in ("weight", "ignore_index", "reduction", "label_smoothing", "pos_weight"):
        if hasattr(criterion, option):
            options[option] = getattr(criterion, option)
    options.setdefault("reduction", "mean")
    return Call(
        COMPANION[name], output, target, options, from_output=True, from_target=True, derived=True
    )


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
            inner = criterion._modules.get(attribute)
        if callable(inner):
            return inner
    return criterion
