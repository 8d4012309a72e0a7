#!/usr/bin/python3
"""A model of an LCUS relay board with 4 relays, on TCP. Arguments: port, file for what it was sent (hex).

Written from the description of its bytes, not seen on a real board. Relay 3 is stuck off.
"""
import socketserver, sys

states = [False] * 4
sent = open(sys.argv[2], "a", buffering=1)


class Board(socketserver.BaseRequestHandler):
    def handle(self):
        got = b""
        while chunk := self.request.recv(64):
            sent.write(chunk.hex() + "\n")
            got += chunk
            while got:
                if got[0] == 0xFF:
                    lines = (f"CH{n + 1}: {'ON' if on else 'OFF'}\r\n" for n, on in enumerate(states))
                    self.request.sendall("".join(lines).encode())
                    got = got[1:]
                elif got[0] == 0xA0 and len(got) >= 4:
                    _, n, on, total = got[:4]
                    if total == (0xA0 + n + on) & 0xFF and 1 <= n <= 4 and n != 3:
                        states[n - 1] = on == 1
                    got = got[4:]
                elif got[0] == 0xA0:
                    break
                else:
                    got = got[1:]


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Board).serve_forever()
