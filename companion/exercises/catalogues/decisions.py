"""From output to label: thresholds, accuracy, costs."""

import math

import torch

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "decisions"


def predict_decisions():
    """Five numbers; the last two to two decimals."""
    round_at_tie = 0  # torch rounds a half to the even neighbour
    at_least_at_tie = 1  # 0.5 >= 0.5
    argmax_of_one_column = 0  # the only index there is
    broadcast_accuracy = 2.00  # 16 comparisons, 8 of them equal, divided by 4
    cut_for_0_8 = 1.39  # ln(0.8 / 0.2) = ln 4
    return (
        round_at_tie,
        at_least_at_tie,
        argmax_of_one_column,
        broadcast_accuracy,
        cut_for_0_8,
    )


_LN4 = math.log(4)

_PREDICT = Prediction(
    name="predict_decisions",
    solution=predict_decisions,
    questions={
        "round_at_tie": (),
        "at_least_at_tie": (),
        "argmax_of_one_column": (),
        "broadcast_accuracy": (),
        "cut_for_0_8": (),
    },
    mistakes=(
        Mistake(
            "half-up",
            "At school a half is rounded up. torch follows IEEE arithmetic: look up rounding half "
            "to even.",
            lambda: (1, 1, 0, 2.0, _LN4),
        ),
        Mistake(
            "all-zero-at-tie",
            "At a tie the two rules part: one of them includes equality.",
            lambda: (0, 0, 0, 2.0, _LN4),
        ),
        Mistake(
            "argmax-decides",
            "The argmax is the position of the largest entry, not a verdict on its size. How many "
            "positions does one column have?",
            lambda: (0, 1, 1, 2.0, _LN4),
        ),
        Mistake(
            "argmax-value",
            "That is the largest entry itself; the argmax is where it stands.",
            lambda: (0, 1, 3, 2.0, _LN4),
        ),
        Mistake(
            "no-broadcast",
            "That is the accuracy which was meant. Draw the table that comes of comparing a "
            "column with a row.",
            lambda: (0, 1, 0, 0.5, _LN4),
        ),
        Mistake(
            "mean-of-table",
            "The table of comparisons is right, but its sum is divided by 4, and it has 16 "
            "entries. How many of them are equal?",
            lambda: (0, 1, 0, 1.0, _LN4),
        ),
        Mistake(
            "sum-of-table",
            "That is how many of the comparisons are equal, before the division.",
            lambda: (0, 1, 0, 8.0, _LN4),
        ),
        Mistake(
            "cut-is-probability",
            "0.8 is the threshold for probabilities. A logit has to be compared with the logit of "
            "0.8: look up log-odds.",
            lambda: (0, 1, 0, 2.0, 0.8),
        ),
        Mistake(
            "cut-is-sigmoid",
            "That is the sigmoid of 0.8. The way from a probability to a logit is the other one.",
            lambda: (0, 1, 0, 2.0, 1 / (1 + math.exp(-0.8))),
        ),
        Mistake(
            "cut-is-odds",
            "Those are the odds. Their logarithm is the logit.",
            lambda: (0, 1, 0, 2.0, 4.0),
        ),
    ),
    moral="None of these lines raises an error, which is why they are worth knowing by heart.",
)


def cost_threshold(false_positive, false_negative):
    """Two costs -> the probability above which yes is the cheaper answer."""
    return false_positive / (false_positive + false_negative)


