"""Where the shipped configs and tools are: a wheel has them in the package, a checkout beside it.

Takes nothing but Python's library: mlcl_command.py runs it without importing the package.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_ROOT = _PACKAGE if (_PACKAGE / 'configs').is_dir() else _PACKAGE.parent
CONFIGS = _ROOT / 'configs'
TOOLS = _ROOT / 'tools'
