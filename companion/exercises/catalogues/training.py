"""Training: clean inputs, one step, and the loss of an epoch."""

import math

import torch

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import floats

SUBJECT = "training"


def predict_training():
    """Four numbers; those that are not whole to two decimals."""
    first_loss = 0.69  # ln 2: nothing learnt yet
    batches = 4  # 32 + 32 + 32 + 4
    epoch_loss = 0.28  # (90 * 0.2 + 10 * 1.0) / 100
    standardised = -21.80  # (-99 - 10) / 5
    return first_loss, batches, epoch_loss, standardised


_LN2 = math.log(2)

_PREDICT = Prediction(
    name="predict_training",
    solution=predict_training,
    questions={"first_loss": (), "batches": (), "epoch_loss": (), "standardised": ()},
    mistakes=(
        Mistake(
            "mean-of-means",
            "That treats a batch of 10 like a batch of 90. What should each batch mean be "
            "weighted with?",
            lambda: (_LN2, 4, 0.6, -21.8),
        ),
        Mistake(
            "sum-of-means",
            "That is the sum of the two batch means. The loss of an epoch is a mean over samples.",
            lambda: (_LN2, 4, 1.2, -21.8),
        ),
        Mistake(
            "last-batch",
            "That is the loss of the last batch alone.",
            lambda: (_LN2, 4, 1.0, -21.8),
        ),
        Mistake(
            "rest-dropped",
            "The samples of the last, smaller batch count, too, unless the loader is told to drop "
            "them: look up `drop_last`.",
            lambda: (_LN2, 3, 0.28, -21.8),
        ),
        Mistake(
            "fraction",
            "A batch is there or not; the last one is just smaller.",
            lambda: (_LN2, 3.125, 0.28, -21.8),
        ),
        Mistake(
            "loss-zero",
            "Logits of 0 are a guess of one half, and that is no free guess.",
            lambda: (0.0, 4, 0.28, -21.8),
        ),
        Mistake(
            "loss-half",
            "One half is the probability; the loss is its negative logarithm.",
            lambda: (0.5, 4, 0.28, -21.8),
        ),
        Mistake(
            "not-centred",
            "The mean has to be taken off before the division.",
            lambda: (_LN2, 4, 0.28, -19.8),
        ),
        Mistake(
            "not-scaled",
            "That is the distance from the mean. How many standard deviations is it?",
            lambda: (_LN2, 4, 0.28, -109.0),
        ),
        Mistake(
            "mean-added",
            "The mean was added. It is taken off, and -99 lies below it.",
            lambda: (_LN2, 4, 0.28, -17.8),
        ),
        Mistake(
            "ignored",
            "-99 is a code for 'missing' to a person. To the arithmetic it is a number like any "
            "other.",
            lambda: (_LN2, 4, 0.28, 0.0),
        ),
    ),
    moral="A missing value that is coded as a number lies more than twenty standard deviations "
    "out, and the linear layer believes it.",
)


def epoch_mean(losses, sizes):
    """Mean loss per sample: batch means (B,), batch sizes (B,) -> a number."""
    return ((losses * sizes).sum() / sizes.sum()).item()


