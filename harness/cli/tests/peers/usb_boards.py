"""Boards that are brought up over USB, as models beside the lab's QEMU:
usb_boards.py PORT MODELS FOLDER QMP KERNEL INITRD APPEND START

A board is off, in its boot ROM (a USB device that takes one loader, served over USB/IP by PyPI's `usbip`), a USB
disk (QEMU's usb-storage, plugged into the lab's machine), or runs: a QEMU of its own on what its storage holds.
START is the command line of a kernel that runs what stands for `WORK` in it. PORT takes lines that begin with a board's name:

    make VENDOR:PRODUCT PLACE WHAT SERIAL   a new one with 8 MiB of zeros; its disk comes to this port of the lab's
                                            USB. WHAT is what it does; answers with its console's port
    put COUNT, get                          bytes into its storage; all that is in it
    power [on|off], held [on|off]           the supply; the contact that sends it into its boot ROM. `on PORT` is
                                            the answer when the device is to be attached from there

An installer's stick is in a mux of those that listen on MODELS; SERIAL names it.

WHAT: `disk` (becomes a disk when it has its loader), `shows` (is a disk at once), `takes` (what it is sent goes
into its storage), `installs` (starts an installer, which copies the stick), and what goes wrong: `skips`, `panics`
(the installer), `absent` (nothing on USB), `gone` (no disk comes), `tablet` (something else
comes), `large` (the disk is another one).
"""
import concurrent.futures
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading

from usbip import USBDevice, protocol
from usbip.device import Out
from usbip.function import Interface
from usbip.transport import Transport

PORT, MODELS, FOLDER, QMP, KERNEL, INITRD, APPEND, START = sys.argv[1:]
SIZE, LARGE = 8 << 20, 96 << 20
# What a boot ROM needs to start anew.
RESTART = 0.3
one_at_a_time = threading.RLock()
# A machine ends with the thread that started it: this one stays.
starter = concurrent.futures.ThreadPoolExecutor(1)
# What an installer does; a kernel whose first process ends panics.
OFF = "/bin/busybox poweroff -f"
WORKS = {
    "installs": f"/bin/busybox dd if=/dev/vdb of=/dev/vda bs=1M count=8 && {OFF}",
    "skips": OFF,
    "panics": "exit 1",
}


def in_background(work, *args):
    threading.Thread(target=work, args=args, daemon=True).start()


def listener():
    return socket.create_server(("127.0.0.1", 0))


def stick(mux):
    """All that is on the card of a mux, when that has given it to the DUT."""
    with socket.create_connection(("127.0.0.1", int(MODELS))) as client:
        client.sendall(f"{mux} dut\n".encode())
        return client.makefile("rb").read()


class Cable(Transport):
    """Serves one device, which can be pulled out."""

    def __init__(self):
        self.listener, self.conn = listener(), None
        self.port = self.listener.getsockname()[1]

    def serve(self, dev):
        dev.busid, dev.busnum, dev.devnum = "1-1", 1, 2
        in_background(self.accept, dev)

    def accept(self, dev):
        while True:
            self.conn, _ = self.listener.accept()
            self.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            protocol.serve_connection(self.conn, [dev])

    def pull(self):
        try:
            if self.conn:
                self.conn.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is out


class Rom(Interface):
    """Told how much comes, then it comes."""

    bInterfaceSubClass = bInterfaceProtocol = 0xFF
    out_ep = Out(0x01, "bulk", mps=64)

    def __init__(self, loaded):
        super().__init__()
        self.loaded, self.wanted, self.got = loaded, 0, bytearray()

    def on_vendor(self, setup, data=b""):
        self.wanted, self.got = setup.wValue | setup.wIndex << 16, bytearray()
        return b""

    def on_out(self, ep, data):
        self.got += data
        if len(self.got) == self.wanted:
            threading.Timer(RESTART, self.loaded, [bytes(self.got)]).start()


