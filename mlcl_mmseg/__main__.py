"""The command mlcl: python -m mlcl_mmseg TOOL."""

from mlcl_command import main

if __name__ == '__main__':
    main()
