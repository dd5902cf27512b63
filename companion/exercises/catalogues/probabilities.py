"""Logits and probabilities: log-odds, sigmoid, softmax."""

import math

import torch

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import floats

SUBJECT = "logits and probabilities"


def predict_probabilities():
    """Four probabilities, to two decimals."""
    sigmoid_of_zero = 0.50  # odds of 1 to 1
    sigmoid_of_ln_3 = 0.75  # odds of 3 to 1
    softmax_of_one = 1.00  # a single share is the whole
    second_of_two = 0.75  # (5, 5 + ln 3): only the difference counts
    return sigmoid_of_zero, sigmoid_of_ln_3, softmax_of_one, second_of_two


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


_PREDICT = Prediction(
    name="predict_probabilities",
    solution=predict_probabilities,
    questions={
        "sigmoid_of_zero": (),
        "sigmoid_of_ln_3": (),
        "softmax_of_one": (),
        "second_of_two": (),
    },
    mistakes=(
        Mistake(
            "zero",
            "A logit of 0 is no 'no': it is undecided. What odds have the logarithm 0?",
            lambda: (0.0, 0.75, 1.0, 0.75),
        ),
        Mistake(
            "odds",
            "Those are odds, how many times as likely yes is as no. A probability is a share of "
            "the whole: look up how to turn the one into the other.",
            lambda: (1.0, 3.0, 1.0, 3.0),
        ),
        Mistake(
            "other-side",
            "That is the probability of the other side. Does a larger logit make the event more "
            "likely or less?",
            lambda: (0.5, 0.25, 1.0, 0.25),
        ),
        Mistake(
            "one-like-sigmoid",
            "A softmax over one output is not a sigmoid: it divides a number by the sum of all "
            "numbers, and there is only this one.",
            lambda: (0.5, 0.75, _sigmoid(-2), 0.75),
        ),
        Mistake(
            "one-unnormalised",
            "That is the exponential alone. A softmax divides by the sum: what is the sum here?",
            lambda: (0.5, 0.75, math.exp(-2), 0.75),
        ),
        Mistake(
            "one-negative",
            "A negative logit is not impossible. With one output there is nothing it could lose "
            "to.",
            lambda: (0.5, 0.75, 0.0, 0.75),
        ),
        Mistake(
            "size",
            "The size of the logits does not matter to a softmax, only how far they lie apart: "
            "look up shift invariance.",
            lambda: (0.5, 0.75, 1.0, _sigmoid(5 + math.log(3))),
        ),
        Mistake(
            "share-of-logits",
            "That is the share of the logit in the sum of logits. The exponential is missing.",
            lambda: (0.5, 0.75, 1.0, (5 + math.log(3)) / (10 + math.log(3))),
        ),
    ),
    moral="A sigmoid compares one logit with zero, a softmax compares logits with each other. "
    "Alone, there is nothing to compare with.",
)


def log_odds(probs):
    """From probability to logit: probs in (0, 1), any shape -> same shape."""
    return (probs / (1 - probs)).log()


_LOG_ODDS = Exercise(
    name="log_odds",
    solution=log_odds,
    cases={
        "three probabilities": (floats(0.2, 0.5, 0.9),),
        "two rows of three": (floats([0.1, 0.4, 0.7], [0.05, 0.6, 0.95]),),
        "a square of probabilities": (floats([0.3, 0.8], [0.15, 0.55]),),
        "all but impossible": (floats(1e-12, 1e-9, 0.25),),
    },
    shortcuts=("logit",),
    moral="This is the logit: what a linear layer can put out, since it has no bounds. The sigmoid "
    "is the way back.",
    mistakes=(
        Mistake(
            "odds",
            "Those are the odds, from 0 to infinity. A logit is their logarithm.",
            lambda p: p / (1 - p),
        ),
        Mistake(
            "log-prob",
            "That is the logarithm of the probability, never above 0. The odds put the other side "
            "into the fraction as well.",
            lambda p: p.log(),
        ),
        Mistake(
            "reversed",
            "The sign is turned around: those are the odds against. A probability of 0.9 should "
            "give a positive logit.",
            lambda p: ((1 - p) / p).log(),
        ),
        Mistake(
            "log2",
            "The logarithm has base 2. With it, the sigmoid would not lead back: look up which "
            "base belongs to the exponential function.",
            lambda p: (p / (1 - p)).log2(),
        ),
        Mistake(
            "log10",
            "The logarithm has base 10. With it, the sigmoid would not lead back: look up which "
            "base belongs to the exponential function.",
            lambda p: (p / (1 - p)).log10(),
        ),
        Mistake(
            "divided-logs",
            "Two logarithms were divided by each other. The logarithm of a fraction is something "
            "else: look up its rule.",
            lambda p: p.log() / (1 - p).log(),
        ),
        Mistake(
            "sigmoid",
            "That is a sigmoid, the way from a logit to a probability. Asked for is the way back.",
            lambda p: p.sigmoid(),
        ),
        Mistake(
            "log1p",
            "1 was added where it has to be what p is subtracted from: that is the logarithm of "
            "p against 1 + p.",
            lambda p: (p / (1 + p)).log(),
        ),
        Mistake(
            "clamped",
            "Very small probabilities were cut off, and all got the same logit. None of these "
            "needs a guard: the function is finite everywhere inside (0, 1).",
            lambda p: torch.logit(p, eps=1e-6),
        ),
        Mistake(
            "eps",
            "A small number was added inside the logarithm. It changes what is close to 0 most, "
            "and there it was not needed.",
            lambda p: (p / (1 - p) + 1e-7).log(),
        ),
    ),
)


