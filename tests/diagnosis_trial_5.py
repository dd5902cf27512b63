"""The fifth and the sixth trial, sealed until the tool was finished: forty bugs, twenty right ones.

Each was run once as it stood: 19 of its 20 bugs were found, and none of its 10 right wirings was
accused, in any precision or mode. Both had missed a softmax over time before a reshape, which has
been mended since. Where a bug can be named in more than one way, its codes are separated by spaces.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from diagnosis_cases import Trial, Wiring, World, one_hot
from torch import nn

SEALED = Trial()


class LeafNet(nn.Module):
    def __init__(self, species):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(8, species)

    def forward(self, images):
        pooled = self.features(images).flatten(1)
        return F.softmax(self.head(pooled), dim=1)


@SEALED.bug("DOUBLE_ACTIVATION")
def leaf_net_returns_softmax(w: World):
    """The image classifier's forward ends in softmax, the criterion is cross-entropy with label
    smoothing."""
    model, images = LeafNet(5), w.randn(20, 3, 8, 8)
    return Wiring(
        nn.CrossEntropyLoss(label_smoothing=0.1),
        w.run(model, images),
        w.classes(20, k=5),
        {"model": model, "inputs": images},
    )


class BCEDice(nn.Module):
    def __init__(self, share=0.5, smooth=1.0):
        super().__init__()
        self.bce, self.share, self.smooth = nn.BCEWithLogitsLoss(), share, smooth

    def forward(self, pred, mask):
        overlap = (pred * mask).sum((1, 2, 3))
        dice = (2 * overlap + self.smooth) / (
            pred.sum((1, 2, 3)) + mask.sum((1, 2, 3)) + self.smooth
        )
        return self.share * self.bce(pred, mask) + (1 - self.share) * (1 - dice).mean()


@SEALED.bug("DOUBLE_ACTIVATION")
def combo_loss_on_sigmoid_unet(w: World):
    """The network ends in a sigmoid for the Dice half, but the BCE half of the sum applies its
    own."""
    net, scans = (
        nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 1, 1), nn.Sigmoid()),
        w.randn(4, 2, 8, 8),
    )
    return Wiring(
        BCEDice(), w.run(net, scans), w.labels(4, 1, 8, 8), {"model": net, "inputs": scans}
    )


class AlphaFocal(nn.Module):
    """Binary focal loss written out by hand; right when both have one shape."""

    def __init__(self, alpha=0.25, gamma=2.0):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, scores, y):
        p = torch.sigmoid(scores).clamp(1e-6, 1 - 1e-6)
        pt = p * y + (1 - p) * (1 - y)
        share = self.alpha * y + (1 - self.alpha) * (1 - y)
        return (-share * (1 - pt) ** self.gamma * pt.log()).mean()


@SEALED.bug("BROADCAST")
def fraud_focal_column_against_row(w: World):
    """Scores are (N, 1), labels (N,): the arithmetic inside the focal loss makes N x N of them."""
    head = nn.Sequential(nn.Linear(7, 12), nn.Tanh(), nn.Linear(12, 1))
    return Wiring(AlphaFocal(), w.run(head, w.randn(30, 7)), w.labels(30))


class NameTagger(nn.Module):
    def __init__(self, words, tags):
        super().__init__()
        self.tags = tags
        self.embed, self.out = nn.Embedding(words, 10), nn.Linear(10, tags)

    def forward(self, ids):
        batch, steps = ids.shape
        emissions = self.out(torch.tanh(self.embed(ids)))
        return emissions.view(batch, self.tags, steps)  # should have been a transpose


@SEALED.bug("CLASS_DIM")
def tagger_views_instead_of_transposing(w: World):
    """(batch, time, tags) is viewed as (batch, tags, time), which mixes words and tags."""
    model, ids = NameTagger(40, 5), w.classes(8, 9, k=40)
    return Wiring(
        nn.CrossEntropyLoss(),
        w.run(model, ids),
        w.classes(8, 9, k=5),
        {"model": model, "inputs": ids},
    )


class PosModel(nn.Module):
    def __init__(self, words=50, tags=6):
        super().__init__()
        self.embed, self.out = nn.Embedding(words, 8), nn.Linear(8, tags)

    def forward(self, ids):
        return self.out(torch.tanh(self.embed(ids))).transpose(1, 2)


@SEALED.bug("IGNORE_INDEX")
def padded_sentences_without_ignore_index(w: World):
    """Words and tags are padded with 0 (no word has tag 0), but the criterion is not told."""
    lengths = torch.tensor([12, 4, 5, 3, 7, 4, 2, 6])
    real = torch.arange(12)[None, :] < lengths[:, None]
    ids, tags = (1 + w.classes(8, 12, k=49)) * real, (1 + w.classes(8, 12, k=5)) * real
    model = PosModel()
    return Wiring(nn.CrossEntropyLoss(), w.run(model, ids), tags, {"model": model, "inputs": ids})


@SEALED.bug("WEIGHT")
def class_weights_are_the_frequencies(w: World):
    """Weights meant to help the rare classes are the classes' shares, so they help the frequent
    ones."""
    grades = torch.tensor([0] * 36 + [1] * 16 + [2] * 8 + [3] * 4)
    grades = grades[torch.randperm(len(grades), generator=w.generator)]
    counts = torch.bincount(grades, minlength=4)
    criterion = nn.CrossEntropyLoss(weight=(counts / counts.sum()).to(w.dtype))
    return Wiring(criterion, w.logits(64, 4), grades)


class FocalOverCE(nn.Module):
    def __init__(self, gamma=2.0, weight=None):
        super().__init__()
        self.gamma, self.ce = gamma, nn.CrossEntropyLoss(weight=weight)

    def forward(self, scores, target):
        nll = self.ce(scores, target)
        pt = torch.exp(-nll)
        return ((1 - pt) ** self.gamma * nll).mean()


@SEALED.bug("CUSTOM_LOSS")
def focal_of_the_mean_cross_entropy(w: World):
    """The cross-entropy is already the batch's mean when it is modulated: one factor for all
    pixels."""
    return Wiring(FocalOverCE(), w.maps(3, 4, 6, 6), w.classes(3, 6, 6, k=4))


def naive_bce(scores, y):
    p = torch.sigmoid(scores)
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


@SEALED.bug("NUMERICS")
def handwritten_bce_on_unscaled_features(w: World):
    """Features were not standardised, the sigmoid saturates to exactly 0 and 1, and log(0) times 0
    is NaN."""
    salaries = 60 + 40 * w.randn(32, 5)
    return Wiring(naive_bce, w.run(nn.Linear(5, 3), salaries), w.labels(32, 3))


class PartialLabels(nn.Module):
    """Findings that nobody has annotated are -1."""

    def forward(self, scores, findings):
        known = (findings >= 0).to(scores.dtype)
        each = F.binary_cross_entropy_with_logits(scores, findings.clamp(min=0), reduction="none")
        return (each * known).mean()


@SEALED.bug("REDUCTION")
def unknown_findings_counted_in_the_mean(w: World):
    """Masked entries are zeroed, but the mean still divides by all of them: the scale follows the
    gaps."""

    def pair(share):
        unknown = torch.rand(24, 8, generator=w.generator) < share
        return w.logits(24, 8), w.labels(24, 8).masked_fill(unknown, -1.0)

    scores, findings = pair(0.8)
    return Wiring(PartialLabels(), scores, findings, {"batches": [pair(0.1), pair(0.6)]})


class Churn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = nn.Linear(9, 16), nn.Linear(16, 1)

    def forward(self, x):
        return torch.sigmoid(self.out(F.relu(self.body(x)))).squeeze(1)


@SEALED.bug("DECISION_RULE")
def evaluation_applies_the_sigmoid_again(w: World):
    """Training is right (sigmoid and BCELoss); the evaluation takes a second sigmoid, so all are
    positive."""
    model, x = Churn(), w.randn(40, 9)

    def predict(out):
        return (torch.sigmoid(out) > 0.5).long()

    return Wiring(
        nn.BCELoss(),
        w.run(model, x),
        w.labels(40),
        {"model": model, "inputs": x, "predict": predict},
    )


class F1Loss(nn.Module):
    def forward(self, scores, y):
        hard = (torch.sigmoid(scores) > 0.5).to(scores.dtype)
        hits = (hard * y).sum(0)
        f1 = 2 * hits / (hard.sum(0) + y.sum(0) + 1e-6)
        loss = 1 - f1.mean()
        loss.requires_grad = True  # "element 0 of tensors does not require grad"
        return loss


@SEALED.bug("NO_GRADIENT")
def f1_loss_made_to_require_grad(w: World):
    """F1 of thresholded scores; the error at backward was silenced with requires_grad = True."""
    return Wiring(F1Loss(), w.logits(32, 4), w.labels(32, 4))


class Tversky(nn.Module):
    def __init__(self, miss=0.7, false=0.3, smooth=1.0):
        super().__init__()
        self.miss, self.false, self.smooth = miss, false, smooth

    def forward(self, p, g):
        p, g = p.flatten(1), g.flatten(1)
        hit, fn, fp = (p * g).sum(1), ((1 - p) * g).sum(1), (p * (1 - g)).sum(1)
        return (
            1 - (hit + self.smooth) / (hit + self.miss * fn + self.false * fp + self.smooth)
        ).mean()


@SEALED.bug("LOGITS_FOR_PROBS")
def tversky_without_sigmoid(w: World):
    """The Tversky loss counts probabilities, the decoder's last convolution gives raw scores."""
    return Wiring(Tversky(), w.maps(4, 1, 8, 8), w.labels(4, 1, 8, 8))


