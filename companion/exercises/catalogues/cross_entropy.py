"""Cross-entropy: softmax, log, pick, mean."""

import math
import sys

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOSS
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import labelled
from companion.exercises.catalogues._kinds import batches, classes, floats, tables

SUBJECT = "cross-entropy"

_WEIGHTS = floats(0.5, 2.0, 1.0, 4.0, 3.0)


_FOUR = floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3])
_THREE = floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6])
_HUGE = floats([1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0])
_LOGITS = {
    "one row, three classes": (floats([2.0, 0.0, -1.0]), classes(1)),
    "three rows, four classes": (_FOUR, classes(3, 1, 0)),
    "a square batch, three rows and three classes": (_THREE, classes(2, 0, 0)),
    "huge logits, all of them right": (_HUGE, classes(0, 2)),
    "huge logits, confident and wrong": (_HUGE, classes(2, 1)),
}


@prediction(
    r"""
### Predict: four losses on paper

Before you run anything: what is the cross-entropy of one sample

- over four classes whose logits are all equal (`equal_logits`)?
- over two classes with logits $(0, \ln 4)$, if the label is class 1 (`right_label`)?
- with the same logits, if the label is class 0 (`wrong_label`)?

And what becomes of it when 100 is added to every logit (`shifted`)? Numbers to two decimals; a
pocket calculator is allowed, torch is not.

Hint: First turn the logits into probabilities, then ask how surprising the label is.

Hint: The exponentials of $0$ and $\ln 4$ are 1 and 4. Divide each by their sum; the loss is the
negative natural logarithm of the label's share.

Hint: For K equal logits every share is $1/K$. For the shift, write the softmax of
$(z_0 + c, z_1 + c)$ and take the common factor out of the fraction.

Moral: ln K is what an untrained model over K classes costs: worth knowing when a first loss is
printed.

- zero: Equal logits are no certainty but its opposite: the model spreads its belief over all
  classes. Look up the cross-entropy of a uniform guess.
- probability: That is the probability of the label. The loss is one function further: look up
  surprise, or negative log-likelihood.
- one-minus: That is how much probability is missing from the label, which is the mean absolute
  error and bounded by 1. Cross-entropy has no upper bound: look up its logarithm.
- log10: That is a logarithm to base 10. In this subject `log` means the natural one: look up nats.
- log2: That is the loss in bits. torch counts in nats, with the natural logarithm.
- negative: The size is right, the sign is not: the logarithm of a probability is never above zero,
  and the loss is its negative.
- swapped: The two labels have changed places: which class do the larger logit and the label name?
- sigmoid: That is the loss of each logit on its own, through a sigmoid. Here the classes compete:
  look up softmax.
- shift: Try the shift on paper with two classes: what happens to the numerator and to the
  denominator of the softmax when every logit grows by the same amount?
""",
    options={"shifted": ("same", "larger", "smaller")},
    mistakes={
        "zero": {"equal_logits": 0.0},
        "probability": {"equal_logits": 0.25, "right_label": 0.8, "wrong_label": 0.2},
        "one-minus": {"equal_logits": 0.75, "right_label": 0.2, "wrong_label": 0.8},
        "log10": (math.log10(4), -math.log10(0.8), math.log10(5), "same"),
        "log2": {"equal_logits": 2.0, "right_label": -math.log2(0.8), "wrong_label": math.log2(5)},
        "negative": (-math.log(4), math.log(0.8), math.log(0.2), "same"),
        "swapped": {"right_label": math.log(5), "wrong_label": -math.log(0.8)},
        "sigmoid": {"equal_logits": math.log(2), "wrong_label": math.log(2), "shifted": "smaller"},
        "shift": {"shifted": "larger"},
    },
    wrong=(
        (lambda: (1.39, 0.22, 1.39, "same"), "Work it through on paper"),
        (lambda: (1.4, 0.2, 1.6, "same"), "two decimals are asked for"),
        (lambda: (1.39, 0.22, 1.61, "unchanged"), "choose one of 'same', 'larger', 'smaller'"),
    ),
)
def predict_cross_entropy():
    """Three losses to two decimals, then "same", "larger" or "smaller"."""
    equal_logits = 1.39  # ln 4: four classes, each with probability 1/4
    right_label = 0.22  # -ln(4/5): softmax of (0, ln 4) is (1/5, 4/5)
    wrong_label = 1.61  # -ln(1/5)
    shifted = "same"  # softmax does not see a constant added to every logit
    return equal_logits, right_label, wrong_label, shifted


