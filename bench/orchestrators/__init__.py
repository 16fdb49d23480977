"""What ``bench/pipelines.py`` runs: the same pipelines, written as each tool's users would."""
