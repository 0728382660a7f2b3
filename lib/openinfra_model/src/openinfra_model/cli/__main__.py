"""`python -m openinfra_model.cli`, which the front door runs."""

from openinfra_model.cli import main

main()
