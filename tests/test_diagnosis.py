"""The parts of diagnose: reports, the graph, the sandbox, Checked, and criteria that misbehave."""

import collections
import contextlib
import math
import random
import sys
import time
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import Checked, WiringError, diagnose
from companion.diagnosis import Report, WiringWarning, ranges, state
from companion.diagnosis.evidence import Evidence
from companion.diagnosis.ranges import Graph


@pytest.fixture
def triple():
    """A right wiring with a graph: logits of twelve samples and three classes."""
    torch.manual_seed(0)
    return nn.CrossEntropyLoss(), nn.Linear(5, 3)(torch.randn(12, 5)), torch.arange(12) % 3


def codes(report: Report) -> list[str]:
    return [one.code for one in report.findings]


# The report


def test_notes_leave_a_report_ok(triple):
    criterion, output, target = triple
    report = diagnose(criterion, output.log_softmax(1), target)
    assert [one.level for one in report.findings] == ["note"]
    assert report.ok
    assert report.verdict == "Nothing wrong found; 1 note."


def test_certain_findings_come_first(triple):
    _, output, target = triple
    more = {"batches": [(output, target), (output[:5], target[:5])]}
    report = diagnose(F.nll_loss, output, target, predict=lambda o: (o > 0.5).float(), **more)
    levels = [one.level for one in report.findings]
    assert levels == sorted(levels, key=("certain", "suspicion", "note").index)
    assert len(set(levels)) > 1


def test_a_report_prints_everything_it_says(triple):
    criterion, output, target = triple
    text = repr(diagnose(criterion, output.softmax(1), target))
    for part in ("DOUBLE_ACTIVATION", "certain", "evidence", "fix", "read", "decide"):
        assert part in text
    assert "CrossEntropyLoss · output float32 (12, 3), target int64 (12,) · loss" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_html_of_a_report_is_escaped_and_deterministic(triple):
    _, output, target = triple

    def criterion(output, target):
        raise ValueError("<script>alert('&')</script>")

    html = diagnose(criterion, output, target)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)" in html
    assert html == diagnose(criterion, output, target)._repr_html_()


def test_a_report_names_no_address_in_memory(triple):
    _, output, target = triple
    text = repr(diagnose(partial(lambda o, t, k: F.cross_entropy(o, t), k=1), output, target))
    assert text.startswith("partial(<lambda>) · ")
    assert "0x" not in text


def test_the_report_says_what_it_did_not_look_at(triple):
    criterion, output, target = triple
    without = diagnose(criterion, output.detach(), target).unchecked
    assert [text.split(":")[0] for text in without] == ["what made the output"]
    assert not diagnose(criterion, output, target).unchecked


@pytest.mark.parametrize(
    ("criterion", "squash", "target", "rule"),
    [
        (nn.CrossEntropyLoss(), None, torch.arange(6) % 3, "output.argmax(dim=1); output.softmax"),
        (nn.NLLLoss(), "log_softmax", torch.arange(6) % 3, "output.argmax(dim=1); output.exp()"),
        (nn.BCEWithLogitsLoss(), None, torch.zeros(6, 3), "positive where output > 0;"),
        (nn.BCELoss(), "sigmoid", torch.zeros(6, 3), "positive where output > 0.5"),
        (nn.MSELoss(), None, torch.randn(6, 3), "no rule from output to label"),
    ],
)
def test_the_decision_rule_follows_from_the_criterion(criterion, squash, target, rule):
    output = torch.randn(6, 3, requires_grad=True)
    if squash:
        output = getattr(output, squash)(*([1] if squash == "log_softmax" else []))
    assert rule in diagnose(criterion, output, target).decision


def test_the_decision_rule_of_a_custom_loss_follows_from_its_activation():
    output, target = torch.randn(6, 1, requires_grad=True), torch.tensor([[0.0], [1.0]] * 3)

    def focal(o, t):
        yes, no = F.logsigmoid(o), F.logsigmoid(-o)
        return -(no.exp() ** 2 * yes * t + yes.exp() ** 2 * no * (1 - t)).mean()

    assert "output > 0;" in diagnose(focal, output, target).decision


# The graph


