"""The binary heads: one logit or two, and what each output means."""

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOSS
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import bce, margin
from companion.exercises.catalogues._kinds import floats, pairs, samples

SUBJECT = "binary heads"


_TWO = floats([0.5, 1.5], [2.0, -1.0], [-0.3, 0.4])
_SQUARE = floats([1.2, -0.7], [0.1, 0.9])
_HUGE = floats([1000.0, -1000.0], [-1000.0, 1000.0], [0.0, 1000.0])


@prediction(
    """
### Predict: one output or two

Before you run anything. A model ends in three features, and a linear head with one output or with
two is put on top.

- How many more parameters does the head with two outputs have (`spare_parameters`)?
- How many outputs does it take to give the probabilities of two classes (`output_size`)?
- What is the loss of either head when all its logits are 0, to two decimals (`loss_at_zero`)?
- Both heads start from the same function and take one step of plain gradient descent on one sample,
  with the same learning rate. How many times as far does $z_1 - z_0$ move in the two-output head as
  $z$ does in the other, through the biases alone (`step_ratio`)?
- Do two heads with equal logit differences decide alike, "yes" or "no" (`same_decisions`)?

Hint: Two probabilities that add up to 1 are one number. A head that states both has said something
twice.

Hint: A linear layer has a weight for each pair of feature and output, and a bias for each output.
At logits of zero both classes have the same probability: its negative natural logarithm is the
loss.

Hint: With $d = z_1 - z_0$ the gradient with respect to $z_1$ is the derivative with respect to $d$,
and with respect to $z_0$ its negative. Take the step in both and subtract.

Moral: The two heads are one model with a spare direction. What differs is how they are trained, not
what they can say.

- biases-forgotten: A linear layer has a bias for each output as well as its weights.
- all-parameters: Those are all the parameters of the larger head. How many of them does the smaller
  one have, too?
- two-outputs: Two classes need two probabilities, but not two outputs: when one is known, what is
  the other? Look up the Bernoulli distribution.
- loss-zero: Logits of zero are no certainty: both classes get one half. What is the cross-entropy
  of one half?
- loss-half: One half is the probability. The loss is its negative logarithm.
- same-step: The losses agree, and the steps do not: work out the gradient for each of the two
  logits, take the step, and only then the difference.
- half-step: It is the other way round: when both logits move apart, does their difference change
  more or less than each of them?
- other-decisions: Two logits choose the larger one. Write that as a question about their
  difference.
""",
    options={"same_decisions": ("yes", "no")},
    mistakes={
        "biases-forgotten": {"spare_parameters": 3},
        "all-parameters": {"spare_parameters": 8},
        "two-outputs": {"output_size": 2},
        "loss-zero": {"loss_at_zero": 0.0},
        "loss-half": {"loss_at_zero": 0.5},
        "same-step": {"step_ratio": 1},
        "half-step": {"step_ratio": 0.5},
        "other-decisions": {"same_decisions": "no"},
    },
    wrong=(
        (lambda: (4, 2, 0.5, 2, "yes"), "output_size: Two classes need two probabilities"),
        (lambda: (4, 1, 0.69, 4, "yes"), "Work it through on paper"),
        (lambda: (4, 1, 0.69, 2, "maybe"), "same_decisions: choose one of 'yes', 'no'"),
    ),
)
def predict_binary_heads():
    """Five answers: two counts, a loss to two decimals, a factor, a yes or no."""
    spare_parameters = 4  # two outputs of 3 weights and a bias, instead of one
    output_size = 1  # a sigmoid gives the other side as 1 - p
    loss_at_zero = 0.69  # ln 2, in the one-logit form and in the two-logit form
    step_ratio = 2  # both logits move, in opposite directions
    same_decisions = "yes"  # z1 > z0 is the same question as z1 - z0 > 0
    return spare_parameters, output_size, loss_at_zero, step_ratio, same_decisions


