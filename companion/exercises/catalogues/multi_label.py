"""Several labels at once: one question per label, and how to count what is right."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import bce
from companion.exercises.catalogues._kinds import classes, floats

SUBJECT = "multi-label"


@prediction(
    r"""
### Predict: ten labels at once

Before you run anything. A canvas shows two digits, and a model answers ten questions: is there a 0,
a 1, …, a 9?

- All logits are 0. What is the mean loss over all elements, to two decimals (`mean_loss`)?
- And if the losses of a canvas are added up (`row_sum`)?
- A softmax over the ten logits is used instead. What is the largest probability that *both* digits
  can get (`softmax_best`)?
- A model says no to all ten questions. Which share of the elements is right (`elements`)?
- And which share of the canvases is right in all ten (`rows`)?
- How many different answers can three labels give (`answers_of_three`)?

Hint: Ten questions with two answers each are something else than one question with ten answers.

Hint: A question at one half costs $\ln 2 \approx 0.693$. The probabilities of a softmax add up to
1.

Hint: Two of ten elements are yes on each canvas. Three labels: two ways for each of them,
multiplied.

Moral: A model that always says no is right four times in five by elements and never by rows. Which
share is reported makes the difference.

- ln-10: That is the loss of one choice among ten. Here there are ten choices between two.
- ln-10-each: Each of the ten questions has two answers, so each costs less than that.
- mean-is-sum: The mean over all elements and the sum over the labels of a row differ by a factor:
  which one?
- sum-is-mean: torch's mean is taken over all elements, not over the rows.
- softmax-says-both: The probabilities of a softmax add up to 1. How much can two of them have at
  once?
- softmax-share-of-ten: That is what each of ten gets when nothing is known. Here two may be
  preferred, as strongly as you like.
- only-yes-counts: A right no is right as well. Of the ten elements of a row, how many are no?
- noes-wrong: That is the share of yes. The model says no: which elements does it get right?
- rows-like-elements: A row is right only if all its ten elements are.
- one-of-three: That is a choice of one among three. Labels do not exclude each other: any of them
  can be on or off.
- three-squared: Three questions with two answers each: multiply the answers, not the questions.
""",
    mistakes={
        "ln-10": {"mean_loss": math.log(10), "row_sum": math.log(10)},
        "ln-10-each": {"mean_loss": math.log(10), "row_sum": 10 * math.log(10)},
        "mean-is-sum": {"row_sum": math.log(2)},
        "sum-is-mean": {"mean_loss": 10 * math.log(2)},
        "softmax-says-both": {"softmax_best": 1.0},
        "softmax-share-of-ten": {"softmax_best": 0.1},
        "only-yes-counts": {"elements": 0.0},
        "noes-wrong": {"elements": 0.2},
        "rows-like-elements": {"rows": 0.8},
        "one-of-three": {"answers_of_three": 3},
        "three-squared": {"answers_of_three": 9},
    },
    wrong=(
        (lambda: (0.69, 6.93, 0.5, 0.8, 0.8, 3), "rows: A row is right only if"),
        (lambda: (0.69, 6.93, 0.5, 0.3, 0, 8), "Work it through on paper"),
        (lambda: (0.69, 6.93, 0.5, 0.8, 0.0, 6), "not yet: answers_of_three"),
    ),
)
def predict_multi_label():
    """Six numbers; those that are not whole to two decimals."""
    mean_loss = 0.69  # ten times ln 2, divided by ten
    row_sum = 6.93  # ten times ln 2
    softmax_best = 0.50  # two equal shares of 1
    elements = 0.80  # eight noes of ten are right
    rows = 0.00  # no canvas is empty
    answers_of_three = 8  # 2 * 2 * 2
    return mean_loss, row_sum, softmax_best, elements, rows, answers_of_three


@function(
    """
### All or nothing

Predicted labels and targets, both (N, L) of 0 and 1, go in; the share of rows in which every label
is right, a number, comes out. One line.