@pytest.mark.parametrize("classes", [2, 3, 4, 10])
def test_the_most_that_a_double_softmax_can_give_is_reached_by_the_best_scores(classes):
    best = torch.eye(classes, dtype=torch.float64)[:1].softmax(1).max().item()
    assert ranges.largest_prob(classes, 1.0) == pytest.approx(best, abs=1e-12)
    # e / (e + K - 1), at scores (1, 0, …, 0)
    assert best == pytest.approx(math.e / (math.e + classes - 1))


def test_the_floors_named_for_a_double_sigmoid_are_its_limits():
    ones = F.binary_cross_entropy_with_logits(torch.ones(1).double(), torch.ones(1).double())
    zeros = F.binary_cross_entropy_with_logits(torch.zeros(1).double(), torch.zeros(1).double())
    output = torch.randn(8, 1).sigmoid().requires_grad_().sigmoid()
    finding = diagnose(nn.BCEWithLogitsLoss(), output, torch.ones(8, 1)).findings[0]
    assert f"{ones.item():.4f}" in finding.evidence
    assert f"{zeros.item():.4f}" in finding.evidence


def test_the_evidence_names_the_floor_for_the_classes_at_hand(triple):
    criterion, output, target = triple
    floor = f"cannot fall below {math.log(math.e + 2) - 1:.4f}"
    for made in (output.softmax(1), output.sigmoid(), output.softmax(1).detach()):
        assert floor in diagnose(criterion, made, target).findings[0].evidence


def test_a_floor_is_named_only_where_it_holds(triple):
    """A focal loss or a divergence falls below the floor of cross-entropy."""
    _, output, target = triple

    def focal(output, target):
        each = F.cross_entropy(output, target, reduction="none")
        return ((1 - torch.exp(-each)) ** 2 * each).mean()

    def divergence(output, target):
        q = F.one_hot(target, 3) * 0.4 + 0.2
        return (q * (q.log() - output.log_softmax(1))).sum(1).mean()

    for criterion in (focal, divergence, nn.CrossEntropyLoss(reduction="sum")):
        evidence = diagnose(criterion, output.softmax(1), target).findings[0].evidence
        # e / (e + K - 1) at scores (1, 0, 0)
        assert f"no class gets more than {math.e / (math.e + 2):.4f} for 3 classes" in evidence
        assert "cannot fall" not in evidence


def test_the_mend_of_a_broadcast_squeezes_the_side_that_has_the_column():
    labels = torch.tensor([0.0, 1.0] * 4)
    logits = nn.Linear(3, 1)(torch.randn(8, 3))
    for criterion in (lambda o, t: (o - t).abs().mean(), lambda o, t: (t - o).abs().mean()):
        column = diagnose(criterion, logits, labels).findings[0]
        assert (column.code, column.fix[:33]) == ("BROADCAST", "criterion(output.squeeze(-1), tar")
        other = diagnose(criterion, logits.squeeze(1), labels[:, None]).findings[0]
        assert (other.code, other.fix[:33]) == ("BROADCAST", "criterion(output, target.squeeze(")


def test_a_threshold_is_named_where_it_is():
    output, target = torch.randn(8, 1, requires_grad=True), torch.tensor([[0.0], [1.0]] * 4)
    report = diagnose(nn.BCEWithLogitsLoss(), output, target, predict=lambda o: (o > 0.5).long())
    # sigmoid(0.5) = 0.62
    assert "between the logits 0.50 and 0.55" in report.findings[0].evidence
    assert "0.62" in report.findings[0].evidence


