"""IoU per domain, and the mean over the target domains (method.md §2)."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from PIL import Image
from prettytable import PrettyTable
from torch import Tensor

from ..durable_files import write_durably
from ..errors import InputError
from ..global_batch import sum_of_shares
from .iou import iou

# rows of pixels that a GPU counts separately
ROWS = 32


@METRICS.register_module()
class DomainIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` for each domain of a validation set.

    IoU = TP / (TP + FP + FN) over all pixels of a domain that are not ignored. A domain's mIoU is
    the mean over the classes whose union is not empty, so that a class that is predicted but absent
    from the labels has an IoU of 0. ``mIoU`` is the mean over the domains.

    Pixels are counted on the device of the predictions, and the counts of all processes are added
    up once at the end. After an evaluation, :attr:`confusion` contains the counts of each domain
    and :attr:`image_scores` the mIoU of each image.

    Args:
        **kwargs: Keyword arguments of :class:`mmseg.evaluation.IoUMetric`. Predictions are saved as
            ``<output_dir>/<domain>/<sample name>.png``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_images = 0
        # counts of this process by domain, see count_pairs
        self.counts: dict[str, Tensor] = {}
        # pixel counts of all processes by domain, (C, C) int64, label by prediction
        self.confusion: dict[str, Tensor] = {}
        # domain, sample name and mIoU of each image of this process; NaN without labelled pixels
        self.scores: list[tuple[str, str, Tensor]] = []
        # mIoU in percent of the images of all processes, by domain and sorted by sample name
        self.image_scores: dict[str, dict[str, float]] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each sample for its domain, and save predictions if configured."""
        num_classes = len(self.dataset_meta['classes'])
        self.num_images += len(data_samples)
        for data_sample in data_samples:
            domain = data_sample['domain']
            prediction = data_sample['pred_sem_seg']['data'].squeeze(0)
            if not self.format_only:
                label = data_sample['gt_sem_seg']['data'].squeeze(0).to(prediction)
                counts = count_pairs(label, prediction, num_classes, self.ignore_index)
                self.counts[domain] = self.counts.get(domain, 0) + counts
                pairs = counts[: num_classes**2].view(num_classes, num_classes)
                self.scores.append((domain, data_sample['sample_name'], iou(pairs).nanmean()))
            if self.output_dir is not None:
                save_prediction(prediction, prediction_path(self.output_dir, data_sample))

    def evaluate(self, size: int) -> dict[str, float]:
        """Add up the counts of all processes and compute the metrics, which are the same on each.

        Args:
            size (int): Number of images of the validation set.

        Returns:
            dict[str, float]: See :meth:`compute_metrics`; empty with ``format_only``.

        Raises:
            InputError: If images were repeated or skipped, or a label or prediction is not a class.
        """
        counts, scores, num_images = self.counts, self.scores, self.num_images
        self.counts, self.scores, self.num_images = {}, [], 0
        if self.format_only:
            return {}
        num_classes = len(self.dataset_meta['classes'])
        names = [list(self.dataset_meta.get('domains', [])), *all_gather_object(list(counts))]
        domains = list(dict.fromkeys(name for some in names for name in some))
        # a process may have seen no image of a domain
        nothing = torch.zeros(num_classes**2 + 2, dtype=torch.long)
        rows = torch.stack([counts.get(domain, nothing).cpu() for domain in domains])
        total = sum_of_shares(torch.cat([rows.flatten(), torch.tensor([num_images])]))
        found, rows = int(total[-1]), total[:-1].view(len(domains), -1)
        if found != size:
            raise InputError(
                f'{found} images were evaluated, but the validation set has {size}: set '
                'sampler.round_up=False in its dataloader, so that no image is repeated.'
            )
        if rows[:, -1].any():
            raise InputError(
                f'Labels or predictions of {domains[int(rows[:, -1].argmax())]} are outside the '
                f'{num_classes} classes: map the labels, or use a config with their classes.'
            )
        pairs = rows[:, : num_classes**2].view(-1, num_classes, num_classes)
        self.confusion = dict(zip(domains, pairs))
        self.image_scores = gather_scores(domains, scores)
        return self.compute_metrics(self.confusion)

    def compute_metrics(self, results: dict[str, Tensor]) -> dict[str, float]:
        """Compute the metrics, and log a table with the IoU of each class and domain.

        Args:
            results (dict[str, Tensor]): By domain, (C, C) int64 pixel counts, label by prediction.

        Returns:
            dict[str, float]: Values in percent: ``mIoU`` (mean over domains), and
            ``mIoU/<domain>``, ``aAcc/<domain>`` and ``mAcc/<domain>`` for each domain.
        """
        table = PrettyTable()
        table.add_column('class', [*self.dataset_meta['classes'], 'mIoU'])
        metrics: dict[str, float] = {}
        mean_ious = []
        for domain, confusion in results.items():
            correct, labelled = confusion.diag().double(), confusion.sum(1)
            ious = iou(confusion)
            mean_ious.append(ious.nanmean())
            metrics[f'mIoU/{domain}'] = 100 * float(mean_ious[-1])
            metrics[f'aAcc/{domain}'] = 100 * float(correct.sum() / labelled.sum())
            metrics[f'mAcc/{domain}'] = 100 * float((correct / labelled).nanmean())
            table.add_column(domain, [*map(percent, ious), percent(mean_ious[-1])])
        metrics['mIoU'] = 100 * float(torch.stack(mean_ious).mean())
        if is_main_process():
            print_log(f'IoU per class and domain (%):\n{table}', logger='current')
            mean = f'mIoU, mean over {len(results)} domains: {metrics["mIoU"]:.2f}'
            print_log(mean, logger='current')
        return metrics


