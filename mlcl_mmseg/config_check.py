"""Compare the keys and values of a config with the parameters of what takes them."""

import difflib
import inspect
import re
from collections.abc import Callable, Iterable

import mmseg.registry
from mmengine.config import Config
from mmengine.registry import FUNCTIONS, Registry
from mmengine.runner import LogProcessor, Runner, set_random_seed
from mmengine.utils.dl_utils import set_multi_processing
from mmseg.utils import register_all_modules
from torch import nn
from torch.utils.data import DataLoader

from .errors import InputError
from .type_hints import describe, is_numeric, matches, resolve

# what takes the settings in a dict that names no type
TAKERS: dict[str, Callable] = {
    '': Runner,
    'train_dataloader': DataLoader,
    'val_dataloader': DataLoader,
    'test_dataloader': DataLoader,
    'log_processor': LogProcessor,
    'randomness': set_random_seed,
    'env_cfg.mp_cfg': set_multi_processing,
}
# settings of Runner that are given together or left out together
TOGETHER = (
    ('train_dataloader', 'train_cfg', 'optim_wrapper'),
    ('val_dataloader', 'val_cfg', 'val_evaluator'),
    ('test_dataloader', 'test_cfg', 'test_evaluator'),
)
# names in a dict that nothing takes as a whole, by the last key of its path; there may be others
NAMES: dict[str, tuple[str, ...]] = dict(
    env_cfg=('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    dist_cfg=('backend', 'timeout'),
    auto_scale_lr=('enable', 'base_batch_size'),
    default_hooks=(
        *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'),
        *('data_check', 'run_record', 'resume', 'finite_loss', 'buffers', 'visualization'),
        'contact_sheet',
    ),
    optim_wrapper=('network', 'discriminators', 'optimizer', 'clip_grad'),
    paramwise_cfg=(
        *('backbone_rates', 'lr_mult', 'custom_keys', 'bias_lr_mult', 'bias_decay_mult'),
        *('norm_decay_mult', 'dwconv_decay_mult', 'flat_decay_mult', 'bypass_duplicate'),
    ),
    clip_grad=('max_norm', 'norm_type', 'clip_value', 'error_if_nonfinite'),
    init_cfg=('checkpoint', 'prefix'),
    test_cfg=('mode', 'crop_size', 'stride'),
    custom_imports=('imports', 'allow_failed_imports'),
)
# settings beside those of MMEngine's Runner
OTHER_SETTINGS = (
    *(
        'stage_before',
        'warmup',
        'model_wrapper_cfg',
        'custom_imports',
        'sync_bn',
        'find_unused_parameters',
    ),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'compile'),
)
# the least that a number may be, by the last key of its path
LEAST = dict(batch_size=1, num_workers=0)
# variables that MMSegmentation reads when it predicts
READ_LATER = ('test_pipeline', 'tta_pipeline', 'tta_model')
# how near a keyword is to another, from 0 to 1, that can only be meant as that one
NEAR = 0.82
# how near one is that may be meant, where the other cannot be right
FAR = 0.6
# keywords that the registry and the builders of optimisers and of norms take for themselves
TAKEN_BEFORE = ('type', '_scope_', 'constructor', 'paramwise_cfg', 'requires_grad')


def check_config(config: Config | dict) -> None:
    """Refuse a value of a wrong type, an unknown type of object, or a key that nothing takes.

    Judged are hints made of int, float, bool, str, None, and dicts, sequences and unions of those.
    Other packages take more than their hints say: AmpOptimWrapper(loss_scale: str) a float,
    CheckpointHook(greater_keys: Sequence[str]) a str. Of theirs only hints of numbers are judged,
    but all of the TAKERS'. What takes any keyword refuses those that are nearly one of its own. So
    do dicts without a type and the config itself, which may have variables.

    Args:
        config (Config | dict): The config, with what the command line sets.

    Raises:
        InputError: At the first such value, type or keyword.
    """
    # the second is the old name
    for name in ('stage_before', 'warmup'):
        if not isinstance(config.get(name), str | None):
            raise InputError(
                f'{name} is {config[name]!r}, but it names a config: give its file, or None to '
                'train no stage before.'
            )
    check_complete(config)
    register_all_modules(init_default_scope=False)
    # no two kinds of them share a name; what MMSegmentation has comes before MMEngine's
    classes: dict[str, type] = {}
    for registry in (*vars(mmseg.registry).values(), FUNCTIONS):
        if isinstance(registry, Registry):
            registry.import_from_location()
            classes |= getattr(registry.parent, 'module_dict', {}) | registry.module_dict
    known = known_settings()
    for key in sorted(config.keys() - known):
        near = nearest(key, known)
        # names such as train_dataloader_large are those of variables
        if near and not re.match(rf'{near}[_\d]', key):
            raise InputError(f'{key} is no setting, did you mean {near}?')
    settings = {key: value for key, value in config.items() if key in known}
    check_value(settings, '', classes)
    for key in READ_LATER:
        check_value(config.get(key), key, classes)


