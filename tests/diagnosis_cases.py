"""Wirings that people write: wrong ones with what must be found, and right ones to leave alone.

Each is a function of a ``World``, which says in which precision, with or without a graph and in
which mode the output is computed. The bugs come from what public questions and issues show people
doing; so do the right wirings, which are mostly the answers to "is this wrong?".
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion import heads, losses

BUGS: dict[str, Bug] = {}
RIGHT: dict[str, Callable[[World], Wiring]] = {}
NOTES: dict[str, str] = {}


@dataclass
class Wiring:
    """What is handed to diagnose."""

    criterion: Any
    output: Any
    target: Any
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bug:
    """A wrong wiring, with the code and the level that it must get."""

    code: str
    level: str
    build: Callable[[World], Wiring]


class World:
    """Seeded features, labels and layers in one precision and mode."""

    def __init__(self, dtype=torch.float32, graph: bool = True, training: bool = True):
        self.dtype, self.graph, self.training = dtype, graph, training
        self.generator = torch.Generator().manual_seed(7)

    def randn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator).to(self.dtype)

    def run(self, module: nn.Module, *inputs: Tensor) -> Tensor:
        """Run a freshly seeded module on inputs in the world's precision and mode."""
        for parameter in module.parameters():
            drawn = torch.randn(parameter.shape, generator=self.generator)
            parameter.data = (drawn * parameter.shape[-1] ** -0.5).to(self.dtype)
        for name, buffer in module.named_buffers():
            if buffer.is_floating_point():
                owner, _, leaf = name.rpartition(".")
                setattr(module.get_submodule(owner), leaf, buffer.to(self.dtype))
        module.train(self.training)
        with torch.set_grad_enabled(self.graph):
            return module(*inputs)

    def logits(self, *shape: int) -> Tensor:
        """Scores of a linear layer, the last dimension the layer's."""
        return self.run(nn.Linear(6, shape[-1]), 1.5 * self.randn(*shape[:-1], 6))

    def maps(self, n: int, k: int, h: int, w: int) -> Tensor:
        """Scores of a 1 x 1 convolution."""
        return self.run(nn.Conv2d(4, k, 1), 1.5 * self.randn(n, 4, h, w))

    def classes(self, *shape: int, k: int) -> Tensor:
        """Class indices in which each class occurs."""
        count = torch.Size(shape).numel()
        drawn = torch.randint(k, (count,), generator=self.generator)
        first = min(k, count)
        drawn[:first] = torch.arange(first)
        return drawn.reshape(shape)

    def labels(self, *shape: int) -> Tensor:
        """Zeros and ones, both present."""
        drawn = torch.randint(2, shape, generator=self.generator)
        drawn.view(-1)[:2] = torch.tensor([0, 1])
        return drawn.to(self.dtype)

    def several(self, n: int, k: int) -> Tensor:
        """Multi-hot rows, the first with two ones and the second with none."""
        rows = self.labels(n, k)
        rows[0, :2] = 1
        rows[1] = 0
        return rows


def bug(code: str, level: str = "certain"):
    """Register a wrong wiring."""

    def register(build):
        BUGS[build.__name__] = Bug(code, level, build)
        return build

    return register


def right(build):
    """Register a right wiring."""
    RIGHT[build.__name__] = build
    return build


def noted(code: str):
    """Register a right wiring that gets a note under this code."""

    def register(build):
        NOTES[build.__name__] = code
        return right(build)

    return register


class Trial:
    """Wirings of one origin: bugs by name, with the codes that may name them, and right ones."""

    def __init__(self):
        self.bugs: dict[str, Bug] = {}
        self.rights: dict[str, Callable[[World], Wiring]] = {}

    def bug(self, *codes: str):
        """Register a wrong wiring, whatever the level at which it is found."""

        def register(build):
            self.bugs[build.__name__] = Bug(" ".join(codes), "any", build)
            return build

        return register

    def right(self, build):
        """Register a right wiring."""
        self.rights[build.__name__] = build
        return build


def one_hot(target: Tensor, k: int, dtype=torch.float32) -> Tensor:
    return F.one_hot(target, k).to(dtype)


class Focal(nn.Module):
    """Focal loss over classes, as it is meant."""

    def __init__(self, gamma: float = 2.0, alpha: Tensor | None = None):
        super().__init__()
        self.gamma, self.alpha = gamma, alpha

    def forward(self, output, target):
        ce = F.cross_entropy(output, target, weight=self.alpha, reduction="none")
        return ((1 - torch.exp(-ce)) ** self.gamma * ce).mean()


def sigmoid_focal(output, target, alpha=0.25, gamma=2.0):
    p = torch.sigmoid(output)
    ce = F.binary_cross_entropy_with_logits(output, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    alpha_t = alpha * target + (1 - alpha) * (1 - target)
    return (alpha_t * ce * (1 - p_t) ** gamma).mean()


def soft_dice(probs, target, smooth=1.0):
    dims = tuple(range(1, probs.ndim))
    both = (probs * target).sum(dims)
    return 1 - ((2 * both + smooth) / (probs.sum(dims) + target.sum(dims) + smooth)).mean()


def class_dice(probs, target, smooth=1.0):
    marks = F.one_hot(target, probs.shape[1]).movedim(-1, 1).to(probs.dtype)
    dims = (0, *range(2, probs.ndim))
    both = (probs * marks).sum(dims)
    return 1 - ((2 * both + smooth) / (probs.sum(dims) + marks.sum(dims) + smooth)).mean()


class SmoothedCE(nn.Module):
    """Label smoothing by hand."""

    def __init__(self, smoothing=0.1):
        super().__init__()
        self.smoothing = smoothing

    def forward(self, output, target):
        logs = output.log_softmax(dim=-1)
        nll = -logs.gather(dim=-1, index=target.unsqueeze(1)).squeeze(1)
        return ((1 - self.smoothing) * nll - self.smoothing * logs.mean(dim=-1)).mean()


# ---------------------------------------------------------------------------------- activations


@bug("DOUBLE_ACTIVATION")
def softmax_then_ce(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4).softmax(1), w.classes(16, k=4))


@bug("DOUBLE_ACTIVATION")
def softmax_layer_then_ce(w):
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(16, 6)), w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def sigmoid_then_bce_with_logits(w):
    output = torch.sigmoid(w.logits(16, 1)).squeeze(1)
    return Wiring(nn.BCEWithLogitsLoss(), output, w.labels(16))


@bug("DOUBLE_ACTIVATION")
def sigmoid_then_soft_margin(w):
    return Wiring(nn.MultiLabelSoftMarginLoss(), w.logits(16, 5).sigmoid(), w.several(16, 5))


@bug("DOUBLE_ACTIVATION")
def softmax_then_bce_with_logits(w):
    target = one_hot(w.classes(16, k=3), 3, w.dtype)
    return Wiring(F.binary_cross_entropy_with_logits, w.logits(16, 3).softmax(-1), target)


@bug("DOUBLE_ACTIVATION")
def sigmoid_then_ce(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3).sigmoid(), w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def softmax_inside_a_lambda(w):
    def criterion(output, target):
        return F.cross_entropy(F.softmax(output, dim=1), target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def sigmoid_twice_in_focal(w):
    return Wiring(sigmoid_focal, w.logits(16, 1).sigmoid(), w.labels(16, 1))


@bug("DOUBLE_ACTIVATION")
def focal_squashes_before_bce_with_logits(w):
    def criterion(output, target):
        p = torch.sigmoid(output)
        ce = F.binary_cross_entropy_with_logits(p, target, reduction="none")
        return ((1 - torch.exp(-ce)) ** 2 * ce).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("DOUBLE_ACTIVATION", "suspicion")
def softmax_then_ce_without_graph(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4).softmax(1).detach(), w.classes(16, k=4))


@bug("DOUBLE_ACTIVATION", "suspicion")
def sigmoid_then_bce_with_logits_without_graph(w):
    output = (3 * w.logits(400, 1)).sigmoid().squeeze(1).detach()
    return Wiring(nn.BCEWithLogitsLoss(), output, w.labels(400))


