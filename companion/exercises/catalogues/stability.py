"""NaN, infinity and zero: where they come from, and code that survives."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOSS
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import bce
from companion.exercises.catalogues._kinds import HUGE, batches, classes, floats, samples, tables

SUBJECT = "numbers that survive"


_INF, _NAN = math.inf, math.nan


_HALF, _BRAIN = torch.float16, torch.bfloat16


@prediction(
    """
### Predict: NaN, infinity or zero?

Before you run anything, say "nan", "inf", "-inf", "0" or "other" for

- the logarithm of 0 (`log_0`)
- 0 times the logarithm of 0 (`zero_log_0`)
- the exponential of 1000 in float64 (`exp_1000`)
- infinity minus infinity (`inf_minus_inf`)
- 1e-8 as a float16 (`half_1e_8`)
- `CrossEntropyLoss` of a batch in which every target is ignored (`mean_of_none`)

Hint: Infinity is an answer that is too large. NaN is a question without an answer.

Hint: Which of them pit two things against each other that pull in different directions?

Hint: Zero against infinity, infinity against infinity, and 0 divided by 0 have no answer. The
smallest positive float16 is about 6e-8.

Moral: Infinity comes from something too large, NaN from a question without an answer: two
infinities that meet, or an infinity and a zero.

- log-zero-nan: NaN is for what has no answer. The logarithm has a limit at zero: which?
- log-zero-inf: The size is right. Draw the logarithm: where does it go as its argument shrinks?
- zero-wins: In the definition of the entropy that product counts as 0, and floating-point
  arithmetic does not know it: what is zero times infinity?
- infinity-wins: Zero pulls one way and infinity the other: the product is undefined. What does a
  float become then?
- exp-finite: A float64 ends near 1.8e308, a little above the exponential of 709.
- exp-nan: An overflow is not undefined: it is just too large. Which value stands for that?
- infinities-cancel: Two infinities need not be equally large: their difference is undefined.
- half-keeps-eps: The smallest positive float16 is near 6e-8. What is rounded to it, and what to the
  next value below?
- mean-zero: The sum of nothing is 0. And what is it divided by?
""",
    options={
        "log_0": ("nan", "inf", "-inf", "0", "other"),
        "zero_log_0": ("nan", "inf", "-inf", "0", "other"),
        "exp_1000": ("nan", "inf", "-inf", "0", "other"),
        "inf_minus_inf": ("nan", "inf", "-inf", "0", "other"),
        "half_1e_8": ("nan", "inf", "-inf", "0", "other"),
        "mean_of_none": ("nan", "inf", "-inf", "0", "other"),
    },
    mistakes={
        "log-zero-nan": {"log_0": "nan"},
        "log-zero-inf": {"log_0": "inf"},
        "zero-wins": {"zero_log_0": "0"},
        "infinity-wins": {"zero_log_0": "-inf"},
        "exp-finite": {"exp_1000": "other"},
        "exp-nan": {"exp_1000": "nan"},
        "infinities-cancel": {"inf_minus_inf": "0"},
        "half-keeps-eps": {"half_1e_8": "other"},
        "mean-zero": {"mean_of_none": "0"},
    },
    wrong=(
        (lambda: ("nan",) * 6, "log_0: NaN is for what has no answer"),
        (lambda: ("-inf", "nan", "inf", "nan", "other", "0"), "4 of 6 hold"),
        (lambda: ("-inf", "nan", "inf", "nan", "zero", "nan"), "half_1e_8: choose one of"),
    ),
)
def predict_nan():
    """Six answers, each of them "nan", "inf", "-inf", "0" or "other"."""
    log_0 = "-inf"
    zero_log_0 = "nan"  # 0 times infinity is undefined
    exp_1000 = "inf"  # overflow, in float64 as well
    inf_minus_inf = "nan"
    half_1e_8 = "0"  # float16 has nothing so small
    mean_of_none = "nan"  # 0 divided by 0
    return log_0, zero_log_0, exp_1000, inf_minus_inf, half_1e_8, mean_of_none


@function(
    """
### Was it there before the model?

Inputs (N, H) go in; the indices of the rows that hold a NaN or an infinity come out, int64, (M,),
in order, each once. Two lines.

Hint: One bad value makes a row bad. Test the values, judge the rows, list the positions.

Hint: A mask of (N, H), then one verdict per row, (N,). Positions of True come out in a shape of
their own: look at it.

