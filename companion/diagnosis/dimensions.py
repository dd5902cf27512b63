"""Rules on the dimension of the classes: one column only, the wrong one, or torn apart."""

from collections.abc import Iterator

import torch
from torch import Tensor

from . import graph
from . import values as ask
from .case import Case
from .codes import finding
from .graph import Producer
from .report import Finding
from .trace import record


def one_class(case: Case) -> Iterator[Finding]:
    """A softmax over one single score, which is always 1."""
    for call in case.calls:
        given = call.input
        if call.contract.over != "classes" or call.name in ("kl_div", "ctc_loss"):
            continue
        if isinstance(given, Tensor) and given.ndim and given.shape[ask.class_dim(given)] == 1:
            fact = f"{call.name} sees one column, shape {ask.shape(given)}: the loss is 0 and the "
            yield _one_class(case, fact + "gradient 0, whatever the model says")
            return
    made = case.producer
    for node in [made.node, *(use.node for use in case.uses)]:
        if node is None or graph.operation(node) not in ("Softmax", "LogSoftmax"):
            continue
        result, dim = graph.saved(node, "result"), graph.saved(node, "dim")
        if not isinstance(result, Tensor) or dim is None or result.ndim < 2:
            continue
        if result.shape[dim] == 1 and dim % result.ndim != 0 and result.numel() > 1:
            fact = f"softmax over a dimension of size 1, shape {ask.shape(result)}: every value is "
            yield _one_class(case, fact + "1 and every gradient 0, whatever the model says")
            return


def _one_class(case: Case, fact: str) -> Finding:
    return finding(
        "ONE_CLASS",
        "certain",
        "there is one score to choose from, and softmax of one score is always 1",
        f"{fact}{case.here}.",
        "nn.BCEWithLogitsLoss() with float targets of the output's shape; or nn.Linear(…, 2)",
        "Binary heads",
    )


def wrong_dim(case: Case) -> Iterator[Finding]:
    """Softmax over another dimension than the classes'."""
    expected = _expected_dim(case)
    if expected is not None:
        for use in case.uses:
            made = use.producer
            direct = not made.inside and set(made.through[: made.within]) <= graph.IN_PLACE
            ndim = case.output.ndim
            if use.kind == "softmax" and direct and isinstance(use.dim, int):
                dim = use.dim % ndim
                if dim != expected and not _one_hot_along(case.target, dim):
                    yield _wrong_dim(case, "certain", dim, expected, "the criterion's softmax")
                    return
        found = _normalised_elsewhere(case.output, case.producer, expected)
        if found is not None:
            yield _wrong_dim(case, found[0], found[1], expected, "the softmax of the model")
            return
    for call in case.calls:
        given = call.input
        if call.contract.over != "classes" or not isinstance(given, Tensor) or given.ndim < 2:
            continue
        if call.name in ("kl_div", "ctc_loss") or not given.is_floating_point():
            continue
        made = graph.producer(given.grad_fn, case.bridge)
        found = _normalised_elsewhere(given, made, 1)
        if found is not None:
            yield _wrong_dim(case, found[0], found[1], 1, f"the softmax before {call.name}")
            return
        found = _before_reshaping(given, made)
        if found is not None:
            dim, home, result = found
            yield _wrong_dim(case, "certain", dim, home, "the softmax of the model", result)
            return


def _before_reshaping(given: Tensor, made: Producer) -> tuple[int, int, Tensor] | None:
    """Return (its dimension, the classes' dimension, its result) of a softmax over another one.

    The rows that the loss gets were cut from that result, and hold what lay along one dimension of
    it: there the classes are.
    """
    if made.kind not in ("softmax", "log_softmax") or made.node is None or given.ndim != 2:
        return None
    result, dim = graph.saved(made.node, "result"), graph.saved(made.node, "dim")
    if not isinstance(result, Tensor) or result.ndim < 3 or result.numel() != given.numel():
        return None
    dim %= result.ndim
    homes = [
        home
        for home in range(result.ndim)
        if result.shape[home] == given.shape[1]
        and torch.equal(result.movedim(home, -1).reshape(given.shape), given.detach())
    ]
    return (dim, homes[0], result) if homes and dim not in homes else None


def _expected_dim(case: Case) -> int | None:
    """Return where the classes are, as the target tells it."""
    if not case.simple or not case.output.is_floating_point() or case.output.ndim < 1:
        return None
    if case.classes is not None:
        return 1 if case.classes > 1 else None
    if case.elementwise:
        dims = [dim for dim in range(1, case.target.ndim) if _one_hot_along(case.target, dim)]
        return dims[0] if len(dims) == 1 else None
    return None


def _one_hot_along(target: Tensor, dim: int) -> bool:
    if target.ndim <= dim or target.shape[dim] < 2:
        return False
    return bool(((target.double().sum(dim) - 1).abs() < 1e-3).all())


