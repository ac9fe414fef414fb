"""What to change before a training, from the figures of a check of a GPU.

Every rule is a function of the figures alone, see :func:`~mlcl_mmseg.benchmark.gpu_check.GPUCheck`,
and yields sentences. A rule whose figures are missing yields none.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

# a precision is recommended if it is this many times as fast as that of the config
FASTER = 1.15
# the GPU waits for the host if it is busy for less than this share of a step
BUSY = 0.8
# a loader is fast enough if it is this many times as fast as the step
MARGIN = 1.2
# another program uses the GPU if less than this share of its memory is free at the start
FREE = 0.9
# skipped steps are worth a sentence from this share on
SKIPPED = 0.1


def advice(check: dict[str, Any]) -> list[str]:
    """Return what to change, the most important first; empty if nothing was found."""
    return [sentence for rule in RULES for sentence in rule(check)]


def part(check: dict[str, Any], name: str) -> dict[str, Any]:
    """The figures of a part; empty if it has failed, was left out or has not been reached."""
    found = check.get(name) or {}
    return {} if 'error' in found or 'skipped' in found else found


def measured_precisions(check: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The measured precisions that compute what the CPU computes, as far as this is known."""
    parity = part(check, 'parity')
    return {
        name: figures
        for name, figures in part(check, 'precisions').items()
        if 'seconds_per_step' in figures and parity.get(name, {}).get('passed', True)
    }


def fastest_precision(check: dict[str, Any]) -> str | None:
    """The fastest of :func:`measured_precisions`; None if there is none."""
    found = measured_precisions(check)
    return min(found, key=lambda name: found[name]['seconds_per_step'], default=None)


def wrong_results(check: dict[str, Any]) -> Iterator[str]:
    """Precisions that compute something else than the CPU."""
    for name, figures in part(check, 'parity').items():
        if figures.get('passed') is False:
            yield (
                f'Do not train in {name} on this machine: a step differs from that of the CPU by '
                'more than rounding. Please report it with gpu_check.json.'
            )


def used_by_others(check: dict[str, Any]) -> Iterator[str]:
    """Memory of the GPU that other programs use."""
    environment = part(check, 'environment')
    free, total = environment.get('free_gib'), environment.get('total_gib')
    if free is not None and total is not None and free < FREE * total:
        yield (
            f'Other programs use {total - free:.1f} of {total:.1f} GiB of the GPU: stop them and '
            'check again, since they also change the times.'
        )


def out_of_memory(check: dict[str, Any]) -> Iterator[str]:
    """Precisions whose batch does not fit, and the options with which it does."""
    failed = [
        name
        for name, figures in part(check, 'precisions').items()
        if figures.get('is_out_of_memory')
    ]
    if not failed:
        return
    size = check['batch_size']
    batch = part(check, 'batch')
    options = [
        search['options'] for search in batch.get('searches', []) if search['largest'] >= size
    ]
    yield f'The batch of the config does not fit into memory in {" and ".join(failed)}. ' + (
        f'It fits with {call(batch["precision"], options[0])}.'
        if options
        else 'No option was found with which it fits: use several GPUs with smaller batches.'
    )


def call(precision: str, options: str) -> str:
    """Arguments of a training."""
    return f'--precision {precision}' + (f' --cfg-options {options}' if options else '')


def precision(check: dict[str, Any]) -> Iterator[str]:
    """A faster precision than that of the config, or one that is slower than fp32."""
    found, best = measured_precisions(check), fastest_precision(check)
    seconds = {name: figures['seconds_per_step'] for name, figures in found.items()}
    own = check['precision']
    if best and own in seconds and seconds[own] >= FASTER * seconds[best]:
        yield (
            f'Train with --precision {best}: a step is {seconds[own] / seconds[best]:.1f} times as '
            f'fast as in {own}, the precision of the config.'
        )
    for name in ('bf16', 'fp16'):
        if name in seconds and 'fp32' in seconds and seconds[name] > FASTER * seconds['fp32']:
            yield (
                f'Do not use --precision {name}: this processor computes it '
                f'{seconds[name] / seconds["fp32"]:.1f} times as slowly as fp32.'
            )


