"""The fourth trial: sixty wrong and thirty right wirings, by somebody who had not seen the rules.

Run once as it stood: 42 of the 60 bugs were found, 3 under another code, 15 not at all; none of the
30 right wirings was accused, in any precision or mode, though one made a rule of the tool fail.
What was general in the misses has been mended since. Where a bug can be named in more than one way,
its codes are separated by spaces.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from diagnosis_cases import Trial, Wiring, World, one_hot
from torch import nn

FOURTH = Trial()


@FOURTH.bug("DOUBLE_ACTIVATION")
def patch_critic_ends_in_sigmoid(w: World):
    """A patch discriminator ends in a sigmoid, its real/fake loss takes the sigmoid again."""
    critic = nn.Sequential(nn.Conv2d(3, 8, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 1), nn.Sigmoid())
    images = w.randn(8, 3, 4, 4)
    real = w.labels(8).view(8, 1, 1, 1).expand(8, 1, 4, 4).contiguous()
    return Wiring(
        F.binary_cross_entropy_with_logits,
        w.run(critic, images),
        real,
        {"model": critic, "inputs": images},
    )


@FOURTH.bug("DOUBLE_ACTIVATION")
def tag_probabilities_into_soft_margin(w: World):
    """MultiLabelSoftMarginLoss takes log-sigmoids itself, the tagger already returns
    probabilities."""
    return Wiring(nn.MultiLabelSoftMarginLoss(), w.logits(32, 7).sigmoid(), w.several(32, 7))


@FOURTH.bug("DOUBLE_ACTIVATION")
def own_focal_after_tempered_softmax(w: World):
    """The model returns softmax(x / T), the own focal loss starts with log_softmax."""

    def focal(scores, target):
        log_pt = F.log_softmax(scores, 1).gather(1, target[:, None]).squeeze(1)
        return (-((1 - log_pt.exp()) ** 2) * log_pt).mean()

    return Wiring(focal, torch.softmax(w.logits(40, 5) / 0.7, dim=-1), w.classes(40, k=5))


@FOURTH.bug("OBJECTIVE")
def softmax_for_several_findings(w: World):
    """Chest findings that occur together (multi-hot rows, some empty) under a softmax cross
    entropy."""
    return Wiring(nn.CrossEntropyLoss(), w.logits(32, 6), w.several(32, 6))


@FOURTH.bug("OBJECTIVE")
def labels_compete_for_one_probability(w: World):
    """Independent labels, several of them true at once, under BCELoss after a softmax instead of a
    sigmoid."""
    net = nn.Sequential(nn.Linear(6, 5), nn.Softmax(dim=-1))
    x = w.randn(32, 6)
    return Wiring(nn.BCELoss(), w.run(net, x), w.several(32, 5), {"model": net, "inputs": x})


@FOURTH.bug("OBJECTIVE")
def hinge_embedding_on_scores(w: World):
    """HingeEmbeddingLoss takes distances (small = alike); a classifier's signed scores run off to
    minus infinity."""
    return Wiring(nn.HingeEmbeddingLoss(), w.logits(28, 1).squeeze(1), 2 * w.labels(28) - 1)


@FOURTH.bug("NOT_LOG_PROBS")
def ctc_on_raw_frames(w: World):
    """The CTC loss of a line reader gets unnormalised frame scores."""
    frames, n, letters = 12, 4, 6

    def ctc(output, target):
        return F.ctc_loss(
            output, target, torch.full((n,), frames), torch.full((n,), 4), zero_infinity=True
        )

    return Wiring(ctc, w.logits(frames, n, letters), 1 + w.classes(n, 4, k=letters - 1))


@FOURTH.bug("NOT_LOG_PROBS")
def student_softmax_into_kl(w: World):
    """Distillation: the student enters KLDivLoss as probabilities rather than logs of them."""
    teacher = torch.softmax(w.randn(24, 5) * 2 / 3, dim=1)
    return Wiring(
        nn.KLDivLoss(reduction="batchmean"), F.softmax(w.logits(24, 5) / 3, dim=1), teacher
    )


@FOURTH.bug("NOT_LOG_PROBS")
def nll_after_log_sigmoid(w: World):
    """LogSigmoid in the head, NLLLoss after it: wrong classes are never pushed down."""
    head = nn.Sequential(nn.Linear(6, 5), nn.LogSigmoid())
    x = w.randn(30, 6)
    return Wiring(nn.NLLLoss(), w.run(head, x), w.classes(30, k=5), {"model": head, "inputs": x})


@FOURTH.bug("LOGITS_FOR_PROBS")
def tversky_on_scores(w: World):
    """A Tversky loss sums true and false positives of raw scores."""

    class Tversky(nn.Module):
        def forward(self, p, y, alpha=0.3, beta=0.7):
            hit, false, missed = (p * y).sum(), (p * (1 - y)).sum(), ((1 - p) * y).sum()
            return 1 - (hit + 1) / (hit + alpha * false + beta * missed + 1)

    return Wiring(Tversky(), w.maps(4, 1, 6, 6), w.labels(4, 1, 6, 6))


@FOURTH.bug("LOGITS_FOR_PROBS")
def robust_mae_on_scores(w: World):
    """The noise-robust loss 1 - p_y, where p_y is a raw score: no lower bound."""

    def mae(scores, target):
        return (1 - scores.gather(1, target.unsqueeze(1)).squeeze(1)).mean()

    return Wiring(mae, w.logits(36, 4), w.classes(36, k=4))


@FOURTH.bug("BOUNDED_LOGITS")
def cosine_head_without_scale(w: World):
    """Cosines between -1 and 1 go into the cross entropy over ten classes; the scale was
    forgotten."""

    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.proxies = nn.Parameter(torch.randn(10, 6))

        def forward(self, x):
            return F.linear(F.normalize(x), F.normalize(self.proxies))

    head, x = Cosine(), w.randn(40, 6)
    return Wiring(
        nn.CrossEntropyLoss(), w.run(head, x), w.classes(40, k=10), {"model": head, "inputs": x}
    )


@FOURTH.bug("BOUNDED_LOGITS")
def relu_on_the_last_binary_layer(w: World):
    """F.relu wraps the last layer too, so no probability falls below one half."""

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.last = nn.Linear(6, 12), nn.Linear(12, 1)

        def forward(self, x):
            return F.relu(self.last(F.relu(self.hidden(x))))

    net, x = Detector(), 2 * w.randn(40, 6)
    return Wiring(
        nn.BCEWithLogitsLoss(), w.run(net, x), w.labels(40, 1), {"model": net, "inputs": x}
    )


@FOURTH.bug("BOUNDED_LOGITS")
def layer_norm_over_the_scores(w: World):
    """A LayerNorm without gain over the three class scores: their spread is fixed for ever."""
    net = nn.Sequential(nn.Linear(6, 3), nn.LayerNorm(3, elementwise_affine=False))
    x = w.randn(36, 6)
    return Wiring(
        nn.CrossEntropyLoss(), w.run(net, x), w.classes(36, k=3), {"model": net, "inputs": x}
    )


@FOURTH.bug("NO_GRADIENT")
def jaccard_of_decided_masks(w: World):
    """The overlap is computed on rounded masks: backward runs and every gradient is zero."""

    def jaccard(scores, y):
        p = torch.sigmoid(scores).round()
        both = (p * y).sum((1, 2, 3))
        return 1 - ((both + 1) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) - both + 1)).mean()

    return Wiring(jaccard, w.maps(4, 1, 6, 6), w.labels(4, 1, 6, 6))


@FOURTH.bug("NO_GRADIENT")
def loss_made_new_from_floats(w: World):
    """Per-sample losses are read with .item() and put in a new tensor that requires grad."""

    def loss(output, target):
        each = [
            F.cross_entropy(o[None], t[None]).item() for o, t in zip(output, target, strict=True)
        ]
        return torch.tensor(each, requires_grad=True).mean()

    return Wiring(loss, w.logits(12, 4), w.classes(12, k=4))


@FOURTH.bug("NO_GRADIENT")
def output_rewrapped_as_leaf(w: World):
    """The old `Variable(model(x).data, requires_grad=True)`: backward stops at a leaf, the model
    learns nothing."""
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = w.randn(24, 6)
    output = w.run(model, x).data.clone().requires_grad_(w.graph)
    return Wiring(nn.CrossEntropyLoss(), output, w.classes(24, k=3), {"model": model, "inputs": x})


@FOURTH.bug("ONE_CLASS")
def cross_entropy_of_one_column(w: World):
    """CrossEntropyLoss accepts (N, 1) with float targets (N, 1): the loss is zero whatever
    comes."""
    return Wiring(nn.CrossEntropyLoss(), w.logits(32, 1), w.labels(32, 1))


@FOURTH.bug("ONE_CLASS")
def dice_with_softmax_on_one_channel(w: World):
    """A Dice taken from a multi-class project applies softmax over the single foreground
    channel."""

    def dice(scores, y):
        p = torch.softmax(scores, dim=1)
        return 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1)

    return Wiring(dice, w.maps(5, 1, 5, 5), w.labels(5, 1, 5, 5))


@FOURTH.bug("WRONG_DIM")
def log_softmax_over_time(w: World):
    """A 1-d convolutional tagger gives (N, C, T) and takes log_softmax over the last dimension,
    time."""
    net = nn.Sequential(nn.Conv1d(5, 4, 1), nn.LogSoftmax(dim=-1))
    x = w.randn(6, 5, 9)
    return Wiring(nn.NLLLoss(), w.run(net, x), w.classes(6, 9, k=4), {"model": net, "inputs": x})


@FOURTH.bug("WRONG_DIM")
def dice_softmax_over_width(w: World):
    """softmax(-1) on (N, C, H, W) inside a Dice: the pixels of a row compete, not the classes."""

    def dice(scores, target):
        p = F.softmax(scores, dim=-1)
        y = F.one_hot(target, scores.shape[1]).permute(0, 3, 1, 2).to(scores.dtype)
        return 1 - ((2 * (p * y).sum((2, 3)) + 1) / ((p + y).sum((2, 3)) + 1)).mean()

    return Wiring(dice, w.maps(3, 4, 6, 8), w.classes(3, 6, 8, k=4))


@FOURTH.bug("SHAPE")
def mask_at_full_size_scores_at_a_quarter(w: World):
    """The net's stride is 4 and nobody scales its scores up to the mask."""
    return Wiring(nn.CrossEntropyLoss(), w.maps(2, 5, 4, 4), w.classes(2, 16, 16, k=5))


