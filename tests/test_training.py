"""The training loop: what it measures, what it leaves behind, and how it stops."""

import copy
import dataclasses
import io
import math
import sys
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from companion.training import History, TrainingError, evaluate, fit, fit_many


def argmax(logits):
    return logits.argmax(dim=1)


@pytest.fixture
def model():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def samples(n=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()


def loader(n=10, batch_size=4, seed=0):
    return DataLoader(TensorDataset(*samples(n, seed)), batch_size=batch_size)


def sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr)


def run(model, train, validation=None, *, epochs=3, criterion=None, decide=argmax, **options):
    options.setdefault("optimizer", sgd(model))
    criterion = criterion or nn.CrossEntropyLoss()
    return fit(model, criterion, train, validation, epochs=epochs, decide=decide, **options)


# What it measures


def test_fit_is_the_loop_one_would_write(model):
    other = copy.deepcopy(model)
    optimizer = sgd(other)
    expected = []
    for _ in range(3):
        total, right = 0.0, 0
        for inputs, target in loader():
            logits = other(inputs)
            losses = F.cross_entropy(logits, target, reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
            total += losses.sum().item()
            right += (logits.argmax(dim=1) == target).sum().item()
        expected.append((total / 10, right / 10))
    history = run(model, loader())
    assert history.train_loss == pytest.approx([loss for loss, _ in expected])
    assert history.train_accuracy == pytest.approx([share for _, share in expected])
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_validation_is_the_true_mean_over_unequal_batches(model):
    inputs, target = samples(10, seed=5)
    history = run(model, loader(), loader(10, 7, seed=5), epochs=1)
    logits = model(inputs)
    losses = F.cross_entropy(logits, target, reduction="none").tolist()
    hits = (logits.argmax(dim=1) == target).tolist()
    assert history.validation_loss == pytest.approx([sum(losses) / 10])
    assert history.validation_accuracy == pytest.approx([sum(hits) / 10])
    # The batches hold 7 and 3: the mean of their means is another number.
    assert sum(losses[:7]) / 7 / 2 + sum(losses[7:]) / 3 / 2 != pytest.approx(sum(losses) / 10)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 64])
def test_evaluate_does_not_depend_on_the_batches(model, batch_size):
    loss, share = evaluate(model, nn.CrossEntropyLoss(), loader(10, batch_size), argmax)
    inputs, target = samples()
    logits = model(inputs)
    assert loss == pytest.approx(F.cross_entropy(logits, target).item())
    assert share == pytest.approx((logits.argmax(dim=1) == target).double().mean().item())


@pytest.mark.parametrize(
    "criterion",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 8.0], dtype=torch.float64)),
        nn.CrossEntropyLoss(ignore_index=1),
    ],
    ids=["class weights", "ignored targets"],
)
def test_measured_losses_are_exact_whatever_the_criterion_divides_by(model, criterion):
    inputs, target = samples(10)
    expected = criterion(model(inputs), target).item()
    batches = loader(10, batch_size=7)
    assert evaluate(model, criterion, batches, argmax)[0] == pytest.approx(expected)
    history = run(
        model, batches, batches, epochs=1, criterion=criterion, optimizer=sgd(model, lr=0.0)
    )
    assert history.validation_loss == pytest.approx([expected])
    # The mean of the batch means, weighted by samples, is another number.
    of_batches = [(criterion(model(x), y).item(), len(y)) for x, y in batches]
    by_samples = sum(loss * count for loss, count in of_batches) / 10
    assert by_samples != pytest.approx(expected)


def test_training_lowers_the_loss(model):
    history = run(model, loader(60), loader(60, seed=1), epochs=60)
    assert history.train_loss[-1] < history.train_loss[0] / 2
    assert history.validation_accuracy[-1] > history.validation_accuracy[0]
    for values in dataclasses.astuple(history):
        assert len(values) == 60
        assert all(type(value) is float for value in values)


def test_the_same_seed_gives_the_same_history(model):
    histories = []
    for _ in range(2):
        shuffled = DataLoader(
            TensorDataset(*samples()),
            batch_size=4,
            shuffle=True,
            generator=torch.Generator().manual_seed(0),
        )
        histories.append(run(copy.deepcopy(model), shuffled))
    assert histories[0] == histories[1]