@bug("DOUBLE_ACTIVATION")
def softmax_in_segmentation(w):
    output = F.softmax(w.maps(2, 3, 4, 5), dim=1)
    return Wiring(nn.CrossEntropyLoss(ignore_index=255), output, w.classes(2, 4, 5, k=3))


@bug("DOUBLE_ACTIVATION")
def log_softmax_then_bce_with_logits(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 3).log_softmax(1), w.several(16, 3))


@bug("DOUBLE_ACTIVATION")
def softmax_then_smoothed_ce(w):
    return Wiring(SmoothedCE(), w.logits(16, 5).softmax(-1), w.classes(16, k=5))


@bug("DOUBLE_ACTIVATION")
def softmax_then_symmetric_ce(w):
    criterion = losses.SymmetricCrossEntropyLoss()
    return Wiring(criterion, w.logits(16, 5).softmax(1), w.classes(16, k=5))


@bug("DOUBLE_ACTIVATION")
def softmax_then_companion_ce(w):
    return Wiring(losses.cross_entropy, w.logits(16, 5).softmax(1), w.classes(16, k=5))


@bug("DOUBLE_ACTIVATION")
def sigmoid_outside_and_inside_dice(w):
    def criterion(output, target):
        return soft_dice(torch.sigmoid(output), target)

    return Wiring(criterion, w.maps(2, 1, 6, 6).sigmoid(), w.labels(2, 1, 6, 6))


@bug("DOUBLE_ACTIVATION")
def softmax_under_data_parallel(w):
    criterion = nn.DataParallel(nn.CrossEntropyLoss())
    return Wiring(criterion, w.logits(16, 3).softmax(1), w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def softmax_under_partial(w):
    criterion = functools.partial(F.cross_entropy, label_smoothing=0.1)
    return Wiring(criterion, w.logits(16, 3).softmax(1), w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def two_softmaxes_joined(w):
    output = torch.cat([w.logits(8, 3).softmax(1), w.logits(8, 3).softmax(1)])
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def softmax_by_hand_then_ce(w):
    scores = w.logits(16, 3).exp()
    output = scores / scores.sum(1, keepdim=True)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3))


@bug("DOUBLE_ACTIVATION")
def softmax_seen_through_the_model(w):
    net = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.1), nn.Softmax(dim=1))
    x = w.randn(16, 6)
    output = w.run(net, x).detach()
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3), {"model": net, "inputs": x})


@bug("DOUBLE_ACTIVATION")
def sequence_softmax_flattened(w):
    output = w.logits(4, 7, 5).softmax(-1).view(-1, 5)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(28, k=5))


@bug("DOUBLE_ACTIVATION")
def softmax_then_manual_cross_entropy(w):
    def criterion(output, target):
        logs = output - torch.logsumexp(output, dim=1, keepdim=True)
        return -logs[torch.arange(len(target)), target].mean()

    return Wiring(criterion, w.logits(16, 3).softmax(1), w.classes(16, k=3))


@bug("BOUNDED_LOGITS", "suspicion")
def relu_then_ce(w):
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU())
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(16, 6)), w.classes(16, k=3))


@bug("BOUNDED_LOGITS")
def relu_then_bce_with_logits(w):
    return Wiring(nn.BCEWithLogitsLoss(), F.relu(w.logits(16, 1)), w.labels(16, 1))


@bug("BOUNDED_LOGITS", "suspicion")
def tanh_then_ce(w):
    return Wiring(nn.CrossEntropyLoss(), torch.tanh(w.logits(16, 3)), w.classes(16, k=3))


@bug("BOUNDED_LOGITS", "suspicion")
def batch_norm_then_ce(w):
    net = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3))
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(16, 6)), w.classes(16, k=3))


@bug("BOUNDED_LOGITS", "suspicion")
def dropout_then_ce(w):
    net = nn.Sequential(nn.Linear(6, 3), nn.Dropout(0.5))
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(16, 6)), w.classes(16, k=3))


@bug("NOT_LOG_PROBS")
def logits_then_nll(w):
    return Wiring(nn.NLLLoss(), w.logits(16, 3), w.classes(16, k=3))


@bug("NOT_LOG_PROBS")
def softmax_then_nll(w):
    return Wiring(nn.NLLLoss(), w.logits(16, 3).softmax(1), w.classes(16, k=3))


@bug("NOT_LOG_PROBS")
def sigmoid_then_nll(w):
    return Wiring(F.nll_loss, w.logits(16, 2).sigmoid(), w.classes(16, k=2))


@bug("NOT_LOG_PROBS")
def softmax_then_kl(w):
    teacher = w.randn(16, 4).softmax(1)
    return Wiring(nn.KLDivLoss(reduction="batchmean"), w.logits(16, 4).softmax(1), teacher)


@bug("NOT_LOG_PROBS")
def logits_then_kl(w):
    teacher = w.randn(16, 4).softmax(1)
    return Wiring(nn.KLDivLoss(reduction="batchmean"), w.logits(16, 4), teacher)


@bug("NOT_LOG_PROBS")
def softmax_then_nll_without_graph(w):
    return Wiring(nn.NLLLoss(), w.logits(16, 3).softmax(1).detach(), w.classes(16, k=3))


@bug("NOT_LOG_PROBS")
def nll_by_hand_on_logits(w):
    def criterion(output, target):
        return -output.gather(1, target[:, None]).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("LOGITS_FOR_PROBS")
def logits_then_bce(w):
    return Wiring(nn.BCELoss(), w.logits(16, 1), w.labels(16, 1))


@bug("LOGITS_FOR_PROBS")
def relu_then_bce(w):
    return Wiring(nn.BCELoss(), F.relu(w.logits(16, 1)), w.labels(16, 1))


@bug("LOGITS_FOR_PROBS")
def tanh_then_bce(w):
    return Wiring(nn.BCELoss(), w.logits(16, 1).tanh(), w.labels(16, 1))


@bug("LOGITS_FOR_PROBS")
def logits_then_bce_by_hand(w):
    def criterion(output, target):
        eps = 1e-7
        yes, no = torch.log(output + eps), torch.log(1 - output + eps)
        return -(target * yes + (1 - target) * no).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("LOGITS_FOR_PROBS", "suspicion")
def logits_then_dice(w):
    return Wiring(soft_dice, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@bug("LOGITS_FOR_PROBS", "suspicion")
def logits_then_class_dice(w):
    return Wiring(class_dice, w.maps(2, 3, 5, 5), w.classes(2, 5, 5, k=3))


@bug("ONE_CLASS")
def ce_on_one_column(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 1), torch.zeros(16, dtype=torch.int64))


@bug("ONE_CLASS")
def ce_on_one_column_with_ones(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 1), w.classes(16, k=2))


@bug("ONE_CLASS")
def ce_on_one_column_with_floats(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 1), w.labels(16, 1))


@bug("ONE_CLASS")
def softmax_over_one_column(w):
    return Wiring(nn.BCELoss(), w.logits(16, 1).softmax(1), w.labels(16, 1))


@bug("WRONG_DIM")
def log_softmax_over_the_batch(w):
    return Wiring(nn.NLLLoss(), w.logits(16, 3).log_softmax(0), w.classes(16, k=3))


@bug("WRONG_DIM")
def softmax_over_the_batch_then_bce(w):
    target = one_hot(w.classes(16, k=3), 3, w.dtype)
    return Wiring(nn.BCELoss(), w.logits(16, 3).softmax(0), target)


@bug("WRONG_DIM")
def softmax_over_the_batch_inside(w):
    def criterion(output, target):
        logs = torch.log_softmax(output, dim=0)
        return -logs[torch.arange(len(target)), target].mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("WRONG_DIM")
def log_softmax_over_width(w):
    output = w.maps(2, 3, 4, 5).log_softmax(-1)
    return Wiring(nn.NLLLoss(), output, w.classes(2, 4, 5, k=3))


@bug("WRONG_DIM")
def softmax_over_a_batch_of_one(w):
    output = w.logits(1, 4).softmax(0)
    return Wiring(lambda o, t: F.nll_loss(o.log(), t), output, w.classes(1, k=4))


@bug("WRONG_DIM")
def square_log_softmax_over_the_batch(w):
    return Wiring(nn.NLLLoss(), w.logits(5, 5).log_softmax(0), w.classes(5, k=5))


