"""What programs do with stem: python3 stem_program.py CONTROL_PORT TARGET_PORT."""
import sys
import time

import stem
from stem.control import Controller, EventType, Listener

control_port, target_port = int(sys.argv[1]), int(sys.argv[2])
seen = []


def tell(name, value):
    print("%s %s" % (name, value), flush=True)


with Controller.from_port(port=control_port) as controller:
    controller.authenticate()  # SAFECOOKIE, with the cookie that PROTOCOLINFO names
    tell("version", controller.get_version())
    tell("socks", controller.get_listeners(Listener.SOCKS))
    tell("phase", controller.get_info("status/bootstrap-phase"))
    tell("pid", controller.get_pid() > 0)
    controller.add_event_listener(
        lambda event: seen.append(event.type),
        EventType.BW, EventType.CIRC, EventType.STREAM, EventType.HS_DESC,
        EventType.STATUS_CLIENT, EventType.NOTICE, EventType.WARN,
        EventType.SIGNAL)
    service = controller.create_ephemeral_hidden_service(
        {80: target_port}, key_type="NEW", key_content="ED25519-V3",
        await_publication=True, timeout=120, max_streams=100)
    tell("service", service.service_id)
    tell("listed", controller.list_ephemeral_hidden_services() == [service.service_id])
    again = None
    try:
        controller.create_ephemeral_hidden_service(
            {80: target_port}, key_type="ED25519-V3",
            key_content=service.private_key)
    except stem.ProtocolError as error:
        again = str(error)
    tell("twice", again)
    circuits = list(controller.get_circuits())
    tell("circuits", len(circuits) > 0)
    controller.signal(stem.Signal.NEWNYM)
    deadline = time.time() + 30
    while time.time() < deadline and not {"BW", "CIRC", "HS_DESC", "SIGNAL"} <= set(seen):
        time.sleep(0.2)
    tell("events", sorted(set(seen)))
    tell("conf", controller.get_conf("CookieAuthentication"))
    sys.stdin.readline()  # until it was visited
    tell("removed", controller.remove_ephemeral_hidden_service(service.service_id))
    # The same address again, by the key that was given for it.
    back = controller.create_ephemeral_hidden_service(
        {80: target_port}, key_type="ED25519-V3", key_content=service.private_key)
    tell("back", back.service_id == service.service_id)
    sys.stdin.readline()
