"""The prose pages of the book: what they claim is true, complete and cited."""

import ast
import json
import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import losses

BOOK = Path(__file__).resolve().parent.parent / "book"
LEDGER = (BOOK / "what_the_documents_say.md").read_text(encoding="utf-8")
ZS = torch.linspace(-8.0, 8.0, 33)
NO, YES = torch.zeros(33), torch.ones(33)


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def loss_and_slope(loss, z):
    """Value and derivative of ``loss`` at the float32 logit ``z``."""
    z = torch.tensor([z], requires_grad=True)
    value = loss(z)
    return value.item(), torch.autograd.grad(value, z)[0].item()


# The ledger. One test for each claim, named by it; the last one holds the two lists equal.


def test_claim_000_1_three_heads_are_one_family():
    pair = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    label = torch.arange(50) % 2
    z = pair[:, 1] - pair[:, 0]
    inside = F.binary_cross_entropy(torch.sigmoid(z), label.double())
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(z, label.double()), inside)
    torch.testing.assert_close(F.cross_entropy(pair, label), inside)
    assert torch.equal(pair.argmax(dim=1), (z > 0).long())


def test_claim_000_2_the_sigmoid_inside_the_loss_is_more_stable():
    inside = loss_and_slope(lambda z: F.binary_cross_entropy(z.sigmoid(), torch.zeros(1)), 17.0)
    outside = loss_and_slope(lambda z: F.binary_cross_entropy_with_logits(z, torch.zeros(1)), 17.0)
    assert inside == (100.0, 0.0)
    assert outside == pytest.approx((17.0, 1.0))


def test_claim_000_3_two_outputs_have_spare_parameters_and_train_differently():
    one, two = nn.Linear(5, 1), nn.Linear(5, 2)
    count = [sum(p.numel() for p in layer.parameters()) for layer in (one, two)]
    assert count[1] - count[0] == 5 + 1
    # One step of length 1 on both logits moves their difference by 2(p - y), on one logit by p - y.
    z = torch.zeros(1, requires_grad=True)
    pair = torch.zeros(1, 2, requires_grad=True)
    F.binary_cross_entropy_with_logits(z, torch.ones(1)).backward()
    F.cross_entropy(pair, torch.tensor([1])).backward()
    assert (pair.grad[0, 1] - pair.grad[0, 0]).item() == pytest.approx(2 * z.grad.item())


def test_claim_000_4_raw_logits_are_the_best_default():
    for z in (-1e4, -17.0, 17.0, 1e4):
        for y in (0.0, 1.0):
            loss, slope = loss_and_slope(
                lambda z, y=y: F.binary_cross_entropy_with_logits(z, torch.tensor([y])), z
            )
            assert math.isfinite(loss)
            wrong = (z > 0) != (y == 1)
            assert abs(slope) == pytest.approx(1.0 if wrong else 0.0, abs=1e-6)


def test_claim_000_5_softmax_of_two_is_the_sigmoid_of_the_difference():
    probs = torch.softmax(torch.stack([torch.full((33,), 3.0), 3.0 + ZS], dim=1), dim=1)
    torch.testing.assert_close(probs[:, 1], torch.sigmoid(ZS))
    torch.testing.assert_close(probs[:, 0], 1 - torch.sigmoid(ZS))


def test_claim_000_6_the_sigmoid_has_no_parameters():
    assert list(nn.Sigmoid().parameters()) == []


def test_claim_000_7_two_outputs_are_the_model_of_one():
    test_claim_000_1_three_heads_are_one_family()


def test_claim_001_1_a_second_activation_puts_a_floor_under_the_loss():
    pair, label = f64(-1e3, 1e3)[None], torch.tensor([1])
    twice = F.cross_entropy(pair.softmax(dim=1), label).item()
    assert twice == pytest.approx(math.log(1 + math.exp(-1)))
    assert round(twice, 4) == 0.3133


def test_claim_001_2_one_binomial_draw_is_the_two_point_distribution():
    p = f64(0.3)
    bernoulli = torch.distributions.Bernoulli(p)
    binomial = torch.distributions.Binomial(1, p)
    for outcome in (f64(0.0), f64(1.0)):
        torch.testing.assert_close(binomial.log_prob(outcome), bernoulli.log_prob(outcome))


