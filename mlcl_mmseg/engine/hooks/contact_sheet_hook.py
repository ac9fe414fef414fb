"""Contact sheets of the predictions for a few validation images of each domain."""

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
    """Add a contact sheet of each validation domain to the visualiser's backends.

    A sheet shows image, prediction, label and the columns of the method, see
    ``validation_columns`` of the segmentor. The main process always draws the same images. The hook
    has no influence on training.

    Args:
        interval (int): Number of validations between sheets. The last validation always has a
            sheet. With 0, no sheets are drawn.
        images (int): Number of images per domain, evenly spaced over its validation set.
    """

    def __init__(self, interval: int = 5, images: int = 2) -> None:
        self.interval = interval
        self.images = images

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Draw the sheets if they are due."""
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
        """Whether sheets are drawn after this validation."""
        every = self.interval * runner.train_loop.val_interval
        return every > 0 and (runner.iter % every == 0 or runner.iter == runner.max_iters)


def domain_sheet(
    segmentor: DomainSegmentor, domain: DomainDataset, images: int, title: str
) -> np.ndarray:
    """Draw the contact sheet of one domain.

    Args:
        segmentor (DomainSegmentor): The segmentor, in eval mode.
        domain (DomainDataset): A validation set.
        images (int): Number of images to show.
        title (str): Title at the top of the sheet.

    Returns:
        np.ndarray: (H, W, 3) uint8 RGB.
    """
    classes, palette = domain.metainfo['classes'], domain.metainfo['palette']
    rows = []
    for number in sorted({*np.linspace(0, len(domain), images, endpoint=False).astype(int)}):
        # the validation pipeline may use random numbers
        with seeded(int(number)):
            sample = domain[int(number)]
        columns = validation_columns(segmentor, sample, domain.domain)
        paint = CellPainter(palette, cell_size(sample['inputs'].shape[1:]))
        cells = [paint.column(column)[0] for column in columns.values()]
        rows.append((sample['data_samples'].sample_name, cells))
    return contact_sheet([Section('', [*columns], rows)], [title], classes, palette)


@torch.no_grad()
def validation_columns(segmentor: DomainSegmentor, sample: dict, domain: str) -> Columns:
    """Return image, prediction, label and the method's columns for a validation sample."""
    batch = segmentor.data_preprocessor(pseudo_collate([sample]), False)
    images = batch['inputs']
    label = sample['data_samples'].gt_sem_seg.data
    with segmentor.prediction_context():
        columns = segmentor.validation_columns(images, domain)
    return {
        'image': Images(images),
        'prediction': Classes(images, predicted(segmentor, sample)[None]),
        'truth': Classes(images, label),
        **columns,
    }


@torch.no_grad()
def predicted(segmentor: DomainSegmentor, sample: dict) -> Tensor:
    """Predict the classes of an image, (h, w) at the size of its label."""
    (prediction,) = segmentor.val_step(pseudo_collate([sample]))
    return prediction.pred_sem_seg.data[0]
