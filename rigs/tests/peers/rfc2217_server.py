#!/usr/bin/python3
"""pyserial's own RFC 2217 server in front of its loop-back port. Argument: port.

Says on its output when the speed or the break changes.
"""
import socket, sys, threading
import serial, serial.rfc2217

server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    port = serial.serial_for_url("loop://", timeout=0.05)

    class Out:
        def write(self, data):
            client.sendall(data)

    try:
        manager = serial.rfc2217.PortManager(port, Out())
    except OSError:
        continue

    def read():
        try:
            while port.is_open:
                if data := port.read(port.in_waiting or 1):
                    client.sendall(b"".join(manager.escape(data)))
        except (OSError, TypeError, serial.SerialException):
            pass

    threading.Thread(target=read, daemon=True).start()
    was = None
    try:
        while data := client.recv(1024):
            for byte in serial.iterbytes(data):
                port.write(b"".join(manager.filter(byte)))
                now = (port.baudrate, port.bytesize, port.parity, port.stopbits, port.break_condition)
                if now != was:
                    print(*now, flush=True)
                    was = now
    except OSError:
        pass
    port.close()
