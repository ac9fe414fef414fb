"""Stored pseudo-labels within real, very small runs: made, refreshed, resumed, damaged."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mlcl_mmseg.datasets import MultiDomainDataset, StreamPosition
from mlcl_mmseg.engine import PseudoLabelHook
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration, generations, load_soft_pseudo_label

from .recorded_run import run


def mlcl_config(toy_config, load_from, max_iters=4, **options):
    config = toy_config('mlcl', max_iters, 1, load_from=load_from, **options)
    config.custom_hooks[0].update(interval=2, batch_size=2)
    return config


def test_initial_labels_are_the_warmup_heads_softmax(toy_config, warmup_checkpoint):
    config = mlcl_config(toy_config, warmup_checkpoint, max_iters=1)
    runner, recorder = run(config)
    model = runner.model.eval()
    model.load_state_dict(recorder.weights[0])
    (generation,) = generations(Path(config.work_dir, 'pseudo_labels'))
    assert generation.iteration == 0
    for index, domain in enumerate(runner.train_dataloader.dataset.targets):
        hook = next(h for h in runner.hooks if type(h).__name__ == 'PseudoLabelHook')
        for number in range(len(domain)):
            sample = hook.pipeline(domain.get_data_info(number))
            path = generation.path(domain.domain, sample['data_samples'].sample_name)
            image = sample['inputs'][None].flip(1).float() / 255
            expected = model.domain_heads[index](model.extract_feat(image)).softmax(1)[0]
            found = torch.from_numpy(load_soft_pseudo_label(path))
            torch.testing.assert_close(found, expected.detach(), atol=2e-3, rtol=0)
            assert found.shape == (7, 5, 9)


@pytest.mark.parametrize('num_workers', [0, 1])
def test_refresh(toy_config, warmup_checkpoint, falling_scores, num_workers):
    config = mlcl_config(
        toy_config,
        warmup_checkpoint,
        **{
            'train_dataloader.num_workers': num_workers,
            'default_hooks.checkpoint.max_keep_ckpts': -1,
        },
    )
    runner, recorder = run(config)
    root = Path(config.work_dir, 'pseudo_labels')
    # at 2, not at the last iteration
    assert [each.iteration for each in generations(root)] == [0, 2]

    # the network goes back to the best checkpoint, of iteration 1; the optimiser goes on
    left_by_2 = torch.load(Path(config.work_dir, 'iter_2.pth'), weights_only=False)
    for name, value in recorder.weights[2].items():
        assert torch.equal(value, recorder.weights[1][name]), name
    moved = [
        not torch.equal(value, recorder.weights[1][name])
        for name, value in left_by_2['state_dict'].items()
    ]
    assert any(moved)
    for key, state in left_by_2['optimizer']['state'].items():
        assert torch.equal(recorder.momenta[2][key], state['momentum_buffer'])

    # the stream goes on where it was, with labels of the generation in use
    first, second = generations(root)
    dataset: MultiDomainDataset = runner.train_dataloader.dataset
    for step, batch in enumerate(recorder.batches):
        dataset.pseudo_labels = first if step < 2 else second
        for place in range(2):
            sample = dataset[StreamPosition(0, 2 * step + place)]
            assert batch['source']['img_path'][place] == sample['source']['img_path']
            for found, target in zip(batch['targets'], sample['targets']):
                for key in ('img', 'strong_img', 'soft_pseudo_label', 'strong_affine'):
                    assert torch.equal(found[key][place], target[key]), (step, key)
    labels = [load_soft_pseudo_label(each.path('dusk', '0')) for each in (first, second)]
    assert abs(labels[0] - labels[1]).max() > 0


def resume(toy_config, load_from, iteration, max_iters=5):
    config = mlcl_config(toy_config, load_from, max_iters)
    config.load_from = str(Path(config.work_dir, f'iter_{iteration}.pth'))
    config.resume = True
    config.experiment_name += '_resumed'
    return run(config)


def test_resume_takes_up_the_generation_in_use(toy_config, warmup_checkpoint):
    run(mlcl_config(toy_config, warmup_checkpoint, max_iters=3))
    runner, recorder = resume(toy_config, warmup_checkpoint, 3)
    assert len(recorder.batches) == 2
    root = Path(runner.work_dir, 'pseudo_labels')
    assert [each.iteration for each in generations(root)] == [2, 4]
    dataset = runner.train_dataloader.dataset
    dataset.pseudo_labels = generations(root)[0]
    sample = dataset[StreamPosition(0, 2 * 3)]
    found = recorder.batches[0]
    assert found['source']['img_path'][0] == sample['source']['img_path']
    found = found['targets'][0]['soft_pseudo_label'][0]
    assert torch.equal(found, sample['targets'][0]['soft_pseudo_label'])


def test_resume_at_a_refresh_repeats_it(toy_config, warmup_checkpoint, falling_scores, monkeypatch):
    """Killed while the labels of iteration 2 are made: the best is loaded, labels are made."""
    generate = PseudoLabelHook.generate

    def killed(hook, runner, *args):
        if runner.iter == 2:
            raise KeyboardInterrupt
        return generate(hook, runner, *args)

    monkeypatch.setattr(PseudoLabelHook, 'generate', killed)
    with pytest.raises(KeyboardInterrupt):
        run(mlcl_config(toy_config, warmup_checkpoint, max_iters=3))
    monkeypatch.setattr(PseudoLabelHook, 'generate', generate)
    runner, recorder = resume(toy_config, warmup_checkpoint, 2, max_iters=3)
    root = Path(runner.work_dir, 'pseudo_labels')
    assert [each.iteration for each in generations(root)] == [0, 2]
    assert runner.train_dataloader.dataset.pseudo_labels.iteration == 2
    best = torch.load(Path(runner.work_dir, 'best_mIoU_iter_1.pth'), weights_only=False)
    for name, value in best['state_dict'].items():
        assert torch.equal(recorder.weights[2][name], value), name


def test_resume_without_its_labels(toy_config, warmup_checkpoint):
    config = mlcl_config(toy_config, warmup_checkpoint, max_iters=3)
    run(config)
    shutil.rmtree(Path(config.work_dir, 'pseudo_labels/iter_2'))
    message = r'iter_2 is missing or has no valid manifest.json, and the weights .* are missing'
    with pytest.raises(FileNotFoundError, match=message):
        resume(toy_config, warmup_checkpoint, 3)


@pytest.mark.parametrize('gone', ['checkpoint', 'weights beside them'])
def test_damaged_labels_are_made_anew(toy_config, warmup_checkpoint, falling_scores, gone):
    """With the weights that made them; the network goes on with its own weights.

    The checkpoint that had these weights need not exist: a later best one may have replaced it.
    Generations of earlier versions have only the checkpoint.
    """
    config = mlcl_config(toy_config, warmup_checkpoint, max_iters=3)
    run(config)
    generation = PseudoLabelGeneration(Path(config.work_dir, 'pseudo_labels'), 2)
    checkpoint = Path(generation.manifest.checkpoint)
    (checkpoint if gone == 'checkpoint' else generation.network_path).unlink()
    path = Path(generation.path('dusk', '0'))
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    runner, recorder = resume(toy_config, warmup_checkpoint, 3, max_iters=4)
    assert path.read_bytes() == whole
    assert generation.find_damage() is None and generation.network_path.is_file()
    resumed = torch.load(Path(runner.work_dir, 'iter_3.pth'), weights_only=False)
    for name, value in resumed['state_dict'].items():
        assert torch.equal(recorder.weights[3][name], value), name


@pytest.mark.parametrize('damage', ['other', 'cut', 'missing'])
def test_damaged_labels_without_the_weights_that_made_them(
    toy_config, warmup_checkpoint, falling_scores, damage
):
    config = mlcl_config(toy_config, warmup_checkpoint, max_iters=3)
    run(config)
    generation = PseudoLabelGeneration(Path(config.work_dir, 'pseudo_labels'), 2)
    Path(generation.path('dusk', '0')).unlink()
    Path(generation.manifest.checkpoint).unlink()
    if damage == 'other':
        shutil.copy(warmup_checkpoint, generation.network_path)
    elif damage == 'cut':
        generation.network_path.write_bytes(generation.network_path.read_bytes()[:1000])
    else:
        generation.network_path.unlink()
    message = r'dusk has .*, and the weights that made .*network.pth, are missing or damaged: res'
    with pytest.raises(FileNotFoundError, match=message):
        resume(toy_config, warmup_checkpoint, 3, max_iters=4)


def test_a_new_run_does_not_take_what_an_old_one_left(toy_config, warmup_checkpoint):
    config = mlcl_config(toy_config, warmup_checkpoint, max_iters=1)
    root = Path(config.work_dir, 'pseudo_labels')
    for iteration in (40000, 50000):
        (root / f'iter_{iteration}').mkdir(parents=True)
    run(config)
    assert [each.iteration for each in generations(root)] == [0]


@pytest.mark.parametrize(
    ('key', 'other'),
    [('targets', ['dusk', 'other_day', 'cityscapes']), ('source', 'night')],
)
def test_warmup_of_another_setting(toy_config, warmup_checkpoint, key, other):
    checkpoint = torch.load(warmup_checkpoint, weights_only=False)
    meta = checkpoint['meta']['dataset_meta']
    assert meta['source'] == 'day'
    assert meta['targets'] == ['other_day', 'dusk', 'cityscapes']
    meta[key] = other
    torch.save(checkpoint, warmup_checkpoint)
    with pytest.raises(ValueError, match=f'trained with {key} .*{other[0]}.*, but this run'):
        run(mlcl_config(toy_config, warmup_checkpoint))


def test_testing_needs_the_agnostic_head_and_no_training_data(toy_config, warmup_checkpoint):
    run(mlcl_config(toy_config, warmup_checkpoint, max_iters=1))
    config = mlcl_config(toy_config, warmup_checkpoint)
    config.train_dataloader.dataset.source.data_root = 'nowhere'
    config.load_from = str(Path(config.work_dir, 'iter_1.pth'))
    config.experiment_name += '_test'
    assert 'mIoU/dusk' in Runner.from_cfg(config).test()
    config.load_from = warmup_checkpoint
    config.experiment_name += '_warmup'
    with pytest.raises(ValueError, match=r'no decode_head\..*with the same backbone'):
        Runner.from_cfg(config).test()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(load_from=None),
            r'MCLSegmentor starts from the previous stage, but load_from is not',
        ),
        ({'train_cfg.val_interval': 3}, r'PseudoLabelHook.interval is 2.*val_interval \(3\)'),
        ({'train_cfg.val_interval': 0}, r'train_cfg.val_interval is 0: make it 1 or more'),
        ({'train_cfg.max_iters': 0}, r'train_cfg.max_iters is 0: make it 1 or more'),
        ({'default_hooks.checkpoint.save_best': None}, r'set default_hooks.checkpoint.save_b'),
        (
            {'train_dataloader.persistent_workers': True, 'train_dataloader.num_workers': 1},
            r'persistent_workers is True',
        ),
        (
            {'model.decode_head.align_corners': False},
            r'WeakAugmentation.align_corners of the target_pipeline is True, but model.decode_h',
        ),
    ],
)
def test_mistakes_are_named_before_training(toy_config, options, message):
    config = mlcl_config(toy_config, 'warmup.pth')
    config.merge_from_dict(options)
    with pytest.raises(ValueError, match=message):
        run(config)
    assert not Path(config.work_dir, 'pseudo_labels').exists()


@pytest.mark.parametrize('batch_size', [1, 2, 16])
def test_labels_in_half_precision_and_batches_of_any_size(
    toy_config, warmup_checkpoint, batch_size
):
    labels = {}
    for precision in ('fp32', 'bf16'):
        config = mlcl_config(toy_config, warmup_checkpoint, max_iters=1)
        config.custom_hooks[0].update(precision=precision, batch_size=batch_size)
        config.experiment_name += f'_{precision}'
        runner, _ = run(config)
        (generation,) = generations(Path(runner.work_dir, 'pseudo_labels'))
        labels[precision] = load_soft_pseudo_label(generation.path('dusk', '0'))
    difference = abs(labels['fp32'] - labels['bf16'])
    assert 0 < difference.max() < 0.02


@pytest.mark.parametrize(
    ('trained', 'labelled', 'expected'),
    [('bf16', None, 'bf16'), ('bf16', 'fp32', 'fp32'), ('tf32', None, 'fp32')],
)
def test_labels_follow_the_precision_of_the_training(
    toy_config, warmup_checkpoint, trained, labelled, expected
):
    """Unless the hook has its own; 'tf32' is 'fp32' on CPUs."""
    labels = []
    for name, precision, own in (('a', trained, labelled), ('b', 'fp32', expected)):
        options = {'optim_wrapper.precision': precision, 'custom_hooks.0.precision': own}
        config = mlcl_config(toy_config, warmup_checkpoint, max_iters=1, **options)
        config.experiment_name += f'_{name}'
        runner, _ = run(config)
        (generation,) = generations(Path(runner.work_dir, 'pseudo_labels'))
        labels.append(load_soft_pseudo_label(generation.path('dusk', '0')))
    np.testing.assert_array_equal(*labels)


@pytest.mark.parametrize(
    ('precision', 'dtype'), [('bf16', torch.bfloat16), ('tf32', torch.float32)]
)
def test_validations_and_contact_sheets_follow_it(
    toy_config, warmup_checkpoint, precision, dtype, monkeypatch
):
    """Outside of the training step, nothing is computed in another type."""
    config = mlcl_config(
        toy_config, warmup_checkpoint, max_iters=1, **{'optim_wrapper.precision': precision}
    )
    found = []

    def record(module, inputs, outputs):
        if not module.training:
            found.append(outputs[0].dtype)

    runner = Runner.from_cfg(config)
    runner.model.backbone.layer1[0].conv1.register_forward_hook(record)
    runner.train()
    generated, sheets = 3, 3
    assert len(found) > generated + sheets and set(found) == {dtype}


def test_what_a_writer_raises_ends_the_run(toy_config, warmup_checkpoint, monkeypatch):
    def full(*_):
        raise InputError('the disk is full')

    monkeypatch.setattr(PseudoLabelGeneration, 'write', full)
    with pytest.raises(InputError, match='the disk is full'):
        run(mlcl_config(toy_config, warmup_checkpoint))


def test_unknown_precision():
    with pytest.raises(InputError, match="precision is 'half': set it to one of fp32, tf32"):
        PseudoLabelHook([], precision='half')
