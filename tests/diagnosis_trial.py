"""Three trials: wirings written after public threads and code, without a look at the rules.

Each was run once as it stood and counted: of 20 bugs each, the first found 13, the second 14 and
the third 17; of 10 right wirings each, one of the second was accused and none of the others. What
was general in the misses has been mended after each, so they are cases like the others now.
"""

from __future__ import annotations

from collections import namedtuple

import torch
import torch.nn.functional as F
from diagnosis_cases import Trial, Wiring, World, one_hot
from torch import nn

FIRST = Trial()
SECOND = Trial()
THIRD = Trial()


@FIRST.bug("CUSTOM_LOSS")
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


@FIRST.bug("DOUBLE_ACTIVATION")
def regression_model_with_softmax(w: World):
    def training_loss(y_hat, y):
        return F.nll_loss(F.log_softmax(y_hat, dim=1), y, reduction="sum") / y.size(0)

    return Wiring(training_loss, F.softmax(w.logits(24, 4), dim=1), w.classes(24, k=4))


@FIRST.bug("NOT_LOG_PROBS")
def nll_of_plain_softmax(w: World):
    def criterion(out, labels):
        return F.nll_loss(F.softmax(out, dim=1), labels)

    return Wiring(criterion, w.logits(24, 2), w.classes(24, k=2))


@FIRST.bug("NOT_LOG_PROBS")
def masked_distillation_on_softmax(w: World):
    teacher = w.randn(2, 4, 6, 6).softmax(1)
    mask = torch.ones(2, 4, 6, 6, dtype=w.dtype)

    def criterion(out, target):
        student = F.softmax(out, dim=1)
        loss_kd = F.kl_div(student, teacher, reduction="none")
        return F.cross_entropy(out, target) + (loss_kd * mask).sum() / mask.sum()

    return Wiring(criterion, w.maps(2, 4, 6, 6), w.classes(2, 6, 6, k=4))


@FIRST.bug("DOUBLE_ACTIVATION")
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


@FIRST.bug("DOUBLE_ACTIVATION")
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


@FIRST.bug("DOUBLE_ACTIVATION")
def change_detection_squashes_both(w: World):
    def criterion(inputs, targets):
        p, t = torch.sigmoid(inputs), torch.sigmoid(targets)
        return -(t * torch.log(p + 1e-6) + (1 - t) * torch.log(1 - p + 1e-6)).mean()

    return Wiring(criterion, torch.sigmoid(w.maps(2, 1, 8, 8)), w.labels(2, 1, 8, 8))


@FIRST.bug("WRONG_DIM")
def swapped_views_over_the_batch(w: World):
    def criterion(preds, targets):
        preds = F.log_softmax(preds / 0.1, dim=1)
        return -torch.mean(torch.sum(targets * preds, dim=2))

    target = one_hot(w.classes(2, 12, k=5), 5, w.dtype)
    return Wiring(criterion, w.logits(2, 12, 5), target)


@FIRST.bug("WRONG_DIM")
def soft_labels_over_the_batch(w: World):
    def criterion(logits, onehot):
        probs = torch.softmax(logits, dim=0)
        return -(onehot * torch.log(probs)).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 4), one_hot(w.classes(24, k=4), 4, w.dtype))


@FIRST.bug("LOGITS_FOR_PROBS")
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


@FIRST.bug("DECISION_RULE")
def discriminator_accuracy(w: World):
    more = {"predict": lambda pred: (pred > torch.ones_like(pred) * 0.5).float()}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(24, 1), w.labels(24, 1), more)


@FIRST.bug("DECISION_RULE")
def argmax_without_dim(w: World):
    more = {"predict": torch.argmax}
    return Wiring(F.cross_entropy, w.logits(12, 12), torch.arange(12), more)


@FIRST.bug("TARGET_RANGE")
def smoothing_without_epsilon(w: World):
    def criterion(pred, target):
        target = (1.0 - 0.1) * target + (1.0 / target.size(1))
        return F.binary_cross_entropy(pred, target)

    return Wiring(criterion, torch.sigmoid(w.logits(24, 6)), w.several(24, 6))


