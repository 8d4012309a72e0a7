"""A stand-in for a vendor's tool, on the rig host: usb_tool.py LIKE HOW VENDOR:PRODUCT [IMAGE], or --version

Waits for a device of this id on the kernel's USB buses, as they do, and sends it the image, or a loader, through
the kernel's usbfs. LIKE is whose words it says at the end. HOW: `works`, `quiet` (ends well without a word),
`lies` (says that it did it, and did nothing), `hangs`.
"""
import ctypes
import fcntl
import pathlib
import struct
import sys
import time

# linux/usbdevice_fs.h
CONTROL, BULK, CLAIM = 0xC0185500, 0xC0185502, 0x8004550F
PART, ANSWER = 16 << 10, 10_000
DONE = {
    "rpiboot": "Second stage boot server done",
    "tegra": "*** The target t186ref has been flashed successfully. ***",
    "tegra-rcm": "[   4.3174 ] RCM-boot started",
}


def found(number):
    for folder in pathlib.Path("/sys/bus/usb/devices").iterdir():
        try:
            read = lambda name: (folder / name).read_text().strip()
            if f"{read('idVendor')}:{read('idProduct')}" == number:
                return f"/dev/bus/usb/{int(read('busnum')):03}/{int(read('devnum')):03}"
        except OSError:
            pass  # an interface, or one that just goes


def send(node, data):
    with open(node, "rb+", buffering=0) as device:
        fcntl.ioctl(device, CLAIM, struct.pack("I", 0))
        size = len(data)
        told = struct.pack("=BBHHHI4xQ", 0x40, 0, size & 0xFFFF, size >> 16, 0, ANSWER, 0)
        fcntl.ioctl(device, CONTROL, told)
        for at in range(0, size, PART):
            part = ctypes.create_string_buffer(data[at : at + PART], len(data[at : at + PART]))
            fcntl.ioctl(device, BULK, struct.pack("=III4xQ", 1, len(part), ANSWER, ctypes.addressof(part)))
            if at * 100 // size // 25 != (at + PART) * 100 // size // 25:
                print(f"[....] {min(100, (at + PART) * 100 // size)}%", flush=True)


if sys.argv[1] == "--version":
    print("stand-in for a vendor's tool\nversion 1.2.3")
    sys.exit()
like, how, number, *image = sys.argv[1:]
if how == "quiet":
    sys.exit()
print(f"Waiting for {number}...", flush=True)
while how != "lies" and not (node := found(number)):
    time.sleep(0.2)
if how == "hangs":
    print("Sending bootcode.bin", flush=True)
    time.sleep(3600)
if how == "works":
    send(node, pathlib.Path(image[0]).read_bytes() if image else b"a loader" * 4096)
print(DONE[like])
