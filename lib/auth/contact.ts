/**
 * How to reach a relay's operator: a line of text in the relay's record. It proves
 * nothing, and any relay may say the same.
 *
 * @see protocol §2.3 "Node records"
 * @module
 */

/** Protocol: longest contact, bytes. A record has room for little. */
export const MAX_CONTACT_BYTES = 128;

/**
 * Protocol: printable ASCII that neither begins nor ends with a space. A terminal
 * that shows it obeys no control character, and sees no text that runs backwards.
 */
const CONTACT = /^[!-~](?:[ -~]*[!-~])?$/;

/** Whether a text may stand in a record as contact. */
export function isContact(text: string): boolean {
  return text.length <= MAX_CONTACT_BYTES && CONTACT.test(text);
}