@FIRST.bug("REDUCTION")
def distillation_mean_over_classes(w: World):
    def criterion(scores, target_scores, T=2.0):
        logs = F.log_softmax(scores / T, dim=1)
        targets = F.softmax(target_scores / T, dim=1)
        return (-targets * logs).mean() * T**2

    return Wiring(criterion, w.logits(24, 5), w.randn(24, 5))


@FIRST.bug("CUSTOM_LOSS")
def focal_with_log_probability_as_pt(w: World):
    def criterion(logits, labels, gamma=2):
        log_p = F.log_softmax(logits, dim=-1)
        marks = one_hot(labels, logits.shape[1], logits.dtype)
        pt = marks * log_p
        return (-1 * (1 - pt) ** gamma * log_p * marks).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@FIRST.bug("CUSTOM_LOSS")
def fisher_loss_on_own_predictions(w: World):
    def criterion(output, target):
        return F.nll_loss(F.log_softmax(output, dim=1), output.max(1)[1])

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@FIRST.bug("NO_GRADIENT")
def loss_wrapped_in_a_variable(w: World):
    def criterion(output, target):
        loss = F.cross_entropy(output, target)
        return torch.autograd.Variable(loss.data, requires_grad=True)

    return Wiring(criterion, w.logits(24, 4), w.classes(24, k=4))


@FIRST.bug("CLASS_DIM")
def actor_logits_by_view(w: World):
    seq_len, batch, actions = 6, 4, 5
    logits = torch.stack([w.logits(batch, actions) for _ in range(1)]).expand(1, batch, actions)
    logits = w.logits(batch, seq_len, actions)
    return Wiring(F.cross_entropy, logits.view(batch, -1, seq_len), w.classes(4, 6, k=actions))


@FIRST.bug("DOUBLE_ACTIVATION")
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


@FIRST.bug("LOGITS_FOR_PROBS")
def negative_dice_on_logits(w: World):
    def criterion(logits, target):
        eps = 1e-5
        inter = torch.sum(logits * target)
        union = eps + torch.sum(logits) + torch.sum(target)
        return -(2 * inter / union)

    target = one_hot(w.classes(2, 8, 8, k=3), 3, w.dtype).movedim(-1, 1)
    return Wiring(criterion, w.maps(2, 3, 8, 8), target)


@FIRST.right
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


@FIRST.right
def discriminator_mean_over_steps(w: World):
    def criterion(logits, labels):
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(1).mean()

    return Wiring(criterion, w.logits(8, 6, 1), torch.ones(8, 6, 1, dtype=w.dtype))


@FIRST.right
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


@FIRST.right
def nll_and_dice_on_log_softmax(w: World):
    def criterion(output, target):
        probs = torch.exp(output)
        marks = one_hot(target, 3, output.dtype).movedim(-1, 1)
        both = (probs * marks).sum((0, 2, 3))
        union = probs.sum((0, 2, 3)) + marks.sum((0, 2, 3))
        return F.nll_loss(output, target) + 1 - ((2 * both + 1e-3) / (union + 1e-3)).mean()

    return Wiring(criterion, w.maps(2, 3, 8, 8).log_softmax(1), w.classes(2, 8, 8, k=3))


@FIRST.right
def point_cloud_smoothing(w: World):
    def criterion(pred, gold):
        gold = gold.contiguous().view(-1)
        eps, n_class = 0.2, pred.size(1)
        marks = torch.zeros_like(pred).scatter(1, gold.view(-1, 1), 1)
        marks = marks * (1 - eps) + (1 - marks) * eps / (n_class - 1)
        log_prb = F.log_softmax(pred, dim=1)
        return -(marks * log_prb).sum(dim=1).mean()

    return Wiring(criterion, w.logits(24, 6).log_softmax(1), w.classes(24, k=6))


@FIRST.right
def piano_frames(w: World):
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 11), nn.Sigmoid())
    return Wiring(F.binary_cross_entropy, w.run(net, w.randn(3, 7, 6)), w.labels(3, 7, 11))


@FIRST.right
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


@FIRST.right
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


