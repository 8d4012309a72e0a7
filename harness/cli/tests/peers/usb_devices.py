"""USB devices as models, served over USB/IP by PyPI's `usbip`: usb_devices.py PORT

PORT + 1 is a CP2112 (a GPIO chip on USB; the kernel's own driver is on the other side), PORT + 2 a relay
board (16c0:05df), PORT + 3 a power strip (04b4:fd11), PORT + 4 and 5 card muxes (0424:4041, the USB-SD-Mux
classic and FAST), PORT + 6 the chip of an SDWire (04e8:6001) and PORT + 7 its card reader (0424:4050). PORT takes a line `NAME`, `NAME FAULT`, `NAME FAULT COUNT`
(from that many of a mux's own commands on), `NAME pins BITS` (what is outside drives them) or
`NAME card BLOCKS` (another card in a mux, 0 for none) and answers with what the device's pins, relays or
sockets were since the line before, the latest one last: `00000000 00000010`. `NAME dut` answers with all that is
on the card, as the DUT reads it: with nothing when it has none.
"""
import socketserver
import sys
import threading
import time

from usbip import USBDevice
from usbip.classes.device import hid, msc
from usbip.core import CLASS, IN, SPEED_HIGH, VENDOR, Setup, Stall
from usbip.device import In, Out
from usbip.function import Interface
from usbip.transport import USBIP

PORT = int(sys.argv[1])


class Device(USBDevice):
    """One whose control endpoint can fall silent."""

    model = None

    def _handle_control(self, urb):
        setup = Setup.parse(urb.setup)
        if setup.type == self.model.asked_by and self.model.fault == "silence":
            return None
        return super()._handle_control(urb)


class Model(hid.HID):
    asked_by = CLASS
    fault = "none"
    bits = 0

    def __init__(self, report_descriptor):
        super().__init__(report_descriptor)
        self.seen = [0]

    def wrong(self, fault):
        self.fault = fault

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


class Card:
    """A card; its CID tells it from the others, and what nobody wrote reads as zeros."""

    block_size = 512
    made = 0

    def __init__(self, blocks):
        Card.made += 1
        self.num_blocks, self.blocks = blocks, {}
        self.cid = bytes.fromhex("1b534d4542315154") + bytes([0x30, Card.made, 0, 0, 0, 0, 0xF1, 0xA2])

    def read(self, lba, count):
        return b"".join(self.blocks.get(lba + index, bytes(512)) for index in range(count))

    def write(self, lba, count, data):
        for index in range(count):
            self.blocks[lba + index] = data[512 * index : 512 * (index + 1)]


class CardReader(msc.MSC):
    """A reader with a card in it, or none; `here` says whether the card is on this side."""

    asked_by = None
    fault = "none"
    ATTENTION = (0x06, 0x28, 0x00)

    def __init__(self, vendor, product):
        super().__init__(Card(65536), vendor=vendor, product=product)
        self.was = self.card = self.luns[0].store

    def here(self):
        return True

    def there(self):
        return not self.here()

    def insert(self, blocks):
        self.card = Card(blocks) if blocks else None

    def dut(self):
        card = self.card if self.there() else None
        return card.read(0, card.num_blocks) if card else b""

    def _dispatch(self, lun, tag, dlen, cdb):
        now = self.card if self.here() else None
        changed, self.was = now is not self.was, now
        if cdb[0] in (0x03, 0x12) or cdb[0] >= 0xC0:
            return super()._dispatch(lun, tag, dlen, cdb)
        if now is None:
            return self._fail(lun, tag, dlen, msc.SENSE_NOT_READY, "no card")
        self.luns[0].store = now
        if changed:
            return self._fail(lun, tag, dlen, self.ATTENTION, "another card")
        super()._dispatch(lun, tag, dlen, cdb)