def test_any_loss_and_any_shape_of_target():
    inputs, _ = samples()
    labels = (inputs > 0).double()
    torch.manual_seed(0)
    model = nn.Linear(2, 2).double()
    history = run(
        model,
        [(inputs[:6], labels[:6]), (inputs[6:], labels[6:])],
        criterion=F.binary_cross_entropy_with_logits,
        decide=lambda logits: (logits > 0).long(),
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        epochs=200,
    )
    assert history.train_accuracy[-1] == 1
    assert history.validation_loss == history.validation_accuracy == ()


def test_history_is_frozen_and_starts_empty():
    assert dataclasses.astuple(History()) == ((), (), (), ())
    with pytest.raises(dataclasses.FrozenInstanceError):
        History().train_loss = (1.0,)


# What it leaves behind


class Modes(nn.Module):
    """Notes in which mode, and with or without gradient, it was called."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 3).double()
        self.calls = []

    def forward(self, inputs):
        self.calls.append((self.training, torch.is_grad_enabled()))
        return self.linear(inputs)


@pytest.mark.parametrize("validation", [None, loader(4)], ids=["alone", "validated"])
def test_modes_while_training_and_afterwards(validation):
    model = Modes().eval()
    run(model, loader(8), validation, epochs=2)
    epoch = [(True, True)] * 2 + [(False, False)] * (validation is not None)
    assert model.calls == epoch * 2
    assert not model.training
    assert torch.is_grad_enabled()


def test_evaluate_measures_in_evaluation_mode_and_changes_nothing():
    model = Modes()
    before = copy.deepcopy(model.state_dict())
    evaluate(model, nn.CrossEntropyLoss(), loader(8), argmax)
    assert model.calls == [(False, False)] * 2
    assert not model.training
    assert all(torch.equal(model.state_dict()[name], old) for name, old in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_gradients_do_not_pile_up(model):
    """One step of size lr times the gradient of the last batch alone."""
    run(model, loader(8), epochs=1, optimizer=sgd(model, lr=0.0))
    inputs, target = samples(8)
    expected = torch.autograd.grad(
        F.cross_entropy(model(inputs[4:]), target[4:]), list(model.parameters())
    )
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_model_without_parameters_can_be_evaluated():
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    batches = [(logits, torch.tensor([0, 1]))]
    loss, share = evaluate(nn.Identity(), nn.CrossEntropyLoss(), batches, argmax)
    assert loss == pytest.approx(math.log(2))
    assert share == 0.5


# The progress bar


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_progress_bar_only_when_asked_or_on_a_terminal(
    model, monkeypatch, capsys, progress, terminal, shown
):
    err = io.StringIO()
    err.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", err)
    run(model, loader(), epochs=2, progress=progress)
    assert ("epoch=2/2" in err.getvalue() and "6/6" in err.getvalue()) is shown
    assert bool(err.getvalue()) is shown
    assert capsys.readouterr().out == ""


def test_a_loader_without_length_has_a_bar_too(model, capfd):
    class Endless:
        def __iter__(self):
            return iter(loader())

    run(model, Endless(), epochs=2, progress=True)
    assert "6batch" in capfd.readouterr().err


# How it stops


class Poisoned:
    """A loss that is not finite in one batch, counted over the whole run."""

    def __init__(self, call, value):
        self.left, self.value = call, value

    def __call__(self, logits, target):
        self.left -= 1
        loss = F.cross_entropy(logits, target)
        return loss * self.value if self.left == 0 else loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_history(model, value):
    healthy = run(copy.deepcopy(model), loader(), loader(), epochs=2)
    # Three training batches and one validation an epoch: call 10 is batch 2 of epoch 3.
    with pytest.raises(TrainingError, match=rf"loss is {value} in batch 2 of epoch 3") as caught:
        run(model, loader(), loader(), epochs=5, criterion=Poisoned(10, value))
    assert (caught.value.epoch, caught.value.batch) == (3, 2)
    assert caught.value.history == healthy
    assert "2 of 5 epochs were finished" in caught.value.__notes__[0]
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_first_bad_loss_has_an_empty_history(model):
    with pytest.raises(TrainingError) as caught:
        run(model, loader(), criterion=Poisoned(1, math.nan))
    assert caught.value.history == History()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("call", [6, 8])
def test_the_stop_button_keeps_the_history(model, call):
    """In training (call 6) as in validation (call 8): only finished epochs count."""
    calls = Counter()

    def criterion(logits, target):
        calls["made"] += 1
        if calls["made"] == call:
            raise KeyboardInterrupt
        return F.cross_entropy(logits, target)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(model, loader(), loader(), epochs=5, criterion=criterion)
    assert [len(values) for values in dataclasses.astuple(caught.value.history)] == [1] * 4
    assert "sys.last_value.history" in caught.value.__notes__[0]


def test_validation_may_be_infinite(model):
    history = run(model, loader(), loader(), epochs=1, criterion=Poisoned(4, math.inf))
    assert history.validation_loss == (math.inf,)


# Rejections


@pytest.mark.parametrize("empty", [[], DataLoader(TensorDataset(*samples(3)), 4, drop_last=True)])
def test_empty_loaders_are_refused(model, empty):
    with pytest.raises(ValueError, match="train must give at least one batch"):
        run(model, empty)
    with pytest.raises(ValueError, match="validation must give at least one batch"):
        run(model, loader(), empty)
    with pytest.raises(ValueError, match="loader must give at least one batch"):
        evaluate(model, nn.CrossEntropyLoss(), empty, argmax)


def test_an_iterator_that_runs_dry_is_refused_with_its_history(model):
    with pytest.raises(ValueError, match="An iterator gives its batches only once") as caught:
        run(model, iter(loader()))
    assert len(caught.value.history.train_loss) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"criterion": nn.CrossEntropyLoss(reduction="none")}, r"scalar; got shape \(4,\).*mean"),
        ({"criterion": nn.CrossEntropyLoss(reduction="sum")}, 'got reduction="sum"'),
        ({"decide": lambda z: z}, r"the target's shape, \(4,\); got \(4, 3\).*Broadcast"),
        ({"decide": lambda z: z.argmax(dim=1, keepdim=True)}, r"\(4,\); got \(4, 1\)"),
        ({"optimizer": sgd(nn.Linear(2, 2))}, "optimizer must hold the parameters of model"),
    ],
)
def test_wrong_arguments_are_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        run(model, loader(), **options)


def test_evaluate_refuses_what_fit_refuses(model):
    with pytest.raises(ValueError, match='got reduction="sum"'):
        evaluate(model, nn.CrossEntropyLoss(reduction="sum"), loader(), argmax)
    with pytest.raises(ValueError, match="scalar"):
        evaluate(model, nn.CrossEntropyLoss(reduction="none"), loader(), argmax)
    with pytest.raises(ValueError, match=r"target's shape"):
        evaluate(model, nn.CrossEntropyLoss(), loader(), lambda z: z)


@pytest.mark.parametrize(
    ("batch", "got"),
    [(samples()[0], "float64"), ((1, 2, 3), "3 parts"), ({"input": 1}, "dict")],
)
def test_batches_must_be_pairs(model, batch, got):
    with pytest.raises(ValueError, match=rf"train must give pairs \(input, target\); got .*{got}"):
        run(model, [batch])


# Many networks side by side


def build():
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)).double()


RATES, SEEDS = [0.05, 0.5], [3, 4, 5]


def many(**options):
    parts = [samples(seed=seed) for seed in SEEDS]
    inputs, target = (torch.stack(part) for part in zip(*parts, strict=True))
    settings = {"rates": RATES, "seeds": SEEDS, "epochs": 4, "batch_size": 4} | options
    return fit_many(
        build, F.cross_entropy, inputs, target, lambda logits: logits(inputs), **settings
    )


def test_each_of_many_takes_the_steps_that_it_would_take_alone():
    history = many(every=2, weight_decay=0.1)
    assert history.shape == (2, len(RATES), len(SEEDS), 10, 3)
    for i, lr in enumerate(RATES):
        for j, seed in enumerate(SEEDS):
            torch.manual_seed(seed)
            inputs, target = samples(seed=seed)
            one = build()
            optimizer = torch.optim.SGD(one.parameters(), lr, momentum=0.9, weight_decay=0.1)
            for epoch in range(4):
                for batch in torch.randperm(10).split(4):
                    optimizer.zero_grad()
                    F.cross_entropy(one(inputs[batch]), target[batch]).backward()
                    optimizer.step()
                if epoch % 2:
                    torch.testing.assert_close(history[epoch // 2, i, j], one(inputs))


def test_many_leave_the_generator_of_others_alone():
    torch.manual_seed(8)
    expected = torch.rand(1)
    torch.manual_seed(8)
    many()
    assert torch.rand(1) == expected
