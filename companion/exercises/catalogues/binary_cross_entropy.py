"""Binary cross-entropy: from probabilities, from logits, and its gradient."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOSS
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import bce
from companion.exercises.catalogues._kinds import floats, samples

SUBJECT = "binary cross-entropy"


_LN2, _LN10, _RIGHT = math.log(2), math.log(10), -math.log(0.9)


@prediction(
    r"""
### Predict: what does it cost?

Before you run anything, to two decimals: what is the binary cross-entropy

- of a probability of 0.5 for a sample whose label is 1 (`undecided`)?
- of 0.9, if the label is 1 (`sure_and_right`)?
- of 0.9, if the label is 0 (`sure_and_wrong`)?
- of the best probability there is for a soft label of 0.5 (`best_for_half`)?

And what is the derivative of the loss with respect to the *logit*, at a logit of 0 and a label of 1
(`slope`)?

Hint: The loss of a hard label is the surprise at what happened: which probability did the true side
get?

Hint: Surprise is the negative natural logarithm: $\ln 2 \approx 0.693$, $\ln 10 \approx 2.303$. A
soft label takes a weighted mean of the surprise on both sides.

Hint: For the slope use the chain rule: the derivative of $-\ln p$ is $-1/p$, that of the sigmoid is
$p(1 - p)$.

Moral: A hard label asks for all the probability on one side, and the loss says how surprising the
truth was.

- absolute: That is the distance between probability and label. The loss is the negative logarithm
  of the probability that the true side got.
- squared: That is the squared distance between probability and label, the Brier score.
  Cross-entropy takes a logarithm.
- log10: That is a logarithm to base 10; the losses of torch use the natural one.
- bits: That is the loss in bits, with base 2; the losses of torch use the natural logarithm.
- negative: The logarithm of a probability is negative, and the loss is its negative: it cannot be
  below zero.
- label-ignored: The label decides which side counts: with a label of 0 it is the probability of 0.
- soft-zero: A soft label cannot be met for free: even the best answer pays the entropy of the
  label. Put p = 0.5 into both halves of the formula.
- slope-upwards: The size is right. Should the logit grow or shrink to lower this loss, and which
  sign does the gradient have then?
- slope-of-probability: That is the slope with respect to the probability. By the chain rule, the
  slope of the sigmoid comes on top.
- slope-of-sigmoid: That is the slope of the sigmoid alone, with the sign of the loss. By the chain
  rule, the slope of the logarithm comes on top.
""",
    mistakes={
        "absolute": (0.5, 0.1, 0.9, 0.0, -0.50),
        "squared": (0.25, 0.01, 0.81, 0.0, -0.25),
        "log10": (math.log10(2), -math.log10(0.9), 1.0, math.log10(2), -0.50),
        "bits": (1.0, -math.log2(0.9), math.log2(10), 1.0, -0.50),
        "negative": (-_LN2, math.log(0.9), -_LN10, -_LN2, -0.50),
        "label-ignored": {"sure_and_wrong": _RIGHT},
        "soft-zero": {"best_for_half": 0.0},
        "slope-upwards": {"slope": 0.5},
        "slope-of-probability": {"slope": -2.0},
        "slope-of-sigmoid": {"slope": -0.25},
    },
    wrong=(
        (lambda: (0.7, 0.1, 2.3, 0.7, -0.5), "two decimals are asked for"),
        (lambda: (0.69, 0.11, 2.30, 0.5, -0.5), "Work it through on paper"),
        (lambda: (1, 1, 1, 1, 1), "0 of 5 hold"),
    ),
)
def predict_bce():
    """Five numbers, to two decimals."""
    undecided = 0.69  # -ln 0.5
    sure_and_right = 0.11  # -ln 0.9
    sure_and_wrong = 2.30  # -ln 0.1
    best_for_half = 0.69  # the target's own entropy, ln 2
    slope = -0.50  # sigmoid(0) - 1
    return undecided, sure_and_right, sure_and_wrong, best_for_half, slope


def _terms(p, y, log=torch.log):
    return -(y * log(p) + (1 - y) * log(1 - p))


@function(
    r"""
