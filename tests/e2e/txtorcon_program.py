"""What programs do with txtorcon: python3 txtorcon_program.py CONTROL_PORT TARGET_PORT."""
import sys

import txtorcon
from twisted.internet import defer, endpoints, stdio, task
from twisted.protocols.basic import LineReceiver

control_port, target_port = int(sys.argv[1]), int(sys.argv[2])


def tell(name, value):
    print("%s %s" % (name, value), flush=True)


class Input(LineReceiver):
    delimiter = b"\n"

    def __init__(self):
        self.line = defer.Deferred()

    def lineReceived(self, line):
        self.line.callback(None)


@defer.inlineCallbacks
def main(reactor):
    place = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", control_port)
    tor = yield txtorcon.connect(reactor, place)
    tell("version", tor.version)
    service = yield tor.create_onion_service(
        ["80 127.0.0.1:%d" % target_port], version=3)
    tell("service", service.hostname)
    state = yield tor.create_state()
    tell("circuits", len(state.circuits) > 0)
    lines = Input()
    stdio.StandardIO(lines)
    yield lines.line
    yield service.remove()
    tell("removed", True)


task.react(main)
