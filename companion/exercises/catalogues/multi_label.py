"""Several labels at once: one question per label, and how to count what is right."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._answers import variations
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "multi-label"


def predict_multi_label():
    """Six numbers; those that are not whole to two decimals."""
    untrained_loss = 0.69  # ten times ln 2, divided by ten
    untrained_row_sum = 6.93  # ten times ln 2
    softmax_best_for_both = 0.50  # two equal shares of 1
    right_elements = 0.80  # eight noes of ten are right
    right_rows = 0.00  # no canvas is empty
    answers_of_three = 8  # 2 * 2 * 2
    return (
        untrained_loss,
        untrained_row_sum,
        softmax_best_for_both,
        right_elements,
        right_rows,
        answers_of_three,
    )


_QUESTIONS = {
    "untrained_loss": (),
    "untrained_row_sum": (),
    "softmax_best_for_both": (),
    "right_elements": (),
    "right_rows": (),
    "answers_of_three": (),
}

_but = variations(dict(zip(_QUESTIONS, predict_multi_label(), strict=True)))

_PREDICT = Prediction(
    name="predict_multi_label",
    solution=predict_multi_label,
    questions=_QUESTIONS,
    mistakes=(
        Mistake(
            "ln-10",
            "That is the loss of one choice among ten. Here there are ten choices between two.",
            _but(untrained_loss=math.log(10), untrained_row_sum=math.log(10)),
        ),
        Mistake(
            "ln-10-each",
            "Each of the ten questions has two answers, so each costs less than that.",
            _but(untrained_loss=math.log(10), untrained_row_sum=10 * math.log(10)),
        ),
        Mistake(
            "mean-is-sum",
            "The mean over all elements and the sum over the labels of a row differ by a factor: "
            "which one?",
            _but(untrained_row_sum=math.log(2)),
        ),
        Mistake(
            "sum-is-mean",
            "torch's mean is taken over all elements, not over the rows.",
            _but(untrained_loss=10 * math.log(2)),
        ),
        Mistake(
            "softmax-says-both",
            "The probabilities of a softmax add up to 1. How much can two of them have at once?",
            _but(softmax_best_for_both=1.0),
        ),
        Mistake(
            "softmax-share-of-ten",
            "That is what each of ten gets when nothing is known. Here two may be preferred, as "
            "strongly as you like.",
            _but(softmax_best_for_both=0.1),
        ),
        Mistake(
            "only-yes-counts",
            "A right no is right as well. Of the ten elements of a row, how many are no?",
            _but(right_elements=0.0),
        ),
        Mistake(
            "noes-wrong",
            "That is the share of yes. The model says no: which elements does it get right?",
            _but(right_elements=0.2),
        ),
        Mistake(
            "rows-like-elements",
            "A row is right only if all its ten elements are.",
            _but(right_rows=0.8),
        ),
        Mistake(
            "one-of-three",
            "That is a choice of one among three. Labels do not exclude each other: any of them "
            "can be on or off.",
            _but(answers_of_three=3),
        ),
        Mistake(
            "three-squared",
            "Three questions with two answers each: multiply the answers, not the questions.",
            _but(answers_of_three=9),
        ),
    ),
    moral="A model that always says no is right four times in five by elements and never by rows. "
    "Which share is reported makes the difference.",
)


def subset_accuracy(predicted, targets):
    """Share of rows right in every label: both (N, L) of 0, 1 -> a number."""
    return (predicted == targets).all(dim=1).double().mean().item()


_SUBSET = Exercise(
    name="subset_accuracy",
    solution=subset_accuracy,
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
    },
    moral="The strictest of the shares: one wrong label, and the row is wrong.",
    mistakes=(
        Mistake(
            "elements",
            "That is the share of right elements. A row counts as right only when all its labels "
            "are.",
            lambda p, t: (p == t).double().mean().item(),
        ),
        Mistake(
            "any",
            "A row passes here as soon as one of its labels is right. All of them have to be.",
            lambda p, t: (p == t).any(1).double().mean().item(),
        ),
        Mistake(
            "labels",
            "That is the share of *labels* that are right in all rows. Which dimension holds the "
            "labels of one row?",
            lambda p, t: (p == t).all(0).double().mean().item(),
        ),
        Mistake(
            "count",
            "That is how many rows are right. Their share is asked for.",
            lambda p, t: (p == t).all(1).sum().item(),
        ),
        Mistake(
            "whole-table",
            "It asks whether the whole table is right; each row should be asked for itself.",
            lambda p, t: float(torch.equal(p, t)),
        ),
        Mistake(
            "error",
            "That is the share of rows with at least one error.",
            lambda p, t: 1 - (p == t).all(1).double().mean().item(),
        ),
        Mistake(
            "same-number",
            "It compares how many labels each row has. Two rows can have as many, and others.",
            lambda p, t: (p.sum(1) == t.sum(1)).double().mean().item(),
        ),
        Mistake(
            "positives-found",
            "Only the labels that should be on were looked at. One that is on and should not be "
            "makes a row wrong, too.",
            lambda p, t: (p >= t).all(1).double().mean().item(),
        ),
        Mistake(
            "per-row",
            "There is one verdict per row: their share is still to be taken.",
            lambda p, t: (p == t).all(1),
        ),
    ),
)


def multilabel_labels(logits, thresholds):
    """1 above the label's threshold, else 0: (N, L), (L,) -> int64 (N, L)."""
    return (logits.sigmoid() > thresholds).to(torch.int64)


