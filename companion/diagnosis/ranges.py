"""Read the autograd graph: what made a tensor, which values that can yield, what a loss does first.

The graph is the only sure witness of an activation: a list of modules misses functional calls, and
values in [0, 1] can be logits. One walk from the loss back to the last layer, each node once,
carries the range of values. Nothing here runs a backward pass through the user's model; the one
gradient that is taken stops at the bias of the last layer.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

INF = math.inf
_MAX_NODES, _MAX_DEPTH, _MAX_STEPS = 4_000, 240, 64

# Steps that move, copy, cast, select or average values without changing what they mean.
_MOVES = frozenset(
    [
        "View",
        "UnsafeView",
        "ReshapeAlias",
        "Squeeze",
        "Unsqueeze",
        "Permute",
        "Transpose",
        "T",
        "Clone",
        "Alias",
        "Expand",
        "Select",
        "Slice",
        "Index",
        "IndexSelect",
        "Narrow",
        "Split",
        "SplitWithSizes",
        "Unbind",
        "ToCopy",
        "AsStrided",
        "Gather",
        "Flip",
        "Roll",
        "MaskedSelect",
        "Cat",
        "Stack",
        "Repeat",
        "MaskedFill",
        "Where",
        "CopySlices",
        "SliceScatter",
        "SelectScatter",
        "ConstantPadNd",
        "Diagonal",
        "Take",
        "TakeAlongDim",
        "Movedim",
        "IndexPut",
        "Unfold",
        "Mean",
        "AvgPool2D",
        "MaxPool2D",
        "UpsampleBilinear2D",
        "UpsampleNearest2D",
        "UpsampleNearestExact2D",
        "UpsampleTrilinear3D",
        "UpsampleNearest3D",
        "UpsampleLinear1D",
        "AdaptiveAvgPool2D",
    ]
)
# Steps that leave every value in its place.
IN_PLACE = frozenset(
    [
        "Clone",
        "ToCopy",
        "Add",
        "Sub",
        "Rsub",
        "Neg",
        "Mul",
        "Div",
        "Clamp",
        "ClampMin",
        "ClampMax",
        "Alias",
    ]
)
_CLAMPS = frozenset(("Clamp", "ClampMin", "ClampMax", "Hardtanh"))
_AFFINE = frozenset(("Add", "Sub", "Rsub", "Mul", "Div", "Neg"))

# kind, least value, greatest value: the steps that have it.
_IMAGES = """
softmax      0      1     Softmax SafeSoftmax
log_softmax  -inf   0     LogSoftmax
sigmoid      0      1     Sigmoid Hardsigmoid
log_sigmoid  -inf   0     LogSigmoid
tanh         -1     1     Tanh Softsign Erf Sin Cos
tanh         -1.58  1.58  Atan
relu         0      inf   Relu Threshold Softplus Abs Exp Log1P
relu         0      6     Relu6
soft_relu    -1     inf   Elu
soft_relu    -0.38  inf   Gelu Silu Hardswish Mish
batch_norm   -inf   inf   NativeBatchNorm CudnnBatchNorm MiopenBatchNorm NativeBatchNormLegit
layer_norm   -inf   inf   NativeLayerNorm NativeGroupNorm FusedRmsNorm
dropout      -inf   inf   NativeDropout FusedDropout AlphaDropout
step         -inf   inf   Round Sign Floor Ceil Trunc Heaviside Sgn
linear       -inf   inf   Addmm Mm Bmm Baddbmm Addbmm Addmv Mv Convolution ThnnConv2D Linear
linear       -inf   inf   SlowConvDilated2D MkldnnConvolution CudnnConvolution MkldnnLinear
"""
_IMAGE = {
    step: (kind, float(low), float(high))
    for kind, low, high, *steps in (line.split() for line in _IMAGES.split("\n") if line)
    for step in steps
}
_RISING: dict[str, Callable[[float], float]] = {
    "Exp": math.exp,
    "Tanh": math.tanh,
    "Sigmoid": lambda v: largest_prob(2, v),
    "Log": lambda v: math.log(v) if v > 0 else -INF,
    "Log1P": lambda v: math.log1p(v) if v > -1 else -INF,
    "Relu": lambda v: max(v, 0.0),
    "Sqrt": lambda v: math.sqrt(max(v, 0.0)),
    "Erf": math.erf,
    "Atan": math.atan,
}
ACTIVATIONS = ("softmax", "sigmoid", "log_softmax", "log_sigmoid")

# What a criterion's first real step says about the values it expects.
_USES = {
    "softmax": "Softmax LogSoftmax Logsumexp",
    "sigmoid": "Sigmoid LogSigmoid Softplus BinaryCrossEntropyWithLogits SoftMarginLoss",
    "log": "Log Log2 Log10 BinaryCrossEntropy _BinaryLogs",
    "nll": "NllLoss NllLoss2D NllLossNd CtcLoss",
}
_USE_OF = {name: use for use, names in _USES.items() for name in names.split()}


def largest_prob(classes: int, spread: float) -> float:
    """Return the most that softmax can give a score that exceeds the others by ``spread``."""
    return 1 / (1 + (classes - 1) * math.exp(min(-spread, 700)))  # beyond it exp overflows


def operation(node) -> str:
    """Return the operation behind a node: SoftmaxBackward0 -> Softmax."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