_COST_THRESHOLD = Exercise(
    name="cost_threshold",
    solution=cost_threshold,
    cases={
        "equal costs": (1.0, 1.0),
        "a miss is four times as bad": (1.0, 4.0),
        "a false alarm is three times as bad": (6.0, 2.0),
        "a miss costs nearly nothing": (5.0, 0.01),
    },
    moral="At this probability both decisions cost the same on average. One half is the answer for "
    "equal costs, and only for these.",
    mistakes=(
        Mistake(
            "swapped",
            "The two costs have changed places: when a miss is expensive, should it take more "
            "certainty to say yes, or less?",
            lambda a, m: m / (a + m),
        ),
        Mistake(
            "half",
            "That is right for equal costs; these are not. At which probability do both decisions "
            "cost the same on average?",
            lambda a, m: 0.5,
        ),
        Mistake(
            "ratio",
            "That is the ratio of the costs, the threshold for *odds*. Asked for is the threshold "
            "for the probability.",
            lambda a, m: a / m,
        ),
        Mistake(
            "other-ratio",
            "That is the ratio of the costs, and upside down. Write down what yes costs on "
            "average at probability p, and what no costs, and set them equal.",
            lambda a, m: m / a,
        ),
        Mistake(
            "logit",
            "That is the threshold for the logit. Asked for is the one for the probability.",
            lambda a, m: math.log(a / m),
        ),
        Mistake(
            "mean",
            "That is a cost, and may lie above 1. A threshold is a probability.",
            lambda a, m: (a + m) / 2,
        ),
        Mistake(
            "inverse",
            "The fraction is upside down: a probability cannot exceed 1.",
            lambda a, m: (a + m) / a,
        ),
        Mistake(
            "capped-ratio",
            "The ratio of the costs, cut off at 1, is still the threshold for odds. Look up how "
            "odds become a probability.",
            lambda a, m: min(1.0, a / m),
        ),
    ),
)


def binary_labels(logits, threshold):
    """1 where the probability is above the threshold, else 0; int64."""
    return (logits.sigmoid() > threshold).to(torch.int64)


_BINARY_LABELS = Exercise(
    name="binary_labels",
    solution=binary_labels,
    cases={
        "a tie at one half": (floats(0.0, 0.3, -0.3), 0.5),
        "a higher threshold": (floats(0.6, 1.2, 2.5, -1.0), 0.8),
        "a lower threshold": (floats(-0.5, -1.6, 0.1, -3.0), 0.3),
        "a column of logits": (floats([1.0], [-1.0], [0.2]), 0.6),
        "a square of logits": (floats([1.5, -0.2], [0.4, 3.0]), 0.7),
        "huge logits": (floats(1000.0, -1000.0), 0.9),
    },
    moral="A threshold on the probability is a threshold on the logit, moved by the log-odds: for "
    "one half, the sign of the logit decides.",
    mistakes=(
        Mistake(
            "logit-against-threshold",
            "The logit itself was compared with a threshold that is meant for probabilities. "
            "Convert one of the two.",
            lambda z, t: (z > t).long(),
        ),
        Mistake(
            "tie-included",
            "At a tie, with the probability exactly at the threshold, this says yes. The task "
            "asks for above.",
            lambda z, t: (z.sigmoid() >= t).long(),
        ),
        Mistake(
            "always-half",
            "The threshold is not used: this is the rule for one half.",
            lambda z, t: z.sigmoid().round().long(),
        ),
        Mistake(
            "reversed",
            "Yes and no are turned around.",
            lambda z, t: (z.sigmoid() < t).long(),
        ),
        Mistake(
            "sigmoid-twice",
            "A sigmoid was applied twice. Its values then lie between 0.5 and 0.73, so almost any "
            "threshold says the same to everybody.",
            lambda z, t: (z.sigmoid().sigmoid() > t).long(),
        ),
        Mistake(
            "booleans",
            "The decisions are right and come as True and False. Labels are class indices: look "
            "up which dtype those have.",
            lambda z, t: z.sigmoid() > t,
        ),
        Mistake(
            "floats",
            "The decisions are right and come as floating-point numbers. Labels are class "
            "indices: look up which dtype those have.",
            lambda z, t: (z.sigmoid() > t).to(z.dtype),
        ),
        Mistake(
            "probabilities",
            "Those are the probabilities. The decision, 0 or 1, is still to be taken.",
            lambda z, t: z.sigmoid(),
        ),
        Mistake(
            "argmax",
            "An argmax over the batch says which sample has the largest logit. Here every sample "
            "gets a decision of its own.",
            lambda z, t: z.argmax(0),
        ),
        Mistake(
            "softmax",
            "A softmax made the samples compete with each other. Each logit is judged alone.",
            lambda z, t: (z.softmax(0) > t).long(),
        ),
        Mistake(
            "other-threshold",
            "It is the probability of the other side that was compared. 'No' is unlikely enough "
            "at another place than 'yes' is likely enough.",
            lambda z, t: (z.sigmoid() > 1 - t).long(),
        ),
        Mistake(
            "flattened",
            "The decisions are right, the shape of the input is lost.",
            lambda z, t: (z.sigmoid() > t).long().flatten(),
        ),
    ),
)


