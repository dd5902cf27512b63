"""What chapter 2 concludes from its trainings, on seeds that it does not print."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import data

SEEDS = (11, 12, 13, 14, 15)
each_seed = pytest.mark.parametrize("seed", SEEDS)


def moons(n, seed):
    inputs, target = data.two_moons(n, noise=0.25, seed=seed)
    return inputs.double(), target


def network(seed, outputs, *activation):
    """Equal functions for equal seeds: the two-logit head starts with the rows 0 and w."""
    torch.manual_seed(seed)
    body, one = nn.Linear(2, 16).double(), nn.Linear(16, 1).double()
    head = nn.Linear(16, outputs).double()
    with torch.no_grad():
        for new, old in zip(head.parameters(), one.parameters(), strict=True):
            new.copy_(torch.cat([0 * old, old])[-outputs:])
    return nn.Sequential(body, nn.Tanh(), head, *activation)


def bce(output, target):
    return F.binary_cross_entropy_with_logits(output.squeeze(1), target.double())


def train(model, loss_of, seed, *, rates=(1.0, 1.0), steps=200, optim=torch.optim.SGD, decay=0.0):
    inputs, target = moons(200, seed)
    groups = [
        {"params": layer.parameters(), "lr": rate}
        for layer, rate in zip((model[0], model[2]), rates, strict=True)
    ]
    optimizer = optim(groups, weight_decay=decay)
    history = []
    for _ in range(steps):
        loss = loss_of(model(inputs), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return torch.tensor(history)


def answers(model, seed):
    """Read the output as scripts usually do."""
    inputs, target = moons(2000, seed + 1000)
    with torch.no_grad():
        output = model(inputs)
    one = output.shape[1] == 1
    said = torch.round(torch.sigmoid(output)).squeeze(1) if one else output.argmax(dim=1)
    return said, (said == target).double().mean().item()


@each_seed
@pytest.mark.parametrize(("optim", "rate"), [(torch.optim.SGD, 1.0), (torch.optim.Adam, 0.05)])
def test_two_logits_train_like_one_whose_head_has_twice_the_learning_rate(seed, optim, rate):
    one = train(network(seed, 1), bce, seed, rates=(rate, rate), optim=optim)
    same = train(network(seed, 2), F.cross_entropy, seed, rates=(rate, rate), optim=optim)
    half = train(network(seed, 2), F.cross_entropy, seed, rates=(rate, rate / 2), optim=optim)
    torch.testing.assert_close(half, one, rtol=1e-5, atol=1e-7)
    assert (same - one).abs().max() > 0.01


@each_seed
def test_weight_decay_acts_half_as_much_on_two_logits(seed):
    inputs, target = moons(200, seed)

    def length(outputs, loss_of, decay):
        layer = nn.Linear(2, outputs).double()
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0, weight_decay=decay)
        for _ in range(300):
            optimizer.zero_grad()
            loss_of(layer(inputs), target).backward()
            optimizer.step()
        rows = layer.weight.detach()
        return (rows[-1] - (rows[0] if outputs == 2 else 0)).norm().item()

    one = length(1, bce, 0.1)
    assert length(2, F.cross_entropy, 0.2) == pytest.approx(one, rel=1e-6)
    assert length(2, F.cross_entropy, 0.1) > 1.2 * one


@each_seed
def test_a_sigmoid_in_model_and_loss_says_yes_to_all_and_keeps_the_loss_up(seed):
    right, twice = network(seed, 1), network(seed, 1, nn.Sigmoid())
    for steps in (200, 800):
        low, high = (train(m, bce, seed, steps=steps)[-1] for m in (right, twice))
        assert high > low + 0.2
        assert high > 0.5 * (0.3133 + 0.6931)  # the mean of the floors of yes and no
        assert (answers(twice, seed)[0] == 1).all()
        assert answers(right, seed)[1] > 0.85


def test_a_softmax_in_model_and_loss_is_late_but_decides_well_in_the_end():
    behind = []
    for seed in SEEDS:
        right, twice = network(seed, 2), network(seed, 2, nn.Softmax(dim=1))
        for steps in (200, 800):
            low, high = (train(m, F.cross_entropy, seed, steps=steps)[-1] for m in (right, twice))
            assert high > max(0.3133, low + 0.1)
            behind.append(answers(right, seed)[1] - answers(twice, seed)[1])
    short, long = torch.tensor(behind).view(-1, 2).T
    assert short.mean() > 2 * short.std() / len(SEEDS) ** 0.5 + 0.01
    assert long.mean() < 0.01


def test_class_weights_of_cross_entropy_lose_half_their_ratio_in_small_batches():
    for seed in SEEDS:
        rare = torch.zeros(16_000)
        rare[:800] = 1
        order = torch.randperm(16_000, generator=torch.Generator().manual_seed(seed))
        weight = 1 + 18 * rare[order]
        batches = weight.view(-1, 16)
        share = (batches / batches.sum(dim=1, keepdim=True)).flatten()
        ratio = share[weight == 19].mean() / share[weight == 1].mean()
        assert 9 < ratio < 12
