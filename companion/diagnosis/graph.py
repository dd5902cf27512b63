"""Read the autograd graph: what made a tensor, and what a loss does with it first.

The graph is the only sure witness of an activation: a list of modules misses functional calls, and
values in [0, 1] can be logits. Nothing here runs a backward pass through the user's model; the one
gradient that is taken stops at the bias of the last layer.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_MAX_NODES = 4_000

# Steps that move, copy, cast or select values without changing what they mean.
_MOVES = (
    "View UnsafeView ReshapeAlias Squeeze Unsqueeze Permute Transpose T Clone Alias Expand Select "
    "Slice Index IndexSelect Narrow Split SplitWithSizes Unbind ToCopy AsStrided Gather Flip Roll "
    "MaskedSelect Cat Stack Repeat MaskedFill Where CopySlices SliceScatter SelectScatter "
    "ConstantPadNd Diagonal Take TakeAlongDim Movedim IndexPut Unfold"
)
_TRANSPARENT = frozenset(_MOVES.split())
# Steps that leave every value in its place.
IN_PLACE = frozenset(("Clone", "ToCopy", "Add", "Sub", "Mul", "Div", "Clamp", "Alias"))
_CLAMPS = frozenset(("Clamp", "ClampMin", "ClampMax"))

_KINDS = {
    "softmax": "Softmax SafeSoftmax",
    "log_softmax": "LogSoftmax",
    "sigmoid": "Sigmoid Hardsigmoid",
    "log_sigmoid": "LogSigmoid",
    "tanh": "Tanh Softsign",
    "relu": "Relu Threshold Softplus Abs Hardtanh Relu6",
    "soft_relu": "Elu Gelu Silu Hardswish Mish",
    "batch_norm": "NativeBatchNorm CudnnBatchNorm MiopenBatchNorm BatchNorm NativeBatchNormLegit",
    "layer_norm": "NativeLayerNorm NativeGroupNorm FusedRmsNorm",
    "dropout": "NativeDropout FusedDropout AlphaDropout",
    "step": "Round Sign Floor Ceil Trunc Heaviside Sgn",
    "linear": "Addmm Mm Bmm Baddbmm Addbmm Addmv Mv Convolution ThnnConv2D SlowConvDilated2D "
    "MkldnnConvolution CudnnConvolution Linear MkldnnLinear ConvolutionOverrideable",
}
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names.split()}

# What a criterion's first real step says about the values it expects.
_USES = {
    "softmax": "Softmax LogSoftmax Logsumexp",
    "sigmoid": "Sigmoid LogSigmoid Softplus BinaryCrossEntropyWithLogits SoftMarginLoss",
    "log": "Log Log2 Log10 BinaryCrossEntropy _BinaryLogs",
    "nll": "NllLoss NllLoss2D NllLossNd CtcLoss",
}
_USE_OF = {name: use for use, names in _USES.items() for name in names.split()}


def operation(node) -> str:
    """Return the operation behind a node: SoftmaxBackward0 -> Softmax."""
    return re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])


@dataclass(frozen=True)
class Producer:
    """What made the values of a tensor, past everything that merely moved them."""

    kind: str  # a key of _KINDS, "leaf" (no graph beyond it) or "other"
    node: object = None
    through: tuple[str, ...] = ()
    scale: float | None = 1.0  # the constant factor on the way; None where it is not one number
    inside: bool = False  # made by the criterion itself
    within: int = 0  # how many of the steps in ``through`` are the criterion's
    limits: tuple[float, float] | None = None  # of a clamp on the way

    @property
    def bounded(self) -> bool:
        """Whether the values still span what the activation spans, not a stretched copy."""
        return self.scale is not None and abs(self.scale) <= 1.5

    @property
    def shifted(self) -> bool:
        """Whether a constant was added, or the sign turned, on the way."""
        return bool({"Add", "Sub", "Rsub"} & set(self.through)) or (self.scale or 1.0) < 0

    @property
    def name(self) -> str:
        """The node's own name, as torch prints it."""
        return "" if self.node is None else self.node.name()


@dataclass(frozen=True)
class Use:
    """A step of the criterion that says what it takes its input for."""

    kind: str  # a key of _USES
    node: object  # None where the step is known by its values only
    producer: Producer

    @property
    def dim(self) -> int | None:
        """The dimension that a softmax normalises, or None."""
        return saved(self.node, "dim")


