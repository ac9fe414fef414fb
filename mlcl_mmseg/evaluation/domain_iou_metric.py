"""IoU per domain, and the mean over the target domains (method.md §2)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from PIL import Image
from prettytable import PrettyTable
from torch import Tensor


@METRICS.register_module()
class DomainIoUMetric(IoUMetric):
    """:class:`mmseg.evaluation.IoUMetric` for each domain of a validation set.

    IoU = TP / (TP + FP + FN) over all pixels of a domain that are not ignored. A domain's mIoU is
    the mean over the classes whose union is not empty: a class that is absent from the labels but
    predicted counts 0. ``mIoU`` is the mean over the domains.

    Args:
        **kwargs: Those of :class:`mmseg.evaluation.IoUMetric`. Predictions go to
            ``<output_dir>/<domain>/<sample name>.png``.
    """

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count each sample's pixels under the name of its domain; save it if asked to."""
        num_classes = len(self.dataset_meta['classes'])
        for data_sample in data_samples:
            domain = data_sample['domain']
            prediction = data_sample['pred_sem_seg']['data'].squeeze(0)
            if not self.format_only:
                label = data_sample['gt_sem_seg']['data'].squeeze(0).to(prediction)
                counts = self.intersect_and_union(prediction, label, num_classes, self.ignore_index)
                self.results.append((domain, *counts))
            if self.output_dir is not None:
                path = Path(self.output_dir, domain, f'{data_sample["sample_name"]}.png')
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(prediction.byte().cpu().numpy()).save(path)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Print the table of classes and domains.

        Returns:
            dict[str, float]: Percent: ``mIoU`` (mean over domains), and ``mIoU/<domain>``,
            ``aAcc/<domain>``, ``mAcc/<domain>``.
        """
        if self.format_only:
            return super().compute_metrics(results)
        domains = list(dict.fromkeys(domain for domain, *_ in results))
        table = PrettyTable()
        table.add_column('class', [*self.dataset_meta['classes'], 'mIoU'])
        metrics: dict[str, float] = {}
        mean_ious = []
        for domain in domains:
            areas = zip(*(areas for name, *areas in results if name == domain))
            scores = self.total_area_to_metrics(*(sum(area).double() for area in areas))
            mean_ious.append(np.nanmean(scores['IoU']))
            metrics[f'mIoU/{domain}'] = 100 * float(mean_ious[-1])
            metrics[f'aAcc/{domain}'] = 100 * float(scores['aAcc'])
            metrics[f'mAcc/{domain}'] = 100 * float(np.nanmean(scores['Acc']))
            table.add_column(domain, [*map(percent, scores['IoU']), percent(mean_ious[-1])])
        metrics['mIoU'] = 100 * float(np.mean(mean_ious))
        print_log(f'IoU per class and domain (%):\n{table}', logger='current')
        print_log(
            f'mIoU, mean over {len(domains)} domains: {metrics["mIoU"]:.2f}', logger='current'
        )
        return metrics

    @staticmethod
    def intersect_and_union(
        pred_label: Tensor, label: Tensor, num_classes: int, ignore_index: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Exact pixel counts of one image: intersection, union, prediction, label.

        Args:
            pred_label (Tensor): (H, W) class indices.
            label (Tensor): (H, W) class indices.
            num_classes (int): C.
            ignore_index (int): Label that is not counted.

        Returns:
            tuple[Tensor]: Four times (C,) int64, on the CPU.
        """
        mask = label != ignore_index
        pair = label[mask].long() * num_classes + pred_label[mask].long()
        confusion = torch.bincount(pair, minlength=num_classes**2).view(num_classes, num_classes)
        intersection = confusion.diag()
        predicted, labelled = confusion.sum(0), confusion.sum(1)
        counts = intersection, predicted + labelled - intersection, predicted, labelled
        return tuple(count.cpu() for count in counts)


def percent(share: float) -> float:
    """A share in percent with two decimals, for the table."""
    return round(float(share) * 100, 2)
