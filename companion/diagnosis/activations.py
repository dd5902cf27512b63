"""Rules on what made the output and what the loss takes it for."""

import math
from collections.abc import Iterator

from torch import Tensor

from . import graph
from . import values as ask
from .case import Case
from .codes import finding
from .graph import Producer, Use
from .report import Finding
from .trace import Call

_NAMES = {
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sigmoid": "sigmoid",
    "log_sigmoid": "logsigmoid",
    "tanh": "tanh",
    "relu": "ReLU",
    "soft_relu": "a ReLU-like activation",
    "batch_norm": "batch normalisation",
    "layer_norm": "layer normalisation",
    "dropout": "dropout",
    "step": "a step function",
}


_LOSSES = (
    "NllLoss",
    "NllLoss2D",
    "NllLossNd",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
)


def softmax_floor(classes: int) -> float:
    """Return the least that cross-entropy can be when softmax has been applied before it.

    The best scores are 1 for the label and 0 for the others.
    """
    return math.log(math.e + classes - 1) - 1


def largest_prob(classes: int, spread: float) -> float:
    """Return the most that softmax can give a score that exceeds the others by ``spread``."""
    return 1 / (1 + (classes - 1) * math.exp(min(-spread, 700)))  # beyond it exp overflows


def double_activation(case: Case) -> Iterator[Finding]:
    """An activation before a loss that applies its own."""
    for use in case.uses:
        made, twice = use.producer, None
        if use.kind in ("softmax", "sigmoid") and made.bounded:
            twice = _twice(case, use)
        if twice is not None:
            yield twice
    for call in case.calls:
        guess = _probabilities_by_value(case, call)
        if guess is not None:
            yield guess


def _twice(case: Case, use: Use) -> Finding | None:
    made, taker = use.producer, _taker(case, use)
    origin = _origin(made)
    if use.kind == "softmax" and made.kind == "log_softmax":
        if _same_dim(use, made):
            return finding(
                "DOUBLE_ACTIVATION",
                "note",
                "log_softmax is applied twice, which changes nothing",
                f"{origin}; {taker} applies it again, and the log-softmax of a log-softmax is "
                "itself.",
                "Drop one of the two: logits with cross_entropy, or log_softmax with nll_loss.",
                "Cross-entropy",
            )
        return None
    if use.kind == "softmax" and made.kind in ("softmax", "sigmoid"):
        classes = _classes_of(case, use) or 2
        effect = f"no class gets more than {largest_prob(classes, 1):.4f}"
        if _plain(case):
            effect = f"the loss cannot fall below {softmax_floor(classes):.4f}"
        return finding(
            "DOUBLE_ACTIVATION",
            "certain",
            f"{_NAMES[made.kind]} is applied before a loss that applies softmax itself",
            f"{origin}, and {taker} takes its softmax: all scores lie between 0 and 1, so {effect} "
            f"for {classes} classes{case.here}.",
            _drop(made, "output.softmax(dim=1)"),
            "Cross-entropy",
        )
    if use.kind == "softmax" and made.kind == "log_sigmoid":
        return finding(
            "DOUBLE_ACTIVATION",
            "suspicion",
            "logsigmoid is applied before a loss that applies softmax itself",
            f"{origin}, and {taker} takes its softmax: no score can exceed 0.",
            _drop(made, "output.softmax(dim=1)"),
            "Cross-entropy",
        )
    if use.kind == "sigmoid" and made.kind in ("sigmoid", "softmax"):
        yes, no = math.log1p(math.exp(-1)), math.log(2)
        costs = f", so an element costs at least {yes:.4f} where the target is 1, and {no:.4f} "
        costs = costs + "where it is 0" if _plain(case) else ""
        return finding(
            "DOUBLE_ACTIVATION",
            "certain",
            f"{_NAMES[made.kind]} is applied before a loss that applies sigmoid itself",
            f"{origin}, and {taker} takes its sigmoid: of values between 0 and 1 that is between "
            f"0.5000 and 0.7311{costs}{case.here}.",
            _drop(made, "torch.sigmoid(output)"),
            "Binary cross-entropy",
        )
    if use.kind == "sigmoid" and made.kind in ("log_softmax", "log_sigmoid"):
        costs = f", so a target of 1 costs at least {math.log(2):.4f}" if _plain(case) else ""
        return finding(
            "DOUBLE_ACTIVATION",
            "certain",
            f"{_NAMES[made.kind]} is applied before a loss that applies sigmoid itself",
            f"{origin}: no value exceeds 0, and the sigmoid in {taker} turns that into at most "
            f"0.5000{costs}{case.here}.",
            _drop(made, "torch.sigmoid(output)"),
            "Binary cross-entropy",
        )
    return None