def test_claim_001_3_bce_of_the_sigmoid_differs_for_large_logits_of_one_sign():
    torch.testing.assert_close(
        F.binary_cross_entropy(ZS.sigmoid(), YES), F.binary_cross_entropy_with_logits(ZS, YES)
    )
    for z, y, inside in ((17.0, 0.0, 100.0), (-17.0, 1.0, 17.0)):
        z, y = torch.tensor([z]), torch.tensor([y])
        assert F.binary_cross_entropy(z.sigmoid(), y).item() == pytest.approx(inside)
        assert F.binary_cross_entropy_with_logits(z, y).item() == pytest.approx(17.0)


def test_claim_001_4_randn_of_three_has_one_dimension():
    x = torch.zeros(3)
    assert x.shape == (3,)
    with pytest.raises(ValueError, match="size"):
        F.binary_cross_entropy_with_logits(x[:, None], x)
    assert (x[:, None] == x).shape == (3, 3)


def test_claim_001_5_shapes():
    logits = torch.zeros(4, 3)
    assert F.binary_cross_entropy_with_logits(logits, torch.zeros(4, 3)).isfinite()
    assert F.binary_cross_entropy_with_logits(logits[0, 0], torch.zeros(())).isfinite()
    index = torch.zeros(4, dtype=torch.long)
    uniform = torch.full((4, 3), 1 / 3)
    image = torch.zeros(4, 3, 2, 2), torch.zeros(4, 2, 2, dtype=torch.long)
    for input, target in [(logits, index), (logits, uniform), image, (logits[0], index[0])]:
        assert F.cross_entropy(input, target).item() == pytest.approx(math.log(3))


def test_claim_001_6_cross_entropy_is_nll_of_log_softmax():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    grads = []
    for loss in (F.cross_entropy, lambda z, y: F.nll_loss(F.log_softmax(z, dim=1), y)):
        z = logits.clone().requires_grad_()
        value = loss(z, target)
        grads.append((value, torch.autograd.grad(value, z)[0]))
    torch.testing.assert_close(grads[0], grads[1])


def test_claim_001_7_the_three_by_three_example():
    rows = [[0.9, 0.2, 0.8], [0.5, 0.2, 0.4], [0.4, 0.2, 0.9]]
    by_hand = [math.log(sum(map(math.exp, row))) - row[i] for i, row in enumerate(rows)]
    losses = F.cross_entropy(torch.tensor(rows), torch.arange(3), reduction="none").tolist()
    assert losses == pytest.approx(by_hand, rel=1e-6)
    assert [round(loss, 4) for loss in losses] == [0.8761, 1.2729, 0.7434]


def test_claim_001_8_the_mean_of_batch_means_is_another_number():
    losses = torch.tensor([1.0, 1.0, 1.0, 5.0])
    equal = torch.stack([part.mean() for part in losses.split(2)]).mean()
    unequal = torch.stack([part.mean() for part in losses.split(3)]).mean()
    assert equal == losses.mean() == 2.0
    assert unequal == 3.0


def test_claim_001_9_accuracy_needs_equal_shapes():
    logits = torch.ones(4, 1)
    label = torch.ones(4)
    correct = (torch.round(torch.sigmoid(logits)) == label).float()
    assert correct.sum() / len(correct) == 4.0
    assert (torch.round(torch.sigmoid(logits.squeeze(1))) == label).float().mean() == 1.0
    tie = torch.zeros(1)
    assert torch.round(tie.sigmoid()) != (tie.sigmoid() >= 0.5).float()


def test_claim_001_10_cross_entropy_alone_serves_two_classes():
    pair = torch.stack([NO, ZS], dim=1)
    torch.testing.assert_close(
        F.cross_entropy(pair, torch.ones(33, dtype=torch.long)),
        F.binary_cross_entropy_with_logits(ZS, YES),
    )


def test_claim_001_11_softmax_cannot_say_three_labels_at_once():
    present = f64(50.0, 50.0, 50.0, -50.0)
    torch.testing.assert_close(present.softmax(dim=0)[:3], f64(1 / 3, 1 / 3, 1 / 3))
    torch.testing.assert_close(present.sigmoid()[:3], f64(1.0, 1.0, 1.0))


def test_claim_001_12_a_scalar_unless_nothing_is_reduced():
    logits, target = torch.zeros(3, 3), torch.arange(3)
    for reduction, shape in (("mean", ()), ("sum", ()), ("none", (3,))):
        assert F.cross_entropy(logits, target, reduction=reduction).shape == shape
    assert F.binary_cross_entropy_with_logits(logits, logits).shape == ()


