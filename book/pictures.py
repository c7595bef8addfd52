"""Draw the picture of the landing page: `python -m book.pictures`.

One attention layer learns to write five words backwards. That task is known completely: output i
must look at word 4 - i. So the picture can show the map and mark it at the same time.
"""

from html import escape
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnlib import AttentionMap, MultiHeadAttention, record_attention
from attnlib.data.synthetic import reverse_task

WORDS = ("the", "film", "was", "not", "good")
STEPS = (0, 10, 100)
TARGET = Path(__file__).parent / "assets" / "learning-to-reverse.html"

# The site's colours, so that the picture follows the theme of the page.
STYLE = """\
.reverse { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem;
  margin: 2rem 0; }
.reverse svg { width: 100%; max-width: 16rem; margin: auto; overflow: visible; }
.reverse text { fill: var(--pst-color-text-base); font: 15px var(--pst-font-family-base); }
.reverse .share { font-size: 13px; fill: var(--pst-color-text-muted); }
.reverse line { stroke: var(--pst-color-secondary); stroke-dasharray: 5 3; }
.reverse line.right { stroke: var(--pst-color-primary); stroke-dasharray: none; }
.reverse figcaption { grid-column: 1 / -1; color: var(--pst-color-text-muted); }"""


class Reverser(nn.Module):
    """Words and places in, one attention layer, words out."""

    def __init__(self, vocab_size: int, length: int, width: int = 32) -> None:
        super().__init__()
        self.words = nn.Embedding(vocab_size, width)
        self.places = nn.Embedding(length, width)
        self.attention = MultiHeadAttention(width, num_heads=1)
        self.output = nn.Linear(width, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.places.weight
        return self.output(self.attention(x))


def maps_while_learning() -> list[AttentionMap]:
    """The attention map of the five words after each number of steps in STEPS."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Reverser(vocab_size=len(WORDS) + 1, length=len(WORDS))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
        sentence = torch.arange(1, len(WORDS) + 1)[None]
        maps = []
        for step in range(max(STEPS) + 1):
            if step in STEPS:
                with record_attention(model) as recorded, torch.no_grad():
                    model(sentence)
                maps.append(recorded["attention"].example(0, queries=WORDS[::-1], keys=WORDS))
            task = reverse_task(64, len(WORDS), len(WORDS) + 1)
            loss = F.cross_entropy(model(task.inputs).flatten(0, 1), task.targets.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return maps


def panel(attention: AttentionMap, title: str) -> str:
    """One SVG: words as given on the left, words to write on the right, a line for each weight."""
    weights = attention.dense()
    share = attention.mass_on(torch.eye(len(weights)).flip(0))
    label = f"{title}: {share:.0%} of the attention is where it has to be. {attention.describe(5)}"
    top, row, left, right = 16, 30, 62, 178
    parts = [f'<svg viewBox="0 0 240 186" role="img" aria-label="{escape(label)}">']
    for i, weights_of_i in enumerate(weights.tolist()):
        y = top + i * row
        for j, weight in enumerate(weights_of_i):
            kind = ' class="right"' if i + j == len(weights) - 1 else ""
            ends = f'x1="{left}" y1="{top + j * row}" x2="{right}" y2="{y}"'
            parts.append(f'<line{kind} {ends} stroke-width="{8 * weight:.1f}"/>')
        given, wanted = WORDS[i], WORDS[-1 - i]
        parts.append(f'<text x="{left - 10}" y="{y + 5}" text-anchor="end">{given}</text>')
        parts.append(f'<text x="{right + 10}" y="{y + 5}">{wanted}</text>')
    caption = f"{title}: {share:.0%} right".replace("%", " %")
    parts.append(f'<text class="share" x="120" y="178" text-anchor="middle">{caption}</text>')
    return "\n".join([*parts, "</svg>"])


def picture() -> str:
    """The whole figure, a fragment of HTML."""
    titles = [f"after {step} steps" if step else "before learning" for step in STEPS]
    panels = [panel(m, t) for m, t in zip(maps_while_learning(), titles, strict=True)]
    caption = (
        "One attention layer learns to write five words backwards. The width of a line is the "
        "weight with which the word on the right looks at the word on the left. Solid lines lie "
        "where it has to look, dashed ones elsewhere; the percentage is the share of attention on "
        "solid lines."
    )
    body = "\n".join([*panels, f"<figcaption>{caption}</figcaption>"])
    return f'<style>\n{STYLE}\n</style>\n<figure class="reverse">\n{body}\n</figure>\n'


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
