"""Chapter 9's comparison: every way of training at every learning rate, for ten seeds.

``python -m tests.experiments.noisy_labels`` runs it, in about half an hour on two cores, and
writes ``companion/noisy_labels.json``: how many labels each network gets right, of the test set
and of the held-out samples *with their noisy labels*. By the latter the chapter chooses a learning
rate for each way and seed, as a reader could. A weekly test runs a part of it again, and the
chapter's conclusions on seeds that are not in the file.
"""

import json
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from torch import Tensor, nn
from torch.nn import functional as F

from companion import data, losses
from companion.training import fit_many

RESULT = Path(__file__).resolve().parents[2] / "companion" / "noisy_labels.json"
SEEDS = range(10)
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
HUNDRED_RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
LENGTHS = (60, 200)
NOISES = {
    "none": torch.eye(10, dtype=torch.float64),
    "symmetric 0.4": data.symmetric_noise(10, 0.4),
    "pair 0.4": data.pair_noise(10, 0.4),
    "symmetric 0.6": data.symmetric_noise(10, 0.6),
}
HUNDRED = "100 classes, symmetric 0.4"


class Samples(NamedTuple):
    """What one way of training may see, and what judges it; the first dimension counts seeds."""

    inputs: Tensor
    given: Tensor  # the labels of training, some wrong
    held_out: Tensor
    held_given: Tensor
    held_true: Tensor
    test: Tensor
    test_true: Tensor


def digits(seeds, transition) -> Samples:
    images, target = data.digits()
    rows = []
    for seed in seeds:
        parts = data.split(images, target, fractions=(1 / 3, 1 / 9, 5 / 9), seed=seed)
        rows.append(_corrupted(parts, transition, seed))
    return Samples(*map(torch.stack, zip(*rows, strict=True)))


def pairs_of_digits(seeds, transition) -> Samples:
    """Two digits side by side: a hundred classes, 20 samples of each on average."""
    images, target = data.digits()
    rows = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        parts = []
        split = data.split(images, target, fractions=(1 / 3, 1 / 9, 5 / 9), seed=seed)
        for (inputs, labels), n in zip(split, (2000, 600, 2000), strict=True):
            left, right = torch.randint(len(inputs), (2, n), generator=generator)
            both = torch.cat([inputs[left], inputs[right]], dim=1)
            parts.append((both, 10 * labels[left] + labels[right]))
        rows.append(_corrupted(parts, transition, seed))
    return Samples(*map(torch.stack, zip(*rows, strict=True)))


def _corrupted(parts, transition, seed):
    (inputs, true), (held_out, held_true), test = parts
    given = data.corrupt_labels(true, transition, seed=seed)
    held_given = data.corrupt_labels(held_true, transition, seed=seed + 1000)
    return inputs, given, held_out, held_given, held_true, *test


def network(inputs=64, hidden=64, classes=10) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def out_of_fold(inputs: Tensor, given: Tensor) -> Tensor:
    """Probabilities of each sample by a model that has not seen its label."""
    model = LogisticRegression(C=0.1, max_iter=1000)
    probs = cross_val_predict(model, inputs.numpy(), given.numpy(), cv=5, method="predict_proba")
    return torch.as_tensor(probs)


def counted(true: Tensor, given: Tensor) -> Tensor:
    """The transition matrix as checked labels show it, half a count added to each entry."""
    counts = torch.full((10, 10), 0.5, dtype=torch.float64)
    for row, column in zip(true, given, strict=True):
        counts[row, column] += 1
    return counts / counts.sum(dim=1, keepdim=True)


def estimated(probs: Tensor, given: Tensor) -> Tensor:
    """The transition matrix without a checked label: confident predictions stand for the truth.

    A sample counts as class j if its probability for j is at least the mean that the samples
    labelled j have there; as the likeliest such class, if there are several.
    """
    usual = torch.stack([probs[given == k, k].mean() for k in range(10)])
    sure, guess = torch.where(probs >= usual, probs, 0).max(dim=1)
    return counted(guess[sure > 0], given[sure > 0])


def forward_correction(transition: Tensor):
    """Cross-entropy of what the labels will look like: the prediction times T, a T per seed."""

    def criterion(logits, target, reduction):
        noisy = torch.einsum("rksn,skj->rjsn", logits.softmax(dim=1), transition)
        return -noisy.gather(1, target.unsqueeze(1)).squeeze(1).log()

    return criterion


