"""The discriminators' turn within real, very small runs, and resuming them."""

from pathlib import Path

import pytest
import torch

from .recorded_run import run


def test_both_turns_of_the_step(toy_config):
    config = toy_config('warmup', 3, 3)
    runner, recorder = run(config)
    first, end = recorder.weights[0], recorder.weights['end']
    for bank in ('backbone.conv1', 'domain_heads.0', 'domain_heads.2', 'discriminators.1'):
        changed = [not torch.equal(first[k], end[k]) for k in first if k.startswith(bank)]
        assert any(changed), bank
    assert not any(each.requires_grad for each in runner.model.discriminators.parameters())
    assert runner.model.self_information_maps is None
    for name in ('loss_discriminator', 'discriminator_accuracy'):
        for domain in ('other_day', 'dusk', 'cityscapes'):
            logged = runner.message_hub.get_scalar(f'train/warmup/{name}/{domain}')
            assert len(logged.data[0]) == 3
    assert 0 <= logged.current() <= 1


def test_the_network_never_moves_a_discriminator(toy_config):
    config = toy_config('warmup', 2, 2, custom_hooks=[])
    _, recorder = run(config)
    for name, value in recorder.weights[0].items():
        if name.startswith('discriminators'):
            assert torch.equal(value, recorder.weights['end'][name])


def test_only_checkpoints_for_resuming_hold_them(warmup_checkpoint):
    def holds(path):
        state_dict = torch.load(path, weights_only=False)['state_dict']
        return any(name.startswith('discriminators.') for name in state_dict)

    assert not holds(warmup_checkpoint)
    assert holds(Path(warmup_checkpoint).parent / 'iter_2.pth')


def test_warmup_resumes_both_optimisers(toy_config):
    run(toy_config('warmup', 2, 2))
    config = toy_config('warmup', 3, 2)
    config.load_from = str(Path(config.work_dir, 'iter_2.pth'))
    config.resume = True
    runner, recorder = run(config)
    saved = torch.load(config.load_from, weights_only=False)
    assert list(recorder.weights) == [2, 'end']
    for name, value in saved['state_dict'].items():
        assert torch.equal(recorder.weights[2][name], value), name
    adam = runner.optim_wrapper['discriminators'].optimizer
    assert {state['step'].item() for state in adam.state.values()} == {3}
    assert [group['lr'] for group in adam.param_groups] == [0]


def test_warmup_does_not_resume_without_discriminators(toy_config, warmup_checkpoint):
    config = toy_config('warmup', 3, 3)
    config.load_from, config.resume = warmup_checkpoint, True
    with pytest.raises(ValueError, match=r'resume from iter_\*\.pth, not from best_\*\.pth'):
        run(config)
