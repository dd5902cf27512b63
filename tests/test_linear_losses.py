"""The losses without logits: equal to those of the logits, in little memory, or refused."""

import inspect
from functools import partial
from types import ModuleType

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.autograd import forward_ad, gradcheck
from torch.nn import functional as F
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

import companion.linear_losses
from companion import losses

NAMES = ("symmetric_cross_entropy", "reverse_cross_entropy", "generalized_cross_entropy")
each_name = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="session")
def linear():
    """The rooms's functions, as an argument: a mutant can then take their place."""
    return companion.linear_losses


def layer(rows=7, features=3, classes=5, dtype=torch.float64, bias=True, seed=0):
    """Seeded input, weight and bias, which learn, and a target in which some are ignored."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(rows, features), (classes, features), *[(classes,)] * bias]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    target = torch.randint(classes, (rows,), generator=generator)
    target[::3] = -100
    return [x.to(dtype).requires_grad_() for x in made] + [None] * (not bias), target


def without(linear, name, parts, target, **options):
    """The loss without logits."""
    input, weight, bias = parts
    return getattr(linear, f"linear_{name}")(input, weight, target, linear_bias=bias, **options)


def on_logits(name, parts, target, **options):
    """The same on logits."""
    options.pop("batch_chunk_size", None)
    input, weight, bias = parts
    target = target.flatten()
    return getattr(losses, name)(F.linear(input, weight, bias).flatten(0, -2), target, **options)


def gradients(loss, parts):
    """The gradients of a loss, whose single values count differently."""
    counts = torch.linspace(0.5, 2, loss.numel(), dtype=loss.dtype).view(loss.shape)
    return torch.autograd.grad((loss * counts).sum(), [x for x in parts if x is not None])


def assert_same(linear, name, parts, target, **options):
    """Value and every gradient are those on logits."""
    ours = without(linear, name, parts, target, **options)
    theirs = on_logits(name, parts, target, **options).view(ours.shape)
    close = {} if ours.dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-13}
    assert ours.dtype == theirs.dtype
    assert_close(ours, theirs, **close, equal_nan=True)
    for mine, expected in zip(gradients(ours, parts), gradients(theirs, parts), strict=True):
        assert_close(mine, expected, **close, equal_nan=True)


# Equal to the losses of the logits


@each_name
@given(
    sizes=st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(1, 6)),
    chunk=st.one_of(st.none(), st.integers(1, 10)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    bias=st.booleans(),
    weighted=st.booleans(),
    ignored=st.sampled_from([-100, 0, 3]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    constants=st.tuples(st.sampled_from([0.0, 0.7]), st.sampled_from([0.0, 1.3])),
    reduction=st.sampled_from(["mean", "sum", "none"]),
    seed=st.integers(0, 99),
)
@example((9, 3, 5), 2, torch.float64, True, True, 3, 0.1, (0.7, 1.3), "mean", 0)
@example((9, 3, 5), 2, torch.float64, True, True, 3, 0.1, (0.7, 1.3), "none", 0)
@example((9, 3, 5), 2, torch.float32, False, False, -100, 0.0, (0.7, 1.3), "sum", 0)
def test_equal_to_the_loss_of_the_logits(
    linear,
    name,
    sizes,
    chunk,
    dtype,
    bias,
    weighted,
    ignored,
    smoothing,
    constants,
    reduction,
    seed,
):
    parts, target = layer(*sizes, dtype, bias, seed)
    target[target == -100] = ignored if ignored < sizes[2] else 0
    options = {"ignore_index": ignored, "reduction": reduction, "batch_chunk_size": chunk}
    if weighted:
        options["weight"] = torch.linspace(0.5, 3, sizes[2], dtype=dtype)
    if name == "generalized_cross_entropy":
        options["q"] = 0.6
    else:
        options |= {"label_smoothing": smoothing, "log_zero": -3.0}
    if name == "symmetric_cross_entropy":
        options |= dict(zip(("alpha", "beta"), constants, strict=True))
    assert_same(linear, name, parts, target, **options)


@each_name
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_are_those_of_finite_differences(linear, name, reduction):
    parts, target = layer()
    options = {"reduction": reduction, "batch_chunk_size": 3}
    assert gradcheck(lambda *parts: without(linear, name, parts, target, **options), parts)


@each_name
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 2), (0,), (2, 0)])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_all_dimensions_but_the_last_are_rows(linear, name, shape, reduction):
    parts, _ = layer()
    parts[0] = torch.randn(*shape, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randint(5, shape)
    options = {"reduction": reduction, "batch_chunk_size": 2}
    ours = without(linear, name, parts, target, **options)
    assert ours.shape == (shape if reduction == "none" else ())
    if shape:
        assert_same(linear, name, parts, target, **options)
    else:
        row = [parts[0][None], *parts[1:]]
        assert_close(ours, on_logits(name, row, target, **options).view(()))


@each_name
def test_nothing_to_learn_from(linear, name):
    parts, target = layer()
    for chosen in ([x if i else x[:0] for i, x in enumerate(parts)], target[:0]), (parts, target):
        nothing = torch.full_like(chosen[1], -100)
        for reduction, value in (("mean", torch.nan), ("sum", 0.0)):
            found = without(linear, name, chosen[0], nothing, reduction=reduction)
            assert_close(found.item(), value, equal_nan=True)
            assert not any(slope.any() for slope in torch.autograd.grad(found, parts))


@each_name
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_ignored_row_may_hold_anything(linear, name, reduction):
    parts, target = layer()
    spoilt = [parts[0].detach().clone(), *parts[1:]]
    spoilt[0][::3] = torch.nan
    value = without(linear, name, spoilt, target, reduction=reduction)
    assert_close(value, on_logits(name, parts, target, reduction=reduction))


@pytest.mark.skipif(not hasattr(F, "linear_cross_entropy"), reason="this torch has none")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_without_its_reverse_part_it_is_torchs(linear, reduction):
    parts, target = layer()
    weight = torch.linspace(0.5, 3, 5, dtype=torch.float64)
    settings = {"reduction": reduction, "weight": weight, "label_smoothing": 0.1}
    ours = linear.linear_symmetric_cross_entropy(
        *parts[:2], target, linear_bias=parts[2], alpha=1.0, beta=0.0, **settings
    )
    theirs = F.linear_cross_entropy(*parts[:2], target, linear_bias=parts[2], **settings)
    assert_close(ours, theirs)
    for mine, expected in zip(gradients(ours, parts), gradients(theirs, parts), strict=True):
        assert_close(mine, expected)


# Half precision


def distance(found, exact):
    """How far gradients are from the exact ones, relative to their sizes."""
    pairs = zip(found, exact, strict=True)
    return torch.stack([(a.double() - b).norm() / b.norm() for a, b in pairs]).max().item()


@each_name
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_half_precision_is_as_exact_as_on_logits(linear, name, dtype, reduction):
    parts, target = layer(200, 8, 5, dtype)
    exact = [x.detach().double().requires_grad_() for x in parts]
    true = on_logits(name, exact, target, reduction=reduction)
    theirs = on_logits(name, parts, target, reduction=reduction)
    ours = without(linear, name, parts, target, reduction=reduction, batch_chunk_size=4)
    assert ours.dtype == torch.float32
    assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    slopes, bound, exact = gradients(ours, parts), gradients(theirs, parts), gradients(true, exact)
    assert {slope.dtype for slope in slopes} == {dtype}
    assert distance(slopes, exact) <= 2 * distance(bound, exact)  # a rounding more a chunk


@each_name
def test_a_factor_reaches_float16_before_anything_is_lost(linear, name):
    """As with a gradient scaler: a mean over many rows is too small for float16 without it."""
    (input, weight, bias), target = layer(5000, 3, 5, torch.float16)
    parts = (1e-3 * input.detach()).requires_grad_(), weight, bias
    slope = torch.autograd.grad(2**16 * without(linear, name, parts, target), parts[0])[0]
    exact = [x.detach().double().requires_grad_() for x in parts]
    true = torch.autograd.grad(2**16 * on_logits(name, exact, target), exact[0])[0]
    assert distance([slope], [true]) < 2e-3


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_autocast_computes_the_layer_as_it_does_elsewhere(linear, name, reduction):
    parts, target = layer(dtype=torch.float32)
    parts[0] = parts[0].detach().bfloat16().requires_grad_()  # what comes of a layer before
    options = {"reduction": reduction, "batch_chunk_size": 3}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = without(linear, name, parts, target, **options)
        theirs = on_logits(name, parts, target, **options)
    assert ours.dtype == theirs.dtype == torch.float32
    assert_close(ours, theirs)
    for mine, expected in zip(gradients(ours, parts), gradients(theirs, parts), strict=True):
        assert mine.dtype == expected.dtype
        assert_close(mine, expected, rtol=2e-2, atol=1e-3)
    exact, target = layer()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_close(without(linear, name, exact, target), on_logits(name, exact, target))


# Memory and passes


class Sizes(TorchDispatchMode):
    """The largest tensor that any operation makes, and how many products of matrices."""

    def __init__(self):
        super().__init__()
        self.largest = self.products = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.products += "mm" in str(function)
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return made


@each_name
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_logits_never_exist_together(linear, name, reduction):
    parts, target = layer(60, 4, 50)
    with Sizes() as made:
        value = without(linear, name, parts, target, reduction=reduction, batch_chunk_size=4)
        gradients(value, parts)
    assert made.largest == 60 * 4  # the gradient of the input; a chunk's logits are 4 x 50


def test_many_rows_are_worked_through_in_chunks_without_being_asked(linear):
    """At 30 classes a chunk holds 2**21 // 30 rows, so this batch takes two."""
    rows = 2**21 // 30 + 1
    parts, target = torch.zeros(rows, 1), torch.zeros(rows, dtype=torch.int64)
    with Sizes() as made:
        linear.linear_symmetric_cross_entropy(parts, torch.zeros(30, 1), target)
    assert made.largest < rows * 30
    assert made.products == 2


