"""One module for each part of the book: Exercise objects with their known mistakes."""
