"""bad_wire.py LOSS REORDER DUPLICATE MILLISECONDS ONE OTHER: a wire between two interfaces that loses, reorders and
duplicates packets (percent) and delays them, as netem does where a kernel has it. Prints "ready"."""
import heapq
import itertools
import random
import select
import socket
import sys
import time

ETH_P_ALL, SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 3, 263, 15, 4


def port(device):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)  # checksums that are still to be made stay so
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    s.bind((device, 0))
    s.setblocking(False)
    return s


def main():
    loss, reorder, duplicate, delay = (float(a) for a in sys.argv[1:5])
    ends = [port(d) for d in sys.argv[5:7]]
    other, late, order = dict(zip(ends, reversed(ends))), [], itertools.count()
    print("ready", flush=True)

    def chance(percent):
        return random.random() * 100 < percent

    while True:
        ready, _, _ = select.select(ends, [], [], max(0, late[0][0] - time.monotonic()) if late else None)
        for s in ready:
            frame, (_, _, kind, *_) = s.recvfrom(70000)
            if kind == PACKET_OUTGOING or chance(loss):
                continue
            for _ in range(1 + chance(duplicate)):  # who is reordered overtakes those that wait
                wait = 0 if chance(reorder) else delay / 1000 * random.uniform(.9, 1.1)
                heapq.heappush(late, (time.monotonic() + wait, next(order), other[s], frame))
        while late and late[0][0] <= time.monotonic():
            _, _, s, frame = heapq.heappop(late)
            try:
                s.send(frame)
            except OSError:
                pass  # a packet lost more


if __name__ == "__main__":
    main()