def check_complete(config: Config | dict) -> None:
    """Refuse to train, validate or test with a part of what that needs.

    Raises:
        InputError: If one of the settings that belong together is None and another is not.
    """
    for names in TOGETHER:
        given = [name for name in names if config.get(name) is not None]
        missing = [name for name in names if name in config and name not in given]
        if given and missing:
            raise InputError(
                f'{missing[0]} is None, but {given[0]} is not: give all or none of '
                f'{", ".join(names)}.'
            )


def known_settings() -> set[str]:
    """What a config may set at its top level; all else there are variables."""
    return {*hints_of(Runner)[0], *OTHER_SETTINGS}


def check_value(value: object, path: str, classes: dict[str, type]) -> None:
    """Check what lies at a dotted path of a config, and all below it."""
    children: Iterable[tuple] = enumerate(value) if isinstance(value, list | tuple) else ()
    if isinstance(value, Config | dict):
        children = value.items()
        name = value.get('type')
        taker = classes.get(name) if isinstance(name, str) else name or TAKERS.get(path)
        if taker is None and isinstance(name, str) and '.' not in name:
            check_type(name, path, classes)
        if taker is not None:
            check_settings(value, path, taker)
        elif path:
            check_names(value, path)
    for key, child in children:
        check_value(child, dotted(path, key), classes)


def check_type(name: str, path: str, classes: dict[str, type]) -> None:
    """Refuse an unknown type that is nearly a known one; Albumentations has transforms of its own.

    Raises:
        InputError: If it is.
    """
    if near := nearest(name, classes, NEAR if '.transforms.' in path else FAR):
        raise InputError(
            f'{dotted(path, "type")} is {name!r}, which is unknown, did you mean {near}?'
        )


def check_names(settings: Config | dict, path: str) -> None:
    """Refuse a key that is nearly one of those known in a dict which nothing takes as a whole.

    Raises:
        InputError: If there is one.
    """
    known = *NAMES.get(path.rpartition('.')[2], ()), *TAKEN_BEFORE
    for key in settings:
        if key not in known and isinstance(key, str) and (near := nearest(key, known)):
            raise InputError(f'{dotted(path, key)} is unknown, did you mean {near}?')


def check_settings(settings: Config | dict, path: str, taker: Callable) -> None:
    """Compare the settings in a dict with the parameters of the class or function that takes them.

    Raises:
        InputError: If one has a wrong type, is too small a number, or is no parameter.
    """
    hints, takes_any = hints_of(taker)
    for key, value in settings.items():
        if key == 'default_hooks' and isinstance(value, dict):
            # one that is None is left out
            value = {name: hook for name, hook in value.items() if hook is not None}
        if key in hints and not matches(value, *hints[key]):
            raise InputError(
                f'{dotted(path, key)} is {value!r}, but {taker.__name__} takes '
                f'{describe(hints[key][0])}: correct the config or --cfg-options.'
            )
        if isinstance(value, int) and value < LEAST.get(key, value):
            raise InputError(f'{dotted(path, key)} is {value}: make it {LEAST[key]} or more.')
        if key in (*hints, *TAKEN_BEFORE):
            continue
        strict = not takes_any and knows_its_keywords(taker)
        near = nearest(key, [*hints, *TAKEN_BEFORE], FAR if strict else NEAR)
        if near or strict:
            remedy = f'did you mean {near}?' if near else 'leave it out.'
            raise InputError(f'{dotted(path, key)} is no parameter of {taker.__name__}, {remedy}')


def nearest(name: str, known: Iterable[str], cutoff: float = NEAR) -> str | None:
    """The known name that is nearest to one, None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=cutoff)), None)


def dotted(path: str, key: str | int) -> str:
    """The path of what a key leads to."""
    return f'{path}.{key}' if path else str(key)


def is_ours(taker: Callable) -> bool:
    """Whether a class or function is of this package."""
    return taker.__module__.split('.')[0] == __package__


def knows_its_keywords(taker: Callable) -> bool:
    """Whether an unknown keyword is a mistake; builders of others' modules take some themselves."""
    is_module = inspect.isclass(taker) and issubclass(taker, nn.Module)
    return is_ours(taker) or not (taker is Runner or is_module)


def hints_of(taker: Callable) -> tuple[dict[str, tuple[object, bool]], bool]:
    """What a function or a constructor takes; ``**kwargs`` go to the constructor of the next base.

    Returns:
        tuple[dict[str, tuple[object, bool]], bool]: By name, a hint and whether it is strict; a
        hint that is not judged is None. And whether there are keywords without limit.
    """
    hints: dict[str, tuple[object, bool]] = {}
    takes_any = True
    constructors = [vars(base).get('__init__') for base in getattr(taker, '__mro__', ())]
    for function in filter(inspect.isfunction, constructors or [taker]):
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            hint = resolve(parameter.annotation, function)
            strict = is_ours(function) or taker in TAKERS.values()
            hints.setdefault(name, (hint if strict or is_numeric(hint) else None, strict))
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if not takes_any:
            break
    # some of this package hand theirs to a class that takes any
    return hints, takes_any and not is_ours(taker)
