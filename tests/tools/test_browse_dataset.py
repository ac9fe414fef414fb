"""The contact sheets of training batches show what the losses see."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS
from PIL import Image
from torch.utils.data import default_collate

from mlcl_mmseg.datasets import StreamPosition
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl.geometry import warp_pseudo_label
from mlcl_mmseg.methods.mcl.selection import select_pseudo_label
from mlcl_mmseg.models.style import reinhard_transfer
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration
from mlcl_mmseg.visualization import batch_sheet
from mlcl_mmseg.visualization.cells import CellPainter

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'tests' / 'configs'
OPTIONS = [
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.decode_head.in_channels=64',
    'model.decode_head.channels=32',
]
LABELS = ['soft pseudo-label: likeliest class', 'soft pseudo-label: its probability']
TOOL = 'analysis_tools/browse_dataset.py'
# crops are 160x80
CELL = (320, 160)


@pytest.fixture
def browse(toy_data, tmp_path, run_tool, monkeypatch):
    """Run the tool in this process: the titles and the sections of each sheet."""
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    original, sheets = batch_sheet.contact_sheet, []

    def recorded(sections, titles, *legend):
        sheets.append((titles, sections))
        return original(sections, titles, *legend)

    monkeypatch.setattr(batch_sheet, 'contact_sheet', recorded)

    def run(stage, *arguments):
        command = [CONFIGS / f'small_{stage}.py', '--out', tmp_path / 'out', '--overwrite']
        run_tool(TOOL, *command, *arguments, '--cfg-options', *OPTIONS)
        return sheets

    return run


def load(stage):
    config = Config.fromfile(CONFIGS / f'small_{stage}.py')
    config.merge_from_dict({key: int(value) for key, value in (o.split('=') for o in OPTIONS)})
    return config


@pytest.fixture
def checkpoint(tmp_path, browse):
    """A warm-up that has learnt nothing."""
    torch.manual_seed(1)
    segmentor = MODELS.build(load('warmup').model)
    torch.save(dict(state_dict=segmentor.state_dict()), tmp_path / 'warmup.pth')
    return str(tmp_path / 'warmup.pth')


def headings(sections):
    return [list(section.headings) for section in sections]


def test_existing_sheets(browse, run_tool, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/iteration_2.png').write_bytes(b'mine')
    command = [CONFIGS / 'small_source_only.py', '--out', tmp_path / 'out']
    with pytest.raises(InputError, match='iteration_2.png exists already: choose another --out'):
        run_tool(TOOL, *command)
    assert (tmp_path / 'out/iteration_2.png').read_bytes() == b'mine'


def test_each_stage(browse, tmp_path):
    """Two sheets a stage; without pseudo-labels, which is said where they are missing."""
    browse('source_only')
    browse('warmup')
    browse('mlcl', '--seed', '3')
    sheets = browse('teacher', '--batches', '1')
    source_only, warmup, mlcl, teacher = sheets[0], sheets[2], sheets[4], sheets[6]
    assert len(sheets) == 7
    assert headings(source_only[1]) == [['image', 'label']]
    assert headings(warmup[1]) == [['image', 'label'], *[['weak view']] * 3]
    colours = [f'in the colours of {name}' for name in ('other_day', 'dusk', 'cityscapes')]
    for titles, sections in (mlcl, teacher):
        assert 'WITHOUT PSEUDO-LABELS: use --work-dir or --checkpoint' in titles
        assert headings(sections) == [
            ['image', 'label', *colours],
            *(
                ['weak view', 'strong view', *(each for each in colours if each != own)]
                for own in colours
            ),
        ]
    assert mlcl[0][0].endswith('small_mlcl.py, seed 3, iteration 1')
    for section in mlcl[1]:
        assert len(section.rows) == 2
    for number in (1, 2):
        assert Image.open(tmp_path / f'out/iteration_{number}.png').width > 4 * CELL[0]


def test_pseudo_labels_of_a_work_dir(browse, toy_data, tmp_path):
    """Every picture of the second batch, computed by hand."""
    config = load('mlcl')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    generation = PseudoLabelGeneration(tmp_path / 'run/pseudo_labels', 200)
    generation.begin()
    generator = np.random.default_rng(0)
    for domain in dataset.targets:
        for number in range(len(domain)):
            soft = generator.dirichlet([0.2] * 7, (20, 40)).transpose(2, 0, 1)
            generation.write(domain.domain, domain.get_data_info(number)['sample_name'], soft)
    generation.finish(dict(checkpoint='none', weights='none'))
    dataset.pseudo_labels = generation
    (titles, sections) = browse('mlcl', '--work-dir', str(tmp_path / 'run'))[1]
    assert titles[1] == f'Pseudo-labels from {tmp_path}/run/pseudo_labels/iter_200'

    batch = default_collate([dataset[StreamPosition(0, index)] for index in (2, 3)])
    rgb = {
        key: [target[key].flip(1) / 255 for target in batch['targets']]
        for key in ('img', 'strong_img')
    }
    paint = CellPainter(dataset.metainfo['palette'], CELL)
    source, target = sections[0], sections[2]
    image = batch['source']['img'].flip(1) / 255
    expected = [
        paint.image(image[1]),
        paint.classes(image[1], batch['source']['label'][1]),
        *(paint.image(reinhard_transfer(image, each)[1]) for each in rgb['img']),
    ]
    assert all(np.array_equal(*pair) for pair in zip(source.rows[1][1], expected))
    dusk = batch['targets'][1]
    soft = dusk['soft_pseudo_label']
    selected = warp_pseudo_label(
        select_pseudo_label(soft, size=(20, 40)), dusk['strong_affine'], dusk['strong_cutout']
    )
    weak, strong = rgb['img'][1], rgb['strong_img'][1]
    expected = {
        'weak view': paint.image(weak[0]),
        LABELS[0]: paint.classes(weak[0], soft[0].argmax(0)),
        LABELS[1]: paint.share(soft[0].amax(0)),
        'strong view': paint.image(strong[0]),
        'selected pseudo-label': paint.classes(strong[0], selected[0]),
    }
    for domain, number in (('other_day', 0), ('cityscapes', 2)):
        styled = reinhard_transfer(strong, rgb['strong_img'][number])
        expected[f'in the colours of {domain}'] = paint.image(styled[0])
    name, cells = target.rows[0]
    assert (name, [*target.headings]) == (Path(dusk['img_path'][0]).name, [*expected])
    for heading, cell, picture in zip(expected, cells, expected.values()):
        assert np.array_equal(cell, picture), heading


@pytest.mark.parametrize('stage', ['mlcl', 'teacher'])
def test_pseudo_labels_by_a_checkpoint(stage, browse, checkpoint):
    titles, sections = browse(stage, '--batches', '1', '--checkpoint', checkpoint)[0]
    assert titles[1] == f'Pseudo-labels by {checkpoint}'
    for section in sections[1:]:
        assert [*section.headings[1:3], section.headings[4]] == [*LABELS, 'selected pseudo-label']
        for _, cells in section.rows:
            # uncertain everywhere, and not the same everywhere
            assert cells[2].ndim == 2 and 30 < cells[2].mean() < 250 and cells[2].std() > 0


def test_a_checkpoint_labels_whole_images(browse, checkpoint, tmp_path):
    """As PseudoLabelHook does, with the head of the domain; the geometry comes afterwards."""
    _, sections = browse('mlcl', '--batches', '1', '--checkpoint', checkpoint)[0]
    config = load('mlcl')
    segmentor = MODELS.build(load('warmup').model).eval()
    segmentor.load_state_dict(torch.load(checkpoint)['state_dict'])
    dataset = DATASETS.build(config.train_dataloader.dataset)
    dusk, position = dataset.targets[1], StreamPosition(0, 0)
    image = dusk.get_data_info(dataset.image_at(2, position))
    pixels = Image.open(image['img_path']).resize((320, 160), Image.Resampling.BILINEAR)
    inputs = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None] / 255
    soft = segmentor.soft_pseudo_label(inputs, 1)[0].numpy()
    dataset.pseudo_labels = generation = PseudoLabelGeneration(tmp_path / 'labels', 0)
    generation.begin()
    generation.write('dusk', image['sample_name'], soft)
    generation.partial_folder.rename(generation.folder)
    view = dataset.domain_sample(2, position)
    paint = CellPainter(dataset.metainfo['palette'], CELL)
    expected = paint.share(view['soft_pseudo_label'].amax(0))
    assert np.abs(sections[2].rows[0][1][2] - expected.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['mlcl', '--work-dir', 'nowhere'], 'nowhere has no pseudo-labels: use the work dir of'),
        (['teacher', '--work-dir', 'nowhere'], 'This config stores no pseudo-labels: use --check'),
        (['mlcl', '--checkpoint', 'x.pth'], 'The checkpoint x.pth does not exist: give'),
    ],
)
def test_mistakes(browse, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        browse(*arguments)