def _plain(case: Case) -> bool:
    """Whether the loss is one of torch's own, so that its floor can be named."""
    call = case.pure
    if call is None or "factor" in call.options or call.options.get("reduction") == "sum":
        return False
    weighted = call.options.get("weight") is not None or call.options.get("pos_weight") is not None
    return not weighted and call.name not in ("soft_margin_loss", "multi_margin_loss")


def _probabilities_by_value(case: Case, call: Call) -> Finding | None:
    """Probabilities where logits belong, told from their values alone."""
    given = call.input
    if call.contract.takes != "logits" or not isinstance(given, Tensor):
        return None
    made = graph.producer(given.grad_fn, case.bridge)
    if made.kind not in ("leaf", "other"):
        return None
    dim = ask.class_dim(given)
    if call.contract.over == "classes" and given.ndim:
        classes = given.shape[dim]
        if ask.sums_to_one(given, dim):
            return finding(
                "DOUBLE_ACTIVATION",
                "suspicion",
                f"{call.name} takes logits, and these values look like probabilities",
                f"every row of the {ask.shape(given)} values adds up to 1 and none leaves [0, 1]; "
                f"with such scores {call.name} cannot fall below {softmax_floor(classes):.4f} "
                f"for {classes} classes{case.here}.",
                "Return the logits from the model; output.softmax(dim=1) where you want "
                "probabilities.",
                "Cross-entropy",
            )
    elif call.contract.over == "elements" and given.numel() and made.scale == 1.0:
        low, high = ask.span(given)
        full = given.numel() >= 200 and 0 <= low < 0.1 and 0.9 < high <= 1
        # 1 / (1 + exp(-x)), written by hand
        inverse = made.node is not None and graph.operation(made.node) == "Reciprocal"
        if full or (inverse and low >= 0 and high <= 1):
            return finding(
                "DOUBLE_ACTIVATION",
                "suspicion",
                f"{call.name} takes logits, and these values look like probabilities",
                f"{given.numel()} values fill [{low:.4f}, {high:.4f}] and none leaves [0, 1].",
                "Return the logits from the model; torch.sigmoid(output) where you want "
                "probabilities.",
                "Binary cross-entropy",
            )
    return None


def bounded_logits(case: Case) -> Iterator[Finding]:
    """Logits that cannot take every value: ReLU, tanh, a norm or dropout at the very end."""
    for use in case.uses:
        made = use.producer
        if use.kind not in ("softmax", "sigmoid") or not made.bounded:
            continue
        if made.kind == "relu" and made.shifted:
            continue  # margin - distance is a free score
        if use.kind == "softmax" and graph.is_cosine(made):
            yield _cosine(case, use)
        if made.kind in ("relu", "soft_relu", "tanh", "batch_norm", "layer_norm", "dropout"):
            yield _bounded(case, use)
        elif made.limits is not None:
            yield from _clamped(case, use)
    for call in case.calls:
        given = call.input
        if call.name == "cross_entropy" and isinstance(given, Tensor):
            yield from _one_spread(case, given)


def _one_spread(case: Case, given: Tensor) -> Iterator[Finding]:
    spread = ask.common_spread(given)
    most = 0.0 if spread is None else largest_prob(given.shape[1], spread)
    if 0 < most < 0.99:
        yield finding(
            "BOUNDED_LOGITS",
            "suspicion",
            "the scores of every sample are brought to the same spread, and nothing stretches them",
            f"in all {given.numel() // given.shape[1]} rows a score can exceed the others by at "
            f"most {spread:.4f}, so no probability exceeds {most:.4f}{case.here}.",
            "F.cross_entropy(scale * scores, target), with a scale such as 16",
            "Logits and probabilities",
        )


def _clamped(case: Case, use: Use) -> Iterator[Finding]:
    low, high = use.producer.limits
    if use.kind == "softmax":
        least, most = 0.0, largest_prob(_classes_of(case, use) or 2, high - low)
    else:
        least, most = (largest_prob(2, end) for end in (low, high))
    if most < 0.99 or least > 0.01:
        yield finding(
            "BOUNDED_LOGITS",
            "suspicion",
            "the logits are clamped, and logits should be free",
            f"between {low:g} and {high:g} no probability exceeds {most:.4f}"
            + (f" or falls below {least:.4f}" if least else "")
            + f", and where the clamp holds there is no gradient{case.here}.",
            "Leave the logits as the linear layer gives them.",
            "Logits and probabilities",
        )


def _cosine(case: Case, use: Use) -> Finding:
    classes = _classes_of(case, use) or 2
    most = largest_prob(classes, 2)
    return finding(
        "BOUNDED_LOGITS",
        "suspicion",
        "the scores are cosines, between -1 and 1, and nothing stretches them",
        f"{_origin(use.producer)} with two normalised factors: no probability exceeds {most:.4f} "
        f"for {classes} classes{case.here}.",
        "F.cross_entropy(scale * cosine, target), with a scale such as 16",
        "Logits and probabilities",
    )