class SdMux(CardReader):
    """A USB2642 with a card, and an expander on its I2C bus: levels at the pins, levels to drive, their polarity,
    their direction. What nobody drives is pulled to the DUT's side."""

    def __init__(self, product, address, no_data, no_power, dut, pulled):
        super().__init__("LinuxAut", product)
        self.address, self.no_data, self.no_power, self.dut_pin, self.pulled = address, no_data, no_power, dut, pulled
        self.out = self.direction = 0xFF
        self.arriving = None
        self.seen = [self.bits]
        self.wrong("none")

    @property
    def bits(self):
        return (self.out & ~self.direction) | (self.pulled & self.direction)

    def here(self):
        if self.fault == "lies":
            return self.lie
        return not self.bits & (self.no_data | self.no_power | self.dut_pin | 8)

    def there(self):
        return not self.bits & (self.no_data | self.no_power) and bool(self.bits & self.dut_pin)

    def wrong(self, fault, after=0):
        self.lie = self.here()
        self.fault, self.later, self.after = ("none", fault, int(after)) if after else (fault, fault, 0)

    def on_reset(self):
        self.arriving = None

    def on_out(self, ep, data):
        if self.arriving is None:
            return super().on_out(ep, data)
        tag, wanted, got = self.arriving
        got += data
        if len(got) >= wanted:
            self.arriving = None
            if self.fault != "stuck":
                self.set(*got[:2])
            self._csw(tag, 0, 0)

    def set(self, register, value):
        if register == 1:
            self.out = value
        elif register == 3:
            self.direction = value
        if self.bits != self.seen[-1]:
            self.seen.append(self.bits)

    def _dispatch(self, lun, tag, dlen, cdb):
        cdb = bytes(cdb)
        if cdb[0] != 0xCF:
            return super()._dispatch(lun, tag, dlen, cdb)
        bus = self.address << 1
        if self.after == 0:
            self.fault = self.later
        self.after -= 1
        if self.fault == "silence":
            return None
        if self.fault == "refusal":
            return self._fail(lun, tag, dlen, msc.SENSE_INVALID_FIELD, "refused")
        if cdb[1:] == bytes([0x23, bus, 0, 0, 2]) + bytes(10) and dlen == 512:
            self.arriving = (tag, dlen, bytearray())
        elif cdb[1:7] == bytes([0x22, bus, bus | 1, 0, 1, 1]) and cdb[8:] == bytes(8) and dlen == 512:
            value = {0: self.bits, 1: self.out, 2: 0, 3: self.direction}[cdb[7]]
            self.tell(tag, dlen, bytes([value]))
        elif cdb[1:] == bytes([0x18, 0, 0, 16]) + bytes(11) and self.here():
            self.tell(tag, dlen, self.card.cid)
        else:
            self._fail(lun, tag, dlen, msc.SENSE_INVALID_FIELD, "not understood")

    def tell(self, tag, dlen, data):
        if self.fault == "short":
            data = b""
        elif self.fault == "noise":
            data = bytes(255 - byte for byte in data)
        self._data_in(tag, dlen, data)


class Sdwire(Interface):
    """An FT200X whose pin CBUS0 is high for the host's side; `reader` has the card then. Leaving the mode of the
    pins leaves their levels."""

    asked_by = VENDOR
    bInterfaceSubClass = bInterfaceProtocol = 0xFF
    in_ep = In(0x81, "bulk", mps=64)
    out_ep = Out(0x02, "bulk", mps=64)
    fault = "none"
    bits = 0

    def __init__(self):
        super().__init__()
        self.seen = [0]
        self.reader = CardReader("Generic", "Ultra HS-SD/MMC")
        self.reader.here = lambda: self.lie if self.fault == "lies" else self.bits == 1
        self.insert, self.dut = self.reader.insert, self.reader.dut

    def wrong(self, fault):
        self.lie = self.bits == 1
        self.fault = fault

    def on_vendor(self, setup, data=b""):
        if self.fault == "refusal":
            raise Stall
        if setup.bRequest == 0x0B and setup.wValue >> 4 == 0x20F and self.fault != "stuck":
            self.bits = setup.wValue & 0x0F
            self.seen.append(self.bits)
        if setup.bRequest == 0x0C:
            pins = self.bits ^ 0xFF if self.fault == "noise" else self.bits
            return b"" if self.fault == "short" else bytes([pins])
        return bytes(setup.wLength) if setup.direction == IN else b""