def _normalised_elsewhere(values: Tensor, made: Producer, expected: int) -> tuple[str, int] | None:
    """Return (level, dimension) where values are normalised over another dimension."""
    if made.scale != 1.0 or made.kind not in ("softmax", "log_softmax", "leaf", "other"):
        return None
    dim = graph.saved(made.node, "dim") if made.node is not None else None
    if values.shape[0] == 1 and dim == 0 and set(made.through) <= graph.IN_PLACE:
        return "certain", 0
    is_normal = ask.is_log_distribution if made.kind == "log_softmax" else ask.sums_to_one
    if is_normal(values, expected):
        return None
    for other in range(values.ndim):
        if other == expected or values.shape[other] < 2 or not is_normal(values, other):
            continue
        if made.kind in ("softmax", "log_softmax"):
            return "certain", other
        # Without a graph: few numbers can add up to 1 by chance, many rows cannot.
        return ("suspicion", other) if values.numel() >= 8 else None
    return None


def _wrong_dim(
    case: Case, level: str, dim: int, expected: int, who: str, scores: Tensor | None = None
) -> Finding:
    where = "the batch" if dim == 0 else f"dimension {dim}"
    seen = ask.shape(case.output if scores is None else scores)
    return finding(
        "WRONG_DIM",
        level,
        f"softmax is taken over {where} instead of the classes",
        f"{who} adds up to 1 along dimension {dim} of {seen}; the classes are in dimension "
        f"{expected}.",
        f"softmax(dim={expected}), or logits and a loss that applies it: "
        "F.cross_entropy(logits, target)",
        "Cross-entropy",
    )


def class_order(case: Case) -> Iterator[Finding]:
    """Classes that are not in dimension 1, told from the units of the last layer."""
    softmaxed = any(call.contract.over == "classes" for call in case.calls) or any(
        use.kind == "softmax" and use.dim == 1 for use in case.uses
    )
    if case.classes is None or case.classes < 2 or not softmaxed:
        return
    # A two-dimensional output that was never reshaped has its classes where they belong.
    moves = set(case.producer.through) - graph.IN_PLACE
    if case.output.ndim == 2 and not moves:
        return
    units = case.unit_map
    if units is None or int(units.max()) + 1 != case.classes:
        return
    if _varies_only_along(units, 1):
        return
    homes = [dim for dim in range(units.ndim) if dim != 1 and _varies_only_along(units, dim)]
    if homes:
        fact = f"the last layer's {case.classes} units lie along dimension {homes[0]}, not 1"
        mend = f"output.movedim({homes[0]}, 1)"
    elif bool((units == units.flatten()[0]).all()):
        return
    else:
        column = units.select(1, 0)
        number = len(torch.unique(column))
        if number < 2:
            return
        fact = f"scores for class 0 come from {number} different units of the last layer"
        mend = "Move dimensions with permute or movedim; view and reshape only relabel them."
    yield finding(
        "CLASS_DIM",
        "certain",
        "the scores of the classes are not in dimension 1, where the loss looks for them",
        f"output of shape {ask.shape(case.output)}: {fact}.",
        mend,
        "BCE or CE",
    )


def _varies_only_along(units: Tensor, dim: int) -> bool:
    """Whether each position along ``dim`` belongs to one unit, and each to another."""
    line = units.movedim(dim, 0).flatten(1)
    if line.shape[0] < 2 or not bool((line == line[:, :1]).all()):
        return False
    return len(torch.unique(line[:, 0])) == line.shape[0]


def torn_rows(case: Case) -> Iterator[Finding]:
    """Rows of class scores that a reshape has put together from several places.

    Every element of the output is given its own number, and the numbers in a row of what the loss
    receives tell where its scores come from.
    """
    if not case.simple or case.output.ndim < 3:
        return
    calls = [
        call
        for call in case.calls
        if call.contract.over == "classes"
        and isinstance(call.input, Tensor)
        and call.input.ndim == 2
        and call.input.numel() == case.output.numel()
    ]
    if len(calls) != 1:
        return
    numbered = torch.arange(case.output.numel(), device=case.output.device).double()
    numbered = numbered.reshape(case.output.shape)

    def look() -> Tensor:
        _, seen, _ = record(case.criterion, numbered, case.target.detach().clone())
        (call,) = [one for one in seen.calls if one.contract is calls[0].contract]
        return call.input

    rows, error = case.sandbox.call(look)
    if error is not None or not torch.equal(rows.flatten().sort().values, numbered.flatten()):
        return
    places = torch.unravel_index(rows.long(), case.output.shape)
    mixed = [dim for dim, place in enumerate(places) if bool((place != place[:, :1]).any())]
    if len(mixed) == 1 and case.output.shape[mixed[0]] == rows.shape[1]:
        return
    first = ", ".join(str(tuple(int(p[0, k]) for p in places)) for k in range(2))
    yield finding(
        "CLASS_DIM",
        "certain",
        f"the rows that {calls[0].name} gets are cut across classes and places",
        f"output of shape {ask.shape(case.output)} became {ask.shape(calls[0].input)}; the first "
        f"row begins with the elements {first} of it.",
        f"F.{calls[0].name}(output, target) as they are, or output.movedim(1, -1) before the "
        "reshape",
        "BCE or CE",
    )


RULES = (one_class, wrong_dim, class_order, torn_rows)
