import type { FuzzTarget } from "./fuzz_target.ts";
import { CIRCUIT_TARGETS } from "./targets/circuit_targets.ts";
import { CLIENT_WORLD } from "./targets/client_world_target.ts";
import { CONTROL } from "./targets/control_target.ts";
import { DHT_TARGETS } from "./targets/dht_targets.ts";
import { HEAD_TARGETS } from "./targets/head_targets.ts";
import { HOST_WORLD } from "./targets/host_world_target.ts";
import { LINK_TARGETS } from "./targets/link_targets.ts";
import { MESSAGE_TARGETS } from "./targets/message_targets.ts";
import { PROXY_WORLDS } from "./targets/proxy_world_target.ts";
import { RECORD_TARGETS } from "./targets/record_targets.ts";
import { RELAY_WORLD } from "./targets/relay_world_target.ts";
import { SERVICE_TARGETS } from "./targets/service_targets.ts";
import { SESSION_TARGETS } from "./targets/session_targets.ts";
import { SITE } from "./targets/site_target.ts";
import { VISITS_WORLD } from "./targets/visits_world_target.ts";
import { WIRE_TARGETS } from "./targets/wire_targets.ts";

/** All that a peer, a visitor or a program of this machine can reach. */
export const ALL_TARGETS: readonly FuzzTarget[] = [
  ...WIRE_TARGETS,
  ...RECORD_TARGETS,
  ...MESSAGE_TARGETS,
  ...SERVICE_TARGETS,
  ...LINK_TARGETS,
  ...CIRCUIT_TARGETS,
  ...SESSION_TARGETS,
  ...DHT_TARGETS,
  RELAY_WORLD,
  CLIENT_WORLD,
  HOST_WORLD,
  VISITS_WORLD,
  ...HEAD_TARGETS,
  ...PROXY_WORLDS,
  SITE,
  CONTROL,
];