@SEALED.bug("NOT_LOG_PROBS")
def distillation_softmax_on_both_sides(w: World):
    """KLDivLoss wants the student's log-probabilities; it gets softmax for student and teacher
    alike."""
    temperature = 3.0
    student, teacher = w.logits(24, 6), 2.5 * w.randn(24, 6)
    return Wiring(
        nn.KLDivLoss(reduction="batchmean"),
        F.softmax(student / temperature, dim=1),
        F.softmax(teacher / temperature, dim=1),
    )


class CharModel(nn.Module):
    def __init__(self, chars):
        super().__init__()
        self.embed, self.out = nn.Embedding(chars, 12), nn.Linear(12, chars)
        self.normalise = nn.LogSoftmax(dim=1)

    def forward(self, ids):
        scores = self.normalise(self.out(torch.tanh(self.embed(ids))))
        return scores.reshape(-1, scores.shape[-1])


@SEALED.bug("WRONG_DIM")
def char_model_normalises_over_time(w: World):
    """LogSoftmax(dim=1) of a classifier was kept for (batch, time, chars): it runs over the time
    steps."""
    model, ids = CharModel(11), w.classes(6, 15, k=11)
    return Wiring(
        nn.NLLLoss(), w.run(model, ids), w.classes(6 * 15, k=11), {"model": model, "inputs": ids}
    )


