"""Bugs to plant, a module for each module of attnlib (or package of it)."""
