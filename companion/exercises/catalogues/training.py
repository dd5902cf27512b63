"""Training: clean inputs, one step, and the loss of an epoch."""

import numpy as np
import torch
import torch.nn.functional as F

from companion.exercises._exercise import function
from companion.exercises._prediction import prediction
from companion.exercises.catalogues._kinds import floats

SUBJECT = "training"


@prediction(
    r"""
### Predict: a training script

Before you run anything:

- What is the first loss of a binary classifier whose logits are all 0, to two decimals
  (`first_loss`)?
- 100 samples, a batch size of 32: how many batches has an epoch, with the loader's defaults
  (`batches`)?
- One batch of 90 samples has a mean loss of 0.2, one of 10 samples a mean loss of 1.0. What is the
  mean loss of the epoch, to two decimals (`epoch_loss`)?
- A feature has the mean 10 and the standard deviation 5. What becomes of a missing value, coded as
  −99, when it is standardised, to two decimals (`standardised`)?

Hint: For each of the four, ask what is counted: samples or batches, values or codes.

Hint: A sample's surprise at one half is $\ln 2$. A mean over samples weighs each batch by its size.

Hint: Standardising takes off the mean and divides by the standard deviation, whatever the number
was meant to say.

Moral: A missing value that is coded as a number lies more than twenty standard deviations out, and
the linear layer believes it.

- mean-of-means: That treats a batch of 10 like a batch of 90. What should each batch mean be
  weighted with?
- sum-of-means: That is the sum of the two batch means. The loss of an epoch is a mean over samples.
- last-batch: That is the loss of the last batch alone.
- rest-dropped: The samples of the last, smaller batch count, too, unless the loader is told to drop
  them: look up `drop_last`.
- fraction: A batch is there or not; the last one is just smaller.
- loss-zero: Logits of 0 are a guess of one half, and that is no free guess.
- loss-half: One half is the probability; the loss is its negative logarithm.
- not-centred: The mean has to be taken off before the division.
- not-scaled: That is the distance from the mean. How many standard deviations is it?
- mean-added: The mean was added. It is taken off, and -99 lies below it.
- ignored: -99 is a code for 'missing' to a person. To the arithmetic it is a number like any other.
""",
    mistakes={
        "mean-of-means": {"epoch_loss": 0.6},
        "sum-of-means": {"epoch_loss": 1.2},
        "last-batch": {"epoch_loss": 1.0},
        "rest-dropped": {"batches": 3},
        "fraction": {"batches": 3.125},
        "loss-zero": {"first_loss": 0.0},
        "loss-half": {"first_loss": 0.5},
        "not-centred": {"standardised": -19.8},
        "not-scaled": {"standardised": -109.0},
        "mean-added": {"standardised": -17.8},
        "ignored": {"standardised": 0.0},
    },
    wrong=(
        (lambda: (0.69, 4, 0.6, -19.8), "epoch_loss: That treats a batch of 10"),
        (lambda: (0.69, 4, 0.28), "4 answers asked for"),
        (lambda: (0.69, "four", 0.28, -21.8), "batches: a number is asked for"),
    ),
)
def predict_training():
    """Four numbers; those that are not whole to two decimals."""
    first_loss = 0.69  # ln 2: nothing learnt yet
    batches = 4  # 32 + 32 + 32 + 4
    epoch_loss = 0.28  # (90 * 0.2 + 10 * 1.0) / 100
    standardised = -21.80  # (-99 - 10) / 5
    return first_loss, batches, epoch_loss, standardised


