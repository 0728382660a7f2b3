"""Cinder's backup process, which ends when its object store cannot be used at the start; Cinder's own would be down from then on."""

import sys

import openinfra_start
from cinder.backup import manager


class BackupManager(manager.BackupManager):
    """Ends its process where its driver cannot be set up."""

    def _setup_backup_driver(self, ctxt):
        try:
            super()._setup_backup_driver(ctxt)
        finally:
            # It is left by an exception in any case: one says that all is well.
            if self.is_initialized:
                openinfra_start.serves("backup")
            else:
                manager.LOG.exception("The object store cannot be used")
                openinfra_start.end("backup", sys.exc_info()[1])
