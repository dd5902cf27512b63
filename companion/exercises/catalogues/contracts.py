"""BCE or CE: what goes in, in which shape and dtype, and when the two are the same."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._answers import bce
from companion.exercises.catalogues._kinds import batches, classes, samples

SUBJECT = "BCE or CE"


@prediction(
    """
### Predict: number or error?

Before you run anything. The logits are float64; (4, 3) means four samples and three classes. Say
"number" or "error" for

- `CrossEntropyLoss`, logits (4, 3), target `tensor([0., 1., 2., 0.])` (`float_labels`)
- `BCEWithLogitsLoss`, logits (4,), target `tensor([0, 1, 1, 0])`, int64 (`integers`)
- `BCEWithLogitsLoss`, logits (4, 1), a target of floats (4,) (`column`)
- `CrossEntropyLoss`, logits (4, 3), a float target (4, 3) whose rows add up to 1 (`shares`)

Which number is `CrossEntropyLoss` of logits (4, 1) with a target of four zeros, int64
(`one_column`)? And is the cross-entropy of the logits $(0, z)$ "equal" to the binary cross-entropy
of $z$, or "different" (`zero_and_z`)?

Hint: A target says one of two things: which class it is, an index, or how much of each class, a
number.

Hint: Indices are integers of shape (N,), amounts are floats of the shape of the logits. The binary
loss knows amounts only, and no class indices.

Hint: A softmax over one column is 1, and the loss its negative logarithm. For the last, divide the
softmax of $(0, z)$ by $e^z$ above and below.

Moral: An error is the good case. The silent ones are a loss of exactly 0, and a loss written by
hand that broadcasts.

- float-labels: CrossEntropyLoss reads a target in two ways: as class indices or as class
  probabilities. The dtype decides which, and then the shape has to fit.
- integer-target: A binary loss multiplies with its target, and soft targets are welcome: it wants
  the dtype of the logits. Look up the target dtypes of both losses.
- dtypes-do-not-matter: torch converts no target for you: an index and a number are different things
  to a loss. Look up the target dtypes of both losses.
- broadcasts: The binary losses of torch compare the two shapes first, just because broadcasting
  would pair every logit with every target. A loss written by hand does not.
- indices-only: Cross-entropy is defined for a whole distribution as its target, and torch takes one
  as well: look up class probabilities.
- one-column-ln2: That would be the loss of an undecided sigmoid. What does a softmax over a single
  column give, whatever the logit?
- one-column-one: 1 is the probability that a softmax gives to a single column. And the loss?
- different: Divide the numerator and the denominator of the softmax of (0, z) by the same thing,
  and compare with a sigmoid.
""",
    options={
        "float_labels": ("number", "error"),
        "integers": ("number", "error"),
        "column": ("number", "error"),
        "shares": ("number", "error"),
        "zero_and_z": ("equal", "different"),
    },
    mistakes={
        "float-labels": {"float_labels": "number"},
        "integer-target": {"integers": "number"},
        "dtypes-do-not-matter": {"float_labels": "number", "integers": "number"},
        "broadcasts": {"column": "number"},
        "indices-only": {"shares": "error"},
        "one-column-ln2": {"one_column": math.log(2)},
        "one-column-one": {"one_column": 1.0},
        "different": {"zero_and_z": "different"},
    },
    wrong=(
        (lambda: ("number", "number", "number", "number", 0.0, "equal"), "column: The binary"),
        (lambda: ("error", "error", "error", "number", 0, "same"), "choose one of 'equal'"),
        (lambda: ("error", "error", "error", "number", 1.1, "equal"), "Work it through on paper"),
    ),
)
def predict_contract():
    """Four times "number" or "error", a number, "equal" or "different"."""
    float_labels = "error"  # floats (N,) are neither indices nor a table
    integers = "error"  # the loss does arithmetic with its target
    column = "error"  # torch compares the shapes first
    shares = "number"  # a table of shares is welcome
    one_column = 0.0  # a softmax over one column is 1
    zero_and_z = "equal"  # softmax of (0, z) is the sigmoid of z
    return float_labels, integers, column, shares, one_column, zero_and_z


def _hot(t, k, d):
    return F.one_hot(t, k).to(d)


@function(
    """
### From indices to amounts

Turn class indices into the target that a binary loss takes. Class indices (N,), the number of
classes and a dtype go in; a table (N, num_classes) of that dtype comes out, with 1 at the label and
0 elsewhere. Three lines.

Hint: What shape and dtype do the logits have that this table will be compared with?

Hint: Begin with a table of zeros of the right shape and dtype. In row n, one column is to become 1.

Hint: Index the table with two tensors of shape (N,), the row numbers and the labels, and assign.
The number of classes cannot be read off the labels: the last class may be missing.

Moral: The same labels in the form that a binary loss takes: one yes-or-no question per class, in
the dtype of the logits.

- always-double: The table is right, but always in double precision: the dtype that is asked for is
  not used. Where it is float32, a loss would meet two dtypes.
