"""What chapter 8 concludes from its trainings, on digits and seeds that it does not print."""

import pytest
import torch
from sklearn import metrics
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as plain

from companion import data, decisions
from tests.chapter_cells import room_of

RATES = {"focal": 0.003, "asymmetric": 0.003}


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(scope="module")
def chapter(float64):
    """The chapter's functions, on canvases made of another split of the digits."""
    room = room_of(
        "08_multi_label",
        "def canvases(",
        "inputs, digits = data.digits()",
        "def best_matches(",
        "train, held_out, test = [",
        "def shared_cross_entropy(",
        "def network(",
        "with_bce = network(",
        "hits = (predicted * targets).sum(dim=0)",
        "micro = 2 * hits",
        "def scores(",
        "def reliability(",
        "def ratio(",
        "def focal(",
        "def asymmetric(",
        "class FiveNetworks",
        "def five(",
        "plain = F.binary_cross_entropy_with_logits",
        "def judged(",
        "def masked(",
        "def long_tail(",
        "def trained(",
        "def four_ways(",
    )
    room["parts"] = data.split(*data.digits(), stratify=data.digits()[1], seed=20)
    room["pictures"] = nn.functional.normalize(room["parts"][0][0][:128])
    sizes = zip((2000, 1000, 2000), room["parts"], strict=True)
    made = [room["canvases"](n, part, seed=20 + i) for i, (n, part) in enumerate(sizes)]
    worlds = [(room["features"](images), targets) for images, targets in made]
    room["train"], room["held_out"], room["test"] = worlds
    return room


def judgements(room, loss, given, **options):
    """mAP, macro F1 at 0.5 and calibration error, the mean over five starting points."""
    model, (inputs, targets) = room["five"](loss, given, **options), room["test"]
    return torch.tensor([room["judged"](z, targets) for z in model(inputs)]).mean(dim=0)


@pytest.fixture(scope="module")
def complete(chapter):
    given = chapter["train"][1]
    losses = {"BCE": plain, "focal": chapter["focal"], "asymmetric": chapter["asymmetric"]}
    found = {
        name: judgements(chapter, loss, given, rate=RATES.get(name, 0.01))
        for name, loss in losses.items()
    }
    return found | {"prior bias": judgements(chapter, plain, given, rate=0.003, prior=True)}


@pytest.fixture(scope="module")
def missing(chapter):
    """Seven in ten labels unknown: stored as absent, or masked."""
    target = chapter["train"][1]
    looked = torch.rand(target.shape, generator=torch.Generator().manual_seed(20)) < 0.3
    found = {
        name: judgements(chapter, loss, target * looked, rate=0.003)
        for name, loss in {"BCE": plain, "asymmetric": chapter["asymmetric"]}.items()
    }
    unknown = target.masked_fill(~looked, torch.nan)
    found["masked"] = judgements(chapter, chapter["masked"], unknown)
    cut = torch.logit(torch.tensor(0.15))
    logits = chapter["five"](plain, target * looked, rate=0.003)(chapter["test"][0]) - cut
    lower = [chapter["judged"](z, chapter["test"][1]) for z in logits]
    found["BCE at 0.15"] = torch.tensor(lower).mean(dim=0)
    return found


def test_with_complete_labels_no_loss_recognises_more_and_two_lose_the_probabilities(complete):
    for name in ("focal", "asymmetric", "prior bias"):
        assert (complete[name][0] - complete["BCE"][0]).abs() < 0.01
    for name in ("focal", "asymmetric"):
        assert complete[name][2] > 3 * complete["BCE"][2]
    assert complete["asymmetric"][1] < complete["BCE"][1] - 0.01


def test_with_labels_stored_as_absent_the_asymmetric_loss_moves_the_threshold(missing):
    assert missing["BCE"][1] < 0.4
    assert missing["asymmetric"][1] > missing["BCE"][1] + 0.3
    assert missing["BCE at 0.15"][1] > missing["BCE"][1] + 0.3
    assert (missing["asymmetric"][0] - missing["BCE"][0]).abs() < 0.04


def test_a_mask_beats_every_loss_on_labels_stored_as_absent(missing):
    for name in ("BCE", "asymmetric", "BCE at 0.15"):
        assert missing["masked"][0] > missing[name][0] + 0.01
        assert missing["masked"][1] > missing[name][1] + 0.05
        assert missing["masked"][2] < missing[name][2] / 3


def test_thresholds_let_the_shares_of_a_softmax_catch_up_but_not_on_other_counts(chapter):
    networks = {
        "sigmoid": (plain, decisions.multilabel_probs),
        "softmax": (chapter["shared_cross_entropy"], decisions.multiclass_probs),
    }
    (held, held_targets), (inputs, targets) = chapter["held_out"], chapter["test"]
    four, four_targets = data.digit_canvases(300, digits=[4], source=chapter["parts"][2], seed=29)
    four = chapter["features"](four)
    at_half, own, held_gain, crowded = {}, {}, {}, {}
    for name, (loss, probs) in networks.items():
        model = chapter["network"](loss)
        cuts = decisions.best_thresholds(probs(model(held)), held_targets)
        subset = [
            chapter["scores"](probs(model(x)) > cut, y)[2]
            for x, y, cut in (
                (inputs, targets, 0.5),
                (inputs, targets, cuts),
                (four, four_targets, cuts),
                (held, held_targets, 0.5),
                (held, held_targets, cuts),
            )
        ]
        at_half[name], own[name], crowded[name] = subset[:3]
        held_gain[name] = subset[4] - subset[3]
    assert at_half["softmax"] < at_half["sigmoid"] - 0.4
    assert abs(own["softmax"] - own["sigmoid"]) < 0.05
    assert crowded["softmax"] < crowded["sigmoid"] - 0.1
    assert own["sigmoid"] - at_half["sigmoid"] < held_gain["sigmoid"]


def test_pos_weight_and_a_lower_threshold_are_one_exchange_and_no_gain(chapter):
    (x, y), weight = chapter["test"], chapter["ratio"](chapter["train"][1], least=1)
    usual = chapter["network"](plain)(x)
    heavy = chapter["network"](nn.BCEWithLogitsLoss(pos_weight=weight))(x)
    usual_labels = usual > 0
    for labels in (heavy > 0, usual.sigmoid() > 1 / (1 + weight)):
        before, after = (
            [f(y[:, 9], said[:, 9]) for f in (metrics.precision_score, metrics.recall_score)]
            for said in (usual_labels, labels)
        )
        assert after[0] < before[0]
        assert after[1] > before[1]
        assert chapter["scores"](labels, y)[1] < chapter["scores"](usual_labels, y)[1]


def test_the_prior_finds_more_rare_classes_than_weights_do(chapter):
    recall = torch.stack([chapter["four_ways"](seed) for seed in (20, 21, 22, 23, 24)])
    usual, weights, minus, trained = recall.mean(dim=2).T
    assert (weights > usual).all()
    assert (minus - weights).mean() > 0.01
    assert (trained - weights).mean() > 0.01
    rare = recall[:, :, 7:].mean(dim=(0, 2))
    assert rare[0] < rare[1] < min(rare[2], rare[3])