### The definition

Probabilities, strictly between 0 and 1, and targets between 0 and 1, of one shape, go in; the mean
loss over all elements comes out. Soft targets are allowed. Three lines. The gradient is compared as
well.

Hint: The loss is an average over two outcomes, yes and no. What are their weights, and what is
averaged?

Hint: $\ell = -\left[y \ln p + (1 - y) \ln(1 - p)\right]$, element by element; the shapes agree, so
there is nothing to align.

Hint: Two products with `.log()`, one for yes and one for no; add them, take the mean, turn the
sign.

Moral: A hard label switches one half of the formula off, a soft one blends the two; nothing is
scaled or rounded first.

- positives-only: Samples with label 0 cost nothing here: a model that always says 1 would be
  perfect. The other half of the formula is missing.
- negatives-only: Samples with label 1 cost nothing here: a model that always says 0 would be
  perfect. The other half of the formula is missing.
- flipped: The labels are turned around: what is a 1 was treated as a 0. Which part belongs to 1?
- roles-swapped: The logarithm was taken of the label, and of a hard label it is infinite. Which of
  the two is the prediction?
- unweighted: Both halves always count in full, whatever the label. What should switch them on and
  off?
- log-of-blend: The two probabilities were blended first and the logarithm was taken last. For hard
  labels that is the same, for soft ones it is not.
- eps: A small number inside the logarithm changes each value a little, and a confident mistake a
  lot: its cost stops growing.
- clamp: The probabilities were cut off before the logarithm. Beyond the cut the loss is constant,
  and what is constant cannot be learnt from.
- sigmoid: The probabilities went through a sigmoid as if they were logits. What goes in here is a
  probability already.
- rounded: The probabilities were rounded to 0 or 1 first, and the logarithm of 0 is infinite. How
  sure the model was is just what the loss is about.
- squared: That is the mean squared error. Cross-entropy has a logarithm in it.
""",
    cases={
        "one sample": (floats(0.8), floats(0.0)),
        "two samples": (floats(0.8, 0.3), floats(1.0, 0.0)),
        "four samples, soft targets": (floats(0.6, 0.1, 0.9, 0.45), floats(0.7, 0.0, 0.2, 1.0)),
        "a column of three": (floats([0.2], [0.7], [0.95]), floats([0.0], [1.0], [0.0])),
        "a square of two by two": (
            floats([0.3, 0.6], [0.85, 0.4]),
            floats([1.0, 0.0], [1.0, 1.0]),
        ),
        "confident and wrong": (floats(1e-9, 0.5, 1e-12), floats(1.0, 1.0, 1.0)),
    },
    generic=LOSS,
    gradient=("probs",),
    shortcuts=("binary_cross_entropy",),
    mistakes={
        "positives-only": lambda p, y: -(y * p.log()).mean(),
        "negatives-only": lambda p, y: -((1 - y) * (1 - p).log()).mean(),
        "flipped": lambda p, y: _terms(p, 1 - y).mean(),
        "roles-swapped": lambda p, y: _terms(y, p).mean(),
        "unweighted": lambda p, y: -(p.log() + (1 - p).log()).mean(),
        "log-of-blend": lambda p, y: -(y * p + (1 - y) * (1 - p)).log().mean(),
        "eps": lambda p, y: -(y * (p + 1e-8).log() + (1 - y) * (1 - p + 1e-8).log()).mean(),
        "clamp": lambda p, y: _terms(p.clamp(1e-7, 1 - 1e-7), y).mean(),
        "sigmoid": lambda p, y: F.binary_cross_entropy_with_logits(p, y),
        "rounded": lambda p, y: _terms(p.round(), y).mean(),
        "squared": lambda p, y: ((p - y) ** 2).mean(),
    },
    right=(
        F.binary_cross_entropy,
        lambda p, y: torch.nn.BCELoss()(p, y),
        lambda p, y: -(torch.xlogy(y, p) + torch.xlogy(1 - y, 1 - p)).mean(),
    ),
    wrong=(
        (lambda p, y: -(y * p.log() + (1 - y) * (1 - p.log())).mean(), "one sample"),
        (lambda p, y: -(y * p.log() + (1 - y) * (1 - p).log()).sum() / 2, "1 of 6 cases agrees"),
        (lambda p, y: -torch.where(y > 0.5, p.log(), (1 - p).log()).mean(), "four samples, soft"),
    ),
)
def binary_cross_entropy(probs, target):
    """Mean loss: probs in (0, 1), target in [0, 1], one shape -> one number."""
    yes = target * probs.log()
    no = (1 - target) * (1 - probs).log()
    return -(yes + no).mean()


def _flat(fn):
    """A mistake that is not about shapes: give it matching ones."""
    return lambda z, y: fn(z.reshape(y.shape), y)


def _naive(z, y):
    return _terms(z.sigmoid(), y)


def _python_maximum(logits, target):
    pairs = zip(logits.flatten(), target, strict=True)
    return sum(max(z, 0) - z * y + math.log1p(math.exp(-abs(z))) for z, y in pairs) / len(target)


@function(
    r"""
