"""Right wirings of public libraries, as their documentation has them: none may be accused.

Each is (criterion, output, target), or a function that trains one step of a model which computes
its loss inside; that one is watched. Models are small and their weights random: nothing is loaded.
"""

from __future__ import annotations

import kornia.losses as kl
import lightly.loss as ll
import monai.losses as ml
import monai.networks.nets as mn
import open_clip.loss as ol
import pytorch_metric_learning.losses as pml
import segmentation_models_pytorch as smp
import timm
import timm.loss as tl
import torch
import torch.nn.functional as F
import torchvision
import transformers as hf
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

WIRINGS: dict[str, object] = {}
WATCHED: dict[str, object] = {}


def add(name: str, build) -> None:
    assert name not in WIRINGS, name
    WIRINGS[name] = build


def labels(*shape: int, k: int) -> Tensor:
    """Class indices in which each class occurs."""
    drawn = torch.randint(k, shape)
    drawn.view(-1)[:k] = torch.arange(k)
    return drawn


def marks(*shape: int) -> Tensor:
    drawn = torch.randint(2, shape).float()
    drawn.view(-1)[:2] = torch.tensor([0.0, 1.0])
    return drawn


# timm, its losses on its models
NETS = ("resnet10t", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224", "regnetx_002")


def net(name: str, k: int):
    more = {"img_size": 32} if name.startswith("vit") else {}
    return timm.create_model(name, num_classes=k, **more)(torch.randn(8, 3, 32, 32))


def mixed(n: int, k: int, smoothing: float = 0.1) -> Tensor:
    from timm.data.mixup import mixup_target

    return mixup_target(labels(n, k=k), k, lam=0.3, smoothing=smoothing)


for _net in NETS:
    add(f"timm {_net} cross-entropy", lambda n=_net: (nn.CrossEntropyLoss(), net(n, 5), labels(8, k=5)))
    add(f"timm {_net} smoothing", lambda n=_net: (tl.LabelSmoothingCrossEntropy(0.1), net(n, 5), labels(8, k=5)))
    add(f"timm {_net} soft target", lambda n=_net: (tl.SoftTargetCrossEntropy(), net(n, 5), mixed(8, 5)))
    add(f"timm {_net} bce", lambda n=_net: (tl.BinaryCrossEntropy(), net(n, 5), labels(8, k=5)))
    add(f"timm {_net} bce thresholded", lambda n=_net: (
        tl.BinaryCrossEntropy(target_threshold=0.2), net(n, 5), mixed(8, 5)))
    add(f"timm {_net} asymmetric", lambda n=_net: (tl.AsymmetricLossMultiLabel(), net(n, 5), marks(8, 5)))
    add(f"timm {_net} asymmetric single", lambda n=_net: (
        tl.AsymmetricLossSingleLabel(), net(n, 5), labels(8, k=5)))
add("timm jsd", lambda: (tl.JsdCrossEntropy(num_splits=2, smoothing=0), net("resnet10t", 5), labels(4, k=4).repeat(2)))

# segmentation-models-pytorch
SMP = {
    "dice": smp.losses.DiceLoss, "jaccard": smp.losses.JaccardLoss, "tversky": smp.losses.TverskyLoss,
    "focal": smp.losses.FocalLoss, "lovasz": smp.losses.LovaszLoss,
}


def unet(k: int, activation=None, size: int = 32):
    model = smp.Unet("resnet18", encoder_weights=None, classes=k, activation=activation)
    return model(torch.randn(2, 3, size, size))


for _name, _loss in SMP.items():
    add(f"smp {_name} binary", lambda c=_loss: (c(mode="binary"), unet(1), marks(2, 1, 32, 32)))
    add(f"smp {_name} multiclass", lambda c=_loss: (c(mode="multiclass"), unet(3), labels(2, 32, 32, k=3)))
    if _name != "lovasz":
        add(f"smp {_name} multilabel", lambda c=_loss: (c(mode="multilabel"), unet(3), marks(2, 3, 32, 32)))
for _name in ("dice", "jaccard", "tversky"):
    add(f"smp {_name} of sigmoid", lambda c=SMP[_name]: (
        c(mode="binary", from_logits=False), unet(1, "sigmoid"), marks(2, 1, 32, 32)))
add("smp soft bce", lambda: (smp.losses.SoftBCEWithLogitsLoss(), unet(1), marks(2, 1, 32, 32)))
add("smp soft bce smoothed", lambda: (smp.losses.SoftBCEWithLogitsLoss(smooth_factor=0.1), unet(3), marks(2, 3, 32, 32)))
add("smp soft ce", lambda: (smp.losses.SoftCrossEntropyLoss(smooth_factor=0.1), unet(3), labels(2, 32, 32, k=3)))
add("smp mcc", lambda: (smp.losses.MCCLoss(), unet(1, "sigmoid"), marks(2, 1, 32, 32)))
for _arch in ("Unet", "FPN", "PSPNet", "Linknet", "DeepLabV3Plus", "MAnet"):
    add(f"smp {_arch} ce", lambda a=_arch: (
        nn.CrossEntropyLoss(ignore_index=255),
        getattr(smp, a)("resnet18", encoder_weights=None, classes=4)(torch.randn(2, 3, 64, 64)),
        labels(2, 64, 64, k=4).masked_fill(torch.rand(2, 64, 64) < 0.1, 255)))
    add(f"smp {_arch} dice and bce", lambda a=_arch: (
        lambda o, t: smp.losses.DiceLoss("binary")(o, t) + F.binary_cross_entropy_with_logits(o, t),
        getattr(smp, a)("resnet18", encoder_weights=None, classes=1)(torch.randn(2, 3, 64, 64)),
        marks(2, 1, 64, 64)))


# MONAI
def monai_net(k: int):
    return mn.UNet(2, 1, k, channels=(4, 8), strides=(2,))(torch.randn(2, 1, 16, 16))


def organ(k: int) -> Tensor:
    return labels(2, 1, 16, 16, k=k)


MONAI_SOFTMAX = {"softmax": True, "to_onehot_y": True}
for _name, _loss in {
    "dice": ml.DiceLoss, "dice ce": ml.DiceCELoss, "dice focal": ml.DiceFocalLoss,
    "generalized": ml.GeneralizedDiceLoss, "generalized focal": ml.GeneralizedDiceFocalLoss,
    "tversky": ml.TverskyLoss,
}.items():
    add(f"monai {_name} softmax", lambda c=_loss: (c(**MONAI_SOFTMAX), monai_net(3), organ(3)))
    add(f"monai {_name} sigmoid", lambda c=_loss: (c(sigmoid=True), monai_net(1), marks(2, 1, 16, 16)))
    if _name != "dice ce":  # its cross-entropy takes one class for each place
        add(f"monai {_name} sigmoid channels", lambda c=_loss: (c(sigmoid=True), monai_net(3), marks(2, 3, 16, 16)))
add("monai focal", lambda: (ml.FocalLoss(), monai_net(3), marks(2, 3, 16, 16)))
add("monai focal softmax", lambda: (ml.FocalLoss(to_onehot_y=True, use_softmax=True), monai_net(3), organ(3)))
add("monai dice without background", lambda: (
    ml.DiceLoss(include_background=False, **MONAI_SOFTMAX), monai_net(3), organ(3)))
add("monai dice squared", lambda: (ml.DiceLoss(squared_pred=True, sigmoid=True), monai_net(1), marks(2, 1, 16, 16)))
add("monai dice batch", lambda: (ml.DiceLoss(batch=True, **MONAI_SOFTMAX), monai_net(3), organ(3)))
add("monai dice jaccard", lambda: (ml.DiceLoss(jaccard=True, sigmoid=True), monai_net(1), marks(2, 1, 16, 16)))
add("monai cldice", lambda: (lambda o, t: ml.SoftDiceclDiceLoss()(t, o), monai_net(2).softmax(1),
                             F.one_hot(organ(2)[:, 0], 2).movedim(-1, 1).float()))
add("monai masked dice", lambda: (
    lambda o, t: ml.MaskedDiceLoss(sigmoid=True)(o, t, mask=torch.ones_like(t)), monai_net(1), marks(2, 1, 16, 16)))
add("monai unified focal", lambda: (ml.AsymmetricUnifiedFocalLoss(to_onehot_y=True), monai_net(2).softmax(1), organ(2)))
add("monai contrastive", lambda: (ml.ContrastiveLoss(), nn.Linear(6, 8)(torch.randn(16, 6)), torch.randn(16, 8)))
add("monai tversky weighted", lambda: (ml.TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7), monai_net(1), marks(2, 1, 16, 16)))

