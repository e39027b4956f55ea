"""ww itself: an arbiter and a provider at the provider's, and a client with `ww up`."""
import json
import os
import time

from peers import Tunnel
from world import PROVIDER


NAMES = "ww", "wwuser", "before"  # each with an address and a port of its own


class Ww(Tunnel):
    def __init__(self, world, build, name="ww", workers=0):
        super().__init__(world, name, f"11.9.0.{6 + NAMES.index(name)}")
        self.program, self.user = str(build / "ww"), name == "wwuser"
        self.workers = ["--egress-workers", str(workers)], ["--tunnel-workers", str(workers)]
        if not workers:  # a build of before can be measured, too
            self.workers = [], []
        self.folder = world.folder / self.name
        self.port = 8443 + NAMES.index(name)
        self.folder.mkdir()
        for name in list(os.environ):
            if name.startswith("WW_"):
                del os.environ[name]

    def ww(self, end, *arguments, seconds=0):
        """Runs a command of ww, again and again for so many seconds if it fails."""
        return self.world.until(seconds, end, self.program, *arguments)

    def at(self, node):
        return ["--state", str(self.folder / node), "--control", str(self.folder / node / "control.sock")]

    def key(self, node):
        return str(self.folder / f"{node}-key" / "key")

    def node(self, end, role, *flags):
        pid = self.world.start(end, self.program, role, *self.at(role), *flags, name=f"{self.name}-{role}")
        self.ww(end, "status", "--control", str(self.folder / role / "control.sock"), seconds=20)
        return pid

    def start(self):
        url = f"https://{PROVIDER}:{self.port}"
        self.node("provider", "arbiter", "--key", self.key("arbiter"), "--listen", f"0.0.0.0:{self.port}",
                  "--url", url, "--hosts", PROVIDER)
        control = ["--control", str(self.folder / "arbiter" / "control.sock")]
        line = json.loads(self.ww("provider", "status", "--json", *control))["join_line"]
        for end in ("provider", "client"):
            self.ww(end, "key", "new", "--key", self.key(end))
            self.ww(end, "join", line, f"{end}s", "--key", self.key(end))
        self.ww("provider", "wallet", "credit", "clients", "usd", "10000.00usd", *control)
        self._pids.append(self.node("provider", "provider", "--key", self.key("provider"), "--arbiter", line,
                                    "--egress-mode", "user" if self.user else "kernel", *self.workers[0]))
        self._pids.append(self.node("client", "client", "--key", self.key("client"), "--arbiter", line,
                                    "--proxy", f"127.0.0.1:{self.port}", *self.workers[1], *self.tunnel()))
        time.sleep(1)
        self.ww("client", "up", *self.at("client"), "--key", self.key("client"), "--arbiter", line, *self.tunnel(),
                "--proxy", f"127.0.0.1:{self.port}", seconds=20)

    def tunnel(self):
        return ["--tunnel-device", f"b{self.name}", "--tunnel-include", f"{self.server}/32", "--no-tunnel-dns",
                "--no-tunnel-kill-switch"]
