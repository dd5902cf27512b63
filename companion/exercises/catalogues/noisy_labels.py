"""Noisy labels: reverse and symmetric cross-entropy, and the noise itself."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._generic import LOSS
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import labelled
from companion.exercises.catalogues._kinds import batches, floats

SUBJECT = "noisy labels"


_FOUR = floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3])
_THREE = floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6])
_HUGE = floats([1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0])


_CLAMP = math.log(1e-4)


@prediction(
    r"""
### Predict: what is A?

Before you run anything, to two decimals:

- A one-hot label is clamped at 1e-4 before its natural logarithm is taken. What stands where log 0
  was (`log_of_clamp`)?
- With $A = -4$: what is the reverse cross-entropy of four equal logits (`rce_undecided`)?
- And of a prediction that is certain and wrong (`rce_certain_and_wrong`)?
- 40 % of the labels are wrong, symmetrically, over five classes. What is the chance that a sample
  got one particular wrong class (`one_wrong_class`)?
- Ten classes: up to which share of symmetric noise is the true label still the most frequent one
  for each class (`noise_limit`)?

Hint: In the reverse cross-entropy the prediction is the weight, and the label stands under the
logarithm.

Hint: $\ln 10 \approx 2.303$. Every class but the labelled one contributes its probability times
$-A$.

Hint: The wrong labels are shared by $K - 1$ classes. Set the share that stays equal to the share
that one wrong class gets.

Moral: Only the product of weight and A counts, so a clamp in the code is a setting of the loss,
whether it is called one or not.

- log10: That is the exponent of 10. The logarithm in a loss is the natural one: this very slip
  stands in many programs.
- log-positive: The size is right. Which sign does the logarithm of a number below 1 have?
- rce-like-ce: That is ordinary cross-entropy. In the reverse one, the prediction is the weight and
  the label stands under the logarithm.
- rce-of-label: The labelled class contributes nothing: the logarithm of its label is 0. It is the
  probability of the other classes that pays.
- rce-undecided-full: The full price is for putting everything on wrong classes. An undecided model
  has put something on the right one.
- rce-unbounded: That is true of cross-entropy. In the reverse one a probability, at most 1, is
  multiplied with a finite number: it is bounded.
- negative-rce: A is negative, and the loss has a minus in front of it.
- shared-by-all: The wrong labels are shared by the other classes only: how many are these?
- not-shared: That is the chance of any wrong label. Asked for is one particular class.
- half: With two classes that is so. With ten, the wrong labels are spread over nine classes, and
  the true one can be the most frequent with far less than half.
""",
    mistakes={
        "log10": {"log_of_clamp": -4.0},
        "log-positive": {"log_of_clamp": -_CLAMP},
        "rce-like-ce": {"rce_undecided": math.log(4)},
        "rce-of-label": {"rce_undecided": 1.0, "rce_certain_and_wrong": 0.0},
        "rce-undecided-full": {"rce_undecided": 4.0},
        "rce-unbounded": {"rce_certain_and_wrong": math.inf},
        "negative-rce": {"rce_undecided": -3.0, "rce_certain_and_wrong": -4.0},
        "shared-by-all": {"one_wrong_class": 0.08},
        "not-shared": {"one_wrong_class": 0.4},
        "half": {"noise_limit": 0.5},
    },
    wrong=(
        (lambda: (-9.2, 3, 4, 0.1, 0.9), "two decimals are asked for"),
        (lambda: (-9.21, 3, 4, 0.1, 0.7), "Work it through on paper"),
        (lambda: (-4, 1.39, 4, 0.1, 0.5), "log_of_clamp: That is the exponent of 10"),
    ),
)
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


def _matrix(k, diagonal, other):
    return torch.full((k, k), float(other)).fill_diagonal_(diagonal)


@function(
    """
### Symmetric noise as a matrix

The number of classes K and the share of wrong labels go in; a (K, K) tensor comes out, whose entry
(i, j) is the chance that a sample of class i is labelled j. Wrong labels are spread evenly over the
other classes. Three lines.

Hint: Every sample of class i gets some label. What does that say about a row?

Hint: One number stands on the diagonal and another everywhere else; the rate is shared by K − 1
classes.

Hint: `torch.full` with a pair of sizes makes the table, `fill_diagonal_` sets the diagonal.

Moral: Rows add up to 1, since every sample gets some label. While the diagonal is the largest entry
of its row, the truth is still the most frequent label.