_EPOCH_MEAN = Exercise(
    name="epoch_mean",
    solution=epoch_mean,
    cases={
        "two batches": (floats(0.2, 1.0), torch.tensor([90, 10])),
        "three batches, the last one small": (floats(0.7, 0.5, 2.0), torch.tensor([32, 32, 1])),
        "four equal batches": (floats(0.9, 0.6, 0.4, 0.3), torch.tensor([8, 8, 8, 8])),
        "one batch": (floats(0.35), torch.tensor([5])),
    },
    moral="A mean of means is the mean only when all groups are of one size. The same holds for "
    "several processes, and for accumulated gradients.",
    mistakes=(
        Mistake(
            "mean-of-means",
            "Every batch counts alike here, and a last batch of a single sample counts as much as "
            "a full one. Look up the weighted mean.",
            lambda v, n: v.mean().item(),
        ),
        Mistake(
            "sum",
            "Those are the batch losses added up; the number grows with the number of batches.",
            lambda v, n: v.sum().item(),
        ),
        Mistake(
            "total",
            "That is the total loss of all samples. It still has to be divided by how many there "
            "are.",
            lambda v, n: (v * n).sum().item(),
        ),
        Mistake(
            "divided-by-batches",
            "The total of all samples was divided by the number of batches. How many samples are "
            "there?",
            lambda v, n: ((v * n).sum() / len(v)).item(),
        ),
        Mistake(
            "divided-twice",
            "The batch losses are means already; here their sum was divided by the number of "
            "samples once more.",
            lambda v, n: (v.sum() / n.sum()).item(),
        ),
        Mistake(
            "full-batches",
            "Every batch was taken to be as large as the first. The last one often is not.",
            lambda v, n: ((v * n).sum() / (len(v) * n[0])).item(),
        ),
        Mistake(
            "last",
            "That is the loss of the last batch.",
            lambda v, n: v[-1].item(),
        ),
        Mistake(
            "inverse",
            "The losses were divided by the sizes: small batches count most.",
            lambda v, n: ((v / n).sum() / (1 / n).sum()).item(),
        ),
        Mistake(
            "median",
            "That is the median of the batch losses, which hides the bad batches.",
            lambda v, n: v.median().item(),
        ),
        Mistake(
            "running-half",
            "Every new batch was averaged half and half with all that came before it, so that the "
            "last one counts as much as all others.",
            lambda v, n: _running_half(v),
        ),
    ),
)


def _running_half(values):
    mean = values[0]
    for value in values[1:]:
        mean = (mean + value) / 2
    return mean.item()


def fill_missing(inputs, code):
    """Replace the code by its column's mean of known values -> (N, H)."""
    missing = inputs == code
    total = inputs.masked_fill(missing, 0.0).sum(dim=0)
    means = total / (~missing).sum(dim=0)
    return torch.where(missing, means, inputs)


def _fill(x, code, value):
    return torch.where(x == code, value, x)


def _known(x, code):
    return x.masked_fill(x == code, float("nan"))


_FILL = Exercise(
    name="fill_missing",
    solution=fill_missing,
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
    },
    gradient=False,
    moral="The mean of the known values changes nothing about the column's mean. In a real split, "
    "take it from the training rows and use it for all others.",
    mistakes=(
        Mistake(
            "code-in-the-mean",
            "The code itself went into the mean, and drags it far down. Only the known values "
            "belong there.",
            lambda x, c: _fill(x, c, x.mean(0)),
        ),
        Mistake(
            "zero",
            "Zero is a value like any other, and for many features an unlikely one. A column's "
            "own mean is asked for.",
            lambda x, c: _fill(x, c, torch.zeros(())),
        ),
        Mistake(
            "zeros-in-the-mean",
            "The missing values were counted in the mean as zeros: the sum is right, the number "
            "that it is divided by is not.",
            lambda x, c: _fill(x, c, x.masked_fill(x == c, 0).mean(0)),
        ),
        Mistake(
            "global-mean",
            "One mean was used for the whole table. Columns have units of their own.",
            lambda x, c: _fill(x, c, _known(x, c).nanmean()),
        ),
        Mistake(
            "row-mean",
            "The mean ran along the rows, over different features of one sample. Which dimension "
            "holds the samples?",
            lambda x, c: _fill(x, c, _known(x, c).nanmean(1, keepdim=True)),
        ),
        Mistake(
            "median",
            "That is the median of the known values: a sound choice, and not the one that is "
            "asked for.",
            lambda x, c: _fill(x, c, _known(x, c).nanmedian(0).values),
        ),
        Mistake(
            "nan",
            "The code became NaN. That is honest, but a model cannot use it: one NaN in the "
            "inputs makes every weight NaN.",
            lambda x, c: _known(x, c),
        ),
        Mistake(
            "dropped",
            "The rows with a missing value were left out. Their other values are lost with them; "
            "the shape should stay.",
            lambda x, c: x[(x != c).all(1)],
        ),
        Mistake(
            "unchanged",
            "The inputs came back as they were: nothing was replaced.",
            lambda x, c: x,
        ),
        Mistake(
            "all-replaced",
            "Every value became its column's mean, the known ones, too.",
            lambda x, c: _known(x, c).nanmean(0).expand_as(x).clone(),
        ),
        Mistake(
            "negatives",
            "The zeros were treated as missing as well. Only the code says 'missing'.",
            lambda x, c: torch.where(
                (x == c) | (x == 0),
                _known(x, c).masked_fill(x == 0, float("nan")).nanmean(0),
                x,
            ),
        ),
    ),
)