@function(
    """
### Pick and average

The last half of cross-entropy. In go log-probabilities, (N, K), and class indices, (N,); out comes
one number, the mean of the negative log-probability that each row gives to its own label. Two
lines. The gradient is compared as well.

Hint: Each row has one number that matters. Which one, and what is done with the N numbers then?

Hint: The picked numbers have shape (N,): entry n lies in row n and in column `target[n]`. Indexing
with two tensors of shape (N,) walks along them side by side.

Hint: Pair the row numbers 0, 1, …, N − 1 with the targets: `log_probs[rows, target]`. Then the
mean, and the sign.

Moral: NLL computes no logarithm: it picks one column per row, turns the sign and averages. That is
why it believes whatever it is given, probabilities too.

- all-pairs: Every row met every target, not just its own: N by N numbers were picked. Look up how
  indexing with two index tensors differs from indexing with a slice and a tensor, or `gather`.
- rows-by-class: The target was used to pick rows. A class index names a column: look up which
  dimension the first index runs along.
- log-again: What arrives here is a logarithm already, and of a negative number there is none. Look
  up what NLLLoss expects as its input.
- exp: That is the probability of the label, not its logarithm: the exponential undoes what the
  input already is.
- all-classes: Every class was averaged, and the target is not used at all. Only the labelled column
  counts.
- divided-by-all: The sum over the labels was divided by the number of all entries, rows times
  classes. How many numbers were picked?
- argmax: That is the loss of the class that the model believes most, right or wrong: the target is
  not used.
- normalised-again: The value is right, since the log-softmax of a log-softmax is itself; the
  gradient is not. This loss takes its input as it is: the softmax belongs to whoever calls it.
""",
    cases={name: (z.log_softmax(1), t) for name, (z, t) in batches().items()},
    generic=LOSS,
    gradient=("log_probs",),
    shortcuts=("nll_loss",),
    mistakes={
        "all-pairs": lambda z, t: -z[:, t].mean(),
        "rows-by-class": lambda z, t: -z[t].mean(),
        "log-again": lambda z, t: F.nll_loss(z.log(), t),
        "exp": lambda z, t: F.nll_loss(z.exp(), t),
        "all-classes": lambda z, t: -z.mean(),
        "divided-by-all": lambda z, t: F.nll_loss(z, t, reduction="sum") / z.numel(),
        "argmax": lambda z, t: -z.max(dim=1).values.mean(),
        "normalised-again": lambda z, t: F.nll_loss(z.log_softmax(1), t),
    },
    right=(
        lambda z, t: -z.gather(1, t[:, None]).mean(),
        lambda p, t: torch.nn.NLLLoss()(p, t),
        lambda p, t: -torch.einsum("nk,nk->", p, F.one_hot(t, p.shape[1]).to(p.dtype)) / len(t),
        lambda p, t: -sum(row[k] for row, k in zip(p, t, strict=True)) / len(t),
    ),
    wrong=(
        (lambda p, t: -(p * F.one_hot(t)).sum(1).mean(), "Two shapes do not fit"),
        (lambda p, t: -p.gather(1, t).mean(), "Two shapes do not fit"),
        (lambda p, t: -labelled(p, t).median(), "logits between 0 and 1"),
    ),
)
def nll_loss(log_probs, target):
    """Mean over rows: log_probs (N, K), class indices (N,) -> one number."""
    picked = log_probs[torch.arange(len(target)), target]
    return -picked.mean()