def ways(samples: Samples, transition: Tensor) -> dict:
    """Every way of training: its criterion, its labels, its weight decays."""
    given = samples.given
    probs = torch.stack([out_of_fold(*pair) for pair in zip(*samples[:2], strict=True)])
    true = transition.expand(len(given), 10, 10)
    by_count = [counted(*pair) for pair in zip(samples.held_true, samples.held_given, strict=True)]
    by_guess = [estimated(*pair) for pair in zip(probs, given, strict=True)]
    kept = given.where(probs.argmax(dim=2) == given, -100)
    return {
        **mixtures(given),
        "CE, weight decay": (F.cross_entropy, given, (0.003, 0.01, 0.03)),
        "GCE": (losses.generalized_cross_entropy, given),
        "forward, true T": (forward_correction(true), given),
        "forward, T counted": (forward_correction(torch.stack(by_count)), given),
        "forward, T estimated": (forward_correction(torch.stack(by_guess)), given),
        "CE, doubtful labels dropped": (F.cross_entropy, kept),
    }


def mixtures(given: Tensor) -> dict:
    """From CE to RCE, with ever less CE."""
    sce = losses.symmetric_cross_entropy
    return {
        "CE": (F.cross_entropy, given),
        **{f"SCE, α = {a}": (partial(sce, alpha=a), given) for a in (1.0, 0.1, 0.01)},
        "RCE": (losses.reverse_cross_entropy, given),
    }


def right(logits: Tensor, target: Tensor) -> Tensor:
    return (logits.argmax(dim=3) == target).sum(dim=2)


def train(
    samples: Samples, build, rates, seeds, epochs, criterion, target, decays=(0.0,)
) -> Tensor:
    """Right answers on test and on noisy held-out labels: (epochs / 5, 2, settings, seeds)."""

    def watch(logits):
        held_out = right(logits(samples.held_out), samples.held_given)
        return torch.stack([right(logits(samples.test), samples.test_true), held_out])

    settings = {"rates": rates, "seeds": seeds, "epochs": epochs, "every": 5}
    run = partial(fit_many, build, criterion, samples.inputs, target, watch, **settings)
    return torch.cat([run(weight_decay=decay) for decay in decays], dim=2)


def table(history: Tensor, lengths, *, stopped: bool = False) -> dict:
    """The counts at each length of training, (lengths, settings, seeds), as lists.

    Stopped early, they are those of the epoch that was best on the held-out labels until then.
    """
    rows = []
    for length in lengths:
        until = history[: length // 5]
        best = until[:, 1].argmax(dim=0) if stopped else torch.tensor(len(until) - 1)
        rows.append(until.gather(0, best.expand(1, *until.shape[1:])).squeeze(0))
    test, held_out = torch.stack(rows).unbind(dim=1)
    return {"test": test.tolist(), "held_out": held_out.tolist()}


def run(noise: str, seeds=SEEDS, only=None) -> dict:
    """Train all ways, or ``only`` some, under one kind of noise."""
    build, rates, lengths = network, RATES, LENGTHS
    if noise == HUNDRED:
        seeds, rates, lengths = seeds[:5], HUNDRED_RATES, LENGTHS[:1]
        build = partial(network, 128, 128, 100)
        samples = pairs_of_digits(seeds, data.symmetric_noise(100, 0.4))
        these = mixtures(samples.given)
    elif noise == "symmetric 0.6":
        samples, lengths = digits(seeds, NOISES[noise]), LENGTHS[:1]
        these = mixtures(samples.given)
    else:
        samples = digits(seeds, NOISES[noise])
        these = ways(samples, NOISES[noise])
    sizes = {"test": samples.test.shape[1], "held_out": samples.held_out.shape[1]}
    found = {}
    for name in only or these:
        history = train(samples, build, rates, seeds, lengths[-1], *these[name])
        found[name] = table(history, lengths)
        if name == "CE":
            found["CE, stopped early"] = table(history, lengths, stopped=True)
    return {"rates": rates, "sizes": sizes, "right": found}


def settle() -> None:
    """Compute as the chapter does."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)


def collect(seeds=SEEDS) -> dict:
    noises = [*NOISES, HUNDRED]
    with ProcessPoolExecutor(initializer=settle) as pool:
        results = list(pool.map(partial(run, seeds=seeds), noises))
    found = {"seeds": [*seeds], "lengths": LENGTHS}
    for part in ("rates", "sizes", "right"):
        found[part] = {noise: result[part] for noise, result in zip(noises, results, strict=True)}
    return found


def text(found: dict) -> str:
    """JSON with one line for each way, so that a change can be read."""
    spread = json.dumps(found, ensure_ascii=False, indent=1)
    return re.sub(r"\n {4,}|\n {3}(?=\})", "", spread) + "\n"


if __name__ == "__main__":
    settle()
    RESULT.write_text(text(collect()), encoding="utf-8")