@FIRST.right
def mask_dice_per_object(w: World):
    def criterion(inputs, targets, num_objects=4):
        inputs = inputs.sigmoid().flatten(1)
        targets = targets.flatten(1)
        numerator = 2 * (inputs * targets).sum(-1)
        denominator = inputs.sum(-1) + targets.sum(-1)
        return (1 - (numerator + 1) / (denominator + 1)).sum() / num_objects

    return Wiring(criterion, w.maps(4, 1, 8, 8), w.labels(4, 1, 8, 8))


@FIRST.right
def domain_map_filled_with_one_label(w: World):
    def criterion(y_pred, label):
        truth = torch.full_like(y_pred, float(label.flatten()[0]))
        return F.binary_cross_entropy_with_logits(y_pred, truth)

    return Wiring(criterion, w.maps(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=w.dtype))


# The second trial


@SECOND.bug("CUSTOM_LOSS")
def element_factors_on_a_mean(w: World):
    def criterion(inputs, targets, gamma=2.0):
        bce_loss = F.binary_cross_entropy(inputs, targets)
        pt = targets * inputs + (1 - targets) * (1 - inputs)
        return (((1.0 - pt) ** gamma) * bce_loss).mean()

    return Wiring(criterion, w.logits(24, 1).sigmoid(), w.labels(24, 1))


@SECOND.bug("CUSTOM_LOSS")
def focal_module_on_probabilities(w: World):
    class FocalLoss(nn.Module):
        def forward(self, inputs, targets):
            loss = nn.BCELoss()(inputs, targets)
            pt = torch.exp(-loss)
            return 0.8 * (1 - pt) ** 2 * loss

    return Wiring(FocalLoss(), w.logits(24, 1).sigmoid(), w.labels(24, 1))


@SECOND.bug("API")
def arguments_in_keras_order(w: World):
    class WeightedBCE(nn.Module):
        def forward(self, y_true, y_pred):
            y_pred = torch.clamp(y_pred, 1e-7, 1.0 - 1e-7)
            loss = -(y_true * torch.log(y_pred) * 2.0 + (1 - y_true) * torch.log(1 - y_pred))
            return loss.mean()

    return Wiring(WeightedBCE(), w.logits(24, 1).sigmoid(), w.labels(24, 1))


@SECOND.bug("API")
def parentheses_forgotten(w: World):
    return Wiring(nn.BCEWithLogitsLoss, w.logits(24, 1), w.labels(24, 1))


@SECOND.bug("LOGITS_FOR_PROBS")
def log_softmax_into_bce(w: World):
    target = one_hot(w.classes(24, k=2), 2, w.dtype)
    return Wiring(nn.BCELoss(), F.log_softmax(w.logits(24, 2), dim=1), target)


@SECOND.bug("NOT_LOG_PROBS")
def divergence_in_the_order_of_the_books(w: World):
    def criterion(pred, target):
        return F.kl_div(target, torch.log(pred), reduction="batchmean")

    return Wiring(criterion, w.logits(24, 5).softmax(1), w.randn(24, 5).softmax(1))


@SECOND.bug("TARGET_NOT_DISTRIBUTION")
def teacher_in_logs(w: World):
    teacher = w.randn(24, 5)

    def criterion(student, target):
        kd = nn.KLDivLoss(reduction="batchmean")(
            F.log_softmax(student / 2, dim=-1), F.log_softmax(teacher / 2, dim=-1)
        )
        return 0.5 * F.cross_entropy(student, target) + 0.5 * 4 * kd

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@SECOND.bug("LOGITS_FOR_PROBS")
def species_loss_on_raw_scores(w: World):
    def criterion(pred, target):
        return (-target * torch.log(pred) - (1 - target) * torch.log(1 - pred)).sum()

    return Wiring(criterion, w.logits(24, 6), w.labels(24, 6) * 0.5 + 0.2)


@SECOND.bug("ONE_CLASS")
def one_channel_softmax(w: World):
    return Wiring(nn.BCELoss(), F.softmax(w.maps(2, 1, 6, 6), dim=1), w.labels(2, 1, 6, 6))


@SECOND.bug("TARGET_RANGE")
def grey_masks_for_two_classes(w: World):
    mask = (255 * w.labels(2, 6, 6)).long()
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 2, 6, 6), mask)


