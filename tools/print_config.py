"""Show the complete config, or where a setting comes from: mlcl print_config CONFIG."""

import argparse
import os
from collections.abc import Iterator

from mmengine.config import Config

from mlcl_mmseg.command_line import add_cfg_options, load_config
from mlcl_mmseg.engine.config_record import write_config
from mlcl_mmseg.errors import InputError
from mlcl_mmseg.tool_exit import end_with_sentence

# value of a key that a config does not have
MISSING = object()


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Show the complete config, or where a setting of it comes from'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--where',
        metavar='KEY',
        help='a dotted key, such as train_cfg.max_iters: show its value and the files that set it',
    )
    parser.add_argument(
        '--json',
        metavar='FILE',
        help='write the config as JSON, such as WORK_DIR/config.json, which the report reads',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def look_up(config: Config, key: str) -> object:
    """Look up a dotted key, whose parts may be indices of lists.

    Returns:
        object: The value, or MISSING if the config does not have the key.
    """
    value = config
    for part in key.split('.'):
        if isinstance(value, list | tuple) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Config | dict) and part in value:
            value = value[part]
        else:
            return MISSING
    return value


def origins(path: str, key: str) -> Iterator[tuple[str, object]]:
    """Find the files that set a key: the config, then those of its base files that set it.

    Args:
        path (str): The config.
        key (str): The dotted key.

    Yields:
        tuple[str, object]: A file and the value that it sets.
    """
    value = look_up(Config.fromfile(path), key)
    bases = [Config._get_cfg_path(base, path)[0] for base in Config._get_base_files(path)]
    of_bases = [look_up(Config.fromfile(base), key) for base in bases]
    if value is not MISSING and value not in of_bases:
        yield os.path.relpath(path), value
    for base, value in zip(bases, of_bases):
        if value is not MISSING:
            yield from origins(base, key)


def explain(config: Config, path: str, key: str, options: dict) -> str:
    """Describe the value of a setting and the files it comes from, the decisive file first.

    Raises:
        InputError: If the config does not have the setting.
    """
    value = look_up(config, key)
    if value is MISSING:
        raise InputError(f'{key} is not set in {path}: correct the key, or rely on the default.')
    sources = list(origins(path, key))
    if any(
        f'{option}.'.startswith(f'{key}.') or f'{key}.'.startswith(f'{option}.')
        for option in options
    ):
        sources.insert(0, ('--cfg-options', value))
    if isinstance(value, dict | list):
        return '\n'.join([f'{key} is merged from', *(f'  {source}' for source, _ in sources)])
    return '\n'.join(
        [f'{key} = {value!r}', *(f'  {found!r} in {source}' for source, found in sources)]
    )


def main() -> None:
    """Print the config or the setting that the command line names."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, None, 'none')
    if args.json is not None:
        write_config(config, args.json)
    elif args.where is None:
        print(config.pretty_text)
    else:
        print(explain(config, config.filename, args.where, args.cfg_options))


if __name__ == '__main__':
    end_with_sentence(main)