Hint: Judge each row as a whole first; then take the share.

Hint: The comparison is (N, L), the verdict on a row needs all of its L entries, so the verdicts are
(N,).

Hint: `(predicted == targets).all(dim=1)`, converted to floating point, has a mean.

Moral: The strictest of the shares: one wrong label, and the row is wrong.

- elements: That is the share of right elements. A row counts as right only when all its labels are.
- any: A row passes here as soon as one of its labels is right. All of them have to be.
- labels: That is the share of *labels* that are right in all rows. Which dimension holds the labels
  of one row?
- count: That is how many rows are right. Their share is asked for.
- whole-table: It asks whether the whole table is right; each row should be asked for itself.
- error: That is the share of rows with at least one error.
- same-number: It compares how many labels each row has. Two rows can have as many, and others.
- positives-found: Only the labels that should be on were looked at. One that is on and should not
  be makes a row wrong, too.
""",
    cases={
        "two rows, three labels": (classes([1, 0, 1], [0, 1, 0]), classes([1, 0, 1], [0, 1, 1])),
        "four rows, two labels": (
            classes([1, 0], [0, 0], [1, 1], [0, 1]),
            classes([1, 0], [0, 0], [0, 0], [1, 0]),
        ),
        "three rows, three labels": (
            classes([1, 0, 0], [0, 1, 1], [1, 1, 0]),
            classes([1, 0, 0], [1, 1, 1], [1, 0, 0]),
        ),
        "all right": (classes([1, 1], [0, 1]), classes([1, 1], [0, 1])),
        "one row": (classes([1, 0, 0]), classes([1, 0, 1])),
    },
    generic=("percent",),
    right=(
        lambda p, t: (p == t).all(1).float().mean().item(),
        lambda p, t: (p == t).prod(1).double().mean(),
        lambda p, t: sum(bool((a == b).all()) for a, b in zip(p, t, strict=True)) / len(t),
    ),
    mistakes={
        "elements": lambda p, t: (p == t).double().mean().item(),
        "any": lambda p, t: (p == t).any(1).double().mean().item(),
        "labels": lambda p, t: (p == t).all(0).double().mean().item(),
        "count": lambda p, t: (p == t).all(1).sum().item(),
        "whole-table": lambda p, t: float(torch.equal(p, t)),
        "error": lambda p, t: 1 - (p == t).all(1).double().mean().item(),
        "same-number": lambda p, t: (p.sum(1) == t.sum(1)).double().mean().item(),
        "positives-found": lambda p, t: (p >= t).all(1).double().mean().item(),
    },
    wrong=(
        (lambda p, t: (p * t).sum() / t.sum(), "expected   0"),
        (lambda p, t: (p == t).all(1).mean(), "no mean and no gradient"),
        (lambda p, t: all(p == t), "Python got a whole tensor"),
    ),
)
def subset_accuracy(predicted, targets):
    """Share of rows right in every label: both (N, L) of 0, 1 -> a number."""
    return (predicted == targets).all(dim=1).double().mean().item()


@function(
    """
### A threshold for each label

Logits (N, L) and a threshold for the *probability* of each label, (L,), go in; labels (N, L),
int64, come out: 1 where the probability is above its label's threshold, at a tie 0. One line.

Hint: L questions, each with an answer and a threshold of its own. Nothing competes.

Hint: Probabilities (N, L) against thresholds (L,): for once broadcasting is what you want. Which
dimensions does it pair?

Hint: It pairs the last ones, so each column meets its own threshold. `sigmoid`, a strict
comparison, `.to(torch.int64)`.

Moral: Every label has its own question and may have its own threshold; a row may get none, one, or
all of them.

- logits-against-thresholds: The logits were compared with thresholds that are meant for
  probabilities.
