"""Cinder's volume process: one that ends when its driver cannot be set up, and RBD volumes that guests attach by their hosts' own keys."""

import openinfra_start
from cinder.volume import manager
from cinder.volume.drivers import rbd


class VolumeManager(manager.VolumeManager):
    """Ends its process where Cinder's own would be down from then on."""

    def init_host(self, *args, **kwargs):
        """Set the driver up, in several tries."""
        super().init_host(*args, **kwargs)
        if not self.driver.initialized:
            openinfra_start.end("volume", RuntimeError("the Ceph driver cannot be set up; see the journal"))
        openinfra_start.serves("volume")


class RBDDriver(rbd.RBDDriver):
    """Names no libvirt secret to those who attach volumes.

    Cinder's own names one that is called like the cluster, with the key of Cinder's user. Without one Nova takes the user and the secret that
    its host has: no host needs Cinder's key.
    """

    def _set_default_secret_uuid(self):
        self._active_config["secret_uuid"] = None
