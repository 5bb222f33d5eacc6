import { testCircuits } from "./circuit_contract.ts";
import { inMemory } from "../link/link_world.ts";

testCircuits("in memory", inMemory);
