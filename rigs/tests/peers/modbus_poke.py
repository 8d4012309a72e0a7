#!/usr/bin/python3
"""pymodbus's own client writes a coil. Arguments: port, coil, 0 or 1; prints what it reads back."""
import sys
from pymodbus.client import ModbusTcpClient

client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]))
client.connect()
done = client.write_coil(int(sys.argv[2]), sys.argv[3] == "1", slave=1)
assert not done.isError(), done
print(client.read_coils(int(sys.argv[2]), 1, slave=1).bits[0])