@FOURTH.bug("SHAPE")
def teacher_knows_more_classes(w: World):
    """The teacher has a background class that the student lacks."""

    def distil(student, teacher):
        return F.kl_div(student.log_softmax(1), teacher.softmax(1), reduction="batchmean")

    return Wiring(distil, w.logits(16, 10), w.randn(16, 11))


@FOURTH.bug("BROADCAST")
def dice_of_masks_without_channel(w: World):
    """Scores (N, 1, H, W) meet masks (N, H, W) in an own Dice: every image with every mask."""

    def dice(scores, y):
        p = scores.sigmoid()
        return 1 - (2 * (p * y).mean() + 0.01) / (p.mean() + y.mean() + 0.01)

    return Wiring(dice, w.maps(6, 1, 5, 5), w.labels(6, 5, 5))


@FOURTH.bug("BROADCAST", "WEIGHT")
def importance_column_times_losses(w: World):
    """Per-sample weights of shape (N, 1) times losses of shape (N,): each sample gets the mean
    weight."""
    table = torch.tensor([0.2, 1.0, 5.0], dtype=w.dtype)

    def loss(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return (each * table[target].unsqueeze(1)).mean()

    return Wiring(loss, w.logits(30, 3), w.classes(30, k=3))


@FOURTH.bug("TARGET_DTYPE")
def signs_from_unsigned_bytes(w: World):
    """Labels are uint8: 2 * y - 1 and its minus wrap round to 1 and 255, all samples are trained as
    negatives."""

    def logistic(scores, y):
        return F.softplus(-(2 * y - 1) * scores).mean()

    return Wiring(logistic, w.logits(30, 1).squeeze(1), w.labels(30).to(torch.uint8))


@FOURTH.bug("TARGET_DTYPE")
def soft_labels_cut_to_integers(w: World):
    """Smoothed labels 0.95 / 0.05 pass through .long() in the loss and are all zero."""

    def loss(output, target):
        return F.binary_cross_entropy_with_logits(output, target.long().to(output.dtype))

    return Wiring(loss, w.logits(30, 4), 0.05 + 0.9 * w.several(30, 4))


@FOURTH.bug("CLASS_DIM")
def channels_first_flattened(w: World):
    """(N, C, H, W) is reshaped to (-1, C) straight away, the mask to (-1)."""

    def pixel_loss(output, target):
        return F.cross_entropy(output.reshape(-1, output.shape[1]), target.reshape(-1))

    return Wiring(pixel_loss, w.maps(3, 4, 6, 5), w.classes(3, 6, 5, k=4))


@FOURTH.bug("CLASS_DIM")
def as_many_tokens_as_tags(w: World):
    """Output (N, T, C) untransposed into the cross entropy; T equals C, so nothing complains."""
    return Wiring(
        nn.CrossEntropyLoss(),
        w.logits(7, 6, 6),
        w.classes(7, 6, k=6),
        {"predict": lambda o: o.argmax(-1)},
    )


@FOURTH.bug("API")
def bce_with_target_first(w: World):
    """binary_cross_entropy(target, output), another library's order; labels softened to 0.1 / 0.9,
    so it stays finite."""

    def loss(output, target):
        return F.binary_cross_entropy(target, output)

    return Wiring(loss, w.logits(30, 1).sigmoid(), 0.1 + 0.8 * w.labels(30, 1))


@FOURTH.bug("API")
def the_class_is_the_criterion(w: World):
    """The loss's class, never instantiated: the call makes a module out of output and target."""
    return Wiring(nn.MultiMarginLoss, w.logits(20, 4), w.classes(20, k=4))


@FOURTH.bug("WEIGHT")
def pos_weight_is_positives_over_negatives(w: World):
    """pos_weight = positives / negatives, so rare labels count still less."""
    target = (w.randn(60, 4) > 1.1).to(w.dtype)
    target[:2] = 1
    ratio = target.sum(0) / (1 - target).sum(0)
    return Wiring(nn.BCEWithLogitsLoss(pos_weight=ratio), w.logits(60, 4), target)


@FOURTH.bug("WEIGHT", "API")
def pos_weight_in_the_third_place(w: World):
    """Negatives / positives handed over positionally is `weight`, which scales both sides of a
    label."""
    target = (w.randn(60, 3) > torch.tensor([0.8, 1.2, 1.5])).to(w.dtype)
    target[:2] = 1
    ratio = (1 - target).sum(0) / target.sum(0)
    return Wiring(
        lambda o, y: F.binary_cross_entropy_with_logits(o, y, ratio), w.logits(60, 3), target
    )


@FOURTH.bug("WEIGHT")
def common_class_below_zero(w: World):
    """weight = 1 - 0.6 count / mean count: the commonest class gets a negative weight, its errors
    are rewarded."""
    target = torch.tensor([0] * 30 + [1] * 12 + [2] * 12 + [3] * 6)
    counts = target.bincount().to(w.dtype)
    return Wiring(
        nn.CrossEntropyLoss(weight=1 - 0.6 * counts / counts.mean()), w.logits(60, 4), target
    )


@FOURTH.bug("TARGET_RANGE")
def margin_loss_with_zero_one(w: World):
    """An own hinge wants -1 / 1, the labels are 0 / 1: negatives give a constant."""

    def hinge(scores, y):
        return F.relu(1 - y * scores).mean()

    return Wiring(hinge, w.logits(40, 1).flatten(), w.labels(40))


@FOURTH.bug("TARGET_RANGE")
def labels_one_and_two(w: World):
    """A two-class file numbers its classes 1 and 2, and so they enter the binary loss."""
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(30, 1).squeeze(1), 1 + w.labels(30))


