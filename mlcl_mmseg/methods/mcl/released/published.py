"""The authors' published results: tables of test results, and validation curves."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from mmengine.config import Config

from ....datasets.config_domains import size_in
from ....errors import InputError
from ...base import PublishedFigures

# of each stage of the authors' training
ITERATIONS = 60000
BACKBONES = dict(DeepLabV2ResNet='resnet101', DeepLabV2VGG='vgg16', MixTransformer='mit_b5')
# settings of a backbone that do not change its architecture
SAME_NETWORK = ('type', 'init_cfg', 'norm_cfg', 'norm_eval', 'drop_path_rate')
TITLES = dict(resnet101='ResNet-101', vgg16='VGG-16', mit_b5='MiT-B5')
NAMES = dict(gta5='GTA5', cityscapes='Cityscapes', mapillary='Mapillary', idd='IDD')


@cache
def read(name: str) -> dict[str, Any]:
    """Read a file of the authors' results that is part of this package."""
    return json.loads(files(__package__).joinpath(f'published_{name}.json').read_text())


def published_results() -> dict[str, dict]:
    """Return the authors' test results by setting.

    Returns:
        dict[str, dict]: For each setting its source, targets, classes, backbone, and results in
        percent.
    """
    return read('results')


def published_curve(setting: str) -> dict[int, dict[str, float]]:
    """Return the authors' validation results of MCL.

    Args:
        setting (str): Name of the setting, such as 'g2ci_19'.

    Returns:
        dict[int, dict[str, float]]: By iteration, mIoU in percent of each target and 'mean'.

    Raises:
        InputError: If no curve was published for that setting.
    """
    if setting not in read('curves'):
        raise InputError(
            f'The authors published no curve of {setting}, only of {", ".join(read("curves"))}: '
            'compare the final results with docs/results.md.'
        )
    curve = read('curves')[setting]
    columns = curve['columns'][1:]
    return {int(row[0]): dict(zip(columns, row[1:])) for row in curve['validation']}


def setting_of(config: Config) -> str:
    """Find the published setting that a config of MCL trains.

    Args:
        config (Config): A complete config.

    Returns:
        str: Name of the setting, such as 'g2ci_19'.

    Raises:
        InputError: If the authors published no results for such a setting.
    """
    if config.model.type != 'MCLSegmentor':
        raise InputError(
            f'{config.filename} is not a config of MCL, the only method with published results: '
            'use a config with model.type MCLSegmentor.'
        )
    wanted = dict(
        source=config.train_dataloader.dataset.source.domain,
        targets=list(config.model.targets),
        classes=config.model.decode_head.num_classes,
        backbone=backbone_of(config),
    )
    for setting, figures in published_results().items():
        size = working_size(figures)
        if wanted == {key: figures[key] for key in wanted} and size == evaluated_size(config):
            return setting
    raise InputError(
        f'The authors published no results of {wanted["source"]} to '
        f'{", ".join(wanted["targets"])} with {wanted["classes"]} classes and '
        f'{wanted["backbone"]}, evaluated at {evaluated_size(config)}: choose one of '
        f'{", ".join(published_results())} with --setting to compare anyway.'
    )


def published_figures(config: Config) -> PublishedFigures | None:
    """Return the authors' results for the setting that a config trains; None if there are none."""
    try:
        setting = setting_of(config)
    except InputError:
        return None
    found = published_results()[setting]
    logs = read('curves').get(setting)
    return PublishedFigures(
        setting,
        ITERATIONS,
        found['mean_mIoU'],
        found['per_domain'],
        {} if logs is None else published_curve(setting),
        None if logs is None else logs['median_seconds_per_iteration_batch4'],
    )


def backbone_of(config: Config) -> str:
    """Return the authors' name of a config's backbone if it has the authors' architecture."""
    backbone = config.model.backbone
    size = {key: value for key, value in backbone.items() if key not in SAME_NETWORK}
    known = backbone.type in BACKBONES and size in ({}, dict(depth=101))
    return BACKBONES[backbone.type] if known else f'another {backbone.type}'


def working_size(figures: dict) -> tuple[int, int]:
    """Return the (width, height) at which the authors evaluate a setting."""
    if figures['classes'] == 19:
        return 1024, 512
    return (960, 480) if figures['backbone'] == 'mit_b5' else (640, 320)


def evaluated_size(config: Config) -> tuple[int, int] | str:
    """Return the (width, height) at which a config is validated."""
    pipeline = config.val_dataloader.dataset.pipeline
    types = [step.type for step in pipeline]
    size = size_in(pipeline)
    if size is None or 'LoadRawLabel' in types[types.index('Resize') :]:
        return 'full label resolution'
    return size


def compare(
    found: dict[int, dict[str, float]], published: dict[int, dict[str, float]]
) -> dict[int, dict[str, float]]:
    """Compute the differences between a run's validation results and the authors'.

    Args:
        found (dict[int, dict[str, float]]): The run's results: by iteration, mIoU in percent of
            each domain and 'mean'.
        published (dict[int, dict[str, float]]): The authors' results in the same form, see
            :func:`published_curve`.

    Returns:
        dict[int, dict[str, float]]: The run's results minus the authors', at the iterations that
        both have.

    Raises:
        InputError: If the run and the authors have no iteration in common.
    """
    common = sorted(set(found) & set(published))
    if not common:
        raise InputError(
            'The run has no validation at an iteration that the authors validated: validate every '
            f'{min(published)} iterations from {min(published)} to {max(published)}.'
        )
    return {
        iteration: {
            name: found[iteration][name] - value for name, value in published[iteration].items()
        }
        for iteration in common
    }


def fluctuation(curve: dict[int, dict[str, float]]) -> float:
    """Return the median change of a curve's mean between validations, in percentage points."""
    means = [curve[iteration]['mean'] for iteration in sorted(curve)]
    return float(np.median(np.abs(np.diff(means))))


def results_markdown() -> str:
    """Format all published test results as Markdown: the means, then each setting's classes."""
    lines = [
        '| setting | source | backbone | classes | per target | mean |',
        '|---|---|---|---|---|---|',
    ]
    for setting, figures in published_results().items():
        targets = ', '.join(
            f'{NAMES[name]} {each["mIoU"]:.2f}' for name, each in figures['per_domain'].items()
        )
        lines.append(
            f'| {setting} | {NAMES[figures["source"]]} | {TITLES[figures["backbone"]]} '
            f'| {figures["classes"]} | {targets} | **{figures["mean_mIoU"]:.2f}** |'
        )
    for setting, figures in published_results().items():
        lines += ['', f'### {setting}', '', *class_table(figures)]
    return '\n'.join(lines) + '\n'


def class_table(figures: dict) -> list[str]:
    """Return the Markdown table of one setting, with a row per class and a column per target."""
    domains = figures['per_domain']
    head = ['', *(NAMES[name] for name in domains)]
    rows = [head, ['---'] * len(head)]
    for name in next(iter(domains.values())).get('IoU', {}):
        rows.append([name, *(f'{each["IoU"][name]:.2f}' for each in domains.values())])
    for name in ('mIoU', 'aAcc', 'mAcc'):
        if all(name in each for each in domains.values()):
            rows.append([f'**{name}**', *(f'{each[name]:.2f}' for each in domains.values())])
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    if 'note' in figures:
        lines += ['', f'({figures["note"].capitalize()}.)']
    return lines
