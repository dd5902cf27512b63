"""Where to look up what the messages name: sections of the book, and pages of torch's manual."""

import re
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import quote

TORCH = "https://docs.pytorch.org/docs/stable/"
SECTIONS = {  # the words that are found after "look up": the first that fit count
    "`dim`": "01_logits_and_probabilities#Break it: the wrong dimension",
    "in-place": TORCH + "notes/autograd.html",
    "graph": TORCH + "notes/autograd.html",
    "nonzero|joined|stack|slice|index tensors|which dimension": TORCH + "torch.html",
    "squeeze|keepdim": TORCH + "generated/torch.squeeze.html",
    "drop_last": TORCH + "data.html",
    "zero_division": "08_multi_label#How to count the hits",
    "broadcasting": "06_decisions#An accuracy of 200 %",
    "half to even": "06_decisions#The tie",
    "with logits|why the form": "02_binary_heads#Why the sigmoid is better outside",
    "NLLLoss": "04_cross_entropy#`CrossEntropyLoss` = `NLLLoss` after `LogSoftmax`",
    "log_softmax|log-sum-exp|subtracted": "04_cross_entropy#Break it: a logit of 1000",
    "expect logits": "04_cross_entropy#Break it: a softmax before the loss",
    "weighted mean": "04_cross_entropy#Who counts how much: `weight` and `ignore_index`",
    "mixture": "04_cross_entropy#Label smoothing",
    "entropy differ": "04_cross_entropy#Cross-entropy and KL divergence",
    "reduction|nats|likelihood|uniform|logarithm": "04_cross_entropy#Four steps, one line each",
    "dtype|class probabilities": "05_bce_or_ce#What each loss accepts",
    "log-sigmoid|softplus": "03_binary_cross_entropy#The stable formula, step by step",
    "pos_weight": "08_multi_label#`pos_weight`: the rare label",
    "leakage": "07_training#A script that does not work",
    "what A stands for": "09_noisy_labels#What is A?",
    "autocast": "10_nan#The ways to NaN",
    "Bernoulli|logistic": "01_logits_and_probabilities#Sigmoid models one coin",
    "shift invariance": "01_logits_and_probabilities#One output is spare",
    "shift": "01_logits_and_probabilities#Break it: a score of 1000",
    "softmax": "01_logits_and_probabilities#Softmax models one die",
    "odds|the one into": "01_logits_and_probabilities#A logit is a log-odds",
}


def _site() -> str:
    """The address of the book's site, if the companion was fetched from a repository."""
    try:
        origin = distribution("logits-to-losses").read_text("direct_url.json") or ""
    except PackageNotFoundError:
        origin = ""
    found = re.search(r"https://github\.com/([\w-]+)/([\w.-]+)/archive/", origin)
    return f"https://{found[1].lower()}.github.io/{found[2]}/notebooks/" if found else ""


def address(words: str) -> str:
    """Where to look something up: in Colab on the site, beside the chapters in their notebooks."""
    page = next((page for key, page in SECTIONS.items() if re.search(key, words)), "")
    name, _, heading = page.partition("#")
    if page.startswith("https:") or not page:
        return page
    if site := _site():
        slug = re.sub(r"[^\w\s-]", "", heading.lower()).strip()
        return f"{site}{name}.html#{re.sub(r'[ _]+', '-', slug)}"
    return f"{name}.ipynb#{quote(heading.replace('`', '').replace(' ', '-'))}"
