import { testContract } from "./contract.ts";
import { withMemory } from "./world.ts";

testContract("MemoryNetwork", withMemory);
