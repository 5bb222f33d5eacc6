import { testCircuits } from "../node/circuit_contract.ts";
import { overQuic } from "../node/link_world.ts";

testCircuits("over QUIC", overQuic);