Hint: `isfinite()` finds both kinds at once; `all(dim=1)`; `nonzero()` of its opposite is (M, 1).

Moral: The first question to ask when a loss is NaN: was it there before the model? One bad row is
enough, and an index finds it again.

- nan-only: Infinities go unnoticed. They become NaN one step later: look for a test that finds
  both.
- inf-only: Infinities are found, NaN is not.
- whole-rows: A row is found only where all of it is bad. A single bad value is enough.
- columns: Those are the bad columns. Which dimension has to be gone through to judge a row?
- mask: That says for every row whether it is bad. Asked for are the positions of those that are.
- good-rows: Those are the rows without a fault.
- count: That is how many rows are bad; which ones is asked for.
- per-value: A row with two bad values appears twice. It is to be judged as a whole first.
- coordinates: Those are row and column of every bad value. A row is to be judged as a whole.
- row-sums: The sum of a row was tested. It can overflow although every value is fine.
- compared-with-nan: Nothing is equal to NaN, not even NaN: a comparison with it finds nothing.
""",
    cases={
        "two rows, one NaN": (floats([1.0, 2.0], [_NAN, 0.0]),),
        "four rows, a NaN and infinities": (
            floats([_INF, 1.0, 2.0], [0.0, 0.5, 1.0], [3.0, -_INF, _NAN], [1.0, 1.0, _NAN]),
        ),
        "a square": (floats([1.0, -_INF, 2.0], [0.0, 3.0, 4.0], [5.0, 6.0, 7.0]),),
        "a row of nothing but NaN": (floats([_NAN, _NAN], [1.0, 1.0]),),
        "large but finite": (floats([1e308, 1e308], [_INF, -_INF]),),
        "one row": (floats([0.0, _INF, -_INF]),),
        "nothing to find": (floats([1.0, 2.0], [3.0, 4.0]),),
    },
    mistakes={
        "nan-only": lambda x: x.isnan().any(1).nonzero().squeeze(1),
        "inf-only": lambda x: x.isinf().any(1).nonzero().squeeze(1),
        "whole-rows": lambda x: (~x.isfinite()).all(1).nonzero().squeeze(1),
        "columns": lambda x: (~x.isfinite()).any(0).nonzero().squeeze(1),
        "mask": lambda x: (~x.isfinite()).any(1),
        "good-rows": lambda x: x.isfinite().all(1).nonzero().squeeze(1),
        "count": lambda x: (~x.isfinite()).any(1).sum(),
        "per-value": lambda x: (~x.isfinite()).nonzero()[:, 0],
        "coordinates": lambda x: (~x.isfinite()).nonzero(),
        "row-sums": lambda x: (~x.sum(1).isfinite()).nonzero().squeeze(1),
        "compared-with-nan": lambda x: (x == _NAN).any(1).nonzero().squeeze(1),
    },
    right=(
        lambda x: torch.where(~x.isfinite().all(1))[0],
        lambda x: (~x.isfinite()).any(1).nonzero().flatten(),
        lambda x: torch.arange(len(x))[(x.isnan() | x.isinf()).any(dim=1)],
    ),
    wrong=(
        (lambda x: x != x, "A comparison gives True and False"),
        (lambda x: torch.where(~x.isfinite().all(1)), "has to become one tensor again"),
        (lambda x: (~x.isfinite()).nonzero()[:, 1], "expected (3,)"),
        (lambda x: (~x.isfinite().all(1)).nonzero().squeeze(), "has lost or gained a dimension"),
    ),
)
def bad_rows(inputs):
    """Indices of rows with a NaN or infinity: inputs (N, H) -> int64 (M,)."""
    fine = inputs.isfinite().all(dim=1)
    return (~fine).nonzero().squeeze(1)


def _plogp(z):
    probs = z.softmax(1)
    return probs * probs.log()


@function(
    r"""
### Zero times infinity

Write the entropy of the softmax, $-\sum_k p_k \ln p_k$: logits (N, K) in, (N,) out. It must be
finite, with a finite gradient, for logits of ±1000. Two lines.

Hint: Where does the NaN come from, if you write the formula down as it is? Which of the two factors
is in trouble?

Hint: The logarithm of a probability can be had from the logits without going through the
probability: it is finite even where the probability is stored as 0.

Hint: Begin with `log_softmax(dim=1)`; the probabilities are its exponential.