- always-half: The thresholds are not used: this is the rule for one half everywhere.
- tie-included: At a tie this says yes. The task asks for above.
- argmax: Just one label per row is on, as if they excluded each other. Each label is a question of
  its own.
- softmax: A softmax made the labels compete. Each label has a sigmoid to itself.
- per-row: The thresholds were laid along the rows: on a square batch that passes silently. Which
  dimension of the logits do they belong to?
- first-for-all: Every label got the threshold of the first one.
- mean-for-all: Every label got the mean of the thresholds.
- reversed: Yes and no are turned around.
- sigmoid-twice: A sigmoid was applied twice, so nothing is below one half any more.
""",
    cases={
        "one row, a tie in it": (floats([0.0, 2.0, -1.0]), floats(0.5, 0.7, 0.2)),
        "three rows, two labels": (
            floats([0.6, -0.5], [1.6, 0.4], [-0.2, -1.5]),
            floats(0.8, 0.35),
        ),
        "a square batch": (
            floats([0.9, 0.1, -0.3], [-0.8, 1.2, 0.5], [0.4, -2.0, 2.5]),
            floats(0.6, 0.3, 0.9),
        ),
        "huge logits": (floats([1000.0, -1000.0], [-1000.0, 1000.0]), floats(0.9, 0.1)),
        "one label": (floats([0.3], [0.9]), floats(0.6)),
    },
    right=(
        lambda z, t: (z.sigmoid() > t).long(),
        lambda z, t: (z > torch.logit(t)).long(),
        lambda z, t: torch.stack(
            [(a.sigmoid() > b).long() for a, b in zip(z.T, t, strict=True)], 1
        ),
    ),
    mistakes={
        "logits-against-thresholds": lambda z, t: (z > t).long(),
        "always-half": lambda z, t: (z > 0).long(),
        "tie-included": lambda z, t: (z.sigmoid() >= t).long(),
        "argmax": lambda z, t: F.one_hot(z.argmax(1), z.shape[1]),
        "softmax": lambda z, t: (z.softmax(1) > t).long(),
        "per-row": lambda z, t: (z.sigmoid() > t[:, None]).long(),
        "first-for-all": lambda z, t: (z.sigmoid() > t[0]).long(),
        "mean-for-all": lambda z, t: (z.sigmoid() > t.mean()).long(),
        "reversed": lambda z, t: (z.sigmoid() < t).long(),
        "sigmoid-twice": lambda z, t: (z.sigmoid().sigmoid() > t).long(),
    },
    wrong=(
        (lambda z, t: torch.where(z.sigmoid() > t, 1, -1), "got         [[-1], [1]]"),
        (lambda z, t: (z.sigmoid() > t).any(1).long(), "a dimension is missing"),
        (lambda z, t: (z.sigmoid() > max(t)).long(), "2 of 5 cases agree"),
    ),
)
def multilabel_labels(logits, thresholds):
    """1 above the label's threshold, else 0: (N, L), (L,) -> int64 (N, L)."""
    return (logits.sigmoid() > thresholds).to(torch.int64)


def _bce(z, y, **options):
    return F.binary_cross_entropy_with_logits(z, y, **options)