@FOURTH.bug("TARGET_RANGE")
def letters_numbered_from_the_blank(w: World):
    """CTC reserves 0 for the blank, the alphabet is numbered from 0 as well."""
    frames, n, letters = 14, 4, 6

    def ctc(output, target):
        return F.ctc_loss(
            output.log_softmax(-1), target, torch.full((n,), frames), torch.full((n,), 5)
        )

    return Wiring(ctc, w.logits(frames, n, letters), w.classes(n, 5, k=letters - 1))


@FOURTH.bug("TARGET_NOT_DISTRIBUTION")
def votes_of_five_annotators(w: World):
    """Soft targets are counts of votes; rows sum to five and nobody divides."""
    votes = sum(one_hot(w.classes(24, k=4), 4, w.dtype) for _ in range(5))
    return Wiring(nn.CrossEntropyLoss(), w.logits(24, 4), votes)


@FOURTH.bug("TARGET_NOT_DISTRIBUTION")
def smoothing_not_shared_out(w: World):
    """Own label smoothing adds 0.2 to each of eight classes instead of 0.2 / 8: rows sum to 2.4."""
    return Wiring(
        F.cross_entropy, w.logits(32, 8), 0.8 * one_hot(w.classes(32, k=8), 8, w.dtype) + 0.2
    )


