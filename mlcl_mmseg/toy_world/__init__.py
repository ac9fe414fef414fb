"""Procedurally drawn street scenes in four looks, for demos and tests without any download."""

from .layouts import MARKER, write_toy_world

__all__ = ['MARKER', 'write_toy_world']