@each_name
def test_a_frozen_layer_gets_no_gradient_and_without_any_there_is_one_product(linear, name):
    (input, weight, bias), target = layer(60, 4, 50)
    frozen = input, weight.detach(), bias.detach()
    with Sizes() as made:
        without(linear, name, frozen, target, batch_chunk_size=60).backward()
    assert made.products == 2
    assert_close(input.grad, torch.autograd.grad(on_logits(name, frozen, target), input)[0])
    with Sizes() as made, torch.no_grad():
        value = without(linear, name, (input, weight, bias), target, batch_chunk_size=60)
    assert made.products == 1
    assert_close(value, on_logits(name, frozen, target).detach())


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_second_backward_gives_the_same(linear, name, reduction):
    parts, target = layer()
    value = without(linear, name, parts, target, reduction=reduction).sum()
    first = torch.autograd.grad(3 * value, parts, retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    second = torch.autograd.grad(value, parts)
    for once, again, unchanged in zip(first, second, kept, strict=True):
        assert_close(once, 3 * again)
        assert_close(once, unchanged, rtol=0, atol=0)


# What torch's own function without logits lists as its limits: refused here, or the plain way


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_second_derivative_is_that_of_the_logits(linear, name, reduction, bias):
    parts, target = layer(bias=bias)
    parts[1] = parts[1].detach()

    def twice(value):
        slope = torch.autograd.grad(value.sum(), parts[0], create_graph=True)[0]
        return torch.autograd.grad(
            value.sum() + slope.square().sum(), [parts[0], *parts[2:][:bias]]
        )

    options = {"reduction": reduction, "batch_chunk_size": 3}
    ours = twice(without(linear, name, parts, target, **options))
    theirs = twice(on_logits(name, parts, target, **options))
    for mine, slope in zip(ours, theirs, strict=True):
        assert_close(mine, slope)


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forward_mode_is_refused(linear, name, reduction):
    (input, weight, bias), target = layer()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(input.detach(), torch.ones_like(input))
        with pytest.raises((RuntimeError, NotImplementedError), match=r"forward mode AD|jvp"):
            without(linear, name, (dual, weight, bias), target, reduction=reduction)


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.jacrev, torch.func.vmap])
def test_torch_func_is_refused(linear, name, reduction, transform):
    (input, weight, bias), target = layer()

    def of_input(input):
        return without(linear, name, (input, weight, bias), target, reduction=reduction).sum()

    with pytest.raises(RuntimeError, match="functorch transforms"):
        transform(of_input)(input[None] if transform is torch.func.vmap else input)