def _calls_itself(logits):
    return _calls_itself(logits)


@function(
    r"""
### The sum that must not overflow

Write $\log \sum_k e^{z_k}$ for each row: logits (N, K) in, (N,) out. It must be finite for every
finite input, for logits of 1000 and of −1000 alike. Three lines. The gradient is compared as well.

Hint: $e^{1000}$ has no place in a float, and yet the answer is hardly more than 1000. What can be
taken out of the sum before anything is exponentiated?

Hint: With $m$ the largest logit of a row, $\sum_k e^{z_k} = e^m \sum_k e^{z_k - m}$. No exponent on
the right is above 0, and one of them is exactly 0. Every row needs its own $m$, of shape (N, 1)
while you subtract.

Hint: `logits.max(dim=1, keepdim=True).values` holds the row maxima. Subtract them, exponentiate,
sum over the classes, take the logarithm; then add them back, without the extra dimension.

Moral: Take out the largest, and no exponential can overflow and no sum can be zero. Cross-entropy
is this minus the labelled logit.

- naive: Right for small logits, infinite for large ones: the exponential overflows before the
  logarithm can bring it back. Look up the log-sum-exp trick.
- not-shifted-back: What was taken out of the exponentials has not been put back: the result no
  longer moves when all logits do.
- shifted-twice: The largest logit went out with a minus and came back with a minus. Write the
  identity on paper: exp(z) = exp(m) times what?
- one-shift-for-all: One shift for the whole batch saves the largest row only; in a row far below
  it, every exponential becomes zero. Whose maximum does a row need?
- mean: That is the logarithm of a mean: the result is too small by the logarithm of the number of
  classes.
- no-log: The sum of exponentials is there, the logarithm around it is not.
- max-only: That is the largest logit alone. The log-sum-exp is a smooth maximum, always above the
  hard one: the smaller terms still count.
- log-of-exp: The logarithm was taken of every exponential before the sum, and so undid it. The
  order of the three steps is in the name, read from the right.
- clamped: Cutting the logits off keeps them from overflowing, and changes every answer beyond the
  cut. A shift changes none: look up the log-sum-exp trick.
""",
    cases=tables(),
    generic=("log2", "log10", "over-the-batch"),
    gradient=("logits",),
    shortcuts=("logsumexp",),
    mistakes={
        "naive": lambda z: z.exp().sum(1).log(),
        "not-shifted-back": lambda z: (z - z.amax(1, keepdim=True)).exp().sum(1).log(),
        "shifted-twice": lambda z: (z - z.amax(1, keepdim=True)).exp().sum(1).log() - z.amax(1),
        "one-shift-for-all": lambda z: z.max() + (z - z.max()).exp().sum(1).log(),
        "mean": lambda z: torch.logsumexp(z, 1) - math.log(z.shape[1]),
        "no-log": lambda z: z.exp().sum(1),
        "max-only": lambda z: z.amax(1),
        "log-of-exp": lambda z: z.sum(1),
        "clamped": lambda z: z.clamp(-80, 80).exp().sum(1).log(),
    },
    right=(
        lambda z: torch.logsumexp(z, 1),
        lambda z: torch.stack([row.logsumexp(0) for row in z]),
        lambda z: z[:, 0] - z.log_softmax(1)[:, 0],
        lambda z: z.amax(1) + (z - z.amax(1, keepdim=True)).exp().sum(1).log(),
    ),
    wrong=(
        (lambda z: [row.logsumexp(0) for row in z], "has to become one tensor again"),
        (lambda z: (z - z.max(1).values).exp().sum(1).log() + z.max(1).values, "Two shapes do not"),
        (_calls_itself, "calls itself without end"),
        (lambda z: z.logsumexp(1) * 2, "Every value is 2 times"),
    ),
)
def logsumexp(logits):
    """Over the classes: logits (N, K) -> (N,), finite for every finite input."""
    largest = logits.max(dim=1, keepdim=True).values
    shifted = logits - largest
    return largest.squeeze(1) + shifted.exp().sum(dim=1).log()