@SEALED.bug("TARGET_RANGE")
def masks_read_from_png(w: World):
    """Foreground is 255 in the mask files, and nobody divided."""
    return Wiring(nn.BCEWithLogitsLoss(), w.maps(4, 1, 8, 8), 255 * w.labels(4, 1, 8, 8))


@SEALED.bug("ONE_CLASS")
def softmax_on_one_neuron(w: World):
    """The ten-class head was cut to one neuron and the softmax stayed: the output is 1 always."""
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1), nn.Softmax(dim=1))
    patients = w.randn(28, 8)
    return Wiring(
        nn.BCELoss(), w.run(net, patients), w.labels(28, 1), {"model": net, "inputs": patients}
    )


def stack(sizes):
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers)


@SEALED.bug("BOUNDED_LOGITS")
def mlp_built_in_a_loop(w: World):
    """The loop that builds the layers puts a ReLU after the last one too."""
    net, x = stack([6, 24, 24, 5]), 2 * w.randn(30, 6)
    return Wiring(
        nn.CrossEntropyLoss(), w.run(net, x), w.classes(30, k=5), {"model": net, "inputs": x}
    )


@SEALED.bug("OBJECTIVE")
def genres_with_cross_entropy(w: World):
    """A film has several genres or none; softmax cross-entropy makes them compete, prediction is
    by sigmoid."""
    return Wiring(
        nn.CrossEntropyLoss(),
        w.logits(24, 7),
        w.several(24, 7),
        {"predict": lambda out: (torch.sigmoid(out) > 0.5).long()},
    )


@SEALED.bug("SHAPE")
def masks_from_a_loader_with_a_channel(w: World):
    """The mask loader adds a channel, (N, 1, H, W), which cross-entropy does not take (an
    exception)."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    return Wiring(
        nn.CrossEntropyLoss(), w.run(net, w.randn(2, 3, 8, 8)), w.classes(2, 1, 8, 8, k=4)
    )


@SEALED.bug("TARGET_DTYPE")
def labels_from_a_float_column(w: World):
    """The label column of the table came out as floats, cross-entropy wants class indices (an
    exception)."""
    net = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 3))
    return Wiring(nn.CrossEntropyLoss(), w.run(net, w.randn(25, 6)), w.classes(25, k=3).to(w.dtype))


class BalancedFocal(nn.Module):
    def __init__(self, alpha, gamma=2.0, void=255):
        super().__init__()
        self.register_buffer("alpha", alpha)
        self.gamma, self.void = gamma, void

    def forward(self, scores, target):
        keep = target != self.void
        nll = F.cross_entropy(scores, target, ignore_index=self.void, reduction="none")
        factor = self.alpha[target.masked_fill(~keep, 0)] * (1 - torch.exp(-nll)) ** self.gamma
        return (factor * nll)[keep].mean()


@SEALED.right
def focal_segmentation_with_void(w: World):
    """Per pixel focal loss, class shares outside of the exponential, void pixels left out of the
    mean."""
    target = w.classes(3, 6, 6, k=4)
    target[:, 0] = 255
    return Wiring(
        BalancedFocal(torch.tensor([0.5, 1.0, 1.0, 1.5], dtype=w.dtype)), w.maps(3, 4, 6, 6), target
    )


class TokenLoss(nn.Module):
    """(batch, time, vocabulary) scores; padding is token 0."""

    def forward(self, scores, tokens):
        real = tokens.ne(0)
        logp = scores.log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        return -logp.masked_fill(~real, 0.0).sum() / real.sum()


@SEALED.right
def decoder_loss_masks_inside(w: World):
    """Class scores last, long tails of zeros in the target, and no ignore_index: the loss masks by
    itself."""
    lengths = torch.tensor([10, 3, 5, 4, 6, 2])
    tokens = (1 + w.classes(6, 10, k=7)) * (torch.arange(10)[None, :] < lengths[:, None])
    return Wiring(TokenLoss(), w.logits(6, 10, 8), tokens, {"predict": lambda out: out.argmax(-1)})


@SEALED.right
def distillation_by_kldivloss_in_logs(w: World):
    """Student and teacher both as log-probabilities, and the criterion knows (log_target)."""
    student, teacher = w.logits(20, 6), 2 * w.randn(20, 6)
    return Wiring(
        nn.KLDivLoss(reduction="batchmean", log_target=True),
        F.log_softmax(student / 2, dim=1),
        F.log_softmax(teacher / 2, dim=1),
    )


class OneVersusRest(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, scores, label):
        hot = F.one_hot(label, self.classes).to(scores.dtype)
        return F.binary_cross_entropy_with_logits(scores, hot, reduction="none").sum(1).mean()


@SEALED.right
def one_versus_rest_with_argmax(w: World):
    """K binary problems for exclusive classes, summed over the classes; the largest score
    decides."""
    return Wiring(
        OneVersusRest(5),
        w.logits(25, 5),
        w.classes(25, k=5),
        {"predict": lambda out: out.argmax(1)},
    )


class Ensemble(nn.Module):
    def __init__(self, members, features, classes):
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(features, classes) for _ in range(members))

    def forward(self, x):
        logp = torch.stack([head(x).log_softmax(1) for head in self.heads])
        return logp.logsumexp(0) - math.log(len(self.heads))


@SEALED.right
def ensemble_mean_in_log_space(w: World):
    """The log of the members' mean probability, for NLLLoss."""
    model, x = Ensemble(3, 6, 4), 1.5 * w.randn(24, 6)
    return Wiring(nn.NLLLoss(), w.run(model, x), w.classes(24, k=4), {"model": model, "inputs": x})


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(6, 8), nn.Linear(5, 8)

    def forward(self, image, text):
        a, b = F.normalize(self.image(image), dim=1), F.normalize(self.text(text), dim=1)
        return a @ b.t() / 0.07