# kornia
add("kornia focal", lambda: (lambda o, t: kl.focal_loss(o, t, alpha=0.5, gamma=2.0, reduction="mean"), unet(3), labels(2, 32, 32, k=3)))
add("kornia focal rows", lambda: (kl.FocalLoss(alpha=0.5, gamma=2.0, reduction="mean"), nn.Linear(6, 5)(torch.randn(32, 6)), labels(32, k=5)))
add("kornia binary focal", lambda: (
    kl.BinaryFocalLossWithLogits(alpha=0.25, gamma=2.0, reduction="mean"), unet(1), marks(2, 1, 32, 32)))
add("kornia dice", lambda: (kl.DiceLoss(), unet(3), labels(2, 32, 32, k=3)))
add("kornia dice macro", lambda: (kl.DiceLoss(average="macro"), unet(3), labels(2, 32, 32, k=3)))
add("kornia tversky", lambda: (kl.TverskyLoss(alpha=0.5, beta=0.5), unet(3), labels(2, 32, 32, k=3)))
add("kornia lovasz softmax", lambda: (kl.LovaszSoftmaxLoss(), unet(3), labels(2, 32, 32, k=3)))
add("kornia lovasz hinge", lambda: (kl.LovaszHingeLoss(), unet(1), marks(2, 32, 32)))

