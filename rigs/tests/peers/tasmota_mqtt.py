#!/usr/bin/python3
"""A model of a plug with Tasmota and four relays, on a real broker. Arguments: port, topic, password.

Relay 3 is stuck off and says so; relay 4 says what it was told, stays off, and tells that when asked.
"""
import sys
import paho.mqtt.client as mqtt

port, topic, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
states = {n: False for n in range(1, 5)}


def connected(client, *_):
    client.subscribe(f"cmnd/{topic}/#", 1)
    client.publish(f"tele/{topic}/LWT", "Online", 1, True)


def told(client, _data, message):
    word = message.topic.rsplit("/", 1)[1].upper()
    payload = message.payload.decode().upper()
    number = int(word.removeprefix("POWER") or 1) if word.startswith("POWER") else 0
    if number not in states:
        client.publish(f"stat/{topic}/RESULT", '{"Command":"Unknown"}')
        return
    said = states[number]
    if payload in ("ON", "OFF"):
        said = payload == "ON" and number != 3
        states[number] = said and number != 4
    client.publish(f"stat/{topic}/RESULT", '{"%s":"%s"}' % (word, "ON" if said else "OFF"))
    client.publish(f"stat/{topic}/{word}", "ON" if said else "OFF")


client = mqtt.Client(client_id="plug")
client.username_pw_set("plug", password)
client.will_set(f"tele/{topic}/LWT", "Offline", 1, True)
client.on_connect, client.on_message = connected, told
client.connect("127.0.0.1", port, keepalive=5)
client.loop_forever()
