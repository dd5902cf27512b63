"""Cross-entropy: softmax, log, pick, mean."""

import math

import torch
import torch.nn.functional as F

from companion.exercises._exercise import Exercise, Mistake
from companion.exercises._prediction import Prediction
from companion.exercises.catalogues._tensors import classes, floats

SUBJECT = "cross-entropy"

_FOUR = floats([2.0, 0.5, -1.0, 0.3], [0.1, 1.7, 0.4, -0.8], [-0.6, 0.9, 1.2, 2.3])
_THREE = floats([1.5, -0.4, 0.2], [0.3, 0.8, -1.1], [-0.7, 2.1, 0.6])
_HUGE = floats([1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0])
_LOGITS = {
    "one row, three classes": (floats([2.0, 0.0, -1.0]), classes(1)),
    "three rows, four classes": (_FOUR, classes(3, 1, 0)),
    "a square batch, three rows and three classes": (_THREE, classes(2, 0, 0)),
    "huge logits, all of them right": (_HUGE, classes(0, 2)),
    "huge logits, confident and wrong": (_HUGE, classes(2, 1)),
}

_FORGOT_MINUS = (
    "The sign is upside down: the better the prediction, the larger this number. "
    "Look up why it is the *negative* log-likelihood that is made small."
)
_SUM = (
    "These are the right losses, added up. A loss that grows with the batch makes the step size "
    "depend on the batch size; look up `reduction`."
)
_UNREDUCED = (
    "There is one right loss per row here, but one number for the whole batch is asked for: the "
    "last step, the reduction, is missing."
)
_ALL_PAIRS = (
    "Every row met every target, not just its own: N by N numbers were picked. Look up how "
    "indexing with two index tensors differs from indexing with a slice and a tensor, or `gather`."
)


def predict_cross_entropy():
    """Three losses to two decimals, then "same", "larger" or "smaller"."""
    equal_logits = 1.39  # ln 4: four classes, each with probability 1/4
    right_label = 0.22  # -ln(4/5): softmax of (0, ln 4) is (1/5, 4/5)
    wrong_label = 1.61  # -ln(1/5)
    shifted = "same"  # softmax does not see a constant added to every logit
    return equal_logits, right_label, wrong_label, shifted


_PREDICT = Prediction(
    name="predict_cross_entropy",
    solution=predict_cross_entropy,
    questions={
        "equal_logits": (),
        "right_label": (),
        "wrong_label": (),
        "shifted": ("same", "larger", "smaller"),
    },
    mistakes=(
        Mistake(
            "zero",
            "Equal logits are no certainty but its opposite: the model spreads its belief over "
            "all classes. Look up the cross-entropy of a uniform guess.",
            lambda: (0.0, -math.log(0.8), -math.log(0.2), "same"),
        ),
        Mistake(
            "probability",
            "That is the probability of the label. The loss is one function further: look up "
            "surprise, or negative log-likelihood.",
            lambda: (0.25, 0.8, 0.2, "same"),
        ),
        Mistake(
            "one-minus",
            "That is how much probability is missing from the label, which is the mean absolute "
            "error and bounded by 1. Cross-entropy has no upper bound: look up its logarithm.",
            lambda: (0.75, 0.2, 0.8, "same"),
        ),
        Mistake(
            "log10",
            "That is a logarithm to base 10. In this subject `log` means the natural one: look up "
            "nats.",
            lambda: (math.log10(4), -math.log10(0.8), math.log10(5), "same"),
        ),
        Mistake(
            "log2",
            "That is the loss in bits. torch counts in nats, with the natural logarithm.",
            lambda: (2.0, -math.log2(0.8), math.log2(5), "same"),
        ),
        Mistake(
            "negative",
            "The size is right, the sign is not: the logarithm of a probability is never above "
            "zero, and the loss is its negative.",
            lambda: (-math.log(4), math.log(0.8), math.log(0.2), "same"),
        ),
        Mistake(
            "swapped",
            "The two labels have changed places: which class do the larger logit and the label "
            "name?",
            lambda: (math.log(4), math.log(5), -math.log(0.8), "same"),
        ),
        Mistake(
            "sigmoid",
            "That is the loss of each logit on its own, through a sigmoid. Here the classes "
            "compete: look up softmax.",
            lambda: (math.log(2), -math.log(0.8), math.log(2), "smaller"),
        ),
        Mistake(
            "shift",
            "Try the shift on paper with two classes: what happens to the numerator and to the "
            "denominator of the softmax when every logit grows by the same amount?",
            lambda: (math.log(4), -math.log(0.8), math.log(5), "larger"),
        ),
    ),
    moral="ln K is what an untrained model over K classes costs: worth knowing when a first loss "
    "is printed.",
)


