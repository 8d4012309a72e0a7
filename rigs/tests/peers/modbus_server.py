#!/usr/bin/python3
"""A relay board: pymodbus's own server. Arguments: `tcp` or `rtu` (RTU frames on TCP), the port.

Coil 9 is stuck: its write is echoed as if done, and it reads as off.
"""
import asyncio, sys
from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartAsyncTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer


class Coils(ModbusSequentialDataBlock):
    stuck, echo = 9, None

    def setValues(self, address, values):
        if address == self.stuck:
            self.echo = values
        else:
            super().setValues(address, values)

    def getValues(self, address, count=1):
        if address == self.stuck and self.echo is not None:
            echo, self.echo = self.echo, None
            return echo
        return super().getValues(address, count)


coils = Coils(0, [False] * 16)
context = ModbusServerContext(slaves={1: ModbusSlaveContext(co=coils, zero_mode=True)}, single=False)
framer = ModbusRtuFramer if sys.argv[1] == "rtu" else ModbusSocketFramer
asyncio.run(StartAsyncTcpServer(context=context, address=("127.0.0.1", int(sys.argv[2])), framer=framer))