- not-shared: Every wrong class got the whole rate: the rows add up to more than 1.
- shared-by-all: The rate was shared by all classes, the true one among them, but the diagonal got
  no share: the rows add up to less than 1.
- resampled: That is the noise of drawing a new label from all classes, the true one among them:
  some labels survive the draw, and fewer than the rate are wrong.
- diagonal-is-rate: The diagonal holds the rate itself. It is the chance of a *right* label.
- diagonal-full: The diagonal stayed 1: labels became wrong without any being right less often.
- pair: All wrong labels go to the next class. That is pair noise; symmetric noise spreads them over
  all others.
- no-diagonal: The diagonal is 0: nobody keeps the right label.
- diagonal-only: The wrong labels are missing: off the diagonal there is nothing.
""",
    cases={
        "two classes": (2, 0.3),
        "four classes": (4, 0.6),
        "no noise": (3, 0.0),
        "ten classes": (10, 0.45),
    },
    right=(
        lambda k, r: (1 - r) * torch.eye(k) + r / (k - 1) * (1 - torch.eye(k)),
        lambda k, r: torch.tensor(
            [[1 - r if i == j else r / (k - 1) for j in range(k)] for i in range(k)]
        ),
        lambda k, r: torch.where(torch.eye(k) == 1, 1 - r, r / (k - 1)),
    ),
    mistakes={
        "not-shared": lambda k, r: _matrix(k, 1 - r, r),
        "shared-by-all": lambda k, r: _matrix(k, 1 - r, r / k),
        "resampled": lambda k, r: _matrix(k, 1 - r + r / k, r / k),
        "diagonal-is-rate": lambda k, r: _matrix(k, r, (1 - r) / (k - 1)),
        "diagonal-full": lambda k, r: _matrix(k, 1.0, r / (k - 1)),
        "pair": lambda k, r: (1 - r) * torch.eye(k) + r * torch.eye(k).roll(1, 1),
        "no-diagonal": lambda k, r: _matrix(k, 0.0, r / (k - 1)),
        "diagonal-only": lambda k, r: _matrix(k, 1 - r, 0.0),
    },
    wrong=(
        (lambda k, r: torch.eye(k).tolist(), "has to become one tensor again"),
        (lambda k, r: torch.full((k, k), r / k), "two classes"),
        (lambda k, r: (1 - r) * torch.eye(k) + r, "1 of 4 cases agrees"),
    ),
)
def noise_matrix(num_classes, rate):
    """Entry (i, j): the chance that true class i is labelled j -> (K, K)."""
    each = rate / (num_classes - 1)
    matrix = torch.full((num_classes, num_classes), each)
    return matrix.fill_diagonal_(1 - rate)


def _labelled(z, t):
    return z.softmax(1)[torch.arange(len(t)), t]


def _one_hot(z, t):
    return F.one_hot(t, z.shape[1]).to(z.dtype)


@function(
    r"""
### Prediction and label swapped

Logits (N, K), class indices (N,) and $A$, the negative number that stands in for log 0, go in; the
mean over rows of $-\sum_k p_k \log q_k$ comes out, with $p$ the softmax and $q$ the one-hot label.
Three lines. The gradient is compared as well.

Hint: What is $\log q_k$ for the labelled class, and what for each of the others? Simplify before
you compute.

Hint: The sum collapses: 0 for the label, $A$ for all else. What is the total probability of all
else?

Hint: $1 - p_y$, with one $p_y$ for each row, (N,): pick it from the softmax with two index tensors.
Times $-A$, and the mean.

Moral: The sum over the classes collapses, since the label's own logarithm is 0 and all others are
A. What is left is bounded, so no single label can pull without limit.

- cross-entropy: That is ordinary cross-entropy. Which of prediction and label stands under the
  logarithm in the reverse one?
- labelled-prob: The labelled class pays here. Its label is 1, whose logarithm is 0: it is all the
  others that pay.
- no-log-zero: The stand-in for log 0 is not used: this is half the mean absolute error. By which
  factor does RCE differ from it?
- clamp-1e-4: The label was clamped at 1e-4 and its natural logarithm taken, which is -9.21 whatever
  `log_zero` is. Look up what A stands for.
- clamp-log10: The label was clamped at 10 to the power of A, and then a natural logarithm was
  taken: 2.3 times too much. Which clamp belongs to the natural logarithm?