def test_claim_001_13_the_mean_of_batch_accuracies_is_another_number():
    correct = torch.tensor([1.0, 1.0, 1.0, 0.0])
    equal = torch.stack([part.mean() for part in correct.split(2)]).mean()
    unequal = torch.stack([part.mean() for part in correct.split(3)]).mean()
    assert equal == correct.mean() == 0.75
    assert unequal == 0.5


def test_claim_002_1_three_pairs():
    test_claim_000_1_three_heads_are_one_family()


def test_claim_002_2_two_outputs_of_bce_are_two_questions():
    logits = torch.randn(3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    apart = [F.binary_cross_entropy_with_logits(logits[:, i], target[:, i]) for i in (0, 1)]
    both = F.binary_cross_entropy_with_logits(logits, target)
    torch.testing.assert_close(both, sum(apart) / 2)
    assert F.cross_entropy(logits, torch.tensor([0, 1, 1])).isfinite()


def test_claim_002_3_dtypes():
    logits = torch.zeros(2, 3)
    assert F.cross_entropy(logits, torch.full((2, 3), 1 / 3)).isfinite()
    with pytest.raises(RuntimeError, match="Float"):
        F.cross_entropy(logits, torch.zeros(2))
    with pytest.raises(RuntimeError, match="Long"):
        F.binary_cross_entropy(torch.full((2,), 0.5), torch.tensor([0, 1]))
    for input, target in ((2.0, 0.5), (0.5, 2.0)):
        with pytest.raises(RuntimeError, match="between 0 and 1"):
            F.binary_cross_entropy(torch.tensor([input]), torch.tensor([target]))
    assert F.binary_cross_entropy_with_logits(torch.tensor([5.0]), torch.tensor([2.0])) < 0


def test_claim_002_4_the_two_losses_are_equal_everywhere_on_zero_and_z():
    pair = torch.stack([NO, ZS], dim=1)
    for label, target in ((0, NO), (1, YES)):
        torch.testing.assert_close(
            F.cross_entropy(pair, torch.full((33,), label), reduction="none"),
            F.binary_cross_entropy_with_logits(ZS, target, reduction="none"),
        )
    one_hot = F.one_hot(torch.full((33,), 1), 2).float()
    assert not torch.allclose(
        F.binary_cross_entropy_with_logits(pair, one_hot), F.cross_entropy(pair, one_hot)
    )


def test_claim_002_5_the_printed_formulas_are_not_the_losses():
    z, y = f64(0.9), f64(1.0)
    printed = y * z.log() + (1 - y) * (1 - z).log()
    mended = -(y * z.sigmoid().log() + (1 - y) * (1 - z.sigmoid()).log())
    loss = F.binary_cross_entropy_with_logits(z, y)
    torch.testing.assert_close(mended[0], loss)
    assert not torch.isclose(printed[0], loss)
    logits = f64(0.9, 0.2, 0.8)
    loss = F.cross_entropy(logits, torch.tensor(0))
    assert not torch.isclose(logits.exp().sum() - logits[0], loss)
    torch.testing.assert_close(logits.exp().sum().log() - logits[0], loss)


def test_claim_002_6_the_example_comes_back_from_its_log_softmax():
    printed = f64(-2.7362, -1.4015, -0.3726, -0.8505, -1.6319, -0.9749).reshape(2, 3)
    losses = F.cross_entropy(printed, torch.tensor([0, 2]), reduction="none")
    assert [round(loss, 4) for loss in losses.tolist()] == [2.7362, 0.9749]
    # To the four digits printed: log-softmax of a log-softmax is itself.
    torch.testing.assert_close(F.log_softmax(printed, dim=1), printed, atol=5e-5, rtol=0)


def test_claim_002_7_the_mean_is_a_weighted_one():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target, weight = torch.tensor([0, 1, 2, -100]), f64(1.0, 2.0, 4.0)
    each = F.cross_entropy(logits[:3], target[:3], reduction="none")
    torch.testing.assert_close(F.cross_entropy(logits[:3], target[:3]), each.mean())
    torch.testing.assert_close(
        F.cross_entropy(logits, target, weight=weight), (weight * each).sum() / (1 + 2 + 4)
    )
    one_hot = F.one_hot(target[:3], 3).double()
    torch.testing.assert_close(
        F.cross_entropy(logits[:3], one_hot, weight=weight), (weight * each).sum() / 3
    )


def test_claim_002_8_cross_entropy_is_kl_plus_entropy():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    log_probs = F.log_softmax(logits, dim=1)
    soft = f64(0.7, 0.2, 0.1).expand(4, 3)
    kl = F.kl_div(log_probs, soft, reduction="batchmean")
    entropy = torch.special.entr(soft).sum(dim=1).mean()
    torch.testing.assert_close(F.cross_entropy(logits, soft), kl + entropy)
    hard = torch.tensor([0, 1, 2, 0])
    kl_hard = F.kl_div(log_probs, F.one_hot(hard, 3).double(), reduction="batchmean")
    torch.testing.assert_close(F.cross_entropy(logits, hard), kl_hard)


def reverse_cross_entropy(probs, target, log_zero):
    """The definition, label and prediction swapped, by loop."""
    total = 0.0
    for row, label in zip(probs.tolist(), target.tolist(), strict=True):
        total -= sum(p * (0.0 if k == label else log_zero) for k, p in enumerate(row))
    return total / len(target)


def test_claim_002_9_label_and_prediction_are_swapped():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 3, 0])
    probs = logits.softmax(dim=1)
    closed = 4.0 * (1 - probs[torch.arange(5), target]).mean()
    assert reverse_cross_entropy(probs, target, -4.0) == pytest.approx(closed.item())


