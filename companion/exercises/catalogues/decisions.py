"""From output to label: thresholds, accuracy, costs."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._kinds import classes, floats

SUBJECT = "decisions"


@prediction(
    r"""
### Predict: what do these lines say?

Before you run anything:

- `torch.round(torch.tensor(0.5))` (`round_at_tie`)
- `(torch.tensor(0.5) >= 0.5).int()` (`at_least_at_tie`)
- the argmax over dimension 1 of `tensor([[3.0]])` (`argmax_of_one_column`)
- `(predicted == target).sum() / 4` for four predictions of 1 in shape (4, 1), and the target
  `tensor([1, 1, 0, 0])` (`broadcast_accuracy`)
- the logit at which the probability is 0.8, to two decimals (`cut_for_0_8`)

Hint: Two of these are about a tie, two about shapes, and one about the map between two scales.

Hint: A column of 4 against a row of 4 is compared as a 4 × 4 table. An argmax is a position. A half
is rounded to the even neighbour.

Hint: The logit of $p$ is $\ln(p / (1 - p))$, and $\ln 4 \approx 1.386$.

Moral: None of these lines raises an error, which is why they are worth knowing by heart.

- half-up: At school a half is rounded up. torch follows IEEE arithmetic: look up rounding half to
  even.
- all-zero-at-tie: At a tie the two rules part: one of them includes equality.
- argmax-decides: The argmax is the position of the largest entry, not a verdict on its size. How
  many positions does one column have?
- argmax-value: That is the largest entry itself; the argmax is where it stands.
- no-broadcast: That is the accuracy which was meant. Draw the table that comes of comparing a
  column with a row.
- mean-of-table: The table of comparisons is right, but its sum is divided by 4, and it has 16
  entries. How many of them are equal?
- sum-of-table: That is how many of the comparisons are equal, before the division.
- cut-is-probability: 0.8 is the threshold for probabilities. A logit has to be compared with the
  logit of 0.8: look up log-odds.
- cut-is-sigmoid: That is the sigmoid of 0.8. The way from a probability to a logit is the other
  one.
- cut-is-odds: Those are the odds. Their logarithm is the logit.
""",
    mistakes={
        "half-up": {"round_at_tie": 1},
        "all-zero-at-tie": {"at_least_at_tie": 0},
        "argmax-decides": {"argmax_of_one_column": 1},
        "argmax-value": {"argmax_of_one_column": 3},
        "no-broadcast": {"broadcast_accuracy": 0.5},
        "mean-of-table": {"broadcast_accuracy": 1.0},
        "sum-of-table": {"broadcast_accuracy": 8.0},
        "cut-is-probability": {"cut_for_0_8": 0.8},
        "cut-is-sigmoid": {"cut_for_0_8": 1 / (1 + math.exp(-0.8))},
        "cut-is-odds": {"cut_for_0_8": 4.0},
    },
    wrong=(
        (lambda: (0.5, 1, 0, 2.0, 1.39), "Work it through on paper"),
        (lambda: (0, 1, 0, 2.0, 1.4), "two decimals are asked for"),
        (lambda: (0, 1, 0, 0.25, 1.1), "3 of 5 hold"),
    ),
)
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


@function(
    r"""
### The price of a yes

A false positive has one cost, a false negative another. From the two costs compute the probability
above which yes is the cheaper answer. Two numbers in, one number out. One line.

Hint: At the threshold, both answers cost the same on average.

Hint: With probability $p$, a yes is wrong in $1 - p$ of the cases and a no in $p$ of them. Multiply
each with its cost and set them equal.

Hint: Solve $(1 - p)\,c_{fp} = p\,c_{fn}$ for $p$: a share of the sum of the costs.

Moral: At this probability both decisions cost the same on average. One half is the answer for equal
costs, and only for these.

- swapped: The two costs have changed places: when a miss is expensive, should it take more
  certainty to say yes, or less?
- half: That is right for equal costs; these are not. At which probability do both decisions cost
  the same on average?
- ratio: That is the ratio of the costs, the threshold for *odds*. Asked for is the threshold for
  the probability.
- other-ratio: That is the ratio of the costs, and upside down. Write down what yes costs on average
  at probability p, and what no costs, and set them equal.
- logit: That is the threshold for the logit. Asked for is the one for the probability.
- mean: That is a cost, and may lie above 1. A threshold is a probability.
- inverse: The fraction is upside down: a probability cannot exceed 1.
- capped-ratio: The ratio of the costs, cut off at 1, is still the threshold for odds. Look up how
  odds become a probability.