@SEALED.right
def image_and_text_towers(w: World):
    """Cosines over a temperature, row i belongs to column i, cross-entropy both ways."""
    scores = w.run(TwoTowers(), w.randn(16, 6), w.randn(16, 5))
    return Wiring(
        lambda s, i: (F.cross_entropy(s, i) + F.cross_entropy(s.t(), i)) / 2,
        scores,
        torch.arange(16),
    )


class LogitBCEDice(nn.Module):
    def forward(self, scores, mask):
        p = scores.sigmoid().flatten(1)
        g = mask.flatten(1)
        dice = (2 * (p * g).sum(1) + 1) / (p.sum(1) + g.sum(1) + 1)
        return F.binary_cross_entropy_with_logits(scores, mask) + 1 - dice.mean()


@SEALED.right
def lesion_bce_and_dice_on_scores(w: World):
    """Raw scores; BCE brings its sigmoid, the Dice half takes its own, and zero is the
    threshold."""
    return Wiring(
        LogitBCEDice(),
        w.maps(4, 1, 6, 6),
        w.labels(4, 1, 6, 6),
        {"predict": lambda out: (out > 0).long()},
    )


@SEALED.right
def hinge_discriminator(w: World):
    """Real is 1 and fake is -1, raw scores, hinge loss written out."""
    critic = nn.Sequential(nn.Linear(6, 12), nn.LeakyReLU(0.2), nn.Linear(12, 1), nn.Flatten(0))
    side = 2 * w.labels(32) - 1
    return Wiring(
        lambda score, y: F.relu(1 - y * score).mean(), w.run(critic, w.randn(32, 6)), side
    )


@SEALED.right
def rare_defects_with_pos_weight(w: World):
    """One part in eight is defective, pos_weight is negatives over positives, and logits are cut
    at zero."""
    y = torch.zeros(64, 1, dtype=w.dtype)
    y[torch.randperm(64, generator=w.generator)[:8]] = 1
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([56 / 8], dtype=w.dtype))
    return Wiring(criterion, w.logits(64, 1), y, {"predict": lambda out: (out > 0).long()})


class Coral(nn.Module):
    """Ordered stages 0..3: one score, three thresholds."""

    def __init__(self):
        super().__init__()
        self.score, self.cuts = nn.Linear(6, 1, bias=False), nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return self.score(x) + self.cuts.sort(descending=True).values


@SEALED.right
def ordered_stages(w: World):
    """Binary cross-entropy for 'stage above j', each cut at zero (the stage is how many of them
    hold)."""
    model, x = Coral(), 1.5 * w.randn(32, 6)
    stage = w.classes(32, k=4)
    above = (stage[:, None] > torch.arange(3)).to(w.dtype)
    return Wiring(
        nn.BCEWithLogitsLoss(),
        w.run(model, x),
        above,
        {"model": model, "inputs": x, "predict": lambda out: (out > 0).long()},
    )


@SEALED.bug("DOUBLE_ACTIVATION")
def segmenter_with_softmax_activation_and_combo_loss(w: World):
    """The decoder was built with activation="softmax", but both terms of the combo loss start from
    scores."""

    class Segmenter(nn.Module):
        def __init__(self, classes, activation=None):
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, classes, 1)
            self.activation = nn.Softmax(dim=1) if activation == "softmax" else nn.Identity()

        def forward(self, x):
            return self.activation(self.head(torch.relu(self.stem(x))))

    def combo(scores, mask, alpha=0.5):
        hot = F.one_hot(mask, scores.shape[1]).permute(0, 3, 1, 2).to(scores.dtype)
        p = scores.softmax(1)
        overlap, total = (p * hot).sum((0, 2, 3)), (p + hot).sum((0, 2, 3))
        dice = 1 - ((2 * overlap + 1) / (total + 1)).mean()
        return alpha * F.cross_entropy(scores, mask) + (1 - alpha) * dice

    model, x = Segmenter(4, activation="softmax"), 2 * w.randn(3, 3, 8, 8)
    return Wiring(combo, w.run(model, x), w.classes(3, 8, 8, k=4), {"model": model, "inputs": x})


