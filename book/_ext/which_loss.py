"""Which loss? Six heads and four kinds of labels: the table and the chooser are written from them.

``answer`` puts a head and a kind of labels together, ``advice`` says what to do with an activation
in front of the loss; all the code that they name is run by a test, for every choice.
"""

import json
import re
from html import escape
from typing import NamedTuple

from docutils import nodes
from ledger import chapter_link
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Head(NamedTuple):
    """The end of a model, and what its labels look like."""

    task: str
    layer: str
    reshape: str
    logits: str
    target: str
    classes: str  # "" where every output is a question of its own
    decision: str


HEADS = {
    "one": Head("yes or no", "nn.Linear(H, 1)", ".squeeze(1)", "(N,)", "(N,)", "", "logits > 0"),
    "two": Head(
        "yes or no, as two classes",
        "nn.Linear(H, 2)",
        "",
        "(N, 2)",
        "(N,)",
        "2",
        "logits.argmax(dim=1)",
    ),
    "classes": Head(
        "one of K classes",
        "nn.Linear(H, K)",
        "",
        "(N, K)",
        "(N,)",
        "K",
        "logits.argmax(dim=1)",
    ),
    "pixels": Head(
        "one of K classes for every pixel",
        "nn.Conv2d(H, K, 1)",
        "",
        "(N, K, d1, d2)",
        "(N, d1, d2)",
        "K",
        "logits.argmax(dim=1)",
    ),
    "tokens": Head(
        "one of K classes for every token of padded sequences",
        "nn.Linear(H, K)",
        ".movedim(2, 1)",
        "(N, K, T)",
        "(N, T)",
        "K",
        "logits.argmax(dim=1)",
    ),
    "labels": Head("any of L labels", "nn.Linear(H, L)", "", "(N, L)", "(N, L)", "", "logits > 0"),
}

# What else a row's task says, under the head that it belongs to.
LABELS = {
    "hard": "",
    "soft": "… with uncertain labels",
    "rare": "… when missing a rare kind costs more",
    "wrong": "… when some labels are wrong",
}


class Answer(NamedTuple):
    """What to write, and the target to write it for."""

    head: str
    logits: str
    loss: str
    dtype: str
    shape: str
    values: str
    decision: str
    weight: str = ""
    step: str = "criterion(logits, target)"

    @property
    def target(self) -> str:
        """Dtype, shape and range in one line."""
        return f"{self.dtype}, {self.shape}, {self.values}"

    @property
    def code(self) -> str:
        """The lines of a training script that matter, with what they import."""
        lines = [
            "from torch import nn" if self.loss.startswith("nn.") else "",
            "from companion import losses" if self.loss.startswith("losses.") else "",
            f"w = {self.weight}  # of all training labels" if self.weight else "",
            f"criterion = {self.loss}",
            f"logits = {self.logits}",
            f"loss = {self.step}",
            f"predicted = {self.decision}",
        ]
        return "\n".join(filter(None, lines))


def answer(head: str, labels: str) -> Answer:
    """Return what fits a head and a kind of labels, both by their keys."""
    end = HEADS[head]
    padded = head == "tokens"
    options, weight, step = [], "", Answer._field_defaults["step"]
    dtype, shape, values = "float", end.target, "in [0, 1]"
    if end.classes and labels == "soft":
        shape, values = end.logits, "adding up to 1 over the classes"
    elif end.classes:
        dtype, values = "int64", f"in [0, {end.classes})"
    elif labels in ("rare", "wrong"):
        values = "0.0 or 1.0"

    if labels == "rare" and end.classes:
        options = ["weight=w"]
        weight = f"1 / target[target >= 0].bincount(minlength={end.classes}).clamp(min=1)"
    elif labels == "rare":
        options = ["pos_weight=w"]
        over = "dim=0" if head == "labels" else ""
        weight = f"(target == 0).sum({over}) / (target == 1).sum({over}).clamp(min=1)"
    if padded and labels == "soft":  # ignore_index is for class indices only
        options, step = ['reduction="sum"'], "criterion(logits, target) / target.sum()"
        values += ", all 0 at padding"
    elif padded:
        options.append("ignore_index=-100")
        values += ", −100 at padding"

    if labels == "wrong":
        name = "SymmetricCrossEntropyLoss"
        if not end.classes:
            name = "BinarySymmetricCrossEntropyWithLogitsLoss"
        name = f"losses.{name}"
    else:
        name = "nn.CrossEntropyLoss" if end.classes else "nn.BCEWithLogitsLoss"
    return Answer(
        head=end.layer,
        logits=f"model(inputs){end.reshape}  # {end.logits}",
        loss=f"{name}({', '.join(options)})",
        dtype=dtype,
        shape=shape,
        values=values,
        decision=end.decision,
        weight=weight,
        step=step,
    )


