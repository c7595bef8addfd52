"""Exercises that check themselves and name the mistake."""

from attnlib.checker._check import CheckFailed, Result, check, exercises_in, progress
from attnlib.checker._exercise import Exercise

__all__ = ["CheckFailed", "Exercise", "Result", "check", "exercises_in", "progress"]
