"""The three binary heads say the same in their own ways."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from companion.heads import LogitHead, SigmoidHead, SoftmaxHead, to_one_logit, to_two_logits

KINDS = [SigmoidHead, LogitHead, SoftmaxHead]


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["bias", "no bias"])
def bias(request):
    return request.param


def samples(dtype=torch.float64, n=7):
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(n, 4, generator=generator, dtype=torch.float64).to(dtype)
    return inputs, torch.tensor([0, 1, 1, 0, 1, 0, 1])[:n]


def make(kind, dtype=torch.float64, bias=True):
    torch.manual_seed(5)
    return kind(4, bias=bias, dtype=dtype)


def by_loop(head, inputs, target):
    """The mean of -log p(label), written with Python's floats."""
    total = 0.0
    for row, label in zip(inputs.tolist(), target.tolist(), strict=True):
        outputs = []
        for k, weights in enumerate(head.linear.weight.tolist()):
            offset = 0.0 if head.linear.bias is None else head.linear.bias[k].item()
            outputs.append(sum(w * x for w, x in zip(weights, row, strict=True)) + offset)
        z = outputs[1] - outputs[0] if len(outputs) == 2 else outputs[0]
        p = 1 / (1 + math.exp(-z))
        total -= math.log(p if label else 1 - p)
    return total / len(target)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_is_the_definition(kind, bias):
    head, (inputs, target) = make(kind, bias=bias), samples()
    assert head.loss(inputs, target).item() == pytest.approx(by_loop(head, inputs, target))


@pytest.mark.parametrize(("kind", "shape"), list(zip(KINDS, [(7,), (7,), (7, 2)], strict=True)))
def test_shapes_and_dtype(kind, shape, dtype, bias):
    head, (inputs, target) = make(kind, dtype, bias), samples(dtype)
    assert head(inputs).shape == shape
    assert head.positive_probs(inputs).shape == (7,)
    assert head(inputs).dtype == head.loss(inputs, target).dtype == dtype
    assert (head.linear.bias is None) is not bias


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_belong_to_the_loss(kind):
    head, (inputs, target) = make(kind), samples()
    probs = head.positive_probs(inputs)
    assert ((probs > 0) & (probs < 1)).all()
    assert_close(F.binary_cross_entropy(probs, target.double()), head.loss(inputs, target))


def test_sigmoid_head_and_logit_head_share_their_parameters():
    sigmoid, logit = make(SigmoidHead), make(LogitHead)
    inputs, target = samples()
    assert torch.equal(sigmoid.linear.weight, logit.linear.weight)
    assert_close(sigmoid(inputs), logit.positive_probs(inputs))
    assert_close(sigmoid.loss(inputs, target), logit.loss(inputs, target))


def test_two_logits_have_a_zero_row(dtype, bias):
    one = make(LogitHead, dtype, bias)
    two = to_two_logits(one)
    assert torch.equal(
        two.linear.weight, torch.stack([torch.zeros(4).to(dtype), *one.linear.weight])
    )
    if bias:
        assert torch.equal(two.linear.bias, torch.cat([torch.zeros(1).to(dtype), one.linear.bias]))
    else:
        assert two.linear.bias is None


def test_round_trip_is_exact(dtype, bias):
    one = make(LogitHead, dtype, bias)
    back = to_one_logit(to_two_logits(one))
    assert back.state_dict().keys() == one.state_dict().keys()
    for name, value in one.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
        assert back.state_dict()[name].dtype == dtype


def test_both_maps_keep_loss_and_decisions(dtype, bias):
    inputs, target = samples(dtype)
    one = make(LogitHead, dtype, bias)
    two = to_two_logits(one)
    any_two = make(SoftmaxHead, dtype, bias)
    for logit, softmax in ((one, two), (to_one_logit(any_two), any_two)):
        assert_close(softmax.loss(inputs, target), logit.loss(inputs, target))
        assert_close(softmax.positive_probs(inputs), logit.positive_probs(inputs))
        assert torch.equal(softmax(inputs).argmax(dim=1), (logit(inputs) > 0).long())


def test_gradient_of_the_rows_is_plus_and_minus_that_of_the_logit():
    inputs, target = samples()
    one = make(LogitHead)
    two = to_two_logits(one)
    one.loss(inputs, target).backward()
    two.loss(inputs, target).backward()
    for new, old in zip(two.parameters(), one.parameters(), strict=True):
        assert_close(new.grad, torch.cat([-old.grad, old.grad]))