def accuracy(predicted, target):
    """Share of right labels: predicted (N,) or (N, 1), target (N,) -> number."""
    predicted = predicted.reshape(target.shape)
    return (predicted == target).double().mean().item()


def _hits(p, t):
    return p.reshape(t.shape) == t


_ACCURACY = Exercise(
    name="accuracy",
    solution=accuracy,
    cases={
        "three labels": (classes(1, 0, 1), classes(1, 1, 1)),
        "six labels of three classes": (classes(0, 2, 0, 1, 0, 2), classes(0, 2, 2, 1, 1, 2)),
        "a column of predictions": (classes([1], [1], [0], [1]), classes(1, 0, 0, 1)),
        "all right, as a column": (classes([1], [0], [2]), classes(1, 0, 2)),
        "all wrong": (classes(0, 0), classes(1, 1)),
    },
    moral="A share between 0 and 1, whatever the shapes. An accuracy of 200 % is a column that met "
    "a row.",
    mistakes=(
        Mistake(
            "broadcast-mean",
            "Right for equal shapes; a column against a row compares every prediction with every "
            "target. Look up broadcasting.",
            lambda p, t: (p == t).double().mean(),
        ),
        Mistake(
            "broadcast-sum",
            "Right for equal shapes; a column against a row gives N times N comparisons, and "
            "their number of hits is divided by N only: so accuracies above 100 % are made. Look "
            "up broadcasting.",
            lambda p, t: (p == t).sum() / len(t),
        ),
        Mistake(
            "count",
            "That is how many are right. The share of them is asked for.",
            lambda p, t: _hits(p, t).sum().item(),
        ),
        Mistake(
            "error-rate",
            "That is the share of wrong labels.",
            lambda p, t: 1 - _hits(p, t).double().mean().item(),
        ),
        Mistake(
            "percent",
            "That is a percentage. A share lies between 0 and 1.",
            lambda p, t: 100 * _hits(p, t).double().mean().item(),
        ),
        Mistake(
            "all-or-nothing",
            "It asks whether all labels are right, or divides whole numbers and drops the rest. "
            "The share of right ones lies between.",
            lambda p, t: float(torch.equal(p.reshape(t.shape), t)),
        ),
        Mistake(
            "recall",
            "Only the samples of class 1 were counted: that is their recall.",
            lambda p, t: (_hits(p, t) & (t == 1)).sum().item() / max(1, int((t == 1).sum())),
        ),
        Mistake(
            "precision",
            "Only the samples that were called class 1 were counted: that is the precision.",
            lambda p, t: (_hits(p, t) & (t == 1)).sum().item() / max(1, int((p == 1).sum())),
        ),
        Mistake(
            "both-positive",
            "Only hits on class 1 were counted, and divided by all samples. A right 0 is right, "
            "too.",
            lambda p, t: (_hits(p, t) & (t == 1)).double().mean().item(),
        ),
        Mistake(
            "distance",
            "That is the mean distance between the labels. Class indices are names: 2 is no more "
            "wrong than 1.",
            lambda p, t: (p.reshape(t.shape) - t).abs().double().mean().item(),
        ),
        Mistake(
            "no-mean",
            "There is one verdict per sample; their share is still to be taken.",
            lambda p, t: _hits(p, t),
        ),
    ),
)


def least_cost_threshold(
    probs,
    target,
    candidates,
    false_positive,
    false_negative,
):
    """The cheapest candidate: (N,), (N,), (T,) and two costs -> a number."""
    decided = probs > candidates[:, None]  # (T, N)
    false_alarms = (decided & (target == 0)).sum(dim=1)
    misses = (~decided & (target == 1)).sum(dim=1)
    cost = false_positive * false_alarms + false_negative * misses
    return candidates[cost.argmin()].item()


def _counts(p, y, c):
    decided = p > c[:, None]
    return (decided & (y == 0)).sum(1), (~decided & (y == 1)).sum(1)


def _cheapest(c, cost):
    return c[cost.argmin()].item()


