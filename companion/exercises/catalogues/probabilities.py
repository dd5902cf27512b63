"""Logits and probabilities: log-odds, sigmoid, softmax."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOG
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import margin
from companion.exercises.catalogues._kinds import floats, pairs, samples, tables

SUBJECT = "logits and probabilities"


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@prediction(
    r"""
### Predict: four probabilities

Before you run anything: to two decimals,

- what is the sigmoid of 0 (`sigmoid_of_zero`)?
- and of $\ln 3$ (`sigmoid_of_ln_3`)?
- what does a softmax give for a model with one output, if that output is −2 (`softmax_of_one`)?
- and for the logits $(5,\ 5 + \ln 3)$, as the probability of the second class (`second_of_two`)?

Hint: Think in odds: a logit is the logarithm of "how many times as likely as not".

Hint: Odds of $e^z$ to 1 are a probability of $e^z / (1 + e^z)$. A softmax divides each exponential
by the sum of all of them.

Hint: With one output the sum has one term. With two, take the common factor $e^5$ out of the
fraction.

Moral: A sigmoid compares one logit with zero, a softmax compares logits with each other. Alone,
there is nothing to compare with.

- zero: A logit of 0 is no 'no': it is undecided. What odds have the logarithm 0?
- odds: Those are odds, how many times as likely yes is as no. A probability is a share of the
  whole: look up how to turn the one into the other.
- other-side: That is the probability of the other side. Does a larger logit make the event more
  likely or less?
- one-like-sigmoid: A softmax over one output is not a sigmoid: it divides a number by the sum of
  all numbers, and there is only this one.
- one-unnormalised: That is the exponential alone. A softmax divides by the sum: what is the sum
  here?
- one-negative: A negative logit is not impossible. With one output there is nothing it could lose
  to.
- size: The size of the logits does not matter to a softmax, only how far they lie apart: look up
  shift invariance.
- share-of-logits: That is the share of the logit in the sum of logits. The exponential is missing.
""",
    mistakes={
        "zero": {"sigmoid_of_zero": 0.0},
        "odds": {"sigmoid_of_zero": 1.0, "sigmoid_of_ln_3": 3.0, "second_of_two": 3.0},
        "other-side": {"sigmoid_of_ln_3": 0.25, "second_of_two": 0.25},
        "one-like-sigmoid": {"softmax_of_one": _sigmoid(-2)},
        "one-unnormalised": {"softmax_of_one": math.exp(-2)},
        "one-negative": {"softmax_of_one": 0.0},
        "size": {"second_of_two": _sigmoid(5 + math.log(3))},
        "share-of-logits": {"second_of_two": (5 + math.log(3)) / (10 + math.log(3))},
    },
    wrong=(
        (lambda: (0.5, 0.95, 1.0, 0.5), "2 of 4 hold; not yet: sigmoid_of_ln_3, second_of_two"),
        (lambda: (0.5, "0.75", 1, 0.75), "sigmoid_of_ln_3: a number is asked for"),
        (lambda: (0.5, 0.75, 1.0), "4 answers asked for"),
    ),
)
def predict_probabilities():
    """Four probabilities, to two decimals."""
    sigmoid_of_zero = 0.50  # odds of 1 to 1
    sigmoid_of_ln_3 = 0.75  # odds of 3 to 1
    softmax_of_one = 1.00  # a single share is the whole
    second_of_two = 0.75  # (5, 5 + ln 3): only the difference counts
    return sigmoid_of_zero, sigmoid_of_ln_3, softmax_of_one, second_of_two


@function(
    """
### From probability to logit

A linear layer can put out any number, a probability only those between 0 and 1. Write the map from
probabilities to logits: a tensor of any shape, inside (0, 1), goes in, a tensor of the same shape
comes out. One line.

Hint: A logit is named after what it is: the log-odds. What are the odds of an event of probability
$p$?

Hint: The odds are $p$ against $1 - p$. Everything happens element by element, so the shape takes
care of itself.

Hint: Divide `probs` by what is left to 1, and take the natural logarithm of that.

Moral: This is the logit: what a linear layer can put out, since it has no bounds. The sigmoid is
the way back.

- odds: Those are the odds, from 0 to infinity. A logit is their logarithm.
- log-prob: That is the logarithm of the probability, never above 0. The odds put the other side
  into the fraction as well.
- reversed: The sign is turned around: those are the odds against. A probability of 0.9 should give
  a positive logit.
- divided-logs: Two logarithms were divided by each other. The logarithm of a fraction is something
  else: a difference.
- sigmoid: That is a sigmoid, the way from a logit to a probability. Asked for is the way back.
- log1p: 1 was added where it has to be what p is subtracted from: that is the logarithm of p
  against 1 + p.
