"""One folder a method: all that only it needs, and nothing elsewhere that names it."""

from . import adversarial, mcl, source_only

__all__ = ['adversarial', 'mcl', 'source_only']
