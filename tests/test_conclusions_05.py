"""What chapter 5 concludes from its trainings, on seeds that it does not print."""

import pytest
import torch

from tests.chapter_cells import room_of

SEEDS = (20, 21, 22, 23, 24)


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(scope="module")
def chapter(float64):
    room = room_of(
        "05_bce_or_ce",
        "def bce_on_one_hot",
        "def network(",
        "def trained(",
        "def accuracies(",
        "def ten_times(",
        "ways = {",
        "optimizers = {",
        "def highest(",
        "def compared(",
    )
    split, images = room["data"].split, room["images"]
    room["deals"] = {s: split(*images, fractions=(0.5, 0.5), seed=s) for s in SEEDS}
    return room


@pytest.fixture(scope="module")
def curves(chapter):
    """Accuracy by (optimizer, way): (seeds, steps)."""
    return {
        (opt.partition(",")[0], way): torch.tensor(
            [chapter["accuracies"](seed, loss, make, prior) for seed in SEEDS[:3]]
        )
        for opt, make in chapter["optimizers"].items()
        for way, (loss, prior) in chapter["ways"].items()
    }


def test_under_adam_the_prior_bias_is_what_bce_lacks_and_a_factor_is_nothing(curves):
    at_25 = {way: curve[:, 24] for (opt, way), curve in curves.items() if opt == "Adam"}
    assert (at_25["BCE"] < at_25["CE"] - 0.2).all()
    assert (at_25["BCE, prior bias"] > at_25["CE"] - 0.05).all()
    assert ((at_25["BCE times ten"] - at_25["BCE"]).abs() < 0.02).all()


def test_under_plain_descent_the_factor_is_what_bce_lacks_and_the_bias_is_nothing(curves):
    at_50 = {way: curve[:, 49] for (opt, way), curve in curves.items() if opt != "Adam"}
    assert (at_50["BCE"] < at_50["CE"] - 0.3).all()
    assert (at_50["BCE times ten"] > at_50["CE"] - 0.1).all()
    assert (at_50["BCE, prior bias"] < at_50["CE"] - 0.3).all()


@pytest.mark.parametrize("steps", [50, 150])
def test_what_coins_reject_at_one_half_is_mostly_the_one_half(chapter, steps):
    die, coins = (
        [chapter["highest"](seed, way, steps) for seed in SEEDS]
        for way in ("CE", "BCE, prior bias")
    )
    half = [[(p > 0.5).double().mean() for p in run] for run in coins]
    by_die = torch.tensor([(shuffled > 0.5).double().mean() for _, shuffled in die])
    lead = by_die - torch.tensor(half)[:, 1]
    assert lead.mean() > 0.1
    fair = torch.tensor(
        [
            [chapter["compared"](*run, share[0]) for run in pair]
            for *pair, share in zip(die, coins, half, strict=True)
        ]
    )  # (seeds, die and coins, claimed and area)
    claimed, area = (fair[:, 0] - fair[:, 1]).mean(dim=0)
    assert claimed < 0.75 * lead.mean()
    assert area > -0.01
    assert fair[:, :, 0].mean() > 0.45
