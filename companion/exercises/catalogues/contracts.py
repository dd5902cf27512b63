"""BCE or CE: what goes in, in which shape and dtype, and when the two are the same."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._answers import variations
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "BCE or CE"


def predict_contract():
    """Four times "number" or "error", a number, "equal" or "different"."""
    float_labels = "error"  # floats (N,) are neither indices nor a table
    integers = "error"  # the loss does arithmetic with its target
    column = "error"  # torch compares the shapes first
    shares = "number"  # a table of shares is welcome
    one_column = 0.0  # a softmax over one column is 1
    zero_and_z = "equal"  # softmax of (0, z) is the sigmoid of z
    return float_labels, integers, column, shares, one_column, zero_and_z


_EITHER = ("number", "error")


_QUESTIONS = {
    "float_labels": _EITHER,
    "integers": _EITHER,
    "column": _EITHER,
    "shares": _EITHER,
    "one_column": (),
    "zero_and_z": ("equal", "different"),
}

_but = variations(dict(zip(_QUESTIONS, predict_contract(), strict=True)))

_PREDICT = Prediction(
    name="predict_contract",
    solution=predict_contract,
    questions=_QUESTIONS,
    mistakes=(
        Mistake(
            "float-labels",
            "CrossEntropyLoss reads a target in two ways: as class indices or as class "
            "probabilities. The dtype decides which, and then the shape has to fit.",
            _but(float_labels="number"),
        ),
        Mistake(
            "integer-target",
            "A binary loss multiplies with its target, and soft targets are welcome: it wants the "
            "dtype of the logits. Look up the target dtypes of both losses.",
            _but(integers="number"),
        ),
        Mistake(
            "dtypes-do-not-matter",
            "torch converts no target for you: an index and a number are different things to a "
            "loss. Look up the target dtypes of both losses.",
            _but(float_labels="number", integers="number"),
        ),
        Mistake(
            "broadcasts",
            "The binary losses of torch compare the two shapes first, just because broadcasting "
            "would pair every logit with every target. A loss written by hand does not.",
            _but(column="number"),
        ),
        Mistake(
            "indices-only",
            "Cross-entropy is defined for a whole distribution as its target, and torch takes one "
            "as well: look up class probabilities.",
            _but(shares="error"),
        ),
        Mistake(
            "one-column-ln2",
            "That would be the loss of an undecided sigmoid. What does a softmax over a single "
            "column give, whatever the logit?",
            _but(one_column=math.log(2)),
        ),
        Mistake(
            "one-column-one",
            "1 is the probability that a softmax gives to a single column. And the loss?",
            _but(one_column=1.0),
        ),
        Mistake(
            "different",
            "Divide the numerator and the denominator of the softmax of (0, z) by the same thing, "
            "and compare with a sigmoid.",
            _but(zero_and_z="different"),
        ),
    ),
    moral="An error is the good case. The silent ones are a loss of exactly 0, and a loss written "
    "by hand that broadcasts.",
)


def one_hot_targets(target, num_classes, dtype):
    """Class indices (N,) -> table (N, num_classes) of zeros and ones."""
    table = torch.zeros(len(target), num_classes, dtype=dtype)
    table[torch.arange(len(target)), target] = 1
    return table


def _hot(t, k, d):
    return F.one_hot(t, k).to(d)


_ONE_HOT = Exercise(
    name="one_hot_targets",
    solution=one_hot_targets,
    cases={
        "two rows, three classes": (classes(2, 0), 3, torch.float64),
        "three rows, four classes, the last never seen": (classes(1, 0, 2), 4, torch.float64),
        "three rows, three classes": (classes(1, 1, 0), 3, torch.float64),
        "a float32 table": (classes(0, 1, 1, 1), 2, torch.float32),
    },
    moral="The same labels in the form that a binary loss takes: one yes-or-no question per "
    "class, in the dtype of the logits.",
    mistakes=(
        Mistake(
            "integers",
            "The table is right, and made of integers. A binary loss does arithmetic with its "
            "target and wants the dtype asked for.",
            lambda t, k, d: F.one_hot(t, k),
        ),
        Mistake(
            "booleans",
            "The table is right, and made of True and False. Which dtype is asked for?",
            lambda t, k, d: F.one_hot(t, k).bool(),
        ),
        Mistake(
            "always-double",
            "The table is right, but always in double precision: the dtype that is asked for is "
            "not used. Where it is float32, a loss would meet two dtypes.",
            lambda t, k, d: _hot(t, k, torch.float64),
        ),
        Mistake(
            "always-single",
            "The table is right, but always in single precision: the dtype that is asked for is "
            "not used. Look up what `.float()` means.",
            lambda t, k, d: _hot(t, k, torch.float32),
        ),
        Mistake(
            "classes-guessed",
            "The number of classes was guessed from the labels. A batch that lacks the last class "
            "then gets a table that is too narrow.",
            lambda t, k, d: F.one_hot(t).to(d),
        ),
        Mistake(
            "transposed",
            "Rows and columns have changed places: samples belong in the rows, like in the logits.",
            lambda t, k, d: _hot(t, k, d).T,
        ),
        Mistake(
            "all-columns",
            "Whole columns were filled: every row got the labels of all rows. Look up how "
            "indexing with a slice differs from indexing with two index tensors.",
            lambda t, k, d: _hot(t, k, d).amax(0).expand(len(t), k).clone(),
        ),
        Mistake(
            "counted-from-one",
            "The ones are a column too far to the left, and class 0 has fallen off the table: "
            "class indices begin at 0.",
            lambda t, k, d: torch.stack([t == c + 1 for c in range(k)], dim=1).to(d),
        ),
        Mistake(
            "inverted",
            "Zeros and ones are turned around.",
            lambda t, k, d: 1 - _hot(t, k, d),
        ),
        Mistake(
            "cumulative",
            "Every class up to the label got a one. That is a code for ordered classes; here just "
            "one class is right.",
            lambda t, k, d: (torch.arange(k) <= t[:, None]).to(d),
        ),
        Mistake(
            "column",
            "That is a column with the class index in it. A binary loss would take the index for "
            "a probability.",
            lambda t, k, d: t[:, None].to(d),
        ),
    ),
)


def zero_and_logit(logit):
    """One logit (N,) -> two (N, 2), with the same probability of class 1."""
    return torch.stack([torch.zeros_like(logit), logit], dim=1)


_ZERO_AND_LOGIT = Exercise(
    name="zero_and_logit",
    solution=zero_and_logit,
    cases={
        "one logit": (floats(1.5),),
        "three logits": (floats(0.7, -0.4, 2.2),),
        "two logits, a square result": (floats(-1.1, 0.6),),
        "huge logits": (floats(1000.0, -1000.0, 3.0),),
    },
    moral="Cross-entropy on these two columns is binary cross-entropy on the one: the two losses "
    "agree wherever both can be asked.",
    mistakes=(
        Mistake(
            "reversed",
            "The logit stands in the column of class 0. A positive logit speaks for class 1.",
            lambda z: torch.stack([z, torch.zeros_like(z)], 1),
        ),
        Mistake(
            "plus-minus",
            "With -z and z the difference is 2z: the softmax becomes twice as sure as the sigmoid "
            "was.",
            lambda z: torch.stack([-z, z], 1),
        ),
        Mistake(
            "halves",
            "The softmax of this is right, since the difference is. Asked for is the pair whose "
            "first logit is 0.",
            lambda z: torch.stack([-z / 2, z / 2], 1),
        ),
        Mistake(
            "copied",
            "Both classes got the same logit, so the softmax is always undecided.",
            lambda z: torch.stack([z, z], 1),
        ),
        Mistake(
            "one-minus",
            "1 - p is the other side of a probability. Logits have no total of 1: which logit "
            "makes the difference z?",
            lambda z: torch.stack([1 - z, z], 1),
        ),
        Mistake(
            "probabilities",
            "Those are the two probabilities. Cross-entropy expects logits and would apply a "
            "softmax on top.",
            lambda z: torch.stack([1 - z.sigmoid(), z.sigmoid()], 1),
        ),
        Mistake(
            "log-probs",
            "Those are the logarithms of the two probabilities. Their softmax is right, and their "
            "first column is not the 0 that is asked for.",
            lambda z: torch.stack([F.logsigmoid(-z), F.logsigmoid(z)], 1),
        ),
        Mistake(
            "rows",
            "The two classes became two rows. In logits (N, K) the classes are the columns: look "
            "up the dimension along which tensors are stacked.",
            lambda z: torch.stack([torch.zeros_like(z), z]),
        ),
        Mistake(
            "joined",
            "Zeros and logits were joined into one long row. Two columns need a new dimension.",
            lambda z: torch.cat([torch.zeros_like(z), z]),
        ),
        Mistake(
            "padded-ones",
            "The first logit is 1 instead of 0, so every difference is too small by 1.",
            lambda z: torch.stack([torch.ones_like(z), z], 1),
        ),
    ),
)


def one_against_rest(logits, target):
    """Mean of all N x K binary losses: logits (N, K), target (N,) -> number."""
    table = torch.nn.functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    loss = torch.nn.BCEWithLogitsLoss()
    return loss(logits, table)


def _bce(z, t, **options):
    table = F.one_hot(t, z.shape[1]).to(z.dtype)
    return F.binary_cross_entropy_with_logits(z, table, **options)


_ONE_AGAINST_REST = Exercise(
    name="one_against_rest",
    solution=one_against_rest,
    cases={
        "one row, three classes": (floats([2.0, 0.0, -1.0]), classes(1)),
        "three rows, four classes": (
            floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3]),
            classes(3, 1, 0),
        ),
        "a square batch": (floats([1.5, -0.4], [0.3, 0.8]), classes(1, 0)),
        "huge logits, right": (floats([1000.0, -1000.0, -500.0]), classes(0)),
        "huge logits, confident and wrong": (
            floats([-1000.0, 1000.0, 0.5], [0.2, -800.0, 1.0]),
            classes(0, 1),
        ),
    },
    moral="Each class is asked on its own, so the K probabilities of a row need not add up to 1. "
    "With one right class among many, most of the K questions are easy noes.",
    mistakes=(
        Mistake(
            "cross-entropy",
            "That is cross-entropy: the classes compete in it. Here every class gets a yes-or-no "
            "question of its own.",
            lambda z, t: F.cross_entropy(z, t),
        ),
        Mistake(
            "positives-only",
            "Only the labelled class was asked. The other classes should say no, and their loss "
            "counts as well.",
            lambda z, t: -F.logsigmoid(z)[torch.arange(len(t)), t].mean(),
        ),
        Mistake(
            "row-sums",
            "The losses of a row were added up, and these sums averaged: K times the mean over "
            "all elements, which is what torch's binary losses take.",
            lambda z, t: _bce(z, t, reduction="none").sum(1).mean(),
        ),
        Mistake(
            "batch-sums",
            "The losses were averaged over the classes only, and added up over the batch.",
            lambda z, t: _bce(z, t, reduction="none").mean(1).sum(),
        ),
        Mistake(
            "sum",
            "All N x K losses were added up; their mean is asked for.",
            lambda z, t: _bce(z, t, reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            "There is one loss for each row and class: the last step, to one number, is missing.",
            lambda z, t: _bce(z, t, reduction="none"),
        ),
        Mistake(
            "row-losses",
            "There is one loss for each row: the mean over the batch is still to come.",
            lambda z, t: _bce(z, t, reduction="none").mean(1),
        ),
        Mistake(
            "softmax-first",
            "A softmax went before the sigmoid that the loss contains. Logits are what it wants, "
            "one question each.",
            lambda z, t: _bce(z.softmax(1), t),
        ),
        Mistake(
            "softmax-probs",
            "The probabilities come from a softmax, where the classes compete. With K independent "
            "questions each logit has a sigmoid to itself.",
            lambda z, t: F.binary_cross_entropy(z.softmax(1), F.one_hot(t, z.shape[1]).to(z.dtype)),
        ),
        Mistake(
            "double-sigmoid",
            "A sigmoid is in there twice: the loss with logits applies its own.",
            lambda z, t: _bce(z.sigmoid(), t),
        ),
        Mistake(
            "clamped-bce",
            "Right for small logits. The loss on probabilities cuts its logarithms off at -100, "
            "and there its gradient is zero: look up why the form with logits exists.",
            lambda z, t: F.binary_cross_entropy(z.sigmoid(), F.one_hot(t, z.shape[1]).to(z.dtype)),
        ),
        Mistake(
            "integer-table",
            "The table of labels is right, its dtype is not: the binary loss does arithmetic with "
            "it. Look up its target dtype.",
            lambda z, t: F.binary_cross_entropy_with_logits(z, F.one_hot(t, z.shape[1])),
        ),
        Mistake(
            "flipped",
            "Yes and no are turned around: the labelled class was asked to say no.",
            lambda z, t: _bce(-z, t),
        ),
    ),
)

EXERCISES = (_PREDICT, _ONE_HOT, _ZERO_AND_LOGIT, _ONE_AGAINST_REST)
