"""One training loop for every loss, and what it remembers."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from tqdm import tqdm

from companion import _checks

__all__ = ["History", "TrainingError", "evaluate", "fit", "fit_many"]

Criterion = Callable[[Tensor, Tensor], Tensor]
Decide = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class History:
    """What a training run measured, one entry for each finished epoch.

    Every entry is a mean over samples: a short last batch counts for as much as it holds. What
    counts in the training loss is the number of samples; a criterion that divides by something
    else, such as summed class weights or the targets that are not ignored, is measured exactly in
    validation only, where it sees all samples at once.

    Attributes:
        train_loss: mean training loss in the criterion's unit, as it was during the epoch.
        train_accuracy: share of right labels, in [0, 1], as it was during the epoch.
        validation_loss: mean validation loss after the epoch; empty without validation data.
        validation_accuracy: share of right labels after the epoch; empty without validation data.
    """

    train_loss: tuple[float, ...] = ()
    train_accuracy: tuple[float, ...] = ()
    validation_loss: tuple[float, ...] = ()
    validation_accuracy: tuple[float, ...] = ()


class TrainingError(RuntimeError):
    """Training stopped because the loss is no longer finite.

    Attributes:
        history: the :class:`History` of the epochs that were finished before.
        epoch: the epoch in which it happened, counted from 1.
        batch: the batch of that epoch, counted from 1.
    """

    history: History = History()

    def __init__(self, message: str, *, epoch: int, batch: int) -> None:
        """Keep where it happened."""
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch


def fit(
    model: nn.Module,
    criterion: Criterion,
    train: Iterable[tuple[Tensor, Tensor]],
    validation: Iterable[tuple[Tensor, Tensor]] | None = None,
    *,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    decide: Decide,
    progress: bool | None = None,
) -> History:
    """Train a model and measure loss and accuracy after each epoch.

    The training loss and accuracy of an epoch are those of its batches as they came by, while the
    model was still changing and in training mode; the validation ones are measured afterwards.
    Batches are moved to the device of the model's parameters.

    Args:
        model: maps an input batch to what ``criterion`` and ``decide`` take. It is left in
            evaluation mode, ready to predict.
        criterion: ``criterion(output, target)`` is the batch's mean loss, a scalar.
        train: gives (input, target) batches, anew in each epoch: a ``DataLoader``.
        validation: the same for data that is only measured.
        epochs: how often to go through ``train``; at least 1.
        optimizer: made with the parameters of ``model``.
        decide: ``decide(output)`` gives labels of the shape of the target.
        progress: whether to draw a progress bar; None draws it only on a terminal.

    Returns:
        The history of all epochs.

    Raises:
        ValueError: a loader gives no batch or no pairs, the loss is not a scalar, it is a sum and
            no mean, labels and target differ in shape, or the optimizer holds no parameter of the
            model.
        TrainingError: the training loss became NaN or infinite; it says in which batch.

    Whatever stops the training, an error or the stop button (KeyboardInterrupt), what was measured
    until then is not lost: the exception carries it as its ``history``, in a notebook
    ``sys.last_value.history``.

    Example:
        >>> from torch.utils.data import DataLoader, TensorDataset
        >>> _ = torch.manual_seed(0)
        >>> inputs = torch.linspace(-1, 1, 10).unsqueeze(1)
        >>> loader = DataLoader(TensorDataset(inputs, (inputs[:, 0] > 0).long()), batch_size=4)
        >>> model = nn.Linear(1, 2)
        >>> history = fit(
        ...     model,
        ...     nn.CrossEntropyLoss(),
        ...     loader,
        ...     epochs=20,
        ...     optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        ...     decide=lambda logits: logits.argmax(dim=1),
        ... )
        >>> len(history.train_loss), history.train_loss[0] > history.train_loss[-1]
        (20, True)
    """
    _checks.at_least(epochs, 1, "epochs")
    _check_criterion(criterion)
    _check_optimizer(optimizer, model)
    finished: list[tuple[float, ...]] = []
    batches = len(train) if hasattr(train, "__len__") else 0
    disable = None if progress is None else not progress
    try:
        with tqdm(total=batches * epochs or None, unit="batch", disable=disable) as bar:
            for epoch in range(1, epochs + 1):
                model.train()
                means = _Means()
                for batch, (input, target) in enumerate(_batches("train", train, model), 1):
                    output = model(input)
                    loss = criterion(output, target)
                    value = _scalar(loss)
                    if not math.isfinite(value):
                        raise TrainingError(
                            f"the loss is {value} in batch {batch} of epoch {epoch}. Look at its "
                            "input, its target and the learning rate.",
                            epoch=epoch,
                            batch=batch,
                        )
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    means.add(value, decide, output, target)
                    bar.update()
                row = means.result()
                if validation is not None:
                    row += _measure("validation", model, criterion, validation, decide)
                finished.append(row)
                bar.set_postfix(epoch=f"{epoch}/{epochs}", loss=f"{row[0]:.4f}")
    except BaseException as error:
        error.history = _history(finished)
        if finished:
            error.add_note(
                f"{len(finished)} of {epochs} epochs were finished; this exception's .history "
                "holds what they measured (in a notebook: sys.last_value.history)."
            )
        raise
    model.eval()
    return _history(finished)


def evaluate(
    model: nn.Module,
    criterion: Criterion,
    loader: Iterable[tuple[Tensor, Tensor]],
    decide: Decide,
) -> tuple[float, float]:
    """Measure loss and accuracy without training.

    The outputs of all batches are kept and given to the criterion at once, so that the loss is its
    mean over all samples whatever it divides by: samples, summed class weights, or the targets that
    are not ignored.

    Args:
        model: maps an input batch to what ``criterion`` and ``decide`` take. It is left in
            evaluation mode.
        criterion: ``criterion(output, target)`` is the mean loss, a scalar.
        loader: gives (input, target) batches: a ``DataLoader``.
        decide: ``decide(output)`` gives labels of the shape of the target.

    Returns:
        The mean loss over all samples in the criterion's unit, and the share of right labels in
        [0, 1]; an ignored target counts as a label like any other.

    Raises:
        ValueError: the loader gives no batch or no pairs, the loss is not a scalar, it is a sum
            and no mean, or labels and target differ in shape.

    Example:
        >>> loader = [(torch.zeros(3, 2), torch.tensor([0, 0, 1]))]
        >>> evaluate(nn.Identity(), nn.CrossEntropyLoss(), loader, lambda z: z.argmax(dim=1))
        (0.6931471824645996, 0.6666666666666666)
    """
    _check_criterion(criterion)
    return _measure("loader", model, criterion, loader, decide)


def fit_many(
    build: Callable[[], nn.Module],
    criterion: Callable[..., Tensor],
    inputs: Tensor,
    target: Tensor,
    watch: Callable[[Callable[[Tensor], Tensor]], Tensor],
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    epochs: int,
    every: int = 1,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    batch_size: int = 128,
) -> Tensor:
    """Train R x S networks side by side: every learning rate with every seed.

    Each of them takes the very steps that it would take alone, by ``torch.optim.SGD``; together
    they need a fraction of the time. All networks of one seed begin alike and see the same
    batches, so that they can be compared in pairs.

    Args:
        build: makes one network, from torch's global generator, which is seeded for it.
        criterion: ``criterion(logits, target, reduction="none")`` with logits of shape
            (R, K, S, B), the classes second as torch's losses want them, and target (R, S, B).
        inputs: the training samples of each seed, shape (S, N, D).
        target: their labels, shape (S, N).
        watch: is given a function from inputs (S, M, D) to logits (R, S, M, K); what it returns
            is written down.
        rates: the R learning rates.
        seeds: the S seeds.
        epochs: how often to go through the samples.
        every: after how many epochs to watch.
        weight_decay: as in ``torch.optim.SGD``.
        momentum: as in ``torch.optim.SGD``.
        batch_size: samples in a batch, the last of an epoch excepted.

    Returns:
        What ``watch`` returned, stacked: the first dimension counts ``epochs // every`` times.

    Example:
        >>> inputs = torch.linspace(-1, 1, 10).reshape(1, 10, 1).expand(2, 10, 1)
        >>> target = (inputs[..., 0] > 0).long()
        >>> history = fit_many(
        ...     lambda: nn.Linear(1, 2),
        ...     nn.functional.cross_entropy,
        ...     inputs,
        ...     target,
        ...     lambda logits: (logits(inputs).argmax(dim=3) == target).double().mean(dim=2),
        ...     rates=[0.01, 0.1, 1.0],
        ...     seeds=[0, 1],
        ...     epochs=20,
        ... )
        >>> history.shape, history[-1, -1]
        (torch.Size([20, 3, 2]), tensor([1., 1.], dtype=torch.float64))
    """
    models, generators = [], []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            models.append(build())
            generators.append(torch.Generator().set_state(torch.get_rng_state()))
    shape = (len(rates), len(seeds))
    start, _ = stack_module_state(models)
    parameters = {
        name: value.detach().repeat(len(rates), *[1] * (value.ndim - 1)).requires_grad_()
        for name, value in start.items()
    }
    velocities = [torch.zeros_like(value) for value in parameters.values()]
    steps = torch.tensor(rates, dtype=inputs.dtype).repeat_interleave(len(seeds))
    alone = vmap(lambda own, input: functional_call(models[0], own, (input,)))

    def logits(inputs: Tensor) -> Tensor:
        return alone(parameters, inputs.repeat(len(rates), 1, 1)).unflatten(0, shape)

    history = []
    rows = torch.arange(len(seeds)).unsqueeze(1)
    for epoch in range(1, epochs + 1):
        order = [torch.randperm(target.shape[1], generator=each) for each in generators]
        for batch in torch.stack(order).split(batch_size, dim=1):
            labels = target[rows, batch].expand(len(rates), -1, -1)
            found = criterion(logits(inputs[rows, batch]).movedim(3, 1), labels, reduction="none")
            slopes = torch.autograd.grad(found.mean(dim=2).sum(), list(parameters.values()))
            with torch.no_grad():
                for value, slope, velocity in zip(
                    parameters.values(), slopes, velocities, strict=True
                ):
                    velocity.mul_(momentum).add_(slope).add_(value, alpha=weight_decay)
                    value -= steps.view(-1, *[1] * (value.ndim - 1)) * velocity
        if epoch % every == 0:
            with torch.no_grad():
                history.append(watch(logits))
    return torch.stack(history)


def _measure(name: str, model: nn.Module, criterion, loader, decide) -> tuple[float, float]:
    model.eval()
    with torch.no_grad():
        pairs = [(model(input), target) for input, target in _batches(name, loader, model)]
        output, target = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        loss, right = _scalar(criterion(output, target)), _hits(decide, output, target)
    return loss, right / target.numel()


def _hits(decide: Decide, output: Tensor, target: Tensor) -> int:
    """Count the labels that are right."""
    with torch.no_grad():
        labels = decide(output)
    if labels.shape != target.shape:
        mend = "Broadcast, they would be compared with each other's."
        rule = f"return labels of the target's shape, {tuple(target.shape)}"
        raise ValueError(_checks.complaint("decide", rule, f"{tuple(labels.shape)}", mend))
    return (labels == target).sum().item()


class _Means:
    """The running means of loss and accuracy over samples."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._samples = 0
        self._right = 0
        self._labels = 0

    def add(self, loss: float, decide: Decide, output: Tensor, target: Tensor) -> None:
        """Count a batch in, its mean loss times its samples."""
        self._loss += loss * len(target)
        self._samples += len(target)
        self._right += _hits(decide, output, target)
        self._labels += target.numel()

    def result(self) -> tuple[float, float]:
        return self._loss / self._samples, self._right / self._labels