def sigmoid(logits):
    """From logit to probability: logits of any shape -> same shape."""
    return 1 / (1 + (-logits).exp())


_SIGMOID = Exercise(
    name="sigmoid",
    solution=sigmoid,
    cases={
        "three logits": (floats(-1.0, 0.0, 2.0),),
        "two rows of three": (floats([0.5, -0.3, 1.1], [4.0, -2.5, 0.2]),),
        "a square of logits": (floats([1.5, -1.5], [0.7, 3.0]),),
        "far out": (floats(-30.0, 30.0, 20.0),),
    },
    shortcuts=("sigmoid", "expit"),
    moral="Odds over odds plus one, written with one exponential: the probability of one side, and "
    "1 minus it is the other.",
    mistakes=(
        Mistake(
            "reversed",
            "The curve falls where it should rise: that is the probability of the other side.",
            lambda z: 1 / (1 + z.exp()),
        ),
        Mistake(
            "odds",
            "The exponential of a logit is the odds, and these have no upper bound. How do odds "
            "become a probability?",
            lambda z: z.exp(),
        ),
        Mistake(
            "minus-one",
            "There is a minus where odds are turned into a share of the whole: the denominator "
            "can become zero, and a probability must not.",
            lambda z: 1 / (1 - (-z).exp()),
        ),
        Mistake(
            "tanh",
            "That is tanh, from -1 to 1. It is a sigmoid's relative, twice as steep and shifted; "
            "a probability lies between 0 and 1.",
            lambda z: z.tanh(),
        ),
        Mistake(
            "base-two",
            "The curve has the right shape, and base 2 instead of e.",
            lambda z: 1 / (1 + 2.0 ** (-z)),
        ),
        Mistake(
            "rounded",
            "Those are decisions. The probability is what comes before them.",
            lambda z: z.sigmoid().round(),
        ),
        Mistake(
            "log-sigmoid",
            "That is the logarithm of the answer: useful inside a loss, but here the probability "
            "itself is asked for.",
            lambda z: torch.nn.functional.logsigmoid(z),
        ),
        Mistake(
            "softmax",
            "The numbers were made to share a total of 1. A sigmoid looks at each logit alone: no "
            "other logit may change its answer.",
            lambda z: z.softmax(0),
        ),
        Mistake(
            "softmax-last",
            "The numbers of a row were made to share a total of 1. A sigmoid looks at each logit "
            "alone: no other logit may change its answer.",
            lambda z: z.softmax(-1),
        ),
        Mistake(
            "no-exp",
            "The exponential is missing: that is 1 over 1 minus the logit, which is no "
            "probability.",
            lambda z: 1 / (1 - z),
        ),
        Mistake(
            "derivative",
            "That is the slope of the sigmoid, largest at 0. Asked for is its height.",
            lambda z: z.sigmoid() * (1 - z.sigmoid()),
        ),
        Mistake(
            "hard",
            "Those are straight lines, the so-called hard sigmoid: cheap, close in the middle, "
            "and exactly 0 or 1 outside. Look up the logistic function.",
            lambda z: torch.nn.functional.hardsigmoid(z),
        ),
    ),
)

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


def softmax(logits):
    """Probabilities over the classes: logits (N, K) -> (N, K), always finite."""
    shifted = logits - logits.max(dim=1, keepdim=True).values
    weights = shifted.exp()
    return weights / weights.sum(dim=1, keepdim=True)


def _shares(weights):
    return weights / weights.sum(1, keepdim=True)


