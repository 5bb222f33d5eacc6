/**
 * Names of what is stored: they become file names.
 *
 * @module
 */

/**
 * `name`, when it is made of lower-case letters, digits and hyphens, begins with
 * no hyphen, and has at most 64 characters. So no name leaves the directory.
 *
 * @throws {RangeError} otherwise.
 */
export function checkName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw new RangeError(`Cannot store anything as ${JSON.stringify(name)}`);
  }
  return name;
}
