"""From loader batches to network inputs."""

from typing import Any

from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import InputError


@MODELS.register_module()
class MultiDomainDataPreprocessor(SegDataPreProcessor):
    """Images to RGB from 0 to 1, without mean and std (method.md §1), for all domains of a batch.

    Training batches of :class:`MultiDomainDataset` keep their structure; everything else is left
    to :class:`mmseg.models.SegDataPreProcessor`.

    Args:
        **kwargs: Those of :class:`mmseg.models.SegDataPreProcessor`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(mean=(0, 0, 0), std=(255, 255, 255), bgr_to_rgb=True, **kwargs)
        # MMSegmentation's takes no such argument; the host need not wait for copies to the device
        self._non_blocking = True

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Prepare a batch.

        Args:
            data (dict): ``dict(source=dict, targets=[dict, ...])`` of stacked tensors, or MMSeg's
                ``dict(inputs=[...], data_samples=[...])``.
            training (bool): Whether the batch is for training.

        Returns:
            dict: ``inputs`` and ``data_samples``. Of a training batch, ``inputs`` has the batch's
            structure with images (B, 3, H, W) float RGB from 0 to 1 and labels (B, H, W) int64;
            ``data_samples`` is None.

        Raises:
            InputError: If images to be predicted together differ in size.
        """
        if 'source' not in data:
            sizes = sorted({(image.shape[2], image.shape[1]) for image in data['inputs']})
            if not training and len(sizes) > 1:
                raise InputError(
                    f'Images of one batch are {" and ".join(map("{0[0]}x{0[1]}".format, sizes))}: '
                    'resize them to one size in the pipeline, or set the batch_size to 1.'
                )
            return super().forward(data, training)
        data = self.cast_data(data)
        batch = dict(
            source=self.convert_domain(data['source']),
            targets=[self.convert_domain(target) for target in data['targets']],
        )
        return dict(inputs=batch, data_samples=None)

    def convert_domain(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Convert the images and the label of one domain's part of a batch."""
        converted = dict(sample)
        for key in ('img', 'strong_img'):
            if key in sample:
                converted[key] = self.convert_image(sample[key])
        if 'label' in sample:
            converted['label'] = sample['label'].long()
        return converted

    def convert_image(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 BGR to float RGB from 0 to 1."""
        return image.flip(1).float() / 255
