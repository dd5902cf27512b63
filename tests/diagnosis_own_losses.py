"""Losses of one's own: what probes must find in them, and what people want as it is.

The wrong ones show what each probe is for; the right ones look like them and are none.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diagnosis_cases import Trial, Wiring, World, one_hot
from torch import nn

OWN = Trial()


@OWN.bug("BOUNDED_LOGITS")
def logits_clamped_to_one(w: World):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(30, 1).clamp(-1, 1), w.labels(30, 1))


@OWN.bug("BOUNDED_LOGITS")
def scores_of_length_one(w: World):
    return Wiring(nn.CrossEntropyLoss(), F.normalize(w.logits(30, 4), dim=1), w.classes(30, k=4))


@OWN.bug("BOUNDED_LOGITS")
def scores_standardised_by_row(w: World):
    x = w.logits(30, 4)
    return Wiring(
        nn.CrossEntropyLoss(),
        (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5),
        w.classes(30, k=4),
    )


@OWN.bug("BOUNDED_LOGITS")
def scores_between_0_and_1_by_row(w: World):
    x = w.logits(30, 4)
    lo, hi = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    return Wiring(nn.CrossEntropyLoss(), (x - lo) / (hi - lo), w.classes(30, k=4))


@OWN.bug("DOUBLE_ACTIVATION")
def soft_margin_on_a_sigmoid(w: World):
    return Wiring(nn.SoftMarginLoss(), torch.sigmoid(w.logits(30, 1)), 2 * w.labels(30, 1) - 1)


@OWN.bug("DOUBLE_ACTIVATION")
def ensemble_of_softmaxes(w: World):
    return Wiring(
        nn.CrossEntropyLoss(),
        (w.logits(30, 4).softmax(1) + w.logits(30, 4).softmax(1)) / 2,
        w.classes(30, k=4),
    )


@OWN.bug("WRONG_DIM CUSTOM_LOSS")
def logsumexp_over_the_batch(w: World):
    return Wiring(
        lambda output, target: (
            output.logsumexp(0).mean() - output.gather(1, target[:, None]).mean()
        ),
        w.logits(20, 4),
        w.classes(20, k=4),
    )


@OWN.bug("BROADCAST")
def focal_by_where_on_a_column(w: World):
    def criterion(output, target):
        p = output.sigmoid()
        pt = torch.where(target == 1, p, 1 - p)
        return (-((1 - pt) ** 2) * pt.log()).mean()

    return Wiring(criterion, w.logits(20, 1), w.labels(20))


@OWN.bug("BROADCAST")
def column_of_constant_weights(w: World):
    wt = w.randn(30, 1).abs()
    return Wiring(
        lambda output, target: (F.cross_entropy(output, target, reduction="none") * wt).mean(),
        w.logits(30, 4),
        w.classes(30, k=4),
    )


@OWN.bug("TARGET_DTYPE")
def smoothing_in_integers(w: World):
    def criterion(output, target):
        t = torch.full_like(target, 0)
        t = t + (target * 0.9).to(target.dtype)
        return F.binary_cross_entropy_with_logits(output, t.to(output.dtype))

    return Wiring(criterion, w.logits(20, 3), w.labels(20, 3).long())


@OWN.bug("CLASS_DIM")
def dice_on_reshaped_maps(w: World):
    def criterion(output, target):
        p = output.softmax(1).reshape(-1, 3)
        t = one_hot(target.reshape(-1), 3, output.dtype)
        return 1 - (2 * (p * t).sum(0) / (p.sum(0) + t.sum(0))).mean()

    return Wiring(criterion, w.maps(2, 3, 5, 5), w.classes(2, 5, 5, k=3))


@OWN.bug("CLASS_DIM")
def target_transposed_once(w: World):
    def criterion(output, target):
        return F.cross_entropy(output.reshape(-1, 5), target.t().reshape(-1))

    return Wiring(criterion, w.logits(6, 9, 5), w.classes(6, 9, k=5))


@OWN.bug("API")
def cross_entropy_in_keras_order(w: World):
    def cc(y_true, y_pred):
        return -(one_hot(y_true, 4, y_pred.dtype) * y_pred.log_softmax(1)).sum(1).mean()

    return Wiring(cc, w.logits(20, 4), w.classes(20, k=4))


@OWN.bug("WEIGHT")
def alpha_by_frequency(w: World):
    t = torch.tensor([0] * 40 + [1] * 15 + [2] * 5)
    a = (t.bincount() / 60).to(w.dtype)

    def criterion(output, target):
        ce = F.cross_entropy(output, target, reduction="none")
        return (a[target] * (1 - torch.exp(-ce)) ** 2 * ce).mean()

    return Wiring(criterion, w.logits(60, 3), t)


@OWN.bug("TARGET_RANGE")
def dice_of_grey_masks(w: World):
    def d(output, target):
        p = output.sigmoid()
        return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)

    return Wiring(d, w.maps(2, 1, 5, 5), 255 * w.labels(2, 1, 5, 5))


@OWN.bug("TARGET_RANGE")
def signs_in_a_stable_bce(w: World):
    return Wiring(
        lambda output, target: (F.softplus(output) - target * output).mean(),
        w.logits(30, 1),
        2 * w.labels(30, 1) - 1,
    )


@OWN.bug("IGNORE_INDEX")
def unknown_label_wraps_round(w: World):
    def criterion(output, target):
        return -(torch.eye(4, dtype=output.dtype)[target] * output.log_softmax(1)).sum(1).mean()

    t = w.classes(40, k=4)
    t[5:12] = -1
    return Wiring(criterion, w.logits(40, 4), t)


@OWN.bug("TARGET_NOT_DISTRIBUTION")
def teacher_over_the_batch(w: World):
    return Wiring(
        nn.KLDivLoss(reduction="batchmean"),
        w.logits(30, 4).log_softmax(1),
        w.randn(30, 4).softmax(0),
    )


@OWN.bug("IGNORE_INDEX REDUCTION")
def skipped_tokens_in_the_mean(w: World):
    t = w.classes(5, 8, k=6)
    t[:, 5:] = -100
    return Wiring(
        lambda output, target: F.cross_entropy(
            output.transpose(1, 2), target, reduction="none"
        ).mean(),
        w.logits(5, 8, 6),
        t,
    )


@OWN.bug("CUSTOM_LOSS")
def focal_with_p_for_pt(w: World):
    def criterion(output, target):
        p = output.sigmoid()
        b = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        return ((1 - p) ** 2 * b).mean()

    return Wiring(criterion, w.logits(20, 1), w.labels(20, 1))


@OWN.bug("CUSTOM_LOSS")
def focal_with_the_loss_for_pt(w: World):
    def criterion(output, target):
        ce = F.cross_entropy(output, target, reduction="none")
        return ((1 - ce) ** 2 * ce).mean()

    return Wiring(criterion, w.logits(20, 4), w.classes(20, k=4))


@OWN.bug("CUSTOM_LOSS")
def only_the_last_of_a_loop(w: World):
    def criterion(output, target):
        total = 0
        for i in range(len(output)):
            total = F.cross_entropy(output[i : i + 1], target[i : i + 1])
        return total

    return Wiring(criterion, w.logits(20, 4), w.classes(20, k=4))


@OWN.bug("CUSTOM_LOSS")
def hinge_turned_round(w: World):
    return Wiring(
        lambda output, target: F.relu(1 + (2 * target - 1) * output).mean(),
        w.logits(20, 1),
        w.labels(20, 1),
    )


@OWN.bug("LOGITS_FOR_PROBS")
def generalised_on_raw_scores(w: World):
    def criterion(output, target):
        p = output.gather(1, target[:, None]).squeeze(1).clamp(min=1e-6)
        return ((1 - p**0.7) / 0.7).mean()

    return Wiring(criterion, w.logits(30, 4), w.classes(30, k=4))


@OWN.bug("DECISION_RULE")
def half_of_a_softmax_for_several(w: World):
    return Wiring(
        nn.BCEWithLogitsLoss(),
        w.logits(30, 5),
        w.several(30, 5),
        {"predict": lambda output: (output.softmax(1) > 0.5).long()},
    )


@OWN.bug("DECISION_RULE")
def hinge_decided_backwards(w: World):
    return Wiring(
        lambda output, target: F.relu(1 - (2 * target - 1) * output).mean(),
        w.logits(40, 1),
        w.labels(40, 1),
        {"predict": lambda output: (output < 0).long()},
    )


@OWN.bug("DECISION_RULE")
def levels_decided_by_argmax(w: World):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(
            output, (target[:, None] > torch.arange(4)).to(output.dtype)
        )

    return Wiring(
        criterion, w.logits(40, 4), w.classes(40, k=5), {"predict": lambda output: output.argmax(1)}
    )


@OWN.right
def wgan(w: World):
    return Wiring(
        lambda s, target: (-(2 * target - 1) * s).mean(), w.logits(30, 1), w.labels(30, 1)
    )


@OWN.right
def wgan_signs(w: World):
    return Wiring(lambda s, target: -(target * s).mean(), w.logits(30, 1), 2 * w.labels(30, 1) - 1)


@OWN.right
def contrastive_dist(w: World):
    d = F.softplus(w.logits(30, 1)).squeeze(1)
    return Wiring(
        lambda d, target: (target * d**2 + (1 - target) * F.relu(2 - d) ** 2).mean(),
        d,
        w.labels(30),
        {"predict": lambda d: (d < 1).long()},
    )


@OWN.right
def triplet_supcon(w: World):
    def sup(z, target):
        z = F.normalize(z, dim=1)
        s = z @ z.T / 0.2
        s = s - torch.eye(len(target), dtype=z.dtype) * 1e4
        m = (target[:, None] == target[None]).to(z.dtype) - torch.eye(len(target), dtype=z.dtype)
        lp = s.log_softmax(1)
        return -((m * lp).sum(1) / m.sum(1).clamp(min=1)).mean()

    return Wiring(sup, w.logits(24, 8), w.classes(24, k=4))


@OWN.right
def center(w: World):
    c = w.randn(4, 6)
    return Wiring(
        lambda z, target: ((z - c[target]) ** 2).sum(1).mean(), w.logits(24, 6), w.classes(24, k=4)
    )


@OWN.right
def multiclass_hinge(w: World):
    def criterion(output, target):
        s = output.gather(1, target[:, None])
        m = F.relu(1 + output - s)
        return (m.sum(1) - 1).mean()

    return Wiring(
        criterion, w.logits(24, 5), w.classes(24, k=5), {"predict": lambda output: output.argmax(1)}
    )


@OWN.right
def asl(w: World):
    def criterion(output, target):
        p = output.sigmoid()
        pn = (1 - p + 0.05).clamp(max=1)
        pp = p
        loss = target * torch.log(pp.clamp(min=1e-4)) + (1 - target) * torch.log(pn.clamp(min=1e-4))
        pt = pp * target + pn * (1 - target)
        return -(loss * (1 - pt) ** (1 * target + 4 * (1 - target))).mean()

    return Wiring(
        criterion,
        w.logits(24, 5),
        w.several(24, 5),
        {"predict": lambda output: (output.sigmoid() > 0.3).long()},
    )


@OWN.right
def lovasz(w: World):
    def criterion(output, target):
        output, target = output.flatten(), target.flatten()
        e = 1 - output * (2 * target - 1)
        es, idx = e.sort(descending=True)
        g = target[idx]
        i = g.sum() - g.cumsum(0)
        u = g.sum() + (1 - g).cumsum(0)
        j = 1 - i / u
        j = torch.cat([j[:1], j[1:] - j[:-1]])
        return (F.relu(es) * j.detach()).sum()

    return Wiring(criterion, w.maps(2, 1, 5, 5), w.labels(2, 1, 5, 5))


@OWN.right
def per_seq_mean(w: World):
    t = w.classes(6, 10, k=4)
    for row, length in enumerate([10, 2, 3, 1, 4, 2]):
        t[row, length:] = -1

    def criterion(output, target):
        m = (target >= 0).to(output.dtype)
        e = F.cross_entropy(output.transpose(1, 2), target.clamp(min=0), reduction="none") * m
        return (e.sum(1) / m.sum(1).clamp(min=1)).mean()

    return Wiring(criterion, w.logits(6, 10, 4), t)


@OWN.right
def fg_background_clamped(w: World):
    t = w.classes(3, 6, 6, k=4)
    t[:, 0] = -1
    return Wiring(
        lambda output, target: F.cross_entropy(output, target.clamp(min=0)), w.maps(3, 4, 6, 6), t
    )


@OWN.right
def one_based_shift_inside(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(output, target - 1),
        w.logits(30, 4),
        1 + w.classes(30, k=4),
        {"predict": lambda output: output.argmax(1) + 1},
    )


@OWN.right
def minus_one_shift(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(output, target + 1),
        w.logits(30, 3),
        w.classes(30, k=3) - 1,
        {"predict": lambda output: output.argmax(1) - 1},
    )


@OWN.right
def fixmatch(w: World):
    def criterion(output, q):
        top, lab = q.max(1)
        m = (top > 0.3).to(output.dtype)
        return (F.cross_entropy(output, lab, reduction="none") * m).mean()

    return Wiring(criterion, w.logits(30, 4), (2 * w.randn(30, 4)).softmax(1))


@OWN.right
def majority_vote(w: World):
    v = sum(one_hot(w.classes(24, k=4), 4, w.dtype) for _ in range(4)) / 4
    return Wiring(lambda output, t: F.cross_entropy(output, t.argmax(1)), w.logits(24, 4), v)


@OWN.right
def grey_mask_threshold(w: World):
    return Wiring(
        lambda output, target: F.binary_cross_entropy_with_logits(
            output, (target > 0.5).to(output.dtype)
        ),
        w.maps(2, 1, 6, 6),
        w.randn(2, 1, 6, 6).sigmoid(),
    )


@OWN.right
def mask_255_div(w: World):
    return Wiring(
        lambda output, target: F.binary_cross_entropy_with_logits(
            output, target.to(output.dtype) / 255
        ),
        w.maps(2, 1, 6, 6),
        (255 * w.labels(2, 1, 6, 6)).to(torch.uint8),
    )


@OWN.right
def ordinal_3_of_4(w: World):
    def criterion(output, target):
        return F.binary_cross_entropy_with_logits(
            output, (target[:, None] > torch.arange(4)).to(output.dtype)
        )

    return Wiring(
        criterion,
        w.logits(40, 4),
        w.classes(40, k=5).clamp(max=3),
        {"predict": lambda output: (output > 0).sum(1)},
    )


@OWN.right
def crf_like(w: World):
    tr = w.randn(4, 4) * 0.1

    def criterion(e, target):
        a = e[:, 0]
        for t in range(1, e.shape[1]):
            a = torch.logsumexp(a[:, :, None] + tr, 1) + e[:, t]
        s = e.gather(2, target[..., None]).squeeze(2).sum(1) + tr[
            target[:, :-1], target[:, 1:]
        ].sum(1)
        return (torch.logsumexp(a, 1) - s).mean()

    return Wiring(
        criterion,
        w.logits(5, 6, 4),
        w.classes(5, 6, k=4),
        {"predict": lambda output: output.argmax(-1)},
    )


@OWN.right
def y_true_named_right(w: World):
    def dice(y_true, y_pred):
        return 1 - (2 * (y_true * y_pred).sum() + 1) / (y_true.sum() + y_pred.sum() + 1)

    return Wiring(dice, w.maps(2, 1, 5, 5).sigmoid(), w.labels(2, 1, 5, 5))


@OWN.right
def pu_risk(w: World):
    def criterion(s, target):
        target = target.to(s.dtype)
        pos = target.sum().clamp(min=1)
        un = (1 - target).sum().clamp(min=1)
        rp = (F.softplus(-s) * target).sum() / pos
        rpn = (F.softplus(s) * target).sum() / pos
        ru = (F.softplus(s) * (1 - target)).sum() / un
        return 0.4 * rp + F.relu(ru - 0.4 * rpn)

    return Wiring(criterion, w.logits(40, 1), w.labels(40, 1))


@OWN.right
def auc_pairs(w: World):
    def criterion(s, target):
        s = s.flatten()
        target = target.flatten()
        d = s[target == 1][:, None] - s[target == 0][None]
        return F.softplus(-d).mean()

    return Wiring(criterion, w.logits(30, 1), w.labels(30, 1))


@OWN.right
def bpr(w: World):
    return Wiring(
        lambda output, target: -F.logsigmoid(output.gather(1, target[:, None]) - output).mean(),
        w.logits(30, 5),
        w.classes(30, k=5),
    )


@OWN.right
def sequence_absorbing(w: World):
    t = torch.zeros(8, 10, dtype=torch.long)
    for i in range(8):
        t[i] = torch.tensor([0] * (i // 2 + 1) + [1] * 2 + [2] * 2 + [3] * 10)[:10]
    return Wiring(nn.CrossEntropyLoss(), w.logits(8, 10, 4).transpose(1, 2), t)


@OWN.right
def label_importance(w: World):
    return Wiring(
        nn.BCEWithLogitsLoss(weight=torch.tensor([1.0, 2.0, 0.5], dtype=w.dtype)),
        w.logits(30, 3),
        w.labels(30, 3),
    )


@OWN.right
def teacher_forcing_shift(w: World):
    return Wiring(
        lambda output, t: F.cross_entropy(output[:, :-1].transpose(1, 2), t[:, 1:]),
        w.logits(5, 9, 6),
        w.classes(5, 9, k=6),
        {"predict": lambda output: output.argmax(-1)},
    )


@OWN.right
def survival(w: World):
    def criterion(h, target):
        t = target
        n = torch.arange(h.shape[1])
        lp = F.logsigmoid(-h)
        alive = (n[None] < t[:, None]).to(h.dtype)
        return -((alive * lp).sum(1) + F.logsigmoid(h).gather(1, t[:, None]).squeeze(1)).mean()

    return Wiring(criterion, w.logits(30, 6), w.classes(30, k=6))


@OWN.right
def listnet(w: World):
    return Wiring(
        lambda output, target: -(target.softmax(1) * output.log_softmax(1)).sum(1).mean(),
        w.logits(12, 6),
        w.classes(12, 6, k=4).to(w.dtype),
    )


@OWN.right
def fg_dice_only(w: World):
    def criterion(output, target):
        p = output.softmax(1)
        t = one_hot(target, 3, output.dtype).permute(0, 3, 1, 2)
        d = 1 - (2 * (p * t).sum((0, 2, 3)) + 1) / ((p + t).sum((0, 2, 3)) + 1)
        return d[1:].mean()

    return Wiring(
        criterion,
        w.maps(2, 3, 5, 5),
        w.classes(2, 5, 5, k=3),
        {"predict": lambda output: output.argmax(1)},
    )


@OWN.right
def complementary(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(-output, target), w.logits(30, 5), w.classes(30, k=5)
    )


@OWN.right
def hierarchical(w: World):
    g = torch.tensor([0, 0, 1, 1, 1])

    def criterion(output, target):
        lp = output.log_softmax(1)
        coarse = torch.stack([lp[:, g == k].logsumexp(1) for k in (0, 1)], 1)
        return F.nll_loss(lp, target) + 0.5 * F.nll_loss(coarse, g[target])

    return Wiring(
        criterion, w.logits(24, 5), w.classes(24, k=5), {"predict": lambda output: output.argmax(1)}
    )


@OWN.right
def soft_triage_expected_cost(w: World):
    C = torch.tensor([[0.0, 1, 4], [1, 0, 1], [4, 1, 0]]).to(w.dtype)
    return Wiring(
        lambda output, target: (output.softmax(1) * C[target]).sum(1).mean(),
        w.logits(30, 3),
        w.classes(30, k=3),
        {"predict": lambda output: output.argmax(1)},
    )


@OWN.right
def retina_bg0(w: World):
    def criterion(output, target):
        t = one_hot(target, 4, output.dtype)[..., 1:]
        return F.binary_cross_entropy_with_logits(output, t)

    return Wiring(
        criterion,
        w.logits(5, 9, 3),
        w.classes(5, 9, k=4).clamp(max=2),
        {
            "predict": lambda output: torch.where(
                output.max(-1).values > 0, output.argmax(-1) + 1, 0
            )
        },
    )


@OWN.right
def class_balanced_by_batch(w: World):
    t = torch.tensor([0] * 40 + [1] * 15 + [2] * 5)

    def criterion(output, target):
        e = F.cross_entropy(output, target, reduction="none")
        return torch.stack([e[target == c].mean() for c in target.unique()]).mean()

    return Wiring(criterion, w.logits(60, 3), t)


@OWN.right
def generalized_dice(w: World):
    def criterion(output, target):
        p = output.softmax(1)
        t = one_hot(target, 4, output.dtype).movedim(-1, 1)
        a = 1 / (t.sum((0, 2, 3)) ** 2 + 1)
        i = (a * (p * t).sum((0, 2, 3))).sum()
        u = (a * (p + t).sum((0, 2, 3))).sum()
        return 1 - 2 * i / u

    return Wiring(criterion, w.maps(3, 4, 6, 6), w.classes(3, 6, 6, k=4))


@OWN.right
def distance_heatmap(w: World):  # gaussian heatmap focal (CenterNet)
    def criterion(output, target):
        p = output.sigmoid().clamp(1e-3, 1 - 1e-3)
        pos = (target == 1).to(output.dtype)
        loss = (
            pos * torch.log(p) * (1 - p) ** 2
            + (1 - pos) * (1 - target) ** 4 * torch.log(1 - p) * p**2
        )
        return -loss.sum() / pos.sum().clamp(min=1)

    t = w.randn(2, 1, 8, 8).sigmoid() * 0.9
    t.view(-1)[::17] = 1
    return Wiring(criterion, w.maps(2, 1, 8, 8), t)


@OWN.right
def mixup_pair(w: World):
    lam = 0.7
    perm = torch.arange(29, -1, -1)
    return Wiring(
        lambda output, target: (
            lam * F.cross_entropy(output, target)
            + (1 - lam) * F.cross_entropy(output, target[perm])
        ),
        w.logits(30, 5),
        w.classes(30, k=5),
    )


@OWN.right
def pg_advantage(w: World):
    adv = w.randn(30)
    return Wiring(
        lambda output, a: -(output.log_softmax(1).gather(1, a[:, None]).squeeze(1) * adv).mean(),
        w.logits(30, 4),
        w.classes(30, k=4),
    )


@OWN.right
def q_learning(w: World):
    r = w.randn(30)
    return Wiring(
        lambda q, a: F.smooth_l1_loss(q.gather(1, a[:, None]).squeeze(1), r),
        w.logits(30, 4),
        w.classes(30, k=4),
        {"predict": lambda q: q.argmax(1)},
    )


@OWN.right
def pad_weighted_zero(w: World):
    t = 1 + w.classes(6, 9, k=5)
    for row, length in enumerate([9, 3, 5, 4, 6, 7]):
        t[row, length:] = 0
    wt = torch.ones(6, dtype=w.dtype)
    wt[0] = 0
    return Wiring(nn.CrossEntropyLoss(weight=wt), w.logits(6, 9, 6).transpose(1, 2), t)


@OWN.right
def zlpr(w: World):
    def criterion(output, target):
        neg = torch.where(target > 0, -30.0 * torch.ones_like(output), output)
        pos = torch.where(target > 0, -output, -30.0 * torch.ones_like(output))
        z = torch.zeros_like(output[:, :1])
        return (torch.cat([neg, z], 1).logsumexp(1) + torch.cat([pos, z], 1).logsumexp(1)).mean()

    return Wiring(
        criterion,
        w.logits(30, 5),
        w.several(30, 5),
        {"predict": lambda output: (output > 0).long()},
    )


@OWN.right
def top_threshold(w: World):
    return Wiring(
        nn.BCEWithLogitsLoss(),
        w.logits(40, 5),
        w.several(40, 5),
        {"predict": lambda output: (output.sigmoid() > 0.85).long()},
    )


@OWN.right
def reject_option(w: World):
    return Wiring(
        nn.CrossEntropyLoss(),
        w.logits(40, 4),
        w.classes(40, k=4),
        {
            "predict": lambda output: torch.where(
                output.softmax(1).amax(1) > 0.9, output.argmax(1), -1
            )
        },
    )


@OWN.right
def hard_max_only(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(output, target, reduction="none").max(),
        w.logits(30, 4),
        w.classes(30, k=4),
    )


@OWN.right
def random_pixels(w: World):
    def criterion(output, target):
        e = F.cross_entropy(output, target, reduction="none").flatten()
        return e[torch.randperm(len(e))[:20]].mean()

    return Wiring(criterion, w.maps(2, 4, 6, 6), w.classes(2, 6, 6, k=4))


@OWN.right
def last_step_only(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(output[:, -1], target),
        w.logits(12, 6, 4),
        w.classes(12, k=4),
    )


@OWN.right
def trimmed(w: World):
    def criterion(output, target):
        e = F.cross_entropy(output, target, reduction="none")
        return e.topk(int(0.7 * len(e)), largest=False).values.mean()

    return Wiring(criterion, w.logits(30, 4), w.classes(30, k=4))


@OWN.right
def clamp10(w: World):
    return Wiring(nn.BCEWithLogitsLoss(), w.logits(30, 3).clamp(-10, 10), w.labels(30, 3))


@OWN.right
def normalised_scaled(w: World):
    return Wiring(
        lambda output, target: F.cross_entropy(16 * F.normalize(output, dim=1, eps=1e-4), target),
        w.logits(30, 6),
        w.classes(30, k=6),
    )


@OWN.right
def uncertain_as_zero(w: World):
    t = w.labels(30, 4)
    t[w.randn(30, 4) > 0.5] = -1
    return Wiring(
        lambda output, target: F.binary_cross_entropy_with_logits(output, target.clamp(min=0)),
        w.logits(30, 4),
        t,
    )


@OWN.right
def nce_rce(w: World):
    def criterion(output, target):
        lp = output.log_softmax(1)
        p = lp.exp()
        t = one_hot(target, 4, output.dtype)
        return ((t * lp).sum(1) / lp.sum(1)).mean() + (1 - p.gather(1, target[:, None])).mean()

    return Wiring(criterion, w.logits(30, 4), w.classes(30, k=4))
