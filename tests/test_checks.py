import re

import pytest
import torch

from companion import _checks

LOGITS = torch.zeros(4, 3)
PIXELS = torch.zeros(2, 3, 5, 5)
INDICES = torch.tensor([0, 1, 2, 1])


def test_describe_names_dtype_and_shape():
    assert _checks.describe(torch.zeros(4, 1)) == "float32 of shape (4, 1)"
    assert _checks.describe(torch.tensor(True)) == "bool of shape ()"
    assert _checks.describe([1.0]) == "a list"


def test_a_complaint_has_four_parts():
    assert (
        _checks.complaint("target", "be a probability", "2", "Divide by 2.")
        == "target must be a probability; got 2. Divide by 2."
    )
    assert _checks.complaint("x", "be one", "2") == "x must be one; got 2."


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (_checks.tensor, (LOGITS, "x")),
        (_checks.floating, (LOGITS.half(), "x")),
        (_checks.same_shape, (LOGITS, torch.ones(4, 3, dtype=torch.bool))),
        (_checks.same_shape, (LOGITS[:0], LOGITS[:0])),
        (_checks.same_dtype, (LOGITS, torch.ones(3), "x")),
        (_checks.broadcasts_to, (torch.ones(()), (4, 3), "x")),
        (_checks.broadcasts_to, (torch.ones(3), (4, 3), "x")),
        (_checks.broadcasts_to, (torch.ones(4, 1), (4, 3), "x")),
        (_checks.broadcasts_to, (torch.ones(4, 3), (4, 3), "x")),
        (_checks.within, (torch.tensor([0.0, 1.0]), 0, 1, "x")),
        (_checks.within, (torch.tensor([]), 0, 1, "x")),
        (_checks.at_least, (0.0, 0, "x")),
        (_checks.between, (1, 0, 1, "x")),
        (_checks.reduction, ("none",)),
        (_checks.class_indices, (LOGITS, INDICES)),
        (_checks.class_indices, (LOGITS, INDICES.to(torch.uint8))),
        (_checks.class_indices, (LOGITS[0], INDICES[0])),
        (_checks.class_indices, (PIXELS, torch.zeros(2, 5, 5, dtype=torch.int64))),
        (_checks.class_range, (INDICES, 3)),
        (_checks.class_range, (torch.tensor([-100, 2]), 3, -100)),
        (_checks.class_range, (INDICES[:0], 3)),
        (_checks.class_weight, (torch.ones(3), 3)),
    ],
)
def test_what_is_right_passes(check, arguments):
    check(*arguments)


