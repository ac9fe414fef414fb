"""Measure what the open decisions of method.md §6 change: python -m tests.golden.fidelity."""

import math
from collections.abc import Callable

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmseg.utils import register_all_modules
from torch import Tensor

import mlcl_mmseg  # noqa: F401
from mlcl_mmseg.datasets.transforms.strong import GEOMETRIC_OPS, MAGNITUDES, OPS, flip_matrix
from mlcl_mmseg.methods.mcl import MCLSegmentor
from mlcl_mmseg.models.style import ReinhardTransfer, reinhard_transfer
from mlcl_mmseg.toy_world.looks import LOOKS
from mlcl_mmseg.toy_world.paint import PARTS, draw_scene

from .released import image_tensor, read_case
from .test_mcl_step import CASES, batch_of, build

SGD = dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4)


def losses_and_gradient(model: MCLSegmentor, batch: dict) -> tuple[dict[str, float], Tensor]:
    """The losses, those of self-training summed over targets, and the whole gradient."""
    losses = {name: value for name, value in model.loss(batch).items() if 'loss' in name}
    sum(losses.values()).backward()
    gradients = [each.grad.flatten() for each in model.parameters() if each.grad is not None]
    return {name: value.item() for name, value in losses.items()}, torch.cat(gradients).double()


def compare_step(question: str, change: Callable[[MCLSegmentor], None] | None = None, **options):
    """Print the golden steps as they are and with another option or a changed model."""
    for name in CASES:
        case, figures = read_case(name)
        results = []
        for each in ({}, options):
            model, _ = build(case, figures['targets'], **each)
            if results and change is not None:
                change(model)
            results.append(losses_and_gradient(model, batch_of(case, figures['targets'])))
        (default, gradient), (other, other_gradient) = results
        changed = ', '.join(
            f'{term.removeprefix("mcl/loss_")} {default[term]:.4f} -> {other[term]:.4f}'
            for term in default
            if abs(default[term] - other[term]) > 1e-6
        )
        norm, difference = gradient.norm(), (gradient - other_gradient).norm()
        print(
            f'{question} {name}: {changed}; gradient {norm:.2f} -> {other_gradient.norm():.2f}, '
            f'which differ by {100 * difference / norm:.1f} %'
        )


def compare_transfer() -> None:
    """Print how far colour transfer is from the 8-bit original, and the golden steps with it."""
    case, _ = read_case('colour_transfer')
    found = reinhard_transfer(image_tensor(case['content']), image_tensor(case['style']))
    levels = np.abs(found.mul(255).permute(0, 2, 3, 1).numpy() - case['result'])
    print(
        f'Q8 colour transfer: {levels.mean():.2f} levels of 255 from the original on average, '
        f'{np.percentile(levels, 99):.0f} at the 99th percentile'
    )

    def change(model):
        model.style_transfer = ReinhardTransfer()

    compare_step('Q8', change)


def compare_rates() -> None:
    """Print how far the backbone moves in the first step, as released and at the rate as stated."""
    for name in CASES:
        case, figures = read_case(name)
        moved = {}
        for rates in ('nested', 'stated'):
            model, _ = build(case, figures['targets'])
            optim_wrapper = build_optim_wrapper(
                model,
                dict(
                    constructor='MultiTargetOptimWrapperConstructor',
                    optimizer=SGD,
                    paramwise_cfg=dict(backbone_rates=rates, lr_mult=dict(decode_head=10)),
                ),
            )
            before = [each.detach().clone() for each in model.backbone.parameters()]
            losses = model.loss(batch_of(case, figures['targets']))
            sum(value for term, value in losses.items() if 'loss' in term).backward()
            optim_wrapper.step()
            squares = [
                (after.detach() - each).pow(2).sum()
                for each, after in zip(before, model.backbone.parameters())
            ]
            moved[rates] = sum(squares).sqrt().item()
        print(
            f'Q9 {name}: the first step moves the backbone by {moved["nested"]:.5f} as released, '
            f'{moved["stated"]:.5f} as stated, {moved["nested"] / moved["stated"]:.2f} times'
        )


def released_label_affine(flip: bool, draws: list[tuple[str, int]], size: tuple[int, int]):
    """The released program's label geometry: own order, no repeats, horizontal shift doubled."""
    width, height = size
    affine = flip_matrix(width) if flip else np.eye(3)
    lasting = dict(draws)
    for name in GEOMETRIC_OPS:
        if name in lasting:
            # the shift is divided by the height, where it should be by the width
            magnitude = lasting[name] * (width / height if name == 'translate_x' else 1)
            affine = affine @ GEOMETRIC_OPS[name](magnitude, width, height)
    return affine


def compare_geometry(size: tuple[int, int] = (320, 160), views: int = 4000) -> None:
    """Print how many pseudo-labels the released geometry puts elsewhere than the image's pixel."""
    rng = np.random.default_rng(0)
    width, height = size
    grid = np.stack([*np.meshgrid(np.arange(2, width, 4), np.arange(2, height, 4))]).reshape(2, -1)
    points = np.concatenate([grid, np.ones((1, grid.shape[1]))])
    wrong, views_with_wrong = [], 0
    for _ in range(views):
        flip = rng.random() < 0.5
        affine, draws = flip_matrix(width) if flip else np.eye(3), []
        for _ in range(2):
            name = OPS[rng.integers(len(OPS))]
            magnitude = int(rng.integers(1, MAGNITUDES)) * int(rng.choice((-1, 1)))
            if rng.random() < 0.5 and name in GEOMETRIC_OPS:
                affine = affine @ GEOMETRIC_OPS[name](magnitude, width, height)
                draws.append((name, magnitude))
        image = (affine @ points)[:2]
        label = (released_label_affine(flip, draws, size) @ points)[:2]
        inside = (image >= 0).all(0) & (image[0] < width) & (image[1] < height)
        # more than one pixel of the quarter grid
        far = np.abs(image - label).max(0)[inside] > 4
        wrong.append(far.mean() if inside.any() else math.nan)
        views_with_wrong += far.any()
    print(
        f'Q2 {views} strong views of {width}x{height}: {100 * np.nanmean(wrong):.1f} % of the '
        f'visible pseudo-labels are off by more than a grid pixel as released, in '
        f'{100 * views_with_wrong / views:.1f} % of the views; here none'
    )


def measure_terrain(scenes: int = 40) -> None:
    """Print the share of terrain in each toy domain."""
    for domain, look in LOOKS.items():
        rng = np.random.default_rng(0)
        share = np.mean(
            [
                (draw_scene(rng, look, 256, 128)[1] == PARTS.index('terrain')).mean()
                for _ in range(scenes)
            ]
        )
        print(f'Q3 {domain}: {100 * share:.1f} % of the pixels are terrain')


if __name__ == '__main__':
    register_all_modules()
    compare_step('Q1', cross_sample_mask=False)
    compare_geometry()
    measure_terrain()
    compare_step('Q5', own_features_first=False)
    compare_transfer()
    compare_rates()