def _true_probs(logits, target):
    return logits.softmax(1)[torch.arange(len(target)), target]


def _naive(logits, target):
    exps = logits.exp()
    probs = exps / exps.sum(1, keepdim=True)
    return -probs[torch.arange(len(target)), target].log().mean()


def _one_hot(logits, target):
    return F.one_hot(target, logits.shape[1]).to(logits.dtype)


def _loop_with_math(logits, target):
    total = 0.0
    for row, label in zip(logits, target, strict=True):
        total += -math.log(row.softmax(0)[label])
    return total / len(target)


def _leaves_the_program(logits, target):
    sys.exit(3)


@function(
    r"""
### What each logit is told

The gradient of the mean cross-entropy with respect to the logits, by pencil and not by autograd:
logits (N, K) and class indices (N,) go in, the gradient (N, K) comes out. Three lines.

Hint: The loss of a row is log-sum-exp minus the labelled logit. Take the derivative of each of the
two parts on paper.

Hint: $\partial \ell / \partial z_k = p_k - q_k$: what the model said minus what was true, with $q$
the label as one row of zeros and a one. The mean shares it among the N rows.

Hint: `softmax(dim=1)` is p; `torch.nn.functional.one_hot` with the number of classes is q, and the
rows are `len(target)`.

Moral: p - q is the whole of it: every row of the gradient adds up to 0, so what the label's logit
gains, the others lose. No confident mistake is forgotten, since p - q is largest there.

- reversed: That points downhill, the way a step of gradient descent goes. The gradient points
  uphill: which is subtracted from which?
- no-mean: That is the gradient of the sum. The loss is a mean: what is each row's share of it?
- divided-by-all: It was divided by all entries, rows times classes. The mean runs over the rows.
- label-only: Only the label's logit has a gradient here. A softmax makes the classes compete: what
  happens to the others when one grows?
- probabilities: Those are the probabilities, shared among the rows; the label is not used.
- no-softmax: The logits were compared with the label. Which numbers add up to 1 like the label's?
- over-the-batch: The softmax ran down the columns, so that the rows of the batch compete with each
  other. Which dimension holds the classes?
- sigmoid: Each logit was judged alone. That is the gradient of K yes-or-no losses: look up softmax.
- softmax-slope: The slope of a sigmoid is in there as a factor; in this loss it cancels.
""",
    cases=batches(),
    shortcuts=("grad", "backward"),
    mistakes={
        "reversed": lambda z, t: (_one_hot(z, t) - z.softmax(1)) / len(t),
        "no-mean": lambda z, t: z.softmax(1) - _one_hot(z, t),
        "divided-by-all": lambda z, t: (z.softmax(1) - _one_hot(z, t)) / z.numel(),
        "label-only": lambda z, t: _one_hot(z, t) * (z.softmax(1) - 1) / len(t),
        "probabilities": lambda z, t: z.softmax(1) / len(t),
        "no-softmax": lambda z, t: (z - _one_hot(z, t)) / len(t),
        "over-the-batch": lambda z, t: (z.softmax(0) - _one_hot(z, t)) / len(t),
        "sigmoid": lambda z, t: (z.sigmoid() - _one_hot(z, t)) / len(t),
        "softmax-slope": lambda z, t: (
            (z.softmax(1) - _one_hot(z, t)) * z.softmax(1) * (1 - z.softmax(1)) / len(t)
        ),
    },
    right=(
        torch.func.grad(F.cross_entropy),
        lambda z, t: (
            torch.stack([p - F.one_hot(k, len(p)) for p, k in zip(z.softmax(1), t, strict=True)])
            / len(t)
        ),
        lambda z, t: (
            z.softmax(1).index_put((torch.arange(len(t)), t), -z.new_ones(()), True) / len(t)
        ),
    ),
    wrong=(
        (lambda z, t: (z.softmax(1) - t) / len(t), "Two shapes do not fit"),
        (lambda z, t: (z.softmax(1) - F.one_hot(t)) / len(t), "Two shapes do not fit"),
        (lambda z, t: 2 * (z.softmax(1) - _one_hot(z, t)) / len(t), "Every value is 2 times"),
    ),
)
def cross_entropy_gradient(logits, target):
    """Gradient of the mean loss: logits (N, K), target (N,) -> (N, K)."""
    label = torch.nn.functional.one_hot(target, logits.shape[1])
    return (logits.softmax(dim=1) - label) / len(target)