Moral: A probability may underflow to 0 while its logarithm is an ordinary number, and their product
is then 0, as it should be.

- log-of-softmax: Right for small logits. Where a probability is stored as 0, its logarithm is
  infinite and the product with 0 is NaN. Keep the logarithms: look up `log_softmax`.
- eps: A small number in the logarithm prevents the NaN, and shifts all other values a little. None
  is needed when the logarithms are computed from the logits.
- nan-to-num: The value is right, the gradient is NaN: what is replaced going forward is still
  multiplied going backward. Do not repair the NaN, avoid it.
- naive-softmax: The exponential overflows before anything can be normalised. Look up the shift
  inside a softmax.
- mean-over-classes: The classes were averaged. The probabilities are the weights already: nothing
  is left to divide by.
- surprise: The surprises were added up without their weights. How often does each of them happen?
- log-prob-of-log-prob: The logits themselves were weighted. What has to be subtracted from them to
  make them logarithms of probabilities?
- clamped: The probabilities were clamped, and so every certain row got a little entropy, and no
  gradient. Look up `log_softmax`.
""",
    cases=tables(),
    generic=("no-minus", "log2", "log10", "over-the-batch"),
    gradient=("logits",),
    mistakes={
        "log-of-softmax": lambda z: -_plogp(z).sum(1),
        "eps": lambda z: -(z.softmax(1) * (z.softmax(1) + 1e-8).log()).sum(1),
        "nan-to-num": lambda z: -_plogp(z).nan_to_num(0.0).sum(1),
        "naive-softmax": lambda z: (
            -(z.exp() / z.exp().sum(1, keepdim=True) * z.log_softmax(1)).sum(1)
        ),
        "mean-over-classes": lambda z: -(z.softmax(1) * z.log_softmax(1)).mean(1),
        "surprise": lambda z: -z.log_softmax(1).sum(1),
        "log-prob-of-log-prob": lambda z: -(z.softmax(1) * z).sum(1),
        "clamped": lambda z: (
            -(z.softmax(1).clamp(min=1e-7) * z.softmax(1).clamp(min=1e-7).log()).sum(1)
        ),
    },
    right=(
        lambda z: F.cross_entropy(z, z.softmax(1), reduction="none"),
        lambda z: -torch.einsum("nk,nk->n", z.softmax(1), z.log_softmax(1)),
        lambda z: z.logsumexp(1) - (z.softmax(1) * z).sum(1),
        lambda z: -torch.stack([row.softmax(0) @ row.log_softmax(0) for row in z]),
    ),
    wrong=(
        (lambda z: F.cross_entropy(z, z.softmax(1), reduction="none").detach(), "was something"),
        (lambda z: z.softmax(1).square().sum(1), "one row, two classes"),
        (lambda z: z.log_softmax(1).exp().sum(), "everything was reduced to one number"),
    ),
)
def entropy(logits):
    """Entropy of the softmax, in nats: logits (N, K) -> (N,), always finite."""
    log_probs = logits.log_softmax(dim=1)
    return -(log_probs.exp() * log_probs).sum(dim=1)


_ROWS = floats([2.0, 0.5, -1.0], [0.1, 1.7, 0.4], [-0.6, 0.9, 1.2], [1.1, -0.3, 0.0])


def _all_losses(z, t, i):
    return F.cross_entropy(z, t.where(t != i, 0), reduction="none")


def _kept_sum(z, t, i):
    return F.cross_entropy(z, t, ignore_index=i, reduction="sum")


def _ignoring(logits, target, ignore_index):
    if (target == ignore_index).all():
        return 0 * logits.sum()
    return F.cross_entropy(logits, target, ignore_index=ignore_index)


def _constant_for_none(logits, target, ignore_index):
    kept = target != ignore_index
    if not kept.any():
        return torch.tensor(0.0)
    return F.cross_entropy(logits[kept], target[kept])


@function(
    """
### A mean over nothing

Logits (N, K), class indices (N,) and the index to be ignored go in; the mean over the rows that are
not ignored comes out. If there are none, the answer is 0, with a gradient of 0, where torch gives
NaN. Four lines.

Hint: Two things can go wrong: looking up a class that does not exist, and dividing by a count of
zero. Prevent each of them.

Hint: A mask of the rows that count, (N,). Give the others any valid class, compute all N losses,
and let the mask take out what should not count.

Hint: `target.where(kept, 0)` is a target that can always be looked up; `kept.sum().clamp(min=1)` is
a count that can always be divided by.