@FOURTH.bug("TARGET_NOT_DISTRIBUTION")
def log_teacher_without_log_target(w: World):
    """Both sides are log-probabilities, but log_target is left off."""
    return Wiring(
        nn.KLDivLoss(reduction="batchmean"),
        w.logits(20, 4).log_softmax(1),
        w.randn(20, 4).log_softmax(1),
    )


@FOURTH.bug("NUMERICS")
def branch_not_taken_overflows(w: World):
    """A 'stable' logistic loss by torch.where: the value is finite, the gradient of the other
    branch is inf * 0."""

    def loss(x, y):
        stable = torch.where(x > 0, x + torch.log1p(torch.exp(-x)), torch.log1p(torch.exp(x)))
        return (stable - x * y).mean()

    return Wiring(loss, 60 * w.logits(40, 1), w.labels(40, 1))


@FOURTH.bug("NUMERICS")
def angle_of_an_exact_match(w: World):
    """Proxies imprinted from the first sample of each class, an angular margin by acos: infinite
    slope at cosine 1."""

    def arc(cosine, target):
        chosen = F.one_hot(target, cosine.shape[1]).bool()
        angle = torch.acos(cosine.clamp(-1, 1))
        return F.cross_entropy(16 * torch.where(chosen, torch.cos(angle + 0.3), cosine), target)

    features = F.normalize(w.logits(24, 6))
    return Wiring(arc, features @ features[:4].detach().T, w.classes(24, k=4))


@FOURTH.bug("NUMERICS")
def smoothing_over_forbidden_moves(w: World):
    """Illegal moves get -inf, and label smoothing wants a share of probability for each of them."""
    target = w.classes(24, k=6)
    illegal = (w.randn(24, 6) > 0.8) & ~F.one_hot(target, 6).bool()
    return Wiring(
        nn.CrossEntropyLoss(label_smoothing=0.1),
        w.logits(24, 6).masked_fill(illegal, -math.inf),
        target,
    )


@FOURTH.bug("IGNORE_INDEX")
def padded_tail_of_zeros(w: World):
    """Sentences are padded with token 0 up to twelve and the loss counts the padding."""
    target = 1 + w.classes(8, 12, k=8)
    for row, length in enumerate([12, 3, 5, 2, 7, 4, 3, 6]):
        target[row, length:] = 0
    return Wiring(nn.CrossEntropyLoss(), w.logits(8, 12, 9).transpose(1, 2), target)


