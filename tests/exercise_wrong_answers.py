"""Wrong answers that no catalogue knows, and a part of what a reader is told about each.

Each was written as a reader might write it, tried, and its message read; the phrases keep what was
worth keeping. At least three for every exercise.
"""

import math
import sys

import numpy as np
import torch
import torch.nn.functional as F


def calls_itself(logits):
    return calls_itself(logits)


def leaves_the_program(logits, target):
    sys.exit(3)


def loop_with_math(logits, target):
    total = 0.0
    for row, label in zip(logits, target, strict=True):
        total += -math.log(row.softmax(0)[label])
    return total / len(target)


def softmax_in_place(logits):
    logits -= logits.max(dim=1, keepdim=True).values
    return logits.exp() / logits.exp().sum(dim=1, keepdim=True)


def fill_in_place(inputs, code):
    for column in range(inputs.shape[1]):
        known = inputs[:, column] != code
        inputs[~known, column] = inputs[known, column].mean()
    return inputs


def mean_weight(logits, target, weight):
    losses = F.cross_entropy(logits, target, reduction="none")
    return (weight[target] * losses).mean() / weight.mean()


def python_maximum(logits, target):
    pairs = zip(logits.flatten(), target, strict=True)
    return sum(max(z, 0) - z * y + math.log1p(math.exp(-abs(z))) for z, y in pairs) / len(target)


def constant_for_none(logits, target, ignore_index):
    kept = target != ignore_index
    if not kept.any():
        return torch.tensor(0.0)
    return F.cross_entropy(logits[kept], target[kept])


def bce(logits, target, **options):
    return F.binary_cross_entropy_with_logits(logits, target, **options)


def margin(logits):
    return logits[:, 1] - logits[:, 0]


def labelled(table, target):
    return table[torch.arange(len(target)), target]


FLOAT_OF_A_BATCH = "A whole batch was turned into one Python number"
NUMPY = "NumPy knows nothing of gradients"
DETACHED = "was something detached"
PAPER = "Work it through on paper"
CLOSE = "two decimals are asked for"
SHAPES = "Two shapes do not fit"