- log-of-zero: The logarithm of a hard label is infinite, and infinity times zero is NaN: that is
  what the stand-in A is for.
- mean-over-classes: The sum over the classes became a mean: every value is K times too small.
- over-the-batch: The softmax ran down the batch. Which dimension holds the classes?
- raw-logits: The logits were used as if they were probabilities.
- naive-exp: Right for small logits, NaN for huge ones: infinity divided by infinity in the softmax.
  Look up its shift.
- all-classes: Every class pays here, the labelled one as well: that is the constant A, and the
  target is not used.
- sigmoid: Each logit went through a sigmoid on its own; the classes exclude each other.
""",
    cases=batches((-4.0,), (-9.0,), (-2.0,)),
    generic=LOSS,
    gradient=("logits",),
    right=(
        lambda z, t, a: -a * (1 - labelled(z.softmax(1), t)).mean(),
        lambda z, t, a: -(z.softmax(1) * a * (1 - F.one_hot(t, z.shape[1]))).sum(1).mean(),
        lambda z, t, a: -a * (1 - z.softmax(-1).gather(1, t[:, None])).mean(),
    ),
    mistakes={
        "cross-entropy": lambda z, t, a: F.cross_entropy(z, t),
        "labelled-prob": lambda z, t, a: (-a * _labelled(z, t)).mean(),
        "no-log-zero": lambda z, t, a: (1 - _labelled(z, t)).mean(),
        "clamp-1e-4": lambda z, t, a: (
            -(z.softmax(1) * _one_hot(z, t).clamp(min=1e-4).log()).sum(1).mean()
        ),
        "clamp-log10": lambda z, t, a: (
            -(z.softmax(1) * _one_hot(z, t).clamp(min=10.0**a).log()).sum(1).mean()
        ),
        "log-of-zero": lambda z, t, a: -(z.softmax(1) * _one_hot(z, t).log()).sum(1).mean(),
        "mean-over-classes": lambda z, t, a: (-a * (1 - _labelled(z, t))).mean() / z.shape[1],
        "over-the-batch": lambda z, t, a: (-a * (1 - z.softmax(0)[torch.arange(len(t)), t])).mean(),
        "raw-logits": lambda z, t, a: (-a * (1 - z[torch.arange(len(t)), t])).mean(),
        "naive-exp": lambda z, t, a: (
            -a * (1 - (z.exp() / z.exp().sum(1, keepdim=True))[torch.arange(len(t)), t])
        ).mean(),
        "all-classes": lambda z, t, a: (-a * z.softmax(1).sum(1)).mean(),
        "sigmoid": lambda z, t, a: (-a * (1 - z.sigmoid()[torch.arange(len(t)), t])).mean(),
    },
    wrong=(
        (lambda z, t, a: -a * (1 - labelled(z.log_softmax(1), t)).mean(), "one row, two classes"),
        (lambda z, t, a: 2 * -a * (1 - labelled(z.softmax(1), t)).mean(), "Every value is 2 times"),
        (lambda z, t, a: a * (1 - z.softmax(1)[:, t]).mean(), "got       -2.924"),
    ),
)
def reverse_cross_entropy(logits, target, log_zero):
    """Mean over rows: logits (N, K), target (N,), log_zero < 0 -> one number."""
    probs = logits.softmax(dim=1)
    labelled = probs[torch.arange(len(target)), target]
    return (-log_zero * (1 - labelled)).mean()


def _both(z, t, a):
    ce = F.cross_entropy(z, t, reduction="none")
    return ce, -a * (1 - torch.exp(-ce))


def _sce(z, t, alpha, beta, a):
    ce, rce = _both(z, t, a)
    return alpha * ce + beta * rce


@function(
    r"""
### Both, for the price of one

The demanding one: $\alpha$ times cross-entropy plus $\beta$ times reverse cross-entropy, averaged
over the rows. Logits (N, K), class indices (N,), $\alpha$, $\beta$ and $A$ go in; one number comes
out. Take only *one* softmax, and survive logits of ±1000. Four lines; `log_softmax` is allowed. The
gradient is compared as well.

Hint: Cross-entropy already knows the probability of the label. How is it got back?

Hint: $p_y = e^{-\mathrm{CE}}$, row by row. So the reverse term is a function of the ordinary one,
(N,) to (N,).

Hint: Compute `ce` of shape (N,) from `log_softmax`; the reverse term is
`-log_zero * (1 - torch.exp(-ce))`. Weigh, add, and take the mean last.