def _bounded(case: Case, use: Use) -> Finding:
    made, taker = use.producer, _taker(case, use)
    name, level = _NAMES[made.kind], "suspicion"
    if made.kind == "relu" and use.kind == "sigmoid":
        level = "certain"
        effect = "no logit is below 0, so no probability is below 0.5: the answer is never no"
        if _plain(case):
            effect += f", and a target of 0 costs at least {math.log(2):.4f}"
    elif made.kind in ("relu", "soft_relu"):
        effect = f"{_zeros(case)}the scores are cut off from below, where the gradient ends"
    elif made.kind == "tanh":
        classes, spread = (_classes_of(case, use) or 2, 2) if use.kind == "softmax" else (2, 1)
        most = largest_prob(classes, spread)
        effect = f"with logits between -1 and 1 no probability exceeds {most:.4f}"
    elif made.kind == "dropout":
        effect = f"{_zeros(case)}scores are erased at random, the label's own among them"
    else:
        effect = "every batch is brought to the same spread, whatever the model is sure of"
    return finding(
        "BOUNDED_LOGITS",
        level,
        f"the last step before the loss is {name}, and logits should be free",
        f"{_origin(made)}, and {taker} takes it for logits: {effect}{case.here}.",
        "End the model with the linear layer; move the activation before it.",
        "Logits and probabilities",
    )


def _zeros(case: Case) -> str:
    if not isinstance(case.output, Tensor):
        return ""
    zeros, count = int((case.output == 0).sum()), case.output.numel()
    return f"{zeros} of {count} values are exactly 0; " if zeros else ""


def not_log_probs(case: Case) -> Iterator[Finding]:
    """Something else where the loss wants log-probabilities."""
    for call in case.calls:
        given = call.input
        if call.contract.takes != "log_probs" or not isinstance(given, Tensor):
            continue
        if not given.is_floating_point() or not given.ndim or not given.numel():
            continue
        made = graph.producer(given.grad_fn, case.bridge)
        if made.scale != 1.0:
            continue
        low, high = ask.span(given)
        dims = [ask.class_dim(given)] if call.name == "nll_loss" else range(given.ndim)
        if any(ask.is_log_distribution(given, dim) for dim in dims):
            continue
        # Scores that were meant as logs, but normalised over another dimension: WRONG_DIM.
        if made.kind == "log_softmax":
            continue
        positive = high > 1e-3
        if made.kind in ("softmax", "sigmoid"):
            level, what = "certain", f"{call.name} takes log-probabilities and gets probabilities"
        elif (positive and made.kind != "other") or made.kind in (
            "linear",
            "relu",
            "soft_relu",
            "tanh",
            "batch_norm",
            "log_sigmoid",
        ):
            level, what = "certain", f"{call.name} takes log-probabilities and gets other values"
        elif positive or made.kind == "leaf":
            level, what = "suspicion", f"{call.name} takes log-probabilities, and these look raw"
        else:
            continue
        effect = "the loss has no lower bound"
        if low >= 0 and high <= 1:
            effect = "probabilities without their logarithm"
        total = ask.rows(given, dims[-1]).exp().sum(dims[-1]).mean().item()
        fact = f"{_origin(made)}; " if made.node is not None else ""
        yield finding(
            "NOT_LOG_PROBS",
            level,
            what,
            f"{fact}values from {low:.4g} to {high:.4g}, whose exponentials add up to {total:.4g} "
            f"instead of 1 on average: {effect}{case.here}.",
            _log_mend(call, made),
            "Cross-entropy",
        )


def _log_mend(call: Call, made: Producer) -> str:
    if made.kind == "sigmoid" or made.kind == "log_sigmoid":
        return "Return the logits and use F.cross_entropy(output, target)."
    if call.name == "kl_div":
        return "F.kl_div(output.log_softmax(dim=1), target, reduction='batchmean') on logits"
    if made.kind == "softmax":
        return "F.cross_entropy(logits, target); or log_softmax in place of softmax"
    return "F.cross_entropy(output, target); or F.nll_loss(output.log_softmax(dim=1), target)"