# pytorch-metric-learning: embeddings and labels, also two views of each sample
EMBED = ["ContrastiveLoss", "TripletMarginLoss", "NTXentLoss", "SupConLoss", "MultiSimilarityLoss", "CircleLoss", "AngularLoss", "FastAPLoss", "GeneralizedLiftedStructureLoss", "LiftedStructureLoss", "IntraPairVarianceLoss", "MarginLoss", "NCALoss", "NPairsLoss", "PNPLoss", "SignalToNoiseRatioContrastiveLoss", "TupletMarginLoss"]
CENTRES = ["ArcFaceLoss", "CosFaceLoss", "NormalizedSoftmaxLoss", "ProxyAnchorLoss", "ProxyNCALoss", "SoftTripleLoss", "SphereFaceLoss", "SubCenterArcFaceLoss", "LargeMarginSoftmaxLoss", "HistogramLoss", "DynamicSoftMarginLoss"]


def embedding(n: int = 24) -> Tensor:
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8))(torch.randn(n, 12))


for _name in EMBED:
    add(f"metric learning {_name}", lambda c=_name: (getattr(pml, c)(), embedding(), labels(24, k=6)))
    add(f"metric learning {_name} views", lambda c=_name: (getattr(pml, c)(), embedding(), torch.arange(8).repeat(3)))
for _name in CENTRES[:9]:
    add(f"metric learning {_name}", lambda c=_name: (
        getattr(pml, c)(num_classes=6, embedding_size=8), embedding(), labels(24, k=6)))

