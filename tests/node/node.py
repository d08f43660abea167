"""A cluster with one real node: kubelet, containerd, runc and kube-proxy, on a machine of its own.

Pods have addresses of their own, Services work, names too. From outside, the API server is where ``Cluster.url`` says.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from kuma_core.testing.waiting import eventually

from ..kube.cluster import CONTROLLERS, START_SECONDS, Cluster, Place, Process, Refused
from .assets import NodeAssets
from .door import Door
from .images import PAUSE, images, mounts, write_image
from .machine import ADDRESS, Machine, only_child

NAME = "node-1"
PODS, SERVICES, FIRST_SERVICE = "10.244.0.0/16", "10.96.0.0/16", "10.96.0.1"
REGISTRY, VERSION = "registry.example.com", "0.1.0"
DOMAIN = ".svc.cluster.local"
NODE_CONTROLLERS = (
    *CONTROLLERS,
    "deployment-controller",
    "replicaset-controller",
    "job-controller",
    "endpointslice-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "pod-garbage-collector-controller",
)
NODE_SECONDS = 300.0
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Request",
            "resources": [{"group": "authentication.k8s.io", "resources": ["tokenreviews"]}],
        },
        {"level": "None"},
    ],
}


class Inside(Process):
    """A process of the machine: it ends with it, and is known to us as the child of the command that put it there."""

    def _send(self, number: signal.Signals) -> None:
        assert self._running, "it does not run"
        with suppress(LookupError, FileNotFoundError, ProcessLookupError):
            os.kill(only_child(self._running.pid), number)


class Node(Cluster):
    """The cluster; ``machine`` is where all of it runs."""

    def __init__(self, assets: NodeAssets, folder: Path) -> None:
        self.node_assets, self.machine = assets, Machine(folder)
        self.machine.start()
        self.audit = folder / "audit.log"
        """The questions about tokens that the API server was asked, with the tokens."""
        (folder / "audit.yaml").write_text(yaml.safe_dump(AUDIT))
        self.door = Door(self.machine.first)
        super().__init__(assets.cluster, folder, self._where())
        self._known: dict[str, list[str]] = {}
        self.containerd = self.process("containerd", self._containerd())
        self.kubelet = self.process("kubelet", self._kubelet())
        self.proxy = self.process("kube-proxy", self._proxy())
        self.scheduler = self.process("kube-scheduler", self._scheduler())

    def process(self, name: str, command: list[str]) -> Process:
        """A program that is to run on the machine."""
        return Inside(self.folder, name, [*self.machine.inside(), *command])

    def _where(self) -> Place:
        return Place(
            addresses=(ADDRESS, FIRST_SERVICE),
            apiserver=(
                "--bind-address=0.0.0.0",
                f"--advertise-address={ADDRESS}",
                "--endpoint-reconciler-type=lease",
                "--allow-privileged=true",
                "--kubelet-preferred-address-types=InternalIP",
                f"--audit-policy-file={self.audit.with_suffix('.yaml')}",
                f"--audit-log-path={self.audit}",
            ),
            controllers=NODE_CONTROLLERS,
        )

    # -- its life

    def start(self) -> None:
        """Start all of it, and wait until the node takes Pods."""
        self.door.start()
        self.door.open(self.port, ADDRESS, self.port)
        self.door.answer_names(ADDRESS, self.addresses_of)
        self.containerd.start()
        self.start_control_plane()
        self._import_images()
        for process in (self.scheduler, self.proxy, self.kubelet):
            process.start()
        eventually(self.is_ready, NODE_SECONDS, "the readiness of the node")

    def start_control_plane(self) -> None:
        """Start what a cluster without a node consists of."""
        super().start()

    def end(self) -> None:
        """End all of it: the rest of a test, a hanging container, too."""
        try:
            self.door.end()
        finally:
            self.machine.end(self.containers())
            for process in (self.kubelet, self.containerd, self.scheduler, self.proxy):
                process.kill()
            super().end()

    def is_ready(self) -> bool:
        """Whether Pods can run on the node."""
        for process in (self.containerd, self.kubelet, self.proxy, self.scheduler):
            process.require_running()
        conditions = self.get(f"/api/v1/nodes/{NAME}")["status"]["conditions"]
        return {"Ready": "True"}.items() <= {item["type"]: item["status"] for item in conditions}.items()

    def containers(self) -> list[str]:
        """The ids of all containers that there are, as the runtime keeps them."""
        folder = self.folder / "containerd/state/io.containerd.runtime.v2.task/k8s.io"
        return [path.name for path in folder.iterdir()] if folder.is_dir() else []

    def ctr(self, *words: str) -> str:
        """What ``ctr`` of containerd prints."""
        return self.machine.run("ctr", f"--address={self._socket()}", "--namespace=k8s.io", *words)

    def _socket(self) -> str:
        return "/run/containerd.sock"

    def _import_images(self) -> None:
        eventually(lambda: self._is_served(), START_SECONDS, "containerd")
        for number, image in enumerate(images(REGISTRY, VERSION)):
            path = self.folder / f"image-{number}.tar"
            write_image(image, path)
            self.ctr("images", "import", "--snapshotter=native", str(path))

    def _is_served(self) -> bool:
        self.containerd.require_running()
        try:
            return bool(self.ctr("version"))
        except AssertionError as error:
            raise LookupError(str(error)) from None

    def addresses_of(self, name: str) -> list[str]:
        """The address of the Service that a name in the cluster stands for. Raises what ``get`` raises."""
        service, dot, namespace = name.removesuffix(DOMAIN).partition(".")
        if not name.endswith(DOMAIN) or not dot or "." in namespace:
            return []
        try:
            found = self.get(f"/api/v1/namespaces/{namespace}/services/{service}")
        except Refused as error:
            if error.code == 404:
                return []
            return self._known[name]
        except OSError:
            return self._known[name]
        self._known[name] = [found["spec"]["clusterIP"]]
        return self._known[name]

    # -- commands

    def _containerd(self) -> list[str]:
        own = self.folder / "containerd"
        own.mkdir()
        network = own / "cni"
        network.mkdir()
        (network / "10-pods.conflist").write_text(json.dumps(_network(own)))
        text = subprocess.run(
            ["ctr", "oci", "spec"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        base: dict[str, Any] = json.loads(text)
        base["mounts"] += mounts()
        (own / "base.json").write_text(json.dumps(base))
        (own / "config.toml").write_text(
            _containerd_config(own, network, self.node_assets.cni, self._socket())
        )
        return ["containerd", f"--config={own / 'config.toml'}", "--log-level=warn"]

    def _kubelet(self) -> list[str]:
        own = self.folder / "kubelet"
        own.mkdir()
        (own / "config.yaml").write_text(yaml.safe_dump(_kubelet_config(own, self._socket())))
        return [
            str(self.node_assets.kubelet),
            f"--config={own / 'config.yaml'}",
            f"--kubeconfig={self.kubeconfig}",
            f"--root-dir={own}",
            f"--cert-dir={own / 'pki'}",
            f"--hostname-override={NAME}",
            f"--node-ip={ADDRESS}",
            "--v=1",
        ]

    def _proxy(self) -> list[str]:
        return [
            str(self.node_assets.proxy),
            f"--kubeconfig={self.kubeconfig}",
            "--proxy-mode=nftables",
            f"--hostname-override={NAME}",
            f"--cluster-cidr={PODS}",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--healthz-bind-address=127.0.0.1:10256",
            "--v=1",
        ]

    def _scheduler(self) -> list[str]:
        return [
            str(self.node_assets.scheduler),
            f"--kubeconfig={self.kubeconfig}",
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self.folder / 'scheduler'}",
        ]


def _network(own: Path) -> dict[str, Any]:
    """The network of Pods: a bridge on the machine, which is their gateway."""
    ranges = [[{"subnet": "10.244.7.0/24"}]]
    ipam = {
        "type": "host-local",
        "dataDir": str(own / "addresses"),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": ipam,
    }
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _containerd_config(own: Path, network: Path, plugins: Path, socket: str) -> str:
    return f"""
version = 2
root = "{own}/root"
state = "{own}/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.overlayfs",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{own}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  stream_server_address = "127.0.0.1"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{plugins}"
  conf_dir = "{network}"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  base_runtime_spec = "{own}/base.json"
"""


def _kubelet_config(own: Path, socket: str) -> dict[str, Any]:
    """What a kubelet needs to be told where cgroups are of version 1 or nested, and disks may be nearly full."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "address": ADDRESS,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{socket}",
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": str(own / "logs"),
        "volumePluginDir": str(own / "volume-plugins"),
        "localStorageCapacityIsolation": False,
        "syncFrequency": "10s",
        "makeIPTablesUtilChains": False,
        "registerNode": True,
    }
