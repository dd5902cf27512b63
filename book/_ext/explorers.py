"""The ``explorer`` directive: a part to play with, complete before any script has run.

A chapter, which is portable Markdown, asks for one by the comment ``<!-- explorer: NAME -->``.

Its form stands in ``book/explorer_<name>.html``. Numbers and curves are filled in here, by torch
and the companion, for the values at which the sliders begin; ``explorer*.js`` computes them anew
when a slider moves. Without JavaScript the sliders stay hidden and the picture remains.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
import which_loss
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective
from torch import Tensor

from companion import losses

BOOK = Path(__file__).resolve().parent.parent

# Numbers


def _by_hand(z: Tensor, y: Tensor) -> Tensor:
    p = torch.sigmoid(z)
    return -y * torch.log(p) - (1 - y) * torch.log(1 - p)


def _cross_entropy_of_pair(z: Tensor, y: Tensor) -> Tensor:
    pair = torch.stack([torch.zeros_like(z), z], dim=-1)
    return F.cross_entropy(pair, y.long(), reduction="none")


# Of logits and labels 0.0 or 1.0, one loss each.
BINARY = {
    "byHand": _by_hand,
    "bceLoss": lambda z, y: F.binary_cross_entropy(z.sigmoid(), y, reduction="none"),
    "bceWithLogits": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none"),
    "crossEntropy": _cross_entropy_of_pair,
    "rce": lambda z, y: losses.binary_symmetric_cross_entropy_with_logits(
        z, y, alpha=0.0, reduction="none"
    ),
    "sce": lambda z, y: losses.binary_symmetric_cross_entropy_with_logits(z, y, reduction="none"),
    "twice": lambda z, y: F.binary_cross_entropy_with_logits(z.sigmoid(), y, reduction="none"),
}


def _over_classes(z: Tensor, y: Tensor) -> Tensor:
    one_hot = F.one_hot(y, z.shape[1]).to(z)
    return F.binary_cross_entropy_with_logits(z, one_hot, reduction="none").mean(dim=1)


# Of logits (N, K) and class indices (N,), one loss for each sample.
CLASSES = {
    "ce": lambda z, y: F.cross_entropy(z, y, reduction="none"),
    "bce": _over_classes,
    "rce": lambda z, y: losses.reverse_cross_entropy(z, y, reduction="none"),
    "sce": lambda z, y: losses.symmetric_cross_entropy(z, y, reduction="none"),
    "softmaxTwice": lambda z, y: F.cross_entropy(z.softmax(dim=1), y, reduction="none"),
    "sigmoidTwice": lambda z, y: _over_classes(z.sigmoid(), y),
}


def slope(loss: Callable, z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the losses and their gradients."""
    z = z.clone().requires_grad_()
    value = loss(z, y)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def binary_values(z: float, label: int) -> dict[str, float]:
    """Return all that the explorer of one logit shows, computed in float32."""
    logit = torch.tensor([z], dtype=torch.float32)
    y = torch.full_like(logit, label)
    far = torch.tensor([1e3 if label else -1e3])
    prob = logit.sigmoid().item()
    values = {"prob": prob, "other": 1 - prob, "floor": BINARY["twice"](far, y).item()}
    for name, loss in BINARY.items():
        value, gradient = slope(loss, logit, y)
        values |= {f"{name}.loss": value.item(), f"{name}.gradient": gradient.item()}
    return values


def classes_values(logits: list[float], label: int) -> dict[str, float]:
    """Return all that the explorer of three logits shows."""
    z = torch.tensor([logits], dtype=torch.float64)
    y = torch.tensor([label])
    far = 2e3 * F.one_hot(y, 3).double() - 1e3
    values = {f"floor.{name}": CLASSES[name](far, y).item() for name in ("softmaxTwice",)}
    values["floor.sigmoidTwice"] = CLASSES["sigmoidTwice"](far, y).item()
    for name, probs in {"softmax": z.softmax(dim=1), "sigmoid": z.sigmoid()}.items():
        values |= {f"{name}.{k}": p for k, p in enumerate(probs[0].tolist())}
        values[f"{name}.sum"] = probs.sum().item()
    for name, loss in CLASSES.items():
        value, gradient = slope(loss, z, y)
        values[f"{name}.loss"] = value.item()
        values |= {f"{name}.gradient.{k}": g for k, g in enumerate(gradient[0].tolist())}
    return values


