"""The binary heads: one logit or two, and what each output means."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "binary heads"

_TWO = floats([0.5, 1.5], [2.0, -1.0], [-0.3, 0.4])
_SQUARE = floats([1.2, -0.7], [0.1, 0.9])
_HUGE = floats([1000.0, -1000.0], [-1000.0, 1000.0], [0.0, 1000.0])


def predict_binary_heads():
    """Five answers: two counts, a loss to two decimals, a factor, a yes or no."""
    spare_parameters = 4  # two outputs of 3 weights and a bias, instead of one
    output_size = 1  # a sigmoid gives the other side as 1 - p
    loss_at_zero = 0.69  # ln 2, in the one-logit form and in the two-logit form
    step_ratio = 2  # both logits move, in opposite directions
    same_decisions = "yes"  # z1 > z0 is the same question as z1 - z0 > 0
    return spare_parameters, output_size, loss_at_zero, step_ratio, same_decisions


_PREDICT = Prediction(
    name="predict_binary_heads",
    solution=predict_binary_heads,
    questions={
        "spare_parameters": (),
        "output_size": (),
        "loss_at_zero": (),
        "step_ratio": (),
        "same_decisions": ("yes", "no"),
    },
    mistakes=(
        Mistake(
            "biases-forgotten",
            "A linear layer has a bias for each output as well as its weights.",
            lambda: (3, 1, math.log(2), 2, "yes"),
        ),
        Mistake(
            "all-parameters",
            "Those are all the parameters of the larger head. How many of them does the smaller "
            "one have, too?",
            lambda: (8, 1, math.log(2), 2, "yes"),
        ),
        Mistake(
            "two-outputs",
            "Two classes need two probabilities, but not two outputs: when one is known, what is "
            "the other? Look up the Bernoulli distribution.",
            lambda: (4, 2, math.log(2), 2, "yes"),
        ),
        Mistake(
            "loss-zero",
            "Logits of zero are no certainty: both classes get one half. What is the "
            "cross-entropy of one half?",
            lambda: (4, 1, 0.0, 2, "yes"),
        ),
        Mistake(
            "loss-half",
            "One half is the probability. The loss is its negative logarithm.",
            lambda: (4, 1, 0.5, 2, "yes"),
        ),
        Mistake(
            "same-step",
            "The losses agree, and the steps do not: work out the gradient for each of the two "
            "logits, take the step, and only then the difference.",
            lambda: (4, 1, math.log(2), 1, "yes"),
        ),
        Mistake(
            "half-step",
            "It is the other way round: when both logits move apart, does their difference change "
            "more or less than each of them?",
            lambda: (4, 1, math.log(2), 0.5, "yes"),
        ),
        Mistake(
            "other-decisions",
            "Two logits choose the larger one. Write that as a question about their difference.",
            lambda: (4, 1, math.log(2), 2, "no"),
        ),
    ),
    moral="The two heads are one model with a spare direction. What differs is how they are "
    "trained, not what they can say.",
)


def one_logit_head(weight, bias):
    """Two-logit weight (2, H), bias (2,) -> one-logit (1, H) and (1,)."""
    return weight[1:] - weight[:1], bias[1:] - bias[:1]


_PARAMETERS = {
    "one feature": (floats([0.5], [2.0]), floats(0.1, -0.3)),
    "three features": (floats([1.0, -2.0, 0.5], [0.3, 0.7, -1.5]), floats(0.2, 0.9)),
    "two features, a square weight": (floats([0.4, -1.1], [2.5, 0.6]), floats(-0.8, 0.3)),
    "a first row of zeros": (floats([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), floats(0.0, 4.0)),
}

_ONE_LOGIT = Exercise(
    name="one_logit_head",
    solution=one_logit_head,
    cases=_PARAMETERS,
    moral="Softmax over two logits sees their difference and nothing else, so two rows of weights "
    "carry the meaning of one.",
    mistakes=(
        Mistake(
            "reversed",
            "That is the logit of class 0: with these weights a sigmoid gives the probability of "
            "the negative class. Which class is the positive one?",
            lambda w, b: (w[:1] - w[1:], b[:1] - b[1:]),
        ),
        Mistake(
            "second-row",
            "The row of class 1 alone is not enough, since class 0 has a voice as well: a softmax "
            "asks how far the one is above the other.",
            lambda w, b: (w[1:], b[1:]),
        ),
        Mistake(
            "bias-kept",
            "The weights are right; the bias of class 0 has been forgotten. It shifts the "
            "difference like any weight.",
            lambda w, b: (w[1:] - w[:1], b[1:]),
        ),
        Mistake(
            "bias-zero",
            "The weights are right; a bias is part of the head, too.",
            lambda w, b: (w[1:] - w[:1], torch.zeros(1, dtype=b.dtype)),
        ),
        Mistake(
            "halved",
            "That is half the difference. It belongs to logits (-z, z), whose softmax is the "
            "sigmoid of 2z.",
            lambda w, b: ((w[1:] - w[:1]) / 2, (b[1:] - b[:1]) / 2),
        ),
        Mistake(
            "sum",
            "The two rows were added. A constant added to both logits must not change the "
            "answer, and to a sum it does: look up shift invariance.",
            lambda w, b: (w[1:] + w[:1], b[1:] + b[:1]),
        ),
        Mistake(
            "mean",
            "The two rows were averaged. The softmax does not see the mean of two logits, only "
            "how they differ.",
            lambda w, b: (w.mean(0, keepdim=True), b.mean(0, keepdim=True)),
        ),
        Mistake(
            "flat",
            "The numbers are right. The weight of a linear layer with one output still has two "
            "dimensions, and its bias one: look up what indexing with a number does to a shape, "
            "and what a slice does.",
            lambda w, b: (w[1] - w[0], b[1] - b[0]),
        ),
        Mistake(
            "columns",
            "The columns were subtracted, and those are features. Which dimension of the weight "
            "of a linear layer holds the outputs?",
            lambda w, b: (w[:, 1:] - w[:, :1], b[1:] - b[:1]),
        ),
        Mistake(
            "softmax",
            "A softmax of the parameters is not the parameters of a softmax: the map is between "
            "two linear layers and is linear itself.",
            lambda w, b: (w.softmax(0)[1:], b.softmax(0)[1:]),
        ),
    ),
)


def two_logit_head(weight, bias):
    """One-logit weight (1, H), bias (1,) -> two-logit (2, H) and (2,)."""
    two_rows = torch.cat([torch.zeros_like(weight), weight])
    two_biases = torch.cat([torch.zeros_like(bias), bias])
    return two_rows, two_biases


def _two(w, b, zero, one):
    return torch.cat([zero * w, one * w]), torch.cat([zero * b, one * b])


_TWO_LOGIT = Exercise(
    name="two_logit_head",
    solution=two_logit_head,
    cases={
        "one feature": (floats([2.0]), floats(-0.3)),
        "three features": (floats([0.3, 0.7, -1.5]), floats(0.9)),
        "two features": (floats([2.5, 0.6]), floats(0.3)),
    },
    moral="Class 0 is the reference, with a logit of zero, and class 1 says how far it is above: "
    "the way back is a subtraction.",
    mistakes=(
        Mistake(
            "swapped",
            "The zeros are in the row of class 1, so the head's opinion is turned around. Which "
            "row speaks for the positive class?",
            lambda w, b: _two(w, b, 1, 0),
        ),
        Mistake(
            "halves",
            "As a head this is just as right: only the difference counts, and it is the same. "
            "Asked for is the form in which class 0 is the reference, all zeros.",
            lambda w, b: _two(w, b, -0.5, 0.5),
        ),
        Mistake(
            "doubled",
            "With the logits -z and z the difference is 2z: this head is twice as sure as the one "
            "it came from.",
            lambda w, b: _two(w, b, -1, 1),
        ),
        Mistake(
            "copied",
            "Both classes got the same weights, so the difference is always zero and the answer "
            "always one half.",
            lambda w, b: _two(w, b, 1, 1),
        ),
        Mistake(
            "bias-copied",
            "The weights are right; the bias went to both classes and cancels. Class 0 has no "
            "bias of its own here.",
            lambda w, b: (_two(w, b, 0, 1)[0], torch.cat([b, b])),
        ),
        Mistake(
            "bias-lost",
            "The weights are right; the bias has been lost on the way.",
            lambda w, b: (_two(w, b, 0, 1)[0], torch.zeros(2, dtype=b.dtype)),
        ),
        Mistake(
            "one-minus",
            "1 - p belongs to probabilities. Weights and logits have no total of 1 to share: "
            "which logit has a difference of z to z?",
            lambda w, b: (torch.cat([1 - w, w]), torch.cat([1 - b, b])),
        ),
        Mistake(
            "side-by-side",
            "The rows were put side by side, as more features. A second output is a second row: "
            "look up the dimension along which tensors are joined.",
            lambda w, b: (
                torch.cat([torch.zeros_like(w), w], dim=1),
                torch.cat([torch.zeros_like(b), b]),
            ),
        ),
        Mistake(
            "stacked",
            "A new dimension was opened instead of a second row being added. Look up how joining "
            "along a dimension differs from stacking.",
            lambda w, b: (
                torch.stack([torch.zeros_like(w), w]),
                torch.stack([torch.zeros_like(b), b]),
            ),
        ),
    ),
)


def two_class_loss(logits, target):
    """Cross-entropy by a binary loss: logits (N, 2), target (N,) -> number."""
    logit = logits[:, 1] - logits[:, 0]
    loss = torch.nn.BCEWithLogitsLoss()
    return loss(logit, target.to(logit.dtype))


def _bce(logit, target, **options):
    return F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype), **options)


def _margin(z):
    return z[:, 1] - z[:, 0]


_TWO_CLASS_LOSS = Exercise(
    name="two_class_loss",
    solution=two_class_loss,
    cases={
        "one row": (floats([0.5, 1.5]), classes(1)),
        "three rows": (_TWO, classes(1, 1, 0)),
        "a square batch": (_SQUARE, classes(0, 1)),
        "huge logits, all of them right": (_HUGE, classes(0, 1, 1)),
        "huge logits, confident and wrong": (_HUGE, classes(1, 0, 0)),
    },
    shortcuts=("cross_entropy",),
    moral="The same loss and the same gradient, from half the outputs: the two heads differ in how "
    "they are parametrised, not in what they are asked to do.",
    mistakes=(
        Mistake(
            "reversed",
            "The difference runs the wrong way: it is large where class 0 is likely. Which class "
            "does a target of 1 name?",
            lambda z, t: _bce(-_margin(z), t),
        ),
        Mistake(
            "second-logit",
            "The second logit alone is not the log-odds: what class 0 scored has to be taken off. "
            "Look up shift invariance.",
            lambda z, t: _bce(z[:, 1], t),
        ),
        Mistake(
            "first-logit",
            "That is the logit of class 0, on its own.",
            lambda z, t: _bce(z[:, 0], t),
        ),
        Mistake(
            "both-columns",
            "Each logit was asked a yes-or-no question of its own, against a one-hot label: two "
            "losses averaged where one is meant.",
            lambda z, t: F.binary_cross_entropy_with_logits(z, F.one_hot(t, 2).to(z.dtype)),
        ),
        Mistake(
            "double-sigmoid",
            "A probability went into a loss that expects a logit, so the sigmoid is in there "
            "twice (the softmax of two logits is one, too). Look up what 'with logits' promises.",
            lambda z, t: _bce(_margin(z).sigmoid(), t),
        ),
        Mistake(
            "softmax-first",
            "A softmax written out by hand went into a loss that applies a sigmoid of its own, and "
            "for huge logits it is NaN besides. Logits are what this loss wants.",
            lambda z, t: _bce(z[:, 1].exp() / z.exp().sum(1), t),
        ),
        Mistake(
            "bce-of-probs",
            "Right for small logits; for huge ones the probability is stored as exactly 0 or 1 "
            "and the loss is cut off at 100, where its gradient is 0. Look up why the loss with "
            "logits exists.",
            lambda z, t: F.binary_cross_entropy(_margin(z).sigmoid(), t.to(z.dtype)),
        ),
        Mistake(
            "halved",
            "That is half the difference: the model seems less sure than it is.",
            lambda z, t: _bce(_margin(z) / 2, t),
        ),
        Mistake(
            "sum",
            "These are the right losses, added up instead of averaged. Look up `reduction`.",
            lambda z, t: _bce(_margin(z), t, reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            "One right loss per row: the last step, from many numbers to one, is missing.",
            lambda z, t: _bce(_margin(z), t, reduction="none"),
        ),
        Mistake(
            "integer-target",
            "The loss is the right one. It does arithmetic with the target, so the target has to "
            "be a floating-point tensor like the logit: look up the target dtypes of the binary "
            "and of the multi-class loss.",
            lambda z, t: F.binary_cross_entropy_with_logits(_margin(z), t),
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


_POSITIVE_PROBS = Exercise(
    name="positive_probs",
    solution=positive_probs,
    cases={
        "one row of two logits": (floats([0.5, 1.5]), "two logits"),
        "three rows of two logits": (_TWO, "two logits"),
        "two rows of two logits, a square batch": (_SQUARE, "two logits"),
        "huge logits": (_HUGE, "two logits"),
        "one logit a row": (floats(-1.0, 0.4, 3.0), "logit"),
        "one huge logit a row": (floats(-1000.0, 1000.0), "logit"),
        "a probability a row": (floats(0.2, 0.9), "sigmoid"),
    },
    moral="The rule at inference belongs to the head: none, a sigmoid, or a softmax. The loss that "
    "trained it knows which.",
    mistakes=(
        Mistake(
            "sigmoid-twice",
            "The head that already ends in a sigmoid got another one: its answers now lie between "
            "0.5 and 0.73, and everybody seems positive.",
            lambda z, h: z.softmax(1)[:, 1] if h == "two logits" else z.sigmoid(),
        ),
        Mistake(
            "logit-as-prob",
            "The one logit was handed on as it is. A logit is no probability: which function "
            "makes it one?",
            lambda z, h: z.softmax(1)[:, 1] if h == "two logits" else z,
        ),
        Mistake(
            "class-zero",
            "For two logits that is the probability of class 0.",
            lambda z, h: (
                z.softmax(1)[:, 0] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
            ),
        ),
        Mistake(
            "sigmoid-of-second",
            "For two logits a sigmoid of the second one forgets the first: the classes compete. "
            "Look up softmax, or the sigmoid of which number it equals.",
            lambda z, h: (
                z[:, 1].sigmoid() if h == "two logits" else (z.sigmoid() if h == "logit" else z)
            ),
        ),
        Mistake(
            "over-the-batch",
            "The softmax ran down the batch, so the probabilities of different samples add up to "
            "1. Which dimension holds the classes?",
            lambda z, h: (
                z.softmax(0)[:, 1] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
            ),
        ),
        Mistake(
            "softmax-over-one",
            "A softmax over the batch of single logits: the rows compete with each other. One "
            "logit alone belongs to another function.",
            lambda z, h: (
                z.softmax(1)[:, 1] if h == "two logits" else (z.softmax(0) if h == "logit" else z)
            ),
        ),
        Mistake(
            "labels",
            "Those are decisions, 0 or 1; the probabilities behind them are asked for.",
            lambda z, h: (
                z.softmax(1)[:, 1] if h == "two logits" else (z.sigmoid() if h == "logit" else z)
            ).round(),
        ),
        Mistake(
            "both-columns",
            "For two logits both columns came back. The probability of the positive class is one "
            "of them.",
            lambda z, h: (
                z.softmax(1) if h == "two logits" else (z.sigmoid() if h == "logit" else z)
            ),
        ),
        Mistake(
            "naive-exp",
            "Right for small logits, NaN for huge ones: infinity divided by infinity. Look up the "
            "shift inside a softmax, or use torch's.",
            lambda z, h: (
                z[:, 1].exp() / z.exp().sum(1)
                if h == "two logits"
                else (z.sigmoid() if h == "logit" else z)
            ),
        ),
    ),
)

EXERCISES = (_PREDICT, _ONE_LOGIT, _TWO_LOGIT, _TWO_CLASS_LOSS, _POSITIVE_PROBS)