- clamped: Very small probabilities were cut off, and all got the same logit. None of these needs a
  guard: the function is finite everywhere inside (0, 1).
- eps: A small number was added inside the logarithm. It changes what is close to 0 most, and there
  it was not needed.
""",
    cases={
        "one probability": (floats(0.3),),
        "three probabilities": (floats(0.2, 0.5, 0.9),),
        "two rows of three": (floats([0.1, 0.4, 0.7], [0.05, 0.6, 0.95]),),
        "a square of probabilities": (floats([0.3, 0.8], [0.15, 0.55]),),
        "a table that was transposed": (floats([0.3, 0.8, 0.6], [0.15, 0.55, 0.1]).T,),
        "all but impossible": (floats(1e-12, 1e-9, 0.25),),
    },
    generic=LOG,
    shortcuts=("logit",),
    mistakes={
        "odds": lambda p: p / (1 - p),
        "log-prob": lambda p: p.log(),
        "reversed": lambda p: ((1 - p) / p).log(),
        "divided-logs": lambda p: p.log() / (1 - p).log(),
        "sigmoid": lambda p: p.sigmoid(),
        "log1p": lambda p: (p / (1 + p)).log(),
        "clamped": lambda p: torch.logit(p, eps=1e-6),
        "eps": lambda p: (p / (1 - p) + 1e-7).log(),
    },
    right=(
        torch.logit,
        lambda p: p.log() - torch.log1p(-p),
        lambda p: torch.special.logit(p),
        lambda p: -(1 / p - 1).log(),
        lambda p: torch.tensor(np.log(p / (1 - p))),
    ),
    wrong=(
        (lambda p: 2 * torch.log(p / (1 - p)), "Every value is 2 times the expected one"),
        (lambda p: math.log(p / (1 - p)), "A whole batch was turned into one Python number"),
        (lambda p: p.log() + (1 - p).log(), "0 of 6 cases agree"),
    ),
)
def log_odds(probs):
    """From probability to logit: probs in (0, 1), any shape -> same shape."""
    return (probs / (1 - probs)).log()


@function(
    """
### And back

Write the way back from logits to probabilities, without torch's own function: any shape in, the
same shape out. One line.

Hint: Undo the log-odds step by step: first the logarithm, then the fraction.

Hint: With odds $o$, the probability is $o / (1 + o)$, which is $1 / (1 + 1/o)$.

Hint: $1/o$ is the exponential of minus the logit: `(-logits).exp()`.

Moral: Odds over odds plus one, written with one exponential: the probability of one side, and 1
minus it is the other.

- reversed: The curve falls where it should rise: that is the probability of the other side.
- odds: The exponential of a logit is the odds, and these have no upper bound. How do odds become a
  probability?
- minus-one: There is a minus where odds are turned into a share of the whole: the denominator can
  become zero, and a probability must not.
- tanh: That is tanh, from -1 to 1. It is a sigmoid's relative, twice as steep and shifted; a
  probability lies between 0 and 1.
- base-two: The curve has the right shape, and base 2 instead of e.
- rounded: Those are decisions. The probability is what comes before them.
- log-sigmoid: That is the logarithm of the answer: useful inside a loss, but here the probability
  itself is asked for.
- softmax: The numbers were made to share a total of 1. A sigmoid looks at each logit alone: no
  other logit may change its answer.
- softmax-last: The numbers of a row were made to share a total of 1. A sigmoid looks at each logit
  alone: no other logit may change its answer.
- no-exp: The exponential is missing: that is 1 over 1 minus the logit, which is no probability.
- derivative: That is the slope of the sigmoid, largest at 0. Asked for is its height.
- hard: Those are straight lines, the so-called hard sigmoid: cheap, close in the middle, and
  exactly 0 or 1 outside. Look up the logistic function.
