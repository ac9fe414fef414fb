from .domain_iou_metric import DomainIoUMetric
from .iou import iou

__all__ = ['DomainIoUMetric', 'iou']
