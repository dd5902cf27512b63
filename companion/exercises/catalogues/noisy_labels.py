"""Noisy labels: reverse and symmetric cross-entropy, and the noise itself."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "noisy labels"

_FOUR = floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3])
_THREE = floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6])
_HUGE = floats([1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0])

_SUM = "These are the right losses, added up; their mean is asked for. Look up `reduction`."
_UNREDUCED = "One right loss per row: the last step, from many numbers to one, is missing."


def predict_noise():
    """Five numbers, to two decimals."""
    log_of_clamp = -9.21  # ln 1e-4
    rce_undecided = 3.00  # 4 * (1 - 1/4)
    rce_certain_and_wrong = 4.00  # the bound, -A
    one_wrong_class = 0.10  # 0.4 shared by four other classes
    noise_limit = 0.90  # 1 - 1/K: until then the true label is the most frequent
    return (
        log_of_clamp,
        rce_undecided,
        rce_certain_and_wrong,
        one_wrong_class,
        noise_limit,
    )


_CLAMP = math.log(1e-4)

_PREDICT = Prediction(
    name="predict_noise",
    solution=predict_noise,
    questions={
        "log_of_clamp": (),
        "rce_undecided": (),
        "rce_certain_and_wrong": (),
        "one_wrong_class": (),
        "noise_limit": (),
    },
    mistakes=(
        Mistake(
            "log10",
            "That is the exponent of 10. The logarithm in a loss is the natural one: this very "
            "slip stands in many programs.",
            lambda: (-4.0, 3.0, 4.0, 0.1, 0.9),
        ),
        Mistake(
            "log-positive",
            "The size is right. Which sign does the logarithm of a number below 1 have?",
            lambda: (-_CLAMP, 3.0, 4.0, 0.1, 0.9),
        ),
        Mistake(
            "rce-like-ce",
            "That is ordinary cross-entropy. In the reverse one, the prediction is the weight and "
            "the label stands under the logarithm.",
            lambda: (_CLAMP, math.log(4), 4.0, 0.1, 0.9),
        ),
        Mistake(
            "rce-of-label",
            "The labelled class contributes nothing: the logarithm of its label is 0. It is the "
            "probability of the other classes that pays.",
            lambda: (_CLAMP, 1.0, 0.0, 0.1, 0.9),
        ),
        Mistake(
            "rce-undecided-full",
            "The full price is for putting everything on wrong classes. An undecided model has "
            "put something on the right one.",
            lambda: (_CLAMP, 4.0, 4.0, 0.1, 0.9),
        ),
        Mistake(
            "rce-unbounded",
            "That is true of cross-entropy. In the reverse one a probability, at most 1, is "
            "multiplied with a finite number: it is bounded.",
            lambda: (_CLAMP, 3.0, math.inf, 0.1, 0.9),
        ),
        Mistake(
            "negative-rce",
            "A is negative, and the loss has a minus in front of it.",
            lambda: (_CLAMP, -3.0, -4.0, 0.1, 0.9),
        ),
        Mistake(
            "shared-by-all",
            "The wrong labels are shared by the other classes only: how many are these?",
            lambda: (_CLAMP, 3.0, 4.0, 0.08, 0.9),
        ),
        Mistake(
            "not-shared",
            "That is the chance of any wrong label. Asked for is one particular class.",
            lambda: (_CLAMP, 3.0, 4.0, 0.4, 0.9),
        ),
        Mistake(
            "half",
            "With two classes that is so. With ten, the wrong labels are spread over nine "
            "classes, and the true one can be the most frequent with far less than half.",
            lambda: (_CLAMP, 3.0, 4.0, 0.1, 0.5),
        ),
    ),
    moral="Only the product of weight and A counts, so a clamp in the code is a setting of the "
    "loss, whether it is called one or not.",
)


def noise_matrix(num_classes, rate):
    """Entry (i, j): the chance that true class i is labelled j -> (K, K)."""
    each = rate / (num_classes - 1)
    matrix = torch.full((num_classes, num_classes), each)
    return matrix.fill_diagonal_(1 - rate)


def _matrix(k, diagonal, other):
    return torch.full((k, k), float(other)).fill_diagonal_(diagonal)


_NOISE_MATRIX = Exercise(
    name="noise_matrix",
    solution=noise_matrix,
    cases={
        "two classes": (2, 0.3),
        "four classes": (4, 0.6),
        "no noise": (3, 0.0),
        "ten classes": (10, 0.45),
    },
    moral="Rows add up to 1, since every sample gets some label. While the diagonal is the largest "
    "entry of its row, the truth is still the most frequent label.",
    mistakes=(
        Mistake(
            "not-shared",
            "Every wrong class got the whole rate: the rows add up to more than 1.",
            lambda k, r: _matrix(k, 1 - r, r),
        ),
        Mistake(
            "shared-by-all",
            "The rate was shared by all classes, the true one among them, but the diagonal got no "
            "share: the rows add up to less than 1.",
            lambda k, r: _matrix(k, 1 - r, r / k),
        ),
        Mistake(
            "resampled",
            "That is the noise of drawing a new label from all classes, the true one among them: "
            "some labels survive the draw, and fewer than the rate are wrong.",
            lambda k, r: _matrix(k, 1 - r + r / k, r / k),
        ),
        Mistake(
            "diagonal-is-rate",
            "The diagonal holds the rate itself. It is the chance of a *right* label.",
            lambda k, r: _matrix(k, r, (1 - r) / (k - 1)),
        ),
        Mistake(
            "diagonal-full",
            "The diagonal stayed 1: labels became wrong without any being right less often.",
            lambda k, r: _matrix(k, 1.0, r / (k - 1)),
        ),
        Mistake(
            "pair",
            "All wrong labels go to the next class. That is pair noise; symmetric noise spreads "
            "them over all others.",
            lambda k, r: (1 - r) * torch.eye(k) + r * torch.eye(k).roll(1, 1),
        ),
        Mistake(
            "no-diagonal",
            "The diagonal is 0: nobody keeps the right label.",
            lambda k, r: _matrix(k, 0.0, r / (k - 1)),
        ),
        Mistake(
            "diagonal-only",
            "The wrong labels are missing: off the diagonal there is nothing.",
            lambda k, r: _matrix(k, 1 - r, 0.0),
        ),
    ),
)


def reverse_cross_entropy(logits, target, log_zero):
    """Mean over rows: logits (N, K), target (N,), log_zero < 0 -> one number."""
    probs = logits.softmax(dim=1)
    labelled = probs[torch.arange(len(target)), target]
    return (-log_zero * (1 - labelled)).mean()


def _labelled(z, t):
    return z.softmax(1)[torch.arange(len(t)), t]


def _one_hot(z, t):
    return F.one_hot(t, z.shape[1]).to(z.dtype)


_RCE = Exercise(
    name="reverse_cross_entropy",
    solution=reverse_cross_entropy,
    cases={
        "one row, two classes": (floats([0.0, 1.0]), classes(0), -4.0),
        "three rows, four classes": (_FOUR, classes(3, 1, 0), -4.0),
        "a square batch, another log of zero": (_THREE, classes(2, 0, 0), -9.0),
        "huge logits, all of them right": (_HUGE, classes(0, 2), -4.0),
        "huge logits, confident and wrong": (_HUGE, classes(2, 1), -2.0),
    },
    moral="The sum over the classes collapses, since the label's own logarithm is 0 and all others "
    "are A. What is left is bounded, so no single label can pull without limit.",
    mistakes=(
        Mistake(
            "cross-entropy",
            "That is ordinary cross-entropy. Which of prediction and label stands under the "
            "logarithm in the reverse one?",
            lambda z, t, a: F.cross_entropy(z, t),
        ),
        Mistake(
            "labelled-prob",
            "The labelled class pays here. Its label is 1, whose logarithm is 0: it is all the "
            "others that pay.",
            lambda z, t, a: (-a * _labelled(z, t)).mean(),
        ),
        Mistake(
            "negative",
            "The sign is upside down: A is negative, and the definition has a minus in front.",
            lambda z, t, a: (a * (1 - _labelled(z, t))).mean(),
        ),
        Mistake(
            "no-log-zero",
            "The stand-in for log 0 is not used: this is half the mean absolute error. By which "
            "factor does RCE differ from it?",
            lambda z, t, a: (1 - _labelled(z, t)).mean(),
        ),
        Mistake(
            "clamp-1e-4",
            "The label was clamped at 1e-4 and its natural logarithm taken, which is -9.21 "
            "whatever `log_zero` is. Look up what A stands for.",
            lambda z, t, a: -(z.softmax(1) * _one_hot(z, t).clamp(min=1e-4).log()).sum(1).mean(),
        ),
        Mistake(
            "clamp-log10",
            "The label was clamped at 10 to the power of A, and then a natural logarithm was "
            "taken: 2.3 times too much. Which clamp belongs to the natural logarithm?",
            lambda z, t, a: -(z.softmax(1) * _one_hot(z, t).clamp(min=10.0**a).log()).sum(1).mean(),
        ),
        Mistake(
            "log-of-zero",
            "The logarithm of a hard label is infinite, and infinity times zero is NaN: that is "
            "what the stand-in A is for.",
            lambda z, t, a: -(z.softmax(1) * _one_hot(z, t).log()).sum(1).mean(),
        ),
        Mistake(
            "mean-over-classes",
            "The sum over the classes became a mean: every value is K times too small.",
            lambda z, t, a: (-a * (1 - _labelled(z, t))).mean() / z.shape[1],
        ),
        Mistake(
            "sum",
            _SUM,
            lambda z, t, a: (-a * (1 - _labelled(z, t))).sum(),
        ),
        Mistake(
            "no-reduction",
            _UNREDUCED,
            lambda z, t, a: -a * (1 - _labelled(z, t)),
        ),
        Mistake(
            "over-the-batch",
            "The softmax ran down the batch. Which dimension holds the classes?",
            lambda z, t, a: (-a * (1 - z.softmax(0)[torch.arange(len(t)), t])).mean(),
        ),
        Mistake(
            "raw-logits",
            "The logits were used as if they were probabilities.",
            lambda z, t, a: (-a * (1 - z[torch.arange(len(t)), t])).mean(),
        ),
        Mistake(
            "naive-exp",
            "Right for small logits, NaN for huge ones: infinity divided by infinity in the "
            "softmax. Look up its shift.",
            lambda z, t, a: (
                -a * (1 - (z.exp() / z.exp().sum(1, keepdim=True))[torch.arange(len(t)), t])
            ).mean(),
        ),
        Mistake(
            "all-classes",
            "Every class pays here, the labelled one as well: that is the constant A, and the "
            "target is not used.",
            lambda z, t, a: (-a * z.softmax(1).sum(1)).mean(),
        ),
        Mistake(
            "sigmoid",
            "Each logit went through a sigmoid on its own; the classes exclude each other.",
            lambda z, t, a: (-a * (1 - z.sigmoid()[torch.arange(len(t)), t])).mean(),
        ),
    ),
)


def symmetric_cross_entropy(logits, target, alpha, beta, log_zero):
    """Mean of alpha CE + beta RCE over the rows -> one number."""
    log_probs = logits.log_softmax(dim=1)
    ce = -log_probs[torch.arange(len(target)), target]
    rce = -log_zero * (1 - torch.exp(-ce))
    return (alpha * ce + beta * rce).mean()


def _both(z, t, a):
    ce = F.cross_entropy(z, t, reduction="none")
    return ce, -a * (1 - torch.exp(-ce))


def _sce(z, t, alpha, beta, a):
    ce, rce = _both(z, t, a)
    return alpha * ce + beta * rce


_SCE = Exercise(
    name="symmetric_cross_entropy",
    solution=symmetric_cross_entropy,
    cases={
        "one row, two classes": (floats([0.0, 1.0]), classes(0), 0.5, 2.0, -4.0),
        "three rows, four classes": (_FOUR, classes(3, 1, 0), 0.1, 1.0, -4.0),
        "a square batch": (_THREE, classes(2, 0, 0), 2.0, 0.3, -9.0),
        "huge logits, all of them right": (_HUGE, classes(0, 2), 0.1, 1.0, -4.0),
        "huge logits, confident and wrong": (_HUGE, classes(2, 1), 0.3, 1.5, -2.0),
    },
    moral="The probability of the label is exp(-CE), so the second term costs one exponential per "
    "row: no table of labels, no clamp, no second softmax.",
    mistakes=(
        Mistake(
            "weights-swapped",
            "The two weights have changed places. Which term does alpha belong to?",
            lambda z, t, al, be, a: _sce(z, t, be, al, a).mean(),
        ),
        Mistake(
            "unweighted",
            "The two terms were added as they are; their weights are not used.",
            lambda z, t, al, be, a: _sce(z, t, 1.0, 1.0, a).mean(),
        ),
        Mistake(
            "ce-only",
            "That is the first term alone. The reverse one is missing.",
            lambda z, t, al, be, a: _sce(z, t, al, 0.0, a).mean(),
        ),
        Mistake(
            "rce-only",
            "That is the second term alone. Ordinary cross-entropy is missing.",
            lambda z, t, al, be, a: be * _both(z, t, a)[1].mean(),
        ),
        Mistake(
            "exp-of-mean",
            "The reverse term was computed from the *mean* cross-entropy. The exponential of a "
            "mean is not the mean of exponentials: each row needs its own.",
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t) - be * a * (1 - torch.exp(-F.cross_entropy(z, t)))
            ),
        ),
        Mistake(
            "rce-sign",
            "The reverse term has the wrong sign: it rewards wrong predictions. A is negative "
            "already.",
            lambda z, t, al, be, a: (al * _both(z, t, a)[0] - be * _both(z, t, a)[1]).mean(),
        ),
        Mistake(
            "rce-of-label",
            "In the reverse term the labelled class pays; it should be all the others.",
            lambda z, t, al, be, a: (
                al * _both(z, t, a)[0] - be * a * torch.exp(-_both(z, t, a)[0])
            ).mean(),
        ),
        Mistake(
            "no-log-zero",
            "The stand-in for log 0 is not used in the reverse term.",
            lambda z, t, al, be, a: _sce(z, t, al, be, -1.0).mean(),
        ),
        Mistake(
            "clamp-1e-4",
            "In the reverse term the label was clamped at 1e-4, so A is -9.21 whatever `log_zero` "
            "says.",
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t)
                - be * (z.softmax(1) * _one_hot(z, t).clamp(min=1e-4).log()).sum(1).mean()
            ),
        ),
        Mistake(
            "averaged",
            "The two terms were averaged; they are to be added with their weights.",
            lambda z, t, al, be, a: _sce(z, t, al, be, a).mean() / 2,
        ),
        Mistake("sum", _SUM, lambda z, t, al, be, a: _sce(z, t, al, be, a).sum()),
        Mistake("no-reduction", _UNREDUCED, lambda z, t, al, be, a: _sce(z, t, al, be, a)),
        Mistake(
            "log-of-softmax",
            "Right until a probability is stored as 0: then its logarithm is infinite. Look up "
            "`log_softmax`.",
            lambda z, t, al, be, a: (
                -al * _labelled(z, t).log() - be * a * (1 - _labelled(z, t))
            ).mean(),
        ),
        Mistake(
            "clamped-prob",
            "The probability was clamped before its logarithm was taken, so the cross-entropy of "
            "a confident mistake is capped and has no gradient. Look up `log_softmax`.",
            lambda z, t, al, be, a: (
                -al * _labelled(z, t).clamp(min=1e-7).log() - be * a * (1 - _labelled(z, t))
            ).mean(),
        ),
    ),
)

EXERCISES = (_PREDICT, _NOISE_MATRIX, _RCE, _SCE)