@bug("WRONG_DIM")
def dice_with_softmax_over_width(w):
    def criterion(output, target):
        return class_dice(output.softmax(-1), target)

    return Wiring(criterion, w.maps(2, 3, 5, 6), w.classes(2, 5, 6, k=3))


@bug("CLASS_DIM")
def sequence_without_permute(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(4, 7, 5), w.classes(4, 7, k=5))


@bug("CLASS_DIM")
def channels_last_without_permute(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(2, 6, 7, 4), w.classes(2, 6, 7, k=4))


@bug("CLASS_DIM")
def sequence_with_view_for_permute(w):
    output = w.logits(4, 7, 5).view(4, 5, 7)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(4, 7, k=5))


@bug("CLASS_DIM")
def sequence_as_long_as_classes(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(4, 5, 5), w.classes(4, 5, k=5))


@bug("CLASS_DIM")
def maps_flattened_by_view(w):
    output = w.maps(2, 3, 4, 6).reshape(-1, 3)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(48, k=3))


@bug("CLASS_DIM", "suspicion")
def maps_flattened_in_the_criterion(w):
    def criterion(output, target):
        return F.cross_entropy(output.reshape(-1, 3), target.reshape(-1))

    return Wiring(criterion, w.maps(2, 3, 4, 6), w.classes(2, 4, 6, k=3))


@bug("API")
def reduction_misspelt(w):
    return Wiring(nn.CrossEntropyLoss(reduction="avg"), w.logits(8, 3), w.classes(8, k=3))


@bug("API")
def smoothing_in_percent(w):
    return Wiring(nn.CrossEntropyLoss(label_smoothing=10), w.logits(8, 3), w.classes(8, k=3))


@bug("API")
def target_left_on_another_device(w):
    output = w.logits(8, 3)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(8, k=3).to("meta"))


@bug("IGNORE_INDEX")
def probabilities_with_an_ignored_class(w):
    target = one_hot(w.classes(8, k=3), 3, w.dtype)
    return Wiring(nn.CrossEntropyLoss(ignore_index=0), w.logits(8, 3), target)


@bug("CUSTOM_LOSS", "suspicion")
def focal_of_the_mean_on_timid_scores(w):
    def criterion(output, target):
        ce = F.cross_entropy(output, target)
        return (1 - torch.exp(-ce)) ** 2 * ce

    return Wiring(criterion, 0.1 * w.logits(40, 10), w.classes(40, k=10))


@bug("CLASS_DIM", "suspicion")
def focal_on_torn_rows(w):
    def criterion(output, target):
        logs = output.reshape(-1, 3).log_softmax(1)
        picked = logs.gather(1, target.reshape(-1, 1))
        return -((1 - picked.exp()) ** 2 * picked).mean()

    return Wiring(criterion, w.maps(2, 3, 4, 6), w.classes(2, 4, 6, k=3))


@bug("CUSTOM_LOSS", "suspicion")
def labels_in_another_order(w):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(output.flatten(), target.T.flatten())

    return Wiring(criterion, w.logits(16, 5), w.several(16, 5))


@bug("BROADCAST", "suspicion")
def one_label_for_all_columns(w):
    return Wiring(nn.MSELoss(), w.logits(16, 4).softmax(1), w.classes(16, 1, k=4).to(w.dtype))


@bug("CLASS_DIM")
def square_batch_transposed(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(5, 5).T, w.classes(5, k=5))


# ------------------------------------------------------------------------------------ the target


@bug("OBJECTIVE", "suspicion")
def ce_on_several_labels(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 5), w.several(16, 5))


@bug("OBJECTIVE")
def ce_on_squeezed_binary(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 1).squeeze(1), w.labels(16))


@bug("OBJECTIVE")
def softmax_for_several_labels(w):
    return Wiring(nn.BCELoss(), w.logits(16, 5).softmax(1), w.several(16, 5))


@bug("OBJECTIVE", "suspicion")
def regression_on_class_indices(w):
    return Wiring(nn.MSELoss(), w.logits(16, 1), w.classes(16, 1, k=4))


@bug("OBJECTIVE", "suspicion")
def regression_on_labels(w):
    return Wiring(nn.MSELoss(), 3 * w.logits(16, 1), w.labels(16, 1))


@bug("OBJECTIVE")
def margin_loss_on_several_labels(w):
    return Wiring(nn.MultiLabelMarginLoss(), w.logits(16, 5), w.several(16, 5).long())


@bug("OBJECTIVE")
def bce_on_class_indices(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 5), w.classes(16, k=5))


@bug("TARGET_DTYPE")
def bce_on_integers(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16, 1).long())


@bug("TARGET_DTYPE")
def ce_on_float_indices(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3).to(w.dtype))


@bug("TARGET_DTYPE")
def ce_on_int32(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3).int())


@bug("TARGET_DTYPE")
def ce_on_integer_one_hot(w):
    target = F.one_hot(w.classes(16, k=3), 3)
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), target)


@bug("TARGET_DTYPE")
def bce_on_doubles(w):
    return Wiring(nn.BCELoss(), w.logits(16, 1).sigmoid(), w.labels(16, 1).double())


@bug("TARGET_DTYPE")
def ce_on_bool(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 2), w.labels(16).bool())


@bug("TARGET_RANGE")
def labels_from_one(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3) + 1)


@bug("TARGET_RANGE")
def signs_for_bce(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), 2 * w.labels(16, 1) - 1)


@bug("TARGET_RANGE")
def grey_mask_for_bce(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.maps(2, 1, 4, 4), 255 * w.labels(2, 1, 4, 4))


@bug("TARGET_RANGE")
def more_labels_than_classes(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=6))


@bug("TARGET_RANGE")
def zeros_for_soft_margin(w):
    return Wiring(nn.SoftMarginLoss(), w.logits(16, 1), w.labels(16, 1))


@bug("TARGET_RANGE")
def signs_for_ce(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 2), 2 * w.labels(16).long() - 1)


@bug("TARGET_RANGE")
def sentiment_from_minus_one(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3) - 1)


@bug("TARGET_NOT_DISTRIBUTION")
def teacher_logits_for_ce(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4), 3 * w.randn(16, 4))


@bug("TARGET_NOT_DISTRIBUTION", "suspicion")
def smoothing_that_adds_up_to_more(w):
    target = 0.9 * one_hot(w.classes(16, k=4), 4, w.dtype) + 0.25
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4), target)


@bug("TARGET_NOT_DISTRIBUTION")
def log_target_without_the_flag(w):
    teacher = w.randn(16, 4).log_softmax(1)
    criterion = nn.KLDivLoss(reduction="batchmean")
    return Wiring(criterion, w.logits(16, 4).log_softmax(1), teacher)


@bug("TARGET_NOT_DISTRIBUTION")
def teacher_logits_for_kl(w):
    criterion = nn.KLDivLoss(reduction="batchmean")
    return Wiring(criterion, w.logits(16, 4).log_softmax(1), 3 * w.randn(16, 4))


@bug("TARGET_NOT_DISTRIBUTION")
def flag_without_log_target(w):
    teacher = w.randn(16, 4).softmax(1)
    criterion = nn.KLDivLoss(reduction="batchmean", log_target=True)
    return Wiring(criterion, w.logits(16, 4).log_softmax(1), teacher)


@bug("IGNORE_INDEX")
def padding_of_minus_one(w):
    target = w.classes(16, k=3)
    target[-4:] = -1
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), target)


@bug("IGNORE_INDEX")
def void_of_255(w):
    target = w.classes(2, 4, 5, k=3)
    target[0, 0] = 255
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 3, 4, 5), target)


@bug("IGNORE_INDEX")
def everything_ignored(w):
    target = torch.full((16,), -100)
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), target)


@bug("IMBALANCE", "suspicion")
def sorted_batches(w):
    output = w.logits(8, 3)
    batches = [(w.logits(8, 3), torch.full((8,), label)) for label in (0, 0, 1, 1, 2)]
    more = {"batches": batches}
    return Wiring(nn.CrossEntropyLoss(), output, torch.zeros(8, dtype=torch.int64), more)


@bug("IMBALANCE", "suspicion")
def one_class_in_all_batches(w):
    batches = [(w.logits(32, 1), torch.zeros(32, 1)) for _ in range(4)]
    return Wiring(nn.BCEWithLogitsLoss(), *batches[0], {"batches": batches})


