"""An encoder-decoder whose predictions have the size that they are compared at."""

from mmseg.models import EncoderDecoder
from torch import Tensor


class DomainSegmentor(EncoderDecoder):
    """:class:`mmseg.models.EncoderDecoder`, evaluated at the size of the loaded label."""

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict, at the size of the label where there is one, else at the image's own size.

        The place of ``LoadAnnotations`` in the pipeline thus decides how a model is evaluated:
        before ``Resize`` at the working size, which is the paper's protocol (method.md §2), after
        it at full label resolution.
        """
        for data_sample in data_samples or []:
            if 'gt_sem_seg' in data_sample:
                data_sample.set_metainfo(dict(ori_shape=tuple(data_sample.gt_sem_seg.shape)))
        return super().predict(inputs, data_samples)
