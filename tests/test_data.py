"""Data sets: the same seed gives the same numbers, and they are what they say they are."""

import math

import numpy as np
import pytest
import torch
from sklearn import datasets

from companion import data

MAKERS = [
    lambda seed: data.two_moons(40, seed=seed),
    lambda seed: data.blobs(40, seed=seed),
    lambda seed: data.breast_cancer(missing=0.1, seed=seed),
    lambda seed: data.digit_canvases(10, seed=seed),
    lambda seed: (data.corrupt_labels(torch.arange(9).repeat(9), NOISE, seed=seed),),
    lambda seed: data.split(torch.arange(100), seed=seed)[0],
    lambda seed: data.split(torch.arange(99), stratify=torch.arange(99) % 3, seed=seed)[0],
]
NOISE = data.symmetric_noise(9, 0.5)


@pytest.mark.parametrize("make", MAKERS)
def test_the_seed_decides_and_the_global_generators_do_not(make):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = make(1), make(1), make(2)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("make", MAKERS[:4])
def test_inputs_take_the_default_dtype(make):
    before = torch.get_default_dtype()
    try:
        for dtype in (torch.float64, torch.float32):
            torch.set_default_dtype(dtype)
            assert make(0)[0].dtype == dtype
    finally:
        torch.set_default_dtype(before)


def test_two_moons_without_noise_are_half_circles():
    inputs, target = data.two_moons(50, noise=0.0)
    middles = torch.tensor([[0.0, 0.0], [1.0, 0.5]])[target]
    torch.testing.assert_close((inputs - middles).norm(dim=1), torch.ones(50))
    assert torch.equal(target.bincount(), torch.tensor([25, 25]))
    assert target.dtype == torch.int64


def test_blobs_have_their_centers_and_spread():
    centers = torch.tensor([[0.0, 0.0], [9.0, 1.0], [-5.0, 7.0]])
    inputs, target = data.blobs(6000, centers=centers.tolist(), std=0.5)
    for label in range(3):
        cloud = inputs[target == label]
        # 2000 samples: a standard error of 0.5 / sqrt(2000) = 0.011.
        torch.testing.assert_close(cloud.mean(dim=0), centers[label], atol=0.06, rtol=0)
        torch.testing.assert_close(cloud.std(dim=0), torch.full((2,), 0.5), atol=0.05, rtol=0)


def test_blobs_log_odds_are_as_documented():
    inputs, target = data.blobs(20_000, seed=3)
    c0, c1 = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    log_odds = ((inputs - c0) ** 2 - (inputs - c1) ** 2).sum(dim=1) / 2
    near = (log_odds - 1).abs() < 0.2
    assert target[near].double().mean().item() == pytest.approx(1 / (1 + math.exp(-1)), abs=0.05)


def test_breast_cancer_counts_malignant_as_one():
    inputs, target = data.breast_cancer()
    original = datasets.load_breast_cancer()
    assert original.target_names.tolist() == ["malignant", "benign"]
    assert torch.equal(target, 1 - torch.tensor(original.target))
    assert torch.equal(inputs, torch.tensor(original.data, dtype=inputs.dtype))


@pytest.mark.parametrize("missing", [0, 0.1, 1])
def test_breast_cancer_overwrites_just_that_share(missing):
    clean, _ = data.breast_cancer()
    inputs, _ = data.breast_cancer(missing=missing, missing_code=-7.0)
    coded = inputs == -7
    assert coded.sum() == round(missing * 569 * 30)
    assert torch.equal(inputs[~coded], clean[~coded])
    if missing == 0.1:
        # Spread over all features: 57 of 569 on average, standard deviation 7.
        assert coded.sum(dim=0).min() > 25
        assert coded.sum(dim=0).max() < 90


def test_digits_are_scaled_to_one():
    inputs, target = data.digits()
    assert inputs.shape == (1797, 64)
    assert (inputs.min(), inputs.max()) == (0, 1)
    assert torch.equal(inputs * 16, torch.tensor(datasets.load_digits().data, dtype=inputs.dtype))
    assert target.bincount().min() > 170


def test_canvases_show_just_the_digits_of_their_targets():
    inputs, target = data.digits()
    ink = inputs.sum(dim=1)
    images, targets = data.digit_canvases(60)
    assert images.shape == (60, 1, 24, 24)
    assert set(targets.unique().tolist()) == {0, 1}
    assert set(targets.sum(dim=1).tolist()) == {2, 3}
    templates = inputs.reshape(-1, 8, 8)
    for image, labels in zip(images[:8, 0], targets[:8], strict=True):
        # Every window that equals a digit exactly; blank rows never do.
        windows = image.unfold(0, 8, 1).unfold(1, 8, 1).reshape(-1, 64)
        same = (torch.cdist(windows, templates.reshape(-1, 64), p=math.inf) == 0).any(dim=0)
        found = {label for label in range(10) if same[target == label].any()}
        assert set(labels.nonzero()[:, 0].tolist()) <= found
        # Nothing else is there: the ink is that of the digits found.
        assert image.sum() == pytest.approx(ink[same].sum().item())