def standardise(train, other):
    """Other rows (M, H) in units of the training rows (N, H) -> (M, H)."""
    return (other - train.mean(dim=0)) / train.std(dim=0)


_TRAIN = floats([1.0, 100.0], [2.0, 300.0], [4.0, 500.0], [5.0, 200.0])

_STANDARDISE = Exercise(
    name="standardise",
    solution=standardise,
    cases={
        "one row of two features": (_TRAIN, floats([3.0, 150.0])),
        "three rows of two features": (_TRAIN, floats([0.0, 250.0], [6.0, 400.0], [2.5, 90.0])),
        "the training rows themselves": (_TRAIN, _TRAIN),
        "two rows, a square": (floats([1.0, -2.0], [3.0, 4.0]), floats([5.0, 0.0], [2.0, 2.0])),
    },
    gradient=False,
    moral="Mean and spread are learnt from the training rows, like weights, and used unchanged on "
    "all rows that come later, even on a single one.",
    mistakes=(
        Mistake(
            "own-statistics",
            "The other rows were standardised by their own mean and spread. The model has learnt "
            "in the units of the training rows, and a single row has no spread at all.",
            lambda a, b: (b - b.mean(0)) / b.std(0),
        ),
        Mistake(
            "pooled",
            "Mean and spread were taken from both tables together. What the test rows look like "
            "must not reach the training: look up data leakage.",
            lambda a, b: (b - torch.cat([a, b]).mean(0)) / torch.cat([a, b]).std(0),
        ),
        Mistake(
            "rows",
            "The statistics ran along the rows, over different features of one sample. Each "
            "column has its own mean and spread.",
            lambda a, b: (b - b.mean(1, keepdim=True)) / b.std(1, keepdim=True),
        ),
        Mistake(
            "global",
            "One mean and one spread were used for all columns. The largest feature then drowns "
            "the others.",
            lambda a, b: (b - a.mean()) / a.std(),
        ),
        Mistake(
            "variance",
            "The division is by the variance. Which of the two measures of spread has the unit of "
            "the column?",
            lambda a, b: (b - a.mean(0)) / a.var(0),
        ),
        Mistake(
            "not-centred",
            "The columns have the right scale, and were not centred: what has to be taken off "
            "first?",
            lambda a, b: b / a.std(0),
        ),
        Mistake(
            "not-scaled",
            "The columns are centred, and were not scaled.",
            lambda a, b: b - a.mean(0),
        ),
        Mistake(
            "population",
            "The spread divides by N. That is a matter of taste, and common; here torch's default "
            "is meant, with N - 1: look up Bessel's correction.",
            lambda a, b: (b - a.mean(0)) / a.std(0, correction=0),
        ),
        Mistake(
            "min-max",
            "The columns were squeezed between their smallest and largest value. That is another "
            "scaling, and a single outlier rules it.",
            lambda a, b: (b - a.amin(0)) / (a.amax(0) - a.amin(0)),
        ),
        Mistake(
            "division-first",
            "Only the mean was divided by the spread. Look at the order of operations: which part "
            "needs brackets?",
            lambda a, b: b - a.mean(0) / a.std(0),
        ),
        Mistake(
            "train-returned",
            "The training rows were standardised. Asked for are the other rows, in their units.",
            lambda a, b: (a - a.mean(0)) / a.std(0),
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


def _step(w, b, x, y, rate, *, error=None, bias=True, weight=True):
    error = (x @ w + b).sigmoid() - y if error is None else error
    error = error / len(y)
    return w - weight * rate * (x.T @ error), b - bias * rate * error.sum()


def _probs(w, b, x):
    return (x @ w + b).sigmoid()


_STEP = Exercise(
    name="gradient_step",
    solution=gradient_step,
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
    },
    gradient=False,
    moral="That is all that `backward()` and an optimiser's `step()` do for this model: the error "
    "of each row, passed back to the weights through its inputs.",
    mistakes=(
        Mistake(
            "uphill",
            "The step goes uphill and makes the loss larger. Which way does the gradient point?",
            lambda w, b, x, y, r: _step(w, b, x, y, -r),
        ),
        Mistake(
            "no-rate",
            "The whole gradient was subtracted; the learning rate is not used.",
            lambda w, b, x, y, r: _step(w, b, x, y, 1.0),
        ),
        Mistake(
            "sum",
            "That is the gradient of the summed loss: the step grows with the batch. The loss is "
            "a mean.",
            lambda w, b, x, y, r: _step(w, b, x, y, r * len(y)),
        ),
        Mistake(
            "no-sigmoid",
            "The logits were compared with the labels. That is the step of a linear regression: "
            "what turns a logit into something that a label can be compared with?",
            lambda w, b, x, y, r: _step(w, b, x, y, r, error=x @ w + b - y),
        ),
        Mistake(
            "sigmoid-slope",
            "The slope of the sigmoid is in there as a factor. That is the step for the squared "
            "error; with cross-entropy it cancels.",
            lambda w, b, x, y, r: _step(
                w,
                b,
                x,
                y,
                r,
                error=(_probs(w, b, x) - y) * _probs(w, b, x) * (1 - _probs(w, b, x)),
            ),
        ),
        Mistake(
            "bias-fixed",
            "The weights are right; the bias has not moved. It is learnt like them.",
            lambda w, b, x, y, r: _step(w, b, x, y, r, bias=False),
        ),
        Mistake(
            "weight-fixed",
            "The bias is right; the weights have not moved.",
            lambda w, b, x, y, r: _step(w, b, x, y, r, weight=False),
        ),
        Mistake(
            "bias-mean",
            "The weights are right; the error was averaged twice for the bias.",
            lambda w, b, x, y, r: (
                _step(w, b, x, y, r)[0],
                b - r * (_probs(w, b, x) - y).mean() / len(y),
            ),
        ),
        Mistake(
            "bias-summed",
            "The weights are right; for the bias the errors were added up and not averaged.",
            lambda w, b, x, y, r: (
                _step(w, b, x, y, r)[0],
                b - r * (_probs(w, b, x) - y).sum(),
            ),
        ),
        Mistake(
            "gradient-only",
            "Those are the gradients. The step that uses them is still to be taken.",
            lambda w, b, x, y, r: (
                x.T @ (_probs(w, b, x) - y) / len(y),
                (_probs(w, b, x) - y).mean(),
            ),
        ),
        Mistake(
            "rounded",
            "The decisions were compared with the labels, as in a perceptron. Here it counts how "
            "sure the model was.",
            lambda w, b, x, y, r: _step(w, b, x, y, r, error=_probs(w, b, x).round() - y),
        ),
        Mistake(
            "no-bias-in-logits",
            "The logits were computed without the bias.",
            lambda w, b, x, y, r: _step(w, b, x, y, r, error=(x @ w).sigmoid() - y),
        ),
    ),
)

EXERCISES = (_PREDICT, _EPOCH_MEAN, _STANDARDISE, _FILL, _STEP)
