"""How fast and how large: ratios against named peers, measured side by side; nothing is a test."""