def compilation(check: dict[str, Any]) -> Iterator[str]:
    """A compiled backbone that is faster, or computes something else than the CPU."""
    found = part(check, 'compiled')
    name = found.get('precision')
    if name is None:
        return
    if found.get('parity', {}).get('passed') is False:
        yield (
            f'Do not use model.compile_backbone on this machine: in {name}, a step differs from '
            'that of the CPU by more than rounding. Please report it with gpu_check.json.'
        )
        return
    if name != fastest_precision(check):
        return
    faster = check['precisions'][name]['seconds_per_step'] / found['seconds_per_step']
    if faster >= FASTER:
        yield (
            'Train with --cfg-options model.compile_backbone.mode=reduce-overhead: '
            f'in {name}, a step is {faster:.1f} times as fast.'
        )


def waiting_for_host(check: dict[str, Any]) -> Iterator[str]:
    """A GPU that has nothing to do in a part of the step."""
    best = fastest_precision(check)
    figures = {} if best is None else check['precisions'][best]
    share = figures.get('device_share')
    if share is None or share >= BUSY:
        return
    environment = part(check, 'environment')
    fits = 2 * figures.get('reserved_gib', math.inf) < environment.get('total_gib', 0)
    yield (
        f'In {best}, the GPU is busy for {100 * share:.0f} % of a step and waits for Python in the '
        'rest: use a processor with faster cores and leave it to the training'
        + (
            ', or train two runs on this GPU at the same time, such as two seeds, for which its '
            'memory suffices.'
            if fits
            else '.'
        )
    )


def room_for_larger_batches(check: dict[str, Any]) -> Iterator[str]:
    """Memory for at least twice the batch."""
    batch = part(check, 'batch')
    searches = batch.get('searches', [])
    size = check['batch_size']
    if searches and searches[0]['largest'] >= 2 * size:
        yield (
            f'Up to {searches[0]["largest"]} images of each domain fit into a batch in '
            f'{batch["precision"]}, instead of {size}. A larger batch changes the training: '
            'learning rates and figures of the configs are for 4 images, see --auto-scale-lr.'
        )


def slow_loading(check: dict[str, Any]) -> Iterator[str]:
    """A loader that cannot keep up with the steps."""
    loading, best = part(check, 'loading'), fastest_precision(check)
    if not loading or best is None:
        return
    step = check['precisions'][best]['seconds_per_step']
    workers = max(1, min(loading['num_workers'], loading['cores']))
    needed = {
        name: math.ceil(MARGIN * seconds / step)
        for name, seconds in loading['seconds_per_batch'].items()
    }
    if loading['num_workers'] > loading['cores']:
        yield (
            f'The loader has {loading["num_workers"]} processes on {loading["cores"]} cores: set '
            f'train_dataloader.num_workers={loading["cores"]}.'
        )
    if needed['unprepared'] <= workers:
        return
    enough = max(needed['prepared'], workers)
    sentence = f'With num_workers={workers}, loading original images is slower than the steps: '
    if needed['unprepared'] <= loading['cores']:
        sentence += f'set train_dataloader.num_workers={needed["unprepared"]}, or '
    sentence += 'prepare the data (mlcl prepare)'
    if enough > workers:
        sentence += f' and set train_dataloader.num_workers={min(enough, loading["cores"])}'
    if enough > loading['cores']:
        sentence += f', although {enough} cores would be needed'
    yield f'{sentence}.'


def skipped_steps(check: dict[str, Any]) -> Iterator[str]:
    """Precisions in which many steps are not finite."""
    for name, figures in measured_precisions(check).items():
        if figures['skipped_steps'] > SKIPPED * figures['steps']:
            yield (
                f'In {name}, {figures["skipped_steps"]} of {figures["steps"]} steps were not '
                'finite and were skipped, with random weights: watch the log of a training in this '
                'precision for such steps.'
            )


RULES: tuple[Callable[[dict[str, Any]], Iterator[str]], ...] = (
    wrong_results,
    used_by_others,
    out_of_memory,
    precision,
    compilation,
    waiting_for_host,
    room_for_larger_batches,
    slow_loading,
    skipped_steps,
)