@function(
    r"""
### Cross-entropy by hand

The whole of it, without torch's own: logits (N, K) and class indices (N,) in, the mean loss out.
Logits of ±1000 must be no trouble. Three lines. The gradient is compared as well.

Hint: Four steps: probabilities, logarithm, pick, average. The first two belong together: taken one
after the other, a tiny probability has become 0 before its logarithm is asked for.

Hint: The logarithm of a softmax is a subtraction: $\log p_k = z_k - \log \sum_j e^{z_j}$. The sum
runs over the classes and has shape (N, 1), so that it can be subtracted from (N, K).

Hint: torch has the stable sum as a method, with `dim` and `keepdim`. Subtract it from the logits,
pick `[torch.arange(len(target)), target]`, and the negative mean is the loss.

Moral: Softmax, log, pick, mean, and the first two together, so that a logit of 1000 is just another
number.

- no-log: The probability of the label is there, its logarithm is not. Without it a confident
  mistake costs hardly more than a timid one: look up log-likelihood.
- over-the-batch: The probabilities of a column add up to 1, not those of a row: the rows of the
  batch compete with each other. Which dimension holds the classes?
- divided-by-all: The sum is right, but it was divided by all entries, rows times classes. A one-hot
  row holds zeros that are not samples: how many rows are there?
- double-softmax: A softmax was applied to probabilities: it is in there twice, and the loss can no
  longer come near zero. Look up which losses of torch expect logits.
- raw-logits: The logits were picked as they are; they are not log-probabilities yet. Look up what
  has to be subtracted to normalise them.
- sigmoid: Each logit went through a sigmoid on its own, so the K numbers of a row need not add up
  to 1. Classes that exclude each other compete: look up softmax.
- bce-on-one-hot: That is binary cross-entropy on a one-hot table: K separate yes-or-no questions
  instead of one choice among K.
- log-of-mean: The mean was taken before the logarithm. The two do not commute (Jensen's
  inequality), and one bad row can hide behind the others.
- naive-exp: Right for small logits, NaN for large ones: infinity divided by infinity. Look up the
  log-sum-exp trick, or what `log_softmax` does better than log of softmax.
- log-of-softmax: Right until a probability becomes so small that it is stored as 0: then its
  logarithm is infinite. Softmax and logarithm have to be taken in one step: look up `log_softmax`.
- eps: A small number inside the logarithm keeps it finite, and changes every value a little and a
  confident mistake a lot: the loss stops growing there. Look up `log_softmax`, which needs no such
  crutch.
- clamp: A clamp keeps the logarithm finite and takes the gradient away just where the model is most
  wrong. Look up `log_softmax`, which needs none.
- all-pairs: Every row met every target, not just its own: N by N numbers were picked. Look up how
  indexing with two index tensors differs from indexing with a slice and a tensor, or `gather`.
- all-classes: All classes were averaged, and the target is not used: this is the cross-entropy
  against a uniform label.
- argmax: That is the loss of the class that the model likes best. The label decides which
  probability counts, not the model.
- entropy: That is the entropy of the model's own probabilities; the label is not used. Look up how
  cross-entropy and entropy differ.
""",
    cases=batches(),
    generic=LOSS,
    gradient=("logits",),
    shortcuts=("cross_entropy",),
    right=(
        lambda z, t: F.cross_entropy(z.float(), t),
        lambda z, t: F.nll_loss(F.log_softmax(z, 1), t),
        lambda z, t: (z.logsumexp(1) - z.gather(1, t[:, None]).squeeze(1)).mean(),
        lambda z, t: -(F.one_hot(t, z.shape[1]) * z.log_softmax(-1)).sum(-1).mean(),
    ),
    mistakes={
        "no-log": lambda z, t: -_true_probs(z, t).mean(),
        "over-the-batch": lambda z, t: F.nll_loss(z.log_softmax(0), t),
        "divided-by-all": lambda z, t: F.cross_entropy(z, t) / z.shape[1],
        "double-softmax": lambda z, t: F.cross_entropy(z.softmax(1), t),
        "raw-logits": lambda z, t: F.nll_loss(z, t),
        "sigmoid": lambda z, t: F.nll_loss(F.logsigmoid(z), t),
        "bce-on-one-hot": lambda z, t: F.binary_cross_entropy_with_logits(z, _one_hot(z, t)),
        "log-of-mean": lambda z, t: -_true_probs(z, t).mean().log(),
        "naive-exp": _naive,
        "log-of-softmax": lambda z, t: -_true_probs(z, t).log().mean(),
        "eps": lambda z, t: -(_true_probs(z, t) + 1e-8).log().mean(),
        "clamp": lambda z, t: -_true_probs(z, t).clamp(min=1e-12).log().mean(),
        "all-pairs": lambda z, t: -z.log_softmax(1)[:, t].mean(),
        "all-classes": lambda z, t: -z.log_softmax(1).mean(),
        "argmax": lambda z, t: F.cross_entropy(z, z.argmax(1)),
        "entropy": lambda z, t: -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(),
    },
    wrong=(
        (_loop_with_math, "so small that it is stored as 0"),
        (_leaves_the_program, "ends the whole program"),
        (lambda z, t: -torch.log(z.softmax(1)[t]).mean(), "which of the dimensions does the index"),
        (lambda z, t: 1.5 * F.cross_entropy(z, t), "Every value is 1.5 times"),
        (lambda z, t: F.cross_entropy(z.detach(), t), "was something detached"),
        (lambda z, t: F.cross_entropy(z, t).item(), "The number itself is right"),
        (lambda z: z, "The check calls your function as `cross_entropy(logits, target)`"),
        (lambda z, t: None, "is a `return` missing?"),
        (lambda z, t: F.cross_entropy, "are the brackets missing?"),
    ),
)
def cross_entropy(logits, target):
    """Mean over rows: logits (N, K), class indices (N,) -> one number."""
    log_probs = logits - logits.logsumexp(dim=1, keepdim=True)
    picked = log_probs[torch.arange(len(target)), target]
    return -picked.mean()