@each_name
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiled_it_is_the_plain_way_without_a_break(linear, name, reduction, dynamic):
    parts, target = layer()
    function = partial(getattr(linear, f"linear_{name}"), reduction=reduction)
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    value = compiled(*parts[:2], target, linear_bias=parts[2])
    assert_close(value, on_logits(name, parts, target, reduction=reduction))
    expected = gradients(on_logits(name, parts, target, reduction=reduction), parts)
    for mine, slope in zip(gradients(value, parts), expected, strict=True):
        assert_close(mine, slope)


@each_name
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_traced_it_is_the_plain_way(linear, name):
    parts, target = layer()
    function = getattr(linear, f"linear_{name}")
    traced = torch.jit.trace(lambda *parts: function(*parts, target), tuple(parts[:2]))
    others, _ = layer(seed=1)
    expected = on_logits(name, [*others[:2], None], target)
    value = traced(*others[:2])
    assert_close(value, expected)
    pairs = gradients(value, others[:2]), gradients(expected, others[:2])
    for mine, slope in zip(*pairs, strict=True):
        assert_close(mine, slope)


@each_name
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_class_weight_that_learns_gets_its_gradient(linear, name, reduction):
    parts, target = layer()
    weight = torch.linspace(0.5, 3, 5, dtype=torch.float64, requires_grad=True)
    options = {"reduction": reduction, "weight": weight}
    ours, theirs = (
        without(linear, name, parts, target, **options),
        on_logits(name, parts, target, **options),
    )
    pairs = gradients(ours, [*parts, weight]), gradients(theirs, [*parts, weight])
    for mine, slope in zip(*pairs, strict=True):
        assert_close(mine, slope)