@function(
    """
### The loss of an epoch

A loader gives batches of unequal sizes, and the loop has kept the mean loss of each. Batch means
(B,) and batch sizes (B,) go in; the mean loss per sample, a number, comes out. One line.

Hint: What would you do with the losses of all samples, if you had them? How much of that can be
recovered from the means?

Hint: A batch mean times its size is the sum over its samples. Everything is of shape (B,).

Hint: Sum the products, divide by the sum of the sizes, and make it a number.

Moral: A mean of means is the mean only when all groups are of one size. The same holds for several
processes, and for accumulated gradients.

- mean-of-means: Every batch counts alike here, and a last batch of a single sample counts as much
  as a full one. Look up the weighted mean.
- sum: Those are the batch losses added up; the number grows with the number of batches.
- total: That is the total loss of all samples. It still has to be divided by how many there are.
- divided-by-batches: The total of all samples was divided by the number of batches. How many
  samples are there?
- divided-twice: The batch losses are means already; here their sum was divided by the number of
  samples once more.
- full-batches: Every batch was taken to be as large as the first. The last one often is not.
- last: That is the loss of the last batch.
- inverse: The losses were divided by the sizes: small batches count most.
- median: That is the median of the batch losses, which hides the bad batches.
- running-half: Every new batch was averaged half and half with all that came before it, so that the
  last one counts as much as all others.
""",
    cases={
        "two batches": (floats(0.2, 1.0), torch.tensor([90, 10])),
        "three batches, the last one small": (floats(0.7, 0.5, 2.0), torch.tensor([32, 32, 1])),
        "four equal batches": (floats(0.9, 0.6, 0.4, 0.3), torch.tensor([8, 8, 8, 8])),
        "one batch": (floats(0.35), torch.tensor([5])),
    },
    mistakes={
        "mean-of-means": lambda v, n: v.mean().item(),
        "sum": lambda v, n: v.sum().item(),
        "total": lambda v, n: (v * n).sum().item(),
        "divided-by-batches": lambda v, n: ((v * n).sum() / len(v)).item(),
        "divided-twice": lambda v, n: (v.sum() / n.sum()).item(),
        "full-batches": lambda v, n: ((v * n).sum() / (len(v) * n[0])).item(),
        "last": lambda v, n: v[-1].item(),
        "inverse": lambda v, n: ((v / n).sum() / (1 / n).sum()).item(),
        "median": lambda v, n: v.median().item(),
        "running-half": lambda v, n: _running_half(v),
    },
    right=(
        lambda v, n: np.average(v.detach(), weights=n),
        lambda v, n: torch.dot(v, n.to(v.dtype)) / n.sum(),
        lambda v, n: (v @ (n / n.sum()).to(v.dtype)).item(),
        lambda v, n: sum(float(a) * int(b) for a, b in zip(v, n, strict=True)) / int(n.sum()),
    ),
    wrong=(
        (lambda v, n: (v / n).sum(), "expected  0.35"),
        (lambda v, n: v * n / n.sum(), "Is a sum or a mean missing?"),
        (lambda v, n: np.mean(v), "Is it a function of NumPy that met a tensor"),
    ),
)
def epoch_mean(losses, sizes):
    """Mean loss per sample: batch means (B,), batch sizes (B,) -> a number."""
    return ((losses * sizes).sum() / sizes.sum()).item()


def _running_half(values):
    mean = values[0]
    for value in values[1:]:
        mean = (mean + value) / 2
    return mean.item()


def _fill(x, code, value):
    return torch.where(x == code, value, x)


def _known(x, code):
    return x.masked_fill(x == code, float("nan"))


def _fill_in_place(inputs, code):
    for column in range(inputs.shape[1]):
        known = inputs[:, column] != code
        inputs[~known, column] = inputs[known, column].mean()
    return inputs


