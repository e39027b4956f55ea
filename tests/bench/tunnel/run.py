#!/usr/bin/env python3
"""IP traffic through the tunnel, beside wireguard-go, OpenVPN and nebula from Debian and beside the
bare link, alternately, in network namespaces that this program makes:

    client ---- provider ---- internet

Everyone carries the same iperf3 traffic from the client to a server in "internet", through NAT at the
provider. Printed are each round's figures, then for each measure the median of everyone's, and the
median and spread of ww's ratio to them, round by round. Accounting, contracts, flow table and verdicts
are on, as users run it.

Needs root, and what `tests/install.sh bench` installs: the peers, iperf3 and iproute2.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from nodes import Ww
from peers import Bare, Nebula, OpenVpn, WireGuard
from world import World

IDLE_SECONDS, START_SECONDS = 1, 1
MEASURES = ("down", "up", "down4", "up4", "udp", "udp64", "rtt")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User and system time that processes (proc(5): utime, stime) have used so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def iperf(world, server, *arguments, seconds):
    command = ["iperf3", "-J", "-c", server, "-t", str(seconds), *arguments]
    run = world.run("client", *command, timeout=seconds + 20)
    report = json.loads(run)
    if "error" in report:
        raise RuntimeError(f"iperf3 to {server}: {report['error']}")
    return report["end"]


def pings(world, server, seconds, out):
    """Round trips in ms, 20 a second, while something else may load the tunnel."""
    run = subprocess.run(world.command("client", "ping", "-n", "-i", "0.05", "-w", str(seconds), server),
                         capture_output=True, text=True, timeout=seconds + 10, check=False)
    out += [float(line.split("time=")[1].split()[0]) for line in run.stdout.splitlines() if "time=" in line]


def measure(what, tunnel, seconds):
    """One figure, and the CPU seconds of the tunnel's processes for each Gbit that it carried."""
    world, server = tunnel.world, tunnel.server
    idle, times = [], []
    if what == "rtt":
        pings(world, server, IDLE_SECONDS, idle)
    before = cpu_seconds(tunnel.pids())
    if what in ("down", "up", "down4", "up4"):
        arguments = ["-P", "4"] if what.endswith("4") else []
        arguments += ["-R"] if what.startswith("down") else []
        end = iperf(world, server, *arguments, seconds=seconds)
        carried = end["sum_received"]["bytes"] * 8 / 1e9
        figure = end["sum_received"]["bits_per_second"] / 1e9
    elif what in ("udp", "udp64"):
        size = "1200" if what == "udp" else "64"
        end = iperf(world, server, "-u", "-b", "0", "-l", size, seconds=seconds)
        received = (end["sum"]["packets"] - end["sum"]["lost_packets"])
        carried = received * int(size) * 8 / 1e9
        figure = received / end["sum"]["seconds"] / 1e3 if what == "udp64" \
            else carried / end["sum"]["seconds"]
    else:
        # Once it is at speed, and for as long as it is.
        thread = threading.Timer(START_SECONDS, pings, (world, server, seconds, times))
        thread.start()
        end = iperf(world, server, seconds=seconds + 2 * START_SECONDS)
        thread.join()
        carried = end["sum_received"]["bytes"] * 8 / 1e9
        if not times or not idle:
            raise RuntimeError(f"no ping came back through {tunnel.name}")
        print(f"  {tunnel.name}: {statistics.median(idle):.3f} ms idle, {statistics.median(times):.3f} ms loaded")
        figure = statistics.median(times) - statistics.median(idle)
    spent = cpu_seconds(tunnel.pids()) - before
    return figure, spent / carried if carried else float("nan")


UNITS = {"down": "Gbit/s", "up": "Gbit/s", "down4": "Gbit/s", "up4": "Gbit/s", "udp": "Gbit/s",
         "udp64": "1000/s", "rtt": "ms added by an upload"}


def ratio_of(mine, others):
    """The median and spread of ratios round by round; None where nothing can be compared."""
    ratios = [a / b for a, b in zip(mine, others) if b > 0]
    return ratios and {"median": round(statistics.median(ratios), 3),
                       "min": round(min(ratios), 3), "max": round(max(ratios), 3)} or None