@SECOND.bug("NO_GRADIENT")
def distance_of_decisions(w: World):
    def criterion(out, y):
        return torch.mean(torch.abs(torch.argmax(out, 1).float() - y.float()))

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@SECOND.bug("LOGITS_FOR_PROBS")
def clamp_for_an_activation(w: World):
    return Wiring(nn.BCELoss(), torch.clamp(w.logits(24, 1), 0, 1), w.labels(24, 1))


@SECOND.bug("NOT_LOG_PROBS")
def two_logsigmoids_into_nll(w: World):
    return Wiring(nn.NLLLoss(), F.logsigmoid(w.logits(24, 2)), w.classes(24, k=2))


@SECOND.bug("BOUNDED_LOGITS")
def cosine_classifier_without_scale(w: World):
    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(10, 6))

        def forward(self, x):
            return F.linear(F.normalize(x), F.normalize(self.weight))

    return Wiring(nn.CrossEntropyLoss(), w.run(Cosine(), w.randn(24, 6)), w.classes(24, k=10))


@SECOND.bug("TARGET_RANGE")
def three_values_for_bce(w: World):
    target = w.classes(24, 1, k=3).to(w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(24, 1), target)


@SECOND.bug("DECISION_RULE")
def values_of_the_maximum(w: World):
    more = {"predict": lambda o: torch.max(o, 1)[0]}
    return Wiring(nn.CrossEntropyLoss(), w.logits(24, 5), w.classes(24, k=5), more)


@SECOND.bug("IGNORE_INDEX")
def one_of_two_classes_ignored(w: World):
    return Wiring(nn.CrossEntropyLoss(ignore_index=1), w.logits(24, 2), w.classes(24, k=2))


@SECOND.bug("CUSTOM_LOSS")
def log_of_the_true_labels_only(w: World):
    def criterion(out, y):
        return -torch.sum(y * torch.log(out)) / out.size(0)

    return Wiring(criterion, torch.sigmoid(w.logits(24, 6)), w.several(24, 6))


@SECOND.bug("CUSTOM_LOSS")
def bce_with_a_minus(w: World):
    def criterion(out, y):
        return -F.binary_cross_entropy_with_logits(out, y)

    return Wiring(criterion, w.logits(24, 1), w.labels(24, 1))


@SECOND.bug("BROADCAST")
def hinge_with_a_spare_dimension(w: World):
    def criterion(out, y):
        return F.relu(1 - (2 * y - 1) * out).mean()

    return Wiring(criterion, w.logits(24, 1), w.labels(24, 1, 1))


@SECOND.right
def focal_of_the_tutorials(w: World):
    class FocalLoss(nn.Module):
        def forward(self, inputs, targets):
            loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
            pt = torch.exp(-loss)
            return (0.25 * (1 - pt) ** 2.0 * loss).mean()

    return Wiring(FocalLoss(), w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@SECOND.right
def focal_on_given_probabilities(w: World):
    def criterion(preds, target):
        loss = nn.functional.binary_cross_entropy(preds, target, reduction="none")
        return torch.mean(0.25 * (1 - torch.exp(-loss)) ** 2 * loss)

    return Wiring(criterion, w.logits(24, 1).sigmoid(), w.labels(24, 1))


@SECOND.right
def balanced_within_the_batch(w: World):
    def criterion(pred, gt):
        count_pos = torch.sum(gt) + 1e-4
        count_neg = torch.sum(1.0 - gt)
        beta_back = count_pos / (count_pos + count_neg)
        return beta_back * nn.BCEWithLogitsLoss(pos_weight=count_neg / count_pos)(pred, gt)

    target = (w.randn(2, 1, 8, 8) > 1.0).to(w.dtype)
    return Wiring(criterion, w.maps(2, 1, 8, 8), target)


@SECOND.right
def front_weighted(w: World):
    def criterion(input, target):
        prob = torch.sigmoid(input)
        weight = torch.where(target != 0, 5 * torch.ones_like(target), torch.ones_like(target))
        return F.binary_cross_entropy(prob, target, weight)

    # In half precision a sigmoid rounds to 1, where torch's gradient of BCELoss is NaN.
    wide = torch.promote_types(w.dtype, torch.float32)
    return Wiring(criterion, w.maps(2, 1, 6, 6).to(wide), w.labels(2, 1, 6, 6).to(wide))


@SECOND.right
def halves_normalised_apart(w: World):
    def criterion(logit, truth):
        logit, truth = logit.view(-1), truth.view(-1)
        loss = F.binary_cross_entropy_with_logits(logit, truth, reduction="none")
        pos, neg = (truth > 0.5).to(loss.dtype), (truth < 0.5).to(loss.dtype)
        n_pos, n_neg = pos.sum().item() + 1e-12, neg.sum().item() + 1e-12
        return (0.25 * pos * loss / n_pos + 0.75 * neg * loss / n_neg).sum()

    return Wiring(criterion, w.maps(2, 1, 6, 6), w.labels(2, 1, 6, 6))


@SECOND.right
def land_cover_with_one_hot_masks(w: World):
    target = one_hot(w.classes(2, 6, 6, k=4), 4, w.dtype).movedim(-1, 1)
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 4, 6, 6), target)