@SEALED.bug("OBJECTIVE")
def chest_findings_with_cross_entropy(w: World):
    """Several findings per image (multi-hot rows, some without any) are trained with softmax
    cross-entropy."""

    class Findings(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
            )
            self.classifier = nn.Linear(24, 7)

        def forward(self, x):
            return self.classifier(self.body(x))

    x = 2 * w.randn(20, 1, 8, 8)
    return Wiring(nn.CrossEntropyLoss(), w.run(Findings(), x), w.several(20, 7))


@SEALED.bug("NOT_LOG_PROBS")
def distillation_with_softmax_on_both_sides(w: World):
    """The student's side of kl_div gets softmax where log_softmax belongs; the loss comes out
    negative."""

    class Distiller(nn.Module):
        def __init__(self, temperature=3.0):
            super().__init__()
            self.temperature = temperature

        def forward(self, student, teacher):
            t = self.temperature
            student = F.softmax(student / t, dim=1)
            teacher = F.softmax(teacher.detach() / t, dim=1)
            return F.kl_div(student, teacher, reduction="batchmean") * t**2

    return Wiring(Distiller(), w.logits(24, 6), 3 * w.randn(24, 6))


@SEALED.bug("LOGITS_FOR_PROBS")
def soft_dice_without_sigmoid(w: World):
    """The network ends in a 1 x 1 convolution and the soft Dice loss takes its scores for
    probabilities."""

    class SoftDice(nn.Module):
        def __init__(self, smooth=1.0):
            super().__init__()
            self.smooth = smooth

        def forward(self, inputs, targets):
            inputs, targets = inputs.flatten(1), targets.flatten(1)
            shared = (inputs * targets).sum(1)
            dice = (2 * shared + self.smooth) / (inputs.sum(1) + targets.sum(1) + self.smooth)
            return 1 - dice.mean()

    return Wiring(SoftDice(), w.maps(5, 1, 8, 8), w.labels(5, 1, 8, 8))


@SEALED.bug("BOUNDED_LOGITS")
def relu_after_every_linear_layer(w: World):
    """A helper that stacks Linear and ReLU puts a ReLU after the class scores as well."""

    def make_mlp(sizes):
        layers = []
        for wide, narrow in itertools.pairwise(sizes):
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        return nn.Sequential(*layers)

    model, x = make_mlp([12, 24, 16, 5]), 2 * w.randn(40, 12)
    return Wiring(
        nn.CrossEntropyLoss(), w.run(model, x), w.classes(40, k=5), {"model": model, "inputs": x}
    )


@SEALED.bug("NO_GRADIENT")
def iou_loss_of_thresholded_mask(w: World):
    """IoU of the thresholded mask as loss; the complaint of backward() was silenced with
    requires_grad_()."""

    class IoULoss(nn.Module):
        def forward(self, scores, mask):
            guess = (torch.sigmoid(scores) > 0.5).to(mask.dtype)
            both = (guess * mask).sum((1, 2, 3))
            either = guess.sum((1, 2, 3)) + mask.sum((1, 2, 3)) - both
            loss = 1 - ((both + 1e-3) / (either + 1e-3)).mean()
            return loss.requires_grad_()

    return Wiring(IoULoss(), w.maps(4, 1, 8, 8), w.labels(4, 1, 8, 8))


@SEALED.bug("ONE_CLASS")
def sentiment_lstm_with_softmax_over_one_unit(w: World):
    """A sentiment network with a single output unit ends in Softmax(dim=1): every review gets
    1.0."""

    class Sentiment(nn.Module):
        def __init__(self, vocabulary=30):
            super().__init__()
            self.embed = nn.Embedding(vocabulary, 8)
            self.lstm = nn.LSTM(8, 10, batch_first=True)
            self.fc = nn.Linear(10, 1)
            self.softmax = nn.Softmax(dim=1)

        def forward(self, tokens):
            _, (hidden, _) = self.lstm(self.embed(tokens))
            return self.softmax(self.fc(hidden[-1])).squeeze(1)

    model, tokens = Sentiment(), w.classes(16, 9, k=30)
    return Wiring(
        nn.BCELoss(), w.run(model, tokens), w.labels(16), {"model": model, "inputs": tokens}
    )


@SEALED.bug("WRONG_DIM")
def batched_tagger_normalised_over_time(w: World):
    """The tagger's log_softmax(dim=1) was right for one (time, tag) sentence; batched, dim 1 is
    time."""

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 12, batch_first=True, bidirectional=True)
            self.hidden2tag = nn.Linear(24, 5)

        def forward(self, words):
            states, _ = self.lstm(words)
            return F.log_softmax(self.hidden2tag(states), dim=1)

    def sequence_nll(scores, tags):
        return F.nll_loss(scores.reshape(-1, scores.shape[-1]), tags.reshape(-1))

    model, words = Tagger(), 2 * w.randn(6, 11, 6)
    return Wiring(
        sequence_nll, w.run(model, words), w.classes(6, 11, k=5), {"model": model, "inputs": words}
    )


