#!/usr/bin/python3
"""The tables of PDUs and of a PoE switch, behind Debian's snmpd (pass_persist). Argument: folder of states.

Outlets 1 to 4 are files (`on` or `off`; missing is off). Outlet 3 is stuck: it confirms and
stays off. An Eaton is on its way for its first two looks after a command.
"""
import os, re, sys

STATE = sys.argv[1]
moving = {}


def get(n):
    try:
        return open(f"{STATE}/{n}").read() == "on"
    except FileNotFoundError:
        return False


def put(n, on):
    if n != 3:
        with open(f"{STATE}/{n}.new", "w") as file:
            file.write("on" if on else "off")
        os.rename(f"{STATE}/{n}.new", f"{STATE}/{n}")


def eaton(n):
    if moving.get(n, 0) > 0:
        moving[n] -= 1
        return 3 if get(n) else 2
    return 1 if get(n) else 0


E = r"\.1\.3\.6\.1\.4\.1\."
# Object, what it shows, what may be written and what that means.
ROWS = [
    (E + r"318\.1\.1\.4\.4\.2\.1\.3\.(\d+)", lambda n: 1 if get(n) else 2, {1: True, 2: False}),
    (E + r"534\.6\.6\.7\.6\.6\.1\.2\.0\.(\d+)", eaton, None),
    (E + r"534\.6\.6\.7\.6\.6\.1\.4\.0\.(\d+)", lambda n: -1, {1: True}),
    (E + r"534\.6\.6\.7\.6\.6\.1\.3\.0\.(\d+)", lambda n: -1, {1: False}),
    (E + r"13742\.6\.4\.1\.2\.1\.2\.1\.(\d+)", lambda n: int(get(n)), {1: True, 0: False}),
    (E + r"13742\.6\.4\.1\.2\.1\.3\.1\.(\d+)", lambda n: 7 if get(n) else 8, None),
    (E + r"1718\.3\.2\.3\.1\.11\.1\.1\.(\d+)", lambda n: 0, {1: True, 2: False}),
    (E + r"1718\.3\.2\.3\.1\.10\.1\.1\.(\d+)", lambda n: 5 if get(n) else 4, None),
    (E + r"3808\.1\.1\.3\.3\.3\.1\.1\.4\.(\d+)", lambda n: 1 if get(n) else 2, {1: True, 2: False}),
    (E + r"3808\.1\.1\.3\.3\.5\.1\.1\.4\.(\d+)", lambda n: 1 if get(n) else 2, None),
    (r"\.1\.3\.6\.1\.2\.1\.105\.1\.1\.1\.3\.1\.(\d+)", lambda n: 1 if get(n) else 2, {1: True, 2: False}),
]


def find(oid):
    for pattern, shows, takes in ROWS:
        if (found := re.fullmatch(pattern, oid)) and 1 <= int(found[1]) <= 4:
            return int(found[1]), shows, takes
    return None


def out(*lines):
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


while line := sys.stdin.readline():
    line = line.strip()
    if line == "PING":
        out("PONG")
    elif line in ("get", "getnext"):
        oid = sys.stdin.readline().strip()
        row = find(oid) if line == "get" else None
        out(oid, "integer", row[1](row[0])) if row else out("NONE")
    elif line == "set":
        oid, value = sys.stdin.readline().strip(), sys.stdin.readline().split()
        row = find(oid)
        if not row or row[2] is None:
            out("not-writable")
        elif value[0] != "integer":
            out("wrong-type")
        elif int(value[1]) not in row[2]:
            out("wrong-value")
        else:
            put(row[0], row[2][int(value[1])])
            moving[row[0]] = 2
            out("DONE")
