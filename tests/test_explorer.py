"""The decision table and the parts to play with: their numbers, and what a reader can do."""

import json
import math
import re

import explorers
import nbformat
import pytest
import torch
import which_loss
from sklearn import metrics
from torch import nn

from companion import decisions, losses
from tests import chapter_predictions
from tests.browsing import ROOT, parsed, watched_page

# The table

SIZES = {"N": 6, "H": 32, "K": 5, "L": 3, "T": 4, "d1": 2, "d2": 2}
PAIRS = [(head, labels) for head in which_loss.HEADS for labels in which_loss.LABELS]


def shape(text: str) -> tuple[int, ...]:
    return eval(text, dict(SIZES))


def made_inputs(head: str) -> torch.Tensor:
    """Inputs at least as wide as there are answers, so that one layer can learn them all."""
    size = {"pixels": "(N, H, d1, d2)", "tokens": "(N, T, H)"}.get(head, "(N, H)")
    return torch.randn(shape(size), generator=torch.Generator().manual_seed(0))


def made_labels(head: str) -> torch.Tensor:
    """Every answer right at least once: 0 and 1, or the numbers of classes."""
    end = which_loss.HEADS[head]
    count = math.prod(shape(end.target))
    kinds = int(eval(end.classes, dict(SIZES))) if end.classes else 2
    return (torch.arange(count) % kinds).reshape(shape(end.target))


def made_target(head: str, answer: which_loss.Answer, labels: torch.Tensor) -> torch.Tensor:
    """The labels as the answer wants them: its dtype, its shape, its range."""
    padding = torch.zeros(labels.shape, dtype=torch.bool)
    if head == "tokens":
        padding[:, -1] = True
    classes = which_loss.HEADS[head].classes
    values = answer.values
    if values.endswith(", −100 at padding"):
        assert "ignore_index=-100" in answer.loss
        labels, values = labels.where(~padding, -100), values.removesuffix(", −100 at padding")
    if values.startswith("adding up to 1 over the classes"):
        hot = nn.functional.one_hot(labels, eval(classes, dict(SIZES)))
        target = (0.05 + 0.75 * hot).movedim(-1, 1)
        target = target / target.sum(dim=1, keepdim=True)
        if values.endswith(", all 0 at padding"):
            target = target * ~padding.unsqueeze(1)
    else:
        target = {
            "in [0, 1]": lambda: 0.1 + 0.8 * labels,
            "0.0 or 1.0": lambda: labels.float(),
            f"in [0, {classes})": lambda: labels,
        }[values]()
    assert target.shape == shape(answer.shape)
    assert target.dtype == {"float": torch.float32, "int64": torch.int64}[answer.dtype]
    return target


@pytest.mark.parametrize(("head", "labels"), PAIRS)
def test_every_answer_learns_its_labels_in_torch(head, labels):
    torch.manual_seed(0)
    answer = which_loss.answer(head, labels)
    right = made_labels(head)
    layer = eval(answer.head, {"nn": nn, **SIZES})
    room = {"model": layer, "inputs": made_inputs(head), "K": SIZES["K"]}
    room["target"] = made_target(head, answer, right)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(200):
        exec(answer.code, room)
        optimizer.zero_grad()
        room["loss"].backward()
        optimizer.step()
    exec(answer.code, room)
    assert room["logits"].shape == shape(which_loss.HEADS[head].logits)
    assert room["predicted"].shape == right.shape
    wrong = room["predicted"].long() != right
    if head == "tokens":
        wrong[:, -1] = False
    assert not wrong.any()


@pytest.mark.parametrize(("head", "labels"), [pair for pair in PAIRS if pair[1] != "wrong"])
def test_torch_refuses_the_other_dtype(head, labels):
    answer = which_loss.answer(head, labels)
    target = made_target(head, answer, made_labels(head))
    logits = torch.zeros(shape(which_loss.HEADS[head].logits))
    weight = torch.ones(logits.shape[1] if logits.dim() > 1 else 1)
    criterion = eval(answer.loss, {"nn": nn, "w": weight})
    other = target.long() if target.is_floating_point() else target.float()
    criterion(logits, target)
    with pytest.raises(RuntimeError, match=r"dtype|type|Long|Float"):
        criterion(logits, other)