def log_for_probability(case: Case) -> Iterator[Finding]:
    """1 - log p, or 1 - loss, to some power: what a focal loss makes of 1 - p."""
    if case.loss is None or case.loss.grad_fn is None:
        return
    for made in graph.powers(case.loss.grad_fn, case.bridge):
        loss = made.node is not None and graph.operation(made.node) in _LOSSES
        if "Rsub" in made.through and (loss or made.kind in ("log_softmax", "log_sigmoid")):
            what = "a loss" if loss else "a logarithm of probabilities"
            yield finding(
                "CUSTOM_LOSS",
                "suspicion",
                f"{what} stands where a probability is meant, in a power of 1 minus it",
                f"the base of the power comes from {made.name}: 1 - p lies between 0 and 1, and "
                f"this does not{case.here}.",
                "pt = log_p.exp() (or torch.exp(-loss)), then (1 - pt) ** gamma",
                "Cross-entropy",
            )
            return


def logits_for_probs(case: Case) -> Iterator[Finding]:
    """Raw scores where the loss wants probabilities."""
    seen = False
    for call in case.calls:
        given = call.input
        if call.contract.takes != "probs" or not isinstance(given, Tensor) or not given.numel():
            continue
        made = graph.producer(given.grad_fn, case.bridge)
        low, high = ask.span(given)
        outside = low < 0 or high > 1
        raw = made.kind in ("linear", "relu", "soft_relu", "tanh", "batch_norm")
        raw = raw and made.scale == 1.0
        if not (outside or raw or made.kind in ("log_softmax", "log_sigmoid")):
            continue
        seen = True
        yield _raw_scores(case, call.name, made, low, high, "certain" if outside else "suspicion")
    if seen:
        return
    for use in case.uses:
        made = use.producer
        if use.kind != "log" or made.scale != 1.0 or not isinstance(case.output, Tensor):
            continue
        low, high = ask.span(case.output)
        # A positive quantity has a logarithm too; raw scores give NaN, unless they are clamped.
        strained = "Clamp" in " ".join(made.through) or not _finite(case)
        if made.kind in ("linear", "tanh", "leaf") and not made.inside and low < 0 and strained:
            yield _raw_scores(case, "the logarithm in the criterion", made, low, high)
            return
        if made.kind in ("log_softmax", "log_sigmoid"):
            yield _raw_scores(case, "the logarithm in the criterion", made, low, high)
            return


def _finite(case: Case) -> bool:
    return case.loss is not None and bool(case.loss.isfinite().all())


def _raw_scores(
    case: Case, taker: str, made: Producer, low: float, high: float, level: str = "certain"
) -> Finding:
    fact = f"{_origin(made)}; " if made.node is not None else ""
    return finding(
        "LOGITS_FOR_PROBS",
        level,
        f"{taker} takes probabilities and gets raw scores",
        f"{fact}values from {low:.4g} to {high:.4g}, where probabilities lie between 0 and 1"
        f"{case.here}.",
        "F.binary_cross_entropy_with_logits(output, target), or torch.sigmoid(output) before it",
        "Binary cross-entropy",
    )


# Words


def _taker(case: Case, use: Use) -> str:
    """Return the name of what consumes the output."""
    operation = graph.operation(use.node) if use.node is not None else ""
    named = {
        "BinaryCrossEntropyWithLogits": ("binary_cross_entropy_with_logits",),
        "LogSoftmax": ("cross_entropy",),
        "LogSigmoid": ("multilabel_soft_margin_loss",),
    }.get(operation, ())
    for call in case.calls:
        if call.name in named:
            return call.name
    if use.node is None:
        return f"the criterion ({case.calls[-1].name}, by its values)"
    return {"softmax": "the criterion's softmax", "sigmoid": "the criterion's sigmoid"}.get(
        use.kind, "the criterion"
    )


def _origin(made: Producer) -> str:
    """Return what made the values, as the graph tells it."""
    name = _NAMES.get(made.kind)
    if name is None:
        name = "a linear layer" if made.kind == "linear" else "an operation"
    who = "inside the criterion " if made.inside else ""
    node = f" ({made.name})" if made.name else ""
    return f"{who}the values come from {name}{node}"


def _drop(made: Producer, instead: str) -> str:
    if made.inside:
        return f"Drop the {_NAMES[made.kind]} in the criterion."
    return f"Return the logits from the model; {instead} where you want probabilities."


def _same_dim(use: Use, made: Producer) -> bool:
    first, second = use.dim, graph.saved(made.node, "dim")
    if first is None or second is None or set(made.through) - graph.IN_PLACE:
        return True
    result = graph.saved(use.node, "result")
    ndim = result.ndim if isinstance(result, Tensor) else 2
    return first % ndim == second % ndim


def _classes_of(case: Case, use: Use) -> int | None:
    result = graph.saved(use.node, "result")
    if isinstance(result, Tensor) and isinstance(use.dim, int):
        return result.shape[use.dim]
    if isinstance(case.output, Tensor) and case.output.ndim > 1:
        return case.output.shape[1]
    return None


RULES = (
    double_activation,
    bounded_logits,
    not_log_probs,
    log_for_probability,
    logits_for_probs,
)