@pytest.mark.parametrize("counts", [(1,), (4,), (1, 4)])
def test_canvases_hold_as_many_digits_as_asked(counts):
    _, targets = data.digit_canvases(200, digits=counts)
    assert set(targets.sum(dim=1).int().tolist()) == set(counts)


def test_canvases_take_their_digits_from_the_source():
    inputs, target = data.digits()
    odd = target % 2 == 1
    _, targets = data.digit_canvases(50, source=(inputs[odd], target[odd]))
    assert targets.sum(dim=0)[::2].sum() == 0
    assert (targets.sum(dim=0)[1::2] > 0).all()
    bright, targets = data.digit_canvases(5, source=(torch.ones(10, 64), torch.arange(10)))
    # 64 pixels each, none hidden by another.
    assert torch.equal(bright.sum(dim=(1, 2, 3)), 64 * targets.sum(dim=1))


@pytest.mark.parametrize("digits", [(3,), (4,)])
def test_canvases_use_the_whole_canvas_and_never_overlap(digits):
    images, targets = data.digit_canvases(
        400, digits=digits, source=(torch.ones(10, 64), torch.arange(10))
    )
    assert torch.equal(images.sum(dim=(1, 2, 3)), 64 * targets.sum(dim=1))
    assert (images.amax(dim=0) == 1).all()


# Noise


@pytest.mark.parametrize("noise", [data.symmetric_noise, data.pair_noise])
@pytest.mark.parametrize(("num_classes", "rate"), [(2, 0.3), (5, 0.0), (10, 0.4), (10, 1.0)])
def test_transition_matrices(noise, num_classes, rate):
    matrix = noise(num_classes, rate)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(num_classes).double())
    torch.testing.assert_close(matrix.diag(), torch.full((num_classes,), 1 - rate).double())
    assert (matrix >= 0).all()
    for true in range(num_classes):
        for given in range(num_classes):
            if given == true:
                continue
            even = rate / (num_classes - 1)
            pair = rate if given == (true + 1) % num_classes else 0
            expected = even if noise is data.symmetric_noise else pair
            assert matrix[true, given].item() == pytest.approx(expected)


def test_corrupted_labels_follow_the_matrix():
    transition = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9], [0.2, 0.3, 0.5]]).double()
    target = torch.arange(3).repeat(30_000)
    before = target.clone()
    given = data.corrupt_labels(target, transition)
    assert torch.equal(target, before)
    assert given.dtype == torch.int64
    for true in range(3):
        shares = given[target == true].bincount(minlength=3) / 30_000
        # Standard error at most 0.5 / sqrt(30000) = 0.003.
        torch.testing.assert_close(shares.double(), transition[true], atol=0.012, rtol=0)
    assert not ((given == 2) & (target == 0)).any()
    assert not ((given == 0) & (target == 1)).any()


def test_corrupting_never_gives_an_impossible_last_class(monkeypatch):
    class Highest:
        """The largest number that a draw can give, again and again."""

        def __init__(self, seed):
            pass

        def random_sample(self, shape):
            return np.full(shape, np.nextafter(1, 0))

    monkeypatch.setattr(np.random, "RandomState", Highest)
    # Rows may fall short of 1 by a rounding error.
    transition = torch.tensor([[1 - 5e-7, 0.0], [0.0, 1.0]]).double()
    assert data.corrupt_labels(torch.zeros(5).long(), transition).tolist() == [0] * 5


def test_no_noise_and_no_labels():
    target = torch.tensor([2, 0, 1])
    assert torch.equal(data.corrupt_labels(target, torch.eye(3)), target)
    assert data.corrupt_labels(target[:0], torch.eye(3)).shape == (0,)
    assert data.corrupt_labels(target, data.pair_noise(3, 1)).tolist() == [0, 1, 2]


# Split


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.5), (0.6, 0.2, 0.2), (0.1, 0.2, 0.3, 0.4)])
@pytest.mark.parametrize("n", [30, 101])
def test_split_is_disjoint_and_complete(stratified, fractions, n):
    samples, labels = torch.arange(n), torch.arange(n) % 3
    parts = data.split(
        samples, labels, fractions=fractions, stratify=labels if stratified else None
    )
    assert len(parts) == len(fractions)
    assert sorted(torch.cat([part[0] for part in parts]).tolist()) == list(range(n))
    for (chosen, their_labels), share in zip(parts, fractions, strict=True):
        assert torch.equal(chosen % 3, their_labels)
        assert abs(len(chosen) - share * n) <= (3 if stratified else 1)