@pytest.mark.parametrize(
    ("check", "arguments", "error", "text"),
    [
        (
            _checks.tensor,
            ([1.0], "input"),
            TypeError,
            "input must be a tensor; got a list. torch.as_tensor(input) makes one.",
        ),
        (
            _checks.floating,
            (INDICES, "target"),
            TypeError,
            "target must be floating; got int64 of shape (4,). target.float() fixes it.",
        ),
        (
            _checks.same_shape,
            (torch.zeros(4, 1), torch.zeros(4)),
            ValueError,
            "target must have the shape of input, (4, 1); got float32 of shape (4,). "
            "input.squeeze(-1) drops the spare dimension.",
        ),
        (
            _checks.same_shape,
            (torch.zeros(4), torch.zeros(4, 1)),
            ValueError,
            "target must have the shape of input, (4,); got float32 of shape (4, 1). "
            "target.squeeze(-1) drops the spare dimension.",
        ),
        (
            _checks.same_shape,
            (torch.zeros(4), torch.zeros(1)),
            ValueError,
            "target must have the shape of input, (4,); got float32 of shape (1,).",
        ),
        (
            _checks.same_dtype,
            (LOGITS, torch.ones(3, dtype=torch.float64), "weight"),
            TypeError,
            "weight must have the dtype of input, float32; got float64 of shape (3,). "
            "weight.to(input.dtype) fixes it.",
        ),
        (
            _checks.broadcasts_to,
            (torch.ones(4), (4, 3), "weight"),
            ValueError,
            "weight must broadcast to the input's shape (4, 3); got float32 of shape (4,).",
        ),
        (
            _checks.broadcasts_to,
            (torch.ones(4, 4), (4, 1), "weight"),
            ValueError,
            "weight must broadcast to the input's shape (4, 1); got float32 of shape (4, 4).",
        ),
        (
            _checks.broadcasts_to,
            (torch.ones(1, 4, 3), (4, 3), "weight"),
            ValueError,
            "weight must broadcast to the input's shape (4, 3); got float32 of shape (1, 4, 3).",
        ),
        (
            _checks.within,
            (torch.tensor([0.5, -2.0, 3.0]), 0, 1, "input", "Logits?"),
            ValueError,
            "input must lie in [0, 1]; got -2. Logits?",
        ),
        (
            _checks.within,
            (torch.tensor([0.5, float("nan")]), 0, 1, "input"),
            ValueError,
            "input must lie in [0, 1]; got nan.",
        ),
        (_checks.at_least, (-0.5, 0, "beta"), ValueError, "beta must be at least 0; got -0.5."),
        (
            _checks.at_least,
            (float("nan"), 0, "beta"),
            ValueError,
            "beta must be at least 0; got nan.",
        ),
        (_checks.between, (2, 0, 1, "x"), ValueError, "x must lie in [0, 1]; got 2."),
        (_checks.between, (float("nan"), 0, 1, "x"), ValueError, "x must lie in [0, 1]; got nan."),
        (
            _checks.reduction,
            ("avg",),
            ValueError,
            "reduction must be one of ('none', 'mean', 'sum'); got 'avg'.",
        ),
        (
            _checks.class_dim,
            (torch.tensor(1.0),),
            ValueError,
            "input must have shape (N, K), (K,) or (N, K, d1, ...); got float32 of shape (). "
            "A single output belongs to the binary losses.",
        ),
        (
            _checks.class_dim,
            (INDICES,),
            TypeError,
            "input must be floating; got int64 of shape (4,). input.float() fixes it.",
        ),
        (
            _checks.class_indices,
            (LOGITS, INDICES.int()),
            TypeError,
            "target must hold class indices (int64); got int32 of shape (4,). "
            "target.long() fixes it.",
        ),
        (
            _checks.class_indices,
            (LOGITS, INDICES[:, None]),
            ValueError,
            "target must have shape (4,) beside input of shape (4, 3); got int64 of shape (4, 1). "
            "target.squeeze(-1) drops the spare dimension.",
        ),
        (
            _checks.class_indices,
            (LOGITS, torch.zeros(4, 3, dtype=torch.int64)),
            ValueError,
            "target must have shape (4,) beside input of shape (4, 3); got int64 of shape (4, 3). "
            "A one-hot target becomes class indices by target.argmax(1).",
        ),
        (
            _checks.class_indices,
            (LOGITS, INDICES[:3]),
            ValueError,
            "target must have shape (4,) beside input of shape (4, 3); got int64 of shape (3,). "
            "It holds one class index for each sample.",
        ),
        (
            _checks.class_target,
            (LOGITS, INDICES.float()),
            TypeError,
            "target must hold class indices (int64); got float32 of shape (4,). "
            "Probabilities need shape (4, 3).",
        ),
        (
            _checks.class_range,
            (torch.tensor([0, 3]), 3),
            ValueError,
            "target must lie in [0, 3); got 3. Classes count from 0.",
        ),
        (
            _checks.class_range,
            (torch.tensor([0, -1, -100]), 3, -100),
            ValueError,
            "target must lie in [0, 3); got -1.",
        ),
        (
            _checks.class_weight,
            (torch.ones(2), 3),
            ValueError,
            "weight must have shape (3,), one a class; got float32 of shape (2,).",
        ),
    ],
)
def test_what_is_wrong_is_named(check, arguments, error, text):
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        check(*arguments)


def test_the_classes_stand_in_dimension_1_or_alone():
    assert _checks.class_dim(LOGITS) == 1
    assert _checks.class_dim(PIXELS) == 1
    assert _checks.class_dim(LOGITS[0]) == 0


def test_a_floating_target_of_the_same_shape_holds_probabilities():
    assert _checks.class_target(LOGITS, LOGITS.double()) is True
    assert _checks.class_target(LOGITS, INDICES) is False