def saved(node, name: str):
    """Return what a node saved under this name, or None: a freed graph has nothing left."""
    try:
        value = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):
        return None
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    # Dimensions come back as unsigned numbers: -1 reads 2**64 - 1.
    if isinstance(value, int) and value >= 2**63:
        return value - 2**64
    return value


class Bridge:
    """Joins the graph of the criterion, built on copies, to the graph that made the originals."""

    def __init__(self) -> None:
        """Start without any copy."""
        self._origins: dict[int, tuple[Tensor, object]] = {}

    def add(self, leaf: Tensor, origin_node: object) -> None:
        """Remember that ``leaf`` stands for a tensor made by ``origin_node`` (or by none)."""
        self._origins[id(leaf)] = (leaf, origin_node)

    def is_leaf(self, node) -> bool:
        """Whether this node accumulates into one of the copies."""
        return id(getattr(node, "variable", None)) in self._origins

    def beyond(self, node):
        """Return the node that made the original behind a copy, or None."""
        return self._origins[id(node.variable)][1]


def producer(node, bridge: Bridge) -> Producer:
    """Walk back from ``node`` to the step that gave the values their meaning."""
    through: list[str] = []
    scale: float | None = 1.0
    inside, within = True, 0
    limits = None
    for _ in range(200):
        if node is None:
            return Producer("leaf", None, tuple(through), scale, False, within)
        if bridge.is_leaf(node):
            inside, within = False, len(through)
            node = bridge.beyond(node)
            continue
        name = operation(node)
        edges = [edge for edge, _ in node.next_functions if edge is not None]
        if name in _TRANSPARENT or name in _CLAMPS:
            if not edges:
                return Producer("other", node, tuple(through), scale, inside)
            if len(edges) > 1:
                return _agreed(edges, bridge, node, (*through, name), scale, inside)
            if name in _CLAMPS and scale == 1.0:
                ends = saved(node, "min"), saved(node, "max")
                limits = tuple(
                    end if isinstance(end, int | float) else other
                    for end, other in zip(ends, (-math.inf, math.inf), strict=True)
                )
            through.append(name)
            node = edges[0]
        elif name in ("Add", "Sub", "Rsub", "Mul", "Div") and len(edges) == 1:
            factor = _factor(node, name)
            if name == "Mul" and _is_dropout_mask(saved(node, "other"), saved(node, "self")):
                return Producer("dropout", node, tuple(through), scale, inside)
            scale = None if scale is None or factor is None else scale * factor
            through.append(name)
            node = edges[0]
        elif name == "Add" and (bias := _bias_of_sum(edges)) is not None:
            return Producer("linear", bias, tuple(through), scale, inside, within, limits)
        else:
            kind = _KIND_OF.get(name, "other")
            if name in ("Exp", "Log") and len(edges) == 1:
                kind = _undone(name, producer(edges[0], bridge).kind)
            return Producer(kind, node, tuple(through), scale, inside, within, limits)
    return Producer("other", node, tuple(through), scale, inside)


def _undone(name: str, inner: str) -> str:
    """Return what exp or log makes of an activation: log of softmax is log_softmax."""
    return {
        ("Exp", "log_softmax"): "softmax",
        ("Exp", "log_sigmoid"): "sigmoid",
        ("Log", "softmax"): "log_softmax",
        ("Log", "sigmoid"): "log_sigmoid",
    }.get((name, inner), "other")


def _agreed(edges, bridge, node, through, scale, inside) -> Producer:
    """Return the common producer of several branches, or "other" where they differ."""
    found = [producer(edge, bridge) for edge in edges[:64]]
    if len({one.kind for one in found}) > 1 or any(one.scale != 1.0 for one in found):
        return Producer("other", node, through, scale, inside)
    first = found[0]
    return Producer(first.kind, first.node, through + first.through, scale, inside and first.inside)


def _factor(node, name: str) -> float | None:
    if name in ("Add", "Sub", "Rsub"):
        return 1.0
    other = saved(node, "other")
    if other is None:
        other = saved(node, "self") if name == "Mul" else None
    if isinstance(other, Tensor):
        if other.numel() != 1:
            return None
        other = other.item()
    if not isinstance(other, int | float) or other == 0:
        return None
    return float(other) if name == "Mul" else 1.0 / float(other)