@dataclass(frozen=True)
class Values:
    """What made the values of a tensor, and which they can be."""

    kind: str  # a kind of the table above, "cosine", "leaf" (no graph beyond it) or "other"
    node: object = None
    low: float = -INF
    high: float = INF
    located: bool = True  # False where a constant of unknown size was added
    scale: float | None = 1.0  # the constant factor on the way; None where it is not one number
    steps: tuple[str, ...] = ()  # from the last to the first
    inside: bool = True  # made by the criterion itself
    own: int = 0  # how many of the steps are the criterion's

    @property
    def width(self) -> float:
        """How far one value can exceed another."""
        return self.high - self.low

    @property
    def shifted(self) -> bool:
        """Whether a constant was added, or the sign turned, on the way."""
        return not self.located or (self.scale or 1.0) < 0

    @property
    def name(self) -> str:
        """The node's own name, as torch prints it."""
        return "" if self.node is None else self.node.name()

    @property
    def dim(self) -> int | None:
        """The dimension along which the values were normalised, or None."""
        return saved(self.node, "dim")

    @property
    def result(self) -> Tensor | None:
        """What the step that made them gave, where the graph has kept it."""
        return saved(self.node, "result")


@dataclass(frozen=True)
class Use:
    """A step that says what it takes its input for."""

    kind: str  # a key of _USES
    node: object  # None where the step is known by its values only
    values: Values

    @property
    def dim(self) -> int | None:
        """The dimension that a softmax normalises, or None."""
        return saved(self.node, "dim")

    @property
    def observed(self) -> tuple[float, float] | None:
        """The values that it was seen to take: for a softmax, 0 and their greatest spread."""
        name = "" if self.node is None else operation(self.node)
        kept = saved(
            self.node, "result" if name in ("Softmax", "LogSoftmax", "Sigmoid") else "self"
        )
        if not isinstance(kept, Tensor) or not kept.numel() or not kept.is_floating_point():
            return None
        kept = kept.detach()[: max(1, 2**18 * len(kept) // kept.numel())] if kept.ndim else kept
        kept = kept.log() if name == "Softmax" else kept.logit() if name == "Sigmoid" else kept
        if self.kind != "softmax":
            return float(kept.min()), float(kept.max())
        if not isinstance(self.dim, int) or not kept.ndim:
            return None
        return 0.0, float((kept.amax(self.dim) - kept.amin(self.dim)).max())


def saved(node, name: str):
    """Return what a node saved under this name, or None: a freed graph has nothing left."""
    try:
        value = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):
        return None
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    # Dimensions come back as unsigned numbers: -1 reads 2**64 - 1.
    return value - 2**64 if isinstance(value, int) and value >= 2**63 else value


class Graph:
    """The graph of the criterion, built on copies, joined to that which made the originals."""

    def __init__(self) -> None:
        """Start without any copy."""
        self._origins: dict[int, tuple[Tensor, object]] = {}
        self._known: dict[object, Values] = {}

    def add(self, leaf: Tensor, origin_node: object) -> None:
        """Remember that ``leaf`` stands for a tensor made by ``origin_node`` (or by none)."""
        self._origins[id(leaf)] = (leaf, origin_node)

    def is_leaf(self, node) -> bool:
        """Whether this node accumulates into one of the copies."""
        return id(getattr(node, "variable", None)) in self._origins

    def values(self, node, depth: int = 0) -> Values:
        """Return what made the values behind a node; each node is walked once."""
        if node is None:
            return Values("leaf", inside=False)
        if node not in self._known:
            self._known[node] = Values("other", node)  # for a walk that is too deep, or a circle
            if depth < _MAX_DEPTH:
                self._known[node] = self._made(node, depth + 1)
        return self._known[node]

    def _made(self, node, depth: int) -> Values:
        if self.is_leaf(node):
            beyond = self.values(self._origins[id(node.variable)][1], depth)
            return replace(beyond, inside=False, own=0)
        name = operation(node)
        edges = [edge for edge, _ in node.next_functions if edge is not None]
        if not edges:
            return Values("other", node)
        if name == "Add" and len(edges) == 2 and (product := _biased(edges)) is not None:
            return Values("linear", product)
        if name in _MOVES:
            return self._hull(node, name, [self.values(edge, depth) for edge in edges[:64]])
        inner = self.values(edges[0], depth)
        if name in _CLAMPS:
            suffix = "_val" if name == "Hardtanh" else ""
            low, high = saved(node, f"min{suffix}"), saved(node, f"max{suffix}")
            low = max(inner.low, low) if isinstance(low, int | float) else inner.low
            high = min(inner.high, high) if isinstance(high, int | float) else inner.high
            return _after(inner, name, low=low, high=high)
        if name in _AFFINE:
            if len(edges) == 1:
                return _affine(node, name, inner)
            return _pair(node, name, inner, self.values(edges[1], depth), edges)
        if name in ("Sum", "Pow", "Reciprocal"):
            return _special(node, name, inner)
        if name == "Mm" and _is_cosine(node):
            return Values("cosine", node, -1.0, 1.0)
        kind, low, high = _IMAGE.get(name, ("other", -INF, INF))
        rising = _RISING.get(name)
        if rising is not None and inner.located:
            # Outside its domain a logarithm is NaN, which no range shows.
            low, high = max(low, _at(rising, inner.low)), min(high, _at(rising, inner.high))
        kind = {
            ("Exp", "log_softmax"): "softmax",
            ("Exp", "log_sigmoid"): "sigmoid",
            ("Log", "softmax"): "log_softmax",
            ("Log", "sigmoid"): "log_sigmoid",
        }.get((name, inner.kind), kind)
        if name == "Log" and kind != "other":
            high = min(high, 0.0)
        return Values(kind, node, low, high)

    def _hull(self, node, name: str, parts: list[Values]) -> Values:
        """Return what several branches have in common."""
        first = parts[0]
        if len(parts) == 1:
            return _after(first, name)
        alike = len({one.kind for one in parts}) == 1 and all(
            abs(one.scale or 0) == 1 for one in parts
        )
        low, high = min(one.low for one in parts), max(one.high for one in parts)
        located = all(one.located for one in parts)
        if not alike:
            return Values("other", node, low, high, located)
        return _after(first, name, low=low, high=high, located=located)

    def between(self, root) -> list:
        """Return the nodes from which a copy can be reached, from the loss downwards."""
        if root is None:
            return []
        order, parents, stack, ends, known = [], {}, [root], [], {root}
        while stack and len(order) < _MAX_NODES:
            node = stack.pop()
            order.append(node)
            if self.is_leaf(node):
                ends.append(node)
            for edge, _ in node.next_functions:
                if edge is not None:
                    parents.setdefault(edge, []).append(node)
                    if edge not in known:
                        known.add(edge)
                        stack.append(edge)
        reaching = set(ends)
        while ends:
            for parent in parents.get(ends.pop(), ()):
                if parent not in reaching:
                    reaching.add(parent)
                    ends.append(parent)
        return [node for node in order if node in reaching]

    def uses(self, nodes: list) -> Iterator[Use]:
        """Yield the telling steps among the nodes between a loss and the copies."""
        for node in nodes:
            kind = _USE_OF.get(operation(node))
            if kind and node.next_functions:
                yield Use(kind, node, self.values(node.next_functions[0][0]))


def _after(inner: Values, step: str, **changed) -> Values:
    """Return the values after one more step."""
    steps = (step, *inner.steps)[:_MAX_STEPS]
    return replace(inner, steps=steps, own=inner.own + 1, **changed)


def _at(function: Callable[[float], float], value: float) -> float:
    try:
        return function(value)
    except OverflowError:
        return INF if value > 0 else -INF


def _times(inner: Values, least: float, most: float) -> dict[str, float]:
    ends = [a * b for a in (inner.low, inner.high) for b in (least, most) if a or b]
    ends = [0.0 if end != end else end for end in ends] or [0.0]  # 0 times infinity
    return {"low": min(ends), "high": max(ends)}


def _affine(node, name: str, inner: Values) -> Values:
    """Return the values after a constant was added, or was a factor."""
    turned = None if inner.scale is None else -inner.scale
    if name == "Neg":
        kind = "other" if inner.kind.startswith("log") else inner.kind
        return _after(inner, name, kind=kind, low=-inner.high, high=-inner.low, scale=turned)
    if name == "Rsub":
        low, high = -inner.high, -inner.low
        return _after(inner, name, low=low, high=high, scale=turned, located=False)
    if name in ("Add", "Sub"):
        return _after(inner, name, located=False)
    other = saved(node, "other")
    if other is None and name == "Mul":
        other = saved(node, "self")
    if name == "Mul" and _is_dropout_mask(other):
        return Values("dropout", node, steps=(name, *inner.steps))
    if isinstance(other, Tensor) and other.numel() > 1 and not other.is_complex():
        least, most = (float(end) for end in other.detach().aminmax())
        if name == "Mul":
            return _after(inner, name, scale=None, **_times(inner, least, most))
        least, most = (1 / most, 1 / least) if least > 0 else (-INF, INF)
        return _after(inner, name, scale=None, **_times(inner, least, most))
    if isinstance(other, Tensor):
        other = other.item() if other.numel() == 1 else None
    if not isinstance(other, int | float) or other == 0 or other != other:
        return _after(inner, name, scale=None, low=-INF, high=INF)
    factor = float(other) if name == "Mul" else 1.0 / float(other)
    scale = None if inner.scale is None else inner.scale * factor
    return _after(inner, name, scale=scale, **_times(inner, factor, factor))


def _pair(node, name: str, one: Values, other: Values, edges: list) -> Values:
    """Return the values where two computed tensors meet."""
    kind = one.kind if one.kind == other.kind and one.kind in ACTIVATIONS else "other"
    located = one.located and other.located
    if name in ("Add", "Sub") and (saved(node, "alpha") or 1) == 1:
        low, high = (other.low, other.high) if name == "Add" else (-other.high, -other.low)
        # The kinds of a difference are no activation any more.
        kind = kind if name == "Add" else "other"
        return replace(
            one, kind=kind, node=node if kind == "other" else one.node,
            low=one.low + low, high=one.high + high, located=located,
            steps=(name, *one.steps)[:_MAX_STEPS], own=one.own + 1,
        )  # fmt: skip
    if name == "Mul" and edges[0] is edges[1]:
        return Values("relu", node, 0.0, max(one.low**2, one.high**2))
    if name == "Mul" and located:
        return Values("other", node, **_times(one, other.low, other.high))
    if name == "Div":
        return _share(node, one, edges)
    return Values("other", node)


def _share(node, one: Values, edges: list) -> Values:
    """Return the values of x / sum(x), which are shares, and of x / |x|, which has length 1."""
    below = edges[1]
    for _ in range(8):
        if below is None or operation(below) in ("Sum", "LinalgVectorNorm", "Norm"):
            break
        below = below.next_functions[0][0] if below.next_functions else None
    if below is None or not below.next_functions or below.next_functions[0][0] is not edges[0]:
        return Values("other", node)
    if operation(below) != "Sum":
        return Values("unit", node, -1.0, 1.0)
    if one.low < 0 or not one.located:
        return Values("other", node)
    return Values("softmax", below, 0.0, 1.0)


def _special(node, name: str, inner: Values) -> Values:
    if name == "Sum":
        sizes, dims = saved(node, "self_sym_sizes") or (), saved(node, "dim")
        dims = (dims,) if isinstance(dims, int) else dims or range(len(sizes))
        count = math.prod(sizes[d - 2**64 if d >= 2**63 else d] for d in dims)
        if not sizes or not inner.located:
            return Values("other", node)
        return Values("other", node, **_times(inner, count, count))
    if name == "Reciprocal":
        result = saved(node, "result")
        by_hand = inner.steps[:1] == ("Add",) and inner.name.startswith("Exp")
        if by_hand and isinstance(result, Tensor) and float(result.max()) <= 1:
            return Values("sigmoid", node, 0.0, 1.0)
        return Values("other", node)
    exponent = saved(node, "exponent")
    if not isinstance(exponent, int | float) or exponent <= 0 or (exponent % 2 and inner.low < 0):
        return Values("other", node)
    ends = abs(inner.low) ** exponent, abs(inner.high) ** exponent
    return Values("relu", node, 0.0 if inner.low < 0 else min(ends), max(ends))


def _is_dropout_mask(mask) -> bool:
    """Whether a factor is 0 here and one constant above 1 there: the mask of a dropout."""
    if isinstance(mask, Tensor) and mask.is_floating_point() and mask.numel() > 1:
        top = mask.max()
        kept = mask == top
        return bool(top > 1) and bool((kept | (mask == 0)).all()) and not bool(kept.all())
    return False


def _biased(edges):
    """Return the node of ``product + bias`` with a parameter as bias, or None."""
    for product, bias in (edges, edges[::-1]):
        variable = getattr(bias, "variable", None)
        while operation(product) in ("UnsafeView", "View"):
            product = product.next_functions[0][0]
        linear = _IMAGE.get(operation(product), ("",))[0] == "linear"
        if linear and variable is not None and variable.ndim == 1:
            return product
    return None


def _is_cosine(node) -> bool:
    """Whether a product of matrices has rows and columns of length 1, so that it holds cosines."""
    edges = [edge for edge, _ in node.next_functions]
    if not any(_is_parameter(edge) for edge in edges):
        return False  # pairs of outputs, as in a contrastive loss
    factors = zip(("self", "mat2"), (1, 0), edges, strict=True)
    return all(_unit_length(saved(node, name), dim, edge) for name, dim, edge in factors)


def _is_parameter(edge) -> bool:
    """Whether a factor is a parameter, normalised or not."""
    for _ in range(4):
        variable = getattr(edge, "variable", None)
        if variable is not None:
            return isinstance(variable, torch.nn.Parameter)
        edge = edge.next_functions[0][0] if edge is not None and edge.next_functions else None
    return False


def _unit_length(factor, dim: int, edge) -> bool:
    """Whether the vectors of a factor have length 1, by their values or by how they were made."""
    if isinstance(factor, Tensor):
        lengths = factor.detach().float().norm(dim=dim)
        return factor.shape[dim] > 1 and bool(((lengths - 1).abs() < 1e-2).all())
    # torch keeps a factor only where the other one's gradient needs it.
    while edge is not None and operation(edge) in ("T", "Transpose", "Permute"):
        edge = edge.next_functions[0][0]
    if edge is None or operation(edge) != "Div":
        return False
    divisor = edge.next_functions[-1][0]
    for _ in range(3):
        if divisor is None or operation(divisor) == "LinalgVectorNorm":
            break
        divisor = divisor.next_functions[0][0] if divisor.next_functions else None
    return divisor is not None


def addends(root) -> list:
    """Return the nodes of the terms that a loss is the sum of, each times a constant."""
    terms, stack = [], [root]
    while stack and len(terms) < 16:
        node = stack.pop(0)
        name = operation(node)
        edges = [edge for edge, _ in node.next_functions if edge is not None]
        factor = name in ("Mul", "Div", "Neg") and len(edges) == 1
        if edges and (factor or name in ("Add", "Sub")):
            stack += edges
        else:
            terms.append(node)
    return terms


def last_bias(made: Values) -> Tensor | None:
    """Return the bias of the linear layer that made an output, where there is one."""
    if made.kind != "linear" or made.scale != 1.0 or made.node is None:
        return None
    position = {"Addmm": 0, "Convolution": 2}.get(operation(made.node))
    edges = made.node.next_functions
    if position is None or len(edges) <= position or edges[position][0] is None:
        return None
    variable = getattr(edges[position][0], "variable", None)
    return variable if variable is not None and variable.ndim == 1 else None


def unit_map(output: Tensor, bias: Tensor) -> Tensor | None:
    """Return, for each element of the output, which unit of the last layer made it.

    The derivative of an element with respect to the bias is 1 at its own unit and 0 elsewhere. The
    product of that Jacobian with (1, 2, 3, …) comes from differentiating a gradient once more; it
    follows every view, permutation and concatenation exactly. None where an element does not come
    from this layer alone.
    """
    with torch.enable_grad():
        cotangent = torch.zeros_like(output, requires_grad=True)
        (pulled,) = torch.autograd.grad(
            output, bias, cotangent, create_graph=True, retain_graph=True
        )
        count = torch.arange(1, bias.numel() + 1, dtype=bias.dtype, device=bias.device)
        ones = torch.ones_like(count)
        (units,) = torch.autograd.grad(pulled, cotangent, count, retain_graph=True)
        (cover,) = torch.autograd.grad(pulled, cotangent, ones)
    return units.round().long() - 1 if torch.equal(cover, torch.ones_like(cover)) else None
