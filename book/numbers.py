"""Numbers that a chapter's prose quotes from its run: one by one, or an interval at a time."""

from myst_nb import glue

__all__ = ["glue", "glue_interval"]


def glue_interval(name: str, interval: tuple[float, float, float]) -> None:
    """Glue what `attnlib.training.interval` gives as name-mean, name-low and name-high."""
    for part, value in zip(("mean", "low", "high"), interval, strict=True):
        glue(f"{name}-{part}", value, display=False)
