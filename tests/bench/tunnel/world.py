"""Three network namespaces in a row, and the processes in them."""
import subprocess
import time
from pathlib import Path
import os

# Addresses that no rule denies: the namespaces know no others.
CLIENT, PROVIDER = "11.7.0.2", "11.7.0.1"
GATEWAY = "11.8.0.1"


class World:
    def __init__(self, folder, number=0):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        tag = f"wwb{os.getpid()}{'x' * number}"
        self.namespaces = {name: f"{tag}-{name}" for name in ("client", "provider", "internet")}
        self.processes = []

    def command(self, namespace, *command):
        return ["ip", "netns", "exec", self.namespaces[namespace], *command]

    def run(self, namespace, *command, timeout=30):
        run = subprocess.run(self.command(namespace, *command), capture_output=True, text=True,
                             timeout=timeout, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout

    def until(self, seconds, namespace, *command):
        end = time.monotonic() + seconds
        while True:
            try:
                return self.run(namespace, *command)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def start(self, namespace, *command, name, env=None):
        """A process that lives as long as the world; its output is in NAME.log."""
        log = open(self.folder / f"{name}.log", "ab")
        process = subprocess.Popen(self.command(namespace, *command), stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, env=env)
        self.processes.append(process)
        return process.pid

    def ip(self, namespace, text):
        for line in text.strip().splitlines():
            subprocess.run(["ip", "-n", self.namespaces[namespace], *line.split()], check=True)

    def serve(self, address):
        """An address of the internet, with an iperf3 server."""
        self.ip("internet", f"address add {address}/32 dev lo")
        self.start("internet", "iperf3", "-s", "-B", address, name=f"iperf3-{address}")

    def __enter__(self):
        for name in self.namespaces.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
        try:
            self.link()
        except BaseException:
            self.__exit__()
            raise
        return self

    def link(self):
        ns = self.namespaces
        for here, there in (("client", "provider"), ("provider", "internet")):
            subprocess.run(["ip", "link", "add", f"to-{there[:8]}", "netns", ns[here], "type", "veth",
                            "peer", "name", f"to-{here[:8]}", "netns", ns[there]], check=True)
        for name in ns:
            self.ip(name, "link set lo up")
        # Large enough for OpenVPN's 48,000 bytes: at 1,500 they would be cut to what any other carries.
        for here, there in (("provider", "internet"), ("internet", "provider")):
            self.ip(here, f"link set to-{there[:8]} mtu 65535")
        self.ip("client", f"""address add {CLIENT}/24 dev to-provider
            link set to-provider up
            route add default via {PROVIDER}""")
        self.ip("provider", f"""address add {PROVIDER}/24 dev to-client
            link set to-client up
            address add {GATEWAY}/24 dev to-internet
            link set to-internet up
            route add default via 11.8.0.2""")
        self.ip("internet", "address add 11.8.0.2/24 dev to-provider\nlink set to-provider up")
        # A new namespace lets nobody ping without root; systemd lets all groups (50-default.conf).
        self.run("provider", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.ping_group_range=0 2147483647")
        self.run("provider", "nft", "add table ip bench; add chain ip bench post "
                 "{ type nat hook postrouting priority 100; }; add rule ip bench post oifname to-internet masquerade")
        # Nobody's own packets go through another one's tunnel: ICE would find that way, too.
        self.run("provider", "nft", "add chain ip bench apart { type filter hook input priority 0; }; "
                 "add rule ip bench apart iifname != { lo, to-client, to-internet } drop")

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self.namespaces.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