### The same loss, without ever forming a probability

Now from logits, and it must survive logits of ±1000. The logits come as (N,) or, as many models
give them, as (N, 1); the targets as (N,), hard or soft; the mean loss goes out. Five lines,
without torch's loss. Its gradient is compared as well, also at a logit of exactly 0.

Hint: Put $p = \sigma(z)$ into the definition and simplify *before* you compute. Which exponential
can overflow, and for which sign of $z$?

Hint: $\ell = -\left[y \ln \sigma(z) + (1 - y) \ln \sigma(-z)\right]$, and torch computes
$\ln \sigma$ in one step, finite for every logit. And (N, 1) against (N,) broadcasts to N × N unless
you give both the same shape first.

Hint: `reshape(target.shape)`, then `torch.nn.functional.logsigmoid` of the logit for the yes half,
of minus the logit for the no half, and minus the mean.

Moral: No probability is ever formed, so none can be rounded to 0. A confident mistake costs its
distance from zero, and its gradient is still there.

- naive: Right for small logits, NaN or infinite for huge ones: the sigmoid is stored as exactly 0
  or 1, and then a logarithm is asked for. Bring the two together on paper before you compute: look
  up log-sigmoid, or softplus.
- eps: A small number inside the logarithm hides the infinity and caps what a confident mistake
  costs. The formula can be rearranged so that none is needed.
- clamped-probs: The probabilities were cut off before the logarithm. A confident mistake costs the
  same whatever its size, with no gradient to correct it.
- bce-of-sigmoid: torch's loss on probabilities cuts each logarithm off at -100: finite, and at the
  cut without a gradient. The logit never needs to become a probability here.
- clamped-logits: The logits were cut off. Beyond the cut the loss no longer grows, and its gradient
  is zero.
- broadcast: Right where the shapes agree; a column of logits against a row of targets became a
  square, every logit against every target. Look up broadcasting.
- no-sigmoid: The logits were treated as probabilities: outside of (0, 1) their logarithm is NaN.
- overflow: The algebra is right, but this exponential overflows for a large positive logit. Which
  sign keeps an exponent at or below zero for every logit?
- overflow-other-side: The algebra is right, but this exponential overflows for a large negative
  logit. Which sign keeps an exponent at or below zero for every logit?
- target-unused: The target is not used: this is the cost of saying yes when the answer is no.
- correction-only: The linear part for positive logits is missing: a confident false alarm costs
  nothing.
- linear-only: The straight lines are right, the bend between them is missing: near zero the loss is
  a smooth curve. Look up softplus and ReLU.