MODULES = {"sigmoid": nn.Sigmoid(), "softmax": nn.Softmax(1), "log_softmax": nn.LogSoftmax(1)}


@pytest.mark.parametrize("activation", MODULES)
@pytest.mark.parametrize(("head", "labels"), PAIRS)
def test_what_the_advice_says_of_an_activation_is_so(head, labels, activation):
    answer = which_loss.answer(head, labels)
    target = made_target(head, answer, made_labels(head))
    room = {"model": eval(answer.head, {"nn": nn, **SIZES}), "inputs": made_inputs(head)}
    room |= {"target": target, "K": SIZES["K"]}
    exec(answer.code, room)
    logits, right = room["logits"].double(), room["loss"].item()
    probs = MODULES[activation](logits) if logits.dim() > 1 else None
    if activation == "sigmoid":
        probs = logits.sigmoid()
    advice = which_loss.advice(head, labels, activation)
    named = re.findall(r"use (nn\.\w+\(.*?\))\.$", advice)
    named += ["nn.BCELoss()"] if "the loss is nn.BCELoss" in advice else []
    assert named == list(filter(None, [which_loss.kept(head, labels, activation)]))
    room["w"] = room.get("w", torch.ones(1)).double()
    target = target.double() if target.is_floating_point() else target
    for loss in named:
        found = eval(loss, {"nn": nn, "w": room["w"]})(probs, target)
        assert found.item() == pytest.approx(right, rel=1e-5)
    if activation == "log_softmax" and which_loss.HEADS[head].classes:
        assert "harmless" in advice
        room |= {"logits": probs, "criterion": eval(answer.loss, {**room, "losses": losses})}
        assert eval(answer.step, room | {"target": target}).item() == pytest.approx(right, rel=1e-5)
    else:
        assert advice.startswith("Remove")


def test_loss_that_the_advice_does_not_name_would_not_do():
    """NLLLoss refuses probabilities, BCELoss has no pos_weight."""
    with pytest.raises(RuntimeError, match="multi-target"):
        nn.NLLLoss()(torch.zeros(4, 3), torch.full((4, 3), 1 / 3))
    with pytest.raises(TypeError, match="pos_weight"):
        nn.BCELoss(pos_weight=torch.ones(1))


@pytest.mark.parametrize("head", which_loss.HEADS)
def test_a_class_or_label_that_never_occurs_makes_no_weight_infinite(head):
    answer = which_loss.answer(head, "rare")
    target = made_target(head, answer, torch.zeros_like(made_labels(head)))
    layer = eval(answer.head, {"nn": nn, **SIZES})
    room = {"model": layer, "inputs": made_inputs(head), "target": target, "K": SIZES["K"]}
    exec(answer.code, room)
    assert room["w"].isfinite().all()
    assert room["loss"].isfinite()


def test_padding_counts_for_nothing_however_it_is_written():
    logits = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))
    index = made_labels("tokens")
    index[:, -1] = -100
    hot = nn.functional.one_hot(index.clamp(min=0), 5).movedim(-1, 1) * (index >= 0).unsqueeze(1)
    found = []
    for labels, target in (("hard", index), ("soft", hot.float())):
        answer = which_loss.answer("tokens", labels)
        room = {"criterion": eval(answer.loss), "logits": logits, "target": target}
        found.append(eval(answer.step, room))
    torch.testing.assert_close(*found)


# What the section that a row leads to must speak of, by its labels or by its head.
SUBJECTS = {"rare": "weight", "wrong": "SCE", "soft": "float target"}
SUBJECTS |= {"one": "BCEWithLogitsLoss", "two": "cross_entropy"}
SUBJECTS |= {"classes": "cross_entropy", "pixels": "(N, K, H, W)", "labels": "BCE"}
SUBJECTS |= {"tokens": "padding|tokens"}