@function(
    """
### −99 is not a temperature

In the inputs a code, such as −99, stands for "missing". The inputs (N, H) and the code go in; a
table of the same shape comes out, in which each code is replaced by the mean of its column's
*known* values. The inputs stay as they are; every column has a known value. Four lines.

Hint: Which values may take part in the mean, and what is their number in each column?

Hint: A mask of the codes, (N, H). Sums over the rows of the known values and of the mask's opposite
give the means, (H,).

Hint: `masked_fill(missing, 0.0)` takes the codes out of the sum, `(~missing).sum(dim=0)` counts the
rest, and `torch.where` chooses between mean and input without touching the input.

Moral: The mean of the known values changes nothing about the column's mean. In a real split, take
it from the training rows and use it for all others.

- code-in-the-mean: The code itself went into the mean, and drags it far down. Only the known values
  belong there.
- zero: Zero is a value like any other, and for many features an unlikely one. A column's own mean
  is asked for.
- zeros-in-the-mean: The missing values were counted in the mean as zeros: the sum is right, the
  number that it is divided by is not.
- global-mean: One mean was used for the whole table. Columns have units of their own.
- row-mean: The mean ran along the rows, over different features of one sample. Which dimension
  holds the samples?
- median: That is the median of the known values: a sound choice, and not the one that is asked for.
- nan: The code became NaN. That is honest, but a model cannot use it: one NaN in the inputs makes
  every weight NaN.
- dropped: The rows with a missing value were left out. Their other values are lost with them; the
  shape should stay.
- unchanged: The inputs came back as they were: nothing was replaced.
- all-replaced: Every value became its column's mean, the known ones, too.
- negatives: The zeros were treated as missing as well. Only the code says 'missing'.
""",
    cases={
        "three rows, one value missing": (
            floats([1.0, 10.0], [-99.0, 20.0], [4.0, 60.0]),
            -99.0,
        ),
        "four rows, three columns": (
            floats([2.0, -99.0, 5.0], [6.0, 1.0, -99.0], [-99.0, 3.0, 7.5], [10.0, 8.0, 0.5]),
            -99.0,
        ),
        "a square, another code": (
            floats([-1.0, 2.0, 3.0], [4.0, -1.0, 7.0], [8.0, 6.0, 1.0]),
            -1.0,
        ),
        "nothing missing": (floats([1.0, 2.0], [3.0, 4.0]), -99.0),
        "a zero that is a value": (floats([0.0, 5.0], [4.0, -99.0], [-99.0, 1.0]), -99.0),
        "values below and above the code": (
            floats([-120.0, 2.0], [-99.0, -98.5], [3.0, -99.0]),
            -99.0,
        ),
        "a zero that is the code": (floats([0.0, -5.0], [4.0, 0.0], [-2.0, 1.0]), 0.0),
        "a large code": (floats([999.0, 1000.0], [2.0, 999.0], [998.0, 999.0]), 999.0),
    },
    right=(
        lambda x, c: torch.where(x == c, _known(x, c).nanmean(0), x),
        lambda x, c: torch.stack([torch.where(v == c, v[v != c].mean(), v) for v in x.T], 1),
    ),
    mistakes={
        "code-in-the-mean": lambda x, c: _fill(x, c, x.mean(0)),
        "zero": lambda x, c: _fill(x, c, torch.zeros(())),
        "zeros-in-the-mean": lambda x, c: _fill(x, c, x.masked_fill(x == c, 0).mean(0)),
        "global-mean": lambda x, c: _fill(x, c, _known(x, c).nanmean()),
        "row-mean": lambda x, c: _fill(x, c, _known(x, c).nanmean(1, keepdim=True)),
        "median": lambda x, c: _fill(x, c, _known(x, c).nanmedian(0).values),
        "nan": lambda x, c: _known(x, c),
        "dropped": lambda x, c: x[(x != c).all(1)],
        "unchanged": lambda x, c: x,
        "all-replaced": lambda x, c: _known(x, c).nanmean(0).expand_as(x).clone(),
        "negatives": lambda x, c: torch.where(
            (x == c) | (x == 0),
            _known(x, c).masked_fill(x == 0, float("nan")).nanmean(0),
            x,
        ),
    },
    wrong=(
        (_fill_in_place, "`inputs` is not what it was before"),
        (lambda x, c: torch.where(x == -99, x.mean(0), x), "got       [[1, 10], [-31.33"),
        (lambda x, c: x[x != c], "a dimension is missing"),
    ),
)
def fill_missing(inputs, code):
    """Replace the code by its column's mean of known values -> (N, H)."""
    missing = inputs == code
    total = inputs.masked_fill(missing, 0.0).sum(dim=0)
    means = total / (~missing).sum(dim=0)
    return torch.where(missing, means, inputs)


_TRAIN = floats([1.0, 100.0], [2.0, 300.0], [4.0, 500.0], [5.0, 200.0])


