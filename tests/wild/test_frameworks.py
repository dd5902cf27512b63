"""`watch` around the trainings of Lightning, Hugging Face and skorch: it sees the loss inside."""

import lightning
import numpy as np
import pytest
import skorch
import torch
import torch.nn.functional as F
import transformers
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import companion

X, Y = torch.randn(64, 6), torch.arange(64) % 3


class Lit(lightning.LightningModule):
    def __init__(self, squash: bool):
        super().__init__()
        self.net, self.squash = nn.Linear(6, 3), squash

    def step(self, batch):
        scores = self.net(batch[0])
        return F.cross_entropy(scores.softmax(1) if self.squash else scores, batch[1])

    def training_step(self, batch, index):
        return self.step(batch)

    def validation_step(self, batch, index):
        self.log("loss", self.step(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def train_lightning(squash: bool, folder) -> None:
    batches = DataLoader(TensorDataset(X, Y), batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu", default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(Lit(squash), batches, batches)


class Net(nn.Module):
    def __init__(self, squash: bool):
        super().__init__()
        self.net, self.squash = nn.Linear(6, 3), squash

    def forward(self, x, labels=None):
        scores = self.net(x)
        scores = scores.softmax(1) if self.squash else scores
        if labels is None:
            return scores
        return {"loss": F.cross_entropy(scores, labels), "logits": scores}


def train_transformers(squash: bool, folder) -> None:
    options = transformers.TrainingArguments(
        str(folder), max_steps=3, report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no"
    )
    data = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]
    transformers.Trainer(Net(squash), options, train_dataset=data).train()


def train_skorch(squash: bool, folder) -> None:
    net = skorch.NeuralNetClassifier(
        Net, module__squash=squash, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0
    )
    net.fit(X.numpy(), Y.numpy().astype(np.int64))


TRAININGS = {
    "lightning": train_lightning,
    "transformers": train_transformers,
    "skorch": train_skorch,
}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_right_training_is_left_alone(name, tmp_path, capsys):
    with companion.watch() as seen:
        TRAININGS[name](False, tmp_path)
    assert seen.reports
    assert all(report.ok for report in seen.reports.values()), seen.reports
    assert "certain" not in capsys.readouterr().out


@pytest.mark.parametrize("name", TRAININGS)
def test_a_double_softmax_is_told_once_and_can_raise(name, tmp_path, capsys):
    with companion.watch():
        TRAININGS[name](True, tmp_path)
    assert capsys.readouterr().out.count("DOUBLE_ACTIVATION") == 1
    with pytest.raises(companion.WiringError), companion.watch(raise_on="certain"):
        TRAININGS[name](True, tmp_path)