# lightly and open_clip: two views, or image and text
VIEWS = ["NTXentLoss", "DCLLoss", "DCLWLoss", "BarlowTwinsLoss", "VICRegLoss", "TiCoLoss", "NegativeCosineSimilarity"]
for _name in VIEWS:
    add(f"lightly {_name}", lambda c=_name: (getattr(ll, c)(), embedding(), embedding().detach()))
add("open_clip", lambda: (lambda o, t: ol.ClipLoss()(F.normalize(o, dim=-1), F.normalize(t, dim=-1), torch.tensor(14.0)),
                          embedding(), torch.randn(24, 8)))
add("siglip", lambda: (lambda o, t: ol.SigLipLoss()(F.normalize(o, dim=-1), F.normalize(t, dim=-1), torch.tensor(10.0), torch.tensor(-10.0)),
                       embedding(), torch.randn(24, 8)))

# torchvision
for _name in ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"):
    add(f"torchvision {_name}", lambda n=_name: (
        nn.CrossEntropyLoss(label_smoothing=0.1),
        getattr(torchvision.models, n)(num_classes=6)(torch.randn(8, 3, 64, 64)), labels(8, k=6)))
for _name in ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"):
    add(f"torchvision {_name}", lambda n=_name: (
        lambda o, t: F.cross_entropy(o["out"], t, ignore_index=255),
        getattr(torchvision.models.segmentation, n)(weights=None, weights_backbone=None, num_classes=4)(
            torch.randn(2, 3, 32, 32)), labels(2, 32, 32, k=4)))
add("torchvision focal", lambda: (lambda o, t: sigmoid_focal_loss(o, t, reduction="mean"), unet(3), marks(2, 3, 32, 32)))
add("torchvision focal sum", lambda: (
    lambda o, t: sigmoid_focal_loss(o, t, reduction="sum") / t.sum(), nn.Linear(6, 9)(torch.randn(40, 6)), marks(40, 9)))


# The tutorials of torch, and what papers' code does
def logits(n: int = 32, k: int = 4) -> Tensor:
    return nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, k))(2 * torch.randn(n, 9))


def distilled(o: Tensor, t: Tensor) -> Tensor:
    teacher = torch.linspace(-1, 1, o.numel()).reshape(o.shape)
    soft = F.kl_div(F.log_softmax(o / 4, 1), F.softmax(teacher / 4, 1), reduction="batchmean") * 16
    return 0.5 * soft + 0.5 * F.cross_entropy(o, t)


def train_mask(o: Tensor, t: Tensor) -> Tensor:
    mask = torch.arange(len(o)) % 3 == 0
    return F.nll_loss(o[mask], t[mask])


def policy_gradient(o: Tensor, t: Tensor) -> Tensor:
    advantage = torch.linspace(-1, 1, len(o))
    return -(torch.distributions.Categorical(logits=o).log_prob(t) * advantage).mean()