""",
    cases={
        "equal costs": (1.0, 1.0),
        "a miss is four times as bad": (1.0, 4.0),
        "a false alarm is three times as bad": (6.0, 2.0),
        "a miss costs nearly nothing": (5.0, 0.01),
    },
    right=(
        lambda a, m: 1 / (1 + m / a),
        lambda a, m: torch.tensor(a / (a + m)),
        lambda a, m: 1 - m / (a + m),
    ),
    mistakes={
        "swapped": lambda a, m: m / (a + m),
        "half": lambda a, m: 0.5,
        "ratio": lambda a, m: a / m,
        "other-ratio": lambda a, m: m / a,
        "logit": lambda a, m: math.log(a / m),
        "mean": lambda a, m: (a + m) / 2,
        "inverse": lambda a, m: (a + m) / a,
        "capped-ratio": lambda a, m: min(1.0, a / m),
    },
    wrong=(
        (lambda a, m: 1 - a / m, "equal costs"),
        (lambda a, m: torch.tensor([a / (a + m)]), "take that out of the tensor"),
        (lambda a, m: round(a / (a + m), 1), "2 of 4 cases agree"),
        (lambda a, m: a // (a + m), "the same in every case"),
    ),
)
def cost_threshold(false_positive, false_negative):
    """Two costs -> the probability above which yes is the cheaper answer."""
    return false_positive / (false_positive + false_negative)


@function(
    """
### A decision

Logits of any shape and a threshold for the *probability* go in; labels, int64 and of the same
shape, come out: 1 where the probability is above the threshold, 0 elsewhere, at a tie too. Two
lines, if you compare the logits.

Hint: The logit and the threshold live on different scales. Bring one of them over.

Hint: The threshold becomes log-odds, and the logits stay as exact as they are. The comparison
keeps the shape, but gives True and False.

Hint: The `logit()` of the threshold, as a tensor, is the cut. Compare strictly, then `.to(...)` an
integer dtype. The sigmoid of the logits against the threshold decides the same, except very close
to the cut.

Moral: A threshold on the probability is a threshold on the logit, moved by the log-odds: for one
half, the sign of the logit decides.

- logit-against-threshold: The logit itself was compared with a threshold that is meant for
  probabilities. Convert one of the two.
- tie-included: At a tie, with the probability exactly at the threshold, this says yes. The task
  asks for above.
- always-half: The threshold is not used: this is the rule for one half.
- reversed: Yes and no are turned around.
- sigmoid-twice: A sigmoid was applied twice. Its values then lie between 0.5 and 0.73, so almost
  any threshold says the same to everybody.
- probabilities: Those are the probabilities. The decision, 0 or 1, is still to be taken.
- argmax: An argmax over the batch says which sample has the largest logit. Here every sample gets a
  decision of its own.
- softmax: A softmax made the samples compete with each other. Each logit is judged alone.
- other-threshold: It is the probability of the other side that was compared. 'No' is unlikely
  enough at another place than 'yes' is likely enough.
""",
    cases={
        "a tie at one half": (floats(0.0, 0.3, -0.3), 0.5),
        "a higher threshold": (floats(0.6, 1.2, 2.5, -1.0), 0.8),
        "a lower threshold": (floats(-0.5, -1.6, 0.1, -3.0), 0.3),
        "a column of logits": (floats([1.0], [-1.0], [0.2]), 0.6),
        "a square of logits": (floats([1.5, -0.2], [0.4, 3.0]), 0.7),
        "huge logits": (floats(1000.0, -1000.0), 0.9),
        "one logit": (floats(0.7), 0.6),
        "a table that was transposed": (floats([1.5, -0.2, 0.9], [0.4, 3.0, 0.1]).T, 0.55),
    },
    right=(
        lambda z, t: (z.sigmoid() > t).long(),
        lambda z, t: (z.sigmoid() > t).to(torch.int64),
        lambda z, t: torch.where(F.sigmoid(z) > t, 1, 0),
        lambda z, t: (z > math.log(t / (1 - t))).long(),
    ),
    mistakes={
        "logit-against-threshold": lambda z, t: (z > t).long(),
        "tie-included": lambda z, t: (z.sigmoid() >= t).long(),
        "always-half": lambda z, t: z.sigmoid().round().long(),
        "reversed": lambda z, t: (z.sigmoid() < t).long(),
        "sigmoid-twice": lambda z, t: (z.sigmoid().sigmoid() > t).long(),
        "probabilities": lambda z, t: z.sigmoid(),
        "argmax": lambda z, t: z.argmax(0),
        "softmax": lambda z, t: (z.softmax(0) > t).long(),
        "other-threshold": lambda z, t: (z.sigmoid() > 1 - t).long(),
    },
    wrong=(
        (lambda z, t: 1 if z.sigmoid() > t else 0, "Python got a whole tensor"),
        (lambda z, t: (z > math.log(t)).long(), "a tie at one half"),
        (lambda z, t: 0.9 * (z.sigmoid() > t), "Labels and counts are whole numbers"),
    ),
)
def binary_labels(logits, threshold):
    """1 where the probability is above the threshold, else 0; int64."""
    cut = torch.tensor(threshold, dtype=logits.dtype).logit()
    return (logits > cut).to(torch.int64)


def _hits(p, t):
    return p.reshape(t.shape) == t


@function(
    """
