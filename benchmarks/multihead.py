"""MultiHeadAttention against torch's layer: a training step of self-attention.

python -m benchmarks.multihead
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.attention import MultiHeadAttention
from benchmarks.measure import Row, compare, peak_memory, save

__all__ = ["main", "training"]

SIZES = [(64, 32, 128, 4), (8, 128, 256, 4), (8, 512, 512, 8)]  # B, N, F, H
LAYERS = ("MultiHeadAttention", "nn.MultiheadAttention")


def training(device: str = "cpu") -> list[Row]:
    """One training step of self-attention, in float32 and under bf16 autocast.

    Args:
        device: where it runs.

    Returns:
        A row for each size, precision, and for causal or not.
    """
    rows = []
    for size in SIZES:
        for causal in (False, True):
            for half in (False, True):
                calls = {layer: step(layer, device, half, causal, *size) for layer in LAYERS}
                ours, theirs = (call() for call in calls.values())
                error = {"atol": 3e-2, "rtol": 3e-2} if half else {"atol": 1e-4, "rtol": 1e-4}
                torch.testing.assert_close(ours, theirs, **error)
                work = "training, B {}, N {}, F {}, H {}".format(*size)
                work += f"{', causal' if causal else ''}, {'bf16 autocast' if half else 'float32'}"
                row = compare(work, calls, LAYERS[1])
                bytes_of = {
                    layer: peak_memory(step, layer, device, half, causal, *size) for layer in LAYERS
                }
                row.memory[LAYERS[0]] = bytes_of[LAYERS[0]] / bytes_of[LAYERS[1]]
                row.target[LAYERS[0]] = 0.45 if half else 0.95
                row.memory_target[LAYERS[0]] = 1.0
                rows.append(row)
    return rows


def step(
    layer: str, device: str, half: bool, causal: bool, B: int, N: int, F: int, H: int
) -> Callable[[], tuple[Tensor, Tensor]]:
    """A forward and backward pass.

    Args:
        layer: one of LAYERS; both have the same parameters.
        device: where it runs.
        half: under bf16 autocast.
        causal: hide later positions.
        B: batch.
        N: length.
        F: width.
        H: heads.

    Returns:
        A call that gives the output and the gradient of the input.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = nn.MultiheadAttention(F, H, batch_first=True).to(device)
        x = torch.randn(B, N, F, device=device, requires_grad=True)
        gradient = torch.randn(B, N, F, device=device)
    ours = MultiHeadAttention.from_torch(theirs)
    hidden = torch.ones(N, N, dtype=torch.bool, device=device).triu(1) if causal else None
    parameters = list((ours if layer == LAYERS[0] else theirs).parameters())

    def run() -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            if layer == LAYERS[0]:
                output = ours(x, causal=causal)
            else:
                output, _ = theirs(x, x, x, need_weights=False, attn_mask=hidden, is_causal=causal)
        output.backward(gradient.to(output.dtype))
        of_input = x.grad
        for leaf in (x, *parameters):
            leaf.grad = None
        return output, of_input

    return run


def main() -> None:
    """Measure everything, on the GPU if there is one, and keep it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    save("multihead", training(device))


if __name__ == "__main__":
    main()
