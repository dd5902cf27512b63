"""Train one classifier on several processes, the wrong way and the right way.

    torchrun --nproc-per-node 2 -m companion.distributed

``DistributedDataParallel`` averages the *gradients* of the ranks. If every rank takes the mean of
its own samples, that is the gradient of a mean of means, which is not the mean as soon as ranks
hold unequal counts. Here rank r holds r + 1 parts of the data. The right way divides each rank's
sum by the count of all ranks, times the number of ranks, which the averaging takes away again.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel

from companion import data, heads


def mean_of_means(total: Tensor, count: Tensor) -> Tensor:
    """Return the mean over this rank's samples, as a script for one process would."""
    return total / count


def global_mean(total: Tensor, count: Tensor) -> Tensor:
    """Return this rank's part of the mean over all ranks, scaled for DDP's averaging."""
    everywhere = count.clone()
    dist.all_reduce(everywhere)
    return total * dist.get_world_size() / everywhere


def train(model: nn.Module, inputs: Tensor, target: Tensor, normalise, steps: int = 50) -> Tensor:
    """Take plain gradient steps and return the trained parameters as one vector."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(steps):
        total = binary_cross_entropy_with_logits(model(inputs), target, reduction="sum")
        optimizer.zero_grad()
        normalise(total, torch.tensor(float(len(target)))).backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def head() -> heads.LogitHead:
    """Make a head that starts the same on every rank."""
    torch.manual_seed(0)
    return heads.LogitHead(30)


def main() -> None:
    """Train alone and both ways together; print how far each ends from training alone."""
    torch.set_default_dtype(torch.float64)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    inputs, target = data.breast_cancer()
    inputs, target = (inputs - inputs.mean(dim=0)) / inputs.std(dim=0), target.double()
    alone = train(head(), inputs, target, mean_of_means)
    parts = torch.arange(len(target)) * (world * (world + 1) // 2) // len(target)
    mine = (parts >= rank * (rank + 1) // 2) & (parts < (rank + 1) * (rank + 2) // 2)
    for normalise in (mean_of_means, global_mean):
        together = DistributedDataParallel(head())
        distance = (train(together, inputs[mine], target[mine], normalise) - alone).norm()
        if rank == 0:
            print(f"{normalise.__name__}: {distance:.4f} from training alone", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