Moral: The probability of the label is exp(-CE), so the second term costs one exponential per row:
no table of labels, no clamp, no second softmax.

- weights-swapped: The two weights have changed places. Which term does alpha belong to?
- unweighted: The two terms were added as they are; their weights are not used.
- ce-only: That is the first term alone. The reverse one is missing.
- rce-only: That is the second term alone. Ordinary cross-entropy is missing.
- exp-of-mean: The reverse term was computed from the *mean* cross-entropy. The exponential of a
  mean is not the mean of exponentials: each row needs its own.
- rce-sign: The reverse term has the wrong sign: it rewards wrong predictions. A is negative
  already.
- rce-of-label: In the reverse term the labelled class pays; it should be all the others.
- no-log-zero: The stand-in for log 0 is not used in the reverse term.
- clamp-1e-4: In the reverse term the label was clamped at 1e-4, so A is -9.21 whatever `log_zero`
  says.
- averaged: The two terms were averaged; they are to be added with their weights.
- log-of-softmax: Right until a probability is stored as 0: then its logarithm is infinite. Look up
  `log_softmax`.
- clamped-prob: The probability was clamped before its logarithm was taken, so the cross-entropy of
  a confident mistake is capped and has no gradient. Look up `log_softmax`.
""",
    cases=batches(
        (0.5, 2.0, -4.0), (0.1, 1.0, -4.0), (2.0, 0.3, -9.0), (0.3, 1.5, -2.0), (1.0, 0.0, -4.0)
    ),
    generic=LOSS,
    gradient=("logits",),
    right=(
        lambda z, t, al, be, a: (
            al * F.cross_entropy(z, t) - be * a * (1 - labelled(z.softmax(1), t)).mean()
        ),
        lambda z, t, al, be, a: _sce(z, t, al, be, a).mean(),
    ),
    mistakes={
        "weights-swapped": lambda z, t, al, be, a: _sce(z, t, be, al, a).mean(),
        "unweighted": lambda z, t, al, be, a: _sce(z, t, 1.0, 1.0, a).mean(),
        "ce-only": lambda z, t, al, be, a: _sce(z, t, al, 0.0, a).mean(),
        "rce-only": lambda z, t, al, be, a: be * _both(z, t, a)[1].mean(),
        "exp-of-mean": lambda z, t, al, be, a: (
            al * F.cross_entropy(z, t) - be * a * (1 - torch.exp(-F.cross_entropy(z, t)))
        ),
        "rce-sign": lambda z, t, al, be, a: (
            al * _both(z, t, a)[0] - be * _both(z, t, a)[1]
        ).mean(),
        "rce-of-label": lambda z, t, al, be, a: (
            al * _both(z, t, a)[0] - be * a * torch.exp(-_both(z, t, a)[0])
        ).mean(),
        "no-log-zero": lambda z, t, al, be, a: _sce(z, t, al, be, -1.0).mean(),
        "clamp-1e-4": lambda z, t, al, be, a: (
            al * F.cross_entropy(z, t)
            - be * (z.softmax(1) * _one_hot(z, t).clamp(min=1e-4).log()).sum(1).mean()
        ),
        "averaged": lambda z, t, al, be, a: _sce(z, t, al, be, a).mean() / 2,
        "log-of-softmax": lambda z, t, al, be, a: (
            -al * _labelled(z, t).log() - be * a * (1 - _labelled(z, t))
        ).mean(),
        "clamped-prob": lambda z, t, al, be, a: (
            -al * _labelled(z, t).clamp(min=1e-7).log() - be * a * (1 - _labelled(z, t))
        ).mean(),
    },
    wrong=(
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t) + be * 4 * (1 - labelled(z.softmax(1), t)).mean()
            ),
            "8 of 12 cases agree",
        ),
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t)
                - be * a * (1 - labelled(z.detach().softmax(1), t)).mean()
            ),
            "a part of the computation was detached",
        ),
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t) - be * a * (1 - z.softmax(1).amax(1)).mean()
            ),
            "log_zero  -4",
        ),
    ),
)
def symmetric_cross_entropy(logits, target, alpha, beta, log_zero):
    """Mean of alpha CE + beta RCE over the rows -> one number."""
    log_probs = logits.log_softmax(dim=1)
    ce = -log_probs[torch.arange(len(target)), target]
    rce = -log_zero * (1 - torch.exp(-ce))
    return (alpha * ce + beta * rce).mean()
