/**
 * How much a node has to do, against what it can.
 *
 * @module
 */

/**
 * What a pool of circuits says of itself: where many requests wait for circuits
 * (`crowded`), or those that are built take long (`slow`), it is this node or all of its
 * network that is slow, and not the one circuit, relay or service. More of them would
 * make it slower: nothing is tried beside.
 */
export type Pressure = "free" | "crowded" | "slow";
