"""The page for those who came for the loss alone: its code runs as it stands."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

PAGE = Path(__file__).resolve().parent.parent / "book" / "use_sce.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("shape", [(), (4, 5)])
def test_code_of_the_page_runs(shape):
    torch.manual_seed(0)
    model, inputs = nn.Conv2d(2, 3, 1), torch.randn(6, 2, *shape or (1, 1))
    logits = model(inputs).reshape(6, 3, *shape)
    target = torch.randint(3, (6, *shape))
    page = {"torch": torch, "nn": nn, "logits": logits, "target": target, "inputs": inputs}
    page |= {"padding": torch.rand(target.shape) < 0.3}
    page |= {"model": nn.Sequential(model, nn.Identity() if shape else nn.Flatten())}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), page)
    assert len(BLOCKS) == 4
    assert page["optimizer"].defaults["lr"] == pytest.approx(0.1 / 4.1)
    assert page["loss"].dtype == torch.float32
    page["loss"].backward()
    assert model.weight.grad.isfinite().all()
