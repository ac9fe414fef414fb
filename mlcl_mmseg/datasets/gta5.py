"""GTA5 (Playing for Data): images/00001.png, labels/00001.png."""

from pathlib import Path

from mmseg.registry import DATASETS

from ..errors import InputError, MissingFileError
from .domain import DomainDataset
from .mat_file import read_numbers

SPLIT_FILE = 'split.mat'
GTA5_SPLITS = ('all', 'train', 'val', 'test')
ASPECT_TOLERANCE = 0.05


@DATASETS.register_module()
class GTA5Domain(DomainDataset):
    """GTA5; its palette PNGs hold Cityscapes ids.

    ``split`` is 'all' (every frame; the default, also for validation) or 'train', 'val' or 'test'
    of the data set's own ``split.mat``.
    """

    domain = 'gta5'
    raw_labels = 'gta5'
    splits = dict(source='all', target='all', validation='all')
    other_files = (SPLIT_FILE,)

    def image_folder(self) -> Path:
        """``images``."""
        return Path(self.data_root, 'images')

    def label_path(self, image: Path) -> Path:
        """``labels``, same file name."""
        return Path(self.data_root, 'labels', image)

    def label_size_fits(self, label_size: tuple[int, int], image_size: tuple[int, int]) -> bool:
        """Whether the aspect ratios are equal within 5 per cent.

        A few frames have labels of another size. Both are resized to the working size, so that
        this does no harm.
        """
        label_width, label_height = label_size
        width, height = image_size
        stretch = (label_width * height) / (label_height * width)
        return abs(stretch - 1) <= ASPECT_TOLERANCE

    def find_images(self, folder: Path) -> list[Path]:
        """All frames, or those that ``split.mat`` lists for the split.

        Raises:
            MissingFileError: If the split needs ``split.mat`` and it is missing, or no image of
                the split is there.
            InputError: If the split is unknown.
        """
        if self.split not in GTA5_SPLITS:
            raise InputError(
                f'split is {self.split!r}, but a split of GTA5Domain is one of '
                f'{", ".join(GTA5_SPLITS)}.'
            )
        images = super().find_images(folder)
        if self.split == 'all':
            return images
        split_file = Path(self.data_root, SPLIT_FILE)
        if not split_file.is_file():
            raise MissingFileError(
                f"{split_file} is missing: split='{self.split}' of GTA5Domain reads it; download "
                "it with the data set or use split='all'."
            )
        try:
            frames = set(map(int, read_numbers(split_file, f'{self.split}Ids')))
        except (OSError, ValueError, OverflowError) as error:
            raise InputError(
                f'{split_file} cannot be read ({error}): download it again.'
            ) from error
        images = [image for image in images if image.stem.isdecimal() and int(image.stem) in frames]
        if not images:
            raise MissingFileError(
                f"{folder} holds no frame of {split_file}'s {self.split!r}: download the missing "
                'parts of the data set, or choose another split.'
            )
        return images