### An accuracy that stays below 100 %

Predicted labels, (N,) or (N, 1), and targets, (N,), go in; the share of right ones, a number from 0
to 1, comes out. Two lines.

Hint: Compare only what belongs together. What comes of comparing a column with a row?

Hint: Give both the shape (N,) first. Then the comparison has N entries, and their mean is the
share.

Hint: `reshape(target.shape)`; True and False have no mean until they are converted to
floating-point numbers.

Moral: A share between 0 and 1, whatever the shapes. An accuracy of 200 % is a column that met a
row.

- broadcast-mean: Right for equal shapes; a column against a row compares every prediction with
  every target. Look up broadcasting.
- broadcast-sum: Right for equal shapes; a column against a row gives N times N comparisons, and
  their number of hits is divided by N only: so accuracies above 100 % are made. Look up
  broadcasting.
- count: That is how many are right. The share of them is asked for.
- error-rate: That is the share of wrong labels.
- all-or-nothing: It asks whether all labels are right, or divides whole numbers and drops the rest.
  The share of right ones lies between.
- recall: Only the samples of class 1 were counted: that is their recall.
- precision: Only the samples that were called class 1 were counted: that is the precision.
- both-positive: Only hits on class 1 were counted, and divided by all samples. A right 0 is right,
  too.
- distance: That is the mean distance between the labels. Class indices are names: 2 is no more
  wrong than 1.
- no-mean: There is one verdict per sample; their share is still to be taken.
""",
    cases={
        "three labels": (classes(1, 0, 1), classes(1, 1, 1)),
        "six labels of three classes": (classes(0, 2, 0, 1, 0, 2), classes(0, 2, 2, 1, 1, 2)),
        "a column of predictions": (classes([1], [1], [0], [1]), classes(1, 0, 0, 1)),
        "all right, as a column": (classes([1], [0], [2]), classes(1, 0, 2)),
        "all wrong": (classes(0, 0), classes(1, 1)),
        "one label": (classes(2), classes(2)),
        "a column of one": (classes([1]), classes(0)),
    },
    generic=("percent",),
    right=(
        lambda p, t: (p.squeeze() == t).float().mean().item(),
        lambda p, t: (p.flatten() == t).sum().item() / len(t),
        lambda p, t: torch.sum(p.view(-1).eq(t)) / len(t),
        lambda p, t: sum(int(a) == int(b) for a, b in zip(p, t, strict=True)) / len(t),
    ),
    mistakes={
        "broadcast-mean": lambda p, t: (p == t).double().mean(),
        "broadcast-sum": lambda p, t: (p == t).sum() / len(t),
        "count": lambda p, t: _hits(p, t).sum().item(),
        "error-rate": lambda p, t: 1 - _hits(p, t).double().mean().item(),
        "all-or-nothing": lambda p, t: float(torch.equal(p.reshape(t.shape), t)),
        "recall": lambda p, t: (_hits(p, t) & (t == 1)).sum().item() / max(1, int((t == 1).sum())),
        "precision": lambda p, t: (
            (_hits(p, t) & (t == 1)).sum().item() / max(1, int((p == 1).sum()))
        ),
        "both-positive": lambda p, t: (_hits(p, t) & (t == 1)).double().mean().item(),
        "distance": lambda p, t: (p.reshape(t.shape) - t).abs().double().mean().item(),
        "no-mean": lambda p, t: _hits(p, t),
    },
    wrong=(
        (lambda p, t: (p.squeeze() == t).sum() / (len(p) + 1), "expected   1"),
        (lambda p, t: p is t, "what came back is a `bool`"),
        (lambda p, t: (p == t).mean(), "no mean and no gradient"),
        (lambda p, t: sum(p == t) / len(t), "Is a sum or a mean missing?"),
    ),
)
def accuracy(predicted, target):
    """Share of right labels: predicted (N,) or (N, 1), target (N,) -> number."""
    predicted = predicted.reshape(target.shape)
    return (predicted == target).double().mean().item()


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


def _cheapest_by_loop(probs, target, candidates, false_positive, false_negative):
    def cost(threshold):
        decided = (probs > threshold).int()
        return false_positive * int((decided > target).sum()) + false_negative * int(
            (decided < target).sum()
        )

    return min(candidates.tolist(), key=cost)


@function(
    """