def test_claim_002_10_the_clamp_is_a_natural_logarithm():
    assert round(math.log(1e-4), 2) == -9.21
    assert round(math.exp(-4), 4) == 0.0183
    assert math.log10(1e-4) == pytest.approx(-4)


def test_claim_002_11_the_clamp_is_zero_in_half_precision():
    assert round(math.log(1e-18), 1) == -41.4
    assert torch.tensor(1e-18, dtype=torch.float32) > 0
    half = torch.tensor(1e-18, dtype=torch.float16)
    assert half == 0
    assert half.log() == -math.inf
    assert (half * half.log()).isnan()


def test_claim_002_12_the_example_of_two_rows():
    logits = f64(10.0, 5.0, -6.0, 8.0, 8.0, 8.0).reshape(2, 3)
    target = torch.tensor([0, 2])
    ce = F.cross_entropy(logits, target).item()
    probs = logits.softmax(dim=1)
    rce = reverse_cross_entropy(probs, target, math.log(1e-18))
    assert ce == pytest.approx((math.log1p(math.exp(-5) + math.exp(-16)) + math.log(3)) / 2)
    assert (round(ce, 4), round(rce, 3), round(ce + rce, 3)) == (0.5527, 13.954, 14.507)
    assert round(ce + reverse_cross_entropy(probs, target, -4.0), 4) == 1.8994


def test_claim_002_13_one_nan_spoils_a_sum_even_with_weight_zero():
    assert (torch.tensor(1.0) + 0.0 * torch.tensor(math.nan)).isnan()
    assert (torch.tensor(1e6) + torch.tensor(1e-6)).isfinite()


def test_claim_002_14_the_listing_is_this_books_sce_times_ten():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    log_zero = math.log(1e-18)
    assert round(1 / -log_zero, 4) == 0.0241
    size = -log_zero / 4
    assert 9 < size < 11
    torch.testing.assert_close(
        losses.symmetric_cross_entropy(logits, target, alpha=1.0, log_zero=log_zero),
        size * losses.symmetric_cross_entropy(logits, target, alpha=0.0241 * 4, log_zero=-4.0),
        rtol=1e-3,
        atol=0,
    )


def test_claim_002_15_sce_gains_points_where_labels_are_wrong():
    record = json.loads((BOOK.parent / "companion" / "noisy_labels.json").read_text("utf-8"))

    def chosen(noise, way):
        counts = record["right"][noise][way]
        best = torch.tensor(counts["held_out"]).argmax(dim=1, keepdim=True)
        return torch.tensor(counts["test"]).gather(1, best).squeeze(1) / 9.98

    def t_value(noise, way, other):
        ahead = chosen(noise, way) - chosen(noise, other)
        return ahead.mean(dim=1) / ahead.std(dim=1) * math.sqrt(10)

    for noise in ("symmetric 0.4", "pair 0.4"):
        assert (t_value(noise, "SCE, α = 0.1", "CE") > 3).all()
    assert (t_value("none", "SCE, α = 0.1", "CE").abs() < 2).all()
    assert (t_value("pair 0.4", "forward, T counted", "SCE, α = 0.1") > 3).all()