class Held(NamedTuple):
    """Logits between neighbouring cuts, (cut, next cut], counted by label.

    Cut number i lies at ``(first + i) / 10``. At every cut the counts say exactly what the logits
    themselves would say.
    """

    first: int
    ill: list[int]
    healthy: list[int]

    @property
    def cuts(self) -> list[float]:
        """The thresholds between which the logits are counted, and the two ends."""
        return [(self.first + i) / 10 for i in range(len(self.ill) + 1)]


def held_out() -> Held:
    """Read what chapter 6 predicts for its held-out patients."""
    return Held(**json.loads((BOOK / "threshold.json").read_text(encoding="utf-8")))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def threshold_values(held: Held, cut: float, miss: float) -> dict[str, float]:
    """Return all that the explorer of the threshold shows, where a miss costs so much."""
    i = round(10 * cut) - held.first
    tp, fp = sum(held.ill[i:]), sum(held.healthy[i:])
    fn, tn = sum(held.ill[:i]), sum(held.healthy[:i])
    return {
        "prob": 1 / (1 + math.exp(-cut)),
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "called": tp + fp,
        "spared": fn + tn,
        "ill": tp + fn,
        "healthy": fp + tn,
        "all": tp + fp + fn + tn,
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "alarms": _ratio(fp, fp + tn),
        "cost": (fp + miss * fn) / (tp + fp + fn + tn),
    }


def cheapest(held: Held, miss: float) -> float:
    """Return the first of the cuts with the least cost."""
    return min(held.cuts, key=lambda cut: threshold_values(held, cut, miss)["cost"])


def shown(value: float) -> str:
    """Write a number as the scripts do."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.4f}"
    return text.replace("-", "" if float(text) == 0 else "−")


# Pictures


class Frame(NamedTuple):
    """Where the axes of a chart lie in its picture, and what they measure."""

    left: float
    right: float
    top: float
    bottom: float
    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        """Return the place of a value on the horizontal axis."""
        return self.left + (value - self.x0) / (self.x1 - self.x0) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the place of a value on the vertical axis."""
        return self.bottom - (value - self.y0) / (self.y1 - self.y0) * (self.bottom - self.top)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """Join points by a line, which ends where a value is infinite or missing."""
        path, pen = "", "M"
        for x, y in points:
            if math.isfinite(y):
                path += f"{pen}{self.x(x):.1f} {self.y(y):.1f}"
            pen = "L" if math.isfinite(y) else "M"
        return path


def axes(
    frame: Frame, xlabel: str, ylabel: str, xticks: Iterable[float], yticks: Iterable[float]
) -> str:
    """Draw the two axes with their numbers and names."""
    left, right, top, bottom = frame[:4]
    number = lambda value: f"{value:g}".replace("-", "−")  # noqa: E731
    parts = [f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>']
    for tick in xticks:
        parts.append(
            f'<text x="{frame.x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{number(tick)}</text>"
        )
    for tick in yticks:
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{frame.y(tick) + 5:.1f}" text-anchor="end">'
            f"{number(tick)}</text>"
        )
    middle = (left + right) / 2
    parts.append(f'<text x="{middle}" y="{bottom + 37}" text-anchor="middle">{xlabel}</text>')
    parts.append(f'<text x="{left}" y="{top - 6}">{ylabel}</text>')
    return "".join(parts)


def chart(name: str, alt: str, frame: Frame, height: float, *parts: str) -> str:
    """Put the parts of a picture together; what leaves the frame is cut off."""
    left, right, top, bottom = frame[:4]
    clip = (
        f'<clipPath id="{name}-frame"><rect x="{left}" y="{top}" width="{right - left}" '
        f'height="{bottom - top}"/></clipPath>'
    )
    numbers = " ".join(f"{value:g}" for value in frame)
    return (
        f'<svg class="chart" id="{name}" viewBox="0 0 400 {height:g}" role="img" '
        f'aria-label="{escape(alt)}" data-frame="{numbers}">{clip}{"".join(parts)}</svg>'
    )


def lines(name: str, frame: Frame, curves: dict[str, str], at: float, heights: dict) -> str:
    """Draw curves, the marker across them, and where it meets each."""
    paths = "".join(
        f'<path class="{key}" data-curve="{key}" d="{d}"/>' for key, d in curves.items()
    )
    dots = "".join(
        f'<circle class="{key}" data-dot="{key}" r="4" cx="{frame.x(at):.1f}" '
        f'cy="{frame.y(value):.1f}"/>'
        for key, value in heights.items()
    )
    marker = f'<path class="marker" data-marker d="{marker_path(frame, at)}"/>'
    return f'<g clip-path="url(#{name}-frame)">{paths}{marker}{dots}</g>'