def test_a_step_on_two_logits_moves_the_difference_twice_as_far():
    inputs, target = samples()
    one = make(LogitHead)
    two = to_two_logits(one)
    start = copy.deepcopy(one)
    for head in (one, two):
        head.loss(inputs, target).backward()
        torch.optim.SGD(head.parameters(), lr=0.1).step()
    for new, old, before in zip(
        to_one_logit(two).parameters(), one.parameters(), start.parameters(), strict=True
    ):
        assert_close(new - before, 2 * (old - before))


def test_maps_leave_their_argument_and_the_global_seed_alone():
    one = make(LogitHead).eval()
    before = copy.deepcopy(one.state_dict())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    two = to_two_logits(one)
    assert not two.training
    assert not to_one_logit(two).training
    assert torch.equal(torch.rand(3), expected)
    with torch.no_grad():
        two.linear.weight.fill_(9)
    assert all(torch.equal(one.state_dict()[name], value) for name, value in before.items())


def test_maps_keep_the_device():
    one = LogitHead(4, device="meta")
    assert to_two_logits(one).linear.weight.device.type == "meta"
    assert to_one_logit(to_two_logits(one)).linear.weight.device.type == "meta"


@pytest.mark.parametrize("kind", KINDS)
def test_gradcheck(kind):
    head, (inputs, target) = make(kind), samples()
    assert torch.autograd.gradcheck(lambda x: head.loss(x, target), inputs.requires_grad_())


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_far_logits_stay_finite(scale, dtype):
    head = make(LogitHead, dtype, bias=False)
    with torch.no_grad():
        head.linear.weight.fill_(scale)
    inputs = torch.ones(2, 4, dtype=dtype)
    for each in (head, to_two_logits(head)):
        # One of the two labels is wrong by 4 |scale|, the other right: their mean is half of it.
        assert each.loss(inputs, torch.tensor([0, 1])).item() == 2 * abs(scale)


def test_a_single_sample():
    inputs, target = samples(n=1)
    for kind in KINDS:
        assert make(kind).loss(inputs, target).shape == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (torch.zeros(4), ValueError, r"shape \(N, 4\); got \(4,\).*unsqueeze\(0\)"),
        (torch.zeros(2, 3), ValueError, r"shape \(N, 4\); got \(2, 3\)"),
        (torch.zeros(2, 2, 4), ValueError, r"got \(2, 2, 4\)"),
        (torch.zeros(2, 4, dtype=torch.float32), TypeError, "must be float64.*got float32.*head"),
    ],
)
def test_wrong_inputs_are_refused(kind, inputs, error, message):
    head = make(kind)
    inputs = inputs if error is TypeError else inputs.double()
    with pytest.raises(error, match=message):
        head(inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (torch.zeros(7, 1).long(), ValueError, r"shape \(7,\).*got \(7, 1\).*squeeze\(1\)"),
        (torch.zeros(3).long(), ValueError, r"shape \(7,\).*got \(3,\)"),
        (torch.zeros(7), TypeError, r"int64.*got float32.*long\(\)"),
        (torch.full((7,), 2), ValueError, "0 or 1; got values from 2 to 2"),
        (torch.full((7,), -100), ValueError, "0 or 1; got values from -100"),
    ],
)
def test_wrong_targets_are_refused(kind, target, error, message):
    head, (inputs, _) = make(kind), samples()
    with pytest.raises(error, match=message):
        head.loss(inputs, target)


def test_an_empty_batch_is_refused():
    for kind in KINDS:
        head = make(kind)
        assert head.positive_probs(torch.zeros(0, 4, dtype=torch.float64)).shape == (0,)
        with pytest.raises(ValueError, match="at least one sample"):
            head.loss(torch.zeros(0, 4, dtype=torch.float64), torch.zeros(0).long())


def test_maps_refuse_the_other_head():
    with pytest.raises(TypeError, match="must be a LogitHead; got SoftmaxHead"):
        to_two_logits(SoftmaxHead(4))
    with pytest.raises(TypeError, match="must be a SoftmaxHead; got LogitHead"):
        to_one_logit(LogitHead(4))