def nll_loss(log_probs, target):
    """Mean over rows: log_probs (N, K), class indices (N,) -> one number."""
    picked = log_probs[torch.arange(len(target)), target]
    return -picked.mean()


_NLL = Exercise(
    name="nll_loss",
    solution=nll_loss,
    cases={name: (torch.log_softmax(z, 1), target) for name, (z, target) in _LOGITS.items()},
    shortcuts=("nll_loss",),
    moral="NLL computes no logarithm: it picks one column per row, turns the sign and averages. "
    "That is why it believes whatever it is given, probabilities too.",
    mistakes=(
        Mistake("no-minus", _FORGOT_MINUS, lambda z, t: -F.nll_loss(z, t)),
        Mistake("sum", _SUM, lambda z, t: F.nll_loss(z, t, reduction="sum")),
        Mistake("no-reduction", _UNREDUCED, lambda z, t: F.nll_loss(z, t, reduction="none")),
        Mistake("all-pairs", _ALL_PAIRS, lambda z, t: -z[:, t].mean()),
        Mistake(
            "rows-by-class",
            "The target was used to pick rows. A class index names a column: look up which "
            "dimension the first index runs along.",
            lambda z, t: -z[t].mean(),
        ),
        Mistake(
            "log-again",
            "What arrives here is a logarithm already, and of a negative number there is none. "
            "Look up what NLLLoss expects as its input.",
            lambda z, t: F.nll_loss(z.log(), t),
        ),
        Mistake(
            "exp",
            "That is the probability of the label, not its logarithm: the exponential undoes what "
            "the input already is.",
            lambda z, t: F.nll_loss(z.exp(), t),
        ),
        Mistake(
            "all-classes",
            "Every class was averaged, and the target is not used at all. Only the labelled "
            "column counts.",
            lambda z, t: -z.mean(),
        ),
        Mistake(
            "divided-by-all",
            "The sum over the labels was divided by the number of all entries, rows times "
            "classes. How many numbers were picked?",
            lambda z, t: F.nll_loss(z, t, reduction="sum") / z.numel(),
        ),
        Mistake(
            "argmax",
            "That is the loss of the class that the model believes most, right or wrong: the "
            "target is not used.",
            lambda z, t: -z.max(dim=1).values.mean(),
        ),
        Mistake(
            "normalised-again",
            "The value is right, since the log-softmax of a log-softmax is itself; the gradient is "
            "not. This loss takes its input as it is: the softmax belongs to whoever calls it.",
            lambda z, t: F.nll_loss(z.log_softmax(1), t),
        ),
    ),
)


def logsumexp(logits):
    """Over the classes: logits (N, K) -> (N,), finite for every finite input."""
    largest = logits.max(dim=1, keepdim=True).values
    shifted = logits - largest
    return largest.squeeze(1) + shifted.exp().sum(dim=1).log()


