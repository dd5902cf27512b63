"""Mistakes that people made and others found, each with its source: they must be told.

Each is (codes that may name it, source on github.com, wiring). The wirings are rewritten from what
the thread describes, as small as they can be; nothing of the repositories is copied.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from rights import labels, logits, marks
from torch import Tensor, nn

CE, BCE, LOGITS, NLL = nn.CrossEntropyLoss(), nn.BCELoss(), nn.BCEWithLogitsLoss(), nn.NLLLoss()
ACTIVATION = "DOUBLE_ACTIVATION"


def maps(k: int, size: int = 8) -> Tensor:
    return nn.Conv2d(3, k, 1)(2 * torch.randn(4, 3, size, size))


def sequence(k: int, steps: int = 9) -> Tensor:
    return nn.Linear(6, k)(2 * torch.randn(4, steps, 6))


def soft_dice(p: Tensor, t: Tensor) -> Tensor:
    both = (p * t).flatten(1).sum(1)
    return 1 - ((2 * both + 1) / (p.flatten(1).sum(1) + t.flatten(1).sum(1) + 1)).mean()


def focal_of_mean(o: Tensor, t: Tensor) -> Tensor:
    loss = F.cross_entropy(o, t)
    return (1 - torch.exp(-loss)) ** 2 * loss


def focal_of_value(o: Tensor, t: Tensor) -> Tensor:
    values = F.cross_entropy(o, t)
    return ((1 - torch.exp(-values)) ** 1.5 * values).mean()


def focal_squashed(o: Tensor, t: Tensor) -> Tensor:
    p = o.sigmoid()
    loss = F.binary_cross_entropy_with_logits(p, t, reduction="none")
    return ((1 - (p * t + (1 - p) * (1 - t))) ** 2 * loss).mean()


def with_argmax_term(o: Tensor, t: Tensor) -> Tensor:
    wrong = (o.argmax(1) != t).float().mean()
    return F.cross_entropy(o, t) + wrong


def gradient_image(o: Tensor, t: Tensor) -> Tensor:
    return (o.argmax(1).float() - t.float()).abs().mean()


def padded(n: int, steps: int, k: int) -> Tensor:
    target = torch.randint(1, k, (n, steps))
    for row, length in enumerate(torch.linspace(3, steps, n).long()):
        target[row, length:] = 0
    return target


def flat(o: Tensor) -> Tensor:
    return o.flatten(0, 1)


def soft_target(n: int, k: int) -> Tensor:
    return torch.randn(n, k).softmax(1)


MISTAKES = [
    # softmax before cross-entropy
    (ACTIVATION, "mlelarge/graph_neural_net/pull/37", lambda: (CE, logits().softmax(-1), labels(32, k=4))),
    (ACTIVATION, "bowang-lab/Transformer-GCN-QA/pull/32", lambda: (CE, logits(32, 9).softmax(1), labels(32, k=9))),
    (ACTIVATION, "nishnik/Deep-Semantic-Similarity-Model-PyTorch/issues/2", lambda: (CE, (nn.Linear(4, 4)(logits())).softmax(1), labels(32, k=4))),
    (ACTIVATION, "bkitano/llama-from-scratch/issues/5", lambda: (lambda o, t: F.cross_entropy(o.view(-1, 7), t.view(-1)), sequence(7).softmax(-1), labels(4, 9, k=7))),
    (ACTIVATION, "Yard1/ray-skorch/pull/18", lambda: (CE, logits(32, 2).softmax(-1), labels(32, k=2))),
    (ACTIVATION, "NVIDIA/DeepLearningExamples/issues/468", lambda: (lambda o, t: F.cross_entropy(o, t) + soft_dice(o.softmax(1)[:, 1], (t == 1).float()), maps(2).softmax(1), labels(4, 8, 8, k=2))),
    (ACTIVATION, "MicrosoftDocs/ml-basics/issues/48", lambda: (CE, nn.Softmax(1)(F.relu(logits(32, 3)) @ torch.randn(3, 3)), labels(32, k=3))),
    (ACTIVATION, "runame/laplace-redux/pull/1", lambda: (lambda o, t: F.nll_loss(o.softmax(1).log(), t), logits().softmax(1), labels(32, k=4))),
    (ACTIVATION, "danielkelshaw/ConcreteDropout/pull/12", lambda: (CE, F.softmax(logits(32, 10), dim=1), labels(32, k=10))),
    (ACTIVATION, "giotto-ai/giotto-deep/issues/34", lambda: (CE, logits(32, 5).sigmoid(), labels(32, k=5))),
    # sigmoid before a loss with logits
    (ACTIVATION, "itakurah/focal-loss-pytorch/pull/5", lambda: (focal_squashed, logits(32, 1), marks(32, 1))),
    (ACTIVATION, "avBuffer/UNet3plus_pth/issues/23", lambda: (LOGITS, maps(1).sigmoid(), marks(4, 1, 8, 8))),
    (ACTIVATION, "NVIDIA-Merlin/models/pull/1175", lambda: (LOGITS, nn.Sigmoid()(logits(32, 1)), marks(32, 1))),
    (ACTIVATION, "argusswift/YOLOv4-pytorch/issues/89", lambda: (nn.BCEWithLogitsLoss(reduction="none"), maps(6).sigmoid(), marks(4, 6, 8, 8))),
    (ACTIVATION, "yudi-mars/daisyRec/pull/15", lambda: (nn.BCEWithLogitsLoss(reduction="sum"), (logits(32, 8) * torch.randn(32, 8)).sum(1).sigmoid(), marks(32))),
    (ACTIVATION, "aidotse/LeakPro/issues/229", lambda: (LOGITS, logits(32, 1).sigmoid().squeeze(1), marks(32))),
    (ACTIVATION, "Turoad/lanedet/issues/32", lambda: (LOGITS, logits(32, 6).sigmoid(), marks(32, 6))),
    (ACTIVATION, "GeoZcx/A-deeply-supervised-image-fusion-network-for-change-detection-in-remote-sensing-images/issues/1", lambda: (lambda o, t: F.binary_cross_entropy(o.sigmoid(), t), maps(1).sigmoid(), marks(4, 1, 8, 8))),
    (ACTIVATION, "Hsuxu/Loss_ToolBox-PyTorch/issues/11", lambda: (lambda o, t: soft_dice(o.sigmoid(), t), maps(3).softmax(1), F.one_hot(labels(4, 8, 8, k=3), 3).movedim(-1, 1).float())),
    # no log-probabilities
    ("NOT_LOG_PROBS", "AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9", lambda: (NLL, logits().softmax(1), labels(32, k=4))),
    ("NOT_LOG_PROBS", "clvrai/ACGAN-PyTorch/pull/4", lambda: (NLL, nn.Softmax(dim=-1)(logits(32, 10)), labels(32, k=10))),
    ("NOT_LOG_PROBS", "yanx27/Pointnet_Pointnet2_pytorch/issues/30", lambda: (F.nll_loss, logits(), labels(32, k=4))),
    ("NOT_LOG_PROBS", "pandeykartikey/Hierarchical-Attention-Network/issues/3", lambda: (NLL, F.softmax(logits(32, 5), 1), labels(32, k=5))),
    ("NOT_LOG_PROBS", "microsoft/ProDA/issues/43", lambda: (lambda o, t: F.kl_div(o.softmax(1), t, reduction="none").mean(), logits(), soft_target(32, 4))),
    ("NOT_LOG_PROBS", "microsoft/ProDA/issues/20", lambda: (lambda o, t: F.cross_entropy(o, t.argmax(1)) + F.kl_div(o.softmax(1), t, reduction="none").sum(1).mean(), logits(), soft_target(32, 4))),
    ("NOT_LOG_PROBS", "AberHu/Knowledge-Distillation-Zoo/issues/12", lambda: (lambda o, t: 16 * F.kl_div(F.softmax(o / 4, 1), F.softmax(t / 4, 1), reduction="batchmean"), logits(), torch.randn(32, 4))),
    # averaged before the factor
    ("CUSTOM_LOSS", "ZhaoJ9014/face.evoLVe/issues/180", lambda: (focal_of_mean, logits(), labels(32, k=4))),
    ("CUSTOM_LOSS", "kaidic/LDAM-DRW/issues/6", lambda: (focal_of_value, logits(32, 10), labels(32, k=10))),
    # each with each
    ("SHAPE", "pytorch/pytorch/issues/1939", lambda: (LOGITS, logits(64, 1), marks(64))),
    ("BROADCAST", "pytorch/pytorch/issues/19699", lambda: (nn.MSELoss(), logits(32, 1), torch.randn(32))),
    ("BROADCAST", "pytorch/pytorch/issues/2973", lambda: (lambda o, t: F.softplus(-o * (2 * t - 1)).mean(), logits(10, 1), marks(10))),
    ("BROADCAST", "pytorch/pytorch/issues/16045", lambda: (F.mse_loss, nn.Linear(2, 1)(torch.randn(32, 2)), torch.randn(32))),
    ("BROADCAST", "pytorch/pytorch/issues/105739", lambda: (lambda o, t: ((o - t) ** 2).mean(), logits(10, 1), torch.rand(10))),
    ("BROADCAST", "pytorch/pytorch/issues/19991", lambda: (nn.L1Loss(), logits(32, 1), torch.randn(32))),
    ("BROADCAST", "deepset-ai/FARM/issues/229", lambda: (nn.MSELoss(), logits(32, 1).squeeze(1), torch.randn(32, 1))),
    ("SHAPE", "yuji-roh/fairbatch/pull/2", lambda: (BCE, logits(32, 1).sigmoid(), marks(32))),
    ("BROADCAST", "jiwei0921/CoNet/issues/3", lambda: (F.smooth_l1_loss, maps(1), torch.rand(4, 8, 8))),
    ("BROADCAST", "weka511/hpa-scc/issues/38", lambda: (nn.MSELoss(), logits(1, 18), torch.rand(8, 18))),
    # scores where probabilities belong, or the score for the loss
    ("LOGITS_FOR_PROBS", "jakeret/tf_unet/issues/15", lambda: (soft_dice, maps(2), F.one_hot(labels(4, 8, 8, k=2), 2).movedim(-1, 1).float())),
    ("LOGITS_FOR_PROBS CUSTOM_LOSS", "ScrollPrize/villa/pull/1644", lambda: (lambda o, t: -(2 * (o * t).sum() + 1) / (o.sum() + t.sum() + 1).clamp(min=1e-8), maps(1), marks(4, 1, 8, 8))),
    ("CUSTOM_LOSS", "akirasosa/mobile-semantic-segmentation/issues/24", lambda: (lambda o, t: 1 - soft_dice(o.sigmoid(), t), maps(1), marks(4, 1, 8, 8))),
    # padding and labels that are none
    ("IGNORE_INDEX", "lucidrains/DALLE-pytorch/issues/57", lambda: (CE, sequence(9, 12).transpose(1, 2), padded(4, 12, 9))),
    ("IGNORE_INDEX", "lukas-blecher/LaTeX-OCR/issues/305", lambda: (lambda o, t: F.cross_entropy(o.transpose(1, 2), t), nn.Linear(6, 20)(torch.randn(8, 14, 6)), padded(8, 14, 20))),
    ("TARGET_RANGE IGNORE_INDEX", "pytorch/pytorch/issues/12670", lambda: (nn.CrossEntropyLoss(ignore_index=-1), logits(3, 5), torch.tensor([1, 3, -4]))),
    ("IGNORE_INDEX", "buxiangzhiren/DDCap/issues/19", lambda: (CE, logits(32, 5), labels(32, k=5).masked_fill(torch.arange(32) % 5 == 4, -1))),
    # the dimension of a softmax
    ("WRONG_DIM", "perone/euclidesdb/issues/2", lambda: (BCE, logits().softmax(0), F.one_hot(labels(32, k=4), 4).float())),
    ("WRONG_DIM", "MicrosoftDocs/pytorchfundamentals/pull/21", lambda: (NLL, nn.LogSoftmax(dim=0)(logits()), labels(32, k=4))),
    ("WRONG_DIM", "falloutdurham/beginners-pytorch-deep-learning/pull/36", lambda: (lambda o, t: F.nll_loss(o.softmax(0).log(), t), logits(32, 2), labels(32, k=2))),
    ("WRONG_DIM", "Lackel/DPN/issues/1", lambda: (lambda o, t: -(t * F.log_softmax(o, dim=0)).sum(1).mean(), logits(), F.one_hot(labels(32, k=4), 4).float())),
    # confined logits
    ("BOUNDED_LOGITS", "pytorch/tutorials/issues/1526", lambda: (CE, F.relu(logits(32, 10)), labels(32, k=10))),
    ("BOUNDED_LOGITS", "huyng/tensorflow-vgg/issues/13", lambda: (nn.CrossEntropyLoss(label_smoothing=0.1), nn.ReLU()(logits()), labels(32, k=4))),
    ("BOUNDED_LOGITS", "fastai/fastai/pull/965", lambda: (NLL, F.relu(logits()).log_softmax(-1), labels(32, k=4))),
    # another task's loss
    ("OBJECTIVE", "sungho-CoolG/FSCL/issues/2", lambda: (CE, logits(32, 5), marks(32, 5))),
    ("OBJECTIVE", "agemagician/Ankh/pull/29", lambda: (lambda o, t: F.cross_entropy(o, t), logits(32, 8), marks(32, 8))),
    ("TARGET_DTYPE OBJECTIVE SHAPE", "wenliangdai/Modality-Transferable-MER/issues/3", lambda: (CE, logits(32, 6), marks(32, 6).long())),
    # no gradient
    ("NO_GRADIENT", "Ugenteraan/Deep_Hierarchical_Classification/issues/6", lambda: (with_argmax_term, logits(), labels(32, k=4))),
    ("NO_GRADIENT", "wonbeomjang/mobile-hair-segmentation-pytorch/issues/3", lambda: (gradient_image, maps(2), labels(4, 8, 8, k=2))),
    ("NO_GRADIENT", "LZGMatrix/BOP19_CDPN_2019ICCV/issues/4", lambda: (nn.L1Loss(), logits(32, 9).argmax(1).float() / 4 - 1, torch.rand(32))),
    ("NO_GRADIENT", "pytorch/pytorch/issues/1339", lambda: (lambda o, t: (torch.max(o, 1)[1].float() - t).pow(2).mean(), logits(), labels(32, k=4))),
    # decisions: with predict
    ("DECISION_RULE", "dr-costas/dnd-sed/issues/1", lambda: (LOGITS, logits(32, 6), marks(32, 6), lambda o: (o > 0.5).float())),
    ("DECISION_RULE", "CompVis/adaptive-style-transfer/issues/4", lambda: (LOGITS, logits(32, 1), marks(32, 1), lambda o: (o > torch.ones_like(o) * 0.5).float())),
    ("DECISION_RULE", "facebookresearch/detectron2/pull/4913", lambda: (LOGITS, maps(1), marks(4, 1, 8, 8), lambda o: o > 0.5)),
    ("DECISION_RULE", "ilivans/tf-rnn-attention/issues/3", lambda: (LOGITS, logits(32, 1), marks(32, 1), torch.round)),
    ("DECISION_RULE", "tensorflow/models/issues/3269", lambda: (LOGITS, logits(32, 1).squeeze(1), marks(32), lambda o: (o >= 0.5).long())),
    # moved and reshaped
    ("CLASS_DIM WRONG_DIM", "weirme/FCSN/issues/32", lambda: (lambda o, t: F.nll_loss(o.log_softmax(1).reshape(-1, 2), t.reshape(-1)), sequence(2, 10).transpose(1, 2), labels(4, 10, k=2))),
    ("CLASS_DIM", "liuxuexun/RandLA-Net-Pytorch-New/issues/20", lambda: (CE, sequence(5, 9).reshape(4, 5, 9), labels(4, 9, k=5))),
    ("CLASS_DIM", "yihong-97/Source-free-IAPC/pull/6", lambda: (CE, sequence(5, 12).view(4, 5, 3, 4), labels(4, 3, 4, k=5))),
    ("CLASS_DIM CUSTOM_LOSS", "hieuvmphan/REMINDER/issues/6", lambda: (lambda o, t: F.cross_entropy(o.transpose(1, 3).reshape(-1, 5), t.reshape(-1)), maps(5), labels(4, 8, 8, k=5))),
]  # fmt: skip