def table(results, names, measures):
    base = next((name for name in names if name.startswith("ww")), None)
    report = {}
    for what in measures:
        entry = report[what] = {"unit": UNITS[what], "tunnels": {}}
        print(f"\n{what} ({UNITS[what]})")
        for name in names:
            figures = [figure for figure, _ in results[what, name]]
            cost = statistics.median(cost for _, cost in results[what, name])
            row = {"median": round(statistics.median(figures), 3), "min": round(min(figures), 3),
                   "max": round(max(figures), 3), "cpu_s_per_gbit": round(cost, 3)}
            line = f"  {name:12}{row['median']:9.3f}  ({row['min']:.3f} to {row['max']:.3f})" \
                   f"  CPU {row['cpu_s_per_gbit']:.3f} s/Gbit"
            if base and name != base:
                row["ratio"], row["cpu_ratio"] = (
                    ratio_of(mine, others) for mine, others in
                    zip(zip(*results[what, base]), zip(*results[what, name])))
                if not row["ratio"]:
                    print(f"  {name:12}no ratio: nothing above 0")
                    continue
                for label, key in (("", "ratio"), ("CPU ", "cpu_ratio")):
                    ratio = row[key]
                    line += f"  {label}{base}/{name} {ratio['median']:.3g}" \
                            f" ({ratio['min']:.3g} to {ratio['max']:.3g})" if ratio else ""
            entry["tunnels"][name] = row
            print(line)
    return report


def main():
    root = Path(__file__).resolve().parents[3]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=Path, default=root / "build/release", help="where ww was built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--only", default="bare,wireguard,openvpn,openvpn48k,nebula,ww",
                        help="who takes part: these, and wwuser (ww, egress without root)\n"
                             "and before (the build that --before names)")
    parser.add_argument("--before", type=Path, help="another build of ww, to compare the two")
    parser.add_argument("--measures", default=",".join(MEASURES))
    parser.add_argument("--tcp-ecn", type=int, choices=(0, 1, 2), help="what TCP does about ECN everywhere (tcp_ecn)")
    parser.add_argument("--json", type=Path, help="writes the report there, too")
    parser.add_argument("--workers", type=int, default=0, help="packet workers at both ends of ww")
    parser.add_argument("--hold", action="store_true", help="keeps the tunnels until Enter instead")
    options = parser.parse_args()
    if os.getuid() != 0:
        parser.error("network namespaces and TUN devices need root")
    measures = options.measures.split(",")
    for what in measures:
        if what not in MEASURES:
            parser.error(f"no such measure: {what}")
    makers = {"bare": Bare, "wireguard": WireGuard, "openvpn": OpenVpn,
              "openvpn48k": lambda world: OpenVpn(world, "openvpn48k", mtu=48000), "nebula": Nebula,
              "ww": lambda world: Ww(world, options.build, workers=options.workers),
              "wwuser": lambda world: Ww(world, options.build, "wwuser", workers=options.workers),
              "before": lambda world: Ww(world, options.before, "before", workers=options.workers)}
    names = options.only.split(",")
    for name in names:
        if name not in makers:
            parser.error(f"no such tunnel: {name}")
    before = "before" in names
    if before != (options.before is not None):
        parser.error("`before` takes part with --before BUILD, and only then")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    folder = Path(tempfile.mkdtemp())
    try:
        with contextlib.ExitStack() as stack:
            # Two providers with the kernel's egress need a machine each.
            worlds = [stack.enter_context(World(folder / str(number), number)) for number in range(2 if before else 1)]
            for world in worlds:
                for name in world.namespaces if options.tcp_ecn is not None else ():
                    world.run(name, "sysctl", "-qw", f"net.ipv4.tcp_ecn={options.tcp_ecn}")
            tunnels = [makers[name](worlds[name == "before"]) for name in names]
            for tunnel in tunnels:
                tunnel.start()
                tunnel.world.serve(tunnel.server)
                tunnel.world.until(20, "client", "ping", "-c", "1", "-W", "1", tunnel.server)
                print(f"{tunnel.name}: up", file=sys.stderr)
            if options.hold:
                print("\n".join(f"{t.name}: {t.server} {t.pids()}" for t in tunnels))
                print(*(f"namespaces {world.namespaces}" for world in worlds), "Enter ends it", sep="\n")
                sys.stdin.readline()
                return
            results = {(what, name): [] for what in measures for name in names}
            for number in range(options.rounds):
                for what in measures:
                    for i in range(len(tunnels)):
                        tunnel = tunnels[(i + number) % len(tunnels)]
                        figure, cost = measure(what, tunnel, options.seconds)
                        results[what, tunnel.name].append((figure, cost))
                        print(f"{number + 1} {what} {tunnel.name} {figure:.3f} {UNITS[what]},"
                              f" CPU {cost:.3f} s/Gbit", file=sys.stderr)
                        time.sleep(0.3)
            report = table(results, names, measures)
            if options.json:
                options.json.write_text(json.dumps(
                    {"rounds": options.rounds, "seconds": options.seconds, "measures": report}) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
