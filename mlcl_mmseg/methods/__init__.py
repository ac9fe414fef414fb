"""One folder per method. It holds all code that only this method needs; no other code names it."""

from . import adversarial, mcl, source_only

__all__ = ['adversarial', 'mcl', 'source_only']