# ------------------------------------------------------------------------------ shapes and calls


@bug("SHAPE")
def column_against_vector(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16))


@bug("SHAPE")
def column_against_vector_bce(w):
    return Wiring(nn.BCELoss(), w.logits(16, 1).sigmoid(), w.labels(16))


@bug("SHAPE")
def class_indices_in_a_column(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, 1, k=3))


@bug("SHAPE")
def another_batch(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(12, k=3))


@bug("SHAPE")
def masks_with_a_channel(w):
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 3, 4, 5), w.classes(2, 1, 4, 5, k=3))


@bug("SHAPE")
def two_columns_against_vector(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 2), w.labels(16))


@bug("BROADCAST")
def mse_column_against_vector(w):
    return Wiring(nn.MSELoss(), w.logits(16, 1).sigmoid(), w.labels(16))


@bug("BROADCAST")
def l1_column_against_vector(w):
    return Wiring(F.l1_loss, w.logits(16, 1), w.randn(16))


@bug("BROADCAST")
def hand_written_bce_column_against_vector(w):
    def criterion(output, target):
        p = torch.sigmoid(output)
        return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16))


@bug("BROADCAST")
def squared_difference_column_against_vector(w):
    return Wiring(lambda o, t: ((o - t) ** 2).mean(), w.logits(16, 1).sigmoid(), w.labels(16))


@bug("BROADCAST", "suspicion")
def accuracy_column_against_vector(w):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(output.squeeze(1), target)

    more = {"predict": lambda o: (o > 0).float()}
    return Wiring(criterion, w.logits(16, 1), w.labels(16), more)


@bug("API")
def the_class_itself(w):
    return Wiring(nn.CrossEntropyLoss, w.logits(16, 3), w.classes(16, k=3))


@bug("API")
def swapped_inside(w):
    def criterion(output, target):
        return F.binary_cross_entropy(target, output)

    return Wiring(criterion, w.logits(16, 1).sigmoid(), w.labels(16, 1))


@bug("API")
def swapped_outside(w):
    return Wiring(nn.CrossEntropyLoss(), w.classes(16, k=3), w.logits(16, 3))


@bug("API")
def tensors_in_the_constructor(w):
    def criterion(output, target):
        return nn.CrossEntropyLoss(output, target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("API")
def output_as_the_weight(w):
    output = w.logits(16, 3)
    return Wiring(nn.CrossEntropyLoss(output), output, w.classes(16, k=3))


@bug("API")
def a_tuple_of_outputs(w):
    return Wiring(nn.CrossEntropyLoss(), (w.logits(16, 3), w.randn(16, 6)), w.classes(16, k=3))


@bug("API")
def an_output_object(w):
    output = SimpleNamespace(logits=w.logits(16, 3), hidden=None)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3))


@bug("API")
def a_dict_of_outputs(w):
    return Wiring(nn.CrossEntropyLoss(), {"out": w.maps(2, 3, 4, 4)}, w.classes(2, 4, 4, k=3))


@bug("API")
def a_list_of_labels(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(4, 3), [0, 1, 2, 0])


@bug("WEIGHT")
def too_few_weights(w):
    weight = torch.tensor([1.0, 2.0], dtype=w.dtype)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(16, 3), w.classes(16, k=3))


@bug("WEIGHT")
def weights_from_numpy(w):
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(16, 3), w.classes(16, k=3))


@bug("WEIGHT")
def class_weights_as_pos_weight(w):
    weight = torch.tensor([0.6, 3.0], dtype=w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(pos_weight=weight), w.logits(16, 1), w.labels(16, 1))


@bug("WEIGHT")
def negative_weights(w):
    weight = torch.tensor([1.0, -2.0, 1.0], dtype=w.dtype)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(16, 3), w.classes(16, k=3))


@bug("WEIGHT", "suspicion")
def weights_upside_down(w):
    target = torch.tensor([0] * 40 + [1] * 8 + [2] * 4)
    weight = torch.bincount(target).to(w.dtype) / len(target)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(52, 3), target)


@bug("WEIGHT", "suspicion")
def pos_weight_upside_down(w):
    target = torch.tensor([1.0] * 8 + [0.0] * 56, dtype=w.dtype)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(8 / 56, dtype=w.dtype))
    return Wiring(criterion, w.logits(64, 1).squeeze(1), target)


@bug("WEIGHT", "suspicion")
def pos_weights_upside_down(w):
    target = (torch.arange(64)[:, None] < torch.tensor([4, 12, 30])).to(w.dtype)
    positives = target.sum(0)
    criterion = nn.BCEWithLogitsLoss(pos_weight=positives / (64 - positives))
    return Wiring(criterion, w.logits(64, 3), target)


@bug("WEIGHT")
def sample_weights_against_a_column(w):
    weight = torch.ones(16, dtype=w.dtype)
    return Wiring(nn.BCELoss(weight=weight), w.logits(16, 1).sigmoid(), w.labels(16, 1))


# ---------------------------------------------------------------------- gradients and hand-made


@bug("NO_GRADIENT")
def dice_on_argmax(w):
    def criterion(output, target):
        return class_dice(F.one_hot(output.argmax(1), 3).movedim(-1, 1).to(output.dtype), target)

    return Wiring(criterion, w.maps(2, 3, 5, 5), w.classes(2, 5, 5, k=3))


@bug("NO_GRADIENT")
def rounded_output(w):
    return Wiring(nn.BCELoss(), torch.round(w.logits(16, 1).sigmoid()), w.labels(16, 1))


@bug("NO_GRADIENT")
def loss_as_a_number(w):
    return Wiring(lambda o, t: F.cross_entropy(o, t).item(), w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT")
def detached_inside(w):
    def criterion(output, target):
        return F.cross_entropy(output.detach(), target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT")
def loss_in_a_new_tensor(w):
    def criterion(output, target):
        return torch.tensor(F.cross_entropy(output, target).item(), requires_grad=True)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT")
def decisions_as_output(w):
    return Wiring(nn.L1Loss(), w.logits(16, 3).argmax(1), w.classes(16, k=3))


@bug("NO_GRADIENT")
def accuracy_as_a_loss(w):
    def criterion(output, target):
        return 1 - (output.argmax(1) == target).float().mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT")
def threshold_before_dice(w):
    def criterion(output, target):
        return soft_dice((torch.sigmoid(output) > 0.5).to(target.dtype), target)

    return Wiring(criterion, w.maps(2, 1, 5, 5), w.labels(2, 1, 5, 5))


@bug("NO_GRADIENT")
def data_of_the_output(w):
    def criterion(output, target):
        return F.cross_entropy(output.data, target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT", "suspicion")
def clamp_that_all_have_passed(w):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(output.clamp(-1, 1), target)

    output = w.logits(16, 1)
    return Wiring(criterion, output + 40 * output.sign().detach(), w.labels(16, 1))


@bug("NO_GRADIENT")
def scored_in_numpy(w):
    def criterion(output, target):
        p = 1 / (1 + np.exp(-output.numpy()))
        return torch.tensor(-np.log(np.where(target.numpy() == 1, p, 1 - p)).mean())

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("NO_GRADIENT")
def everything_masked(w):
    def criterion(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return (each * (target > 5)).sum() / 16

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NO_GRADIENT")
def sign_inside(w):
    def criterion(output, target):
        return F.softplus(-(2 * target - 1) * torch.sign(output)).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("NO_GRADIENT", "suspicion")
def frozen_model(w):
    net = nn.Linear(6, 3)
    x = w.randn(16, 6)
    output = w.run(net, x).detach()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    more = {"model": net, "inputs": x}
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3), more)


@bug("NUMERICS")
def nan_output(w):
    output = w.logits(16, 3)
    return Wiring(nn.CrossEntropyLoss(), output * float("nan"), w.classes(16, k=3))


@bug("NUMERICS")
def log_of_a_saturated_sigmoid(w):
    def criterion(output, target):
        p = torch.sigmoid(output)
        return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()

    return Wiring(criterion, 60 * w.logits(16, 1), w.labels(16, 1))


@bug("NUMERICS")
def root_of_zero(w):
    def criterion(output, target):
        return torch.sqrt(F.mse_loss(output.softmax(1), one_hot(target, 3, output.dtype)) * 0.0)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("NUMERICS")
def infinite_logits(w):
    output = w.logits(16, 3)
    return Wiring(nn.CrossEntropyLoss(), output / 0.0, w.classes(16, k=3))


@bug("NUMERICS")
def label_masked_out(w):
    target = w.classes(16, k=3)
    mask = one_hot(target, 3).bool()
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3).masked_fill(mask, float("-inf")), target)