_PARAMETERS = {
    "one feature": (floats([0.5], [2.0]), floats(0.1, -0.3)),
    "three features": (floats([1.0, -2.0, 0.5], [0.3, 0.7, -1.5]), floats(0.2, 0.9)),
    "two features, a square weight": (floats([0.4, -1.1], [2.5, 0.6]), floats(-0.8, 0.3)),
    "a first row of zeros": (floats([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), floats(0.0, 4.0)),
}


@function(
    r"""
### From two logits to one

A head with two outputs has been trained, and you would like the same model with one. The weight (2,
H) and the bias (2,) go in; the weight (1, H) and the bias (1,) of a head come out, whose sigmoid is
the old softmax probability of class 1. One line, a pair.

Hint: Which single number decides what a softmax over two logits says?

Hint: $\mathrm{softmax}(z_0, z_1)_1 = \sigma(z_1 - z_0)$, and each $z$ is linear in the features:
their difference is linear as well. Its weight still needs two dimensions, (1, H).

Hint: Subtract row 0 from row 1, and do the same with the biases. A slice such as `[1:]` keeps the
dimension that an index such as `[1]` drops.

Moral: Softmax over two logits sees their difference and nothing else, so two rows of weights carry
the meaning of one.

- reversed: That is the logit of class 0: with these weights a sigmoid gives the probability of the
  negative class. Which class is the positive one?
- second-row: The row of class 1 alone is not enough, since class 0 has a voice as well: a softmax
  asks how far the one is above the other.
- bias-kept: The weights are right; the bias of class 0 has been forgotten. It shifts the difference
  like any weight.
- bias-zero: The weights are right; a bias is part of the head, too.
- sum: The two rows were added. A constant added to both logits must not change the answer, and to a
  sum it does: look up shift invariance.
- mean: The two rows were averaged. The softmax does not see the mean of two logits, only how they
  differ.
- flat: The numbers are right. The weight of a linear layer with one output still has two
  dimensions, and its bias one: look up what indexing with a number does to a shape, and what a
  slice does.
- columns: The columns were subtracted, and those are features. Which dimension of the weight of a
  linear layer holds the outputs?
- softmax: A softmax of the parameters is not the parameters of a softmax: the map is between two
  linear layers and is linear itself.
""",
    cases=_PARAMETERS,
    right=(
        lambda w, b: (w.diff(dim=0), b.diff()),
        lambda w, b: ((w[1] - w[0])[None], (b[1] - b[0])[None]),
        lambda w, b: ((w[1:] - w[:1]).detach(), (b[1:] - b[:1]).detach()),
    ),
    mistakes={
        "reversed": lambda w, b: (w[:1] - w[1:], b[:1] - b[1:]),
        "second-row": lambda w, b: (w[1:], b[1:]),
        "bias-kept": lambda w, b: (w[1:] - w[:1], b[1:]),
        "bias-zero": lambda w, b: (w[1:] - w[:1], torch.zeros(1, dtype=b.dtype)),
        "sum": lambda w, b: (w[1:] + w[:1], b[1:] + b[:1]),
        "mean": lambda w, b: (w.mean(0, keepdim=True), b.mean(0, keepdim=True)),
        "flat": lambda w, b: (w[1] - w[0], b[1] - b[0]),
        "columns": lambda w, b: (w[:, 1:] - w[:, :1], b[1:] - b[:1]),
        "softmax": lambda w, b: (w.softmax(0)[1:], b.softmax(0)[1:]),
    },
    wrong=(
        (lambda w, b: w[1:] - w[:1], "2 values are asked for, as a tuple"),
        (lambda w, b: (w[1:] - w[:1], 2 * (b[1:] - b[:1])), "Value 2 of 2 is the first"),
        (lambda w, b: (w[2:] - w[1:], b[1:] - b[:1]), "Value 1 of 2"),
    ),
)
def one_logit_head(weight, bias):
    """Two-logit weight (2, H), bias (2,) -> one-logit (1, H) and (1,)."""
    return weight[1:] - weight[:1], bias[1:] - bias[:1]


def _two(w, b, zero, one):
    return torch.cat([zero * w, one * w]), torch.cat([zero * b, one * b])


@function(
    """
### From one logit to two

And back: weight (1, H) and bias (1,) in; weight (2, H) and bias (2,) out, with the same
probabilities. Many heads do that; make the one in which class 0 is the reference, all zeros. Two
lines and a return.

Hint: Only the difference of the two logits counts, and it has to be the old logit. What is the
simplest pair of numbers with a given difference?

Hint: Row 0 of the new weight is zeros of the shape of the old one, row 1 is the old one: (1, H) and
(1, H) become (2, H). The biases go the same way.

Hint: `torch.zeros_like` makes the row of zeros; `torch.cat` joins along the first dimension, as it
is.

Moral: Class 0 is the reference, with a logit of zero, and class 1 says how far it is above: the way
back is a subtraction.

- swapped: The zeros are in the row of class 1, so the head's opinion is turned around. Which row
  speaks for the positive class?
- halves: As a head this is just as right: only the difference counts, and it is the same. Asked for
  is the form in which class 0 is the reference, all zeros.
- doubled: With the logits -z and z the difference is 2z: this head is twice as sure as the one it
  came from.
- copied: Both classes got the same weights, so the difference is always zero and the answer always
  one half.
- bias-copied: The weights are right; the bias went to both classes and cancels. Class 0 has no bias
  of its own here.
- bias-lost: The weights are right; the bias has been lost on the way.
- one-minus: 1 - p belongs to probabilities. Weights and logits have no total of 1 to share: which
  logit has a difference of z to z?
""",
    cases={
        "one feature": (floats([2.0]), floats(-0.3)),
        "three features": (floats([0.3, 0.7, -1.5]), floats(0.9)),
        "two features": (floats([2.5, 0.6]), floats(0.3)),
    },
    mistakes={
        "swapped": lambda w, b: _two(w, b, 1, 0),
        "halves": lambda w, b: _two(w, b, -0.5, 0.5),
        "doubled": lambda w, b: _two(w, b, -1, 1),
        "copied": lambda w, b: _two(w, b, 1, 1),
        "bias-copied": lambda w, b: (_two(w, b, 0, 1)[0], torch.cat([b, b])),
        "bias-lost": lambda w, b: (_two(w, b, 0, 1)[0], torch.zeros(2, dtype=b.dtype)),
        "one-minus": lambda w, b: (torch.cat([1 - w, w]), torch.cat([1 - b, b])),
    },
    right=(
        lambda w, b: [F.pad(w, (0, 0, 1, 0)), F.pad(b, (1, 0))],
        lambda w, b: (torch.vstack([0 * w, w]), torch.hstack([0 * b, b])),
        lambda w, b: (torch.stack([0 * w[0], w[0]]), torch.stack([0 * b[0], b[0]])),
    ),
    wrong=(
        (lambda w, b: (torch.cat([0 * w, w]), b), "Value 2 of 2"),
        (lambda w, b: (torch.cat([torch.zeros(1), w]), b), "Two shapes do not fit"),
        (lambda w, b: (torch.cat([w.abs(), w]), torch.cat([0 * b, b])), "Value 1 of 2"),
    ),
)
def two_logit_head(weight, bias):
    """One-logit weight (1, H), bias (1,) -> two-logit (2, H) and (2,)."""
    two_rows = torch.cat([torch.zeros_like(weight), weight])
    two_biases = torch.cat([torch.zeros_like(bias), bias])
    return two_rows, two_biases


def _bce(logit, target, **options):
    return F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype), **options)


