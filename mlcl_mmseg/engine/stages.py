"""The stages of the method in one launch: which is complete, which goes on, which starts anew."""

import copy
import gc
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner, find_latest_checkpoint

from ..errors import InputError

MARKER = 'complete.json'
# MMEngine's pointer to the latest checkpoint
POINTER = 'last_checkpoint'
# what decides the weights that a stage ends with
DECISIVE = (
    *('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'randomness'),
)
# what does not, among these
INDIFFERENT = ('data_root', 'init_cfg', 'num_workers', 'pin_memory', 'prefetch_factor')


def train_stages(configs: Sequence[Config], resume: bool) -> None:
    """Train what is not complete, each stage from the best checkpoint of the one before.

    A stage is complete when its work dir holds the marker that is written after its last
    iteration. Every process has to see the same files.

    Args:
        configs (Sequence[Config]): The stages' configs in order, each with its own work dir.
        resume (bool): Go on with the last stage that has a checkpoint. Otherwise a stage that is
            not complete, and the last one in any case, starts anew.

    Raises:
        InputError: If a complete stage was trained with other settings.
    """
    settings = [decisive_settings(config) for config in configs]
    first = first_to_train(configs, settings, resume)
    goes_on = resume and find_latest_checkpoint(configs[first].work_dir) is not None
    barrier()
    if goes_on and is_complete(configs[first]):
        announce(f'{configs[first].work_dir} is complete: there is nothing to resume.')
        return
    for config in configs[first + 1 :]:
        rehearse(config)
    for number in range(first, len(configs)):
        config = configs[number]
        title = f'Stage {number + 1} of {len(configs)}, {config.model.type}, in {config.work_dir}'
        if goes_on and number == first:
            resume_from_latest(config)
            announce(f'{title}, goes on from {config.load_from}.')
        else:
            if number > 0:
                config.load_from = best_checkpoint(configs[number - 1])
            forget(configs[number:])
            announce(f'{title}, starts from {config.load_from or "the initial weights"}.')
        train_stage(config, settings[number])


def first_to_train(configs: Sequence[Config], settings: Sequence[dict], resume: bool) -> int:
    """The number of the stage with which this launch begins."""
    last = len(configs) - 1
    if resume:
        begun = [
            number
            for number, config in enumerate(configs)
            if find_latest_checkpoint(config.work_dir) is not None
        ]
        if begun and (begun[-1] == last or not is_complete(configs[begun[-1]])):
            return begun[-1]
    for number in range(last):
        if not is_complete(configs[number]):
            return number
        check_same_settings(configs[number], settings[number])
        announce(f'{configs[number].work_dir} is complete.')
    return last


def rehearse(config: Config) -> None:
    """Build a stage and run its checks: a mistake in it shall end the launch at its beginning."""
    config = copy.deepcopy(config)
    config.load_from = 'the stage before'
    config.experiment_name = 'rehearsal'
    config.log_level = 'ERROR'
    config.visualizer.vis_backends = []
    with tempfile.TemporaryDirectory() as config.work_dir:
        runner = Runner.from_cfg(config)
        # asking for the loops builds them
        _ = runner.train_loop, runner.val_loop
        runner.call_hook('before_run')


def train_stage(config: Config, settings: dict) -> None:
    """Train one stage and mark it as complete.

    Args:
        config (Config): Of the stage.
        settings (dict): Its :func:`decisive_settings`, which the marker keeps.
    """
    runner = Runner.from_cfg(config)
    runner.train()
    best = runner.message_hub.runtime_info.get('best_ckpt')
    if is_main_process():
        marker = dict(
            best_checkpoint=None if best is None else os.path.relpath(best, config.work_dir),
            iterations=runner.iter,
            settings=settings,
        )
        partial = Path(config.work_dir, f'{MARKER}.partial')
        partial.write_text(json.dumps(marker, indent=1) + '\n')
        partial.replace(partial.with_suffix(''))
    barrier()
    # the next stage needs this one's memory and loader processes
    del runner
    gc.collect()


def resume_from_latest(config: Config) -> None:
    """Let a stage go on from its latest checkpoint; ImageNet weights are not needed then."""
    config.resume = True
    config.load_from = find_latest_checkpoint(config.work_dir)
    config.model.backbone.init_cfg = None


def is_complete(config: Config) -> bool:
    """Whether a stage has been trained to its end."""
    return Path(config.work_dir, MARKER).is_file()


def best_checkpoint(config: Config) -> str:
    """The best checkpoint of a complete stage.

    Raises:
        InputError: If it kept none, or the file is gone.
    """
    best = json.loads(Path(config.work_dir, MARKER).read_text())['best_checkpoint']
    if best is None or not Path(config.work_dir, best).is_file():
        raise InputError(
            f'{config.work_dir} is complete but holds no best checkpoint ({best}): pass '
            '--cfg-options load_from=FILE, or train it again with '
            "default_hooks.checkpoint.save_best='mIoU'."
        )
    return str(Path(config.work_dir, best))


def forget(configs: Sequence[Config]) -> None:
    """Let nobody take what earlier runs left in these work dirs for a part of this one."""
    if is_main_process():
        for config in configs:
            for name in (MARKER, POINTER):
                Path(config.work_dir, name).unlink(missing_ok=True)
    barrier()


def decisive_settings(config: Config) -> dict[str, Any]:
    """What decides the weights that a stage ends with, as JSON has it."""

    def keep(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: keep(each) for key, each in value.items() if key not in INDIFFERENT}
        if isinstance(value, list | tuple):
            return [keep(each) for each in value]
        return value

    return json.loads(json.dumps(keep({key: config[key] for key in DECISIVE})))


def check_same_settings(config: Config, settings: dict) -> None:
    """Refuse a complete stage that was trained with other settings.

    Raises:
        InputError: If so; the message has the first difference.
    """
    found = json.loads(Path(config.work_dir, MARKER).read_text())['settings']
    if found != settings:
        raise InputError(
            f'{config.work_dir} is complete but was trained with other settings '
            f'({first_difference(found, settings)}): pass --cfg-options load_from='
            f'{Path(config.work_dir, "best_*.pth")} to use it all the same, or remove it.'
        )


def first_difference(found: Any, wanted: Any, key: str = '') -> str:
    """The dotted key of the first difference, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        pairs = {name: (found.get(name), wanted.get(name)) for name in {**found, **wanted}}
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        pairs = dict(enumerate(zip(found, wanted)))
    else:
        return f'{key.lstrip(".")} was {found!r}, is now {wanted!r}'
    name, (old, new) = next(item for item in pairs.items() if item[1][0] != item[1][1])
    return first_difference(old, new, f'{key}.{name}')


def announce(text: str) -> None:
    """Say it once, whatever the number of processes."""
    if is_main_process():
        print_log(text)
