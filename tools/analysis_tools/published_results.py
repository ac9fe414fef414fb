"""Print the authors' tables as Markdown, as they appear in docs/results.md."""

from mlcl_mmseg.methods.mcl.released.published import results_markdown

if __name__ == '__main__':
    print(results_markdown(), end='')