@SECOND.right
def second_softmax_column(w: World):
    return Wiring(nn.BCELoss(), w.logits(24, 2).softmax(1)[:, 1], w.labels(24))


@SECOND.right
def loss_and_precision(w: World):
    def criterion(x, label):
        precision = (x.detach().argmax(1) == label).double().mean()
        return F.cross_entropy(x, label), precision

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@SECOND.right
def digits_as_in_the_examples(w: World):
    more = {"predict": lambda o: o.argmax(dim=1, keepdim=True)}
    return Wiring(F.nll_loss, F.log_softmax(w.logits(24, 10), dim=1), w.classes(24, k=10), more)


@SECOND.right
def retina_style(w: World):
    def criterion(scores, labels, alpha=0.25, gamma=2.0):
        marks = one_hot(labels, 4, scores.dtype)[..., 1:]
        p = scores.sigmoid().clamp(1e-4, 1.0 - 1e-4)
        factor = torch.where(marks == 1, alpha * (1 - p) ** gamma, (1 - alpha) * p**gamma)
        bce = -(marks * torch.log(p) + (1 - marks) * torch.log(1 - p))
        return (factor * bce).sum() / (labels > 0).sum().clamp(min=1)

    return Wiring(criterion, w.logits(2, 15, 3), w.classes(2, 15, k=4))


# The third trial


@THIRD.bug("TARGET_RANGE")
def masks_normalised_like_images(w: World):
    mask = (w.labels(2, 1, 8, 8) - 0.5) / 0.5
    return Wiring(nn.BCEWithLogitsLoss(), w.maps(2, 1, 8, 8), mask)


@THIRD.bug("DOUBLE_ACTIVATION")
def lane_existence(w: World):
    head = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4), nn.Sigmoid())
    return Wiring(nn.BCEWithLogitsLoss(), w.run(head, w.randn(24, 6)), w.labels(24, 4))


@THIRD.bug("CLASS_DIM")
def frames_reshaped(w: World):
    def criterion(pred_score, label):
        log_p = torch.log_softmax(pred_score, dim=1).reshape(-1, 3)
        return F.nll_loss(log_p, label.view(-1))

    output = w.run(nn.Conv1d(4, 3, 1), w.randn(2, 4, 10))
    return Wiring(criterion, output, w.classes(2, 10, k=3))


@THIRD.bug("DOUBLE_ACTIVATION")
def distillation_with_softmaxed_hard_part(w: World):
    teacher = w.randn(24, 5)

    def criterion(outputs, labels, T=4.0, alpha=0.9):
        soft = nn.KLDivLoss()(F.log_softmax(outputs / T, dim=1), F.softmax(teacher / T, dim=1))
        hard = F.cross_entropy(F.softmax(outputs, dim=1), labels)
        return soft * (alpha * T * T) + hard * (1.0 - alpha)

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@THIRD.bug("DECISION_RULE")
def rounding_without_sigmoid(w: World):
    more = {"predict": lambda pred: torch.round(pred)}
    return Wiring(nn.BCEWithLogitsLoss(), 2 * w.logits(24, 1).squeeze(1), w.labels(24), more)


