"""Every code that a diagnosis can use: what it means, how it shows, an example and the mend.

The rules take the chapter from here, and the reference page of the book is written from here, so
the two cannot drift apart. Each ``example`` and ``mend`` runs as it stands, after ``SETUP``; both
define ``criterion``, ``output`` and ``target`` (and ``predict`` or ``batches`` where those are the
subject), and the tests hold that the first is found and the second is not.
"""

from dataclasses import dataclass

from .report import Finding

SETUP = """\
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
features = torch.randn(12, 5)
model = nn.Linear(5, 3)  # three classes
head = nn.Linear(5, 1)  # one logit
classes = torch.tensor([0, 1, 2] * 4)
labels = torch.tensor([0.0, 1.0] * 6)
several = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]] * 6)
"""


@dataclass(frozen=True)
class Code:
    """One kind of mistake."""

    meaning: str
    shows: str
    example: str
    mend: str
    chapter: str


CODES: dict[str, Code] = {
    "DOUBLE_ACTIVATION": Code(
        meaning="The model ends in softmax or sigmoid, and the loss applies it once more.",
        shows="Training runs and the loss falls, but never below a floor: ln(e + K − 1) − 1 for "
        "softmax over K classes, 0.3133 and 0.6931 for a sigmoid with targets 1 and 0. Learning "
        "is slow, because the second activation sees only scores between 0 and 1.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features).softmax(dim=1), classes""",
        mend="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), classes""",
        chapter="Cross-entropy",
    ),
    "OBJECTIVE": Code(
        meaning="The loss belongs to another task: softmax where several labels can be true, "
        "regression on labels, one sample of N classes where N samples were meant.",
        shows="Labels suppress each other, the loss has a large floor, or it grows with the "
        "batch. Nothing is raised.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), several""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = model(features), several""",
        chapter="BCE or CE",
    ),
    "NOT_LOG_PROBS": Code(
        meaning="nll_loss, kl_div or ctc_loss gets something else than log-probabilities.",
        shows="The loss is negative, or falls without end: it only picks out a score and turns "
        "its sign.",
        example="""\
criterion = nn.NLLLoss()
output, target = model(features), classes""",
        mend="""\
criterion = nn.NLLLoss()
output, target = model(features).log_softmax(dim=1), classes""",
        chapter="Cross-entropy",
    ),
    "LOGITS_FOR_PROBS": Code(
        meaning="A loss that takes probabilities gets raw scores.",
        shows="An error from BCELoss, NaN from a logarithm written by hand, or a Dice loss that "
        "falls below 0.",
        example="""\
criterion = nn.BCELoss()
output, target = head(features).squeeze(1), labels""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels""",
        chapter="Binary cross-entropy",
    ),
    "BOUNDED_LOGITS": Code(
        meaning="The model ends in a ReLU, tanh, a clamp, a norm or dropout, so its logits cannot "
        "take every value.",
        shows="After ReLU no probability is below one half; after tanh the loss has a floor; "
        "after dropout the label's own score is erased now and then.",
        example="""\
criterion = nn.BCEWithLogitsLoss()
output, target = torch.relu(head(features)).squeeze(1), labels""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(torch.relu(features)).squeeze(1), labels""",
        chapter="Logits and probabilities",
    ),
    "NO_GRADIENT": Code(
        meaning="Between output and loss stands a step without a slope: argmax, round, a "
        "comparison, .item(), .detach(), a clamp that all values have passed.",
        shows="backward() raises, or it runs and no weight changes.",
        example="""\
criterion = lambda output, target: ((output > 0).float() - target).abs().mean()
output, target = head(features).squeeze(1), labels""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels""",
        chapter="NaN",
    ),
    "ONE_CLASS": Code(
        meaning="Softmax over one single score, which is 1 whatever the score is.",
        shows="The loss is exactly 0 from the first batch on, and nothing is learned.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = head(features), torch.zeros(12, dtype=torch.int64)""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels""",
        chapter="Binary heads",
    ),
    "WRONG_DIM": Code(
        meaning="Softmax or argmax runs over the batch, or over space, instead of the classes.",
        shows="The loss depends on who else is in the batch; with a batch of one it is 0.",
        example="""\
criterion = nn.NLLLoss()
output, target = model(features).log_softmax(dim=0), classes""",
        mend="""\
criterion = nn.NLLLoss()
output, target = model(features).log_softmax(dim=1), classes""",
        chapter="Cross-entropy",
    ),
    "SHAPE": Code(
        meaning="Output and target do not have the shapes that the loss compares.",
        shows="An error that names two sizes.",
        example="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features), labels  # (12, 1) and (12,)""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels""",
        chapter="BCE or CE",
    ),
    "BROADCAST": Code(
        meaning="(N, 1) meets (N,) in a loss that broadcasts, and becomes N times N.",
        shows="The loss settles at the spread of the targets: each output is compared with all "
        "of them. torch warns for MSELoss and is silent elsewhere. An accuracy computed this way "
        "exceeds 100 %.",
        example="""\
criterion = lambda output, target: F.softplus((1 - 2 * target) * output).mean()
output, target = head(features), labels  # (12, 1) and (12,)""",
        mend="""\
criterion = lambda output, target: F.softplus((1 - 2 * target) * output).mean()
output, target = head(features).squeeze(1), labels""",
        chapter="Training",
    ),
    "TARGET_DTYPE": Code(
        meaning="Integers where the loss takes floats, or the reverse.",
        shows="An error that names Long, Float, Int or Double; or nothing, where bytes have no "
        "minus and integers no fractions.",
        example="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels.long()""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels.float()""",
        chapter="BCE or CE",
    ),
    "CLASS_DIM": Code(
        meaning="The scores of the classes are not in dimension 1, or were torn apart by a view "
        "where a permute was needed.",
        shows="An error about sizes; or nothing at all, where two sizes happen to agree.",
        example="""\
criterion = nn.CrossEntropyLoss()
scores = model(features.reshape(3, 4, 5))  # (batch, time, classes)
output, target = scores.view(3, 3, 4), classes.reshape(3, 4)""",
        mend="""\
criterion = nn.CrossEntropyLoss()
scores = model(features.reshape(3, 4, 5))  # (batch, time, classes)
output, target = scores.permute(0, 2, 1), classes.reshape(3, 4)""",
        chapter="BCE or CE",
    ),
    "API": Code(
        meaning="The loss is called in a way it is not meant to be: arguments swapped, data in "
        "the constructor, the class in place of an object, a tuple in place of a tensor.",
        shows="An odd error, or a loss that hardly depends on the model.",
        example="""\
criterion = lambda output, target: F.binary_cross_entropy(target, output)
output, target = head(features).sigmoid().squeeze(1), labels""",
        mend="""\
criterion = lambda output, target: F.binary_cross_entropy(output, target)
output, target = head(features).sigmoid().squeeze(1), labels""",
        chapter="Binary cross-entropy",
    ),
    "WEIGHT": Code(
        meaning="Weights of the wrong size, dtype or sign, upside down, or in another's place.",
        shows="An error; or the frequent class is favoured still more.",
        example="""\
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))
output, target = model(features), classes""",
        mend="""\
criterion = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0]))
output, target = model(features), classes""",
        chapter="Binary heads",
    ),
    "TARGET_RANGE": Code(
        meaning="Labels that the loss cannot read: 1 to K instead of 0 to K − 1, −1 and 1 "
        "instead of 0 and 1, 255 instead of 1.",
        shows="An error that names an index; or a loss without a lower bound.",
        example="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), 2 * labels - 1""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features).squeeze(1), labels""",
        chapter="Binary cross-entropy",
    ),
    "TARGET_NOT_DISTRIBUTION": Code(
        meaning="A float target that should hold the probabilities of the classes holds logits, "
        "counts or logarithms.",
        shows="The loss is negative, or its size follows that of the targets.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), 2 * torch.randn(12, 3)""",
        mend="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), (2 * torch.randn(12, 3)).softmax(dim=1)""",
        chapter="Cross-entropy",
    ),
    "NUMERICS": Code(
        meaning="NaN or infinity in the output, the loss or the gradient.",
        shows="The loss prints as nan or inf; or it is finite and the weights become NaN after "
        "one step.",
        example="""\
criterion = lambda output, target: -torch.log(1 - torch.sigmoid(output))[target == 0].mean()
output, target = 100 * head(features).squeeze(1).abs(), labels""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = 100 * head(features).squeeze(1), labels""",
        chapter="NaN",
    ),
    "IGNORE_INDEX": Code(
        meaning="A label that marks padding is not declared, or everything is skipped.",
        shows="An error that names −1 or 255; a loss that is NaN for some batches; or nothing, "
        "where padding is learned like any other class.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), torch.tensor([0, 1, 2, -1] * 3)""",
        mend="""\
criterion = nn.CrossEntropyLoss(ignore_index=-1)
output, target = model(features), torch.tensor([0, 1, 2, -1] * 3)""",
        chapter="Cross-entropy",
    ),
    "REDUCTION": Code(
        meaning="The losses of a batch are divided twice, summed, or not reduced at all; or what "
        "is masked counts in the mean.",
        shows="The right learning rate changes with the size of the batch, or with its padding.",
        example="""\
criterion = lambda output, target: F.cross_entropy(output, target) / len(target)
output, target = model(features), classes""",
        mend="""\
criterion = lambda output, target: F.cross_entropy(output, target)
output, target = model(features), classes""",
        chapter="Cross-entropy",
    ),
    "CUSTOM_LOSS": Code(
        meaning="A loss of one's own does not reward what it should: its sign is turned, it "
        "ignores which target belongs to which output or what one of the labels says, or it "
        "averages too early.",
        shows="The loss falls and the accuracy falls with it; or hard samples get no more weight "
        "than easy ones.",
        example="""\
def criterion(output, target):
    loss = F.cross_entropy(output, target)
    return (1 - torch.exp(-loss)) ** 2 * loss

output, target = model(features), classes""",
        mend="""\
def criterion(output, target):
    loss = F.cross_entropy(output, target, reduction="none")
    return ((1 - torch.exp(-loss)) ** 2 * loss).mean()

output, target = model(features), classes""",
        chapter="Cross-entropy",
    ),
    "DECISION_RULE": Code(
        meaning="The rule from output to label does not fit the loss.",
        shows="The loss is good and the accuracy is that of a coin, or of the most frequent class.",
        example="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features), labels.unsqueeze(1)
predict = lambda output: output.argmax(dim=1, keepdim=True)""",
        mend="""\
criterion = nn.BCEWithLogitsLoss()
output, target = head(features), labels.unsqueeze(1)
predict = lambda output: (output > 0).long()""",
        chapter="Decisions",
    ),
    "IMBALANCE": Code(
        meaning="The batches are sorted by class, or one class hardly occurs.",
        shows="The loss jumps from batch to batch; the accuracy is high and means nothing.",
        example="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), classes
batches = [(output, torch.full((12,), label)) for label in (0, 1, 2)]""",
        mend="""\
criterion = nn.CrossEntropyLoss()
output, target = model(features), classes
batches = [(output, classes.roll(shift)) for shift in (0, 1, 2)]""",
        chapter="Training",
    ),
}


def finding(
    code: str, level: str, what: str, evidence: str, fix: str = "", chapter: str = ""
) -> Finding:
    """Make a finding; the chapter is the code's own where none is named."""
    return Finding(code, level, what, evidence, fix, chapter or CODES[code].chapter)
