"""USB devices as models, served over USB/IP by PyPI's `usbip`: usb_devices.py PORT

PORT + 1 is a CP2112 (a GPIO chip on USB; the kernel's own driver is on the other side), PORT + 2 a relay
board (16c0:05df), PORT + 3 a power strip (04b4:fd11). PORT takes a line `NAME`, `NAME FAULT` or
`NAME pins BITS` (what is outside drives them) and answers with what the device's pins, relays or sockets were
since the line before, the latest one last: `00000000 00000010`.
"""
import socketserver
import sys
import threading
import time

from usbip import USBDevice
from usbip.classes.device import hid
from usbip.core import CLASS, IN, Setup, Stall
from usbip.transport import USBIP

PORT = int(sys.argv[1])


class Device(USBDevice):
    """One whose control endpoint can fall silent."""

    model = None

    def _handle_control(self, urb):
        setup = Setup.parse(urb.setup)
        if setup.type == CLASS and self.model.fault == "silence":
            return None
        return super()._handle_control(urb)


class Model(hid.HID):
    fault = "none"
    bits = 0

    def __init__(self, report_descriptor):
        super().__init__(report_descriptor)
        self.seen = [0]

    def become(self, bits):
        if self.fault != "stuck":
            self.bits = bits
            self.seen.append(bits)

    def on_control(self, setup, data=b""):
        if setup.type == CLASS and self.fault == "refusal":
            raise Stall
        answer = super().on_control(setup, data)
        if setup.direction == IN and setup.type == CLASS:
            if self.fault == "short":
                return answer[: len(answer) // 3]
            if self.fault == "noise":
                return bytes(255 - byte for byte in answer)
        return answer

    def _get_report(self, kind, report, length):
        return self.get(report)[:length]

    def _set_report(self, kind, report, data):
        self.set(report, bytes(data))


class Cp2112(Model):
    """Silicon Labs AN495: direction in report 2, levels in report 3, new levels and their mask in report 4."""

    outputs = 0

    def get(self, report):
        return {
            2: bytes([2, self.outputs, 0, 0, 0]),
            3: bytes([3, self.bits]),
            5: bytes([5, 0x0C, 2]),
            6: bytes([6, 0, 1, 0x86, 0xA0, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        }.get(report, bytes([report]))

    def set(self, report, data):
        if report == 2:
            self.outputs = data[1]
        elif report == 4:
            self.become((self.bits & ~data[2]) | (data[1] & data[2]))


class Relay(Model):
    """Five letters, two zeros, a bit a relay; switched by FF and FD."""

    def get(self, report):
        return b"HURTM\0\0" + bytes([self.bits])

    def set(self, report, data):
        bit = 1 << (data[1] - 1)
        self.become(self.bits | bit if data[0] == 0xFF else self.bits & ~bit)


class Sispm(Model):
    """Report 1 is its number, report 3n socket n."""

    def get(self, report):
        if report == 1:
            return bytes([1, 1, 2, 3, 4])
        return bytes([report, 3 if self.bits >> (report // 3 - 1) & 1 else 0, 0, 0, 0])

    def set(self, report, data):
        bit = 1 << (report // 3 - 1)
        self.become(self.bits | bit if data[1] & 1 else self.bits & ~bit)


VENDOR = bytes([0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08])


def reports(sizes):
    return b"".join(bytes([0x85, number, 0x95, size, 0x09, 0x00, 0xB1, 0x02]) for number, size in sizes)


TRANSFERS = bytes([0x85, 0x10, 0x95, 63, 0x09, 0, 0x81, 2, 0x85, 0x14, 0x95, 63, 0x09, 0, 0x91, 2])
MODELS = {
    "cp2112": Cp2112(VENDOR + reports([(1, 1), (2, 4), (3, 1), (4, 2), (5, 2), (6, 13)]) + TRANSFERS + b"\xc0"),
    "relay": Relay(VENDOR + bytes([0x95, 8, 0x09, 0x00, 0xB2, 0x02, 0x01, 0xC0])),
    "sispm": Sispm(VENDOR + reports([(1, 4), (3, 4), (6, 4), (9, 4), (12, 4)]) + b"\xc0"),
}
IDS = {
    "cp2112": (0x10C4, 0xEA90, "Silicon Laboratories", "CP2112 HID USB-to-SMBus Bridge"),
    "relay": (0x16C0, 0x05DF, "www.dcttech.com", "USBRelay4"),
    "sispm": (0x04B4, 0xFD11, "Gembird", "Gembird Silver Shield PM"),
}
for index, (name, model) in enumerate(MODELS.items()):
    vendor, product, maker, words = IDS[name]
    device = Device(vendor, product, manufacturer=maker, product=words)
    device.model = model
    device.add(model)
    device.plug(via=USBIP("127.0.0.1", PORT + 1 + index))


class Asked(socketserver.StreamRequestHandler):
    def handle(self):
        name, *words = self.rfile.readline().decode().split()
        model = MODELS[name]
        if words[:1] == ["pins"]:
            model.bits = int(words[1], 2)
            model.seen = [model.bits]
        elif words:
            model.fault = words[0]
        seen, model.seen = model.seen, [model.bits]
        self.wfile.write(" ".join(f"{bits:08b}" for bits in seen).encode() + b"\n")


server = socketserver.ThreadingTCPServer(("127.0.0.1", PORT), Asked)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(3600)