# The rows of the table, and where the book shows them.
ROWS = {
    ("one", "hard"): ["03_binary_cross_entropy#sigmoid-and-loss-in-one"],
    ("one", "rare"): ["06_decisions#pos-weight-and-the-threshold-say-the-cost-once"],
    ("one", "wrong"): ["09_noisy_labels#what-to-try-first"],
    ("two", "hard"): ["02_binary_heads#why-the-heads-agree"],
    ("classes", "hard"): ["04_cross_entropy#four-steps-one-line-each"],
    ("classes", "soft"): ["04_cross_entropy#what-the-target-may-be"],
    ("classes", "rare"): ["04_cross_entropy#who-counts-how-much-weight-and-ignore-index"],
    ("classes", "wrong"): ["09_noisy_labels#what-to-try-first"],
    ("pixels", "hard"): [
        "04_cross_entropy#what-the-target-may-be",
        "12_clinic#patient-8-pixels",
    ],
    ("tokens", "hard"): [
        "04_cross_entropy#who-counts-how-much-weight-and-ignore-index",
        "12_clinic#patient-9-tokens",
    ],
    ("labels", "hard"): ["08_multi_label#the-loss-of-many-yes-or-no-questions"],
    ("labels", "rare"): ["08_multi_label#pos-weight-the-rare-label"],
    ("labels", "wrong"): ["09_noisy_labels#what-to-try-first"],
}

# What may stand between the last layer and the loss.
ACTIVATIONS = {
    "none": "Nothing",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
}


def kept(head: str, labels: str, activation: str) -> str:
    """Return the loss that goes with an activation that stays in the model, or nothing."""
    loss = answer(head, labels).loss
    if activation == "none":
        return loss
    if activation == "sigmoid" and loss == "nn.BCEWithLogitsLoss()":
        return "nn.BCELoss()"
    indices = HEADS[head].classes and labels in ("hard", "rare")  # NLLLoss takes nothing else
    if activation == "log_softmax" and indices:
        return loss.replace("CrossEntropyLoss", "NLLLoss")
    return ""


def advice(head: str, labels: str, activation: str) -> str:
    """Say what to do with an activation in front of the loss."""
    loss = kept(head, labels, activation)
    if activation == "none":
        return "Keep it as it is."
    if HEADS[head].classes:
        return {
            "sigmoid": "Remove the sigmoid: it squeezes the logits into (0, 1), and the loss "
            "applies a softmax to them.",
            "softmax": "Remove the softmax: the loss has its own, and with two of them it cannot "
            "reach 0.",
            "log_softmax": "LogSoftmax is harmless here, and superfluous: remove it"
            + (f", or keep it and use {loss}." if loss else "."),
        }[activation]
    if activation == "sigmoid":
        without = "the loss is nn.BCELoss, which is less stable"
        if labels == "rare":
            without = "the loss would be nn.BCELoss, which has no pos_weight"
        if labels == "wrong":
            without = "there is no such loss"
        return f"Remove the sigmoid: the loss has its own. With the sigmoid in the model {without}."
    if head == "labels":
        return "Remove it: it makes the labels compete, and more than one can be right."
    name, always = {"softmax": ("softmax", 1), "log_softmax": ("LogSoftmax", 0)}[activation]
    return f"Remove the {name}: over one output it is always {always}."


def choices() -> str:
    """Return every answer and every advice as JSON, for the chooser."""
    answers = {
        f"{head} {labels}": {
            "Model": {activation: advice(head, labels, activation) for activation in ACTIVATIONS},
            "Head": found.head,
            "Loss": found.loss,
            "Target": found.target,
            "Decision": found.decision,
            "code": found.code,
        }
        for head in HEADS
        for labels in LABELS
        for found in [answer(head, labels)]
    }
    return json.dumps(answers, ensure_ascii=False)


def code(text: str) -> str:
    """Write code into a cell; what is too long breaks at a dot, a bracket or a capital."""
    breaks = "(?<=[a-z])(?=[A-Z])|(?<=[a-z][.])|(?<=Loss[(])(?![)])"
    return f"<code>{re.sub(breaks, '<wbr>', escape(text))}</code>"


COLUMNS = ("task", "head, and logits", "loss", "target", "decision", "chapter")


def table() -> str:
    """Write the decision table; each cell names its column, for pages too narrow for columns."""
    parts = []
    for (head, labels), places in ROWS.items():
        found = answer(head, labels)
        links = (f'<a href="{address}">{text}</a>' for text, address in map(chapter_link, places))
        end = HEADS[head]
        shape = escape(end.logits)
        cells = [
            code(end.layer.removeprefix("nn."))
            + (f", {code(end.reshape)}" if end.reshape else "")
            + f'<span class="shape">{shape}</span>',
            code(found.loss.removeprefix("nn.")),
            f'{found.dtype} <span class="shape">{escape(found.shape)}</span><br>'
            f"{escape(found.values)}",
            code(found.decision),
            ", ".join(links),
        ]
        first = f'<th scope="row" role="rowheader">{escape(LABELS[labels] or end.task)}</th>'
        rest = "".join(
            f'<td role="cell" data-column="{column}"><span>{cell}</span></td>'
            for column, cell in zip(COLUMNS[1:], cells, strict=True)
        )
        style = "" if LABELS[labels] else ' class="task"'
        parts.append(f'<tr role="row"{style}>{first}{rest}</tr>')
    heads = "".join(f'<th scope="col" role="columnheader">{name}</th>' for name in COLUMNS)
    # Cells that are laid out as blocks lose their roles unless these are written down.
    return (
        '<table class="which-loss" role="table"><caption>From the task to the decision. What '
        "stands in the head is all of the model that follows its last hidden layer of width H."
        f'</caption><thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(parts)}</tbody></table>'
    )


class WhichLoss(SphinxDirective):
    """The decision table."""

    def run(self) -> list[nodes.Node]:
        """Build it."""
        html = table()
        return [nodes.raw(html, html, format="html", assets=["explorer.css"])]


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("which-loss", WhichLoss)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