@SEALED.bug("BROADCAST")
def linear_svm_hinge_over_all_pairs(w: World):
    """Linear SVM: scores of shape (N, 1) times labels of shape (N,) make the hinge of all N x N
    pairs."""
    svm, x = nn.Linear(4, 1), 2 * w.randn(32, 4)
    output = w.run(svm, x)

    def hinge(score, label):
        return torch.clamp(1 - label * score, min=0).mean()

    return Wiring(hinge, output, 2 * w.labels(32) - 1, {"model": svm, "inputs": x})


@SEALED.bug("TARGET_DTYPE")
def discriminator_labels_from_full(w: World):
    """GAN: torch.full((n,), 1) gives integer labels, BCELoss wants them in the scores' dtype."""

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(1, 6, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 1, 4), nn.Sigmoid()
            )

        def forward(self, image):
            return self.main(image).view(-1)

    real_label, fake_label = 1, 0
    labels = torch.cat([torch.full((8,), real_label), torch.full((8,), fake_label)])
    return Wiring(nn.BCELoss(), w.run(Discriminator(), w.randn(16, 1, 8, 8)), labels)


@SEALED.bug("CLASS_DIM")
def cross_entropy_2d_viewed_without_permute(w: World):
    """(N, C, H, W) scores are viewed as (-1, C) without moving C to the end: rows mix pixels."""

    def cross_entropy_2d(scores, mask, ignore=250):
        _n, c, _h, _wide = scores.size()
        scores, mask = scores.contiguous().view(-1, c), mask.view(-1)
        keep = mask != ignore
        return F.cross_entropy(scores[keep], mask[keep])

    mask = w.classes(3, 8, 8, k=5)
    mask[:, 0] = 250
    return Wiring(cross_entropy_2d, w.maps(3, 5, 8, 8), mask)


@SEALED.bug("API")
def loss_ported_from_keras_gets_prediction_first(w: World):
    """A weighted loss ported with Keras' order (y_true, y_pred) is called as criterion(output,
    target)."""

    class WeightedCrossentropy:
        def __init__(self, positive=3.0, epsilon=1e-7):
            self.positive, self.epsilon = positive, epsilon

        def __call__(self, y_true, y_pred):
            y_pred = torch.clamp(y_pred, self.epsilon, 1 - self.epsilon)
            loss = self.positive * y_true * torch.log(y_pred) + (1 - y_true) * torch.log(1 - y_pred)
            return -loss.mean()

    model, x = (
        nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid()),
        2 * w.randn(24, 6),
    )
    return Wiring(WeightedCrossentropy(), w.run(model, x), w.labels(24, 1))


@SEALED.bug("WEIGHT")
def class_weights_are_the_shares(w: World):
    """The weights are the classes' shares of the pixels, not their inverses: background counts
    most."""

    def class_weights(masks, k):
        counts = torch.bincount(masks.flatten(), minlength=k).to(w.dtype)
        return counts / counts.sum()

    masks = torch.zeros(4, 10, 10, dtype=torch.long)
    masks[:, 2:5, 3:7], masks[:, 7, 1:5], masks[::2, 9, 8:] = 1, 2, 3
    criterion = nn.CrossEntropyLoss(weight=class_weights(masks, 4))
    return Wiring(criterion, w.maps(4, 4, 10, 10), masks)


@SEALED.bug("TARGET_RANGE")
def png_mask_as_read(w: World):
    """The mask comes from the PNG as 0 and 255, only cast to float; BCE goes far below zero."""

    def bce_dice(scores, mask):
        p = torch.sigmoid(scores)
        dice = (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
        return F.binary_cross_entropy_with_logits(scores, mask) + 1 - dice

    png = (255 * w.labels(4, 1, 8, 8)).to(torch.uint8)
    return Wiring(bce_dice, w.maps(4, 1, 8, 8), png.to(w.dtype))


@SEALED.bug("TARGET_NOT_DISTRIBUTION")
def annotators_votes_as_soft_labels(w: World):
    """Rows of raters' votes (after dropping 'unknown', 2 to 10 of them) go into cross-entropy
    undivided."""
    votes = torch.zeros(20, 6)
    for row, favourite in enumerate(w.classes(20, k=6).tolist()):
        raters = 2 + (5 * row) % 9
        votes[row, favourite] = raters - raters // 3
        votes[row, (favourite + 1 + row % 4) % 6] += raters // 3
    return Wiring(nn.CrossEntropyLoss(), w.logits(20, 6), votes.to(w.dtype))


@SEALED.bug("NUMERICS")
def balanced_edge_loss_with_idle_clamp(w: World):
    """Class-balanced BCE for edges: 1 - 1e-8 is 1 in float32, so confident pixels give log(0)."""

    def edge_loss(scores, edges, eps=1e-8):
        p = torch.clamp(torch.sigmoid(scores), eps, 1 - eps)
        beta = 1 - edges.mean()
        return -(beta * edges * torch.log(p) + (1 - beta) * (1 - edges) * torch.log(1 - p)).mean()

    side = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    image = 25 * w.randn(3, 3, 10, 10)
    return Wiring(edge_loss, w.run(side, image), w.labels(3, 1, 10, 10))


@SEALED.bug("IGNORE_INDEX")
def translation_trained_on_padding(w: World):
    """Sentences are padded with <pad> = 0, which the loss counts like a word."""
    PAD, EOS, vocabulary = 0, 2, 12

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(vocabulary, 8, padding_idx=PAD)
            self.gru, self.out = nn.GRU(8, 16, batch_first=True), nn.Linear(16, vocabulary)

        def forward(self, tokens):
            return self.out(self.gru(self.embed(tokens))[0]).transpose(1, 2)

    words = w.classes(8, 14, k=vocabulary - 3) + 3
    sentences = [
        torch.cat([row[:n], torch.tensor([EOS])])
        for row, n in zip(words, [3, 11, 5, 8, 2, 6, 4, 9], strict=False)
    ]
    target = nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=PAD)
    shifted = torch.cat([torch.ones(8, 1, dtype=torch.long), target[:, :-1]], 1)
    model = Decoder()
    return Wiring(
        nn.CrossEntropyLoss(), w.run(model, shifted), target, {"model": model, "inputs": shifted}
    )


