/**
 * What a share shows: a page for people, and the same for programs.
 *
 *     Accept: application/vnd.anonnet.share+json      { title, files: [{ name, bytes, sha256, href }, …] }
 *     anything else                                   a table of one directory, without script
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import { type Html, html, pageResponse, SAFE_HEADERS } from "./html_page.ts";
import { shownName } from "./file_name.ts";
import type { SharedFile } from "./shared_file.ts";

/** The kind of the list for programs. */
export const LIST_TYPE = "application/vnd.anonnet.share+json";

/** What a share is called where its operator does not say. */
export const DEFAULT_TITLE = "Shared files";

/** Whether a request asks for the list for programs. */
export function wantsList(request: Request): boolean {
  const accepted = request.headers.get("accept") ?? "";
  return accepted.slice(0, 1024).split(",")
    .some((type) => type.split(";")[0]?.trim() === LIST_TYPE);
}

/** The list of all files. */
export function listResponse(
  title: string,
  files: readonly SharedFile[],
): Response {
  const list = {
    title,
    files: files.map(({ name, facts, digest }) => ({
      name: name.join("/"),
      bytes: facts.bytes,
      sha256: digest.toHex(),
      href: hrefOf(name),
    })),
  };
  return Response.json(list, {
    headers: {
      ...SAFE_HEADERS,
      "cache-control": "no-store",
      "content-type": LIST_TYPE,
      "vary": "accept",
    },
  });
}

/**
 * The page of a directory; `undefined` where no file is in it.
 *
 * @param directory Its path, none for the page of the share itself.
 */
export function directoryResponse(
  title: string,
  files: readonly SharedFile[],
  directory: readonly string[],
): Response | undefined {
  const depth = directory.length;
  const inside = files.filter(({ name }) =>
    name.length > depth &&
    directory.every((part, index) => part === name[index])
  );
  if (depth > 0 && inside.length === 0) return undefined;
  const here = inside.filter(({ name }) => name.length === depth + 1);
  const below = Map.groupBy(
    inside.filter(({ name }) => name.length > depth + 1),
    ({ name }) => name[depth] ?? "",
  );
  const heading = depth === 0 ? title : directory.map(shown).join("/");
  const bytes = inside.reduce((sum, { facts }) => sum + facts.bytes, 0);
  const count = formatFiles(inside.length);
  const body = html`
    ${depth === 0 ? [] : [html`
      <p><a href="../">Up</a></p>
    `]}<table>
      <caption>${count}, ${formatBytes(
        bytes,
      )}. A download that breaks off can be resumed.</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Size</th>
          <th scope="col">SHA-256</th>
        </tr>
      </thead>
      <tbody>
    ${[...below].map(([name, files]) => directoryRow(name, files))}${here.map((
      file,
    ) => fileRow(file, depth))}</tbody>
    </table>
  `;
  return pageResponse(heading, body, { headers: { "vary": "accept" } });
}

function directoryRow(name: string, files: readonly SharedFile[]): Html {
  const bytes = files.reduce((sum, { facts }) => sum + facts.bytes, 0);
  return html`
    <tr>
      <td><a href="${hrefOf([name])}/"><bdi>${shown(name)}</bdi>/</a></td>
      <td class="size">${formatBytes(bytes)}</td>
      <td>${formatFiles(files.length)}</td>
    </tr>
  `;
}

function fileRow({ name, facts, digest }: SharedFile, depth: number): Html {
  const href = hrefOf(name.slice(depth));
  return html`
    <tr>
      <td><a href="${href}"><bdi>${shown(name.at(-1) ?? "")}</bdi></a></td>
      <td class="size">${formatBytes(facts.bytes)}</td>
      <td><code>${digest.toHex()}</code></td>
    </tr>
  `;
}

function shown(name: string): string {
  return shownName(name, 200);
}

/** A link relative to the page: no name begins with a scheme, whatever it holds. */
function hrefOf(name: readonly string[]): string {
  return `./${name.map(encodeURIComponent).join("/")}`;
}

/** `1 file`, `2 files`. */
export function formatFiles(count: number): string {
  return `${count} ${count === 1 ? "file" : "files"}`;
}

/** A size as people read it: `1.5 MB`, powers of 1,000. */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  let size = bytes;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : 1;
  return `${size.toFixed(digits)} ${units[unit] ?? ""}`;
}
