"""Transformer layers: a training step against torch's layer, decoding against reading all again.

`python -m benchmarks.transformer`. What is compared is shown equal in tests/test_transformer_*.py.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.transformer import LanguageModel, TransformerEncoderLayer, generate
from benchmarks.measure import Row, compare, peak_memory, save

DROPOUT = 0.1
SIZES = [(8, 128, 256, 8), (32, 64, 128, 4)]  # B, L, F, H
PROMPT, NEW = 16, 512


def training_step(kind: str, half: bool, B: int, L: int, F: int, H: int) -> Callable:
    """Forward, backward and a step of AdamW of one encoder layer with dropout."""
    torch.manual_seed(0)
    options = {"dropout": DROPOUT, "activation": "gelu", "norm_first": True}
    if kind == "attnlib":
        layer = TransformerEncoderLayer(F, H, 4 * F, **options)
    else:
        layer = nn.TransformerEncoderLayer(F, H, 4 * F, batch_first=True, **options)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=True)
    x, gradient = torch.randn(2, B, L, F)

    def step(x: Tensor = x, gradient: Tensor = gradient) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            output = layer(x)
        output.backward(gradient.to(output.dtype))
        optimizer.step()

    step(x[:1], gradient[:1])  # the optimizer has its state before memory is measured
    return step


def encoder_layer(half: bool, *sizes: int) -> Row:
    """A training step of our layer beside torch's: time and memory."""
    names = ("attnlib", "torch")
    B, L, F, H = sizes
    kind = "bf16 autocast" if half else "fp32"
    work = f"encoder layer, training step, {kind}, B {B} L {L} F {F} H {H}, dropout {DROPOUT}"
    row = compare(work, {name: training_step(name, half, *sizes) for name in names}, "torch")
    memory = {name: peak_memory(training_step, name, half, *sizes) for name in names}
    row.memory = {"attnlib": memory["attnlib"] / memory["torch"]}
    row.target = {"attnlib": 0.5 if half else 0.75}
    row.memory_target = {"attnlib": 1.0}
    return row


@torch.no_grad()
def read_all_again(model: LanguageModel, text: Tensor) -> Tensor:
    """Greedy text without a cache."""
    for _ in range(NEW):
        text = torch.cat([text, model(text)[:, -1:].argmax(-1)], dim=1)
    return text


def decoding(B: int) -> Row:
    """Greedy text through the cache beside reading the whole text for every token."""
    torch.manual_seed(0)
    model = LanguageModel(65, 128, 4, num_layers=4, max_len=PROMPT + NEW).eval()
    prompt = torch.randint(65, (B, PROMPT))
    candidates = {
        "cache": lambda: generate(model, prompt, NEW, temperature=0),
        "recomputing": lambda: read_all_again(model, prompt),
    }
    work = f"decode {NEW} tokens, B {B}, 4 layers, F 128 H 4"
    row = compare(work, candidates, "recomputing", rounds=3)
    row.target = {"cache": 0.08}
    return row


if __name__ == "__main__":
    rows = [encoder_layer(half, *sizes) for half in (False, True) for sizes in SIZES]
    save("transformer", [*rows, decoding(1), decoding(8)])