- wrong-exponent: The exponent grows with the size of the logit and overflows. It should shrink:
  only one sign is wrong.
- flipped: The labels are turned around: what is a 1 was treated as a 0. Which part belongs to 1?
- double-sigmoid: A sigmoid is in there twice, so the loss can never come near zero. Look up which
  functions of torch expect logits.
- corner: The value is right, and the gradient at a logit of exactly 0 is not: there the maximum and
  the absolute value have a corner, and autograd picks one side of it. Look up the logarithm of the
  sigmoid, which has none.
- where: The value is right, the gradient is NaN: both branches of a `where` are computed, and zero
  times the infinity of the branch that is thrown away is NaN on the way back. Keep every exponent
  at or below zero in both.
""",
    cases={
        **samples(),
        "a column of one": (floats([0.7]), floats(1.0)),
        "a column of logits, (3, 1) against (3,)": (
            floats([0.5], [-1.5], [2.5]),
            floats(1.0, 0.0, 0.0),
        ),
    },
    generic=LOSS,
    gradient=("logits",),
    shortcuts=("binary_cross_entropy_with_logits", "soft_margin_loss"),
    mistakes={
        "naive": _flat(lambda z, y: _naive(z, y).mean()),
        "eps": _flat(
            lambda z, y: (
                -(y * (z.sigmoid() + 1e-8).log() + (1 - y) * (1 - z.sigmoid() + 1e-8).log()).mean()
            )
        ),
        "clamped-probs": _flat(lambda z, y: _terms(z.sigmoid().clamp(1e-7, 1 - 1e-7), y).mean()),
        "bce-of-sigmoid": _flat(lambda z, y: F.binary_cross_entropy(z.sigmoid(), y)),
        "clamped-logits": _flat(
            lambda z, y: F.binary_cross_entropy_with_logits(z.clamp(-30, 30), y)
        ),
        "broadcast": lambda z, y: (z.clamp(min=0) - z * y + (-z.abs()).exp().log1p()).mean(),
        "no-sigmoid": _flat(lambda z, y: _terms(z, y).mean()),
        "overflow": _flat(lambda z, y: (z.exp().log1p() - z * y).mean()),
        "overflow-other-side": _flat(lambda z, y: ((-z).exp().log1p() + (1 - y) * z).mean()),
        "target-unused": _flat(lambda z, y: F.softplus(z).mean()),
        "correction-only": _flat(lambda z, y: ((-z.abs()).exp().log1p() - z * y).mean()),
        "linear-only": _flat(lambda z, y: (z.clamp(min=0) - z * y).mean()),
        "wrong-exponent": _flat(
            lambda z, y: (z.clamp(min=0) - z * y + z.abs().exp().log1p()).mean()
        ),
        "flipped": _flat(lambda z, y: F.binary_cross_entropy_with_logits(z, 1 - y)),
        "double-sigmoid": _flat(lambda z, y: F.binary_cross_entropy_with_logits(z.sigmoid(), y)),
        "corner": _flat(lambda z, y: (z.clamp(min=0) - z * y + (-z.abs()).exp().log1p()).mean()),
        "where": _flat(
            lambda z, y: (
                torch.where(z > 0, z + (-z).exp().log1p(), z.exp().log1p()) - z * y
            ).mean()
        ),
    },
    right=(
        lambda z, y: F.binary_cross_entropy_with_logits(z.view(len(y)), y),
        lambda z, y: (F.softplus(z.flatten()) - z.flatten() * y).mean(),
        lambda z, y: (torch.logaddexp(z.flatten(), 0 * y) - z.flatten() * y).mean(),
        lambda z, y: torch.nn.BCEWithLogitsLoss()(z.reshape(-1), y),
    ),
    wrong=(
        (lambda z, y: F.softplus(-z * (2 * y - 1)).sum() / len(y), "cases agree"),
        (lambda z, y: (torch.max(z, 0) - z * y).mean(), "a pair of values and indices"),
        (_python_maximum, "the gradient with respect to `logits` is not"),
        (lambda z, y: bce(z.squeeze(1), y), "such a dimension is not there"),
    ),
)
def bce_with_logits(logits, target):
    """Mean loss: logits (N,) or (N, 1), target (N,) -> one number, finite."""
    logits = logits.reshape(target.shape)
    log_sigmoid = torch.nn.functional.logsigmoid
    yes = target * log_sigmoid(logits)
    no = (1 - target) * log_sigmoid(-logits)
    return -(yes + no).mean()


def _gradient_by_autograd(logits, target):
    logits = logits.detach().requires_grad_()
    F.binary_cross_entropy_with_logits(logits, target).backward()
    return logits.grad


@function(
    r"""
