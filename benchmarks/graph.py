"""Graph attention beside PyTorch Geometric: `python -m benchmarks.graph`.

Graphs with the sizes of Cora, PubMed and of a large one with hubs are drawn at random: time depends
on sizes and degrees, not on what the nodes mean.
"""

import time
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.graph import GAT, GATConv, GATv2Conv
from benchmarks.measure import compare, peak_memory, save, slope

with warnings.catch_warnings():  # it is made with what torch calls deprecated
    warnings.simplefilter("ignore")
    from torch_geometric import nn as pyg

# nodes, undirected edges, words, share of words in a page, classes
CITATIONS = {
    "Cora": (2_708, 5_278, 1_433, 0.0127, 7),
    "Citeseer": (3_327, 4_552, 3_703, 0.0085, 6),
    "PubMed": (19_717, 44_324, 500, 0.1002, 3),
}
TARGETS = {"Cora": 0.12, "Citeseer": 0.12, "PubMed": 0.22}
LAYERS = {"GATConv": (GATConv, pyg.GATConv), "GATv2Conv": (GATv2Conv, pyg.GATv2Conv)}
LARGE = (200_000, 2_000_000)


class PyGModel(nn.Module):
    """The model of the paper as PyTorch Geometric's examples write it."""

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.first = pyg.GATConv(words, 8, heads=8, dropout=0.6)
        self.second = pyg.GATConv(64, classes, heads=1, concat=False, dropout=0.6)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        if x.layout == torch.sparse_csr:
            values = F.dropout(x.values(), 0.6, self.training)
            parts = x.crow_indices(), x.col_indices(), values
            x = torch.sparse_csr_tensor(*parts, x.shape, check_invariants=False)
        else:
            x = F.dropout(x, 0.6, self.training)
        x = F.elu(self.first(x, edge_index))
        return self.second(F.dropout(x, 0.6, self.training), edge_index)


def random_graph(num_nodes: int, num_pairs: int) -> Tensor:
    """Both directions of so many edges between nodes that are popular by a power law."""
    generator = torch.Generator().manual_seed(0)
    ends = ((torch.arange(num_nodes) + 10.0) ** -0.6).cumsum(0)
    draws = torch.rand(2, num_pairs, generator=generator) * ends[-1]
    pairs = torch.searchsorted(ends, draws).clamp(max=num_nodes - 1)
    pairs = torch.randperm(num_nodes, generator=generator)[pairs]
    return torch.cat([pairs, pairs.flip(0)], 1)


def epoch(name: str, candidate: str) -> Callable:
    """A training step of the two-layer model on all nodes, as a call."""
    num_nodes, num_pairs, words, share, classes = CITATIONS[name]
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(num_nodes, words, generator=generator) < share).float()
    x = x / x.sum(1, keepdim=True).clamp(min=1)
    label = torch.randint(classes, (num_nodes,), generator=generator)
    train = torch.randperm(num_nodes, generator=generator)[:140]
    edge_index = random_graph(num_nodes, num_pairs)
    if candidate == "attnlib":
        model = GAT(words, 64, 2, classes, heads=8, dropout=0.6, output_heads=1)
    else:
        model = PyGModel(words, classes)
    if candidate != "PyG":
        with warnings.catch_warnings():  # torch says once that sparse matrices are new
            warnings.simplefilter("ignore")
            x = x.to_sparse_csr()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x, edge_index)[train], label[train]).backward()
        optimizer.step()

    return step


def layer(name: str, candidate: str, num_nodes: int, num_pairs: int) -> Callable:
    """Forward and backward pass of one layer of 4 heads of 32 channels, as a call."""
    module = LAYERS[name][candidate == "PyG"](64, 32, heads=4)
    x = torch.randn(num_nodes, 64, generator=torch.Generator().manual_seed(1))
    edge_index = random_graph(num_nodes, num_pairs)

    def step() -> None:
        module(x, edge_index).square().mean().backward()

    if candidate == "attnlib":
        step()  # sorts the graph
    return step


def main() -> None:
    """Measure, print and keep all rows."""
    rows, growth = [], {}
    for name, target in TARGETS.items():
        work = f"training epoch, 2-layer GAT, size of {name}"
        calls = {c: epoch(name, c) for c in ("attnlib", "PyG")}
        row = compare(work, calls, "PyG")
        peak = {c: peak_memory(epoch, name, c) for c in calls}
        row.memory = {"attnlib": peak["attnlib"] / peak["PyG"]}
        row.target, row.memory_target = {"attnlib": target}, {"attnlib": 0.3}
        rows.append(row)
        fair = "PyG, sparse features"
        calls = {"attnlib": calls["attnlib"], fair: epoch(name, fair)}
        row = compare(work, calls, fair)
        row.target = {"attnlib": 0.45}
        rows.append(row)
    for name in LAYERS:
        work = f"{name}, 200k nodes, 4M edges, 4 x 32, forward and backward"
        row = compare(
            work, {c: layer(name, c, *LARGE) for c in ("attnlib", "PyG")}, "PyG", rounds=5
        )
        peak = {c: peak_memory(layer, name, c, *LARGE) for c in ("attnlib", "PyG")}
        row.memory = {"attnlib": peak["attnlib"] / peak["PyG"]}
        row.target, row.memory_target = {"attnlib": 0.13}, {"attnlib": 0.08}
        rows.append(row)
        sizes, seconds = [100_000, 200_000, 400_000, 800_000], []
        for num_pairs in sizes:
            step, runs = layer(name, "attnlib", num_pairs // 10, num_pairs), []
            for _ in range(5):
                start = time.perf_counter()
                step()
                runs.append(time.perf_counter() - start)
            seconds.append(min(runs))
        growth[f"attnlib {name}, edges"] = slope(sizes, seconds)
    save("graph", rows, growth)


if __name__ == "__main__":
    main()