_LOGSUMEXP = Exercise(
    name="logsumexp",
    solution=logsumexp,
    cases={
        "one row, two classes": (floats([1.0, 3.0]),),
        "three rows, four classes": (_FOUR,),
        "a square batch": (_THREE,),
        "every logit hugely positive": (floats([1000.0, 1001.0], [1002.0, 1000.0]),),
        "every logit hugely negative": (floats([-1000.0, -1001.0], [-1003.0, -1002.0]),),
        "two rows far apart": (floats([900.0, 901.0], [-900.0, -901.0], [0.5, -0.5]),),
    },
    shortcuts=("logsumexp",),
    moral="Take out the largest, and no exponential can overflow and no sum can be zero. "
    "Cross-entropy is this minus the labelled logit.",
    mistakes=(
        Mistake(
            "naive",
            "Right for small logits, infinite for large ones: the exponential overflows before "
            "the logarithm can bring it back. Look up the log-sum-exp trick.",
            lambda z: z.exp().sum(1).log(),
        ),
        Mistake(
            "not-shifted-back",
            "What was taken out of the exponentials has not been put back: the result no longer "
            "moves when all logits do.",
            lambda z: (z - z.amax(1, keepdim=True)).exp().sum(1).log(),
        ),
        Mistake(
            "shifted-twice",
            "The largest logit went out with a minus and came back with a minus. Write the "
            "identity on paper: exp(z) = exp(m) times what?",
            lambda z: (z - z.amax(1, keepdim=True)).exp().sum(1).log() - z.amax(1),
        ),
        Mistake(
            "one-shift-for-all",
            "One shift for the whole batch saves the largest row only; in a row far below it, "
            "every exponential becomes zero. Whose maximum does a row need?",
            lambda z: z.max() + (z - z.max()).exp().sum(1).log(),
        ),
        Mistake(
            "over-the-batch",
            "The sum ran down the columns, over the rows of the batch. Which dimension holds the "
            "classes?",
            lambda z: torch.logsumexp(z, 0),
        ),
        Mistake(
            "one-number",
            "The whole batch became one number; each row has a sum of its own. Look up the `dim` "
            "argument of reductions.",
            lambda z: torch.logsumexp(z.flatten(), 0),
        ),
        Mistake(
            "mean",
            "That is the logarithm of a mean: the result is too small by the logarithm of the "
            "number of classes.",
            lambda z: torch.logsumexp(z, 1) - math.log(z.shape[1]),
        ),
        Mistake(
            "no-log",
            "The sum of exponentials is there, the logarithm around it is not.",
            lambda z: z.exp().sum(1),
        ),
        Mistake(
            "max-only",
            "That is the largest logit alone. The log-sum-exp is a smooth maximum, always above "
            "the hard one: the smaller terms still count.",
            lambda z: z.amax(1),
        ),
        Mistake(
            "log-of-exp",
            "The logarithm was taken of every exponential before the sum, and so undid it. The "
            "order of the three steps is in the name, read from the right.",
            lambda z: z.sum(1),
        ),
        Mistake(
            "kept",
            "The numbers are right, but each still sits in a dimension of size 1. Look up "
            "`keepdim`.",
            lambda z: torch.logsumexp(z, 1, keepdim=True),
        ),
        Mistake(
            "clamped",
            "Cutting the logits off keeps them from overflowing, and changes every answer beyond "
            "the cut. A shift changes none: look up the log-sum-exp trick.",
            lambda z: z.clamp(-80, 80).exp().sum(1).log(),
        ),
    ),
)


def cross_entropy(logits, target):
    """Mean over rows: logits (N, K), class indices (N,) -> one number."""
    log_probs = logits - logits.logsumexp(dim=1, keepdim=True)
    picked = log_probs[torch.arange(len(target)), target]
    return -picked.mean()


def _true_probs(logits, target):
    return logits.softmax(1)[torch.arange(len(target)), target]


def _naive(logits, target):
    exps = logits.exp()
    probs = exps / exps.sum(1, keepdim=True)
    return -probs[torch.arange(len(target)), target].log().mean()


def _one_hot(logits, target):
    return F.one_hot(target, logits.shape[1]).to(logits.dtype)


