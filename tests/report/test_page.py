"""The page in a browser: nothing from outside, no complaint, no wider than a phone."""

import json
import re

import pytest

from mlcl_mmseg.report.page import LINKS, write_report
from mlcl_mmseg.tool_exit import end_with_sentence

from .browser import CHROMIUM, Browser
from .conftest import HOSTILE, leave_run

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason='there is no browser: apt-get install chromium'
)
# elements that nothing but a hostile name could have made
FOREIGN = 'document.querySelectorAll(\'script, [onerror], img:not([src^="data:"])\').length'
# whole tables scroll within the page, which itself does not
WIDTH = 'document.documentElement.scrollWidth'

# short names of runs that were put letter below letter
BROKEN_NAMES = (
    "[...document.querySelectorAll('td .name')].filter(each => each.offsetHeight > 40).length"
)


@pytest.fixture(scope='module')
def real_page(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp('page') / 'deep/report.html'
    write_report(trained, path, num_images=1)
    return path


@pytest.fixture
def hostile_page(tmp_path):
    """Names that would be elements, attributes and requests if they were not escaped."""
    run = leave_run(tmp_path / HOSTILE.replace('/', '∕'), classes=(HOSTILE, 'b'))
    log = run.folder / '20260101_000000'
    scalars = log / 'vis_data/scalars.json'
    quoted = HOSTILE.replace('"', r'\"')
    text = scalars.read_text().replace('mIoU/idd', f'mIoU/{quoted}').replace('"lr"', f'"{quoted}"')
    scalars.write_text(text)
    for path in (*log.glob('validations/*.json'), log / 'environment.json'):
        for name in ('idd', 'a', 'PyTorch', 'cpu'):
            path.write_text(path.read_text().replace(f'"{name}"', f'"{quoted}"'))
    path = run.folder / 'config.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'note': HOSTILE}))
    page = tmp_path / 'report.html'
    write_report([run.folder], page)
    return page


def test_the_page_is_one_file(real_page):
    text = real_page.read_text()
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert '<script' not in text
    for key in LINKS:
        assert text.count(f'id="{key}"') == 1
        assert f'href="#{key}"' in text


@needs_browser
@pytest.mark.slow
def test_in_a_browser(real_page, tmp_path):
    with Browser() as browser:
        for width, dark in ((390, False), (390, True), (1280, False)):
            browser.open(real_page, width, dark)
            assert browser.evaluate(WIDTH) <= width
            assert browser.evaluate(BROKEN_NAMES) == 0
            # every chart and picture is drawn
            assert browser.evaluate("document.querySelectorAll('svg').length") > 10
            assert browser.evaluate(
                '[...document.images].every(each => each.naturalWidth > 0 && each.width > 100)'
            )
            colour = browser.evaluate('getComputedStyle(document.body).backgroundColor')
            assert (max(map(int, re.findall(r'\d+', colour))) < 100) == dark
            # unfolded, too
            browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert browser.evaluate(WIDTH) <= width
        browser.screenshot(tmp_path / 'page.png')
        assert browser.messages == []
        assert {url for url in browser.requests if not url.startswith('data:')} == {
            real_page.as_uri()
        }
        assert browser.evaluate(FOREIGN) == 0


@needs_browser
@pytest.mark.slow
def test_names_are_text(hostile_page):
    with Browser() as browser:
        browser.open(hostile_page, 390)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert browser.evaluate(FOREIGN) == 0
        assert browser.evaluate(WIDTH) <= 390
        assert browser.messages == []
        assert browser.requests == [hostile_page.as_uri()]
        text = browser.evaluate('document.body.textContent')
        # a class, a domain, a scalar, a version, a config's setting
        assert text.count(HOSTILE) >= 5


@needs_browser
@pytest.mark.slow
def test_the_browser_would_tell(tmp_path):
    """What the two tests above look for is seen where it is."""
    page = tmp_path / 'page.html'
    page.write_text(
        '<!DOCTYPE html><div style="width:900px">a</div><img src="http://127.0.0.1:9/x.png">'
        '<script>console.error("complaint"); nothing.at.all</script>'
    )
    with Browser() as browser:
        browser.open(page, 390)
        assert browser.evaluate(WIDTH) >= 900
        assert 'http://127.0.0.1:9/x.png' in browser.requests
        assert any('complaint' in message for message in browser.messages)
        assert any('ReferenceError' in message for message in browser.messages)
        assert browser.evaluate(FOREIGN) == 2


def test_the_tool(tmp_path, run_tool, capsys):
    leave_run(tmp_path / 'run')
    page = tmp_path / 'pages/a.html'

    def report(work_dir, out):
        arguments = [work_dir, '--out', out, '--images', 0]
        end_with_sentence(lambda: run_tool('analysis_tools/report.py', *arguments))

    report(tmp_path / 'run', page)
    assert f'{page} shows the runs' in capsys.readouterr().out
    assert '<h2>Confusion matrices</h2>' in page.read_text()
    for out, message in (
        (tmp_path, 'is not the name of a page: use one that ends in .html'),
        (tmp_path / 'run/started.json', 'is not the name of a page'),
        (page / 'below/a.html', 'below cannot be written .*: choose another with --out'),
    ):
        with pytest.raises(SystemExit, match=message):
            report(tmp_path / 'run', out)
    with pytest.raises(SystemExit, match='has no started.json: pass a work dir of'):
        report(tmp_path, page)