def _rates(p, y, c, a, m):
    alarms, misses = _counts(p, y, c)
    return a * alarms / max(1, int((y == 0).sum())) + m * misses / max(1, int((y == 1).sum()))


def _f1(p, y, c):
    alarms, misses = _counts(p, y, c)
    hits = (y == 1).sum() - misses
    return 2 * hits / (2 * hits + alarms + misses).clamp(min=1)


_NINE = floats(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SCORES = floats(0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)

_LEAST_COST = Exercise(
    name="least_cost_threshold",
    solution=least_cost_threshold,
    cases={
        "three samples, two candidates": (
            floats(0.2, 0.6, 0.7),
            classes(0, 1, 0),
            floats(0.5, 0.65),
            1.0,
            3.0,
        ),
        "a miss is expensive": (
            _SCORES,
            classes(0, 0, 1, 0, 0, 0, 1, 1, 0, 1),
            _NINE,
            1.0,
            6.0,
        ),
        "a false alarm is expensive": (
            _SCORES,
            classes(0, 0, 1, 0, 0, 1, 1, 0, 1, 1),
            _NINE,
            5.0,
            1.0,
        ),
        "many noes": (
            _SCORES,
            classes(0, 0, 0, 1, 0, 0, 0, 0, 0, 1),
            _NINE,
            1.0,
            3.0,
        ),
        "many noes, and the model likes them": (
            _SCORES,
            classes(0, 0, 0, 1, 0, 0, 1, 0, 0, 0),
            _NINE,
            1.0,
            1.5,
        ),
    },
    moral="A threshold belongs to costs and to data. Choose it on data that the model has not been "
    "trained on, and judge it on data that has not chosen it.",
    mistakes=(
        Mistake(
            "costs-swapped",
            "The two costs have changed places. Which of the two errors is a false positive: yes "
            "to a 0, or no to a 1?",
            lambda p, y, c, a, m: _cheapest(c, m * _counts(p, y, c)[0] + a * _counts(p, y, c)[1]),
        ),
        Mistake(
            "accuracy",
            "That candidate makes the fewest errors. Here the two kinds of error do not cost the "
            "same.",
            lambda p, y, c, a, m: _cheapest(c, sum(_counts(p, y, c))),
        ),
        Mistake(
            "dearest",
            "That candidate costs the most. Is the smallest total chosen, and is yes said above "
            "the threshold?",
            lambda p, y, c, a, m: _cheapest(
                c, -(a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1])
            ),
        ),
        Mistake(
            "index",
            "That is the position of the best candidate. The candidate itself is asked for.",
            lambda p, y, c, a, m: float(
                (a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1]).argmin()
            ),
        ),
        Mistake(
            "cost",
            "That is the least cost. Asked for is the threshold that reaches it.",
            lambda p, y, c, a, m: float((a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1]).min()),
        ),
        Mistake(
            "theory",
            "That is the threshold which would be best if the probabilities were perfectly "
            "calibrated. Here the data are to choose, among the candidates.",
            lambda p, y, c, a, m: a / (a + m),
        ),
        Mistake(
            "misses-only",
            "False alarms cost nothing here, so it is always best to say yes.",
            lambda p, y, c, a, m: _cheapest(c, m * _counts(p, y, c)[1]),
        ),
        Mistake(
            "alarms-only",
            "Misses cost nothing here, so it is always best to say no.",
            lambda p, y, c, a, m: _cheapest(c, a * _counts(p, y, c)[0]),
        ),
        Mistake(
            "rates",
            "The costs were put on the error *rates* of the two classes. That forgets how common "
            "each class is; a bill is paid per sample.",
            lambda p, y, c, a, m: _cheapest(c, _rates(p, y, c, a, m)),
        ),
        Mistake(
            "f1",
            "That candidate has the best F1, which knows nothing of these costs.",
            lambda p, y, c, a, m: _cheapest(c, -_f1(p, y, c)),
        ),
        Mistake(
            "half",
            "One half is the threshold for equal costs and calibrated probabilities. Neither is "
            "given.",
            lambda p, y, c, a, m: 0.5,
        ),
    ),
)

EXERCISES = (_PREDICT, _COST_THRESHOLD, _BINARY_LABELS, _ACCURACY, _LEAST_COST)