def test_claim_002_16_the_clamped_cross_entropy_stops_at_41():
    logits = f64(0.0, 3.0, 0.0, 50.0).reshape(2, 2).requires_grad_()
    target = torch.tensor([0, 0])
    probs = logits.softmax(dim=1).clamp(min=1e-18)
    one_hot = F.one_hot(target, 2).double().clamp(min=1e-18)
    clamped = -(one_hot * probs.log()).sum(dim=1)
    official = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(clamped[0], official[0])
    assert (round(official[1].item(), 1), round(clamped[1].item(), 1)) == (50.0, 41.4)
    (slope,) = torch.autograd.grad(clamped[1], logits)
    assert slope.abs().max() < 1e-15


def test_claim_002_17_the_loop_overflows_where_torch_does_not():
    def by_loop(row, label):
        return math.log(sum(math.exp(z) for z in row)) - row[label]

    for row, label in (([-2.7362, -1.4015, -0.3726], 0), ([700.0, 1.0], 1)):
        loss = F.cross_entropy(f64(*row), torch.tensor(label)).item()
        assert by_loop(row, label) == pytest.approx(loss)
    with pytest.raises(OverflowError):
        by_loop([710.0, 0.0], 1)
    assert F.cross_entropy(f64(710.0, 0.0), torch.tensor(1)).item() == 710


def test_claim_003_1_bce_with_logits_applies_a_sigmoid():
    torch.testing.assert_close(
        F.binary_cross_entropy_with_logits(ZS, YES), F.binary_cross_entropy(ZS.sigmoid(), YES)
    )
    assert torch.equal(ZS[:, None].softmax(dim=1), torch.ones(33, 1))


def test_claim_003_2_round_of_the_sigmoid_is_the_sign_of_the_logit():
    assert 0.0 in ZS
    assert torch.equal(torch.round(torch.sigmoid(ZS)), (ZS > 0).float())
    tiny = torch.tensor(5e-8)
    assert (torch.round(torch.sigmoid(tiny)), tiny > 0) == (0.0, True)


def test_claim_003_3_the_other_class_gets_the_rest():
    torch.testing.assert_close(torch.sigmoid(-ZS), 1 - torch.sigmoid(ZS))


def test_claim_003_4_the_stable_form():
    for y in (NO, YES):
        m = ZS.clamp(min=0)
        torch.testing.assert_close(
            m - ZS * y + torch.log1p(torch.exp(-ZS.abs())),
            F.binary_cross_entropy_with_logits(ZS, y, reduction="none"),
        )
    assert F.binary_cross_entropy_with_logits(torch.tensor([1e4]), torch.zeros(1)) == 1e4


def test_claim_003_5_the_label_needs_no_sigmoid():
    assert torch.equal(torch.sigmoid(ZS) > 0.5, ZS > 0)


def test_claim_003_6_argmax_of_one_column_is_zero():
    assert torch.equal(ZS[:, None].argmax(dim=1), torch.zeros(33, dtype=torch.long))


def test_claim_003_7_argmax_of_the_sigmoid_is_always_zero():
    test_claim_003_6_argmax_of_one_column_is_zero()
    assert torch.equal(ZS.sigmoid()[:, None].argmax(dim=1), torch.zeros(33, dtype=torch.long))


def test_claim_003_8_loss_and_prediction_take_one_sigmoid_each():
    once = F.binary_cross_entropy(ZS.sigmoid(), YES)
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(ZS, YES), once)
    twice = F.binary_cross_entropy_with_logits(ZS.sigmoid(), YES)
    assert not torch.isclose(twice, once)
    assert (ZS.sigmoid().sigmoid() >= 0.5).all()


def test_claim_003_9_the_threshold_of_least_cost():
    p = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    for cost in (1.0, 10.0):
        yes_is_cheaper = (1 - p) < cost * p
        assert torch.equal(yes_is_cheaper, p > 1 / (1 + cost))


def test_claim_003_10_the_range_makes_no_probability():
    # The same order and the same range; of two different shares one at least is not what happens.
    one, other = torch.sigmoid(ZS), torch.sigmoid(2 * ZS)
    assert torch.equal(one.argsort(), other.argsort())
    assert ((one > 0) & (one < 1) & (other > 0) & (other < 1)).all()
    assert (one - other).abs().max() > 0.1


def test_claim_004_1_a_label_is_a_distribution():
    p = f64(0.7)
    for y, happened in ((1.0, 0.7), (0.0, 0.3)):
        pair, label = torch.stack([1 - p, p], dim=1), torch.stack([1 - f64(y), f64(y)], dim=1)
        cross_entropy = -(label * pair.log()).sum()
        torch.testing.assert_close(F.binary_cross_entropy(p, f64(y)), cross_entropy)
        assert cross_entropy.item() == pytest.approx(-math.log(happened))


