"""The backends of a visualizer: which write locally, and what the others need."""

import ast
import importlib.util
import inspect
import textwrap

from mmengine.config import Config
from mmengine.visualization import BaseVisBackend, LocalVisBackend, TensorboardVisBackend
from mmseg.registry import VISBACKENDS

from ..errors import InputError

# backends that write to the folder of the run and nowhere else
LOCAL_BACKENDS = (LocalVisBackend, TensorboardVisBackend)


def backend_class(backend: dict) -> type[BaseVisBackend]:
    """The class of a visualiser's backend."""
    name = backend['type']
    found = VISBACKENDS.get(name) if isinstance(name, str) else name
    if found is None:
        raise InputError(f'visualizer.vis_backends has {name}, which is unknown: correct it.')
    return found


def check_importable(config: Config) -> None:
    """Import what the backends need that would start a real run elsewhere, such as W&B.

    Raises:
        InputError: If a package is missing.
    """
    for backend in (config.get('visualizer') or {}).get('vis_backends') or []:
        found = backend_class(backend)
        if issubclass(found, LOCAL_BACKENDS):
            continue
        for module in imports_of(found):
            try:
                importlib.import_module(module)
            except ImportError as error:
                package = module.split('.')[0]
                raise InputError(
                    f'{found.__name__} cannot import {module} ({error}): install {package}, such '
                    f'as by pip install {package}, or leave the backend out of '
                    'visualizer.vis_backends.'
                ) from error


def imports_of(backend: type[BaseVisBackend]) -> list[str]:
    """The modules that a backend imports when it is first used, as its source has them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(backend._init_env)))
    modules: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = '.' * node.level + (node.module or '')
            package = backend.__module__.rpartition('.')[0]
            modules.append(importlib.util.resolve_name(name, package))
    return modules


def local_backends(config: Config) -> list[dict]:
    """The configs of the backends that write to the folder of the run and nowhere else."""
    backends = (config.get('visualizer') or {}).get('vis_backends') or []
    return [each for each in backends if issubclass(backend_class(each), LOCAL_BACKENDS)]