def _mean_weight(logits, target, weight):
    losses = F.cross_entropy(logits, target, reduction="none")
    return (weight[target] * losses).mean() / weight.mean()


@function(
    """
### Class weights

A rare class is to count more. Logits (N, K), class indices (N,) and one weight per class, (K,), in;
the weighted mean loss out, in torch's sense of a weighted mean. Four lines; `log_softmax` is
allowed. The gradient is compared as well.

Hint: Every row carries the weight of its own class. What must a weighted mean be divided by, so
that weights of 2, 2, 2 give the same as weights of 1, 1, 1?

Hint: One loss per row, (N,), and one weight per row, (N,): the weights are looked up in the table
of class weights by the target.

Hint: `weight[target]` is that look-up. Multiply, sum, and divide by the sum of these same row
weights, not by N and not by `weight.sum()`.

Moral: The mean divides by the summed weights of the labels, so a batch of one class only does not
feel its weight at all. `pos_weight` of the binary loss divides by the count instead.

- unweighted: The weights do not reach the result. Which weight belongs to which row?
- divided-by-rows: The weighted losses are right, and divided by the number of rows. Look up what a
  weighted mean is divided by.
- divided-by-all-weights: The weighted losses are right, and divided by the weights of all classes,
  whether they occur or not. Look up what a weighted mean is divided by.
- weighted-logits: The weights went into the logits and so changed the probabilities. A class weight
  says how much a row's loss counts, not what the model believes.
- weight-of-prediction: Each row was weighted by the class that the model chose. The weight belongs
  to the class that the row really has.
- inverse: The rows were divided by their weights: the classes that should count most now count
  least.
- squared: The weights are in there twice, once too often.
- mean-of-class-means: Every class got its own mean, and these were weighted. That takes away how
  often a class occurs; a class weight counts every row of its class.
""",
    cases={
        **{name: (z, t, _WEIGHTS[: z.shape[1]]) for name, (z, t) in batches().items()},
        "one class only": (floats([0.4, 1.1], [2.0, -0.3]), classes(1, 1), floats(1.0, 5.0)),
        "a weight of zero": (floats([0.4, 1.1], [2.0, -0.3]), classes(1, 0), floats(0.0, 5.0)),
    },
    generic=("no-minus", "sum", "log2", "log10"),
    gradient=("logits",),
    shortcuts=("cross_entropy", "nll_loss"),
    mistakes={
        "unweighted": lambda z, t, w: F.cross_entropy(z, t),
        "divided-by-rows": lambda z, t, w: F.cross_entropy(z, t, w, reduction="sum") / len(t),
        "divided-by-all-weights": lambda z, t, w: (
            F.cross_entropy(z, t, w, reduction="sum") / w.sum()
        ),
        "weighted-logits": lambda z, t, w: F.cross_entropy(z * w, t),
        "weight-of-prediction": lambda z, t, w: (
            (w[z.argmax(1)] * F.cross_entropy(z, t, reduction="none")).sum() / w[z.argmax(1)].sum()
        ),
        "inverse": lambda z, t, w: F.cross_entropy(z, t, 1 / w),
        "squared": lambda z, t, w: F.cross_entropy(z, t, w**2),
        "mean-of-class-means": lambda z, t, w: (
            sum(w[k] * F.cross_entropy(z[t == k], t[t == k]) for k in t.unique())
            / w[t.unique()].sum()
        ),
    },
    right=(
        lambda z, t, w: F.cross_entropy(z, t, w),
        lambda z, t, w: F.nll_loss(z.log_softmax(1), t, w),
        lambda z, t, w: (w[t] * F.cross_entropy(z, t, reduction="none")).sum() / w[t].sum(),
        lambda z, t, w: -(w[t] @ labelled(z.log_softmax(1), t)) / w[t].sum(),
    ),
    wrong=(
        (_mean_weight, "one row, two classes"),
        (lambda z, t, w: F.cross_entropy(z, t, weight=w[t]), "weight tensor should be defined"),
        (lambda z, t, w: (F.cross_entropy(z, t, reduction="none") * w).mean(), "Two shapes do not"),
    ),
)
def weighted_cross_entropy(logits, target, weight):
    """Weighted mean: logits (N, K), target (N,), weight (K,) -> one number."""
    log_probs = logits.log_softmax(dim=1)
    losses = -log_probs[torch.arange(len(target)), target]
    row_weights = weight[target]
    return (row_weights * losses).sum() / row_weights.sum()