def _batches(name: str, loader, model: nn.Module):
    """Yield the pairs of ``loader`` on the device of the model, at least one."""
    device = next((parameter.device for parameter in model.parameters()), None)
    seen = False
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            parts = isinstance(batch, (tuple, list))
            got = f"{len(batch)} parts" if parts else _checks.describe(batch)
            raise ValueError(_checks.complaint(name, "give pairs (input, target)", got))
        input, target = batch
        seen = True
        yield input.to(device), target.to(device)
    if not seen:
        mend = (
            "An iterator gives its batches only once, and drop_last=True drops a batch that is "
            "not full."
        )
        rule = "give at least one batch in every epoch"
        raise ValueError(_checks.complaint(name, rule, "none", mend))


def _scalar(loss: Tensor) -> float:
    if loss.ndim:
        mend = 'reduction="mean" instead of "none" averages over the batch.'
        got = f"shape {tuple(loss.shape)}"
        raise ValueError(_checks.complaint("criterion", "return a scalar", got, mend))
    return loss.item()


def _check_criterion(criterion: Criterion) -> None:
    if getattr(criterion, "reduction", "mean") == "sum":
        got = 'reduction="sum", whose step and history would grow with the batch size'
        mend = 'reduction="mean" fixes it.'
        raise ValueError(_checks.complaint("criterion", "average over the batch", got, mend))


def _check_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if held.isdisjoint(id(p) for p in model.parameters()):
        mend = "Make it after the model, with model.parameters()."
        rule = "hold the parameters of model"
        raise ValueError(_checks.complaint("optimizer", rule, "none of them", mend))


def _history(rows: list[tuple[float, ...]]) -> History:
    return History(*zip(*rows, strict=True))
