"""Self-checking exercises: the notebooks, the objects that check them and their generator."""
