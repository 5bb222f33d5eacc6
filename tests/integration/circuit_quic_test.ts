import { testCircuits } from "../node/relay/circuit_contract.ts";
import { overQuic } from "../node/link/link_world.ts";

testCircuits("over QUIC", overQuic);