@bug("REDUCTION", "suspicion")
def divided_by_the_batch_twice(w):
    def criterion(output, target):
        return F.cross_entropy(output, target) / len(target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("REDUCTION", "suspicion")
def mean_over_classes_too(w):
    def criterion(output, target):
        return -(one_hot(target, 5, output.dtype) * output.log_softmax(1)).mean()

    return Wiring(criterion, w.logits(16, 5), w.classes(16, k=5))


@bug("CUSTOM_LOSS", "suspicion")
def focal_after_the_mean(w):
    def criterion(output, target):
        ce = F.cross_entropy(output, target)
        return (1 - torch.exp(-ce)) ** 2 * ce

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("CUSTOM_LOSS", "suspicion")
def binary_focal_after_the_mean(w):
    def criterion(output, target):
        bce = nn.BCEWithLogitsLoss()(output, target)
        return 0.25 * (1 - torch.exp(-bce)) ** 2 * bce

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("CUSTOM_LOSS")
def dice_score_as_a_loss(w):
    def criterion(output, target):
        return 1 - soft_dice(torch.sigmoid(output), target)

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@bug("CUSTOM_LOSS")
def minus_forgotten(w):
    def criterion(output, target):
        return output.log_softmax(1).gather(1, target[:, None]).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("CUSTOM_LOSS", "suspicion")
def pairing_lost(w):
    def criterion(output, target):
        return (output.sigmoid().mean() - target.mean()) ** 2

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("CUSTOM_LOSS")
def nothing_returned(w):
    def criterion(output, target):
        F.cross_entropy(output, target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@bug("CUSTOM_LOSS", "suspicion")
def only_the_positive_term(w):
    def criterion(output, target):
        return -(target * F.logsigmoid(output)).mean()

    return Wiring(criterion, w.logits(16, 4), w.several(16, 4))


@bug("CUSTOM_LOSS", "suspicion")
def target_ignored(w):
    def criterion(output, target):
        p = output.softmax(1)
        return -(p * output.log_softmax(1)).sum(1).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


# ------------------------------------------------------------------------------- decision rules


def _binary(w, predict):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16, 1), {"predict": predict})


def _multiclass(w, predict, n=16):
    output, target = w.logits(n, 4), w.classes(n, k=4)
    return Wiring(nn.CrossEntropyLoss(), output, target, {"predict": predict})


@bug("DOUBLE_ACTIVATION")
def sigmoid_by_hand_then_bce_with_logits(w):
    output = 1 / (1 + torch.exp(-w.logits(16, 1)))
    return Wiring(nn.BCEWithLogitsLoss(), output, w.labels(16, 1))


@bug("DOUBLE_ACTIVATION")
def exp_of_log_softmax_then_ce(w):
    output = w.logits(16, 3).log_softmax(1).exp()
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=3))


@bug("NOT_LOG_PROBS")
def soft_nll_by_hand_on_logits(w):
    def criterion(output, target):
        return -(target * output).sum(1).mean()

    return Wiring(criterion, w.logits(16, 3), one_hot(w.classes(16, k=3), 3, w.dtype))


@bug("DOUBLE_ACTIVATION")
def kl_by_hand_on_softmax(w):
    def criterion(output, target):
        logs = output - output.exp().sum(1, keepdim=True).log()
        return (target * (target.log() - logs)).sum(1).mean()

    return Wiring(criterion, w.logits(16, 3).softmax(1), w.randn(16, 3).softmax(1))


@bug("LOGITS_FOR_PROBS")
def clamped_logits_then_log(w):
    def criterion(output, target):
        output = output.clamp(1e-4, 1 - 1e-4)
        return -(target * output.log() + (1 - target) * (1 - output).log()).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@bug("TARGET_RANGE")
def gather_beyond_the_classes(w):
    def criterion(output, target):
        return -output.log_softmax(1).gather(1, target[:, None]).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=5))


@bug("DECISION_RULE")
def argmax_over_one_column(w):
    return _binary(w, lambda o: o.argmax(dim=1, keepdim=True))


@bug("DECISION_RULE", "suspicion")
def logits_against_one_half(w):
    return _binary(w, lambda o: (o > 0.5).float())


@bug("DECISION_RULE")
def rounded_logits(w):
    return _binary(w, torch.round)


@bug("DECISION_RULE")
def sigmoid_twice_at_inference(w):
    output = w.logits(16, 1).sigmoid()
    more = {"predict": lambda o: (torch.sigmoid(o) > 0.5).float()}
    return Wiring(nn.BCELoss(), output, w.labels(16, 1), more)


@bug("DECISION_RULE")
def probabilities_against_zero(w):
    more = {"predict": lambda o: (o > 0).float()}
    return Wiring(nn.BCELoss(), w.logits(16, 1).sigmoid(), w.labels(16, 1), more)


@bug("DECISION_RULE")
def argmax_for_several_labels(w):
    more = {"predict": lambda o: o.argmax(1)}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 5), w.several(16, 5), more)


@bug("DECISION_RULE")
def sigmoid_of_the_second_logit(w):
    more = {"predict": lambda o: (torch.sigmoid(o[:, 1]) > 0.5).long()}
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 2), w.classes(16, k=2), more)


@bug("DECISION_RULE", "suspicion")
def softmax_scores_for_several_labels(w):
    more = {"predict": lambda o: o.softmax(1)}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 5), w.several(16, 5), more)


@bug("DECISION_RULE")
def softmax_score_of_one_column(w):
    return _binary(w, lambda o: o.softmax(1))


@bug("DECISION_RULE")
def labels_turned_round(w):
    return _binary(w, lambda o: (o < 0).float())


@bug("WRONG_DIM")
def argmax_over_the_batch(w):
    return _multiclass(w, lambda o: o.argmax(0), n=4)


@bug("DECISION_RULE")
def argmax_over_the_batch_of_another_size(w):
    return _multiclass(w, lambda o: o.argmax(0))


@bug("WRONG_DIM")
def softmax_scores_over_the_batch(w):
    return _multiclass(w, lambda o: o.softmax(0))


# --------------------------------------------------------------------------------- right wirings


@right
def ce(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4), w.classes(16, k=4))


@right
def ce_function(w):
    return Wiring(F.cross_entropy, w.logits(16, 4), w.classes(16, k=4))


@right
def ce_two_logits(w):
    more = {"predict": lambda o: o.argmax(1)}
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 2), w.classes(16, k=2), more)


@right
def ce_segmentation(w):
    target = w.classes(2, 4, 5, k=3)
    target[0, 0] = 255
    return Wiring(nn.CrossEntropyLoss(ignore_index=255), w.maps(2, 3, 4, 5), target)


@right
def logits_clamped_far_out(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1).clamp(-1000, 1000), w.labels(16, 1))


@right
def log_softmax_then_cut_into_rows(w):
    """Normalised where the classes are, for seven tokens and seven tags alike."""
    log_probs = w.maps(3, 7, 1, 7).squeeze(2).log_softmax(1)
    return Wiring(nn.NLLLoss(), log_probs.movedim(1, -1).reshape(-1, 7), w.classes(21, k=7))


@right
def ce_sequence_permuted(w):
    output = w.logits(4, 7, 5).permute(0, 2, 1)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(4, 7, k=5))


@right
def ce_sequence_transposed_with_equal_sizes(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(5, 5, 5).transpose(1, 2), w.classes(5, 5, k=5))


@right
def ce_language_model(w):
    logits, labels = w.logits(3, 8, 11), w.classes(3, 8, k=11)
    labels[:, -2:] = -100
    shifted = logits[:, :-1].contiguous().view(-1, 11)
    return Wiring(nn.CrossEntropyLoss(), shifted, labels[:, 1:].reshape(-1))