@FOURTH.bug("IGNORE_INDEX")
def real_class_declared_as_padding(w: World):
    """ignore_index=0 was copied from a translation project; here 0 is one of three sentiments."""
    return Wiring(nn.CrossEntropyLoss(ignore_index=0), w.logits(30, 3), w.classes(30, k=3))


@FOURTH.bug("IGNORE_INDEX", "TARGET_RANGE")
def void_clamped_to_the_last_class(w: World):
    """Void pixels 255 broke the loss, so the mask is clamped: they all become the last class."""
    target = w.classes(3, 8, 8, k=5)
    target[:, :, -2:] = 255
    target[:, 0] = 255

    def loss(output, mask):
        return F.cross_entropy(output, mask.clamp(max=output.shape[1] - 1))

    return Wiring(loss, w.maps(3, 5, 8, 8), target)


@FOURTH.bug("REDUCTION")
def sum_over_unequal_batches(w: World):
    """reduction='sum' while batches have 48, 48 and 7 samples."""
    pairs = [(w.logits(n, 5), w.classes(n, k=5)) for n in (48, 48, 7)]
    return Wiring(nn.CrossEntropyLoss(reduction="sum"), *pairs[0], {"batches": pairs[1:]})


@FOURTH.bug("REDUCTION")
def masked_then_averaged_over_padding(w: World):
    """Padding (-1) is multiplied out, but the mean still divides by all positions."""
    target = w.classes(6, 10, k=4)
    for row, length in enumerate([10, 2, 3, 1, 4, 2]):
        target[row, length:] = -1

    def loss(output, y):
        mask = (y >= 0).to(output.dtype)
        return (
            F.cross_entropy(output.transpose(1, 2), y.clamp(min=0), reduction="none") * mask
        ).mean()

    return Wiring(loss, w.logits(6, 10, 4), target)


@FOURTH.bug("REDUCTION")
def soft_cross_entropy_averaged_over_classes(w: World):
    """-(y log p).mean() divides by the number of classes as well: twentyfold too small."""

    def loss(output, target):
        return -(target * output.log_softmax(1)).mean()

    return Wiring(loss, w.logits(40, 20), one_hot(w.classes(40, k=20), 20, w.dtype))


@FOURTH.bug("CUSTOM_LOSS")
def overlap_returned_as_loss(w: World):
    """The soft F1 of tags is returned itself and so minimised."""

    def soft_f1(output, y):
        p = output.sigmoid()
        hit = (p * y).sum(0)
        return (2 * hit / (2 * hit + (p * (1 - y)).sum(0) + ((1 - p) * y).sum(0) + 1e-3)).mean()

    return Wiring(soft_f1, w.logits(32, 5), w.several(32, 5))


@FOURTH.bug("CUSTOM_LOSS")
def product_of_the_sums(w: World):
    """The intersection is mean(p) * mean(y): only the areas matter, no longer which pixel is
    which."""

    def dice(scores, y):
        p = scores.sigmoid()
        return 1 - (2 * p.mean() * y.mean() + 1e-3) / (p.mean() + y.mean() + 1e-3)

    return Wiring(dice, w.maps(4, 1, 6, 6), w.labels(4, 1, 6, 6))


@FOURTH.bug("CUSTOM_LOSS")
def forgotten_second_term(w: World):
    """A hand-written binary loss has forgotten (1 - y) log(1 - p): 'always yes' is perfect."""

    def loss(scores, y):
        return -(y * F.logsigmoid(scores)).mean()

    return Wiring(loss, w.logits(36, 4), w.several(36, 4))


@FOURTH.bug("CUSTOM_LOSS")
def critic_hinge_with_one_sign(w: World):
    """The discriminator's hinge has relu(1 + score) for the real ones too: everything is called
    fake."""

    def critic(scores, real):
        return (real * F.relu(1 + scores) + (1 - real) * F.relu(1 + scores)).mean()

    return Wiring(critic, w.logits(32, 1), w.labels(32, 1))


@FOURTH.bug("CUSTOM_LOSS")
def mixup_forgets_the_partner(w: World):
    """Soft mixup labels, but the loss reduces them to their largest entry's class."""
    first, second = (one_hot(w.classes(30, k=4), 4, w.dtype) for _ in range(2))

    def loss(output, target):
        return F.cross_entropy(output, target.argmax(1))

    return Wiring(loss, w.logits(30, 4), 0.55 * first + 0.45 * second)


@FOURTH.bug("DECISION_RULE")
def largest_value_for_largest_place(w: World):
    """torch.max(output, 1)[0] is the value, not the index."""
    return Wiring(
        nn.CrossEntropyLoss(),
        w.logits(40, 5),
        w.classes(40, k=5),
        {"predict": lambda o: torch.max(o, 1)[0].long()},
    )


@FOURTH.bug("DECISION_RULE")
def farthest_prototype_wins(w: World):
    """The loss takes the softmax of negative distances, the decision the argmax of the
    distances."""

    def loss(distance, target):
        return F.cross_entropy(-distance, target)

    distance = F.softplus(w.logits(36, 4)) * 2
    return Wiring(loss, distance, w.classes(36, k=4), {"predict": lambda d: d.argmax(dim=1)})


