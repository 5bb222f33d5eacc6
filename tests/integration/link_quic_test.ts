import { testLinks } from "../node/link_contract.ts";
import { overQuic } from "../node/link_world.ts";

testLinks("over QUIC", overQuic);
