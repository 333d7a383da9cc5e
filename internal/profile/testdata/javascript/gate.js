/* Codec of an invented door sensor, of the usual kind: channel, type, value. It serves
   the LoRa Alliance form and both older ones. */

// The Things Network version 3, ChirpStack version 4
function decodeUplink(input) {
    return { data: gateDecode(input.bytes) };
}

// ChirpStack version 3
function Decode(fPort, bytes) {
    return gateDecode(bytes);
}

// The Things Network version 2
function Decoder(bytes, port) {
    return gateDecode(bytes);
}

function gateDecode(bytes) {
    var decoded = {};
    for (var i = 0; i < bytes.length; ) {
        var channel_id = bytes[i++];
        var channel_type = bytes[i++];

        // POWER STATE
        if (channel_id === 0xff && channel_type === 0x0b) {
            decoded.power = "on";
            i += 1;
        }
        // VERSION
        else if (channel_id === 0xff && channel_type === 0x09) {
            decoded.hardware_version = readHardwareVersion(bytes.slice(i, i + 2));
            i += 2;
        }
        // SERIAL NUMBER
        else if (channel_id === 0xff && channel_type === 0x16) {
            decoded.sn = readSerial(bytes.slice(i, i + 8));
            i += 8;
        }
        // BATTERY
        else if (channel_id === 0x01 && channel_type === 0x75) {
            decoded.battery = bytes[i];
            i += 1;
        }
        // TEMPERATURE
        else if (channel_id === 0x03 && channel_type === 0x67) {
            decoded.temperature = readInt16LE(bytes.slice(i, i + 2)) / 10;
            i += 2;
        }
        // MAGNET
        else if (channel_id === 0x06 && channel_type === 0x00) {
            decoded.magnet = readState(bytes[i], ["close", "open"]);
            i += 1;
        }
        // TAMPER
        else if (channel_id === 0x07 && channel_type === 0x00) {
            decoded.tamper = readState(bytes[i], ["installed", "uninstalled"]);
            i += 1;
        }
        // HISTORY
        else if (channel_id === 0x20 && channel_type === 0xce) {
            var point = {};
            point.timestamp = readUInt32LE(bytes.slice(i, i + 4));
            point.temperature = readInt16LE(bytes.slice(i + 4, i + 6)) / 10;
            point.magnet = readState(bytes[i + 6], ["close", "open"]);
            decoded.history = decoded.history || [];
            decoded.history.push(point);
            i += 7;
        } else {
            break;
        }
    }
    return decoded;
}

function readUInt16LE(bytes) {
    var value = (bytes[1] << 8) + bytes[0];
    return value & 0xffff;
}

function readInt16LE(bytes) {
    var ref = readUInt16LE(bytes);
    return ref > 0x7fff ? ref - 0x10000 : ref;
}

function readUInt32LE(bytes) {
    var value = (bytes[3] << 24) + (bytes[2] << 16) + (bytes[1] << 8) + bytes[0];
    return (value & 0xffffffff) >>> 0;
}

function readState(value, words) {
    return value < words.length ? words[value] : "unknown";
}

function readHardwareVersion(bytes) {
    var major = (bytes[0] & 0xff).toString(16);
    var minor = (bytes[1] & 0xff) >> 4;
    return "v" + major + "." + minor;
}

function readSerial(bytes) {
    var out = [];
    for (var i = 0; i < bytes.length; i++) {
        out.push(("0" + (bytes[i] & 0xff).toString(16)).slice(-2));
    }
    return out.join("");
}