@function(
    """
### In the units of the training rows

The training rows (N, H) and some other rows (M, H) go in. Out come the other rows, (M, H), in units
in which each column of the *training* rows has mean 0 and standard deviation 1 (torch's default,
with N − 1). One line.

Hint: What has the model seen of the other rows when it is trained? And what can be known of a
single new row?

Hint: One mean and one standard deviation for each column, of shape (H,), both from the training
rows.

Hint: `train.mean(dim=0)` and `train.std(dim=0)`; subtract the one from the other rows and divide by
the other.

Moral: Mean and spread are learnt from the training rows, like weights, and used unchanged on all
rows that come later, even on a single one.

- own-statistics: The other rows were standardised by their own mean and spread. The model has
  learnt in the units of the training rows, and a single row has no spread at all.
- pooled: Mean and spread were taken from both tables together. What the test rows look like must
  not reach the training: look up data leakage.
- rows: The statistics ran along the rows, over different features of one sample. Each column has
  its own mean and spread.
- global: One mean and one spread were used for all columns. The largest feature then drowns the
  others.
- variance: The division is by the variance. Which of the two measures of spread has the unit of the
  column?
- not-centred: The columns have the right scale, and were not centred: what has to be taken off
  first?
- not-scaled: The columns are centred, and were not scaled.
- population: The spread divides by N. That is a matter of taste, and common; here torch's default
  is meant, with N - 1.
- min-max: The columns were squeezed between their smallest and largest value. That is another
  scaling, and a single outlier rules it.
- division-first: Only the mean was divided by the spread. Look at the order of operations: which
  part needs brackets?
- train-returned: The training rows were standardised. Asked for are the other rows, in their units.
""",
    cases={
        "one row of two features": (_TRAIN, floats([3.0, 150.0])),
        "three rows of two features": (_TRAIN, floats([0.0, 250.0], [6.0, 400.0], [2.5, 90.0])),
        "the training rows themselves": (_TRAIN, _TRAIN),
        "two rows, a square": (floats([1.0, -2.0], [3.0, 4.0]), floats([5.0, 0.0], [2.0, 2.0])),
    },
    tolerance=1e-6,
    mistakes={
        "own-statistics": lambda a, b: (b - b.mean(0)) / b.std(0),
        "pooled": lambda a, b: (b - torch.cat([a, b]).mean(0)) / torch.cat([a, b]).std(0),
        "rows": lambda a, b: (b - b.mean(1, keepdim=True)) / b.std(1, keepdim=True),
        "global": lambda a, b: (b - a.mean()) / a.std(),
        "variance": lambda a, b: (b - a.mean(0)) / a.var(0),
        "not-centred": lambda a, b: b / a.std(0),
        "not-scaled": lambda a, b: b - a.mean(0),
        "population": lambda a, b: (b - a.mean(0)) / a.std(0, correction=0),
        "min-max": lambda a, b: (b - a.amin(0)) / (a.amax(0) - a.amin(0)),
        "division-first": lambda a, b: b - a.mean(0) / a.std(0),
        "train-returned": lambda a, b: (a - a.mean(0)) / a.std(0),
    },
    right=(
        lambda a, b: (b - a.mean(0, keepdim=True)) / a.var(0, keepdim=True).sqrt(),
        lambda a, b: (b - a.mean(0)) / (a.std(0) + 1e-8),
        lambda a, b: torch.stack(
            [(b[:, j] - a[:, j].mean()) / a[:, j].std() for j in range(a.shape[1])], 1
        ),
    ),
    wrong=(
        (lambda a, b: (b - a.mean()) / a.std(0), "two rows, a square"),
        (lambda a, b: (b - a.mean(0)) / (a.std(0) + 0.1), "0 of 4 cases agree"),
        (lambda a, b: (b - a.mean(1)) / a.std(1), "Two shapes do not fit"),
    ),
)
def standardise(train, other):
    """Other rows (M, H) in units of the training rows (N, H) -> (M, H)."""
    return (other - train.mean(dim=0)) / train.std(dim=0)


def _step(w, b, x, y, rate, *, error=None, bias=True, weight=True):
    error = (x @ w + b).sigmoid() - y if error is None else error
    error = error / len(y)
    return w - weight * rate * (x.T @ error), b - bias * rate * error.sum()


def _probs(w, b, x):
    return (x @ w + b).sigmoid()


def _optimiser_step(weight, bias, inputs, target, learning_rate):
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    loss = F.binary_cross_entropy_with_logits(inputs @ weight + bias, target)
    loss.backward()
    torch.optim.SGD([weight, bias], lr=learning_rate).step()
    return weight, bias


