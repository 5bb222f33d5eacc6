/**
 * The name under which a browser stores what it downloads.
 *
 *     attachment; filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt
 *
 * The first name is for programs that do not know the second one.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc6266 | RFC 6266}
 * @see {@link https://www.rfc-editor.org/rfc/rfc8187 | RFC 8187}
 * @module
 */

/** Characters that `filename*` may hold as they are (RFC 8187 §3.2.1). */
const PLAIN = /^[A-Za-z0-9!#$&+.^_`|~-]$/;

/** The field for a download of this name. */
export function formatAttachment(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, "_");
  if (plain === name) return `attachment; filename="${name}"`;
  const bytes = new TextEncoder().encode(name);
  const encoded = Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    return PLAIN.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
