"""Around a training and in a test; and what asking may cost and leave behind."""

import random
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import WiringError, diagnose, watch
from companion.diagnosis.evidence import Evidence, sample
from companion.testing import assert_wired

X, Y = torch.randn(48, 5), torch.arange(48) % 3


class FocalLoss(nn.Module):
    def forward(self, output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return ((1 - torch.exp(-each)) ** 2 * each).mean()


class SelfScored(nn.Module):
    """A model that computes its loss inside, as those of Hugging Face do."""

    def __init__(self, *tail):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 3), *tail)

    def forward(self, inputs, labels):
        return F.cross_entropy(self.net(inputs).view(-1, 3), labels.view(-1))


def train(model, criterion, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(X), Y).backward()
        optimizer.step()


def model(*tail):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 3), *tail)


CRITERIA = {
    "module": nn.CrossEntropyLoss(),
    "function": lambda o, t: F.cross_entropy(o, t),
    "own": FocalLoss(),
}


@pytest.mark.parametrize("name", CRITERIA)
def test_a_wrong_training_is_told_once(name, capsys):
    with watch() as seen:
        train(model(nn.Softmax(1)), CRITERIA[name])
    said = capsys.readouterr().out
    assert said.count("DOUBLE_ACTIVATION") == 1
    assert f"{__file__.rpartition('/')[2]}, line " in said
    assert len(seen.reports) == 1


@pytest.mark.parametrize("name", CRITERIA)
def test_a_right_training_is_seen_and_left_alone(name, capsys):
    with watch(raise_on="suspicion") as seen:
        train(model(), CRITERIA[name])
    assert [report.ok for report in seen.reports.values()] == [True]
    assert capsys.readouterr().out == ""


def test_a_loss_inside_the_model_is_seen(capsys):
    with watch():
        for _ in range(2):
            SelfScored(nn.Softmax(1))(X, Y).backward()
    assert capsys.readouterr().out.count("DOUBLE_ACTIVATION") == 1


def test_it_raises_from_the_level_that_is_asked_for():
    squashed = model(nn.Softmax(1))
    with pytest.raises(WiringError, match="line"), watch(raise_on="certain"):
        train(squashed, nn.CrossEntropyLoss())
    cut = model(nn.ReLU())
    with watch(raise_on="certain"):
        train(cut, nn.CrossEntropyLoss())
    with pytest.raises(WiringError), watch(raise_on="suspicion"):
        train(cut, nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match="raise_on"):
        watch(raise_on="note")


def test_calls_without_a_gradient_are_left_alone():
    squashed = model(nn.Softmax(1))
    with watch(raise_on="certain") as seen, torch.no_grad():
        F.cross_entropy(squashed(X), Y)
    assert not seen.reports


def test_two_losses_in_one_line_are_two():
    with watch() as seen:
        out = model()(X)
        _ = F.cross_entropy(out, Y) + F.nll_loss(out.log_softmax(1), Y)
    assert [name.rpartition(": ")[2] for name in seen.reports] == ["cross_entropy", "nll_loss"]


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_it_was_after_the_block(fails):
    hooks = torch.nn.modules.module
    before = [getattr(F, name) for name in dir(F)], dict(hooks._global_forward_hooks)
    with pytest.raises(KeyError) if fails else watch(), watch():
        train(model(), FocalLoss())
        if fails:
            raise KeyError
    assert [getattr(F, name) for name in dir(F)] == before[0]
    assert dict(hooks._global_forward_hooks) == before[1]
    assert not hooks._global_forward_pre_hooks


def test_the_training_itself_is_not_changed():
    weights = []
    for watched in (False, True):
        net = model()
        torch.manual_seed(1)
        with watch() if watched else torch.enable_grad():
            train(net, lambda o, t: F.cross_entropy(F.dropout(o, 0.2), t), steps=5)
        weights.append(net[0].weight.detach().clone())
    assert torch.equal(*weights)


def test_a_module_is_not_looked_at_after_its_second_call():
    with watch() as seen:
        train(model(), FocalLoss())
        assert not seen._hooks  # afterwards the calls of other modules cost nothing


# In a test


def test_assert_wired_passes_what_is_right_and_fails_what_is_not():
    assert assert_wired(nn.CrossEntropyLoss(), model()(X), Y).ok
    with pytest.raises(AssertionError, match="DOUBLE_ACTIVATION"):
        assert_wired(nn.CrossEntropyLoss(), model(nn.Softmax(1))(X), Y)
    allowed = assert_wired(
        nn.CrossEntropyLoss(), model(nn.Softmax(1))(X), Y, allow=["DOUBLE_ACTIVATION"]
    )
    assert not allowed.ok
    with pytest.raises(AssertionError, match="DECISION_RULE"):
        assert_wired(nn.CrossEntropyLoss(), model()(X), Y, predict=lambda o: o[:, 1] > 0)


