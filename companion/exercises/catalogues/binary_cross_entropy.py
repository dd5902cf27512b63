"""Binary cross-entropy: from probabilities, from logits, and its gradient."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import floats

SUBJECT = "binary cross-entropy"

_SUM = "These are the right losses, added up: the number grows with the batch. Look up `reduction`."
_UNREDUCED = "One right loss per sample: the last step, from many numbers to one, is missing."
_FORGOT_MINUS = (
    "The sign is upside down: the better the prediction, the larger this number. Look up the "
    "negative log-likelihood."
)
_FLIPPED = "The labels are turned around: what is a 1 was treated as a 0. Which part belongs to 1?"


def predict_bce():
    """Five numbers, to two decimals."""
    undecided = 0.69  # -ln 0.5
    sure_and_right = 0.11  # -ln 0.9
    sure_and_wrong = 2.30  # -ln 0.1
    best_for_half = 0.69  # the target's own entropy, ln 2
    slope = -0.50  # sigmoid(0) - 1
    return undecided, sure_and_right, sure_and_wrong, best_for_half, slope


_LN2, _LN10, _RIGHT = math.log(2), math.log(10), -math.log(0.9)

_PREDICT = Prediction(
    name="predict_bce",
    solution=predict_bce,
    questions={
        "undecided": (),
        "sure_and_right": (),
        "sure_and_wrong": (),
        "best_for_half": (),
        "slope": (),
    },
    mistakes=(
        Mistake(
            "absolute",
            "That is the distance between probability and label. The loss is the negative "
            "logarithm of the probability that the true side got.",
            lambda: (0.5, 0.1, 0.9, 0.0, -0.5),
        ),
        Mistake(
            "squared",
            "That is the squared distance between probability and label, the Brier score. "
            "Cross-entropy takes a logarithm.",
            lambda: (0.25, 0.01, 0.81, 0.0, -0.25),
        ),
        Mistake(
            "log10",
            "That is a logarithm to base 10; the losses of torch use the natural one.",
            lambda: (math.log10(2), -math.log10(0.9), 1.0, math.log10(2), -0.5),
        ),
        Mistake(
            "bits",
            "That is the loss in bits, with base 2; the losses of torch use the natural logarithm.",
            lambda: (1.0, -math.log2(0.9), math.log2(10), 1.0, -0.5),
        ),
        Mistake(
            "negative",
            "The logarithm of a probability is negative, and the loss is its negative: it cannot "
            "be below zero.",
            lambda: (-_LN2, math.log(0.9), -_LN10, -_LN2, -0.5),
        ),
        Mistake(
            "label-ignored",
            "The label decides which side counts: with a label of 0 it is the probability of 0.",
            lambda: (_LN2, _RIGHT, _RIGHT, _LN2, -0.5),
        ),
        Mistake(
            "soft-zero",
            "A soft label cannot be met for free: even the best answer pays the entropy of the "
            "label. Put p = 0.5 into both halves of the formula.",
            lambda: (_LN2, _RIGHT, _LN10, 0.0, -0.5),
        ),
        Mistake(
            "slope-upwards",
            "The size is right. Should the logit grow or shrink to lower this loss, and which "
            "sign does the gradient have then?",
            lambda: (_LN2, _RIGHT, _LN10, _LN2, 0.5),
        ),
        Mistake(
            "slope-of-probability",
            "That is the slope with respect to the probability. By the chain rule, the slope of "
            "the sigmoid comes on top.",
            lambda: (_LN2, _RIGHT, _LN10, _LN2, -2.0),
        ),
        Mistake(
            "slope-of-sigmoid",
            "That is the slope of the sigmoid alone, with the sign of the loss. By the chain "
            "rule, the slope of the logarithm comes on top.",
            lambda: (_LN2, _RIGHT, _LN10, _LN2, -0.25),
        ),
    ),
    moral="A hard label asks for all the probability on one side, and the loss says how surprising "
    "the truth was.",
)


def binary_cross_entropy(probs, target):
    """Mean loss: probs in (0, 1), target in [0, 1], one shape -> one number."""
    yes = target * probs.log()
    no = (1 - target) * (1 - probs).log()
    return -(yes + no).mean()


def _terms(p, y, log=torch.log):
    return -(y * log(p) + (1 - y) * log(1 - p))


_BCE = Exercise(
    name="binary_cross_entropy",
    solution=binary_cross_entropy,
    cases={
        "two samples": (floats(0.8, 0.3), floats(1.0, 0.0)),
        "four samples, soft targets": (floats(0.6, 0.1, 0.9, 0.45), floats(0.7, 0.0, 0.2, 1.0)),
        "a column of three": (floats([0.2], [0.7], [0.95]), floats([0.0], [1.0], [0.0])),
        "a square of two by two": (
            floats([0.3, 0.6], [0.85, 0.4]),
            floats([1.0, 0.0], [1.0, 1.0]),
        ),
        "confident and wrong": (floats(1e-9, 0.5, 1e-12), floats(1.0, 1.0, 1.0)),
    },
    shortcuts=("binary_cross_entropy",),
    moral="A hard label switches one half of the formula off, a soft one blends the two; nothing "
    "is scaled or rounded first.",
    mistakes=(
        Mistake("no-minus", _FORGOT_MINUS, lambda p, y: -_terms(p, y).mean()),
        Mistake("sum", _SUM, lambda p, y: _terms(p, y).sum()),
        Mistake("no-reduction", _UNREDUCED, lambda p, y: _terms(p, y)),
        Mistake(
            "positives-only",
            "Samples with label 0 cost nothing here: a model that always says 1 would be perfect. "
            "The other half of the formula is missing.",
            lambda p, y: -(y * p.log()).mean(),
        ),
        Mistake(
            "negatives-only",
            "Samples with label 1 cost nothing here: a model that always says 0 would be perfect. "
            "The other half of the formula is missing.",
            lambda p, y: -((1 - y) * (1 - p).log()).mean(),
        ),
        Mistake("flipped", _FLIPPED, lambda p, y: _terms(p, 1 - y).mean()),
        Mistake(
            "roles-swapped",
            "The logarithm was taken of the label, and of a hard label it is infinite. Which of "
            "the two is the prediction?",
            lambda p, y: _terms(y, p).mean(),
        ),
        Mistake(
            "unweighted",
            "Both halves always count in full, whatever the label. What should switch them on and "
            "off?",
            lambda p, y: -(p.log() + (1 - p).log()).mean(),
        ),
        Mistake(
            "log-of-blend",
            "The two probabilities were blended first and the logarithm was taken last. For hard "
            "labels that is the same, for soft ones it is not: look up expectation.",
            lambda p, y: -(y * p + (1 - y) * (1 - p)).log().mean(),
        ),
        Mistake(
            "log2",
            "That is the loss in bits, with base 2; torch counts in nats.",
            lambda p, y: _terms(p, y, torch.log2).mean(),
        ),
        Mistake(
            "log10",
            "That is a logarithm to base 10. Look up the natural logarithm.",
            lambda p, y: _terms(p, y, torch.log10).mean(),
        ),
        Mistake(
            "eps",
            "A small number inside the logarithm changes each value a little, and a confident "
            "mistake a lot: its cost stops growing.",
            lambda p, y: -(y * (p + 1e-8).log() + (1 - y) * (1 - p + 1e-8).log()).mean(),
        ),
        Mistake(
            "clamp",
            "The probabilities were cut off before the logarithm. Beyond the cut the loss is "
            "constant, and what is constant cannot be learnt from.",
            lambda p, y: _terms(p.clamp(1e-7, 1 - 1e-7), y).mean(),
        ),
        Mistake(
            "sigmoid",
            "The probabilities went through a sigmoid as if they were logits. What goes in here "
            "is a probability already.",
            lambda p, y: F.binary_cross_entropy_with_logits(p, y),
        ),
        Mistake(
            "rounded",
            "The probabilities were rounded to 0 or 1 first, and the logarithm of 0 is infinite. "
            "How sure the model was is just what the loss is about.",
            lambda p, y: _terms(p.round(), y).mean(),
        ),
        Mistake(
            "squared",
            "That is the mean squared error. Cross-entropy has a logarithm in it.",
            lambda p, y: ((p - y) ** 2).mean(),
        ),
    ),
)


def bce_with_logits(logits, target):
    """Mean loss: logits (N,) or (N, 1), target (N,) -> one number, finite."""
    logits = logits.reshape(target.shape)
    losses = logits.clamp(min=0) - logits * target + (-logits.abs()).exp().log1p()
    return losses.mean()


def _flat(fn):
    """A mistake that is not about shapes: give it matching ones."""
    return lambda z, y: fn(z.reshape(y.shape), y)


def _naive(z, y):
    return _terms(z.sigmoid(), y)


_BCE_LOGITS = Exercise(
    name="bce_with_logits",
    solution=bce_with_logits,
    cases={
        "two samples": (floats(1.0, -2.0), floats(1.0, 1.0)),
        "four samples, soft targets": (floats(0.4, -1.3, 2.2, -0.6), floats(0.9, 0.0, 0.3, 1.0)),
        "a column of logits, (3, 1) against (3,)": (
            floats([0.5], [-1.5], [2.5]),
            floats(1.0, 0.0, 0.0),
        ),
        "huge positive logits, right": (floats(1000.0, 900.0), floats(1.0, 1.0)),
        "huge negative logits, right": (floats(-1000.0, -900.0), floats(0.0, 0.0)),
        "huge logits, confident and wrong": (floats(-1000.0, 1000.0, 0.5), floats(1.0, 0.0, 0.0)),
    },
    shortcuts=("binary_cross_entropy_with_logits", "soft_margin_loss"),
    moral="No probability is ever formed, so none can be rounded to 0. A confident mistake costs "
    "its distance from zero, and its gradient is still there.",
    mistakes=(
        Mistake(
            "naive",
            "Right for small logits, NaN or infinite for huge ones: the sigmoid is stored as "
            "exactly 0 or 1, and then a logarithm is asked for. Bring the two together on paper "
            "before you compute: look up log-sigmoid, or softplus.",
            _flat(lambda z, y: _naive(z, y).mean()),
        ),
        Mistake(
            "eps",
            "A small number inside the logarithm hides the infinity and caps what a confident "
            "mistake costs. The formula can be rearranged so that none is needed.",
            _flat(
                lambda z, y: (
                    -(
                        y * (z.sigmoid() + 1e-8).log() + (1 - y) * (1 - z.sigmoid() + 1e-8).log()
                    ).mean()
                )
            ),
        ),
        Mistake(
            "clamped-probs",
            "The probabilities were cut off before the logarithm. A confident mistake costs the "
            "same whatever its size, with no gradient to mend it.",
            _flat(lambda z, y: _terms(z.sigmoid().clamp(1e-7, 1 - 1e-7), y).mean()),
        ),
        Mistake(
            "bce-of-sigmoid",
            "torch's loss on probabilities cuts each logarithm off at -100: finite, and at the cut "
            "without a gradient. The logit never needs to become a probability here.",
            _flat(lambda z, y: F.binary_cross_entropy(z.sigmoid(), y)),
        ),
        Mistake(
            "clamped-logits",
            "The logits were cut off. Beyond the cut the loss no longer grows, and its gradient "
            "is zero.",
            _flat(lambda z, y: F.binary_cross_entropy_with_logits(z.clamp(-30, 30), y)),
        ),
        Mistake(
            "broadcast",
            "Right where the shapes agree; a column of logits against a row of targets became a "
            "square, every logit against every target. Look up broadcasting.",
            lambda z, y: (z.clamp(min=0) - z * y + (-z.abs()).exp().log1p()).mean(),
        ),
        Mistake(
            "no-sigmoid",
            "The logits were treated as probabilities: outside of (0, 1) their logarithm is NaN.",
            _flat(lambda z, y: _terms(z, y).mean()),
        ),
        Mistake(
            "overflow",
            "The algebra is right, but this exponential overflows for a large positive logit. "
            "Which sign keeps an exponent at or below zero for every logit?",
            _flat(lambda z, y: (z.exp().log1p() - z * y).mean()),
        ),
        Mistake(
            "overflow-other-side",
            "The algebra is right, but this exponential overflows for a large negative logit. "
            "Which sign keeps an exponent at or below zero for every logit?",
            _flat(lambda z, y: ((-z).exp().log1p() + (1 - y) * z).mean()),
        ),
        Mistake(
            "target-unused",
            "The target is not used: this is the cost of saying yes when the answer is no.",
            _flat(lambda z, y: F.softplus(z).mean()),
        ),
        Mistake(
            "correction-only",
            "The linear part for positive logits is missing: a confident false alarm costs "
            "nothing.",
            _flat(lambda z, y: ((-z.abs()).exp().log1p() - z * y).mean()),
        ),
        Mistake(
            "linear-only",
            "The straight lines are right, the bend between them is missing: near zero the loss "
            "is a smooth curve. Look up softplus and ReLU.",
            _flat(lambda z, y: (z.clamp(min=0) - z * y).mean()),
        ),
        Mistake(
            "wrong-exponent",
            "The exponent grows with the size of the logit and overflows. It should shrink: only "
            "one sign is wrong.",
            _flat(lambda z, y: (z.clamp(min=0) - z * y + z.abs().exp().log1p()).mean()),
        ),
        Mistake(
            "flipped",
            _FLIPPED,
            _flat(lambda z, y: F.binary_cross_entropy_with_logits(z, 1 - y)),
        ),
        Mistake(
            "double-sigmoid",
            "A sigmoid is in there twice, so the loss can never come near zero. Look up which "
            "functions of torch expect logits.",
            _flat(lambda z, y: F.binary_cross_entropy_with_logits(z.sigmoid(), y)),
        ),
        Mistake(
            "sum",
            _SUM,
            _flat(lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum")),
        ),
        Mistake(
            "no-reduction",
            _UNREDUCED,
            _flat(lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none")),
        ),
        Mistake(
            "no-minus",
            _FORGOT_MINUS,
            _flat(lambda z, y: -F.binary_cross_entropy_with_logits(z, y)),
        ),
        Mistake(
            "where",
            "The value is right, the gradient is NaN: both branches of a `where` are computed, "
            "and zero times the infinity of the branch that is thrown away is NaN on the way "
            "back. Keep every exponent at or below zero in both.",
            _flat(
                lambda z, y: (
                    torch.where(z > 0, z + (-z).exp().log1p(), z.exp().log1p()) - z * y
                ).mean()
            ),
        ),
    ),
)


def bce_gradient(logits, target):
    """Gradient of the mean loss: logits (N,), target (N,) -> (N,)."""
    return (logits.sigmoid() - target) / len(target)


_BCE_GRADIENT = Exercise(
    name="bce_gradient",
    solution=bce_gradient,
    cases={
        "two samples": (floats(0.5, -1.0), floats(1.0, 0.0)),
        "four samples, soft targets": (floats(0.4, -1.3, 2.2, -0.6), floats(0.9, 0.0, 0.3, 1.0)),
        "huge logits, right": (floats(1000.0, -1000.0, 0.2), floats(1.0, 0.0, 1.0)),
        "huge logits, wrong": (floats(-1000.0, 1000.0), floats(1.0, 0.0)),
    },
    gradient=False,
    moral="What the model said minus what was true, shared among the samples. The slope of the "
    "sigmoid cancels against that of the logarithm, so a wrong answer never stops pulling.",
    mistakes=(
        Mistake(
            "no-mean",
            "That is the gradient of the sum. The loss is a mean: what does each sample's share "
            "of it depend on?",
            lambda z, y: z.sigmoid() - y,
        ),
        Mistake(
            "reversed",
            "That points downhill, the way a step of gradient descent goes. The gradient itself "
            "points uphill.",
            lambda z, y: (y - z.sigmoid()) / len(y),
        ),
        Mistake(
            "no-sigmoid",
            "The logit was compared with the label. The label is a probability: what has to "
            "happen to the logit before the two can be subtracted?",
            lambda z, y: (z - y) / len(y),
        ),
        Mistake(
            "sigmoid-slope",
            "The slope of the sigmoid is in there as a factor, as with the squared error: where "
            "the model is sure and wrong, the gradient vanishes. In this loss it cancels: work "
            "the chain rule through on paper.",
            lambda z, y: (z.sigmoid() - y) * z.sigmoid() * (1 - z.sigmoid()) / len(y),
        ),
        Mistake(
            "by-probability",
            "That is the gradient with respect to the probability, and it is infinite or NaN at "
            "the ends. By the chain rule, one factor is still to come.",
            lambda z, y: (z.sigmoid() - y) / (z.sigmoid() * (1 - z.sigmoid())) / len(y),
        ),
        Mistake(
            "rounded",
            "The decision was compared with the label. The gradient depends on how sure the model "
            "was, not only on whether it was right.",
            lambda z, y: (z.sigmoid().round() - y) / len(y),
        ),
        Mistake(
            "reduced",
            "Every logit has a gradient of its own; here they were made one number.",
            lambda z, y: (z.sigmoid() - y).mean(),
        ),
        Mistake(
            "absolute",
            "The sign is lost, and with it the direction in which each logit should move.",
            lambda z, y: (z.sigmoid() - y).abs() / len(y),
        ),
        Mistake(
            "loss",
            "Those are the losses themselves, shared among the samples. Asked for is their slope.",
            lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none") / len(y),
        ),
        Mistake(
            "doubled",
            "There is a factor of 2 in it, as in the slope of a square. The slope of this loss "
            "has none.",
            lambda z, y: 2 * (z.sigmoid() - y) / len(y),
        ),
    ),
)

EXERCISES = (_PREDICT, _BCE, _BCE_GRADIENT, _BCE_LOGITS)
