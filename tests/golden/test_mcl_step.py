import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mlcl_mmseg.methods.mcl.geometry import warp_pseudo_label
from mlcl_mmseg.methods.mcl.selection import (
    class_thresholds,
    normalised_entropy,
    select_pseudo_label,
)
from mlcl_mmseg.models.style import StyleTransfer
from mlcl_mmseg.pseudo_labels.encoding import decode, encode

from ..mcl_losses import source_losses, target_losses
from .released import build_segmentor, image_tensor, load_seeded, norms, read_case, resnet

CASES = ['mcl_step_n2_c7', 'mcl_step_n3_c7']
LOSS, NORM = (dict(rel=rel) for rel in (2e-3, 1e-2))


class RecordedStyle(StyleTransfer):
    """The released program's style-transferred images, found by content and style."""

    def __init__(self, case, num_targets):
        super().__init__()
        self.images = {}
        for i in range(num_targets):
            self.add(case, 'source_img', f't{i}_img', f'source_as_t{i}')
            for j in set(range(num_targets)) - {i}:
                self.add(case, f't{i}_img_strong', f't{j}_img_strong', f't{i}_as_t{j}')

    def add(self, case, content, style, result):
        for pair in zip(*(image_tensor(case[name]) for name in (content, style, result))):
            self.images[self.key(*pair[:2])] = pair[2]

    @staticmethod
    def key(content, style):
        return content.numpy().tobytes() + style.numpy().tobytes()

    def forward(self, content, style):
        return torch.stack([self.images[self.key(*pair)] for pair in zip(content, style)])


def strong_affine(hflip, width):
    flipped, straight = [[-1, 0, width], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]
    return torch.tensor([flipped if each else straight for each in hflip], dtype=torch.float32)


def batch_of(case, num_targets):
    width = case['source_img'].shape[2]
    return dict(
        source=dict(
            img=image_tensor(case['source_img']),
            label=torch.from_numpy(case['source_label']).long(),
        ),
        targets=[
            dict(
                img=image_tensor(case[f't{i}_img']),
                strong_img=image_tensor(case[f't{i}_img_strong']),
                soft_pseudo_label=torch.from_numpy(case[f't{i}_soft']),
                strong_affine=strong_affine(case[f't{i}_hflip'], width),
                strong_cutout=torch.from_numpy(case[f't{i}_cutout']),
            )
            for i in range(num_targets)
        ],
    )


def build(case, num_targets, **kwargs):
    model = build_segmentor('MCLSegmentor', num_targets, resnet(50), **kwargs)
    names = load_seeded(model)
    model.style_transfer = RecordedStyle(case, num_targets)
    return model.train(), names


@pytest.mark.parametrize('name', CASES)
def test_selection_and_geometry_are_exact(name):
    case, figures = read_case(name)
    for i in range(figures['targets']):
        soft = torch.from_numpy(case[f't{i}_soft']).float()
        quarter = torch.nn.functional.interpolate(
            soft, scale_factor=0.25, mode='bilinear', align_corners=True
        )
        threshold = class_thresholds(normalised_entropy(quarter), quarter.argmax(1), 7, 0.5)
        np.testing.assert_allclose(threshold, case[f't{i}_entropy_threshold'], rtol=1e-6)

        label = select_pseudo_label(soft)
        np.testing.assert_array_equal(label, case[f't{i}_pseudo'])
        warped = warp_pseudo_label(
            label,
            strong_affine(case[f't{i}_hflip'], soft.shape[3]),
            torch.from_numpy(case[f't{i}_cutout']),
        )
        np.testing.assert_array_equal(warped, case[f't{i}_pseudo_warped'])


@pytest.mark.parametrize('name', CASES)
def test_selection_survives_the_store(name):
    case, figures = read_case(name)
    for i in range(figures['targets']):
        soft = case[f't{i}_soft'].astype(np.float32)
        stored = np.stack([decode(encode(each)) for each in soft])
        label = select_pseudo_label(torch.from_numpy(stored))
        np.testing.assert_array_equal(label, case[f't{i}_pseudo'])


