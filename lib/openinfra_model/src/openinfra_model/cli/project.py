"""The clone that this program runs from."""

from __future__ import annotations

from pathlib import Path

# src/openinfra_model/cli/project.py of lib/openinfra_model in the clone: the engine is never installed elsewhere.
ROOT = Path(__file__).resolve().parents[5]