""",
    cases={
        **{name: (z,) for name, (z, _) in samples().items()},
        "two rows of three": (floats([0.5, -0.3, 1.1], [4.0, -2.5, 0.2]),),
        "a square of logits": (floats([1.5, -1.5], [0.7, 3.0]),),
        "far out": (floats(-30.0, 30.0, 20.0),),
    },
    shortcuts=("sigmoid", "expit"),
    mistakes={
        "reversed": lambda z: 1 / (1 + z.exp()),
        "odds": lambda z: z.exp(),
        "minus-one": lambda z: 1 / (1 - (-z).exp()),
        "tanh": lambda z: z.tanh(),
        "base-two": lambda z: 1 / (1 + 2.0 ** (-z)),
        "rounded": lambda z: z.sigmoid().round(),
        "log-sigmoid": lambda z: F.logsigmoid(z),
        "softmax": lambda z: z.softmax(0),
        "softmax-last": lambda z: z.softmax(-1),
        "no-exp": lambda z: 1 / (1 - z),
        "derivative": lambda z: z.sigmoid() * (1 - z.sigmoid()),
        "hard": lambda z: F.hardsigmoid(z),
    },
    right=(
        torch.sigmoid,
        lambda z: (1 + torch.tanh(z / 2)) / 2,
        lambda z: torch.where(z > 0, 1 / (1 + (-z.abs()).exp()), 1 - 1 / (1 + (-z.abs()).exp())),
        lambda z: torch.stack([z, 0 * z]).softmax(0)[0],
    ),
    wrong=(
        (lambda z: z.exp() / (1 + (-z).exp()), "got       [3.664]"),
        (lambda z: 1 / (1 + math.exp(-z)), "A whole batch was turned into one Python number"),
        (lambda z: (1 + torch.tanh(z)) / 2, "got       [0.9526]"),
        (lambda z: (z - z.min()) / (z.max() - z.min()), "one sample"),
    ),
)
def sigmoid(logits):
    """From logit to probability: logits of any shape -> same shape."""
    return 1 / (1 + (-logits).exp())


_ROWS = {
    "one row, two classes": (floats([0.0, 1.0]),),
    "three rows, four classes": (
        floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3]),
    ),
    "a square batch": (floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6]),),
    "one output": (floats([-2.0], [3.0], [0.5]),),
    "huge logits": (floats([1000.0, 1001.0, 0.0], [-1000.0, -1000.0, 0.0]),),
    "two rows far apart": (floats([900.0, 901.0], [-901.0, -900.0]),),
}


def _shares(weights):
    return weights / weights.sum(1, keepdim=True)


def _softmax_loop(logits):
    return torch.stack([row.exp() / row.exp().sum() for row in logits - logits.amax(1)[:, None]])


def _softmax_in_place(logits):
    logits -= logits.max(dim=1, keepdim=True).values
    return logits.exp() / logits.exp().sum(dim=1, keepdim=True)


@function(
    """
### A softmax that does not overflow

Write the softmax over the classes: logits (N, K) in, probabilities (N, K) out. It must be right for
every finite input, for logits of ±1000 too. Three lines.

Hint: The exponential of 1000 is too large for a float. Which property of the softmax allows you to
avoid it?

Hint: The same constant may be subtracted from all logits of a row. Choose it such that the largest
exponent becomes 0; it has one value per row, so its shape is (N, 1).

Hint: `logits.max(dim=1, keepdim=True).values` is that constant. Exponentiate the difference and
divide by its sum over the classes, again with `keepdim=True`.

Moral: Subtracting the largest logit changes nothing but the range of the exponentials. That is
shift invariance put to work.

- over-everything: All numbers together add up to 1. Each row is a distribution of its own: look up
  the `dim` argument of reductions.
- naive: Right for small logits, NaN for huge ones: infinity divided by infinity. What can be
  subtracted from all logits of a row without changing the answer?
- one-shift-for-all: One shift for the whole batch saves only the row with the largest logit; a row
  far below it becomes zero divided by zero. Whose maximum does a row need?
- no-exp: The logits themselves were made to share a total of 1. They can be negative, and a
  probability cannot: something has to make them positive first.
- unnormalised: The exponentials are there, shifted, but they do not add up to 1 yet.
- wrong-axis-sum: Every number was divided by the sum of another row: without its second dimension,
  the column of sums lies down as a row. Look up `keepdim`, and broadcasting.
- sigmoid: Each logit was judged alone, so a row need not add up to 1. In a softmax the classes
  compete.
- log-softmax: That is the logarithm of the answer.
- twice: A softmax of probabilities: it is in there twice, and even certainty comes out as a
  hesitation.
- one-hot: That is the winner alone. A softmax is soft: every class keeps a share.
- base-two: The shares are those of powers of 2; the exponential function has base e.
- clamped: Cutting the logits off keeps them finite, and makes all logits beyond the cut equal. A
  shift keeps their differences.
