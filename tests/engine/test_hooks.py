"""The two hooks within real, very small runs."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mlcl_mmseg.datasets import MultiDomainDataset, StreamPosition
from mlcl_mmseg.engine import PseudoLabelHook
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.evaluation import DomainIoUMetric
from mlcl_mmseg.models.segmentors import MCLSegmentor
from mlcl_mmseg.models.segmentors.teacher import Teacher
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration, generations, load_soft_pseudo_label


class Recorder(Hook):
    """Keeps what went through the loop."""

    priority = 'LOWEST'

    def __init__(self):
        self.batches, self.weights, self.momenta = [], {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batches.append(data_batch)
        self.outputs = outputs

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.weights[batch_idx] = clone(runner.model.state_dict())
        state = runner.optim_wrapper.state_dict().get('state', {})
        self.momenta[batch_idx] = clone(
            {key: value['momentum_buffer'] for key, value in state.items()}
        )

    def after_train(self, runner):
        self.weights['end'] = clone(runner.model.state_dict())


def on_iteration(monkeypatch, iteration):
    """Interrupt when the step after so many iterations begins."""
    step = MCLSegmentor.train_step

    def interrupted(model, *args, **kwargs):
        steps.append(1)
        if len(steps) > iteration:
            raise KeyboardInterrupt
        return step(model, *args, **kwargs)

    steps = []
    monkeypatch.setattr(MCLSegmentor, 'train_step', interrupted)


def clone(tensors):
    return {key: value.clone() for key, value in tensors.items()}


def run(config):
    recorder = Recorder()
    runner = Runner.from_cfg(config)
    runner.register_hook(recorder)
    runner.train()
    # frees the workers at once; the garbage collector would wait for them
    runner.train_loop.restart_loader()
    return runner, recorder


@pytest.fixture
def warmup_checkpoint(toy_config):
    run(toy_config('warmup', 2, 2))
    config = toy_config('warmup', 2, 2)
    (best,) = Path(config.work_dir).glob('best_mIoU_iter_*.pth')
    return str(best)


class TestDiscriminatorHook:
    def test_both_turns_of_the_step(self, toy_config):
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

    def test_the_network_never_moves_a_discriminator(self, toy_config):
        config = toy_config('warmup', 2, 2, custom_hooks=[])
        _, recorder = run(config)
        for name, value in recorder.weights[0].items():
            if name.startswith('discriminators'):
                assert torch.equal(value, recorder.weights['end'][name])

    def test_only_checkpoints_for_resuming_hold_them(self, warmup_checkpoint):
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


class TestPseudoLabelHook:
    def config(self, toy_config, load_from, max_iters=4, **options):
        config = toy_config('mlcl', max_iters, 1, load_from=load_from, **options)
        config.custom_hooks[0].update(interval=2, batch_size=2)
        return config

    def test_initial_labels_are_the_warmup_heads_softmax(self, toy_config, warmup_checkpoint):
        config = self.config(toy_config, warmup_checkpoint, max_iters=1)
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

    @pytest.fixture
    def falling_scores(self, monkeypatch):
        """The first validation stays the best."""
        scores = iter(range(90, 0, -10))
        monkeypatch.setattr(
            DomainIoUMetric, 'compute_metrics', lambda *_: {'mIoU': float(next(scores))}
        )

    @pytest.mark.parametrize('num_workers', [0, 1])
    def test_refresh(self, toy_config, warmup_checkpoint, falling_scores, num_workers):
        config = self.config(
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

    def resume(self, toy_config, load_from, iteration, max_iters=5):
        config = self.config(toy_config, load_from, max_iters)
        config.load_from = str(Path(config.work_dir, f'iter_{iteration}.pth'))
        config.resume = True
        config.experiment_name += '_resumed'
        return run(config)

    def test_resume_takes_up_the_generation_in_use(self, toy_config, warmup_checkpoint):
        run(self.config(toy_config, warmup_checkpoint, max_iters=3))
        runner, recorder = self.resume(toy_config, warmup_checkpoint, 3)
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

    def test_resume_at_a_refresh_repeats_it(
        self, toy_config, warmup_checkpoint, falling_scores, monkeypatch
    ):
        """Killed while the labels of iteration 2 are made: the best is loaded, labels are made."""
        generate = PseudoLabelHook.generate

        def killed(hook, runner, *args):
            if runner.iter == 2:
                raise KeyboardInterrupt
            return generate(hook, runner, *args)

        monkeypatch.setattr(PseudoLabelHook, 'generate', killed)
        with pytest.raises(KeyboardInterrupt):
            run(self.config(toy_config, warmup_checkpoint, max_iters=3))
        monkeypatch.setattr(PseudoLabelHook, 'generate', generate)
        runner, recorder = self.resume(toy_config, warmup_checkpoint, 2, max_iters=3)
        root = Path(runner.work_dir, 'pseudo_labels')
        assert [each.iteration for each in generations(root)] == [0, 2]
        assert runner.train_dataloader.dataset.pseudo_labels.iteration == 2
        best = torch.load(Path(runner.work_dir, 'best_mIoU_iter_1.pth'), weights_only=False)
        for name, value in best['state_dict'].items():
            assert torch.equal(recorder.weights[2][name], value), name

    def test_resume_without_its_labels(self, toy_config, warmup_checkpoint):
        config = self.config(toy_config, warmup_checkpoint, max_iters=3)
        run(config)
        shutil.rmtree(Path(config.work_dir, 'pseudo_labels/iter_2'))
        message = r'iter_2 is missing or without its manifest.json, and the checkpoint .* is gone'
        with pytest.raises(FileNotFoundError, match=message):
            self.resume(toy_config, warmup_checkpoint, 3)

    def test_damaged_labels_are_made_anew(self, toy_config, warmup_checkpoint, falling_scores):
        """With the checkpoint that made them; the network goes on with its own weights."""
        config = self.config(toy_config, warmup_checkpoint, max_iters=3)
        run(config)
        generation = PseudoLabelGeneration(Path(config.work_dir, 'pseudo_labels'), 2)
        assert generation.manifest['checkpoint'] in map(
            str, Path(config.work_dir).glob('best_*.pth')
        )
        path = Path(generation.path('dusk', '0'))
        whole = path.read_bytes()
        path.write_bytes(whole[:100])
        runner, recorder = self.resume(toy_config, warmup_checkpoint, 3, max_iters=4)
        assert path.read_bytes() == whole
        resumed = torch.load(Path(runner.work_dir, 'iter_3.pth'), weights_only=False)
        for name, value in resumed['state_dict'].items():
            assert torch.equal(recorder.weights[3][name], value), name

    def test_damaged_labels_whose_checkpoint_is_another_now(
        self, toy_config, warmup_checkpoint, falling_scores
    ):
        config = self.config(toy_config, warmup_checkpoint, max_iters=3)
        run(config)
        generation = PseudoLabelGeneration(Path(config.work_dir, 'pseudo_labels'), 2)
        Path(generation.path('dusk', '0')).unlink()
        shutil.copy(warmup_checkpoint, generation.manifest['checkpoint'])
        with pytest.raises(FileNotFoundError, match=r'dusk has .* that made these .* is gone: put'):
            self.resume(toy_config, warmup_checkpoint, 3, max_iters=4)

    def test_a_new_run_does_not_take_what_an_old_one_left(self, toy_config, warmup_checkpoint):
        config = self.config(toy_config, warmup_checkpoint, max_iters=1)
        root = Path(config.work_dir, 'pseudo_labels')
        for iteration in (40000, 50000):
            (root / f'iter_{iteration}').mkdir(parents=True)
        run(config)
        assert [each.iteration for each in generations(root)] == [0]

    @pytest.mark.parametrize(
        ('key', 'other'),
        [('targets', ['dusk', 'other_day', 'cityscapes']), ('source', 'night')],
    )
    def test_warmup_of_another_setting(self, toy_config, warmup_checkpoint, key, other):
        checkpoint = torch.load(warmup_checkpoint, weights_only=False)
        meta = checkpoint['meta']['dataset_meta']
        assert meta['source'] == 'day'
        assert meta['targets'] == ['other_day', 'dusk', 'cityscapes']
        meta[key] = other
        torch.save(checkpoint, warmup_checkpoint)
        with pytest.raises(ValueError, match=f'trained with {key} .*{other[0]}.*, but this run'):
            run(self.config(toy_config, warmup_checkpoint))

    def test_testing_needs_the_agnostic_head_and_no_training_data(
        self, toy_config, warmup_checkpoint
    ):
        run(self.config(toy_config, warmup_checkpoint, max_iters=1))
        config = self.config(toy_config, warmup_checkpoint)
        config.train_dataloader.dataset.source.data_root = 'nowhere'
        config.load_from = str(Path(config.work_dir, 'iter_1.pth'))
        config.experiment_name += '_test'
        assert 'mIoU/dusk' in Runner.from_cfg(config).test()
        config.load_from = warmup_checkpoint
        config.experiment_name += '_warmup'
        with pytest.raises(ValueError, match=r'no decode_head\..*one of the same stage'):
            Runner.from_cfg(config).test()

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(load_from=None), r'MCL starts from a warm-up, but load_from is not set'),
            ({'train_cfg.val_interval': 3}, r'PseudoLabelHook.interval is 2.*val_interval \(3\)'),
            ({'train_cfg.val_interval': 0}, r'train_cfg.val_interval is 0: make it 1 or more'),
            ({'train_cfg.max_iters': 0}, r'train_cfg.max_iters is 0: make it 1 or more'),
            ({'default_hooks.checkpoint.save_best': None}, r'set default_hooks.checkpoint.save_b'),
            (
                {'train_dataloader.persistent_workers': True, 'train_dataloader.num_workers': 1},
                r'persistent_workers is True',
            ),
        ],
    )
    def test_mistakes_are_named_before_training(self, toy_config, options, message):
        config = self.config(toy_config, 'warmup.pth')
        config.merge_from_dict(options)
        with pytest.raises(ValueError, match=message):
            run(config)
        assert not Path(config.work_dir, 'pseudo_labels').exists()

    @pytest.mark.parametrize('batch_size', [1, 2, 16])
    def test_labels_in_half_precision_and_batches_of_any_size(
        self, toy_config, warmup_checkpoint, batch_size
    ):
        labels = {}
        for precision in ('fp32', 'bf16'):
            config = self.config(toy_config, warmup_checkpoint, max_iters=1)
            config.custom_hooks[0].update(precision=precision, batch_size=batch_size)
            config.experiment_name += f'_{precision}'
            runner, _ = run(config)
            (generation,) = generations(Path(runner.work_dir, 'pseudo_labels'))
            labels[precision] = load_soft_pseudo_label(generation.path('dusk', '0'))
        difference = abs(labels['fp32'] - labels['bf16'])
        assert 0 < difference.max() < 0.02

    def test_what_a_writer_raises_ends_the_run(self, toy_config, warmup_checkpoint, monkeypatch):
        def full(*_):
            raise InputError('the disk is full')

        monkeypatch.setattr(PseudoLabelGeneration, 'write', full)
        with pytest.raises(InputError, match='the disk is full'):
            run(self.config(toy_config, warmup_checkpoint))

    def test_unknown_precision(self):
        with pytest.raises(InputError, match="precision is 'half', but it is one of fp32, tf32"):
            PseudoLabelHook([], precision='half')


class TestTeacherHook:
    def config(self, toy_config, load_from, max_iters=5, **options):
        config = toy_config('teacher', max_iters, 1, load_from=load_from, **options)
        config.custom_hooks[0].interval = 2
        return config

    def test_it_is_the_warmup_and_then_the_best(self, toy_config, warmup_checkpoint, monkeypatch):
        """It labels each target by that target's head, and never moves in between."""
        scores = iter(range(90, 0, -10))
        monkeypatch.setattr(
            DomainIoUMetric, 'compute_metrics', lambda *_: {'mIoU': float(next(scores))}
        )
        asked = []
        ask = Teacher.__call__

        def record(teacher, image, target):
            asked.append((target, clone(teacher.network.state_dict())))
            return ask(teacher, image, target)

        monkeypatch.setattr(Teacher, '__call__', record)
        runner, recorder = run(self.config(toy_config, warmup_checkpoint))
        assert not Path(runner.work_dir, 'pseudo_labels').exists()
        assert [target for target, _ in asked] == [0, 1, 2] * 5
        best = torch.load(Path(runner.work_dir, 'best_mIoU_iter_1.pth'), weights_only=False)
        for call, (_, state) in enumerate(asked):
            made_by = recorder.weights[0] if call < 6 else best['state_dict']
            assert {name.split('.')[0] for name in state} == {'backbone', 'domain_heads'}
            for name, value in state.items():
                assert torch.equal(value, made_by[name]), (call, name)
        # as with files, the network goes back to the best checkpoint
        for name, value in recorder.weights[2].items():
            assert torch.equal(value, best['state_dict'][name]), name

    def test_only_checkpoints_for_resuming_hold_it(self, toy_config, warmup_checkpoint):
        runner, _ = run(self.config(toy_config, warmup_checkpoint, max_iters=1))
        for name, held in (('iter_1.pth', True), ('best_mIoU_iter_1.pth', False)):
            checkpoint = torch.load(Path(runner.work_dir, name), weights_only=False)
            assert ('teacher' in checkpoint) is held
            assert not any('teacher' in key for key in checkpoint['state_dict'])
        assert not any('teacher' in name for name, _ in runner.model.named_parameters())

    @pytest.mark.parametrize('iteration', [1, 2, 3])
    def test_an_interrupted_run_ends_as_it_would_have(
        self, toy_config, warmup_checkpoint, iteration
    ):
        """Before a refresh, at one, and after one."""
        options = {'default_hooks.checkpoint.max_keep_ckpts': -1}
        _, expected = run(self.config(toy_config, warmup_checkpoint, **options))
        config = self.config(toy_config, warmup_checkpoint, **options)
        for path in Path(config.work_dir).glob('*.pth'):
            path.unlink()
        config.experiment_name += '_killed'
        with pytest.MonkeyPatch.context() as patch:
            on_iteration(patch, iteration)
            with pytest.raises(KeyboardInterrupt):
                run(config)
        config = self.config(toy_config, warmup_checkpoint, **options)
        config.load_from = str(Path(config.work_dir, f'iter_{iteration}.pth'))
        config.resume = True
        config.experiment_name += '_resumed'
        _, found = run(config)
        for name, value in expected.weights['end'].items():
            assert torch.equal(found.weights['end'][name], value), name

    def test_resuming_without_a_teacher(self, toy_config, warmup_checkpoint):
        run(self.config(toy_config, warmup_checkpoint, max_iters=1))
        config = self.config(toy_config, warmup_checkpoint, max_iters=3)
        path = Path(config.work_dir, 'iter_1.pth')
        checkpoint = torch.load(path, weights_only=False)
        del checkpoint['teacher']
        torch.save(checkpoint, path)
        config.load_from, config.resume = str(path), True
        config.experiment_name += '_resumed'
        with pytest.raises(InputError, match=r'has no teacher, .* resume from iter_\*\.pth'):
            run(config)

    def test_neither_files_nor_a_teacher(self, toy_config, warmup_checkpoint):
        config = self.config(toy_config, warmup_checkpoint, max_iters=1)
        config.custom_hooks = toy_config('mlcl', 1, 1).custom_hooks
        config.custom_hooks[0].interval = 1
        with pytest.raises(InputError, match='no soft pseudo-labels: put LoadSoftPseudoLabel into'):
            run(config)