@FOURTH.bug("DECISION_RULE")
def sigmoid_on_probabilities_when_deciding(w: World):
    """The model returns probabilities; the decision takes their sigmoid, above 0.5 for all of
    them."""

    def decide(output):
        return (torch.sigmoid(output) > 0.5).long()

    return Wiring(nn.BCELoss(), w.logits(40, 1).sigmoid(), w.labels(40, 1), {"predict": decide})


@FOURTH.bug("DECISION_RULE")
def one_tag_for_pictures_with_many(w: World):
    """Labels are independent yes/no, the decision allows exactly one."""

    def decide(output):
        return F.one_hot(output.argmax(1), output.shape[1])

    return Wiring(nn.BCEWithLogitsLoss(), w.logits(40, 6), w.several(40, 6), {"predict": decide})


@FOURTH.bug("IMBALANCE")
def folders_read_one_after_the_other(w: World):
    """No shuffling: each batch has the pictures of one folder, that is of one class."""
    pairs = [(w.logits(16, 4), torch.full((16,), c)) for c in (0, 1, 2, 3)]
    return Wiring(nn.CrossEntropyLoss(), *pairs[0], {"batches": pairs[1:]})


@FOURTH.bug("IMBALANCE")
def lesion_of_three_pixels(w: World):
    """Three of 1,536 pixels are lesion and the plain pixel loss takes no notice."""
    target = torch.zeros(6, 16, 16, dtype=torch.long)
    target[2, 4, 5:8] = 1
    return Wiring(nn.CrossEntropyLoss(), w.maps(6, 2, 16, 16), target)


@FOURTH.right
def probabilities_into_bce(w: World):
    """A sigmoid at the end, and BCELoss, which wants just that."""
    net, x = nn.Sequential(nn.Linear(6, 3), nn.Sigmoid()), w.randn(30, 6)
    return Wiring(
        nn.BCELoss(),
        w.run(net, x),
        w.labels(30, 3),
        {"model": net, "inputs": x, "predict": lambda p: (p > 0.5).long()},
    )


@FOURTH.right
def one_against_the_rest(w: World):
    """K logistic regressions over exclusive classes with an argmax decision."""
    y = one_hot(w.classes(30, k=5), 5, w.dtype)
    return Wiring(
        nn.BCEWithLogitsLoss(), w.logits(30, 5), y, {"predict": lambda o: F.one_hot(o.argmax(1), 5)}
    )


@FOURTH.right
def brier_by_hand(w: World):
    """Squared error between softmax probabilities and the one-hot code: a proper score."""

    def brier(scores, target):
        return (
            (scores.softmax(1) - one_hot(target, scores.shape[1], scores.dtype))
            .square()
            .sum(1)
            .mean()
        )

    return Wiring(brier, w.logits(32, 4), w.classes(32, k=4))


@FOURTH.right
def minus_log_dice(w: World):
    """-log of a smoothed Dice of sigmoids, channel against channel."""

    def loss(scores, y):
        p = scores.sigmoid()
        return -torch.log((2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1))

    return Wiring(loss, w.maps(3, 1, 6, 6), w.labels(3, 1, 6, 6))


@FOURTH.right
def scaled_cosines_with_margin(w: World):
    """CosFace: cosines, minus 0.2 at the target, times 12, inside the loss."""

    class Cosine(nn.Module):
        def __init__(self):
            super().__init__()
            self.proxies = nn.Parameter(torch.randn(5, 6))

        def forward(self, x):
            return F.normalize(x, eps=1e-4) @ F.normalize(self.proxies, eps=1e-4).T

    def cosface(cosine, target):
        return F.cross_entropy(
            12 * (cosine - 0.2 * one_hot(target, cosine.shape[1], cosine.dtype)), target
        )

    head, x = Cosine(), w.randn(40, 6)
    return Wiring(
        cosface,
        w.run(head, x),
        w.classes(40, k=5),
        {"model": head, "inputs": x, "predict": lambda c: c.argmax(1)},
    )


@FOURTH.right
def softly_capped_scores(w: World):
    """Logits capped as 30 tanh(x / 30), a bound that does not bind."""
    return Wiring(nn.CrossEntropyLoss(), 30 * torch.tanh(w.logits(32, 6) / 30), w.classes(32, k=6))


@FOURTH.right
def mostly_masked_language_model(w: World):
    """Four of five positions are -100, the default ignore_index, as in masked language
    modelling."""
    target = w.classes(5, 10, k=7)
    target[torch.arange(50).view(5, 10) % 5 != 0] = -100
    return Wiring(
        nn.CrossEntropyLoss(),
        w.logits(5, 10, 7).transpose(1, 2),
        target,
        {"predict": lambda o: o.argmax(1)},
    )


@FOURTH.right
def nearest_prototype(w: World):
    """Softmax of negative distances in the loss, argmin in the decision."""
    distance = F.softplus(w.logits(36, 4)) * 2
    return Wiring(
        lambda d, y: F.cross_entropy(-d, y),
        distance,
        w.classes(36, k=4),
        {"predict": lambda d: d.argmin(dim=1)},
    )