@pytest.mark.parametrize(("head", "labels"), which_loss.ROWS)
def test_the_sections_that_a_row_leads_to_speak_of_it(site, head, labels):
    for place in which_loss.ROWS[head, labels]:
        name, _, anchor = place.partition("#")
        section = parsed(site / f"notebooks/{name}.html").find(id=anchor)
        subjects = SUBJECTS.get(labels) or SUBJECTS[head]
        assert any(subject in section.text for subject in subjects.split("|")), place


@pytest.fixture(scope="module")
def decision_table(site):
    return parsed(site / "book/which_loss.html").select_one("table.which-loss")


def test_the_page_shows_the_rows_that_are_tested(decision_table):
    heads = [cell.text for cell in decision_table.select("thead th")]
    assert heads == ["task", "head, and logits", "loss", "target", "decision", "chapter"]
    rows = decision_table.select("tbody tr")
    assert len(rows) == len(which_loss.ROWS)
    for row, (head, labels) in zip(rows, which_loss.ROWS, strict=True):
        answer = which_loss.answer(head, labels)
        _, layer, loss, target, decision, chapter = row.find_all(["th", "td"])
        assert layer.code.text == answer.head.removeprefix("nn.")
        assert loss.text == answer.loss.removeprefix("nn.")
        lines = (f"{answer.dtype} {answer.shape}", answer.values)
        assert target.get_text("|").replace(" |", " ") == "|".join(lines)
        assert decision.text == answer.decision
        assert len(chapter.select("a")) == len(which_loss.ROWS[head, labels])


def test_the_table_prints_on_one_page(browser, home):
    page = browser.new_page()
    page.goto(home + "book/which_loss.html")
    page.emulate_media(media="print")
    kept = page.eval_on_selector("table.which-loss", "table => getComputedStyle(table).breakInside")
    assert kept == "avoid"
    page.evaluate(
        """() => {
          const table = document.querySelector("table.which-loss");
          for (let node = table; node !== document.body; node = node.parentNode)
            for (const other of [...node.parentNode.children])
              if (other !== node && !other.matches("h2")) other.remove();
        }"""
    )
    pages = {}
    for name, height in (("A4", None), ("half of it", "148mm")):
        size = {"format": "A4"} if height is None else {"width": "210mm", "height": height}
        margin = dict.fromkeys(("top", "bottom", "left", "right"), "15mm")
        pages[name] = len(re.findall(rb"/Type\s*/Page\b", page.pdf(margin=margin, **size)))
    columns = page.eval_on_selector_all(".which-loss thead th", "all => all.map(c => c.offsetTop)")
    page.close()
    assert pages["A4"] == 1
    assert pages["half of it"] > 1  # so the pages can be counted
    assert len(set(columns)) == 1


def test_no_cell_of_the_table_leaves_a_phone(browser, home):
    page = browser.new_page(viewport={"width": 375, "height": 800})
    page.goto(home + "book/which_loss.html")
    ends = page.eval_on_selector_all(
        ".which-loss :is(th, td, code, a, span)",
        "all => all.map(one => one.getBoundingClientRect().right)",
    )
    page.close()
    assert max(ends) <= 375


# The formulas


@pytest.fixture
def explorer(browser, home):
    problems = []
    page = watched_page(browser, home, problems)
    page.goto(home + "book/which_loss.html")
    yield page
    page.close()
    assert problems == []


def in_javascript(page, call: str):
    """The value of an expression; JSON alone has no infinity and no NaN."""
    text = page.evaluate(
        f"JSON.stringify({call}, (_, v) => typeof v === 'number' && !Number.isFinite(v)"
        " ? String(v).replace('Infinity', 'inf') : v)"
    )
    return json.loads(text)


