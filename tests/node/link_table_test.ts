import { testLinks } from "./link_contract.ts";
import { inMemory } from "./link_world.ts";

testLinks("in memory", inMemory);