@function(
    r"""
### Making a missed yes dearer

Logits and targets (N, L), hard or soft, and one `pos_weight` per label, (L,), go in; out comes the
mean over all elements of the binary cross-entropy in which the yes half of each label is multiplied
by its weight. It must survive logits of ±1000. Four lines, without torch's BCE. The gradient is
compared as well.

Hint: The formula of the binary loss has two halves. Which of them does the weight touch, and which
logarithm do you need in a form that cannot be infinite?

Hint: $\ell = -\left[w\, y \ln \sigma(z) + (1 - y) \ln \sigma(-z)\right]$, of shape (N, L); weights
(L,) broadcast along the rows. The mean divides by N × L.

Hint: `torch.nn.functional.logsigmoid` computes $\ln \sigma$ for any logit; $1 - \sigma(z)$ is
$\sigma(-z)$.

Moral: `pos_weight` makes a missed yes dearer and leaves a false one alone; the mean still divides
by the count of elements, not by weights.

- unweighted: The weights do not reach the result.
- weights-both: The weights went to yes and no alike: that makes a label louder, not its yes. Look
  up how `weight` and `pos_weight` differ.
- weights-no: The weights went to the noes. Which side does the name speak of?
- divided-by-weights: The losses are right, and divided by the sum of the weights in use, as in the
  multi-class loss with class weights. The binary loss divides by the count.
- row-sums: The losses of a row were added up and the rows averaged: that is the mean over all
  elements, times the number of labels.
- weighted-logits: The weights went into the logits and changed what the model says. They belong to
  the loss.
- softmax: The probabilities come from a softmax, where labels compete. Several labels can be right
  at once.
- positives-only: Labels that are off cost nothing here: saying yes to everything would be perfect.
- naive: Right for small logits, NaN or infinite for huge ones: the sigmoid is stored as exactly 0
  or 1, and then its logarithm is asked for. Look up log-sigmoid.
- eps: A small number inside the logarithm hides the infinity and caps what a confident mistake
  costs. Look up log-sigmoid.
- double-sigmoid: A sigmoid is in there twice: the loss with logits applies its own.
""",
    cases={
        "one row, two labels": (floats([0.5, -1.0]), floats([1.0, 0.0]), floats(2.0, 3.0)),
        "three rows, two labels": (
            floats([1.2, -0.3], [0.4, 0.8], [-2.0, 1.5]),
            floats([1.0, 1.0], [0.0, 1.0], [1.0, 0.0]),
            floats(0.5, 4.0),
        ),
        "soft targets": (
            floats([0.7, -1.1, 0.0], [1.9, 0.2, -0.4]),
            floats([0.3, 1.0, 0.5], [0.0, 0.8, 0.1]),
            floats(3.0, 1.5, 0.7),
        ),
        "a square batch": (
            floats([0.7, -1.1], [1.9, 0.2]),
            floats([0.0, 1.0], [1.0, 1.0]),
            floats(3.0, 1.5),
        ),
        "huge logits, right": (
            floats([1000.0, -1000.0]),
            floats([1.0, 0.0]),
            floats(2.0, 2.0),
        ),
        "huge logits, confident and wrong": (
            floats([-1000.0, 1000.0], [0.3, -900.0]),
            floats([1.0, 0.0], [1.0, 1.0]),
            floats(5.0, 2.0),
        ),
    },
    generic=("no-minus", "sum", "log2", "log10"),
    gradient=("logits",),
    shortcuts=("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss"),
    mistakes={
        "unweighted": lambda z, y, w: _bce(z, y),
        "weights-both": lambda z, y, w: _bce(z, y, weight=w),
        "weights-no": lambda z, y, w: (
            -(y * F.logsigmoid(z) + w * (1 - y) * F.logsigmoid(-z)).mean()
        ),
        "divided-by-weights": lambda z, y, w: (
            _bce(z, y, pos_weight=w, reduction="sum") / (w * y + 1 - y).sum()
        ),
        "row-sums": lambda z, y, w: _bce(z, y, pos_weight=w, reduction="none").sum(1).mean(),
        "weighted-logits": lambda z, y, w: _bce(z * w, y),
        "softmax": lambda z, y, w: (
            -(
                w * y * z.log_softmax(1) + (1 - y) * torch.log1p(-z.softmax(1).clamp(max=1 - 1e-12))
            ).mean()
        ),
        "positives-only": lambda z, y, w: -(w * y * F.logsigmoid(z)).mean(),
        "naive": lambda z, y, w: (
            -(w * y * z.sigmoid().log() + (1 - y) * (1 - z.sigmoid()).log()).mean()
        ),
        "eps": lambda z, y, w: (
            -(w * y * (z.sigmoid() + 1e-8).log() + (1 - y) * (1 - z.sigmoid() + 1e-8).log()).mean()
        ),
        "double-sigmoid": lambda z, y, w: _bce(z.sigmoid(), y, pos_weight=w),
    },
    right=(
        lambda z, y, w: F.binary_cross_entropy_with_logits(z, y, pos_weight=w),
        lambda z, y, w: (w * y * F.softplus(-z) + (1 - y) * F.softplus(z)).mean(),
        lambda z, y, w: torch.nn.BCEWithLogitsLoss(pos_weight=w)(z, y),
        lambda z, y, w: torch.stack(
            [bce(a, b, pos_weight=w) for a, b in zip(z, y, strict=True)]
        ).mean(),
    ),
    wrong=(
        (
            lambda z, y, w: -(w * y * F.logsigmoid(z) + (1 - y) * F.logsigmoid(z)).mean(),
            "one row, two labels",
        ),
        (lambda z, y, w: bce(z, y, pos_weight=w / w.sum()), "1 of 6 cases agrees"),
        (lambda z, y, w: bce(z, y, pos_weight=w[:, None]), "Two shapes do not fit"),
    ),
)
def multi_label_loss(logits, targets, pos_weight):
    """Mean over all elements: twice (N, L), pos_weight (L,) -> one number."""
    log_sigmoid = torch.nn.functional.logsigmoid
    yes = pos_weight * targets * log_sigmoid(logits)
    no = (1 - targets) * log_sigmoid(-logits)
    return -(yes + no).mean()


