"""`python -m workshop`: see `workshop.commands`."""

from pvbench.cli import main
from workshop.commands import app

main(app)
