"""The peers that ww is compared with, as Debian 12 has them."""
import subprocess

from world import CLIENT, PROVIDER


class Tunnel:
    """Carries what the client sends to `server`, an address of the internet."""

    def __init__(self, world, name, server):
        self.world, self.name, self.server = world, name, server
        self._pids = []

    def pids(self):
        return self._pids

    def start_both(self, client, provider, env=None):
        for end, command in (("provider", provider), ("client", client)):
            self._pids.append(self.world.start(end, *command, name=f"{self.name}-{end}", env=env))

    def route(self, device):
        self.world.until(10, "client", "ip", "link", "show", "up", "dev", device)
        self.world.ip("client", f"route replace {self.server}/32 dev {device}")


class Bare(Tunnel):
    def __init__(self, world):
        super().__init__(world, "bare", "11.9.0.1")

    def start(self):
        pass  # the link itself; its work is the kernel's


class WireGuard(Tunnel):
    """wireguard-go, for its work is in user space, as ww's."""

    def __init__(self, world):
        super().__init__(world, "wireguard", "11.9.0.2")

    def key(self):
        private = subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout
        public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True, check=True).stdout
        return private.strip(), public.strip()

    def start(self):
        keys = {"client": self.key(), "provider": self.key()}
        commands = {end: ["wireguard-go", "-f", f"bwg-{end[:6]}"] for end in keys}
        self.start_both(commands["client"], commands["provider"])
        for end, other, address, endpoint in (("client", "provider", "10.71.0.2", f"{PROVIDER}:7101"),
                                              ("provider", "client", "10.71.0.1", f"{CLIENT}:7101")):
            device = f"bwg-{end[:6]}"
            file = self.world.folder / f"wireguard-{end}.key"
            file.write_text(keys[end][0])
            file.chmod(0o600)
            self.world.until(10, end, "ip", "link", "show", device)
            allowed = "0.0.0.0/0" if end == "client" else "10.71.0.2/32"
            self.world.until(10, end, "wg", "set", device, "listen-port", "7101", "private-key", str(file),
                             "peer", keys[other][1], "allowed-ips", allowed, "endpoint", endpoint)
            self.world.ip(end, f"address add {address}/24 dev {device}\nlink set {device} up mtu 1420")
        self.route("bwg-client")


class OpenVpn(Tunnel):
    """AES-256-GCM; as it comes, or with the large packets and buffers that make it fastest."""

    def __init__(self, world, name="openvpn", mtu=None):
        super().__init__(world, name, "11.9.0.4" if mtu else "11.9.0.3")
        self.mtu = mtu
        self.net, self.port = ("10.74.0", 7104) if mtu else ("10.73.0", 7103)

    def start(self):
        folder = self.world.folder
        if not (folder / "ca.crt").exists():
            self.certificates()
        device = f"b{self.name}"
        common = ["--dev", device, "--dev-type", "tun", "--proto", "udp", "--cipher", "AES-256-GCM",
                  "--data-ciphers", "AES-256-GCM", "--ca", f"{folder}/ca.crt", "--verb", "1", "--topology",
                  "subnet", "--port", str(self.port), "--remote-cert-eku"]
        if self.mtu:
            common += ["--tun-mtu", str(self.mtu), "--mssfix", "0", "--sndbuf", "4000000", "--rcvbuf", "4000000",
                       "--txqueuelen", "1000"]
        common.remove("--remote-cert-eku")
        server = ["openvpn", *common, "--tls-server", "--dh", "none", "--cert", f"{folder}/server.crt", "--key",
                  f"{folder}/server.key", "--mode", "p2p", "--ifconfig", f"{self.net}.1", "255.255.255.0",
                  "--local", PROVIDER]
        client = ["openvpn", *common, "--tls-client", "--cert", f"{folder}/client.crt", "--key",
                  f"{folder}/client.key", "--ifconfig", f"{self.net}.2", "255.255.255.0", "--remote", PROVIDER,
                  "--nobind"]
        client.remove("--nobind")
        self.start_both(client, server)
        self.route(device)

    def certificates(self):
        folder = self.world.folder

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
        for name in ("server", "client"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                    "-days", "2", "-out", f"{name}.crt")


class Nebula(Tunnel):
    def __init__(self, world):
        super().__init__(world, "nebula", "11.9.0.5")

    def start(self):
        folder = self.world.folder

        def cert(*arguments):
            subprocess.run(["nebula-cert", *arguments], check=True, capture_output=True, cwd=folder)
        cert("ca", "-name", "bench", "-out-crt", "nebula-ca.crt", "-out-key", "nebula-ca.key")
        for end, address, subnets in (("provider", "10.75.0.1", ["-subnets", "11.9.0.0/24"]), ("client", "10.75.0.2", [])):
            cert("sign", "-name", end, "-ip", f"{address}/24", *subnets, "-ca-crt", "nebula-ca.crt", "-ca-key",
                 "nebula-ca.key", "-out-crt", f"nebula-{end}.crt", "-out-key", f"nebula-{end}.key")
            (folder / f"nebula-{end}.yml").write_text(f"""
pki: {{ca: {folder}/nebula-ca.crt, cert: {folder}/nebula-{end}.crt, key: {folder}/nebula-{end}.key}}
static_host_map: {{"10.75.0.1": ["{PROVIDER}:7105"]}}
lighthouse: {{am_lighthouse: {"true" if end == "provider" else "false"}, hosts: [{'"10.75.0.1"' if end == "client" else ""}]}}
listen: {{host: 0.0.0.0, port: 7105}}
tun:
  dev: bneb-{end[:6]}
  mtu: 1300
  {'unsafe_routes: [{route: 11.9.0.5/32, via: 10.75.0.1}]' if end == "client" else "drop_local_broadcast: false"}
logging: {{level: warning}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
""")
        self.start_both(*(["nebula", "-config", str(folder / f"nebula-{end}.yml")] for end in ("client", "provider")))
        self.world.until(10, "client", "ip", "link", "show", "up", "dev", "bneb-client")