@noted("IGNORE_INDEX")
def ce_padding_index_zero(w):
    return Wiring(nn.CrossEntropyLoss(ignore_index=0), w.logits(16, 9), w.classes(16, k=9))


@right
def ce_maps_flattened_rightly(w):
    output = w.maps(2, 3, 4, 6).permute(0, 2, 3, 1).reshape(-1, 3)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(48, k=3))


@right
def ce_soft_targets(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 4), w.randn(16, 4).softmax(1))


@right
def ce_mixup(w):
    a, b = w.classes(16, k=4), w.classes(16, k=4)

    def criterion(output, target):
        return 0.3 * F.cross_entropy(output, target) + 0.7 * F.cross_entropy(output, b)

    return Wiring(criterion, w.logits(16, 4), a)


@right
def ce_label_smoothing(w):
    return Wiring(nn.CrossEntropyLoss(label_smoothing=0.1), w.logits(16, 4), w.classes(16, k=4))


@noted("REDUCTION")
def ce_class_weights(w):
    target = torch.tensor([0] * 40 + [1] * 8 + [2] * 4)
    counts = torch.bincount(target)
    weight = (counts.sum() / (3 * counts)).to(w.dtype)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(52, 3), target)


@right
def ce_uint8_targets(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3).to(torch.uint8))


@right
def ce_equal_sizes(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(5, 5), w.classes(5, k=5))


@right
def ce_batch_of_one(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(1, 4), torch.tensor([2]))


@right
def ce_without_a_batch(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(1, 4)[0], torch.tensor(2))


@right
def ce_one_class_in_the_batch(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(8, 3), torch.ones(8, dtype=torch.int64))


@right
def ce_zero_head(w):
    output = 0 * w.logits(16, 10)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=10))


@right
def ce_logits_in_the_unit_interval(w):
    output = 0.5 + 0.05 * w.logits(6, 2)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(6, k=2))


@right
def ce_masked_classes(w):
    target = w.classes(16, k=3)
    output = torch.cat([w.logits(16, 3), torch.full((16, 1), float("-inf"), dtype=w.dtype)], 1)
    return Wiring(nn.CrossEntropyLoss(), output, target)


@right
def ce_temperature(w):
    def criterion(output, target):
        return F.cross_entropy(output / 2.0, target)

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def ce_logit_adjusted(w):
    prior = torch.tensor([0.7, 0.2, 0.1], dtype=w.dtype).log()
    return Wiring(lambda o, t: F.cross_entropy(o + prior, t), w.logits(16, 3), w.classes(16, k=3))


@right
def ce_with_weight_penalty(w):
    net = nn.Linear(6, 3)
    output = w.run(net, w.randn(16, 6))

    def criterion(output, target):
        penalty = sum(p.square().sum() for p in net.parameters())
        return F.cross_entropy(output, target) + 1e-3 * penalty

    return Wiring(criterion, output, w.classes(16, k=3))


@right
def ce_accumulated_over_four_steps(w):
    return Wiring(lambda o, t: F.cross_entropy(o, t) / 4, w.logits(16, 3), w.classes(16, k=3))


@right
def ce_sum_over_tokens_divided(w):
    def criterion(output, target):
        total = F.cross_entropy(output, target, ignore_index=-100, reduction="sum")
        return total / (target != -100).sum()

    return Wiring(criterion, w.logits(16, 6), w.classes(16, k=6))


@right
def ce_unreduced(w):
    return Wiring(nn.CrossEntropyLoss(reduction="none"), w.logits(16, 3), w.classes(16, k=3))


@right
def ce_hardest_samples(w):
    def criterion(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return each.topk(len(each) // 4).values.mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def ce_flooded(w):
    def criterion(output, target):
        return (F.cross_entropy(output, target) - 0.1).abs() + 0.1

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def ce_normalised_by_itself(w):
    def criterion(output, target):
        loss = F.cross_entropy(output, target)
        return loss / loss.detach()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def ce_poly(w):
    def criterion(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return (each + 1 - torch.exp(-each)).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def ce_data_parallel(w):
    return Wiring(nn.DataParallel(nn.CrossEntropyLoss()), w.logits(16, 3), w.classes(16, k=3))


@right
def ce_multiple_choice(w):
    output = w.logits(16 * 4, 1).view(-1, 4)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(16, k=4))


@right
def ce_answer_spans(w):
    start, _ = w.logits(6, 12, 2).split(1, dim=-1)
    return Wiring(nn.CrossEntropyLoss(), start.squeeze(-1), w.classes(6, k=12))


@right
def ce_anchors(w):
    output = w.maps(2, 3 * 4, 5, 5).permute(0, 2, 3, 1).reshape(2, -1, 4).reshape(-1, 4)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(150, k=4))


@right
def ce_pooled_after_relu(w):
    net = nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(8, 4, 5, 5)), w.classes(8, k=3))


@right
def ce_after_attention_with_softmax(w):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.score, self.head = nn.Linear(6, 1), nn.Linear(6, 3)

        def forward(self, x):
            return self.head((self.score(x).softmax(1) * torch.sigmoid(x)).sum(1))

    return Wiring(nn.CrossEntropyLoss(), w.run(Attention(), w.randn(8, 5, 6)), w.classes(8, k=3))


@right
def ce_stepwise_stacked(w):
    head = nn.Linear(6, 4)
    x = w.randn(3, 5, 6)
    w.run(head, x)
    with torch.set_grad_enabled(w.graph):
        output = torch.stack([head(x[:, t]) for t in range(5)], dim=2)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(3, 5, k=4))


@noted("REDUCTION")
def ce_uneven_batches(w):
    batches = [(w.logits(n, 3), w.classes(n, k=3)) for n in (8, 8, 5)]
    return Wiring(nn.CrossEntropyLoss(), *batches[0], {"batches": batches})


@right
def ce_after_leaky_relu(w):
    return Wiring(nn.CrossEntropyLoss(), F.leaky_relu(w.logits(16, 3)), w.classes(16, k=3))


@noted("IMBALANCE")
def ce_sorted_for_evaluation(w):
    batches = [(w.logits(8, 3).detach(), torch.full((8,), label)) for label in (0, 1, 2)]
    return Wiring(nn.CrossEntropyLoss(), *batches[0], {"batches": batches})


@right
def ce_contrastive_without_temperature(w):
    def criterion(output, target):
        left, right_ = F.normalize(output, dim=1).chunk(2)
        return F.cross_entropy(left @ right_.T, torch.arange(len(left)))

    return Wiring(criterion, w.logits(16, 8), torch.arange(16) % 8)


@right
def hinge_satisfied(w):
    target = w.labels(16, 1)
    output = 9 * (2 * target - 1) + 0 * w.logits(16, 1)
    return Wiring(lambda o, t: F.relu(1 - (2 * t - 1) * o).mean(), output, target)


@right
def ce_contrastive(w):
    def criterion(output, target):
        left, right_ = F.normalize(output, dim=1).chunk(2)
        scores = left @ right_.T / 0.07
        index = torch.arange(len(left))
        return (F.cross_entropy(scores, index) + F.cross_entropy(scores.T, index)) / 2

    return Wiring(criterion, w.logits(16, 8), torch.arange(16) % 8)


@noted("REDUCTION")
def ce_summed(w):
    return Wiring(nn.CrossEntropyLoss(reduction="sum"), w.logits(16, 3), w.classes(16, k=3))


@noted("REDUCTION")
def kl_averaged_over_elements(w):
    teacher = w.randn(16, 4).softmax(1)
    return Wiring(nn.KLDivLoss(), w.logits(16, 4).log_softmax(1), teacher)


@noted("IMBALANCE")
def a_rare_class(w):
    targets = [torch.zeros(32, 1) for _ in range(4)]
    targets[1][3] = 1.0
    batches = [(w.logits(32, 1), target.to(w.dtype)) for target in targets]
    return Wiring(nn.BCEWithLogitsLoss(), *batches[0], {"batches": batches})


@noted("BROADCAST")
def labels_with_keepdim(w):
    more = {"predict": lambda o: o.argmax(dim=1, keepdim=True)}
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3), w.classes(16, k=3), more)