def marker_path(frame: Frame, at: float) -> str:
    """Return a line from top to bottom."""
    return f"M{frame.x(at):.1f} {frame.top:g}V{frame.bottom:g}"


def steps(low: float, high: float, count: int) -> list[float]:
    """Return evenly spaced values from low to high."""
    return [low + (high - low) * i / count for i in range(count + 1)]


LOSSES_OF_ONE = Frame(30, 392, 22, 232, -40, 40, 0, 44)
LOSSES_OF_THREE = Frame(30, 392, 22, 232, -5, 5, 0, 6)
SCORES = Frame(46, 392, 30, 170, -17, 19, -160, 80)
COST = Frame(46, 392, 218, 338, -17, 19, 0, 4)
TRADE = Frame(46, 392, 22, 232, 0, 1, 0, 1)


def binary_chart(z: float, label: int) -> str:
    """Draw the losses of one logit against it."""
    frame = LOSSES_OF_ONE
    grid = torch.tensor(steps(-40, 40, 160))
    y = torch.full_like(grid, label)
    curves = {
        name: frame.path(zip(grid.tolist(), loss(grid, y).tolist(), strict=True))
        for name, loss in BINARY.items()
    }
    values = binary_values(z, label)
    return chart(
        "binary-chart",
        "Loss against the logit, for each way of writing it. The table holds the values at the "
        "chosen logit.",
        frame,
        275,
        axes(frame, "logit z", "loss", (-40, -20, 0, 20, 40), (0, 20, 40)),
        lines("binary-chart", frame, curves, z, {"bceWithLogits": values["bceWithLogits.loss"]}),
    )


def classes_chart(logits: list[float], label: int) -> str:
    """Draw the losses of three logits against that of the label."""
    frame = LOSSES_OF_THREE
    grid = steps(-5, 5, 50)
    z = torch.tensor(logits, dtype=torch.float64).repeat(len(grid), 1)
    z[:, label] = torch.tensor(grid, dtype=torch.float64)
    y = torch.full((len(grid),), label)
    curves = {
        name: frame.path(zip(grid, loss(z, y).tolist(), strict=True))
        for name, loss in CLASSES.items()
    }
    values = classes_values(logits, label)
    heights = {name: values[f"{name}.loss"] for name in CLASSES}
    return chart(
        "classes-chart",
        "Losses against the logit of the labelled class, the other two held. The table holds the "
        "values at the chosen logits.",
        frame,
        275,
        axes(frame, "logit of the labelled class", "loss", (-5, 0, 5), (0, 2, 4, 6)),
        lines("classes-chart", frame, curves, logits[label], heights),
    )


def stairs(frame: Frame, held: Held, counts: list[int], sign: int) -> str:
    """Outline how many logits there are in each unit."""
    path = f"M{frame.x(held.first / 10):.1f} {frame.y(0):.1f}"
    for i in range(0, len(counts), 10):
        height = frame.y(sign * sum(counts[i : i + 10]))
        path += f"V{height:.1f}H{frame.x((held.first + i + 10) / 10):.1f}"
    return path + f"V{frame.y(0):.1f}Z"


