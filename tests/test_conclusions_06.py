"""What chapter 6 concludes from its trainings, on draws that it does not print."""

import math
from functools import partial

import pytest
import torch

from tests.chapter_cells import room_of

DRAWS = (20, 21, 22)


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(scope="module")
def chapter(float64):
    return room_of(
        "06_decisions",
        "def patients(",
        "def network(",
        "def cost(",
        "def reliability(",
        "def best_temperature(",
        "def calibration_error(",
        "def measured(",
        "def top_class(",
        "def digit_logits(",
        "digits, temperatures =",
    )


@pytest.fixture(scope="module")
def draws(chapter):
    """The logits of the test patients by draw and training, and the temperature of the long one."""
    held_out, test = chapter["held_out"], chapter["test"]
    chapter["target"], chapter["by_rule"] = test[1], 1 / 11
    found = []
    for seed in DRAWS:
        chapter["train"] = chapter["patients"](300, seed)
        long = chapter["network"](epochs=1500)
        weights = partial(chapter["bce"], pos_weight=torch.tensor(10.0))
        found.append(
            {
                "long": long(test[0]),
                "temperature": chapter["best_temperature"](long(held_out[0]), held_out[1]),
                "stopped": chapter["network"](epochs=100)(test[0]),
                "weighted": chapter["network"](epochs=100, loss=weights)(test[0]),
            }
        )
    return found


def test_stopping_is_better_than_dividing_and_dividing_better_than_nothing(chapter, draws):
    for draw in draws:
        as_trained, divided, stopped = (
            chapter["measured"](z)
            for z in (draw["long"], draw["long"] / draw["temperature"], draw["stopped"])
        )
        loss, area, error, cost = range(4)
        assert stopped[loss] < divided[loss] < as_trained[loss]
        assert stopped[area] > divided[area] + 0.01
        assert stopped[cost] < divided[cost]
        assert divided[error] < as_trained[error]


def test_subtracting_the_log_of_the_weight_gives_the_probabilities_back(chapter, draws):
    for draw in draws:
        _, _, error, _ = chapter["measured"](draw["weighted"])
        _, _, undone, _ = chapter["measured"](draw["weighted"] - math.log(10))
        assert undone < error / 2


def test_a_cost_said_twice_calls_more_ill_and_costs_more_on_average(chapter, draws):
    cost, target = chapter["cost"], chapter["target"]
    plain = [cost(draw["stopped"], target, 1 / 11) for draw in draws]
    once = [cost(draw["weighted"], target, 0.5) for draw in draws]
    twice = [cost(draw["weighted"], target, 1 / 11) for draw in draws]
    assert sum(twice) > sum(once) + 0.02 * len(draws)
    assert abs(sum(plain) - sum(once)) < 0.08 * len(draws)
    for draw in draws:
        z, cut = draw["weighted"], math.log(1 / 10)
        assert torch.equal(z > 0, z - math.log(10) > cut)
        assert (z > cut).double().mean() > (z > 0).double().mean() + 0.02


def test_one_temperature_brings_top_class_confidence_to_accuracy(chapter):
    gaps, errors = [], []
    for seed in (20, 21, 22, 23, 24):
        (z, y), (rest, target) = chapter["digit_logits"](seed)
        temperatures = torch.linspace(0.5, 5, 46)
        losses = [torch.nn.functional.cross_entropy(z / t, y) for t in temperatures]
        best = temperatures[torch.stack(losses).argmin()]
        pairs = [chapter["top_class"](logits, target) for logits in (rest, rest / best)]
        gaps.append([p.mean() - hits.double().mean() for p, hits in pairs])
        errors.append([chapter["calibration_error"](*pair) for pair in pairs])
    gaps, errors = torch.tensor(gaps), torch.tensor(errors)
    assert gaps[:, 0].mean() > 0.005
    assert gaps[:, 1].mean().abs() < gaps[:, 0].mean().abs()
    assert errors[:, 1].mean() < errors[:, 0].mean()