@THIRD.bug("DECISION_RULE")
def discriminator_of_domains(w: World):
    more = {"predict": lambda output: (output >= 0.5).float().t().view(-1)}
    return Wiring(
        lambda o, t: F.binary_cross_entropy_with_logits(o.view(-1), t),
        w.logits(24, 1),
        w.labels(24),
        more,
    )


@THIRD.bug("REDUCTION")
def mean_of_masked_logs(w: World):
    def criterion(output, target):
        p = F.softmax(output, dim=1)
        return -(one_hot(target, output.shape[1], output.dtype) * torch.log(p)).mean()

    return Wiring(criterion, w.logits(24, 6), w.classes(24, k=6))


@THIRD.bug("DOUBLE_ACTIVATION")
def dcgan_discriminator(w: World):
    net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 6), nn.Sigmoid())
    output = w.run(net, w.randn(24, 4, 8, 8)).view(-1)
    return Wiring(nn.BCEWithLogitsLoss(), output, torch.full((24,), 0.9, dtype=w.dtype))


@THIRD.bug("TARGET_DTYPE")
def siamese_integer_labels(w: World):
    return Wiring(nn.BCELoss(), w.logits(24, 1).sigmoid(), w.labels(24, 1).long())


@THIRD.bug("API")
def probabilities_first(w: World):
    criterion = nn.CrossEntropyLoss()
    target = one_hot(w.classes(24, k=5), 5, w.dtype)
    return Wiring(lambda logits, labels: criterion(labels, logits), w.logits(24, 5), target)


@THIRD.bug("API")
def auxiliary_outputs(w: World):
    outputs = namedtuple("Outputs", ["logits", "aux_logits"])
    output = outputs(w.logits(24, 5), w.logits(24, 5))
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(24, k=5))


@THIRD.bug("WRONG_DIM")
def softmax_over_the_steps(w: World):
    output = w.logits(4, 9, 5).softmax(dim=1)
    return Wiring(
        lambda o, t: F.nll_loss(torch.log(o).permute(0, 2, 1), t), output, w.classes(4, 9, k=5)
    )


@THIRD.bug("BROADCAST")
def probabilities_against_a_column_of_labels(w: World):
    target = w.classes(24, 1, k=5).to(w.dtype)
    return Wiring(nn.MSELoss(), w.logits(24, 5).softmax(1), target)


@THIRD.bug("SHAPE")
def squeezed_away_batch(w: World):
    return Wiring(nn.CrossEntropyLoss(), w.logits(1, 5).squeeze(), torch.tensor([3]))


@THIRD.bug("NO_GRADIENT")
def whole_numbers(w: World):
    return Wiring(
        lambda o, t: ((o - t) ** 2).float().mean(), w.logits(24).int(), w.classes(24, k=3)
    )


@THIRD.bug("NO_GRADIENT")
def there_and_back(w: World):
    def criterion(output, target):
        probs = torch.from_numpy(output.detach().numpy()).softmax(1)
        return F.nll_loss(torch.log(probs), target)

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@THIRD.bug("NO_GRADIENT")
def wrapper_that_detaches(w: World):
    class Logged(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = nn.CrossEntropyLoss(), None

        def forward(self, output, target):
            self.last = self.inner(output, target).detach()
            return self.last

    return Wiring(Logged(), w.logits(24, 5), w.classes(24, k=5))


@THIRD.bug("REDUCTION")
def sum_divided_twice(w: World):
    def criterion(output, target):
        n = len(target)
        return F.binary_cross_entropy_with_logits(output, target, reduction="sum") / n / n

    return Wiring(criterion, w.logits(24, 1), w.labels(24, 1))


@THIRD.bug("DOUBLE_ACTIVATION")
def temperature_outside_the_softmax(w: World):
    return Wiring(nn.CrossEntropyLoss(), w.logits(24, 5).softmax(1) / 2.0, w.classes(24, k=5))


@THIRD.bug("TARGET_NOT_DISTRIBUTION")
def one_hot_picture(w: World):
    target = 255 * one_hot(w.classes(2, 6, 6, k=3), 3, w.dtype).movedim(-1, 1)
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 3, 6, 6), target)