@right
def inputs_of_different_scale(w):
    net = nn.Linear(6, 3)
    x = w.randn(16, 6) * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 3e3], dtype=w.dtype)
    more = {"model": net, "inputs": x}
    return Wiring(nn.CrossEntropyLoss(), w.run(net, x), w.classes(16, k=3), more)


@right
def ce_next_step(w):
    def criterion(output, target):
        return F.cross_entropy(output[:, :, :-1], target[:, 1:])

    return Wiring(criterion, w.logits(3, 8, 6).permute(0, 2, 1), w.classes(3, 8, k=6))


@right
def distilled_from_a_poor_teacher(w):
    teacher = 6 * w.randn(24, 5)

    def criterion(output, target):
        soft = -(teacher.softmax(1) * output.log_softmax(1)).sum(1).mean()
        return 0.1 * F.cross_entropy(output, target) + 0.9 * 16 * soft

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@right
def ce_deep_supervision(w):
    def criterion(output, target):
        main, side = output
        return F.cross_entropy(main, target) + 0.4 * F.cross_entropy(side, target)

    return Wiring(criterion, (w.logits(16, 3), w.logits(16, 3)), w.classes(16, k=3))


@right
def ce_on_an_output_object(w):
    def criterion(output, target):
        return F.cross_entropy(output.logits, target)

    return Wiring(criterion, SimpleNamespace(logits=w.logits(16, 3)), w.classes(16, k=3))


@noted("DOUBLE_ACTIVATION")
def ce_log_softmax_first(w):
    return Wiring(nn.CrossEntropyLoss(), w.logits(16, 3).log_softmax(1), w.classes(16, k=3))


@right
def nll_of_log_softmax(w):
    more = {"predict": lambda o: o.argmax(dim=1)}
    return Wiring(nn.NLLLoss(), w.logits(16, 3).log_softmax(1), w.classes(16, k=3), more)


@right
def nll_of_log_of_softmax(w):
    output = (w.logits(16, 3).softmax(1) + 1e-5).log()
    return Wiring(nn.NLLLoss(), output, w.classes(16, k=3))


@right
def nll_with_noise_layer(w):
    transition = torch.full((3, 3), 0.1, dtype=w.dtype) + 0.7 * torch.eye(3, dtype=w.dtype)

    def criterion(output, target):
        return F.nll_loss((output.softmax(1) @ transition).log(), target)

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def nll_policy_gradient(w):
    advantage = w.randn(16)

    def criterion(output, target):
        return F.nll_loss(output.log_softmax(1) * advantage[:, None], target)

    return Wiring(criterion, w.logits(16, 4), torch.zeros(16, dtype=torch.int64))


@right
def nll_focal(w):
    def criterion(output, target):
        logs = F.log_softmax(output, dim=1)
        return F.nll_loss((1 - logs.exp()) ** 2 * logs, target)

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def ctc(w):
    lengths = torch.full((2,), 12), torch.full((2,), 4)

    def criterion(output, target):
        return F.ctc_loss(output.float().log_softmax(-1), target, *lengths)

    return Wiring(criterion, w.logits(12, 2, 6), w.classes(2, 4, k=5) + 1)


@right
def kl_distillation(w):
    teacher = w.randn(16, 4)

    def criterion(output, target):
        soft = F.kl_div(
            (output / 3).log_softmax(1), (teacher / 3).softmax(1), reduction="batchmean"
        )
        return 0.5 * 9 * soft + 0.5 * F.cross_entropy(output, target)

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def kl_log_target(w):
    criterion = nn.KLDivLoss(reduction="batchmean", log_target=True)
    return Wiring(criterion, w.logits(16, 4).log_softmax(1), w.randn(16, 4).log_softmax(1))


@right
def kl_label_smoothing(w):
    def criterion(output, target):
        goal = torch.full_like(output, 0.1 / 3).scatter(1, target[:, None], 0.9)
        return F.kl_div(output.log_softmax(1), goal, reduction="batchmean")

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def jensen_shannon(w):
    def criterion(output, target):
        p, q = output.softmax(1), target
        mean = ((p + q) / 2).clamp_min(1e-6).log()
        return 0.5 * (
            F.kl_div(mean, p, reduction="batchmean") + F.kl_div(mean, q, reduction="batchmean")
        )

    return Wiring(criterion, w.logits(16, 4), w.randn(16, 4).softmax(1))


@right
def bce_with_logits(w):
    more = {"predict": lambda o: (o > 0).float()}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1).squeeze(1), w.labels(16), more)


@right
def bce_with_logits_column(w):
    more = {"predict": lambda o: torch.round(torch.sigmoid(o))}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16, 1), more)


@right
def bce_with_logits_chosen_threshold(w):
    more = {"predict": lambda o: (torch.sigmoid(o) > 0.3).long()}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16, 1), more)


@right
def bce_with_logits_pos_weight(w):
    target = torch.tensor([1.0] * 8 + [0.0] * 56, dtype=w.dtype)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(56 / 8, dtype=w.dtype))
    return Wiring(criterion, w.logits(64, 1).squeeze(1), target)


@noted("TARGET_DTYPE")
def bce_with_logits_double_target(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), w.labels(16, 1).double())


@right
def bce_with_logits_generator_loss(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), torch.ones(16, 1, dtype=w.dtype))


@right
def bce_with_logits_one_sample(w):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(1, 1), torch.ones(1, 1, dtype=w.dtype))


@right
def bce_with_logits_masked_labels(w):
    target = w.several(16, 5)
    target[2, 3] = -1

    def criterion(output, target):
        each = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        known = target >= 0
        return (each * known).sum() / known.sum()

    return Wiring(criterion, w.logits(16, 5), target)


@right
def bce_with_logits_soft_labels(w):
    target = w.labels(16, 1) * 0.9 + 0.05
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), target)


@noted("OBJECTIVE")
def bce_with_logits_one_hot(w):
    target = one_hot(w.classes(16, k=4), 4, w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 4), target)


@right
def bce_with_logits_ordinal(w):
    target = (w.classes(16, k=4)[:, None] > torch.arange(3)).to(w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1) + w.randn(3), target)


@right
def bce_with_logits_tiny_scores(w):
    output = 0.3 + 0.05 * w.maps(2, 1, 20, 20)
    return Wiring(nn.BCEWithLogitsLoss(), output, w.labels(2, 1, 20, 20))


@right
def bce_of_sigmoid(w):
    more = {"predict": lambda o: (o > 0.5).float()}
    return Wiring(nn.BCELoss(), w.logits(16, 1).sigmoid(), w.labels(16, 1), more)


@right
def bce_of_clamped_sigmoid(w):
    output = w.logits(16, 1).sigmoid().clamp(1e-4, 1 - 1e-4)
    return Wiring(nn.BCELoss(), output, w.labels(16, 1))


@right
def bce_of_saturated_sigmoid(w):
    # In half precision torch's gradient at exactly 0 and 1 is NaN, which is no right wiring.
    output = (200 * w.logits(16, 1)).to(torch.promote_types(w.dtype, torch.float32)).sigmoid()
    return Wiring(nn.BCELoss(), output, (output.detach() > 0.5).to(output.dtype))


@right
def bce_of_sigmoid_inside(w):
    def criterion(output, target):
        return F.binary_cross_entropy(torch.sigmoid(output), target)

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@right
def bce_by_hand(w):
    def criterion(output, target):
        p = torch.sigmoid(output)
        return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@right
def bce_by_hand_on_probabilities(w):
    def criterion(output, target):
        output = output.clamp(1e-4, 1 - 1e-4)
        return -(target * output.log() + (1 - target) * (1 - output).log()).mean()

    return Wiring(criterion, w.logits(16, 1).sigmoid(), w.labels(16, 1))


@right
def several_labels(w):
    more = {"predict": lambda o: (o > 0).long()}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 5), w.several(16, 5), more)


@right
def several_labels_pos_weight(w):
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0], dtype=w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(pos_weight=weight), w.logits(16, 5), w.several(16, 5))


@right
def several_labels_soft_margin(w):
    return Wiring(nn.MultiLabelSoftMarginLoss(), w.logits(16, 5), w.several(16, 5))