# Refusals


@each_name
@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        ({"input": torch.ones(4, 3).long()}, TypeError, "input must be floating; got int64"),
        ({"target": [0, 1]}, TypeError, "target must be a tensor; got a list"),
        (
            {"target": torch.zeros(4)},
            TypeError,
            r"target must hold class indices \(int64\); got fl",
        ),
        (
            {"target": torch.zeros(4, 5)},
            ValueError,
            r"target must have shape \(4,\) beside input of shape \(4, 3\); got float32",
        ),
        (
            {"linear_weight": torch.zeros(3, 5)},
            ValueError,
            r"linear_weight must have shape \(K, H\) beside .* \(4, 3\).*got float32 of",
        ),
        (
            {"linear_bias": torch.zeros(1)},
            ValueError,
            r"linear_bias must have shape \(5,\), one a cl",
        ),
        (
            {"weight": torch.zeros(3)},
            ValueError,
            r"weight must have shape \(5,\), one a class; got",
        ),
        ({"reduction": "avg"}, ValueError, "reduction must be one of"),
        ({"batch_chunk_size": 0}, ValueError, "batch_chunk_size must be at least 1; got 0"),
        ({"target": torch.full((4,), 5)}, IndexError, "out of bounds"),
    ],
)
def test_refusals(linear, name, changed, error, text):
    arguments = {"input": torch.ones(4, 3), "linear_weight": torch.ones(5, 3)}
    arguments |= {"target": torch.arange(4)} | changed
    with pytest.raises(error, match=text):
        getattr(linear, f"linear_{name}")(**arguments)
    if "target" not in changed:  # without a row as well
        arguments |= {"input": arguments["input"][:0], "target": torch.arange(0)}
        with pytest.raises(error, match=text.replace("4, 3", "0, 3")):
            getattr(linear, f"linear_{name}")(**arguments)


# Modules


@pytest.mark.parametrize(
    ("module", "name", "settings"),
    [
        ("LinearSymmetricCrossEntropyLoss", NAMES[0], {"alpha": 0.3, "label_smoothing": 0.2}),
        ("LinearReverseCrossEntropyLoss", NAMES[1], {"log_zero": -2.0, "label_smoothing": 0.2}),
        ("LinearGeneralizedCrossEntropyLoss", NAMES[2], {"q": 0.3}),
    ],
)
def test_a_module_is_its_function_of_its_own_layer(linear, module, name, settings):
    (input, *_), target = layer()
    settings |= {"weight": torch.linspace(0.5, 3, 5).double(), "ignore_index": 1}
    settings |= {"reduction": "sum"}
    target[target == -100] = 1
    for bias in (False, True):
        criterion = getattr(linear, module)(3, 5, bias=bias, dtype=torch.float64, **settings)
        parts = input, criterion.linear.weight, criterion.linear.bias
        assert_close(criterion(input, target), on_logits(name, parts, target, **settings))
        assert dict(criterion.named_parameters()).keys() == {"linear.weight", "linear.bias"} - (
            set() if bias else {"linear.bias"}
        )
    assert "weight" in dict(criterion.named_buffers())
    with pytest.raises(ValueError, match="reduction must be one of"):
        getattr(linear, module)(3, 5, reduction="avg")


