"""What chapter 7 concludes from its trainings, on seeds that it does not print."""

import pytest
import torch

from tests.chapter_cells import room_of

SEEDS = (20, 21, 22, 23, 24)


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(scope="module")
def chapter(float64):
    return room_of(
        "07_training",
        "fit_set, validation_set, test_set = data.split",
        "def network(",
        "labels = fit_set",
        "def losses(",
        "def train(",
        "def learn_scaling(",
        "def rescale(",
        "def prepared(",
        "def made(",
        "def overfit(",
        "def judged(",
        "def watched(",
    )


@pytest.fixture(scope="module")
def ends(chapter):
    """Training and validation loss at the end, by way of preparing the rows: (seeds, 2)."""
    found = {}
    for seed in SEEDS:
        for name, parts in chapter["prepared"](chapter["made"](seed)).items():
            curve = chapter["train"](parts[:2], seed=seed)[1]
            found.setdefault(name, []).append(curve[-1])
    return {name: torch.stack(values) for name, values in found.items()}


def test_both_repairs_are_needed_and_filling_is_worth_more(ends):
    as_it_is, filled, rescaled, both, _ = (values[:, 1] for values in ends.values())
    assert (filled < as_it_is).all()
    assert (rescaled < as_it_is).all()
    assert (both < filled).all()
    assert (both < rescaled).all()
    assert filled.mean() < rescaled.mean() - 0.05


def test_the_training_loss_praises_the_rows_as_they_are(ends):
    as_it_is, _, rescaled, *_ = ends.values()
    assert as_it_is[:, 0].mean() < rescaled[:, 0].mean()
    assert (as_it_is[:, 1] - as_it_is[:, 0] > 0.1).all()


def test_a_column_for_what_is_missing_by_chance_changes_nothing(ends):
    *_, both, with_column = (values[:, 1] for values in ends.values())
    difference = with_column - both
    assert difference.mean().abs() < 0.02
    assert difference.mean().abs() < 2 * difference.std()


def test_stopping_saves_the_loss_and_hardly_the_accuracy(chapter):
    at_best, at_last = [], []
    for seed in SEEDS:
        parts = chapter["prepared"](chapter["made"](seed))["filled and rescaled"]
        seen = chapter["watched"](parts, seed)
        at_best.append(seen[seen[:, 0].argmin()])
        at_last.append(seen[-1])
    best, last = torch.stack(at_best).mean(dim=0), torch.stack(at_last).mean(dim=0)
    assert last[0] > 1.3 * best[0]  # the validation loss rises
    assert (best[1] - last[1]).abs() < 0.025  # while its accuracy holds
    assert last[2] > 1.2 * best[2]  # and the test loss rises too
    assert (best[3] - last[3]).abs() < 0.025


def test_labels_compared_by_broadcasting_end_at_the_entropy_of_the_batch(chapter):
    softplus, loss = torch.nn.functional.softplus, chapter["logit_loss"]
    for start in (100, 200):  # patients that the chapter does not take
        rows = slice(start, start + 8)
        inputs, labels = chapter["fit_set"][0][rows], chapter["labels"][rows]
        mean, std = chapter["learn_scaling"](chapter["fit_set"][0])
        chapter["few_inputs"] = chapter["rescale"](inputs, mean, std)
        chapter["few_labels"] = labels
        share = labels.mean()
        right = chapter["overfit"](lambda z, y: loss(z.squeeze(1), y))
        broadcast = chapter["overfit"](lambda z, y: (softplus(z) - z * y).mean())
        assert right < 0.01
        torch.testing.assert_close(broadcast, loss(share.logit(), share), atol=1e-3, rtol=0)