def prediction_path(folder: str, data_sample: dict) -> Path:
    """The file for a prediction, ``<folder>/<domain>/<sample name>.png``.

    Args:
        folder (str): The folder for all predictions.
        data_sample (dict): The sample, with ``domain`` and ``sample_name``. Its image and label
            are ``img_path`` and ``seg_map_path``, if it has them.

    Raises:
        InputError: If the names lead out of the folder or to the image or label itself.
    """
    name = f'{data_sample["domain"]}/{data_sample["sample_name"]}.png'
    if os.path.isabs(name) or '..' in Path(name).parts:
        raise InputError(f'The prediction {name} would not lie in {folder}: rename the domain.')
    path = Path(folder, name)
    for key in ('img_path', 'seg_map_path'):
        source = data_sample.get(key)
        if source is not None and os.path.realpath(source) == os.path.realpath(path):
            raise InputError(f'{path} is an input and would be overwritten: choose another --out.')
    return path


def save_prediction(prediction: Tensor, path: Path) -> None:
    """Write class indices (H, W) as a PNG file, completely or not at all."""
    with io.BytesIO() as content:
        Image.fromarray(prediction.byte().cpu().numpy()).save(content, 'PNG')
        write_durably(path, content.getvalue(), 'start again with --overwrite')


def count_pairs(label: Tensor, prediction: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Count an image's pixels by label and prediction, exactly and without a synchronisation.

    Args:
        label (Tensor): (H, W) int64 class indices.
        prediction (Tensor): (H, W) int64 class indices from 0.
        num_classes (int): Number of classes C, at most 256.
        ignore_index (int): Label of ignored pixels, from 0 to 255.

    Returns:
        Tensor: (C² + 2,) int64: the counts of the C² pairs (label, prediction), row by row; the
        number of ignored pixels; and the number of pixels whose label or prediction is not a class.
    """
    # 258 rows for the labels from -1 to 256, of which both ends are no classes; one column for
    # predictions that are no classes; their product can exceed 16 bits only with many classes
    width = num_classes + 1
    kind = torch.int16 if 258 * width < 2**15 else torch.int32
    row, column = label.clamp(-1, 256).to(kind) + 1, prediction.clamp(max=num_classes).to(kind)
    counts = histogram(row * width + column, 258 * width).view(258, width)
    pairs, ignored = counts[1:width, :num_classes], counts[ignore_index + 1].sum()
    others = label.numel() - pairs.sum() - ignored
    return torch.cat([pairs.flatten(), torch.stack([ignored, others])])


def histogram(values: Tensor, bins: int) -> Tensor:
    """Count how often each value from 0 to ``bins`` - 1 occurs.

    Args:
        values (Tensor): (H, W) whole numbers.
        bins (int): The number of values.

    Returns:
        Tensor: (bins,) int64.
    """
    if values.is_cuda:
        return parallel_histogram(values, bins)
    return torch.bincount(values.flatten(), minlength=bins)


def parallel_histogram(values: Tensor, bins: int) -> Tensor:
    """Compute :func:`histogram` without the synchronisation of ``torch.bincount`` on GPUs."""
    # separate bins for some rows reduce conflicts between parallel additions
    rows = torch.arange(len(values), device=values.device)[:, None] % ROWS
    counts = values.new_zeros(ROWS * bins, dtype=torch.long)
    counts.scatter_add_(0, (rows * bins + values).flatten(), counts.new_ones(values.numel()))
    return counts.view(ROWS, bins).sum(0)


def gather_scores(
    domains: Sequence[str], scores: Sequence[tuple[str, str, Tensor]]
) -> dict[str, dict[str, float]]:
    """Gather the scores of all processes by domain and name, in percent; NaN is skipped."""
    values = torch.stack([score for *_, score in scores]).tolist() if scores else []
    own = [(domain, name, 100 * value) for (domain, name, _), value in zip(scores, values)]
    every = sorted(each for share in all_gather_object(own) for each in share)
    return {
        domain: {name: value for owner, name, value in every if owner == domain and value == value}
        for domain in domains
    }


def percent(share: Tensor) -> float:
    """Convert a share to percent with two decimals, for the table."""
    return round(float(share) * 100, 2)
