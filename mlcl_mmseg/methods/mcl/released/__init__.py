"""The authors' released tensor names, checkpoints and results, as far as they are needed here."""