WRONG_ANSWERS = {
    "predict_probabilities": [
        (lambda: (0.5, 0.95, 1.0, 0.5), "2 of 4 hold; not yet: sigmoid_of_ln_3, second_of_two"),
        (lambda: (0.5, "0.75", 1, 0.75), "sigmoid_of_ln_3: a number is asked for"),
        (lambda: (0.5, 0.75, 1.0), "4 answers asked for"),
    ],
    "log_odds": [
        (lambda p: 2 * torch.log(p / (1 - p)), "Every value is 2 times the expected one"),
        (lambda p: torch.tensor(np.log(p / (1 - p))), NUMPY),
        (lambda p: math.log(p / (1 - p)), FLOAT_OF_A_BATCH),
        (lambda p: p.log() + (1 - p).log(), "0 of 4 cases agree"),
    ],
    "sigmoid": [
        (lambda z: z.exp() / (1 + (-z).exp()), "[-1, 0, 2]"),
        (lambda z: 1 / (1 + math.exp(-z)), FLOAT_OF_A_BATCH),
        (lambda z: (1 + torch.tanh(z)) / 2, "got       [0.1192, 0.5, 0.982]"),
        (lambda z: (z - z.min()) / (z.max() - z.min()), "three logits"),
    ],
    "two_class_logit": [
        (lambda z: margin(z).mean(), "everything was reduced to one number"),
        (lambda z: z.logsumexp(1) - z[:, 0], "expected  [1.5]"),
        (lambda z: z.max(dim=1), "pair of values and indices"),
        (lambda z: [float(row[1] - row[0]) for row in z], "has to become one tensor again"),
    ],
    "softmax": [
        (softmax_in_place, "changes its argument in place"),
        (lambda z: z.exp() / z.exp().sum(), "NaN or infinite"),
        (lambda z: torch.stack([row.softmax(0) for row in z]).numpy(), NUMPY),
        (lambda z: z.softmax(2), "such a dimension is not there"),
    ],
    "predict_binary_heads": [
        (lambda: (4, 2, 0.5, 2, "yes"), "output_size: Two classes need two probabilities"),
        (lambda: (4, 1, 0.69, 4, "yes"), PAPER),
        (lambda: (4, 1, 0.69, 2, "maybe"), "same_decisions: choose one of 'yes', 'no'"),
    ],
    "one_logit_head": [
        (lambda w, b: w[1:] - w[:1], "2 values are asked for, as a tuple"),
        (lambda w, b: (w[1:] - w[:1], 2 * (b[1:] - b[:1])), "Value 2 of 2 is the first"),
        (lambda w, b: ((w[1:] - w[:1]).detach(), b[1:] - b[:1]), DETACHED),
        (lambda w, b: (w[2:] - w[1:], b[1:] - b[:1]), "Value 1 of 2"),
    ],
    "two_logit_head": [
        (lambda w, b: (torch.cat([0 * w, w]), b), "Value 2 of 2"),
        (lambda w, b: (torch.cat([torch.zeros(1), w]), b), SHAPES),
        (lambda w, b: (torch.cat([w.abs(), w]), torch.cat([0 * b, b])), "Value 1 of 2"),
    ],
    "two_class_loss": [
        (lambda z, t: bce(z, t), SHAPES),
        (lambda z, t: bce(margin(z), t.float()), "Precision was lost on the way"),
        (lambda z, t: F.cross_entropy(margin(z), t.to(z.dtype)), "one row"),
        (lambda z, t: bce(margin(z).abs(), t.to(z.dtype)), "a square batch"),
    ],
    "positive_probs": [
        (lambda o, h: o.sigmoid() if h == "logit" else o, "a dimension is left"),
        (lambda o, h: o.softmax(1)[:, 1], "such a dimension is not there"),
        (
            lambda o, h: o.softmax(1).max(1).values if h == "two logits" else o.sigmoid(),
            "a probability a row",
        ),
        (lambda o, h: not_set_yet, "has the cell that imports or sets"),  # noqa: F821
    ],
    "predict_bce": [
        (lambda: (0.7, 0.1, 2.3, 0.7, -0.5), CLOSE),
        (lambda: (0.69, 0.11, 2.30, 0.5, -0.5), PAPER),
        (lambda: (1, 1, 1, 1, 1), "0 of 5 hold"),
    ],
    "binary_cross_entropy": [
        (lambda p, y: -(y * p.log() + (1 - y) * (1 - p.log())).mean(), "two samples"),
        (lambda p, y: -(y * p.log() + (1 - y) * (1 - p).log()).sum() / 2, "1 of 5 cases agrees"),
        (
            lambda p, y: -torch.where(y > 0.5, p.log(), (1 - p).log()).mean(),
            "four samples, soft targets",
        ),
    ],
    "bce_gradient": [
        (lambda z, y: (z - y).sigmoid() / len(y), "got       [0.1888, 0.1345]"),
        (lambda z, y: torch.autograd.grad(bce(z, y), z)[0], "no graph to go back through"),
        (lambda z, y: (z.sigmoid() - y) / 2, "2 of 4 cases agree"),
    ],
    "bce_with_logits": [
        (lambda z, y: F.softplus(-z * (2 * y - 1)).sum() / len(y), "cases agree"),
        (lambda z, y: (torch.max(z, 0) - z * y).mean(), "a pair of values and indices"),
        (python_maximum, "the gradient with respect to `logits` is not"),
        (lambda z, y: bce(z.squeeze(1), y), "such a dimension is not there"),
    ],
    "predict_cross_entropy": [
        (lambda: (1.39, 0.22, 1.39, "same"), PAPER),
        (lambda: (1.4, 0.2, 1.6, "same"), CLOSE),
        (lambda: (1.39, 0.22, 1.61, "unchanged"), "choose one of 'same', 'larger', 'smaller'"),
    ],
    "nll_loss": [
        (lambda p, t: -(p * F.one_hot(t)).sum(1).mean(), SHAPES),
        (lambda p, t: -p.gather(1, t).mean(), SHAPES),
        (lambda p, t: -labelled(p, t).median(), "confident and wrong"),
    ],
    "logsumexp": [
        (lambda z: [row.logsumexp(0) for row in z], "has to become one tensor again"),
        (lambda z: (z - z.max(1).values).exp().sum(1).log() + z.max(1).values, SHAPES),
        (calls_itself, "calls itself without end"),
        (lambda z: z.logsumexp(1) * 2, "Every value is 2 times"),
    ],
    "cross_entropy": [
        (loop_with_math, "so small that it is stored as 0"),
        (leaves_the_program, "ends the whole program"),
        (lambda z, t: -torch.log(z.softmax(1)[t]).mean(), "which of the dimensions does the index"),
        (lambda z, t: 1.5 * F.cross_entropy(z, t), "Every value is 1.5 times"),
        (lambda z, t: F.cross_entropy(z.float(), t), "float32, expected float64"),
        (lambda z, t: F.cross_entropy(z.detach(), t), DETACHED),
        (lambda z, t: F.cross_entropy(z, t).item(), "The number itself is right"),
        (lambda z: z, "The check calls your function as `(logits, target)`"),
        (lambda z, t: None, "is a `return` missing?"),
        (lambda z, t: F.cross_entropy, "are the brackets missing?"),
    ],
    "weighted_cross_entropy": [
        (mean_weight, "one class only"),
        (lambda z, t, w: F.cross_entropy(z, t, weight=w[t]), "weight tensor should be defined"),
        (lambda z, t, w: (F.cross_entropy(z, t, reduction="none") * w).mean(), SHAPES),
    ],
    "smoothed_cross_entropy": [
        (lambda z, t, s: (1 - s) * F.cross_entropy(z, t) + s, "1 of 5 cases agrees"),
        (lambda z, t, s: F.cross_entropy(z / (1 - s), t), "smoothing  0.2"),
        (lambda z, t, s: F.cross_entropy(z, t * (1 - s)), "The dtypes do not fit"),
        (lambda z, t: F.cross_entropy(z, t), "(logits, target, smoothing)"),
    ],
    "predict_contract": [
        (
            lambda: ("number", "number", "number", "number", 0.0, "equal"),
            "column: The binary losses of torch compare the two shapes",
        ),
        (lambda: ("error", "error", "error", "number", 0, "same"), "choose one of 'equal'"),
        (lambda: ("error", "error", "error", "number", 1.1, "equal"), PAPER),
    ],
    "one_hot_targets": [
        (lambda t, k, d: torch.zeros(len(t), k).scatter_(1, t, 1.0), SHAPES),
        (lambda t, k, d: F.one_hot(t, d), "The dtypes do not fit"),
        (lambda t, k, d: torch.eye(k, dtype=d), "along the wrong dimension"),
    ],
    "zero_and_logit": [
        (lambda z: torch.tensor([[0, one] for one in z]), DETACHED),
        (lambda z: (torch.zeros_like(z), z), "has to become one tensor again"),
        (lambda z: torch.stack([0 * z, 2 * z], 1), "Every value is 2 times"),
        (lambda z: F.pad(z, (1, 0)), "a dimension is missing"),
    ],
    "one_against_rest": [
        (lambda z, t: bce(z, t.to(z.dtype)), SHAPES),
        (lambda z, t: bce(z, F.one_hot(t).to(z.dtype)), SHAPES),
        (lambda z, t: F.multi_margin_loss(z, t), "one row, three classes"),
    ],
    "predict_decisions": [
        (lambda: (0.5, 1, 0, 2.0, 1.39), PAPER),
        (lambda: (0, 1, 0, 2.0, 1.4), CLOSE),
        (lambda: (0, 1, 0, 0.25, 1.1), "3 of 5 hold"),
    ],
    "cost_threshold": [
        (lambda a, m: 1 - a / m, "equal costs"),
        (lambda a, m: torch.tensor([a / (a + m)]), "Take it out of that"),
        (lambda a, m: round(a / (a + m), 1), "2 of 4 cases agree"),
        (lambda a, m: a // (a + m), "same whatever the input"),
    ],
    "binary_labels": [
        (lambda z, t: 1 if z.sigmoid() > t else 0, "Python got a whole tensor"),
        (lambda z, t: (z > math.log(t)).long(), "a tie at one half"),
        (lambda z, t: 0.9 * (z.sigmoid() > t), "Labels and counts are whole numbers"),
    ],
    "accuracy": [
        (lambda p, t: (p.squeeze() == t).sum() / (len(p) + 1), "expected   0.6667"),
        (lambda p, t: p is t, "what came back is a `bool`"),
        (lambda p, t: (p == t).mean(), "no mean and no gradient"),
        (lambda p, t: sum(p == t) / len(t), "Is a sum or a mean missing?"),
    ],
    "least_cost_threshold": [
        (lambda p, y, c, a, m: c.mean(), "three samples, two candidates"),
        (lambda p, y, c, a, m: c[(a * ((p > c) & (y == 0))).argmin()], SHAPES),
        (lambda p, y, c, a, m: min(c.tolist(), key=lambda t: abs(t - 0.7)), "cases agree"),
    ],
    "predict_training": [
        (lambda: (0.69, 4, 0.6, -19.8), "epoch_loss: That treats a batch of 10"),
        (lambda: (0.69, 4, 0.28), "4 answers asked for"),
        (lambda: (0.69, "four", 0.28, -21.8), "batches: a number is asked for"),
    ],
    "epoch_mean": [
        (lambda v, n: (v / n).sum(), "expected  0.35"),
        (lambda v, n: v * n / n.sum(), "Is a sum or a mean missing?"),
        (lambda v, n: np.mean(v), "Is it a function of NumPy that met a tensor"),
    ],
    "standardise": [
        (lambda a, b: (b - a.mean()) / a.std(0), "two rows, a square"),
        (lambda a, b: (b - a.mean(0)) / (a.std(0) + 0.1), "0 of 4 cases agree"),
        (lambda a, b: (b - a.mean(1)) / a.std(1), SHAPES),
    ],
    "fill_missing": [
        (fill_in_place, "`inputs` is not what it was before"),
        (lambda x, c: torch.where(x == -99, x.mean(0), x), "got       [[1, 10], [-31.33"),
        (lambda x, c: x[x != c], "a dimension is missing"),
    ],
    "gradient_step": [
        (
            lambda w, b, x, y, r: w - r * x.T @ ((x @ w + b).sigmoid() - y) / len(y),
            "2 values are asked for",
        ),
        (lambda w, b, x, y, r: (w - r * x @ ((x @ w + b).sigmoid() - y), b), SHAPES),
        (
            lambda w, b, x, y, r: (w - r * (((x @ w + b).sigmoid() - y)[:, None] * x), b),
            "a dimension is left that should have been reduced",
        ),
    ],
    "predict_multi_label": [
        (lambda: (0.69, 6.93, 0.5, 0.8, 0.8, 3), "right_rows: A row is right only if"),
        (lambda: (0.69, 6.93, 0.5, 80, 0, 8), PAPER),
        (lambda: (0.69, 6.93, 0.5, 0.8, 0.0, 6), "not yet: answers_of_three"),
    ],
    "subset_accuracy": [
        (lambda p, t: (p * t).sum() / t.sum(), "expected   0.5"),
        (lambda p, t: (p == t).all(1).mean(), "no mean and no gradient"),
        (lambda p, t: all(p == t), "Python got a whole tensor"),
    ],
    "multilabel_labels": [
        (lambda z, t: torch.where(z.sigmoid() > t, 1, -1), "got         [[-1, 1, 1]]"),
        (lambda z, t: (z.sigmoid() > t).any(1).long(), "a dimension is missing"),
        (lambda z, t: (z.sigmoid() > max(t)).long(), "1 of 4 cases agrees"),
    ],
    "multi_label_loss": [
        (
            lambda z, y, w: -(w * y * F.logsigmoid(z) + (1 - y) * F.logsigmoid(z)).mean(),
            "one row, two labels",
        ),
        (lambda z, y, w: bce(z, y, pos_weight=w / w.sum()), "1 of 5 cases agrees"),
        (lambda z, y, w: bce(z, y, pos_weight=w[:, None]), SHAPES),
    ],
    "macro_f1": [
        (lambda p, t: (2 * (p * t).sum(0) / (p + t).sum()).mean(), "all right"),
        (lambda p, t: ((p * t).sum(0) / p.sum(0)).mean(), "NaN or infinite"),
        (lambda p, t: 2 * (p & t).sum(0) / (p | t).sum(0).clamp(min=1), "Is a sum or a mean"),
    ],
    "predict_noise": [
        (lambda: (-9.2, 3, 4, 0.1, 0.9), CLOSE),
        (lambda: (-9.21, 3, 4, 0.1, 0.7), PAPER),
        (lambda: (-4, 1.39, 4, 0.1, 0.5), "log_of_clamp: That is the exponent of 10"),
    ],
    "noise_matrix": [
        (lambda k, r: torch.eye(k).tolist(), "has to become one tensor again"),
        (lambda k, r: torch.full((k, k), r / k), "two classes"),
        (lambda k, r: (1 - r) * torch.eye(k) + r, "1 of 4 cases agrees"),
    ],
    "reverse_cross_entropy": [
        (lambda z, t, a: -a * (1 - labelled(z.log_softmax(1), t)).mean(), "one row, two classes"),
        (lambda z, t, a: 2 * -a * (1 - labelled(z.softmax(1), t)).mean(), "Every value is 2 times"),
        (lambda z, t, a: a * (1 - z.softmax(1)[:, t]).mean(), "got       -2.924"),
    ],
    "symmetric_cross_entropy": [
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t) + be * 4 * (1 - labelled(z.softmax(1), t)).mean()
            ),
            "3 of 5 cases agree",
        ),
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t)
                - be * a * (1 - labelled(z.detach().softmax(1), t)).mean()
            ),
            "was a part of the computation detached",
        ),
        (
            lambda z, t, al, be, a: (
                al * F.cross_entropy(z, t) - be * a * (1 - z.softmax(1).amax(1)).mean()
            ),
            "log_zero  -4",
        ),
    ],
    "predict_nan": [
        (lambda: ("nan",) * 6, "log_0: NaN is for what has no answer"),
        (lambda: ("-inf", "nan", "inf", "nan", "other", "0"), "4 of 6 hold"),
        (lambda: ("-inf", "nan", "inf", "nan", "zero", "nan"), "half_1e_8: choose one of"),
    ],
    "bad_rows": [
        (lambda x: x != x, "A comparison gives True and False"),
        (lambda x: torch.where(~x.isfinite().all(1)), "has to become one tensor again"),
        (lambda x: (~x.isfinite()).nonzero()[:, 1], "expected (3,)"),
        (lambda x: (~x.isfinite().all(1)).nonzero().squeeze(), "reduced to one number"),
    ],
    "entropy": [
        (lambda z: F.cross_entropy(z, z.softmax(1), reduction="none").detach(), DETACHED),
        (lambda z: z.softmax(1).square().sum(1), "one row, two classes"),
        (lambda z: z.log_softmax(1).exp().sum(), "everything was reduced to one number"),
    ],
    "ignoring_cross_entropy": [
        (constant_for_none, "or is it a constant"),
        (
            lambda z, t, i: F.cross_entropy(z, t, ignore_index=i) if (t != i).any() else 0.0,
            "What came back is a Python number",
        ),
        (lambda z, t, i: F.cross_entropy(z, t.clamp(min=0)), "Should that row take part?"),
    ],
    "half_safe_bce": [
        (lambda z, y: bce(z.bfloat16(), y.bfloat16()).float(), "two rows, float32"),
        (lambda z, y: bce(z.float(), y.float()).item(), "The number itself is right"),
        (lambda z, y: bce(z.float(), y.float()).half(), "float16, expected float32"),
    ],
}
