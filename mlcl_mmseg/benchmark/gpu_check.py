"""Check what a machine makes of a config: every part of the check in turn, within a time budget.

A part that fails is reported by a sentence, and the others go on. The figures are written after
each part, so that an interrupted check keeps those that it has.
"""

import copy
import shutil
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from ..engine.precision import PRECISIONS, precision_of
from ..engine.rehearsal import free_memory
from ..engine.run_records import environment
from ..errors import InputError, sentence_of
from ..methods.base import segmentor_class
from .advice import advice, fastest_precision
from .clock import Budget
from .device_parity import TOLERANCES, StepResult, comparable, compare, run_step
from .host_share import device_work
from .inputs import drawn_frames
from .largest_batch import is_out_of_memory, largest_batches
from .loading import loading
from .step_parts import profile_events, seconds_of
from .throughput import throughput, use_cudnn_benchmark
from .training import Training, batches_of, build_segmentor, has_option
from .whole_run import hours, whole_run

# parts of the check in order, each with its share of the time relative to those of later parts
SHARES = dict(environment=0, parity=2, precisions=4, compiled=2, batch=2, loading=1, whole_run=1.5)
# the compilation that is tried, in which a GPU replays a step of the backbone without the host
COMPILATION = dict(mode='reduce-overhead')
NO_TIME = 'There was no time left: use more --minutes.'


class GPUCheck:
    """A check of a device.

    Args:
        stages (Sequence[Config]): The stages of the config in order; the last one is checked.
        read_config (Callable): Reads the config again, so that its data are those that the
            environment variables then name.
        device (str): 'cpu' or 'cuda'.
        minutes (float): Time for the whole check. A step that has begun is not interrupted.
        save (Callable): Called with the figures after each part.

    Attributes:
        figures (dict[str, Any]): What has been measured. Besides the settings of the check, it
            holds an entry for each of :data:`SHARES`; in place of figures, an entry may hold
            ``error`` (a sentence) and ``traceback``, or ``skipped`` (a sentence). ``advice`` is a
            list of sentences. ``is_complete`` tells whether all parts were reached.
    """

    def __init__(
        self,
        stages: Sequence[Config],
        read_config: Callable[[], Config],
        device: str,
        minutes: float,
        save: Callable[[dict[str, Any]], None],
    ) -> None:
        self.stages = stages
        self.config = stages[-1]
        self.read_config = read_config
        self.device = device
        self.minutes = minutes
        self.save = save
        self.reference: StepResult | None = None
        self.precisions = PRECISIONS if device == 'cuda' else ('fp32', 'bf16')
        self.figures: dict[str, Any] = dict(
            config=self.config.filename,
            device=device,
            minutes=minutes,
            batch_size=self.config.train_dataloader.batch_size,
            precision=configured_precision(self.config, device),
            iterations=self.config.train_cfg.max_iters,
            released_seconds=released_seconds(self.config),
            is_complete=False,
        )

    def run(self) -> None:
        """Measure all parts."""
        budget = Budget(60 * self.minutes)
        for number, (name, share) in enumerate(SHARES.items()):
            rest = sum(list(SHARES.values())[number:])
            own = budget.share(share / rest)
            # what takes part of a minute should say so
            print(f'{name.replace("_", " ")}: about {own.left():.0f} s', flush=True)
            self.figures[name] = guarded(getattr(self, f'check_{name}'), own)
            self.figures['is_complete'] = number == len(SHARES) - 1
            self.figures['advice'] = advice(self.figures)
            self.save(self.figures)

    def check_environment(self, budget: Budget) -> dict[str, Any]:
        """Describe versions and hardware, and the memory of the GPU that is free."""
        found: dict[str, Any] = dict(
            versions=environment(processes=1, device=torch.device(self.device))
        )
        if self.device == 'cuda':
            free, total = torch.cuda.mem_get_info()
            found |= dict(free_gib=free / 2**30, total_gib=total / 2**30)
            major, minor = torch.cuda.get_device_capability()
            found['versions'] |= {
                'compute capability': f'{major}.{minor}',
                'driver': driver_version(),
            }
        return found

    def check_parity(self, budget: Budget) -> dict[str, Any]:
        """Compare a small step in each precision with the CPU in float32."""
        torch.backends.cudnn.benchmark = False
        config = comparable(self.config)
        reference = self.reference = run_step(config, 'cpu', 'fp32')

        def check(precision: str) -> dict[str, Any]:
            found = run_step(config, self.device, precision)
            return compare(reference, found, TOLERANCES[precision])

        # on a CPU, float32 is the reference itself
        names = self.precisions if self.device == 'cuda' else self.precisions[1:]
        return each_within(names, check, budget)

    def check_precisions(self, budget: Budget) -> dict[str, Any]:
        """Measure steps in each precision."""
        use_cudnn_benchmark(self.config)
        left = list(self.precisions)

        def check(precision: str) -> dict[str, Any]:
            share = budget.share(1 / len(left))
            left.remove(precision)
            return self.measure_steps(self.config, precision, share)

        return each_within(self.precisions, check, budget)

    def measure_steps(self, config: Config, precision: str, budget: Budget) -> dict[str, Any]:
        """Measure steps in a precision, and what the device does in one of them."""
        training = Training(config, build_segmentor(config, self.device), precision)
        batches = batches_of(config, self.device)
        found = throughput(training, batches, self.device, budget)
        found['hours'] = hours(config.train_cfg.max_iters, found['seconds_per_step'])
        events = profile_events(lambda: training.step(next(batches)), self.device)
        seconds = seconds_of(events, self.device)
        found['parts'] = {name: each / sum(seconds.values()) for name, each in seconds.items()}
        if self.device == 'cuda':
            found['profile'] = guarded(lambda _: device_work(events), budget)
            if 'device_seconds' in found['profile']:
                busy = found['profile']['device_seconds'] / found['seconds_per_step']
                # steps vary, so that a single one may be longer than the median
                found['device_share'] = min(1.0, busy)
        return found

    def check_compiled(self, budget: Budget) -> dict[str, Any]:
        """Measure steps with a compiled backbone, and compare one with the CPU if time is left."""
        precision = fastest_precision(self.figures)
        if self.device == 'cpu' or not has_option(self.config, 'compile_backbone'):
            return dict(skipped='Only on GPUs, for models with the option compile_backbone.')
        if precision is None:
            raise InputError('No step has been measured with which to compare.')
        use_cudnn_benchmark(self.config)
        found = self.measure_steps(compiled(self.config), precision, budget)
        found['precision'] = precision
        if self.reference is not None and budget.left() > 0:
            free_memory()
            step = run_step(compiled(comparable(self.config)), self.device, precision)
            found['parity'] = compare(self.reference, step, TOLERANCES[precision])
        return found

    def check_batch(self, budget: Budget) -> dict[str, Any]:
        """Search the largest batch in the fastest precision."""
        if self.device == 'cpu':
            return dict(skipped='The largest batch is only searched on GPUs.')
        precision = fastest_precision(self.figures) or self.figures['precision']
        searches = largest_batches(self.config, self.device, precision, budget)
        return dict(precision=precision, searches=searches)

    def check_loading(self, budget: Budget) -> dict[str, Any]:
        """Measure the loader on drawn frames."""
        with drawn_frames(1), tempfile.TemporaryDirectory() as folder:
            return loading(self.read_config(), Path(folder), budget)

    def check_whole_run(self, budget: Budget) -> dict[str, Any]:
        """Estimate the hours of all stages in the fastest precision."""
        precision = fastest_precision(self.figures)
        if precision is None:
            raise InputError('No step has been measured, so that the hours are not known.')
        use_cudnn_benchmark(self.config)
        measured = self.figures['precisions'][precision]['seconds_per_step']
        stages = whole_run(self.stages, self.device, precision, measured, budget)
        return dict(precision=precision, stages=stages)