def test_what_cannot_be_read_is_not_ok():
    report = diagnose(lambda o, t: torch.tensor(0.3, requires_grad=True), object(), Y)
    assert (report.ok, report.verdict) == (False, "Nothing could be read.")
    with pytest.raises(AssertionError, match="could not be read"):
        assert_wired(lambda o, t: torch.tensor(0.3, requires_grad=True), object(), Y)


# Checked takes what the criterion takes


def test_checked_takes_keywords_from_the_first_call_on():
    for criterion in (nn.CrossEntropyLoss(), F.cross_entropy):
        wrapped, output = companion.Checked(criterion), model()(X)
        for _ in range(2):
            assert torch.equal(wrapped(input=output, target=Y), wrapped(output, target=Y))
        with pytest.raises(WiringError):
            companion.Checked(criterion)(target=Y, input=output.softmax(1))


# What asking may cost and leave behind


class Meter:
    def __init__(self):
        self.calls, self.inner, self.generator = 0, [], torch.Generator().manual_seed(3)


def test_objects_generators_and_the_default_device_are_put_back():
    meter, generator = Meter(), np.random.default_rng(3)
    own = random.Random(3)

    def criterion(output, target):
        meter.calls += 1
        meter.inner.append(output.detach())
        torch.rand(3, generator=meter.generator)
        own.random(), generator.random()
        torch.set_default_device("meta")
        return (1 - output.softmax(1).gather(1, target[:, None])).mean()

    assert diagnose(criterion, model()(X), Y).ok
    assert (meter.calls, meter.inner) == (0, [])
    assert torch.get_default_device().type == "cpu"
    fresh = torch.rand(3, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.rand(3, generator=meter.generator), fresh)
    assert generator.random() == np.random.default_rng(3).random()
    assert own.random() == random.Random(3).random()


def test_a_hook_of_the_model_keeps_nothing():
    net, kept = model(), []
    net.register_forward_hook(lambda *call: kept.append(call))
    output = net(X)
    kept.clear()
    diagnose(nn.CrossEntropyLoss(), output, Y, model=net, inputs=X)
    assert kept == []


@pytest.mark.parametrize(
    ("shape", "target"), [((2048, 3000), (2048,)), ((4, 21, 256, 256), (4, 256, 256))]
)
def test_of_a_large_batch_a_sample_is_asked(shape, target):
    criterion = FocalLoss()
    goal = torch.randint(shape[1], target)
    output = torch.randn(shape, requires_grad=True) * 1.0
    report = diagnose(criterion, output, goal)
    assert report.ok
    assert Evidence(criterion, output, goal).output.numel() < output.numel() / 10
    assert any("a sample of" in text for text in report.unchecked)
    goal.view(-1)[goal.numel() // 2 + 7] = shape[1]  # one label that names no class is in it
    assert [one.code for one in diagnose(criterion, output, goal).findings] == ["TARGET_RANGE"]
    assert torch.equal(sample(output, goal)[1], sample(output, goal)[1])


def test_a_criterion_that_needs_the_whole_batch_gets_it():
    mask = torch.arange(4096) % 2 == 0
    output, target = torch.randn(4096, 100, requires_grad=True) * 1.0, torch.arange(4096) % 100
    report = diagnose(lambda o, t: F.cross_entropy(o[mask], t[mask]), output, target)
    assert report.ok
    assert not any("a sample of" in text for text in report.unchecked)


def test_deep_branches_are_walked_in_no_time():
    k, scores = 40, nn.Linear(5, 40)(X)
    for c in range(k):  # a temperature for each class
        scores = torch.cat([scores[:, :c], scores[:, c : c + 1] * 1.5, scores[:, c + 1 :]], 1)
    kept = nn.Linear(5, 3)(X)
    for _ in range(60):
        kept = torch.where(kept > 0, kept, 0.9 * kept)
    start = time.perf_counter()
    assert diagnose(nn.CrossEntropyLoss(), scores, Y).ok
    assert diagnose(nn.CrossEntropyLoss(), kept, Y).ok
    assert time.perf_counter() - start < 10  # each path alone would take years


MAPS = nn.Conv2d(3, 1, 1)(torch.randn(6, 3, 8, 8))
WGAN = nn.Linear(5, 1)(X).squeeze(1)


@pytest.mark.parametrize(
    ("criterion", "output", "target"),
    [
        (lambda o, t: -o.mean(), WGAN, torch.ones(48)),
        (lambda o, t: (t * -o).mean(), WGAN, torch.ones(48)),
        (lambda o, t: F.cross_entropy(o.flatten(1), t), MAPS, torch.arange(6)),
        (nn.TripletMarginLoss(), None, None),
    ],
)  # fmt: skip
def test_right_losses_that_were_once_accused(criterion, output, target):
    if output is None:

        def criterion(o, t):
            far = torch.cdist(o, o)
            same = t[:, None] == t
            return F.relu(1 + (far * same).amax(1) - far.masked_fill(same, 9e9).amin(1)).mean()

        output, target = nn.Linear(5, 8)(X), Y
    assert diagnose(criterion, output, target).ok