def test_nan_in_the_output_is_named_where_it_is(triple):
    criterion, output, target = triple
    output = output.clone()
    output[2, 1] = math.nan
    finding = diagnose(criterion, output, target).findings[0]
    assert finding.what.startswith("the output holds NaN")
    assert finding.evidence.startswith("1 of its values")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda z: z.softmax(1).view(-1).reshape(4, 3).clone(), "softmax"),
        (lambda z: z.sigmoid().permute(1, 0)[1:].unsqueeze(0).squeeze(0), "sigmoid"),
        (lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6), "sigmoid"),
        (lambda z: 1 - z.sigmoid(), "sigmoid"),
        (lambda z: z.softmax(1) + 1e-8, "softmax"),
        (lambda z: (z.softmax(1) + 1e-8).log(), "log_softmax"),
        (lambda z: z.log_softmax(1).exp(), "softmax"),
        (lambda z: torch.cat([z.relu(), z.relu()]), "relu"),
        (lambda z: torch.cat([z.relu(), z.sigmoid()]), "other"),
        (lambda z: z.sigmoid() * z.softmax(1), "other"),
        (lambda z: z.round(), "step"),
        (lambda z: F.dropout(z, 0.5), "dropout"),
        (lambda z: z.to(torch.float64).float(), "linear"),
        (lambda z: z.masked_fill(z > 9, -1e9), "linear"),
        (lambda z: F.batch_norm(z, None, None, training=True), "batch_norm"),
        (lambda z: z.detach(), "leaf"),
    ],
)
def test_the_producer_is_found_behind_what_merely_moves_values(make, kind):
    torch.manual_seed(0)
    made = make(nn.Linear(5, 3)(torch.randn(4, 5)))
    assert Graph().values(made.grad_fn).kind == kind


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (lambda z: z.softmax(1) * 3, 0, 3),
        (lambda z: 1 - z.sigmoid(), None, None),
        (lambda z: z.erf(), -1, 1),
        (lambda z: z.atan() / 2, -0.79, 0.79),
        (lambda z: z**2, 0, math.inf),
        (lambda z: (-z.abs()).exp(), 0, 1),
        (lambda z: 5 * z.sigmoid(), 0, 5),
        (lambda z: z.sigmoid() - z.sigmoid(), -1, 1),
        (lambda z: z.clamp(min=0), 0, math.inf),
        (lambda z: z.relu() / z.relu().sum(1, keepdim=True), -math.inf, math.inf),
        (lambda z: (lambda r: r / r.sum(1, keepdim=True))(z.relu()), 0, 1),
        (lambda z: z.softmax(1) * torch.eye(3)[[0, 1, 2, 0]], 0, 1),
        (lambda z: z / z.norm(dim=1, keepdim=True), -1, 1),
        (lambda z: z * 2 + 1, -math.inf, math.inf),
        (lambda z: torch.where(z > 0, z.tanh(), z.sigmoid()), -1, 1),
    ],
)
def test_the_range_of_values_is_followed_through_the_graph(make, low, high):
    torch.manual_seed(0)
    made = Graph().values(make(nn.Linear(5, 3)(torch.randn(4, 5))).grad_fn)
    if low is None:  # a constant of unknown size was taken from it
        assert (made.width, made.located) == (1, False)
    else:
        assert (made.low, made.high) == pytest.approx((low, high), abs=1e-2)


@pytest.mark.parametrize(
    ("squash", "criterion"),
    [
        (lambda z: z.erf(), nn.CrossEntropyLoss()),
        (lambda z: z.atan(), nn.CrossEntropyLoss()),
        (lambda z: z**2, nn.CrossEntropyLoss()),
        (lambda z: z.exp(), nn.CrossEntropyLoss()),
        (lambda z: 5 * z.sigmoid(), nn.CrossEntropyLoss()),
        (lambda z: 2 * z.sigmoid() - 1, nn.CrossEntropyLoss()),
        (lambda z: (lambda r: r / r.sum(1, keepdim=True))(z.relu()), nn.CrossEntropyLoss()),
        (lambda z: z.softmax(1) * torch.eye(3)[torch.arange(12) % 3], nn.CrossEntropyLoss()),
        (lambda z: z.relu().log_softmax(1), nn.NLLLoss()),
        (lambda z: z.softmax(1).log_softmax(1), nn.NLLLoss()),
        (lambda z: z.sigmoid().log_softmax(1), nn.NLLLoss()),
        (lambda z: (z.log_softmax(1) - 3).exp().log_softmax(1), nn.NLLLoss()),
    ],
)
def test_an_activation_is_found_by_its_range_whatever_its_name(squash, criterion, triple):
    _, output, target = triple
    report = diagnose(criterion, squash(output), target)
    assert {"DOUBLE_ACTIVATION", "BOUNDED_LOGITS"} & set(codes(report)), report
    assert not report.ok