@SEALED.bug("REDUCTION")
def masked_tokens_averaged_over_all_places(w: World):
    """Padding is masked to zero, but the mean is taken over all places instead of over the
    words."""

    class MaskedCrossEntropy(nn.CrossEntropyLoss):
        def __init__(self, pad):
            super().__init__(reduction="none")
            self.pad = pad

        def forward(self, scores, target):
            mask = (target != self.pad).to(scores.dtype)
            losses = super().forward(scores.transpose(1, 2), target)
            return (losses * mask).mean(dim=1).mean()

    target = w.classes(6, 12, k=9) + 1
    for row, length in enumerate([12, 3, 5, 2, 7, 4]):
        target[row, length:] = 0
    return Wiring(MaskedCrossEntropy(pad=0), w.logits(6, 12, 10), target)


@SEALED.bug("CUSTOM_LOSS")
def focal_factor_of_the_mean(w: World):
    """Focal loss: cross-entropy is averaged first, so one factor weighs the whole batch, not each
    example."""

    class FocalLoss(nn.Module):
        def __init__(self, gamma=2.0):
            super().__init__()
            self.gamma, self.ce = gamma, nn.CrossEntropyLoss()

        def forward(self, scores, target):
            logp = self.ce(scores, target)
            p = torch.exp(-logp)
            return ((1 - p) ** self.gamma * logp).mean()

    return Wiring(FocalLoss(), w.logits(32, 5), w.classes(32, k=5))


@SEALED.bug("DECISION_RULE")
def tags_counted_above_one_half_of_the_score(w: World):
    """BCEWithLogitsLoss trains scores, and the accuracy takes a tag for present where the score
    exceeds 0.5."""
    model, x = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 6)), 2 * w.randn(24, 10)

    def predicted_tags(output, threshold=0.5):
        return (output > threshold).to(output.dtype)

    return Wiring(
        nn.BCEWithLogitsLoss(),
        w.run(model, x),
        w.several(24, 6),
        {"model": model, "inputs": x, "predict": predicted_tags},
    )


