"""Paths of the shipped configs and tools.

A wheel contains them inside the package, and a checkout beside the package. This module imports
only Python's standard library, since mlcl_command.py runs it without importing the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE if (_PACKAGE / 'configs').is_dir() else _PACKAGE.parent
CONFIGS = _ROOT / 'configs'
TOOLS = _ROOT / 'tools'
