"""The interactive parts of the book: their numbers against torch, and what a reader can do."""

import json
import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import losses


@pytest.fixture
def explorer(browser, home):
    page = browser.new_page()
    page.goto(home + "book/which_loss.html")
    page.wait_for_function("window.lossExplorer !== undefined")
    yield page
    page.close()


def in_javascript(page, call: str):
    """The value of an expression; JSON alone has no infinity and no NaN."""
    text = page.evaluate(
        f"JSON.stringify({call}, (_, v) => typeof v === 'number' && !Number.isFinite(v)"
        " ? String(v) : v)"
    )
    return json.loads(text)


def by_hand(z, y):
    p = torch.sigmoid(z)
    return (-y * torch.log(p) - (1 - y) * torch.log(1 - p)).sum()


WAYS = {
    "byHand": by_hand,
    "bceLoss": lambda z, y: F.binary_cross_entropy(torch.sigmoid(z), y),
    "bceWithLogits": F.binary_cross_entropy_with_logits,
    "crossEntropy": lambda z, y: F.cross_entropy(torch.stack([torch.zeros(1), z], dim=1), y.long()),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_explorer_computes_one_logit_in_float32_as_torch_does(explorer, way):
    for y in (0, 1):
        for half in range(-40, 41):
            shown = in_javascript(explorer, f"lossExplorer.binary({half / 2}, {y})")[way]
            z = torch.tensor([half / 2], requires_grad=True)
            loss = WAYS[way](z, torch.tensor([float(y)]))
            (gradient,) = torch.autograd.grad(loss, z)
            where = f"z = {half / 2}, y = {y}"
            # Four decimals are shown.
            for got, expected in ((shown["loss"], loss), (shown["gradient"], gradient)):
                expected = expected.item()
                same = pytest.approx(expected, rel=1e-5, abs=2e-5, nan_ok=True)
                assert float(str(got).replace("Infinity", "inf")) == same, where


def test_the_explorer_computes_three_logits_as_torch_does(explorer):
    rows = [[0.9, 0.2, 0.8], [-5.0, 5.0, 0.0], [800.0, 0.0, -800.0]]
    for row in rows:
        for label in range(3):
            shown = in_javascript(explorer, f"lossExplorer.crossEntropy({row}, {label})")
            z = torch.tensor([row], dtype=torch.float64, requires_grad=True)
            loss = F.cross_entropy(z, torch.tensor([label]))
            (gradient,) = torch.autograd.grad(loss, z)
            assert shown["loss"] == pytest.approx(loss.item())
            assert shown["probs"] == pytest.approx(z[0].softmax(dim=0).tolist())
            assert shown["gradient"] == pytest.approx(gradient[0].tolist())


ANSWERS = [
    (task, outputs, activation, labels)
    for task, counts in (("binary", (1, 2)), ("classes", (1,)), ("labels", (1,)))
    for outputs in counts
    for activation in ("none", "sigmoid", "softmax", "log_softmax")
    for labels in ("hard", "soft", "noisy")
]


def made_target(description: str) -> torch.Tensor:
    """A target as the explorer describes it: dtype, shape, range."""
    width = re.search(r"\(N, (\w)\)", description)
    shape = (7, {"2": 2, "K": 5, "L": 3}[width[1]]) if width else (7,)
    if description.startswith("int64"):
        top = {"2": 2, "K": 5}[re.search(r"in \[0, (\w)\)", description)[1]]
        return torch.arange(7) % top
    if "add up to 1" in description:
        return torch.full(shape, 1 / shape[1])
    if description.endswith("in [0, 1]"):
        return torch.full(shape, 0.3)
    return torch.ones(shape)


def test_every_answer_of_the_explorer_runs_in_torch(explorer):
    torch.manual_seed(0)
    for answers in ANSWERS:
        given = explorer.evaluate("a => lossExplorer.recommend(...a)", list(answers))
        width = {"1": 1, "2": 2, "K": 5, "L": 3}[given["width"]]
        target = made_target(given["target"])
        room = {"nn": nn, "losses": losses, "model": nn.Linear(6, width), "target": target}
        room["inputs"] = torch.ones(7, 6)
        exec(given["code"], room)
        assert math.isfinite(room["loss"].item()), answers
        expected = (7,) if answers[0] != "labels" else (7, 3)
        assert room["predicted"].shape == expected, answers
        assert given["mend"].startswith(
            "Keep" if answers[2] == "none" else ("Remove", "LogSoftmax")
        )


def test_the_explorer_answers_to_the_keyboard(explorer):
    explorer.focus("#chooser input[name=task]:checked")
    explorer.keyboard.press("ArrowDown")
    assert "nn.CrossEntropyLoss()" in explorer.inner_text("#chooser-answer")
    assert explorer.is_hidden("#chooser-outputs")
    explorer.focus("#binary-logit")
    for _ in range(30):
        explorer.keyboard.press("ArrowRight")
    assert explorer.inner_text("#binary-shown") == "17.0"
    cells = [row.split("\t") for row in explorer.inner_text("#binary-rows").split("\n")]
    assert [row[1:] for row in cells] == [
        ["∞", "NaN"],
        ["100.0000", "0.0000"],
        ["17.0000", "1.0000"],
        ["17.0000", "1.0000"],
    ]
    explorer.focus("#logit-1")
    explorer.keyboard.press("End")
    assert explorer.inner_text("output[for=logit-1]") == "5.0"
