"""A Modbus RTU slave by pymodbus: slave.py PORT ADDRESS. It prints "ready" when it serves.

Each line on standard input sets something: "input 2 1", "register 3 17".
"""
import sys
import threading

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartSerialServer
from pymodbus.transaction import ModbusRtuFramer

port, address = sys.argv[1], int(sys.argv[2])
unit = ModbusSlaveContext(
    di=ModbusSequentialDataBlock(0, [0] * 16),
    hr=ModbusSequentialDataBlock(0, [0] * 16),
    zero_mode=True,
)


def orders():
    print("ready", flush=True)
    for line in sys.stdin:
        what, number, value = line.split()
        unit.setValues({"input": 2, "register": 3}[what], int(number), [int(value)])


threading.Thread(target=orders, daemon=True).start()
StartSerialServer(
    context=ModbusServerContext(slaves={address: unit}, single=False),
    framer=ModbusRtuFramer,
    port=port,
    baudrate=19200,
    ignore_missing_slaves=True,
)