def _soft(z, t, smoothing, share, top):
    """Cross-entropy against a table with ``top`` at the label and ``share`` everywhere else."""
    hot = _one_hot(z, t)
    return -((top * hot + share * (1 - hot)) * z.log_softmax(1)).sum(1).mean()


@function(
    """
### Label smoothing

A label of 1 can be reached by no finite logit. With smoothing $s$ the target becomes a mixture: $1
- s$ parts the label, $s$ parts the uniform distribution over all K classes. Logits (N, K), class
indices (N,) and a number $s$ in; the mean loss out. Four lines; `log_softmax` is allowed. The
gradient is compared as well.

Hint: Cross-entropy is linear in the target. What does that say about the loss against a mixture of
two targets?

Hint: Two losses per row, both of shape (N,): one against the label, as always, and one against the
uniform distribution, to which every class contributes $1/K$.

Hint: The second one is `-log_probs.mean(dim=1)`. Mix the two with $1 - s$ and $s$, then average
over the rows.

Moral: A smoothed label is a mixture of the one-hot label and the uniform one, so the loss is the
same mixture of two losses. Being sure now has a price: see the huge logits.

- unsmoothed: The smoothing does not reach the result: this is plain cross-entropy.
- others-only: The mass was spread over the K - 1 other classes. That is one known definition;
  torch's spreads it over all K, the label among them: look up the uniform mixture.
- mass-lost: The label gives away all of the smoothing and gets no share of it back: the smoothed
  row adds up to less than 1. Every class gets a share, the label too.
- mass-added: Every class got its share, and the label kept all it had: the smoothed row adds up to
  more than 1. Where does the share come from?
- swapped: The two parts have changed places: a small smoothing should leave the label nearly alone.
- uniform-sum: The part of the uniform label was added up over the classes. A uniform label gives
  each of them 1/K: which reduction is that?
- uniform-sign: The part of the uniform label has the wrong sign: it rewards certainty instead of
  charging for it.
- entropy: That is a reward for entropy, the confidence penalty: a relative of label smoothing.
  Smoothing changes the target, not the model's share in the sum.
- smoothed-probs: The predictions were mixed with the uniform distribution, and the label stayed
  hard. It is the label that label smoothing softens.
""",
    cases=batches((0.2,), (0.1,), (0.3,), (0.0,), (0.5,)),
    generic=LOSS,
    gradient=("logits",),
    shortcuts=("cross_entropy",),
    mistakes={
        "unsmoothed": lambda z, t, s: F.cross_entropy(z, t),
        "others-only": lambda z, t, s: _soft(z, t, s, s / (z.shape[1] - 1), 1 - s),
        "mass-lost": lambda z, t, s: _soft(z, t, s, s / z.shape[1], 1 - s),
        "mass-added": lambda z, t, s: _soft(z, t, s, s / z.shape[1], 1 + s / z.shape[1]),
        "swapped": lambda z, t, s: F.cross_entropy(z, t, label_smoothing=1 - s),
        "uniform-sum": lambda z, t, s: (
            (1 - s) * F.cross_entropy(z, t) - s * z.log_softmax(1).sum(1).mean()
        ),
        "uniform-sign": lambda z, t, s: (
            (1 - s) * F.cross_entropy(z, t) + s * z.log_softmax(1).mean()
        ),
        "entropy": lambda z, t, s: (
            (1 - s) * F.cross_entropy(z, t) - s * (z.softmax(1) * z.log_softmax(1)).sum(1).mean()
        ),
        "smoothed-probs": lambda z, t, s: (
            -((1 - s) * _true_probs(z, t) + s / z.shape[1]).log().mean()
        ),
    },
    right=(
        lambda z, t, s: F.cross_entropy(z, t, label_smoothing=s),
        lambda z, t, s: F.cross_entropy(z, (1 - s) * F.one_hot(t, z.shape[1]) + s / z.shape[1]),
        lambda z, t, s: (1 - s) * F.cross_entropy(z, t) - s * z.log_softmax(1).mean(),
    ),
    wrong=(
        (lambda z, t, s: (1 - s) * F.cross_entropy(z, t) + s, "2 of 12 cases agree"),
        (lambda z, t, s: F.cross_entropy(z / (1 - s), t), "smoothing  0.2"),
        (lambda z, t, s: F.cross_entropy(z, t * (1 - s)), "The dtypes do not fit"),
        (lambda z, t: F.cross_entropy(z, t), "(logits, target, smoothing)"),
    ),
)
def smoothed_cross_entropy(logits, target, smoothing):
    """Mean over rows: logits (N, K), target (N,), smoothing -> one number."""
    log_probs = logits.log_softmax(dim=1)
    labelled = -log_probs[torch.arange(len(target)), target]
    uniform = -log_probs.mean(dim=1)
    return ((1 - smoothing) * labelled + smoothing * uniform).mean()