PAPERS = {
    "mnist": lambda: (F.nll_loss, F.log_softmax(logits(), 1), labels(32, k=4)),
    "ce weighted": lambda: (nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3, 4])), logits(), labels(32, k=4)),
    "next token": lambda: (lambda o, t: F.cross_entropy(o[:, :-1].reshape(-1, 7), t[:, 1:].reshape(-1)), nn.Linear(6, 7)(torch.randn(4, 9, 6)), labels(4, 9, k=7)),
    "tagger": lambda: (nn.CrossEntropyLoss(), nn.Linear(6, 7)(torch.randn(4, 9, 6)).transpose(1, 2), labels(4, 9, k=7)),
    "padded": lambda: (nn.CrossEntropyLoss(ignore_index=0), nn.Linear(6, 7)(torch.randn(36, 6)), labels(36, k=7)),
    "binary": lambda: (nn.BCEWithLogitsLoss(), logits(32, 1), marks(32, 1)),
    "binary squeezed": lambda: (nn.BCEWithLogitsLoss(), logits(32, 1).squeeze(1), marks(32)),
    "dcgan real": lambda: (nn.BCELoss(), logits(32, 1).sigmoid().view(-1), torch.ones(32)),
    "dcgan fake": lambda: (nn.BCELoss(), logits(32, 1).sigmoid().view(-1), torch.zeros(32)),
    "wgan critic": lambda: (lambda o, t: (t * o).mean(), logits(32, 1), torch.cat([torch.ones(16, 1), -torch.ones(16, 1)])),
    "wgan generator": lambda: (lambda o, t: -o.mean(), logits(32, 1).squeeze(1), torch.ones(32)),
    "wgan generator zeros": lambda: (lambda o, t: -o.mean(), logits(32, 1), torch.zeros(32, 1)),
    "lsgan real": lambda: (nn.MSELoss(), logits(32, 1), torch.ones(32, 1)),
    "lsgan fake": lambda: (nn.MSELoss(), logits(32, 1), torch.zeros(32, 1)),
    "hinge gan": lambda: (lambda o, t: F.relu(1 - t * o).mean(), logits(32, 1), torch.cat([torch.ones(16, 1), -torch.ones(16, 1)])),
    "distillation": lambda: (distilled, logits(), labels(32, k=4)),
    "graph network": lambda: (train_mask, logits().log_softmax(1), labels(32, k=4)),
    "policy gradient": lambda: (policy_gradient, logits(), labels(32, k=4)),
    "mixup": lambda: (lambda o, t: 0.3 * F.cross_entropy(o, t) + 0.7 * F.cross_entropy(o, t.flip(0)), logits(), labels(32, k=4)),
    "arcface head": lambda: (nn.CrossEntropyLoss(), 30 * F.linear(F.normalize(embedding()), F.normalize(nn.Linear(8, 5).weight)), labels(24, k=5)),
    "prototypes": lambda: (nn.CrossEntropyLoss(), -torch.cdist(embedding(), torch.randn(5, 8)) ** 2, labels(24, k=5)),
    "ctc": lambda: (lambda o, t: F.ctc_loss(o, t, torch.full((4,), 12), torch.full((4,), 5)), nn.Linear(6, 8)(torch.randn(12, 4, 6)).log_softmax(2), torch.randint(1, 8, (4, 5))),
    "vae": lambda: (lambda o, t: F.binary_cross_entropy(o, t, reduction="sum"), logits(16, 20).sigmoid(), torch.rand(16, 20)),
    "ordinal": lambda: (lambda o, t: F.binary_cross_entropy_with_logits(o, (t[:, None] > torch.arange(o.shape[1])).float()), logits(32, 3), labels(32, k=4)),
    "focal from detection": lambda: (lambda o, t: ((1 - torch.exp(-F.cross_entropy(o, t, reduction="none"))) ** 2 * F.cross_entropy(o, t, reduction="none")).mean(), logits(), labels(32, k=4)),
    "logit adjusted": lambda: (lambda o, t: F.cross_entropy(o + torch.tensor([0.4, 0.3, 0.2, 0.1]).log(), t), logits(), labels(32, k=4)),
    "temperature": lambda: (lambda o, t: F.cross_entropy(o / 0.07, t), F.normalize(embedding()) @ F.normalize(torch.randn(8, 5), dim=0), labels(24, k=5)),
    "poly-1": lambda: (lambda o, t: (F.cross_entropy(o, t, reduction="none") + 1 - o.softmax(1).gather(1, t[:, None])[:, 0]).mean(), logits(), labels(32, k=4)),
    "soft margin": lambda: (nn.MultiLabelSoftMarginLoss(), logits(32, 5), marks(32, 5)),
    "svm": lambda: (nn.MultiMarginLoss(), logits(), labels(32, k=4)),
    "evidential": lambda: (lambda o, t: ((F.one_hot(t, 4) - (F.relu(o) + 1) / (F.relu(o) + 1).sum(1, keepdim=True)) ** 2).sum(1).mean(), logits(), labels(32, k=4)),
    "confident logits": lambda: (nn.CrossEntropyLoss(), 50 * logits(), labels(32, k=4)),
    "zero head": lambda: (nn.CrossEntropyLoss(), 0 * logits(), labels(32, k=4)),
    "ensemble of logits": lambda: (nn.CrossEntropyLoss(), (logits() + logits() + logits()) / 3, labels(32, k=4)),
    "average pooled relu": lambda: (nn.CrossEntropyLoss(), F.relu(nn.Conv2d(3, 4, 1)(torch.randn(16, 3, 6, 6))).mean((2, 3)), labels(16, k=4)),
    "flattened in the criterion": lambda: (lambda o, t: F.cross_entropy(o.flatten(2), t.flatten(1)), nn.Conv2d(3, 5, 1)(torch.randn(2, 3, 8, 8)), labels(2, 8, 8, k=5)),
    "rows of another size": lambda: (lambda o, t: F.cross_entropy(o.flatten(1), t), nn.Conv2d(3, 1, 1)(torch.randn(6, 3, 8, 8)), labels(6, k=6)),
}  # fmt: skip
for _name, _build in PAPERS.items():
    add(f"paper {_name}", _build)