@FOURTH.right
def mixup_as_soft_labels(w: World):
    """Mixed one-hot labels, rows summing to one (weights 3/4 and 1/4 are exact in every
    precision)."""
    a, b = (one_hot(w.classes(24, k=4), 4, w.dtype) for _ in range(2))
    return Wiring(nn.CrossEntropyLoss(), w.logits(24, 4), 0.75 * a + 0.25 * b)


@FOURTH.right
def tags_as_a_uniform_distribution(w: World):
    """Hashtags by softmax: each picture's k tags share probability one, deliberately."""
    tags = torch.maximum(w.labels(28, 6), one_hot(w.classes(28, k=6), 6, w.dtype))
    return Wiring(nn.CrossEntropyLoss(), w.logits(28, 6), tags / tags.sum(1, keepdim=True))


@FOURTH.right
def rare_classes_weighted_up(w: World):
    """Balanced weights n / (K n_c) with an uneven batch."""
    target = torch.tensor([0] * 30 + [1] * 12 + [2] * 6)
    weight = (48 / (3 * target.bincount())).to(w.dtype)
    return Wiring(nn.CrossEntropyLoss(weight=weight), w.logits(48, 3), target)


@FOURTH.right
def rare_positives_weighted_up(w: World):
    """pos_weight = negatives / positives for each label."""
    target = (w.randn(60, 3) > 1).to(w.dtype)
    target[:2] = 1
    pos_weight = (1 - target).sum(0) / target.sum(0)
    return Wiring(
        nn.BCEWithLogitsLoss(pos_weight=pos_weight),
        w.logits(60, 3),
        target,
        {"predict": lambda o: (o > 0).long()},
    )


@FOURTH.right
def soft_margin_with_signs(w: World):
    """SoftMarginLoss with -1 / 1 in the scores' own shape."""
    return Wiring(
        nn.SoftMarginLoss(),
        w.logits(30, 1),
        2 * w.labels(30, 1) - 1,
        {"predict": lambda o: o.sign()},
    )


@FOURTH.right
def time_first_on_both_sides(w: World):
    """(T, N, C) and (T, N), flattened alike."""

    def loss(output, target):
        return F.cross_entropy(output.flatten(0, 1), target.flatten())

    return Wiring(
        loss, w.logits(9, 4, 5), w.classes(9, 4, k=5), {"predict": lambda o: o.argmax(-1)}
    )


@FOURTH.right
def distillation_in_logs(w: World):
    """Log-probabilities on both sides with log_target=True and T squared."""

    def distil(student, teacher):
        return 4 * F.kl_div(
            (student / 2).log_softmax(1),
            (teacher / 2).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )

    return Wiring(distil, w.logits(24, 5), 2 * w.randn(24, 5))


@FOURTH.right
def critic_hinge(w: World):
    """A discriminator's hinge: relu(1 - s) for the real, relu(1 + s) for the fake."""

    def critic(scores, real):
        return (real * F.relu(1 - scores) + (1 - real) * F.relu(1 + scores)).mean()

    return Wiring(critic, w.logits(32, 1), w.labels(32, 1))


@FOURTH.right
def sum_over_valid_tokens(w: World):
    """reduction='sum' divided by the number of unpadded tokens, padding 0 declared."""
    target = 1 + w.classes(6, 8, k=6)
    for row, length in enumerate([8, 3, 5, 2, 6, 4]):
        target[row, length:] = 0

    def loss(output, y):
        return (
            F.cross_entropy(output.movedim(-1, 1), y, ignore_index=0, reduction="sum")
            / (y != 0).sum()
        )

    return Wiring(loss, w.logits(6, 8, 7), target)


@FOURTH.right
def ordered_levels(w: World):
    """Ordinal classes as cumulative yes/no questions; the decision counts the yeses."""

    def levels(scores, grade):
        asked = torch.arange(scores.shape[1])
        return F.binary_cross_entropy_with_logits(scores, (grade[:, None] > asked).to(scores.dtype))

    shared = w.logits(40, 1)
    thresholds = torch.tensor([1.5, 0.5, -0.5, -1.5], dtype=w.dtype)
    return Wiring(
        levels, shared + thresholds, w.classes(40, k=5), {"predict": lambda o: (o > 0).sum(1)}
    )


@FOURTH.right
def smoothing_by_hand(w: World):
    """(1 - e) nll + e mean(-log p): the label smoothing that torch has, written out."""

    def loss(output, target):
        log_p = output.log_softmax(-1)
        nll = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return (0.9 * nll - 0.1 * log_p.mean(-1)).mean()

    return Wiring(loss, w.logits(32, 6), w.classes(32, k=6))


@FOURTH.right
def coarse_label_only(w: World):
    """Only the group of a sample is known: -log of the sum of its members' probabilities."""
    member = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], dtype=torch.bool)

    def loss(output, group):
        inside = output.masked_fill(~member[group], -math.inf)
        return (output.logsumexp(1) - inside.logsumexp(1)).mean()

    def predict(o):
        return torch.stack([o[:, :2].logsumexp(1), o[:, 2:].logsumexp(1)], 1).argmax(1)

    return Wiring(loss, w.logits(30, 5), w.classes(30, k=2), {"predict": predict})