def _margin(z):
    return z[:, 1] - z[:, 0]


@function(
    """
### One loss, two ways

Compute the cross-entropy of two logits with a *binary* loss. Logits (N, 2) and class indices (N,),
int64, in; one number out, equal to what `CrossEntropyLoss` gives. Use `torch.nn.BCEWithLogitsLoss`.
Three lines. The gradient is compared as well.

Hint: The binary loss wants one logit: the log-odds of class 1 against class 0. The two logits hold
it.

Hint: Shapes: from (N, 2) to (N,), one column minus the other. And mind the dtype of the target: the
binary loss multiplies with it.

Hint: `logits[:, 1] - logits[:, 0]` is the logit; `target.to(logit.dtype)` is a target that the
binary loss takes.

Moral: The same loss and the same gradient, from half the outputs: the two heads differ in how they
are parametrised, not in what they are asked to do.

- reversed: The difference runs the wrong way: it is large where class 0 is likely. Which class does
  a target of 1 name?
- second-logit: The second logit alone is not the log-odds: what class 0 scored has to be taken off.
  Look up shift invariance.
- first-logit: That is the logit of class 0, on its own.
- both-columns: Each logit was asked a yes-or-no question of its own, against a one-hot label: two
  losses averaged where one is meant.
- double-sigmoid: A probability went into a loss that expects a logit, so the sigmoid is in there
  twice (the softmax of two logits is one, too). Look up what 'with logits' promises.
- softmax-first: A softmax written out by hand went into a loss that applies a sigmoid of its own,
  and for huge logits it is NaN besides. Logits are what this loss wants.
- bce-of-probs: Right for small logits; for huge ones the probability is stored as exactly 0 or 1
  and the loss is cut off at 100, where its gradient is 0. Look up why the loss with logits exists.
- halved: That is half the difference: the model seems less sure than it is.
""",
    cases=pairs(),
    generic=LOSS,
    gradient=("logits",),
    shortcuts=("cross_entropy",),
    mistakes={
        "reversed": lambda z, t: _bce(-_margin(z), t),
        "second-logit": lambda z, t: _bce(z[:, 1], t),
        "first-logit": lambda z, t: _bce(z[:, 0], t),
        "both-columns": lambda z, t: F.binary_cross_entropy_with_logits(
            z, F.one_hot(t, 2).to(z.dtype)
        ),
        "double-sigmoid": lambda z, t: _bce(_margin(z).sigmoid(), t),
        "softmax-first": lambda z, t: _bce(z[:, 1].exp() / z.exp().sum(1), t),
        "bce-of-probs": lambda z, t: F.binary_cross_entropy(_margin(z).sigmoid(), t.to(z.dtype)),
        "halved": lambda z, t: _bce(_margin(z) / 2, t),
    },
    right=(
        F.cross_entropy,
        lambda z, t: bce(margin(z), t.float()),
        lambda z, t: F.softplus(-margin(z) * (2 * t - 1)).mean(),
        lambda z, t: bce(z.diff(dim=1).squeeze(1), t.to(z.dtype)),
    ),
    wrong=(
        (lambda z, t: bce(z, t), "Two shapes do not fit"),
        (lambda z, t: F.cross_entropy(margin(z), t.to(z.dtype)), "one row"),
        (lambda z, t: bce(margin(z).abs(), t.to(z.dtype)), "one row, three classes"),
    ),
)
def two_class_loss(logits, target):
    """Cross-entropy by a binary loss: logits (N, 2), target (N,) -> number."""
    logit = logits[:, 1] - logits[:, 0]
    loss = torch.nn.BCEWithLogitsLoss()
    return loss(logit, target.to(logit.dtype))