_SOFTMAX = Exercise(
    name="softmax",
    solution=softmax,
    cases=_ROWS,
    shortcuts=("softmax", "log_softmax"),
    moral="Subtracting the largest logit changes nothing but the range of the exponentials. That "
    "is shift invariance put to work.",
    mistakes=(
        Mistake(
            "over-the-batch",
            "The columns add up to 1, not the rows: samples compete where classes should. Which "
            "dimension holds the classes?",
            lambda z: z.softmax(0),
        ),
        Mistake(
            "over-everything",
            "All numbers together add up to 1. Each row is a distribution of its own: look up the "
            "`dim` argument of reductions.",
            lambda z: z.flatten().softmax(0).reshape(z.shape),
        ),
        Mistake(
            "naive",
            "Right for small logits, NaN for huge ones: infinity divided by infinity. What can be "
            "subtracted from all logits of a row without changing the answer?",
            lambda z: _shares(z.exp()),
        ),
        Mistake(
            "one-shift-for-all",
            "One shift for the whole batch saves only the row with the largest logit; a row far "
            "below it becomes zero divided by zero. Whose maximum does a row need?",
            lambda z: _shares((z - z.max()).exp()),
        ),
        Mistake(
            "no-exp",
            "The logits themselves were made to share a total of 1. They can be negative, and a "
            "probability cannot: something has to make them positive first.",
            lambda z: _shares(z),
        ),
        Mistake(
            "unnormalised",
            "The exponentials are there, shifted, but they do not add up to 1 yet.",
            lambda z: (z - z.amax(1, keepdim=True)).exp(),
        ),
        Mistake(
            "wrong-axis-sum",
            "Every number was divided by the sum of another row: without its second dimension, "
            "the column of sums lies down as a row. Look up `keepdim`, and broadcasting.",
            lambda z: (
                (z - z.amax(1, keepdim=True)).exp() / (z - z.amax(1, keepdim=True)).exp().sum(1)
            ),
        ),
        Mistake(
            "sigmoid",
            "Each logit was judged alone, so a row need not add up to 1. In a softmax the classes "
            "compete.",
            lambda z: z.sigmoid(),
        ),
        Mistake(
            "log-softmax",
            "That is the logarithm of the answer.",
            lambda z: z.log_softmax(1),
        ),
        Mistake(
            "twice",
            "A softmax of probabilities: it is in there twice, and even certainty comes out as a "
            "hesitation.",
            lambda z: z.softmax(1).softmax(1),
        ),
        Mistake(
            "one-hot",
            "That is the winner alone. A softmax is soft: every class keeps a share.",
            lambda z: torch.nn.functional.one_hot(z.argmax(1), z.shape[1]).to(z.dtype),
        ),
        Mistake(
            "base-two",
            "The shares are those of powers of 2; the exponential function has base e.",
            lambda z: _shares(2.0 ** (z - z.amax(1, keepdim=True))),
        ),
        Mistake(
            "clamped",
            "Cutting the logits off keeps them finite, and makes all logits beyond the cut equal. "
            "A shift keeps their differences.",
            lambda z: _shares(z.clamp(-80, 80).exp()),
        ),
        Mistake(
            "reversed",
            "The smallest logit got the largest share: there is a minus too many.",
            lambda z: (-z).softmax(1),
        ),
    ),
)


def two_class_logit(logits):
    """Logit of P(class 1): logits (N, 2) -> (N,)."""
    return logits[:, 1] - logits[:, 0]


_TWO_CLASS_LOGIT = Exercise(
    name="two_class_logit",
    solution=two_class_logit,
    cases={
        "one row": (floats([0.5, 2.0]),),
        "three rows": (floats([1.0, -0.5], [0.3, 0.8], [-2.0, 0.4]),),
        "a square batch": (floats([0.7, 1.9], [2.2, -0.6]),),
        "huge logits": (floats([1000.0, -1000.0], [500.0, 1000.0]),),
    },
    moral="Two logits hold one number that matters. The other one, how high both lie, is spare.",
    mistakes=(
        Mistake(
            "reversed",
            "That is the logit of class 0: its sigmoid is the probability of the other class.",
            lambda z: z[:, 0] - z[:, 1],
        ),
        Mistake(
            "second-only",
            "The second logit alone changes when both logits are shifted, and the softmax does "
            "not. What stays the same under a shift?",
            lambda z: z[:, 1],
        ),
        Mistake(
            "ratio",
            "Probabilities are compared by their ratio, logits are logarithms already: what does "
            "a ratio become then?",
            lambda z: z[:, 1] / z[:, 0],
        ),
        Mistake(
            "probability",
            "That is the probability itself. Asked for is the logit that a sigmoid turns into it.",
            lambda z: z.softmax(1)[:, 1],
        ),
        Mistake(
            "log-prob",
            "That is the logarithm of the probability, not of the odds: it never gets above 0.",
            lambda z: z.log_softmax(1)[:, 1],
        ),
        Mistake(
            "log-of-odds",
            "Right as long as the probability is not stored as 0 or 1; for huge logits it is "
            "infinite. The way through probabilities is a detour: the logits hold the answer.",
            lambda z: torch.logit(z.softmax(1)[:, 1]),
        ),
        Mistake(
            "halved",
            "That is half of it. The sigmoid of this is less certain than the softmax was.",
            lambda z: (z[:, 1] - z[:, 0]) / 2,
        ),
        Mistake(
            "sum",
            "The logits were added. A shift of both changes their sum, and must not change the "
            "answer.",
            lambda z: z.sum(1),
        ),
        Mistake(
            "distance",
            "The distance is right, its direction is lost: which of the two classes is ahead?",
            lambda z: (z[:, 1] - z[:, 0]).abs(),
        ),
        Mistake(
            "rows",
            "Two rows were subtracted, and those are samples. Which dimension holds the classes?",
            lambda z: z[min(1, len(z) - 1)] - z[0],
        ),
        Mistake(
            "kept",
            "The numbers are right, but they stand in a column. Look up what a slice keeps and an "
            "index drops.",
            lambda z: z[:, 1:] - z[:, :1],
        ),
    ),
)

EXERCISES = (_PREDICT, _LOG_ODDS, _SIGMOID, _TWO_CLASS_LOGIT, _SOFTMAX)
