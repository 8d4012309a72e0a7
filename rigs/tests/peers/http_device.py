#!/usr/bin/python3
"""Models of relays and PDUs with a web interface, behind lighttpd. Arguments: port, folder of states.

Outlets are files in the folder (`1`, `2`, ...; missing is off). Outlet 3 is stuck: it takes every
command and stays off. Bodies follow the vendors' API pages. An unknown request is a 404.
"""
import http.server, json, os, re, sys, threading, urllib.parse

STATE = sys.argv[2]


def get(n):
    try:
        return open(f"{STATE}/{n}").read().strip() == "1"
    except FileNotFoundError:
        return False


def put(n, on):
    if n != 3:
        # Requests come at the same time: each has a file of its own until it is the state.
        new = f"{STATE}/{n}.{threading.get_ident()}"
        with open(new, "w") as file:
            file.write("1" if on else "0")
        os.rename(new, f"{STATE}/{n}")


class Said(Exception):
    """The answer."""


def say(text, status=200, kind="application/json"):
    raise Said(text, status, kind)


def word(on):
    return "ON" if on else "OFF"


def answer(method, uri, headers, body):
    path, _, query = uri.partition("?")
    query = dict(urllib.parse.parse_qsl(query))
    if found := re.fullmatch(r"/relay/(\d+)", path):  # Shelly Gen1
        n = int(found[1]) + 1
        if n > 4:
            say("Bad relay", 404, "text/plain")
        if method == "POST":
            put(n, dict(urllib.parse.parse_qsl(body))["turn"] == "on")
        say(json.dumps({"ison": get(n), "has_timer": False, "overpower": False, "source": "http"}))
    if path == "/rpc":  # Shelly Gen2
        ask = json.loads(body)
        n = ask["params"]["id"] + 1
        if n > 4:
            # As the device does: an error with status 200.
            say(json.dumps({"id": ask["id"], "src": "shelly", "error": {"code": -105, "message": f"Argument 'id', value {n} not found!"}}))
        if ask["method"] == "Switch.Set":
            was = get(n)
            put(n, ask["params"]["on"])
            result = {"was_on": was}
        else:
            result = {"id": n - 1, "source": "HTTP", "output": get(n), "apower": 0.0, "voltage": 230.1}
        say(json.dumps({"id": ask["id"], "src": "shelly", "result": result}))
    if path == "/cm":  # Tasmota
        if query.get("password") not in (None, "None", "canary-hunter2"):
            say('{"WARNING":"Need user=<user>&password=<password>"}', 401)
        found = re.fullmatch(r"(?i)power(\d*)(?: (on|off))?", query["cmnd"])
        if not found or int(found[1] or 1) > 4:
            say('{"Command":"Unknown","Echo":"%s"}' % query.get("password", ""))
        n = int(found[1] or 1)
        if found[2]:
            put(n, found[2].lower() == "on")
        # As the device does: a stuck relay still says what it was told.
        shown = found[2].upper() if found[2] else word(get(n))
        say(json.dumps({f"POWER{n}": shown}))
    if found := re.fullmatch(r"/switch/relay_(\d)(?:/turn_(on|off))?", path):  # ESPHome
        n = int(found[1])
        if method == "POST":
            put(n, found[2] == "on")
            say("", kind="text/plain")
        say(json.dumps({"id": f"switch-relay_{n}", "value": get(n), "state": word(get(n))}))
    if path.startswith("/api/"):  # Home Assistant
        if headers.get("Authorization") != "Bearer canary-hunter2":
            say("401: Unauthorized", 401, "text/plain")
        if found := re.fullmatch(r"/api/services/switch/turn_(on|off)", path):
            n = int(json.loads(body)["entity_id"].removeprefix("switch.relay_"))
            put(n, found[1] == "on")
            say("[]")
        if found := re.fullmatch(r"/api/states/switch\.relay_(\d)", path):
            n = int(found[1])
            say(json.dumps({"entity_id": f"switch.relay_{n}", "state": word(get(n)).lower(), "attributes": {"friendly_name": "Relay"}}))
        say('{"message":"Entity not found."}', 404)
    if path == "/netio.json":  # NETIO
        if method == "POST":
            for output in json.loads(body)["Outputs"]:
                if output["ID"] > 4:
                    say("Bad request", 400, "text/plain")
                put(output["ID"], output["Action"] == 1)
        outputs = [{"ID": n, "Name": f"output_{n}", "State": int(get(n)), "Action": 6, "Delay": 500} for n in range(1, 5)]
        say(json.dumps({"Agent": {"Model": "NETIO 4All", "NumOutputs": 4}, "Outputs": outputs}))
    if found := re.fullmatch(r"/restapi/relay/outlets/=(\d)/state/", path):  # Digital Loggers
        n = int(found[1]) + 1
        if method == "PUT":
            if headers.get("X-CSRF") is None:
                say("csrf", 403, "text/plain")
            put(n, dict(urllib.parse.parse_qsl(body))["value"] == "true")
            say("", 204)
        say("[true]" if get(n) else "[false]")
    if path == "/status.json":  # Gude
        if "cmd" in query:
            put(int(query["p"]), query["s"] == "1")
        outputs = [{"name": f"Power Port {n}", "state": int(get(n)), "sw_cnt": 3, "type": 1} for n in range(1, 5)]
        say(json.dumps({"outputs": outputs, "sensor_values": []}))
    if path == "/ov.html":  # Gude, older
        if "cmd" in query:
            put(int(query["p"]), query["s"] == "1")
        metas = "".join(f'<meta http-equiv="powerstate" content="Power Port {n},{int(get(n))}">\n' for n in range(1, 5))
        say(f"<html><head>{metas}</head></html>", kind="text/html")
    if path == "/generic/set":
        put(int(query["n"]), query["on"] == "1")
        # An error body with status 200, as cheap relays send it.
        say("OK" if int(query["n"]) <= 4 else "ERROR no such relay", kind="text/plain")
    if path == "/generic/get":
        say(f"relay is {word(get(int(query['n'])))}", kind="text/plain")
    if path == "/echo":  # Says everything back that it was sent.
        say(f"{uri} {body} " + " ".join(f"{k}={v}" for k, v in headers.items()), 500, "text/plain")
    if path == "/elsewhere":
        say("/generic/get?n=1", 302)
    say("not found", 404, "text/plain")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        try:
            answer(self.command, self.path, self.headers, body)
        except Said as said:
            text, status, kind = said.args
        text = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", text.decode())
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if status != 204:
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = reply


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