# Mutants


@pytest.fixture(scope="session")
def mutant():
    """A function that returns the room with one passage of its source exchanged."""
    source = inspect.getsource(companion.linear_losses)

    def exchange(old, new):
        assert source.count(old) == 1, f"{source.count(old)} times in the source: {old}"
        module = ModuleType("mutant")
        exec(compile(source.replace(old, new), "mutant.py", "exec"), module.__dict__)
        return module

    return exchange


MUTANTS = {
    # mistake: (passage of the source, what replaces it, the test that catches it, its arguments)
    "the last chunk alone": (
        "grads[1].addmm_(slope.T, input)",
        "grads[1].copy_(slope.T @ input)",
        test_gradients_are_those_of_finite_differences,
        {"reduction": "sum"},
    ),
    "summed in half precision": (
        "_checks.at_least_float32(g)",
        "g",
        test_half_precision_is_as_exact_as_on_logits,
        {"dtype": torch.bfloat16, "reduction": "none"},
    ),
    "the mean before the loss is scaled": (
        "slope = torch.ones_like(each) if slopes is None",
        "slope = torch.ones_like(each) / len(target) if slopes is None",
        test_a_factor_reaches_float16_before_anything_is_lost,
        {},
    ),
    "the gradient handed out is kept": (
        "grads, ctx.grads = ctx.grads, None",
        "grads = ctx.grads",
        test_a_second_backward_gives_the_same,
        {"reduction": "mean"},
    ),
    "each row has the slope of the first": (
        "else slopes[chunk]",
        "else slopes[:1].expand(len(each))",
        test_gradients_are_those_of_finite_differences,
        {"reduction": "none"},
    ),
    "the second derivative is forgotten": (
        "if torch.is_grad_enabled():  # create_graph",
        "if False:  # create_graph",
        test_a_second_derivative_is_that_of_the_logits,
        {"reduction": "mean", "bias": True},
    ),
    "a class weight does not learn": (
        "or torch.jit.is_tracing() or learns_weight",
        "or torch.jit.is_tracing()",
        test_a_class_weight_that_learns_gets_its_gradient,
        {"reduction": "mean"},
    ),
    "traced in chunks": (
        "or torch.jit.is_tracing() or learns_weight",
        "or learns_weight",
        test_traced_it_is_the_plain_way,
        {},
    ),
    "one chunk": (
        "rows = max(2**21 // max(num_classes, 1), features // 8, 64)",
        "rows = len(target)",
        test_many_rows_are_worked_through_in_chunks_without_being_asked,
        {},
    ),
    "gradients without being asked": (
        'ahead = reduction != "none" and torch.is_grad_enabled()',
        'ahead = reduction != "none"',
        test_a_frozen_layer_gets_no_gradient_and_without_any_there_is_one_product,
        {},
    ),
    "the mean counts ignored rows": (
        'count = losses._sample_weight(target, weight, options["ignore_index"]).sum()',
        "count = torch.tensor(target.numel())",
        test_an_ignored_row_may_hold_anything,
        {"reduction": "mean"},
    ),
    "the mean of nothing has the gradient NaN": (
        "torch.where(nothing, 1, count)",
        "count",
        test_nothing_to_learn_from,
        {},
    ),
    "blind to autocast": (
        "if torch.is_autocast_enabled(device):",
        "if False:",
        test_autocast_computes_the_layer_as_it_does_elsewhere,
        {"reduction": "mean"},
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_planted_mistake_is_caught(mutant, mistake):
    old, new, catcher, arguments = MUTANTS[mistake]
    arguments = {"name": NAMES[0], **arguments}
    wanted = inspect.signature(catcher).parameters
    given = {name: value for name, value in arguments.items() if name in wanted}
    with pytest.raises((AssertionError, RuntimeError)):
        catcher(linear=mutant(old, new), **given)
