"""A Modbus RTU slave by pymodbus: slave.py PORT ADDRESS. It prints "ready" when it serves.

Each line on standard input sets something: "input 2 1", "register 3 17"; or prints what it
holds: "show coil 2 3" prints "coil 2 0 0 0".
"""
import sys
import threading

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartSerialServer
from pymodbus.transaction import ModbusRtuFramer

port, address = sys.argv[1], int(sys.argv[2])
unit = ModbusSlaveContext(
    co=ModbusSequentialDataBlock(0, [0] * 16),
    di=ModbusSequentialDataBlock(0, [0] * 16),
    hr=ModbusSequentialDataBlock(0, [0] * 16),
    zero_mode=True,
)


FUNCTION = {"coil": 1, "input": 2, "register": 3}


def orders():
    print("ready", flush=True)
    for line in sys.stdin:
        words = line.split()
        if words[0] == "show":
            what, number, count = words[1:]
            values = unit.getValues(FUNCTION[what], int(number), int(count))
            print(what, number, *(int(v) for v in values), flush=True)
        else:
            what, number, value = words
            unit.setValues(FUNCTION[what], int(number), [int(value)])


threading.Thread(target=orders, daemon=True).start()
StartSerialServer(
    context=ModbusServerContext(slaves={address: unit}, single=False),
    framer=ModbusRtuFramer,
    port=port,
    baudrate=19200,
    ignore_missing_slaves=True,
)