@SEALED.right
def token_loss_summed_and_divided_by_the_words(w: World):
    """Hand-written: log_softmax, gather, mask, sum over words divided by their number."""

    def token_nll(scores, target, pad=-100):
        kept = target != pad
        picked = scores.log_softmax(-1).gather(-1, target.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return -picked.masked_fill(~kept, 0).sum() / kept.sum()

    target = w.classes(5, 9, k=7)
    for row, length in enumerate([9, 4, 6, 2, 7]):
        target[row, length:] = -100
    return Wiring(token_nll, w.logits(5, 9, 7), target)


@SEALED.right
def log_of_a_mean_of_softmaxes(w: World):
    """A mixture of three softmax heads, averaged in log space, before NLLLoss."""

    class Mixture(nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(6, 5) for _ in range(3))

        def forward(self, x):
            logs = torch.stack([head(x).log_softmax(-1) for head in self.heads])
            return logs.logsumexp(0) - math.log(len(self.heads))

    model, x = Mixture(), 2 * w.randn(24, 6)
    return Wiring(
        nn.NLLLoss(),
        w.run(model, x),
        w.classes(24, k=5),
        {"model": model, "inputs": x, "predict": lambda output: output.argmax(1)},
    )


@SEALED.right
def one_against_all_bce_on_mixup_targets(w: World):
    """Exclusive classes with one sigmoid each (as in newer ImageNet recipes), mixup targets,
    argmax at the end."""
    first, second = w.classes(24, k=5), w.classes(24, k=5).flip(0)
    target = 0.75 * one_hot(first, 5, w.dtype) + 0.25 * one_hot(second, 5, w.dtype)
    return Wiring(
        nn.BCEWithLogitsLoss(),
        w.logits(24, 5),
        target,
        {"predict": lambda output: output.argmax(1)},
    )


@SEALED.right
def scores_softly_capped_at_thirty(w: World):
    """Language model whose scores pass through 30 tanh(x / 30): a wide, deliberate cap."""

    class CappedHead(nn.Module):
        def __init__(self, cap=30.0):
            super().__init__()
            self.unembed, self.cap = nn.Linear(8, 11, bias=False), cap

        def forward(self, states):
            return self.cap * torch.tanh(self.unembed(states) / self.cap)

    model, states = CappedHead(), 2 * w.randn(4, 7, 8)

    def next_token(scores, tokens):
        return F.cross_entropy(scores.flatten(0, 1), tokens.flatten())

    return Wiring(
        next_token, w.run(model, states), w.classes(4, 7, k=11), {"model": model, "inputs": states}
    )


@SEALED.right
def contrastive_pairs_with_the_diagonal_as_target(w: World):
    """Image-text pairs: cosine similarities times 14, each row's class is its own index, both
    directions."""

    class Pairs(nn.Module):
        def __init__(self, scale=14.0):
            super().__init__()
            self.image, self.text, self.scale = nn.Linear(10, 8), nn.Linear(10, 8), scale

        def forward(self, x):
            a, b = F.normalize(self.image(x), dim=-1), F.normalize(self.text(x), dim=-1)
            return self.scale * a @ b.t()

    def both_ways(similarity, index):
        return (F.cross_entropy(similarity, index) + F.cross_entropy(similarity.t(), index)) / 2

    return Wiring(both_ways, w.run(Pairs(), 1.5 * w.randn(12, 10)), torch.arange(12))


@SEALED.right
def distillation_in_log_space(w: World):
    """Both sides log_softmax at temperature 2 and log_target=True: the target is logs by
    agreement."""
    temperature = 2.0
    student, teacher = w.logits(24, 6), 2 * w.randn(24, 6)
    criterion = nn.KLDivLoss(reduction="batchmean", log_target=True)
    return Wiring(
        criterion, F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    )


@SEALED.right
def dice_and_cross_entropy_leaving_out_void(w: World):
    """Void pixels (255) are left out of both terms; Dice takes the softmax of the same scores."""

    def void_aware(scores, mask, void=255):
        k, kept = scores.shape[1], (mask != void).unsqueeze(1)
        hot = (
            F.one_hot(mask.masked_fill(mask == void, 0), k).permute(0, 3, 1, 2).to(scores.dtype)
            * kept
        )
        p = scores.softmax(1) * kept
        overlap, total = (p * hot).sum((0, 2, 3)), (p + hot).sum((0, 2, 3))
        return (
            F.cross_entropy(scores, mask, ignore_index=void)
            + 1
            - ((2 * overlap + 1) / (total + 1)).mean()
        )

    mask = w.classes(3, 8, 8, k=4)
    mask[:, :, -1], mask[0, 0] = 255, 255
    return Wiring(void_aware, w.maps(3, 4, 8, 8), mask)


@SEALED.right
def channels_last_scores_reshaped(w: World):
    """Per-patch scores (N, H, W, K) of a linear layer: here reshape(-1, K) needs no permute."""

    def patch_loss(scores, labels):
        return F.cross_entropy(
            scores.reshape(-1, scores.size(-1)), labels.reshape(-1), label_smoothing=0.1
        )

    return Wiring(
        patch_loss,
        w.logits(3, 6, 6, 4),
        w.classes(3, 6, 6, k=4),
        {"predict": lambda output: output.argmax(-1)},
    )


@SEALED.right
def multiple_choice_with_one_score_per_choice(w: World):
    """A single-unit head scores each of four answers; viewed as (question, answer) they are the
    classes."""

    class Choice(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.score = nn.Linear(8, 12), nn.Linear(12, 1)

        def forward(self, answers):
            questions, choices = answers.shape[:2]
            hidden = torch.tanh(self.encode(answers.flatten(0, 1)))
            return self.score(hidden).view(questions, choices)

    model, answers = Choice(), 2 * w.randn(16, 4, 8)
    return Wiring(
        nn.CrossEntropyLoss(),
        w.run(model, answers),
        w.classes(16, k=4),
        {"model": model, "inputs": answers, "predict": lambda output: output.argmax(1)},
    )


@SEALED.right
def ordered_grades_as_cumulative_questions(w: World):
    """Ordinal grades 0..4 as four questions 'above k?'; each is answered yes where its score is
    above zero."""
    grades = w.classes(25, k=5)
    target = (grades.unsqueeze(1) > torch.arange(4)).to(w.dtype)

    class Ordinal(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(6, 1, bias=False)
            self.register_buffer("steps", torch.tensor([1.5, 0.5, -0.5, -1.5]))

        def forward(self, x):
            return self.shared(x) + self.steps

    output = w.run(Ordinal(), 2 * w.randn(25, 6))
    return Wiring(
        nn.BCEWithLogitsLoss(),
        output,
        target,
        {"predict": lambda scores: (scores > 0).to(scores.dtype)},
    )
