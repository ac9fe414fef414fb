"""Pictures of a training: what the network makes of a few validation images of each domain."""

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from ...datasets.domain import DomainDataset
from ...datasets.multi_domain import seeded
from ...methods.base import DomainSegmentor, segmentor_of
from ...visualization.cells import CellPainter, cell_size
from ...visualization.columns import Classes, Columns, Images
from ...visualization.contact_sheet import Section, contact_sheet
from ..runner_access import is_training
from .data_check_hook import validation_domains


@HOOKS.register_module()
class ContactSheetHook(Hook):
    """Adds a contact sheet of each validation domain to the visualiser's backends.

    Image, prediction, label and what the method adds (``validation_columns`` of the segmentor). The
    main process draws, always the same images, and nothing that trains depends on it.

    Args:
        interval (int): Validations between sheets; the last one has a sheet in any case. 0 for
            none at all.
        images (int): Of each domain, evenly spaced over its validation set.
    """

    def __init__(self, interval: int = 5, images: int = 2) -> None:
        self.interval = interval
        self.images = images

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draw if it is due."""
        if not (is_training(runner) and is_main_process() and self.is_due(runner)):
            return
        metrics, segmentor = metrics or {}, segmentor_of(runner)
        for domain in validation_domains(runner):
            title = f'{domain.domain} after {runner.iter} iterations'
            if f'mIoU/{domain.domain}' in metrics:
                title += f', mIoU {metrics[f"mIoU/{domain.domain}"]:.2f} %'
            sheet = domain_sheet(segmentor, domain, self.images, title)
            runner.visualizer.add_image(f'contact_sheet_{domain.domain}', sheet, runner.iter)

    def is_due(self, runner: Runner) -> bool:
        """Whether this validation is one of those that are drawn."""
        every = self.interval * runner.train_loop.val_interval
        return every > 0 and (runner.iter % every == 0 or runner.iter == runner.max_iters)


def domain_sheet(
    segmentor: DomainSegmentor, domain: DomainDataset, images: int, title: str
) -> np.ndarray:
    """The contact sheet of one domain.

    Args:
        segmentor (DomainSegmentor): In eval mode.
        domain (DomainDataset): A validation set.
        images (int): How many of its images.
        title (str): Above all.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    classes, palette = domain.metainfo['classes'], domain.metainfo['palette']
    rows = []
    for number in sorted({*np.linspace(0, len(domain), images, endpoint=False).astype(int)}):
        # the pipeline of a validation may draw
        with seeded(int(number)):
            sample = domain[int(number)]
        columns = validation_columns(segmentor, sample, domain.domain)
        paint = CellPainter(palette, cell_size(sample['inputs'].shape[1:]))
        cells = [paint.column(column)[0] for column in columns.values()]
        rows.append((sample['data_samples'].sample_name, cells))
    return contact_sheet([Section('', [*columns], rows)], [title], classes, palette)


@torch.no_grad()
def validation_columns(segmentor: DomainSegmentor, sample: dict, domain: str) -> Columns:
    """Image, prediction, label and what the method adds, of a sample of a validation set."""
    batch = segmentor.data_preprocessor(pseudo_collate([sample]), False)
    images = batch['inputs']
    label = sample['data_samples'].gt_sem_seg.data
    return {
        'image': Images(images),
        'prediction': Classes(images, predicted(segmentor, sample)[None]),
        'truth': Classes(images, label),
        **segmentor.validation_columns(images, domain),
    }


@torch.no_grad()
def predicted(segmentor: DomainSegmentor, sample: dict) -> Tensor:
    """The classes that are predicted of an image, (h, w) at the size of its label."""
    (prediction,) = segmentor.val_step(pseudo_collate([sample]))
    return prediction.pred_sem_seg.data[0]