def guarded(measure: Callable[[Budget], dict[str, Any]], budget: Budget) -> dict[str, Any]:
    """Call a measurement; if it fails, return ``error``, ``traceback`` and ``is_out_of_memory``."""
    try:
        return measure(budget)
    except Exception as error:
        kind = '' if isinstance(error, InputError) else f'{type(error).__name__}: '
        found = dict(
            error=f'{kind}{sentence_of(error)}',
            traceback=''.join(traceback.format_exception(error)),
            is_out_of_memory=isinstance(error, RuntimeError) and is_out_of_memory(error),
        )
    finally:
        free_memory()
    return found


def each_within(
    names: Sequence[str], check: Callable[[str], dict[str, Any]], budget: Budget
) -> dict[str, Any]:
    """Check each name that is reached within a budget; the first one in any case."""
    found: dict[str, Any] = {}
    for name in names:
        if found and budget.left() <= 0:
            found[name] = dict(skipped=NO_TIME)
        else:
            found[name] = guarded(lambda _: check(name), budget)  # noqa: B023
    return found


def compiled(config: Config) -> Config:
    """A copy of a config that compiles the backbone, as :data:`COMPILATION` if it does not yet."""
    config = copy.deepcopy(config)
    if not config.model.get('compile_backbone'):
        config.model.compile_backbone = dict(COMPILATION)
        config.model.recompute_activations = False
    return config


def configured_precision(config: Config, device: str) -> str:
    """The precision that a config trains in; on CPUs, tf32 is fp32."""
    found = precision_of(config.optim_wrapper)
    return 'fp32' if device == 'cpu' and found == 'tf32' else found


def released_seconds(config: Config) -> float | None:
    """Seconds of a step in the logs of the method's authors; None for another batch size.

    Learning rates are for the batch size of the authors, by which it is known.
    """
    authors = config.get('auto_scale_lr', {}).get('base_batch_size')
    if config.train_dataloader.batch_size != authors:
        return None
    figures = segmentor_class(config).published_figures(config)
    return None if figures is None else figures.seconds


def driver_version() -> str:
    """The version of the GPU's driver, 'unknown' without nvidia-smi."""
    program = shutil.which('nvidia-smi')
    if program is None:
        return 'unknown'
    command = [program, '--query-gpu=driver_version', '--format=csv,noheader']
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.partition('\n')[0].strip() or 'unknown'


def failures(value: Any, place: str = '') -> Iterator[str]:
    """The sentences of all measurements that have failed, and of wrong results.

    Args:
        value (Any): The figures of a check, or a part of them.
        place (str): The names of the part.
    """
    if not isinstance(value, dict):
        return
    if 'error' in value:
        yield f'{place}: {value["error"]}'
    elif value.get('passed') is False:
        yield f'{place}: a step differs from that of the CPU by more than rounding'
    for name, each in value.items():
        yield from failures(each, f'{place} {name}'.strip())
