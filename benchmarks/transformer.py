"""Transformer layers: a training step against torch's layer, decoding against reading all again.

`python -m benchmarks.transformer`
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.transformer import LanguageModel, TransformerEncoderLayer, generate
from benchmarks.measure import Row, compare, peak_memory, save

DROPOUT = 0.1
SIZES = [(8, 128, 256, 8), (32, 64, 128, 4)]  # B, L, F, H
PROMPT = 16
# The last is what a user gets who changes nothing: torch's default is not its fused optimizer.
CANDIDATES = ("attnlib", "torch", "torch, AdamW not fused")


def training_step(candidate: str, half: bool, B: int, L: int, F: int, H: int) -> Callable:
    """Forward, backward and a step of AdamW of one encoder layer with dropout."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        F, H, 4 * F, DROPOUT, "gelu", batch_first=True, norm_first=True
    )
    x, gradient = torch.randn(2, B, L, F)
    if candidate == "attnlib":
        theirs, layer = layer, TransformerEncoderLayer.from_torch(layer)
        torch.testing.assert_close(layer.eval()(x), theirs.eval()(x), atol=1e-4, rtol=1e-4)
        layer.train()
    optimizer = torch.optim.AdamW(layer.parameters(), fused=candidate != CANDIDATES[2])

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = layer(x)
        output.backward(gradient.to(output.dtype))
        optimizer.step()
        optimizer.zero_grad()

    return step


def encoder_layer(half: bool, *sizes: int) -> list[Row]:
    """A training step of our layer beside torch's, with the same optimizer and with its default."""
    B, L, F, H = sizes
    kind = "bf16 autocast" if half else "fp32"
    work = f"encoder layer, training step, {kind}, B {B} L {L} F {F} H {H}, dropout {DROPOUT}"
    calls = {name: training_step(name, half, *sizes) for name in CANDIDATES}
    memory = {name: peak_memory(training_step, name, half, *sizes) for name in CANDIDATES}
    rows = []
    for peer in CANDIDATES[1:]:
        row = compare(work, {name: calls[name] for name in ("attnlib", peer)}, peer)
        row.memory = {"attnlib": memory["attnlib"] / memory[peer]}
        row.target = {"attnlib": 0.5 if half else 0.75}
        row.memory_target = {"attnlib": 1.0}
        rows.append(row)
    return rows


@torch.no_grad()
def read_all_again(model: LanguageModel, text: Tensor, new: int) -> Tensor:
    """Greedy text without a cache."""
    for _ in range(new):
        text = torch.cat([text, model(text)[:, -1:].argmax(-1)], dim=1)
    return text


def decoding(B: int, new: int) -> Row:
    """Greedy text through the cache beside reading the whole text for every token."""
    torch.manual_seed(0)
    model = LanguageModel(65, 128, 4, num_layers=4, max_len=PROMPT + new).eval()
    prompt = torch.randint(65, (B, PROMPT))

    def through_the_cache(new: int = new) -> Tensor:
        return generate(model, prompt, new, temperature=0)

    assert through_the_cache(64).equal(read_all_again(model, prompt, 64)), "another text"
    candidates = {
        "cache": through_the_cache,
        "recomputing": lambda: read_all_again(model, prompt, new),
    }
    work = f"decode {new} tokens, B {B}, 4 layers, F 128 H 4"
    row = compare(work, candidates, "recomputing", rounds=3)
    row.target = {"cache": 0.08}
    return row


def main() -> None:
    """Measure everything, print it and keep it."""
    rows = [row for half in (False, True) for sizes in SIZES for row in encoder_layer(half, *sizes)]
    save("transformer", [*rows, decoding(1, 512), decoding(8, 128)])


if __name__ == "__main__":
    main()