- always-single: The table is right, but always in single precision: the dtype that is asked for is
  not used. `.float()` always means float32.
- classes-guessed: The number of classes was guessed from the labels. A batch that lacks the last
  class then gets a table that is too narrow.
- all-columns: Whole columns were filled: every row got the labels of all rows. Look up how indexing
  with a slice differs from indexing with two index tensors.
- counted-from-one: The ones are a column too far to the left, and class 0 has fallen off the table:
  class indices begin at 0.
- inverted: Zeros and ones are turned around.
- cumulative: Every class up to the label got a one. That is a code for ordered classes; here just
  one class is right.
- column: That is a column with the class index in it. A binary loss would take the index for a
  probability.
""",
    cases={
        "two rows, three classes": (classes(2, 0), 3, torch.float64),
        "three rows, four classes, the last never seen": (classes(1, 0, 2), 4, torch.float64),
        "three rows, three classes": (classes(1, 1, 0), 3, torch.float64),
        "a float32 table": (classes(0, 1, 1, 1), 2, torch.float32),
    },
    exact=True,
    mistakes={
        "always-double": lambda t, k, d: _hot(t, k, torch.float64),
        "always-single": lambda t, k, d: _hot(t, k, torch.float32),
        "classes-guessed": lambda t, k, d: F.one_hot(t).to(d),
        "all-columns": lambda t, k, d: _hot(t, k, d).amax(0).expand(len(t), k).clone(),
        "counted-from-one": lambda t, k, d: torch.stack([t == c + 1 for c in range(k)], dim=1).to(
            d
        ),
        "inverted": lambda t, k, d: 1 - _hot(t, k, d),
        "cumulative": lambda t, k, d: (torch.arange(k) <= t[:, None]).to(d),
        "column": lambda t, k, d: t[:, None].to(d),
    },
    right=(
        lambda t, k, d: F.one_hot(t, k).to(d),
        lambda t, k, d: torch.eye(k, dtype=d)[t],
        lambda t, k, d: (t[:, None] == torch.arange(k)).to(d),
        lambda t, k, d: torch.zeros(len(t), k, dtype=d).scatter(1, t[:, None], 1),
    ),
    wrong=(
        (lambda t, k, d: torch.zeros(len(t), k).scatter_(1, t, 1.0), "Two shapes do not fit"),
        (lambda t, k, d: F.one_hot(t, d), "The dtypes do not fit"),
        (lambda t, k, d: torch.eye(k, dtype=d), "too many or too few numbers"),
    ),
)
def one_hot_targets(target, num_classes, dtype):
    """Class indices (N,) -> table (N, num_classes) of zeros and ones."""
    table = torch.zeros(len(target), num_classes, dtype=dtype)
    table[torch.arange(len(target)), target] = 1
    return table


@function(
    """
### One logit as two

Let `CrossEntropyLoss` do the work of `BCEWithLogitsLoss`: N logits (N,) go in; two logits each, (N,
2), come out, the first of them 0, such that the softmax probability of class 1 is the old sigmoid.
One line.

Hint: A softmax sees only differences. Which difference is wanted?

Hint: Two columns of shape (N,), zeros and the logits, side by side in a *new* dimension.

Hint: `torch.stack` opens a dimension; tell it which one. `torch.zeros_like` makes the first column.

Moral: Cross-entropy on these two columns is binary cross-entropy on the one: the two losses agree
wherever both can be asked.

- reversed: The logit stands in the column of class 0. A positive logit speaks for class 1.
- plus-minus: With -z and z the difference is 2z: the softmax becomes twice as sure as the sigmoid
  was.
- halves: The softmax of this is right, since the difference is. Asked for is the pair whose first
  logit is 0.
- copied: Both classes got the same logit, so the softmax is always undecided.
- one-minus: 1 - p is the other side of a probability. Logits have no total of 1: which logit makes
  the difference z?
- probabilities: Those are the two probabilities. Cross-entropy expects logits and would apply a
  softmax on top.
- log-probs: Those are the logarithms of the two probabilities. Their softmax is right, and their
  first column is not the 0 that is asked for.