_LABELS = Exercise(
    name="multilabel_labels",
    solution=multilabel_labels,
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
    },
    moral="Every label has its own question and may have its own threshold; a row may get none, "
    "one, or all of them.",
    mistakes=(
        Mistake(
            "logits-against-thresholds",
            "The logits were compared with thresholds that are meant for probabilities.",
            lambda z, t: (z > t).long(),
        ),
        Mistake(
            "always-half",
            "The thresholds are not used: this is the rule for one half everywhere.",
            lambda z, t: (z > 0).long(),
        ),
        Mistake(
            "tie-included",
            "At a tie this says yes. The task asks for above.",
            lambda z, t: (z.sigmoid() >= t).long(),
        ),
        Mistake(
            "argmax",
            "Just one label per row is on, as if they excluded each other. Each label is a "
            "question of its own.",
            lambda z, t: F.one_hot(z.argmax(1), z.shape[1]),
        ),
        Mistake(
            "softmax",
            "A softmax made the labels compete. Each label has a sigmoid to itself.",
            lambda z, t: (z.softmax(1) > t).long(),
        ),
        Mistake(
            "per-row",
            "The thresholds were laid along the rows: on a square batch that passes silently. "
            "Which dimension of the logits do they belong to?",
            lambda z, t: (z.sigmoid() > t[:, None]).long(),
        ),
        Mistake(
            "first-for-all",
            "Every label got the threshold of the first one.",
            lambda z, t: (z.sigmoid() > t[0]).long(),
        ),
        Mistake(
            "mean-for-all",
            "Every label got the mean of the thresholds.",
            lambda z, t: (z.sigmoid() > t.mean()).long(),
        ),
        Mistake(
            "reversed",
            "Yes and no are turned around.",
            lambda z, t: (z.sigmoid() < t).long(),
        ),
        Mistake(
            "booleans",
            "The decisions are right, and come as True and False. Which dtype do labels have?",
            lambda z, t: z.sigmoid() > t,
        ),
        Mistake(
            "floats",
            "The decisions are right, and come as floating-point numbers. Which dtype do labels "
            "have?",
            lambda z, t: (z.sigmoid() > t).to(z.dtype),
        ),
        Mistake(
            "sigmoid-twice",
            "A sigmoid was applied twice, so nothing is below one half any more.",
            lambda z, t: (z.sigmoid().sigmoid() > t).long(),
        ),
    ),
)


def multi_label_loss(logits, targets, pos_weight):
    """Mean over all elements: twice (N, L), pos_weight (L,) -> one number."""
    log_sigmoid = torch.nn.functional.logsigmoid
    yes = pos_weight * targets * log_sigmoid(logits)
    no = (1 - targets) * log_sigmoid(-logits)
    return -(yes + no).mean()