_CROSS_ENTROPY = Exercise(
    name="cross_entropy",
    solution=cross_entropy,
    cases=_LOGITS,
    shortcuts=("cross_entropy",),
    moral="Softmax, log, pick, mean, and the first two together, so that a logit of 1000 is just "
    "another number.",
    mistakes=(
        Mistake(
            "no-log",
            "The probability of the label is there, its logarithm is not. Without it a confident "
            "mistake costs hardly more than a timid one: look up log-likelihood.",
            lambda z, t: -_true_probs(z, t).mean(),
        ),
        Mistake("no-minus", _FORGOT_MINUS, lambda z, t: -F.cross_entropy(z, t)),
        Mistake(
            "over-the-batch",
            "The probabilities of a column add up to 1, not those of a row: the rows of the batch "
            "compete with each other. Which dimension holds the classes?",
            lambda z, t: F.nll_loss(z.log_softmax(0), t),
        ),
        Mistake("sum", _SUM, lambda z, t: F.cross_entropy(z, t, reduction="sum")),
        Mistake("no-reduction", _UNREDUCED, lambda z, t: F.cross_entropy(z, t, reduction="none")),
        Mistake(
            "divided-by-all",
            "The sum is right, but it was divided by all entries, rows times classes. A one-hot "
            "row holds zeros that are not samples: how many rows are there?",
            lambda z, t: F.cross_entropy(z, t) / z.shape[1],
        ),
        Mistake(
            "double-softmax",
            "A softmax was applied to probabilities: it is in there twice, and the loss can no "
            "longer come near zero. Look up which losses of torch expect logits.",
            lambda z, t: F.cross_entropy(z.softmax(1), t),
        ),
        Mistake(
            "raw-logits",
            "The logits were picked as they are; they are not log-probabilities yet. Look up what "
            "has to be subtracted to normalise them.",
            lambda z, t: F.nll_loss(z, t),
        ),
        Mistake(
            "log2",
            "That is the loss in bits, with a logarithm to base 2. torch counts in nats.",
            lambda z, t: F.cross_entropy(z, t) / math.log(2),
        ),
        Mistake(
            "log10",
            "That is a logarithm to base 10: every value is 0.43 times the right one. Look up the "
            "natural logarithm.",
            lambda z, t: F.cross_entropy(z, t) / math.log(10),
        ),
        Mistake(
            "sigmoid",
            "Each logit went through a sigmoid on its own, so the K numbers of a row need not add "
            "up to 1. Classes that exclude each other compete: look up softmax.",
            lambda z, t: F.nll_loss(F.logsigmoid(z), t),
        ),
        Mistake(
            "bce-on-one-hot",
            "That is binary cross-entropy on a one-hot table: K separate yes-or-no questions "
            "instead of one choice among K.",
            lambda z, t: F.binary_cross_entropy_with_logits(z, _one_hot(z, t)),
        ),
        Mistake(
            "log-of-mean",
            "The mean was taken before the logarithm. The two do not commute (Jensen's "
            "inequality), and one bad row can hide behind the others.",
            lambda z, t: -_true_probs(z, t).mean().log(),
        ),
        Mistake(
            "naive-exp",
            "Right for small logits, NaN for large ones: infinity divided by infinity. Look up "
            "the log-sum-exp trick, or what `log_softmax` does better than log of softmax.",
            _naive,
        ),
        Mistake(
            "log-of-softmax",
            "Right until a probability becomes so small that it is stored as 0: then its "
            "logarithm is infinite. Softmax and logarithm have to be taken in one step: look up "
            "`log_softmax`.",
            lambda z, t: -_true_probs(z, t).log().mean(),
        ),
        Mistake(
            "eps",
            "A small number inside the logarithm keeps it finite, and changes every value a "
            "little and a confident mistake a lot: the loss stops growing there. Look up "
            "`log_softmax`, which needs no such crutch.",
            lambda z, t: -(_true_probs(z, t) + 1e-8).log().mean(),
        ),
        Mistake(
            "clamp",
            "A clamp keeps the logarithm finite and takes the gradient away just where the model "
            "is most wrong. Look up `log_softmax`, which needs none.",
            lambda z, t: -_true_probs(z, t).clamp(min=1e-12).log().mean(),
        ),
        Mistake("all-pairs", _ALL_PAIRS, lambda z, t: -z.log_softmax(1)[:, t].mean()),
        Mistake(
            "all-classes",
            "All classes were averaged, and the target is not used: this is the cross-entropy "
            "against a uniform label.",
            lambda z, t: -z.log_softmax(1).mean(),
        ),
        Mistake(
            "argmax",
            "That is the loss of the class that the model likes best. The label decides which "
            "probability counts, not the model.",
            lambda z, t: F.cross_entropy(z, z.argmax(1)),
        ),
        Mistake(
            "entropy",
            "That is the entropy of the model's own probabilities; the label is not used. Look up "
            "how cross-entropy and entropy differ.",
            lambda z, t: -(z.softmax(1) * z.log_softmax(1)).sum(1).mean(),
        ),
    ),
)