@THIRD.right
def unet_with_negative_outputs(w: World):
    target = (w.randn(2, 1, 8, 8) > 1.5).to(w.dtype)
    return Wiring(nn.BCEWithLogitsLoss(), w.maps(2, 1, 8, 8) - 4, target)


@THIRD.right
def label_smoothing_module(w: World):
    class LabelSmoothingLoss(nn.Module):
        def __init__(self, classes=6, smoothing=0.1, dim=-1):
            super().__init__()
            self.confidence, self.smoothing = 1.0 - smoothing, smoothing
            self.cls, self.dim = classes, dim

        def forward(self, pred, target):
            pred = pred.log_softmax(dim=self.dim)
            with torch.no_grad():
                true_dist = torch.zeros_like(pred)
                true_dist.fill_(self.smoothing / (self.cls - 1))
                true_dist.scatter_(1, target.data.unsqueeze(1), self.confidence)
            return torch.mean(torch.sum(-true_dist * pred, dim=self.dim))

    return Wiring(LabelSmoothingLoss(), w.logits(24, 6), w.classes(24, k=6))


@THIRD.right
def dice_flattened(w: World):
    class DiceLoss(nn.Module):
        def forward(self, inputs, targets, smooth=1):
            inputs = torch.sigmoid(inputs).view(-1)
            targets = targets.view(-1)
            intersection = (inputs * targets).sum()
            return 1 - (2.0 * intersection + smooth) / (inputs.sum() + targets.sum() + smooth)

    return Wiring(DiceLoss(), w.maps(2, 1, 8, 8), w.labels(2, 1, 8, 8))


@THIRD.right
def representer(w: World):
    def criterion(D, y):
        D = D - torch.max(D, dim=1, keepdim=True)[0]
        A = torch.log(torch.sum(torch.exp(D), dim=1))
        B = torch.sum(D * y, dim=1)
        return torch.sum(A - B)

    return Wiring(criterion, w.logits(24, 5), one_hot(w.classes(24, k=5), 5, w.dtype))


@THIRD.right
def segmentation_flattened_inside(w: World):
    def criterion(input, target):
        c = input.size(1)
        input = input.transpose(1, 2).transpose(2, 3).contiguous().view(-1, c)
        return F.cross_entropy(input, target.view(-1), ignore_index=250)

    return Wiring(criterion, w.maps(2, 3, 4, 5), w.classes(2, 4, 5, k=3))


@THIRD.right
def vision_transformer_distilled(w: World):
    teacher = w.randn(24, 5)

    def criterion(student, labels, T=3.0, alpha=0.5):
        loss = F.cross_entropy(student, labels)
        distill = F.kl_div(
            F.log_softmax(student / T, dim=-1),
            F.softmax(teacher / T, dim=-1).detach(),
            reduction="batchmean",
        )
        return loss * (1 - alpha) + distill * T**2 * alpha

    return Wiring(criterion, w.logits(24, 5), w.classes(24, k=5))


@THIRD.right
def soft_target_cross_entropy(w: World):
    def criterion(pred, soft_target):
        logsoftmax = nn.LogSoftmax(dim=1)
        return torch.mean(torch.sum(-soft_target * logsoftmax(pred), 1))

    return Wiring(criterion, w.logits(24, 5), w.randn(24, 5).softmax(1))


@THIRD.right
def sentiment(w: World):
    more = {"predict": lambda preds: torch.round(torch.sigmoid(preds))}
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(24, 1).squeeze(1), w.labels(24), more)


@THIRD.right
def language_model_flattened_inside(w: World):
    def criterion(logits, targets):
        B, T, C = logits.shape
        return F.cross_entropy(logits.view(B * T, C), targets.view(B * T))

    return Wiring(criterion, w.logits(3, 7, 11), w.classes(3, 7, k=11))


@THIRD.right
def recommendation(w: World):
    def criterion(scores, label):
        p = torch.sigmoid(scores)
        return torch.mean(-label * torch.log(p + 1e-6) - (1 - label) * torch.log(1 - p + 1e-6))

    return Wiring(criterion, w.logits(24, 1).squeeze(1), w.labels(24))
