#!/usr/bin/env python3
"""Delays and drops what a router forwards: everything passes through a TUN device and is written back later.

usage: delay.py DELAY_MS JITTER_MS LOSS_PERCENT INTERFACE...      one way; order is kept; runs in the router's namespace
Kernels without sch_netem have TUN. SIGSTOP holds the network up, SIGUSR1 drops what is on its way.
"""
import collections
import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

DELAY, JITTER, LOSS = float(sys.argv[1]) / 1e3, float(sys.argv[2]) / 1e3, float(sys.argv[3]) / 100
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKETS_AT_ONCE = 64


def run(command):
    subprocess.run(command.split(), check=True)


tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", b"late0", IFF_TUN | IFF_NO_PI))
run("ip link set late0 up txqueuelen 10000")
for name in ("all", "late0"):
    with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w") as file:
        file.write("0")
run("ip route replace default dev late0 table 100")
for interface in sys.argv[4:]:
    run(f"ip rule add iif {interface} lookup 100")

waiting = collections.deque()
signal.signal(signal.SIGUSR1, lambda *_: waiting.clear())
print("ready", flush=True)
last = 0.0
while True:
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        try:
            os.write(tun, waiting.popleft()[1])
        except OSError:
            pass
    pause = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
    if not select.select([tun], [], [], pause)[0]:
        continue
    for _ in range(PACKETS_AT_ONCE):
        try:
            packet = os.read(tun, 65536)
        except BlockingIOError:
            break
        if random.random() < LOSS:
            continue
        last = max(last, time.monotonic() + max(0.0, DELAY + random.uniform(-JITTER, JITTER)))
        waiting.append((last, packet))