def test_claim_004_2_bce_scales_nothing():
    p, y = f64(0.7911, 0.7792, 0.5858), f64(0.0, 1.0, 1.0)
    by_hand = -(math.log(1 - 0.7911) + math.log(0.7792) + math.log(0.5858)) / 3
    assert F.binary_cross_entropy(p, y).item() == pytest.approx(by_hand)
    assert F.binary_cross_entropy(f64(0.0), f64(1.0)).item() == 100.0


def test_claim_004_3_the_documentation_example():
    z, y = f64(1.3313, 1.2612, 0.3466), f64(0.0, 1.0, 1.0)
    loss = F.binary_cross_entropy(z.sigmoid(), y).item()
    assert loss == pytest.approx(
        (
            math.log1p(math.exp(1.3313))
            + math.log1p(math.exp(-1.2612))
            + math.log1p(math.exp(-0.3466))
        )
        / 3
    )
    assert round(loss, 4) == 0.7833


def test_claim_004_4_unequal_shapes_are_refused_today():
    with pytest.raises(ValueError, match="different to the input size"):
        F.binary_cross_entropy(torch.full((4, 1), 0.5), torch.ones(4))
    assert (torch.full((4, 1), 0.5) - torch.ones(4)).shape == (4, 4)


def test_claim_004_5_a_code_of_minus_99_dominates_the_sums_it_enters():
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(200, 10, generator=generator)
    coded = inputs.clone()
    coded[:, 0] = -99.0
    weight = torch.randn(10, generator=generator)
    # Nine ordinary terms have a standard deviation near 3; the coded one is near 99.
    assert (coded[:, 0] * weight[0]).abs().min() > (inputs[:, 1:] @ weight[1:]).abs().median()


def test_claim_004_6_the_print_statement_is_a_syntax_error():
    with pytest.raises(SyntaxError):
        ast.parse('print " Loss in iteration :"')


def test_every_claim_of_the_ledger_has_its_test_and_the_other_way_round():
    claims = re.findall(r"^```\{claim\} (\S+)$", LEDGER, flags=re.M)
    tested = [
        "-".join(name.split("_")[2:4]) for name in globals() if name.startswith("test_claim_")
    ]
    assert len(claims) == len(set(claims))
    assert sorted(claims) == sorted(tested)


# Chapters may still be on their way; a wrong name must not be.
CHAPTERS = {
    "01_logits_and_probabilities",
    "02_binary_heads",
    "03_binary_cross_entropy",
    "04_cross_entropy",
    "05_bce_or_ce",
    "06_decisions",
    "07_training",
    "08_multi_label",
    "09_noisy_labels",
    "10_nan",
    "11_error_atlas",
    "12_clinic",
}


def test_every_claim_names_a_verdict_and_the_chapter_that_shows_it():
    entries = re.split(r"^```\{claim\} ", LEDGER, flags=re.M)[1:]
    for entry in entries:
        assert re.search(r"^:verdict: (true|true if|false|outdated)$", entry, flags=re.M), entry
        shown = re.search(r"^:shown: (.+)$", entry, flags=re.M)[1].split()
        assert {name.partition("#")[0] for name in shown} <= CHAPTERS, entry


def test_every_reference_is_cited_and_every_citation_is_in_the_list():
    listed = re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text("utf-8"), flags=re.M)
    pages = "".join(page.read_text(encoding="utf-8") for page in BOOK.glob("*.md"))
    cited = {key for keys in re.findall(r"\{cite\}`([^`]+)`", pages) for key in keys.split(",")}
    assert len(listed) == len(set(listed))
    assert set(listed) == cited
    entries = (BOOK / "references.bib").read_text("utf-8").split("\n@")
    assert all(re.search(r"^  (url|doi) = \{", entry, flags=re.M) for entry in entries)


def test_the_glossary_gives_every_term_in_both_languages():
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    block = text.split("```{glossary}\n")[1].split("\n```")[0]
    for entry in block.split("\n\n"):
        terms = [line for line in entry.splitlines() if not line.startswith(" ")]
        chinese = [bool(re.search("[一-鿿]", term)) for term in terms]
        assert not chinese[0], entry
        assert any(chinese), entry
        assert len(entry.splitlines()) > len(terms), f"no definition: {entry}"