def test_a_long_graph_is_walked_once(triple):
    criterion, output, target = triple
    for k in range(40):
        output = torch.cat([output[:, : k % 3], output[:, k % 3 :] * 1.1], 1)
    for _ in range(60):
        output = torch.where(output > 0, output, 0.9 * output)
    start = time.perf_counter()
    assert diagnose(criterion, output, target).ok
    assert time.perf_counter() - start < 2  # a walk of each path would take years


def test_the_unit_map_follows_views_permutations_and_stacks():
    layer, x = nn.Linear(5, 3), torch.randn(2, 4, 5)
    units = ranges.unit_map(layer(x).permute(0, 2, 1), layer.bias)
    assert torch.equal(units, torch.arange(3)[None, :, None].expand(2, 3, 4))
    torn = ranges.unit_map(layer(x).view(2, 3, 4), layer.bias)
    assert torch.equal(torn, (torch.arange(24) % 3).reshape(2, 3, 4))
    stacked = torch.stack([layer(x[:, t]) for t in range(4)], dim=2)
    assert torch.equal(ranges.unit_map(stacked, layer.bias), units)


def test_the_unit_map_knows_what_it_does_not_cover():
    layer, other, x = nn.Linear(5, 3), nn.Linear(5, 3), torch.randn(2, 5)
    assert ranges.unit_map(torch.cat([layer(x), other(x)]), layer.bias) is None


def test_the_last_bias_belongs_to_the_layer_that_made_the_output():
    convolution, layer = nn.Conv2d(2, 3, 1), nn.Linear(5, 3)
    maps = convolution(torch.randn(1, 2, 4, 4))
    assert ranges.last_bias(Graph().values(maps.grad_fn)) is convolution.bias
    turned = layer(torch.randn(2, 4, 5)).transpose(1, 2)
    assert ranges.last_bias(Graph().values(turned.grad_fn)) is layer.bias
    assert ranges.last_bias(Graph().values(layer(torch.randn(2, 5)).relu().grad_fn)) is None


def test_the_last_bias_is_found_where_product_and_bias_are_separate_steps():
    layer = nn.Linear(5, 3)
    output = torch.randn(2, 5) @ layer.weight.T + layer.bias
    assert Graph().values(output.grad_fn).kind == "linear"


def test_a_graph_freed_by_backward_is_read_as_far_as_it_goes(triple):
    criterion, output, target = triple
    output = output.softmax(1)
    criterion(output, target).backward()
    assert codes(diagnose(criterion, output, target)) == ["DOUBLE_ACTIVATION"]


def test_the_graph_is_still_usable_afterwards(triple):
    criterion, output, target = triple
    diagnose(criterion, output, target)
    criterion(output, target).backward()


# What the criterion may do


def test_an_exception_of_the_criterion_is_a_finding(triple):
    _, output, target = triple

    def criterion(output, target):
        raise KeyError("weights")

    report = diagnose(criterion, output, target)
    assert codes(report) == ["CUSTOM_LOSS"]
    assert "KeyError: 'weights'" in report.findings[0].evidence


class _Stubborn(BaseException):
    pass


def _raises(error):
    def criterion(output, target):
        raise error

    return criterion


def _recurses(output, target):
    return _recurses(output, target)


BROKEN = {
    "exits": lambda o, t: sys.exit(3),
    "raises what is no Exception": _raises(_Stubborn()),
    "raises the generator's end": _raises(GeneratorExit()),
    "recurses": _recurses,
    "returns None": lambda o, t: None,
    "returns a string": lambda o, t: "0.5",
    "returns a tuple": lambda o, t: (F.cross_entropy(o, t), {}),
    "returns a dict": lambda o, t: {"loss": F.cross_entropy(o, t)},
    "returns a complex number": lambda o, t: F.cross_entropy(o, t) * 1j,
    "returns integers": lambda o, t: t.sum(),
    "returns a bool": lambda o, t: (o > 0).any(),
    "returns numpy": lambda o, t: np.float32(0.5),
    "returns an empty tensor": lambda o, t: o[:0, 0],
    "returns NaN": lambda o, t: o.sum() * math.nan,
    "returns a sparse tensor": lambda o, t: o.to_sparse(),
    "returns the output": lambda o, t: o,
    "takes three arguments": lambda o, t, w: F.cross_entropy(o, t),
    "takes one argument": lambda o: o.sum(),
    "is no function": 3,
    "is None": None,
    "is a class": nn.BCEWithLogitsLoss,
    "switches the gradient off": lambda o, t: (torch.set_grad_enabled(False), o.sum())[1],
    "changes the default dtype": lambda o, t: (torch.set_default_dtype(torch.float64), o.sum())[1],
    "writes into its arguments": lambda o, t: (t.zero_(), o.mul_(2).sum())[1],
    "resizes its target": lambda o, t: (t.resize_(2), o.sum())[1],
    "runs backward itself": lambda o, t: (lambda x: (x.backward(), x)[1])(F.cross_entropy(o, t)),
    "reseeds": lambda o, t: (torch.manual_seed(1), F.cross_entropy(o, t))[1],
    "deletes": lambda o, t: (o.data.set_(torch.empty(0)), o.sum())[1],
}


