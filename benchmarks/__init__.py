"""How fast and how large: ratios against named peers, measured side by side. Nothing here is a test."""