@right
def several_labels_asymmetric(w):
    def criterion(output, target):
        yes = torch.sigmoid(output)
        no = (1 - yes + 0.05).clamp(max=1)
        loss = target * yes.clamp(min=1e-6).log() + (1 - target) * no.clamp(min=1e-6).log()
        kept = yes * target + no * (1 - target)
        return -(loss * (1 - kept) ** (target + 4 * (1 - target))).sum() / len(output)

    return Wiring(criterion, w.logits(16, 5), w.several(16, 5))


@right
def multinomial_on_clicks(w):
    def criterion(output, target):
        return -(output.log_softmax(1) * target).sum(1).mean()

    return Wiring(criterion, w.logits(16, 5), w.several(16, 5))


@right
def focal(w):
    return Wiring(Focal(), w.logits(16, 4), w.classes(16, k=4))


@right
def focal_with_alpha(w):
    alpha = torch.tensor([0.25, 0.5, 1.0], dtype=w.dtype)
    return Wiring(Focal(alpha=alpha), w.logits(16, 3), w.classes(16, k=3))


@right
def focal_of_sigmoid(w):
    return Wiring(sigmoid_focal, w.logits(16, 5), w.several(16, 5))


@right
def focal_on_one_hot(w):
    def criterion(output, target):
        p = output.softmax(1).clamp(1e-5, 1.0)
        marks = one_hot(target, 4, output.dtype)
        return -(marks * (1 - p) ** 2 * p.log()).sum(1).mean()

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def smoothed_by_hand(w):
    return Wiring(SmoothedCE(), w.logits(16, 5), w.classes(16, k=5))


@right
def dice_of_sigmoid(w):
    return Wiring(soft_dice, w.maps(2, 1, 6, 6).sigmoid(), w.labels(2, 1, 6, 6))


@right
def dice_with_sigmoid_inside(w):
    def criterion(output, target):
        return soft_dice(torch.sigmoid(output), target)

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@right
def dice_and_bce(w):
    def criterion(output, target):
        bce = F.binary_cross_entropy_with_logits(output, target)
        return bce + soft_dice(torch.sigmoid(output), target)

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@right
def dice_over_classes(w):
    def criterion(output, target):
        return F.cross_entropy(output, target) + class_dice(output.softmax(1), target)

    return Wiring(criterion, w.maps(2, 3, 5, 5), w.classes(2, 5, 5, k=3))


@right
def dice_negated(w):
    def criterion(output, target):
        return soft_dice(torch.sigmoid(output), target) - 1

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@right
def tversky(w):
    def criterion(output, target):
        p = torch.sigmoid(output)
        hit, extra, missed = (p * target).sum(), (p * (1 - target)).sum(), ((1 - p) * target).sum()
        return 1 - (hit + 1) / (hit + 0.3 * extra + 0.7 * missed + 1)

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@right
def hinge(w):
    # torch has no multi_margin_loss for float16 on a CPU.
    output = w.logits(16, 4).to(torch.promote_types(w.dtype, torch.float32))
    return Wiring(nn.MultiMarginLoss(), output, w.classes(16, k=4))


@right
def soft_margin(w):
    return Wiring(nn.SoftMarginLoss(), w.logits(16, 1), 2 * w.labels(16, 1) - 1)


@right
def ranking_by_pairs(w):
    def criterion(output, target):
        scores, labels = output.squeeze(1), target.squeeze(1)
        yes, no = scores[labels == 1], scores[labels == 0]
        return F.softplus(no[None, :] - yes[:, None]).mean()

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@right
def angular_margin(w):
    class ArcFace(nn.Module):
        def __init__(self):
            super().__init__()
            drawn = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
            self.weight = nn.Parameter(drawn.to(w.dtype))

        def forward(self, output, target):
            cosine = F.linear(F.normalize(output), F.normalize(self.weight))
            margin = 0.2 * one_hot(target, 3, output.dtype)
            return F.cross_entropy(16 * (cosine - margin), target)

    return Wiring(ArcFace(), w.logits(16, 6), w.classes(16, k=3))


@right
def contrastive_distance(w):
    def criterion(output, target):
        apart = F.relu(1 - output)
        return (target * output**2 + (1 - target) * apart**2).mean()

    return Wiring(criterion, w.logits(16, 1).abs(), w.labels(16, 1))


@right
def prototype_distances(w):
    def criterion(output, target):
        return F.cross_entropy(-output, target)

    return Wiring(criterion, w.logits(16, 3).square(), w.classes(16, k=3))


@right
def margin_minus_distance(w):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(1.0 - output, target)

    return Wiring(criterion, w.logits(16, 1).abs(), w.labels(16, 1))


@right
def evidential(w):
    def criterion(output, target):
        alpha = F.softplus(output) + 1
        marks = one_hot(target, 3, output.dtype)
        return (marks * (alpha.sum(1, keepdim=True).log() - alpha.log())).sum(1).mean()

    return Wiring(criterion, w.logits(16, 3), w.classes(16, k=3))


@right
def missing_labels_as_nan(w):
    target = w.several(16, 5)
    target[2:5, 1] = float("nan")

    def criterion(output, target):
        known = ~target.isnan()
        return F.binary_cross_entropy_with_logits(output[known], target[known])

    return Wiring(criterion, w.logits(16, 5), target)


@right
def labels_rounded_above_one(w):
    target = w.labels(16, 1) * (1 + 2**-20)
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(16, 1), target)


@right
def regression(w):
    return Wiring(nn.MSELoss(), w.logits(16, 1), w.randn(16, 1))


@noted("OBJECTIVE")
def brier_score(w):
    return Wiring(nn.MSELoss(), w.logits(16, 1).sigmoid(), w.labels(16, 1))


@right
def least_squares_gan(w):
    return Wiring(nn.MSELoss(), w.logits(16, 1), torch.ones(16, 1, dtype=w.dtype))


@right
def several_predictions_of_one_target(w):
    return Wiring(F.mse_loss, w.logits(3, 16, 1).squeeze(-1), w.randn(16))


@right
def symmetric_ce(w):
    return Wiring(losses.SymmetricCrossEntropyLoss(), w.logits(16, 4), w.classes(16, k=4))


@right
def reverse_ce(w):
    return Wiring(losses.ReverseCrossEntropyLoss(), w.logits(16, 4), w.classes(16, k=4))


@right
def generalized_ce(w):
    return Wiring(losses.generalized_cross_entropy, w.logits(16, 4), w.classes(16, k=4))


@right
def binary_symmetric_ce(w):
    criterion = losses.BinarySymmetricCrossEntropyWithLogitsLoss()
    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@right
def companion_ce(w):
    return Wiring(losses.cross_entropy, w.logits(16, 4), w.classes(16, k=4))


@right
def companion_bce(w):
    return Wiring(losses.binary_cross_entropy, w.logits(16, 1).sigmoid(), w.labels(16, 1))


@right
def companion_bce_with_logits(w):
    criterion = losses.binary_cross_entropy_with_logits
    return Wiring(lambda o, t: criterion(o, t), w.logits(16, 1), w.labels(16, 1))


@right
def companion_head(w):
    head = heads.LogitHead(6)
    return Wiring(nn.BCEWithLogitsLoss(), w.run(head, w.randn(16, 6)), w.labels(16))


@right
def random_label_smoothing(w):
    def criterion(output, target):
        return F.cross_entropy(output, target, label_smoothing=float(torch.rand(())) / 5)

    return Wiring(criterion, w.logits(16, 4), w.classes(16, k=4))


@right
def smoothing_in_place(w):
    def criterion(output, target):
        target = target.mul_(0.9).add_(0.05)
        return F.binary_cross_entropy_with_logits(output, target)

    return Wiring(criterion, w.logits(16, 1), w.labels(16, 1))


@right
def model_with_dropout_inside(w):
    net = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )
    x = w.randn(16, 6)
    more = {"model": net, "inputs": x, "predict": lambda o: o.softmax(1)}
    return Wiring(nn.CrossEntropyLoss(), w.run(net, x), w.classes(16, k=3), more)


@right
def frozen_backbone(w):
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = w.randn(16, 6)
    net[0].requires_grad_(False)
    more = {"model": net, "inputs": x}
    return Wiring(nn.CrossEntropyLoss(), w.run(net, x), w.classes(16, k=3), more)
