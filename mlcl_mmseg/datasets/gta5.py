"""GTA5 (Playing for Data): images/00001.png, labels/00001.png."""

import json
import subprocess
import sys
from pathlib import Path

from mmseg.registry import DATASETS

from ..errors import InputError, MissingFileError
from ..labels import IGNORE_INDEX, RawLabels
from .domain import DomainDataset

READ_ARRAY = """
import json, sys
from scipy.io import loadmat
path, name = sys.argv[1:]
print(json.dumps(loadmat(path, variable_names=[name])[name].ravel().tolist()))
"""
READ_SECONDS = 120
SPLIT_FILE = 'split.mat'
GTA5_SPLITS = ('all', 'train', 'val', 'test')

_ = IGNORE_INDEX
# the 7-class column follows the published results, where terrain is flat
# fmt: off
RAW_LABELS: RawLabels = {
    0: ('unlabeled', _, _),
    1: ('ego vehicle', _, _),
    2: ('rectification border', _, _),
    3: ('out of roi', _, _),
    4: ('static', _, _),
    5: ('dynamic', _, _),
    6: ('ground', _, _),
    7: ('road', 0, 0),
    8: ('sidewalk', 0, 1),
    9: ('parking', _, _),
    10: ('rail track', _, _),
    11: ('building', 1, 2),
    12: ('wall', 1, 3),
    13: ('fence', 1, 4),
    14: ('guard rail', _, _),
    15: ('bridge', _, _),
    16: ('tunnel', _, _),
    17: ('pole', 2, 5),
    18: ('polegroup', _, _),
    19: ('traffic light', 2, 6),
    20: ('traffic sign', 2, 7),
    21: ('vegetation', 3, 8),
    22: ('terrain', 0, 9),
    23: ('sky', 4, 10),
    24: ('person', 5, 11),
    25: ('rider', 5, 12),
    26: ('car', 6, 13),
    27: ('truck', 6, 14),
    28: ('bus', 6, 15),
    29: ('caravan', _, _),
    30: ('trailer', _, _),
    31: ('train', 6, 16),
    32: ('motorcycle', 6, 17),
    33: ('bicycle', 6, 18),
}
# fmt: on


@DATASETS.register_module()
class GTA5Domain(DomainDataset):
    """GTA5, whose labels are palette PNGs with the ids of Cityscapes.

    ``split`` is 'all' (every frame; the default, also for validation), or it is 'train', 'val' or
    'test' as defined by the file ``split.mat`` of the data set.
    """

    domain = 'gta5'
    raw_labels = RAW_LABELS
    splits = dict(source='all', target='all', validation='all')
    # the labels of a few frames differ in size from the image, which does no harm, since both are
    # resized to the working size
    label_aspect_tolerance = 0.05
    other_files = (SPLIT_FILE,)

    def image_folder(self) -> Path:
        """Return ``images``."""
        return Path(self.data_root, 'images')

    def label_path(self, image: Path) -> Path:
        """Return the file of the same name in ``labels``."""
        return Path(self.data_root, 'labels', image)

    def find_images(self, folder: Path) -> list[Path]:
        """Return all frames, or the frames that ``split.mat`` lists for the split.

        Raises:
            MissingFileError: If the split needs ``split.mat`` and that file is missing, or if the
                split has no image.
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
                f"{split_file} is missing, but split='{self.split}' of GTA5Domain needs it: "
                "download it with the data set or use split='all'."
            )
        frames = read_frames(split_file, f'{self.split}Ids')
        images = [image for image in images if image.stem.isdecimal() and int(image.stem) in frames]
        if not images:
            raise MissingFileError(
                f'{folder} contains no frame of the split {self.split!r} of {split_file}: download '
                'the missing parts of the data set, or choose another split.'
            )
        return images


def read_frames(path: Path, name: str) -> set[int]:
    """Read frame numbers from a MATLAB file.

    SciPy's reader crashes on some damaged files, so it runs in a process of its own.

    Args:
        path (Path): The file.
        name (str): The name of the array in the file.

    Returns:
        set[int]: The frame numbers.

    Raises:
        InputError: If the file cannot be read or has no array of integers with this name.
    """
    command = [sys.executable, '-c', READ_ARRAY, str(path), name]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding='utf-8',
            errors='replace',
            timeout=READ_SECONDS,
        )
        # the last line of a traceback names the error
        reason = (done.stderr.strip() or f'exit code {done.returncode}').splitlines()[-1]
        if done.returncode == 0:
            return {int(frame) for frame in json.loads(done.stdout)}
    except (subprocess.TimeoutExpired, ValueError, TypeError, OverflowError) as error:
        reason = str(error)
    raise InputError(f'{path} cannot be read ({reason}): download it again.')