### The gradient, by pencil

Work out the gradient of the *mean* binary cross-entropy with respect to the logits and write it as
a formula, without autograd: logits (N,) and targets (N,) in, the gradient (N,) out. One line.

Hint: By the chain rule it is the slope of the loss at the probability times the slope of the
sigmoid. Much cancels.

Hint: The first is $(p - y) / (p(1 - p))$, the second $p(1 - p)$. And the mean gives each sample a
share.

Hint: What is left is $\sigma(z) - y$, divided by the number of samples.

Moral: What the model said minus what was true, shared among the samples. The slope of the sigmoid
cancels against that of the logarithm, so a wrong answer never stops pulling.

- no-mean: That is the gradient of the sum. The loss is a mean: what does each sample's share of it
  depend on?
- reversed: That points downhill, the way a step of gradient descent goes. The gradient itself
  points uphill.
- no-sigmoid: The logit was compared with the label. The label is a probability: what has to happen
  to the logit before the two can be subtracted?
- sigmoid-slope: The slope of the sigmoid is in there as a factor, as with the squared error: where
  the model is sure and wrong, the gradient vanishes. In this loss it cancels: work the chain rule
  through on paper.
- by-probability: That is the gradient with respect to the probability, and it is infinite or NaN at
  the ends. By the chain rule, one factor is still to come.
- rounded: The decision was compared with the label. The gradient depends on how sure the model was,
  not only on whether it was right.
- absolute: The sign is lost, and with it the direction in which each logit should move.
- loss: Those are the losses themselves, shared among the samples. Asked for is their slope.
""",
    cases=samples(),
    mistakes={
        "no-mean": lambda z, y: z.sigmoid() - y,
        "reversed": lambda z, y: (y - z.sigmoid()) / len(y),
        "no-sigmoid": lambda z, y: (z - y) / len(y),
        "sigmoid-slope": lambda z, y: (z.sigmoid() - y) * z.sigmoid() * (1 - z.sigmoid()) / len(y),
        "by-probability": lambda z, y: (
            (z.sigmoid() - y) / (z.sigmoid() * (1 - z.sigmoid())) / len(y)
        ),
        "rounded": lambda z, y: (z.sigmoid().round() - y) / len(y),
        "absolute": lambda z, y: (z.sigmoid() - y).abs() / len(y),
        "loss": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none") / len(y),
    },
    right=(
        _gradient_by_autograd,
        lambda z, y: (1 / (1 + (-z).exp()) - y) / z.numel(),
        lambda z, y: torch.func.grad(bce)(z, y),
        lambda z, y: torch.stack([a.sigmoid() - b for a, b in zip(z, y, strict=True)]) / len(y),
    ),
    wrong=(
        (lambda z, y: (z - y).sigmoid() / len(y), "got       [0.6225]"),
        (lambda z, y: torch.autograd.grad(bce(z, y), z)[0], "no graph to go back through"),
        (lambda z, y: (z.sigmoid() - y) / 2, "expected  [-0.1824]"),
    ),
)
def bce_gradient(logits, target):
    """Gradient of the mean loss: logits (N,), target (N,) -> (N,)."""
    return (logits.sigmoid() - target) / len(target)
