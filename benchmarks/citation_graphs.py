"""GAT, GCN and MLP on citation graphs, ten seeds each: `python -m benchmarks.citation_graphs`.

The set-up is that of Velickovic et al. 2018, section 3.3, and of their code (early stopping). The
three models share width, dropout, optimizer and stopping, and differ in how papers hear from each
other. Names of sets behind the command run these alone, and leave the rest of the file as it is.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib.data import CitationGraph, citation_graph
from attnlib.graph import GAT, GATConv
from attnlib.graph._sparse import feature_dropout, linear
from attnlib.recording import even_weights, record_attention
from benchmarks.measure import RESULTS, Row, compare, machine, save

__all__ = [
    "GCN",
    "MLP",
    "MODELS",
    "SETTINGS",
    "Task",
    "accuracy",
    "build",
    "examine",
    "forward_with",
    "gcn_matrix",
    "load",
    "recorded",
    "relative_entropy",
    "row_normalised",
    "score",
    "shuffled",
    "train",
    "weight_on_class",
]

PATIENCE, MOST_EPOCHS = 100, 2_000


@dataclass(frozen=True)
class Settings:
    """What the paper changes from one set to the next.

    Args:
        output_heads: heads of the last layer, which are averaged.
        lr: learning rate of Adam.
        weight_decay: L2 penalty of Adam, on all parameters.
    """

    output_heads: int = 1
    lr: float = 0.005
    weight_decay: float = 0.0005


SETTINGS = {
    "citeseer": Settings(),
    "cora": Settings(),
    "pubmed": Settings(output_heads=8, lr=0.01, weight_decay=0.001),
}
MODELS = (
    "MLP",
    "GCN",
    "GAT, uniform weights",
    "GAT",
    "GAT, authors' dropout",
    "GAT, stopped by the loss",
)


# ---------------------------------------------------------------- features and graph


def row_normalised(features: Tensor) -> Tensor:
    """Divide each row of (N, F) by its sum; a row of zeros stays. Returns a sparse tensor."""
    return (features / features.sum(1, keepdim=True).clamp(min=1e-12)).to_sparse_coo()


def gcn_matrix(edge_index: Tensor, num_nodes: int) -> Tensor:
    """D^(-1/2) (A + I) D^(-1/2), sparse (N, N), of edges without loops, in both directions."""
    loops = torch.arange(num_nodes).expand(2, -1)
    source, target = torch.cat([edge_index, loops], 1)
    scale = torch.bincount(target, minlength=num_nodes) ** -0.5
    weights, places = scale[source] * scale[target], torch.stack([target, source])
    size = (num_nodes, num_nodes)
    return torch.sparse_coo_tensor(places, weights, size, check_invariants=True).coalesce()


@dataclass(frozen=True)
class Task:
    """A graph with its features as the models read them.

    Args:
        graph: from `citation_graph`.
        x: (N, F) sparse, rows that sum to one.
        settings: of the paper, for this set.
    """

    graph: CitationGraph
    x: Tensor
    settings: Settings = field(default_factory=Settings)


def load(name: str, seed: int) -> Task:
    """The public split of Citeseer and PubMed, a split by the seed of Cora."""
    graph = citation_graph(name, seed=seed if name == "cora" else None)
    return Task(graph, row_normalised(graph.features), SETTINGS[name])


# ---------------------------------------------------------------- models


class MLP(nn.Module):
    """Two linear layers: each paper by itself, without the graph."""

    def __init__(self, width: int, hidden: int, classes: int, dropout: float = 0.6) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.second = nn.Linear(hidden, classes)
        for layer in self.first, self.second:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.dropout = dropout

    def spread(self, h: Tensor, edge_index: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for layer in self.first, self.second:
            h = feature_dropout(x, self.dropout, self.training)  # sparse words stay sparse
            h = self.spread(linear(h, layer.weight), edge_index) + layer.bias
            x = F.elu(h)
        return h


class GCN(MLP):
    """The same, but each layer takes a weighted mean over neighbours, with fixed weights."""

    def spread(self, h: Tensor, edge_index: Tensor) -> Tensor:
        if not hasattr(self, "matrix"):
            self.matrix = gcn_matrix(edge_index, len(h))
        return torch.sparse.mm(self.matrix, h)


class AuthorsConv(GATConv):
    """GATConv with the dropout of the authors' code, which does more than the paper's text says.

    Each head draws anew what it drops of the input, and W h is dropped a third time.
    """

    def _attend(self, source, target, edge_attr, edges) -> tuple[Sequence[Tensor], Tensor]:
        weights = self.lin.weight.unflatten(0, (self.heads, self.out_channels))
        dropped = [feature_dropout(source, self.dropout, self.training) for _ in weights]
        values = torch.stack([linear(*pair) for pair in zip(dropped, weights, strict=True)], 1)
        from_source = (values * self.att_src).sum(-1).index_select(0, edges.source.node)
        to_target = (values * self.att_dst).sum(-1).index_select(0, edges.target.node)
        scores = F.leaky_relu(from_source + to_target, self.negative_slope)
        return [scores], F.dropout(values, self.dropout, self.training)


def build(name: str, task: Task) -> nn.Module:
    """One of MODELS, with new parameters, 64 hidden numbers a paper and dropout 0.6."""
    width, classes = task.x.shape[1], len(task.graph.classes)
    if name in ("MLP", "GCN"):
        return {"MLP": MLP, "GCN": GCN}[name](width, 64, classes)
    heads = task.settings.output_heads
    model = GAT(width, 64, 2, classes, heads=8, dropout=0.6, output_heads=heads)
    if name == "GAT, uniform weights":
        for layer in model.convs:  # scores of zero: the softmax gives 1 / degree
            for vector in (layer.att_src, layer.att_dst):
                nn.init.zeros_(vector).requires_grad_(False)
    if name == "GAT, authors' dropout":
        model.dropout = 0.0  # the layers drop their input themselves
        for layer in model.convs:
            layer.__class__ = AuthorsConv  # the same parameters, another forward
    return model


# ---------------------------------------------------------------- training


def accuracy(logits: Tensor, labels: Tensor, papers: Tensor) -> float:
    """Share of the chosen papers whose largest logit is that of their label."""
    return (logits.argmax(1) == labels)[papers].float().mean().item()


def train(
    model: nn.Module, task: Task, *, patience: int = PATIENCE, by_loss: bool = False
) -> list[tuple[float, float]]:
    """Train on the labels of `graph.train`, and keep the parameters of the best epoch.

    It stops after `patience` epochs in which both the validation loss and the validation accuracy
    were worse than ever before. Kept is the last epoch in which neither was. So do the authors in
    the code that they published. `by_loss` looks at the loss alone.

    Returns:
        (validation loss, validation accuracy) of each epoch.
    """
    graph, settings = task.graph, task.settings
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=settings.lr, weight_decay=settings.weight_decay)
    least, most, waited, history, best = float("inf"), 0.0, 0, [], model.state_dict()
    while waited < patience and len(history) < MOST_EPOCHS:
        model.train()
        optimizer.zero_grad()
        logits = model(task.x, graph.edge_index)
        F.cross_entropy(logits[graph.train], graph.labels[graph.train]).backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            logits = model(task.x, graph.edge_index)
        part = graph.validation
        loss = F.cross_entropy(logits[part], graph.labels[part]).item()
        share = accuracy(logits, graph.labels, part)
        history.append((loss, share))
        lower, higher = loss <= least, share >= most
        waited = 0 if lower or (higher and not by_loss) else waited + 1
        if lower and (higher or by_loss):
            best = {key: value.clone() for key, value in model.state_dict().items()}
        least, most = min(loss, least), max(share, most)
    model.load_state_dict(best)
    model.eval()
    return history


# ---------------------------------------------------------------- the map examined


def recorded(model: GAT, task: Task) -> list[tuple[Tensor, Tensor]]:
    """(edge_index (2, E'), weights (E', H)) of each layer, loops included."""
    with torch.no_grad(), record_attention(model) as maps:
        model(task.x, task.graph.edge_index)
    return [(one.edge_index, one.weights) for one in maps.values()]


def relative_entropy(weights: Tensor, target: Tensor, num_nodes: int) -> Tensor:
    """Entropy of each node's weights divided by log(number of its weights): 1 = all equal.

    Args:
        weights: (E, H) that sum to one over the edges of a target.
        target: (E,) node that each edge leads to.
        num_nodes: N.

    Returns:
        (n, H), for the n nodes with two weights or more.
    """
    terms = -torch.special.xlogy(weights, weights)
    entropy = terms.new_zeros(num_nodes, weights.shape[1]).index_add_(0, target, terms)
    degree = torch.bincount(target, minlength=num_nodes)
    several = degree > 1
    return entropy[several] / degree[several].log()[:, None]


def weight_on_class(weights: Tensor, edge_index: Tensor, labels: Tensor) -> tuple[Tensor, float]:
    """What nodes give to neighbours of their own class, and what equal weights would give.

    Neighbours alone: the loop is left out and the other weights are made to sum to one. Nodes
    count that have a label and, among their neighbours, both their own class and another.

    Returns:
        the mean over nodes of that share, (H,), and of the share of such neighbours.
    """
    source, target = edge_index
    edge = (source != target) & (labels[source] >= 0) & (labels[target] >= 0)
    source, target, weights = source[edge], target[edge], weights[edge]
    same = (labels[source] == labels[target]).to(weights.dtype)[:, None]
    columns = torch.cat([weights, weights * same, torch.ones_like(same), same], 1)
    sums = columns.new_zeros(len(labels), columns.shape[1]).index_add_(0, target, columns)
    heads = weights.shape[1]
    total, on_same, degree, alike = sums.split([heads, heads, 1, 1], 1)
    mixed = ((alike > 0) & (alike < degree))[:, 0]
    share = on_same[mixed] / total[mixed]
    return share.mean(0), (alike[mixed] / degree[mixed]).mean().item()


def shuffled(weights: Tensor, target: Tensor) -> Tensor:
    """Hand the weights (E, H) of each target to its edges anew, at random, head by head."""
    out, place = torch.empty_like(weights), torch.argsort(target, stable=True)
    for head in range(weights.shape[1]):
        order = torch.randperm(len(target))
        out[place, head] = weights[order[torch.argsort(target[order], stable=True)], head]
    return out


def forward_with(model: GAT, task: Task, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Logits of the GAT with other weights: change(weights (E, H), target (E,)) in each layer."""
    h, nodes = task.x, len(task.x)
    for layer in model.convs:
        _, (edges, weights) = layer(h, task.graph.edge_index, return_attention_weights=True)
        values = linear(h, layer.lin.weight).unflatten(1, (layer.heads, layer.out_channels))
        messages = change(weights, edges[1])[:, :, None] * values[edges[0]]
        heads = torch.zeros(nodes, *values.shape[1:]).index_add_(0, edges[1], messages)
        out = (heads.flatten(1) if layer.concat else heads.mean(1)) + layer.bias
        h = F.elu(out)
    return out