Moral: torch gives NaN when nothing is left to average, and one such batch ruins the weights. A loss
of 0 with a gradient of 0 lets training go on.

- nan: Right, until every row is ignored: 0 divided by 0 is NaN. That is torch's own behaviour; the
  task asks for another.
- nan-to-num: The value is right, but when every row is ignored the gradient is NaN: what is
  replaced afterwards has already gone wrong. Keep the division from failing instead.
- divided-by-rows: The right losses are added up, and divided by all rows. The ignored ones should
  not be in the mean at all.
- first-class: The ignored rows were counted as samples of class 0. A stand-in for the index has to
  be masked out of the loss afterwards.
- blank-logits: The logits of the ignored rows were set to 0. A row of equal logits is no row
  without a loss: it costs ln K.
- default-only: Only torch's default, -100, is ignored. The index is an argument here.
- default-only-nan: Only torch's default, -100, is ignored, and a batch of nothing else gives NaN.
  The index is an argument here.
- plus-one: The number of rows was made one larger to avoid a division by zero, and so every mean is
  too small. Only the case of none needs help.
""",
    cases={
        "two rows, one ignored": (floats([1.0, 0.0], [0.5, 2.0]), classes(1, -100), -100),
        "four rows, two ignored": (_ROWS, classes(2, -1, 0, -1), -1),
        "a square batch, a class that is ignored": (_ROWS[:3], classes(0, 1, 0), 0),
        "a large ignore index": (_ROWS, classes(255, 1, 255, 0), 255),
        "one row, ignored": (_ROWS[:1], classes(-100), -100),
        "all ignored": (_ROWS[:2], classes(-100, -100), -100),
        "huge logits, an ignored row between": (
            floats([HUGE, 0.0], [-HUGE, HUGE], [-HUGE, HUGE]),
            classes(1, -100, 0),
            -100,
        ),
        **batches((-100,)),
    },
    generic=("no-minus", "sum", "log2", "log10"),
    gradient=("logits",),
    mistakes={
        "nan": lambda z, t, i: F.cross_entropy(z, t, ignore_index=i),
        "nan-to-num": lambda z, t, i: (
            (_all_losses(z, t, i) * (t != i)).sum() / (t != i).sum()
        ).nan_to_num(0.0),
        "divided-by-rows": lambda z, t, i: _kept_sum(z, t, i) / len(t),
        "first-class": lambda z, t, i: F.cross_entropy(z, t.where(t != i, 0)),
        "blank-logits": lambda z, t, i: F.cross_entropy(z * (t != i)[:, None], t.where(t != i, 0)),
        "default-only": lambda z, t, i: F.cross_entropy(z, t) if (t != -100).any() else z.sum() * 0,
        "default-only-nan": lambda z, t, i: F.cross_entropy(z, t),
        "plus-one": lambda z, t, i: _kept_sum(z, t, i) / ((t != i).sum() + 1),
    },
    right=(
        _ignoring,
        lambda z, t, i: (
            F.cross_entropy(z, t, ignore_index=i, reduction="sum") / max(1, int((t != i).sum()))
        ),
        lambda z, t, i: _all_losses(z, t, i)[t != i].sum() / (t != i).sum().clamp(min=1),
    ),
    wrong=(
        (_constant_for_none, "or is it a constant"),
        (
            lambda z, t, i: F.cross_entropy(z, t, ignore_index=i) if (t != i).any() else 0.0,
            "What came back is a Python number",
        ),
        (lambda z, t, i: F.cross_entropy(z, t.clamp(min=0)), "Should that row take part?"),
    ),
)
def ignoring_cross_entropy(logits, target, ignore_index):
    """Mean over the rows that are not ignored; 0 if there are none."""
    kept = target != ignore_index
    safe_target = target.where(kept, 0)
    losses = -logits.log_softmax(dim=1)[torch.arange(len(target)), safe_target]
    return (losses * kept).sum() / kept.sum().clamp(min=1)


def _bce(z, y, **options):
    return F.binary_cross_entropy_with_logits(z, y, **options)


@function(
    r"""
### A loss in half precision

The demanding one. Logits and targets (N,), in float16, bfloat16 or float32, go in; the mean binary
cross-entropy comes out as a float32 number, as exact as the inputs allow, for logits of ±1000 and
many rows. Five lines, without torch's BCE. The gradient is compared as well.