- reversed: The smallest logit got the largest share: there is a minus too many.
""",
    cases={**tables(), "one output": (floats([-2.0], [3.0], [0.5]),)},
    generic=("over-the-batch",),
    shortcuts=("softmax", "log_softmax"),
    mistakes={
        "over-everything": lambda z: z.flatten().softmax(0).reshape(z.shape),
        "naive": lambda z: _shares(z.exp()),
        "one-shift-for-all": lambda z: _shares((z - z.max()).exp()),
        "no-exp": lambda z: _shares(z),
        "unnormalised": lambda z: (z - z.amax(1, keepdim=True)).exp(),
        "wrong-axis-sum": lambda z: (
            (z - z.amax(1, keepdim=True)).exp() / (z - z.amax(1, keepdim=True)).exp().sum(1)
        ),
        "sigmoid": lambda z: z.sigmoid(),
        "log-softmax": lambda z: z.log_softmax(1),
        "twice": lambda z: z.softmax(1).softmax(1),
        "one-hot": lambda z: F.one_hot(z.argmax(1), z.shape[1]).to(z.dtype),
        "base-two": lambda z: _shares(2.0 ** (z - z.amax(1, keepdim=True))),
        "clamped": lambda z: _shares(z.clamp(-80, 80).exp()),
        "reversed": lambda z: (-z).softmax(1),
    },
    right=(
        _softmax_loop,
        lambda z: (z - z.logsumexp(1, keepdim=True)).exp(),
        lambda z: F.softmax(z, dim=-1),
        lambda z: z.log_softmax(1).exp(),
    ),
    wrong=(
        (_softmax_in_place, "changes its argument in place"),
        (lambda z: z.exp() / z.exp().sum(), "NaN or infinite"),
        (lambda z: torch.stack([row.softmax(0) for row in z]).numpy(), "NumPy knows nothing of"),
        (lambda z: z.softmax(2), "such a dimension is not there"),
    ),
)
def softmax(logits):
    """Probabilities over the classes: logits (N, K) -> (N, K), always finite."""
    shifted = logits - logits.max(dim=1, keepdim=True).values
    weights = shifted.exp()
    return weights / weights.sum(dim=1, keepdim=True)


@function(
    """
### The one number that matters

A model for two classes puts out two logits. Logits (N, 2) go in; out come the N single logits,
(N,), whose sigmoid is the softmax probability of class 1. One line.

Hint: A softmax does not change when the same number is added to both logits. Which combination of
the two does not change either?

Hint: Divide the numerator and the denominator of $e^{z_1} / (e^{z_0} + e^{z_1})$ by $e^{z_1}$, and
compare with the sigmoid.

Hint: One column minus the other. An index such as `[:, 1]` takes a column as (N,).

Moral: Two logits hold one number that matters. The other one, how high both lie, is spare.

- reversed: That is the logit of class 0: its sigmoid is the probability of the other class.
- second-only: The second logit alone changes when both logits are shifted, and the softmax does
  not. What stays the same under a shift?
- ratio: Probabilities are compared by their ratio, logits are logarithms already: what does a ratio
  become then?
- probability: That is the probability itself. Asked for is the logit that a sigmoid turns into it.
- log-prob: That is the logarithm of the probability, not of the odds: it never gets above 0.
- log-of-odds: Right as long as the probability is not stored as 0 or 1; for huge logits it is
  infinite. The way through probabilities is a detour: the logits hold the answer.
- sum: The logits were added. A shift of both changes their sum, and must not change the answer.
- distance: The distance is right, its direction is lost: which of the two classes is ahead?
- rows: Two rows were subtracted, and those are samples. Which dimension holds the classes?
""",
    cases={name: (z,) for name, (z, _) in pairs().items()},
    mistakes={
        "reversed": lambda z: z[:, 0] - z[:, 1],
        "second-only": lambda z: z[:, 1],
        "ratio": lambda z: z[:, 1] / z[:, 0],
        "probability": lambda z: z.softmax(1)[:, 1],
        "log-prob": lambda z: z.log_softmax(1)[:, 1],
        "log-of-odds": lambda z: torch.logit(z.softmax(1)[:, 1]),
        "sum": lambda z: z.sum(1),
        "distance": lambda z: (z[:, 1] - z[:, 0]).abs(),
        "rows": lambda z: z[min(1, len(z) - 1)] - z[0],
    },
    right=(
        lambda z: z.log_softmax(1).diff(dim=1).squeeze(1),
        lambda z: torch.einsum("nk,k->n", z, torch.tensor([-1.0, 1.0], dtype=z.dtype)),
        lambda z: torch.stack([row[1] - row[0] for row in z]),
        lambda z: -torch.sub(*z.unbind(1)),
    ),
    wrong=(
        (lambda z: margin(z).mean(), "everything was reduced to one number"),
        (lambda z: z.logsumexp(1) - z[:, 0], "expected  [1]"),
        (lambda z: z.max(dim=1), "pair of values and indices"),
        (lambda z: [float(row[1] - row[0]) for row in z], "has to become one tensor again"),
    ),
)
def two_class_logit(logits):
    """Logit of P(class 1): logits (N, 2) -> (N,)."""
    return logits[:, 1] - logits[:, 0]