USAGES = bytes([0x06, 0x00, 0xFF, 0x09, 0x01, 0xA1, 0x01, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08])


def reports(sizes):
    return b"".join(bytes([0x85, number, 0x95, size, 0x09, 0x00, 0xB1, 0x02]) for number, size in sizes)


TRANSFERS = bytes([0x85, 0x10, 0x95, 63, 0x09, 0, 0x81, 2, 0x85, 0x14, 0x95, 63, 0x09, 0, 0x91, 2])
sdwire = Sdwire()
MODELS = {
    "cp2112": Cp2112(USAGES + reports([(1, 1), (2, 4), (3, 1), (4, 2), (5, 2), (6, 13)]) + TRANSFERS + b"\xc0"),
    "relay": Relay(USAGES + bytes([0x95, 8, 0x09, 0x00, 0xB2, 0x02, 0x01, 0xC0])),
    "sispm": Sispm(USAGES + reports([(1, 4), (3, 4), (6, 4), (9, 4), (12, 4)]) + b"\xc0"),
    "sdmux": SdMux("sdmux HS-SD/MMC", 0x41, 1, 2, 4, 0x0C),
    "sdfst": SdMux("sdFST HS-SD/MMC", 0x20, 4, 2, 1, 0x39),
    "sdwire": sdwire,
    "reader": sdwire.reader,
}
IDS = {
    "cp2112": (0x10C4, 0xEA90, "Silicon Laboratories", "CP2112 HID USB-to-SMBus Bridge", None),
    "relay": (0x16C0, 0x05DF, "www.dcttech.com", "USBRelay4", None),
    "sispm": (0x04B4, 0xFD11, "Gembird", "Gembird Silver Shield PM", None),
    "sdmux": (0x0424, 0x4041, "Linux Automation GmbH", "usb-sd-mux rev1", "00048.00643"),
    "sdfst": (0x0424, 0x4041, "Linux Automation GmbH", "usb-sd-mux fast", "00109.00017"),
    "sdwire": (0x04E8, 0x6001, "SRPOL", "sd-wire", "sdw-7"),
    "reader": (0x0424, 0x4050, "Generic", "Ultra Fast Media Reader", "000000264001"),
}
for index, (name, model) in enumerate(MODELS.items()):
    vendor, product, maker, words, serial = IDS[name]
    device = Device(vendor, product, manufacturer=maker, product=words, serial=serial)
    if isinstance(model, CardReader):
        device.set_speed(SPEED_HIGH)
    device.model = model
    device.add(model)
    if isinstance(model, Sdwire):
        device.bcdDevice = 0x1000
        device.on_control(None, model.on_vendor)
    device.plug(via=USBIP("127.0.0.1", PORT + 1 + index))


class Asked(socketserver.StreamRequestHandler):
    def handle(self):
        name, *words = self.rfile.readline().decode().split()
        model = MODELS[name]
        if words == ["dut"]:
            return self.wfile.write(model.dut())
        if words[:1] == ["pins"]:
            model.bits = int(words[1], 2)
            model.seen = [model.bits]
        elif words[:1] == ["card"]:
            model.insert(int(words[1]))
        elif words:
            model.wrong(*words)
        seen, model.seen = model.seen, [model.bits]
        self.wfile.write(" ".join(f"{bits:08b}" for bits in seen).encode() + b"\n")


server = socketserver.ThreadingTCPServer(("127.0.0.1", PORT), Asked)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
while True:
    time.sleep(3600)