Hint: float16 has three decimal digits and ends at 65504. Which of your steps need more?

Hint: All of them: convert first. Then use a form of the loss in which no probability is formed.

Hint: `logits.float()` and `target.float()`; then $-\left[y \ln \sigma(z) + (1 - y) \ln
\sigma(-z)\right]$ with `torch.nn.functional.logsigmoid`.

Moral: Half precision is for storing and multiplying. A loss adds up and takes logarithms, and does
that in float32, which is also what autocast does.

- half-throughout: The result has the precision of what came in, logits or target: three digits or
  less. A float32 number is asked for: look up what autocast does with losses.
- converted-last: The result is float32, but it was computed in half precision and converted
  afterwards: the digits are lost by then.
- losses-converted: The mean is taken in float32, and the losses were computed in half precision
  before. The conversion has to come earlier.
- half-sum: The losses were added up in half precision, where everything beyond 65504 is infinite.
- naive: In float32, but by way of a sigmoid that is stored as exactly 0 or 1 when the logit is
  huge. Look up log-sigmoid.
- eps: A small number in the logarithm caps what a confident mistake costs. Computed from the
  logits, no such number is needed.
- clamped-bce: The loss on probabilities cuts its logarithms off at -100. Look up the form with
  logits.
- half-sigmoid: The sigmoid was taken in half precision, where it is exactly 1 from a logit of about
  9 on. Convert before the first step, not after it.
- clamped-logits: The logits were cut off so that nothing can go wrong; beyond the cut, nothing is
  learnt.
""",
    cases={
        **{
            f"{name}, {str(dtype)[6:]}": (z.to(dtype), y.to(dtype))
            for dtype in (_HALF, _BRAIN, torch.float32)
            for name, (z, y) in samples().items()
        },
        "one logit of 12, right, float16": (floats(12.0, dtype=_HALF), floats(1.0, dtype=_HALF)),
        "a hundred rows, huge and wrong, float16": (
            torch.full((100,), HUGE, dtype=_HALF),
            torch.zeros(100, dtype=_HALF),
        ),
    },
    generic=LOSS,
    gradient=("logits",),
    shortcuts=("binary_cross_entropy_with_logits",),
    exact=True,
    mistakes={
        "half-throughout": lambda z, y: _bce(z, y),
        "converted-last": lambda z, y: _bce(z, y).float(),
        "losses-converted": lambda z, y: _bce(z, y, reduction="none").float().mean(),
        "half-sum": lambda z, y: (_bce(z, y, reduction="none").sum() / len(y)).float(),
        "naive": lambda z, y: (
            -(
                y.float() * z.float().sigmoid().log()
                + (1 - y.float()) * (1 - z.float().sigmoid()).log()
            ).mean()
        ),
        "eps": lambda z, y: (
            -(
                y.float() * (z.float().sigmoid() + 1e-7).log()
                + (1 - y.float()) * (1 - z.float().sigmoid() + 1e-7).log()
            ).mean()
        ),
        "clamped-bce": lambda z, y: F.binary_cross_entropy(z.float().sigmoid(), y.float()),
        "half-sigmoid": lambda z, y: F.binary_cross_entropy(z.sigmoid().float(), y.float()),
        "clamped-logits": lambda z, y: _bce(z.float().clamp(-30, 30), y.float()),
    },
    right=(
        lambda z, y: (
            F.softplus(z.float() * (1 - 2 * y.float())).mean()
            if bool(((y == 0) | (y == 1)).all())
            else F.binary_cross_entropy_with_logits(z.float(), y.float())
        ),
        lambda z, y: bce(z.float(), y.float()),
        lambda z, y: (F.softplus(z.float()) - z.float() * y.float()).mean(),
    ),
    wrong=(
        (lambda z, y: bce(z.bfloat16(), y.bfloat16()).float(), "The digits of bfloat16 are right"),
        (lambda z, y: bce(z.float(), y.float()).item(), "The number itself is right"),
        (lambda z, y: bce(z.float(), y.float()).half(), "float16, expected float32"),
    ),
)
def half_safe_bce(logits, target):
    """Mean loss: logits (N,), target (N,), half or float32 -> float32."""
    logits, target = logits.float(), target.float()
    log_sigmoid = torch.nn.functional.logsigmoid
    yes = target * log_sigmoid(logits)
    no = (1 - target) * log_sigmoid(-logits)
    return -(yes + no).mean()
