"""The best and the worst images of each domain, with their labels and the runs' predictions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.runner import load_checkpoint
from mmseg.registry import DATASETS, MODELS
from PIL import Image

from ..engine.precision import precision_of, predict_in
from ..errors import InputError
from ..labels import IGNORE_INDEX
from ..safe_load import use_safe_loading
from .groups import Group, leader
from .markup import Markup, inline_image, paragraph, section, tag
from .run import Run

# largest width of an image on the page, in pixels
WIDEST = 480


class Scene(NamedTuple):
    """A validation image.

    Attributes:
        image (np.ndarray): (H, W, 3) uint8 RGB.
        label (np.ndarray): (h, w) uint8 class indices, 255 = ignore.
        prediction (np.ndarray): (h, w) uint8 class indices.
    """

    image: np.ndarray
    label: np.ndarray
    prediction: np.ndarray


class Album(NamedTuple):
    """The predictions of a group.

    Attributes:
        group (Group): The group; its first run made the predictions.
        record (dict[str, Any]): Record of the best validation of that run, see
            :func:`write_validation`.
        scenes (dict[tuple[str, str], Scene]): Scenes by domain and image name.
    """

    group: Group
    record: dict[str, Any]
    scenes: dict[tuple[str, str], Scene]


def choose(record: dict[str, Any], count: int) -> dict[str, dict[str, str]]:
    """Choose the best and the worst images of each domain.

    Args:
        record (dict[str, Any]): Record of the best validation, see :func:`write_validation`.
        count (int): Number of best and of worst images per domain. There are fewer if the domain
            has fewer images, as no image is chosen twice.

    Returns:
        dict[str, dict[str, str]]: 'best' or 'worst' by domain and image name, from the best image
        to the worst.
    """
    chosen = {}
    for domain, scores in record['images'].items():
        names = sorted(scores, key=scores.get, reverse=True)
        worst = names[max(count, len(names) - count) :]
        chosen[domain] = {**dict.fromkeys(names[:count], 'best'), **dict.fromkeys(worst, 'worst')}
    return chosen


@torch.no_grad()
def predict(run: Run, chosen: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], Scene]:
    """Predict some validation images with the best checkpoint of a run.

    Args:
        run (Run): The run.
        chosen (Mapping[str, Iterable[str]]): Names of images by domain. Images that the run is not
            validated on are skipped.

    Returns:
        dict[tuple[str, str], Scene]: Scenes by domain and image name.

    Raises:
        InputError: If the checkpoint or the data have been moved or are damaged.
    """
    if run.best_checkpoint is None:
        raise InputError(f'{run.name} no longer has the checkpoint of its best validation.')
    use_safe_loading()
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    segmentor = MODELS.build(run.config.model)
    load_checkpoint(segmentor, str(run.best_checkpoint), map_location='cpu')
    segmentor.to(device).eval()
    predict_in(segmentor, precision_of(run.config.get('optim_wrapper')))
    scenes = {}
    for dataset in DATASETS.build(run.config.val_dataloader.dataset).datasets:
        places = {dataset.get_data_info(k)['sample_name']: k for k in range(len(dataset))}
        for name in chosen.get(dataset.domain, []):
            if name in places:
                sample = dataset[places[name]]
                batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
                (result,) = segmentor.test_step(batch)
                scenes[dataset.domain, name] = Scene(
                    sample['inputs'].flip(0).permute(1, 2, 0).numpy(),
                    result.gt_sem_seg.data[0].byte().cpu().numpy(),
                    result.pred_sem_seg.data[0].byte().cpu().numpy(),
                )
    return scenes


def pictures(groups: Sequence[Group], count: int) -> Markup:
    """The section with images, labels and predictions, for the best and worst images.

    The best and worst images are those of the best group.

    Args:
        groups (Sequence[Group]): The groups; their first runs predict.
        count (int): Number of best and of worst images per domain; 0 for no images.

    Returns:
        Markup: The section. It says which runs could not predict, and why.
    """
    best = leader(groups)
    record = None if best is None else best.first.best_record
    parts, reasons = [], []
    if count == 0:
        reasons.append('No images were requested.')
    elif best is None or record is None:
        reasons.append('These runs stored no figures of single images.')
    else:
        chosen = choose(record, count)
        albums = []
        for group in groups:
            if kept := group.first.best_record:
                try:
                    albums.append(Album(group, kept, predict(group.first, chosen)))
                except InputError as error:
                    reasons.append(f'No images of {group.first.name}: {error}')
        for domain, names in chosen.items():
            drawn = [row(domain, name, kind, best, albums) for name, kind in names.items()]
            if any(drawn):
                parts.append([tag('h3', domain), drawn])
        if parts:
            reasons.append(
                f'The {count} best and the {count} worst images of each domain by their own mIoU '
                f'(%), the mean over the classes in its label or prediction, at the best '
                f'validation of {best.first.name}. Hatched: not labelled.'
            )
    return section(
        'Best and worst images',
        parts,
        [paragraph(each) for each in reasons],
        id='images',
    )


def row(
    domain: str,
    name: str,
    kind: str,
    best: Group,
    albums: Sequence[Album],
) -> Markup | None:
    """A row with an image, its label and its predictions; None if no group predicted it.

    Args:
        domain (str): The domain.
        name (str): Name of the image.
        kind (str): 'best' or 'worst'.
        best (Group): The best group, whose image and label are shown if it predicted them.
        albums (Sequence[Album]): The predictions of the groups.
    """
    found = [album for album in albums if (domain, name) in album.scenes]
    if not found:
        return None
    reference = next((album for album in found if album.group is best), found[0])
    scene, palette = reference.scenes[domain, name], reference.record['palette']
    size = thumbnail_size(scene.image)
    cells: list[tuple[Image.Image, Sequence[str]]] = [
        (Image.fromarray(scene.image).resize(size), 'image'),
        (coloured(scene.label, palette, size), 'truth'),
    ]
    for group, record, scenes in found:
        predicted = scenes[domain, name].prediction
        score = record['images'].get(domain, {}).get(name)
        mark = tag('i', class_=f'dot colour-{group.colour}')
        name_of = tag('span', mark, group.first.name, class_='name')
        title = [name_of, '' if score is None else f' {score:.1f}']
        cells.append((coloured(predicted, record['palette'], size), title))
    figures = [
        tag('figure', inline_image(image, f'{name}, {domain}'), tag('figcaption', title))
        for image, title in cells
    ]
    return tag(
        'div', tag('p', f'{kind}: ', tag('code', name), class_='file'), figures, class_='scene'
    )


def thumbnail_size(image: np.ndarray) -> tuple[int, int]:
    """The size (width, height) in pixels of an image (H, W, 3) on the page."""
    height, width = image.shape[:2]
    share = min(1, WIDEST / width)
    return round(width * share), round(height * share)


def coloured(indices: np.ndarray, palette: Sequence, size: tuple[int, int]) -> Image.Image:
    """Class indices (h, w) as an image in the colours of the classes.

    Ignored pixels are transparent.
    """
    image = Image.fromarray(indices)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    image.putpalette(colours.tobytes())
    image.info['transparency'] = IGNORE_INDEX
    return image.resize(size, Image.Resampling.NEAREST)
