"""Videos are known by their content, and FFMPEG opens nothing else."""

import os

import cv2
import numpy as np
import pytest

from mlcl_mmseg.deployment.videos import RESTRICTED, Video, is_video, open_restricted, writing_video
from mlcl_mmseg.errors import InputError


def write(path, frames=3):
    with writing_video(path, 5, 'start again') as file:
        for number in range(frames):
            file.write(np.full((32, 64, 3), 40 * number, np.uint8))
    return path


@pytest.mark.parametrize(
    'name',
    ['a.mp4', 'a.jpg', 'a', 'a:b.mp4', '-a.mp4', '[a]*?.mp4', '%03d.mp4', 'a\nb.mp4', '街.mov'],
)
def test_any_name(tmp_path, monkeypatch, name):
    """Also relative to the folder, where FFMPEG would read a protocol."""
    write(tmp_path / 'a.mp4').rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert is_video(name)
    video = Video(name)
    assert (video.rate, video.length, len(list(video))) == (5, 3, 3)


def test_names_that_are_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b'stra\xdfe.mp4')
    write(tmp_path / 'a.mp4').rename(path)
    with pytest.raises(InputError, match=r'stra.*e.mp4 is not UTF-8, which OpenCV requires'):
        Video(str(path))


@pytest.mark.parametrize('suffix', ['.avi', '.mkv', '.ts', '.flv', '.ogv', '.mpg', '.mov', '.webm'])
def test_containers(tmp_path, suffix):
    code = {'.ogv': 'THEO', '.webm': 'VP80', '.mpg': 'MPG1', '.flv': 'FLV1', '.ts': 'MPG2'}
    path = tmp_path / f'a{suffix}'
    four = cv2.VideoWriter.fourcc(*code.get(suffix, 'MJPG'))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, four, 25, (64, 32))
    for number in range(5):
        writer.write(np.full((32, 64, 3), 40 * number, np.uint8))
    writer.release()
    if not path.exists() or not path.stat().st_size:
        pytest.skip(f'OpenCV was built without the encoder for {suffix}')
    path.rename(tmp_path / 'x')
    assert is_video(tmp_path / 'x')
    assert len(list(Video(str(tmp_path / 'x')))) >= 1


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'no video',
        b'#EXTM3U\n#EXTINF:1,\n{}/good.mp4\n',
        b"ffconcat version 1.0\nfile '{}/good.mp4'\n",
        b'v=0\no=- 0 0 IN IP4 127.0.0.1\n',
        b'\0\0\0\x18ftypheic\0\0\0\0',
        b'\0\0\0\x1cftypavif\0\0\0\0',
        b'RIFF\0\0\0\0WEBPVP8 ',
        b'\x89PNG\r\n\x1a\n',
    ],
)
def test_other_contents(tmp_path, content):
    path = tmp_path / 'a.mp4'
    path.write_bytes(content.replace(b'{}', os.fsencode(tmp_path)))
    assert not is_video(path)
    with pytest.raises(InputError, match=r'a\.mp4 is not a video that OpenCV can read'):
        Video(str(path))


def test_playlists_are_not_followed(tmp_path, monkeypatch):
    """Even where their content passes for a video, FFMPEG refuses the format."""
    write(tmp_path / 'good.mp4')
    path = tmp_path / 'list.ffconcat'
    path.write_text("ffconcat version 1.0\nfile 'good.mp4'\n", encoding='utf-8')
    # it does follow them where it may
    assert cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).isOpened()
    assert not open_restricted(path).isOpened()
    monkeypatch.setenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', 'threads;1')
    assert open_restricted(tmp_path / 'good.mp4').isOpened()
    assert os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'] == 'threads;1'
    assert 'protocol_whitelist;file' in RESTRICTED


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    (tmp_path / 'folder.mp4').mkdir()
    (tmp_path / 'link.mp4').symlink_to('/dev/zero')
    for name in ('pipe.mp4', 'folder.mp4', 'link.mp4', 'none.mp4'):
        assert not is_video(tmp_path / name)


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / 'precious').write_text('precious', encoding='utf-8')
    (tmp_path / 'a.mp4').symlink_to('precious')
    write(tmp_path / 'a.mp4')
    assert (tmp_path / 'precious').read_text('utf-8') == 'precious'
    assert not (tmp_path / 'a.mp4').is_symlink()
    assert sorted(os.listdir(tmp_path)) == ['a.mp4', 'precious']


def test_missing_frames_are_noticed(tmp_path):
    with (
        pytest.raises(InputError, match=r'a\.mp4 could not be written \(2 of 3 frames\)'),
        writing_video(tmp_path / 'a.mp4', 5, 'start again') as file,
    ):
        for width in (64, 64, 32):
            file.write(np.zeros((32, width, 3), np.uint8))
    assert not os.listdir(tmp_path)