@FOURTH.right
def contrastive_square(w: World):
    """A batch's similarities (N, N), target arange(N): each picture's own caption is right."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(6, 8), nn.Linear(6, 8)

        def forward(self, x):
            return (
                F.normalize(self.left(x), eps=1e-4) @ F.normalize(self.right(x), eps=1e-4).T / 0.1
            )

    net, x = Pair(), w.randn(12, 6)

    def clip(s, y):
        return (F.cross_entropy(s, y) + F.cross_entropy(s.T, y)) / 2

    return Wiring(clip, w.run(net, x), torch.arange(12), {"model": net, "inputs": x})


@FOURTH.right
def shifted_language_model(w: World):
    """Output and target both hold the whole text; the loss shifts them against each other."""

    def loss(output, tokens):
        return F.cross_entropy(
            output[:, :-1].reshape(-1, output.shape[-1]), tokens[:, 1:].reshape(-1)
        )

    return Wiring(loss, w.logits(5, 9, 8), w.classes(5, 9, k=8))


@FOURTH.right
def hardest_quarter(w: World):
    """Online hard examples: the mean of the largest quarter of the losses."""

    def loss(output, target):
        each = F.cross_entropy(output, target, reduction="none").flatten()
        return each.topk(len(each) // 4).values.mean()

    return Wiring(loss, w.maps(3, 4, 6, 6), w.classes(3, 6, 6, k=4))


@FOURTH.right
def unmeasured_assays_are_nan(w: World):
    """Missing labels are NaN in the target, and the loss picks the measured ones before anything
    else."""
    target = w.labels(30, 5)
    target[w.randn(30, 5) > 0.6] = math.nan

    def loss(output, y):
        known = ~torch.isnan(y)
        return F.binary_cross_entropy_with_logits(output[known], y[known])

    return Wiring(loss, w.logits(30, 5), target)


@FOURTH.right
def uncertain_findings_are_minus_one(w: World):
    """-1 marks 'uncertain'; such entries are masked, and the mask is divided out."""
    target = w.labels(30, 5)
    target[w.randn(30, 5) > 0.8] = -1

    def loss(output, y):
        known = (y >= 0).to(output.dtype)
        return (
            F.binary_cross_entropy_with_logits(output, y.clamp(min=0), reduction="none") * known
        ).sum() / known.sum()

    return Wiring(loss, w.logits(30, 5), target)


@FOURTH.right
def yes_or_no_as_booleans(w: World):
    """Boolean targets choose between the two softplus terms."""

    def loss(scores, y):
        return torch.where(y, F.softplus(-scores), F.softplus(scores)).mean()

    return Wiring(
        loss, w.logits(30, 1).squeeze(1), w.labels(30).bool(), {"predict": lambda s: s > 0}
    )


@FOURTH.right
def void_pixels_declared(w: World):
    """255 in the mask, ignore_index=255 in the loss, dropout in the middle of the net."""
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Dropout2d(0.2), nn.Conv2d(8, 4, 1))
    target, x = w.classes(3, 6, 6, k=4), w.randn(3, 3, 6, 6)
    target[:, 0] = 255
    return Wiring(
        nn.CrossEntropyLoss(ignore_index=255), w.run(net, x), target, {"model": net, "inputs": x}
    )


@FOURTH.right
def prior_added_to_the_scores(w: World):
    """Logit adjustment: the log of the class frequencies is added in training, not in the
    decision."""
    target = torch.tensor([0] * 26 + [1] * 12 + [2] * 10)
    log_prior = (target.bincount() / 48).log().to(w.dtype)
    return Wiring(
        lambda o, y: F.cross_entropy(o + log_prior, y),
        w.logits(48, 3),
        target,
        {"predict": lambda o: o.argmax(1)},
    )


@FOURTH.right
def generalised_cross_entropy(w: World):
    """(1 - p_y ** 0.7) / 0.7, bounded and robust to wrong labels."""

    def gce(output, target):
        p = output.softmax(1).gather(1, target[:, None]).squeeze(1)
        return ((1 - p**0.7) / 0.7).mean()

    return Wiring(gce, w.logits(40, 4), w.classes(40, k=4))


@FOURTH.right
def focal_with_class_table(w: World):
    """Focal loss as it should be: per sample, alpha by class, then the mean; classes last."""
    alpha = torch.tensor([0.5, 1.0, 1.5], dtype=w.dtype)

    def focal(output, target):
        log_pt = output.log_softmax(-1).gather(-1, target[..., None]).squeeze(-1)
        return (alpha[target] * (1 - log_pt.exp()) ** 2 * -log_pt).mean()

    return Wiring(
        focal, w.logits(4, 10, 3), w.classes(4, 10, k=3), {"predict": lambda o: o.argmax(-1)}
    )
