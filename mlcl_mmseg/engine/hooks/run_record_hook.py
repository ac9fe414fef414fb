"""Records of a run for its report page."""

from pathlib import Path

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...evaluation import DomainIoUMetric
from ...methods.base import segmentor_of
from ...pseudo_labels.store import load_soft_pseudo_label
from ..run_records import (
    ENVIRONMENT,
    PSEUDO_LABELS,
    environment,
    evenly_spaced,
    write_json,
    write_pseudo_label,
    write_validation,
)
from ..runner_access import is_training


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Write the files that :mod:`mlcl_mmseg.engine.run_records` describes to the log's folder.

    No labels of the targets' training images are read, and training is not changed.

    Args:
        num_images (int): Number of pseudo-labels to save per generation and target, evenly spaced
            over the target's images.
    """

    # after PseudoLabelHook, and before ResumeHook, which may repeat a validation
    priority = 97

    def __init__(self, num_images: int = 32) -> None:
        self.num_images = num_images
        self.generation = None

    def before_train(self, runner: Runner) -> None:
        """Save versions and hardware, and some of the first pseudo-labels."""
        if is_main_process():
            device = next(segmentor_of(runner).parameters()).device
            path = Path(runner.log_dir, ENVIRONMENT)
            write_json(path, environment(get_world_size(), device))
            self.keep_pseudo_labels(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Save a validation, and some of the pseudo-labels that were refreshed after it."""
        if not is_training(runner) or not is_main_process():
            return
        for metric in runner.val_loop.evaluator.metrics:
            if isinstance(metric, DomainIoUMetric):
                write_validation(
                    Path(runner.log_dir),
                    runner.iter,
                    metric.dataset_meta,
                    metric.confusion,
                    metric.image_scores,
                )
        self.keep_pseudo_labels(runner)

    def keep_pseudo_labels(self, runner: Runner) -> None:
        """Save some pseudo-labels of the generation in use, once for each generation."""
        dataset = runner.train_loop.dataloader.dataset
        generation = dataset.pseudo_labels
        if generation is None or generation is self.generation:
            return
        self.generation = generation
        segmentor = segmentor_of(runner)
        folder = Path(runner.log_dir, PSEUDO_LABELS, f'iter_{generation.iteration}')
        for target in dataset.targets:
            for number in evenly_spaced(range(len(target)), self.num_images):
                name = target.get_data_info(number)['sample_name']
                stored = load_soft_pseudo_label(generation.path(target.domain, name))
                soft = torch.from_numpy(stored)[None]
                # thresholds are computed for each image alone
                kept = segmentor.hard_pseudo_label(soft, soft.shape[2:])
                write_pseudo_label(
                    folder / target.domain / f'{name}.png', soft[0].argmax(0), kept[0]
                )
