"""NaN, infinity and zero: where they come from, and code that survives."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._answers import variations
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "numbers that survive"

_INF, _NAN = math.inf, math.nan
_HALF, _BRAIN = torch.float16, torch.bfloat16


def predict_nan():
    """Six answers, each of them "nan", "inf", "-inf", "0" or "other"."""
    log_0 = "-inf"
    zero_log_0 = "nan"  # 0 times infinity is undefined
    exp_1000 = "inf"  # overflow, in float64 as well
    inf_minus_inf = "nan"
    half_1e_8 = "0"  # float16 has nothing so small
    mean_of_none = "nan"  # 0 divided by 0
    return log_0, zero_log_0, exp_1000, inf_minus_inf, half_1e_8, mean_of_none


_OPTIONS = ("nan", "inf", "-inf", "0", "other")
_QUESTIONS = dict.fromkeys(
    (
        "log_0",
        "zero_log_0",
        "exp_1000",
        "inf_minus_inf",
        "half_1e_8",
        "mean_of_none",
    ),
    _OPTIONS,
)

_but = variations(dict(zip(_QUESTIONS, predict_nan(), strict=True)))

_PREDICT = Prediction(
    name="predict_nan",
    solution=predict_nan,
    questions=_QUESTIONS,
    mistakes=(
        Mistake(
            "log-zero-nan",
            "NaN is for what has no answer. The logarithm has a limit at zero: which?",
            _but(log_0="nan"),
        ),
        Mistake(
            "log-zero-inf",
            "The size is right. Draw the logarithm: where does it go as its argument shrinks?",
            _but(log_0="inf"),
        ),
        Mistake(
            "zero-wins",
            "In the definition of the entropy that product counts as 0, and floating-point "
            "arithmetic does not know it: what is zero times infinity?",
            _but(zero_log_0="0"),
        ),
        Mistake(
            "infinity-wins",
            "Zero pulls one way and infinity the other: the product is undefined. What does a "
            "float become then?",
            _but(zero_log_0="-inf"),
        ),
        Mistake(
            "exp-finite",
            "A float64 ends near 1.8e308, a little above the exponential of 709.",
            _but(exp_1000="other"),
        ),
        Mistake(
            "exp-nan",
            "An overflow is not undefined: it is just too large. Which value stands for that?",
            _but(exp_1000="nan"),
        ),
        Mistake(
            "infinities-cancel",
            "Two infinities need not be equally large: their difference is undefined.",
            _but(inf_minus_inf="0"),
        ),
        Mistake(
            "half-keeps-eps",
            "The smallest positive float16 is near 6e-8. What is rounded to it, and what to the "
            "next value below?",
            _but(half_1e_8="other"),
        ),
        Mistake(
            "mean-zero",
            "The sum of nothing is 0. And what is it divided by?",
            _but(mean_of_none="0"),
        ),
    ),
    moral="Infinity comes from something too large, NaN from a question without an answer: two "
    "infinities that meet, or an infinity and a zero.",
)


def bad_rows(inputs):
    """Indices of rows with a NaN or infinity: inputs (N, H) -> int64 (M,)."""
    fine = inputs.isfinite().all(dim=1)
    return (~fine).nonzero().squeeze(1)


_BAD_ROWS = Exercise(
    name="bad_rows",
    solution=bad_rows,
    cases={
        "two rows, one NaN": (floats([1.0, 2.0], [_NAN, 0.0]),),
        "four rows, a NaN and infinities": (
            floats([_INF, 1.0, 2.0], [0.0, 0.5, 1.0], [3.0, -_INF, _NAN], [1.0, 1.0, _NAN]),
        ),
        "a square": (floats([1.0, -_INF, 2.0], [0.0, 3.0, 4.0], [5.0, 6.0, 7.0]),),
        "a row of nothing but NaN": (floats([_NAN, _NAN], [1.0, 1.0]),),
        "large but finite": (floats([1e308, 1e308], [_INF, -_INF]),),
        "nothing to find": (floats([1.0, 2.0], [3.0, 4.0]),),
    },
    gradient=False,
    moral="The first question to ask when a loss is NaN: was it there before the model? One bad "
    "row is enough, and an index finds it again.",
    mistakes=(
        Mistake(
            "nan-only",
            "Infinities go unnoticed. They become NaN one step later: look for a test that finds "
            "both.",
            lambda x: x.isnan().any(1).nonzero().squeeze(1),
        ),
        Mistake(
            "inf-only",
            "Infinities are found, NaN is not.",
            lambda x: x.isinf().any(1).nonzero().squeeze(1),
        ),
        Mistake(
            "whole-rows",
            "A row is found only where all of it is bad. A single bad value is enough.",
            lambda x: (~x.isfinite()).all(1).nonzero().squeeze(1),
        ),
        Mistake(
            "columns",
            "Those are the bad columns. Which dimension has to be gone through to judge a row?",
            lambda x: (~x.isfinite()).any(0).nonzero().squeeze(1),
        ),
        Mistake(
            "mask",
            "That says for every row whether it is bad. Asked for are the positions of those that "
            "are.",
            lambda x: (~x.isfinite()).any(1),
        ),
        Mistake(
            "good-rows",
            "Those are the rows without a fault.",
            lambda x: x.isfinite().all(1).nonzero().squeeze(1),
        ),
        Mistake(
            "count",
            "That is how many rows are bad; which ones is asked for.",
            lambda x: (~x.isfinite()).any(1).sum(),
        ),
        Mistake(
            "per-value",
            "A row with two bad values appears twice. It is to be judged as a whole first.",
            lambda x: (~x.isfinite()).nonzero()[:, 0],
        ),
        Mistake(
            "coordinates",
            "Those are row and column of every bad value. A row is to be judged as a whole.",
            lambda x: (~x.isfinite()).nonzero(),
        ),
        Mistake(
            "column-of-indices",
            "The indices are right, and stand in a column: look up the shape of what `nonzero` "
            "returns.",
            lambda x: (~x.isfinite()).any(1).nonzero(),
        ),
        Mistake(
            "row-sums",
            "The sum of a row was tested. It can overflow although every value is fine.",
            lambda x: (~x.sum(1).isfinite()).nonzero().squeeze(1),
        ),
        Mistake(
            "compared-with-nan",
            "Nothing is equal to NaN, not even NaN: a comparison with it finds nothing.",
            lambda x: (x == _NAN).any(1).nonzero().squeeze(1),
        ),
    ),
)


def entropy(logits):
    """Entropy of the softmax, in nats: logits (N, K) -> (N,), always finite."""
    log_probs = logits.log_softmax(dim=1)
    return -(log_probs.exp() * log_probs).sum(dim=1)


def _plogp(z):
    probs = z.softmax(1)
    return probs * probs.log()


_ENTROPY = Exercise(
    name="entropy",
    solution=entropy,
    cases={
        "one row, two classes": (floats([0.0, 1.0]),),
        "two rows, three classes": (floats([2.0, 0.5, -1.0], [0.1, 1.7, 0.4]),),
        "a square batch": (floats([1.5, -0.4], [0.3, 0.8]),),
        "huge logits": (floats([1000.0, -1000.0, 0.0], [-1000.0, -1000.0, 900.0]),),
        "huge logits, undecided": (floats([1000.0, 1000.0], [-1000.0, -1000.0]),),
    },
    moral="A probability may underflow to 0 while its logarithm is an ordinary number, and their "
    "product is then 0, as it should be.",
    mistakes=(
        Mistake(
            "log-of-softmax",
            "Right for small logits. Where a probability is stored as 0, its logarithm is "
            "infinite and the product with 0 is NaN. Keep the logarithms: look up `log_softmax`.",
            lambda z: -_plogp(z).sum(1),
        ),
        Mistake(
            "eps",
            "A small number in the logarithm prevents the NaN, and shifts all other values a "
            "little. None is needed when the logarithms are computed from the logits.",
            lambda z: -(z.softmax(1) * (z.softmax(1) + 1e-8).log()).sum(1),
        ),
        Mistake(
            "nan-to-num",
            "The value is right, the gradient is NaN: what is replaced going forward is still "
            "multiplied going backward. Do not mend the NaN, avoid it.",
            lambda z: -_plogp(z).nan_to_num(0.0).sum(1),
        ),
        Mistake(
            "naive-softmax",
            "The exponential overflows before anything can be normalised. Look up the shift "
            "inside a softmax.",
            lambda z: -(z.exp() / z.exp().sum(1, keepdim=True) * z.log_softmax(1)).sum(1),
        ),
        Mistake(
            "no-minus",
            "The sign is upside down: entropy is not negative.",
            lambda z: (z.softmax(1) * z.log_softmax(1)).sum(1),
        ),
        Mistake(
            "mean-over-classes",
            "The classes were averaged. The probabilities are the weights already: nothing is "
            "left to divide by.",
            lambda z: -(z.softmax(1) * z.log_softmax(1)).mean(1),
        ),
        Mistake(
            "over-the-batch",
            "The softmax ran down the batch. Which dimension holds the classes?",
            lambda z: -(z.softmax(0) * z.log_softmax(0)).sum(1),
        ),
        Mistake(
            "reduced",
            "That is the mean over the batch; one entropy for each row is asked for.",
            lambda z: -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(),
        ),
        Mistake(
            "bits",
            "That is the entropy in bits; the task asks for nats, with the natural logarithm.",
            lambda z: -(z.softmax(1) * z.log_softmax(1)).sum(1) / math.log(2),
        ),
        Mistake(
            "surprise",
            "The surprises were added up without their weights. How often does each of them "
            "happen?",
            lambda z: -z.log_softmax(1).sum(1),
        ),
        Mistake(
            "log-prob-of-log-prob",
            "The logits themselves were weighted. What has to be subtracted from them to make "
            "them logarithms of probabilities?",
            lambda z: -(z.softmax(1) * z).sum(1),
        ),
        Mistake(
            "clamped",
            "The probabilities were clamped, and so every certain row got a little entropy, and "
            "no gradient. Look up `log_softmax`.",
            lambda z: -(z.softmax(1).clamp(min=1e-7) * z.softmax(1).clamp(min=1e-7).log()).sum(1),
        ),
    ),
)


def ignoring_cross_entropy(logits, target, ignore_index):
    """Mean over the rows that are not ignored; 0 if there are none."""
    kept = target != ignore_index
    safe_target = target.where(kept, 0)
    losses = -logits.log_softmax(dim=1)[torch.arange(len(target)), safe_target]
    return (losses * kept).sum() / kept.sum().clamp(min=1)


_ROWS = floats([2.0, 0.5, -1.0], [0.1, 1.7, 0.4], [-0.6, 0.9, 1.2], [1.1, -0.3, 0.0])


def _all_losses(z, t, i):
    return F.cross_entropy(z, t.where(t != i, 0), reduction="none")


def _kept_sum(z, t, i):
    return F.cross_entropy(z, t, ignore_index=i, reduction="sum")


_IGNORING = Exercise(
    name="ignoring_cross_entropy",
    solution=ignoring_cross_entropy,
    cases={
        "two rows, one ignored": (floats([1.0, 0.0], [0.5, 2.0]), classes(1, -100), -100),
        "four rows, two ignored": (_ROWS, classes(2, -1, 0, -1), -1),
        "a square batch, a class that is ignored": (_ROWS[:3], classes(0, 1, 0), 0),
        "a large ignore index": (_ROWS, classes(255, 1, 255, 0), 255),
        "nothing ignored": (_ROWS, classes(2, 1, 0, 0), -100),
        "all ignored": (_ROWS[:2], classes(-100, -100), -100),
    },
    moral="torch gives NaN when nothing is left to average, and one such batch ruins the weights. "
    "A loss of 0 with a gradient of 0 lets training go on.",
    mistakes=(
        Mistake(
            "nan",
            "Right, until every row is ignored: 0 divided by 0 is NaN. That is torch's own "
            "behaviour; the task asks for another.",
            lambda z, t, i: F.cross_entropy(z, t, ignore_index=i),
        ),
        Mistake(
            "nan-to-num",
            "The value is right, but when every row is ignored the gradient is NaN: what is "
            "replaced afterwards has already gone wrong. Keep the division from failing instead.",
            lambda z, t, i: ((_all_losses(z, t, i) * (t != i)).sum() / (t != i).sum()).nan_to_num(
                0.0
            ),
        ),
        Mistake(
            "divided-by-rows",
            "The right losses are added up, and divided by all rows. The ignored ones should not "
            "be in the mean at all.",
            lambda z, t, i: _kept_sum(z, t, i) / len(t),
        ),
        Mistake(
            "sum",
            "The losses of the rows that count were added up; their mean is asked for.",
            _kept_sum,
        ),
        Mistake(
            "no-reduction",
            "There is one loss per row, and 0 for those ignored: the mean is still to come.",
            lambda z, t, i: F.cross_entropy(z, t, ignore_index=i, reduction="none"),
        ),
        Mistake(
            "kept-only",
            "There is one loss for each row that counts: the mean is still to come.",
            lambda z, t, i: F.cross_entropy(z[t != i], t[t != i], reduction="none"),
        ),
        Mistake(
            "first-class",
            "The ignored rows were counted as samples of class 0. A stand-in for the index has to "
            "be masked out of the loss afterwards.",
            lambda z, t, i: F.cross_entropy(z, t.where(t != i, 0)),
        ),
        Mistake(
            "blank-logits",
            "The logits of the ignored rows were set to 0. A row of equal logits is no row "
            "without a loss: it costs ln K.",
            lambda z, t, i: F.cross_entropy(z * (t != i)[:, None], t.where(t != i, 0)),
        ),
        Mistake(
            "default-only",
            "Only torch's default, -100, is ignored. The index is an argument here.",
            lambda z, t, i: F.cross_entropy(z, t) if (t != -100).any() else z.sum() * 0,
        ),
        Mistake(
            "default-only-nan",
            "Only torch's default, -100, is ignored, and a batch of nothing else gives NaN. The "
            "index is an argument here.",
            lambda z, t, i: F.cross_entropy(z, t),
        ),
        Mistake(
            "no-minus",
            "The sign is upside down: the better the prediction, the larger this number.",
            lambda z, t, i: -_kept_sum(z, t, i) / (t != i).sum().clamp(min=1),
        ),
        Mistake(
            "plus-one",
            "The number of rows was made one larger to avoid a division by zero, and so every "
            "mean is too small. Only the case of none needs help.",
            lambda z, t, i: _kept_sum(z, t, i) / ((t != i).sum() + 1),
        ),
    ),
)


def half_safe_bce(logits, target):
    """Mean loss: logits (N,), target (N,), half or float32 -> float32."""
    logits, target = logits.float(), target.float()
    losses = logits.clamp(min=0) - logits * target + (-logits.abs()).exp().log1p()
    return losses.mean()


def _bce(z, y, **options):
    return F.binary_cross_entropy_with_logits(z, y, **options)


_HALF_SAFE = Exercise(
    name="half_safe_bce",
    solution=half_safe_bce,
    cases={
        "three rows, float16": (
            floats(0.3, -1.7, 2.2, dtype=_HALF),
            floats(1.0, 0.0, 0.0, dtype=_HALF),
        ),
        "three rows, bfloat16": (
            floats(-0.6, 1.3, 3.1, dtype=_BRAIN),
            floats(1.0, 1.0, 0.0, dtype=_BRAIN),
        ),
        "two rows, float32": (
            floats(0.9, -0.4, dtype=torch.float32),
            floats(0.3, 1.0, dtype=torch.float32),
        ),
        "float16, huge and right": (
            floats(1000.0, -1000.0, 12.0, dtype=_HALF),
            floats(1.0, 0.0, 1.0, dtype=_HALF),
        ),
        "float16, huge and wrong": (
            floats(-1000.0, 1000.0, 0.1, dtype=_HALF),
            floats(1.0, 0.0, 1.0, dtype=_HALF),
        ),
        "float16, a hundred rows, huge and wrong": (
            torch.full((100,), 1000.0, dtype=_HALF),
            torch.zeros(100, dtype=_HALF),
        ),
    },
    shortcuts=("binary_cross_entropy_with_logits",),
    moral="Half precision is for storing and multiplying. A loss adds up and takes logarithms, and "
    "does that in float32, which is also what autocast does.",
    mistakes=(
        Mistake(
            "half-throughout",
            "The result has the precision of what came in, logits or target: three digits or "
            "less. A float32 number is asked for: look up what autocast does with losses.",
            lambda z, y: _bce(z, y),
        ),
        Mistake(
            "converted-last",
            "The result is float32, but it was computed in half precision and converted "
            "afterwards: the digits are lost by then.",
            lambda z, y: _bce(z, y).float(),
        ),
        Mistake(
            "losses-converted",
            "The mean is taken in float32, and the losses were computed in half precision before. "
            "The conversion has to come earlier.",
            lambda z, y: _bce(z, y, reduction="none").float().mean(),
        ),
        Mistake(
            "half-sum",
            "The losses were added up in half precision, where everything beyond 65504 is "
            "infinite.",
            lambda z, y: (_bce(z, y, reduction="none").sum() / len(y)).float(),
        ),
        Mistake(
            "naive",
            "In float32, but by way of a sigmoid that is stored as exactly 0 or 1 when the logit "
            "is huge. Look up log-sigmoid.",
            lambda z, y: (
                -(
                    y.float() * z.float().sigmoid().log()
                    + (1 - y.float()) * (1 - z.float().sigmoid()).log()
                ).mean()
            ),
        ),
        Mistake(
            "eps",
            "A small number in the logarithm caps what a confident mistake costs. Computed from "
            "the logits, no such number is needed.",
            lambda z, y: (
                -(
                    y.float() * (z.float().sigmoid() + 1e-7).log()
                    + (1 - y.float()) * (1 - z.float().sigmoid() + 1e-7).log()
                ).mean()
            ),
        ),
        Mistake(
            "clamped-bce",
            "The loss on probabilities cuts its logarithms off at -100. Look up the form with "
            "logits.",
            lambda z, y: F.binary_cross_entropy(z.float().sigmoid(), y.float()),
        ),
        Mistake(
            "half-sigmoid",
            "The sigmoid was taken in half precision, where it is exactly 1 from a logit of about "
            "9 on. Convert before the first step, not after it.",
            lambda z, y: F.binary_cross_entropy(z.sigmoid().float(), y.float()),
        ),
        Mistake(
            "double",
            "That is float64. The digits are right; float32 is what is asked for, and enough.",
            lambda z, y: _bce(z.double(), y.double()),
        ),
        Mistake(
            "sum",
            "These are the right losses, added up; their mean is asked for.",
            lambda z, y: _bce(z.float(), y.float(), reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            "One right loss per row: the last step is missing.",
            lambda z, y: _bce(z.float(), y.float(), reduction="none"),
        ),
        Mistake(
            "clamped-logits",
            "The logits were cut off so that nothing can go wrong; beyond the cut, nothing is "
            "learnt.",
            lambda z, y: _bce(z.float().clamp(-30, 30), y.float()),
        ),
    ),
)

EXERCISES = (_PREDICT, _BAD_ROWS, _ENTROPY, _IGNORING, _HALF_SAFE)