def scores_chart(held: Held, cut: float, miss: float) -> str:
    """Draw the two distributions of logits above the cost at every threshold."""
    areas = {
        "ill": stairs(SCORES, held, held.ill, 1),
        "healthy": stairs(SCORES, held, held.healthy, -1),
    }
    side = SCORES.x(cut)
    parts = [
        f'<clipPath id="called"><rect x="{side:.1f}" y="0" width="400" height="400"/></clipPath>'
    ]
    for name, area in areas.items():
        parts.append(f'<path class="area {name}" d="{area}"/>')
        parts.append(f'<path class="area {name} called" clip-path="url(#called)" d="{area}"/>')
    parts.append(axes(SCORES, "", "patients in each unit of the logit", (), ()))
    for tick in (-150, -100, -50, 0, 50):
        y = SCORES.y(tick) + 5
        parts.append(f'<text class="tick" x="40" y="{y:.1f}" text-anchor="end">{abs(tick)}</text>')
    parts.append(f'<text x="392" y="{SCORES.top + 14}" text-anchor="end">the ill</text>')
    parts.append(f'<text x="392" y="{SCORES.bottom - 8}" text-anchor="end">the healthy</text>')
    costs = [(c, threshold_values(held, c, miss)["cost"]) for c in held.cuts]
    best = cheapest(held, miss)
    parts.append(
        axes(COST, "logit of the threshold", "cost per patient", (-15, -10, -5, 0, 5, 10, 15), ())
    )
    parts.append(
        "".join(
            f'<text class="tick" data-tick="{share}" x="40" y="{COST.y(4 * share) + 5:.1f}" '
            f'text-anchor="end">{4 * share:g}</text>'
            for share in (0, 0.5, 1)
        )
    )
    parts.append(f'<path class="cost" data-curve="cost" d="{COST.path(costs[::2])}"/>')
    dots = {
        "least": (best, threshold_values(held, best, miss)["cost"]),
        "cost": (cut, threshold_values(held, cut, miss)["cost"]),
    }
    parts.append(f'<path class="marker" data-marker d="M{side:.1f} {SCORES.top}V{COST.bottom}"/>')
    for name, (x, y) in dots.items():
        parts.append(
            f'<circle class="{name}" data-dot="{name}" r="5" cx="{COST.x(x):.1f}" '
            f'cy="{COST.y(y):.1f}"/>'
        )
    return chart(
        "scores-chart",
        "Above, how many of the ill and of the healthy have each logit: the healthy mostly far "
        "to the left, the ill spread widely and partly among them. A line marks the threshold. "
        "Below, the cost per patient at every threshold, with the chosen one and the cheapest.",
        COST,
        378,
        *parts,
    )


def trade_chart(held: Held, cut: float, miss: float) -> str:
    """Draw precision against recall for every threshold."""
    points = []
    for c in held.cuts[::2]:
        values = threshold_values(held, c, miss)
        points.append((values["recall"], values["precision"]))
    here = threshold_values(held, cut, miss)
    return chart(
        "trade-chart",
        "Precision against recall for all thresholds: precision falls as recall grows. A dot marks "
        "the chosen threshold.",
        TRADE,
        275,
        axes(TRADE, "recall", "precision", (0, 0.5, 1), (0, 0.5, 1)),
        f'<path class="cost" d="{TRADE.path(points)}"/>',
        f'<circle class="cost" data-dot="trade" r="5" cx="{TRADE.x(here["recall"]):.1f}" '
        f'cy="{TRADE.y(here["precision"]):.1f}"/>',
    )


# Tables for readers without JavaScript