def _parts(p, t, dim=0):
    hits = (p * t).sum(dim)
    return hits, p.sum(dim), t.sum(dim)


def _share(top, bottom):
    return top / bottom.clamp(min=1)


def _f1(p, t, dim=0):
    hits, said, true = _parts(p, t, dim)
    return _share(2 * hits, said + true)


def _f1_of_means(p, t):
    hits, said, true = _parts(p, t)
    precision, recall = _share(hits, said).mean(), _share(hits, true).mean()
    return (2 * precision * recall / (precision + recall)).item()


def _present_only(p, t):
    _, said, true = _parts(p, t)
    return _f1(p, t)[said + true > 0].mean().item()


def _micro(p, t):
    hits, said, true = (part.sum() for part in _parts(p, t))
    return (2 * hits / (said + true)).item()


def _arithmetic(p, t):
    hits, said, true = _parts(p, t)
    return ((_share(hits, said) + _share(hits, true)) / 2).mean().item()


@function(
    """
### The mean over labels

The demanding one. Predicted labels and targets, both (N, L) of 0 and 1, go in; the mean over the
labels of each label's F1, a number, comes out. A label that nobody has and nobody names counts as
0. Three lines.

Hint: F1 is the harmonic mean of precision and recall. For each label, which three counts does it
need?

Hint: With hits $h$, predicted $p$ and true $t$, the harmonic mean of $h/p$ and $h/t$ is
$2h / (p + t)$. All three are sums over the rows, (L,).

Hint: The product of predicted and targets is 1 at a hit. `clamp(min=1)` keeps an empty label from
dividing by 0, and its F1 at 0.

Moral: Every label counts alike, the rare as much as the common: a rare one that is never found
pulls the mean down at once.

- micro: Hits and errors were pooled over all labels first: that is micro F1, in which common labels
  speak louder.
- rows: An F1 was taken for each row. Macro F1 takes one for each label: which dimension is summed
  over?
- weighted: The labels were weighted by how often they occur. In the macro mean every label counts
  alike.
- f1-of-means: Precision and recall were averaged first, and one F1 was made of the means. Macro F1
  is the mean of the labels' F1: the order matters.
- nan: Right, except that a label which nobody has and nobody names gives 0 divided by 0. The task
  says what it should count as.
- present-only: Labels that nobody has and nobody names were left out of the mean. The task counts
  them as 0.
- empty-is-perfect: A label that nobody has and nobody names got a 1. The task counts it as 0; look
  up `zero_division`, since libraries differ here.
- precision: That is the mean precision: what was said and is true. F1 looks at what is true and was
  not said as well.
- recall: That is the mean recall: what is true and was said. F1 looks at what was said and is not
  true as well.
- jaccard: That is hits divided by all that was said or is true, the Jaccard index. F1 counts the
  hits twice, above and below.
- no-two: Every value is half of what it should be: hits count once in what was said and once in
  what is true.
- arithmetic-mean: Precision and recall were averaged as they are. F1 takes their harmonic mean,
  which stays close to the worse of the two.
- accuracy: That is the share of right elements, noes included. F1 does not count a right no.
""",
    cases={
        "three rows, two labels": (
            classes([1, 0], [1, 1], [0, 1]),
            classes([1, 0], [0, 1], [0, 0]),
        ),
        "four rows, three labels": (
            classes([1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 0, 0]),
            classes([1, 0, 1], [1, 0, 1], [1, 1, 0], [0, 0, 1]),
        ),
        "a square batch": (
            classes([1, 1, 0], [0, 1, 1], [1, 0, 1]),
            classes([1, 0, 0], [0, 1, 1], [0, 0, 0]),
        ),
        "a label that nobody has and nobody names": (
            classes([1, 0], [1, 0], [0, 0]),
            classes([1, 0], [0, 0], [1, 0]),
        ),
        "all right": (classes([1, 0], [0, 1]), classes([1, 0], [0, 1])),
    },
    generic=("percent",),
    right=(
        lambda p, t: (2 * (p * t).sum(0) / ((p + t).sum(0) + 1e-8)).mean().item(),
        lambda p, t: (2 * (p & t).sum(0) / (p + t).sum(0).clamp(min=1)).float().mean(),
        lambda p, t: _f1(p, t).mean(),
    ),
    tolerance=1e-6,
    mistakes={
        "micro": _micro,
        "rows": lambda p, t: _f1(p, t, 1).mean().item(),
        "weighted": lambda p, t: (_f1(p, t) * t.sum(0)).sum().item() / t.sum().item(),
        "f1-of-means": _f1_of_means,
        "nan": lambda p, t: (2 * (p * t).sum(0) / (p.sum(0) + t.sum(0))).mean().item(),
        "present-only": _present_only,
        "empty-is-perfect": lambda p, t: (
            _f1(p, t).where(p.sum(0) + t.sum(0) > 0, torch.ones(())).mean().item()
        ),
        "precision": lambda p, t: _share(_parts(p, t)[0], _parts(p, t)[1]).mean().item(),
        "recall": lambda p, t: _share(_parts(p, t)[0], _parts(p, t)[2]).mean().item(),
        "jaccard": lambda p, t: (
            _share((p * t).sum(0), p.sum(0) + t.sum(0) - (p * t).sum(0)).mean().item()
        ),
        "no-two": lambda p, t: (_f1(p, t) / 2).mean().item(),
        "arithmetic-mean": _arithmetic,
        "accuracy": lambda p, t: (p == t).double().mean().item(),
    },
    wrong=(
        (lambda p, t: (2 * (p * t).sum(0) / (p + t).sum()).mean(), "all right"),
        (lambda p, t: ((p * t).sum(0) / p.sum(0)).mean(), "NaN or infinite"),
        (lambda p, t: 2 * (p & t).sum(0) / (p | t).sum(0).clamp(min=1), "Is a sum or a mean"),
    ),
)
def macro_f1(predicted, targets):
    """Mean of the labels' F1: both (N, L) of 0 and 1 -> a number."""
    hits = (predicted * targets).sum(dim=0)
    named = predicted.sum(dim=0) + targets.sum(dim=0)
    return (2 * hits / named.clamp(min=1)).mean().item()
