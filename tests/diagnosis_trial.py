"""The trial: wirings written after public issue threads, without a look at the rules.

The first run of ``diagnose`` on them was counted as it came; the numbers are in the changelog. They
stay here as cases like the others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diagnosis_cases import Bug, Wiring, World, one_hot
from torch import nn

TRIAL_BUGS: dict[str, Bug] = {}
TRIAL_RIGHT: dict = {}


def bug(code: str):
    def register(build):
        TRIAL_BUGS[build.__name__] = Bug(code, "any", build)
        return build

    return register


def right(build):
    TRIAL_RIGHT[build.__name__] = build
    return build


@bug("CUSTOM_LOSS")
def long_tail_focal(w: World):
    class FocalLoss(nn.Module):
        def __init__(self, weight=None, gamma=1.0):
            super().__init__()
            self.gamma = gamma
            self.weight = weight

        def focal(self, values):
            p = torch.exp(-values)
            return ((1 - p) ** self.gamma * values).mean()

        def forward(self, input, target):
            return self.focal(F.cross_entropy(input, target, weight=self.weight))

    weight = torch.tensor([0.5, 1.0, 1.5, 1.0], dtype=w.dtype)
    return Wiring(FocalLoss(weight, 2.0), w.logits(24, 4), w.classes(24, k=4))


@bug("DOUBLE_ACTIVATION")
def regression_model_with_softmax(w: World):
    def training_loss(y_hat, y):
        return F.nll_loss(F.log_softmax(y_hat, dim=1), y, reduction="sum") / y.size(0)

    return Wiring(training_loss, F.softmax(w.logits(24, 4), dim=1), w.classes(24, k=4))


@bug("NOT_LOG_PROBS")
def nll_of_plain_softmax(w: World):
    def criterion(out, labels):
        return F.nll_loss(F.softmax(out, dim=1), labels)

    return Wiring(criterion, w.logits(24, 2), w.classes(24, k=2))


@bug("NOT_LOG_PROBS")
def masked_distillation_on_softmax(w: World):
    teacher = w.randn(2, 4, 6, 6).softmax(1)
    mask = torch.ones(2, 4, 6, 6, dtype=w.dtype)

    def criterion(out, target):
        student = F.softmax(out, dim=1)
        loss_kd = F.kl_div(student, teacher, reduction="none")
        return F.cross_entropy(out, target) + (loss_kd * mask).sum() / mask.sum()

    return Wiring(criterion, w.maps(2, 4, 6, 6), w.classes(2, 6, 6, k=4))


@bug("DOUBLE_ACTIVATION")
def widedeep_binary_focal(w: World):
    def get_weight(x, t, alpha=0.25, gamma=1.0):
        p = x.sigmoid()
        pt = p * t + (1 - p) * (1 - t)
        weights = alpha * t + (1 - alpha) * (1 - t)
        return (weights * (1 - pt).pow(gamma)).detach().requires_grad_(False)

    def criterion(input, target):
        input = torch.cat([1 - input, input], dim=1)
        encoded = torch.eye(2, dtype=input.dtype)[target.squeeze().long()]
        weight = get_weight(input, encoded)
        return F.binary_cross_entropy_with_logits(input, encoded, weight, reduction="mean")

    return Wiring(criterion, torch.sigmoid(w.logits(24, 1)), w.labels(24, 1))


@bug("DOUBLE_ACTIVATION")
def link_prediction_with_sigmoid_module(w: World):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = nn.Linear(6, 1)
            self.sigmoid = nn.Sigmoid()

        def forward(self, x):
            return self.sigmoid(self.classifier(x.mean(dim=1))).squeeze()

    def criterion(logits, labels):
        return torch.mean(F.binary_cross_entropy_with_logits(logits, labels, reduction="none"))

    return Wiring(criterion, w.run(Classifier(), w.randn(24, 5, 6)), w.labels(24))


@bug("DOUBLE_ACTIVATION")
def change_detection_squashes_both(w: World):
    def criterion(inputs, targets):
        p, t = torch.sigmoid(inputs), torch.sigmoid(targets)
        return -(t * torch.log(p + 1e-6) + (1 - t) * torch.log(1 - p + 1e-6)).mean()

    return Wiring(criterion, torch.sigmoid(w.maps(2, 1, 8, 8)), w.labels(2, 1, 8, 8))


@bug("WRONG_DIM")
def swapped_views_over_the_batch(w: World):
    def criterion(preds, targets):
        preds = F.log_softmax(preds / 0.1, dim=1)
        return -torch.mean(torch.sum(targets * preds, dim=2))

    target = one_hot(w.classes(2, 12, k=5), 5, w.dtype)
    return Wiring(criterion, w.logits(2, 12, 5), target)


@bug("WRONG_DIM")
def soft_labels_over_the_batch(w: World):
    def criterion(logits, onehot):
        probs = torch.softmax(logits, dim=0)
        return -(onehot * torch.log(probs)).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 4), one_hot(w.classes(24, k=4), 4, w.dtype))


@bug("LOGITS_FOR_PROBS")
def bce_and_jaccard_on_the_same_input(w: World):
    def jaccard(outputs, targets, eps=1e-3):
        both = torch.sum(outputs * targets)
        union = torch.sum(outputs) + torch.sum(targets) - both
        return 1 - (both + eps) / (union + eps)

    class BCEJaccard(nn.Module):
        def __init__(self):
            super().__init__()
            self.bce = nn.BCEWithLogitsLoss()

        def forward(self, input, target):
            return 0.5 * self.bce(input, target) + 0.5 * jaccard(input, target)

    return Wiring(BCEJaccard(), w.maps(2, 1, 8, 8), w.labels(2, 1, 8, 8))


@bug("DECISION_RULE")
def discriminator_accuracy(w: World):
    more = {"predict": lambda pred: (pred > torch.ones_like(pred) * 0.5).float()}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(24, 1), w.labels(24, 1), more)


@bug("DECISION_RULE")
def argmax_without_dim(w: World):
    more = {"predict": torch.argmax}
    return Wiring(F.cross_entropy, w.logits(12, 12), torch.arange(12), more)


@bug("TARGET_RANGE")
def smoothing_without_epsilon(w: World):
    def criterion(pred, target):
        target = (1.0 - 0.1) * target + (1.0 / target.size(1))
        return F.binary_cross_entropy(pred, target)

    return Wiring(criterion, torch.sigmoid(w.logits(24, 6)), w.several(24, 6))


@bug("REDUCTION")
def distillation_mean_over_classes(w: World):
    def criterion(scores, target_scores, T=2.0):
        logs = F.log_softmax(scores / T, dim=1)
        targets = F.softmax(target_scores / T, dim=1)
        return (-targets * logs).mean() * T**2

    return Wiring(criterion, w.logits(24, 5), w.randn(24, 5))


@bug("CUSTOM_LOSS")
def focal_with_log_probability_as_pt(w: World):
    def criterion(logits, labels, gamma=2):
        log_p = F.log_softmax(logits, dim=-1)
        marks = one_hot(labels, logits.shape[1], logits.dtype)
        pt = marks * log_p
        return (-1 * (1 - pt) ** gamma * log_p * marks).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@bug("CUSTOM_LOSS")
def fisher_loss_on_own_predictions(w: World):
    def criterion(output, target):
        return F.nll_loss(F.log_softmax(output, dim=1), output.max(1)[1])

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@bug("NO_GRADIENT")
def loss_wrapped_in_a_variable(w: World):
    def criterion(output, target):
        loss = F.cross_entropy(output, target)
        return torch.autograd.Variable(loss.data, requires_grad=True)

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@bug("CLASS_DIM")
def actor_logits_by_view(w: World):
    seq_len, batch, actions = 6, 4, 5
    logits = torch.stack([w.logits(batch, actions) for _ in range(1)]).expand(1, batch, actions)
    logits = w.logits(batch, seq_len, actions)
    return Wiring(F.cross_entropy, logits.view(batch, -1, seq_len), w.classes(4, 6, k=actions))


@bug("DOUBLE_ACTIVATION")
def gradient_harmonised_on_sigmoid(w: World):
    def criterion(pred, target, bins=5):
        g = torch.abs(pred.sigmoid().detach() - target)
        weights = torch.zeros_like(pred)
        tot = max(float(pred.numel()), 1.0)
        used = 0
        for i in range(bins):
            inside = (g >= i / bins) & (g < (i + 1) / bins + 1e-6)
            number = inside.sum().item()
            if number > 0:
                used += 1
                weights[inside] = tot / number
        weights = weights / max(used, 1)
        return F.binary_cross_entropy_with_logits(pred, target, weights, reduction="sum") / tot

    return Wiring(criterion, w.maps(2, 1, 8, 8).sigmoid(), w.labels(2, 1, 8, 8))


@bug("LOGITS_FOR_PROBS")
def negative_dice_on_logits(w: World):
    def criterion(logits, target):
        eps = 1e-5
        inter = torch.sum(logits * target)
        union = eps + torch.sum(logits) + torch.sum(target)
        return -(2 * inter / union)

    target = one_hot(w.classes(2, 8, 8, k=3), 3, w.dtype).movedim(-1, 1)
    return Wiring(criterion, w.maps(2, 3, 8, 8), target)


@right
def focal_in_the_library_style(w: World):
    def criterion(inputs, targets, alpha=-1, gamma=2):
        inputs, targets = inputs.float(), targets.float()
        p = torch.sigmoid(inputs)
        ce_loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
        p_t = p * targets + (1 - p) * (1 - targets)
        loss = ce_loss * ((1 - p_t) ** gamma)
        if alpha >= 0:
            loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
        return loss.mean()

    return Wiring(criterion, w.logits(24, 3), one_hot(w.classes(24, k=3), 3, w.dtype))


@right
def discriminator_mean_over_steps(w: World):
    def criterion(logits, labels):
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1).mean()

    return Wiring(criterion, w.logits(8, 6, 1), torch.ones(8, 6, 1, dtype=w.dtype))


@right
def class_balanced_softmax(w: World):
    counts = torch.tensor([50.0, 20.0, 10.0, 5.0])
    effective = 1.0 - torch.pow(torch.tensor(0.999), counts)
    weights = (1 - 0.999) / effective
    weights = (weights / weights.sum() * 4).to(w.dtype)

    def criterion(logits, labels):
        marks = one_hot(labels, 4, logits.dtype)
        each = (weights * marks).sum(1, keepdim=True).repeat(1, 4)
        return F.binary_cross_entropy(logits.softmax(dim=1), marks, weight=each)

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@right
def nll_and_dice_on_log_softmax(w: World):
    def criterion(output, target):
        probs = torch.exp(output)
        marks = one_hot(target, 3, output.dtype).movedim(-1, 1)
        both = (probs * marks).sum((0, 2, 3))
        union = probs.sum((0, 2, 3)) + marks.sum((0, 2, 3))
        return F.nll_loss(output, target) + 1 - ((2 * both + 1e-3) / (union + 1e-3)).mean()

    return Wiring(criterion, w.maps(2, 3, 8, 8).log_softmax(1), w.classes(2, 8, 8, k=3))


@right
def point_cloud_smoothing(w: World):
    def criterion(pred, gold):
        gold = gold.contiguous().view(-1)
        eps, n_class = 0.2, pred.size(1)
        marks = torch.zeros_like(pred).scatter(1, gold.view(-1, 1), 1)
        marks = marks * (1 - eps) + (1 - marks) * eps / (n_class - 1)
        log_prb = F.log_softmax(pred, dim=1)
        return -(marks * log_prb).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 6).log_softmax(1), w.classes(24, k=6))


@right
def piano_frames(w: World):
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 11), nn.Sigmoid())
    return Wiring(F.binary_cross_entropy, w.run(net, w.randn(3, 7, 6)), w.labels(3, 7, 11))


@right
def detection_with_hard_negatives(w: World):
    def criterion(conf, labels):
        flat = conf.view(-1, 4)
        largest = flat.detach().max()
        ranking = torch.log(torch.sum(torch.exp(flat - largest), 1, keepdim=True)) + largest
        ranking = (ranking - flat.gather(1, labels.view(-1, 1))).view_as(labels)
        positive = labels > 0
        ranking = ranking.masked_fill(positive, 0)
        _, order = ranking.sort(1, descending=True)
        _, place = order.sort(1)
        limit = torch.clamp(3 * positive.sum(1, keepdim=True), max=labels.shape[1] - 1)
        chosen = positive | (place < limit)
        picked = conf[chosen.unsqueeze(2).expand_as(conf)].view(-1, 4)
        loss = F.cross_entropy(picked, labels[chosen], reduction="sum")
        return loss / positive.sum().clamp(min=1)

    return Wiring(criterion, w.logits(3, 20, 4), w.classes(3, 20, k=4))


@right
def distilled_transformer(w: World):
    teacher = w.randn(24, 5)

    def criterion(outputs, labels, T=3.0):
        base = F.cross_entropy(outputs, labels)
        distillation = (
            F.kl_div(
                F.log_softmax(outputs / T, dim=1),
                F.log_softmax(teacher / T, dim=1),
                reduction="sum",
                log_target=True,
            )
            * (T * T)
            / outputs.numel()
        )
        return base * 0.5 + distillation * 0.5

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@right
def mask_dice_per_object(w: World):
    def criterion(inputs, targets, num_objects=4):
        inputs = inputs.sigmoid().flatten(1)
        targets = targets.flatten(1)
        numerator = 2 * (inputs * targets).sum(-1)
        denominator = inputs.sum(-1) + targets.sum(-1)
        return (1 - (numerator + 1) / (denominator + 1)).sum() / num_objects

    return Wiring(criterion, w.maps(4, 1, 8, 8), w.labels(4, 1, 8, 8))


@right
def domain_map_filled_with_one_label(w: World):
    def criterion(y_pred, label):
        truth = torch.full_like(y_pred, float(label.flatten()[0]))
        return F.binary_cross_entropy_with_logits(y_pred, truth)

    return Wiring(criterion, w.maps(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=w.dtype))