def _table(caption: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return (
        f'<div class="without-script scroll" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def advice_table() -> str:
    """Say for each activation and each way of deciding what to do."""
    columns = ["After the last layer", "one output", "one of K classes", "any of L labels"]
    ends = ("one", "classes", "labels")
    rows = [
        [name, *(escape(which_loss.advice(end, "hard", key)) for end in ends)]
        for key, name in which_loss.ACTIVATIONS.items()
    ]
    return _table("Between the last layer and the loss, for certain labels", columns, rows)


def binary_table() -> str:
    """Show the ways to write one loss at three logits."""
    logits = (2, 10, 17)
    values = [binary_values(z, 0) for z in logits]
    names = {"byHand": "by hand", "bceLoss": "BCELoss", "bceWithLogits": "BCEWithLogitsLoss"}
    names |= {"crossEntropy": "CrossEntropyLoss", "rce": "RCE", "sce": "SCE"}
    names["twice"] = "sigmoid twice"
    rows = [
        [
            name,
            *(f"{shown(v[f'{key}.loss'])} ({shown(v[f'{key}.gradient'])})" for v in values),
        ]
        for key, name in names.items()
    ]
    columns = ["loss (gradient)", *(f"z = {z}" for z in logits)]
    return _table("The same at three logits, label 0", columns, rows)


def threshold_table(held: Held, miss: float) -> str:
    """Show the errors and the measures at some thresholds."""
    cuts = {"1/2": 0.0, f"1/{miss + 1:g}": -round(10 * math.log(miss)) / 10}
    cuts |= {"least cost": cheapest(held, miss), "0.9": 2.2}
    rows = []
    for name, cut in cuts.items():
        values = threshold_values(held, cut, miss)
        keys = ("fn", "fp", "precision", "recall", "f1", "cost")
        rows.append([name, shown(values["prob"]), *(shown(values[key]) for key in keys)])
    columns = ["threshold", "probability", "missed", "false alarms", "precision", "recall", "F1"]
    return _table(f"A miss costs {miss:g} false alarms", [*columns, "cost"], rows)


# The page


def fill(html: str, values: dict[str, float]) -> str:
    """Write each value into the element that names it."""
    return re.sub(
        r'(<[^>]*\bdata-value="([\w.]+)"[^>]*>)', lambda m: m[1] + shown(values[m[2]]), html
    )


def data(name: str, text: str) -> str:
    """Hand data to the scripts."""
    return f'<script type="application/json" id="{name}">{text}</script>'


def chooser() -> str:
    """Write the chooser."""
    html = _form("chooser").replace("<!-- advice -->", advice_table())
    return html + data("chooser-data", which_loss.choices())


def binary() -> str:
    """Write the explorer of one logit."""
    html = fill(_form("binary"), binary_values(2, 0))
    return html.replace("<!-- chart -->", binary_chart(2, 0)).replace(
        "<!-- table -->", binary_table()
    )


def verdict(gradient: float) -> str:
    """Say what a gradient does to the model."""
    if math.isnan(gradient):
        return "✗ ruined"
    return "✓ learns" if gradient else "✗ stuck"


def three_ways() -> str:
    """Write the three ways to one loss, at a logit where two of them fail."""
    values = binary_values(17, 0)

    def judged(cell: re.Match) -> str:
        return cell[0] + verdict(values[f"{cell[1]}.gradient"])

    return re.sub(r'<td data-verdict="(\w+)">', judged, fill(_form("three_ways"), values))


def classes() -> str:
    """Write the explorer of three logits."""
    logits = [0.9, 0.2, 0.8]
    html = fill(_form("classes"), classes_values(logits, 0))
    return html.replace("<!-- chart -->", classes_chart(logits, 0))


def probabilities() -> str:
    """Write the explorer of three scores: that of three logits without what it says of losses."""
    html = fill(_form("classes"), classes_values([0.9, 0.2, 0.8], 0))
    html = html.replace('id="classes"', 'id="probabilities"').replace("<!-- chart -->", "")
    return re.sub(r"<!-- of a label -->.*?<!-- end -->", "", html, flags=re.S)


def threshold() -> str:
    """Write the explorer of the threshold."""
    held, cut, miss = held_out(), 0.0, 10.0
    best = cheapest(held, miss)
    values = threshold_values(held, cut, miss)
    values |= {"least": threshold_values(held, best, miss)["cost"]}
    html = fill(_form("threshold"), values)
    charts = scores_chart(held, cut, miss), trade_chart(held, cut, miss)
    html = html.replace("<!-- scores -->", charts[0]).replace("<!-- trade -->", charts[1])
    html = html.replace("<!-- table -->", threshold_table(held, miss))
    return html + data("threshold-data", json.dumps(held._asdict(), separators=(",", ":")))


def _form(name: str) -> str:
    return (BOOK / f"explorer_{name}.html").read_text(encoding="utf-8")


# The name of each, how it is written, and the script that moves it.
EXPLORERS = {
    "chooser": (chooser, "explorer_losses.js"),
    "three_ways": (three_ways, "explorer_losses.js"),
    "binary": (binary, "explorer_losses.js"),
    "classes": (classes, "explorer_losses.js"),
    "probabilities": (probabilities, "explorer_losses.js"),
    "threshold": (threshold, "explorer_threshold.js"),
}


def part(name: str, env) -> nodes.raw:
    """Build one of them, and note what its page is made of and has to load."""
    write, script = EXPLORERS[name]
    html = write()
    for source in (*BOOK.glob("explorer_*.html"), BOOK / "threshold.json"):
        env.note_dependency(str(source))
    return nodes.raw(html, html, format="html", assets=["explorer.css", "explorer.js", script])


class Explorer(SphinxDirective):
    """One of the parts above, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Build it."""
        return [part(self.arguments[0], self.env)]


class ExplorersFromComments(SphinxTransform):
    """The same in a chapter."""

    default_priority = 500

    def apply(self, **kwargs) -> None:
        """Replace each comment that names a part."""
        for raw in list(self.document.findall(nodes.raw)):
            if found := re.fullmatch(r"<!-- explorer: (\w+) -->", raw.astext().strip()):
                raw.replace_self(part(found[1], self.env))


def load_assets(app: Sphinx, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Load scripts and styles on the pages that hold something to play with, and on no other."""
    names = [] if doctree is None else [raw.get("assets", []) for raw in doctree.findall(nodes.raw)]
    for name in dict.fromkeys(name for found in names for name in found):
        if name.endswith(".js"):
            app.add_js_file(name, loading_method="defer")
        else:
            app.add_css_file(name)


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("explorer", Explorer)
    app.add_transform(ExplorersFromComments)
    app.connect("html-page-context", load_assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