# transformers: the loss is computed in the model, so its step is watched
TEXT = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16, "max_position_embeddings": 40, "pad_token_id": 0}  # fmt: skip
IDS = {"input_ids": torch.randint(5, 50, (6, 12))}


def watched(name: str, model, target, **inputs):
    def step() -> None:
        config_model = model()
        config_model.train()
        out = config_model(**(inputs or IDS), labels=target() if callable(target) else target)
        out.loss.backward()

    WATCHED[name] = step


for _kind in ("Bert", "Roberta", "Electra", "ConvBert", "RemBert", "Ernie", "Camembert", "XLMRoberta", "Data2VecText"):
    _config = getattr(hf, f"{_kind}Config", None)
    if _config is None:
        continue

    def _small(config=_config, **more):
        return config(**{**TEXT, **more})

    for _head, _more, _target in (
        ("SequenceClassification", {"num_labels": 3}, lambda: labels(6, k=3)),
        ("SequenceClassification", {"num_labels": 3, "problem_type": "multi_label_classification"}, lambda: marks(6, 3)),
        ("TokenClassification", {"num_labels": 5}, lambda: labels(6, 12, k=5).masked_fill(torch.rand(6, 12) < 0.2, -100)),
        ("MaskedLM", {}, lambda: labels(6, 12, k=50).masked_fill(torch.rand(6, 12) < 0.8, -100)),
    ):
        _class = getattr(hf, f"{_kind}For{_head}", None)
        if _class is not None:
            watched(f"{_kind} {_head} {len(WATCHED)}", lambda c=_class, m=_more, s=_small: c(s(**m)), _target)
for _kind, _more in (
    ("GPT2", {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 50}),
    ("OPT", {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50, "ffn_dim": 16, "word_embed_proj_dim": 16}),
    ("Llama", {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50, "intermediate_size": 16}),
    ("Qwen2", {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 50, "intermediate_size": 16}),
):  # fmt: skip
    _class = getattr(hf, f"{_kind}LMHeadModel", None) or getattr(hf, f"{_kind}ForCausalLM")
    _config = getattr(hf, f"{_kind}Config")
    watched(f"{_kind} language model", lambda c=_class, k=_config, m=_more: c(k(**m)), IDS["input_ids"])
watched("ViT", lambda: hf.ViTForImageClassification(hf.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8, num_labels=4)), lambda: labels(6, k=4), pixel_values=torch.randn(6, 3, 16, 16))
watched("T5", lambda: hf.T5ForConditionalGeneration(hf.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)), IDS["input_ids"])
