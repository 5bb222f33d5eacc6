import { testLinkAttacks } from "../node/link_attacks.ts";
import { testLinks } from "../node/link_contract.ts";
import { overQuic } from "../node/link_world.ts";

testLinks("over QUIC", overQuic);
testLinkAttacks("over QUIC", overQuic);
