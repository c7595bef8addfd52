"""One module for each chapter: its Exercise objects with their known mistakes."""
