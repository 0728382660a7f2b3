"""The controller: one process that hosts the models, makes their machines, and runs their hooks."""