@pytest.mark.parametrize("name", BROKEN)
def test_no_criterion_makes_it_raise(name, triple):
    _, output, target = triple
    before = output.clone(), target.clone(), torch.get_rng_state()
    report = diagnose(BROKEN[name], output, target)
    assert repr(report)
    assert report._repr_html_()
    assert not [text for text in report.unchecked if "it failed with" in text]
    assert torch.equal(output, before[0])
    assert torch.equal(target, before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() is torch.float32


def test_arguments_that_cannot_be_read_are_said(triple):
    class Strange(dict):
        def items(self):
            raise RuntimeError("not today")

        def copy(self):
            raise RuntimeError("not today either")

        def __class_getitem__(cls, item):
            raise RuntimeError

    criterion, output, target = triple
    for odd in (Strange(a=output), object(), {"a": {"b": [output]}}, ..., (i for i in "ab")):
        assert repr(diagnose(criterion, odd, target))
        assert repr(diagnose(criterion, output, odd))


def test_a_key_press_is_not_swallowed(triple):
    _, output, target = triple
    with pytest.raises(KeyboardInterrupt):
        diagnose(_raises(KeyboardInterrupt()), output, target)


@pytest.mark.parametrize("hang", ["sleeps", "loops", "swallows"])
def test_a_criterion_that_does_not_come_back_is_interrupted(hang, triple, monkeypatch):
    _, output, target = triple
    monkeypatch.setattr(state, "SECONDS", 0.2)

    def criterion(output, target):
        while True:
            if hang == "sleeps":
                time.sleep(60)
            if hang == "swallows":
                with contextlib.suppress(Exception):
                    time.sleep(60)

    report = diagnose(criterion, output, target)
    assert any("did not come back in time" in text for text in report.unchecked)


def test_a_slow_criterion_is_not_asked_often(triple, monkeypatch):
    _, output, target = triple
    monkeypatch.setattr(state, "SECONDS", 0.1)

    def criterion(output, target):
        time.sleep(0.03)
        return (output.log_softmax(1).exp() * F.one_hot(target, 3)).sum(1).neg().mean()

    case = Evidence(criterion, output, target)
    for _ in range(10):
        case.ask(output.detach(), target)
    assert case.asker.spent


def test_the_number_of_calls_is_bounded(triple):
    _, output, target = triple
    counter = collections.Counter()

    class Counted(nn.Module):
        def forward(self, output, target):
            counter["calls"] += 1
            return (1 - output.softmax(1)[torch.arange(len(target)), target]).mean()

    diagnose(Counted(), output, target, predict=lambda o: o.argmax(1))
    assert 1 < counter["calls"] <= state.MAX_CALLS


def test_nothing_is_printed_and_nobody_is_warned(triple, capsys, recwarn):
    import warnings

    _, output, target = triple

    def criterion(output, target):
        print("loss", file=sys.stderr)
        print("loss")
        warnings.warn("careful", stacklevel=1)
        return F.cross_entropy(output, target)

    diagnose(criterion, output, target)
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


# What it keeps of the criterion's own


class Remembering(nn.Module):
    """A loss with every kind of state: it is called, and nothing may change."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))
        self.register_buffer("mean", torch.zeros(3))
        self.calls, self.history, self.by_name = 0, [], {"last": None}
        self.seen = set()

    def forward(self, output, target):
        self.calls += 1
        self.history.append(float(output.detach().mean()))
        self.by_name["last"] = self.calls
        self.seen.add(self.calls)
        self.mean.mul_(0.9).add_(0.1 * output.detach().mean(0))
        loss = F.cross_entropy(output / self.temperature, target)
        self.temperature.grad = torch.ones(())
        self.new = loss
        return loss + 0 * torch.rand(()) + 0 * random.random() + 0 * np.random.rand()  # noqa: NPY002


def test_a_criterion_with_state_keeps_it(triple):
    _, output, target = triple
    criterion = Remembering()
    criterion(output, target)
    criterion.temperature.grad = torch.full((), 7.0)
    state = {name: value.clone() for name, value in criterion.state_dict().items()}
    seen = (criterion.calls, list(criterion.history), dict(criterion.by_name), set(criterion.seen))
    new, grad = criterion.new, criterion.temperature.grad
    diagnose(criterion, output, target)
    for name, value in criterion.state_dict().items():
        assert torch.equal(value, state[name]), name
    after = (criterion.calls, criterion.history, criterion.by_name, criterion.seen)
    assert after == seen
    assert criterion.new is new
    assert criterion.temperature.grad is grad
    assert grad.item() == 7.0


def test_what_a_function_closes_over_is_put_back(triple):
    _, output, target = triple
    calls, history, weights = 0, [], torch.ones(3)

    def criterion(output, target):
        nonlocal calls
        calls += 1
        history.append(calls)
        weights.mul_(2)
        return (F.cross_entropy(output, target, reduction="none") * weights[target]).mean()

    diagnose(criterion, output, target)
    assert (calls, history) == (0, [])
    assert torch.equal(weights, torch.ones(3))


def test_a_bound_method_and_a_partial_keep_their_state(triple):
    _, output, target = triple

    class Trainer:
        def __init__(self):
            self.steps, self.logged = 0, []

        def loss(self, output, target, scale=1.0):
            self.steps += 1
            self.logged.append(scale)
            return scale * F.cross_entropy(output, target)

    trainer = Trainer()
    diagnose(partial(trainer.loss, scale=2.0), output, target)
    assert (trainer.steps, trainer.logged) == (0, [])


# The model


def test_a_model_is_run_on_a_copy(triple):
    criterion, _, target = triple
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))
    inputs = torch.randn(12, 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = diagnose(criterion, model(inputs).detach(), target, model=model, inputs=inputs)
    after = model.state_dict()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    # The one call above is ours: it moves the running statistics once.
    assert set(changed) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert after["1.num_batches_tracked"].item() == 1
    assert all(parameter.grad is None for parameter in model.parameters())
    assert report.ok


def test_a_model_that_fails_is_said_and_does_no_harm(triple):
    criterion, output, target = triple
    report = diagnose(criterion, output, target, model=nn.Linear(7, 3), inputs=torch.randn(12, 5))
    assert report.ok
    assert any("a copy of it did not run" in text for text in report.unchecked)


def test_the_model_shows_what_made_an_output_without_a_graph(triple):
    criterion, _, target = triple
    model = nn.Sequential(nn.Linear(5, 3), nn.Softmax(dim=1))
    inputs = torch.randn(12, 5)
    with torch.no_grad():
        output = model(inputs)
    report = diagnose(criterion, output, target, model=model, inputs=inputs)
    assert [(one.code, one.level) for one in report.findings] == [("DOUBLE_ACTIVATION", "certain")]


def test_a_model_of_two_inputs_takes_a_tuple(triple):
    criterion, _, target = triple
    model = nn.Bilinear(5, 5, 3)
    inputs = (torch.randn(12, 5), torch.randn(12, 5))
    assert not diagnose(criterion, model(*inputs), target, model=model, inputs=inputs).unchecked


def test_a_one_way_iterator_of_batches_is_left_alone(triple):
    criterion, output, target = triple
    pairs = iter([(output, target)] * 3)
    diagnose(criterion, output, target, batches=pairs)
    assert len(list(pairs)) == 3


# Modes of autograd


def test_it_works_without_gradients_and_in_inference_mode(triple):
    criterion, output, target = triple
    with torch.no_grad():
        assert diagnose(criterion, output.detach(), target).ok
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        made = nn.Linear(5, 3)(torch.randn(12, 5))
        assert diagnose(criterion, made, target).ok
        assert torch.is_inference_mode_enabled()


def test_a_compiled_criterion_is_asked_in_its_eager_form(triple):
    _, output, target = triple
    compiled = torch.compile(nn.CrossEntropyLoss(), backend="eager")
    assert codes(diagnose(compiled, output.softmax(1), target)) == ["DOUBLE_ACTIVATION"]


@pytest.mark.parametrize("size", [(0, 3), (1, 3), (2, 3)])
def test_empty_and_single_batches(size):
    output, target = torch.randn(size, requires_grad=True), torch.zeros(size[0]).long()
    report = diagnose(nn.CrossEntropyLoss(), output, target)
    assert codes(report) == (["NUMERICS"] if size[0] == 0 else [])


# Checked


def test_checked_behaves_like_what_it_wraps(triple):
    criterion, output, target = triple
    weighted = nn.CrossEntropyLoss(weight=torch.ones(3), label_smoothing=0.1)
    wrapped = Checked(weighted)
    for _ in range(3):
        assert torch.equal(wrapped(output, target), weighted(output, target))
    assert wrapped.label_smoothing == 0.1
    assert wrapped.weight is weighted.weight
    assert torch.equal(Checked(F.cross_entropy)(output, target), criterion(output, target))
    with pytest.raises(AttributeError):
        wrapped.no_such_option  # noqa: B018


def test_checked_raises_on_a_certain_finding_once(triple):
    criterion, output, target = triple
    wrapped = Checked(criterion)
    with pytest.raises(WiringError, match="DOUBLE_ACTIVATION") as caught:
        wrapped(output.softmax(1), target)
    assert caught.value.report.findings[0].level == "certain"
    assert wrapped(output, target).requires_grad


def test_checked_warns_on_a_suspicion(triple):
    criterion, output, target = triple
    with pytest.warns(WiringWarning, match="DOUBLE_ACTIVATION") as caught:
        Checked(criterion)(output.softmax(1).detach(), target)
    assert caught[0].filename == __file__


def test_checked_looks_again_when_the_first_batch_had_no_graph(triple):
    criterion, output, target = triple
    wrapped = Checked(criterion)
    wrapped(output.detach(), target)
    wrapped(output.softmax(1).detach(), target)  # looked at once without a graph already
    with pytest.raises(WiringError):
        wrapped(output.softmax(1), target)


def test_checked_hands_on_further_arguments(triple):
    _, output, target = triple
    wrapped = Checked(F.cross_entropy)
    weight = torch.tensor([1.0, 2.0, 3.0])
    expected = F.cross_entropy(output, target, weight, reduction="sum")
    for _ in range(2):
        assert torch.equal(wrapped(output, target, weight, reduction="sum"), expected)


def test_checked_keeps_the_state_of_its_criterion_reachable():
    wrapped = Checked(nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)))
    wrapped(torch.randn(4, 2), torch.eye(2)[[0, 1, 0, 1]])
    assert list(wrapped.state_dict()) == ["criterion.pos_weight"]
    assert wrapped.double().pos_weight.dtype is torch.float64


def test_another_criterion_can_be_put_into_checked(triple):
    criterion, output, target = triple
    wrapped = Checked(criterion)
    wrapped(output, target)
    wrapped.criterion = nn.CrossEntropyLoss(reduction="sum")
    assert torch.equal(wrapped(output, target), wrapped.criterion(output, target))


def test_checked_copies_with_its_criterion(triple):
    from copy import deepcopy

    _, output, target = triple
    wrapped = Checked(nn.CrossEntropyLoss(weight=torch.ones(3)))
    wrapped(output, target)
    twin = deepcopy(wrapped)
    twin.criterion.weight.mul_(5)
    assert wrapped.criterion.weight[0] == 1
    assert torch.equal(twin(output, target), twin.criterion(output, target))


def test_the_package_offers_the_three_names():
    assert companion.diagnose is diagnose
    assert companion.Checked is Checked
    assert companion.WiringError is WiringError