def _is_dropout_mask(*candidates) -> bool:
    """Whether a factor is 0 here and one constant above 1 there: the mask of a dropout."""
    for mask in candidates:
        if isinstance(mask, Tensor) and mask.is_floating_point() and mask.numel() > 1:
            top = mask.max()
            kept = mask == top
            if top > 1 and bool((kept | (mask == 0)).all()) and not bool(kept.all()):
                return True
    return False


def _bias_of_sum(edges):
    """Return the node of ``product + bias`` with a parameter as bias, or None."""
    if len(edges) != 2:
        return None
    for product, bias in (edges, edges[::-1]):
        variable = getattr(bias, "variable", None)
        while operation(product) in ("UnsafeView", "View"):
            product = product.next_functions[0][0]
        if variable is not None and variable.ndim == 1 and _KIND_OF.get(operation(product)):
            return product if _KIND_OF[operation(product)] == "linear" else None
    return None


def is_cosine(made: Producer) -> bool:
    """Whether a product of matrices has rows and columns of length 1, so that it holds cosines."""
    if made.node is None or operation(made.node) != "Mm" or not made.bounded:
        return False
    edges = [edge for edge, _ in made.node.next_functions]
    if not any(_is_parameter(edge) for edge in edges):
        return False  # pairs of outputs, as in a contrastive loss
    factors = zip(("self", "mat2"), (1, 0), made.node.next_functions, strict=True)
    return all(_unit_length(saved(made.node, name), dim, edge) for name, dim, (edge, _) in factors)


def _is_parameter(edge) -> bool:
    """Whether a factor is a parameter, normalised or not."""
    for _ in range(4):
        if edge is None:
            return False
        variable = getattr(edge, "variable", None)
        if variable is not None:
            return isinstance(variable, torch.nn.Parameter)
        edge = edge.next_functions[0][0] if edge.next_functions else None
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


def uses(root, bridge: Bridge) -> Iterator[Use]:
    """Yield the telling steps between a loss and the copies it was computed from."""
    for node in _between(root, bridge):
        kind = _USE_OF.get(operation(node))
        if kind and node.next_functions:
            yield Use(kind, node, producer(node.next_functions[0][0], bridge))


def powers(root, bridge: Bridge) -> Iterator[Producer]:
    """Yield what made the bases of the powers between a loss and the copies."""
    for node in _between(root, bridge):
        if operation(node) == "Pow" and node.next_functions:
            yield producer(node.next_functions[0][0], bridge)


def _between(root, bridge: Bridge) -> list:
    """Return the nodes from which a copy can be reached, from the loss downwards."""
    order, parents, stack, ends = [], {}, [root], []
    known = {root}
    while stack and len(order) < _MAX_NODES:
        node = stack.pop()
        order.append(node)
        if bridge.is_leaf(node):
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


def addends(root) -> list:
    """Return the nodes of the terms that a loss is the sum of, each times a constant."""
    terms, stack = [], [root]
    while stack and len(terms) < 16:
        node = stack.pop(0)
        name = operation(node)
        edges = [edge for edge, _ in node.next_functions if edge is not None]
        splits = name in ("Add", "Sub") or (name in ("Mul", "Div", "Neg") and len(edges) == 1)
        if splits and edges:
            stack += edges
        else:
            terms.append(node)
    return terms


def reaches(root, bridge: Bridge) -> bool:
    """Whether a gradient can flow from the loss to one of the copies."""
    return root is not None and bool(_between(root, bridge))


def operations(root, bridge: Bridge) -> list[str]:
    """Return the names of the operations between a loss and the copies."""
    return [operation(node) for node in _between(root, bridge)]


def last_bias(node) -> Tensor | None:
    """Return the bias of the linear layer that made an output, where there is one."""
    if node is None:
        return None
    bridge = Bridge()
    made = producer(node, bridge)
    if made.kind != "linear" or made.scale != 1.0 or made.node is None:
        return None
    name = operation(made.node)
    position = {"Addmm": 0, "Convolution": 2}.get(name)
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
    if not torch.equal(cover, torch.ones_like(cover)):
        return None
    return units.round().long() - 1
