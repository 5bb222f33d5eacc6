import { testContract } from "../transport/contract.ts";
import { withQuic } from "../transport/world.ts";

testContract("openQuicEndpoint()", withQuic);
