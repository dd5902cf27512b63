"""The page for those who came for the loss alone: its code runs as it stands."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion import losses

PAGE = Path(__file__).resolve().parent.parent / "book" / "use_sce.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
ON_LOGITS = [block for block in BLOCKS if "linear" not in block]
LINEAR = [block for block in BLOCKS if "linear" in block]


@pytest.mark.parametrize("shape", [(), (4, 5)])
def test_code_of_the_page_runs(shape):
    torch.manual_seed(0)
    model, inputs = nn.Conv2d(2, 3, 1), torch.randn(6, 2, *shape or (1, 1))
    logits = model(inputs).reshape(6, 3, *shape)
    target = torch.randint(3, (6, *shape))
    page = {"torch": torch, "nn": nn, "logits": logits, "target": target, "inputs": inputs}
    page |= {"padding": torch.rand(target.shape) < 0.3}
    page |= {"model": nn.Sequential(model, nn.Identity() if shape else nn.Flatten())}
    for block in ON_LOGITS:
        exec(compile(block, str(PAGE), "exec"), page)
    assert len(ON_LOGITS) == 4
    assert page["optimizer"].defaults["lr"] == pytest.approx(0.1 / 4.1)
    assert page["loss"].dtype == torch.float32
    page["loss"].backward()
    assert model.weight.grad.isfinite().all()


class Body(nn.Embedding):
    """A stand-in for a language model's body, called plainly or as Hugging Face does."""

    def forward(self, tokens=None, *, input_ids=None, attention_mask=None):
        if tokens is not None:
            return super().forward(tokens)
        assert attention_mask.shape == input_ids.shape
        return SimpleNamespace(last_hidden_state=super().forward(input_ids))


def test_code_for_a_large_vocabulary_runs_and_shifts_by_one():
    torch.manual_seed(0)
    body, head, tokens = Body(11, 4), nn.Linear(4, 11), torch.randint(11, (3, 6))
    padding = torch.arange(6) >= torch.tensor([[6], [4], [3]])
    plain, hugging_face = LINEAR
    page = {"body": body, "head": head, "tokens": tokens, "padding": padding}
    exec(compile(plain, str(PAGE), "exec"), page)

    logits, following = head(body(tokens))[:, :-1], tokens[:, 1:][~padding[:, 1:]]
    expected = losses.symmetric_cross_entropy(logits[~padding[:, 1:]], following)
    torch.testing.assert_close(page["loss"], expected)

    model = SimpleNamespace(base_model=body, get_output_embeddings=lambda: head)
    page |= {"model": model, "input_ids": tokens, "attention_mask": (~padding).long()}
    exec(compile(hugging_face, str(PAGE), "exec"), page)
    logits = F.linear(body(tokens), head.weight)[:, :-1]
    expected = losses.symmetric_cross_entropy(logits[~padding[:, 1:]], following)
    torch.testing.assert_close(page["loss"], expected)
    page["loss"].backward()
    assert head.weight.grad.isfinite().all()
    assert head.weight.grad.any()