def flat(values: dict | list, prefix: str = "") -> dict[str, float]:
    """Nested values by the names that the elements of the page carry."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    found = {}
    for name, value in pairs:
        if isinstance(value, dict | list):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = float(value)
    return found


@pytest.mark.parametrize("label", [0, 1])
def test_one_logit_is_computed_as_torch_and_the_companion_do(explorer, label):
    grid = [half / 2 for half in range(-40, 41)]
    all_shown = in_javascript(explorer, f"{grid}.map(z => lossExplorer.binary(z, {label}))")
    for z, shown in zip(grid, map(flat, all_shown), strict=True):
        expected = explorers.binary_values(z, label)
        assert shown.keys() == expected.keys()
        for name, value in expected.items():
            # Four decimals are shown.
            same = pytest.approx(value, rel=1e-5, abs=2e-5, nan_ok=True)
            assert shown[name] == same, f"{name} at z = {z}"


def test_three_logits_are_computed_as_torch_and_the_companion_do(explorer):
    generator = torch.Generator().manual_seed(0)
    rows = [[0.9, 0.2, 0.8], [-5.0, 5.0, 5.0], [5.0, -5.0, -5.0], [0.0, 0.0, 0.0]]
    rows += (10 * torch.rand(40, 3, generator=generator, dtype=torch.float64) - 5).tolist()
    for label in range(3):
        all_shown = in_javascript(explorer, f"{rows}.map(z => lossExplorer.classes(z, {label}))")
        for row, shown in zip(rows, map(flat, all_shown), strict=True):
            assert shown == pytest.approx(explorers.classes_values(row, label), abs=1e-12), row


def test_large_logits_do_not_overflow(explorer):
    for label in range(3):
        z = torch.tensor([[800.0, 0.0, -800.0]], dtype=torch.float64)
        loss, gradient = explorers.slope(explorers.CLASSES["ce"], z, torch.tensor([label]))
        shown = in_javascript(explorer, f"lossExplorer.crossEntropy({z[0].tolist()}, {label})")
        assert shown["loss"] == pytest.approx(loss.item())
        assert shown["gradient"] == pytest.approx(gradient[0].tolist())


def test_the_floors_are_those_of_an_activation_applied_twice():
    assert explorers.binary_values(0.0, 1)["floor"] == pytest.approx(math.log1p(math.exp(-1)))
    assert explorers.binary_values(0.0, 0)["floor"] == pytest.approx(math.log(2))
    values = explorers.classes_values([0.0, 0.0, 0.0], 1)
    assert values["floor.softmaxTwice"] == pytest.approx(math.log(1 + 2 / math.e))
    means = (math.log1p(math.exp(-1)) + 2 * math.log(2)) / 3
    assert values["floor.sigmoidTwice"] == pytest.approx(means)


# The threshold


@pytest.fixture(scope="module")
def predictions():
    return chapter_predictions.logits_and_labels()


def test_the_patients_are_those_of_the_chapter(predictions):
    committed = json.loads((ROOT / "book/threshold.json").read_text(encoding="utf-8"))
    logits, target = predictions
    mend = "run: python -m tests.chapter_predictions"
    assert committed == chapter_predictions.counted(logits, target), mend
    # Far enough from every cut that another processor counts the same.
    assert ((10 * logits) - (10 * logits).round()).abs().min() > 1e-4


@pytest.fixture
def threshold(browser, home):
    problems = []
    page = watched_page(browser, home, problems)
    page.goto(home + "book/threshold.html")
    yield page
    page.close()
    assert problems == []


def test_every_threshold_is_judged_as_scikit_learn_and_the_chapter_do(threshold, predictions):
    logits, target = predictions
    held = explorers.held_out()
    found = in_javascript(
        threshold,
        "thresholdExplorer.measure(JSON.parse("
        "document.getElementById('threshold-data').textContent)).map("
        "at => ({...at, cost: thresholdExplorer.cost(at, 7)}))",
    )
    assert [at["cut"] for at in found] == pytest.approx(held.cuts)
    for at in found:
        shown = {name: float(value) for name, value in at.items()}
        cut = shown.pop("cut")
        expected = explorers.threshold_values(held, cut, 7)
        assert shown == pytest.approx(expected, nan_ok=True), cut
    for at in found[::6]:
        called = (logits > at["cut"]).long()
        matrix = metrics.confusion_matrix(target, called).ravel().tolist()
        assert [at["tn"], at["fp"], at["fn"], at["tp"]] == matrix
        assert at["prob"] == pytest.approx(torch.sigmoid(torch.tensor(at["cut"]).double()).item())
        if called.sum() > 0:
            precision, recall, f1, _ = metrics.precision_recall_fscore_support(
                target, called, average="binary"
            )
            shown = (at["precision"], at["recall"], at["f1"])
            assert shown == pytest.approx((precision, recall, f1))
        assert at["cost"] == pytest.approx((matrix[1] + 7 * matrix[2]) / len(target))


def test_the_cheapest_threshold_is_the_chapters(threshold, predictions):
    logits, target = predictions
    for miss in (1, 3, 10, 30):
        errors = {"false_positive": 1.0, "false_negative": float(miss)}
        best = decisions.best_threshold(logits.sigmoid(), target, **errors)
        least = explorers.cheapest(explorers.held_out(), miss)
        in_page = in_javascript(
            threshold,
            "thresholdExplorer.cheapest(thresholdExplorer.measure(JSON.parse("
            f"document.getElementById('threshold-data').textContent)), {miss}).cut",
        )
        assert in_page == pytest.approx(least)
        costs = []
        for cut in (least, math.log(best / (1 - best))):
            called = logits > cut
            alarms, missed = (called & (target == 0)).sum(), (~called & (target == 1)).sum()
            costs.append((alarms + miss * missed).item() / len(target))
        # The chapter's search knows no steps of a tenth.
        assert costs[1] <= costs[0] <= 1.02 * costs[1]


# What a reader does


def line(page, chart: str, name: str) -> str:
    """Where a line of a chart runs: a curve by its name, or the marker."""
    part = "[data-marker]" if name == "marker" else f"[data-curve={name}]"
    return page.get_attribute(f"#{chart} {part}", "d")


def place(page, chart: str, name: str) -> tuple[str, str]:
    """Where a dot of a chart lies."""
    dot = f"#{chart} [data-dot={name}]"
    return page.get_attribute(dot, "cx"), page.get_attribute(dot, "cy")


def drawn_at(frame: explorers.Frame, x: float, y: float) -> tuple[str, str]:
    return f"{frame.x(x):.1f}", f"{frame.y(y):.1f}"


def test_the_chooser_gives_every_answer(explorer):
    for head, labels in PAIRS:
        places = ("classes", "pixels", "tokens")
        chosen = {"labels": labels, "task": head}
        if head in ("one", "two"):
            chosen |= {"task": "binary", "outputs": head}
        elif head in places:
            chosen |= {"task": "classes", "place": head}
        for activation in which_loss.ACTIVATIONS:
            for name, value in {**chosen, "activation": activation}.items():
                explorer.check(f"#chooser input[name={name}][value={value}]")
            facts = {
                name: explorer.text_content(f"[data-fact={name}]")
                for name in ("Model", "Head", "Loss", "Target", "Decision", "code")
            }
            answer = which_loss.answer(head, labels)
            assert facts == {
                "Model": which_loss.advice(head, labels, activation),
                "Head": answer.head,
                "Loss": answer.loss,
                "Target": answer.target,
                "Decision": answer.decision,
                "code": answer.code,
            }


def test_the_chooser_answers_to_the_keyboard(explorer):
    explorer.focus("#chooser input[name=task]:checked")
    explorer.keyboard.press("ArrowDown")
    assert "nn.CrossEntropyLoss()" in explorer.inner_text("#chooser-answer")
    assert explorer.is_hidden("#chooser-outputs")
    assert explorer.is_visible("#chooser-places")


def test_one_logit_moves_by_the_keyboard(explorer):
    explorer.focus("#binary-logit")
    for _ in range(30):
        explorer.keyboard.press("ArrowRight")
    assert explorer.inner_text("#binary-shown") == "17.0"
    rows = explorer.locator("#binary-rows tr").all()
    assert [row.locator("td").all_text_contents() for row in rows] == [
        ["∞", "NaN"],
        ["100.0000", "0.0000"],
        ["17.0000", "1.0000"],
        ["17.0000", "1.0000"],
    ]
    frame = explorers.LOSSES_OF_ONE
    assert line(explorer, "binary-chart", "marker") == explorers.marker_path(frame, 17)
    assert place(explorer, "binary-chart", "bceWithLogits") == drawn_at(frame, 17, 17)
    curves = {name: line(explorer, "binary-chart", name) for name in explorers.BINARY}
    explorer.check("#binary input[name=label][value='1']")
    for name, before in curves.items():
        assert line(explorer, "binary-chart", name) != before, name


@pytest.mark.parametrize(
    ("chart", "slider"), [("binary-chart", "binary-logit"), ("classes-chart", "logit-0")]
)
def test_the_line_follows_the_pointer(explorer, chart, slider):
    svg = explorer.locator(f"#{chart}")
    left, right, *_ = explorers.LOSSES_OF_ONE  # of 400 units; both charts have this width
    width = svg.bounding_box()["width"]
    start, end = ((left + share * (right - left)) / 400 * width for share in (0.5, 0.75))
    svg.hover(position={"x": start, "y": 100})
    explorer.mouse.down()
    svg.hover(position={"x": end, "y": 80})
    explorer.mouse.up()
    svg.hover(position={"x": start, "y": 100})
    frame = explorers.Frame(*map(float, svg.get_attribute("data-frame").split()))
    value = float(explorer.input_value(f"#{slider}"))
    assert value == pytest.approx(frame.x0 + 0.75 * (frame.x1 - frame.x0), abs=0.5)
    assert line(explorer, chart, "marker").startswith(f"M{frame.x(value):.1f} ")


NUMBERS = {
    "which_loss": ("#binary-rows td", "#classes .wide td"),
    "threshold": ("#threshold-measures td",),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_sliders_chart_and_numbers_fit_one_screen(browser, home, name):
    page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page.goto(f"{home}book/{name}.html")
    for selector in NUMBERS[name]:
        last = page.locator(selector).last
        top = last.locator("xpath=ancestor::form").bounding_box()["y"]
        box = last.bounding_box()
        assert box["y"] + box["height"] - top < 800 - 48, selector  # beneath the bar at the top
    page.close()


def test_on_a_phone_the_slider_stays_with_the_numbers(browser, home):
    page = browser.new_page(viewport={"width": 375, "height": 800}, reduced_motion="reduce")
    page.goto(f"{home}book/threshold.html")
    page.locator("#threshold-measures").evaluate("e => e.scrollIntoView({block: 'center'})")
    assert 40 < page.locator("#threshold-cut").bounding_box()["y"] < 200
    page.close()


def test_three_logits_move_by_the_keyboard(explorer):
    curves = {name: line(explorer, "classes-chart", name) for name in explorers.CLASSES}
    explorer.focus("#logit-1")
    explorer.keyboard.press("End")
    assert explorer.inner_text("output[for=logit-1]") == "5.0"
    expected = explorers.classes_values([0.9, 5.0, 0.8], 0)
    for name, value in expected.items():
        shown = explorer.text_content(f"#classes [data-value='{name}']")
        assert shown == explorers.shown(value), name
    frame = explorers.LOSSES_OF_THREE
    for name, before in curves.items():
        assert line(explorer, "classes-chart", name) != before, name
        assert place(explorer, "classes-chart", name) == drawn_at(
            frame, 0.9, expected[f"{name}.loss"]
        )
    explorer.focus("#logit-0")
    explorer.keyboard.press("ArrowLeft")
    assert line(explorer, "classes-chart", "marker") == explorers.marker_path(frame, 0.8)


def test_the_threshold_moves_by_the_keyboard(threshold):
    threshold.focus("#threshold-cut")
    for _ in range(5):
        threshold.keyboard.press("ArrowLeft")
    assert threshold.text_content("#threshold-shown") == "−0.5 (probability 0.3775)"
    expected = explorers.threshold_values(explorers.held_out(), -0.5, 10)
    for name, value in expected.items():
        for text in threshold.locator(f"#threshold [data-value={name}]").all_text_contents():
            assert text == explorers.shown(value), name
    side = f"{explorers.SCORES.x(-0.5):.1f}"
    assert line(threshold, "scores-chart", "marker").startswith(f"M{side} ")
    assert threshold.get_attribute("#called rect", "x") == side
    cost = drawn_at(explorers.COST, -0.5, expected["cost"])
    assert place(threshold, "scores-chart", "cost") == cost
    trade = drawn_at(explorers.TRADE, expected["recall"], expected["precision"])
    assert place(threshold, "trade-chart", "trade") == trade
    threshold.focus("#threshold-cut")
    threshold.keyboard.press("End")
    assert threshold.text_content("[data-value=precision]") == "NaN"
    assert threshold.text_content("[data-value=called]") == "0"


def test_the_price_of_a_miss_moves_the_cost_and_the_buttons(threshold):
    before = line(threshold, "scores-chart", "cost")
    threshold.focus("#threshold-miss")
    threshold.keyboard.press("End")
    assert threshold.text_content("#threshold-price") == "30 false alarms"
    assert line(threshold, "scores-chart", "cost") != before
    ticks = threshold.locator("#scores-chart [data-tick]").all_text_contents()
    assert ticks == ["0", "4", "8"]
    held = explorers.held_out()
    jumps = {"1/31": -3.4, "least cost": explorers.cheapest(held, 30), "1/2": 0.0}
    for name, cut in jumps.items():
        threshold.focus(f"text='{name}'")
        threshold.keyboard.press("Enter")
        assert float(threshold.input_value("#threshold-cut")) == pytest.approx(cut)
        cost = explorers.threshold_values(held, cut, 30)["cost"]
        assert threshold.text_content("[data-value=cost]") == explorers.shown(cost)


PARTS = {"chooser": "which_loss", "binary": "which_loss", "classes": "which_loss"}
PARTS |= {"threshold": "threshold"}


@pytest.mark.parametrize("part", PARTS)
def test_without_javascript_a_figure_or_a_table_stands_there(browser, home, part):
    seen = {}
    for script in (True, False):
        context = browser.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto(f"{home}book/{PARTS[part]}.html")
        form = page.locator(f"#{part}")
        seen[script] = {
            "inputs": sum(box.is_visible() for box in form.locator("input").all()),
            "stand-ins": sum(box.is_visible() for box in form.locator(".without-script").all()),
            "numbers": form.locator("[data-value]").all_text_contents(),
            "curves": [curve.get_attribute("d") for curve in form.locator("path").all()],
            "text": form.inner_text(),
        }
        context.close()
    assert seen[False]["inputs"] == 0 < seen[True]["inputs"]
    assert seen[True]["stand-ins"] == 0 < seen[False]["stand-ins"]
    assert "This part needs" not in seen[False]["text"]
    # What is written at build time is what the scripts begin with.
    assert seen[False]["numbers"] == seen[True]["numbers"]
    if part == "chooser":
        return
    assert len(seen[False]["numbers"]) > 10
    for static, live in zip(seen[False]["curves"], seen[True]["curves"], strict=True):
        numbers = [[float(x) for x in re.findall(r"-?[\d.]+", path)] for path in (static, live)]
        assert numbers[0] == pytest.approx(numbers[1], abs=0.11)
        assert numbers[0]


NAMES = {"byHand": "log(p)", "bceLoss": "BCELoss", "bceWithLogits": "BCEWithLogitsLoss"}
NAMES |= {"crossEntropy": "CrossEntropyLoss", "twice": "sigmoid twice", "ce": "CE", "bce": "BCE"}
NAMES |= {"rce": "RCE", "sce": "SCE", "softmaxTwice": "softmax twice"}
NAMES |= {"sigmoidTwice": "sigmoid twice"}


def test_every_number_stands_once_and_in_the_row_of_its_name(site):
    page = parsed(site / "book/which_loss.html")
    shown = {
        "binary": explorers.binary_values(2, 0),
        "classes": explorers.classes_values([0.9, 0.2, 0.8], 0),
    }
    for part, values in shown.items():
        form = page.find(id=part)
        places = [place["data-value"] for place in form.select("[data-value]")]
        assert sorted(places) == sorted([*values, *(["prob"] if part == "binary" else [])])
        for row in form.select("tr:has(.key)"):
            (key,) = row.select_one(".key path")["class"]
            assert re.search(rf"(^|\W){re.escape(NAMES[key])}", row.th.text)
            cells = [cell["data-value"] for cell in row.select("td")]
            gradients = [name for name in values if name.startswith(f"{key}.gradient")]
            assert cells == [f"{key}.loss", *gradients]


def test_the_table_without_javascript_holds_the_chapters_numbers(site):
    table = parsed(site / "book/threshold.html").select_one("#threshold .without-script table")
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in table.select("tr")]
    costs = {row[0]: row[-1] for row in rows}
    cells = nbformat.read(chapter_predictions.CHAPTER, as_version=4).cells
    printed = "".join(cell.outputs[0].data["text/plain"] for cell in cells if is_cost_table(cell))
    assert re.search(r"^1/2 +(\S+)", printed, re.M)[1] == costs["1/2"]


def is_cost_table(cell) -> bool:
    return cell.cell_type == "code" and '"cost, held out"' in cell.source


@pytest.mark.parametrize("part", [part for part in PARTS if part != "classes"])
def test_on_paper_the_tables_stand_where_there_is_nothing_to_move(browser, home, part):
    page = browser.new_page()
    page.goto(f"{home}book/{PARTS[part]}.html")
    table = page.locator(f"#{part} .without-script table")
    assert table.is_hidden()
    page.emulate_media(media="print")
    assert table.is_visible()
    assert page.locator(f"#{part} button").count() == 0 or page.is_hidden(f"#{part} button")
    page.close()


@pytest.mark.parametrize("part", PARTS)
def test_focus_is_seen_and_nothing_moves_by_itself(browser, home, part):
    page = browser.new_page(reduced_motion="reduce")
    page.goto(f"{home}book/{PARTS[part]}.html")
    page.focus(f"#{part} input")
    page.keyboard.press("ArrowRight")
    outline = page.evaluate(
        "() => getComputedStyle(document.activeElement).outline + document.activeElement.type"
    )
    moving = page.eval_on_selector_all(
        f"#{part}, #{part} *",
        """all => all.map(one => getComputedStyle(one))
          .filter(style => style.animationName !== "none" || parseFloat(style.transitionDuration))
          .length""",
    )
    page.close()
    assert re.search(r"solid 3px(range|radio)", outline), outline
    assert moving == 0


def test_scripts_and_styles_are_loaded_where_they_are_used(site):
    names = {"threshold": "explorer_threshold.js"}
    forms = {}
    for path in site.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        found = set(re.findall(r"_static/(explorer[\w]*\.(?:js|css))", html))
        forms[path.stem] = re.findall(r'<form class="explorer" id="([\w-]+)"', html)
        scripts = {names.get(form, "explorer_losses.js") for form in forms[path.stem]}
        assert found == (scripts and scripts | {"explorer.css", "explorer.js"}), path.name
    assert forms["which_loss"] == ["chooser", "binary", "classes"]
    assert forms["01_logits_and_probabilities"] == ["probabilities"]
    assert forms["03_binary_cross_entropy"] == ["binary"]
    assert forms["04_cross_entropy"] == ["classes"]


def test_they_stay_small():
    static = ROOT / "book/_static"
    sizes = {path.name: path.stat().st_size for path in static.glob("explorer*")}
    assert len(sizes) == 4
    assert sum(size for name, size in sizes.items() if name.endswith(".js")) < 16_000
    assert (ROOT / "book/threshold.json").stat().st_size < 2_000