@pytest.mark.parametrize('name', CASES)
def test_step_as_released(name):
    """Every loss, the gradients, the first update and the running statistics."""
    case, figures = read_case(name)
    num_targets, expected = figures['targets'], figures['losses']
    model, names = build(case, num_targets)
    optim_wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='MultiTargetOptimWrapperConstructor',
            optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4),
            paramwise_cfg=dict(backbone_rates='nested', lr_mult=dict(decode_head=10)),
        ),
    )
    batch = batch_of(case, num_targets)

    source = source_losses(model, batch)
    for index, value in enumerate(source):
        assert value.item() == pytest.approx(expected[f'source_ce_{index}'], **LOSS)
    total = sum(source)
    for i in range(num_targets):
        terms = target_losses(model, i, batch['targets'])
        found = dict(
            individual_ref=terms['loss_individual'],
            collaborative_ref=terms['loss_collaborative'],
            ensemble_ref=terms['loss_ensemble'] / 0.05,
            kd=terms['loss_distillation'],
            agreement_mean=terms['agreement'],
            kept=terms['kept_pixels'],
        )
        loss = sum(value for term, value in terms.items() if term.startswith('loss_'))
        found['total_ref'] = loss
        for term, value in found.items():
            assert value.item() == pytest.approx(expected[f't{i}_{term}'], **LOSS), (i, term)
        total = total + loss

    statistics = model.backbone.bn1
    np.testing.assert_allclose(statistics.running_mean, figures['bn1_running_mean'], rtol=1e-3)
    np.testing.assert_allclose(statistics.running_var, figures['bn1_running_var'], rtol=1e-3)

    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    total.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters()}
    optim_wrapper.step()
    updates = {name: value.detach() - before[name] for name, value in model.named_parameters()}
    wanted = figures['grad_norm']
    assert norms(names, gradients, wanted) == pytest.approx(wanted, **NORM)
    all_gradients = torch.stack([value.norm() for value in gradients.values()]).norm()
    assert all_gradients.item() == pytest.approx(figures['grad_norm_total'], **NORM)
    wanted = figures['update_norm_after_sgd_step']
    assert norms(names, updates, wanted) == pytest.approx(wanted, **NORM)


@pytest.mark.parametrize('name', CASES)
def test_loss_adds_up_to_the_released_total(name):
    case, figures = read_case(name)
    num_targets, expected = figures['targets'], figures['losses']
    model, _ = build(case, num_targets)
    with torch.no_grad():
        total, log_vars = model.parse_losses(model.loss(batch_of(case, num_targets)))
    released = expected['source_ce_sum'] + sum(
        expected[f't{i}_total_ref'] for i in range(num_targets)
    )
    assert total.item() == pytest.approx(released, **LOSS)
    assert log_vars['mcl/kept_pixels/t0'].item() == pytest.approx(expected['t0_kept'])


@pytest.mark.parametrize('name', CASES)
def test_plain_masked_mean(name):
    case, figures = read_case(name)
    num_targets, expected = figures['targets'], figures['losses']
    model, _ = build(case, num_targets, cross_sample_mask=False)
    targets = batch_of(case, num_targets)['targets']
    with torch.no_grad():
        for i in range(num_targets):
            terms = target_losses(model, i, targets)
            for term, weight in (('individual', 1), ('collaborative', 1), ('ensemble', 0.05)):
                value = terms[f'loss_{term}'].item() / weight
                assert value == pytest.approx(expected[f't{i}_{term}'], **LOSS)


@pytest.mark.parametrize('name', CASES)
def test_step_in_bfloat16(name):
    """Losses within 3 %."""
    case, figures = read_case(name)
    num_targets, expected = figures['targets'], figures['losses']
    model, _ = build(case, num_targets)
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        total, _ = model.parse_losses(model.loss(batch_of(case, num_targets)))
    released = expected['source_ce_sum'] + sum(
        expected[f't{i}_total_ref'] for i in range(num_targets)
    )
    assert total.item() == pytest.approx(released, rel=0.03)