@function(
    r"""
### One step, without autograd

The demanding one: logistic regression, one step of plain gradient descent on the mean binary
cross-entropy. The weight (H,), the bias (), the inputs (N, H), targets (N,) and a learning rate go
in; the new weight and the new bias come out, as a pair. Five lines.

Hint: How does the mean loss change with each logit? And how does each logit change with a weight,
and with the bias?

Hint: The gradient with respect to the logits is $(\sigma(z) - y)/N$, of shape (N,). Each weight
collects it through its column of the inputs, (H, N) times (N,); the bias collects all of it.

Hint: The logits are `inputs @ weight + bias`; the error as above; then `inputs.T @ error` and
`error.sum()`, each times the learning rate, are taken off.

Moral: That is all that `backward()` and an optimiser's `step()` do for this model: the error of
each row, passed back to the weights through its inputs.

- uphill: The step goes uphill and makes the loss larger. Which way does the gradient point?
- no-rate: The whole gradient was subtracted; the learning rate is not used.
- sum: That is the gradient of the summed loss: the step grows with the batch. The loss is a mean.
- no-sigmoid: The logits were compared with the labels. That is the step of a linear regression:
  what turns a logit into something that a label can be compared with?
- sigmoid-slope: The slope of the sigmoid is in there as a factor. That is the step for the squared
  error; with cross-entropy it cancels.
- bias-fixed: The weights are right; the bias has not moved. It is learnt like them.
- weight-fixed: The bias is right; the weights have not moved.
- bias-mean: The weights are right; the error was averaged twice for the bias.
- bias-summed: The weights are right; for the bias the errors were added up and not averaged.
- gradient-only: Those are the gradients. The step that uses them is still to be taken.
- rounded: The decisions were compared with the labels, as in a perceptron. Here it counts how sure
  the model was.
- no-bias-in-logits: The logits were computed without the bias.
""",
    cases={
        "two rows, one feature": (
            floats(0.5),
            torch.tensor(0.1, dtype=torch.float64),
            floats([1.0], [-2.0]),
            floats(1.0, 0.0),
            0.5,
        ),
        "four rows, two features": (
            floats(0.3, -0.8),
            torch.tensor(-0.2, dtype=torch.float64),
            floats([1.0, 0.5], [-1.0, 2.0], [0.3, -0.7], [2.0, 1.0]),
            floats(1.0, 0.0, 1.0, 1.0),
            0.1,
        ),
        "two rows, two features": (
            floats(1.5, 0.4),
            torch.tensor(0.7, dtype=torch.float64),
            floats([0.2, -1.0], [1.1, 0.6]),
            floats(0.0, 1.0),
            2.0,
        ),
        "one row, three features": (
            floats(0.5, -0.5, 1.0),
            torch.tensor(0.0, dtype=torch.float64),
            floats([2.0, 1.0, -1.0]),
            floats(1.0),
            0.3,
        ),
    },
    mistakes={
        "uphill": lambda w, b, x, y, r: _step(w, b, x, y, -r),
        "no-rate": lambda w, b, x, y, r: _step(w, b, x, y, 1.0),
        "sum": lambda w, b, x, y, r: _step(w, b, x, y, r * len(y)),
        "no-sigmoid": lambda w, b, x, y, r: _step(w, b, x, y, r, error=x @ w + b - y),
        "sigmoid-slope": lambda w, b, x, y, r: _step(
            w,
            b,
            x,
            y,
            r,
            error=(_probs(w, b, x) - y) * _probs(w, b, x) * (1 - _probs(w, b, x)),
        ),
        "bias-fixed": lambda w, b, x, y, r: _step(w, b, x, y, r, bias=False),
        "weight-fixed": lambda w, b, x, y, r: _step(w, b, x, y, r, weight=False),
        "bias-mean": lambda w, b, x, y, r: (
            _step(w, b, x, y, r)[0],
            b - r * (_probs(w, b, x) - y).mean() / len(y),
        ),
        "bias-summed": lambda w, b, x, y, r: (
            _step(w, b, x, y, r)[0],
            b - r * (_probs(w, b, x) - y).sum(),
        ),
        "gradient-only": lambda w, b, x, y, r: (
            x.T @ (_probs(w, b, x) - y) / len(y),
            (_probs(w, b, x) - y).mean(),
        ),
        "rounded": lambda w, b, x, y, r: _step(w, b, x, y, r, error=_probs(w, b, x).round() - y),
        "no-bias-in-logits": lambda w, b, x, y, r: _step(
            w, b, x, y, r, error=(x @ w).sigmoid() - y
        ),
    },
    right=(
        _optimiser_step,
        lambda w, b, x, y, r: _step(w, b, x, y, r),
    ),
    wrong=(
        (lambda w, b, x, y, r: w - r * x.T @ ((x @ w + b).sigmoid() - y) / len(y), "2 values are"),
        (lambda w, b, x, y, r: (w - r * x @ ((x @ w + b).sigmoid() - y), b), "Two shapes do not"),
        (
            lambda w, b, x, y, r: (w - r * (((x @ w + b).sigmoid() - y)[:, None] * x), b),
            "a dimension is left",
        ),
    ),
)
def gradient_step(weight, bias, inputs, target, learning_rate):
    """Weight (H,), bias (), inputs (N, H), target (N,) -> new weight, bias."""
    logits = inputs @ weight + bias
    error = (logits.sigmoid() - target) / len(target)
    new_weight = weight - learning_rate * (inputs.T @ error)
    new_bias = bias - learning_rate * error.sum()
    return new_weight, new_bias