def weighted_cross_entropy(logits, target, weight):
    """Weighted mean: logits (N, K), target (N,), weight (K,) -> one number."""
    log_probs = logits.log_softmax(dim=1)
    losses = -log_probs[torch.arange(len(target)), target]
    row_weights = weight[target]
    return (row_weights * losses).sum() / row_weights.sum()


_WEIGHTED_MEAN = "Look up what a weighted mean is divided by."

_WEIGHTED = Exercise(
    name="weighted_cross_entropy",
    solution=weighted_cross_entropy,
    cases={
        "two rows, two classes": (
            floats([1.0, -1.0], [0.5, 0.0]),
            classes(0, 1),
            floats(1.0, 3.0),
        ),
        "three rows, four classes": (_FOUR, classes(3, 1, 1), floats(0.5, 2.0, 1.0, 4.0)),
        "a square batch": (_THREE, classes(2, 0, 0), floats(0.2, 1.0, 3.0)),
        "huge logits, confident and wrong": (_HUGE, classes(2, 1), floats(1.0, 0.5, 2.5)),
        "one class only": (floats([0.4, 1.1], [2.0, -0.3]), classes(1, 1), floats(1.0, 5.0)),
    },
    shortcuts=("cross_entropy", "nll_loss"),
    moral="The mean divides by the summed weights of the labels, so a batch of one class only does "
    "not feel its weight at all. `pos_weight` of the binary loss divides by the count instead.",
    mistakes=(
        Mistake(
            "unweighted",
            "The weights do not reach the result. Which weight belongs to which row?",
            lambda z, t, w: F.cross_entropy(z, t),
        ),
        Mistake(
            "divided-by-rows",
            f"The weighted losses are right, and divided by the number of rows. {_WEIGHTED_MEAN}",
            lambda z, t, w: F.cross_entropy(z, t, w, reduction="sum") / len(t),
        ),
        Mistake(
            "divided-by-all-weights",
            "The weighted losses are right, and divided by the weights of all classes, whether "
            f"they occur or not. {_WEIGHTED_MEAN}",
            lambda z, t, w: F.cross_entropy(z, t, w, reduction="sum") / w.sum(),
        ),
        Mistake(
            "sum",
            f"The weighted losses were added up and not divided by anything. {_WEIGHTED_MEAN}",
            lambda z, t, w: F.cross_entropy(z, t, w, reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            _UNREDUCED,
            lambda z, t, w: F.cross_entropy(z, t, w, reduction="none"),
        ),
        Mistake(
            "weighted-logits",
            "The weights went into the logits and so changed the probabilities. A class weight "
            "says how much a row's loss counts, not what the model believes.",
            lambda z, t, w: F.cross_entropy(z * w, t),
        ),
        Mistake(
            "weight-of-prediction",
            "Each row was weighted by the class that the model chose. The weight belongs to the "
            "class that the row really has.",
            lambda z, t, w: (
                (w[z.argmax(1)] * F.cross_entropy(z, t, reduction="none")).sum()
                / w[z.argmax(1)].sum()
            ),
        ),
        Mistake(
            "inverse",
            "The rows were divided by their weights: the classes that should count most now count "
            "least.",
            lambda z, t, w: F.cross_entropy(z, t, 1 / w),
        ),
        Mistake(
            "squared",
            "The weights are in there twice, once too often.",
            lambda z, t, w: F.cross_entropy(z, t, w**2),
        ),
        Mistake(
            "no-minus",
            _FORGOT_MINUS,
            lambda z, t, w: -F.cross_entropy(z, t, w),
        ),
        Mistake(
            "mean-of-class-means",
            "Every class got its own mean, and these were weighted. That takes away how often a "
            "class occurs; a class weight counts every row of its class.",
            lambda z, t, w: (
                sum(w[k] * F.cross_entropy(z[t == k], t[t == k]) for k in t.unique())
                / w[t.unique()].sum()
            ),
        ),
    ),
)


def smoothed_cross_entropy(logits, target, smoothing):
    """Mean over rows: logits (N, K), target (N,), smoothing -> one number."""
    log_probs = logits.log_softmax(dim=1)
    labelled = -log_probs[torch.arange(len(target)), target]
    uniform = -log_probs.mean(dim=1)
    return ((1 - smoothing) * labelled + smoothing * uniform).mean()


def _soft(z, t, smoothing, share, top):
    """Cross-entropy against a table with ``top`` at the label and ``share`` everywhere else."""
    hot = _one_hot(z, t)
    return -((top * hot + share * (1 - hot)) * z.log_softmax(1)).sum(1).mean()


_SMOOTHED = Exercise(
    name="smoothed_cross_entropy",
    solution=smoothed_cross_entropy,
    cases={
        "one row, two classes": (floats([0.0, 1.0]), classes(1), 0.2),
        "three rows, four classes": (_FOUR, classes(3, 1, 0), 0.1),
        "a square batch": (_THREE, classes(2, 0, 0), 0.3),
        "no smoothing": (_THREE, classes(1, 1, 2), 0.0),
        "huge logits, all of them right": (_HUGE, classes(0, 2), 0.1),
    },
    shortcuts=("cross_entropy",),
    moral="A smoothed label is a mixture of the one-hot label and the uniform one, so the loss is "
    "the same mixture of two losses. Being sure now has a price: see the huge logits.",
    mistakes=(
        Mistake(
            "unsmoothed",
            "The smoothing does not reach the result: this is plain cross-entropy.",
            lambda z, t, s: F.cross_entropy(z, t),
        ),
        Mistake(
            "others-only",
            "The mass was spread over the K - 1 other classes. That is one known definition; "
            "torch's spreads it over all K, the label among them: look up the uniform mixture.",
            lambda z, t, s: _soft(z, t, s, s / (z.shape[1] - 1), 1 - s),
        ),
        Mistake(
            "mass-lost",
            "The label gives away all of the smoothing and gets no share of it back: the smoothed "
            "row adds up to less than 1. Every class gets a share, the label too.",
            lambda z, t, s: _soft(z, t, s, s / z.shape[1], 1 - s),
        ),
        Mistake(
            "mass-added",
            "Every class got its share, and the label kept all it had: the smoothed row adds up "
            "to more than 1. Where does the share come from?",
            lambda z, t, s: _soft(z, t, s, s / z.shape[1], 1 + s / z.shape[1]),
        ),
        Mistake(
            "swapped",
            "The two parts have changed places: a small smoothing should leave the label nearly "
            "alone.",
            lambda z, t, s: F.cross_entropy(z, t, label_smoothing=1 - s),
        ),
        Mistake(
            "uniform-sum",
            "The part of the uniform label was added up over the classes. A uniform label gives "
            "each of them 1/K: which reduction is that?",
            lambda z, t, s: (1 - s) * F.cross_entropy(z, t) - s * z.log_softmax(1).sum(1).mean(),
        ),
        Mistake(
            "uniform-sign",
            "The part of the uniform label has the wrong sign: it rewards certainty instead of "
            "charging for it.",
            lambda z, t, s: (1 - s) * F.cross_entropy(z, t) + s * z.log_softmax(1).mean(),
        ),
        Mistake(
            "entropy",
            "That is a reward for entropy, the confidence penalty: a relative of label smoothing. "
            "Smoothing changes the target, not the model's share in the sum.",
            lambda z, t, s: (
                (1 - s) * F.cross_entropy(z, t)
                - s * (z.softmax(1) * z.log_softmax(1)).sum(1).mean()
            ),
        ),
        Mistake(
            "smoothed-probs",
            "The predictions were mixed with the uniform distribution, and the label stayed hard. "
            "It is the label that label smoothing softens.",
            lambda z, t, s: -((1 - s) * _true_probs(z, t) + s / z.shape[1]).log().mean(),
        ),
        Mistake(
            "sum",
            _SUM,
            lambda z, t, s: F.cross_entropy(z, t, label_smoothing=s, reduction="sum"),
        ),
        Mistake(
            "no-reduction",
            _UNREDUCED,
            lambda z, t, s: F.cross_entropy(z, t, label_smoothing=s, reduction="none"),
        ),
    ),
)

EXERCISES = (_PREDICT, _NLL, _LOGSUMEXP, _CROSS_ENTROPY, _WEIGHTED, _SMOOTHED)
