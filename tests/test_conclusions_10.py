"""What chapter 10 concludes from its trainings, on seeds that it does not print."""

import math

import pytest

from tests.chapter_cells import room_of

pytestmark = pytest.mark.usefixtures("float64")

FLOOR = math.log(1 + math.exp(-1))  # of a second softmax over two classes
SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def chapter(float64):
    cells = ("def train(", "def features_and_head", "def run(", "grams = 3000", "def train_both")
    return room_of("10_nan", *cells)


@pytest.mark.parametrize("seed", SEEDS)
def test_large_inputs_jump_before_they_are_nan_and_a_tiny_rate_learns_nothing(chapter, seed):
    fine = chapter["train"](seed=seed)
    large = chapter["train"](scale=100.0, seed=seed)
    timid = chapter["train"](scale=100.0, rate=1e-5, seed=seed)
    assert fine[-1] < 0.4 < fine[0]
    assert large[1] > 100 * large[0]
    assert math.isnan(large[-1])
    assert timid[-1] > timid[0] / 2 > fine[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_first_gradient_and_eight_samples_sort_the_faults(chapter, seed):
    found = {}
    for name, loss_of in chapter["faults"].items():
        gradient, loss = chapter["run"](loss_of, samples=200, seed=seed)
        found[name] = gradient, loss, chapter["run"](loss_of, samples=8, seed=seed, steps=800)[1]
    assert found["outputs detached"][0] == "none at all"
    assert found["outputs rounded"][0] == "0.0000"
    assert all(float(found[name][0]) > 0.01 for name in list(found)[:4])
    learned = {name for name, (_, _, eight) in found.items() if eight < 0.02}
    assert learned == {"none", "labels shuffled"}
    assert found["softmax first"][2] >= FLOOR
    assert found["none"][1] < 0.2 < 0.6 < found["labels shuffled"][1]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_scale_serves_both_tasks_and_factors_do_not(chapter, seed):
    grams, train_both = chapter["grams"], chapter["train_both"]
    naive, _ = train_both(grams, rate=0.5, seed=seed)
    assert naive[-1].isnan().all()
    slow, slow_accuracy = train_both(grams, rate=1e-5, seed=seed)
    standard, accuracy = train_both((grams - grams.mean()) / grams.std(), rate=0.1, seed=seed)
    factors = [1 / length for length in naive[0, 2:]]
    weighed, _ = train_both(grams, rate=0.1, factors=factors, seed=seed)
    assert slow_accuracy < 0.6
    assert accuracy > 0.8
    assert grams.std() * standard[-1, 1].sqrt() < weighed[-1, 1].sqrt() / 10
    assert standard[-1, 0] < 0.45 < 0.55 < weighed[-1, 0] < slow[-1, 0] + 0.1