# ---------------------------------------------------------------- the table


def score(logits: Tensor, task: Task) -> float:
    """Accuracy on the test papers."""
    return accuracy(logits, task.graph.labels, task.graph.test)


def examine(model: GAT, task: Task) -> dict[str, list[float]]:
    """Relative entropy and weight on the own class, head by head, layer after layer."""
    found = {"entropy": [], "own class": [], "share": []}
    for edges, weights in recorded(model, task):
        entropy = relative_entropy(weights, edges[1], len(task.x))
        own, share = weight_on_class(weights, edges, task.graph.labels)
        found["entropy"].append(entropy.mean(0).tolist())
        found["own class"].append(own.tolist())
        found["share"].append(share)
    return found


def ten_seeds(name: str, seeds: Sequence[int]) -> dict:
    """Test accuracy and epochs of each model and seed, what was found in the maps, and seconds."""
    found = {"machine": machine(), "seeds": list(seeds), "accuracy": {}, "epochs": {}, "maps": []}
    table = found["accuracy"]
    start = time.process_time()
    for kind in MODELS:
        for seed in seeds:
            torch.manual_seed(seed)
            task = load(name, seed)
            model = build(kind, task)
            history = train(model, task, by_loss=kind == "GAT, stopped by the loss")
            with torch.no_grad():
                scores = {kind: score(model(task.x, task.graph.edge_index), task)}
                if kind == "GAT":
                    with even_weights(model):
                        logits = model(task.x, task.graph.edge_index)
                    scores["uniform at test"] = score(logits, task)
                    scores["shuffled at test"] = score(forward_with(model, task, shuffled), task)
                    found["maps"].append(examine(model, task))
            for key, value in scores.items():
                table.setdefault(key, []).append(value)
            found["epochs"].setdefault(kind, []).append(len(history))
            print(name, f"seed {seed}", len(history), "epochs", scores, flush=True)
    found["processor_seconds"] = time.process_time() - start
    return found


def epoch_times(name: str) -> Row:
    """A training epoch of the GAT with the bags of words sparse, beside the same dense."""
    task = load(name, 0)
    graph = task.graph

    def epoch(x: Tensor):
        model = build("GAT", task)

        def step() -> None:
            logits = model(x, graph.edge_index)
            F.cross_entropy(logits[graph.train], graph.labels[graph.train]).backward()

        return step

    candidates = {"sparse words": epoch(task.x), "dense words": epoch(task.x.to_dense())}
    return compare(f"training epoch of the GAT on {name}", candidates, "dense words")


def main(names: Sequence[str] = (), seeds: Sequence[int] = range(10)) -> None:
    """Run, print and keep the table of the sets that are named, or of all."""
    for name in names or SETTINGS:
        table, row = ten_seeds(name, seeds), epoch_times(name)
        path = RESULTS / "citation_graphs.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        rows = {old["work"]: Row(**old) for old in before.get("rows", [])} | {row.work: row}
        path = save("citation_graphs", list(rows.values()))
        content = json.loads(path.read_text(encoding="utf-8"))
        content["sets"] = before.get("sets", {}) | {name: table}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
