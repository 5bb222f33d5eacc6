import { testLinkAttacks } from "../node/link/link_attacks.ts";
import { testLinks } from "../node/link/link_contract.ts";
import { overQuic } from "../node/link/link_world.ts";

testLinks("over QUIC", overQuic);
testLinkAttacks("over QUIC", overQuic);