def monitor(*commands, gone=None):
    """Tells the lab's machine something; waits until a device is gone."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(QMP)
        lines = client.makefile("rw")
        lines.readline()
        for command, arguments in [("qmp_capabilities", {}), *commands]:
            lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            lines.flush()
            left = gone if command == "device_del" else None
            answered = False
            while not answered or left:
                said = json.loads(lines.readline())
                if "error" in said:
                    raise RuntimeError(f"{command}: {said}")
                answered = answered or "return" in said
                if said.get("event") == "DEVICE_DELETED" and said["data"].get("device") == left:
                    left = None


class Board:
    def __init__(self, name, number, place, what, serial):
        self.name, self.place, self.what, self.serial = name, place, what, serial
        self.on = self.held = False
        self.plugged = self.dut = self.client = None
        self.storage = os.path.join(FOLDER, name)
        with open(self.storage, "wb") as file:
            file.truncate(SIZE)
        vendor, product = (int(part, 16) for part in number.split(":"))
        self.cable, rom = Cable(), Rom(self.loaded)
        device = USBDevice(vendor, product, manufacturer="Maker", product="Boot ROM", serial=None)
        device.add(rom)
        device.on_control(None, rom.on_vendor)
        device.plug(via=self.cable)
        self.console = listener()
        in_background(self.listen)

    def power(self, on):
        if on == self.on:
            return
        self.on = on
        if not on:
            self.cable.pull()
            self.unplug()
            if self.dut:
                self.dut.kill()
                self.dut.wait()
                self.dut = None
        elif not self.held:
            self.boot()
        elif self.what == "shows":
            self.plug()
        elif self.what != "absent":
            return self.cable.port

    def loaded(self, sent):
        with one_at_a_time:
            if not self.on:
                return
            self.cable.pull()
            if self.what == "takes":
                with open(self.storage, "r+b") as file:
                    file.write(sent)
            elif self.what in WORKS:
                self.install()
            elif self.what != "gone":
                self.plug()

    def plug(self):
        at = {"id": self.name, "bus": "usb.0", "port": self.place}
        if self.what == "tablet":
            self.plugged = [("device_add", {"driver": "usb-tablet", **at})]
            return monitor(*self.plugged)
        path = self.storage
        if self.what == "large":
            path += ".large"
            with open(path, "wb") as file:
                file.truncate(LARGE)
        file = {"driver": "file", "filename": path, "locking": "off"}
        node = {"driver": "raw", "node-name": "n-" + self.name, "file": file}
        disk = {"driver": "usb-storage", "drive": "n-" + self.name, "serial": self.serial, "removable": True}
        self.plugged = [("blockdev-add", node), ("device_add", {**disk, **at})]
        monitor(*self.plugged)

    def unplug(self):
        if not self.plugged:
            return
        monitor(("device_del", {"id": self.name}), gone=self.name)
        if len(self.plugged) == 2:
            monitor(("blockdev-del", {"node-name": "n-" + self.name}))
        self.plugged = None

    def install(self):
        path = self.storage + ".stick"
        with open(path, "wb") as file:
            file.write(stick(self.serial))
        self.boot(START.replace("WORK", WORKS[self.what]), "-drive", f"file={path},format=raw,if=virtio")

    def boot(self, append=APPEND, *more):
        argv = "setpriv --pdeathsig KILL -- qemu-system-x86_64 -nodefaults -machine q35 -cpu qemu64 -accel tcg -m 192"
        argv = [*argv.split(), "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", KERNEL]
        argv += ["-initrd", INITRD, "-append", append]
        argv += ["-drive", f"file={self.storage},format=raw,if=virtio,file.locking=off", *more]
        self.dut = starter.submit(
            subprocess.Popen, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ).result()
        in_background(self.say, self.dut)

    def say(self, dut):
        while said := os.read(dut.stdout.fileno(), 4096):
            if self.client:
                self.client.sendall(said)

    def listen(self):
        while True:
            self.client, _ = self.console.accept()
            while typed := self.client.recv(4096):
                if self.dut:
                    os.write(self.dut.stdin.fileno(), typed)


boards = {}


class Asked(socketserver.StreamRequestHandler):
    def handle(self):
        name, word, *words = self.rfile.readline().decode().split()
        with one_at_a_time:
            if word == "make":
                board = boards[name] = Board(name, *words)
                answer = str(board.console.getsockname()[1])
            elif word == "put":
                with open(boards[name].storage, "r+b") as file:
                    file.write(self.rfile.read(int(words[0])))
                answer = "put"
            elif word == "get":
                with open(boards[name].storage, "rb") as file:
                    return self.wfile.write(file.read())
            else:
                answer = self.switch(boards[name], word, words)
        self.wfile.write(answer.encode() + b"\n")

    def switch(self, board, word, words):
        port = None
        if words and word == "power":
            port = board.power(words[0] == "on")
        elif words:
            board.held = words[0] == "on"
        level = "on" if (board.on if word == "power" else board.held) else "off"
        return f"{level} {port}" if port else level


class Server(socketserver.TCPServer):
    allow_reuse_address = True


server = Server(("127.0.0.1", int(PORT)), Asked)
print("ready", flush=True)
server.serve_forever()
