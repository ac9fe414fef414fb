"""From loader batches to network inputs."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from ..errors import InputError


@MODELS.register_module()
class MultiDomainDataPreprocessor(SegDataPreProcessor):
    """Images to RGB from 0 to 1, for all domains of a batch.

    Training batches of :class:`MultiDomainDataset` keep their structure; everything else is left
    to :class:`mmseg.models.SegDataPreProcessor`.

    Mean and standard deviation are applied by :meth:`normalise`, which a segmentor calls where
    images enter its backbone. In a step, colours are thus from 0 to 1, as style transfer and
    augmentations on the device expect them.

    Args:
        mean (Sequence[float]): Of red, green and blue, from 0 to 255; 0 as in MCL (method.md §1).
        std (Sequence[float]): Likewise; 255 as in MCL.
        **kwargs: Arguments of :class:`mmseg.models.SegDataPreProcessor`.

    Raises:
        InputError: If a standard deviation is not positive, or there are not three values each.
    """

    def __init__(
        self,
        mean: Sequence[float] = (0, 0, 0),
        std: Sequence[float] = (255, 255, 255),
        **kwargs: Any,
    ) -> None:
        if not len(mean) == len(std) == 3 or min(std) <= 0:
            raise InputError(
                f'data_preprocessor has mean {tuple(mean)} and std {tuple(std)}: give three values '
                'each, of red, green and blue from 0 to 255, and a positive std.'
            )
        super().__init__(mean=(0, 0, 0), std=(255, 255, 255), bgr_to_rgb=True, **kwargs)
        # MMSegmentation's takes no such argument; the host need not wait for copies to the device
        self._non_blocking = True
        self.is_identity = tuple(mean) == (0, 0, 0) and tuple(std) == (255, 255, 255)
        for name, values in (('input_mean', mean), ('input_std', std)):
            tensor = torch.tensor(values, dtype=torch.float32).view(3, 1, 1) / 255
            self.register_buffer(name, tensor, persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) RGB from 0 to 1 to the inputs of the backbone, same shape."""
        return images if self.is_identity else (images - self.input_mean) / self.input_std

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
