"""A headless Chromium, by its DevTools protocol over a pipe: no package needed."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
# seconds
PATIENCE = 60


class Browser:
    """One page of a browser. Use it as a context.

    Attributes:
        messages (list[str]): What the console has shown.
        requests (list[str]): Addresses that were asked for.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.buffer = b''
        self.count = 0
        self.session: str | None = None

    def __enter__(self) -> 'Browser':
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read_in, self.output = os.pipe()
        self.input, write_out = os.pipe()
        arguments = ('--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe')
        command = [
            CHROMIUM,
            *arguments,
            '--disable-dev-shm-usage',
            f'--user-data-dir={self.profile.name}',
        ]

        # Chromium reads its third file and writes its fourth
        shell = f'exec "$@" 3<&{read_in} 4>&{write_out}'
        self.process = subprocess.Popen(
            ['bash', '-c', shell, 'bash', *command],
            pass_fds=(read_in, write_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_in)
        os.close(write_out)
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self.session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable')
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.output)
        os.close(self.input)
        self.profile.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self.count += 1
        message = dict(id=self.count, method=method, params=parameters)
        if self.session is not None:
            message['sessionId'] = self.session
        os.write(self.output, json.dumps(message).encode() + b'\0')
        answer = self.wait(lambda found: found.get('id') == self.count)
        assert 'error' not in answer, answer
        return answer['result']

    def wait(self, is_wanted) -> dict[str, Any]:
        """Read messages up to the one that is wanted; note what the page does."""
        while True:
            while b'\0' not in self.buffer:
                ready, _, _ = select.select([self.input], [], [], PATIENCE)
                assert ready, f'the browser has said nothing for {PATIENCE} s'
                chunk = os.read(self.input, 2**20)
                assert chunk, 'the browser has ended'
                self.buffer += chunk
            text, _, self.buffer = self.buffer.partition(b'\0')
            found = json.loads(text)
            if found.get('method') in ('Runtime.consoleAPICalled', 'Runtime.exceptionThrown'):
                self.messages.append(json.dumps(found['params']))
            elif found.get('method') == 'Log.entryAdded':
                self.messages.append(found['params']['entry']['text'])
            elif found.get('method') == 'Network.requestWillBeSent':
                self.requests.append(found['params']['request']['url'])
            if is_wanted(found):
                return found

    def open(self, path: Path, width: int, dark: bool = False) -> None:
        """Load a file at a width of the window, in pixels."""
        self.call(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=844,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = dict(name='prefers-color-scheme', value='dark' if dark else 'light')
        self.call('Emulation.setEmulatedMedia', features=[scheme])
        self.call('Page.navigate', url=path.resolve().as_uri())
        self.wait(lambda found: found.get('method') == 'Page.loadEventFired')

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True)
        assert 'exceptionDetails' not in answer, answer
        return answer['result'].get('value')

    def screenshot(self, path: Path) -> None:
        """Save the whole page as PNG."""
        picture = self.call('Page.captureScreenshot', captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture['data']))