@function(
    """
### Read any head

A small design: one function that reads each of the three heads. `head` is "sigmoid" (its output,
(N,), has gone through a sigmoid), "logit" (a logit, (N,)) or "two logits" (N, 2). Return the
probability of class 1, (N,). About five lines.

Hint: What has the model itself applied already, and what is still missing to make a probability of
it?

Hint: Nothing for the first, one function for the second. For the third a function over the classes,
which gives (N, 2), and then one column.

Hint: `output.sigmoid()` for the single logit; `output.softmax(dim=1)` for two, of which class 1 is
the second column.

Moral: The rule at inference belongs to the head: none, a sigmoid, or a softmax. The loss that
trained it knows which.

- sigmoid-twice: The head that already ends in a sigmoid got another one: its answers now lie
  between 0.5 and 0.73, and everybody seems positive.
- logit-as-prob: The one logit was handed on as it is. A logit is no probability: which function
  makes it one?
- class-zero: For two logits that is the probability of class 0.
- sigmoid-of-second: For two logits a sigmoid of the second one forgets the first: the classes
  compete. Look up softmax, or the sigmoid of which number it equals.
- over-the-batch: The softmax ran down the batch, so the probabilities of different samples add up
  to 1. Which dimension holds the classes?
- softmax-over-one: A softmax over the batch of single logits: the rows compete with each other. One
  logit alone belongs to another function.
- labels: Those are decisions, 0 or 1; the probabilities behind them are asked for.
- both-columns: For two logits both columns came back. The probability of the positive class is one
  of them.
- naive-exp: Right for small logits, NaN for huge ones: infinity divided by infinity. Look up the
  shift inside a softmax, or use torch's.
""",
    cases={
        **{f"two logits, {name}": (z, "two logits") for name, (z, _) in pairs().items()},
        **{f"one logit a row, {name}": (z, "logit") for name, (z, _) in samples().items()},
        "a probability a row": (floats(0.2, 0.9, 0.5), "sigmoid"),
        "one row that has a probability": (floats(0.3), "sigmoid"),
    },
    mistakes={
        "sigmoid-twice": lambda z, h: z.softmax(1)[:, 1] if h == "two logits" else z.sigmoid(),
        "logit-as-prob": lambda z, h: z.softmax(1)[:, 1] if h == "two logits" else z,
        "class-zero": lambda z, h: (
            z.softmax(1)[:, 0] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
        ),
        "sigmoid-of-second": lambda z, h: (
            z[:, 1].sigmoid() if h == "two logits" else (z.sigmoid() if h == "logit" else z)
        ),
        "over-the-batch": lambda z, h: (
            z.softmax(0)[:, 1] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
        ),
        "softmax-over-one": lambda z, h: (
            z.softmax(1)[:, 1] if h == "two logits" else (z.softmax(0) if h == "logit" else z)
        ),
        "labels": lambda z, h: (
            z.softmax(1)[:, 1] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
        ).round(),
        "both-columns": lambda z, h: (
            z.softmax(1) if h == "two logits" else (z.sigmoid() if h == "logit" else z)
        ),
        "naive-exp": lambda z, h: (
            z[:, 1].exp() / z.exp().sum(1)
            if h == "two logits"
            else (z.sigmoid() if h == "logit" else z)
        ),
    },
    right=(
        lambda o, h: (
            o if h == "sigmoid" else o.sigmoid() if h == "logit" else (o[:, 1] - o[:, 0]).sigmoid()
        ),
        lambda o, h: o if h == "sigmoid" else 1 / (1 + (-(o if h == "logit" else margin(o))).exp()),
        lambda o, h: (
            F.softmax(o, -1)[..., 1] if o.ndim == 2 else o if h == "sigmoid" else F.sigmoid(o)
        ),
    ),
    wrong=(
        (lambda o, h: o.sigmoid() if h == "logit" else o, "a dimension is left"),
        (lambda o, h: o.softmax(1)[:, 1], "such a dimension is not there"),
        (
            lambda o, h: o.softmax(1).max(1).values if h == "two logits" else o.sigmoid(),
            "one row that has a probability",
        ),
        (
            lambda o, h: not_set_yet,  # noqa: F821
            "has the cell that imports or sets",
        ),
    ),
)
def positive_probs(output, head):
    """P(class 1), (N,), for "sigmoid", "logit" (N,) or "two logits" (N, 2)."""
    if head == "sigmoid":
        return output
    if head == "logit":
        return output.sigmoid()
    return output.softmax(dim=1)[:, 1]