def test_sizes_are_rounded_to_the_nearest():
    # 0.29 * 100 is a little less than 29 in floats.
    for stratify in (None, torch.zeros(100)):
        parts = data.split(torch.arange(100), fractions=(0.29, 0.71), stratify=stratify)
        assert [len(part) for (part,) in parts] == [29, 71]


def test_stratified_parts_hold_their_share_of_a_rare_class():
    labels = torch.tensor([0] * 90 + [1] * 10)
    for seed in range(20):
        train, test = data.split(labels, fractions=(0.8, 0.2), stratify=labels, seed=seed)
        assert (train[0].sum(), test[0].sum()) == (8, 2)


def test_parts_are_shuffled_also_when_stratified():
    labels = torch.arange(2).repeat_interleave(50)
    for stratify in (None, labels):
        train, test = data.split(labels, fractions=(0.5, 0.5), stratify=stratify)
        for (part,) in (train, test):
            assert 0.2 < part[: len(part) // 2].double().mean() < 0.8


# Rejections


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.two_moons(1), "n must be at least 2; got 1"),
        (lambda: data.two_moons(10, noise=-1), "noise must be at least 0; got -1"),
        (lambda: data.two_moons(10, noise=math.nan), "noise must be at least 0; got nan"),
        (lambda: data.blobs(1), "n must be at least 2"),
        (lambda: data.blobs(10, std=-1), "std must be at least 0"),
        (lambda: data.breast_cancer(missing=1.5), r"missing must lie in \[0, 1\]; got 1.5"),
        (lambda: data.digit_canvases(0), "n must be at least 1"),
        (lambda: data.digit_canvases(1, digits=(5,)), r"between 1 and 4; got \(5,\)"),
        (lambda: data.digit_canvases(1, digits=()), r"between 1 and 4; got \(\)"),
        (
            lambda: data.digit_canvases(1, source=(torch.ones(3, 8, 8), torch.arange(3))),
            r"\(M, 64\) and target of shape \(M,\); got \(3, 8, 8\) and \(3,\)",
        ),
        (
            lambda: data.digit_canvases(1, source=(torch.ones(2, 64), torch.zeros(2))),
            "at least 3 classes; got 1",
        ),
        (lambda: data.symmetric_noise(1, 0.1), "num_classes must be at least 2"),
        (lambda: data.pair_noise(3, 1.1), r"rate must lie in \[0, 1\]; got 1.1"),
        (lambda: data.corrupt_labels(torch.zeros(3), NOISE), None),
        (lambda: data.corrupt_labels(torch.zeros(3, 1).long(), NOISE), r"shape \(N,\).*\(3, 1\)"),
        (lambda: data.corrupt_labels(torch.tensor([9]), NOISE), r"in \[0, 9\).*from 9 to 9"),
        (lambda: data.corrupt_labels(torch.tensor([-1]), NOISE), r"in \[0, 9\).*from -1 to -1"),
        (lambda: data.corrupt_labels(torch.tensor([0]), torch.ones(2, 3)), r"square.*\(2, 3\)"),
        (lambda: data.corrupt_labels(torch.tensor([0]), torch.ones(2, 2)), r"sums \[2.0, 2.0\]"),
        (
            lambda: data.corrupt_labels(torch.tensor([0]), torch.tensor([[2.0, -1], [0, 1]])),
            "least entry -1",
        ),
        (
            lambda: data.corrupt_labels(torch.tensor([0]), torch.full((2, 2), math.nan)),
            "rows add up to 1",
        ),
        (lambda: data.split(), "at least one tensor"),
        (lambda: data.split(torch.ones(3), torch.ones(4)), r"first dimension; got \[3, 4\]"),
        (lambda: data.split(torch.ones(3), stratify=torch.ones(4)), r"got \[3, 4\]"),
        (lambda: data.split(torch.ones(9), stratify=torch.ones(9, 1)), r"\(N,\); got \(9, 1\)"),
        (lambda: data.split(torch.ones(9), fractions=(0.5, 0.4)), "add up to 1.*in all 0.9"),
        (lambda: data.split(torch.ones(9), fractions=(1.5, -0.5)), "above 0"),
        (lambda: data.split(torch.ones(2)), r"every part some samples; .* of 2"),
        (
            lambda: data.split(torch.ones(9), stratify=torch.tensor([0] * 8 + [1])),
            "some samples of class 1; .* of 1",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    if message is None:
        with pytest.raises(TypeError, match=r"class indices \(int64\).*float32"):
            call()
    else:
        with pytest.raises(ValueError, match=message):
            call()