def _bce(z, y, **options):
    return F.binary_cross_entropy_with_logits(z, y, **options)


_LOSS = Exercise(
    name="multi_label_loss",
    solution=multi_label_loss,
    cases={
        "one row, two labels": (floats([0.5, -1.0]), floats([1.0, 0.0]), floats(2.0, 3.0)),
        "three rows, two labels": (
            floats([1.2, -0.3], [0.4, 0.8], [-2.0, 1.5]),
            floats([1.0, 1.0], [0.0, 1.0], [1.0, 0.0]),
            floats(0.5, 4.0),
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
    shortcuts=("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss"),
    moral="`pos_weight` makes a missed yes dearer and leaves a false one alone; the mean still "
    "divides by the count of elements, not by weights.",
    mistakes=(
        Mistake(
            "unweighted",
            "The weights do not reach the result.",
            lambda z, y, w: _bce(z, y),
        ),
        Mistake(
            "weights-both",
            "The weights went to yes and no alike: that makes a label louder, not its yes. Look "
            "up how `weight` and `pos_weight` differ.",
            lambda z, y, w: _bce(z, y, weight=w),
        ),
        Mistake(
            "weights-no",
            "The weights went to the noes. Which side does the name speak of?",
            lambda z, y, w: -(y * F.logsigmoid(z) + w * (1 - y) * F.logsigmoid(-z)).mean(),
        ),
        Mistake(
            "divided-by-weights",
            "The losses are right, and divided by the sum of the weights in use, as in the "
            "multi-class loss with class weights. The binary loss divides by the count.",
            lambda z, y, w: _bce(z, y, pos_weight=w, reduction="sum") / (w * y + 1 - y).sum(),
        ),
        Mistake(
            "row-sums",
            "The losses of a row were added up and the rows averaged: that is the mean over all "
            "elements, times the number of labels.",
            lambda z, y, w: _bce(z, y, pos_weight=w, reduction="none").sum(1).mean(),
        ),
        Mistake(
            "sum",
            "All losses were added up; their mean is asked for.",
            lambda z, y, w: _bce(z, y, pos_weight=w, reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            "There is one loss for each element: the mean is still to come.",
            lambda z, y, w: _bce(z, y, pos_weight=w, reduction="none"),
        ),
        Mistake(
            "per-label",
            "There is one loss for each label: the mean over them is still to come.",
            lambda z, y, w: _bce(z, y, pos_weight=w, reduction="none").mean(0),
        ),
        Mistake(
            "weighted-logits",
            "The weights went into the logits and changed what the model says. They belong to the "
            "loss.",
            lambda z, y, w: _bce(z * w, y),
        ),
        Mistake(
            "softmax",
            "The probabilities come from a softmax, where labels compete. Several labels can be "
            "right at once.",
            lambda z, y, w: (
                -(
                    w * y * z.log_softmax(1)
                    + (1 - y) * torch.log1p(-z.softmax(1).clamp(max=1 - 1e-12))
                ).mean()
            ),
        ),
        Mistake(
            "positives-only",
            "Labels that are off cost nothing here: saying yes to everything would be perfect.",
            lambda z, y, w: -(w * y * F.logsigmoid(z)).mean(),
        ),
        Mistake(
            "no-minus",
            "The sign is upside down: the better the prediction, the larger this number.",
            lambda z, y, w: -_bce(z, y, pos_weight=w),
        ),
        Mistake(
            "naive",
            "Right for small logits, NaN or infinite for huge ones: the sigmoid is stored as "
            "exactly 0 or 1, and then its logarithm is asked for. Look up log-sigmoid.",
            lambda z, y, w: -(w * y * z.sigmoid().log() + (1 - y) * (1 - z.sigmoid()).log()).mean(),
        ),
        Mistake(
            "eps",
            "A small number inside the logarithm hides the infinity and caps what a confident "
            "mistake costs. Look up log-sigmoid.",
            lambda z, y, w: (
                -(
                    w * y * (z.sigmoid() + 1e-8).log() + (1 - y) * (1 - z.sigmoid() + 1e-8).log()
                ).mean()
            ),
        ),
        Mistake(
            "double-sigmoid",
            "A sigmoid is in there twice: the loss with logits applies its own.",
            lambda z, y, w: _bce(z.sigmoid(), y, pos_weight=w),
        ),
    ),
)


def macro_f1(predicted, targets):
    """Mean of the labels' F1: both (N, L) of 0 and 1 -> a number."""
    hits = (predicted * targets).sum(dim=0)
    named = predicted.sum(dim=0) + targets.sum(dim=0)
    return (2 * hits / named.clamp(min=1)).mean().item()


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


_MACRO_F1 = Exercise(
    name="macro_f1",
    solution=macro_f1,
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
    moral="Every label counts alike, the rare as much as the common: a rare one that is never "
    "found pulls the mean down at once.",
    mistakes=(
        Mistake(
            "micro",
            "Hits and errors were pooled over all labels first: that is micro F1, in which common "
            "labels speak louder.",
            _micro,
        ),
        Mistake(
            "rows",
            "An F1 was taken for each row. Macro F1 takes one for each label: which dimension is "
            "summed over?",
            lambda p, t: _f1(p, t, 1).mean().item(),
        ),
        Mistake(
            "weighted",
            "The labels were weighted by how often they occur. In the macro mean every label "
            "counts alike.",
            lambda p, t: (_f1(p, t) * t.sum(0)).sum().item() / t.sum().item(),
        ),
        Mistake(
            "f1-of-means",
            "Precision and recall were averaged first, and one F1 was made of the means. Macro F1 "
            "is the mean of the labels' F1: the order matters.",
            _f1_of_means,
        ),
        Mistake(
            "nan",
            "Right, except that a label which nobody has and nobody names gives 0 divided by 0. "
            "The task says what it should count as.",
            lambda p, t: (2 * (p * t).sum(0) / (p.sum(0) + t.sum(0))).mean().item(),
        ),
        Mistake(
            "present-only",
            "Labels that nobody has and nobody names were left out of the mean. The task counts "
            "them as 0.",
            _present_only,
        ),
        Mistake(
            "empty-is-perfect",
            "A label that nobody has and nobody names got a 1. The task counts it as 0; look up "
            "`zero_division`, since libraries differ here.",
            lambda p, t: _f1(p, t).where(p.sum(0) + t.sum(0) > 0, torch.ones(())).mean().item(),
        ),
        Mistake(
            "precision",
            "That is the mean precision: what was said and is true. F1 looks at what is true and "
            "was not said as well.",
            lambda p, t: _share(_parts(p, t)[0], _parts(p, t)[1]).mean().item(),
        ),
        Mistake(
            "recall",
            "That is the mean recall: what is true and was said. F1 looks at what was said and is "
            "not true as well.",
            lambda p, t: _share(_parts(p, t)[0], _parts(p, t)[2]).mean().item(),
        ),
        Mistake(
            "jaccard",
            "That is hits divided by all that was said or is true, the Jaccard index. F1 counts "
            "the hits twice, above and below.",
            lambda p, t: _share((p * t).sum(0), p.sum(0) + t.sum(0) - (p * t).sum(0)).mean().item(),
        ),
        Mistake(
            "no-two",
            "Every value is half of what it should be: hits count once in what was said and once "
            "in what is true.",
            lambda p, t: (_f1(p, t) / 2).mean().item(),
        ),
        Mistake(
            "arithmetic-mean",
            "Precision and recall were averaged as they are. F1 takes their harmonic mean, which "
            "stays close to the worse of the two.",
            _arithmetic,
        ),
        Mistake(
            "accuracy",
            "That is the share of right elements, noes included. F1 does not count a right no.",
            lambda p, t: (p == t).double().mean().item(),
        ),
        Mistake(
            "per-label",
            "There is one F1 per label: their mean is still to be taken.",
            lambda p, t: _f1(p, t),
        ),
    ),
)

EXERCISES = (_PREDICT, _SUBSET, _LABELS, _LOSS, _MACRO_F1)