### Let the data choose

The demanding one. Probabilities (N,), targets (N,) of 0 and 1, candidate thresholds (T,) and the
costs of one false positive and of one false negative go in. Out comes the candidate with the least
total cost, a number, and of several such the first; a sample is a yes where its probability is
above the threshold. About five lines.

Hint: Every candidate leads to N decisions. Count the two kinds of error for each, and let the costs
weigh them.

Hint: Compare all probabilities with all candidates at once: (N,) against (T, 1) is a table (T, N),
this time by intention. Sums over its rows count errors: (T,).

Hint: `decided & (target == 0)` are the false alarms, `~decided & (target == 1)` the misses. Sum
over dimension 1, weigh, and use the position of the smallest total as an index into the candidates.

Moral: A threshold belongs to costs and to data. Choose it on data that the model has not been
trained on, and judge it on data that has not chosen it.

- costs-swapped: The two costs have changed places. Which of the two errors is a false positive: yes
  to a 0, or no to a 1?
- accuracy: That candidate makes the fewest errors. Here the two kinds of error do not cost the
  same.
- dearest: That candidate costs the most. Is the smallest total chosen, and is yes said above the
  threshold?
- index: That is the position of the best candidate. The candidate itself is asked for.
- cost: That is the least cost. Asked for is the threshold that reaches it.
- theory: That is the threshold which would be best if the probabilities were perfectly calibrated.
  Here the data are to choose, among the candidates.
- misses-only: False alarms cost nothing here, so it is always best to say yes.
- alarms-only: Misses cost nothing here, so it is always best to say no.
- rates: The costs were put on the error *rates* of the two classes. That forgets how common each
  class is; a bill is paid per sample.
- f1: That candidate has the best F1, which knows nothing of these costs.
- half: One half is the threshold for equal costs and calibrated probabilities. Neither is given.
""",
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
        "probabilities equal to candidates": (
            floats(0.3, 0.5, 0.5, 0.7, 0.9),
            classes(1, 0, 0, 1, 1),
            floats(0.3, 0.5, 0.7),
            2.0,
            1.0,
        ),
        "three misses or two false alarms": (
            floats(0.3, 0.4, 0.45, 0.2, 0.35),
            classes(1, 1, 1, 0, 0),
            floats(0.5, 0.1),
            1.0,
            1.0,
        ),
        "one sample, two candidates at the same cost": (
            floats(0.6),
            classes(1),
            floats(0.9, 0.2, 0.5),
            1.0,
            4.0,
        ),
    },
    mistakes={
        "costs-swapped": lambda p, y, c, a, m: _cheapest(
            c, m * _counts(p, y, c)[0] + a * _counts(p, y, c)[1]
        ),
        "accuracy": lambda p, y, c, a, m: _cheapest(c, sum(_counts(p, y, c))),
        "dearest": lambda p, y, c, a, m: _cheapest(
            c, -(a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1])
        ),
        "index": lambda p, y, c, a, m: float(
            (a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1]).argmin()
        ),
        "cost": lambda p, y, c, a, m: float(
            (a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1]).min()
        ),
        "theory": lambda p, y, c, a, m: a / (a + m),
        "misses-only": lambda p, y, c, a, m: _cheapest(c, m * _counts(p, y, c)[1]),
        "alarms-only": lambda p, y, c, a, m: _cheapest(c, a * _counts(p, y, c)[0]),
        "rates": lambda p, y, c, a, m: _cheapest(c, _rates(p, y, c, a, m)),
        "f1": lambda p, y, c, a, m: _cheapest(c, -_f1(p, y, c)),
        "half": lambda p, y, c, a, m: 0.5,
    },
    right=(
        _cheapest_by_loop,
        lambda p, y, c, a, m: _cheapest(c, a * _counts(p, y, c)[0] + m * _counts(p, y, c)[1]),
    ),
    wrong=(
        (lambda p, y, c, a, m: c.mean(), "one sample, two candidates"),
        (lambda p, y, c, a, m: c[(a * ((p > c) & (y == 0))).argmin()], "Two shapes do not fit"),
        (lambda p, y, c, a, m: min(c.tolist(), key=lambda t: abs(t - 0.7)), "cases agree"),
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
