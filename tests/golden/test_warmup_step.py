import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mlcl_mmseg.methods.adversarial.losses import gan_loss

from .released import build_segmentor, image_tensor, load_seeded, norms, read_case, resnet

LOSS, NORM = dict(rel=2e-3), dict(rel=1e-2)


@pytest.mark.parametrize('gan', ['vanilla', 'LS'])
def test_step_as_released(gan):
    """Every loss, the gradients of network and discriminators, the first update."""
    case, figures = read_case(f'warmup_step_n2_c7_{gan.lower()}')
    expected = figures['losses']
    model = build_segmentor(
        'AdversarialWarmup',
        2,
        resnet(50, frozen_norm=True),
        gan=gan,
    )
    names = load_seeded(model)
    model.train()
    optim_wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='MultiTargetOptimWrapperConstructor',
            network=dict(optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=1e-4)),
            discriminators=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
            paramwise_cfg=dict(backbone_rates='nested', lr_mult=dict(domain_heads=10)),
        ),
    )
    batch = dict(
        source=dict(
            img=image_tensor(case['source_img']),
            label=torch.from_numpy(case['source_label']).long(),
        ),
        targets=[dict(img=image_tensor(case[f't{i}_img'])) for i in range(2)],
    )

    losses = model.loss(batch)
    for i in range(2):
        source = losses[f'warmup/loss_source/t{i}'].item()
        assert source == pytest.approx(expected[f'source_ce_{i}'], **LOSS)
        adversarial = losses[f'warmup/loss_adversarial/t{i}'].item() / figures['adversarial_weight']
        assert adversarial == pytest.approx(expected[f't{i}_adversarial_unweighted'], **LOSS)

    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    sum(losses.values()).backward()
    assert all(each.grad is None for each in model.discriminators.parameters())
    gradients = {
        name: value.grad.clone()
        for name, value in model.named_parameters()
        if value.grad is not None
    }
    optim_wrapper['network'].step()
    updates = {name: value.detach() - before[name] for name, value in model.named_parameters()}
    wanted = figures['grad_norm']
    assert norms(names, gradients, wanted) == pytest.approx(wanted, **NORM)
    wanted = figures['update_norm_after_sgd_step']
    assert norms(names, updates, wanted) == pytest.approx(wanted, **NORM)

    model.discriminators.requires_grad_(True)
    for i, (source, target) in enumerate(model.discriminators(*model.self_information_maps)):
        loss = gan_loss(source, 0.0, gan) + gan_loss(target, 1.0, gan)
        assert loss.item() == pytest.approx(expected[f't{i}_discriminator'], **LOSS)
        loss.backward()
    gradients = {name: value.grad for name, value in model.named_parameters()}
    wanted = figures['discriminator_grad_norm']
    assert norms(names, gradients, wanted) == pytest.approx(wanted, **NORM)