- joined: Zeros and logits were joined into one long row. Two columns need a new dimension.
- padded-ones: The first logit is 1 instead of 0, so every difference is too small by 1.
""",
    cases={name: (z,) for name, (z, _) in samples().items()},
    mistakes={
        "reversed": lambda z: torch.stack([z, torch.zeros_like(z)], 1),
        "plus-minus": lambda z: torch.stack([-z, z], 1),
        "halves": lambda z: torch.stack([-z / 2, z / 2], 1),
        "copied": lambda z: torch.stack([z, z], 1),
        "one-minus": lambda z: torch.stack([1 - z, z], 1),
        "probabilities": lambda z: torch.stack([1 - z.sigmoid(), z.sigmoid()], 1),
        "log-probs": lambda z: torch.stack([F.logsigmoid(-z), F.logsigmoid(z)], 1),
        "joined": lambda z: torch.cat([torch.zeros_like(z), z]),
        "padded-ones": lambda z: torch.stack([torch.ones_like(z), z], 1),
    },
    right=(
        lambda z: F.pad(z[:, None], (1, 0)),
        lambda z: torch.cat([torch.zeros(len(z), 1), z[:, None]], 1),
        lambda z: torch.outer(z, torch.tensor([0.0, 1.0], dtype=z.dtype)),
        lambda z: torch.tensor([[0, one] for one in z]),
    ),
    wrong=(
        (lambda z: (torch.zeros_like(z), z), "has to become one tensor again"),
        (lambda z: torch.stack([0 * z, 2 * z], 1), "Every value is 2 times"),
        (lambda z: F.pad(z, (1, 0)), "a dimension is missing"),
    ),
)
def zero_and_logit(logit):
    """One logit (N,) -> two (N, 2), with the same probability of class 1."""
    return torch.stack([torch.zeros_like(logit), logit], dim=1)


def _bce(z, t, **options):
    table = F.one_hot(t, z.shape[1]).to(z.dtype)
    return F.binary_cross_entropy_with_logits(z, table, **options)


@function(
    """
### K questions instead of one choice

K classes can be learnt with K yes-or-no questions as well. Logits (N, K) and class indices (N,),
int64, go in; out comes the mean of all N × K binary losses. Use `torch.nn.BCEWithLogitsLoss`. Three
lines. The gradient is compared as well.

Hint: The question for class k is: is it class k? What is the right answer in the column of each
class?

Hint: The binary loss wants a target of the shape and dtype of the logits: (N, K), with 1 at the
label and 0 for each of the others.

Hint: `torch.nn.functional.one_hot` makes the table, of integers; convert it to the dtype of the
logits.

Moral: Each class is asked on its own, so the K probabilities of a row need not add up to 1. With
one right class among many, most of the K questions are easy noes.

- cross-entropy: That is cross-entropy: the classes compete in it. Here every class gets a yes-or-no
  question of its own.
- positives-only: Only the labelled class was asked. The other classes should say no, and their loss
  counts as well.
- row-sums: The losses of a row were added up, and these sums averaged: K times the mean over all
  elements, which is what torch's binary losses take.
- batch-sums: The losses were averaged over the classes only, and added up over the batch.
- sum: All N × K losses were added up; their mean is asked for. Look up `reduction`.
- softmax-first: A softmax went before the sigmoid that the loss contains. Logits are what it wants,
  one question each.
- softmax-probs: The probabilities come from a softmax, where the classes compete. With K
  independent questions each logit has a sigmoid to itself.
- double-sigmoid: A sigmoid is in there twice: the loss with logits applies its own.
- clamped-bce: Right for small logits. The loss on probabilities cuts its logarithms off at -100,
  and there its gradient is zero: look up why the form with logits exists.
- flipped: Yes and no are turned around: the labelled class was asked to say no.
""",
    cases=batches(),
    generic=("no-minus", "log2", "log10"),
    gradient=("logits",),
    right=(
        lambda z, t: _bce(z, t),
        lambda z, t: (F.softplus(z).sum() - z.gather(1, t[:, None]).sum()) / z.numel(),
        lambda z, t: torch.stack(
            [bce(z[:, k], (t == k).to(z.dtype)) for k in range(z.shape[1])]
        ).mean(),
    ),
    mistakes={
        "cross-entropy": lambda z, t: F.cross_entropy(z, t),
        "positives-only": lambda z, t: -F.logsigmoid(z)[torch.arange(len(t)), t].mean(),
        "row-sums": lambda z, t: _bce(z, t, reduction="none").sum(1).mean(),
        "batch-sums": lambda z, t: _bce(z, t, reduction="none").mean(1).sum(),
        "sum": lambda z, t: _bce(z, t, reduction="sum"),
        "softmax-first": lambda z, t: _bce(z.softmax(1), t),
        "softmax-probs": lambda z, t: F.binary_cross_entropy(
            z.softmax(1), F.one_hot(t, z.shape[1]).to(z.dtype)
        ),
        "double-sigmoid": lambda z, t: _bce(z.sigmoid(), t),
        "clamped-bce": lambda z, t: F.binary_cross_entropy(
            z.sigmoid(), F.one_hot(t, z.shape[1]).to(z.dtype)
        ),
        "flipped": lambda z, t: _bce(-z, t),
    },
    wrong=(
        (lambda z, t: bce(z, t.to(z.dtype)), "Two shapes do not fit"),
        (lambda z, t: bce(z, F.one_hot(t).to(z.dtype)), "Two shapes do not fit"),
        (lambda z, t: F.multi_margin_loss(z, t), "one row, two classes"),
    ),
)
def one_against_rest(logits, target):
    """Mean of all N x K binary losses: logits (N, K), target (N,) -> number."""
    table = torch.nn.functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    loss = torch.nn.BCEWithLogitsLoss()
    return loss(logits, table)
