from pathlib import Path

import numpy as np
import pytest
from mmseg.registry import DATASETS

SHARED = Path(__file__).parents[3] / 'shared'
GOLDEN = SHARED / 'golden' / 'loader_cityscapes_aachen_000000.npz'
CITYSCAPES = SHARED / 'data' / 'cityscapes'


@pytest.mark.skipif(
    not (GOLDEN.is_file() and CITYSCAPES.is_dir()), reason='shared/ is absent (see its licences)'
)
@pytest.mark.parametrize(('num_classes', 'scale'), [(7, (640, 320)), (19, (1024, 512))])
def test_real_image_and_label(num_classes, scale):
    domain = DATASETS.build(
        dict(
            type='CityscapesDomain',
            data_root=CITYSCAPES,
            num_classes=num_classes,
            role='validation',
            split='train',
            pipeline=[
                dict(
                    type='LoadImageFromFile',
                    imdecode_backend='pillow',
                    color_type='color_ignore_orientation',
                ),
                dict(type='LoadAnnotations', imdecode_backend='pillow'),
                dict(type='Resize', scale=scale, keep_ratio=False, backend='pillow'),
                dict(type='MapLabels'),
            ],
        )
    )
    names = [domain.get_data_info(index)['sample_name'] for index in range(len(domain))]
    (index,) = (i for i, name in enumerate(names) if name.startswith('aachen/aachen_000000'))
    sample = domain[index]
    image = sample['img'][..., ::-1]

    golden = np.load(GOLDEN)
    patch = golden[f'image_c{num_classes}_rows100_164_cols200_328']
    np.testing.assert_array_equal(image[100:164, 200:328], patch)
    np.testing.assert_array_equal(sample['gt_seg_map'], golden[f'label_c{num_classes}'])
    means = golden[f'image_mean_c{num_classes}']
    np.testing.assert_allclose(image.mean((0, 1)), means, rtol=1e-6)
